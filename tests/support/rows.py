"""Rows to start from: valid by default; a test states only what it is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar

from sqlalchemy import func, select

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import (
    AccountEmail,
    Clinic,
    Clinician,
    DataSource,
    EhrSubscription,
    EmbeddedAccount,
    Grant,
    Invite,
    Label,
    MembershipRestriction,
    Migration,
    Patient,
    PatientSite,
    PatientTag,
    ShareCode,
    Site,
    Tag,
)
from clinic_service.models.patient import ADD_TO_COUNT
from clinic_service.unit_of_work import UnitOfWork, writing
from tests.support.cast import ALICE, BOB, Somebody

M = TypeVar("M", bound=Base)
L = TypeVar("L", bound=Label)

LONG_AGO = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@contextmanager
def storing(database: Database) -> Iterator[UnitOfWork]:
    """A unit of work to put rows in: `unit.session.add(...)`."""
    with writing(database) as unit:
        yield unit


# What a clinic must say of itself before it is migrated.
COMPLETE_CLINIC: dict[str, Any] = {
    "address": "14 Quay Street",
    "city": "Portland",
    "postal_code": "04101",
    "state": "ME",
    "country": "US",
    "clinic_type": "provider_practice",
}


def make_clinic(unit: UnitOfWork, **values: Any) -> Clinic:
    """A migrated clinic with a share code and no members."""
    clinic_id = values.pop("id", None) or new_id()
    defaults: dict[str, Any] = {
        "name": "Harbour Diabetes Centre",
        "preferred_bg_units": "mg/dL",
        "is_migrated": True,
        "created_time": LONG_AGO,
        "updated_time": LONG_AGO,
    }
    clinic = Clinic(id=clinic_id, **defaults | values)
    unit.session.add(clinic)
    unit.session.add(ShareCode(code=share_code(clinic_id), clinic_id=clinic_id, canonical=True))
    unit.flush()
    return clinic


def share_code(clinic_id: str) -> str:
    """A share code that fits its pattern and is the same for the same clinic."""
    # All of the id counts: its end alone repeats from one second to the next.
    number = int.from_bytes(sha256(clinic_id.encode()).digest())
    letters = "".join(_ALPHABET[(number >> (5 * place)) % 32] for place in range(12))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def make_clinician(unit: UnitOfWork, clinic: Clinic, person: Somebody, *roles: str, **values: Any) -> Clinician:
    """A member of `clinic`, by default with the role CLINIC_MEMBER."""
    defaults: dict[str, Any] = {
        "user_id": person.id,
        "email": person.email,
        "name": person.name,
        "created_time": LONG_AGO,
        "updated_time": LONG_AGO,
    }
    clinician = Clinician(clinic_id=clinic.id, **{"id": new_id(), **defaults, **values})
    clinician.roles = roles or ("CLINIC_MEMBER",)
    unit.session.add(clinician)
    clinics = ClinicsOfUsers(unit)
    if clinician.user_id:
        clinics.add_clinicians([(clinician.user_id, clinic.id)])
    elif clinician.invite_id:
        clinics.add_pending(clinician.invite_id, clinic.id)
    return clinician


def make_staffed_clinic(unit: UnitOfWork, **values: Any) -> Clinic:
    """A clinic with Alice as its admin and Bob as a member."""
    clinic = make_clinic(unit, **values)
    make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
    make_clinician(unit, clinic, BOB)
    return clinic


def make_patient(unit: UnitOfWork, clinic: Clinic, person: Somebody, *permissions: str, **values: Any) -> Patient:
    """A patient of `clinic`, by default one who shares with `view`."""
    defaults: dict[str, Any] = {
        "user_id": person.id,
        "email": person.email,
        "full_name": person.name,
        "birth_date": "1987-04-12",
        "created_time": LONG_AGO,
        "updated_time": LONG_AGO,
    }
    patient = Patient(clinic_id=clinic.id, **{"id": new_id(), **defaults, **values})
    patient.permissions = permissions or ("view",)
    unit.session.add(patient)
    ClinicsOfUsers(unit).add_patients([(patient.user_id, clinic.id)])
    unit.insert(ADD_TO_COUNT, {"clinic_id": clinic.id, "patients": 1})
    return patient


def make_label(unit: UnitOfWork, clinic: Clinic, model: type[L], name: str) -> L:
    """A tag or a site that no patient has."""
    label = model(clinic_id=clinic.id, id=new_id(), name=name, name_key=model.key_of(name))
    unit.session.add(label)
    unit.flush()
    return label


def make_tag(unit: UnitOfWork, clinic: Clinic, name: str) -> Tag:
    return make_label(unit, clinic, Tag, name)


def make_site(unit: UnitOfWork, clinic: Clinic, name: str) -> Site:
    return make_label(unit, clinic, Site, name)


def make_grant(unit: UnitOfWork, sharer: Somebody, grantee: Somebody, *names: str) -> Grant:
    """A direct grant, by default of `view`."""
    grant = Grant(sharer_id=sharer.id, grantee_id=grantee.id, permissions={name: {} for name in names or ("view",)})
    unit.session.add(grant)
    return grant


def make_account(
    unit: UnitOfWork, person: Somebody, *roles: str, profile: dict[str, Any] | None = None
) -> EmbeddedAccount:
    """An account in the embedded directory."""
    account = EmbeddedAccount(
        user_id=person.id,
        username=person.email or None,
        full_name=person.name,
        roles=list(roles),
        patient_profile=profile,
        created_time=LONG_AGO,
        updated_time=LONG_AGO,
    )
    unit.session.add(account)
    unit.flush()
    if person.email:
        unit.session.add(AccountEmail(email=person.email, user_id=person.id, position=0))
    return account


def stored(database: Database, model: type[M]) -> list[M]:
    """All rows of a table as they stand after the last commit, in the order of their keys; events in that of their ids."""
    table = model.metadata.tables[model.__tablename__]
    order = [table.c.id] if table.name == "outbox" else list(table.primary_key)
    with storing(database) as unit:
        return list(unit.session.scalars(select(model).order_by(*order)))


def make_invite(unit: UnitOfWork, clinic: Clinic, **values: Any) -> Invite:
    """A pending invitation of a clinician, made by Alice, by default to nobody in particular."""
    defaults: dict[str, Any] = {
        # As long as a key has to be.
        "key": f"{new_id()}-key_000",
        "type": "clinician_invitation",
        "status": "pending",
        "creator_id": ALICE.id,
        "created": LONG_AGO,
        "modified": LONG_AGO,
    }
    invite = Invite(clinic_id=clinic.id, **defaults | values)
    unit.session.add(invite)
    unit.flush()
    return invite


def make_migration(unit: UnitOfWork, clinic: Clinic, person: Somebody, **values: Any) -> Migration:
    """The migration of somebody's legacy account into `clinic`, by default one that waits."""
    defaults: dict[str, Any] = {"status": "PENDING", "created_time": LONG_AGO, "updated_time": LONG_AGO}
    migration = Migration(clinic_id=clinic.id, user_id=person.id, **defaults | values)
    unit.session.add(migration)
    unit.flush()
    return migration


