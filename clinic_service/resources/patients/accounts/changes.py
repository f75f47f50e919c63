"""Account changes: steps at the accounts directory that belong to a change in this database.

No transaction includes both. Before the account changes, a short transaction under the clinic's lock starts the account
change: it stores a reservation that is valid for one minute, and schedules the compensation, an event that undoes the step
and is due after this minute. The transaction that changes the record releases the reservation and cancels the event. If it
does not happen, because of a refusal, a lost connection or the end of the process, the relay delivers the compensation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, null, select, update

from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.errors import Unavailable
from clinic_service.models import EmbeddedAccount, Reservation
from clinic_service.outbox.outbox import Event, Outbox, ScheduledEvent
from clinic_service.resources.patients.errors import AccountIsChanging

# Longer than a call of the directory can take. After this time the reservation has expired and the compensation is due.
LIFETIME = timedelta(minutes=1)

_LIVE = (Reservation.clinic_id == bindparam("of_clinic"), Reservation.expires_time > bindparam("now"))


@dataclass(frozen=True, slots=True)
class AccountChange:
    """One account change of a clinic: its reservation, and its scheduled compensation."""

    clinic_id: str
    reservation_id: str
    compensation: ScheduledEvent | None = None


class AccountChanges(Repository):
    """The account changes of clinics. All methods except `compensate` need the lock of the clinic's row."""

    _ADD = insert_into(Reservation, "clinic_id", "id", "user_id", "expires_time")
    _REMOVE_EXPIRED = delete(Reservation).where(
        Reservation.clinic_id == bindparam("of_clinic"), Reservation.expires_time <= bindparam("now")
    )

    def start(self, clinic_id: str, compensation: Event | None = None, *, user_id: str | None = None) -> AccountChange:
        """Reserve a place for a new patient or, with `user_id`, the account of an existing patient.

        `compensation` is scheduled as the compensation. Raises AccountIsChanging when the account is already reserved.
        """
        now = self._uow.now
        self._uow.change(self._REMOVE_EXPIRED, {"of_clinic": clinic_id, "now": now})
        if user_id is not None:
            self.require_unchanged(clinic_id, user_id)
        change = AccountChange(clinic_id, self._uow.new_id())
        key = {"clinic_id": clinic_id, "id": change.reservation_id}
        self._uow.insert(self._ADD, {**key, "user_id": user_id, "expires_time": now + LIFETIME})
        return self._schedule(change, compensation) if compensation else change

    _IS_CHANGING = select(Reservation.id).where(*_LIVE, Reservation.user_id == bindparam("of_user"))

    def require_unchanged(self, clinic_id: str, user_id: str) -> None:
        """Raise AccountIsChanging when the account of the user is reserved."""
        found = {"of_clinic": clinic_id, "of_user": user_id, "now": self._uow.now}
        if self._uow.first(self._IS_CHANGING, found) is not None:
            raise AccountIsChanging

    def identify(self, change: AccountChange, compensation: Event) -> AccountChange:
        """Replace the compensation by `compensation`, after the directory has returned the id of the account.

        Raises Unavailable when the change is already being compensated.
        """
        self._unschedule(change)
        return self._schedule(change, compensation)

    def _schedule(self, change: AccountChange, compensation: Event) -> AccountChange:
        return replace(change, compensation=Outbox(self._uow).schedule(compensation, self._uow.now + LIFETIME))

    def complete(self, change: AccountChange) -> bool:
        """Release the reservation and cancel the compensation, in the transaction that changes the record.

        Returns whether the reservation was still valid. Raises Unavailable when the change is already being compensated.
        """
        self._unschedule(change)
        return self._release(change)

    def cancel(self, change: AccountChange) -> None:
        """Release the reservation and cancel the compensation, because nothing was changed at the directory."""
        self._release(change)
        if change.compensation:
            Outbox(self._uow).cancel(change.compensation)

    def compensate(self, change: AccountChange) -> None:
        """Deliver the compensation now, because the record will not change. Does nothing for a completed change."""
        self._release(change)
        if change.compensation:
            Outbox(self._uow).deliver_now(change.compensation)

    _CLAIM = (
        update(EmbeddedAccount)
        .where(EmbeddedAccount.user_id == bindparam("of_user"))
        .values(custodial_clinic_id=null())
    )

    def claim(self, user_id: str) -> None:
        """Record that the patient has claimed the account, in the embedded directory. Others know it themselves."""
        self._uow.change(self._CLAIM, {"of_user": user_id})

    _COUNT_PLACES = select(func.count().label("places")).where(*_LIVE, Reservation.user_id.is_(None))

    def count_places(self, clinic_id: str) -> int:
        """The number of reserved places of the clinic's plan."""
        return self._uow.rows(self._COUNT_PLACES, {"of_clinic": clinic_id, "now": self._uow.now})[0][0]

    def _unschedule(self, change: AccountChange) -> None:
        if change.compensation and not Outbox(self._uow).cancel(change.compensation):
            raise Unavailable

    _RELEASE = delete(Reservation).where(*_LIVE, Reservation.id == bindparam("reservation"))

    def _release(self, change: AccountChange) -> bool:
        this = {
            "of_clinic": change.clinic_id,
            "reservation": change.reservation_id,
            "now": self._uow.now,
        }
        return self._uow.change(self._RELEASE, this) == 1
