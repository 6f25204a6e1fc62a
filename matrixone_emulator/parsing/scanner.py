"""The one scanner: words of a statement, as MatrixOne's own cuts them (docs/server.md, Names).

The scanner works on bytes and so does this one: positions in 1064 texts are byte positions.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from ..errors import SqlError

ESCAPES = {"n": "\n", "0": "\0", "b": "\b", "Z": "\x1a", "r": "\r", "t": "\t"}
"""Characters inside quotes that mean another one after a backslash"""
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_BLANK = re.compile(r"[ \n\r\t]*")
_PLAIN = {"'": re.compile(r"[^'\\]+"), '"': re.compile(r'[^"\\]+')}
_NO_LINE_END = re.compile(r"[^\n]")
_LINE_COMMENT = re.compile(r"(?:#|//|--(?=[ \n\t\r]|\Z))[^\n]*\n?")
_PLAIN_TOKEN = re.compile(
    r"([ \n\r\t]*)(?:([A-Za-z_$][A-Za-z0-9_$]*)|([=,()+%^~{}&|?<>!;@:]|\.(?![0-9]))"
    r"|([0-9]{1,19})(?![A-Za-z0-9_$.])|'([^'\\]*)'(?!')|`([^`]+)`(?!`))"
)
"""The most of any text: plain words, marks, whole numbers, strings, names. All else, such as
comments, is left to the parts below."""
_REMEMBERED_LENGTH = 1000


class Kind(Enum):
    WORD = "word"
    QUOTED = "back-quoted name"
    STRING = "string"
    INTEGER = "integer"
    OTHER = "other"
    ERROR = "not a word"
    END = "end"


class Token(NamedTuple):
    """One word; *value* is what it means, *before* where the blank in front of it begins."""

    kind: Kind
    value: str
    before: int
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword, lower case; '' for anything that is not a bare word."""
        return self.value.lower() if self.kind is Kind.WORD else ""


_PLAIN_KINDS = (
    None,
    None,
    Kind.WORD,
    Kind.OTHER,
    Kind.INTEGER,
    Kind.STRING,
    Kind.QUOTED,
)
"""By the groups of `_PLAIN_TOKEN`"""
_LAST_ASCII = 4
_FIRST = 4
"""The number of words that are asked for at most, to tell the kind of a statement"""


