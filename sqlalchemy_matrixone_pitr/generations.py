"""Generations: the several PITRs of the server that are one policy.

The server cannot rename a PITR, a rebuilt object leaves its PITR detached, and the detached row is
what keeps the old history from being collected. So a policy is renewed under its name with a
number: ``orders_week``, then ``orders_week__g2``, ``orders_week__g3``. The newest active one is the
policy; older ones are history until their last restorable moment has passed.

A suffix alone makes no generation: the PITR must be for the target of its line. The line is the
PITR that has the name itself, and what has its number for another target is a policy of its own,
under its whole name. Where that PITR is gone (:func:`~.renewal.prune_history` drops it in time),
only who knows the target can tell which line a number is of: a declaration, or a migration. To a
name alone, as a manager is given, nothing answers then.

Everything here is pure: names in, names out. What is sent is in ``renewal.py``.
Source: docs/server.md, What detaches a policy; Names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from .errors import PitrValidationError
from .model import Pitr, PitrLevel, PitrStatus
from .names import MAX_NAME_LENGTH, check_pitr_name, shorten

SUFFIX: Final = "__g"
"""Before the number of a generation; what nobody writes by hand."""

_NUMBERED = re.compile(rf"(?P<base>.+){SUFFIX}(?P<number>[1-9][0-9]{{0,8}})", re.DOTALL)

LONGEST_SUFFIX = len(SUFFIX) + 9
"""Characters that a generation may add to a name."""

Target: TypeAlias = tuple[PitrLevel, str | None, str | None, str | None]


def split_generation(name: str) -> tuple[str, int]:
    """The policy's name and the generation in a PITR's name.

    A PITR of that name is one only with the target of its line: see :func:`policies`.

    >>> split_generation("orders_week"), split_generation("orders_week__g3")
    (('orders_week', 1), ('orders_week', 3))
    >>> split_generation("sales__2025")
    ('sales__2025', 1)
    """
    match = _NUMBERED.fullmatch(name) if SUFFIX in name else None
    if match is None or int(match["number"]) < 2:
        return name, 1
    return match["base"], int(match["number"])


def generation_name(name: str, number: int) -> str:
    """The PITR's name of a policy's generation.

    :raises PitrValidationError: longer than the server takes.

    >>> generation_name("orders_week", 1), generation_name("orders_week", 2)
    ('orders_week', 'orders_week__g2')
    """
    return check_pitr_name(name if number == 1 else f"{name}{SUFFIX}{number}")


def check_declared_name(name: str) -> str:
    """A policy's name, checked and folded: not one that reads as a generation of another.

    :raises PitrValidationError: also where it ends in ``__g`` and digits.

    >>> check_declared_name("orders__g2")
    Traceback (most recent call last):
    ...
    sqlalchemy_matrixone_pitr.errors.PitrValidationError: PITR name 'orders__g2' ends in '__g2', ...
    """
    folded = check_pitr_name(name)
    ending = re.search(rf"{SUFFIX}[0-9]+$", folded)
    if ending is not None:
        raise PitrValidationError(
            f"PITR name {shorten(name)} ends in {ending[0]!r}, which numbers the generations of a "
            "renewed policy: declare it under another name"
        )
    if len(folded) > MAX_NAME_LENGTH - LONGEST_SUFFIX:
        raise PitrValidationError(
            f"PITR name has {len(folded)} characters, the limit of a declared one is "
            f"{MAX_NAME_LENGTH - LONGEST_SUFFIX}, which leaves room for the number of a renewal: "
            "shorten it"
        )
    return folded


def target_of(pitr: Pitr) -> Target:
    """The object that a PITR protects, comparable."""
    return pitr.level, pitr.account_name, pitr.database_name, pitr.table_name


def have_one_target(one: Pitr, other: Pitr) -> bool:
    """Whether two PITRs are for the same object: :func:`target_of` makes no tuples here."""
    return (
        one.table_name == other.table_name
        and one.database_name == other.database_name
        and one.level is other.level
        and one.account_name == other.account_name
    )


def object_of(pitr: Pitr) -> tuple[str, str | None]:
    """The database and table that a PITR is for, as the catalogue keys them."""
    return pitr.database_name or "", pitr.table_name


def is_for(pitr: Pitr, tables: Container[tuple[str, str]], database: str | None) -> bool:
    """Whether a PITR is for one of some tables, or for a database as a whole.

    >>> orders = Pitr.table("p", "orders", "7d", database_name="shop")
    >>> is_for(orders, {("shop", "orders")}, None), is_for(orders, (), "shop")
    (True, False)
    """
    if pitr.level is PitrLevel.TABLE:
        return (pitr.database_name, pitr.table_name) in tables
    return pitr.level is PitrLevel.DATABASE and pitr.database_name == database


def target_text(target: Target | Pitr) -> str:
    """A target for people.

    >>> target_text(Pitr.table("p", "orders", "7d", database_name="shop"))
    'table shop.orders'
    """
    level, account, database, table = target_of(target) if isinstance(target, Pitr) else target
    if level is PitrLevel.CLUSTER:
        return "the cluster"
    if level is PitrLevel.ACCOUNT:
        return "the current account" if account is None else f"account {account}"
    of_database = database if database is not None else "(default database)"
    return f"database {of_database}" if table is None else f"table {of_database}.{table}"


def is_detached(pitr: Pitr) -> bool:
    """Whether a PITR surely protects nothing new any more."""
    return pitr.status is PitrStatus.DETACHED


def is_active_on_server(pitr: Pitr, stale_active: Collection[str]) -> bool:
    """Whether the server takes a PITR for active, and lets its object have no second one.

    :param stale_active: as of :class:`~.status.ServerState`.

    >>> week = Pitr.account("week", "7d").with_status(PitrStatus.DETACHED)
    >>> is_active_on_server(week, []), is_active_on_server(week, ["week"])
    (False, True)
    """
    return not is_detached(pitr) or pitr.name in stale_active


@dataclass(frozen=True, slots=True)
class Policy:
    """The PITRs of the server that are generations of one policy, oldest first; never empty.

    :ivar taken: numbers that a new generation cannot have: PITRs of other targets have those names.
    """

    name: str
    generations: tuple[Pitr, ...]
    taken: frozenset[int] = frozenset()

    @property
    def has_line(self) -> bool:
        """Whether the PITR that has the policy's own name is there."""
        return self.generations[0].name == self.name

    @property
    def current(self) -> Pitr:
        """The newest generation that is not detached; where all are, the newest."""
        for pitr in reversed(self.generations):
            if not is_detached(pitr):
                return pitr
        return self.generations[-1]

    @property
    def history(self) -> tuple[Pitr, ...]:
        """The other generations: they keep what was before."""
        return tuple(pitr for pitr in self.generations if pitr is not self.current)

    @property
    def next_number(self) -> int:
        """The number of the generation that a renewal creates."""
        newest = max(split_generation(pitr.name)[1] for pitr in self.generations)
        return next(number for number in itertools.count(newest + 1) if number not in self.taken)

    @property
    def target(self) -> Target:
        return target_of(self.generations[0])

    @property
    def detached(self) -> bool:
        """Whether no generation protects the target any more."""
        return all(is_detached(pitr) for pitr in self.generations)


