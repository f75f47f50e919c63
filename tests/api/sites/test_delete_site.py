"""DeleteSite: DELETE /v1/clinics/{clinicId}/sites/{siteId}"""

from __future__ import annotations

from tests.support.labels.deletion import LabelDeletion
from tests.support.labels.kinds import SITES


class TestDeleteSite(LabelDeletion):
    kind = SITES
    status_when_absent = 404
