"""Decide when a statement reaches the server: now, or after the COMMIT of its transaction.

The rule that users learn is SQLAlchemy's own: *a PITR statement takes effect when its transaction
commits, and a rollback discards it; on an AUTOCOMMIT connection it takes effect at once.*

Theory of operation
-------------------

MatrixOne offers no such thing: it refuses PITR statements inside a transaction, and never rolls one
back. So statements wait in a queue, which belongs to one
:class:`~sqlalchemy.engine.RootTransaction` and dies with it::

    execute()      resolve, compile, validate --> queue       refused once the commit has begun
                                                    |
    rollback()                                      +--> forgotten with the transaction
                                                    |
    commit()   1   _on_commit_begun   close the queue         stays the engine's first listener
               2   the user's commit listeners                may veto: nothing is sent then
               3   _on_commit         COMMIT                  stays the engine's last listener
               4   flush()            statement, COMMIT, statement, COMMIT, ...
               5   SQLAlchemy's own COMMIT, of nothing

*Which transaction.* The queue is keyed weakly by the transaction (queued.py).

*Whether the commit has begun.* Step 1 closes the queue, and leaves a closed one on a transaction
that had none. Listeners of a Connection, of an engine made by ``execution_options()`` and of the
class Engine run before it, so ``execute()`` also looks for SQLAlchemy's ``_commit_impl`` on the
call stack. Our listeners are added at an engine's first PITR statement: a commit that other tasks
have begun before does not call them, so that once the stacks of all greenlets are looked through.

*Between two looks.* Whatever awaits may let another task commit or roll back. ``execute()`` does
all that awaits first, then looks at the transaction again, and then queues without awaiting.

*Who sends.* :func:`~.flush.flush` (flush.py), right away; or at the end of a Session's commit, when
the Session parks them (session.py). Every statement goes through SQLAlchemy, so that echo, events
and errors are as usual.

*What ends the transaction unasked.* Up to 4.2 any SET does. The queue waits on for ``commit()``,
and a warning says that a rollback undoes less than it seems.

Pitfalls that shaped this module: docs/architecture.md, What broke naive versions.
"""

from __future__ import annotations

import gc
import re
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.engine.base import RootTransaction, TwoPhaseTransaction
from sqlalchemy.engine.cursor import (
    _NO_CURSOR_DML,
)  # the public way to make a result needs a cursor
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SAWarning
from sqlalchemy.sql.ddl import ExecutableDDLElement

from . import server
from .connections import (
    ask,
    at_connect,
    has_open_work,
    is_autocommit,
    pause,
    refuse_in_past,
    roll_back,
    tell,
)
from .errors import (
    PitrAfterCommitError,
    PitrTransactionError,
    PitrValidationError,
    classify,
    driver_code_and_text,
    is_settled,
)
from .flush import SENT, MakeBatch, end_transaction, flush, listed, typed_error
from .listeners import add_listener, surround_listeners
from .queued import Parking, Queue, Queued, close_queue, queue_of
from .without_literals import without_literals

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection


