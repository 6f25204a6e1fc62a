"""SELECT, UNION and WITH as sqlite text (reads of the past: docs/server.md, Time travel)."""

from __future__ import annotations

from itertools import pairwise

from sqlglot import exp

from ..errors import SqlError
from ..names import fold
from ..parsing.lexer import syntax_error, tokens
from ..types.columns import TEXT, Column, SqlType
from ..versions.rules import Rules
from . import calls
from .convert import as_text, common_type, convert
from .from_clause import Cte, FromCompiler
from .group_checks import check_aggregates, check_filter, check_group, not_selected, replaced_names
from .headings import heading
from .operators import CompiledQuery
from .scope import Lookup, Scope, Source, Value


class Compiler(FromCompiler):
    """Compile the queries of one statement."""

    def call(self, node: exp.Expr, scope: Scope) -> Value:
        return calls.call(self, node, scope)

    def special(self, node: exp.Expr, scope: Scope) -> Value:
        return calls.special(self, node, scope)

    def window_function(self, node: exp.Expr, scope: Scope) -> Value:
        return calls.window_function(self, node, scope)

    # -- queries -----------------------------------------------------------------------

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
                found = self.value_rows(node, outer)
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
            name = fold(cte.alias)
            named = [column.name for column in cte.args["alias"].columns]
            alias = f"w{self.fresh()}"
            body = cte.this
            if clause.args.get("recursive") and isinstance(body, exp.SetOperation):
                first = self.query(body.this, outer)
                entry = Cte(name, alias, named or first.labels, first.types)
                self._ctes.append(entry)
                second = self.query(body.expression, outer)
                if body.args.get("distinct"):
                    raise self.unsupported()
                sql = f"{first.sql} UNION ALL {second.sql}"
            else:
                self.merged = body
                inner = self.query(body, outer)
                entry = Cte(name, alias, named or inner.labels, inner.types, inner)
                self._ctes.append(entry)
                sql = inner.sql
            columns = ", ".join(f"k{index}" for index in range(len(entry.types)))
            for one in entry.query.lookups if entry.query else ():
                columns += f", {one.found}"
            parts.append(f"{alias}({columns}) AS ({sql})")
        return f"WITH {'RECURSIVE ' if clause.args.get('recursive') else ''}{', '.join(parts)} "

    def value_rows(self, node: exp.Values, outer: Scope | None) -> CompiledQuery:
        scope = Scope(outer=outer)
        table: list[list[Value]] = []
        for row in node.expressions:
            cells = row.expressions
            if len(cells) != 1 or str(cells[0].this).lower() != "row":
                raise self.rows_without_word()
            table.append(self.values(cells[0].expressions, scope))
        for column in zip(*table, strict=True):
            if len({cell.type.kind for cell in column if cell.type.kind != "any"}) > 1:
                raise self.unsupported()
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
        """Refusal of a VALUES table whose rows do not begin with ROW."""
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
        pairs = list(zip(left.types, right.types, strict=True))
        if not self.context.rules.common_types and not all(_alike(a, b) for a, b in pairs):
            raise self.unsupported()
        if any(_of_null_and_number(pair, self.context.rules) for pair in pairs):
            raise self.unsupported()
        types = [common_type(pair) for pair in pairs]
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
        lower = [fold(label) for label in labels]
        parts = []
        for item in order.expressions:
            target = item.this
            if isinstance(target, exp.Literal) and not target.is_string:
                index = int(target.name) - 1
            elif isinstance(target, exp.Column) and fold(target.name) in lower:
                index = lower.index(fold(target.name))
            else:
                raise self.unsupported()
            collation = " COLLATE mo_decimal" if types[index].kind == "decimal" else ""
            parts.append(f"{index + 1}{collation}{' DESC' if item.args.get('desc') else ''}")
        return ", ".join(parts)

    def select(self, node: exp.Select, outer: Scope | None) -> CompiledQuery:
        scope = Scope(outer=outer)
        merged = self.merged is node and _is_merged(node)
        from_sql = self.from_clause(node, scope)
        labels: list[str] = []
        values: list[Value] = []
        for item in node.expressions:
            self.select_item(item, scope, labels, values)
            if isinstance(item, exp.Alias):
                scope.aliases.setdefault(fold(labels[-1]), values[-1])
        columns = ", ".join(f"{value.sql} AS k{index}" for index, value in enumerate(values))
        distinct = "DISTINCT " if node.args.get("distinct") is not None else ""
        having = node.args.get("having")
        aggregates = check_aggregates(node)
        if aggregates:
            check_group(node, scope, self.context.rules)
        merged = merged and not aggregates and having is None
        if having is not None and not aggregates:
            check_filter(node, scope, self.context.rules)
            if node.find(exp.Window) is not None:
                raise self.unsupported()  # it filters what the windows have made
        lookups: list[Lookup] = []
        if merged:
            lookups, conditions = _passed_on(scope, values)
            columns += conditions
        sql = f"SELECT {distinct}{columns}{from_sql}"
        where = node.args.get("where")
        if where is not None:
            hidden, scope.aliases = scope.aliases, {}
            sql += f" WHERE {self.condition(where.this, scope)}"
            sql += self.looked_up(where.this, scope, scope.sources)
            scope.aliases = hidden
        group = node.args.get("group")
        if group is not None:
            if group.args.get("rollup") or group.args.get("cube"):
                raise self.unsupported()
            keys = [self.positional(key, scope, values, "GROUP").sql for key in group.expressions]
            sql += f" GROUP BY {', '.join(keys)}"
        if having is not None and aggregates:
            sql += f" HAVING {self.condition(having.this, scope)}"
        elif having is not None:
            test = self.condition(replaced_names(node, scope, having.this), scope)
            sql += f" {'WHERE' if where is None else 'AND'} ({test})"
        order = node.args.get("order")
        if order is not None:
            sql += f" ORDER BY {self.select_order(order, scope, values, bool(distinct))}"
        limit = self.limit(node)
        if limit and scope.correlated:
            raise self.unsupported()  # The server takes the rows before it looks at the outer one.
        sql += limit
        types = [value.type for value in values]
        locks = bool(node.args.get("locks"))
        return CompiledQuery(sql, labels, types, locks, self.reads, lookups)

    def select_item(
        self, item: exp.Expr, scope: Scope, labels: list[str], values: list[Value]
    ) -> None:
        if isinstance(item, exp.Star):
            if not scope.sources:
                raise SqlError(1064, "SQL parser error: No tables used")
            for source in scope.sources:
                self._star(source, scope, labels, values, merged=True)
            return
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            table = fold(item.table)
            for source in scope.sources:
                if fold(source.alias) == table:
                    self._star(source, scope, labels, values, merged=False)
                    return
            raise SqlError(
                20301, f"invalid input: missing FROM-clause entry for table '{item.table}'"
            )
        if isinstance(item, exp.Alias):
            labels.append(item.alias)
            item = item.this
        else:
            labels.append(heading(item, self.context.rules))
            if isinstance(item, exp.Concat):
                item = item.expressions[0]
        value = self.value(item, scope)
        if isinstance(item, exp.Parameter) and not self.context.rules.variables_keep_types:
            value = variable_text(value)
        values.append(value)

    @staticmethod
    def _star(
        source: Source, scope: Scope, labels: list[str], values: list[Value], *, merged: bool
    ) -> None:
        for column in source.columns:
            if merged and fold(column.name) in source.merged:
                continue
            source.refuse_doubled(fold(column.name))
            folded = source.name and source.database != "information_schema"
            labels.append(fold(column.name) if folded else column.name)
            values.append(Value(column.sql, column.type))

    def positional(self, node: exp.Expr, scope: Scope, values: list[Value], word: str) -> Value:
        """A key of GROUP BY or ORDER BY: a number means a column of the result."""
        if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
            index = int(node.name)
            if not 1 <= index <= len(values):
                raise not_selected(word, index)
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
                value = self.positional(target, scope, values, "ORDER")
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
        if isinstance(node, exp.Literal) and node.name.isdigit() and int(node.name) < 1 << 64:
            return str(min(int(node.name), (1 << 63) - 1))
        raise self.unsupported()


