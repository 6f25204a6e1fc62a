"""Ranges: which reaches further back where units differ, and when one lets go of a moment."""

from __future__ import annotations

import datetime as dt

from ..model import PitrRange, PitrUnit
from ..moment import Moment, begin_of_range


def may_be_shorter(old: PitrRange, new: PitrRange) -> bool:
    """Whether a range may reach less far back than another, on some day.

    >>> may_be_shorter(PitrRange.parse("30d"), PitrRange.parse("1mo"))
    True
    >>> may_be_shorter(PitrRange.parse("1y"), PitrRange.parse("12mo"))
    False
    """
    calendar = (PitrUnit.MONTH, PitrUnit.YEAR)
    if old.unit in calendar and new.unit in calendar:
        return _months(new) < _months(old)
    return _hours(new)[0] < _hours(old)[1]


def _months(range: PitrRange) -> int:
    return range.value * (12 if range.unit is PitrUnit.YEAR else 1)


def _hours(range: PitrRange) -> tuple[int, int]:
    """The least and the most hours of a range."""
    least, most = {
        PitrUnit.HOUR: (1, 1),
        PitrUnit.DAY: (24, 24),
        PitrUnit.MONTH: (28 * 24, 31 * 24),
        PitrUnit.YEAR: (365 * 24, 366 * 24),
    }[range.unit]
    return range.value * least, range.value * most


def lets_go_at(range: PitrRange, moment: Moment) -> Moment:
    """The moment after which a policy of a range reaches another one no more, to the microsecond.

    >>> str(lets_go_at(PitrRange.parse("7d"), Moment.parse("2026-11-22 09:30:00Z")))
    '2026-11-29 09:30:00Z'
    >>> str(lets_go_at(PitrRange.parse("1mo"), Moment.parse("2026-02-28 09:30:00Z")))
    '2026-03-28 09:30:00Z'
    """
    least, most = _hours(range)
    earliest, latest = (moment + dt.timedelta(hours=hours) for hours in (least, most + 72))
    if range.unit in (PitrUnit.HOUR, PitrUnit.DAY):
        return earliest
    first, last = earliest.nanoseconds // 1000, latest.nanoseconds // 1000
    while first < last:  # the start of a range never goes back as time goes on
        middle = (first + last + 1) // 2
        if begin_of_range(range.start(Moment(middle * 1000).datetime())) <= moment:
            first = middle
        else:
            last = middle - 1
    return Moment(first * 1000)
