"""The answers that an operation declares, and how one of them is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from clinic_service.api.preferences import wanted_media_type
from clinic_service.context import Answer
from clinic_service.errors import BadRequest, Violation
from clinic_service.mock.media import JSON, is_json, is_text
from clinic_service.mock.preferences import POINTER, Wanted, applied_header, read_preferences
from clinic_service.mock.schemas import Schema
from clinic_service.mock.values import NoValue, Values
from clinic_service.serialization import to_json

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Content:
    """The content of an answer in one media type: its schema, and at least one example.

    Examples are found by name. An example without a name, or one that was generated from the schema, has the name "".
    """

    media_type: str
    schema: Schema | None
    examples: Mapping[str, Any]

    def body(self, value: Any) -> Any:
        """`value` as `Answer` expects it: text or bytes, except for JSON."""
        if self.media_type == JSON:
            return value
        if is_json(self.media_type):
            return to_json(value)
        return str(value) if is_text(self.media_type) else str(value).encode()


@dataclass(frozen=True)
class Declared:
    """One declared answer of an operation: headers with values, and contents in the order of the document."""

    headers: Headers
    contents: Sequence[Content]


@dataclass(frozen=True)
class Asked:
    """The parts of a request that choose its answer. `address` has the method, the path and the query."""

    wanted: Wanted
    address: str
    environ: dict[str, Any] = field(repr=False)

    @classmethod
    def by(cls, environ: dict[str, Any]) -> Asked:
        """Reads the request. Raises BadRequest for invalid preferences."""
        address = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}?{environ.get('QUERY_STRING', '')}"
        return cls(read_preferences(environ), address, environ)


class MadeAnswer(NamedTuple):
    """An answer, and the header that names the preferences that were applied."""

    answer: Answer
    applied: Headers


class Answers:
    """The answers of one operation by status: `200`, or `4XX` for all statuses that begin with 4."""

    def __init__(self, declared: Mapping[str, Declared], values: Values, seed: str) -> None:
        self._declared, self._values, self._seed = declared, values, seed

    @cached_property
    def default_status(self) -> int:
        """The status of an answer when the client has no preference: the lowest one, so that a success comes first."""
        return min(map(_first, self._declared))

    @cached_property
    def statuses(self) -> Mapping[int, Declared]:
        """Every status that a client can ask for."""
        ranges = {code: one for s, one in self._declared.items() if "X" in s for code in _codes(s)}
        return {**ranges, **{int(s): one for s, one in self._declared.items() if "X" not in s}}

    def __call__(self, asked: Asked) -> MadeAnswer:
        """The answer that the client prefers. Raises BadRequest for a status or an example that does not exist."""
        wanted = asked.wanted
        status = self._status(wanted.code)
        declared = self.statuses[status]
        if not declared.contents:
            if wanted.example is not None:
                raise _no_example([])
            return MadeAnswer(Answer(status, headers=declared.headers), applied_header(wanted.code, None, False))
        content = self._content(declared, asked)
        value, is_dynamic = self._value(content, asked, status)
        answer = Answer(status, content.body(value), content.media_type, declared.headers)
        return MadeAnswer(answer, applied_header(wanted.code, wanted.example, is_dynamic))

    def _status(self, code: str | None) -> int:
        if code is None:
            return self.default_status
        if not re.fullmatch("[1-5][0-9]{2}", code) or int(code) not in self.statuses:
            raise BadRequest(
                "The operation does not declare the preferred code.",
                [Violation(POINTER, "unknown", sorted(self._declared))],
            )
        return int(code)

    @staticmethod
    def _content(declared: Declared, asked: Asked) -> Content:
        """The content in a media type that the client accepts, if possible with the preferred example."""
        contents, example = declared.contents, asked.wanted.example
        if example is not None:
            contents = [content for content in contents if example in content.examples]
            if not example or not contents:
                raise _no_example(sorted({name for one in declared.contents for name in one.examples if name}))
        by_type = {content.media_type: content for content in contents}
        return by_type[wanted_media_type(asked.environ, list(by_type))]

    def _value(self, content: Content, asked: Asked, status: int) -> tuple[Any, bool]:
        """The value of the answer, and whether it was generated for this request."""
        if asked.wanted.example is not None:
            return content.examples[asked.wanted.example], False
        if asked.wanted.dynamic and content.schema is not None:
            # When no value is found for the seed, the answer is the example.
            with suppress(NoValue):
                return self._values.random(content.schema, f"{self._seed} {status} {asked.address}"), True
        return next(iter(content.examples.values())), False


def _no_example(names: list[str]) -> BadRequest:
    return BadRequest("The answer does not have the preferred example.", [Violation(POINTER, "unknown", names)])


def _first(status: str) -> int:
    return int(status.replace("X", "0"))


def _codes(status: str) -> range:
    return range(_first(status), _first(status) + 100)
