"""Merges two clinics: one transaction locks both, makes the plan and carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from clinic_service.errors import NotFound
from clinic_service.models import Clinic, MergeElementType
from clinic_service.outbox.events import (
    UNNAMED_CLINIC,
    UNNAMED_OTHER_CLINIC,
    ClinicDeleted,
    ClinicianAdded,
    ClinicianRemoved,
    ClinicMerged,
    MigrationRequested,
    PatientAdded,
    PatientChanged,
    PatientClinicMerged,
    PatientRemoved,
    SourceClinicianMerged,
    TargetAdminMerged,
)
from clinic_service.resources.merges.belongings import Belongings
from clinic_service.resources.merges.elements import clinician_element, patient_element, site_element, tag_element
from clinic_service.resources.merges.errors import MergeBlocked, SourceNotFound, TargetNotFound
from clinic_service.resources.merges.moving import MovedPatient, PatientMover
from clinic_service.resources.merges.plan import Action, MergePlan, SiteAction, TagAction, Workspace
from clinic_service.resources.merges.planning import Planning
from clinic_service.unit_of_work import UnitOfWork


def merge_clinics(uow: UnitOfWork, source_id: str, target_id: str, demo_user_id: str | None) -> None:
    """Move everything of the source to the target, another clinic, and delete the source.

    Raises SourceNotFound, TargetNotFound and MergeBlocked, in this order.
    """
    source, target = _lock(uow, source_id, target_id)
    planning = Planning(uow, source_id, target_id, demo_user_id)
    _Merge(uow, planning.plan, demo_user_id or "").carry_out(planning, source, target)


def _lock(uow: UnitOfWork, source_id: str, target_id: str) -> tuple[Clinic, Clinic]:
    """Lock both clinics. The one with the lower id is locked first, to avoid deadlocks between merges."""
    found: dict[str, Clinic] = {}
    for clinic_id in sorted((source_id, target_id)):
        with suppress(NotFound):
            found[clinic_id] = uow.clinics.lock(clinic_id)
    if source_id not in found:
        raise SourceNotFound
    if target_id not in found:
        raise TargetNotFound
    return found[source_id], found[target_id]


class _Merge:
    """One merge, step by step."""

    def __init__(self, uow: UnitOfWork, plan: MergePlan, demo_user_id: str) -> None:
        self._uow, self._plan, self._demo_user_id = uow, plan, demo_user_id
        self._patients = PatientMover(uow, plan.source.id, plan.target.id)
        self._belongings = Belongings(uow, plan.source.id, plan.target.id)
        self._plan_id = uow.new_id()
        self._ends_reports = False

    def carry_out(self, planning: Planning, source: Clinic, target: Clinic) -> None:
        """Carry out the plan. Raises MergeBlocked."""
        self._ends_reports = _is_connected_otherwise(source, target)
        self._record(planning)
        # The record of the deletion shows the source as it was before anything moved.
        self._uow.clinics.record_deletion(source, None)
        tags = self._add_tags()
        self._add_sites()
        self._move_patients(tags)
        self._move_members()
        self._move_belongings()
        self._delete(source)
        self._uow.clinics.touch(target)
        self._uow.outbox.add(*self._notifications())

    def _record(self, planning: Planning) -> None:
        """Store the plan, and add mails to the patients of the source, before any patient moves. Raises MergeBlocked."""
        plan = self._plan
        self._keep(MergeElementType.CLINIC, [self._clinic_element()])
        self._keep(MergeElementType.TAG, map(tag_element, plan.tags))
        self._keep(MergeElementType.SITE, map(site_element, plan.sites))
        self._keep(MergeElementType.CLINICIAN, map(clinician_element, plan.members))
        blocks, names = dict.fromkeys(plan.blocks), self._names(Workspace.SOURCE)
        for patients in planning.source_patients():
            blocks.update((one.block, None) for one in patients if one.block)
            self._keep(MergeElementType.PATIENT, map(patient_element, patients))
            self._uow.outbox.add(*(PatientClinicMerged(one.patient.user_id, *names) for one in patients))
        if blocks:
            raise MergeBlocked(blocks)
        for patients in planning.target_patients():
            self._keep(MergeElementType.PATIENT, map(patient_element, patients))

    def _keep(self, kind: MergeElementType, elements: Iterable[dict[str, Any]]) -> None:
        self._uow.merges.add_elements(self._plan_id, self._plan.source.id, self._plan.target.id, kind, elements)

    def _clinic_element(self) -> dict[str, Any]:
        source, target = self._plan.source, self._plan.target
        return {
            "sourceId": source.id,
            "targetId": target.id,
            "sourceName": source.name,
            "targetName": target.name,
            "createdTime": self._uow.now,
        }

    def _names(self, own: Workspace) -> tuple[str, str, str, str]:
        """The ids and names of the clinics, as mails to people of the clinic `own` show them."""
        source, target = self._plan.source, self._plan.target
        unnamed = (UNNAMED_CLINIC, UNNAMED_OTHER_CLINIC)
        for_source, for_target = unnamed if own is Workspace.SOURCE else reversed(unnamed)
        return source.id, target.id, source.name or for_source, target.name or for_target

    def _add_tags(self) -> dict[str, str]:
        """Create the tags that the target lacks. Returns the ids of the target's tags by the ids of the source's tags."""
        ids = {one.tag.name: one.tag.id for one in self._plan.tags if one.action is TagAction.RETAIN}
        new = [one.tag.name for one in self._plan.tags if one.action is TagAction.CREATE]
        ids.update((name, self._uow.new_id()) for name in new)
        self._patients.add_tags([(ids[name], name) for name in new])
        return {tag.id: ids[self._plan.tag_names[tag.id]] for tag in self._plan.source.tags}

    def _add_sites(self) -> None:
        coming = [one for one in self._plan.sites if one.action is not SiteAction.RETAIN]
        self._patients.add_sites([(one.site.id, one.resulting_name) for one in coming])

    def _move_patients(self, tags: dict[str, str]) -> None:
        if self._plan.target.settings.mrn_unique and self._demo_user_id:
            self._patients.release_mrn(self._demo_user_id)
        for patients in self._patients.batches(self._demo_user_id):
            self._move([one for one in patients if one.counterpart is None], tags)
            self._unite([one for one in patients if one.counterpart is not None], tags)

    def _move(self, patients: Sequence[MovedPatient], tags: dict[str, str]) -> None:
        mrn_unique = self._plan.target.settings.mrn_unique
        ids = [one.id for one in patients]
        self._patients.move(patients, tags, mrn_unique=mrn_unique)
        if self._ends_reports:
            self._patients.end_subscriptions(ids)
        # Consumers must not change accounts or send mail: the patient stays with the same team, and knows the clinic.
        self._uow.outbox.add(*(PatientRemoved(self._plan.source.id, one.user_id) for one in patients))
        added = (
            PatientAdded(self._plan.target.id, one.user_id, bool(one.is_custodial), is_migrated=True)
            for one in patients
        )
        self._uow.outbox.add(*added)

    def _unite(self, patients: Sequence[MovedPatient], tags: dict[str, str]) -> None:
        """Keep the records of the target, with the tags and sites of both, and remove those of the source."""
        if not patients:
            return
        changed = self._patients.unite({one.id: one.counterpart.id for one in patients if one.counterpart}, tags)
        counterparts = [one.counterpart for one in patients if one.counterpart and one.counterpart.id in changed]
        target_id = self._plan.target.id
        self._uow.outbox.add(
            *(PatientChanged(target_id, t.user_id, tuple(changed[t.id]), bool(t.is_custodial)) for t in counterparts)
        )
        gone = self._patients.load([one.id for one in patients])
        self._uow.patients.remove(gone, None, keep_accounts=True)

    def _move_members(self) -> None:
        plans = self._plan.members
        canceled = [one.member.id for one in plans if one.action is Action.CANCEL]
        if canceled:
            rows = self._belongings.load_members(canceled)
            # In the order in which accepting an invitation changes them, so that on a cluster, where such a change locks
            # a whole table, neither waits for the other.
            self._uow.clinicians.remove(rows, None)
            self._belongings.cancel_invites([row.invite_id for row in rows if row.invite_id])
        moved = [one for one in plans if one.action is Action.MOVE]
        self._belongings.remove_addresses([one.member.id for one in moved if one.loses_address])
        user_ids = [one.member.user_id for one in moved if one.member.user_id]
        self._belongings.move_members([one.member.id for one in moved], user_ids)
        self._uow.outbox.add(*(ClinicianRemoved(self._plan.source.id, user_id) for user_id in user_ids))
        self._uow.outbox.add(*(ClinicianAdded(self._plan.target.id, user_id) for user_id in user_ids))
        # The remaining clinicians are members of the target already.
        self._uow.clinicians.remove(self._uow.clinicians.all_of_clinic(self._plan.source.id), None)

    def _move_belongings(self) -> None:
        self._belongings.move_offers()
        self._belongings.move_share_codes()
        self._belongings.move_counts()
        self._belongings.unmark_demo()
        users = self._belongings.move_migrations()
        self._uow.outbox.add(*(MigrationRequested(self._plan.target.id, user_id) for user_id in users))

    def _delete(self, source: Clinic) -> None:
        demo = self._uow.patients.find(source.id, self._demo_user_id) if self._demo_user_id else None
        self._uow.patients.remove([demo] if demo else [], None)
        self._uow.clinics.discard(source.id)
        self._uow.outbox.add(ClinicMerged(self._plan.target.id, source.id), ClinicDeleted(source.id))

    def _notifications(self) -> Iterator[SourceClinicianMerged | TargetAdminMerged]:
        """The mails to members of both clinics. Service accounts and invited persons get none."""
        for one in self._plan.members:
            user_id = one.member.user_id
            if user_id is None or one.member.is_service_account:
                continue
            if one.workspace is Workspace.SOURCE:
                yield SourceClinicianMerged(user_id, *self._names(Workspace.SOURCE))
            elif one.member.counts_as_admin:
                yield TargetAdminMerged(user_id, *self._names(Workspace.TARGET))


def _is_connected_otherwise(source: Clinic, target: Clinic) -> bool:
    """Whether the target sends reports to another health record system, where the source's orders are unknown."""
    return target.ehr_enabled and (target.ehr_provider, target.ehr_source_id) != (
        source.ehr_provider,
        source.ehr_source_id,
    )
