"""Our rules, in layers: the files are YAML, the references have targets, the structure is that of OpenAPI, the patterns
compile; then all other rules.

Each layer relies on the layers before it. Parts with a fault are removed before the next layer runs, so that one run finds
the faults of all layers.
"""

from __future__ import annotations

from pathlib import Path

from clinic_service.api.validation import Validators
from clinic_service.cli.spec.check.client_rules import client_faults
from clinic_service.cli.spec.check.file_rules import dead_faults, file_findings
from clinic_service.cli.spec.check.findings import Faults, SpecFinding, located
from clinic_service.cli.spec.check.handler_rules import handler_faults
from clinic_service.cli.spec.check.operation_rules import operation_faults
from clinic_service.cli.spec.check.pattern_rules import pattern_faults
from clinic_service.cli.spec.check.repair import operations_with_gaps, without_faulty, without_patterns
from clinic_service.cli.spec.check.schema_rules import schema_faults
from clinic_service.specification.apis import API_NAMES, Api, made_api
from clinic_service.specification.bundle import Bundle, bundle
from clinic_service.specification.source import Source, SpecError
from clinic_service.specification.structure import structure_errors


def own_findings(source: Source, tests: Path | None) -> list[SpecFinding]:
    """The faults that our rules find in both APIs. `tests` is the folder of all tests; None: do not look for tests."""
    findings = [*file_findings(source), *located(source, dead_faults(source))]
    made = {name: one for name in API_NAMES if (one := _bundled(source, name, findings))}
    findings.extend(located(source, _faults(source, made, tests)))
    return findings


def document_findings(source: Source, file_name: str) -> list[SpecFinding]:
    """The faults because of which `clinic-service mock` cannot serve the document whose root file is `file_name`."""
    # Imported here, because the rules of this project do not need the mock.
    from clinic_service.cli.spec.check.document_rules import document_faults, duplicate_keys
    from clinic_service.mock.document import require_version

    try:
        require_version(source, source.folder / file_name)
        made = bundle(source, file_name)
    except SpecError as error:
        return [SpecFinding.of(error)]
    twice = [SpecFinding(file, line, message) for file, line, message in duplicate_keys(source)]
    return twice or located(source, document_faults(made))


def _bundled(source: Source, name: str, findings: list[SpecFinding]) -> Bundle | None:
    try:
        return bundle(source, f"{name}.yaml", lambda error: findings.append(SpecFinding.of(error)))
    except SpecError as error:
        findings.append(SpecFinding.of(error))
        return None


def _faults(source: Source, made: dict[str, Bundle], tests: Path | None) -> Faults:
    apis: list[Api] = []
    validators: dict[str, Validators] = {}
    for name, one in made.items():
        errors = list(structure_errors(one))
        yield from ((one.place(keys), message) for keys, message in errors)
        if without_faulty(one, [keys for keys, _ in errors]):
            apis.append(made_api(name, one))
    for api in apis:
        faults = list(pattern_faults(api))
        yield from faults
        without_patterns(api, {place for place, _ in faults})
        # Shared by all rules, because they compile the same schemas.
        validators[api.name] = Validators(api.document)
        yield from schema_faults(api, validators[api.name])
        yield from client_faults(api)
    damaged = {place for api in apis for place in operations_with_gaps(api)}
    at_fault = list(operation_faults(source, apis, validators, damaged))
    yield from at_fault
    # Operations with a fault are left out: it would be reported again as a difference to the handler.
    yield from handler_faults(apis, validators, tests, damaged | {place for place, _ in at_fault})
