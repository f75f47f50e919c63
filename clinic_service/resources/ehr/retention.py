"""Retention: messages, orders and scheduled reports are kept for a time, or while an active subscription needs them.

They are deleted in batches, each in a transaction of its own, so that locks are short.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Delete, and_, bindparam, delete, not_, select, tuple_, union_all

from clinic_service import clock
from clinic_service.db.dialects import among
from clinic_service.db.engine import Database
from clinic_service.db.types import CreationTime, ObjectId
from clinic_service.models import (
    MATCHES_OF_SUBSCRIPTION,
    EhrSubscription,
    MatchedMessage,
    RedoxMessage,
    ReportOrderState,
    ScheduledReportOrder,
    SentMessage,
    XealthOrder,
    XealthPreorder,
)
from clinic_service.resources.ehr.repository import is_last_match
from clinic_service.unit_of_work import UnitOfWork, run, run_in_batches

_BATCH = 1000
# Sorts before every message.
_START = (datetime(1, 1, 1, tzinfo=UTC), "")

_BEFORE = bindparam("before", type_=CreationTime())
_OLD_ORDERS = (
    select(ScheduledReportOrder.clinic_id, ScheduledReportOrder.id)
    .where(ScheduledReportOrder.created_time < _BEFORE)
    .order_by(ScheduledReportOrder.created_time)
    .limit(bindparam("batch"))
)
_REMOVE_ORDERS = delete(ScheduledReportOrder).where(
    tuple_(ScheduledReportOrder.clinic_id, ScheduledReportOrder.id).in_(_OLD_ORDERS)
)

_OLD_SENT = (
    select(SentMessage.document_id, SentMessage.data_model)
    .where(SentMessage.sent_time < bindparam("before", type_=SentMessage.sent_time.type))
    .order_by(SentMessage.sent_time)
    .limit(bindparam("batch"))
)
_REMOVE_SENT = delete(SentMessage).where(tuple_(SentMessage.document_id, SentMessage.data_model).in_(_OLD_SENT))

_MESSAGE_KEY = tuple_(RedoxMessage.received_time, RedoxMessage.id)
_OLD_MESSAGES = (
    select(RedoxMessage.received_time, RedoxMessage.id)
    .where(
        RedoxMessage.received_time < _BEFORE,
        tuple_(bindparam("time", type_=CreationTime()), bindparam("id", type_=ObjectId())) < _MESSAGE_KEY,
    )
    .order_by(RedoxMessage.received_time, RedoxMessage.id)
    .limit(bindparam("batch"))
)


# The documents that are the last ones that changed an active subscription.
_DECIDING = (
    select(MatchedMessage.document_id)
    .join(EhrSubscription, and_(MATCHES_OF_SUBSCRIPTION, EhrSubscription.active))
    .where(is_last_match(MatchedMessage.clinic_id))
)
_OLD_PREORDERS = (
    select(XealthPreorder.clinic_id, XealthPreorder.data_tracking_id)
    .where(XealthPreorder.updated_time < bindparam("before", type_=XealthPreorder.updated_time.type))
    .limit(bindparam("batch"))
)
_REMOVE_PREORDERS = delete(XealthPreorder).where(
    tuple_(XealthPreorder.clinic_id, XealthPreorder.data_tracking_id).in_(_OLD_PREORDERS)
)
_DECIDES = _DECIDING.where(
    MatchedMessage.clinic_id == XealthOrder.clinic_id, MatchedMessage.document_id == XealthOrder.id
).exists()
_OLD_XEALTH_ORDERS = (
    select(XealthOrder.clinic_id, XealthOrder.id)
    .where(XealthOrder.created_time < _BEFORE, not_(_DECIDES))
    .limit(bindparam("batch"))
)
_REMOVE_XEALTH_ORDERS = delete(XealthOrder).where(tuple_(XealthOrder.clinic_id, XealthOrder.id).in_(_OLD_XEALTH_ORDERS))

_NEEDED = union_all(
    _DECIDING.where(among(MatchedMessage.document_id, "ids")),
    select(ScheduledReportOrder.message_id).where(
        among(ScheduledReportOrder.message_id, "ids"), ScheduledReportOrder.state == ReportOrderState.PENDING
    ),
)
_REMOVE_MESSAGES = delete(RedoxMessage).where(among(RedoxMessage.id, "ids"))


class Purged(NamedTuple):
    """The numbers of deleted rows: messages of Redox, scheduled reports, orders of Xealth, and inputs of their forms."""

    messages: int
    orders: int
    xealth_orders: int
    preorders: int


def purge(database: Database, kept: timedelta) -> Purged:
    """Delete rows that are older than `kept`.

    A message or an order stays while it is the last one that changed an active subscription. A message also stays while a
    pending report that is not older refers to it. The records of messages sent to Redox are deleted as well.
    """
    before = clock.precise_now() - kept
    # Reports first, because a message stays while a report refers to it.
    orders = _remove_in_batches(database, _REMOVE_ORDERS, before)
    _remove_in_batches(database, _REMOVE_SENT, before)
    return Purged(
        messages=_purge_messages(database, before),
        orders=orders,
        xealth_orders=_remove_in_batches(database, _REMOVE_XEALTH_ORDERS, before),
        preorders=_remove_in_batches(database, _REMOVE_PREORDERS, before),
    )


def _remove_in_batches(database: Database, statement: Delete, before: datetime) -> int:
    parameters = {"before": before, "batch": _BATCH}
    return run_in_batches(database, lambda uow: uow.execute(statement, parameters).rowcount)


def _purge_messages(database: Database, before: datetime) -> int:
    removed, after = 0, _START
    # Each batch begins after the last row of the previous batch, because some rows stay.
    while batch := run(database, partial(_old_messages, before=before, after=after), writes=False):
        ids = [message.id for message in batch]
        removed += run(database, partial(_remove_messages, ids=ids), writes=True)
        after = (batch[-1].received_time, batch[-1].id)
    return removed


def _old_messages(uow: UnitOfWork, before: datetime, after: tuple[datetime, str]) -> list[Any]:
    time, message_id = after
    return uow.rows(_OLD_MESSAGES, {"before": before, "batch": _BATCH, "time": time, "id": message_id})


def _remove_messages(uow: UnitOfWork, ids: list[str]) -> int:
    """Delete the messages with these ids that are not needed any more. Returns their number."""
    needed = {message_id for (message_id,) in uow.rows(_NEEDED, {"ids": ids})}
    return uow.change(_REMOVE_MESSAGES, {"ids": [message_id for message_id in ids if message_id not in needed]})
