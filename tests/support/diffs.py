"""A small spec to edit, and what `spec diff` says of the edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clinic_service.cli.spec.diff.comparison import compare
from clinic_service.cli.spec.diff.documents import opened
from clinic_service.cli.spec.diff.report import ReportLine, report
from clinic_service.specification.apis import Api
from clinic_service.specification.bundle import Bundle
from clinic_service.specification.source import Place

PETS = """\
openapi: 3.0.3
info:
  title: Pets
  version: 1.0.0
servers:
  - url: https://pets.example
security:
  - token: []
tags:
  - name: Pets
paths:
  /pets/{petId}:
    parameters:
      - name: petId
        in: path
        required: true
        schema:
          type: string
          maxLength: 24
    get:
      operationId: GetPet
      summary: Get a pet
      tags:
        - Pets
      x-access:
        - member
      parameters:
        - name: depth
          in: query
          description: How far.
          schema:
            type: integer
            maximum: 11
            default: 1
        - name: order
          in: query
          style: form
          schema:
            type: string
            enum:
              - asc
              - desc
      responses:
        '200':
          description: The pet.
          headers:
            x-count:
              required: true
              schema:
                type: integer
                maximum: 13
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/pet'
        '404':
          $ref: '#/components/responses/nothing'
    put:
      operationId: PutPet
      x-max-body-bytes: 4096
      x-max-seconds: 60
      x-access:
        - self:petId
        - admin
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/petUpdate'
            example:
              name: Rex
      responses:
        '204':
          description: Done.
components:
  securitySchemes:
    token:
      type: apiKey
      in: header
      name: x-token
    key:
      type: apiKey
      in: header
      name: x-key
  responses:
    nothing:
      description: There is none.
  schemas:
    pet:
      type: object
      description: A pet as it is answered.
      required:
        - id
        - kind
      properties:
        id:
          type: string
          maxLength: 30
          minLength: 3
          pattern: ^[a-f]+$
        kind:
          type: string
          enum:
            - cat
            - dog
        age:
          type: integer
          minimum: 10
          maximum: 40
          nullable: true
        note:
          type: string
          format: email
        tags:
          type: array
          maxItems: 8
          minItems: 2
          items:
            type: string
            maxLength: 31
        owner:
          oneOf:
            - $ref: '#/components/schemas/person'
            - $ref: '#/components/schemas/shelter'
        home:
          $ref: '#/components/schemas/shelter'
        extra:
          type: object
          additionalProperties: false
    petUpdate:
      type: object
      required:
        - name
      properties:
        name:
          type: string
          maxLength: 50
          minLength: 5
          pattern: ^[A-Z]
          x-request-pattern: ^[A-M]
        mood:
          type: string
          enum:
            - calm
            - wild
        weight:
          type: number
          minimum: 6
          maximum: 60
          nullable: true
        since:
          type: string
          format: date
        labels:
          type: array
          maxItems: 9
          minItems: 7
          uniqueItems: true
          items:
            type: string
            maxLength: 51
        keeper:
          anyOf:
            - $ref: '#/components/schemas/person'
            - $ref: '#/components/schemas/shelter'
        more:
          type: object
          additionalProperties: true
        chip:
          type: string
          readOnly: true
    person:
      type: object
      additionalProperties: false
      properties:
        person:
          type: string
    shelter:
      type: object
      additionalProperties: false
      properties:
        shelter:
          type: string
"""


def write(folder: Path, text: str) -> Path:
    """The file `pets.yaml` in `folder`, with `text`."""
    folder.mkdir(exist_ok=True)
    file = folder / "pets.yaml"
    file.write_text(text)
    return file


def reported(old: Path, new: Path) -> list[ReportLine]:
    """What `spec diff OLD NEW` tells of two files or folders."""
    with opened(str(old), old) as before, opened(str(new), new) as after:
        return report(before, after)


def api_of(document: dict[str, Any]) -> Api:
    """The API of a document that is in no file."""
    return Api("pets", Bundle(document, Place(Path("pets.yaml"))), ())


def changes(old: dict[str, Any], new: dict[str, Any]) -> set[tuple[str, str]]:
    """The class and the id of each change from one document to another."""
    return {(str(change.level), change.id) for change in compare(api_of(old), api_of(new))}
