"""Every block of the README runs as it stands, one after the other, in a fresh copy of the repository.

Installing takes minutes, so here `pip` and `venv` do nothing and the environment of the tests stands in; `tests/full/` has
the test that installs. Ports differ, since others may be using those of the README.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, free_port
from tests.support.readme import assert_exchanged, assert_tested, blocks, terminal
from tests.support.wheel import unpacked_wheel

_SECONDS = 120
README = (ROOT / "README.md").read_text(encoding="utf-8")
_COPIED = ("README.md", "pyproject.toml", "alembic.ini", "alembic", "clinic_service", "spec")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository whose `.venv` is that of the tests, and never made anew."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    _script(tmp_path / ".venv" / "bin" / "clinic-service", f'exec "{sys.executable}" -W ignore -m clinic_service "$@"')
    _script(tmp_path / ".venv" / "bin" / "pip", 'echo "pip $*"')
    _script(tmp_path / ".venv" / "bin" / "pytest", 'echo "pytest $*"')
    _script(tmp_path / "shims" / "python3", 'echo "python3 $*"')
    _make_client(tmp_path / "client")
    return tmp_path


def _make_client(folder: Path) -> None:
    """The environment of a client, as `pip install . pytest` makes it."""
    _script(folder / "bin" / "clinic-service", f'exec "{sys.executable}" -W ignore -m clinic_service "$@"')
    _script(folder / "bin" / "pip", 'echo "pip $*"')
    site = unpacked_wheel(folder)
    _script(folder / "bin" / "pytest", f'PYTHONPATH="{site}" exec "{sys.executable}" -m pytest "$@"')


def _script(file: Path, command: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{command}\n")
    file.chmod(0o755)


def test_every_block_runs_after_the_other(clone: Path) -> None:
    of = blocks()
    [run_it], [test_it] = of.pop("Run it"), of.pop("Test it")
    [example], [mock] = of.pop("One complete example"), of.pop("Try a client, or an edit of the spec, without a server")
    # `tests/full/test_readme.py` runs the third one, which installs a tool.
    pipeline, fixture, _ = of.pop("Test your client against it")
    # `tests/full/test_generated_clients.py` runs these.
    of.pop("Generate a client")
    [exchange] = of.pop("One exchange with a health record system")
    [backup] = of.pop("Back up, restore, move")
    assert of == {}
    path = f"{clone / 'shims'}:{os.environ['PATH']}"
    demo_port, port, mock_port, client_port, redox_port = (free_port() for _ in range(5))
    with terminal(clone, PATH=path) as here:
        demo = here.run(run_it, _SECONDS, CLINIC_PORT=str(demo_port))
        assert "python3 -m venv .venv\npip install -q .\n" in demo
        assert f"http://127.0.0.1:{demo_port}" in demo
        # The demo goes on in its terminal while the reader goes on in another.
        assert "pytest" in here.run(test_it, _SECONDS)
        assert "8081" in example
        answers = here.run(example.replace("8081", str(port)), _SECONDS)
        assert "8082" in mock
        mocked = here.run(f'export PATH="$PWD/.venv/bin:$PATH"\n{mock.replace("8082", str(mock_port))}', _SECONDS)
        assert "8084" in pipeline
        assert "/tmp/client" in fixture
        client = str(clone / "client")
        tested = here.run(pipeline.replace("8084", str(client_port)).replace("/tmp/client", client), _SECONDS)
        tested_by_pytest = here.run(fixture.replace("/tmp/client", client), _SECONDS)
        assert "8083" in exchange
        exchanged = here.run(exchange.replace("8083", str(redox_port)), _SECONDS)
        restored = here.run(f'export PATH="$PWD/.venv/bin:$PATH"\n{backup}', _SECONDS)
    assert '"name":"Harbour Diabetes Centre"' in answers
    assert '"code":415,"message":"The request body must be application/json in UTF-8."' in answers
    assert_tested(tested, tested_by_pytest)
    # The README shows what the mock answers, word for word.
    assert next(line for line in mocked.splitlines() if line.startswith("{")).partition("}")[0] + "}" in README
    assert_exchanged(exchanged)
    assert restored.endswith("Both sides are equal.\n")
