"""Reading what the server has: SHOW PITR, SHOW RECOVERY_WINDOW and the catalogue.

The parsers are pure: rows in, :class:`~.model.Pitr` and :class:`~.model.RecoveryWindow` out. The
functions that read use a connection of their own unless they are given an idle one, and leave no
trace on it: the caller's transaction is never disturbed.

Source: matrixone.md, section 4 (status), section 5 (columns, times, windows), section 8 (2.2).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SAWarning

from . import server
from .ddl import recovery_window_statement
from .errors import PitrValidationError, from_dbapi_error
from .model import (
    Pitr,
    PitrLevel,
    PitrRange,
    PitrStatus,
    RecoveryWindow,
    check_pitr_name,
    check_target_name,
    to_level,
)
from .transaction import idle, is_autocommit, roll_back, side_connection

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session

Bind: TypeAlias = "Engine | Connection | Session | scoped_session[Any]"

_SYS: Final = "sys"
_SECOND: Final = dt.timedelta(seconds=1)


# ----------------------------------------------------------------------------------- pure parsers


def parse_time(value: dt.datetime | str) -> dt.datetime:
    """A time of SHOW PITR, read with the session in UTC: a datetime, or 2.2's text.

    >>> parse_time("2026-11-22 09:30:46")
    datetime.datetime(2026, 11, 22, 9, 30, 46, tzinfo=datetime.timezone.utc)
    """
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    return value.replace(tzinfo=dt.UTC)


def parse_pitr_row(row: Sequence[Any], own_account: str) -> Pitr:
    """A row of SHOW PITR. Columns are taken by position: their letter case differs by version.

    The level decides which names mean something; ``*`` may also be a name.

    :param own_account: the reading account, whose own name is folded to None.
    """
    name, created, modified, level, account, database, table, length, unit = row[:9]
    known = to_level(level)
    of_account = known is PitrLevel.ACCOUNT and account != own_account
    in_database = known in (PitrLevel.DATABASE, PitrLevel.TABLE)
    return Pitr.from_server(
        name,
        level,
        PitrRange.from_server(int(length), unit),
        account_name=account if of_account else None,
        database_name=database if in_database else None,
        table_name=table if known is PitrLevel.TABLE else None,
        created_time=parse_time(created),
        modified_time=parse_time(modified),
    )


_WINDOW_FIELD = re.compile(
    r"""(['"])(?P<key>start_time|end_time|timestamp|source|source_name)\1\s*:\s*"""
    r"""(['"])(?P<value>.*?)\3(?=\s*[,}])""",
    re.DOTALL,
)


def parse_windows(text: str) -> list[dict[str, str]]:
    """The windows in a RecoveryWindows cell, each as its fields.

    The cell is no JSON: single quotes on 3.x and 4.x, brackets that do not match on 4.2, none at
    all on 2.2. So fields are read, and a new window begins where its first field does.

    >>> parse_windows("[{'timestamp':'2026-11-22 09:30:46 +0000 UTC', 'source':'snapshot'}]]")
    [{'timestamp': '2026-11-22 09:30:46 +0000 UTC', 'source': 'snapshot'}]
    """
    windows: list[dict[str, str]] = []
    for match in _WINDOW_FIELD.finditer(text):
        if match["key"] in ("start_time", "timestamp") or not windows:
            windows.append({})
        windows[-1][match["key"]] = match["value"]
    return windows


_MOMENT = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<utc> \+0000 UTC)?"
)