class TransactionalDDLElement(ExecutableDDLElement):
    """A DDL element that takes effect when its transaction commits.

    ``conn.execute(element)`` decides here what happens; what the element says is its subclass's.
    """

    deferrable = True
    """False: never queued. It is sent at once, by :meth:`send_aside`, where the caller's connection
    has no transaction or is AUTOCOMMIT; else refused."""

    name: str
    """The name of the PITR that it is about; errors carry it."""

    batch: ClassVar[MakeBatch | None] = None
    """Makes what the elements of one flush share; entered before the first of them is sent."""

    independent = False
    """Whether those behind it are sent although it is refused; all is reported at the end. So it
    may be sent together with others that share its ``batch`` and touch nothing that it touches."""

    internal = False
    """Whether it belongs to the transaction it is sent in, and takes effect at its COMMIT."""

    note_on_failure: str | None = None
    """Added to the error when it is not done although its transaction is committed."""

    note_on_failed_commit: str | None = None
    """Added to the error when it is not sent, since the COMMIT of its transaction has failed."""

    def as_raised(self, error: PitrAfterCommitError) -> PitrAfterCommitError:
        """The error of its transaction, as it is raised; a subclass may make it a framework's."""
        return error

    def decided(self, shared: Any) -> TransactionalDDLElement | None:
        """The element that is sent in its place, decided when it is sent; None is nothing.

        :param shared: what its ``batch`` has made.
        """
        return self

    def touched(self, shared: Any) -> frozenset[object]:
        """Names and objects that an independent element reads and changes, hashable."""
        return frozenset()

    def note(self, connection: Connection, shared: Any, done: Sequence[Any]) -> None:
        """Note the elements that have been sent in its place and are done; in the order of the
        statements.

        :param connection: the transaction's.
        """

    @property
    def pitr_name(self) -> str:
        """The name that errors carry."""
        return self.name

    def check_dialect(self, dialect: Dialect) -> None:
        """Refuse a dialect that the element does not compile on."""
        raise NotImplementedError

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        """The element with everything filled in that only a connection knows."""
        raise NotImplementedError

    def send_aside(self, engine: Engine, options: Mapping[str, Any]) -> None:
        """Send a resolved element that is not deferrable, on a connection of its own."""
        raise NotImplementedError

    def _execute_on_connection(
        self, connection: Connection, distilled_params: Any, execution_options: Any
    ) -> CursorResult[Any]:
        return execute(connection, self, execution_options)

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        """Send it now, through SQLAlchemy's own execution of DDL.

        A subclass may send several elements in its place, or nothing: it gives the options on to
        their ``_send()``, and :func:`flush` reports what was sent.
        """
        options.get(SENT, []).append(self)
        options = {**options, "no_parameters": False}  # quoting doubles % for the driver
        sent: CursorResult[Any] = ExecutableDDLElement._execute_on_connection(  # type: ignore[no-untyped-call]
            self, connection, (), options
        )
        return sent


# ----------------------------------------------------------------------------- executing an element


def execute(
    connection: Connection,
    element: TransactionalDDLElement,
    options: Mapping[str, Any],
    *,
    session: Parking | None = None,
) -> CursorResult[Any]:
    """Execute an element by the rule of this module.

    :raises PitrTransactionError: the transaction cannot carry the statement.
    """
    element.check_dialect(connection.dialect)
    version = server.require_matrixone(connection)
    merged = {
        **element.get_execution_options(),
        **connection.get_execution_options(),
        **options,
    }
    refuse_in_past(merged, type(element).__name__)
    if is_autocommit(connection):
        _make_autocommit_real(connection)
        if element.deferrable:
            return send_now(connection, element.resolve(connection, merged), options)
    if not element.deferrable:
        return _execute_on_idle(connection, element, merged, options)

    transaction = connection.get_transaction() or connection.begin()
    newly_attached = attach(connection.engine)
    _accepting(connection, transaction, element, in_any_task=newly_attached)
    resolved = element.resolve(connection, merged)
    str(resolved)  # what does not compile is refused now
    if connection.dialect.is_async:
        # an execute() that awaits nothing is taken for a mistake by SQLAlchemy; a task that is
        # cancelled here has queued nothing
        pause(connection, 0)
    queue = _accepting(connection, transaction, element)
    streams = bool(options.get("stream_results"))
    queue.items.append(
        Queued(resolved, {name: options[name] for name in options if name != "stream_results"})
    )
    if queue.set_commits is None:
        queue.set_commits = server.rules_of(version).set_commits
    if session is not None:
        queue.sessions.add(session)
    return _PendingResult(connection, streams=streams)


def _accepting(
    connection: Connection,
    transaction: RootTransaction,
    element: TransactionalDDLElement,
    *,
    in_any_task: bool = False,
) -> Queue:
    """The queue of a transaction that can carry a statement.

    :raises PitrTransactionError: it cannot.
    """
    if isinstance(transaction, TwoPhaseTransaction):
        raise PitrTransactionError(
            "a two-phase transaction cannot carry PITR statements: MatrixOne has no XA; use an "
            "ordinary transaction",
            name=element.pitr_name,
        )
    if connection.get_transaction() is not transaction:
        raise PitrTransactionError(
            "this transaction was committed or rolled back by another task before the PITR "
            "statement could be queued; nothing is sent: await execute() before commit()",
            name=element.pitr_name,
        )
    nested = connection.get_nested_transaction()
    if not transaction.is_active or (nested is not None and not nested.is_active):
        raise PendingRollbackError(
            "This connection's transaction has failed; call rollback() before executing "
            "PITR statements."
        )
    queue = queue_of(transaction, create=True)
    assert queue is not None
    if not queue.closed and _is_committing(connection, in_any_task=in_any_task):
        queue.closed = True
    if queue.closed:
        raise PitrTransactionError(
            "this transaction is being committed and takes no further PITR statements: execute "
            "them before commit(), not in a listener or another task that runs during it",
            name=element.pitr_name,
        )
    if queue.failed_savepoint is not None:
        raise _savepoint_error(queue.failed_savepoint, element.pitr_name)
    return queue


