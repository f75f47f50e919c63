"""Rules about the text of each YAML file, whatever the file describes, and about files that nothing refers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from clinic_service.cli.spec.check.findings import Faults, SpecFinding
from clinic_service.specification.apis import API_NAMES
from clinic_service.specification.source import Place, Source, SpecError

_LONGEST_LINE = 118
_INDENT = 2
_REFERENCE = re.compile(r"""\$ref:\s*['"]?([^\s'"]+)""")
_TEMPLATE_MARKS = ("{{", "{%", "{#")
_TIME = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?")
# What the value of each extension must be, in words, and the YAML that says so. None: other rules look at it.
_TRUE = "must be true", re.compile("true")
_NUMBER = "must be a whole number above 0", re.compile("[1-9][0-9]*")
_EXTENSIONS: dict[str, tuple[str, re.Pattern[str]] | None] = {
    "x-access": None,
    "x-audit": None,
    "x-writes": ("must be true or false", re.compile("true|false")),
    "x-max-body-bytes": _NUMBER,
    "x-max-seconds": _NUMBER,
    "x-any-content-type": _TRUE,
    "x-may-be-empty": _TRUE,
    "x-answer-may-be-absent": _TRUE,
    "x-pattern": None,
    "x-request-pattern": None,
}
# The members of these objects have free names, which may begin with `x-`.
_MAPS = frozenset({"headers", "properties", "example", "value"})


def file_findings(source: Source) -> Iterator[SpecFinding]:
    """The faults in the text of the files. A file that is not YAML has only this one finding."""
    roots = {source.folder / f"{name}.yaml" for name in API_NAMES}
    for file in source.files():
        try:
            source.document(file)
            found = [*_duplicates(source, file), *_lines(source, file, is_root=file in roots), *_nodes(source, file)]
        except SpecError as error:
            found = [(error.line, error.message)]
        yield from (SpecFinding(file, line, message) for line, message in found)


def dead_faults(source: Source) -> Faults:
    """Files, and named parts of files, that no chain of references from a root file leads to."""
    reached = _reached(source)
    for file in source.files():
        names = reached.get(file)
        if names is None:
            yield Place(file), "nothing refers to this file"
        elif None not in names:
            document = source.document(file)
            yield from ((Place(file, (key,)), f"nothing refers to {key!r}") for key in document if key not in names)


def _reached(source: Source) -> dict[Path, set[str | None]]:
    """For each file that references lead to, the parts of it that they name; None stands for the file as a whole."""
    reached: dict[Path, set[str | None]] = {}
    pending: list[tuple[Path, str | None]] = [(file, None) for file in source.files() if file.parent == source.folder]
    while pending:
        file, name = pending.pop()
        names = reached.setdefault(file, set())
        if name in names:
            continue
        try:
            document = source.document(file)
        except SpecError:
            # In a file that cannot be read, the references of its parts cannot be told apart.
            names.add(None)
            found: Iterable[str] = _references_in_text(source, file)
        else:
            names.add(name)
            is_part = name is not None and isinstance(document, dict)
            found = _references(document.get(name) if is_part else document)
        for reference in found:
            path, fragment = source.target(file, reference), reference.partition("#")[2]
            if path is not None:
                pending.append((path, fragment.strip("/").split("/")[0].replace("~1", "/").replace("~0", "~") or None))
    return reached


def _references(document: Any) -> Iterator[str]:
    pending, seen = [document], set()
    while pending:
        node = pending.pop()
        # An alias may lead back to what it is in.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def _references_in_text(source: Source, file: Path) -> list[str]:
    try:
        return _REFERENCE.findall(source.text(file))
    except SpecError:
        return []


def _duplicates(source: Source, file: Path) -> Iterator[tuple[int, str]]:
    return ((line, f"the key {key!r} occurs twice") for line, key in source.duplicate_keys(file))


def _lines(source: Source, file: Path, *, is_root: bool) -> Iterator[tuple[int, str]]:
    for number, text in enumerate(source.text(file).splitlines(), 1):
        # A long word, such as a pattern, cannot be wrapped.
        if len(text) > _LONGEST_LINE and " " in text.strip().partition(": ")[2]:
            yield number, f"a line may have at most {_LONGEST_LINE} columns"
        if is_root and any(mark in text for mark in _TEMPLATE_MARKS):
            yield number, "Connexion reads this file as a template, so it must not contain {{, {% or {#"


def _nodes(source: Source, file: Path) -> Iterator[tuple[int, str]]:
    nodes = list(source.nodes(file))
    mappings = [node for node in nodes if isinstance(node, yaml.MappingNode)]
    maps = {id(value) for node in mappings for key, value in node.value if str(key.value) in _MAPS}
    yield from _extensions(node for node in mappings if id(node) not in maps)
    for node in nodes:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.CollectionNode) and node.flow_style and node.value:
            yield line, "write lists and objects in block style"
        elif isinstance(node, yaml.MappingNode):
            yield from _members(node)
        elif isinstance(node, yaml.ScalarNode) and not node.style and _TIME.fullmatch(node.value):
            yield line, "put a date or time in quotes"


def _members(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    for key, value in node.value:
        line = key.start_mark.line + 1
        is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        if is_block and value.start_mark.column - key.start_mark.column != _INDENT:
            yield value.start_mark.line + 1, f"the content of {key.value!r} must be indented by two spaces"
        if key.value == "$ref" and isinstance(value, yaml.ScalarNode):
            yield from _reference(node, line, value.value)


def _extensions(mappings: Iterable[yaml.MappingNode]) -> Iterator[tuple[int, str]]:
    for node in mappings:
        for key, value in node.value:
            if not str(key.value).startswith("x-"):
                continue
            line = key.start_mark.line + 1
            if key.value not in _EXTENSIONS:
                yield line, f"{key.value!r} is not an extension that this server knows"
            elif rule := _EXTENSIONS[key.value]:
                words, plain = rule
                # A quoted value is text, whatever it looks like.
                if not (isinstance(value, yaml.ScalarNode) and not value.style and plain.fullmatch(value.value)):
                    yield line, f"{key.value!r} {words}"


def _reference(node: yaml.MappingNode, line: int, reference: str) -> Iterator[tuple[int, str]]:
    if "#/components/" in reference:
        yield line, "refer to the file of the component, not to #/components"
    for key, _ in node.value:
        if key.value != "$ref":
            yield key.start_mark.line + 1, f"{key.value!r} is ignored beside a $ref; remove it"
