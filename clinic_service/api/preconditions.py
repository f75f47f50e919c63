"""The stages of conditional requests (RFC 9110, section 13).

For a change with `If-Match`, the tags in the header are compared with the tag of the object that the GET at the same
address shows. This happens in the transaction of the change and under locks, so that no other request changes the object
in between. `entity_tags.py` computes the tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from clinic_service.api.entity_tags import entity_tag, not_modified
from clinic_service.api.plan import Plan
from clinic_service.api.request import Request
from clinic_service.errors import NoEntityTag, NotFound, PreconditionFailed
from clinic_service.unit_of_work import UnitOfWork

StageInUnit = Callable[[Request, UnitOfWork], None]


class Preconditions:
    """The stages of conditional requests.

    They run other stages for the operation that shows the object: `prepare`, and the stages `show` in their order.
    """

    def __init__(self, plans: Mapping[str, Plan], prepare: StageInUnit, show: Sequence[StageInUnit]) -> None:
        self._plans, self._prepare = plans, prepare
        self._show = (*show, self.tag_answer)

    def find_shown(self, request: Request) -> None:
        """Find the operation that shows the object that a conditional request changes.

        An object that no operation shows has no tag, so a request that demands a tag is refused (412).
        """
        conditions, plan = request.conditions, request.plan
        if conditions is None or _is_read(request):
            return
        if plan.shown_by:
            shown = request.shown = Request(self._plans[plan.shown_by], request.exchange, request.path)
            shown.caller = request.caller
            shown.arguments = {p.argument: request.path[p.name] for p in shown.plan.parameters.path}
        elif not conditions.allow(None):
            request.refusal = request.refusal or NoEntityTag()

    def require_match_early(self, request: Request, uow: UnitOfWork) -> None:
        """`require_match` before other services are asked, so that nothing has to be undone there."""
        if request.shown:
            self._prepare(request.shown, uow)
            self._compare(request, request.shown, uow)

    def require_match(self, request: Request, uow: UnitOfWork) -> None:
        """Refuse to change a state that the client does not expect (412)."""
        if request.shown:
            _lock_shown(uow, request.path)
            self._compare(request, request.shown, uow)

    def _compare(self, request: Request, shown: Request, uow: UnitOfWork) -> None:
        # When the object does not exist, the handler raises an error or creates the object.
        with suppress(NotFound):
            for stage in self._show:
                stage(shown, uow)
        if request.conditions and shown.tag and not request.conditions.allow_change(shown.tag):
            raise PreconditionFailed

    def require_existing(self, request: Request, _uow: UnitOfWork) -> None:
        """Refuse to create an object when the client demands a tag of it, because a new object has none (412)."""
        if request.shown and not request.shown.tag and request.conditions and request.conditions.match:
            raise PreconditionFailed

    def tag_answer(self, request: Request, _uow: UnitOfWork) -> None:
        """Give the answer its entity tag, if the spec declares one."""
        answer = request.answer
        if request.plan.has_tag(answer.status):
            request.tag = entity_tag(answer.body)
            answer.headers.append(("ETag", request.tag))

    def leave_out_known(self, request: Request) -> None:
        """Answer a conditional GET or HEAD: 304 when the client has the present state, 412 when it demands another one."""
        conditions, tag = request.conditions, request.tag
        if conditions and tag and _is_read(request):
            if not conditions.allow(tag):
                raise PreconditionFailed
            known = conditions.known(tag)
            request.answer = not_modified(known) if known else request.answer


def _is_read(request: Request) -> bool:
    return request.exchange.environ["REQUEST_METHOD"] in ("GET", "HEAD")


def _lock_shown(uow: UnitOfWork, path: dict[str, str]) -> None:
    """Lock the rows that every other change of the object at this path locks, or waits for. Raises NotFound.

    Between the comparison of tags and the change of the same transaction, nobody can change anything.
    """
    clinic_id = path["clinicId"]
    uow.clinics.lock(clinic_id)
    # Changes of summaries and of data sources lock only the record of the patient.
    if "patientId" in path:
        uow.patients.lock(clinic_id, path["patientId"])
    # The progress of a migration is recorded under its own lock.
    if "userId" in path:
        uow.migrations.lock(clinic_id, path["userId"])
