"""Parts of a table that a policy keeps. Pure: nothing is read.

A UNIQUE key, an index and a partition are tables of their own to the server, and a table-level
policy names only the table itself. Once garbage collection has run, a RESTORE says OK and brings:

==========================  =======================  =======================
table                       table-level policy       any other level
==========================  =======================  =======================
neither index nor UNIQUE    all                      all
indexes or UNIQUE keys      rows only                all
partitioned, from 4.0 on    nothing                  all
==========================  =======================  =======================

Source: docs/server.md, Garbage collection.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, UniqueConstraint

from .generations import is_detached
from .model import Pitr, PitrLevel
from .server import Rules

Key = tuple[str, str]
"""A database, and a table in it."""

MOST_NAMES: Final = 20
"""So many tables are named in one sentence."""


class Extent(enum.IntEnum):
    """Part of a table that is kept; more is greater."""

    NOTHING = 0
    ROWS = 1
    ALL = 2

    def __str__(self) -> str:
        """The extent in words.

        >>> str(Extent.ROWS)
        'rows only'
        """
        return ("nothing", "rows only", "all")[self]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a table besides its rows, in hidden tables of their own.

    :ivar indexes: names of UNIQUE keys and indexes, sorted; the primary key is none of them.
    """

    indexes: tuple[str, ...] = ()
    partitioned: bool = False

    def __bool__(self) -> bool:
        return bool(self.indexes) or self.partitioned

    def __or__(self, other: Parts) -> Parts:
        """The parts that either has.

        >>> Parts(("ix_item",)) | Parts(("uq_code",), partitioned=True)
        Parts(indexes=('ix_item', 'uq_code'), partitioned=True)
        """
        return Parts(
            tuple(sorted({*self.indexes, *other.indexes})), self.partitioned or other.partitioned
        )


def parts_of(table: Table) -> Parts:
    """The parts of a Table, as it is declared."""
    indexes = {str(index.name) for index in table.indexes} | {
        str(key.name or next(iter(key.columns)).name)
        for key in table.constraints
        if isinstance(key, UniqueConstraint) and len(key.columns)
    }
    partitioned = any(option.endswith("_partition_by") for option in table.dialect_kwargs)
    return Parts(tuple(sorted(indexes)), partitioned)


# ------------------------------------------------------------------------------------- by a policy


def covers(pitr: Pitr, database: str | None, table: str | None) -> bool:
    """Whether a policy is for an object of the current account, or for something that contains it.

    >>> covers(Pitr.database("week", "7d", database_name="shop"), "shop", "orders")
    True
    """
    if pitr.level is PitrLevel.CLUSTER:
        return True
    if pitr.level is PitrLevel.ACCOUNT:
        return pitr.account_name is None
    if pitr.level is PitrLevel.DATABASE:
        return pitr.database_name == database
    return table is not None and (pitr.database_name, pitr.table_name) == (database, table)


class Covered:
    """The objects that active policies are for: :func:`covers` for many tables and policies.

    >>> covered = Covered([Pitr.database("week", "7d", database_name="shop")])
    >>> ("shop", "orders") in covered, ("archive", "orders") in covered
    (True, False)

    :param pitrs: of one account; detached ones protect nothing.
    :ivar everything: whether a policy is for the whole account.
    :ivar tables: the table-level policies' names.
    """

    def __init__(self, pitrs: Iterable[Pitr]) -> None:
        active = [pitr for pitr in pitrs if not is_detached(pitr)]
        above = (pitr for pitr in active if pitr.level in (PitrLevel.CLUSTER, PitrLevel.ACCOUNT))
        self.everything = any(covers(pitr, None, None) for pitr in above)
        self._databases = {p.database_name for p in active if p.level is PitrLevel.DATABASE}
        self.tables = {
            (pitr.database_name, pitr.table_name): pitr.name
            for pitr in active
            if pitr.level is PitrLevel.TABLE
        }

    def has_database(self, database: str) -> bool:
        """Whether a database is covered, and so all that is in it."""
        return self.everything or database in self._databases

    def __contains__(self, table: Key) -> bool:
        return self.has_database(table[0]) or table in self.tables


