"""What rules a merge out, and what happens to tags, sites and members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clinic_service.models import BgUnits, Role
from clinic_service.resources.merges.facts import ClinicFacts, MemberFacts, RestrictionFacts, Settings
from clinic_service.resources.merges.plan import Workspace, plan_merge
from tests.support.merge_model import SETTINGS, member, place, planned


def clinic(name: str, **facts: Any) -> ClinicFacts:
    return replace(place(name).clinic, **facts)


def codes(source: ClinicFacts, target: ClinicFacts) -> list[str]:
    return [block.code.value for block in plan_merge(source, target).blocks]


class TestBlocks:
    def test_two_clinics_without_anything_can_be_merged(self) -> None:
        assert codes(clinic("Hilltop"), clinic("Harbour")) == []

    @pytest.mark.parametrize(
        ("changed", "word"),
        [
            ({"mrn_required": True}, "required"),
            ({"mrn_unique": True}, "unique"),
            ({"preferred_bg_units": BgUnits.MMOL_L}, "units"),
            ({"timezone": "America/New_York"}, "time zones"),
        ],
    )
    def test_settings_that_differ(self, changed: dict[str, Any], word: str) -> None:
        other = clinic("Hilltop", settings=SETTINGS._replace(**changed))
        for source, target in ((other, clinic("Harbour")), (clinic("Harbour"), other)):
            plan = plan_merge(source, target)
            [block] = plan.blocks
            assert block.code == "SETTINGS_MISMATCH"
            assert word in block.message
            assert [setting.match for setting in plan.settings].count(False) == 1
        assert codes(other, replace(other, id="Harbour")) == []

    def test_each_setting_that_differs_is_a_reason(self) -> None:
        other = clinic("Hilltop", settings=Settings(True, True, BgUnits.MMOL_L, "Europe/Oslo"))
        blocks = plan_merge(other, clinic("Harbour")).blocks
        assert [block.code for block in blocks] == ["SETTINGS_MISMATCH"] * 4
        assert len({block.message for block in blocks}) == 4

    @pytest.mark.parametrize(
        ("source", "target", "match"),
        [
            ([], [], True),
            ([], [("a.example", None)], True),
            ([("a.example", None)], [("a.example", None)], True),
            ([("a.example", "idp")], [("b.example", None), ("A.example", "IDP")], True),
            ([("a.example", None)], [], False),
            ([("a.example", None)], [("a.example", "idp")], False),
            ([("a.example", "idp")], [("a.example", None)], False),
            ([("a.example", None), ("b.example", None)], [("a.example", None)], False),
        ],
    )
    def test_restrictions_that_the_target_lacks(self, source: Any, target: Any, match: bool) -> None:
        plan = plan_merge(
            clinic("Hilltop", restrictions=tuple(RestrictionFacts(*one) for one in source)),
            clinic("Harbour", restrictions=tuple(RestrictionFacts(*one) for one in target)),
        )
        assert plan.restrictions_match is match
        assert [block.code for block in plan.blocks] == ([] if match else ["SETTINGS_MISMATCH"])

    def test_members_that_a_restricted_target_does_not_have(self) -> None:
        restricted = (RestrictionFacts("a.example", None),)
        source = clinic("Hilltop", members=(member("alice", clinic="Hilltop"), member("bob", clinic="Hilltop")))
        has_one = clinic("Harbour", restrictions=restricted, members=(member("alice"),))
        has_both = replace(has_one, members=(member("alice"), member("bob"), member("carol")))
        assert codes(source, has_one) == ["RESTRICTED_TARGET_MEMBERS"]
        assert codes(source, has_both) == []
        assert codes(source, replace(has_one, restrictions=())) == []

    def test_pending_invitations_of_the_source_alone(self) -> None:
        pending = MemberFacts("1", None, "erin@mail.example", None, (Role.MEMBER,))
        assert codes(clinic("Hilltop", members=(pending,)), clinic("Harbour")) == ["PENDING_INVITES"]
        assert codes(clinic("Hilltop"), clinic("Harbour", members=(pending,))) == []

    @pytest.mark.parametrize(("shared", "blocked"), [(0, True), (1, False)])
    def test_more_tags_together_than_a_clinic_may_have(self, shared: int, blocked: bool) -> None:
        source = place("Hilltop", tags=[f"Hill {number}" for number in range(25)]).clinic
        names = [f"HILL{number}" for number in range(shared)] + [f"Shore {number}" for number in range(26 - shared)]
        target = place("Harbour", tags=names).clinic
        assert codes(source, target) == (["TOO_MANY_TAGS"] if blocked else [])


class TestTags:
    def test_one_that_the_target_has_is_skipped_whatever_its_case_and_spaces(self) -> None:
        plan = plan_merge(
            place("Hilltop", tags=["north side", "Pump"]).clinic, place("Harbour", tags=["NorthSide", "Trial"]).clinic
        )
        assert [(one.tag.name, one.workspace, one.action, one.merge) for one in plan.tags] == [
            ("north side", "source", "SKIP", True),
            ("Pump", "source", "CREATE", False),
            ("NorthSide", "target", "RETAIN", True),
            ("Trial", "target", "RETAIN", False),
        ]
        assert plan.tag_names == {
            "Hilltop/tag/north side": "NorthSide",
            "Hilltop/tag/Pump": "Pump",
            "Harbour/tag/NorthSide": "NorthSide",
            "Harbour/tag/Trial": "Trial",
        }


class TestSites:
    @pytest.mark.parametrize(
        ("source", "target", "expected"),
        [
            (["A"], ["B"], [("A", "MOVE")]),
            (["a"], ["A"], [("a (2)", "RENAME")]),
            # The name that stays must not be the one that the other gets.
            (["A", "A (2)"], ["A"], [("A (3)", "RENAME"), ("A (2)", "MOVE")]),
            (["A", "A (2)"], ["A", "A (2)"], [("A (3)", "RENAME"), ("A (4)", "RENAME")]),
            (["A"], ["A", "A (2)", "a (3)"], [("A (4)", "RENAME")]),
            (["A (9)"], ["A (9)"], [("A (10)", "RENAME")]),
        ],
    )
    def test_names_that_are_taken_get_a_number(
        self, source: list[str], target: list[str], expected: list[tuple[str, str]]
    ) -> None:
        plan = plan_merge(place("Hilltop", sites=source).clinic, place("Harbour", sites=target).clinic)
        found = [(one.resulting_name, one.action) for one in plan.sites if one.workspace is Workspace.SOURCE]
        assert found == expected
        assert [one.resulting_name for one in plan.sites if one.action == "RETAIN"] == target

    def test_no_number_of_sites_is_too_many(self) -> None:
        names = [f"Site {number}" for number in range(50)]
        plan = plan_merge(place("Hilltop", sites=names).clinic, place("Harbour", sites=names).clinic)
        assert plan.blocks == ()
        assert len({one.resulting_name for one in plan.sites}) == 100


class TestMembers:
    def test_who_is_in_both_keeps_the_roles_of_the_target(self) -> None:
        source = place("Hilltop", members=[member("alice", Role.ADMIN, clinic="Hilltop"), member("bob")])
        target = place("Harbour", members=[member("alice", Role.MEMBER), member("carol", Role.ADMIN)])
        plan = plan_merge(source.clinic, target.clinic)
        assert [
            (one.member.user_id, one.workspace, one.action, one.resulting_roles, one.downgraded) for one in plan.members
        ] == [
            ("alice", "source", "MERGE", ("CLINIC_MEMBER",), True),
            ("bob", "source", "MOVE", ("CLINIC_MEMBER",), False),
            ("alice", "target", "MERGE_INTO", ("CLINIC_MEMBER",), False),
            ("carol", "target", "RETAIN", ("CLINIC_ADMIN",), False),
        ]

    def test_an_administrator_of_both_is_not_downgraded(self) -> None:
        source = place("Hilltop", members=[member("alice", Role.ADMIN, clinic="Hilltop")])
        target = place("Harbour", members=[member("alice", Role.ADMIN)])
        assert not any(one.downgraded for one in plan_merge(source.clinic, target.clinic).members)

    @pytest.mark.parametrize(
        ("email", "invited", "action"),
        [
            ("alice@mail.example", None, "CANCEL"),
            ("other@mail.example", "alice", "CANCEL"),
            ("other@mail.example", "bob", "RETAIN"),
            ("bob@mail.example", None, "RETAIN"),
        ],
    )
    def test_an_invitation_of_who_moves_is_not_needed(self, email: str, invited: str | None, action: str) -> None:
        """Two rows of a clinic cannot have one address, and a member needs no invitation."""
        pending = MemberFacts("1", None, email, None, (Role.ADMIN,), invited_user_id=invited)
        source = place("Hilltop", members=[member("alice", clinic="Hilltop")])
        plan = plan_merge(source.clinic, place("Harbour", members=[pending]).clinic)
        assert [(one.member.user_id, one.action) for one in plan.members] == [("alice", "MOVE"), (None, action)]

    def test_an_address_that_a_member_of_the_target_has_is_not_taken_along(self) -> None:
        shared = "office@mail.example"
        source = place("Hilltop", members=[member("alice")._replace(email=shared), member("bob")])
        target = place("Harbour", members=[member("carol")._replace(email=shared), member("dave")])
        plan = plan_merge(source.clinic, target.clinic)
        assert [one.member.user_id for one in plan.members if one.loses_address] == ["alice"]

    def test_the_last_administrator_may_be_lost(self) -> None:
        """Merging is exempt from the rule that a clinic keeps one."""
        source = place("Hilltop", members=[member("alice", Role.ADMIN, clinic="Hilltop")])
        target = place("Harbour", members=[member("alice")])
        assert planned(source, target).codes == []
