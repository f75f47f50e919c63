"""Explains to operators why a database cannot be used, and what to do about it.

Callers of the API only get status 503, which `unit_of_work.run` decides by `dialects.is_unavailable`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from clinic_service.db.sqlite import is_sqlite
from clinic_service.errors import Unavailable


class DatabaseUnusable(Exception):
    """This program cannot use the database, or its configuration; the message says how to repair it.

    The message is for operators. It may name hosts, files and users, so it is never shown to callers of the API.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Cause(NamedTuple):
    """Why a database cannot be used (`what`, without names of hosts, files or users) and how to repair it (`mend`).

    `quoted`: the explanation also quotes the message of the database.
    """

    what: str
    mend: str
    quoted: bool = False


_LOCKED = Cause("another process has locked it", "Wait until that process ends, or end it, and try again.")
_FULL = Cause("its disk is full", "Free some space on it.")
_DISK_ERROR = Cause("its disk reports an error", "Check the disk and its file system.", quoted=True)
_UNOPENED = Cause("the file cannot be opened", "Check the permissions of the file and its folder.")
_READ_ONLY = Cause("it is read-only", "Allow writing to it, or name another database.")
_NO_ROOM = Cause(
    "all of its connections are in use", "Raise its limit of connections, or lower CLINIC_WORKERS and CLINIC_THREADS."
)
_STARTING = Cause("it is starting or stopping", "Try again in a moment.")
_LOST = Cause("the connection was lost", "Check whether the server still runs, and try again.")
_NO_RIGHT = Cause("a privilege is missing", "Grant it, or connect as the user who owns the database.", quoted=True)
_PARAMETER = Cause("it refuses a start parameter", "Correct the options of the database URL.", quoted=True)
_UNKNOWN = Cause("it refuses the connection", "Correct the database URL, or repair the database.", quoted=True)

# By the error code of PostgreSQL (SQLSTATE). A longer code comes before the class that it belongs to.
_BY_STATE = {
    "25006": _READ_ONLY,
    "3F000": Cause(
        "it has no schema for the tables", "Create it, or name another one: ?options=-csearch_path%3DNAME in the URL."
    ),
    "42501": _NO_RIGHT,
    "53100": _FULL,
    "53300": _NO_ROOM,
    "53": Cause("it is short of memory or another resource", "Give the server more of it.", quoted=True),
    "55P03": _LOCKED,
    "57014": Cause("an answer took too long", "Try again when the load is lower."),
    "57": _STARTING,
    "58": _DISK_ERROR,
    "08": _LOST,
}
# By the words of errors while connecting, which have no code. The first pattern that matches counts.
_BY_WORDS = {
    "failed to resolve|could not translate host name": Cause(
        "the name of its host is unknown", "Correct the host in the database URL."
    ),
    "connection refused": Cause("nothing listens at its address", "Start the server, or correct host and port."),
    "timeout expired|timed out|does not answer": Cause(
        "its server does not answer", "Check the network, or correct host and port."
    ),
    "no route to host|network is unreachable": Cause("its server cannot be reached", "Check the network."),
    r'socket "[^"]*" failed: no such file': Cause(
        "no server runs on this machine", "Start it, or name a host in the database URL."
    ),
    "password authentication failed": Cause(
        "user or password is wrong", "Correct them in the database URL; % and @ in a password are written %25 and %40."
    ),
    "no password supplied": Cause(
        "it requires a password", "Write it in the database URL: postgresql://user:password@…"
    ),
    "unsupported startup parameter": Cause(
        "it is behind a pooler that accepts no start parameters", "Add ?pooler=transaction to the database URL."
    ),
    "invalid connection option": Cause(
        "the database URL has an option that does not exist",
        "Correct the options after the question mark.",
        quoted=True,
    ),
    "unrecognized configuration parameter|invalid value for parameter|permission denied to set parameter": _PARAMETER,
    "requires a valid value|invalid .* value|invalid (port|integer)": _PARAMETER,
    'role "[^"]*" does not exist|no such user|not permitted to log in': Cause(
        "its server does not know the user", "Create the user, or correct it in the database URL."
    ),
    'database "[^"]*" does not exist|no such database': Cause(
        "its server has no database of that name", "Create it: createdb --encoding=UTF8 NAME"
    ),
    "pg_hba.conf": Cause(
        "its server does not let this user in from this machine", "Add an entry to its pg_hba.conf.", quoted=True
    ),
    "ssl|certificate": Cause("no encrypted connection can be made", "Correct sslmode and its files.", quoted=True),
    "too many connections|connection slots|too many clients": _NO_ROOM,
    "starting up|shutting down|in recovery mode": _STARTING,
    "permission denied": _NO_RIGHT,
    "closed the connection|connection reset|consuming input failed|is closed|is lost": _LOST,
}
_BY_CODE = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _DISK_ERROR,
    sqlite3.SQLITE_CANTOPEN: _UNOPENED,
    sqlite3.SQLITE_PERM: _UNOPENED,
    sqlite3.SQLITE_NOTADB: Cause("the file is not an SQLite database", "Name another file, or move this one away."),
    sqlite3.SQLITE_CORRUPT: Cause("the file is damaged", "Restore it from a backup."),
    sqlite3.SQLITE_NOMEM: Cause("there is not enough memory", "Give the process more."),
}
# Codes for which the path of the file may be the cause.
_FILE_CODES = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR)


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """When the database at `url` cannot be used in the block, raise DatabaseUnusable with the reason."""
    try:
        yield
    except (DBAPIError, PoolTimeout, Unavailable, sqlite3.Error) as error:
        sentence = explain(error, url)
        if sentence is None:
            raise
        raise DatabaseUnusable(sentence) from error


