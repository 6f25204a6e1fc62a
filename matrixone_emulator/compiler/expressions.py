"""MySQL expressions as sqlite text with the type that the server gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from sqlglot import exp

from ..errors import SqlError
from ..parsing.dialect import character_set
from ..parsing.lexer import quote_text, syntax_error, tokens
from ..parsing.redact import unsupported
from ..types.columns import (
    ANY,
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
from ..versions.rules import Rules
from .casts import cast_value, json_as_number, no_cast, no_operator
from .convert import (
    as_text,
    common_type,
    comparable,
    comparison_type,
    convert,
    number_value,
    text_value,
    truth,
)
from .grouping import aggregates_in
from .scope import Scope, SourceColumn, Value


class Ambient(Protocol):
    """What a statement can ask its session while it is translated."""

    @property
    def rules(self) -> Rules: ...

    def constant(self, name: str, digits: int) -> Value: ...

    def variable(self, name: str, scope: str) -> Value: ...

    def user_variable(self, name: str) -> Value: ...


@dataclass
class CompiledQuery:
    """A SELECT in sqlite's words; its columns are called k0, k1, ... there."""

    sql: str
    labels: list[str]
    types: list[SqlType]
    for_update: bool = False
    reads: list[tuple[str, str]] = field(default_factory=list)

    def source_columns(self, alias: str) -> list[SourceColumn]:
        return [
            SourceColumn(label, f"{alias}.k{index}", kind)
            for index, (label, kind) in enumerate(zip(self.labels, self.types, strict=True))
        ]


_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "IS",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}
_BITS: dict[type[exp.Expr], str] = {
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}
_CONSTANTS: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "now",
    exp.Localtime: "now",
    exp.Localtimestamp: "now",
    exp.CurrentDate: "curdate",
    exp.CurrentTime: "curtime",
    exp.CurrentUser: "current_user",
    exp.CurrentRole: "current_role",
    exp.UtcTimestamp: "utc_timestamp",
    exp.UtcDate: "utc_date",
    exp.UtcTime: "utc_time",
}
_KEYWORD_CALLS: dict[type[exp.Expr], str] = {
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
}
"""What of these is another function to the server than the one with its value"""


