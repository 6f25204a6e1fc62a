"""RESTORE ... FROM PITR: the checks in the server's order, then the restore itself.

docs/server.md, RESTORE; What may restore what; Times of RESTORE.
"""

from __future__ import annotations

from ..clock import Clock
from ..errors import SqlError
from ..functions.registry import like
from ..parsing.grammar import RestorePitr
from ..parsing.times import parse_restore_time
from ..statements.storage import StorageSession
from ..system.accounts import SYS, SYS_ID, Accounts, Identity
from .catalog import SYSTEM_DATABASES, Catalog, PitrRow
from .ranges import range_start


def restore(
    who: Identity,
    stmt: RestorePitr,
    catalog: Catalog,
    accounts: Accounts,
    storage: StorageSession,
    clock: Clock,
) -> None:
    """Runs *stmt* in a transaction of its own."""
    at = parse_restore_time(stmt.time, clock)
    row = catalog.named(who, stmt.name)
    if row is None:
        raise SqlError.internal(f"pitr {stmt.name} does not exist")
    if stmt.database in SYSTEM_DATABASES:
        raise SqlError.internal(f"database {stmt.database} can not be restore")
    _check_level(who, stmt, row)
    _check_moment(at, row, clock, whole_seconds=catalog.whole_seconds)
    shown = clock.local_text(at, 0)
    if stmt.level == "account" and stmt.account:
        _restore_other_account(stmt, row, accounts, storage, at)
    elif stmt.level == "cluster":
        for account in accounts.all():
            storage.restore_account(account.id, at)
    elif stmt.level == "account":
        storage.restore_account(who.account_id, at)
    elif storage.find_database(stmt.database, at=at) is None:
        if stmt.level == "table":
            raise SqlError.internal(
                f"database '{stmt.database}' table '{stmt.table}' does not exists "
                f"at timestamp: {shown}"
            )
        raise SqlError.internal(f"database '{stmt.database}' does not exists at timestamp: {shown}")
    elif stmt.level == "database":
        storage.restore_database(stmt.database, at)
    else:
        if storage.find_table(stmt.database, stmt.table, at=at) is None:
            raise SqlError.internal(
                f"database '{stmt.database}' table '{stmt.table}' does not exists "
                f"at timestamp: {shown}"
            )
        found = [
            t for t in storage.tables(stmt.database, at=at) if like(t.name, stmt.table, "\\", 0)
        ]
        if len(found) > 1 and storage.rules.restore_looks_up_by_like:
            raise SqlError.internal(
                f"find {len(found)} tableInfos by name '{stmt.table}' at pitr '{stmt.name}', "
                "expect only 1"
            )
        if set(" \t`'").intersection(stmt.table):
            raise SqlError.internal("invalid input")
        storage.restore_table(stmt.database, stmt.table, at)


def _check_moment(at: int, row: PitrRow, clock: Clock, *, whole_seconds: bool) -> None:
    created = row.create_time
    if whole_seconds:
        created -= created % 1_000_000_000

    def shown(ns: int) -> str:
        return clock.local_text(ns, 0)

    if at <= created:
        raise SqlError.internal(
            f"input timestamp {shown(at)} is less than the pitr valid time {shown(row.create_time)}"
        )
    oldest = range_start(clock.now(), row.length, row.unit)
    if at < oldest:
        raise SqlError.internal(
            f"input timestamp {shown(at)} is less than the pitr range minest timestamp "
            f"{shown(oldest)}"
        )
    now = clock.now()
    if at > now:
        raise SqlError.internal(
            f"input timestamp {shown(at)} is bigger than now timestamp {shown(now)}"
        )


def _check_level(who: Identity, stmt: RestorePitr, row: PitrRow) -> None:
    """Whether this PITR may restore this target."""
    match stmt.level:
        case "cluster":
            if row.level != "cluster":
                raise SqlError.internal(
                    f"restore level {row.level} is not allowed for cluster restore"
                )
            if not who.is_sys:
                raise SqlError.internal(
                    f"account {who.account} is not allowed to restore cluster level pitr {row.name}"
                )
        case "account" if stmt.account:
            _check_other_account(who, stmt, row)
        case "account":
            if row.level != "account":
                raise SqlError.internal(
                    f"restore level {row.level} is not allowed for account restore"
                )
            if row.account_id != who.account_id:
                raise SqlError.internal(
                    f"pitr {row.name} is not allowed to restore account {who.account}"
                )
        case "database" | "table":
            _check_object(who, stmt, row)


def _check_other_account(who: Identity, stmt: RestorePitr, row: PitrRow) -> None:
    target, origin = stmt.account, stmt.source_account
    if who.account_id != SYS_ID:
        raise SqlError.internal(
            f"account {who.account} is not allowed to restore other account {target}"
        )
    if row.level in ("database", "table"):
        raise SqlError.internal(f"can not restore account {target} by pitr {row.name}")
    if not origin:
        if target == SYS or (row.level == "account" and row.account_name == SYS):
            raise SqlError.internal(
                f"can not restore sys account to new account {target} by pitr {row.name}"
            )
        if row.level == "cluster":
            raise SqlError.internal(
                f"can not restore account {target} by pitr {row.name}, source account is empty"
            )
        return
    if row.level != "cluster":
        raise SqlError.internal(
            f"can not restore account {origin} by pitr {row.name}, the pitr level is not cluster"
        )
    if origin == SYS and target != SYS:
        raise SqlError.internal(
            f"can not restore sys account to new account {target} by pitr {row.name}"
        )
    if origin != SYS and target == SYS:
        raise SqlError.internal(
            f"can not restore account {origin} to sys account by pitr {row.name}"
        )


def _check_object(who: Identity, stmt: RestorePitr, row: PitrRow) -> None:
    if stmt.level == "database":
        shown, long = stmt.database, f"database {stmt.database}"
    else:
        shown = f"{stmt.database}.{stmt.table}"
        long = f"database {stmt.database} table {stmt.table}"
    if row.level == "cluster":
        raise SqlError.internal(
            f"cluster level pitr `cluster` is not allowed for {stmt.level} restore"
        )
    if stmt.level == "database" and row.level == "table":
        raise SqlError.internal("restore level table is not allowed for database restore")
    if stmt.account and stmt.account != who.account:
        raise SqlError.internal(
            f"account {stmt.account} is not allowed to restore {stmt.level} {shown}"
        )
    own = row.account_id == who.account_id
    if row.level == "account" and not own:
        raise SqlError.internal(
            f"pitr {row.name} is not allowed to restore account {who.account} {long}"
        )
    if row.level == "database" and not (own and row.database == stmt.database):
        raise SqlError.internal(f"pitr {row.name} is not allowed to restore {long}")
    if row.level == "table" and (
        not own or (row.database, row.table) != (stmt.database, stmt.table)
    ):
        raise SqlError.internal(f"pitr {row.name} is not allowed to restore table {shown}")


def _restore_other_account(
    stmt: RestorePitr,
    row: PitrRow,
    accounts: Accounts,
    storage: StorageSession,
    at: int,
) -> None:
    origin = accounts.find(stmt.source_account or row.account_name)
    target = accounts.find(stmt.account)
    if origin is None:
        raise SqlError.internal(f"no such account, snapshot name: {row.name}, ts: {at}")
    if target is None:
        raise SqlError.internal(f"no such account, account name: {stmt.account}")
    storage.restore_account(origin.id, at, into=target.id)
