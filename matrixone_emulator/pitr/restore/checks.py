"""The server's checks of RESTORE, in its order: may this PITR restore this target, then?"""

from __future__ import annotations

from ...clock import Clock
from ...errors import SqlError
from ...functions.registry import like
from ...parsing.grammar import RestorePitr
from ...statements.storage import StorageSession
from ...system.accounts import SYS, SYS_ID, Identity
from ..ranges import range_start
from ..rows import PitrRow


def check_moment(at: int, row: PitrRow, clock: Clock, *, whole_seconds: bool) -> None:
    """Refuse a moment before the PITR, beyond its range, or to come."""
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


def check_level(who: Identity, stmt: RestorePitr, row: PitrRow) -> None:
    """Refuse a target that this PITR may not restore."""
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


def check_past_database(stmt: RestorePitr, storage: StorageSession, at: int) -> None:
    """Refuse a database that was not there at *at*."""
    if storage.find_database(stmt.database, at=at) is None:
        shown = storage.store.clock.local_text(at, 0)
        raise SqlError.internal(f"database '{stmt.database}' does not exists at timestamp: {shown}")


def check_past_table(stmt: RestorePitr, storage: StorageSession, at: int) -> None:
    """Refuse a table that was not there at *at*, or whose name the server cannot look up."""
    if storage.find_table(stmt.database, stmt.table, at=at) is None:
        shown = storage.store.clock.local_text(at, 0)
        raise SqlError.internal(
            f"database '{stmt.database}' table '{stmt.table}' does not exists at timestamp: {shown}"
        )
    found = [t for t in storage.tables(stmt.database, at=at) if like(t.name, stmt.table, "\\", 0)]
    if len(found) > 1 and storage.rules.restore_looks_up_by_like:
        raise SqlError.internal(
            f"find {len(found)} tableInfos by name '{stmt.table}' at pitr '{stmt.name}', "
            "expect only 1"
        )
    if set(" \t`'").intersection(stmt.table):
        raise SqlError.internal("invalid input")
