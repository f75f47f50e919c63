"""What the tests of the preorder share."""

from __future__ import annotations

from typing import Any

from clinic_service.models import XealthPreorder
from tests.support.cast import CAROL
from tests.support.client import Reply
from tests.support.rows import make_patient, stored, storing
from tests.support.xealth_site import BIRTH_DATE, MRN, XealthSite


def add_patient(site: XealthSite, clinic_id: str, **values: Any) -> None:
    with storing(site.database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), CAROL, **{"mrn": MRN, "birth_date": BIRTH_DATE} | values)


def form(reply: Reply) -> Any:
    """The form in an answer."""
    assert reply.status == 200, reply.json
    return reply.json["preorderFormInfo"]


def preorders(site: XealthSite) -> list[XealthPreorder]:
    return stored(site.database, XealthPreorder)
