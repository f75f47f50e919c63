"""An answer with a line of the audit log is not sent before the line is on the disk, and delays no other answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clinic_service.api.exchange import RawAnswer
from clinic_service.audit.files import list_files
from clinic_service.audit.log import AuditLog, Line
from tests.support.gates import MAX_WAIT, Served, SmallApp, serving_gate

AUDITED = b"GET /audited HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LINE = b'{"operation":"GetPatient"}'


class AuditedApp(SmallApp):
    """A SmallApp whose answers for `/audited` have a line of `log`."""

    def __init__(self, log: AuditLog) -> None:
        super().__init__()
        self._log = log

    def answer(self, environ: dict[str, Any]) -> RawAnswer:
        answer = super().answer(environ)
        if environ["PATH_INFO"] == "/audited":
            answer.line = Line(self._log, LINE)
        return answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    with closing(AuditLog(folder)) as log, serving_gate(app=AuditedApp(log)) as served:
        yield served


def test_they_wait_for_a_stalled_disk_and_other_answers_do_not(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert served.exchange(AUDITED).startswith(b"HTTP/1.1 200 ")
    flush, is_stalled, goes_on = os.fdatasync, threading.Event(), threading.Event()

    def stall(descriptor: int) -> None:
        is_stalled.set()
        assert goes_on.wait(MAX_WAIT)
        flush(descriptor)

    monkeypatch.setattr(os, "fdatasync", stall)
    with served.connect() as client:
        client.sendall(AUDITED)
        assert is_stalled.wait(MAX_WAIT)
        # The gate has one thread, which must be free for this.
        assert [served.get("/live"), served.get("/echo")] == [200, 200]
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(MAX_WAIT)
        goes_on.set()
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    [file] = list_files(folder)
    assert file.read_bytes().count(LINE[:-1]) == 2


def test_they_are_not_sent_when_the_line_cannot_be_written(served: Served, folder: Path) -> None:
    folder.write_text("no folder")
    answer = served.exchange(AUDITED)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"GET /audited" not in answer
