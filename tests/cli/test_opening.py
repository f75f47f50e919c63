"""Commands bring a database of SQLite up as `serve` does, and leave one of PostgreSQL to somebody who decides when."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clinic_service.cli import main
from clinic_service.db import schema
from tests.conftest import SECRET
from tests.support.processes import spawn


def _add_user(url: str) -> Result:
    env = {"CLINIC_DATABASE_URL": url, "CLINIC_SESSION_SECRET": SECRET}
    return CliRunner().invoke(main, ["users", "add", "--name", "Ada Archer"], env=env)


@pytest.mark.parametrize("revision", [None, "0001"])
def test_a_command_needs_no_upgrade_before_it_on_sqlite_alone(database_url: str, revision: str | None) -> None:
    if revision:
        schema.upgrade(database_url, revision)
    result = _add_user(database_url)
    if database_url.startswith("sqlite"):
        assert result.exit_code == 0, result.output
        assert schema.current(database_url) == schema.head()
    else:
        assert result.exit_code == 1
        assert "clinic-service db upgrade" in result.stderr
        assert schema.current(database_url) == revision


def test_commands_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    adding = [spawn(tmp_path, "users", "add", "--name", name) for name in ("Ada", "Bob", "Carol")]
    ids = {process.communicate(timeout=60)[0].strip() for process in adding}
    assert [process.returncode for process in adding] == [0, 0, 0]
    assert len(ids) == 3
