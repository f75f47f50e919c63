"""What is measured, and against which target."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from math import inf
from pathlib import Path
from random import Random

import orjson
from sqlalchemy import select

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.demo.summaries import summaries
from clinic_service.models import Patient, Summary
from clinic_service.unit_of_work import reading
from tests.benchmarks.load import UnexpectedAnswer
from tests.benchmarks.patients.asking import Caller, in_turns, person, quick, request, service
from tests.benchmarks.patients.clinics import Clinic
from tests.benchmarks.patients.inside import Inside
from tests.benchmarks.patients.measurements import Measurement, worst
from tests.benchmarks.patients.questions import PAGE, Question, first_pages, one_filter_pages, tide
from tests.benchmarks.processes import Server

_MILLI = 1000
_MEGA = 1024 * 1024
# The clinic that figures in milliseconds are wanted for.
_MIDDLE = 10_000
_RATIO, _SAME = 1.5, 1.3


def middle(clinics: Sequence[Clinic]) -> Clinic:
    """The clinic whose size comes nearest to that of the targets in milliseconds."""
    return min(clinics, key=lambda clinic: abs(clinic.size - _MIDDLE))


def _get(clinic: Clinic, address: str) -> bytes:
    return request("GET", address, person(clinic.admin_id))


def memory(server: Server, clinics: Sequence[Clinic]) -> Iterator[Measurement]:
    """What the server keeps in memory after it has answered the same questions for one clinic after the other."""
    caller, after = Caller(server.port), []
    for clinic in clinics:
        for _, question in first_pages(clinic):
            caller.seconds(_get(clinic, question.address(clinic)))
        after.append(private_bytes(server) / _MEGA)
        yield Measurement(f"memory after {clinic.size} patients", after[-1], "MB")
    caller.close()
    # What may grow is SQLite's cache, which has an end: 8 MB for each of the eight connections that read.
    yield Measurement("memory, growth", after[-1] - after[0], "MB", 64)


def private_bytes(server: Server) -> int:
    """Memory of its own of the largest process; pages of the database's file that the system lends it do not count."""
    return max(_anonymous(pid) for pid in server.processes())


