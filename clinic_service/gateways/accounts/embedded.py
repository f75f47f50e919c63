"""The directory of accounts in the database of this program, for servers without an accounts service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from clinic_service.db.engine import Database
from clinic_service.db.prepared import Query, insert_into
from clinic_service.errors import Conflict
from clinic_service.gateways.accounts.documents import (
    account_from_document,
    patient_document,
    profile_from_document,
)
from clinic_service.gateways.accounts.protocol import Account, AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.user_ids import new_user_id
from clinic_service.models import AccountDeletion, AccountEmail, EmbeddedAccount
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")


class UserIdTaken(Conflict):
    """There is an account with this id already."""

    message = "The user id is already taken."


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to add. The first of its addresses is the one to sign in with."""

    user_id: str = field(default_factory=new_user_id)
    emails: Sequence[str] = ()
    roles: Sequence[str] = ()
    profile: Profile = field(default_factory=Profile)
    custodial_clinic_id: str | None = None


_COLUMNS = (
    EmbeddedAccount.user_id,
    EmbeddedAccount.username,
    EmbeddedAccount.roles,
    EmbeddedAccount.custodial_clinic_id,
)


class _AccountRow(NamedTuple):
    """An account without its addresses."""

    user_id: str
    username: str | None
    roles: list[str]
    custodial_clinic_id: str | None


_BY_ID = Query(_AccountRow, select(*_COLUMNS).where(EmbeddedAccount.user_id == bindparam("user_id")))
_REMOVE = delete(EmbeddedAccount).where(EmbeddedAccount.user_id == bindparam("id"))


