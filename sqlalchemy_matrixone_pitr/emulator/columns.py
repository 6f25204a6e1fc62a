"""SQL types: what the server declares, what sqlite holds and what goes over the wire.

Stored forms: integers and booleans INTEGER; FLOAT and DOUBLE REAL; DECIMAL as TEXT of its full
scale (collation `mo_decimal`); DATE `YYYY-MM-DD`; DATETIME, and TIMESTAMP in UTC, as
`YYYY-MM-DD HH:MM:SS.ffffff`; TIME as INTEGER microseconds; strings TEXT; BLOB, BINARY and
VARBINARY BLOB; JSON as normalised TEXT.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import json
import math
import re
import uuid
from dataclasses import dataclass

from .errors import SqlError

UTF8 = 45
BINARY = 63

_CONTEXT = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP)


class ColumnType(enum.Enum):
    """Type byte and character set of a column definition packet."""

    DECIMAL = ("decimal", 0, BINARY)
    TINY = ("tiny", 1, BINARY)
    SHORT = ("short", 2, BINARY)
    LONG = ("long", 3, BINARY)
    FLOAT = ("float", 4, BINARY)
    DOUBLE = ("double", 5, BINARY)
    NULL = ("null", 6, BINARY)
    TIMESTAMP = ("timestamp", 7, BINARY)
    LONGLONG = ("longlong", 8, BINARY)
    DATE = ("date", 10, BINARY)
    TIME = ("time", 11, BINARY)
    DATETIME = ("datetime", 12, BINARY)
    BOOL = ("bool", 15, UTF8)
    VARCHAR = ("varchar", 15, UTF8)
    VARBINARY = ("varbinary", 15, BINARY)
    BIT = ("bit", 16, BINARY)
    UUID = ("uuid", 243, BINARY)
    JSON = ("json", 245, BINARY)
    TEXT = ("text", 252, UTF8)
    BLOB = ("blob", 252, BINARY)
    VAR_STRING = ("var_string", 253, UTF8)
    STRING = ("string", 254, UTF8)

    def __init__(self, label: str, code: int, charset: int) -> None:
        self.label = label
        self.code = code
        self.charset = charset


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result: its label as the server gives it, and its wire type."""

    name: str
    type: ColumnType
    length: int = 0
    decimals: int = 0
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class SqlType:
    """A declared or derived type; *kind* is the server's word in small letters."""

    kind: str
    width: int = 0
    scale: int = 0
    unsigned: bool = False
    values: tuple[str, ...] = ()

    @property
    def is_integer(self) -> bool:
        return self.kind in INTEGER_RANGES

    @property
    def is_numeric(self) -> bool:
        return self.kind in INTEGER_RANGES or self.kind in ("decimal", "float", "double", "bool")

    @property
    def is_text(self) -> bool:
        return self.kind in ("char", "varchar", "text", "enum", "uuid", "json", "datalink")

    @property
    def is_bytes(self) -> bool:
        return self.kind in ("binary", "varbinary", "blob")

    @property
    def is_temporal(self) -> bool:
        return self.kind in ("date", "datetime", "timestamp", "time")

    @property
    def text(self) -> str:
        """As SHOW CREATE TABLE and SHOW COLUMNS write it."""
        kind = self.kind
        if kind in ("char", "varchar", "binary", "varbinary", "bit", "vecf32", "vecf64"):
            return f"{kind}({self.width})"
        if kind == "decimal":
            return f"decimal({self.width},{self.scale})"
        if kind in ("datetime", "timestamp", "time") and self.scale:
            return f"{kind}({self.scale})"
        if kind in ("float", "double") and self.width:
            return f"{kind}({self.width},{self.scale})"
        if kind == "enum":
            return "enum({})".format(
                ",".join("'" + v.replace("'", "''") + "'" for v in self.values)
            )
        return f"{kind} unsigned" if self.unsigned else kind

    @property
    def column_type(self) -> ColumnType:
        return _WIRE.get(self.kind, ColumnType.VAR_STRING)

    def column(self, name: str) -> Column:
        decimals = self.scale if self.kind in ("decimal", "datetime", "timestamp", "time") else 0
        return Column(name, self.column_type, self.width, decimals, self.unsigned)

    @property
    def affinity(self) -> str:
        """The sqlite column type that leaves stored values as they are."""
        if self.kind == "bigint" and self.unsigned:
            return "BLOB"  # what does not fit into sqlite's integers is text of 20 digits
        if self.kind in INTEGER_RANGES or self.kind in ("bool", "bit", "time"):
            return "INTEGER"
        if self.kind in ("float", "double"):
            return "REAL"
        if self.kind == "decimal":
            return "TEXT COLLATE mo_decimal"
        return "BLOB" if self.is_bytes else "TEXT"


