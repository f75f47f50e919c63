"""Adds to the demo clinic what operations can be tried on: invitations, offers, a migration, an order, a second clinic."""

from __future__ import annotations

from typing import Any

from clinic_service.demo.cast import ADMIN, MEMBER, OUTSIDER, PARENT, PATIENT, SHARE_CODE
from tests.support.processes import ServerProcess

_ORDER = {
    "Meta": {"DataModel": "Order", "EventType": "New", "Source": {"ID": "7ce6f387-c33c-417d-8682-81e83628cbd9"}},
    "Patient": {
        "Identifiers": [{"ID": "MRN-20400", "IDType": "MRN"}],
        "Demographics": {"FirstName": "Carol", "LastName": "Cooper", "DOB": "2003-10-17"},
    },
    "Order": {"ID": "157968300", "Procedure": {"Code": "TIDEPOOL-ENABLE"}},
}
_PERSONS = [ADMIN.id, MEMBER.id, PATIENT.id, PARENT.id, OUTSIDER.id]


class Seed:
    """Calls a server with the demo clinic, with `tokens` by the user id of a person, or `service` for a service."""

    def __init__(self, server: ServerProcess, tokens: dict[str, str], redox_secret: str) -> None:
        self._server, self._tokens, self._redox_secret = server, tokens, redox_secret

    def dictionaries(self) -> dict[str, list[str]]:
        """Ids that exist, by where they belong in a request, in the words of Schemathesis."""
        clinic = self._get("service", f"/v1/clinics/share_code/{SHARE_CODE}")
        path = f"/v1/clinics/{clinic['id']}"
        patients = [patient["id"] for patient in self._get("service", f"{path}/patients?limit=1000")["data"]]
        second = self._send(ADMIN.id, "POST", "/v1/clinics", {"name": "Second", "preferredBgUnits": "mg/dL"})
        self._send("service", "POST", f"{path}/migrations", {"userId": ADMIN.id})
        clinics, tags, sites = [clinic["id"], second["id"]], clinic["patientTags"], clinic["sites"]
        return {
            "path.clinicId": [*clinics, clinics[0], clinics[0]],
            "body.sourceId": clinics,
            "path.patientId": [PATIENT.id, *patients[:6]],
            "path.userId": _PERSONS,
            "path.clinicianId": [ADMIN.id, MEMBER.id],
            "path.sharerId": [PATIENT.id, PATIENT.id, PARENT.id],
            "path.patientTagId": [tag["id"] for tag in tags],
            "path.siteId": [site["id"] for site in sites],
            "path.inviteId": self._invitations(path),
            "path.shareCode": [SHARE_CODE],
            "path.providerId": ["dexcom", "twiist", "abbott"],
            "body.id": [*(site["id"] for site in sites), OUTSIDER.id],
            "body.userId": _PERSONS,
            "body.shareCode": [SHARE_CODE],
            "body.messageRef.documentId": [self._order()],
            # The secret of Redox, without which no challenge is looked at.
            "body.verification-token": [self._redox_secret],
        }

    def _invitations(self, clinic: str) -> list[str]:
        """The keys of invitations to clinicians and of offers by patients."""
        addresses = (OUTSIDER.email, PATIENT.email, "somebody@harbour.example")
        invited = [
            self._send(ADMIN.id, "POST", f"{clinic}/invites/clinicians", {"email": email, "roles": ["CLINIC_MEMBER"]})
            for email in addresses
        ]
        body = {"shareCode": SHARE_CODE, "permissions": {"view": {}, "note": {}}}
        offered = [
            self._send(person.id, "POST", f"/confirm/send/invite/{person.id}/clinic", body)
            for person in (OUTSIDER, PARENT)
        ]
        return [invite["inviteId"] for invite in invited] + [offer["key"] for offer in offered]

    def _order(self) -> str:
        """The id of an order that came through Redox."""
        answer = self._server.request("POST", "/v1/redox", None, _ORDER, {"verification-token": self._redox_secret})
        assert answer.status == 200, answer
        return {name.lower(): value for name, value in answer.headers.items()}["x-tidepool-document-id"]

    def _get(self, caller: str, path: str) -> Any:
        return self._send(caller, "GET", path)

    def _send(self, caller: str, method: str, path: str, body: Any = ...) -> Any:
        answer = self._server.request(method, path, self._tokens[caller], body)
        assert answer.status in (200, 202), (method, path, answer)
        return answer.json
