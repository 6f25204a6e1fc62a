"""Sentences about windows, gaps and lines: the tooltips of a picture. Pure."""

from __future__ import annotations

import datetime as dt

from ...moment import Moment
from ..model import Gap, Window, WindowKind
from .axis import long_time
from .rows import Line, is_detached, is_probable, state_text

MOST_NAMES = 30
"""So many tables are named in a tooltip."""


def of_window(line: Line, window: Window, zone: dt.tzinfo) -> str:
    begin, by = long_time(window.begin, zone), line.by(window) or "a policy of each table"
    if window.kind is WindowKind.SNAPSHOT:
        return f"{by}: snapshot of the {window.level}, {begin}"
    about = "" if window.range is None else f", {window.range}"
    lines = [
        f"{by}: {window.level} level{about}",
        f"from {begin} {_until(window.end, zone)}",
    ]
    if is_detached(window):
        lines.append("detached: it keeps this until its range lets go, and nothing new")
    if not window.indexes:
        lines.append("rows only: it keeps no indexes, UNIQUE keys or partitions")
    if is_probable(window):
        lines.append("perhaps kept")
    if window.reason:
        lines.append(window.reason)
    return "\n".join(lines)


def of_gap(gap: Gap, zone: dt.tzinfo) -> str:
    span = f"not kept from {long_time(gap.begin, zone)} {_until(gap.end, zone)}"
    return f"{span}\n{gap.reason}" if gap.reason else span


def of_line(line: Line, at: Moment | None, zone: dt.tzinfo) -> str:
    """Tooltip of a line: its tables, their state, and since when."""
    names = [f"{table.database_name}.{table.table_name}" for table in line.tables[:MOST_NAMES]]
    lines = ["\n".join(names)]
    if len(line.tables) > MOST_NAMES:
        lines.append(f"and {len(line.tables) - MOST_NAMES} more")
    table = line.drawn
    reason = f": {table.unprotected}" if table.unprotected is not None else ""
    lines.append(state_text(table) + reason)
    if table.restorable_from is not None:
        until = _until(table.restorable_until, zone)
        last = " at the latest" if len({one.restorable_from for one in line.tables}) > 1 else ""
        begin = long_time(table.restorable_from, zone)
        lines.append(f"restorable from {begin}{last} {until}")
    if at is not None:
        lines.append(of_moment(line, at, zone))
    return "\n".join(lines)


def of_moment(line: Line, at: Moment, zone: dt.tzinfo) -> str:
    """Whether the tables can be restored to a moment."""
    yes, of = line.restorable(at), len(line.tables)
    many = "" if of == 1 else f"{yes} of {of} " if yes else "none "
    return f"{many}{'restorable' if yes or of > 1 else 'not restorable'} to {long_time(at, zone)}"


def length_text(begin: Moment, end: Moment) -> str:
    """The time between two moments, in its largest unit.

    >>> length_text(Moment(10**18), Moment(10**18 + 90 * 60 * 10**9))
    '2 h'
    """
    minutes = (end.nanoseconds - begin.nanoseconds) / (60 * 10**9)
    for unit, many in (("d", 2 * 1440), ("h", 60)):
        if minutes >= many:
            return f"{minutes / (1440 if unit == 'd' else 60):.0f} {unit}"
    return f"{minutes:.0f} min"


def _until(end: Moment | None, zone: dt.tzinfo) -> str:
    return "until now" if end is None else f"until {long_time(end, zone)}"
