"""The only clock: all other modules ask it for the time. Tests stop it with `frozen` and move it with `advanced`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from time import monotonic as _monotonic

import orjson

_frozen: datetime | None = None
_advanced_seconds = 0.0
# Every request asks for the time, and to subtract one of these takes a tenth of the time of making a new datetime.
_BELOW = [timedelta(microseconds=count) for count in range(1000)]


# Other systems write this date, or a time on it, where none is known.
UNKNOWN_DATE = "0001-01-01"
_UNKNOWN_YEAR = 1


def now() -> datetime:
    """The present time in UTC, cut to milliseconds, so that a stored time equals the time in answers."""
    return truncate(precise_now())


def precise_now() -> datetime:
    """The present time in UTC, in microseconds. Creation order is the order of these times."""
    return _frozen or datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never goes back, to measure how long something takes. Its zero has no meaning."""
    return _monotonic() + _advanced_seconds


def truncate(time: datetime) -> datetime:
    """`time`, rounded down to a whole millisecond."""
    return time - _BELOW[time.microsecond % 1000]


def to_wire(time: datetime) -> str:
    """`time` as text on the wire: RFC 3339 with `Z` and three decimals. `time` must be in UTC."""
    return _to_text(time, 3)


def to_precise_text(time: datetime) -> str:
    """`time` in the form of `to_wire`, but with six decimals."""
    return _to_text(time, 6)


def _to_text(time: datetime, decimals: int) -> str:
    # This takes a third of the time of `isoformat`. The text is quoted, and has six decimals or none.
    text = orjson.dumps(time).decode()
    return f"{text[1 : 21 + decimals]}Z" if time.microsecond else f"{text[1:20]}.{'0' * decimals}Z"


def from_wire(text: str) -> datetime:
    """The time that `text`, an RFC 3339 date-time, means: in UTC, cut to milliseconds.

    Raises ValueError for times that RFC 3339 allows and `datetime` cannot hold, such as leap seconds.
    """
    try:
        return truncate(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except OverflowError:
        raise ValueError("The time is beyond the calendar.") from None


def is_date(text: str) -> bool:
    """Whether `text` is a date of the calendar in the form YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def known_time(text: str) -> datetime | None:
    """The time that `text` means, as `from_wire`; None for a time in the year of UNKNOWN_DATE."""
    time = from_wire(text)
    return None if time.year == _UNKNOWN_YEAR else time


def known_date(text: str) -> str | None:
    """The date `text` (YYYY-MM-DD); None for UNKNOWN_DATE."""
    return None if text == UNKNOWN_DATE else text


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
    """Move `monotonic` forward by `seconds` while the block runs, for all threads."""
    global _advanced_seconds  # noqa: PLW0603 - one clock for the whole process is the point
    _advanced_seconds += seconds
    try:
        yield
    finally:
        _advanced_seconds -= seconds
