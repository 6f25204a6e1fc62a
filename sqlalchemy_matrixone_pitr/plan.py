"""The difference between declared policies and a server's, as a Plan of actions.

One comparison serves ``plan_pitrs``, ``mo-pitr plan/apply/check``, Alembic's autogenerate and
``alembic check``. :func:`compare` is pure; :func:`plan_pitrs` reads and compares.

=======================================  ====================================================
declared, against the server             action
=======================================  ====================================================
no policy of that name                   Create
the same target and range                none
the same target, another range           Alter; destructive where it may be shorter
the same target, detached                Renew: the next generation
another target, in a database of ours    Drop and Create; destructive
another target, of somebody else         Conflict, which names both
its object has another policy            Conflict; or Drop and Create, with ``drop_undeclared``
not declared, in a database of ours      ``undeclared``; Drop with ``drop_undeclared``
=======================================  ====================================================

IF NOT EXISTS is never used to reach a state: the server compares names only.
Source: docs/server.md, Names; ALTER PITR; What detaches a policy.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias

from .connections import Bind
from .ddl import AlterPitr, CreatePitr, DropPitr, PitrDDLElement
from .declarations import (
    Bound,
    Databases,
    Schemas,
    bind_declarations,
    databases_of,
    tables_of,
)
from .errors import PitrValidationError
from .generations import (
    Policy,
    Target,
    generation_name,
    is_detached,
    policies,
    spent,
    split_generation,
    target_of,
    target_text,
)
from .model import Pitr, PitrLevel, PitrRange, PitrStatus, PitrUnit
from .reflection import ServerState, read_state, reading
from .server import rules_of

FORMAT_VERSION: Final = 1
"""Of :meth:`Plan.to_dict`; it grows when a key changes its meaning or goes."""

Include: TypeAlias = Callable[[Pitr], bool]


# ------------------------------------------------------------------------------------------ actions


@dataclass(frozen=True, slots=True)
class Action:
    """One change that a Plan makes.

    :ivar pitr: what there will be; of a Drop, what there is.
    :ivar existing: what there is.
    :ivar reason: why, for people.
    :ivar destructive: whether history that can be restored now may no longer be: it shortens a
        range, drops, or moves a target.
    :ivar cost: what it costs, for people; None where nothing.
    :ivar internal: whether the server's version takes another form of CREATE for a table.
    """

    kind: ClassVar[str]
    sign: ClassVar[str]

    pitr: Pitr
    reason: str
    existing: Pitr | None = None
    destructive: bool = False
    cost: str | None = None
    internal: bool = False

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        """What is executed, in order."""
        raise NotImplementedError

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL of :attr:`elements`, as a person reads it."""
        return tuple(str(element) for element in self.elements)

    def _creation(self) -> CreatePitr:
        element = CreatePitr(self.pitr).with_real_names()
        return element.as_internal() if self.internal else element

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        pitr = self.pitr
        return {
            "kind": self.kind,
            "name": pitr.name,
            "level": pitr.level.value,
            "account_name": pitr.account_name,
            "database_name": pitr.database_name,
            "table_name": pitr.table_name,
            "range": str(pitr.range),
            "existing_name": None if self.existing is None else self.existing.name,
            "existing_range": None if self.existing is None else str(self.existing.range),
            "reason": self.reason,
            "destructive": self.destructive,
            "cost": self.cost,
            "sql": list(self.statements),
        }

    def __str__(self) -> str:
        pitr = self.pitr
        span = str(pitr.range)
        if isinstance(self, Alter) and self.existing is not None:
            span = f"{self.existing.range} -> {span}"
        return f"{self.sign} {self.kind} {pitr.name}, {target_text(pitr)}, {span}: {self.reason}"


class Create(Action):
    """A policy that the server does not have."""

    __slots__ = ()
    kind = "create"
    sign = "+"

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        return (self._creation(),)


class Alter(Action):
    """A policy with another range. The server's shown recovery window starts anew."""

    __slots__ = ()
    kind = "alter"
    sign = "~"

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        return (AlterPitr(self.pitr.name, self.pitr.range),)