class Expressions:
    """Translates one statement's expressions; query.py adds calls and queries."""

    def __init__(self, statement: str, ambient: Ambient) -> None:
        self.statement = statement
        self.ambient = ambient
        self.defaults: dict[str, Value] = {}
        self.zero_divides_to_null = False
        """In a SELECT, by the rules; a change refuses a division by zero"""
        self.written: tuple[str, str] | None = None
        """The table that the statement changes, which its subqueries may not read from 4.x on"""

    def query(self, node: exp.Expr, outer: Scope | None) -> CompiledQuery:
        raise NotImplementedError

    def call(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    def special(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    def window_function(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    def unsupported(self) -> SqlError:
        return unsupported(self.statement)

    # Dispatch

    def value(self, node: exp.Expr, scope: Scope) -> Value:
        """*node* in sqlite's words."""
        if isinstance(node, exp.Literal):
            return text_value(node.this) if node.is_string else number_value(node.this)
        if isinstance(node, exp.Column):
            return scope.column([part.name for part in node.parts])
        if isinstance(node, exp.Paren):
            inner = self.value(node.this, scope)
            return Value(f"({inner.sql})", inner.type, inner.literal)
        kind = type(node)
        if kind in _COMPARISONS:
            return self.comparison(node, scope)
        if kind in _ARITHMETIC:
            return self.arithmetic(node, _ARITHMETIC[kind], scope)
        if isinstance(node, exp.Null):
            return Value("NULL", ANY, None)
        if isinstance(node, exp.Boolean):
            return Value("1" if node.this else "0", BOOL, bool(node.this))
        if isinstance(node, (exp.And, exp.Or)):
            word = "AND" if isinstance(node, exp.And) else "OR"
            left, right = self.condition(node.this, scope), self.condition(node.expression, scope)
            return Value(f"({left} {word} {right})", BOOL)
        if isinstance(node, exp.Not):
            return Value(f"(NOT {self.condition(node.this, scope)})", BOOL)
        if isinstance(node, (exp.Anonymous, exp.If)):
            return self.call(node, scope)
        if kind in _CONSTANTS:
            self.need_function(_KEYWORD_CALLS.get(kind, _CONSTANTS[kind]), [], scope)
            digits = int(node.this.name) if isinstance(node.this, exp.Literal) else -1
            return self.ambient.constant(_CONSTANTS[kind], digits)
        if kind in _BITS:
            left_bits, right_bits = self.value(node.this, scope), self.value(node.expression, scope)
            return Value(
                f"({convert(left_bits, BIGINT).sql} {_BITS[kind]} "
                f"{convert(right_bits, BIGINT).sql})",
                UBIGINT,
            )
        return self.other(node, scope)

    def misplaced(self, before: str, word: str) -> SqlError:
        """1064 at the first *word* behind *before*; '' is any."""
        found = tokens(self.statement)
        for one, other in pairwise(found):
            if before in ("", one.upper, one.name) and word in ("", other.upper):
                return syntax_error(self.statement, found, other.start)
        return self.unsupported()

    def need_function(self, name: str, arguments: list[exp.Expr], scope: Scope) -> None:
        """The server's own refusal where it has no function *name*; it reads arguments first."""
        if name not in self.ambient.rules.functions:
            self.values(arguments, scope)
            raise SqlError(20105, f"not supported: function or operator '{name}'")

    def other(self, node: exp.Expr, scope: Scope) -> Value:
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
            raise self.misplaced(str(node.expression.this), "(")
        if isinstance(node, exp.Neg):
            return self.negative(node, scope)
        if isinstance(node, exp.Is):
            return self.is_test(node, scope)
        if isinstance(node, exp.In):
            return self.membership(node, scope)
        if isinstance(node, exp.Between):
            return self.between(node, scope)
        if isinstance(node, (exp.Like, exp.ILike)):
            return self.like(node, scope, "\\")
        if isinstance(node, exp.Escape):
            return self.like(node.this, scope, node.expression.name)
        if isinstance(node, exp.RegexpLike):
            left, right = self.value(node.this, scope), self.value(node.expression, scope)
            return Value(f"mo_regexp({as_text(left).sql}, {as_text(right).sql})", BOOL)
        if isinstance(node, exp.Case):
            return self.case(node, scope)
        if isinstance(node, exp.Cast):
            return self.cast(node, scope)
        if isinstance(node, exp.Exists):
            written, self.written = self.written, None
            inner = self.query(node.this, scope)
            self.written = written
            return Value(f"EXISTS ({inner.sql})", BOOL)
        if isinstance(node, (exp.Subquery, exp.Select, exp.SetOperation)):
            inner = self.query(node.unnest() if isinstance(node, exp.Subquery) else node, scope)
            if len(inner.types) != 1:
                raise SqlError(20301, "invalid input: subquery should return 1 column")
            if _is_one_row(node):
                return Value(f"({inner.sql})", inner.types[0])
            single = f"SELECT mo_single(count(*), max(k0)) FROM (SELECT k0 FROM ({inner.sql})"
            return Value(f"({single} LIMIT 2))", inner.types[0])
        if isinstance(node, exp.Interval):
            raise self.unsupported()
        if isinstance(node, exp.DPipe):
            parts = [as_text(self.value(part, scope)).sql for part in (node.this, node.expression)]
            return Value(f"mo_concat({', '.join(parts)})", varchar(65535))
        if isinstance(node, exp.Concat):
            return text_value("".join(str(part.this) for part in node.expressions))
        if isinstance(node, exp.HexString):
            return Value(f"x'{node.this}'", varchar(max(1, len(node.this) // 2)))
        if isinstance(node, exp.BitString):
            number = int(str(node.this) or "0", 2)
            data = number.to_bytes(max(1, (len(str(node.this)) + 7) // 8), "big")
            return Value(f"x'{data.hex()}'", varchar(len(data)))
        if isinstance(node, exp.BitwiseXor):
            a, b = (
                convert(self.value(side, scope), BIGINT).sql
                for side in (node.this, node.expression)
            )
            return Value(f"(({a} | {b}) - ({a} & {b}))", UBIGINT)
        if isinstance(node, exp.BitwiseNot):
            return Value(f"mo_invert({convert(self.value(node.this, scope), BIGINT).sql})", UBIGINT)
        if isinstance(node, exp.Xor):
            left_side, right_side = (
                self.condition(node.this, scope),
                self.condition(node.expression, scope),
            )
            return Value(f"(({left_side}) <> ({right_side}))", BOOL)
        if isinstance(node, exp.IntDiv):
            left, right = self.value(node.this, scope), self.value(node.expression, scope)
            is_null = self.zero_divides_to_null or (
                self.ambient.rules.integer_division_by_zero_is_null
                and self.is_whole_division(node, left.type, right.type)
            )
            divisor = f"nullif({right.sql}, 0)" if is_null else right.sql
            return Value(f"mo_div({left.sql}, {divisor})", BIGINT)
        if isinstance(node, exp.Parameter):
            return self.ambient.user_variable(node.name)
        if isinstance(node, exp.SessionParameter):
            return self.ambient.variable(node.name, str(node.args.get("kind") or ""))
        if isinstance(node, exp.Window):
            return self.window(node, scope)
        if isinstance(
            node, (exp.Extract, exp.GroupConcat, exp.Trim, exp.Substring, exp.StrPosition)
        ):
            return self.special(node, scope)
        if isinstance(node, (exp.JSONExtract, exp.JSONExtractScalar)):
            document = self.value(node.this, scope)
            found = f"mo_json_extract({document.sql}, {quote_text(_json_path(node.expression))})"
            if isinstance(node, exp.JSONExtractScalar):
                return Value(f"mo_json_unquote({found})", varchar(65535))
            return Value(found, JSON)
        if isinstance(node, exp.Tuple):
            return Value(f"({', '.join(self.value(e, scope).sql for e in node.expressions)})", ANY)
        if isinstance(node, exp.Collate):
            return self.value(node.this, scope)
        if isinstance(node, exp.Introducer):
            return self.value(node.expression, scope)
        if isinstance(node, exp.Values):
            raise self.unsupported()
        raise self.unsupported()

    def values(self, nodes: Sequence[exp.Expr], scope: Scope) -> list[Value]:
        return [self.value(node, scope) for node in nodes]

    def condition(self, node: exp.Expr, scope: Scope) -> str:
        return truth(self.value(node, scope))

    # Operators

    def comparison(self, node: exp.Expr, scope: Scope) -> Value:
        operator = _COMPARISONS[type(node)]
        if operator == "IS" and not self.ambient.rules.null_safe_equal:
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
        return Value(
            self.compare(self.value(left_node, scope), operator, self.value(right_node, scope)),
            BOOL,
        )

    def quantified(
        self, node: exp.Expr, operator: str, right: exp.Any | exp.All, scope: Scope
    ) -> Value:
        """A comparison with ANY (SOME) or ALL rows of a subquery."""
        left, inner = self.value(node, scope), self.query(right.this.unnest(), scope)
        test = self.compare(left, operator, Value("k0", inner.types[0]))
        if isinstance(right, exp.Any):
            return Value(f"EXISTS (SELECT 1 FROM ({inner.sql}) WHERE {test})", BOOL)
        return Value(f"(NOT EXISTS (SELECT 1 FROM ({inner.sql}) WHERE NOT {test}))", BOOL)

    def beside_json(self, document: Value, other: Value) -> tuple[Value, Value]:
        """What JSON is beside another type: a number beside numbers, where it can be one."""
        if other.type.kind == "bool":
            raise no_cast(document.type, other.type)
        if other.type.is_numeric and not self.ambient.rules.json_is_number:
            raise no_cast(document.type, BIGINT if other.type.is_integer else DOUBLE)
        if other.type.is_numeric:
            return json_as_number(document, other.type), other
        if not self.ambient.rules.json_compares_as_text:
            return document, convert(other, JSON)
        return Value(f"mo_json_unquote({document.sql})", varchar(65535)), other

    def compare(self, left: Value, operator: str, right: Value) -> str:
        if left.type.kind == "json" and (right.type.is_text or right.type.is_numeric):
            if right.type.kind != "json":
                left, right = self.beside_json(left, right)
        elif right.type.kind == "json" and (left.type.is_text or left.type.is_numeric):
            right, left = self.beside_json(right, left)
        a, b, collation = comparable(left, right)
        return f"({a} {operator} {b}{collation})"

    def refuse_operands(self, operator: str, left: Value, right: Value) -> None:
        """Types that the operator does not take."""
        kinds = [side.type for side in (left, right)]
        json = "json" in (left.type.kind, right.type.kind)
        long = any(kind.kind == "decimal" and kind.width > 38 for kind in kinds)
        if (json and all(kind.is_text for kind in kinds)) or (
            long and not self.ambient.rules.long_decimals_calculate
        ):
            raise no_operator(operator, *kinds)

    def number_in(self, document: Value, operator: str, other: Value) -> Value:
        """JSON as an operand."""
        kind = BIGINT if other.type.is_integer and operator != "/" else DOUBLE
        if not self.ambient.rules.json_is_number:
            raise no_cast(document.type, kind)
        return json_as_number(document, kind)

    def arithmetic(self, node: exp.Expr, operator: str, scope: Scope) -> Value:
        left_node, right_node = node.this, node.args["expression"]
        for interval, other, sign in (
            (right_node, left_node, operator),
            (left_node, right_node, "+"),
        ):
            if isinstance(interval, exp.Interval):
                return self.interval(self.value(other, scope), interval, sign, scope)
        left, right = self.value(left_node, scope), self.value(right_node, scope)
        return self.calculate(left, operator, right)

    def calculate(self, left: Value, operator: str, right: Value) -> Value:
        """The server's rules: integers stay BIGINT, `/` leaves them, decimals are exact."""
        self.refuse_operands(operator, left, right)
        if left.type.kind == "json" and right.type.is_numeric:
            left = self.number_in(left, operator, right)
        elif right.type.kind == "json" and left.type.is_numeric:
            right = self.number_in(right, operator, left)
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
            return Value(
                f"mo_arithmetic('{operator}', {a}, {b}, {scale})", SqlType("decimal", 38, scale)
            )
        unsigned = any(side.type.unsigned for side in sides) and operator != "-"
        if operator == "%":
            return Value(f"mo_mod({sides[0].sql}, {sides[1].sql})", BIGINT)
        return Value(
            f"mo_whole({sides[0].sql} {operator} {sides[1].sql})",
            SqlType("bigint", unsigned=unsigned),
        )

    def interval(self, moment: Value, interval: exp.Interval, sign: str, scope: Scope) -> Value:
        if interval.args.get("unit") is None and isinstance(interval.this, exp.Tuple):
            raise self.unsupported()
        count = self.value(interval.this, scope).sql
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

    @staticmethod
    def is_whole_division(node: exp.IntDiv, left: SqlType, right: SqlType) -> bool:
        """Whether DIV works with integers or decimals: not beside other types.

        Neither does it where a column smaller than BIGINT is divided by a constant.
        """
        narrow = left.is_integer and left.kind != "bigint"
        constant = node.expression.find(exp.Column, exp.Subquery) is None
        return not (narrow and constant) and all(
            kind.is_integer or kind.kind == "decimal" for kind in (left, right)
        )

    def negative(self, node: exp.Neg, scope: Scope) -> Value:
        value = self.value(node.this, scope)
        if value.type.kind == "json":
            raise no_operator("unary_minus", value.type)
        if isinstance(value.literal, (int, float)) and not isinstance(value.literal, bool):
            return Value(f"-{value.sql}", value.type, -value.literal)
        if value.type == UBIGINT and isinstance(node.this.unnest(), exp.Literal):
            return self.lowest(int(value.sql.strip("(')")))
        if value.type.kind == "decimal":
            if isinstance(node.this, exp.Literal):
                return Value(f"'-{value.sql[1:]}", value.type, f"-{value.literal}")
            return Value(f"mo_arithmetic('-', '0', {value.sql}, {value.type.scale})", value.type)
        number = as_number(value)
        return Value(f"(-{number.sql})", BIGINT if number.type.is_integer else number.type)

    def lowest(self, number: int) -> Value:
        """Minus a literal that BIGINT does not hold: exact, as DECIMAL where BIGINT is too small.

        To 3.x the least BIGINT is one of these.
        """
        if number == 1 << 63 and self.ambient.rules.least_bigint:
            return Value("(-9223372036854775807 - 1)", BIGINT, -number)
        return Value(f"'-{number}'", SqlType("decimal", 38, 0), f"-{number}")

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
                if left.type.kind == "json" and not self.ambient.rules.json_is_number:
                    raise no_cast(left.type, inner.types[0])
                return Value("0", BOOL)
            kind = comparison_type(left, Value("", inner.types[0]))
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

    def case(self, node: exp.Case, scope: Scope) -> Value:
        operand = self.value(node.this, scope) if node.this is not None else None
        branches: list[tuple[str, Value]] = []
        for branch in node.args["ifs"]:
            if operand is None:
                test = self.condition(branch.this, scope)
            else:
                test = self.compare(operand, "=", self.value(branch.this, scope))
            branches.append((test, self.value(branch.args["true"], scope)))
        default = node.args.get("default")
        otherwise = self.value(default, scope) if default is not None else None
        return self.choice(branches, otherwise)

    def choice(self, branches: list[tuple[str, Value]], otherwise: Value | None) -> Value:
        """CASE over conditions, all results in their common type."""
        results = [value for _, value in branches] + ([otherwise] if otherwise else [])
        kind = common_type(value.type for value in results)
        parts = [f"WHEN {test} THEN {convert(value, kind).sql}" for test, value in branches]
        ending = f" ELSE {convert(otherwise, kind).sql}" if otherwise is not None else ""
        return Value(f"(CASE {' '.join(parts)}{ending} END)", kind)

    def cast(self, node: exp.Cast, scope: Scope) -> Value:
        value = self.value(node.this, scope)
        if character_set(node):
            return as_text(value)
        return cast_value(self.statement, value, node.to, self.ambient.rules)

    def window(self, node: exp.Window, scope: Scope) -> Value:
        value = self.window_function(node.this, scope)
        parts = []
        partition = node.args.get("partition_by") or []
        if partition:
            parts.append(f"PARTITION BY {', '.join(v.sql for v in self.values(partition, scope))}")
        order = node.args.get("order")
        if order is not None:
            parts.append(f"ORDER BY {self.ordering(order, scope)}")
        spec = node.args.get("spec")
        if spec is not None:
            parts.append(spec.sql("sqlite"))
        return Value(f"{value.sql} OVER ({' '.join(parts)})", value.type)

    def ordering(self, order: exp.Order, scope: Scope) -> str:
        return ", ".join(self.ordered(item, scope) for item in order.expressions)

    def ordered(self, item: exp.Ordered, scope: Scope) -> str:
        value = self.value(item.this, scope)
        return f"{self.sort_key(value)}{' DESC' if item.args.get('desc') else ''}"

    def sort_key(self, value: Value) -> str:
        """An ENUM is sorted by its place in the list from 4.x on, by its text before."""
        if value.type.kind == "set":
            bits = " + ".join(
                f"((',' || {value.sql} || ',' LIKE {quote_text(f'%,{text},%')}) * {1 << place})"
                for place, text in enumerate(value.type.values)
            )
            return f"({bits})"
        if value.type.kind != "enum" or not self.ambient.rules.enum_sorts_by_place:
            return sort_key(value)
        places = " ".join(
            f"WHEN {quote_text(text)} THEN {place}" for place, text in enumerate(value.type.values)
        )
        return f"(CASE {value.sql} {places} END)"


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


def _is_one_row(node: exp.Expr) -> bool:
    """Whether a scalar subquery cannot have several rows, as its text tells."""
    query = node.unnest() if isinstance(node, exp.Subquery) else node
    if not isinstance(query, exp.Select):
        return False
    limit = query.args.get("limit")
    if limit is not None and limit.expression is not None and limit.expression.name in ("0", "1"):
        return True
    if query.args.get("from_") is None:
        return True
    return query.args.get("group") is None and any(
        next(aggregates_in(item), None) is not None for item in query.expressions
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
    if kind.is_temporal:
        digits = f"replace(replace(replace({as_text(value).sql}, '-', ''), ':', ''), ' ', '')"
        return Value(f"CAST({digits} AS INTEGER)", BIGINT)
    if whole:
        return Value(f"mo_strict_integer({value.sql})", BIGINT)
    return convert(value, DOUBLE)


def _json_path(path: exp.Expr) -> str:
    if isinstance(path, exp.JSONPath):
        return str(path.sql("mysql")).strip("'")
    return str(path.name)
