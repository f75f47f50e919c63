"""The walk of an editor who adds an operation, in a checkout: YAML, `spec check`, mock, skeletons, handler, server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clinic_service.demo.cast import MEMBER, OUTSIDER, SHARE_CODE
from tests.support.processes import ROOT, ServerProcess, run_command, serving

SITES, CLINIC_API = "spec/clinic/paths/sites.yaml", "spec/clinic.v1.yaml"
HANDLERS, TESTS = "clinic_service/resources/sites/handlers.py", "tests/api/sites/test_count_sites.py"
SCHEMA = """type: object
description: How many sites a clinic has.
required:
  - sites
properties:
  sites:
    type: integer
    description: Number of sites.
"""
URL = """  /v1/clinics/{clinicId}/site_count:
    $ref: clinic/paths/sites.yaml#/ClinicSiteCount
"""
# What the editor writes first. The access rules and one refusal are forgotten.
DRAFT = """
# /v1/clinics/{clinicId}/site_count
ClinicSiteCount:
  parameters:
    - $ref: ../parameters/ids.yaml#/clinicId
  get:
    operationId: CountSites
    summary: Count the sites of a clinic
    description: Tells how many sites the clinic has. Open to members. 404 for an unknown clinic.
    tags:
      - Sites
    x-audit: none
    parameters:
      - $ref: ../../common/parameters.yaml#/ifNoneMatch
    responses:
      '200':
        description: The number of sites.
        headers:
          ETag:
            $ref: ../../common/headers.yaml#/ETag
        content:
          application/json:
            schema:
              $ref: ../schemas/siteCount.v1.yaml
            example:
              sites: 17
      '304':
        $ref: ../../common/responses.yaml#/NotModified
      '400':
        $ref: ../../common/responses.yaml#/BadRequest
      '401':
        $ref: ../../common/responses.yaml#/Unauthenticated
      '404':
        $ref: ../../common/responses.yaml#/NotFound
      '429':
        $ref: ../../common/responses.yaml#/TooManyRequests
      '500':
        $ref: ../../common/responses.yaml#/InternalError
      '503':
        $ref: ../../common/responses.yaml#/Unavailable
      default:
        $ref: ../../common/responses.yaml#/Error