def explain(error: BaseException, url: URL | None = None) -> str | None:
    """One line that says why the database at `url` cannot be used; None when `error` has another reason."""
    origin = _origin(error)
    if isinstance(origin, DatabaseUnusable):
        return origin.message
    cause = cause_of(error, url)
    if cause is None:
        return None
    words = f" ({_words(origin, url)})" if cause.quoted else ""
    return f"{database_name(url)} cannot be used: {cause.what}{words}. {cause.mend}"


def cause_of(error: BaseException, url: URL | None = None) -> Cause | None:
    """Why the database cannot be used; None when `error` has another reason."""
    origin = _origin(error)
    if isinstance(origin, PoolTimeout):
        return _NO_ROOM
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None:
        code &= 0xFF
        return (_cause_of_file(url) if code in _FILE_CODES else None) or _BY_CODE.get(code)
    state = getattr(origin, "sqlstate", None)
    if state:
        return next((cause for start, cause in _BY_STATE.items() if state.startswith(start)), None)
    if isinstance(error, DBAPIError) and not (error.statement is None or error.connection_invalidated):
        return None
    return _cause_by_words(origin)


def _cause_by_words(origin: BaseException) -> Cause | None:
    if not type(origin).__module__.startswith("psycopg"):
        return None
    words = str(origin).lower()
    return next((cause for pattern, cause in _BY_WORDS.items() if re.search(pattern.lower(), words)), _UNKNOWN)


def _cause_of_file(url: URL | None) -> Cause | None:
    """The fault of the path of the file; None without a fault."""
    if url is None:
        return None
    file = Path(url.database or "")
    folder = file.parent
    if file.is_dir():
        return Cause("it is a folder", "Name a file.")
    if not folder.exists():
        return Cause("its folder does not exist", "Create the folder, or name another file.")
    if not folder.is_dir():
        return Cause("its path leads through something that is not a folder", "Name another file.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Cause(
            "this user may not write in its folder",
            "Give this user write access, because SQLite creates files in it.",
        )
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return Cause("this user may not read and write the file", "Give this user read and write access.")
    return None


def _origin(error: BaseException) -> BaseException:
    """The error that the driver raised."""
    if isinstance(error, Unavailable) and error.__cause__ is not None:
        error = error.__cause__
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _words(origin: BaseException, url: URL | None) -> str:
    """The first line of the message of the database, without the password."""
    line = (str(origin).strip().splitlines() or [type(origin).__name__])[0]
    line = re.sub(r"^connection failed: |connection to server .* failed: |FATAL: +|ERROR: +", "", line).rstrip(".")
    return line.replace(url.password, "…") if url is not None and url.password else line


def database_name(url: URL | None) -> str:
    """How messages for operators name the database, at the start of a sentence."""
    if url is None:
        return "The database"
    if is_sqlite(url):
        return f"The database {url.database}"
    host = url.host or url.query.get("host") or "this machine"
    return f"The database {url.database or ''} on {host}{f':{url.port}' if url.port else ''}".replace("  ", " ")
