"""Reading YAML with places, and bundling it."""

from __future__ import annotations

from pathlib import Path

import pytest

from clinic_service.specification.bundle import bundle
from clinic_service.specification.source import Place, Source, SpecError

ROOT = """\
openapi: 3.0.3
paths:
  /pets/{petId}:
    $ref: paths.yaml#/Pet
components:
  securitySchemes:
    token:
      $ref: security.yaml#/token
"""
PATHS = """\
Pet:
  parameters:
    - $ref: parameters.yaml#/petId
  get:
    operationId: GetPet
    responses:
      '200':
        content:
          application/json:
            schema:
              $ref: schemas/pet.v1.yaml
            example:
              name: 2026-01-05
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "root.yaml").write_text(ROOT)
    (tmp_path / "paths.yaml").write_text(PATHS)
    (tmp_path / "parameters.yaml").write_text(
        "petId:\n  name: petId\n  in: path\n  schema:\n    $ref: scalars.yaml#/id\n"
    )
    (tmp_path / "scalars.yaml").write_text("id:\n  type: string\n")
    (tmp_path / "security.yaml").write_text("token:\n  type: http\n")
    (tmp_path / "schemas" / "pet.v1.yaml").write_text(
        "type: object\nproperties:\n  owner:\n    $ref: owner.v1.yaml\n  items:\n    type: string\n"
    )
    (tmp_path / "schemas" / "owner.v1.yaml").write_text(
        "type: object\nproperties:\n  pets:\n    type: array\n    items:\n      $ref: pet.v1.yaml\n"
    )
    return tmp_path


def test_bundle_is_self_contained_and_keeps_names(folder: Path) -> None:
    document = bundle(Source(folder), "root.yaml").document
    operation = document["paths"]["/pets/{petId}"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/pet.v1"}
    assert sorted(document["components"]["schemas"]) == ["id", "owner.v1", "pet.v1"]
    assert document["paths"]["/pets/{petId}"]["parameters"] == [{"$ref": "#/components/parameters/petId"}]
    assert document["components"]["securitySchemes"] == {"token": {"type": "http"}}


def test_schemas_may_refer_to_each_other_in_a_circle(folder: Path) -> None:
    schemas = bundle(Source(folder), "root.yaml").document["components"]["schemas"]
    assert schemas["owner.v1"]["properties"]["pets"]["items"] == {"$ref": "#/components/schemas/pet.v1"}


def test_a_property_named_like_a_keyword_is_a_property(folder: Path) -> None:
    schemas = bundle(Source(folder), "root.yaml").document["components"]["schemas"]
    assert schemas["pet.v1"]["properties"]["items"] == {"type": "string"}


def test_dates_in_examples_stay_text(folder: Path) -> None:
    operation = bundle(Source(folder), "root.yaml").document["paths"]["/pets/{petId}"]["get"]
    assert operation["responses"]["200"]["content"]["application/json"]["example"] == {"name": "2026-01-05"}


def test_examples_are_data_in_which_nothing_is_a_reference(folder: Path) -> None:
    example = "            example:\n              name: 2026-01-05\n"
    named = "            examples:\n              one:\n                value:\n                  $ref: nowhere\n"
    (folder / "paths.yaml").write_text(PATHS.replace(example, named))
    operation = bundle(Source(folder), "root.yaml").document["paths"]["/pets/{petId}"]["get"]
    content = operation["responses"]["200"]["content"]["application/json"]
    assert content["examples"] == {"one": {"value": {"$ref": "nowhere"}}}


def test_a_reference_to_nothing_is_told_with_its_line(folder: Path) -> None:
    (folder / "paths.yaml").write_text(PATHS.replace("schemas/pet.v1.yaml", "schemas/cat.v1.yaml"))
    with pytest.raises(
        SpecError, match=r"paths\.yaml:11: 'schemas/cat\.v1\.yaml' points at a file that does not exist"
    ):
        bundle(Source(folder), "root.yaml")
    (folder / "paths.yaml").write_text(PATHS.replace("#/petId", "#/catId"))
    with pytest.raises(SpecError, match=r"paths\.yaml:3: '.*catId' points at nothing"):
        bundle(Source(folder), "root.yaml")


def test_two_schemas_of_one_name_are_refused(folder: Path) -> None:
    (folder / "owner.v1.yaml").write_text("type: string\n")
    (folder / "schemas" / "owner.v1.yaml").write_text("type: object\nproperties:\n  x:\n    $ref: ../owner.v1.yaml\n")
    with pytest.raises(SpecError, match="two schemas are named"):
        bundle(Source(folder), "root.yaml")


def test_broken_yaml_is_told_with_its_line(folder: Path) -> None:
    for broken in (
        "get: [a\n",
        "get: 'open\n  put: x\n",
        'get: "open\n\n',
        "get: {a: [1}\n",
        "get: &a [*b]\n",
        "get: a: b\n",
    ):
        (folder / "paths.yaml").write_text(f"Pet:\n  {broken}")
        with pytest.raises(SpecError, match=r"paths\.yaml:2: "):
            bundle(Source(folder), "root.yaml")


def test_lines_and_duplicate_keys(folder: Path) -> None:
    source = Source(folder)
    assert source.line(Place(folder / "paths.yaml", ("Pet", "get", "operationId"))) == 5
    assert source.line(Place(folder / "paths.yaml", ("Pet", "get", "missing"))) == 4
    (folder / "twice.yaml").write_text("a: 1\nb:\n  c: 1\n  c: 2\n")
    assert Source(folder).duplicate_keys(folder / "twice.yaml") == [(4, "c")]
