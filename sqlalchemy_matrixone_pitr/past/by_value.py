"""Columns that no UPDATE sets from another row: an ENUM takes a value that is written out, and so
do a SET and, on 3.x, a vector.

Their values, and the keys of the rows that are to have them, are read before anything is written,
and written in as many statements as it takes::

    UPDATE t SET size = 'small', touched = touched WHERE id IN (1, 2, ...)

Source: docs/server.md, SQL traps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import String, and_, literal, null, or_, select, update

from ..connections import query
from .row_change import ChangeKind

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from .undo_rows import UndoRows

_MANY: Final = 500
"""Keys in one statement."""

TOUCHED: Final = ("TIMESTAMP", "DATETIME")
"""Types of columns that may have an ON UPDATE."""


class ByValue:
    """The updated rows of one table of an undo, whose ENUMs and the like come back."""

    def __init__(self, rows: UndoRows) -> None:
        self._rows = rows
        self._keys: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}

    def read(self, connection: Connection) -> None:
        """Read the keys of these rows, by what the columns are to be."""
        rows = self._rows
        comparison = rows.comparison
        c, p = comparison.c, comparison.p
        self._keys = {}
        if not rows.by_value or ChangeKind.UPDATED not in rows.kinds:
            return
        differ = or_(*(comparison.differs(column, p, c) for column in rows.by_value))
        found = (
            select(*rows.key(c), *(p.c[column.key] for column in rows.by_value))
            .select_from(p.join(c, comparison.same_key(p, c)))
            .where(and_(differ, rows.is_other()))
        )
        width = len(comparison.key)
        for row in query(connection, found):
            self._keys.setdefault(tuple(row[width:]), []).append(tuple(row[:width]))

    def updates(self) -> Iterator[Any]:
        """The statements."""
        rows = self._rows
        table = rows.comparison.real
        touched = {
            table.c[column.key]: table.c[column.key]
            for column in rows.comparison.now.columns
            if column.type in TOUCHED and column.keeps_itself
        }
        for values, keys in self._keys.items():
            written = {
                table.c[column.key]: null() if value is None else literal(str(value), String())
                for column, value in zip(rows.by_value, values, strict=True)
            }
            for start in range(0, len(keys), _MANY):
                some = keys[start : start + _MANY]
                yield update(table).values({**touched, **written}).where(rows.among(table, some))
