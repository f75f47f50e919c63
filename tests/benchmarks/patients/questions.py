"""The lists that are asked for, made from the program's own table of what can be sorted and filtered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import cycle, product
from typing import NamedTuple
from urllib.parse import urlencode

from clinic_service import clock
from clinic_service.models.statistics import TYPES, is_indexed
from clinic_service.resources.patients.listing.query import SORTS
from tests.benchmarks.patients.clinics import Clinic

PAGE = 50
_INDEXED_SORTS = ("fullName", "birthDate", "lastReviewed", "lastData")

Parameters = dict[str, str]


class Question(NamedTuple):
    """A list, and what to call it in a report."""

    name: str
    parameters: Parameters

    def address(self, clinic: Clinic) -> str:
        """Where to ask it."""
        return f"/v1/clinics/{clinic.id}/patients?{urlencode({'limit': str(PAGE), **self.parameters})}"


def _ago(**parts: float) -> str:
    # To the day, so that the same text comes again within a run.
    now = clock.now()
    return clock.to_wire(datetime(now.year, now.month, now.day, tzinfo=now.tzinfo) - timedelta(**parts))


def indexed_sorts() -> Iterator[Question]:
    """Every order that has an index, both ways."""
    for kind in TYPES:
        for name, direction in product(SORTS[kind], "+-"):
            # Orders that are the same for both types are asked for once.
            if is_indexed(kind, name) or (name in _INDEXED_SORTS and (kind == TYPES[0] or name == "lastData")):
                yield Question(f"{direction}{name} {kind}", {"sort": f"{direction}{name}", "sortType": kind})


def indexed_filters(clinic: Clinic) -> list[Question]:
    """Filters that an index answers, and that leave more than a page of even the smallest clinic."""
    return [
        Question("very low > 1 %", {"cgm.timeInVeryLowPercent": ">0.01"}),
        Question("in target >= 70 %", {"cgm.timeInTargetPercent": ">=0.7"}),
        Question("data of the last week", {"cgm.lastDataFrom": _ago(days=7)}),
        Question("common tag", {"tags": clinic.tag_ids[0]}),
        Question("use < 70 %", {"cgm.timeCGMUsePercent": "<0.7"}),
    ]


def first_pages(clinic: Clinic) -> Iterator[tuple[str, Question]]:
    """The first page of every indexed order, once without a filter and once with an indexed one; with the kind of page."""
    filters = cycle(indexed_filters(clinic))
    for sort in indexed_sorts():
        yield "no filter", sort
        yield "one indexed filter", _both(next(filters), sort)


def one_filter_pages(clinic: Clinic) -> Iterator[tuple[str, Question]]:
    """Pages near and far with one filter of each kind, in orders with and without an index; with the kind of page."""
    kinds = {
        "indexed": [*indexed_filters(clinic), *_other_indexed_filters(clinic)],
        "other": _OTHER_FILTERS,
        "search": _SEARCHES,
    }
    for kind, filters in kinds.items():
        for wanted, (is_indexed_sort, sort), offset in product(filters, _SORTS, (0, clinic.size // 2)):
            question = _both(wanted, sort)
            far = Question(f"{question.name}, from {offset}", {**question.parameters, "offset": str(offset)})
            yield (kind if is_indexed_sort or kind == "search" else "other"), far


_SORTS = [
    (True, Question("by name", {})),
    (True, Question("newest data first", {"sort": "-lastData", "sortType": "cgm"})),
    (True, Question("by average of meters", {"sort": "-averageGlucoseMmol", "sortType": "bgm"})),
    (False, Question("by readings", {"sort": "-totalRecords", "sortType": "cgm"})),
]
_OTHER_FILTERS = [
    Question("low minutes > 60", {"cgm.timeInLowMinutes": ">60"}),
    Question("deviation grew", {"cgm.standardDeviationDelta": ">0"}),
    Question("few readings", {"cgm.totalRecords": "<1500"}),
    Question("most of meters", {"bgm.max": ">20"}),
]
_SEARCHES = [
    Question(f"search {text!r}", {"search": text})
    for text in ("e", "an", "smith", "жу", "mrn-2041", "patient.77@", "1987-", "nobody")
]


def _other_indexed_filters(clinic: Clinic) -> list[Question]:
    return [
        Question("very low > 15 %", {"cgm.timeInVeryLowPercent": ">0.15"}),
        Question("very low > nothing", {"cgm.timeInVeryLowPercent": ">=0"}),
        Question("average of meters > 12", {"bgm.averageGlucoseMmol": ">12"}),
        Question("no data for a month", {"cgm.lastDataTo": _ago(days=30)}),
        Question("data of a day", {"cgm.lastDataFrom": _ago(days=3), "cgm.lastDataTo": _ago(days=2)}),
        Question("rare tag", {"tags": clinic.tag_ids[-1]}),
        Question("no tag", {"tags": "_"}),
        Question("one of two sites", {"sites": ",".join(clinic.site_ids[:2])}),
        Question("no site", {"sites": "_"}),
        Question("last reviewed a month ago", {"lastReviewed": _ago(days=30)}),
        Question("usual ranges", {"omitNonStandardRanges": "true"}),
    ]


def _both(wanted: Question, sort: Question) -> Question:
    return Question(f"{wanted.name}, {sort.name}", {**wanted.parameters, **sort.parameters})


def tide(clinic: Clinic) -> str:
    """The report of a clinic, as its weekly routine asks for it."""
    query = {"period": "14d", "tags": clinic.tag_ids[0], "lastDataCutoff": _ago(days=14)}
    return f"/v1/clinics/{clinic.id}/tide_report?{urlencode(query)}"
