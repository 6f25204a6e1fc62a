"""SQL that a person typed: a condition, and a SELECT, of which the library must know the columns
and the tables.

Both are read token by token, and sent as they were written, but that columns and tables are
replaced. What is not understood is refused: comments, several statements, variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import click

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>[xXbB]?'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<quoted>`(?:[^`]|``)+`)
    | (?P<number>0[xX][0-9A-Fa-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<word>[^\W\d][\w$]*)
    | (?P<no>--(?=\s|\Z)|/\*|//)
    | (?P<sign><=>|<=|>=|<>|!=|\|\||&&|[-+*/%(),.=<>!&|^~])
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, name, value or sign of a text.

    :ivar start: where it begins in the text.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """In capitals, where it may be a word of SQL or a sign; else empty."""
        return self.text.upper() if self.kind in ("word", "sign") else ""

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")

    @property
    def name(self) -> str:
        return self.text[1:-1].replace("``", "`") if self.kind == "quoted" else self.text


def tokens(text: str) -> list[Token]:
    """The tokens of a text.

    :raises click.UsageError: a part that is none, or parentheses that do not match.
    """
    found: list[Token] = []
    depth = place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None or match.lastgroup == "no":
            rest = text[place:].strip()
            raise click.UsageError(
                f"{rest[:20]!r} is not understood in {text!r}: write one expression of SQL, "
                "without comments and semicolons"
            )
        token = Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        depth += {"(": 1, ")": -1}.get(token.word, 0)
        if depth < 0:
            break
        found.append(token)
        place = match.end()
    if depth:
        raise click.UsageError(f"the parentheses of {text!r} do not match")
    return found


# --------------------------------------------------------------------------------------- conditions

_WORDS: Final = (
    *("AND", "OR", "XOR", "NOT", "IS", "NULL", "IN", "LIKE", "ILIKE", "BETWEEN", "TRUE", "FALSE"),
    *("UNKNOWN", "DIV", "MOD", "REGEXP", "RLIKE", "ESCAPE", "CASE", "WHEN", "THEN", "ELSE", "END"),
    *("INTERVAL", "AS", "COLLATE"),
)
_BEFORE_TEXT: Final = ("DATE", "TIME", "TIMESTAMP", "BINARY")


def condition(text: str | None) -> ColumnElement[bool] | None:
    """A condition as the library takes it: its columns are columns.

    :raises click.UsageError: it has a subquery, or names the table of a column.
    """
    from sqlalchemy import column, literal_column
    from sqlalchemy.sql.elements import ClauseList, Grouping

    if text is None:
        return None
    found = tokens(text)
    if not found:
        raise click.UsageError("--where is empty: write a condition, such as \"item = 'lamp'\"")
    parts: list[Any] = []
    for number, token in enumerate(found):
        after = found[number + 1] if number + 1 < len(found) else None
        if token.word in ("SELECT", "FROM", "WHERE"):
            raise click.UsageError(
                f"--where takes what comes after WHERE, without a subquery, not {text!r}"
            )
        if token.is_name and after is not None and after.word == ".":
            raise click.UsageError(f"write the columns of --where without their table: {text!r}")
        if _is_column(token, found[:number], after):
            parts.append(column(token.name))
        else:
            parts.append(literal_column(token.text))
    no_sign: Any = None
    made: Any = Grouping(ClauseList(*parts, operator=no_sign, group=False))
    return cast("ColumnElement[bool]", made)


def _is_column(token: Token, before: list[Token], after: Token | None) -> bool:
    if token.kind == "quoted":
        return True
    if token.kind != "word" or token.word in _WORDS:
        return False
    if after is not None and (
        after.word == "(" or (after.kind == "text" and token.word in _BEFORE_TEXT)
    ):
        return False
    words = [one.word for one in before[-2:]]
    return not (words[-1:] in (["AS"], ["COLLATE"]) or words[:1] == ["INTERVAL"])


# ------------------------------------------------------------------------------------------ selects

_ENDS_FROM: Final = (
    *("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW"),
    *("UNION", "EXCEPT", "INTERSECT", "MINUS"),
)
_NO_ALIAS: Final = (
    *_ENDS_FROM,
    *("JOIN", "INNER", "LEFT", "RIGHT", "CROSS", "NATURAL", "FULL", "ON", "USING", "INTO", "FOR"),
)


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table in a SELECT.

    :ivar name: ``table``, or ``database.table``.
    :ivar start: where its name begins; ``end`` where it ends.
    :ivar alias: whether an alias follows.
    """

    name: str
    start: int
    end: int
    alias: bool


def tables_of(text: str) -> list[ReadTable]:
    """The tables that a SELECT reads, in the order of the text.

    :raises click.UsageError: it is no SELECT, or they cannot be told.
    """
    found = tokens(text)
    if not found or found[0].word != "SELECT":
        raise click.UsageError(f"write a SELECT of one value, such as count(*), not {text!r}")
    read = list(_read(found, text))
    if not read:
        raise click.UsageError(f"the SELECT reads no table: {text!r}")
    return read


def _read(found: list[Token], text: str) -> Iterator[ReadTable]:
    selects, in_from = [False], [False]
    number = 0
    while number < len(found):
        token = found[number]
        number += 1
        if token.word == "(":
            selects.append(False)
            in_from.append(False)
        elif token.word == ")":
            selects.pop()
            in_from.pop()
        elif token.word == "SELECT":
            selects[-1] = True
        elif token.word in ("INTO", "FOR") and selects[-1]:
            raise click.UsageError(f"the SELECT only reads: leave {token.text} out of {text!r}")
        elif token.word in _ENDS_FROM:
            in_from[-1] = False
        elif token.word == "," and in_from[-1]:
            raise click.UsageError(f"write JOIN instead of a comma between tables: {text!r}")
        elif token.word in ("FROM", "JOIN") and selects[-1]:
            in_from[-1] = True
            if number < len(found) and found[number].is_name:
                table, number = _table(found, number, text)
                yield table


def _table(found: list[Token], number: int, text: str) -> tuple[ReadTable, int]:
    first = last = found[number]
    number += 1
    if number + 1 < len(found) and found[number].word == "." and found[number + 1].is_name:
        last = found[number + 1]
        number += 2
    names = [first.name] if last is first else [first.name, last.name]
    if any("." in name for name in names):
        raise click.UsageError(f"a name with a dot in it is not taken: {text!r}")
    after = found[number] if number < len(found) else None
    alias = after is not None and after.is_name and after.word not in _NO_ALIAS
    return ReadTable(".".join(names), first.start, last.end, alias), number


def at_a_moment(
    text: str, tables: list[ReadTable], parameter: str, scanned: Callable[[ReadTable], bool]
) -> str:
    """A SELECT for ``text()`` whose tables are read at the moment that a parameter says.

    :param scanned: whether a table must not be read through an index, whose history may be lost:
        no planner looks for one behind a LIMIT.
    """
    parts = []
    place = 0
    for table in tables:
        name = _escaped(text[table.start : table.end])
        read = f"{name} {{MO_TS = :{parameter}}}"
        if scanned(table):
            read = f"(SELECT * FROM {read} LIMIT {_ALL})"
            if not table.alias:
                read += f" AS {name.rpartition('.')[2].strip()}"
        parts += [_escaped(text[place : table.start]), read]
        place = table.end
    return "".join([*parts, _escaped(text[place:])])


_ALL: Final = 2**64 - 1


def _escaped(text: str) -> str:
    """A text for ``text()``, in which no colon begins a parameter."""
    return text.replace(":", "\\:")
