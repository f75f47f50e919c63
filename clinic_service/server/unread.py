"""Answers that a client does not take."""

from __future__ import annotations

import socket

from clinic_service.server.limits import Limits


class UnreadAnswers:
    """Watches how a client takes its answers."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size = 0
        self._window_size, self._window_start = 0, 0.0
        self.taken = 0.0

    def sent(self, now: float) -> None:
        """Begin anew: an answer was sent just now."""
        self._size, self._window_size, self.taken = 0, 0, now

    def is_late(self, size: int, now: float) -> bool:
        """Whether the client, with `size` bytes left to take, has taken too little for too long."""
        if size < self._size:
            self.taken = now
        self._size = size
        if size == 0 or self._window_size == 0 or self._window_size - size >= self._limits.unread_bytes:
            self._window_size, self._window_start = size, now
        return size > 0 and now - self._window_start >= self._limits.unread_seconds


def bound_send_buffer(sock: socket.socket, limits: Limits) -> None:
    """Let the system hold little of an answer and not for long: no deadline here begins before it has handed it over."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.unread_seconds * 1000))
