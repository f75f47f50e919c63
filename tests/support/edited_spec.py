"""The spec with the text of one file changed, without touching the file: the other files are read once for all tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from clinic_service.packaged import spec_folder
from clinic_service.specification.source import Source


class EditedSource(Source):
    """The spec of this checkout in which `file` has the text `text`."""

    def __init__(self, file: Path, text: str) -> None:
        read = _whole_spec()
        super().__init__(read.folder)
        self._documents = {other: document for other, document in read._documents.items() if other != file}
        self._nodes = {other: node for other, node in read._nodes.items() if other != file}
        self._texts = {**read._texts, file: text}


@cache
def _whole_spec() -> Source:
    source = Source(spec_folder())
    for file in source.files():
        source.document(file)
        list(source.nodes(file))
    return source


def spec_files() -> list[Path]:
    return _whole_spec().files()


def spec_text(file: Path) -> str:
    return _whole_spec().text(file)
