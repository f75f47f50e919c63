"""`clinic-service spec diff`: what it compares, what it prints, and when it ends with status 1."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clinic_service.cli import main
from clinic_service.packaged import spec_folder
from clinic_service.specification.apis import load_file
from clinic_service.specification.formats import as_json
from clinic_service.specification.source import Source
from tests.support.diffs import PETS, write

SITES = "spec/clinic/paths/sites.yaml"
# What the tests compare is the same for few operations as for many, and takes a tenth of the time.
OTHER_PATHS = re.compile(r"^  /v1/.*:\n    \$ref: (?!clinic/paths/sites\.yaml).*\n", re.MULTILINE)
NARROWED = PETS.replace("        - member\n", "        - admin\n")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of git with a part of the spec as announced, in which one access rule was removed after the commit."""
    shutil.copytree(spec_folder(), tmp_path / "spec", ignore=shutil.ignore_patterns("announced"))
    root = tmp_path / "spec" / "clinic.v1.yaml"
    root.write_text(OTHER_PATHS.sub("", root.read_text()))
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["spec", "announce"]).exit_code == 0
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=Ada", "-c", "user.email=ada@harbour.example", "commit", "-qm", "Add the spec"],
    ):
        subprocess.run(["git", *command], check=True)
    file = tmp_path / SITES
    file.write_text(file.read_text().replace("    x-access:\n      - service\n", "    x-access:\n", 1))
    return tmp_path


def diff(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["spec", "diff", *map(str, arguments)])


def test_a_revision_is_compared_with_the_files_of_the_checkout(checkout: Path) -> None:
    result = diff("HEAD")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    before = (spec_folder().parent / SITES).read_text()
    number = before[: before.index("      - service\n")].count("\n") + 1
    told = "breaking: CreateSite: 'service' alone is not enough any more [x-access-narrowed]"
    assert line == f"HEAD:{SITES}:{number}: {told}"
    assert "1 breaking change is not announced" in result.stderr
    assert checkout.is_dir()


def test_two_revisions_are_compared(checkout: Path) -> None:
    subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@harbour.example", "commit", "-qam", "x"], check=True
    )
    assert diff("HEAD", "HEAD").stdout == ""
    assert diff("HEAD~1", "HEAD").stdout == diff("HEAD~1").stdout != ""
    back = diff("HEAD", "HEAD~1")
    assert back.exit_code == 0
    assert f"HEAD~1:{SITES}:" in back.stdout
    assert "additive: " in back.stdout
    assert (checkout / "spec").is_dir()


def test_the_announced_version_is_what_one_compares_with_by_default(checkout: Path) -> None:
    announced = diff("spec/announced")
    assert "x-access-narrowed" in announced.stdout
    assert diff().stdout == announced.stdout
    assert diff("spec/announced", "spec").stdout == announced.stdout
    assert (checkout / "spec" / "announced").is_dir()


def test_a_version_is_announced_once_its_breaking_changes_are(checkout: Path) -> None:
    announced = checkout / "spec" / "announced"
    before = {file.name: file.read_text() for file in announced.iterdir()}
    refused = CliRunner().invoke(main, ["spec", "announce"])
    assert refused.exit_code == 1
    assert "1 breaking change is not announced" in refused.stderr
    assert {file.name: file.read_text() for file in announced.iterdir()} == before

    present = json.loads(before["clinic.v1.json"])["info"]["version"]
    following = f"{int(present.partition('.')[0]) + 1}.0.0"
    for root in (checkout / "spec").glob("*.yaml"):
        root.write_text(root.read_text().replace(f"version: {present}", f"version: {following}"))
    changelog = checkout / "spec" / "CHANGELOG.md"
    entry = f"## {following}\n\n- `CreateSite`: no longer services (`x-access-narrowed`).\n\n## {present}"
    changelog.write_text(changelog.read_text().replace(f"## {present}", entry, 1))
    assert "breaking (announced): CreateSite" in diff().stdout
    made = CliRunner().invoke(main, ["spec", "announce"])
    assert (made.exit_code, made.stderr) == (0, "")
    assert f"clinic.v1 {following} is the announced version." in made.stdout
    assert diff().output == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("no-such-thing", "'no-such-thing' is no file, no folder of a spec and no revision"),
        ("--output=x", "No such option"),
        ("empty", "is not the folder of a spec"),
        ("notes.txt", "needs the object `paths`"),
    ],
)
def test_what_is_no_spec_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no spec")
    monkeypatch.chdir(tmp_path)
    result = diff(given)
    assert result.exit_code != 0
    assert words in result.stderr
    assert result.stdout == ""


