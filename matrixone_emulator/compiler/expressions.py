"""MySQL expressions as sqlite text with the type that the server gives them."""

from __future__ import annotations

import contextlib
from itertools import pairwise

from sqlglot import exp

from ..errors import SqlError
from ..parsing.dialect import character_set
from ..parsing.lexer import quote_text, syntax_error, tokens
from ..types.columns import (
    ANY,
    BIGINT,
    BOOL,
    INTEGER_RANGES,
    JSON,
    UBIGINT,
    SqlType,
    varchar,
)
from .casts import cast_value, no_operator
from .convert import (
    as_text,
    common_type,
    convert,
    number_value,
    text_value,
    truth,
)
from .grouping import aggregates_in
from .operators import COMPARISONS, Operators, is_whole_division, sort_key
from .scope import Scope, Value

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
"""Keywords that the server takes for other functions than the ones with their values"""


def literal_bytes(node: exp.Expr) -> bytes | None:
    """The bytes of x'41', 0x41 and b'1'; None of anything else."""
    if isinstance(node, exp.HexString):
        return bytes.fromhex(str(node.this))
    if isinstance(node, exp.BitString):
        number = int(str(node.this) or "0", 2)
        return number.to_bytes(max(1, (len(str(node.this)) + 7) // 8), "big")
    return None


class Expressions(Operators):
    """Compile one statement's expressions; `query` adds calls and queries."""

    def call(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    def special(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    def window_function(self, node: exp.Expr, scope: Scope) -> Value:
        raise NotImplementedError

    # -- dispatch ----------------------------------------------------------------------

    def value(self, node: exp.Expr, scope: Scope) -> Value:
        """Compile *node* to sqlite text with its type."""
        if isinstance(node, exp.Literal):
            return text_value(node.this) if node.is_string else number_value(node.this)
        if isinstance(node, exp.Column):
            return scope.column([part.name for part in node.parts])
        if isinstance(node, exp.Paren):
            inner = self.value(node.this, scope)
            return Value(f"({inner.sql})", inner.type, inner.literal)
        kind = type(node)
        if kind in COMPARISONS:
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
            return self.context.constant(_CONSTANTS[kind], digits)
        if kind in _BITS:
            left_bits, right_bits = self.value(node.this, scope), self.value(node.expression, scope)
            return Value(
                f"({convert(left_bits, BIGINT).sql} {_BITS[kind]} "
                f"{convert(right_bits, BIGINT).sql})",
                UBIGINT,
            )
        return self.other(node, scope)

    def misplaced(self, before: str, word: str) -> SqlError:
        """Return the 1064 at the first *word* behind *before*; '' matches any."""
        found = tokens(self.statement)
        for one, other in pairwise(found):
            if before in ("", one.upper, one.name) and word in ("", other.upper):
                return syntax_error(self.statement, found, other.start)
        return self.unsupported()

    def need_function(self, name: str, arguments: list[exp.Expr], scope: Scope) -> None:
        """Refuse a function that the server has not; it checks the arguments first."""
        if name not in self.context.rules.functions:
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
            read = self.context.rules.like_reads_escape
            return self.like(node.this, scope, node.expression.name if read else "\\")
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
                raise self.unsupported()
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
        if (data := literal_bytes(node)) is not None:
            return self.bits(data)
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
            if not self.context.rules.div_takes_decimals:
                for kind in (left.type, right.type):
                    if kind.kind in ("decimal", "any") or kind == UBIGINT:
                        raise no_operator("div", left.type, right.type)
            is_null = self.zero_divides_to_null or (
                self.context.rules.integer_division_by_zero_is_null
                and is_whole_division(node, left.type, right.type)
            )
            divisor = f"nullif({right.sql}, 0)" if is_null else right.sql
            return Value(f"mo_div({left.sql}, {divisor})", BIGINT)
        if isinstance(node, exp.Parameter):
            return self.context.user_variable(node.name)
        if isinstance(node, exp.SessionParameter):
            return self.context.variable(node.name, str(node.args.get("kind") or ""))
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

    def bits(self, data: bytes) -> Value:
        """A literal of bytes, which most versions take for a text."""
        sql = f"x'{data.hex()}'"
        if self.context.rules.bits_are_bytes:
            return Value(sql, SqlType("varbinary", max(1, len(data))))
        with contextlib.suppress(UnicodeDecodeError):
            data.decode()
            sql = f"CAST({sql} AS TEXT)"
        return Value(sql, varchar(max(1, len(data))))

    def case(self, node: exp.Case, scope: Scope) -> Value:
        operand = self.value(node.this, scope) if node.this is not None else None
        branches: list[tuple[str, Value]] = []
        for branch in node.args["ifs"]:
            if operand is None:
                test = self.test(branch.this, scope)
            else:
                test = self.compare(operand, "=", self.value(branch.this, scope))
            branches.append((test, self.value(branch.args["true"], scope)))
        default = node.args.get("default")
        otherwise = self.value(default, scope) if default is not None else None
        return self.choice(branches, otherwise)

    def choice(self, branches: list[tuple[str, Value]], otherwise: Value | None) -> Value:
        """Compile CASE over conditions, all results in their common type."""
        results = [value for _, value in branches] + ([otherwise] if otherwise else [])
        kind = self.common_type(results)
        parts = [f"WHEN {test} THEN {convert(value, kind).sql}" for test, value in branches]
        ending = f" ELSE {convert(otherwise, kind).sql}" if otherwise is not None else ""
        return Value(f"(CASE {' '.join(parts)}{ending} END)", kind)

    def test(self, node: exp.Expr, scope: Scope) -> str:
        """Compile a condition of CASE or IF, which takes other types than one of WHERE."""
        value = self.value(node, scope)
        if value.type.kind not in ("bool", *INTEGER_RANGES):
            raise self.unsupported()
        return truth(value)

    def common_type(self, values: list[Value]) -> SqlType:
        """The type of CASE and COALESCE; before 4.x texts beside numbers are cast to numbers."""
        kinds = [value.type for value in values]
        if any(k.kind == "json" for k in kinds) and any(
            k.kind not in ("json", "any") for k in kinds
        ):
            raise self.unsupported()
        mixed = any(k.is_numeric for k in kinds) and any(k.is_text for k in kinds)
        if mixed and not self.context.rules.common_types:
            raise self.unsupported()
        return common_type(kinds)

    def cast(self, node: exp.Cast, scope: Scope) -> Value:
        data = literal_bytes(node.this)
        value = self.value(node.this, scope)
        if data is not None and node.to.this == exp.DataType.Type.JSON:
            raise self.unsupported()
        if data is not None:  # a number of its bytes
            value = Value(f"x'{data.hex()}'", value.type)
        if character_set(node):
            return as_text(value)
        return cast_value(self.statement, value, node.to, self.context.rules)

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
        """Compile a sort key: an ENUM sorts by its place from 4.x on, by its text before."""
        if value.type.kind == "set":
            bits = " + ".join(
                f"((',' || {value.sql} || ',' LIKE {quote_text(f'%,{text},%')}) * {1 << place})"
                for place, text in enumerate(value.type.values)
            )
            return f"({bits})"
        if value.type.kind != "enum" or not self.context.rules.enum_sorts_by_place:
            return sort_key(value)
        places = " ".join(
            f"WHEN {quote_text(text)} THEN {place}" for place, text in enumerate(value.type.values)
        )
        return f"(CASE {value.sql} {places} END)"


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


def _json_path(path: exp.Expr) -> str:
    if isinstance(path, exp.JSONPath):
        return str(path.sql("mysql")).strip("'")
    return str(path.name)
