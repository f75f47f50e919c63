"""The socket, the address and the printed text of the commands that serve."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import click

from clinic_service.config import Config


def bound_socket(config: Config) -> tuple[socket.socket, Config]:
    """The socket to listen on, and `config` with the port of that socket. For the port 0, the system chooses a free port.

    Ends the command when another program uses the port, or when the address does not belong to this machine.
    """
    listener = _bound(config.host, config.port)
    return listener, replace(config, port=listener.getsockname()[1])


@contextmanager
def metrics_socket(config: Config) -> Iterator[socket.socket | None]:
    """The socket for metrics, which is closed after the block; None when they have no port of their own.

    Ends the command as `bound_socket` does.
    """
    if not config.metrics_port:
        yield None
        return
    with _bound(config.metrics_host, config.metrics_port) as listener:
        yield listener


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.ClickException(f"Cannot listen on {host}:{port}: {reason}.") from None
    return listener


def address_of(config: Config) -> str:
    """The URL of the server for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    bracketed = f"[{host}]" if ":" in host else host
    return f"http://{bracketed}:{config.port}{config.path_prefix or ''}"


def say(text: str) -> None:
    """Print `text` for the operator."""
    # Standard output may be closed (`serve >&-`). The server runs all the same.
    with suppress(OSError):
        click.echo(text)