class Renew(Action):
    """The next generation of a policy that protects nothing new any more.

    Where the server takes the old one for active still, it must be dropped first, which is
    destructive: ``existing`` is then what is dropped.
    """

    __slots__ = ()
    kind = "renew"
    sign = "*"

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        if self.destructive and self.existing is not None:
            return DropPitr.of(self.existing), self._creation()
        return (self._creation(),)


class Drop(Action):
    """A policy that is not declared, or whose target moves."""

    __slots__ = ()
    kind = "drop"
    sign = "-"

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        return (DropPitr.of(self.pitr),)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A declared policy that cannot be made so, and what stands in its way."""

    pitr: Pitr
    existing: Pitr
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.pitr.name,
            "target": target_text(self.pitr),
            "existing_name": self.existing.name,
            "existing_target": target_text(self.existing),
            "reason": self.reason,
        }

    def __str__(self) -> str:
        return f"! conflict {self.pitr.name}, {target_text(self.pitr)}: {self.reason}"


# --------------------------------------------------------------------------------------------- plan


@dataclass(frozen=True, slots=True)
class Scope:
    """What a comparison was asked, so that it can be made again against a later state."""

    declared: tuple[Pitr, ...]
    databases: frozenset[str]
    drop_undeclared: bool = False
    include: Include | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What makes a server's policies those that are declared.

    :ivar actions: in the order in which they are to be done: Drop, Renew, Alter, Create, each by
        level and name.
    :ivar undeclared: policies in the declared databases that nobody declares; left alone.
    :ivar conflicts: what no action can make so.
    :ivar history: older generations, kept until their last restorable moment has passed.
    :ivar unknown: policies of which this account cannot tell whether they still protect their
        object; taken for active.
    """

    actions: tuple[Action, ...]
    undeclared: tuple[Pitr, ...]
    conflicts: tuple[Conflict, ...]
    history: tuple[Pitr, ...]
    unknown: tuple[Pitr, ...]
    scope: Scope = field(compare=False)

    @property
    def in_sync(self) -> bool:
        """Whether all that is declared is so, and nothing is to be dropped."""
        return not self.actions and not self.conflicts

    @property
    def destructive(self) -> tuple[Action, ...]:
        """The actions after which less can be restored."""
        return tuple(action for action in self.actions if action.destructive)

    def only(self, chosen: Callable[[Action], bool]) -> Plan:
        """The same plan with some of its actions. A Create goes with the Drops that it needs, and
        the Drop of a policy that moves goes with its Create.

        >>> plan = compare([Pitr.account("nightly", "7d")], [])
        >>> plan.only(lambda action: not isinstance(action, Create)).actions
        ()
        """
        kept = [action for action in self.actions if chosen(action)]
        while (idle := _cannot_be(kept, self.actions)) is not None:
            # not done: neither the Create, nor the Drops of what moves
            moved = {(Drop, name) for name in {action.pitr.name for action in idle}}
            kept = [
                action
                for action in kept
                if action not in idle
                and (type(action), split_generation(action.pitr.name)[0]) not in moved
            ]
        return Plan(
            tuple(kept), self.undeclared, self.conflicts, self.history, self.unknown, self.scope
        )

    def sql(self) -> str:
        """A script for a client in autocommit: one statement a line, each with its semicolon.

        >>> print(compare([Pitr.account("nightly", "7d")], []).sql())
        CREATE PITR `nightly` FOR ACCOUNT RANGE 7 'd';
        """
        return "\n".join(
            f"{statement};" for action in self.actions for statement in action.statements
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; stable for one ``format_version``."""
        return {
            "format_version": FORMAT_VERSION,
            "in_sync": self.in_sync,
            "actions": [action.to_dict() for action in self.actions],
            "conflicts": [conflict.to_dict() for conflict in self.conflicts],
            "undeclared": [_described(pitr) for pitr in self.undeclared],
            "history": [_described(pitr) for pitr in self.history],
            "unknown": [_described(pitr) for pitr in self.unknown],
        }

    def summary(self) -> str:
        """One line: how much of what.

        >>> compare([Pitr.account("nightly", "7d")], []).summary()
        '1 to create'
        """
        counts = {
            f"to {kind.kind}": sum(isinstance(action, kind) for action in self.actions)
            for kind in (Create, Alter, Renew, Drop)
        }
        counts["in conflict"] = len(self.conflicts)
        found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return found or "in sync"

    def __repr__(self) -> str:
        """For a terminal: the summary, then a line each, thirty at most."""
        items = [*self.conflicts, *self.actions]
        lines = [f"  {item}" for item in items[:30]]
        if len(items) > 30:
            lines.append(f"  ... and {len(items) - 30} more")
        if self.undeclared:
            lines.append(f"  {len(self.undeclared)} not declared, left alone")
        return "\n".join((f"Plan: {self.summary()}", *lines))


def _cannot_be(kept: Sequence[Action], actions: Sequence[Action]) -> list[Action] | None:
    """The Creates that a Drop makes room for which is not kept; None where there are none."""
    left = {id(action) for action in kept}
    stay = [
        action.pitr for action in actions if isinstance(action, Drop) and id(action) not in left
    ]
    if not stay:
        return None
    names, targets = {pitr.name for pitr in stay}, {target_of(pitr) for pitr in stay}
    found: list[Action] = [
        action
        for action in kept
        if isinstance(action, Create)
        and (
            action.pitr.name in names
            or target_of(action.pitr) in targets
            or (action.existing is not None and action.existing.name in names)
        )
    ]
    return found or None


def _described(pitr: Pitr) -> dict[str, Any]:
    return {
        "name": pitr.name,
        "target": target_text(pitr),
        "range": str(pitr.range),
        "status": None if pitr.status is None else pitr.status.value,
    }


# ------------------------------------------------------------------------------------------ compare


def compare(
    declared: Iterable[Pitr],
    existing: Iterable[Pitr],
    *,
    databases: Collection[str] = (),
    drop_undeclared: bool = False,
    include: Include | None = None,
    stale: Collection[str] = (),
    ended: Mapping[str, dt.datetime] | None = None,
    now: dt.datetime | None = None,
    internal: bool = False,
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
    :param stale: names of detached policies that the server still takes for active.
    :param ended: when policies were detached; an undeclared detached one is dropped only after its
        last restorable moment.
    :param now: the server's present; without it nothing is dropped for its age.
    :param internal: whether the server's version takes another form of CREATE for a table.
    :raises PitrValidationError: a declared policy without its database.

    >>> plan = compare([Pitr.account("nightly", "14d")], [Pitr.account("nightly", "7d")])
    >>> plan
    Plan: 1 to alter
      ~ alter nightly, the current account, 7d -> 14d: its range is 7d, declared is 14d
    """
    wanted = [pitr for pitr in declared if include is None or include(pitr)]
    _check_declared(wanted)
    ours = frozenset(databases) | {p.database_name for p in wanted if p.database_name is not None}
    comparison = _Comparison(
        wanted,
        existing,
        ours,
        drop_undeclared,
        include,
        frozenset(stale),
        ended or {},
        now,
        internal,
    )
    comparison.run()
    return Plan(
        tuple(sorted(comparison.actions, key=_order)),
        tuple(comparison.undeclared),
        tuple(comparison.conflicts),
        tuple(comparison.history),
        tuple(comparison.unknown),
        Scope(tuple(wanted), ours, drop_undeclared, include),
    )


def _check_declared(wanted: Sequence[Pitr]) -> None:
    for pitr in wanted:
        if pitr.level in (PitrLevel.DATABASE, PitrLevel.TABLE) and pitr.database_name is None:
            raise PitrValidationError(
                f"{pitr!r} names no database, and the connection has no default one: give "
                "database_name=, a schema to its Table, or put a database into the engine's URL",
                name=pitr.name,
            )


_STAGES: Final = {kind: number for number, kind in enumerate((Drop, Renew, Alter, Create))}
_LEVELS: Final = {level: number for number, level in enumerate(PitrLevel)}


def _order(action: Action) -> tuple[int, int, str]:
    """Drops and renewals come before what they free; the rest is for people."""
    return _STAGES[type(action)], _LEVELS[action.pitr.level], action.pitr.name


class _Comparison:
    """One run of :func:`compare`."""

    def __init__(
        self,
        wanted: Sequence[Pitr],
        existing: Iterable[Pitr],
        ours: frozenset[str],
        drop_undeclared: bool,
        include: Include | None,
        stale: frozenset[str],
        ended: Mapping[str, dt.datetime],
        now: dt.datetime | None,
        internal: bool,
    ) -> None:
        self.internal = internal
        self.wanted = wanted
        self.levels = {(pitr.level, pitr.account_name) for pitr in wanted}
        self.declared = {pitr.name: pitr for pitr in wanted}
        self.ours = ours
        self.drop_undeclared = drop_undeclared
        self.stale = stale
        self.ended = ended
        self.now = now
        self.include = include
        self.policies = policies(existing)
        self.by_line = {(policy.name, policy.target): policy for policy in self.policies}
        self.by_name = {policy.name: policy for policy in self.policies if policy.has_line}
        self.actions: list[Action] = []
        self.undeclared: list[Pitr] = []
        self.conflicts: list[Conflict] = []
        self.history: list[Pitr] = []
        self.unknown: list[Pitr] = []
        self.matched: set[int] = set()
        self.in_conflict: set[int] = set()

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
        return not is_detached(pitr) or pitr.name in self.stale

    def _active(self, policy: Policy) -> Pitr:
        return next(pitr for pitr in reversed(policy.generations) if self._is_active(pitr))

    def run(self) -> None:
        for pitr in self.wanted:
            self._match(pitr)
        for policy in self.policies:
            if id(policy) in self.matched:
                self._keep_history(policy)
            elif (
                id(policy) not in self.in_conflict
                and self._is_ours(policy)
                and self._is_included(policy)
            ):
                self._leave_or_drop(policy)

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
            self.actions.append(_alter(pitr, current))

    def _create(self, pitr: Pitr, reason: str, existing: Pitr | None = None) -> Create:
        return Create(pitr, reason, existing, internal=self._is_internal(pitr))

    def _is_internal(self, pitr: Pitr) -> bool:
        return self.internal and pitr.level is PitrLevel.TABLE

    def _renew(self, pitr: Pitr, policy: Policy) -> None:
        internal = self._is_internal(pitr)
        number = policy.next_number
        renewed = _renamed(pitr, generation_name(pitr.name, number))
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
                Drop(generation, reason, generation, True, dropping_cost(generation))
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
            elif not is_detached(pitr) or pitr.name in self.stale:
                cost = dropping_cost(pitr)
                self.actions.append(Drop(pitr, "it is not declared", pitr, True, cost))
            elif self._is_spent(policy, pitr):
                self.actions.append(Drop(pitr, "it is not declared, and holds nothing more", pitr))
            else:
                self.history.append(pitr)

    def _is_spent(self, policy: Policy, pitr: Pitr) -> bool:
        if self.now is None:
            return False
        ended = self.ended.get(pitr.name)
        if ended is not None and pitr.range.value:
            return pitr.range.start(self.now) > ended
        return pitr in spent(policy, self.now)


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


def may_go_with(
    pitr: Pitr,
    going: Collection[tuple[str | None, str | None]],
    left: Collection[tuple[str | None, str | None]],
) -> bool:
    """Whether a policy protects nothing but tables that are being dropped, so that it may go with
    them. One for an account or the cluster always protects more.

    :param going: databases and tables.
    :param left: what else is in their databases.

    >>> nightly = Pitr.database("nightly", "7d", database_name="shop")
    >>> may_go_with(nightly, [("shop", "orders")], []), may_go_with(nightly, [], [])
    (True, False)
    >>> may_go_with(nightly, [("shop", "orders")], [("shop", "notes")])
    False
    """
    if pitr.level is PitrLevel.TABLE:
        return (pitr.database_name, pitr.table_name) in going
    if pitr.level is not PitrLevel.DATABASE:
        return False
    database = pitr.database_name
    return any(of == database for of, _ in going) and not any(of == database for of, _ in left)


def dropping_cost(pitr: Pitr) -> str:
    """What a DROP costs, for people."""
    return f"up to {pitr.range} of history of {target_text(pitr)} can no longer be restored"


def replacing_cost(pitr: Pitr) -> str:
    """What a renewal costs that has to drop the old generation, for people."""
    return (
        f"what was in {target_text(pitr)} before it was rebuilt can no longer be restored: the "
        f"server still takes {pitr.name} for active, and refuses a second one beside it"
    )


def may_be_shorter(old: PitrRange, new: PitrRange) -> bool:
    """Whether a range may reach less far back than another, on some day.

    >>> may_be_shorter(PitrRange.parse("30d"), PitrRange.parse("1mo"))
    True
    >>> may_be_shorter(PitrRange.parse("1y"), PitrRange.parse("12mo"))
    False
    """
    calendar = (PitrUnit.MONTH, PitrUnit.YEAR)
    if old.unit in calendar and new.unit in calendar:
        return _months(new) < _months(old)
    return _hours(new)[0] < _hours(old)[1]


def _months(range: PitrRange) -> int:
    return range.value * (12 if range.unit is PitrUnit.YEAR else 1)


def _hours(range: PitrRange) -> tuple[int, int]:
    """The least and the most hours of a range."""
    least, most = {
        PitrUnit.HOUR: (1, 1),
        PitrUnit.DAY: (24, 24),
        PitrUnit.MONTH: (28 * 24, 31 * 24),
        PitrUnit.YEAR: (365 * 24, 366 * 24),
    }[range.unit]
    return range.value * least, range.value * most


# ------------------------------------------------------------------------------------------ reading


def plan_pitrs(
    bind: Bind,
    metadata: Schemas,
    *,
    drop_undeclared: bool = False,
    include: Include | None = None,
) -> Plan:
    """What makes the server's policies those that the metadata declare.

    Three reading statements, however many policies and tables (a few more where an account other
    than sys must look into the past for detached ones). The caller's transaction is not disturbed,
    and what it has not committed is not seen.

    :param metadata: a MetaData, a declarative base, or a list of them.
    :param drop_undeclared: also drop what is in the declared databases and not declared.
    :param include: only policies for which it returns True.
    :raises PitrUnsupportedError: not a MatrixOne server.
    :raises PitrValidationError: declarations that contradict each other.

    >>> from sqlalchemy import MetaData, create_engine
    >>> metadata = MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> plan_pitrs(create_engine(url), metadata).summary()
    '1 to create'
    """
    bound, state = read_declared(bind, metadata)
    return plan_bound(bound, state, drop_undeclared=drop_undeclared, include=include)


def read_declared(bind: Bind, metadata: Schemas) -> tuple[Bound, ServerState]:
    """What is declared, as it is on a bind, and what the server has of it."""
    names = Databases.of(bind)
    with reading(bind) as connection:
        state = read_state(
            connection, databases=databases_of(metadata, names.known()), tables=tables_of(metadata)
        )
    return bind_declarations(metadata, names.told(state.database), state.account), state


def plan_bound(
    bound: Bound,
    state: ServerState,
    *,
    drop_undeclared: bool = False,
    include: Include | None = None,
) -> Plan:
    """The comparison of bound declarations with a server's state."""
    return compare_with(
        state,
        bound.pitrs,
        bound.databases,
        drop_undeclared=drop_undeclared,
        include=include,
    )


def compare_with(
    state: ServerState,
    declared: Iterable[Pitr],
    databases: Collection[str],
    *,
    drop_undeclared: bool,
    include: Include | None,
) -> Plan:
    """:func:`compare` with a server's state."""
    return compare(
        declared,
        state.pitrs,
        databases=databases,
        drop_undeclared=drop_undeclared,
        include=include,
        stale=state.stale,
        ended=state.ended,
        now=state.now,
        internal=rules_of(state.version).logical_ids,
    )


def again(plan: Plan, state: ServerState) -> Plan:
    """The same question to a later state."""
    scope = plan.scope
    return compare_with(
        state,
        scope.declared,
        scope.databases,
        drop_undeclared=scope.drop_undeclared,
        include=scope.include,
    )
