"""Compares which properties two schemas of objects have, and which of them are required, for requests or for answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clinic_service.cli.spec.diff.changes import Change, Direction
from clinic_service.cli.spec.diff.part import Part
from clinic_service.cli.spec.diff.rules import change, presence
from clinic_service.cli.spec.diff.schema import Schema

# Properties with this flag are no part of what is sent in that direction.
_HIDDEN = {Direction.REQUEST: ("readOnly", "read-only"), Direction.RESPONSE: ("writeOnly", "write-only")}


@dataclass(frozen=True)
class _Property:
    """A property of an object. `entry` is its entry in `required`."""

    schema: Schema
    entry: Part | None
    direction: Direction

    @property
    def part(self) -> Part | None:
        return self.schema.parts[0] if self.schema.parts else self.entry

    @property
    def is_hidden(self) -> bool:
        return self.schema.is_true(_HIDDEN[self.direction][0])

    @property
    def is_required(self) -> bool:
        """Whether it must be sent. In requests, the server fills in a default."""
        excused = "default" if self.direction is Direction.REQUEST else "x-answer-may-be-absent"
        return self.entry is not None and not self.schema.found(excused)

    @property
    def necessity(self) -> str:
        return "required" if self.is_required else "optional"


def property_changes(old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
    """The changes from the properties of `old` to those of `new`, without those of their schemas."""
    before, after = _properties(old, direction), _properties(new, direction)
    for name in before | after:
        one, other = before.get(name), after.get(name)
        if one and other:
            yield from _changed(name, one, other, direction)
        elif one and not one.is_hidden:
            id_ = f"response-{one.necessity}-property-removed"
            id_ = "request-property-removed" if direction is Direction.REQUEST else id_
            yield presence(id_, f"the property {name!r} was removed", one.part, None)
        elif other and not other.is_hidden:
            id_ = _added(other, direction)
            yield presence(id_, f"the property {name!r} was added", None, other.part)


def _properties(schema: Schema, direction: Direction) -> dict[str, _Property]:
    required, properties = schema.required(), schema.properties()
    return {
        name: _Property(properties.get(name) or Schema(), required.get(name), direction)
        for name in properties | required
    }


def _changed(name: str, old: _Property, new: _Property, direction: Direction) -> Iterator[Change]:
    keyword, word = _HIDDEN[direction]
    id_ = None
    if old.is_hidden != new.is_hidden:
        # For a property that is hidden now, the id tells whether it was required; for a visible one, whether it is.
        necessity, verb = (old.necessity, "became") if new.is_hidden else (new.necessity, "became-not")
        id_ = f"{direction}-{necessity}-property-{verb}-{word}"
        parts = old.schema.first(keyword), new.schema.first(keyword)
    elif not new.is_hidden and old.is_required != new.is_required:
        id_ = f"{direction}-property-became-{new.necessity}"
        parts = (old.part, new.entry) if new.entry else (old.entry, None)
    if id_:
        text = f"the property {name!r} {id_.partition('property-')[2].replace('-', ' ')}"
        yield change(id_, text, *parts)


def _added(added: _Property, direction: Direction) -> str:
    if direction is Direction.RESPONSE:
        return f"response-{added.necessity}-property-added"
    if added.entry and not added.is_required:
        return "new-required-request-property-with-default"
    return f"new-{added.necessity}-request-property"
