"""Functions that sqlite gets from Python: exact decimals, moments, MySQL's string functions.

They see stored values (types/values.py) and are the same for every session; what depends on the
session (its time zone) is registered by `register` with a callable.
"""

from __future__ import annotations

import decimal
import functools
import hashlib
import math
import re
import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import SqlError
from ..types.values import (
    Stored,
    bad_number,
    decimal_text,
    float_text,
    span_text,
    value_text,
    vector_bytes,
)
from .aggregates import (
    DecimalAverage,
    DecimalSum,
    GroupConcat,
    Variance,
)
from .dates import (
    add_interval,
    convert_zone,
    date_difference,
    date_part,
    format_date,
    moment_or_refusal,
    parse_date,
    span_part,
    timestamp_difference,
    to_datetime,
    to_span,
)
from .json import json_extract, json_unquote, to_json

_CONTEXT = decimal.Context(prec=65, rounding=decimal.ROUND_HALF_UP)

_LONGEST_TEXT = 64 * 1024 * 1024


class Failure:
    """Carry a SqlError out of a sqlite callback, which loses exceptions."""

    def __init__(self) -> None:
        self.error: SqlError | None = None

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except SqlError as error:
                self.error = error
                raise

        return guarded


def compare_decimals(left: str, right: str) -> int:
    """The collation mo_decimal: texts in the order of their numbers."""
    if left == right:
        return 0
    try:
        a, b = decimal.Decimal(left), decimal.Decimal(right)
    except decimal.InvalidOperation:
        return -1 if left < right else 1
    return -1 if a < b else int(a > b)


def _plain(number: decimal.Decimal) -> str:
    return format(number, "f")


def to_decimal(value: Stored) -> str | None:
    if value is None:
        return None
    text = value.decode() if isinstance(value, bytes) else str(value)
    try:
        return _plain(decimal.Decimal(text.strip()))
    except decimal.InvalidOperation:
        raise SqlError(
            20301,
            f"invalid input: {text} beyond the range, can't be converted to Decimal128(38,0).",
        ) from None


def to_number(value: Stored) -> float | None:
    if value is None:
        return None
    text = value.decode() if isinstance(value, bytes) else str(value)
    try:
        return float(text.strip())
    except ValueError:
        raise bad_number(text) from None


def to_integer(value: Stored) -> int | None:
    if value is None or isinstance(value, int):
        return value
    text = value.decode() if isinstance(value, bytes) else str(value)
    try:
        number = decimal.Decimal(text.strip())
    except decimal.InvalidOperation:
        raise SqlError(20203, f"invalid argument cast to int, bad value {text}") from None
    return int(number.to_integral_value(decimal.ROUND_HALF_UP))


def truth(value: Stored) -> int | None:
    if value is None:
        return None
    if isinstance(value, (int, float)):
        return int(value != 0)
    text = (value.decode() if isinstance(value, bytes) else value).strip().lower()
    if text in ("true", "false"):
        return int(text == "true")
    try:
        return int(float(text) != 0)
    except ValueError:
        raise SqlError(20301, f"invalid input: '{text}' is not a valid bool expression") from None


def arithmetic(operator: str, left: Stored, right: Stored, scale: int) -> str | None:
    """`+ - * / %` of decimals, with *scale* digits after the point."""
    if left is None or right is None:
        return None
    a, b = decimal.Decimal(str(left)), decimal.Decimal(str(right))
    if operator in "/%" and b == 0:
        word = "Div" if operator == "/" else "Mod"
        shown = int(a.scaleb(scale))
        raise SqlError(20301, f"invalid input: Decimal128 {word} by Zero: {shown}{operator}0")
    if operator == "+":
        result = _CONTEXT.add(a, b)
    elif operator == "-":
        result = _CONTEXT.subtract(a, b)
    elif operator == "*":
        result = _CONTEXT.multiply(a, b)
    elif operator == "/":
        result = _CONTEXT.divide(a, b)
    else:
        result = _CONTEXT.remainder(a, b)
    return decimal_text(result, scale)


