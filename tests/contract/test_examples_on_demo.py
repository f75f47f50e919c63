"""Every example request of the spec, sent to a demo server as it stands by a caller whom the spec admits.

It succeeds, or the table *Examples that the demo refuses* of `spec/README.md` names the answer and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx
import orjson
import pytest

from clinic_service.packaged import spec_folder
from clinic_service.specification.apis import Api, Operation
from clinic_service.testing.servers import ClinicServer
from tests.support.errors import spec_apis

JSON = "application/json"
# The secret in the examples of Redox.
REDOX_SECRET = "3Kc9vT0mQ2xLr7Wd"


class Sample(NamedTuple):
    """One request as the spec shows it: the examples of its parameters, and one of its bodies."""

    name: str
    operation: Operation
    path: dict[str, str]
    query: dict[str, str]
    body: Any


def _samples() -> Iterator[Sample]:
    for api in spec_apis():
        for operation in api.operations:
            for name, body in _bodies(api, operation):
                path, query = _values(api, operation, "path"), _values(api, operation, "query")
                yield Sample(f"{operation.operation_id}{name}", operation, path, query, body)


def _bodies(api: Api, operation: Operation) -> list[tuple[str, Any]]:
    media = api.resolved(operation.definition.get("requestBody", {})).get("content", {}).get(JSON)
    if media is None:
        return [("", None)]
    named = [(f" {name}", example["value"]) for name, example in media.get("examples", {}).items()]
    return [("", media["example"])] if "example" in media else named


def _values(api: Api, operation: Operation, place: str) -> dict[str, str]:
    """The examples of the parameters that the page fills in: those that are required."""
    parameters = [node for node in map(api.resolved, operation.definition["parameters"]) if node["in"] == place]
    return {node["name"]: _text(node["example"]) for node in parameters if node.get("required")}


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _refused() -> dict[str, int]:
    """The status of each operation whose example the demo refuses, as the guide for editors lists them."""
    guide = (spec_folder() / "README.md").read_text(encoding="utf-8")
    section = guide.split("## Examples that the demo refuses", 1)[1].split("\n## ", 1)[0]
    return {
        name: int(status) for name, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \| .+ \|$", section, re.MULTILINE)
    }


SAMPLES = list(_samples())
REFUSED = _refused()


@pytest.fixture(scope="session")
def clinic_server_settings() -> dict[str, str]:
    return {"CLINIC_REDOX_VERIFICATION_TOKEN": REDOX_SECRET}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_example_succeeds_or_is_known_not_to(sample: Sample, clinic_server: ClinicServer) -> None:
    address = re.sub(r"{(\w+)}", lambda name: quote(sample.path[name[1]], safe=""), sample.operation.path)
    answer = httpx.request(
        sample.operation.method.upper(),
        f"{clinic_server.url}{address}?{urlencode(sample.query)}",
        headers={**_proof(sample, clinic_server), **({"Content-Type": JSON} if sample.body is not None else {})},
        content=None if sample.body is None else orjson.dumps(sample.body),
        timeout=60,
        # Making the certificates of a client ready takes longer than most requests.
        verify=False,
    )
    expected = REFUSED.get(sample.operation.operation_id)
    assert answer.status_code == expected if expected else answer.is_success, answer.text


def test_the_table_names_only_operations_of_the_spec() -> None:
    assert set(REFUSED) <= {sample.operation.operation_id for sample in SAMPLES}


def _proof(sample: Sample, server: ClinicServer) -> dict[str, str]:
    """The headers of a caller whom the first rules of the operation admit: a person where one may call, else a service."""
    rules = sample.operation.definition["x-access"]
    people = {
        person.id: person for person in (server.admin, server.member, server.patient, server.parent, server.invited)
    }
    for rule in rules:
        name, _, parameter = rule.partition(":")
        if name == "partner":
            return {"verification-token": REDOX_SECRET} if parameter == "redox" else {}
        if name in ("self", "self-if-member"):
            return people[sample.path[parameter]].headers
    if {"person", "member", "admin"} & set(rules):
        return server.admin.headers
    return server.service.headers
