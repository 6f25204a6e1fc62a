"""The forms of SHOW and DESCRIBE that the server parses, and the parser for them.

A form is a line of words and slots: `WORD`, `[WORD]` may be left out, `A|B` is one of them, and
`of` (FROM or IN a table), `[from]` (FROM or IN a database), `table`, `name`, `[name]`, `[like]`,
`[where]`, `[limit]` and `[at]` (a brace part) are filled in. The server can show many things
that the emulator cannot: a form without a handler is known, and refused as unsupported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..errors import SqlError
from ..names import fold
from ..versions.rules import Rules
from .lexer import Token, check_brace, syntax_error, unquote

_FORMS = """
    [FULL] TABLES [from] [like] [where] [at]
    OPEN [FULL] TABLES [from] [like] [where]
    DATABASES [like] [where] [at]
    SCHEMAS [like] [where]
    [EXTENDED] [FULL] COLUMNS|FIELDS of [from] [like] [where]
    [EXTENDED] INDEX|INDEXES|KEYS of [from] [where]
    [GLOBAL|SESSION] VARIABLES [like] [where]
    [GLOBAL|SESSION] STATUS [like] [where]
    COLLATION [like] [where]
    CHARSET [like] [where]
    CHARACTER|CHAR SET [like] [where]
    TABLE STATUS [from] [like] [where]
    ENGINES [like] [where]
    PLUGINS [like] [where]
    PRIVILEGES [like] [where]
    PROFILES [like] [where]
    CONFIG [like] [where]
    TRIGGERS [from] [like] [where]
    EVENTS [from] [like] [where]
    WARNINGS [limit]
    ERRORS [limit]
    CREATE TABLE table [at]
    CREATE VIEW table [at]
    CREATE DATABASE [exists] name [at]
    CREATE PUBLICATION name
    FUNCTION STATUS [like] [where]
    PROCEDURE STATUS [like] [where]
    SEQUENCES [from] [where]
    [FULL] PROCESSLIST
    GRANTS [rest]
    ROLES [like]
    NODE LIST
    LOCKS
    TABLE_NUMBER [from]
    COLUMN_NUMBER of [from]
    TABLE_VALUES of [from]
    TABLE_SIZE of [from]
    ACCOUNTS [like]
    PUBLICATIONS [like]
    SUBSCRIPTIONS [ALL] [like]
    UPGRADE
    BACKEND SERVERS
    STAGES [like]
    SNAPSHOTS [where]
    CDC ALL
    CDC TASK name
    LOGSERVICE REPLICAS|STORES|SETTINGS
"""


@dataclass
class Shown:
    """A SHOW as data; *form* is the words that were written, without the optional ones."""

    form: str = ""
    options: set[str] = field(default_factory=set)
    database: str = ""
    table: str = ""
    pattern: str | None = None
    condition: list[Token] = field(default_factory=list)
    moment: str = ""


def read_show(statement: str, found: list[Token], rules: Rules) -> Shown:
    """Parse a SHOW; 1064 at the word that no form has there."""
    furthest = 1
    first = found[1].upper if len(found) > 1 else ""
    for parts, begins in _forms(rules.more_shows):
        if begins and first not in begins:
            continue
        reader = _Reader(statement, found, rules)
        if reader.reads(parts):
            return reader.shown
        furthest = max(furthest, reader.at)
    raise _error(statement, found, furthest)


@functools.cache
def _forms(more: tuple[str, ...]) -> list[tuple[list[str], frozenset[str]]]:
    """The parts of each form, and the words that it begins with; none where these may be absent."""
    forms = []
    for line in (*_FORMS.strip().splitlines(), *more):
        parts = line.split()
        fixed = parts[0].isupper() and not parts[0].startswith("[")
        forms.append((parts, frozenset(parts[0].split("|") if fixed else ())))
    return forms


def read_describe(statement: str, found: list[Token], rules: Rules) -> Shown:
    """Parse a DESCRIBE of a table; *table* may be followed by a column, which says nothing."""
    reader = _Reader(statement, found, rules)
    if reader.reads(["table", "[column]"]):
        return reader.shown
    raise _error(statement, found, reader.at)


def _error(statement: str, found: list[Token], at: int) -> SqlError:
    start = found[at].start if at < len(found) else len(statement)
    return syntax_error(statement, found, start)


class _Reader:
    """Match a statement with one form; `at` is where it stopped."""

    def __init__(self, statement: str, found: list[Token], rules: Rules) -> None:
        self.statement, self.tokens, self.rules = statement, found, rules
        self.shown = Shown()
        self.at = 1

    def reads(self, parts: Iterable[str]) -> bool:
        """Whether these parts are the whole statement."""
        return all(map(self._part, parts)) and self.at == len(self.tokens)

    def _part(self, part: str) -> bool:
        optional = part.startswith("[")
        part = part.strip("[]")
        if part.islower():
            before = self.at
            slot: Callable[[], bool] = getattr(self, f"_{part}")
            return slot() or (optional and self.at == before)
        if self._accept(*part.split("|")):
            word = self.tokens[self.at - 1].upper
            if optional:
                self.shown.options.add(word)
            else:
                self.shown.form = f"{self.shown.form} {word}".strip()
            return True
        return optional

    def _accept(self, *words: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].upper in words:
            self.at += 1
            return True
        return False

    def _kind(self) -> str:
        return self.tokens[self.at].kind if self.at < len(self.tokens) else "end"

    # -- slots -------------------------------------------------------------------------

    def _identifier(self) -> str:
        """Read a name, in lower case; '' if there is none."""
        if self._kind() not in ("word", "quoted"):
            return ""
        token = self.tokens[self.at]
        if token.kind == "word" and token.text.lower() in self.rules.reserved - {"id"}:
            return ""
        self.at += 1
        return fold(token.name)

    def _name(self) -> bool:
        self.shown.database = self._identifier()
        return bool(self.shown.database)

    def _table(self) -> bool:
        self.shown.table = self._identifier()
        if self.shown.table and self._accept("."):
            self.shown.database, self.shown.table = self.shown.table, self._identifier()
        return bool(self.shown.table)

    def _column(self) -> bool:
        return bool(self._identifier())

    def _of(self) -> bool:
        return self._accept("FROM", "IN") and self._table()

    def _from(self) -> bool:
        return self._accept("FROM", "IN") and self._name()

    def _exists(self) -> bool:
        return self._accept("IF") and self._accept("NOT") and self._accept("EXISTS")

    def _like(self) -> bool:
        if not self._accept("LIKE"):
            return False
        if self._kind() != "string":
            return False
        self.shown.pattern = unquote(self.tokens[self.at].text)
        self.at += 1
        return True

    def _where(self) -> bool:
        if not self._accept("WHERE"):
            return False
        end = len(self.tokens)
        if self.tokens[end - 1].kind == "brace":
            end -= 1
        self.shown.condition = self.tokens[self.at : end]
        self.at = end
        return bool(self.shown.condition)

    def _at(self) -> bool:
        if self._kind() != "brace":
            return False
        check_brace(self.statement, self.tokens[self.at])
        self.shown.moment = self.tokens[self.at].text[1:-1]
        self.at += 1
        return True

    def _limit(self) -> bool:
        if not self._accept("LIMIT"):
            return False
        self.shown.options.add("LIMIT")
        self.at = len(self.tokens)
        return True

    def _rest(self) -> bool:
        self.at = len(self.tokens)
        return True
