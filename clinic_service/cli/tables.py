"""Formats tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The text of a table: the headings, then the rows. Columns are aligned, with two spaces between them."""
    lines = [tuple(headings), *(tuple(map(_printable, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(_line(line, widths) for line in lines)


def _printable(cell: str) -> str:
    """`cell` with escapes for line feeds and other control characters, which could forge a row or control the terminal."""
    if cell.isprintable():
        return cell
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cell)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
