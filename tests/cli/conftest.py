from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

_HOOKS = (
    *((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")),
    *((warnings, "showwarning"), (logging, "raiseExceptions")),
)


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands set the level, the handlers and the hooks of the log, which the tests that follow must not inherit."""
    for owner, name in _HOOKS:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
