"""Compares two schemas, for requests or for answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from clinic_service.cli.spec.diff.changes import Change, Direction, Effect, Level
from clinic_service.cli.spec.diff.keywords import KEYWORDS, WORDS, judge_patterns, judge_types
from clinic_service.cli.spec.diff.part import Part
from clinic_service.cli.spec.diff.properties import property_changes
from clinic_service.cli.spec.diff.schema import Schema

# Keywords that say nothing in one direction.
_WORDS_IN = {
    Direction.REQUEST: ("writeOnly", "x-answer-may-be-absent"),
    Direction.RESPONSE: ("readOnly", "x-request-pattern"),
}
_COMPARED = frozenset(
    {
        "type", "format", "nullable", "pattern", "x-pattern", "x-request-pattern", "enum", "default", "items",
        "additionalProperties", "oneOf", "anyOf", "allOf", "properties", "required", "readOnly", "writeOnly",
        "x-answer-may-be-absent", *WORDS, *(keyword.name for keyword in KEYWORDS),
    }
)  # fmt: skip
_ALTERNATIVES = {"oneOf": "one-of", "anyOf": "any-of"}


@dataclass(frozen=True)
class Position:
    """The position of the compared schemas. Ids of changes begin with `subject`, and their texts with `what`."""

    direction: Direction
    subject: str
    what: str

    def within(self, what: str) -> Position:
        """The position of a part of these schemas."""
        is_body = self.subject.endswith("-body")
        return replace(self, what=what, subject=f"{self.direction}-property" if is_body else self.subject)


class SchemaComparison:
    """Compares schemas, each pair once: they may contain each other, and appear in many places of one operation."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()

    def compare(self, old: Schema, new: Schema, at: Position) -> Iterator[Change]:
        """The changes from `old` to `new`."""
        pair = old.identity, new.identity, at.direction, at.subject
        if pair in self._seen:
            return
        self._seen.add(pair)
        yield from _keywords(old, new, at)
        yield from _enum(old, new, at)
        yield from _default(old, new, at)
        yield from _words(old, new, at)
        yield from self.compare(old.items(), new.items(), at.within(f"the items of {at.what}"))
        yield from self._additional(old, new, at)
        for keyword in _ALTERNATIVES:
            yield from self._alternatives(keyword, old, new, at)
        before, after = old.properties(), new.properties()
        yield from property_changes(old, new, at.direction)
        for name in [name for name in before if name in after]:
            yield from self.compare(before[name], after[name], at.within(f"the property {name!r}"))

    def _additional(self, old: Schema, new: Schema, at: Position) -> Iterator[Change]:
        before, after = old.additional(), new.additional()
        if before and after:
            yield from self.compare(before, after, at.within(f"the further members of {at.what}"))
        elif before or after:
            ending, effect = ("allowed", Effect.WIDER) if after else ("disallowed", Effect.NARROWER)
            yield _judged(at, f"additional-properties-{ending}", effect, "additionalProperties", old, new)

    def _alternatives(self, keyword: str, old: Schema, new: Schema, at: Position) -> Iterator[Change]:
        before, after = old.alternatives(keyword), new.alternatives(keyword)
        pairs = _paired(before, after, at)
        for one, other in pairs:
            yield from self.compare(one, other, at.within(f"an alternative of {at.what}"))
        for one in before:
            if all(one is not paired for paired, _ in pairs):
                # When no alternative is left, the schema admits all values, unless its other keywords have the same effect.
                is_wider = not after and not new.implies_any(old, keyword)
                effect = Effect.WIDER if is_wider else Effect.NARROWER
                yield _alternative(at, f"{_ALTERNATIVES[keyword]}-removed", effect, one, None)
        for one in after:
            if all(one is not paired for _, paired in pairs):
                is_wider = bool(before) or old.implies_any(new, keyword)
                effect = Effect.WIDER if is_wider else Effect.NARROWER
                yield _alternative(at, f"{_ALTERNATIVES[keyword]}-added", effect, None, one)


