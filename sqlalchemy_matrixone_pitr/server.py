"""The server's version, its rules and its clock.

The version comes from the handshake where the driver keeps it (pymysql, aiomysql and asyncmy do, no
round trip), else from ``SELECT version()``. Times are made zone-proof here, once for the package.

Source: docs/server.md, Versions; SHOW PITR; Times of RESTORE.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy.engine import Connection, Dialect

from .connections import VERSION_OPTION, ask, tell
from .errors import PitrRestoreError, PitrUnsupportedError, PitrValidationError

Version: TypeAlias = tuple[int, int, int]

SUPPORTED_DIALECTS: Final = ("mysql", "mariadb", "matrixone")
"""Dialect names that PITR statements compile on: a MatrixOne server is reached through any."""

UNFIT_DRIVERS: Final = ("mysqlconnector",)
"""Drivers that send statements of their own before ours, and rewrite the server's error texts."""

OLDEST_SUPPORTED: Final[Version] = (2, 1, 0)
DEVELOPMENT: Final[Version] = (999, 0, 0)
"""The version of a development build, whose own is empty: newer than any release."""

MEASURED: Final[tuple[Version, ...]] = ((2, 2, 0), (3, 0, 9), (3, 0, 18), (4, 2, 0))
"""The versions that this package was measured on, as they call themselves (2.2.2 says 2.2.0)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Differences between server versions, as far as this package depends on them.

    :ivar logical_ids: tables have a logical id, which stays when a table is rebuilt; an ordinary
        CREATE PITR records it, and protects nothing of a rebuilt table (``INTERNAL`` is needed).
    :ivar set_commits: any SET commits the open transaction.
    :ivar restore_by_pattern: RESTORE of a table looks for its name by LIKE, in which ``_`` stands
        for any character, and refuses where two tables match.
    :ivar concurrent_create_damages: CREATE PITR of one name by several sessions at once leaves rows
        in the catalogue that cannot be dropped.
    :ivar rebuilt_stays_active: the server goes on taking a rebuilt table's policy for active, and
        refuses another one beside it.
    :ivar truncated_stays_active: so with a truncated table's.
    :ivar table_policies_keep_partitions: a table's policy keeps the rows of its partitions, which
        have ids of their own.
    :ivar copies_forget_partitions: whatever makes a table again leaves PARTITION BY out.
    :ivar copies_double_quotes: CLONE and RESTORE double the quotes in defaults.
    :ivar restore_skips_orphans: RESTORE of a table whose foreign key's parent is missing does
        nothing and says OK.
    :ivar clones: CREATE TABLE and CREATE DATABASE ... CLONE are there.
    :ivar restore_skips_self_references: RESTORE of a database does nothing and says OK where one
        of its tables has a foreign key to itself.
    :ivar catalogue_has_instants: times of mo_pitr are nanoseconds since 1970, in no zone.
    :ivar generated_columns: the catalogue says which columns are generated.
    :ivar vectors_in_joined_updates: an UPDATE of a join sets a vector.
    :ivar large_joined_updates: an UPDATE of a join keeps the keys of more than 8192 rows.
    :ivar rebuild_forgets_foreign_keys: an ALTER that rebuilds a table takes its foreign keys, which
        stay in force, out of ``mo_foreign_keys``.
    :ivar alter_forgets_own_keys: ``mo_foreign_keys`` never has a foreign key that an ALTER adds to
        its own table.
    """

    logical_ids: bool
    clones: bool
    set_commits: bool
    restore_by_pattern: bool
    concurrent_create_damages: bool
    rebuilt_stays_active: bool
    truncated_stays_active: bool
    table_policies_keep_partitions: bool
    copies_forget_partitions: bool
    copies_double_quotes: bool
    restore_skips_orphans: bool
    restore_skips_self_references: bool
    catalogue_has_instants: bool
    generated_columns: bool
    vectors_in_joined_updates: bool
    large_joined_updates: bool
    rebuild_forgets_foreign_keys: bool
    alter_forgets_own_keys: bool


