"""The audit trail as a whole: records of rows and of files in the order of their times, and whether both are intact."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clinic_service.audit import files
from clinic_service.audit.files import End
from clinic_service.audit.record import NO_HASH, AuditRecord, linked
from clinic_service.audit.repository import Choice
from clinic_service.unit_of_work import UnitOfWork

_BATCH = 1000


class Flaw(NamedTuple):
    """A difference between the trail and what was written, and its place."""

    place: str
    message: str


def records(uow: UnitOfWork, folder: Path, choice: Choice) -> Iterator[AuditRecord]:
    """The records of both kinds that are wanted, in the order of their times."""
    return heapq.merge(uow.audit.list_chosen(choice), _of_files(folder, choice), key=lambda record: record.time)


def _of_files(folder: Path, choice: Choice) -> Iterator[AuditRecord]:
    since = choice.since and choice.since.date()
    until = choice.until and choice.until.date()
    days: dict[str, list[Path]] = {}
    for file in files.list_files(folder, since, until):
        days.setdefault(file.name[:10], []).append(file)
    for day in days.values():
        yield from heapq.merge(*(_of_file(file, choice) for file in day), key=lambda record: record.time)


def _of_file(file: Path, choice: Choice) -> Iterator[AuditRecord]:
    # Lines are not always in the order of their times, because several threads write them.
    found = [AuditRecord.read(document) for document in files.documents(file) if "operation" in document]
    yield from sorted(filter(choice.includes, found), key=lambda record: record.time)


def verify(uow: UnitOfWork, folder: Path) -> Iterator[Flaw]:
    """The flaws of the files and of the rows, and the contradictions between them.

    Some changes cannot be found: the removal of rows that are not sealed yet (which takes some seconds), the removal of
    lines at the end of a file that no other file names yet, and a trail that was rewritten completely from some point on.
    """
    # The files first, because the rows that they name must be in the chain by then.
    anchors: dict[str, tuple[int, str]] = {}
    yield from verify_files(folder, anchors)
    yield from verify_rows(uow)
    yield from _verify_anchors(uow, anchors)


def _verify_anchors(uow: UnitOfWork, anchors: dict[str, tuple[int, str]]) -> Iterator[Flaw]:
    removed = uow.audit.chain().removed_sequence
    for place, (sequence, link) in anchors.items():
        rows = uow.audit.list_sealed(sequence - 1, sequence, 1)
        if sequence > removed and [row.hash for row in rows] != [link]:
            yield Flaw(f"row {sequence}", f"{place} names another row of this number")


def verify_rows(uow: UnitOfWork) -> Iterator[Flaw]:
    """The flaws of the chain of rows: rows that were removed, changed or moved."""
    chain = uow.audit.chain()
    sequence, last = chain.removed_sequence, chain.removed_hash
    while entries := uow.audit.list_sealed(sequence, chain.sequence, _BATCH):
        for entry in entries:
            if entry.sequence != sequence + 1:
                yield Flaw(f"row {sequence + 1}", f"the rows before row {entry.sequence} are missing or twice")
            elif entry.hash != linked(last, entry.record.text()):
                yield Flaw(f"row {entry.sequence}", f"the row {entry.id} is not what was sealed")
            sequence, last = entry.sequence or 0, entry.hash or NO_HASH
    if (sequence, last) != (chain.sequence, chain.hash):
        yield Flaw(f"row {sequence + 1}", f"the chain ends here, and {chain.sequence} rows were sealed")


def verify_files(folder: Path, anchors: dict[str, tuple[int, str]]) -> Iterator[Flaw]:
    """The flaws of the files: lines that were removed, changed or moved, and files that are shortened or missing.

    Adds to `anchors` the last row that each file names, with its hash.
    """
    found = files.list_files(folder)
    named: dict[str, tuple[Path, End]] = {}
    removed: set[str] = set()
    for file in found:
        named |= {name: (file, end) for name, end in files.named_by(file).items()}
        yield from _verify_lines(file)
        for document in files.documents(file):
            if "removed" in document:
                removed.add(str(document["removed"]))
            elif "row" in document:
                anchors[file.name] = (document["row"], document["hash"])
    present = {file.name: file for file in found}
    for name, (by, end) in named.items():
        if name in present:
            if files.end_of(present[name]) != end:
                yield Flaw(name, f"the end is not the one that {by.name} names: lines were removed, added or changed")
        elif name not in removed:
            yield Flaw(name, f"the file is missing; {by.name} names it")


def _verify_lines(file: Path) -> Iterator[Flaw]:
    previous, number = NO_HASH, 0
    for number, line in files.lines_of(file):
        document = files.parsed(line)
        if document is None:
            yield Flaw(f"{file.name}:{number}", "the line is no JSON object")
        elif document.get("previous") != previous:
            yield Flaw(f"{file.name}:{number}", "the line before is not the one that was written before this one")
        elif number == 1 and document.get("file") != file.name:
            yield Flaw(f"{file.name}:1", "the first line does not name this file")
        previous = files.hash_of(line)
    if number == 0:
        yield Flaw(f"{file.name}:1", "the file has no line")
