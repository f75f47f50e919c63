"""Reads the YAML files of the spec, follows the references between them, and finds the lines of their parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CSafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_MERGE, _TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
_TOO_LARGE = 1 << 63


class Place(NamedTuple):
    """A place in the source: a file, and the keys that lead to a part of it."""

    file: Path
    keys: tuple[str | int, ...] = ()

    def __truediv__(self, key: str | int) -> Place:
        return Place(self.file, (*self.keys, key))

    def at(self, pointer: str) -> Place:
        """The place within this one that `pointer`, such as `/items/0`, leads to."""
        keys = (int(key) if key.isdecimal() else key for key in pointer.split("/")[1:])
        return Place(self.file, (*self.keys, *keys))


class SpecError(Exception):
    """The YAML cannot be read as a spec. Holds the file, the line (from 1) and what is wrong there."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(file, line, message)
        self.file, self.line, self.message = file, line, message

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class _Loader(CSafeLoader):  # type: ignore[misc]  # chosen at run time: C where it is built, Python elsewhere
    """Loads only what JSON can hold: keys, dates and times become strings, and other values are refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                key.tag = _TEXT
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        try:
            number = self.construct_yaml_int(node) if node.tag.endswith(":int") else self.construct_yaml_float(node)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise yaml.constructor.ConstructorError(None, None, "this is not a number in JSON", node.start_mark)
        if abs(number) >= _TOO_LARGE:
            raise yaml.constructor.ConstructorError(None, None, "this number has more than 63 bits", node.start_mark)
        return number  # type: ignore[no-any-return]  # the loader is chosen at run time


_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in CSafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _KINDS
}
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in CSafeLoader.yaml_implicit_resolvers.items()
}


class Source:
    """The YAML files under one folder. Each is read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._texts: dict[Path, str] = {}
        self._documents: dict[Path, Any] = {}
        self._nodes: dict[Path, yaml.Node] = {}
        self._errors: dict[Path, SpecError] = {}
        self._targets: dict[tuple[Path, str], Path | None] = {}

    def document(self, file: Path) -> Any:
        """The content of `file`. Raises SpecError when the file is missing or not YAML."""
        if file in self._errors:
            raise self._errors[file]
        if file not in self._documents:
            try:
                self._documents[file] = self._read(file)
            except SpecError as error:
                self._errors[file] = error
                raise
        return self._documents[file]

    def follow(self, node: Any, place: Place) -> tuple[Any, Place]:
        """The node that `node` at `place` refers to, with its place. Chains of references are followed to their end.

        A node that is not a reference is returned as it is. Raises SpecError for a reference that leads nowhere.
        """
        passed = {place}
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            node, target = self._step(node["$ref"], place)
            if target in passed:
                raise self._error(place, f"{'/'.join(map(str, target.keys)) or target.file.name} refers to itself")
            passed.add(target)
            place = target
        return node, place

    def target(self, file: Path, reference: str) -> Path | None:
        """The file that `reference`, which is written in `file`, leads to; None when there is no such file."""
        named = reference.partition("#")[0]
        key = file.parent if named else file, named
        # There are many references to few files, and the file system is slow to ask.
        if key not in self._targets:
            path = (file.parent / named).resolve() if named and "\0" not in named else file
            self._targets[key] = path if "\0" not in named and path.is_file() else None
        return self._targets[key]

    def _step(self, reference: str, place: Place) -> tuple[Any, Place]:
        """The node that `reference`, which is written at `place`, leads to, with its place."""
        file, fragment = self.target(place.file, reference), reference.partition("#")[2]
        if file is None:
            raise self._error(place, f"{reference!r} points at a file that does not exist")
        keys = tuple(key.replace("~1", "/").replace("~0", "~") for key in fragment.split("/") if key)
        node = self.document(file)
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                raise self._error(place, f"{reference!r} points at nothing")
            node = node[key]
        return node, Place(file, keys)

    def _error(self, place: Place, message: str) -> SpecError:
        return SpecError(place.file, self.line(place / "$ref"), message)

    def line(self, place: Place) -> int:
        """The line of `place`, from 1. For a place that does not exist, the line of the nearest part around it."""
        node: yaml.Node | None = self._node(place.file)
        line = 1
        for key in place.keys:
            node, line = _child(node, key, line)
        return line

    def read(self) -> None:
        """Read all files now. What is wrong with one of them is raised when it is asked for."""
        for file in self.files():
            with suppress(SpecError):
                self.document(file)

    def files(self) -> list[Path]:
        """All YAML files of the folder, sorted by path."""
        return sorted(self.folder.rglob("*.yaml"))

    def read_files(self) -> list[Path]:
        """The files that have been read so far."""
        return sorted(self._documents)

    def duplicate_keys(self, file: Path) -> list[tuple[int, str]]:
        """(line, key) of each key that is in its object already. The YAML parser would silently keep the later value."""
        return [
            found for node in self.nodes(file) if isinstance(node, yaml.MappingNode) for found in _duplicate_keys(node)
        ]

    def nodes(self, file: Path) -> Iterator[yaml.Node]:
        """All nodes of the file, each once. A node knows its line and column (`start_mark`)."""
        pending, seen = [self._node(file)], set()
        while pending:
            node = pending.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            if isinstance(node, yaml.MappingNode):
                pending.extend(part for pair in node.value for part in pair)
            elif isinstance(node, yaml.SequenceNode):
                pending.extend(node.value)

    def _read(self, file: Path) -> Any:
        try:
            return yaml.load(self.text(file), _Loader)
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or "not YAML"
            raise SpecError(file, _line_of(error), str(problem)) from None
        except (ValueError, RecursionError):
            raise SpecError(file, 1, "the file holds a value that cannot be read") from None

    def _node(self, file: Path) -> yaml.Node:
        if file not in self._nodes:
            self._nodes[file] = yaml.compose(self.text(file), _Loader) or yaml.ScalarNode("", "")
        return self._nodes[file]

    def text(self, file: Path) -> str:
        """The text of `file`. Raises SpecError when it cannot be read."""
        if file not in self._texts:
            try:
                self._texts[file] = file.read_text(encoding="utf-8")
            except FileNotFoundError:
                raise SpecError(file, 1, "the file does not exist") from None
            except (OSError, UnicodeDecodeError):
                raise SpecError(file, 1, "the file cannot be read as UTF-8 text") from None
        return self._texts[file]


def _line_of(error: yaml.YAMLError) -> int:
    """The line of the error. For a bracket or quote that is never closed, the line at which it was opened."""
    context = getattr(error, "context", None) or ""
    is_open = "flow" in context or "quoted" in context
    mark = getattr(error, "context_mark" if is_open else "problem_mark", None)
    return mark.line + 1 if mark else 1


def _child(node: yaml.Node | None, key: str | int, line: int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return value, name.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line + 1
    return None, line


def _duplicate_keys(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for name, _ in node.value:
        if isinstance(name, yaml.ScalarNode):
            if name.value in seen:
                yield name.start_mark.line + 1, name.value
            seen.add(name.value)
