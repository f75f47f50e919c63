"""A server with the demo clinic, whose database can be reset."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from clinic_service.cli.common import DEMO_DATABASE_URL
from clinic_service.db.snapshot import Snapshot
from clinic_service.demo.cast import ADMIN, INVITED, MEMBER, OFFERING, OUTSIDER, PARENT, PATIENT, SERVICE, SHARE_CODE
from clinic_service.gateways.tokens import mint
from clinic_service.testing.process import get, running
from clinic_service.testing.servers import ClinicServer, DemoCaller

_PEOPLE = (ADMIN, MEMBER, PATIENT, PARENT, OUTSIDER, INVITED, OFFERING)
_WEEK = timedelta(days=7)
_MOST_PATIENTS = 1000
# The plugin chooses these itself.
_FIXED = ("CLINIC_DATABASE_URL", "CLINIC_SESSION_SECRET", "CLINIC_SESSION_JWKS", "CLINIC_HOST", "CLINIC_PORT")


@contextmanager
def demo_server(folder: Path, settings: Mapping[str, str]) -> Iterator[ClinicServer]:
    """A server that keeps its data in `folder`. It runs until the block ends.

    Raises ValueError for settings that the plugin chooses itself, and NotStarted.
    """
    refused = sorted(name for name in settings if name.startswith(_FIXED))
    if refused:
        raise ValueError(
            f"clinic_server_settings must not set {', '.join(refused)}: the plugin needs values of its own"
        )
    secret = secrets.token_urlsafe(48)
    own = {"CLINIC_SESSION_SECRET": secret, "CLINIC_SQLITE_SYNCHRONOUS": "NORMAL"}
    with (
        running(folder, "serve", "--demo", settings={**own, **settings}) as url,
        closing(Snapshot(folder / Path(DEMO_DATABASE_URL).name)) as snapshot,
    ):
        token = partial(
            mint,
            secret,
            lifetime=_WEEK,
            issuer=settings.get("CLINIC_SESSION_ISSUER"),
            audience=settings.get("CLINIC_SESSION_AUDIENCE"),
        )
        callers = {who: DemoCaller(*who, token(who.id, service=False)) for who in _PEOPLE}
        service = DemoCaller(SERVICE, SERVICE, "", token(SERVICE, service=True))
        clinic = _read(f"{url}/v1/clinics/share_code/{SHARE_CODE}", service)
        patients = _read(f"{url}/v1/clinics/{clinic['id']}/patients?limit={_MOST_PATIENTS}", service)
        yield ClinicServer(
            url,
            admin=callers[ADMIN],
            member=callers[MEMBER],
            patient=callers[PATIENT],
            parent=callers[PARENT],
            outsider=callers[OUTSIDER],
            invited=callers[INVITED],
            offering=callers[OFFERING],
            service=service,
            clinic_id=clinic["id"],
            share_code=SHARE_CODE,
            tag_ids={tag["name"]: tag["id"] for tag in clinic["patientTags"]},
            site_ids={site["name"]: site["id"] for site in clinic["sites"]},
            patient_ids=tuple(patient["id"] for patient in patients["data"]),
            _restore=snapshot.restore,
        )


def _read(url: str, caller: DemoCaller) -> Any:
    status, body = get(url, caller.headers)
    if status != 200:
        raise RuntimeError(f"the demo clinic cannot be read: {status}")
    return body
