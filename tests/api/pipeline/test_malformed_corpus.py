"""The corpus of malformed requests against the operations, in process and over a real connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from clinic_service.db.engine import Database
from clinic_service.gateways.tokens import mint
from tests.conftest import SECRET
from tests.support.cast import ALICE, CAROL, SERVICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.malformed import BODIES, IDS, QUERIES
from tests.support.malformed_targets import (
    CLINIC_ID,
    WITH_BODY,
    WITH_IDS,
    WITH_PAGES,
    address,
    allowed,
    is_allowed_text,
    send_body,
    takes_lists,
)
from tests.support.rows import make_staffed_clinic, storing
from tests.support.running import RawServer, running_server

CPU_SECONDS = 0.1


def quick(send: Callable[[], Reply]) -> Reply:
    """The answer, which takes little work: what counts is the time of the processor, however busy the machine is.

    Best of three, since garbage is collected at some time.
    """
    times = []
    for _ in range(3):
        started = time.thread_time()
        reply = send()
        times.append(time.thread_time() - started)
        if times[-1] < CPU_SECONDS:
            return reply
    raise AssertionError(f"answered after {min(times):.3f} s of work at best")


def test_the_operations_are_representative() -> None:
    assert len(BODIES) + len(IDS) + len(QUERIES) >= 60
    assert {"CreateClinic", "UpdateClinic", "CreateClinician", "GrantPermissionsInGroup", "UpdateMigration"} <= {
        operation.operation_id for operation in WITH_BODY
    }
    assert {"ListClinics", "ListClinicians", "ListAllClinicians", "ListClinicsForPatient"} <= {
        operation.operation_id for operation in WITH_PAGES
    }
    assert {"clinicId", "shareCode", "clinicianId", "patientId", "userId", "sharerId"} <= {name for _, name in WITH_IDS}


class TestInProcess:
    @pytest.fixture(autouse=True)
    def clinic(self, database: Database) -> None:
        with storing(database) as unit:
            make_staffed_clinic(unit, id=CLINIC_ID)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("case", BODIES)
    def test_bodies(self, api: Client, case: str) -> None:
        body = BODIES[case]
        for operation in WITH_BODY:
            if body.raw == b"[]" and takes_lists(operation):
                continue
            reply = quick(lambda operation=operation: send_body(api, operation, body))  # type: ignore[misc]
            assert_error(reply, body.status)

    @pytest.mark.parametrize("case", IDS)
    def test_ids(self, api: Client, case: str) -> None:
        for operation, name in WITH_IDS:
            path = address(operation, **{name: IDS[case]})
            method = operation.method.upper()
            reply = quick(
                lambda operation=operation, method=method, path=path: api.request(  # type: ignore[misc]
                    method, path, as_=allowed(operation)
                )
            )
            if reply.status in (200, 204) and is_allowed_text(operation, name, IDS[case]):
                continue
            # 403 where the bad id is that of a clinic or person that the caller would need a relation to.
            assert reply.status in (400, 403, 404), (operation.operation_id, name)
            assert_error(reply, reply.status)

    @pytest.mark.one_engine
    @pytest.mark.parametrize("case", QUERIES)
    def test_queries(self, api: Client, case: str) -> None:
        for operation in WITH_PAGES:
            environ = {"QUERY_STRING": QUERIES[case]}
            reply = quick(
                lambda operation=operation, environ=environ: api.get(  # type: ignore[misc]
                    address(operation), as_=allowed(operation), environ_overrides=environ
                )
            )
            assert_error(reply, 400)

    @pytest.mark.one_engine
    def test_a_body_that_breaks_the_spec_in_very_many_places(self, api: Client) -> None:
        """Listing them all would take seconds."""
        many = {"name": "x", "phoneNumbers": [{}] * 10_000}
        reply = quick(lambda: api.put(f"/v1/clinics/{CLINIC_ID}", as_=SERVICE, json=many))
        assert_error(reply, 400)
        assert 1 <= len(reply.json["errors"]) <= 100


# Stands for a token, which is made when the request is sent.
TOKEN = b"{token}"
HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
SIGNED = HEAD + b"X-Tidepool-Session-Token: " + TOKEN + b"\r\n"
SIGNED_JSON = SIGNED + b"Content-Type: application/json\r\n"
CLINIC = f"/v1/clinics/{CLINIC_ID}".encode()
TIER = b"POST " + CLINIC + b"/tier" + SIGNED_JSON
GRANT = f"POST /access/{ALICE.id}/{CAROL.id}".encode() + SIGNED_JSON

# What only exists on a connection, and the only right answer to it.
RAW: dict[str, tuple[int, bytes]] = {
    "chunked and compressed": (
        400,
        TIER + b'Transfer-Encoding: gzip, chunked\r\n\r\n14\r\n{"tier": "tier0100"}\r\n0\r\n\r\n',
    ),
    "chunked, no JSON": (400, TIER + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n"),
    "chunked, too large": (
        413,
        TIER + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + (b" " * 65536 + b"\r\n10000\r\n") * 17,
    ),
    "chunked, cut within a chunk": (400, TIER + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n0\r\n\r\n"),
    "chunked, size is no number": (400, TIER + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "chunked, broken, where no body means delete": (
        400,
        GRANT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ),
    "declared too large and never sent": (413, TIER + b"Content-Length: 100000000\r\n\r\n"),
    "declared too large, permission asked": (
        413,
        TIER + b"Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n",
    ),
    "length and chunks": (
        400,
        TIER + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "two tokens": (401, b"GET " + CLINIC + SIGNED + b"X-Tidepool-Session-Token: " + TOKEN + b"\r\n\r\n"),
    "two tokens, the first compound": (
        401,
        b"GET " + CLINIC + HEAD + b"X-Tidepool-Session-Token: kc:" + TOKEN + b":r\r\n"
        b"X-Tidepool-Session-Token: " + TOKEN + b"\r\n\r\n",
    ),
    "token of raw bytes": (401, b"GET " + CLINIC + HEAD + b"X-Tidepool-Session-Token: \xff\xfe\r\n\r\n"),
    "token of 30,000 characters": (
        401,
        b"GET " + CLINIC + HEAD + b"X-Tidepool-Session-Token: " + b"a" * 30_000 + b"\r\n\r\n",
    ),
    "compressed": (415, TIER + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + b'{"tier": "tier0100"}'),
    "compressed twice": (
        415,
        TIER + b"Content-Encoding: identity, br\r\nContent-Length: 20\r\n\r\n" + b'{"tier": "tier0100"}',
    ),
    "host that is none": (400, (b"GET " + CLINIC + SIGNED + b"\r\n").replace(b"localhost", b"a b<>")),
    "host of raw bytes": (400, (b"GET " + CLINIC + SIGNED + b"\r\n").replace(b"localhost", b"\xc3\xa4")),
    "content type of raw bytes": (
        415,
        b"POST " + CLINIC + b"/tier" + SIGNED + b"Content-Type: application/json\xff\r\nContent-Length: 2\r\n\r\n{}",
    ),
    "NUL in the path": (400, b"GET /v1/clinics/%00" + SIGNED + b"\r\n"),
    "newline behind an id": (400, b"GET " + CLINIC + b"%0A" + SIGNED + b"\r\n"),
    "invalid UTF-8 in the path": (400, b"GET /v1/clinics/%ff" + SIGNED + b"\r\n"),
    "invalid UTF-8 in the path of an id without a pattern": (
        400,
        b"GET " + CLINIC + b"/invites/clinicians/%ff/clinician" + SIGNED + b"\r\n",
    ),
    "raw UTF-8 in the path": (400, "GET /v1/clinics/é".encode() + SIGNED + b"\r\n"),
    "encoded slashes": (404, b"GET /v1/clinics/a%2Fb%2Fc" + SIGNED + b"\r\n"),
    "bad escape in the path": (400, b"GET /v1/clinics/%zz" + SIGNED + b"\r\n"),
    "id of 15,000 characters": (400, b"GET /v1/clinics/" + b"a" * 15_000 + SIGNED + b"\r\n"),
    "doubled slash in front": (404, b"GET /" + CLINIC + SIGNED + b"\r\n"),
    "doubled slash within": (404, b"GET /v1//clinics" + SIGNED + b"\r\n"),
    "encoded slash between": (404, b"GET /v1%2Fclinics" + SIGNED + b"\r\n"),
    "invalid UTF-8 in the query": (400, b"GET /v1/clinics?limit=%ff" + SIGNED + b"\r\n"),
    "NUL in the query": (400, b"GET /v1/clinics?shareCode=%00" + SIGNED + b"\r\n"),
    "no address": (404, b"OPTIONS *" + SIGNED + b"\r\n"),
    "a proxy's method": (404, b"CONNECT example:80" + SIGNED + b"\r\n"),
    "a method nobody knows": (400, b"BREW " + CLINIC + SIGNED + b"\r\n"),
    "a method in small letters": (400, b"get " + CLINIC + SIGNED + b"\r\n"),
    "length that is no number": (400, TIER + b"Content-Length: two\r\n\r\n{}"),
    "negative length": (400, TIER + b"Content-Length: -2\r\n\r\n{}"),
    "length of 5,000 digits": (400, TIER + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}"),
    "two lengths": (400, TIER + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "encoding that is not chunked": (400, TIER + b"Transfer-Encoding: xchunked\r\n\r\n{}"),
    "header of a megabyte": (431, b"GET " + CLINIC + SIGNED + b"X-Large: " + b"a" * 1_000_000 + b"\r\n\r\n"),
    "a thousand headers": (431, b"GET " + CLINIC + SIGNED + b"X-Many: a\r\n" * 1000 + b"\r\n"),
    "NUL in a header": (400, b"GET " + CLINIC + SIGNED + b"X-Odd: a\x00b\r\n\r\n"),
    "folded header": (400, b"GET " + CLINIC + SIGNED + b"X-Odd: a\r\n b\r\n\r\n"),
    "address of 100,000 characters": (414, b"GET " + CLINIC + b"?" + b"a" * 100_000 + SIGNED + b"\r\n"),
    "raw bytes in the path": (400, b"GET /v1/clinics/\xff" + SIGNED + b"\r\n"),
    "blank in the path": (400, b"GET /v1/clinics/a b" + SIGNED + b"\r\n"),
    "no version": (400, b"GET " + CLINIC + b"\r\n\r\n"),
    "a version to come": (400, b"GET " + CLINIC + b" HTTP/9.9\r\n\r\n"),
    "the start of TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
}


def signed(raw: bytes) -> bytes:
    return raw.replace(TOKEN, mint(SECRET, SERVICE.id, service=True, lifetime=timedelta(hours=1)).encode())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    with running_server(f"sqlite:///{Path(tmp_path_factory.mktemp('server')) / 'test.db'}", SECRET) as started:
        yield started


class TestOverAConnection:
    """Against the server as it is run, since servers differ in what they let through."""

    @pytest.mark.parametrize("case", RAW)
    def test_framing(self, server: RawServer, case: str) -> None:
        status, raw = RAW[case]
        assert_error(server.send(signed(raw)), status)

    @pytest.mark.parametrize("case", [case for case, body in BODIES.items() if body.length is None])
    def test_bodies(self, server: RawServer, case: str) -> None:
        body = BODIES[case]
        request = b"PUT " + CLINIC + SIGNED
        if body.content_type is not None:
            request += f"Content-Type: {body.content_type}\r\n".encode()
        if body.chunked:
            middle = len(body.raw) // 2
            parts = (body.raw[:middle], body.raw[middle:])
            framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
            request += b"Transfer-Encoding: chunked\r\n\r\n" + framed
        else:
            request += b"Content-Length: %d\r\n\r\n" % len(body.raw) + body.raw
        assert_error(server.send(signed(request)), body.status)

    @pytest.mark.parametrize("case", IDS)
    def test_ids(self, server: RawServer, case: str) -> None:
        reply = server.send(signed(b"GET /v1/clinics/" + IDS[case].encode() + b"/clinicians" + SIGNED + b"\r\n"))
        assert reply.status in (400, 403, 404)
        assert_error(reply, reply.status)

    def test_a_body_that_ends_early(self, server: RawServer) -> None:
        request = TIER + b'Content-Length: 40\r\n\r\n{"tier": "tier0100"}'
        assert_error(server.send(signed(request), hang_up=True), 400)

    def test_chunked_bodies_are_read_properly(self, server: RawServer) -> None:
        """An unknown clinic is told only to those whose body could be read."""
        chunks = b'8\r\n{"tier":\r\nb\r\n "tier0100"\r\n1;note=x\r\n}\r\n0\r\n\r\n'
        assert_error(server.send(signed(TIER + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)), 404)

    def test_the_next_request_on_the_connection_is_understood(self, server: RawServer) -> None:
        """An unread body is not taken for a request."""
        refused = b"POST " + CLINIC + b"/tier" + HEAD + b"Content-Length: 28\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n123"
        first, second = server.send_all(refused + b"GET /live" + HEAD + b"\r\n", 2)
        assert_error(first, 401)
        assert (second.status, second.json) == (200, {"status": "ok"})
