"""The rows that an undo cannot bring back as they were, beside what is there now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql import FromClause

from ..connections import query
from .row_change import ChangeKind
from .undo_rows import UndoRows, other_table

MOST_CONFLICTS: Final = 1000
"""Conflicts that are listed, skipped or replaced in one call; more are refused."""


@dataclass(frozen=True, slots=True)
class UndoConflict:
    """A row that cannot be as it was beside what is there now.

    :ivar table: ``database.table``.
    :ivar key: the row's.
    :ivar reason: what stands in the way.
    :ivar other: the key of the row that has its UNIQUE value.
    """

    table: str
    key: tuple[Any, ...]
    reason: str
    other: tuple[Any, ...] | None = None

    def __str__(self) -> str:
        return f"{self.table} {_shown(self.key)}: {self.reason}"


def _shown(key: tuple[Any, ...]) -> str:
    return str(key[0]) if len(key) == 1 else str(key)


def unique_conflicts(
    connection: Connection, rows: UndoRows, *, chain: bool
) -> Iterator[UndoConflict]:
    """Rows whose UNIQUE value another row has that will still have it.

    :param chain: count on another row's value to change because that row comes back too, as one
        UPDATE may exchange values; not so where rows may be skipped, as that one might be.
    """
    comparison = rows.comparison
    o, q = comparison.present("o"), comparison.past("q")
    common = {column.key for column in comparison.common}
    stays = []
    if ChangeKind.INSERTED in rows.kinds:
        stays.append(~and_(comparison.missing(q), comparison.holds_now(o)))
    if ChangeKind.UPDATED in rows.kinds and chain:
        stays.append(or_(comparison.missing(q), ~rows.holds_for_either(q, o)))
    whole = not comparison.condition and rows.kinds == frozenset(ChangeKind) and chain
    for name, columns in comparison.now.unique.items():
        if columns == comparison.key or not common.issuperset(columns):
            continue
        if whole and columns in comparison.then.unique.values():
            continue  # all will be as it was then, when the values were unique
        for key, other in _holders(connection, rows, columns, o, q, *stays):
            yield _conflict(rows, key, f"UNIQUE {name} is taken by {_shown(other)}", other)


def _holders(
    connection: Connection,
    rows: UndoRows,
    columns: Sequence[str],
    o: FromClause,
    q: FromClause,
    *where: ColumnElement[bool],
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Keys of rows that come back, and of another one that has their UNIQUE value now."""
    comparison = rows.comparison
    c, p = comparison.c, comparison.p
    taken = and_(*(comparison.blind(p, key) == o.c[key] for key in columns))
    another = or_(*(p.c[key] != o.c[key] for key in comparison.key))
    statement = (
        select(*rows.key(p), *(o.c[key].label(f"o_{key}") for key in comparison.key))
        .select_from(
            p.join(o, and_(taken, another))
            .outerjoin(c, comparison.same_key(p, c))
            .outerjoin(q, comparison.same_key(q, o))
        )
        .where(rows.comes_back(), *where)
        .limit(MOST_CONFLICTS + 1)
    )
    width = len(comparison.key)
    for row in query(connection, statement):
        yield row[:width], row[width:]


def orphans(connection: Connection, rows: UndoRows) -> Iterator[UndoConflict]:
    """Rows that would refer to a row which is not there."""
    comparison = rows.comparison
    c, p = comparison.c, comparison.p
    common = {column.key for column in comparison.common}
    for key in rows.parents_elsewhere:
        if not common.issuperset(key.columns):
            continue
        parent = other_table(key.parent, key.parent_columns, "r")
        refers = [
            comparison.blind(p, ours) == parent.c[theirs]
            for ours, theirs in zip(key.columns, key.parent_columns, strict=True)
        ]
        statement = (
            select(*rows.key(p))
            .select_from(p.outerjoin(c, comparison.same_key(p, c)).outerjoin(parent, and_(*refers)))
            .where(
                rows.comes_back(),
                parent.c[key.parent_columns[0]].is_(None),
                *(p.c[ours].is_not(None) for ours in key.columns),
            )
            .limit(MOST_CONFLICTS + 1)
        )
        reason = f"the row of {'.'.join(key.parent)} that it refers to is gone"
        for row in query(connection, statement):
            yield _conflict(rows, row, reason)


def still_referred_to(connection: Connection, rows: UndoRows) -> Iterator[UndoConflict]:
    """Rows that would go, and to which rows of other tables refer, which no one named."""
    comparison = rows.comparison
    c, p = comparison.c, comparison.p
    if ChangeKind.INSERTED not in rows.kinds:
        return
    for key in rows.children_elsewhere:
        child = other_table(key.table, key.columns, "r")
        refers = [
            child.c[theirs] == c.c[ours]
            for theirs, ours in zip(key.columns, key.parent_columns, strict=True)
        ]
        statement = (
            select(*rows.key(c))
            .distinct()
            .select_from(c.join(child, and_(*refers)).outerjoin(p, comparison.same_key(p, c)))
            .where(rows.is_new())
            .limit(MOST_CONFLICTS + 1)
        )
        for row in query(connection, statement):
            yield _conflict(rows, row, f"rows of {'.'.join(key.table)} refer to it")


def _conflict(
    rows: UndoRows, key: tuple[Any, ...], reason: str, other: tuple[Any, ...] | None = None
) -> UndoConflict:
    return UndoConflict(rows.comparison.name, tuple(key), reason, other)
