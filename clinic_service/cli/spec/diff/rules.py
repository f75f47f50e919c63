"""The rules for all changes except those of the keywords of schemas: the class of each change for clients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from clinic_service.cli.spec.diff.changes import Change, Level
from clinic_service.cli.spec.diff.part import Part

LEVELS: dict[str, Level] = {
    id_: level
    for level, ids in {
        Level.BREAKING: """
            api-path-removed-without-deprecation api-path-removed-with-deprecation
            api-removed-without-deprecation api-removed-with-deprecation
            api-operation-id-removed api-server-removed
            api-security-component-changed x-access-narrowed x-any-content-type-removed
            request-body-max-bytes-decreased request-max-seconds-decreased
            request-parameter-removed new-required-request-parameter new-request-path-parameter
            request-parameter-became-required request-parameter-style-changed
            request-body-added-required request-body-removed request-body-became-required
            request-body-media-type-removed
            new-required-request-property request-property-removed request-property-became-required
            request-required-property-became-read-only request-optional-property-became-read-only
            request-required-property-became-not-read-only
            response-success-status-removed response-media-type-removed
            required-response-header-removed optional-response-header-removed response-header-became-optional
            response-required-property-removed response-optional-property-removed response-property-became-optional
            response-required-property-became-write-only response-optional-property-became-write-only
        """,
        Level.ADDITIVE: """
            endpoint-added api-operation-id-added api-server-added x-access-widened x-any-content-type-added
            request-body-max-bytes-increased request-max-seconds-increased
            new-optional-request-parameter request-parameter-became-optional
            request-body-added-optional request-body-became-optional request-body-media-type-added
            new-optional-request-property new-required-request-property-with-default
            request-property-became-optional request-optional-property-became-not-read-only
            response-success-status-added response-non-success-status-added response-non-success-status-removed
            response-media-type-added response-header-added response-header-became-required
            response-required-property-added response-optional-property-added response-property-became-required
            response-required-property-became-not-write-only response-optional-property-became-not-write-only
        """,
        Level.WORDS: """
            api-tag-added api-tag-removed endpoint-deprecated endpoint-reactivated request-path-parameter-renamed
        """,
    }.items()
    for id_ in ids.split()
}

# Each rule of `x-access`, with the wider rules that admit every caller whom it admits. PARAM stays the same.
WIDER_RULES: dict[str, tuple[str, ...]] = {
    "self": ("person",),
    "self-if-member": ("self", "member", "person"),
    "member": ("person",),
    "admin": ("member", "person"),
    "custodian": ("delegate", "person"),
    "delegate": ("person",),
    "service-if-custodian": ("service",),
    "invite-creator": ("person",),
}


def is_admitted(rule: str, rules: Collection[str]) -> bool:
    """Whether `rules`, joined by *or*, admit every caller whom `rule` admits."""
    word, colon, parameter = rule.partition(":")
    wider = {rule, *WIDER_RULES.get(word, ())} | {f"{one}{colon}{parameter}" for one in WIDER_RULES.get(word, ())}
    return not wider.isdisjoint(rules)


def change(id_: str, text: str, old: Part | None, new: Part | None) -> Change:
    """The change with this id, whose class is in the table."""
    return Change.of(LEVELS[id_], id_, text, old, new)


def presence(id_: str, text: str, old: Part | None, new: Part | None) -> Change:
    """The change with this id for a part that was added or removed. Its place is where the part is used."""
    return change(id_, text, old and old.as_used(), new and new.as_used())


def word_changes(names: Iterable[str], what: str, old: Part, new: Part) -> Iterator[Change]:
    """The changes of members that are for readers only."""
    for name in names:
        before, after = old.get(name), new.get(name)
        if (before and before.value) != (after and after.value):
            yield Change.of(Level.WORDS, f"{name}-changed", f"{what}: {name} changed", before, after)
