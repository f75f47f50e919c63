"""Plans the merge of two clinics that are stored: reads the facts, and plans patients as many at a time as are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clinic_service.resources.merges.errors import SourceNotFound, TargetNotFound
from clinic_service.resources.merges.matching import Lookup
from clinic_service.resources.merges.patient_plans import PatientPlan, plan_source_patient, plan_target_patient
from clinic_service.resources.merges.plan import MergePlan, plan_merge
from clinic_service.unit_of_work import UnitOfWork


class Planning:
    """The plan of merging `source_id` into `target_id` as the database is now. Nobody else may change the clinics.

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

    def source_patients(self) -> Iterator[Sequence[PatientPlan]]:
        """What happens to the patients of the source, in order of their names."""
        source, target = self.plan.source, self.plan.target
        spaced = self._merges.spaced(target.id, self._demo_user_id)
        for patients in self._merges.pages(source.id, self._demo_user_id):
            same = self._merges.same_users(target.id, patients)
            others = Lookup([*same, *self._merges.sharing(target.id, patients, self._demo_user_id), *spaced])
            repeated = self._merges.repeated_mrns(source.id, patients, self._demo_user_id)
            yield [plan_source_patient(self.plan, patient, others, repeated) for patient in patients]

    def target_patients(self) -> Iterator[Sequence[PatientPlan]]:
        """What happens to the patients of the target, in order of their names."""
        for patients in self._merges.pages(self.plan.target.id, self._demo_user_id):
            same = Lookup(self._merges.same_users(self.plan.source.id, patients))
            yield [plan_target_patient(self.plan, patient, same) for patient in patients]
