"""Reading the YAML files of the spec, following references between them, and finding the line a thing stands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

CSafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Place(NamedTuple):
    """Where something stands in the source: a file and the keys that lead to it."""

    file: Path
    keys: tuple[str | int, ...] = ()

    def __truediv__(self, key: str | int) -> Place:
        return Place(self.file, (*self.keys, key))


class SpecError(Exception):
    """The YAML cannot be read as a spec; says the file, the line and what is wrong."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(file, line, message)
        self.file, self.line, self.message = file, line, message

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class _Loader(CSafeLoader):  # type: ignore[misc]  # chosen at run time: C where it is built, Python elsewhere
    """YAML as JSON would have it: dates and times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in CSafeLoader.yaml_implicit_resolvers.items()
}


class Source:
    """The files under one folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._documents: dict[Path, Any] = {}
        self._nodes: dict[Path, yaml.Node] = {}

    def document(self, file: Path) -> Any:
        """The content of `file`. Raises SpecError when it is missing or no YAML."""
        if file not in self._documents:
            self._documents[file] = self._read(file)
        return self._documents[file]

    def follow(self, reference: str, here: Path) -> tuple[Any, Place]:
        """What `reference`, written in the file `here`, points at, through any chain of further references."""
        file_part, _, fragment = reference.partition("#")
        file = (here.parent / file_part).resolve() if file_part else here
        keys = tuple(key.replace("~1", "/").replace("~0", "~") for key in fragment.split("/") if key)
        node = self.document(file)
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                raise KeyError(f"{reference!r} points at nothing")
            node = node[key]
        place = Place(file, keys)
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            return self.follow(node["$ref"], file)
        return node, place

    def line(self, place: Place) -> int:
        """The line `place` stands on, or that of the nearest thing around it which exists."""
        node: yaml.Node | None = self._node(place.file)
        line = 1
        for key in place.keys:
            node, line = _child(node, key, line)
        return line

    def files(self) -> list[Path]:
        """Every YAML file of the folder, in order."""
        return sorted(self.folder.rglob("*.yaml"))

    def duplicate_keys(self, file: Path) -> list[tuple[int, str]]:
        """(line, key) of each mapping key that stands twice; YAML itself would let the later one win in silence."""
        return list(_duplicate_keys(self._node(file)))

    def _read(self, file: Path) -> Any:
        try:
            return yaml.load(file.read_text(encoding="utf-8"), _Loader)
        except FileNotFoundError:
            raise SpecError(file, 1, "the file does not exist") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "not YAML"
            raise SpecError(file, mark.line + 1 if mark else 1, str(problem)) from None

    def _node(self, file: Path) -> yaml.Node:
        if file not in self._nodes:
            self._nodes[file] = yaml.compose(file.read_text(encoding="utf-8"), _Loader) or yaml.ScalarNode("", "")
        return self._nodes[file]


def _child(node: yaml.Node | None, key: str | int, line: int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return value, name.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line + 1
    return None, line


def _duplicate_keys(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if name.value in seen:
                yield name.start_mark.line + 1, name.value
            seen.add(name.value)
            yield from _duplicate_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicate_keys(item)
