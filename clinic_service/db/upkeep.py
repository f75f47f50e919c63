"""What a database wants after a great deal of it has changed, at once or little by little."""

from __future__ import annotations

from sqlalchemy import Connection, text

from clinic_service.db.base import COUNTED_IN_INDEXES
from clinic_service.db.engine import revision_engine


def after_loading(url: str) -> None:
    """Let a server look at its tables, so that its planner knows how much there is; may take a minute."""
    engine = revision_engine(url)
    # SQLite does not need it: lists of patients cost the same with statistics and without.
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
    engine.dispose()


def clean_up(connection: Connection, table: str, *, often: bool) -> None:
    """Say how soon a server cleans up behind changes: `often` for a table whose rows are counted in its indexes alone."""
    if connection.dialect.name == "postgresql":
        values = ", ".join(f"{name} = {value}" for name, value in COUNTED_IN_INDEXES.items())
        change = f"SET ({values})" if often else f"RESET ({', '.join(COUNTED_IN_INDEXES)})"
        connection.execute(text(f"ALTER TABLE {table} {change}"))
