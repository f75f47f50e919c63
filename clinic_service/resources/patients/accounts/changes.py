"""Account changes: steps at the accounts directory that belong to a change here, although no transaction spans both.

A change is started before the account changes, by a short transaction under the clinic's lock. It holds a reservation for
a minute, and schedules its compensation: an event that undoes the step and is due when that minute is over. The transaction
that changes the record here releases the reservation and cancels the event. So whatever goes wrong, a refusal, a lost
connection or the end of the process, the relay puts the account right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, select

from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.errors import Unavailable
from clinic_service.models import Reservation
from clinic_service.outbox.outbox import Event, Outbox, ScheduledEvent
from clinic_service.resources.patients.errors import AccountIsChanging

# Longer than the directory can take. Who comes later finds the reservation gone and the account being put right.
LIFETIME = timedelta(minutes=1)

_LIVE = (Reservation.clinic_id == bindparam("of_clinic"), Reservation.expires_time > bindparam("now"))
_ADD = insert_into(Reservation, "clinic_id", "id", "user_id", "expires_time")
_REMOVE_EXPIRED = delete(Reservation).where(
    Reservation.clinic_id == bindparam("of_clinic"), Reservation.expires_time <= bindparam("now")
)
_RELEASE = delete(Reservation).where(*_LIVE, Reservation.id == bindparam("reservation"))
_COUNT_PLACES = select(func.count().label("places")).where(*_LIVE, Reservation.user_id.is_(None))
_IS_CHANGING = select(Reservation.id).where(*_LIVE, Reservation.user_id == bindparam("of_user"))


@dataclass(frozen=True, slots=True)
class AccountChange:
    """One account change of a clinic: its reservation, and its scheduled compensation."""

    clinic_id: str
    reservation_id: str
    undoing: ScheduledEvent | None = None


class AccountChanges(Repository):
    """The account changes of clinics. Everything but `compensate` is for units that hold the clinic's lock."""

    def start(self, clinic_id: str, undoing: Event | None = None, *, user_id: str | None = None) -> AccountChange:
        """Reserve a place for a new patient; or, with `user_id`, the account of a patient who is there.

        Raises AccountIsChanging.
        """
        now = self._uow.now
        self._uow.change(_REMOVE_EXPIRED, {"of_clinic": clinic_id, "now": now})
        if user_id is not None:
            self.require_unchanged(clinic_id, user_id)
        change = AccountChange(clinic_id, self._uow.new_id())
        key = {"clinic_id": clinic_id, "id": change.reservation_id}
        self._uow.insert(_ADD, {**key, "user_id": user_id, "expires_time": now + LIFETIME})
        return self._schedule(change, undoing) if undoing else change

    def require_unchanged(self, clinic_id: str, user_id: str) -> None:
        """Raise AccountIsChanging when the account of the user is reserved."""
        found = {"of_clinic": clinic_id, "of_user": user_id, "now": self._uow.now}
        if self._uow.first(_IS_CHANGING, found) is not None:
            raise AccountIsChanging

    def identify(self, change: AccountChange, undoing: Event) -> AccountChange:
        """The change with `undoing` as its compensation, now that the directory has told which account it is about.

        Raises Unavailable when it is being compensated already.
        """
        self._unschedule(change)
        return self._schedule(change, undoing)

    def _schedule(self, change: AccountChange, undoing: Event) -> AccountChange:
        return replace(change, undoing=Outbox(self._uow).schedule(undoing, self._uow.now + LIFETIME))

    def complete(self, change: AccountChange) -> bool:
        """The change here is made by this transaction; tells whether the reservation held until now.

        Raises Unavailable when it is too late, because the change is being compensated.
        """
        self._unschedule(change)
        return self._release(change)

    def cancel(self, change: AccountChange) -> None:
        """Nothing was changed at the directory, so there is nothing to undo."""
        self._release(change)
        if change.undoing:
            Outbox(self._uow).cancel(change.undoing)

    def compensate(self, change: AccountChange) -> None:
        """Nothing is changed here, so undo now what may have changed at the directory. Does nothing if it is completed."""
        self._release(change)
        if change.undoing:
            Outbox(self._uow).deliver_now(change.undoing)

    def count_places(self, clinic_id: str) -> int:
        """How many places of the clinic's plan are reserved."""
        return self._uow.rows(_COUNT_PLACES, {"of_clinic": clinic_id, "now": self._uow.now})[0][0]

    def _unschedule(self, change: AccountChange) -> None:
        if change.undoing and not Outbox(self._uow).cancel(change.undoing):
            raise Unavailable

    def _release(self, change: AccountChange) -> bool:
        this = {
            "of_clinic": change.clinic_id,
            "reservation": change.reservation_id,
            "now": self._uow.now,
        }
        return self._uow.change(_RELEASE, this) == 1
