"""The objects that the fixtures return to tests. Every test run imports this module, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TOKEN_HEADER = "X-Tidepool-Session-Token"


@dataclass(frozen=True)
class DemoCaller:
    """Somebody who may call the server.

    `id` is the user id of a person or the name of a service. `email` is "" for a service. `token` is a session token
    that is valid for a week.
    """

    id: str
    name: str
    email: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request by this caller."""
        return {TOKEN_HEADER: self.token}


@dataclass(frozen=True)
class ClinicServer:
    """A running server with the demo clinic.

    `url` is the base URL, without a slash at its end. Of the callers, `admin` and `member` are clinicians of the clinic,
    `patient` is one of its 40 patients, `parent` may view and follow the data of `patient`, `outsider` has an account
    and no access to anything of the others, `invited` has a pending invitation to become a clinician, `offering` has a
    pending offer to become a patient, and `service` is a backend service. `tag_ids` and `site_ids` are the ids of
    the clinic's patient tags and sites by name. `patient_ids` are the user ids of its patients.
    """

    url: str
    admin: DemoCaller
    member: DemoCaller
    patient: DemoCaller
    parent: DemoCaller
    outsider: DemoCaller
    invited: DemoCaller
    offering: DemoCaller
    service: DemoCaller
    clinic_id: str
    share_code: str
    tag_ids: Mapping[str, str] = field(repr=False)
    site_ids: Mapping[str, str] = field(repr=False)
    patient_ids: tuple[str, ...] = field(repr=False)
    _restore: Callable[[], None] = field(repr=False)

    def reset(self) -> None:
        """Undo all that was stored since the start of the server.

        Before that, wait for the answers of your requests: one that is still running may store something afterwards.
        """
        self._restore()


@dataclass(frozen=True)
class ClinicMock:
    """A running `clinic-service mock`, which answers every operation from the examples of the spec and stores nothing.

    `url` is the base URL, without a slash at its end. `headers` has a token; the mock takes any.
    """

    url: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request that the mock answers."""
        return {TOKEN_HEADER: "any"}
