"""The comparison of declared policies with existing ones. Pure: nothing is read or sent."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from ..coverage.expiry import expired, has_passed
from ..coverage.ranges import may_be_shorter
from ..errors import PitrValidationError
from ..generations import (
    Policy,
    Target,
    by_policy_name,
    generation_name,
    have_one_target,
    is_active_on_server,
    policies,
    target_of,
    target_text,
)
from ..held import range_of_renewal
from ..model import Pitr, PitrLevel, PitrRange, PitrStatus, check_flag
from .actions import ORDER, Action, Alter, Conflict, Create, Drop, Include, Plan, Renew, Scope
from .costs import dropping_cost, replacing_cost


def compare(
    declared: Iterable[Pitr],
    existing: Iterable[Pitr],
    *,
    databases: Collection[str] = (),
    drop_undeclared: bool = False,
    include: Include | None = None,
    stale_active: Collection[str] = (),
    detached_at: Mapping[str, dt.datetime] | None = None,
    now: dt.datetime | None = None,
    internal: bool = False,
    held: Mapping[str, PitrRange] | None = None,
) -> Plan:
    """The Plan that makes ``existing`` what is ``declared``. Pure: nothing is read or sent.

    Ranges are equal when value and unit are: ``"7d"``, ``(7, "d")`` and ``timedelta(days=7)`` are
    one range, and never yield an ALTER. ``24h`` and ``1d`` are two, on purpose: the server stores
    and shows what it was told, and a plan is in sync when SHOW PITR shows what is declared.

    :param declared: database names filled in, where the level has one.
    :param existing: with their status, as of ``get_pitrs(..., with_status=True)``; one without a
        status is taken for active.
    :param databases: databases that are ours besides those of the declared policies: undeclared
        policies in them are reported. Policies elsewhere in the account are left alone.
    :param include: policies that it returns False for are left as they are, declared or not. It is
        asked once for each, by the policy's own name: generations are no policies.
    :param stale_active: names of detached policies that the server still takes for active.
    :param detached_at: when policies were detached; an undeclared detached one is dropped only
        after its last restorable moment.
    :param now: the server's present; without it nothing is dropped for its age.
    :param internal: whether the server's version takes another form of CREATE for a table.
    :param held: the ranges before of policies that :func:`hold` has lengthened, by name: that a
        range is longer now is no drift. Where the one before is not what is declared either, the
        plan says what is to be altered when the hold has ended.
    :raises PitrValidationError: a declared policy without its database.

    >>> plan = compare([Pitr.account("nightly", "14d")], [Pitr.account("nightly", "7d")])
    >>> plan
    Plan: 1 to alter
      ~ alter nightly, the current account, 7d -> 14d: its range is 7d, declared is 14d
    """
    check_flag("drop_undeclared", drop_undeclared)
    wanted = list(declared) if include is None else [p for p in declared if include(p)]
    ours = _databases_of(wanted).union(databases)
    comparison = _Comparison(
        wanted,
        existing,
        ours,
        drop_undeclared,
        include,
        frozenset(stale_active),
        detached_at or {},
        now,
        internal,
        held or {},
    )
    comparison.run()
    return Plan(
        tuple(sorted(comparison.actions, key=_order)),
        tuple(comparison.undeclared),
        tuple(comparison.conflicts),
        tuple(comparison.history),
        tuple(comparison.unknown),
        Scope(tuple(wanted), ours, drop_undeclared, include),
        held=tuple(comparison.held_back),
        when_released=tuple(sorted(comparison.when_released, key=_order)),
    )


def _databases_of(wanted: Sequence[Pitr]) -> frozenset[str]:
    """The databases that declared policies are in.

    :raises PitrValidationError: one does not name its database.
    """
    found = set()
    for pitr in wanted:
        database = pitr.database_name
        if database is not None:
            found.add(database)
        elif pitr.level in (PitrLevel.DATABASE, PitrLevel.TABLE):
            raise PitrValidationError(
                f"{pitr!r} names no database, and the connection has no default one: give "
                "database_name=, a schema to its Table, or put a database into the engine's URL",
                name=pitr.name,
            )
    return frozenset(found)


_LEVELS: Final = {level: number for number, level in enumerate(PitrLevel)}


def _order(action: Action) -> tuple[int, int, str]:
    """The key by which a plan is sorted: levels and names are for people."""
    return ORDER.index(type(action)), _LEVELS[action.pitr.level], action.pitr.name


_IN_DOUBT: Final = frozenset((PitrStatus.DETACHED, PitrStatus.UNKNOWN))


class _Comparison:
    """One run of :func:`compare`."""

    def __init__(
        self,
        wanted: Sequence[Pitr],
        existing: Iterable[Pitr],
        ours: frozenset[str],
        drop_undeclared: bool,
        include: Include | None,
        stale_active: frozenset[str],
        detached_at: Mapping[str, dt.datetime],
        now: dt.datetime | None,
        internal: bool,
        held: Mapping[str, PitrRange],
    ) -> None:
        self.internal = internal
        self.held = held
        self.held_back: list[Pitr] = []
        self.when_released: list[Alter] = []
        self.wanted = wanted
        self.ours = ours
        self.drop_undeclared = drop_undeclared
        self.stale_active = stale_active
        self.detached_at = detached_at
        self.now = now
        self.include = include
        self.existing = list(existing)
        self.actions: list[Action] = []
        self.undeclared: list[Pitr] = []
        self.conflicts: list[Conflict] = []
        self.history: list[Pitr] = []
        self.unknown: list[Pitr] = []
        self.matched: set[int] = set()
        self.in_conflict: set[int] = set()
        self.settled: frozenset[str] = frozenset()

    @functools.cached_property
    def levels(self) -> set[tuple[PitrLevel, str | None]]:
        """The levels above databases that are declared, each with its account."""
        return {(p.level, p.account_name) for p in self.wanted if p.database_name is None}

    @functools.cached_property
    def declared(self) -> dict[str, Pitr]:
        return {pitr.name: pitr for pitr in self.wanted}

    @functools.cached_property
    def policies(self) -> list[Policy]:
        return policies(self.existing)

    @functools.cached_property
    def by_line(self) -> dict[tuple[str, Target], Policy]:
        return {(policy.name, policy.target): policy for policy in self.policies}

    @functools.cached_property
    def by_name(self) -> dict[str, Policy]:
        return {policy.name: policy for policy in self.policies if policy.has_line}

    @functools.cached_property
    def blocking(self) -> dict[Target, Policy]:
        """The policies beside which the server takes no second one for their object."""
        return {
            policy.target: policy
            for policy in self.policies
            if any(map(self._is_active, policy.generations))
        }

    def _is_active(self, pitr: Pitr) -> bool:
        """Whether the server takes a PITR for active, and lets its object have no second one."""
        return is_active_on_server(pitr, self.stale_active)

    def _active(self, policy: Policy) -> Pitr:
        return next(pitr for pitr in reversed(policy.generations) if self._is_active(pitr))

    def run(self) -> None:
        if self._settle():
            return
        for pitr in self.wanted:
            if pitr.name not in self.settled:
                self._match(pitr)
        for policy in self.policies:
            if policy.name in self.settled:
                continue
            if id(policy) in self.matched:
                self._keep_history(policy)
            elif (
                id(policy) not in self.in_conflict
                and self._is_ours(policy)
                and self._is_included(policy)
            ):
                self._leave_or_drop(policy)

    def _settle(self) -> bool:
        """Settle the declared policies that are there with one generation, which protects their
        object: of a hundred thousand nearly all are so, and for them nothing is made that the
        garbage collection would have to look at.

        :return: whether that was all, on both sides.
        """
        alone, together = by_policy_name(self.existing)
        others = set()
        for pitr in self.wanted:
            name = pitr.name
            found = alone.get(name)
            if found is None or found.status in _IN_DOUBT or not have_one_target(found, pitr):
                others.add(name)
                continue
            del alone[name]
            if found.range is not pitr.range and found.range != pitr.range:
                self._other_range(pitr, found)
        if not (others or alone or together):
            return True
        self.settled = frozenset(p.name for p in self.wanted if p.name not in others)
        return False

    def _is_included(self, policy: Policy) -> bool:
        return self.include is None or self.include(policy.current.of_policy(policy.name))

    def _is_ours(self, policy: Policy) -> bool:
        """Whether an undeclared policy is in a database of ours, or on a level that is declared."""
        level, account, database, _ = policy.target
        if database is not None:
            return database in self.ours
        return (level, account) in self.levels

    def _match(self, pitr: Pitr) -> None:
        target = target_of(pitr)
        policy = self.by_line.get((pitr.name, target))
        if policy is not None:
            self.matched.add(id(policy))
            self._same_target(pitr, policy)
            return
        if (holder := self.by_name.get(pitr.name)) is not None:
            self._other_target(pitr, holder)
            return
        if self._is_blocked(pitr):
            return
        if target not in self.blocking:
            self.actions.append(self._create(pitr, "the server does not have it"))
        else:
            existing = self._active(self.blocking[target])
            reason = f"it takes the place of {existing.name}"
            self.actions.append(self._create(pitr, reason, existing))

    def _same_target(self, pitr: Pitr, policy: Policy) -> None:
        current = policy.current
        if policy.detached:
            self._renew(pitr, policy)
            return
        if current.status is PitrStatus.UNKNOWN:
            self.unknown.append(current)
        if current.range != pitr.range:
            self._other_range(pitr, current)

    def _other_range(self, pitr: Pitr, current: Pitr) -> None:
        """The range is another one, which is no drift while a hold has lengthened it."""
        before = self.held.get(current.name)
        if before is None:
            self.actions.append(_alter(pitr, current))
            return
        self.held_back.append(current)
        if before != pitr.range:
            self.when_released.append(_alter(pitr, current.with_range(before)))

    def _create(self, pitr: Pitr, reason: str, existing: Pitr | None = None) -> Create:
        return Create(pitr, reason, existing, internal=self._is_internal(pitr))

    def _is_internal(self, pitr: Pitr) -> bool:
        return self.internal and pitr.level is PitrLevel.TABLE

    def _renew(self, pitr: Pitr, policy: Policy) -> None:
        internal = self._is_internal(pitr)
        number = policy.next_number
        renewed = _renamed(pitr, generation_name(pitr.name, number))
        renewed = renewed.with_range(range_of_renewal(policy, pitr.range, self.held))
        newest = policy.generations[-1]
        reason = (
            f"{newest.name} protects nothing new: {target_text(pitr)} was dropped, rebuilt, "
            "truncated or restored since"
        )
        if self.blocking.get(policy.target) is policy:
            stale = self._active(policy)
            cost = replacing_cost(stale)
            self.actions.append(Renew(renewed, reason, stale, True, cost, internal))
        elif not self._is_blocked(renewed):
            self.actions.append(Renew(renewed, reason, newest, internal=internal))
        else:
            return
        befores = [self.held[one.name] for one in policy.generations if one.name in self.held]
        if befores and befores[-1] != pitr.range:  # the newest one's is what a release gives back
            self.when_released.append(_alter(pitr, renewed.with_range(befores[-1])))

    def _other_target(self, pitr: Pitr, policy: Policy) -> None:
        """The name is held by a policy for something else."""
        current = policy.current
        if not self._is_in_reach(policy):
            self.in_conflict.add(id(policy))
            self.conflicts.append(
                Conflict(
                    pitr,
                    current,
                    f"the name is held by a policy for {target_text(current)}, and names are per "
                    "account: choose another name, or drop that one",
                )
            )
            return
        reason = f"its target moves from {target_text(current)} to {target_text(pitr)}"
        if self._is_blocked(pitr):
            self.in_conflict.add(id(policy))
            return
        self.matched.add(id(policy))
        for generation in policy.generations:
            self.actions.append(
                Drop(generation, reason, generation, True, self._dropping_cost(generation))
            )
        self.actions.append(self._create(pitr, reason, current))

    def _is_in_reach(self, policy: Policy) -> bool:
        """Whether a policy may be dropped because another takes its name or its object."""
        return policy.target[2] in self.ours and self._is_included(policy)

    def _gives_way(self, policy: Policy) -> bool:
        """Whether this plan drops a policy: its target moves, or it is undeclared."""
        wanted = self.declared.get(policy.name)
        if wanted is not None and (policy.has_line or target_of(wanted) == policy.target):
            return target_of(wanted) != policy.target and self._is_in_reach(policy)
        return self.drop_undeclared and self._is_ours(policy) and self._is_included(policy)

    def _is_blocked(self, pitr: Pitr) -> bool:
        """Whether the object has an active policy of another name, which stays: a conflict."""
        policy = self.blocking.get(target_of(pitr))
        if policy is None or self._gives_way(policy):
            return False
        other = self._active(policy)
        self.conflicts.append(
            Conflict(
                pitr,
                other,
                f"{target_text(pitr)} already has the policy {other.name} ({other.range}), and the "
                "server takes one active policy per object: declare it under that name, or drop "
                "that one",
            )
        )
        return True

    def _keep_history(self, policy: Policy) -> None:
        self.history += policy.history

    def _leave_or_drop(self, policy: Policy) -> None:
        for pitr in policy.generations:
            if not self.drop_undeclared:
                self.undeclared.append(pitr)
            elif self._is_active(pitr):
                cost = self._dropping_cost(pitr)
                self.actions.append(Drop(pitr, "it is not declared", pitr, True, cost))
            elif self._is_spent(policy, pitr):
                self.actions.append(Drop(pitr, "it is not declared, and holds nothing more", pitr))
            else:
                self.history.append(pitr)

    def _dropping_cost(self, pitr: Pitr) -> str:
        cost = dropping_cost(pitr, self.now, self.detached_at.get(pitr.name))
        return f"{cost}; it is held" if pitr.name in self.held else cost

    def _is_spent(self, policy: Policy, pitr: Pitr) -> bool:
        if self.now is None:
            return False
        ended = self.detached_at.get(pitr.name)
        if ended is not None and pitr.range.value:
            return has_passed(pitr, ended, self.now)
        return pitr in expired(policy, self.now)


def _renamed(pitr: Pitr, name: str) -> Pitr:
    return Pitr(
        name,
        pitr.level,
        pitr.range,
        account_name=pitr.account_name,
        database_name=pitr.database_name,
        table_name=pitr.table_name,
    )


def _alter(pitr: Pitr, current: Pitr) -> Alter:
    reason = f"its range is {current.range}, declared is {pitr.range}"
    if may_be_shorter(current.range, pitr.range):
        cost = (
            f"moments further back than {pitr.range} can no longer be restored, and the server's "
            "shown recovery window starts anew"
        )
        return Alter(current.with_range(pitr.range), reason, current, True, cost)
    cost = "the server's shown recovery window starts anew; what can be restored stays"
    return Alter(current.with_range(pitr.range), reason, current, False, cost)
