"""SVG elements as text, escaped; and how wide text is without a browser to ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from ...printing import cells, printable

_MONO: Final = 0.602
"""The width of a monospaced character, in its font's size."""

_NARROW: Final = frozenset("ijl.,:;'|!()[]tfrI ·‹")
_BROAD: Final = frozenset("mwMW@%")


def text_width(text: str, size: float, font: str = "sans") -> float:
    """The width of a text, rather too much than too little."""
    if font == "mono":
        return cells(text) * _MONO * size
    return sum(map(_width, text)) * size


def _width(character: str) -> float:
    if character in _NARROW:
        return 0.34
    if character in _BROAD:
        return 0.92
    return 0.7 if character.isupper() else 0.58 * cells(character)


def number(value: float) -> str:
    """Two decimals at most.

    >>> number(12.0), number(0.125), number(-0.001)
    ('12', '0.12', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class Canvas:
    """Elements in the order in which they are drawn."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def _element(
        self,
        tag: str,
        css: str,
        title: str | None,
        inside: str | None = None,
        **values: float | str,
    ) -> None:
        attributes = f" class={quoteattr(css)}" if css else ""
        for key, value in values.items():
            shown = value if isinstance(value, str) else number(value)
            attributes += f" {key.replace('_', '-')}={quoteattr(shown)}"
        inside = inside or ""
        if title is not None:
            inside += f"<title>{text_of(title)}</title>"
        self.parts.append(
            f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>"
        )

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        css: str,
        *,
        radius: float = 0,
        title: str | None = None,
        **more: str,
    ) -> None:
        if radius:
            more["rx"] = number(radius)
        self._element("rect", css, title, x=x, y=y, width=width, height=height, **more)

    def line(self, x: float, y: float, to_x: float, to_y: float, css: str) -> None:
        self._element("line", css, None, x1=x, y1=y, x2=to_x, y2=to_y)

    def path(self, data: str, css: str, *, title: str | None = None) -> None:
        self._element("path", css, title, d=data)

    def circle(self, x: float, y: float, radius: float, css: str, title: str | None = None) -> None:
        self._element("circle", css, title, cx=x, cy=y, r=radius)

    def text(
        self, x: float, y: float, text: str, css: str = "", *, title: str | None = None
    ) -> None:
        self._element("text", css, title, text_of(text), x=x, y=y)

    @contextmanager
    def group(self, css: str = "", title: str | None = None) -> Iterator[None]:
        """Elements that share a tooltip."""
        attributes = f" class={quoteattr(css)}" if css else ""
        self.parts.append(f"<g{attributes}>")
        if title is not None:
            self.parts.append(f"<title>{text_of(title)}</title>")
        yield
        self.parts.append("</g>")


def text_of(text: str) -> str:
    """A text as XML has it; what XML cannot have is written out."""
    return escape(printable(text))


def first_that_fits(texts: Iterable[str], room: float, size: float) -> str:
    """The first text that is no wider than the room; empty where none is."""
    return next((text for text in texts if text_width(text, size) <= room), "")
