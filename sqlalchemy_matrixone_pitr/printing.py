"""Names and texts from the server, made safe to show, and how wide they are. No imports of ours."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""A text from the server without what a terminal or a browser would obey.

    >>> printable("red\x1b[31m")
    'red\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def one_line(text: str) -> str:
    r"""A printable text with its line breaks written out.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return printable(text).replace("\n", "\\n")


def cells(text: str) -> int:
    """The columns that a text takes on a terminal: two for a wide character, none for a mark.

    >>> cells("orders"), cells("注文")
    (6, 4)
    """
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, most: int) -> str:
    """A text of at most so many columns: of a longer one the begin and the end.

    >>> cut("a_name_that_goes_on", 12)
    'a_name…es_on'
    """
    if cells(text) <= most:
        return text
    tail = _fitting(text[::-1], (most - 1) // 2)[::-1]
    return f"{_fitting(text, most - 1 - cells(tail))}…{tail}"


def _fitting(text: str, most: int) -> str:
    """The longest beginning of at most so many columns."""
    taken = 0
    for number, character in enumerate(text):
        taken += _cells(character)
        if taken > most:
            return text[:number]
    return text
