"""Plans the merge of two stored clinics: reads the facts, and plans the patients batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from clinic_service.resources.merges.errors import SourceNotFound, TargetNotFound
from clinic_service.resources.merges.facts import PatientFacts
from clinic_service.resources.merges.matching import Lookup
from clinic_service.resources.merges.patient_plans import PatientPlan, plan_source_patient, plan_target_patient
from clinic_service.resources.merges.plan import MergePlan, plan_merge
from clinic_service.unit_of_work import UnitOfWork


class Planning:
    """The plan of merging `source_id` into `target_id`, from the present rows.

    The caller must ensure that no other transaction changes the clinics, by a lock or a snapshot.
    Raises SourceNotFound, then TargetNotFound.
    """

    def __init__(self, uow: UnitOfWork, source_id: str, target_id: str, demo_user_id: str | None) -> None:
        self._merges, self._demo_user_id = uow.merges, demo_user_id or ""
        source = self._merges.find_facts(source_id)
        if source is None:
            raise SourceNotFound
        target = self._merges.find_facts(target_id)
        if target is None:
            raise TargetNotFound
        self.plan: MergePlan = plan_merge(source, target)
        self._spaced: dict[str, list[PatientFacts]] = {}

    def source_patients(self) -> Iterator[Sequence[PatientPlan]]:
        """What happens to the patients of the source, in order of their names."""
        source, target = self.plan.source, self.plan.target
        for patients in self._merges.pages(source.id, self._demo_user_id):
            # A record can be in both lists. The first copy counts, because only the records in `same` have tags and sites.
            same = self._merges.same_users(target.id, patients)
            others = Lookup([*same, *self._sharing(target.id, patients)])
            repeated = self._merges.repeated_mrns(source.id, patients, self._demo_user_id)
            yield [plan_source_patient(self.plan, patient, others, repeated) for patient in patients]

    def target_patients(self) -> Iterator[Sequence[PatientPlan]]:
        """What happens to the patients of the target, in order of their names."""
        for patients in self._merges.pages(self.plan.target.id, self._demo_user_id):
            same = Lookup(self._merges.same_users(self.plan.source.id, patients))
            yield [plan_target_patient(self.plan, patient, same) for patient in patients]

    def within(self, clinic_id: str, patients: Sequence[PatientFacts]) -> Lookup:
        """The patients of the clinic `clinic_id` who share a name or a medical record number with one of `patients`."""
        return Lookup(self._sharing(clinic_id, patients))

    def last_uploads(self, clinic_id: str, patients: Sequence[PatientFacts]) -> Mapping[str, datetime]:
        """The times of the latest uploads of patients of the clinic `clinic_id`, by patient id, where they are known."""
        return self._merges.last_uploads(clinic_id, patients)

    def _sharing(self, clinic_id: str, patients: Sequence[PatientFacts]) -> list[PatientFacts]:
        if clinic_id not in self._spaced:
            self._spaced[clinic_id] = self._merges.spaced(clinic_id, self._demo_user_id)
        return [*self._merges.sharing(clinic_id, patients, self._demo_user_id), *self._spaced[clinic_id]]
