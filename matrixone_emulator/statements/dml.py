"""INSERT, REPLACE, UPDATE and DELETE: values checked in Python, rows written by rowid."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from ..compiler.query import Compiler
from ..compiler.scope import Scope, Source, SourceColumn, Value
from ..errors import SqlError
from ..parsing.dialect import parse_expression
from ..parsing.lexer import TIME_MARK, syntax_error, tokens
from ..parsing.redact import unsupported
from ..types.columns import BOOL, SqlType, varchar
from ..types.definition import ColumnDef, TableDef, Version
from ..types.values import Stored, store
from . import generated
from .constraints import constraint_error, not_null, refuse_key_change, strict_bool
from .literals import MISSING, NULL, Cell, fitted, negative, number_cell
from .workspace import Workspace

_MAX_FLOAT = 3.4028235e38


@dataclass
class Changed:
    affected: int = 0
    last_insert_id: int = 0
    generating: bool = False
    """Whether the table makes keys: else the session's last one stays."""


@dataclass
class Insertion:
    version: Version
    columns: list[ColumnDef]
    kind: str
    """plain, ignore, replace or update"""
    assignments: list[exp.EQ] = field(default_factory=list)


def literal_cell(node: exp.Expr) -> Cell | None:
    """The stored value of a literal; None for anything that has to be worked out."""
    if isinstance(node, exp.Literal):
        text = str(node.this)
        return (text, varchar(len(text))) if node.is_string else number_cell(text)
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


