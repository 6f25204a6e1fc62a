"""Making a Plan so: under the account lock, on a few connections at once, with a full report.

The plan is compared with the server once more under the lock: what another process has done
meanwhile is skipped, and what the plan did not show is not done. Each statement is sent once. Where
the connection is lost on the way, the outcome is read back before anything else is sent.
"""

from __future__ import annotations

import contextlib
import enum
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .connections import autocommit_connection, end_session
from .ddl import TABLE_CHECKED, PitrDDLElement
from .errors import (
    PitrAlreadyExistsError,
    PitrError,
    PitrTargetError,
    PitrValidationError,
    answered_by_server,
    is_name_taken,
)
from .generations import split_generation, target_of, target_text
from .locking import DEFAULT_TIMEOUT, account_lock
from .plan import Action, Conflict, Drop, Plan, Renew, again
from .reflection import ServerState, read_state, reading
from .transaction import send_now

MOST_CONNECTIONS: Final = 64
"""More connections than that change nothing but the load on the server."""


PATIENCE: Final = 2.0
"""Seconds that statements get to come to an end when an apply is interrupted."""


class Outcome(enum.StrEnum):
    """What became of an action."""

    DONE = "done"
    SKIPPED = "skipped"
    """Another process had done it already."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Interrupted; or the connection was lost, and so was the one that would have read back."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Progress:
    """What ``on_progress`` is called with, after each action.

    :ivar number: how many actions have come to an end, this one included.
    :ivar total: how many the plan has.
    """

    action: Action
    outcome: Outcome
    error: BaseException | None
    number: int
    total: int


OnProgress: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True, slots=True)
class Failure:
    """An action or conflict, and why it was not done."""

    action: Action | Conflict
    error: Exception


@dataclass(slots=True)
class ApplyReport:
    """What became of each action of a plan.

    :ivar done: took effect.
    :ivar skipped: was so already when its turn came; nothing was sent.
    :ivar failed: did not come about, with the error; where a renewal had to drop the old generation
        first and has done so, a note of the error says it.
    :ivar unknown: sent, but interrupted, or the answer lost and reading back failed too: run the
        plan again.
    :ivar not_tried: never sent: an error came first, or the server had changed.
    """

    done: list[Action] = field(default_factory=list)
    skipped: list[Action] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    unknown: list[Action] = field(default_factory=list)
    not_tried: list[Action] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all of the plan is so now."""
        return not (self.failed or self.unknown or self.not_tried)

    def raise_for_failed(self) -> None:
        """Raise where the plan is not so now; as :attr:`ok` tells.

        :raises PitrError: of the class of the first failure, with the whole report in its message.
        """
        if self.ok:
            return
        cause = self.failed[0].error if self.failed else None
        kind = type(cause) if isinstance(cause, PitrError) else PitrError
        raise kind(f"the plan was not applied as a whole.\n{self}") from cause

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "ok": self.ok,
            "done": [action.to_dict() for action in self.done],
            "skipped": [action.to_dict() for action in self.skipped],
            "failed": [
                {**failure.action.to_dict(), "error": str(failure.error)} for failure in self.failed
            ],
            "unknown": [action.to_dict() for action in self.unknown],
            "not_tried": [action.to_dict() for action in self.not_tried],
        }

    def __str__(self) -> str:
        counts = ", ".join(
            f"{len(items)} {what}"
            for what, items in (
                ("done", self.done),
                ("already so", self.skipped),
                ("failed", self.failed),
                ("unknown", self.unknown),
                ("not tried", self.not_tried),
            )
            if items
        )
        lines = [counts or "nothing to do"]
        for failure in self.failed:
            notes = getattr(failure.error, "__notes__", [])
            lines.append("\n    ".join((f"  failed: {failure.action}", str(failure.error), *notes)))
        lines += [f"  unknown, run the plan again: {action}" for action in self.unknown]
        lines += [f"  not tried: {action}" for action in self.not_tried[:20]]
        if len(self.not_tried) > 20:
            lines.append(f"  ... and {len(self.not_tried) - 20} more not tried")
        return "\n".join(lines)

    def _put(self, action: Action, outcome: Outcome, error: BaseException | None) -> None:
        if outcome is Outcome.FAILED:
            assert isinstance(error, Exception)
            self.failed.append(Failure(action, error))
        else:
            of: dict[Outcome, list[Action]] = {
                Outcome.DONE: self.done,
                Outcome.SKIPPED: self.skipped,
                Outcome.UNKNOWN: self.unknown,
                Outcome.NOT_TRIED: self.not_tried,
            }
            of[outcome].append(action)


