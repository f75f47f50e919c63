"""Bundling: the files of one API as one self-contained OpenAPI document.

A reference to a schema, parameter or response becomes a reference to a component of the same name, so that clients
generated from the bundle keep their type names. Path items and security schemes are put in place of their reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clinic_service.specification.source import Place, Source, SpecError

# Under which key of an object a reference is to which kind of component.
_KIND_OF_KEY = {
    "schema": "schemas",
    "items": "schemas",
    "not": "schemas",
    "additionalProperties": "schemas",
    "requestBody": "requestBodies",
}
_KIND_OF_MEMBERS = {
    "properties": "schemas",
    "allOf": "schemas",
    "anyOf": "schemas",
    "oneOf": "schemas",
    "parameters": "parameters",
    "responses": "responses",
    "headers": "headers",
    "examples": "examples",
}
# Values that only look like parts of a document.
_LITERAL = frozenset({"example", "default", "enum", "x-access"})


@dataclass
class Bundle:
    """`document` is the whole API; `places` tells where each path item and component comes from."""

    document: dict[str, Any]
    places: dict[tuple[str, str], Place] = field(default_factory=dict)


def bundle(source: Source, file_name: str) -> Bundle:
    """The API whose root file is `file_name`. Raises SpecError with file and line for a reference that leads nowhere."""
    return _Bundler(source, source.folder / file_name).run()


class _Bundler:
    def __init__(self, source: Source, root: Path) -> None:
        self._source = source
        self._root = root
        self._components: dict[str, dict[str, Any]] = {}
        self._places: dict[tuple[str, str], Place] = {}

    def run(self) -> Bundle:
        root = self._source.document(self._root)
        if not isinstance(root, dict) or not isinstance(root.get("paths"), dict):
            raise SpecError(self._root, 1, "an OpenAPI document needs paths")
        document = {key: value for key, value in root.items() if key not in ("paths", "components")}
        document["paths"] = {url: self._path_item(url, item) for url, item in root["paths"].items()}
        self._root_components(root.get("components", {}))
        document["components"] = {kind: dict(sorted(named.items())) for kind, named in self._components.items()}
        return Bundle(document, self._places)

    def _path_item(self, url: str, item: Any) -> Any:
        item, place = self._target(item, Place(self._root, ("paths", url)))
        self._places["paths", url] = place
        return self._copy(item, place, None)

    def _root_components(self, components: dict[str, Any]) -> None:
        for kind, named in components.items():
            for name, item in named.items():
                target, place = self._target(item, Place(self._root, ("components", kind, name)))
                self._components.setdefault(kind, {}).setdefault(name, self._copy(target, place, None))

    def _target(self, item: Any, place: Place) -> tuple[Any, Place]:
        if not (isinstance(item, dict) and isinstance(item.get("$ref"), str)):
            return item, place
        try:
            return self._source.follow(item["$ref"], place.file)
        except KeyError as error:
            raise SpecError(place.file, self._source.line(place / "$ref"), str(error.args[0])) from None

    def _copy(self, node: Any, place: Place, kind: str | None) -> Any:
        """`node` with its references turned into references to components; `kind` is what it would be one of."""
        if isinstance(node, list):
            return [self._copy(item, place / index, kind) for index, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return self._reference(node, place, kind)
        return {str(key): self._member(str(key), value, place, kind) for key, value in node.items()}

    def _member(self, key: str, value: Any, place: Place, kind: str | None) -> Any:
        # In a map of named schemas a key is a name chosen by the editor, never a keyword.
        if kind and kind.endswith("*"):
            return self._copy(value, place / key, kind[:-1])
        if key in _LITERAL:
            return value
        if key in _KIND_OF_MEMBERS:
            members = _KIND_OF_MEMBERS[key]
            return self._copy(value, place / key, members if isinstance(value, list) else members + "*")
        return self._copy(value, place / key, _KIND_OF_KEY.get(key))

    def _reference(self, node: dict[str, Any], place: Place, kind: str | None) -> Any:
        target, found = self._target(node, place)
        if kind is None:
            return self._copy(target, found, None)
        name = str(found.keys[-1]) if found.keys else found.file.stem
        known = self._places.get((kind, name))
        if known is None:
            self._places[kind, name] = found
            self._components.setdefault(kind, {})[name] = self._copy(target, found, None)
        elif known != found:
            line = self._source.line(place)
            raise SpecError(place.file, line, f"two {kind} are named {name!r}: the other is in {known.file.name}")
        return {"$ref": f"#/components/{kind}/{name}"}
