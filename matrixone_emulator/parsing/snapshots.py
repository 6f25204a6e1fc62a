"""Statements about snapshots, parsed into plain data (docs/server.md, Snapshots)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..names import fold
from ..versions.rules import Rules
from .scanner import Kind, Source
from .words import Words

Level = Literal["cluster", "account", "database", "table"]


@dataclass(frozen=True)
class CreateSnapshot:
    name: str
    level: Level
    if_not_exists: bool = False
    account: str = ""
    database: str = ""
    table: str = ""


@dataclass(frozen=True)
class DropSnapshot:
    name: str
    if_exists: bool = False


@dataclass(frozen=True)
class ShowSnapshots:
    where: str = ""


@dataclass(frozen=True)
class RestoreSnapshot:
    """RESTORE from a snapshot; *account* is '' where 4.x has it from the snapshot."""

    name: str
    level: Level
    account: str = ""
    database: str = ""
    table: str = ""
    to_account: str = ""


SnapshotStatement = CreateSnapshot | DropSnapshot | ShowSnapshots | RestoreSnapshot


def parse_snapshot(source: Source, rules: Rules) -> SnapshotStatement | None:
    """Parse a statement about snapshots; None for other statements."""
    words = source.words(2)
    parser = _Parser(source, rules)
    if words == ("create", "snapshot"):
        return parser.create()
    if words == ("drop", "snapshot"):
        return parser.drop()
    if words == ("show", "snapshots"):
        return parser.show()
    if words[0] == "restore" and _is_of_snapshot(source, rules):
        return parser.restore()
    return None


def _is_of_snapshot(source: Source, rules: Rules) -> bool:
    """Whether a RESTORE can only be one from a snapshot, as far as its first words go."""
    second, fourth = source.words(2)[1], source.words(4)[3]
    if not rules.restores_by_brace:
        from_snapshot = any(
            (a.word, b.word) == ("from", "snapshot")
            for a, b in zip(source.tokens, source.tokens[1:], strict=False)
        )
        return from_snapshot and second in ("cluster", "account")
    if second == "account" and fourth == "database":
        return False
    braced = any(token.kind is Kind.OTHER and token.value == "{" for token in source.tokens)
    return second == "table" or (braced and second in ("cluster", "account", "database"))


class _Parser(Words):
    """The grammar, from the statement's second word on."""

    def __init__(self, source: Source, rules: Rules) -> None:
        super().__init__(source, rules)
        self.take()
        if self.here.word in ("snapshot", "snapshots"):
            self.take()

    def create(self) -> CreateSnapshot:
        quiet = self.accept("if", "not", "exists")
        name = self.name()
        self.expect("for")
        if self.accept("cluster"):
            found = CreateSnapshot(name, "cluster", quiet)
        elif self.accept("account"):
            account = "" if self.at_end() else self.name()
            found = CreateSnapshot(name, "account", quiet, account)
        elif self.accept("database"):
            found = CreateSnapshot(name, "database", quiet, database=self.name())
        else:
            self.expect("table")
            database, table = self.name(), self.name()
            found = CreateSnapshot(name, "table", quiet, "", database, table)
        self.end()
        return found

    def drop(self) -> DropSnapshot:
        quiet = self.accept("if", "exists")
        found = DropSnapshot(self.name(), quiet)
        self.end()
        return found

    def show(self) -> ShowSnapshots:
        found = ShowSnapshots(self.filter())
        self.end()
        return found

    def restore(self) -> RestoreSnapshot:
        found = self._braced() if self.rules.restores_by_brace else self._from_snapshot()
        self.end()
        return found

    def _from_snapshot(self) -> RestoreSnapshot:
        """The form of 3.x: the account is named at every level but the cluster's."""
        if self.accept("cluster"):
            return RestoreSnapshot(self._name_behind_from(), "cluster")
        self.expect("account")
        account = self.name()
        if self.accept("database"):
            database, table = self.name(), ""
            level: Level = "database"
            if self.accept("table"):
                level, table = "table", self.name()
            name = self._name_behind_from()
            return RestoreSnapshot(name, level, account, database, table)
        name = self._name_behind_from()
        return RestoreSnapshot(name, "account", account, to_account=self._to_account())

    def _name_behind_from(self) -> str:
        self.expect("from")
        self.expect("snapshot")
        return self.name()

    def _braced(self) -> RestoreSnapshot:
        """The form of 4.x: `database`, `account.database`, `database.table`, and a brace."""
        if self.accept("cluster"):
            return RestoreSnapshot(self._name_in_brace(), "cluster")
        if self.accept("account"):
            account = self.name()
            name = self._name_in_brace()
            return RestoreSnapshot(name, "account", account, to_account=self._to_account())
        level: Level = "database" if self.accept("database") else "table"
        if level == "table":
            self.expect("table")
        least = ("database", "table").index(level) + 1
        parts = [self.name()]
        while len(parts) <= least and (len(parts) < least or self._is(".")):
            self._mark(".")
            parts.append(self.name())
        account = parts.pop(0) if len(parts) > least else ""
        name = self._name_in_brace()
        return RestoreSnapshot(
            name, level, account, parts[0], "".join(parts[1:]), self._to_account()
        )

    def _name_in_brace(self) -> str:
        self._mark("{")
        self.expect("snapshot")
        self._mark("=")
        name = fold(self.string()) if self.here.kind is Kind.STRING else self.name()
        self._mark("}")
        return name

    def _to_account(self) -> str:
        return self.name() if self.accept("to", "account") else ""

    def _is(self, mark: str) -> bool:
        return self.here.kind is Kind.OTHER and self.here.value == mark

    def _mark(self, mark: str) -> None:
        if not self._is(mark):
            raise self.error()
        self.take()
