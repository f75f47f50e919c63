"""The one clock. Tests stop it with `frozen` and move it with `advanced`; nothing else in the package asks for the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from time import monotonic as _monotonic

_frozen: datetime | None = None
_advanced_seconds = 0.0
# Subtracting one of these takes a tenth of the time of making a new datetime, and every request asks for the time.
_BELOW = [timedelta(microseconds=count) for count in range(1000)]


def now() -> datetime:
    """The present time in UTC, cut to milliseconds so that a stored time equals the time that is shown."""
    return truncate(precise_now())


def precise_now() -> datetime:
    """The present time in UTC to the microsecond, which is what the order of creation goes by."""
    return _frozen or datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that only goes forward, to measure how long something takes."""
    return _monotonic() + _advanced_seconds


def truncate(time: datetime) -> datetime:
    """`time` without the part below a millisecond."""
    return time - _BELOW[time.microsecond % 1000]


def to_wire(time: datetime) -> str:
    """`time`, which must be in UTC, as it is sent: RFC 3339 with `Z` and three decimals."""
    return f"{time.isoformat(timespec='milliseconds')[:23]}Z"


def from_wire(text: str) -> datetime:
    """The point in time that `text`, an RFC 3339 date-time, names: UTC, cut to milliseconds.

    Raises ValueError for what RFC 3339 admits and no calendar library holds, such as leap seconds.
    """
    try:
        return truncate(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except OverflowError:
        raise ValueError("The time is beyond the calendar.") from None


def is_date(text: str) -> bool:
    """Whether `text` is a day of the calendar, written YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@contextmanager
def frozen(time: datetime) -> Iterator[None]:
    """Stop the clock at `time` while the block runs."""
    global _frozen  # noqa: PLW0603 - one clock for the whole process is the point
    before, _frozen = _frozen, time
    try:
        yield
    finally:
        _frozen = before


@contextmanager
def advanced(seconds: float) -> Iterator[None]:
    """Let `monotonic` be ahead by so many seconds while the block runs, for all threads."""
    global _advanced_seconds  # noqa: PLW0603 - one clock for the whole process is the point
    _advanced_seconds += seconds
    try:
        yield
    finally:
        _advanced_seconds -= seconds
