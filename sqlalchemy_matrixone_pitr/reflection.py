"""Reading what the server has: SHOW PITR, SHOW RECOVERY_WINDOW and the catalogue.

The parsers are pure: rows in, :class:`~.model.Pitr` and :class:`~.model.RecoveryWindow` out. The
functions that read use a connection of their own: the caller's work is never disturbed.

Source: docs/server.md, Object ids; SHOW PITR; SHOW RECOVERY_WINDOW.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SAWarning

from . import server
from .catalog import object_ids
from .connections import Bind, query, roll_back, side_connection, unwrap
from .ddl import recovery_window_statement
from .declarations import real_database
from .errors import PitrValidationError, from_dbapi_error
from .generations import SUFFIX, split_generation
from .model import Pitr, PitrLevel, PitrRange, PitrStatus, RecoveryWindow, to_level
from .moment import Moment
from .names import check_pitr_name, check_target_name

if TYPE_CHECKING:
    pass

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

    A connection of its own is used.

    :param database_name: as it is declared: ``schema_translate_map`` is followed.
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
        database_name=real_database(bind, database_name),
        table_name=table_name,
    )
    with reading(bind) as connection:
        if with_status:
            return read_state(connection, wanted).pitrs
        return read_pitrs(connection, wanted)


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
    roll_back(connection)
    with server.session_zone(connection, "+00:00"), _typed_errors():
        rows = _show_pitr(connection, wanted)
    others = any(row[3] == PitrLevel.ACCOUNT.value and row[4] != _SYS for row in rows)
    return _parse_pitr_rows(rows, own_account(connection) if others else _SYS)


def read_generations(connection: Connection, name: str, *, times: bool = True) -> list[Pitr]:
    """The PITR of a name and those whose names begin with it and a number; none has a status.

    :param name: checked and folded.
    :param times: False saves two statements, and the times are then None.
    """
    statement = text("SHOW PITR WHERE pitr_name = :name OR pitr_name LIKE :numbered")
    values = {"name": name, "numbered": f"{name}{SUFFIX}%"}
    zone = server.session_zone(connection, "+00:00") if times else contextlib.nullcontext()
    roll_back(connection)
    with zone, _typed_errors():
        rows = query(connection, statement, values)
        if not times:
            _be_oneself_again(connection)
    others = any(row[3] == PitrLevel.ACCOUNT.value and row[4] != _SYS for row in rows)
    found = _parse_pitr_rows(rows, own_account(connection) if others else _SYS)
    named = [pitr for pitr in found if name in (pitr.name, split_generation(pitr.name)[0])]
    return named if times else [pitr.without_times() for pitr in named]


def _be_oneself_again(connection: Connection) -> None:
    """A SET after SHOW PITR, which :func:`server.session_zone` sends at its end as well.

    In the next statement that the server (2.2 to 4.2) plans, ``current_account_id()`` is 0 for any
    account, and ``information_schema``, which asks by it, shows none of its tables. COMMIT and
    ROLLBACK do not end that.
    """
    connection.exec_driver_sql("SET @pitr_shown = 1")


def _show_pitr(connection: Connection, wanted: Mapping[str, str]) -> list[tuple[Any, ...]]:
    where = " AND ".join(f"{column} = :{column}" for column in wanted)
    statement = text(f"SHOW PITR WHERE {where}" if where else "SHOW PITR")
    return query(connection, statement, wanted)


def _parse_pitr_rows(rows: Iterable[Sequence[Any]], account: str) -> list[Pitr]:
    """All rows, newest first."""
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
    database = _filter(real_database(bind, database_name), "database name")
    table = _filter(table_name, "table name")
    if table is not None and database is None:
        raise PitrValidationError(
            f"recovery windows of table {table_name!r} need database_name= as well"
        )
    if account is not None and database is not None:
        raise PitrValidationError(
            "recovery windows are for an account, or for a database or table of the current "
            "account: leave account_name or database_name out"
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


class CatalogObject(NamedTuple):
    """A database or table in the catalogue."""

    id: int
    made: dt.datetime
    logical_id: int
    """From 4.0 on a table keeps it when it is rebuilt; before 4.0, and for a database, the id."""

    @property
    def rebuilt(self) -> bool:
        """Whether a table of 4.x was rebuilt or truncated since it was made.

        An ordinary CREATE PITR then records the logical id, and the server's garbage collection
        looks for the id: it protects nothing.
        """
        return self.id != self.logical_id


Objects: TypeAlias = "dict[tuple[str, str | None], CatalogObject]"


@dataclass(frozen=True, slots=True)
class ServerState:
    """What an account has, read at one time.

    :ivar account: the account's own name.
    :ivar database: the connection's default database.
    :ivar now: the server's clock, UTC.
    :ivar pitrs: with their status, newest first.
    :ivar stale: names of detached ones that the server still takes for active: they block another
        one for their object. Known to sys alone.
    :ivar ended: when the server noticed that a PITR's object was gone, by name. Known to sys alone.
    :ivar objects: the databases asked for, and the tables in them.
    """

    version: server.Version
    account: str
    database: str | None
    now: dt.datetime
    pitrs: list[Pitr]
    stale: frozenset[str]
    ended: Mapping[str, dt.datetime]
    objects: Objects

    @property
    def rebuilt(self) -> frozenset[tuple[str, str | None]]:
        """The tables of 4.x that were rebuilt: see :attr:`CatalogObject.rebuilt`."""
        return frozenset(key for key, found in self.objects.items() if found.rebuilt)


def read_state(
    connection: Connection,
    wanted: Mapping[str, str] | None = None,
    *,
    databases: Iterable[str] = (),
    tables: Collection[str] | None = None,
) -> ServerState:
    """PITRs with their status, and the objects they are for: three statements, however many.

    A few more, one for each second of creation, where an account that is not sys cannot tell
    otherwise whether an object was rebuilt. On a connection that nobody has a transaction on.

    :param wanted: of :func:`filters`.
    :param databases: databases to look up besides those of the PITRs and the default one.
    :param tables: tables to look up besides those of the PITRs; None is all.
    """
    version = server.require_matrixone(connection)
    roll_back(connection)
    with server.session_zone(connection, "+00:00"), _typed_errors():
        rows = _show_pitr(connection, wanted or {})
        _be_oneself_again(connection)
        names: set[str] | None = None
        if tables is not None:
            of_pitrs = {row[6] for row in rows if row[3] == PitrLevel.TABLE.value}
            names = of_pitrs | set(tables)
        within = {row[5] for row in rows if row[5] not in (None, "*")} | set(databases)
        account, database, now, objects = _read_objects(connection, version, within, names)
        pitrs = _parse_pitr_rows(rows, account)
        stale: frozenset[str] = frozenset()
        ended: dict[str, dt.datetime] = {}
        if pitrs and account == _SYS:
            pitrs, stale, ended = _status_for_sys(connection, pitrs, objects)
        elif pitrs:
            pitrs = _status_by_ids(connection, pitrs, objects)
    return ServerState(version, account, database, now, pitrs, stale, ended, objects)


_OBJECTS: Final = """\
SELECT w.account, w.chosen, w.moment,
  d.datname, d.dat_id, d.created_time, t.relname, t.rel_id, t.{logical_id}, t.created_time
