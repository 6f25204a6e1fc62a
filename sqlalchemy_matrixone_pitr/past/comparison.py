"""A table then and later, as a comparison: which columns and key, and the statements for it.

Two states are told apart by the primary key; without one, by a UNIQUE key whose columns take no
NULL; without such a key rows have no identity, and are compared as a multiset.

==========================  ======================================================================
compared                    read by
==========================  ======================================================================
past and present, by key    one statement, so that it sees one state of the present: the past left
                            joined to the present, and the present to the past. Never EXCEPT or
                            INTERSECT, which double rows; no FULL JOIN, which 3.x does not have
two past moments            two statements, since one knows one past moment: see :mod:`.merging`
past and present, no key    rows grouped by all columns, +1 for now and -1 for then
==========================  ======================================================================

Under a table's policy the history of its indexes is not kept, so a read of the past must not go
through one: conditions on the past are on ``coalesce(column, column)``, of which no index knows
(and not ``coalesce(column, NULL)``, which takes no UUID).

Source: docs/server.md, Time travel; Garbage collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    CHAR,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    Table,
    and_,
    cast,
    false,
    func,
    inspect as inspect_,
    literal_column,
    null,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.sql import FromClause, visitors
from sqlalchemy.sql.elements import ColumnClause, quoted_name
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import NullType

from ..catalog import ColumnShape, Key, TableShape, is_vector
from ..declarations import Databases
from ..errors import PitrValidationError
from ..moment import Moment
from ..names import fold, plain, shorten
from .elements import as_of

Target: TypeAlias = "Table | type[Any] | str"
"""A table: a Table, a mapped class, or text ``"db.table"``."""

Where: TypeAlias = "ColumnElement[bool] | None"

KeyCondition: TypeAlias = "Callable[[FromClause], ColumnElement[bool]]"
"""Makes a condition on the key of an alias of a table."""


@dataclass(frozen=True, slots=True)
class RealTable:
    """A table by the server's names: nothing translates them, and they may have dots in them."""

    key: Key


def find_table(target: Target | RealTable, databases: Databases) -> tuple[Key, Table | None]:
    """The server's names of a table, and its declaration where there is one.

    :raises PitrValidationError: it is none, or no database is chosen.
    """
    if isinstance(target, RealTable):
        return target.key, None
    if isinstance(target, str):
        database, dot, name = plain(target).rpartition(".")
        if not name or (dot and not database) or "." in database:
            raise PitrValidationError(
                f"{shorten(target)} is no table's name: write 'db.table' or 'table'; where a name "
                "has a dot in it, give a Table"
            )
        return _known(databases.real(database or None), fold(name), target), None
    table: Any = target
    if not isinstance(table, Table):
        try:
            table = getattr(inspect_(target), "local_table", None)
        except NoInspectionAvailable:
            table = None
    if not isinstance(table, Table):
        raise PitrValidationError(
            f"{shorten(target)} is no table: give a Table, a mapped class, or 'db.table'"
        )
    return _known(*databases.key(table), table.name), table


def _known(database: str | None, table: str, target: object) -> Key:
    if database is None:
        raise PitrValidationError(
            f"no database: {shorten(target)} names none, and the connection has no default one; "
            "write 'db.table', or put a database into the engine's URL"
        )
    return database, table


# --------------------------------------------------------------------------------------- conditions


class Condition:
    """The caller's ``where``, on any alias of the table."""

    def __init__(self, where: Where, declared: Table | None, names: dict[str, str]) -> None:
        self._where = where
        self._declared = declared
        self._names = names
        if where is None:
            return
        if not isinstance(where, ColumnElement):
            raise PitrValidationError(
                f"where takes a condition on the table's columns, such as orders.c.customer == 5 "
                f"or column('customer') == 5, not {shorten(where)}"
            )
        for part in visitors.iterate(where):
            if isinstance(part, SelectBase):
                raise PitrValidationError(
                    "where compares columns of the table with values, and takes no subquery: read "
                    "its rows first, and give them to in_()"
                )
        self.on(lambda key: null())  # names that are none are refused at once

    def __bool__(self) -> bool:
        return self._where is not None

    def on(self, column: Callable[[str], Any]) -> ColumnElement[bool]:
        """The condition with its columns replaced.

        :param column: makes an expression of a column's folded name.
        """
        if self._where is None:
            return true()

        def replace(part: Any, **_: Any) -> Any:
            if not isinstance(part, ColumnClause) or part.is_literal:
                return None
            table = part.table
            if table is not None and getattr(table, "_deannotate", lambda: table)() is not (
                self._declared
            ):
                raise PitrValidationError(
                    f"where is on the columns of one table, and {part} is of another"
                )
            key = fold(part.name)
            if key not in self._names:
                raise PitrValidationError(
                    f"where names the column {part.name!r}, which the table did not have at both "
                    f"moments: it had {', '.join(self._names.values())}"
                )
            return column(key)

        traverse: Any = visitors.replacement_traverse
        found: ColumnElement[bool] = traverse(self._where, {}, replace)
        return found


