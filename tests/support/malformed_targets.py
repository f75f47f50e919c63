"""Whom the corpus of malformed requests is sent to: the operations that are implemented."""

from __future__ import annotations

import io
import re
from typing import Any

from clinic_service.api.operations import find_handlers
from clinic_service.specification.apis import Operation
from tests.support.cast import ALICE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import spec_apis
from tests.support.malformed import Body

CLINIC_ID = "5f0c7d1e9a3b4c6d8e2f1a0b"
VALUES = {
    "clinicId": CLINIC_ID,
    "shareCode": "ABCD-EFGH-JKLM",
    "permission": "view",
    "siteId": "5f0c7d1e9a3b4c6d8e2f1a0c",
    "patientTagId": "5f0c7d1e9a3b4c6d8e2f1a0d",
    "summaryId": "5f0c7d1e9a3b4c6d8e2f1a0e",
    "providerId": "dexcom",
}


def _built() -> list[Operation]:
    """The operations that have a handler."""
    operations = [operation for api in spec_apis() for operation in api.operations]
    handlers = find_handlers(operations)
    return [operation for operation in operations if operation.operation_id in handlers]


BUILT = _built()
# Partners prove themselves otherwise, and their bodies are JSON whatever is said about them: see `tests/api/ehr`.
WITH_BODY = [
    o for o in BUILT if "requestBody" in o.definition and not o.definition["x-access"][0].startswith("partner:")
]
WITH_IDS = [(o, name) for o in BUILT for name in re.findall(r"{(\w+)}", o.path)]
WITH_PAGES = [
    o
    for o in BUILT
    if {"limit", "offset"} <= {spec_apis()[0].resolved(node)["name"] for node in o.definition["parameters"]}
]


def address(operation: Operation, **bad: str) -> str:
    """The path of the operation with ids of the tests' clinic and its people, and with those that are `bad`."""
    return re.sub(r"{(\w+)}", lambda found: bad.get(found[1]) or VALUES.get(found[1], ALICE.id), operation.path)


def is_allowed_text(operation: Operation, name: str, text: str) -> bool:
    """Whether the spec lets `text` through as this path parameter, so that it is just unknown."""
    api = next(api for api in spec_apis() if api.name == operation.api)
    declared = [api.resolved(node) for node in operation.definition["parameters"]]
    schema = next(api.resolved(node["schema"]) for node in declared if node["name"] == name)
    return re.search(schema.get("pattern", ""), text) is not None and text in schema.get("enum", [text])


def takes_lists(operation: Operation) -> bool:
    """Whether a list of nothing is a body that the operation takes."""
    api = next(api for api in spec_apis() if api.name == operation.api)
    content = api.resolved(operation.definition["requestBody"])["content"]
    schema = api.resolved(content["application/json"]["schema"])
    return bool(schema.get("type") == "array" and not schema.get("minItems"))


def allowed(operation: Operation) -> Somebody:
    """Somebody who may call the operation on the clinic of the tests, so that the request is looked at."""
    return SERVICE if "service" in operation.definition["x-access"] else ALICE


def send_body(api: Client, operation: Operation, body: Body) -> Reply:
    """What `api` answers to `body`, sent to the operation by somebody who may call it."""
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(body.raw), "CONTENT_LENGTH": str(len(body.raw))}
    environ["CONTENT_TYPE"] = body.content_type or ""
    if body.length is not None:
        environ["CONTENT_LENGTH"] = body.length
    if body.chunked:
        environ |= {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    method = operation.method.upper()
    return api.request(method, address(operation), as_=allowed(operation), environ_overrides=environ)
