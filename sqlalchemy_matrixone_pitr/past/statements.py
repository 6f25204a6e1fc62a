"""The statements that bring one table's rows back, and their order.

Source: docs/server.md, Time travel; SQL traps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, FromClause
from sqlalchemy.sql.compiler import SQLCompiler

from ..catalog import Key, Reference
from ..errors import PastConflictError
from ..server import SUPPORTED_DIALECTS
from .comparison import Comparison
from .conflicts import (
    MOST_CONFLICTS,
    UndoConflict,
    orphans,
    still_referred_to,
    unique_conflicts,
)
from .row_change import ChangeKind
from .undo_rows import UndoRows, other_table


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


class TableUndo(UndoRows):
    """One table's part of an undo.

    :ivar conflicts: found by :meth:`find_conflicts`.
    """

    def __init__(
        self,
        comparison: Comparison,
        tables: Sequence[Key],
        keys: Sequence[Reference],
        kinds: frozenset[ChangeKind],
    ) -> None:
        super().__init__(comparison, tables, keys, kinds)
        self.conflicts: list[UndoConflict] = []
        self._left: list[tuple[Any, ...]] = []
        self._replaced: list[tuple[Any, ...]] = []

    @property
    def skipped(self) -> int:
        return len(self._left)

    def _not_left(self, alias: FromClause) -> list[ColumnElement[bool]]:
        """Without the rows that are left as they are."""
        return [~self.among(alias, self._left)] if self._left else []

    # -------------------------------------------------------------------------- its statements

    def delete_inserted(self, *, unless_referred_to: bool) -> DeleteJoined:
        """DELETE of rows that were inserted since.

        :param unless_referred_to: only those to which no row of the undo's tables refers.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        joined: Any = c.outerjoin(p, comparison.same_key(p, c))
        where = [self.is_new(), *self._not_left(c)]
        for number, key in enumerate(self.children if unless_referred_to else ()):
            child = other_table(key.table, key.columns, f"r{number}", also=self.own_key(key))
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
        columns = [self.nullable(key.columns) for key in self.own_parents]
        cut = sorted({column for column in columns if column is not None})
        if not cut:
            return None, not columns
        where = and_(self.is_new(), or_(*(c.c[key].is_not(None) for key in cut)))
        joined = c.outerjoin(p, comparison.same_key(p, c))
        clear = ClearJoined(c, joined, and_(where, *self._not_left(c)), cut)
        return clear, None not in columns

    def free_values(self) -> ClearJoined | None:
        """UPDATE of inserted rows that can go only last: none has a UNIQUE value any more which a
        row needs that comes back. None where no such row or value is possible."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        columns = {
            self.nullable(columns)
            for columns in comparison.now.unique.values()
            if columns != comparison.key
        } - {None}
        if not columns or not self.children:
            return None
        joined = c.outerjoin(p, comparison.same_key(p, c))
        where = and_(self.is_new(), *self._not_left(c))
        return ClearJoined(c, joined, where, sorted(filter(None, columns)))

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
            .where(comparison.same_key(p, c), self.is_other(), *self._not_left(c))
        )

    def insert_deleted(self, *, if_parent_is_there: bool) -> Any:
        """INSERT of rows that were deleted since.

        :param if_parent_is_there: only those that refer to no row of this table which is not there.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        columns = [column.key for column in comparison.common if not column.now.generated]
        joined: Any = p.outerjoin(c, comparison.same_key(p, c))
        where = [self.is_gone(), *self._not_left(p)]
        for number, key in enumerate(self.own_parents if if_parent_is_there else ()):
            parent = other_table(key.table, key.parent_columns, f"r{number}")
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
            yield delete(self.comparison.real).where(self.among(self.comparison.real, some))

    # -------------------------------------------------------------------------------- conflicts

    def find_conflicts(self, connection: Connection, on_conflict: str) -> None:
        """Read what stands in the way, and decide what is left and what is replaced.

        :raises PastConflictError: there is too much of it.
        """
        found = [
            *unique_conflicts(connection, self, chain=on_conflict != "skip"),
            *orphans(connection, self),
            *still_referred_to(connection, self),
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