FROM (SELECT current_account_name() AS account, DATABASE() AS chosen, now(6) AS moment) w
LEFT JOIN mo_catalog.mo_database d
  ON d.account_id = current_account_id() AND (d.datname = DATABASE() OR d.datname IN :databases)
LEFT JOIN mo_catalog.mo_tables t
  ON t.account_id = d.account_id AND t.reldatabase = d.datname{tables}"""

_MANY: Final = 1000
"""From so many names on, all tables of the databases are read."""


def _read_objects(
    connection: Connection,
    version: server.Version,
    databases: Collection[str],
    tables: Collection[str] | None,
) -> tuple[str, str | None, dt.datetime, Objects]:
    """The account, the default database, the server's clock, and objects of the catalogue."""
    some = tables is not None and len(tables) < _MANY
    statement = text(
        _OBJECTS.format(
            logical_id="rel_logical_id" if server.rules_of(version).logical_ids else "rel_id",
            tables=" AND t.relname IN :tables" if some else "",
        )
    ).bindparams(bindparam("databases", expanding=True))
    values: dict[str, object] = {"databases": sorted(databases) or [""]}
    if some and tables is not None:
        statement = statement.bindparams(bindparam("tables", expanding=True))
        values["tables"] = sorted(tables) or [""]
    objects: Objects = {}
    rows = query(connection, statement, values)
    for row in rows:
        database, dat_id, made, table, rel_id, logical_id, table_made = row[3:]
        if database is None:
            continue
        if (database, None) not in objects:
            objects[database, None] = CatalogObject(int(dat_id), parse_time(made), int(dat_id))
        if table is not None:
            objects[database, table] = CatalogObject(
                int(rel_id), parse_time(table_made), int(logical_id)
            )
    account, chosen, now = rows[0][:3]
    return str(account), chosen or None, parse_time(now), objects


_SYS_STATUS: Final = (
    "SELECT pitr_name, pitr_status, obj_id, pitr_status_changed_time FROM mo_catalog.mo_pitr "
    "WHERE create_account = 0"
)


