"""What holds for every plan, whatever the clinics are like."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_service.models import Role, Site, Tag
from clinic_service.resources.merges.facts import MemberFacts, PatientFacts
from clinic_service.resources.merges.plan import Workspace
from tests.support.merge_model import Place, member, merged, place, planned

# A busy machine is no failure.
unhurried = settings(deadline=None)

USERS = [f"u{number}" for number in range(6)]
# Some are one name, and some are what another one becomes.
TAG_NAMES = ["Pump", "pump", "P ump", "Type 1", "TYPE1", "Trial"]
SITE_NAMES = ["A", "a", "A (2)", "a (2)", "A (3)", "B", "b "]
NAMES, BIRTHS, NUMBERS = [None, "Carol", "CAROL "], [None, "1987-04-12"], [None, "m-1", "m-2"]


def _distinct(names: list[str], key: object) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique_by=key, max_size=4)  # type: ignore[arg-type]


@st.composite
def places(draw: st.DrawFn, name: str) -> Place:
    """A clinic as the rules let one be."""
    tags, sites = draw(_distinct(TAG_NAMES, Tag.key_of)), draw(_distinct(SITE_NAMES, Site.key_of))
    roles = st.lists(st.sampled_from(Role), min_size=1, unique=True)
    members = [member(user, *draw(roles), clinic=name) for user in draw(st.lists(st.sampled_from(USERS), unique=True))]
    tag_ids, site_ids = [f"{name}/tag/{tag}" for tag in tags], [f"{name}/site/{site}" for site in sites]
    patients = [
        PatientFacts(
            f"{name}/{user}",
            user,
            full_name=draw(st.sampled_from(NAMES)),
            birth_date=draw(st.sampled_from(BIRTHS)),
            mrn_key=draw(st.sampled_from(NUMBERS)),
            tag_ids=tuple(draw(st.lists(st.sampled_from(tag_ids), unique=True))) if tag_ids else (),
            site_ids=tuple(draw(st.lists(st.sampled_from(site_ids), unique=True))) if site_ids else (),
        )
        for user in draw(st.lists(st.sampled_from(USERS), unique=True))
    ]
    return place(name, members=members, tags=tags, sites=sites, patients=patients)


HARBOUR, HILLTOP, LAKESIDE = places("Harbour"), places("Hilltop"), places("Lakeside")


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_a_merge_keeps_all_patients_and_members_and_adds_none(source: Place, target: Place) -> None:
    result = merged(source, target)
    assert result.user_ids == source.user_ids | target.user_ids
    assert len(result.patients) == len(result.user_ids)
    assert result.member_ids == source.member_ids | target.member_ids
    assert len(result.clinic.members) == len(result.member_ids)


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_no_name_of_a_tag_or_site_is_there_twice(source: Place, target: Place) -> None:
    clinic = merged(source, target).clinic
    tags, sites = [Tag.key_of(tag.name) for tag in clinic.tags], [Site.key_of(site.name) for site in clinic.sites]
    assert len(set(tags)) == len(tags)
    assert set(tags) == {Tag.key_of(tag.name) for one in (source, target) for tag in one.clinic.tags}
    assert len(set(sites)) == len(sites) == len(source.clinic.sites) + len(target.clinic.sites)


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_nobody_loses_a_tag_or_a_site(source: Place, target: Place) -> None:
    result = merged(source, target)
    names = {tag.id: Tag.key_of(tag.name) for one in (source, target, result) for tag in one.clinic.tags}
    after = {one.user_id: one for one in result.patients}
    for before in (*source.patients, *target.patients):
        now = after[before.user_id]
        assert {names[one] for one in before.tag_ids} <= {names[one] for one in now.tag_ids}
        assert set(before.site_ids) <= set(now.site_ids)


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_an_administrator_remains_where_the_target_has_one_or_one_moves_in(source: Place, target: Place) -> None:
    result = merged(source, target)
    assert target.admin_ids <= result.admin_ids
    assert source.admin_ids - target.member_ids <= result.admin_ids
    assert result.admin_ids == target.admin_ids | (source.admin_ids - target.member_ids)


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_who_is_downgraded_was_an_administrator_and_is_none(source: Place, target: Place) -> None:
    result = merged(source, target)
    downgraded = {one.member.user_id for one in planned(source, target).plan.members if one.downgraded}
    assert downgraded == source.admin_ids - result.admin_ids


@unhurried
@given(first=HILLTOP, second=LAKESIDE, target=HARBOUR)
def test_the_order_of_two_merges_does_not_change_who_is_there(first: Place, second: Place, target: Place) -> None:
    one, other = merged(second, merged(first, target)), merged(first, merged(second, target))
    assert one.user_ids == other.user_ids
    assert one.member_ids == other.member_ids
    assert {Tag.key_of(tag.name) for tag in one.clinic.tags} == {Tag.key_of(tag.name) for tag in other.clinic.tags}
    assert {site.id for site in one.clinic.sites} == {site.id for site in other.clinic.sites}


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_everything_of_both_clinics_has_one_action(source: Place, target: Place) -> None:
    plan, patients = planned(source, target)
    for found, facts in (
        (plan.tags, (source.clinic.tags, target.clinic.tags)),
        (plan.sites, (source.clinic.sites, target.clinic.sites)),
        (plan.members, (source.clinic.members, target.clinic.members)),
        (patients, (source.patients, target.patients)),
    ):
        assert len(found) == sum(map(len, facts))
        assert sum(one.workspace is Workspace.SOURCE for one in found) == len(facts[0])


@unhurried
@given(source=HILLTOP, target=HARBOUR)
def test_conflicts_are_the_same_seen_from_either_side(source: Place, target: Place) -> None:
    def told(one: Place, other: Place) -> set[tuple[str, frozenset[str]]]:
        return {
            (conflict.category, frozenset((plan.patient.id, conflict.patient.id)))
            for plan in planned(one, other).patients
            for conflict in plan.conflicts
        }

    assert told(source, target) == told(target, source)


@unhurried
@given(target=HARBOUR)
def test_an_empty_clinic_changes_nothing(target: Place) -> None:
    assert merged(place("Hilltop"), target) == target._replace(
        patients=tuple(
            one._replace(
                tag_ids=tuple(sorted(one.tag_ids, key=lambda tag: (tag.lower(), tag))),
                site_ids=tuple(sorted(one.site_ids, key=lambda site: (site.lower(), site))),
            )
            for one in target.patients
        )
    )


@unhurried
@given(members=st.lists(st.sampled_from(USERS), unique=True))
def test_rows_of_the_result_never_share_an_address(members: list[str]) -> None:
    """Everybody of the source has the address of somebody else in the target."""
    source = place("Hilltop", members=[member(user) for user in members])
    shifted = [
        MemberFacts(f"Harbour/{user}", user, f"{USERS[number - 1]}@mail.example", None, (Role.MEMBER,))
        for number, user in enumerate(USERS[:3])
    ]
    plan = planned(source, place("Harbour", members=shifted)).plan
    stay = [one for one in plan.members if one.action in ("MOVE", "RETAIN", "MERGE_INTO")]
    addresses = [one.member.email for one in stay if not one.loses_address]
    assert len(set(addresses)) == len(addresses)
