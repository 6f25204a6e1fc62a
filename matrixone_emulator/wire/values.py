"""Values and texts as they go over the wire."""

from __future__ import annotations

import datetime
from decimal import Decimal


def text(data: bytes) -> str:
    """UTF-8 as MySQL clients send it; other bytes survive as surrogates, never an error."""
    return data.decode("utf-8", "surrogateescape")


def encode(value: object) -> bytes:
    """Encode one value in the text protocol."""
    kind = type(value)
    if kind is str:
        return str(value).encode("utf-8", "surrogateescape")
    if kind is int:
        return str(value).encode()
    match value:
        case str():
            return value.encode("utf-8", "surrogateescape")
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case bool():
            return b"1" if value else b"0"
        case int() | Decimal():
            return format(value, "f" if isinstance(value, Decimal) else "d").encode()
        case float():
            return _float_text(value).encode()
        case datetime.datetime():
            shown = value.strftime("%H:%M:%S") + (
                f".{value.microsecond:06d}" if value.microsecond else ""
            )
            return f"{value.year:04d}-{value.month:02d}-{value.day:02d} {shown}".encode()
        case datetime.date():
            return value.isoformat().encode()
        case datetime.timedelta():
            return _interval_text(value).encode()
        case datetime.time():
            return value.isoformat().encode()
        case _:
            raise TypeError(f"no text form for {type(value).__name__}")


def _float_text(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def _interval_text(value: datetime.timedelta) -> str:
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign = "-" if micros < 0 else ""
    seconds, micros = divmod(abs(micros), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{micros:06d}" if micros else ""
    return f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"
