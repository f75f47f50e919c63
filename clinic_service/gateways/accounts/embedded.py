"""The directory of accounts kept in this program's own database, for servers without an accounts service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from clinic_service import models
from clinic_service.db.engine import Database
from clinic_service.errors import Conflict
from clinic_service.gateways.accounts.documents import (
    account_from_document,
    patient_document,
    profile_from_document,
)
from clinic_service.gateways.accounts.protocol import Account, AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.user_ids import new_user_id
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")

_COLUMNS = (
    models.Account.user_id,
    models.Account.username,
    models.Account.roles,
    models.Account.custodial_clinic_id,
)
_BY_ID = select(*_COLUMNS).where(models.Account.user_id == bindparam("user_id"))
_BY_EMAIL = (
    select(*_COLUMNS)
    .join(models.AccountEmail, models.AccountEmail.user_id == models.Account.user_id)
    .where(models.AccountEmail.email == bindparam("email"))
)
_ALL = select(*_COLUMNS, models.Account.full_name, models.Account.patient_profile).order_by(
    models.Account.created_time, models.Account.user_id
)
_EMAILS_OF = (
    select(models.AccountEmail.email)
    .where(models.AccountEmail.user_id == bindparam("user_id"))
    .order_by(models.AccountEmail.position)
)
_ALL_EMAILS = select(models.AccountEmail.user_id, models.AccountEmail.email).order_by(models.AccountEmail.position)
_PROFILE = select(models.Account.full_name, models.Account.patient_profile).where(
    models.Account.user_id == bindparam("user_id")
)
_PROFILES = select(models.Account.user_id, models.Account.full_name, models.Account.patient_profile).where(
    models.Account.user_id.in_(bindparam("user_ids", expanding=True))
)
_ADD = insert(models.Account)
_ADD_EMAIL = insert(models.AccountEmail)
_SET_USERNAME = (
    update(models.Account)
    .where(models.Account.user_id == bindparam("id"))
    .values(username=bindparam("address"), updated_time=bindparam("time"))
)
_DROP_EMAILS = delete(models.AccountEmail).where(models.AccountEmail.user_id == bindparam("id"))
_ADD_DELETION = insert(models.AccountDeletion)
_TAKE_DELETION_BACK = delete(models.AccountDeletion).where(models.AccountDeletion.user_id == bindparam("id"))
_REMOVE = delete(models.Account).where(models.Account.user_id == bindparam("id"))


class UserIdTaken(Conflict):
    """An account with this id is there already."""

    message = "The user id is already taken."


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to add. Its addresses stand in order; the first one is the one to sign in with."""

    user_id: str = field(default_factory=new_user_id)
    emails: Sequence[str] = ()
    roles: Sequence[str] = ()
    profile: Profile = field(default_factory=Profile)
    custodial_clinic_id: str | None = None


