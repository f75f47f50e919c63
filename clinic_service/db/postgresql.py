"""How a connection to PostgreSQL is set up. All session state that the code relies on is set or checked here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from clinic_service import clock, deadline
from clinic_service.db.failures import DatabaseUnusable
from clinic_service.db.limits import POOLER, Timeouts
from clinic_service.deadline import DeadlineExceeded

T = TypeVar("T")

# The minimum time to wait for an answer, for example to a ROLLBACK after the time for the request is over.
_LEAST_SECONDS = 1.0

# A dead network connection is noticed while connecting, while sending, and while idle.
_LINK = {
    "connect_timeout": 3,
    "tcp_user_timeout": 10_000,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "client_encoding": "UTF8",
}
# A value that no server has by default, of a parameter that each server reports. So it shows whether start parameters reach
# the server.
_MARK = "iso_8601"


def postgresql_engine(url: URL, limits: Timeouts, *, read_only: bool, **options: Any) -> Engine:
    """An engine whose sessions are set up when they start or, behind a transaction pooler, with each transaction."""
    pooled = is_pooled(url)
    arguments: dict[str, Any] = {name: value for name, value in _LINK.items() if name not in url.query}
    if pooled:
        # The next transaction may use another server process, which does not know statements that were prepared before.
        arguments["prepare_threshold"] = None
        options["execution_options"] = {POOLER: True}
    else:
        arguments["options"] = _start_parameters(url, limits, read_only)
    # The driver decodes JSON; this sets the function that it uses.
    target = url.difference_update_query([POOLER])
    engine = create_engine(target, connect_args=arguments, json_deserializer=orjson.loads, **options)
    event.listen(engine, "do_connect", partial(_connect, limits.answer))
    event.listen(engine, "connect", partial(_check, pooled))
    if pooled and limits.statement is not None:
        event.listen(engine, "begin", _setting_limits(limits))
    return engine


def is_pooled(url: URL) -> bool:
    """Whether `url` names a database behind a transaction pooler, which may give each transaction another session."""
    return POOLER in url.query


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer within `answer_seconds`, or the time of the request.

    The kernel notices a broken network connection. It does not notice a server or proxy that accepts data and never
    answers.
    """

    answer_seconds: float | None = None

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        if self.answer_seconds is None:
            return super().wait(gen, *args, **options)
        end = clock.monotonic() + _timeout(self.answer_seconds)
        try:
            return super().wait(_in_time(gen, end), *args, **options)
        except _Silent:
            # The answer may still arrive, so this connection cannot be used for anything else.
            self.close()
            raise


def _timeout(answer_seconds: float) -> float:
    try:
        return max(_LEAST_SECONDS, deadline.shortened(answer_seconds))
    except DeadlineExceeded:
        return _LEAST_SECONDS


class _Silent(psycopg.OperationalError):
    """The server gave no answer in time."""


def _in_time(steps: PQGen[T], end: float) -> PQGen[T]:
    """`steps`, the work of the driver, but raises _Silent when it is not done at `end`.

    The driver resumes the generator several times a second.
    """
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and clock.monotonic() > end:
                raise _Silent("the server does not answer")
            wanted = steps.send(ready)
    except StopIteration as done:
        result: T = done.value
        return result


def _connect(
    answer_seconds: float | None, _dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]
) -> BoundedConnection:
    try:
        connection = BoundedConnection.connect(*arguments, **options)
    except UnicodeError:
        raise psycopg.OperationalError("failed to resolve host: that is no name of a host") from None
    connection.answer_seconds = answer_seconds
    return connection


def _start_parameters(url: URL, limits: Timeouts, read_only: bool) -> str:
    settings: dict[str, Any] = {
        **_time_limits(limits),
        "timezone": "UTC",
        "datestyle": "ISO",
        "intervalstyle": _MARK,
        "standard_conforming_strings": "on",
        "default_transaction_isolation": r"read\ committed",
        # By default a server prefers a schema with the name of the user, if there is one.
        "search_path": "public",
        # Queries are a few look-ups each. JIT compilation and parallel workers would cost more time than they save.
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
        # The default is for hard disks, which are slow at random access.
        "random_page_cost": 1.1,
        # Clinics differ very much in size, and a plan for the average clinic is slow for the largest ones. Transactions
        # only look up keys and insert rows, for which one plan is enough.
        "plan_cache_mode": "force_custom_plan" if read_only else "auto",
    }
    if read_only:
        # Never set to off: an operator may have made the whole database read-only.
        settings["default_transaction_read_only"] = "on"
    ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
    theirs = url.query.get("options", "")
    # The options of the URL come last, so they override ours.
    return f"{ours} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()


def _time_limits(limits: Timeouts) -> dict[str, str]:
    return {
        "statement_timeout": f"{limits.statement or 0}s",
        "lock_timeout": f"{limits.lock or 0}s",
        # When a process hangs in a transaction, the transaction keeps its locks no longer than this.
        "idle_in_transaction_session_timeout": "60s" if limits.statement else "0",
    }


def _setting_limits(limits: Timeouts) -> Callable[[Connection], None]:
    statement = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in _time_limits(limits).items())

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return on_begin


def _check(pooled: bool, connection: BoundedConnection, _record: Any) -> None:
    """Raise DatabaseUnusable when the session does not have the state that the code relies on."""
    fault = _fault(connection.info.parameter_status, pooled)
    if fault:
        connection.close()
        raise DatabaseUnusable(fault)


def _fault(status: Callable[[str], str | None], pooled: bool) -> str | None:
    if status("server_encoding") != "UTF8":
        return (
            f"The database keeps text as {status('server_encoding')}; it must be UTF8. "
            "Create another one: createdb --encoding=UTF8 --template=template0 NAME"
        )
    if not pooled and status("IntervalStyle") != _MARK:
        return (
            "The start parameters of a session do not reach the database, because a pooler drops them. "
            f"Add ?{POOLER}=transaction to the database URL."
        )
    if not (status("DateStyle") or "").startswith("ISO"):
        return "The database does not write dates in ISO style. Change it: ALTER ROLE … SET datestyle = 'ISO'"
    return None
