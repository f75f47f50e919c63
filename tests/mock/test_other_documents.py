"""Documents of other houses: what the service's own spec never has is served, or not looked at, and never a failure."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from clinic_service.api.validation import Validators
from clinic_service.cli.spec.check import check_document
from clinic_service.mock.app import Choices, create_mock
from clinic_service.mock.document import load_documents
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.mocks import CONFIG, DOCUMENTS, document_client

FILES = ("pets.yaml", "files.json", "events.yml")
PETS, FILES_API, EVENTS = (document_client(DOCUMENTS / name) for name in FILES)
KEY = "key=1"
CAT = {"kind": "Cat", "name": "To", "lives": 1}


@pytest.mark.parametrize("name", FILES)
def test_each_passes_the_check_of_documents(name: str) -> None:
    assert check_document(DOCUMENTS / name) == []


class TestPets:
    def get(self, path: str, **headers: str) -> Reply:
        return PETS.get(path, headers=headers)

    def test_a_list_made_from_the_schema_fits_it(self) -> None:
        (api,) = load_documents(DOCUMENTS / "pets.yaml")
        schema = api.operations[0].definition["responses"]["200"]["content"]["application/json"]["schema"]
        for prefer in ("", "dynamic=true"):
            reply = self.get(f"/pets?page-size=3&{KEY}", Prefer=prefer)
            assert Validators(api.document).response(schema).violations(reply.json, "") == []
            assert {pet["kind"] for pet in reply.json} <= {"Cat", "dog"}
        assert [pet["name"] for pet in self.get(f"/pets?page-size=3&{KEY}").json] == ["Tom", "Tom"]

    def test_credentials_of_one_kind_are_enough(self) -> None:
        assert_error(self.get("/pets?page-size=3"), 401)
        assert_error(self.get("/pets?page-size=3", Authorization="Basic x"), 401)
        assert self.get("/pets?page-size=3", Authorization="bearer x").status == 200
        assert self.get(f"/pets?page-size=3&{KEY}").status == 200
        assert self.get("/pets/7.json").status == 200
        assert PETS.delete("/pets/7.json").status == 204

    @pytest.mark.parametrize(
        ("query", "violations"),
        [
            ("status=free&status=taken&ids=1|2", []),
            ("status=", [("/query/status/0", "enum")]),
            ("status=free&status=gone", [("/query/status/1", "enum")]),
            ("status=free,taken", [("/query/status/0", "enum")]),
            ("ids=1|x", [("/query/ids", "type")]),
            ("ids=1|2|3|4", [("/query/ids", "maxItems")]),
            ("ids=1&ids=2", [("/query/ids", "repeated")]),
            ("ids=", []),
            ("ids=%00", [("/query/ids", "characters")]),
            ("where[owner]=a&where[age]=3", []),
        ],
    )
    def test_lists_are_read_in_every_form(self, query: str, violations: list[tuple[str, str]]) -> None:
        reply = self.get(f"/pets?page-size=3&{KEY}&{query}")
        if violations:
            assert_violations(reply, *violations)
        else:
            assert reply.status == 200, reply.json

    def test_the_type_may_stand_in_a_part_of_the_schema(self) -> None:
        assert_violations(self.get(f"/pets?page-size=51&{KEY}"), ("/query/page-size", "maximum"))
        assert_violations(self.get(f"/pets?page-size=many&{KEY}"), ("/query/page-size", "type"))
        assert_violations(self.get(f"/pets?{KEY}"), ("/query/page-size", "required"))

    def test_names_with_dashes_and_what_surrounds_them(self) -> None:
        assert_violations(self.get("/pets/x.json"), ("/path/pet-id", "type"))
        assert_error(self.get("/pets/7"), 404)
        reply = self.get(f"/pets/7/family/f47ac10b-58cc-4372-a567-0e02b2c3d479?{KEY}")
        assert reply.status == 302
        assert reply.headers["Location"].startswith("https://")

    def test_a_range_of_statuses_has_every_status(self) -> None:
        for status in (400, 418, 499):
            reply = PETS.post(
                f"/pets?{KEY}", json={"kind": "Cat", "name": "To", "lives": 1}, headers={"Prefer": f"code={status}"}
            )
            assert reply.status == status
            assert reply.headers["Content-Type"] == "application/problem+json"
            assert set(orjson.loads(reply.body)) >= {"code", "message"}
        assert_error(
            PETS.post(f"/pets?{KEY}", json={"kind": "Cat", "name": "To", "lives": 1}, headers={"Prefer": "code=500"}),
            400,
        )

    def test_default_is_a_failure_beside_a_success(self) -> None:
        reply = self.get(f"/pets?page-size=3&{KEY}", Prefer="code=500")
        assert (reply.status, set(reply.json)) == (500, {"code", "message", "causes"})

    def test_examples_have_names_with_blanks(self) -> None:
        assert PETS.post(f"/pets?{KEY}", json=CAT).json["name"] == "Tom"
        reply = PETS.post(f"/pets?{KEY}", json=CAT, headers={"Prefer": 'example="a dog"'})
        assert reply.json["name"] == "Rex"
        assert reply.headers["Preference-Applied"] == 'example="a dog"'

    def test_bodies_are_read_by_their_media_type(self) -> None:
        def post(raw: bytes, content_type: str) -> Reply:
            return PETS.post(f"/pets?{KEY}", data=raw, content_type=content_type)

        assert_violations(post(b'{"kind": "Cat", "name": "To", "lives": 0}', "application/json"), ("/body", "oneOf"))
        assert_error(post(b"{", "application/json"), 400)
        assert_error(post(b'{"kind": "Cat"}', "application/json; charset=latin-1"), 415)
        assert post(b"kind=Cat", "application/x-www-form-urlencoded").status == 200
        reply = post(b"kind: Cat", "application/yaml")
        assert_error(reply, 415)
        assert reply.json["message"].endswith("must be application/json or application/x-www-form-urlencoded.")
        assert_violations(post(b"", "application/json"), ("/body", "required"))
        assert_violations(post(b"", "application/x-www-form-urlencoded"), ("/body", "required"))
        assert_error(post(b"x" * (1 << 20) + b"x", "application/x-www-form-urlencoded"), 413)

    def test_parts_that_are_only_partly_served_are_reported(self) -> None:
        told: list[str] = []
        create_mock(CONFIG, load_documents(DOCUMENTS / "pets.yaml"), Choices(), tell=told.append)
        file = DOCUMENTS / "pets.yaml"
        lines = file.read_text().splitlines()
        where = lines.index("        - name: where") + 1
        head = lines.index("    head:") + 1
        assert told == [
            f"{file}:{where}: this parameter is not checked",
            f"{file}:{head}: operations of the method HEAD are not served",
        ]


class TestFiles:
    def get(self, **headers: str) -> Reply:
        return FILES_API.get("/files/a", headers={"Authorization": "Basic x", **headers})

    def test_answers_that_are_no_json(self) -> None:
        assert self.get().headers["Content-Type"] == "application/octet-stream"
        assert self.get().body
        csv = self.get(Accept="text/csv")
        assert (csv.headers["Content-Type"], csv.body) == ("text/csv; charset=utf-8", b"a,b\n1,2\n")
        assert self.get(Accept="image/*").headers["Content-Type"] == "image/png"
        missing = self.get(Prefer="code=404")
        assert (missing.status, missing.body) == (404, b"No such file.")

    def test_uploads_are_taken_as_they_are(self) -> None:
        def put(raw: bytes, content_type: str) -> Reply:
            cookie = {"Cookie": "other=1; session=2"}
            return FILES_API.put("/files/a", data=raw, content_type=content_type, headers=cookie)

        assert put(b"\xff\xd8", "image/jpeg").status == 201
        assert put(b"\xff\xd8", "image/jpeg").headers["X-Size"] == "5"
        assert put(b"--x--", "multipart/form-data; boundary=x").status == 201
        assert put(b"", "").status == 201
        assert_error(put(b"x", "text/plain"), 415)
        assert_error(FILES_API.put("/files/a", data=b"x", content_type="image/png"), 401)

    def test_any_media_type_is_answered_as_json(self) -> None:
        reply = FILES_API.get("/status")
        assert reply.status == 200
        assert 0.1 <= reply.json["load"] <= 0.2

    def test_other_json_is_json(self) -> None:
        def post(raw: bytes, content_type: str = "application/merge-patch+json") -> Reply:
            return FILES_API.post("/status", data=raw, content_type=content_type)

        reply = post(b'{"a": 1}')
        assert reply.headers["Content-Type"] == "application/hal+json"
        values = orjson.loads(reply.body).values()
        assert len(values) == 2
        assert all(value % 7 == 0 for value in values)
        assert_violations(post(b"{}"), ("/body", "minProperties"))
        assert_error(post(b'{"a": 1}', "application/json"), 415)


class TestEvents:
    def test_two_parameters_in_one_segment(self) -> None:
        assert EVENTS.get("/events/2026-7").json == {"number": 7, "begins": "2026-03-02T09:30:00Z"}
        assert_violations(EVENTS.get("/events/1999-x"), ("/path/year", "minimum"), ("/path/number", "type"))

    def test_headers_are_answered(self) -> None:
        reply = EVENTS.get("/events", headers={"Prefer": "code=503"})
        assert (reply.status, reply.headers["Retry-After"], reply.body) == (503, "30", b"")
        assert reply.headers["X-Rooms"] == "1,2"

    def test_the_document_is_served_whole_and_there_is_no_page(self) -> None:
        assert EVENTS.get("/openapi/events.json").json["info"]["title"] == "Events"
        assert_error(EVENTS.get("/docs"), 404)


@pytest.mark.parametrize("name", FILES)
def test_dynamic_answers_are_never_failures(name: str) -> None:
    addresses = {
        "pets.yaml": [f"/pets?page-size=3&{KEY}", "/pets/7.json"],
        "files.json": ["/status"],
        "events.yml": ["/events", "/events/2026-7"],
    }
    apis = load_documents(DOCUMENTS / name)
    for seed in range(20):
        client = Client(create_mock(CONFIG, apis, Choices(seed)), "", gives_examples=True)
        for address in addresses[name]:
            reply = client.get(address, headers={"Prefer": "dynamic=true"})
            assert (reply.status, reply.headers.get("Preference-Applied")) == (200, "dynamic=true")


@pytest.mark.parametrize(
    ("declared", "answered"),
    [
        (("405", "400"), 400),
        (("404", "default"), 200),
        (("5XX",), 500),
        (("302", "404"), 302),
    ],
)
def test_without_a_success_the_answer_is_the_lowest_status(
    tmp_path: Path, declared: tuple[str, ...], answered: int
) -> None:
    """Many documents describe only failures of an operation. `default` then stands for a success."""
    responses = "".join(f"        {status!r}:\n          description: It is so.\n" for status in declared)
    file = tmp_path / "one.yaml"
    file.write_text(
        "openapi: 3.0.3\ninfo: {title: One, version: '1'}\npaths:\n  /one:\n    get:\n      responses:\n" + responses
    )
    assert check_document(file) == []
    assert document_client(file).get("/one").status == answered


def test_the_path_of_the_files_does_not_matter(tmp_path: Path) -> None:
    """What is answered is the same on every machine."""
    copy = tmp_path / "pets.yaml"
    copy.write_text((DOCUMENTS / "pets.yaml").read_text())
    assert document_client(copy).get("/pets/7.json").json == PETS.get("/pets/7.json").json
