"""RESTORE from a snapshot: its checks, then the same work as from a PITR.

docs/server.md, Snapshots.
"""

from __future__ import annotations

from ...errors import SqlError
from ...functions.registry import like
from ...parsing.redact import unsupported
from ...parsing.snapshots import RestoreSnapshot
from ...statements.storage import StorageSession
from ...storage.snapshots import Snapshot
from ...system.accounts import SYS, SYS_ID, Accounts, Identity
from ...versions.rules import Rules
from ..rows import SYSTEM_DATABASES
from .objects import restore_account, restore_database, restore_table


def restore_from_snapshot(
    who: Identity, stmt: RestoreSnapshot, accounts: Accounts, storage: StorageSession
) -> None:
    """Run *stmt* in a transaction of its own; a refusal is raised."""
    snapshot = storage.storage.snapshots.need(who.account_id, stmt.name)
    account = stmt.account or snapshot.account_name
    _check(who, stmt, account, snapshot, storage.rules)
    match stmt.level:
        case "cluster":
            for one in accounts.all():
                restore_account(storage, one.id, snapshot.at)
        case "account":
            _restore_account(who, stmt, account, snapshot, accounts, storage)
        case "database":
            _need_database(stmt, snapshot, storage)
            restore_database(storage, stmt.database, snapshot.at)
        case "table":
            _need_database(stmt, snapshot, storage)
            _need_table(stmt, snapshot, storage)
            restore_table(storage, stmt.database, stmt.table, snapshot.at)


def _check(
    who: Identity, stmt: RestoreSnapshot, account: str, snapshot: Snapshot, rules: Rules
) -> None:
    """Refuse a target that this snapshot may not restore."""
    match stmt.level:
        case "cluster":
            if not who.is_sys:
                raise SqlError.internal("non-sys account can't restore cluster level snapshot")
            if snapshot.level != "cluster":
                text = f"snapshot {snapshot.name} is not cluster level snapshot"
                raise SqlError.internal(text)
            return
        case "account":
            _check_account(who, stmt, account, snapshot)
        case "database" | "table":
            _check_object(who, stmt, account, snapshot, rules)
    if snapshot.account_name != account and snapshot.level != "cluster":
        raise SqlError.internal(
            f"accountName({account}) does not match snapshot.accountName({snapshot.account_name})"
        )


def _check_account(who: Identity, stmt: RestoreSnapshot, account: str, snapshot: Snapshot) -> None:
    if account == SYS and not who.is_sys:
        raise SqlError.internal("non-sys account can't restore sys account")
    if stmt.to_account and not who.is_sys:
        raise SqlError.internal("non-sys account can't restore snapshot to another account")
    if stmt.to_account == SYS and snapshot.account_name != SYS:
        raise SqlError.internal("non-sys account's snapshot can't restore to sys account")
    if snapshot.level in ("database", "table"):
        raise SqlError.internal("can't restore account from db or table level snapshot")


def _check_object(
    who: Identity, stmt: RestoreSnapshot, account: str, snapshot: Snapshot, rules: Rules
) -> None:
    if stmt.database in SYSTEM_DATABASES:
        raise SqlError.internal(f"can't restore db: {stmt.database}")
    if snapshot.level == "cluster":
        raise SqlError.internal("can't restore db from cluster level snapshot")
    if stmt.level == "database" and snapshot.level == "table":
        raise SqlError.internal("can't restore db from table level snapshot")
    if account != who.account:
        raise SqlError.internal(f"can't restore {stmt.level} from other account's snapshot")
    is_named = stmt.level == "database" or rules.snapshots_are_of_their_object
    if is_named and snapshot.level == "database" and snapshot.database != stmt.database:
        raise SqlError.internal(
            f"databaseName({stmt.database}) does not match "
            f"snapshot.databaseName({snapshot.database})"
        )
    named = (snapshot.database, snapshot.table)
    if snapshot.level == "table" and named != (stmt.database, stmt.table):
        raise SqlError.internal(
            f"tableName({stmt.table}) does not match snapshot.tableName({snapshot.table})"
        )


def _need_database(stmt: RestoreSnapshot, snapshot: Snapshot, storage: StorageSession) -> None:
    if storage.find_database(stmt.database, at=snapshot.at) is None:
        raise SqlError(1049, f"Unknown database {stmt.database}")


def _need_table(stmt: RestoreSnapshot, snapshot: Snapshot, storage: StorageSession) -> None:
    """Refuse a table that was not there; 3.x takes its name for a pattern, as from a PITR."""
    tables = [table.name for table in storage.tables(stmt.database, at=snapshot.at)]
    if storage.rules.restore_looks_up_by_like:
        tables = [name for name in tables if like(name, stmt.table, "\\", 0)]
    else:
        tables = [name for name in tables if name == stmt.table]
    if not tables:
        raise SqlError.internal(f"table {stmt.table} not exists at snapshot {snapshot.name}")
    if len(tables) > 1:
        raise SqlError.internal(
            f"find {len(tables)} tableInfos by name {stmt.table} at snapshot {snapshot.name}, "
            "expect only 1"
        )


def _restore_account(
    who: Identity,
    stmt: RestoreSnapshot,
    account: str,
    snapshot: Snapshot,
    accounts: Accounts,
    storage: StorageSession,
) -> None:
    """Restore an account; sys may name another one, and another one to restore it into."""
    if not who.is_sys or account == SYS:
        restore_account(storage, who.account_id, snapshot.at)
        return
    source = snapshot.object_id
    if snapshot.level == "cluster":
        named = accounts.find(account)
        source = SYS_ID if named is None else named.id
    target = accounts.find(stmt.to_account or account)
    if target is None or source == SYS_ID:
        # The server makes a dropped account anew, with its users of then.
        raise unsupported(f"RESTORE of the dropped account {account}")
    restore_account(storage, source, snapshot.at, into=target.id)
