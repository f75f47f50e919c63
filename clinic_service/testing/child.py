"""Runs `clinic-service` until its standard input ends, which happens when the parent process ends, even if it is killed."""

from __future__ import annotations

import os
import signal
import threading

from clinic_service.__main__ import run


def _stop_at_end_of_input() -> None:
    # Not through `sys.stdin`: a forked process closes that, and would wait for this thread to let go of its buffer.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    run()
