"""CAST and CONVERT: explicit conversions, which some versions refuse and others approximate.

What values become where a column takes them is `columns.store`, and what they become beside others
in an expression is `convert`; the server has rules of its own for each.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
from collections.abc import Iterable

from sqlglot import exp

from ..errors import SqlError
from ..parsing.columns import check_arguments, check_width
from ..parsing.lexer import quote_text, syntax_error, tokens
from ..parsing.redact import unsupported
from ..types.columns import DOUBLE, INTEGER_RANGES, SqlType, make_type, varchar
from ..types.values import (
    Stored,
    as_text,
    bad_number,
    decimal_text,
    float_text,
    parse_moment,
    store,
)
from ..versions.rules import Rules
from .scope import Value

_WHOLE = re.compile(r"\s*[+-]?\d+\s*")
_LEADING_WHOLE = re.compile(r"\s*([+-]?\d+)")
_LEADING_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NAMES = {
    "ubigint": "bigint",
    "udecimal": "decimal",
    "timestamptz": "timestamp",
    "mediumint": "int",
    "longtext": "text",
}
_EPOCH = datetime.datetime(1970, 1, 1)


def cast_value(statement: str, value: Value, node: exp.DataType, rules: Rules) -> Value:
    """Cast *value* to the type of *node*."""
    kind = _target(statement, node, rules)
    if value.type.kind == "any":
        return Value(value.sql, kind)
    source, sql = value.type, value.sql
    _refuse(source, kind, rules)
    if source.kind == "timestamp":
        # What the session sees of it.
        source, sql = SqlType("datetime", 0, source.scale), f"mo_local({sql})"
    found = f"mo_cast({sql}, {quote_text(_packed(source))}, {quote_text(_packed(kind))})"
    if kind.kind == "timestamp":
        found = f"mo_utc({found})"
    if kind.kind == "char" and not node.expressions:
        kind = varchar(65535)
    return Value(found, kind)


def _target(statement: str, node: exp.DataType, rules: Rules) -> SqlType:
    name = str(node.this.value).lower()
    unsigned = name.startswith("u") and name != "uuid"
    arguments = tuple(int(e.name) for e in node.expressions if e.name.isdigit())
    plain = _NAMES.get(name, name.lstrip("u") if unsigned else name)
    what = check_arguments(plain, list(arguments), rules)
    if what:
        raise _misplaced(statement, arguments, what)
    if plain == "char" and not arguments:
        return SqlType("char", 65535)
    if plain == "year" and not rules.year_and_set_types:
        raise SqlError(20102, "data type: 'year' is not yet implemented")
    found = make_type(plain, arguments)
    if found is None:
        raise unsupported(statement)
    if found.kind == "binary" and not arguments:
        return SqlType("varbinary", 65535)
    if arguments:
        check_width(found)
    return SqlType(found.kind, found.width, found.scale, unsigned and found.is_integer)


def _misplaced(statement: str, arguments: tuple[int, ...], what: str) -> SqlError:
    """Return the 1064 behind the numbers of the type, whose place the tree does not know."""
    found = tokens(statement)
    texts = [token.text for token in found]
    wanted = ["(", *",".join(map(str, arguments)).replace(",", " , ").split()]
    for at in range(len(found) - len(wanted)):
        if texts[at : at + len(wanted)] == wanted:
            return syntax_error(statement, found, found[at + len(wanted)].start, what)
    return unsupported(statement)


def _packed(kind: SqlType) -> str:
    return f"{kind.kind} {kind.width} {kind.scale} {int(kind.unsigned)}"


def _unpacked(text: str) -> SqlType:
    kind, width, scale, unsigned = text.split()
    return SqlType(kind, int(width), int(scale), unsigned == "1")


def _label(kind: SqlType) -> str:
    if kind.kind == "decimal":
        bits = 64 if kind.width <= 18 else 128 if kind.width <= 38 else 256
        return f"DECIMAL{bits}"
    return kind.kind.upper() + (" UNSIGNED" if kind.unsigned else "")


def json_as_number(value: Value, other: SqlType) -> Value:
    """Compile JSON as the operand of a number."""
    return implicit_cast(value, SqlType("bigint") if other.is_integer else SqlType("double"))


def implicit_cast(value: Value, kind: SqlType) -> Value:
    """Compile a cast that the statement does not write."""
    packed = f"{quote_text(_packed(value.type))}, {quote_text(_packed(kind))}"
    return Value(f"mo_cast({value.sql}, {packed})", kind)


def no_operator(operator: str, *kinds: SqlType) -> SqlError:
    """Error of an operator that does not take these types."""
    labels = " ".join(map(_label, kinds))
    return SqlError(20203, f"invalid argument operator {operator}, bad value [{labels}]")


def wrong_arguments(function: str, kinds: Iterable[SqlType]) -> SqlError:
    """Error of a function that does not take so many arguments, or none of these types."""
    labels = " ".join(map(_label, kinds))
    return SqlError(20203, f"invalid argument function {function}, bad value [{labels}]")


def no_aggregate(name: str, kinds: Iterable[SqlType]) -> SqlError:
    """Error of an aggregate that does not take these types."""
    labels = " ".join("VARCHAR" if kind.kind == "enum" else _label(kind) for kind in kinds)
    return SqlError(20203, f"invalid argument aggregate function {name}, bad value [{labels}]")


def no_cast(source: SqlType, target: SqlType) -> SqlError:
    """Error of two types between which there is no cast."""
    pair = f"[{_label(source)} {_label(target)}]"
    return SqlError(20203, f"invalid argument operator cast, bad value {pair}")


def _refuse(source: SqlType, target: SqlType, rules: Rules) -> None:
    """Refuse pairs of types between which there is no cast."""
    to_json = target.kind == "json" and not source.is_text and not source.is_bytes
    from_json = source.kind == "json" and target.is_numeric
    is_truth = source.kind == "json" and target.kind == "bool" and not rules.json_is_bool
    if (
        (to_json and not rules.numbers_are_json)
        or is_truth
        or (from_json and not rules.json_is_number)
        or (target.kind == "date" and source.is_numeric)
        or (target.kind in ("datetime", "timestamp") and source.is_integer)
        or (target.kind in ("float", "double") and source.is_temporal)
        or (source.is_vector and not target.is_vector)
    ):
        raise no_cast(source, target)


def cast_stored(rules: Rules, value: Stored, packed_source: str, packed_target: str) -> Stored:
    """Convert a stored value of one type to another."""
    if value is None:
        return None
    source, target = _unpacked(packed_source), _unpacked(packed_target)
    if source.kind == "json" and rules.json_is_number and target.kind != "json":
        return _from_json(rules, str(value), target)
    if target.is_integer:
        return _integer(value, source, target, rules)
    match target.kind:
        case "decimal":
            return _decimal(value, source, target, rules)
        case "float" | "double":
            return _real(value, source, target, rules)
        case "date":
            return _date(value, source, target, rules)
        case "char" | "varchar":
            return _text(value, source, target, rules)
        case "binary" | "varbinary":
            data = value if isinstance(value, bytes) else as_text(value, source).encode()
            cut = data[: target.width]
            return cut.ljust(target.width, b"\0") if target.kind == "binary" else cut
        case "json" if rules.numbers_are_json and not source.is_text:
            return _to_json(value, source)
        case "bool" if isinstance(value, (int, float)):
            return int(value != 0)
    return store(value, target, source)


# -- numbers ---------------------------------------------------------------------------


def _integer(value: Stored, source: SqlType, target: SqlType, rules: Rules) -> int | str:
    _, top, label = INTEGER_RANGES[target.kind]
    low, high = (0, top) if target.unsigned else (-(top // 2) - 1, top // 2)
    label = f"u{label}" if target.unsigned else label
    word = label if target.unsigned else "int"
    bad = SqlError(20203, f"invalid argument cast to {word}, bad value {value!s}")
    number: int
    wraps = rules.cast_wraps_bigint and target.kind == "bigint"
    if isinstance(value, bytes):
        number = int.from_bytes(value, "big")
    elif source.is_temporal:
        number = _moment_number(value, source, rules)
    elif isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= 1 << 64:
            raise _beyond(label, value)
        half = (
            decimal.ROUND_HALF_EVEN if rules.cast_rounds_double_to_even else decimal.ROUND_HALF_UP
        )
        number = int(decimal.Decimal(value).to_integral_value(half))
        unsigned = target.unsigned and target.kind == "bigint"
        wraps = wraps or (unsigned and rules.cast_wraps_double_to_unsigned)
    elif source.kind == "decimal":
        exact = decimal.Decimal(str(value))
        cut = rules.cast_truncates_decimal_to_unsigned and target.unsigned
        number = int(exact.to_integral_value(decimal.ROUND_DOWN if cut else decimal.ROUND_HALF_UP))
        if wraps:
            number = min(number, high)
    elif source.is_integer or isinstance(value, int):
        number = int(str(value))
    else:
        text = str(value)
        leading = rules.cast_reads_leading_number
        found = _LEADING_WHOLE.match(text) if leading else _WHOLE.fullmatch(text)
        if found is None or (not leading and target.unsigned and int(found.group()) < 0):
            raise bad
        number = int(found.group())
    if wraps:
        number %= 1 << 64
        if not target.unsigned and number >= 1 << 63:
            number -= 1 << 64
    if not low <= number <= high:
        raise _beyond(label, value)
    return number if number <= 9223372036854775807 else f"{number:020d}"


def _beyond(label: str, value: Stored) -> SqlError:
    shown = re.sub(r"\.0$", "", repr(value)) if isinstance(value, float) else str(value).lstrip("0")
    return SqlError(1690, f"data out of range: data type {label}, value '{shown}'")


def _moment_number(value: Stored, source: SqlType, rules: Rules) -> int:
    """A moment as a number: its digits, or days (DATE) or seconds (DATETIME) since 1970."""
    text = as_text(value, source)
    moment = parse_moment(str(value)) if source.kind != "time" else None
    if moment is None or rules.cast_moments_as_digits:
        return int(re.sub(r"\D", "", text.partition(".")[0]) or 0)
    since = moment - _EPOCH
    return since.days if source.kind == "date" else since // datetime.timedelta(seconds=1)


def _decimal(value: Stored, source: SqlType, target: SqlType, rules: Rules) -> Stored:
    if source.is_temporal:
        number = str(_moment_number(value, source, rules))
        return store(number, target, SqlType("decimal", 38, 0))
    try:
        return store(value, target, source)
    except SqlError:
        text = as_text(value, source).strip()
        if not rules.cast_decimal_saturates or _LEADING_NUMBER.fullmatch(text) is None:
            raise
        most = decimal.Decimal(10) ** (target.width - target.scale) - decimal.Decimal(1).scaleb(
            -target.scale
        )
        return decimal_text(-most if text.startswith("-") else most, target.scale)


def _real(value: Stored, source: SqlType, target: SqlType, rules: Rules) -> Stored:
    if source.is_text:
        found = _LEADING_NUMBER.match(str(value))
        whole = found is not None and found.end() == len(str(value).rstrip())
        if not whole and not rules.cast_reads_leading_number:
            raise bad_number(str(value))
        value = float(found.group()) if found else 0.0
        source = SqlType("double")
    return store(value, target, source)


def number_in_text(rules: Rules, value: Stored) -> Stored:
    """Convert a text beside a number that is not whole."""
    return None if value is None else _real(value, varchar(65535), DOUBLE, rules)


# Moments and texts


def _date(value: Stored, source: SqlType, target: SqlType, rules: Rules) -> Stored:
    if (
        source.is_text
        and parse_moment(str(value)) is None
        and (rules.cast_bad_date_is_null or not str(value))
    ):
        return None
    return store(value, target, source)


def _text(value: Stored, source: SqlType, target: SqlType, rules: Rules) -> str:
    if source.kind == "bit":
        data = int(str(value)).to_bytes((source.width + 7) // 8, "big")
        text = data.decode("utf-8", "surrogateescape")
    else:
        text = as_text(value, source)
    if len(text) <= target.width:
        return text
    if rules.cast_truncates_texts:
        return text[: target.width]
    size = f"Src length {len(text)}" if source.is_text or source.is_bytes else text
    names = f"from {_label(source)} type to {_label(target)} type"
    raise SqlError.internal(
        f"Can't cast '{text}' {names}. {size} is larger than Dest length {target.width}"
    )


# JSON


def _from_json(rules: Rules, text: str, target: SqlType) -> Stored:
    document = json.loads(text, parse_float=decimal.Decimal)
    if document is None and not target.is_text:
        return None
    if target.kind == "bool":
        return _truth_in_json(document)
    if target.is_numeric:
        return _number_in_json(rules, document, target)
    if isinstance(document, str) and (rules.cast_json_gives_its_text or not target.is_text):
        text = document
    return cast_stored(rules, text, "varchar 65535 0 0", _packed(target))


def _truth_in_json(document: object) -> int:
    """A truth or a number, or a text that is one of these."""
    words = {"true": 1, "t": 1, "false": 0, "f": 0}
    if isinstance(document, str) and document.lower() in words:
        return words[document.lower()]
    try:
        if isinstance(document, (bool, int, str, decimal.Decimal)):
            return int(decimal.Decimal(document) != 0)
    except decimal.InvalidOperation:
        pass
    raise SqlError(20203, "invalid argument operator cast, bad value [JSON -> BOOL]")


def _number_in_json(rules: Rules, document: object, target: SqlType) -> Stored:
    """A number, or a text that is one; nothing else is, whatever the version."""
    none = SqlError(20203, f"invalid argument operator cast, bad value [JSON -> {_label(target)}]")
    if isinstance(document, bool) or not isinstance(document, (int, str, decimal.Decimal)):
        raise none
    try:
        number = decimal.Decimal(document)
    except decimal.InvalidOperation:
        raise none from None
    if not target.is_integer:
        real = target.kind in ("float", "double")
        packed = "double 0 0 0" if real else "varchar 65535 0 0"
        value = float(number) if real else format(number, "f")
        return cast_stored(rules, value, packed, _packed(target))
    cut = decimal.ROUND_DOWN if rules.cast_truncates_json_to_integer else decimal.ROUND_HALF_UP
    whole = int(number.to_integral_value(cut))
    _, top, _ = INTEGER_RANGES[target.kind]
    low, high = (0, top) if target.unsigned else (-(top // 2) - 1, top // 2)
    if not low <= whole <= high:
        raise none
    return store(str(whole), target, SqlType("varchar", 65535))


def _to_json(value: Stored, source: SqlType) -> str:
    if source.kind == "bool":
        return "true" if value else "false"
    if isinstance(value, bytes):
        return as_text(value, source)
    if source.is_temporal:
        kind = source if source.kind == "date" else SqlType(source.kind, 0, 6)
        return json.dumps(as_text(value, kind))
    return float_text(value) if isinstance(value, float) else as_text(value, source)
