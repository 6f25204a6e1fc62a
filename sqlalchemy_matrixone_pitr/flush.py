"""Send the statements of a committed transaction, and report what became of each.

*One after the other.* The first one that is not done ends it: the user's transaction is a sequence,
and those behind are ``not_tried``. Elements that say ``independent`` are no sequence, and where
many of them are about different policies, :class:`_Wave` sends them over several connections. What
is about one policy or one object keeps its order, since it cannot be in one wave. The report, and
what the elements say of what they have done, is in the order of the statements all the same.

*What is reported.* An element may decide to send another one, or nothing. ``_send()`` records what
it gives to SQLAlchemy in the list under :data:`SENT`, and the report is about that. Only the
server's answer to that statement makes it ``failed``. With the list empty nothing was sent:
``not_tried``. Anything else is ``unknown`` until it is read back.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .connections import end_for_sure
from .errors import (
    PitrAfterCommitError,
    PitrError,
    from_dbapi_error,
    is_settled,
    server_answer,
)
from .queued import Queued, close_queue
from .workers import Workers

if TYPE_CHECKING:
    from .transaction import TransactionalDDLElement

SENT: Final = "matrixone_pitr_sent"
"""Execution option of a statement that is reported on: a list of the elements that were sent."""


LARGEST_ALONE: Final = 12
"""So many independent statements are sent on the transaction's own connection; more of them over
several, which cost a moment to open."""

CONNECTIONS: Final = 4
"""So many of them; as :func:`~.apply.apply_plan` takes unless it is told otherwise."""

MakeBatch: TypeAlias = (
    "Callable[[Connection, Sequence[TransactionalDDLElement]], AbstractContextManager[object]]"
)


def flush(connection: Connection, items: Sequence[Queued]) -> list[TransactionalDDLElement]:
    """Send queued statements, each followed by COMMIT; their transaction is committed already.

    :returns: the elements that were sent, in order.
    :raises PitrAfterCommitError: one was refused, or its answer was lost; nothing is retried.
    """
    outcome = CommitOutcome()
    failures: list[_Failure] = []
    sendings = [_Sending(item) for item in items]
    try:
        with _Batches(connection, items) as batches:
            left = sendings
            while left and not any(failure.ends_it for failure in failures):
                some = batches.wave(left) or left[:1]
                left = left[len(some) :]
                if len(some) > 1:
                    _Wave(connection, some, batches).send()
                else:
                    _send_one(connection, some[0], batches)
                failures += [one.failure for one in some if one.failure is not None]
    except BaseException as error:  # interrupted, or while a batch ended
        for sending in sendings:
            sending.add_to(outcome)
        error.add_note(outcome.report())
        raise
    for sending in sendings:
        sending.add_to(outcome)
    if failures:
        first, *others = failures
        report = outcome.error(first.error, first.element, first.answer)
        for other in others:
            report.add_note(f"Also: {other.error}")
        unfinished = [sending.item.element for sending in sendings if not sending.is_done]
        for note in dict.fromkeys(element.note_on_failure for element in unfinished):
            if note is not None:
                report.add_note(note)
        for item in items:
            report = item.element.as_raised(report)
        raise report from report.__cause__
    return outcome.done


@dataclass(slots=True)
class _Failure:
    """Why an element was not done.

    :ivar element: None where it was, and its COMMIT failed.
    :ivar answer: the server's refusal, which may be behind the error.
    :ivar ends_it: whether nothing more may be sent.
    """

    error: Exception
    element: TransactionalDDLElement | None
    answer: DBAPIError | None
    ends_it: bool


class _Sending:
    """An element on its way, and what became of it.

    :ivar chosen: what is sent in its place, once it is decided.
    :ivar ended: whether it is known what became of it.
    :ivar sent: the elements that were given to SQLAlchemy.
    :ivar failure: why it is not done; None also where it was not tried, or was interrupted.
    """

    def __init__(self, item: Queued) -> None:
        self.item = item
        self.decided = self.ended = self._noted = False
        self.chosen: TransactionalDDLElement | None = None
        self.sent: list[TransactionalDDLElement] = []
        self.failure: _Failure | None = None
        self._outcome = CommitOutcome()

    def decide(self, shared: object) -> None:
        if not self.decided:
            self.chosen = self.item.element.decided(shared)
            self.decided = True

    def send(self, connection: Connection) -> None:
        if self.chosen is not None:
            self.chosen._send(connection, {**self.item.options, SENT: self.sent})

    def succeed(self) -> None:
        self._outcome.done = self.sent
        self.ended = True

    def fail(
        self, error: BaseException, outside: BaseException | None, *, answered: bool = False
    ) -> bool:
        """Put down what became of it, and return whether nothing is running on the server.

        :param answered: the server has done it; it is its COMMIT that failed.
        """
        outcome, sent = self._outcome, self.sent
        current: TransactionalDDLElement | None = self.item.element
        answer = None
        if answered:
            current, outcome.done = None, sent
        elif not sent:
            outcome.not_tried = [self.item.element]
        else:
            *outcome.done, current = sent
            answer = server_answer(error, statement=str(current), outside=outside)
            (outcome.unknown if answer is None else outcome.failed).append(current)
        if isinstance(error, Exception):
            refused = answer is not None or (not sent and isinstance(error, PitrError))
            goes_on = refused and self.item.element.independent
            self.failure = _Failure(error, current, answer, not goes_on)
        self.ended = True
        return (not sent and isinstance(error, Exception)) or is_settled(error, outside=outside)

    def note(self, connection: Connection, batches: _Batches) -> None:
        """Let the element note what is done, once."""
        if self._outcome.done and not self._noted:
            self._noted = True
            element = self.item.element
            element.note(connection, batches.of(element), self._outcome.done)

    @property
    def is_done(self) -> bool:
        outcome = self._outcome
        return self.ended and not (outcome.failed or outcome.unknown or outcome.not_tried)

    def add_to(self, outcome: CommitOutcome) -> None:
        """Add what became of it, also where it has not ended."""
        mine = self._outcome
        if not self.ended:
            sent = self.sent[:]
            mine = CommitOutcome(done=sent[:-1], unknown=sent[-1:])
            if not sent:
                mine.not_tried = [self.item.element]
        outcome.done += mine.done
        outcome.failed += mine.failed
        outcome.unknown += mine.unknown
        outcome.not_tried += mine.not_tried


def _send_one(connection: Connection, sending: _Sending, batches: _Batches) -> None:
    """Send a statement and its COMMIT on the transaction's connection."""
    outside = sys.exception()
    answered = False
    try:
        close_queue(connection.get_transaction() or connection.begin())
        sending.decide(batches.of(sending.item.element))
        sending.send(connection)
        answered = not any(element.internal for element in sending.sent)
        connection.exec_driver_sql("COMMIT")
        sending.succeed()
    except BaseException as error:
        settled = sending.fail(error, outside, answered=answered)
        end_transaction(connection, in_step=settled)
        if not settled:
            batches.ended_by = error
        if sending.failure is not None and (batches.failed or connection.invalidated):
            sending.failure.ends_it = True
        if not isinstance(error, Exception):
            raise
    finally:
        sending.note(connection, batches)


