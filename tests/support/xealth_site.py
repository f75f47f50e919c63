"""A server for which Xealth is switched on, the systems that it calls, and what Xealth sends to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.gateways.restricted_tokens import RestrictedTokens
from clinic_service.gateways.restricted_tokens.choice import chosen_restricted_tokens
from clinic_service.gateways.restricted_tokens.http import HttpRestrictedTokens
from clinic_service.gateways.server_token import chosen_server_token
from clinic_service.gateways.xealth import HttpXealth
from clinic_service.models import XEALTH_REPORTS, Clinic, EhrProvider, Patient
from clinic_service.resources.ehr.subscriptions import MatchedDocument, update_subscription
from clinic_service.unit_of_work import UnitOfWork
from tests.conftest import SECRET
from tests.support.auth_service import AuthService, auth_service
from tests.support.cast import Somebody
from tests.support.client import Client, Reply
from tests.support.errors import spec_apis
from tests.support.platform import Platform, platform
from tests.support.relays import make_relay
from tests.support.rows import make_patient, make_staffed_clinic
from tests.support.xealth_server import BEARER, XealthServer, xealth_server

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
# Late in the evening, so that the day is another one elsewhere.
ENROLLED = datetime(2026, 2, 11, 23, 30, tzinfo=UTC)
DEPLOYMENT, PROGRAM, ORDER_ID, TRACKING_ID = "harbour-prod", "tidepool-reports", "XO-58213", "0b7c1c5e-3f0a-4d6e"
MRN, BIRTH_DATE, CHILD_BIRTH_DATE = "MRN-20417", "1987-04-12", "2016-08-30"
EMAIL = "carol@mail.example"
AUTHORIZED = {"Authorization": f"Bearer {BEARER}"}
# Long enough for a machine that is busy, and short enough to wait for.
SECONDS = 2.0


class XealthSite(NamedTuple):
    """The server and its database, and what it calls: Xealth always, the others where it has no embedded ones."""

    api: Client
    database: Database
    config: Config
    xealth: XealthServer
    platform: Platform | None
    auth: AuthService | None

    def reset(self) -> None:
        """Let the systems that it calls be as they were at first."""
        self.xealth.reset()
        if self.platform:
            self.platform.forget()
        if self.auth:
            self.auth.reset()

    def preorder(self, body: Any, **rest: Any) -> Reply:
        return self.api.post("/v1/xealth/preorder", **_sent(body, rest))

    def notify(self, body: Any, **rest: Any) -> Reply:
        return self.api.post("/v1/xealth/notification", **_sent(body, rest))

    def programs(self, body: Any, **rest: Any) -> Reply:
        return self.api.put("/v1/xealth/programs", **_sent(body, rest))

    def program_url(self, body: Any, **rest: Any) -> Reply:
        return self.api.put("/v1/xealth/program", **_sent(body, rest))

    def deliver(self) -> int:
        """Let the relay come by; tells how much it delivered."""
        return make_relay(self.database, self.config, None, _accounts(self.config, self.database)).deliver_due()


def _sent(body: Any, rest: dict[str, Any]) -> dict[str, Any]:
    return {"json": body, "headers": AUTHORIZED} | rest


@contextmanager
def xealth_site(database: Database, *, hosted: bool = False, **settings: Any) -> Iterator[XealthSite]:
    """The server on `database`; `hosted`: with the accounts and the auth service of a platform."""
    with ExitStack() as stack:
        xealth = stack.enter_context(xealth_server())
        there = stack.enter_context(platform()) if hosted else None
        auth = stack.enter_context(auth_service()) if hosted else None
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        url = database.url.render_as_string(hide_password=False)
        known = {"database_url": url, "session_secret": SECRET} | (auth.settings if auth else {}) | settings
        if there:
            known |= {"accounts_url": there.server.url, "profiles_url": f"{there.server.url}/metadata"}
        config = xealth.config(**known)
        # Nobody waits ten seconds for a test.
        patch.setattr("clinic_service.app.chosen_xealth", lambda config: HttpXealth(config, seconds=SECONDS))
        patch.setattr("clinic_service.app.chosen_accounts", _accounts)
        patch.setattr("clinic_service.app.chosen_restricted_tokens", _tokens)
        api = Client(create_app(config, database, apis=spec_apis()), SECRET)
        yield XealthSite(api, database, config, xealth, there, auth)


def _accounts(config: Config, database: Database) -> Accounts:
    return HttpAccounts(config, seconds=SECONDS) if config.accounts_url else chosen_accounts(config, database)


def _tokens(config: Config, database: Database) -> RestrictedTokens:
    if config.auth_client_address:
        return HttpRestrictedTokens(config, chosen_server_token(config), seconds=SECONDS)
    return chosen_restricted_tokens(config, database)


def ehr_columns(**values: Any) -> dict[str, Any]:
    """The columns of a clinic that is enabled for orders of Xealth."""
    settings: dict[str, Any] = {
        "enabled": True,
        "provider": "xealth",
        "sourceId": DEPLOYMENT,
        "mrnIdType": "MRN",
        "procedureCodes": {"createAccountAndEnableReports": PROGRAM},
        "scheduledReports": {"onUploadEnabled": False, "cadence": "14d"},
        "flowsheets": {"icode": False},
    } | values
    return {
        "ehr_provider": EhrProvider(settings["provider"]),
        "ehr_source_id": settings["sourceId"],
        "ehr_enabled": settings["enabled"],
        "ehr_settings": settings,
    }


def make_xealth_clinic(unit: UnitOfWork, *, ehr: Mapping[str, Any] | None = None, **values: Any) -> Clinic:
    """A staffed clinic that is enabled for orders of Xealth; `ehr` are members of its settings."""
    return make_staffed_clinic(unit, **ehr_columns(**ehr or {}) | values)


def make_enrolled_patient(unit: UnitOfWork, clinic: Clinic, person: Somebody, **values: Any) -> Patient:
    """A patient of the clinic with an active subscription that rests on an order of 11 February."""
    known = {"mrn": MRN, "birth_date": BIRTH_DATE}
    patient = make_patient(unit, clinic, person, **known | values)
    order_id = unit.xealth_orders.add_order(
        clinic_id=clinic.id,
        deployment=DEPLOYMENT,
        order_id=ORDER_ID,
        program_id=PROGRAM,
        partner_id=None,
        event_id="7d0b6a8e",
        event_type="order",
        event_context="new",
        event_time=ENROLLED,
        event_text="{}",
        order_text="{}",
        applied_time=ENROLLED,
    )
    update_subscription(unit, patient, XEALTH_REPORTS, MatchedDocument(order_id, "order", "new"), active=True)
    return patient


def about(
    *,
    mrn: str = MRN,
    birth_date: str = BIRTH_DATE,
    given: list[str] | None = None,
    family: list[str] | None = None,
    email: str | None = EMAIL,
) -> dict[str, Any]:
    """The patient's part of a request or of an order."""
    name = {"given": ["Carol"] if given is None else given, "family": ["Cooper"] if family is None else family}
    ways = [{"system": "phone", "value": "555-0100"}]
    ways += [{"system": "email", "value": email}, {"system": "email", "value": "second@mail.example"}] if email else []
    ids = [{"id": "E-77", "type": "EPI", "origin": "epic"}, {"id": mrn, "type": "mrn", "origin": "epic"}]
    return {
        "patientIdentity": {"ids": ids, "historicalIds": [{"id": "OLD-1", "type": "MRN"}]},
        "datasets": {"demographicsV1": {"name": name, "birthDate": birth_date, "telecom": ways}},
    }


