"""Every error of a command: a sentence on standard error, and exit 2.

Advice of the package names Python functions; here it names commands (:func:`as_commands`).
"""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from ..printing import printable

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.exc import DBAPIError

TRACEBACK = "MO_PITR_TRACEBACK"
"""The environment variable that has an error's traceback printed too."""

PACKAGE: Final = __package__.partition(".")[0]


class CliError(click.ClickException):
    """Something went wrong: exit 2, as for wrong usage."""

    exit_code = 2


@contextlib.contextmanager
def needs(*extras: str) -> Iterator[None]:
    """Name the extras of a command where one of their packages is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith(PACKAGE):
            raise
        raise CliError(
            f"{missing.name} is not installed: "
            f"pip install 'sqlalchemy-matrixone-pitr[{','.join(extras)}]'"
        ) from missing


@contextlib.contextmanager
def short_errors(url: str | None = None) -> Iterator[None]:
    """Any error is a message and exit 2; Python's own way, exit 1, would mean drift.

    :param url: whose password is not printed, and whose host messages name.
    """
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK):
            whole = "".join(traceback.format_exception(error))
            click.echo(without_password(whole, url), err=True, nl=False)
        raise CliError(without_password(_sentence(error, url), url)) from error


def _sentence(error: Exception, url: str | None) -> str:
    """The message of an error, its notes, and, where nobody expected it, how to see more."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    text = str(error)
    if isinstance(error, DBAPIError):
        text = of_driver(error, url)
    elif not isinstance(error, SQLAlchemyError):
        text = f"{type(error).__name__}: {text}"
        if not os.environ.get(TRACEBACK):
            text += f" ({TRACEBACK}=1 shows where)"
    return printable("\n".join((as_commands(text), *notes(error))))


def of_driver(error: DBAPIError, url: str | None) -> str:
    """A driver's error: the server's own words, or which server is not reached."""
    from ..errors import driver_code_and_text

    code, text = driver_code_and_text(error.orig)
    text = text.strip()
    if code is not None and code >= 2000 and code < 3000:
        return _not_reached(code, text, error.orig, url)
    if error.statement is None and code is None:
        return f"what answers at {address(url)} is no MySQL or MatrixOne server: {text}"
    if error.statement is None:
        return f"the server at {address(url)} refused the connection: ({code}) {text}"
    if error.connection_invalidated:
        return f"the connection to {address(url)} was lost: {text}\n[SQL: {error.statement}]"
    told = text if code is None else f"({code}) {text}"
    return f"{told}\n[SQL: {error.statement}]"


def _not_reached(code: int, text: str, orig: BaseException | None, url: str | None) -> str:
    if code not in (2002, 2003, 2005):
        return f"the connection to {address(url)} was lost: {text}"
    number = re.search(r"\[Errno (\d+)\]", text)
    cause = orig
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if number is not None:
        why = os.strerror(int(number[1]))
    elif isinstance(cause, OSError) and cause.errno is not None:
        why = os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    else:
        known = re.search(r"\[Errno -\d+\] ([^)\"']+)", text)
        why = known[1].strip() if known is not None else text
    return f"cannot connect to {address(url)}: {why}"


