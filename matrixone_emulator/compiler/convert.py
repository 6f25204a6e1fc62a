"""Conversions between types in sqlite text: the server's implicit casts."""

from __future__ import annotations

import decimal
from collections.abc import Iterable

from ..errors import SqlError
from ..parsing.lexer import quote_text
from ..types.columns import ANY, BIGINT, BLOB, BOOL, DATETIME, DOUBLE, UBIGINT, SqlType, varchar
from ..types.values import moment_text, parse_moment, parse_span, raw_bytes
from .casts import no_cast
from .scope import Value


def text_value(text: str) -> Value:
    raw = raw_bytes(text)
    if raw is not None:
        return Value(f"x'{raw.hex()}'", varchar(len(raw)))
    return Value(quote_text(text), varchar(max(1, len(text))), text)


def decimal_type(text: str) -> SqlType:
    digits, _, fraction = text.lstrip("-").partition(".")
    width = len(digits.lstrip("0")) + len(fraction)
    return SqlType("decimal", 18 if width <= 18 else 38, len(fraction))


def convert(value: Value, target: SqlType) -> Value:
    """Convert *value* to a stored value of kind *target*; lengths are not checked here."""
    kind = target.kind
    source = value.type.kind
    sql = value.sql
    if source == "any" or kind in ("any", source):
        return Value(sql, target if source == "any" else value.type, value.literal)
    if kind == "decimal":
        if value.type.is_integer or source == "bool":
            found = f"CAST({sql} AS TEXT)"
            if target.scale:
                return Value(f"mo_round_decimal({found}, {target.scale})", target)
            return Value(found, SqlType("decimal", 20, 0))
        return Value(f"mo_decimal({sql})", target)
    if kind in ("double", "float"):
        if value.type.is_text or value.type.is_bytes:
            return Value(f"mo_number({sql})", target)
        return Value(f"CAST({sql} AS REAL)", target)
    if target.is_integer or kind == "bool":
        if value.type.is_integer or source == "bool":
            return Value(sql, target, value.literal)
        if value.type.is_text and target.is_integer:
            return Value(f"mo_strict_integer({sql})", target)
        return Value(f"mo_integer({sql})" if target.is_integer else f"mo_truth({sql})", target)
    if kind in ("datetime", "timestamp", "date"):
        return _moment(value, target)
    if kind == "time":
        if source in ("datetime", "timestamp"):
            return Value(f"mo_span(substr({_moment(value, DATETIME).sql}, 12))", target)
        if isinstance(value.literal, str):
            micros = parse_span(value.literal)
            if micros is not None:
                return Value(str(micros), target)
        return Value(f"mo_span({as_text(value).sql})", target)
    if target.is_bytes:
        return Value(f"CAST({as_text(value).sql} AS BLOB)", target)
    if kind == "json":
        return Value(f"mo_json({as_text(value).sql})", target)
    return Value(as_text(value).sql, target, value.literal)


def _moment(value: Value, target: SqlType) -> Value:
    source, sql = value.type.kind, value.sql
    if source == "timestamp":
        local = f"mo_local({sql})"
        if target.kind == "date":
            return Value(f"substr({local}, 1, 10)", target)
        return Value(local, SqlType("datetime", 0, value.type.scale))
    if source == "datetime":
        if target.kind == "date":
            return Value(f"substr({sql}, 1, 10)", target)
        return Value(f"mo_utc({sql})", SqlType("timestamp", 0, value.type.scale))
    if source == "date":
        wide = f"({sql} || ' 00:00:00.000000')"
        return Value(f"mo_utc({wide})" if target.kind == "timestamp" else wide, target)
    if isinstance(value.literal, str):
        moment = parse_moment(value.literal)
        if moment is None:
            raise SqlError(20301, f"invalid input: invalid {target.kind} value {value.literal}")
        found = quote_text(moment_text(moment))
    else:
        found = f"mo_datetime({as_text(value).sql})"
    if target.kind == "date":
        return Value(f"substr({found}, 1, 10)", target)
    wanted = SqlType(target.kind, 0, 6)
    return Value(f"mo_utc({found})" if target.kind == "timestamp" else found, wanted)


