"""Findings of `spec check`: the faults of the spec, each with its file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clinic_service.specification.source import Place

# What a rule finds: a place in the source, and what is wrong there.
Faults = Iterator[tuple[Place, str]]


class SpecFinding(NamedTuple):
    """One fault of the spec: the file, the line (from 1), and what is wrong there."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"
