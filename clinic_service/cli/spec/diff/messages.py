"""Compares the parameters, the request body and the responses of an operation."""

from __future__ import annotations

from collections.abc import Iterator

from clinic_service.cli.spec.diff.changes import Change, Direction
from clinic_service.cli.spec.diff.part import Part
from clinic_service.cli.spec.diff.rules import change, presence, word_changes
from clinic_service.cli.spec.diff.schema import Schema
from clinic_service.cli.spec.diff.schemas import Position, SchemaComparison

# How the values of a parameter are written in the URL.
_STYLE = ("style", "explode", "allowReserved", "allowEmptyValue")
_EXAMPLES = ("example", "examples")


def parameter_changes(
    old: dict[tuple[str, str], Part], new: dict[tuple[str, str], Part], schemas: SchemaComparison
) -> Iterator[Change]:
    """The changes of the parameters, which are given by place and name."""
    for key in old | new:
        before, after = old.get(key), new.get(key)
        what = f"the parameter {key[1]!r} in {key[0]}"
        if before is None or after is None:
            yield _whole_parameter(key, what, before, after)
            continue
        yield from _necessity("request-parameter", what, before, after)
        style = [name for name in _STYLE if before.value.get(name) != after.value.get(name)]
        if style:
            yield change("request-parameter-style-changed", f"{what}: {style[0]} changed", before, after)
        yield from word_changes(("description", "deprecated", *_EXAMPLES), what, before, after)
        yield from _schema(before, after, Position(Direction.REQUEST, "request-parameter", what), schemas)


def _whole_parameter(key: tuple[str, str], what: str, before: Part | None, after: Part | None) -> Change:
    if after is None:
        return presence("request-parameter-removed", f"{what} was removed", before, None)
    kind = "required" if after.value.get("required") else "optional"
    id_ = "new-request-path-parameter" if key[0] == "path" else f"new-{kind}-request-parameter"
    return presence(id_, f"{what} was added", None, after)


def body_changes(old: Part | None, new: Part | None, schemas: SchemaComparison) -> Iterator[Change]:
    """The changes of the request body."""
    if old is None or new is None:
        part = new or old
        if part:
            kind = "required" if part.value.get("required") else "optional"
            id_ = f"request-body-added-{kind}" if new else "request-body-removed"
            yield presence(id_, f"the request body was {'added' if new else 'removed'}", old, new)
        return
    what = "the request body"
    yield from _necessity("request-body", what, old, new)
    yield from word_changes(("description",), what, old, new)
    yield from _contents("request-body", old, new, Position(Direction.REQUEST, "request-body", what), schemas)


def response_changes(old: dict[str, Part], new: dict[str, Part], schemas: SchemaComparison) -> Iterator[Change]:
    """The changes of the responses, which are given by status."""
    for status in old | new:
        before, after = old.get(status), new.get(status)
        if before is None or after is None:
            kind = "success" if status.startswith("2") else "non-success"
            verb = "removed" if after is None else "added"
            yield presence(f"response-{kind}-status-{verb}", f"the status {status} was {verb}", before, after)
            continue
        what = f"the body of {status}"
        yield from word_changes(("description", "links"), f"the response {status}", before, after)
        yield from _contents("response", before, after, Position(Direction.RESPONSE, "response-body", what), schemas)
        yield from _headers(status, before.members("headers"), after.members("headers"), schemas)


def _contents(subject: str, old: Part, new: Part, at: Position, schemas: SchemaComparison) -> Iterator[Change]:
    before, after = old.members("content"), new.members("content")
    for media_type in before | after:
        one, other = before.get(media_type), after.get(media_type)
        if one is None or other is None:
            verb = "removed" if other is None else "added"
            yield presence(f"{subject}-media-type-{verb}", f"{at.what}: {media_type} was {verb}", one, other)
            continue
        yield from word_changes((*_EXAMPLES, "encoding"), at.what, one, other)
        yield from _schema(one, other, at, schemas)


def _headers(status: str, old: dict[str, Part], new: dict[str, Part], schemas: SchemaComparison) -> Iterator[Change]:
    # The case of a header's name makes no difference.
    before, after = ({name.lower(): part for name, part in headers.items()} for headers in (old, new))
    for name in before | after:
        one, other = before.get(name), after.get(name)
        what = f"the header {name!r} of {status}"
        if one and other:
            yield from _necessity("response-header", what, one, other)
            yield from word_changes(("description", "deprecated", *_EXAMPLES), what, one, other)
            yield from _schema(one, other, Position(Direction.RESPONSE, "response-header", what), schemas)
        elif one:
            kind = "required" if one.value.get("required") else "optional"
            yield presence(f"{kind}-response-header-removed", f"{what} was removed", one, None)
        else:
            yield presence("response-header-added", f"{what} was added", None, other)


def _necessity(subject: str, what: str, old: Part, new: Part) -> Iterator[Change]:
    before, after = (part.value.get("required") is True for part in (old, new))
    if before != after:
        verb = f"became {'required' if after else 'optional'}"
        parts = old.get("required") or old, new.get("required") or (None if old.get("required") else new)
        yield change(f"{subject}-{verb.replace(' ', '-')}", f"{what} {verb}", *parts)


def _schema(old: Part, new: Part, at: Position, schemas: SchemaComparison) -> Iterator[Change]:
    before, after = (Schema(*filter(None, [part.get("schema")])) for part in (old, new))
    yield from schemas.compare(before, after, at)
