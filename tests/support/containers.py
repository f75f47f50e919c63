"""The instructions of a container file."""

from __future__ import annotations

import re
from pathlib import Path

Stage = list[tuple[str, str]]


def stages(file: Path) -> list[Stage]:
    """The instructions of each stage, as pairs of the word that begins it and the rest, without `FROM`."""
    text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        elif found and word:
            found[-1].append((word, rest.strip()))
    return found
