"""The page of a report, as the tests read it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from werkzeug.test import Client as WsgiClient

from clinic_service.models import Patient
from tests.support.cast import CAROL
from tests.support.client import Reply
from tests.support.xealth_site import XealthSite

PATH = "/v1/xealth/report/web/viewer.html"
UNKNOWN = "0" * 32


class Page(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = f"/{tag}"

    def handle_data(self, data: str) -> None:
        self.texts[self._in] = self.texts.get(self._in, "") + data

    def attribute(self, tag: str, name: str) -> str:
        [value] = [attributes[name] for element, attributes in self.elements if element == tag]
        assert value
        return value


class Answer(NamedTuple):
    status: int
    text: str
    headers: Any

    @property
    def page(self) -> Page:
        assert self.status == 200, self.text
        return Page(self.text)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the report."""
        return parse_qsl(urlsplit(self.page.attribute("iframe", "src")).query, strict_parsing=True)


def view(site: XealthSite, patient: Patient, token: str, **query: Any) -> Answer:
    given = {"clinicId": patient.clinic_id, "patientId": CAROL.id, "restricted_token": token} | query
    answer = WsgiClient(site.api.app).get(PATH, query_string=given)
    return Answer(answer.status_code, answer.get_data(as_text=True), answer.headers)


def refused(site: XealthSite, **query: Any) -> Reply:
    return site.api.get(PATH, query_string={name: value for name, value in query.items() if value is not None})
