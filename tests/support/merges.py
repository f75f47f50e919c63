"""Two clinics that clash wherever two clinics can, with everything that a clinic can have."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import NamedTuple

from sqlalchemy import delete

from clinic_service import clock
from clinic_service.models import (
    Clinic,
    ClinicianRoleUpdate,
    MailPurpose,
    MailRequest,
    MatchedMessage,
    OutboxEntry,
    Patient,
    ReportOrderState,
    Reservation,
    Review,
    ScheduledReportOrder,
    ShareCode,
    XealthOrder,
    XealthReportView,
)
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, Somebody
from tests.support.invites import make_offer
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_data_source,
    make_migration,
    make_patient,
    make_site,
    make_subscription,
    make_tag,
    place_patient,
    tag_patient,
)
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries

FRANK = Somebody("f4a4c00008", "Frank Fisher", "frank@mail.example")  # a patient of the target alone


class Pair(NamedTuple):
    """The ids of the clinics."""

    source: str
    target: str

    @property
    def path(self) -> str:
        """Where they are merged."""
        return f"/v1/clinics/{self.target}/merge"

    @property
    def body(self) -> dict[str, str]:
        return {"sourceId": self.source}


def make_pair(unit: UnitOfWork) -> Pair:
    """Two clinics without anything."""
    return Pair(make_clinic(unit, name="Hilltop").id, make_clinic(unit, name="Harbour").id)


def make_full_pair(unit: UnitOfWork) -> Pair:
    """Hilltop, the source, and Harbour, the target.

    Alice is the target's administrator and a member of the source; Bob is an administrator of the source and a member of
    the target; Erin is the source's other administrator, and invited to the target. Carol and Mallory are patients of the
    source alone, Dave of both, and Frank of the target alone. Pete offers his data to the source.
    """
    source, target = make_clinic(unit, name="Hilltop"), make_clinic(unit, name="Harbour")
    _add_members(unit, source, target)
    _add_patients(unit, source, target)
    make_offer(unit, source, PETE, expires_at=clock.now() + timedelta(days=7))
    make_migration(unit, source, ERIN)
    unit.session.add(ShareCode(code="ZZZZ-ZZZZ-ZZZZ", clinic_id=source.id, canonical=False))
    times = {"time": clock.now() - timedelta(minutes=5)}
    unit.session.add(
        MailRequest(clinic_id=source.id, id=unit.new_id(), purpose=MailPurpose.REMINDER, person_id=ERIN.id, **times)
    )
    later = clock.now() + timedelta(minutes=1)
    for user_id in (CAROL.id, None):
        unit.session.add(Reservation(clinic_id=source.id, id=unit.new_id(), user_id=user_id, expires_time=later))
    unit.flush()
    return Pair(source.id, target.id)


def _add_members(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    for person, in_source, in_target in (
        (ALICE, "CLINIC_MEMBER", "CLINIC_ADMIN"),
        (BOB, "CLINIC_ADMIN", "CLINIC_MEMBER"),
        (ERIN, "CLINIC_ADMIN", "CLINIC_MEMBER"),
    ):
        row = make_clinician(unit, source, person, in_source)
        history = ClinicianRoleUpdate(
            clinic_id=source.id, clinician_id=row.id, id=unit.new_id(), roles=row.roles, updated_by=None, time=LONG_AGO
        )
        unit.session.add(history)
        if person is not ERIN:
            make_clinician(unit, target, person, in_target)


def _add_orders(unit: UnitOfWork, patient: Patient) -> None:
    """An order of each partner, a scheduled report, and a view of a report of the patient."""
    order = XealthOrder(
        **{"clinic_id": patient.clinic_id, "id": unit.new_id()},
        **{"deployment": "harbour-prod", "order_id": "17", "program_id": "tidepool-reports"},
        **{"event_type": "order", "event_context": "new", "event_text": "{}", "order_text": "{}"},
        **{"event_time": LONG_AGO, "created_time": LONG_AGO},
    )
    of_patient = {"clinic_id": patient.clinic_id, "patient_id": patient.id}
    match = MatchedMessage(
        **of_patient, name="summaryAndReports", position=0, document_id=order.id, data_model="Order", event_type="New"
    )
    report = ScheduledReportOrder(
        clinic_id=patient.clinic_id,
        id=unit.new_id(),
        user_id=patient.user_id,
        message_id=order.id,
        created_time=LONG_AGO,
        state=ReportOrderState.PENDING,
    )
    view = XealthReportView(
        **of_patient,
        **{"id": unit.new_id(), "ehr_user_id": "E10422", "deployment": "harbour-prod"},
        **{"program_id": "tidepool-reports", "created_time": LONG_AGO},
    )
    unit.session.add_all([order, match, report, view])
    unit.flush()


def _add_patients(unit: UnitOfWork, source: Clinic, target: Clinic) -> None:
    pump, trial = make_tag(unit, source, "pump"), make_tag(unit, source, "Trial")
    west, north = make_site(unit, source, "West"), make_site(unit, source, "North")
    carol = make_patient(unit, source, CAROL, "custodian", "view", mrn="M-1", mrn_key="m-1")
    tag_patient(unit, carol, pump, trial)
    place_patient(unit, carol, north, west)
    make_data_source(unit, carol, "dexcom")
    make_data_source(unit, carol, "twiist", state="pending")
    carol.reviews = [Review(BOB.id, LONG_AGO), Review(ALICE.id, LONG_AGO)]
    carol.connection_requests = {"dexcom": [{"providerName": "dexcom", "createdTime": clock.to_wire(LONG_AGO)}]}
    carol.target_devices, carol.legacy_clinician_ids, carol.invited_by = ["omnipod"], [PETE.id], BOB.id
    make_subscription(unit, carol)
    _add_orders(unit, carol)
    dave = make_patient(unit, source, DAVE, "custodian", "view", mrn="M-2", mrn_key="m-2", full_name="Dave of Hilltop")
    tag_patient(unit, dave, pump, trial)
    place_patient(unit, dave, west)
    make_subscription(unit, dave)
    make_patient(unit, source, MALLORY, full_name=None, birth_date=None, email=None)

    big_pump, own = make_tag(unit, target, "PUMP"), make_tag(unit, target, "Own")
    big_west, own_site = make_site(unit, target, "WEST"), make_site(unit, target, "East")
    dave_too = make_patient(unit, target, DAVE, "view", "upload", mrn="M-3", mrn_key="m-3")
    tag_patient(unit, dave_too, own, big_pump)
    place_patient(unit, dave_too, own_site, big_west)
    make_subscription(unit, dave_too, "xealthReports", active=False)
    frank = make_patient(unit, target, FRANK, full_name="carol cooper")
    tag_patient(unit, frank, big_pump)
    random = Random(13)
    for person in (CAROL, DAVE, FRANK):
        put_summaries(unit, person, cgmStats=cgm_stats(random), bgmStats=bgm_stats(random))
    # What was told of all this is no part of a merge.
    unit.execute(delete(OutboxEntry))
