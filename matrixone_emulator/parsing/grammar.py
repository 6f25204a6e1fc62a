"""PITR statements, parsed into plain data or refused with 1064 (docs/server.md, Grammar).

Those about snapshots are parsed by `snapshots`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import SqlError
from ..names import fold
from ..versions.rules import Rules
from .scanner import Kind, Source
from .snapshots import Level, SnapshotStatement, parse_snapshot
from .words import Words


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


PitrStatement = CreatePitr | AlterPitr | DropPitr | ShowPitr | ShowRecoveryWindow | RestorePitr

Statement = PitrStatement | SnapshotStatement

_FIRST = {
    ("create", "pitr"),
    ("alter", "pitr"),
    ("drop", "pitr"),
    ("show", "pitr"),
    ("show", "recovery_window"),
}


def parse(source: Source, rules: Rules) -> Statement | None:
    """Parse the statement about PITRs or snapshots; None for others, 1064 for a malformed one."""
    words = source.words(3)
    if words == ("show", "create", "pitr"):
        raise source.error(source.tokens[2])
    snapshot = parse_snapshot(source, rules)
    if snapshot is not None:
        return snapshot
    if words[:2] in _FIRST or words[0] == "restore":
        return _Parser(source, rules).statement()
    return None


class _Parser(Words):
    def _range(self) -> tuple[int, str]:
        self.expect("range")
        if self.here.kind is not Kind.INTEGER:
            raise self.error()
        length = int(self.take().value)
        if length >= 1 << 63:
            # The server's parser panics here, and sends a stack behind this line.
            raise SqlError(
                self.rules.panic_code,
                "internal error: panic interface conversion: interface {} is uint64, not int64: ",
            )
        return length, self.string()

    def statement(self) -> PitrStatement:
        verb = self.take().word
        if verb == "restore":
            found: PitrStatement = self._restore()
        else:
            noun = self.take().word
            if noun == "recovery_window":
                found = self._window()
            else:
                rules: dict[str, Callable[[], PitrStatement]] = {
                    "create": self._create,
                    "alter": self._alter,
                    "drop": self._drop,
                    "show": self._show,
                }
                found = rules[verb]()
        self.end()
        return found

    def _create(self) -> CreatePitr:
        quiet = self.accept("if", "not", "exists")
        name = self.name()
        level: Level = "account"
        account = database = table = ""
        if self.accept("for"):
            if self.accept("cluster"):
                level = "cluster"
            elif self.accept("account"):
                if not self.peek("range") or self.peek("range", 1):
                    account = self.name()
            elif self.accept("database"):
                level, database = "database", self.name()
                if self.accept("table"):
                    level, table = "table", self.name()
            elif self.accept("table"):
                level, database, table = "table", self.name(), self.name()
            else:
                raise self.error()
        length, unit = self._range()
        internal = self._internal()
        return CreatePitr(name, level, length, unit, quiet, account, database, table, internal)

    def _alter(self) -> AlterPitr:
        quiet = self.accept("if", "exists")
        name = self.name()
        length, unit = self._range()
        return AlterPitr(name, length, unit, quiet)

    def _drop(self) -> DropPitr:
        quiet = self.accept("if", "exists")
        name = self.name()
        return DropPitr(name, quiet, self._internal())

    def _internal(self) -> bool:
        return self.rules.internal_pitrs and self.accept("internal")

    def _show(self) -> ShowPitr:
        return ShowPitr(self.filter())

    def _window(self) -> ShowRecoveryWindow:
        self.expect("for")
        if self.accept("account"):
            account = "" if self.at_end() else self.name()
            return ShowRecoveryWindow("account", account)
        if self.accept("database"):
            return ShowRecoveryWindow("database", database=self.name())
        self.expect("table")
        return ShowRecoveryWindow("table", database=self.name(), table=self.name())

    def _from_pitr(self) -> tuple[str, str]:
        self.expect("from")
        self.expect("pitr")
        return self.name(), self.string()

    def _restore(self) -> RestorePitr:
        if self.peek("from"):
            return RestorePitr(*self._from_pitr(), "account")
        if self.accept("cluster"):
            return RestorePitr(*self._from_pitr(), "cluster")
        account = ""
        if self.accept("account"):
            account = self.name()
            if not self.peek("database"):
                return self._restore_account(account)
        self.expect("database")
        database, table = self.name(), ""
        level: Level = "database"
        if self.accept("table"):
            level, table = "table", self.name()
        if account and not self.rules.restores_own_account_parts:
            # There this form is for snapshots only.
            self.expect("from")
            raise self.error()
        name, time = self._from_pitr()
        return RestorePitr(name, time, level, account, "", database, table)

    def _restore_account(self, account: str) -> RestorePitr:
        name, time = self._from_pitr()
        origin = ""
        named = self.accept("as")
        if named or not self.at_end():
            is_string = self.here.kind is Kind.STRING
            origin = fold(self.string()) if is_string else self.name()
        return RestorePitr(name, time, "account", account, origin)
