"""Whatever arrives in place of a message of Redox is stored as it is, or refused with the reason and without a trace."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clinic_service.db.engine import Database
from tests.support.cast import CAROL, SERVICE
from tests.support.client import Client, Reply
from tests.support.databases import clear
from tests.support.ehr import REDOX, make_ehr_clinic, redox_order
from tests.support.errors import assert_error
from tests.support.malformed import BODIES, Body
from tests.support.rows import make_patient, storing
from tests.support.units import everything

OF_ANOTHER_TYPE = [BODIES[name] for name in ("a list", "a list of 5,000 lists", "text", "a number", "true")]
LIMITS = {"/v1/redox": 8 << 20, "/v1/redox/verify": 1 << 20}
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


class TestCorpus:
    """The requests that no well-meaning client sends."""

    @pytest.mark.one_engine
    @pytest.mark.parametrize("path", LIMITS)
    @pytest.mark.parametrize("case", BODIES)
    def test_is_refused_and_changes_nothing(self, redox: Client, database: Database, case: str, path: str) -> None:
        before = everything(database)
        reply = self._send(redox, path, BODIES[case])
        assert_error(reply, self._expected(path, BODIES[case]))
        assert everything(database) == before

    @staticmethod
    def _expected(path: str, body: Body) -> int:
        if body.status == 413:
            is_too_large = body.length is not None or len(body.raw) > LIMITS[path]
            return 413 if is_too_large else 400
        if path == "/v1/redox":
            return 400
        # No secret is in a body that is absent, an object without one, or JSON of another type, whatever is said about
        # it. A stream without a body has been cut off.
        is_object = body.status == 415 and body.raw == b"{}"
        is_absent = not body.raw.strip() and not (body.chunked and not body.raw)
        return 401 if is_object or is_absent or body in OF_ANOTHER_TYPE else 400

    @staticmethod
    def _send(api: Client, path: str, body: Body) -> Reply:
        environ: dict[str, Any] = {"wsgi.input": io.BytesIO(body.raw), "CONTENT_LENGTH": str(len(body.raw))}
        environ["CONTENT_TYPE"] = body.content_type or ""
        if body.length is not None:
            environ["CONTENT_LENGTH"] = body.length
        if body.chunked:
            environ |= {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        return api.post(path, headers=REDOX, environ_overrides=environ)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in `value` but itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, inner in items:
        found += [(*path, key), *places(inner, (*path, key))]
    return found


PLACES = places(redox_order())
_REMOVED = "removed"


def damaged(damages: list[tuple[tuple[Any, ...], Any]]) -> Any:
    """The order with other values at these places, or nothing at all; a place that is gone stays so."""
    message = copy.deepcopy(redox_order())
    for path, value in damages:
        node: Any = message
        try:
            for part in path[:-1]:
                node = node[part]
            if isinstance(node, dict) and not isinstance(path[-1], str):
                # A list was replaced by an object, so this place is gone.
                continue
            if value == _REMOVED:
                del node[path[-1]]
            else:
                node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    return message


def assert_refused(reply: Reply, before: Any, database: Database) -> None:
    """A precise refusal, which leaves everything as it was."""
    assert 400 <= reply.status < 500, reply.json
    assert_error(reply, reply.status)
    assert everything(database) == before


@SETTINGS
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES | st.just(_REMOVED)), min_size=1, max_size=3))
@example([(("Patient", "Identifiers"), {}), (("Patient", "Identifiers", 0), None)])
@example([(("Meta", "Source", "ID"), None)])
@example([(("Patient", "Identifiers", 0, "IDType"), "İ")])
@example([(("Patient", "Demographics", "DOB"), "0001-01-01")])
@example([(("Meta", "EventDateTime"), "9999-12-31T23:59:59-23:59")])
def test_damaged_messages(redox: Client, database: Database, damages: list[tuple[tuple[Any, ...], Any]]) -> None:
    """What is stored can be matched, or is refused then."""
    clear(database)
    with storing(database) as unit:
        make_patient(unit, make_ehr_clinic(unit), CAROL, mrn="MRN-20417")
    message = damaged(damages)
    before = everything(database)
    reply = redox.post("/v1/redox", json=message, headers=REDOX)
    if reply.status != 200:
        assert_refused(reply, before, database)
        assert reply.json["errors"]
        return
    document_id = reply.headers["x-tidepool-document-id"]
    before = everything(database)
    reference = {"dataModel": "Order", "eventType": "New", "documentId": document_id}
    patients = {"criteria": ["MRN", "MRN_DOB", "DOB_FULLNAME"], "onUniqueMatch": "ENABLE_REPORTS"}
    matched = redox.post("/v1/redox/match", as_=SERVICE, json={"messageRef": reference, "patients": patients})
    if matched.status != 200:
        assert_refused(matched, before, database)


@SETTINGS
@given(data=st.data())
def test_damaged_texts(redox: Client, database: Database, data: st.DataObject) -> None:
    clear(database)
    raw = json.dumps(redox_order()).encode()
    place = data.draw(st.integers(0, len(raw) - 1))
    damage = data.draw(st.binary(max_size=3))
    changed = raw[:place] + damage + raw[data.draw(st.integers(place, len(raw))) :]
    before = everything(database)
    reply = redox.post("/v1/redox", data=changed, headers=REDOX)
    if reply.status != 200:
        assert_refused(reply, before, database)
