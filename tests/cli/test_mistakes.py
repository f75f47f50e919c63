"""Whatever an operator can mend is told in one line that says what it is, on both engines and by every command."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url, text

from clinic_service.cli import main
from clinic_service.db.engine import revision_engine
from clinic_service.db.schema import upgrade
from tests.conftest import SECRET
from tests.support.databases import create_database
from tests.support.processes import COMMAND, environment, free_port, run_command
from tests.support.refusing_server import refusing_server

EVERY_COMMAND = [
    ("db", "upgrade"),
    ("db", "check"),
    ("db", "current"),
    ("db", "verify"),
    ("db", "rebuild"),
    ("users", "list"),
    ("users", "add", "--name", "Ada Archer"),
    ("users", "show", "a11ce00001"),
    ("users", "remove", "a11ce00001"),
    ("outbox", "list"),
    ("outbox", "relay", "--once"),
    ("demo", "load", "--patients", "1"),
]


def run(url: str, *command: str) -> Result:
    environ = {"CLINIC_DATABASE_URL": url, "CLINIC_SESSION_SECRET": SECRET}
    return CliRunner().invoke(main, command or ["db", "upgrade"], env=environ)


def assert_one_line(status: int, output: str, errors: str, words: str, *, expected_status: int = 1) -> None:
    assert status == expected_status, errors
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith("Error: ")
    assert words in line
    assert "hidden" not in line


def assert_told(result: Result, words: str, **expected: int) -> None:
    assert_one_line(result.exit_code, result.stdout, result.stderr, words, **expected)


def not_there(tmp_path: Path) -> Path:
    return tmp_path / "none" / "clinic.db"


def in_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "clinic.db"


def a_folder(tmp_path: Path) -> Path:
    return tmp_path


def no_database(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text("this is no database, but a text that is long enough to be taken for one" * 20)
    return tmp_path / "notes.txt"


def of_another_program(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    return tmp_path / "other.db"


def damaged(tmp_path: Path) -> Path:
    upgrade(f"sqlite:///{tmp_path / 'damaged.db'}")
    content = (tmp_path / "damaged.db").read_bytes()
    (tmp_path / "damaged.db").write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    return tmp_path / "damaged.db"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (not_there, "its folder does not exist"),
        (in_a_file, "something that is not a folder"),
        (a_folder, "it is a folder"),
        (no_database, "not an SQLite database"),
        (of_another_program, "another program (bookmarks)"),
        (damaged, "damaged"),
    ],
)
def test_mistakes_about_a_file(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    assert_told(run(f"sqlite:///{make(tmp_path)}"), words)


def test_the_file_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    file = of_another_program(tmp_path)
    before = file.read_bytes()
    for command in EVERY_COMMAND:
        assert run(f"sqlite:///{file}", *command).exit_code == 1
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize(
    ("denied", "words"), [("folder", "this user may not write in its folder"), ("file", "may not read and write")]
)
def test_missing_rights_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: str, words: str) -> None:
    """As the tests may be run by one who may do everything, SQLite is made to fail by a folder where a file should be."""
    (tmp_path / "clinic.db-wal").mkdir()
    (tmp_path / "clinic.db").touch()
    path = tmp_path if denied == "folder" else tmp_path / "clinic.db"
    monkeypatch.setattr("os.access", lambda asked, _mode: asked != path)
    assert_told(run(f"sqlite:///{tmp_path / 'clinic.db'}"), words)


def test_a_file_that_another_process_has_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic_service.db.sqlite._LONGEST_WAIT_SECONDS", 1)
    url = f"sqlite:///{tmp_path / 'clinic.db'}"
    upgrade(url, "0001")
    with closing(sqlite3.connect(tmp_path / "clinic.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_told(run(url), "another process has locked it")


def test_a_file_that_is_read_only_while_a_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'clinic.db'}"
    upgrade(url)
    monkeypatch.setattr("clinic_service.db.sqlite._switch", lambda _on: "on")
    assert_told(run(url, "users", "add", "--name", "Ada Archer"), "read-only")


REFUSALS = [
    ("28P01", 'password authentication failed for user "me"', "user or password is wrong"),
    ("28000", 'role "me" does not exist', "does not know the user"),
    ("28000", 'no pg_hba.conf entry for host "127.0.0.1"', "does not let this user in"),
    ("3D000", 'database "clinics" does not exist', "no database of that name"),
    ("08P01", "unsupported startup parameter: options", "Add ?pooler=transaction"),
    ("08P01", "no such database: clinics", "no database of that name"),
    ("53300", "sorry, too many clients already", "all of its connections are in use"),
    ("57P03", "the database system is starting up", "starting or stopping"),
    ("42501", 'permission denied for database "clinics"', "a privilege is missing"),
    ("XX000", "something that nobody has thought of", "something that nobody has thought of"),
]


@pytest.mark.parametrize(("state", "said", "words"), REFUSALS)
def test_refusals_of_a_server(state: str, said: str, words: str) -> None:
    with refusing_server(state, said) as port:
        assert_told(run(f"postgresql://me:hidden@127.0.0.1:{port}/clinics"), words)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("me:hidden@127.0.0.1:1/clinics", "nothing listens"),
        ("me:hidden@no-such-host.invalid/clinics", "the name of its host is unknown"),
        ("me:hidden@a..b/clinics", "the name of its host is unknown"),
        ("me:hidden@/clinics?host=/no/such/folder", "no server runs on this machine"),
        ("me:hidden@127.0.0.1:1/clinics?colour=blue", "an option that does not exist"),
        ("me:hidden@127.0.0.1:1/clinics?sslmode=maybe", "it refuses a start parameter"),
    ],
)
def test_servers_that_cannot_be_reached(address: str, words: str) -> None:
    assert_told(run(f"postgresql://{address}"), words)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://x", "mysql is not supported"),
        ("clinic.db", "cannot be read"),
        ("postgresql://host:port/x", "cannot be read"),
        ("postgresql://host/x?pooler=x", "pooler=transaction"),
        ("sqlite://", "SQLite in memory"),
    ],
)
def test_urls_that_name_no_database(url: str, words: str) -> None:
    assert_told(run(url), words, expected_status=2)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CLINIC_PROT": "1"}, "CLINIC_PROT"),
        ({"CLINIC_SMTP_URL": "mail.example"}, "CLINIC_SMTP_URL must look like"),
        ({"CLINIC_SESSION_SECRET_FILE": "/no/such/file"}, "No such file"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    upgrade(f"sqlite:///{tmp_path / 'clinic.db'}")
    given = {"CLINIC_DATABASE_URL": f"sqlite:///{tmp_path / 'clinic.db'}", **environ}
    assert_told(CliRunner().invoke(main, ["outbox", "relay", "--once"], env=given), words, expected_status=2)


@pytest.mark.parametrize(
    "command",
    [("users", "add", "--name", "\udcff"), ("token", "service", "\udcff"), ("demo", "load", "--clinic", "\udcff")],
)
def test_an_argument_that_is_no_text(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert_told(run(f"sqlite:///{tmp_path / 'clinic.db'}", *command), "not valid UTF-8")
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*COMMAND, "config"],
            cwd=tmp_path,
            env=environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert_one_line(ended.returncode, "", ended.stderr, "No space left on device")


@pytest.fixture
def server_database(postgresql_url: str) -> Iterator[str]:
    with create_database(postgresql_url) as url:
        yield url


def changed(url: str, **members: str) -> str:
    return make_url(url).set(**members).render_as_string(hide_password=False)  # type: ignore[arg-type]


def on_server(url: str, *statements: str) -> None:
    engine = revision_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


class TestRealServer:
    def test_unknown_database(self, server_database: str) -> None:
        assert_told(run(changed(server_database, database="no_such_database")), "no database of that name")

    def test_unknown_user(self, server_database: str) -> None:
        assert_told(run(changed(server_database, username="nobody_at_all")), "does not know the user")

    def test_refused_start_parameter(self, server_database: str) -> None:
        url = make_url(server_database).update_query_dict({"options": "-c statement_timeout=soon"})
        assert_told(run(url.render_as_string(hide_password=False)), "it refuses a start parameter")

    def test_no_schema(self, server_database: str) -> None:
        url = make_url(server_database).update_query_dict({"options": "-c search_path=nowhere"})
        assert_told(run(url.render_as_string(hide_password=False)), "no schema for the tables")

    def test_missing_right(self, server_database: str) -> None:
        on_server(server_database, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
        assert_told(run(changed(server_database, username="guest")), "permission denied for schema public")

    @pytest.mark.parametrize(
        ("statements", "words"),
        [
            (["CREATE TABLE orders (id int)"], "orders"),
            (["CREATE TABLE alembic_version (version_num text)", "CREATE TABLE orders (id int)"], "orders"),
            (
                [
                    "CREATE TABLE alembic_version (version_num text)",
                    "INSERT INTO alembic_version VALUES ('1975ea83b712')",
                ],
                "alembic_version",
            ),
            (
                ["CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('0020')"],
                "alembic_version",
            ),
            (["CREATE TABLE alembic_version (release int)"], "alembic_version"),
        ],
    )
    def test_another_program(self, server_database: str, statements: list[str], words: str) -> None:
        on_server(server_database, *statements)
        assert_told(run(server_database), f"another program ({words})")

    def test_read_only(self, server_database: str) -> None:
        name = make_url(server_database).database
        on_server(server_database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        assert_told(run(server_database), "it is read-only")

    def test_a_table_that_somebody_holds(self, server_database: str) -> None:
        upgrade(server_database, "0001")
        engine = revision_engine(server_database)
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE alembic_version IN EXCLUSIVE MODE"))
            result = run(server_database)
        engine.dispose()
        assert_told(result, "another process has locked it")


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_every_command_tells_it_in_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = no_database(tmp_path)
    assert_told(run(f"sqlite:///{file}", *command), "not an SQLite database")
    assert_told(run("postgresql://me:hidden@127.0.0.1:1/x", *command), "nothing listens")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_the_server_tells_it_in_one_line(tmp_path: Path, engine: str) -> None:
    url, words = {
        "sqlite": (f"sqlite:///{of_another_program(tmp_path)}", "another program (bookmarks)"),
        "postgresql": ("postgresql://me:hidden@127.0.0.1:1/x", "nothing listens"),
    }[engine]
    ended = run_command(
        tmp_path, "serve", "--port", str(free_port()), CLINIC_DATABASE_URL=url, CLINIC_SESSION_SECRET=SECRET
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert json.loads(line)["level"] == "CRITICAL"
    assert words in json.loads(line)["message"]
    assert "hidden" not in line
