"""Work in a child process: its result, its error, and its sudden end reach the command that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import os, signal
from clinic_service.cli.child import in_child

def answer():
    return os.getpid() != parent

def fail():
    raise LookupError("nothing there")

def die():
    os.kill(os.getpid(), signal.SIGKILL)

parent = os.getpid()
try:
    print("result", in_child({work})())
except Exception as error:
    print(type(error).__name__, getattr(error, "message", error))
"""


@pytest.mark.parametrize(
    ("work", "printed"),
    [
        ("answer", "result True\n"),
        ("fail", "LookupError nothing there\n"),
        ("die", "ClickException A helper process was killed, perhaps because memory ran out. Run the command again.\n"),
    ],
)
def test_the_end_of_the_work_is_reported(work: str, printed: str, tmp_path: Path) -> None:
    # A process of its own, because one with threads, such as that of the tests, should not fork.
    program = _PROGRAM.format(work=work)
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == (printed, "")
