"""The COMMIT rule in an ORM Session: sent when all of its commits are done, raised at its end."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.engine import Connection

from .connections import idle
from .errors import PitrAfterCommitError, PitrError
from .transaction import Outcome, Queued, TransactionalDDLElement, flush

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

_attach_lock = threading.Lock()
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
        self._parked: list[tuple[Connection, list[Queued]]] = []
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

    def park(self, connection: Connection, items: list[Queued]) -> bool:
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
            report = Outcome(not_tried=left)
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
