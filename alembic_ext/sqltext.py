"""Effects of SQL text on tables and databases, told without a server: drop, alter, rename, make,
empty.

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
"""A table: its database, where the text names one, and its own name; as written."""


class Verb(enum.Enum):
    """The effect on the object; of several the first that is listed here."""

    DROP_DATABASE = enum.auto()
    DROP_TABLE = enum.auto()
    DROP_COLUMN = enum.auto()
    EMPTY_PARTITIONS = enum.auto()
    """Some of a table's partitions are dropped or emptied, with their rows."""
    ADD_COLUMN = enum.auto()
    ALTER_TABLE = enum.auto()
    RENAME_TABLE = enum.auto()
    TRUNCATE_TABLE = enum.auto()
    CREATE_TABLE = enum.auto()
    CREATE_DATABASE = enum.auto()
    DELETE_ROWS = enum.auto()
    """All of them: without a WHERE, or with one that names no column, and is not plainly false."""
    UPDATE_ROWS = enum.auto()
    """The same."""


class Act(NamedTuple):
    """One object, and what a statement does to it.

    :ivar name: a table's; of a database the second part.
    :ivar statement: as written, comments left out at its ends.
    :ivar new_name: of a table that is renamed.
    :ivar conditional: ``IF EXISTS`` or ``IF NOT EXISTS`` is said.
    :ivar columns: that are dropped, or set by an UPDATE.
    :ivar added: columns that are added.
    :ivar renamed: columns that get another name: old and new.
    """

    verb: Verb
    name: Name
    statement: str
    new_name: Name | None = None
    conditional: bool = False
    columns: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


def acts(sql: str) -> list[Act]:
    """List what the statements of a text do, in order.

    >>> [(act.verb.name, act.name) for act in acts("DROP /* now */ TABLE shop.`a;b`; SELECT 1")]
    [('DROP_TABLE', ('shop', 'a;b'))]
    """
    if _FIRST_WORD.search(sql) is None:
        return []
    return [act for statement in _statements(sql) for act in _read(_Reader(sql, statement))]


def acts_of(element: Executable | str, dialect: Dialect) -> list[Act]:
    """List what ``op.execute(element)`` does; what the dialect cannot compile does nothing."""
    return acts(_compiled(element, dialect))


def _compiled(element: Executable | str, dialect: Dialect) -> str:
    clause = text(element) if isinstance(element, str) else element
    if not isinstance(clause, ClauseElement):
        return ""
    try:
        compiled = str(clause.compile(dialect=dialect))
    except SQLAlchemyError:
        return ""
    return as_sent(compiled, dialect)


def as_sent(statement: str, dialect: Dialect) -> str:
    """A statement for a driver, as the server reads it: some drivers take ``%%`` for ``%``."""
    return statement.replace("%%", "%") if dialect.paramstyle.endswith("format") else statement


# ----------------------------------------------------------------------------------------- tokens

_FIRST_WORD = re.compile(
    r"\b(?:ALTER|CREATE|DELETE|DROP|PREPARE|RENAME|TRUNCATE|UPDATE)\b", re.IGNORECASE
)

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


def _deeper(token: _Token) -> int:
    return (token.value == "(") - (token.value == ")") if token.kind == "mark" else 0


@dataclass
class _Reader:
    """The tokens of one statement, taken from the front."""

    sql: str
    tokens: list[_Token]
    at: int = 0

    @property
    def statement(self) -> str:
        return self.sql[self.tokens[0].start : self.tokens[-1].end] if self.tokens else ""

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

    def column(self) -> str | None:
        """A column's name, without what qualifies it."""
        found = self._part()
        while found is not None and self.take("."):
            found = self._part()
        return found

    def before_mark(self, mark: str) -> list[str]:
        """The parts of a name that comes before a mark; none where something else does."""
        parts = []
        while (part := self._part()) is not None:
            parts.append(part)
            if not self.take("."):
                return parts if self.take(mark) else []
        return []

    def names(self) -> Iterator[Name]:
        """A list of them, as far as it is one."""
        while (name := self.name()) is not None:
            yield name
            if not self.take(","):
                return

    def before(self, words: str) -> _Reader:
        """Take what comes before one of the words outside of parentheses, or all of the rest."""
        depth, start = 0, self.at
        while (token := self.peek()) is not None:
            if depth == 0 and token.kind == "word" and self.is_next(words):
                break
            depth += _deeper(token)
            self.at += 1
        return _Reader(self.sql, self.tokens[start : self.at])

    def items(self) -> Iterator[_Reader]:
        """The rest, where commas outside of parentheses separate it."""
        depth = 0
        item: list[_Token] = []
        for token in self.tokens[self.at :]:
            if token.kind == "mark":
                depth += _deeper(token)
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
"""Words after ADD and DROP in an ALTER TABLE that say that it is no column."""