@functools.lru_cache(maxsize=32)
def rules_of(version: Version) -> Rules:
    """The rules of a version; the one place that compares version numbers.

    >>> rules_of((3, 0, 9)).logical_ids, rules_of((4, 2, 0)).logical_ids
    (False, True)
    """
    return Rules(
        logical_ids=version >= (4, 0, 0),
        clones=version >= (3, 0, 0),
        set_commits=version < (4, 3, 0),
        restore_by_pattern=(3, 0, 0) <= version < (4, 0, 0),
        concurrent_create_damages=(3, 0, 0) <= version < (4, 0, 0),
        rebuilt_stays_active=version < (3, 0, 0),
        truncated_stays_active=version < (4, 0, 0),
        table_policies_keep_partitions=version < (4, 0, 0),
        copies_forget_partitions=version < (4, 0, 0),
        copies_double_quotes=version >= (4, 0, 0),
        restore_skips_orphans=version < (3, 0, 0),
        restore_skips_self_references=version < (4, 2, 0),
        catalogue_has_instants=version >= (3, 0, 0),
        generated_columns=version >= (4, 2, 0),
        vectors_in_joined_updates=version >= (4, 0, 0),
        large_joined_updates=version >= (4, 0, 0),
        rebuild_forgets_foreign_keys=version < (4, 0, 0),
        alter_forgets_own_keys=version >= (4, 3, 0),
    )


EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_asked: weakref.WeakKeyDictionary[Dialect, str] = weakref.WeakKeyDictionary()


@functools.lru_cache(maxsize=32)
def parse_version(text: str) -> Version | None:
    """The MatrixOne version in a server's version string, or None where it is another server.

    >>> parse_version("8.0.30-MatrixOne-v3.0.9"), parse_version("8.0.36")
    ((3, 0, 9), None)
    """
    if "matrixone" not in text.lower():
        return None
    match = re.search(r"matrixone-v?(\d+)\.(\d+)(?:\.(\d+))?", text, re.IGNORECASE)
    if match is None:
        return DEVELOPMENT
    return int(match[1]), int(match[2]), int(match[3] or 0)


def version_text(connection: Connection) -> str:
    """The server's version string: of the handshake, else asked once for each engine."""
    driver_connection: Any = connection.connection.driver_connection
    told = getattr(driver_connection, "server_version", None)
    if isinstance(told, str) and told:
        return told
    text = _asked.get(connection.dialect)
    if text is None:
        text = _asked[connection.dialect] = str(ask(connection, "SELECT version()"))
    return text


def matrixone_version(connection: Connection) -> Version | None:
    """The MatrixOne version behind a connection, or None where it is another server.

    The execution option ``matrixone_version`` overrules what the server says, for operators who
    configured another version string.
    """
    override = connection.get_execution_options().get(VERSION_OPTION)
    if override is None:
        return parse_version(version_text(connection))
    match = (
        re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?", override) if isinstance(override, str) else None
    )
    if match is None:
        raise PitrValidationError(
            f"execution option {VERSION_OPTION}={override!r} is not understood: write it as '3.0.9'"
        )
    return int(match[1]), int(match[2]), int(match[3] or 0)


def require_matrixone(connection: Connection) -> Version:
    """The MatrixOne version behind a connection; anything else is refused before it is asked more.

    :raises PitrUnsupportedError: another server, or MatrixOne before 2.1.
    """
    _check_dialect(connection)
    if connection.dialect.driver in UNFIT_DRIVERS:
        raise PitrUnsupportedError(
            f"the driver {connection.dialect.driver} opens transactions of its own, in which "
            "MatrixOne refuses every PITR statement: use matrixone+pymysql:// (asyncio: "
            "matrixone+aiomysql:// or matrixone+asyncmy://)"
        )
    version = matrixone_version(connection)
    if version is None:
        raise PitrUnsupportedError(
            f"the server says it is {version_text(connection)!r}, not MatrixOne, and has no PITR: "
            "connect to a MatrixOne server; if its operator configured another version string, say "
            f"which version it is with the execution option {VERSION_OPTION}='3.0.9'"
        )
    if version < OLDEST_SUPPORTED:
        raise PitrUnsupportedError(
            f"MatrixOne {'.'.join(map(str, version))} is older than 2.1, the first version whose "
            "PITR statements are supported: upgrade the server"
        )
    return version


