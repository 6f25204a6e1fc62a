"""Texts of moments, as RESTORE and reads of the past take them.

docs/server.md, Times of RESTORE; Time travel.
"""

from __future__ import annotations

import datetime

from ..clock import Clock
from ..errors import SqlError

_LAYOUT = "2006-01-02 15:04:05"
_LAYOUT_OF_READS = "2006-01-02 15:04:05.999999999"
"""Layout that the error of a `{TIMESTAMP = '...'}` names"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Reader:
    def __init__(self, text: str, layout: str) -> None:
        self.text = text
        self.layout = layout
        self.rest = text

    def fail(self, element: str, rest: str) -> SqlError:
        return SqlError(
            1105,
            f"parsing time {_quoted(self.text)} as {_quoted(self.layout)}: "
            f"cannot parse {_quoted(rest)} as {_quoted(element)}",
        )

    def out_of_range(self, what: str) -> SqlError:
        return SqlError(1105, f"parsing time {_quoted(self.text)}: {what} out of range")

    def digits(self, element: str, least: int, most: int) -> int:
        count = 0
        while count < most and self.rest[count : count + 1] in set("0123456789"):
            count += 1
        if count < least:
            raise self.fail(element, self.rest)
        number, self.rest = int(self.rest[:count]), self.rest[count:]
        return number

    def literal(self, char: str) -> None:
        if not self.rest.startswith(char):
            raise self.fail(char, self.rest)
        self.rest = self.rest[1:]

    def blanks(self) -> None:
        if self.rest and not self.rest.startswith(" "):
            raise self.fail(" ", self.rest)
        self.rest = self.rest.lstrip(" ")


def parse_restore_time(text: str, clock: Clock) -> int:
    """Parse a RESTORE time in the server's local zone; 1105 if it is malformed."""
    return _instant(_Reader(text, _LAYOUT), clock, clock.zone)


def parse_read_time(text: str, clock: Clock) -> int:
    """Parse the time of `{TIMESTAMP = 't'}`, in UTC whatever the server's zone."""
    return _instant(_Reader(text, _LAYOUT_OF_READS), clock, datetime.UTC)


def _instant(reader: _Reader, clock: Clock, zone: datetime.tzinfo) -> int:
    year = reader.digits("2006", 4, 4)
    reader.literal("-")
    month = reader.digits("01", 2, 2)
    if not 1 <= month <= 12:
        raise reader.out_of_range("month")
    reader.literal("-")
    day = reader.digits("02", 2, 2)
    reader.blanks()
    hour = reader.digits("15", 1, 2)
    if hour >= 24:
        raise reader.out_of_range("hour")
    reader.literal(":")
    minute = reader.digits("04", 2, 2)
    if minute >= 60:
        raise reader.out_of_range("minute")
    reader.literal(":")
    second = reader.digits("05", 2, 2)
    if second >= 60:
        raise reader.out_of_range("second")
    fraction = ""
    if reader.rest[:1] in (".", ",") and reader.rest[1:2].isdigit():
        end = 1
        while reader.rest[end : end + 1].isdigit():
            end += 1
        fraction, reader.rest = reader.rest[1:end], reader.rest[end:]
    if reader.rest:
        raise SqlError(
            1105, f"parsing time {_quoted(reader.text)}: extra text: {_quoted(reader.rest)}"
        )
    shown = f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
    try:
        return clock.parse_local(f"{shown}.{fraction[:9]}", zone)
    except (ValueError, OverflowError):
        raise reader.out_of_range("day") from None
