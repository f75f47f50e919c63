"""Restricted tokens: opaque ids that give access to the data of one user for a limited time.

`embedded.py` stores them in this program's database, `http.py` uses the platform's auth service, and `choice.py` chooses
one of them. Import the implementations from their modules; this package exports what both have in common.
"""

from clinic_service.gateways.restricted_tokens.protocol import (
    IssuedRestrictedToken,
    RestrictedTokens,
    UnconfiguredRestrictedTokens,
    is_token_id,
)

__all__ = ["IssuedRestrictedToken", "RestrictedTokens", "UnconfiguredRestrictedTokens", "is_token_id"]
