"""Handlers, rules and repositories say what they return, so that mypy can follow it.

Nothing is imported for this; the sources are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.test_imports import Source, sources


def public_functions(source: Source) -> Iterator[ast.FunctionDef]:
    """The functions and methods of the module whose names do not begin with an underscore."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def alternatives(annotation: ast.expr | None) -> set[str]:
    """The parts of a union, as they are written; the empty text where there is no annotation."""
    return set(ast.unparse(annotation).split(" | ")) if annotation else {""}


def test_handlers_say_what_they_return() -> None:
    handlers = [
        function
        for name, source in sources().items()
        if name.endswith(".handlers")
        for function in public_functions(source)
    ]
    assert len(handlers) >= 80
    assert [one.name for one in handlers if alternatives(one.returns) & {"", "Any"}] == []


# The members of a document that another system sent can be anything.
UNTYPED = {"resources.ehr.redox.members.items", "resources.ehr.redox.members.member"}


VAGUE = re.compile(r"Any|Row\b.*|(list|Sequence|Iterable|Iterator)\[(Any|Row\b.*)\]")


def is_vague(annotation: ast.expr | None) -> bool:
    """Whether it is left open what is returned: anything, a row of any columns, or a sequence of these."""
    parts = alternatives(annotation) - {"None"}
    return any(VAGUE.fullmatch(part) for part in parts)


def test_rules_and_repositories_say_what_they_return() -> None:
    """Schemas read and write what marshmallow hands them, whatever it is."""
    found = {
        f"{name}.{function.name}"
        for name, source in sources().items()
        if name.startswith(("resources.", "outbox.")) and not name.endswith(".schemas")
        for function in public_functions(source)
        if is_vague(function.returns)
    }
    assert found == UNTYPED


@pytest.mark.parametrize("annotation", ["Any", "Any | None", "Row[Any]", "Sequence[Any]", "list[Row[str, Any]]"])
def test_vague_annotations_are_found(annotation: str) -> None:
    assert is_vague(ast.parse(annotation, mode="eval").body)


@pytest.mark.parametrize("annotation", ["None", "dict[str, Any]", "Sequence[PatientRow]", "Select[Any]"])
def test_others_are_not_vague(annotation: str) -> None:
    assert not is_vague(ast.parse(annotation, mode="eval").body)
