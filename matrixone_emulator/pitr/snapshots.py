"""CREATE, DROP and SHOW SNAPSHOT (docs/server.md, Snapshots).

For SHOW SNAPSHOTS WHERE the rows are a table, too, as for SHOW PITR.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from ..clock import Clock, utc_text
from ..errors import SqlError
from ..parsing.snapshots import CreateSnapshot, DropSnapshot
from ..storage.snapshots import Snapshot, Snapshots
from ..system.accounts import Identity, no_privilege
from ..types.columns import Column, ColumnType
from ..versions.rules import Rules
from .create import ObjectFinder
from .rows import CLUSTER_OBJECT, SYSTEM_DATABASES

DATABASE, TABLE = "mo_catalog", "__show_snapshots"

_NAME_LIMIT = 64
_LABELS = (
    "SNAPSHOT_NAME",
    "TIMESTAMP",
    "SNAPSHOT_LEVEL",
    "ACCOUNT_NAME",
    "DATABASE_NAME",
    "TABLE_NAME",
)


def create_snapshot(
    snapshots: Snapshots,
    who: Identity,
    stmt: CreateSnapshot,
    find: ObjectFinder,
    clock: Clock,
    rules: Rules,
) -> None:
    """Run CREATE SNAPSHOT, which commits by itself; a refusal is raised."""
    if not who.is_admin:
        raise no_privilege()
    if stmt.level == "cluster" and not who.is_sys:
        raise SqlError.internal("only sys tenant can create cluster level snapshot")
    if stmt.level == "account" and not who.is_sys and stmt.account not in ("", who.account):
        text = "only sys tenant can create tenant level snapshot for other tenant"
        raise SqlError.internal(text)
    if snapshots.find(who.account_id, stmt.name) is not None:
        if stmt.if_not_exists:
            return
        raise SqlError.internal(f"snapshot {stmt.name} already exists")
    at = clock.now()
    account, object_id = _target(who, stmt, find)
    name = _fitted(stmt.name, rules)
    if name != stmt.name and snapshots.find(who.account_id, name) is not None:
        raise SqlError(1062, f"Duplicate entry '{name}' for key 'sname'")
    snapshot = Snapshot(
        str(uuid.uuid4()), name, at, stmt.level, account, stmt.database, stmt.table, object_id
    )
    snapshots.add(who.account_id, snapshot)


def _target(who: Identity, stmt: CreateSnapshot, find: ObjectFinder) -> tuple[str, int]:
    """The account's name and the object's id, as the snapshot records them."""
    database, table = stmt.database, stmt.table
    found: int | None
    match stmt.level:
        case "cluster":
            return "", CLUSTER_OBJECT
        case "account" if stmt.account in ("", who.account):
            return who.account, who.account_id
        case "account":
            found = find.find_account_id(stmt.account)
            if found is None:
                raise SqlError.internal(f"account {stmt.account} does not exist")
            return stmt.account, found
        case "database":
            if database in SYSTEM_DATABASES:
                text = f"can not create snapshot for system database {database}"
                raise SqlError.internal(text)
            found, missing = find.find_database_id(database), f"database {database}"
        case "table":
            if database in SYSTEM_DATABASES:
                # The text says so of a snapshot, too.
                raise SqlError.internal(f"can not create pitr for system table {database}.{table}")
            # From 4.x on this is the id that a rebuilt table no longer has, as it is for a PITR.
            found, missing = find.find_table_id(database, table), f"table {database}.{table}"
    if found is None:
        raise SqlError.internal(f"{missing} does not exist")
    return who.account, found


def _fitted(name: str, rules: Rules) -> str:
    if len(name) <= _NAME_LIMIT:
        return name
    if rules.long_pitr_name_is_truncated:
        return name[:_NAME_LIMIT]
    raise SqlError.internal(
        f"Can't cast '{name}' to VARCHAR type. Src length {len(name)} is larger "
        f"than Dest length {_NAME_LIMIT}"
    )


def drop_snapshot(snapshots: Snapshots, who: Identity, stmt: DropSnapshot) -> None:
    """Run DROP SNAPSHOT; what it kept may be collected from then on."""
    if not who.is_admin:
        raise no_privilege()
    if snapshots.find(who.account_id, stmt.name) is None:
        if stmt.if_exists:
            return
        raise SqlError.internal(f"snapshot {stmt.name} does not exist")
    snapshots.drop(who.account_id, stmt.name)


def shown_columns(rules: Rules, *, filtered: bool) -> list[Column]:
    """Columns of SHOW SNAPSHOTS: all texts, with WHERE in lower case on 3.x."""
    lower = filtered and rules.filtered_labels_are_lower_case
    return [Column(label.lower() if lower else label, ColumnType.VAR_STRING) for label in _LABELS]


def shown_rows(snapshots: Iterable[Snapshot]) -> list[tuple[object, ...]]:
    """The rows of SHOW SNAPSHOTS, newest first; times in UTC, whatever the zone."""
    newest = sorted(snapshots, key=lambda one: one.at, reverse=True)
    return [
        (one.name, utc_text(one.at), one.level, one.account_name, one.database, one.table)
        for one in newest
    ]


def table_columns(rules: Rules) -> list[Column]:
    """Columns of mo_catalog.mo_snapshots."""
    text, whole = ColumnType.VAR_STRING, ColumnType.LONGLONG
    kinds = {
        "snapshot_id": ColumnType.UUID,
        "sname": text,
        "ts": whole,
        "level": text,
        "account_name": text,
        "database_name": text,
        "table_name": text,
        "obj_id": whole,
    }
    if rules.snapshot_kind:
        kinds["kind"] = text
    return [Column(name, kind, unsigned=name == "obj_id") for name, kind in kinds.items()]


def table_rows(snapshots: Iterable[Snapshot], rules: Rules) -> Iterator[tuple[object, ...]]:
    """The rows of mo_catalog.mo_snapshots, in the order of `table_columns`."""
    for one in snapshots:
        values = (
            one.snapshot_id,
            one.name,
            one.at,
            one.level,
            one.account_name,
            one.database,
            one.table,
            one.object_id,
        )
        yield (*values, "user") if rules.snapshot_kind else values
