"""The clinics and the present time of the tests of summaries."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.api.summaries.steps import NOW, Clinics
from tests.support.cast import CAROL, DAVE
from tests.support.rows import make_clinic, make_patient, make_staffed_clinic, storing


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def random() -> Random:
    return Random(20417)


@pytest.fixture
def clinics(database: Database) -> Clinics:
    """Two clinics that Carol is a patient of; the first one has made her account, and knows Dave as well."""
    with storing(database) as unit:
        first, second = make_staffed_clinic(unit), make_clinic(unit)
        make_patient(unit, first, CAROL, "custodian")
        make_patient(unit, first, DAVE)
        make_patient(unit, second, CAROL)
        return Clinics(first.id, second.id)