@contextlib.contextmanager
def session_zone(connection: Connection, zone: str) -> Iterator[None]:
    """The session's ``time_zone`` set for a while, and put back.

    On an idle connection only: SET opens no transaction on MatrixOne, but commits one that is open.
    A lost connection needs no putting back.
    """
    tell(connection, f"SET @pitr_time_zone = @@time_zone, time_zone = '{zone}'")
    try:
        yield
    finally:
        if not connection.invalidated:
            tell(connection, "SET time_zone = @pitr_time_zone")


def local_time_text(connection: Connection, at: dt.datetime) -> str:
    """An instant as RESTORE reads it: text in the server process's local zone.

    :param at: an aware datetime.
    :raises PitrRestoreError: the instant does not survive the way there and back, as in the hour
        that a change of clocks repeats.
    """
    microseconds = round((at - EPOCH) / dt.timedelta(microseconds=1))
    seconds, rest = divmod(microseconds, 1_000_000)
    with session_zone(connection, "SYSTEM"):
        local = connection.exec_driver_sql(f"SELECT from_unixtime({seconds})").scalar_one()
        if local is None:
            raise PitrRestoreError(
                f"{at.isoformat()} is outside the server's calendar: choose a later moment"
            )
        text = str(local)[:19]
        back = connection.exec_driver_sql(f"SELECT unix_timestamp('{text}')").scalar_one()
    if int(back) != seconds:
        raise PitrRestoreError(
            f"{at.isoformat()} is {text} in the server's zone, which there means another instant "
            "(a change of clocks): choose a moment outside that hour, or give the server's own text"
        )
    return f"{text}.{rest:06d}" if rest else text


def to_utc(connection: Connection, texts: set[str]) -> dict[str, dt.datetime]:
    """Texts in the server process's local zone, whole seconds, as aware datetimes.

    One statement for 500 of them.
    """
    ordered = sorted(texts)
    converted: dict[str, dt.datetime] = {}
    if not ordered:
        return converted
    with session_zone(connection, "SYSTEM"):
        for start in range(0, len(ordered), 500):
            some = ordered[start : start + 500]
            columns = ", ".join(f"unix_timestamp('{text}')" for text in some)
            row = connection.exec_driver_sql(f"SELECT {columns}").one()
            for text, seconds in zip(some, row, strict=True):
                converted[text] = EPOCH + dt.timedelta(seconds=int(seconds))
    return converted


def parse_time(value: dt.datetime | str) -> dt.datetime:
    """A time of SHOW PITR, read with the session in UTC: a datetime, or 2.2's text.

    >>> parse_time("2026-11-22 09:30:46")
    datetime.datetime(2026, 11, 22, 9, 30, 46, tzinfo=datetime.timezone.utc)
    """
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    return value if value.tzinfo is dt.UTC else value.replace(tzinfo=dt.UTC)


_CLOCK: Final = "SELECT concat(unix_timestamp(now(6)), ' ', CAST(now(6) AS CHAR))"
"""Seconds, in which no zone plays a part, and a text in the session's zone, whose fraction counts:
before 4.3 ``unix_timestamp()`` has none. Both are of the statement's beginning."""


def _check_dialect(connection: Connection) -> None:
    """Refuse a database that is of another kind for sure, before it is asked anything."""
    if connection.dialect.name not in SUPPORTED_DIALECTS:
        raise PitrUnsupportedError(
            f"a {connection.dialect.name} database has no PITR: connect to a MatrixOne server with "
            "a matrixone+pymysql:// or mysql+pymysql:// URL"
        )


def clock(connection: Connection) -> int:
    """The server's clock in unix nanoseconds, to the microsecond; nothing begins or ends there.

    :raises PitrUnsupportedError: another server.
    """
    _check_dialect(connection)
    seconds, _, local = str(ask(connection, _CLOCK)).partition(" ")
    fraction = local.partition(".")[2][:6].ljust(6, "0")
    return int(seconds.partition(".")[0]) * 10**9 + int(fraction) * 1000


def utc_now(connection: Connection) -> dt.datetime:
    """:func:`clock` as a datetime."""
    return EPOCH + dt.timedelta(microseconds=clock(connection) // 1000)
