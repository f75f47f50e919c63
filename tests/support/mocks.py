"""The mock of both APIs and of other documents, in process. None of it has a database."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from clinic_service.api.log import RequestLog
from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.mock.app import Choices, create_mock
from clinic_service.mock.document import load_documents
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.errors import spec_apis

DOCUMENTS = Path(__file__).parents[1] / "mock" / "documents"
# A database that nobody could open.
CONFIG = Config(
    database_url="postgresql://nobody@127.0.0.1:1/none",
    session_secret=SECRET,
    redox_verification_token="the secret of redox",
    xealth_enabled=True,
    xealth_bearer_token="the secret of xealth",
    xealth_client_id="the name at xealth",
    xealth_client_secret="the secret at xealth",
    application_url="https://app.example",
)


@cache
def mock_app(*, seed: int = 0, auth: bool = False) -> LeanFlask:
    """The mock of both APIs."""
    return create_mock(CONFIG, spec_apis(), Choices(seed, auth), log=silent())


def mock_client(*, seed: int = 0, auth: bool = False) -> Client:
    """A client of the mock of both APIs."""
    return Client(mock_app(seed=seed, auth=auth), SECRET, gives_examples=True)


def document_client(file: Path) -> Client:
    """A client of the mock of one document."""
    return Client(create_mock(CONFIG, load_documents(file), Choices(), log=silent()), SECRET, gives_examples=True)


def silent() -> RequestLog:
    """A log that nobody reads."""
    return RequestLog(write=lambda _: None)
