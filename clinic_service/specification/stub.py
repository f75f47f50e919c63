"""`spec stub`: the code that an operation of the spec still needs, to be pasted where it belongs. Writes no file."""

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


def stub(api: Api, operation: Operation) -> str:
    """Handler, test and schema skeletons for `operation`."""
    parts = [_handler(api, operation), _test(operation)]
    parts.extend(_schema(name, schema) for name, schema in _object_schemas(api, operation))
    return "\n\n".join(parts)


def _handler(api: Api, operation: Operation) -> str:
    arguments = "".join(f", {name}: {kind}" for name, kind in _arguments(api, operation))
    return (
        f"# clinic_service/resources/{operation.group}/handlers.py\n\n"
        f"def {handler_name(operation.operation_id)}(ctx: Context{arguments}) -> Any:\n"
        f'    """{operation.definition.get("summary", "")}."""\n'
        "    ...\n"
    )


def _arguments(api: Api, operation: Operation) -> list[tuple[str, str]]:
    found = [api.resolved(node) for node in operation.definition["parameters"]]
    if sum(parameter["in"] == "query" for parameter in found) > 10:
        found = [parameter for parameter in found if parameter["in"] == "path"]
        extra = [("query", "dict[str, Any]")]
    else:
        extra = []
    arguments = [(snake_case(parameter["name"]), _python_type(api, parameter)) for parameter in found] + extra
    return [*arguments, ("body", "Any")] if "requestBody" in operation.definition else arguments


def _python_type(api: Api, parameter: dict[str, Any]) -> str:
    schema = api.resolved(parameter["schema"])
    is_time = schema.get("format") == "date-time"
    kind = "datetime" if is_time else _PYTHON_TYPES[schema["type"]]
    always = parameter.get("required") or "default" in schema
    return kind if always else f"{kind} | None"


def _test(operation: Operation) -> str:
    name = handler_name(operation.operation_id)
    steps = ("works", "refuses_bad_input", "needs_a_token", "is_refused_to_others", "is_not_found", "leaves_behind")
    tests = "\n\n".join(f"def test_{step}(api: Client, database: Database) -> None:\n    ..." for step in steps)
    return (
        f"# tests/api/{operation.group}/test_{name}.py\n\n"
        f'"""{operation.operation_id}: {operation.method.upper()} {operation.path}"""\n\n{tests}\n'
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


def _schema(name: str, schema: dict[str, Any]) -> str:
    class_name = name.removesuffix(".v1").replace("-", "_")
    class_name = class_name[0].upper() + class_name[1:]
    members = "\n".join(
        f"    {snake_case(member)} = {_FIELDS.get(node.get('type', ''), 'fields.Raw')}()"
        for member, node in schema["properties"].items()
    )
    return f'# schemas.py\n\nclass {class_name}Schema(WireSchema):\n    """`{name}`."""\n\n{members}\n'
