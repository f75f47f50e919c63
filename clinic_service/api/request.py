"""Request: one request on its way through the stages of `dispatch.py`."""

from __future__ import annotations

from typing import Any

from clinic_service.api.entity_tags import Conditions
from clinic_service.api.exchange import Exchange, RawAnswer
from clinic_service.api.plan import Plan
from clinic_service.auth.caller import Caller
from clinic_service.auth.rules import AccessCheck
from clinic_service.errors import ServiceError
from clinic_service.preparation import Phases
from clinic_service.stored_answers import Claim


class Request:
    """The data of a request that the stages share: each stage reads the results of the stages before it.

    `path`: the values in the path, by their names in the spec, as sent.
    `caller`: who calls, from the stage `identify` on.
    `arguments`, `refusal`: the arguments of the handler, or the error of a malformed request, from the stage `read` on.
    `preparation_result`: the result of the preparation, for an operation that has one.
    `check`: the check of access, for a service with a database.
    `result`: what the handler returned. `answer`: what is sent. `tag`: the entity tag of the answer, if it has one.
    `conditions`: which tags the client demands, from the stage `read` on; None for an unconditional request.
    `shown`: for a change with conditions, the request for what it changes.
    `key`: the Idempotency-Key, from the stage `read` on. `claim`: the right to carry out the request with this key.
    `is_repeat`: the answer is the stored one.
    """

    __slots__ = (
        "answer",
        "arguments",
        "caller",
        "check",
        "claim",
        "conditions",
        "exchange",
        "is_repeat",
        "key",
        "path",
        "plan",
        "preparation_result",
        "refusal",
        "result",
        "shown",
        "tag",
    )

    caller: Caller
    answer: RawAnswer

    def __init__(self, plan: Plan, exchange: Exchange, path: dict[str, str]) -> None:
        self.plan, self.exchange, self.path = plan, exchange, path
        self.arguments: dict[str, Any] = {}
        self.refusal: ServiceError | None = None
        self.check: AccessCheck | None = None
        self.preparation_result: Any = None
        self.result: Any = None
        self.conditions: Conditions | None = None
        self.shown: Request | None = None
        self.tag: str | None = None
        self.key: str | None = None
        self.claim: Claim | None = None
        self.is_repeat = False

    @property
    def work(self) -> Any:
        """The function or the phases of the operation's handler."""
        handler = self.plan.handler
        return handler and handler.work

    @property
    def needs_preparation(self) -> bool:
        """Whether the operation, or the one that shows what it changes, has a preparation."""
        return isinstance(self.work, Phases) or (self.shown is not None and isinstance(self.shown.work, Phases))
