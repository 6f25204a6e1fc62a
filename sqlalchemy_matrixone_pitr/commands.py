"""The commands of ``mo-pitr``: what each takes and prints. What it does is in the package.

A command imports what it needs when it runs, so that ``mo-pitr --help`` needs click alone and is
quick.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

import click


@click.group()
@click.version_option(package_name="sqlalchemy-matrixone-pitr")
def mo_pitr() -> None:
    """MatrixOne point-in-time recovery (PITR) for SQLAlchemy."""


class MissingExtra(click.ClickException):
    """A command needs a package that is not installed: exit 2, as for wrong usage."""

    exit_code = 2


@contextlib.contextmanager
def needs(*extras: str) -> Iterator[None]:
    """Name the extras of a command where one of their packages is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith(__package__):
            raise
        raise MissingExtra(
            f"{missing.name} is not installed: "
            f"pip install 'sqlalchemy-matrixone-pitr[{','.join(extras)}]'"
        ) from missing


@contextlib.contextmanager
def short_errors() -> Iterator[None]:
    """What SQLAlchemy and this package refuse is a message, not a traceback: exit 1."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise click.ClickException(str(error)) from error


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr serve --port 6001 --version 3.0.9
    """
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option("--version", default="4.2.0", show_default=True, help="MatrixOne version to be.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Zone of the server process, such as Europe/Berlin.",
)
@click.option("--log", is_flag=True, help="Print each statement on standard error.")
def serve(port: int, version: str, timezone: str, log: bool) -> None:
    """Run the embedded MatrixOne until Ctrl-C.

    Prints its URL. It listens on this machine only, and keeps nothing: when it stops, its data is
    gone.
    """
    with needs("cli", "emulator"):
        from .emulator import Emulator
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        emulator = Emulator(version, port, timezone=timezone, log=sys.stderr if log else None)
    except (ValueError, KeyError) as error:  # KeyError: no such zone
        raise click.UsageError(str(error)) from error
    try:
        emulator.start()
    except OSError as error:
        raise click.UsageError(f"port {port}: {error.strerror}") from error
    try:
        click.echo(f"MatrixOne emulator {version}, Ctrl-C stops it.")
        click.echo(f"  SQLAlchemy  {emulator.url()}")
        click.echo(f"  mysql       mysql -h {emulator.host} -P {emulator.port} -u dump -p111")
        while not stopped.wait(0.2):
            pass
    finally:
        emulator.stop()
    click.echo("Stopped.")


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr demo
    """
)
@click.option(
    "--url",
    metavar="URL",
    help="A real server instead, such as matrixone+pymysql://dump:111@127.0.0.1:6001/; the demo "
    "makes a database demo_shop there and drops it.",
)
def demo(url: str | None) -> None:
    """Show the package at work in nine steps.

    Needs no server: it runs against the embedded MatrixOne, over the wire.
    """
    with needs("cli", "emulator", "pymysql", "aiomysql"), short_errors():
        from .demo import main

        main(url)
