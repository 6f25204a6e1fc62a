"""Rows that changed once more after the changes that an undo is about.

An undo with ``until`` takes back what changed between two moments. What is other now than it was
at ``until`` has changed again: it is left as it is, or is a conflict. A statement knows one past
moment, so the keys of such rows go into a table, which the transaction makes and drops::

    CREATE TABLE mo_pitr_undo_... (k0 int, state int NOT NULL, PRIMARY KEY (k0))
    INSERT INTO mo_pitr_undo_... SELECT ... FROM t {MO_TS = until} AS p LEFT JOIN t AS c ...

The statements of the undo then spare these keys. Those of its rows that changed at both times are
conflicts; only their rows, as they were at each of the moments, come to the client, to be compared.

Source: docs/server.md, Time travel.
"""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    and_,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.sql import FromClause
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import UserDefinedType

from ..connections import run_text, send
from ..errors import PastError
from ..moment import Moment
from ..names import back_quoted
from .comparison import Comparison, Where
from .definitions import column_types
from .joined import SetJoined, check_size
from .keys import among, check_found
from .merging import merge
from .row_change import ChangeKind, RowChange, RowReader
from .rows import spooled

_AS_AT: Final = 0
_OTHER: Final = 1
_CONFLICT: Final = 2
"""States of a row: as it was at ``at``; other, but not changed between the moments; a conflict."""

_MANY: Final = 500
"""Keys in one statement."""


class _Written(UserDefinedType[Any]):
    """A type as SHOW CREATE TABLE writes it."""

    cache_ok = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        return self.text


