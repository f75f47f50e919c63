"""Ids: their layout, and that they only grow."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from clinic_service.db.ids import IdSource, new_id


def test_is_24_lower_case_hex_characters_led_by_the_time() -> None:
    before = int(time.time())
    made = new_id()
    assert re.fullmatch(r"[0-9a-f]{24}", made)
    assert before <= int(made[:8], 16) <= int(time.time()) + 1


def test_grows_with_every_id() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))


def test_threads_never_get_the_same_id() -> None:
    source = IdSource()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: source.new_id(), range(20_000)))
    assert len(set(ids)) == 20_000


def test_grows_although_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    source = IdSource()
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    first = source.new_id()
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    assert source.new_id() > first


def test_grows_when_the_counter_is_used_up_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    source = IdSource()
    source.new_id()
    source._counter = (1 << 24) - 2
    last, next_one = source.new_id(), source.new_id()
    assert last.endswith("ffffff")
    assert next_one.endswith("000000")
    assert next_one > last


def test_two_processes_differ_in_the_random_part() -> None:
    assert IdSource().new_id()[8:18] != IdSource().new_id()[8:18]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where a process can be forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_gets_a_random_part_of_its_own() -> None:
    reading_end, writing_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing_end, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    of_child = os.read(reading_end, 24).decode()
    os.close(reading_end)
    os.close(writing_end)
    assert of_child[8:18] != new_id()[8:18]
