"""Where the files are that the package needs and that are not Python: the revisions and the spec.

In a checkout they are top-level folders; a wheel carries them inside the package.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def revisions_folder() -> Path:
    """The folder with Alembic's environment, the revisions and HEAD."""
    return _folder("alembic")


def spec_folder() -> Path:
    """The folder with the OpenAPI files."""
    return _folder("spec")


def _folder(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
