"""UPDATE."""

from __future__ import annotations

from sqlglot import exp

from ..compiler.scope import Scope, Value
from ..errors import SqlError
from ..names import fold
from ..parsing.dialect import parse_expression
from ..parsing.lexer import TIME_MARK
from ..types.columns import SqlType
from ..types.definition import ColumnDef, Version
from ..types.values import Stored
from . import generated
from .row_writer import ConstraintViolation, RowWriter, WriteResult, rewritten
from .workspace import Workspace


class Updater(RowWriter):
    """Write the rows of one UPDATE."""

    def __init__(self, session: Workspace, statement: str) -> None:
        super().__init__(session, statement)
        self.unchanged = 0
        self.joined = False

    def update(self, tree: exp.Update) -> WriteResult:
        scope = Scope()
        tables = [tree.this]
        tables.extend(join.this for join in tree.this.args.get("joins") or [])
        changed_ones = {fold(assignment.this.text("table")) for assignment in tree.expressions}
        for table in tables:
            past = TIME_MARK in table.name and fold(table.alias) not in changed_ones
            if isinstance(table, exp.Table) and not (past and table is not tree.this):
                self.target(table)
        self.joined = len(tables) > 1
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
            self.check_settable(column, node, joined=self.joined)
            groups.setdefault(position, []).append((column, self.compiler.value(node, scope)))
        tail = self.tail(tree, scope)
        changed = WriteResult()
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
            rows = self.reached(version, rewritten(version.definition, columns), rows)
            work.append((version, columns, [value.type for _, value in pairs], rows))
        for version, columns, types, rows in work:
            if len(tables) > 1 and not self.session.rules.joins_pass_unique_values_on:
                self.refuse_passed_on(version, columns, types, rows)
            changed.affected += self.update_rows(version, columns, types, rows)
        if self.session.rules.cascades_count:
            changed.affected += self.session.take_cascaded()
        changed.affected -= self.unchanged
        return changed

    def check_settable(self, column: ColumnDef, node: exp.Expr, *, joined: bool) -> None:
        """Refuse what the server does not set an ENUM, a SET or a vector to."""
        kind = column.type.kind
        read = next(node.find_all(exp.Column), None)
        if kind in ("enum", "set") and read is not None:
            text = f"invalid input: ambiguous column reference '{fold(read.name)}'"
            raise SqlError(20301, text)
        rules = self.session.rules
        if joined and kind == "enum" and not rules.enums_in_joined_updates:
            raise SqlError(20203, f"invalid argument {rules.enum_refusal}")
        if joined and column.type.is_vector and not rules.vectors_in_joined_updates:
            text = f"invalid argument aggregate function any_value, bad value [{kind.upper()}]"
            raise SqlError(20203, text)

    def update_rows(
        self,
        version: Version,
        columns: list[ColumnDef],
        types: list[SqlType],
        rows: list[tuple[Stored, ...]],
    ) -> int:
        """Write rows (rowid, values...); unique keys have to hold when all are changed.

        Of several rows that a join finds for one, the first is taken.
        """
        once = list({row[0]: row for row in reversed(rows)}.values())[::-1]
        if not once:
            return 0
        unique = set(version.definition.primary)
        for index in version.definition.indexes:
            unique |= set(index.columns) if index.unique else set()
        if len(once) > 1 and any(column.key in unique for column in columns):
            rowids = [int(str(row[0])) for row in once]
            stored = [self.stored_cells(version, columns, rowid) for rowid in rowids]
            self.update_keys(version, columns, types, once)
            for rowid, cells in zip(rowids, stored, strict=True):
                if cells is not None and cells == self.stored_cells(version, columns, rowid):
                    self.unchanged += 1
            return len(once)
        for row in once:
            rowid = int(str(row[0]))
            before = self.stored_cells(version, columns, rowid)
            try:
                self.write_row(version, columns, types, row)
            except ConstraintViolation as clash:
                raise self.violation(version, clash, rowid, self.codes()) from None
            if before is not None and before == self.stored_cells(version, columns, rowid):
                self.unchanged += 1
        return len(once)

    def stored_cells(
        self, version: Version, columns: list[ColumnDef], rowid: int
    ) -> tuple[Stored, ...] | None:
        """A row's cells, where it matters whether they change."""
        if self.session.rules.unchanged_rows_count or self.session.context.found_rows:
            return None
        return self.cells_of(version, columns, rowid)

    def cells_of(
        self, version: Version, columns: list[ColumnDef], rowid: int
    ) -> tuple[Stored, ...]:
        keys = ", ".join(column.key for column in columns)
        look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
        found: tuple[Stored, ...] = self.session.run(look, [rowid]).fetchone()
        return found

    def write_row(
        self,
        version: Version,
        columns: list[ColumnDef],
        types: list[SqlType],
        row: tuple[Stored, ...],
    ) -> None:
        """Write a row that was read with its rowid first."""
        cells = list(zip(row[1:], types, strict=True))
        self.write_update(version, columns, int(str(row[0])), cells)

    def refuse_passed_on(
        self,
        version: Version,
        columns: list[ColumnDef],
        types: list[SqlType],
        rows: list[tuple[Stored, ...]],
    ) -> None:
        """Refuse an UPDATE of a join that takes a UNIQUE value from a row which gets NULL, and
        gives it to another one."""
        changed = [column.key for column in columns]
        for index in version.definition.indexes:
            if not index.unique or not set(index.columns) & set(changed):
                continue
            key = [column for column in version.definition.columns if column.key in index.columns]
            given_up, taken = [], []
            for row in rows:
                before = self.cells_of(version, key, int(str(row[0])))
                values = dict(zip(changed, row[1:], strict=True))
                after = [
                    values.get(column.key, old) for column, old in zip(key, before, strict=True)
                ]
                if None in after:
                    given_up.append(list(before))
                elif after != list(before):
                    taken.append((after, row))
            for after, row in taken:
                if after in given_up:
                    rowid = int(str(row[0]))
                    try:
                        self.write_row(version, columns, types, row)
                    except ConstraintViolation as clash:
                        raise self.violation(version, clash, rowid, self.codes()) from None

    def update_keys(
        self,
        version: Version,
        columns: list[ColumnDef],
        types: list[SqlType],
        rows: list[tuple[Stored, ...]],
    ) -> None:
        """Give several rows new keys, in as many passes as it takes until none conflicts; rows that
        exchange theirs have none for a while."""
        pending, parked = rows, False
        while pending:
            left = []
            clash: tuple[ConstraintViolation, int] | None = None
            for row in pending:
                rowid = int(str(row[0]))
                try:
                    self.write_row(version, columns, types, row)
                except ConstraintViolation as found:
                    if "UNIQUE" not in str(found.error):
                        raise self.violation(version, found, rowid, self.codes()) from None
                    left.append(row)
                    clash = clash or (found, rowid)
            if clash is not None and len(left) == len(pending):
                if parked:
                    raise self.violation(version, *clash, self.codes()) from None
                self.park(version, columns, left)
                parked = True
            pending = left

    def park(
        self, version: Version, columns: list[ColumnDef], rows: list[tuple[Stored, ...]]
    ) -> None:
        """Take the values of UNIQUE keys from rows that are about to be given others."""
        unique = {
            key for index in version.definition.indexes if index.unique for key in index.columns
        }
        cells = ", ".join(f"{column.key} = NULL" for column in columns if column.key in unique)
        for row in rows if cells else ():
            self.session.run(f"UPDATE {version.table} SET {cells} WHERE rowid = ?", [row[0]])

    def codes(self) -> frozenset[str]:
        """The sides of a foreign key whose refusal has a code of its own."""
        found = self.session.rules.update_foreign_key_codes
        if self.joined:
            return frozenset(side.removeprefix("joined ") for side in found if " " in side)
        return found

    def assigned(self, node: exp.Expr, scope: Scope) -> tuple[int, ColumnDef]:
        """Resolve the target of an assignment to a table of FROM and a column."""
        name, table = node.name, node.args.get("table")
        for position, source in enumerate(scope.sources):
            if table is not None and fold(source.alias) != fold(table.name):
                continue
            if source.find(name) is None or not source.name:
                continue
            version = self.session.need_table(source.database, source.name)
            column = version.definition.column(name)
            if column is not None and column.generated is not None:
                raise generated.not_allowed(column, version.name)
            if column is not None:
                return position, column
        qualified = "" if table is None else f" {table.name}"
        raise SqlError.no_column(f"column '{name}' not found in table{qualified}", internal=True)
