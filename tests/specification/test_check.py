"""`spec check` on the real spec, and on copies of it with one fault each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_service.packaged import spec_folder
from clinic_service.specification.check import check, own_findings, standard_findings

TESTS = Path(__file__).parents[1]


def test_the_spec_has_no_faults() -> None:
    assert check(spec_folder(), TESTS) == []


def _replace(file: str, old: str, new: str) -> Callable[[Path], tuple[str, int]]:
    """A fault in `file`: `old`, where it first stands, becomes `new`; gives the file and the line of the change."""

    def apply(folder: Path) -> tuple[str, int]:
        path = folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return path.name, text[: text.index(old)].count("\n") + 1

    return apply


CLINICS = "clinic/paths/clinics.yaml"
FAULTS = {
    "unknown rule": (_replace(CLINICS, "x-access:\n      - service", "x-access:\n      - everybody"), "everybody"),
    "rule on a missing parameter": (
        _replace("clinic/paths/users.yaml", "x-access:\n      - service", "x-access:\n      - self:patientId"),
        "self:patientId",
    ),
    "no rule": (_replace(CLINICS, "    x-access:\n      - service\n", ""), "x-access"),
    "no summary": (_replace(CLINICS, "    summary:", "    x-summary:"), "no summary"),
    "reference to nothing": (_replace(CLINICS, "clinics.v1.yaml", "klinics.v1.yaml"), "does not exist"),
    "pattern": (
        _replace("clinic/schemas/scalars.yaml", "pattern: ^[a-f0-9]{24}$", "pattern: '[[:nonsense'"),
        "compile",
    ),
    "strict pattern": (
        _replace("clinic/schemas/patientTag.v1.yaml", "x-pattern: ^", "x-pattern: ^("),
        "compile",
    ),
    "pattern of requests": (
        _replace("clinic/schemas/clinician.v1.yaml", "x-request-pattern: ^(", "x-request-pattern: ^(("),
        "compile",
    ),
    "example": (_replace(CLINICS, "preferredBgUnits: mg/dL", "preferredBgUnits: stone"), "preferredBgUnits (enum)"),
    "default": (_replace("clinic/parameters/paging.yaml", "default: 10", "default: 0"), "default does not fit"),
    "missing refusal": (
        _replace(CLINICS, "      '401':\n        $ref: ../../common/responses.yaml#/Unauthenticated\n", ""),
        "can answer 401",
    ),
    "key twice": (_replace(CLINICS, "    summary:", "    summary: Twice\n    summary:"), "stands twice"),
    "template mark": (_replace("clinic.v1.yaml", "info:", "x-note: '{{'\ninfo:"), "template"),
    "handler does not fit": (
        _replace(CLINICS, "      - name: shareCode\n", "      - name: codeShared\n"),
        "spec and handler differ",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_file_and_line(name: str, tmp_path: Path) -> None:
    fault, words = FAULTS[name]
    folder = tmp_path / "spec"
    shutil.copytree(spec_folder(), folder)
    file, line = fault(folder)
    findings = [finding for finding in own_findings(folder, None) if words in finding.message]
    assert findings, "the fault was not found"
    assert findings[0].file.is_relative_to(folder)
    if findings[0].file.name == file:
        # A fault of an operation may be told at a line of the operation further up.
        assert line - 70 <= findings[0].line <= line + 1


def test_what_the_standard_forbids_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    shutil.copytree(spec_folder(), folder)
    _replace("access.v1.yaml", "openapi: 3.0.3", "openapi: 3.0.3\nopenPaths: {}")(folder)
    assert "openPaths" in standard_findings(folder, "access.v1")[0].message


def test_a_handler_needs_a_test_file(tmp_path: Path) -> None:
    messages = [finding.message for finding in own_findings(spec_folder(), tmp_path)]
    assert "GetClinician has a handler and no test file" in messages
