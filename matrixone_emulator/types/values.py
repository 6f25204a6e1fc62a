"""Values: how sqlite holds them, how they get into a column of a type and out of it again.

Stored forms: integers and booleans INTEGER; FLOAT and DOUBLE REAL; DECIMAL as TEXT of its full
scale (collation `mo_decimal`); DATE `YYYY-MM-DD`; DATETIME, and TIMESTAMP in UTC, as
`YYYY-MM-DD HH:MM:SS.ffffff`; TIME as INTEGER microseconds; strings TEXT; BLOB, BINARY and
VARBINARY BLOB; JSON as normalised TEXT.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import math
import re
import struct
import uuid

from ..errors import SqlError
from .columns import (
    INTEGER_RANGES,
    SqlType,
)

_CONTEXT = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP)

_MOMENT = re.compile(
    r"\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?\s*"
)

_MOMENT_DIGITS = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)(?:\.(\d*))?)?\s*")

_SHORT_YEAR = re.compile(r"\s*\d{1,3}[-/.]")

_SPAN = re.compile(r"\s*(-?)(?:(\d+) +)?(\d+):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?\s*")

_SPAN_DIGITS = re.compile(r"\s*(-?)(\d{1,7}?)(\d{0,2}?)(\d{1,2})(?:\.(\d*))?\s*")

_STEPS = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)
"""Microseconds of the last digit, by the number of digits after the point."""


def raw_bytes(text: str) -> bytes | None:
    """The bytes of a text that came over the wire and is no UTF-8; None for any other."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
    return None


def parse_moment(text: str, digits: int = 6) -> datetime.datetime | None:
    """The datetime of a literal, rounded to *digits*; None where the text is none."""
    found = _MOMENT.fullmatch(text) or _MOMENT_DIGITS.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction = (found.group(7) or "").ljust(7, "0")
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second)
        micros = int(fraction[:6]) + (1 if fraction[6] >= "5" and digits == 6 else 0)
        step = _STEPS[digits]
        micros = (micros + step // 2) // step * step
        return moment + datetime.timedelta(microseconds=micros)
    except (ValueError, OverflowError):
        return None


def moment_text(moment: datetime.datetime) -> str:
    """The stored form: always 26 characters, so that texts compare as moments."""
    return (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d} {moment.hour:02d}:"
        f"{moment.minute:02d}:{moment.second:02d}.{moment.microsecond:06d}"
    )


def parse_span(text: str, digits: int = 6) -> int | None:
    """Microseconds of a TIME literal; None where the text is none."""
    found = _SPAN.fullmatch(text)
    if found is not None:
        sign, days, hours, minutes, seconds, fraction = found.groups()
    else:
        plain = _SPAN_DIGITS.fullmatch(text)
        if plain is None:
            moment = parse_moment(text)
            if moment is None:
                return None
            whole = (moment.hour * 60 + moment.minute) * 60 + moment.second
            return whole * 1_000_000 + moment.microsecond
        sign, fraction = plain.group(1), plain.group(5)
        number = (plain.group(2) + plain.group(3) + plain.group(4)).rjust(6, "0")
        days, hours, minutes, seconds = None, number[:-4], number[-4:-2], number[-2:]
    if int(minutes) > 59 or int(seconds or 0) > 59:
        return None
    whole = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + int(seconds or 0)
    step = _STEPS[digits]
    micros = int((fraction or "").ljust(6, "0")[:6])
    total = whole * 1_000_000 + (micros + step // 2) // step * step
    return -total if sign else total


def span_text(micros: int, digits: int = 0) -> str:
    sign = "-" if micros < 0 else ""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    text = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:06d}"[: len(text) + 1 + digits] if digits else text


def decimal_text(value: decimal.Decimal, scale: int) -> str:
    """*value* with exactly *scale* digits after the point, without an exponent."""
    return format(value.quantize(decimal.Decimal(1).scaleb(-scale), context=_CONTEXT), "f")