def policies(pitrs: Iterable[Pitr]) -> list[Policy]:
    """The policies that PITRs are generations of, sorted by name.

    >>> [week] = policies([Pitr.account("w__g2", "7d"), Pitr.account("w", "7d")])
    >>> week.name, [pitr.name for pitr in week.generations]
    ('w', ['w', 'w__g2'])
    >>> day = Pitr.database("d", "7d", database_name="a")
    >>> theirs = Pitr.database("d__g2", "7d", database_name="b")
    >>> [policy.name for policy in policies([day, theirs])]
    ['d', 'd__g2']
    """
    alone, together = by_policy_name(pitrs)
    made = [Policy(name, (pitr,)) for name, pitr in alone.items()]
    for name, some in together.items():
        made += _of_one_name(name, some)
    made.sort(key=lambda policy: policy.name)
    return made


def by_policy_name(pitrs: Iterable[Pitr]) -> tuple[dict[str, Pitr], dict[str, list[Pitr]]]:
    """PITRs by their names less the numbers of generations: those that are alone, and the others.

    >>> alone, together = by_policy_name(
    ...     [Pitr.account("d", "1d"), Pitr.account("w", "7d"), Pitr.account("w__g2", "7d")]
    ... )
    >>> list(alone), list(together)
    (['d'], ['w'])
    """
    alone: dict[str, Pitr] = {}
    together: dict[str, list[Pitr]] = {}
    for pitr in pitrs:
        name = pitr.name
        if SUFFIX in name:
            name, _ = split_generation(name)
        first = alone.setdefault(name, pitr)
        if first is not pitr:
            together.setdefault(name, [first]).append(pitr)
    for name in together:
        del alone[name]
    return alone, together


def _of_one_name(name: str, pitrs: list[Pitr]) -> Iterator[Policy]:
    """The policies of PITRs whose names differ in their number at most."""
    pitrs.sort(key=lambda pitr: split_generation(pitr.name)[1])
    taken = frozenset(split_generation(pitr.name)[1] for pitr in pitrs)
    by_target: dict[Target, list[Pitr]] = {}
    for pitr in pitrs:
        by_target.setdefault(target_of(pitr), []).append(pitr)
    line = target_of(pitrs[0]) if pitrs[0].name == name else None
    for target, some in by_target.items():
        if line in (None, target):
            yield Policy(name, tuple(some), taken)
        else:  # the name is another object's policy
            yield from (Policy(pitr.name, (pitr,)) for pitr in some)


def find_policy(pitrs: Iterable[Pitr], name: str, target: Target | None = None) -> Policy | None:
    """The policy that a name is for: its own, or that of one of its generations.

    :param name: checked and folded.
    :param target: what the policy is for. Without it the name must be that of a PITR: a number
        alone does not say whose it is.
    """
    by_line = None
    for policy in policies(pitrs):
        if any(pitr.name == name for pitr in policy.generations):
            return policy if target in (None, policy.target) else None
        if policy.name == name and policy.target == target:
            by_line = policy
    return by_line


def find_pitr(pitrs: Iterable[Pitr], name: str, target: Target | None = None) -> Pitr | None:
    """The PITR that a name means: a generation that is named, else the policy's current one.

    >>> find_pitr([Pitr.account("w", "7d"), Pitr.account("w__g2", "7d")], "w").name
    'w__g2'
    """
    policy = find_policy(pitrs, name, target)
    if policy is None:
        return None
    if name != policy.name:
        return next((pitr for pitr in policy.generations if pitr.name == name), None)
    return policy.current
