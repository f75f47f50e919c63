"""Requests are read as unmodified Connexion reads them, but for the differences listed here, each with its reason."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import pytest

from clinic_service.api.validation import Validators
from clinic_service.db.engine import Database
from clinic_service.specification.apis import Api, Operation
from clinic_service.specification.published import is_object_without_type
from tests.support.errors import spec_apis
from tests.support.oracle import ACCEPTED, Ours, Outcome, Request, Stock
from tests.support.variations import CLINIC_ID, good_request, varied_bodies, varied_paths, varied_queries

OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]
# One in so many of the generated requests is sent: they overlap, and Connexion takes milliseconds for each.
QUERY_STEP, PATH_STEP, BODIES_OF_AN_OPERATION = 2, 20, 40


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('oracle') / 'empty.db'}")
    yield Ours(spec_apis(), database)
    database.dispose()


@pytest.fixture(scope="module")
def stock() -> Iterator[Stock]:
    made = Stock(spec_apis())
    yield made
    made.close()


class Pair(NamedTuple):
    """What became of one request on both sides."""

    api: Api
    request: Request
    ours: Outcome
    stock: Outcome

    @property
    def agree(self) -> bool:
        if not (self.ours.accepted and self.stock.accepted):
            return self.ours.accepted == self.stock.accepted
        return _comparable(self.ours) == _comparable(self.stock)


def _comparable(outcome: Outcome) -> str:
    """The values that a handler got, told apart as JSON tells them apart: 1 is neither 1.0 nor true."""
    return json.dumps([outcome.path, outcome.query, outcome.body], sort_keys=True, default=repr)


# --- differences that the generated requests meet, by what tells them


def times_arrive_as_times(pair: Pair) -> bool:
    """A handler gets a point in time as one, in UTC and cut to milliseconds, not its text."""
    sent = {name: value for name, value in pair.ours.query.items() if isinstance(value, datetime)}
    read = {name: _time(pair.stock.query[name]) for name in sent if name in pair.stock.query}
    others = pair.ours._replace(query={**pair.ours.query, **dict.fromkeys(sent)}, broken=frozenset())
    theirs = pair.stock._replace(query={**pair.stock.query, **dict.fromkeys(sent)})
    return bool(sent) and sent == read and _comparable(others) == _comparable(theirs)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text).astimezone(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def strict_patterns_are_enforced(pair: Pair) -> bool:
    """An `x-pattern` tells letters from other signs; Connexion knows only the weaker pattern beside it."""
    is_strict = "x-pattern" in json.dumps(_body_schema(pair, deep=True))
    return is_strict and pair.stock.accepted and pair.ours.broken == {"pattern"}


def what_has_properties_is_an_object(pair: Pair) -> bool:
    """A schema with properties is of an object, also where its type is not said."""
    has_untyped = any(is_object_without_type(node) for node in _nodes(_body_schema(pair, deep=True)))
    return has_untyped and pair.stock.accepted and pair.ours.broken == {"type"}


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(inner)


def an_optional_body_may_be_left_out(pair: Pair) -> bool:
    """`required: false` is taken at its word; Connexion refuses an absent body unless the schema is nullable."""
    is_optional = not pair.api.resolved(pair.request.operation.definition.get("requestBody", {})).get("required")
    return is_optional and not pair.request.body and pair.ours.accepted and pair.stock.status == 400


def no_body_is_none(pair: Pair) -> bool:
    """Where nothing was sent the handler gets None; Connexion makes up an empty object."""
    return pair.request.body in (None, b"", b"null") and pair.ours.body is None and pair.stock.body == {}


def formats_are_checked(pair: Pair) -> bool:
    """A date, time, address or host name must be one; Connexion checks few formats, and these loosely."""
    return pair.stock.accepted and pair.ours.broken == {"format"}


def a_final_newline_is_a_character(pair: Pair) -> bool:
    """`$` in a pattern is the very end; in Python's engine a newline may follow."""
    has_newline = "\n" in "".join(pair.request.path.values()) or b"\\n" in (pair.request.body or b"")
    return has_newline and pair.stock.accepted and pair.ours.broken == {"pattern"}


