"""`db distribute`: which steps a cluster needs, and that they are taken once. A few functions in SQL stand for Citus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url, text

from clinic_service.cli import main
from clinic_service.db import schema
from clinic_service.db.distribution import TablePlace, differences, placements, plan
from clinic_service.db.engine import revision_engine
from clinic_service.db.failures import DatabaseUnusable
from clinic_service.db.placement import Kind
from clinic_service.models import Base
from tests.support.databases import create_database

WANTED = placements(Base.metadata)
Run = Callable[..., Result]

# The catalogue of Citus, and its functions as far as the catalogue shows what they did. `calls` has all of them in order.
_CITUS = """
CREATE SCHEMA stand_in;
SET search_path = stand_in, public;
CREATE SCHEMA hidden;
CREATE TABLE hidden.partitions (logicalrelid regclass, partmethod char, repmodel char, partkey text, colocated text);
CREATE TABLE hidden.calls (number serial, call text);
-- Views, so that they do not count as tables of another program.
CREATE VIEW pg_dist_partition AS SELECT * FROM hidden.partitions;
CREATE VIEW pg_dist_shard AS SELECT logicalrelid, generate_series(1, 6) FROM hidden.partitions WHERE colocated = 'none';
CREATE VIEW calls AS SELECT * FROM hidden.calls;
ALTER VIEW calls ALTER number SET DEFAULT nextval('hidden.calls_number_seq');
CREATE FUNCTION column_to_column_name(regclass, text) RETURNS text LANGUAGE sql AS 'SELECT $2';
CREATE FUNCTION create_distributed_table(
    name text, key text, colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = name::regclass AND i.indisunique AND NOT EXISTS (
            SELECT FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::int[]) AND a.attname = key
        )
    ) THEN
        RAISE feature_not_supported USING MESSAGE = format('cannot create constraint on "%s"', name), HINT =
            'Distributed relations cannot have UNIQUE constraints that do not include the partition column.';
    END IF;
    DELETE FROM pg_dist_partition WHERE logicalrelid = name::regclass AND partmethod = 'n' AND repmodel = 's';
    INSERT INTO pg_dist_partition VALUES (name::regclass, 'h', 's', key, colocate_with);
    INSERT INTO calls (call) VALUES (format('%s by %s with %s in %s', name, key, colocate_with, shard_count));
END $$;
CREATE FUNCTION create_reference_table(name text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM pg_dist_partition WHERE logicalrelid = name::regclass AND partmethod = 'n' AND repmodel = 's';
    INSERT INTO pg_dist_partition VALUES (name::regclass, 'n', 't', NULL, NULL);
    -- As with Citus, plain tables that refer to the table become local tables.
    INSERT INTO pg_dist_partition SELECT DISTINCT conrelid::regclass, 'n'::"char", 's'::"char", NULL, NULL
    FROM pg_constraint
    WHERE contype = 'f' AND confrelid = name::regclass
    AND NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = conrelid);
    INSERT INTO calls (call) VALUES (name || ' everywhere');
$$;
CREATE FUNCTION citus_add_local_table_to_metadata(name text, cascade_via_foreign_keys bool) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pg_dist_partition VALUES (name::regclass, 'n', 's', NULL, NULL);
    INSERT INTO calls (call) VALUES (name || ' here');
    -- As with Citus, the tables that are connected by foreign keys come with it.
    IF name = 'accounts' AND cascade_via_foreign_keys THEN
        INSERT INTO pg_dist_partition VALUES ('account_emails'::regclass, 'n', 's', NULL, NULL);
    END IF;
