"""Options that commands share, and the engine and metadata that they stand for."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import click

from .connect import DEFAULT_TIMEOUT, Where, on_engine, server_url
from .console import warn
from .errors import CliError
from .metadata import load_metadata

NOTHING_SENT = "Nothing was sent."

NOTHING_CHANGED = "Nothing was changed."


class Seconds(click.FloatRange):
    """A time in seconds; 'nan', which is in every range, is none.

    :param least: itself included, unless it is 0.
    :param most: a day; None is without end.
    """

    def __init__(self, least: float = 0, most: float | None = 86400) -> None:
        super().__init__(min=least, min_open=not least, max=most)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def database_names(
    ctx: click.Context, param: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse an empty one, as of a variable that is not set."""
    if not all(name.strip() for name in names):
        raise click.BadParameter("the name is empty", ctx, param)
    return names


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
sql_option = click.option(
    "--sql", "as_sql", is_flag=True, help="Print what is to be done as a script."
)
dry_run = click.option("--dry-run", is_flag=True, help="Only show what would be done.")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
drop_undeclared = click.option(
    "--drop-undeclared",
    is_flag=True,
    help="Also drop policies in the declared databases that nobody declares.",
)
require_policies = click.option(
    "--require-policies",
    is_flag=True,
    help="Fail where the metadata declare no policy at all.",
)
databases = click.option(
    "--database",
    "databases",
    multiple=True,
    callback=database_names,
    metavar="NAME",
    help="Only this database and its tables; may be given several times.",
)
metadata_argument = click.argument("metadata", metavar="MODULE:METADATA")
timeout = click.option(
    "--timeout",
    type=Seconds(),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another program that is changing policies.",
)

_URL = click.option(
    "--url",
    metavar="URL",
    help="The server, such as matrixone+pymysql://user:password@host:6001/shop "
    "[env var: MATRIXONE_URL]",
)
_CONFIG = click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="An alembic.ini, whose sqlalchemy.url is the server, whatever MATRIXONE_URL says.",
)
_SECTION = click.option(
    "-n",
    "--name",
    "section",
    metavar="SECTION",
    help="The section of that file, as alembic's own -n.  [default: alembic]",
)
_CONNECT_TIMEOUT = click.option(
    "--connect-timeout",
    type=Seconds(),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long the server may take to accept a connection and to give its first answers.",
)
_SERVER_VERSION = click.option(
    "--server-version",
    metavar="VERSION",
    help="The MatrixOne version, such as 3.0.9, where the server's operator hides it.",
)


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a server; the command gets the engine, and the metadata it names.

    What others' code prints meanwhile goes to standard error.
    """

    @_URL
    @_CONFIG
    @_SECTION
    @_CONNECT_TIMEOUT
    @_SERVER_VERSION
    @functools.wraps(command)
    def with_engine(
        *args: Any,
        url: str | None,
        config: str | None,
        section: str | None,
        connect_timeout: float,
        server_version: str | None,
        **kwargs: Any,
    ) -> Any:
        if kwargs.get("as_json") and kwargs.get("as_sql"):
            raise click.UsageError("give --json or --sql, not both: each is all that is printed")
        where = Where(server_url(url, config, section), connect_timeout, server_version)
        with contextlib.redirect_stdout(sys.stderr), _warnings_as_lines():
            if kwargs.get("metadata") is not None:
                kwargs["metadata"] = load_metadata(kwargs["metadata"])
            return on_engine(where, lambda engine: command(engine, *args, **kwargs))

    return with_engine


def changes_the_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say of an interrupted command whether it had sent a change."""

    @functools.wraps(command)
    def watched(*args: Any, **kwargs: Any) -> Any:
        sent = _Sent()
        try:
            return command(*args, **kwargs)
        except (KeyboardInterrupt, click.Abort) as interrupt:
            if not sent.anything:
                interrupt.add_note(NOTHING_SENT)
            raise
        finally:
            sent.close()

    return watched


class _Sent:
    """Whether a statement that changes something was sent by any engine of this process.

    SQLAlchemy is imported by the command itself: nothing is sent before.
    """

    _CHANGES = ("CREATE", "ALTER", "DROP", "RESTORE", "INSERT", "UPDATE", "DELETE", "TRUNCATE")

    def __init__(self) -> None:
        from sqlalchemy import Engine, event

        self.anything = False
        event.listen(Engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.lstrip().upper().startswith(self._CHANGES):
            self.anything = True

    def close(self) -> None:
        from sqlalchemy import Engine, event

        event.remove(Engine, "before_cursor_execute", self._note)


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Say of what is interrupted that nothing was changed."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as interrupt:
        interrupt.add_note(NOTHING_CHANGED)
        raise


def confirmed(question: str) -> bool:
    """Ask; on a pipe there is nobody to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise CliError(f"not on a terminal, so nobody can be asked: give --yes. {NOTHING_SENT}")
    return click.confirm(question, err=True)


def typed(question: str, answer: str) -> bool:
    """Ask for a name to be typed; on a pipe there is nobody to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise CliError(f"not on a terminal, so nobody can be asked: give --yes. {NOTHING_SENT}")
    given: str = click.prompt(f"{question} ({answer})", err=True, default="", show_default=False)
    return given.strip() == answer


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Warnings of the package as lines on standard error, in a command's words."""
    from sqlalchemy.exc import SAWarning

    with warnings.catch_warnings():
        ordinary = warnings.showwarning

        def show(message: Any, category: Any, *rest: Any, **kwargs: Any) -> None:
            if issubclass(category, SAWarning):
                warn(str(message))
            else:
                ordinary(message, category, *rest, **kwargs)

        warnings.showwarning = show
        yield
