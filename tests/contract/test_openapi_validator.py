"""The documents are OpenAPI 3.0.3 to others as well, and their patterns mean the same to every reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from clinic_service.packaged import spec_folder
from clinic_service.specification.apis import Api
from tests.support.errors import spec_apis

APIS = pytest.mark.parametrize("api", spec_apis(), ids=lambda api: api.name)


@APIS
def test_the_validator_accepts_the_bundle(api: Api) -> None:
    assert api.document["openapi"] == "3.0.3"
    OpenAPIV30SpecValidator(api.document).validate()


def _patterns(node: Any, keyword: str = "pattern") -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get(keyword), str):
            yield node[keyword]
        for value in node.values():
            yield from _patterns(value, keyword)
    elif isinstance(node, list):
        for item in node:
            yield from _patterns(item, keyword)


PATTERNS = sorted({pattern for api in spec_apis() for pattern in _patterns(api.document)})
STRICT_PATTERNS = sorted({pattern for api in spec_apis() for pattern in _patterns(api.document, "x-pattern")})


@pytest.mark.parametrize("pattern", [*PATTERNS, *STRICT_PATTERNS])
def test_patterns_compile_in_the_engine_that_runs_them(pattern: str) -> None:
    options = jsonschema_rs.RegexOptions()
    schema = {"type": "string", "pattern": pattern}
    assert isinstance(jsonschema_rs.Draft4Validator(schema, pattern_options=options).is_valid("x"), bool)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_use_only_what_engines_agree_on(pattern: str) -> None:
    assert not re.search(r"\(\?[=!<]", pattern), "looks around"
    assert not re.search(r"\\[1-9]", pattern), "refers back"
    assert "[[:" not in pattern, "a POSIX class"
    assert not re.search(r"\\[AZzGQE<>]", pattern), "an anchor of one engine"
    assert not re.search(r"\\[sSwWbBpPuUhHxX](?![0-9A-Fa-f]{2})", pattern), "a class that engines read differently"
    re.compile(pattern)


def test_there_are_patterns() -> None:
    assert len(PATTERNS) > 10
    assert len(STRICT_PATTERNS) == 2


@pytest.mark.parametrize("file", sorted(spec_folder().glob("*.yaml")), ids=lambda file: file.name)
def test_root_files_hold_nothing_that_a_template_engine_would_take_for_its_own(file: Path) -> None:
    content = file.read_text(encoding="utf-8")
    for opening in ("{{", "{%", "{#"):
        assert opening not in content


def test_both_root_files_were_looked_at() -> None:
    assert [file.name for file in sorted(spec_folder().glob("*.yaml"))] == ["access.v1.yaml", "clinic.v1.yaml"]
