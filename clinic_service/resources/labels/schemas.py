"""The schemas of labels in requests and responses."""

from __future__ import annotations

from marshmallow import fields

from clinic_service.serialization import WireSchema


class LabelSchema(WireSchema):
    """`patientTag.v1` and `site.v1` as a clinic shows them, with the number of patients even when it is 0."""

    id = fields.String(dump_only=True)
    name = fields.String(dump_only=True)
    num_patients = fields.Integer(dump_only=True)


label_schema = LabelSchema()
