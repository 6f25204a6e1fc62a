"""Connections: whether one is AUTOCOMMIT, asking on the caller's, and connections of our own.

What the library sends for itself runs on connections of its own, outside the caller's transaction
and outside the caller's execution options: a ``schema_translate_map`` or a routing option is for
the user's statements. The caller's connection is asked one value at most (:func:`ask`), which
neither begins nor ends anything on it.

Source: docs/server.md, The commit rule; The status bit; Races.
"""

from __future__ import annotations

import contextlib
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.pool.base import ResetStyle

from .errors import PastWriteError, PitrValidationError, is_settled, server_answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session
    from sqlalchemy.sql import Executable

Bind: TypeAlias = "Engine | Connection | Session | scoped_session[Any]"

VERSION_OPTION: Final = "matrixone_version"
"""Execution option that overrules the version the server reports, such as ``"3.0.9"``. The one
option of the caller's that counts for what the library sends for itself."""

AS_OF: Final = "matrixone_as_of"
"""Execution option that has everything read as of a Moment: see :mod:`.past.listening`."""

ALLOW_UNPROTECTED: Final = "matrixone_allow_unprotected"
"""Execution option beside it: True reads moments that nothing keeps, too."""

SCANNED: Final = "matrixone_past_scanned"
"""Execution option of ours: what keeps the history was asked before, and these tables, by their
keys, are not to be read through an index."""

_BY_HAND: Final = "matrixone_pitr_autocommit"
"""Execution option of a side connection of :func:`autocommit_connection`."""

_OWN_OPTIONS: Final[dict[str, Any]] = {
    "schema_translate_map": None,
    AS_OF: None,
    SCANNED: frozenset(),  # whoever reads the past for the caller has asked by then
    "stream_results": False,
    "yield_per": None,
}


def unwrap(bind: Bind, what: str = "this function") -> Engine | Connection:
    """The Engine or Connection of a bind; of a Session in a transaction, its Connection.

    :raises PitrValidationError: something else.
    """
    found: Any = bind
    if hasattr(found, "get_bind") and not hasattr(found, "sync_session"):
        session = found() if callable(found) else found  # a scoped_session gives its Session
        found = session.connection() if session.in_transaction() else session.get_bind()
    if not isinstance(found, Engine | Connection):
        raise PitrValidationError(
            f"{what} takes an Engine, a Connection or a Session, not {type(bind).__name__} "
            "(asyncio: use the functions and managers whose names say async)"
        )
    return found


def is_autocommit(connection: Connection) -> bool:
    """Whether SQLAlchemy was asked for AUTOCOMMIT on this connection.

    Decided from its setting alone: the server's status bit, and so the driver's flag, lies
    (docs/server.md, The status bit).
    """
    options = connection.get_execution_options()
    if options.get(_BY_HAND):
        return True
    level = options.get("isolation_level")
    if level is None:
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return str(level).upper() == "AUTOCOMMIT"  # as SQLAlchemy compares it


def ask(connection: Connection, statement: str) -> Any:
    """The one value that a statement answers, asked on the caller's connection.

    Nothing begins or ends there: on a connection without a transaction the driver is asked, since
    SQLAlchemy would begin one, whose end would take along what the caller wrote through
    ``connection.connection.cursor()``.

    :raises DBAPIError: the server could not be asked.
    """
    if connection.in_transaction():
        return connection.exec_driver_sql(statement).scalar()
    _fresh.discard(connection)
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(statement)
        row = cursor.fetchone()
    except BaseException as error:  # noqa: BLE001 - SQLAlchemy raises it, drivers' errors as its own
        connection._handle_dbapi_exception(error, statement, (), cursor, None)
    finally:
        cursor.close()
    return None if row is None else row[0]


