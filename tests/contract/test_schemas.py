"""What is spelled by the code is what the spec describes: the same members, and the same text as marshmallow's own."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import marshmallow
import pytest
from marshmallow import fields

import clinic_service.resources
from clinic_service.gateways.accounts import Profile
from clinic_service.models import Tier
from clinic_service.resources.clinicians.schemas import ClinicianSchema, MembershipSchema
from clinic_service.resources.clinics.schemas import ClinicSchema
from clinic_service.resources.invites.schemas import ConfirmationSchema
from clinic_service.resources.labels.schemas import LabelSchema
from clinic_service.resources.migrations.schemas import MigrationSchema
from clinic_service.resources.patients.schemas import (
    CreatePatientSchema,
    DataSourceSchema,
    PatientRecordSchema,
    PatientSchema,
    SiteOfPatientSchema,
    TidePatientSchema,
)
from clinic_service.resources.settings.schemas import (
    EhrDestinationsSchema,
    EhrFlowsheetsSchema,
    EhrNotesSchema,
    EhrProceduresSchema,
    EhrSettingsSchema,
    EhrTagsSchema,
    MembershipRestrictionSchema,
    MrnSettingsSchema,
    PatientCountLimitSchema,
    PatientCountSchema,
    PatientCountSettingsSchema,
    ScheduledReportsSchema,
)
from clinic_service.serialization import Computed, WireEnum, WireSchema, WireTime
from clinic_service.texts import camel_case
from tests.support.errors import spec_apis

# Each class, the schemas of the spec it spells, and members that it leaves out on purpose, with the reason.
SPELLED: dict[type[WireSchema], tuple[str, ...]] = {
    ClinicianSchema: ("clinician.v1",),
    MembershipSchema: ("clinicianClinicRelationship.v1",),
    ClinicSchema: ("clinic.v1",),
    LabelSchema: ("patientTag.v1", "site.v1"),
    PatientCountSchema: ("patientCount.v1",),
    PatientCountLimitSchema: ("patientCountLimit.v1",),
    PatientCountSettingsSchema: ("patientCountSettings.v1",),
    MembershipRestrictionSchema: ("membershipRestriction.v1",),
    MrnSettingsSchema: ("mrnSettings.v1",),
    EhrDestinationsSchema: ("ehrDestinations.v1",),
    EhrFlowsheetsSchema: ("ehrFlowsheetSettings.v1",),
    EhrNotesSchema: ("ehrNoteSettings.v1",),
    EhrProceduresSchema: ("ehrProcedures.v1",),
    EhrSettingsSchema: ("ehrSettings.v1",),
    EhrTagsSchema: ("ehrTagsSettings.v1",),
    ScheduledReportsSchema: ("scheduledReports.v1",),
    MigrationSchema: ("migration.v1",),
    PatientSchema: ("patient.v1",),
    DataSourceSchema: ("dataSource.v1",),
    SiteOfPatientSchema: ("siteOfPatient.v1",),
    CreatePatientSchema: ("createPatient.v1",),
    PatientRecordSchema: ("patient.v1",),
    TidePatientSchema: ("tidePatient.v1",),
    ConfirmationSchema: ("confirmation.v1",),
}
LEFT_OUT: dict[type[WireSchema], dict[str, str]] = {
    SiteOfPatientSchema: {"numPatients": "a patient's record names the sites and counts nobody"},
    ClinicSchema: {"lastDeletedPatientTag": "published, and never sent"},
    PatientSchema: {"attestationSubmitted": "taken and ignored in requests, never sent"},
    CreatePatientSchema: {"attestationSubmitted": "taken and ignored"},
    PatientRecordSchema: {
        "id": "set by the directory of accounts",
        "permissions": "the patient's affair",
        "createdTime": "set by the server",
        "updatedTime": "set by the server",
        "lastUploadReminderTime": "set by the operation that sends one",
        "reviews": "set by the operations for them",
        "connectionRequests": "set by the operation that makes one",
        "summary": "set by the operation for it",
        "attestationSubmitted": "taken and ignored",
    },
}


def _all_schemas() -> set[type[WireSchema]]:
    for package in pkgutil.iter_modules(clinic_service.resources.__path__, "clinic_service.resources."):
        for module in pkgutil.iter_modules(importlib.import_module(package.name).__path__, f"{package.name}."):
            if module.name.endswith(".schemas"):
                importlib.import_module(module.name)
    return set(WireSchema.__subclasses__())


def properties(name: str) -> set[str]:
    """The members that the schema `name` of the spec describes, those of its parts included."""
    documents = [api.document["components"]["schemas"] for api in spec_apis()]
    schemas = next(document for document in documents if name in document)
    found: set[str] = set()
    for part in [schemas[name], *schemas[name].get("allOf", [])]:
        while "$ref" in part:
            part = schemas[part["$ref"].rsplit("/", 1)[-1]]  # noqa: PLW2901
        found |= set(part.get("properties", {}))
    return found


def test_every_schema_is_looked_at() -> None:
    assert {schema for schema in _all_schemas() if schema.__module__.startswith("clinic_service.")} == set(SPELLED)


@pytest.mark.parametrize("schema", SPELLED, ids=lambda schema: schema.__name__)
def test_members_are_those_of_the_spec(schema: type[WireSchema]) -> None:
    spelled = {field.data_key or name for name, field in schema().fields.items()}
    for name in SPELLED[schema]:
        assert spelled == properties(name) - set(LEFT_OUT.get(schema, {}))


@pytest.mark.parametrize("schema", SPELLED, ids=lambda schema: schema.__name__)
def test_schemas_carry_no_limits(schema: type[WireSchema]) -> None:
    """What is valid is said once, in the spec."""
    for field in schema().fields.values():
        assert not field.validators
        assert not field.required


TIME = datetime(2026, 3, 2, 9, 30, 0, 5000, tzinfo=UTC)


def _value(field: fields.Field[Any]) -> Any:
    if isinstance(field, WireTime):
        return TIME
    if isinstance(field, WireEnum):
        return Tier.FREE
    if isinstance(field, fields.Nested):
        row = _row(type(field.schema))  # type: ignore[arg-type]
        return [row, row] if field.many else row
    if isinstance(field, fields.List):
        return [_value(field.inner), _value(field.inner)]
    return {fields.Integer: 3, fields.Boolean: False, fields.Raw: {"any": ["JSON"]}}.get(type(field), "text")


# What members that are computed from the whole row are computed from.
COMPUTED_FROM: dict[type[WireSchema], dict[str, Any]] = {
    ClinicianSchema: {"is_admin": True, "is_member": False, "is_prescriber": True},
    ClinicSchema: {"can_migrate": True},
    ConfirmationSchema: {
        "email": "erin@mail.example",
        "creator_id": "a11ce00001",
        "creator": Profile(full_name="Alice Archer"),
        "clinic_id": "5f0c7d1e9a3b4c6d8e2f1a0b",
        "clinic_name": "Harbour Diabetes Centre",
        "verdict": None,
    },
    PatientCountSchema: {
        "by_provider": [
            SimpleNamespace(provider_name="dexcom", state=None, patients=3),
            SimpleNamespace(provider_name="dexcom", state="connected", patients=2),
        ]
    },
    PatientSchema: {
        "has_permissions": True,
        "permission_custodian": True,
        "permission_view": True,
        "permission_upload": False,
        "permission_note": False,
        "review_1_clinician_id": "a11ce00001",
        "review_1_time": TIME,
        "review_2_clinician_id": None,
        "review_2_time": None,
        "connection_requests": None,
        "last_requested_dexcom_connect_time": TIME,
        "summaries": {"cgm": '{"periods": {}}'},
    },
    TidePatientSchema: {
        "review_1_clinician_id": "a11ce00001",
        "review_1_time": TIME,
        "review_2_clinician_id": None,
        "review_2_time": None,
    },
}


def _row(schema: type[WireSchema], **changes: Any) -> Any:
    """Something with every attribute that `schema` reads."""
    plain = {n: f for n, f in schema().dump_fields.items() if not isinstance(f, Computed)}
    values = {field.attribute or name: _value(field) for name, field in plain.items()}
    return SimpleNamespace(**{**values, **COMPUTED_FROM.get(schema, {}), **changes})


def _general_dump(schema: WireSchema, row: Any) -> dict[str, Any]:
    """marshmallow's own way, with our rule for what is None."""
    made: dict[str, Any] = marshmallow.Schema.dump(schema, row)
    stand_ins = {schema.fields[name].data_key: value for name, value in schema.when_none.items()}
    filled = {key: stand_ins.get(key) if value is None else value for key, value in made.items()}
    return {key: value for key, value in filled.items() if value is not None or key in stand_ins}


@pytest.mark.parametrize("schema", SPELLED, ids=lambda schema: schema.__name__)
class TestDump:
    def test_is_that_of_marshmallow(self, schema: type[WireSchema]) -> None:
        row = _row(schema)
        made = schema().dump(row)
        assert made == _general_dump(schema(), row)
        assert made
        assert schema().dump([row, row], many=True) == [made, made]

    def test_is_that_of_marshmallow_where_nothing_is_known(self, schema: type[WireSchema]) -> None:
        plain = [
            field.attribute or name for name, field in schema().dump_fields.items() if not isinstance(field, Computed)
        ]
        row = _row(schema, **dict.fromkeys(plain))
        assert schema().dump(row) == _general_dump(schema(), row)


def test_names_on_the_wire() -> None:
    assert camel_case("created_time") == "createdTime"
    assert camel_case("id") == "id"
    assert camel_case("last_requested_dexcom_connect_time") == "lastRequestedDexcomConnectTime"
