"""What SQL text does to tables and databases, told without a server: drop, alter, rename, make.

A tokenizer that knows comments, strings and quoted names, and the first words of the statements
that matter. Everything else passes unread: what is wrong is the server's to refuse.

Comments are those of the server: ``/* */``, ``#``, ``//``, and ``--`` before a blank. What is in
``/*! */`` is executed, whatever version it names. ``"orders"`` is a string, and a name under
ANSI_QUOTES: where a name has to be, it is one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sqlalchemy import text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

Name: TypeAlias = tuple[str | None, str]
"""Of a table: its database, where the text names one, and its own name; as written."""


class Verb(enum.Enum):
    """What happens to the object; of several things the first that is listed here."""

    DROP_DATABASE = enum.auto()
    DROP_TABLE = enum.auto()
    DROP_COLUMN = enum.auto()
    ADD_COLUMN = enum.auto()
    ALTER_TABLE = enum.auto()
    RENAME_TABLE = enum.auto()
    TRUNCATE_TABLE = enum.auto()
    CREATE_TABLE = enum.auto()
    CREATE_DATABASE = enum.auto()


class Act(NamedTuple):
    """One object, and what a statement does to it.

    :ivar name: a table's; of a database the second part.
    :ivar statement: as written, comments left out at its ends.
    :ivar new_name: of a table that is renamed.
    :ivar conditional: ``IF EXISTS`` or ``IF NOT EXISTS`` is said.
    """

    verb: Verb
    name: Name
    statement: str
    new_name: Name | None = None
    conditional: bool = False


def acts(sql: str) -> list[Act]:
    """What the statements of a text do, in order.

    >>> [(act.verb.name, act.name) for act in acts("DROP /* now */ TABLE shop.`a;b`; SELECT 1")]
    [('DROP_TABLE', ('shop', 'a;b'))]
    """
    if _FIRST_WORD.search(sql) is None:
        return []
    return [act for statement in _statements(sql) for act in _read(_Reader(sql, statement))]


def acts_of(element: Executable | str, dialect: Dialect) -> list[Act]:
    """What ``op.execute(element)`` does; what the dialect cannot compile does nothing."""
    return acts(_compiled(element, dialect))


def _compiled(element: Executable | str, dialect: Dialect) -> str:
    clause = text(element) if isinstance(element, str) else element
    if not isinstance(clause, ClauseElement):
        return ""
    try:
        compiled = str(clause.compile(dialect=dialect))
    except SQLAlchemyError:
        return ""
    return compiled.replace("%%", "%") if dialect.paramstyle.endswith("format") else compiled


# ----------------------------------------------------------------------------------------- tokens

_FIRST_WORD = re.compile(r"\b(?:ALTER|CREATE|DROP|PREPARE|RENAME|TRUNCATE)\b", re.IGNORECASE)

_TOKEN = re.compile(
    r"""
      (?P<blank> \s+ | --(?=\s|\Z)[^\n]* | \#[^\n]* | //[^\n]*
               | /\*(?!!) (?: .*?\*/ | .* ) | /\*!\d* | \*/ )
    | ` (?P<name> (?: [^`] | `` )* ) `
    | (?P<string> ' (?: [^'\\]+ | \\. | '' )*+ (?: ' | \Z )
                | " (?: [^"\\]+ | \\. | "" )*+ (?: " | \Z ) )
    | (?P<word> [\w$]+ )
    | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    value: str
    start: int
    end: int


def _statements(sql: str) -> Iterator[list[_Token]]:
    """The tokens of each statement; none of an empty one."""
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(sql):
        kind = str(match.lastgroup)
        if kind == "blank":
            continue
        if kind == "mark" and match[0] == ";":
            if tokens:
                yield tokens
            tokens = []
        else:
            tokens.append(_Token(kind, match[kind], match.start(), match.end()))
    if tokens:
        yield tokens


@dataclass
class _Reader:
    """The tokens of one statement, taken from the front."""

    sql: str
    tokens: list[_Token]
    at: int = 0

    def __post_init__(self) -> None:
        self.statement = self.sql[self.tokens[0].start : self.tokens[-1].end]

    def peek(self, ahead: int = 0) -> _Token | None:
        position = self.at + ahead
        return self.tokens[position] if position < len(self.tokens) else None

    def is_next(self, words: str, ahead: int = 0) -> bool:
        """Whether one of the words, or that mark, comes next."""
        token = self.peek(ahead)
        return (
            token is not None
            and token.kind in ("word", "mark")
            and token.value.upper() in words.split()
        )

    def take(self, words: str) -> bool:
        """Take one of the words, or that mark, where it comes next."""
        found = self.is_next(words)
        self.at += found
        return found

    def condition(self) -> bool:
        """Take ``IF EXISTS`` or ``IF NOT EXISTS`` where it comes next."""
        found = self.is_next("IF") and self.is_next("NOT EXISTS", 1)
        if found:
            self.at += 3 if self.is_next("NOT", 1) else 2
        return found

    def name(self) -> Name | None:
        first = self._part()
        if first is None:
            return None
        if not self.take("."):
            return None, first
        second = self._part()
        return None if second is None else (first, second)

    def _part(self) -> str | None:
        token = self.peek()
        if token is None:
            return None
        self.at += 1
        if token.kind == "name":
            return token.value.replace("``", "`")
        if token.kind == "string" and token.value.startswith('"'):
            return token.value[1:-1].replace('""', '"')
        return token.value if token.kind == "word" else None

    def names(self) -> Iterator[Name]:
        """A list of them, as far as it is one."""
        while (name := self.name()) is not None:
            yield name
            if not self.take(","):
                return

    def items(self) -> Iterator[_Reader]:
        """The rest, where commas outside of parentheses separate it."""
        depth = 0
        item: list[_Token] = []
        for token in self.tokens[self.at :]:
            if token.kind == "mark":
                depth += (token.value == "(") - (token.value == ")")
                if token.value == "," and depth == 0:
                    if item:
                        yield _Reader(self.sql, item)
                    item = []
                    continue
            item.append(token)
        if item:
            yield _Reader(self.sql, item)


