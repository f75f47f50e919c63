"""What the server does with requests on a connection: framing, order, limits and deadlines, with short ones here."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from clinic_service.api.exchange import RawAnswer
from clinic_service.db.readiness import Health
from clinic_service.server.limits import Limits
from tests.support.gates import GET, HOST, Served, read_all, serving_gate, wait_until

POST = b"POST /echo HTTP/1.1\r\n" + HOST


def statuses(raw: bytes) -> list[int]:
    """The statuses of the answers in `raw`, in order."""
    return [int(part[:3]) for part in raw.split(b"HTTP/1.1 ")[1:]]


class TestRequests:
    @pytest.fixture
    def served(self) -> Iterator[Served]:
        with serving_gate() as served:
            yield served

    def test_of_one_connection_are_answered_in_order(self, served: Served) -> None:
        answers = served.exchange(
            GET + POST + b"Content-Length: 2\r\n\r\nab" + POST + b"Connection: close\r\nContent-Length: 1\r\n\r\nc"
        )
        assert statuses(answers) == [200, 200, 200]
        positions = [answers.index(body) for body in (b"GET /echo ", b"POST /echo ab", b"POST /echo c")]
        assert positions == sorted(positions)
        assert answers.count(b"Connection: close") == 1

    def test_byte_by_byte_are_the_same(self, served: Served) -> None:
        with served.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
                client.sendall(bytes([byte]))
            assert read_all(client).endswith(b"POST /echo abc")

    def test_of_version_1_0_close_the_connection_unless_asked(self, served: Served) -> None:
        answer = served.exchange(b"GET /echo HTTP/1.0\r\n\r\n")
        assert statuses(answer) == [200]
        assert b"Connection: close" in answer
        kept = b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        answers = served.exchange(kept + b"GET /echo HTTP/1.0\r\n\r\n")
        assert statuses(answers) == [200, 200]
        assert b"Connection: keep-alive" in answers

    def test_head_gets_the_headers_without_a_body(self, served: Served) -> None:
        answer = served.exchange(b"HEAD /echo HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
        assert answer.endswith(b"\r\n\r\n")
        assert b"Content-Length: 11\r\n" in answer

    def test_that_offer_another_protocol_are_answered_in_this_one(self, served: Served) -> None:
        """Java's client offers HTTP/2 with each request, also with those that have a body."""
        offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
        answers = served.exchange(
            POST + offer + b"Content-Length: 2\r\n\r\nab" + GET + GET[:-2] + b"Connection: close\r\n\r\n"
        )
        assert statuses(answers) == [200, 200, 200]
        assert b"POST /echo ab" in answers

    @pytest.mark.parametrize("expectation", [b"100-continue", b"100-Continue"])
    def test_wait_for_permission_to_send_a_body(self, served: Served, expectation: bytes) -> None:
        with served.connect() as client:
            client.sendall(POST + b"Expect: " + expectation + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n")
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"ab")
            assert read_all(client).endswith(b"POST /echo ab")

    def test_get_no_permission_when_they_are_refused(self, served: Served) -> None:
        served.app.admits = RawAnswer(403)
        with served.connect() as client:
            client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
            assert statuses(read_all(client)) == [403]

    def test_of_a_client_that_closes_its_side_are_answered(self, served: Served) -> None:
        with served.connect() as client:
            client.sendall(GET + GET)
            client.shutdown(socket.SHUT_WR)
            assert statuses(read_all(client)) == [200, 200]

    @pytest.mark.parametrize("raw", [GET[:20], POST + b"Content-Length: 9\r\n\r\nab"])
    def test_that_end_early_are_refused(self, served: Served, raw: bytes) -> None:
        with served.connect() as client:
            client.sendall(GET + raw)
            client.shutdown(socket.SHUT_WR)
            assert statuses(read_all(client)) == [200, 400]

    def test_behind_one_that_is_no_http_are_not_read(self, served: Served) -> None:
        assert statuses(served.exchange(GET + b"\x16\x03\x01\r\n\r\n" + GET)) == [200, 400]


