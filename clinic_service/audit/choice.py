"""Chooses the audit log by the settings."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from clinic_service.audit.log import AuditLog
from clinic_service.config import Config, ConfigError
from clinic_service.db.files import database_file, database_name


def chosen_log(config: Config, database_url: str) -> AuditLog | None:
    """The log of `config` for the database at `database_url`; None when requests are not to be recorded."""
    return AuditLog(audit_folder(config, database_url)) if config.audit == "on" else None


def audit_folder(config: Config, database_url: str) -> Path:
    """The folder of the audit files: the one that is set, else one beside the SQLite database, else one of the user.

    Each database has its own, because the files name rows of one database. Raises ConfigError for a database URL that
    cannot be read.
    """
    if config.audit_folder:
        return Path(config.audit_folder)
    file = database_file(database_url)
    if file is not None:
        return file.with_name(f"{file.stem}-audit")
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "clinic-service" / "audit" / quote(database_name(database_url), safe="")


def require_writable(log: AuditLog) -> None:
    """Make the folder of the log. Raises ConfigError when nothing can be written there."""
    try:
        log.prepare()
    except OSError as error:
        raise ConfigError(
            f"The audit files cannot be written to {log.folder}: {error.strerror}. Set CLINIC_AUDIT_FOLDER to a folder of "
            "the server's user, or CLINIC_AUDIT=off to record no request."
        ) from None
