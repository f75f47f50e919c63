"""Handlers say what they return, so that mypy can follow it.

Nothing is imported for this; the sources are read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.test_imports import Source, sources


def public_functions(source: Source) -> Iterator[ast.FunctionDef]:
    """The functions and methods of the module whose names do not begin with an underscore."""
    for node in ast.walk(source.tree):
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
