"""An instant, in unix nanoseconds: what MatrixOne takes to read the past.

``{MO_TS = n}`` behind a table's name means one instant in every zone. The text forms of the server
do not: ``{TIMESTAMP = 't'}`` is UTC and reaches back an hour, ``{AS OF TIMESTAMP 't'}`` is in the
server's own zone.

Nothing is guessed: a time without a zone is refused, and so is an integer whose size says that it
counts something else than nanoseconds. Relative times count from the server's clock, never from the
client's.

Source: docs/server.md, Time travel; Times of RESTORE.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.engine import Connection

from .connections import side_connection, unwrap
from .errors import PitrValidationError
from .names import plain, shorten
from .server import EPOCH, clock

if TYPE_CHECKING:
    from .connections import Bind

_MICROSECOND: Final = dt.timedelta(microseconds=1)

EARLIEST: Final = 10**17
"""3 March 1973: what is less counts something else, or is before any server was."""

_EARLIEST_TIME: Final = dt.datetime.fromtimestamp(EARLIEST // 10**9, dt.UTC)
_LATEST: Final = 2**63 - 1
"""The largest number that the server takes: 11 April 2262."""

_COARSER: Final = (
    (10**11, 10**9, "seconds"),
    (10**14, 10**6, "milliseconds"),
    (10**17, 10**3, "microseconds"),
)
"""Limits below which an integer counts another unit, and the nanoseconds of that unit."""


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Moment:
    """An instant, in unix nanoseconds: immutable, ordered, hashable.

    >>> moment = Moment.parse("2026-11-22 09:30:00+01:00")
    >>> moment
    Moment.parse('2026-11-22 08:30:00Z')
    >>> moment.sql, moment.text("Asia/Tokyo")
    ('{MO_TS = 1795336200000000000}', '2026-11-22 17:30:00+09:00')
    >>> moment < moment + dt.timedelta(hours=1)
    True
    """

    nanoseconds: int

    def __post_init__(self) -> None:
        number = self.nanoseconds
        if type(number) is not int or not EARLIEST <= number <= _LATEST:  # of many hardly one
            object.__setattr__(self, "nanoseconds", _checked(number))
        _hear_of_moments()

    # ------------------------------------------------------------------------------------ making

    @classmethod
    def of(cls, value: MomentLike) -> Self:
        """The moment of an aware datetime, of unix nanoseconds, or of a Moment.

        :raises PitrValidationError: something else, a naive datetime, or an integer that counts
            seconds, milliseconds or microseconds.

        >>> Moment.of(dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)).nanoseconds
        1795339800000000000
        >>> Moment.of(1795339800)
        Traceback (most recent call last):
        ...
        sqlalchemy_matrixone_pitr.errors.PitrValidationError: 1795339800 is taken for seconds ...
        """
        if isinstance(value, Moment):
            return value if type(value) is cls else cls(value.nanoseconds)
        if isinstance(value, dt.datetime):
            if value.utcoffset() is None:
                raise PitrValidationError(
                    f"{value!r} has no zone, so it is no moment: the client's, the session's and "
                    "the server's zone may differ. Give an aware datetime, such as "
                    "datetime.now(timezone.utc) or datetime(..., tzinfo=ZoneInfo('Europe/Berlin'))"
                )
            return cls(_in_range(int((value - EPOCH) // _MICROSECOND) * 1000, str(value)))
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value)
        advice = "; Moment.parse() reads text" if issubclass(type(value), str) else ""
        raise PitrValidationError(
            f"a moment is an aware datetime, unix nanoseconds as an int, or a Moment, not "
            f"{type(value).__name__}: {shorten(value)}{advice}"
        )

    @classmethod
    def parse(cls, text: str, bind: Bind | None = None, *, now: MomentLike | None = None) -> Self:
        """The moment that a text says, exactly.

        =================================  ========================================================
        text                               meaning
        =================================  ========================================================
        ``2026-11-28 09:30:00+01:00``      a date, a blank or T, a time to the minute, second or any
        ``2026-11-28T08:30Z``              part of it down to nanoseconds, and the offset from UTC
        ``10m ago``, ``2h30m ago``         whole weeks, days, hours, minutes, seconds, milliseconds
        ``7d ago``                         (w d h m s ms), in this order, before the server's now
        ``1795339800000000000``            unix nanoseconds
        =================================  ========================================================

        :param bind: whose server's clock a relative time counts from.
        :param now: the moment that a relative time counts from, where it is known already.
        :raises PitrValidationError: anything else.

        >>> Moment.parse("2h30m ago", now=Moment.parse("2026-11-28 09:30:00.5Z"))
        Moment.parse('2026-11-28 07:00:00.5Z')
        """
        if not isinstance(text, str):
            raise PitrValidationError(
                f"Moment.parse() reads text, not {type(text).__name__}: {shorten(text)}; Moment.of "
                "takes aware datetimes and unix nanoseconds"
            )
        text = plain(text)
        if re.fullmatch(r"[0-9]{1,30}", text):
            return cls(int(text))
        ago = _AGO.fullmatch(text)
        if ago is not None and any(ago.groups()):
            if now is not None:
                start = cls.of(now)
            elif bind is not None:
                start = cls.now(bind)
            else:
                raise PitrValidationError(
                    f"{text!r} counts from the server's clock: give the engine too, "
                    f"Moment.parse({text!r}, engine)"
                )
            return start - _length(ago)
        return cls(_in_range(_absolute(text), repr(text)))

    @classmethod
    def now(cls, bind: Bind) -> Self:
        """The present, by the server's clock, to the microsecond.

        On a Connection nothing begins or ends. A Session is asked on its own connection, an Engine
        on one of its own.

        >>> from sqlalchemy import create_engine
        >>> Moment.now(create_engine(url)) > Moment.parse("2026-01-01 00:00Z")
        True
        """
        found = unwrap(bind, "Moment.now()")
        if isinstance(found, Connection):
            return cls(clock(found))
        with side_connection(found) as connection:
            return cls(clock(connection))

    # ----------------------------------------------------------------------------------- showing

    @property
    def sql(self) -> str:
        """The text after a table's name in SQL that reads the table as of this moment.

        >>> from sqlalchemy import text
        >>> moment = Moment.parse("2026-11-22 09:30:00Z")
        >>> print(text(f"SELECT * FROM orders {moment.sql} WHERE id = :id"))
        SELECT * FROM orders {MO_TS = 1795339800000000000} WHERE id = :id
        """
        return f"{{MO_TS = {self.nanoseconds}}}"

    def datetime(self, zone: str | dt.tzinfo = dt.UTC) -> dt.datetime:
        """An aware datetime; what is finer than a microsecond is cut off.

        :param zone: a tzinfo, or a zone's name such as ``"Europe/Berlin"``.
        """
        at = EPOCH + dt.timedelta(microseconds=self.nanoseconds // 1000)
        return at.astimezone(_zone(zone))

    def text(self, zone: str | dt.tzinfo = dt.UTC) -> str:
        """The moment as :meth:`parse` reads it, to the nanosecond, in a zone.

        >>> Moment(1795339800000000001).text("America/New_York")
        '2026-11-22 04:30:00.000000001-05:00'
        """
        at = self.datetime(zone)
        offset = at.utcoffset()
        assert offset is not None
        if offset.seconds % 60:  # a zone's local mean time, before there were zones
            raise PitrValidationError(f"zone {zone!r} is not a whole minute off UTC")
        fraction = f"{self.nanoseconds % 10**9:09d}".rstrip("0")
        shift = at.isoformat()[-6:] if offset else "Z"
        return f"{at:%Y-%m-%d %H:%M:%S}{fraction and f'.{fraction}'}{shift}"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({self.text()!r})"

    # -------------------------------------------------------------------------------- arithmetic

    def __add__(self, length: dt.timedelta) -> Self:
        if not isinstance(length, dt.timedelta):
            return NotImplemented
        nanoseconds = self.nanoseconds + length // _MICROSECOND * 1000
        return type(self)(_in_range(nanoseconds, f"{length} from {self}"))

    __radd__ = __add__

    def __sub__(self, length: dt.timedelta) -> Self:
        """An earlier moment. How long lies between two: subtract their ``nanoseconds``."""
        if not isinstance(length, dt.timedelta):
            return NotImplemented
        return self + -length

    # ------------------------------------------------------------------------------------- rules

    def check_past(self, now: Moment) -> Self:
        """The same, if it has passed.

        :param now: the server's present.
        :raises PitrValidationError: it lies in the future, of which the server would silently read
            the present.
        """
        if self > now:
            raise PitrValidationError(
                f"{self} lies in the future: the server's clock says {now}, and of a later moment "
                "it reads the present without a word. Choose an earlier one"
            )
        return self


def begin_of_range(start: dt.datetime) -> Moment:
    """Begin of a range, as a Moment: the earliest of one that begins before all of them.

    >>> begin_of_range(dt.datetime(1926, 11, 28, tzinfo=dt.UTC)).nanoseconds == EARLIEST
    True
    """
    return Moment(EARLIEST) if start < _EARLIEST_TIME else Moment.of(start)


@functools.cache
def _hear_of_moments() -> None:
    """Install the listeners: from the first moment on no engine ignores the execution option."""
    from .past.listening import listen

    listen()


MomentLike: TypeAlias = "Moment | dt.datetime | int"
"""An instant: a Moment, an aware datetime, or unix nanoseconds."""


def _checked(nanoseconds: object) -> int:
    if isinstance(nanoseconds, bool) or not isinstance(nanoseconds, int):
        raise PitrValidationError(
            f"a Moment is made of unix nanoseconds, an int, not {type(nanoseconds).__name__}: "
            f"{shorten(nanoseconds)}; Moment.of() and Moment.parse() take other things"
        )
    number = int(nanoseconds)
    if EARLIEST <= number <= _LATEST:
        return number
    for limit, factor, what in _COARSER:
        if 10**8 <= number < limit:
            guess = EPOCH + dt.timedelta(microseconds=number * factor // 1000)
            raise PitrValidationError(
                f"{number} is taken for {what} since 1970 ({guess:%Y-%m-%d %H:%M:%S} UTC): a "
                f"moment counts nanoseconds; multiply by {factor}"
            )
    return _in_range(number, f"{shorten(number)} nanoseconds since 1970")


def _in_range(nanoseconds: int, what: str) -> int:
    """The same, if a moment is made of it; it counts nanoseconds for sure."""
    if EARLIEST <= nanoseconds <= _LATEST:
        return nanoseconds
    raise PitrValidationError(
        f"{what} is outside of 1973 to 2262: choose a moment of the server's history"
    )


def _zone(zone: str | dt.tzinfo) -> dt.tzinfo:
    if isinstance(zone, dt.tzinfo):
        return zone
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PitrValidationError(
            f"{shorten(zone)} is no zone that this computer knows: names are such as "
            "'Europe/Berlin' (on Windows they come with the package tzdata)"
        ) from error


# ------------------------------------------------------------------------------------------ reading

_LENGTHS: Final = {
    "w": dt.timedelta(weeks=1),
    "d": dt.timedelta(days=1),
    "h": dt.timedelta(hours=1),
    "m": dt.timedelta(minutes=1),
    "s": dt.timedelta(seconds=1),
    "ms": dt.timedelta(milliseconds=1),
}
_AGO: Final = re.compile(
    "".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit} ?)?" for unit in _LENGTHS) + "(?<= )ago"
)
_ABSOLUTE: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[ T]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<zone>Z| ?(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))?"
)


def _length(ago: re.Match[str]) -> dt.timedelta:
    total = dt.timedelta()
    for unit, one in _LENGTHS.items():
        try:
            total += int(ago[unit] or 0) * one
        except OverflowError:
            raise PitrValidationError(f"{ago[0]!r} is before any server was") from None
    return total


def _absolute(text: str) -> int:
    """The nanoseconds of a date, a time and an offset."""
    found = _ABSOLUTE.fullmatch(text)
    if found is None:
        raise PitrValidationError(f"{shorten(text)} is no moment: {_advice(text)}")
    if found["zone"] is None:
        raise PitrValidationError(
            f"{text!r} has no zone, so it is no moment: the client's, the session's and the "
            f"server's zone may differ. Write '{text}Z' for UTC, or its offset, such as "
            f"'{text}+01:00'"
        )
    offset = dt.timedelta()
    if found["sign"]:
        hours, minutes = int(found["hours"]), int(found["minutes"])
        if hours > 14 or minutes > 59:
            raise PitrValidationError(f"{text!r}: no zone is {found['zone'].strip()} off UTC")
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if found["sign"] == "-" else 1)
    try:
        at = dt.datetime.fromisoformat(found["date"]).replace(
            hour=int(found["hour"]),
            minute=int(found["minute"]),
            second=int(found["second"] or 0),
            tzinfo=dt.UTC,
        )
    except ValueError as error:
        raise PitrValidationError(f"{text!r} is no moment: {error}") from error
    fraction = int((found["fraction"] or "").ljust(9, "0"))
    return (at - EPOCH - offset) // dt.timedelta(seconds=1) * 10**9 + fraction


def _advice(text: str) -> str:
    if re.fullmatch(r"[0-9 a-z]*[0-9] ?(mo|y)[a-z]* ago", text):
        return "months and years have no fixed length; write days, such as '30d ago'"
    if text.endswith("ago"):
        return (
            "relative times are whole weeks, days, hours, minutes, seconds and milliseconds, the "
            "longest first, such as '2h30m ago' (w d h m s ms)"
        )
    return (
        "write it as '2026-11-28 09:30:00+01:00', '2026-11-28T08:30:00Z' or '2h30m ago' (the "
        "client's zone is never taken)"
    )
