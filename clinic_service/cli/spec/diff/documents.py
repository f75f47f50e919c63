"""Reads the states of the spec that are compared: a file, the folder of a spec, or a revision of git."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from clinic_service.specification.apis import API_NAMES, Api, load_file
from clinic_service.specification.source import Place, Source

CHANGELOG = "CHANGELOG.md"


class NoSuchSpecError(Exception):
    """The argument is neither a file, nor a folder of a spec, nor a revision. The text is a sentence for the user."""


@dataclass(frozen=True)
class Document:
    """One API of a state of the spec."""

    api: Api
    source: Source


@dataclass(frozen=True)
class State:
    """A state of the spec: its documents, and its changelog (empty text when there is none).

    `shown_folder` stands in messages for the folder that the files were read from.
    """

    documents: list[Document]
    changelog: str
    folder: Path
    shown_folder: str

    def shown(self, place: Place, source: Source) -> tuple[str, int]:
        """File and line of `place` for a message."""
        return f"{self.shown_folder}{place.file.relative_to(self.folder).as_posix()}", source.line(place)


@contextmanager
def opened(given: str, checkout: Path) -> Iterator[State]:
    """The state that `given` names. `checkout` is the folder of a spec whose repository knows the revisions.

    Raises NoSuchSpecError, and SpecError for files that are no spec. The files of a revision exist within the block only.
    """
    path = Path(given)
    if path.exists():
        folder = path if path.is_dir() else path.parent
        yield _state(path.resolve(), "" if folder == Path() else f"{folder.as_posix()}/")
        return
    with TemporaryDirectory() as made:
        prefix = _extract(given, checkout, Path(made))
        yield _state((Path(made) / prefix).resolve(), f"{given}:{prefix}")


def _state(path: Path, shown_folder: str) -> State:
    folder = path if path.is_dir() else path.parent
    changelog = folder / CHANGELOG
    text = changelog.read_text(encoding="utf-8") if changelog.is_file() else ""
    return State([_document(folder, name) for name in _files(path)], text, folder, shown_folder)


def _files(path: Path) -> list[str]:
    if path.is_file():
        return [path.name]
    found = [
        file.name for name in API_NAMES for file in (path / f"{name}.yaml", path / f"{name}.json") if file.is_file()
    ]
    if not found:
        raise NoSuchSpecError(f"{path} is not the folder of a spec: it holds no {API_NAMES[0]}.yaml.")
    return found


def _document(folder: Path, name: str) -> Document:
    source = Source(folder)
    return Document(load_file(source, name), source)


def _extract(revision: str, checkout: Path, folder: Path) -> str:
    """Write the spec of `revision` into `folder`; return the path of the spec within the repository, ending in `/`."""
    prefix = _git(checkout, "rev-parse", "--show-prefix").decode().strip() or "./"
    commit = (
        _git(checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        .decode()
        .strip()
    )
    if not commit:
        raise NoSuchSpecError(
            f"{revision!r} is no file, no folder of a spec and no revision of the repository around {checkout}."
        )
    archive = _git(checkout, "archive", "--format=tar", commit, ".")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder / prefix, filter="data")
    return prefix


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False).stdout
    except FileNotFoundError:
        return b""
