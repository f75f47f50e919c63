"""One HTTP exchange: in time, of bounded size, and nowhere but where it was sent."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from clinic_service import clock, deadline
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.breaker import FAILURES, PAUSE_SECONDS, CircuitOpen
from tests.support.http_server import HANG_SECONDS, Received, Response, http_server


def _get(url: str, seconds: float = 5.0) -> http.Reply:
    return http.exchange("GET", url, headers={"accept": "application/json"}, seconds=seconds)


def test_request_and_answer_arrive_whole() -> None:
    with http_server(lambda _: Response(201, json={"a": 1}, headers={"X-Answer": "yes"})) as server:
        reply = http.exchange("POST", f"{server.url}/a%40b?c=d", headers={"x-sent": "1"}, body=b"{}")
    assert (reply.status, reply.headers["x-answer"], reply.json_object()) == (201, "yes", {"a": 1})
    received = server.received[0]
    assert (received.method, received.path, received.body) == ("POST", "/a%40b?c=d", b"{}")
    assert received.headers["x-sent"] == "1"


def test_redirect_is_not_followed() -> None:
    with http_server(lambda _: Response(302, headers={"location": "/elsewhere"})) as server:
        assert _get(server.url).status == 302
    assert [received.path for received in server.received] == ["/"]


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(http.ServiceUnreachable):
        _get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(hang=True), id="no answer"),
        pytest.param(Response(raw=b"HTTP/1.1 200 O", hang=True), id="half a status line"),
        pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", hang=True), id="half a body"),
        pytest.param(Response(raw=b"HTTP/1.1 200 OK\r\n\r\nab", hang=True), id="body without an end"),
    ],
)
def test_deadline_ends_the_wait(response: Response) -> None:
    begin = time.monotonic()
    with http_server(lambda _: response) as server, pytest.raises(http.ServiceUnreachable):
        _get(server.url, seconds=0.2)
    # Long before the other side would give up.
    assert time.monotonic() - begin < HANG_SECONDS / 2


def test_deadline_covers_the_whole_answer_however_it_trickles() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        trickling = pool.submit(_trickle, listener)
        with pytest.raises(http.ServiceUnreachable):
            _get(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.4)
        assert trickling.result(), "the caller waited for the end"


_LONG_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"


def _trickle(listener: socket.socket, head: bytes = _LONG_BODY) -> bool:
    """Accept one caller and send it `head`, then a byte every 10 ms; tells whether it hung up before a minute is over."""
    connection, _ = listener.accept()
    with connection:
        try:
            connection.sendall(head)
            for _ in range(6000):
                connection.sendall(b"x")
                time.sleep(0.01)
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="hung up"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", id="cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="cut off in a chunk"),
    ],
)
def test_incomplete_answer_is_unreachable(raw: bytes) -> None:
    with http_server(lambda _: Response(raw=raw)) as server, pytest.raises(http.ServiceUnreachable):
        _get(server.url)


def test_answer_that_is_not_http_is_nonsense() -> None:
    with http_server(lambda _: Response(raw=b"220 mail.example ESMTP\r\n\r\n")) as server, pytest.raises(BadGateway):
        _get(server.url)


def test_largest_answer_is_read_and_a_larger_one_refused() -> None:
    with http_server(_sized) as server:
        assert len(_get(f"{server.url}/{http.MAX_ANSWER_BYTES}").body) == http.MAX_ANSWER_BYTES
        with pytest.raises(BadGateway):
            _get(f"{server.url}/{http.MAX_ANSWER_BYTES + 1}")


def test_connection_of_an_answer_that_is_too_large_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hung_up = _send_for_ever(listener)
        with pytest.raises(BadGateway) as _failure:
            _get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        # The error is kept, and with it all that the failed call had in its hands.
        assert hung_up.wait(5)


def _send_for_ever(listener: socket.socket) -> threading.Event:
    """Accept one caller and send an answer without an end; the event tells that the caller has hung up."""
    hung_up = threading.Event()

    def send() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        hung_up.set()

    threading.Thread(target=send, daemon=True).start()
    return hung_up


def _sized(received: Received) -> Response:
    return Response(body=b"x" * int(received.path.strip("/")))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b"NaN"])
def test_body_that_is_no_json_object_is_nonsense(body: bytes) -> None:
    with pytest.raises(BadGateway):
        http.Reply(200, {}, body).json_object()


@pytest.mark.parametrize("url", ["", "accounts.example", "ftp://accounts.example", "http://", "http://a:port"])
def test_url_that_cannot_be_called(url: str) -> None:
    assert not http.is_http_url(url)


class _Kept:
    """Speaks to callers who keep their connection: counts connections, and answers each request on them."""

    def __init__(self, listener: socket.socket) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._listener = listener
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while received := connection.recv(65536):
                self.requests.append(received)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\n{}")


@pytest.fixture
def kept() -> Iterator[tuple[_Kept, str]]:
    """A server that keeps connections, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield _Kept(listener), f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_connection_is_used_again_and_nothing_else_of_the_exchange_before(kept: tuple[_Kept, str]) -> None:
    server, url = kept
    for _ in range(3):
        assert _get(url).body == b"{}"
    assert (server.connections, len(server.requests)) == (1, 3)
    # A cookie could make one person's exchange part of another's.
    assert not any(b"cookie" in request.lower() for request in server.requests)


