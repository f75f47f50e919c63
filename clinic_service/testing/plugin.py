"""The pytest plugin: its fixtures. pytest imports this module in every run, so the rest is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service.testing.servers import ClinicMock, ClinicServer


@pytest.fixture
def clinic_server(shared_clinic_server: ClinicServer) -> ClinicServer:
    """A clinic-service with the demo clinic, as it was before any test changed it.

    It has the base URL `url`, the callers `admin`, `member`, `patient`, `parent`, `outsider`, `invited`, `offering` and
    `service` (each with `id`, `token` and `headers`), and `clinic_id`, `share_code`, `tag_ids`, `site_ids` and
    `patient_ids`. All tests of a process share the server, but not what they store: each test starts with the same data.
    """
    shared_clinic_server.reset()
    return shared_clinic_server


@pytest.fixture(scope="session")
def shared_clinic_server(
    tmp_path_factory: pytest.TempPathFactory, clinic_server_settings: dict[str, str]
) -> Iterator[ClinicServer]:
    """The server of `clinic_server`, without the reset: for fixtures of a wider scope, which may call `reset()`."""
    from clinic_service.testing.demo import demo_server

    with demo_server(tmp_path_factory.mktemp("clinic-server"), clinic_server_settings) as server:
        yield server


@pytest.fixture(scope="session")
def clinic_server_settings() -> dict[str, str]:
    """Settings of the server, by environment variable (`CLINIC_...`). Override this fixture to set some."""
    return {}


@pytest.fixture(scope="session")
def clinic_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClinicMock]:
    """A clinic-service mock, which answers from the examples of the spec: its `url`, and `headers` to send."""
    from clinic_service.testing.process import running

    with running(tmp_path_factory.mktemp("clinic-mock"), "mock") as url:
        yield ClinicMock(url)
