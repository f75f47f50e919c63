"""`clinic-service mock` as it is run: a process of its own, without a database, that takes edits of the spec."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from clinic_service.cli import main
from clinic_service.packaged import spec_folder
from tests.conftest import SECRET
from tests.support.mocks import DOCUMENTS
from tests.support.processes import ServerProcess, free_port, run_command

_SECONDS_TO_NOTICE = 60
# Nobody listens there.
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
CLINIC = "/v1/clinics/5f0c7d1e9a3b4c6d8e2f1a0b"


@contextmanager
def mocking(folder: Path, *arguments: str, **settings: str) -> Iterator[ServerProcess]:
    """A mock that is up; ended afterwards."""
    server = ServerProcess(folder, *arguments, command="mock", **settings)
    try:
        server.wait_until_live()
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def test_it_starts_answers_and_stops_without_a_database(tmp_path: Path) -> None:
    with mocking(tmp_path, CLINIC_DATABASE_URL=NO_DATABASE) as server:
        assert server.get(CLINIC, "any token").json["name"] == "Harbour Diabetes Centre"
        assert server.get(CLINIC).status == 401
        assert server.get("/ready").status == 200
        assert server.stop() == 0
    assert f"clinic-service mock on http://127.0.0.1:{server.port}" in server.output.read_text()
    assert f"The spec is {spec_folder()}" in server.output.read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["err.txt", "out.txt"]


def test_it_serves_one_file_and_tells_what_is_served_in_part(tmp_path: Path) -> None:
    with mocking(tmp_path, "--spec", str(DOCUMENTS / "pets.yaml"), "--seed", "7") as server:
        assert server.get("/pets/7.json").json["name"] == "Tom"
        assert server.get(CLINIC, "any token").status == 404
        assert f"/openapi/pets.json\nThe spec is {DOCUMENTS / 'pets.yaml'}\n" in server.output.read_text()
        assert f"{DOCUMENTS / 'pets.yaml'}:" in server.errors.read_text()


def test_with_auth_it_knows_the_tokens_of_this_server(tmp_path: Path) -> None:
    settings = {"CLINIC_DATABASE_URL": NO_DATABASE, "CLINIC_SESSION_SECRET": SECRET}
    token = run_command(tmp_path, "token", "service", "task-runner", **settings).stdout.strip()
    with mocking(tmp_path, "--auth", **settings) as server:
        assert server.get(CLINIC, token).status == 200
        assert server.get(CLINIC, f"{token}x").status == 401


def test_large_bodies_of_those_who_are_refused_are_not_read(tmp_path: Path) -> None:
    with mocking(tmp_path) as server:
        assert server.request("PUT", CLINIC, json="x" * 100_000).status == 401
        assert server.request("PUT", CLINIC, "any token", json="x" * 2_000_000).status == 413


def test_an_operation_answers_as_soon_as_it_is_described(tmp_path: Path) -> None:
    spec = tmp_path / "spec"
    shutil.copytree(spec_folder(), spec)
    root = spec / "access.v1.yaml"
    good = root.read_text()
    new = good.replace("paths:\n", _NEW, 1)
    with mocking(tmp_path, "--reload") as server:
        assert server.get("/new", "any token").status == 404
        _save(root, new)
        _wait_for(server, "The spec was applied.")
        assert server.get("/new", "any token").json == {"size": 1}

        _save(root, new.replace("size: 1", "size: one"))
        _wait_for(server, "access.v1.yaml:")
        assert "the example does not fit its schema at /size (type)" in server.errors.read_text()
        assert server.get("/new", "any token").json == {"size": 1}


# Without `x-access`, which the service would not start without.
_NEW = """paths:
  /new:
    get:
      operationId: GetNew
      responses:
        '200':
          description: Something new.
          content:
            application/json:
              schema:
                type: object
                properties:
                  size:
                    type: integer
              example:
                size: 1
"""


def test_one_file_and_those_it_refers_to_are_taken_over_on_save(tmp_path: Path) -> None:
    shutil.copytree(DOCUMENTS, tmp_path / "documents")
    part = tmp_path / "documents" / "shared" / "event.yaml"
    with mocking(tmp_path, "--reload", "--spec", "documents/events.yml") as server:
        assert server.get("/events/2026-7").json["number"] == 7
        _save(part, part.read_text().replace("number: 7", "number: 8"))
        _wait_for(server, "The spec was applied.")
        assert server.get("/events/2026-7").json["number"] == 8
        # What is no part of it does not matter.
        assert server.errors.read_text().count("was applied") == 1


def _save(file: Path, text: str) -> None:
    later = file.stat().st_mtime + 5
    file.write_text(text)
    os.utime(file, (later, later))


def _wait_for(server: ServerProcess, words: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_NOTICE
    while words not in server.errors.read_text():
        assert time.monotonic() < deadline, server.errors.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("arguments", [(), ("--reload",)])
def test_a_document_that_cannot_be_served_ends_it_with_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = tmp_path / "swagger.yaml"
    file.write_text("swagger: '2.0'\n")
    given = ["mock", "--port", str(free_port()), "--spec", str(file), *arguments]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last == f"Error: The spec cannot be served: {file}:1: OpenAPI 2.0 is not read, only 3.0 is"


def test_help_says_what_auth_does_not_decide() -> None:
    text = " ".join(CliRunner().invoke(main, ["mock", "--help"]).stdout.split())
    assert (
        "member, admin, custodian, delegate and invite-creator depend on stored data, so here they admit every caller"
        in text
    )
