"""However the YAML is damaged, `spec check` tells of it and `serve --reload` keeps the last good state: neither crashes."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from clinic_service.api.parameters import PlanError
from clinic_service.cli.spec.check import own_findings
from clinic_service.specification.apis import API_NAMES, load_api
from clinic_service.specification.source import SpecError
from tests.support.damage import DAMAGES, damaged
from tests.support.edited_spec import EditedSource
from tests.support.small import compile_plans

PLACES = 3


@pytest.mark.parametrize("kind", DAMAGES)
def test_any_damage_is_survived(kind: str) -> None:
    random = Random(f"{kind} 1")
    for _ in range(PLACES):
        survive(kind, random)


def survive(kind: str, random: Random) -> None:
    """Damage the spec at some place, and read it as `spec check` and as the server does."""
    file, line, text = damaged(DAMAGES[kind], random)
    note = f"{kind} in {file}:{line}"
    try:
        findings = own_findings(EditedSource(file, text), None)
        source = EditedSource(file, text)
        with suppress(SpecError, PlanError):
            compile_plans([load_api(source, name) for name in API_NAMES])
    except Exception as error:
        raise AssertionError(note) from error
    assert all(finding.file.is_relative_to(source.folder) and finding.line >= 1 for finding in findings), note
