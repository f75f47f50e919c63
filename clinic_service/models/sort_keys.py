"""What texts are compared by, and the stored keys that patients are sorted and searched by.

They mean the same on every database: no collation of one takes part, because no two of them agree.
"""

from __future__ import annotations

import struct
from functools import cache
from itertools import takewhile
from typing import Any
from unicodedata import normalize

# A longer name is ordered by its beginning; a key has two bytes for each weight, and an index takes no endless ones.
_MOST_WEIGHTS = 512
# Stands between the fields of a search text, and in none of them.
_SEPARATOR, _INSTEAD = "\x1f", "\x1e"


def name_key(name: str | None) -> bytes:
    """The place of `name` in the order of names, compared byte by byte; the empty key for no name, which comes first.

    The order is that of the Unicode Collation Algorithm's root, primary strength: neither letter case nor accents count,
    spaces come first, then punctuation, symbols, digits, and letters by script.
    """
    if not name:
        return b""
    # The weights of the first level end at the first zero.
    weights = list(takewhile(bool, _collator().sort_key(name)))[:_MOST_WEIGHTS]
    return struct.pack(f">{len(weights)}H", *weights)


@cache
def _collator() -> Any:
    # Its table takes a sixth of a second to read, which the start of a server need not wait for. The version of the
    # table is named, because stored keys must not change with Python's own.
    from pyuca.collator import Collator_10_0_0

    return Collator_10_0_0()


def folded(text: str) -> str:
    """The one form in which texts are compared wherever letter case does not count: names, numbers, what is searched.

    It is normal form C with full case folding: `ß` is `ss`, a final sigma is a sigma, and an accented letter is one
    character however it was written. Accents count.
    """
    # Folding takes some letters apart again.
    return normalize("NFC", normalize("NFC", text).casefold())


def sought(text: str) -> str:
    """`text` as it is looked for in a `search_text`."""
    return folded(text).replace(_SEPARATOR, _INSTEAD)


def search_text(*fields: str | None) -> str:
    """All that a search looks through, folded, so that no match reaches from one field into the next."""
    return _SEPARATOR.join(sought(field) for field in fields if field)


def mrn_key(mrn: str | None) -> str | None:
    """The form in which medical record numbers are compared; None for a blank one, which counts as none.

    Letter case, white space around the number and the composition of accented letters do not count; accents count.
    """
    return folded(mrn or "").strip() or None
