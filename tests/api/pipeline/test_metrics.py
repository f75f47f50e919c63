"""What is counted: requests and their time, by operation, method and status, and nothing finer."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client as WsgiClient

from tests.support.cast import ALICE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import spec_apis


def figures(api: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of /metrics by its name and labels."""
    answer = WsgiClient(api.app).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.get_data(as_text=True))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def requests(api: Client, operation: str, method: str, status: int) -> float:
    labels = {"operation": operation, "method": method, "status": str(status)}
    return figures(api).get(("clinic_requests_total", frozenset(labels.items())), 0)


def measured(api: Client, operation: str, method: str) -> tuple[float, float]:
    """How many requests were timed, and how long they took together, in seconds."""
    labels = frozenset({"operation": operation, "method": method}.items())
    found = figures(api)
    return found.get(("clinic_request_seconds_count", labels), 0), found.get(("clinic_request_seconds_sum", labels), 0)


@pytest.mark.parametrize(("caller", "status"), [(SERVICE, 200), (ALICE, 403), (None, 401)])
def test_requests_are_counted_by_operation_method_and_status(api: Client, caller: Somebody | None, status: int) -> None:
    before = requests(api, "ListClinics", "GET", status)
    for _ in range(3):
        assert api.get("/v1/clinics", as_=caller).status == status
    assert requests(api, "ListClinics", "GET", status) == before + 3


def test_their_time_is_measured_in_seconds(api: Client) -> None:
    times, seconds = measured(api, "ListClinics", "GET")
    api.get("/v1/clinics", as_=SERVICE)
    times_now, seconds_now = measured(api, "ListClinics", "GET")
    assert times_now == times + 1
    assert 0 < seconds_now - seconds < 60


def test_what_is_no_operation_is_not_counted(api: Client) -> None:
    before = figures(api)
    for path in ("/nowhere", "/live", "/v1/clinics/"):
        api.get(path, as_=SERVICE)
    api.request("BREW", "/v1/clinics", as_=SERVICE)
    assert figures(api) == before


def test_labels_hold_nothing_that_a_caller_chooses(api: Client) -> None:
    for path in ("/v1/clinics/5f0c7d1e9a3b4c6d8e2f1a0b", "/v1/clinics/other", f"/access/{ALICE.id}"):
        api.get(path, as_=SERVICE)
    known = {operation.operation_id for spec in spec_apis() for operation in spec.operations}
    for name, labels in figures(api):
        if name.startswith("clinic_request"):
            assert {label for label, _ in labels} <= {"operation", "method", "status", "le"}
            values = dict(labels)
            assert values["method"] in {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"}
            # Operations of the small applications of other tests are counted in the same process.
            assert values["operation"] in known or values["operation"].isidentifier()