class EmbeddedAccounts:
    """The directory in `database`. An account without an address cannot sign in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_account(self, user_id: str) -> Account | None:
        return self._read(lambda unit: _find(unit, _BY_ID, {"user_id": user_id}))

    _BY_EMAIL = Query(
        _AccountRow,
        select(*_COLUMNS)
        .join(AccountEmail, AccountEmail.user_id == EmbeddedAccount.user_id)
        .where(AccountEmail.email == bindparam("email")),
    )

    def find_by_email(self, email: str) -> Account | None:
        return self._read(lambda unit: _find(unit, self._BY_EMAIL, {"email": email.lower()}))

    _PROFILE = select(EmbeddedAccount.full_name, EmbeddedAccount.patient_profile).where(
        EmbeddedAccount.user_id == bindparam("user_id")
    )

    def find_profile(self, user_id: str) -> Profile:
        row = self._read(lambda unit: unit.first(self._PROFILE, {"user_id": user_id}))
        return _profile(*row) if row else Profile()

    _PROFILES = select(EmbeddedAccount.user_id, EmbeddedAccount.full_name, EmbeddedAccount.patient_profile).where(
        EmbeddedAccount.user_id.in_(bindparam("user_ids", expanding=True))
    )

    def find_profiles(self, user_ids: Collection[str]) -> dict[str, Profile]:
        if not user_ids:
            return {}
        rows = self._read(lambda unit: unit.execute(self._PROFILES, {"user_ids": sorted(user_ids)}).all())
        return dict.fromkeys(user_ids, Profile()) | {user_id: _profile(*stored) for user_id, *stored in rows}

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
        self._write(lambda unit: unit.change(_REMOVE, {"id": user_id}))

    def delete(self, user_id: str, leave_clinics: Callable[[UnitOfWork, str, Sequence[str]], None]) -> None:
        """Delete the account of a person. From then on the tokens of the person are refused.

        `leave_clinics` is called in the same transaction, with the id and the addresses. Raises AccountNotFound.
        """
        self._write(lambda unit: _delete(unit, user_id, leave_clinics))

    def _read(self, query: Callable[[UnitOfWork], T]) -> T:
        return run(self._database, query, writes=False)

    def _write(self, change: Callable[[UnitOfWork], T]) -> T:
        return run(self._database, change, writes=True)


_EMAILS_OF = (
    select(AccountEmail.email).where(AccountEmail.user_id == bindparam("user_id")).order_by(AccountEmail.position)
)


def _find(unit: UnitOfWork, query: Query[_AccountRow], parameters: Mapping[str, str]) -> Account | None:
    row = unit.first(query, parameters)
    if row is None:
        return None
    return _account(row, [email for (email,) in unit.rows(_EMAILS_OF, {"user_id": row.user_id})])


_ALL = select(*_COLUMNS, EmbeddedAccount.full_name, EmbeddedAccount.patient_profile).order_by(
    EmbeddedAccount.created_time, EmbeddedAccount.user_id
)
_ALL_EMAILS = select(AccountEmail.user_id, AccountEmail.email).order_by(AccountEmail.position)


def _list(unit: UnitOfWork) -> list[tuple[Account, Profile]]:
    emails: dict[str, list[str]] = defaultdict(list)
    for user_id, email in unit.rows(_ALL_EMAILS, {}):
        emails[user_id].append(email)
    return [
        (_account(_AccountRow(user_id, username, roles, custodian), emails[user_id]), _profile(full_name, patient))
        for user_id, username, roles, custodian, full_name, patient in unit.rows(_ALL, {})
    ]


def _account(row: _AccountRow, emails: Sequence[str]) -> Account:
    return account_from_document(
        {
            "userid": row.user_id,
            "username": row.username,
            "emails": list(emails),
            "roles": row.roles,
            "custodian": row.custodial_clinic_id,
        }
    )


def _profile(full_name: str | None, patient: dict[str, Any] | None) -> Profile:
    return profile_from_document({"fullName": full_name, "patient": patient})


_DELETION = select(AccountDeletion.user_id).where(AccountDeletion.user_id == bindparam("user_id"))
_REMOVE_DELETION = delete(AccountDeletion).where(AccountDeletion.user_id == bindparam("id"))
_ADD = insert_into(
    EmbeddedAccount,
    *("user_id", "username", "full_name", "roles", "patient_profile", "custodial_clinic_id"),
    *("created_time", "updated_time"),
)


def _add(unit: UnitOfWork, account: NewAccount) -> Account:
    # Each address once, because the second row would fail as if another account had the address.
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
    # Asked first, because on a cluster every write to this table needs all machines.
    if unit.rows(_DELETION, {"user_id": account.user_id}):
        unit.change(_REMOVE_DELETION, {"id": account.user_id})
    try:
        unit.insert(_ADD, values)
        _add_emails(unit, account.user_id, emails)
    except IntegrityError:
        raise EmailTaken from None
    return Account(account.user_id, emails[0] if emails else "", emails, tuple(account.roles))


_ADD_DELETION = insert_into(AccountDeletion, "user_id", "deleted_time")


def _delete(unit: UnitOfWork, user_id: str, leave_clinics: Callable[[UnitOfWork, str, Sequence[str]], None]) -> None:
    account = _find(unit, _BY_ID, {"user_id": user_id})
    if account is None:
        raise AccountNotFound
    leave_clinics(unit, user_id, account.emails)
    unit.change(_REMOVE, {"id": user_id})
    unit.insert(_ADD_DELETION, {"user_id": user_id, "deleted_time": unit.now})


_ADD_EMAIL = insert_into(AccountEmail, "email", "user_id", "position")


def _add_emails(unit: UnitOfWork, user_id: str, emails: Sequence[str]) -> None:
    rows = ({"email": email, "user_id": user_id, "position": position} for position, email in enumerate(emails))
    unit.insert(_ADD_EMAIL, *rows)


_SET_USERNAME = (
    update(EmbeddedAccount)
    .where(EmbeddedAccount.user_id == bindparam("id"))
    .values(username=bindparam("address"), updated_time=bindparam("time"))
)
_DROP_EMAILS = delete(AccountEmail).where(AccountEmail.user_id == bindparam("id"))


def _set_email(unit: UnitOfWork, user_id: str, email: str | None) -> None:
    try:
        if not unit.change(_SET_USERNAME, {"id": user_id, "address": email, "time": unit.now}):
            raise AccountNotFound
        unit.change(_DROP_EMAILS, {"id": user_id})
        _add_emails(unit, user_id, (email,) if email else ())
    except IntegrityError:
        raise EmailTaken from None
