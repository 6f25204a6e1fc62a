"""When a statement reaches the server: now, or after the COMMIT of its transaction.

The rule that users learn is SQLAlchemy's own: *a PITR statement takes effect when its transaction
commits, and a rollback discards it; on an AUTOCOMMIT connection it takes effect at once.*

MatrixOne offers no such thing: it refuses PITR statements inside a transaction, and never rolls one
back. So an element that is executed is resolved, compiled and validated at once, and queued; the
queue belongs to one :class:`~sqlalchemy.engine.RootTransaction` and dies with it. At the
transaction's commit, the engine's ``commit`` event sends COMMIT, then each element, each followed
by a COMMIT. Every statement goes through SQLAlchemy, so that echo, events and errors are as usual.

Pitfalls that shaped this module: matrixone.md, section 2, "What broke naive versions".
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import event
from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.engine.base import RootTransaction, TwoPhaseTransaction
from sqlalchemy.engine.cursor import (
    _NO_CURSOR_DML,
)  # the public way to make a result needs a cursor
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.sql.ddl import ExecutableDDLElement

from . import server
from .errors import (
    PitrAfterCommitError,
    PitrError,
    PitrTransactionError,
    PitrValidationError,
    answered_by_server,
    classify,
    driver_code_and_text,
    from_dbapi_error,
)

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.orm import Session, SessionTransaction


TOGETHER: Final = "matrixone_pitr_together"
"""Execution option of a statement that is sent with others: a :class:`Together`."""


@dataclass(frozen=True, slots=True)
class Together:
    """Elements that are sent one after the other, and what one of them has asked for all."""

    elements: Sequence[TransactionalDDLElement]
    answers: dict[str, Any] = field(default_factory=dict)


class TransactionalDDLElement(ExecutableDDLElement):
    """A DDL element that takes effect when its transaction commits.

    ``conn.execute(element)`` decides here what happens; what the element says is its subclass's.
    """

    deferrable = True
    """False: never queued; executed at once on an idle or AUTOCOMMIT connection, else refused."""

    note_on_failure: str | None = None
    """Added to the error when it is not done although its transaction is committed."""

    @property
    def pitr_name(self) -> str:
        """The name that errors carry."""
        raise NotImplementedError

    def check_dialect(self, dialect: Dialect) -> None:
        """Refuse a dialect that the element does not compile on."""
        raise NotImplementedError

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        """The element with everything filled in that only a connection knows."""
        raise NotImplementedError

    def _execute_on_connection(
        self, connection: Connection, distilled_params: Any, execution_options: Any
    ) -> CursorResult[Any]:
        return execute(connection, self, execution_options)

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        """Through SQLAlchemy's own execution of DDL, now."""
        options = {**options, "no_parameters": False}  # quoting doubles % for the driver
        sent: CursorResult[Any] = ExecutableDDLElement._execute_on_connection(  # type: ignore[no-untyped-call]
            self, connection, (), options
        )
        return sent


# ----------------------------------------------------------------------------- executing an element


@dataclass(frozen=True, slots=True)
class _Queued:
    element: TransactionalDDLElement
    options: Mapping[str, Any]
    statement: str


@dataclass(eq=False, slots=True)
class _Queue:
    """What one transaction will send after its COMMIT."""

    items: list[_Queued] = field(default_factory=list)
    closed: bool = False
    failed_savepoint: str | None = None
    session: weakref.ref[SessionFlush] | None = None


_queues: weakref.WeakKeyDictionary[RootTransaction, _Queue] = weakref.WeakKeyDictionary()
_queues_lock = threading.Lock()


def _queue_of(transaction: RootTransaction | None, *, create: bool = False) -> _Queue | None:
    if transaction is None:
        return None
    with _queues_lock:
        queue = _queues.get(transaction)
        if queue is None and create:
            queue = _queues[transaction] = _Queue()
        return queue


def is_autocommit(connection: Connection) -> bool:
    """Whether SQLAlchemy was asked for AUTOCOMMIT on this connection.

    Decided from its setting alone: the server's status bit, and so the driver's flag, lies
    (matrixone.md, section 2).
    """
    level = connection.get_execution_options().get("isolation_level")
    if level is None:
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return str(level).upper() == "AUTOCOMMIT"  # as SQLAlchemy compares it