class Writer:
    """Writes rows of one statement."""

    def __init__(self, session: Workspace, statement: str) -> None:
        self.session = session
        self.statement = statement
        self.compiler = Compiler(statement, session, session.context.database)
        self._constant_defaults: dict[str, Cell] = {}
        self.replaced = 0
        self.table = ""
        self.unchanged = 0
        self._inserted: set[int] = set()
        """The rows that this statement made, whose updates do not count"""

    # Targets

    def target(self, table: exp.Expr) -> Version:
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
            raise unsupported(self.statement)
        if TIME_MARK in table.name and not self.session.rules.past_targets_refused:
            raise unsupported(self.statement)
        if TIME_MARK in table.name:
            raise SqlError(20301, "invalid input: cannot insert/update/delete from snapshot")
        version = self.session.need_table(table.db.lower(), table.name.lower())
        if version.definition.view is not None:
            raise SqlError(20301, "invalid input: cannot insert/update/delete from view")
        return version

    # Values

    def cell(self, value: Stored, source: SqlType, column: ColumnDef, row: int) -> Stored:
        """A value as *column* stores it, TIMESTAMP in UTC."""
        kind = column.type
        if value is None:
            return None
        if kind.kind == "bool" and isinstance(value, str) and self.session.rules.bool_texts_checked:
            strict_bool(value)
        if source.kind == "timestamp" and kind.kind != "timestamp":
            value, source = self.session.local(str(value)), SqlType("datetime", 0, source.scale)
        try:
            stored = store(value, kind, source, column.name, row)
        except SqlError as error:
            if "Can't cast" not in error.message or not self.session.rules.too_long_is_1406:
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
        """Expressions without a table."""
        scope = Scope()
        values = [self.compiler.value(node, scope) for node in nodes]
        sql = f"SELECT {', '.join(value.sql for value in values)}"
        row = self.session.run(sql, self.compiler.parameters).fetchone()
        return [(cell, value.type) for cell, value in zip(row, values, strict=True)]

    # INSERT

    def insert(
        self, tree: exp.Insert, *, replace: bool, rows: list[list[Cell]] | None = None
    ) -> Changed:
        """*rows* stand for those of the tree's VALUES."""
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
        """VALUES (...) AS new is MySQL's, not the server's."""
        found = tokens(self.statement)
        at = [token.start for token in found if token.upper == "AS"]
        return syntax_error(self.statement, found, at[-1] if at else len(self.statement))

    @staticmethod
    def checked_width(plan: Insertion, rows: list[list[Cell]]) -> Iterator[list[Cell]]:
        fitting = Writer.fitting(plan)
        for number, row in enumerate(rows, 1):
            if len(row) != len(plan.columns):
                raise SqlError(1136, f"Column count doesn't match value count at row {number}")
            for index in fitting:
                row[index] = fitted(row[index], plan.columns[index])
            yield row

    @staticmethod
    def fitting(plan: Insertion) -> list[int]:
        """Which columns do not take a literal as it is."""
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
                raise SqlError(1054, f"Unknown column '{name.lower()}' in '{definition.name}'")
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
            found = self.evaluate([nodes[index] for index in open_cells])
            for index, cell in zip(open_cells, found, strict=True):
                cells[index] = cell
        return cells

    def write(self, plan: Insertion, rows: Iterator[list[Cell]]) -> Changed:
        version, definition = plan.version, plan.version.definition
        self.table = version.name
        place = {column.key: index for index, column in enumerate(plan.columns)}
        keys = ", ".join(column.key for column in definition.columns)
        marks = ", ".join("?" * (len(definition.columns) + 1))
        sql = f"INSERT INTO {version.table} ({keys}, _from) VALUES ({marks})"
        number = self.session.number
        auto = definition.auto_column
        changed = Changed(generating=auto is not None or not definition.primary)
        for row_number, cells in enumerate(rows, 1):
            given = [
                MISSING if (index := place.get(column.key)) is None else cells[index]
                for column in definition.columns
            ]
            # Values are cast before a number is made, and looked at for NULL after.
            stored = [
                None if column is auto else self.fitted_cell(cell, column, row_number)
                for column, cell in zip(definition.columns, given, strict=True)
            ]
            number_made = 0
            for spot, (column, cell) in enumerate(zip(definition.columns, given, strict=True)):
                if column is auto:
                    stored[spot], number_made = self.auto_value(version, column, cell, row_number)
                elif stored[spot] is None and not column.nullable and not column.generated:
                    raise not_null(column)
            if generated.has_generated(definition):
                self.fill(definition, stored)
            if not definition.primary and auto is None:
                number_made = self.session.store.next_number(version.physical, lambda: 1)
            if definition.checks:
                self.check(definition, stored)
            changed.affected += self.write_row(plan, sql, stored, number)
            if number_made:
                changed.last_insert_id = number_made
        changed.affected += self.replaced
        return changed

    def fill(self, definition: TableDef, row: list[Stored]) -> None:
        generated.fill(self.session, self.compiler, definition, row)
        for column, cell in zip(definition.columns, row, strict=True):
            if cell is None and column.generated is not None and not column.nullable:
                raise not_null(column)

    def fitted_cell(self, cell: Cell, column: ColumnDef, row: int) -> Stored:
        if column.generated is not None:
            if cell is not MISSING:
                raise generated.not_allowed(column, self.table)
            return None
        value, kind = self.default(column) if cell is MISSING else cell
        return None if value is None else self.cell(value, kind, column, row)

    def check(self, definition: TableDef, row: list[Stored]) -> None:
        """CHECKs of 4.x, which looks at inserted rows only."""
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

    def top(self, version: Version, column: ColumnDef) -> int:
        """The first key to generate, from the rows that are there."""
        top = self.session.run(f"SELECT max({column.key}) FROM {version.table}").fetchone()[0]
        return max(version.definition.auto_start, int(top or 0) + 1)

    def seen(self, version: Version, column: ColumnDef, number: int) -> None:
        self.session.store.seen_number(version.physical, number, lambda: self.top(version, column))

    def auto_value(
        self, version: Version, column: ColumnDef, cell: Cell, row: int
    ) -> tuple[Stored, int]:
        """The key to store and, where it is generated, the same again."""
        if cell is not MISSING:
            value, kind = cell
            if value is not None:
                stored = self.cell(value, kind, column, row)
                zero = stored == 0 and self.session.rules.zero_generates
                if isinstance(stored, int) and not zero:
                    self.seen(version, column, stored)
                    return stored, 0
        number = self.session.store.next_number(version.physical, lambda: self.top(version, column))
        return number, number

    def write_row(self, plan: Insertion, sql: str, row: list[Stored], number: int) -> int:
        """How many rows the server counts for this one."""
        try:
            cursor = self.session.run(sql, [*row, number])
            if plan.kind == "update":
                self._inserted.add(int(cursor.lastrowid or 0))
            return 1
        except sqlite3.IntegrityError as error:
            if plan.kind == "plain" or "UNIQUE" not in str(error):
                raise constraint_error(error, plan.version, row, self.session.rules) from None
        if plan.kind == "ignore":
            return 0
        clashes = self.clashes(plan.version, row)
        if plan.kind == "replace":
            for rowid in clashes:
                self.session.run(f"DELETE FROM {plan.version.table} WHERE rowid = ?", [rowid])
            self.session.run(sql, [*row, number])
            if self.session.rules.replace_counts_deleted:
                self.replaced += len(clashes)
            return 1
        if not self.session.rules.upsert_finds_unique:
            self.refuse_unique_clash(plan.version, row)
        return self.update_clash(plan, clashes[0], row)

    def refuse_unique_clash(self, version: Version, row: list[Stored]) -> None:
        """3.x looks for the row to update by the primary key alone, where there is one."""
        definition = version.definition
        place = {column.key: index for index, column in enumerate(definition.columns)}
        test = " AND ".join(f"{key} = ?" for key in definition.primary)
        values = [row[place[key]] for key in definition.primary]
        found = (
            test
            and self.session.run(f"SELECT 1 FROM {version.table} WHERE {test}", values).fetchone()
        )
        if test and not found:
            columns = next(
                index.columns
                for index in definition.indexes
                if index.unique and self._is_there(version, index.columns, row, place)
            )
            names = ", ".join(f"{version.table}.{key}" for key in columns)
            error = sqlite3.IntegrityError(f"UNIQUE constraint failed: {names}")
            raise constraint_error(error, version, row, self.session.rules)

    def _is_there(
        self, version: Version, keys: tuple[str, ...], row: list[Stored], place: dict[str, int]
    ) -> bool:
        test = " AND ".join(f"{key} = ?" for key in keys)
        values = [row[place[key]] for key in keys]
        sql = f"SELECT 1 FROM {version.table} WHERE {test}"
        return self.session.run(sql, values).fetchone() is not None

    def clashes(self, version: Version, row: list[Stored]) -> list[int]:
        """The rows that hold a unique key of *row*."""
        definition = version.definition
        position = {column.key: index for index, column in enumerate(definition.columns)}
        found: list[int] = []
        groups = [definition.primary] if definition.primary else []
        groups += [index.columns for index in definition.indexes if index.unique]
        for keys in groups:
            test = " AND ".join(f"{key} = ?" for key in keys)
            values = [row[position[key]] for key in keys]
            for (rowid,) in self.session.run(
                f"SELECT rowid FROM {version.table} WHERE {test}", values
            ):
                if rowid not in found:
                    found.append(rowid)
        return found

    def update_clash(self, plan: Insertion, rowid: int, row: list[Stored]) -> int:
        version, definition = plan.version, plan.version.definition
        names = {f"n{index}": value for index, value in enumerate(row)}
        proposed = [
            SourceColumn(column.name, f":n{index}", column.type)
            for index, column in enumerate(definition.columns)
        ]
        self.compiler.defaults = {
            column.name.lower(): Value(column.sql, column.type) for column in proposed
        }
        source = Source(
            definition.name,
            "t",
            [SourceColumn(c.name, f"t.{c.key}", c.type) for c in definition.columns],
            version.database,
            definition.name,
        )
        scope = Scope([source])
        columns, values = [], []
        for assignment in plan.assignments:
            column = definition.column(assignment.this.name)
            if column is None:
                raise SqlError(
                    1054, f"Unknown column '{assignment.this.name}' in '{definition.name}'"
                )
            columns.append(column)
            values.append(self.compiler.value(assignment.expression, scope))
        keys = ", ".join(column.key for column in columns)
        parameters = {**self.compiler.parameters, **names, "row": rowid}
        found = self.session.run(
            f"SELECT {', '.join(v.sql for v in values)} FROM {version.table} AS t "
            "WHERE rowid = :row",
            parameters,
        ).fetchone()
        cells = [(cell, value.type) for cell, value in zip(found, values, strict=True)]
        if not self.session.rules.upsert_tells_changes:
            self.write_update(version, columns, rowid, cells)
            return 1
        look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
        before = self.session.run(look, [rowid]).fetchone()
        self.write_update(version, columns, rowid, cells)
        after = self.session.run(look, [rowid]).fetchone()
        return 0 if before == after or rowid in self._inserted else 2

    # UPDATE

    def write_update(
        self, version: Version, columns: list[ColumnDef], rowid: int, cells: list[Cell]
    ) -> None:
        stored = []
        for column, (value, kind) in zip(columns, cells, strict=True):
            if value is None and not column.nullable:
                raise not_null(column)
            stored.append(self.cell(value, kind, column, 1))
            if column.auto_increment and isinstance(stored[-1], int):
                self.seen(version, column, stored[-1])
        sets = ", ".join(f"{column.key} = ?" for column in columns)
        try:
            self.session.run(
                f"UPDATE {version.table} SET {sets}, _from = ? WHERE rowid = ?",
                [*stored, self.session.number, rowid],
            )
        except sqlite3.IntegrityError as error:
            raise _Clash(error, columns, stored) from None
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

    def update(self, tree: exp.Update) -> Changed:
        scope = Scope()
        tables = [tree.this]
        for join in tree.this.args.get("joins") or []:
            tables.append(join.this)
        changed_ones = {assignment.this.text("table").lower() for assignment in tree.expressions}
        for table in tables:
            past = TIME_MARK in table.name and table.alias.lower() not in changed_ones
            if isinstance(table, exp.Table) and not (past and table is not tree.this):
                self.target(table)
        from_sql = self.compiler.add_table(tree.this, scope)
        for join in tree.this.args.get("joins") or []:
            from_sql += self.compiler.join(join, scope)
        self.forbid_reading(scope)
        groups: dict[int, list[tuple[ColumnDef, Value]]] = {}
        for assignment in tree.expressions:
            position, column = self.assigned(assignment.this, scope)
            node = assignment.expression
            if isinstance(node, (exp.Var, exp.Column)) and node.name.upper() == "DEFAULT":
                node = parse_expression(column.default or "NULL")
            groups.setdefault(position, []).append((column, self.compiler.value(node, scope)))
        where = tree.args.get("where")
        tail = f" WHERE {self.compiler.condition(where.this, scope)}" if where is not None else ""
        order = tree.args.get("order")
        if order is not None:
            tail += f" ORDER BY {self.compiler.ordering(order, scope)}"
        tail += self.compiler.limit(tree)
        changed = Changed()
        work: list[tuple[Version, list[ColumnDef], list[SqlType], list[tuple[Stored, ...]]]] = []
        for position, pairs in groups.items():
            source = scope.sources[position]
            version = self.session.need_table(source.database, source.name)
            columns = [column for column, _ in pairs]
            for column in version.definition.columns:
                if column.on_update is not None and column not in columns:
                    pairs.append(
                        (column, self.compiler.value(parse_expression(column.on_update), Scope()))
                    )
                    columns.append(column)
            cells = ", ".join(value.sql for _, value in pairs)
            rows = self.session.run(
                f"SELECT {source.sql}.rowid, {cells} FROM {from_sql}{tail}",
                self.compiler.parameters,
            ).fetchall()
            work.append((version, columns, [value.type for _, value in pairs], rows))
        for version, columns, types, rows in work:
            changed.affected += self.update_rows(version, columns, types, rows)
        changed.affected += self.session.take_cascaded() - self.unchanged
        return changed

    def forbid_reading(self, scope: Scope) -> None:
        """From 4.x on no subquery reads the one table that is changed (1093)."""
        if len(scope.sources) == 1 and self.session.rules.target_not_read:
            self.compiler.written = (scope.sources[0].database, scope.sources[0].name)

    def update_rows(
        self,
        version: Version,
        columns: list[ColumnDef],
        types: list[SqlType],
        rows: list[tuple[Stored, ...]],
    ) -> int:
        """Write rows (rowid, values...); unique keys have to hold when all are changed."""
        once = list({row[0]: row for row in rows}.values())
        if not once:
            return 0
        unique = set(version.definition.primary)
        for index in version.definition.indexes:
            unique |= set(index.columns) if index.unique else set()
        if len(once) > 1 and any(column.key in unique for column in columns):
            self.update_keys(version, columns, types, once)
            return len(once)
        for row in once:
            rowid = int(str(row[0]))
            before = self.cells_of(version, columns, rowid)
            try:
                self.write_update(version, columns, rowid, list(zip(row[1:], types, strict=True)))
            except _Clash as clash:
                raise self.clash_error(version, clash, rowid) from None
            if before is not None and before == self.cells_of(version, columns, rowid):
                self.unchanged += 1
        return len(once)

    def cells_of(
        self, version: Version, columns: list[ColumnDef], rowid: int
    ) -> tuple[Stored, ...] | None:
        """A row's cells, where it matters whether they change."""
        if self.session.rules.unchanged_rows_count or self.session.context.found_rows:
            return None
        keys = ", ".join(column.key for column in columns)
        look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
        found: tuple[Stored, ...] = self.session.run(look, [rowid]).fetchone()
        return found

    def update_keys(
        self,
        version: Version,
        columns: list[ColumnDef],
        types: list[SqlType],
        rows: list[tuple[Stored, ...]],
    ) -> None:
        """Several rows get new keys: children are looked at by the triggers, then rows swap."""
        shift = self.session.run(f"SELECT max(rowid) FROM {version.table}").fetchone()[0]
        pending = rows
        while pending:
            left = []
            clash: tuple[_Clash, int] | None = None
            for row in pending:
                rowid = int(str(row[0]))
                try:
                    self.write_update(
                        version, columns, rowid, list(zip(row[1:], types, strict=True))
                    )
                except _Clash as found:
                    if "UNIQUE" not in str(found.error):
                        raise self.clash_error(version, found, rowid) from None
                    left.append(row)
                    clash = clash or (found, rowid)
            if clash is not None and len(left) == len(pending):
                raise self.clash_error(version, *clash) from None
            pending = left
        del shift

    def clash_error(self, version: Version, clash: _Clash, rowid: int) -> SqlError:
        keys = ", ".join(column.key for column in version.definition.columns)
        row = list(
            self.session.run(
                f"SELECT {keys} FROM {version.table} WHERE rowid = ?", [rowid]
            ).fetchone()
        )
        for column, value in zip(clash.columns, clash.values, strict=True):
            row[version.definition.columns.index(column)] = value
        return constraint_error(clash.error, version, row, self.session.rules)

    def assigned(self, node: exp.Expr, scope: Scope) -> tuple[int, ColumnDef]:
        """Which table of FROM, and which of its columns, an assignment is to."""
        name, table = node.name, node.args.get("table")
        for position, source in enumerate(scope.sources):
            if table is not None and source.alias.lower() != table.name.lower():
                continue
            if source.find(name) is None or not source.name:
                continue
            version = self.session.need_table(source.database, source.name)
            column = version.definition.column(name)
            if column is not None and column.generated is not None:
                raise generated.not_allowed(column, version.name)
            if column is not None:
                return position, column
        raise SqlError.internal(f"column '{name}' not found in table")

    # DELETE

    def delete(self, tree: exp.Delete) -> Changed:
        scope = Scope()
        table = tree.this
        targets = tree.args.get("tables") or []
        using = tree.args.get("using") or []
        if not targets:
            self.target(table)
        if using and not targets:
            targets = [table]
        from_sql = ""
        named = {t.alias_or_name.lower() for t in targets}
        for one in using or [table]:
            for part in (one, *(join.this for join in one.args.get("joins") or [])):
                if isinstance(part, exp.Table) and part.alias_or_name.lower() in named:
                    self.target(part)
        for one in using or [table]:
            from_sql += f"{', ' if from_sql else ''}{self.compiler.add_table(one, scope)}"
            for join in one.args.get("joins") or []:
                from_sql += self.compiler.join(join, scope)
        self.forbid_reading(scope)
        where = tree.args.get("where")
        tail = f" WHERE {self.compiler.condition(where.this, scope)}" if where is not None else ""
        order = tree.args.get("order")
        if order is not None:
            tail += f" ORDER BY {self.compiler.ordering(order, scope)}"
        tail += self.compiler.limit(tree)
        if self.truncates(tree, scope):
            version = self.session.need_table(scope.sources[0].database, scope.sources[0].name)
            if version.definition.view is None and not self.session.catalogue.children(version):
                return self.truncate(version)
        wanted = [t.alias_or_name.lower() for t in targets] or [scope.sources[0].alias.lower()]
        sources = [source for source in scope.sources if source.alias.lower() in wanted]
        if len(sources) != len(wanted):
            raise SqlError(1146, f"no such table {self.session.context.database}.{wanted[0]}")
        rows = []
        for source in sources:
            version = self.session.need_table(source.database, source.name)
            if version.definition.view is not None:
                raise SqlError(20301, "invalid input: cannot insert/update/delete from view")
            rows.append(
                (
                    version,
                    self.session.run(
                        f"SELECT DISTINCT {source.sql}.rowid FROM {from_sql}{tail}"
                        if len(scope.sources) > 1
                        else f"SELECT {source.sql}.rowid FROM {from_sql}{tail}",
                        self.compiler.parameters,
                    ).fetchall(),
                )
            )
        changed = Changed()
        for version, found in rows:
            try:
                for rowid in found:
                    self.session.run(f"DELETE FROM {version.table} WHERE rowid = ?", rowid)
            except sqlite3.IntegrityError as error:
                raise constraint_error(error, version, [], self.session.rules) from None
            changed.affected += len(found)
        changed.affected += self.session.take_cascaded()
        return changed

    def truncates(self, tree: exp.Delete, scope: Scope) -> bool:
        """DELETE without WHERE is a TRUNCATE that keeps the generated keys.

        docs/server.md, What detaches a policy.
        """
        plain = len(scope.sources) == 1 and all(
            tree.args.get(key) is None for key in ("where", "limit")
        )
        with_alias = self.session.rules.delete_with_alias_truncates
        return plain and (not tree.args.get("tables") or with_alias)

    def truncate(self, version: Version) -> Changed:
        session = self.session
        count = int(session.run(f"SELECT count(*) FROM {version.table}").fetchone()[0])
        auto = version.definition.auto_column
        if auto is not None and version.physical not in session.store.counters and count:
            top = session.run(f"SELECT max({auto.key}) FROM {version.table}").fetchone()[0]
            session.store.counters[version.physical] = int(top or 0) + 1
        home = session.need_database(version.database)
        new = session.catalogue.rebuild(home, version, version.definition, copy=False)
        if version.physical in session.store.counters:
            session.store.counters[new.physical] = session.store.counters[version.physical]
        session.emit("truncate_table", new, version.id, new.id)
        return Changed(count)


class _Clash(Exception):
    """A constraint refused an UPDATE of one row."""

    def __init__(
        self, error: sqlite3.IntegrityError, columns: list[ColumnDef], values: list[Stored]
    ) -> None:
        super().__init__(str(error))
        self.error, self.columns, self.values = error, columns, values
