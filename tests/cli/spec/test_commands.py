"""`clinic-service spec`: which spec it looks at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from clinic_service.cli import main
from clinic_service.packaged import edited_spec_folder, spec_folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose spec has one operation by another name, which has no handler."""
    shutil.copytree(spec_folder(), tmp_path / "spec")
    file = tmp_path / "spec" / "clinic" / "paths" / "merges.yaml"
    file.write_text(file.read_text().replace("operationId: MergeClinic", "operationId: UniteClinics"))
    return tmp_path


@pytest.mark.parametrize("inside", [".", "spec", "spec/clinic/paths", "tests/api"])
def test_the_spec_of_the_checkout_one_stands_in_comes_first(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    (checkout / inside).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(checkout / inside)
    assert edited_spec_folder() == checkout / "spec"
    result = CliRunner().invoke(main, ["spec", "coverage"])
    assert "UniteClinics" in result.stdout


def test_elsewhere_it_is_the_one_that_came_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec").mkdir()
    monkeypatch.chdir(tmp_path)
    assert edited_spec_folder() == spec_folder()


def test_check_says_which_spec_it_looks_at(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    result = CliRunner().invoke(main, ["spec", "check"])
    assert result.stderr.startswith(f"Checking {checkout / 'spec'}\n")
    assert result.exit_code == 1
    assert "the handler merge_clinic of merges handles no operation of the spec" in result.stdout


def test_the_list_of_operations_says_what_each_one_has(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "tests" / "api" / "merges").mkdir(parents=True)
    (checkout / "tests" / "api" / "merges" / "test_generate_merge_report.py").touch()
    monkeypatch.chdir(checkout)
    lines = CliRunner().invoke(main, ["spec", "coverage"]).stdout.splitlines()
    index = next(index for index, line in enumerate(lines) if line.startswith("UniteClinics"))
    assert lines[index].split()[1:] == ["service", "400", "401", "403", "404"]
    assert lines[index + 1].split() == ["no", "handler", "(501)", "409", "413", "415", "422"]
    assert lines[index + 2].split() == ["no", "file", "api/merges/test_unite_clinics.py", "429", "500", "503"]
    index = next(index for index, line in enumerate(lines) if line.startswith("GenerateMergeReport"))
    assert lines[index + 1].split()[0] == "merges.handlers.generate_merge_report"
    assert lines[index + 2].split() == ["api/merges/test_generate_merge_report.py", "503"]
    assert lines[-1] == "91 of 92 operations are implemented."
    assert max(map(len, lines)) <= 120


def test_the_skeletons_of_an_operation_are_printed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    text = CliRunner().invoke(main, ["spec", "stub", "UniteClinics"]).stdout
    assert "from clinic_service.context import Context" in text
    assert "def unite_clinics(ctx: Context, clinic_id: str, body: Any) -> None:" in text
    assert "tests/api/merges/test_unite_clinics.py" in text
    assert "class MergeClinicSchema(WireSchema):" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("operationId: CreateSite\n", "operationId: CreateSites\n"),
        ("    x-access:\n      - service\n      - admin\n", "    x-access:\n"),
        ("    x-access:\n      - service\n      - admin\n", "    x-access:\n      - 5\n"),
        ("    x-access:\n      - service\n      - admin\n", "    x-access: 5\n"),
    ],
    ids=["renamed operation", "no rules", "number among the rules", "number in place of rules"],
)
@pytest.mark.parametrize("subcommand", ["coverage", "access", "stub"])
def test_a_spec_that_check_finds_fault_with_is_looked_at_all_the_same(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, subcommand: str, old: str, new: str
) -> None:
    file = checkout / "spec" / "clinic" / "paths" / "sites.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    monkeypatch.chdir(checkout)
    arguments = ["UniteClinics"] if subcommand == "stub" else []
    result = CliRunner().invoke(main, ["spec", subcommand, *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "UniteClinics" in result.stdout or "unite_clinics" in result.stdout
