"""Makes the answer to a request from the result of its handler, and checks that the answer fits the spec."""

from __future__ import annotations

import logging
from typing import Any

from clinic_service.api.exchange import RawAnswer, json_answer
from clinic_service.api.plan import JSON, Plan
from clinic_service.context import Answer
from clinic_service.metrics.counters import count_broken_answer
from clinic_service.serialization import to_json

_log = logging.getLogger("clinic_service.dispatch")


class AnswerBreaksSpec(Exception):
    """The answer of a handler does not fit the spec. This is a defect of the server: nothing is stored or sent."""


def checked_answer(plan: Plan, result: Any, *, enforce: bool) -> RawAnswer:
    """The answer for what a handler returned: an `Answer`, or the body of the operation's success.

    An answer that does not fit the spec is logged; with `enforce` it raises AnswerBreaksSpec.
    """
    answer = result if isinstance(result, Answer) else Answer(plan.default_status, result)
    if not plan.check_answer(answer):
        count_broken_answer(plan.operation_id)
        _report_broken(plan, answer)
        if enforce:
            raise AnswerBreaksSpec
    declared = plan.answers.get(answer.status)
    return _raw(answer) if declared and declared.media_types else RawAnswer(answer.status, headers=answer.headers)


def _report_broken(plan: Plan, answer: Answer) -> None:
    declared = plan.answers.get(answer.status)
    validator = declared.media_types.get(answer.media_type) if declared else None
    places = [f"{v.pointer or '/'} {v.rule}" for v in validator.violations(answer.body, "")] if validator else []
    _log.error("%s: the answer %s breaks the spec at %s", plan.operation_id, answer.status, places)


def _raw(answer: Answer) -> RawAnswer:
    if answer.media_type == JSON:
        return json_answer(answer.status, to_json(answer.body), answer.headers)
    if isinstance(answer.body, str):
        content_type, body = f"{answer.media_type}; charset=utf-8", answer.body.encode()
    else:
        content_type, body = answer.media_type, answer.body
    return RawAnswer(answer.status, body, [("Content-Type", content_type), *answer.headers])
