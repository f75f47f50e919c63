"""The share codes of clinics, for example `HRBR-2Q7K-M9XD`."""

from __future__ import annotations

import secrets

# Without I, O, 0 and 1, which people confuse.
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS, _GROUP_LENGTH = 3, 4


def draw_share_code() -> str:
    """A random share code. A share code is enough to find its clinic, so it must not be predictable."""
    return "-".join(_draw_group() for _ in range(_GROUPS))


def _draw_group() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(_GROUP_LENGTH))
