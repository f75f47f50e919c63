"""Makes a clinic with any number of made-up patients, to find out how many a machine can serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.demo.guard import require_no_real_clinics
from clinic_service.demo.patients import MadePatient, Surroundings, make_patient
from clinic_service.demo.people import Somebody
from clinic_service.gateways.user_ids import new_user_id
from clinic_service.models import (
    AccountEmail,
    BgUnits,
    Clinic,
    Clinician,
    DemoClinic,
    EmbeddedAccount,
    Role,
    Site,
    Tag,
    Tier,
)
from clinic_service.models.patient import ADD_TO_COUNT
from clinic_service.unit_of_work import UnitOfWork, writing

# Patients in one transaction: enough that the commit costs little for each, few enough to be held in memory.
BATCH = 1000
_TAGS = (
    *("Pump", "Type 1", "Closed loop", "Needs call", "Paediatric"),
    *("Newly diagnosed", "Study A", "Study B", "Pregnant", "Transfer"),
)
_SITES = ("North Wing", "City Clinic", "School programme", "Harbour", "Telehealth")


@dataclass(frozen=True)
class Loaded:
    """The clinic that was made: the ids of its parts, and its two clinicians."""

    clinic_id: str
    admin: Somebody
    member: Somebody
    tag_ids: list[str]
    site_ids: list[str]


def load_clinic(
    database: Database,
    *,
    name: str,
    patients: int,
    random: Random,
    progress: Callable[[int], object],
    mix: bool = False,
) -> Loaded:
    """Make a clinic called `name` with `patients` patients.

    `progress` is called with the size of each batch that is stored. Equal states of `random` make equal data, except for
    ids, share code and times. Raises HoldsRealClinics when the database holds clinics that no demo command made, unless
    `mix` is set.
    """
    with writing(database) as unit:
        if not mix:
            require_no_real_clinics(unit)
        clinic = _make_clinic(unit, name)
    where = Surroundings(
        clinic.clinic_id, [clinic.admin.id, clinic.member.id], clinic.tag_ids, clinic.site_ids, unit.now
    )
    for start in range(0, patients, BATCH):
        numbers = range(start, min(start + BATCH, patients))
        made = [make_patient(where, number, number / patients, random) for number in numbers]
        with writing(database) as unit:
            _store(unit, clinic.clinic_id, made)
        progress(len(made))
    return clinic


def _store(unit: UnitOfWork, clinic_id: str, made: list[MadePatient]) -> None:
    unit.session.add_all([row for one in made for row in (one.patient, *one.rows)])
    ClinicsOfUsers(unit).add_patients((one.patient.user_id, clinic_id) for one in made)
    unit.insert(ADD_TO_COUNT, {"clinic_id": clinic_id, "patients": len(made)})
    unit.summaries.apply([change for one in made for change in one.summaries])


def _make_clinic(unit: UnitOfWork, name: str) -> Loaded:
    clinic = unit.clinics.add({"name": name, "preferred_bg_units": BgUnits.MG_DL}, is_migrated=True)
    unit.session.add(DemoClinic(clinic_id=clinic.id))
    # Other tiers have a limit of patients, which this clinic may exceed.
    clinic.tier = Tier.ENTERPRISE
    tags = [Tag(clinic_id=clinic.id, id=new_id(), name=tag, name_key=Tag.key_of(tag)) for tag in _TAGS]
    sites = [Site(clinic_id=clinic.id, id=new_id(), name=site, name_key=Site.key_of(site)) for site in _SITES]
    unit.session.add_all([*tags, *sites])
    admin = _make_clinician(unit, clinic, "Ada Archer", Role.ADMIN)
    member = _make_clinician(unit, clinic, "Bob Baker", Role.MEMBER)
    return Loaded(clinic.id, admin, member, [tag.id for tag in tags], [site.id for site in sites])


def _make_clinician(unit: UnitOfWork, clinic: Clinic, name: str, role: Role) -> Somebody:
    """Add a clinician with an account in the embedded directory. No clinician of another clinic has the same address."""
    local_part = name.lower().replace(" ", ".")
    person = Somebody(new_user_id(), name, f"{local_part}@{clinic.id}.example")
    times = _times(unit)
    unit.session.add(
        EmbeddedAccount(user_id=person.id, username=person.email, full_name=name, roles=["clinician"], **times)
    )
    clinician = Clinician(clinic_id=clinic.id, id=new_id(), user_id=person.id, email=person.email, name=name, **times)
    clinician.roles = (role,)
    unit.session.add_all([clinician, AccountEmail(email=person.email, user_id=person.id, position=0)])
    ClinicsOfUsers(unit).add_clinicians([(person.id, clinic.id)])
    return person


def _times(unit: UnitOfWork) -> dict[str, datetime]:
    return {"created_time": unit.creation_time, "updated_time": unit.now}
