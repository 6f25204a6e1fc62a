"""Column labels: the server prints the parsed expression in its own spelling."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from ..parsing.dialect import character_set
from ..parsing.lexer import TIME_MARK
from ..versions.rules import Rules

_BINARY: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "div",
    exp.Mod: "%",
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.NullSafeEQ: "<=>",
    exp.And: "and",
    exp.Or: "or",
    exp.Xor: "xor",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.RegexpLike: "reg_match",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}

_WORDS: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "current_timestamp()",
    exp.CurrentDate: "current_date()",
    exp.CurrentTime: "current_time()",
    exp.CurrentUser: "current_user()",
    exp.CurrentRole: "current_role()",
    exp.Localtime: "localtime()",
    exp.Localtimestamp: "localtimestamp()",
    exp.UtcTimestamp: "utc_timestamp()",
    exp.UtcDate: "utc_date()",
    exp.UtcTime: "utc_time()",
}


def heading(node: exp.Expr, rules: Rules) -> str:
    """The label of an unnamed column, `COUNT( * )+1` as `COUNT(*) + 1`."""
    while isinstance(node, exp.Paren):
        node = node.this
    if node.find(exp.Interval, exp.GroupConcat) is not None:
        node = _respelled(node, rules)
    if isinstance(node, exp.Concat) and all(isinstance(e, exp.Literal) for e in node.expressions):
        return str(node.expressions[-1].this)
    return node.name if isinstance(node, exp.Column) else text(node)


def _respelled(node: exp.Expr, rules: Rules) -> exp.Expr:
    """The same with what versions spell differently as it is printed."""
    tree = exp.Paren(this=node.copy())
    for interval in list(tree.find_all(exp.Interval)) if rules.intervals_in_capitals else ():
        shown = f"{text(interval.this)} {text(interval.args.get('unit')).lower()}"
        interval.replace(exp.Var(this=f"INTERVAL {shown}"))
    for joined in list(tree.find_all(exp.GroupConcat)) if rules.separators_shown else ():
        inner, order, separator = _joined(joined)
        order = f" {order}" if order else ""
        joined.replace(exp.Var(this=f"group_concat({inner}{order} separator {separator})"))
    found: exp.Expr = tree.this
    return found


def source_text(node: exp.Expr, column: Callable[[str], str] = str) -> str:
    """An expression that can be parsed again: strings keep their quotes."""
    tree = exp.Paren(this=node.copy())
    for literal in list(tree.find_all(exp.Literal)):
        if literal.is_string:
            literal.replace(exp.Var(this="'" + str(literal.this).replace("'", "''") + "'"))
    for found in list(tree.find_all(exp.Column)):
        found.replace(exp.Var(this=column(found.name)))
    return text(tree.this)


_TIMED = re.compile(rf"`?(\w+){TIME_MARK}(\w[\w ]*?)( = | )'?([^`']*)'?`")


def _small(node: exp.Expr) -> str:
    """sqlglot's own text, in lower case; names keep their brace part."""
    found = node.sql("mysql").lower()
    if TIME_MARK not in found:
        return found
    return _TIMED.sub(
        lambda m: f"{m[1]}{{{m[2].replace('mo_ts', 'mo-timestamp')}{m[3]}{m[4]}}}", found
    )


def _list(nodes: list[exp.Expr]) -> str:
    return ", ".join(text(node) for node in nodes)


