"""Merges of made-up clinics that are stored: planned and carried out in batches as the pure plan says."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Role, Site, Tag
from clinic_service.models.sort_keys import mrn_key, name_key
from clinic_service.resources.merges import moving, repository
from clinic_service.resources.merges.facts import ClinicFacts, MemberFacts, PatientFacts, SiteFacts, TagFacts
from clinic_service.resources.merges.patient_plans import PatientPlan
from clinic_service.resources.merges.planning import Planning
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.unit_of_work import UnitOfWork, reading
from tests.support.cast import SERVICE, Somebody
from tests.support.client import Client
from tests.support.databases import clear
from tests.support.merge_model import SETTINGS, Place, merged, planned
from tests.support.rows import make_clinic, make_clinician, make_patient, place_patient, storing, tag_patient
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries

TAGS = ["Pump", "pump", "P ump", "Type 1", "TYPE1", "Trial"]
SITES = ["A", "a", "A (2)", "a (2)", "A (3)", "B", "b "]
NAMES = [
    None,
    "",
    "Carol Cooper",
    "CAROL COOPER ",
    "Cárol Cooper",
    "Dave",
    "Erin",
    "Straße",
    "strasse",
    "\u00a0ერთი",
    "ᲔᲠᲗᲘ",
]
BIRTHS, NUMBERS = [None, "1987-04-12", "1999-01-01"], [None, " ", "M-1", "m-1 ", "M-2", "M-3"]
USERS = [f"{number:010x}" for number in range(40)]
ROUNDS = 4


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "PAGE", 7)
    monkeypatch.setattr(moving, "BATCH", 5)


def made_up(random: Random, name: str) -> Place:
    def id_of(what: str) -> str:
        return sha256(f"{random.random()} {name} {what}".encode()).hexdigest()[:24]

    tags = _some(random, TAGS, Tag.key_of)
    sites = _some(random, SITES, Site.key_of)
    tag_ids, site_ids = [id_of(tag) for tag in tags], [id_of(site) for site in sites]
    members = [
        MemberFacts(
            id_of(user),
            user,
            f"{user}@mail.example",
            user,
            tuple(r for r in Role if random.random() < 0.5) or (Role.ADMIN,),
        )
        for user in random.sample(USERS[:8], random.randrange(6))
    ]
    patients = []
    for user in random.sample(USERS, random.randrange(10, 30)):
        full_name, mrn = random.choice(NAMES), random.choice(NUMBERS)
        patients.append(
            PatientFacts(
                id_of(user),
                user,
                full_name,
                random.choice(BIRTHS),
                mrn,
                mrn_key(mrn),
                name_key(full_name),
                False,
                tuple(sorted(random.sample(tag_ids, random.randint(0, len(tag_ids))))),
                tuple(random.sample(site_ids, random.randint(0, len(site_ids)))),
            )
        )
    return Place(
        ClinicFacts(
            id_of("clinic"),
            name,
            SETTINGS,
            tags=tuple(TagFacts(*one) for one in sorted(zip(tag_ids, tags, strict=True))),
            sites=tuple(SiteFacts(*one) for one in sorted(zip(site_ids, sites, strict=True))),
            members=tuple(sorted(members)),
        ),
        tuple(sorted(patients, key=lambda one: (one.name_key, one.id))),
    )


def _some(random: Random, names: list[str], key: object) -> list[str]:
    found = {key(name): name for name in random.sample(names, random.randrange(len(names)))}  # type: ignore[operator]
    return list(found.values())


def store(unit: UnitOfWork, place: Place) -> None:
    facts = place.clinic
    clinic = make_clinic(unit, id=facts.id, name=facts.name)
    tags = {
        one.id: Tag(clinic_id=clinic.id, id=one.id, name=one.name, name_key=Tag.key_of(one.name)) for one in facts.tags
    }
    sites = {
        one.id: Site(clinic_id=clinic.id, id=one.id, name=one.name, name_key=Site.key_of(one.name))
        for one in facts.sites
    }
    unit.session.add_all([*tags.values(), *sites.values()])
    for member in facts.members:
        person = Somebody(member.user_id or "", member.name or "", member.email or "")
        make_clinician(unit, clinic, person, *member.roles, id=member.id)
    for one in place.patients:
        person = Somebody(one.user_id, "", "")
        values = {"id": one.id, "full_name": one.full_name, "birth_date": one.birth_date, "email": None}
        patient = make_patient(unit, clinic, person, **values, mrn=one.mrn, mrn_key=one.mrn_key)
        tag_patient(unit, patient, *(tags[tag] for tag in one.tag_ids))
        place_patient(unit, patient, *(sites[site] for site in one.site_ids))


def seen(plans: list[PatientPlan]) -> list[tuple[object, ...]]:
    return sorted(
        (
            one.workspace,
            one.patient.user_id,
            one.action,
            one.tags,
            one.sites,
            one.error or "",
            sorted((conflict.category, conflict.patient.id) for conflict in one.conflicts),
        )
        for one in plans
    )


def stored_place(unit: UnitOfWork, clinic_id: str) -> Place:
    facts = unit.merges.find_facts(clinic_id)
    assert facts is not None
    return Place(facts, tuple(one for page in unit.merges.pages(clinic_id, "") for one in page))


def comparable(place: Place) -> dict[str, object]:
    """The clinic without the ids of its tags, some of which are new."""
    names = {tag.id: Tag.key_of(tag.name) for tag in place.clinic.tags}
    return {
        "tags": sorted((tag.name) for tag in place.clinic.tags),
        "sites": sorted(place.clinic.sites),
        "members": sorted(place.clinic.members),
        "patients": sorted(
            (
                one.id,
                one.user_id,
                one.full_name or "",
                one.mrn or "",
                {names[tag] for tag in one.tag_ids},
                {*one.site_ids},
            )
            for one in place.patients
        ),
    }


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_are_planned_and_carried_out_as_the_pure_plan_says(api: Client, database: Database, seed: int) -> None:
    random = Random(seed)
    source, target = made_up(random, "Hilltop"), made_up(random, "Harbour")
    with storing(database) as unit:
        store(unit, source)
        store(unit, target)
        for user in random.sample(USERS, 6):
            stats = {"cgmStats": cgm_stats(random), "bgmStats": bgm_stats(random)}
            put_summaries(unit, Somebody(user, "", ""), **{k: v for k, v in stats.items() if random.random() < 0.7})
    with reading(database) as unit:
        assert stored_place(unit, source.clinic.id) == source
        planning = Planning(unit, source.clinic.id, target.clinic.id, None)
        pages = [*planning.source_patients(), *planning.target_patients()]
    expected = planned(source, target)
    assert planning.plan == expected.plan
    assert seen([one for page in pages for one in page]) == seen(list(expected.patients))
    assert len(pages) > 2
    reply = api.post(f"/v1/clinics/{target.clinic.id}/merge", as_=SERVICE, json={"sourceId": source.clinic.id})
    assert reply.status == 200, reply.json
    with reading(database) as unit:
        assert comparable(stored_place(unit, target.clinic.id)) == comparable(merged(source, target))
    assert list(compare(database)) == []


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_of_two_into_a_third_have_the_same_people_in_either_order(api: Client, database: Database, seed: int) -> None:
    def people(order: tuple[int, ...]) -> tuple[set[str], set[str | None]]:
        random = Random(seed)
        places = [made_up(random, name) for name in ("Hilltop", "Lakeside", "Harbour")]
        clear(database)
        with storing(database) as unit:
            for place in places:
                store(unit, place)
        target = places[2].clinic.id
        for number in order:
            body = {"sourceId": places[number].clinic.id}
            assert api.post(f"/v1/clinics/{target}/merge", as_=SERVICE, json=body).status == 200
        with reading(database) as unit:
            result = stored_place(unit, target)
        assert result.clinic.sites
        return result.user_ids, {member.user_id for member in result.clinic.members}

    assert people((0, 1)) == people((1, 0))
