"""The spec keeps what the last announced version promised to clients, or says that it does not."""

from __future__ import annotations

import pytest

from clinic_service.cli.spec.diff.documents import opened
from clinic_service.cli.spec.diff.report import report
from clinic_service.packaged import spec_folder
from clinic_service.specification.apis import API_NAMES, load_file
from clinic_service.specification.formats import as_json
from clinic_service.specification.source import Source

ANNOUNCED = spec_folder() / "announced"


def test_no_change_that_breaks_clients_is_unannounced() -> None:
    with opened(str(ANNOUNCED), spec_folder()) as old, opened(str(spec_folder()), spec_folder()) as new:
        unannounced = [str(line) for line in report(old, new) if line.unannounced]
    assert unannounced == [], "spec/README.md tells how to announce a change"


def test_the_announced_version_is_there_for_each_api() -> None:
    assert sorted(file.name for file in ANNOUNCED.iterdir()) == sorted(f"{name}.json" for name in API_NAMES)


@pytest.mark.parametrize("name", API_NAMES)
def test_the_announced_version_is_as_it_was_announced(name: str) -> None:
    """It is as `spec announce` writes it, and its version has a section in the changelog."""
    api = load_file(Source(ANNOUNCED), f"{name}.json")
    assert (ANNOUNCED / f"{name}.json").read_text(encoding="utf-8") == as_json(api.document)
    assert f"\n## {api.document['info']['version']}\n" in (spec_folder() / "CHANGELOG.md").read_text(encoding="utf-8")