class _Wave:
    """Independent elements that touch nothing in common, sent over several connections at once.

    What is sent for each is decided before, in order. The first error that ends it keeps what has
    not begun from being sent, and what is on its way comes to its end.
    """

    def __init__(
        self, connection: Connection, sendings: Sequence[_Sending], batches: _Batches
    ) -> None:
        self._connection = connection
        self._sendings = sendings
        self._batches = batches
        self._workers = Workers(connection)
        self._noted = 0

    def send(self) -> None:
        todo: deque[int] = deque()
        try:
            self._decide(todo)
            count = CONNECTIONS if len(todo) > LARGEST_ALONE else 1
            self._workers.run(todo, count, self._do, self._note)
        except Exception:
            if not todo or self._workers.stop.is_set():
                raise
            self._send_alone(todo)  # no other connection is to be had
        finally:
            for sending in self._sendings[self._noted :]:
                sending.note(self._connection, self._batches)

    def _decide(self, todo: deque[int]) -> None:
        shared = self._batches.of(self._sendings[0].item.element)
        for number, sending in enumerate(self._sendings):
            outside = sys.exception()
            try:
                sending.decide(shared)
            except Exception as error:  # noqa: BLE001 - as in _send_one()
                sending.fail(error, outside)
                if sending.failure is not None and sending.failure.ends_it:
                    return
            else:
                if sending.chosen is None:
                    sending.succeed()
                else:
                    todo.append(number)

    def _do(self, side: Connection, session: int, number: int) -> None:
        """Send one on an AUTOCOMMIT connection, which takes no COMMIT; leave nothing running."""
        sending, engine = self._sendings[number], self._connection.engine
        outside = sys.exception()
        self._workers.sending.add(session)
        try:
            sending.send(side)
            sending.succeed()
        except BaseException as error:
            settled = sending.fail(error, outside)
            if sending.failure is not None:
                sending.failure.ends_it |= side.invalidated or not settled
            if sending.failure is None or sending.failure.ends_it:
                self._workers.stop.set()
            if not settled:
                end_for_sure(engine, session)
                if not side.invalidated:
                    side.invalidate()
            if not isinstance(error, Exception):
                raise
        finally:
            self._workers.sending.discard(session)

    def _note(self, number: int) -> None:
        """Note what is done, up to the first one that has not ended."""
        try:
            while self._noted < len(self._sendings) and self._sendings[self._noted].ended:
                self._noted += 1
                self._sendings[self._noted - 1].note(self._connection, self._batches)
        except BaseException as error:
            self._workers.fatal = error
            self._workers.stop.set()
            raise

    def _send_alone(self, todo: deque[int]) -> None:
        """Send the rest on the transaction's own connection, one after the other."""
        while todo:
            sending = self._sendings[todo.popleft()]
            _send_one(self._connection, sending, self._batches)
            if sending.failure is not None and sending.failure.ends_it:
                return


