"""A coverage as lines of text, for a terminal: with colour, without, or in ASCII alone."""

from __future__ import annotations

import datetime as dt
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...model import PitrLevel
from ...moment import Moment, MomentLike
from ...printing import cells, cut
from ..report import CoverageReport
from ..table import CoverageState
from .axis import Axis, Tick, long_time, short_time
from .rows import Group, Lane, Line, Mark, Picture, is_detached, is_probable, state_text

NARROWEST: Final = 40
"""Columns that a picture needs."""

WIDE: Final = 120
"""From so many columns on, levels are words, and a policy is named beside its bar."""

_LONGEST: Final = 32
"""Columns of a policy's name beside its bar."""


@dataclass(frozen=True, slots=True)
class _Signs:
    """The characters of a picture."""

    full: str
    rows: str
    probable: str
    detached: str
    gap: str
    snapshot: str
    nothing: str
    at: str
    mark: str
    yes: str
    no: str
    rule: str
    tick: str
    now: str


_UNICODE: Final = _Signs("▆", "▂", "▒", "░", "╱", "◆", "·", "│", "▾", "✓", "✗", "─", "┴", "┤")
_ASCII: Final = _Signs("#", "=", "?", "-", "/", "*", ".", "|", "v", "+", "x", "-", "+", "|")

_LEVEL_COLOURS: Final = {
    PitrLevel.CLUSTER: "35",
    PitrLevel.ACCOUNT: "33",
    PitrLevel.DATABASE: "36",
    PitrLevel.TABLE: "34",
}
_GAP, _AT, _MUTED, _BOLD, _GOOD, _POOR, _BAD = "31", "1;35", "2", "1", "32", "33", "31"

_STATE_COLOURS: Final = {
    CoverageState.COVERED: _GOOD,
    CoverageState.ROWS_ONLY: _POOR,
    CoverageState.UNKNOWN: _POOR,
    CoverageState.DETACHED: _BAD,
    CoverageState.NOT_COVERED: _BAD,
    CoverageState.UNPROTECTED: _MUTED,
    CoverageState.GONE: _MUTED,
}


def to_text(
    report: CoverageReport,
    *,
    width: int | None = None,
    color: bool = False,
    ascii: bool = False,
    at: MomentLike | None = None,
    revisions: Iterable[tuple[str, MomentLike]] = (),
    since: MomentLike | None = None,
    zone: str | dt.tzinfo = dt.UTC,
) -> str:
    """The windows of a report's tables over time, for a terminal.

    A table has a line for each level that keeps it, widest first. Bars differ by their characters,
    so that colour is not needed. Of many tables, those of a database that are kept alike are one
    line.

    :param width: columns, 40 at least; None is the terminal's. Names are never cut: one that is too
        long has a line of its own.
    :param color: whether to colour it, with ANSI escapes.
    :param ascii: whether to do without block and line characters.
    :param at: a moment to mark, with a tick or cross for each table; by default the report's own.
    :param revisions: names and moments to mark.
    :param since: where to begin; by default with the first window.
    :param zone: of the times: a tzinfo, or a name such as ``"Europe/Berlin"``.
    :raises PitrValidationError: a moment lies in the future, or is none; an unknown zone.

    >>> from sqlalchemy_matrixone_pitr.coverage.report import CoverageReport
    >>> now = Moment.parse("2026-11-28 09:30:00Z")
    >>> print(to_text(CoverageReport("sys", now, ()), width=80))
    no tables                                           now 28 Nov 2026 09:30:00 UTC
    """
    if width is None:
        width = shutil.get_terminal_size().columns
    picture = Picture.of(report, at=at, revisions=revisions, since=since, zone=zone)
    signs = _ASCII if ascii else _UNICODE
    painter = _Painter(picture, max(width, NARROWEST), color, signs)
    return "\n".join(painter.lines())


