"""Errands: changes at the directory of accounts that go with changes here, although no transaction spans both.

An errand is started before the account changes, by a short transaction under the clinic's lock. It holds a reservation for
a minute, and stores what would undo the change as an event that is delivered when that minute is over. The transaction
that changes the record here releases the one and withdraws the other. So however this goes wrong, through a refusal, a
lost connection or the end of the process, the account is put right by the relay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, select

from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.errors import Unavailable
from clinic_service.models import Reservation
from clinic_service.outbox.outbox import Event, Outbox, Promise
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
class Errand:
    """One errand of a clinic: its reservation, and what is delivered unless the errand is completed."""

    clinic_id: str
    reservation_id: str
    undoing: Promise | None = None


class Errands(Repository):
    """The errands of clinics. Everything but `abandon` is for units that hold the clinic's lock."""

    def start(self, clinic_id: str, undoing: Event | None = None, *, user_id: str | None = None) -> Errand:
        """Reserve a place for a new patient; or, with `user_id`, the account of a patient who is there.

        Raises AccountIsChanging.
        """
        now = self._uow.now
        self._uow.execute(_REMOVE_EXPIRED, {"of_clinic": clinic_id, "now": now})
        if user_id is not None and self._is_changing(clinic_id, user_id):
            raise AccountIsChanging
        errand = Errand(clinic_id, self._uow.new_id())
        key = {"clinic_id": clinic_id, "id": errand.reservation_id}
        self._uow.insert(_ADD, {**key, "user_id": user_id, "expires_time": now + LIFETIME})
        return self._promise(errand, undoing) if undoing else errand

    def identify(self, errand: Errand, undoing: Event) -> Errand:
        """The errand, undone by `undoing` from now on, because the directory has told which account it is about.

        Raises Unavailable when it is being undone already.
        """
        self._withdraw(errand)
        return self._promise(errand, undoing)

    def _promise(self, errand: Errand, undoing: Event) -> Errand:
        return replace(errand, undoing=Outbox(self._uow).promise(undoing, self._uow.now + LIFETIME))

    def complete(self, errand: Errand) -> bool:
        """The change here is made by this transaction; tells whether the reservation held until now.

        Raises Unavailable when it is too late, because the change of the account is being undone.
        """
        self._withdraw(errand)
        return self._release(errand)

    def cancel(self, errand: Errand) -> None:
        """Nothing was changed at the directory, so there is nothing to undo."""
        self._release(errand)
        if errand.undoing:
            Outbox(self._uow).withdraw(errand.undoing)

    def abandon(self, errand: Errand) -> None:
        """Nothing is changed here, so undo now what may have changed at the directory. Does nothing if it is completed."""
        self._release(errand)
        if errand.undoing:
            Outbox(self._uow).hasten(errand.undoing)

    def count_places(self, clinic_id: str) -> int:
        """How many places of the clinic's plan are reserved."""
        row = self._uow.first(_COUNT_PLACES, {"of_clinic": clinic_id, "now": self._uow.now})
        return int(row.places) if row else 0

    def _withdraw(self, errand: Errand) -> None:
        if errand.undoing and not Outbox(self._uow).withdraw(errand.undoing):
            raise Unavailable

    def _is_changing(self, clinic_id: str, user_id: str) -> bool:
        found = {"of_clinic": clinic_id, "of_user": user_id, "now": self._uow.now}
        return self._uow.first(_IS_CHANGING, found) is not None

    def _release(self, errand: Errand) -> bool:
        this = {"of_clinic": errand.clinic_id, "reservation": errand.reservation_id, "now": self._uow.now}
        return self._uow.execute(_RELEASE, this).rowcount == 1