class EmbeddedAccounts:
    """The directory in `database`. An account without an address has no name to sign in with."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_account(self, user_id: str) -> Account | None:
        return self._read(lambda unit: _find(unit, _BY_ID, {"user_id": user_id}))

    def find_by_email(self, email: str) -> Account | None:
        return self._read(lambda unit: _find(unit, _BY_EMAIL, {"email": email.lower()}))

    def find_profile(self, user_id: str) -> Profile:
        row = self._read(lambda unit: unit.execute(_PROFILE, {"user_id": user_id}).one_or_none())
        return Profile() if row is None else _profile(row)

    def find_profiles(self, user_ids: Collection[str]) -> dict[str, Profile]:
        if not user_ids:
            return {}
        rows = self._read(lambda unit: unit.execute(_PROFILES, {"user_ids": sorted(user_ids)}).all())
        return dict.fromkeys(user_ids, Profile()) | {row.user_id: _profile(row) for row in rows}

    def list_accounts(self) -> list[tuple[Account, Profile]]:
        """All accounts with their profiles, the oldest first."""
        return self._read(_list)

    def add(self, account: NewAccount) -> Account:
        """Add an account. Raises EmailTaken and UserIdTaken."""
        return self._write(lambda unit: _add(unit, account))

    def choose_user_id(self) -> str:
        return new_user_id()

    def create_custodial(self, clinic_id: str, email: str | None, user_id: str | None = None) -> Account:
        emails = (email,) if email else ()
        return self.add(NewAccount(user_id or new_user_id(), emails, custodial_clinic_id=clinic_id))

    def update_custodial_email(self, user_id: str, email: str | None) -> None:
        self._write(lambda unit: _set_email(unit, user_id, email.lower() if email else None))

    def remove(self, user_id: str) -> None:
        self._write(lambda unit: unit.execute(_REMOVE, {"id": user_id}).close())

    def delete(self, user_id: str, leave_clinics: Callable[[UnitOfWork, str, Sequence[str]], None]) -> None:
        """Remove the account of a person for good; from then on the person's tokens are refused.

        `leave_clinics` gets the id and the addresses, and works in the same transaction. Raises AccountNotFound.
        """
        self._write(lambda unit: _delete(unit, user_id, leave_clinics))

    def _read(self, question: Callable[[UnitOfWork], T]) -> T:
        return run(self._database, question, writes=False)

    def _write(self, change: Callable[[UnitOfWork], T]) -> T:
        return run(self._database, change, writes=True)


def _find(unit: UnitOfWork, statement: Any, parameters: dict[str, Any]) -> Account | None:
    row = unit.execute(statement, parameters).one_or_none()
    if row is None:
        return None
    return _account(row, unit.execute(_EMAILS_OF, {"user_id": row.user_id}).scalars().all())


def _list(unit: UnitOfWork) -> list[tuple[Account, Profile]]:
    emails: dict[str, list[str]] = defaultdict(list)
    for row in unit.execute(_ALL_EMAILS):
        emails[row.user_id].append(row.email)
    return [(_account(row, emails[row.user_id]), _profile(row)) for row in unit.execute(_ALL)]


def _account(row: Row[Any], emails: Sequence[str]) -> Account:
    return account_from_document(
        {
            "userid": row.user_id,
            "username": row.username,
            "emails": list(emails),
            "roles": row.roles,
            "custodian": row.custodial_clinic_id,
        }
    )


def _profile(row: Row[Any]) -> Profile:
    return profile_from_document({"fullName": row.full_name, "patient": row.patient_profile})


def _add(unit: UnitOfWork, account: NewAccount) -> Account:
    # No address twice: the second mention of one would look as if somebody else had it.
    emails = tuple(dict.fromkeys(email.lower() for email in account.emails))
    if _find(unit, _BY_ID, {"user_id": account.user_id}):
        raise UserIdTaken
    values = {
        "user_id": account.user_id,
        "username": emails[0] if emails else None,
        "full_name": account.profile.full_name,
        "roles": list(account.roles),
        "patient_profile": patient_document(account.profile),
        "custodial_clinic_id": account.custodial_clinic_id,
        "created_time": unit.creation_time,
        "updated_time": unit.now,
    }
    unit.execute(_TAKE_DELETION_BACK, {"id": account.user_id})
    try:
        unit.execute(_ADD, values)
        _add_emails(unit, account.user_id, emails)
    except IntegrityError:
        raise EmailTaken from None
    return Account(account.user_id, emails[0] if emails else "", emails, tuple(account.roles))


def _delete(unit: UnitOfWork, user_id: str, leave_clinics: Callable[[UnitOfWork, str, Sequence[str]], None]) -> None:
    account = _find(unit, _BY_ID, {"user_id": user_id})
    if account is None:
        raise AccountNotFound
    leave_clinics(unit, user_id, account.emails)
    unit.execute(_REMOVE, {"id": user_id})
    unit.execute(_ADD_DELETION, {"user_id": user_id, "deleted_time": unit.now})


def _add_emails(unit: UnitOfWork, user_id: str, emails: Sequence[str]) -> None:
    for position, email in enumerate(emails):
        unit.execute(_ADD_EMAIL, {"email": email, "user_id": user_id, "position": position})


def _set_email(unit: UnitOfWork, user_id: str, email: str | None) -> None:
    try:
        changed = unit.execute(_SET_USERNAME, {"id": user_id, "address": email, "time": unit.now})
        if changed.rowcount == 0:
            raise AccountNotFound
        unit.execute(_DROP_EMAILS, {"id": user_id})
        _add_emails(unit, user_id, (email,) if email else ())
    except IntegrityError:
        raise EmailTaken from None
