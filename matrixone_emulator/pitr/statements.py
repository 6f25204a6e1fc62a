"""Execution of the PITR statements of one session."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Protocol

from ..clock import Clock
from ..parsing import grammar, snapshots
from ..statements.storage import Result, Storage, StorageSession
from ..system.accounts import SYS_ID, Accounts, Identity
from ..versions.rules import Rules
from . import internal, recovery_windows, show_pitr
from .catalog import Catalog
from .create import create_pitr
from .restore.from_snapshot import restore_from_snapshot
from .restore.statement import restore
from .snapshots import (
    DATABASE,
    TABLE,
    create_snapshot,
    drop_snapshot,
    shown_columns,
    shown_rows,
)


class Server(Protocol):
    """The part of the server that PITR statements use."""

    rules: Rules
    clock: Clock
    storage: Storage
    accounts: Accounts
    catalog: Catalog
    order: random.Random


class SessionInfo(Protocol):
    """The part of a session that PITR statements use."""

    identity: Identity
    time_zone: datetime.tzinfo
    deadline_seconds: float


class PitrStatements:
    """The PITR statements of one session; also finds the objects that they name."""

    def __init__(self, server: Server, storage: StorageSession, session: SessionInfo) -> None:
        self._server = server
        self._storage = storage
        self._session = session
        self._internal = internal.InternalStatements(server.catalog, server.rules)

    @property
    def _who(self) -> Identity:
        return self._session.identity

    def execute(self, stmt: grammar.Statement, object_id: int | None = None) -> Result:
        """Execute *stmt* or raise. *object_id*: found by PREPARE, for INTERNAL of 3.x."""
        server = self._server
        match stmt:
            case grammar.CreatePitr():
                if server.rules.creation_waits_for_rebuild:
                    self._wait_for_publication(hold=stmt.internal)
                if stmt.internal:
                    if object_id is None or server.rules.internal_checked_when_executed:
                        object_id = internal.check(self._who, stmt, self)
                    action = self._internal.create(self._who, stmt, object_id)
                    self._storage.commit_actions.append(action)
                else:
                    create_pitr(server.catalog, self._who, stmt, self)
            case grammar.AlterPitr():
                server.catalog.alter(self._who, stmt)
            case grammar.DropPitr(internal=True):
                self._storage.commit_actions.append(self._internal.drop(self._who, stmt))
            case grammar.DropPitr():
                server.catalog.drop(self._who, stmt)
            case grammar.RestorePitr():
                self._restore(
                    lambda: restore(
                        self._who,
                        stmt,
                        server.catalog,
                        server.accounts,
                        self._storage,
                        server.clock,
                    )
                )
            case grammar.ShowPitr():
                return self._show_pitrs(stmt.where)
            case grammar.ShowRecoveryWindow():
                return Result(
                    recovery_windows.columns(server.rules),
                    recovery_windows.rows(
                        self._who,
                        stmt,
                        self._kept_by(),
                        self._tables_at,
                        server.clock,
                        server.rules,
                        server.order,
                    ),
                )
            case snapshots.CreateSnapshot():
                create_snapshot(
                    server.storage.snapshots, self._who, stmt, self, server.clock, server.rules
                )
            case snapshots.DropSnapshot():
                drop_snapshot(server.storage.snapshots, self._who, stmt)
            case snapshots.ShowSnapshots():
                return self._show_snapshots(stmt.where)
            case snapshots.RestoreSnapshot():
                self._restore(
                    lambda: restore_from_snapshot(self._who, stmt, server.accounts, self._storage)
                )
        return Result([], [])

    def _wait_for_publication(self, *, hold: bool) -> None:
        """Wait for rebuilds: from 4.2 on they and a new PITR wait for each other."""
        account, locks = self._who.account_id, self._server.storage.locks
        seconds, gone = self._session.deadline_seconds, self._storage.interrupted.is_set
        for key in ("rebuild", "publishing"):
            locks.wait_free(self._storage, (key, account), seconds, gone)
        if hold:
            locks.acquire(self._storage, ("publishing", account), seconds, gone)

    def _restore(self, work: Callable[[], None]) -> None:
        """Restore in a transaction of its own; the session's is empty, and goes on."""
        self._storage.rollback()
        try:
            work()
        finally:
            self._storage.begin()

    def _show_pitrs(self, where: str) -> Result:
        columns = show_pitr.columns(self._server.rules, filtered=bool(where))
        if where:
            table = f"{show_pitr.DATABASE}.{show_pitr.TABLE}"
            found = self._storage.execute(f"SELECT * FROM {table} WHERE ({where})")
            return Result(columns, found.rows)
        return Result(columns, self.listed())

    def _show_snapshots(self, where: str) -> Result:
        columns = shown_columns(self._server.rules, filtered=bool(where))
        if where:
            found = self._storage.execute(f"SELECT * FROM {DATABASE}.{TABLE} WHERE ({where})")
            return Result(columns, found.rows)
        return Result(columns, self.listed_snapshots())

    def listed_snapshots(self) -> list[tuple[object, ...]]:
        """The session's own snapshots, as SHOW SNAPSHOTS gives them."""
        return shown_rows(self._server.storage.snapshots.made_by(self._who.account_id))

    def listed(self) -> list[tuple[object, ...]]:
        """The session's own PITRs, as SHOW PITR gives them."""
        server = self._server
        return show_pitr.rows(
            self._who, server.catalog.rows(), self._session.time_zone, server.rules
        )

    def _kept_by(self) -> recovery_windows.KeptBy:
        made = self._server.storage.snapshots.made_by(self._who.account_id)
        return recovery_windows.KeptBy(self._server.catalog.rows(), made)

    def _tables_at(self, account_id: int, at: int) -> list[tuple[str, str]]:
        """The rows of mo_tables: indexes' hidden tables are there, too."""
        return self._storage.relations(account_id, at)

    def find_account_id(self, name: str) -> int | None:
        account = self._server.accounts.find(name)
        return None if account is None else account.id

    def find_database_id(self, name: str) -> int | None:
        """Find a database; for sys of every account, as the server's look-up names no account."""
        for account_id in self._searched():
            found = self._storage.find_database(name, account_id=account_id)
            if found is not None:
                return found.id
        return None

    def find_table_id(self, database: str, name: str) -> int | None:
        """Find a table; for sys of 2.x of every account too."""
        every = self._server.rules.sys_finds_all_tables
        for account_id in self._searched() if every else [self._who.account_id]:
            found = self._storage.find_table(database, name, account_id=account_id)
            if found is not None:
                return found.logical_id if self._server.rules.logical_ids else found.id
        return None

    def present_database_id(self, name: str) -> int | None:
        found = self._storage.find_database(name)
        return None if found is None else found.id

    def present_table_id(self, database: str, name: str) -> int | None:
        found = self._storage.find_table(database, name)
        return None if found is None else found.id

    def _searched(self) -> list[int]:
        if self._who.account_id != SYS_ID:
            return [self._who.account_id]
        return [account.id for account in self._server.accounts.all()]
