"""Colours and fonts of the SVG picture, for light and dark; text has a contrast of 4.5 at least.

Levels differ in hue and lightness for colour-blind readers, too, and each bar says its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ...model import PitrLevel

Theme: TypeAlias = Literal["auto", "light", "dark"]
"""``auto`` follows the reader's system."""

SANS: Final = (
    "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
)
MONO: Final = (
    "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace"
)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme, as ``#rrggbb``."""

    paper: str
    edge: str
    ink: str
    soft: str
    grid: str
    band: str
    on_bar: str
    gap: str
    chosen: str
    on_chosen: str
    good: str
    poor: str
    bad: str
    levels: dict[PitrLevel, str]

    def faded(self, level: PitrLevel) -> str:
        """The colour of a level that is detached."""
        return mix(self.levels[level], self.paper, 0.16)

    def written(self, level: PitrLevel) -> str:
        """The colour of a text on it."""
        return mix(self.levels[level], self.ink, 0.75)


LIGHT: Final = Palette(
    paper="#ffffff",
    edge="#d1d9e0",
    ink="#1f2328",
    soft="#59636e",
    grid="#e7ebef",
    band="#f6f8fa",
    on_bar="#ffffff",
    gap="#bc4c00",
    chosen="#8250df",
    on_chosen="#ffffff",
    good="#1a7f37",
    poor="#9a6700",
    bad="#cf222e",
    levels={
        PitrLevel.CLUSTER: "#4b535d",
        PitrLevel.ACCOUNT: "#8a5d00",
        PitrLevel.DATABASE: "#0b7a6b",
        PitrLevel.TABLE: "#0969da",
    },
)

DARK: Final = Palette(
    paper="#0d1117",
    edge="#3d444d",
    ink="#f0f6fc",
    soft="#9198a1",
    grid="#21262d",
    band="#151b23",
    on_bar="#0d1117",
    gap="#f0883e",
    chosen="#b78aff",
    on_chosen="#0d1117",
    good="#3fb950",
    poor="#d29922",
    bad="#ff7b72",
    levels={
        PitrLevel.CLUSTER: "#aab3bd",
        PitrLevel.ACCOUNT: "#d9a432",
        PitrLevel.DATABASE: "#3dbda7",
        PitrLevel.TABLE: "#5ba4f9",
    },
)


def mix(above: str, below: str, share: float) -> str:
    """A colour laid over another.

    >>> mix("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ((int(above[at : at + 2], 16), int(below[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def sheet(theme: Theme) -> str:
    """The style sheet."""
    rules = [*_BASE, *_colours(DARK if theme == "dark" else LIGHT)]
    if theme == "auto":
        rules += ["@media (prefers-color-scheme: dark) {", *_colours(DARK), "}"]
    return "\n".join(rules)


_BASE: Final = (
    f"text {{ font: 11px {SANS}; }}",
    f".name, .base, .revision-label {{ font-family: {MONO}; }}",
    ".title { font-size: 15px; font-weight: 600; }",
    ".name, .base { font-size: 12px; }",
    ".base, .strong, .chosen-label { font-weight: 600; }",
    ".bar-text, .revision-label, .chosen-label { font-size: 10.5px; }",
    ".italic { font-style: italic; }",
    ".end { text-anchor: end; }",
    ".mid { text-anchor: middle; }",
    ".halo { paint-order: stroke; stroke-width: 4px; stroke-linejoin: round; }",
    ".line { fill: none; stroke-width: 1; }",
    ".revision { stroke-dasharray: 2 3; }",
    ".dash { stroke-dasharray: 3 3; }",
    ".rows-line { stroke-width: 2; }",
    ".chosen, .now { stroke-width: 1.5; }",
    ".dot { stroke-width: 1.5; }",
    ".probable { stroke-dasharray: 3 2; }",
    ".sign { fill: none; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }",
)


def _colours(palette: Palette) -> Iterator[str]:
    p = palette
    yield f"text {{ fill: {p.ink}; }}"
    yield f".paper {{ fill: {p.paper}; stroke: {p.edge}; }}"
    yield f".paper-box {{ fill: {p.paper}; }}"
    yield f".soft {{ fill: {p.soft}; }}"
    yield f".band {{ fill: {p.band}; }}"
    yield f".halo {{ stroke: {p.paper}; }}"
    yield f".grid {{ stroke: {p.grid}; }}"
    yield f".now {{ stroke: {p.ink}; }}"
    yield f".revision {{ stroke: {p.soft}; }}"
    yield f".revision-box {{ fill: {p.paper}; stroke: {p.edge}; }}"
    yield f".revision-label {{ fill: {p.soft}; }}"
    yield f".chosen {{ stroke: {p.chosen}; }}"
    yield f".chosen-box, .chosen-text {{ fill: {p.chosen}; }}"
    yield f".chosen-label {{ fill: {p.on_chosen}; }}"
    yield f".dot {{ fill: {p.paper}; stroke: {p.chosen}; }}"
    yield f".gap, .hatch {{ stroke: {p.gap}; }}"
    yield f".gap-text {{ fill: {p.gap}; }}"
    yield f".gap-paper {{ fill: {mix(p.gap, p.paper, 0.08)}; }}"
    yield f".snapshot {{ fill: {p.ink}; stroke: {p.paper}; }}"
    yield f".on-bar {{ fill: {p.on_bar}; }}"
    for name, colour in (("good", p.good), ("poor", p.poor), ("bad", p.bad), ("soft", p.soft)):
        yield f".{name} {{ fill: {colour}; }}"
        yield f".sign.{name} {{ fill: none; stroke: {colour}; }}"
    for level in PitrLevel:
        colour = p.levels[level]
        yield f".{level} {{ fill: {colour}; }}"
        yield f".{level}-line {{ stroke: {colour}; }}"
        yield f".{level}-faded {{ fill: {p.faded(level)}; stroke: {mix(colour, p.paper, 0.4)}; }}"
        yield f".{level}-text {{ fill: {p.written(level)}; }}"