def make_data_source(unit: UnitOfWork, patient: Patient, provider: str, **values: Any) -> DataSource:
    """The next source of data of `patient`, by default a connected one."""
    in_list = select(func.count()).select_from(DataSource).where(DataSource.patient_id == patient.id)
    position = unit.session.scalars(in_list).one()
    source = DataSource(
        clinic_id=patient.clinic_id,
        patient_id=patient.id,
        position=position,
        provider_name=provider,
        **{"state": "connected", **values},
    )
    patient.data_sources_set = True
    unit.session.add(source)
    unit.flush()
    return source


def tag_patient(unit: UnitOfWork, patient: Patient, *tags: Tag) -> None:
    """Let `patient` carry the tags as well."""
    for tag in tags:
        unit.session.add(PatientTag(clinic_id=patient.clinic_id, patient_id=patient.id, tag_id=tag.id))
    unit.flush()


def place_patient(unit: UnitOfWork, patient: Patient, *sites: Site) -> None:
    """Let `patient`, who has no sites yet, belong to the sites in this order."""
    for position, site in enumerate(sites):
        link = PatientSite(clinic_id=patient.clinic_id, patient_id=patient.id, site_id=site.id, position=position)
        unit.session.add(link)
    unit.flush()


def make_restriction(unit: UnitOfWork, clinic: Clinic, domain: str, idp: str | None = None) -> MembershipRestriction:
    """The next of the clinic's conditions on new members."""
    in_list = select(func.count()).select_from(MembershipRestriction)
    position = unit.session.scalars(in_list.where(MembershipRestriction.clinic_id == clinic.id)).one()
    restriction = MembershipRestriction(clinic_id=clinic.id, position=position, email_domain=domain, required_idp=idp)
    unit.session.add(restriction)
    unit.flush()
    return restriction


def make_subscription(
    unit: UnitOfWork, patient: Patient, name: str = "summaryAndReports", *, active: bool = True
) -> EhrSubscription:
    """What keeps a health record informed about `patient`."""
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "name": name}
    times = {"created_time": LONG_AGO, "updated_time": LONG_AGO}
    subscription = EhrSubscription(**key, provider="redox", active=active, **times)
    unit.session.add(subscription)
    unit.flush()
    return subscription
