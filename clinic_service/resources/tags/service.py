"""Creating, deleting, converting and assigning tags. `labels/service.py` renames them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clinic_service.models import Site, Tag
from clinic_service.resources.tags.errors import ConversionSiteLimitReached, DuplicateTagName, TagLimitReached
from clinic_service.unit_of_work import UnitOfWork


def create_tag(uow: UnitOfWork, clinic_id: str, name: str) -> str:
    """Create a tag and return its id. Raises ClinicNotFound, TagLimitReached and DuplicateTagName, in this order."""
    clinic = uow.clinics.lock(clinic_id)
    taken = uow.tags.ids_by_key(clinic_id)
    if len(taken) >= Tag.most_per_clinic:
        raise TagLimitReached
    if Tag.key_of(name) in taken:
        raise DuplicateTagName
    tag = uow.tags.add(clinic_id, Tag.trim(name))
    uow.clinics.touch(clinic)
    return tag.id


def ensure_tags(uow: UnitOfWork, clinic_id: str, names: Iterable[str]) -> list[str]:
    """The ids of the clinic's tags with these names, each once. A tag that is missing is created.

    Names that no tag can have are left out, and so are new names beyond the clinic's limit. Raises ClinicNotFound.
    """
    clinic = uow.clinics.lock(clinic_id)
    taken = uow.tags.ids_by_key(clinic_id)
    before = len(taken)
    found = []
    for name in filter(Tag.is_name, names):
        key = Tag.key_of(name)
        if key not in taken and len(taken) < Tag.most_per_clinic:
            taken[key] = uow.tags.add(clinic_id, Tag.trim(name)).id
        if key in taken:
            found.append(taken[key])
    if len(taken) > before:
        uow.clinics.touch(clinic)
    return list(dict.fromkeys(found))


def delete_tag(uow: UnitOfWork, clinic_id: str, tag_id: str) -> None:
    """Remove the tag from all patients and delete it. A tag that the clinic does not have is no error.

    Raises ClinicNotFound.
    """
    clinic = uow.clinics.lock(clinic_id)
    if uow.tags.remove(clinic_id, tag_id):
        uow.clinics.touch(clinic)


def convert_to_site(uow: UnitOfWork, clinic_id: str, tag_id: str) -> str:
    """Replace the tag by a new site with the same patients. Returns the id of the site.

    The site has the name of the tag, with a number appended when another site has that name. Raises ClinicNotFound,
    TagNotFound and ConversionSiteLimitReached, in this order.
    """
    clinic = uow.clinics.lock(clinic_id)
    tag = uow.tags.get(clinic_id, tag_id)
    taken = uow.sites.ids_by_key(clinic_id)
    if len(taken) >= Site.most_per_clinic:
        raise ConversionSiteLimitReached
    site = uow.sites.add(clinic_id, Site.free_name(Site.name_of_tag(tag.name), taken))
    uow.sites.add_patients_with_tag(site, tag_id)
    uow.tags.remove(clinic_id, tag_id)
    uow.clinics.touch(clinic)
    return site.id


def give_tag(uow: UnitOfWork, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None) -> None:
    """Give the tag to the patients with these user ids, or to all for None. Raises ClinicNotFound and TagNotFound."""
    uow.clinics.lock(clinic_id)
    uow.tags.get(clinic_id, tag_id)
    uow.tags.give(clinic_id, tag_id, user_ids)


def take_tag(uow: UnitOfWork, clinic_id: str, tag_id: str, user_ids: Sequence[str] | None) -> None:
    """Remove the tag from the patients with these user ids, or from all for None.

    An unknown tag or clinic is no error: no patient has the tag then.
    """
    # The check comes before the lock, because locking an unknown clinic raises ClinicNotFound.
    if uow.tags.exists(clinic_id, tag_id):
        uow.clinics.lock(clinic_id)
        uow.tags.take(clinic_id, tag_id, user_ids)
