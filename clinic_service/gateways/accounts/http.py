"""The directory of accounts in the accounts and profiles services of the platform, called with a token of this server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from urllib.parse import quote

import orjson

from clinic_service.config import Config, ConfigError
from clinic_service.errors import BadGateway
from clinic_service.gateways import http
from clinic_service.gateways.accounts.documents import account_from_document, profile_from_document
from clinic_service.gateways.accounts.protocol import Account, AccountNotFound, EmailTaken, Profile
from clinic_service.gateways.server_token import SESSION_HEADER, server_login

_NO_SUCH_USER = (404, 204)
_AT_A_TIME = 8
_REMOVED = (200, 202, 204, 404, 410)


class HttpAccounts:
    """The directory of the platform. Safe to share between threads."""

    def __init__(self, config: Config, *, seconds: float = http.DEFAULT_SECONDS) -> None:
        """`seconds`: the timeout of one call. Raises ConfigError for an invalid address."""
        self._accounts = http.RemoteService(_base(config.accounts_url, "CLINIC_ACCOUNTS_URL"), seconds=seconds)
        self._profiles = http.RemoteService(_base(config.profiles_url, "CLINIC_PROFILES_URL"), seconds=seconds)
        self._login = server_login(config, self._accounts)

    def find_account(self, user_id: str) -> Account | None:
        account = self._find(user_id)
        if account is not None and account.user_id != user_id:
            raise BadGateway
        return account

    def find_by_email(self, email: str) -> Account | None:
        return self._find(email.lower())

    def find_profile(self, user_id: str) -> Profile:
        reply = self._call(self._profiles, "GET", f"/{quote(user_id, safe='')}/profile")
        if reply.status in _NO_SUCH_USER:
            return Profile()
        return profile_from_document(reply.require(200).json_object())

    def find_profiles(self, user_ids: Collection[str]) -> dict[str, Profile]:
        # The service has no call for several users, so several calls are made at a time.
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            # Each call runs in a copy of the context, which contains the deadline.
            contexts = [copy_context() for _ in user_ids]
            profiles = pool.map(lambda context, user_id: context.run(self.find_profile, user_id), contexts, user_ids)
            return dict(zip(user_ids, profiles, strict=True))

    def choose_user_id(self) -> None:
        return None

    def create_custodial(self, clinic_id: str, email: str | None, user_id: str | None = None) -> Account:  # noqa: ARG002
        path = f"/v1/clinics/{quote(clinic_id, safe='')}/users"
        addresses = {"username": email.lower(), "emails": [email.lower()]} if email else {}
        reply = self._call(self._accounts, "POST", path, addresses)
        if reply.status == 409:
            raise EmailTaken
        return account_from_document(reply.require(201).json_object())

    def update_custodial_email(self, user_id: str, email: str | None) -> None:
        updates = {"username": email.lower(), "emails": [email.lower()]} if email else {"emails": []}
        reply = self._call(self._accounts, "PUT", _user_path(user_id), {"updates": updates})
        if reply.status == 409:
            raise EmailTaken
        if reply.status in _NO_SUCH_USER:
            raise AccountNotFound
        reply.require(200)

    def remove(self, user_id: str) -> None:
        self._call(self._accounts, "DELETE", _user_path(user_id)).require(*_REMOVED)

    def _find(self, id_or_email: str) -> Account | None:
        reply = self._call(self._accounts, "GET", _user_path(id_or_email))
        return None if reply.status in _NO_SUCH_USER else account_from_document(reply.require(200).json_object())

    def _call(
        self, service: http.RemoteService, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> http.Reply:
        """One call in the name of this server."""
        return self._login.call(lambda token: _send(service, method, path, token, body))


def _send(
    service: http.RemoteService, method: str, path: str, token: str, body: Mapping[str, Any] | None
) -> http.Reply:
    headers = {SESSION_HEADER: token, "accept": "application/json"}
    if body is not None:
        headers["content-type"] = "application/json"
        return service.exchange(method, path, headers=headers, body=orjson.dumps(body))
    return service.exchange_twice(method, path, headers=headers)


def _user_path(id_or_email: str) -> str:
    return f"/user/{quote(id_or_email, safe='')}"


def _base(url: str | None, name: str) -> str:
    if not url or not http.is_http_url(url):
        raise ConfigError(f"{name} must be an http(s) URL.")
    return url.rstrip("/")
