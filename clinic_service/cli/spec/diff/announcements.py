"""Which breaking changes are announced: by a higher version, and by an entry of the changelog."""

from __future__ import annotations

import re
from itertools import pairwise

from clinic_service.cli.spec.diff.changes import Change, Level
from clinic_service.specification.apis import Api

_HEADING = re.compile(r"^## +(\S+)", re.MULTILINE)
_ENTRY = re.compile(r"^- .*(?:\n(?!- |#|\n).*)*", re.MULTILINE)
_QUOTED = re.compile(r"`([^`]+)`")


class Announcements:
    """What the version of `new` and its section of the changelog announce to the clients of `old`."""

    def __init__(self, old: Api, new: Api, changelog: str) -> None:
        self.version = str(new.document["info"]["version"])
        self.is_major = _first_number(self.version) > _first_number(str(old.document["info"]["version"]))
        self._entries = [set(_QUOTED.findall(entry)) for entry in _ENTRY.findall(_section(changelog, self.version))]

    def covers(self, change: Change) -> bool:
        """Whether the change is announced, or needs no announcement because it breaks no client."""
        if change.level is not Level.BREAKING:
            return True
        return self.is_major and any({change.operation, change.id} <= entry for entry in self._entries)


def _first_number(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else 0


def _section(changelog: str, version: str) -> str:
    """The part of the changelog under the heading `## VERSION`; empty text when there is none."""
    headings = [*_HEADING.finditer(changelog), None]
    for heading, following in pairwise(headings):
        if heading and heading[1] == version:
            return changelog[heading.end() : following.start() if following else None]
    return ""
