"""The rows of SHOW PITR [WHERE expression] (docs/server.md, SHOW PITR).

For the expression they are also a table, which the server's own SHOW does not have either:
it filters a query of mo_pitr.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from ..system.accounts import Identity
from ..types.columns import Column, ColumnType
from ..versions.rules import Rules
from .rows import HIDDEN, PitrRow

_NAMES = (
    "PITR_NAME",
    "CREATED_TIME",
    "MODIFIED_TIME",
    "PITR_LEVEL",
    "ACCOUNT_NAME",
    "DATABASE_NAME",
    "TABLE_NAME",
    "PITR_LENGTH",
    "PITR_UNIT",
)
_KINDS = (
    ColumnType.VAR_STRING,
    ColumnType.DATETIME,
    ColumnType.DATETIME,
    ColumnType.VAR_STRING,
    ColumnType.VAR_STRING,
    ColumnType.VAR_STRING,
    ColumnType.VAR_STRING,
    ColumnType.TINY,
    ColumnType.VAR_STRING,
)
# The table that SHOW PITR WHERE filters.
DATABASE, TABLE = "mo_catalog", "__show_pitr"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def columns(rules: Rules, *, filtered: bool) -> list[Column]:
    """Columns of SHOW PITR: lower-case labels with WHERE on 3.x, times as strings on 2.x."""
    result = []
    for name, kind in zip(_NAMES, _KINDS, strict=True):
        label = name.lower() if filtered and rules.filtered_labels_are_lower_case else name
        if not rules.pitr_times_are_nanoseconds and kind is ColumnType.DATETIME:
            kind = ColumnType.VAR_STRING
        result.append(Column(label, kind, unsigned=kind is ColumnType.TINY))
    return result


def rows(
    who: Identity,
    pitrs: Iterable[PitrRow],
    zone: datetime.tzinfo,
    rules: Rules,
) -> list[tuple[object, ...]]:
    """The caller's own PITRs, newest first, in the session's time zone."""
    mine = [row for row in pitrs if row.create_account == who.account_id and row.name != HIDDEN]
    mine.sort(key=lambda row: row.create_time, reverse=True)
    shown = [_shown(row, zone) for row in mine]
    if not rules.pitr_times_are_nanoseconds:
        return [(row[0], str(row[1]), str(row[2]), *row[3:]) for row in shown]
    return shown


def _shown(row: PitrRow, zone: datetime.tzinfo) -> tuple[object, ...]:
    return (
        row.name,
        _seconds(row.create_time, zone),
        _seconds(row.modified_time, zone),
        row.level,
        row.account_name or "*",
        row.database or "*",
        row.table or "*",
        row.length,
        row.unit,
    )


def _seconds(ns: int, zone: datetime.tzinfo) -> datetime.datetime:
    moment = _EPOCH + datetime.timedelta(seconds=ns // 1_000_000_000)
    return moment.astimezone(zone).replace(tzinfo=None)
