"""The README's blocks word for word in a fresh clone: this installs, takes minutes and needs the ports 8080 to 8084."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.readme import assert_exchanged, assert_tested, blocks, terminal

_SECONDS = 900
# The tests themselves have been run; here it is enough that the command finds and passes some.
_FEW_TESTS = "tests/specification/test_source.py"


def test_every_block_runs_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True, timeout=60)
    of = blocks()
    [run_it], [test_it] = of.pop("Run it"), of.pop("Test it")
    [example], [mock] = of.pop("One complete example"), of.pop("Try a client, or an edit of the spec, without a server")
    pipeline, fixture, schemathesis = of.pop("Test your client against it")
    # `tests/full/test_generated_clients.py` runs these.
    of.pop("Generate a client")
    [exchange] = of.pop("One exchange with a health record system")
    [backup] = of.pop("Back up, restore, move")
    assert of == {}
    client = str(tmp_path / "client")
    with terminal(clone, PYTEST_ADDOPTS=_FEW_TESTS) as here:
        assert "http://127.0.0.1:8080" in here.run(run_it, _SECONDS)
        assert " passed" in here.run(test_it, _SECONDS)
        answers = here.run(example, _SECONDS)
        mocked = here.run(f'export PATH="$PWD/.venv/bin:$PATH"\n{mock}', _SECONDS)
        tested = here.run(pipeline.replace("/tmp/client", client), _SECONDS)
        tested_by_pytest = here.run(fixture.replace("/tmp/client", client), _SECONDS, PYTEST_ADDOPTS="")
        tried = here.run(schemathesis.replace("/tmp/client", client), _SECONDS)
        exchanged = here.run(exchange, _SECONDS)
        restored = here.run(f'export PATH="$PWD/.venv/bin:$PATH"\n{backup}', _SECONDS)
    assert '"name":"Harbour Diabetes Centre"' in answers
    assert '"code":415' in answers
    assert '{"code":404,"message":"The clinic was not found."' in mocked
    assert_tested(tested, tested_by_pytest)
    assert "Tested: 4" in tried
    assert "No issues found" in tried
    assert_exchanged(exchanged)
    assert restored.endswith("Both sides are equal.\n")
