"""Partitions of a table: their definition, and which of them a row belongs to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from ..errors import SqlError
from ..names import fold
from ..parsing.ddl_statements import ListedPartition, PartitionSpec
from ..parsing.redact import unsupported
from ..types.definition import PartitionDef, TableDef
from ..types.values import Stored
from .workspace import Workspace

_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def partitioned(session: Workspace, definition: TableDef, spec: PartitionSpec) -> TableDef:
    """The definition with its partitions, which are no tables before 4.0, and are not checked."""
    for name in spec.columns:
        if definition.column(name) is None:
            raise SqlError.no_column(f"column {fold(name)} does not exist")
    if spec.method == "RANGE" and len(spec.columns) > 1:
        raise SqlError.internal("RANGE PARTITIONING can only have one parameter")
    definition = replace(definition, partition_by=spec.head)
    if not session.rules.partitions_are_tables:
        return definition
    if not spec.listed:
        parts = tuple(PartitionDef(f"p{number}") for number in range(spec.count))
        return replace(definition, partitions=parts)
    column = definition.column(spec.columns[0])
    assert column is not None
    wanted = int if column.type.kind in _INTEGERS else str
    values = [value for one in spec.listed for value in one.values]
    if (wanted is str and column.type.kind not in ("char", "varchar")) or not all(
        value is None or type(value) is wanted for value in values
    ):
        raise unsupported(session.statement_text)
    _check(definition, spec)
    alone = spec.method == "LIST" and any(len(one.values) == 1 for one in spec.listed)
    if wanted is int and alone:
        raise unsupported(session.statement_text)  # an INSERT makes the server panic
    parts = tuple(_made(spec, one) for one in spec.listed)
    return replace(definition, partitions=parts, partition_key=column.key)


def _made(spec: PartitionSpec, one: ListedPartition) -> PartitionDef:
    if spec.method == "LIST":
        return PartitionDef(one.name, text=one.text, among=tuple(one.values))
    return PartitionDef(one.name, text=one.text, below=one.values[0])


def _check(definition: TableDef, spec: PartitionSpec) -> None:
    """Check the values of listed partitions, then their names."""
    if spec.method == "LIST":
        values = [value for one in spec.listed for value in one.values]
        if any(len(set(one.values)) < len(one.values) for one in spec.listed):
            raise SqlError(
                20301,
                "invalid input: duplicate values within the same LIST partition are not allowed",
            )
        if len(set(values)) < len(values):
            text = "LIST PARTITIONING values must be unique across partitions"
            raise SqlError(20301, f"invalid input: {text}")
    else:
        ends = [one.values[0] for one in spec.listed]
        if not all(_less(one, other) for one, other in itertools.pairwise(ends)):
            text = "VALUES LESS THAN value must be strictly increasing for each partition"
            raise SqlError(20301, f"invalid input: {text}")
    names = [one.name for one in spec.listed]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise SqlError(1050, f"table %!%{name}%!%{definition.name} already exists")


def _less(one: int | str | None, other: int | str | None) -> bool:
    """Whether an end is before another; None is behind all."""
    return one is not None and (other is None or one < other)  # type: ignore[operator]


def partition_of(definition: TableDef, row: Sequence[Stored]) -> str:
    """The name of the partition that a row belongs to; '' where partitions are not listed.

    :raises SqlError: it belongs to none.
    """
    if not definition.partition_key:
        return ""
    place = next(
        number
        for number, column in enumerate(definition.columns)
        if column.key == definition.partition_key
    )
    value = row[place]
    for one in definition.partitions if isinstance(value, int | str) else ():
        if (value in one.among) if one.among else _less(value, one.below):  # type: ignore[arg-type]
            return one.name
    raise SqlError(20301, "invalid input: Table has no partition for value from column_list")
