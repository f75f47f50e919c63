"""Creating, deleting and merging sites. `labels/service.py` renames them."""

from __future__ import annotations

from clinic_service.models import Site
from clinic_service.resources.sites.errors import DuplicateSiteName, SameSite, SiteLimitReached, SiteNotFound
from clinic_service.unit_of_work import UnitOfWork


def create_site(uow: UnitOfWork, clinic_id: str, name: str) -> str:
    """Create a site and return its id. Raises ClinicNotFound, DuplicateSiteName and SiteLimitReached, in this order."""
    clinic = uow.clinics.lock(clinic_id)
    taken = uow.sites.ids_by_key(clinic_id)
    if Site.key_of(name) in taken:
        raise DuplicateSiteName
    if len(taken) >= Site.most_per_clinic:
        raise SiteLimitReached
    site = uow.sites.add(clinic_id, Site.trim(name))
    uow.clinics.touch(clinic)
    return site.id


def delete_site(uow: UnitOfWork, clinic_id: str, site_id: str) -> None:
    """Delete a site. Its patients stay in the clinic. Raises ClinicNotFound and SiteNotFound."""
    clinic = uow.clinics.lock(clinic_id)
    if not uow.sites.remove(clinic_id, site_id):
        raise SiteNotFound
    uow.clinics.touch(clinic)


def merge_sites(uow: UnitOfWork, clinic_id: str, *, source_id: str, target_id: str) -> None:
    """Move all patients of the source to the target and delete the source.

    Raises SameSite, ClinicNotFound, and SiteNotFound when the clinic does not have both sites, in this order.
    """
    if source_id == target_id:
        raise SameSite
    clinic = uow.clinics.lock(clinic_id)
    target = uow.sites.get(clinic_id, target_id)
    uow.sites.merge(uow.sites.get(clinic_id, source_id), target)
    uow.clinics.touch(clinic)
