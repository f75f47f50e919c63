"""Connection: one client, its requests in their order, and its deadlines."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from clinic_service.api.exchange import RawAnswer
from clinic_service.errors import ServiceError
from clinic_service.metrics.counters import count_closed
from clinic_service.server.errors import BodyEndedEarly, Overloaded, RequestTimeout, Stopping
from clinic_service.server.heads import CONTINUE, answer_head
from clinic_service.server.reader import HttpRequest, RequestReader
from clinic_service.server.unread import UnreadAnswers, bound_send_buffer

if TYPE_CHECKING:
    from clinic_service.server.gate import Gate

_NEVER = float("inf")
# Up to about this size, joining head and body costs less than writing them separately.
_JOINED_BYTES = 64 * 1024
# SO_LINGER on, with a time of 0: closing the socket drops all data that was not sent.
_DROP = struct.pack("ii", 1, 0)


class _Stage(Enum):
    OPEN = auto()
    """Requests are read."""
    LAST = auto()
    """The last request is being answered. All data that the client sends after it is dropped."""
    OVER = auto()
    """The last answer was sent."""


class Connection(asyncio.Protocol):
    """One client. Its requests are carried out one after the other."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._limits = gate.limits
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._socket: socket.socket = cast(socket.socket, None)
        self._peer = ""
        self._reader = RequestReader(gate.limits, self._on_head, self._on_body, self._on_complete)
        self._requests: deque[HttpRequest] = deque()
        self._refusal: tuple[ServiceError, HttpRequest] | None = None
        self._stage = _Stage.OPEN
        self._is_full = False
        self._is_paused = False
        self._has_ended = False
        self._dropped = 0
        self._awaited: HttpRequest | str | None = "head"
        self._deadline = _NEVER
        self._answers = UnreadAnswers(gate.limits)
        # The caller and the size of the last answer, if it is large, and whether the gate counts it as not received.
        self._large: tuple[str, int] | None = None
        self._is_owed = False
        self.is_busy = False
        """Whether the application works for this client."""

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket = transport.get_extra_info("socket")
        # A client that has gone already has no address.
        self._peer = (transport.get_extra_info("peername") or ("",))[0]
        bound_send_buffer(self._socket, self._limits)
        self._deadline = time.monotonic() + self._limits.head_seconds
        self._gate.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._stage is not _Stage.OPEN:
            self._drop(len(data))
            return
        try:
            self._reader.feed(data)
        except ServiceError as refusal:
            self._refuse_the_rest(refusal)
        else:
            self._advance()

    def eof_received(self) -> bool:
        """The client sends nothing more. Requests that it has sent completely are still answered."""
        self._has_ended = True
        if self._stage is _Stage.OPEN:
            if self.is_incomplete:
                self._refuse_the_rest(BodyEndedEarly())
            else:
                self._stage = _Stage.LAST
        return bool(self._requests or self.unread)

    def pause_writing(self) -> None:
        self._is_full = True
        if self._large and not self._is_owed:
            self._is_owed = True
            self._gate.owe(*self._large)

    def resume_writing(self) -> None:
        self._is_full = False
        self._note_received()
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._stage = _Stage.OVER
        self._requests.clear()
        self._note_received()
        self._gate.lost(self)

    # --- called by the reader

    def _on_head(self, request: HttpRequest) -> None:
        if len(self._requests) >= self._limits.pipelined:
            raise Overloaded
        request.peer = self._peer
        self._requests.append(request)

    def _on_body(self, request: HttpRequest, part: bytes) -> None:
        request.size += len(part)
        if request.limit is not None and request.size > request.limit:
            self._cut_body(request)
            return
        request.body.append(part)
        if not self._gate.buffer(len(part)):
            raise Overloaded

    def _on_complete(self, request: HttpRequest) -> None:
        if not request.keep_alive:
            self._stage = _Stage.LAST

    # --- one request after the other

    def _advance(self) -> None:
        """Take the next step for the first request, or continue reading when there is none to take."""
        if self._stage is _Stage.OVER or self._transport.is_closing():
            return
        if self.is_busy or self._is_full:
            self._stop_reading()
        elif not self._requests:
            self._await_request()
        else:
            self._continue_with(self._requests[0])

    def _continue_with(self, request: HttpRequest) -> None:
        if self._needs_admission(request):
            self._start()
            self._gate.admit(request, self._admitted)
        elif request.complete:
            self._start()
            self._gate.carry_out(request, self._answered)
        else:
            self._permit_body(request)
            self._read_on(request, self._limits.body_seconds)

    def _await_request(self) -> None:
        if self._refusal is not None:
            refusal, request = self._refusal
            self._send(self._gate.refuse(refusal, request), request, keep_alive=False)
            self._end(linger=True)
        elif self._stage is _Stage.LAST or (self._gate.stopping and not self._reader.is_within_head):
            self._end(linger=False)
        elif self._reader.is_within_head:
            self._read_on("head", self._limits.head_seconds)
        else:
            self._read_on("idle", self._limits.idle_seconds)

    def _needs_admission(self, request: HttpRequest) -> bool:
        small = self._limits.small_body_bytes
        return request.limit is None and (request.size > small or (request.length or 0) > small)

    def _permit_body(self, request: HttpRequest) -> None:
        if request.expects_continue and request.size == 0:
            request.expects_continue = False
            self._transport.write(CONTINUE)

    def _start(self) -> None:
        # Most clients wait for the answer, so reading is paused only when a client sends more.
        self.is_busy = True
        self._awaited, self._deadline = None, _NEVER

    def _admitted(self, result: RawAnswer | int | None) -> None:
        self.is_busy = False
        if not self._requests:
            return
        request = self._requests[0]
        if not isinstance(result, int):
            self._respond(request, result, keep_alive=False)
            return
        request.limit, request.admitted = result, True
        if request.size > result or (request.length or 0) > result:
            self._cut_body(request)
        self._advance()

    def _cut_body(self, request: HttpRequest) -> None:
        """Read no more of the body, because the application does not accept one of this size, or any."""
        request.complete, request.keep_alive, request.is_cut = True, False, True
        self._stage = _Stage.LAST

    def _answered(self, answer: RawAnswer | None) -> None:
        self.is_busy = False
        if self._requests:
            self._respond(self._requests[0], answer, keep_alive=self._requests[0].keep_alive)

    def _respond(self, request: HttpRequest, answer: RawAnswer | None, *, keep_alive: bool) -> None:
        """Send the answer to the first request, then continue with the next one or end."""
        self._requests.popleft()
        keep_alive = keep_alive and not self._gate.stopping
        self._send(answer or self._gate.refuse(ServiceError(), request), request, keep_alive=keep_alive)
        if keep_alive:
            self._advance()
        else:
            self._end(linger=request.is_cut or not request.complete)

    def _send(self, answer: RawAnswer, request: HttpRequest, *, keep_alive: bool) -> None:
        head = answer_head(answer, keep_alive=keep_alive, version=request.version)
        body = b"" if request.method == "HEAD" else answer.body
        if len(body) <= _JOINED_BYTES:
            self._large = None
            self._transport.write(head + body)
        else:
            self._large = request.caller_of(), len(body)
            self._transport.writelines([head, body])
        self._answers.sent(time.monotonic())
        self._gate.answered(self)

    def _note_received(self) -> None:
        """Note that the client has received a large answer, or will not receive it."""
        if self._large and self._is_owed:
            caller, size = self._large
            self._is_owed = False
            self._gate.owe(caller, -size)

    # --- reading

    def _read_on(self, awaited: HttpRequest | str | None, seconds: float) -> None:
        """Read until `awaited` is complete, within `seconds`. Further bytes of it do not extend the deadline."""
        if awaited is not self._awaited:
            self._awaited = awaited
            self._deadline = time.monotonic() + seconds
        self._resume_reading()

    def _stop_reading(self) -> None:
        if not (self._is_paused or self._has_ended):
            self._is_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_paused and not self._has_ended:
            self._is_paused = False
            self._transport.resume_reading()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > self._limits.linger_bytes:
            self.abort("dropped")

    # --- the end

    def _refuse_the_rest(self, refusal: ServiceError) -> None:
        """Answer the requests that arrived completely, then answer with `refusal`, then end."""
        self._stage = _Stage.LAST
        incomplete = self._requests and not self._requests[-1].complete
        self._refusal = refusal, self._requests.pop() if incomplete else HttpRequest()
        self._advance()

    def _end(self, *, linger: bool) -> None:
        """Close the sending side. With `linger`, data of the client is read and dropped for a short time.

        Closing both sides while the client still sends would discard the answer before the client reads it.
        """
        self._stage = _Stage.OVER
        self._requests.clear()
        if self._has_ended or not linger:
            self._transport.close()
            return
        self._deadline = time.monotonic() + self._limits.linger_seconds
        self._transport.write_eof()
        self._resume_reading()

    def abort(self, reason: str) -> None:
        """Close both sides at once, and drop all data that was not sent. The metrics count `reason`."""
        count_closed(reason)
        self._stage = _Stage.OVER
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self._transport.abort()

    def stop(self) -> None:
        """Close now if no request has begun, else after its answer. An incomplete request has a short time to arrive."""
        if self.is_silent:
            self._end(linger=False)
        else:
            self._deadline = min(self._deadline, time.monotonic() + self._limits.stop_seconds)

    # --- deadlines

    @property
    def is_silent(self) -> bool:
        """Whether the client has begun no request and has received all answers."""
        return not (self._requests or self._reader.is_within_head or self.unread)

    @property
    def is_incomplete(self) -> bool:
        """Whether the client has begun a request that is not complete."""
        return self._reader.is_within_head or any(not request.complete for request in self._requests)

    @property
    def unread(self) -> int:
        """The number of bytes of answers that the client has not received."""
        return self._transport.get_write_buffer_size()

    @property
    def buffered(self) -> int:
        """The number of bytes in memory for this client."""
        return self.unread + sum(request.size for request in self._requests)

    @property
    def taken(self) -> float:
        """When the client last received a part of an answer (`time.monotonic`)."""
        return self._answers.taken

    @property
    def begun(self) -> float:
        """When the last answer was handed to the system."""
        return self._answers.begun

    def check(self, now: float) -> None:
        """Close the connection when the client has missed a deadline."""
        if self._answers.is_late(self.unread, now):
            self.abort("unread")
        elif now >= self._deadline and not self.unread:
            self._time_out()

    def _time_out(self) -> None:
        if self._stage is not _Stage.OPEN or not self.is_incomplete:
            self._stage = _Stage.OVER
            self._transport.close()
            return
        count_closed("slow")
        self._refuse_the_rest(Stopping() if self._gate.stopping else RequestTimeout())
