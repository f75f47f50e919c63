"""Numbers of patients. This is the only place that defines which patients count towards a clinic's plan."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    cast,
    distinct,
    exists,
    func,
    not_,
    null,
    select,
    union_all,
)

from clinic_service.db.prepared import Query
from clinic_service.db.types import ExactText
from clinic_service.models import DataSource, Patient

_FREE_PROVIDER = "twiist"

_OF_CLINIC = Patient.clinic_id == bindparam("clinic_id")
# Without a demo patient the bound value is the empty text, which is no user's id.
_IS_DEMO: ColumnElement[bool] = Patient.user_id == bindparam("demo_user_id")
# The plan includes neither the demo patient nor patients with a source of the free provider in any state.
_IN_PLAN: ColumnElement[bool] = and_(
    not_(_IS_DEMO),
    not_(
        exists().where(
            DataSource.clinic_id == bindparam("clinic_id"),
            DataSource.patient_id == Patient.id,
            DataSource.provider_name == _FREE_PROVIDER,
        )
    ),
)


class PatientCounts(NamedTuple):
    """The numbers of a clinic's patients: all, demo patients (0 or 1), and those that the plan includes."""

    total: int
    demo: int
    plan: int


COUNT_PLAN = select(func.count()).select_from(Patient).where(_OF_CLINIC, _IN_PLAN)
COUNT = Query(
    PatientCounts,
    select(
        func.count().label("total"),
        func.count().filter(_IS_DEMO).label("demo"),
        func.count().filter(_IN_PLAN).label("plan"),
    )
    .select_from(Patient)
    .where(_OF_CLINIC),
)


class ProviderCount(NamedTuple):
    """The number of a clinic's patients with a source of the provider in this state; `state` None counts all states."""

    provider_name: str
    state: str | None
    patients: int


def _with_source(state: ColumnElement[Any], *keys: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    return (
        select(DataSource.provider_name, state.label("state"), func.count(distinct(Patient.id)).label("patients"))
        .join(Patient, and_(DataSource.clinic_id == Patient.clinic_id, DataSource.patient_id == Patient.id))
        .where(_OF_CLINIC, not_(_IS_DEMO))
        .group_by(*keys)
    )


# Counts patients and not sources: a patient with two sources of one provider counts once. The total of a provider has
# no state.
COUNT_BY_PROVIDER = Query(
    ProviderCount,
    union_all(
        _with_source(cast(null(), ExactText()), DataSource.provider_name.expression),
        _with_source(DataSource.state.expression, DataSource.provider_name.expression, DataSource.state.expression),
    ).order_by("provider_name", "state"),
)
