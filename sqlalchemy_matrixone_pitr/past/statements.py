"""The statements that bring one table's rows back, and their order.

Source: docs/server.md, Time travel; SQL traps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from ..catalog import Key, Reference
from ..errors import PastConflictError
from ..moment import Moment
from .by_value import TOUCHED, ByValue
from .comparison import Comparison, KeyCondition
from .conflicts import (
    MOST_CONFLICTS,
    UndoConflict,
    changed_again,
    orphans,
    orphans_within,
    still_referred_to,
    still_referred_to_within,
    unique_conflicts,
)
from .joined import DeleteJoined, SetJoined
from .keys import check_found
from .row_change import ChangeKind
from .undo_rows import UndoRows, other_table


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
        self._by_value = ByValue(self)
        self._replaced: list[tuple[Any, ...]] = []
        self._changed_again = 0

    @property
    def skipped(self) -> int:
        return len(self.left) + self._changed_again

    # -------------------------------------------------------------------------- its statements

    def delete_inserted(self, *, unless_referred_to: bool) -> DeleteJoined:
        """DELETE of rows that were inserted since.

        :param unless_referred_to: only those to which no row of the undo's tables refers.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        joined: Any = c.outerjoin(p, comparison.same_key(p, c))
        where = [self.is_new()]
        for number, key in enumerate(self.children if unless_referred_to else ()):
            child = other_table(key.table, key.columns, f"r{number}", also=self.own_key(key))
            refers = [
                child.c[theirs] == c.c[ours]
                for theirs, ours in zip(key.columns, key.parent_columns, strict=True)
            ]
            if key.table == self.table:  # a row that refers to itself does not keep itself
                refers.append(comparison.other_key(child, c))
            joined = joined.outerjoin(child, and_(*refers))
            where.append(child.c[key.columns[0]].is_(None))
        return DeleteJoined(c, joined, and_(*where))

    def cut_references(self) -> tuple[SetJoined | None, bool]:
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
        clear = SetJoined(c, joined, where, _cleared(cut))
        return clear, None not in columns

    def free_values(self) -> SetJoined | None:
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
        return SetJoined(c, joined, self.is_new(), _cleared(sorted(filter(None, columns))))

    def give_up_values(self) -> Iterator[tuple[SetJoined, bool]]:
        """UPDATEs of rows that were updated since, and had NULL where they have a UNIQUE value now:
        no UPDATE of a join takes a value from such a row and gives it to another one.

        :return: each, and whether the rows are as they were by it alone.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        kept: dict[str, ColumnElement[Any]] = {
            column.key: c.c[column.key]  # so that ON UPDATE does not touch them
            for column in comparison.now.columns
            if column.type in TOUCHED and column.keeps_itself
        }
        unique = {key for columns in comparison.now.unique.values() for key in columns}
        for column in self.written:
            if column.key not in unique or not column.nullable or column in self.by_value:
                continue
            joined = c.join(p, comparison.same_key(p, c))
            given_up = and_(p.c[column.key].is_(None), c.c[column.key].is_not(None))
            others = [other for other in self.written if other is not column]
            more = comparison.any_differs(others, p, c)
            for alone, where in ((True, ~more), (False, more)):
                found = and_(given_up, where, self.is_other())
                yield SetJoined(c, joined, found, kept | {column.key: null()}), alone

    def update_changed(self) -> Any:
        """UPDATE of rows that were updated since; None where there is nothing to write in one."""
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        written = [column for column in self.written if column not in self.by_value]
        if not written:
            return None
        values = {c.c[column.key]: p.c[column.key] for column in written}
        for column in comparison.now.columns:  # so that ON UPDATE does not touch them
            if comparison.then.column(column.key) is None and column.keeps_itself:
                values[c.c[column.key]] = c.c[column.key]
        return (
            update(c)  # type: ignore[arg-type]
            .values(values)
            .where(comparison.same_key(p, c), self.is_other())
        )

    def read_values(self, connection: Connection) -> None:
        """Read what :meth:`update_by_value` writes, before anything is written."""
        self._by_value.read(connection)

    def update_by_value(self) -> Iterator[Any]:
        """UPDATEs of what was updated since in columns that none sets from another row."""
        return self._by_value.updates()

    def insert_deleted(self, *, if_parent_is_there: bool) -> Any:
        """INSERT of rows that were deleted since.

        :param if_parent_is_there: only those that refer to no row of this table which is not there.
        """
        comparison = self.comparison
        c, p = comparison.c, comparison.p
        columns = [column.key for column in comparison.common if not column.now.generated]
        joined: Any = p.outerjoin(c, comparison.same_key(p, c))
        where = [self.is_gone()]
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

    def find_changed_again(self, connection: Connection, on_conflict: str) -> None:
        """Read which rows of the undo changed once more, and decide whether they are left."""
        if self.again is None:
            return
        self.conflicts, number = changed_again(connection, self)
        if on_conflict == "replace":
            self.again.replace()
        else:
            self._changed_again = number

    def find_conflicts(
        self, connection: Connection, undos: Mapping[Key, TableUndo], on_conflict: str
    ) -> bool:
        """Read what else stands in the way, and decide what is left and what is replaced.

        :return: whether anything was found. Rows that are left may stand in the way of others.
        :raises PastConflictError: there is too much of it.
        """
        before = len(self.conflicts)
        self._add(unique_conflicts(connection, self, chain=on_conflict != "skip"), on_conflict)
        self._add(orphans(connection, self), on_conflict)
        self._add(still_referred_to(connection, self), on_conflict)
        self._add(orphans_within(connection, self, undos), on_conflict)
        self._add(still_referred_to_within(connection, self, undos), on_conflict)
        return len(self.conflicts) > before

    def _add(self, found: Iterable[UndoConflict], on_conflict: str) -> None:
        some = list(found)
        self.conflicts += some
        mine = [conflict for conflict in self.conflicts if not conflict.changed_again]
        if len(mine) > MOST_CONFLICTS:
            raise PastConflictError(
                f"more than {MOST_CONFLICTS} rows of {self.comparison.name} cannot be as they were "
                "beside what is there now: narrow the undo by where=, or undo the tables that they "
                "belong with in the same call",
                conflicts=mine[:MOST_CONFLICTS],
            )
        if on_conflict == "skip":
            left = set(self.left)
            for conflict in some:
                check_found(self.comparison.name, conflict.key, found=conflict.key not in left)
            self.left = list(dict.fromkeys([*self.left, *(c.key for c in some)]))
        elif on_conflict == "replace":
            others = (conflict.other for conflict in mine if conflict.other is not None)
            self._replaced = list(dict.fromkeys(others))

    @property
    def until(self) -> Moment | None:
        return None if self.again is None else self.again.until

    @property
    def is_not_meant(self) -> KeyCondition | None:
        """Condition on rows that the undo is not about; None where there are none."""
        return None if self.again is None else self.again.is_not_meant

    def number_refused(self, on_conflict: str) -> int:
        """Count the conflicts that are errors, those that are not listed too."""
        listed = sum(conflict.changed_again for conflict in self.conflicts)
        more = 0 if on_conflict == "replace" else self._changed_again - listed
        return len(self.refused(on_conflict)) + max(more, 0)

    def refused(self, on_conflict: str) -> list[UndoConflict]:
        """The conflicts that are errors."""
        if on_conflict == "skip":
            return []
        if on_conflict == "replace":
            return [one for one in self.conflicts if one.other is None and not one.changed_again]
        return self.conflicts


def _cleared(columns: Iterable[str]) -> dict[str, ColumnElement[Any]]:
    return dict.fromkeys(columns, null())


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


def _updates(undo: TableUndo) -> Iterator[Step]:
    """The statements that bring updated rows back; each row counts once."""
    for given_up, alone in undo.give_up_values():
        yield Step(undo, ChangeKind.UPDATED if alone else None, given_up)
    changed = undo.update_changed()
    if changed is not None:
        yield Step(undo, ChangeKind.UPDATED, changed)
    counted = ChangeKind.UPDATED if changed is None else None
    for update_ in undo.update_by_value():
        yield Step(undo, counted, update_)


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
        steps = list(_updates(undo)) if ChangeKind.UPDATED in kinds else []
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
        if undo.refers_to_itself and ChangeKind.DELETED in kinds:
            steps.insert(0, steps.pop())
        yield from steps
    if ChangeKind.INSERTED in kinds:
        for undo in reversed(undos):
            if undo.is_referred_to:
                yield Step(
                    undo, ChangeKind.INSERTED, undo.delete_inserted(unless_referred_to=False)
                )
