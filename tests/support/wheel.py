"""The wheel as an installation unpacks it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from tests.support.processes import ROOT


def unpacked_wheel(folder: Path) -> Path:
    """A folder with the content of the wheel, which is built in `folder`."""
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"
