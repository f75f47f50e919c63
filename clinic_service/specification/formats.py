"""Documents as text: JSON and YAML, in the order of the document. Both read back as the same document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import yaml

_COLUMNS = 118
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def as_json(document: dict[str, Any]) -> str:
    """`document` as indented JSON, which ends with a line break."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def as_yaml(document: dict[str, Any]) -> str:
    """`document` as YAML in block style, with texts of several lines as blocks and without anchors."""
    made: str = yaml.dump(document, Dumper=_TextDumper, sort_keys=False, allow_unicode=True, width=_COLUMNS)
    return made


# How a document is written, by the name of the format.
FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {"json": as_json, "yaml": as_yaml}


class _TextDumper(_Dumper):  # type: ignore[misc]  # chosen at run time: C where it is built, Python elsewhere
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_TextDumper.add_representer(str, _text)
