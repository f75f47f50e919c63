"""Texts that a schema of the type `string` admits: by format, by pattern, or words with a given length.

No library is suitable for the mock: rstr chooses from a set, whose order differs between processes, and fails on
`[^\\x00-\\x7F]`; exrex uses a random generator that all threads share.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from re import _parser as parser  # type: ignore[attr-defined]  # the reader of patterns has no public name
from typing import Any
from uuid import UUID

from clinic_service import clock

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "juniper", "kelp", "lagoon")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_MINUTES_IN_A_YEAR = 525_600
# The maximum number of repetitions where a pattern has no upper limit.
_REPEATS = 8
_MOST_REPEATS = 5000
_LETTERS = string.ascii_letters + string.digits
_PRINTABLE = string.digits + string.ascii_letters + " !#$%&()*+,-./:;<=>?@[]^_{|}~"
_CATEGORIES = {"DIGIT": string.digits, "WORD": _LETTERS + "_", "SPACE": " "}
# Unicode classes, which Python does not support. Letters and digits belong to all classes that specs use.
_UNICODE_CLASS = re.compile(r"\\p\{[^}]*\}")
_BEYOND_ASCII = "éüñøλж"


def _time(random: Random) -> datetime:
    return _EPOCH + timedelta(minutes=random.randrange(_MINUTES_IN_A_YEAR))


def _name(random: Random) -> str:
    return f"{random.choice(_WORDS)}-{random.randrange(1000)}.example"


FORMATS: dict[str, Callable[[Random], str]] = {
    "date-time": lambda random: clock.to_wire(_time(random)),
    "date": lambda random: _time(random).date().isoformat(),
    "time": lambda random: f"{_time(random):%H:%M:%S}Z",
    "email": lambda random: f"{random.choice(_WORDS)}@{_name(random)}",
    "uuid": lambda random: str(UUID(int=random.getrandbits(128), version=4)),
    "uri": lambda random: f"https://{_name(random)}/{random.choice(_WORDS)}",
    "hostname": _name,
    "ipv4": lambda random: f"192.0.2.{random.randrange(256)}",
    "ipv6": lambda random: f"2001:db8::{random.randrange(1, 65536):x}",
    "byte": lambda random: "".join(random.choices(_LETTERS, k=8)),
}


def text_of_length(random: Random, shortest: int, longest: int) -> str:
    """Words with a total length from `shortest` to `longest` characters."""
    text = random.choice(_WORDS)
    while len(text) < shortest:
        text += f" {random.choice(_WORDS)}"
    text = text[:longest]
    return f"{text[:-1]}x" if text.endswith(" ") else text


def text_of_pattern(random: Random, pattern: str, repeats: int = 0) -> str:
    """A text that `pattern` usually matches as a whole. Look-around and back-references are ignored.

    What may be repeated without a limit is repeated at least `repeats` times. Raises ValueError for a pattern that Python
    cannot read.
    """
    try:
        return _Maker(random, repeats).text(parser.parse(_UNICODE_CLASS.sub(r"\\w", pattern)))
    except (re.error, IndexError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError("no text can be made from the pattern") from error


class _Maker:
    """Makes one text from a pattern that was read."""

    def __init__(self, random: Random, repeats: int) -> None:
        self._random, self._repeats = random, repeats

    def text(self, nodes: Any) -> str:
        return "".join(self._node(str(code), argument) for code, argument in nodes)

    def _node(self, code: str, argument: Any) -> str:
        match code:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL":
                return self._random.choice(_PRINTABLE.replace(chr(argument), ""))
            case "ANY":
                return self._random.choice(_LETTERS)
            case "IN":
                return self._random.choice(_characters(argument))
            case "BRANCH":
                return self.text(self._random.choice(argument[1]))
            case "SUBPATTERN":
                return self.text(argument[3])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeated(*argument)
            case "ATOMIC_GROUP":
                return self.text(argument)
        # Anchors and look-around match no characters.
        return ""

    def _repeated(self, least: int, most: Any, nodes: Any) -> str:
        if most is parser.MAXREPEAT and self._repeats > least:
            count = self._repeats
        else:
            count = self._random.randint(least, min(int(most), least + _REPEATS))
        # Repetitions within a repetition are short; otherwise the length would grow exponentially.
        within = _Maker(self._random, 0)
        return "".join(within.text(nodes) for _ in range(count))


def _characters(members: Any) -> str:
    """The characters of a class. For an inverted class these are printable ASCII characters, else some beyond ASCII."""
    is_inverted = str(members[0][0]) == "NEGATE"
    listed = "".join(_listed(str(code), argument) for code, argument in members)
    if not is_inverted:
        # Letters and digits are preferred, because they are easier to read.
        return "".join(c for c in listed if c in _LETTERS) or listed
    return "".join(c for c in _PRINTABLE if c not in listed) or "".join(c for c in _BEYOND_ASCII if c not in listed)


def _listed(code: str, argument: Any) -> str:
    match code:
        case "LITERAL":
            return chr(argument)
        case "RANGE":
            return "".join(map(chr, range(argument[0], min(argument[1], argument[0] + 127) + 1)))
        case "CATEGORY":
            return _category(str(argument))
    return ""


def _category(name: str) -> str:
    _, _, word = name.partition("CATEGORY_")
    inverted = word.removeprefix("NOT_")
    if inverted == word:
        return _CATEGORIES[word]
    return "".join(c for c in _PRINTABLE if c not in _CATEGORIES[inverted])


def candidates(random: Random, schema: dict[str, Any]) -> Iterator[str]:
    """An infinite sequence of texts that `schema` probably admits. The caller must validate them."""
    patterns = [schema[word] for word in ("x-pattern", "pattern") if isinstance(schema.get(word), str)]
    make = FORMATS.get(schema.get("format", ""))
    shortest = int(schema.get("minLength", 0))
    longest = int(schema.get("maxLength", max(shortest, 40)))
    # Long texts need more repetitions, of which a pattern may have several.
    for divisor in cycle((0, 1, 2, 3)):
        repeats = min(shortest, _MOST_REPEATS) // divisor if divisor else 0
        made = [make(random)] if make else []
        made += [text_of_pattern(random, pattern, repeats) for pattern in patterns]
        for text in made:
            yield text
            yield text.ljust(shortest, "x")
        yield text_of_length(random, shortest, longest)
