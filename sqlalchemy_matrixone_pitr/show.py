"""SHOW PITR and SHOW RECOVERY_WINDOW: read and parsed.

The parsers are pure: rows in, :class:`~.model.Pitr` and :class:`~.model.RecoveryWindow` out. The
functions that read use a connection of their own: the caller's work is never disturbed.

Source: docs/server.md, SHOW PITR; SHOW RECOVERY_WINDOW.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SAWarning

from . import server
from .connections import Bind, query, roll_back, side_connection, tell, unwrap
from .errors import PitrPermissionError, from_dbapi_error
from .generations import SUFFIX, split_generation
from .model import Pitr, PitrLevel, PitrRange, RecoveryWindow, to_level
from .names import RESERVED_PITR_NAME, check_pitr_name, check_target_name
from .server import parse_time

SYS: Final = "sys"


_LEVELS: Final = {level.value: level for level in PitrLevel}

_range = functools.lru_cache(PitrRange.from_server)


def parse_pitr_row(row: Sequence[Any], own_account: str) -> Pitr:
    """A row of SHOW PITR. Columns are taken by position: their letter case differs by version.

    The level decides which names mean something; ``*`` may also be a name.

    :param own_account: the reading account, whose own name is folded to None.
    """
    name, created, modified, level, account, database, table, length, unit = row[:9]
    known = _LEVELS.get(level) or to_level(level)
    of_account = known is PitrLevel.ACCOUNT and account != own_account
    in_database = known in (PitrLevel.DATABASE, PitrLevel.TABLE)
    return Pitr.from_server(
        name,
        known,
        _range(int(length), unit),
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


@contextlib.contextmanager
def reading(bind: Bind) -> Iterator[Connection]:
    """A connection to read PITRs on, never the caller's: nothing tells whether that one is idle.

    A ``BEGIN`` sent as text, or a cursor of the driver's, is not seen by SQLAlchemy.

    :raises PitrUnsupportedError: the server is not MatrixOne 2.1 or later.
    """
    with side_connection(unwrap(bind, "reading PITRs")) as connection:
        server.require_matrixone(connection)
        yield connection


def own_account(connection: Connection) -> str:
    """The account this connection is logged in to; ``sys`` administers the cluster."""
    return str(connection.exec_driver_sql("SELECT current_account_name()").scalar_one())


@contextlib.contextmanager
def typed_errors() -> Iterator[None]:
    """A refusal of the server as the PitrError that it means; a lost connection as it is."""
    try:
        yield
    except DBAPIError as error:
        typed = from_dbapi_error(error)
        if typed is None:
            raise
        raise typed from error


def filters(
    *,
    name: str | None = None,
    level: PitrLevel | str | None = None,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
) -> dict[str, str]:
    """Checked and folded filters, by the columns of SHOW PITR."""
    wanted = {
        "pitr_name": None if name is None else check_pitr_name(name),
        "pitr_level": None if level is None else to_level(level).value,
        "account_name": check_filter(account_name, "account name"),
        "database_name": check_filter(database_name, "database name"),
        "table_name": check_filter(table_name, "table name"),
    }
    return {column: value for column, value in wanted.items() if value is not None}


def read_pitrs(connection: Connection, wanted: Mapping[str, str]) -> list[Pitr]:
    """:func:`get_pitrs` on an idle connection.

    :param wanted: of :func:`filters`.
    """
    return _read(connection, _condition(wanted), wanted)


def read_generations(connection: Connection, name: str, *, times: bool = True) -> list[Pitr]:
    """The PITR of a name and those whose names begin with it and a number; none has a status.

    :param name: checked and folded.
    :param times: False saves up to two statements, and the times are then None.
    """
    values = {"name": name, "numbered": f"{name}{SUFFIX}%"}
    found = _read(connection, "pitr_name = :name OR pitr_name LIKE :numbered", values, times=times)
    return [pitr for pitr in found if name in (pitr.name, split_generation(pitr.name)[0])]


def _read(
    connection: Connection, where: str, values: Mapping[str, str], *, times: bool = True
) -> list[Pitr]:
    """The PITRs for which a condition holds, on an idle connection; none has a status."""
    roll_back(connection)
    rows = _recorded(connection, where, values)
    if rows is None:
        roll_back(connection)
        rows = _shown(connection, where, values, times=times)
    others = any(row[3] == PitrLevel.ACCOUNT.value and row[4] != SYS for row in rows)
    found = parse_pitr_rows(rows, own_account(connection) if others else SYS)
    return found if times else [pitr.without_times() for pitr in found]


def _shown(
    connection: Connection, where: str, values: Mapping[str, str], *, times: bool
) -> list[tuple[Any, ...]]:
    zone = server.session_zone(connection, "+00:00") if times else contextlib.nullcontext()
    with zone, typed_errors():
        rows = query(connection, _show(where), values)
    if not times and not _is_of_sys(rows):
        reset_current_account(connection)
    return rows


def _recorded(
    connection: Connection, where: str, values: Mapping[str, str]
) -> list[tuple[Any, ...]] | None:
    """Read from the catalogue what SHOW PITR would show; administrators of sys may.

    It takes half the server's time, its times are in no zone, and what SHOW PITR leaves behind in a
    session is not there.

    :return: None where it is to be asked by SHOW PITR.
    """
    if "*" in values.values() or not _reads_catalogue(connection):
        return None
    statement = _select_recorded(where.replace("pitr_level =", "level ="))
    try:
        with typed_errors():
            rows = query(connection, statement, values)
    except PitrPermissionError:  # SET ROLE has made it another's meanwhile
        connection.info[_CATALOGUE] = False
        return None
    return [(row[0], _whole_second(row[1]), _whole_second(row[2]), *row[3:]) for row in rows]


_CATALOGUE: Final = "matrixone_pitr_catalogue"
"""In ``connection.info``, of the driver's connection: whether it may read mo_pitr."""


