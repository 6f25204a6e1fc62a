"""What the commands of ``mo-pitr`` share: the server's URL, the user's metadata, the output.

Colour and progress bars are for terminals, and not with ``NO_COLOR``. No password is printed.
"""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.engine import Engine

    from .apply import ApplyReport
    from .plan import Plan
    from .schema import Schemas

_R = TypeVar("_R")


class CliError(click.ClickException):
    """Something went wrong: exit 2, as for wrong usage."""

    exit_code = 2


# ------------------------------------------------------------------------------------------- errors


@contextlib.contextmanager
def needs(*extras: str) -> Iterator[None]:
    """Name the extras of a command where one of their packages is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith(__package__):
            raise
        raise CliError(
            f"{missing.name} is not installed: "
            f"pip install 'sqlalchemy-matrixone-pitr[{','.join(extras)}]'"
        ) from missing


@contextlib.contextmanager
def short_errors(url: str | None = None) -> Iterator[None]:
    """What SQLAlchemy and this package refuse is a message, not a traceback."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise CliError(without_password(str(error), url)) from error


def without_password(text: str, url: str | None) -> str:
    """A text without the password of a URL, however it is written there."""
    before, at, _ = (url or "").rpartition("@")
    _, colon, password = before.rpartition("://")[2].partition(":")
    if not (at and colon and password):
        return text
    return text.replace(f":{password}@", ":***@")


# --------------------------------------------------------------------------------------- the server


def on_engine(url: str | None, config: str | None, work: Callable[[Engine], _R]) -> _R:
    """Do something with an engine of the server that was named, and dispose of it.

    An asyncio driver is taken too: the work runs in SQLAlchemy's greenlet.
    """
    if url is None and config is not None:
        url = _url_of(config)
    if url is None:
        raise click.UsageError(
            "which server? Give --url, or MATRIXONE_URL, or -c alembic.ini "
            "(matrixone+pymysql://user:password@host:6001/database)"
        )
    with short_errors(url):
        made = _parsed(url)
        from sqlalchemy import create_engine

        try:
            if made.get_dialect().is_async:
                return asyncio.run(_on_async_engine(made, work))
            engine = create_engine(made)
        except ModuleNotFoundError as missing:
            raise CliError(
                f"the driver of {made.drivername!r} needs {missing.name}: "
                "pip install 'sqlalchemy-matrixone-pitr[pymysql]', and use a "
                "matrixone+pymysql:// URL"
            ) from missing
        try:
            return work(engine)
        except TypeError as error:  # the driver's, of what follows the ? of the URL
            if "unexpected keyword argument" not in str(error):
                raise
            raise CliError(f"the driver does not know an option of the URL: {error}") from None
        finally:
            engine.dispose()


async def _on_async_engine(url: URL, work: Callable[[Engine], _R]) -> _R:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.util import greenlet_spawn

    engine = create_async_engine(url)
    try:
        return await greenlet_spawn(work, engine.sync_engine)
    finally:
        await engine.dispose()


