"""Request bodies of any media type. JSON is read as in the service; for others only the media type is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.api.bodies import DEFAULT_LIMIT, read_body
from clinic_service.api.plan import BodyPlan
from clinic_service.api.validation import Validators
from clinic_service.errors import BadRequest, UnsupportedMediaType, Violation
from clinic_service.mock.media import JSON, covers, is_json


@dataclass(frozen=True)
class AnyBody(BodyPlan):
    """A body of one of several media types. `json` is the plan for JSON; `others` are the other media types."""

    declared: tuple[str, ...]
    json: Mapping[str, BodyPlan]

    def read(self, environ: dict[str, Any]) -> dict[str, Any]:
        sent = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
        declared = next((words for words in self.declared if covers(words, sent)), None)
        if declared is not None and is_json(sent):
            return self.json[declared].read(environ)
        raw = read_body(environ, self.limit)
        if not raw:
            if self.required:
                raise BadRequest("A request body is required.", [Violation("/body", "required")])
            return {"body": None}
        if declared is None:
            raise UnsupportedMediaType(f"The request body must be {' or '.join(self.declared)}.")
        return {"body": raw}


def compile_body(described: Mapping[str, Any], definition: Mapping[str, Any], validators: Validators) -> BodyPlan:
    """The plan for the body `described` of the operation `definition`. Raises ValueError."""
    required = bool(described.get("required"))
    most = definition.get("x-max-body-bytes", DEFAULT_LIMIT)
    contents = described["content"]
    plans = {
        words: BodyPlan(
            validator=validators.request(content.get("schema", {})),
            required=required,
            limit=most,
            passes_text=False,
            # `AnyBody` checks the header for media types other than JSON.
            any_content_type=words != JSON or definition.get("x-any-content-type") is True,
        )
        for words, content in contents.items()
    }
    if set(plans) == {JSON}:
        return plans[JSON]
    return AnyBody(validators.request({}), required, most, False, True, tuple(contents), plans)