def split_moment(text: str) -> tuple[str, int, bool]:
    """A window's time as whole seconds, microseconds (nanoseconds are cut), and whether it is UTC.

    >>> split_moment("2026-11-22 09:30:46.500307788")
    ('2026-11-22 09:30:46', 500307, False)
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"time {text!r} of a recovery window is not understood")
    microseconds = int((match["fraction"] or "0")[:6].ljust(6, "0"))
    return match["seconds"], microseconds, match["utc"] is not None


def parse_window_rows(
    rows: Iterable[Sequence[Any]],
    own_account: str,
    to_utc: Callable[[set[str]], dict[str, dt.datetime]],
) -> list[RecoveryWindow]:
    """Rows of SHOW RECOVERY_WINDOW, flattened and sorted.

    :param to_utc: converts texts in the server's local zone, whole seconds.
    """
    found = [(row, window) for row in rows for window in parse_windows(str(row[4]))]
    local: set[str] = set()
    for _, window in found:
        for key in ("start_time", "end_time", "timestamp"):
            if key in window:
                seconds, _, is_utc = split_moment(window[key])
                if not is_utc:
                    local.add(seconds)
    converted = to_utc(local)

    def instant(text: str) -> dt.datetime:
        seconds, microseconds, is_utc = split_moment(text)
        whole = parse_time(seconds) if is_utc else converted[seconds]
        return whole + dt.timedelta(microseconds=microseconds)

    windows = []
    for row, window in found:
        level = to_level(row[0])
        start = window.get("start_time") or window["timestamp"]
        windows.append(
            RecoveryWindow(
                level=level,
                account_name=None if row[1] == own_account else row[1],
                database_name=_named(row[2]),
                table_name=_named(row[3]),
                start=instant(start),
                end=instant(window.get("end_time") or start),
                source=window.get("source", ""),
                source_name=window.get("source_name", ""),
            )
        )
    windows.sort(
        key=lambda w: (w.database_name or "", w.table_name or "", w.start, w.source, w.source_name)
    )
    return windows


def _named(value: str | None) -> str | None:
    return None if value in (None, "", "*") else value


# ---------------------------------------------------------------------------------------- reading


@contextlib.contextmanager
def reading(bind: Bind) -> Iterator[Connection]:
    """A connection to read PITRs on: the given one where it is idle, else another.

    An AUTOCOMMIT connection is not taken for idle: a ``BEGIN`` sent as text is not seen here.

    :raises PitrUnsupportedError: the server is not MatrixOne 2.1 or later.
    """
    if hasattr(bind, "get_bind") and not hasattr(bind, "sync_session"):
        bind = bind.get_bind()
    if not isinstance(bind, Engine | Connection):
        raise PitrValidationError(
            f"cannot read PITRs from {type(bind).__name__}: give an Engine, a Connection or a "
            "Session (asyncio: use the functions and managers whose names say async)"
        )
    if isinstance(bind, Connection):
        if bind.get_transaction() is None and not is_autocommit(bind):
            with idle(bind):
                server.require_matrixone(bind)
                yield bind
            return
        bind = bind.engine
    with side_connection(bind) as connection:
        server.require_matrixone(connection)
        yield connection


def own_account(connection: Connection) -> str:
    """The account this connection is logged in to; ``sys`` administers the cluster."""
    return str(connection.exec_driver_sql("SELECT current_account_name()").scalar_one())


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    """A refusal of the server as the PitrError that it means; a lost connection as it is."""
    try:
        yield
    except DBAPIError as error:
        typed = from_dbapi_error(error)
        if typed is None:
            raise
        raise typed from error


def get_pitrs(
    bind: Bind,
    *,
    level: PitrLevel | str | None = None,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
    with_status: bool = False,
) -> list[Pitr]:
    """The PITRs that this account has made, newest first; filtered by the server.

    Inside a transaction, and on an Engine, a connection of its own is used.

    :param account_name: only those for this account; at account level the own one's reads None.
    :param with_status: also find out whether each still protects its object (one to three more
        statements); without it ``status`` is None, since SHOW PITR does not tell.
    :raises PitrUnsupportedError: not a MatrixOne server.

    >>> from sqlalchemy import create_engine
    >>> get_pitrs(create_engine(url), level="database", database_name="shop")
    []
    """
    wanted = filters(
        level=level,
        account_name=account_name,
        database_name=database_name,
        table_name=table_name,
    )
    with reading(bind) as connection:
        pitrs = read_pitrs(connection, wanted)
        return _with_status(connection, pitrs) if with_status else pitrs


def filters(
    *,
    name: str | None = None,
    level: PitrLevel | str | None = None,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
) -> dict[str, str]:
    """What to look for, checked and folded, by the columns of SHOW PITR."""
    wanted = {
        "pitr_name": None if name is None else check_pitr_name(name),
        "pitr_level": None if level is None else to_level(level).value,
        "account_name": _filter(account_name, "account name"),
        "database_name": _filter(database_name, "database name"),
        "table_name": _filter(table_name, "table name"),
    }
    return {column: value for column, value in wanted.items() if value is not None}


def read_pitrs(connection: Connection, wanted: Mapping[str, str]) -> list[Pitr]:
    """:func:`get_pitrs` on a connection that nobody has a transaction on.

    :param wanted: of :func:`filters`.
    """
    where = " AND ".join(f"{column} = :{column}" for column in wanted)
    statement = text(f"SHOW PITR WHERE {where}" if where else "SHOW PITR")
    roll_back(connection)
    with server.session_zone(connection, "+00:00"), _typed_errors():
        rows = connection.execute(statement, dict(wanted)).all()
    others = any(row[3] == PitrLevel.ACCOUNT.value and row[4] != _SYS for row in rows)
    account = own_account(connection) if others else _SYS
    pitrs = [parse_pitr_row(row, account) for row in rows]
    _warn_of_duplicates(pitrs)
    pitrs.sort(key=lambda pitr: pitr.name)
    pitrs.sort(key=lambda pitr: pitr.created_time or server.EPOCH, reverse=True)
    return pitrs


def _filter(name: str | None, what: str) -> str | None:
    return None if name is None else check_target_name(name, what)


def _warn_of_duplicates(pitrs: Iterable[Pitr]) -> None:
    names = [name for name, count in Counter(pitr.name for pitr in pitrs).items() if count > 1]
    if names:
        warnings.warn(
            f"SHOW PITR lists {', '.join(sorted(names))} more than once: concurrent CREATE PITR "
            "has damaged the server's catalogue (MatrixOne 3.0.9 does that)",
            SAWarning,
            stacklevel=2,
        )


def get_recovery_windows(
    bind: Bind,
    *,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
) -> list[RecoveryWindow]:
    """What the server says it can restore, by object, sorted by name and start.

    One statement however many tables. **No source for coverage**: the server leaves out tables
    that are protected and restore well, and does not know renamed ones.

    :param account_name: another account (sys only); the own one without it.
    :param table_name: one table, with its ``database_name``.
    """
    account = _filter(account_name, "account name")
    database = _filter(database_name, "database name")
    table = _filter(table_name, "table name")
    if table is not None and database is None:
        raise PitrValidationError(
            f"recovery windows of table {table_name!r} need database_name= as well"
        )
    if account is not None and database is not None:
        raise PitrValidationError(
            "recovery windows are for an account, or for a database or table of the own account: "
            "leave account_name or database_name out"
        )
    with reading(bind) as connection:
        own = own_account(connection)
        statement = recovery_window_statement(
            connection.dialect,
            account=None if account == own else account,  # an account may not name itself
            database=database,
            table=table,
        )
        roll_back(connection)
        with _typed_errors():
            rows = connection.exec_driver_sql(statement).all()
        return parse_window_rows(rows, own, lambda texts: server.to_utc(connection, texts))


# ----------------------------------------------------------------------------------------- status


def _with_status(connection: Connection, pitrs: Sequence[Pitr]) -> list[Pitr]:
    if not pitrs:
        return []
    with server.session_zone(connection, "+00:00"):
        if own_account(connection) == _SYS:
            known = _status_for_sys(connection)
            return [pitr.with_status(known.get(pitr.name, PitrStatus.UNKNOWN)) for pitr in pitrs]
        return _status_by_ids(connection, pitrs)


_SYS_STATUS = """\
SELECT p.pitr_name, p.level, p.pitr_status, p.obj_id, d.dat_id, t.rel_id
FROM mo_catalog.mo_pitr p
LEFT JOIN mo_catalog.mo_database d
  ON d.account_id = p.account_id AND d.datname = p.database_name