INTEGER_RANGES: dict[str, tuple[int, int, str]] = {
    "tinyint": (8, 255, "int8"),
    "smallint": (16, 65535, "int16"),
    "int": (32, 4294967295, "int32"),
    "bigint": (64, 18446744073709551615, "int64"),
}

_WIRE = {
    "bool": ColumnType.BOOL,
    "bit": ColumnType.BIT,
    "tinyint": ColumnType.TINY,
    "smallint": ColumnType.SHORT,
    "int": ColumnType.LONG,
    "bigint": ColumnType.LONGLONG,
    "float": ColumnType.FLOAT,
    "double": ColumnType.DOUBLE,
    "decimal": ColumnType.DECIMAL,
    "date": ColumnType.DATE,
    "time": ColumnType.TIME,
    "datetime": ColumnType.DATETIME,
    "timestamp": ColumnType.TIMESTAMP,
    "char": ColumnType.STRING,
    "varchar": ColumnType.VAR_STRING,
    "text": ColumnType.TEXT,
    "blob": ColumnType.BLOB,
    "binary": ColumnType.VARBINARY,
    "varbinary": ColumnType.VARBINARY,
    "json": ColumnType.JSON,
    "uuid": ColumnType.UUID,
    "enum": ColumnType.VAR_STRING,
    "label": ColumnType.VARCHAR,
    "vecf32": ColumnType.VARCHAR,
    "vecf64": ColumnType.VARCHAR,
    "any": ColumnType.TEXT,
}

ANY = SqlType("any")
BOOL = SqlType("bool")
INT = SqlType("int")
BIGINT = SqlType("bigint")
UBIGINT = SqlType("bigint", unsigned=True)
DOUBLE = SqlType("double")
DATE = SqlType("date")
TIME = SqlType("time")
DATETIME = SqlType("datetime")
TIMESTAMP = SqlType("timestamp")
TEXT = SqlType("text")
BLOB = SqlType("blob")
JSON = SqlType("json")
VARCHAR = SqlType("varchar", 65535)


def varchar(width: int) -> SqlType:
    return SqlType("varchar", width)


_NAMES = {
    "boolean": "bool",
    "integer": "int",
    "mediumint": "int",
    "int1": "tinyint",
    "int2": "smallint",
    "int3": "int",
    "int4": "int",
    "int8": "bigint",
    "numeric": "decimal",
    "dec": "decimal",
    "fixed": "decimal",
    "real": "double",
    "tinytext": "text",
    "mediumtext": "text",
    "longtext": "text",
    "tinyblob": "blob",
    "mediumblob": "blob",
    "longblob": "blob",
    "nchar": "char",
    "nvarchar": "varchar",
    "character": "char",
}


def make_type(
    name: str,
    arguments: tuple[int, ...] = (),
    *,
    unsigned: bool = False,
    values: tuple[str, ...] = (),
) -> SqlType | None:
    """The type that `name(arguments) [UNSIGNED]` declares; None for a name unknown here."""
    kind = _NAMES.get(name.lower(), name.lower())
    first = arguments[0] if arguments else None
    if kind == "tinyint" and first == 1 and not unsigned:
        return SqlType("tinyint")
    if kind in INTEGER_RANGES:
        return SqlType(kind, unsigned=unsigned)
    if kind in ("bool", "date", "json", "uuid", "text", "blob", "datalink"):
        return SqlType(kind)
    if kind == "bit":
        return SqlType("bit", 1 if first is None else first)
    if kind == "decimal":
        width = 38 if first is None else first
        return SqlType("decimal", width, arguments[1] if len(arguments) > 1 else 0)
    if kind in ("float", "double"):
        if kind == "float" and len(arguments) == 1:
            return SqlType("double" if arguments[0] > 24 else "float")
        if len(arguments) > 1:
            return SqlType(kind, arguments[0], arguments[1])
        return SqlType(kind)
    if kind in ("char", "binary"):
        return SqlType(kind, 1 if first is None else first)
    if kind in ("varchar", "varbinary"):
        return SqlType(kind, 65535 if first is None else first)
    if kind in ("datetime", "timestamp", "time"):
        return SqlType(kind, 0, first or 0)
    if kind == "enum":
        return SqlType("enum", 0, 0, values=values)
    if kind in ("vecf32", "vecf64"):
        return SqlType(kind, 65535 if first is None else first)
    return None


# Texts of moments ------------------------------------------------------------------------------