def execute(
    connection: Connection,
    element: TransactionalDDLElement,
    options: Mapping[str, Any],
    *,
    session: SessionFlush | None = None,
) -> CursorResult[Any]:
    """Execute an element by the rule of this module.

    :raises PitrTransactionError: the transaction cannot carry the statement.
    """
    element.check_dialect(connection.dialect)
    server.require_matrixone(connection)
    merged = {
        **element.get_execution_options(),
        **connection.get_execution_options(),
        **options,
    }
    if is_autocommit(connection):
        _make_autocommit_real(connection)
        return send_now(connection, element.resolve(connection, merged), options)
    if not element.deferrable:
        return _execute_on_idle(connection, element, merged, options)

    transaction = connection.get_transaction() or connection.begin()
    if isinstance(transaction, TwoPhaseTransaction):
        raise PitrTransactionError(
            "a two-phase transaction cannot carry PITR statements: MatrixOne has no XA; use an "
            "ordinary transaction",
            name=element.pitr_name,
        )
    nested = connection.get_nested_transaction()
    if not transaction.is_active or (nested is not None and not nested.is_active):
        raise PendingRollbackError(
            "This connection's transaction has failed; call rollback() before executing "
            "PITR statements."
        )
    queue = _queue_of(transaction, create=True)
    assert queue is not None
    if attach(connection.engine) and _is_committing(connection):
        queue.closed = True  # the listener added just now does not hear of this commit
    if queue.closed:
        raise PitrTransactionError(
            "this transaction is being committed and takes no further PITR statements: execute "
            "them before commit(), not in a listener that runs during it",
            name=element.pitr_name,
        )
    if queue.failed_savepoint is not None:
        raise _savepoint_error(queue.failed_savepoint, element.pitr_name)
    resolved = element.resolve(connection, merged)
    item = _Queued(resolved, dict(options), str(resolved))
    if connection.dialect.is_async:
        # an execute() that awaits nothing is taken for a mistake by SQLAlchemy; a task that is
        # cancelled here has queued nothing
        _pause(connection, 0)
    queue.items.append(item)
    if session is not None:
        queue.session = weakref.ref(session)
    return _PendingResult(connection)


def send_now(
    connection: Connection, element: TransactionalDDLElement, options: Mapping[str, Any]
) -> CursorResult[Any]:
    """Send a resolved element at once; a refusal becomes the PitrError that it means."""
    try:
        return element._send(connection, options)
    except DBAPIError as error:
        typed = _typed(error, element)
        if typed is None:
            raise
        raise typed from error


def _typed(error: DBAPIError, element: TransactionalDDLElement) -> PitrError | None:
    return from_dbapi_error(error, name=element.pitr_name, statement=str(element))


def _execute_on_idle(
    connection: Connection,
    element: TransactionalDDLElement,
    merged: Mapping[str, Any],
    options: Mapping[str, Any],
) -> CursorResult[Any]:
    if connection.get_transaction() is not None:
        raise PitrTransactionError(
            f"{type(element).__name__} runs at once and no rollback undoes it, so it is not "
            "executed inside a transaction: commit or roll back first, or use an AUTOCOMMIT "
            "connection, or PitrManager(engine).restore() (a Session is always in a transaction)",
            name=element.pitr_name,
        )
    with idle(connection):
        return send_idle(connection, element, merged, options)


def send_idle(
    connection: Connection,
    element: TransactionalDDLElement,
    merged: Mapping[str, Any],
    options: Mapping[str, Any],
) -> CursorResult[Any]:
    """Send an element at once on a connection that nobody has a transaction on."""
    resolved = element.resolve(connection, merged)
    roll_back(connection)
    return send_now(connection, resolved, options)


class _PendingResult(CursorResult[Any]):
    """What ``execute`` returns for a statement that waits for COMMIT: closed, without rows."""

    closed = True
    _soft_closed = True
    _is_cursor = False  # AsyncConnection would look for a server-side cursor

    rowcount = 0

    def __init__(self, connection: Connection) -> None:
        self.context: Any = SimpleNamespace(
            compiled=None, isinsert=False, isupdate=False, isdelete=False, _is_server_side=False
        )
        self.dialect = connection.dialect
        self.cursor = None  # type: ignore[assignment]
        self.cursor_strategy = _NO_CURSOR_DML
        self.connection = connection
        self._echo = False
        self._metadata = self._no_result_metadata

    @property
    def lastrowid(self) -> int:
        return 0


