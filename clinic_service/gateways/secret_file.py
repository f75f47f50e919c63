"""The shared secret of session tokens: the configured one, or else one in a file beside the database."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from clinic_service.config import Config, ConfigError
from clinic_service.db.files import database_file

MIN_SECRET_BYTES = 32


def session_secret(config: Config) -> str:
    """The secret that HS256 tokens are signed with.

    When none is configured, it is read from the file beside the SQLite database. A missing file is created. Raises
    ConfigError when there is no secret, or when it is too short.
    """
    if config.session_secret:
        return _long_enough(config.session_secret, "CLINIC_SESSION_SECRET")
    if config.session_jwks:
        raise ConfigError(
            "This server checks tokens only with CLINIC_SESSION_JWKS. To sign tokens here, set CLINIC_SESSION_SECRET."
        )
    path = _key_file(config)
    try:
        return _long_enough(_read_or_make(path), f"The key file {path}")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The key file {path} cannot be used ({type(error).__name__}). Set CLINIC_SESSION_SECRET instead."
        ) from None


def second_secret(config: Config) -> str | None:
    """The secret with which tokens are also accepted, but not signed. Raises ConfigError when it is too short."""
    if config.session_secret_also is None:
        return None
    if config.session_jwks and not config.session_secret:
        raise ConfigError("CLINIC_SESSION_SECRET_ALSO needs CLINIC_SESSION_SECRET as well.")
    return _long_enough(config.session_secret_also, "CLINIC_SESSION_SECRET_ALSO")


def _key_file(config: Config) -> Path:
    database = database_file(config.database_url)
    if database is None:
        raise ConfigError(
            "The database is on a server, so there is no folder for a file with the secret. "
            "Set CLINIC_SESSION_SECRET (at least 32 bytes) or CLINIC_SESSION_JWKS (file or URL)."
        )
    return database.with_suffix(".key")


def _long_enough(secret: str, what: str) -> str:
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ConfigError(f"{what} must have at least {MIN_SECRET_BYTES} bytes.")
    return secret


def _read_or_make(path: Path) -> str:
    if not path.exists():
        _make(path)
    return path.read_text(encoding="utf-8").strip()


def _make(path: Path) -> None:
    """Store a new secret at `path`, readable by its owner only. Does nothing when another process was faster.

    The file gets its name when it is complete, so no process reads a part of a secret.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
