"""Checks of aggregates and of columns that must be grouped (sql_mode ONLY_FULL_GROUP_BY)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from ..errors import SqlError
from ..names import fold
from ..versions.rules import Rules
from .grouping import aggregate_name, aggregates_in, is_aggregate, not_grouped
from .scope import Scope, Source

_AGGREGATES = "aggregates"


def check_aggregates(node: exp.Select) -> bool:
    """Return whether the query aggregates; refuse aggregates in WHERE and inside one another.

    Found out once for each tree: statements that are sent again share theirs.
    """
    if (known := node.meta.get(_AGGREGATES)) is None:
        known = node.meta[_AGGREGATES] = _check_aggregates(node)
    return bool(known)


def _check_aggregates(node: exp.Select) -> bool:
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


def not_selected(word: str, index: int) -> SqlError:
    """Error of a number in GROUP BY or ORDER BY that is no column's."""
    text = f"{word} BY position {index} is not in select list"
    return SqlError(1149, f"SQL syntax error: {text}")


def check_filter(node: exp.Select, scope: Scope, rules: Rules) -> None:
    """Refuse columns in the HAVING of a query that groups and aggregates nothing.

    It filters the rows; after 4.2.0 by the columns that the query selects, or their aliases.
    """
    selected = set() if not rules.having_filters_rows else _selected(node, scope)
    aliases = _aliases(node)
    for column in _own_columns(node.args["having"].this):
        plain = not column.table and fold(column.name) in aliases
        owner = _owner(column, scope)
        name = owner + fold(column.name)
        if rules.having_filters_rows:
            if plain or name in selected:
                continue
            scope.column([part.name for part in column.parts])
            raise not_grouped(fold(column.sql("mysql").replace("`", "")))
        if owner:
            raise not_grouped(name)
        if not plain:
            raise not_grouped(".".join(fold(part.name) for part in column.parts))
        for inner in _own_columns(aliases[fold(column.name)]):
            raise not_grouped(_owner(inner, scope) + fold(inner.name))


def replaced_names(node: exp.Select, scope: Scope, having: exp.Expr) -> exp.Expr:
    """The HAVING of such a query with what its aliases mean, which come before columns."""
    aliases = _aliases(node)

    def meant(part: exp.Expression) -> exp.Expression:
        if isinstance(part, exp.Column) and not part.table:
            found = aliases.get(fold(part.name))
            if found is not None:
                return exp.Paren(this=found.copy())
        return part

    return having.copy().transform(meant) if aliases else having


def _aliases(node: exp.Select) -> dict[str, exp.Expr]:
    return {fold(item.alias): item.this for item in node.expressions if isinstance(item, exp.Alias)}


def _selected(node: exp.Select, scope: Scope) -> set[str]:
    """The columns of FROM that a query selects as they are, with their tables."""
    found = set()
    for item in node.expressions:
        part = item.unalias()
        if not isinstance(part, (exp.Star, exp.Column)):
            continue
        if isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
            found.add(_owner(part, scope) + fold(part.name))
            continue
        wanted = fold(part.table) if isinstance(part, exp.Column) else ""
        for source in scope.sources:
            if wanted in ("", fold(source.alias)):
                found |= {f"{source.alias}.{fold(column.name)}" for column in source.columns}
    return found


def _own_columns(part: exp.Expr) -> Iterator[exp.Column]:
    """The columns that an expression names outside of aggregates and subqueries."""
    if isinstance(part, exp.Column):
        yield part
    elif not isinstance(part, (exp.Subquery, exp.Select, exp.Exists)) and not is_aggregate(part):
        for child in part.iter_expressions():
            yield from _own_columns(child)


