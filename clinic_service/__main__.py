"""The command `clinic-service`, also as `python -m clinic_service`."""

from __future__ import annotations

import signal


def run() -> None:
    """Run the command that this process was started with.

    While the modules are imported, Ctrl-C ends the process at once and without a traceback.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from clinic_service.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


if __name__ == "__main__":
    run()
