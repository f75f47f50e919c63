"""`spec check`: finds all faults of the spec, each with its file and line.

General linters do not know which engine runs the patterns, which handlers exist or what `x-access` means. This check does.
Its rules come in layers, and each layer relies on the ones before it: the files are YAML, references lead somewhere, the
structure is that of OpenAPI, patterns compile, and then everything else.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

from clinic_service.api.validation import Validators
from clinic_service.cli.spec.check.client_rules import client_faults
from clinic_service.cli.spec.check.document_rules import document_faults, duplicate_keys
from clinic_service.cli.spec.check.file_rules import dead_faults, file_findings
from clinic_service.cli.spec.check.findings import Faults, SpecFinding
from clinic_service.cli.spec.check.handler_rules import handler_faults
from clinic_service.cli.spec.check.operation_rules import operation_faults
from clinic_service.cli.spec.check.pattern_rules import pattern_faults
from clinic_service.cli.spec.check.schema_rules import schema_faults
from clinic_service.mock.document import require_version
from clinic_service.specification.apis import API_NAMES, Api, load_file, made_api
from clinic_service.specification.bundle import Bundle, bundle
from clinic_service.specification.source import Source, SpecError
from clinic_service.specification.structure import structure_faults


def check(folder: Path, tests: Path | None) -> list[SpecFinding]:
    """All faults of the spec under `folder`, sorted by file and line.

    `tests` is the folder of all tests; None: do not look for the tests of operations.
    """
    # The standard validator takes most of the time, so both documents are judged in parallel.
    with ProcessPoolExecutor(max_workers=len(API_NAMES)) as pool:
        judged = pool.map(standard_findings, (folder / f"{name}.yaml" for name in API_NAMES))
        # The standard validator often cannot name the line, so its faults are reported only when our rules find none.
        own = own_findings(Source(folder), tests)
        return sorted(set(own) or set(chain.from_iterable(judged)))


def check_document(file: Path) -> list[SpecFinding]:
    """All faults of `file` as an OpenAPI document, whoever wrote it: no rule of this project alone, and no handler."""
    own = document_findings(Source(file.parent), file.name)
    return sorted(set(own) or set(standard_findings(file)))


def document_findings(source: Source, file_name: str) -> list[SpecFinding]:
    """What keeps the document whose root file is `file_name` from being served by `clinic-service mock`."""
    try:
        require_version(source, source.folder / file_name)
        made = bundle(source, file_name)
    except SpecError as error:
        return [SpecFinding(error.file, error.line, error.message)]
    twice = [SpecFinding(file, line, message) for file, line, message in duplicate_keys(source)]
    return twice or list(_located(source, document_faults(made)))


def own_findings(source: Source, tests: Path | None) -> list[SpecFinding]:
    """The faults that our rules find. The structure of OpenAPI is one of these rules."""
    findings = list(file_findings(source))
    made = [one for name in API_NAMES if (one := _bundled(source, name, findings))]
    if len(made) == len(API_NAMES):
        findings.extend(_located(source, _faults(source, made, tests)))
    return findings


def standard_findings(file: Path) -> list[SpecFinding]:
    """The faults that openapi-spec-validator finds in the document `file`; none when its structure is wrong."""
    # Imported here, because it is slow to import and only this process needs it.
    from openapi_spec_validator import OpenAPIV30SpecValidator

    source = Source(file.parent)
    try:
        made = load_file(source, file.name).bundle
    except SpecError:
        # `own_findings` reports it.
        return []
    try:
        errors = [
            (error.absolute_path, error.message) for error in OpenAPIV30SpecValidator(made.document).iter_errors()
        ]
    except Exception as error:
        # The validator fails in many ways when a document is not as it expects.
        errors = [((), f"openapi-spec-validator failed: {type(error).__name__}")]
    faults = ((made.place(list(path)), f"not valid OpenAPI: {message[:300]}") for path, message in errors)
    return list(_located(source, faults))


def _bundled(source: Source, name: str, findings: list[SpecFinding]) -> Bundle | None:
    try:
        return bundle(source, f"{name}.yaml")
    except SpecError as error:
        findings.append(SpecFinding(error.file, error.line, error.message))
        return None


def _faults(source: Source, made: list[Bundle], tests: Path | None) -> Faults:
    yield from dead_faults(source)
    faults = [fault for one in made for fault in structure_faults(one)]
    if not faults:
        apis = [made_api(name, one) for name, one in zip(API_NAMES, made, strict=True)]
        faults = [fault for api in apis for fault in pattern_faults(api)] or list(_meaning_faults(source, apis, tests))
    yield from faults


def _meaning_faults(source: Source, apis: list[Api], tests: Path | None) -> Faults:
    for api in apis:
        yield from schema_faults(api, Validators(api.document))
        yield from client_faults(api)
    yield from operation_faults(source, apis)
    yield from handler_faults(apis, tests)


def _located(source: Source, faults: Faults) -> list[SpecFinding]:
    return [SpecFinding(place.file, source.line(place), message) for place, message in faults]
