"""The statements that bring one table's rows back, and what stands in their way.

Source: docs/server.md, Time travel; SQL traps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    MetaData,
    Table,
    and_,
    delete,
    false,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, FromClause
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import NullType

from ..catalog import Key, Reference
from ..connections import query
from ..errors import PastConflictError
from ..server import SUPPORTED_DIALECTS
from .comparison import Comparison
from .row_change import ChangeKind

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


class ChangeJoined(Executable, ClauseElement):
    """A change of one table of a left join, which SQLAlchemy's own elements do not write."""

    stringify_dialect = "mysql"

    def __init__(self, target: FromClause, joined: FromClause, where: ColumnElement[bool]) -> None:
        self.target = target
        self.joined = joined
        self.where = where


class DeleteJoined(ChangeJoined):
    """``DELETE c FROM t AS c LEFT JOIN ... WHERE ...``"""

    inherit_cache = False


class ClearJoined(ChangeJoined):
    """``UPDATE t AS c LEFT JOIN ... SET c.a = NULL, ... WHERE ...``

    :param columns: those that become NULL.
    """

    inherit_cache = False

    def __init__(
        self,
        target: FromClause,
        joined: FromClause,
        where: ColumnElement[bool],
        columns: Sequence[str],
    ) -> None:
        super().__init__(target, joined, where)
        self.columns = columns


@compiles(DeleteJoined)
@compiles(ClearJoined)
def _visit_unsupported(element: ChangeJoined, compiler: SQLCompiler, **kw: Any) -> str:
    raise CompileError(
        f"this statement is MatrixOne's: dialect {compiler.dialect.name!r} does not know it"
    )


@compiles(DeleteJoined, *SUPPORTED_DIALECTS)
def _visit_delete(element: DeleteJoined, compiler: Any, **kw: Any) -> str:
    target: Any = element.target
    return (
        f"DELETE {compiler.preparer.quote(target.name)} "
        f"FROM {compiler.process(element.joined, asfrom=True, **kw)} "
        f"WHERE {compiler.process(element.where, **kw)}"
    )


