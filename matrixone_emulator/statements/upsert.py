"""INSERT ... ON DUPLICATE KEY UPDATE, and the rows that a new one conflicts with."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from sqlglot import exp

from ..compiler.scope import Scope, Source, SourceColumn, Value
from ..errors import SqlError
from ..names import fold
from ..types.definition import ColumnDef, IndexDef, Version
from ..types.values import Stored
from .constraints import constraint_error
from .row_writer import ConstraintViolation, RowWriter
from .workspace import Workspace


@dataclass
class Insertion:
    version: Version
    columns: list[ColumnDef]
    kind: str
    """plain, ignore, replace or update"""
    assignments: list[exp.EQ] = field(default_factory=list)


def conflicting_rows(
    session: Workspace,
    version: Version,
    row: list[Stored],
    *,
    by_index: bool = True,
    by_primary: bool = False,
) -> list[int]:
    """The rows that hold a unique key of *row*; *by_index*: as far as their indexes have them.

    *by_primary*: of a table with a primary key by that one alone.
    """
    definition = version.definition
    position = {column.key: index for index, column in enumerate(definition.columns)}
    found: list[int] = []
    groups = [(definition.primary, "")] if definition.primary else []
    groups += [
        (index.columns, index.found if by_index else "")
        for index in definition.indexes
        if index.unique
    ]
    for keys, there in groups[:1] if by_primary and definition.primary else groups:
        test = " AND ".join([*(f"{key} = ?" for key in keys), *([there] if there else [])])
        values = [row[position[key]] for key in keys]
        for (rowid,) in session.run(f"SELECT rowid FROM {version.table} WHERE {test}", values):
            if rowid not in found:
                found.append(rowid)
    return found


def refuse_unique_conflict(session: Workspace, version: Version, row: list[Stored]) -> None:
    """Refuse a conflict of a unique key: 3.x finds the row to update by the primary key alone."""
    definition = version.definition
    place = {column.key: index for index, column in enumerate(definition.columns)}
    test = " AND ".join(f"{key} = ?" for key in definition.primary)
    values = [row[place[key]] for key in definition.primary]
    found = test and session.run(f"SELECT 1 FROM {version.table} WHERE {test}", values).fetchone()
    if test and not found:
        columns = next(
            index.columns
            for index in definition.indexes
            if index.unique and _is_there(session, version, index, row, place)
        )
        names = ", ".join(f"{version.table}.{key}" for key in columns)
        error = sqlite3.IntegrityError(f"UNIQUE constraint failed: {names}")
        raise constraint_error(error, version, row, session.rules)


def _is_there(
    session: Workspace,
    version: Version,
    index: IndexDef,
    row: list[Stored],
    place: dict[str, int],
) -> bool:
    test = " AND ".join(f"{key} = ?" for key in index.columns)
    test += f" AND {index.found}" if index.found else ""
    values = [row[place[key]] for key in index.columns]
    sql = f"SELECT 1 FROM {version.table} WHERE {test}"
    return session.run(sql, values).fetchone() is not None


def update_conflicting_row(
    writer: RowWriter, plan: Insertion, rowid: int, row: list[Stored], inserted: set[int]
) -> int:
    """Update the row that a new one conflicts with; return the number of rows counted for it."""
    session, compiler = writer.session, writer.compiler
    version, definition = plan.version, plan.version.definition
    names = {f"n{index}": value for index, value in enumerate(row)}
    proposed = [
        SourceColumn(column.name, f":n{index}", column.type)
        for index, column in enumerate(definition.columns)
    ]
    compiler.defaults = {fold(column.name): Value(column.sql, column.type) for column in proposed}
    source = Source(
        definition.name,
        "t",
        [SourceColumn(c.name, f"t.{c.key}", c.type) for c in definition.columns],
        version.database,
        definition.name,
    )
    scope = Scope([source])
    columns, values = [], []
    for assignment in plan.assignments:
        column = definition.column(assignment.this.name)
        if column is None:
            raise SqlError.no_column(f"column '{assignment.this.name}' does not exist")
        columns.append(column)
        values.append(compiler.value(assignment.expression, scope))
    keys = ", ".join(column.key for column in columns)
    parameters = {**compiler.parameters, **names, "row": rowid}
    found = session.run(
        f"SELECT {', '.join(v.sql for v in values)} FROM {version.table} AS t WHERE rowid = :row",
        parameters,
    ).fetchone()
    cells = [(cell, value.type) for cell, value in zip(found, values, strict=True)]
    look = f"SELECT {keys} FROM {version.table} WHERE rowid = ?"
    before = session.run(look, [rowid]).fetchone()
    try:
        writer.write_update(version, columns, rowid, cells)
    except ConstraintViolation as clash:
        raise writer.violation(version, clash, rowid) from None
    if not session.rules.upsert_counts_changes:
        return 1
    after = session.run(look, [rowid]).fetchone()
    return 0 if before == after or rowid in inserted else 2
