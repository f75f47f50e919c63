"""The two published APIs, each as a document and a list of operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinic_service.packaged import spec_folder
from clinic_service.specification.bundle import Bundle, bundle
from clinic_service.specification.source import Place, Source, SpecError
from clinic_service.specification.structure import structure_faults

API_NAMES = ("clinic.v1", "access.v1")
METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One operation of an API: `definition` is its OpenAPI object, with the parameters of its URL added, and with
    `security`, the document's unless it has its own."""

    api: str
    method: str
    path: str
    definition: dict[str, Any]
    place: Place

    @property
    def operation_id(self) -> str:
        """The `operationId`; where it is missing, method and path stand in for it."""
        return str(self.definition.get("operationId", f"{self.method} {self.path}"))

    @property
    def url_place(self) -> Place:
        """The place of the path item that holds the operation."""
        return Place(self.place.file, self.place.keys[:-1])

    @property
    def schemes(self) -> list[str]:
        """The names of the security schemes by which callers prove who they are."""
        return [name for requirement in self.definition.get("security", []) for name in requirement]

    @property
    def group(self) -> str:
        """The common name of its spec file, its package under `resources/` and the folder of its tests: `patients` …"""
        return self.place.file.name.split(".")[0]


@dataclass(frozen=True)
class Api:
    """One API: its bundle and its operations. The operations are in the order of the root file."""

    name: str
    bundle: Bundle
    operations: tuple[Operation, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The whole API as one OpenAPI document."""
        return self.bundle.document

    def component(self, reference: str) -> dict[str, Any]:
        """The component that `reference`, `#/components/KIND/NAME`, leads to. Raises KeyError when there is none."""
        _, _, kind, name = reference.split("/")
        found: dict[str, Any] = self.document["components"][kind][name]
        return found

    def parameters(self, operation: Operation) -> Iterator[tuple[Place, dict[str, Any]]]:
        """The parameters of the operation, each with its place: first those of its URL, then its own."""
        item = self.document["paths"][operation.path]
        for holder, place in ((item, operation.url_place), (item[operation.method], operation.place)):
            for index, node in enumerate(holder.get("parameters", [])):
                name = node.get("$ref", "").rsplit("/", 1)[-1]
                yield self.bundle.places.get(("parameters", name), place / "parameters" / index), self.resolved(node)

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """`node` itself, or the component that it refers to."""
        return self.component(node["$ref"]) if "$ref" in node else node


def load_apis(folder: Path | None = None) -> list[Api]:
    """Both APIs from the YAML under `folder`; None: from the spec that came with this server. Raises SpecError."""
    source = Source(folder or spec_folder())
    return [load_api(source, name) for name in API_NAMES]


def load_api(source: Source, name: str) -> Api:
    """The API whose root file is `name`.yaml. Raises SpecError when it cannot be read or is not OpenAPI 3.0."""
    return load_file(source, f"{name}.yaml")


def load_file(source: Source, file_name: str) -> Api:
    """The API whose root file is `file_name`, named as the file without its ending.

    Raises SpecError when it cannot be read or is not OpenAPI 3.0.
    """
    made = bundle(source, file_name)
    for place, message in structure_faults(made):
        raise SpecError(place.file, source.line(place), message)
    return made_api(file_name.rpartition(".")[0] or file_name, made)


def made_api(name: str, made: Bundle) -> Api:
    """The API `name` with the bundle `made`, whose structure must have no faults."""
    return Api(name, made, tuple(_operations(name, made)))


def _operations(api: str, made: Bundle) -> Iterator[Operation]:
    default = made.document.get("security", [])
    for path, item in made.document["paths"].items():
        place = made.places["paths", path]
        for method in METHODS:
            if method in item:
                own = item[method]
                parameters = [*item.get("parameters", []), *own.get("parameters", [])]
                definition = {"security": default, **own, "parameters": parameters}
                yield Operation(api, method, path, definition, place / method)
