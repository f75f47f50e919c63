"""Request bodies of any media type. JSON is read as in the service; for others only the media type is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.api.bodies import ABSENT, DEFAULT_LIMIT, read_body
from clinic_service.api.plan import Body, BodyPlan
from clinic_service.api.validation import Validators
from clinic_service.errors import UnsupportedMediaType
from clinic_service.mock.media import JSON, covers, is_json


@dataclass(frozen=True)
class AnyBody(BodyPlan):
    """A body of one of several media types. `json` is the plan for JSON; `others` are the other media types."""

    declared: tuple[str, ...]
    json: Mapping[str, BodyPlan]

    def decode(self, environ: dict[str, Any]) -> Body:
        sent = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
        declared = next((words for words in self.declared if covers(words, sent)), None)
        if declared is not None and is_json(sent):
            return self.json[declared].decode(environ)
        raw = read_body(environ, self.limit)
        if raw and declared is None:
            raise UnsupportedMediaType(f"The request body must be {' or '.join(self.declared)}.")
        return Body(raw or ABSENT, raw, None)


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