@dataclass(slots=True)
class _Painter:
    """A picture in columns: name, level, perhaps policy, bar, state."""

    picture: Picture
    width: int
    color: bool
    signs: _Signs
    name: int = field(init=False)
    level: int = field(init=False)
    policy: int = field(init=False)
    state: int = field(init=False)
    bar: int = field(init=False)

    def __post_init__(self) -> None:
        lines = [line for group in self.picture.groups for line in group.lines]
        names = [cells(line.label) + 2 for line in lines]
        self.name = max((name for name in names if name <= max(14, self.width // 3)), default=2)
        self.level = 8 if self.width >= WIDE else 1
        self.state = max((cells(self._state(line)) for line in lines), default=0)
        policies = [cells(_policy(line, lane)) for line in lines for lane in line.lanes]
        self.policy = min(max(policies, default=0), _LONGEST) if self.width >= WIDE else 0
        taken = self.name + 1 + self.level + 1 + (self.policy and self.policy + 2) + 1 + self.state
        self.bar = self.width - taken

    # ------------------------------------------------------------------------------------- colour

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.color and style and text.strip() else text

    # -------------------------------------------------------------------------------------- lines

    def lines(self) -> Iterator[str]:
        yield from self._head()
        if not self.picture.groups:
            return
        yield ""
        yield from self._marks()
        yield from self._axis()
        for group in self.picture.groups:
            yield from self._group(group)
        yield ""
        yield from self._legend()

    def _head(self) -> Iterator[str]:
        picture = self.picture
        what = picture.summary if picture.groups else "no tables"
        now = f"now {long_time(picture.axis.end, picture.axis.zone)}"
        blanks = self.width - cells(what) - cells(now)
        if blanks > 1:
            yield self._paint(what, _BOLD) + " " * blanks + self._paint(now, _MUTED)
        else:
            yield from (self._paint(what, _BOLD), self._paint(now, _MUTED))
        if picture.at is not None:
            yes, of = picture.restorable()
            text = f"{yes} of {of} restorable to {long_time(picture.at, picture.axis.zone)}"
            yield from (self._paint(line, _AT) for line in textwrap.wrap(text, self.width))

    @property
    def _left(self) -> int:
        """The columns before the bars."""
        return self.name + 1 + self.level + 1 + (self.policy and self.policy + 2)

    def _column(self, moment: Moment | None) -> int:
        """The column of the bar that a moment lies in."""
        return min(self.bar - 1, int(self.picture.axis.position(moment) * self.bar))

    # -------------------------------------------------------------------------------------- axis

    def _marks(self) -> Iterator[str]:
        """The names of revisions and the chosen moment, each above its column."""
        picture = self.picture
        marks = [(mark, _MUTED) for mark in picture.marks]
        if picture.at is not None:
            at = Mark(picture.at, f"at {short_time(picture.at, picture.axis.zone)}")
            marks.append((at, _AT))
        if picture.earlier:
            many = len(picture.earlier)
            yield self._paint(f"{many} earlier revision{'s' * (many != 1)}", _MUTED)
        rows: list[list[tuple[int, str, str]]] = []
        for mark, style in sorted(marks, key=lambda one: one[0].at):
            column = self._left + self._column(mark.at)
            text = f"{self.signs.mark} {mark.label}"
            if column + cells(text) > self.width:
                text = f"{mark.label} {self.signs.mark}"
                column = max(0, column + 1 - cells(text))
            for row in rows:
                if row[-1][0] + cells(row[-1][1]) + 2 <= column:
                    row.append((column, text, style))
                    break
            else:
                rows.append([(column, text, style)])
        for row in reversed(rows):
            yield self._placed(row)

    def _placed(self, texts: Sequence[tuple[int, str, str]]) -> str:
        """Texts at their columns."""
        line, at = "", 0
        for column, text, style in texts:
            line += " " * (column - at) + self._paint(text, style)
            at = column + cells(text)
        return line

    def _axis(self) -> Iterator[str]:
        axis = self.picture.axis
        ticks = self._ticks(axis)
        contexts: list[tuple[int, str, str]] = []
        labels: list[tuple[int, str, str]] = []
        rule = [self.signs.rule] * self.bar
        limit = self._left + self.bar
        for tick in reversed(ticks):
            column = self._left + self._column(tick.at)
            rule[column - self._left] = self.signs.tick
            _put(labels, column, tick.label, limit - 4)
            if tick.context:
                _put(contexts, column, tick.context, limit)
        for moment in self._marked():
            rule[self._column(moment)] = self.signs.mark
        labels.append((limit - 3, "now", _BOLD))
        contexts.sort()
        labels.sort()
        rule[-1] = self.signs.now
        if contexts:
            yield self._placed(contexts)
        yield self._placed(labels)
        yield " " * self._left + self._paint("".join(rule), _MUTED)

    def _marked(self) -> list[Moment]:
        """The moments that have a mark above the axis."""
        chosen = [] if self.picture.at is None else [self.picture.at]
        return [mark.at for mark in self.picture.marks] + chosen

    def _ticks(self, axis: Axis) -> tuple[Tick, ...]:
        for width in (6, 7, 8):
            ticks = axis.ticks(max(1, self.bar // width))
            if all(len(tick.label) + 2 <= width for tick in ticks):
                break
        return ticks

    # -------------------------------------------------------------------------------------- tables

    def _group(self, group: Group) -> Iterator[str]:
        many = f"{group.tables} table{'s' * (group.tables != 1)}"
        if cells(group.label) + 2 + len(many) <= self.width:
            yield f"{self._paint(group.label, _BOLD)}  {self._paint(many, _MUTED)}"
        else:
            yield from (self._paint(group.label, _BOLD), self._paint(many, _MUTED))
        for line in group.lines:
            yield from self._line(line)

    def _line(self, line: Line) -> Iterator[str]:
        label = f"  {line.label}"
        if cells(label) > self.name:
            yield label
            label = ""
        for number, lane in enumerate(line.lanes):
            name = label if number == 0 else ""
            level = lane.level.value if self.level > 1 else lane.level.value[0].upper()
            if not lane.windows:
                level = ""
            policy = ""
            if self.policy:
                policy = cut(_policy(line, lane), self.policy)
                policy += " " * (self.policy - cells(policy) + 2)
            state = self._paint(self._state(line), self._state_colour(line)) if number == 0 else ""
            yield "".join(
                (
                    name + " " * (self.name - cells(name) + 1),
                    self._paint(level.ljust(self.level), _LEVEL_COLOURS[lane.level]) + " ",
                    self._paint(policy, _MUTED),
                    self._bar(line, lane, first=number == 0),
                    " " + state,
                )
            ).rstrip()

    def _state(self, line: Line) -> str:
        text = state_text(line.drawn)
        if self.picture.at is None:
            return text
        yes, of = line.restorable(self.picture.at), len(line.tables)
        if 0 < yes < of:
            return f"{yes} of {of} {text}"
        return f"{self.signs.yes if yes else self.signs.no} {text}"

    def _state_colour(self, line: Line) -> str:
        at, table = self.picture.at, line.drawn
        if at is not None and line.restorable(at) < len(line.tables):
            return _BAD
        if table.meets_requirement is False and table.state is CoverageState.COVERED:
            return _POOR
        return _STATE_COLOURS[table.state]

    # ---------------------------------------------------------------------------------------- bars

    def _bar(self, line: Line, lane: Lane, *, first: bool) -> str:
        signs, axis = self.signs, self.picture.axis
        bar = [(signs.nothing, _MUTED)] * self.bar
        for window in lane.windows:
            if window.end is not None and window.end <= axis.begin:
                continue
            colour = _LEVEL_COLOURS[lane.level]
            if is_detached(window):
                sign = signs.detached
            elif is_probable(window):
                sign = signs.probable
            else:
                sign = signs.full if window.indexes else signs.rows
            self._fill(bar, window.begin, window.end, (sign, colour))
        for gap in line.gaps:  # last: the shortest is seen
            if gap.end is None or gap.end > axis.begin:
                self._fill(bar, gap.begin, gap.end, (signs.gap, _GAP))
        for snapshot in line.snapshots if first else ():
            if snapshot.begin in axis:
                bar[self._column(snapshot.begin)] = (signs.snapshot, _BOLD)
        if self.picture.at is not None:
            bar[self._column(self.picture.at)] = (signs.at, _AT)
        return self._runs(bar)

    def _fill(
        self,
        bar: list[tuple[str, str]],
        begin: Moment,
        end: Moment | None,
        cell: tuple[str, str],
    ) -> None:
        """Fill from a moment to another, one column at least."""
        position = self.picture.axis.position
        start = self._column(begin)
        stop = max(start + 1, round(position(end) * self.bar))
        bar[start:stop] = [cell] * (stop - start)

    def _runs(self, bar: Sequence[tuple[str, str]]) -> str:
        """Columns as text: what has one colour in one piece."""
        text, run, style = "", "", ""
        for sign, colour in bar:
            if colour != style:
                text += self._paint(run, style)
                run, style = "", colour
            run += sign
        return text + self._paint(run, style)

    # -------------------------------------------------------------------------------------- legend

    def _legend(self) -> Iterator[str]:
        """The signs that occur, and what they mean."""
        signs = self.signs
        lines = [line for group in self.picture.groups for line in group.lines]
        windows = [window for line in lines for lane in line.lanes for window in lane.windows]
        kept = [one for one in windows if not is_detached(one) and not is_probable(one)]
        entries = [
            (signs.full * 2, "kept", any(one.indexes for one in kept)),
            (signs.rows * 2, "rows only, no indexes", not all(one.indexes for one in kept)),
            (signs.probable * 2, "perhaps kept", any(is_probable(one) for one in windows)),
            (signs.detached * 2, "detached: shrinking", any(is_detached(one) for one in windows)),
            (signs.gap * 2, "gap: not kept", any(line.gaps for line in lines)),
            (signs.snapshot, "snapshot", any(line.snapshots for line in lines)),
        ]
        texts = [f"{sign}\0{words}".replace(" ", "\0") for sign, words, there in entries if there]
        if self.level == 1:
            levels = {lane.level for line in lines for lane in line.lanes if lane.windows}
            texts += [
                f"{level.value[0].upper()}\0{level.value}" for level in PitrLevel if level in levels
            ]
        for text in textwrap.wrap("   ".join(texts), self.width, break_long_words=False):
            yield self._paint(text.replace("\0", " "), _MUTED)


def _policy(line: Line, lane: Lane) -> str:
    """The newest policy of a lane, and its range."""
    if not lane.windows:
        return ""
    window = lane.windows[-1]
    return f"{line.by(window)} {'' if window.range is None else window.range}".strip()


def _put(texts: list[tuple[int, str, str]], column: int, text: str, limit: int) -> None:
    """Add a text where it fits, left of those that are there."""
    end = column + len(text)
    if end <= limit and all(end + 1 < other for other, _, _ in texts):
        texts.append((column, text, _MUTED))
