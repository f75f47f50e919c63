"""Routes of addresses that were asked for before."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.api.routing import LeanFlask
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from tests.conftest import SECRET
from tests.support.cast import ALICE
from tests.support.client import Client
from tests.support.small import operation, small_app

pytestmark = pytest.mark.one_engine

NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
PATHS = {
    "/things/{name}": {
        "get": operation("GetThing", parameters=[NAME]),
        "put": operation("PutThing", parameters=[NAME]),
    }
}


def get_thing(_ctx: Context, name: str) -> Any:
    return {"got": name}


def put_thing(_ctx: Context, name: str) -> Any:
    return {"put": name}


@pytest.fixture
def app(database: Database, config: Config) -> LeanFlask:
    return small_app(database, config, PATHS, get_thing, put_thing)


@pytest.fixture
def client(app: LeanFlask) -> Client:
    return Client(app, SECRET)


def test_are_those_of_the_same_address_and_method(client: Client) -> None:
    for _ in range(2):
        for name in ("a", "b", "%2e"):
            shown = name.replace("%2e", ".")
            assert client.get(f"/things/{name}", as_=ALICE).json == {"got": shown}
            assert client.put(f"/things/{name}", as_=ALICE).json == {"put": shown}
            assert client.delete(f"/things/{name}", as_=ALICE).status == 405
        assert client.get("/nothing", as_=ALICE).status == 404


def test_are_remembered_for_short_addresses_that_exist(app: LeanFlask, client: Client) -> None:
    for name in ("a", "a", "a" * 1000):
        assert client.get(f"/things/{name}", as_=ALICE).json == {"got": name}
    client.get("/nothing", as_=ALICE)
    remembered = app._remembered_route.cache_info()
    assert (remembered.currsize, remembered.hits) == (1, 1)
