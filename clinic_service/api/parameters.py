"""Path and query parameters: from text to values, as the spec declares them, compiled once for each operation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from clinic_service.api.validation import MAX_VIOLATIONS, Validator, Validators
from clinic_service.clock import from_wire
from clinic_service.errors import BadRequest, Violation
from clinic_service.specification.apis import Api

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}


class PlanError(Exception):
    """The spec or a handler has a fault because of which the server cannot start."""


def snake_case(name: str) -> str:
    """`clinicId` as `clinic_id`, `GetMRNSettings` as `get_mrn_settings`: the Python name of a name of the spec."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).replace("-", "_").lower()


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: its place, its names in the spec and in Python, and how its text becomes a value."""

    location: str
    name: str
    argument: str
    required: bool
    default: Any
    type: str
    format: str | None
    is_list: bool
    validator: Validator

    def read(self, texts: Sequence[str]) -> Any:
        """The value of the parameter, which was sent with each of `texts`.

        Raises BadRequest naming the parameter, the rule and what it allows, never the value.
        """
        if len(texts) > 1:
            raise self.refusal("repeated", 1)
        text = texts[0]
        if "\x00" in text:
            raise self.refusal("characters")
        value = self.convert(text)
        if not self.validator.is_valid(value):
            raise BadRequest(violations=self.validator.violations(value, self.pointer))
        return self._time(value) if self.format == "date-time" else value

    @property
    def pointer(self) -> str:
        """The pointer to the parameter in violations, such as `/query/limit`."""
        return f"/{self.location}/{self.name}"

    def refusal(self, rule: str, expected: Any = True) -> BadRequest:
        """The error for a value that breaks `rule`; for `expected` see `Violation`."""
        return BadRequest(violations=[Violation(self.pointer, rule, expected)])

    def convert(self, text: str) -> Any:
        """The value that `text` spells in the type of the parameter. Raises BadRequest."""
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
        raise self.refusal("type", self.type)

    def _time(self, text: str) -> datetime:
        try:
            return from_wire(text)
        except ValueError:
            raise self.refusal("format", self.format) from None


class Parameters:
    """All parameters of one operation."""

    def __init__(self, declared: Sequence[Parameter]) -> None:
        self.path = [parameter for parameter in declared if parameter.location == "path"]
        self.query = {parameter.name: parameter for parameter in declared if parameter.location == "query"}
        self._defaults = {p.name: p.default for p in self.query.values() if p.default is not None}
        self._required = [p for p in self.query.values() if p.required]

    def read(
        self, path: Mapping[str, str], query_string: str, *, strict: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The path values by argument name, and the query values by their names in the spec, defaults filled in.

        Raises BadRequest that names every parameter which is missing, malformed or repeated. Unknown names in the query
        are ignored, or refused as well when `strict`.
        """
        refusals: list[BadRequest] = []
        values = {p.argument: _read(p, [path[p.name]], refusals) for p in self.path}
        query = dict(self._defaults)
        if query_string:
            given = _grouped(query_string)
            query |= {p.name: _read(p, given[p.name], refusals) for p in map(self.query.get, given) if p}
            if strict and not given.keys() <= self.query.keys():
                # The error does not contain the unknown name, because it is a value of the request.
                refusals.append(BadRequest(violations=[Violation("/query/*", "unknown", sorted(self.query))]))
        refusals.extend(p.refusal("required") for p in self._required if p.name not in query)
        if refusals:
            violations = [violation for refusal in refusals for violation in refusal.violations]
            raise BadRequest(violations=violations[:MAX_VIOLATIONS])
        return values, query


def _read(parameter: Parameter, texts: Sequence[str], refusals: list[BadRequest]) -> Any:
    """The value of a parameter that was sent with each of `texts`. A refusal is added to the others, not raised."""
    try:
        return parameter.read(texts)
    except BadRequest as refusal:
        refusals.append(refusal)
        return None


def _grouped(query_string: str) -> dict[str, list[str]]:
    """The texts of each name, in order. Raises BadRequest."""
    given: dict[str, list[str]] = {}
    for name, text in _pairs(query_string):
        given.setdefault(name, []).append(text)
    return given


def _pairs(query_string: str) -> list[tuple[str, str]]:
    try:
        # WSGI hands the query over as latin-1; the percent-encoded bytes are UTF-8.
        query_string.encode("ascii")
        return parse_qsl(query_string, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=1000)
    except ValueError:
        raise BadRequest("The query string cannot be read.", [Violation("/query", "encoding", "UTF-8")]) from None


def compile_parameters(api: Api, definition: Mapping[str, Any], validators: Validators) -> Parameters:
    """The parameters of an operation. Raises PlanError for one whose type the server cannot read."""
    declared = [compile_parameter(api, api.resolved(node), validators) for node in definition["parameters"]]
    return Parameters(declared)


def compile_parameter(api: Api, node: dict[str, Any], validators: Validators) -> Parameter:
    """One parameter of an operation. Raises PlanError for one whose type the server cannot read."""
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
