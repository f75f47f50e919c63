"""Parameters of any document: those that the service can read, and lists in every common form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_service.api.parameters import Parameter, Parameters, PlanError, compile_parameter
from clinic_service.api.validation import Validators
from clinic_service.errors import BadRequest
from clinic_service.mock.schemas import flattened, type_of
from clinic_service.specification.apis import Api, Operation
from clinic_service.specification.source import Place

_SEPARATORS = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
_SIMPLE = {"path": "simple", "query": "form"}


@dataclass(frozen=True)
class ListParameter(Parameter):
    """A list. Its items are joined by `separator`; without a separator the parameter is repeated for each item."""

    separator: str | None
    item: Parameter

    def read(self, texts: Sequence[str]) -> Any:
        if self.separator is not None:
            if len(texts) > 1:
                raise self.refusal("repeated", 1)
            texts = texts[0].split(self.separator) if texts[0] else []
        if any("\x00" in text for text in texts):
            raise self.refusal("characters")
        value = [self.item.convert(text) for text in texts]
        if not self.validator.is_valid(value):
            raise BadRequest(violations=self.validator.violations(value, self.pointer))
        return value


@dataclass(frozen=True)
class UncheckedParameter(Parameter):
    """A parameter whose form the mock does not read. Every value is accepted."""

    def read(self, texts: Sequence[str]) -> Any:
        return list(texts)


def read_parameters(api: Api, operation: Operation, validators: Validators) -> tuple[Parameters, list[Place]]:
    """The parameters in path and query, and the places of those that are not checked. Raises ValueError.

    Parameters in headers and cookies are ignored, because the service has none.
    """
    # A parameter of an operation replaces the parameter with the same name of its URL.
    declared = {(node["in"], node["name"]): (place, node) for place, node in api.parameters(operation)}
    read, unchecked = [], []
    for (location, _), (place, node) in declared.items():
        if location in _SIMPLE:
            parameter = _compile(api, node, validators)
            read.append(parameter)
            if isinstance(parameter, UncheckedParameter):
                unchecked.append(place)
    return Parameters(read), unchecked


def _compile(api: Api, node: dict[str, Any], validators: Validators) -> Parameter:
    if "schema" not in node or node.get("style", _SIMPLE[node["in"]]) not in _SEPARATORS:
        return _unchecked(node, validators)
    schema = flattened(api, node["schema"])
    if type_of(schema) == "array":
        return _list(api, node, schema, validators)
    if "type" not in api.resolved(node["schema"]):
        # The type can be in a part of `allOf`, where the service does not look for it.
        known = {key: schema[key] for key in ("format", "default") if key in schema}
        node = {**node, "schema": {**known, "type": type_of(schema), "allOf": [node["schema"]]}}
    try:
        return compile_parameter(api, node, validators)
    except PlanError:
        return _unchecked(node, validators)


def _list(api: Api, node: dict[str, Any], schema: Mapping[str, Any], validators: Validators) -> Parameter:
    item = _compile(api, {**node, "schema": schema.get("items", {"type": "string"})}, validators)
    if isinstance(item, ListParameter | UncheckedParameter):
        return _unchecked(node, validators)
    style = node.get("style", _SIMPLE[node["in"]])
    is_exploded = node["in"] == "query" and node.get("explode", style == "form")
    return ListParameter(
        **{**vars(item), "default": schema.get("default"), "type": "array", "format": None, "is_list": True}
        | {"validator": validators.request(node["schema"])},
        separator=None if is_exploded else _SEPARATORS[style],
        item=item,
    )


def _unchecked(node: dict[str, Any], validators: Validators) -> Parameter:
    # An object is often sent as one parameter for each member, so a missing parameter is not an error.
    return UncheckedParameter(
        location=node["in"],
        name=node["name"],
        argument=node["name"],
        required=False,
        default=None,
        type="object",
        format=None,
        is_list=False,
        validator=validators.request({}),
    )
