"""The page at `/docs` in a real browser, against a demo server under a path prefix.

It needs the package playwright (`pip install -e '.[browser]'`) and a Chromium, such as Debian's package `chromium`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest

from clinic_service.specification.apis import API_NAMES
from tests.support.processes import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PREFIX = "/clinics-api"
LIST = "List the patients of a clinic"
# Parts of the example of CreateClinic.
BODY = ("Harbour Diabetes Centre", "14 Quay Street", "+1 207 555 0142", "America/New_York")
# For each language: the library as the page identifies it, its name in the menu, and how its code begins.
SAMPLES = {
    "curl": ("shell/curl", "Curl", "curl "),
    "JavaScript": ("js/fetch", "Fetch", "fetch("),
    "Node.js": ("node/undici", "undici", "from 'undici'"),
    "Python": ("python/requests", "Requests", "requests.post("),
    "Java": ("java/okhttp", "OkHttp", "new OkHttpClient()"),
    "C#": ("csharp/httpclient", "HttpClient", "new HttpClient()"),
    "PHP": ("php/curl", "cURL", "curl_init("),
    "Go": ("go/native", "NewRequest", "http.NewRequest("),
    "Ruby": ("ruby/native", "net::http", "Net::HTTP"),
    "R": ("r/httr2", "httr2", "library(httr2)"),
}
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Site(NamedTuple):
    """A demo server: its address, and the token of the clinic's admin."""

    origin: str
    token: str

    @property
    def docs(self) -> str:
        return f"{self.origin}{PREFIX}/docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("docs"), "--demo", CLINIC_PATH_PREFIX=PREFIX) as server:
        token = re.search(r"Token of Ada Archer.*\n(\S+)", server.output.read_text())
        assert token
        yield Site(f"http://127.0.0.1:{server.port}", token[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        yield opened
        opened.close()


class Visit:
    """The page, open, with everything it asked for and complained of."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._metrics = page.context.new_cdp_session(page)
        # Counts the processor time of the page's main thread, so that a busy machine does not change the figures.
        self._metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        page.goto(site.docs)
        page.get_by_role("heading", name="Clinics API").wait_for()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def forget_refusal(self) -> None:
        """Wait until the browser itself notes an answer of 401, and forget the note."""
        for _ in range(100):
            if any("401" in line for line in self.complaints):
                break
            self.page.wait_for_timeout(100)
        self.complaints[:] = [line for line in self.complaints if "401" not in line]

    def scripting_of(self, action: Callable[[], object]) -> float:
        """The milliseconds of script that `action` costs."""
        before = self._script_seconds()
        action()
        # The page works off what a click started when nothing else waits.
        self.page.wait_for_timeout(3000)
        return 1000 * (self._script_seconds() - before)

    def search(self, title: str) -> Locator:
        """The operation with this title, among what the page finds for it."""
        self.page.keyboard.press("Control+k")
        self.page.keyboard.type(title)
        return self.page.get_by_role("option", name=re.compile(rf"^Operation:\s+{title}\s*,"))

    def open(self, title: str) -> Locator:
        """The section of the operation with this title, found by its name."""
        self.search(title).click()
        return self.section(title)

    def section(self, title: str) -> Locator:
        heading = self.page.get_by_role("heading", name=title, exact=True)
        section = heading.locator("xpath=ancestor::section[1]")
        section.get_by_role("button", name="Test Request").wait_for()
        return section

    def _script_seconds(self) -> float:
        metrics = self._metrics.send("Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "ScriptDuration")

    def foreign_requests(self) -> list[str]:
        own = (f"{self.site.origin}{PREFIX}/", "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own)]


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    visit = Visit(page, site)
    yield visit
    page.close()
    # Whatever a test does, the page asks nobody else and breaks neither its policy nor anything of its own.
    assert visit.foreign_requests() == []
    assert visit.complaints == []


def test_shows_the_server_and_both_apis(visit: Visit) -> None:
    visit.page.get_by_text(f"{visit.site.origin}{PREFIX}", exact=True).first.wait_for()
    visit.page.get_by_role("button", name="Clinics API").first.click()
    visit.page.get_by_role("option", name="Access API").click()
    visit.page.get_by_role("heading", name="Access API").wait_for()


def test_search_finds_an_operation(visit: Visit) -> None:
    assert "/v1/clinics/{clinicId}/patients" in visit.search(LIST).inner_text()


def test_says_in_words_who_may_call(visit: Visit) -> None:
    text = visit.open(LIST).inner_text()
    assert "Who may call it" in text
    assert "a person with CLINIC_MEMBER or CLINIC_ADMIN in the clinic of the path" in text


def test_a_call_with_a_pasted_token_succeeds_and_the_token_is_forgotten(visit: Visit) -> None:
    _paste_token(visit)
    with visit.page.expect_response(re.compile("/v1/clinics/[0-9a-f]{24}$")) as answer:
        _send(_try_out(visit, visit.open("Get a clinic")))
    assert answer.value.status == 200
    assert answer.value.request.headers["x-tidepool-session-token"] == visit.site.token
    stored = visit.page.evaluate("JSON.stringify([localStorage, sessionStorage]) + document.cookie")
    assert visit.site.token not in stored
    visit.page.reload()
    with visit.page.expect_response(re.compile("/v1/clinics/[0-9a-f]{24}$")) as answer:
        _send(_try_out(visit, visit.section("Get a clinic")))
    assert answer.value.status == 401
    visit.forget_refusal()


def test_the_operation_with_126_parameters_opens_and_executes_without_a_stall(visit: Visit) -> None:
    _paste_token(visit)
    found = visit.search(LIST)
    found.wait_for()
    costs = {"open": visit.scripting_of(found.click)}
    section = visit.section(LIST)
    costs["try"] = visit.scripting_of(section.get_by_role("button", name="Test Request").click)
    with visit.page.expect_response(re.compile("/v1/clinics/[0-9a-f]{24}/patients")) as answer:
        costs["send"] = visit.scripting_of(lambda: _send(visit.page.get_by_role("dialog").last))
    assert answer.value.status == 200
    assert max(costs.values()) < 300, costs


@pytest.mark.parametrize("language", SAMPLES)
def test_samples_have_the_body_filled_in(visit: Visit, language: str) -> None:
    library, name, sign = SAMPLES[language]
    section = visit.open("Create a clinic")
    section.get_by_role("button", name="Curl").first.click()
    visit.page.locator(f'[role="option"][id$="-{library}"]').click()
    section.get_by_role("button", name=name).first.wait_for()
    code = section.locator("pre").first
    code.filter(has_text=sign).wait_for()
    text = code.inner_text()
    for words in (f"{visit.site.origin}{PREFIX}/v1/clinics", "x-tidepool-session-token", *BODY):
        assert words in text


def test_shows_request_and_answer_samples(visit: Visit) -> None:
    text = visit.open("Create a clinic").inner_text()
    assert "Harbour Diabetes Centre" in text
    assert '"shareCode"' in text


@pytest.mark.parametrize("name", API_NAMES)
def test_both_documents_can_be_downloaded(visit: Visit, name: str, tmp_path: Path) -> None:
    loaded = {}
    for form in ("YAML", "JSON"):
        label = f"Download {'Clinics' if name == 'clinic.v1' else 'Access'} API"
        with visit.page.expect_download() as download:
            visit.page.locator("header span", has_text=label).get_by_role("link", name=form).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        loaded[file.name] = _title(file)
    assert loaded == {f"{name}.yaml": loaded[f"{name}.json"], f"{name}.json": loaded[f"{name}.json"]}


def test_fits_a_telephone(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    for _ in range(3):
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
        visit.page.mouse.wheel(0, 4000)
        visit.page.wait_for_timeout(300)
    section = visit.open("Get a clinic")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    with visit.page.expect_response(re.compile("/v1/clinics/[0-9a-f]{24}$")):
        _send(_try_out(visit, section))
    visit.forget_refusal()


def _paste_token(visit: Visit) -> None:
    visit.page.get_by_placeholder(re.compile("QUxM")).first.fill(visit.site.token)


def _try_out(visit: Visit, section: Locator) -> Locator:
    section.get_by_role("button", name="Test Request").click()
    return visit.page.get_by_role("dialog").last


def _send(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Send").first.click()


def _title(file: Path) -> Any:
    import yaml

    text = file.read_text(encoding="utf-8")
    return orjson.loads(text)["info"] if file.suffix == ".json" else yaml.safe_load(text)["info"]
