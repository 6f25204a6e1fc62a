"""mo_catalog.mo_pitr as a table that sys can read (docs/server.md, The catalogue)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..clock import utc
from ..types.columns import Column, ColumnType
from ..versions.rules import Rules
from .rows import PitrRow

_TEXT, _WHOLE, _SMALL = ColumnType.VAR_STRING, ColumnType.LONGLONG, ColumnType.TINY
_UNSIGNED = {"create_account", "account_id", "obj_id", "pitr_length", "pitr_status"}


def pitr_columns(rules: Rules) -> list[Column]:
    """Columns of mo_pitr: times are TIMESTAMP before 3.0; the id is text from 4.0 on."""
    time = _WHOLE if rules.pitr_times_are_nanoseconds else ColumnType.TIMESTAMP
    kinds = {
        "pitr_id": _TEXT if rules.pitr_kind else ColumnType.UUID,
        "pitr_name": _TEXT,
        "create_account": _WHOLE,
        "create_time": time,
        "modified_time": time,
        "level": _TEXT,
        "account_id": _WHOLE,
        "account_name": _TEXT,
        "database_name": _TEXT,
        "table_name": _TEXT,
        "obj_id": _WHOLE,
        "pitr_length": _SMALL,
        "pitr_unit": _TEXT,
        "pitr_status": _SMALL,
        "pitr_status_changed_time": time,
    }
    if rules.pitr_kind:
        kinds["kind"] = _TEXT
    return [Column(name, kind, unsigned=name in _UNSIGNED) for name, kind in kinds.items()]


def pitr_table(rows: Iterable[PitrRow], rules: Rules) -> Iterator[tuple[object, ...]]:
    """The rows, in the order of `pitr_columns`."""
    for row in rows:
        created, modified, changed = (
            ns if rules.pitr_times_are_nanoseconds else utc(ns)
            for ns in (row.create_time, row.modified_time, row.status_changed)
        )
        values = (
            row.pitr_id,
            row.name,
            row.create_account,
            created,
            modified,
            row.level,
            row.account_id,
            row.account_name,
            row.database,
            row.table,
            row.object_id,
            row.length,
            row.unit,
            row.status,
            changed,
        )
        yield (*values, "user") if rules.pitr_kind else values