def _anonymous(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def pages_by_size(server: Server, clinics: Sequence[Clinic], rounds: int) -> Iterator[Measurement]:
    """First pages over HTTP, the largest clinic's against the smallest one's."""
    caller = Caller(server.port)
    ratios: dict[str, list[tuple[str, float]]] = defaultdict(list)
    times: dict[int, list[float]] = defaultdict(list)
    for pages in zip(*(list(first_pages(clinic)) for clinic in clinics), strict=True):
        asked = {c.size: _get(c, q.address(c)) for c, (_, q) in zip(clinics, pages, strict=True)}
        taken = in_turns({size: partial(caller.seconds, one) for size, one in asked.items()}, rounds)
        best = {size: quick(seconds) for size, seconds in taken.items()}
        for size, seconds in best.items():
            times[size].append(seconds * _MILLI)
        kind, question = pages[0]
        ratios[kind].append((question.name, best[clinics[-1].size] / best[clinics[0].size]))
    caller.close()
    for kind, values in ratios.items():
        what = f"first page of {PAGE}, {kind}, {clinics[-1].size} to {clinics[0].size}"
        yield from worst(what, values, "times", _RATIO)
    for size, milliseconds in times.items():
        yield Measurement(f"first page of {PAGE} over HTTP, {size}", quick(milliseconds), "ms")


def pages_with_one_filter(url: str, clinics: Sequence[Clinic], times: int) -> Iterator[Measurement]:
    """Time of the database for pages with one filter, in the clinic of the middle."""
    inside, clinic = Inside(url), middle(clinics)
    token, found = person(clinic.admin_id), defaultdict[str, list[tuple[str, float]]](list)
    for kind, question in one_filter_pages(clinic):
        seconds = inside.database_seconds(question.address(clinic), token, times)
        found[kind].append((question.name, seconds * _MILLI))
    for kind, values in found.items():
        target = 15 if kind == "indexed" else 40
        yield from worst(f"database time at {clinic.size}, {kind}", values, "ms", target)
    inside.database.dispose()


def program(url: str, clinics: Sequence[Clinic], times: int) -> Iterator[Measurement]:
    """Processor time of everything but the database for a page with full summaries."""
    inside, clinic = Inside(url), middle(clinics)
    question = Question("newest data first", {"sort": "-lastData", "sortType": "cgm"})
    costs = inside.costs(question.address(clinic), person(clinic.admin_id), times)
    yield Measurement(f"page of {PAGE} with full summaries, program", costs.program * _MILLI, "ms", 4)
    yield Measurement(f"page of {PAGE} with full summaries, database", costs.database * _MILLI, "ms")
    inside.database.dispose()


def report(server: Server, clinics: Sequence[Clinic], rounds: int) -> Iterator[Measurement]:
    """The TIDE report over HTTP."""
    for clinic in clinics:
        caller, asked = Caller(server.port), _get(clinic, tide(clinic))
        target = 50 if clinic is middle(clinics) else None
        try:
            seconds = quick([caller.seconds(asked) for _ in range(rounds)])
        except (UnexpectedAnswer, TimeoutError) as error:
            yield Measurement(f"TIDE at {clinic.size}", inf, "ms", target, f"{type(error).__name__}: {str(error)[:80]}")
        else:
            yield Measurement(f"TIDE at {clinic.size}", seconds * _MILLI, "ms", target)
        finally:
            caller.close()


def updates(url: str, server: Server, clinics: Sequence[Clinic], rounds: int) -> Iterator[Measurement]:
    """New summaries of both types, all periods, for one patient after the other."""
    users = {clinic.size: _users(url, clinic, rounds) for clinic in clinics}
    random, token = Random(), service()

    def update(number: int, size: int) -> bytes:
        given = {f"{kind}Stats": stats for kind, stats in _both_types(random).items()}
        user = users[size][number % len(users[size])]
        return request("POST", f"/v1/patients/{user}/summary", token, orjson.dumps(given))

    yield from _writes(server, clinics, "summary update", update, rounds, target=10)


def creations(server: Server, clinics: Sequence[Clinic], rounds: int) -> Iterator[Measurement]:
    """New patients, each with an account of the embedded directory."""
    tokens = {clinic.size: (clinic.id, person(clinic.admin_id)) for clinic in clinics}

    def create(number: int, size: int) -> bytes:
        clinic_id, token = tokens[size]
        body = {"fullName": f"Newcomer {number}", "birthDate": "1990-01-01", "mrn": f"NEW-{number}"}
        return request("POST", f"/v1/clinics/{clinic_id}/patients", token, orjson.dumps(body))

    yield from _writes(server, clinics, "new patient", create, rounds)


def _writes(
    server: Server,
    clinics: Sequence[Clinic],
    what: str,
    make: Callable[[int, int], bytes],
    rounds: int,
    target: float | None = None,
) -> Iterator[Measurement]:
    caller = Caller(server.port)
    numbers = count(time.time_ns() // 1_000_000)

    def seconds(size: int) -> float:
        # Made before the clock starts, and never the same as before.
        asked = make(next(numbers), size)
        return caller.seconds(asked)

    # Once without a clock: some tables are only read when they are needed.
    for clinic in clinics:
        seconds(clinic.size)
    taken = in_turns({clinic.size: partial(seconds, clinic.size) for clinic in clinics}, rounds)
    caller.close()
    best = {size: quick(seconds) * _MILLI for size, seconds in taken.items()}
    for size, milliseconds in best.items():
        yield Measurement(f"{what}, {size}", milliseconds, "ms", target)
    sizes = sorted(best)
    yield Measurement(f"{what}, {sizes[-1]} to {sizes[0]}", best[sizes[-1]] / best[sizes[0]], "times", _SAME)


def _both_types(random: Random) -> dict[str, object]:
    """Summaries of somebody who has both."""
    while len(made := summaries(random, clock.now())) < 2:
        pass
    return dict(made)


def _users(url: str, clinic: Clinic, most: int) -> list[str]:
    """Patients of the clinic who have a summary."""
    found = (
        select(Patient.user_id)
        .join(Summary, (Summary.clinic_id == Patient.clinic_id) & (Summary.patient_id == Patient.id))
        .where(Patient.clinic_id == clinic.id, Summary.type == "cgm")
        .limit(most)
    )
    database = Database(url)
    with reading(database) as unit:
        users = list(unit.execute(found).scalars())
    database.dispose()
    return users
