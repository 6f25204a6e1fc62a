"""The rows of INSERT ... VALUES, read without a parser if all values are literals.

A statement's tree is then that of its head with one row, the same for every statement of that form.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass

from ..compiler.convert import decimal_type
from ..errors import SqlError
from ..parsing.lexer import Token, syntax_error, unquote
from ..types.columns import ANY, BOOL, INTEGER_RANGES, SqlType, varchar
from ..types.definition import ColumnDef
from ..types.values import Stored, raw_bytes

Cell = tuple[Stored, SqlType]
MISSING: Cell = ("DEFAULT", SqlType("missing"))
"""Stands for a value that the statement leaves to the column's default."""
NULL: Cell = (None, ANY)
_BIGINT = SqlType("bigint")
_DOUBLE = SqlType("double")
_WORDS: dict[str, Cell] = {
    "NULL": NULL,
    "TRUE": (1, BOOL),
    "FALSE": (0, BOOL),
    "DEFAULT": MISSING,
}
_NAME = ("word", "quoted")
_HEAD_WORDS = ("INSERT", "IGNORE", "INTO")


@dataclass
class LiteralRows:
    """*text* is the statement with one row in the place of *rows*."""

    text: str
    rows: list[list[Cell]]


def text_cell(text: str) -> Cell:
    """A text, or bytes that are no UTF-8, as drivers write them in `_binary'...'`."""
    raw = raw_bytes(text)
    return (text, varchar(len(text))) if raw is None else (raw, SqlType("varbinary", len(raw)))


def number_cell(text: str) -> Cell:
    """A numeric literal: BIGINT, DECIMAL with a point, DOUBLE with an exponent."""
    if text.isdigit():
        return (int(text), _BIGINT) if len(text) < 19 else (text, decimal_type(text))
    if "e" in text.lower():
        return float(text), _DOUBLE
    return text, decimal_type(text)


def negative(cell: Cell) -> Cell | None:
    """The cell of a literal with a minus before it."""
    value, kind = cell
    if value is None or isinstance(value, bytes):
        return None
    if isinstance(value, str):
        return (f"-{value}", kind) if kind.kind == "decimal" else None
    return -value, kind


def fitted(cell: Cell, column: ColumnDef) -> Cell:
    """A literal with a fraction in a column of whole numbers or of BOOL, as VALUES reads it.

    The fraction is cut off, where other expressions are rounded; a minus is applied afterwards, to
    the text of the literal, and fails.
    """
    value, source = cell
    whole = column.type.is_integer
    if source.kind not in ("decimal", "double") or not (whole or column.type.kind == "bool"):
        return cell
    number = decimal.Decimal(str(value))
    if not whole:
        if number < 0:
            raise SqlError(20203, "invalid argument operator unary_minus, bad value [BOOL]")
        return int(bool(number)), BOOL
    if number < 0 and number != number.to_integral():
        label = INTEGER_RANGES[column.type.kind][2]
        label = f"u{label}" if column.type.unsigned else "int"
        raise SqlError(20203, f"invalid argument cast to {label}, bad value {abs(number)}")
    return str(number.to_integral_value(decimal.ROUND_DOWN)), source


def literal_rows(statement: str, found: list[Token]) -> LiteralRows | None:
    """The rows of an INSERT; None where a value is more than a literal, or the form another."""
    at = _values(found)
    if at is None:
        return None
    start = at
    rows: list[list[Cell]] = []
    while True:
        end = _row(found, at, rows)
        if end is None:
            return None
        if end == len(found) or found[end].text != ",":
            break
        at = end + 1
        if at == len(found):
            raise syntax_error(statement, found, len(statement))
    tail = ""
    if end < len(found):
        if found[end].upper != "ON":
            raise syntax_error(statement, found, found[end].start)
        tail = " " + statement[found[end].start :]
    return LiteralRows(f"{statement[: found[start].start]}(NULL){tail}", rows)


def _values(found: list[Token]) -> int | None:
    """Index of the token at which the first row begins."""
    at = 0
    while at < len(found) and found[at].upper in _HEAD_WORDS:
        at += 1
    if at == 0 or at >= len(found) or found[at].kind not in _NAME:
        return None
    at += 1
    if at + 1 < len(found) and found[at].text == "." and found[at + 1].kind in _NAME:
        at += 2
    if at < len(found) and found[at].text == "(":
        at += 1
        while at < len(found) and found[at].text != ")":
            if found[at].kind not in _NAME and found[at].text != ",":
                return None
            at += 1
        at += 1
    if at < len(found) and found[at].upper == "VALUES":
        return at + 1
    return None


def _row(found: list[Token], at: int, rows: list[list[Cell]]) -> int | None:
    """Read one row in brackets; return the index of its end."""
    count = len(found)
    if at >= count or found[at].text != "(":
        return None
    at += 1
    cells: list[Cell] = []
    while at + 1 < count:
        token = found[at]
        cell: Cell | None
        if token.kind == "string":
            cell = text_cell(unquote(token.text))
        elif token.kind == "number":
            cell = number_cell(token.text)
        elif token.kind == "word":
            cell = _WORDS.get(token.upper)
        elif token.text == "-" and found[at + 1].kind == "number":
            at += 1
            cell = negative(number_cell(found[at].text))
        else:
            cell = None
        if cell is None or at + 1 >= count:
            return None
        cells.append(cell)
        after = found[at + 1].text
        at += 2
        if after == ")":
            rows.append(cells)
            return at
        if after != ",":
            return None
    return None