def as_bytes(text: str) -> str:
    """*text* with one character for each of its bytes."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def as_text(raw: str) -> str:
    """The text whose bytes are *raw*."""
    return raw if raw.isascii() else raw.encode("latin-1").decode("utf-8", "surrogateescape")


class Source:
    """One statement: its words, and the whole text they stand in for positions in errors.

    The last token is always of kind END; it stands where the statement ends. Whoever gets one must
    leave it as it is: the next one who sends the same text gets the same.
    """

    def __init__(self, raw: str, tokens: list[Token]) -> None:
        self.raw = raw
        self.tokens = tokens
        self.composed: list[Any] | None = None
        """The tokens that `lexer` has made of them"""
        self._first = tuple(token.word for token in tokens[:_FIRST]) + ("",) * _FIRST

    @functools.cached_property
    def statement(self) -> str:
        """The statement's own text, without comments in front and behind, without `;`.

        Kinds of comment that other parsers do not know, or leave out, are there as ordinary ones.
        """
        if not self.tokens[1:]:
            return ""
        start, end = self.tokens[0].start, self.tokens[-2].end
        if "//" not in self.raw and "/*!" not in self.raw:
            return self.text(start, end)
        parts, at = [], start
        for token in self.tokens[:-1]:
            parts += [_ordinary(self.raw[at : token.start]), self.raw[token.start : token.end]]
            at = token.end
        return as_text("".join(parts))

    def words(self, count: int) -> tuple[str, ...]:
        """The first *count* bare words, four at most, lower case, '' for anything else."""
        return self._first[:count]

    def text(self, start: int, end: int) -> str:
        return as_text(self.raw[start:end])

    def placed(self, error: SqlError) -> SqlError:
        """Move the place of an error from `statement` to the whole text."""
        if error.place is None:
            return error
        start, end, what = error.place
        before, first = self.statement, self.tokens[0]
        at = first.start + len(as_bytes(before[:start])) if start else first.before
        stop = first.start + len(as_bytes(before[:end]))
        if end > len(before):
            # The end of the statement was not expected: what stands there is no part of it.
            stop = self.tokens[-1].start
        line = self.raw.count("\n", 0, stop) + 1
        column = stop - max(self.raw.rfind("\n", 0, stop), 0)
        return SqlError.syntax(as_text(self.raw[at:]), line, column, what)

    def error(self, token: Token) -> SqlError:
        """1064 at *token*: the position behind it, the text from the blank in front of it."""
        line = self.raw.count("\n", 0, token.end)
        column = token.end - max(self.raw.rfind("\n", 0, token.end), 0)
        return SqlError.syntax(as_text(self.raw[token.before :]), line + 1, column)


def _ordinary(gap: str) -> str:
    """The gap between two words, in the same length: `//` as `#`, the marks of `/*! */` removed."""
    gap = gap.replace("//", "#/")
    if "/*!" not in gap and "*/" not in gap:
        return gap
    blank = _NO_LINE_END.sub(" ", gap)
    if len(blank) < 4 or "\n" in blank[:2] + blank[-2:]:
        return blank
    return f"/*{blank[2:-2]}*/"


def sources(text: str) -> list[Source]:
    """The statements of a text; none for a text of blanks, comments and `;`.

    A `;` in a BEGIN ... END body is not known: stored programs are not part of this.
    """
    return _sources(text) if len(text) > _REMEMBERED_LENGTH else _sources_once(text)


def _sources(text: str) -> list[Source]:
    raw = as_bytes(text)
    found: list[Source] = []
    tokens: list[Token] = []
    for token in scan(raw):
        if token.kind is Kind.END or (token.kind is Kind.OTHER and token.value == ";"):
            if tokens:
                tokens.append(Token(Kind.END, "", token.before, token.start, token.end))
                found.append(Source(raw, tokens))
                tokens = []
        else:
            tokens.append(token)
    return found


_sources_once = functools.lru_cache(maxsize=256)(_sources)


def scan(raw: str) -> Iterator[Token]:
    """The words of a text in the form of `as_bytes`, up to END or to the first that is none."""
    at = 0
    plain, kinds, make = _PLAIN_TOKEN.match, _PLAIN_KINDS, tuple.__new__
    while True:
        before = at
        if found := plain(raw, at):
            group = found.lastindex or 0
            at = found.end()
            value = found[group]
            if group > _LAST_ASCII:
                value = as_text(value)
            yield make(Token, (kinds[group], value, before, found.end(1), at))
            continue
        match = _BLANK.match(raw, at)
        start = at = match.end() if match else at
        if start >= len(raw):
            yield Token(Kind.END, "", before, start, start)
            return
        comment = _comment(raw, start)
        if comment is not None:
            at = comment
            continue
        token = _token(raw, before, start)
        yield token
        # After what is no word nothing can be read: it is the last one, up to the end.
        at = len(raw) if token.kind is Kind.ERROR else token.end


def _comment(raw: str, start: int) -> int | None:
    """The end of a comment that begins here; None where none does or it never ends."""
    if raw.startswith("/*", start) and not raw.startswith("/*!", start):
        end = raw.find("*/", start + 2)
        return end + 2 if end >= 0 else None
    if raw.startswith("/*!", start):
        digits = re.compile(r"\d{5}").match(raw, start + 3)
        return digits.end() if digits else start + 3
    if raw.startswith("*/", start) and "/*!" in raw[:start]:
        return start + 2
    line = _LINE_COMMENT.match(raw, start)
    return line.end() if line else None


def _token(raw: str, before: int, start: int) -> Token:
    char = raw[start]
    if char == "`":
        return _quoted_name(raw, before, start)
    if char in "'\"":
        return _string(raw, before, start)
    if word := _WORD.match(raw, start):
        return Token(Kind.WORD, word.group(), before, start, word.end())
    if number := _NUMBER.match(raw, start):
        if tail := _WORD.match(raw, number.end()):
            return Token(Kind.WORD, raw[start : tail.end()], before, start, tail.end())
        shown = number.group()
        whole = shown.isdigit() and int(shown) < 1 << 64
        kind = Kind.INTEGER if whole else Kind.OTHER
        return Token(kind, shown, before, start, number.end())
    if char in "=,()+*%^~{}&|?.-<>!;@:/":
        return Token(Kind.OTHER, char, before, start, start + 1)
    return Token(Kind.ERROR, char, before, start, start + 1)


def _quoted_name(raw: str, before: int, start: int) -> Token:
    at = start + 1
    if raw.startswith("`", at) and not raw.startswith("`", at + 1):
        return Token(Kind.ERROR, "", before, start, at)
    parts: list[str] = []
    while True:
        end = raw.find("`", at)
        if end < 0:
            return Token(Kind.ERROR, "", before, start, len(raw))
        parts.append(raw[at:end])
        if not raw.startswith("``", end):
            break
        parts.append("`")
        at = end + 2
    return Token(Kind.QUOTED, as_text("".join(parts)), before, start, end + 1)


def _string(raw: str, before: int, start: int) -> Token:
    quote = raw[start]
    at = start + 1
    out: list[str] = []
    while at < len(raw):
        char = raw[at]
        if char == quote:
            if not raw.startswith(quote, at + 1):
                return Token(Kind.STRING, as_text("".join(out)), before, start, at + 1)
            at += 1
        elif char == "\\" and at + 1 < len(raw):
            at += 1
            char = raw[at]
            if char in "%_":
                out.append("\\")
            char = ESCAPES.get(char, char)
        elif plain := _PLAIN[quote].match(raw, at):
            out.append(plain.group())
            at = plain.end()
            continue
        out.append(char)
        at += 1
    return Token(Kind.ERROR, "", before, start, len(raw))


def unescape(name: str) -> str:
    """A name as the server keeps it: backslashes in names are escapes (docs/server.md, Names)."""
    out: list[str] = []
    chars = iter(name)
    for char in chars:
        if char == "\\":
            char = next(chars, "")
            if char in ("%", "_"):
                out.append("\\")
            char = ESCAPES.get(char, char)
        out.append(char)
    return "".join(out)
