"""What happens to patients: who is the same user, who may be the same person, and whose number rules the merge out."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.models.sort_keys import folded
from clinic_service.resources.merges.facts import PatientFacts
from clinic_service.resources.merges.matching import MOST_CONFLICTS, Lookup
from tests.support.merge_model import SETTINGS, Place, place, planned

NAME, BIRTH, MRN = "Carol Cooper", "1987-04-12", "MRN-1"


def patient(user_id: str, clinic: str = "Hilltop", **facts: Any) -> PatientFacts:
    mrn = facts.get("mrn")
    return PatientFacts(f"{clinic}/{user_id}", user_id, mrn_key=folded(mrn) if mrn else None, **facts)


def conflicts(one: PatientFacts, *others: PatientFacts) -> list[tuple[str, str]]:
    return [(found.category.value, found.patient.user_id) for found in Lookup(others).conflicts(one)]


class TestConflicts:
    @pytest.mark.parametrize(
        ("shared", "category"),
        [
            ({"full_name": NAME, "birth_date": BIRTH, "mrn": MRN}, "Likely Duplicate Accounts"),
            ({"full_name": NAME, "birth_date": BIRTH}, "Likely Duplicate Accounts"),
            ({"full_name": NAME, "mrn": MRN}, "Likely Duplicate Accounts"),
            ({"birth_date": BIRTH, "mrn": MRN}, "Likely Duplicate Accounts"),
            ({"mrn": MRN}, "MRN Only Match"),
            ({"full_name": NAME}, "Name Only Match"),
            ({"birth_date": BIRTH}, None),
            ({}, None),
        ],
    )
    def test_depend_on_what_two_records_share(self, shared: dict[str, str], category: str | None) -> None:
        one = patient("carol", **{"full_name": "A", "birth_date": "2000-01-01", "mrn": "1"} | shared)
        other = patient("dave", "Harbour", **{"full_name": "B", "birth_date": "2000-01-02", "mrn": "2"} | shared)
        assert conflicts(one, other) == ([(category, "dave")] if category else [])

    def test_the_same_user_is_one_whatever_the_records_say(self) -> None:
        one, other = patient("carol", full_name="A"), patient("carol", "Harbour", full_name="B")
        assert conflicts(one, other) == [("Duplicate Accounts", "carol")]

    @pytest.mark.parametrize(("one", "other"), [("Carol Cooper", " cAROL COOPER "), ("Straße", "STRASSE")])
    def test_letter_case_and_space_around_a_name_do_not_count(self, one: str, other: str) -> None:
        found = conflicts(patient("carol", full_name=one), patient("dave", full_name=other))
        assert found == [("Name Only Match", "dave")]

    @pytest.mark.parametrize("blank", [None, "", "  "])
    def test_blanks_never_match(self, blank: str | None) -> None:
        facts: dict[str, Any] = {"full_name": blank, "birth_date": None, "mrn": None}
        assert conflicts(patient("carol", **facts), patient("dave", **facts)) == []

    def test_the_strongest_come_first(self) -> None:
        one = patient("carol", full_name=NAME, birth_date=BIRTH, mrn=MRN)
        others = [
            patient("name", full_name=NAME),
            patient("number", mrn=MRN),
            patient("likely", full_name=NAME, birth_date=BIRTH),
            patient("carol", "Harbour"),
        ]
        assert [user for _, user in conflicts(one, *others)] == ["carol", "likely", "number", "name"]

    def test_a_name_that_everybody_has_does_not_make_a_list_of_everybody(self) -> None:
        crowd = [patient(f"user{number}", full_name="Test Patient") for number in range(MOST_CONFLICTS + 50)]
        found = conflicts(patient("carol", full_name="Test Patient"), *crowd, patient("carol", "Harbour"))
        assert len(found) == MOST_CONFLICTS
        assert found[0] == ("Duplicate Accounts", "carol")


def clinics(source: list[PatientFacts], target: list[PatientFacts], **settings: Any) -> tuple[Place, Place]:
    both = SETTINGS._replace(**settings)
    return place("Hilltop", patients=source, settings=both), place("Harbour", patients=target, settings=both)


def actions(source: Place, target: Place) -> list[tuple[str, str]]:
    return [(one.patient.user_id, one.action.value) for one in planned(source, target).patients]


def test_who_is_in_both_clinics_is_merged_and_the_others_move_or_stay() -> None:
    source, target = clinics(
        [patient("carol"), patient("dave")], [patient("carol", "Harbour"), patient("erin", "Harbour")]
    )
    assert actions(source, target) == [
        ("carol", "MERGE"),
        ("dave", "MOVE"),
        ("carol", "MERGE_INTO"),
        ("erin", "RETAIN"),
    ]


def test_tags_and_sites_of_both_records_are_kept_each_once_under_their_names_afterwards() -> None:
    source = place(
        "Hilltop",
        tags=["pump", "Type 1"],
        sites=["West", "North"],
        patients=[
            patient("carol", tag_ids=("Hilltop/tag/pump", "Hilltop/tag/Type 1"), site_ids=("Hilltop/site/West",)),
            patient("dave", tag_ids=("Hilltop/tag/pump",), site_ids=("Hilltop/site/North", "Hilltop/site/West")),
        ],
    )
    target = place(
        "Harbour",
        tags=["Pump", "Trial"],
        sites=["west"],
        patients=[
            patient(
                "carol", "Harbour", tag_ids=("Harbour/tag/Trial", "Harbour/tag/Pump"), site_ids=("Harbour/site/west",)
            )
        ],
    )
    assert [(one.patient.user_id, one.tags, one.sites) for one in planned(source, target).patients] == [
        ("carol", ("Pump", "Trial", "Type 1"), ("west", "West (2)")),
        ("dave", ("Pump",), ("North", "West (2)")),
        ("carol", ("Pump", "Trial", "Type 1"), ("west", "West (2)")),
    ]


class TestNumbers:
    @pytest.mark.parametrize("mrn", [None, ""])
    def test_one_that_is_required_and_missing(self, mrn: str | None) -> None:
        source, target = clinics([patient("carol", mrn=mrn)], [], mrn_required=True)
        assert planned(source, target).codes == ["MRN_REQUIRED"]
        assert planned(*clinics([patient("carol", mrn=mrn)], [])).codes == []

    def test_of_a_patient_of_the_target(self) -> None:
        records = [patient("carol", mrn="A-1")], [patient("dave", "Harbour", mrn="a-1")]
        assert planned(*clinics(*records, mrn_unique=True)).codes == ["DUPLICATE_MRN_TARGET"]
        assert planned(*clinics(*records)).codes == []

    def test_of_another_patient_of_the_source_takes_precedence(self) -> None:
        same = [patient(user, mrn="A-1") for user in ("carol", "dave")]
        source, target = clinics(same, [patient("erin", "Harbour", mrn="A-1")], mrn_unique=True)
        plan = planned(source, target)
        assert plan.codes == ["DUPLICATE_MRN_SOURCE"]
        assert [one.error for one in plan.patients] == ["DUPLICATE_MRN_SOURCE", "DUPLICATE_MRN_SOURCE", None]

    def test_of_who_does_not_move_does_not_matter(self) -> None:
        source, target = clinics(
            [patient("carol")],
            [patient("carol", "Harbour", mrn="A-1"), patient("dave", "Harbour", mrn="A-1")],
            mrn_required=True,
            mrn_unique=True,
        )
        assert planned(source, target).codes == []

    def test_patients_without_one_are_not_alike(self) -> None:
        source, target = clinics([patient("carol"), patient("dave")], [patient("erin", "Harbour")], mrn_unique=True)
        assert planned(source, target).codes == []
