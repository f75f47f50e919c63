"""Path and query parameters: from text to values, as the spec declares them, compiled once for each operation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from clinic_service.api.validation import Validator, Validators
from clinic_service.clock import from_wire
from clinic_service.errors import BadRequest, Finding
from clinic_service.specification.apis import Api

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}


class PlanError(Exception):
    """The spec or a handler is not as the server needs it; stops the start-up."""


def snake_case(name: str) -> str:
    """`clinicId` as `clinic_id`, `GetMRNSettings` as `get_mrn_settings`: the Python name of a name of the spec."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).replace("-", "_").lower()


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: where it is, what it is called here and there, and how its text becomes a value."""

    location: str
    name: str
    argument: str
    required: bool
    default: Any
    type: str
    format: str | None
    is_list: bool
    validator: Validator

    def read(self, text: str) -> Any:
        """The value of `text`. Raises BadRequest naming the parameter and the rule, never the value."""
        if "\x00" in text:
            raise self.refusal("characters")
        value = self._convert(text)
        if not self.validator.is_valid(value):
            raise BadRequest(findings=self.validator.findings(value, self.pointer))
        return self._time(value) if self.format == "date-time" else value

    @property
    def pointer(self) -> str:
        return f"/{self.location}/{self.name}"

    def refusal(self, rule: str) -> BadRequest:
        return BadRequest(findings=[Finding(self.pointer, rule)])

    def _convert(self, text: str) -> Any:
        if self.is_list:
            return text.split(",") if text else []
        if self.type == "string":
            return text
        if self.type == "boolean" and text in _BOOLEANS:
            return _BOOLEANS[text]
        if self.type == "integer" and _INTEGER.fullmatch(text):
            return int(text)
        if self.type == "number" and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        raise self.refusal("type")

    def _time(self, text: str) -> datetime:
        try:
            return from_wire(text)
        except ValueError:
            raise self.refusal("format") from None


class Parameters:
    """All parameters of one operation."""

    def __init__(self, declared: Sequence[Parameter]) -> None:
        self.path = [parameter for parameter in declared if parameter.location == "path"]
        self.query = {parameter.name: parameter for parameter in declared if parameter.location == "query"}
        self._defaults = {p.name: p.default for p in self.query.values() if p.default is not None}
        self._required = [p for p in self.query.values() if p.required]

    def read_path(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The path values by argument name. Raises BadRequest."""
        return {parameter.argument: parameter.read(values[parameter.name]) for parameter in self.path}

    def read_query(self, query_string: str) -> dict[str, Any]:
        """The query values by their names in the spec, defaults filled in; unknown names are ignored.

        Raises BadRequest for a missing, malformed or repeated parameter.
        """
        values = dict(self._defaults)
        if query_string:
            self._read_given(query_string, values)
        for parameter in self._required:
            if parameter.name not in values:
                raise parameter.refusal("required")
        return values

    def _read_given(self, query_string: str, values: dict[str, Any]) -> None:
        seen: set[str] = set()
        for name, text in _pairs(query_string):
            parameter = self.query.get(name)
            if parameter is None:
                continue
            if name in seen:
                raise parameter.refusal("repeated")
            seen.add(name)
            values[name] = parameter.read(text)


def _pairs(query_string: str) -> list[tuple[str, str]]:
    try:
        # WSGI hands the query over as latin-1; the percent-encoded bytes are UTF-8.
        query_string.encode("ascii")
        return parse_qsl(query_string, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=1000)
    except ValueError:
        raise BadRequest("The query string cannot be read.", [Finding("/query", "encoding")]) from None


def compile_parameters(api: Api, definition: Mapping[str, Any], validators: Validators) -> Parameters:
    """The parameters of an operation. Raises PlanError for one whose type the server cannot read."""
    declared = [_compile(api, api.resolved(node), validators) for node in definition["parameters"]]
    return Parameters(declared)


def _compile(api: Api, node: dict[str, Any], validators: Validators) -> Parameter:
    schema = api.resolved(node["schema"])
    kind = schema.get("type")
    if kind not in ("string", "integer", "number", "boolean", "array"):
        raise PlanError(f"parameter {node['name']!r} has no readable type")
    if kind == "array" and node.get("explode", True) and node["in"] == "query":
        raise PlanError(f"parameter {node['name']!r}: a list is one comma-separated value (explode: false)")
    return Parameter(
        location=node["in"],
        name=node["name"],
        argument=snake_case(node["name"]),
        required=bool(node.get("required")),
        default=schema.get("default"),
        type=kind,
        format=schema.get("format"),
        is_list=kind == "array",
        validator=validators.request(node["schema"]),
    )
