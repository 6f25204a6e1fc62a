"""Apply a Plan: under the account lock, on a few connections at once, with a full report.

The plan is compared with the server once more under the lock: what another process has done
meanwhile is skipped, and what the plan did not show is not done. Each statement is sent once. Where
the connection is lost on the way, the outcome is read back before anything else is sent.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SAWarning

from .connections import autocommit_connection
from .errors import (
    PitrAlreadyExistsError,
    PitrError,
    PitrNotFoundError,
    PitrTargetError,
    PitrValidationError,
    is_name_taken,
)
from .generations import split_generation, target_of, target_text
from .locking import DEFAULT_TIMEOUT, account_lock
from .model import check_flag
from .plan.actions import Action, Conflict, Create, Drop, Plan, Renew, stage_of
from .plan.reading import replan
from .report import ApplyReport, Failure, OnProgress, Outcome, Progress, carried
from .sending import Sent, send
from .show import reading
from .status import ServerState, read_state, wait_until_told
from .workers import Workers

MOST_CONNECTIONS: Final = 64
"""More connections than that change nothing but the load on the server."""


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
    """Apply a plan, and say what became of each action. It can simply be run again.

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
    run = Run(engine, plan.actions, concurrency, keep_going=keep_going, on_progress=on_progress)
    with carried(run.report, _note), account_lock(engine, timeout):
        with reading(engine) as connection:
            state = _read(connection, plan)
            made = (one.pitr for one in plan.actions if isinstance(one, Create | Renew))
            wait_until_told(connection, state, made)
        run.compare(plan, state)
        for stage in run.stages():
            run.send(stage)
    return run.report()


def _note(report: ApplyReport) -> str:
    return f"The plan was being applied:\n{report}"


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
    check_flag("allow_destructive", allow_destructive)
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


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: Outcome
    error: Exception | None = None