# ----------------------------------------------------------------------------------------- columns

_INTEGERS: Final = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")
_NUMBERS: Final = (*_INTEGERS, "DECIMAL", "FLOAT", "DOUBLE")
_TEXTS: Final = ("CHAR", "VARCHAR", "TEXT")
_BYTES: Final = ("BINARY", "VARBINARY", "BLOB")
_TIMES: Final = ("DATE", "DATETIME", "TIMESTAMP", "TIME", "YEAR")
_INCOMPARABLE: Final = ("GEOMETRY", "GEOMETRY32")
"""Types whose values ``<>`` does not take."""
_NO_COALESCE: Final = (*_INCOMPARABLE, "DATALINK")
"""Types whose values coalesce() does not take, and no index."""


class _Unsigned(Integer):
    """The type of a CAST to an unsigned number."""

    unsigned = True


def _family(name: str) -> str:
    first = name.partition(" ")[0]
    for family, names in (("number", _NUMBERS), ("text", _TEXTS), ("bytes", _BYTES)):
        if first.startswith("DECIMAL") or first in names:
            return "number" if first.startswith("DECIMAL") else family
    return first


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """A column that a table had at both moments.

    :ivar name: as the declared table spells it, else as the server does.
    :ivar declared: the caller's Column, whose type reads the values.
    """

    name: str
    then: ColumnShape
    now: ColumnShape
    declared: Column[Any] | None

    @property
    def key(self) -> str:
        return self.now.key

    @property
    def retyped(self) -> bool:
        """Whether its values are compared as texts: its type is another kind of type now."""
        return _family(self.then.type) != _family(self.now.type)

    @property
    def nullable(self) -> bool:
        return self.then.nullable or self.now.nullable

    def comparable(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the column as ``<>`` compares it, which 3.0.9 does wrongly for BITs."""
        if self.retyped or self.now.type in _INCOMPARABLE:
            return cast(expression, CHAR())
        return self._of_bits(expression)

    def united(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the column as UNION takes it."""
        return cast(expression, CHAR()) if self.now.type == "DATALINK" else expression

    def readable(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the column whose values compare here, at whatever moment it is read."""
        return self._of_bits(expression)

    def _of_bits(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the column, of a BIT as a number: its text is its bytes, and a signed
        number has not all its bits."""
        return cast(expression, _Unsigned()) if self.now.type == "BIT" else expression

    @property
    def sorts_as_text(self) -> bool:
        """Whether only the server knows the order of its values, but for that of their texts."""
        known = ("number", "text", "bytes", "BIT", *_TIMES)
        return self.retyped or (
            _family(self.now.type) not in known and not is_vector(self.now.type)
        )

    def groupable(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the column as GROUP BY and ORDER BY take it."""
        return cast(expression, CHAR()) if self.sorts_as_text else self._of_bits(expression)

    def sortable(self, expression: ColumnElement[Any]) -> ColumnElement[Any]:
        """An expression of the column, as GROUP BY takes it, as ORDER BY takes it in any place:
        3.x sorts by bytes in the last place only. Vectors have no texts on the server."""
        if not self.retyped and (_family(self.now.type) == "bytes" or is_vector(self.now.type)):
            return func.hex(expression)
        return expression


def _raw(truth: ColumnElement[bool]) -> ColumnElement[Any]:
    """A truth as the server sends it: a word before 3.0.18, any of which is True to SQLAlchemy."""
    return type_coerce(truth, NullType())


class Comparison:
    """A table at a moment, compared with the present or a later moment.

    :ivar declared: the caller's Table, where there is one.
    :ivar columns: what is compared, in the order of the table now.
    :ivar key: folded names of the columns that identify a row; () where none do.
    :ivar added: names of the columns that it has now and had not then.
    :ivar dropped: names of those that it had then and has not now.
    :ivar p: the table as it was, in statements that read both.
    :ivar c: the table now.
    """

    def __init__(
        self,
        table: Key,
        declared: Table | None,
        at: Moment,
        until: Moment | None,
        then: TableShape,
        now: TableShape,
        *,
        where: Where = None,
        only: Iterable[Any] | None = None,
    ) -> None:
        self.table = table
        self.declared = declared
        self.at = at
        self.until = until
        self.then = then
        self.now = now
        spelled: dict[str, Column[Any]] = (
            {fold(column.name): column for column in declared.columns}
            if declared is not None
            else {}
        )
        self.common = tuple(
            ComparedColumn(
                plain(spelled[column.key].name) if column.key in spelled else column.name,
                before,
                column,
                spelled.get(column.key),
            )
            for column in now.columns
            if (before := then.column(column.key)) is not None
        )
        self.added = tuple(c.name for c in now.columns if then.column(c.key) is None)
        self.dropped = tuple(c.name for c in then.columns if now.column(c.key) is None)
        self.key = self._find_key()
        self.columns = self._chosen(only)
        names = {column.key: column.name for column in self.common}
        self.condition = Condition(where, declared, names)
        self._by_key = {column.key: column for column in self.common}
        self.real = Table(
            quoted_name(table[1], True),
            MetaData(),
            *(Column(quoted_name(c.name, True), NullType(), key=c.key) for c in now.columns),
            schema=quoted_name(table[0], True),
        )
        self.p = self.past("p")
        self.c = self.present("c")

    @property
    def name(self) -> str:
        return ".".join(self.table)

    # ------------------------------------------------------------------------------- what it is

    def _find_key(self) -> tuple[str, ...]:
        """The primary key, if it is the same at both moments; else a UNIQUE key without NULLs."""
        if self.now.primary or self.then.primary:
            return self.now.primary if self._identifies(self.now.primary, self.then.primary) else ()
        for columns in self.now.unique.values():
            if any(self._identifies(columns, other) for other in self.then.unique.values()):
                return columns
        return ()

    def _identifies(self, now: tuple[str, ...], then: tuple[str, ...]) -> bool:
        if not now or now != then:
            return False
        by_key = {column.key: column for column in self.common}
        return all(
            key in by_key and not by_key[key].retyped and not by_key[key].nullable for key in now
        )

    def _chosen(self, only: Iterable[Any] | None) -> tuple[ComparedColumn, ...]:
        if only is None:
            return self.common
        if isinstance(only, str):
            raise PitrValidationError(f"columns takes a list of columns, not the text {only!r}")
        wanted = [fold(str(getattr(column, "name", column))) for column in only]
        known = {column.key for column in self.common}
        for key in wanted:
            if key not in known:
                raise PitrValidationError(
                    f"{self.name} did not have the column {key!r} at both moments: it had "
                    f"{', '.join(column.name for column in self.common)}"
                )
        return tuple(column for column in self.common if column.key in {*wanted, *self.key})

    def column(self, key: str) -> ComparedColumn:
        return self._by_key[key]

    # ------------------------------------------------------------------------------ its aliases

    def past(self, name: str, at: Moment | None = None) -> FromClause:
        return as_of(self.real, at or self.at, name=name)

    def present(self, name: str) -> FromClause:
        return self.real.alias(name)

    def blind(self, alias: FromClause, key: str) -> ColumnElement[Any]:
        """A column of the past, in a form that no index knows; of the primary key as it is."""
        column = alias.c[key]
        if key in self.then.primary or self._by_key[key].then.type in _NO_COALESCE:
            return column
        return func.coalesce(column, column)

    def same_key(self, past: FromClause, present: FromClause) -> ColumnElement[bool]:
        return and_(*(self.blind(past, key) == present.c[key] for key in self.key))

    def other_key(self, one: FromClause, other: FromClause) -> ColumnElement[bool]:
        columns = [self.column(key) for key in self.key]
        return or_(*(c.comparable(one.c[c.key]) != c.comparable(other.c[c.key]) for c in columns))

    def missing(self, alias: FromClause) -> ColumnElement[bool]:
        """Whether a left join found no row."""
        return alias.c[self.key[0]].is_(None)

    def holds_then(self, past: FromClause) -> ColumnElement[bool]:
        return self.condition.on(lambda key: self.blind(past, key))

    def holds_now(self, present: FromClause) -> ColumnElement[bool]:
        return self.condition.on(lambda key: present.c[key])

    def differs(
        self, column: ComparedColumn, one: FromClause, other: FromClause
    ) -> ColumnElement[bool]:
        """Whether a column's values differ; a NULL is a value like another."""
        a, b = one.c[column.key], other.c[column.key]
        unequal = column.comparable(a) != column.comparable(b)
        if not column.nullable:
            return unequal
        return or_(unequal, a.is_(None) != b.is_(None))

    def any_differs(
        self, columns: Sequence[ComparedColumn], one: FromClause, other: FromClause
    ) -> ColumnElement[bool]:
        found = [self.differs(c, one, other) for c in columns if c.key not in self.key]
        return or_(*found) if found else false()

    # --------------------------------------------------------------------------- its statements

    def branches(self) -> tuple[Select[Any], Select[Any]]:
        """Rows that are gone or other, and rows that are new: FROM and WHERE, without columns."""
        past, present = self.p, self.c
        same = self.same_key(past, present)
        gone = self.missing(present)
        found = or_(gone, self.any_differs(self.columns, past, present))
        if self.condition:
            then = self.holds_then(past)
            found = and_(found, or_(then, and_(~gone, self.holds_now(present))))
        lost = select().select_from(past.outerjoin(present, same)).where(found)
        come = select().select_from(present.outerjoin(past, same)).where(self.missing(past))
        if self.condition:
            come = come.where(self.holds_now(present))
        return lost, come

    def changes(self) -> Any:
        """The changes since, ordered by key, in one statement.

        Its rows are the columns before, as many after, and for each whether it differs.
        """
        lost, come = self.branches()
        past, present = self.p, self.c
        both = [
            column.united(alias.c[column.key]).label(f"{letter}{number}")
            for letter, alias in (("p", past), ("c", present))
            for number, column in enumerate(self.columns)
        ]
        flags = [
            _raw(self.differs(column, past, present)).label(f"d{number}")
            if column.key not in self.key
            else literal_column("0").label(f"d{number}")
            for number, column in enumerate(self.columns)
        ]
        none: list[Any] = [
            literal_column("0").label(f"d{number}") for number in range(len(self.columns))
        ]

        def keys(alias: FromClause) -> list[Any]:
            columns = (self.column(key).sortable(alias.c[key]) for key in self.key)
            return [column.label(f"k{number}") for number, column in enumerate(columns)]

        found = union_all(
            lost.add_columns(*both, *flags, *keys(past)),
            come.add_columns(*both, *none, *keys(present)),
        )
        order = [found.selected_columns[f"k{number}"] for number in range(len(self.key))]
        return found.order_by(*order)

    def counts(self, unless: KeyCondition | None = None) -> Any:
        """The changes counted: of the lost and other, how many are there at all; of the new."""
        lost, come = self.branches()
        if unless is not None:
            lost, come = lost.where(~unless(self.p)), come.where(~unless(self.c))
        there = func.count(self.c.c[self.key[0]])
        return union_all(
            lost.add_columns(literal_column("0").label("new"), func.count(), there),
            come.add_columns(literal_column("1").label("new"), func.count(), there),
        )

    def rows_at(self, at: Moment) -> Any:
        """The rows of one moment by key, and whether the condition holds for each.

        Behind the columns comes each key's text where only texts are ordered as here.
        """
        past = self.past("p", at)
        columns = [(self.column(key), past.c[key]) for key in self.key]
        keys = [column.sortable(column.groupable(value)) for column, value in columns]
        holds = _raw(self.holds_then(past)) if self.condition else literal_column("1")
        found = select(
            *(
                column.readable(past.c[column.key]).label(f"p{n}")
                for n, column in enumerate(self.columns)
            ),
            holds.label("holds"),
            *(key.label(f"k{number}") for number, key in enumerate(keys)),
        )
        order = [found.selected_columns[f"k{number}"] for number in range(len(self.key))]
        return found.order_by(*order)
