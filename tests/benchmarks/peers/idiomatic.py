"""FastAPI as its documentation teaches it: plain handlers, a session from a dependency, entities, `response_model`.

The entities are clinic-service's own, because they describe the tables. Where the documentation leaves a choice, the
cheaper one is taken: whose token it is, is found on the event loop, and access is asked in the handler itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from secrets import token_hex, token_urlsafe
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import Engine, Row, create_engine, event, literal, null, select, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from clinic_service.models import Clinic, Clinician, DataSource, OutboxEntry, Patient, PatientSite, PatientTag, Site
from tests.benchmarks.peers import settings
from tests.benchmarks.peers.checks import Caller, Refusal, Tokens
from tests.benchmarks.peers.engines import PRAGMAS
from tests.benchmarks.peers.wire import ClinicianIn, ClinicianOut, ClinicId, PageOfClinicians, PatientId, PatientOut


def _engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _record: Any) -> None:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")

    return engine


_tokens = Tokens(settings.secret())
_sessions = sessionmaker(_engine(settings.database_url()), expire_on_commit=False)
app = FastAPI()


def session() -> Iterator[Session]:
    with _sessions() as opened:
        yield opened


async def signed_in(x_tidepool_session_token: Annotated[str | None, Header()] = None) -> Caller:
    try:
        return _tokens.caller(x_tidepool_session_token)
    except Refusal as refusal:
        raise HTTPException(refusal.status) from None


OpenSession = Annotated[Session, Depends(session)]
SignedIn = Annotated[Caller, Depends(signed_in)]


def _require_member(session: Session, caller: Caller, clinic_id: str) -> None:
    if caller.is_service:
        return
    of_caller = select(Clinician).where(Clinician.clinic_id == clinic_id, Clinician.user_id == caller.id)
    clinician = session.scalars(of_caller).one_or_none()
    if clinician is None or not (clinician.is_admin or clinician.is_member):
        raise HTTPException(403)


@app.get("/v1/clinics/{clinic_id}/patients/{patient_id}", response_model=PatientOut, response_model_exclude_none=True)
def get_patient(clinic_id: ClinicId, patient_id: PatientId, session: OpenSession, caller: SignedIn) -> Any:
    _require_member(session, caller, clinic_id)
    wanted = select(Patient).where(Patient.clinic_id == clinic_id, Patient.user_id == patient_id)
    patient = session.scalars(wanted).one_or_none()
    if patient is None:
        raise HTTPException(404)
    links = session.execute(_links(clinic_id, patient.id)).all()
    return _patient_out(patient, links, _sources(session, patient))


def _links(clinic_id: str, patient_id: str) -> Any:
    of_tags = (PatientTag.clinic_id == clinic_id, PatientTag.patient_id == patient_id)
    of_sites = (PatientSite.clinic_id == clinic_id, PatientSite.patient_id == patient_id)
    return union_all(
        select(
            literal("tag").label("kind"),
            PatientTag.tag_id.label("id"),
            null().label("name"),
            literal(0).label("position"),
        ).where(*of_tags),
        select(literal("site"), PatientSite.site_id, Site.name, PatientSite.position)
        .join(Site, (Site.clinic_id == PatientSite.clinic_id) & (Site.id == PatientSite.site_id))
        .where(*of_sites),
    ).order_by("position", "id")


def _sources(session: Session, patient: Patient) -> Sequence[DataSource] | None:
    if not patient.data_sources_set:
        return None
    of_patient = (DataSource.clinic_id == patient.clinic_id, DataSource.patient_id == patient.id)
    return session.scalars(select(DataSource).where(*of_patient).order_by(DataSource.position)).all()


def _patient_out(patient: Patient, links: Sequence[Row[Any]], sources: Sequence[DataSource] | None) -> dict[str, Any]:
    return {
        "id": patient.user_id,
        "email": patient.email,
        "full_name": patient.full_name or "",
        "birth_date": patient.birth_date or "0001-01-01",
        "mrn": patient.mrn,
        "tags": [link.id for link in links if link.kind == "tag"],
        "sites": [link for link in links if link.kind == "site"],
        "target_devices": patient.target_devices,
        "permissions": patient.permissions,
        "created_time": patient.created_time,
        "updated_time": patient.updated_time,
        "data_sources": sources,
        "last_upload_reminder_time": patient.last_upload_reminder_time,
        "reviews": patient.reviews,
        "connection_requests": patient.connection_requests or {},
        "glycemic_ranges": patient.glycemic_ranges,
        "diagnosis_type": patient.diagnosis_type,
    }


@app.get("/v1/clinics/{clinic_id}/clinicians", response_model=list[ClinicianOut], response_model_exclude_none=True)
def list_clinicians(clinic_id: ClinicId, session: OpenSession, caller: SignedIn, query: PageOfClinicians) -> Any:
    _require_member(session, caller, clinic_id)
    if query.has_filter:
        raise HTTPException(501)
    of_clinic = select(Clinician).where(Clinician.clinic_id == clinic_id)
    newest_first = of_clinic.order_by(Clinician.created_time.desc(), Clinician.id)
    return session.scalars(newest_first.limit(query.limit).offset(query.offset)).all()


@app.post("/v1/clinics/{clinic_id}/clinicians", response_model=ClinicianOut, response_model_exclude_none=True)
def create_clinician(clinic_id: ClinicId, body: ClinicianIn, session: OpenSession, caller: SignedIn) -> Any:
    if not caller.is_service:
        raise HTTPException(403)
    clinic = session.scalars(select(Clinic).where(Clinic.id == clinic_id).with_for_update()).one_or_none()
    if clinic is None:
        raise HTTPException(404)
    if not clinic.is_migrated:
        raise HTTPException(422)
    clinician = _new_clinician(clinic_id, body)
    session.add(clinician)
    if clinician.user_id:
        session.add(_added(clinician))
    try:
        session.commit()
    except IntegrityError:
        raise HTTPException(409) from None
    return clinician


def _new_clinician(clinic_id: str, body: ClinicianIn) -> Clinician:
    now = datetime.now(UTC)
    clinician = Clinician(
        clinic_id=clinic_id,
        id=token_hex(12),
        user_id=body.id,
        invite_id=None if body.id else body.invite_id or token_urlsafe(24),
        email=body.email.lower(),
        name=body.name,
        created_time=now,
        updated_time=now,
    )
    clinician.roles = [role.value for role in body.roles]
    return clinician


def _added(clinician: Clinician) -> OutboxEntry:
    # Marked as delivered: no relay belongs to a peer, and that of clinic-service shall not work for one.
    return OutboxEntry(
        id=token_hex(12),
        clinic_id=clinician.clinic_id,
        kind="clinician_added",
        payload={"clinicId": clinician.clinic_id, "userId": clinician.user_id},
        created_time=clinician.created_time,
        next_attempt_time=clinician.created_time,
        delivered_time=clinician.created_time,
    )