@functools.lru_cache(maxsize=4096)
def normal_json(text: str) -> str | None:
    """The server's form of a JSON document; None where the text is no JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return json_text(value)


def json_text(value: object) -> str:
    if isinstance(value, dict):
        inside = (f"{json_text(str(k))}: {json_text(v)}" for k, v in sorted(value.items()))
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        return float_text(value)
    return json.dumps(value, ensure_ascii=False)


Stored = int | float | str | bytes | None


def _range_error(kind: str, value: object) -> SqlError:
    return SqlError(1690, f"data out of range: data type {kind}, value '{value}'")


def _too_long(text: str, length: int, target: SqlType) -> SqlError:
    return SqlError.internal(
        f"Can't cast '{text}' to {target.kind.upper()} type. Src length {length} is larger than "
        f"Dest length {target.width}"
    )


def _bad_cast(kind: str, value: object) -> SqlError:
    return SqlError(20203, f"invalid argument cast to {kind}, bad value {value}")


def bad_number(text: str) -> SqlError:
    """Error of a text that is no floating point number."""
    shown = json.dumps(text, ensure_ascii=False)
    return SqlError(1105, f"strconv.ParseFloat: parsing {shown}: invalid syntax")


def _no_cast(source: SqlType, target: SqlType) -> SqlError:
    pair = f"[{source.kind.upper()} {target.kind.upper()}]"
    return SqlError(20203, f"invalid argument operator cast, bad value {pair}")


def _as_number(value: Stored, kind: str) -> decimal.Decimal:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        raise _range_error(kind, value)
    try:
        return decimal.Decimal(str(value).strip())
    except decimal.InvalidOperation:
        if kind in ("float", "double"):
            # 4.x stores as much of it as is a number.
            raise SqlError.not_emulated(f"a {kind} of the text {value!s}") from None
        raise _bad_cast(kind, value) from None


def as_text(value: Stored, source: SqlType) -> str:
    """The text that the server's cast to a string type gives."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if source.kind == "bool" and value is not None:
        return "1" if value else "0"
    if source.kind in ("datetime", "timestamp"):
        return str(value)[: 20 + source.scale if source.scale else 19]
    if source.kind == "time" and isinstance(value, int):
        return span_text(value, source.scale)
    if source.kind == "bigint" and isinstance(value, str):
        return str(int(value))
    if isinstance(value, float):
        return float_text(value)
    return str(value)


def value_text(value: Stored) -> str:
    """A stored value as text, without knowing its type."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return float_text(value) if isinstance(value, float) else str(value)


def float_text(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def vector_text(text: str, kind: str) -> str:
    """A vector as the server writes it: each number as short as its bits allow.

    >>> vector_text("[0.10, -2.0,1e3]", "vecf32")
    '[0.1, -2, 1000]'
    """
    shortest = []
    for number in struct.unpack(*vector_bytes(text, kind)):
        digits = (f"{number:.{count}g}" for count in range(1, 18))
        short = next(d for d in digits if _same_bits(float(d), number, kind))
        written = f"{decimal.Decimal(short):f}"
        shortest.append(written.rstrip("0").rstrip(".") if "." in written else written)
    return f"[{', '.join(shortest)}]"


def vector_bytes(text: str, kind: str) -> tuple[str, bytes]:
    """The format of a vector's numbers, and their bytes."""
    try:
        numbers = [
            float(part) for part in text.strip().removeprefix("[").removesuffix("]").split(",")
        ]
        form = f"<{len(numbers)}{'f' if kind == 'vecf32' else 'd'}"
        return form, struct.pack(form, *numbers)
    except (ValueError, OverflowError):
        raise SqlError.not_emulated(f"the vector {text}") from None


def _same_bits(one: float, other: float, kind: str) -> bool:
    form = "<f" if kind == "vecf32" else "<d"
    try:
        return struct.pack(form, one) == struct.pack(form, other)
    except OverflowError:
        return False


