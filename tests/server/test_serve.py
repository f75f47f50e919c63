"""`clinic-service serve` as an operator meets it: real processes, real sockets, both engines."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path

from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import reading
from tests.conftest import SECRET
from tests.support.cast import SERVICE
from tests.support.processes import ServerProcess, run_command, serving
from tests.support.rows import make_clinic, storing
from tests.support.tokens import token_of


def test_first_start_without_settings(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        added = run_command(tmp_path, "users", "add", "--name", "Ada Archer", "--email", "ada@harbour.example")
        token = run_command(tmp_path, "token", "user", added.stdout.strip()).stdout.strip()
        body = {"name": "Harbour", "preferredBgUnits": "mg/dL"}
        made = server.request("POST", "/v1/clinics", token, json=body)
        assert made.status == 200
        assert server.get(f"/v1/clinics/{made.json['id']}", token).json == made.json
        assert server.get("/ready").status == 200
    assert (tmp_path / "clinic-service.db").exists()
    assert stat.S_IMODE((tmp_path / "clinic-service.key").stat().st_mode) == 0o600
    introduction = server.output.read_text()
    assert f"http://127.0.0.1:{server.port}" in introduction
    assert "/docs" in introduction
    assert "clinic-service token" in introduction
    log = server.errors.read_text()
    assert "Running upgrade" in log
    assert "setup plugin" not in log, "a library tells of itself"


def test_data_and_tokens_outlive_the_process(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        token = run_command(tmp_path, "token", "service", "task-runner").stdout.strip()
        assert server.get("/v1/clinics", token).json == []
    with serving(tmp_path) as server:
        assert server.get("/v1/clinics", token).status == 200


def test_demo_does_not_write_among_real_clinics(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'clinics.db'}"
    settings = {"CLINIC_DATABASE_URL": url, "CLINIC_SESSION_SECRET": SECRET}
    schema.upgrade(url)
    database = Database(url)
    with storing(database) as unit:
        make_clinic(unit, name="Real")
    database.dispose()
    refused = run_command(tmp_path, "serve", "--port", "0", "--demo", **settings)
    assert refused.returncode == 1
    assert "--mix-with-real-data" in refused.stderr
    with serving(tmp_path, **settings) as server:
        [clinic] = server.get("/v1/clinics", token_of(SERVICE)).json
        assert clinic["name"] == "Real"
        tags = f"/v1/clinics/{clinic['id']}/patient_tags"
        assert server.request("POST", tags, token_of(SERVICE), json={"name": "a"}).status == 200
    # The record of the write was sealed, although the server has ended at once.
    database = Database(url)
    with reading(database) as unit:
        assert (unit.audit.chain().sequence, unit.audit.count_unsealed()) == (1, 0)
    database.dispose()


def test_demo_prints_a_command_that_works(tmp_path: Path) -> None:
    settings = {"CLINIC_SESSION_SECRET": SECRET}
    with serving(tmp_path, "--demo", **settings):
        command = re.search(r"^curl .*$", (tmp_path / "out.txt").read_text(), re.MULTILINE)
        assert command
        token, address = re.findall(r"Token: ([^']+)' http://[^/]+(/\S+)", command.group())[0]
    # Once more, on the database that is there now: the clinic is not made twice.
    with serving(tmp_path, "--demo", **settings) as server:
        assert server.get(address, token).json["fullName"] == "Carol Cooper"
        service = token_of(SERVICE)
        clinics = server.get("/v1/clinics", service).json
        assert [clinic["name"] for clinic in clinics] == ["Harbour Diabetes Centre"]
        assert sum(tag["numPatients"] for tag in clinics[0]["patientTags"]) > 10
        count = server.get(f"/v1/clinics/{clinics[0]['id']}/patient_count", service).json
        assert count["total"] == 40


def test_postgresql_is_not_upgraded_unasked(database_url: str, tmp_path: Path) -> None:
    if not database_url.startswith("postgresql"):
        with serving(tmp_path, CLINIC_DATABASE_URL=database_url) as server:
            assert server.get("/ready").status == 200
        return
    settings = {"CLINIC_DATABASE_URL": database_url, "CLINIC_SESSION_SECRET": SECRET}
    refused = run_command(tmp_path, "serve", "--port", "0", **settings)
    assert refused.returncode == 1
    assert "clinic-service db upgrade" in refused.stderr
    assert run_command(tmp_path, "db", "upgrade", **settings).returncode == 0
    with serving(tmp_path, **settings) as server:
        assert server.get("/ready").status == 200


def test_sigterm_finishes_what_is_running(tmp_path: Path) -> None:
    with serving(tmp_path, CLINIC_SESSION_SECRET=SECRET) as server:
        token, statuses = token_of(SERVICE), list[int]()
        stop, answered = threading.Event(), threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    statuses.append(server.get("/v1/clinics", token).status)
                    answered.set()
                except OSError:
                    return

        asker = threading.Thread(target=ask)
        asker.start()
        assert answered.wait(60)
        assert server.stop() == 0
        stop.set()
        asker.join()
    assert statuses
    assert set(statuses) == {200}


def test_wrong_settings_end_it_with_status_2(tmp_path: Path) -> None:
    ended = run_command(tmp_path, "serve", "--port", "0", CLINIC_DATABSE_URL="sqlite:///x.db")
    assert ended.returncode == 2
    assert "CLINIC_DATABSE_URL" in ended.stderr


def test_the_port_in_use_is_an_error(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        (tmp_path / "second").mkdir()
        second = ServerProcess(tmp_path / "second", "--port", str(first.port))
        try:
            assert second.process.wait(timeout=30) == 1
        finally:
            second.process.kill()
            second.process.wait()
    assert "in use" in (tmp_path / "second" / "err.txt").read_text()