def send_now(
    connection: Connection, element: TransactionalDDLElement, options: Mapping[str, Any]
) -> CursorResult[Any]:
    """Send a resolved element at once; a refusal becomes the PitrError that it means."""
    try:
        return element._send(connection, options)
    except DBAPIError as error:
        typed = typed_error(error, element)
        if typed is None:
            raise
        raise typed from error


def _execute_on_idle(
    connection: Connection,
    element: TransactionalDDLElement,
    merged: Mapping[str, Any],
    options: Mapping[str, Any],
) -> CursorResult[Any]:
    in_transaction = connection.in_transaction() and not is_autocommit(connection)
    if in_transaction or has_open_work(connection):
        raise PitrTransactionError(
            f"{type(element).__name__} runs at once and no rollback undoes it, so it is not "
            "executed inside a transaction: commit or roll back first, also what was begun by a "
            "BEGIN sent as text or written through a cursor of the driver's; or use an AUTOCOMMIT "
            "connection, or PitrManager(engine).restore() (a Session is always in a transaction)",
            name=element.pitr_name,
        )
    element.resolve(connection, merged).send_aside(connection.engine, options)
    return _PendingResult(connection)


def send_idle(
    connection: Connection,
    element: TransactionalDDLElement,
    merged: Mapping[str, Any],
    options: Mapping[str, Any],
) -> CursorResult[Any]:
    """Send an element at once on an idle connection."""
    resolved = element.resolve(connection, merged)
    roll_back(connection)
    return send_now(connection, resolved, options)