def apply_plan(
    engine: Engine,
    plan: Plan,
    concurrency: int = 4,
    allow_destructive: bool = False,
    on_progress: OnProgress | None = None,
    *,
    keep_going: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> ApplyReport:
    """Make a plan so, and say what became of each action. It can simply be run again.

    From 4.2 on the server lets a statement wait for another session's uncommitted ALTER TABLE, for
    as long as that lasts. Ctrl-C ends the wait, on the server too.

    :param concurrency: connections that send at once, 1 to 64.
    :param allow_destructive: without it a plan after which less can be restored is refused.
    :param on_progress: called after each action, in this thread.
    :param keep_going: do the other actions after an error; without it the first error ends it.
    :param timeout: seconds to wait for the account lock.
    :returns: a report, also of failures: look at ``report.ok``, or call
        ``report.raise_for_failed()``.
    :raises PitrValidationError: destructive and not allowed; nothing was sent.
    :raises PitrLockTimeoutError: another program held the lock; nothing was sent.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> print(apply_plan(engine, plan_pitrs(engine, metadata)))
    1 done
    >>> plan_pitrs(engine, metadata).in_sync
    True
    """
    _check(engine, plan, concurrency, allow_destructive)
    if not plan.actions and not plan.conflicts:
        return ApplyReport()
    with account_lock(engine, timeout):
        with reading(engine) as connection:
            state = _read(connection, plan)
        run = _Run(engine, plan, state, concurrency, keep_going, on_progress)
        return run.run()


def _check(engine: Engine, plan: Plan, concurrency: int, allow_destructive: bool) -> None:
    if not isinstance(engine, Engine):
        raise PitrValidationError(
            f"apply_plan takes an Engine, not {type(engine).__name__}: it uses connections of its "
            "own; for an AsyncEngine there is apply_plan_async"
        )
    if not isinstance(plan, Plan):
        raise PitrValidationError(f"apply_plan takes a Plan of plan_pitrs(), not {plan!r}")
    if type(concurrency) is not int or not 1 <= concurrency <= MOST_CONNECTIONS:
        raise PitrValidationError(
            f"concurrency={concurrency!r} is outside 1 to {MOST_CONNECTIONS}: give a number of "
            "connections"
        )
    destructive = plan.destructive
    if destructive and not allow_destructive:
        lines = "\n".join(f"  {action}\n    {action.cost}" for action in destructive[:20])
        raise PitrValidationError(
            f"{len(destructive)} of the plan's actions are destructive, and nothing was sent: pass "
            "allow_destructive=True, or leave them out with "
            f"plan.only(lambda action: not action.destructive)\n{lines}"
        )


def _read(connection: Connection, plan: Plan) -> ServerState:
    scope = plan.scope
    tables = {pitr.table_name for pitr in scope.declared if pitr.table_name is not None}
    return read_state(connection, databases=scope.databases, tables=tables)


class _Run:
    """One application of a plan; the account lock is held."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        state: ServerState,
        concurrency: int,
        keep_going: bool,
        on_progress: OnProgress | None,
    ) -> None:
        self.engine = engine
        self.plan = plan
        self.state = state
        self.concurrency = concurrency
        self.keep_going = keep_going
        self.on_progress = on_progress
        self.report = ApplyReport()
        self.stop = threading.Event()
        self.blocked: list[Action] = []
        self.sending: set[int] = set()
        self.begun: set[int] = set()
        self.results: dict[int, _Result] = {}

    def run(self) -> ApplyReport:
        todo = self._still_to_do()
        try:
            for stage in _stages(todo):
                self._run_stage(stage)
        except BaseException as error:
            for action in todo:
                self._report_late(action)
            error.add_note(f"The plan was being applied:\n{self.report}")
            error.report = self.report  # type: ignore[attr-defined]
            raise
        return self.report

    # -- before anything is sent

    def _still_to_do(self) -> list[Action]:
        """The plan's actions that a comparison with the server's present state still wants."""
        fresh = again(self.plan, self.state)
        for conflict in fresh.conflicts:
            self.report.failed.append(Failure(conflict, conflict_error(conflict)))
        if fresh.conflicts and not self.keep_going:
            self.stop.set()
        by_effect = {_effect(action): action for action in fresh.actions}
        concerned = {_subject(action) for action in fresh.actions}
        todo = []
        for action in self.plan.actions:
            now = by_effect.get(_effect(action))
            if now is not None and (action.destructive or not now.destructive):
                todo.append(now)
            elif now is None and _subject(action) not in concerned and not fresh.conflicts:
                self._tell(action, Outcome.SKIPPED, None)
            else:  # the server has changed: it would do something else now than was shown
                self._tell(action, Outcome.NOT_TRIED, None)
        return [action for action in todo if self._target_exists(action)]

    def _target_exists(self, action: Action) -> bool:
        pitr = action.pitr
        if isinstance(action, Drop) or pitr.database_name is None:
            return True
        if (pitr.database_name, pitr.table_name) in self.state.objects:
            return True
        self._tell(
            action,
            Outcome.FAILED,
            PitrTargetError(
                f"{target_text(pitr)} does not exist: create it first (metadata.create_all, or its "
                "migration), then apply the plan again",
                name=pitr.name,
            ),
        )
        self._after_error(action)
        return False

    # -- sending

    def _run_stage(self, stage: Sequence[Action]) -> None:
        todo = deque(stage)
        results: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        workers = min(self.concurrency, len(todo))
        if self.engine.dialect.is_async:
            self._run_in_tasks(todo, workers)
        elif workers <= 1:
            self._work(todo, self._take)
        else:
            self._run_in_threads(todo, workers, results)
        for action in todo:
            self._tell(action, Outcome.NOT_TRIED, None)

    def _run_in_threads(
        self,
        todo: deque[Action],
        workers: int,
        results: queue.SimpleQueue[_Result | None],
    ) -> None:
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self._work(todo, results.put)
            except DBAPIError as error:  # of a connection that is not had: it is one less
                errors.append(error)
            except BaseException as error:
                errors.append(error)
                self.stop.set()
            finally:
                results.put(None)

        threads = [
            threading.Thread(target=work, name=f"apply {number}", daemon=True)
            for number in range(workers)
        ]
        running = workers
        try:
            for thread in threads:
                thread.start()
            while running:
                result = results.get()
                if result is None:
                    running -= 1
                else:
                    self._take(result)
        except BaseException:
            self.stop.set()
            self._wait_for(threads)
            raise
        self._raise_one_of(errors, todo)

    def _raise_one_of(self, errors: Sequence[BaseException], todo: deque[Action]) -> None:
        for error in errors:
            if not isinstance(error, DBAPIError):
                raise error
        if errors and todo and not self.stop.is_set():
            raise errors[0]

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        """After an interruption: the outcome of what is on its way belongs in the report.

        Interrupted once more, it is unknown.
        """
        try:
            while alive := [thread for thread in threads if thread.is_alive()]:
                end = time.monotonic() + PATIENCE
                for thread in alive:
                    thread.join(max(0.0, end - time.monotonic()))
                self._end_what_is_sent()
        except BaseException:
            self._end_what_is_sent()
            raise

    def _end_what_is_sent(self) -> None:
        """Statements may wait on the server for as long as somebody else's transaction lasts."""
        for session in tuple(self.sending):
            with contextlib.suppress(SQLAlchemyError):
                end_session(self.engine, session)

    def _run_in_tasks(self, todo: deque[Action], workers: int) -> None:
        import asyncio

        from sqlalchemy.util import await_only, greenlet_spawn

        errors: list[BaseException] = []

        async def work() -> None:
            try:
                await greenlet_spawn(self._work, todo, self._take)
            except DBAPIError as error:
                errors.append(error)
            except BaseException:
                self.stop.set()
                raise

        async def all_of_them() -> None:
            tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
            try:
                await asyncio.gather(*tasks)
            except BaseException:
                self.stop.set()
                await asyncio.gather(*tasks, return_exceptions=True)
                raise

        await_only(all_of_them())
        self._raise_one_of(errors, todo)

    def _work(self, todo: deque[Action], put: Callable[[_Result], object]) -> None:
        """Do actions until there are none, on one connection; on a new one where it is lost."""
        while todo and not self.stop.is_set():
            with autocommit_connection(self.engine) as (connection, session):
                while not self.stop.is_set() and not connection.invalidated:
                    try:
                        action = todo.popleft()
                    except IndexError:
                        return
                    self.begun.add(id(action))
                    result = self.results[id(action)] = self._do(connection, session, action)
                    put(result)

    def _do(
        self,
        connection: Connection,
        session: int,
        action: Action,
        elements: Sequence[PitrDDLElement] = (),
    ) -> _Result:
        """Send an action, or what is left of it, and say what came of it.

        :param session: the connection's ``connection_id()``.
        """
        if self._depends_on_blocked(action):
            return _Result(action, Outcome.NOT_TRIED, None)
        left = deque(elements or action.elements)
        self.sending.add(session)
        try:
            while left:
                send_now(connection, left[0], {TABLE_CHECKED: True})
                left.popleft()
        except Exception as error:
            result = self._look(action, session, error, len(left), first=not elements)
            if result.outcome is not Outcome.DONE:
                self._after_error(action)
            return result
        except BaseException:  # interrupted: it may have taken effect
            with contextlib.suppress(SQLAlchemyError):
                end_session(self.engine, session)
            raise
        finally:
            self.sending.discard(session)
        return _Result(action, Outcome.DONE, None)

    def _look(
        self, action: Action, session: int, error: Exception, left: int, *, first: bool
    ) -> _Result:
        """What became of an action whose statement raised: refused, or read back.

        :param left: how many of its statements had not been answered.
        :param first: whether what is left may be sent once more.
        """
        cause = error.__cause__ if isinstance(error, PitrError) else error
        if not isinstance(cause, DBAPIError):
            return _Result(action, Outcome.FAILED, error)
        refused = answered_by_server(cause)
        try:
            if not refused:
                end_session(self.engine, session)
            elif not isinstance(error, PitrAlreadyExistsError):
                return self._failed(action, error, dropped=left < len(action.elements))
            with reading(self.engine) as connection:
                fresh = again(self.plan, _read(connection, self.plan))
        except SQLAlchemyError as second:
            error.add_note(f"Reading back failed too: {second}")
            return _Result(action, Outcome.UNKNOWN, error)
        rest = _of_subject(fresh.actions, action)
        if rest is None and _of_subject(fresh.conflicts, action) is None:
            return _Result(action, Outcome.SKIPPED if refused else Outcome.DONE, None)
        if isinstance(action, Renew) and action.destructive:
            dropped = rest is not None and not rest.destructive
            if rest is not None and dropped and not refused and first:
                try:
                    return self._finish(action, rest)
                except SQLAlchemyError as second:  # no connection is had
                    error.add_note(f"Sending what is left failed too: {second}")
            return self._failed(action, error, dropped=dropped)
        if (
            isinstance(action, Renew)
            and isinstance(error, PitrAlreadyExistsError)
            and not is_name_taken(error)
        ):
            error.add_note(
                "The server still takes the old generation for active, so that its history cannot "
                f"be kept: renew_pitr(engine, {split_generation(action.pitr.name)[0]!r}, "
                "keep_history=False) drops it."
            )
        return _Result(action, Outcome.FAILED, error)

    def _finish(self, action: Action, rest: Action) -> _Result:
        """Send what is left of a renewal that dropped first: its object has no protection."""
        with autocommit_connection(self.engine) as (connection, session):
            return self._do(connection, session, action, rest.elements)

    def _failed(self, action: Action, error: Exception, *, dropped: bool) -> _Result:
        if dropped and action.existing is not None:
            error.add_note(
                f"{action.existing.name} has been dropped: {target_text(action.pitr)} is "
                "unprotected until the plan is run again."
            )
        return _Result(action, Outcome.FAILED, error)

    # -- what came of it

    def _take(self, result: _Result) -> None:
        self._tell(result.action, result.outcome, result.error)

    def _tell(self, action: Action, outcome: Outcome, error: BaseException | None) -> None:
        self.report._put(action, outcome, error)
        if self.on_progress is not None:
            report = self.report
            number = sum(
                map(len, (report.done, report.skipped, report.unknown, report.not_tried))
            ) + sum(isinstance(failure.action, Action) for failure in report.failed)
            self.on_progress(Progress(action, outcome, error, number, len(self.plan.actions)))

    def _report_late(self, action: Action) -> None:
        """After an interruption: an outcome that was on its way into the report, or is unknown."""
        result = self.results.get(id(action))
        if self._is_reported(action):
            return
        if result is not None:
            self.report._put(action, result.outcome, result.error)
        elif id(action) in self.begun:
            self.report._put(action, Outcome.UNKNOWN, None)
        else:
            self.report._put(action, Outcome.NOT_TRIED, None)

    def _is_reported(self, action: Action) -> bool:
        report = self.report
        return any(
            action is other
            for some in (report.done, report.skipped, report.unknown, report.not_tried)
            for other in some
        ) or any(action is failure.action for failure in report.failed)

    def _after_error(self, action: Action) -> None:
        self.blocked.append(action)
        if not self.keep_going:
            self.stop.set()

    def _depends_on_blocked(self, action: Action) -> bool:
        """Whether an action that failed was to make room for this one."""
        return any(
            other.pitr.name == action.pitr.name or target_of(other.pitr) == target_of(action.pitr)
            for other in self.blocked
        )


@dataclass(frozen=True, slots=True)
class _Result:
    action: Action
    outcome: Outcome
    error: BaseException | None


def _stages(actions: Sequence[Action]) -> Iterator[list[Action]]:
    """Drops before renewals before the rest: what makes room before what needs it."""
    stages: tuple[list[Action], ...] = ([], [], [])
    for action in actions:
        number = 0 if isinstance(action, Drop) else 1 if isinstance(action, Renew) else 2
        stages[number].append(action)
    yield from filter(None, stages)


def _effect(action: Action) -> tuple[object, ...]:
    """What an action does, comparable between two plans."""
    return action.kind, action.pitr.name, target_of(action.pitr), action.pitr.range


def _subject(action: Action | Conflict) -> tuple[object, ...]:
    """Which policy an action is about: its name without a generation, and its target."""
    return split_generation(action.pitr.name)[0], target_of(action.pitr)


_A = TypeVar("_A", Action, Conflict)


def _of_subject(items: Iterable[_A], action: Action) -> _A | None:
    """What is left to do, or in the way, of the policy that an action is about."""
    return next((item for item in items if _subject(item) == _subject(action)), None)


def conflict_error(conflict: Conflict) -> PitrAlreadyExistsError:
    """What a conflict is as an error."""
    return PitrAlreadyExistsError(
        f"{conflict.pitr!r} cannot be made so: {conflict.reason}", name=conflict.pitr.name
    )
