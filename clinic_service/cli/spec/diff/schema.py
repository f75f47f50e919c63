"""A schema as a whole: with everything that `allOf` and references add to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clinic_service.cli.spec.diff.changes import Direction
from clinic_service.cli.spec.diff.keywords import Keyword
from clinic_service.cli.spec.diff.part import Part

# The patterns that the server enforces, in the order in which one takes the place of the others.
_PATTERNS = {
    Direction.REQUEST: ("x-request-pattern", "x-pattern", "pattern"),
    Direction.RESPONSE: ("x-pattern", "pattern"),
}
# The keywords of a schema that only describes members.
_DESCRIBING = frozenset({"type", "description", "properties"})


class Schema:
    """The schemas `parts`, all of which hold at once. Without any, every value is admitted."""

    def __init__(self, *parts: Part) -> None:
        self.parts = [one for part in parts for one in _all_of(part, frozenset())]

    @property
    def identity(self) -> tuple[tuple[str | int, ...], ...]:
        """A key that is equal for schemas made of the same parts of a document."""
        return tuple(part.keys for part in self.parts)

    def found(self, name: str) -> list[Part]:
        """The values of the keyword `name`."""
        return [value for part in self.parts if (value := part.get(name))]

    def first(self, *names: str) -> Part | None:
        """The first value of the keywords `names`; None when the schema has none of them."""
        return next((part for name in names for part in self.found(name)), None)

    def value(self, keyword: Keyword) -> Any:
        """The combined value of the keyword; None when it is absent."""
        values = [part.value for part in self.found(keyword.name)]
        return keyword.merged(values) if values else None

    def is_true(self, name: str) -> bool:
        """Whether a flag is set."""
        return any(part.value is True for part in self.found(name))

    def types(self) -> frozenset[str]:
        """The types and the formats, all of which hold."""
        return frozenset(part.value for part in (*self.found("type"), *self.found("format")))

    def is_nullable(self) -> bool:
        """Whether null is admitted although there is a type: each schema with a type must say so."""
        typed = [part for part in self.parts if "type" in part.value]
        return bool(typed) and all(part.value.get("nullable") is True for part in typed)

    def patterns(self, direction: Direction) -> list[Part]:
        """The patterns that the server enforces."""
        alternatives = (next(filter(None, map(part.get, _PATTERNS[direction])), None) for part in self.parts)
        return [pattern for pattern in alternatives if pattern]

    def enum(self) -> dict[str, Part] | None:
        """The values of `enum`, by how they are written; None when there is no `enum`."""
        lists = [{repr(item.value): item for item in part.items("enum")} for part in self.parts if "enum" in part.value]
        return {key: item for key, item in lists[0].items() if all(key in one for one in lists)} if lists else None

    def alternatives(self, name: str) -> list[Schema]:
        """The members of `oneOf` or `anyOf`."""
        return [Schema(item) for part in self.parts for item in part.items(name)]

    def items(self) -> Schema:
        """The schema of the items."""
        return Schema(*self.found("items"))

    def additional(self) -> Schema | None:
        """The schema of members without a name here; None when they are not admitted."""
        found = self.found("additionalProperties")
        if any(part.value is False for part in found):
            return None
        return Schema(*(part for part in found if part.value is not True))

    def properties(self) -> dict[str, Schema]:
        """The schemas of the properties, by name."""
        found: dict[str, list[Part]] = {}
        for properties in self.found("properties"):
            for name in properties.value:
                found.setdefault(name, []).append(_member(properties, name))
        return {name: Schema(*parts) for name, parts in found.items()}

    def implies_any(self, other: Schema, name: str) -> bool:
        """Whether every value of this schema fits an alternative `name` of `other`; False when this is not clear."""
        is_one_list = name == "anyOf" and len(other.found(name)) == 1
        return is_one_list and any(self._implies(one) for one in other.alternatives(name))

    def _implies(self, other: Schema) -> bool:
        """Whether `other` only has a type and schemas of members, and this schema has the same ones."""
        own = self.properties()
        return (
            all(part.value.keys() <= _DESCRIBING for part in other.parts)
            and other.types() <= self.types()
            and not self.is_nullable()
            and all(name in own and own[name].is_plainly(member) for name, member in other.properties().items())
        )

    def is_plainly(self, other: Schema) -> bool:
        """Whether both have the same text, and no references, which could lead to different schemas."""
        values = [part.value for part in self.parts]
        return values == [part.value for part in other.parts] and "$ref" not in repr(values)

    def required(self) -> dict[str, Part]:
        """The entries of `required`, by the name of the property."""
        return {item.value: item for part in self.parts for item in part.items("required")}


def _member(holder: Part, name: str) -> Part:
    found = holder.get(name)
    assert found, "the name comes from the holder"
    return found


def _all_of(part: Part, around: frozenset[tuple[str | int, ...]]) -> Iterator[Part]:
    resolved = part.resolved()
    # A schema that contains itself through `allOf` adds no rule.
    if resolved.keys in around or not isinstance(resolved.value, dict):
        return
    yield resolved
    for item in resolved.items("allOf"):
        yield from _all_of(item, around | {resolved.keys})