def check_group(node: exp.Select, scope: Scope, rules: Rules) -> None:
    """Refuse columns outside aggregates that are not grouped by (sql_mode ONLY_FULL_GROUP_BY)."""
    group = node.args.get("group")
    aliases = _aliases(node)
    keys: set[str] = set()
    for key in group.expressions if group is not None else ():
        if isinstance(key, exp.Literal) and key.name.isdigit():
            if not 0 < int(key.name) <= len(node.expressions):
                raise not_selected("GROUP", int(key.name))
            key = node.expressions[int(key.name) - 1].unalias()
        elif isinstance(key, exp.Column) and not key.table:
            if _owner(key, scope):
                keys.add(_owner(key, scope) + fold(key.name))
                continue
            if fold(key.name) not in aliases:
                scope.column([key.name])
            key = aliases.get(fold(key.name), key)
        keys.add(_normal(key, scope))

    def visit(part: exp.Expr) -> None:
        if isinstance(part, exp.Star):
            for source in scope.sources:
                visit_all(source)
            return
        if isinstance(part, exp.Column):
            if isinstance(part.this, exp.Star):
                for source in scope.sources:
                    if fold(source.alias) == fold(part.table):
                        visit_all(source)
                return
            owner = _owner(part, scope)
            if owner and owner + fold(part.name) not in keys:
                raise not_grouped(owner + fold(part.name))
            return
        if isinstance(part, (exp.Subquery, exp.Select, exp.Exists)):
            for name in _outer_names(part, scope):
                # To 3.x no column of a grouped query is grouped inside a subquery of it.
                if not rules.grouped_inside_subqueries or name not in keys:
                    raise not_grouped(name)
            return
        if is_aggregate(part):
            return
        if keys and _normal(part, scope) in keys:
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
            name = fold(column.name)
            if name not in source.merged and f"{source.alias}.{name}" not in keys:
                raise not_grouped(f"{source.alias}.{name}")

    having, order = node.args.get("having"), node.args.get("order")
    if having is not None:
        visit(having.this)
        _check_having(having.this, scope, aliases, rules)
    for item in node.expressions:
        visit(item.unalias())
    for item in order.expressions if order is not None else ():
        target = item.this
        plain = isinstance(target, exp.Column) and not target.table
        if not (plain and fold(target.name) in aliases):
            visit(target)


def _check_having(
    having: exp.Expr, scope: Scope, aliases: dict[str, exp.Expr], rules: Rules
) -> None:
    """Refuse names that are nobody's; up to 4.2.0 as if they were not grouped by."""
    if rules.having_filters_rows:
        return
    for column in _own_columns(having):
        name = ".".join(fold(part.name) for part in column.parts)
        outer = scope.outer is not None
        if not outer and not _owner(column, scope) and name not in aliases:
            raise not_grouped(name)


def _outer_names(subquery: exp.Expr, scope: Scope) -> Iterator[str]:
    """The columns of this query that a subquery names with their table."""
    inside = {fold(table.alias_or_name) for table in subquery.find_all(exp.Table)}
    inside |= {fold(inner.alias) for inner in subquery.find_all(exp.Subquery) if inner.alias}
    for column in subquery.find_all(exp.Column):
        if column.table and fold(column.table) not in inside:
            owner = _owner(column, scope)
            if owner:
                yield owner + fold(column.name)


def _normal(node: exp.Expr, scope: Scope) -> str:
    """A text that is the same for the same expression, however its columns are named."""

    def column(part: exp.Expression) -> exp.Expression:
        if isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
            return exp.Var(this=_owner(part, scope) + fold(part.name))
        return part

    if isinstance(node, exp.Column):
        return _owner(node, scope) + fold(node.name)
    return str(node.copy().unnest().transform(column).sql("mysql")).lower()


def _owner(column: exp.Column, scope: Scope) -> str:
    """`t.` for a column of this query's FROM; '' for others, and for aliases."""
    table = fold(column.table)
    for source in scope.sources:
        if table and fold(source.alias) != table:
            continue
        if fold(column.name) not in source.merged and source.find(column.name) is not None:
            return f"{source.alias}."
    return ""