def _keywords(old: Schema, new: Schema, at: Position) -> Iterator[Change]:
    for keyword in KEYWORDS:
        before, after = old.value(keyword), new.value(keyword)
        if before != after:
            ending, effect = keyword.judge(before, after)
            yield _judged(at, ending, effect, keyword.name, old, new)
    types = judge_types(old.types(), new.types())
    if types:
        name = "type" if _values(old, "type") != _values(new, "type") else "format"
        yield _judged(at, *types, name, old, new)
    if old.is_nullable() != new.is_nullable():
        ending, effect = ("nullable", Effect.WIDER) if new.is_nullable() else ("not-nullable", Effect.NARROWER)
        yield _judged(at, f"became-{ending}", effect, "nullable", old, new)
    patterns = old.patterns(at.direction), new.patterns(at.direction)
    before, after = (frozenset(pattern.value for pattern in one) for one in patterns)
    if before != after:
        ending, effect = judge_patterns(before, after)
        text = f"{at.what}: the pattern was {' and '.join(before) or 'absent'}, is {' and '.join(after) or 'absent'}"
        level, id_ = effect.level(at.direction), f"{at.subject}-{ending}"
        yield Change.of(level, id_, text, next(iter(patterns[0]), None), next(iter(patterns[1]), None))
    elif _values(old, "pattern") != _values(new, "pattern"):
        text = f"{at.what}: pattern changed, but the server still enforces the same pattern"
        yield Change.of(Level.WORDS, "pattern-changed", text, old.first("pattern"), new.first("pattern"))


def _values(schema: Schema, name: str) -> set[Any]:
    return {part.value for part in schema.found(name)}


def _enum(old: Schema, new: Schema, at: Position) -> Iterator[Change]:
    before, after = old.enum(), new.enum()
    if before is None or after is None:
        if before is not after:
            ending, effect = ("became-enum", Effect.NARROWER) if before is None else ("became-not-enum", Effect.WIDER)
            yield _judged(at, ending, effect, "enum", old, new)
        return
    for ending, effect, one, other in (
        ("enum-value-removed", Effect.NARROWER, before, after),
        ("enum-value-added", Effect.WIDER, after, before),
    ):
        for written, part in one.items():
            if written not in other:
                text = f"{at.what}: the value {written} was {ending.rpartition('-')[2]}"
                yield Change(effect.level(at.direction), f"{at.subject}-{ending}", text, part, one is before)


def _default(old: Schema, new: Schema, at: Position) -> Iterator[Change]:
    before, after = old.first("default"), new.first("default")
    if (before and before.value) != (after and after.value) or (before is None) != (after is None):
        ending = "added" if before is None else "removed" if after is None else "changed"
        # A parameter that is not sent means something else now. A member of a body that is not sent does not.
        effect = Effect.OTHER if at.subject == "request-parameter" else Effect.NONE
        yield _judged(at, f"default-value-{ending}", effect, "default", old, new)


def _words(old: Schema, new: Schema, at: Position) -> Iterator[Change]:
    others = {key for schema in (old, new) for part in schema.parts for key in part.value} - _COMPARED
    for keyword in (*WORDS, *_WORDS_IN[at.direction], *sorted(others)):
        before, after = old.first(keyword), new.first(keyword)
        if (before and before.value) != (after and after.value):
            yield Change.of(Level.WORDS, f"{keyword}-changed", f"{at.what}: {keyword} changed", before, after)


def _paired(before: list[Schema], after: list[Schema], at: Position) -> list[tuple[Schema, Schema]]:
    """The pairs of corresponding alternatives: first the equal ones, then the remaining ones in their order."""
    left, pairs = list(after), []
    for one in before:
        same = next((other for other in left if _says_the_same(one, other, at)), None)
        if same:
            left.remove(same)
            pairs.append((one, same))
    paired = [one for one, _ in pairs]
    return [*pairs, *zip([one for one in before if one not in paired], left, strict=False)]


def _says_the_same(old: Schema, new: Schema, at: Position) -> bool:
    return all(change.level is Level.WORDS for change in SchemaComparison().compare(old, new, at))


def _alternative(at: Position, ending: str, effect: Effect, old: Schema | None, new: Schema | None) -> Change:
    parts = [schema.parts[0].as_used() if schema else None for schema in (old, new)]
    text = f"{at.what}: an alternative was {ending.rpartition('-')[2]}"
    return Change.of(effect.level(at.direction), f"{at.subject}-{ending}", text, *parts)


def _judged(at: Position, ending: str, effect: Effect, keyword: str, old: Schema, new: Schema) -> Change:
    before, after = old.first(keyword), new.first(keyword)
    text = f"{at.what}: {keyword} was {_shown(before)}, is {_shown(after)}"
    return Change.of(effect.level(at.direction), f"{at.subject}-{ending}", text, before, after)


def _shown(part: Part | None) -> str:
    return orjson.dumps(part.value).decode() if part else "absent"
