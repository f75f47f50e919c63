"""One HTTP exchange: in time, of bounded size, and nowhere but where it was sent."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from tests.support.http_server import Received, Response, http_server


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
    assert time.monotonic() - begin < 3


def test_deadline_covers_the_whole_answer_however_it_trickles() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trickling = _trickle(listener)
        with pytest.raises(http.ServiceUnreachable):
            _get(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.4)
        trickling.join()


def _trickle(listener: socket.socket) -> threading.Thread:
    """Accept one caller and send a byte every 50 ms until it hangs up, never an end."""

    def send() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    return thread


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
    with http_server(lambda _: Response(raw=b"220 mail.example ESMTP\r\n")) as server, pytest.raises(BadGateway):
        _get(server.url)


def test_largest_answer_is_read_and_a_larger_one_refused() -> None:
    with http_server(_sized) as server:
        assert len(_get(f"{server.url}/{http.MAX_ANSWER_BYTES}").body) == http.MAX_ANSWER_BYTES
        with pytest.raises(BadGateway):
            _get(f"{server.url}/{http.MAX_ANSWER_BYTES + 1}")


def test_answer_that_is_not_read_to_its_end_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    connect = socket.create_connection

    def note(*args: Any, **options: Any) -> socket.socket:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(socket, "create_connection", note)
    with http_server(_sized) as server, pytest.raises(BadGateway) as _failure:
        _get(f"{server.url}/{http.MAX_ANSWER_BYTES * 2}")
    # The error is kept, and with it all that the failed call had in its hands.
    assert [connection.fileno() for connection in opened] == [-1]


def _sized(received: Received) -> Response:
    return Response(body=b"x" * int(received.path.strip("/")))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b"NaN"])
def test_body_that_is_no_json_object_is_nonsense(body: bytes) -> None:
    with pytest.raises(BadGateway):
        http.Reply(200, {}, body).json_object()


@pytest.mark.parametrize("url", ["", "accounts.example", "ftp://accounts.example", "http://", "http://a:port"])
def test_url_that_cannot_be_called(url: str) -> None:
    assert not http.is_http_url(url)