def _reads_catalogue(connection: Connection) -> bool:
    """Whether a session may read mo_pitr: asked once for each connection of the driver's."""
    if not server.rules_of(server.require_matrixone(connection)).catalogue_has_instants:
        return False
    known = connection.info.get(_CATALOGUE)
    if known is None:
        asked = "SELECT current_account_name(), current_role()"
        account, role = connection.exec_driver_sql(asked).one()
        known = connection.info[_CATALOGUE] = account == SYS and role == _ADMINISTRATOR
    return bool(known)


_ADMINISTRATOR: Final = "moadmin"


def _whole_second(nanoseconds: int) -> dt.datetime:
    """A time of mo_pitr as SHOW PITR tells it."""
    return server.EPOCH + dt.timedelta(seconds=nanoseconds // 10**9)


@functools.lru_cache(maxsize=128)
def _select_recorded(where: str) -> TextClause:
    statement = f"SELECT pitr_name, create_time, modified_time, {TARGET_AND_RANGE} {OF_SYS}"
    return text(f"{statement} AND ({where})" if where else statement)


TARGET_AND_RANGE: Final = "level, account_name, database_name, table_name, pitr_length, pitr_unit"
OF_SYS: Final = (
    f"FROM mo_catalog.mo_pitr WHERE create_account = 0 AND pitr_name <> '{RESERVED_PITR_NAME}'"
)
"""The PITRs that sys made, and SHOW PITR shows it."""


def _is_of_sys(rows: Iterable[Sequence[Any]]) -> bool:
    """Whether rows of SHOW PITR show that sys has asked: they name the account at all levels, and
    the cluster's are for sys. An account's may be another one's."""
    return any(row[4] == SYS if row[3] != PitrLevel.CLUSTER.value else True for row in rows)


def reset_current_account(connection: Connection) -> None:
    """A SET after SHOW PITR, which :func:`server.session_zone` sends at its end as well.

    In the next statement that the server (2.2 to 4.2) plans, ``current_account_id()`` is 0 for any
    account, and ``information_schema``, which asks by it, shows none of its tables. COMMIT,
    ROLLBACK and PITR statements do not end that. It is 0 for sys anyway.
    """
    tell(connection, "SET @pitr_shown = 1")


def show_pitr(connection: Connection, wanted: Mapping[str, str]) -> list[tuple[Any, ...]]:
    return query(connection, _show(_condition(wanted)), wanted)


def _condition(wanted: Mapping[str, str]) -> str:
    return " AND ".join(f"{column} = :{column}" for column in wanted)


@functools.lru_cache(maxsize=128)
def _show(where: str) -> TextClause:
    """SHOW PITR with a condition of this module's; made once, so that SQLAlchemy finds it in its
    cache of compiled statements at once."""
    return text(f"SHOW PITR WHERE {where}" if where else "SHOW PITR")


def parse_pitr_rows(rows: Iterable[Sequence[Any]], account: str) -> list[Pitr]:
    """All rows, newest first."""
    pitrs = [parse_pitr_row(row, account) for row in rows]
    _warn_of_duplicates(pitrs)
    pitrs.sort(key=lambda pitr: pitr.name)
    pitrs.sort(key=lambda pitr: pitr.created_time or server.EPOCH, reverse=True)
    return pitrs


def check_filter(name: str | None, what: str) -> str | None:
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
