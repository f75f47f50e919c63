"""The schemas of patients in requests and responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from marshmallow import fields

from clinic_service import clock
from clinic_service.errors import BadRequest
from clinic_service.models import Patient, Permission
from clinic_service.models.statistics import TYPES
from clinic_service.resources.patients.descriptions import PatientDescription, PatientRow
from clinic_service.resources.patients.glycemic_ranges import kept_ranges
from clinic_service.resources.patients.reviews import KeptReviews
from clinic_service.serialization import (
    Computed,
    JsonObject,
    StoredJson,
    WireEnum,
    WireSchema,
    WireTime,
    moved,
    to_wire,
)

_PERMISSIONS = tuple(permission.value for permission in Permission)
_PROVIDERS = ("abbott", "dexcom", "twiist")


class BirthDate(fields.Raw):
    """A date as text. An unknown date is loaded as None."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return clock.known_date(str(value))


class GlycemicRanges(fields.Raw):
    """Ranges with every default filled in."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        return kept_ranges(value)


class PermissionNames(fields.Raw):
    """The names of the granted permissions. The values of the members are ignored."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Permission]:  # noqa: ARG002
        return [permission for permission in Permission if permission.value in value]


class SiteIds(fields.Raw):
    """The ids of sites. The names in a body are ignored."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(site["id"] for site in value)


class TagIds(fields.Raw):
    """The ids of tags. Null, which means that none were given, is loaded as None."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:  # noqa: ARG002
        return tuple(value)


def permissions_on_wire(row: PatientRow | Patient) -> dict[str, JsonObject] | None:
    """`patientPermissions.v1`; None when permissions were never given."""
    if not row.has_permissions:
        return None
    granted = (row.permission_custodian, row.permission_view, row.permission_upload, row.permission_note)
    return {name: {} for name, held in zip(_PERMISSIONS, granted, strict=True) if held}


def reviews_on_wire(row: PatientRow | KeptReviews) -> list[dict[str, str]]:
    """`patientReviews.v1`."""
    kept = ((row.review_1_clinician_id, row.review_1_time), (row.review_2_clinician_id, row.review_2_time))
    return [{"clinicianId": clinician, "time": to_wire(time)} for clinician, time in kept if clinician and time]


def _connection_requests(row: PatientRow) -> dict[str, list[JsonObject]]:
    requests = row.connection_requests or {}
    shown = {provider: requests.get(provider, []) for provider in _PROVIDERS}
    # Older records only have the time of the last request to connect Dexcom.
    last = row.last_requested_dexcom_connect_time
    if last and not shown["dexcom"]:
        shown["dexcom"] = [{"providerName": "dexcom", "createdTime": to_wire(last)}]
    return shown


def _summary(patient: PatientDescription) -> dict[str, StoredJson] | None:
    stats = {f"{kind}Stats": StoredJson(patient.summaries[kind]) for kind in TYPES if kind in patient.summaries}
    return stats or None


class EmailAddress(fields.Raw):
    """An address in lower case. The empty text is loaded as None."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return value.lower() or None


class FullName(fields.Raw):
    """A name. The empty text is loaded as None."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return str(value) or None


class DataSourceSchema(WireSchema):
    """`dataSource.v1`."""

    provider_name = fields.String()
    state = WireEnum()
    data_source_id = fields.String()
    modified_time = WireTime()
    expiration_time = WireTime()
    latest_data_time = WireTime()


def load_data_sources(given: Iterable[Any], place: str = "/body") -> list[dict[str, Any]]:
    """Load the sources of a list. `place` is the JSON pointer of the list in the request.

    Raises BadRequest, with a pointer, for a time that the spec admits but that does not exist in the calendar.
    """
    return [_load_data_source(source, f"{place}/{position}") for position, source in enumerate(given)]


def _load_data_source(given: Any, place: str) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = _data_source_schema.load(given)
    except BadRequest as error:
        raise BadRequest(violations=moved(error.violations, place)) from None
    return loaded


_data_source_schema = DataSourceSchema()


class DataSources(fields.Raw):
    """A list of sources in a body. Null means that none were given."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        return load_data_sources(value, f"/body/{attr}")


class SiteOfPatientSchema(WireSchema):
    """`site.v1` as a patient's record shows it: without the number of patients."""

    id = fields.String()
    name = fields.String()


class PatientSchema(WireSchema):
    """`patient.v1`, from a `PatientDescription`. The id on the wire is the user id; the row's own id is internal."""

    when_none: ClassVar[dict[str, Any]] = {"full_name": "", "birth_date": clock.UNKNOWN_DATE, "data_sources": None}

    id = fields.String(attribute="user_id")
    email = fields.String()
    full_name = fields.String()
    birth_date = BirthDate()
    mrn = fields.String()
    tags = fields.List(fields.String())
    target_devices = fields.List(fields.String())
    permissions = Computed(permissions_on_wire)
    created_time = WireTime(dump_only=True)
    updated_time = WireTime(dump_only=True)
    data_sources = fields.List(fields.Nested(DataSourceSchema))
    last_upload_reminder_time = WireTime(dump_only=True)
    reviews = Computed(reviews_on_wire)
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


class PatientRecordSchema(WireSchema):
    """`patient.v1` as clinics send it: loads only the members that clinics may set, and only those that are present.

    For `tag_ids` and `data_sources`, None means null, which is the same as absent. For other members it means a value that
    stands for unknown, such as the empty text.
    """

    full_name = FullName()
    birth_date = BirthDate()
    email = EmailAddress()
    mrn = fields.String()
    target_devices = fields.List(fields.String())
    tag_ids = TagIds(data_key="tags", allow_none=True)
    site_ids = SiteIds(data_key="sites")
    data_sources = DataSources(allow_none=True)
    glycemic_ranges = GlycemicRanges()
    diagnosis_type = WireEnum()


class TidePatientSchema(WireSchema):
    """`tidePatient.v1`, from a `PatientDescription`."""

    when_none: ClassVar[dict[str, Any]] = {"data_sources": None}

    id = fields.String(attribute="user_id")
    full_name = fields.String()
    email = fields.String()
    tags = fields.List(fields.String())
    reviews = Computed(reviews_on_wire)
    data_sources = fields.List(fields.Nested(DataSourceSchema))


patient_schema = PatientSchema()
patient_record_schema = PatientRecordSchema()
create_patient_schema = CreatePatientSchema()
tide_patient_schema = TidePatientSchema()
