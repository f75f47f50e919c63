"""Compares who may call an operation, and within which limits: `x-access`, `security` and the limits of a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clinic_service.api.bodies import DEFAULT_LIMIT
from clinic_service.cli.spec.diff.changes import Change, Level
from clinic_service.cli.spec.diff.part import Part
from clinic_service.cli.spec.diff.rules import change, is_admitted

# The schemes that a caller must satisfy together, each with its scopes.
Requirement = dict[str, list[str]]


def access_changes(old: Part, new: Part, renamed: Mapping[str, str]) -> Iterator[Change]:
    """The changes of `x-access`; `renamed` are the new names of path parameters."""
    before = {_renamed(item.value, renamed): item for item in old.items("x-access")}
    after = {item.value: item for item in new.items("x-access")}
    for rule, item in before.items():
        if not is_admitted(rule, after):
            yield change("x-access-narrowed", f"{rule!r} alone is not enough any more", item, None)
    for rule, item in after.items():
        if not is_admitted(rule, before):
            yield change("x-access-widened", f"{rule!r} is enough", None, item)


def _renamed(rule: str, renamed: Mapping[str, str]) -> str:
    word, colon, parameter = rule.partition(":")
    return f"{word}{colon}{renamed.get(parameter, parameter)}"


def limit_changes(old: Part, new: Part) -> Iterator[Change]:
    """The changes of the limits of a request: the bytes and the media type of its body, and its seconds."""
    parts = old.get("x-max-body-bytes"), new.get("x-max-body-bytes")
    before, after = (part.value if part else DEFAULT_LIMIT for part in parts)
    if before != after and old.get("requestBody") and new.get("requestBody"):
        verb = "decreased" if after < before else "increased"
        yield change(f"request-body-max-bytes-{verb}", f"bodies of {before} bytes: now of {after}", *parts)
    parts = old.get("x-max-seconds"), new.get("x-max-seconds")
    before, after = (part.value if part else 0 for part in parts)
    if before != after:
        verb = "decreased" if after < before else "increased"
        yield change(f"request-max-seconds-{verb}", f"x-max-seconds {verb}", *parts)
    parts = old.get("x-any-content-type"), new.get("x-any-content-type")
    before, after = (part is not None and part.value is True for part in parts)
    if before != after:
        verb = "added" if after else "removed"
        yield change(f"x-any-content-type-{verb}", f"x-any-content-type was {verb}", *parts)


def security_changes(old: Part | None, new: Part | None) -> Iterator[Change]:
    """The changes of `security`: the requirements that callers may satisfy, joined by *or*."""
    before, after = _requirements(old), _requirements(new)
    for one in before:
        if not _is_enough(one, after):
            verb = "removed" if one else "added"
            yield Change.of(Level.BREAKING, f"api-security-{verb}", f"{_shown(one)} is not enough any more", old, new)
    for one in after:
        if not _is_enough(one, before):
            verb = "added" if one else "removed"
            yield Change.of(Level.ADDITIVE, f"api-security-{verb}", f"{_shown(one)} is enough", old, new)


def _requirements(part: Part | None) -> list[Requirement]:
    # An empty list demands nothing, as a list with an empty requirement does.
    return (part.value if part else []) or [{}]


def _is_enough(given: Requirement, requirements: list[Requirement]) -> bool:
    return any(
        all(name in given and set(scopes) <= set(given[name]) for name, scopes in requirement.items())
        for requirement in requirements
    )


def _shown(requirement: Requirement) -> str:
    schemes = (f"{name} ({', '.join(scopes)})" if scopes else name for name, scopes in requirement.items())
    return " with ".join(schemes) or "a request without credentials"


def scheme_changes(old: Mapping[str, Part], new: Mapping[str, Part]) -> Iterator[Change]:
    """The changes of the definitions of security schemes, by name."""
    for name in [name for name in old if name in new]:
        before, after = old[name], new[name]
        facts = [{key: value for key, value in part.value.items() if key != "description"} for part in (before, after)]
        if facts[0] != facts[1]:
            yield change("api-security-component-changed", f"the security scheme {name!r} changed", before, after)
        elif before.value != after.value:
            yield Change.of(
                Level.WORDS, "description-changed", f"the security scheme {name!r}: description changed", before, after
            )
