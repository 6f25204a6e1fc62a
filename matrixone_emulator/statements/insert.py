"""INSERT and REPLACE."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlglot import exp

from ..compiler.scope import Scope, Source, SourceColumn
from ..errors import SqlError
from ..names import fold
from ..parsing.dialect import parse_expression
from ..parsing.lexer import syntax_error, tokens
from ..types.definition import ColumnDef, TableDef, Version
from ..types.values import Stored
from . import generated
from .constraints import constraint_error, not_null, refuse_key_change
from .literals import MISSING, Cell, fitted
from .partitions import partition_of
from .row_writer import RowWriter, WriteResult, literal_cell
from .upsert import Insertion, conflicting_rows, refuse_unique_conflict, update_conflicting_row
from .workspace import Workspace


def _ambiguous(nodes: list[exp.Expr], error: SqlError) -> SqlError:
    """Error of VALUES that name a column: it is ambiguous, not missing."""
    if not error.misses_column:
        return error
    read = next(part for node in nodes for part in node.find_all(exp.Column))
    return SqlError(20301, f"invalid input: ambiguous column reference '{fold(read.name)}'")


class Inserter(RowWriter):
    """Write the rows of one INSERT or REPLACE."""

    def __init__(self, session: Workspace, statement: str) -> None:
        super().__init__(session, statement)
        self.replaced = 0
        self.table = ""
        self._inserted: set[int] = set()
        """The rows that this statement made, whose updates do not count"""

    def insert(
        self, tree: exp.Insert, *, replace: bool, rows: list[list[Cell]] | None = None
    ) -> WriteResult:
        """Run an INSERT or REPLACE; *rows* replace those of the tree's VALUES."""
        target = tree.this
        names: list[str] = []
        if isinstance(target, exp.Schema):
            names = [column.name for column in target.expressions]
            target = target.this
        version = self.target(target)
        columns = self.insert_columns(version.definition, names)
        kind = "replace" if replace else "ignore" if tree.args.get("ignore") else "plain"
        plan = Insertion(version, columns, kind)
        conflict = tree.args.get("conflict")
        if conflict is not None:
            plan.kind = "update"
            plan.assignments = list(conflict.expressions)
            refuse_key_change(version.definition, plan.assignments, self.session.rules)
        source = tree.expression
        if isinstance(source, exp.Values) and source.args.get("alias") is not None:
            raise self.alias_error()
        if rows is not None:
            return self.write(plan, self.checked_width(plan, rows))
        return self.write(plan, self.source_rows(plan, source))

    def alias_error(self) -> SqlError:
        """Refuse VALUES (...) AS new, which MySQL has and the server has not."""
        found = tokens(self.statement)
        at = [token.start for token in found if token.upper == "AS"]
        return syntax_error(self.statement, found, at[-1] if at else len(self.statement))

    @staticmethod
    def checked_width(plan: Insertion, rows: list[list[Cell]]) -> Iterator[list[Cell]]:
        fitting = Inserter.fitting(plan)
        for number, row in enumerate(rows, 1):
            if len(row) != len(plan.columns):
                raise SqlError(1136, f"Column count doesn't match value count at row {number}")
            for index in fitting:
                row[index] = fitted(row[index], plan.columns[index])
            yield row

    @staticmethod
    def fitting(plan: Insertion) -> list[int]:
        """Indexes of the columns that do not take a literal as it is."""
        return [
            index
            for index, column in enumerate(plan.columns)
            if column.type.is_integer or column.type.kind == "bool"
        ]

    @staticmethod
    def insert_columns(definition: TableDef, names: list[str]) -> list[ColumnDef]:
        if not names:
            return [column for column in definition.columns if column.generated is None]
        columns = []
        for name in names:
            column = definition.column(name)
            if column is None:
                raise SqlError(1054, f"Unknown column '{fold(name)}' in '{definition.name}'")
            columns.append(column)
        return columns

    def source_rows(self, plan: Insertion, source: exp.Expr | None) -> Iterator[list[Cell]]:
        width = len(plan.columns)
        if isinstance(source, exp.Values):
            for number, row in enumerate(source.expressions, 1):
                cells = row.expressions if isinstance(row, exp.Tuple) else [row]
                if (
                    len(cells) == 1
                    and isinstance(cells[0], exp.Anonymous)
                    and (str(cells[0].this).lower() == "row")
                ):
                    cells = cells[0].expressions
                if not cells and not any(other.expressions for other in source.expressions):
                    yield [MISSING] * width
                    continue
                if len(cells) != width:
                    raise SqlError(1136, f"Column count doesn't match value count at row {number}")
                yield self.value_row(cells, plan.columns)
            return
        if source is None:
            yield [MISSING] * width
            return
        bare = isinstance(source, exp.SetOperation)  # One in brackets is a Subquery.
        if bare and not self.session.rules.inserts_unions:
            raise SqlError(20301, "invalid input: insert has unknown select statement")
        query = self.compiler.query(source)
        if len(query.types) != width:
            raise SqlError(1136, "Column count doesn't match value count at row 1")
        rows = self.session.run(query.sql, self.compiler.parameters).fetchall()
        for found in rows:
            yield list(zip(found, query.types, strict=True))

    def value_row(self, nodes: list[exp.Expr], columns: list[ColumnDef]) -> list[Cell]:
        cells: list[Cell] = []
        open_cells: list[int] = []
        for index, node in enumerate(nodes):
            if isinstance(node, exp.Var) and str(node.this).upper() == "DEFAULT":
                cells.append(MISSING)
                continue
            if isinstance(node, exp.Column) and node.name.upper() == "DEFAULT":
                cells.append(MISSING)
                continue
            cell = literal_cell(node)
            if cell is None:
                open_cells.append(index)
                cells.append(MISSING)
            else:
                cells.append(fitted(cell, columns[index]))
        if open_cells:
            try:
                found = self.evaluate([nodes[index] for index in open_cells])
            except SqlError as error:
                raise _ambiguous(nodes, error) from None
            for index, cell in zip(open_cells, found, strict=True):
                cells[index] = cell
        return cells

    def write(self, plan: Insertion, rows: Iterator[list[Cell]]) -> WriteResult:
        version, definition = plan.version, plan.version.definition
        self.table = version.name
        place = {column.key: index for index, column in enumerate(plan.columns)}
        keys = ", ".join(column.key for column in definition.columns)
        marks = ", ".join("?" * (len(definition.columns) + 1))
        sql = f"INSERT INTO {version.table} ({keys}, _from) VALUES ({marks})"
        number = self.session.number
        auto = definition.auto_column
        spot = -1 if auto is None else definition.columns.index(auto)
        changed = WriteResult(generating=auto is not None or not definition.primary)
        # The server casts all rows, then makes the numbers of all, then looks for NULL and writes.
        ready: list[tuple[list[Stored], Cell]] = []
        for row_number, cells in enumerate(rows, 1):
            given = [
                MISSING if (index := place.get(column.key)) is None else cells[index]
                for column in definition.columns
            ]
            stored = [
                None if column is auto else self.fitted_cell(cell, column, row_number)
                for column, cell in zip(definition.columns, given, strict=True)
            ]
            ready.append((stored, MISSING if auto is None else given[spot]))
        made = [0] * len(ready)
        if auto is not None:
            for at, (stored, cell) in enumerate(ready):
                stored[spot], made[at] = self.auto_value(version, auto, cell, at + 1)
        for (stored, _), number_made in zip(ready, made, strict=True):
            for value, column in zip(stored, definition.columns, strict=True):
                if value is None and not (column.nullable or column.generated or column is auto):
                    raise not_null(column)
            if generated.has_generated(definition):
                self.fill(definition, stored)
            if not definition.primary and auto is None:
                number_made = self.session.store.next_number(version.physical, lambda: 1)
            if definition.checks:
                self.check(definition, stored)
            partition_of(definition, stored)
            changed.affected += self.write_row(plan, sql, stored, number)
            if number_made and plan.kind != "replace":
                changed.last_insert_id = number_made
        changed.affected += self.replaced
        return changed

    def fitted_cell(self, cell: Cell, column: ColumnDef, row: int) -> Stored:
        if column.generated is not None:
            if cell is not MISSING:
                raise generated.not_allowed(column, self.table)
            return None
        value, kind = self.default(column) if cell is MISSING else cell
        return None if value is None else self.cell(value, kind, column, row)

    def check(self, definition: TableDef, row: list[Stored]) -> None:
        """Check CHECK constraints of 4.x, which checks inserted rows only."""
        columns = [
            SourceColumn(column.name, f":n{index}", column.type)
            for index, column in enumerate(definition.columns)
        ]
        scope = Scope([Source(definition.name, "", columns)])
        tests = [
            self.compiler.condition(parse_expression(text), scope) for _, text in definition.checks
        ]
        values = {f"n{index}": value for index, value in enumerate(row)}
        found = self.session.run(f"SELECT {', '.join(tests)}", values).fetchone()
        for (name, _), holds in zip(definition.checks, found, strict=True):
            if holds == 0:
                raise SqlError(3819, f"constraint violation: Check constraint '{name}' is violated")

    def auto_value(
        self, version: Version, column: ColumnDef, cell: Cell, row: int
    ) -> tuple[Stored, int]:
        """Return the key to store and, if it is generated, the same again."""
        if cell is not MISSING:
            value, kind = cell
            if value is not None:
                stored = self.cell(value, kind, column, row)
                zero = stored == 0 and self.session.rules.zero_generates
                if isinstance(stored, int) and not zero:
                    self.record_number(version, column, stored)
                    return stored, 0
        number = self.session.store.next_number(
            version.physical, lambda: self.first_number(version, column)
        )
        return number, number

    def write_row(self, plan: Insertion, sql: str, row: list[Stored], number: int) -> int:
        """Write one row; return the number of rows that the server counts for it."""
        if plan.kind == "replace" and self.session.rules.replace_reads_rows:
            return self.replace_row(plan, sql, row, number)
        try:
            cursor = self.session.run(sql, [*row, number])
            if plan.kind == "update":
                self._inserted.add(int(cursor.lastrowid or 0))
            return 1
        except sqlite3.IntegrityError as error:
            orphan = plan.kind == "ignore" and "mo-child" in str(error)
            if orphan and self.session.rules.ignore_skips_orphans:
                return 0
            if plan.kind == "plain" or "UNIQUE" not in str(error):
                raise constraint_error(error, plan.version, row, self.session.rules) from None
        if plan.kind == "ignore":
            return 0
        if plan.kind == "replace":
            return self.replace_row(plan, sql, row, number)
        clashes = conflicting_rows(self.session, plan.version, row)
        if not self.session.rules.upsert_finds_unique:
            refuse_unique_conflict(self.session, plan.version, row)
        return update_conflicting_row(self, plan, clashes[0], row, self._inserted)

    def replace_row(self, plan: Insertion, sql: str, row: list[Stored], number: int) -> int:
        """Write one row of a REPLACE in the place of those that hold its keys."""
        by_index = not self.session.rules.replace_reads_rows
        by_primary = not self.session.rules.replace_finds_unique
        clashes = conflicting_rows(
            self.session, plan.version, row, by_index=by_index, by_primary=by_primary
        )
        try:
            for rowid in clashes:
                self.session.run(f"DELETE FROM {plan.version.table} WHERE rowid = ?", [rowid])
            self.session.run(sql, [*row, number])
        except sqlite3.IntegrityError as error:
            raise constraint_error(error, plan.version, row, self.session.rules) from None
        if self.session.rules.replace_counts_deleted or not plan.version.definition.primary:
            self.replaced += len(clashes)
        return 1
