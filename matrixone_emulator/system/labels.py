"""Types, defaults and keys as SHOW and information_schema spell them."""

from __future__ import annotations

from ..parsing.lexer import tokens
from ..types.columns import SqlType
from ..types.definition import ColumnDef, Version

_WIDTHS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}


def type_label(kind: SqlType) -> str:
    """A type as SHOW COLUMNS has it: `BIGINT(64)`, `DATETIME(6)`, `TEXT(0)`."""
    name = kind.kind.upper() + (" UNSIGNED" if kind.unsigned else "")
    if kind.kind in ("enum", "set"):
        return kind.kind.upper() + kind.text[len(kind.kind) :]
    if kind.kind == "decimal" or (kind.kind in ("float", "double") and kind.width):
        return f"{name}({kind.width},{kind.scale})"
    if kind.kind in _WIDTHS:
        return f"{name}({_WIDTHS[kind.kind]})"
    if kind.kind in ("datetime", "timestamp", "time"):
        return f"{name}({kind.scale})"
    return f"{name}({kind.width})"


def default_label(column: ColumnDef) -> str | None:
    """A default as SHOW COLUMNS has it: strings without their quotes."""
    text = column.default
    if text is None:
        return None
    found = tokens(text)
    return text[1:-1] if len(found) == 1 and found[0].kind == "string" else text


def key_label(version: Version, column: ColumnDef) -> str:
    definition = version.definition
    if column.key in definition.primary:
        return "PRI"
    if any(column.key in key.columns for key in definition.foreign_keys):
        return "MUL"
    for index in definition.indexes:
        if index.columns[0] == column.key:
            return "UNI" if index.unique and len(index.columns) == 1 else "MUL"
    return ""


def extra(column: ColumnDef) -> str:
    """The column Extra of SHOW COLUMNS and of information_schema."""
    if column.generated is not None:
        return f"{'STORED' if column.stored else 'VIRTUAL'} GENERATED"
    return "auto_increment" if column.auto_increment else ""
