"""RESTORE ... FROM PITR, from the statement to its end: checks, then the objects put back."""

from __future__ import annotations

from ...clock import Clock
from ...errors import SqlError
from ...parsing.grammar import RestorePitr
from ...parsing.times import parse_restore_time
from ...statements.storage import StorageSession
from ...system.accounts import Accounts, Identity
from ..catalog import Catalog
from ..rows import SYSTEM_DATABASES, PitrRow
from .checks import check_level, check_moment, check_past_database, check_past_table
from .objects import restore_account, restore_database, restore_table


def restore(
    who: Identity,
    stmt: RestorePitr,
    catalog: Catalog,
    accounts: Accounts,
    storage: StorageSession,
    clock: Clock,
) -> None:
    """Run *stmt* in a transaction of its own; a refusal is raised."""
    at = parse_restore_time(stmt.time, clock)
    row = catalog.named(who, stmt.name)
    if row is None:
        raise SqlError.internal(f"pitr {stmt.name} does not exist")
    if stmt.database in SYSTEM_DATABASES:
        raise SqlError.internal(f"database {stmt.database} can not be restore")
    check_level(who, stmt, row)
    check_moment(at, row, clock, whole_seconds=catalog.whole_seconds)
    match stmt.level:
        case "cluster":
            for account in accounts.all():
                restore_account(storage, account.id, at)
        case "account" if stmt.account:
            _restore_other_account(stmt, row, accounts, storage, at)
        case "account":
            restore_account(storage, who.account_id, at)
        case "database":
            check_past_database(stmt, storage, at)
            restore_database(storage, stmt.database, at)
        case "table":
            check_past_table(stmt, storage, at)
            restore_table(storage, stmt.database, stmt.table, at)


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
    restore_account(storage, origin.id, at, into=target.id)
