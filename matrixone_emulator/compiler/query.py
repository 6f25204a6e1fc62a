"""SELECT, UNION and WITH as sqlite text (reads of the past: docs/server.md, Time travel)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from sqlglot import exp

from ..errors import SqlError
from ..parsing.lexer import TIME_MARK, syntax_error, tokens
from ..types.columns import TEXT, Column, SqlType
from . import calls
from .convert import as_text, common_type, convert
from .expressions import Ambient, CompiledQuery, Expressions
from .grouping import aggregate_name, aggregates_in, is_aggregate, not_grouped
from .headings import heading
from .scope import Scope, Source, SourceColumn, Value


@dataclass
class Resolved:
    """A table as FROM sees it: its text in sqlite and its columns (name, name there, type)."""

    database: str
    name: str
    sql: str
    columns: list[tuple[str, str, SqlType]]
    view: exp.Expr | None = None
    view_labels: list[str] = field(default_factory=list)
    parameters: dict[str, object] = field(default_factory=dict)


class Session(Ambient, Protocol):
    """What FROM asks of the session."""

    def resolve(self, database: str, name: str, moment: str) -> Resolved: ...


@dataclass
class _Cte:
    name: str
    alias: str
    labels: list[str]
    types: list[SqlType]


class Compiler(Expressions):
    """Translates one statement."""

    def call(self, node: exp.Expr, scope: Scope) -> Value:
        return calls.call(self, node, scope)

    def special(self, node: exp.Expr, scope: Scope) -> Value:
        return calls.special(self, node, scope)

    def window_function(self, node: exp.Expr, scope: Scope) -> Value:
        return calls.window_function(self, node, scope)

    def __init__(self, statement: str, session: Session, default_database: str) -> None:
        super().__init__(statement, session)
        self.session = session
        self.default_database = default_database
        self.parameters: dict[str, object] = {}
        self.reads: list[tuple[str, str]] = []
        self._counter = 0
        self._ctes: list[_Cte] = []
        self._derived_depth = 0

    def fresh(self) -> str:
        self._counter += 1
        return f"a{self._counter}"

    # Queries

    def query(self, node: exp.Expr, outer: Scope | None = None) -> CompiledQuery:
        known = len(self._ctes)
        prefix = self.with_clause(node, outer)
        try:
            if isinstance(node, exp.Select):
                found = self.select(node, outer)
            elif isinstance(node, exp.SetOperation):
                found = self.set_operation(node, outer)
            elif isinstance(node, exp.Subquery):
                found = self.query(node.this, outer)
                found.sql += self.limit(node)
            elif isinstance(node, exp.Values):
                found = self.rows(node, outer)
            elif isinstance(node, exp.Table):
                found = self.select(exp.select("*").from_(node), outer)
            else:
                raise self.unsupported()
        finally:
            del self._ctes[known:]
        found.sql = prefix + found.sql
        return found

    def with_clause(self, node: exp.Expr, outer: Scope | None) -> str:
        clause = node.args.get("with_")
        if clause is None:
            return ""
        parts = []
        for cte in clause.expressions:
            name = cte.alias.lower()
            named = [column.name for column in cte.args["alias"].columns]
            alias = f"w{self.fresh()}"
            body = cte.this
            if clause.args.get("recursive") and isinstance(body, exp.SetOperation):
                first = self.query(body.this, outer)
                entry = _Cte(name, alias, named or first.labels, first.types)
                self._ctes.append(entry)
                second = self.query(body.expression, outer)
                word = "UNION" if body.args.get("distinct") else "UNION ALL"
                sql = f"{first.sql} {word} {second.sql}"
            else:
                inner = self.query(body, outer)
                entry = _Cte(name, alias, named or inner.labels, inner.types)
                self._ctes.append(entry)
                sql = inner.sql
            columns = ", ".join(f"k{index}" for index in range(len(entry.types)))
            parts.append(f"{alias}({columns}) AS ({sql})")
        return f"WITH {'RECURSIVE ' if clause.args.get('recursive') else ''}{', '.join(parts)} "

    def rows(self, node: exp.Values, outer: Scope | None) -> CompiledQuery:
        scope = Scope(outer=outer)
        table: list[list[Value]] = []
        for row in node.expressions:
            cells = row.expressions
            if len(cells) != 1 or str(cells[0].this).lower() != "row":
                raise self.rows_without_word()
            table.append(self.values(cells[0].expressions, scope))
        types = [common_type(cell.type for cell in column) for column in zip(*table, strict=True)]
        parts = [
            "SELECT "
            + ", ".join(
                f"{convert(c, t).sql} AS k{i}"
                for i, (c, t) in enumerate(zip(row, types, strict=True))
            )
            for row in table
        ]
        labels = [f"column_{index}" for index in range(len(types))]
        return CompiledQuery(" UNION ALL ".join(parts), labels, types)

    def rows_without_word(self) -> SqlError:
        """Where VALUES is a table every row of it begins with ROW."""
        found = tokens(self.statement)
        at = next(
            i for i, (a, b) in enumerate(pairwise(found)) if (a.upper, b.text) == ("VALUES", "(")
        )
        return syntax_error(self.statement, found, found[at + 1].start)

    def set_operation(self, node: exp.SetOperation, outer: Scope | None) -> CompiledQuery:
        left, right = self.query(node.left, outer), self.query(node.right, outer)
        if len(left.types) != len(right.types):
            raise SqlError(
                1064, "SQL parser error: SELECT statements have different number of columns"
            )
        types = [common_type(pair) for pair in zip(left.types, right.types, strict=True)]
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        if not node.args.get("distinct"):
            if word != "UNION":
                raise self.unsupported()
            word = "UNION ALL"
        sides = (self._cast_to(left, types, node.left), self._cast_to(right, types, node.right))
        sql = f" {word} ".join(sides)
        order = node.args.get("order")
        if order is not None:
            sql += " ORDER BY " + self._output_order(order, left.labels, types)
        sql += self.limit(node)
        return CompiledQuery(sql, left.labels, types)

    def _cast_to(self, part: CompiledQuery, types: list[SqlType], node: exp.Expr) -> str:
        plain = isinstance(node, exp.Select) and not any(
            node.args.get(key) is not None for key in ("order", "limit", "offset", "with_")
        )
        cells = []
        same = True
        for index, (have, want) in enumerate(zip(part.types, types, strict=True)):
            cell = convert(Value(f"k{index}", have), want)
            same = same and cell.sql == f"k{index}"
            cells.append(f"{cell.sql} AS k{index}")
        if same and plain:
            return part.sql
        return f"SELECT {', '.join(cells)} FROM ({part.sql})"

    def _output_order(self, order: exp.Order, labels: list[str], types: list[SqlType]) -> str:
        lower = [label.lower() for label in labels]
        parts = []
        for item in order.expressions:
            target = item.this
            if isinstance(target, exp.Literal) and not target.is_string:
                index = int(target.name) - 1
            elif isinstance(target, exp.Column) and target.name.lower() in lower:
                index = lower.index(target.name.lower())
            else:
                raise self.unsupported()
            collation = " COLLATE mo_decimal" if types[index].kind == "decimal" else ""
            parts.append(f"{index + 1}{collation}{' DESC' if item.args.get('desc') else ''}")
        return ", ".join(parts)

    def select(self, node: exp.Select, outer: Scope | None) -> CompiledQuery:
        scope = Scope(outer=outer)
        from_sql = self.from_clause(node, scope)
        labels: list[str] = []
        values: list[Value] = []
        for item in node.expressions:
            self.select_item(item, scope, labels, values)
            if isinstance(item, exp.Alias):
                scope.aliases.setdefault(labels[-1].lower(), values[-1])
        columns = ", ".join(f"{value.sql} AS k{index}" for index, value in enumerate(values))
        distinct = "DISTINCT " if node.args.get("distinct") is not None else ""
        sql = f"SELECT {distinct}{columns}{from_sql}"
        having = node.args.get("having")
        if self.check_aggregates(node) or having is not None:
            self.check_group(node, scope)
        where = node.args.get("where")
        if where is not None:
            hidden, scope.aliases = scope.aliases, {}
            sql += f" WHERE {self.condition(where.this, scope)}"
            scope.aliases = hidden
        group = node.args.get("group")
        if group is not None:
            if group.args.get("rollup") or group.args.get("cube"):
                raise self.unsupported()
            keys = [self.positional(key, scope, values).sql for key in group.expressions]
            sql += f" GROUP BY {', '.join(keys)}"
        if having is not None:
            sql += f" HAVING {self.condition(having.this, scope)}"
        order = node.args.get("order")
        if order is not None:
            sql += f" ORDER BY {self.select_order(order, scope, values, bool(distinct))}"
        sql += self.limit(node)
        types = [value.type for value in values]
        return CompiledQuery(sql, labels, types, bool(node.args.get("locks")), self.reads)

    def check_aggregates(self, node: exp.Select) -> bool:
        """Whether the query aggregates; WHERE may not, nor an aggregate inside another."""
        where = node.args.get("where")
        for found in aggregates_in(where):
            raise SqlError(
                1149,
                f"SQL syntax error: aggregate function {aggregate_name(found)} not allowed in "
                "WHERE clause",
            )
        order = node.args.get("order")
        having = node.args.get("having")
        found_any = node.args.get("group") is not None
        for part in (*node.expressions, having, order):
            for found in aggregates_in(part):
                found_any = True
                for inner in found.iter_expressions():
                    for nested in aggregates_in(inner):
                        raise SqlError(
                            1149,
                            f"SQL syntax error: aggregate function {aggregate_name(nested)} calls "
                            "cannot be nested",
                        )
        return found_any

    def check_group(self, node: exp.Select, scope: Scope) -> None:
        """Columns outside aggregates must be grouped by (sql_mode ONLY_FULL_GROUP_BY)."""
        group = node.args.get("group")
        aliases = {
            item.alias.lower(): item.this
            for item in node.expressions
            if isinstance(item, exp.Alias)
        }
        keys: set[str] = set()
        for key in group.expressions if group is not None else ():
            if isinstance(key, exp.Literal) and key.name.isdigit():
                if not 0 < int(key.name) <= len(node.expressions):
                    continue
                key = node.expressions[int(key.name) - 1].unalias()
            elif isinstance(key, exp.Column) and not key.table:
                if self._owner(key, scope):
                    keys.add(self._owner(key, scope) + key.name.lower())
                    continue
                key = aliases.get(key.name.lower(), key)
            keys.add(self._normal(key, scope))

        def visit(part: exp.Expr) -> None:
            if isinstance(part, exp.Star):
                for source in scope.sources:
                    visit_all(source)
                return
            if isinstance(part, exp.Column):
                if isinstance(part.this, exp.Star):
                    for source in scope.sources:
                        if source.alias.lower() == part.table.lower():
                            visit_all(source)
                    return
                owner = self._owner(part, scope)
                if owner and owner + part.name.lower() not in keys:
                    raise not_grouped(owner + part.name.lower())
                return
            if isinstance(part, (exp.Subquery, exp.Select, exp.Exists)):
                for name in self._outer_names(part, scope):
                    # To 3.x no column of a grouped query is grouped inside a subquery of it.
                    if not self.ambient.rules.grouped_inside_subqueries or name not in keys:
                        raise not_grouped(name)
                return
            if is_aggregate(part):
                return
            if keys and self._normal(part, scope) in keys:
                return
            if isinstance(part, exp.Window):
                # Its function works on what was grouped.
                for child in part.this.iter_expressions():
                    visit(child)
                for name, value in part.args.items():
                    for child in value if isinstance(value, list) else [value]:
                        if name != "this" and isinstance(child, exp.Expression):
                            visit(child)
                return
            for child in part.iter_expressions():
                visit(child)

        def visit_all(source: Source) -> None:
            for column in source.columns:
                name = column.name.lower()
                if name not in source.merged and f"{source.alias}.{name}" not in keys:
                    raise not_grouped(f"{source.alias}.{name}")

        for item in node.expressions:
            visit(item.unalias())
        having, order = node.args.get("having"), node.args.get("order")
        if having is not None and not self.ambient.rules.ungrouped_having:
            visit(having.this)
        for item in order.expressions if order is not None else ():
            target = item.this
            plain = isinstance(target, exp.Column) and not target.table
            if not (plain and target.name.lower() in aliases):
                visit(target)

    def _outer_names(self, subquery: exp.Expr, scope: Scope) -> Iterator[str]:
        """The columns of this query that a subquery names with their table."""
        inside = {table.alias_or_name.lower() for table in subquery.find_all(exp.Table)}
        inside |= {inner.alias.lower() for inner in subquery.find_all(exp.Subquery) if inner.alias}
        for column in subquery.find_all(exp.Column):
            if column.table and column.table.lower() not in inside:
                owner = self._owner(column, scope)
                if owner:
                    yield owner + column.name.lower()

    def _normal(self, node: exp.Expr, scope: Scope) -> str:
        """A text that is the same for the same expression, however its columns are named."""

        def column(part: exp.Expression) -> exp.Expression:
            if isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
                return exp.Var(this=self._owner(part, scope) + part.name.lower())
            return part

        if isinstance(node, exp.Column):
            return self._owner(node, scope) + node.name.lower()
        return str(node.copy().unnest().transform(column).sql("mysql")).lower()

    @staticmethod
    def _owner(column: exp.Column, scope: Scope) -> str:
        """`t.` for a column of this query's FROM; '' for others, and for aliases."""
        table = column.table.lower()
        for source in scope.sources:
            if table and source.alias.lower() != table:
                continue
            if column.name.lower() not in source.merged and source.find(column.name) is not None:
                return f"{source.alias}."
        return ""

    def select_item(
        self, item: exp.Expr, scope: Scope, labels: list[str], values: list[Value]
    ) -> None:
        if isinstance(item, exp.Star):
            if not scope.sources:
                raise SqlError(20302, "SQL syntax error: No tables used")
            for source in scope.sources:
                self._star(source, scope, labels, values, merged=True)
            return
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            table = item.table.lower()
            for source in scope.sources:
                if source.alias.lower() == table:
                    self._star(source, scope, labels, values, merged=False)
                    return
            raise SqlError(
                20301, f"invalid input: missing FROM-clause entry for table '{item.table}'"
            )
        if isinstance(item, exp.Alias):
            labels.append(item.alias)
            item = item.this
        else:
            labels.append(heading(item))
            if isinstance(item, exp.Concat):
                item = item.expressions[0]
        value = self.value(item, scope)
        if isinstance(item, exp.Parameter):
            value = variable_text(value)
        values.append(value)

    @staticmethod
    def _star(
        source: Source, scope: Scope, labels: list[str], values: list[Value], *, merged: bool
    ) -> None:
        for column in source.columns:
            if merged and column.name.lower() in source.merged:
                continue
            folded = source.name and source.database != "information_schema"
            labels.append(column.name.lower() if folded else column.name)
            values.append(Value(column.sql, column.type))

    def positional(self, node: exp.Expr, scope: Scope, values: list[Value]) -> Value:
        """A key of GROUP BY or ORDER BY: a number means a column of the result."""
        if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
            index = int(node.name)
            if not 1 <= index <= len(values):
                raise SqlError(
                    20302, f"SQL syntax error: GROUP BY position {index} is not in select list"
                )
            return values[index - 1]
        return self.value(node, scope)

    def select_order(
        self, order: exp.Order, scope: Scope, values: list[Value], distinct: bool
    ) -> str:
        parts = []
        shown = {value.sql for value in values}
        for item in order.expressions:
            target = item.this
            if isinstance(target, exp.Column) and not target.table:
                value = scope.column([target.name], aliases=True)
            else:
                value = self.positional(target, scope, values)
            if distinct and value.sql not in shown:
                raise SqlError(
                    1149,
                    "SQL syntax error: for SELECT DISTINCT, ORDER BY expressions must appear in "
                    "select list",
                )
            parts.append(f"{self.sort_key(value)}{' DESC' if item.args.get('desc') else ''}")
        return ", ".join(parts)

    def limit(self, node: exp.Expr) -> str:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is None and offset is None:
            return ""
        count = self._whole(limit.expression) if limit is not None else "-1"
        return f" LIMIT {count}" + (
            f" OFFSET {self._whole(offset.expression)}" if offset is not None else ""
        )

    def _whole(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Literal) and node.name.isdigit():
            return node.name if len(node.name) < 19 else "9223372036854775807"
        raise self.unsupported()

    # FROM

    def from_clause(self, node: exp.Select, scope: Scope) -> str:
        clause = node.args.get("from_")
        if clause is None:
            return ""
        first = clause.this
        if isinstance(first, exp.Table) and first.name.lower() == "dual" and not first.db:
            return ""
        sql = f" FROM {self.add_table(first, scope)}"
        for join in first.args.get("joins") or []:
            sql += self.join(join, scope)
        for join in node.args.get("joins") or []:
            sql += self.join(join, scope)
        return sql

    def join(self, join: exp.Join, scope: Scope) -> str:
        before = list(scope.sources)
        table_sql = self.add_table(join.this, scope)
        right = scope.sources[-1]
        side, kind, method = (
            str(join.args.get(key) or "").upper() for key in ("side", "kind", "method")
        )
        if method and method != "NATURAL":
            raise self.unsupported()
        word = f"{side} JOIN" if side else "JOIN"
        condition = ""
        on, using = join.args.get("on"), join.args.get("using")
        if on is not None:
            condition = f" ON {self.condition(on, scope)}"
        elif using or method == "NATURAL":
            names = [column.name for column in using or []] or [
                column.name for column in right.columns if any(s.find(column.name) for s in before)
            ]
            condition = self._using(names, before, right)
        elif kind == "OUTER" or side:
            raise self.unsupported()
        sql = f" {word} {table_sql}{condition}"
        for inner in join.this.args.get("joins") or []:
            sql += self.join(inner, scope)
        return sql

    def _using(self, names: list[str], before: list[Source], right: Source) -> str:
        parts = []
        for name in names:
            theirs = right.find(name)
            ours = next((s.find(name) for s in before if s.find(name)), None)
            if theirs is None or ours is None:
                raise SqlError.no_column(f"column {name} does not exist")
            parts.append(
                self.compare(Value(ours.sql, ours.type), "=", Value(theirs.sql, theirs.type))
            )
            right.merged.add(name.lower())
        return f" ON {' AND '.join(parts)}" if parts else ""

    def add_table(self, node: exp.Expr, scope: Scope) -> str:
        """Text of one table of FROM, which *scope* knows from then on."""
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Table):
                table = node.this
                inner_sql = self.add_table(table, scope)
                for join in table.args.get("joins") or []:
                    inner_sql += self.join(join, scope)
                return f"({inner_sql})"
            self._derived_depth += 1
            try:
                inner = self.query(node.this, scope.outer)
            finally:
                self._derived_depth -= 1
            return self._derived(inner, node.alias, list(node.alias_column_names), scope)
        if isinstance(node, exp.Values):
            return self._derived(
                self.rows(node, scope.outer), node.alias, list(node.alias_column_names), scope
            )
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise self.unsupported()
        name, _, moment = node.name.partition(TIME_MARK)
        database = node.db.lower()
        alias = node.alias or name
        if not database and not moment:
            for cte in reversed(self._ctes):
                if cte.name == name.lower():
                    inner_alias = self.fresh()
                    columns = [
                        SourceColumn(label, f"{inner_alias}.k{index}", kind)
                        for index, (label, kind) in enumerate(
                            zip(cte.labels, cte.types, strict=True)
                        )
                    ]
                    self._add(Source(alias, "", columns, "", name), scope)
                    return f"{cte.alias} AS {inner_alias}"
        resolved = self.session.resolve(database, name.lower(), moment)
        self.reads.append((resolved.database, resolved.name))
        if (resolved.database, resolved.name) == self.written and not self._derived_depth:
            raise SqlError(
                1093,
                f"You can't specify target table '{resolved.name}' for update in FROM clause",
            )
        self.parameters.update(resolved.parameters)
        if resolved.view is not None:
            return self._view(resolved, alias, scope)
        own = self.fresh()
        columns = [SourceColumn(n, f"{own}.{key}", kind) for n, key, kind in resolved.columns]
        self._add(Source(alias, own, columns, resolved.database, resolved.name), scope)
        return f"{resolved.sql} AS {own}"

    def _view(self, resolved: Resolved, alias: str, scope: Scope) -> str:
        assert resolved.view is not None
        self._derived_depth += 1
        try:
            inner = self.query(resolved.view, None)
        finally:
            self._derived_depth -= 1
        labels = resolved.view_labels or inner.labels
        own = self.fresh()
        inner.labels = labels
        self._add(
            Source(alias, own, inner.source_columns(own), resolved.database, resolved.name), scope
        )
        return f"({inner.sql}) AS {own}"

    def _derived(self, inner: CompiledQuery, alias: str, names: list[str], scope: Scope) -> str:
        own = self.fresh()
        if names:
            inner.labels = [*names, *inner.labels[len(names) :]]
        self._add(Source(alias, own, inner.source_columns(own)), scope)
        return f"({inner.sql}) AS {own}"

    @staticmethod
    def _add(source: Source, scope: Scope) -> None:
        if source.alias and any(
            other.alias.lower() == source.alias.lower() and other.database == source.database
            for other in scope.sources
        ):
            raise SqlError(20301, f"invalid input: table '{source.alias}' specified more than once")
        scope.sources.append(source)


def variable_text(value: Value) -> Value:
    """`SELECT @v` shows TEXT, whatever was assigned."""
    if value.type.kind == "bool":
        return Value(f"(CASE {value.sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)", TEXT)
    return Value(as_text(value).sql, TEXT)


def result_columns(labels: list[str], types: list[SqlType]) -> list[Column]:
    return [kind.column(label) for label, kind in zip(labels, types, strict=True)]
