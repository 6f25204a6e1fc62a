"""Two moments of a table that no statement can compare: two streams in one order, merged.

The server sorts numbers and times as Python does, texts by their UTF-8 bytes, and NULLs first.
Where only the server knows an order, as that of an ENUM, both are sorted by the values' texts. A
stream that is in another order is an error, never a wrong answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from ..errors import PastError
from .comparison import ComparedColumn, Comparison
from .row_change import Row, RowChange, RowReader, truth

_Sorted: TypeAlias = "Callable[[Row], tuple[Any, ...]]"


def merge(
    comparison: Comparison, reader: RowReader, before: Iterator[Row], after: Iterator[Row]
) -> Iterator[RowChange]:
    """The changes between two moments.

    :param before: the rows of ``comparison.rows_at``; where there is no key, of ``multiset_at``.
    """
    pairs = _merge(before, after, _order(comparison), comparison)
    return (_keyed if comparison.key else _counted)(comparison, reader, pairs)


def _keyed(
    comparison: Comparison, reader: RowReader, merged: Iterable[tuple[Row | None, Row | None]]
) -> Iterator[RowChange]:
    width = len(comparison.columns)
    for before, after in merged:
        if not any(row is not None and truth(row[width]) for row in (before, after)):
            continue
        if after is None:
            assert before is not None
            yield reader.deleted(before[:width])
        elif before is None:
            yield reader.inserted(after[:width])
        else:
            flags = [
                column.key not in comparison.key and _differ(column, *values)
                for column, *values in zip(comparison.columns, before, after, strict=False)
            ]
            if any(flags):
                yield reader.updated(before[:width], after[:width], flags)


def _counted(
    comparison: Comparison, reader: RowReader, merged: Iterable[tuple[Row | None, Row | None]]
) -> Iterator[RowChange]:
    width = len(comparison.columns)
    for before, after in merged:
        row = before if before is not None else after
        assert row is not None
        more = int(after[width] if after else 0) - int(before[width] if before else 0)
        made = reader.inserted if more > 0 else reader.deleted
        yield from itertools.repeat(made(row[:width]), abs(more))


def _differ(column: ComparedColumn, before: Any, after: Any) -> bool:
    if column.retyped and before is not None and after is not None:
        return str(before) != str(after)
    return bool(before != after)


def _order(comparison: Comparison) -> _Sorted:
    """The server's order of rows, as a key to sort by: NULLs first, texts by their bytes."""
    start = len(comparison.columns) + 1

    def order(row: Row) -> tuple[Any, ...]:
        return tuple(
            (False, 0)
            if value is None
            else (True, value.encode("utf-8", "surrogateescape") if type(value) is str else value)
            for value in row[start:]
        )

    return order


def _merge(
    before: Iterator[Row], after: Iterator[Row], order: _Sorted, comparison: Comparison
) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows of two streams, side by side where their keys are equal.

    :raises PastError: a stream is not in the order that is merged by.
    """
    left, right = _checked(before, order, comparison), _checked(after, order, comparison)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[1], None
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield None, other[1]
            other = next(right, None)
        else:
            yield one[1], other[1]
            one, other = next(left, None), next(right, None)


def _checked(
    rows: Iterator[Row], order: _Sorted, comparison: Comparison
) -> Iterator[tuple[tuple[Any, ...], Row]]:
    last = None
    for row in rows:
        place = order(row)
        if last is not None and not last < place:
            raise PastError(
                f"the server sorts the rows of {comparison.name} by a rule that is not known here: "
                "compare each of the two moments with the present"
            )
        last = place
        yield place, row
