"""AuditLog: appends lines to the file of this process, and tells when they are on the disk."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import orjson

from clinic_service import clock
from clinic_service.audit.errors import AuditUnavailable
from clinic_service.audit.files import hash_of, name_of, unnamed_ends
from clinic_service.audit.record import NO_HASH

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 5.0
_PROBE_BYTES = 4096
_UNFINISHED = ".unfinished"
# A flush takes about 0.2 ms of processor time, however many lines it makes safe. So lines gather for this long before a
# flush, unless the groups before had about one line each: a client that is alone never waits for others.
_GATHER_SECONDS = 0.004
_ALONE = 1.5

# Is called by the thread that writes, when a line is on the disk, or with the reason when it could not be written.
Written = Callable[[AuditUnavailable | None], None]


class Line(NamedTuple):
    """A line that must be on the disk before an answer is sent, and the log that it belongs to."""

    log: AuditLog
    text: bytes


class AuditLog:
    """Writes the lines of one process, from a thread of its own.

    While the disk works on some lines, others gather, and all of these become safe by the next flush. So the flush, which
    takes milliseconds, costs less for each line when there are many requests. No thread that works on requests waits.
    """

    def __init__(self, folder: Path) -> None:
        """The folder is made when the first line is written, or by `prepare`."""
        self.folder = folder
        self._queue: SimpleQueue[tuple[bytes, Written] | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._file: _File | None = None

    def prepare(self) -> None:
        """Make the folder, for its owner alone. Raises OSError when nothing can be written there."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file of some size, because an empty one fits on a full disk as well.
        with _unfinished(self.folder) as (_, descriptor):
            _write_all(descriptor, bytes(_PROBE_BYTES))
            os.fsync(descriptor)

    def obstacle(self) -> str | None:
        """Why no line can be written now, in a sentence that names no file; None when lines can be written."""
        try:
            self.prepare()
        except OSError as error:
            return f"The audit files cannot be written: {os.strerror(error.errno or 0)}."
        return None

    def append(self, text: bytes, written: Written) -> None:
        """Write a line with the members of the JSON object `text`, and call `written`, which must be quick."""
        # Started here, because a thread does not survive the fork of a server process.
        if self._thread is None:
            self._start()
        self._queue.put((text, written))

    def write(self, text: bytes, seconds: float) -> AuditUnavailable | None:
        """Write a line, and wait for at most `seconds` until it is on the disk. Returns the error when it is not."""
        results: SimpleQueue[AuditUnavailable | None] = SimpleQueue()
        self.append(text, results.put)
        try:
            return results.get(timeout=seconds)
        except Empty:
            return AuditUnavailable()

    def close(self) -> None:
        """Write the lines that are waiting, and end the file."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread:
            self._queue.put(None)
            thread.join(_CLOSE_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        # The number of lines in a group, as an average in which the last groups count most.
        usual = 1.0
        goes_on = True
        while goes_on:
            if usual > _ALONE:
                time.sleep(_GATHER_SECONDS)
            group = [self._queue.get()]
            with contextlib.suppress(Empty):
                while True:
                    group.append(self._queue.get_nowait())
            usual = (usual + len(group)) / 2
            goes_on = None not in group
            self._write([entry for entry in group if entry])
        self._end_file()

    def _write(self, group: list[tuple[bytes, Written]]) -> None:
        failure = None
        try:
            if group:
                self._file_of_today().append([text for text, _ in group])
        except Exception as error:
            _log.error("audit_log_failed", extra={"failure": type(error).__name__})
            failure = AuditUnavailable()
            if not isinstance(error, _StillUsable):
                self._end_file()
        for _, written in group:
            written(failure)

    def _file_of_today(self) -> _File:
        today = clock.now().date()
        if self._file is None or self._file.day != today or self._file.is_deleted():
            self._end_file()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _File(self.folder, today)
        return self._file

    def _end_file(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


class _StillUsable(OSError):
    """The lines could not be written, and the file is as it was before."""


class _File:
    """The file of one process and one day, open and locked."""

    def __init__(self, folder: Path, day: date) -> None:
        self.day = day
        path = folder / name_of(day, secrets.token_hex(8))
        self._size, self._hash = 0, NO_HASH
        with _locked(folder) as folder_descriptor:
            _remove_unfinished(folder)
            first = {
                "file": path.name,
                "time": clock.to_wire(clock.now()),
                "after": {name: list(end) for name, end in unnamed_ends(folder).items()},
            }
            # It gets its name when its first line is on the disk, so that a process that is killed leaves no empty file.
            with _unfinished(folder) as (file, descriptor):
                self._descriptor = os.dup(descriptor)
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                    self.append([orjson.dumps(first)])
                    file.rename(path)
                    # The name must survive a power failure as well.
                    os.fsync(folder_descriptor)
                except BaseException:
                    self.close()
                    path.unlink(missing_ok=True)
                    raise

    def append(self, texts: list[bytes]) -> None:
        """Write a line for each JSON object, and return when all are on the disk. Raises OSError."""
        lines, previous = [], self._hash
        for text in texts:
            line = b'%b,"previous":"%b"}' % (text[:-1], previous.encode())
            previous = hash_of(line)
            lines.append(line)
        data = b"".join(line + b"\n" for line in lines)
        try:
            _write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError as error:
            # A part of the lines may be there. The chain must not have lines that nobody waits for.
            os.ftruncate(self._descriptor, self._size)
            raise _StillUsable(*error.args) from error
        self._size += len(data)
        self._hash = previous

    def is_deleted(self) -> bool:
        """Whether somebody has deleted the file, so that its lines would be lost."""
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        """Close the file, which unlocks it."""
        os.close(self._descriptor)


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[tuple[Path, int]]:
    """A new file, open for appending, that is deleted after the block unless it has got another name."""
    path = folder / f".{secrets.token_hex(8)}{_UNFINISHED}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _remove_unfinished(folder: Path) -> None:
    """Delete what killed processes have left. The folder is locked, and other processes hold this lock only briefly."""
    for path in folder.glob(f".*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Let one process at a time begin a file, so that none sees a file that is not locked yet. Gives a descriptor."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
