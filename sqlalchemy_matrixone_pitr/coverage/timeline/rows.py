"""The lines of a picture: tables by database, equal ones together; lanes by level. Pure.

A large report is read by its exceptions. So tables of one database that are kept alike are one
line, with their number; what has a gap, lacks something or is detached has a line of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, TypeAlias

from ...model import PitrLevel
from ...moment import EARLIEST, Moment, MomentLike
from ...printing import one_line
from ..model import Gap, Kept, Window, WindowKind
from ..report import CoverageReport
from ..table import CoverageState, TableCoverage
from .axis import SHORTEST, Axis

FEW: Final = 24
"""Number of tables up to which each has a line of its own."""

ALIKE: Final = 3
"""So many tables that are kept alike are one line."""

ALIKE_EXCEPTIONS: Final = 10
"""So many tables that lack the same are one line, too."""

SAME_TIME: Final = 400
"""Times that differ by less than this fraction of the axis look the same."""

CLOSE_TIMES: Final = (SAME_TIME, 100, 25, 8)
"""Fractions, the first with which a picture has no more than MANY lines is taken."""

MANY: Final = 60
"""So many lines are read at once."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Windows of one level that do not overlap, sorted by begin."""

    level: PitrLevel
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One or more tables of a database that are kept alike.

    :ivar tables: sorted; the last made of them is drawn.
    :ivar lanes: the widest level first; one at least, perhaps without windows.
    """

    tables: tuple[TableCoverage, ...]
    drawn: TableCoverage
    lanes: tuple[Lane, ...]
    snapshots: tuple[Window, ...]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return self.drawn.gaps

    def restorable(self, moment: Moment) -> int:
        """Number of its tables that can surely be restored to a moment."""
        return sum(table.restorable_at(moment) for table in self.tables)

    def by(self, window: Window) -> str:
        """The name of a window's policy; empty where each of the tables has one of its own."""
        own = window.level is PitrLevel.TABLE and len(self.tables) > 1
        return "" if own else one_line(window.by)

    @property
    def label(self) -> str:
        """The table's name, or how the names begin and their number."""
        first, last = one_line(self.tables[0].table_name), one_line(self.tables[-1].table_name)
        if len(self.tables) == 1:
            return first
        begin = _common_begin(first, last)  # they are sorted
        many = f"{len(self.tables)} tables"
        return f"{begin}* · {many}" if len(begin) >= 3 else many


