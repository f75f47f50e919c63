"""The shared secret: configured, or made once and kept beside the data."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from clinic_service.config import Config, ConfigError
from clinic_service.gateways.secret_file import session_secret


def _config(folder: Path) -> Config:
    return Config(database_url=f"sqlite:///{folder / 'clinic-service.db'}")


def test_configured_secret_wins(tmp_path: Path) -> None:
    config = Config(database_url=_config(tmp_path).database_url, session_secret="x" * 32)
    assert session_secret(config) == "x" * 32
    assert list(tmp_path.iterdir()) == []


def test_configured_secret_must_be_long_enough() -> None:
    with pytest.raises(ConfigError, match="CLINIC_SESSION_SECRET"):
        session_secret(Config(session_secret="x" * 31))


def test_length_counts_bytes() -> None:
    assert session_secret(Config(session_secret="é" * 16)) == "é" * 16


def test_secret_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    first = session_secret(_config(tmp_path))
    assert len(first) >= 32
    assert session_secret(_config(tmp_path)) == first
    assert [file.name for file in tmp_path.iterdir()] == ["clinic-service.key"]
    assert stat.S_IMODE((tmp_path / "clinic-service.key").stat().st_mode) == 0o600


def test_two_databases_have_two_secrets(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert session_secret(_config(tmp_path)) != session_secret(_config(other))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        assert len(set(_secrets_of_many(folder, 6))) == 1


def _secrets_of_many(folder: Path, number: int) -> list[str]:
    barrier, found = threading.Barrier(number), list[str]()

    def start() -> None:
        barrier.wait()
        found.append(session_secret(_config(folder)))

    threads = [threading.Thread(target=start) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == number
    return found


@pytest.mark.parametrize("content", ["", "too short", "\n" * 40])
def test_damaged_file_is_not_used(tmp_path: Path, content: str) -> None:
    (tmp_path / "clinic-service.key").write_text(content)
    with pytest.raises(ConfigError, match=r"clinic-service\.key"):
        session_secret(_config(tmp_path))


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CLINIC_SESSION_SECRET"):
        session_secret(_config(tmp_path / "missing"))


def test_database_on_a_server_needs_a_setting() -> None:
    with pytest.raises(ConfigError, match=r"CLINIC_SESSION_SECRET .* or CLINIC_SESSION_JWKS"):
        session_secret(Config(database_url="postgresql://db.example/clinics"))


def test_provider_alone_signs_nothing_here(tmp_path: Path) -> None:
    config = Config(database_url=_config(tmp_path).database_url, session_jwks="https://id.example/keys")
    with pytest.raises(ConfigError, match="CLINIC_SESSION_SECRET"):
        session_secret(config)
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clinic-service.key").write_bytes(b"\xff" * 48)
    with pytest.raises(ConfigError, match="cannot be used"):
        session_secret(_config(tmp_path))
