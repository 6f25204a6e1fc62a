"""MySQL statements as sqlglot trees in which calls keep the name they were written with.

What differs between releases of sqlglot has its one place here.
"""

from __future__ import annotations

import functools
from itertools import pairwise

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import ParseError, SqlglotError, TokenError

from ..versions.rules import Rules
from .interpreted import mysql_parser
from .lexer import Token, syntax_error, tokens
from .scanner import ESCAPES
from .unimplemented import parse_error

_REMEMBERED_LENGTH = 2000

_CALLS_WITHOUT_BRACKETS = ("utc_date", "utc_time", "utc_timestamp")

_SPECIAL = ("CAST", "CONVERT", "EXTRACT", "GROUP_CONCAT", "TRIM", "SUBSTRING", "POSITION")


_DASHES_ARE_COMMENT = len(sqlglot.tokenize("5--3", dialect=MySQL)) == 1
"""Whether this sqlglot takes `--` for a comment where no blank follows, as MySQL does not"""


_Parser = mysql_parser()


class _MatrixOne(MySQL):
    """Calls stay Anonymous: labels need their spelling, and compiler.calls knows the functions."""

    UNESCAPED_SEQUENCES = {  # noqa: RUF012 - as sqlglot declares it, which before 30 lacks some
        **MySQL.UNESCAPED_SEQUENCES,
        **{f"\\{letter}": meant for letter, meant in ESCAPES.items()},
    }

    class Parser(_Parser):  # type: ignore[valid-type,misc]
        FUNCTIONS: dict[str, object] = {}  # noqa: RUF012 - as sqlglot declares it
        FUNCTION_PARSERS = {  # noqa: RUF012 - as sqlglot declares it
            name: parser for name, parser in _Parser.FUNCTION_PARSERS.items() if name in _SPECIAL
        }
        # sqlglot before 30.9 takes SET for an alias in UPDATE a, b SET ...
        TABLE_ALIAS_TOKENS = _Parser.TABLE_ALIAS_TOKENS - {TokenType.SET}


class _Concatenating(_MatrixOne):
    """`||` joins texts: in 3.x, and in 4.x with PIPES_AS_CONCAT; it is OR otherwise."""

    class Parser(_MatrixOne.Parser):
        DISJUNCTION = {  # noqa: RUF012 - as sqlglot declares it
            token: kind
            for token, kind in _Parser.DISJUNCTION.items()
            if token is not TokenType.DPIPE
        }
        TERM = {**_Parser.TERM, TokenType.DPIPE: exp.DPipe}  # noqa: RUF012 - as sqlglot declares it


for _dialect in (_MatrixOne, _Concatenating):
    # before sqlglot 30 a dialect of one's own loses LOCALTIME and LOCALTIMESTAMP
    _dialect.Parser.NO_PAREN_FUNCTIONS = _Parser.NO_PAREN_FUNCTIONS


def parse(
    statement: str, found: list[Token], rules: Rules, *, concatenating: bool = True
) -> exp.Expr:
    """Parse one statement; SqlError 1064 or 1235 if it does not parse."""
    if found and not found[-1].text.isascii() and found[-1].kind == "operator":
        # Letters outside of ASCII are of no word without quotes, where sqlglot knows them.
        raise syntax_error(statement, found, found[-1].start)
    try:
        tree = _parse(statement, concatenating)
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        line, column = detail.get("line"), detail.get("col")
        highlight = detail.get("highlight") or ""
        offset = len(statement)
        if isinstance(line, int) and isinstance(column, int):
            start = 0
            for _ in range(line - 1):
                start = statement.find("\n", start) + 1
            offset = max(0, start + column - len(highlight))
        raise parse_error(statement, found, offset, rules) from None
    except (TokenError, SqlglotError, RecursionError):
        raise syntax_error(statement, found, 0) from None
    return tree


def form(statement: str) -> exp.Expr | None:
    """Parse a statement that stands for many; None if it does not parse."""
    try:
        return _parse(statement, True)
    except (SqlglotError, RecursionError):
        return None


def _parse(statement: str, concatenating: bool) -> exp.Expr:
    if len(statement) > _REMEMBERED_LENGTH:
        return _parse_anew(statement, concatenating)
    return _parse_once(statement, concatenating)


def _parse_anew(statement: str, concatenating: bool) -> exp.Expr:
    if _DASHES_ARE_COMMENT and "--" in statement:
        statement = _with_dashes_apart(statement)
    dialect = _Concatenating if concatenating else _MatrixOne
    tree: exp.Expr = sqlglot.parse_one(statement, dialect=dialect)
    for column in list(tree.find_all(exp.Column)):
        name = column.this
        bare = not column.table and isinstance(name, exp.Identifier) and not name.quoted
        if bare and name.name.lower() in _CALLS_WITHOUT_BRACKETS:
            column.replace(exp.Anonymous(this=name.name.lower(), expressions=[]))
    return tree


def _with_dashes_apart(statement: str) -> str:
    found = tokens(statement)
    for first, second in reversed(list(pairwise(found))):
        if first.text == second.text == "-" and first.end == second.start:
            statement = f"{statement[: first.end]} {statement[second.start :]}"
    return statement


def character_set(node: exp.Cast) -> str:
    """The name in `CONVERT(x USING name)`; empty for a conversion to a type."""
    kind: exp.Expr = node.args["to"]
    if isinstance(kind, exp.CharacterSet):  # before sqlglot 30
        return kind.name
    if isinstance(kind, exp.DataType) and kind.this.name == "CHARACTER_SET":
        return str(kind.args["kind"].name)
    return ""


# Whoever gets a tree must leave it as it is: the next one gets the same.
_parse_once = functools.lru_cache(maxsize=256)(_parse_anew)


@functools.lru_cache(maxsize=512)
def parse_expression(text: str) -> exp.Expr:
    """The tree of a column's default or of another lone expression."""
    tree = sqlglot.parse_one(f"SELECT {text}", dialect=_MatrixOne)
    found: exp.Expr = tree.expressions[0]
    return found.this if isinstance(found, exp.Alias) else found
