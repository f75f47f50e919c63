"""Ways to damage a YAML file that an editor's slip of the finger, or a half-finished edit on save, can take."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support.edited_spec import spec_files, spec_text

Damage = Callable[[str], str]
_KEY = re.compile(r"^(?P<indent> *)(?P<dash>- )?(?P<key>[^\s:#][^:]*):(?P<value>.*)$")


def is_key(line: str) -> bool:
    """Whether the line holds a key, and so can be damaged."""
    return _KEY.match(line) is not None


def _key(line: str) -> re.Match[str]:
    found = _KEY.match(line)
    assert found
    return found


def _with_value(value: str) -> Damage:
    return lambda line: f"{line[: _key(line).start('value')]} {value}".rstrip()


def _beside(addition: str) -> Damage:
    """The line, and one more at its depth."""
    return lambda line: f"{line}\n{' ' * _key(line).start('key')}{addition}"


# What becomes of a line that holds a key. A value in lines below stays where it is.
DAMAGES: dict[str, Damage] = {
    "emptied": _with_value(""),
    "number": _with_value("5"),
    "word": _with_value("int"),
    "boolean": _with_value("yes"),
    "null": _with_value("null"),
    "empty list": _with_value("[]"),
    "empty object": _with_value("{}"),
    "list": _with_value("[a, {b: c}]"),
    "alias": _with_value("&a [*a]"),
    "unknown alias": _with_value("*nothing"),
    "foreign tag": _with_value("!!python/object:os.system x"),
    "bad number": _with_value("!!int x"),
    "open quote": _with_value("'never closed"),
    "huge number": _with_value("1" * 40),
    "not a number": _with_value(".nan"),
    "infinite": _with_value("-.inf"),
    "set": _with_value("!!set {a}"),
    "bytes": _with_value("!!binary aGk="),
    "reference to nothing": _with_value("{$ref: nothing.yaml}"),
    "reference to itself": _with_value("{$ref: '#'}"),
    "reference to a folder": _with_value("{$ref: .}"),
    "reference that is a list": _with_value("{$ref: [1]}"),
    "deleted": lambda _: "",
    "twice": lambda line: f"{line}\n{line}",
    "misspelt": lambda line: line[: _key(line).end("key")] + "x" + line[_key(line).end("key") :],
    "number as key": lambda line: line[: _key(line).start("key")] + "7" + line[_key(line).end("key") :],
    "list as key": lambda line: line[: _key(line).start("key")] + "? [a, b]\n" + line,
    "indented": lambda line: f"  {line}",
    "outdented": lambda line: line.lstrip(),
    "dash": lambda line: line[: _key(line).start("key")] + "- " + line[_key(line).start("key") :],
    "tab": lambda line: f"\t{line}",
    "wrong pattern": _beside("pattern: '('"),
    "wrong bound": _beside("maxLength: many"),
    "merge": _beside("<<: {a: 1}"),
}


class Damaged(NamedTuple):
    """A file of the spec, the number of a line, and the file's text with that line damaged."""

    file: Path
    line: int
    text: str


def damaged(damage: Damage, random: Random) -> Damaged:
    """A damage at a place that `random` chooses."""
    file = random.choice(spec_files())
    lines = spec_text(file).splitlines()
    index = random.choice([index for index, line in enumerate(lines) if _KEY.match(line)])
    lines[index] = damage(lines[index])
    return Damaged(file, index + 1, "\n".join(lines) + "\n")