_MOMENT = re.compile(
    r"\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?\s*"
)
_MOMENT_DIGITS = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)(?:\.(\d*))?)?\s*")
_SPAN = re.compile(r"\s*(-?)(?:(\d+) +)?(\d+):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?\s*")
_SPAN_DIGITS = re.compile(r"\s*(-?)(\d{1,7}?)(\d{0,2}?)(\d{1,2})(?:\.(\d*))?\s*")


_STEPS = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)
"""Microseconds of the last digit, by the number of digits after the point."""


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


# Values into storage ---------------------------------------------------------------------------

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


def _as_number(value: Stored, kind: str) -> decimal.Decimal:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        raise _range_error(kind, value)
    try:
        return decimal.Decimal(str(value).strip())
    except decimal.InvalidOperation:
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


def store(value: Stored, target: SqlType, source: SqlType, name: str = "", row: int = 1) -> Stored:
    """*value*, a stored value of type *source*, as a stored value of column type *target*."""
    if value is None:
        return None
    kind = target.kind
    if kind in INTEGER_RANGES:
        return _store_integer(value, target, source)
    if kind in ("varchar", "char", "text", "datalink", "vecf32", "vecf64"):
        text = as_text(value, source)
        if kind in ("varchar", "char") and len(text) > target.width:
            raise _too_long(text, len(text), target)
        return text
    if kind == "decimal":
        return _store_decimal(value, target, source)
    if kind in ("float", "double"):
        number = _as_number(value, kind)
        result = float(number)
        if target.width:
            if abs(number) >= decimal.Decimal(10) ** (target.width - target.scale):
                raise _range_error("float", value)
            result = float(round(number, target.scale))
        return result
    if kind == "bool":
        return _store_bool(value)
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
        document = normal_json(text)
        if document is None:
            raise SqlError(20301, f"invalid input: json text {text}")
        return document
    if kind == "enum":
        return _store_enum(value, target)
    if kind == "uuid":
        try:
            return str(uuid.UUID(as_text(value, source)))
        except ValueError:
            raise SqlError(
                20301, f"invalid input: {as_text(value, source)} is not a uuid"
            ) from None
    if kind == "bit":
        bits = int.from_bytes(value, "big") if isinstance(value, bytes) else _bits(value)
        if not 0 <= bits < 1 << target.width:
            raise SqlError(
                20301, f"invalid input: data too long, type width = {target.width}, val = {bits:b}"
            )
        return bits
    return value


def _bits(value: Stored) -> int:
    return int(_as_number(value, "bit"))


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
        raise SqlError(
            20203,
            f"invalid argument operator cast, bad value "
            f"[{source.kind.upper()} {target.kind.upper()}]",
        )
    else:
        word = label if target.unsigned else "int"
        parsed = _as_number(value, word)
        if isinstance(value, str) and source.kind != "decimal" and parsed != parsed.to_integral():
            raise _bad_cast(word, value)
        number = int(parsed.to_integral_value(decimal.ROUND_HALF_UP))
    if not low <= number <= high:
        raise _range_error(label, value)
    if number > 9223372036854775807:
        return f"{number:020d}"
    return number


def _store_decimal(value: Stored, target: SqlType, source: SqlType) -> str:
    size = "Decimal64" if target.width <= 18 else "Decimal128"
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


def _store_bool(value: Stored) -> int:
    if isinstance(value, (int, float)):
        return int(value != 0)
    text = value.decode() if isinstance(value, bytes) else str(value)
    return int(text.strip().lower() == "true")


def _store_moment(value: Stored, target: SqlType, source: SqlType) -> str:
    text = as_text(value, source) if source.kind not in ("datetime", "timestamp") else str(value)
    if source.is_numeric and source.kind != "decimal":
        raise SqlError(
            20203,
            f"invalid argument operator cast, bad value "
            f"[{source.kind.upper()} {target.kind.upper()}]",
        )
    moment = parse_moment(text, 6 if target.kind == "date" else target.scale)
    if moment is None and target.kind == "date":
        raise SqlError(20203, f"invalid argument parsedate, bad value {text}")
    if moment is None:
        raise SqlError(20301, f"invalid input: invalid {target.kind} value {text}")
    return moment_text(moment)[:10] if target.kind == "date" else moment_text(moment)


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


# Values out of storage -------------------------------------------------------------------------


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
    if name == "bit" and isinstance(value, int):
        return value.to_bytes(max(1, (kind.width + 7) // 8), "big")
    if name in ("float", "double") and isinstance(value, (int, float)):
        return float(value)
    if kind.is_text and isinstance(value, (int, float)):
        return float_text(value) if isinstance(value, float) else str(value)
    return value
