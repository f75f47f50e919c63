"""Links of pages: the header `Link` (RFC 8288), which leads from a page of a list to the others.

A target is only a query, such as `?limit=10&offset=20`. A client resolves it against the address of its request, so the
target is right behind every proxy and under every prefix.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

from clinic_service.context import Page

# The characters that a query may hold (RFC 3986), besides letters and digits; `%` begins an escape.
_QUERY_CHARACTERS = "-._~!$&'()*+,;=:@/?%"


def link_header(page: Page, query_string: str) -> str:
    """The value of `Link` for `page`, which was asked for with `query_string`.

    All parameters but `offset` stay as they were sent. There is no `next` after the last entry, and no `prev` before the
    first one.
    """
    kept = [part for part in query_string.split("&") if part and unquote_plus(part.partition("=")[0]) != "offset"]

    def link(relation: str, offset: int) -> str:
        query = quote("&".join([*kept, f"offset={offset}"]), safe=_QUERY_CHARACTERS)
        return f'<?{query}>; rel="{relation}"'

    links = [link("first", 0)]
    if page.offset:
        links.append(link("prev", max(0, page.offset - page.limit)))
    if page.has_more:
        links.append(link("next", page.offset + page.limit))
    return ", ".join(links)