END $$;
CREATE FUNCTION truncate_local_data_after_distributing_table(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('TRUNCATE %I CASCADE', name);
    INSERT INTO calls (call) VALUES (name || ' emptied');
END $$;
"""


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    """A database in which the stand-in for Citus is found, like the extension itself, whatever the schema."""
    with create_database(postgresql_url) as url:
        options = {"options": "-csearch_path=public,stand_in"}
        yield make_url(url).update_query_dict(options).render_as_string(hide_password=False)


@pytest.fixture
def citus(url: str) -> None:
    engine = revision_engine(url)
    raw: Any = engine.raw_connection()
    # Several statements at once, as the driver takes them without parameters.
    raw.driver_connection.execute(_CITUS)
    raw.commit()
    raw.close()
    engine.dispose()


@pytest.fixture
def run(url: str) -> Run:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["db", *arguments, "--database-url", url])

    return call


def execute(url: str, *statements: str) -> list[Any]:
    """The rows of the last of the statements."""
    engine = revision_engine(url)
    with engine.begin() as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        rows = list(results[-1]) if results[-1].returns_rows else []
    engine.dispose()
    return rows


def calls(url: str) -> list[str]:
    return [row.call for row in execute(url, "SELECT call FROM calls ORDER BY number")]


def everything_placed() -> dict[str, TablePlace]:
    return {name: TablePlace(placement.kind, placement.column) for name, placement in WANTED.items()}


class TestPlan:
    def test_every_table_is_placed_once(self) -> None:
        assert [step.table for step in plan(WANTED, {}, 8)] == list(WANTED)
        assert set(Base.metadata.tables) < set(WANTED)

    def test_clinics_come_first_and_all_that_belongs_to_them_joins_them(self) -> None:
        sql = {step.table: step.sql for step in plan(WANTED, {}, 12)}
        assert next(iter(sql)) == "clinics"
        assert sql["clinics"].endswith("('clinics', 'id', colocate_with => 'none', shard_count => 12)")
        assert sql["patients"] == "SELECT create_distributed_table('patients', 'clinic_id', colocate_with => 'clinics')"
        assert sql["outbox"].endswith("'clinic_id', colocate_with => 'clinics')")

    def test_what_is_asked_by_user_stands_together(self) -> None:
        sql = {step.table: step.sql for step in plan(WANTED, {}, 4)}
        assert sql["memberships"].endswith("'user_id', colocate_with => 'none', shard_count => 4)")
        assert sql["patient_records"].endswith("'user_id', colocate_with => 'memberships')")

    def test_tables_that_others_refer_to_come_before_them(self) -> None:
        order = [step.table for step in plan(WANTED, {}, 8)]
        for table in Base.metadata.sorted_tables:
            for key in table.foreign_keys:
                assert order.index(key.column.table.name) < order.index(table.name)

    def test_the_tables_of_the_revisions_are_known_to_every_machine(self) -> None:
        sql = {step.table: step.sql for step in plan(WANTED, {}, 8)}
        for name in ("alembic_version", "schema_compatibility", "accounts"):
            assert sql[name].startswith(f"SELECT citus_add_local_table_to_metadata('{name}'")
        assert sql["share_codes"] == "SELECT create_reference_table('share_codes')"

    def test_a_new_table_joins_the_others(self) -> None:
        present = everything_placed()
        del present["tags"]
        assert [step.sql for step in plan(WANTED, present, 99)] == [
            "SELECT create_distributed_table('tags', 'clinic_id', colocate_with => 'clinics')"
        ]

    def test_a_local_table_can_be_placed(self) -> None:
        """Citus makes a local table of one that refers to a reference table."""
        present = everything_placed() | {"order_outcomes": TablePlace(Kind.LOCAL)}
        assert [step.sql for step in plan(WANTED, present, 8)] == ["SELECT create_reference_table('order_outcomes')"]

    @pytest.mark.parametrize("place", [TablePlace(Kind.REFERENCE), TablePlace(Kind.DISTRIBUTED, "id")])
    def test_a_table_in_another_place_is_not_moved(self, place: TablePlace) -> None:
        with pytest.raises(DatabaseUnusable) as caught:
            plan(WANTED, everything_placed() | {"tags": place}, 8)
        assert f"The table tags is {place}; it should be distributed by clinic_id." in caught.value.message
        assert "undistribute_table('tags')" in caught.value.message

    def test_nothing_differs_where_everything_is_placed(self) -> None:
        assert list(differences(WANTED, everything_placed())) == []


class TestCommand:
    def test_says_where_citus_is_missing(self, run: Run) -> None:
        run("upgrade")
        result = run("distribute")
        assert result.exit_code == 1
        assert result.output.startswith("Error: The database does not have the extension citus")

    def test_says_that_sqlite_has_none(self, tmp_path: Any) -> None:
        url = f"sqlite:///{tmp_path / 'a.db'}"
        schema.upgrade(url)
        result = CliRunner().invoke(main, ["db", "distribute", "--database-url", url])
        assert result.exit_code == 1
        assert "does not have the extension citus" in result.output

    @pytest.mark.usefixtures("citus")
    def test_needs_the_tables(self, run: Run) -> None:
        result = run("distribute")
        assert result.exit_code == 1
        assert "Run `clinic-service db upgrade`" in result.output

    @pytest.mark.usefixtures("citus")
    def test_a_dry_run_prints_the_steps_and_takes_none(self, run: Run, url: str) -> None:
        run("upgrade")
        result = run("distribute", "--dry-run", "--shards", "6")
        printed = result.output.splitlines()
        assert [line.removesuffix(";") for line in printed] == [step.sql for step in plan(WANTED, {}, 6)]
        assert calls(url) == []

    def test_a_dry_run_needs_no_citus(self, run: Run) -> None:
        run("upgrade")
        assert run("distribute", "--dry-run").output.startswith("SELECT create_distributed_table('clinics', 'id', ")

    @pytest.mark.usefixtures("citus")
    def test_takes_each_step_once(self, run: Run, url: str) -> None:
        run("upgrade")
        first, again = run("distribute", "--shards", "6"), run("distribute")
        assert (first.exit_code, again.exit_code) == (0, 0)
        # The addresses of accounts are placed together with the accounts. The revision is a row that was there before.
        placed = [name for name in WANTED if name != "account_emails"]
        assert [call.split()[0] for call in calls(url)] == placed
        assert calls(url)[0] == "clinics by id with none in 6"
        assert "patients by clinic_id with clinics in " in calls(url)
        assert again.output == "Every table is where it should be.\n"
        assert run("check").exit_code == 0

    @pytest.mark.usefixtures("citus")
    def test_removes_the_rows_that_are_left_at_the_coordinator(self, run: Run, url: str) -> None:
        run("upgrade")
        execute(
            url,
            "INSERT INTO share_codes (code, clinic_id, canonical) VALUES ('A', 'a', true)",
            "INSERT INTO memberships (user_id, clinic_id) VALUES ('u', 'a')",
        )
        assert run("distribute").exit_code == 0
        assert sorted(call for call in calls(url) if "emptied" in call) == [
            "memberships emptied",
            "share_codes emptied",
        ]
        assert run("distribute").output == "Every table is where it should be.\n"

    @pytest.mark.usefixtures("citus")
    def test_goes_on_where_it_was_interrupted(self, run: Run, url: str) -> None:
        run("upgrade")
        execute(url, "SELECT create_distributed_table('clinics', 'id', 'none', 4)", "DELETE FROM calls")
        assert run("distribute").exit_code == 0
        assert "clinics" not in {call.split()[0] for call in calls(url)}
        assert len(calls(url)) == len(WANTED) - 2

    @pytest.mark.usefixtures("citus")
    def test_tells_what_a_machine_refuses(self, run: Run, url: str) -> None:
        run("upgrade")
        execute(
            url,
            "CREATE OR REPLACE FUNCTION stand_in.create_reference_table(name text) RETURNS void LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE feature_not_supported USING MESSAGE = 'no worker nodes are available', "
            "HINT = 'Add some.'; END $$",
        )
        result = run("distribute")
        assert result.exit_code == 1
        assert "Citus refuses to place the table" in result.output
        assert "no worker nodes are available Add some." in result.output

    @pytest.mark.usefixtures("citus")
    def test_check_tells_what_is_not_where_it_should_be(self, run: Run, url: str) -> None:
        run("upgrade")
        assert run("check").exit_code == 0
        run("distribute")
        execute(url, "DELETE FROM pg_dist_partition WHERE logicalrelid = 'tags'::regclass")
        result = run("check")
        assert result.exit_code == 1
        assert "The table tags is not part of the cluster; it should be distributed by clinic_id." in result.output
        assert "clinic-service db distribute" in result.output


@pytest.mark.usefixtures("citus")
@pytest.mark.parametrize("direction", ["from", "to"])
def test_a_cluster_is_not_copied(run: Run, url: str, tmp_path: Any, direction: str) -> None:
    """It has no state as of one moment."""
    other = f"sqlite:///{tmp_path / 'a.db'}"
    schema.upgrade(other)
    run("upgrade")
    run("distribute")
    source, target = (url, other) if direction == "from" else (other, url)
    result = CliRunner().invoke(main, ["db", "copy", target, "--database-url", source])
    assert result.exit_code == 1
    assert "The tables are distributed over several machines" in result.output
    backup = CliRunner().invoke(main, ["db", "backup", str(tmp_path / "b"), "--database-url", url])
    assert (backup.exit_code, (tmp_path / "b").exists()) == (1, False)


@pytest.mark.usefixtures("citus")
def test_an_upgrade_places_a_new_table_before_the_next_revision_fills_it(url: str) -> None:
    schema.upgrade(url, "0017")
    execute(url, "SELECT create_distributed_table('clinics', 'id', 'none', 4)", "DELETE FROM calls")
    schema.upgrade(url, "0018")
    # As many parts as the clinics have.
    assert set(calls(url)) == {
        "memberships by user_id with none in 6",
        "patient_records by user_id with memberships in ",
        "pending_clinicians everywhere",
        "schema_compatibility here",
    }
    # The others are placed by the command, once their keys allow it.
    schema.upgrade(url)
    assert len(calls(url)) == len(set(calls(url)))
    assert "patients" not in {call.split()[0] for call in calls(url)}


@pytest.mark.usefixtures("citus")
def test_an_upgrade_places_nothing_where_nothing_is_distributed(url: str) -> None:
    schema.upgrade(url)
    assert calls(url) == []
