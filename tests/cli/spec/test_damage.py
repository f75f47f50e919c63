"""Damaged YAML crashes nothing: `spec check` reports it, the other subcommands print what they can, and `serve --reload`
keeps the last good state."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from clinic_service.api.parameters import PlanError
from clinic_service.cli.spec.access import access
from clinic_service.cli.spec.check.layers import own_findings
from clinic_service.cli.spec.coverage import coverage, coverage_table
from clinic_service.cli.spec.stub import stub
from clinic_service.specification.apis import API_NAMES, Api, load_api
from clinic_service.specification.source import SpecError
from tests.support.damage import DAMAGES, damaged
from tests.support.edited_spec import EditedSource
from tests.support.rounds import rounds
from tests.support.small import compile_plans

PLACES = rounds(1)


@pytest.mark.parametrize("kind", DAMAGES)
def test_any_damage_is_survived(kind: str) -> None:
    random = Random(f"{kind} 1")
    for _ in range(PLACES):
        survive(kind, random)


def survive(kind: str, random: Random) -> None:
    """Damage the spec at some place, and read it as `clinic-service spec` and as the server does."""
    file, line, text = damaged(DAMAGES[kind], random)
    note = f"{kind} in {file}:{line}"
    try:
        findings = own_findings(EditedSource(file, text), None)
        source = EditedSource(file, text)
        with suppress(SpecError):
            apis = [load_api(source, name) for name in API_NAMES]
            print_all(apis)
            with suppress(PlanError):
                compile_plans(apis)
    except Exception as error:
        raise AssertionError(note) from error
    assert all(finding.file.is_relative_to(source.folder) and finding.line >= 1 for finding in findings), note


def print_all(apis: list[Api]) -> None:
    """Ask for all that `spec coverage`, `spec access` and `spec stub` can print."""
    coverage_table(coverage(apis, Path()))
    access(apis)
    for api in apis:
        for operation in api.operations:
            stub(api, operation)
