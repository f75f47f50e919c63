"""Disks of their own, which a test can fill up, or take the power from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("ab", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(4096))
            except OSError:
                return

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def forbid_writing(self) -> None:
        """Make it read-only. No file may be open for writing."""
        _run("mount", "-o", "remount,ro", str(self.folder))


class PoweredDisk:
    """A file system in a file. What nobody has flushed is lost when its power is."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self._image = image

    def lose_power(self) -> None:
        """From this moment on nothing is written any more; those who try are told that the file system is read-only."""
        _run("mount", "-o", "remount,abort", str(self.folder))

    def restore_power(self) -> None:
        """Mount what had been written by then. The processes that had files open must have ended."""
        # The copy is made first: unmounting could write what memory still holds.
        rest = self._image.with_suffix(".rest")
        _run("cp", "--sparse=always", str(self._image), str(rest))
        _run("umount", str(self.folder))
        rest.replace(self._image)
        _run("mount", "-o", "loop", str(self._image), str(self.folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of that size at `folder`, which must not exist. The test is skipped where only root may mount one."""
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"):
        yield Disk(folder)


@contextmanager
def powered_disk(folder: Path, image: Path, megabytes: int) -> Iterator[PoweredDisk]:
    """A disk of that size at `folder`, kept in the file `image`, neither of which may exist. Skipped like a small disk."""
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", str(image))
    with _mounted(folder, "-o", "loop", str(image)):
        yield PoweredDisk(folder, image)


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", *arguments, str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))
