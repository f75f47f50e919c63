"""Requests made from the spec: for each operation a good one, and many that differ from it in one place."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from clinic_service.specification.apis import Api, Operation
from tests.support.oracle import Request

USER_ID, CLINIC_ID = "a11ce00001", "5f0c7d1e9a3b4c6d8e2f1a0b"
# Good path values; every other path parameter is the id of a user.
_PATH_VALUES = {
    "clinicId": CLINIC_ID,
    "siteId": "5f0c7d1e9a3b4c6d8e2f1a0c",
    "patientTagId": "5f0c7d1e9a3b4c6d8e2f1a0d",
    "summaryId": "5f0c7d1e9a3b4c6d8e2f1a0e",
    "inviteId": "0123456789abcdef0123456789abcdef",
    "shareCode": "ABCD-EFGH-JKLM",
    "permission": "view",
    "providerId": "dexcom",
}

# Texts that are good for some kind of parameter and bad for others.
TEXTS = (
    *("0", "1", "-1", "5", "10", "1000", "1001", "1000000001", "999999999999999999999"),
    *("1.0", "1.5", ".5", "1e3", "0x10", "1,000", "one", "007", "true", "false", "null", "None"),
    *("a", "A", "abc", "a b", "a,b", "a&b", "a=b", "a+b", "a%b", "a;b", "a'b", '"a"', "é", "日本", "😀", "x" * 300),
    *(USER_ID, USER_ID.upper(), "7c9e6679-7425-40de-944b-e07fc1f90ae7", CLINIC_ID, f"{CLINIC_ID},{CLINIC_ID}"),
    *("2026-03-02", "2026-03-02T09:30:00Z", "2026-03-02T09:30:00.123456+02:00", "2026-13-02T09:30:00Z"),
    *("bob@harbour.example", "bob", "@", "bob@", "7d", "8d", "cgm", "+name", "-created_time", "name"),
    *(">=0.7", "<-0.15", ">5", "=5", ">", ">= 5", ">=5.", ">=.5", ">=5.5.5", "CLINIC_ADMIN", "view", "custodian"),
    *("timeInVeryLowPercent", "meetingTargets,timeInTargetPercent", "ehrSourceId", "clinicId"),
)
# What a member or item of a body is replaced by.
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 1000001, 0.5, 1.0, 1e300, {}, [], [None], [[]], {"a": 1}),
    *("", " ", "a", "A" * 5000, "é😀", "a\tb", "true", "1", "2026-03-02", "2026-03-02T09:30:00Z", "a@b.example"),
    *("<script>", "CLINIC_ADMIN", USER_ID, CLINIC_ID, ["CLINIC_ADMIN"], ["a", "a"], [{}], "mmol/L"),
)


def good_request(api: Api, operation: Operation) -> Request:
    """A request that fits; its body holds read-only members as well, so that an answer could be sent back."""
    path = {name: _PATH_VALUES.get(name, USER_ID) for name in re.findall(r"{(\w+)}", operation.path)}
    declared = [api.resolved(node) for node in operation.definition["parameters"]]
    required = [p for p in declared if p["in"] == "query" and p.get("required")]
    query = "&".join(f"{p['name']}={quote(_required_text(p))}" for p in required)
    body = good_body(api, operation)
    return Request(operation, path, query, None if body is None else encoded(body))


def _required_text(parameter: dict[str, Any]) -> str:
    texts = {"period": "7d", "lastDataCutoff": "2026-03-02T09:30:00Z", "tags": CLINIC_ID}
    return texts.get(parameter["name"]) or _PATH_VALUES.get(parameter["name"], USER_ID)


def good_body(api: Api, operation: Operation) -> Any:
    """The example of the body, completed by members of the answer's example; None without a body."""
    if "requestBody" not in operation.definition:
        return None
    body = _example(api, operation.definition["requestBody"])
    success = min(operation.definition["responses"])
    answer = _example(api, operation.definition["responses"][success])
    if isinstance(body, dict) and isinstance(answer, dict) and set(body) & set(answer):
        return {**answer, **body}
    return body


def _example(api: Api, node: dict[str, Any]) -> Any:
    media = api.resolved(node).get("content", {}).get("application/json", {})
    named = [example["value"] for example in media.get("examples", {}).values()]
    return copy.deepcopy(media.get("example", named[0] if named else None))


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def varied_queries(api: Api, operation: Operation) -> Iterator[Request]:
    """Each kind of query parameter of the operation with each text."""
    good = good_request(api, operation)
    for parameter in _one_of_each_kind(api, operation, "query"):
        others = [part for part in good.query.split("&") if part and not part.startswith(f"{parameter['name']}=")]
        for text in _texts(api, parameter):
            yield good._replace(query="&".join([*others, f"{parameter['name']}={quote(text)}"]))
        yield good._replace(query="&".join(others))


def varied_paths(api: Api, operation: Operation) -> Iterator[Request]:
    """Each path parameter of the operation with each text; the body, which is looked at later, is a good one."""
    good = good_request(api, operation)
    for parameter in _one_of_each_kind(api, operation, "path"):
        for text in _texts(api, parameter):
            yield good._replace(path={**good.path, parameter["name"]: text})


def varied_bodies(api: Api, operation: Operation, at_most: int) -> Iterator[Request]:
    """The good body with a member taken away, added or replaced, and other bodies altogether; evenly thinned out."""
    good = good_request(api, operation)
    if good.body is None:
        return
    bodies = [encoded(body) for body in _varied(json.loads(good.body), 3)]
    step = max(1, len(bodies) // at_most)
    for body in (*map(encoded, _VALUES), b"", *bodies[::step]):
        yield good._replace(body=body)
    yield good._replace(body=None)


def _one_of_each_kind(api: Api, operation: Operation, place: str) -> Iterator[dict[str, Any]]:
    seen = set()
    for parameter in map(api.resolved, operation.definition["parameters"]):
        kind = json.dumps([parameter["schema"], parameter.get("required")], sort_keys=True)
        if parameter["in"] == place and kind not in seen:
            seen.add(kind)
            yield parameter


def _texts(api: Api, parameter: dict[str, Any]) -> Iterator[str]:
    schema = api.resolved(parameter["schema"])
    yield from TEXTS
    yield from map(str, schema.get("enum", ()))
    for bound in ("minimum", "maximum"):
        if bound in schema:
            yield from (str(schema[bound] + step) for step in (-1, 0, 1))


def _varied(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        yield {**value, "somethingElse": [1, {"a": None}]}
        for name, inner in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            for replacement in (*_VALUES, *(_varied(inner, depth - 1) if depth else ())):
                yield {**value, name: replacement}
    elif isinstance(value, list):
        yield value * 2
        yield value * 60
        for replacement in (*_VALUES, *(_varied(value[0], depth - 1) if depth and value else ())):
            yield [replacement, *value[1:]]
    elif isinstance(value, str):
        yield from (value + "\n", value + "x", value.upper(), value[:-1], value * 2)
    elif isinstance(value, int | float):
        yield from (value + 1, -value, value * 1000, float(value))
