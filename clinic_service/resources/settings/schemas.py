"""The schemas of settings and counts in requests and responses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from marshmallow import fields, post_load

from clinic_service.resources.patients.counts import ProviderCount
from clinic_service.serialization import Computed, WireEnum, WireNested, WireSchema, WireTime


class _Document:
    """Makes a schema load an object with an attribute for every member; None for an absent member.

    Schemas dump from such objects, so the same schema turns a body into the stored document, and that into the response.
    """

    fields: dict[str, fields.Field[Any]]

    @post_load
    def _to_object(self, data: dict[str, Any], **_: Any) -> SimpleNamespace:
        return SimpleNamespace(**{**dict.fromkeys(self.fields), **data})


class _TextOr(fields.String):
    """Text with a default that replaces an empty stored value."""

    def __init__(self, stand_in: str) -> None:
        super().__init__(load_default=stand_in)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:  # noqa: ARG002
        return str(value or self.load_default)


@dataclass(frozen=True, slots=True)
class PatientNumbers:
    """Numbers of patients: all, demo patients, those that the plan includes, and by provider of data sources."""

    total: int
    demo: int
    plan: int
    by_provider: Iterable[ProviderCount]


def _providers(count: PatientNumbers) -> dict[str, Any] | None:
    """The numbers by provider; None when no patient has a data source."""
    providers: dict[str, Any] = {}
    for row in count.by_provider:
        provider = providers.setdefault(row.provider_name, {"total": 0, "states": {}})
        if row.state is None:
            provider["total"] = row.patients
        else:
            provider["states"][row.state] = row.patients
    return providers or None


class PatientCountSchema(WireSchema):
    """`patientCount.v1`."""

    total = fields.Integer()
    demo = fields.Integer()
    plan = fields.Integer()
    providers = Computed(_providers)


class PatientCountLimitSchema(_Document, WireSchema):
    """`patientCountLimit.v1`."""

    plan = fields.Integer()
    start_date = WireTime()
    end_date = WireTime()


class PatientCountSettingsSchema(_Document, WireSchema):
    """`patientCountSettings.v1`."""

    hard_limit = WireNested(PatientCountLimitSchema)
    soft_limit = WireNested(PatientCountLimitSchema)


class MembershipRestrictionSchema(WireSchema):
    """`membershipRestriction.v1`, from a row."""

    email_domain = fields.String()
    required_idp = fields.String()


class MrnSettingsSchema(WireSchema):
    """`mrnSettings.v1`, from a row or a clinic."""

    required = fields.Boolean(attribute="mrn_required")
    unique = fields.Boolean(attribute="mrn_unique")


class EhrDestinationsSchema(_Document, WireSchema):
    """`ehrDestinations.v1`."""

    flowsheet = fields.String()
    results = fields.String()
    notes = fields.String()


class EhrProceduresSchema(_Document, WireSchema):
    """`ehrProcedures.v1`."""

    enable_summary_reports = fields.String()
    disable_summary_reports = fields.String()
    create_account = fields.String()
    create_account_and_enable_reports = fields.String()


class ScheduledReportsSchema(_Document, WireSchema):
    """`scheduledReports.v1`. The kind of note applies only while a report is sent after each upload."""

    on_upload_enabled = fields.Boolean()
    on_upload_note_event_type = WireEnum()
    cadence = _TextOr("14d")


class EhrTagsSchema(_Document, WireSchema):
    """`ehrTagsSettings.v1`."""

    codes = fields.List(fields.String(), allow_none=True)
    separator = fields.String()


class EhrFlowsheetsSchema(_Document, WireSchema):
    """`ehrFlowsheetSettings.v1`."""

    icode = fields.Boolean()


class EhrNotesSchema(_Document, WireSchema):
    """`ehrNoteSettings.v1`."""

    include_gmi = fields.Boolean(data_key="includeGMI", load_default=False)


class EhrSettingsSchema(_Document, WireSchema):
    """`ehrSettings.v1`: loads bodies and stored settings, and fills in defaults for missing members."""

    enabled = fields.Boolean()
    source_id = fields.String()
    destination_ids = fields.Nested(EhrDestinationsSchema)
    procedure_codes = fields.Nested(EhrProceduresSchema)
    mrn_id_type = _TextOr("MRN")
    provider = WireEnum()
    scheduled_reports = fields.Nested(ScheduledReportsSchema)
    tags = fields.Nested(EhrTagsSchema)
    flowsheets = fields.Nested(EhrFlowsheetsSchema)
    notes = fields.Nested(EhrNotesSchema, load_default=lambda: EhrNotesSchema().load({}))


patient_count_schema = PatientCountSchema()
patient_count_settings_schema = PatientCountSettingsSchema()
membership_restriction_schema = MembershipRestrictionSchema()
mrn_settings_schema = MrnSettingsSchema()
ehr_settings_schema = EhrSettingsSchema()
