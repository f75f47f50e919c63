"""The data layer of the fast peers: SQL written by hand, run on the driver's own connection, JSON passed on as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex, token_urlsafe
from typing import Any

import orjson

from tests.benchmarks.peers.checks import ROLES, Caller, Refusal
from tests.benchmarks.peers.engines import Engine

Row = Sequence[Any]

_ROLES = "SELECT is_admin, is_member FROM clinicians WHERE clinic_id = ? AND user_id = ?"
_PATIENT = """
SELECT id, user_id, full_name, birth_date, email, mrn, CAST(target_devices AS TEXT), has_permissions,
    permission_custodian, permission_view, permission_upload, permission_note, created_time, updated_time,
    last_upload_reminder_time, review_1_clinician_id, review_1_time, review_2_clinician_id, review_2_time,
    last_requested_dexcom_connect_time, CAST(glycemic_ranges AS TEXT), diagnosis_type,
    CAST(connection_requests AS TEXT), data_sources_set
FROM patients WHERE clinic_id = ? AND user_id = ?"""
_TAGS_AND_SITES = """
SELECT 'tag' AS kind, tag_id AS id, CAST(NULL AS TEXT) AS name, 0 AS position
FROM patient_tags WHERE clinic_id = ? AND patient_id = ?
UNION ALL
SELECT 'site', link.site_id, sites.name, link.position
FROM patient_sites AS link JOIN sites ON sites.clinic_id = link.clinic_id AND sites.id = link.site_id
WHERE link.clinic_id = ? AND link.patient_id = ?
ORDER BY position, id"""
_SOURCES = """
SELECT provider_name, state, data_source_id, modified_time, expiration_time, latest_data_time
FROM data_sources WHERE clinic_id = ? AND patient_id = ? ORDER BY position"""
_CLINICIANS = """
SELECT user_id, invite_id, email, name, is_admin, is_member, is_prescriber, created_time, updated_time
FROM clinicians WHERE clinic_id = ? ORDER BY created_time DESC, id LIMIT ? OFFSET ?"""
_CLINIC = "SELECT is_migrated FROM clinics WHERE id = ?"
_ADD_CLINICIAN = """
INSERT INTO clinicians (clinic_id, id, user_id, invite_id, email, name, is_admin, is_member, is_prescriber,
    is_service_account, created_time, updated_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
# Marked as delivered: no relay belongs to a peer, and that of clinic-service shall not work for one.
_ADD_EVENT = """
INSERT INTO outbox (id, clinic_id, kind, payload, created_time, attempts, next_attempt_time, delivered_time)
VALUES (?, ?, 'clinician_added', ?, ?, 0, ?, ?)"""


class Store:
    """The three operations, their access rules included. Answers are ready for orjson."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wire = engine.wire

    def require_member(self, caller: Caller, clinic_id: str) -> None:
        """Raise Refusal 403 unless a service or a member of the clinic calls."""
        if caller.is_service:
            return
        roles = self._engine.execute(_ROLES, (clinic_id, caller.id)).fetchone()
        if roles is None or not (roles[0] or roles[1]):
            raise Refusal(403)

    def patient(self, clinic_id: str, user_id: str) -> dict[str, Any]:
        """Raises Refusal 404."""
        row = self._engine.execute(_PATIENT, (clinic_id, user_id)).fetchone()
        if row is None:
            raise Refusal(404)
        made = self._patient(row)
        self._add_tags_and_sites(made, clinic_id, row[0])
        made["dataSources"] = self._sources(clinic_id, row[0]) if row[23] else None
        return made

    def _patient(self, row: Row) -> dict[str, Any]:
        wire = self._wire
        made: dict[str, Any] = {
            "id": row[1],
            "fullName": row[2] or "",
            "birthDate": row[3] or "0001-01-01",
            "createdTime": wire(row[12]),
            "updatedTime": wire(row[13]),
            "reviews": [{"clinicianId": c, "time": wire(t)} for c, t in ((row[15], row[16]), (row[17], row[18])) if c],
            "connectionRequests": self._requests(row[22], row[19]),
        }
        for name, value in (("email", row[4]), ("mrn", row[5]), ("diagnosisType", row[21])):
            if value is not None:
                made[name] = value
        for name, text in (("targetDevices", row[6]), ("glycemicRanges", row[20])):
            if text is not None:
                made[name] = orjson.Fragment(text)
        if row[14] is not None:
            made["lastUploadReminderTime"] = wire(row[14])
        if row[7]:
            names = ("custodian", "view", "upload", "note")
            made["permissions"] = {name: {} for name, held in zip(names, row[8:12], strict=True) if held}
        return made

    def _requests(self, text: str | None, last_dexcom: Any) -> dict[str, Any]:
        kept = orjson.loads(text) if text else {}
        shown = {provider: kept.get(provider, []) for provider in ("abbott", "dexcom", "twiist")}
        if last_dexcom and not shown["dexcom"]:
            shown["dexcom"] = [{"providerName": "dexcom", "createdTime": self._wire(last_dexcom)}]
        return shown

    def _add_tags_and_sites(self, made: dict[str, Any], clinic_id: str, patient_id: str) -> None:
        rows = self._engine.execute(_TAGS_AND_SITES, (clinic_id, patient_id, clinic_id, patient_id)).fetchall()
        made["tags"] = [row[1] for row in rows if row[0] == "tag"]
        made["sites"] = [{"id": row[1], "name": row[2]} for row in rows if row[0] == "site"]

    def _sources(self, clinic_id: str, patient_id: str) -> list[dict[str, Any]]:
        sources = []
        for row in self._engine.execute(_SOURCES, (clinic_id, patient_id)).fetchall():
            source = {"providerName": row[0], "state": row[1]}
            if row[2] is not None:
                source["dataSourceId"] = row[2]
            for name, time in (("modifiedTime", row[3]), ("expirationTime", row[4]), ("latestDataTime", row[5])):
                if time is not None:
                    source[name] = self._wire(time)
            sources.append(source)
        return sources

    def clinicians(self, clinic_id: str, limit: int, offset: int) -> list[dict[str, Any]]:
        """A page of a clinic's clinicians, newest first."""
        rows = self._engine.execute(_CLINICIANS, (clinic_id, limit, offset)).fetchall()
        return [self._clinician(*row) for row in rows]

    def _clinician(
        self, user_id: str | None, invite_id: str | None, email: str | None, name: str | None, *rest: Any
    ) -> dict[str, Any]:
        made: dict[str, Any] = {
            "email": email or "",
            "roles": [role for role, held in zip(ROLES, rest, strict=False) if held],
            "createdTime": self._wire(rest[3]),
            "updatedTime": self._wire(rest[4]),
        }
        for key, value in (("id", user_id), ("inviteId", invite_id), ("name", name)):
            if value is not None:
                made[key] = value
        return made

    def create_clinician(self, clinic_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises Refusal 404, 422 and 409."""
        now = _now()
        values = _new_clinician(body) + (self._engine.stored(now),) * 2
        self._engine.begin()
        try:
            self._lock_migrated(clinic_id)
            self._engine.execute(_ADD_CLINICIAN, (clinic_id, token_hex(12), *values))
            if values[0]:
                self._add_event(clinic_id, values[0], now)
        except self._engine.duplicate:
            self._engine.rollback()
            raise Refusal(409) from None
        except BaseException:
            self._engine.rollback()
            raise
        self._engine.commit()
        return self._clinician(*values[:7], *values[8:])

    def _lock_migrated(self, clinic_id: str) -> None:
        clinic = self._engine.execute(_CLINIC + self._engine.for_update, (clinic_id,)).fetchone()
        if clinic is None:
            raise Refusal(404)
        if not clinic[0]:
            raise Refusal(422)

    def _add_event(self, clinic_id: str, user_id: str, now: datetime) -> None:
        time = self._engine.stored(now)
        payload = orjson.dumps({"clinicId": clinic_id, "userId": user_id}).decode()
        self._engine.execute(_ADD_EVENT, (token_hex(12), clinic_id, payload, time, time, time))


def _new_clinician(body: dict[str, Any]) -> tuple[Any, ...]:
    user_id = body.get("id")
    invite_id = None if user_id else body.get("inviteId") or token_urlsafe(24)
    held = (role in body["roles"] for role in ROLES)
    return (user_id, invite_id, body["email"].lower(), body.get("name"), *held, False)


def _now() -> datetime:
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
