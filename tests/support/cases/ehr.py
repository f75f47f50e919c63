"""Cases of operations for electronic health record systems."""

from __future__ import annotations

from tests.support.cases import Send, Stage
from tests.support.cast import CAROL, DAVE
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
