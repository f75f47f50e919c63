"""A gate with as many requests as it may hold: who is refused then, and whose turn it is."""

from __future__ import annotations

import socket

import pytest

from clinic_service.server import fair_queue
from clinic_service.server.limits import Limits
from tests.support.gates import HOST, MAX_WAIT, Served, serving_gate, wait_until


def send(served: Served, path: str, caller: str) -> socket.socket:
    client = served.connect()
    client.sendall(f"GET {path} HTTP/1.1\r\nX-Caller: {caller}\r\n".encode() + HOST + b"\r\n")
    return client


def status(client: socket.socket) -> int:
    return int(client.recv(1 << 16)[9:12])


def occupy(served: Served, requests: int) -> list[socket.socket]:
    """A greedy caller has the thread, and so many requests in all."""
    clients = []
    for number in range(1, requests + 1):
        clients.append(send(served, "/wait", "greedy"))
        wait_until(lambda number=number: served.gate.requests == number)  # type: ignore[misc]  # the value of this round
    assert served.app.started.acquire(timeout=MAX_WAIT)
    return clients


def test_a_greedy_caller_gives_way_to_others() -> None:
    with serving_gate(Limits(requests=3)) as served:
        first, second, third = occupy(served, 3)
        polite = send(served, "/echo", "polite")
        assert status(third) == 503
        served.app.release.set()
        assert [status(client) for client in (first, second, polite)] == [200, 200, 200]


def test_a_greedy_caller_does_not_give_way_to_itself() -> None:
    with serving_gate(Limits(requests=3)) as served:
        clients = occupy(served, 3)
        assert status(send(served, "/echo", "greedy")) == 503
        served.app.release.set()
        assert [status(client) for client in clients] == [200, 200, 200]


def test_the_others_do_not_wait_for_all_requests_of_a_greedy_caller() -> None:
    with serving_gate(Limits(requests=9)) as served:
        clients = occupy(served, 4)
        polite = send(served, "/echo", "polite")
        wait_until(lambda: served.gate.requests == 5)
        served.app.release.set()
        assert [status(client) for client in (*clients, polite)] == [200] * 5
        assert [environ["HTTP_X_CALLER"] for environ in served.app.seen][:3] == ["greedy", "greedy", "polite"]


def test_a_caller_who_does_not_read_large_answers_waits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "_SLOW_CPU_SECONDS", -1.0)
    monkeypatch.setattr(fair_queue, "_SLOW_SECONDS", -1.0)
    with serving_gate(Limits(unread_bytes_of_caller=100_000), threads=2) as served:
        # Each is known to send slow requests from now on.
        assert [status(send(served, "/echo", caller)) for caller in ("greedy", "polite")] == [200, 200]
        reader = send(served, "/large", "greedy")
        wait_until(lambda: served.on_loop(lambda: sum(c.unread for c in served.gate._connections)) > 0)
        more = send(served, "/echo", "greedy")
        wait_until(lambda: served.gate.requests == 1)
        assert status(send(served, "/echo", "polite")) == 200
        assert served.gate.requests == 1
        received = 0
        while received < served.app.answer_size:
            received += len(reader.recv(1 << 20))
        assert status(more) == 200


def test_when_memory_is_short_those_who_read_large_answers_slowly_are_cut_off() -> None:
    limits = Limits(buffered_bytes=1 << 20, check_seconds=0.05)
    with serving_gate(limits) as served:
        served.app.answer_size = 16 << 20
        reader = served.connect(receive_buffer=4096)
        reader.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")

        def is_cut_off() -> bool:
            # It takes something again and again, so that it never stalls.
            try:
                return not reader.recv(1 << 10)
            except ConnectionResetError:
                return True

        wait_until(is_cut_off)
        assert status(send(served, "/echo", "polite")) == 200
