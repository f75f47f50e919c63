"""Every request has an id: the caller's where it is fit to be repeated, else a new one."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.cast import ALICE
from tests.support.client import Client

HEADER = "X-Tidepool-Trace-Request"
PLAIN = "X-Request-Id"
MADE = re.compile(r"[0-9a-f]{24}")


@pytest.mark.one_engine
@pytest.mark.parametrize("given", ["a", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "A.b_c:d/e+f=g-h", "x" * 64])
def test_a_fit_id_is_repeated(api: Client, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    reply = api.get("/nowhere", headers={HEADER: given})
    assert reply.headers.getlist(HEADER) == [given]
    assert reply.json["instance"] == given
    assert json.loads(capsys.readouterr().err)["request"] == given


@pytest.mark.one_engine
def test_the_plain_header_gives_the_id_too(api: Client, capsys: pytest.CaptureFixture[str]) -> None:
    reply = api.get("/nowhere", headers={PLAIN: "gateway-17"})
    assert (reply.headers[HEADER], reply.headers[PLAIN], reply.json["instance"]) == ("gateway-17",) * 3
    assert json.loads(capsys.readouterr().err)["request"] == "gateway-17"


@pytest.mark.one_engine
def test_the_header_of_the_platform_comes_first(api: Client) -> None:
    reply = api.get("/nowhere", headers={PLAIN: "gateway-17", HEADER: "platform-4"})
    assert (reply.headers[HEADER], reply.headers[PLAIN]) == ("platform-4", "platform-4")
    # One that is not fit to be repeated counts for nothing.
    assert api.get("/nowhere", headers={PLAIN: "gateway-17", HEADER: "a b"}).headers[PLAIN] == "gateway-17"
    assert MADE.fullmatch(api.get("/nowhere", headers={PLAIN: "a b"}).headers[PLAIN])


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "given",
    ["", " ", "a b", 'a"b', "a\\b", "x" * 65, "é", "a,b", "a;b", "<a>", "${a}", "a\tb", "\x7f", "a%0Ab", "a\u0660"],
)
def test_any_other_is_replaced(api: Client, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"HTTP_X_TIDEPOOL_TRACE_REQUEST": given.encode().decode("latin-1")}
    reply = api.get("/nowhere", environ_overrides=environ)
    assert MADE.fullmatch(reply.headers[HEADER])
    assert reply.json["instance"] == reply.headers[HEADER]
    assert json.loads(capsys.readouterr().err)["request"] == reply.headers[HEADER]


@pytest.mark.one_engine
def test_two_headers_are_none(api: Client) -> None:
    """A server joins them by a comma, which is no part of an id."""
    assert MADE.fullmatch(api.get("/nowhere", headers={HEADER: "a,b"}).headers[HEADER])


def test_every_answer_has_one_and_no_two_are_alike(api: Client) -> None:
    paths = ("/live", "/ready", "/metrics", "/openapi/access.v1.json", "/nowhere", "/v1/clinics", f"/access/{ALICE.id}")
    # HEAD, because not every one of these answers with JSON.
    ids = [api.request("HEAD", path, as_=ALICE).headers[HEADER] for path in paths for _ in range(3)]
    assert all(MADE.fullmatch(given) for given in ids)
    assert len(set(ids)) == len(ids)
