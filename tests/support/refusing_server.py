"""A PostgreSQL server that lets nobody in, and says why."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NO_ENCRYPTION = (80877103, 80877104)


@contextmanager
def refusing_server(state: str, words: str) -> Iterator[int]:
    """The port of a server that answers each attempt to start a session with `state` and `words`."""
    door = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_refuse_all, args=(door, _refusal(state, words)), daemon=True).start()
    try:
        yield door.getsockname()[1]
    finally:
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        door.close()


def _refusal(state: str, words: str) -> bytes:
    fields = b"".join(f"{kind}{value}\0".encode() for kind, value in (("S", "FATAL"), ("C", state), ("M", words)))
    return b"E" + (len(fields) + 5).to_bytes(4, "big") + fields + b"\0"


def _refuse_all(door: socket.socket, refusal: bytes) -> None:
    with suppress(OSError):
        while True:
            caller, _ = door.accept()
            with caller, caller.makefile("rb") as sent:
                while _is_question_for_encryption(sent.read(int.from_bytes(sent.read(4), "big") - 4)):
                    caller.sendall(b"N")
                caller.sendall(refusal)


def _is_question_for_encryption(message: bytes) -> bool:
    return int.from_bytes(message[:4], "big") in _NO_ENCRYPTION