class TestHeaders:
    def test_with_an_underscore_are_dropped(self) -> None:
        """WSGI folds both to one name, and a proxy may strip one of them alone."""
        with serving_gate() as served:
            served.exchange(
                b"GET /echo HTTP/1.1\r\nX_Token: bad\r\nX-Token: good\r\nX_Other: bad\r\nConnection: close\r\n"
                + HOST
                + b"\r\n"
            )
            (environ,) = served.app.seen
        assert environ["HTTP_X_TOKEN"] == "good"
        assert "HTTP_X_OTHER" not in environ

    def test_end_before_the_white_space_behind_their_values(self) -> None:
        with serving_gate() as served:
            served.exchange(b"GET /echo HTTP/1.1\r\nX-Token: \t a b \t \r\nConnection: close \r\n" + HOST + b"\r\n")
            (environ,) = served.app.seen
        assert environ["HTTP_X_TOKEN"] == "a b"

    @pytest.mark.parametrize("host", [b"", b"a.example", b"a_b:80", b"[::1]:8080", b"127.0.0.1", b"a%20b", b"a:"])
    def test_host_may_be_any_name_or_address(self, host: bytes) -> None:
        with serving_gate() as served:
            answers = served.exchange(b"GET /echo HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
            assert statuses(answers) == [200]

    @pytest.mark.parametrize("host", [b"a b", b"<a>", b"a:b", b"[::1", b"a/b", b"a@b", b"\xe4", b"a:80:90"])
    def test_host_that_is_no_address_is_refused(self, host: bytes) -> None:
        with serving_gate() as served:
            answers = served.exchange(b"GET /echo HTTP/1.1\r\nConnection: close\r\nHost: " + host + b"\r\n\r\n")
            assert statuses(answers) == [400]

    def test_come_only_from_the_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_X_TIDEPOOL_SESSION_TOKEN", "from the environment of the server")
        with serving_gate() as served:
            served.get("/echo")
            (environ,) = served.app.seen
        assert sorted(name for name in environ if name.startswith("HTTP_")) == ["HTTP_ACCEPT_ENCODING", "HTTP_HOST"]
        assert environ["REMOTE_ADDR"] == "127.0.0.1"

    def test_behind_a_chunked_body_are_none(self) -> None:
        with serving_gate() as served:
            chunks = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nX-Token: late\r\n\r\n"
            assert statuses(served.exchange(POST + chunks)) == [200]
            assert "HTTP_X_TOKEN" not in served.app.seen[0]

    @pytest.mark.parametrize("hosts", [b"", HOST + HOST])
    def test_name_exactly_one_host(self, hosts: bytes) -> None:
        with serving_gate() as served:
            assert statuses(served.exchange(b"GET /echo HTTP/1.1\r\n" + hosts + b"\r\n")) == [400]


class TestLargeBodies:
    """Above a few kB the application is asked first, and it alone decides how much is read."""

    BODY = b"x" * 1_000_000
    HEAD = POST + b"Content-Length: 1000000\r\n"

    def test_are_read_from_those_who_may_send_them(self) -> None:
        with serving_gate() as served:
            answer = served.exchange(self.HEAD + b"Connection: close\r\n\r\n" + self.BODY)
            assert answer.endswith(self.BODY)
            asked, carried_out = served.app.seen
        assert asked["wsgi.input"].read() == b""
        assert "clinic_service.admitted" not in asked
        assert carried_out["clinic_service.admitted"] is True

    @pytest.mark.parametrize("framing", ["announced", "chunked"])
    def test_of_others_are_refused_before_they_are_sent(self, framing: str) -> None:
        with serving_gate() as served, served.connect() as client:
            served.app.admits = RawAnswer(403)
            if framing == "announced":
                client.sendall(self.HEAD + b"\r\n")
            else:
                client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 9000)
            assert statuses(read_all(client)) == [403]
            assert len(served.app.seen) == 1

    def test_of_others_do_not_hide_the_refusal_from_a_client_that_sends_on(self) -> None:
        with serving_gate() as served, served.connect() as client:
            served.app.admits = RawAnswer(403)
            client.sendall(POST + b"Content-Length: 4000000\r\n\r\n" + b"x" * 4_000_000)
            assert statuses(read_all(client)) == [403]

    @pytest.mark.parametrize("framing", ["announced", "chunked"])
    def test_beyond_what_is_read_are_cut(self, framing: str) -> None:
        """The application sees more than it reads, or a length that is more, and refuses the request."""
        with serving_gate() as served, served.connect() as client:
            served.app.admits = 20_000
            if framing == "announced":
                client.sendall(self.HEAD + b"\r\n" + self.BODY)
            else:
                client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\nf4240\r\n" + self.BODY + b"\r\n0\r\n\r\n")
            assert statuses(read_all(client)) == [200]
            assert int(served.app.seen[-1]["CONTENT_LENGTH"]) > 20_000
            assert len(served.app.seen[-1]["wsgi.input"].getvalue()) < len(self.BODY)


