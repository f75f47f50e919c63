"""Rules about patterns: a pattern must compile in the engine that runs it, and mean the same in all other engines."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import jsonschema_rs

from clinic_service.cli.spec.check.findings import Faults
from clinic_service.cli.spec.check.schema_walk import all_schemas
from clinic_service.specification.apis import Api

_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)")
_PORTABLE_ESCAPE = re.compile(r"[dDtnrfv]|x[0-9A-Fa-f]{2}|[^0-9A-Za-z]")
# A class, in a pattern without escapes. A bracket that is its first character belongs to it.
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
# The parts of a class that engines read differently: a bracket, and the signs with which some engines combine classes.
_MEANING_IN_CLASS = re.compile(r"^\[\^?\]|.\[|&&|--|~~|\|\|")
# The parts outside of classes that engines read differently: groups with flags or names, and possessive quantifiers.
_MEANING_OUTSIDE = re.compile(r"\(\?(?![:=!<])|\(\?<(?![=!])|[*+?}]\+|\{,")


def pattern_faults(api: Api) -> Faults:
    """Patterns that some engines read differently or cannot read. While there is one, no validator is compiled."""
    for place, node in all_schemas(api):
        for keyword in ("pattern", "x-request-pattern", "x-pattern"):
            if isinstance(node.get(keyword), str):
                messages = _messages(node[keyword], is_portable=keyword == "pattern")
                yield from ((place / keyword, message) for message in messages)


def uncompiled_patterns(api: Api) -> Faults:
    """Patterns that the validator cannot compile, although its engine has look-around and back-references."""
    for place, node in all_schemas(api):
        if isinstance(node.get("pattern"), str):
            try:
                jsonschema_rs.Draft4Validator({"pattern": node["pattern"]})
            except ValueError:
                yield place / "pattern", "the pattern does not compile"


def _messages(pattern: str, *, is_portable: bool) -> Iterator[str]:
    if _POSIX_CLASS.search(pattern):
        yield "a pattern must not contain POSIX classes such as [[:alpha:]]"
    elif is_portable:
        yield from _differences(pattern)
    try:
        # Like RE2, this engine knows neither look-around nor back-references.
        jsonschema_rs.Draft4Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        yield "the pattern does not compile in the regex engine of Rust, which has no look-around and no back-references"


def _differences(pattern: str) -> Iterator[str]:
    """The reasons why RE2, ECMAScript without flags and Python's `re` read the pattern differently."""
    if any(not _PORTABLE_ESCAPE.fullmatch(escape) for escape in _ESCAPE.findall(pattern)):
        yield (
            "engines read \\s, \\w, \\b, \\p and other escapes of letters differently or not at all; "
            "write such a rule in x-pattern"
        )
    plain = _ESCAPE.sub("e", pattern)
    if any(_MEANING_IN_CLASS.search(found) for found in _CLASS.findall(plain)):
        yield "engines read [ or a doubled sign in a class differently; escape it"
    if _MEANING_OUTSIDE.search(_CLASS.sub("c", plain)):
        yield "engines read groups with a flag or a name, possessive quantifiers and {,n} differently or not at all"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error:
        yield "the pattern does not compile in Python"