def kept_by(level: PitrLevel, parts: Parts, rules: Rules) -> Extent:
    """The part of a table that a policy of a level keeps.

    >>> from sqlalchemy_matrixone_pitr.server import rules_of
    >>> unique = Parts(("uq_code",))
    >>> kept_by(PitrLevel.TABLE, unique, rules_of((4, 2, 0))).name
    'ROWS'
    >>> kept_by(PitrLevel.DATABASE, unique, rules_of((4, 2, 0))).name
    'ALL'
    """
    if level is not PitrLevel.TABLE:
        return Extent.ALL
    if parts.partitioned and not rules.table_policies_keep_partitions:
        return Extent.NOTHING
    return Extent.ROWS if parts.indexes else Extent.ALL


# --------------------------------------------------------------------------------------- shortfalls


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A table that has nothing but a table-level policy, which does not keep all of it."""

    database: str
    table: str
    policy: str
    parts: Parts
    kept: Extent

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "database_name": self.database,
            "table_name": self.table,
            "policy": self.policy,
            "kept": str(self.kept),
            "indexes": list(self.parts.indexes),
            "partitioned": self.parts.partitioned,
        }

    def __str__(self) -> str:
        """
        >>> str(Shortfall("shop", "orders", "week", Parts(("uq_code",)), Extent.ROWS))
        'shop.orders (uq_code)'
        """
        lost = "" if self.kept is Extent.NOTHING else f" ({', '.join(self.parts.indexes)})"
        return f"{self.database}.{self.table}{lost}"


def shortfalls(
    pitrs: Iterable[Pitr], parts: Mapping[Key, Parts], rules: Rules
) -> tuple[Shortfall, ...]:
    """The tables of which policies keep less than all, sorted.

    :param pitrs: of one account; detached ones protect nothing. A table without any is left out:
        what is not protected at all is another question.
    :param parts: of the tables in question.
    """
    covered = Covered(pitrs)
    found = []
    for key in sorted(parts):
        kept = kept_by(PitrLevel.TABLE, parts[key], rules)
        if kept is not Extent.ALL and key in covered.tables and not covered.has_database(key[0]):
            found.append(Shortfall(*key, covered.tables[key], parts[key], kept))
    return tuple(found)


def in_words(found: Collection[Shortfall]) -> list[str]:
    """A sentence for each kind: which tables, what it means, and what keeps all of them.

    >>> [line] = in_words([Shortfall("shop", "orders", "week", Parts(("uq_code",)), Extent.ROWS)])
    >>> line[:34]
    'rows only: shop.orders (uq_code): '
    """
    by_kind: dict[Extent, list[Shortfall]] = defaultdict(list)
    for one in found:
        by_kind[one.kept].append(one)
    meaning = {
        Extent.NOTHING: (
            "a table-level policy keeps nothing of a partitioned table, and RESTORE says OK and "
            "brings no rows"
        ),
        Extent.ROWS: (
            "a table-level policy keeps no indexes, so that after a restore look-ups by them find "
            "nothing, and UNIQUE keys accept duplicates"
        ),
    }
    lines = []
    for kept, some in sorted(by_kind.items()):
        shown = ", ".join(map(str, some[:MOST_NAMES]))
        left = len(some) - MOST_NAMES
        more = f" and {left} more" if left > 0 else ""
        databases = ", ".join(sorted({one.database for one in some}))
        label = "nothing kept" if kept is Extent.NOTHING else str(kept)
        lines.append(
            f"{label}: {shown}{more}: {meaning[kept]}. A database-level policy keeps all of it: "
            f"DatabasePitr, for {databases}"
        )
    return lines
