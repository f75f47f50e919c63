"""Bundling: makes one self-contained OpenAPI document of the files of an API.

A reference to a schema, parameter or response becomes a reference to a component of the same name, so that clients
generated from the bundle keep their type names. References to path items and security schemes are replaced by these.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clinic_service.specification.source import Place, Source, SpecError

# The kind of component that a reference leads to, by the key that holds the reference.
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
# The values of these keys are data, in which nothing is a reference.
_LITERAL = frozenset({"example", "value", "default", "enum", "x-access"})
# The placeholder for a component that cannot be read: the smallest valid component of its kind.
_GAPS: dict[str | None, dict[str, Any]] = {
    "schemas": {"description": "?"},
    "parameters": {"name": "?", "in": "query", "schema": {"description": "?"}},
    "responses": {"description": "?"},
    "requestBodies": {"content": {}},
    "headers": {"schema": {"description": "?"}},
    "securitySchemes": {"type": "http", "scheme": "?"},
}
# The placeholder for a path item that cannot be read, until it is removed.
_LOST = object()
OnFault = Callable[[SpecError], None]


@dataclass
class Bundle:
    """One API: its `document`, the place of its root file, and the places that its path items and components come from.

    The keys of `places` are ("paths", URL) for a path item and (kind, name) for a component. `gaps` stand in the document
    for parts that cannot be read; `has_all_operations` is false when there are operations among these parts.
    """

    document: dict[str, Any]
    root: Place
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    has_all_operations: bool = True

    def place(self, path: Sequence[str | int]) -> Place:
        """The place in the source of the part of the document that the keys `path` lead to."""
        # A component is found by kind and name, so without the key `components`.
        start = 1 if path and path[0] == "components" else 0
        found = self.places.get((str(path[start]), str(path[start + 1]))) if len(path) > start + 1 else None
        return Place(found.file, (*found.keys, *path[start + 2 :])) if found else Place(self.root.file, tuple(path))


def bundle(source: Source, file_name: str, on_fault: OnFault | None = None) -> Bundle:
    """The bundle of the API whose root file is `file_name`.

    Raises SpecError, with file and line, for a file that cannot be read and for a reference that leads nowhere. With
    `on_fault`, such errors are passed to it, and the bundle has gaps; only those of the root file are raised then.
    """
    return _Bundler(source, source.folder / file_name, on_fault).run()


def gap(kind: str | None, made: Bundle) -> dict[str, Any]:
    """A new gap of `made` in the place of a component."""
    found = copy.deepcopy(_GAPS.get(kind, {}))
    if kind == "parameters":
        found["name"] = f"?{len(made.gaps)}"
    made.gaps.append(found)
    return found


class _Bundler:
    def __init__(self, source: Source, root: Path, on_fault: OnFault | None) -> None:
        self._source = source
        self._root = root
        self._on_fault = on_fault
        self._made = Bundle({}, Place(root))
        self._components: dict[str, dict[str, Any]] = {}
        self._places = self._made.places

    def run(self) -> Bundle:
        root = self._source.document(self._root)
        if not isinstance(root, dict) or not isinstance(root.get("paths"), dict):
            raise SpecError(self._root, 1, "an OpenAPI document needs the object `paths`")
        document = {str(key): value for key, value in root.items() if key not in ("paths", "components")}
        try:
            items = ((str(url), self._path_item(str(url), item)) for url, item in root["paths"].items())
            document["paths"] = {url: item for url, item in items if item is not _LOST}
            self._root_components(root.get("components", {}))
        except RecursionError:
            raise SpecError(self._root, 1, "a part of the document contains itself") from None
        document["components"] = {kind: dict(sorted(named.items())) for kind, named in sorted(self._components.items())}
        self._made.document = document
        return self._made

    def _followed(self, node: Any, place: Place) -> tuple[Any, Place] | None:
        """The target of `node`, with its place; None for a reference whose fault was reported."""
        try:
            return self._source.follow(node, place)
        except SpecError as error:
            self._tell(error)
            return None

    def _tell(self, error: SpecError) -> None:
        if self._on_fault is None:
            raise error
        self._on_fault(error)

    def _path_item(self, url: str, item: Any) -> Any:
        followed = self._followed(item, Place(self._root, ("paths", url)))
        if followed is None:
            self._made.has_all_operations = False
            return _LOST
        item, place = followed
        self._places["paths", url] = place
        return self._copy(item, place, None)

    def _root_components(self, components: Any) -> None:
        here = Place(self._root, ("components",))
        for kind, named in self._members(components, here):
            for name, item in self._members(named, here / kind):
                followed = self._followed(item, here / kind / name)
                target, place = followed or (gap(kind, self._made), here / kind / name)
                self._places.setdefault((kind, name), place)
                copied = self._copy(target, place, None) if followed else target
                self._components.setdefault(kind, {}).setdefault(name, copied)

    def _members(self, node: Any, place: Place) -> list[tuple[str, Any]]:
        if not isinstance(node, dict):
            raise SpecError(place.file, self._source.line(place), f"{place.keys[-1]} must be an object")
        return [(str(name), item) for name, item in node.items()]

    def _copy(self, node: Any, place: Place, kind: str | None) -> Any:
        """`node`, with references to files turned into references to components.

        `kind` is the kind of component that `node` is, such as `schemas`; with a star behind it, `node` is an object whose
        members are of that kind. None: `node` is not a component.
        """
        if isinstance(node, list):
            return [self._copy(item, place / index, kind) for index, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return self._reference(node, place, kind)
        return {str(key): self._member(str(key), value, place, kind) for key, value in node.items()}

    def _member(self, key: str, value: Any, place: Place, kind: str | None) -> Any:
        # The keys of an object of components are names that the editor chose, never keywords.
        if kind and kind.endswith("*"):
            return self._copy(value, place / key, kind[:-1])
        if key in _LITERAL:
            return value
        if key in _KIND_OF_MEMBERS:
            members = _KIND_OF_MEMBERS[key]
            return self._copy(value, place / key, members if isinstance(value, list) else members + "*")
        return self._copy(value, place / key, _KIND_OF_KEY.get(key))

    def _reference(self, node: dict[str, Any], place: Place, kind: str | None) -> Any:
        followed = self._followed(node, place)
        if followed is None:
            return gap(kind, self._made)
        target, found = followed
        if kind is None:
            return self._copy(target, found, None)
        name = str(found.keys[-1]) if found.keys else found.file.stem
        known = self._places.get((kind, name))
        if known is None:
            self._places[kind, name] = found
            self._components.setdefault(kind, {})[name] = self._copy(target, found, None)
        elif known != found:
            line = self._source.line(place / "$ref")
            self._tell(SpecError(place.file, line, f"two {kind} are named {name!r}: the other is in {known.file.name}"))
        return {"$ref": f"#/components/{kind}/{name}"}