def _common_begin(one: str, other: str) -> str:
    end = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    return one[:end]


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one database."""

    database_name: str
    tables: int
    lines: tuple[Line, ...]

    @property
    def label(self) -> str:
        return one_line(self.database_name)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name: a revision."""

    at: Moment
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn, before it is drawn.

    :ivar at: the chosen moment.
    :ivar marks: the revisions on the axis, in order.
    :ivar earlier: the revisions before the axis begins.
    """

    report: CoverageReport
    axis: Axis
    groups: tuple[Group, ...]
    at: Moment | None
    marks: tuple[Mark, ...]
    earlier: tuple[Mark, ...]

    @classmethod
    def of(
        cls,
        report: CoverageReport,
        *,
        at: MomentLike | None,
        revisions: Iterable[tuple[str, MomentLike]],
        since: MomentLike | None,
        zone: str | dt.tzinfo,
    ) -> Picture:
        """The picture of a report.

        :raises PitrValidationError: a moment lies in the future or is none, or a zone is none.
        """
        chosen = report.at if at is None else Moment.of(at)
        if chosen is not None:
            chosen.check_past(report.now)
        axis = _axis(report, chosen, None if since is None else Moment.of(since), zone)
        marks = sorted(
            (Mark(Moment.of(when), one_line(name)) for name, when in revisions),
            key=lambda mark: (mark.at, mark.label),
        )
        return cls(
            report,
            axis,
            _groups(report, axis),
            chosen,
            tuple(mark for mark in marks if mark.at in axis),
            tuple(mark for mark in marks if mark.at < axis.begin),
        )

    @property
    def summary(self) -> str:
        """Numbers of tables and databases, in words."""
        tables, databases = len(self.report.tables), len(self.groups)
        return (
            f"{tables} table{'s' * (tables != 1)} in {databases} database{'s' * (databases != 1)}"
        )

    def restorable(self) -> tuple[int, int]:
        """Numbers of tables that can surely be restored to the chosen moment, and of all."""
        assert self.at is not None
        yes = sum(line.restorable(self.at) for group in self.groups for line in group.lines)
        return yes, len(self.report.tables)


def _axis(
    report: CoverageReport, at: Moment | None, since: Moment | None, zone: str | dt.tzinfo
) -> Axis:
    tzinfo = report.now.datetime(zone).tzinfo
    assert tzinfo is not None
    if since is not None:
        return Axis(since, report.now, tzinfo)
    known = [window.begin for table in report.tables for window in table.windows]
    known += [gap.begin for table in report.tables for gap in table.gaps]
    if at is not None:
        known.append(at)
    if not known:
        return Axis(report.now - dt.timedelta(days=1), report.now, tzinfo)
    begin = min(*known, report.now - SHORTEST).nanoseconds
    before = (report.now.nanoseconds - begin) // 50
    return Axis(Moment(max(EARLIEST, begin - before)), report.now, tzinfo)


# ----------------------------------------------------------------------------------------- grouping


def is_exception(table: TableCoverage) -> bool:
    """Whether a table lacks something that others have."""
    return (
        table.state not in (CoverageState.COVERED, CoverageState.UNPROTECTED)
        or bool(table.gaps)
        or table.meets_requirement is False
    )


_Timed: TypeAlias = tuple[tuple[int, ...], str, TableCoverage]
"""A table behind its times and its name, so that a list of them can be sorted."""


def _groups(report: CoverageReport, axis: Axis) -> tuple[Group, ...]:
    by_database = report.by_database()
    if len(report.tables) <= FEW:
        return tuple(
            Group(name, len(tables), tuple(_line((table,)) for table in tables))
            for name, tables in by_database.items()
        )
    kinds = {name: _by_kind(tables) for name, tables in by_database.items()}
    batches: dict[str, list[tuple[TableCoverage, ...]]] = {}
    for fraction in CLOSE_TIMES:
        batches = {name: _batches(alike, axis, fraction) for name, alike in kinds.items()}
        if sum(map(len, batches.values())) <= MANY:
            break
    return tuple(
        Group(name, len(tables), tuple(map(_line, batches[name])))
        for name, tables in by_database.items()
    )


def _by_kind(tables: Iterable[TableCoverage]) -> list[list[_Timed]]:
    """Tables that are kept alike, in the order of their times."""
    kinds: dict[Hashable, list[_Timed]] = {}
    for table in tables:
        kinds.setdefault(_kind(table), []).append((_times(table), table.table_name, table))
    return [sorted(alike, key=lambda timed: timed[:2]) for alike in kinds.values()]


def _batches(
    kinds: Iterable[list[_Timed]], axis: Axis, fraction: int
) -> list[tuple[TableCoverage, ...]]:
    """The tables of each line: exceptions, others, then those that stand for several.

    :param fraction: of the axis, in which the times of tables may differ that lack nothing.
    """
    single: list[tuple[bool, str, TableCoverage]] = []
    several: list[tuple[bool, int, str, tuple[TableCoverage, ...]]] = []
    for alike in kinds:
        lacks = is_exception(alike[0][2])
        for same in _at_the_same_times(alike, axis.span // (SAME_TIME if lacks else fraction)):
            if len(same) >= (ALIKE_EXCEPTIONS if lacks else ALIKE):
                names = sorted(((name, table) for _, name, table in same), key=itemgetter(0))
                several.append((not lacks, -len(same), names[0][0], tuple(t for _, t in names)))
            else:
                single += ((not lacks, name, table) for _, name, table in same)
    single.sort(key=lambda one: one[:2])
    several.sort(key=lambda one: one[:3])
    return [(table,) for _, _, table in single] + [tables for *_, tables in several]


def _kind(table: TableCoverage) -> Hashable:
    """Equal for tables that are kept alike, apart from the times."""
    windows = tuple(
        (
            # tables have policies of their own, by any name
            window.by if window.level is not PitrLevel.TABLE else None,
            window.level,
            window.kind,
            window.kept,
            window.indexes,
            window.range,
            window.end is None,
        )
        for window in table.windows
    )
    gaps = tuple(gap.end is None for gap in table.gaps)
    return (
        windows,
        gaps,
        table.state,
        table.requirement if table.meets_requirement is False else None,
    )


def _times(table: TableCoverage) -> tuple[int, ...]:
    spans = [(window.begin, window.end) for window in table.windows]
    spans += [(gap.begin, gap.end) for gap in table.gaps]
    return tuple(end.nanoseconds for span in spans for end in span if end is not None)


def _at_the_same_times(alike: list[_Timed], close: int) -> Iterable[list[_Timed]]:
    """Tables whose times differ by no more than so many nanoseconds."""
    same = alike[:1]
    for timed in alike[1:]:
        if all(abs(a - b) <= close for a, b in zip(same[0][0], timed[0], strict=True)):
            same.append(timed)
        else:
            yield same
            same = [timed]
    yield same


# -------------------------------------------------------------------------------------------- lanes


def _line(tables: tuple[TableCoverage, ...]) -> Line:
    drawn = max(tables, key=_times)
    snapshots = tuple(one for one in drawn.windows if one.kind is WindowKind.SNAPSHOT)
    lanes: list[Lane] = []
    for level in PitrLevel:
        packed: list[list[Window]] = []
        for window in sorted(drawn.windows, key=lambda one: one.begin):
            if window.level is level and window.kind is not WindowKind.SNAPSHOT:
                _pack(packed, window)
        lanes += (Lane(level, tuple(windows)) for windows in packed)
    if not lanes:
        lanes.append(Lane(snapshots[0].level if snapshots else PitrLevel.TABLE, ()))
    return Line(tables, drawn, tuple(lanes), snapshots)


def _pack(lanes: list[list[Window]], window: Window) -> None:
    """Put a window behind those of the first lane that has ended by then."""
    for lane in lanes:
        end = lane[-1].end
        if end is not None and end <= window.begin:
            lane.append(window)
            return
    lanes.append([window])


# -------------------------------------------------------------------------------------------- words


def is_detached(window: Window) -> bool:
    return window.kind is WindowKind.DETACHED


def is_probable(window: Window) -> bool:
    return window.kept is not Kept.KEPT


def state_text(table: TableCoverage) -> str:
    """The state of a table, in a word or two."""
    if table.meets_requirement is False and table.state is CoverageState.COVERED:
        return f"under {table.requirement}"
    return table.state.value
