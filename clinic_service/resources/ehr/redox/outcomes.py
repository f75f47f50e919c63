"""The queries about orders: their content, their outcomes, and the answers that were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, or_, select, update

from clinic_service.db.dialects import insert_or_skip
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.errors import Unavailable
from clinic_service.models import NO_CLINIC, OrderOutcome, OrderState, OutboxEntry, RedoxMessage, SentMessage
from clinic_service.outbox.events import EhrMessageReceived

_ORDER = ("Order", "New")
# The maximum number of deliveries of one message that are compared. Redox stops repeating a delivery long before.
_MOST_DELIVERIES = 100

_THIS_MESSAGE = RedoxMessage.id == bindparam("message_id")
_FIND_MESSAGE = select(
    RedoxMessage.id,
    RedoxMessage.data_model,
    RedoxMessage.event_type,
    RedoxMessage.source_id,
    RedoxMessage.log_id,
    RedoxMessage.payload,
    RedoxMessage.payload_hash,
    RedoxMessage.event_time,
    RedoxMessage.received_time,
).where(_THIS_MESSAGE)
_RECEIVED = bindparam("received_time", type_=RedoxMessage.received_time.type)


class DuplicateTooEarly(Unavailable):
    """An earlier delivery of the same message is still being processed."""


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """A new order as it was received. `content` is the JSON document; other members are as in `models.RedoxMessage`."""

    id: str
    content: Mapping[str, Any]
    source_id: str | None
    log_id: str | None
    payload_hash: bytes
    event_time: datetime | None
    received_time: datetime

    def is_earlier_than(self, event_time: datetime | None, received_time: datetime) -> bool:
        """Whether the order was made before another one; if one of the times is unknown, whether it was received before."""
        if self.event_time is not None and event_time is not None and self.event_time != event_time:
            return self.event_time < event_time
        return self.received_time < received_time


@dataclass(frozen=True, slots=True)
class NewOutcome:
    """The outcome of an order; see `models.OrderOutcome`."""

    state: OrderState
    clinic_id: str | None = None
    user_id: str | None = None
    result: str | None = None
    succeeded: bool | None = None
    explanation: str | None = None
    failure: str | None = None


class OrderOutcomes(Repository):
    """Orders, their outcomes, and the messages that were sent about them."""

    def find_order(self, message_id: str) -> StoredOrder | None:
        """The stored message; None when it is missing or is not a new order."""
        row = self._uow.first(_FIND_MESSAGE, {"message_id": message_id})
        if row is None or (row.data_model, row.event_type) != _ORDER:
            return None
        content = orjson.loads(row.payload)
        return StoredOrder(
            row.id, content, row.source_id, row.log_id, row.payload_hash, row.event_time, row.received_time
        )

    _EARLIER_DELIVERIES = (
        select(RedoxMessage.id, RedoxMessage.payload_hash, RedoxMessage.received_time, OrderOutcome.state)
        .outerjoin(OrderOutcome, OrderOutcome.message_id == RedoxMessage.id)
        .where(
            RedoxMessage.source_id == bindparam("source_id"),
            RedoxMessage.log_id == bindparam("log_id"),
            or_(
                RedoxMessage.received_time < _RECEIVED,
                and_(RedoxMessage.received_time == _RECEIVED, RedoxMessage.id < bindparam("message_id")),
            ),
        )
        .order_by(RedoxMessage.received_time.desc(), RedoxMessage.id.desc())
        .limit(_MOST_DELIVERIES)
    )

    def is_done_already(self, order: StoredOrder) -> bool:
        """Whether an earlier delivery of the same order was answered or ignored.

        Redox can give one log id to different messages; then the deliveries are not duplicates, and the result is False.
        Raises DuplicateTooEarly while the earlier delivery is being processed.
        """
        if order.source_id is None or order.log_id is None:
            return False
        key = {"source_id": order.source_id, "log_id": order.log_id}
        this = {"message_id": order.id, "received_time": order.received_time}
        for row in self._uow.rows(self._EARLIER_DELIVERIES, key | this):
            if row.payload_hash != order.payload_hash:
                return False
            if row.state in (OrderState.ANSWERED, OrderState.IGNORED):
                return True
            if row.state is OrderState.PENDING or (row.state is None and self._is_waiting(row.id, row.received_time)):
                raise DuplicateTooEarly
        return False

    _WAITING = select(OutboxEntry.payload).where(
        OutboxEntry.clinic_id == NO_CLINIC,
        OutboxEntry.kind == EhrMessageReceived.kind,
        # A message and its event have the same time.
        OutboxEntry.created_time == _RECEIVED,
        OutboxEntry.delivered_time.is_(None),
    )

    def _is_waiting(self, message_id: str, received_time: datetime) -> bool:
        """Whether the message is still to be processed. Those that arrived while Redox was switched off never are."""
        waiting = self._uow.rows(self._WAITING, {"received_time": received_time})
        return any(row.payload["messageId"] == message_id for row in waiting)

    def is_superseded(self, order: StoredOrder, by_message_id: str) -> bool:
        """Whether the other message was made after the order. False when that message is not stored any more."""
        row = self._uow.first(_FIND_MESSAGE, {"message_id": by_message_id})
        return row is not None and order.is_earlier_than(row.event_time, row.received_time)

    _FIND = select(
        OrderOutcome.state,
        OrderOutcome.clinic_id,
        OrderOutcome.user_id,
        OrderOutcome.result,
        OrderOutcome.succeeded,
        OrderOutcome.explanation,
        OrderOutcome.failure,
    ).where(OrderOutcome.message_id == bindparam("message_id"))

    def find(self, message_id: str) -> NewOutcome | None:
        """The outcome of an order; None when the order is not carried out yet."""
        row = self._uow.first(self._FIND, {"message_id": message_id})
        return None if row is None else NewOutcome(**row._asdict())

    _ADD = insert_into(
        OrderOutcome,
        "message_id",
        "state",
        "clinic_id",
        "user_id",
        "result",
        "succeeded",
        "explanation",
        "failure",
        "decided_time",
    )

    def add(self, message_id: str, outcome: NewOutcome) -> NewOutcome:
        """Store and return the outcome of an order that has none yet."""
        self._uow.insert(self._ADD, {"message_id": message_id, "decided_time": self._uow.now, **asdict(outcome)})
        return outcome

    _END = (
        update(OrderOutcome)
        .where(OrderOutcome.message_id == bindparam("of_message"), OrderOutcome.state == OrderState.PENDING)
        .values(state=bindparam("to_state"), failure=bindparam("because"))
    )

    def end(self, message_id: str, failure: str | None = None) -> None:
        """Record that an order with an outcome was answered, or that this failed because of `failure`."""
        state = OrderState.FAILED if failure else OrderState.ANSWERED
        self._uow.change(self._END, {"of_message": message_id, "to_state": state, "because": failure})

    _SENT = select(SentMessage.sent_time).where(
        SentMessage.document_id == bindparam("document_id"), SentMessage.data_model == bindparam("data_model")
    )

    def is_sent(self, document_id: str, data_model: str) -> bool:
        """Whether Redox has accepted a message of this data model for the document."""
        return self._uow.first(self._SENT, {"document_id": document_id, "data_model": data_model}) is not None

    _ADD_SENT = insert_or_skip(SentMessage)

    def add_sent(self, document_id: str, data_model: str) -> None:
        """Record that Redox has accepted a message of this data model for the document."""
        row = {"document_id": document_id, "data_model": data_model, "sent_time": self._uow.now}
        self._uow.insert(self._ADD_SENT, row)
