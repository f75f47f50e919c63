"""Orders that switch the reports of a known patient on or off."""

from __future__ import annotations

from collections.abc import Sequence

from clinic_service.errors import Conflict, NotFound
from clinic_service.models import Patient
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.preparation import Preparation, PreparationOutdated
from clinic_service.resources.ehr.matching import MatchedPatient, PatientData
from clinic_service.resources.ehr.redox.addresses import change_address, replace_record, usable_email
from clinic_service.resources.ehr.redox.order_content import tag_names
from clinic_service.resources.ehr.redox.outcomes import NewOutcome
from clinic_service.resources.ehr.redox.results import ResultKind
from clinic_service.resources.ehr.redox.task import OrderTask, compensated
from clinic_service.resources.patients.accounts import update
from clinic_service.resources.tags.service import ensure_tags
from clinic_service.unit_of_work import UnitOfWork

ENABLED = "The reports of the patient are switched on."
DISABLED = "The reports of the patient are switched off."


class NoPatientMatches(NotFound):
    message = "No patient of the clinic has this medical record number and date of birth."


class SeveralPatientsMatch(Conflict):
    message = "Several patients of the clinic have this medical record number and date of birth."


def disable_reports(ctx: Preparation, task: OrderTask, data: PatientData) -> NewOutcome:
    """Switch the reports off. Raises NoPatientMatches, SeveralPatientsMatch and Superseded."""

    def disable(uow: UnitOfWork) -> NewOutcome:
        task.set_reports(uow, _lock_patient(uow, task, data), active=False)
        return task.note(uow, task.outcome(ResultKind.MATCHING, DISABLED))

    return ctx.in_transaction(disable)


def enable_reports(ctx: Preparation, task: OrderTask, data: PatientData) -> NewOutcome:
    """Switch the reports on, and take over the tags and the address of the order. An address in use is ignored.

    Raises NoPatientMatches, SeveralPatientsMatch, Superseded, and what the accounts directory raises.
    """
    found = _only_one(task.find_same_patients(ctx.uow, data))
    email = usable_email(task.order.content, data.birth_date)
    changed = change_address(ctx, task.clinic.id, found.user_id, email)
    with compensated(ctx, lambda uow: update.compensate(uow, changed)):

        def enable(uow: UnitOfWork) -> NewOutcome:
            patient = _lock_patient(uow, task, data)
            if patient.user_id != found.user_id:
                raise PreparationOutdated
            task.set_reports(uow, patient, active=True)
            names = tag_names(task.clinic.settings, task.order.content)
            tag_ids = None if names is None else ensure_tags(uow, task.clinic.id, names)
            replace_record(uow, patient, changed, MailSender(None, ctx.config), tag_ids=tag_ids)
            return task.note(uow, task.outcome(ResultKind.MATCHING, ENABLED, reports_of=patient.user_id))

        return ctx.in_transaction(enable)


def _lock_patient(uow: UnitOfWork, task: OrderTask, data: PatientData) -> Patient:
    task.lock_clinic(uow)
    return uow.patients.lock(task.clinic.id, _only_one(task.find_same_patients(uow, data)).user_id)


def _only_one(found: Sequence[MatchedPatient]) -> MatchedPatient:
    if not found:
        raise NoPatientMatches
    if len(found) > 1:
        raise SeveralPatientsMatch
    return found[0]
