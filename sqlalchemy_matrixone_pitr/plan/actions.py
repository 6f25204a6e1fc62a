"""Actions, and a Plan of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, TypeAlias

from ..ddl import AlterPitr, CreatePitr, DropPitr, PitrDDLElement
from ..extent import Key, Parts, Shortfall, in_words
from ..generations import split_generation, target_of, target_text
from ..model import Pitr

FORMAT_VERSION: Final = 1
"""The version of :meth:`Plan.to_dict`; it grows when a key changes its meaning or goes."""

Include: TypeAlias = Callable[[Pitr], bool]


@dataclass(frozen=True, slots=True)
class Action:
    """One change that a Plan makes.

    >>> [create] = compare([Pitr.account("nightly", "7d")], []).actions
    >>> create.kind, create.statements
    ('create', ("CREATE PITR `nightly` FOR ACCOUNT RANGE 7 'd'",))

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
        """The elements to execute, in order."""
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
    """A policy that the server does not have.

    >>> print(*compare([Pitr.account("nightly", "7d")], []).actions)
    + create nightly, the current account, 7d: ...
    """

    __slots__ = ()
    kind = "create"
    sign = "+"

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        return (self._creation(),)


class Alter(Action):
    """A policy with another range. The server's shown recovery window starts anew.

    >>> there = Pitr.account("nightly", "1d").with_status(PitrStatus.ACTIVE)
    >>> print(*compare([Pitr.account("nightly", "7d")], [there]).actions)
    ~ alter nightly, the current account, 1d -> 7d: ...
    """

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

    >>> orders = Pitr.table("orders_week", "orders", "7d", database_name="shop")
    >>> [renew] = compare([orders], [orders.with_status(PitrStatus.DETACHED)]).actions
    >>> renew.statements
    ("CREATE PITR `orders_week__g2` FOR TABLE `shop` `orders` RANGE 7 'd'",)
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
    """A policy that is not declared, or whose target moves.

    >>> there = Pitr.account("nightly", "7d").with_status(PitrStatus.ACTIVE)
    >>> [drop] = compare([Pitr.account("weekly", "7d")], [there], drop_undeclared=True).actions[:1]
    >>> drop.destructive, drop.statements
    (True, ('DROP PITR `nightly`',))
    """

    __slots__ = ()
    kind = "drop"
    sign = "-"

    @property
    def elements(self) -> tuple[PitrDDLElement, ...]:
        return (DropPitr.of(self.pitr),)


ORDER: Final[tuple[type[Action], ...]] = (Drop, Renew, Alter, Create)
"""The kinds of actions in the order in which they are done: what makes room before what needs it.

Drops free names and objects for all others, renewals may drop too; Alter and Create need no order
between them.
"""


def stage_of(action: Action) -> int:
    """The stage in which an action is done; those of one stage may be done at once.

    >>> [stage_of(kind(Pitr.account("nightly", "7d"), "")) for kind in ORDER]
    [0, 1, 2, 2]
    """
    return min(ORDER.index(type(action)), ORDER.index(Alter))


@dataclass(frozen=True, slots=True)
class Conflict:
    """A declared policy that cannot be made so, and what stands in its way.

    >>> there = Pitr.account("nightly", "7d").with_status(PitrStatus.ACTIVE)
    >>> [conflict] = compare([Pitr.account("weekly", "7d")], [there]).conflicts
    >>> conflict.pitr.name, conflict.existing.name
    ('weekly', 'nightly')

    :ivar gone: whether what the policy is for is not there.
    """

    pitr: Pitr
    existing: Pitr
    reason: str
    gone: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.pitr.name,
            "target": target_text(self.pitr),
            "existing_name": self.existing.name,
            "existing_target": target_text(self.existing),
            "gone": self.gone,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        return f"! conflict {self.pitr.name}, {target_text(self.pitr)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The arguments of a comparison, so that it can be made again against a later state.

    :ivar gone_conflicts: whether a renewal for what is not there is a conflict: who creates tables
        as well goes on with it.
    """

    declared: tuple[Pitr, ...]
    databases: frozenset[str]
    drop_undeclared: bool = False
    include: Include | None = None
    parts: Mapping[Key, Parts] = field(default_factory=dict)
    gone_conflicts: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """The actions that make a server's policies those that are declared.

    :ivar actions: in the order in which they are to be done: Drop, Renew, Alter, Create, each by
        level and name.
    :ivar undeclared: policies in the declared databases that nobody declares; left alone.
    :ivar conflicts: what no action can make so.
    :ivar history: older generations, kept until their last restorable moment has passed.
    :ivar unknown: policies of which this account cannot tell whether they still protect their
        object; taken for active.
    :ivar rows_only: tables of which nothing that is declared or there keeps all: indexes or
        partitions are lost. No drift, and in no way of ``in_sync``.
    :ivar held: policies whose range is longer while :func:`hold` is for them. No drift either.
    :ivar when_released: what their ranges without the hold lack, to be altered when it has ended.
    """

    actions: tuple[Action, ...]
    undeclared: tuple[Pitr, ...]
    conflicts: tuple[Conflict, ...]
    history: tuple[Pitr, ...]
    unknown: tuple[Pitr, ...]
    scope: Scope = field(compare=False)
    rows_only: tuple[Shortfall, ...] = ()
    held: tuple[Pitr, ...] = ()
    when_released: tuple[Alter, ...] = ()

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
        return replace(self, actions=tuple(kept))

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
            "rows_only": [shortfall.to_dict() for shortfall in self.rows_only],
            "held": [_described(pitr) for pitr in self.held],
            "when_released": [action.to_dict() for action in self.when_released],
        }

    def summary(self) -> str:
        """One line: how much of what.

        >>> compare([Pitr.account("nightly", "7d")], []).summary()
        '1 to create'
        """
        counts = {
            f"to {kind.kind}": sum(isinstance(action, kind) for action in self.actions)
            for kind in reversed(ORDER)
        }
        counts["in conflict"] = len(self.conflicts)
        found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return found or "in sync"

    def __repr__(self) -> str:
        """Text for a terminal: the summary, then a line each, thirty at most."""
        items = [*self.conflicts, *self.actions]
        lines = [f"  {item}" for item in items[:30]]
        if len(items) > 30:
            lines.append(f"  ... and {len(items) - 30} more")
        if self.undeclared:
            lines.append(f"  {len(self.undeclared)} not declared, left alone")
        if self.held:
            lines.append(f"  held, range left alone: {', '.join(p.name for p in self.held)}")
        lines += (f"  when its hold ends: {action}" for action in self.when_released)
        lines += (f"  {line}" for line in in_words(self.rows_only))
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
