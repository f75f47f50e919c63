"""The schemas of migrations in requests and responses."""

from __future__ import annotations

from marshmallow import fields

from clinic_service.serialization import WireEnum, WireSchema, WireTime


class MigrationSchema(WireSchema):
    """`migration.v1`. From a body it reads only the user id."""

    user_id = fields.String()
    status = WireEnum(dump_only=True)
    created_time = WireTime(dump_only=True)
    updated_time = WireTime(dump_only=True)
    attestation_time = WireTime(dump_only=True)


migration_schema = MigrationSchema()
