"""Whole applications, made once for each database and configuration: compiling the plans takes longer than most tests."""

from __future__ import annotations

from functools import cache

from clinic_service.api.routing import LeanFlask
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from tests.support.errors import spec_apis


@cache
def application(config: Config, database: Database) -> LeanFlask:
    """The application for `config` on `database`, which all tests of this process share."""
    return create_app(config, database, apis=spec_apis())
