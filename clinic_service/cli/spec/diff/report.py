"""The output of `spec diff`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from clinic_service.cli.spec.diff.announcements import Announcements
from clinic_service.cli.spec.diff.changes import Change, Level
from clinic_service.cli.spec.diff.comparison import compare
from clinic_service.cli.spec.diff.documents import Document, NoSuchSpecError, State

_ORDER = list(Level)
# The maximum number of operations that a line of text names.
_MOST_NAMES = 4


class ReportLine(NamedTuple):
    """One change with its file and line. `operations` are all operations that it concerns."""

    level: Level
    file: str
    line: int
    id: str
    text: str
    operations: tuple[str, ...]
    unannounced: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(self.operations[:_MOST_NAMES])
        more = len(self.operations) - _MOST_NAMES
        names += f" and {more} more" if more > 0 else ""
        announced = " (announced)" if self.level is Level.BREAKING and not self.unannounced else ""
        return f"{self.file}:{self.line}: {self.level}{announced}: {names}: {self.text} [{self.id}]"

    def facts(self) -> dict[str, Any]:
        """The change as an object of JSON."""
        return {
            "class": self.level,
            "id": self.id,
            "file": self.file,
            "line": self.line,
            "text": self.text,
            "operations": list(self.operations),
            "unannounced": list(self.unannounced),
        }


def report(old: State, new: State) -> list[ReportLine]:
    """All changes from `old` to `new`: breaking ones first, then by file and line."""
    lines = [line for pair in _pairs(old, new) for line in _of_document(*pair, old, new)]
    return sorted(lines, key=lambda line: (_ORDER.index(line.level), line.file, line.line, line.id, line.text))


def _pairs(old: State, new: State) -> list[tuple[Document, Document]]:
    """The documents that are compared: those of the same name, or the only ones."""
    if len(old.documents) == len(new.documents) == 1:
        return [(old.documents[0], new.documents[0])]
    named = {document.api.name: document for document in new.documents}
    pairs = [(document, named[document.api.name]) for document in old.documents if document.api.name in named]
    if not pairs:
        raise NoSuchSpecError("the two have no document of the same name")
    return pairs


def _of_document(before: Document, after: Document, old: State, new: State) -> Iterable[ReportLine]:
    announcements = Announcements(before.api, after.api, new.changelog)
    found: dict[tuple[Level, str, int, str, str], list[Change]] = {}
    for change in compare(before.api, after.api):
        state, document = (old, before) if change.is_old else (new, after)
        file, line = state.shown(change.part.place, document.source)
        found.setdefault((change.level, file, line, change.id, change.text), []).append(change)
    for key, changes in found.items():
        unannounced = [change.operation for change in changes if not announcements.covers(change)]
        yield ReportLine(*key, tuple(change.operation for change in changes), tuple(unannounced))
