"""When two medical record numbers are the same."""

from __future__ import annotations

from clinic_service.models.sort_keys import folded


def mrn_key(mrn: str | None) -> str | None:
    """The form in which medical record numbers are compared; None for a blank one, which is none.

    Letter case and space around the number do not count, nor does how an accented letter is composed; accents count.
    """
    return folded(mrn or "").strip() or None
