"""`serve --reload`: edits of the YAML and of the code are applied when they are saved, whatever they are."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import open_database
from clinic_service.db.schema import upgrade
from clinic_service.packaged import spec_folder
from clinic_service.reloading import ReloadingApp
from clinic_service.specification.apis import load_apis
from tests.conftest import SECRET
from tests.support.client import Client

_SECONDS_TO_NOTICE = 60


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    folder = tmp_path / "spec"
    shutil.copytree(spec_folder(), folder)
    return folder


def _touch(file: Path, text: str) -> None:
    later = file.stat().st_mtime + 5
    file.write_text(text)
    os.utime(file, (later, later))


def test_good_edits_are_taken_and_the_last_good_state_is_kept(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(database_url=f"sqlite:///{tmp_path / 'reload.db'}", session_secret=SECRET)
    upgrade(config.database_url)
    database = open_database(config)
    app = ReloadingApp(spec, lambda folder: create_app(config, database, apis=load_apis(folder)))
    assert str(spec) in capsys.readouterr().err
    client = Client(lambda environ, start_response: app.answer(environ)(environ, start_response), SECRET)
    root = spec / "access.v1.yaml"
    good = root.read_text()

    _touch(root, good.replace("title: Access API", "title: Access API, edited"))
    app.refresh()
    assert client.get("/openapi/access.v1.json").json["info"]["title"] == "Access API, edited"

    for damage in ("title: [Access API", "title:", "x: {$ref: '#'}\n  title: Access API", "title: 5"):
        _touch(root, good.replace("title: Access API", damage))
        app.refresh()
        assert client.get("/openapi/access.v1.json").json["info"]["title"] == "Access API, edited"
        assert re.search(r"access\.v1\.yaml:\d+: ", capsys.readouterr().err)

    _touch(root, good)
    app.refresh()
    assert client.get("/openapi/access.v1.json").json["info"]["title"] == "Access API"
    database.dispose()


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), KeyError("x"), RecursionError(), AssertionError(), OSError(5, "x")]
)
def test_whatever_a_half_finished_edit_raises_the_app_goes_on(
    spec: Path, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    fail = False

    def build(_: Path) -> Any:
        if fail:
            raise error
        return SimpleNamespace(answer=lambda _: "last good state")

    app = ReloadingApp(spec, build)
    fail = True
    _touch(spec / "access.v1.yaml", "")
    app.refresh()
    assert app.answer({}) == "last good state"
    assert f"test_reloading.py:{build.__code__.co_firstlineno + 2}: {type(error).__name__}" in capsys.readouterr().err


def test_the_findings_of_the_check_are_told_after_each_edit_of_the_spec(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = ReloadingApp(spec, lambda _: None, check=lambda: ["sites.yaml:5: CreateSite has no x-access"])
    app.refresh()
    assert "CreateSite" not in capsys.readouterr().err
    _touch(spec / "access.v1.yaml", "")
    app.refresh()
    assert capsys.readouterr().err.endswith("The spec was applied.\nsites.yaml:5: CreateSite has no x-access\n")


def test_files_that_come_and_go_are_noticed(spec: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> Any:
        builds.append(folder)
        return None

    app = ReloadingApp(spec, build)
    (spec / "new.yaml").write_text("a: 1\n")
    app.refresh()
    (spec / "new.yaml").unlink()
    app.refresh()
    app.refresh()
    shutil.rmtree(spec)
    app.refresh()
    assert len(builds) == 4
