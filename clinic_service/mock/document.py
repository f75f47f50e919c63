"""Loads the documents that the mock serves: one file of OpenAPI 3.0, or the two APIs in a folder like `spec/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clinic_service.specification.apis import API_NAMES, Api, load_file
from clinic_service.specification.source import Place, Source, SpecError

_ENDINGS = (".yaml", ".yml", ".json")


def load_documents(spec: Path) -> list[Api]:
    """The APIs in the file or folder `spec`. Raises SpecError with file and line."""
    files = [spec / f"{name}.yaml" for name in API_NAMES] if spec.is_dir() else [spec]
    source = Source(files[0].parent)
    for file in files:
        require_version(source, source.folder / file.name)
    return [load_file(source, file.name) for file in files]


def require_version(source: Source, file: Path) -> None:
    """Raise SpecError unless `file` declares OpenAPI 3.0."""
    document = source.document(file)
    root: dict[str, Any] = document if isinstance(document, dict) else {}
    version = root.get("openapi", root.get("swagger"))
    if version is None:
        raise SpecError(file, 1, "this is no OpenAPI document: there is no member 'openapi'")
    if "openapi" not in root or not str(version).startswith("3.0"):
        line = source.line(Place(file, ("openapi" if "openapi" in root else "swagger",)))
        raise SpecError(file, line, f"OpenAPI {version} is not read, only 3.0 is")


def line_of(place: Place) -> int:
    """The line of `place`. The file is read again to find it, because this is rarely needed."""
    return Source(place.file.parent).line(place)


def folders_of(apis: list[Api]) -> frozenset[Path]:
    """The folders with the files that the documents were read from."""
    return frozenset(place.file.parent for api in apis for place in (api.bundle.root, *api.bundle.places.values()))


def files_in(folders: Iterable[Path]) -> list[Path]:
    """The files in `folders` that may be part of a document; none for a folder that does not exist any more."""
    return [file for folder in folders for ending in _ENDINGS for file in folder.glob(f"*{ending}")]
