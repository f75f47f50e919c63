"""Request bodies made from the spec that have every member, at every depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from clinic_service.api.validation import Validator, Validators
from clinic_service.specification.apis import Api

Path = tuple[str | int, ...]

_OBJECT_ID = "5f0c7d1e9a3b4c6d8e2f1a0b"
# The first one that fits is taken.
_TEXTS = (
    *("2026-03-02T09:30:00.000Z", "2026-03-02", "harbour.example", "erin@hilltop.example", "North Wing"),
    *("a11ce00001", _OBJECT_ID, "ABCD-EFGH-JKLM", f"{_OBJECT_ID}12345678"),
)
_NAME_IN_A_MAP = "14d"


class FullBodies:
    """Completes bodies by the schemas of one API."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._validators = Validators(api.document)

    def complete(self, schema: dict[str, Any], given: Any = ...) -> Any:
        """`given` with each member that it lacks; without it, a value that fits `schema` and has every member."""
        node = self._resolved(schema)
        if "properties" in node or "additionalProperties" in node:
            return self._object(node, given if isinstance(given, dict) else {})
        if node.get("type") == "array":
            first, *rest = given if isinstance(given, list) and given else [...]
            return [self.complete(node["items"], first), *rest]
        return self._scalar(schema, node) if given is ... else given

    def validator(self, schema: dict[str, Any]) -> Validator:
        """What judges bodies by `schema`."""
        return self._validators.request(schema)

    def _object(self, node: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        if "properties" not in node:
            # The values of a map are alike, so one is enough.
            name, value = next(iter(given.items()), (_NAME_IN_A_MAP, ...))
            return {name: self.complete(node["additionalProperties"], value)}
        members = node["properties"].items()
        return {**given, **{name: self.complete(member, given.get(name, ...)) for name, member in members}}

    def _scalar(self, schema: dict[str, Any], node: dict[str, Any]) -> Any:
        if "enum" in node:
            return node["enum"][0]
        kind = node.get("type")
        if kind == "string":
            is_valid = self._validators.request(schema).is_valid
            return next(text for text in _TEXTS if is_valid(text))
        values: dict[Any, Any] = {"boolean": True, "integer": 1, "number": 0.5, "object": {}}
        return values[kind]

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        node = self._api.resolved(schema)
        # A reference that has something beside it stands first in an `allOf`.
        return self._resolved(node["allOf"][0]) if "allOf" in node else node


def places(body: Any, path: Path = ()) -> Iterator[Path]:
    """Where each member of `body` stands, those of its members and items included."""
    if isinstance(body, dict):
        for name, member in body.items():
            yield (*path, name)
            yield from places(member, (*path, name))
    elif isinstance(body, list):
        for position, item in enumerate(body):
            yield from places(item, (*path, position))


def without(body: Any, path: Path) -> Any:
    """`body` without the member that stands at `path`."""
    return _changed(body, path, lambda members, name: {key: members[key] for key in members if key != name})


def with_null(body: Any, path: Path) -> Any:
    """`body` with null for the member that stands at `path`."""
    return _changed(body, path, lambda members, name: {**members, name: None})


def _changed(body: Any, path: Path, change: Callable[[dict[str, Any], Any], Any]) -> Any:
    first, *rest = path
    if not rest:
        return change(body, first)
    changed = _changed(body[first], tuple(rest), change)
    if isinstance(body, list):
        return [changed if position == first else item for position, item in enumerate(body)]
    return {**body, first: changed}
