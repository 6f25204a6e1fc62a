"""A time axis: positions of moments, and ticks on round times of a zone. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ...errors import PitrValidationError
from ...moment import Moment

SHORTEST: Final = dt.timedelta(minutes=1)
"""An axis spans this much at least."""

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
"""English, whatever the locale."""

_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAYS: Final = (1, 2, 7, 14)
_IN_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


@dataclass(frozen=True, slots=True)
class Tick:
    """A round time on an axis.

    :ivar label: its time, day, month or year.
    :ivar context: the day, month or year around it, where that is another than of the tick before;
        else empty.
    """

    at: Moment
    label: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """A span of time, drawn from left to right.

    :ivar begin: the left edge.
    :ivar end: the right edge, which is now.
    :ivar zone: of the ticks.
    """

    begin: Moment
    end: Moment
    zone: dt.tzinfo

    def __post_init__(self) -> None:
        if self.end < self.begin + SHORTEST:
            raise PitrValidationError(
                f"a picture from {self.begin} to {self.end} shows less than a minute: begin earlier"
            )

    @property
    def span(self) -> int:
        """Its length in nanoseconds."""
        return self.end.nanoseconds - self.begin.nanoseconds

    def position(self, moment: Moment | None) -> float:
        """From 0 at the left edge to 1 at the right one, also of a moment outside; None is now."""
        if moment is None:
            return 1.0
        return min(1.0, max(0.0, (moment.nanoseconds - self.begin.nanoseconds) / self.span))

    def __contains__(self, moment: Moment) -> bool:
        return self.begin <= moment <= self.end

    def ticks(self, most: int) -> tuple[Tick, ...]:
        """The most round times of the axis, but at most so many."""
        length = dt.timedelta(microseconds=self.span // 1000)
        for step in _steps():
            if length / step.about <= most + 1:
                times = list(self._times(step))
                if len(times) <= most:
                    return tuple(_labelled(times, step))
        return ()

    def _times(self, step: _Step) -> Iterator[dt.datetime]:
        begin, end = self.begin.datetime(), self.end.datetime()
        if self.begin.nanoseconds % 1000:
            begin += dt.timedelta(microseconds=1)
        local = step.before(self.begin.datetime(self.zone).replace(tzinfo=None, fold=0))
        while (at := local.replace(tzinfo=self.zone).astimezone(dt.UTC)) <= end:
            shown = at.astimezone(self.zone)
            skipped = shown.replace(tzinfo=None) != local  # by the zone's clocks
            if at >= begin and not skipped:
                yield shown
            local = step.after(local)


@dataclass(frozen=True, slots=True)
class _Step:
    """A distance between ticks; one of the three is not 0."""

    minutes: int = 0
    days: int = 0
    months: int = 0

    @property
    def about(self) -> dt.timedelta:
        return dt.timedelta(minutes=self.minutes, days=self.days + 30 * self.months)

    def before(self, local: dt.datetime) -> dt.datetime:
        """The last round time until then, by the clock on the wall."""
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.minutes:
            passed = (local - midnight) // dt.timedelta(minutes=self.minutes)
            return midnight + passed * dt.timedelta(minutes=self.minutes)
        if self.days:
            # 1 is a Monday
            return midnight - dt.timedelta(days=(midnight.toordinal() - 1) % self.days)
        first = (local.year * 12 + local.month - 1) // self.months * self.months
        return midnight.replace(year=first // 12, month=first % 12 + 1, day=1)

    def after(self, local: dt.datetime) -> dt.datetime:
        """The next round time."""
        if not self.months:
            return local + dt.timedelta(minutes=self.minutes, days=self.days)
        month = local.year * 12 + local.month - 1 + self.months
        return local.replace(year=month // 12, month=month % 12 + 1)

    def label(self, at: dt.datetime) -> str:
        if self.minutes:
            return f"{at:%H:%M}"
        if self.days:
            return str(at.day)
        return str(at.year) if self.months >= 12 else _MONTHS[at.month - 1]

    def context(self, at: dt.datetime) -> str:
        month = _MONTHS[at.month - 1]
        if self.minutes:
            return f"{at.day} {month}"
        if self.days:
            return f"{month} {at.year}"
        return "" if self.months >= 12 else str(at.year)


def _steps() -> Iterator[_Step]:
    yield from (_Step(minutes=number) for number in _MINUTES)
    yield from (_Step(days=number) for number in _DAYS)
    yield from (_Step(months=number) for number in _IN_MONTHS)


def _labelled(times: list[dt.datetime], step: _Step) -> Iterator[Tick]:
    before = ""
    for at in times:
        context = step.context(at)
        yield Tick(Moment.of(at), step.label(at), "" if context == before else context)
        before = context


def short_time(moment: Moment, zone: dt.tzinfo) -> str:
    """A moment to the minute, for a label.

    >>> short_time(Moment.parse("2026-11-28 09:30:59Z"), dt.UTC)
    '28 Nov 09:30'
    """
    at = moment.datetime(zone)
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%H:%M}"


def long_time(moment: Moment, zone: dt.tzinfo) -> str:
    """A moment to the second, with its zone.

    >>> long_time(Moment.parse("2026-11-28 09:30:59Z"), dt.UTC)
    '28 Nov 2026 09:30:59 UTC'
    """
    at = moment.datetime(zone)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S %Z}".rstrip()
