"""The file of an SQLite database."""

from __future__ import annotations

from pathlib import Path

from clinic_service.db.engine import normal_url
from clinic_service.db.sqlite import is_sqlite


def database_file(url: str) -> Path | None:
    """The file of the database at `url`; None for a database on a server. Raises ConfigError."""
    parsed = normal_url(url)
    return Path(parsed.database or "") if is_sqlite(parsed) else None
