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

import re
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.engine.base import RootTransaction, TwoPhaseTransaction
from sqlalchemy.engine.cursor import (
    _NO_CURSOR_DML,
)  # the public way to make a result needs a cursor
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.sql.ddl import ExecutableDDLElement

from . import server
from .connections import (
    ask,
    at_connect,
    has_open_work,
    is_autocommit,
    pause,
    roll_back,
    tell,
)
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
    """False: never queued. It is sent at once, by :meth:`send_aside`, where the caller's connection
    has no transaction or is AUTOCOMMIT; else refused."""

    name: str
    """Of the PITR that it is about; errors carry it."""

    note_on_failure: str | None = None
    """Added to the error when it is not done although its transaction is committed."""

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
        """Through SQLAlchemy's own execution of DDL, now."""
        options = {**options, "no_parameters": False}  # quoting doubles % for the driver
        sent: CursorResult[Any] = ExecutableDDLElement._execute_on_connection(  # type: ignore[no-untyped-call]
            self, connection, (), options
        )
        return sent


# ----------------------------------------------------------------------------- executing an element


class Parking(Protocol):
    """A Session, which sends its connections' statements when all of them are committed."""

    def park(self, connection: Connection, items: list[Queued]) -> bool:
        """Keep the statements of a committed connection; False where they are to be sent now."""
        ...


@dataclass(frozen=True, slots=True)
class Queued:
    element: TransactionalDDLElement
    options: Mapping[str, Any]
    statement: str


@dataclass(eq=False, slots=True)
class _Queue:
    """What one transaction will send after its COMMIT."""

    items: list[Queued] = field(default_factory=list)
    closed: bool = False
    failed_savepoint: str | None = None
    session: weakref.ref[Parking] | None = None


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
    server.require_matrixone(connection)
    merged = {
        **element.get_execution_options(),
        **connection.get_execution_options(),
        **options,
    }
    if is_autocommit(connection):
        _make_autocommit_real(connection)
        if element.deferrable:
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
    item = Queued(resolved, dict(options), str(resolved))
    if connection.dialect.is_async:
        # an execute() that awaits nothing is taken for a mistake by SQLAlchemy; a task that is
        # cancelled here has queued nothing
        pause(connection, 0)
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


def flush(connection: Connection, items: Sequence[Queued]) -> None:
    """Send queued statements, each followed by COMMIT; their transaction is committed already.

    :raises PitrAfterCommitError: one was refused, or its answer was lost; nothing is retried.
    """
    done: list[Queued] = []
    together = Together([item.element for item in items])
    for position, item in enumerate(items):
        current: Queued | None = item
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
            outcome = Outcome(
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


def _list(items: Sequence[Queued]) -> str:
    return "; ".join(item.statement for item in items)


@dataclass(slots=True)
class Outcome:
    """What became of the PITR statements of a committed transaction."""

    done: list[Queued] = field(default_factory=list)
    failed: list[Queued] = field(default_factory=list)
    unknown: list[Queued] = field(default_factory=list)
    not_tried: list[Queued] = field(default_factory=list)

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
        at_connect(connection, lambda: tell(connection, "SET AUTOCOMMIT = 1"))


def _make_autocommit_real(connection: Connection) -> None:
    """On other dialects than ours: the driver trusts the lying bit and may have sent nothing.

    Where it has not, what was written so far was meant to be committed. Where it has, a ``BEGIN``
    sent as text is the caller's to end.
    """
    if not getattr(connection.dialect, "is_matrixone", False):
        attach(connection.engine)
        if str(ask(connection, "SELECT @@autocommit")).lower() in ("0", "off", "false"):
            tell(connection, "COMMIT")
            tell(connection, "SET AUTOCOMMIT = 1")
