"""Links of pages: from any page of any list, `Link` leads to the first page and to those beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from werkzeug.http import parse_options_header

from clinic_service.api.links import link_header
from clinic_service.context import Page
from clinic_service.db.engine import Database
from clinic_service.specification.apis import Operation
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import spec_apis
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_patient, storing
from tests.support.statements import counting

ROWS = 7
LISTS = [
    operation
    for api in spec_apis()
    for operation in api.operations
    if {"limit", "offset"} <= {node["name"] for _, node in api.parameters(operation)}
]
CALLERS = {"FindPatients": ALICE}
# A filter that all entries pass, for each list that has filters.
FILTERS = {
    "ListClinics": "createdTimeStart=2020-01-01T00%3A00%3A00Z",
    "ListClinicians": "search=Member%20of+all",
    "ListPatients": "search=Pati%65nt&sort=%2BfullName&sortType=cgm",
    "ListAllClinicians": "createdTimeStart=2020-01-01T00%3A00%3A00Z",
    "FindPatients": "birthDate=1987-04-12",
}


@pytest.fixture
def clinic_id(database: Database) -> str:
    """Seven clinics with Carol as a patient and Alice as an admin; the first has seven patients and clinicians."""
    with storing(database) as unit:
        clinics = [make_clinic(unit, created_time=LONG_AGO + timedelta(days=number)) for number in range(ROWS)]
        for clinic in clinics:
            make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN", name="Member of all")
            make_patient(unit, clinic, CAROL, full_name="Patient 0")
        for number in range(1, ROWS):
            somebody = Somebody(f"00000000{number:02}", "", "")
            make_clinician(unit, clinics[0], somebody, email=None, name="Member of all")
            make_patient(unit, clinics[0], somebody, email=None, full_name=f"Patient {number}")
        return clinics[0].id


def links(reply: Reply) -> dict[str, str]:
    """The targets of the links by relation."""
    found = {}
    for part in reply.headers["Link"].split(", <"):
        target, _, parameters = part.lstrip("<").partition(">")
        found[parse_options_header("x" + parameters)[1]["rel"]] = target
    return found


def entries(reply: Reply) -> list[Any]:
    found: list[Any] = reply.json["data"] if isinstance(reply.json, dict) else reply.json
    return found


def test_there_are_lists_in_pages() -> None:
    assert len(LISTS) == 7


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.operation_id)
class TestEveryList:
    @pytest.fixture
    def caller(self, operation: Operation) -> Somebody:
        return CALLERS.get(operation.operation_id, SERVICE)

    @pytest.fixture
    def address(self, operation: Operation, clinic_id: str) -> str:
        user_id = CAROL.id if operation.operation_id == "ListClinicsForPatient" else ALICE.id
        return operation.path.format(clinicId=clinic_id, userId=user_id)

    def test_next_leads_through_the_whole_list_and_prev_back(self, api: Client, address: str, caller: Somebody) -> None:
        whole = entries(api.get(f"{address}?limit=1000", as_=caller))
        assert len(whole) >= ROWS
        target, there, seen = f"{address}?limit=3", [], []
        while target:
            reply = api.get(target, as_=caller)
            assert reply.status == 200
            there.append(entries(reply))
            seen.append(reply)
            found = links(reply)
            assert ("prev" in found) is (len(there) > 1)
            assert entries(api.get(urljoin(target, found["first"]), as_=caller)) == there[0]
            target = urljoin(target, found["next"]) if "next" in found else ""
        assert [entry for page in there for entry in page] == whole
        assert len(there) == -(-len(whole) // 3)

        target, back = address + links(seen[-1])["prev"], []
        while target:
            reply = api.get(target, as_=caller)
            back.append(entries(reply))
            target = address + links(reply)["prev"] if "prev" in links(reply) else ""
        assert back[::-1] == there[:-1]

    def test_a_page_that_ends_with_the_last_entry_has_no_next(
        self, api: Client, address: str, caller: Somebody
    ) -> None:
        size = len(entries(api.get(f"{address}?limit=1000", as_=caller)))
        assert links(api.get(f"{address}?limit={size}", as_=caller)) == {"first": f"?limit={size}&offset=0"}
        assert "next" in links(api.get(f"{address}?limit={size - 1}", as_=caller))
        past = links(api.get(f"{address}?limit=3&offset={size + 9}", as_=caller))
        assert past == {"first": "?limit=3&offset=0", "prev": f"?limit=3&offset={size + 6}"}

    def test_a_list_without_parameters_has_pages_of_ten(self, api: Client, address: str, caller: Somebody) -> None:
        reply = api.get(address, as_=caller)
        expected = {"first": "?offset=0"} | ({"next": "?offset=10"} if len(entries(reply)) == 10 else {})
        assert links(reply) == expected

    def test_the_other_parameters_stay_as_they_were_sent(
        self, operation: Operation, api: Client, address: str, caller: Somebody
    ) -> None:
        sent = FILTERS.get(operation.operation_id, "unknown=%41+b")
        first, last = api.get(f"{address}?offset=0&{sent}&limit=2", as_=caller), f"{sent}&limit=2"
        assert len(entries(first)) == 2
        assert links(first) == {"first": f"?{last}&offset=0", "next": f"?{last}&offset=2"}
        assert api.get(address + links(first)["next"], as_=caller).status == 200

    def test_links_cost_no_statement(self, database: Database, api: Client, address: str, caller: Somebody) -> None:
        """A page in the middle and the whole list take as many, and none of them only counts."""
        api.get(f"{address}?limit=3", as_=caller)
        with counting(database) as sent:
            api.get(f"{address}?limit=3", as_=caller)
        with counting(database) as sent_for_all:
            api.get(f"{address}?limit=1000", as_=caller)
        assert len(sent) == len(sent_for_all)


def test_links_are_declared_by_lists_in_pages_alone() -> None:
    declaring = {
        operation.operation_id
        for api in spec_apis()
        for operation in api.operations
        for node in operation.definition["responses"].values()
        if "Link" in api.resolved(node).get("headers", {})
    }
    assert declaring == {operation.operation_id for operation in LISTS}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "?offset=20"),
        ("offset=10", "?offset=20"),
        ("limit=10&offset=10&x=1", "?limit=10&x=1&offset=20"),
        ("off%73et=10&x=%2B+%2b", "?x=%2B+%2b&offset=20"),
        ("a=1&&b=2&a=3", "?a=1&b=2&a=3&offset=20"),
        # What no query may hold would end the target, or the header.
        ('x=a>; rel="evil", <b', "?x=a%3E;%20rel=%22evil%22,%20%3Cb&offset=20"),
    ],
)
def test_the_query_of_a_target(query: str, expected: str) -> None:
    header = link_header(Page([], offset=10, limit=10, has_more=True), query)
    assert f'<{expected}>; rel="next"' in header
    assert header.count(">; rel=") == 3
    target = urlsplit(expected)
    assert parse_qs(target.query)["offset"] == ["20"]


def test_before_an_offset_that_is_smaller_than_the_page_comes_the_first_page() -> None:
    assert '<?limit=10&offset=0>; rel="prev"' in link_header(Page([], offset=3, limit=10, has_more=False), "limit=10")


@pytest.mark.one_engine
def test_there_are_none_with_a_refusal(api: Client, database: Database) -> None:  # noqa: ARG001
    assert "Link" not in api.get("/v1/clinics?limit=0", as_=SERVICE).headers
    assert "Link" not in api.get("/v1/clinics", as_=BOB).headers
