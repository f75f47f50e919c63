"""The folders of the files that belong to the package without being Python: the revisions and the spec.

In a checkout they are top-level folders. In an installed wheel they are inside the package.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def revisions_folder() -> Path:
    """The folder with Alembic's environment, the revisions, the number of the last one and their digests."""
    return _folder("alembic")


def spec_folder() -> Path:
    """The folder with the OpenAPI files that came with this program."""
    return _folder("spec")


def edited_spec_folder() -> Path:
    """The folder of the spec that an editor works on.

    It is the `spec/` of the checkout that holds the working directory, else `spec_folder()`.
    """
    here = Path.cwd()
    folders = (folder / "spec" for folder in (here, *here.parents))
    return next((folder for folder in folders if (folder / "clinic.v1.yaml").is_file()), spec_folder())


def package_folder() -> Path:
    """The folder of the package `clinic_service` that is running."""
    return _PACKAGE


def _folder(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
