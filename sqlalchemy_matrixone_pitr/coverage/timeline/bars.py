"""The tables of an SVG picture: names, bars, gaps, states."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ...model import PitrLevel
from ...moment import Moment
from ...printing import cut, one_line
from ..model import Gap, Window
from ..table import CoverageState
from . import tips
from .axis import Axis
from .canvas import Canvas, first_that_fits, text_width
from .rows import Group, Line, is_detached, is_probable, state_text

LANE: Final = 20
BETWEEN_LANES: Final = 3
BESIDE_LANES: Final = 4
GROUP: Final = 36

LONGEST_NAME: Final = 64
"""Columns of a name; what is longer is cut in its middle, and whole in its tooltip."""

WIDE_ROOM: Final = 150
"""A room for text that holds most names."""

GAP_FILL: Final = "url(#mo-pitr-gap)"

_SIGNS: Final = {
    CoverageState.COVERED: "good",
    CoverageState.ROWS_ONLY: "poor",
    CoverageState.UNKNOWN: "poor",
    CoverageState.DETACHED: "bad",
    CoverageState.NOT_COVERED: "bad",
    CoverageState.UNPROTECTED: "soft",
    CoverageState.GONE: "soft",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """The place of the bars, in pixels."""

    axis: Axis
    left: float
    width: float

    @property
    def right(self) -> float:
        return self.left + self.width

    def x(self, moment: Moment | None) -> float:
        return self.left + self.axis.position(moment) * self.width

    def span(self, begin: Moment, end: Moment | None, least: float) -> tuple[float, float]:
        """The left edge and the width of a span of time; nothing is too short to be seen."""
        width = max(least, self.x(end) - self.x(begin))
        return min(self.x(begin), self.right - width), width


def name_of(line: Line) -> str:
    return cut(line.label, LONGEST_NAME)


@dataclass(slots=True)
class Bars:
    """Groups of lines, from top to bottom.

    :ivar y: the bottom of what is drawn so far.
    :ivar over: what is drawn above the line of the chosen moment.
    """

    plot: Plot
    margin: float
    at: Moment | None
    y: float
    canvas: Canvas = field(default_factory=Canvas)
    over: Canvas = field(default_factory=Canvas)

    # --------------------------------------------------------------------------------------- lines

    def group(self, group: Group, edge: float) -> None:
        """A database's name and its lines.

        :param edge: the right edge of the picture.
        """
        many = f"{group.tables} table{'s' * (group.tables != 1)}"
        label = cut(group.label, LONGEST_NAME)
        self.canvas.rect(
            self.margin - 8, self.y + 6, edge - 2 * self.margin + 16, 24, "band", radius=4
        )
        whole = None if label == group.label else group.database_name
        self.canvas.text(self.margin, self.y + 22, label, "base", title=whole)
        start = self.margin + text_width(label, 12, "mono") + 12
        self.canvas.text(start, self.y + 22, many, "soft")
        self.y += GROUP
        for number, line in enumerate(group.lines):
            if number:
                self.canvas.line(self.margin, self.y, edge - self.margin, self.y, "line grid")
            self._line(line)
        self.y += 6

    def _line(self, line: Line) -> None:
        zone = self.plot.axis.zone
        height = len(line.lanes) * (LANE + BETWEEN_LANES) - BETWEEN_LANES
        top = self.y + BESIDE_LANES
        middle = top + height / 2
        with self.canvas.group("", tips.of_line(line, self.at, zone)):
            css = "name" if len(line.tables) == 1 else "name soft"
            self.canvas.text(self.margin + 8, middle + 4, name_of(line), css)
            self._state(line, middle)
        if not line.lanes[0].windows and not line.gaps and not line.snapshots:
            self._nothing(line, middle)
        for number, lane in enumerate(line.lanes):
            y = top + number * (LANE + BETWEEN_LANES)
            for window in lane.windows:
                self._window(line, window, y)
        for gap in line.gaps:
            self._gap(gap, top, height)
        for snapshot in line.snapshots:
            if snapshot.begin in self.plot.axis:
                x = self.plot.x(snapshot.begin)
                diamond(self.over, x, middle, title=tips.of_window(line, snapshot, zone))
        if self.at is not None:
            self._dot(line, self.at, middle)
        self.y = top + height + BESIDE_LANES

    def _state(self, line: Line, middle: float) -> None:
        """A sign and a word to the right."""
        table, x = line.drawn, self.plot.right + 20
        css = _SIGNS[table.state]
        if table.meets_requirement is False and css == "good":
            css = "poor"
        signs = {
            "good": f"M{x - 4} {middle}l3 3.2 5.5 -6.4",
            "poor": f"M{x} {middle - 4.5}v5.2M{x} {middle + 4}v0.1",
            "bad": f"M{x - 3.5} {middle - 3.5}l7 7m0 -7l-7 7",
            "soft": f"M{x - 3.5} {middle}h7",
        }
        self.canvas.path(signs[css], f"sign {css}")
        self.canvas.text(x + 11, middle + 4, state_text(table), css)

    def _nothing(self, line: Line, middle: float) -> None:
        """Say in the empty place of the bars why there are none."""
        table = line.drawn
        words = "nothing keeps it"
        if table.unprotected is not None:
            words = f"unprotected: {one_line(table.unprotected)}"
        elif table.state is CoverageState.UNKNOWN:
            words = "this account cannot know what keeps it"
        rooms = self._rooms(line, self.plot.left, self.plot.width)
        start, room = max(rooms, key=lambda one: one[1])
        text = first_that_fits((words, words[:60] + "…", "nothing"), room - 16, 11)
        self.over.text(start + room / 2, middle + 4, text, "soft mid halo italic")

    # ---------------------------------------------------------------------------------------- bars

    def _window(self, line: Line, window: Window, y: float) -> None:
        axis = self.plot.axis
        if window.end is not None and window.end <= axis.begin:
            return
        x, width = self.plot.span(window.begin, window.end, 2)
        kind = look_of(window)
        with self.canvas.group("", tips.of_window(line, window, axis.zone)):
            shape(self.canvas, x, y, width, LANE, kind, window.level)
            css = {"rows": "on-bar", "level": "on-bar"}.get(kind, f"{window.level}-text")
            base = y + (LANE - 6 if kind == "rows" else LANE) / 2 + 3.8
            for start, room in self._rooms(line, x, width):
                text = first_that_fits(_bar_texts(line, window, axis), room - 12, 10.5)
                if text:
                    self.canvas.text(start + 6, base, text, f"{css} bar-text")
                    break

    def _rooms(self, line: Line, x: float, width: float) -> list[tuple[float, float]]:
        """The places for text in a bar, beside dot and diamonds: begins and widths, best first."""
        found = [one.begin for one in line.snapshots if one.begin in self.plot.axis]
        found += [] if self.at is None else [self.at]
        taken = sorted(self.plot.x(moment) for moment in found)
        begins = [x, *(other + 6 for other in taken if x - 8 < other < x + width + 8)]
        ends = [*(begin - 12 for begin in begins[1:]), x + width]
        rooms = [(begin, end - begin) for begin, end in zip(begins, ends, strict=True)]
        return sorted(rooms, key=lambda room: room[1] < WIDE_ROOM)

    def _gap(self, gap: Gap, y: float, height: float) -> None:
        axis = self.plot.axis
        if gap.end is not None and gap.end <= axis.begin:
            return
        x, width = self.plot.span(gap.begin, gap.end, 3)
        with self.canvas.group("", tips.of_gap(gap, axis.zone)):
            self.canvas.rect(x, y, width, height, "gap", radius=3, fill=GAP_FILL)
            length = tips.length_text(gap.begin, axis.end if gap.end is None else gap.end)
            text = first_that_fits((f"{length} not kept", length), width - 16, 10.5)
            if text:
                size = text_width(text, 10.5) + 8
                middle = y + height / 2
                self.canvas.rect(
                    x + (width - size) / 2, middle - 7, size, 14, "paper-box", radius=3
                )
                css = "mid gap-text strong bar-text"
                self.canvas.text(x + width / 2, middle + 3.8, text, css)

    def _dot(self, line: Line, at: Moment, middle: float) -> None:
        """A tick or cross on the line of the chosen moment; a bar where it is some of them."""
        x = self.plot.x(at)
        yes = line.restorable(at)
        css = "good" if yes == len(line.tables) else "poor" if yes else "bad"
        signs = {
            "good": f"M{x - 3:.2f} {middle + 0.2:.2f}l2.2 2.3 4 -4.7",
            "poor": f"M{x - 3:.2f} {middle:.2f}h6",
            "bad": f"M{x - 2.5:.2f} {middle - 2.5:.2f}l5 5m0 -5l-5 5",
        }
        with self.over.group("", tips.of_moment(line, at, self.plot.axis.zone)):
            self.over.circle(x, middle, 7.5, "dot")
            self.over.path(signs[css], f"sign {css}")


def look_of(window: Window) -> str:
    """Appearance of a window: level, rows, detached or probable."""
    if is_detached(window):
        return "detached"
    if is_probable(window):
        return "probable"
    return "level" if window.indexes else "rows"


def shape(
    canvas: Canvas, x: float, y: float, width: float, height: float, kind: str, level: PitrLevel
) -> None:
    """A bar: solid; short above a dashed line; or faded, also with a dashed edge."""
    if kind == "rows":
        canvas.rect(x, y, width, height * 0.7, f"{level}", radius=3)
        base = y + height - 1.5
        canvas.line(x, base, x + width, base, f"line dash rows-line {level}-line")
    elif kind == "level":
        canvas.rect(x, y, width, height, f"{level}", radius=3)
    else:
        inner = max(0.5, width - 1)
        css = f"{level}-faded" + (" probable" if kind == "probable" else "")
        canvas.rect(x + 0.5, y + 0.5, inner, height - 1, css, radius=3)


def diamond(canvas: Canvas, x: float, y: float, *, title: str | None = None) -> None:
    canvas.path(f"M{x:.2f} {y - 6:.2f}l6 6l-6 6l-6 -6z", "snapshot", title=title)


def _bar_texts(line: Line, window: Window, axis: Axis) -> list[str]:
    """The text of a bar, from long to short; the level is always said."""
    level, by = window.level.value, line.by(window)
    before = "‹ " if window.begin < axis.begin else ""
    parts = [level, by, "" if window.range is None else str(window.range)]
    whole = " · ".join(part for part in parts if part)
    short = f"{level} {parts[2]}".strip()
    return [before + text for text in (whole, short, level, level[0].upper())]
