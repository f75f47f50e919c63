"""Entity tags (RFC 9110), and the headers `If-Match` and `If-None-Match`, which name them.

The tag of an answer is a digest of its body, so it changes with everything that the answer shows, whichever operation
changed it, and no row needs a version. A compressed body has a tag of its own (see `coded_tag`), which names the same
state.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, NamedTuple

from clinic_service.api.exchange import RawAnswer
from clinic_service.errors import BadRequest, Violation

_ANY = "*"
# The hexadecimal digits of a tag: with 96 bits, it is practically impossible that two states have the same tag.
_DIGITS = 24
_WEAK = "W/"
# One tag of a list, with the comma before the next one. Empty elements are allowed.
_ELEMENT = re.compile(r"[ \t,]*((?:W/)?\"[\x21\x23-\x7e\x80-\xff]*\")[ \t]*(?:,[ \t,]*|\Z)")
_CODING = re.compile(r"-(?:gzip|zstd)(?=\"\Z)")


def entity_tag(body: bytes) -> str:
    """The strong tag of an answer with this body, with its quotes."""
    # Most processors have instructions for this digest, so it takes a third of the time of the others.
    return f'"{sha256(body).hexdigest()[:_DIGITS]}"'


def coded_tag(tag: str, coding: str) -> str:
    """The tag of an answer in a content coding such as `gzip`. `tag` is the tag of the same answer without the coding.

    A weak tag stands for the plain body and for the coded bodies.
    """
    return tag if tag.startswith(_WEAK) else f'{tag[:-1]}-{coding}"'


class Conditions(NamedTuple):
    """The tags that a request names, as they were sent; None for a header that was not sent."""

    match: tuple[str, ...] | None
    none_match: tuple[str, ...] | None

    def allow_change(self, tag: str) -> bool:
        """Whether an object with the tag `tag` may be changed."""
        return self.allow(tag) and not self.known(tag)

    def allow(self, tag: str | None) -> bool:
        """Whether `If-Match` allows the tag `tag`, which is None for an object without a tag."""
        # The comparison is strong: a weak tag matches nothing.
        return self.match is None or _ANY in self.match or any(_CODING.sub("", one) == tag for one in self.match)

    def known(self, tag: str) -> str | None:
        """The tag of `If-None-Match` that matches `tag`, by the weak comparison; None when there is none."""
        for one in self.none_match or ():
            if one == _ANY or _CODING.sub("", one.removeprefix(_WEAK)) == tag:
                return tag if one == _ANY else one.removeprefix(_WEAK)
        return None


def read_conditions(environ: dict[str, Any], *, are_declared: bool) -> Conditions | None:
    """The conditions of a request; None when it has none.

    `are_declared`: the operation declares the headers, so a header that is no list of tags raises BadRequest. For another
    operation, such a header counts as an empty list.
    """
    match, none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    if match is None and none_match is None:
        return None
    return Conditions(
        _named("If-Match", match, is_declared=are_declared),
        _named("If-None-Match", none_match, is_declared=are_declared),
    )


def _named(header: str, text: str | None, *, is_declared: bool) -> tuple[str, ...] | None:
    if text is None:
        return None
    tags = _tags(text)
    if tags is None and is_declared:
        raise BadRequest(violations=[Violation(f"/header/{header}", "format", "entity tags")])
    return tags or ()


def _tags(text: str) -> tuple[str, ...] | None:
    """The tags in a list; None for a text that is no list of tags."""
    if text.strip() == _ANY:
        return (_ANY,)
    tags: list[str] = []
    position = 0
    while position < len(text) or not tags:
        element = _ELEMENT.match(text, position)
        if element is None:
            return None
        tags.append(element[1])
        position = element.end()
    return tuple(tags)


def not_modified(tag: str) -> RawAnswer:
    """The answer to a client that has the present state already, under the tag `tag`."""
    return RawAnswer(304, headers=[("ETag", tag), ("Vary", "Accept-Encoding")])
