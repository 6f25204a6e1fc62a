"""The comparison of ranges whose units differ."""

from __future__ import annotations

from ..model import PitrRange, PitrUnit


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