def store(value: Stored, target: SqlType, source: SqlType, name: str = "", row: int = 1) -> Stored:
    """*value*, a stored value of type *source*, as a stored value of column type *target*."""
    if value is None:
        return None
    kind = target.kind
    if kind in INTEGER_RANGES:
        return _store_integer(value, target, source)
    if target.is_vector:
        return vector_text(as_text(value, source), kind)
    if kind in ("varchar", "char", "text", "datalink"):
        if isinstance(value, float):
            raise SqlError.not_emulated("a number with an exponent as a text")
        text = as_text(value, source)
        if kind in ("varchar", "char") and len(text) > target.width:
            if source.is_temporal:
                raise SqlError.not_emulated(f"a {source.kind} that is too long")
            raise _too_long(text, len(text), target)
        return text
    if kind == "decimal":
        return _store_decimal(value, target, source)
    if kind in ("float", "double"):
        if source.is_temporal:
            raise _no_cast(source, target)
        number = _as_number(value, kind)
        result = float(number)
        if target.width:
            if abs(number) >= decimal.Decimal(10) ** (target.width - target.scale):
                raise _range_error("float", value)
            result = float(round(number, target.scale))
        return result
    if kind == "bool":
        return _store_bool(value, source)
    if kind in ("date", "datetime", "timestamp"):
        return _store_moment(value, target, source)
    if kind == "time":
        if source.kind in ("datetime", "timestamp"):
            return parse_span(str(value)[11:], target.scale)
        if source.kind == "time" and isinstance(value, int):
            step = _STEPS[target.scale]
            return (value + step // 2) // step * step
        micros = parse_span(as_text(value, source), target.scale)
        if micros is None:
            raise SqlError(20301, f"invalid input: invalid time value {as_text(value, source)}")
        return micros
    if kind in ("blob", "binary", "varbinary"):
        data = value if isinstance(value, bytes) else as_text(value, source).encode()
        if kind == "varbinary" and len(data) > target.width:
            raise _too_long(data.decode("utf-8", "replace"), len(data), target)
        return data.ljust(target.width, b"\0") if kind == "binary" else data
    if kind == "json":
        text = as_text(value, source)
        if source.kind == "json":
            return text
        if source.kind == "bool":
            return "true" if value else "false"
        if not text:
            raise SqlError.not_emulated("an empty text as JSON")
        document = normal_json(text)
        if document is None:
            raise SqlError(20301, f"invalid input: json text {text}")
        return document
    if kind == "enum":
        if source.is_numeric and not isinstance(value, int):
            raise SqlError.not_emulated(f"the ENUM {value!s}")
        return _store_enum(value, target)
    if kind == "set":
        return _store_set(value, target)
    if kind == "year":
        return _store_year(value, source)
    if kind == "uuid":
        text = as_text(value, source)
        try:
            return str(uuid.UUID(text))
        except ValueError:
            wrong = "format" if len(text) in (32, 36) else f"length: {len(text)}"
            raise SqlError(1105, f"invalid UUID {wrong}") from None
    if kind == "bit":
        bits = _bits(value, source)
        if bits < 0:
            raise SqlError.not_emulated("a BIT below zero")
        if not bits < 1 << target.width:
            raise SqlError(
                20301, f"invalid input: data too long, type width = {target.width}, val = {bits:b}"
            )
        return _whole(bits)
    return value


def _bits(value: Stored, source: SqlType) -> int:
    """The number of a BIT: a text is its bytes."""
    data = value.encode() if source.is_text and isinstance(value, str) else value
    if isinstance(data, bytes):
        return int.from_bytes(data, "big")
    return int(_as_number(data, "bit").to_integral_value(decimal.ROUND_HALF_UP))


def _store_integer(value: Stored, target: SqlType, source: SqlType) -> int | str:
    _, top, label = INTEGER_RANGES[target.kind]
    if target.unsigned:
        low, high, label = 0, top, "u" + label
    else:
        low, high = -(top // 2) - 1, top // 2
    if isinstance(value, int):
        number = value
    elif isinstance(value, bytes):
        number = int.from_bytes(value, "big")
    elif source.is_temporal:
        raise _no_cast(source, target)
    else:
        word = label if target.unsigned else "int"
        parsed = _as_number(value, word)
        if isinstance(value, str) and source.kind != "decimal" and parsed != parsed.to_integral():
            raise _bad_cast(word, value)
        number = int(parsed.to_integral_value(decimal.ROUND_HALF_UP))
        if target.unsigned and number < 0 and source.is_text:
            raise _bad_cast(word, value)
    if not low <= number <= high:
        raise _range_error(label, value)
    return _whole(number)


def _whole(number: int) -> int | str:
    """A number as it is stored: a text of 20 digits where sqlite's integers are too short."""
    return f"{number:020d}" if number > 9223372036854775807 else number


def _store_decimal(value: Stored, target: SqlType, source: SqlType) -> str:
    bits = 64 if target.width <= 18 else 128 if target.width <= 38 else 256
    size = f"Decimal{bits}"
    if source.kind == "bool":
        raise SqlError(20203, f"invalid argument operator cast, bad value [BOOL DECIMAL{bits}]")
    if source.is_temporal:
        raise SqlError.not_emulated(f"a {source.kind} as a decimal")
    text = as_text(value, source)
    try:
        number = decimal.Decimal(text.strip())
    except decimal.InvalidOperation:
        raise SqlError(
            20301,
            f"invalid input: {text} beyond the range, can't be converted to "
            f"{size}({target.width},{target.scale}).",
        ) from None
    result = decimal_text(number, target.scale)
    if source.is_integer:
        return result  # the server does not look at the size of integers here
    if abs(decimal.Decimal(result)) >= decimal.Decimal(10) ** (target.width - target.scale):
        raise SqlError(
            20301,
            f"invalid input: {text} beyond the range, can't be converted to "
            f"{size}({target.width},{target.scale}).",
        )
    return result


def _store_bool(value: Stored, source: SqlType) -> int:
    """Store a BOOL; to the server 2 is false, and -1 true."""
    if isinstance(value, bytes) or (isinstance(value, int) and value not in (0, 1)):
        raise SqlError.not_emulated(f"the BOOL {value!r}")
    if isinstance(value, int):
        return value
    if isinstance(value, float) or source.kind == "decimal":
        return int(float(str(value)) != 0)
    return int(str(value).lower() == "true")


def _store_moment(value: Stored, target: SqlType, source: SqlType) -> str:
    text = as_text(value, source) if source.kind not in ("datetime", "timestamp") else str(value)
    if source.is_numeric and source.kind != "decimal":
        raise _no_cast(source, target)
    if source.kind == "time":
        raise SqlError.not_emulated(f"a TIME as a {target.kind}")
    if _SHORT_YEAR.match(text):
        raise SqlError.not_emulated(f"a year of less than four digits, {text}")
    moment = parse_moment(text, 6 if target.kind == "date" else target.scale)
    if moment is None and target.kind == "date":
        raise SqlError(20203, f"invalid argument parsedate, bad value {text}")
    if moment is None and target.kind == "timestamp":
        raise SqlError(20203, f"invalid argument parse timestamp, bad value {text}")
    if moment is None:
        raise SqlError(20301, f"invalid input: invalid {target.kind} value {text}")
    return moment_text(moment)[:10] if target.kind == "date" else moment_text(moment)


def _store_set(value: Stored, target: SqlType) -> str:
    """Store a SET: members in the order of the type; a number is the sum of their places."""
    if isinstance(value, int):
        bits, most = value, (1 << len(target.values)) - 1
        if not 0 <= bits <= most:
            raise SqlError.internal(
                f"convert to MySQL set failed: value {value} overflow set boundary {most}"
            )
        return ",".join(v for place, v in enumerate(target.values) if bits >> place & 1)
    text = value.decode() if isinstance(value, bytes) else str(value)
    known = {member.lower(): member for member in target.values}
    given = {item.lower(): item for item in text.split(",")} if text else {}
    for lower, item in given.items():
        if lower not in known:
            raise SqlError.internal(
                f"convert to MySQL set failed: item {item} is not in set [{','.join(known)}]"
            )
    return ",".join(member for lower, member in known.items() if lower in given)


def _store_year(value: Stored, source: SqlType) -> int | None:
    """Store a YEAR: two digits are of this century up to 69; an invalid year is NULL."""
    text = as_text(value, source).strip()
    if not text.isdigit():
        return None
    year = int(text)
    if year == 0 and not source.is_text:
        return 0
    if year < 100:
        return year + (2000 if year < 70 else 1900)
    return year if 1901 <= year <= 2155 else None


def _store_enum(value: Stored, target: SqlType) -> str:
    if isinstance(value, int):
        if 1 <= value <= len(target.values):
            return target.values[value - 1]
        raise SqlError.internal(
            f"convert to MySQL enum failed: number {value} overflow enum boundary "
            f"[1, {len(target.values)}]"
        )
    text = value.decode() if isinstance(value, bytes) else str(value)
    for known in target.values:
        if known.lower() == text.lower():
            return known
    raise SqlError.internal(
        f"convert to MySQL enum failed: item {text} is not in enum [{' '.join(target.values)}]"
    )


def load(value: Stored, kind: SqlType) -> object:
    """A stored value as the Python value the session layer sends (TIMESTAMP already local)."""
    if value is None:
        return None
    name = kind.kind
    if name == "decimal":
        return decimal.Decimal(str(value))
    if name in ("datetime", "timestamp"):
        return datetime.datetime.fromisoformat(str(value)[:26])
    if name == "date":
        return datetime.date.fromisoformat(str(value)[:10])
    if name == "time" and isinstance(value, int):
        return datetime.timedelta(microseconds=value)
    if name == "bool":
        return "true" if value else "false"
    if name == "bit" and isinstance(value, int | str):
        return int(value).to_bytes(max(1, (kind.width + 7) // 8), "big")
    if name in ("float", "double") and isinstance(value, (int, float)):
        return float(value)
    if kind.is_text and isinstance(value, (int, float)):
        return float_text(value) if isinstance(value, float) else str(value)
    return value
