"""Membership restrictions: rules about the address that a person signs in with and the session's identity provider."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from clinic_service.models.sort_keys import folded


class Restriction(NamedTuple):
    """One alternative: an address of this domain and, if given, a session of this identity provider."""

    email_domain: str
    required_idp: str | None


class Verdict(NamedTuple):
    """Whether a person may accept; if not, the identity provider with which they may, or None."""

    can_accept: bool
    required_idp: str | None = None


def judge(restrictions: Iterable[Restriction], email: str, identity_provider: str | None) -> Verdict:
    """Whether the person meets at least one restriction. Without restrictions everybody is admitted."""
    restrictions = list(restrictions)
    domain = folded(email.rpartition("@")[2])
    required = [(entry.required_idp or "") for entry in restrictions if domain and folded(entry.email_domain) == domain]
    present = folded(identity_provider or "")
    if not restrictions or any(not idp or folded(idp) == present for idp in required):
        return Verdict(can_accept=True)
    return Verdict(can_accept=False, required_idp=required[0] if required else None)
