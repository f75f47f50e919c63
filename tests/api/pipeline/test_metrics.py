"""What is counted of requests: answers, their time and refusals, by labels with few values."""

from __future__ import annotations

import pytest

from clinic_service import errors
from tests.support.cast import ALICE, BOB, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.metrics import metric, samples
from tests.support.small_work import Small, store


def requests(operation: str, status: int, method: str = "GET") -> float:
    return metric("clinic_requests_total", operation=operation, method=method, status=str(status))


def refusals(error: str, rule: str = "") -> float:
    return metric("clinic_refusals_total", error=error, rule=rule)


class TestRequests:
    @pytest.mark.parametrize(("caller", "status"), [(SERVICE, 200), (ALICE, 403), (None, 401)])
    def test_are_counted_by_operation_method_and_status(
        self, api: Client, caller: Somebody | None, status: int
    ) -> None:
        before = requests("ListClinics", status)
        for _ in range(3):
            assert api.get("/v1/clinics", as_=caller).status == status
        assert requests("ListClinics", status) == before + 3

    def test_are_timed_in_seconds(self, api: Client) -> None:
        labels = {"operation": "ListClinics", "method": "GET"}
        times, seconds = (
            metric("clinic_request_seconds_count", **labels),
            metric("clinic_request_seconds_sum", **labels),
        )
        api.get("/v1/clinics", as_=SERVICE)
        assert metric("clinic_request_seconds_count", **labels) == times + 1
        assert 0 < metric("clinic_request_seconds_sum", **labels) - seconds < 60

    @pytest.mark.parametrize("path", ["/live", "/ready"])
    def test_of_probes_are_counted_by_their_address(self, api: Client, path: str) -> None:
        before = requests(path, 200)
        api.get(path)
        assert requests(path, 200) == before + 1

    @pytest.mark.one_engine
    def test_at_unknown_addresses_are_counted_together(self, api: Client) -> None:
        before = requests("none", 404)
        for path in ("/nowhere", "/v1/clinics/", "/v1/Clinics"):
            assert api.get(path, as_=SERVICE).status == 404
        assert requests("none", 404) == before + 3

    @pytest.mark.one_engine
    def test_with_unknown_methods_are_counted_together(self, api: Client) -> None:
        before = requests("none", 405, "other")
        for method in ("BREW", "get"):
            assert api.request(method, "/v1/clinics", as_=SERVICE).status == 405
        assert requests("none", 405, "other") == before + 2


@pytest.mark.one_engine
class TestRefusals:
    def test_of_access_are_counted_by_the_rules_of_the_spec(self, api: Client) -> None:
        before = refusals("Forbidden", "service")
        api.get("/v1/clinics", as_=ALICE)
        assert refusals("Forbidden", "service") == before + 1

    def test_of_access_name_all_rules_that_would_admit(self, small: Small, clinic_id: str) -> None:
        before = refusals("Forbidden", "admin")
        assert small.client(store).put(f"/clinics/{clinic_id}", as_=BOB, json={"name": "x"}).status == 403
        assert refusals("Forbidden", "admin") == before + 1

    def test_of_a_body_are_counted_once_for_each_rule(self, api: Client) -> None:
        rules = ("required", "maxLength")
        before = [refusals("BadRequest", rule) for rule in rules]
        # Two members are missing.
        assert api.post("/v1/clinics", as_=ALICE, json={"address": "x" * 5000}).status == 400
        assert [refusals("BadRequest", rule) for rule in rules] == [number + 1 for number in before]

    def test_without_a_token_are_counted(self, api: Client) -> None:
        before = refusals("Unauthenticated")
        api.get("/v1/clinics")
        assert refusals("Unauthenticated") == before + 1

    def test_for_another_reason_are_counted_by_their_kind(self, small: Small) -> None:
        def refuse(*_: object) -> None:
            raise errors.PaymentRequired

        before = refusals("PaymentRequired")
        assert small.client(refuse).post("/write", as_=ALICE).status == 402
        assert refusals("PaymentRequired") == before + 1


class TestDefects:
    def test_an_answer_that_breaks_the_spec_is_counted(self, small: Small) -> None:
        before = (
            metric("clinic_broken_answers_total", operation="Write"),
            metric("clinic_defects_total", operation="Write"),
        )
        assert small.client(lambda _: {"name": 1}).post("/write", as_=ALICE).status == 500
        after = (
            metric("clinic_broken_answers_total", operation="Write"),
            metric("clinic_defects_total", operation="Write"),
        )
        assert after == (before[0] + 1, before[1] + 1)


def test_labels_hold_nothing_that_a_caller_chooses(api: Client) -> None:
    for path in ("/v1/clinics/5f0c7d1e9a3b4c6d8e2f1a0b", "/v1/clinics/other", f"/access/{ALICE.id}", "/kanarie4711"):
        api.get(path, as_=SERVICE)
        api.request("KANARIE4711", path, as_=SERVICE)
    known = {operation.operation_id for spec in spec_apis() for operation in spec.operations}
    for name, labels in samples():
        if name.startswith(("clinic_request_", "clinic_requests_total")):
            values = dict(labels)
            assert values.keys() <= {"operation", "method", "status", "le"}
            assert values["method"] in {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "other"}
            # Operations of the small applications of other tests are counted in the same process.
            operation = values["operation"]
            assert operation in known or operation.isidentifier() or operation.startswith("/")
        assert "kanarie" not in f"{name} {labels}".lower()
