"""Removes the parts with faults from a document, so that the next layer of rules can check the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from clinic_service.cli.spec.check.schema_walk import all_schemas
from clinic_service.specification.apis import METHODS, Api
from clinic_service.specification.bundle import Bundle, gap
from clinic_service.specification.source import Place
from clinic_service.specification.structure import Keys, structure_errors

# What takes the place of a part of an operation, so that the rest of the operation is still checked.
_PARTS: dict[str, Callable[[Bundle], Any]] = {
    "parameters": lambda made: [gap("parameters", made)],
    "requestBody": lambda made: gap("requestBodies", made),
    "responses": lambda made: {"default": gap("responses", made)},
}


def without_faulty(made: Bundle, faulty: Iterable[Keys]) -> bool:
    """Remove what is around the parts `faulty` from the document: a part of an operation, an operation or a component.

    Returns whether the structure of what is left is that of OpenAPI.
    """
    document = made.document
    found = list(faulty)
    for keys in found:
        match keys:
            case ("paths", url, method, str(member), *_) if method in METHODS and member in _PARTS:
                if method in document["paths"].get(url, {}):
                    document["paths"][url][method][member] = _PARTS[member](made)
            case ("paths", url, method, *_) if method in METHODS:
                document["paths"].get(url, {}).pop(method, None)
                made.has_all_operations = False
            case ("paths", url, *_):
                document["paths"].pop(url, None)
                made.places.pop(("paths", str(url)), None)
                made.has_all_operations = False
            case ("components", str(kind), str(name), *_) if name in document["components"].get(kind, {}):
                document["components"][kind][name] = gap(kind, made)
    return not found or not list(structure_errors(made))


def without_patterns(api: Api, faulty: Collection[Place]) -> None:
    """Remove the patterns at the places `faulty` from the document."""
    for place, node in all_schemas(api) if faulty else ():
        for keyword in [keyword for keyword in node if place / keyword in faulty]:
            del node[keyword]


def operations_with_gaps(api: Api) -> Iterator[Place]:
    """The places of the operations of which a part could not be read."""
    gaps = {id(part) for part in api.bundle.gaps}
    for operation in api.operations if gaps else ():
        if _holds_one_of(gaps, api, operation.definition, set()):
            yield operation.place


def _holds_one_of(gaps: Collection[int], api: Api, node: Any, passed: set[str]) -> bool:
    if id(node) in gaps:
        return True
    if isinstance(node, list):
        return any(_holds_one_of(gaps, api, item, passed) for item in node)
    if not isinstance(node, dict):
        return False
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/") and reference not in passed:
        passed.add(reference)
        return _holds_one_of(gaps, api, api.component(reference), passed)
    return any(_holds_one_of(gaps, api, value, passed) for value in node.values())
