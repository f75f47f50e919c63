"""What errors mean, and the statements that the engines spell differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from clinic_service.db.dialects import constraint_name, insert_or_update, is_retryable, is_unavailable
from clinic_service.db.engine import Database, revision_engine
from clinic_service.models import Clinic, Clinician, Grant, Invite, Patient, ShareCode, Tag
from tests.support.databases import create_database
from tests.support.rows import LONG_AGO

CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"
STAMPS = {"created_time": LONG_AGO, "updated_time": LONG_AGO}


def clinician(number: int, **values: Any) -> dict[str, Any]:
    return {"clinic_id": CLINIC_ID, "id": f"{number:024x}", "is_member": True, **STAMPS, **values}


def patient(number: int, **values: Any) -> dict[str, Any]:
    return {"clinic_id": CLINIC_ID, "id": f"{number:024x}", "user_id": f"{number:010x}", **STAMPS, **values}


def offer(key: str, **values: Any) -> dict[str, Any]:
    times = {"created": LONG_AGO, "modified": LONG_AGO}
    kind = {"type": "careteam_invitation", "status": "pending"}
    return {"key": key, "clinic_id": CLINIC_ID, "creator_id": "ca401c0003", **kind, **times, **values}


def violation(database: Database, model: type[Any], *rows: dict[str, Any]) -> IntegrityError:
    *good, bad = rows
    with database.write_engine.connect() as connection:
        connection.execute(insert(Clinic), {"id": CLINIC_ID, **STAMPS})
        for row in good:
            connection.execute(insert(model), row)
        with pytest.raises(IntegrityError) as caught:
            connection.execute(insert(model), bad)
    return caught.value


def raised_by(postgresql_url: str, statement: str) -> DBAPIError:
    """The error of a statement of PL/pgSQL."""
    engine = revision_engine(postgresql_url)
    with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
        connection.exec_driver_sql(f"DO $$ BEGIN {statement}; END $$")
    engine.dispose()
    return caught.value


@pytest.mark.parametrize(
    ("name", "model", "rows"),
    [
        ("pk_share_codes", ShareCode, [{"code": "A", "clinic_id": "a", "canonical": False}] * 2),
        (
            "ix_share_codes_canonical",
            ShareCode,
            [{"code": code, "clinic_id": "a", "canonical": True} for code in ("A", "B")],
        ),
        ("pk_clinicians", Clinician, [clinician(1), clinician(1)]),
        ("ix_clinicians_clinic_id_user_id", Clinician, [clinician(1, user_id="u"), clinician(2, user_id="u")]),
        ("ix_clinicians_clinic_id_email", Clinician, [clinician(1, email="e"), clinician(2, email="e")]),
        ("ck_clinicians_has_role", Clinician, [clinician(1, is_member=False)]),
        ("uq_patients_clinic_id_user_id", Patient, [patient(1, user_id="u"), patient(2, user_id="u")]),
        (
            "ix_patients_unique_mrn",
            Patient,
            [patient(number, mrn_key="m", require_unique_mrn=True) for number in (1, 2)],
        ),
        ("ix_invites_open_offer", Invite, [offer("a"), offer("b")]),
    ],
)
def test_names_the_violated_constraint(database: Database, name: str, model: Any, rows: list[dict[str, Any]]) -> None:
    assert constraint_name(violation(database, model, *rows)) == name


@pytest.mark.parametrize(
    "raised",
    [
        # As the error of another machine of a Citus cluster, which has the name only in its text.
        "MESSAGE = 'duplicate key value violates unique constraint \"ix_patients_unique_mrn_102345\"'",
        # As the error of the part of a table that is on the machine itself.
        "MESSAGE = 'duplicate key', CONSTRAINT = 'ix_patients_unique_mrn_102345'",
        "MESSAGE = 'duplicate key', CONSTRAINT = 'ix_patients_unique_mrn'",
    ],
)
def test_names_the_violated_constraint_of_a_part_of_a_table(postgresql_url: str, raised: str) -> None:
    error = raised_by(postgresql_url, f"RAISE unique_violation USING {raised}")
    assert isinstance(error, IntegrityError)
    assert constraint_name(error) == "ix_patients_unique_mrn"


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (
            'new row for relation "clinicians_102008" violates check constraint "ck_clinicians_has_role_102008"',
            "ck_clinicians_has_role",
        ),
        (
            'insert or update on table "tags_102040" violates foreign key constraint "fk_tags_clinic_id_102040"',
            "fk_tags_clinic_id",
        ),
        ("something else", None),
    ],
)
def test_names_constraints_of_every_kind(postgresql_url: str, message: str, name: str | None) -> None:
    engine = revision_engine(postgresql_url)
    with engine.connect() as connection, pytest.raises(IntegrityError) as caught:
        connection.exec_driver_sql(
            f"DO $$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = '{message}'; END $$"
        )
    engine.dispose()
    assert constraint_name(caught.value) == name


def test_a_missing_value_has_no_constraint(database: Database) -> None:
    assert constraint_name(violation(database, ShareCode, {"code": "A", "clinic_id": None})) is None


def test_only_some_engines_name_a_foreign_key(database: Database, engine_name: str) -> None:
    error = violation(database, Tag, {"clinic_id": "no such clinic", "id": "t", "name": "n", "name_key": "n"})
    assert constraint_name(error) == {"sqlite": None, "postgresql": "fk_tags_clinic_id"}[engine_name]


def test_unique_only_among_the_rows_that_the_rule_is_for(database: Database) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(insert(Clinic), {"id": CLINIC_ID, **STAMPS})
        connection.execute(insert(Clinician), [clinician(1), clinician(2)])
        connection.execute(insert(Patient), [patient(1, mrn_key="m"), patient(2, mrn_key="m", require_unique_mrn=True)])
        connection.execute(insert(Invite), [offer("a", status="declined"), offer("b")])


def test_deleting_a_clinic_deletes_what_belongs_to_it(database: Database) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(insert(Clinic), {"id": CLINIC_ID, **STAMPS})
        connection.execute(insert(Clinician), clinician(1))
        connection.execute(insert(Patient), patient(1))
        connection.execute(delete(Clinic).where(Clinic.id == CLINIC_ID))
        assert connection.scalar(select(Clinician.id)) is None
        assert connection.scalar(select(Patient.id)) is None


def test_insert_or_update_keeps_the_columns_that_it_does_not_name(database: Database) -> None:
    statement = insert_or_update(ShareCode, "canonical")
    with database.write_engine.begin() as connection:
        connection.execute(statement, {"code": "A", "clinic_id": "first", "canonical": True})
        connection.execute(statement, {"code": "A", "clinic_id": "second", "canonical": False})
        assert connection.execute(select(ShareCode.clinic_id, ShareCode.canonical)).all() == [("first", False)]


def test_insert_or_update_of_a_key_of_several_columns(database: Database) -> None:
    statement = insert_or_update(Grant, "permissions")
    with database.write_engine.begin() as connection:
        for grantee, names in [("b", ["view"]), ("c", []), ("b", ["note"])]:
            values: dict[str, Any] = {name: {} for name in names}
            connection.execute(statement, {"sharer_id": "a", "grantee_id": grantee, "permissions": values})
        found = connection.execute(select(Grant.grantee_id, Grant.permissions).order_by(Grant.grantee_id)).all()
    assert found == [("b", {"note": {}}), ("c", {})]


def test_insert_or_update_sets_all_columns_of_a_table_when_none_are_named(database: Database) -> None:
    statement = insert_or_update(ShareCode.metadata.tables["share_codes"])
    with database.write_engine.begin() as connection:
        connection.execute(statement, {"code": "A", "clinic_id": "first", "canonical": True})
        connection.execute(statement, {"code": "A", "clinic_id": "second", "canonical": False})
        assert connection.execute(select(ShareCode.clinic_id, ShareCode.canonical)).all() == [("second", False)]


def test_a_lock_that_sqlite_does_not_get_is_worth_another_try(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    holder, waiter = Database(url), Database(url)
    impatient = waiter.write_engine.raw_connection()
    impatient.cursor().execute("PRAGMA busy_timeout = 0")
    impatient.close()
    with holder.write_engine.begin(), pytest.raises(OperationalError) as caught, waiter.write_engine.begin():
        pass
    assert is_retryable(caught.value)
    assert is_unavailable(caught.value)
    holder.dispose()
    waiter.dispose()


def test_a_serialization_failure_is_worth_another_try(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.write_engine.begin() as connection:
        connection.execute(text("CREATE TABLE raced (value integer)"))
        connection.execute(text("INSERT INTO raced VALUES (0)"))
    raise_value = text("UPDATE raced SET value = value + 1")
    with database.write_engine.connect().execution_options(isolation_level="REPEATABLE READ") as late:
        late.execute(text("SELECT value FROM raced"))
        with database.write_engine.begin() as early:
            early.execute(raise_value)
        with pytest.raises(DBAPIError) as caught:
            late.execute(raise_value)
    with database.write_engine.begin() as connection:
        connection.execute(text("DROP TABLE raced"))
    database.dispose()
    assert is_retryable(caught.value)
    assert not is_unavailable(caught.value)


class _Refusal(Exception):
    """What a driver raises for the server's refusal with this state."""

    def __init__(self, state: str) -> None:
        self.sqlstate = state