def pending_result(connection: Connection) -> CursorResult[Any]:
    """A result without rows, of a statement that has not been sent."""
    return _PendingResult(connection)


def pending_pitrs(connection: Connection | AsyncConnection) -> list[TransactionalDDLElement]:
    """The elements that the connection's transaction will send after its COMMIT, in order.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> with engine.connect() as conn:
    ...     result = conn.execute(CreatePitr(Pitr.account("nightly", "7d")))
    ...     [str(element) for element in pending_pitrs(conn)]
    ["CREATE PITR `nightly` FOR ACCOUNT RANGE 7 'd'"]
    """
    sync: Any = getattr(connection, "sync_connection", None) or connection
    if not isinstance(sync, Connection):
        raise PitrValidationError(
            f"pending_pitrs takes a Connection or AsyncConnection, not {type(sync).__name__}: "
            "for a Session give session.connection()"
        )
    queue = _queue_of(sync.get_transaction())
    return [] if queue is None else [item.element for item in queue.items]


def take_back(
    connection: Connection, unwanted: Callable[[TransactionalDDLElement], bool]
) -> list[TransactionalDDLElement]:
    """Remove elements from what the connection's transaction will send, and return them."""
    queue = _queue_of(connection.get_transaction())
    if queue is None:
        return []
    taken = [item.element for item in queue.items if unwanted(item.element)]
    queue.items = [item for item in queue.items if not unwanted(item.element)]
    return taken


# ------------------------------------------------------------------------------------ at the commit


_attach_lock = threading.Lock()
_attached: weakref.WeakSet[Engine] = weakref.WeakSet()


def attach(engine: Engine) -> bool:
    """Add this module's listeners to an engine, once in its life, at its first PITR element.

    True when it was this call that added them.
    """
    while (proxied := getattr(engine, "_proxied", None)) is not None:
        engine = proxied  # engine.execution_options() shares the listeners of its origin
    if engine in _attached:
        return False
    with _attach_lock:
        if engine in _attached:
            return False
        _listen(engine, "commit", _on_commit)
        _listen(engine, "rollback_savepoint", _on_rollback_savepoint)
        _listen(engine.dialect, "handle_error", _on_error)
        if not getattr(engine.dialect, "is_matrixone", False):
            _listen(engine, "engine_connect", _on_engine_connect)
        _attached.add(engine)
        return True