LEFT JOIN mo_catalog.mo_tables t
  ON t.account_id = p.account_id AND t.reldatabase = p.database_name AND t.relname = p.table_name
WHERE p.create_account = 0"""


def _status_for_sys(connection: Connection) -> dict[str, PitrStatus]:
    """By the catalogue: the status column **and** the object's present id.

    The status alone is not enough: on 3.0.9 TRUNCATE and RESTORE leave it 1 with a stale id, and
    4.x records another id than the present one for a table that was rebuilt before.
    """
    known = {}
    for name, level, status, recorded, database_id, table_id in connection.exec_driver_sql(
        _SYS_STATUS
    ):
        present = {PitrLevel.DATABASE.value: database_id, PitrLevel.TABLE.value: table_id}
        active = int(status) == 1 and present.get(level, recorded) == recorded
        known[name] = PitrStatus.ACTIVE if active else PitrStatus.DETACHED
    return known


def _status_by_ids(connection: Connection, pitrs: Sequence[Pitr]) -> list[Pitr]:
    """For accounts that cannot read mo_pitr: the object's id now against its id at the creation."""
    now = _objects(connection, pitrs)
    return [pitr.with_status(_status_of(connection, pitr, now)) for pitr in pitrs]


class _Object(NamedTuple):
    """A database or table in the catalogue."""

    id: int
    made: dt.datetime
    rebuilt: bool
    """Whether a 4.x table has another id than it was made with, which is what its PITR records."""