def test_proxy_of_the_environment_is_not_used(kept: tuple[_Kept, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert _get(kept[1]).status == 200


def test_neither_address_nor_header_is_logged(kept: tuple[_Kept, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        http.exchange("GET", kept[1] + "user/carol@mail.example", headers={"x-secret": "hidden"})
    assert "carol" not in caplog.text
    assert "hidden" not in caplog.text


def test_answer_is_asked_for_and_read_uncompressed(kept: tuple[_Kept, str]) -> None:
    """Unpacking could make more of an answer than it may be."""
    _get(kept[1])
    assert b"accept-encoding: identity" in kept[0].requests[0].lower()


def test_deadline_covers_a_header_that_trickles() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        trickling = pool.submit(_trickle, listener, head=b"HTTP/1.1 200 OK\r\nX-Long: ")
        with pytest.raises(http.ServiceUnreachable):
            _get(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.4)
        assert trickling.result(), "the caller waited for the end"


def test_deadline_covers_a_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(http.ServiceUnreachable):
        _get(f"https://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.2)


def test_the_request_may_have_less_time_than_the_call() -> None:
    with http_server(lambda _: Response(hang=True)) as server:
        with deadline.limited(0.2), pytest.raises(DeadlineExceeded):
            _get(server.url)
        with deadline.limited(5), clock.advanced(5), pytest.raises(DeadlineExceeded):
            _get(server.url)
        assert len(server.received) == 1


def test_a_system_that_gives_no_answer_is_left_alone_for_a_while() -> None:
    with http_server(lambda _: Response(raw=b"")) as server:
        service = http.RemoteService(server.url)
        for _ in range(FAILURES):
            with pytest.raises(http.ServiceUnreachable):
                service.exchange("GET", "/", headers={})
        with pytest.raises(CircuitOpen):
            service.exchange("GET", "/", headers={})
        assert len(server.received) == FAILURES
        server.answer = lambda _: Response(200, json={})
        with clock.advanced(PAUSE_SECONDS):
            assert service.exchange("GET", "/", headers={}).status == 200


def test_child_of_a_process_that_has_called_can_call_as_well() -> None:
    """A forked process has the parent's client, and none of its threads."""
    with http_server(lambda _: Response(200, json={})) as server:
        script = f"""
import os
from clinic_service.gateways import http
def call():
    return http.exchange("GET", {server.url!r}, headers={{}}).status
assert call() == 200
child = os.fork()
if child == 0:
    os._exit(0 if call() == 200 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert call() == 200
"""
        subprocess.run([sys.executable, "-c", script], timeout=30, check=True)
        assert len(server.received) == 3
