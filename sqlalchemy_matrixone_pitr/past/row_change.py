"""A changed row, made of what the server sent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy.engine import Dialect

from .comparison import ComparedColumn, Comparison

Row: TypeAlias = "tuple[Any, ...]"


class ChangeKind(StrEnum):
    """A kind of change since a moment."""

    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that changed since a moment.

    :ivar kind: what happened to it since.
    :ivar key: the values of its key, in the key's order; () where the table has none.
    :ivar before: the row as it was, by column; None where it was not there.
    :ivar after: the row as it is; None where it is not there.
    :ivar changed: the columns whose values differ, of an updated row.
    """

    kind: ChangeKind
    key: tuple[Any, ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed: tuple[str, ...] = ()


def truth(value: Any) -> bool | None:
    """A truth of the server, which 2.x and 3.x send as a word."""
    if isinstance(value, str | bytes):
        return value in ("true", b"true", "1", b"1", b"\x01")
    return None if value is None else bool(value)


class RowReader:
    """Makes changes of a comparison's rows: values in the types of the caller's table."""

    def __init__(self, comparison: Comparison, dialect: Dialect) -> None:
        self._names = tuple(column.name for column in comparison.columns)
        self._read = tuple(_processors(column, dialect) for column in comparison.columns)
        places = {column.key: number for number, column in enumerate(comparison.columns)}
        self._key = tuple(places[key] for key in comparison.key)
        self.key_at = self._key[0] if self._key else 0

    def row(self, values: Row) -> dict[str, Any]:
        return {
            name: read(value) if read is not None else value
            for name, read, value in zip(self._names, self._read, values, strict=True)
        }

    def _key_of(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[self._names[place]] for place in self._key)

    def deleted(self, values: Row) -> RowChange:
        row = self.row(values)
        return RowChange(ChangeKind.DELETED, self._key_of(row), row, None)

    def inserted(self, values: Row) -> RowChange:
        row = self.row(values)
        return RowChange(ChangeKind.INSERTED, self._key_of(row), None, row)

    def updated(self, before: Row, after: Row, differ: Iterable[bool]) -> RowChange:
        then, now = self.row(before), self.row(after)
        changed = itertools.compress(self._names, differ)
        return RowChange(ChangeKind.UPDATED, self._key_of(now), then, now, tuple(changed))


def _processors(column: ComparedColumn, dialect: Dialect) -> Callable[[Any], Any] | None:
    read: Callable[[Any], Any] | None = None
    if column.declared is not None and not column.retyped:
        read = column.declared.type._cached_result_processor(dialect, None)
    first = {"BOOL": truth, "BIT": _bits if read is None else _bytes_of_bits}.get(column.now.type)
    if first is None or read is None:
        return first or read
    return lambda value: read(first(value))


def _bits(value: Any) -> int | None:
    """A BIT as a number, which the server sends as bytes, and as a number in a UNION."""
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


def _bytes_of_bits(value: Any) -> bytes | None:
    """A BIT as SQLAlchemy's type reads it."""
    return value.to_bytes(8, "big") if isinstance(value, int) else value
