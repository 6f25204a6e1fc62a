"""What the commands of ``mo-pitr`` share: the server's URL, the user's metadata, the output.

Colour and progress bars are for terminals, and not with ``NO_COLOR``. No password is printed.
"""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.engine import Dialect, Engine

    from .apply import ApplyReport
    from .declarations import Schemas
    from .plan import Plan

_R = TypeVar("_R")

TRACEBACK = "MO_PITR_TRACEBACK"
"""The environment variable that has an error's traceback printed too."""

WAITING = "Waiting for what is on its way; Ctrl-C again leaves at once.\n"


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
    """Any error is a message and exit 2; Python's own way, exit 1, would mean drift.

    :param url: whose password is not printed.
    """
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK):
            whole = "".join(traceback.format_exception(error))
            click.echo(without_password(whole, url), err=True, nl=False)
        raise CliError(without_password(_sentence(error), url)) from error


def _sentence(error: Exception) -> str:
    """What an error says, its notes, and, where nobody expected it, how to see more."""
    from sqlalchemy.exc import SQLAlchemyError

    text = str(error)
    if not isinstance(error, SQLAlchemyError):
        text = f"{type(error).__name__}: {text}"
        if not os.environ.get(TRACEBACK):
            text += f" ({TRACEBACK}=1 shows where)"
    return printable("\n".join((text, *notes(error))))


def notes(error: BaseException | None) -> list[str]:
    """What was added to an exception on its way."""
    return list(getattr(error, "__notes__", ()))


def without_password(text: str, url: str | None) -> str:
    """A text without the password of a URL, however it is written there."""
    before, at, _ = (url or "").rpartition("@")
    _, colon, password = before.rpartition("://")[2].partition(":")
    if not (at and colon and password):
        return text
    return text.replace(f":{password}@", ":***@")


# --------------------------------------------------------------------------------------- the server


def server_url(url: str | None, config: str | None, section: str | None = None) -> str:
    """The URL of the server: what is named comes before the environment."""
    if url is not None and config is not None:
        raise click.UsageError("give --url or -c, not both: each names a server")
    if section is not None and config is None:
        raise click.UsageError("-n names a section of a file: give the file with -c")
    if config is not None:
        return _url_of(config, section or "alembic")
    found = os.environ.get("MATRIXONE_URL") if url is None else url
    if found is None or (url is None and not found):
        raise click.UsageError(
            "which server? Give --url, or MATRIXONE_URL, or -c alembic.ini "
            "(matrixone+pymysql://user:password@host:6001/database)"
        )
    return found


def on_engine(url: str, work: Callable[[Engine], _R]) -> _R:
    """Do something with an engine of a server, and dispose of it.

    An asyncio driver is taken too: the work runs in SQLAlchemy's greenlet.
    """
    with short_errors(url):
        made = _parsed(url)
        from sqlalchemy import create_engine

        try:
            if made.get_dialect().is_async:
                return asyncio.run(_on_async_engine(made, work))
            with _options_that_fit():
                engine = create_engine(made)
        except ModuleNotFoundError as missing:
            raise CliError(
                f"the driver of {made.drivername!r} needs {missing.name}: "
                "pip install 'sqlalchemy-matrixone-pitr[pymysql]', and use a "
                "matrixone+pymysql:// URL"
            ) from missing
        except KeyboardInterrupt as interrupt:
            for note in notes(interrupt.__context__):  # the cancelled task's
                interrupt.add_note(note)
            raise
        _connect_or_say(engine)
        try:
            return work(engine)
        finally:
            engine.dispose()


async def _on_async_engine(url: URL, work: Callable[[Engine], _R]) -> _R:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.util import greenlet_spawn

    with _options_that_fit():
        engine = create_async_engine(url)
    _connect_or_say(engine.sync_engine)
    try:
        return await greenlet_spawn(work, engine.sync_engine)
    finally:
        await engine.dispose()


def _connect_or_say(engine: Engine) -> None:
    """What the driver raises when it connects, and is no error of the server, is the URL's."""
    from sqlalchemy import event

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, record: object, arguments: Any, options: Any) -> Any:
        with _options_that_fit(dialect.loaded_dbapi.Error):
            return dialect.connect(*arguments, **options)


@contextlib.contextmanager
def _options_that_fit(*answers: type[Exception]) -> Iterator[None]:
    """The driver's complaints of a URL's host and options are a message.

    :param answers: errors that are the server's, or the network's.
    """
    from sqlalchemy.exc import SQLAlchemyError

    others: tuple[type[Exception], ...] = (SQLAlchemyError, ModuleNotFoundError, *answers)
    try:
        yield
    except others:
        raise
    except Exception as error:
        raise CliError(
            f"the driver cannot use the URL, its host or an option: {type(error).__name__}: {error}"
        ) from error


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


