"""Look-ups that go through a secondary index, and so miss the rows that it lacks.

Nothing else tells the emulator's indexes from full scans, so only tables with an index that lacks
rows have `Lookup`s here. Which index a look-up takes is what the server's planner does with small
tables (read from source). docs/server.md, Garbage collection; Time travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from ..versions.rules import Rules
from .scope import Lookup, Scope, Source

_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE)


@dataclass
class _Filters:
    """The columns that WHERE compares with constants: for one value, or for several."""

    equal: set[str]
    other: set[str]


def looked_up(where: exp.Expr, scope: Scope, rules: Rules, sources: Iterable[Source]) -> str:
    """The condition on the rows that are found by *where*; empty where no index lacks any.

    :param sources: the tables that the planner may take an index for.
    """
    tables: dict[str, list[Lookup]] = {}
    for one in (lookup for source in sources for lookup in source.lookups):
        tables.setdefault(one.table, []).append(one)
    if not tables:
        return ""
    filters = _filters(where, scope, rules)
    chosen = (_chosen(lookups, filters) for lookups in tables.values())
    return "".join(f" AND {one.found}" for one in chosen if one is not None)


def _chosen(lookups: list[Lookup], filters: _Filters) -> Lookup | None:
    """The index that the planner takes; none where the primary key's first column is given."""
    if lookups[0].primary in filters.equal:
        return None
    best, most = None, 0
    for one in lookups:
        count = 0
        while count < len(one.columns) and one.columns[count] in filters.equal:
            count += 1
        if count > most and (count == len(one.columns) or not one.unique):
            best, most = one, count
    if best is not None:
        return best
    for one in lookups:
        if one.columns[0] in filters.other and (len(one.columns) == 1 or not one.unique):
            return one
    return None


def _filters(where: exp.Expr, scope: Scope, rules: Rules) -> _Filters:
    found = _Filters(set(), set())
    for test in _conjuncts(where):
        if isinstance(test, exp.EQ):
            found.equal |= _compared(test.this, [test.expression], scope)
            found.equal |= _compared(test.expression, [test.this], scope)
        elif isinstance(test, exp.Or):
            columns = [_several(one, scope, rules) for one in test.flatten()]
            if all(one == columns[0] for one in columns):
                found.other |= columns[0]
        else:
            found.other |= _several(test, scope, rules)
    return found


def _conjuncts(where: exp.Expr) -> Iterator[exp.Expr]:
    inner = where.unnest()
    if isinstance(inner, exp.And):
        yield from _conjuncts(inner.this)
        yield from _conjuncts(inner.expression)
    else:
        yield inner


def _several(test: exp.Expr, scope: Scope, rules: Rules) -> set[str]:
    """The column of a test for several values, which an index can be taken for."""
    test = test.unnest()
    if isinstance(test, exp.In) and test.expressions:
        return _compared(test.this, test.expressions, scope)
    if isinstance(test, exp.Between):
        return _compared(test.this, [test.args["low"], test.args["high"]], scope)
    if isinstance(test, exp.EQ):
        return _compared(test.this, [test.expression], scope)
    if isinstance(test, _RANGES) and rules.ranges_take_indexes:
        return _compared(test.this, [test.expression], scope) | _compared(
            test.expression, [test.this], scope
        )
    return set()


def _compared(column: exp.Expr, others: list[exp.Expr], scope: Scope) -> set[str]:
    """The column, where it is one that is compared with constants."""
    column = column.unnest()
    if not isinstance(column, exp.Column):
        return set()
    if any(other.find(exp.Column, exp.Select, exp.Subquery) is not None for other in others):
        return set()
    return {scope.column([part.name for part in column.parts]).sql}
