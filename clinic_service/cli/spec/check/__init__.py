"""`spec check`: finds all faults of the spec, each with its file and line.

General linters do not know which engine runs the patterns, which handlers exist or what `x-access` means. This check does.
`layers.py` runs our rules in their order, and `standard.py` runs the general validator of OpenAPI documents.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from clinic_service.cli.child import in_child
from clinic_service.cli.spec.check.findings import SpecFinding
from clinic_service.cli.spec.check.standard import standard_findings
from clinic_service.specification.apis import API_NAMES
from clinic_service.specification.source import Source


def check(folder: Path, tests: Path | None) -> list[SpecFinding]:
    """All faults of the spec under `folder`, sorted by file and line.

    `tests` is the folder of all tests; None: do not look for the tests of operations.
    """
    source = Source(folder)
    # Read first, so that the child process does not have to.
    source.read()
    # The standard validator takes long, so it works at the same time, and begins before our rules load.
    judged = in_child(partial(_standard, source))
    from clinic_service.cli.spec.check.layers import own_findings

    # The standard validator often cannot name the line, so its faults are reported only when our rules find none.
    return sorted(set(own_findings(source, tests)) or set(judged()))


def check_document(file: Path) -> list[SpecFinding]:
    """All faults of `file` by the rules for every OpenAPI document, without the rules and handlers of this project."""
    source = Source(file.parent)
    judged = in_child(partial(standard_findings, source, file.name))
    from clinic_service.cli.spec.check.layers import document_findings

    return sorted(set(document_findings(source, file.name)) or set(judged()))


def _standard(source: Source) -> list[SpecFinding]:
    return [found for name in API_NAMES for found in standard_findings(source, f"{name}.yaml")]
