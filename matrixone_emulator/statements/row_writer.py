"""Rows written by rowid, their values checked in Python: shared by INSERT, UPDATE and DELETE."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from ..compiler.query import Compiler
from ..compiler.scope import Scope
from ..errors import SqlError
from ..names import fold
from ..parsing.dialect import parse_expression
from ..parsing.lexer import TIME_MARK
from ..parsing.redact import unsupported
from ..types.columns import BOOL, SqlType
from ..types.definition import ColumnDef, IndexDef, TableDef, Version
from ..types.values import Stored, store
from . import generated
from .constraints import constraint_error, foreign_key_error, not_null, strict_bool
from .literals import NULL, Cell, negative, number_cell, text_cell
from .partitions import partition_of
from .workspace import Workspace

_MAX_FLOAT = 3.4028235e38


@dataclass
class WriteResult:
    affected: int = 0
    last_insert_id: int = 0
    generating: bool = False
    """Whether the table makes keys: else the session's last one stays."""


def literal_cell(node: exp.Expr) -> Cell | None:
    """The stored value of a literal; None for anything that has to be computed."""
    if isinstance(node, exp.Literal):
        text = str(node.this)
        return text_cell(text) if node.is_string else number_cell(text)
    if isinstance(node, exp.Introducer):
        return literal_cell(node.expression)
    if isinstance(node, exp.Null):
        return NULL
    if isinstance(node, exp.Boolean):
        return int(bool(node.this)), BOOL
    if isinstance(node, exp.Neg):
        inner = literal_cell(node.this)
        return None if inner is None else negative(inner)
    if isinstance(node, exp.BitString):
        bits = str(node.this) or "0"
        return int(bits, 2).to_bytes((len(bits) + 7) // 8, "big"), SqlType("varbinary", len(bits))
    if isinstance(node, exp.HexString):
        text = str(node.this)
        return bytes.fromhex(text.rjust(len(text) + len(text) % 2, "0")), SqlType(
            "varbinary", len(text)
        )
    return None


class RowWriter:
    """Write rows of one statement."""

    def __init__(self, session: Workspace, statement: str) -> None:
        self.session = session
        self.statement = statement
        self.compiler = Compiler(statement, session, session.context.database)
        self._constant_defaults: dict[str, Cell] = {}

    # -- targets -----------------------------------------------------------------------

    def target(self, table: exp.Expr) -> Version:
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
            raise unsupported(self.statement)
        if TIME_MARK in table.name:
            raise unsupported(self.statement)
        version = self.session.need_table(fold(table.db), fold(table.name))
        if version.definition.view is not None:
            raise SqlError(20301, "invalid input: cannot insert/update/delete from view")
        return version

    def forbid_reading(self, scope: Scope) -> None:
        """Refuse (1093, from 4.x on) subqueries that read the one table that is changed."""
        if len(scope.sources) == 1 and self.session.rules.target_cannot_be_read:
            self.compiler.written = (scope.sources[0].database, scope.sources[0].name)

    def tail(self, tree: exp.Expr, scope: Scope) -> str:
        """WHERE, ORDER BY and LIMIT of a change."""
        where, order = tree.args.get("where"), tree.args.get("order")
        text = ""
        if where is not None:
            text = f" WHERE {self.compiler.condition(where.this, scope)}"
            text += self.compiler.looked_up(where.this, scope, scope.sources)
        if order is not None:
            text += f" ORDER BY {self.compiler.ordering(order, scope)}"
        return text + self.compiler.limit(tree)

    def reached(
        self, version: Version, indexes: Iterable[IndexDef], rows: list[tuple[Stored, ...]]
    ) -> list[tuple[Stored, ...]]:
        """Those of the rows found (rowid, ...) that are changed where *indexes* are, too.

        The server joins rows with the entries of these indexes, and so leaves out those that a
        secondary one lacks: docs/server.md, Garbage collection.
        """
        there = [index.found for index in indexes if index.found and not index.unique]
        if not there:
            return rows
        look = f"SELECT rowid FROM {version.table} WHERE {' AND '.join(there)}"
        rowids = {row[0] for row in self.session.run(look)}
        return [row for row in rows if row[0] in rowids]

    # -- values ------------------------------------------------------------------------

    def cell(self, value: Stored, source: SqlType, column: ColumnDef, row: int) -> Stored:
        """Convert a value to the form that *column* stores, TIMESTAMP in UTC."""
        kind = column.type
        if value is None:
            return None
        if kind.kind == "bool" and isinstance(value, str) and self.session.rules.bool_texts_checked:
            value = int(strict_bool(value))
        if source.kind == "timestamp" and kind.kind != "timestamp":
            value, source = self.session.local(str(value)), SqlType("datetime", 0, source.scale)
        with_t = kind.kind == "datetime" and source.is_text and "T" in str(value)
        if with_t and not self.session.rules.moments_take_t:
            raise SqlError(20301, f"invalid input: invalid datetime value {value!s}")
        try:
            stored = store(value, kind, source, column.name, row)
        except SqlError as error:
            if self.session.rules.stores_strictly and kind.is_temporal:
                error.message = error.message.replace("operator cast,", "operator cast_strict,")
            long = "Can't cast" in error.message and kind.kind != "varbinary"
            if not (long and self.session.rules.too_long_is_1406):
                raise
            text = error.message.removeprefix("internal error: ")
            raise SqlError(1406, text, "22001") from None
        given = isinstance(stored, float) and not source.is_text
        # The server does not look for one that is too low.
        if kind.kind == "float" and given and float(str(stored)) > _MAX_FLOAT:
            raise SqlError(1690, f"data out of range: data type float32, value '{stored!r}'")
        if kind.kind == "timestamp" and source.kind != "timestamp" and stored is not None:
            return self.session.utc(str(stored))
        return stored

    def default(self, column: ColumnDef) -> Cell:
        """The value of a column that the statement leaves out."""
        text = column.default
        if text is None or text.lower() == "null":
            if not column.nullable and text is None:
                raise SqlError(
                    20301, f"invalid input: invalid default value for column '{column.name}'"
                )
            return NULL
        known = self._constant_defaults.get(column.key)
        if known is not None:
            return known
        node = parse_expression(text)
        found = literal_cell(node)
        if found is None:
            found = self.evaluate([node])[0]
            if "uuid" in text.lower() or "rand" in text.lower():
                return found
        self._constant_defaults[column.key] = found
        return found

    def evaluate(self, nodes: list[exp.Expr]) -> list[Cell]:
        """Evaluate expressions without a table."""
        scope = Scope()
        values = [self.compiler.value(node, scope) for node in nodes]
        sql = f"SELECT {', '.join(value.sql for value in values)}"
        row = self.session.run(sql, self.compiler.parameters).fetchone()
        return [(cell, value.type) for cell, value in zip(row, values, strict=True)]

    def fill(self, definition: TableDef, row: list[Stored]) -> None:
        generated.fill(self.session, self.compiler, definition, row)
        for column, cell in zip(definition.columns, row, strict=True):
            if cell is None and column.generated is not None and not column.nullable:
                raise not_null(column)

    # -- generated keys ----------------------------------------------------------------

    def first_number(self, version: Version, column: ColumnDef) -> int:
        """The first key to generate, from the rows that are there."""
        top = self.session.run(f"SELECT max({column.key}) FROM {version.table}").fetchone()[0]
        return max(version.definition.auto_start, int(top or 0) + 1)

    def record_number(self, version: Version, column: ColumnDef, number: int) -> None:
        self.session.store.seen_number(
            version.physical, number, lambda: self.first_number(version, column)
        )

    # -- one row -----------------------------------------------------------------------

    def keep_partition(
        self, version: Version, columns: list[ColumnDef], rowid: int, stored: list[Stored]
    ) -> None:
        """Refuse a row that would belong to no partition; its move to another is not emulated."""
        definition = version.definition
        values = {column.key: value for column, value in zip(columns, stored, strict=True)}
        if definition.partition_key not in values:
            return
        keys = ", ".join(column.key for column in definition.columns)
        look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
        row = self.session.run(look, [rowid]).fetchone()
        new = [
            values.get(column.key, value)
            for column, value in zip(definition.columns, row, strict=True)
        ]
        if partition_of(definition, new) != partition_of(definition, row):
            raise unsupported(self.statement)

    def write_update(
        self, version: Version, columns: list[ColumnDef], rowid: int, cells: list[Cell]
    ) -> None:
        stored = []
        for column, (value, kind) in zip(columns, cells, strict=True):
            if value is None and not column.nullable:
                raise not_null(column)
            stored.append(self.cell(value, kind, column, 1))
            if column.auto_increment and isinstance(stored[-1], int):
                self.record_number(version, column, stored[-1])
        self.keep_partition(version, columns, rowid, stored)
        sets = ", ".join(f"{column.key} = ?" for column in columns)
        lacks = "_lacks"
        for index in rewritten(version.definition, columns):
            if index.mark:
                lacks = f"replace({lacks}, '{index.mark}', '')"
        try:
            self.session.run(
                f"UPDATE {version.table} SET {sets}, _lacks = {lacks}, _from = ? WHERE rowid = ?",
                [*stored, self.session.number, rowid],
            )
        except sqlite3.IntegrityError as error:
            raise ConstraintViolation(error, columns, stored) from None
        definition = version.definition
        if generated.has_generated(definition):
            keys = ", ".join(column.key for column in definition.columns)
            look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
            row = list(self.session.run(look, [rowid]).fetchone())
            self.fill(definition, row)
            new = [
                (column.key, cell)
                for column, cell in zip(definition.columns, row, strict=True)
                if column.generated is not None
            ]
            sets = ", ".join(f"{key} = ?" for key, _ in new)
            values = [cell for _, cell in new]
            self.session.run(f"UPDATE {version.table} SET {sets} WHERE rowid = ?", [*values, rowid])

    def violation(
        self,
        version: Version,
        clash: ConstraintViolation,
        rowid: int,
        codes: frozenset[str] = frozenset(),
    ) -> SqlError:
        """The server's refusal of an UPDATE of one row; *codes* as in `foreign_key_error`."""
        refused = foreign_key_error(str(clash.error), codes)
        if refused is not None:
            return refused
        keys = ", ".join(column.key for column in version.definition.columns)
        look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
        row = list(self.session.run(look, [rowid]).fetchone())
        for column, value in zip(clash.columns, clash.values, strict=True):
            row[version.definition.columns.index(column)] = value
        return constraint_error(clash.error, version, row, self.session.rules)


def rewritten(definition: TableDef, columns: list[ColumnDef]) -> list[IndexDef]:
    """The indexes that an UPDATE of these columns writes: new entries have the new values."""
    keys = {column.key for column in columns}
    every = not keys.isdisjoint(definition.primary)
    return [index for index in definition.indexes if every or not keys.isdisjoint(index.columns)]


class ConstraintViolation(Exception):
    """A constraint refused an UPDATE of one row."""

    def __init__(
        self, error: sqlite3.IntegrityError, columns: list[ColumnDef], values: list[Stored]
    ) -> None:
        super().__init__(str(error))
        self.error, self.columns, self.values = error, columns, values