def _read(reader: _Reader) -> Iterator[Act]:
    if reader.take("DESC DESCRIBE EXPLAIN") and not _executes(reader.before(_EXPLAINED)):
        return
    if reader.is_next("WITH"):
        reader.before("DELETE INSERT REPLACE SELECT UPDATE")
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
    elif reader.take("DELETE"):
        yield from _delete(reader)
    elif reader.take("UPDATE"):
        yield from _update(reader)
    elif reader.take("PREPARE"):
        yield from _prepare(reader)


_EXPLAINED = "DELETE INSERT REPLACE SELECT UPDATE WITH"


def _executes(options: _Reader) -> bool:
    """Whether an EXPLAIN with these options executes its statement."""
    return any(token.value.upper() in ("ANALYZE", "PHYPLAN") for token in options.tokens)


def _create(reader: _Reader) -> Iterator[Act]:
    if reader.take("DATABASE SCHEMA"):
        yield from _one(reader, Verb.CREATE_DATABASE, reader.condition())
        return
    reader.take("EXTERNAL TEMPORARY")
    if reader.take("TABLE"):
        yield from _one(reader, Verb.CREATE_TABLE, reader.condition())


def _one(reader: _Reader, verb: Verb, conditional: bool = False) -> Iterator[Act]:
    name = reader.name()
    if name is not None:
        yield Act(verb, name, reader.statement, conditional=conditional)


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
    dropped: list[str] = []
    added: list[str] = []
    renamed: list[tuple[str, str]] = []
    for item in reader.items():
        if item.is_next("DROP TRUNCATE") and item.is_next("PARTITION", 1):
            yield Act(Verb.EMPTY_PARTITIONS, name, reader.statement)
        elif item.take("DROP"):
            if not item.is_next(_NO_COLUMN):
                verb = Verb.DROP_COLUMN
                item.take("COLUMN")
                item.condition()
                dropped += filter(None, [item.column()])
        elif item.take("ADD"):
            if not item.is_next(_NO_COLUMN):
                verb = Verb.ADD_COLUMN if verb is Verb.ALTER_TABLE else verb
                added += _added(item)
        elif item.is_next("CHANGE") or (item.is_next("RENAME") and item.is_next("COLUMN", 1)):
            item.take("CHANGE RENAME")
            item.take("COLUMN")
            old = item.column()
            item.take("TO")
            new = item.column()
            if old is not None and new is not None:
                renamed.append((old, new))
        elif item.take("RENAME") and not item.is_next("INDEX KEY"):
            item.take("TO AS")
            new_name = _new_name(name, item)
    if new_name is None or verb is not Verb.ALTER_TABLE or renamed:
        yield Act(
            verb,
            name,
            reader.statement,
            columns=tuple(dropped),
            added=tuple(added),
            renamed=tuple(renamed),
        )
    if new_name is not None:
        yield Act(Verb.RENAME_TABLE, name, reader.statement, new_name)


def _added(item: _Reader) -> Iterator[str]:
    """The columns of an ADD: one, or several in parentheses."""
    item.take("COLUMN")
    item.condition()
    if not item.take("("):
        yield from filter(None, [item.column()])
        return
    for one in item.items():
        if not one.is_next(_NO_COLUMN):
            yield from filter(None, [one.column()])


def _rename(reader: _Reader) -> Iterator[Act]:
    if not reader.take("TABLE"):
        return
    for item in reader.items():
        name = item.name()
        if name is not None and item.take("TO"):
            yield Act(Verb.RENAME_TABLE, name, reader.statement, _new_name(name, item))


def _new_name(old: Name, item: _Reader) -> Name | None:
    """The table stays in its database, whatever the new name says: docs/server.md, Object ids."""
    name = item.name()
    return None if name is None else (old[0], name[1])


# -- rows

_NO_ALIAS = (
    "AS CROSS FORCE FULL IGNORE INNER JOIN LEFT LIMIT NATURAL ON ORDER OUTER PARTITION RIGHT SET "
    "STRAIGHT_JOIN USE USING WHERE"
)
"""Words that follow a table's name, and are no other name for it."""