"""
FORGOTTEN = {
    "    x-audit: none\n": "    x-access:\n      - member\n    x-audit: none\n",
    "      '404':\n": "      '403':\n        $ref: ../../common/responses.yaml#/Forbidden\n      '404':\n",
}
COUNTS = "found = ctx.uow.clinics.describe_one(clinic_id)\n    return {'sites': len(found.sites)}"


class Checkout:
    """A copy of the checkout, in which an editor works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("clinic_service", "spec", "tests/api", "alembic"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def line(self, name: str, words: str, after: str = "") -> str:
        """`FILE:LINE` of the first line with `words` behind the text `after`."""
        text = self.read(name)
        return f"{self.folder / name}:{text[: text.index(words, text.index(after))].count(chr(10)) + 1}"

    def spec(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(self.folder, "spec", *arguments)

    @contextmanager
    def mocking(self) -> Iterator[ServerProcess]:
        server = ServerProcess(self.folder, command="mock")
        try:
            server.wait_until_live()
            yield server
        finally:
            server.stop()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_an_operation_from_its_description_to_its_answer(checkout: Checkout) -> None:
    checkout.write("spec/clinic/schemas/siteCount.v1.yaml", SCHEMA)
    checkout.write(CLINIC_API, checkout.read(CLINIC_API).replace("paths:\n", f"paths:\n{URL}", 1))
    checkout.write(SITES, checkout.read(SITES) + DRAFT)
    _is_told_what_the_description_lacks(checkout)
    described = checkout.read(SITES)
    for forgotten, complete in FORGOTTEN.items():
        before, _, rest = described.partition("\nClinicSiteCount:\n")
        described = f"{before}\nClinicSiteCount:\n{rest.replace(forgotten, complete, 1)}"
    checkout.write(SITES, described)
    assert checkout.spec("check").stdout == ""
    assert "additive: CountSites: the operation was added [endpoint-added]" in checkout.spec("diff").stdout

    _is_answered_by_the_mock(checkout)
    _is_not_implemented(checkout)
    _gets_a_handler_from_its_skeleton(checkout)
    _is_served(checkout)


def _is_told_what_the_description_lacks(checkout: Checkout) -> None:
    found = checkout.spec("check")
    assert found.returncode == 1
    operation = checkout.line(SITES, "  get:", "\nClinicSiteCount:\n")
    responses = checkout.line(SITES, "    responses:", "\nClinicSiteCount:\n")
    assert found.stdout.splitlines() == [
        f"{operation}: CountSites has no x-access",
        f"{responses}: CountSites can answer 403 and does not declare it",
    ]


def _is_answered_by_the_mock(checkout: Checkout) -> None:
    with checkout.mocking() as mock:
        answer = mock.get("/v1/clinics/65f1c0de0a1b2c3d4e5f6a7b/site_count", "any token")
        assert (answer.status, answer.json) == (200, {"sites": 17})
        # The page at /docs shows this document.
        document = mock.get("/openapi/clinic.v1.json").json
        assert document["paths"]["/v1/clinics/{clinicId}/site_count"]["get"]["operationId"] == "CountSites"


def _is_not_implemented(checkout: Checkout) -> None:
    _, row = checkout.spec("coverage").stdout.split("\nCountSites ")
    assert "\n  no handler (501)" in row
    assert "\n  no file api/sites/test_count_sites.py\n" in row
    with serving(checkout.folder, "--demo") as server:
        assert server.get(*_as_member(checkout, server)).status == 501


def _gets_a_handler_from_its_skeleton(checkout: Checkout) -> None:
    printed = checkout.spec("stub", "CountSites").stdout
    handler, test = (printed.partition(f"# {name}\n")[2] for name in (HANDLERS, TESTS))
    function = handler[handler.index("def count_sites") : handler.index("\n\n\n#")]
    checkout.write(HANDLERS, f"{checkout.read(HANDLERS)}\n\n{function}\n".replace("raise NotImplementedYet", COUNTS))
    place = checkout.line(SITES, "  get:", "\nClinicSiteCount:\n")
    assert checkout.spec("check").stdout == f"{place}: CountSites has a handler and no test file\n"
    checkout.write(TESTS, test.partition("\n\n\n# ")[0])
    assert checkout.spec("check").stdout == ""


def _is_served(checkout: Checkout) -> None:
    with serving(checkout.folder, "--demo") as server:
        path, token = _as_member(checkout, server)
        answer = server.get(path, token)
        clinic = server.get(path.removesuffix("/site_count"), token).json
        assert (answer.status, answer.json) == (200, {"sites": len(clinic["sites"])})
        same = server.request("GET", path, token, extra={"If-None-Match": answer.headers["ETag"]})
        assert same.status == 304
        assert server.get(path, _token(checkout, "user", OUTSIDER.id)).status == 403


def _as_member(checkout: Checkout, server: ServerProcess) -> tuple[str, str]:
    """The path of the new operation for the clinic of the demo, and the token of a member."""
    clinic = server.get(f"/v1/clinics/share_code/{SHARE_CODE}", _token(checkout, "service", "tester")).json
    return f"/v1/clinics/{clinic['id']}/site_count", _token(checkout, "user", MEMBER.id)


def _token(checkout: Checkout, *arguments: str) -> str:
    url = f"sqlite:///{checkout.folder / 'clinic-service-demo.db'}"
    return run_command(checkout.folder, "token", *arguments, CLINIC_DATABASE_URL=url).stdout.strip()


def test_an_edit_that_breaks_clients_is_told_with_its_place(checkout: Checkout) -> None:
    schema = "spec/clinic/schemas/siteCreation.v1.yaml"
    checkout.write(schema, f"{checkout.read(schema)}minProperties: 2\n")
    found = checkout.spec("diff")
    assert found.returncode == 1
    place = checkout.line(schema, "minProperties").removeprefix(f"{checkout.folder}/")
    told = "breaking: CreateSite: the request body: minProperties was absent, is 2 [request-body-min-properties-set]"
    assert f"{place}: {told}" in found.stdout.splitlines()
    assert "1 breaking change is not announced" in found.stderr