def as_text(value: Value) -> Value:
    """The server's cast to a string."""
    kind, sql = value.type.kind, value.sql
    if kind in ("any", "decimal") or value.type.is_text:
        width = value.type.width if kind in ("char", "varchar") else 65535
        return Value(sql, varchar(width), value.literal)
    if kind in ("float", "double"):
        return Value(f"mo_float_text({sql})", varchar(40))
    if kind == "bool":
        return Value(f"CAST({sql} AS TEXT)", varchar(5))
    if kind == "timestamp":
        sql = f"mo_local({sql})"
    if kind in ("timestamp", "datetime"):
        length = 20 + value.type.scale if value.type.scale else 19
        return Value(f"substr({sql}, 1, {length})", varchar(26))
    if kind == "time":
        return Value(f"mo_span_text({sql}, {value.type.scale})", varchar(20))
    return Value(f"CAST({sql} AS TEXT)", varchar(max(1, value.type.width or 20)))


def truth(value: Value) -> str:
    """Compile *value* as a condition."""
    if value.type.kind == "decimal" or value.type.is_temporal:
        raise no_cast(value.type, BOOL)
    if value.type.kind == "json":
        raise SqlError.not_emulated("JSON as a condition, which is refused in most places")
    if value.type.is_text or value.type.is_bytes:
        return f"mo_truth({value.sql})"
    return value.sql


def common_type(types: Iterable[SqlType]) -> SqlType:
    """The type of CASE, IF, COALESCE and UNION over these."""
    known = [kind for kind in types if kind.kind != "any"]
    if not known:
        return ANY
    kinds = {kind.kind for kind in known}
    first = known[0]
    if len(kinds) == 1:
        unsigned = all(kind.unsigned for kind in known)
        return SqlType(
            first.kind,
            max(kind.width for kind in known),
            max(kind.scale for kind in known),
            unsigned,
            first.values,
        )
    if all(kind.is_numeric for kind in known):
        if kinds & {"float", "double"}:
            return DOUBLE
        if "decimal" in kinds:
            return SqlType("decimal", 38, max(kind.scale for kind in known))
        return max(known, key=lambda kind: _RANK.get(kind.kind, 0))
    if all(kind.is_temporal and kind.kind != "time" for kind in known):
        return SqlType("datetime", 0, max(kind.scale for kind in known))
    if any(kind.is_bytes for kind in known):
        return BLOB
    if "text" in kinds or "json" in kinds or "blob" in kinds:
        return SqlType("text")
    return varchar(max(kind.width for kind in known) or 65535)


_RANK = {"bool": 0, "tinyint": 1, "smallint": 2, "int": 3, "bigint": 4}


def comparable(left: Value, right: Value) -> tuple[str, str, str]:
    """Convert both sides to one form; return them with the collation to compare them by."""
    kind = comparison_type(left, right)
    if kind is None:
        return left.sql, right.sql, ""
    collation = " COLLATE mo_decimal" if kind.kind == "decimal" else ""
    return convert(left, kind).sql, convert(right, kind).sql, collation


def comparison_type(left: Value, right: Value) -> SqlType | None:
    """The type to which both sides are converted; None if they compare as they are."""
    a, b = left.type, right.type
    if "any" in (a.kind, b.kind):
        return SqlType("decimal") if "decimal" in (a.kind, b.kind) else None
    if a.is_temporal or b.is_temporal:
        if a.kind == b.kind:
            return None
        if "time" in (a.kind, b.kind):
            return SqlType("time")
        return DATETIME
    if a.is_bytes != b.is_bytes and (a.is_text or b.is_text):
        return BLOB
    if a.is_numeric and b.is_numeric:
        if "decimal" not in (a.kind, b.kind):
            return None
        return DOUBLE if {a.kind, b.kind} & {"float", "double"} else SqlType("decimal")
    if a.is_numeric != b.is_numeric:
        other = a if a.is_numeric else b
        if other.kind == "bool":
            return BOOL
        return BIGINT if other.is_integer else DOUBLE
    return None


def number_value(text: str) -> Value:
    """A numeric literal: BIGINT, DECIMAL with a point, DOUBLE with an exponent."""
    if text.isdigit():
        number = int(text)
        if number <= 9223372036854775807:
            return Value(text.lstrip("0") or "0", BIGINT, number)
        if number < 1 << 64:
            return Value(quote_text(f"{number:020d}"), UBIGINT)
        return Value(quote_text(text), SqlType("decimal", 38, 0), decimal.Decimal(text))
    if "e" in text.lower():
        return Value(repr(float(text)), DOUBLE, float(text))
    plain = format(decimal.Decimal(text), "f")
    return Value(quote_text(plain), decimal_type(plain), decimal.Decimal(plain))
