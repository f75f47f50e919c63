"""`spec check` on a spec with many mistakes: it tells each of them, with its file and line, in one run and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from clinic_service.cli import main
from clinic_service.cli.spec.check.layers import own_findings
from clinic_service.packaged import spec_folder
from clinic_service.reloading import spec_check
from clinic_service.specification.source import Source

# A mistake: (file, text that stands there, what it becomes, words of the finding). The finding is on the line where the two
# texts begin to differ, or on the last line before it that begins with a fifth member.
MISTAKES: dict[str, tuple[str, ...]] = {
    "bad YAML": ("clinic/paths/settings.yaml", "summary: Get", "summary: [Get", "did not find expected"),
    "bad reference": ("clinic/paths/tags.yaml", "patientTag.v1.yaml", "patientTab.v1.yaml", "does not exist"),
    "missing x-access": (
        "clinic/paths/sites.yaml",
        "    x-access:\n      - service\n      - admin\n",
        "",
        "CreateSite has no x-access",
        "  post:",
    ),
    "example against its schema": (
        "clinic/paths/clinics.yaml",
        "preferredBgUnits: mg/dL",
        "preferredBgUnits: stone",
        "preferredBgUnits (enum)",
    ),
    "duplicate operationId": (
        "clinic/paths/merges.yaml",
        "operationId: MergeClinic",
        "operationId: GenerateMergeReport",
        "occurs twice",
    ),
    "schema that nobody uses": (
        "clinic/schemas/scalars.yaml",
        "city.v1:",
        "dead.v1:\n  type: string\ncity.v1:",
        "nothing refers to 'dead.v1'",
    ),
    "parameter that is not in the path": (
        "access.v1.yaml",
        "  /access/groups/{userId}:\n",
        "  /access/groups/{user}:\n",
        "the parameters in path differ",
    ),
    "unportable pattern": (
        "common/schemas/scalars.yaml",
        "pattern: ^[a-f0-9]{24}$",
        "pattern: ^(?=a)[a-f0-9]{24}$",
        "does not compile",
    ),
}
# What a mistake makes wrong elsewhere.
CONSEQUENCES = {
    "duplicate operationId": ["the handler merge_clinic of merges handles no operation", "spec and handler differ"],
    "parameter that is not in the path": ["spec and handler differ", "self:userId"],
}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    folder = tmp_path / "spec"
    shutil.copytree(spec_folder(), folder)
    return folder


def make(spec: Path, name: str) -> tuple[Path, int, str]:
    """Make the mistake `name`, and tell the file, the line and words of its finding."""
    file_name, old, new, words, *before = MISTAKES[name]
    file = spec / file_name
    text = file.read_text()
    assert old in text
    edited = text.replace(old, new, 1)
    file.write_text(edited)
    pairs = list(zip(text.splitlines(), edited.splitlines(), strict=False))
    line = next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
    while before and not edited.splitlines()[line - 1].startswith(before[0]):
        line -= 1
    return file, line, words


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_alone(spec: Path, name: str) -> None:
    file, line, words = make(spec, name)
    findings = set(own_findings(Source(spec), None))
    culprits = [found for found in findings if words in found.message]
    assert [(found.file, found.line) for found in culprits] == [(file, line)]
    rest = [str(found) for found in findings if found not in culprits]
    assert all(any(words in one for words in CONSEQUENCES.get(name, [])) for one in rest), rest


def test_all_mistakes_are_told_at_once(spec: Path) -> None:
    made = [make(spec, name) for name in MISTAKES]
    result = CliRunner().invoke(main, ["spec", "check", "--folder", str(spec)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines == spec_check("--folder", str(spec))(), "what `serve --reload` tells"
    for file, line, words in made:
        assert [one for one in lines if one.startswith(f"{file}:{line}: ") and words in one], words


def test_mistakes_in_one_operation_do_not_hide_each_other(spec: Path) -> None:
    """One operation has a reference that leads nowhere and no rules, and another one of the file a misspelt member."""
    file = spec / "clinic" / "paths" / "sites.yaml"
    text = file.read_text()
    text = text.replace("site.v1.yaml", "cite.v1.yaml", 1).replace(
        "    x-access:\n      - service\n      - admin\n", "", 1
    )
    file.write_text(text.replace("operationId: DeleteSite\n", "operationId: DeleteSite\n    sumary: Twice.\n"))
    messages = [found.message for found in own_findings(Source(spec), None)]
    assert sum("points at a file that does not exist" in one for one in messages) == 1
    assert "CreateSite has no x-access" in messages
    assert "'sumary' is not known here" in messages


def test_malformed_parts_of_an_operation_hide_no_mistake_in_the_rest(spec: Path) -> None:
    file, line, twice = make(spec, "duplicate operationId")
    before, mark, after = file.read_text().rpartition("operationId: GenerateMergeReport")
    for old, new in (
        ("    requestBody:\n      required: true", "    requestBody:\n      required: maybe"),
        ("    parameters:\n      -", "    parameters:\n      - in: nowhere\n      -"),
        ("    responses:\n", "    responses:\n      600: {}\n"),
    ):
        assert old in after
        after = after.replace(old, new, 1)
    file.write_text(before + mark + after)
    findings = list(own_findings(Source(spec), None))
    for words in ("must be of the type boolean", "must be one of query", "'600' is not known here"):
        assert [found.message for found in findings if words in found.message], words
    assert [found.line for found in findings if twice in found.message] == [line]


def test_a_root_file_that_is_no_yaml_hides_nothing_of_the_other_api(spec: Path) -> None:
    root = spec / "access.v1.yaml"
    root.write_text(root.read_text().replace("info:", "info: ]", 1))
    file, line, words = make(spec, "missing x-access")
    findings = [(found.file, found.line, found.message) for found in own_findings(Source(spec), None)]
    assert {found[0] for found in findings} == {root, file}
    assert any(found[:2] == (file, line) and words in found[2] for found in findings)
