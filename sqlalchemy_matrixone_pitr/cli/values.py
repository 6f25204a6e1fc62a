"""Tables and rows on the command line: their names, and the values in them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from ..catalog import Key

KINDS: Final = ("inserted", "updated", "deleted")

LONGEST: Final = 60
"""Characters of a value that people see."""

where_option = click.option(
    "--where",
    metavar="CONDITION",
    help="Only rows of which this was true then or is now, such as \"item = 'lamp'\".",
)


def limit_option(default: int, what: str) -> Callable[..., Any]:
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help=f"So many {what} are listed.",
    )


def dotted(key: Key) -> str:
    return ".".join(key)


def for_json(value: Any) -> Any:
    """A value as JSON has it; what JSON does not know, or would round, is a text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes | bytearray):
        return f"0x{value.hex()}"
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return _time_text(value)
    return str(value)


def _time_text(value: dt.timedelta) -> str:
    """A TIME as SQL writes it; Python would say -1 day, 23:00:00 of an hour before midnight.

    >>> _time_text(dt.timedelta(hours=-26, microseconds=-5))
    '-26:00:00.000005'
    """
    seconds, microseconds = divmod(abs(value) // dt.timedelta(microseconds=1), 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{microseconds:06}" if microseconds else ""
    return f"{'-' if value < dt.timedelta() else ''}{text}{fraction}"


def shown_value(value: Any) -> str:
    """A value for people: NULL, and texts in quotes; not the whole of a long one."""
    if value is None:
        return "NULL"
    value = repr(value) if isinstance(value, str) else str(for_json(value))
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}..."


def many(number: int, what: str) -> str:
    """A number of things.

    >>> many(1, "row"), many(2000, "table")
    ('1 row', '2,000 tables')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
