"""The state of the schema: which revision the database is at, which one the code needs, and the way there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Connection, column, inspect, select, table

from clinic_service.db.engine import Database, revision_engine
from clinic_service.db.failures import DatabaseUnusable, explained
from clinic_service.db.files import database_file
from clinic_service.packaged import revisions_folder

# Where Alembic notes the revision.
_VERSIONS = table("alembic_version", column("version_num"))
# Made by the first revision.
_FIRST_TABLE = "clinics"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to `revision`. Waits while another process does the same; does nothing if it is there.

    Raises ConfigError for an unsuitable URL, DatabaseUnusable for a database that cannot be used or is another program's.
    """
    found = current(url)
    if revision != "head" or not suffices(found):
        _run(url, "upgrade", revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision`; `base` empties it."""
    _run(url, "downgrade", revision)


def current(url: str) -> str | None:
    """The revision the database is at; None for an empty one.

    Raises DatabaseUnusable when it cannot be used or is another program's.
    """
    file = database_file(url)
    # Connecting would make one.
    if file is not None and not file.exists() and file.parent.is_dir():
        return None
    with _connected(url) as connection:
        _require_own(connection)
        return _revision_of(connection)


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


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    database = Database(url, pool_size=1)
    try:
        with explained(database.url), database.read_engine.connect() as connection:
            yield connection
    finally:
        database.dispose()


def _require_own(connection: Connection) -> None:
    """Raise DatabaseUnusable when the tables of the database are those of another program."""
    tables = set(inspect(connection).get_table_names())
    revisions = _revisions_of(connection) if _VERSIONS.name in tables else []
    is_empty = revisions == [] and tables <= {_VERSIONS.name}
    is_own = revisions is not None and [each.isdecimal() for each in revisions] == [True] and _FIRST_TABLE in tables
    if not (is_empty or is_own):
        others = ", ".join(sorted(tables - {_VERSIONS.name})[:3])
        raise DatabaseUnusable(
            f"The database holds the tables of another program ({others or _VERSIONS.name}). "
            "Name an empty database in the database URL."
        )


def _revisions_of(connection: Connection) -> list[str] | None:
    """What the table of revisions lists; None when it is not Alembic's."""
    if [each["name"] for each in inspect(connection).get_columns(_VERSIONS.name)] != ["version_num"]:
        return None
    return list(connection.execute(select(_VERSIONS.c.version_num)).scalars())


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
        with explained(engine.url), engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, step)(config, revision)
    finally:
        engine.dispose()
