"""`spec stub`: what it prints for an operation runs as it is, and its tests fail until they are written."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import get_type_hints

import pytest

from clinic_service.api.operations import handler_name
from clinic_service.cli.spec.stub import stub, stub_files
from clinic_service.errors import NotImplementedYet
from clinic_service.serialization import WireSchema
from clinic_service.specification.apis import Api, Operation
from tests.support.errors import spec_apis

OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]


def _modules(api: Api, operation: Operation) -> dict[str, ModuleType]:
    modules = {}
    for file, code in stub_files(api, operation).items():
        modules[file] = ModuleType("stub")
        exec(compile(code, file, "exec"), modules[file].__dict__)
    return modules


def _functions(module: ModuleType) -> dict[str, object]:
    return {name: one for name, one in inspect.getmembers(module, inspect.isfunction) if one.__module__ == "stub"}


@pytest.mark.parametrize(("api", "operation"), OPERATIONS, ids=lambda part: getattr(part, "operation_id", ""))
def test_every_operation_has_a_stub_with_all_it_names(api: Api, operation: Operation) -> None:
    name, modules = handler_name(operation.operation_id), _modules(api, operation)
    handlers = modules[f"clinic_service/resources/{operation.group}/handlers.py"]
    assert list(_functions(handlers)) == [name]
    handler = getattr(handlers, name)
    assert "ctx" in get_type_hints(handler)
    with pytest.raises(NotImplementedYet):
        handler(*([None] * len(inspect.signature(handler).parameters)))
    schemas = modules.get(f"clinic_service/resources/{operation.group}/schemas.py")
    if schemas:
        made = [one() for one in vars(schemas).values() if inspect.isclass(one) and one.__module__ == "stub"]
        assert made
        assert all(isinstance(one, WireSchema) and one.fields for one in made)


@pytest.mark.parametrize(
    ("operation_id", "annotation"),
    [
        ("GetClinic", "JsonObject"),
        ("ListClinics", "list[JsonObject]"),
        ("DeleteClinic", "None"),
        ("ViewPDFReport", "Answer"),
    ],
)
def test_the_handler_says_what_it_returns(operation_id: str, annotation: str) -> None:
    api, operation = next((a, o) for a, o in OPERATIONS if o.operation_id == operation_id)
    handlers = _modules(api, operation)[f"clinic_service/resources/{operation.group}/handlers.py"]
    (handler,) = _functions(handlers).values()
    assert inspect.signature(handler).return_annotation == annotation  # type: ignore[arg-type]


def test_its_tests_fail_until_they_are_written() -> None:
    api, operation = next((a, o) for a, o in OPERATIONS if o.operation_id == "MergeClinic")
    module = _modules(api, operation)["tests/api/merges/test_merge_clinic.py"]
    tests = _functions(module)
    assert len(tests) == 6
    for name, test in tests.items():
        assert name.startswith("test_")
        assert callable(test)
        assert set(get_type_hints(test)) == {"api", "database", "return"}
        with pytest.raises(pytest.fail.Exception, match="not written yet"):
            test(None, None)


def test_files_are_printed_one_after_the_other() -> None:
    api, operation = next((a, o) for a, o in OPERATIONS if o.operation_id == "MergeClinic")
    text = stub(api, operation)
    for file, code in stub_files(api, operation).items():
        assert f"# {file}\n{code}" in text
