"""Errors of constraints, and the values that they show."""

from __future__ import annotations

import decimal
import sqlite3

from sqlglot import exp

from ..errors import SqlError
from ..types.columns import SqlType
from ..types.definition import ColumnDef, TableDef, Version
from ..types.values import Stored, as_text
from ..versions.rules import Rules


def strict_bool(text: str) -> bool:
    """The truth value of a text; refuse what is none, as 4.x does."""
    if text.lower() in ("true", "false", "t", "f"):
        return text.lower() in ("true", "t")
    try:
        return decimal.Decimal(text) != 0
    except decimal.InvalidOperation:
        raise SqlError(20301, f"invalid input: '{text}' is not a valid bool expression") from None


def refuse_key_change(definition: TableDef, assignments: list[exp.EQ], rules: Rules) -> None:
    """Refuse an ON DUPLICATE KEY UPDATE that sets a key, whether or not a row conflicts."""
    unique = set(definition.primary)
    for index in definition.indexes:
        unique |= set(index.columns) if index.unique else set()
    for assignment in assignments:
        column = definition.column(assignment.this.name)
        if column is None and rules.upsert_of_column_is_checked:
            raise SqlError.no_column(f"column '{assignment.this.name}' does not exist")
        if column is None and rules.upsert_of_key_is_dml:
            raise SqlError(20313, "unsupported DML: update primary key on duplicate")
        if column is not None and column.key in unique:
            if rules.upsert_of_key_is_dml:
                raise SqlError(20313, "unsupported DML: update unique key on duplicate")
            raise SqlError.internal(
                "do not support update primary key/unique key for on duplicate key update"
            )


def not_null(column: ColumnDef) -> SqlError:
    return SqlError(3819, f"constraint violation: Column '{column.lower}' cannot be null")


def foreign_key_error(text: str, codes: frozenset[str] = frozenset()) -> SqlError | None:
    """The server's refusal by a foreign key; *codes*: the sides that have codes of their own."""
    if "mo-child" in text:
        refusal, code = "Cannot add or update a child row: a foreign key constraint fails", 1452
    elif "mo-parent" in text:
        refusal, code = "Cannot delete or update a parent row: a foreign key constraint fails", 1217
    else:
        return None
    side = "child" if code == 1452 else "parent"
    if side in codes or "own" in text:
        return SqlError(code, refusal)
    return SqlError.internal(refusal)


def constraint_error(
    error: sqlite3.Error,
    version: Version,
    row: list[Stored],
    rules: Rules,
) -> SqlError:
    """Turn sqlite's refusal into the server's (1062, or the foreign key texts)."""
    text = str(error)
    if (refused := foreign_key_error(text)) is not None:
        return refused
    if "UNIQUE" not in text:
        return SqlError.internal(text)
    keys = tuple(part.strip().split(".")[-1] for part in text.partition(": ")[2].split(","))
    definition = version.definition
    position = {column.key: index for index, column in enumerate(definition.columns)}
    shown = [entry_text(row[position[key]], definition.by_key(key).type) for key in keys]
    names = [definition.by_key(key).lower for key in keys]
    if len(keys) == 1:
        hidden = rules.duplicate_names_hidden_column and definition.foreign_keys
        if hidden and keys != definition.primary:
            names[0] = "__mo_index_idx_col"
        return SqlError(1062, f"Duplicate entry '{shown[0]}' for key '{names[0]}'")
    return SqlError(1062, f"Duplicate entry '({','.join(shown)})' for key '({','.join(names)})'")


def entry_text(value: Stored, kind: SqlType) -> str:
    return as_text(value, kind)
