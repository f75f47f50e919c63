"""What `.deploy/` says fits the program: the pinned packages, the names of settings, and where secrets are."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from clinic_service.config import Config, is_secret, variable
from tests.support.containers import stages
from tests.support.processes import ROOT

DEPLOY = ROOT / ".deploy"
PINS = ("requirements.txt", "requirements-build.txt")
SETTINGS = [variable(f.name) for f in fields(Config)]
SECRETS = [variable(f.name) for f in fields(Config) if is_secret(f)]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pinned(name: str) -> dict[str, tuple[str, int]]:
    """The version of each package in the file, and how many files of it are allowed."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / name).read_text(), flags=re.MULTILINE)
    found: dict[str, tuple[str, int]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *digests = line.split(" --hash=")
        exact = re.fullmatch(r"([\w.-]+)==([\w.]+)\s*(;.*)?", requirement.strip())
        assert exact, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in digests)
        found[canonicalize_name(exact[1])] = (exact[2], len(digests))
    return found


@pytest.mark.parametrize("name", PINS)
def test_every_package_has_one_version_and_digests(name: str) -> None:
    pinned = _pinned(name)
    assert pinned
    assert [package for package, (_, digests) in pinned.items() if digests == 0] == []
    assert "://" not in (DEPLOY / name).read_text()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "requirements.txt",
            [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["postgresql"]],
        ),
        ("requirements-build.txt", PROJECT["build-system"]["requires"]),
    ],
)
def test_the_versions_are_within_the_ranges_of_the_project(name: str, wanted: list[str]) -> None:
    pinned = _pinned(name)
    for requirement in map(Requirement, wanted):
        assert pinned[canonicalize_name(requirement.name)][0] in requirement.specifier, requirement


def test_all_settings_are_known_and_no_secret_is_written_down() -> None:
    found = set()
    for file in DEPLOY.iterdir():
        # Kubernetes and the like set none here, so every name is a setting.
        found |= {(name, file.name) for name in re.findall(r"\bCLINIC_[A-Z_]+\b", file.read_text())}
    assert {name for name, _ in found if name.removesuffix("_FILE") not in SETTINGS} == set()
    assert {each for each in found if each[0] in SECRETS} == set()


def test_the_settings_of_the_recipes_can_be_read() -> None:
    lines = re.findall(r"^#?(CLINIC_\w+)=(.*)$", (DEPLOY / "settings.env").read_text(), re.MULTILINE)
    assert Config.load({name: value for name, value in lines if not name.endswith("_FILE")}).path_prefix
    environment = _compose()["services"]["server"]["environment"]
    assert Config.load({name: value for name, value in environment.items() if not name.endswith("_FILE")}).workers == 2


def test_the_container_runs_as_a_user_without_privileges() -> None:
    *_, last = stages(DEPLOY / "Containerfile")
    [user] = [text for word, text in last if word == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    # What follows is done as that user.
    assert [word for word, _ in last[[word for word, _ in last].index("USER") :] if word in ("RUN", "COPY")] == []


def test_the_services_of_compose_can_write_to_their_volumes_only() -> None:
    compose = _compose()
    for name in ("upgrade", "server"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        used = {value.rpartition("/")[2] for key, value in service["environment"].items() if key.endswith("_FILE")}
        assert used == set(service["secrets"]) <= set(compose["secrets"])


def _compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())
