"""What a GET shows is taken back by the operation that writes it, and changes nothing.

All operations that write what a GET of the same URL shows are here by themselves; each needs a resource below, as bare as
it can be stored. Those that write a part of what another GET shows are listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.api.operations import find_handlers
from clinic_service.api.validation import Validators
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import DiagnosisType, Review
from clinic_service.resources.summaries import service
from clinic_service.resources.summaries.projection import given_summaries
from clinic_service.specification.apis import Api, Operation
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB, CAROL, DAVE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import spec_apis
from tests.support.full_bodies import FullBodies, places, without
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_data_source,
    make_grant,
    make_migration,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)
from tests.support.summaries import bgm_stats, cgm_stats

# Operations that write with another method than PUT and PATCH.
WRITE_BY_POST = {"GrantPermissionsInGroup"}
NOT_THE_SAME = {"AssociateClinicianToUser": "the body names an account and shows no clinician"}


class Pair(NamedTuple):
    """An operation that writes what a GET of the same URL shows."""

    api: Api
    operation: Operation

    @property
    def schema(self) -> dict[str, Any]:
        body = self.api.resolved(self.operation.definition["requestBody"])
        schema: dict[str, Any] = body["content"]["application/json"]["schema"]
        return schema


class Resource(NamedTuple):
    """Where it is, and those members of a body that must fit what else is stored."""

    path: dict[str, str]
    given: Any = ...

    def at(self, url: str) -> str:
        return re.sub(r"{(\w+)}", lambda found: self.path[found[1]], url)


def _writes(operation: Operation) -> bool:
    by_method = operation.method in ("put", "patch") or operation.operation_id in WRITE_BY_POST
    return by_method and "requestBody" in operation.definition and operation.operation_id not in NOT_THE_SAME


def _pairs() -> Iterator[Pair]:
    for api in spec_apis():
        built = find_handlers(api.operations)
        shown = {operation.path for operation in api.operations if operation.method == "get"}
        for operation in api.operations:
            if operation.operation_id in built and operation.path in shown and _writes(operation):
                yield Pair(api, operation)


PAIRS = list(_pairs())


def a_clinic(unit: UnitOfWork) -> Resource:
    """That of a converted account, before the profile is completed."""
    clinic = make_clinic(unit, name=None, preferred_bg_units=None, is_migrated=False)
    return Resource({"clinicId": clinic.id})


def a_clinician(unit: UnitOfWork) -> Resource:
    """A service account, which has no address."""
    clinic = make_clinic(unit)
    make_clinician(unit, clinic, BOB, email=None, name=None, is_service_account=True)
    return Resource({"clinicId": clinic.id, "clinicianId": BOB.id})


def a_patient(unit: UnitOfWork) -> Resource:
    """One of whom nothing is known."""
    clinic = make_clinic(unit)
    make_patient(unit, clinic, CAROL, full_name=None, birth_date=None, email=None)
    site, tag = make_site(unit, clinic, "North Wing"), make_tag(unit, clinic, "Pump")
    given = {"sites": [{"id": site.id, "name": site.name}], "tags": [tag.id]}
    return Resource({"clinicId": clinic.id, "patientId": CAROL.id}, given=given)


def a_migration(unit: UnitOfWork) -> Resource:
    clinic = make_clinic(unit)
    make_migration(unit, clinic, ALICE)
    return Resource({"clinicId": clinic.id, "userId": ALICE.id})


def settings(unit: UnitOfWork) -> Resource:
    """Settings that nobody has stored."""
    clinic = make_clinic(unit, country="US")
    return Resource({"clinicId": clinic.id})


def a_grant(unit: UnitOfWork) -> Resource:
    make_grant(unit, CAROL, DAVE, "view", "custodian", "admin")
    return Resource({"sharerId": CAROL.id, "userId": DAVE.id})


RESOURCES: dict[str, Callable[[UnitOfWork], Resource]] = {
    "UpdateClinic": a_clinic,
    "UpdateClinician": a_clinician,
    "UpdatePatient": a_patient,
    "UpdateMigration": a_migration,
    "UpdateMembershipRestrictions": settings,
    "UpdateEHRSettings": settings,
    "UpdateMRNSettings": settings,
    "UpdatePatientCountSettings": settings,
    "GrantPermissionsInGroup": a_grant,
}


def test_every_pair_has_a_resource() -> None:
    assert {pair.operation.operation_id for pair in PAIRS} == set(RESOURCES)


def stored_part(shown: Any) -> Any:
    """`shown` without the time of change, which moves on also where nothing else does."""
    return {name: value for name, value in shown.items() if name != "updatedTime"}


class RoundTrip:
    """The resource of a pair, written and read."""

    def __init__(self, pair: Pair, client: Client, database: Database) -> None:
        self._pair, self._client = pair, client
        with storing(database) as unit:
            self.resource = RESOURCES[pair.operation.operation_id](unit)
        self._url = self.resource.at(pair.operation.path)

    def write(self, body: Any) -> int:
        return self._client.request(self._pair.operation.method.upper(), self._url, as_=SERVICE, json=body).status

    def read(self) -> Any:
        """What is shown, None when there is nothing."""
        reply = self._client.get(self._url, as_=SERVICE)
        assert reply.status in (200, 404)
        return reply.json if reply.status == 200 else None

    def check(self) -> None:
        """What is shown, if anything is, is taken back, and shown again."""
        shown = self.read()
        if shown is None:
            return
        assert self.write(shown) in (200, 204), shown
        assert stored_part(self.read()) == stored_part(shown)


@pytest.fixture
def trip(pair: Pair, api: Client, database: Database) -> RoundTrip:
    return RoundTrip(pair, api, database)


def by_operation(pair: Any) -> str:
    return str(pair.operation.operation_id)


@pytest.mark.parametrize("pair", PAIRS, ids=by_operation)
def test_the_barest_is_taken_back(trip: RoundTrip) -> None:
    trip.check()


@pytest.mark.parametrize("pair", PAIRS, ids=by_operation)
def test_the_fullest_and_what_lacks_a_member_is_taken_back(pair: Pair, trip: RoundTrip) -> None:
    full = FullBodies(pair.api).complete(pair.schema, trip.resource.given)
    # Ignored, and as large as all the rest together.
    full.pop("summary", None)
    for body in (full, *(without(full, path) for path in places(full)), required_only(pair, full)):
        if trip.write(body) in (200, 204):
            trip.check()
    assert trip.write(full) in (200, 204)


def required_only(pair: Pair, body: Any) -> Any:
    """`body` without all that can be left out together."""
    is_valid = Validators(pair.api.document).request(pair.schema).is_valid
    for path in sorted(places(body), key=len):
        try:
            less = without(body, path)
        except (KeyError, IndexError):
            continue
        body = less if is_valid(less) else body
    return body


class Ward(NamedTuple):
    """A clinic and a patient who has everything that a record can have, by their paths."""

    clinic: str
    patient: str
    tag: str
    site: str


@pytest.fixture
def ward(database: Database) -> Ward:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, tier="tier0300", suppressed_notifications={"patientClinicInvitation": True})
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
        ranges = {"type": "custom", "custom": {"name": "Hers", "thresholds": []}}
        requests = {"dexcom": [{"providerName": "dexcom", "createdTime": clock.to_wire(LONG_AGO)}]}
        carol = make_patient(unit, clinic, CAROL, "view", "note", mrn="A-1", mrn_key="a-1", target_devices=["omnipod"])
        carol.glycemic_ranges, carol.diagnosis_type, carol.connection_requests = ranges, DiagnosisType.LADA, requests
        carol.last_upload_reminder_time = LONG_AGO
        carol.reviews = [Review(ALICE.id, LONG_AGO), Review(BOB.id, LONG_AGO)]
        tag_patient(unit, carol, tag)
        place_patient(unit, carol, site)
        make_data_source(unit, carol, "dexcom", data_source_id=new_id(), modified_time=LONG_AGO)
        stats = {"cgmStats": cgm_stats(Random(1)), "bgmStats": bgm_stats(Random(1))}
        service.update_summaries(unit, CAROL.id, given_summaries(stats))
        path = f"/v1/clinics/{clinic.id}"
        return Ward(path, f"{path}/patients/{CAROL.id}", f"{path}/patient_tags/{tag.id}", f"{path}/sites/{site.id}")


class Part(NamedTuple):
    """What shows it, what is picked from that, and the request that writes it."""

    shown_at: Callable[[Ward], str]
    pick: Callable[[Any], Any]
    method: str
    written_at: Callable[[Ward], str]
    writer: Somebody = SERVICE


PARTS = {
    "UpdateClinic": Part(lambda w: w.clinic, lambda c: c, "PUT", lambda w: w.clinic),
    "UpdateTier": Part(lambda w: w.clinic, lambda c: c, "POST", lambda w: f"{w.clinic}/tier"),
    "UpdateSuppressedNotifications": Part(
        lambda w: w.clinic, lambda c: c, "POST", lambda w: f"{w.clinic}/suppressed_notifications", ALICE
    ),
    "UpdatePatientTag": Part(lambda w: w.clinic, lambda c: c["patientTags"][0], "PUT", lambda w: w.tag),
    "UpdateSite": Part(lambda w: w.clinic, lambda c: c["sites"][0], "PUT", lambda w: w.site),
    "UpdateSite of a patient": Part(lambda w: w.patient, lambda p: p["sites"][0], "PUT", lambda w: w.site),
    "UpdatePatient": Part(lambda w: w.patient, lambda p: p, "PUT", lambda w: w.patient),
    "UpdatePatientPermissions": Part(
        lambda w: w.patient, lambda p: p["permissions"], "PUT", lambda w: f"{w.patient}/permissions", CAROL
    ),
    "UpdatePatientDataSources": Part(
        lambda w: w.patient, lambda p: p["dataSources"], "PUT", lambda _: f"/v1/patients/{CAROL.id}/data_sources"
    ),
    "UpdatePatientSummary": Part(
        lambda w: w.patient, lambda p: p["summary"], "POST", lambda _: f"/v1/patients/{CAROL.id}/summary"
    ),
    "UpdateClinicUserDetails": Part(
        lambda w: w.patient, lambda p: p, "POST", lambda _: f"/v1/users/{CAROL.id}/clinics"
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_taken_back(api: Client, ward: Ward, name: str) -> None:
    part = PARTS[name]
    shown = api.get(part.shown_at(ward), as_=SERVICE).json
    reply = api.request(part.method, part.written_at(ward), as_=part.writer, json=part.pick(shown))
    assert reply.status in (200, 204), reply.json
    assert stored_part(api.get(part.shown_at(ward), as_=SERVICE).json) == stored_part(shown)
