"""What a database needs after a great deal of data was loaded into it."""

from __future__ import annotations

from clinic_service.db.engine import revision_engine


def after_loading(url: str) -> None:
    """Let a server look at its tables, so that its planner knows how much there is; may take a minute."""
    engine = revision_engine(url)
    # SQLite does not need it: lists of patients cost the same with statistics and without.
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
    engine.dispose()
