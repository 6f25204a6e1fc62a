"""Rows of a table that an undo is about, as conditions on its present and its past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, MetaData, Table, and_, false, or_, true
from sqlalchemy.sql import FromClause
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import NullType

from ..catalog import Key, Reference
from .changed_again import ChangedAgain
from .comparison import Comparison
from .keys import among
from .row_change import ChangeKind


class UndoRows:
    """One table of an undo: its changed rows, and the foreign keys around it.

    :ivar parents: the other tables of the undo that it refers to.
    :ivar parents_within: its foreign keys to tables of the undo.
    :ivar own_parents: its foreign keys to itself.
    :ivar children: the foreign keys of the undo's tables to it.
    :ivar children_elsewhere: those of other tables.
    :ivar parents_elsewhere: its own to tables that are not in the undo.
    :ivar written: the columns that an UPDATE brings back.
    :ivar by_value: those of them that no UPDATE sets from another row: see :mod:`.by_value`.
    :ivar left: keys of rows that are left as they are.
    :ivar again: the rows that changed once more after the changes that are undone.
    """

    again: ChangedAgain | None = None

    def __init__(
        self,
        comparison: Comparison,
        tables: Sequence[Key],
        keys: Sequence[Reference],
        kinds: frozenset[ChangeKind],
    ) -> None:
        self.comparison = comparison
        self.table = comparison.table
        self.kinds = kinds
        self.left: list[tuple[Any, ...]] = []
        of = [key for key in keys if key.table == self.table]
        to = [key for key in keys if key.parent == self.table]
        self.children = [key for key in to if key.table in tables]
        self.children_elsewhere = [key for key in to if key.table not in tables]
        self.parents_elsewhere = [key for key in of if key.parent not in tables]
        self.parents_within = [key for key in of if key.parent in tables]
        self.parents = {key.parent for key in of if key.parent in tables} - {self.table}
        common = {column.key for column in comparison.common}
        self.own_parents = [
            key
            for key in of
            if key.parent == self.table and common.issuperset(key.columns + key.parent_columns)
        ]
        self.refers_to_itself = bool(self.own_parents)
        self.written = [
            column
            for column in comparison.common
            if not column.now.generated and column.key not in comparison.key
        ]

        self.by_value = [column for column in self.written if not column.now.is_set_from_columns]

    @property
    def is_referred_to(self) -> bool:
        """Whether rows of the undo's tables may refer to its rows."""
        return bool(self.children)

    def key(self, alias: FromClause) -> list[ColumnElement[Any]]:
        return [alias.c[key] for key in self.comparison.key]

    def among(self, alias: FromClause, keys: list[tuple[Any, ...]]) -> ColumnElement[bool]:
        return among(self.key(alias), keys)

    def is_new(
        self, past: FromClause | None = None, present: FromClause | None = None
    ) -> ColumnElement[bool]:
        """Condition on the present left joined to the past: rows that were inserted since."""
        comparison = self.comparison
        p, c = self._aliases(past, present)
        return and_(comparison.missing(p), comparison.holds_now(c), *self.not_spared(c))

    def is_gone(
        self, past: FromClause | None = None, present: FromClause | None = None
    ) -> ColumnElement[bool]:
        """Condition on the past left joined to the present: rows that were deleted since."""
        comparison = self.comparison
        p, c = self._aliases(past, present)
        return and_(comparison.missing(c), comparison.holds_then(p), *self.not_spared(p))

    def is_other(
        self, past: FromClause | None = None, present: FromClause | None = None
    ) -> ColumnElement[bool]:
        """Condition on the past joined to the present: rows that were updated since."""
        p, c = self._aliases(past, present)
        differs = self.comparison.any_differs(self.written, p, c)
        return and_(differs, self.holds_for_either(p, c), *self.not_spared(c))

    def _aliases(
        self, past: FromClause | None, present: FromClause | None
    ) -> tuple[FromClause, FromClause]:
        return (
            self.comparison.p if past is None else past,
            self.comparison.c if present is None else present,
        )

    @property
    def is_partial(self) -> bool:
        """Whether rows of it are not as they were after the undo."""
        return (
            self.again is not None
            or bool(self.left)
            or bool(self.comparison.condition)
            or self.kinds != frozenset(ChangeKind)
        )

    def not_spared(self, alias: FromClause) -> list[ColumnElement[bool]]:
        """Without the rows that changed again, and those that are left as they are."""
        again = [] if self.again is None else [~self.again.spares(alias)]
        return [*again, ~self.among(alias, self.left)] if self.left else again

    def holds_for_either(self, past: FromClause, present: FromClause) -> ColumnElement[bool]:
        comparison = self.comparison
        if not comparison.condition:
            return true()
        return or_(comparison.holds_then(past), comparison.holds_now(present))

    def comes_back(self) -> ColumnElement[bool]:
        """Condition on the past left joined to the present: rows that are to be written."""
        comparison = self.comparison
        there = ~comparison.missing(comparison.c)
        written = []
        if ChangeKind.DELETED in self.kinds:
            written.append(self.is_gone())
        if ChangeKind.UPDATED in self.kinds:
            written.append(and_(there, self.is_other()))
        return or_(*written) if written else false()

    def nullable(self, columns: Iterable[str]) -> str | None:
        """One of some columns that takes NULL, in an UPDATE of a join."""
        nullable = {
            column.key
            for column in self.comparison.now.columns
            if column.nullable and column.is_set_from_columns
        }
        return next((key for key in columns if key in nullable), None)

    def own_key(self, key: Reference) -> tuple[str, ...]:
        return self.comparison.key if key.table == self.table else ()


def other_table(
    table: Key, columns: Iterable[str], alias: str, also: Iterable[str] = ()
) -> FromClause:
    """Another table, as far as a statement names its columns."""
    found = Table(
        quoted_name(table[1], True),
        MetaData(),
        *(
            Column(quoted_name(name, True), NullType(), key=name)
            for name in dict.fromkeys([*columns, *also])
        ),
        schema=quoted_name(table[0], True),
    )
    return found.alias(alias)
