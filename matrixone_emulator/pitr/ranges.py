"""Ranges of PITRs: calendar arithmetic (docs/server.md, Times of RESTORE).

The server is written in Go; where its calendar differs from
Python's (31 March less a month is 3 March) Go's rule is the one here.
"""

from __future__ import annotations

import datetime

from ..clock import Clock

UNITS = ("h", "d", "mo", "y")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECOND = 1_000_000_000


def range_start(now: int, length: int, unit: str) -> int:
    """The oldest moment that a range of *length* units reaches back to from *now* (ns, UTC)."""
    if unit == "h":
        return now - length * 3600 * _SECOND
    seconds, fraction = divmod(now, _SECOND)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    months = {"d": 0, "mo": length, "y": 12 * length}[unit]
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    days = moment.day - 1 - (length if unit == "d" else 0)
    start = moment.replace(year=year, month=month + 1, day=1) + datetime.timedelta(days=days)
    elapsed = start - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _SECOND + fraction


def trimmed(clock: Clock, ns: int) -> str:
    """Local time with up to nine digits, zeros at the end cut, as the windows show it."""
    return clock.local_text(ns, 9).rstrip("0").rstrip(".")