def query(
    connection: Connection, statement: Executable, values: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """The rows of a statement of the library's own, outside the caller's execution options."""
    result = connection.execute(statement, dict(values or {}), execution_options=_OWN_OPTIONS)
    return [tuple(row) for row in result]


def query_named(
    connection: Connection, statement: Executable, values: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    """The rows by the names of their columns, where versions differ in these."""
    result = connection.execute(statement, dict(values or {}), execution_options=_OWN_OPTIONS)
    return [dict(row) for row in result.mappings()]


def stream(connection: Connection, statement: Executable) -> CursorResult[Any]:
    """The rows of a statement of the library's own through a cursor on the server, so that they are
    never all here at once. Nothing else goes over the connection until they are read or closed."""
    options = _OWN_OPTIONS | {"stream_results": True, "max_row_buffer": 1000}
    return connection.execute(statement, execution_options=options)


def abandon(result: CursorResult[Any]) -> None:
    """Let a result go whose rows are not read to the end, before its connection is invalidated.

    The drivers' cursors would read all rows when they are closed or collected, and fail on a line
    that is closed.
    """
    cursor: Any = result.cursor
    for holder in (cursor, getattr(cursor, "_cursor", None)):  # asyncio: inside SQLAlchemy's own
        unread: Any = getattr(holder, "_result", None)
        if getattr(unread, "unbuffered_active", False):
            unread.unbuffered_active = False


def send(connection: Connection, statement: Executable) -> int:
    """Send a statement of the library's own that writes, outside the caller's execution options.

    :return: how many rows it found.
    """
    return connection.execute(statement, execution_options=_OWN_OPTIONS).rowcount


def current_database(connection: Connection) -> str | None:
    """The connection's current database (``USE`` included), or None where none is chosen."""
    return ask(connection, "SELECT DATABASE()") or None


def run_text(connection: Connection, statement: str) -> CursorResult[Any]:
    """Execute SQL text as it stands: to the drivers a percent sign begins a value."""
    return connection.exec_driver_sql(statement.replace("%", "%%"))


def roll_back(connection: Connection) -> None:
    """Make a connection without a transaction idle for the server too, before a PITR statement.

    ``get_transaction() is None`` says nothing about the server: a connect listener, SQLAlchemy
    asking for the isolation level, or a read of ours may have opened a transaction there. Nothing
    is sent on a side connection that the pool has rolled back, and nobody has used since.
    """
    if connection not in _fresh or connection.in_transaction():
        tell(connection, "ROLLBACK")


@contextlib.contextmanager
def idle(connection: Connection) -> Iterator[Connection]:
    """A connection without a transaction, left without one: a later ``begin()`` must not raise."""
    try:
        yield connection
    finally:
        if connection.in_transaction() or connection.invalidated:
            connection.rollback()


def _has_room(pool: QueuePool) -> bool:
    """Whether the pool gives a connection without waiting for one to come back."""
    most = pool.size() + pool._max_overflow
    return pool._max_overflow < 0 or pool.checkedout() < most


@contextlib.contextmanager
def side_connection(bind: Engine | Connection) -> Iterator[Connection]:
    """A connection that is surely not one the caller holds; its transaction ends with it.

    It has none of the execution options of the bind but :data:`VERSION_OPTION`. From the engine's
    own pool where that has room, or keeps none; else from a pool of the same kind made for this
    once: StaticPool would hand back the caller's own connection, and a full pool would wait for the
    caller. The engine's listeners hear of both.
    """
    kept = _kept.get(bind) if isinstance(bind, Connection) else None
    if kept is None:
        connection = _engine_beside(bind).connect()
        if _was_rolled_back(connection):
            _fresh.add(connection)
    else:
        try:
            connection = kept.pop()
        except IndexError:
            connection = _connect_to_keep(bind)
    try:
        yield connection
    finally:
        lost = connection.invalidated or connection.closed
        if lost or not isinstance(bind, Connection) or kept is None or _kept.get(bind) is not kept:
            _close(connection, bind.engine)
        else:
            kept.append(connection)


_fresh: weakref.WeakSet[Connection] = weakref.WeakSet()
"""Side connections that have come idle from their pool, and nothing was sent on by the driver."""

_SEEN: Final = "matrixone_pitr_seen"
"""In ``connection.info``: the driver's connection was in a pool before."""


QUIET_LISTENERS: Final[weakref.WeakSet[Callable[[Connection], None]]] = weakref.WeakSet()
"""Listeners of ours to ``engine_connect`` that send nothing on the connection."""


def _was_rolled_back(connection: Connection) -> bool:
    """Whether the pool has rolled a connection back, and no listener was called since then."""
    seen = connection.info.get(_SEEN, False)
    connection.info[_SEEN] = True
    engine, dialect = connection.engine, connection.dialect
    return (
        seen
        and engine.pool._reset_on_return is ResetStyle.reset_rollback
        and not getattr(dialect, "skip_autocommit_rollback", False)
        and not engine.pool.dispatch.checkout
        and all(listener in QUIET_LISTENERS for listener in engine.dispatch.engine_connect)
    )


def _engine_beside(bind: Engine | Connection) -> Engine:
    engine = bind.engine
    version = bind.get_execution_options().get(VERSION_OPTION)
    pool = engine.pool
    own = isinstance(pool, NullPool) or (isinstance(pool, QueuePool) and _has_room(pool))
    aside = Engine(
        pool if own else pool.recreate(),
        engine.dialect,
        engine.url,
        logging_name=engine.logging_name,
        echo=engine.echo,
        execution_options={} if version is None else {VERSION_OPTION: version},
        hide_parameters=engine.hide_parameters,
    )
    aside.dispatch = engine.dispatch  # nobody listens to this one alone
    aside._has_events = engine._has_events
    aside._compiled_cache = engine._compiled_cache
    return aside


def _close(connection: Connection, engine: Engine) -> None:
    """Close a side connection; it is thrown away where it cannot be given back."""
    if connection in _to_set_back:
        _unset_autocommit(connection)
    try:
        connection.close()
    except Exception:  # noqa: BLE001 - what was done is done
        if not connection.closed:
            connection.invalidate()
            connection.close()
    finally:
        if connection.engine.pool is not engine.pool:
            connection.engine.dispose()


_kept: weakref.WeakKeyDictionary[Connection, list[Connection]] = weakref.WeakKeyDictionary()


def keep_side_connections(connection: Connection) -> None:
    """Keep the side connections of a connection for its next ones, until they are closed.

    For a run of many steps, as a migration is: with NullPool, which Alembic's templates write, each
    would be a new one. On them each statement takes effect at once, and needs no COMMIT.
    """
    _kept.setdefault(connection, [])


def close_side_connections(connection: Connection) -> None:
    """Close what :func:`keep_side_connections` has kept."""
    for kept in _kept.pop(connection, ()):
        _close(kept, connection.engine)


def _connect_to_keep(bind: Engine | Connection) -> Connection:
    connection = _engine_beside(bind).connect()
    try:
        was_off = _is_off(connection.exec_driver_sql("SELECT @@autocommit").scalar())
        _set_autocommit(connection)
    except BaseException:
        _close(connection, bind.engine)
        raise
    if was_off and not isinstance(connection.engine.pool, NullPool):
        _to_set_back.add(connection)
    return connection


_to_set_back: weakref.WeakSet[Connection] = weakref.WeakSet()
"""Extent connections whose autocommit is off again for the next user of their pool."""


def _set_autocommit(connection: Connection) -> None:
    """Let each statement take effect at once: by hand, see :func:`autocommit_connection`."""
    connection.exec_driver_sql("SET AUTOCOMMIT = 1")
    connection.execution_options(**{_BY_HAND: True})


def _unset_autocommit(connection: Connection) -> None:
    if not connection.invalidated:
        try:
            connection.exec_driver_sql("SET AUTOCOMMIT = 0")
        except Exception:  # noqa: BLE001 - a listener's too: what was done is done
            connection.invalidate()


def _is_off(value: Any) -> bool:
    """Whether a system variable says that something is off."""
    return str(value).lower() in ("0", "off", "false")


def refuse_in_past(options: Mapping[str, Any], what: str) -> None:
    """Refuse to change anything for a bind that reads the past.

    :param options: its execution options.
    :raises PastWriteError: it does.
    """
    if options.get(AS_OF) is not None:
        raise PastWriteError(
            f"{what} is not sent: this engine or connection reads the past, and the past is not "
            f"written. Use one without the execution option {AS_OF}"
        )


@contextlib.contextmanager
def autocommit_connection(bind: Engine | Connection) -> Iterator[tuple[Connection, int]]:
    """A side connection on which each statement takes effect at once, and the server's number of
    its session; another one where the pool's turns out to be dead.

    Set by hand, and put back as it was: SQLAlchemy undoes its isolation level by statements of the
    driver's own, whose errors are no SQLAlchemyError and leave the pool a connection short; and the
    pool's connections may have autocommit on by ``connect_args`` or a listener.
    """
    refuse_in_past(bind.get_execution_options(), "a PITR statement")
    for last in (False, True):
        with side_connection(bind) as connection:
            try:
                session, before = connection.exec_driver_sql(
                    "SELECT connection_id(), @@autocommit"
                ).one()
                _set_autocommit(connection)
            except Exception:
                if last or not connection.invalidated:
                    raise
                continue
            try:
                yield connection, int(session)
            finally:
                if _is_off(before):
                    _unset_autocommit(connection)
            return


def session_number(connection: Connection) -> int:
    """The server's number of the connection's session, which KILL takes."""
    return int(connection.exec_driver_sql("SELECT connection_id()").scalar_one())


def end_session(engine: Engine, session: int) -> None:
    """End a session whose connection was given up: its statement may be waiting on the server
    still, or be on its way there (docs/server.md, Races).

    :param session: its ``connection_id()``.
    :raises DBAPIError: the server could not be reached.
    """
    outside = sys.exception()
    with side_connection(engine) as connection:
        for _ in range(_PATIENCE):
            try:
                connection.exec_driver_sql(f"KILL {session:d}")
            except Exception as error:  # a listener may make any class of it
                if server_answer(error, outside=outside) is None:
                    raise
                break  # "Unknown connection id"
            pause(connection, 0.05)
        pause(connection, 0.1)  # what it was committing


_PATIENCE: Final = 20
"""The number of looks for a session that is being ended."""


def end_for_sure(engine: Engine, session: int, *, raising: bool = False) -> None:
    """:func:`end_session`, and once more where that is interrupted: the lock is given up next.

    :param raising: also raise where the server could not be reached.
    """
    try:
        end_session(engine, session)
    except Exception:
        if raising:
            raise
    except BaseException:
        with contextlib.suppress(Exception):
            end_session(engine, session)
        raise


@contextlib.contextmanager
def kill_on_abort(engine: Engine, connection: Connection) -> Iterator[None]:
    """Make sure that what the block sends has ended, one way or the other, when the block has: also
    where it is interrupted, or the connection is lost. So a lock may be given up then.

    :param connection: which the block sends on; invalidated where its session was ended.
    """
    session = session_number(connection)
    outside = sys.exception()
    try:
        yield
    except BaseException as error:
        if not is_settled(error, outside=outside):
            end_for_sure(engine, session)
            if not connection.invalidated:
                connection.invalidate()
        raise


class TextTransaction:
    """BEGIN and COMMIT as text on a side connection, so that no setting of the engine's makes each
    statement commit by itself; whatever goes wrong leaves nothing.

    :ivar committing: whether COMMIT was on its way: what became of it is unknown after an error.
    """

    def __init__(self) -> None:
        self.committing = False

    @contextlib.contextmanager
    def on(self, engine: Engine, connection: Connection) -> Iterator[None]:
        try:
            with kill_on_abort(engine, connection):
                connection.exec_driver_sql("BEGIN")
                yield
                self.committing = True
                connection.exec_driver_sql("COMMIT")
        except BaseException:
            self._undo(connection)
            raise

    def _undo(self, connection: Connection) -> None:
        if connection.invalidated:  # its end is the transaction's
            return
        try:
            connection.exec_driver_sql("ROLLBACK")
        except Exception:  # noqa: BLE001 - the first error is what is reported
            connection.invalidate()


def tell(connection: Connection, statement: str) -> None:
    """Send a statement without an answer on the caller's connection, through the driver.

    SQLAlchemy would begin a transaction there.

    :raises DBAPIError: it failed; of a lost connection the pool has been told.
    """
    _fresh.discard(connection)
    with driver_errors(connection, statement):
        cursor: Any = connection.connection.cursor()
        try:
            cursor.execute(statement)
        finally:
            cursor.close()


@contextlib.contextmanager
def driver_errors(connection: Connection, statement: str) -> Iterator[None]:
    """Raise the driver's errors in the block as SQLAlchemy raises them: a DBAPIError, and of a
    lost connection the pool is told. After an interruption, whose answer may still come, the
    connection is given up."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(
            error, connection.dialect.loaded_dbapi.Error
        ):
            raise
        connection._handle_dbapi_exception(error, statement, (), None, None)


def at_connect(connection: Connection, work: Callable[[], None], *, restore: bool = True) -> None:
    """Work on a connection that was just taken from the pool: once more, on a fresh one, where the
    pool's turns out to be dead. So ``pool_pre_ping`` does.

    :param restore: set the connection's isolation level on the fresh one as well.
    :raises DBAPIError: it failed.
    """
    try:
        work()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        level = connection.get_execution_options().get("isolation_level")
        if restore and level is not None:  # undone when the connection is given back
            connection.dialect.set_connection_execution_options(
                connection, {"isolation_level": level}
            )
        work()


_IN_TRANSACTION: Final = 1
"""SERVER_STATUS_IN_TRANS in the MySQL protocol."""


def has_open_work(connection: Connection) -> bool:
    """Whether the server has work of the connection that is not committed: a BEGIN sent as text, or
    rows written through a cursor of the driver's.

    By the status bit of the server's last answer without rows; nothing is sent. False with other
    drivers: they keep no such bit, or take it from rows too (asyncmy), and a read sets it as well.
    """
    if connection.dialect.driver not in ("pymysql", "aiomysql"):
        return False
    driver_connection: Any = connection.connection.driver_connection
    status = getattr(driver_connection, "server_status", None)
    return isinstance(status, int) and bool(status & _IN_TRANSACTION)


def pause(connection: Connection, seconds: float) -> None:
    if not connection.dialect.is_async:
        time.sleep(seconds)
        return
    import asyncio

    from sqlalchemy.util import await_only

    await_only(asyncio.sleep(seconds))
