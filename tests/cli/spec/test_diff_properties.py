"""`spec diff` on any two schemas: what a validator finds to be refused, or new in answers, is told as breaking."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_service.api.validation import Validators
from clinic_service.specification.apis import Api
from tests.support.diffs import changes
from tests.support.errors import spec_apis

Schema = dict[str, Any]
VALUES: list[Any] = [
    None, True, "", "a", "ab", "abba", "c@d.example", "2026-01-05", -1, 0, 1, 2, 3, 4, 1.5,
    [], ["a"], ["a", "a"], ["a", "b", "c"], [2], {}, {"a": "a"}, {"b": 2}, {"a": "abba", "b": 4}, {"c": 1}, {"a": None},
]  # fmt: skip

_COUNT = st.integers(0, 3)


def _keywords(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries({}, optional=keywords)


_FLAGS: dict[str, st.SearchStrategy[Any]] = {"nullable": st.booleans()}
_TEXTS = _keywords(
    minLength=_COUNT,
    maxLength=_COUNT,
    pattern=st.sampled_from(["^a", "b"]),
    enum=st.lists(st.sampled_from(["a", "ab", "c"]), min_size=1, unique=True),
    format=st.sampled_from(["email", "date"]),
    **_FLAGS,
).map(lambda schema: {"type": "string", **schema})
_NUMBERS = st.builds(
    lambda kind, schema: {"type": kind, **schema},
    st.sampled_from(["integer", "number"]),
    _keywords(minimum=_COUNT, maximum=_COUNT, multipleOf=st.sampled_from([1, 2]), **_FLAGS),
)


def _lists(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    keywords = _keywords(minItems=_COUNT, maxItems=_COUNT, uniqueItems=st.booleans(), items=inner, **_FLAGS)
    return keywords.map(lambda schema: {"type": "array", "items": {}, **schema})


def _objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return _keywords(
        properties=st.dictionaries(st.sampled_from("ab"), inner),
        required=st.lists(st.sampled_from("ab"), min_size=1, unique=True),
        additionalProperties=st.booleans() | inner,
        minProperties=_COUNT,
        **_FLAGS,
    ).map(lambda schema: {"type": "object", **schema})


SCHEMAS = st.recursive(
    _TEXTS | _NUMBERS,
    lambda inner: (
        _lists(inner)
        | _objects(inner)
        | st.lists(inner, min_size=1, max_size=3).map(lambda schemas: {"anyOf": schemas})
        | st.lists(inner, min_size=1, max_size=2).map(lambda schemas: {"allOf": schemas})
    ),
    max_leaves=4,
)


def document(schema: Schema) -> Schema:
    """A document with an operation whose body and whose answer have the schema."""
    content = {"content": {"application/json": {"schema": schema}}}
    operation = {
        "operationId": "Send",
        "requestBody": content,
        "responses": {"200": {"description": "Done.", **content}},
    }
    return {"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": {"/": {"post": operation}}}


def breaks(old: Schema, new: Schema, direction: str) -> bool:
    """Whether a breaking change is told for this direction."""
    found = changes(document(old), document(new))
    return any(level == "breaking" and direction in id_ for level, id_ in found)


def admits(schema: Schema, direction: str) -> Callable[[Any], bool]:
    validators = Validators(document(schema))
    return getattr(validators, direction)(schema).is_valid  # type: ignore[no-any-return]


def _names(schema: Schema) -> set[str]:
    """The names of all members that the schema describes anywhere."""
    parts = [*schema.get("anyOf", []), *schema.get("allOf", [])]
    return set(schema.get("properties", {})).union(*map(_names, parts))


def _always_described(schema: Schema) -> set[str]:
    """The names of the members that the schema describes whichever alternative an object is."""
    names = set(schema.get("properties", {})).union(*map(_always_described, schema.get("allOf", [])))
    alternatives = [_always_described(one) for one in schema.get("anyOf", [])]
    return names | set.intersection(*alternatives) if alternatives else names


def _is_judged(value: Any, old: Schema, new: Schema) -> bool:
    """Whether a client of the old schema may send `value`: nobody sends members that are described later only."""
    return not isinstance(value, dict) or not set(value) & (_names(new) - _always_described(old))


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, SCHEMAS)
def test_what_clients_notice_is_breaking(old: Schema, new: Schema) -> None:
    before, after = admits(old, "request"), admits(new, "request")
    if any(before(value) and not after(value) for value in VALUES if _is_judged(value, old, new)):
        assert breaks(old, new, "request")
    before, after = admits(old, "response"), admits(new, "response")
    if any(after(value) and not before(value) for value in VALUES if not isinstance(value, dict)):
        assert breaks(old, new, "response")


@settings(max_examples=200, deadline=None)
@given(SCHEMAS)
def test_a_schema_is_no_change_of_itself(schema: Schema) -> None:
    assert changes(document(schema), document({"allOf": [schema]})) == set()


def test_alternatives_of_an_answer_may_become_one_object_with_all_their_members() -> None:
    text = {"type": "string"}
    parts = [{"type": "object", "properties": {name: text}} for name in "ab"]
    old = {"type": "object", "anyOf": parts}
    assert not breaks(old, {"type": "object", "properties": {"a": text, "b": text}}, "response")
    assert breaks(old, {"type": "object"}, "response")
    assert breaks(old, {"type": "object", "properties": {"c": text}}, "response")


INVERSES = [
    ("-increased", "-decreased"), ("-set", "-unset"), ("-added", "-removed"), ("-generalized", "-specialized"),
    ("-became-", "-became-not-"), ("-allowed", "-disallowed"), ("-required", "-optional"), ("-changed", "-changed"),
]  # fmt: skip
"""Ends of ids of which one is the inverse of the other."""


# A property that comes or goes: in an answer, the one is harmless and the other is not.
_PRESENCE = re.compile("^new-|-property-(added|removed)$")


def inverse(id_: str) -> set[str]:
    made = set()
    for pair in INVERSES:
        for one, other in (pair, pair[::-1]):
            if one in id_:
                made.add(id_.replace(one, other))
    return made


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, SCHEMAS)
def test_the_inverse_edit_has_the_inverse_class(old: Schema, new: Schema) -> None:
    there, back = (
        [(level, id_) for level, id_ in changes(document(one), document(other)) if not _PRESENCE.search(id_)]
        for one, other in ((old, new), (new, old))
    )
    for level, id_ in there:
        inverses = [other for other, candidate in back if candidate in inverse(id_)]
        assert inverses, id_
        if not id_.endswith("-changed") and level == "additive":
            assert "breaking" in inverses


def _written_otherwise(node: Any, components: Schema) -> Any:
    """The document with keys in another order and with every reference to a schema replaced by the schema."""
    if isinstance(node, list):
        return [_written_otherwise(item, components) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref", "")
    if isinstance(reference, str) and reference.startswith("#/components/schemas/"):
        return _written_otherwise(components["schemas"][reference.rpartition("/")[2]], components)
    return {key: _written_otherwise(node[key], components) for key in reversed(node)}


@pytest.mark.parametrize("api", spec_apis(), ids=lambda api: api.name)
def test_a_document_written_otherwise_has_no_changes(api: Api) -> None:
    written = _written_otherwise(api.document, api.document["components"])
    assert "$ref" not in str(written["components"]["schemas"])
    assert changes(api.document, written) == set()
    assert changes(written, api.document) == set()


def test_schemas_that_contain_each_other() -> None:
    """Each is gone through once, and a change deep within is still found."""

    def family(longest: int) -> Schema:
        child = {"type": "array", "items": {"$ref": "#/components/schemas/person"}}
        person = {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": longest}, "children": child},
            "allOf": [{"$ref": "#/components/schemas/person"}],
        }
        made = document({"$ref": "#/components/schemas/person"})
        return {**made, "components": {"schemas": {"person": person}}}

    assert changes(family(5), family(5)) == set()
    assert changes(family(5), family(4)) == {
        ("breaking", "request-property-max-length-decreased"),
        ("additive", "response-property-max-length-decreased"),
    }