_Objects: TypeAlias = "dict[tuple[str, str | None], _Object]"


def _status_of(connection: Connection, pitr: Pitr, now: _Objects) -> PitrStatus:
    if pitr.database_name is None or pitr.created_time is None:
        return PitrStatus.ACTIVE  # an account that can ask has not been dropped
    found = now.get((pitr.database_name, pitr.table_name))
    if found is None:
        return PitrStatus.DETACHED
    if found.rebuilt:
        return PitrStatus.DETACHED
    if found.made < pitr.created_time:
        return PitrStatus.ACTIVE
    if found.made < pitr.created_time + _SECOND:
        return PitrStatus.UNKNOWN  # before or after it, in the same second
    try:
        then = _objects(connection, [pitr], at=pitr.created_time + _SECOND)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return PitrStatus.UNKNOWN  # that history is gone
    was = then.get((pitr.database_name, pitr.table_name))
    if was is None:
        return PitrStatus.UNKNOWN
    return PitrStatus.ACTIVE if was.id == found.id else PitrStatus.DETACHED


def _has_logical_ids(connection: Connection) -> bool:
    return (server.matrixone_version(connection) or server.OLDEST_SUPPORTED) >= (4, 0, 0)


def _objects(
    connection: Connection, pitrs: Iterable[Pitr], at: dt.datetime | None = None
) -> _Objects:
    """Ids and creation times of the PITRs' databases and tables, now or at a moment.

    The session is in UTC.
    """
    tables = {(p.database_name or "", p.table_name) for p in pitrs if p.table_name is not None}
    databases = sorted({p.database_name or "" for p in pitrs if p.table_name is None})
    moment = f" {{MO_TS = {int(at.timestamp()) * 1_000_000_000}}}" if at is not None else ""
    found: _Objects = {}
    if tables:
        first_id = "rel_logical_id" if _has_logical_ids(connection) else "rel_id"
        statement = text(
            f"SELECT reldatabase, relname, rel_id, created_time, {first_id} "
            f"FROM mo_catalog.mo_tables{moment} "
            "WHERE account_id = current_account_id() AND reldatabase IN :databases "
            "AND relname IN :tables"
        ).bindparams(bindparam("databases", expanding=True), bindparam("tables", expanding=True))
        for database, table, rel_id, made, first in connection.execute(
            statement,
            {"databases": sorted({d for d, _ in tables}), "tables": sorted({t for _, t in tables})},
        ):
            found[database, table] = _Object(int(rel_id), parse_time(made), first != rel_id)
    if databases:
        statement = text(
            f"SELECT datname, dat_id, created_time FROM mo_catalog.mo_database{moment} "
            "WHERE account_id = current_account_id() AND datname IN :databases"
        ).bindparams(bindparam("databases", expanding=True))
        for database, dat_id, made in connection.execute(statement, {"databases": databases}):
            found[database, None] = _Object(int(dat_id), parse_time(made), False)
    return found