class TestDeadlines:
    LIMITS = Limits(head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, unread_seconds=0.4, check_seconds=0.05)

    @pytest.fixture
    def served(self) -> Iterator[Served]:
        with serving_gate(self.LIMITS) as served:
            yield served

    @pytest.mark.parametrize(
        ("sent", "answered"),
        [
            (b"", []),
            (b"\r\n", []),
            (GET, [200]),
            (b"G", [408]),
            (GET[:-2], [408]),
            (GET + b"G", [200, 408]),
            (POST + b"Content-Length: 9\r\n\r\n", [408]),
            (POST + b"Content-Length: 9\r\n\r\nab", [408]),
            (POST + b"Content-Length: 90000\r\n\r\nab", [408]),
            (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", [408]),
        ],
    )
    def test_end_what_does_not_go_on(self, served: Served, sent: bytes, answered: list[int]) -> None:
        assert statuses(served.exchange(sent)) == answered

    def test_are_not_moved_by_single_bytes(self, served: Served) -> None:
        with served.connect() as client:
            client.sendall(b"GET /echo HTTP/1.1\r\nX-Slow: ")
            client.settimeout(0.05)
            answer = b""
            while not answer:
                try:
                    client.sendall(b"a")
                    answer = client.recv(1000)
                except TimeoutError:
                    continue
            assert statuses(answer) == [408]

    def test_do_not_count_while_the_application_works(self, served: Served) -> None:
        with served.connect() as client:
            client.sendall(b"GET /wait HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
            client.settimeout(0.6)
            with pytest.raises(TimeoutError):
                client.recv(1)
            served.app.release.set()
            client.settimeout(10)
            assert statuses(read_all(client)) == [200]

    def test_end_what_is_not_read(self, served: Served) -> None:
        served.app.answer_size = 8 << 20
        with served.connect(receive_buffer=4096) as client:
            client.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
            wait_until(lambda: served.app.seen)
            wait_until(served.gate.is_idle)
            assert len(read_all(client)) < 8 << 20

    def test_do_not_end_what_is_read_steadily(self, served: Served) -> None:
        served.app.answer_size = 2 << 20
        with served.connect(receive_buffer=4096) as client:
            client.sendall(b"GET /large HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
            received = 0
            while part := client.recv(200_000):
                received += len(part)
            assert received > 2 << 20


class TestBounds:
    def test_slow_senders_occupy_no_thread(self) -> None:
        with serving_gate(threads=1) as served:
            slow = [served.connect() for _ in range(50)]
            for client in slow:
                client.sendall(POST + b"Content-Length: 9\r\n\r\nab")
            assert served.get("/echo") == 200

    def test_slow_readers_occupy_no_thread_and_little_memory(self) -> None:
        limits = Limits(buffered_bytes=4 << 20, check_seconds=0.05)
        with serving_gate(limits, threads=1) as served:
            slow = [served.connect(receive_buffer=4096) for _ in range(20)]
            for client in slow:
                client.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
            wait_until(lambda: served.on_loop(lambda: served.gate.buffered) <= 4 << 20 and len(served.app.seen) >= 5)
            wait_until(lambda: served.get("/echo") == 200)

    def test_requests_beyond_the_bound_are_put_off(self) -> None:
        with serving_gate(Limits(requests=2), threads=1) as served:
            waiting = [served.connect() for _ in range(2)]
            for client in waiting:
                client.sendall(b"GET /wait HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
            wait_until(lambda: served.on_loop(lambda: served.gate.requests) == 2)
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            connection.request("GET", "/echo")
            refused = connection.getresponse()
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            refused.read()
            assert served.get("/live") == 200
            assert served.get("/ready") == 200
            served.app.release.set()
            assert [statuses(read_all(client)) for client in waiting] == [[200], [200]]
            connection.request("GET", "/echo")
            assert connection.getresponse().status == 200
            connection.close()

    def test_beyond_the_bound_of_connections_the_oldest_silent_one_is_closed(self) -> None:
        with serving_gate(Limits(connections=10)) as served:
            busy = served.connect()
            busy.sendall(POST + b"Content-Length: 9\r\n\r\nab")
            wait_until(lambda: served.on_loop(lambda: served.gate.incomplete) == 1)
            silent = [served.connect() for _ in range(30)]
            assert served.get("/live") == 200
            assert read_all(silent[0]) == b""
            busy.sendall(b"cdefghi")
            assert statuses(busy.recv(1000)) == [200]

    def test_beyond_the_bound_of_connections_incomplete_requests_go_when_none_is_silent(self) -> None:
        with serving_gate(Limits(connections=5)) as served:
            slow = [served.connect() for _ in range(5)]
            for client in slow:
                client.sendall(b"GET /echo HTTP/1.1\r\n")
            wait_until(lambda: served.on_loop(lambda: served.gate.incomplete) == 5)
            assert served.get("/echo") == 200

    def test_many_requests_sent_ahead_are_refused(self) -> None:
        with serving_gate(Limits(pipelined=3)) as served:
            assert statuses(served.exchange(GET * 500)) == [200, 200, 200, 503]

    def test_many_small_refusals_do_not_stop_the_server(self) -> None:
        with serving_gate(Limits(requests=1, pipelined=2000)) as served:
            served.exchange(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n" * 1500 + GET[:-2] + b"Connection: close\r\n\r\n")
            assert served.get("/echo") == 200


class TestHealth:
    def test_is_told_while_all_threads_are_busy(self) -> None:
        with serving_gate(threads=1) as served, served.connect() as client:
            client.sendall(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
            assert served.app.started.acquire(timeout=10)
            assert served.get("/live") == 200
            assert served.get("/ready") == 200

    def test_is_bad_when_the_database_does_not_answer(self) -> None:
        with serving_gate() as probe:
            asked = []

            def hang() -> Health:
                asked.append(True)
                probe.app.release.wait(10)
                return Health.OK

            with serving_gate(health=hang) as served:
                assert served.get("/ready") == 503
                assert served.get("/ready") == 503
                assert served.get("/live") == 200
            assert asked == [True]
            probe.app.release.set()


class TestStop:
    def test_closes_what_is_idle_and_finishes_what_is_running(self) -> None:
        with serving_gate() as served:
            silent, kept, running = (served.connect() for _ in range(3))
            kept.sendall(GET)
            assert statuses(kept.recv(1000)) == [200]
            running.sendall(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n")
            assert served.app.started.acquire(timeout=10)
            served.on_loop(served.gate.stop)
            assert (read_all(silent), read_all(kept)) == (b"", b"")
            served.app.release.set()
            answer = read_all(running)
            assert statuses(answer) == [200]
            assert b"Connection: close" in answer
            wait_until(served.gate.is_idle)

    def test_waits_a_short_time_for_a_request_that_has_begun(self) -> None:
        with serving_gate(Limits(stop_seconds=0.3, check_seconds=0.05)) as served:
            half, quick = served.connect(), served.connect()
            for client in (half, quick):
                client.sendall(POST + b"Content-Length: 4\r\n\r\nab")
            wait_until(lambda: served.on_loop(lambda: served.gate.incomplete) == 2)
            served.on_loop(served.gate.stop)
            quick.sendall(b"cd")
            assert statuses(read_all(quick)) == [200]
            assert statuses(read_all(half)) == [503]
