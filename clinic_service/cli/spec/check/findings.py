"""Findings of `spec check`: faults of the spec, each with the line of the source YAML it stands on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clinic_service.specification.source import Place

# What a rule finds: where, and what is wrong there.
Faults = Iterator[tuple[Place, str]]


class SpecFinding(NamedTuple):
    """One fault of the spec and where it stands."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"
