"""CREATE PITR: the checks in the server's order, then the row.

docs/server.md, Checks of CREATE; Races.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from typing import Protocol

from ..errors import SqlError
from ..parsing.grammar import CreatePitr
from ..parsing.refusals import refuse_odd_name
from ..parsing.scanner import unescape
from ..system.accounts import SYS_ID, Identity, no_privilege
from .catalog import Catalog, check_range
from .rows import CLUSTER_OBJECT, HIDDEN, SYSTEM_DATABASES, PitrRow

_NAME_LIMIT = 5000


class ObjectFinder(Protocol):
    """Look-ups for the checks of a target: ids, None where there is no such object."""

    def find_account_id(self, name: str) -> int | None: ...

    def find_database_id(self, name: str) -> int | None: ...

    def find_table_id(self, database: str, name: str) -> int | None: ...  # what obj_id holds


def create_pitr(catalog: Catalog, who: Identity, stmt: CreatePitr, find: ObjectFinder) -> None:
    """Run CREATE PITR; a refusal is raised."""
    if not who.is_admin:
        raise no_privilege()
    check_request(who, stmt)
    barrier = catalog.barrier if catalog.rules.creations_race else None
    if barrier is None:
        with catalog.creating:
            row = _checked_row(catalog, who, stmt, find)
            if row is not None:
                catalog.insert(row)
        return
    # The race of 3.0.9: every creator has looked before any of them writes.
    row = None
    try:
        row = _checked_row(catalog, who, stmt, find)
    finally:
        with suppress(threading.BrokenBarrierError):
            barrier.wait(timeout=10)
    if row is not None:
        catalog.insert(row)


def _checked_row(
    catalog: Catalog, who: Identity, stmt: CreatePitr, find: ObjectFinder
) -> PitrRow | None:
    """The row to write; None where IF NOT EXISTS says to do nothing."""
    name = catalog.lookup_name(stmt.name)
    if catalog.has(who, name):
        if stmt.if_not_exists:
            return None
        raise SqlError.internal(f"pitr {stmt.name} already exists")
    account_id, account_name, object_id = who.account_id, who.account, who.account_id
    database = table = ""
    match stmt.level:
        case "cluster":
            account_id, account_name, object_id = SYS_ID, "", CLUSTER_OBJECT
            taken = "cluster level pitr already exists"
        case "account":
            if stmt.account:
                account_id, account_name = _account(catalog, stmt.account, find), stmt.account
                object_id = account_id
            taken = f"account `{account_name}` already has a pitr"
        case "database":
            database = stmt.database
            object_id = _database(catalog, database, find)
            taken = f"database `{database}` already has a pitr"
        case "table":
            database, table = stmt.database, stmt.table
            # From 4.x on this is the id that a table keeps when it is rebuilt: a PITR made
            # after a rebuild never has the table's present id, and no later change of the
            # table finds it (seen on 4.2.0).
            object_id = _table(catalog, database, table, find)
            taken = f"database `{database}` table `{table}` already has a pitr"
    if is_taken(catalog, who, stmt.level, account_name, database, table):
        raise SqlError.internal(taken)
    name = _fitted_name(catalog, name)
    now = catalog.clock.now()
    return PitrRow(
        str(uuid.uuid4()),
        name,
        who.account_id,
        now,
        now,
        stmt.level,
        account_id,
        account_name,
        database,
        table,
        object_id,
        stmt.length,
        stmt.unit.lower(),
        status_changed=now,
    )


def _fitted_name(catalog: Catalog, name: str) -> str:
    if len(name) <= _NAME_LIMIT:
        return name
    if catalog.rules.long_pitr_name_is_truncated:
        return name[:_NAME_LIMIT]
    raise SqlError.internal(
        f"Can't cast '{name[:100]}...' to VARCHAR type. Src length {len(name)} is larger "
        f"than Dest length {_NAME_LIMIT}"
    )


def is_taken(
    catalog: Catalog, who: Identity, level: str, account_name: str, database: str, table: str
) -> bool:
    """Whether this creator has an active PITR of that object."""
    for row in catalog.rows():
        if row.create_account != who.account_id:
            continue
        if level == "cluster":
            if row.object_id == CLUSTER_OBJECT:
                return True
            continue
        if row.level != level or not row.status:
            continue
        if level == "account" and row.account_name == account_name:
            return True
        if level == "database" and row.database == database:
            return True
        if level == "table" and (row.database, row.table) == (database, table):
            return True
    return False


def _account(catalog: Catalog, name: str, find: ObjectFinder) -> int:
    refuse_odd_name(name)
    found = find.find_account_id(name)
    if found is None:
        raise SqlError.internal(f"account {name} does not exist")
    return found


def _database(catalog: Catalog, name: str, find: ObjectFinder) -> int:
    if name in SYSTEM_DATABASES:
        raise SqlError.internal(f"can not create pitr for current database {name}")
    found = find.find_database_id(_target(catalog, name))
    if found is None:
        raise SqlError.internal(f"database {name} does not exist")
    return found


def _table(catalog: Catalog, database: str, name: str, find: ObjectFinder) -> int:
    if database in SYSTEM_DATABASES:
        raise SqlError.internal(f"can not create pitr for current table {database}.{name}")
    found = find.find_table_id(_target(catalog, database), _target(catalog, name))
    if found is None:
        raise SqlError.internal(f"table {database}.{name} does not exist")
    return found


def _target(catalog: Catalog, name: str) -> str:
    """A target's name in the look-up: 3.x puts it in unescaped, 4.x properly quoted."""
    if catalog.rules.lookup_quotes_names:
        return name
    refuse_odd_name(name)
    return unescape(name)


def check_request(who: Identity, stmt: CreatePitr) -> None:
    """Refuse what can be refused before anything is looked up."""
    if stmt.level == "cluster" and not who.is_sys:
        raise SqlError.internal("only sys tenant can create cluster level pitr")
    if stmt.level == "account" and stmt.account and not who.is_sys:
        raise SqlError.internal("only sys tenant can create tenant level pitr for other tenant")
    check_range(stmt.length, stmt.unit, least=1)
    if stmt.name == HIDDEN:
        raise SqlError.internal("pitr name is reserved")