def text(node: exp.Expr | None) -> str:
    """Print an expression in the server's spelling; string literals lose their quotes."""
    if node is None:
        return ""
    operator = _BINARY.get(type(node))
    if operator is not None and node.args.get("negate"):
        operator = f"not {operator}"
    if operator is not None:
        return f"{text(node.this)} {operator} {text(node.args['expression'])}"
    word = _WORDS.get(type(node))
    if word is not None:
        return word
    if isinstance(node, exp.Literal):
        return str(node.this).replace("\n", "\\n")
    if isinstance(node, exp.HexString):
        return f"0x{node.this}"
    if isinstance(node, exp.BitString):
        return f"0b{node.this}"
    if isinstance(node, exp.BitwiseNot):
        return f"~{text(node.this)}"
    if isinstance(node, exp.Extract):
        return f"extract({text(node.this)}, {text(node.expression)})".lower()
    if isinstance(node, exp.Exists):
        return f"exists ({_small(node.this)})"
    if isinstance(node, exp.Trim):
        return _trim(node)
    if isinstance(node, exp.Substring):
        parts = [node.this, node.args.get("start"), node.args.get("length")]
        return f"substring({', '.join(text(part) for part in parts if part is not None)})"
    if isinstance(node, exp.GroupConcat):
        return _group_concat(node)
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Null):
        return "null"
    if isinstance(node, exp.Column):
        return ".".join(part.name for part in node.parts)
    if isinstance(node, exp.Identifier):
        return str(node.this)
    if isinstance(node, exp.Star):
        return "*"
    if isinstance(node, exp.Paren):
        return f"({text(node.this)})"
    if isinstance(node, exp.Neg):
        return f"-{text(node.this)}"
    if isinstance(node, exp.Not):
        return _negated(node)
    if isinstance(node, exp.Anonymous):
        return f"{node.this}({_list(node.expressions)})"
    if isinstance(node, exp.Distinct):
        return f"distinct {_list(node.expressions)}"
    if isinstance(node, exp.Is):
        return f"{text(node.this)} is {text(node.expression)}"
    if isinstance(node, exp.In):
        return _in(node, "in")
    if isinstance(node, exp.Between):
        return _between(node, "between")
    if isinstance(node, exp.Tuple):
        return f"({_list(node.expressions)})"
    if isinstance(node, exp.Case):
        return _case(node)
    if isinstance(node, exp.If):
        parts = [node.this, node.args.get("true"), node.args.get("false")]
        return f"if({', '.join(text(part) for part in parts if part is not None)})"
    if isinstance(node, exp.Cast) and (charset := character_set(node)):
        return f"CONVERT({text(node.this)}, {charset})"
    if isinstance(node, exp.Cast):
        return f"cast({text(node.this)} as {_type(node.to)})"
    if isinstance(node, exp.Window):
        return text(node.this) + _small(node)[len(_small(node.this)) :]
    if isinstance(node, exp.Parameter):
        return f"@{text(node.this)}"
    if isinstance(node, exp.SessionParameter):
        return f"@@{node.name}"
    if isinstance(node, exp.DataTypeParam):
        return text(node.this)
    if isinstance(node, exp.Var):
        return str(node.this)
    if isinstance(node, exp.Interval):
        return f"interval({text(node.this)}, {text(node.args.get('unit'))})".lower()
    if isinstance(node, exp.Concat):
        return _list(node.expressions)
    if isinstance(node, exp.DPipe):
        return f"concat({text(node.this)}, {text(node.expression)})"
    if isinstance(node, exp.Escape):
        return f"{text(node.this)} escape {text(node.expression)}"
    if isinstance(node, exp.Collate):
        return text(node.this)
    if isinstance(node, exp.Introducer):
        return text(node.expression)
    return _small(node)


def _trim(node: exp.Trim) -> str:
    """The side in lower case, and what is taken away, if any."""
    words = [str(node.args.get("position") or "").lower()]
    if node.args.get("expression") is not None:
        words += [text(node.args["expression"]), "from"]
    return f"trim({' '.join(word for word in [*words, text(node.this)] if word)})"


def _negated(node: exp.Not) -> str:
    inner = node.this
    if isinstance(inner, exp.Is):
        return f"{text(inner.this)} is not {text(inner.expression)}"
    if isinstance(inner, exp.In):
        return _in(inner, "not in")
    if isinstance(inner, exp.Between):
        return _between(inner, "not between")
    if isinstance(inner, exp.RegexpLike):
        return f"{text(inner.this)} not reg_match {text(inner.expression)}"
    return f"not {text(inner)}"


def _in(node: exp.In, word: str) -> str:
    query = node.args.get("query")
    inside = _small(query) if query is not None else f"({_list(node.expressions)})"
    return f"{text(node.this)} {word} {inside}"


_CASTS = {"char": "varchar", "bigint": "signed", "ubigint": "unsigned", "timestamptz": "timestamp"}


def _type(kind: exp.DataType) -> str:
    name = str(kind.this.value).lower()
    if name == "boolean":
        return "bool"
    if name == "decimal" and not kind.expressions:
        return "decimal(38)"
    if kind.expressions:
        return f"{name}({_list(kind.expressions)})"
    return _CASTS.get(name, name)


def _group_concat(node: exp.GroupConcat) -> str:
    inner, order, separator = _joined(node)
    return f"group_concat({inner}, {separator}{order})"


def _joined(node: exp.GroupConcat) -> tuple[str, str, str]:
    """The arguments of GROUP_CONCAT, its ORDER BY, and what it puts between."""
    inner, order = node.this, ""
    if isinstance(inner, exp.Order):
        order = _small(inner)[len(_small(inner.this)) + 1 :]
        inner = inner.this
    between = node.args.get("separator")
    return text(inner), order, between.name if between is not None else ","


def _between(node: exp.Between, word: str) -> str:
    low, high = node.args["low"], node.args["high"]
    return f"{text(node.this)} {word} {text(low)} and {text(high)}"


def _case(node: exp.Case) -> str:
    parts = ["case"]
    if node.this is not None:
        parts.append(text(node.this))
    parts.extend(
        f"when {text(branch.this)} then {text(branch.args['true'])}" for branch in node.args["ifs"]
    )
    if node.args.get("default") is not None:
        parts.append(f"else {text(node.args['default'])}")
    parts.append("end")
    return " ".join(parts)
