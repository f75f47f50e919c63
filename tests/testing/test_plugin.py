"""The pytest plugin in a project that has nothing but pytest and the wheel."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gates import wait_until
from tests.support.processes import environment
from tests.support.wheel import unpacked_wheel

_SECONDS = 300
# Also a project that treats every warning as an error may use the plugin.
_PYTEST = (sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-q")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_wheel(tmp_path_factory.mktemp("wheel"))


class Project:
    """A project with tests of its own."""

    def __init__(self, folder: Path, installed: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\n")
        self._environment = {**environment({"TMPDIR": str(folder)}), "PYTHONPATH": str(installed)}
        self._environment.pop("PYTEST_ADDOPTS", None)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*_PYTEST, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """What pytest prints."""
        process = self.start(*arguments)
        try:
            return process.communicate(timeout=_SECONDS)[0]
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def project(tmp_path: Path, installed: Path) -> Project:
    return Project(tmp_path, installed)


def test_a_project_with_tests_that_run_in_two_processes(project: Project) -> None:
    shutil.copy(Path(__file__).with_name("consumer.py"), project.folder / "test_consumer.py")
    printed = project.run("-n", "2")
    assert "6 passed" in printed, printed
    assert "failed" not in printed


def test_a_run_without_the_fixtures_imports_nothing_of_the_server(project: Project) -> None:
    project.write(
        "test_other.py",
        """
import sys

def test_other():
    own = {name for name in sys.modules if name.startswith("clinic_service")}
    assert own == {"clinic_service", *(f"clinic_service.testing{end}" for end in ("", ".plugin", ".servers"))}
    assert not {"sqlalchemy", "connexion", "jwt", "httpx", "click", "orjson", "sqlite3"} & set(sys.modules)
""",
    )
    assert "1 passed" in project.run()


def test_settings_come_from_a_fixture_of_the_project(project: Project) -> None:
    project.write(
        "test_settings.py",
        """
import http.client, pytest
from urllib.parse import urlsplit

@pytest.fixture(scope="session")
def clinic_server_settings():
    tokens = {"CLINIC_SESSION_ISSUER": "https://issuer.example", "CLINIC_SESSION_AUDIENCE": "clinics"}
    return {"CLINIC_PATH_PREFIX": "/here", "CLINIC_REDOX_VERIFICATION_TOKEN": "a secret of redox", **tokens}

@pytest.mark.parametrize(("secret", "status"), [("a secret of redox", 200), ("another", 401)])
def test_redox(clinic_server, secret, status):
    parts = urlsplit(clinic_server.url)
    assert parts.path == "/here"
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    body = '{"verification-token": "%s", "challenge": "5c1c7a6e"}' % secret
    connection.request("POST", "/here/v1/redox/verify", body, {"Content-Type": "application/json"})
    assert connection.getresponse().status == status
    connection.close()
""",
    )
    printed = project.run()
    assert "2 passed" in printed, printed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"CLINIC_DATABASE_URL": "sqlite:///mine.db"}, "clinic_server_settings must not set CLINIC_DATABASE_URL"),
        ({"CLINIC_WORKERS": "many"}, "CLINIC_WORKERS must be a whole number."),
    ],
)
def test_settings_that_cannot_be_used_are_named(project: Project, settings: dict[str, str], message: str) -> None:
    project.write(
        "test_settings.py",
        f"""
import pytest

@pytest.fixture(scope="session")
def clinic_server_settings():
    return {settings}

def test_it(clinic_server):
    pass
""",
    )
    printed = project.run()
    assert message in printed
    assert "1 error" in printed


def test_the_server_ends_with_a_run_that_is_killed(project: Project) -> None:
    project.write(
        "test_killed.py",
        """
import os, signal

def test_killed(clinic_server):
    print(f"the server is {clinic_server.url}.", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    with project.start("-s") as process:
        printed = process.stdout.read() if process.stdout else ""
    assert process.returncode == -signal.SIGKILL, printed
    port = int(printed.partition("the server is http://127.0.0.1:")[2].partition(".")[0])
    wait_until(lambda: _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
