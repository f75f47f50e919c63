"""The text that `clinic-service serve` prints at its start: the server's address, and how to call it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from clinic_service.cli.child import in_child
from clinic_service.cli.listening import address_of
from clinic_service.cli.opening import plain_errors
from clinic_service.config import Config


def introduction(config: Config, *, demo: bool, mix: bool) -> str:
    """The text for `serve` to print once the server listens.

    `demo` makes the demo clinic if it is not there; `mix` allows that in a database that holds real clinics. Raises
    ConfigError when there is no secret for tokens, click.ClickException when the demo clinic cannot be made.
    """
    address = address_of(config)
    first = f"clinic-service on {address}   API reference: {address}/docs"
    if config.session_jwks:
        return first
    from clinic_service.gateways.tokens import session_secret

    secret = session_secret(config)
    if demo:
        return f"{first}\n{_demo_introduction(config, secret, address, mix=mix)}"
    return (
        f"{first}\n"
        "A token of a service:  clinic-service token service NAME\n"
        "An account and a token of a person:  clinic-service users add --name 'Ada Lovelace' --email ada@example.org\n"
        "                                     clinic-service token user ID"
    )


def _demo_introduction(config: Config, secret: str, address: str, *, mix: bool) -> str:
    from clinic_service.demo.cast import ADMIN, MEMBER, PATIENT, SERVICE
    from clinic_service.gateways.tokens import mint

    with plain_errors():
        # In this process, the table that names are sorted by would take 12 MB until the server stops.
        clinic_id = in_child(partial(_demo_clinic, config, mix=mix))()
    day = timedelta(hours=24)
    tokens = {who.name: mint(secret, who.id, service=False, lifetime=day) for who in (ADMIN, MEMBER, PATIENT)}
    tokens[SERVICE] = mint(secret, SERVICE, service=True, lifetime=day)
    header = f"-H 'X-Tidepool-Session-Token: {tokens[ADMIN.name]}'"
    return "".join(f"\nToken of {name}, valid for 24 hours:\n{token}\n" for name, token in tokens.items()) + (
        f"\nThe demo clinic is {clinic_id}; {ADMIN.name} ({ADMIN.id}) is its admin, {MEMBER.name} ({MEMBER.id}) a member, "
        f"{PATIENT.name} ({PATIENT.id}) a patient.\n"
        f"Try this in another terminal:\n\ncurl -s {header} {address}/v1/clinics/{clinic_id}/patients/{PATIENT.id}\n"
    )


def _demo_clinic(config: Config, *, mix: bool) -> str:
    """The id of the demo clinic, which is made if it is not there."""
    from clinic_service.db.engine import open_database
    from clinic_service.demo.clinic import fill

    database = open_database(config)
    try:
        return fill(database, mix=mix)
    finally:
        database.dispose()
