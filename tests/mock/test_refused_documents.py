"""What the mock cannot serve is refused at the start, with a sentence that names file and line."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from clinic_service.cli.spec.check import check_document
from clinic_service.cli.spec.check.layers import document_findings
from clinic_service.mock.app import Choices, create_mock
from clinic_service.mock.document import load_documents
from clinic_service.specification.source import Source, SpecError
from tests.support.damage import DAMAGES, is_key
from tests.support.mocks import CONFIG, DOCUMENTS

GOOD = """\
openapi: 3.0.3
info:
  title: One
  version: '1'
paths:
  /one/{id}:
    parameters:
      - name: id
        in: path
        required: true
        schema:
          type: string
    get:
      operationId: one
      security:
        - key: []
      responses:
        '200':
          description: Done.
          content:
            application/json:
              schema:
                type: object
                required:
                  - size
                properties:
                  size:
                    type: integer
              example:
                size: 1
    put:
      operationId: two
      responses:
        '204':
          description: Done.
components:
  securitySchemes:
    key:
      type: apiKey
      in: header
      name: key
"""


class Case(NamedTuple):
    """What is replaced in the good document, and by what; the line that is at fault, and what is said of it."""

    old: str
    new: str
    line: str
    words: str

    @property
    def text(self) -> str:
        assert self.old in GOOD
        return GOOD.replace(self.old, self.new, 1)


CASES = {
    "another version": Case(
        "openapi: 3.0.3", "openapi: 3.1.0", "openapi: 3.1.0", "OpenAPI 3.1.0 is not read, only 3.0 is"
    ),
    "an older version": Case(
        "openapi: 3.0.3", "swagger: '2.0'", "swagger: '2.0'", "OpenAPI 2.0 is not read, only 3.0 is"
    ),
    "no OpenAPI": Case("openapi: 3.0.3", "asyncapi: 2.0.0", "asyncapi: 2.0.0", "this is no OpenAPI document"),
    "no YAML": Case("  title: One", "  title: [One", "  title: [One", "did not find expected"),
    "no structure": Case(
        "          description: Done.\n          content",
        "          content",
        "        '200':",
        "'description' is missing",
    ),
    "a reference to nothing": Case(
        "type: string",
        "$ref: '#/components/schemas/id'",
        "          $ref: '#/components/schemas/id'",
        "points at nothing",
    ),
    "an operationId that stands twice": Case(
        "operationId: two", "operationId: one", "      operationId: one", "the operationId 'one' occurs twice"
    ),
    "a scheme that is not declared": Case(
        "- key: []", "- token: []", "    get:", "one: the security scheme 'token' is not declared"
    ),
    "a parameter that is not in the URL": Case(
        "/one/{id}:", "/one/{ID}:", "  /one/{ID}:", "the URL /one/{ID} and the parameters in path differ"
    ),
    "a parameter that stands twice in the URL": Case(
        "/one/{id}:", "/one/{id}/{id}:", "  /one/{id}/{id}:", "and the parameters in path differ"
    ),
    "a query in the URL": Case("/one/{id}:", "/one/{id}?all:", "  /one/{id}?all:", "is no path of a URL"),
    "an example that does not fit": Case(
        "size: 1", "size: one", "                size: one", "the example does not fit its schema at /size (type)"
    ),
    "nothing to answer": Case("'204':", "'100':", "    put:", "two: no response can be an answer"),
    "a pattern that nobody reads": Case(
        "type: integer", "type: string\n                    pattern: '('", "    get:", "one: "
    ),
    "a schema without a value": Case(
        "              example:\n                size: 1",
        "                    minimum: 2\n                    maximum: 1",
        "            application/json:",
        "there is no example, and none can be made: no number is within the bounds of the schema",
    ),
    "XML of which there is no example": Case(
        "application/json:", "application/xml:", "          content:", "nothing can be answered in these media types"
    ),
}


def refused(file: Path) -> SpecError:
    with pytest.raises(SpecError) as caught:
        create_mock(CONFIG, load_documents(file), Choices())
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "one.yaml"


def test_the_document_that_the_cases_differ_from_is_good(file: Path) -> None:
    file.write_text(GOOD)
    create_mock(CONFIG, load_documents(file), Choices())
    assert check_document(file) == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_refusal_names_file_and_line(file: Path, case: Case) -> None:
    file.write_text(case.text)
    error = refused(file)
    assert case.words in error.message
    assert "\n" not in error.message
    # Of two lines that read alike the later one is meant.
    lines = case.text.splitlines()
    assert (error.file, error.line) == (file, len(lines) - lines[::-1].index(case.line))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_check_of_documents_finds_it_as_well(file: Path, case: Case) -> None:
    file.write_text(case.text)
    assert check_document(file)


def test_the_rules_of_this_project_are_not_asked_of_others(file: Path) -> None:
    """Neither `x-access` nor descriptions, bounds, order or names in PascalCase."""
    file.write_text(
        GOOD.replace("operationId: two", "operationId: get_two-THREE").replace(
            "required:\n", "x-foreign: 1\n                required:\n"
        )
    )
    assert check_document(file) == []


def test_defaults_and_examples_within_schemas_are_judged(file: Path) -> None:
    edited = "type: integer\n                    default: one\n                    example: 1.5"
    file.write_text(GOOD.replace("type: integer", edited))
    assert [(finding.line, finding.message) for finding in check_document(file)] == [
        (29, "default does not fit its schema at / (type)"),
        (30, "example does not fit its schema at / (type)"),
    ]


def test_keys_that_stand_twice_are_found(file: Path) -> None:
    file.write_text(GOOD + "info:\n  title: Two\n  version: '2'\n")
    assert [finding.message for finding in check_document(file)] == ["the key 'info' occurs twice"]


@pytest.mark.parametrize("kind", DAMAGES)
def test_any_damage_is_refused_with_its_place_or_served(tmp_path: Path, kind: str) -> None:
    random = Random(kind)
    lines = (DOCUMENTS / "pets.yaml").read_text().splitlines()
    places = [index for index, line in enumerate(lines) if is_key(line)]
    for index in random.sample(places, 12):
        text = "\n".join([*lines[:index], DAMAGES[kind](lines[index]), *lines[index + 1 :]])
        file = tmp_path / "pets.yaml"
        file.write_text(f"{text}\n")
        try:
            create_mock(CONFIG, load_documents(file), Choices())
        except SpecError as error:
            refusal = error
        else:
            continue
        assert refusal.line >= 1
        findings = document_findings(Source(tmp_path), file.name)
        assert findings, f"{kind} in line {index + 1} is refused, and the check does not say why"
