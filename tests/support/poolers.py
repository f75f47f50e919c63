"""PgBouncer before a PostgreSQL server, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests.support.links import linked, through
from tests.support.processes import free_port, wait_for_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_CONFIGURATION = """
[databases]
{name} = host=127.0.0.1 port={target} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = {ignored}
"""


@contextmanager
def pooler(database_url: str, folder: Path, *, ignored: str = "") -> Iterator[str]:
    """The URL of the database through a pooler that gives each transaction another session, of which it has two.

    `ignored`: the start parameters that it drops; it refuses sessions that have others.
    """
    port, database = free_port(), make_url(database_url)
    with linked(database_url) as (link, _):
        file = folder / "pgbouncer.ini"
        file.write_text(
            _CONFIGURATION.format(
                port=port, target=link.port, name=database.database, user=database.username, ignored=ignored
            )
        )
        with running_pooler(file, port):
            yield through(database, port)


@contextmanager
def running_pooler(configuration: Path, port: int) -> Iterator[None]:
    """A pooler with this configuration, which says that it listens on `port`."""
    assert PGBOUNCER
    # It refuses to be run by root, who may hand it over to somebody else.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [PGBOUNCER, "-q", *user, str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
