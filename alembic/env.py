"""How revisions run: the connection, the lock, and the transactions.

One process at a time, the others wait and then find nothing left to do. On PostgreSQL each revision is a transaction
of its own, so that its locks end with it; on SQLite and behind a transaction pooler all of them are one, because that
transaction is, or keeps, the lock.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from alembic import context
from sqlalchemy import Connection, inspect, text

from clinic_service.config import Config
from clinic_service.db.dialects import is_one_transaction, revision_lock
from clinic_service.db.distribution import place_new_tables
from clinic_service.db.engine import revision_engine
from clinic_service.db.schema import COMPATIBILITY
from clinic_service.models import Base


def run(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    with revision_lock(connection):
        known = set(table_names(connection))

        def finish_revision(ctx: Any, step: object, heads: Collection[str], run_args: object) -> None:  # noqa: ARG001
            note_oldest_program(ctx, heads)
            # The next revision may fill a table that this one has created.
            place_new_tables(ctx.connection, Base.metadata, known)
            known.update(table_names(ctx.connection))

        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=is_sqlite,
            transactional_ddl=True,
            transaction_per_migration=not is_one_transaction(connection),
            on_version_apply=finish_revision,
        )
        with context.begin_transaction():
            context.run_migrations()
            if is_sqlite:
                check_references(connection)
        connection.commit()


def table_names(connection: Connection) -> Collection[str]:
    # A new inspector each time, because it remembers what it has found.
    return inspect(connection).get_table_names()


def check_references(connection: Connection) -> None:
    """Foreign keys are off while tables are rebuilt. Raises RuntimeError, which undoes all, if one leads nowhere."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise RuntimeError(f"A row of {broken[0]} refers to a row of {broken[2]} that does not exist.")


def note_oldest_program(ctx: Any, heads: Collection[str]) -> None:
    """Store the newest `oldest_program` of the revisions that are applied."""
    scripts = ctx.opts["script"]
    applied = (script for head in heads for script in scripts.walk_revisions("base", head))
    oldest = max((getattr(script.module, "oldest_program", "") for script in applied), default="")
    name = COMPATIBILITY.name
    if oldest:
        ctx.connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} (oldest_program VARCHAR(32) NOT NULL)"))
    if ctx.connection.dialect.has_table(ctx.connection, name):
        ctx.connection.execute(COMPATIBILITY.delete())
        if oldest:
            ctx.connection.execute(COMPATIBILITY.insert().values(oldest_program=oldest))


def run_with_own_connection() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url")
    engine = revision_engine(url or Config.load().database_url)
    try:
        with engine.connect() as connection:
            run(connection)
    finally:
        engine.dispose()


if context.is_offline_mode():
    raise RuntimeError("Revisions ask the database which engine it is, so there is no SQL to print without one.")

given: Connection | None = context.config.attributes.get("connection")
if given is None:
    run_with_own_connection()
else:
    run(given)
