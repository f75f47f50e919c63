"""FastAPI tuned as far as it goes: handlers on the event loop, the hand-written data layer, answers made by orjson."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import Depends, FastAPI, Header, Request, Response

from tests.benchmarks.peers import settings
from tests.benchmarks.peers.checks import Caller, Refusal, Tokens
from tests.benchmarks.peers.engines import connect
from tests.benchmarks.peers.store import Store
from tests.benchmarks.peers.wire import ClinicianIn, ClinicId, PageOfClinicians, PatientId

_tokens = Tokens(settings.secret())
_store = Store(connect(settings.database_url()))
app = FastAPI(openapi_url=None)


@app.exception_handler(Refusal)
async def refuse(_request: Request, refusal: Refusal) -> Response:
    return Response(b'{"message":"refused"}', refusal.status, media_type="application/json")


async def signed_in(x_tidepool_session_token: Annotated[str | None, Header()] = None) -> Caller:
    return _tokens.caller(x_tidepool_session_token)


SignedIn = Annotated[Caller, Depends(signed_in)]


@app.get("/v1/clinics/{clinic_id}/patients/{patient_id}")
async def get_patient(clinic_id: ClinicId, patient_id: PatientId, caller: SignedIn) -> Response:
    _store.require_member(caller, clinic_id)
    return _json(_store.patient(clinic_id, patient_id))


@app.get("/v1/clinics/{clinic_id}/clinicians")
async def list_clinicians(clinic_id: ClinicId, caller: SignedIn, query: PageOfClinicians) -> Response:
    _store.require_member(caller, clinic_id)
    if query.has_filter:
        raise Refusal(501)
    return _json(_store.clinicians(clinic_id, query.limit, query.offset))


@app.post("/v1/clinics/{clinic_id}/clinicians")
async def create_clinician(clinic_id: ClinicId, caller: SignedIn, body: ClinicianIn) -> Response:
    if not caller.is_service:
        raise Refusal(403)
    return _json(_store.create_clinician(clinic_id, body.model_dump(by_alias=True)))


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")
