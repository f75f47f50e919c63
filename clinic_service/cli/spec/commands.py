"""The subcommands of `clinic-service spec`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from clinic_service.cli.common import counted
from clinic_service.cli.tables import table
from clinic_service.packaged import edited_spec_folder
from clinic_service.specification.apis import API_NAMES, Api, load_apis
from clinic_service.specification.formats import FORMATS
from clinic_service.specification.published import published
from clinic_service.specification.source import SpecError

if TYPE_CHECKING:
    from clinic_service.cli.spec.diff.report import ReportLine

# The folder of the announced version, within that of the spec.
ANNOUNCED = "announced"
# The APIs by the short names that the commands take.
_APIS = {name.removesuffix(".v1"): name for name in API_NAMES}


@click.group()
def spec() -> None:
    """Check, compare, bundle and list the spec."""


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
    help="Check only what `clinic-service mock` needs of any OpenAPI document, without the rules of this project.",
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
        click.echo(counted(len(findings), "finding"), err=True)
        raise SystemExit(1)


@spec.command()
@click.option("--api", type=click.Choice(tuple(_APIS)), required=True, help="Which of the two APIs.")
@click.option(
    "--format", "format_name", type=click.Choice(tuple(FORMATS)), help="Default: by the ending of FILE, else json."
)
@click.option(
    "-o", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write to FILE instead of standard output."
)
@_folder
def bundle(api: str, format_name: str | None, file: Path | None, folder: Path | None) -> None:
    """Print one API as a self-contained document.

    The document is the same that the server offers, in the order of the spec. Bundles of equal specs are equal texts.
    """
    found = next(loaded for loaded in _apis(folder) if loaded.name == _APIS[api])
    text = FORMATS[format_name or _format_of(file)](published(found.document))
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8")


def _format_of(file: Path | None) -> str:
    return "yaml" if file and file.suffix in (".yaml", ".yml") else "json"


@spec.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of a table.")
@_folder
def coverage(as_json: bool, folder: Path | None) -> None:
    """List all operations with handler, access rules, declared refusals and test file, and what is missing.

    An operation without a handler answers 501.
    """
    from clinic_service.cli.spec.coverage import coverage as cover
    from clinic_service.cli.spec.coverage import coverage_table

    where = folder or edited_spec_folder()
    rows = cover(_apis(folder), where.parent)
    if as_json:
        click.echo(orjson.dumps([row.facts() for row in rows], option=orjson.OPT_INDENT_2))
        return
    click.echo(coverage_table(rows))
    click.echo(f"\n{sum(r.implemented for r in rows)} of {len(rows)} operations are implemented.")


@spec.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of lines.")
def diff(old: str | None, new: str | None, *, as_json: bool) -> None:
    """Print every change between two states of the spec, and whether clients may have to change.

    OLD and NEW are files, folders of a spec, or revisions of git. The default of OLD is the announced version in
    spec/announced/, and the default of NEW is the spec/ that you edit. The exit status is 1 if a breaking change is not
    announced: spec/README.md tells how to announce a change.
    """
    edited = edited_spec_folder()
    lines = _compared(old or _shown(edited / ANNOUNCED), new or _shown(edited))
    if as_json:
        click.echo(orjson.dumps([line.facts() for line in lines], option=orjson.OPT_INDENT_2))
    else:
        for line in lines:
            click.echo(line)
    _refuse_unannounced(lines)


@spec.command()
def announce() -> None:
    """Make the spec that you edit the announced version, in spec/announced/, as part of a release.

    The exit status is 1, and nothing is written, if a breaking change is not announced in the changelog.
    """
    edited = edited_spec_folder()
    announced = edited / ANNOUNCED
    if announced.is_dir():
        _refuse_unannounced(_compared(str(announced), str(edited)))
    for api in _apis(edited):
        announced.mkdir(exist_ok=True)
        (announced / f"{api.name}.json").write_text(FORMATS["json"](api.document), encoding="utf-8")
        click.echo(f"{api.name} {api.document['info']['version']} is the announced version.")


def _compared(old: str, new: str) -> list[ReportLine]:
    from clinic_service.cli.spec.diff.documents import NoSuchSpecError, opened
    from clinic_service.cli.spec.diff.report import report

    edited = edited_spec_folder()
    try:
        with opened(old, edited) as before, opened(new, edited) as after:
            return report(before, after)
    except (NoSuchSpecError, SpecError) as error:
        raise click.ClickException(str(error)) from None


def _refuse_unannounced(lines: list[ReportLine]) -> None:
    unannounced = sum(bool(line.unannounced) for line in lines)
    if unannounced:
        verb = "is" if unannounced == 1 else "are"
        what = f"{counted(unannounced, 'breaking change')} {verb} not announced"
        click.echo(f"{what}. spec/README.md tells how to announce a change.", err=True)
        raise SystemExit(1)


def _shown(folder: Path) -> str:
    """`folder` as one would type it."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


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
    from clinic_service.api.operations import match_handlers
    from clinic_service.cli.spec.stub import stub as make_stub

    apis = _apis(folder)
    described = {found.operation_id: (api, found) for api in apis for found in api.operations}
    if operation not in described:
        raise click.ClickException(
            f"The spec has no operation {operation}. `clinic-service spec coverage` lists them all."
        )
    if operation in match_handlers(o for _, o in described.values())[0]:
        raise click.ClickException(f"{operation} already has a handler, so it needs no skeletons.")
    click.echo(make_stub(*described[operation]))


def _apis(folder: Path | None) -> list[Api]:
    try:
        return load_apis(folder or edited_spec_folder())
    except SpecError as error:
        raise click.ClickException(str(error)) from None
