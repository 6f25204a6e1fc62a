"""Functions of moments for sqlite: intervals, parts, formats."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable

from ..errors import SqlError
from ..types.values import Stored, moment_text, parse_moment, parse_span, value_text


def to_datetime(value: Stored) -> str | None:
    if value is None:
        return None
    moment = parse_moment(value_text(value))
    if moment is None:
        raise SqlError(20301, f"invalid input: invalid datetime value {value_text(value)}")
    return moment_text(moment)


def moment_or_refusal(value: Stored) -> str | None:
    """A text as a moment; what the server says of one that is none differs with the function."""
    moment = None if value is None else parse_moment(value_text(value))
    if moment is None and value is not None:
        raise SqlError.not_emulated(f"no moment: {value_text(value)}")
    return None if moment is None else moment_text(moment)


def to_span(value: Stored) -> int | None:
    if value is None:
        return None
    micros = parse_span(value_text(value))
    if micros is None:
        raise SqlError(20301, f"invalid input: invalid time value {value_text(value)}")
    return micros


def _moment(value: Stored) -> datetime.datetime:
    moment = parse_moment(value_text(value))
    if moment is None:
        raise SqlError(20301, f"invalid input: invalid datetime value {value_text(value)}")
    return moment


def convert_zone(value: Stored, source: Stored, target: Stored) -> str | None:
    """CONVERT_TZ: whole seconds as a text; NULL where one of the zones is none."""
    if value is None or source is None or target is None:
        return None
    moment = _moment(value)
    zones = [named_zone(value_text(name)) for name in (source, target)]
    if zones[0] is None or zones[1] is None:
        return None
    shown = moment.replace(tzinfo=zones[0]).astimezone(zones[1])
    return shown.strftime("%Y-%m-%d %H:%M:%S")


_OFFSET = re.compile(r"([+-])(\d{1,2}):(\d{2})")


def named_zone(text: str) -> datetime.tzinfo | None:
    """A zone by its name or its offset from UTC."""
    found = _OFFSET.fullmatch(text)
    if found:
        sign, hours, minutes = found.groups()
        offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
        return datetime.timezone(-offset if sign == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None


_UNITS = {
    "MICROSECOND": datetime.timedelta(microseconds=1),
    "SECOND": datetime.timedelta(seconds=1),
    "MINUTE": datetime.timedelta(minutes=1),
    "HOUR": datetime.timedelta(hours=1),
    "DAY": datetime.timedelta(days=1),
    "WEEK": datetime.timedelta(weeks=1),
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _add_months(moment: datetime.datetime, months: int) -> datetime.datetime:
    total = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(total, 12)
    for day in (moment.day, 30, 29, 28):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            if day <= 28:
                raise
    return moment


def add_interval(value: Stored, count: Stored, unit: str) -> str | None:
    if value is None or count is None:
        return None
    moment, number = _moment(value), float(str(count))
    try:
        if unit in _MONTHS:
            result = _add_months(moment, int(number) * _MONTHS[unit])
        else:
            result = moment + _UNITS[unit] * number
    except (OverflowError, ValueError):
        raise SqlError.not_emulated("too late: an error on 3.x, NULL on 4.x") from None
    return moment_text(result)


def timestamp_difference(unit: str, start: Stored, end: Stored) -> int | None:
    if start is None or end is None:
        return None
    a, b = _moment(start), _moment(end)
    if unit in _MONTHS:
        months = (b.year - a.year) * 12 + b.month - a.month
        if months < 0:
            raise SqlError.not_emulated("months back, which the server counts in its own way")
        if months and _add_months(a, months) > b:
            months -= 1
        return int(months / _MONTHS[unit])
    return int((b - a) / _UNITS[unit])


def date_difference(left: Stored, right: Stored) -> int | None:
    if left is None or right is None:
        return None
    return (_moment(left).date() - _moment(right).date()).days


def date_part(unit: str, value: Stored) -> int | None:
    if value is None:
        return None
    moment = _moment(value)
    iso = moment.isocalendar()
    parts = {
        "YEAR": moment.year,
        "MONTH": moment.month,
        "DAY": moment.day,
        "HOUR": moment.hour,
        "MINUTE": moment.minute,
        "SECOND": moment.second,
        "MICROSECOND": moment.microsecond,
        "QUARTER": (moment.month + 2) // 3,
        "WEEK": iso.week,
    }
    return parts[unit]


def span_part(unit: str, micros: int | None) -> int | None:
    """HOUR, MINUTE and SECOND of a TIME."""
    if micros is None:
        return None
    if micros < 0:
        raise SqlError.not_emulated("parts of a TIME below zero, which the server takes for others")
    seconds = micros // 1_000_000
    return {"HOUR": seconds // 3600, "MINUTE": seconds // 60 % 60}.get(unit, seconds % 60)


def format_date(value: Stored, pattern: Stored) -> str | None:
    if value is None or pattern is None:
        return None
    moment = _moment(value)
    hour12 = moment.hour % 12 or 12
    codes: dict[str, Callable[[], str]] = {
        "Y": lambda: f"{moment.year:04d}",
        "y": lambda: f"{moment.year % 100:02d}",
        "m": lambda: f"{moment.month:02d}",
        "c": lambda: str(moment.month),
        "d": lambda: f"{moment.day:02d}",
        "e": lambda: str(moment.day),
        "H": lambda: f"{moment.hour:02d}",
        "k": lambda: str(moment.hour),
        "h": lambda: f"{hour12:02d}",
        "I": lambda: f"{hour12:02d}",
        "l": lambda: str(hour12),
        "i": lambda: f"{moment.minute:02d}",
        "s": lambda: f"{moment.second:02d}",
        "S": lambda: f"{moment.second:02d}",
        "f": lambda: f"{moment.microsecond:06d}",
        "T": lambda: f"{moment:%H:%M:%S}",
        "r": lambda: f"{hour12:02d}:{moment:%M:%S} {moment:%p}",
        "p": lambda: "AM" if moment.hour < 12 else "PM",
        "M": lambda: f"{moment:%B}",
        "b": lambda: f"{moment:%b}",
        "W": lambda: f"{moment:%A}",
        "a": lambda: f"{moment:%a}",
        "j": lambda: f"{moment.timetuple().tm_yday:03d}",
        "w": lambda: str(moment.isoweekday() % 7),
        "v": lambda: f"{moment.isocalendar().week:02d}",
        "x": lambda: f"{moment.isocalendar().year:04d}",
    }

    def code(found: re.Match[str]) -> str:
        letter = found.group(1)
        if letter in "DUuVX":
            raise SqlError.not_emulated(f"%{letter}")
        return codes[letter]() if letter in codes else letter

    return re.sub(r"%(.)", code, value_text(pattern))


_STRPTIME = {
    "i": "%M",
    "s": "%S",
    "M": "%B",
    "h": "%I",
    "T": "%H:%M:%S",
    "e": "%d",
    "c": "%m",
    "k": "%H",
}


def parse_date(value: Stored, pattern: Stored) -> str | None:
    if value is None or pattern is None:
        return None
    wanted = re.sub(r"%(.)", lambda m: _STRPTIME.get(m.group(1), m.group()), value_text(pattern))
    try:
        return moment_text(datetime.datetime.strptime(value_text(value), wanted))
    except ValueError:
        return None