class ChangedAgain:
    """The rows of a table that are other now than they were at ``until``.

    :param comparison: the table at ``at`` and now.
    :param since: the table at ``until`` and now, whole.
    :param where: the undo's condition.
    :ivar until: the moment.
    :ivar statements: those that were sent to find them, for a script.
    """

    def __init__(self, comparison: Comparison, since: Comparison, where: Where) -> None:
        if since.key != comparison.key:
            raise PastError(
                f"{comparison.name} was given another key between {comparison.at} and {since.at}: "
                "nothing tells which of its rows is which at all three moments"
            )
        self.until: Moment = since.at
        self.statements: list[Any] = []
        self._comparison = comparison
        self._since = since
        moments: Any = (comparison.at, since.at, comparison.then, since.then)
        self._between = Comparison(comparison.table, comparison.declared, *moments, where=where)
        self._as_sent = Comparison(comparison.table, None, *moments)
        self._spares_conflicts = True
        self._table: Table | None = None

    # ---------------------------------------------------------------------------- its conditions

    def spares(self, alias: FromClause) -> ColumnElement[bool]:
        """Condition on a row that an undo leaves as it is."""
        return self._among(alias, conflicts=self._spares_conflicts)

    def is_not_meant(self, alias: FromClause) -> ColumnElement[bool]:
        """Condition on a row that changed again, and not between the moments."""
        return self._among(alias, conflicts=False)

    def _among(self, alias: FromClause, *, conflicts: bool) -> ColumnElement[bool]:
        table = self._made.alias("u")
        found = select(*self._keys(table))
        if not conflicts:
            found = found.where(table.c.state < literal_column(str(_CONFLICT)))
        columns = [alias.c[key] for key in self._comparison.key]
        return columns[0].in_(found) if len(columns) == 1 else tuple_(*columns).in_(found)

    def _keys(self, table: FromClause) -> list[Any]:
        return [table.c[f"k{number}"] for number in range(len(self._comparison.key))]

    @property
    def _made(self) -> Table:
        assert self._table is not None
        return self._table

    def _same_key(self, table: FromClause, alias: FromClause, *, past: bool) -> ColumnElement[bool]:
        comparison = self._comparison
        return and_(
            *(
                (comparison.blind(alias, key) if past else alias.c[key]) == ours
                for key, ours in zip(comparison.key, self._keys(table), strict=True)
            )
        )

    # ------------------------------------------------------------------------------- finding them

    def find(
        self, connection: Connection, kinds: frozenset[ChangeKind]
    ) -> Generator[RowChange, None, None]:
        """Make the table and fill it, and find the conflicts: rows of the undo that changed again.

        :param kinds: of the changes that the undo is about.
        """
        self._table = self._shape(connection)
        self._send(connection, CreateTable(self._table))
        for statement in self._fill():
            self._send(connection, statement)
        self._send(connection, self._mark_other())
        before, after = (
            spooled(connection, self._rows_at(at)) for at in (self._comparison.at, self.until)
        )
        with contextlib.closing(before), contextlib.closing(after):
            reader = RowReader(self._as_sent, connection.dialect)
            changes = merge(self._between, reader, before, after)
            meant = (change for change in changes if change.kind in kinds)
            while some := list(itertools.islice(meant, _MANY)):
                self._mark_conflicts(connection, [change.key for change in some])
                yield from some

    def replace(self) -> None:
        """Have the undo write conflicts, too."""
        self._spares_conflicts = False

    def dropping(self) -> DropTable:
        return DropTable(self._made)

    def drop(self, connection: Connection) -> None:
        """Drop the table, if it was made."""
        if self._table is not None:
            send(connection, self.dropping())

    def _send(self, connection: Connection, statement: Any) -> int:
        self.statements.append(statement)
        rows = send(connection, statement)
        if isinstance(statement, SetJoined):
            check_size(connection, rows)
        return rows

    def _shape(self, connection: Connection) -> Table:
        comparison = self._comparison
        shown: Any = run_text(
            connection, f"SHOW CREATE TABLE {back_quoted(*comparison.table)}"
        ).one()
        types = column_types(str(shown[1]))
        return Table(
            quoted_name(f"mo_pitr_undo_{uuid.uuid4().hex[:12]}", True),
            MetaData(),
            *(
                Column(f"k{number}", _Written(types[key]), primary_key=True, autoincrement=False)
                for number, key in enumerate(comparison.key)
            ),
            Column("state", Integer, nullable=False),
            schema=quoted_name(comparison.table[0], True),
        )

    def _fill(self) -> Iterator[Any]:
        """INSERTs of the keys of rows that are other now than they were at ``until``."""
        since = self._since
        table = self._made
        names = [*self._keys(table), table.c.state]
        state: Any = literal_column(str(_AS_AT))
        for found, alias in zip(since.branches(), (since.p, since.c), strict=True):
            rows = found.add_columns(*(alias.c[key] for key in since.key), state)
            yield insert(table).from_select(names, rows, include_defaults=False)

    def _mark_other(self) -> SetJoined:
        """UPDATE of rows that are other now than they were at ``at``."""
        comparison = self._comparison
        p, c = comparison.p, comparison.c
        target = self._made.alias("u")
        joined = target.outerjoin(p, self._same_key(target, p, past=True)).outerjoin(
            c, self._same_key(target, c, past=False)
        )
        gone, new = comparison.missing(c), comparison.missing(p)
        other = or_(
            and_(gone, ~new),
            and_(new, ~gone),
            and_(~gone, ~new, comparison.any_differs(comparison.columns, p, c)),
        )
        return SetJoined(target, joined, other, {"state": literal_column(str(_OTHER))})

    def _rows_at(self, at: Moment) -> Any:
        """Rows of one moment, as :func:`merge` takes them, that may be conflicts."""
        found = self._between.rows_at(at)
        (past,) = found.get_final_froms()
        table = self._made
        joined = past.join(table, self._same_key(table, past, past=True))
        return found.select_from(joined).where(table.c.state == literal_column(str(_OTHER)))

    def _mark_conflicts(self, connection: Connection, keys: Sequence[tuple[Any, ...]]) -> None:
        table = self._made
        marked = update(table).values(state=literal_column(str(_CONFLICT)))
        found = self._send(connection, marked.where(among(self._keys(table), keys)))
        check_found(self._comparison.name, keys[0], found=found == len(keys))
