"""What a database wants after a great deal of it has changed at once."""

from __future__ import annotations

from clinic_service.db.engine import revision_engine


def after_loading(url: str) -> None:
    """Let the database look at its tables, so that its planner knows how much there is; may take a minute."""
    engine = revision_engine(url)
    # SQLite's planner goes by the shape of the indexes, and what it would learn of one clinic misleads it in another.
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
    engine.dispose()