GENERATED_DIFFERENCES = (
    times_arrive_as_times,
    strict_patterns_are_enforced,
    what_has_properties_is_an_object,
    an_optional_body_may_be_left_out,
    no_body_is_none,
    formats_are_checked,
    a_final_newline_is_a_character,
)


@cache
def _validators(api_name: str) -> Validators:
    return Validators(next(api.document for api in spec_apis() if api.name == api_name))


def _body_schema(pair: Pair, *, deep: bool = False) -> Any:
    """The schema of the body; `deep` together with everything it refers to."""
    node = pair.request.operation.definition.get("requestBody")
    schema = pair.api.resolved(node)["content"]["application/json"]["schema"] if node else {}
    return _followed(pair.api, schema) if deep else schema


def _followed(api: Api, node: Any, depth: int = 0) -> Any:
    if isinstance(node, list):
        return [_followed(api, item, depth) for item in node]
    if not isinstance(node, dict) or depth > 6:
        return node
    if "$ref" in node:
        return _followed(api, api.component(node["$ref"]), depth + 1)
    return {name: _followed(api, inner, depth) for name, inner in node.items()}


def requests(api: Api, operation: Operation) -> Iterator[Request]:
    yield good_request(api, operation)
    yield from itertools.islice(varied_queries(api, operation), 0, None, QUERY_STEP)
    yield from varied_bodies(api, operation, BODIES_OF_AN_OPERATION)


def explained(pairs: Iterator[Pair]) -> tuple[Counter[str], list[Pair]]:
    """How often both agreed and each difference explains why not, and what nothing explains."""
    counts: Counter[str] = Counter()
    unexplained = []
    for pair in pairs:
        if pair.agree:
            counts["accepted" if pair.ours.accepted else "refused"] += 1
            continue
        reason = next((difference for difference in GENERATED_DIFFERENCES if difference(pair)), None)
        if reason is None:
            unexplained.append(pair)
        else:
            counts[reason.__name__] += 1
    return counts, unexplained


def asked(ours: Ours, stock: Stock, generated: Iterable[tuple[Api, Request]]) -> Iterator[Pair]:
    apis, sent = zip(*generated, strict=True)
    for api, request, theirs in zip(apis, sent, stock.ask_all(sent), strict=True):
        yield Pair(api, request, ours.ask(request), theirs)


@pytest.fixture(scope="module")
def compared(ours: Ours, stock: Stock) -> dict[str, tuple[Counter[str], list[Pair]]]:
    """What came of all generated requests, by operationId."""
    return {
        operation.operation_id: explained(asked(ours, stock, ((api, sent) for sent in requests(api, operation))))
        for api, operation in OPERATIONS
    }


@pytest.mark.parametrize(("api", "operation"), OPERATIONS, ids=lambda value: getattr(value, "operation_id", ""))
def test_queries_and_bodies(
    ours: Ours, compared: dict[str, tuple[Counter[str], list[Pair]]], api: Api, operation: Operation
) -> None:
    _, unexplained = compared[operation.operation_id]
    assert unexplained == []
    assert ours.ask(good_request(api, operation)).accepted


def _paths() -> Iterator[tuple[Api, Request]]:
    """Path parameters mean the same everywhere, so the texts are spread over the operations in turn."""
    turn = itertools.count()
    for api, operation in OPERATIONS:
        for request in varied_paths(api, operation):
            if next(turn) % PATH_STEP == 0:
                yield api, request


def test_paths(ours: Ours, stock: Stock) -> None:
    counts, unexplained = explained(asked(ours, stock, _paths()))
    assert unexplained == []
    assert counts["accepted"] > 20
    assert counts["refused"] > 200


