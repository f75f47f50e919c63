"""The rules for the keywords of schemas: the effect of a changed keyword on the values that a schema admits.

Each rule takes the old and the new value (None: the keyword is absent) and returns the end of the id, and the effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from clinic_service.cli.spec.diff.changes import Effect

Judgement = tuple[str, Effect]
# Types and formats, and what is narrower.
_NARROWER = {"number": "integer", "int64": "int32", "double": "float"}


class Keyword(NamedTuple):
    """A keyword of schemas. `merged` combines the values that hold at the same time because of `allOf`."""

    name: str
    merged: Callable[[list[Any]], Any]
    judge: Callable[[Any, Any], Judgement]


def _upper(name: str, old: Any, new: Any) -> Judgement:
    if old is None or new is None:
        return (f"{name}-set", Effect.NARROWER) if old is None else (f"{name}-unset", Effect.WIDER)
    return (f"{name}-decreased", Effect.NARROWER) if new < old else (f"{name}-increased", Effect.WIDER)


def _lower(name: str, old: Any, new: Any) -> Judgement:
    if old is None or new is None:
        return (f"{name}-set", Effect.NARROWER) if old is None else (f"{name}-unset", Effect.WIDER)
    return (f"{name}-increased", Effect.NARROWER) if new > old else (f"{name}-decreased", Effect.WIDER)


def _restriction(name: str, old: Any, new: Any) -> Judgement:
    """A flag that admits less when it is true."""
    del old
    return (f"{name}-set", Effect.NARROWER) if new else (f"{name}-unset", Effect.WIDER)


def _may_be_empty(old: Any, new: Any) -> Judgement:
    del old
    return ("x-may-be-empty-set", Effect.WIDER) if new else ("x-may-be-empty-unset", Effect.NARROWER)


def _condition(name: str, old: Any, new: Any) -> Judgement:
    if old is None or new is None:
        return (f"{name}-added", Effect.NARROWER) if old is None else (f"{name}-removed", Effect.WIDER)
    return f"{name}-changed", Effect.OTHER


def judge_patterns(before: frozenset[str], after: frozenset[str]) -> Judgement:
    """The effect of other patterns, all of which must match."""
    if before < after or after < before:
        return ("pattern-added", Effect.NARROWER) if before < after else ("pattern-removed", Effect.WIDER)
    return "pattern-changed", Effect.OTHER


def judge_types(before: frozenset[str], after: frozenset[str]) -> Judgement | None:
    """The effect of other types and formats, all of which must hold; None if they mean the same."""
    is_wider, is_narrower = _follow(after, before), _follow(before, after)
    if is_wider or is_narrower:
        wider, narrower = ("type-generalized", Effect.WIDER), ("type-specialized", Effect.NARROWER)
        return None if is_wider and is_narrower else wider if is_wider else narrower
    return "type-changed", Effect.OTHER


def _follow(types: frozenset[str], given: frozenset[str]) -> bool:
    """Whether all of `types` hold wherever all of `given` hold."""
    return all(kind in given or _NARROWER.get(kind) in given for kind in types)


def _at_least_one(values: list[Any]) -> Any:
    """The largest of the lower bounds. A bound of 0 counts as none."""
    return max(values) or None


def _distinct(values: list[Any]) -> Any:
    """The values of which all must hold."""
    return values[0] if all(value == values[0] for value in values) else values


def _any_true(values: Iterable[Any]) -> Any:
    return any(values) or None


KEYWORDS = (
    Keyword("maximum", min, partial(_upper, "max")),
    Keyword("exclusiveMaximum", _any_true, partial(_restriction, "exclusive-max")),
    Keyword("maxLength", min, partial(_upper, "max-length")),
    Keyword("maxItems", min, partial(_upper, "max-items")),
    Keyword("maxProperties", min, partial(_upper, "max-properties")),
    Keyword("minimum", max, partial(_lower, "min")),
    Keyword("exclusiveMinimum", _any_true, partial(_restriction, "exclusive-min")),
    Keyword("minLength", _at_least_one, partial(_lower, "min-length")),
    Keyword("minItems", _at_least_one, partial(_lower, "min-items")),
    Keyword("minProperties", _at_least_one, partial(_lower, "min-properties")),
    Keyword("multipleOf", _distinct, partial(_condition, "multiple-of")),
    Keyword("uniqueItems", _any_true, partial(_restriction, "unique-items")),
    Keyword("x-may-be-empty", _any_true, _may_be_empty),
    Keyword("not", _distinct, partial(_condition, "not")),
    Keyword("discriminator", _distinct, partial(_condition, "discriminator")),
)
# Keywords for readers, whatever their value.
WORDS = ("title", "description", "example", "examples", "externalDocs", "xml", "deprecated")
