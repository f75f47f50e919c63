"""Reading the audit trail in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clinic_service.audit.choice import audit_folder
from clinic_service.audit.files import documents, list_files
from clinic_service.audit.repository import Choice
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import run
from tests.support.client import Reply


def rows_of(database: Database, reply: Reply) -> list[dict[str, Any]]:
    """The rows about the request that was answered with `reply`, as JSON says them."""
    found = run(database, lambda uow: list(uow.audit.list_chosen(Choice())), writes=False)
    return [record.document() for record in found if record.request == _request_id(reply)]


def lines_of(config: Config, reply: Reply) -> list[dict[str, Any]]:
    """The lines about that request, without the hash of the line before.

    They may be in the folder of the application of all tests, or in the default one, where other applications write.
    """
    folders = {audit_folder(one, config.database_url) for one in (config, Config())}
    lines = (line for folder in folders for file in list_files(folder) for line in _recent(file))
    return [{**line, "previous": None} for line in lines if line.get("request") == _request_id(reply)]


def _recent(file: Path) -> list[dict[str, Any]]:
    return list(documents(file))[-50:]


def _request_id(reply: Reply) -> str:
    return str(reply.headers["X-Tidepool-Trace-Request"])
