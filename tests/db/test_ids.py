"""Ids: their layout, that none is made twice, and that they are ordered by time whichever process made them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_service import clock
from clinic_service.db.ids import IdSource, new_id

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))


def test_is_24_lower_case_hex_characters_led_by_the_time() -> None:
    made = new_id(datetime(2026, 3, 2, 12, 0, 1, 999_999, tzinfo=UTC))
    assert re.fullmatch(r"[0-9a-f]{24}", made)
    assert int(made[:8], 16) == int(NOON.timestamp()) + 1
    assert int(made[8:13], 16) == 999_999


def test_has_the_present_time_when_none_is_given() -> None:
    with clock.frozen(NOON + timedelta(microseconds=1)):
        assert new_id()[:13] == f"{int(NOON.timestamp()):08x}00001"


def test_grows_with_every_id_of_one_process_and_time() -> None:
    ids = [new_id(NOON) for _ in range(10_000)]
    assert ids == sorted(set(ids))


@given(st.lists(TIMES, min_size=2, max_size=20, unique=True))
def test_ids_of_several_processes_are_ordered_by_time(times: list[datetime]) -> None:
    processes = cycle([IdSource(), IdSource(), IdSource()])
    ids = {time: next(processes).new_id(time) for time in times}
    assert sorted(ids, key=ids.__getitem__) == sorted(times)


def test_ids_of_two_processes_within_one_second_are_ordered_by_the_microsecond() -> None:
    sources: Iterator[IdSource] = cycle([IdSource(), IdSource()])
    ids = [next(sources).new_id(NOON + timedelta(microseconds=count)) for count in range(1000)]
    assert ids == sorted(ids)


def test_threads_never_get_the_same_id() -> None:
    source = IdSource()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: source.new_id(NOON), range(20_000)))
    assert len(set(ids)) == 20_000


def test_two_processes_never_make_the_same_id_at_the_same_time() -> None:
    ids = [source.new_id(NOON) for source in (IdSource(), IdSource()) for _ in range(1000)]
    assert len(set(ids)) == 2000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where a process can be forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_ids_of_its_own() -> None:
    reading_end, writing_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing_end, new_id(NOON).encode())
        os._exit(0)
    os.waitpid(child, 0)
    of_child = os.read(reading_end, 24).decode()
    os.close(reading_end)
    os.close(writing_end)
    # Without numbers of its own the child's would be the parent's next one.
    assert of_child != new_id(NOON)
