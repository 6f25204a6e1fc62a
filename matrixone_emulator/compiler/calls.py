"""MySQL functions by name: their sqlite form and the type the server gives them."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from ..errors import SqlError
from ..parsing.lexer import quote_text
from ..types.columns import (
    ANY,
    BIGINT,
    DATE,
    DATETIME,
    DOUBLE,
    JSON,
    UBIGINT,
    SqlType,
    varchar,
)
from .casts import no_aggregate, no_cast, wrong_arguments
from .convert import as_text, common_type, convert
from .expressions import Expressions, literal_bytes
from .grouping import AGGREGATES
from .operators import as_number, sort_key
from .scope import Scope, Value

Handler = Callable[[Expressions, list[Value]], Value]

_TEXT = varchar(65535)
_ANY_COUNT = 999


def call(compiler: Expressions, node: exp.Expr, scope: Scope) -> Value:
    """Compile a function call."""
    if isinstance(node, exp.If):
        test = compiler.test(node.this, scope)
        true = compiler.value(node.args["true"], scope)
        otherwise = node.args.get("false")
        if otherwise is None:
            raise compiler.unsupported()
        false = compiler.value(otherwise, scope)
        kind = common_type([true.type, false.type])
        yes, no = (convert(value, kind).sql for value in (true, false))
        return Value(f"(CASE WHEN {test} THEN {yes} ELSE {no} END)", kind)
    if isinstance(node.this, exp.Identifier):
        raise compiler.misplaced(node.this.name, "(")
    name = str(node.this).lower()
    arguments = list(node.expressions)
    if any(isinstance(argument, exp.Distinct) for argument in arguments) and name not in AGGREGATES:
        raise compiler.misplaced("(", "DISTINCT")
    compiler.need_function(name, arguments, scope)
    if name in AGGREGATES:
        return aggregate(compiler, name, arguments, scope)
    if name in _UNIT_CALLS:
        return _unit_call(compiler, name, arguments, scope)
    if name in _CONSTANT_CALLS:
        digits = -1
        if arguments and isinstance(arguments[0], exp.Literal) and arguments[0].name.isdigit():
            digits = int(arguments[0].name)
        return compiler.context.constant(_CONSTANT_CALLS[name], digits)
    if name == "values" and arguments:
        key = str(arguments[0].name).lower()
        if key in compiler.defaults:
            return compiler.defaults[key]
        raise compiler.unsupported()
    found = _CALLS.get(name)
    if found is None:
        raise compiler.unsupported()
    low, high, handler = found
    if name in _PAIRS and len(arguments) != 2:
        bad = f"{_PAIRS[name]} need two args, bad value {len(arguments)}"
        raise SqlError(20203, f"invalid argument {bad}")
    values = compiler.values(arguments, scope)
    kinds = [value.type for value in values]
    json = name in _NOT_OF_JSON and any(kind.kind == "json" for kind in kinds)
    if json or not low <= len(arguments) <= high:
        raise wrong_arguments(name, kinds)
    if _gives_bytes(compiler, name, arguments, kinds):
        return Value(f"CAST({handler(compiler, values).sql} AS BLOB)", SqlType("varbinary", 65535))
    return handler(compiler, values)


def _gives_bytes(
    compiler: Expressions, name: str, arguments: list[exp.Expr], kinds: list[SqlType]
) -> bool:
    """Whether a function of texts gives bytes here; those of columns are not emulated."""
    written = [literal_bytes(node) is not None for node in arguments]
    bits = compiler.context.rules.bits_are_bytes and any(written)
    if name in _BYTES_OF_BYTES:
        found = any(kind.is_bytes for kind in kinds)
    else:
        found = bits and name in _BYTES_OF_BITS
    if found and not (bits and (written[0] or name in ("concat", "concat_ws"))):
        raise compiler.unsupported()
    return found


_BYTES_OF_BYTES = frozenset(["concat", "concat_ws", "lpad", "rpad", "substr", "substring"])
"""Functions that give bytes where one argument is of bytes; others give texts"""

_BYTES_OF_BITS = frozenset(["left", "lower", "ltrim", "replace", "right", "rtrim", "upper"])
"""Those that do so of bytes that are written out alone"""

_PAIRS = {"ifnull": "ifnull function", "nullif": "nullif"}
"""Functions of two arguments with an error of their own, and what it calls them"""

_NOT_OF_JSON = frozenset(
    [
        "char_length",
        "concat",
        "concat_ws",
        "hex",
        "left",
        "length",
        "lower",
        "md5",
        "replace",
        "substr",
        "upper",
    ]
)
"""Functions of texts that refuse JSON"""


# -- aggregates ------------------------------------------------------------------------


def aggregate(compiler: Expressions, name: str, arguments: list[exp.Expr], scope: Scope) -> Value:
    distinct = ""
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        distinct = "DISTINCT "
        arguments = list(arguments[0].expressions)
    if name == "count" and (not arguments or isinstance(arguments[0], exp.Star)):
        return Value("count(*)", BIGINT)
    values = compiler.values(arguments, scope)
    first = values[0]
    if len(values) > 1:
        raise compiler.unsupported()
    if name == "count":
        return Value(f"count({distinct}{first.sql})", BIGINT)
    kind = first.type
    long = kind.kind == "decimal" and kind.width > 38
    if (
        (kind.kind == "json" and name in ("min", "max"))
        or ((kind.is_text or kind.is_temporal) and name in ("sum", "avg", "variance"))
        or (kind.kind == "bool" and name == "variance")
        or (long and name in ("sum", "avg") and not compiler.context.rules.long_decimals_calculate)
    ):
        raise no_aggregate(name, [kind])
    if name in ("min", "max", "any_value"):
        word = "max" if name == "max" else "min"
        return Value(f"{word}({distinct}{sort_key(first)})", kind)
    if name in ("sum", "avg") and kind.kind == "bool":
        if name == "sum" and compiler.context.rules.bool_has_sum:
            return Value(f"sum({distinct}{first.sql})", SqlType("bigint", unsigned=True))
        raise no_aggregate(name, [kind])
    if name in ("sum", "avg"):
        number = as_number(first)
        kind = number.type
        if kind == UBIGINT and name == "sum":
            raise compiler.unsupported()  # a DECIMAL in 4.x
        if kind.kind == "decimal" and name == "sum":
            return Value(f"mo_sum({distinct}{number.sql})", SqlType("decimal", 38, kind.scale))
        if kind.kind == "decimal":
            scale = min(38, kind.scale + 6)
            return Value(f"mo_avg({number.sql}, {scale})", SqlType("decimal", 38, scale))
        if name == "avg" or kind.kind in ("float", "double"):
            return Value(f"{name}({distinct}CAST({number.sql} AS REAL))", DOUBLE)
        return Value(f"sum({distinct}{number.sql})", SqlType("bigint", unsigned=kind.unsigned))
    if kind.kind == "decimal":
        raise compiler.unsupported()
    return Value(f"mo_variance({convert(as_number(first), DOUBLE).sql})", DOUBLE)


_RANKING = {"row_number", "rank", "dense_rank", "ntile"}
_SHIFTED = {"lag", "lead", "first_value"}


def window_function(compiler: Expressions, node: exp.Expr, scope: Scope) -> Value:
    """Compile a window function, the part before OVER."""
    name = str(node.this).lower() if isinstance(node, exp.Anonymous) else ""
    known = compiler.context.rules.window_functions | AGGREGATES
    if isinstance(node, exp.Anonymous) and name not in known:
        raise compiler.misplaced("", "OVER")
    if name in _RANKING:
        inside = ", ".join(v.sql for v in compiler.values(node.expressions, scope))
        return Value(f"{name}({inside})", BIGINT)
    if name in ("cume_dist", "percent_rank"):
        return Value(f"{name}()", DOUBLE)
    if name in _SHIFTED and len(node.expressions) == 1:
        value = compiler.value(node.expressions[0], scope)
        return Value(f"{name}({value.sql})", value.type)
    if name in compiler.context.rules.window_functions:
        raise compiler.unsupported()
    return compiler.value(node, scope)


# -- functions with a unit -------------------------------------------------------------

_UNIT_CALLS = {"timestampdiff", "date_add", "date_sub"}


def _unit_call(compiler: Expressions, name: str, arguments: list[exp.Expr], scope: Scope) -> Value:
    if name == "timestampdiff" and len(arguments) == 3:
        unit = arguments[0].name.upper()
        start, end = (_moment(compiler.value(argument, scope)).sql for argument in arguments[1:])
        return Value(f"mo_timestampdiff({quote_text(unit)}, {start}, {end})", BIGINT)
    if len(arguments) == 2 and isinstance(arguments[1], exp.Interval):
        sign = "-" if name == "date_sub" else "+"
        return compiler.interval(compiler.value(arguments[0], scope), arguments[1], sign, scope)
    raise compiler.unsupported()


_PARTS = {
    "YEAR",
    "QUARTER",
    "MONTH",
    "WEEK",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "MICROSECOND",
}


def special(compiler: Expressions, node: exp.Expr, scope: Scope) -> Value:
    """Compile calls with keywords between their brackets."""
    if isinstance(node, exp.Extract):
        unit = str(node.this.name).upper()
        if unit not in _PARTS:
            raise compiler.unsupported()
        value = compiler.value(node.expression, scope)
        if value.type.kind == "time" and unit in ("HOUR", "MINUTE", "SECOND"):
            part = f"mo_span_part({quote_text(unit)}, {value.sql})"
        else:
            part = f"mo_part({quote_text(unit)}, {convert(value, DATETIME).sql})"
        if value.type.kind == "date":
            if unit in ("HOUR", "MINUTE", "SECOND", "MICROSECOND"):
                raise SqlError.internal("invalid unit")
            return Value(part, SqlType("int", unsigned=True))
        if unit in ("MONTH", "DAY", "HOUR", "MINUTE", "SECOND"):
            return Value(f"substr('0' || {part}, -2)", varchar(10))
        return Value(f"CAST({part} AS TEXT)", varchar(10))
    bits = not isinstance(node, exp.StrPosition) and any(
        literal_bytes(part) is not None for part in node.walk()
    )
    if bits and compiler.context.rules.bits_are_bytes:
        raise compiler.unsupported()  # gives bytes
    if isinstance(node, exp.GroupConcat):
        return _group_concat(compiler, node, scope)
    if isinstance(node, exp.Trim):
        value = compiler.value(node.this, scope)
        if value.type.kind == "json":
            raise wrong_arguments("trim", [_TEXT, _TEXT, JSON])
        text = as_text(value).sql
        what = node.args.get("expression")
        word = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
        inside = "" if what is None else f", {as_text(compiler.value(what, scope)).sql}"
        return Value(f"{word}({text}{inside})", _TEXT)
    if isinstance(node, exp.Substring):
        given = [node.args[key] for key in ("this", "start", "length") if node.args.get(key)]
        values = compiler.values(given, scope)
        if len(values) == 1 or values[0].type.kind == "json":
            raise wrong_arguments("substring", [value.type for value in values])
        return _substr(compiler, values)
    if "position" not in compiler.context.rules.functions:
        raise compiler.misplaced("IN", "")
    raise compiler.unsupported()


def _group_concat(compiler: Expressions, node: exp.GroupConcat, scope: Scope) -> Value:
    inner = node.this
    flags, keys = "", []
    separator = node.args.get("separator")
    if isinstance(inner, exp.Order):
        for item in inner.expressions:
            flags += "z" if item.args.get("desc") else "a"
            keys.append(compiler.value(item.this, scope).sql)
        inner = inner.this
    if isinstance(inner, exp.Distinct):
        flags = "d" + flags
        inner = inner.expressions[0]
    # Several arguments are one text.
    parts = inner.expressions if isinstance(inner, exp.Concat) else [inner]
    values = compiler.values(parts, scope)
    if any(value.type.is_bytes for value in values):
        raise compiler.unsupported()  # gives bytes
    text = f"mo_concat({', '.join(as_text(value).sql for value in values)})"
    between = quote_text(separator.name if separator is not None else ",")
    inside = ", ".join([text, between, quote_text(flags), *keys])
    return Value(f"mo_group_concat({inside})", SqlType("text"))


# -- plain functions -------------------------------------------------------------------

_CONSTANT_CALLS = {
    "now": "now",
    "current_timestamp": "now",
    "localtime": "now",
    "curdate": "curdate",
    "current_date": "curdate",
    "curtime": "curtime",
    "utc_timestamp": "utc_timestamp",
    "utc_date": "utc_date",
    "utc_time": "utc_time",
    "database": "database",
    "schema": "database",
    "user": "user",
    "current_user": "current_user",
    "version": "version",
    "connection_id": "connection_id",
    "last_insert_id": "last_insert_id",
    "current_account_id": "current_account_id",
    "current_account_name": "current_account_name",
    "current_role": "current_role",
}


def _texts(name: str, kind: SqlType = _TEXT) -> Handler:
    """Return a handler that passes all arguments as text."""
    return lambda _, values: Value(f"{name}({', '.join(as_text(v).sql for v in values)})", kind)


def _raw(name: str, kind: SqlType) -> Handler:
    return lambda _, values: Value(f"{name}({', '.join(v.sql for v in values)})", kind)


_TINY = SqlType("tinyint", unsigned=True)


def _moment(value: Value) -> Value:
    """Convert to DATETIME; of a text that is none each function of the server says its own."""
    if value.type.is_text:
        return Value(f"mo_moment({value.sql})", DATETIME)
    return convert(value, DATETIME)


def _part(unit: str, kind: SqlType = BIGINT) -> Handler:
    def handler(compiler: Expressions, values: list[Value]) -> Value:
        if values[0].type.kind == "time":
            return Value(f"mo_span_part('{unit}', {values[0].sql})", kind)
        return Value(f"mo_part('{unit}', {_moment(values[0]).sql})", kind)

    return handler


def _coalesce(compiler: Expressions, values: list[Value]) -> Value:
    kind = compiler.common_type(values)
    if len(values) == 1:
        return values[0]
    with_null = any(value.type.kind == "any" for value in values)
    if kind.kind == "uuid" and with_null and not compiler.context.rules.uuid_beside_null:
        raise no_cast(ANY, kind)
    return Value(f"coalesce({', '.join(convert(v, kind).sql for v in values)})", kind)


def _nullif(compiler: Expressions, values: list[Value]) -> Value:
    test = compiler.compare(values[0], "=", values[1])
    return Value(f"(CASE WHEN {test} THEN NULL ELSE {values[0].sql} END)", values[0].type)


def _round(compiler: Expressions, values: list[Value]) -> Value:
    number = as_number(values[0], whole=True)
    digits = values[1].literal if len(values) > 1 else 0
    if not isinstance(digits, int):
        bad = "the second argument of the round, bad value not const"
        raise SqlError(20203, f"invalid argument {bad}")
    if number.type.kind == "decimal":
        digits = min(digits, number.type.scale)
        kind = SqlType("decimal", 38, max(0, digits))
        return Value(f"mo_round_decimal({number.sql}, {digits})", kind)
    if number.type.is_integer:
        rounded = f"mo_round_decimal({number.sql}, {min(digits, 0)})"
        return Value(f"mo_integer({rounded})", number.type)
    return Value(f"mo_round({number.sql}, {digits})", DOUBLE)


def _floor(word: str) -> Handler:
    def handler(compiler: Expressions, values: list[Value]) -> Value:
        number = as_number(values[0])
        if number.type.is_integer:
            return number
        sql = convert(number, DOUBLE).sql
        if values[0].type.is_text:
            sql = f"mo_strict_number({values[0].sql})"
        whole = f"CAST({sql} AS INTEGER)"
        if word == "floor":
            found = f"({whole} - ({sql} < {whole}))"
        else:
            found = f"({whole} + ({sql} > {whole}))"
        if number.type.kind == "decimal":
            return Value(f"CAST({found} AS TEXT)", SqlType("decimal", 38, 0))
        return Value(f"CAST({found} AS REAL)", DOUBLE)

    return handler


def _absolute(compiler: Expressions, values: list[Value]) -> Value:
    number = as_number(values[0], whole=True)
    if number.type.unsigned:
        return number
    if number.type.kind == "decimal":
        return Value(f"ltrim({number.sql}, '-')", number.type)
    return Value(f"abs({number.sql})", number.type)


def _left(compiler: Expressions, values: list[Value]) -> Value:
    return Value(f"substr({as_text(values[0]).sql}, 1, max(0, {values[1].sql}))", _TEXT)


def _pad(left: int) -> Handler:
    def handler(compiler: Expressions, values: list[Value]) -> Value:
        filler = as_text(values[2]).sql
        return Value(f"mo_pad({as_text(values[0]).sql}, {values[1].sql}, {filler}, {left})", _TEXT)

    return handler


def _locate(compiler: Expressions, values: list[Value]) -> Value:
    if len(values) > 2:
        raise compiler.unsupported()
    return Value(f"instr({as_text(values[1]).sql}, {as_text(values[0]).sql})", BIGINT)


def _from_unixtime(compiler: Expressions, values: list[Value]) -> Value:
    number = values[0]
    scale = 0
    if number.type.kind == "decimal":
        scale = min(6, number.type.scale)
    elif number.type.kind in ("double", "float") or number.type.is_text:
        scale = 6
    moment = Value(
        f"mo_from_unixtime({convert(number, SqlType('decimal')).sql})",
        SqlType("datetime", 0, scale),
    )
    if len(values) > 1:
        return Value(f"mo_format_date({moment.sql}, {values[1].sql})", _TEXT)
    return moment


def _unix_timestamp(compiler: Expressions, values: list[Value]) -> Value:
    if not values:
        return compiler.context.constant("unix_timestamp", -1)
    # A TIMESTAMP is an instant: its text would be two of them in the hour that a change of clocks
    # repeats.
    is_instant = values[0].type.kind == "timestamp"
    moment = values[0] if is_instant else _moment(values[0])
    literal = values[0].literal
    # Texts keep their fraction; a literal without one is known to have none.
    scale = 0 if values[0].type.is_temporal else 6
    if compiler.context.rules.unix_timestamp_keeps_fraction and values[0].type.is_temporal:
        scale = 6 if values[0].type.scale else 0
    if isinstance(literal, str) and "." not in literal:
        scale = 0
    call = f"mo_unix_timestamp({moment.sql}, {scale}, {is_instant:d})"
    return Value(call, SqlType("decimal", 38, scale) if scale else BIGINT)


def _date(compiler: Expressions, values: list[Value]) -> Value:
    return Value(convert(_moment(values[0]), DATE).sql, DATE)


def _date_format(compiler: Expressions, values: list[Value]) -> Value:
    moment = convert(values[0], DATETIME)
    return Value(f"mo_format_date({moment.sql}, {values[1].sql})", varchar(200))


def _str_to_date(compiler: Expressions, values: list[Value]) -> Value:
    pattern = values[1].literal
    if isinstance(pattern, str) and not any(f"%{c}" in pattern for c in "YyMmcbde"):
        raise compiler.unsupported()  # a TIME
    found = f"mo_parse_date({as_text(values[0]).sql}, {values[1].sql})"
    if isinstance(pattern, str) and not any(f"%{c}" in pattern for c in "HIhislrTSkpf"):
        return Value(f"substr({found}, 1, 10)", DATE)
    return Value(found, DATETIME)


def _json_call(name: str, kind: SqlType) -> Handler:
    return lambda _, values: Value(f"{name}({', '.join(v.sql for v in values)})", kind)


def _field(compiler: Expressions, values: list[Value]) -> Value:
    tests = [
        f"WHEN {compiler.compare(values[0], '=', value)} THEN {index}"
        for index, value in enumerate(values[1:], 1)
    ]
    return Value(f"(CASE {' '.join(tests)} ELSE 0 END)", BIGINT)


def _mod(compiler: Expressions, values: list[Value]) -> Value:
    return compiler.calculate(values[0], "%", values[1])


def _datediff(compiler: Expressions, values: list[Value]) -> Value:
    a, b = (_moment(value).sql for value in values)
    return Value(f"mo_datediff({a}, {b})", BIGINT)


def _substr(compiler: Expressions, values: list[Value]) -> Value:
    inside = ", ".join([as_text(values[0]).sql, *(convert(v, BIGINT).sql for v in values[1:])])
    return Value(f"mo_substr({inside})", _TEXT)


def _hex(compiler: Expressions, values: list[Value]) -> Value:
    value = values[0]
    if value.type.is_vector:
        return Value(f"mo_hex_vector({value.sql}, '{value.type.kind}')", _TEXT)
    if value.type.is_numeric and value.type.kind != "bool":
        return Value(f"mo_hex_number({convert(value, BIGINT).sql})", _TEXT)
    if not value.type.is_bytes:
        value = as_text(value)
    return Value(f"mo_hex({value.sql})", _TEXT)


def _right(compiler: Expressions, values: list[Value]) -> Value:
    text, count = as_text(values[0]).sql, values[1].sql
    return Value(f"(CASE WHEN {count} <= 0 THEN '' ELSE substr({text}, -({count})) END)", _TEXT)


def _extreme(word: str) -> Handler:
    def handler(compiler: Expressions, values: list[Value]) -> Value:
        kind = common_type(value.type for value in values)
        inside = ", ".join(convert(v, kind).sql for v in values)
        if kind.kind == "decimal":
            same = (f"mo_round_decimal({convert(v, kind).sql}, {kind.scale})" for v in values)
            inside = ", ".join(f"{one} COLLATE mo_decimal" for one in same)
        return Value(f"{word}({inside})", kind)

    return handler


_CALLS: dict[str, tuple[int, int, Handler]] = {
    "coalesce": (1, _ANY_COUNT, _coalesce),
    "ifnull": (2, 2, _coalesce),
    "nullif": (2, 2, _nullif),
    "field": (2, _ANY_COUNT, _field),
    "concat": (1, _ANY_COUNT, _texts("mo_concat")),
    "concat_ws": (2, _ANY_COUNT, _texts("mo_concat_ws")),
    "upper": (1, 1, _texts("mo_upper")),
    "lower": (1, 1, _texts("mo_lower")),
    "length": (1, 1, _raw("mo_length", BIGINT)),
    "char_length": (1, 1, _texts("length", BIGINT)),
    "replace": (3, 3, _texts("replace")),
    "ltrim": (1, 1, _texts("ltrim")),
    "rtrim": (1, 1, _texts("rtrim")),
    "repeat": (2, 2, _raw("mo_repeat", _TEXT)),
    "left": (2, 2, _left),
    "substr": (2, 3, _substr),
    "lpad": (3, 3, _pad(1)),
    "rpad": (3, 3, _pad(0)),
    "locate": (2, 3, _locate),
    "instr": (2, 2, _texts("instr", BIGINT)),
    "hex": (1, 1, _hex),
    "md5": (1, 1, _raw("mo_md5", _TEXT)),
    "uuid": (0, 0, _raw("mo_uuid", SqlType("uuid"))),
    "mo_show_visible_bin": (2, 2, _raw("mo_visible_type", _TEXT)),
    "abs": (1, 1, _absolute),
    "round": (1, 2, _round),
    "floor": (1, 1, _floor("floor")),
    "ceil": (1, 1, _floor("ceil")),
    "mod": (2, 2, _mod),
    "sleep": (1, 1, lambda _, v: Value(f"mo_sleep({v[0].sql})", _TINY)),
    "from_unixtime": (1, 2, _from_unixtime),
    "unix_timestamp": (0, 1, _unix_timestamp),
    "date": (1, 1, _date),
    "date_format": (2, 2, _date_format),
    "str_to_date": (2, 2, _str_to_date),
    "datediff": (2, 2, _datediff),
    "year": (1, 1, _part("YEAR")),
    "month": (1, 1, _part("MONTH", _TINY)),
    "day": (1, 1, _part("DAY", _TINY)),
    "dayofmonth": (1, 1, _part("DAY", _TINY)),
    "hour": (1, 1, _part("HOUR", _TINY)),
    "minute": (1, 1, _part("MINUTE", _TINY)),
    "second": (1, 1, _part("SECOND", _TINY)),
    "cast_range_value_unit": (2, 2, _raw("mo_range_hours", BIGINT)),
    "json_extract": (2, _ANY_COUNT, _json_call("mo_json_extract", JSON)),
    "json_unquote": (1, 1, _json_call("mo_json_unquote", _TEXT)),
    "convert_tz": (3, 3, _texts("mo_convert_tz")),
    "strcmp": (2, 2, _texts("mo_strcmp", SqlType("tinyint"))),
    "greatest": (2, _ANY_COUNT, _extreme("max")),
    "least": (2, _ANY_COUNT, _extreme("min")),
    "right": (2, 2, _right),
}