def _of_null_and_number(pair: tuple[SqlType, SqlType], rules: Rules) -> bool:
    """Whether a UNION of these, one of them NULL's, has a type of the server's own."""
    kinds = {side.kind for side in pair}
    exact = "decimal" in kinds and not rules.common_types
    numbers = not rules.unions_number_nulls and any(side.is_numeric for side in pair)
    return len(kinds) == 2 and "any" in kinds and (exact or numbers)


def _alike(one: SqlType, other: SqlType) -> bool:
    """Whether a UNION of these has their type in 3.x, too."""
    whole = all(kind.is_integer or kind.kind == "bool" for kind in (one, other))
    integers = whole and one.unsigned == other.unsigned
    same = (one.kind, one.scale, one.unsigned) == (other.kind, other.scale, other.unsigned)
    return integers or same or "any" in (one.kind, other.kind) or (one.is_text and other.is_text)


def _is_merged(node: exp.Select) -> bool:
    """Whether the conditions of the query around it reach the tables of a query in FROM.

    Behind a LIMIT, DISTINCT or a window they do not; behind GROUP BY the server is not known to
    take an index.
    """
    kept = ("limit", "offset", "distinct", "group")
    return all(node.args.get(key) is None for key in kept) and node.find(exp.Window) is None


def _passed_on(scope: Scope, values: list[Value]) -> tuple[list[Lookup], str]:
    """The indexes of a query's tables by its columns, and their conditions as more columns."""
    names = {value.sql: f"k{index}" for index, value in reversed(list(enumerate(values)))}
    lookups: list[Lookup] = []
    columns = ""
    for one in (lookup for source in scope.sources for lookup in source.lookups):
        keys = tuple(names.get(key, "") for key in one.columns)
        name = f"f{len(lookups)}"
        lookups.append(Lookup(keys, one.unique, name, names.get(one.primary, ""), one.table))
        columns += f", {one.found} AS {name}"
    return lookups, columns


def variable_text(value: Value) -> Value:
    """`SELECT @v` shows TEXT, whatever was assigned."""
    if value.type.kind == "bool":
        return Value(f"(CASE {value.sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)", TEXT)
    return Value(as_text(value).sql, TEXT)


def result_columns(labels: list[str], types: list[SqlType]) -> list[Column]:
    return [kind.column(label) for label, kind in zip(labels, types, strict=True)]
