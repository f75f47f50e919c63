"""Rules of texts: which are e-mail addresses, which can be stored in a database, and names in camel case."""

from __future__ import annotations

import re

MAX_EMAIL_LENGTH = 254

# What Python calls white space. The engine of the validator means other characters by `\s`.
_BLANKS = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
EMAIL_PATTERN = f"^[^@{_BLANKS}]+@[^@{_BLANKS}\"',<>]+$"
_EMAIL = re.compile(EMAIL_PATTERN)
# PostgreSQL cannot store NUL, and UTF-8 cannot encode surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_email(text: str) -> bool:
    """Whether `text` looks like an e-mail address.

    It has one `@` with text on both sides, no white space, and no quotes, commas or angle brackets in the domain. It does
    not get too long in lower case, in which it is stored; one letter, `İ`, gets longer. Other limits of its length are not
    looked at.
    """
    return len(text.lower()) <= max(len(text), MAX_EMAIL_LENGTH) and _EMAIL.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether every database can store `text`: it has neither a NUL character nor half a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """`text` without the characters that cannot be stored."""
    return _UNSTORABLE.sub("", text)


def camel_case(name: str) -> str:
    """`created_time` as `createdTime`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
