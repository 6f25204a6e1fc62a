"""Aggregates in a query's tree: which calls they are, and the error of a column beside them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from ..errors import SqlError

AGGREGATES = frozenset(
    [
        "any_value",
        "avg",
        "count",
        "max",
        "min",
        "sum",
        "variance",
    ]
)


def not_grouped(name: str) -> SqlError:
    return SqlError(
        1149,
        f'SQL syntax error: column "{name}" must appear in the GROUP BY clause or be used in an '
        "aggregate function",
    )


def is_aggregate(node: exp.Expr) -> bool:
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower() in AGGREGATES
    return isinstance(node, exp.GroupConcat)


def aggregate_name(node: exp.Expr) -> str:
    return "group_concat" if isinstance(node, exp.GroupConcat) else str(node.this).lower()


def aggregates_in(node: exp.Expr | None) -> Iterator[exp.Expr]:
    """The aggregates of a part of one query, not of its subqueries, nor those over a window."""
    if node is None or isinstance(node, (exp.Select, exp.Subquery, exp.SetOperation)):
        return
    if is_aggregate(node):
        yield node
        return
    parts = [node]
    if isinstance(node, exp.Window):
        parts = [node.this, *(node.args.get("partition_by") or [])]
        if node.args.get("order") is not None:
            parts.append(node.args["order"])
    for part in parts:
        for child in part.iter_expressions():
            yield from aggregates_in(child)
