"""``serve`` and ``demo``: a MatrixOne on this machine, to try things on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from .arguments import database_names
from .connect import DEFAULT_TIMEOUT, Where, on_engine, parsed
from .errors import CliError, needs, short_errors

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..emulator import Emulator

PORT: Final = 6001
"""MatrixOne's own port, which examples name."""


@click.command(
    epilog="""\b
    Example:
      mo-pitr serve --database shop --init schema.sql
    """
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--version",
    default="4.2.0",
    show_default=True,
    help="MatrixOne version to be: 2.2.2, 3.0.9 or 4.2.0.",
)
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Zone of the server process, such as Europe/Berlin.",
)
@click.option(
    "--database",
    "databases",
    multiple=True,
    callback=database_names,
    metavar="NAME",
    help="Create this database; may be given several times. The first one is in the printed URL.",
)
@click.option(
    "--init",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE.sql",
    help="Run a script of statements first, in the first database.",
)
@click.option("--log", is_flag=True, help="Print each statement on standard error.")
def serve(
    port: int, version: str, timezone: str, databases: tuple[str, ...], init: str | None, log: bool
) -> None:
    """Run the embedded MatrixOne until Ctrl-C.

    Prints its URL. It listens on this machine only, and keeps nothing: when it stops, its data is
    gone.
    """
    with needs("cli", "emulator"):
        from ..emulator import Emulator
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        emulator = Emulator(version, port, timezone=timezone, log=sys.stderr if log else None)
    except (ValueError, KeyError) as error:  # KeyError: no such zone
        raise click.UsageError(str(error.args[0])) from error
    try:
        emulator.start()
    except OSError as error:
        raise click.UsageError(
            f"port {port}: {error.strerror}; choose another with --port, 0 takes a free one"
        ) from error
    try:
        _prepare(emulator, databases, init)
        first = databases[0] if databases else None
        client = f"mysql -h {emulator.host} -P {emulator.port} -u dump -p111"
        click.echo(f"MatrixOne emulator {version}, Ctrl-C stops it.")
        click.echo(f"  SQLAlchemy  {emulator.url(database=first)}")
        click.echo(f"  mysql       {client}{f' {first}' if first else ''}")
        while not stopped.wait(0.2):
            pass
    finally:
        emulator.stop()
    click.echo("Stopped.")


def _prepare(emulator: Emulator, databases: Sequence[str], init: str | None) -> None:
    """Databases and a script, before anybody is told the URL."""
    from .script import statements

    try:
        with contextlib.nullcontext() if init is None else open(init, encoding="utf-8-sig") as file:
            script = "" if file is None else file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{init} cannot be read: {error}") from error
    if not databases and init is None:
        return

    def run(engine: Engine) -> None:
        from sqlalchemy.exc import DBAPIError

        from ..names import back_quoted

        with engine.connect().execution_options(
            isolation_level="AUTOCOMMIT", no_parameters=True
        ) as connection:
            for name in databases:
                connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {back_quoted(name)}")
            if databases:
                connection.exec_driver_sql(f"USE {back_quoted(databases[0])}")
            for statement in statements(script):
                try:
                    connection.exec_driver_sql(statement.text)
                except DBAPIError as error:
                    from .errors import of_driver

                    raise CliError(
                        f"{init}, line {statement.line}: {of_driver(error, None)}"
                    ) from error

    with needs("cli", "emulator", "pymysql"):
        import pymysql  # noqa: F401 - whether it is there
    on_engine(Where(emulator.url()), run)


@click.command(
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
    """Show the package at work in eleven steps.

    Needs no server: it runs against the embedded MatrixOne, over the wire.
    """
    with short_errors(url), needs("cli", "emulator", "pymysql", "aiomysql"):
        from .demo import main

        if url is not None:
            given = parsed(url).set(drivername="matrixone+pymysql", database=None)
            url = given.render_as_string(hide_password=False)
            on_engine(Where(url, DEFAULT_TIMEOUT), lambda engine: None)  # is it there?
        main(url)
