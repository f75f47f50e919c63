"""Restricted tokens: opaque ids, each of which gives access to the data of one user for a while.

`embedded.py` keeps them in this program's own database, `http.py` asks the platform's auth service, and `choice.py` picks
one. Import the implementations by their modules; this one holds what both have in common.
"""

from clinic_service.gateways.restricted_tokens.protocol import (
    RestrictedToken,
    RestrictedTokens,
    UnconfiguredRestrictedTokens,
    is_token_id,
)

__all__ = ["RestrictedToken", "RestrictedTokens", "UnconfiguredRestrictedTokens", "is_token_id"]
