"""The wheel as an installation unpacks it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.support.processes import ROOT


def built_wheel(folder: Path) -> Path:
    """The wheel, built in `folder`."""
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def unpacked_wheel(folder: Path) -> Path:
    """A folder with the content of the wheel, which is built in `folder`."""
    with zipfile.ZipFile(built_wheel(folder)) as archive:
        archive.extractall(folder / "site")
    return folder / "site"
