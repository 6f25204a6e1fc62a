"""The COMMIT rule in an ORM Session: sent when all of its commits are done, raised at its end.

Whether it is the Session that commits is not noted anywhere: its SessionTransaction is PREPARED
then, and only then. So an error in between leaves nothing behind that a later commit, by the owner
of the Session's connection, would be taken for.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import SAWarning

from .connections import idle
from .errors import PitrAfterCommitError, PitrError
from .flush import CommitOutcome, flush
from .listeners import add_listener
from .queued import Queued

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext
    from sqlalchemy.orm import Session, SessionTransaction

    from .transaction import TransactionalDDLElement

_attach_lock = threading.Lock()
_sessions: weakref.WeakKeyDictionary[Session, SessionFlush] = weakref.WeakKeyDictionary()
_watched: weakref.WeakSet[Dialect] = weakref.WeakSet()


class SessionFlush:
    """Sends a Session's statements when all of its commits are done, and raises at the very end.

    An error out of ``Session.commit()`` makes SQLAlchemy treat the session as rolled back although
    its rows are committed. So statements wait (are parked) until ``after_commit``, when every
    connection of the session is committed, and an error waits for ``after_transaction_end``, when
    the session's objects are persistent and the session is usable.
    """

    def __init__(self, session: Session) -> None:
        self._session = weakref.ref(session)
        self._clear()

    def _clear(self) -> None:
        self._parked: list[tuple[Connection, list[Queued]]] = []
        self._done: list[TransactionalDDLElement] = []
        self._errors: list[BaseException] = []
        self._told = False

    @classmethod
    def of(cls, session: Session) -> SessionFlush:
        """The one of a session; its listeners are added the first time."""
        with _attach_lock:
            found = _sessions.get(session)
            if found is None:
                found = _sessions[session] = cls(session)
                # first: a listener of the user's that raises must not keep statements from being
                # sent, nor hide our report
                add_listener(session, "after_commit", found._after_commit, first=True)
                add_listener(
                    session, "after_transaction_end", found._after_transaction_end, first=True
                )
            return found

    def park(self, connection: Connection, items: list[Queued]) -> bool:
        """Keep statements until the session has committed.

        False where it is not the session that commits, but the owner of its connection.
        """
        transaction = self._committing()
        if transaction is None:
            return False
        for one, *_ in transaction._connections.values():
            _watch(one.dialect)
        self._parked.append((connection, items))
        return True

    def _committing(self) -> SessionTransaction | None:
        """The session's transaction, while it commits its connections."""
        from sqlalchemy.orm.session import SessionTransactionState

        session = self._session()
        transaction = None if session is None else session.get_transaction()
        if transaction is None or transaction._state is not SessionTransactionState.PREPARED:
            return None
        return transaction

    def interrupted(self, error: BaseException) -> None:
        """Tell of the parked statements in an error that comes out of a commit of the session.

        Now: where an AsyncSession is closed after it, nothing says that it is on its way.
        """
        if self._parked and self._committing() is not None:
            error.add_note(CommitOutcome(not_tried=self._left()).report())
            self._told = True

    def _left(self) -> list[TransactionalDDLElement]:
        return [item.element for _, items in self._parked for item in items]

    def _after_commit(self, session: Session) -> None:
        self._told = False
        while self._parked:
            connection, items = self._parked.pop(0)
            try:
                with _outside_context_manager(connection), idle(connection):
                    self._done += flush(connection, items)
            except BaseException as error:  # noqa: BLE001 - raised at the end of the Session
                self._errors.append(error)
                if not isinstance(error, Exception):
                    return

    def _after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        left, done, errors, told = self._left(), self._done, self._errors, self._told
        self._clear()
        if left and not told:
            report = CommitOutcome(not_tried=left)
            reason = errors[0] if errors else sys.exception()
            if reason is not None:
                reason.add_note(report.report())
            else:
                errors.append(report.error(PitrError("the session's commit did not finish")))
        if errors:
            _raise_or_warn(_one_error(done, errors), session)


def _raise_or_warn(error: BaseException, session: Session) -> None:
    """Raise out of ``commit()``.

    Where another error has come out of it, and the session ends later, that one stays what it is:
    it gets a note, or a warning speaks.
    """
    if _committing_session() is session or not isinstance(error, Exception):
        raise error
    on_its_way = sys.exception()
    if on_its_way is not None:
        on_its_way.add_note(str(error))
    else:
        warnings.warn(str(error), SAWarning, stacklevel=2)


@contextlib.contextmanager
def _outside_context_manager(connection: Connection) -> Iterator[None]:
    """``with connection.begin():`` lets nothing be sent between its transaction's end and its own.

    It is there still where a ``control_fully`` session has committed its connection.
    """
    manager, connection._trans_context_manager = connection._trans_context_manager, None
    try:
        yield
    finally:
        connection._trans_context_manager = manager


def _watch(dialect: Dialect) -> None:
    """Hear of errors on the connections of a session that commits, once for each dialect."""
    with _attach_lock:
        if dialect not in _watched:
            _watched.add(dialect)
            add_listener(dialect, "handle_error", _on_error)


def _on_error(context: ExceptionContext) -> None:
    session = _committing_session()
    found = None if session is None else _sessions.get(session)
    if found is not None:
        found.interrupted(
            getattr(context, "chained_exception", None)
            or context.sqlalchemy_exception
            or context.original_exception
        )


def _committing_session() -> Session | None:
    """The session whose commit has called us, found on the call stack."""
    from sqlalchemy.orm import SessionTransaction

    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "commit":
            transaction = frame.f_locals.get("self")
            if isinstance(transaction, SessionTransaction):
                return transaction.session
        frame = frame.f_back
    return None


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
