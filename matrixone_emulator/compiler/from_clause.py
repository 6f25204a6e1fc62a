"""FROM: tables, views, derived tables, joins, and what WITH has named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sqlglot import exp

from ..errors import SqlError
from ..names import fold
from ..parsing.lexer import TIME_MARK
from ..types.columns import SqlType
from .expressions import Expressions
from .indexes import looked_up
from .operators import CompileContext, CompiledQuery
from .scope import Lookup, Scope, Source, SourceColumn, Value, doubled


@dataclass
class ResolvedTable:
    """A table as FROM sees it: its text in sqlite and its columns (name, name there, type)."""

    database: str
    name: str
    sql: str
    columns: list[tuple[str, str, SqlType]]
    view: exp.Expr | None = None
    view_labels: list[str] = field(default_factory=list)
    parameters: dict[str, object] = field(default_factory=dict)
    lookups: tuple[Lookup, ...] = ()
    computed: str = ""
    """The parameter that has the rows of a computed table as JSON, of which *sql* is made"""

    def computed_sql(self, names: frozenset[str] | None) -> str:
        """The text of a computed table for a query that reads columns of these names; None: all."""
        cells = ", ".join(
            f"json_extract(j.value, '$[{index}]') AS {key}"
            if names is None or fold(label) in names
            else f"NULL AS {key}"
            for index, (label, key, _) in enumerate(self.columns)
        )
        # A join makes an index for it since the limit keeps sqlite from mixing it into the query,
        # and since it takes a text in JSON for 25 rows, and two of them for 625.
        rows = f"json_each('[0]') CROSS JOIN json_each(:{self.computed}) AS j"
        return f"(SELECT {cells} FROM {rows} LIMIT -1)"


def names_in(tree: exp.Expr) -> frozenset[str] | None:
    """All names in a tree, lower case, of columns among others; None where it reads all columns."""
    if _NAMES not in tree.meta:
        tree.meta[_NAMES] = _names_in(tree)
    found: frozenset[str] | None = tree.meta[_NAMES]
    return found


_NAMES = "names"


def _names_in(tree: exp.Expr) -> frozenset[str] | None:
    names = set()
    for node in tree.walk():
        if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Anonymous):
            return None  # not that of count(*)
        if isinstance(node, exp.Join) and node.args.get("method"):
            return None  # NATURAL
        if isinstance(node, exp.Identifier):
            names.add(fold(node.name))
    return frozenset(names)


class Session(CompileContext, Protocol):
    """The side of a session that FROM uses."""

    def resolve(self, database: str, name: str, moment: str) -> ResolvedTable: ...


@dataclass
class Cte:
    name: str
    alias: str
    labels: list[str]
    types: list[SqlType]
    query: CompiledQuery | None = None


class FromCompiler(Expressions):
    """Compile FROM; `query` adds the queries around it."""

    def value_rows(self, node: exp.Values, outer: Scope | None) -> CompiledQuery:
        raise NotImplementedError

    def __init__(self, statement: str, session: Session, default_database: str) -> None:
        super().__init__(statement, session)
        self.session = session
        self.default_database = default_database
        self.parameters: dict[str, object] = {}
        self.reads: list[tuple[str, str]] = []
        self._counter = 0
        self._ctes: list[Cte] = []
        self._derived_depth = 0
        self.merged: exp.Expr | None = None
        """The query that is part of the one around it, whose conditions reach its tables"""

    def fresh(self) -> str:
        self._counter += 1
        return f"a{self._counter}"

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
        if side == "FULL" and not self.context.rules.full_joins:
            raise self.misplaced("", "FULL")
        word = f"{side} JOIN" if side else "JOIN"
        condition = ""
        on, using = join.args.get("on"), join.args.get("using")
        if on is not None:
            reached = [right] if side else scope.sources
            condition = f" ON {self.condition(on, scope)}{self.looked_up(on, scope, reached)}"
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

    def looked_up(self, where: exp.Expr, scope: Scope, sources: list[Source]) -> str:
        """The condition behind WHERE or ON for what its look-ups by an index do not find."""
        return looked_up(where, scope, self.context.rules, sources)

    def _using(self, names: list[str], before: list[Source], right: Source) -> str:
        parts = []
        for name in names:
            theirs = right.find(name)
            ours = next((s.find(name) for s in before if s.find(name)), None)
            if theirs is None or ours is None:
                side = "left" if ours is None else "right"
                text = f"column '{name}' specified in USING clause does not exist in {side} table"
                raise SqlError.no_column(text)
            parts.append(
                self.compare(Value(ours.sql, ours.type), "=", Value(theirs.sql, theirs.type))
            )
            right.merged.add(fold(name))
        return f" ON {' AND '.join(parts)}" if parts else ""

    def add_table(self, node: exp.Expr, scope: Scope) -> str:
        """Compile one table of FROM and add it to *scope*."""
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Table):
                table = node.this
                inner_sql = self.add_table(table, scope)
                for join in table.args.get("joins") or []:
                    inner_sql += self.join(join, scope)
                return f"({inner_sql})"
            inner = self._inner(node.this, scope.outer)
            return self._derived(inner, node.alias, list(node.alias_column_names), scope)
        if isinstance(node, exp.Values):
            return self._derived(
                self.value_rows(node, scope.outer), node.alias, list(node.alias_column_names), scope
            )
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise self.unsupported()
        name, _, moment = node.name.partition(TIME_MARK)
        database = fold(node.db)
        alias = node.alias or name
        if not database and not moment:
            for cte in reversed(self._ctes):
                if cte.name == fold(name):
                    inner_alias = self.fresh()
                    columns = [
                        SourceColumn(label, f"{inner_alias}.k{index}", kind)
                        for index, (label, kind) in enumerate(
                            zip(cte.labels, cte.types, strict=True)
                        )
                    ]
                    lookups = cte.query.lookups_of(inner_alias) if cte.query else ()
                    twice = doubled(columns)
                    found = Source(alias, "", columns, "", name, doubled=twice, lookups=lookups)
                    self._add(found, scope)
                    return f"{cte.alias} AS {inner_alias}"
        resolved = self.session.resolve(database, fold(name), moment)
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
        lookups = tuple(one.of(own) for one in resolved.lookups)
        self._add(
            Source(alias, own, columns, resolved.database, resolved.name, lookups=lookups), scope
        )
        sql = resolved.computed_sql(names_in(node.root())) if resolved.computed else resolved.sql
        return f"{sql} AS {own}"

    def _inner(self, node: exp.Expr, outer: Scope | None) -> CompiledQuery:
        """A query in FROM."""
        self._derived_depth += 1
        self.merged = node
        try:
            return self.query(node, outer)
        finally:
            self._derived_depth -= 1

    def _view(self, resolved: ResolvedTable, alias: str, scope: Scope) -> str:
        assert resolved.view is not None
        inner = self._inner(resolved.view, None)
        labels = resolved.view_labels or inner.labels
        own = self.fresh()
        inner.labels = labels
        self._add(
            Source(
                alias,
                own,
                inner.source_columns(own),
                resolved.database,
                resolved.name,
                lookups=inner.lookups_of(own),
            ),
            scope,
        )
        return f"({inner.sql}) AS {own}"

    def _derived(self, inner: CompiledQuery, alias: str, names: list[str], scope: Scope) -> str:
        own = self.fresh()
        if names:
            inner.labels = [*names, *inner.labels[len(names) :]]
        lookups = inner.lookups_of(own)
        columns = inner.source_columns(own)
        self._add(Source(alias, own, columns, doubled=doubled(columns), lookups=lookups), scope)
        return f"({inner.sql}) AS {own}"

    @staticmethod
    def _add(source: Source, scope: Scope) -> None:
        if source.alias and any(
            fold(other.alias) == fold(source.alias) and other.database == source.database
            for other in scope.sources
        ):
            raise SqlError(20301, f"invalid input: table '{source.alias}' specified more than once")
        scope.sources.append(source)
