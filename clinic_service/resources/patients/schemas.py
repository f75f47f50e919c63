"""How patients are spelled on the wire."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields, missing

from clinic_service.models import Permission
from clinic_service.models.statistics import TYPES
from clinic_service.resources.patients.ranges import kept_ranges
from clinic_service.serialization import Computed, StoredJson, WireEnum, WireSchema, WireTime, to_wire

# Clients know it as a birth date that nobody knows.
_UNKNOWN_BIRTH_DATE = "0001-01-01"
_PROVIDERS = ("abbott", "dexcom", "twiist")


class BirthDate(fields.Raw):
    """A date as text. The unknown one is None in here."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value == _UNKNOWN_BIRTH_DATE else str(value)


class GlycemicRanges(fields.Raw):
    """Ranges with every default filled in."""

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        # The published schema admits null, which marshmallow would judge by itself.
        return super().deserialize(value, attr, data, **kwargs) if value is missing else kept_ranges(value)


class PermissionNames(fields.Raw):
    """The names of the granted permissions; the objects they stand beside mean nothing."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Permission]:  # noqa: ARG002
        return [permission for permission in Permission if permission.value in value]


class SiteIds(fields.Raw):
    """The ids of sites; their names in a body mean nothing."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(site["id"] for site in value)


class TagIds(fields.Raw):
    """The ids of tags; null stands for none given."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(value)


def _permissions(row: Any) -> dict[str, dict[str, Any]] | None:
    if not row.has_permissions:
        return None
    granted = (row.permission_custodian, row.permission_view, row.permission_upload, row.permission_note)
    return {permission.value: {} for permission, held in zip(Permission, granted, strict=True) if held}


def _reviews(row: Any) -> list[dict[str, str]]:
    kept = ((row.review_1_clinician_id, row.review_1_time), (row.review_2_clinician_id, row.review_2_time))
    return [{"clinicianId": clinician, "time": to_wire(time)} for clinician, time in kept if clinician]


def _connection_requests(row: Any) -> dict[str, list[dict[str, Any]]]:
    requests = row.connection_requests or {}
    shown = {provider: requests.get(provider, []) for provider in _PROVIDERS}
    # Older records know only when Dexcom was last asked for.
    last = row.last_requested_dexcom_connect_time
    if last and not shown["dexcom"]:
        shown["dexcom"] = [{"providerName": "dexcom", "createdTime": to_wire(last)}]
    return shown


def _summary(row: Any) -> dict[str, StoredJson] | None:
    stats = {f"{kind}Stats": StoredJson(row.summaries[kind]) for kind in TYPES if kind in row.summaries}
    return stats or None


class DataSourceSchema(WireSchema):
    """`dataSource.v1`."""

    provider_name = fields.String()
    state = WireEnum()
    data_source_id = fields.String()
    modified_time = WireTime()
    expiration_time = WireTime()
    latest_data_time = WireTime()


class SiteOfPatientSchema(WireSchema):
    """`site.v1` as a patient's record shows it: without the number of patients."""

    id = fields.String()
    name = fields.String()


class PatientSchema(WireSchema):
    """`patient.v1`, from a `PatientDescription`. The id on the wire is the user id; the row's own id is internal."""

    when_none: ClassVar[dict[str, Any]] = {"full_name": "", "birth_date": _UNKNOWN_BIRTH_DATE, "data_sources": None}

    id = fields.String(attribute="user_id")
    email = fields.String()
    full_name = fields.String()
    birth_date = BirthDate()
    mrn = fields.String()
    tags = fields.List(fields.String())
    target_devices = fields.List(fields.String())
    permissions = Computed(_permissions)
    created_time = WireTime(dump_only=True)
    updated_time = WireTime(dump_only=True)
    data_sources = fields.List(fields.Nested(DataSourceSchema))
    last_upload_reminder_time = WireTime(dump_only=True)
    reviews = Computed(_reviews)
    connection_requests = Computed(_connection_requests)
    summary = Computed(_summary)
    sites = fields.List(fields.Nested(SiteOfPatientSchema))
    glycemic_ranges = GlycemicRanges()
    diagnosis_type = WireEnum()


class CreatePatientSchema(WireSchema):
    """`createPatient.v1`, read into the members of an `Enrolment`."""

    permissions = PermissionNames()
    is_migrated = fields.Boolean()
    legacy_clinician_id = fields.String()
    full_name = fields.String()
    birth_date = BirthDate()
    mrn = fields.String()
    tag_ids = TagIds(data_key="tags", allow_none=True)
    site_ids = SiteIds(data_key="sites")
    glycemic_ranges = GlycemicRanges()
    diagnosis_type = WireEnum()


patient_schema = PatientSchema()
create_patient_schema = CreatePatientSchema()
data_source_schema = DataSourceSchema()