def test_the_comparison_says_something(compared: dict[str, tuple[Counter[str], list[Pair]]]) -> None:
    """Both must have accepted many requests and refused many, and no difference may be listed without need."""
    seen: Counter[str] = Counter()
    for counts, _ in compared.values():
        seen.update(counts)
    assert seen["accepted"] > 300
    assert seen["refused"] > 1000
    unneeded = [difference.__name__ for difference in GENERATED_DIFFERENCES if not seen[difference.__name__]]
    assert unneeded == []


# --- differences that are met on purpose


def operation(name: str) -> tuple[Api, Operation]:
    return next((api, operation) for api, operation in OPERATIONS if operation.operation_id == name)


def good(name: str) -> Request:
    return good_request(*operation(name))


class Difference(NamedTuple):
    """A request, what becomes of it here, what Connexion makes of it, and why we differ."""

    request: Request
    ours: Any
    stock: Any
    reason: str


def _query(text: str, name: str = "ListClinics") -> Request:
    return good(name)._replace(query=text)


def _body(raw: bytes, content_type: str | None = "application/json", *, chunked: bool = False) -> Request:
    return good("UpdateTier")._replace(body=raw, content_type=content_type, chunked=chunked)


TIER = {"tier": "tier0100"}
FINE = b'{"tier": "tier0100"}'
TWO_MEANINGS = "what two readers take for different things is refused"
NOT_STORABLE = "no store can hold it, and one of ours would answer with an error"
NOT_A_DEFECT = "what a client did wrong is its fault and not a defect of the server"
FURTHER_RULE = "a rule that the published documents do not have stands in an extension, which Connexion does not know"
ONE_SPELLING = "a value has one spelling, that of JSON"

