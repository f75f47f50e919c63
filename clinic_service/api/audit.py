"""Auditor: makes the audit record of a request, and stores it as a row (writes) or as a line (all others)."""

from __future__ import annotations

from typing import Any

from clinic_service import clock
from clinic_service.api.audit_rules import id_or_none
from clinic_service.api.request import Request
from clinic_service.audit.log import AuditLog, Line
from clinic_service.audit.record import AuditRecord, Outcome
from clinic_service.auth.rules import AccessCheck
from clinic_service.context import Answer
from clinic_service.errors import ServiceError
from clinic_service.models import Role
from clinic_service.unit_of_work import UnitOfWork

_CLINIC = "clinicId"


class Auditor:
    """Records requests: writes as rows of their transaction, all others as lines of the log."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def record_write(self, request: Request, uow: UnitOfWork) -> None:
        """Add a row about a write to its transaction."""
        uow.audit.add(_record(request, request.answer.status, uow.audit.changed))

    def record_read(self, request: Request) -> None:
        """Add a line to an answer with data of people. The answer is not sent before the line is on the disk."""
        request.exchange.line = self._line(request, request.answer.status)

    def record_failure(self, request: Request, error: Exception) -> None:
        """Add a line to the answer of a request that was refused, or that failed."""
        status = error.status if isinstance(error, ServiceError) else ServiceError.status
        request.exchange.line = self._line(request, status)

    def _line(self, request: Request, status: int) -> Line:
        return Line(self._log, _record(request, status).text())


def _record(request: Request, status: int, changed: frozenset[str] | None = None) -> AuditRecord:
    rule, exchange, caller = request.plan.audit, request.exchange, request.exchange.caller
    outcome = Outcome.of(status)
    is_allowed = outcome is Outcome.ALLOWED
    body, answer = request.arguments.get("body"), _body(request.result) if is_allowed else None
    is_write = request.plan.writes and not request.is_repeat
    named = rule.named(body) if is_allowed and body and is_write else frozenset()
    return AuditRecord(
        time=clock.now(),
        request=exchange.request_id,
        operation=request.plan.operation_id,
        outcome=outcome,
        status=status,
        caller=caller.id if caller else None,
        kind=caller.kind if caller else None,
        role=_role(request.check),
        clinic=id_or_none(request.path.get(_CLINIC)),
        subject=rule.subject(request.path, answer),
        patients=rule.patients(body, answer),
        changed=sorted(named if changed is None else named & changed) or None,
    )


def _body(result: Any) -> Any:
    return result.body if isinstance(result, Answer) else result


def _role(check: AccessCheck | None) -> str | None:
    """The caller's role in the clinic of the path, if the check of access has looked it up; None otherwise."""
    standing = check.known_standing if check else None
    if standing is None or not standing.is_member:
        return None
    return Role.ADMIN if standing.is_admin else Role.MEMBER
