"""`spec diff` on single edits of a small spec: class, id, file and line of each change, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.diffs import PETS, reported, write

# A bound: (the keyword and its value, the beginning and the end of the id, whether the sender breaks when it grows).
BOUNDS = [
    ("maxLength", 24, "request-parameter", "max-length", False),
    ("maximum", 11, "request-parameter", "max", False),
    ("maxLength", 50, "request-property", "max-length", False),
    ("minLength", 5, "request-property", "min-length", True),
    ("minimum", 6, "request-property", "min", True),
    ("maximum", 60, "request-property", "max", False),
    ("maxItems", 9, "request-property", "max-items", False),
    ("minItems", 7, "request-property", "min-items", True),
    ("maxLength", 51, "request-property", "max-length", False),
    ("maximum", 13, "response-header", "max", True),
    ("maxLength", 30, "response-property", "max-length", True),
    ("minLength", 3, "response-property", "min-length", False),
    ("minimum", 10, "response-property", "min", False),
    ("maximum", 40, "response-property", "max", True),
    ("maxItems", 8, "response-property", "max-items", True),
    ("minItems", 2, "response-property", "min-items", False),
    ("maxLength", 31, "response-property", "max-length", True),
]


@pytest.mark.parametrize(("keyword", "value", "subject", "end", "breaks"), BOUNDS)
def test_bounds(tmp_path: Path, keyword: str, value: int, subject: str, end: str, breaks: bool) -> None:
    old, level = f"{keyword}: {value}\n", {True: "breaking", False: "additive"}
    whole_line = next(line for line in PETS.splitlines(keepends=True) if line.endswith(old))
    is_request = subject.startswith("request")
    larger, smaller = f"{level[breaks]} {subject}-{end}-increased", f"{level[not breaks]} {subject}-{end}-decreased"
    assert_told(tmp_path / "size", old, f"{keyword}: {value + 1}\n", larger, smaller)
    unset, is_set = f"{level[not is_request]} {subject}-{end}-unset", f"{level[is_request]} {subject}-{end}-set"
    assert_told(tmp_path / "whole", whole_line, "", unset, is_set)


_OTHER_URL = (
    "breaking api-path-removed-without-deprecation @     get:; additive endpoint-added @     get:; "
    "breaking api-path-removed-without-deprecation @     put:; additive endpoint-added @     put:"
)
# What is edited: (a text of the spec, what it becomes, the changes, the changes of the way back). A change is written
# `class id`, with `@` and the beginning of its line where that is not the line on which the texts begin to differ.
EDITS = {
    "operation": (
        "    put:\n",
        "    patch:\n",
        "breaking api-removed-without-deprecation; additive endpoint-added",
        "breaking api-removed-without-deprecation; additive endpoint-added",
    ),
    "deprecated operation": (
        "    put:\n      operationId: PutPet\n",
        "    patch:\n      deprecated: true\n      operationId: PutPet\n",
        "breaking api-removed-without-deprecation; additive endpoint-added",
        "breaking api-removed-with-deprecation; additive endpoint-added",
    ),
    "URL": (
        "  /pets/{petId}:\n",
        "  /cats/{petId}:\n",
        _OTHER_URL,
        _OTHER_URL,
    ),
    "operationId": (
        "operationId: GetPet\n",
        "operationId: FetchPet\n",
        "breaking api-operation-id-removed",
        "breaking api-operation-id-removed",
    ),
    "no operationId": (
        "      operationId: GetPet\n",
        "",
        "breaking api-operation-id-removed",
        "additive api-operation-id-added",
    ),
    "tag": (
        "      tags:\n        - Pets\n",
        "      tags:\n        - Animals\n",
        "words api-tag-removed; words api-tag-added",
        "words api-tag-removed; words api-tag-added",
    ),
    "deprecated": (
        "      summary: Get a pet\n",
        "      deprecated: true\n      summary: Get a pet\n",
        "words endpoint-deprecated",
        "words endpoint-reactivated",
    ),
    "summary": ("summary: Get a pet", "summary: Fetch a pet", "words summary-changed", "words summary-changed"),
    "title of the document": ("title: Pets", "title: Cats", "words title-changed", "words title-changed"),
    "server": (
        "  - url: https://pets.example\n",
        "  - url: https://pets2.example\n",
        "breaking api-server-removed; additive api-server-added",
        "breaking api-server-removed; additive api-server-added",
    ),
    "member to admin": (
        "        - member\n",
        "        - admin\n",
        "breaking x-access-narrowed",
        "additive x-access-widened",
    ),
    "member to service": (
        "        - member\n",
        "        - service\n",
        "breaking x-access-narrowed; additive x-access-widened",
        "breaking x-access-narrowed; additive x-access-widened",
    ),
    "rule goes": ("        - admin\n", "", "breaking x-access-narrowed", "additive x-access-widened"),
    "self to person": (
        "        - self:petId\n",
        "        - person\n",
        "additive x-access-widened",
        "breaking x-access-narrowed",
    ),
    "security scheme more": (
        "  - token: []\n",
        "  - token: []\n    key: []\n",
        "breaking api-security-removed @ security:",
        "additive api-security-added @ security:",
    ),
    "security alternative": (
        "  - token: []\n",
        "  - token: []\n  - key: []\n",
        "additive api-security-added @ security:",
        "breaking api-security-removed @ security:",
    ),
    "no security": (
        "      operationId: GetPet\n",
        "      security: []\n      operationId: GetPet\n",
        "additive api-security-removed",
        "breaking api-security-added @ security:",
    ),
    "definition of a scheme": (
        "      name: x-key\n",
        "      name: x-other-key\n",
        "breaking api-security-component-changed @     key:",
        "breaking api-security-component-changed @     key:",
    ),
    "bytes of a body": (
        "x-max-body-bytes: 4096\n",
        "x-max-body-bytes: 2048\n",
        "breaking request-body-max-bytes-decreased",
        "additive request-body-max-bytes-increased",
    ),
    "default bytes of a body": (
        "      x-max-body-bytes: 4096\n",
        "",
        "additive request-body-max-bytes-increased",
        "breaking request-body-max-bytes-decreased",
    ),
    "seconds": (
        "x-max-seconds: 60\n",
        "x-max-seconds: 50\n",
        "breaking request-max-seconds-decreased",
        "additive request-max-seconds-increased",
    ),
    "any content type": (
        "      x-max-seconds: 60\n",
        "      x-any-content-type: true\n      x-max-seconds: 60\n",
        "additive x-any-content-type-added",
        "breaking x-any-content-type-removed",
    ),
    # Parameters
    "parameter": (
        "        - name: order\n",
        "        - name: sort\n",
        "breaking request-parameter-removed; additive new-optional-request-parameter",
        "breaking request-parameter-removed; additive new-optional-request-parameter",
    ),
    "required parameter": (
        "        - name: order\n          in: query\n",
        "        - name: sort\n          required: true\n          in: query\n",
        "breaking request-parameter-removed; breaking new-required-request-parameter",
        "breaking request-parameter-removed; additive new-optional-request-parameter",
    ),
    "parameter becomes required": (
        "          style: form\n",
        "          required: true\n          style: form\n",
        "breaking request-parameter-became-required",
        "additive request-parameter-became-optional",
    ),
    "style of a parameter": (
        "          style: form\n",
        "          style: pipeDelimited\n",
        "breaking request-parameter-style-changed @         - name: order",
        "breaking request-parameter-style-changed @         - name: order",
    ),
    "default of a parameter": (
        "            default: 1\n",
        "            default: 2\n",
        "breaking request-parameter-default-value-changed",
        "breaking request-parameter-default-value-changed",
    ),
    "no default of a parameter": (
        "            default: 1\n",
        "",
        "breaking request-parameter-default-value-removed",
        "breaking request-parameter-default-value-added",
    ),
    "value of a parameter": (
        "              - desc\n",
        "",
        "breaking request-parameter-enum-value-removed",
        "additive request-parameter-enum-value-added",
    ),
    "values of a parameter": (
        "            enum:\n              - asc\n              - desc\n",
        "",
        "additive request-parameter-became-not-enum",
        "breaking request-parameter-became-enum",
    ),
    "type of a parameter": (
        "            type: integer\n            maximum: 11\n",
        "            type: number\n            maximum: 11\n",
        "additive request-parameter-type-generalized",
        "breaking request-parameter-type-specialized",
    ),
    "words of a parameter": (
        "description: How far.",
        "description: How deep.",
        "words description-changed",
        "words description-changed",
    ),
    # Request bodies
    "body becomes optional": (
        "        required: true\n        content:\n",
        "        content:\n",
        "additive request-body-became-optional",
        "breaking request-body-became-required",
    ),
    "media type of a body": (
        "          application/json:\n            schema:\n              $ref: '#/components/schemas/petUpdate'\n",
        "          application/xml:\n            schema:\n              $ref: '#/components/schemas/petUpdate'\n",
        "breaking request-body-media-type-removed; additive request-body-media-type-added",
        "breaking request-body-media-type-removed; additive request-body-media-type-added",
    ),
    "example of a body": (
        "              name: Rex\n",
        "              name: Max\n",
        "words example-changed @             example:",
        "words example-changed @             example:",
    ),
    "type of a body": (
        "    petUpdate:\n      type: object\n",
        "    petUpdate:\n",
        "additive request-body-type-generalized",
        "breaking request-body-type-specialized",
    ),
    "property of a request": (
        "        mood:\n",
        "        temper:\n",
        "breaking request-property-removed; additive new-optional-request-property",
        "breaking request-property-removed; additive new-optional-request-property",
    ),
    "required property of a request": (
        "        - name\n",
        "        - name\n        - mood\n",
        "breaking request-property-became-required",
        "additive request-property-became-optional",
    ),
    "new required property of a request": (
        "        - name\n      properties:\n",
        "        - name\n        - soon\n      properties:\n        soon:\n          type: string\n",
        "breaking new-required-request-property @         soon:",
        "breaking request-property-removed @         soon:",
    ),
    "required property with a default": (
        "        - name\n      properties:\n",
        "        - name\n        - soon\n      properties:\n        soon:\n          type: string\n          default: x\n",
        "additive new-required-request-property-with-default @         soon:",
        "breaking request-property-removed @         soon:",
    ),
    "property becomes read-only": (
        "          type: number\n",
        "          readOnly: true\n          type: number\n",
        "breaking request-optional-property-became-read-only",
        "additive request-optional-property-became-not-read-only",
    ),
    "read-only property": (
        "          readOnly: true\n",
        "",
        "additive request-optional-property-became-not-read-only",
        "breaking request-optional-property-became-read-only",
    ),
    "value of a request": (
        "            - wild\n",
        "",
        "breaking request-property-enum-value-removed",
        "additive request-property-enum-value-added",
    ),
    "values of a request": (
        "          enum:\n            - calm\n            - wild\n",
        "",
        "additive request-property-became-not-enum",
        "breaking request-property-became-enum",
    ),
    "null in a request": (
        "          maximum: 60\n          nullable: true\n",
        "          maximum: 60\n",
        "breaking request-property-became-not-nullable",
        "additive request-property-became-nullable",
    ),
    "empty text in a request": (
        "          type: string\n          format: date\n",
        "          x-may-be-empty: true\n          type: string\n          format: date\n",
        "additive request-property-x-may-be-empty-set",
        "breaking request-property-x-may-be-empty-unset",
    ),
    "format in a request": (
        "          format: date\n",
        "          format: date-time\n",
        "breaking request-property-type-changed",
        "breaking request-property-type-changed",
    ),
    "no format in a request": (
        "          format: date\n",
        "",
        "additive request-property-type-generalized",
        "breaking request-property-type-specialized",
    ),
    "enforced pattern of a request": (
        "x-request-pattern: ^[A-M]\n",
        "x-request-pattern: ^[A-N]\n",
        "breaking request-property-pattern-changed",
        "breaking request-property-pattern-changed",
    ),
    "pattern that another one replaces": (
        "          pattern: ^[A-Z]\n",
        "          pattern: ^[A-Y]\n",
        "words pattern-changed",
        "words pattern-changed",
    ),
    "new pattern of a request": (
        "          type: number\n",
        "          pattern: ^x\n          type: number\n",
        "breaking request-property-pattern-added",
        "additive request-property-pattern-removed",
    ),
    "distinct items": (
        "          uniqueItems: true\n",
        "",
        "additive request-property-unique-items-unset",
        "breaking request-property-unique-items-set",
    ),
    "exclusive bound": (
        "          maximum: 60\n",
        "          exclusiveMaximum: true\n          maximum: 60\n",
        "breaking request-property-exclusive-max-set",
        "additive request-property-exclusive-max-unset",
    ),
    "multiple": (
        "          minimum: 6\n",
        "          multipleOf: 2\n          minimum: 6\n",
        "breaking request-property-multiple-of-added",
        "additive request-property-multiple-of-removed",
    ),
    "further members of a request": (
        "additionalProperties: true\n",
        "additionalProperties: false\n",
        "breaking request-property-additional-properties-disallowed",
        "additive request-property-additional-properties-allowed",
    ),
    "alternative of a request": (
        "          anyOf:\n            - $ref: '#/components/schemas/person'\n",
        "          anyOf:\n",
        "breaking request-property-any-of-removed",
        "additive request-property-any-of-added",
    ),
    "default of a property": (
        "          type: number\n",
        "          default: 7\n          type: number\n",
        "additive request-property-default-value-added",
        "additive request-property-default-value-removed",
    ),
    # Responses
    "success": (
        "        '204':\n",
        "        '202':\n",
        "breaking response-success-status-removed; additive response-success-status-added",
        "breaking response-success-status-removed; additive response-success-status-added",
    ),
    "refusal": (
        "        '404':\n",
        "        '410':\n",
        "additive response-non-success-status-removed; additive response-non-success-status-added",
        "additive response-non-success-status-removed; additive response-non-success-status-added",
    ),
    "words of a response": (
        "description: There is none.",
        "description: It is not there.",
        "words description-changed",
        "words description-changed",
    ),
    "media type of an answer": (
        "            application/json:\n",
        "            application/xml:\n",
        "breaking response-media-type-removed; additive response-media-type-added",
        "breaking response-media-type-removed; additive response-media-type-added",
    ),
    "required header": (
        "            x-count:\n",
        "            x-total:\n",
        "breaking required-response-header-removed; additive response-header-added",
        "breaking required-response-header-removed; additive response-header-added",
    ),
    "header becomes optional": (
        "              required: true\n              schema:\n                type: integer\n",
        "              schema:\n                type: integer\n",
        "breaking response-header-became-optional",
        "additive response-header-became-required",
    ),
    "optional property of an answer": (
        "        note:\n",
        "        remark:\n",
        "breaking response-optional-property-removed; additive response-optional-property-added",
        "breaking response-optional-property-removed; additive response-optional-property-added",
    ),
    "property that is a reference": (
        "        home:\n",
        "        shelter:\n",
        "breaking response-optional-property-removed; additive response-optional-property-added",
        "breaking response-optional-property-removed; additive response-optional-property-added",
    ),
    "required property of an answer": (
        "      required:\n        - id\n        - kind\n      properties:\n        id:\n",
        "      required:\n        - key\n        - kind\n      properties:\n        key:\n",
        "breaking response-required-property-removed @         id:; "
        "additive response-required-property-added @         key:",
        "breaking response-required-property-removed @         key:; "
        "additive response-required-property-added @         id:",
    ),
    "property of an answer becomes optional": (
        "        - kind\n",
        "",
        "breaking response-property-became-optional",
        "additive response-property-became-required",
    ),
    "property of an answer may be absent": (
        "          type: string\n          maxLength: 30\n",
        "          x-answer-may-be-absent: true\n          type: string\n          maxLength: 30\n",
        "breaking response-property-became-optional @         - id",
        "additive response-property-became-required @         - id",
    ),
    "property of an answer is write-only": (
        "          format: email\n",
        "          writeOnly: true\n          format: email\n",
        "breaking response-optional-property-became-write-only",
        "additive response-optional-property-became-not-write-only",
    ),
    "value of an answer": (
        "            - dog\n",
        "            - dog\n            - fox\n",
        "breaking response-property-enum-value-added",
        "additive response-property-enum-value-removed",
    ),
    "values of an answer": (
        "          enum:\n            - cat\n            - dog\n",
        "",
        "breaking response-property-became-not-enum",
        "additive response-property-became-enum",
    ),
    "null in an answer": (
        "          maximum: 40\n          nullable: true\n",
        "          maximum: 40\n",
        "additive response-property-became-not-nullable",
        "breaking response-property-became-nullable",
    ),
    "type in an answer": (
        "          type: integer\n          minimum: 10\n",
        "          type: number\n          minimum: 10\n",
        "breaking response-property-type-generalized",
        "additive response-property-type-specialized",
    ),
    "other type in an answer": (
        "          type: integer\n          minimum: 10\n",
        "          type: boolean\n          minimum: 10\n",
        "breaking response-property-type-changed",
        "breaking response-property-type-changed",
    ),
    "pattern of an answer": (
        "          pattern: ^[a-f]+$\n",
        "          pattern: ^[a-f]*$\n",
        "breaking response-property-pattern-changed",
        "breaking response-property-pattern-changed",
    ),
    "no pattern of an answer": (
        "          pattern: ^[a-f]+$\n",
        "",
        "breaking response-property-pattern-removed",
        "additive response-property-pattern-added",
    ),
    "strict pattern of an answer": (
        "          pattern: ^[a-f]+$\n",
        "          x-pattern: ^[a-f]+$\n          pattern: ^[a-z]+$\n",
        "words pattern-changed @           pattern: ^[a-z]+$",
        "words pattern-changed",
    ),
    "further members of an answer": (
        "          type: object\n          additionalProperties: false\n",
        "          type: object\n",
        "breaking response-property-additional-properties-allowed",
        "additive response-property-additional-properties-disallowed",
    ),
    "alternative of an answer": (
        "          oneOf:\n            - $ref: '#/components/schemas/person'\n",
        "          oneOf:\n",
        "additive response-property-one-of-removed",
        "breaking response-property-one-of-added",
    ),
    "words of an answer": (
        "description: A pet as it is answered.",
        "description: A pet.",
        "words description-changed",
        "words description-changed",
    ),
    "unknown extension": (
        "          format: email\n",
        "          x-colour: red\n          format: email\n",
        "words x-colour-changed",
        "words x-colour-changed",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits(tmp_path: Path, name: str) -> None:
    assert_told(tmp_path, *EDITS[name])


def assert_told(folder: Path, old: str, new: str, there: str, back: str) -> None:
    """Replace `old` by `new` in the small spec: exactly the changes `there` are told, and `back` for the inverse."""
    assert PETS.count(old) == 1, "the text must be unique"
    edited = PETS.replace(old, new)
    folder.mkdir(exist_ok=True)
    before, after = write(folder / "before", PETS), write(folder / "after", edited)
    pairs = zip(PETS.splitlines(), edited.splitlines(), strict=False)
    differing = next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
    for one, other, expected in ((before, after, there), (after, before, back)):
        told = sorted((line.level, line.id, line.line) for line in reported(one, other))
        assert told == sorted(_parsed(change, differing, other, one) for change in expected.split("; "))
        assert {line.file for line in reported(one, other)} <= {str(one), str(other)}


def _parsed(change: str, differing: int, new: Path, old: Path) -> tuple[str, str, int]:
    told, _, beginning = change.partition(" @ ")
    level, id_ = told.split(" ")
    if not beginning:
        return level, id_, differing
    lines = (list(enumerate(file.read_text().splitlines(), 1)) for file in (new, old))
    return level, id_, next(number for text in lines for number, line in text if line.startswith(beginning))