@compiles(ClearJoined, *SUPPORTED_DIALECTS)
def _visit_clear(element: ClearJoined, compiler: Any, **kw: Any) -> str:
    columns = (compiler.process(element.target.c[name], **kw) for name in element.columns)
    return (
        f"UPDATE {compiler.process(element.joined, asfrom=True, **kw)} "
        f"SET {', '.join(f'{column} = NULL' for column in columns)} "
        f"WHERE {compiler.process(element.where, **kw)}"
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of an undo.

    :ivar kind: of the changes that it takes back; None of a step that another one undoes.
    :ivar until_none: send it again as long as it finds rows.
    """

    undo: TableUndo
    kind: ChangeKind | None
    statement: Any
    until_none: bool = False


class TableUndo:
    """One table's part of an undo.

    :ivar conflicts: found by :meth:`find_conflicts`.
    :ivar parents: the other tables of the undo that it refers to.
    """

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
        self.conflicts: list[UndoConflict] = []
        self._left: list[tuple[Any, ...]] = []
        self._replaced: list[tuple[Any, ...]] = []
        of = [key for key in keys if key.table == self.table]
        to = [key for key in keys if key.parent == self.table]
        self._children = [key for key in to if key.table in tables]
        self._children_elsewhere = [key for key in to if key.table not in tables]
        self._parents_elsewhere = [key for key in of if key.parent not in tables]
        self.parents = {key.parent for key in of if key.parent in tables} - {self.table}
        common = {column.key for column in comparison.common}
        self._own_parents = [
            key
            for key in of
            if key.parent == self.table and common.issuperset(key.columns + key.parent_columns)
        ]
        self.refers_to_itself = bool(self._own_parents)
        self.written = [
            column
            for column in comparison.common
            if not column.now.generated and column.key not in comparison.key
        ]

    @property
    def is_referred_to(self) -> bool:
        """Whether rows of the undo's tables may refer to its rows."""
        return bool(self._children)

    @property
    def skipped(self) -> int:
        return len(self._left)

    # ----------------------------------------------------------------------------- which rows

    def _key(self, alias: FromClause) -> list[ColumnElement[Any]]:
        return [alias.c[key] for key in self.comparison.key]

    def _not_left(self, alias: FromClause) -> list[ColumnElement[bool]]:
        """Without the rows that are left as they are."""
        return [~self._in(alias, self._left)] if self._left else []

    def _in(self, alias: FromClause, keys: list[tuple[Any, ...]]) -> ColumnElement[bool]:
        columns = self._key(alias)
        if len(columns) == 1:
            return columns[0].in_([key[0] for key in keys])
        return or_(*(and_(*(c == v for c, v in zip(columns, key, strict=True))) for key in keys))

    def _is_new(self) -> ColumnElement[bool]:
        """Condition on the present left joined to the past: rows that were inserted since."""
        comparison = self.comparison
        return and_(comparison.missing(comparison.p), comparison.holds_now(comparison.c))

    def _is_gone(self) -> ColumnElement[bool]:
        """Condition on the past left joined to the present: rows that were deleted since."""
        comparison = self.comparison
        return and_(comparison.missing(comparison.c), comparison.holds_then(comparison.p))

    def _is_other(self) -> ColumnElement[bool]:
        """Condition on the past joined to the present: rows that were updated since."""
        comparison = self.comparison
        differs = comparison.any_differs(self.written, comparison.p, comparison.c)
        return and_(differs, self._holds_for_either(comparison.p, comparison.c))

    def _holds_for_either(self, past: FromClause, present: FromClause) -> ColumnElement[bool]:
        comparison = self.comparison
        if not comparison.condition:
            return true()
        return or_(comparison.holds_then(past), comparison.holds_now(present))

    # -------------------------------------------------------------------------- its statements

    def delete_inserted(self, *, unless_referred_to: bool) -> DeleteJoined:
        """DELETE of rows that were inserted since.

        :param unless_referred_to: only those to which no row of the undo's tables refers.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        joined: Any = c.outerjoin(p, comparison.same_key(p, c))
        where = [self._is_new(), *self._not_left(c)]
        for number, key in enumerate(self._children if unless_referred_to else ()):
            child = _table(key.table, key.columns, f"r{number}", also=self._own_key(key))
            refers = [
                child.c[theirs] == c.c[ours]
                for theirs, ours in zip(key.columns, key.parent_columns, strict=True)
            ]
            if key.table == self.table:  # a row that refers to itself does not keep itself
                refers.append(or_(*(child.c[name] != c.c[name] for name in self.comparison.key)))
            joined = joined.outerjoin(child, and_(*refers))
            where.append(child.c[key.columns[0]].is_(None))
        return DeleteJoined(c, joined, and_(*where))

    def cut_references(self) -> tuple[ClearJoined | None, bool]:
        """UPDATE of inserted rows, so that they refer to no row of this table any more: the server
        deletes no row that refers to itself. None where there is nothing to cut.

        :return: it, and whether it cuts all: else the rows go one level after the other.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        columns = [self._nullable(key.columns) for key in self._own_parents]
        cut = sorted({column for column in columns if column is not None})
        if not cut:
            return None, not columns
        where = and_(self._is_new(), or_(*(c.c[key].is_not(None) for key in cut)))
        joined = c.outerjoin(p, comparison.same_key(p, c))
        clear = ClearJoined(c, joined, and_(where, *self._not_left(c)), cut)
        return clear, None not in columns

    def free_values(self) -> ClearJoined | None:
        """UPDATE of inserted rows that can go only last: none has a UNIQUE value any more which a
        row needs that comes back. None where no such row or value is possible."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        columns = {
            self._nullable(columns)
            for columns in comparison.now.unique.values()
            if columns != comparison.key
        } - {None}
        if not columns or not self._children:
            return None
        joined = c.outerjoin(p, comparison.same_key(p, c))
        where = and_(self._is_new(), *self._not_left(c))
        return ClearJoined(c, joined, where, sorted(filter(None, columns)))

    def _own_key(self, key: Reference) -> tuple[str, ...]:
        return self.comparison.key if key.table == self.table else ()

    def update_changed(self) -> Any:
        """UPDATE of rows that were updated since; None where there is nothing to write."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        if not self.written:
            return None
        values = {c.c[column.key]: p.c[column.key] for column in self.written}
        for column in comparison.now.columns:  # so that ON UPDATE does not touch them
            if comparison.then.column(column.key) is None and not column.generated:
                values[c.c[column.key]] = c.c[column.key]
        return (
            update(c)  # type: ignore[arg-type]
            .values(values)
            .where(comparison.same_key(p, c), self._is_other(), *self._not_left(c))
        )

    def insert_deleted(self, *, if_parent_is_there: bool) -> Any:
        """INSERT of rows that were deleted since.

        :param if_parent_is_there: only those that refer to no row of this table which is not there.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        columns = [column.key for column in comparison.common if not column.now.generated]
        joined: Any = p.outerjoin(c, comparison.same_key(p, c))
        where = [self._is_gone(), *self._not_left(p)]
        for number, key in enumerate(self._own_parents if if_parent_is_there else ()):
            parent = _table(key.table, key.parent_columns, f"r{number}")
            pairs = list(zip(key.columns, key.parent_columns, strict=True))
            joined = joined.outerjoin(
                parent, and_(*(parent.c[theirs] == p.c[ours] for ours, theirs in pairs))
            )
            where.append(
                or_(
                    parent.c[key.parent_columns[0]].is_not(None),
                    *(p.c[ours].is_(None) for ours in key.columns),
                    and_(*(p.c[ours] == p.c[theirs] for ours, theirs in pairs)),
                )
            )
        rows = select(*(p.c[key] for key in columns)).select_from(joined).where(*where)
        names = [comparison.real.c[key] for key in columns]
        return insert(comparison.real).from_select(names, rows, include_defaults=False)

    def replacements(self) -> Iterator[Any]:
        """DELETEs of rows that have a UNIQUE value of a row that comes back."""
        for start in range(0, len(self._replaced), 100):
            some = self._replaced[start : start + 100]
            yield delete(self.comparison.real).where(self._in(self.comparison.real, some))

    # -------------------------------------------------------------------------------- conflicts

    def find_conflicts(self, connection: Connection, on_conflict: str) -> None:
        """Read what stands in the way, and decide what is left and what is replaced.

        :raises PastConflictError: there is too much of it.
        """
        found = [
            *self._unique_conflicts(connection, chain=on_conflict != "skip"),
            *self._orphans(connection),
            *self._still_referred_to(connection),
        ]
        if len(found) > MOST_CONFLICTS:
            raise PastConflictError(
                f"more than {MOST_CONFLICTS} rows of {self.comparison.name} cannot be as they were "
                "beside what is there now: narrow the undo by where=, or undo the tables that they "
                "belong with in the same call",
                conflicts=found[:MOST_CONFLICTS],
            )
        self.conflicts = found
        if on_conflict == "skip":
            self._left = list(dict.fromkeys(conflict.key for conflict in found))
        elif on_conflict == "replace":
            others = (conflict.other for conflict in found if conflict.other is not None)
            self._replaced = list(dict.fromkeys(others))

    def refused(self, on_conflict: str) -> list[UndoConflict]:
        """The conflicts that are errors."""
        if on_conflict == "skip":
            return []
        if on_conflict == "replace":
            return [conflict for conflict in self.conflicts if conflict.other is None]
        return self.conflicts

    def _comes_back(self) -> ColumnElement[bool]:
        """Condition on the past left joined to the present: rows that are to be written."""
        comparison = self.comparison
        there = ~comparison.missing(comparison.c)
        written = []
        if ChangeKind.DELETED in self.kinds:
            written.append(self._is_gone())
        if ChangeKind.UPDATED in self.kinds:
            written.append(and_(there, self._is_other()))
        return or_(*written) if written else false()

    def _unique_conflicts(self, connection: Connection, *, chain: bool) -> Iterator[UndoConflict]:
        """Rows whose UNIQUE value another row has that will still have it.

        :param chain: count on another row's value to change because that row comes back too, as one
            UPDATE may exchange values; not so where rows may be skipped, as that one might be.
        """
        comparison = self.comparison
        o, q = comparison.present("o"), comparison.past("q")
        common = {column.key for column in comparison.common}
        stays = []
        if ChangeKind.INSERTED in self.kinds:
            stays.append(~and_(comparison.missing(q), comparison.holds_now(o)))
        if ChangeKind.UPDATED in self.kinds and chain:
            stays.append(or_(comparison.missing(q), ~self._holds_for_either(q, o)))
        whole = not comparison.condition and self.kinds == frozenset(ChangeKind) and chain
        for name, columns in comparison.now.unique.items():
            if columns == comparison.key or not common.issuperset(columns):
                continue
            if whole and columns in comparison.then.unique.values():
                continue  # all will be as it was then, when the values were unique
            for key, other in self._holders(connection, columns, o, q, *stays):
                yield self._conflict(key, f"UNIQUE {name} is taken by {_shown(other)}", other)

    def _holders(
        self,
        connection: Connection,
        columns: Sequence[str],
        o: FromClause,
        q: FromClause,
        *where: ColumnElement[bool],
    ) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Keys of rows that come back, and of another one that has their UNIQUE value now."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        taken = and_(*(comparison.blind(p, key) == o.c[key] for key in columns))
        another = or_(*(p.c[key] != o.c[key] for key in comparison.key))
        statement = (
            select(*self._key(p), *(o.c[key].label(f"o_{key}") for key in comparison.key))
            .select_from(
                p.join(o, and_(taken, another))
                .outerjoin(c, comparison.same_key(p, c))
                .outerjoin(q, comparison.same_key(q, o))
            )
            .where(self._comes_back(), *where)
            .limit(MOST_CONFLICTS + 1)
        )
        width = len(comparison.key)
        for row in query(connection, statement):
            yield row[:width], row[width:]

    def _nullable(self, columns: Iterable[str]) -> str | None:
        """One of some columns that takes NULL."""
        nullable = {column.key for column in self.comparison.now.columns if column.nullable}
        return next((key for key in columns if key in nullable), None)

    def _orphans(self, connection: Connection) -> Iterator[UndoConflict]:
        """Rows that would refer to a row which is not there."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        common = {column.key for column in comparison.common}
        for key in self._parents_elsewhere:
            if not common.issuperset(key.columns):
                continue
            parent = _table(key.parent, key.parent_columns, "r")
            refers = [
                comparison.blind(p, ours) == parent.c[theirs]
                for ours, theirs in zip(key.columns, key.parent_columns, strict=True)
            ]
            statement = (
                select(*self._key(p))
                .select_from(
                    p.outerjoin(c, comparison.same_key(p, c)).outerjoin(parent, and_(*refers))
                )
                .where(
                    self._comes_back(),
                    parent.c[key.parent_columns[0]].is_(None),
                    *(p.c[ours].is_not(None) for ours in key.columns),
                )
                .limit(MOST_CONFLICTS + 1)
            )
            reason = f"the row of {'.'.join(key.parent)} that it refers to is gone"
            for row in query(connection, statement):
                yield self._conflict(row, reason)

    def _still_referred_to(self, connection: Connection) -> Iterator[UndoConflict]:
        """Rows that would go, and to which rows of other tables refer, which no one named."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        if ChangeKind.INSERTED not in self.kinds:
            return
        for key in self._children_elsewhere:
            child = _table(key.table, key.columns, "r")
            refers = [
                child.c[theirs] == c.c[ours]
                for theirs, ours in zip(key.columns, key.parent_columns, strict=True)
            ]
            statement = (
                select(*self._key(c))
                .distinct()
                .select_from(c.join(child, and_(*refers)).outerjoin(p, comparison.same_key(p, c)))
                .where(self._is_new())
                .limit(MOST_CONFLICTS + 1)
            )
            for row in query(connection, statement):
                yield self._conflict(row, f"rows of {'.'.join(key.table)} refer to it")

    def _conflict(
        self, key: tuple[Any, ...], reason: str, other: tuple[Any, ...] | None = None
    ) -> UndoConflict:
        return UndoConflict(self.comparison.name, tuple(key), reason, other)


def _table(table: Key, columns: Iterable[str], alias: str, also: Iterable[str] = ()) -> FromClause:
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


# -------------------------------------------------------------------------------------------- order


def parents_first(undos: Sequence[TableUndo]) -> list[TableUndo]:
    """Tables behind those that they refer to; of tables that refer to each other, as given."""
    ordered: list[TableUndo] = []
    left = list(undos)
    while left:
        waiting = {undo.table for undo in left}
        free = [undo for undo in left if not undo.parents & (waiting - {undo.table})]
        ordered += free or left[:1]
        left = [undo for undo in left if undo not in ordered]
    return ordered


def in_order(undos: Sequence[TableUndo], kinds: frozenset[ChangeKind]) -> Iterator[Step]:
    """The statements of an undo, each in its place.

    :param undos: parents first.
    """
    if ChangeKind.INSERTED in kinds:
        for undo in reversed(undos):
            cut, loose = undo.cut_references()
            if cut is not None:
                yield Step(undo, None, cut)
            statement = undo.delete_inserted(unless_referred_to=True)
            yield Step(undo, ChangeKind.INSERTED, statement, until_none=not loose)
        for undo in undos:
            cleared = undo.free_values()
            if cleared is not None:
                yield Step(undo, None, cleared)
    for undo in undos:
        steps = []
        changed = undo.update_changed()
        if ChangeKind.UPDATED in kinds and changed is not None:
            steps.append(Step(undo, ChangeKind.UPDATED, changed))
        if ChangeKind.DELETED in kinds:
            if undo.refers_to_itself:
                yield Step(
                    undo,
                    ChangeKind.DELETED,
                    undo.insert_deleted(if_parent_is_there=True),
                    until_none=True,
                )
            steps.append(
                Step(undo, ChangeKind.DELETED, undo.insert_deleted(if_parent_is_there=False))
            )
        # A row of a table that refers to itself may refer to one that comes back.
        yield from reversed(steps) if undo.refers_to_itself else steps
    if ChangeKind.INSERTED in kinds:
        for undo in reversed(undos):
            if undo.is_referred_to:
                yield Step(
                    undo, ChangeKind.INSERTED, undo.delete_inserted(unless_referred_to=False)
                )