def _parsed(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        made = make_url(url)
    except (ArgumentError, ValueError):
        # SQLAlchemy's own message may quote the URL, password and all
        raise CliError(
            "the URL is not understood: write it as "
            "matrixone+pymysql://user:password@host:6001/database"
        ) from None
    if "@" in (made.host or ""):
        # what follows the first one is taken for the host, and would be printed
        raise CliError("the URL has more than one @: write one in a user or password as %40")
    return made


def _url_of(config: str) -> str:
    """``sqlalchemy.url`` of an alembic.ini."""
    parser = configparser.ConfigParser({"here": str(Path(config).resolve().parent)})
    try:
        parser.read(config, "utf-8")
        found = parser.get("alembic", "sqlalchemy.url", fallback=None)
    except configparser.Error:
        raise CliError(f"{config} is not an alembic.ini that can be read") from None
    if not found:
        raise CliError(f"{config} has no sqlalchemy.url in its section [alembic]: give --url")
    return found


# ------------------------------------------------------------------------------------- the metadata


def load_metadata(argument: str) -> Schemas:
    """The metadata of ``package.module:name`` or ``path/to/file.py:name``.

    ``name`` may have dots, and may be a MetaData, a declarative base, or a list of them. An error
    in the user's module is shown as it is.
    """
    module_name, colon, path = argument.rpartition(":")
    if not colon or not module_name or not path:
        raise click.UsageError(
            f"{argument!r} names no metadata: write MODULE:NAME, such as shop.models:Base or "
            "models.py:metadata"
        )
    module = _import(module_name)
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise CliError(f"{module_name} has no {path}") from None
    from .errors import PitrValidationError
    from .schema import metadatas

    try:
        metadatas(found)
    except PitrValidationError as error:
        raise CliError(f"{argument}: {error}") from None
    schemas: Schemas = found
    return schemas


def _import(name: str) -> Any:
    of_file = name.endswith(".py") or os.sep in name
    try:
        if of_file:
            return _import_file(Path(name))
        sys.path.insert(0, os.getcwd())
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        asked = f"{missing.name}."
        if not of_file and (name == missing.name or name.startswith(asked)):
            raise CliError(f"there is no module {missing.name} (looked for {name})") from None
        _show_theirs(missing)
    except CliError:
        raise
    except Exception as error:
        _show_theirs(error)
    raise CliError(f"{name} could not be imported")


def _import_file(path: Path) -> Any:
    if not path.is_file():
        raise CliError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise CliError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _show_theirs(error: Exception) -> None:
    """The traceback of the user's module, from where it begins."""
    frames = error.__traceback__
    while frames is not None and (
        frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
        or frames.tb_frame.f_code.co_filename in (__file__, importlib.__file__)
    ):
        frames = frames.tb_next
    click.echo("".join(traceback.format_exception(type(error), error, frames)), err=True, nl=False)


# ------------------------------------------------------------------------------------------- output


def printable(text: str) -> str:
    """A text from the server without what a terminal would obey."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class Console:
    """Lines, tables and bars; plain where the stream is no terminal."""

    _COLOURS: Mapping[str, str] = {
        "+": "green",
        "~": "yellow",
        "*": "cyan",
        "-": "red",
        "!": "magenta",
    }

    def __init__(self, *, error: bool = False) -> None:
        self._error = error
        stream = sys.stderr if error else sys.stdout
        self._terminal = stream.isatty()
        self._colour = self._terminal and not os.environ.get("NO_COLOR")

    def line(self, text: str, colour: str | None = None) -> None:
        text = printable(text)
        if colour is not None and self._colour:
            text = click.style(text, fg=colour)
        click.echo(text, err=self._error, color=self._colour)

    def plan(self, plan: Plan) -> None:
        """A plan: what is to be done, what it costs, what is left alone."""
        self.line(f"Plan: {plan.summary()}")
        for conflict in plan.conflicts:
            self.line(f"  {conflict}", self._COLOURS["!"])
        for action in plan.actions:
            self.line(f"  {action}", self._COLOURS[action.sign])
            if action.cost:
                mark = "destructive: " if action.destructive else "note: "
                self.line(f"      {mark}{action.cost}")
        for what, pitrs in (
            ("not declared, left alone", plan.undeclared),
            ("taken for active, this account cannot tell", plan.unknown),
            ("kept for its history", plan.history),
        ):
            for pitr in pitrs:
                self.line(f"  {pitr.name}: {what}")

    def report(self, report: ApplyReport) -> None:
        self.line(str(report), None if report.ok else "red")

    def table(
        self,
        heads: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        styles: Mapping[str, str],
        empty: str,
    ) -> None:
        if not rows:
            self.line(empty)
            return
        if not self._terminal:
            widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
            for cells in (heads, *rows):
                padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
                self.line("  ".join(padded).rstrip())
            return
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for head in heads:
            table.add_column(head, overflow="fold")
        for cells in rows:
            table.add_row(*(Text(printable(cell), style=styles.get(cell, "")) for cell in cells))
        RichConsole(no_color=not self._colour, highlight=False).print(table)

    @contextlib.contextmanager
    def progress(self, total: int, many: int) -> Iterator[Callable[[], None]]:
        """A bar for many steps, on a terminal with colour."""
        if total < many or not self._colour:
            yield lambda: None
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = RichConsole(stderr=self._error)
        with Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            task = bar.add_task("apply", total=total)
            yield lambda: bar.advance(task)
