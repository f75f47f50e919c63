from __future__ import annotations

from collections.abc import Iterator

import pytest

from clinic_service.db.engine import Database
from tests.api.ehr.xealth_elsewhere.steps import enter
from tests.support.platform import Platform
from tests.support.rows import storing
from tests.support.xealth_site import XealthSite, make_xealth_clinic, xealth_site


@pytest.fixture(scope="module")
def shared_site(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database, hosted=True) as made:
        yield made


@pytest.fixture
def there(site: XealthSite) -> Platform:
    """The accounts service."""
    assert site.platform
    return site.platform


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    """A clinic that knows the form of the order, but not the patient."""
    with storing(site.database) as unit:
        clinic_id = make_xealth_clinic(unit, mrn_unique=True).id
    assert enter(site).json == {}
    return clinic_id
