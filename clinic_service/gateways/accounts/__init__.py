"""The directory of accounts: the accounts and profiles of users, and the accounts that clinics create for patients.

`embedded.py` stores it in the database of this program, `http.py` calls the accounts and profiles services of the platform,
and `choice.py` chooses one of them. Import the implementations from their modules; this package exports what both share.
"""

from clinic_service.gateways.accounts.protocol import (
    Account,
    AccountNotFound,
    Accounts,
    EmailTaken,
    Profile,
    UserRecord,
    find_user,
    get_user,
)

__all__ = ["Account", "AccountNotFound", "Accounts", "EmailTaken", "Profile", "UserRecord", "find_user", "get_user"]
