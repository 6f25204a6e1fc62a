"""A file of SQL as its statements. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_PARTS: Final = re.compile(
    r"""
    (?P<comment> --(?=\s|$)[^\n]* | \#[^\n]* | /\*(?!!).*?(?:\*/|\Z) )
    | (?P<end> ; )
    | (?P<text> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*` | . )
    """,
    re.DOTALL | re.VERBOSE,
)


class Statement(NamedTuple):
    """A statement without its semicolon, and the line of the file where it begins."""

    text: str
    line: int


def statements(script: str) -> Iterator[Statement]:
    """The statements of a script: semicolons end them, comments are left out.

    >>> [statement.text for statement in statements("SELECT ';' -- one\\n; SELECT 2")]
    ["SELECT ';'", 'SELECT 2']
    """
    text, line = "", 0
    for match in _PARTS.finditer(script):
        if match["end"]:
            if text.strip():
                yield Statement(text.strip(), line)
            text = ""
            continue
        part = match["text"] or " "
        if not text.strip() and part.strip():
            line = script.count("\n", 0, match.start()) + 1
        text += part
    if text.strip():
        yield Statement(text.strip(), line)
