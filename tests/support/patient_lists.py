"""A clinic whose patients are listed, each called by a short name, and summaries that hold what a test is about."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from clinic_service.db.engine import Database
from clinic_service.models import Patient, Site, Tag
from clinic_service.models.statistics import FIELDS
from clinic_service.resources.summaries.projection import project
from clinic_service.resources.summaries.repository import SummaryChange
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, Somebody
from tests.support.client import Client, Reply
from tests.support.rows import (
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)

_FLAGGED = frozenset(field.name for field in FIELDS if field.flagged)
_FLAGGED_DATES = ("firstData", "lastData", "lastUploadDate", "outdatedSince")
# Names are those of the spec, dots and all.
Query = Mapping[str, Any]


class Ward:
    """A clinic of Alice's and Bob's, and its patients by the names that the test gave them."""

    def __init__(self, api: Client, database: Database) -> None:
        self.api, self.database = api, database
        self.names: dict[str, str] = {}
        with storing(database) as unit:
            self.clinic = make_staffed_clinic(unit)
        self.path = f"/v1/clinics/{self.clinic.id}/patients"

    def add(self, *names: str, **values: Any) -> None:
        """The next patients, who are alike: `cgm` and `bgm` are summaries, `tags` and `sites` links, the rest columns.

        Without `full_name`, they are called so in their records as well.
        """
        self.add_all(dict.fromkeys(names, values))

    def add_all(self, patients: Mapping[str, Mapping[str, Any]]) -> None:
        """The next patients by name, each as in `add`."""
        with storing(self.database) as unit:
            changes = [change for name, values in patients.items() for change in self._add(unit, name, dict(values))]
            unit.summaries.apply(changes)

    def _add(self, unit: UnitOfWork, name: str, values: dict[str, Any]) -> Iterable[SummaryChange]:
        user_id = f"{len(self.names) + 1:010x}"
        tags, sites, summary = values.pop("tags", ()), values.pop("sites", ()), pop_summary(values)
        somebody = Somebody(user_id, name, "")
        patient = make_patient(unit, self.clinic, somebody, **{"email": None, **values})
        link(unit, patient, tags, sites)
        self.names[user_id] = name
        return changes_of(patient, summary)

    def tag(self, name: str) -> Tag:
        with storing(self.database) as unit:
            return make_tag(unit, self.clinic, name)

    def site(self, name: str) -> Site:
        with storing(self.database) as unit:
            return make_site(unit, self.clinic, name)

    def ask(self, query: Query | str = "", as_: Somebody | None = BOB, /, **more: Any) -> Reply:
        """The answer to a query, given as it stands in a URL or by its parameters."""
        text = query if isinstance(query, str) else urlencode({**query, **more})
        return self.api.get(f"{self.path}?{text}", as_=as_)

    def listed(self, query: Query | None = None, /, **more: Any) -> list[str]:
        """The names of all who match, in order."""
        wanted: dict[str, Any] = {"limit": 1000, **(query or {}), **more}
        reply = self.ask(wanted)
        assert reply.status == 200, reply.json
        names = [self.names[patient["id"]] for patient in reply.json["data"]]
        matching, total = reply.json["meta"]["count"], reply.json["meta"]["totalCount"]
        assert total == len(self.names)
        if wanted["limit"] == 1000 and "offset" not in wanted:
            assert matching == len(names)
        return names

    def sorted_by(self, sort: str, kind: str = "cgm", /, **more: Any) -> list[str]:
        return self.listed(sort=sort, sortType=kind, **more)


def link(unit: UnitOfWork, patient: Patient, tags: Sequence[Tag], sites: Sequence[Site]) -> None:
    tag_patient(unit, patient, *tags)
    place_patient(unit, patient, *sites)


def pop_summary(values: dict[str, Any]) -> dict[str, Any]:
    """The summaries by type, taken out of `values`."""
    given = {kind: values.pop(kind, None) for kind in ("cgm", "bgm")}
    return {kind: stats for kind, stats in given.items() if stats is not None}


def changes_of(patient: Patient, summary: Mapping[str, Any]) -> list[SummaryChange]:
    """What stores the summaries of a patient, by type, which need not be complete."""
    return [
        SummaryChange(patient.clinic_id, patient.id, kind, project(kind, stats, orjson.dumps(stats).decode()))
        for kind, stats in summary.items()
    ]


def stats(figures: Mapping[str, Any] | None = None, period: str = "14d", **members: Any) -> dict[str, Any]:
    """A summary with these figures in one period; figures and `dates` have flags, true unless they are given."""
    made = dict(members)
    if figures is not None:
        made["periods"] = {period: _with_flags(figures, _FLAGGED)}
    if "dates" in made:
        made["dates"] = _with_flags(made["dates"], _FLAGGED_DATES)
    return made


def _with_flags(values: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {flag_of(name): True for name in values if name in names} | dict(values)


def flagged(name: str, value: Any, flag: bool = True) -> dict[str, Any]:
    """A figure or date, None for a missing one, with its flag."""
    return {flag_of(name): flag, **({} if value is None else {name: value})}


def flag_of(name: str) -> str:
    return f"has{name[0].upper()}{name[1:]}"