def test_documents_without_a_name_in_common_are_refused(tmp_path: Path) -> None:
    result = diff(spec_folder(), write(tmp_path, PETS))
    assert result.exit_code == 1
    assert "no document of the same name" in result.stderr


def test_yaml_and_json_of_one_document_do_not_differ(tmp_path: Path) -> None:
    file = write(tmp_path, PETS)
    (tmp_path / "pets.json").write_text(as_json(load_file(Source(tmp_path), "pets.yaml").document))
    result = diff(file, tmp_path / "pets.json")
    assert (result.exit_code, result.output) == (0, "")


def test_json_has_every_change_with_its_operations(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", PETS), write(tmp_path / "new", NARROWED)
    result = diff("--json", old, new)
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "class": "breaking",
            "id": "x-access-narrowed",
            "file": str(old),
            "line": PETS.splitlines().index("        - member") + 1,
            "text": "'member' alone is not enough any more",
            "operations": ["GetPet"],
            "unannounced": ["GetPet"],
        }
    ]


ENTRY = "- `GetPet`: only admins may call it any more,\n  for their eyes only (`x-access-narrowed`).\n"


@pytest.mark.parametrize(
    ("version", "changelog", "status"),
    [
        ("2.0.0", f"# Changes\n\n## 2.0.0\n\n{ENTRY}\n## 1.0.0\n", 0),
        ("2.0.0", f"## 2.0.0\n\n- Other.\n{ENTRY}- Another.\n", 0),
        ("1.1.0", f"## 1.1.0\n\n{ENTRY}", 1),
        ("1.0.0", f"## 1.0.0\n\n{ENTRY}", 1),
        ("2.0.0", f"## 2.0.0\n\n## 1.0.0\n\n{ENTRY}", 1),
        ("2.0.0", f"## 2.0.1\n\n{ENTRY}", 1),
        ("2.0.0", "## 2.0.0\n\n- `GetPet`: changed.\n- `x-access-narrowed`.\n", 1),
        ("2.0.0", "## 2.0.0\n\n- `PutPet`: `x-access-narrowed`.\n", 1),
        ("2.0.0", "## 2.0.0\n\n- GetPet: x-access-narrowed.\n", 1),
        ("2.0.0", None, 1),
    ],
)
def test_a_breaking_change_must_be_announced(tmp_path: Path, version: str, changelog: str | None, status: int) -> None:
    old = write(tmp_path / "old", PETS)
    new = write(tmp_path / "new", NARROWED.replace("version: 1.0.0", f"version: {version}"))
    if changelog:
        (tmp_path / "new" / "CHANGELOG.md").write_text(changelog)
    result = diff(old, new)
    assert result.exit_code == status
    assert ("breaking (announced): GetPet" in result.stdout) == (status == 0)


def test_harmless_changes_need_no_announcement(tmp_path: Path) -> None:
    edited = PETS.replace("        - member\n", "        - person\n").replace("title: Pets", "title: Cats")
    result = diff(write(tmp_path / "old", PETS), write(tmp_path / "new", edited))
    assert result.exit_code == 0
    assert [line.split(": ")[1] for line in result.stdout.splitlines()] == ["additive", "words"]


def test_one_change_in_many_operations_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    shutil.copytree(spec_folder(), folder)
    file = folder / "clinic" / "schemas" / "scalars.yaml"
    text = file.read_text()
    file.write_text(text.replace("maxLength: 255", "maxLength: 256", 1))
    lines = diff(spec_folder(), folder).stdout.splitlines()
    assert len(lines) == 2
    assert all(f"{file}:{text[: text.index('maxLength: 255')].count(chr(10)) + 1}: " in line for line in lines)
    assert "ListClinics, CreateClinic, GetClinicByShareCode, GetClinic and " in lines[0]
