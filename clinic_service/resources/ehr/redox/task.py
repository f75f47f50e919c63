"""An order that requests an action of a clinic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clinic_service import deadline
from clinic_service.errors import Conflict
from clinic_service.models import REDOX_REPORTS, EhrProvider, OrderState, Patient
from clinic_service.preparation import Preparation, PreparationOutdated
from clinic_service.resources.ehr.matching import (
    Criterion,
    EhrClinic,
    MatchedPatient,
    PatientData,
    find_clinic,
    find_patients,
)
from clinic_service.resources.ehr.redox.order_content import OrderAction
from clinic_service.resources.ehr.redox.outcomes import NewOutcome, OrderOutcomes, StoredOrder
from clinic_service.resources.ehr.redox.results import ResultKind
from clinic_service.resources.ehr.subscriptions import MatchedDocument, find_subscription, update_subscription
from clinic_service.unit_of_work import UnitOfWork


class Superseded(Conflict):
    message = "A later order for the patient has been carried out already."


@dataclass(frozen=True, slots=True)
class OrderTask:
    """The requested action and its clinic, and the steps that all actions share."""

    order: StoredOrder
    clinic: EhrClinic
    action: OrderAction

    def find_same_patients(self, uow: UnitOfWork, data: PatientData) -> list[MatchedPatient]:
        """The patients of the clinic with the medical record number and date of birth of the order."""
        return find_patients(uow, self.clinic.id, data, (Criterion.MRN_DOB,))

    def find_similar_patients(self, uow: UnitOfWork, data: PatientData) -> list[MatchedPatient]:
        """The patients of the clinic with the medical record number, or with the name and date of birth, of the order."""
        return find_patients(uow, self.clinic.id, data, (Criterion.MRN, Criterion.DOB_FULLNAME))

    def lock_clinic(self, uow: UnitOfWork) -> None:
        """Lock the clinic's row. Raises PreparationOutdated when the clinic's settings have changed."""
        if find_clinic(uow, EhrProvider.REDOX, self.order.source_id, lock=True) != self.clinic:
            raise PreparationOutdated

    def set_reports(self, uow: UnitOfWork, patient: Patient, *, active: bool) -> None:
        """Switch the reports of a patient on or off. The patient's row must be locked. Raises Superseded."""
        subscription = find_subscription(uow, self.clinic.id, patient.id, REDOX_REPORTS)
        last = subscription.document if subscription else None
        if last and OrderOutcomes(uow).is_superseded(self.order, last.id):
            raise Superseded
        document = MatchedDocument(self.order.id, "Order", "New")
        update_subscription(uow, patient, REDOX_REPORTS, document, active=active)

    def outcome(
        self, kind: ResultKind, explanation: str, *, succeeded: bool = True, reports_of: str | None = None
    ) -> NewOutcome:
        """The outcome that is sent to the clinic; with `reports_of`, the report of this user is sent too."""
        return NewOutcome(OrderState.PENDING, self.clinic.id, reports_of, kind, succeeded, explanation)

    def note(self, uow: UnitOfWork, outcome: NewOutcome) -> NewOutcome:
        """Store the outcome, and return it."""
        return OrderOutcomes(uow).add(self.order.id, outcome)


@contextmanager
def compensated(ctx: Preparation, compensation: Callable[[UnitOfWork], None]) -> Iterator[None]:
    """Run `compensation` when the block, which contains the transaction, fails."""
    try:
        yield
    except Exception:
        with deadline.unlimited():
            ctx.in_transaction(compensation)
        raise