class Run:
    """Some actions on their way to the server; the account lock is held.

    What became of each is in ``results``, by its number, from the moment it is known.

    :param resend: send once more what was lost and is not there when it is read back.
    """

    def __init__(
        self,
        engine: Engine,
        actions: Iterable[Action] = (),
        concurrency: int = 1,
        *,
        keep_going: bool = False,
        on_progress: OnProgress | None = None,
        resend: bool = False,
    ) -> None:
        self.engine = engine
        self.actions = list(actions)
        self.concurrency = concurrency
        self.keep_going = keep_going
        self.on_progress = on_progress
        self.resend = resend
        self.plan: Plan | None = None
        self.results: dict[int, _Result] = {}
        self.conflicts: list[Failure] = []
        self.workers = Workers(engine)
        self.begun: set[int] = set()
        self.told = 0

    def report(self) -> ApplyReport:
        """Report each action; one that has begun and has not ended is unknown."""
        report = ApplyReport(failed=list(self.conflicts))
        lists = {
            Outcome.DONE: report.done,
            Outcome.SKIPPED: report.skipped,
            Outcome.UNKNOWN: report.unknown,
            Outcome.NOT_TRIED: report.not_tried,
        }
        for number, action in enumerate(self.actions):
            result = self.results.get(number)
            if result is None:
                outcome = Outcome.UNKNOWN if number in self.begun else Outcome.NOT_TRIED
                lists[outcome].append(action)
            elif result.outcome is Outcome.FAILED:
                assert result.error is not None
                report.failed.append(Failure(action, result.error))
            else:
                lists[result.outcome].append(action)
        return report

    def raise_first(self) -> None:
        """Raise the error of the first action that is not done, as it is."""
        for _, result in sorted(self.results.items()):
            if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN) and result.error is not None:
                raise result.error

    # -- before anything is sent

    def compare(self, plan: Plan, state: ServerState) -> None:
        """Settle the actions that a comparison with the server's present state no longer wants."""
        self.plan = plan
        fresh = replan(plan, state)
        wanted = {_effect(action): action for action in fresh.actions}
        conflicts = {_policy(conflict): conflict for conflict in fresh.conflicts}
        settled: dict[int, _Result] = {}
        for number, action in enumerate(self.actions):
            now = wanted.get(_effect(action))
            conflict = None if isinstance(action, Drop) else conflicts.pop(_policy(action), None)
            if conflict is not None:
                settled[number] = _Result(Outcome.FAILED, conflict_error(conflict))
            elif now is not None and (action.destructive or not now.destructive):
                self.actions[number] = now
                if (missing := _missing_target(now, state)) is not None:
                    settled[number] = _Result(Outcome.FAILED, missing)
            elif _is_so(action, fresh, state):
                settled[number] = _Result(Outcome.SKIPPED)
            else:  # the server has changed: it would do something else now than was shown
                settled[number] = _Result(Outcome.NOT_TRIED)
        self.conflicts = [
            Failure(conflict, conflict_error(conflict)) for conflict in conflicts.values()
        ]
        failed = any(result.outcome is Outcome.FAILED for result in settled.values())
        if (failed or self.conflicts) and not self.keep_going:
            self.workers.stop.set()
        for number, result in settled.items():
            self.results[number] = result
        for number in settled:
            self._record(number)

    @functools.cached_property
    def _drops_not_done(self) -> list[Action]:
        """The Drops that were not done; read when the first action after them is sent."""
        so = (Outcome.DONE, Outcome.SKIPPED)
        return [
            action
            for number, action in enumerate(self.actions)
            if isinstance(action, Drop)
            and ((result := self.results.get(number)) is None or result.outcome not in so)
        ]

    def stages(self) -> Iterator[list[int]]:
        """The actions that are left to do, stage by stage."""
        left = [number for number in range(len(self.actions)) if number not in self.results]
        stages: dict[int, list[int]] = {}
        for number in left:
            stages.setdefault(stage_of(self.actions[number]), []).append(number)
        for stage in sorted(stages):
            yield stages[stage]

    # -- sending

    def send(self, numbers: Iterable[int]) -> None:
        """Send actions; without several connections in this order, one right after the other."""
        todo = deque(numbers)
        self.workers.run(todo, min(self.concurrency, len(todo)), self._do, self._record)
        for number in todo:
            self.results[number] = _Result(Outcome.NOT_TRIED)
        for number in todo:
            self._record(number)

    def _do(self, connection: Connection, session: int, number: int) -> None:
        """Send an action, and put down what came of it.

        :param session: the connection's ``connection_id()``.
        """
        action = self.actions[number]
        if self._depends_on_a_failure(action):
            self.results[number] = _Result(Outcome.NOT_TRIED)
            return
        left = deque(action.elements)
        count, may_resend, sent = len(left), True, Sent(Outcome.DONE)
        with contextlib.ExitStack() as stack:
            while left:
                if connection.invalidated:
                    try:
                        connection, session = stack.enter_context(
                            autocommit_connection(self.engine)
                        )
                    except Exception as second:  # noqa: BLE001 - the first error is raised
                        error = sent.error or second
                        if error is not second:
                            error.add_note(f"Sending what is left failed too: {second}")
                        self._not_done(number, Sent(Outcome.FAILED, error), len(left) < count)
                        return
                self.begun.add(number)
                self.workers.sending.add(session)
                try:
                    sent = send(self.engine, connection, session, left[0])
                finally:
                    self.workers.sending.discard(session)
                if sent.outcome is Outcome.DONE:
                    left.popleft()
                    continue
                dropped = len(left) < count
                lost = sent.outcome is Outcome.FAILED and sent.refusal is None
                if lost and may_resend and (dropped or self.resend):
                    may_resend = False  # once: its object has no protection meanwhile
                    continue
                self._not_done(number, sent, dropped)
                return
            self.results[number] = _Result(Outcome.DONE, sent.error)

    def _not_done(self, number: int, sent: Sent, dropped: bool) -> None:
        """Record an action that was not done; somebody else may have done it."""
        error, action = sent.error, self.actions[number]
        assert error is not None
        self.results[number] = _Result(sent.outcome, error)
        if self._is_so_by_now(action, sent):
            self.results[number] = _Result(Outcome.SKIPPED, error)
            return
        if not self.keep_going:
            self.workers.stop.set()
        if dropped and action.existing is not None:
            error.add_note(
                f"{action.existing.name} has been dropped: {target_text(action.pitr)} is "
                "unprotected until the plan is run again."
            )
        elif (
            isinstance(action, Renew)
            and isinstance(sent.refusal, PitrAlreadyExistsError)
            and not is_name_taken(sent.refusal)
        ):
            error.add_note(
                "The server still takes the old generation for active, so that its history cannot "
                f"be kept: renew_pitr(engine, {split_generation(action.pitr.name)[0]!r}, "
                "keep_history=False) drops it."
            )

    def _is_so_by_now(self, action: Action, sent: Sent) -> bool:
        """Whether an action was refused because it is so already."""
        if not isinstance(sent.refusal, PitrAlreadyExistsError | PitrNotFoundError):
            return False
        if self.plan is None:
            return isinstance(action, Drop)
        try:
            with reading(self.engine) as connection:
                state = _read(connection, self.plan)
        except Exception as second:  # noqa: BLE001 - the refusal is what is reported
            sent.refusal.add_note(f"Looking whether it is so already failed: {second}")
            return False
        return _is_so(action, replan(self.plan, state), state)

    def _record(self, number: int) -> None:
        """Call ``on_progress`` for an action whose result is there."""
        self.told += 1
        if self.on_progress is None:
            return
        result = self.results[number]
        told = Progress(
            self.actions[number], result.outcome, result.error, self.told, len(self.actions)
        )
        try:
            self.on_progress(told)
        except BaseException as error:
            self.workers.fatal = error
            self.workers.stop.set()
            raise

    def _depends_on_a_failure(self, action: Action) -> bool:
        """Whether a Drop that did not come about was to make room for this one."""
        return not isinstance(action, Drop) and any(
            other.pitr.name == action.pitr.name or target_of(other.pitr) == target_of(action.pitr)
            for other in self._drops_not_done
        )


