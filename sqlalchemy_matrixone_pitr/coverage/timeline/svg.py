"""A coverage as one SVG file: standard library only, no script, no font and no file beside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import quoteattr

from ...errors import PitrValidationError
from ...model import PitrLevel
from ...moment import MomentLike
from ...printing import cut, one_line
from ..report import CoverageReport
from .axis import Tick, long_time, short_time
from .bars import GAP_FILL, LONGEST_NAME, Bars, Plot, diamond, look_of, name_of, shape
from .canvas import Canvas, number, text_width
from .rows import Mark, Picture, state_text
from .style import Theme, sheet

PAD: Final = 20
CHIP: Final = 18
AXIS: Final = 38
NARROWEST_PLOT: Final = 480
TALL: Final = 600
"""From this height on, the axis is below the tables, too."""

_HATCH: Final = (
    '<defs><pattern id="mo-pitr-gap" patternUnits="userSpaceOnUse" width="6" height="6" '
    'patternTransform="rotate(45)"><rect class="gap-paper" width="6" height="6"/>'
    '<line class="hatch" x1="1" y1="0" x2="1" y2="6" stroke-width="1.75"/></pattern></defs>'
)


def to_svg(
    report: CoverageReport,
    *,
    at: MomentLike | None = None,
    revisions: Iterable[tuple[str, MomentLike]] = (),
    since: MomentLike | None = None,
    zone: str | dt.tzinfo = dt.UTC,
    title: str = "What can be restored",
    theme: Theme = "auto",
    width: int = 960,
) -> str:
    """The windows of a report's tables over time, as one self-contained SVG document.

    Bars, gaps, names and marks have tooltips. Of many tables, those of a database that are kept
    alike are one line.

    :param at: a moment to mark, with a tick or cross for each table; by default the report's own.
    :param revisions: names and moments to mark.
    :param since: where to begin; by default with the first window.
    :param zone: of the times: a tzinfo, or a name such as ``"Europe/Berlin"``.
    :param theme: ``"light"``, ``"dark"``, or ``"auto"``: the reader's, by a media query.
    :param width: in pixels; more where long names need it.
    :raises PitrValidationError: a moment lies in the future, or is none; an unknown zone or theme.

    >>> now = Moment.parse("2026-11-28 09:30:00Z")
    >>> svg = to_svg(CoverageReport("sys", now, ()), revisions=[("4f2a", now)])
    >>> svg.startswith("<svg xmlns=") and "4f2a" in svg
    True
    """
    if theme not in ("auto", "light", "dark"):
        raise PitrValidationError(f"theme {theme!r} is not known: use auto, light or dark")
    picture = Picture.of(report, at=at, revisions=revisions, since=since, zone=zone)
    return _Drawing(picture, title, width).document(theme)


@dataclass(slots=True)
class _Drawing:
    """A picture in pixels, from top to bottom.

    :ivar y: the bottom of what is drawn so far.
    """

    picture: Picture
    title: str
    wanted: float
    canvas: Canvas = field(default_factory=Canvas)
    plot: Plot = field(init=False)
    width: float = field(init=False)
    y: float = field(init=False, default=0)

    def __post_init__(self) -> None:
        picture = self.picture
        lines = [line for group in picture.groups for line in group.lines]
        left = PAD + 8 + max([72, *(text_width(name_of(line), 12, "mono") for line in lines)]) + 16
        right = 31 + max([40, *(text_width(state_text(line.drawn), 11) for line in lines)]) + PAD
        heads = [text_width(cut(group.label, LONGEST_NAME), 12, "mono") for group in picture.groups]
        least = max([text_width(self.title, 15) + 200, *heads]) + 120 + 2 * PAD
        plot = max(NARROWEST_PLOT, max(self.wanted, least) - left - right)
        self.plot = Plot(picture.axis, left, plot)
        self.width = left + plot + right

    def document(self, theme: Theme) -> str:
        self._head()
        self._legend()
        chips = self._chips()
        self._axis(self.y)
        start = self.y + AXIS
        bars = Bars(self.plot, PAD, self.picture.at, start)
        for group in self.picture.groups:
            bars.group(group, self.width)
        if not self.picture.groups:
            bars.canvas.text(
                self.plot.left + self.plot.width / 2, start + 24, "no tables", "soft mid"
            )
            bars.y += 44
        self._rules(chips, start, bars)
        self.y = bars.y
        if self.y - start > TALL:
            self._axis(self.y)
            self.y += 34
        return self._wrapped(theme, self.y + PAD - 6)

    def _wrapped(self, theme: Theme, height: float) -> str:
        width, tall = number(self.width), number(height)
        label = quoteattr(one_line(f"{self.title}: {self.picture.summary}"))
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{tall}" '
                f'viewBox="0 0 {width} {tall}" role="img" aria-label={label}>',
                f"<style>\n{sheet(theme)}\n</style>",
                _HATCH,
                f'<rect class="paper" x="0.5" y="0.5" width="{number(self.width - 1)}" '
                f'height="{number(height - 1)}" rx="6"/>',
                *self.canvas.parts,
                "</svg>\n",
            )
        )

    # ----------------------------------------------------------------------------------------- head

    def _head(self) -> None:
        picture, zone = self.picture, self.picture.axis.zone
        self.canvas.text(PAD, 33, self.title, "title")
        now = f"now {long_time(picture.axis.end, zone)}"
        self.canvas.text(self.width - PAD, 33, now, "soft end")
        self.canvas.text(PAD, 53, picture.summary, "soft")
        if picture.at is not None:
            yes, of = picture.restorable()
            text = f"{yes} of {of} restorable to {long_time(picture.at, zone)}"
            self.canvas.text(self.width - PAD, 53, text, "strong end chosen-text")
        self.y = 78

    def _legend(self) -> None:
        """The kinds of bars that occur."""
        lines = [line for group in self.picture.groups for line in group.lines]
        windows = [window for line in lines for lane in line.lanes for window in lane.windows]
        levels = [level for level in PitrLevel if any(one.level is level for one in windows)]
        looks = {look_of(window) for window in windows}
        entries = [(f"{level} level", "level", level) for level in levels]
        for words, look in (
            ("rows only, no indexes", "rows"),
            ("perhaps kept", "probable"),
            ("detached: nothing new", "detached"),
        ):
            if look in looks:
                entries.append((words, look, levels[-1]))
        if any(line.gaps for line in lines):
            entries.append(("gap: nothing kept", "gap", PitrLevel.TABLE))
        if any(line.snapshots for line in lines):
            entries.append(("snapshot", "snapshot", PitrLevel.TABLE))
        x: float = PAD
        for words, look, level in entries:
            length = 30 + text_width(words, 11)
            if x > PAD and x + length > self.width - PAD:
                x, self.y = PAD, self.y + 20
            self._key(x, self.y - 10, look, level)
            self.canvas.text(x + 30, self.y, words, "soft")
            x += length + 14
        self.y += 16

    def _key(self, x: float, y: float, look: str, level: PitrLevel) -> None:
        if look == "snapshot":
            diamond(self.canvas, x + 12, y + 6)
        elif look == "gap":
            self.canvas.rect(x + 0.5, y + 0.5, 23, 12, "gap", radius=3, fill=GAP_FILL)
        else:
            shape(self.canvas, x, y, 24, 13, look, level)

    # ----------------------------------------------------------------------------------------- axis

    def _chips(self) -> list[tuple[float, str]]:
        """Name revisions and the chosen moment above the axis: x and kind of each line."""
        zone = self.picture.axis.zone
        self._earlier()
        ends: list[float] = []
        placed = []
        for mark, kind in self._marks():
            length = text_width(mark.label, 10.5, "mono" if kind == "revision" else "sans") + 16
            x = self.plot.x(mark.at)
            start = max(PAD, min(x - length / 2, self.width - PAD - length))
            row = next((row for row, end in enumerate(ends) if end + 6 <= start), len(ends))
            ends[row : row + 1] = [start + length]
            placed.append((x, start, length, row, mark, kind))
        bottom = self.y + len(ends) * (CHIP + 4)
        chips = []
        for x, _, _, row, _, kind in placed:  # behind the chips that are lower
            y = bottom - (row + 1) * (CHIP + 4) + CHIP
            self.canvas.line(x, y, x, bottom + AXIS, f"line {kind}")
            chips.append((x, kind))
        for _, start, length, row, mark, kind in placed:
            y = bottom - (row + 1) * (CHIP + 4)
            with self.canvas.group("", f"{mark.label}: {long_time(mark.at, zone)}"):
                self.canvas.rect(start, y, length, CHIP, f"{kind}-box", radius=9)
                self.canvas.text(start + length / 2, y + 12.8, mark.label, f"mid {kind}-label")
        self.y = bottom + 4
        return chips

    def _marks(self) -> list[tuple[Mark, str]]:
        """The marks in order, each with its kind."""
        marks = [(mark, "revision") for mark in self.picture.marks]
        at = self.picture.at
        if at is not None:
            marks.append((Mark(at, f"at {short_time(at, self.picture.axis.zone)}"), "chosen"))
        return sorted(marks, key=lambda one: one[0].at)

    def _earlier(self) -> None:
        earlier, zone = self.picture.earlier, self.picture.axis.zone
        if earlier:
            text = f"‹ {len(earlier)} earlier revision{'s' * (len(earlier) != 1)}"
            tip = "\n".join(f"{mark.label}: {long_time(mark.at, zone)}" for mark in earlier)
            self.canvas.text(PAD, self.y + 12, text, "soft", title=tip)
            self.y += 18

    def _ticks(self) -> tuple[Tick, ...]:
        return self.picture.axis.ticks(int(self.plot.width // 52))

    def _axis(self, top: float) -> None:
        """Days, months or years; below them times, days or months; and now."""
        edge = self.plot.right
        self.canvas.text(edge, top + 29, "now", "strong mid halo")
        taken, context = edge - 16, edge
        for tick in reversed(self._ticks()):
            x = self.plot.x(tick.at)
            half = text_width(tick.label, 11) / 2
            if x + half + 4 <= taken:
                self.canvas.text(x, top + 29, tick.label, "soft mid halo")
                taken = x - half
            if tick.context and x - half + text_width(tick.context, 11) + 8 <= context:
                self.canvas.text(x - half, top + 14, tick.context, "strong halo")
                context = x - half

    def _rules(self, chips: list[tuple[float, str]], start: float, bars: Bars) -> None:
        """Vertical lines: of ticks and revisions behind the bars, of marks and now above them."""
        canvas, end = self.canvas, bars.y
        for tick in self._ticks():
            x = self.plot.x(tick.at)
            canvas.line(x, start - 4, x, end, "line grid")
        canvas.parts += bars.canvas.parts
        for x, kind in chips:
            canvas.line(x, start - 4, x, end, f"line {kind}")
        canvas.line(self.plot.right, start - 5, self.plot.right, end, "line now")
        canvas.parts += bars.over.parts
