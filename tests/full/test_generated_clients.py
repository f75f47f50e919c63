"""The documents in the hands of real generators and linters: what they make of them compiles, and decodes every answer.

Needs the extra `contract` and the package registries; what needs Node is skipped where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_service.demo.cast import ADMIN, OUTSIDER, PATIENT
from tests.support.processes import ROOT, environment, run_command, serving
from tests.support.readme import blocks, terminal

_SECONDS = 900
_PROGRAMS = Path(__file__).with_name("clients")
_NPM = {
    "openapi-fetch": "0.17.0",
    "openapi-typescript": "7.13.0",
    "typescript": "5.9.3",
    "@types/node": "20.19.0",
    "@redocly/cli": "2.77.0",
    "@stoplight/spectral-cli": "6.16.3",
}
_TSCONFIG = (
    '{"compilerOptions": {"strict": true, "module": "nodenext", "target": "es2022", "types": ["node"]},'
    ' "files": ["day_of_work.ts"]}'
)
DOCUMENTS = ("clinic.v1.json", "access.v1.json")
needs_node = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node on this machine")


def run(folder: Path, *command: str, **variables: str) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment({}), **variables},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def install(folder: Path, *names: str) -> None:
    """Install npm packages in the versions that are known to work."""
    run(folder, "npm", "install", "--no-audit", "--no-fund", *(f"{name}@{_NPM[name]}" for name in names))


@pytest.fixture(scope="module")
def python_block() -> str:
    return blocks()["Generate a client"][0]


@pytest.fixture(scope="module")
def typescript_block() -> str:
    return blocks()["Generate a client"][1]


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory, python_block: str) -> Path:
    """The folder in which the README's commands have made the Python clients, with an environment of its own."""
    folder = tmp_path_factory.mktemp("sdk")
    run(folder, sys.executable, "-m", "venv", ".venv")
    run(folder, ".venv/bin/pip", "install", "-q", str(ROOT))
    with terminal(folder) as here:
        here.run(python_block.replace("/tmp/sdk", str(folder)), _SECONDS)
    return folder


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A demo server, as the variables that the programs read."""
    database = f"sqlite:///{tmp_path / 'demo.db'}"
    with serving(tmp_path, "--demo", "--database-url", database) as server:
        named = {"ADA": ADMIN, "OLGA": OUTSIDER, "CAROL": PATIENT}
        tokens = {
            name: run_command(tmp_path, "token", "user", person.id, CLINIC_DATABASE_URL=database).stdout.strip()
            for name, person in named.items()
        }
        clinics = server.get(f"/v1/clinicians/{ADMIN.id}/clinics", tokens["ADA"]).json
        clinic = clinics[0]["clinic"]["id"]
        ids = {f"{name}_ID": person.id for name, person in named.items()}
        yield {**tokens, **ids, "BASE_URL": f"http://127.0.0.1:{server.port}", "DEMO_CLINIC": clinic}


def test_the_python_clients_do_a_days_work(sdk: Path, demo: dict[str, str]) -> None:
    shutil.copy(_PROGRAMS / "day_of_work.py", sdk)
    assert run(sdk, ".venv/bin/python", "day_of_work.py", **demo) == "39 calls\n"


def test_the_python_clients_are_typed(sdk: Path) -> None:
    shutil.copy(_PROGRAMS / "day_of_work.py", sdk)
    paths = ["day_of_work.py", "clinics-api-client/clinics_api_client", "access-api-client/access_api_client"]
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", ".venv/bin/python"]
    for path in paths:
        assert run(sdk, *mypy, path).startswith("Success")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_models_of_datamodel_code_generator_are_typed(sdk: Path, document: str) -> None:
    pytest.importorskip("datamodel_code_generator", reason="needs the extra `contract`")
    made = f"{document.partition('.')[0]}_models.py"
    options = ["--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"]
    options += ["--no-treat-dot-as-module", "--use-annotated", "--set-default-enum-member"]
    run(sdk, sys.executable, "-m", "datamodel_code_generator", "--input", document, "--output", made, *options)
    assert run(sdk, sys.executable, "-m", "mypy", "--strict", made).startswith("Success")


@needs_node
def test_the_typescript_client_does_a_days_work(sdk: Path, typescript_block: str, demo: dict[str, str]) -> None:
    names = "openapi-fetch openapi-typescript typescript@5"
    assert names in typescript_block
    pinned = " ".join(f"{name}@{_NPM[name]}" for name in ("openapi-fetch", "openapi-typescript", "typescript"))
    with terminal(sdk) as here:
        here.run(typescript_block.replace("/tmp/sdk", str(sdk)).replace(names, pinned), _SECONDS)
    install(sdk, "@types/node")
    run(sdk, "npm", "pkg", "set", "type=module")
    shutil.copy(_PROGRAMS / "day_of_work.ts", sdk)
    (sdk / "tsconfig.json").write_text(_TSCONFIG)
    run(sdk, "npx", "tsc", "-p", ".")
    assert run(sdk, "node", "day_of_work.js", **demo) == "19 calls\n"


@needs_node
def test_linters_find_no_error(sdk: Path) -> None:
    folder = sdk / "lint"
    folder.mkdir()
    install(folder, "@redocly/cli", "@stoplight/spectral-cli")
    (folder / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')
    for document in DOCUMENTS:
        run(folder, "npx", "redocly", "lint", "--extends", "recommended", f"../{document}")
        found = run(
            folder, "npx", "spectral", "lint", "--fail-severity", "warn", "-r", ".spectral.yaml", f"../{document}"
        )
        assert "No results" in found


def test_openapi_spec_validator_accepts_them_without_extras(sdk: Path) -> None:
    run(sdk, sys.executable, "-m", "venv", "plain")
    run(sdk, "plain/bin/pip", "install", "-q", "openapi-spec-validator")
    for document in DOCUMENTS:
        assert run(sdk, "plain/bin/openapi-spec-validator", document).strip().endswith("OK")


def test_a_running_server_gives_the_same_documents(sdk: Path, demo: dict[str, str]) -> None:
    made = sdk / "from_server"
    made.mkdir()
    path = f"{sdk / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    url = f"{demo['BASE_URL']}/openapi/clinic.v1.json"
    run(made, str(sdk / ".venv/bin/openapi-python-client"), "generate", "--url", url, PATH=path)
    module = "clinics-api-client/clinics_api_client/models/patient_v1.py"
    assert (made / module).read_text() == (sdk / module).read_text()