def _url_of(config: str, section: str) -> str:
    """``sqlalchemy.url`` of a section of an alembic.ini."""
    parser = configparser.ConfigParser({"here": str(Path(config).resolve().parent)})
    try:
        parser.read(config, "utf-8-sig")
        found = parser.get(section, "sqlalchemy.url", fallback=None)
    except UnicodeDecodeError:
        raise CliError(f"{config} is not UTF-8") from None
    except configparser.InterpolationError:
        raise CliError(
            f"{config} has a % in sqlalchemy.url that begins no %(name)s of a value there: write a "
            "% as %%"
        ) from None
    except configparser.Error:
        raise CliError(f"{config} is not an alembic.ini that can be read") from None
    if not found:
        raise CliError(
            f"{config} has no sqlalchemy.url in its section [{section}]: name another section with "
            "-n, or give --url"
        )
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
    with _shown_as_they_are(module_name):
        found = _import(module_name)
        for part in path.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise CliError(f"{module_name} has no {path}") from None
    from .declarations import metadatas
    from .errors import PitrValidationError

    try:
        metadatas(found)
    except PitrValidationError as error:
        raise CliError(f"{argument}: {error}") from None
    schemas: Schemas = found
    return schemas


def _import(name: str) -> Any:
    if name.endswith(".py") or os.sep in name:
        return _import_file(Path(name))
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if name == missing.name or name.startswith(f"{missing.name}."):
            raise CliError(f"there is no module {missing.name} (looked for {name})") from None
        raise


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


@contextlib.contextmanager
def _shown_as_they_are(module: str) -> Iterator[None]:
    """Errors of the user's module, its own exit too: their traceback, from where it begins."""
    try:
        yield
    except (CliError, KeyboardInterrupt):
        raise
    except BaseException as error:
        frames = error.__traceback__
        while frames is not None and (
            frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
            or frames.tb_frame.f_code.co_filename in (__file__, importlib.__file__)
        ):
            frames = frames.tb_next
        theirs = "".join(traceback.format_exception(type(error), error, frames))
        click.echo(theirs, err=True, nl=False)
        raise CliError(f"{module} could not be imported") from None


# ------------------------------------------------------------------------------------------- output


def printable(text: str) -> str:
    """A text from the server without what a terminal would obey."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class Console:
    """Lines, tables and bars; plain where the stream is no terminal.

    Standard output is the process's own, whatever ``sys.stdout`` is while others' code runs.
    """

    _COLOURS: Mapping[str, str] = {
        "+": "green",
        "~": "yellow",
        "*": "cyan",
        "-": "red",
        "!": "magenta",
    }

    def __init__(self, *, error: bool = False) -> None:
        self._error = error
        self._stream = sys.stderr if error else sys.__stdout__
        self._terminal = self._stream is not None and self._stream.isatty()
        self._colour = self._terminal and not os.environ.get("NO_COLOR")

    def line(self, text: str, colour: str | None = None) -> None:
        text = printable(text)
        if colour is not None and self._colour:
            text = click.style(text, fg=colour)
        self._write(text)

    def json(self, value: object) -> None:
        self._write(json.dumps(value, indent=2, ensure_ascii=False))

    def script(self, statements: Iterable[object], comments: Iterable[object] = ()) -> None:
        """SQL statements, a line each, and before them what is not one."""
        lines = [f"-- {' '.join(str(comment).splitlines())}" for comment in comments]
        lines += [f"{statement};" for statement in statements]
        if lines:
            text = "\n".join(lines)
            self._write(printable(text) if self._terminal else text)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            click.echo(text, self._stream, color=self._colour)
        except BrokenPipeError:
            raise click.exceptions.Exit(2) from None  # nobody reads it
        except OSError as error:
            which = "error" if self._error else "output"
            raise CliError(f"standard {which}: {error.strerror}") from error

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
        with needs("cli"):
            from rich.console import Console as RichConsole
            from rich.table import Table
            from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for head in heads:
            table.add_column(head, overflow="fold")
        for cells in rows:
            table.add_row(*(Text(printable(cell), style=styles.get(cell, "")) for cell in cells))
        RichConsole(file=self._stream, no_color=not self._colour, highlight=False).print(table)

    @contextlib.contextmanager
    def progress(self, total: int, many: int) -> Iterator[Callable[[], None]]:
        """A bar for many steps, on a terminal with colour."""
        if total < many or not self._colour:
            yield lambda: None
            return
        with needs("cli"):
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        with Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=RichConsole(file=self._stream),
            transient=True,
        ) as bar:
            task = bar.add_task("apply", total=total)
            yield lambda: bar.advance(task)


# -------------------------------------------------------------------------------------- interrupted


@contextlib.contextmanager
def waiting_is_said() -> Iterator[None]:
    """Say at the first Ctrl-C that it is heard; what it does stays as it was."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, as of a job in the background
        yield
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        if sys.stderr is not None:
            with contextlib.suppress(OSError):  # unbuffered: it may come in the middle of a line
                os.write(sys.stderr.fileno(), b"\n" + WAITING.encode())
        before(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def flushed() -> bool:
    """Whether all output is out. What is not is given up, or Python would try, and say so."""
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            done = False
    return done
