"""The command `clinic-service`, also as `python -m clinic_service`."""

from __future__ import annotations

import signal


def run() -> None:
    """Carry out the command of this process.

    Until it begins, Ctrl-C just ends the process: there is nothing to tidy up, and a stack trace would help nobody.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from clinic_service.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


if __name__ == "__main__":
    run()
