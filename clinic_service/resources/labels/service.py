"""The operations that tags and sites share."""

from __future__ import annotations

from clinic_service.resources.labels.repository import L, LabelRepository
from clinic_service.unit_of_work import UnitOfWork


def rename_label(uow: UnitOfWork, labels: LabelRepository[L], clinic_id: str, label_id: str, name: str) -> None:
    """Give a label another name. The same name changes nothing.

    Raises ClinicNotFound, `labels.not_found` and `labels.duplicate_name`, in this order.
    """
    clinic = uow.clinics.lock(clinic_id)
    label = labels.get(clinic_id, label_id)
    # The label may have its own name in another spelling.
    if labels.ids_by_key(clinic_id).get(label.key_of(name), label_id) != label_id:
        raise labels.duplicate_name
    name = label.trim(name)
    if label.name != name:
        labels.rename(label, name)
        uow.clinics.touch(clinic)
