"""The limits of the server: times, sizes and numbers."""

from __future__ import annotations

from dataclasses import dataclass

from clinic_service.api.bodies import SMALL_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one process. Times are in seconds, sizes in bytes."""

    head_seconds: float = 10
    """The time from the connection, or from the first byte of a later request, to the end of the head."""
    body_seconds: float = 30
    """The time from the end of the head to the end of the body."""
    unread_seconds: float = 30
    """The time in which a client must receive the rest of an answer, or at least `unread_bytes` of it."""
    unread_bytes: int = 64 * 1024
    idle_seconds: float = 60
    """The time between two requests of one connection."""
    linger_seconds: float = 5
    """The time in which a client that still sends can read that it was refused."""
    linger_bytes: int = 16 * 1024 * 1024
    """The number of bytes that such a client may still send."""
    stop_seconds: float = 2
    """The time in which an incomplete request must arrive when the server is asked to stop."""
    check_seconds: float = 0.25
    """The time between two checks of the deadlines."""
    target_bytes: int = 16 * 1024
    """The size of path and query."""
    head_bytes: int = 32 * 1024
    """The size of the head."""
    headers: int = 100
    """The number of headers."""
    pipelined: int = 64
    """The number of requests that one client may send before the answer to the first of them."""
    small_body_bytes: int = SMALL_BYTES
    """A body up to this size is read before the sender is authenticated."""
    buffered_bytes: int = 64 * 1024 * 1024
    """Incomplete bodies and answers that clients have not received, of all connections together."""
    unread_bytes_of_caller: int = 8 * 1024 * 1024
    """Large answers that a caller has not received. While they are more, no slow requests of the caller are started."""
    send_buffer_bytes: int = 128 * 1024
    """The part of an answer that the system may buffer. The deadlines do not apply to what the system has buffered."""
    requests: int = 256
    """The number of requests that wait or are being worked on."""
    connections: int = 2000
    """The number of connections."""