class _PendingResult(CursorResult[Any]):
    """The result of a statement that waits for COMMIT: closed, without rows."""

    closed = True
    _soft_closed = True
    _is_cursor = False  # AsyncConnection would look for a server-side cursor

    rowcount = 0

    def __init__(self, connection: Connection, *, streams: bool = False) -> None:
        self.context: Any = SimpleNamespace(
            compiled=None,
            isinsert=False,
            isupdate=False,
            isdelete=False,
            _is_server_side=streams,  # AsyncConnection.stream() asserts it
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


def is_pending(result: CursorResult[Any]) -> bool:
    """Whether a result is of a statement that has not been sent."""
    return isinstance(result, _PendingResult)


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
    queue = queue_of(sync.get_transaction())
    return [] if queue is None else [item.element for item in queue.items]


def take_back(
    connection: Connection, unwanted: Callable[[TransactionalDDLElement], bool]
) -> list[TransactionalDDLElement]:
    """Remove elements from what the connection's transaction will send, and return them."""
    queue = queue_of(connection.get_transaction())
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
        surround_listeners(engine, "commit", first=_on_commit_begun, last=_on_commit)
        add_listener(engine, "rollback_savepoint", _on_rollback_savepoint)
        add_listener(engine, "after_cursor_execute", _on_statement, first=True)
        add_listener(engine.dialect, "handle_error", _on_error)
        if not getattr(engine.dialect, "is_matrixone", False):
            add_listener(engine, "engine_connect", _on_engine_connect)
        _attached.add(engine)
        return True


def _is_committing(connection: Connection, *, in_any_task: bool = False) -> bool:
    """Whether SQLAlchemy's commit of this connection has called us.

    :param in_any_task: whether it is running in another task, too.
    """
    if in_any_task and connection.dialect.is_async:
        return any(_commits(connection, stack) for stack in (sys._getframe(), *_other_stacks()))
    return _commits(connection, sys._getframe())


def _commits(connection: Connection, stack: FrameType) -> bool:
    frame: FrameType | None = stack
    while frame is not None:
        if frame.f_code.co_name == "_commit_impl" and frame.f_locals.get("self") is connection:
            return True
        frame = frame.f_back
    return False


def _other_stacks() -> Iterator[FrameType]:
    """Find where SQLAlchemy's greenlets of other tasks wait. Slow: it looks at every object."""
    from greenlet import greenlet  # type: ignore[import-untyped, unused-ignore]

    for one in gc.get_objects():
        if issubclass(type(one), greenlet) and one.gr_frame is not None:
            yield one.gr_frame


def _on_commit_begun(connection: Connection) -> None:
    """Close the queue, before any listener of the user's on the engine."""
    close_queue(connection.get_transaction())


def _on_commit(connection: Connection) -> None:
    """Commit and send, after every listener of the user's, which may veto."""
    queue = queue_of(connection.get_transaction())
    if queue is None:
        return
    items, queue.items = queue.items, []
    if queue.failed_savepoint is not None:
        end_transaction(connection, in_step=True)
        raise _savepoint_error(queue.failed_savepoint)
    if not items:
        return
    outside = sys.exception()
    try:
        connection.exec_driver_sql("COMMIT")
    except BaseException as error:
        end_transaction(connection, in_step=is_settled(error, outside=outside))
        waiting = listed([item.element for item in items])
        error.add_note(f"PITR statements of this transaction that were not sent: {waiting}")
        for note in dict.fromkeys(item.element.note_on_failed_commit for item in items):
            if note is not None:
                error.add_note(note)
        raise
    if not any(session.park(connection, items) for session in list(queue.sessions)):
        flush(connection, items)


def _on_rollback_savepoint(connection: Connection, name: str, context: None) -> None:
    note_failed_savepoint(connection, name)


def note_failed_savepoint(connection: Connection, name: str) -> None:
    """Remember that a transaction tried to roll back to a savepoint: it must not be committed."""
    queue = queue_of(connection.get_transaction(), create=True)
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


# ---------------------------------------------------------------------------------------------- SET


_SET = re.compile(r"(?:\A|;)(?:\s|/\*!\d*+)*+SET\b", re.IGNORECASE)


def _is_set(statement: str) -> bool:
    """Whether it is a SET, or has one among several statements; ``/*! */`` is executed.

    >>> _is_set("/* a; */ set names utf8mb4"), _is_set("UPDATE t SET a = '; SET'")
    (True, False)
    """
    return _SET.search(without_literals(statement)) is not None


def _on_statement(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    """Warn of a SET that has run: it committed, and a rollback discards the policies alone.

    One that the server refuses, as it does SET TRANSACTION and SET ROLE in a transaction, commits
    nothing.
    """
    queue = queue_of(connection.get_transaction())
    if queue is not None and queue.items and queue.set_commits and _is_set(statement):
        queue.set_commits = False
        waiting = listed([item.element for item in queue.items])
        warnings.warn(
            f"{statement!r} has committed the open transaction, as any SET does on MatrixOne up to "
            "4.2: what was written before is stored, and a rollback does not undo it. PITR "
            f"statements still wait for commit(): {waiting}. Send SET before the transaction "
            "begins, or in a connect listener",
            SAWarning,
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """The ``stacklevel`` of the user's line, below SQLAlchemy's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and (
        level == 1 or frame.f_globals.get("__name__", "").startswith("sqlalchemy.")
    ):
        level, frame = level + 1, frame.f_back
    return level


# -------------------------------------------------------------------------------------- AUTOCOMMIT


def _on_engine_connect(connection: Connection) -> None:
    """Make AUTOCOMMIT real at checkout, on an engine whose dialect does not."""
    if is_autocommit(connection):
        at_connect(connection, lambda: tell(connection, "SET AUTOCOMMIT = 1"))


def _make_autocommit_real(connection: Connection) -> None:
    """Set AUTOCOMMIT by a statement, on other dialects than ours.

    The driver trusts the lying bit and may have sent nothing.

    Where it has not, what was written so far was meant to be committed. Where it has, a ``BEGIN``
    sent as text is the caller's to end.
    """
    if not getattr(connection.dialect, "is_matrixone", False):
        attach(connection.engine)
        if str(ask(connection, "SELECT @@autocommit")).lower() in ("0", "off", "false"):
            tell(connection, "COMMIT")
            tell(connection, "SET AUTOCOMMIT = 1")
