"""The subcommands of `clinic-service spec`."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from clinic_service.cli.tables import table
from clinic_service.packaged import edited_spec_folder
from clinic_service.specification.apis import API_NAMES, Api, load_apis
from clinic_service.specification.source import SpecError


@click.group()
def spec() -> None:
    """Check, bundle and list the spec."""


_folder = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the spec. Default: spec/ of the checkout that you are in, else the spec that came with the server.",
)


@spec.command()
@_folder
@click.option(
    "--spec",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --only-document: an OpenAPI 3.0 file to check instead.",
)
@click.option(
    "--only-document",
    is_flag=True,
    help="Check what any OpenAPI document must fulfil for `clinic-service mock`: no handlers, no rules of this project.",
)
def check(folder: Path | None, file: Path | None, *, only_document: bool) -> None:
    """Print every fault of the spec with its file and line.

    The exit status is 1 if there is one.
    """
    from clinic_service.cli.spec.check import check as check_spec
    from clinic_service.cli.spec.check import check_document

    if file and not only_document:
        raise click.UsageError("--spec needs --only-document: all the other rules are for a whole spec/ folder.")
    where = folder or edited_spec_folder()
    click.echo(f"Checking {file or where}", err=True)
    if only_document:
        files = [file.resolve()] if file else [where / f"{name}.yaml" for name in API_NAMES]
        findings = [finding for one in files for finding in check_document(one)]
    else:
        tests = where.parent / "tests"
        findings = check_spec(where, tests if tests.is_dir() else None)
    for finding in findings:
        click.echo(finding)
    if findings:
        click.echo(f"{len(findings)} findings", err=True)
        raise SystemExit(1)


@spec.command()
@click.argument("api", type=click.Choice(API_NAMES))
@_folder
def bundle(api: str, folder: Path | None) -> None:
    """Print one API as a self-contained JSON document."""
    found = next(loaded for loaded in _apis(folder) if loaded.name == api)
    click.echo(orjson.dumps(found.document, option=orjson.OPT_INDENT_2))


@spec.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of a table.")
@_folder
def coverage(as_json: bool, folder: Path | None) -> None:
    """List all operations and whether they are implemented.

    An operation that is not implemented answers 501.
    """
    from clinic_service.cli.spec.coverage import coverage as cover

    rows = cover(_apis(folder))
    if as_json:
        facts = [{"api": r.api, "operationId": r.operation_id, "implemented": r.implemented} for r in rows]
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    words = {True: "yes", False: "no (501)"}
    lines = [(r.api, r.operation_id, r.method, r.path, words[r.implemented]) for r in rows]
    click.echo(table(("API", "OPERATION", "METHOD", "PATH", "IMPLEMENTED"), lines))
    click.echo(f"\n{sum(r.implemented for r in rows)} of {len(rows)} operations are implemented.")


@spec.command()
@_folder
def access(folder: Path | None) -> None:
    """List all operations and the access rules for their callers."""
    from clinic_service.cli.spec.access import access as list_access

    click.echo(table(("OPERATION", "METHOD", "PATH", "WHO"), list_access(_apis(folder))))


@spec.command()
@click.argument("operation")
@_folder
def stub(operation: str, folder: Path | None) -> None:
    """Print code skeletons for OPERATION.

    These are the handler, the tests and the schemas that the operation needs.
    """
    from clinic_service.cli.spec.coverage import coverage as cover
    from clinic_service.cli.spec.stub import stub as make_stub

    apis = _apis(folder)
    described = {found.operation_id: (api, found) for api in apis for found in api.operations}
    if operation not in described:
        raise click.ClickException(
            f"The spec has no operation {operation}. `clinic-service spec coverage` lists them all."
        )
    if any(row.implemented for row in cover(apis) if row.operation_id == operation):
        raise click.ClickException(f"{operation} already has a handler, so it needs no skeletons.")
    click.echo(make_stub(*described[operation]))


def _apis(folder: Path | None) -> list[Api]:
    try:
        return load_apis(folder or edited_spec_folder())
    except SpecError as error:
        raise click.ClickException(str(error)) from None
