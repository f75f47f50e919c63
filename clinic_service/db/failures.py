"""Why a database cannot be used, in words an operator can act upon."""

from __future__ import annotations


class DatabaseUnusable(Exception):
    """The database, or the way it is set up, does not fit this program; the message says how to mend it.

    It is for operators: it may name hosts, files and users, so no caller of the API gets to see it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
