"""The pydantic models that both FastAPI peers read and write."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from tests.benchmarks.peers.checks import CLINIC_ID, EMAIL, USER_ID

ClinicId = Annotated[str, Path(pattern=CLINIC_ID)]
PatientId = Annotated[str, Path(pattern=USER_ID)]


class ClinicianQuery(BaseModel):
    """What a list of clinicians can be asked for. Filters are read and judged, but no peer knows how to apply them."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 10
    offset: Annotated[int, Field(ge=0)] = 0
    search: str | None = None
    email: Annotated[str, Field(pattern=EMAIL)] | None = None
    role: str | None = None

    @property
    def has_filter(self) -> bool:
        return bool(self.search or self.email or self.role)


PageOfClinicians = Annotated[ClinicianQuery, Query()]


class Role(StrEnum):
    ADMIN = "CLINIC_ADMIN"
    MEMBER = "CLINIC_MEMBER"
    PRESCRIBER = "PRESCRIBER"


def _to_wire(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


def _each_once(roles: list[Role]) -> list[Role]:
    if len(set(roles)) != len(roles):
        raise ValueError("a role stands twice")
    return roles


WireTime = Annotated[datetime, PlainSerializer(_to_wire, when_used="json")]


class Wire(BaseModel):
    """Members are camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class ClinicianIn(Wire):
    id: Annotated[str, Field(pattern=USER_ID)] | None = None
    invite_id: Annotated[str, Field(max_length=255)] | None = None
    email: Annotated[str, Field(pattern=EMAIL, max_length=254)]
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    roles: Annotated[list[Role], Field(min_length=1, max_length=3), AfterValidator(_each_once)]


class ClinicianOut(Wire):
    id: str | None = Field(validation_alias="user_id")
    invite_id: str | None
    email: Annotated[str, BeforeValidator(lambda value: value or "")]
    name: str | None
    roles: list[Role]
    created_time: WireTime
    updated_time: WireTime


class Review(Wire):
    clinician_id: str
    time: WireTime


class Site(Wire):
    id: str
    name: str


class Source(Wire):
    provider_name: str
    state: str
    data_source_id: str | None
    modified_time: WireTime | None
    expiration_time: WireTime | None
    latest_data_time: WireTime | None


class Request(Wire):
    provider_name: str
    created_time: WireTime


class Requests(Wire):
    abbott: list[Request] = []
    dexcom: list[Request] = []
    twiist: list[Request] = []


class PatientOut(Wire):
    id: str
    email: str | None
    full_name: str
    birth_date: str
    mrn: str | None
    tags: list[str]
    sites: list[Site]
    target_devices: list[str] | None
    permissions: dict[str, dict[str, Any]] | None
    created_time: WireTime
    updated_time: WireTime
    data_sources: list[Source] | None
    last_upload_reminder_time: WireTime | None
    reviews: list[Review]
    connection_requests: Requests
    glycemic_ranges: dict[str, Any] | None
    diagnosis_type: str | None
