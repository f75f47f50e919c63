"""ListPatients: filters by tags, by sites and by glycemic ranges."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import Site, Tag
from tests.support.cast import ALICE
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.patient_lists import Ward
from tests.support.rows import make_clinic, make_site, make_tag, storing


@pytest.fixture
def ward(api: Client, database: Database) -> Ward:
    return Ward(api, database)


def a_link(ward: Ward, parameter: str) -> Tag | Site:
    return ward.tag("a") if parameter == "tags" else ward.site("a")


class TestTagsAndSites:
    def test_rule_a_patient_carries_all_of_the_tags(self, ward: Ward) -> None:
        a, b, c = (ward.tag(name) for name in "abc")
        ward.add("ab", tags=[a, b])
        ward.add("b", tags=[b])
        ward.add("bc", tags=[b, c])
        ward.add("none")
        assert ward.listed(tags=a.id) == ["ab"]
        assert ward.listed(tags=b.id) == ward.listed(tags=f"{b.id},{b.id}") == ["ab", "b", "bc"]
        assert ward.listed(tags=f"{a.id},{b.id}") == ward.listed(tags=f"{b.id},{a.id}") == ["ab"]
        assert ward.listed(tags=f"{a.id},{b.id},{c.id}") == []

    def test_rule_a_patient_is_at_any_of_the_sites(self, ward: Ward) -> None:
        a, b, c = (ward.site(name) for name in "abc")
        ward.add("ab", sites=[a, b])
        ward.add("b", sites=[b])
        ward.add("none")
        assert ward.listed(sites=a.id) == ["ab"]
        assert ward.listed(sites=f"{a.id},{b.id},{b.id}") == ["ab", "b"]
        assert ward.listed(sites=f"{c.id},{b.id}") == ["ab", "b"]
        assert ward.listed(sites=c.id) == []

    @pytest.mark.parametrize(
        "items", ["_", "_,_", "x", "null", "ffff", "_,", ",", "%20", "0" * 23, "0" * 25, "g" * 24, "x" * 500]
    )
    @pytest.mark.parametrize("parameter", ["tags", "sites"])
    def test_rule_items_of_which_none_is_an_id_stand_for_none_at_all(
        self, ward: Ward, parameter: str, items: str
    ) -> None:
        linked = a_link(ward, parameter)
        ward.add("linked", **{parameter: [linked]})
        other = "sites" if parameter == "tags" else "tags"
        ward.add("other", **{other: [a_link(ward, other)]})
        ward.add("nothing")
        reply = ward.ask(f"{parameter}={items}")
        assert [patient["fullName"] for patient in reply.json["data"]] == ["nothing", "other"]
        assert reply.json["meta"]["count"] == 2

    @pytest.mark.parametrize("items", ["{},_", "_,{}", "x,{},", "{},ffff", "{}," + "0" * 25, "x" * 500 + ",{}"])
    @pytest.mark.parametrize("parameter", ["tags", "sites"])
    def test_rule_items_that_are_no_ids_are_passed_over_beside_ids(
        self, ward: Ward, parameter: str, items: str
    ) -> None:
        linked = a_link(ward, parameter)
        ward.add("linked", **{parameter: [linked]})
        ward.add("nothing")
        assert ward.listed({parameter: items.format(linked.id)}) == ["linked"]

    @pytest.mark.parametrize("parameter", ["tags", "sites"])
    def test_rule_an_id_of_another_clinic_or_of_none_matches_nobody(
        self, database: Database, ward: Ward, parameter: str
    ) -> None:
        with storing(database) as unit:
            foreign = (make_tag if parameter == "tags" else make_site)(unit, make_clinic(unit), "a").id
        ward.add("linked", **{parameter: [a_link(ward, parameter)]})
        ward.add("nothing")
        for unknown in (foreign, new_id(), "0" * 24, f"{foreign},_"):
            assert ward.listed({parameter: unknown}) == []

    def test_who_left_their_last_tag_has_none(self, ward: Ward) -> None:
        tag = ward.tag("a")
        ward.add("a", tags=[tag])
        assert ward.listed(tags="_") == []
        assert ward.api.delete(f"/v1/clinics/{ward.clinic.id}/patient_tags/{tag.id}", as_=ALICE).status == 204
        assert ward.listed(tags="_") == ["a"]
        assert ward.listed(tags=tag.id) == []

    def test_as_many_as_a_clinic_can_have(self, ward: Ward) -> None:
        tags, sites = ([make(str(n)) for n in range(50)] for make in (ward.tag, ward.site))
        ward.add("all", tags=tags, sites=sites)
        ward.add("one less", tags=tags[1:])
        ward.add("one", sites=sites[:1])
        assert ward.listed(tags=",".join(tag.id for tag in tags)) == ["all"]
        assert ward.listed(sites=",".join(site.id for site in sites)) == ["all", "one"]
        assert_error(ward.ask({"tags": ",".join(["_"] * 51)}), 400)


class TestStandardRanges:
    CUSTOM: ClassVar[dict[str, Any]] = {"type": "custom", "custom": {"name": "mine", "thresholds": []}}

    def test_rule_other_presets_and_all_custom_ranges_are_dropped(self, ward: Ward) -> None:
        ward.add("none")
        ward.add("standard", glycemic_ranges={"type": "preset", "preset": "adaStandard"})
        ward.add("older", glycemic_ranges={"type": "preset", "preset": "adaHighRisk"})
        ward.add("pregnant", glycemic_ranges={"type": "preset", "preset": "adaPregnancyType2"})
        ward.add("custom", glycemic_ranges=self.CUSTOM)
        assert ward.listed(omitNonStandardRanges="true") == ["none", "standard"]
        everybody = ["custom", "none", "older", "pregnant", "standard"]
        assert ward.listed(omitNonStandardRanges="false") == ward.listed() == everybody
