"""`spec stub`: makes skeletons of the code that an operation of the spec needs. It writes no files."""

from __future__ import annotations

from typing import Any

from clinic_service.api.operations import handler_name
from clinic_service.api.parameters import snake_case
from clinic_service.specification.apis import Api, Operation

_PYTHON_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list[str]"}
_FIELDS = {
    "string": "fields.String",
    "integer": "fields.Integer",
    "number": "fields.Float",
    "boolean": "fields.Boolean",
}
# A handler takes at most this many query parameters one by one. With more, it takes the query as a whole.
_MOST_PARAMETERS = 10
_FIRST_LINE = "from __future__ import annotations\n\n"
_STEPS = ("works", "refuses_bad_input", "needs_a_token", "is_refused_to_others", "is_not_found", "leaves_behind")


def stub(api: Api, operation: Operation) -> str:
    """The skeletons of handler, tests and schemas for `operation`: one file after the other, each below its path."""
    return "\n\n".join(f"# {file}\n{code}" for file, code in stub_files(api, operation).items())


def stub_files(api: Api, operation: Operation) -> dict[str, str]:
    """The skeletons, by the path of the file that each belongs to."""
    group, name = operation.group, handler_name(operation.operation_id)
    files = {
        f"clinic_service/resources/{group}/handlers.py": _handler(api, operation),
        f"tests/api/{group}/test_{name}.py": _test(operation),
    }
    schemas = [_schema(api, name, schema) for name, schema in _object_schemas(api, operation)]
    if schemas:
        files[f"clinic_service/resources/{group}/schemas.py"] = _schemas(schemas)
    return files


def _handler(api: Api, operation: Operation) -> str:
    arguments = "".join(f", {name}: {kind}" for name, kind in _arguments(api, operation))
    answer = _answer_type(api, operation)
    imports = "from datetime import datetime\n" if "datetime" in arguments else ""
    imports += "from typing import Any\n" if "Any" in arguments else ""
    imports += "\n" if imports else ""
    context = "Answer, Context" if answer == "Answer" else "Context"
    serialization = "from clinic_service.serialization import JsonObject\n" if "JsonObject" in answer else ""
    return (
        f"{_FIRST_LINE}{imports}"
        f"from clinic_service.context import {context}\n"
        f"from clinic_service.errors import NotImplementedYet\n{serialization}\n\n"
        f"def {handler_name(operation.operation_id)}(ctx: Context{arguments}) -> {answer}:\n"
        f'    """{operation.definition.get("summary", operation.operation_id)}."""\n'
        "    raise NotImplementedYet\n"
    )


def _answer_type(api: Api, operation: Operation) -> str:
    """What the handler returns, by the success response with the lowest status."""
    status = min(status for status in operation.definition["responses"] if status[0] == "2")
    content = api.resolved(operation.definition["responses"][status]).get("content", {})
    if "application/json" not in content:
        return "Answer" if content else "None"
    schema = api.resolved(content["application/json"]["schema"])
    return "list[JsonObject]" if schema.get("type") == "array" else "JsonObject"


def _arguments(api: Api, operation: Operation) -> list[tuple[str, str]]:
    # Headers are read before the handler.
    found = [parameter for _, parameter in api.parameters(operation) if parameter["in"] != "header"]
    whole_query = []
    if sum(parameter["in"] == "query" for parameter in found) > _MOST_PARAMETERS:
        found = [parameter for parameter in found if parameter["in"] == "path"]
        whole_query = [("query", "dict[str, Any]")]
    arguments = [(snake_case(parameter["name"]), _python_type(api, parameter)) for parameter in found] + whole_query
    return [*arguments, ("body", "Any")] if "requestBody" in operation.definition else arguments


def _python_type(api: Api, parameter: dict[str, Any]) -> str:
    schema = api.resolved(parameter["schema"])
    kind = "datetime" if schema.get("format") == "date-time" else _PYTHON_TYPES[schema["type"]]
    always = parameter.get("required") or "default" in schema
    return kind if always else f"{kind} | None"


def _test(operation: Operation) -> str:
    tests = "\n\n\n".join(
        f'def test_{step}(api: Client, database: Database) -> None:\n    pytest.fail("not written yet")'
        for step in _STEPS
    )
    return (
        f'"""{operation.operation_id}: {operation.method.upper()} {operation.path}."""\n\n{_FIRST_LINE}'
        "import pytest\n\n"
        "from clinic_service.db.engine import Database\n"
        f"from tests.support.client import Client\n\n\n{tests}\n"
    )


def _object_schemas(api: Api, operation: Operation) -> list[tuple[str, dict[str, Any]]]:
    contents = [api.resolved(operation.definition.get("requestBody", {}))]
    contents += [api.resolved(node) for status, node in operation.definition["responses"].items() if status[0] == "2"]
    references = [
        media["schema"]["$ref"]
        for content in contents
        for media in content.get("content", {}).values()
        if "$ref" in media.get("schema", {})
    ]
    named = {reference.rsplit("/", 1)[-1]: api.component(reference) for reference in references}
    return [(name, schema) for name, schema in named.items() if "properties" in schema]


def _schemas(schemas: list[str]) -> str:
    code = "\n\n".join(schemas)
    serialization = "WireSchema, WireTime" if "WireTime(" in code else "WireSchema"
    fields = "from marshmallow import fields\n\n" if "fields." in code else ""
    return f"{_FIRST_LINE}{fields}from clinic_service.serialization import {serialization}\n\n\n{code}"


def _schema(api: Api, name: str, schema: dict[str, Any]) -> str:
    class_name = "".join(part[0].upper() + part[1:] for part in name.removesuffix(".v1").split("-"))
    members = "\n".join(
        f"    {snake_case(member)} = {_field(api.resolved(node))}()" for member, node in schema["properties"].items()
    )
    return f'class {class_name}Schema(WireSchema):\n    """`{name}`."""\n\n{members}\n'


def _field(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "WireTime"
    return _FIELDS.get(schema.get("type", ""), "fields.Raw")
