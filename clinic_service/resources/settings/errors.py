"""The errors of requests about settings."""

from __future__ import annotations

from clinic_service.errors import BadRequest, NotFound


class SettingsNotFound(NotFound):
    message = "The clinic has no such settings."


class LimitEndsBeforeStart(BadRequest):
    message = "The start of a limit must not be after its end."
