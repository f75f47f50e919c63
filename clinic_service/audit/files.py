"""The files of the audit trail: their names, their first lines, and reading them.

A file holds the lines of one process and one day (UTC), one JSON object each. Each line has the hash of the line before it.
The first line names the files that were finished before this one and that no other file names, each with its size and the
hash of its last line, so that `audit verify` notices a shortened or missing file.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from clinic_service import clock

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-[0-9a-f]{16}\.jsonl")
_TAIL_BYTES = 64 * 1024


class End(NamedTuple):
    """The end of a file: its size in bytes, and the hash of its last line."""

    size: int
    hash: str


def name_of(day: date, process: str) -> str:
    """The name of the file of a process, which `process` identifies by 16 hex characters."""
    return f"{day.isoformat()}-{process}.jsonl"


def day_of(file: Path) -> date:
    """The day whose lines the file holds."""
    found = _NAME.fullmatch(file.name)
    return date.fromisoformat(found[1]) if found else date.max


def list_files(folder: Path, since: date | None = None, until: date | None = None) -> list[Path]:
    """The files of the folder in the order of their days, from the day `since` to the day `until`."""
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))
    # The thread that writes may begin the next file a moment after midnight.
    late = until and until + timedelta(days=1)
    return [f for f in files if (since is None or day_of(f) >= since) and (late is None or day_of(f) <= late)]


def hash_of(line: bytes) -> str:
    """The hash of a line, without its line break."""
    return sha256(line).hexdigest()


def lines_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """The complete lines of a file without their line breaks, numbered from 1. A line without an end is left out."""
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield number, line[:-1]


def documents(file: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file's lines. A line that is no JSON object is left out; `audit verify` reports it."""
    for _, line in lines_of(file):
        document = parsed(line)
        if document is not None:
            yield document


def parsed(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None when it is none."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def end_of(file: Path) -> End:
    """The end of the file. A last line without a line break, which a crash can leave, does not count."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL_BYTES))
        complete, _, rest = stream.read().rpartition(b"\n")
    return End(size - len(rest), hash_of(complete.rpartition(b"\n")[2]))


def named_by(file: Path) -> dict[str, End]:
    """The ends of the files that the first line of `file` names."""
    first = next(documents(file), {})
    return {name: End(*end) for name, end in first.get("after", {}).items()}


def removal_text(name: str, end: End) -> bytes:
    """The line that records the removal of a file by age, so that `audit verify` does not report it as missing."""
    return orjson.dumps({"time": clock.to_wire(clock.now()), "removed": name, "end": list(end)})


def anchor_text(sequence: int, link: str) -> bytes:
    """The line that records the hash `link` of row number `sequence` of the database."""
    return orjson.dumps({"time": clock.to_wire(clock.now()), "row": sequence, "hash": link})


def unnamed_ends(folder: Path) -> dict[str, End]:
    """The ends of the finished files that no other file names."""
    files = list_files(folder)
    named = {name for file in files for name in named_by(file)}
    return {file.name: end_of(file) for file in files if file.name not in named and is_finished(file)}


def is_finished(file: Path) -> bool:
    """Whether no process writes to the file any more: a process holds a lock on the file that it writes to."""
    with file.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
