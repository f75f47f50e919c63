"""The recipes of `.deploy/` with the real programs. A test is skipped where its program is missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from clinic_service.db.engine import normal_url
from tests.support.containers import Stage, stages
from tests.support.databases import create_database
from tests.support.links import linked
from tests.support.poolers import PGBOUNCER, running_pooler
from tests.support.processes import ROOT, free_port, run_command, serving, wait_for_port

DEPLOY = ROOT / ".deploy"
_NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_ANALYZE = shutil.which("systemd-analyze")
_PREFIX = "/clinics-api"
_NAME = "Carol"
_INSTALLING_SECONDS = 900


def _recipe(name: str, words: Mapping[str, object]) -> str:
    """The text of the recipe with other words, each of which must be in it."""
    recipe = (DEPLOY / name).read_text()
    for old, new in words.items():
        assert old in recipe
        recipe = recipe.replace(old, str(new))
    return recipe


@pytest.mark.skipif(_ANALYZE is None, reason="systemd-analyze is not installed")
class TestUnit:
    def test_systemd_accepts_it(self, tmp_path: Path) -> None:
        # The program is not installed in /opt here.
        unit = _recipe("clinic-service.service", {"/opt/clinic-service/bin/clinic-service": sys.executable})
        (tmp_path / "clinic-service.service").write_text(unit)
        done = _analyze("verify", "--man=no", str(tmp_path / "clinic-service.service"))
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    def test_little_of_the_machine_is_exposed(self) -> None:
        done = _analyze(
            "security", "--offline=yes", "--threshold=15", "--no-pager", str(DEPLOY / "clinic-service.service")
        )
        assert done.returncode == 0, done.stdout[-200:]


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert _ANALYZE
    return subprocess.run([_ANALYZE, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(_NGINX is None, reason="nginx is not installed")
class TestNginx:
    def test_passes_requests_on_and_keeps_nothing_of_them(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--demo", CLINIC_PATH_PREFIX=_PREFIX) as server, _nginx(tmp_path, server.port) as port:
            token = _demo_token(tmp_path)
            clinics = f"{_PREFIX}/v1/clinicians/ada0000001/clinics"
            status, body = _get(port, clinics, token)
            assert status == 200
            patients = f"{_PREFIX}/v1/clinics/{json.loads(body)[0]['clinic']['id']}/patients?search={_NAME}"
            status, body = _get(port, patients, token)
            assert (status, _NAME in body) == (200, True)
            assert _get(port, clinics, None)[0] == 401
            # The server itself refuses what is too large, with its own error body.
            status, body = _request(port, "POST", f"{_PREFIX}/v1/clinics", token, b'"' + b"x" * 3_000_000 + b'"')
            assert json.loads(body)["code"] == status
            assert 400 <= status < 500
            for hidden in ("metrics", "ready"):
                assert server.get(f"{_PREFIX}/{hidden}").status == 200
                assert _get(port, f"{_PREFIX}/{hidden}", None)[0] == 404
            assert _get(port, "/v1/clinics", token)[0] == 404
            server.stop()
            assert _get(port, patients, token)[0] == 502
        kept = [
            file.read_text() for file in (tmp_path / "nginx").rglob("*") if file.is_file() and file.suffix != ".conf"
        ]
        assert not [each for each in kept if _NAME in each]


@contextmanager
def _nginx(folder: Path, server_port: int) -> Iterator[int]:
    """The port of an nginx with the recipe before the server at `server_port`; its files are in `folder`/nginx."""
    assert _NGINX
    home, port = folder / "nginx", free_port()
    home.mkdir()
    words = {
        "127.0.0.1:8080": f"127.0.0.1:{server_port}",
        "127.0.0.1:80;": f"127.0.0.1:{port};",
        "/var/log/nginx": home,
    }
    recipe = _recipe("nginx.conf", words)
    paths = "".join(f"{each}_temp_path {home}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = home / "all.conf"
    file.write_text(f"daemon off; pid {home}/pid; events {{}} http {{ {paths}\n{recipe} }}")
    command = [_NGINX, "-p", str(home), "-e", str(home / "start.log"), "-c", str(file)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(command)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def _demo_token(folder: Path) -> str:
    database = "sqlite:///clinic-service-demo.db"
    return run_command(folder, "token", "user", "ada0000001", CLINIC_DATABASE_URL=database).stdout.strip()


def _get(port: int, path: str, token: str | None) -> tuple[int, str]:
    return _request(port, "GET", path, token, None)


def _request(port: int, method: str, path: str, token: str | None, body: bytes | None) -> tuple[int, str]:
    headers = {"X-Tidepool-Session-Token": token} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
def test_the_server_works_behind_pgbouncer(postgresql_url: str, tmp_path: Path) -> None:
    role, password = f"clinic_{uuid.uuid4().hex}", uuid.uuid4().hex
    with create_database(postgresql_url) as database_url, linked(database_url) as (link, _):
        name = make_url(database_url).database
        _on_server(
            database_url,
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
            f'ALTER DATABASE "{name}" OWNER TO {role}',
            f"GRANT ALL ON SCHEMA public TO {role}",
        )
        try:
            port = free_port()
            words = {
                "port=5432 dbname=clinic": f"port={link.port} dbname={name}",
                "listen_port = 6432": f"listen_port = {port}",
                "/etc/pgbouncer/userlist.txt": tmp_path / "userlist.txt",
            }
            (tmp_path / "userlist.txt").write_text(f'"{role}" "{password}"\n')
            (tmp_path / "pgbouncer.ini").write_text(_recipe("pgbouncer.ini", words))
            with running_pooler(tmp_path / "pgbouncer.ini", port):
                _work_through(
                    f"postgresql://{role}:{{}}@127.0.0.1:{port}/clinic?pooler=transaction", password, tmp_path
                )
        finally:
            _on_server(
                database_url, f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP OWNED BY {role}", f"DROP ROLE {role}"
            )


def _work_through(url: str, password: str, folder: Path) -> None:
    wrong = run_command(folder, "db", "upgrade", CLINIC_DATABASE_URL=url.format("wrong"))
    assert wrong.returncode == 1
    settings = {
        "CLINIC_DATABASE_URL": url.format(password),
        "CLINIC_SESSION_SECRET": "a secret of the tests, at least 32 bytes",
        "CLINIC_AUDIT_FOLDER": str(folder / "audit"),
    }
    upgraded = run_command(folder, "db", "upgrade", **settings)
    assert upgraded.returncode == 0, upgraded.stderr
    ada = run_command(folder, "users", "add", "--name", "Ada Archer", "--email", "ada@harbour.example", **settings)
    token = run_command(folder, "token", "user", ada.stdout.strip(), **settings).stdout.strip()
    with serving(folder, **settings) as server:
        made = server.request("POST", "/v1/clinics", token, {"name": "Harbour", "preferredBgUnits": "mg/dL"})
        assert made.status == 200
        for _ in range(20):
            assert server.get(f"/v1/clinics/{made.json['id']}", token).json["name"] == "Harbour"


def _on_server(url: str, *statements: str) -> None:
    engine = create_engine(normal_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


class TestContainer:
    """The instructions of the container file, carried out in a folder instead of a container."""

    def test_the_pinned_packages_are_complete_and_the_health_check_works(self, tmp_path: Path) -> None:
        build, run = stages(DEPLOY / "Containerfile")
        _build(build, tmp_path)
        variables = _variables(run, tmp_path)
        (tmp_path / "data").mkdir()
        [check] = [rest for word, rest in run if word == "HEALTHCHECK"]
        command = json.loads(check.partition(" CMD ")[2])
        [entry] = [json.loads(rest) for word, rest in run if word == "ENTRYPOINT"]
        port = str(free_port())
        environment = {**variables, "CLINIC_PORT": port, "CLINIC_PATH_PREFIX": _PREFIX}
        with (tmp_path / "server.txt").open("wb") as output:
            server = subprocess.Popen(
                [*entry, "serve"], cwd=tmp_path / "data", env=environment, stdout=output, stderr=output
            )
        try:
            deadline = time.monotonic() + 60
            while _status(command, environment) != 0:
                assert time.monotonic() < deadline, (tmp_path / "server.txt").read_text()
                time.sleep(0.2)
        finally:
            server.terminate()
            assert server.wait(timeout=60) == 0
        assert _status(command, environment) != 0
        assert {file.name for file in (tmp_path / "data").iterdir()} >= {"clinic-service.db", "audit"}


def _build(stage: Stage, folder: Path) -> None:
    """Carry out COPY and RUN of the first stage in `folder`/build; /opt is `folder`/opt."""
    place = folder / "build"
    place.mkdir()
    for word, rest in stage:
        if word == "COPY":
            *sources, target = rest.split()
            for source in map(ROOT.joinpath, sources):
                if source.is_dir():
                    shutil.copytree(source, place / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, place / target)
        elif word == "RUN":
            done = subprocess.run(
                ["sh", "-e", "-c", rest.replace("/opt/", f"{folder}/opt/")],
                cwd=place,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                timeout=_INSTALLING_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr


def _variables(stage: Stage, folder: Path) -> dict[str, str]:
    """What ENV sets, with the folders of the image in `folder`."""
    [text] = [rest for word, rest in stage if word == "ENV"]
    found = dict(each.split("=", 1) for each in text.split())
    placed = {name: re.sub(r"(?<![\w.])/(opt|data)/", rf"{folder}/\1/", value) for name, value in found.items()}
    return {**placed, "PATH": placed["PATH"].replace("$PATH", os.environ["PATH"])}


def _status(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False).returncode
