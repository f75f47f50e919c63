"""Answers that a client does not receive."""

from __future__ import annotations

import socket

from clinic_service.server.limits import Limits


class UnreadAnswers:
    """Watches how fast a client receives its answers."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size = 0
        self._window_size, self._window_start = 0, 0.0
        self.taken = self.begun = 0.0

    def sent(self, now: float) -> None:
        """Start again, because an answer was written at the time `now`."""
        self._size, self._window_size, self.taken, self.begun = 0, 0, now, now

    def is_late(self, size: int, now: float) -> bool:
        """Whether the client, which has `size` bytes left to receive, has received too little for too long."""
        if size < self._size:
            self.taken = now
        self._size = size
        if size == 0 or self._window_size == 0 or self._window_size - size >= self._limits.unread_bytes:
            self._window_size, self._window_start = size, now
        return size > 0 and now - self._window_start >= self._limits.unread_seconds


def bound_send_buffer(sock: socket.socket, limits: Limits) -> None:
    """Limit how much of an answer the system buffers and for how long, because the deadlines do not apply to that part."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.unread_seconds * 1000))
