"""Refusals of what sqlglot parses and the server does not."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from ..errors import SqlError
from ..versions.rules import Rules
from .lexer import Token, syntax_error

_AFTER_STAR = frozenset(
    [
        "FROM",
        "WHERE",
        "LIMIT",
        "ORDER",
        "UNION",
        "GROUP",
        "HAVING",
        "INTO",
        "FOR",
        "EXCEPT",
        "MINUS",
        "INTERSECT",
    ]
)

_ONE_ARGUMENT = frozenset(["AVG", "MAX", "MIN", "SUM"])


_MAY_BE_REFUSED = re.compile(
    r"\*|=\s*(?:=|/\*|--|#|//)|\b(?:OFFSET|INTO|FOR|LOCK|COUNT|AVG|MAX|MIN|SUM)\b",
    re.IGNORECASE | re.ASCII,
)
"""Marks of each text that `refuse_unparsable` refuses: most texts have none"""
_INTO = re.compile(r"\bINTO\b", re.IGNORECASE | re.ASCII)
_IN = re.compile(r"\bIN\b", re.IGNORECASE | re.ASCII)


class IntoVariables(NamedTuple):
    """`INTO @x, @y` among the tokens of a SELECT: from *start* up to *end*."""

    names: tuple[str, ...]
    start: int
    end: int


def refuse_odd_name(name: str) -> None:
    """Refuse characters that the server does not take in its own look-ups by text."""
    if any(char in " \t`\"'" for char in name):
        raise SqlError.internal("invalid input")


def has_into(statement: str) -> bool:
    """Whether the word INTO may be in a statement."""
    return _INTO.search(statement) is not None


def into_variables(found: list[Token]) -> IntoVariables | None:
    """Find the first INTO @x outside all brackets."""
    depth = 0
    for index, (token, after) in enumerate(pairwise(found)):
        if token.kind == "operator":
            depth += (token.text == "(") - (token.text == ")")
        if token.upper != "INTO" or after.kind != "variable" or depth:
            continue
        names, end = [after.text], index + 2
        while [one.text for one in found[end : end + 1]] == [","] and len(found) > end + 1:
            names.append(found[end + 1].text)
            end += 2
        return IntoVariables(tuple(n.lstrip("@").strip("`") for n in names), index, end)
    return None


def refuse_empty_list(statement: str, found: list[Token]) -> None:
    """Refuse `IN ()`."""
    if _IN.search(statement) is None:
        return
    for before, opening, closing in zip(found, found[1:], found[2:], strict=False):
        if before.upper == "IN" and opening.text == "(" and closing.text == ")":
            raise syntax_error(statement, found, closing.start)


def refuse_unparsable(statement: str, found: list[Token], rules: Rules) -> None:
    """Refuse a SELECT with a part that the server does not parse."""
    if _MAY_BE_REFUSED.search(statement) is None:
        return
    _refuse_star_alias(statement, found)
    limited, offset_wants_limit = False, not rules.offset_without_limit
    for index, (token, after) in enumerate(pairwise(found)):
        word = token.upper
        limited = limited or word == "LIMIT"
        if (
            (offset_wants_limit and word == "OFFSET" and after.kind == "number" and not limited)
            or (word == "=" and after.text == "=")
            or (word == "INTO" and after.kind == "variable" and not rules.select_into_variables)
            or (not rules.locking_shares and word == "FOR" and after.upper == "SHARE")
        ):
            raise syntax_error(statement, found, after.start)
        if not rules.locking_shares and word == "LOCK" and after.upper == "IN":
            raise syntax_error(statement, found, token.start)
        if after.text == "(" and (word == "COUNT" or word in _ONE_ARGUMENT):
            _refuse_arguments(statement, found, index + 2, word)
        locking = word in ("UPDATE", "SHARE") and index and found[index - 1].upper == "FOR"
        if locking and after.upper in ("OF", "NOWAIT", "SKIP"):
            raise syntax_error(statement, found, after.start)


def _refuse_arguments(statement: str, found: list[Token], at: int, word: str) -> None:
    """Refuse a wrong number of arguments: an aggregate has one, COUNT at least one."""
    depth = 0
    if at < len(found) and found[at].text == ")":
        raise syntax_error(statement, found, found[at].start)
    for token in found[at:]:
        if token.kind == "operator" and token.text == "(":
            depth += 1
        elif token.kind == "operator" and token.text == ")":
            depth -= 1
            if depth < 0:
                return
        elif token.text == "," and not depth and word != "COUNT":
            raise syntax_error(statement, found, token.start)


def _refuse_star_alias(statement: str, found: list[Token]) -> None:
    """`SELECT * frm t`: sqlglot takes a name after the star for an alias, the server does not."""
    for before, star, after in zip(found, found[1:], found[2:], strict=False):
        if (
            star.text == "*"
            and before.upper in ("SELECT", ",")
            and (after.kind in ("word", "quoted") and after.upper not in _AFTER_STAR)
        ):
            raise syntax_error(statement, found, after.start)
