"""Operators: comparisons, arithmetic, IN, BETWEEN, LIKE, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlglot import exp

from ..errors import SqlError
from ..parsing.lexer import quote_text
from ..parsing.redact import unsupported
from ..types.columns import (
    BIGINT,
    BOOL,
    DATE,
    DATETIME,
    DOUBLE,
    JSON,
    UBIGINT,
    SqlType,
    varchar,
)
from ..types.values import parse_moment
from ..versions.rules import Rules
from .casts import implicit_cast, json_as_number, no_cast, no_operator
from .convert import (
    as_text,
    comparable,
    comparison_type,
    convert,
    truth,
)
from .scope import Lookup, Scope, SourceColumn, Value


class CompileContext(Protocol):
    """The side of a session that the compiler uses."""

    @property
    def rules(self) -> Rules: ...

    def constant(self, name: str, digits: int) -> Value: ...

    def variable(self, name: str, scope: str) -> Value: ...

    def user_variable(self, name: str) -> Value: ...


@dataclass
class CompiledQuery:
    """A SELECT as sqlite text, with its columns named k0, k1, ..."""

    sql: str
    labels: list[str]
    types: list[SqlType]
    for_update: bool = False
    reads: list[tuple[str, str]] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    """Indexes that the query around it may look up, whose conditions are columns f0, f1, ..."""

    def lookups_of(self, alias: str) -> tuple[Lookup, ...]:
        """The indexes as the query around it calls them."""
        return tuple(
            Lookup(
                tuple(key and f"{alias}.{key}" for key in one.columns),
                one.unique,
                f"{alias}.{one.found}",
                one.primary and f"{alias}.{one.primary}",
                one.table,
            )
            for one in self.lookups
        )

    def source_columns(self, alias: str) -> list[SourceColumn]:
        return [
            SourceColumn(label, f"{alias}.k{index}", kind)
            for index, (label, kind) in enumerate(zip(self.labels, self.types, strict=True))
        ]


COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "IS",
}


_UNIT_NAMES = {
    "MICROSECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
}


def _is_empty(query: exp.Expr) -> bool:
    """Whether a subquery has no rows whatever the tables hold: `WHERE 1 != 1`."""
    where = query.args.get("where")
    test = None if where is None else where.this
    return (
        isinstance(test, exp.NEQ)
        and isinstance(test.this, exp.Literal)
        and test.this == test.expression
    )


def sort_key(value: Value) -> str:
    return f"{value.sql} COLLATE mo_decimal" if value.type.kind == "decimal" else value.sql


def as_number(value: Value, *, whole: bool = False) -> Value:
    """*value* for arithmetic: texts become DOUBLE, or BIGINT beside integers."""
    kind = value.type
    if kind.is_numeric:
        return value
    if kind.kind == "any":
        return value
    if kind.kind == "bit":
        return Value(value.sql, SqlType("bigint", unsigned=True))
    if kind.kind == "year":
        return Value(value.sql, BIGINT)
    if whole:
        return Value(f"mo_strict_integer({value.sql})", BIGINT)
    return convert(value, DOUBLE)


def refuse_operands(rules: Rules, operator: str, left: Value, right: Value) -> None:
    """Refuse types that the operator does not take."""
    kinds = [side.type for side in (left, right)]
    names = (left.type.kind, right.type.kind)
    json = "json" in names
    long = any(kind.kind == "decimal" and kind.width > 38 for kind in kinds)
    if (json and ("bool" in names or all(kind.is_text for kind in kinds))) or (
        long and not rules.long_decimals_calculate
    ):
        raise no_operator(operator, *kinds)


def refuse_comparison(statement: str, operator: str, left: Value, right: Value) -> None:
    """Refuse types that are not compared, or by rules of their own."""
    kinds = [left.type.kind, right.type.kind]
    temporal = left.type.is_temporal or right.type.is_temporal
    if kinds in (["time", "datetime"], ["datetime", "time"]):
        raise no_operator(operator, left.type, right.type)
    number = left.type.is_numeric or right.type.is_numeric
    text = left.type.is_text or right.type.is_text
    if (number and (temporal or "enum" in kinds)) or (text and "bit" in kinds):
        raise unsupported(statement)
    for side in (left, right) if "date" in kinds else ():
        if isinstance(side.literal, str) and parse_moment(side.literal) is None:
            raise unsupported(statement)


def is_whole_division(node: exp.IntDiv, left: SqlType, right: SqlType) -> bool:
    """Whether DIV works with integers or decimals: not beside other types.

    Neither does it where a column smaller than BIGINT is divided by a constant.
    """
    narrow = left.is_integer and left.kind != "bigint"
    constant = node.expression.find(exp.Column, exp.Subquery) is None
    return not (narrow and constant) and all(
        kind.is_integer or kind.kind == "decimal" for kind in (left, right)
    )


class Operators:
    """Compile operators; `expressions` adds the other forms and the dispatch."""

    def __init__(self, statement: str, context: CompileContext) -> None:
        self.statement = statement
        self.context = context
        self.defaults: dict[str, Value] = {}
        self.zero_divides_to_null = False
        """Whether a division by zero is NULL: in a SELECT, by the rules; a change refuses it"""
        self.written: tuple[str, str] | None = None
        """The table that the statement changes, which its subqueries may not read from 4.x on"""

    def query(self, node: exp.Expr, outer: Scope | None) -> CompiledQuery:
        raise NotImplementedError

    def unsupported(self) -> SqlError:
        return unsupported(self.statement)

    def condition(self, node: exp.Expr, scope: Scope) -> str:
        return truth(self.value(node, scope))

    def values(self, nodes: Sequence[exp.Expr], scope: Scope) -> list[Value]:
        return [self.value(node, scope) for node in nodes]

    def value(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    def comparison(self, node: exp.Expr, scope: Scope) -> Value:
        operator = COMPARISONS[type(node)]
        if operator == "IS" and not self.context.rules.null_safe_equal:
            raise SqlError(20102, "'' is not yet implemented")
        left_node, right_node = node.this, node.args["expression"]
        if isinstance(left_node, exp.Tuple) and isinstance(right_node, exp.Tuple):
            pairs = zip(left_node.expressions, right_node.expressions, strict=True)
            parts = [
                self.compare(self.value(a, scope), "=", self.value(b, scope)) for a, b in pairs
            ]
            joined = " AND ".join(parts)
            return Value(f"({joined})" if operator == "=" else f"(NOT ({joined}))", BOOL)
        if isinstance(right_node, (exp.Any, exp.All)):
            return self.quantified(left_node, operator, right_node, scope)
        left, right = self.value(left_node, scope), self.value(right_node, scope)
        for literal, other in ((left_node, right), (right_node, left)):
            if isinstance(literal, exp.HexString | exp.BitString) and other.type.is_numeric:
                raise self.unsupported()
        return Value(self.compare(left, operator, right), BOOL)

    def quantified(
        self, node: exp.Expr, operator: str, right: exp.Any | exp.All, scope: Scope
    ) -> Value:
        """A comparison with ANY (SOME) or ALL rows of a subquery."""
        left, inner = self.value(node, scope), self.query(right.this.unnest(), scope)
        test = self.compare(left, operator, Value("k0", inner.types[0]))
        return Value(_decided(test, inner.sql, any_row=isinstance(right, exp.Any)), BOOL)

    def beside_json(self, document: Value, other: Value) -> tuple[Value, Value]:
        """Operands of JSON beside another type: JSON becomes a number beside numbers, if it can."""
        if other.type.kind == "bool" and not self.context.rules.json_is_bool:
            raise no_cast(document.type, other.type)
        if other.type.kind == "bool":
            return implicit_cast(document, other.type), other
        if other.type.is_numeric and not self.context.rules.json_is_number:
            raise no_cast(document.type, BIGINT if other.type.is_integer else DOUBLE)
        if other.type.is_numeric:
            return json_as_number(document, other.type), other
        if not self.context.rules.json_compares_as_text:
            return document, convert(other, JSON)
        return Value(f"mo_json_unquote({document.sql})", varchar(65535)), other

    def compare(self, left: Value, operator: str, right: Value) -> str:
        refuse_comparison(self.statement, operator, left, right)
        if left.type.kind == "json" and (right.type.is_text or right.type.is_numeric):
            if right.type.kind != "json":
                left, right = self.beside_json(left, right)
        elif right.type.kind == "json" and (left.type.is_text or left.type.is_numeric):
            right, left = self.beside_json(right, left)
        vector = next((side.type.kind for side in (left, right) if side.type.is_vector), None)
        if vector is not None:
            if operator not in ("=", "<>"):
                raise self.unsupported()
            a, b = (f"mo_hex_vector({side.sql}, '{vector}')" for side in (left, right))
            return f"({a} {operator} {b})"
        a, b, collation = comparable(left, right)
        return f"({a} {operator} {b}{collation})"

    def number_in(self, document: Value, operator: str, other: Value) -> Value:
        """Compile JSON as an operand."""
        kind = BIGINT if other.type.is_integer and operator != "/" else DOUBLE
        if not self.context.rules.json_is_number:
            raise no_cast(document.type, kind)
        return json_as_number(document, kind)

    def arithmetic(self, node: exp.Expr, operator: str, scope: Scope) -> Value:
        left_node, right_node = node.this, node.args["expression"]
        if any(isinstance(n, exp.HexString | exp.BitString) for n in (left_node, right_node)):
            raise self.unsupported()
        for interval, other, sign in (
            (right_node, left_node, operator),
            (left_node, right_node, "+"),
        ):
            if isinstance(interval, exp.Interval):
                return self.interval(self.value(other, scope), interval, sign, scope)
        left, right = self.value(left_node, scope), self.value(right_node, scope)
        return self.calculate(left, operator, right)

    def calculate(self, left: Value, operator: str, right: Value) -> Value:
        """Compile arithmetic: integers stay BIGINT, `/` gives DOUBLE, decimals are exact."""
        refuse_operands(self.context.rules, operator, left, right)
        if left.type.is_temporal or right.type.is_temporal:
            raise self.unsupported()
        if left.type.kind == "json" and right.type.is_numeric:
            left = self.number_in(left, operator, right)
        elif right.type.kind == "json" and left.type.is_numeric:
            right = self.number_in(right, operator, left)
        unsigned = [side.type == UBIGINT for side in (left, right)]
        exact = unsigned in ([True, False], [False, True]) and operator != "/"
        if exact and all(side.type.kind == "bigint" for side in (left, right)):
            left, right = (convert(side, SqlType("decimal")) for side in (left, right))
        whole = any(side.type.is_integer for side in (left, right))
        sides = [
            side if side.type.is_numeric else as_number(side, whole=whole) for side in (left, right)
        ]
        kinds = {side.type.kind for side in sides}
        if "any" in kinds:
            return Value("NULL", BIGINT)
        if kinds & {"double", "float"} or (operator == "/" and "decimal" not in kinds):
            a, b = (convert(side, DOUBLE).sql for side in sides)
            if operator == "/":
                divisor = f"nullif({b}, 0)" if self.zero_divides_to_null else b
                return Value(f"mo_divide({a}, {divisor})", DOUBLE)
            if operator == "%":
                return Value(f"mo_mod({a}, {b})", DOUBLE)
            return Value(f"({a} {operator} {b})", DOUBLE)
        if "decimal" in kinds:
            left_scale, right_scale = (side.type.scale for side in sides)
            scale = max(left_scale, right_scale)
            if operator == "*":
                scale = left_scale + right_scale
            elif operator == "/":
                scale = max(left_scale + 6, right_scale) if left_scale else max(6, right_scale)
            scale = min(scale, 38)
            a, b = (convert(side, SqlType("decimal")).sql for side in sides)
            if operator in "/%" and self.zero_divides_to_null:
                b = f"(CASE WHEN CAST({b} AS REAL) = 0 THEN NULL ELSE {b} END)"
            return Value(
                f"mo_arithmetic('{operator}', {a}, {b}, {scale})", SqlType("decimal", 38, scale)
            )
        any_unsigned = any(side.type.unsigned for side in sides) and operator != "-"
        if operator == "%":
            return Value(f"mo_mod({sides[0].sql}, {sides[1].sql})", BIGINT)
        return Value(
            f"mo_whole({sides[0].sql} {operator} {sides[1].sql})",
            SqlType("bigint", unsigned=any_unsigned),
        )

    def interval(self, moment: Value, interval: exp.Interval, sign: str, scope: Scope) -> Value:
        if interval.args.get("unit") is None and isinstance(interval.this, exp.Tuple):
            raise self.unsupported()
        number = self.value(interval.this, scope)
        whole = not isinstance(number.literal, str) or number.literal.lstrip("-").isdigit()
        texts = moment.type.is_text and self.context.rules.intervals_keep_texts
        if moment.type.kind == "time" or texts or not whole:
            raise self.unsupported()
        count = number.sql
        unit = (
            str(interval.args["unit"].name).upper().rstrip("S") if interval.args.get("unit") else ""
        )
        if unit not in _UNIT_NAMES:
            raise self.unsupported()
        if sign == "-":
            count = f"-({count})"
        kind = moment.type
        if kind.kind == "date" and unit in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"):
            return Value(f"substr(mo_interval({moment.sql}, {count}, '{unit}'), 1, 10)", DATE)
        if kind.kind == "timestamp":
            return Value(f"mo_interval({moment.sql}, {count}, '{unit}')", kind)
        scale = kind.scale if kind.kind == "datetime" else 0
        if unit == "MICROSECOND":
            scale = 6
        wide = convert(moment, DATETIME)
        return Value(f"mo_interval({wide.sql}, {count}, '{unit}')", SqlType("datetime", 0, scale))

    def negative(self, node: exp.Neg, scope: Scope) -> Value:
        if isinstance(node.this, exp.HexString | exp.BitString):
            raise self.unsupported()
        value = self.value(node.this, scope)
        if value.type.kind == "json":
            raise no_operator("unary_minus", value.type)
        if isinstance(value.literal, (int, float)) and not isinstance(value.literal, bool):
            return Value(f"-{value.sql}", value.type, -value.literal)
        if value.type == UBIGINT and isinstance(node.this.unnest(), exp.Literal):
            return _lowest(int(value.sql.strip("(')")), self.context.rules)
        if value.type.kind == "decimal":
            if isinstance(node.this, exp.Literal):
                return Value(f"'-{value.sql[1:]}", value.type, f"-{value.literal}")
            return Value(f"mo_arithmetic('-', '0', {value.sql}, {value.type.scale})", value.type)
        if value.type == UBIGINT:
            exact = convert(value, SqlType("decimal")).sql
            return Value(f"mo_arithmetic('-', '0', {exact}, 0)", SqlType("decimal", 38, 0))
        if value.type.is_text or (value.type.is_integer and value.type.unsigned):
            raise self.unsupported()  # BIGINT, FLOAT or DOUBLE, by the type and the version
        number = as_number(value)
        kind = value.type if value.type.is_integer else number.type
        return Value(f"(-{number.sql})", BIGINT if kind.kind == "bool" else kind)

    def is_test(self, node: exp.Is, scope: Scope) -> Value:
        wanted = node.expression
        value = self.value(node.this, scope)
        if isinstance(wanted, exp.Null):
            return Value(f"({value.sql} IS NULL)", BOOL)
        if isinstance(wanted, exp.Boolean):
            test = "IS TRUE" if wanted.this else "IS FALSE"
            return Value(f"({truth(value)} {test})", BOOL)
        raise self.unsupported()

    def membership(self, node: exp.In, scope: Scope) -> Value:
        query = node.args.get("query")
        if query is not None:
            inner = self.query(query.unnest(), scope)
            if isinstance(node.this, exp.Tuple):
                left_sql = f"({', '.join(self.value(e, scope).sql for e in node.this.expressions)})"
                return Value(f"({left_sql} IN ({inner.sql}))", BOOL)
            left = self.value(node.this, scope)
            if _is_empty(query.unnest()):
                # What is compared with nothing needs no cast.
                if left.type.kind == "json" and not self.context.rules.json_is_number:
                    raise no_cast(left.type, inner.types[0])
                return Value("0", BOOL)
            right = Value("", inner.types[0])
            refuse_comparison(self.statement, "in", left, right)
            kind = comparison_type(left, right)
            if kind is None:
                return Value(f"({left.sql} IN ({inner.sql}))", BOOL)
            item = convert(Value("k0", inner.types[0]), kind).sql
            collation = " COLLATE mo_decimal" if kind.kind == "decimal" else ""
            return Value(
                f"({convert(left, kind).sql}{collation} IN (SELECT {item} FROM ({inner.sql})))",
                BOOL,
            )
        items = node.expressions
        if isinstance(node.this, exp.Tuple):
            rows = []
            for item_node in items:
                pairs = zip(node.this.expressions, item_node.expressions, strict=True)
                rows.append(
                    " AND ".join(
                        self.compare(self.value(a, scope), "=", self.value(b, scope))
                        for a, b in pairs
                    )
                )
            return Value(f"({' OR '.join(f'({row})' for row in rows)})", BOOL)
        left = self.value(node.this, scope)
        values = self.values(items, scope)
        if len({kind.is_text for kind in (v.type for v in values) if kind.kind != "any"}) > 1:
            raise self.unsupported()
        for value in values:
            refuse_comparison(self.statement, "in", left, value)
        if left.type.kind == "json":
            tests = [self.compare(left, "=", value) for value in values]
            return Value(f"({' OR '.join(tests)})", BOOL)
        kinds = {comparison_type(left, value) for value in values}
        if len(kinds) == 1:
            kind = kinds.pop()
            if kind is None:
                return Value(f"({left.sql} IN ({', '.join(v.sql for v in values)}))", BOOL)
            collation = " COLLATE mo_decimal" if kind.kind == "decimal" else ""
            inside = ", ".join(convert(value, kind).sql for value in values)
            return Value(f"({convert(left, kind).sql}{collation} IN ({inside}))", BOOL)
        return Value(f"({' OR '.join(self.compare(left, '=', value) for value in values)})", BOOL)

    def between(self, node: exp.Between, scope: Scope) -> Value:
        value = self.value(node.this, scope)
        low = self.compare(value, ">=", self.value(node.args["low"], scope))
        high = self.compare(value, "<=", self.value(node.args["high"], scope))
        return Value(f"({low} AND {high})", BOOL)

    def like(self, node: exp.Expr, scope: Scope, escape: str) -> Value:
        fold = 1 if isinstance(node, exp.ILike) else 0
        left = as_text(self.value(node.this, scope)).sql
        right = as_text(self.value(node.args["expression"], scope)).sql
        found = f"mo_like({left}, {right}, {quote_text(escape)}, {fold})"
        return Value(f"(NOT {found})" if node.args.get("negate") else found, BOOL)


def _lowest(number: int, rules: Rules) -> Value:
    """Negate a literal that BIGINT does not hold: exact, as DECIMAL where BIGINT is too small.

    To 3.x the least BIGINT is one of these.
    """
    if number == 1 << 63 and rules.least_bigint:
        return Value("(-9223372036854775807 - 1)", BIGINT, -number)
    return Value(f"'-{number}'", SqlType("decimal", 38, 0), f"-{number}")


def _decided(test: str, rows: str, *, any_row: bool) -> str:
    """Whether *test* holds for ANY or for ALL *rows*: NULL where only those of NULL could say."""
    most, none = ("max", 0) if any_row else ("min", 1)  # They leave NULL out.
    found = f"CASE WHEN {most}({test}) = {1 - none} THEN {1 - none}"
    found += f" WHEN count(*) > count({test}) THEN NULL ELSE {none} END"
    return f"(SELECT {found} FROM ({rows}))"
