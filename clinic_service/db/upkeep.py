"""What a database wants after a great deal of it has changed at once."""

from __future__ import annotations

from clinic_service.db.engine import revision_engine


def after_loading(url: str) -> None:
    """Let a server look at its tables, so that its planner knows how much there is; may take a minute."""
    engine = revision_engine(url)
    # SQLite needs it not: with statistics and without, the lists of patients cost it the same.
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
    engine.dispose()