def divide(left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    if right == 0:
        raise SqlError(1365, "division by zero")
    return left / right


def integer_divide(left: Stored, right: Stored) -> int | None:
    if left is None or right is None:
        return None
    a, b = decimal.Decimal(str(left)), decimal.Decimal(str(right))
    if b == 0:
        raise SqlError(1365, "division by zero")
    return int(a / b)


def modulo(left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    if right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return math.fmod(left, right)


@functools.lru_cache(maxsize=1024)
def _like_pattern(pattern: str, escape: str, fold: bool) -> re.Pattern[str]:
    out: list[str] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == escape and index + 1 < len(pattern):
            index += 1
            out.append(re.escape(pattern[index]))
        elif char == "%":
            out.append(".*")
        elif char == "_":
            out.append(".")
        else:
            out.append(re.escape(char))
        index += 1
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    return re.compile("".join(out), flags)


def like(value: Stored, pattern: Stored, escape: str, fold: int) -> int | None:
    if value is None or pattern is None:
        return None
    found = _like_pattern(value_text(pattern), escape, bool(fold)).fullmatch(value_text(value))
    return int(found is not None)


@functools.lru_cache(maxsize=256)
def _regular(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def regexp(value: Stored, pattern: Stored) -> int | None:
    if value is None or pattern is None:
        return None
    return int(_regular(value_text(pattern)).search(value_text(value)) is not None)


def concat(*parts: Stored) -> str | None:
    return None if any(part is None for part in parts) else "".join(map(value_text, parts))


def concat_ws(separator: Stored, *parts: Stored) -> str | None:
    if separator is None:
        return None
    if all(part is None for part in parts):
        raise SqlError.not_emulated("NULL on 3.x, an empty text on 4.x")
    return value_text(separator).join(value_text(part) for part in parts if part is not None)


def _one(function: Callable[[str], Stored]) -> Callable[[Stored], Stored]:
    def call(value: Stored) -> Stored:
        return None if value is None else function(value_text(value))

    return call


def compare_texts(left: Stored, right: Stored) -> int | None:
    """STRCMP: -1, 0 or 1."""
    if left is None or right is None:
        return None
    a, b = value_text(left), value_text(right)
    return (a > b) - (a < b)


def repeat(text: Stored, count: Stored) -> str | None:
    """REPEAT, refused before it takes all memory."""
    if text is None or count is None:
        return None
    shown, times = value_text(text), int(str(count))
    if len(shown) * times > _LONGEST_TEXT:
        raise OverflowError("a text longer than the emulator makes")
    return shown * times


def substring(text: Stored, start: int | None, length: int | None = _LONGEST_TEXT) -> str | None:
    """SUBSTRING, in which no place is the 0th."""
    if text is None or start is None or length is None:
        return None
    shown = value_text(text)
    begin = start - 1 if start > 0 else len(shown) + start
    if start == 0 or begin < 0 or length <= 0:
        return ""
    return shown[begin : begin + length]


def pad(value: Stored, length: int | None, filler: Stored, left: int) -> str | None:
    if value is None or length is None or filler is None or length < 0:
        return None
    text, fill = value_text(value), value_text(filler)
    if len(text) >= length:
        return text[:length]
    if not fill:
        return ""
    rest = (fill * length)[: length - len(text)]
    return rest + text if left else text + rest


def round_decimal(value: Stored, digits: int | None) -> str | None:
    if value is None or digits is None:
        return None
    number = decimal.Decimal(str(value))
    result = number.quantize(decimal.Decimal(1).scaleb(-digits), rounding=decimal.ROUND_HALF_UP)
    return _plain(result) if digits >= 0 else _plain(result.quantize(decimal.Decimal(1)))


def round_float(value: float | None, digits: int | None) -> float | None:
    if value is None or digits is None:
        return None
    return float(
        decimal.Decimal(repr(float(value))).quantize(
            decimal.Decimal(1).scaleb(-digits), rounding=decimal.ROUND_HALF_EVEN
        )
    )


# -- registration ----------------------------------------------------------------------


def strict_integer(value: Stored) -> int | None:
    """Convert a text beside an integer; `1.5` is refused."""
    text = "" if value is None else value_text(value).strip()
    if value is not None and not text.lstrip("+-").isdigit():
        raise SqlError(20203, f"invalid argument cast to int, bad value {text}")
    return to_integer(value)


def invert(value: int | None) -> Stored:
    if value is None:
        return None
    number = ~value & (1 << 64) - 1
    return number if number < 1 << 63 else str(number)


def whole(value: Stored) -> Stored:
    """The result of integer arithmetic: sqlite slips into floating point where it overflows."""
    if isinstance(value, float):
        raise SqlError.not_emulated("integer overflow: 3.x begins again, 4.x quotes the expression")
    return value


_RANGE_HOURS = {"h": 1, "d": 24, "mo": 720, "y": 8760}


def range_hours(length: int | None, unit: Stored) -> int | None:
    """CAST_RANGE_VALUE_UNIT of SHOW PITR WHERE (docs/server.md, SHOW PITR)."""
    if length is None or unit is None:
        return None
    word = value_text(unit)
    if word not in _RANGE_HOURS:
        raise SqlError(20203, f"invalid argument invalid pitr time unit %s, bad value {word}")
    return length * _RANGE_HOURS[word]


def _hex(value: Stored) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, bytes) else value_text(value).encode()).hex().upper()


def _hex_vector(value: Stored, kind: Stored) -> str | None:
    return None if value is None else vector_bytes(str(value), str(kind))[1].hex()


def _hex_number(value: Stored) -> str | None:
    return None if value is None else f"{int(str(value)) & (1 << 64) - 1:X}"


def _md5(value: Stored) -> str | None:
    if value is None:
        return None
    data = value if isinstance(value, bytes) else value_text(value).encode()
    return hashlib.md5(data).hexdigest()


def _uuid() -> str:
    return str(uuid.uuid4())


def visible_type(label: str | None, form: int) -> str | None:
    """``mo_show_visible_bin`` of a type in the catalogue: 2 without its length, 3 with it."""
    if label is None or form == 3:
        return label
    if form != 2:
        raise SqlError.not_emulated(f"mo_show_visible_bin(..., {form})")
    name = label.partition("(")[0]
    return "BIGINT UNSIGNED" if name == "SET" else name


_PLAIN: dict[str, tuple[int, Callable[..., Any]]] = {
    "mo_decimal": (1, to_decimal),
    "mo_visible_type": (2, visible_type),
    "mo_strict_number": (1, to_number),
    "mo_integer": (1, to_integer),
    "mo_truth": (1, truth),
    "mo_arithmetic": (4, arithmetic),
    "mo_divide": (2, divide),
    "mo_div": (2, integer_divide),
    "mo_mod": (2, modulo),
    "mo_like": (4, like),
    "mo_regexp": (2, regexp),
    "mo_concat": (-1, concat),
    "mo_concat_ws": (-1, concat_ws),
    "mo_upper": (1, _one(str.upper)),
    "mo_lower": (1, _one(str.lower)),
    "mo_length": (
        1,
        lambda v: None if v is None else len(v if isinstance(v, bytes) else value_text(v).encode()),
    ),
    "mo_pad": (4, pad),
    "mo_substr": (-1, substring),
    "mo_repeat": (2, repeat),
    "mo_round_decimal": (2, round_decimal),
    "mo_round": (2, round_float),
    "mo_float_text": (1, lambda v: None if v is None else float_text(v)),
    "mo_datetime": (1, to_datetime),
    "mo_span": (1, to_span),
    "mo_span_text": (2, lambda v, n: None if v is None else span_text(v, n)),
    "mo_interval": (3, add_interval),
    "mo_timestampdiff": (3, timestamp_difference),
    "mo_datediff": (2, date_difference),
    "mo_part": (2, date_part),
    "mo_span_part": (2, span_part),
    "mo_format_date": (2, format_date),
    "mo_parse_date": (2, parse_date),
    "mo_convert_tz": (3, convert_zone),
    "mo_strcmp": (2, compare_texts),
    "mo_whole": (1, whole),
    "mo_strict_integer": (1, strict_integer),
    "mo_invert": (1, invert),
    "mo_range_hours": (2, range_hours),
    "mo_json": (1, to_json),
    "mo_json_extract": (-1, json_extract),
    "mo_json_unquote": (1, json_unquote),
    "mo_hex": (1, _hex),
    "mo_hex_number": (1, _hex_number),
    "mo_hex_vector": (2, _hex_vector),
    "mo_moment": (1, moment_or_refusal),
    "mo_md5": (1, _md5),
}


def register(
    connection: sqlite3.Connection,
    failure: Failure,
    session: dict[str, tuple[int, Callable[..., Any]]],
) -> None:
    """Register all functions on *connection*; *session* holds those that depend on the session."""
    connection.create_collation("mo_decimal", compare_decimals)
    for name, (count, function) in _PLAIN.items():
        connection.create_function(name, count, failure.wrap(function), deterministic=True)
    for name, (count, function) in {"mo_uuid": (0, _uuid), **session}.items():
        connection.create_function(name, count, failure.wrap(function))
    window: Any = connection.create_window_function
    window("mo_sum", 1, DecimalSum)
    window("mo_avg", 2, DecimalAverage)
    aggregate: Any = connection.create_aggregate
    aggregate("mo_group_concat", -1, GroupConcat)
    aggregate("mo_variance", 1, Variance)