def address(url: str | URL | None) -> str:
    """Host and port of a URL, for people."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if isinstance(url, str):
        try:
            url = make_url(url)
        except (ArgumentError, ValueError):
            return "the server"
    if url is None:
        return "the server"
    socket = url.query.get("unix_socket")
    if socket:
        return str(socket)
    host = url.host or "localhost"
    return f"{f'[{host}]' if ':' in host else host}:{url.port or 3306}"


def notes(error: BaseException | None) -> list[str]:
    """The notes that were added to an exception on its way."""
    return [as_commands(note) for note in getattr(error, "__notes__", ())]


def without_password(text: str, url: str | None) -> str:
    """A text without the password of a URL, however it is written there."""
    before, at, _ = (url or "").rpartition("@")
    _, colon, password = before.rpartition("://")[2].partition(":")
    if not (at and colon and password):
        return text
    return text.replace(f":{password}@", ":***@")


# ------------------------------------------------------------------------------------------- advice

_RENEWAL: Final = re.compile(
    r"(?:call )?renew_pitr\((?:engine|bind|connection), "
    r"(?P<quote>['\"]?)(?P<name>.*?)(?P=quote)(?P<drop>, keep_history=False)?\)"
)

_COMMANDS: Final = tuple(
    (re.compile(pattern), command)
    for pattern, command in (
        (r"renew_pitr(?:_async)?(?:\([^)]*\))?", "`mo-pitr renew`"),
        (r"plan_pitrs(?:_async)?(?:\([^)]*\))?", "`mo-pitr plan`"),
        (r"apply_plan(?:_async)?\(allow_destructive=True\)", "`mo-pitr apply --allow-destructive`"),
        (r"apply_plan(?:_async)?(?:\([^)]*\))?", "`mo-pitr apply`"),
        (r"prune_history(?:_async)?(?:\([^)]*\))?", "`mo-pitr prune`"),
        (r"get_pitrs(?:_async)?(?:\([^)]*\))?", "`mo-pitr show`"),
        (r"\blist\(\) shows them", "`mo-pitr show` lists them"),
        (r"(?:pass )?(?:\bwith )?\ballow_destructive=True", "--allow-destructive"),
        (r"\bkeep_history=False", "--drop-history"),
        (
            r"\ballow_unprotected=True, or the execution option matrixone_allow_unprotected, reads",
            "--allow-unprotected reads",
        ),
        (r"\ballow_unprotected=True", "--allow-unprotected"),
        (r"\bon_conflict='(\w+)'", r"--on-conflict \1"),
        (r"\bdiff_rows\(\)", "`mo-pitr diff`"),
        (r"\bdropped_objects\(\)", "`mo-pitr dropped`"),
        (r"\bundrop\(\)", "`mo-pitr undrop`"),
        (r"\bundo_changes\(\)", "`mo-pitr undo`"),
        (r"\bundo_restore\(engine, (\d+)\)", r"`mo-pitr restore --undo \1`"),
        (r"\brestore_records\(\)", "`mo-pitr restores`"),
        (r"\bholds\(\)", "`mo-pitr holds`"),
        (r"\bby_restore=False", "--by-copies"),
        (r"\bsafety_copy=False", "--no-safety-copy"),
        (r"\brelease\(engine, (\d+)\)", r"`mo-pitr release \1`"),
        (r"\bforce=True", "--force"),
        (r"\brestore_copy\(\)", "`mo-pitr copy`"),
        (r" with into='database\.table'", ", as database.table"),
        (r" with into=(?=\s|\Z)", ""),
        (r"\Awhere (?=names|compares|takes|is on)", "--where "),
        (
            r"narrow since and until, or give a longer resolution or max_reads",
            "narrow --since and --until, or give a longer --resolution, or --latest",
        ),
        (r"\bdrop_undeclared=True", "--drop-undeclared"),
        (r"\bkeep_going=True", "--keep-going"),
        (r"\btimeout=(\d+(?:\.\d+)?)", r"--timeout \1"),
        (
            r"(?:with )?the execution option matrixone_version='([\d.]+)'",
            r"with --server-version \1",
        ),
        (r"execution option matrixone_version=", "--server-version "),
    )
)


def as_commands(text: str) -> str:
    """A message of the package with commands and options where it names functions and arguments.

    >>> as_commands("names belong to the account that made them: list them with get_pitrs()")
    'names belong to the account that made them: list them with `mo-pitr show`'
    """
    text = re.sub(r"\s*\(Background on this error at: [^)\s]*\)", "", text)
    text = _RENEWAL.sub(_renewal, text)
    for pattern, command in _COMMANDS:
        text = pattern.sub(command, text)
    return text.replace("with with ", "with ")


def _renewal(call: re.Match[str]) -> str:
    from ..names import renew_command

    return f"`{renew_command(call['name'], drop_history=call['drop'] is not None)}`"