def _missing_target(action: Action, state: ServerState) -> PitrTargetError | None:
    """The error of an action whose object does not exist."""
    pitr = action.pitr
    if isinstance(action, Drop) or pitr.database_name is None:
        return None
    if (pitr.database_name, pitr.table_name) in state.objects:
        return None
    return PitrTargetError(
        f"{target_text(pitr)} does not exist: create it first (metadata.create_all, or its "
        "migration), then apply the plan again",
        name=pitr.name,
    )


def _effect(action: Action) -> tuple[object, ...]:
    """The effect of an action, comparable between two plans: it is identified by exactly that."""
    return action.kind, action.pitr.name, target_of(action.pitr), action.pitr.range


def _policy(of: Action | Conflict) -> tuple[object, ...]:
    """The declared policy of an action or a conflict, whichever generation it makes."""
    return split_generation(of.pitr.name)[0], target_of(of.pitr)


def _is_so(action: Action, fresh: Plan, state: ServerState) -> bool:
    """Whether what an action was to do is so already.

    A PITR that was to be dropped is gone; of any other action, its policy is as declared: a later
    comparison wants nothing of it, now or when a hold has ended, and finds nothing in its way.
    """
    if isinstance(action, Drop):
        target = target_of(action.pitr)
        return not any(
            pitr.name == action.pitr.name and target_of(pitr) == target for pitr in state.pitrs
        )
    left = [other for other in fresh.actions if not isinstance(other, Drop)]
    wanted = {*map(_policy, (*left, *fresh.when_released)), *map(_policy, fresh.conflicts)}
    return _policy(action) not in wanted


def conflict_error(conflict: Conflict) -> PitrError:
    """The error that a conflict is raised as."""
    error = PitrTargetError if conflict.gone else PitrAlreadyExistsError
    return error(f"{conflict.pitr!r} cannot be made so: {conflict.reason}", name=conflict.pitr.name)


def warn_not_done(left: Sequence[Action]) -> None:
    """Warn of actions that are left because less could be restored after them."""
    if left:
        lines = "\n".join(f"  {action}" for action in left)
        warnings.warn(
            f"not done, because less could be restored afterwards:\n{lines}\n"
            "See them with plan_pitrs(), and do them with apply_plan(allow_destructive=True).",
            SAWarning,
            stacklevel=3,
        )
