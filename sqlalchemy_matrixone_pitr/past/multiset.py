"""A table without a key, compared as a multiset: its rows counted, +1 for now and -1 for then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, union_all
from sqlalchemy.sql import FromClause

from ..moment import Moment
from .comparison import Comparison


def multiset_changes(comparison: Comparison) -> Any:
    """Rows that are there another number of times than they were, and by how many."""
    past, present = comparison.p, comparison.c
    rows = union_all(
        _counted(comparison, past, comparison.holds_then(past), "-1"),
        _counted(comparison, present, comparison.holds_now(present), "1"),
    ).subquery("r")
    columns = [rows.c[f"p{number}"] for number in range(len(comparison.columns))]
    total = func.sum(rows.c.w)
    return (
        select(*columns, total.label("w"))
        .group_by(*columns)
        .having(total != literal_column("0"))
        .order_by(*_in_order(comparison, columns))
    )


def multiset_at(comparison: Comparison, at: Moment) -> Any:
    """Rows of one moment, how often each is there, and what they are sorted by."""
    past = comparison.past("p", at)
    rows = _counted(comparison, past, comparison.holds_then(past), "1").subquery("r")
    columns = [rows.c[f"p{number}"] for number in range(len(comparison.columns))]
    keys = [key.label(f"k{n}") for n, key in enumerate(_in_order(comparison, columns))]
    counted = select(*columns, func.sum(rows.c.w).label("w"), *keys).group_by(*columns)
    return counted.order_by(*_in_order(comparison, columns))


def _counted(
    comparison: Comparison, alias: FromClause, holds: ColumnElement[bool], weight: str
) -> Select[Any]:
    return select(
        *(
            column.groupable(alias.c[column.key]).label(f"p{n}")
            for n, column in enumerate(comparison.columns)
        ),
        literal_column(weight).label("w"),
    ).where(*([holds] if comparison.condition else []))


def _in_order(
    comparison: Comparison, columns: Sequence[ColumnElement[Any]]
) -> list[ColumnElement[Any]]:
    return [
        column.sortable(value) for column, value in zip(comparison.columns, columns, strict=True)
    ]
