"""Server time: strictly increasing nanoseconds, a local zone, movable forward by tests."""

from __future__ import annotations

import datetime
import re
import threading
import time

_TEXT = re.compile(
    r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{0,9}))?)?"
)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def utc(ns: int) -> datetime.datetime:
    """The whole second of a moment, naive, in UTC."""
    return _EPOCH.replace(tzinfo=None) + datetime.timedelta(seconds=ns // 1_000_000_000)


def utc_text(ns: int) -> str:
    """A moment in UTC, with up to nine digits: zeros at the end are cut."""
    return f"{utc(ns)}.{ns % 1_000_000_000:09d}".rstrip("0").rstrip(".")


class Clock:
    """Server time in UTC nanoseconds; strictly increasing; may be moved forward by tests."""

    def __init__(self, zone: datetime.tzinfo = datetime.UTC) -> None:
        """*zone* is the server process's local zone (docs/server.md, Times of RESTORE)."""
        self.zone = zone
        self._lock = threading.Lock()
        self._offset = 0
        self._last = 0

    def now(self) -> int:
        """Unix nanoseconds, never the same twice."""
        with self._lock:
            self._last = max(time.time_ns() + self._offset, self._last + 1)
            return self._last

    def advance(self, by: datetime.timedelta) -> None:
        """Move the clock forward; backwards is refused, history would lose its order."""
        if not isinstance(by, datetime.timedelta):
            raise TypeError(f"the clock is moved by a timedelta, as timedelta(seconds=10): {by!r}")
        nanoseconds = ((by.days * 86_400 + by.seconds) * 1_000_000 + by.microseconds) * 1_000
        if nanoseconds < 0:
            raise ValueError(f"the clock only moves forward, not by {by}")
        with self._lock:
            self._offset += nanoseconds

    def local_text(self, ns: int, digits: int = 6) -> str:
        """`YYYY-MM-DD HH:MM:SS[.fraction]` in the local zone, with *digits* digits, 0 to 9."""
        seconds, fraction = divmod(ns, 1_000_000_000)
        local = (_EPOCH + datetime.timedelta(seconds=seconds)).astimezone(self.zone)
        text = f"{local:%Y-%m-%d %H:%M:%S}".rjust(19, "0")
        return f"{text}.{fraction:09d}"[: 20 + digits] if digits else text

    def parse_local(self, text: str, zone: datetime.tzinfo | None = None) -> int:
        """The instant of a time text, local without a *zone*; ValueError where it is none."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"not a time: {text!r}")
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        local = datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone or self.zone)
        whole = local - _EPOCH
        fraction = int((found.group(7) or "").ljust(9, "0"))
        return (whole.days * 86_400 + whole.seconds) * 1_000_000_000 + fraction
