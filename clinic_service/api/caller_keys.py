"""Keys that identify callers, for counting their requests and for distributing the threads among them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from clinic_service.auth.caller import Caller
from clinic_service.gateways.tokens import TOKEN_HEADER, TokenVerifier


def key_of(caller: Caller) -> str:
    """The key of an identified caller: a person, a service or a partner."""
    return f"{caller.kind}:{caller.id}"


class CallerKeys:
    """Gives a key to every request, before its token is checked."""

    def __init__(self, tokens: TokenVerifier, proxies: int) -> None:
        """`proxies`: see `client_address`."""
        self._tokens, self._proxies = tokens, proxies

    def __call__(self, environ: Mapping[str, Any]) -> str:
        """The key of the sender: of the caller if the token was checked before, else of the address."""
        token = environ.get(TOKEN_HEADER)
        caller = self._tokens.last_caller(token) if token else None
        return key_of(caller) if caller else client_address(environ, self._proxies)


def client_address(environ: Mapping[str, Any], proxies: int) -> str:
    """The address from which a request came, as a key: an IPv4 address, an IPv6 network or `unknown`.

    Each of the `proxies` before the server has added the address of its own client to the end of `X-Forwarded-For`. What
    is left of those was written by the client, so it is not used. Of IPv6, the /64 network is the key, since every host
    has that many addresses.
    """
    peer = str(environ.get("REMOTE_ADDR", ""))
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    named = forwarded[-proxies].strip() if 0 < proxies <= len(forwarded) else peer
    return _network(named) or _network(peer) or "unknown"


def _network(text: str) -> str | None:
    """The network of the address `text`; None when it is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((address, 64), strict=False))
