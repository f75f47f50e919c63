"""There is one way to send a statement: constant ones by `rows`, `first`, `insert` and `change`, others by `execute`."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import TypeGuard

import pytest
from sqlalchemy import Executable, delete, select, update
from sqlalchemy.dialects import sqlite

from clinic_service.db.prepared import Query
from clinic_service.models import Tag
from clinic_service.resources.clinicians import listing
from clinic_service.resources.patients import counts
from tests.architecture.test_imports import Source, sources
from tests.support.distribution import statements


def sent(source: Source, *methods: str) -> Iterator[ast.expr]:
    """The statements that the module sends by one of these methods of a unit, as they are written."""
    is_sent = re.compile(rf"\b_?(uow|unit)\.({'|'.join(methods)})")
    for node in source.nodes:
        if isinstance(node, ast.Call) and node.args and is_sent.search(ast.unparse(node.func)):
            first = node.args[0]
            yield from (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)


def named(name: str, module: ModuleType) -> object:
    """What a dotted name stands for in the module, `self.name` in any of its classes; None for a local name."""
    first, *rest = name.split(".")
    owners = [kind for _, kind in inspect.getmembers(module, inspect.isclass)] if first == "self" else [module]
    found = owners if first == "self" else [getattr(module, first, None)]
    for part in rest:
        found = [getattr(one, part) for one in found if hasattr(one, part)]
    return found[0] if found else None


def module_of(source: Source) -> ModuleType:
    return importlib.import_module(f"clinic_service.{source.name}")


def can_be_compiled_once(statement: Executable) -> bool:
    """Whether it has neither a list of values, which varies in length, nor rows to answer when it writes."""
    compiled = statement.compile(dialect=sqlite.dialect())  # type: ignore[attr-defined]
    return not compiled.effective_returning and not any(bind.expanding for bind in compiled.binds.values())


def sent_wrongly(source: Source) -> list[str]:
    """The constants that the module sends by `execute` although they can be compiled once."""
    written = [ast.unparse(statement) for statement in sent(source, "execute")]
    found = {name: named(name, module_of(source)) for name in written if re.fullmatch(r"[\w.]+", name)}
    return [n for n, one in found.items() if isinstance(one, Query | Executable) and _is_prepared(one)]


def _is_prepared(constant: Query[object] | Executable) -> bool:
    return isinstance(constant, Query) or can_be_compiled_once(constant)


@pytest.mark.parametrize("name", [name for name, source in sources().items() if any(sent(source, "execute"))])
def test_constants_are_not_sent_by_execute(name: str) -> None:
    assert sent_wrongly(sources()[name]) == []


@pytest.mark.parametrize("name", [name for name, source in sources().items() if any(sent(source, "rows", "first"))])
def test_what_is_composed_in_a_call_is_composed_once(name: str) -> None:
    """A statement that were new with each call would be compiled and kept each time."""
    source = sources()[name]
    made = [statement.func for statement in sent(source, "rows", "first") if isinstance(statement, ast.Call)]
    functions = {ast.unparse(function): named(ast.unparse(function), module_of(source)) for function in made}
    assert [name for name, function in functions.items() if not hasattr(function, "cache_info")] == []


class TestTheRules:
    """That the tests above find what they look for."""

    def test_statements_are_told_apart(self) -> None:
        assert can_be_compiled_once(select(Tag.id).where(Tag.name == "a"))
        assert can_be_compiled_once(delete(Tag))
        assert not can_be_compiled_once(select(Tag.id).where(Tag.id.in_(["a"])))
        assert not can_be_compiled_once(update(Tag).values(name="a").returning(Tag.id))

    def test_names_are_found(self) -> None:
        module = importlib.import_module("clinic_service.resources.patients.repository")
        assert named("counts.COUNT", module) is counts.COUNT
        assert isinstance(named("self._ONE", module), Query)
        assert named("statement", module) is None
        assert hasattr(named("_page", listing), "cache_info")

    def test_calls_are_found(self) -> None:
        found = [ast.unparse(one) for one in sent(sources()["resources.patients.repository"], "execute", "first")]
        assert {"self._ONE", "self._REMOVE", "statement"} <= set(found)
        assert "self._NOT_DELIVERED" in map(ast.unparse, sent(sources()["outbox.queue"], "rows"))


def test_a_statement_of_one_method_stands_beside_it() -> None:
    """Not at the top of the module, where a reader of the method has to look for it."""
    constants = {name for name, _ in statements()}
    found = [
        f"{source.name}.{name}"
        for source in sources().values()
        for name, methods in _methods_using_constants(source)
        if name.startswith("_") and len(methods) == 1 and methods != [None] and f"{source.name}.{name}" in constants
    ]
    assert found == []


def _methods_using_constants(source: Source) -> Iterator[tuple[str, list[str | None]]]:
    """The constants of the module, each with the method of a class around each use; None for a use outside of methods."""
    uses: dict[str, list[str | None]] = {}
    for node in source.tree.body:
        methods = [inner for inner in node.body if _has_self(inner)] if isinstance(node, ast.ClassDef) else []
        in_methods = {id(inner): method.name for method in methods for inner in ast.walk(method)}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                uses.setdefault(inner.id, []).append(in_methods.get(id(inner)))
    yield from uses.items()


def _has_self(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef) and [argument.arg for argument in node.args.args[:1]] == ["self"]
