"""The documents, and the page to read and try them."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import orjson
import pytest
import yaml
from werkzeug.test import Client as WsgiClient
from werkzeug.test import TestResponse

from clinic_service.auth.partners import PARTNERS
from clinic_service.auth.rules import RULES
from clinic_service.auth.words import WORDS, access_in_words, with_access_in_words
from clinic_service.packaged import spec_folder
from clinic_service.specification.apis import API_NAMES
from clinic_service.specification.published import published
from tests.support.client import Client
from tests.support.errors import spec_apis

DOCS = "/docs"
ASSETS = ("/docs/docs.css", "/docs/docs.js", "/docs/favicon.svg", "/docs/scalar/standalone.js")
DOCUMENTS = [f"/openapi/{name}.{form}" for name in API_NAMES for form in ("json", "yaml")]


def raw(api: Client, path: str, **headers: str) -> TestResponse:
    """An answer that need not be JSON."""
    return WsgiClient(api.app).get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


class TestDocuments:
    @pytest.mark.parametrize("number", [0, 1], ids=API_NAMES)
    def test_are_the_published_bundles(self, api: Client, number: int) -> None:
        bundle = spec_apis()[number]
        reply = api.get(f"/openapi/{bundle.name}.json")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.json == orjson.loads(orjson.dumps(published(bundle.document)))

    @pytest.mark.parametrize("name", API_NAMES)
    def test_yaml_and_json_are_the_same_document(self, api: Client, name: str) -> None:
        answer = raw(api, f"/openapi/{name}.yaml")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/yaml")
        assert yaml.load(answer.get_data(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == _json(
            api, f"/openapi/{name}.json"
        )

    def test_refer_to_nothing_outside(self, api: Client) -> None:
        for bundle in spec_apis():
            references = list(_references(_json(api, f"/openapi/{bundle.name}.json")))
            assert references
            assert all(reference.startswith("#/components/") for reference in references)

    def test_others_do_not_exist(self, api: Client) -> None:
        for path in ("/openapi/clinic.v2.json", "/openapi/", "/openapi.json", "/openapi/..%2fconfig.json"):
            assert api.get(path).status == 404


class TestPage:
    def test_is_html_of_this_server_alone(self, api: Client) -> None:
        answer = raw(api, DOCS)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        page = answer.get_data(as_text=True)
        assert page.lstrip().lower().startswith("<!doctype html")
        for source in _sources(page):
            assert "://" not in source
            assert not source.startswith("//")

    def test_everything_it_loads_and_links_to_is_there(self, api: Client) -> None:
        addresses = {f"/{source}" for source in _sources(raw(api, DOCS).get_data(as_text=True))}
        assert addresses == {*ASSETS, *DOCUMENTS}
        for address in addresses:
            answer = raw(api, address)
            assert answer.status_code == 200, address
            assert answer.get_data()

    def test_every_file_of_the_page_is_served_and_every_other_one_is_a_notice(self) -> None:
        folder = files("clinic_service.api") / "assets"
        served = {"docs.html", *(address.removeprefix("/docs/") for address in ASSETS)}
        notices = {"README.md", "scalar/LICENSE", "scalar/THIRD-PARTY-NOTICES.txt"}
        here = {f"{path.name}" for path in folder.iterdir() if path.is_file()}
        here |= {f"scalar/{path.name}" for path in (folder / "scalar").iterdir()}
        assert here == served | notices

    def test_the_browser_is_told_to_load_nothing_else(self, api: Client) -> None:
        for address in (DOCS, *ASSETS):
            policy = raw(api, address).headers["Content-Security-Policy"]
            directives = {name: value for name, _, value in (part.strip().partition(" ") for part in policy.split(";"))}
            assert directives["default-src"] == "'none'"
            assert directives["script-src"] == "'self'"
            assert directives["connect-src"] == "'self'"
            assert directives["frame-ancestors"] == "'none'"
            assert "http" not in policy
            assert "eval" not in policy

    def test_the_markup_has_no_script_and_no_style_of_its_own(self, api: Client) -> None:
        page = raw(api, DOCS).get_data(as_text=True)
        assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == ["", ""]
        assert not re.search(r"<style|style=| on[a-z]+=", page)

    @pytest.mark.one_engine
    def test_only_the_listed_files_are_served(self, api: Client) -> None:
        for path in ("/docs/", "/docs/docs.html", "/docs/..%2f__init__.py", "/docs/scalar", "/docs/scalar/LICENSE"):
            assert raw(api, path).status_code == 404


class TestTransfer:
    @pytest.mark.parametrize("encoding", ["zstd", "gzip"])
    def test_scripts_and_documents_are_compressed(self, api: Client, encoding: str) -> None:
        for address in ("/docs/scalar/standalone.js", "/docs/clinic.v1.json", *DOCUMENTS):
            answer = raw(api, address, Accept_Encoding=encoding)
            assert answer.headers["Content-Encoding"] == encoding, address
            assert len(answer.get_data()) < len(raw(api, address).get_data()) / 2

    @pytest.mark.parametrize("address", [DOCS, *ASSETS, *DOCUMENTS])
    def test_a_browser_that_has_the_same_file_gets_no_body(self, api: Client, address: str) -> None:
        first = raw(api, address)
        assert first.headers["Cache-Control"] == "no-cache"
        again = raw(api, address, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.get_data()) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert "Content-Length" not in again.headers

    def test_a_browser_that_has_another_file_gets_this_one(self, api: Client) -> None:
        answer = raw(api, DOCS, If_None_Match=raw(api, "/docs/docs.js").headers["ETag"])
        assert answer.status_code == 200
        assert answer.get_data()


class TestAccessInWords:
    def test_every_rule_has_words(self) -> None:
        assert set(WORDS) == {*RULES, *(f"partner:{name}" for name in PARTNERS)}

    def test_the_guide_for_editors_has_the_same_words(self) -> None:
        guide = (spec_folder() / "README.md").read_text(encoding="utf-8")
        section = guide.partition("## Who may call")[2].partition("\n## ")[0]
        table = dict(re.findall(r"^\| `([a-z:-]+)(?::PARAM)?` \| (.+) \|$", section, re.MULTILINE))
        assert table == {name: words.format(parameter="PARAM") for name, words in WORDS.items()}

    @pytest.mark.parametrize("number", [0, 1], ids=API_NAMES)
    def test_the_page_shows_them_for_every_operation(self, api: Client, number: int) -> None:
        loaded = spec_apis()[number]
        paths = _json(api, f"/docs/{loaded.name}.json")["paths"]
        for operation in loaded.operations:
            description = paths[operation.path][operation.method]["description"]
            assert description.startswith(operation.definition["description"].rstrip())
            assert description.endswith(access_in_words(operation.definition["x-access"]))

    def test_the_words_name_the_parameter(self) -> None:
        assert access_in_words(["service", "self:userId"]) == (
            "**Who may call it**, any of:\n\n- a backend service\n- the person whose user id is in `userId`"
        )

    def test_an_operation_that_is_not_complete_yet_is_shown_too(self) -> None:
        item: dict[str, Any] = {"get": {"x-access": ["service", "later"]}, "put": {"summary": "Without rules"}}
        shown = with_access_in_words({"paths": {"/v1/new": item}})["paths"]["/v1/new"]
        assert shown == {**item, "get": {**item["get"], "description": access_in_words(["service", "later"])}}
        assert shown["get"]["description"].endswith("- a backend service\n- `later`")

    @pytest.mark.parametrize("number", [0, 1], ids=API_NAMES)
    def test_nothing_else_of_the_document_changes(self, api: Client, number: int) -> None:
        published = _json(api, f"/openapi/{API_NAMES[number]}.json")
        shown = _json(api, f"/docs/{API_NAMES[number]}.json")
        for operation in spec_apis()[number].operations:
            for document in (published, shown):
                del document["paths"][operation.path][operation.method]["description"]
        assert shown == published


def _json(api: Client, path: str) -> Any:
    return orjson.loads(raw(api, path).get_data())


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for item in node.values() for found in _references(item)]


def _sources(page: str) -> list[str]:
    """What `src` and `href` of the page point at, links within it left out."""
    found: list[str] = re.findall(r'(?:src|href)="([^"#]+)"', page)
    return found
