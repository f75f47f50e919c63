"""A database for the tests on a cluster of Citus: `CLINIC_TEST_CITUS_URL` is the URL of a database at its coordinator."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, create_engine, make_url, text
from sqlalchemy.engine import URL

from clinic_service.db.distribution import distribute
from clinic_service.db.engine import normal_url
from clinic_service.db.schema import upgrade
from clinic_service.models import Base

CLUSTER_URL = os.environ.get("CLINIC_TEST_CITUS_URL")
_NODES = "SELECT groupid = 0 AS is_coordinator, nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary'"


@contextmanager
def create_distributed_database(coordinator_url: str) -> Iterator[str]:
    """A new database on all machines of the cluster, with the tables distributed; dropped afterwards."""
    name, given = f"test_{uuid.uuid4().hex}", normal_url(coordinator_url)
    nodes = _on(given, _NODES)
    workers = [given.set(host=node.nodename, port=node.nodeport) for node in nodes if not node.is_coordinator]
    machines = [given, *workers]
    url = given.set(database=name)
    try:
        for machine in machines:
            _on(machine, f'CREATE DATABASE "{name}"')
            _on(machine.set(database=name), "CREATE EXTENSION citus")
        _on(url, *(_joining(node) for node in sorted(nodes, key=lambda node: not node.is_coordinator)))
        text_of_url = url.render_as_string(hide_password=False)
        upgrade(text_of_url)
        for _ in distribute(text_of_url, Base.metadata, shards=4):
            pass
        yield text_of_url
    finally:
        for machine in reversed(machines):
            _on(machine, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _joining(node: Row[Any]) -> str:
    function = "citus_set_coordinator_host" if node.is_coordinator else "citus_add_node"
    return f"SELECT {function}('{node.nodename}', {node.nodeport})"


def _on(url: URL, *statements: str) -> list[Any]:
    """The rows of the last statement."""
    engine = create_engine(make_url(url), isolation_level="AUTOCOMMIT")
    rows: list[Any] = []
    with engine.connect() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
            rows = list(result) if result.returns_rows else []
    engine.dispose()
    return rows