class _Batches:
    """Objects that elements share while they are sent, by their makers.

    :ivar failed: whether making one has failed.
    :ivar ended_by: the error after which something may be running on the server: the objects hear
        of it when they end.
    """

    def __init__(self, connection: Connection, items: Sequence[Queued]) -> None:
        self._connection = connection
        self._items = items
        self._made: dict[MakeBatch, object] = {}
        self._stack = contextlib.ExitStack()
        self.failed = False
        self.ended_by: BaseException | None = None

    def of(self, element: TransactionalDDLElement) -> object:
        make = type(element).batch
        if make is None:
            return None
        if make not in self._made:
            elements = [i.element for i in self._items if type(i.element).batch is make]
            self.failed = True
            self._made[make] = self._stack.enter_context(make(self._connection, elements))
            self.failed = False
        return self._made[make]

    def wave(self, left: Sequence[_Sending]) -> list[_Sending]:
        """Those from the first on that may be sent at once; none where they are few.

        None before the first one of a batch is sent: what refuses all of them is known by then, and
        the row that the first PITR of a cluster creates is there (docs/server.md, Names).
        """
        if len(left) <= LARGEST_ALONE:
            return []
        taken: list[_Sending] = []
        touched: set[object] = set()
        make = None
        for sending in left:
            element = sending.item.element
            if not element.independent or type(element).batch not in self._made:
                break
            if make not in (None, type(element).batch):
                break
            make = type(element).batch
            touches = element.touched(self.of(element))
            if not touched.isdisjoint(touches):
                break
            touched |= touches
            taken.append(sending)
        return taken if len(taken) > LARGEST_ALONE else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> bool | None:
        error = self.ended_by
        if error is not None and raised[1] is None:
            raised = (type(error), error, error.__traceback__)
        return self._stack.__exit__(*raised)


def nothing_sent(options: Mapping[str, Any]) -> None:
    """Take back what ``_send()`` has recorded: the server refused, and that is nobody's error."""
    options.get(SENT, []).clear()


def end_transaction(connection: Connection, *, in_step: bool) -> None:
    """Leave no transaction open on the server: SQLAlchemy sends no rollback after a failed commit.

    :param in_step: whether the server has answered all that was sent. If not, the connection is
        given up.
    """
    if connection.invalidated:
        return
    if in_step:
        try:
            connection.exec_driver_sql("ROLLBACK")
        except SQLAlchemyError:
            pass
        else:
            return
    if not connection.invalidated:
        connection.invalidate()


def listed(elements: Sequence[TransactionalDDLElement]) -> str:
    return "; ".join(str(element) for element in elements)


@dataclass(slots=True)
class CommitOutcome:
    """The outcome of the PITR statements of a committed transaction."""

    done: list[TransactionalDDLElement] = field(default_factory=list)
    failed: list[TransactionalDDLElement] = field(default_factory=list)
    unknown: list[TransactionalDDLElement] = field(default_factory=list)
    not_tried: list[TransactionalDDLElement] = field(default_factory=list)

    def report(self) -> str:
        lines = ["The transaction is committed; its PITR statements are not all done."]
        for what, elements in (
            ("done", self.done),
            ("failed", self.failed),
            ("unknown, the answer was lost: read back before trying again", self.unknown),
            ("not tried", self.not_tried),
        ):
            if elements:
                lines.append(f"  {what}: {listed(elements)}")
        return "\n".join(lines)

    def error(
        self,
        cause: Exception,
        element: TransactionalDDLElement | None = None,
        answer: DBAPIError | None = None,
    ) -> PitrAfterCommitError:
        """The error that says so; its ``__cause__`` is set.

        :param element: the one that was not done.
        :param answer: the server's refusal of it, which may be behind the cause.
        """
        told: Exception = cause
        if answer is not None and element is not None and not isinstance(cause, PitrError):
            told = typed_error(answer, element) or cause
            if isinstance(cause, DBAPIError) and told is not cause:
                told.__cause__ = cause
                cause = told
        reason = str(cause) if isinstance(cause, PitrError) else f"{type(cause).__name__}: {cause}"
        made = PitrAfterCommitError(
            f"{self.report()}\n"
            "rollback() is needed before this connection is used again; it undoes nothing.\n"
            f"Reason: {reason}",
            done=self.done,
            failed=self.failed,
            unknown=self.unknown,
            not_tried=self.not_tried,
            name=None if element is None else element.pitr_name,
            errno=getattr(told, "errno", None),
            statement=getattr(told, "statement", None),
            orig=getattr(told, "orig", None),
        )
        made.__cause__ = cause
        return made


def typed_error(error: DBAPIError, element: TransactionalDDLElement) -> PitrError | None:
    return from_dbapi_error(error, name=element.pitr_name, statement=str(element))
