"""The accounts and profiles services of the platform, reached over HTTP in the name of this server."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import orjson

from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.accounts.profiles import profile_from_document
from clinic_service.gateways.accounts.protocol import Account, AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.user_ids import is_user_id

SESSION_HEADER = "x-tidepool-session-token"
_NO_SUCH_USER = (404, 204)
_AT_A_TIME = 8
_REMOVED = (200, 202, 204, 404, 410)
# The service makes up an address for accounts that have none. It is nobody's, so nobody gets to see it.
_MADE_UP_ADDRESS = "unclaimed-custodial-automation+"


class HttpAccounts:
    """The directory of another system. Safe to share between threads."""

    def __init__(self, config: Config, *, seconds: float = http.DEFAULT_SECONDS) -> None:
        """`seconds`: the time for one call. Raises ConfigError for an address that cannot be called."""
        self._accounts = _base(config.accounts_url, "CLINIC_ACCOUNTS_URL")
        self._profiles = _base(config.profiles_url, "CLINIC_PROFILES_URL")
        self._login = _ServerLogin(
            self._accounts, config.accounts_server_name or "", config.accounts_server_secret or "", seconds
        )
        self._seconds = seconds

    def find_account(self, user_id: str) -> Account | None:
        account = self._find(user_id)
        if account is not None and account.user_id != user_id:
            raise BadGateway
        return account

    def find_by_email(self, email: str) -> Account | None:
        return self._find(email.lower())

    def find_profile(self, user_id: str) -> Profile:
        reply = self._call("GET", f"{self._profiles}/{quote(user_id, safe='')}/profile")
        if reply.status in _NO_SUCH_USER:
            return Profile()
        return profile_from_document(_expect(reply, 200).json_object())

    def find_profiles(self, user_ids: Collection[str]) -> dict[str, Profile]:
        # The other side has no question for several users, so several are asked about at a time.
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return dict(zip(user_ids, pool.map(self.find_profile, user_ids), strict=True))

    def choose_user_id(self) -> None:
        return None

    def create_custodial(self, clinic_id: str, email: str | None, user_id: str | None = None) -> Account:  # noqa: ARG002
        url = f"{self._accounts}/v1/clinics/{quote(clinic_id, safe='')}/users"
        reply = self._call("POST", url, {"username": email.lower(), "emails": [email.lower()]} if email else {})
        if reply.status == 409:
            raise EmailTaken
        return _account(_expect(reply, 201).json_object())

    def update_custodial_email(self, user_id: str, email: str | None) -> None:
        updates = {"username": email.lower(), "emails": [email.lower()]} if email else {"emails": []}
        reply = self._call("PUT", self._user_url(user_id), {"updates": updates})
        if reply.status == 409:
            raise EmailTaken
        if reply.status in _NO_SUCH_USER:
            raise AccountNotFound
        _expect(reply, 200)

    def remove(self, user_id: str) -> None:
        _expect(self._call("DELETE", self._user_url(user_id)), *_REMOVED)

    def _find(self, id_or_email: str) -> Account | None:
        reply = self._call("GET", self._user_url(id_or_email))
        return None if reply.status in _NO_SUCH_USER else _account(_expect(reply, 200).json_object())

    def _user_url(self, id_or_email: str) -> str:
        return f"{self._accounts}/user/{quote(id_or_email, safe='')}"

    def _call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> http.Reply:
        """One call in this server's name; a token that is no longer accepted is renewed once."""
        token = self._login.token()
        reply = self._send(method, url, token, body)
        if reply.status == 401:
            reply = self._send(method, url, self._login.renewed(token), body)
        return reply

    def _send(self, method: str, url: str, token: str, body: Mapping[str, Any] | None) -> http.Reply:
        headers = {SESSION_HEADER: token, "accept": "application/json"}
        if body is None:
            return _exchange_twice(method, url, headers, self._seconds)
        headers["content-type"] = "application/json"
        return http.exchange(method, url, headers=headers, body=orjson.dumps(body), seconds=self._seconds)


class _ServerLogin:
    """The token this server calls with: fetched when first needed and kept until it is refused."""

    def __init__(self, accounts_url: str, name: str, secret: str, seconds: float) -> None:
        self._url = f"{accounts_url}/serverlogin"
        self._headers = {"x-tidepool-server-name": name, "x-tidepool-server-secret": secret}
        self._seconds = seconds
        self._token: str | None = None
        self._lock = threading.Lock()

    def token(self) -> str:
        """Raises BadGateway when the log-in is refused, Unavailable when it cannot be made."""
        return self.renewed(None)

    def renewed(self, refused: str | None) -> str:
        """A token other than `refused`; only the first of several threads that hold the same one logs in again."""
        with self._lock:
            if self._token is None or self._token == refused:
                self._token = None
                self._token = self._log_in()
            return self._token

    def _log_in(self) -> str:
        reply = _exchange_twice("POST", self._url, self._headers, self._seconds)
        token = _expect(reply, 200).headers.get(SESSION_HEADER)
        if not token:
            raise BadGateway
        return token


def _exchange_twice(method: str, url: str, headers: Mapping[str, str], seconds: float) -> http.Reply:
    """A call that may be repeated without harm; it is, once, when the other side fails or gives no answer."""
    try:
        reply = http.exchange(method, url, headers=headers, seconds=seconds)
    except http.ServiceUnreachable:
        return http.exchange(method, url, headers=headers, seconds=seconds)
    return reply if reply.status < 500 else http.exchange(method, url, headers=headers, seconds=seconds)


def _expect(reply: http.Reply, *statuses: int) -> http.Reply:
    if reply.status not in statuses:
        raise BadGateway
    return reply


def _account(document: Mapping[str, Any]) -> Account:
    """The account that `document` describes. Raises BadGateway when it describes none."""
    user_id, username = document.get("userid"), document.get("username") or ""
    if not isinstance(user_id, str) or not is_user_id(user_id) or not isinstance(username, str):
        raise BadGateway
    return Account(
        user_id=user_id,
        username="" if _is_made_up(username) else username.lower(),
        emails=tuple(email.lower() for email in _texts(document, "emails") if not _is_made_up(email)),
        roles=tuple(_texts(document, "roles")),
    )


def _texts(document: Mapping[str, Any], name: str) -> list[str]:
    values = document.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadGateway
    return values


def _is_made_up(address: str) -> bool:
    return address.lower().startswith(_MADE_UP_ADDRESS)


def _base(url: str | None, name: str) -> str:
    if not url or not http.is_http_url(url):
        raise ConfigError(f"{name} must be an http(s) URL.")
    return url.rstrip("/")