def _is_committing(connection: Connection) -> bool:
    """Whether a ``commit`` listener of this connection is calling.

    SQLAlchemy keeps no such state, so the call stack tells; asked once in an engine's life.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "_commit_impl" and frame.f_locals.get("self") is connection:
            return True
        frame = frame.f_back
    return False


def _listen(target: Engine | Dialect, identifier: str, listener: Callable[..., None]) -> None:
    """``event.listen`` on a target that other threads are using.

    ``event.listen`` appends to a deque that another thread's commit may be iterating, which then
    fails with "deque mutated during iteration". Here a longer copy takes its place.
    """
    known = getattr(target.dispatch, identifier).for_modify(target.dispatch)
    known.listeners = deque((*known.listeners, listener))
    target._has_events = True


def _on_commit(connection: Connection) -> None:
    transaction = connection.get_transaction()
    queue = _queue_of(transaction)
    if transaction is None or queue is None or queue.closed:
        return
    queue.closed = True
    items, queue.items = queue.items, []
    if queue.failed_savepoint is not None:
        _undo(connection)
        raise _savepoint_error(queue.failed_savepoint)
    if not items:
        return
    try:
        connection.exec_driver_sql("COMMIT")
    except BaseException as error:
        _undo(connection, error)
        error.add_note(f"PITR statements of this transaction that were not sent: {_list(items)}")
        raise
    session = queue.session() if queue.session is not None else None
    if session is None or not session.park(connection, items):
        flush(connection, items)


def flush(connection: Connection, items: Sequence[_Queued]) -> None:
    """Send queued statements, each followed by COMMIT; their transaction is committed already.

    :raises PitrAfterCommitError: one was refused, or its answer was lost; nothing is retried.
    """
    done: list[_Queued] = []
    together = Together([item.element for item in items])
    for position, item in enumerate(items):
        current: _Queued | None = item
        try:
            item.element._send(connection, {**item.options, TOGETHER: together})
            done.append(item)
            current = None
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            answer = error.__cause__ if isinstance(error, PitrError) else error
            if isinstance(answer, DBAPIError):
                refused = answered_by_server(answer)
            else:
                refused = isinstance(error, PitrError | Warning)  # by ourselves: it was not sent
            _undo(connection, answer)
            outcome = _Outcome(
                done=done,
                failed=[item] if current and refused else [],
                unknown=[item] if current and not refused else [],
                not_tried=list(items[position + 1 :]),
            )
            if not isinstance(error, Exception):
                error.add_note(outcome.report())
                raise
            cause: Exception = error
            if current and isinstance(error, DBAPIError):
                typed = _typed(error, item.element)
                if typed is not None:
                    typed.__cause__ = error
                    cause = typed
            report = outcome.error(cause, item.element.pitr_name if current else None)
            for note in dict.fromkeys(late.element.note_on_failure for late in items[position:]):
                if note is not None:
                    report.add_note(note)
            raise report from cause


def _undo(connection: Connection, error: BaseException | None = None) -> None:
    """Leave no transaction open on the server: SQLAlchemy sends no rollback after a failed commit.

    Where the server did not answer, the line may be out of step: the connection is given up.
    """
    if connection.invalidated:
        return
    if error is None or (isinstance(error, DBAPIError) and answered_by_server(error)):
        try:
            connection.exec_driver_sql("ROLLBACK")
        except DBAPIError:
            pass
        else:
            return
    if not connection.invalidated:
        connection.invalidate()


def _list(items: Sequence[_Queued]) -> str:
    return "; ".join(item.statement for item in items)


@dataclass(slots=True)
class _Outcome:
    """What became of the PITR statements of a committed transaction."""

    done: list[_Queued] = field(default_factory=list)
    failed: list[_Queued] = field(default_factory=list)
    unknown: list[_Queued] = field(default_factory=list)
    not_tried: list[_Queued] = field(default_factory=list)

    def report(self) -> str:
        lines = ["The transaction is committed; its PITR statements are not all done."]
        for what, items in (
            ("done", self.done),
            ("failed", self.failed),
            ("unknown, the answer was lost: read back before trying again", self.unknown),
            ("not tried", self.not_tried),
        ):
            if items:
                lines.append(f"  {what}: {_list(items)}")
        return "\n".join(lines)

    def error(self, cause: BaseException, name: str | None) -> PitrAfterCommitError:
        reason = str(cause) if isinstance(cause, PitrError) else f"{type(cause).__name__}: {cause}"
        return PitrAfterCommitError(
            f"{self.report()}\n"
            "rollback() is needed before this connection is used again; it undoes nothing.\n"
            f"Reason: {reason}",
            done=[item.element for item in self.done],
            failed=[item.element for item in self.failed],
            unknown=[item.element for item in self.unknown],
            not_tried=[item.element for item in self.not_tried],
            name=name,
            errno=getattr(cause, "errno", None),
            statement=getattr(cause, "statement", None),
            orig=getattr(cause, "orig", None),
        )


def _on_rollback_savepoint(connection: Connection, name: str, context: None) -> None:
    note_failed_savepoint(connection, name)


def note_failed_savepoint(connection: Connection, name: str) -> None:
    """Remember that a transaction tried to roll back to a savepoint: it must not be committed."""
    queue = _queue_of(connection.get_transaction(), create=True)
    if queue is not None:
        queue.failed_savepoint = name


def _savepoint_error(savepoint: str, name: str | None = None) -> PitrTransactionError:
    return PitrTransactionError(
        f"this transaction tried to roll back to savepoint {savepoint!r}, which MatrixOne does not "
        "do: it loses the last statement instead. Nothing was committed; roll the whole "
        "transaction back and run it again without savepoints",
        name=name,
    )


_SPEAKS_OF_PITR = re.compile(r"\b(pitr|recovery_window)\b", re.IGNORECASE)


def _on_error(context: ExceptionContext) -> None:
    """Add what to do to a refused PITR statement that was sent as text; its class stays."""
    error = context.sqlalchemy_exception
    if (
        error is None
        or context.is_disconnect
        or not _SPEAKS_OF_PITR.search(context.statement or "")
    ):
        return
    found = classify(*driver_code_and_text(context.original_exception))
    if found is not None:
        error.add_detail(f"What to do: {found[1]}.")


# -------------------------------------------------------------------------------------- AUTOCOMMIT


def _on_engine_connect(connection: Connection) -> None:
    """Make AUTOCOMMIT real at checkout, on an engine whose dialect does not."""
    if is_autocommit(connection):
        cursor = connection.connection.cursor()
        cursor.execute("SET AUTOCOMMIT = 1")
        cursor.close()


def _make_autocommit_real(connection: Connection) -> None:
    """On other dialects than ours: the driver trusts the lying bit and may have sent nothing.

    What was written so far was meant to be committed.
    """
    if not getattr(connection.dialect, "is_matrixone", False):
        attach(connection.engine)
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("SET AUTOCOMMIT = 1")


# --------------------------------------------------------------------------------- idle connections


def roll_back(connection: Connection) -> None:
    """Make a connection without a transaction idle for the server too, before a PITR statement.

    ``get_transaction() is None`` says nothing about the server: a connect listener, SQLAlchemy
    asking for the isolation level, or a read of ours may have opened a transaction there.
    """
    connection.exec_driver_sql("ROLLBACK")


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
def side_connection(engine: Engine) -> Iterator[Connection]:
    """A connection that is surely not one the caller holds; its transaction ends with it.

    From the engine's own pool where that has room, or keeps none; else from a pool of the same kind
    made for this once: StaticPool would hand back the caller's own connection, and a full pool
    would wait for the caller. The engine's listeners hear of both.
    """
    pool = engine.pool
    if isinstance(pool, NullPool) or (isinstance(pool, QueuePool) and _has_room(pool)):
        with _opened(engine) as connection:
            yield connection
        return
    aside = Engine(
        pool.recreate(),
        engine.dialect,
        engine.url,
        logging_name=engine.logging_name,
        echo=engine.echo,
        execution_options=engine.get_execution_options(),
        hide_parameters=engine.hide_parameters,
    )
    aside.dispatch = aside.dispatch._join(engine.dispatch)  # as engine.execution_options() does
    aside._has_events = engine._has_events
    try:
        with _opened(aside) as connection:
            yield connection
    finally:
        aside.dispose()


@contextlib.contextmanager
def _opened(engine: Engine) -> Iterator[Connection]:
    """A connection that is thrown away where it cannot be given back: what was done is done."""
    connection = engine.connect()
    try:
        yield connection
    finally:
        try:
            connection.close()
        except Exception:
            if not connection.closed:
                connection.invalidate()
                connection.close()


@contextlib.contextmanager
def autocommit_connection(engine: Engine) -> Iterator[tuple[Connection, int]]:
    """A side connection on which each statement takes effect at once, and the server's number of
    its session; another one where the pool's turns out to be dead.

    Set by hand: SQLAlchemy undoes its isolation level by statements of the driver's own, whose
    errors are no SQLAlchemyError and leave the pool a connection short.
    """
    for last in (False, True):
        with side_connection(engine) as connection:
            attach(engine)
            try:
                connection.exec_driver_sql("SET AUTOCOMMIT = 1")
                session = server.session_number(connection)
            except DBAPIError:
                if last or not connection.invalidated:
                    raise
                continue
            try:
                yield connection, session
            finally:
                if not connection.invalidated and not is_autocommit(connection):
                    try:
                        connection.exec_driver_sql("SET AUTOCOMMIT = 0")
                    except DBAPIError:
                        connection.invalidate()
            return


def end_session(engine: Engine, session: int) -> None:
    """End a session whose connection was given up: its statement may be waiting on the server
    still, or be on its way there (matrixone.md, section 3, "Races").

    :param session: its ``connection_id()``.
    :raises DBAPIError: the server could not be reached.
    """
    with side_connection(engine) as connection:
        for _ in range(_PATIENCE):
            try:
                connection.exec_driver_sql(f"KILL {session:d}")
            except DBAPIError as error:
                if not answered_by_server(error):
                    raise
                break  # "Unknown connection id"
            _pause(connection, 0.05)
        _pause(connection, 0.1)  # what it was committing


_PATIENCE: Final = 20
"""How often a session that is being ended is looked for."""


@contextlib.contextmanager
def ended_when_given_up(engine: Engine, session: int) -> Iterator[None]:
    """What is sent in the block has come to its end, one way or the other, when the block has: also
    where it is interrupted, or the connection is lost. So a lock may be given up then.

    :param session: the ``connection_id()`` of the connection that the block sends on.
    """
    try:
        yield
    except BaseException as error:
        cause = error.__cause__ if isinstance(error, PitrError) else error
        if not isinstance(error, Exception) or (
            isinstance(cause, DBAPIError) and not answered_by_server(cause)
        ):
            with contextlib.suppress(SQLAlchemyError):
                end_session(engine, session)
        raise


def _pause(connection: Connection, seconds: float) -> None:
    if not connection.dialect.is_async:
        time.sleep(seconds)
        return
    import asyncio

    from sqlalchemy.util import await_only

    await_only(asyncio.sleep(seconds))


# ------------------------------------------------------------------------------------ ORM sessions


_sessions: weakref.WeakKeyDictionary[Session, SessionFlush] = weakref.WeakKeyDictionary()


class SessionFlush:
    """Sends a Session's statements when all of its commits are done, and raises at the very end.

    An error out of ``Session.commit()`` makes SQLAlchemy treat the session as rolled back although
    its rows are committed. So statements wait (are parked) until ``after_commit``, when every
    connection of the session is committed, and an error waits for ``after_transaction_end``, when
    the session's objects are persistent and the session is usable.
    """

    def __init__(self) -> None:
        self._committing = False
        self._parked: list[tuple[Connection, list[_Queued]]] = []
        self._done: list[TransactionalDDLElement] = []
        self._errors: list[BaseException] = []

    @classmethod
    def of(cls, session: Session) -> SessionFlush:
        """The one of a session; its listeners are added the first time."""
        with _attach_lock:
            found = _sessions.get(session)
            if found is None:
                found = _sessions[session] = cls()
                event.listen(session, "before_commit", found._before_commit)
                event.listen(session, "after_commit", found._after_commit)
                # the first one: a listener of the user's that raises must not hide our report
                event.listen(
                    session, "after_transaction_end", found._after_transaction_end, insert=True
                )
            return found

    def park(self, connection: Connection, items: list[_Queued]) -> bool:
        """Keep statements until the session has committed.

        False where it is not the session that commits, but the owner of its connection.
        """
        if self._committing:
            self._parked.append((connection, items))
        return self._committing

    def _before_commit(self, session: Session) -> None:
        self._committing = True

    def _after_commit(self, session: Session) -> None:
        self._committing = False
        while self._parked:
            connection, items = self._parked.pop(0)
            try:
                with idle(connection):
                    flush(connection, items)
                self._done += [item.element for item in items]
            except BaseException as error:
                self._errors.append(error)
                if not isinstance(error, Exception):
                    return

    def _after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        left = [item for _, items in self._parked for item in items]
        done, errors = self._done, self._errors
        self._committing, self._parked, self._done, self._errors = False, [], [], []
        if left:
            report = _Outcome(not_tried=left)
            reason = errors[0] if errors else sys.exception()
            if reason is not None:
                reason.add_note(report.report())
            else:
                errors.append(report.error(PitrError("the session's commit did not finish"), None))
        if errors:
            raise _one_error(done, errors)


def _one_error(
    done: Sequence[TransactionalDDLElement], errors: Sequence[BaseException]
) -> BaseException:
    """The first error of a session's connections, which speaks for all of them."""
    first, *others = errors
    if isinstance(first, PitrAfterCommitError):
        first.done = (*done, *first.done)
    for other in others:
        first.add_note(f"On another connection of the session: {other}")
        if isinstance(first, PitrAfterCommitError) and isinstance(other, PitrAfterCommitError):
            first.done += other.done
            first.failed += other.failed
            first.unknown += other.unknown
            first.not_tried += other.not_tried
    return first
