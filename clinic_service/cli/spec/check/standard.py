"""The faults that the validator of the standard finds. Nothing here needs our rules, which take long to import."""

from __future__ import annotations

from clinic_service.cli.spec.check.findings import SpecFinding, located
from clinic_service.specification.apis import load_file
from clinic_service.specification.source import Source, SpecError


def standard_findings(source: Source, file_name: str) -> list[SpecFinding]:
    """The faults that openapi-spec-validator finds in a document; none when its structure is wrong."""
    # Imported here, because it is slow to import and only this process needs it.
    from openapi_spec_validator import OpenAPIV30SpecValidator

    try:
        made = load_file(source, file_name).bundle
    except SpecError:
        # Our rules report it.
        return []
    try:
        errors = [
            (error.absolute_path, error.message) for error in OpenAPIV30SpecValidator(made.document).iter_errors()
        ]
    except Exception as error:
        # For some documents the validator itself fails, with errors of any type.
        errors = [((), f"openapi-spec-validator failed: {type(error).__name__}")]
    faults = ((made.place(list(path)), f"not valid OpenAPI: {message[:300]}") for path, message in errors)
    return list(located(source, faults))