# -------------------------------------------------------------------------------------- statements

_NO_COLUMN = "INDEX KEY CONSTRAINT FOREIGN PRIMARY CHECK PARTITION UNIQUE FULLTEXT"
"""What ADD and DROP in an ALTER TABLE are for, where it is not a column."""


def _read(reader: _Reader) -> Iterator[Act]:
    if reader.take("DROP"):
        yield from _drop(reader)
    elif reader.take("ALTER"):
        yield from _alter(reader)
    elif reader.take("RENAME"):
        yield from _rename(reader)
    elif reader.take("TRUNCATE"):
        reader.take("TABLE")
        yield from _one(reader, Verb.TRUNCATE_TABLE)
    elif reader.take("CREATE"):
        yield from _create(reader)
    elif reader.take("PREPARE"):
        yield from _prepare(reader)


def _one(reader: _Reader, verb: Verb, conditional: bool = False) -> Iterator[Act]:
    name = reader.name()
    if name is not None:
        yield Act(verb, name, reader.statement, conditional=conditional)


def _create(reader: _Reader) -> Iterator[Act]:
    if reader.take("TABLE"):
        yield from _one(reader, Verb.CREATE_TABLE, reader.condition())
    elif reader.take("DATABASE SCHEMA"):
        yield from _one(reader, Verb.CREATE_DATABASE, reader.condition())


def _drop(reader: _Reader) -> Iterator[Act]:
    if reader.take("DATABASE SCHEMA"):
        yield from _one(reader, Verb.DROP_DATABASE, reader.condition())
    elif reader.take("TABLE"):
        following = reader.peek(1)
        if reader.is_next("TEMPORARY") and following is not None and following.kind != "mark":
            reader.take("TEMPORARY")  # 3.0.9 drops an ordinary table then
        conditional = reader.condition()
        for name in reader.names():
            yield Act(Verb.DROP_TABLE, name, reader.statement, conditional=conditional)


def _alter(reader: _Reader) -> Iterator[Act]:
    name = reader.name() if reader.take("TABLE") else None
    if name is None:
        return
    new_name = None
    verb = Verb.ALTER_TABLE
    for item in reader.items():
        if item.take("DROP"):
            if not item.is_next(_NO_COLUMN):
                verb = Verb.DROP_COLUMN
        elif item.take("ADD"):
            if verb is Verb.ALTER_TABLE and not item.is_next(_NO_COLUMN):
                verb = Verb.ADD_COLUMN
        elif item.take("RENAME") and not item.is_next("COLUMN INDEX KEY"):
            item.take("TO AS")
            new_name = item.name()
    if new_name is None or verb is not Verb.ALTER_TABLE:
        yield Act(verb, name, reader.statement)
    if new_name is not None:
        yield Act(Verb.RENAME_TABLE, name, reader.statement, new_name)


def _rename(reader: _Reader) -> Iterator[Act]:
    if not reader.take("TABLE"):
        return
    for item in reader.items():
        name = item.name()
        if name is not None and item.take("TO"):
            yield Act(Verb.RENAME_TABLE, name, reader.statement, item.name())


def _prepare(reader: _Reader) -> Iterator[Act]:
    """What will be executed is in a string, or follows as it is."""
    reader.at += 1
    token = reader.peek(1)
    if not reader.take("FROM") or token is None:
        return
    if token.kind == "string":
        quote = token.value[0]
        inside = token.value[1:-1].replace(quote * 2, quote)
        yield from acts(re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL))
    else:
        yield from _read(_Reader(reader.sql, reader.tokens[reader.at :]))
