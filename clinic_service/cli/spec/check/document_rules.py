"""The rules for every OpenAPI document, for `spec check --only-document` and for `mock`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clinic_service.api.validation import Validators
from clinic_service.cli.spec.check.findings import Faults
from clinic_service.cli.spec.check.pattern_rules import uncompiled_patterns
from clinic_service.cli.spec.check.schema_rules import value_faults
from clinic_service.mock.plans import compile_mock
from clinic_service.specification.apis import made_api
from clinic_service.specification.bundle import Bundle
from clinic_service.specification.source import Source
from clinic_service.specification.structure import structure_faults


def document_faults(made: Bundle) -> Faults:
    """The faults of a bundled document. Each rule relies on the rules before it."""
    faults = list(structure_faults(made))
    if not faults:
        api = made_api(made.root.file.stem, made)
        faults = list(uncompiled_patterns(api))
        if not faults:
            faults = [*value_faults(api, Validators(api.document)), *compile_mock(api).faults]
    yield from faults


def duplicate_keys(source: Source) -> Iterator[tuple[Path, int, str]]:
    """Keys that occur twice in the files that were read."""
    for file in source.read_files():
        yield from ((file, line, f"the key {key!r} occurs twice") for line, key in source.duplicate_keys(file))
