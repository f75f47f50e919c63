"""The state of the schema: which revision the database is at, which one the code needs, and the way there."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, column, inspect, select, table

from clinic_service.db.engine import revision_engine
from clinic_service.packaged import revisions_folder

# Where Alembic notes the revision.
_VERSIONS = table("alembic_version", column("version_num"))


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to `revision`. Waits while another process does the same; does nothing if it is there.

    Raises ConfigError for an unsuitable URL, and what the database raises.
    """
    _run(url, "upgrade", revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision`; `base` empties it."""
    _run(url, "downgrade", revision)


def current(url: str) -> str | None:
    """The revision the database is at; None for an empty one."""
    engine = revision_engine(url)
    try:
        with engine.connect() as connection:
            return _revision_of(connection)
    finally:
        engine.dispose()


@cache
def head() -> str:
    """The latest revision that this code knows."""
    return (revisions_folder() / "HEAD").read_text(encoding="utf-8").strip()


def is_current(connection: Connection) -> bool:
    """Whether the schema has everything that this code needs."""
    return suffices(_revision_of(connection))


def suffices(revision: str | None) -> bool:
    """Whether a database at `revision` has everything that this code needs.

    A later revision will do: each is compatible with the release before, which goes on running while its successor,
    having upgraded the database, starts. One that is no number is that of another program.
    """
    return revision is not None and revision.isdecimal() and int(revision) >= int(head())


def _revision_of(connection: Connection) -> str | None:
    # Asked at every start and by every look at `/ready`; Alembic itself is slow to import and only needed to change things.
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(select(_VERSIONS.c.version_num)).scalar()


def _run(url: str, step: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    engine = revision_engine(url)
    config = Config()
    # The percent sign would start a variable of the configuration's own.
    config.set_main_option("script_location", str(revisions_folder()).replace("%", "%%"))
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, step)(config, revision)
    finally:
        engine.dispose()
