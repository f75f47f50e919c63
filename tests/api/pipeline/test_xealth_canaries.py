"""Nothing that Xealth, or an order that is read from it, says of a patient gets into a log, metric or error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.metrics.counters import exposition
from tests.support.cast import CAROL, DAVE
from tests.support.client import Reply
from tests.support.failing import failing
from tests.support.http_server import Response
from tests.support.rows import make_patient, storing
from tests.support.xealth_server import CLIENT_SECRET
from tests.support.xealth_site import (
    AUTHORIZED,
    DEPLOYMENT,
    NOW,
    PROGRAM,
    XealthSite,
    about,
    asking,
    event,
    make_xealth_clinic,
    order,
    with_input,
    xealth_site,
)

CANARY = "kanarie4711"
PATIENT: dict[str, Any] = {
    "mrn": f"MRN-{CANARY}",
    "given": [CANARY],
    "family": [CANARY.upper()],
    "email": f"{CANARY}@mail.example",
    # No word, but as personal as the others.
    "birth_date": "1947-11-04",
}
SECRETS = (CANARY, CANARY.upper(), PATIENT["birth_date"], CLIENT_SECRET, "xealth-token-1", AUTHORIZED["Authorization"])


@pytest.fixture(scope="module")
def shared_site(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database, hosted=True) as made:
        yield made


@pytest.fixture
def site(shared_site: XealthSite, database: Database, caplog: pytest.LogCaptureFixture) -> Iterator[XealthSite]:
    shared_site.reset()
    with storing(database) as unit:
        make_xealth_clinic(unit)
    with clock.frozen(NOW), caplog.at_level(logging.DEBUG):
        yield shared_site


def everywhere(
    site: XealthSite, errors: list[Reply], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """The places in which a secret turns up."""
    written = capsys.readouterr()
    assert "XealthNotification" in written.err
    assert site.auth
    places = {
        "an error": "".join(f"{reply.json} {reply.headers}" for reply in errors),
        "a log": caplog.text,
        "the output": written.out + written.err,
        "the metrics": exposition().decode(),
    }
    tokens = (*SECRETS, *site.auth.tokens, site.auth.session_token)
    return [f"{secret} in {place}" for place, text in places.items() for secret in tokens if secret in text]


def bodies() -> list[tuple[str, Any]]:
    """Requests of every kind, which fit or do not, by the name of what sends them."""
    asked = asking(user=CANARY, **PATIENT)
    entered = {"patient": {"email": PATIENT["email"], "connectDexcom": True}, "tags": {"ids": [CANARY]}}
    broken = with_input(entered, tracking_id=CANARY, **PATIENT)
    broken["formData"]["userInput"]["patient"]["connectDexcom"] = CANARY
    nameless = with_input({"guardian": {"firstName": CANARY, "email": CANARY}}, tracking_id=CANARY, **PATIENT)
    dated = about(**PATIENT | {"birth_date": CANARY})
    return [
        ("preorder", with_input(entered, tracking_id=CANARY, **PATIENT)),
        ("preorder", broken),
        ("preorder", nameless),
        ("preorder", {CANARY: CANARY}),
        ("preorder", CANARY),
        ("programs", asked),
        ("programs", asked | dated),
        ("programs", asked | {"deployment": CANARY}),
        ("program_url", asked | {"programId": CANARY}),
        ("program_url", asked | {"programId": CANARY, "deployment": CANARY}),
        ("program_url", asked),
        ("notify", event(eventId=CANARY, partnerId=CANARY)),
        ("notify", event(eventTimeStamp=CANARY)),
        ("notify", event(orderId=CANARY)),
        ("notify", event(programId=CANARY, deployment=CANARY)),
        ("notify", event() | {"patientIdentity": CANARY}),
    ]


def send_all(site: XealthSite) -> list[Reply]:
    """The failures that the requests can be brought to."""
    replies = [getattr(site, name)(body) for name, body in bodies()]
    return [reply for reply in replies if reply.status >= 400]


def test_of_requests(site: XealthSite, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    site.xealth.orders[DEPLOYMENT, event()["orderId"]] = order(tracking_id=CANARY, **PATIENT)
    errors = send_all(site) + send_all(site)
    assert len(errors) > 10
    assert everywhere(site, errors, caplog, capsys) == []


def several_patients(site: XealthSite) -> None:
    with storing(site.database) as unit:
        clinic = make_xealth_clinic(unit, ehr={"sourceId": "another"})
        for person in (CAROL, DAVE):
            make_patient(unit, clinic, person, mrn=PATIENT["mrn"], birth_date=PATIENT["birth_date"])


FAILURES: dict[str, Callable[[XealthSite], None]] = {
    "an order that lacks everything": lambda site: tell(site, {}),
    "an order with another date": lambda site: tell(
        site, order(tracking_id=CANARY, **PATIENT | {"birth_date": CANARY})
    ),
    "an order of another form": lambda site: tell(site, order(tracking_id=f"{CANARY}2", **PATIENT)),
    "an order of another deployment": lambda site: tell(site, order(info={"deployment": CANARY}, **PATIENT)),
    "an order that is no JSON": lambda site: answer(site, Response(200, body=f"<{CANARY}>".encode())),
    "an order that fails": lambda site: answer(site, Response(500, json=order(**PATIENT))),
    "several patients": several_patients,
}


def tell(site: XealthSite, told: Any) -> None:
    site.xealth.orders[DEPLOYMENT, event()["orderId"]] = told


def answer(site: XealthSite, response: Response) -> None:
    site.xealth.answer = lambda _: response


@pytest.mark.parametrize("failure", FAILURES)
def test_of_orders(
    site: XealthSite, failure: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    FAILURES[failure](site)
    errors = send_all(site)
    assert errors
    assert everywhere(site, errors, caplog, capsys) == []


@pytest.mark.parametrize("after", [False, True], ids=["not made", "made"])
def test_of_an_account_that_cannot_be_made(
    site: XealthSite, after: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.platform
    tell(site, order(tracking_id=CANARY, **PATIENT))
    site.preorder(with_input({"patient": {"email": PATIENT["email"]}}, tracking_id=CANARY, **PATIENT))
    site.platform.fail("POST", Response(500, body=CANARY.encode()), after=after)
    errors = [site.notify(event())]
    assert [reply.status for reply in errors] == [502]
    assert everywhere(site, errors, caplog, capsys) == []


@pytest.mark.parametrize("table", ["xealth_orders", "patients", "matched_messages", "data_sources"])
def test_of_a_row_that_cannot_be_stored(
    site: XealthSite, table: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(site, order(tracking_id=CANARY, **PATIENT))
    person = {"email": PATIENT["email"], "connectDexcom": True}
    site.preorder(with_input({"patient": person}, tracking_id=CANARY, **PATIENT))
    with failing(site.database, f"INSERT INTO {table}"):
        errors = [site.notify(event())]
    assert [reply.status for reply in errors] == [500]
    assert everywhere(site, errors, caplog, capsys) == []


def test_of_a_report(site: XealthSite, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """The address of the page holds the token, and the page itself the name."""
    assert site.auth
    tell(site, order(tracking_id=CANARY, **PATIENT))
    site.preorder(with_input({}, tracking_id=CANARY, **PATIENT))
    assert site.notify(event()).status == 200
    url = site.program_url(asking(user=CANARY, **PATIENT) | {"programId": PROGRAM}).json["url"]
    path = url.partition("example")[2]
    assert CANARY in site.api.get(path).body.decode()
    site.auth.on_bad_days = lambda _: Response(500, body=CANARY.encode())
    errors = [site.api.get(path), site.api.get(path + "x"), site.api.get(path.partition("?")[0])]
    assert [reply.status for reply in errors] == [502, 401, 400]
    assert everywhere(site, errors, caplog, capsys) == []
