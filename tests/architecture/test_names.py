"""A class has one name, and a name is of one class."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import clinic_service

_PACKAGE = Path(clinic_service.__path__[0])


def test_no_two_public_classes_have_the_same_name() -> None:
    """A reader who meets a name knows which class is meant, without looking at the imports."""
    found = defaultdict(list)
    for file in _PACKAGE.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(file.relative_to(_PACKAGE)))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
