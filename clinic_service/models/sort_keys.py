"""The forms in which texts are compared, and the stored keys by which patients are sorted and searched.

They are the same on every database. The collations of databases differ, so none is used.
"""

from __future__ import annotations

import struct
from functools import cache
from hashlib import blake2b
from itertools import takewhile
from typing import Any
from unicodedata import combining, normalize

# Only the beginning of a longer name decides. A key has two bytes for each weight, and indexes limit the length of keys.
_MOST_WEIGHTS = 512
# With 16 bytes, it is practically impossible that two texts have the same digest.
_DIGEST_BYTES = 16
# The separator between the fields of a search text. In the fields themselves it is replaced.
_SEPARATOR, _REPLACEMENT = "\x1f", "\x1e"


def name_key(name: str | None) -> bytes:
    """The sort key of `name`, to be compared byte by byte. Without a name the key is empty, and comes first.

    The order is that of the root collation of the Unicode Collation Algorithm with primary strength: letter case and
    accents are ignored; spaces come first, then punctuation, symbols, digits, and letters by script.
    """
    if not name:
        return b""
    # The weights of the first level end at the first zero.
    weights = list(takewhile(bool, _collator().sort_key(name)))[:_MOST_WEIGHTS]
    return struct.pack(f">{len(weights)}H", *weights)


@cache
def _collator() -> Any:
    # Imported at the first use, because reading its table takes a sixth of a second. The version of the table is fixed, so
    # that stored keys do not change with the version of Python.
    from pyuca.collator import Collator_10_0_0

    return Collator_10_0_0()


def folded(text: str) -> str:
    """The form in which names, numbers and searched texts are compared, so that letter case is ignored.

    It is Unicode normalization form C with full case folding: `ß` becomes `ss`, a final sigma becomes a sigma, and an
    accented letter is one character even when it was written as two. Accents are not ignored.
    """
    # Case folding decomposes some letters, so the text is normalized again.
    return normalize("NFC", normalize("NFC", text).casefold())


def match_key(text: str | None) -> bytes | None:
    """The key by which texts of health records are compared; None for None and for the empty text.

    Letter case and accents are ignored; spaces and punctuation are compared. The key is a digest, because a text can be
    longer than the longest key of an index.
    """
    if not text:
        return None
    base = "".join(character for character in normalize("NFKD", text) if not combining(character))
    return blake2b(base.casefold().encode(), digest_size=_DIGEST_BYTES).digest()


def sought(text: str) -> str:
    """The form of `text` that is searched for in a `search_text`."""
    return folded(text).replace(_SEPARATOR, _REPLACEMENT)


def search_text(*fields: str | None) -> str:
    """The text in which a search looks: all `fields`, folded and separated, so that no match spans two fields."""
    return _SEPARATOR.join(sought(field) for field in fields if field)


def mrn_key(mrn: str | None) -> str | None:
    """The form in which medical record numbers are compared; None for None and for a blank number.

    Letter case, white space around the number and the composition of accented letters are ignored; accents are compared.
    """
    return folded(mrn or "").strip() or None
