"""What is asked about sites."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from clinic_service.db.dialects import constraint_name, moved_on
from clinic_service.db.repository import Repository
from clinic_service.models import Patient, PatientSite, PatientTag, Site
from clinic_service.resources.sites.errors import DuplicateSiteName, SiteNotFound

_ONE_NAME = "uq_sites_clinic_id_name_key"

_THIS = and_(Site.clinic_id == bindparam("clinic_id"), Site.id == bindparam("site_id"))
_GET = select(Site).where(_THIS)
_KEYS = select(Site.name_key, Site.id).where(Site.clinic_id == bindparam("clinic_id"))
_PATIENTS = (
    select(func.count())
    .select_from(PatientSite)
    .where(PatientSite.clinic_id == Site.clinic_id, PatientSite.site_id == Site.id)
    .scalar_subquery()
)
_DESCRIBE = select(Site.id, Site.name, _PATIENTS.label("num_patients")).where(_THIS)

_THE_LINKS = and_(PatientSite.clinic_id == bindparam("of_clinic"), PatientSite.site_id == bindparam("of_site"))
_MOVE_PATIENTS_ON = (
    update(Patient)
    .where(
        Patient.clinic_id == bindparam("of_clinic"),
        Patient.id.in_(select(PatientSite.patient_id).where(_THE_LINKS)),
    )
    .values(updated_time=moved_on(Patient.updated_time))
)
# Who belongs to the site leaves it with it.
_REMOVE = delete(Site).where(Site.clinic_id == bindparam("of_clinic"), Site.id == bindparam("of_site"))

_AT_TARGET = aliased(PatientSite)
# The surviving site takes the place of the other in the patient's list.
_MOVE_LINKS = (
    update(PatientSite)
    .where(
        _THE_LINKS,
        PatientSite.patient_id.not_in(
            select(_AT_TARGET.patient_id).where(
                _AT_TARGET.clinic_id == bindparam("of_clinic"), _AT_TARGET.site_id == bindparam("target")
            )
        ),
    )
    .values(site_id=bindparam("target"))
)

_OTHERS = aliased(PatientSite)
_NEXT_POSITION = (
    select(func.coalesce(func.max(_OTHERS.position) + 1, 0))
    .where(_OTHERS.clinic_id == PatientTag.clinic_id, _OTHERS.patient_id == PatientTag.patient_id)
    .scalar_subquery()
)
_ADMIT_CARRIERS = insert(PatientSite).from_select(
    ["clinic_id", "patient_id", "site_id", "position"],
    select(PatientTag.clinic_id, PatientTag.patient_id, Site.id, _NEXT_POSITION)
    .join(Site, and_(Site.clinic_id == PatientTag.clinic_id, Site.id == bindparam("of_site")))
    .where(PatientTag.clinic_id == bindparam("of_clinic"), PatientTag.tag_id == bindparam("of_tag")),
)


class SiteRepository(Repository):
    """Sites and the patients who belong to them. What writes needs the lock of the clinic's row."""

    def get(self, clinic_id: str, site_id: str) -> Site:
        """The clinic's site, to be changed. Raises SiteNotFound."""
        site = self._uow.session.scalars(_GET, {"clinic_id": clinic_id, "site_id": site_id}).one_or_none()
        if site is None:
            raise SiteNotFound
        return site

    def ids_by_key(self, clinic_id: str) -> dict[str, str]:
        """The ids of all sites of the clinic by the form in which their names are compared (`Site.key_of`)."""
        return {row.name_key: row.id for row in self._uow.rows(_KEYS, {"clinic_id": clinic_id})}

    def describe_one(self, clinic_id: str, site_id: str) -> Any:
        """What is shown of the site: `id`, `name` and `num_patients`. Raises SiteNotFound."""
        row = self._uow.first(_DESCRIBE, {"clinic_id": clinic_id, "site_id": site_id})
        if row is None:
            raise SiteNotFound
        return row

    def add(self, clinic_id: str, name: str) -> Site:
        """A new site without patients. Raises DuplicateSiteName; the transaction cannot be used afterwards."""
        site = Site(clinic_id=clinic_id, id=self._uow.new_id(), name=name, name_key=Site.key_of(name))
        self._uow.session.add(site)
        self._flush()
        return site

    def rename(self, site: Site, name: str) -> None:
        """Give the site a new name, which its patients show as well. Raises as `add` does."""
        site.name, site.name_key = name, Site.key_of(name)
        self._flush()
        self._change([_MOVE_PATIENTS_ON], of_clinic=site.clinic_id, of_site=site.id)

    def remove(self, clinic_id: str, site_id: str) -> None:
        """Delete the site, which its patients leave. Raises SiteNotFound."""
        if not self._change([_MOVE_PATIENTS_ON, _REMOVE], of_clinic=clinic_id, of_site=site_id):
            raise SiteNotFound

    def merge(self, source: Site, target: Site) -> None:
        """Move the patients of `source` to `target`, where each is once, and delete `source`."""
        this = {"of_clinic": source.clinic_id, "of_site": source.id}
        self._change([_MOVE_PATIENTS_ON], **this)
        self._change([_MOVE_LINKS], **this, target=target.id)
        self._change([_REMOVE], **this)

    def admit_carriers(self, site: Site, tag_id: str) -> None:
        """Let everybody who carries the tag belong to `site`, which is new, as the last of their sites.

        The patients' times are left to whoever takes the tag away.
        """
        self._change([_ADMIT_CARRIERS], of_clinic=site.clinic_id, of_site=site.id, of_tag=tag_id)

    def _change(self, statements: Iterable[Any], **parameters: Any) -> int:
        """How many rows the last of the statements changed."""
        changed = 0
        for statement in statements:
            needed = {"now": self._uow.now} if statement is _MOVE_PATIENTS_ON else {}
            changed = self._uow.execute(statement, parameters | needed).rowcount
        return changed

    def _flush(self) -> None:
        try:
            self._uow.flush()
        except IntegrityError as error:
            if constraint_name(error) != _ONE_NAME:
                raise
            raise DuplicateSiteName from error
