"""Nobody pays for the body of a caller who is refused: above a few kB, access is decided before the body is read."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.api.exchange import RawAnswer
from clinic_service.context import Context
from tests.support.cast import ALICE, BOB, MALLORY, Somebody
from tests.support.client import Client
from tests.support.small_work import Small

LARGE = 1 << 20


class Untouchable:
    """A body that fails the test when somebody reads it."""

    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("the body was read")


@pytest.fixture
def client(small: Small) -> Client:
    def work(_ctx: Context) -> Any:
        return {"name": "done"}

    return small.client(work)


def head(client: Client, clinic_id: str, who: Somebody | None, method: str = "PUT", **more: Any) -> dict[str, Any]:
    """The environment of a request with a large body that nobody has read."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": f"/clinics/{clinic_id}",
        "CONTENT_LENGTH": str(LARGE),
    }
    environ |= {"QUERY_STRING": "", "wsgi.input": Untouchable()}
    if who:
        environ["HTTP_X_TIDEPOOL_SESSION_TOKEN"] = client.token(who)
    return environ | more


class TestByTheHeadAlone:
    @pytest.mark.parametrize(("who", "status"), [(None, 401), (MALLORY, 403), (BOB, 403)])
    def test_others_are_refused(self, client: Client, clinic_id: str, who: Somebody | None, status: int) -> None:
        answer = client.app.admit(head(client, clinic_id, who))
        assert isinstance(answer, RawAnswer)
        assert answer.status == status

    @pytest.mark.parametrize(
        ("more", "status"), [({"CONTENT_LENGTH": str(LARGE + 1)}, 413), ({"REQUEST_URI": "/no"}, 404)]
    )
    def test_what_cannot_succeed_is_refused(
        self, client: Client, clinic_id: str, more: dict[str, Any], status: int
    ) -> None:
        answer = client.app.admit(head(client, clinic_id, ALICE, **more))
        assert isinstance(answer, RawAnswer)
        assert answer.status == status

    def test_the_rest_may_send_what_the_operation_reads(self, client: Client, clinic_id: str) -> None:
        assert client.app.admit(head(client, clinic_id, ALICE)) == LARGE
        assert client.app.admit(head(client, clinic_id, BOB, method="GET")) == 0


class TestWithAnyServer:
    """Also where the server asks nobody before it reads."""

    @pytest.mark.parametrize("framing", ["announced", "chunked"])
    @pytest.mark.parametrize(("who", "status"), [(None, 401), (MALLORY, 403)])
    def test_no_large_body_is_read_for_others(
        self, client: Client, clinic_id: str, who: Somebody | None, status: int, framing: str
    ) -> None:
        more: dict[str, Any] = {
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
        }
        environ = head(client, clinic_id, who, **(more if framing == "chunked" else {}))
        assert client.app.answer(environ).status == status
