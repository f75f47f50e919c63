"""Files of SQLite databases."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL

from clinic_service.db.engine import normal_url
from clinic_service.db.sqlite import is_sqlite


def database_file(url: str) -> Path | None:
    """The file of the database at `url`; None for a database on a server. Raises ConfigError."""
    parsed = normal_url(url)
    return Path(parsed.database or "") if is_sqlite(parsed) else None


def database_name(url: str) -> str:
    """The name of the database at `url`, a database on a server. Raises ConfigError."""
    return normal_url(url).database or ""


def file_url(file: Path) -> URL:
    """The URL of the SQLite database in `file`."""
    return URL.create("sqlite", database=str(file))