_HINTS = "IGNORE LOW_PRIORITY QUICK"


def _delete(reader: _Reader) -> Iterator[Act]:
    """``DELETE FROM t``, ``DELETE a, b FROM t AS a JOIN ...``, ``DELETE FROM a, b USING t ...``."""
    while reader.take(_HINTS):
        pass
    named = reader.before("FROM")
    reader.take("FROM")
    tables = reader.before("LIMIT ORDER USING WHERE")
    if reader.take("USING"):
        named, tables = tables, reader.before("LIMIT ORDER WHERE")
    if _is_limited(reader):
        return
    known = _references(tables)
    if not named.tokens:
        names = [name for name, _ in known[:1]]
    else:
        names = [_referred(name, known) for item in named.items() if (name := item.name())]
    for name in names:
        yield Act(Verb.DELETE_ROWS, name, reader.statement)


def _update(reader: _Reader) -> Iterator[Act]:
    """``UPDATE a JOIN b ON ... SET a.x = 1, y = 2``; ``y`` may be of any of them."""
    while reader.take(_HINTS):
        pass
    known = _references(reader.before("SET"))
    reader.take("SET")
    settings = reader.before("LIMIT ORDER WHERE")
    if _is_limited(reader):
        return
    columns: dict[Name, list[str]] = {}
    for item in settings.items():
        path = item.before_mark("=")
        column = path.pop() if path else None
        if column is None:
            continue
        for name, alias in known:
            if not path or path == [alias] or path == [part for part in name if part]:
                columns.setdefault(name, []).append(column)
    for name, found in columns.items():
        yield Act(Verb.UPDATE_ROWS, name, reader.statement, columns=tuple(found))


def _references(reader: _Reader) -> list[tuple[Name, str]]:
    """The tables of a FROM, and what each is called there."""
    found = []
    expected = True
    while reader.peek() is not None:
        if reader.take(",") or reader.take("JOIN STRAIGHT_JOIN"):
            expected = True
        elif expected and reader.is_next("("):
            reader.at += 1
        elif expected and (name := reader.name()) is not None:
            expected = False
            while reader.take("{"):  # a moment comes before the other name
                while reader.peek() is not None and not reader.take("}"):
                    reader.at += 1
            reader.take("AS")
            following = reader.peek()
            named = following is not None and (
                following.kind == "name"
                or (following.kind == "word" and not reader.is_next(_NO_ALIAS))
            )
            alias = reader.column() if named else None
            found.append((name, alias or name[1]))
        else:
            reader.at += 1
    return found


def _referred(name: Name, known: list[tuple[Name, str]]) -> Name:
    return next((table for table, alias in known if name == (None, alias)), name)


_OF_CONSTANTS = "AND BETWEEN DIV ESCAPE FALSE IN IS LIKE MOD NOT NULL OR REGEXP RLIKE TRUE XOR"
"""Words of a condition that names no column."""

_NUMBER = re.compile(r"\d+(e\d+)?|0x[\da-f]+|0b[01]+", re.IGNORECASE)


def _is_limited(reader: _Reader) -> bool:
    """Whether a WHERE comes next that may leave some rows out."""
    if not reader.take("WHERE"):
        return False
    tokens = reader.before("LIMIT ORDER").tokens
    while len(tokens) > 2 and (tokens[0].value, tokens[-1].value) == ("(", ")"):
        tokens = tokens[1:-1]
    return not all(map(_is_constant, tokens)) or _is_false([token.value for token in tokens])


def _is_constant(token: _Token) -> bool:
    """Whether a token is of no column; what a parameter or a variable is, is not told."""
    if token.kind == "word":
        return (
            token.value.upper() in _OF_CONSTANTS.split()
            or _NUMBER.fullmatch(token.value) is not None
        )
    return token.kind == "string" or (token.kind == "mark" and token.value not in "?:@")


def _is_false(words: list[str]) -> bool:
    """Whether a condition of constants is plainly false: ``0``, ``FALSE``, ``1 = 0``."""
    if len(words) == 1:
        return words[0].upper() in ("0", "FALSE", "NULL")
    return len(words) == 3 and words[1] == "=" and words[0] != words[2]


def _prepare(reader: _Reader) -> Iterator[Act]:
    """Find the text that a PREPARE will execute: in a string, or as it is."""
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
