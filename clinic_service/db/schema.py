"""The state of the schema: which revision the database has, which one the code needs, and how to get there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Connection, column, inspect, select, table

from clinic_service.db.engine import Database, revision_engine
from clinic_service.db.failures import DatabaseUnusable, explained
from clinic_service.db.files import database_file
from clinic_service.packaged import revisions_folder

# The table in which Alembic stores the revision.
VERSIONS = table("alembic_version", column("version_num"))
# Beside Alembic's table, once a revision makes older programs unfit: the newest revision that a program must know so that
# it leaves nothing wrong in the tables, such as a projection that it does not write. `alembic/env.py` writes it.
COMPATIBILITY = table("schema_compatibility", column("oldest_program"))
BOOKKEEPING = frozenset({VERSIONS.name, COMPATIBILITY.name})
# A table that the first revision creates.
_FIRST_TABLE = "clinics"


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade the database to `revision`. Waits while another process does the same; does nothing if nothing is to be done.

    Raises ConfigError for an unsuitable URL, DatabaseUnusable for a database that cannot be used or belongs to another
    program.
    """
    if revision != "head" or not is_usable(url):
        _run(url, "upgrade", revision)


def downgrade(url: str, revision: str) -> None:
    """Downgrade the database to `revision`; `base` drops all tables."""
    _run(url, "downgrade", revision)


def current(url: str) -> str | None:
    """The revision of the database; None for an empty one.

    Raises DatabaseUnusable for a database that cannot be used or belongs to another program.
    """
    with _existing(url) as connection:
        return revision_of(connection) if connection else None


def is_usable(url: str) -> bool:
    """Whether the database has everything that this code needs.

    Raises DatabaseUnusable for a database that cannot be used, belongs to another program, or needs a newer version of
    this one.
    """
    with _existing(url) as connection:
        if connection is None:
            return False
        if needs_newer_program(connection):
            raise DatabaseUnusable(
                f"The database is at revision {revision_of(connection)}, and this program, which knows the revisions up to "
                f"{head()}, would leave some of its tables incomplete. Use the program that upgraded it."
            )
        return is_current(connection)


@cache
def head() -> str:
    """The latest revision that this code knows."""
    return (revisions_folder() / "HEAD").read_text(encoding="utf-8").strip()


def is_current(connection: Connection) -> bool:
    """Whether the schema has everything that this code needs."""
    return suffices(revision_of(connection))


def needs_newer_program(connection: Connection) -> bool:
    """Whether this code would leave something wrong in the tables, because it does not know what they need."""
    if not inspect(connection).has_table(COMPATIBILITY.name):
        return False
    oldest = connection.execute(select(COMPATIBILITY.c.oldest_program)).scalar()
    return oldest is not None and int(oldest) > int(head())


def suffices(revision: str | None) -> bool:
    """Whether a database at `revision` has everything that this code needs.

    A later revision is sufficient as well: each revision is compatible with the previous release, whose processes still run
    when the next release upgrades the database. `needs_newer_program` tells of one that is not. A revision that is not a
    number belongs to another program.
    """
    return revision is not None and revision.isdecimal() and int(revision) >= int(head())


@contextmanager
def _existing(url: str) -> Iterator[Connection | None]:
    """A connection to the database, which is this program's own or empty; None when there is no file of SQLite."""
    file = database_file(url)
    # Connecting would create the file.
    if file is not None and not file.exists() and file.parent.is_dir():
        yield None
        return
    with _connected(url) as connection:
        _require_own(connection)
        yield connection


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    database = Database(url, pool_size=1)
    try:
        with explained(database.url), database.read_engine.connect() as connection:
            yield connection
    finally:
        database.dispose()


def _require_own(connection: Connection) -> None:
    """Raise DatabaseUnusable when the tables of the database belong to another program."""
    tables = set(inspect(connection).get_table_names())
    revisions = _revisions_of(connection) if VERSIONS.name in tables else []
    is_empty = revisions == [] and tables <= BOOKKEEPING
    is_own = revisions is not None and [each.isdecimal() for each in revisions] == [True] and _FIRST_TABLE in tables
    if not (is_empty or is_own):
        others = ", ".join(sorted(tables - BOOKKEEPING)[:3])
        raise DatabaseUnusable(
            f"The database holds the tables of another program ({others or VERSIONS.name}). "
            "Name an empty database in the database URL."
        )


def _revisions_of(connection: Connection) -> list[str] | None:
    """The revisions in the table of that name; None when it is not a table of Alembic."""
    if [each["name"] for each in inspect(connection).get_columns(VERSIONS.name)] != ["version_num"]:
        return None
    return list(connection.execute(select(VERSIONS.c.version_num)).scalars())


def revision_of(connection: Connection) -> str | None:
    """The revision of the database that is connected; None for an empty one."""
    # Called at every start and for `/ready`. Alembic is slow to import, and is imported only to change the schema.
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    return connection.execute(select(VERSIONS.c.version_num)).scalar()


def _run(url: str, step: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    engine = revision_engine(url)
    config = Config()
    # A percent sign in a value of the configuration begins a variable, unless it is doubled.
    config.set_main_option("script_location", str(revisions_folder()).replace("%", "%%"))
    try:
        with explained(engine.url), engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, step)(config, revision)
    finally:
        engine.dispose()