DIFFERENCES: dict[str, Difference] = {
    # Parameters: the right side is the status, or what the handler gets.
    "a parameter that stands twice": Difference(_query("limit=5&limit=6"), 400, {"limit": 6}, TWO_MEANINGS),
    "digits with underscores": Difference(_query("limit=1_0"), 400, {"limit": 10}, ONE_SPELLING),
    "digits with blanks": Difference(_query("limit=%205%20"), 400, {"limit": 5}, ONE_SPELLING),
    "digits of another script": Difference(_query("limit=%D9%A5"), 400, {"limit": 5}, ONE_SPELLING),
    "booleans in capitals": Difference(_query("ehrEnabled=TRUE"), 400, {"limit": 10, "ehrEnabled": True}, ONE_SPELLING),
    "digits of another script in a pattern": Difference(
        _query("bgm.averageGlucoseMmolDelta=%3E%D9%A5", "ListPatients"),
        400,
        {"limit": 10, "bgm.averageGlucoseMmolDelta": ">\u0665"},
        "`\\d` is a digit of ASCII, as in ECMAScript",
    ),
    "an empty list": Difference(
        _query("sites=", "ListPatients"),
        400,
        {"limit": 10, "sites": [""]},
        "a list of nothing has no items, and here it needs one",
    ),
    "NUL in a parameter": Difference(_query("shareCode=%00"), 400, {"limit": 10, "shareCode": "\0"}, NOT_STORABLE),
    "bytes that are no UTF-8": Difference(
        _query("shareCode=%FF"), 400, {"limit": 10, "shareCode": "%FF"}, "what stands in its place was not sent"
    ),
    # Bodies.
    "a body without a type": Difference(
        _body(FINE, None), 415, FINE, "a body says what it is; Connexion validates it and hands over its bytes"
    ),
    "a type in odd case": Difference(
        _body(FINE, "Application/JSON"), TIER, FINE, "types have no case; Connexion skips the validation"
    ),
    "another charset": Difference(
        _body(FINE, "application/json; charset=latin-1"), 415, TIER, "validated and handed on in different charsets"
    ),
    "a charset that does not exist": Difference(
        _body(FINE, "application/json; charset=klingon"), 415, TIER, "nobody knows what was sent"
    ),
    "a chunked body": Difference(_body(FINE, chunked=True), TIER, 400, "a body without a length is one all the same"),
    "bytes in a body that are no UTF-8": Difference(_body(b'{"tier": "\xff"}'), 400, 500, NOT_A_DEFECT),
    "a key that stands twice": Difference(_body(b'{"tier": "tier0200", "tier": "tier0100"}'), 400, TIER, TWO_MEANINGS),
    "NaN": Difference(_body(b'{"tier": "tier0100", "a": NaN}'), 400, {**TIER, "a": "NaN"}, TWO_MEANINGS),
    "1e999": Difference(_body(b'{"tier": "tier0100", "a": 1e999}'), 400, {**TIER, "a": "Infinity"}, TWO_MEANINGS),
    "2^63": Difference(
        _body(b'{"tier": "tier0100", "a": 9223372036854775808}'), 400, {**TIER, "a": 1 << 63}, TWO_MEANINGS
    ),
    "5,000 digits": Difference(_body(b'{"tier": "tier0100", "a": ' + b"1" * 5000 + b"}"), 400, 500, NOT_A_DEFECT),
    "NUL in a body": Difference(_body(b'{"tier": "tier0100", "a": "\\u0000"}'), 400, {**TIER, "a": "\0"}, NOT_STORABLE),
    "half a surrogate pair": Difference(
        _body(b'{"tier": "tier0100", "a": "\\ud800"}'), 400, {**TIER, "a": "\ud800"}, NOT_STORABLE
    ),
    "depth 65": Difference(
        _body(b'{"tier": "tier0100", "a": ' + b"[" * 64 + b"]" * 64 + b"}"), 400, ACCEPTED, "readers have a limit"
    ),
    "depth 100,000": Difference(_body(b"[" * 100_000), 400, 500, NOT_A_DEFECT),
    "a body of blanks": Difference(_body(b"  "), 400, 400, "both refuse it where a body is required"),
    "blanks in place of an optional body": Difference(
        good("GrantPermissionsInGroup")._replace(body=b" "), None, 400, "blanks are no body"
    ),
    "a number of white space only": Difference(
        good("AcceptPatientInvitation")._replace(body=b'{"mrn": " "}'), 400, {"mrn": " "}, FURTHER_RULE
    ),
    # Paths.
    "a newline behind an id": Difference(
        good("GetClinic")._replace(path={"clinicId": f"{CLINIC_ID}\n"}), 400, ACCEPTED, "an id ends where it ends"
    ),
}


def _seen(outcome: Outcome, request: Request) -> Any:
    """The status of a refusal, and of what was accepted the part that the request is about."""
    if not outcome.accepted:
        return outcome.status
    return outcome.query if request.body is None else outcome.body


@pytest.mark.parametrize("case", DIFFERENCES)
def test_differences_that_are_meant(ours: Ours, stock: Stock, case: str) -> None:
    request, expected, expected_of_stock, reason = DIFFERENCES[case]
    assert reason
    for server, wanted in ((ours, expected), (stock, expected_of_stock)):
        outcome = server.ask(request)
        seen = outcome.status if wanted == ACCEPTED else _seen(outcome, request)
        assert _spelled(seen) == _spelled(wanted), type(server).__name__


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr).replace('"NaN"', "NaN").replace('"Infinity"', "Infinity")


def test_values_of_other_names_are_not_mixed_up(ours: Ours, stock: Stock) -> None:
    """Connexion hands dotted names over without their dots, in which two of them could fall together."""
    api, listing = operation("ListPatients")
    names = [api.resolved(node)["name"] for node in listing.definition["parameters"]]
    assert sum("." in name for name in names) > 50
    assert len({name.replace(".", "") for name in names}) == len(names)
    query = "cgm.timeInTargetPercent=%3E0.7&bgm.averageGlucoseMmol=%3C5.5"
    for server in (ours, stock):
        read = server.ask(_query(query, "ListPatients")).query
        assert read["cgm.timeInTargetPercent"] == ">0.7"
        assert read["bgm.averageGlucoseMmol"] == "<5.5"
