"""Cases of operations for electronic health record systems."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import CAROL, DAVE, SERVICE
from tests.support.ehr import (
    REDOX,
    REDOX_SECRET,
    make_ehr_clinic,
    make_subscription,
    redox_client,
    redox_order,
    store_message,
)
from tests.support.rows import make_patient, make_tag
from tests.support.xealth_site import (
    DEPLOYMENT,
    EMAIL,
    MRN,
    ORDER_ID,
    PROGRAM,
    TRACKING_ID,
    asking,
    event,
    make_enrolled_patient,
    make_xealth_clinic,
    order,
    with_input,
    xealth_site,
)


def xealth_preorder(stage: Stage) -> Send:
    """With an input, which is stored."""
    make_xealth_clinic(stage.unit)
    site = stage.needs.enter_context(xealth_site(stage.database))
    return lambda: site.preorder(with_input({"patient": {"email": EMAIL, "connectDexcom": True}}))


def xealth_notification(stage: Stage) -> Send:
    """A new order for a patient whom the clinic does not know, with everything that a form can ask for."""
    unit, limits = stage.unit, {"hardLimit": {"plan": 10}}
    clinic = make_xealth_clinic(unit, mrn_required=True, mrn_unique=True, patient_count_settings=limits)
    make_patient(unit, clinic, DAVE)
    unit.xealth_orders.store_preorder(
        clinic.id,
        TRACKING_ID,
        deployment=DEPLOYMENT,
        mrn=MRN,
        email=EMAIL,
        connect_abbott=True,
        connect_dexcom=True,
        guardian_first_name=None,
        guardian_last_name=None,
        tag_ids=[make_tag(unit, clinic, "Pump").id],
    )
    site = stage.needs.enter_context(xealth_site(stage.database))
    site.xealth.orders[DEPLOYMENT, ORDER_ID] = order()
    return lambda: site.notify(event())


def xealth_get_programs(stage: Stage) -> Send:
    make_enrolled_patient(stage.unit, make_xealth_clinic(stage.unit), CAROL)
    site = stage.needs.enter_context(xealth_site(stage.database))
    return lambda: site.programs(asking())


def xealth_get_program_url(stage: Stage) -> Send:
    make_enrolled_patient(stage.unit, make_xealth_clinic(stage.unit), CAROL)
    site = stage.needs.enter_context(xealth_site(stage.database))
    return lambda: site.program_url(asking() | {"programId": PROGRAM})


def verify_endpoint(stage: Stage) -> Send:
    api = redox_client(stage.database)
    return lambda: api.post("/v1/redox/verify", json={"verification-token": REDOX_SECRET, "challenge": "x"})


def process_ehr_message(stage: Stage) -> Send:
    """A message that has been delivered before."""
    store_message(stage.unit)
    api = redox_client(stage.database)
    return lambda: api.post("/v1/redox", json=redox_order(attempt="another"), headers=REDOX)


def match_clinic_and_patient(stage: Stage) -> Send:
    """A further order for a patient who is subscribed."""
    patient = make_patient(stage.unit, make_ehr_clinic(stage.unit), CAROL, mrn="MRN-20417")
    first, further = (store_message(stage.unit, redox_order(log_id=log_id)) for log_id in "ab")
    make_subscription(stage.unit, patient, first)
    body = {
        "messageRef": {"dataModel": "Order", "eventType": "New", "documentId": further},
        "patients": {"criteria": ["MRN_DOB"], "onUniqueMatch": "DISABLE_REPORTS"},
    }
    return lambda: stage.api.post("/v1/redox/match", as_=SERVICE, json=body)


def sync_ehr_data(stage: Stage) -> Send:
    clinic = make_ehr_clinic(stage.unit)
    for person in (CAROL, DAVE):
        make_subscription(stage.unit, make_patient(stage.unit, clinic, person), store_message(stage.unit))
    return lambda: stage.api.post(f"/v1/clinics/{clinic.id}/ehr/sync", as_=SERVICE)


def sync_ehr_data_for_patient(stage: Stage) -> Send:
    for source_id in ("1", "2"):
        patient = make_patient(stage.unit, make_ehr_clinic(stage.unit, sourceId=source_id), CAROL)
        make_subscription(stage.unit, patient, store_message(stage.unit))
    return lambda: stage.api.post(f"/v1/patients/{CAROL.id}/ehr/sync", as_=SERVICE)
