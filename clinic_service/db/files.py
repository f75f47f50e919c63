"""Where a database kept in a file lies."""

from __future__ import annotations

from pathlib import Path

from clinic_service.db.engine import normal_url
from clinic_service.db.sqlite import is_sqlite


def database_file(url: str) -> Path | None:
    """The file that holds the database at `url`; None when a server holds it. Raises ConfigError."""
    parsed = normal_url(url)
    return Path(parsed.database or "") if is_sqlite(parsed) else None
