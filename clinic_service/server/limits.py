"""How long and how much a client may take."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_service.api.bodies import SMALL_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one process. Times are in seconds, sizes in bytes."""

    head_seconds: float = 10
    """From the connection, or from the first byte of a later request, to the end of the head."""
    body_seconds: float = 30
    """From the end of the head to the end of the body."""
    unread_seconds: float = 30
    """In which a client has to take the rest of an answer, or at least `unread_bytes` of it."""
    unread_bytes: int = 64 * 1024
    idle_seconds: float = 60
    """Between two requests of one connection."""
    linger_seconds: float = 5
    """In which a client that is still sending may notice that it was refused."""
    linger_bytes: int = 16 * 1024 * 1024
    """What such a client may still send."""
    stop_seconds: float = 2
    """In which a request that has begun to arrive may become complete when the server is asked to stop."""
    check_seconds: float = 0.25
    """How often deadlines are looked at."""
    target_bytes: int = 16 * 1024
    head_bytes: int = 32 * 1024
    headers: int = 100
    pipelined: int = 64
    """Requests that one client may send ahead of their answers."""
    small_body_bytes: int = SMALL_BYTES
    """A body up to this size is taken in before anybody asks who sends it."""
    buffered_bytes: int = 64 * 1024 * 1024
    """Bodies that are being taken in and answers that are not taken, of all connections together."""
    send_buffer_bytes: int = 128 * 1024
    """What the system may hold of an answer; what it holds, no deadline of ours can see."""
    requests: int = 256
    """Requests that are waiting or being worked on."""
    connections: int = 2000
