"""Other services are asked while no transaction is open: handlers and units of work cannot reach a gateway."""

from __future__ import annotations

import ast
import inspect

import pytest

from clinic_service.context import Context
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.openid import OpenId
from clinic_service.gateways.restricted_tokens import RestrictedTokens
from clinic_service.gateways.xealth import XealthApi
from clinic_service.preparation import Preparation, Services
from clinic_service.unit_of_work import UnitOfWork
from tests.architecture.test_imports import sources

GATEWAYS = frozenset(Services.__dataclass_fields__) - {"config"}


KINDS = (Accounts, OpenId, XealthApi, RestrictedTokens)


def members(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind)} | set(getattr(kind, "__dataclass_fields__", {}))


def test_the_gateways_are_known() -> None:
    assert {"accounts", "openid", "xealth", "restricted_tokens"} <= GATEWAYS
    assert {str(f.type) for f in Services.__dataclass_fields__.values()} >= {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", [Context, UnitOfWork])
def test_handlers_and_units_of_work_have_no_gateway(kind: type) -> None:
    assert members(kind) & {*GATEWAYS, "services"} == set()


def test_a_preparation_has_each_of_them() -> None:
    assert members(Preparation) >= GATEWAYS


def test_the_arguments_of_a_transaction_are_no_gateways() -> None:
    """A function that receives a gateway belongs to a preparation, so it must not be a handler."""
    handlers = [source for name, source in sources().items() if name.endswith(".handlers")]
    annotations = {
        ast.unparse(argument.annotation)
        for source in handlers
        for node in source.nodes
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        for argument in node.args.args
        if argument.annotation
    }
    assert "Context" in annotations
    assert annotations & {"Preparation", "Services", *(kind.__name__ for kind in KINDS)} == set()
