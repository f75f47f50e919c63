"""The rules of `x-access`: a predicate for each name, and the decision for the list of an operation.

A rule uses only the values in the path, the caller, and the stored relations between them, which are read in the
transaction of the request. It uses neither the body nor other rows, so a refusal does not reveal what exists.
`spec/README.md` explains each name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.auth.partners import PARTNERS
from clinic_service.errors import Forbidden, Unauthenticated
from clinic_service.resources.users.repository import Standing
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class AccessCheck:
    """The values that a rule may use. `path` has the path values as sent, not validated yet, by their names in the spec.

    `keeps_accounts`: this server has the directory of accounts, so it knows whose account was removed.
    """

    caller: Caller
    path: Mapping[str, str]
    uow: UnitOfWork
    keeps_accounts: bool

    @cached_property
    def standing(self) -> Standing:
        """The standing of the calling person, in the clinic of the path if there is one. For a service it is empty."""
        person_id = self.caller.person_id
        return self.uow.users.standing(person_id, self.path.get("clinicId")) if person_id else Standing(False)

    @property
    def known_standing(self) -> Standing | None:
        """The standing, if a rule has looked it up."""
        return self.__dict__.get("standing")


Rule = Callable[[AccessCheck, str], bool]


def service(check: AccessCheck, _parameter: str) -> bool:
    """A backend service."""
    return check.caller.is_service


def person(check: AccessCheck, _parameter: str) -> bool:
    """Any signed-in person."""
    return check.caller.kind is CallerKind.PERSON


def self_(check: AccessCheck, parameter: str) -> bool:
    """The person whose id is in the path."""
    return check.caller.person_id == check.path[parameter]


def member(check: AccessCheck, _parameter: str) -> bool:
    """A person with CLINIC_MEMBER or CLINIC_ADMIN in the clinic of the path."""
    return check.standing.is_member


def admin(check: AccessCheck, _parameter: str) -> bool:
    """A person with CLINIC_ADMIN in the clinic of the path."""
    return check.standing.is_admin


def self_if_member(check: AccessCheck, parameter: str) -> bool:
    """The person whose id is in the path, if that person is a member of the clinic."""
    return self_(check, parameter) and member(check, parameter)


def custodian(check: AccessCheck, parameter: str) -> bool:
    """A person with the effective permission `custodian` for the account in the path."""
    return _holds(check, parameter, "custodian")


def delegate(check: AccessCheck, parameter: str) -> bool:
    """A person with the effective permission `custodian`, or the older `admin`, for the account in the path."""
    return _holds(check, parameter, "custodian", "admin")


def service_if_custodian(check: AccessCheck, parameter: str) -> bool:
    """A service, when the permission named in the path is `custodian`."""
    return check.caller.is_service and check.path[parameter] == "custodian"


def invite_creator(check: AccessCheck, parameter: str) -> bool:
    """The person who made the invitation in the path."""
    caller = check.caller.person_id
    return caller is not None and check.uow.users.created_invite(check.path[parameter], caller)


def _holds(check: AccessCheck, parameter: str, *names: str) -> bool:
    caller = check.caller.person_id
    if caller is None:
        return False
    held = check.uow.grants.effective(check.path[parameter], caller)
    return any(name in held for name in names)


@dataclass(frozen=True)
class RuleKind:
    """A predicate; whether a path parameter follows its name; and whether the path must contain a clinic."""

    holds: Rule
    takes_parameter: bool = False
    needs_clinic: bool = False


RULES: dict[str, RuleKind] = {
    "service": RuleKind(service),
    "person": RuleKind(person),
    "self": RuleKind(self_, takes_parameter=True),
    "member": RuleKind(member, needs_clinic=True),
    "admin": RuleKind(admin, needs_clinic=True),
    "self-if-member": RuleKind(self_if_member, takes_parameter=True, needs_clinic=True),
    "custodian": RuleKind(custodian, takes_parameter=True),
    "delegate": RuleKind(delegate, takes_parameter=True),
    "service-if-custodian": RuleKind(service_if_custodian, takes_parameter=True),
    "invite-creator": RuleKind(invite_creator, takes_parameter=True),
}
SESSION_SCHEME = "sessionToken"


class AccessRuleError(ValueError):
    """An `x-access` list is missing, names no known rule, or names a path parameter the operation does not have."""


class Access:
    """The rules of one operation, joined by *or*."""

    def __init__(self, rules: Iterable[tuple[Rule, str]], partner: str | None = None, *, name: str = "") -> None:
        """`name`: the rules as the spec names them, for the metrics."""
        self._rules = tuple(rules)
        self._name = name
        self.partner = partner

    def authorize(self, check: AccessCheck) -> None:
        """Raise Forbidden unless one of the rules holds. A partner is admitted, because its secret was checked before.

        Raises Unauthenticated for a person whose account was removed, because the tokens of the account end with it.
        """
        # A NUL cannot be part of any id, and one of the engines refuses to compare it.
        if "\x00" in "".join(check.path.values()):
            raise Forbidden
        if self.partner is not None:
            return
        if check.keeps_accounts and check.standing.is_deleted:
            raise Unauthenticated
        if not any(rule(check, parameter) for rule, parameter in self._rules):
            raise self._refusal()

    def _refusal(self) -> Forbidden:
        refusal = Forbidden()
        refusal.rule = self._name
        return refusal


def compile_access(names: Any, path: str, schemes: Collection[str]) -> Access:
    """The rules of the `x-access` list `names`, for an operation at `path` with these security schemes.

    Raises AccessRuleError for an invalid list, and when `schemes` is not the one scheme that these callers use.
    """
    if not isinstance(names, list) or not names:
        raise AccessRuleError("x-access must list at least one rule")
    if any(str(name).startswith("partner:") for name in names):
        return _partner_access(names, schemes)
    _require_scheme(schemes, SESSION_SCHEME)
    return Access([_compile(str(name), path) for name in names], name=" ".join(map(str, names)))


def _partner_access(names: list[Any], schemes: Collection[str]) -> Access:
    partner = str(names[0]).partition(":")[2]
    if len(names) != 1 or partner not in PARTNERS:
        raise AccessRuleError(f"a partner rule must be the only rule, and must name one of {', '.join(PARTNERS)}")
    _require_scheme(schemes, PARTNERS[partner].scheme)
    return Access([], partner, name=str(names[0]))


def _require_scheme(schemes: Collection[str], verified: str | None) -> None:
    if list(schemes) != ([verified] if verified else []):
        raise AccessRuleError(
            f"its callers authenticate with {verified or 'no security scheme'}, so security must be "
            + (f"[{verified}: []]" if verified else "[]")
        )


def _compile(name: str, path: str) -> tuple[Rule, str]:
    word, _, parameter = name.partition(":")
    kind = RULES.get(word)
    if kind is None:
        raise AccessRuleError(f"unknown access rule {name!r}")
    if kind.takes_parameter != bool(parameter) or (parameter and f"{{{parameter}}}" not in path):
        raise AccessRuleError(
            f"access rule {name!r} must be followed by a parameter of the path if it takes one, else by nothing"
        )
    if kind.needs_clinic and "{clinicId}" not in path:
        raise AccessRuleError(f"access rule {name!r} needs a clinicId in the path")
    return kind.holds, parameter
