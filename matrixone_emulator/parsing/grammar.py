"""PITR statements, parsed into plain data or refused with 1064 (docs/server.md, Grammar)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import SqlError
from ..versions.rules import Rules
from .scanner import Kind, Source, Token, fold

Level = Literal["cluster", "account", "database", "table"]


@dataclass(frozen=True)
class CreatePitr:
    name: str
    level: Level
    length: int
    unit: str
    if_not_exists: bool = False
    account: str = ""
    database: str = ""
    table: str = ""
    internal: bool = False


@dataclass(frozen=True)
class AlterPitr:
    name: str
    length: int
    unit: str
    if_exists: bool = False


@dataclass(frozen=True)
class DropPitr:
    name: str
    if_exists: bool = False
    internal: bool = False


@dataclass(frozen=True)
class ShowPitr:
    where: str = ""


@dataclass(frozen=True)
class ShowRecoveryWindow:
    level: Level
    account: str = ""
    database: str = ""
    table: str = ""


@dataclass(frozen=True)
class RestorePitr:
    name: str
    time: str
    level: Level
    account: str = ""
    source_account: str = ""
    database: str = ""
    table: str = ""


Statement = CreatePitr | AlterPitr | DropPitr | ShowPitr | ShowRecoveryWindow | RestorePitr

# What ends an expression, so that nothing but the expression gets into the query it filters.
_AFTER_EXPRESSION = frozenset(
    ("order", "limit", "group", "having", "union", "except", "intersect", "for", "into", "window")
)
_FIRST = {
    ("create", "pitr"),
    ("alter", "pitr"),
    ("drop", "pitr"),
    ("show", "pitr"),
    ("show", "recovery_window"),
}


def parse(source: Source, rules: Rules) -> Statement | None:
    """Parse the PITR statement in *source*; None for other statements, 1064 for a malformed one."""
    words = source.words(3)
    if words == ("show", "create", "pitr"):
        raise source.error(source.tokens[2])
    if words[:2] in _FIRST or (words[0] == "restore" and _names_pitr(source)):
        return _Parser(source, rules).statement()
    return None


def _names_pitr(source: Source) -> bool:
    """Whether a RESTORE is FROM PITR; RESTORE ... FROM SNAPSHOT is another statement."""
    return not any(
        (a.word == "from" or a.value == "{") and b.word == "snapshot"
        for a, b in zip(source.tokens, source.tokens[1:], strict=False)
    )


class _Parser:
    def __init__(self, source: Source, rules: Rules) -> None:
        self._source = source
        self._rules = rules
        self._at = 0

    @property
    def _here(self) -> Token:
        return self._source.tokens[self._at]

    def _peek(self, word: str, ahead: int = 0) -> bool:
        at = self._at + ahead
        return at < len(self._source.tokens) and self._source.tokens[at].word == word

    def _error(self) -> SqlError:
        return self._source.error(self._here)

    def _take(self) -> Token:
        token = self._here
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def _accept(self, *words: str) -> bool:
        if not self._peek(words[0]):
            return False
        for word in words:
            self._expect(word)
        return True

    def _expect(self, word: str) -> None:
        if not self._peek(word):
            raise self._error()
        self._take()

    def _name(self) -> str:
        """An identifier, folded: every identifier is lower-cased, back-quoted or not."""
        token = self._here
        reserved = token.word in self._rules.reserved
        if token.kind is Kind.QUOTED or (token.kind is Kind.WORD and not reserved):
            return fold(self._take().value)
        raise self._error()

    def _string(self) -> str:
        if self._here.kind is not Kind.STRING:
            raise self._error()
        return self._take().value

    def _range(self) -> tuple[int, str]:
        self._expect("range")
        if self._here.kind is not Kind.INTEGER:
            raise self._error()
        length = int(self._take().value)
        if length >= 1 << 63:
            # The server's parser panics here, and sends a stack behind this line.
            raise SqlError(
                self._rules.huge_range_code,
                "internal error: panic interface conversion: interface {} is uint64, not int64: ",
            )
        return length, self._string()

    def _end(self) -> None:
        if not self._at_end():
            raise self._error()

    def _at_end(self) -> bool:
        return self._here.kind is Kind.END

    def statement(self) -> Statement:
        verb = self._take().word
        if verb == "restore":
            found: Statement = self._restore()
        else:
            noun = self._take().word
            if noun == "recovery_window":
                found = self._window()
            else:
                rules: dict[str, Callable[[], Statement]] = {
                    "create": self._create,
                    "alter": self._alter,
                    "drop": self._drop,
                    "show": self._show,
                }
                found = rules[verb]()
        self._end()
        return found

    def _create(self) -> CreatePitr:
        quiet = self._accept("if", "not", "exists")
        name = self._name()
        level: Level = "account"
        account = database = table = ""
        if self._accept("for"):
            if self._accept("cluster"):
                level = "cluster"
            elif self._accept("account"):
                if not self._peek("range") or self._peek("range", 1):
                    account = self._name()
            elif self._accept("database"):
                level, database = "database", self._name()
                if self._accept("table"):
                    level, table = "table", self._name()
            elif self._accept("table"):
                level, database, table = "table", self._name(), self._name()
            else:
                raise self._error()
        length, unit = self._range()
        internal = self._internal()
        return CreatePitr(name, level, length, unit, quiet, account, database, table, internal)

    def _alter(self) -> AlterPitr:
        quiet = self._accept("if", "exists")
        name = self._name()
        length, unit = self._range()
        return AlterPitr(name, length, unit, quiet)

    def _drop(self) -> DropPitr:
        quiet = self._accept("if", "exists")
        name = self._name()
        return DropPitr(name, quiet, self._internal())

    def _internal(self) -> bool:
        return self._rules.internal_pitrs and self._accept("internal")

    def _show(self) -> ShowPitr:
        if not self._accept("where"):
            return ShowPitr()
        expression = self._source.tokens[self._at : -1]
        depth = 0
        for token in expression:
            brackets = token.kind is Kind.OTHER
            depth += {"(": 1, ")": -1}.get(token.value, 0) if brackets else 0
            behind = depth == 0 and token.word in _AFTER_EXPRESSION
            if token.kind is Kind.ERROR or depth < 0 or behind:
                raise self._source.error(token)
        self._at = len(self._source.tokens) - 1
        if not expression or depth:
            raise self._error()
        return ShowPitr(self._source.text(expression[0].start, expression[-1].end))

    def _window(self) -> ShowRecoveryWindow:
        self._expect("for")
        if self._accept("account"):
            account = "" if self._at_end() else self._name()
            return ShowRecoveryWindow("account", account)
        if self._accept("database"):
            return ShowRecoveryWindow("database", database=self._name())
        self._expect("table")
        return ShowRecoveryWindow("table", database=self._name(), table=self._name())

    def _from_pitr(self) -> tuple[str, str]:
        self._expect("from")
        self._expect("pitr")
        return self._name(), self._string()

    def _restore(self) -> RestorePitr:
        if self._peek("from"):
            return RestorePitr(*self._from_pitr(), "account")
        if self._accept("cluster"):
            return RestorePitr(*self._from_pitr(), "cluster")
        account = ""
        if self._accept("account"):
            account = self._name()
            if not self._peek("database"):
                return self._restore_account(account)
        if self._rules.restore_table_keyword and self._accept("table"):
            # RESTORE TABLE is of 4.x, but not for PITRs.
            self._name()
            raise self._error()
        self._expect("database")
        database, table = self._name(), ""
        level: Level = "database"
        if self._accept("table"):
            level, table = "table", self._name()
        if account and not self._rules.restores_own_account_parts:
            # There this form is for snapshots only.
            self._expect("from")
            raise self._error()
        name, time = self._from_pitr()
        return RestorePitr(name, time, level, account, "", database, table)

    def _restore_account(self, account: str) -> RestorePitr:
        name, time = self._from_pitr()
        origin = ""
        named = self._accept("as")
        if named or not self._at_end():
            is_string = self._here.kind is Kind.STRING
            origin = fold(self._string()) if is_string else self._name()
        return RestorePitr(name, time, "account", account, origin)
