"""`spec check` on the real spec, and on the spec with one fault each: it names the file and line of the culprit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clinic_service.cli.spec.check import check
from clinic_service.cli.spec.check.layers import own_findings
from clinic_service.cli.spec.check.standard import standard_findings
from clinic_service.packaged import spec_folder
from clinic_service.specification.source import Source
from tests.support.edited_spec import EditedSource, spec_text

TESTS = Path(__file__).parents[2]
ROOT = "clinic.v1.yaml"
CLINICS = "clinic/paths/clinics.yaml"
SITES = "clinic/paths/sites.yaml"
SCALARS = "clinic/schemas/scalars.yaml"
PAGING = "clinic/parameters/paging.yaml"
TAG = "clinic/schemas/patientTag.v1.yaml"
PERMISSIONS = "access/schemas/userpermissions.v1.yaml"

# What is wrong: (file, text that stands there, what it becomes, words of the finding). The finding is on the line where
# the two texts begin to differ, unless a fifth member names a text that begins the line.
FAULTS: dict[str, tuple[str, ...]] = {
    "type that there is not": (PAGING, "type: integer", "type: int", "must be one of"),
    "emptied responses": (
        CLINICS,
        "    responses:\n",
        "    responses:\n    x-writes:\n",
        "must be of the type object",
        "    responses:",
    ),
    "emptied list of parameters": (PAGING, "limit:\n  name: limit", "limit:\n  name:", "must be of the type string"),
    "emptied path": (
        ROOT,
        "  /v1/clinics:\n    $ref: clinic/paths/clinics.yaml#/Clinics\n",
        "  /v1/clinics:\n",
        "object",
        "  /v1/clinics:",
    ),
    "misspelt keyword": (SCALARS, "maxLength:", "maxLenght:", "'maxLenght' is not known here"),
    "misspelt member": (CLINICS, "    summary:", "    sumary:", "'sumary' is not known here"),
    "misspelt extension": (CLINICS, "    x-access:", "    x-acess:", "'x-acess' is not an extension"),
    "extension with a word for a number": (
        "clinic/paths/ehr.yaml",
        "x-max-body-bytes: 8",
        "x-max-body-bytes: x8",
        "must be a whole number",
    ),
    "extension with a text for a switch": (
        "clinic/paths/ehr.yaml",
        "x-any-content-type: true",
        "x-any-content-type: 'true'",
        "must be true",
    ),
    "another version": ("access.v1.yaml", "version: 2", "version: 3", "must carry the same version"),
    "format of a number that nobody enforces": (
        PAGING,
        "type: integer",
        "type: integer\n    format: int128",
        "'int128'",
    ),
    "unknown rule": (
        CLINICS,
        "x-access:\n      - service",
        "x-access:\n      - everybody",
        "everybody",
        "    x-access:",
    ),
    "rule on a missing parameter": (
        "clinic/paths/users.yaml",
        "x-access:\n      - service",
        "x-access:\n      - self:patientId",
        "self:patientId",
        "    x-access:",
    ),
    "no rule": (CLINICS, "    x-access:\n      - service\n", "", "has no x-access", "  get:"),
    "no word of the audit trail": (CLINICS, "    x-audit: none\n", "", "has no x-audit", "  get:"),
    "unknown word of the audit trail": (CLINICS, "x-audit: none", "x-audit: nobody", "'nobody'"),
    "subject that is no parameter": (
        "clinic/paths/users.yaml",
        "x-audit: subject:userId",
        "x-audit: subject:patientId",
        "no parameter of the path",
    ),
    "place that the answer does not have": (
        "clinic/paths/patients.yaml",
        "x-audit: patients-in-answer:/data",
        "x-audit: patients-in-answer:/date",
        "'date', which the answer does not have",
    ),
    "reference to no file": (CLINICS, "clinics.v1.yaml", "klinics.v1.yaml", "points at a file that does not exist"),
    "reference to nothing": (ROOT, "clinics.yaml#/Clinics\n", "clinics.yaml#/Klinics\n", "points at nothing"),
    "reference to a component": (PAGING, "name: limit", "$ref: '#/components/parameters/limit'", "not to #/components"),
    "something beside a reference": (
        TAG,
        "$ref: ",
        "description: An id.\n    $ref: ",
        "'description' is ignored",
    ),
    "schema that nothing refers to": (SCALARS, "city.v1:", "dead.v1:\n  type: string\ncity.v1:", "refers to 'dead.v1'"),
    "path item that nothing refers to": (CLINICS, "Clinics:\n", "Dead: {}\nClinics:\n", "refers to 'Dead'"),
    "undeclared tag": (CLINICS, "tags:\n      - Clinics", "tags:\n      - Klinics", "'Klinics' is not declared"),
    "unused tag": (
        ROOT,
        "tags:\n  - name: Clinics",
        "tags:\n  - name: Nothing\n  - name: Clinics",
        "the tag 'Nothing'",
    ),
    "operationId twice": (SITES, "operationId: CreateSite", "operationId: ListClinics", "occurs twice"),
    "operationId in another form": (SITES, "operationId: CreateSite", "operationId: create_site", "not in PascalCase"),
    "renamed operationId": (SITES, "operationId: CreateSite", "operationId: CreateSites", "was CreateSites renamed?"),
    "nullable beside allOf": (
        "clinic/schemas/ehrSettings.v1.yaml",
        "    allOf:",
        "    nullable: true\n    allOf:",
        "nullable has no effect",
    ),
    "strict pattern": (SCALARS, "x-pattern: ^", "x-pattern: ^(", "does not compile"),
    "pattern of requests": (
        "clinic/schemas/clinician.v1.yaml",
        "x-request-pattern: ^(",
        "x-request-pattern: ^((",
        "does not compile",
    ),
    "pattern that engines read differently": (
        SCALARS,
        "pattern: ^[a-f0-9]{24}$",
        "pattern: ^\\w{24}$",
        "write such a rule in x-pattern",
    ),
    "look-ahead": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: ^(?=a)[a-f0-9]{24}$", "does not compile"),
    "look-behind": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: (?<!a)b", "does not compile"),
    "back-reference": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: ^(a)\\1$", "does not compile"),
    "POSIX class": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: '^[[:alpha:]]$'", "POSIX"),
    "named group": (
        SCALARS,
        "pattern: ^[a-f0-9]{24}$",
        "pattern: ^(?P<a>[a-f0-9]{24})$",
        "groups with a flag or a name",
    ),
    "flag in a pattern": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: (?i)^[a-f0-9]{24}$", "groups with a flag"),
    "possessive quantifier": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: ^[a-f0-9]++$", "possessive quantifiers"),
    "class in a class": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: ^[a-f[0-9]]{24}$", "in a class differently"),
    "anchor of some engines": (SCALARS, "pattern: ^[a-f0-9]{24}$", "pattern: \\A[a-f0-9]{24}$", "x-pattern"),
    "text without maxLength": (SCALARS, "  maxLength: 255\n", "", "needs maxLength", "city.v1:"),
    "number without maximum": (PAGING, "  maximum: 1000\n", "", "needs maximum", "  schema:"),
    "list without maxItems": (
        "clinic/schemas/clinics.v1.yaml",
        "maxItems:",
        "minItems:",
        "needs maxItems",
        "type: array",
    ),
    "example": (CLINICS, "preferredBgUnits: mg/dL", "preferredBgUnits: stone", "preferredBgUnits (enum)"),
    "default": (PAGING, "default: 10", "default: 0", "default does not fit"),
    "missing refusal": (
        CLINICS,
        "      '401':\n        $ref: ../../common/responses.yaml#/Unauthenticated\n",
        "",
        "can answer 401",
        "    responses:",
    ),
    "status in words": (CLINICS, "'401'", "'4XX'", "4XX is not a status"),
    "key twice": (CLINICS, "    summary:", "    summary: Twice\n    summary:", "occurs twice", "    summary: List"),
    "template mark": (ROOT, "info:", "x-access: '{{'\ninfo:", "template"),
    "flow style": (CLINICS, "tags:\n      - Clinics", "tags:  [Clinics]", "block style"),
    "no indentation": (CLINICS, "tags:\n      - Clinics", "tags:\n    - Clinics", "indented by two"),
    "long line": (CLINICS, "summary: List", "summary: " + "List " * 30, "at most 118 columns"),
    "time without quotes": (
        "common/responses.yaml",
        "5f0c7d1e9a3b4c6d8e2f1a0b",
        "2026-03-02T09:30:00Z",
        "in quotes",
    ),
    "URL in the comment": (CLINICS, "# /v1/clinics\n", "# /v1/klinics\n", "the comment above", "Clinics:"),
    "alternatives that look alike": (
        PERMISSIONS,
        "properties:\n  root:",
        "anyOf:\n  - $ref: permission.v1.yaml\n  - $ref: modifyuserpermissions.v1.yaml\nproperties:\n  root:",
        "cannot tell the alternatives of anyOf apart",
    ),
    "text and annotation in allOf": (
        SCALARS,
        "siteName.v1:\n",
        "siteName.v1:\n  allOf:\n    - type: string\n      maxLength: 9\n    - minLength: 1\n",
        "allOf must be objects with properties",
    ),
    "read-only schema": (SCALARS, "  maxLength: 24\n", "  maxLength: 24\n  readOnly: true\n", "say so at the property"),
    "read-only member that a request needs": (
        "clinic/schemas/siteInput.v1.yaml",
        "required:\n  - name",
        "required:\n  - id\n  - name",
        "a request needs 'id'",
        "required:",
    ),
    "required member with a default in a request": (
        "clinic/schemas/glycemicRangesInput.v1.yaml",
        "properties:\n",
        "required:\n  - type\nproperties:\n",
        "'type' has a default",
        "required:",
    ),
    "read-only member in the example of a request": (
        SITES,
        "            name: North Wing\n    responses:",
        "            id: 65f1c0de0a1b2c3d4e5f6b01\n            name: North Wing\n    responses:",
        "'id' is read-only",
    ),
    "member that a request cannot send back": (
        "clinic/schemas/siteInput.v1.yaml",
        "  numPatients:",
        "  countPatients:",
        "'numPatients' of the answer's schema is missing",
        "properties:",
    ),
    "further members of another type": (
        "access/schemas/modifyuserpermissions.v1.yaml",
        "  view:\n    $ref: permission.v1.yaml",
        "  view:\n    type: boolean\n    description: Reading.",
        "another type than the property 'view'",
        "  view:",
    ),
    "format that nobody checks": (SCALARS, "format: email", "format: e-mail", "does not enforce the format"),
    "values of one name": (
        SCALARS,
        "  enum:\n    - tier0100\n",
        "  enum:  # of tiers\n    - tier-x\n    - tier x\n    - tier0100\n",
        "get the name TIER_X",
    ),
    "names that differ by case": (
        SCALARS,
        "city.v1:\n",
        "City.V1:\n  type: string\n  maxLength: 9\n\ncity.v1:\n  allOf:\n    - $ref: '#/City.V1'\n",
        "the schemas 'City.V1' and 'city.v1' get the same name",
        "city.v1:",
    ),
    "members that differ by case": (TAG, "  numPatients:", "  Name:", "get the same name in generated code"),
    "one request for two URLs": (
        "access.v1.yaml",
        "/access/groups/{userId}:",
        "/access/{groups}/{userId}:",
        "the same request fits",
        "  /access/{sharerId}/{userId}:",
    ),
    "no license": (ROOT, "  license:\n", "  x-license:\n", "info has no license", "info:"),
    "other version": (ROOT, "openapi: 3.0.3", "openapi: 3.0.2", "must be OpenAPI 3.0.3"),
    "writes said of a method that writes": (
        SITES,
        "    operationId: CreateSite\n",
        "    x-writes: true\n    operationId: CreateSite\n",
        "x-writes must be true on a GET, false on another method",
    ),
    "object without a tag": (
        "clinic/paths/migrations.yaml",
        "          ETag:\n            $ref: ../../common/headers.yaml#/ETag\n",
        "",
        "the header ETag",
        "      '202':",
    ),
    "change without a condition": (
        CLINICS,
        "parameters.yaml#/ifMatch\n",
        "parameters.yaml#/ifNoneMatch\n",
        "UpdateClinic must declare the parameter If-Match",
        "  put:",
    ),
    "condition without its refusal": (
        CLINICS,
        "      '412':\n        $ref: ../../common/responses.yaml#/PreconditionFailed\n",
        "",
        "UpdateClinic must declare the parameter If-Match",
        "  put:",
    ),
    "key that is not declared": (
        SITES,
        "parameters.yaml#/idempotencyKey\n",
        "parameters.yaml#/ifMatch\n",
        "CreateSite must declare the parameter Idempotency-Key",
        "  post:",
    ),
    "limit that is not declared": (
        SITES,
        "      '429':\n        $ref: ../../common/responses.yaml#/TooManyRequests\n",
        "",
        "CreateSite can answer 429",
        "    responses:",
    ),
    "limit without its headers": (
        SITES,
        "      '429':\n        $ref: ../../common/responses.yaml#/TooManyRequests\n",
        "      '429':\n        $ref: ../../common/responses.yaml#/Unavailable\n",
        "the answer 429 must declare the headers RateLimit, RateLimit-Policy",
        "      '429':",
    ),
    "page without links": (
        CLINICS,
        "        headers:\n          Link:\n            $ref: ../../common/headers.yaml#/Link\n",
        "",
        "the header Link",
        "      '200':",
    ),
    "URL and parameters differ": (
        "access.v1.yaml",
        "  /access/groups/{userId}:\n",
        "  /access/groups/{user}:\n",
        "differ",
    ),
    "handler does not fit": (
        CLINICS,
        "- name: shareCode\n",
        "- name: codeShared\n",
        "spec and handler differ",
        "  get:",
    ),
}


def test_the_spec_has_no_faults() -> None:
    assert check(spec_folder(), TESTS) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_file_and_line(name: str) -> None:
    name_of_file, old, new, words, *begins = FAULTS[name]
    file = spec_folder() / name_of_file
    before = spec_text(file)
    assert old in before
    text = before.replace(old, new, 1)
    findings = [f for f in own_findings(EditedSource(file, text), None) if words in f.message]
    assert findings, "the fault was not found"
    expected = _line_of(text, begins[0]) if begins else _changed_line(before, text)
    assert (findings[0].file, findings[0].line) == (file, expected)


def _changed_line(before: str, after: str) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next(number for number, (old, new) in enumerate(pairs, 1) if old != new)


def _line_of(text: str, beginning: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(beginning))


def test_a_removed_operation_leaves_a_handler_without_one() -> None:
    file = spec_folder() / SITES
    text = spec_text(file).replace("operationId: CreateSite", "operationId: Xyz", 1)
    messages = [f.message for f in own_findings(EditedSource(file, text), None)]
    assert "the handler create_site of sites handles no operation of the spec" in messages


def test_the_validator_of_the_standard_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    shutil.copytree(spec_folder(), folder)
    access = folder / "access.v1.yaml"
    access.write_text(access.read_text().replace("/groups/{userId}:", "/groups/{user}:", 1))
    messages = [finding.message for finding in standard_findings(Source(folder), "access.v1.yaml")]
    assert any("'user'" in message and "was not resolved" in message for message in messages)


def test_a_handler_needs_a_test_file(tmp_path: Path) -> None:
    messages = [finding.message for finding in own_findings(Source(spec_folder()), tmp_path)]
    assert "GetClinician has a handler and no test file" in messages