def asking(*, user: str | None = "E10422", **patient: Any) -> dict[str, Any]:
    """A request for the programs of a patient, in the name of a user of the health record system."""
    body = {"deployment": DEPLOYMENT, **about(**patient)}
    if user:
        body["datasets"]["ehrUserV1"] = {"userId": user, "systemLogin": "bbaker"}
    return body


def preorder(context: str = "initial", **patient: Any) -> dict[str, Any]:
    """A preorder; one that brings an input has `formData` added by `with_input`."""
    return {"eventType": "preorder", "eventContext": context, "deployment": DEPLOYMENT, **about(**patient)}


def with_input(user_input: Any, *, tracking_id: str = TRACKING_ID, **patient: Any) -> dict[str, Any]:
    """A preorder that brings what was entered into its form."""
    form_data = {"dataTrackingId": tracking_id, "formId": "patient_enrollment_form", "userInput": user_input}
    return preorder("subsequent", **patient) | {"formData": form_data}


def event(context: str = "new", **members: Any) -> dict[str, Any]:
    """The event of an order."""
    made = {
        "eventId": "7d0b6a8e",
        "eventTimeStamp": "2026-03-02T09:29:00.000Z",
        "eventType": "order",
        "eventContext": context,
        "orderId": ORDER_ID,
        "deployment": DEPLOYMENT,
        "partnerId": "tidepool",
        "programId": PROGRAM,
        "patientIdentity": {},
    }
    return made | members


def order(*, tracking_id: str | None = TRACKING_ID, info: Mapping[str, Any] | None = None, **patient: Any) -> Any:
    """An order as Xealth tells it when it is read."""
    made: dict[str, Any] = {
        "orderInfo": {"orderId": ORDER_ID, "deployment": DEPLOYMENT, "orderState": "active"} | dict(info or {}),
        "preorder": {"dataTrackingId": tracking_id},
        **about(**patient),
    }
    if tracking_id is None:
        del made["preorder"]
    return made