@pytest.mark.parametrize(
    "state", ["08006", "25006", "53100", "53200", "53300", "55P03", "57014", "57P01", "57P03", "58030"]
)
def test_states_in_which_no_statement_would_succeed(state: str) -> None:
    assert is_unavailable(DBAPIError("a statement", None, _Refusal(state)))


@pytest.mark.parametrize("state", ["22003", "23505", "42P01", "25P02", "55006", "P0001", "XX000"])
def test_states_that_are_the_statements_own_fault(state: str) -> None:
    assert not is_unavailable(DBAPIError("a statement", None, _Refusal(state)))


def test_what_fails_without_a_statement_is_unavailable() -> None:
    """Connecting, BEGIN and COMMIT."""
    assert is_unavailable(DBAPIError(None, None, _Refusal("P0001")))


@pytest.mark.parametrize(
    "state",
    # A machine of a cluster that cannot be reached, and a statement that takes too long.
    ["08006", "57014"],
)
def test_what_a_cluster_cannot_do_just_now_is_unavailable(postgresql_url: str, state: str) -> None:
    error = raised_by(postgresql_url, f"RAISE 'gone' USING ERRCODE = '{state}'")
    assert is_unavailable(error)
    assert not is_retryable(error)


@pytest.mark.parametrize(
    "message",
    [
        "server closed the connection unexpectedly",
        "connection not open",
        "failure on connection marked as essential: worker-2:5432",
        "failed to execute task 3: could not receive query results",
    ],
)
def test_a_machine_of_a_cluster_that_was_lost_is_unavailable(postgresql_url: str, message: str) -> None:
    """Such an error has the state of internal errors, and is told apart by its text."""
    error = raised_by(postgresql_url, f"RAISE '{message}' USING ERRCODE = 'XX000'")
    assert is_unavailable(error)
    assert not is_retryable(error)


