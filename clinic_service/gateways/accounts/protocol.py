"""What the service asks of a directory of accounts."""

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
    """A user as the directory knows them.

    `username` is the address they sign in with and get mail at, lower-case, and empty when the account has none.
    `emails` are all their addresses, lower-case, in order. `roles` are words such as `clinic` and `clinician`.
    `created_time` is when the account was made, and `custodian_id` the clinic that had it made for a patient; None where
    the directory does not tell. `is_verified`: somebody has proved that the address is theirs, as whoever claims the
    account does.
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
    """What a user says about themselves; None for what they do not say.

    `full_name` is the account owner's name and `patient_full_name` the patient's, when the owner acts for somebody.
    `birthday` and `diagnosis_date` are dates written YYYY-MM-DD. `is_other_person` says whether the owner acts for
    somebody. The order of `target_devices` is kept.
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
    """What the directory knows of a user."""

    account: Account
    profile: Profile

    @property
    def email(self) -> str | None:
        """The first address, if there is any."""
        return next(iter(self.account.emails), None)


class Accounts(Protocol):
    """A directory of accounts. Every method may raise Unavailable, and BadGateway when another system holds it."""

    def find_account(self, user_id: str) -> Account | None:
        """The account with this id."""

    def find_by_email(self, email: str) -> Account | None:
        """The account that has this address, in whatever case."""

    def find_profile(self, user_id: str) -> Profile:
        """The user's profile; an empty one when there is none, also for an unknown user."""

    def find_profiles(self, user_ids: Collection[str]) -> dict[str, Profile]:
        """As `find_profile`, for all of the users, by id."""

    def choose_user_id(self) -> str | None:
        """An id for an account that is still to be made; None when the directory only tells it afterwards."""

    def create_custodial(self, clinic_id: str, email: str | None, user_id: str | None = None) -> Account:
        """Make an account that the clinic manages for a patient. Raises EmailTaken.

        `user_id` is what `choose_user_id` gave.
        """

    def update_custodial_email(self, user_id: str, email: str | None) -> None:
        """Give the account this one address, or none. Raises EmailTaken and AccountNotFound."""

    def remove(self, user_id: str) -> None:
        """Remove the account; one that is not there is no error."""


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
