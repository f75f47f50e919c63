"""What the benchmark tells a peer: the database and the secret of the session tokens."""

from __future__ import annotations

import os

DATABASE_URL_VARIABLE = "BENCHMARK_DATABASE_URL"
SECRET_VARIABLE = "BENCHMARK_SESSION_SECRET"


def database_url() -> str:
    """A SQLAlchemy URL; the schema is there and filled."""
    return os.environ[DATABASE_URL_VARIABLE]


def secret() -> str:
    """What HS256 tokens are signed with."""
    return os.environ[SECRET_VARIABLE]
