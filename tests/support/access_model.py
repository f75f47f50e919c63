"""Access as plain sets: what the rules say, without a database and without the service."""

from __future__ import annotations

from tests.support.cast import SERVICE, Somebody

ADMIN, MEMBER, PRESCRIBER = "CLINIC_ADMIN", "CLINIC_MEMBER", "PRESCRIBER"
MANAGING = {"custodian", "admin"}

Names = frozenset[str]
ROOT: Names = frozenset({"root"})
NONE: Names = frozenset()


class AccessModel:
    """Who was granted which names, who works where in which role, who is a patient where and grants what there.

    Clinics go by numbers.
    """

    def __init__(self) -> None:
        self.grants: dict[tuple[Somebody, Somebody], Names] = {}
        self.staff: dict[tuple[int, Somebody], str] = {}
        self.patients: dict[tuple[int, Somebody], Names] = {}

    def granted(self, sharer: Somebody, grantee: Somebody) -> Names:
        return self.grants.get((sharer, grantee), NONE)

    def effective(self, sharer: Somebody, grantee: Somebody) -> Names:
        if sharer == grantee:
            return ROOT
        shared = [
            names for (where, who), names in self.patients.items() if who == sharer and self.is_member(where, grantee)
        ]
        return self.granted(sharer, grantee).union(*shared)

    def is_member(self, clinic: int, person: Somebody) -> bool:
        return self.staff.get((clinic, person)) in (ADMIN, MEMBER)

    def is_admin(self, clinic: int, person: Somebody) -> bool:
        return self.staff.get((clinic, person)) == ADMIN

    def admins(self, clinic: int) -> list[Somebody]:
        return [who for (where, who), role in self.staff.items() if where == clinic and role == ADMIN]

    def guards_alone(self, clinic: int, person: Somebody) -> bool:
        return self.admins(clinic) == [person]

    def may_write(self, caller: Somebody, sharer: Somebody, grantee: Somebody, wanted: Names) -> bool:
        """What the rules on callers and on names say together."""
        if caller == SERVICE or caller == sharer == grantee:
            return True
        present = self.granted(sharer, grantee)
        gives_management = sharer != grantee and not wanted & MANAGING <= present
        makes_it_lasting = caller == grantee and bool(wanted) and not present & MANAGING
        if gives_management or makes_it_lasting:
            return False
        return caller in (sharer, grantee) or bool(self.effective(sharer, caller) & MANAGING)

    def let_grant(self, clinic: int, person: Somebody, names: Names) -> None:
        """Who grants a clinic nothing leaves it."""
        self.patients[clinic, person] = names
        if not names:
            del self.patients[clinic, person]

    def delete_user(self, person: Somebody) -> None:
        """Patients of their own accounts follow the only administrator."""
        orphaned = {clinic for clinic, who in self.staff if who == person and self.guards_alone(clinic, who)}
        self.patients = {
            (clinic, who): names
            for (clinic, who), names in self.patients.items()
            if who != person and (clinic not in orphaned or "custodian" in names)
        }
        self.staff = {key: role for key, role in self.staff.items() if key[1] != person}
        self.grants = {pair: names for pair, names in self.grants.items() if person not in pair}
