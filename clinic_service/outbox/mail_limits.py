"""Limits on the requests that send mail: the maximum number of each clinic, and of each person, within an hour.

A request that sends several mails counts once. Each purpose has its own count, so that reminders do not use up the
limit of invitations. The row of the clinic must be locked, so the count of the clinic is exact. The count of a person
is exact within one clinic: requests in several clinics at the same moment may together exceed it.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, delete, func, select

from clinic_service.config import Config
from clinic_service.db.prepared import Query, insert_into
from clinic_service.db.repository import Repository
from clinic_service.db.types import UtcDateTime
from clinic_service.errors import TooManyRequests
from clinic_service.models import MailPurpose, MailRequest

WINDOW = timedelta(hours=1)

_SINCE = bindparam("since", type_=UtcDateTime())


def _recent(is_wanted: ColumnElement[bool]) -> tuple[ScalarSelect[int], ScalarSelect[datetime]]:
    """The number of requests of one clinic or person since `since`, and the time of the oldest of them."""
    where = (is_wanted, MailRequest.purpose == bindparam("purpose"), MailRequest.time > _SINCE)
    number = select(func.count()).select_from(MailRequest).where(*where).scalar_subquery()
    oldest = select(func.min(MailRequest.time)).where(*where).scalar_subquery()
    return number, oldest


class _Recent(NamedTuple):
    """The numbers of recent requests of a clinic and of a person, and the times of the oldest; None without a request."""

    of_clinic: int
    oldest_of_clinic: datetime | None
    of_person: int
    oldest_of_person: datetime | None


_of_clinic = _recent(MailRequest.clinic_id == bindparam("clinic_id"))
_of_person = _recent(MailRequest.person_id == bindparam("person_id"))


class MailLimitReached(TooManyRequests):
    """The limit of the clinic or of the person is reached. After `retry_after` seconds another request is allowed."""

    message = "The clinic or the caller has reached the hourly limit for mails of this kind."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class MailSender(NamedTuple):
    """The person who makes the request, None for a service, and the config with the limits."""

    person_id: str | None
    config: Config


class MailLimits(Repository):
    """Counts the recent requests that sent mail."""

    _RECENT = Query(
        _Recent,
        select(
            _of_clinic[0].label("of_clinic"),
            _of_clinic[1].label("oldest_of_clinic"),
            _of_person[0].label("of_person"),
            _of_person[1].label("oldest_of_person"),
        ),
    )
    _ADD = insert_into(MailRequest, "clinic_id", "id", "purpose", "person_id", "time")
    _REMOVE_OLD = delete(MailRequest).where(
        MailRequest.clinic_id == bindparam("of_clinic"), MailRequest.time <= bindparam("until", type_=UtcDateTime())
    )

    def count(self, clinic_id: str, purpose: MailPurpose, sender: MailSender) -> None:
        """Count one more request. Raises MailLimitReached when the limit of the clinic or of the person is reached."""
        since = self._uow.now - WINDOW
        key = {"clinic_id": clinic_id, "person_id": sender.person_id, "purpose": purpose}
        self._refuse(self._uow.rows(self._RECENT, {**key, "since": since})[0], sender.config)
        self._uow.change(self._REMOVE_OLD, {"of_clinic": clinic_id, "until": since})
        self._uow.insert(self._ADD, {**key, "id": self._uow.new_id(), "time": self._uow.now})

    def _refuse(self, recent: _Recent, config: Config) -> None:
        waits = []
        if recent.oldest_of_clinic and recent.of_clinic >= config.max_mails_per_hour_per_clinic:
            waits.append(self._seconds_until_free(recent.oldest_of_clinic))
        if recent.oldest_of_person and recent.of_person >= config.max_mails_per_hour_per_person:
            waits.append(self._seconds_until_free(recent.oldest_of_person))
        if waits:
            raise MailLimitReached(max(waits))

    def _seconds_until_free(self, oldest: datetime) -> int:
        return max(1, math.ceil((oldest + WINDOW - self._uow.now).total_seconds()))
