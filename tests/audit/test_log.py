"""AuditLog: what is in its files, when it is safe, and what happens when nothing can be written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import orjson
import pytest

from clinic_service import clock
from clinic_service.audit.errors import AuditUnavailable
from clinic_service.audit.files import hash_of, list_files, named_by
from clinic_service.audit.log import AuditLog
from clinic_service.audit.record import NO_HASH, AuditRecord, Outcome
from clinic_service.audit.trail import verify_files
from tests.support.clocks import NOW

SECONDS = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def log(folder: Path) -> Iterator[AuditLog]:
    with closing(AuditLog(folder)) as log:
        yield log


def record(number: int = 0) -> AuditRecord:
    return AuditRecord(clock.now(), f"request-{number}", "GetPatient", Outcome.ALLOWED, 200)


def write(log: AuditLog, *numbers: int) -> None:
    for number in numbers:
        assert log.write(record(number).text(), SECONDS) is None


def lines(folder: Path) -> list[list[Any]]:
    """The documents of each file."""
    return [[orjson.loads(line) for line in file.read_bytes().splitlines()] for file in list_files(folder)]


def flaws(folder: Path) -> list[str]:
    return [f"{flaw.place}: {flaw.message}" for flaw in verify_files(folder, {})]


def test_each_line_has_the_hash_of_the_line_before(log: AuditLog, folder: Path) -> None:
    write(log, 1, 2)
    (file,) = list_files(folder)
    first, second, third = file.read_bytes().splitlines()
    assert orjson.loads(first) == {
        "file": file.name,
        "time": orjson.loads(first)["time"],
        "after": {},
        "previous": NO_HASH,
    }
    assert orjson.loads(second)["previous"] == hash_of(first)
    assert orjson.loads(third)["previous"] == hash_of(second)
    assert orjson.loads(third)["request"] == "request-2"
    assert flaws(folder) == []


def test_only_the_owner_can_read_the_files(log: AuditLog, folder: Path) -> None:
    write(log, 1)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]


def test_a_line_is_flushed_before_it_is_done(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, 1)
    events: list[str] = []
    flush = os.fdatasync

    def note(descriptor: int) -> None:
        flush(descriptor)
        events.append("flushed")

    monkeypatch.setattr(os, "fdatasync", note)
    assert log.write(record(2).text(), SECONDS) is None
    events.append("done")
    assert events == ["flushed", "done"]


def test_lines_that_gather_during_a_flush_share_the_next_one(
    log: AuditLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, 0)
    flush, may_go_on, flushes = os.fdatasync, threading.Event(), list[int]()

    def wait_and_flush(descriptor: int) -> None:
        flushes.append(descriptor)
        assert may_go_on.wait(SECONDS)
        flush(descriptor)

    monkeypatch.setattr(os, "fdatasync", wait_and_flush)
    failures: SimpleQueue[AuditUnavailable | None] = SimpleQueue()
    log.append(record(1).text(), failures.put)
    while not flushes:
        threading.Event().wait(0.001)
    for number in range(2, 30):
        log.append(record(number).text(), failures.put)
    may_go_on.set()
    assert [failures.get(timeout=SECONDS) for _ in range(29)] == [None] * 29
    assert len(flushes) == 2
    assert [line.get("request") for line in lines(folder)[0][2:]] == [f"request-{n}" for n in range(1, 30)]


def test_after_a_flush_of_several_lines_the_next_ones_gather(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, 0)
    flush, flushes = os.fdatasync, SimpleQueue[int]()
    gathering, may_flush = SimpleQueue[float](), SimpleQueue[None]()

    def wait(seconds: float) -> None:
        gathering.put(seconds)
        may_flush.get(timeout=SECONDS)

    def wait_and_flush(descriptor: int) -> None:
        flushes.put(descriptor)
        may_flush.get(timeout=SECONDS)
        flush(descriptor)

    monkeypatch.setattr(time, "sleep", wait)
    monkeypatch.setattr(os, "fdatasync", wait_and_flush)
    failures: SimpleQueue[AuditUnavailable | None] = SimpleQueue()
    for number in range(1, 9):
        log.append(record(number).text(), failures.put)
        if number == 1:
            flushes.get(timeout=SECONDS)
    may_flush.put(None)
    flushes.get(timeout=SECONDS)
    may_flush.put(None)
    assert gathering.get(timeout=SECONDS) < 0.01
    for number in range(9, 12):
        log.append(record(number).text(), failures.put)
    may_flush.put(None)
    flushes.get(timeout=SECONDS)
    assert failures.qsize() == 8
    for _ in range(10):
        may_flush.put(None)
    assert [failures.get(timeout=SECONDS) for _ in range(11)] == [None] * 11
    assert flushes.empty()


def test_a_line_that_comes_alone_is_flushed_at_once(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    write(log, *range(20))
    assert pauses == []


def test_a_new_day_has_a_new_file_that_names_the_last_one(log: AuditLog, folder: Path) -> None:
    with clock.frozen(NOW):
        write(log, 1)
    with clock.frozen(NOW + timedelta(days=1)):
        write(log, 2)
    first, second = list_files(folder)
    assert (first.name[:10], second.name[:10]) == ("2026-03-02", "2026-03-03")
    assert named_by(second) == {first.name: (first.stat().st_size, hash_of(first.read_bytes().splitlines()[-1]))}
    assert flaws(folder) == []


def test_each_process_has_a_file_of_its_own(log: AuditLog, folder: Path) -> None:
    write(log, 1)
    with closing(AuditLog(folder)) as other:
        write(other, 2)
        write(log, 3)
    assert [[line.get("request") for line in of_file[1:]] for of_file in lines(folder)] in (
        [["request-1", "request-3"], ["request-2"]],
        [["request-2"], ["request-1", "request-3"]],
    )
    # A file that is still written to has no end that could be named.
    assert [of_file[0]["after"] for of_file in lines(folder)] == [{}, {}]


def test_a_file_is_named_once_by_whoever_comes_next(folder: Path) -> None:
    for number in range(3):
        with closing(AuditLog(folder)) as log:
            write(log, number)
    named = [name for file in list_files(folder) for name in named_by(file)]
    assert len(named) == len(set(named)) == 2


def test_a_full_disk_refuses_and_leaves_no_half_line(
    log: AuditLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, 1)
    whole = os.write

    def fill_up(descriptor: int, data: bytes) -> int:
        whole(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill_up)
        assert isinstance(log.write(record(2).text(), SECONDS), AuditUnavailable)
    write(log, 3)
    assert [line.get("request") for line in lines(folder)[0][1:]] == ["request-1", "request-3"]
    assert flaws(folder) == []


def test_a_folder_that_is_away_refuses_until_it_is_back(log: AuditLog, folder: Path) -> None:
    folder.write_text("no folder")
    assert isinstance(log.write(record(1).text(), SECONDS), AuditUnavailable)
    folder.unlink()
    write(log, 2)
    assert flaws(folder) == []


def test_tells_that_nothing_can_be_written(log: AuditLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert log.obstacle() is None

    def fail(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        # An empty file can still be made on a full disk.
        patch.setattr(os, "write", fail)
        assert log.obstacle() == "The audit files cannot be written: No space left on device."
    assert log.obstacle() is None
    folder.rmdir()
    folder.write_text("no folder")
    assert log.obstacle() == "The audit files cannot be written: File exists."


def test_a_deleted_file_is_followed_by_a_new_one(log: AuditLog, folder: Path) -> None:
    write(log, 1)
    (deleted,) = list_files(folder)
    deleted.unlink()
    write(log, 2)
    assert [line.get("request") for line in lines(folder)[0][1:]] == ["request-2"]


def test_a_process_that_is_killed_while_it_begins_a_file_leaves_none(folder: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from clinic_service.audit.log import AuditLog
os.fdatasync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
AuditLog(Path({str(folder)!r})).write(b"{{}}", 20)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert list_files(folder) == []
    assert len(list(folder.iterdir())) == 1
    with closing(AuditLog(folder)) as log:
        write(log, 1)
    assert list(folder.iterdir()) == list_files(folder)
    assert flaws(folder) == []


def test_a_process_that_is_killed_leaves_every_line_that_was_done(folder: Path) -> None:
    """The last line may be cut in the middle; it is nobody's, since it was never done."""
    program = f"""
import os, sys
from pathlib import Path
from queue import SimpleQueue
from clinic_service import clock
from clinic_service.audit.log import AuditLog
from clinic_service.audit.record import AuditRecord, Outcome
log = AuditLog(Path({str(folder)!r}))
for number in range(100000):
    record = AuditRecord(clock.now(), f"request-{{number}}", "GetPatient", Outcome.ALLOWED, 200)
    assert log.write(record.text(), 20) is None
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        done = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        done += [int(line) for line in process.stdout.read().split()]
    (file,) = list_files(folder)
    with file.open("ab") as stream:
        stream.write(b'{"time":"2026-')
    assert flaws(folder) == []
    with closing(AuditLog(folder)) as log:
        write(log, 0)
    assert flaws(folder) == []
    found = file.read_text(encoding="utf-8")
    assert all(f'"request-{number}"' in found for number in done)
