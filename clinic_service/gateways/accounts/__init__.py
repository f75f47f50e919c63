"""The directory of accounts: who a user is, and the accounts a clinic makes for its patients.

`embedded.py` keeps it in this program's own database, `http.py` asks the platform's accounts and profiles services,
and `choice.py` picks one. Import the implementations by their modules; this one holds what both have in common.
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
