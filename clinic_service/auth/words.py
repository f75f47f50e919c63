"""The rules of `x-access` in words, for the page at `/docs`. The table in `spec/README.md` has the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clinic_service.specification.apis import METHODS

# `{parameter}` stands for the path parameter that follows the name of the rule.
WORDS = {
    "service": "a backend service",
    "person": "any signed-in person",
    "self": "the person whose user id is in `{parameter}`",
    "self-if-member": "the person whose user id is in `{parameter}`, if also a member of the clinic in the path",
    "member": "a person with `CLINIC_MEMBER` or `CLINIC_ADMIN` in the clinic of the path",
    "admin": "a person with `CLINIC_ADMIN` in the clinic of the path",
    "custodian": "a person with effective custodian permission over the account in `{parameter}`",
    "delegate": (
        "a person with effective custodian permission, or the older admin permission, over the account in `{parameter}`"
    ),
    "service-if-custodian": "a service, when the permission named in `{parameter}` is `custodian`",
    "invite-creator": "the person who made the invitation in `{parameter}`",
    "partner:redox": "Redox, by its own secret in a header instead of a session token",
    "partner:redox-challenge": "Redox, by its own secret in the body",
    "partner:xealth": "Xealth, by its own bearer secret",
    "partner:report": "the holder of a restricted token for one report",
}


def in_words(rule: str) -> str:
    """The callers that `rule`, one name of an `x-access` list, admits. For an unknown name, the name itself."""
    if rule in WORDS:
        return WORDS[rule]
    name, _, parameter = rule.partition(":")
    return WORDS.get(name, f"`{rule}`").format(parameter=parameter)


def access_in_words(rules: Iterable[str]) -> str:
    """The callers that the rules of one operation admit, as Markdown."""
    return "**Who may call it**, any of:\n\n" + "\n".join(f"- {in_words(rule)}" for rule in rules)


def with_access_in_words(document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with `x-access` in words at the end of the description of each operation.

    The mock serves a spec while it is edited, so an operation may have no `x-access` or no description.
    """
    paths = {
        path: {key: _described(key, value) for key, value in item.items()} for path, item in document["paths"].items()
    }
    return {**document, "paths": paths}


def _described(key: str, value: Any) -> Any:
    rules = value.get("x-access") if key in METHODS else None
    if not isinstance(rules, list):
        return value
    words = f"{(value.get('description') or '').rstrip()}\n\n{access_in_words(map(str, rules))}"
    return {**value, "description": words.lstrip()}
