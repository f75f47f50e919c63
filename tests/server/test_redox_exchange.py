"""A server that is started with the settings of Redox carries orders out by itself."""

from __future__ import annotations

import json
import time
from pathlib import Path

from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from clinic_service.models import OrderOutcome, OrderState
from clinic_service.resources.ehr.messages import receive
from tests.ehr.exchange import MRN, SETTINGS
from tests.ehr.orders import order
from tests.support.cast import CAROL
from tests.support.ehr import make_ehr_clinic
from tests.support.processes import serving
from tests.support.redox import redox_server
from tests.support.rows import make_patient, stored, storing


def test_order_is_answered(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    database = Database(database_url, sqlite_synchronous="NORMAL", pool_size=1)
    with storing(database) as unit:
        make_patient(unit, make_ehr_clinic(unit, **SETTINGS), CAROL, mrn=MRN)
    with redox_server() as redox, serving(tmp_path, **redox.environ | {"CLINIC_DATABASE_URL": database_url}):
        with storing(database) as unit:
            receive(unit, order(), json.dumps(order()))
        while not [outcome for outcome in stored(database, OrderOutcome) if outcome.state != OrderState.PENDING]:
            time.sleep(0.1)
        assert redox.kinds == ["Results/New", "Notes/New"]
    assert [outcome.state for outcome in stored(database, OrderOutcome)] == [OrderState.ANSWERED]
    database.dispose()
