"""The interface of a directory of accounts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from clinic_service.errors import Conflict, NotFound, Violation


class EmailTaken(Conflict):
    """Another account has the address."""

    message = "The e-mail address is already taken."
    violations = (Violation("/body/email", "unique"),)


class AccountNotFound(NotFound):
    """There is no account with this id."""

    message = "The user was not found."


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a user.

    `username` is the e-mail address for signing in and for mail, lower-case, and empty when the account has none.
    `emails` are all addresses of the user, lower-case, in order. `roles` are words such as `clinic` and `clinician`.
    `created_time` is the time at which the account was created, and `custodian_id` the clinic that created it for a
    patient; they are None when the directory does not tell. `is_verified`: the user has proved that the address is
    theirs, for example by claiming the account.
    """

    user_id: str
    username: str = ""
    emails: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    created_time: datetime | None = field(default=None, compare=False)
    custodian_id: str | None = field(default=None, compare=False)
    is_verified: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user has entered about themselves; a member is None when they have not.

    `full_name` is the name of the account owner, and `patient_full_name` that of the patient when the owner acts for
    another person, as `is_other_person` tells. `birthday` and `diagnosis_date` are dates as YYYY-MM-DD.
    `target_devices` are ordered.
    """

    full_name: str | None = None
    patient_full_name: str | None = None
    birthday: str | None = None
    mrn: str | None = None
    target_devices: tuple[str, ...] | None = None
    diagnosis_date: str | None = None
    is_other_person: bool | None = None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """The data about a user in the directory: the account and the profile."""

    account: Account
    profile: Profile

    @property
    def email(self) -> str | None:
        """The first e-mail address; None without one."""
        return next(iter(self.account.emails), None)


class Accounts(Protocol):
    """A directory of accounts. Every method may raise Unavailable, and BadGateway when another system has the directory."""

    def find_account(self, user_id: str) -> Account | None:
        """The account with this id; None when there is none."""

    def find_by_email(self, email: str) -> Account | None:
        """The account with this e-mail address, whose letter case is ignored; None when there is none."""

    def find_profile(self, user_id: str) -> Profile:
        """The profile of the user; an empty one for a user without a profile, and for an unknown user."""

    def find_profiles(self, user_ids: Collection[str]) -> dict[str, Profile]:
        """As `find_profile`, for several users, by user id."""

    def choose_user_id(self) -> str | None:
        """The id for an account that will be created; None when the directory chooses the id itself."""

    def create_custodial(self, clinic_id: str, email: str | None, user_id: str | None = None) -> Account:
        """Create an account for a patient, which the clinic manages. Raises EmailTaken.

        `user_id` is the result of `choose_user_id`.
        """

    def update_custodial_email(self, user_id: str, email: str | None) -> None:
        """Replace the addresses of the account by this one, or by none. Raises EmailTaken and AccountNotFound."""

    def remove(self, user_id: str) -> None:
        """Remove the account. An unknown account is no error."""


def find_user(accounts: Accounts, user_id: str) -> UserRecord | None:
    """The user's account and profile; None without an account. Raises what `accounts` raises."""
    account = accounts.find_account(user_id)
    return UserRecord(account, accounts.find_profile(user_id)) if account else None


def get_user(accounts: Accounts, user_id: str) -> UserRecord:
    """As `find_user`. Raises AccountNotFound as well."""
    user = find_user(accounts, user_id)
    if user is None:
        raise AccountNotFound
    return user
