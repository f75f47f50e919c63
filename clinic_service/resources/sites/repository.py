"""The queries about sites only. Queries that sites share with tags are in `labels/`."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.orm import aliased

from clinic_service.models import PatientSite, PatientTag, Site
from clinic_service.resources.labels.repository import LabelRepository, LabelStatements
from clinic_service.resources.sites.errors import DuplicateSiteName, SiteNotFound

_STATEMENTS = LabelStatements(Site, PatientSite.site_id)

_AT_TARGET = aliased(PatientSite)

_OTHERS = aliased(PatientSite)
_NEXT_POSITION = (
    select(func.coalesce(func.max(_OTHERS.position) + 1, 0))
    .where(_OTHERS.clinic_id == bindparam("of_clinic"), _OTHERS.patient_id == PatientTag.patient_id)
    .scalar_subquery()
)


class SiteRepository(LabelRepository[Site]):
    """Sites and the patients who belong to them. Methods that write need the lock of the clinic's row."""

    model = Site
    statements = _STATEMENTS
    not_found = SiteNotFound
    duplicate_name = DuplicateSiteName

    def rename(self, label: Site, name: str) -> None:
        """Rename the site and update its patients, because they show the name. Raises DuplicateSiteName."""
        super().rename(label, name)
        self._change(_STATEMENTS.touch_patients, label.clinic_id, label.id)

    # In the patient's list of sites, the target of a merge gets the position of the source.
    _MOVE_LINKS = (
        update(PatientSite)
        .where(
            _STATEMENTS.links,
            PatientSite.patient_id.not_in(
                select(_AT_TARGET.patient_id).where(
                    _AT_TARGET.clinic_id == bindparam("of_clinic"), _AT_TARGET.site_id == bindparam("target")
                )
            ),
        )
        .values(site_id=bindparam("target"))
    )

    def merge(self, source: Site, target: Site) -> None:
        """Move the patients of `source` to `target` and delete `source`. A patient of both is in `target` only once."""
        self._change(_STATEMENTS.touch_patients, source.clinic_id, source.id)
        self._change(self._MOVE_LINKS, source.clinic_id, source.id, target=target.id)
        self._change(_STATEMENTS.remove, source.clinic_id, source.id)

    _ADD_PATIENTS_WITH_TAG = insert(PatientSite).from_select(
        ["clinic_id", "patient_id", "site_id", "position"],
        select(PatientTag.clinic_id, PatientTag.patient_id, Site.id, _NEXT_POSITION)
        .join(Site, and_(Site.clinic_id == PatientTag.clinic_id, Site.id == bindparam("of_label")))
        .where(PatientTag.clinic_id == bindparam("of_clinic"), PatientTag.tag_id == bindparam("of_tag")),
    )

    def add_patients_with_tag(self, site: Site, tag_id: str) -> None:
        """Add the new `site` to the patients who have the tag, as the last of their sites.

        Their times of change are not updated here; the removal of the tag does that.
        """
        self._change(self._ADD_PATIENTS_WITH_TAG, site.clinic_id, site.id, of_tag=tag_id)
