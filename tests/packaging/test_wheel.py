"""The wheel works where there is no checkout: it carries the spec, the revisions and the pages."""

from __future__ import annotations

import json
import subprocess
import sys
from email.parser import Parser
from pathlib import Path

import pytest

from tests.support.processes import ROOT, environment
from tests.support.wheel import unpacked_wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel, as an installation would have it."""
    return unpacked_wheel(tmp_path_factory.mktemp("wheel"))


def _run(installed: Path, folder: Path, *arguments: str) -> str:
    settings = environment({}) | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-W", "ignore", "-m", "clinic_service", *arguments]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_but_the_package_is_in_it(installed: Path) -> None:
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"clinic_service"}


def test_the_spec_is_in_it(installed: Path, tmp_path: Path) -> None:
    rows = json.loads(_run(installed, tmp_path, "spec", "coverage", "--json"))
    assert "GetClinic" in {row["operationId"] for row in rows}


def test_the_revisions_are_in_it(installed: Path, tmp_path: Path) -> None:
    _run(installed, tmp_path, "db", "upgrade")
    assert "up to date" in _run(installed, tmp_path, "db", "check")


def test_pages_and_mail_templates_are_in_it(installed: Path) -> None:
    package = installed / "clinic_service"
    assert (package / "api" / "assets" / "scalar" / "standalone.js").is_file()
    assert (package / "api" / "assets" / "scalar" / "THIRD-PARTY-NOTICES.txt").is_file()
    here = {path.name for path in (ROOT / "clinic_service" / "outbox" / "templates").iterdir() if path.is_file()}
    assert {path.name for path in (package / "outbox" / "templates").iterdir() if path.is_file()} == here


def test_the_licence_is_in_it_and_in_its_metadata(installed: Path) -> None:
    [folder] = installed.glob("*.dist-info")
    metadata = Parser().parsestr((folder / "METADATA").read_text())
    assert metadata["License-Expression"] == "BSD-2-Clause"
    assert metadata.get_all("License-File") == ["clinic_service/LICENSE"]
    text = (folder / "licenses" / "clinic_service" / "LICENSE").read_text()
    assert text == (installed / "clinic_service" / "LICENSE").read_text()
    assert text.startswith("BSD 2-Clause License")


def test_type_checkers_of_clients_find_its_annotations(installed: Path) -> None:
    assert (installed / "clinic_service" / "py.typed").is_file()
