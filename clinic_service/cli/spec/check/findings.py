"""Findings of `spec check`: the faults of the spec, each with its file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clinic_service.specification.source import Place, Source, SpecError

# What a rule finds: a place in the source, and what is wrong there.
Faults = Iterator[tuple[Place, str]]


class SpecFinding(NamedTuple):
    """One fault of the spec: the file, the line (from 1), and what is wrong there."""

    file: Path
    line: int
    message: str

    @classmethod
    def of(cls, error: SpecError) -> SpecFinding:
        """The finding for an error that occurred while the file was read."""
        return cls(error.file, error.line, error.message)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def located(source: Source, faults: Faults) -> list[SpecFinding]:
    """The faults as findings, with their lines."""
    return [SpecFinding(place.file, source.line(place), message) for place, message in faults]
