"""`clinic-service mock`: every operation of a spec answers, before there is a handler or a database."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clinic_service.cli.child import in_child
from clinic_service.cli.common import load_config
from clinic_service.cli.listening import address_of, bound_socket, say
from clinic_service.config import Config
from clinic_service.mock.document import files_in, folders_of, load_documents
from clinic_service.packaged import edited_spec_folder
from clinic_service.specification.source import SpecError

if TYPE_CHECKING:
    from clinic_service.mock.app import Choices
    from clinic_service.server.parts import Parts


@click.command()
@click.option("--port", type=int, help="Port to listen on.  [CLINIC_PORT]")
@click.option("--host", help="Address to listen on.  [CLINIC_HOST]")
@click.option(
    "--spec",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An OpenAPI 3.0 file to serve instead of the two APIs in spec/.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the generated values.")
@click.option("--auth", is_flag=True, help="Check tokens and those access rules that need no database.")
@click.option("--reload", is_flag=True, help="Apply edits of the spec's YAML when they are saved.")
def mock(port: int | None, host: str | None, spec: Path | None, seed: int, *, auth: bool, reload: bool) -> None:
    """Answer every operation of a spec from its examples, without handlers and without a database.

    Serves the spec/ of the checkout in the current folder, or else the spec of the server. Parameters and bodies are
    validated as by `serve`. The answer is the first example of the success, or is generated from the schema when there is
    no example. An operation without a success answers with its lowest status. The header Prefer chooses another answer:

    \b
      Prefer: code=404          the answer that is declared for this status
      Prefer: example=NAME      the example of this name
      Prefer: dynamic=true      an answer generated from the schema

    The header Preference-Applied names the preferences that were applied. The same request and the same --seed give the
    same values.

    Without --auth every token is accepted, but a token must be sent where the spec requires it. With --auth the token must
    be valid for this server, partners need their secrets, and the rules service, person, self and service-if-custodian
    are checked. The rules member, admin, custodian, delegate and invite-creator depend on stored data, so here they admit
    every caller.
    """
    # As in `serve`: objects made during the start stay in use.
    gc.disable()
    chosen = load_config(port=port, host=host)
    # The mock has no data to protect, so every web page may call it.
    wanted = replace(chosen, workers=1, allowed_origins=chosen.allowed_origins or "*")
    source = spec.resolve() if spec else edited_spec_folder()
    listener, config = bound_socket(wanted)
    load = (lambda: None) if reload else in_child(partial(load_documents, source))

    from clinic_service.mock.app import Choices
    from clinic_service.server.process import run_process

    with listener:
        parts = _parts(config, source, load, Choices(seed, auth), reload=reload)
        gc.collect()
        gc.freeze()
        run_process(parts, listener, started=lambda: say(_introduction(config, source)))


def _parts(config: Config, source: Path, load: Callable[[], Any], choices: Choices, *, reload: bool) -> Parts:
    from clinic_service.api.log import RequestLog
    from clinic_service.log_lines import LogLines
    from clinic_service.metrics.counters import count_lost_lines
    from clinic_service.mock.app import create_mock
    from clinic_service.reloading import ReloadingApp, spec_check
    from clinic_service.server.gate import Application
    from clinic_service.server.parts import Parts

    lines = LogLines(count_lost_lines)
    try:
        if reload:
            edited = _EditedSpec(config, choices, source, lines.write)
            is_file = source.is_file()
            check = spec_check(*(("--only-document", "--spec") if is_file else ("--folder",)), str(source))
            files = edited.files if is_file else None
            app: Application = ReloadingApp(source, edited.build, files=files, check=check)
        else:
            app = create_mock(config, load(), choices, log=RequestLog(write=lines.write), tell=_tell)
    except SpecError as error:
        raise click.ClickException(f"The spec cannot be served: {error}") from None
    return Parts(config, app, lines)


class _EditedSpec:
    """The spec that `--reload` watches, built by the code as it is imported at that moment."""

    def __init__(self, config: Config, choices: Choices, source: Path, write: Callable[[str], None]) -> None:
        self._config, self._choices, self._write = config, choices, write
        self._folders = frozenset({source.parent})

    def build(self, source: Path) -> Any:
        """The application for the documents as they are now."""
        apis = importlib.import_module("clinic_service.mock.document").load_documents(source)
        self._folders |= folders_of(apis)
        log = importlib.import_module("clinic_service.api.log").RequestLog(write=self._write)
        create = importlib.import_module("clinic_service.mock.app").create_mock
        return create(self._config, apis, self._choices, log=log, tell=_tell)

    def files(self) -> Iterable[Path]:
        """The files that are watched for edits."""
        return files_in(self._folders)


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _introduction(config: Config, source: Path) -> str:
    address = address_of(config)
    if source.is_dir():
        return f"clinic-service mock on {address}   API reference: {address}/docs\nThe spec is {source}"
    return (
        f"clinic-service mock on {address}   the document: {address}/openapi/{source.stem}.json\nThe spec is {source}"
    )