def test_a_commit_that_fails_is_unavailable(postgresql_url: str) -> None:
    """Whatever the error is: some machines may have committed already, and the others follow later."""
    with create_database(postgresql_url) as url:
        engine = revision_engine(url)
        with engine.connect() as connection:
            for statement in (
                "CREATE TABLE t (n int)",
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE 'no' USING ERRCODE = 'XX000'; END $$",
                "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION refuse()",
                "INSERT INTO t VALUES (1)",
            ):
                connection.exec_driver_sql(statement)
            with pytest.raises(DBAPIError) as caught:
                connection.commit()
        engine.dispose()
    assert is_unavailable(caught.value)


def test_a_violated_constraint_is_neither(database: Database) -> None:
    error = violation(database, Clinician, clinician(1), clinician(1))
    assert not is_retryable(error)
    assert not is_unavailable(error)


def test_a_faulty_statement_is_neither(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.write_engine.begin() as connection:
        connection.execute(text("SELECT no_such_column FROM clinics"))
    assert not is_retryable(caught.value)
    assert not is_unavailable(caught.value)


def test_another_exception_is_neither() -> None:
    assert not is_retryable(ValueError())
    assert not is_unavailable(ValueError())


def test_waiting_in_vain_for_a_connection_is_unavailable() -> None:
    assert is_unavailable(PoolTimeout())


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/none", "sqlite:////no/such/folder/a.db"])
def test_a_database_that_cannot_be_reached_is_unavailable(url: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        Database(url).read_engine.connect()
    assert is_unavailable(caught.value)


def test_a_connection_that_the_server_ends_is_unavailable(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.write_engine.connect() as victim:
        process = victim.scalar(text("SELECT pg_backend_pid()"))
        with database.write_engine.connect() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
        with pytest.raises(DBAPIError) as caught:
            victim.execute(text("SELECT 1"))
    database.dispose()
    assert is_unavailable(caught.value)
