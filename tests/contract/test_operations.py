"""The spec and the code have the same operations, each with an access rule, a plan, a route and tests."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clinic_service.api.log import RequestLog
from clinic_service.api.operations import find_handlers, handler_name
from clinic_service.api.parameters import PlanError
from clinic_service.api.plan import Plan
from clinic_service.api.routing import LeanFlask
from clinic_service.app import create_app
from clinic_service.auth.rules import RULES
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.metrics.counters import Metrics
from clinic_service.specification.apis import Operation
from tests.conftest import SECRET
from tests.support.errors import spec_apis
from tests.support.small import compile_plans, json_body, operation, small_api, small_app, small_plans

TESTS = Path(__file__).parents[1] / "api"
OPERATIONS = [operation for api in spec_apis() for operation in api.operations]
BUILT = find_handlers(OPERATIONS)
MIB = 1 << 20

# Those of the two APIs that clients cannot do without; the others may still answer 501.
FIRST = {
    "access": ("GetGroupsForUser", "GetUsersInGroup", "GetPermissionsForUser", "GrantPermissionsInGroup"),
    "clinics": ("ListClinics", "CreateClinic", "GetClinicByShareCode", "GetClinic", "UpdateClinic", "DeleteClinic"),
    "clinic settings": ("UpdateTier", "UpdateSuppressedNotifications", "GetPatientCount"),
    "clinicians": ("ListClinicians", "CreateClinician", "GetClinician", "UpdateClinician", "DeleteClinician"),
    "clinicians everywhere": ("ListAllClinicians", "ListClinicsForClinician"),
    "patients": ("CreatePatientFromUser", "GetPatient", "ListClinicsForPatient"),
    "migrations": ("EnableNewClinicExperience", "TriggerInitialMigration", "MigrateLegacyClinicianPatients"),
    "migrations of a clinic": ("ListMigrations", "GetMigration", "UpdateMigration"),
    "users": ("DeleteUserFromClinics", "UpdateClinicUserDetails"),
}


# Described and not carried out yet: these answer 501. Any other operation has a handler.
NOT_BUILT = frozenset[str]()


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return compile_plans(spec_apis())


def test_every_operation_has_a_handler() -> None:
    missing = [_what_is_missing(o) for o in OPERATIONS if o.operation_id not in {*BUILT, *NOT_BUILT}]
    assert not missing, "\n".join(missing)


def _what_is_missing(operation: Operation) -> str:
    place, name = operation.place, operation.operation_id
    return (
        f"{name} ({operation.method.upper()} {operation.path}, described in {place.file.name}) has no handler: "
        f"clinic_service/resources/{operation.group}/handlers.py needs a function {handler_name(name)}; "
        f"`clinic-service spec stub {name}` prints it"
    )


def test_a_new_operation_is_named_with_what_it_lacks() -> None:
    paths = {"/clinics/{clinicId}/colour": {"get": operation("GetClinicColour")}}
    (new,) = small_api(paths).operations
    text = _what_is_missing(new)
    assert "GetClinicColour" in text
    assert "clinic_service/resources/small/handlers.py needs a function get_clinic_colour" in text


def test_what_is_not_built_is_in_the_spec_and_has_no_handler() -> None:
    assert {o.operation_id for o in OPERATIONS} - BUILT.keys() >= NOT_BUILT


def test_names_are_pascal_case_and_make_distinct_python_names() -> None:
    assert all(re.fullmatch("[A-Z][A-Za-z]+", operation.operation_id) for operation in OPERATIONS)
    names = Counter(handler_name(operation.operation_id) for operation in OPERATIONS)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
def test_every_operation_says_who_may_call_it(operation: Operation) -> None:
    rules = operation.definition["x-access"]
    assert rules
    assert all(rule.partition(":")[0] in {*RULES, "partner"} for rule in rules)
    # An operation for partners takes no session token, and says so.
    is_for_partners = rules[0].startswith("partner:")
    assert (operation.schemes != ["sessionToken"]) == is_for_partners


def test_every_operation_has_a_plan_and_every_handler_an_operation(plans: dict[str, Plan]) -> None:
    assert set(plans) == {operation.operation_id for operation in OPERATIONS}
    assert {name for name, plan in plans.items() if plan.handler} == set(BUILT)


def test_the_operations_that_must_be_there_are() -> None:
    names = [name for group in FIRST.values() for name in group]
    assert len(names) == 31
    assert [name for name in names if name not in BUILT] == []


def _test_file(operation: Operation) -> Path:
    group = operation.group if operation.api == "clinic.v1" else "access"
    return TESTS / group / f"test_{handler_name(operation.operation_id)}.py"


def test_every_built_operation_has_a_test_file() -> None:
    assert [_test_file(o).name for o in OPERATIONS if o.operation_id in BUILT and not _test_file(o).is_file()] == []


def test_every_test_file_of_a_group_has_an_operation() -> None:
    """A large operation has further files, whose names go on after its own."""
    expected = {_test_file(operation) for operation in OPERATIONS}
    files = {file for group in {file.parent for file in expected} for file in group.glob("test_*.py")}
    further = {file for file in files for one in expected if str(file).startswith(f"{one.with_suffix('')}_")}
    assert files - expected - further == set()


def test_routes_are_the_operations_and_the_pages_and_nothing_else(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    app = create_app(Config(session_secret=SECRET), database, apis=spec_apis())
    database.dispose()
    routes = {
        (method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or () if method != "HEAD"
    }
    described = {(o.method.upper(), o.path.replace("{", "<").replace("}", ">")) for o in OPERATIONS}
    assert described <= routes
    pages = {path for _, path in routes - described}
    assert {path for path in pages if not path.startswith("/docs")} == {
        "/",
        "/live",
        "/ready",
        "/metrics",
        "/openapi/clinic.v1.json",
        "/openapi/access.v1.json",
        "/openapi/clinic.v1.yaml",
        "/openapi/access.v1.yaml",
    }


def test_bodies_are_limited_to_1_mib_and_messages_of_health_records_to_8(plans: dict[str, Plan]) -> None:
    assert {name: plan.body.limit for name, plan in plans.items() if plan.body and plan.body.limit != MIB} == {
        "ProcessEHRMessage": 8 * MIB
    }


def test_what_says_so_and_other_get_operations_are_reads(plans: dict[str, Plan]) -> None:
    """A GET that has to store something first says so in the spec, and a POST that stores nothing, so that it is found."""
    reads = {name for name, plan in plans.items() if not plan.writes}
    assert reads == {o.operation_id for o in OPERATIONS if not o.definition.get("x-writes", o.method != "get")}
    assert {"XealthGetPrograms", "VerifyEndpoint", "GenerateMergeReport"} <= reads
    assert len(reads) > 20


class TestRefusedAtTheStart:
    """What would only surface at some request, or never, stops the start-up instead."""

    ID: dict[str, Any] = {"name": "clinicId", "in": "path", "required": True, "schema": {"type": "string"}}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            (None, "must list at least one rule"),
            ([], "must list at least one rule"),
            ("service", "must list at least one rule"),
            (["everybody"], "unknown access rule"),
            (["Service"], "unknown access rule"),
            (["self"], "must be followed by a parameter"),
            (["self:userId"], "must be followed by a parameter"),
            (["service:clinicId"], "must be followed by a parameter"),
            (["partner:nobody"], "partner rule"),
            (["partner:redox", "service"], "partner rule"),
            (["service", "partner:redox"], "partner rule"),
        ],
    )
    def test_access_that_cannot_be_decided(self, rules: Any, message: str) -> None:
        paths = {"/clinics/{clinicId}": {"get": operation("Look", parameters=[self.ID], **{"x-access": rules})}}
        with pytest.raises(PlanError, match=message):
            small_plans(small_api(paths))

    def test_a_missing_rule(self) -> None:
        described = operation("Look")
        del described["x-access"]
        with pytest.raises(PlanError, match="Look: x-access"):
            small_plans(small_api({"/look": {"get": described}}))

    @pytest.mark.parametrize("rule", ["member", "admin", "self-if-member:userId"])
    def test_a_relation_without_a_clinic(self, rule: str) -> None:
        user = {**self.ID, "name": "userId"}
        paths = {"/users/{userId}": {"get": operation("Look", parameters=[user], **{"x-access": [rule]})}}
        with pytest.raises(PlanError, match="needs a clinicId"):
            small_plans(small_api(paths))

    def test_a_handler_that_does_not_fit(self) -> None:
        def without_body(ctx: Context, clinic_id: str) -> None: ...
        def with_more(ctx: Context, clinic_id: str, body: Any, other: str) -> None: ...
        def with_another_name(ctx: Context, clinicId: str, body: Any) -> None: ...  # noqa: N803
        def fitting(ctx: Context, clinic_id: str, body: Any) -> None: ...

        described = operation("Change", parameters=[self.ID], requestBody=json_body({}))
        api = small_api({"/clinics/{clinicId}": {"put": described}})
        for handler, difference in ((without_body, "body"), (with_more, "other"), (with_another_name, "clinic")):
            handler.__name__ = "change"
            with pytest.raises(PlanError, match=f"Change: spec and handler differ in .*{difference}"):
                small_plans(api, handler)
        fitting.__name__ = "change"
        assert small_plans(api, fitting)["Change"].handler is not None

    def test_an_operation_without_a_success(self) -> None:
        described = operation("Look", responses={"400": {"description": "Never good."}})
        with pytest.raises(PlanError, match="no success response"):
            small_plans(small_api({"/look": {"get": described}}))

    def test_stops_the_application(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        described = operation("Look", responses={"400": {"description": "Never good."}})
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        with pytest.raises(PlanError, match="Look: no success response"):
            small_app(database, Config(session_secret=SECRET), {"/look": {"get": described}})
        database.dispose()
        assert caplog.records == []

    def test_a_handler_without_an_operation(self) -> None:
        missing = [operation for operation in OPERATIONS if operation.operation_id != "GetClinic"]
        with pytest.raises(PlanError, match=r"the handler get_clinic of clinics handles no operation"):
            find_handlers(missing)


@pytest.mark.parametrize(
    "name",
    ["before_request", "after_request", "teardown_request", "errorhandler", "register_blueprint", "template_filter"],
)
def test_what_the_application_would_ignore_is_refused(name: str) -> None:
    app = LeanFlask(RequestLog(), Metrics(), Config())
    with pytest.raises(TypeError, match=f"{name} has no effect .* api/dispatch.py"):
        getattr(app, name)(lambda *_: None)


def test_a_middleware_that_would_never_be_called_is_refused() -> None:
    app = LeanFlask(RequestLog(), Metrics(), Config())
    with pytest.raises(TypeError, match=r"middleware .* api/dispatch\.py"):
        app.wsgi_app = app.wsgi_app  # type: ignore[method-assign]
