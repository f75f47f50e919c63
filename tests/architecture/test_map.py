"""The map in the README has every part of the package."""

from __future__ import annotations

import re
from pathlib import Path

import clinic_service

_PACKAGE = Path(clinic_service.__path__[0])
_README = _PACKAGE.parent / "README.md"
# What a reader does not look for: the entry of `python -m`, and where the files of an installed package are.
_LEFT_OUT = {"__init__.py", "__main__.py", "packaged.py"}


def test_every_part_is_in_the_map() -> None:
    map_of_code = _README.read_text(encoding="utf-8").partition("## Map of the code")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in map_of_code.splitlines() if line.startswith("|")]
    named = {
        name.removeprefix("clinic_service/").rstrip("/") for cell in cells for name in re.findall("`([^`]+)`", cell)
    }
    parts = {entry.name for entry in _PACKAGE.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").is_file()}
    assert parts - named == _LEFT_OUT