def _status_for_sys(
    connection: Connection, pitrs: Sequence[Pitr], objects: Objects
) -> tuple[list[Pitr], frozenset[str], dict[str, dt.datetime]]:
    """By the catalogue: the status column **and** the object's present id.

    The status alone is not enough: on 3.0.9 TRUNCATE and RESTORE leave it 1 with a stale id, and
    4.x may record another id than the present one for a table that was rebuilt before.
    """
    recorded = {
        name: (int(status), int(obj_id), changed)
        for name, status, obj_id, changed in connection.exec_driver_sql(_SYS_STATUS)
    }
    known = []
    stale = set()
    ended = {}
    for pitr in pitrs:
        if pitr.name not in recorded:
            known.append(pitr.with_status(PitrStatus.UNKNOWN))  # it was dropped just now
            continue
        status, obj_id, changed = recorded[pitr.name]
        attached = True
        if pitr.database_name is not None:
            found = objects.get((pitr.database_name, pitr.table_name))
            attached = found is not None and found.id == obj_id
        if status == 1 and attached:
            known.append(pitr.with_status(PitrStatus.ACTIVE))
            continue
        known.append(pitr.with_status(PitrStatus.DETACHED))
        if status == 1:
            stale.add(pitr.name)
        else:
            ended[pitr.name] = _changed_time(changed)
    return known, frozenset(stale), ended


def _changed_time(value: int | dt.datetime | str) -> dt.datetime:
    """A time of mo_pitr: nanoseconds since 1970, or 2.2's timestamp in the session's zone, UTC."""
    if isinstance(value, int):
        return server.EPOCH + dt.timedelta(microseconds=value // 1000)
    return parse_time(value)


def _status_by_ids(connection: Connection, pitrs: Sequence[Pitr], now: Objects) -> list[Pitr]:
    """For accounts that cannot read mo_pitr: the object's id now against its id at the creation.

    The past is asked only where the object was changed since, first once for all: an id that was
    there before the oldest of those PITRs, and still is, has not changed at all.
    """
    statuses: dict[int, PitrStatus] = {}
    doubtful: dict[dt.datetime, list[Pitr]] = defaultdict(list)
    for pitr in pitrs:
        known = _status_without_past(pitr, now)
        if known is not None:
            statuses[id(pitr)] = known
        else:
            assert pitr.created_time is not None
            doubtful[pitr.created_time].append(pitr)
    if len(doubtful) > 1:
        oldest = min(doubtful)
        then = _past_ids(connection, [p for some in doubtful.values() for p in some], oldest)
        for moment in sorted(doubtful):
            for pitr in list(doubtful[moment]):
                object_now = now[pitr.database_name or "", pitr.table_name]
                if then.get((pitr.database_name or "", pitr.table_name)) == object_now.id:
                    statuses[id(pitr)] = _active(pitr, object_now)
                    doubtful[moment].remove(pitr)
    for moment, some in doubtful.items():
        then = _past_ids(connection, some, moment) if some else {}
        for pitr in some:
            object_now = now[pitr.database_name or "", pitr.table_name]
            was = then.get((pitr.database_name or "", pitr.table_name))
            statuses[id(pitr)] = (
                PitrStatus.UNKNOWN
                if was is None
                else _active(pitr, object_now)
                if was == object_now.id
                else PitrStatus.DETACHED
            )
    return [pitr.with_status(statuses[id(pitr)]) for pitr in pitrs]


def _status_without_past(pitr: Pitr, now: Objects) -> PitrStatus | None:
    if pitr.database_name is None or pitr.created_time is None:
        return PitrStatus.ACTIVE  # an account that can ask has not been dropped
    found = now.get((pitr.database_name, pitr.table_name))
    if found is None:
        return PitrStatus.DETACHED
    if found.made < pitr.created_time:
        return _active(pitr, found)
    if found.made < pitr.created_time + _SECOND:
        return PitrStatus.UNKNOWN  # before or after it, in the same second
    return None


def _active(pitr: Pitr, found: CatalogObject) -> PitrStatus:
    """The status of a PITR whose object is the one it was made for.

    Whether a PITR of a rebuilt table was made so that it protects is told by nothing that this
    account can read, except for a renewal of this package, by its name.
    """
    if found.rebuilt and split_generation(pitr.name)[1] == 1:
        return PitrStatus.UNKNOWN
    return PitrStatus.ACTIVE


def _past_ids(
    connection: Connection, pitrs: Iterable[Pitr], created: dt.datetime
) -> dict[tuple[str, str | None], int]:
    """Ids of the PITRs' databases and tables, just after a moment; none where it is forgotten."""
    moment = Moment((int(created.timestamp()) + 1) * 1_000_000_000)
    try:
        return object_ids(
            connection, [(p.database_name or "", p.table_name) for p in pitrs], at=moment
        )
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return {}
