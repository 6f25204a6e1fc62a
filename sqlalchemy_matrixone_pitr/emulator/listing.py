"""SHOW PITR [WHERE expression] (matrixone.md, section 5)."""

from __future__ import annotations

import datetime
import re
import sqlite3
from collections.abc import Iterable

import sqlglot
from sqlglot.errors import SqlglotError

from .accounts import Identity
from .catalog import HIDDEN, PitrRow
from .columns import Column, ColumnType
from .errors import SqlError
from .ranges import range_hours

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
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_STEPS = 100_000


def columns(version: tuple[int, int, int], *, filtered: bool) -> list[Column]:
    """Labels are lower case with WHERE on 3.x; times are strings on 2.x."""
    result = []
    for name, kind in zip(_NAMES, _KINDS, strict=True):
        label = name.lower() if filtered and version < (4, 0, 0) else name
        if version < (3, 0, 0) and kind is ColumnType.DATETIME:
            kind = ColumnType.VAR_STRING
        result.append(Column(label, kind, unsigned=kind is ColumnType.TINY))
    return result


def rows(
    who: Identity,
    pitrs: Iterable[PitrRow],
    zone: datetime.tzinfo,
    where: str,
    version: tuple[int, int, int],
) -> list[tuple[object, ...]]:
    """The caller's own PITRs, newest first, in the session's time zone."""
    mine = [row for row in pitrs if row.create_account == who.account_id and row.name != HIDDEN]
    mine.sort(key=lambda row: row.create_time, reverse=True)
    shown = [_shown(row, zone) for row in mine]
    if where:
        shown = [shown[at] for at in _matching(where, shown)]
    if version < (3, 0, 0):
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


def _matching(where: str, shown: list[tuple[object, ...]]) -> list[int]:
    """The numbers of the rows for which the expression is true."""
    try:
        parsed = sqlglot.parse_one(f"SELECT n FROM pitr WHERE {where}", read="mysql")
        statement = parsed.sql(dialect="sqlite")
    except SqlglotError:
        raise SqlError.syntax(f" {where}", column=len(f"show pitr where {where}")) from None
    connection = sqlite3.connect(":memory:")
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.execute("PRAGMA case_sensitive_like = ON")
        connection.create_function("CAST_RANGE_VALUE_UNIT", 2, range_hours, deterministic=True)
        connection.create_function("REGEXP", 2, _matches, deterministic=True)
        connection.execute(f"CREATE TABLE pitr (n, {', '.join(_NAMES)})")
        connection.executemany(
            f"INSERT INTO pitr VALUES ({', '.join('?' * 10)})",
            [
                (number, *(str(v) if isinstance(v, datetime.datetime) else v for v in row))
                for number, row in enumerate(shown)
            ],
        )
        connection.set_authorizer(_only_reading)
        connection.set_progress_handler(_Budget(_STEPS), 1000)
        return [int(number) for (number,) in connection.execute(statement)]
    except sqlite3.Error as error:
        raise _server_error(error, where) from None
    finally:
        connection.close()


def _matches(pattern: str, value: object) -> bool:
    return re.search(pattern, str(value)) is not None


class _Budget:
    """Ends an expression that would never end."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def __call__(self) -> int:
        self._left -= 1
        return int(self._left < 0)


def _only_reading(action: int, *_: object) -> int:
    allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _server_error(error: sqlite3.Error, where: str) -> SqlError:
    text = str(error)
    if found := re.match(r"no such column: (.+)", text):
        name = found.group(1).strip('"').lower()
        return SqlError(20301, f"invalid input: column {name} does not exist")
    if found := re.match(r"no such function: (.+)", text):
        name = found.group(1).lower()
        return SqlError(20105, f"not supported: function or operator '{name}'")
    return SqlError.unsupported(f"SHOW PITR WHERE {where}")
