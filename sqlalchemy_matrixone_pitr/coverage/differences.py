"""SHOW RECOVERY_WINDOW beside the computed windows, and why the two differ.

The server's windows are no source for coverage (docs/server.md, SHOW RECOVERY_WINDOW); who has seen
them asks why the report says something else.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SAWarning

from .. import server
from ..catalog import Key
from ..connections import roll_back
from ..ddl import recovery_window_statement
from ..generations import object_of
from ..model import Pitr, PitrLevel, PitrStatus, RecoveryWindow
from ..moment import Moment
from ..show import parse_window_rows
from .model import Window, WindowKind
from .report import CoverageReport, Difference
from .table import TableCoverage

_NEAR: Final = 2 * 10**9
"""Nanoseconds within which two times are the same: some have whole seconds only."""


def read_server_windows(connection: Connection, account: str) -> tuple[RecoveryWindow, ...] | None:
    """The windows that the server shows of the account: SHOW RECOVERY_WINDOW, one statement.

    :return: None, with a warning, where the server fails: it does where a detached policy's range
        has passed what it kept.
    """
    statement = recovery_window_statement(
        connection.dialect, account=None, database=None, table=None
    )
    roll_back(connection)
    try:
        rows = connection.exec_driver_sql(statement).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        warnings.warn(f"SHOW RECOVERY_WINDOW failed: {error.orig}", SAWarning, stacklevel=3)
        return None
    return tuple(parse_window_rows(rows, account, lambda texts: server.to_utc(connection, texts)))


def differences(report: CoverageReport, shown: Iterable[RecoveryWindow]) -> tuple[Difference, ...]:
    """The differences of the server's windows from a report's, by table.

    :param shown: of the account; those of tables that the report leaves out are left out.
    """
    by_table: dict[Key, list[RecoveryWindow]] = defaultdict(list)
    for window in shown:
        if window.database_name is not None and window.table_name is not None:
            by_table[window.database_name, window.table_name].append(window)
    pitrs = {pitr.name: pitr for pitr in report.pitrs}
    return tuple(
        difference
        for table in report.tables
        for difference in _of_table(table, by_table.get(table.key, []), pitrs, report.now)
    )


def _of_table(
    table: TableCoverage, shown: list[RecoveryWindow], pitrs: dict[str, Pitr], now: Moment
) -> Iterator[Difference]:
    computed: dict[str, list[Window]] = defaultdict(list)
    for window in table.windows:
        computed[window.by].append(window)
    for theirs in shown:
        ours = computed.pop(theirs.source_name, None)
        if ours is None:
            reason = _why_not_ours(theirs, table, pitrs)
            yield Difference(*table.key, theirs, None, reason)
        elif reason := _why_other_times(theirs, ours, now):
            yield Difference(*table.key, theirs, ours[0], reason)
    for left in computed.values():
        yield Difference(*table.key, None, left[0], _why_not_theirs(left[0], table))


def _why_not_ours(theirs: RecoveryWindow, table: TableCoverage, pitrs: dict[str, Pitr]) -> str:
    name = theirs.source_name
    pitr = pitrs.get(name)
    if theirs.source == "snapshot":
        return f"snapshot {name} is not visible to this account in the catalogue"
    if pitr is None:
        return f"{name} is not a policy of this account, or was dropped just now"
    if pitr.level is PitrLevel.TABLE and object_of(pitr) != table.key:
        return f"{name} is of another table: the server gives tables each other's windows"
    if pitr.level is PitrLevel.TABLE and table.parts.partitioned:
        return f"{name} is of the table alone and keeps nothing of its partitions"
    if pitr.status is PitrStatus.DETACHED:
        return f"{name} is detached, and its range has passed what it kept, or it never kept any"
    return f"the range of {name}, {pitr.range}, keeps nothing now"


def _why_other_times(theirs: RecoveryWindow, ours: list[Window], now: Moment) -> str:
    begin = min(window.since or window.begin for window in ours)
    shown_begin, shown_end = Moment.of(theirs.start), Moment.of(theirs.end)
    ends = max(window.end or now for window in ours)
    if ends < shown_end and not _near(shown_end, ends):
        return (
            f"{ours[0].by} was detached at {ends}, which the server has not noticed or does not "
            "show: nothing protects what is since"
        )
    if _near(shown_begin, begin):
        return ""
    if shown_begin > begin:
        return (
            "the server's window begins where the range was last altered, or where the table was "
            "altered; RESTORE takes earlier moments"
        )
    return f"{ours[0].by} keeps nothing before {begin}: it was made then, or its range ends there"


def _why_not_theirs(ours: Window, table: TableCoverage) -> str:
    if ours.kind is WindowKind.SNAPSHOT:
        return f"the server does not show snapshot {ours.by} for this table"
    if ours.kind is WindowKind.DETACHED:
        return f"the server shows no window of {ours.by}, which is detached, and restores from it"
    if ours.level is PitrLevel.TABLE:
        return f"the server does not find the table that {ours.by} was made for by its name"
    return (
        f"the table was made, rebuilt or renamed after {ours.by}: the server leaves it out, and "
        "restores it all the same"
    )


def _near(one: Moment, other: Moment) -> bool:
    return abs(one.nanoseconds - other.nanoseconds) <= _NEAR
