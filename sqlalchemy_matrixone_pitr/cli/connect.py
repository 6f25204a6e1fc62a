"""The server that a command talks to, and an engine for it that does not wait for ever."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from .errors import CliError, address, as_commands, notes, of_driver, short_errors, without_password

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.engine import Dialect, Engine
    from sqlalchemy.exc import DBAPIError

_R = TypeVar("_R")

_TIMED_OUT: Final = ("timed out", "TimeoutError", "Cancelled during")
"""Words of drivers for a server that did not answer in time; the last are aiomysql's"""

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds that a server has to accept a connection and to answer the first questions."""


@dataclass(frozen=True)
class Where:
    """A server, and how to talk to it.

    :ivar url: may hold a password.
    :ivar timeout: seconds to connect, and to the first answers.
    :ivar version: the version that the operator says it is; None is what it says itself.
    """

    url: str
    timeout: float = DEFAULT_TIMEOUT
    version: str | None = None


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


def on_engine(where: Where, work: Callable[[Engine], _R]) -> _R:
    """Do something with an engine of a server, and dispose of it.

    An asyncio driver is taken too: the work runs in SQLAlchemy's greenlet.
    """
    with short_errors(where.url):
        url = parsed(where.url)
        options = {} if where.version is None else {"matrixone_version": where.version}
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError

        try:
            if url.get_dialect().is_async:
                import asyncio

                return asyncio.run(_on_async_engine(where, url, options, work))
            with _options_that_fit():
                engine = create_engine(url, execution_options=options)
        except NoSuchModuleError:
            raise CliError(
                f"the URL begins with {url.drivername}://, which SQLAlchemy does not know: write "
                "it as matrixone+pymysql://user:password@host:6001/database"
            ) from None
        except ModuleNotFoundError as missing:
            raise CliError(
                f"the driver of {url.drivername!r} needs {missing.name}: "
                "pip install 'sqlalchemy-matrixone-pitr[pymysql]', and use a "
                "matrixone+pymysql:// URL"
            ) from missing
        except KeyboardInterrupt as interrupt:
            for note in notes(interrupt.__context__):  # the cancelled task's
                interrupt.add_note(note)
            raise
        limit = _Limit(engine, where)
        try:
            _reach(engine, where)
            limit.lift()
            return work(engine)
        finally:
            engine.dispose()


async def _on_async_engine(
    where: Where, url: URL, options: dict[str, Any], work: Callable[[Engine], _R]
) -> _R:
    import asyncio

    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.util import greenlet_spawn

    with _options_that_fit():
        engine = create_async_engine(url, execution_options=options)
    _Limit(engine.sync_engine, where)
    try:
        try:
            await asyncio.wait_for(greenlet_spawn(_reach, engine.sync_engine, where), where.timeout)
        except TimeoutError:
            raise _no_answer(where) from None
        return await greenlet_spawn(work, engine.sync_engine)
    finally:
        await engine.dispose()


def _reach(engine: Engine, where: Where) -> None:
    """Connect once, and let the dialect ask its first questions."""
    from sqlalchemy.exc import DBAPIError

    try:
        engine.connect().close()
    except DBAPIError as error:
        if _has_timed_out(error):
            raise _no_answer(where) from error
        raise CliError(
            without_password(as_commands(of_driver(error, where.url)), where.url)
        ) from error


def _has_timed_out(error: DBAPIError) -> bool:
    """Whether a driver gave up, or its task was cancelled.

    SQLAlchemy before 2.1 sends a ROLLBACK then, whose error hides the first one.
    """
    cause: BaseException | None = error.orig
    while cause is not None:
        if any(words in str(cause) for words in _TIMED_OUT):
            return True
        cause = cause.__context__
    return False


def _no_answer(where: Where) -> CliError:
    return CliError(
        f"{address(where.url)} does not answer: no MatrixOne server spoke there within "
        f"{where.timeout:g} s (--connect-timeout)"
    )


class _Limit:
    """Ends what a server leaves without an answer while a connection is made.

    Lifted afterwards: a statement may take its time.
    """

    def __init__(self, engine: Engine, where: Where) -> None:
        from sqlalchemy import event

        self._where = where
        self._lifted = False
        self._limited: list[Any] = []
        event.listen(engine, "do_connect", self._connect)

    def lift(self) -> None:
        """The server has answered: connections there are, and later ones once they are made."""
        self._lifted = True
        for connection in self._limited:
            connection._read_timeout = None
        self._limited.clear()

    def _connect(self, dialect: Dialect, record: object, arguments: Any, options: Any) -> Any:
        own = dict(options)
        seconds = self._where.timeout
        if dialect.is_async:
            own["async_creator_fn"] = self._within(getattr(dialect.loaded_dbapi, dialect.driver))
        elif dialect.driver in ("pymysql", "mysqldb"):
            whole = max(1, round(seconds))
            own = {"connect_timeout": whole, "read_timeout": whole, **own}
        try:
            with _options_that_fit(dialect.loaded_dbapi.Error, TimeoutError):
                connection = dialect.connect(*arguments, **own)
        except TimeoutError:
            raise _no_answer(self._where) from None
        if dialect.driver == "pymysql" and "read_timeout" not in options:
            self._limited.append(connection)
            if self._lifted:
                self.lift()
        return connection

    def _within(self, driver: Any) -> Callable[..., Any]:
        import asyncio

        async def connect(*arguments: Any, **options: Any) -> Any:
            return await asyncio.wait_for(
                driver.connect(*arguments, **options), self._where.timeout
            )

        return connect


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


def parsed(url: str) -> URL:
    """A URL; ``matrixone://`` alone takes pymysql."""
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
    if made.port is not None and not 0 < made.port < 65536:
        # the network would take another one instead
        raise CliError(f"the URL names port {made.port}: give one from 1 to 65535")
    if "@" in (made.host or ""):
        # what follows the first one is taken for the host, and would be printed
        raise CliError("the URL has more than one @: write one in a user or password as %40")
    return made.set(drivername="matrixone+pymysql") if made.drivername == "matrixone" else made


def _url_of(config: str, section: str) -> str:
    """``sqlalchemy.url`` of a section of an alembic.ini."""
    import configparser

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
