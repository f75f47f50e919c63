"""Hooks of Schemathesis: they restore the data between requests, and know what the spec says in words only."""

from __future__ import annotations

import os
import re
from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

from tests.support.restoring import restorable

# The database of the server, which is restored. A mock has none.
_url = os.environ.get("CLINIC_TESTED_DATABASE")
_database = restorable(_url) if _url else None
# So many requests may change the data before it is restored. Most requests of an operation need what others delete.
_REQUESTS = 25

# Refusals with 400 of requests that fit the schemas. The rule is in the description of the operation, and not in a schema,
# because the published schema does not have it or because no schema can say it: operation, place (empty for none), rule.
_SAID_IN_WORDS = {
    # Of two members one needs the other, or a value depends on what is stored.
    ("AcceptPatientInvitation", "/body/glycemicRanges/custom", "required"),
    ("AddServiceAccount", "", ""),
    ("CreatePatientAccount", "/body/glycemicRanges/custom", "required"),
    ("CreatePatientFromUser", "/body/glycemicRanges/custom", "required"),
    ("DeleteClinic", "", ""),
    ("GrantPermissionsInGroup", "", ""),
    ("GenerateMergeReport", "/body/sourceId", "state"),
    ("ListPatients", "/query/sort", "enum"),
    ("ListPatients", "/query/sortType", "required"),
    ("MergeClinic", "/body/sourceId", "state"),
    ("MergeSite", "/body/id", "state"),
    ("UpdatePatient", "/body/glycemicRanges/custom", "required"),
    ("UpdatePatientCountSettings", "", ""),
    ("XealthPreorder", "/body/formData", "required"),
    ("XealthPreorder", "/body/formData/dataTrackingId", "minLength"),
    ("FindPatients", "/query/workspaceIdType", "required"),
    # The order may lack what the patients are compared by, or its source.
    ("MatchClinicAndPatient", "/body/messageRef/documentId", "state"),
    # The zero time of other systems stands for no time.
    ("TideReport", "/query/lastDataCutoff", "minimum"),
    # An empty name is only for the update of a patient whose name is not known.
    ("CreatePatientAccount", "/body/fullName", "minLength"),
    ("UpdatePatient", "/body/fullName", "minLength"),
    # In a query, the list of one empty text is the empty list.
    ("ListPatients", "/query/sites", "minItems"),
    ("ListPatients", "/query/tags", "minItems"),
    # A text with `x-may-be-empty` has no format in the published document, because the empty one has none.
    ("CreatePatientAccount", "/body/email", "format"),
    ("UpdateClinician", "/body/email", "format"),
    ("UpdatePatient", "/body/email", "format"),
    # An `x-request-pattern`, which the published schema does not have.
    ("MatchClinicAndPatient", "/body/messageRef/documentId", "pattern"),
    # Optional in the published schema, and needed.
    ("MatchClinicAndPatient", "/body/messageRef", "required"),
    ("ProcessEHRMessage", "/body/Meta", "required"),
    ("XealthNotification", "/body/deployment", "required"),
    ("XealthNotification", "/body/eventTimeStamp", "required"),
    ("XealthNotification", "/body/eventTimeStamp", "format"),
    ("XealthNotification", "/body/orderId", "required"),
}
# The same for all operations: the section on bodies says the first two. A clinic may require medical record numbers, and
# that no two patients have the same.
_OF_ANY_BODY = {("/body", "int64"), ("/body", "characters"), ("/body/mrn", "required"), ("/body/mrn", "unique")}
_NAMES_WITH_X_PATTERN = ("patientTagName.v1", "siteName.v1")
# Where stateful tests put what was answered before, and the rules that it may break there.
_ID = re.compile(r"/path/\w+|/body/(\w+/)*(id|\w+Id)")
_RULES_OF_IDS = ("pattern", "minLength", "maxLength")


class _Turn:
    """The operation that is being tried, and the number of requests to it since the data was restored."""

    operation, requests = "", 0


def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Restore the data now and then, except between the steps of a stateful test, which build on each other."""
    _Turn.requests += 1
    is_due = _Turn.requests > _REQUESTS or _Turn.operation != case.operation.label
    if _database and is_due and not _is_stateful(case):
        _database.restore()
        _Turn.operation, _Turn.requests = case.operation.label, 0


def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether `failure` is one. A refusal of a request that fits the schemas is none where the spec says it in words."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    broken = response.json().get("errors") or [{"pointer": "", "rule": ""}]
    return not all(_is_said_in_words(case, violation) or _is_read_otherwise(case, violation) for violation in broken)


def _is_said_in_words(case: Any, violation: dict[str, Any]) -> bool:
    pointer, rule = violation["pointer"], violation["rule"]
    operation = case.operation.definition.raw["operationId"]
    if (operation, pointer, rule) in _SAID_IN_WORDS or (pointer, rule) in _OF_ANY_BODY:
        return True
    # `x-pattern` is stricter than the `pattern` beside it, which generators read.
    return rule == "pattern" and violation["expected"] in _NAMES_WITH_X_PATTERN


def _is_read_otherwise(case: Any, violation: dict[str, Any]) -> bool:
    """Whether the tool takes the request for valid although it does not fit the schemas.

    In stateful tests it puts ids of one kind in place of another kind. Where it cannot make an address of the greatest
    length, or a list of entity tags, it sends zeros. Python, in which it reads patterns, takes `$` also for the place
    before a line feed at the end.
    """
    pointer, rule = violation["pointer"], violation["rule"]
    if _is_stateful(case) and rule in _RULES_OF_IDS and _ID.fullmatch(pointer):
        return True
    text = str(_value_at(case, pointer))
    return (rule == "format" and set(text) == {"0"}) or (rule == "pattern" and text.endswith("\n"))


def _value_at(case: Any, pointer: str) -> Any:
    """The value at `pointer` in the body or the headers; None where there is none."""
    place, *keys = pointer.removeprefix("/").split("/")
    value = {"body": case.body, "header": dict(case.headers or {})}.get(place)
    for key in keys:
        if isinstance(value, list) and key.isdecimal():
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_stateful(case: Any) -> bool:
    return case.meta is not None and case.meta.phase.name.value == "stateful"


schemathesis.hook(before_call)
schemathesis.hook(filter_failure)
