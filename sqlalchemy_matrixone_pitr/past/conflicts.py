"""The rows that an undo cannot bring back as they were, beside what is there now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, literal_column, or_, select, true
from sqlalchemy.engine import Connection
from sqlalchemy.sql import FromClause

from ..catalog import Key
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
    :ivar changed_again: whether it is one because it changed once more after ``until``.
    """

    table: str
    key: tuple[Any, ...]
    reason: str
    other: tuple[Any, ...] | None = None
    changed_again: bool = False

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
        stays.append(_fails(rows.is_new(q, o)))
    if ChangeKind.UPDATED in rows.kinds and chain:
        comes_back = and_(rows.holds_for_either(q, o), *rows.not_spared(o))
        stays.append(or_(comparison.missing(q), _fails(comes_back)))
    whole = chain and not rows.is_partial
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
    another = comparison.other_key(p, o)
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


def orphans_within(
    connection: Connection, rows: UndoRows, undo: Mapping[Key, UndoRows]
) -> Iterator[UndoConflict]:
    """Rows that would refer to a row of the undo's tables that does not come back."""
    comparison = rows.comparison
    c, p = comparison.c, comparison.p
    common = {column.key for column in comparison.common}
    for key in rows.parents_within:
        parent = undo[key.parent]
        its = parent.comparison
        there = {column.key for column in its.common}
        if not parent.is_partial or not (
            common.issuperset(key.columns) and there.issuperset(key.parent_columns)
        ):
            continue
        r, q = its.present("r"), its.past("q")
        pairs = list(zip(key.columns, key.parent_columns, strict=True))
        now = and_(*(comparison.blind(p, ours) == r.c[theirs] for ours, theirs in pairs))
        then = and_(*(comparison.blind(p, ours) == its.blind(q, theirs) for ours, theirs in pairs))
        comes = [its.holds_then(q), *parent.not_spared(q)]
        stays_away = _fails(and_(*comes)) if ChangeKind.DELETED in rows.kinds else true()
        statement = (
            select(*rows.key(p))
            .distinct()
            .select_from(
                p.outerjoin(c, comparison.same_key(p, c)).outerjoin(r, now).outerjoin(q, then)
            )
            .where(
                rows.comes_back(),
                *(p.c[ours].is_not(None) for ours in key.columns),
                r.c[key.parent_columns[0]].is_(None),
                or_(q.c[key.parent_columns[0]].is_(None), stays_away),
            )
            .limit(MOST_CONFLICTS + 1)
        )
        reason = f"the row of {its.name} that it refers to is gone and does not come back"
        for row in query(connection, statement):
            yield _conflict(rows, row, reason)


def still_referred_to_within(
    connection: Connection, rows: UndoRows, undo: Mapping[Key, UndoRows]
) -> Iterator[UndoConflict]:
    """Rows that would go, and to which a row of the undo's tables refers that stays as it is."""
    comparison = rows.comparison
    c, p = comparison.c, comparison.p
    for key in rows.children if ChangeKind.INSERTED in rows.kinds else ():
        child = undo[key.table]
        its = child.comparison
        if not child.is_partial or not {one.key for one in its.common}.issuperset(key.columns):
            continue
        r, q = its.present("r"), its.past("q")
        pairs = zip(key.columns, key.parent_columns, strict=True)
        refers = [r.c[theirs] == c.c[ours] for theirs, ours in pairs]
        if key.table == rows.table:
            refers.append(comparison.other_key(r, c))
        changes = [child.is_new(q, r)]
        if ChangeKind.UPDATED in rows.kinds:
            changes.append(and_(~its.missing(q), child.is_other(q, r)))
        statement = (
            select(*rows.key(c))
            .distinct()
            .select_from(
                c.join(r, and_(*refers))
                .outerjoin(p, comparison.same_key(p, c))
                .outerjoin(q, its.same_key(q, r))
            )
            .where(rows.is_new(), _fails(or_(*changes)))
            .limit(MOST_CONFLICTS + 1)
        )
        for row in query(connection, statement):
            yield _conflict(rows, row, f"a row of {its.name} that stays as it is refers to it")


def changed_again(connection: Connection, rows: UndoRows) -> tuple[list[UndoConflict], int]:
    """Rows of the undo that changed once more: the first thousand, and how many there are."""
    assert rows.again is not None
    found: list[UndoConflict] = []
    total = 0
    with contextlib.closing(rows.again.find(connection, rows.kinds)) as changes:
        for change in changes:
            total += 1
            if len(found) < MOST_CONFLICTS:
                reason = f"it was {change.kind}, and has changed again since {rows.again.until}"
                found.append(
                    UndoConflict(rows.comparison.name, change.key, reason, changed_again=True)
                )
    return found, total


def _fails(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a condition is not true: false, or NULL."""
    return case((condition, literal_column("1")), else_=literal_column("0")) == literal_column("0")


def _conflict(
    rows: UndoRows, key: tuple[Any, ...], reason: str, other: tuple[Any, ...] | None = None
) -> UndoConflict:
    return UndoConflict(rows.comparison.name, tuple(key), reason, other)
