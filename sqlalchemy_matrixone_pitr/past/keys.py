"""Keys of rows that were read, in a statement that finds these rows again."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, type_coerce
from sqlalchemy.types import NullType

from ..errors import PastError


def among(
    columns: Sequence[ColumnElement[Any]], keys: Sequence[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Condition on the columns of a key.

    :param keys: as the driver, or the caller's type, reads them.
    """
    untyped = [type_coerce(column, NullType()) for column in columns]
    if len(untyped) == 1:
        return untyped[0].in_([_sent(key[0]) for key in keys])
    return or_(*(and_(*(c == _sent(v) for c, v in zip(untyped, key, strict=True))) for key in keys))


def check_found(name: str, key: tuple[Any, ...], *, found: bool) -> None:
    """Refuse to go on with a key that does not find its row.

    :raises PastError: it does not.
    """
    if not found:
        raise PastError(
            f"{name} {key}: a statement with this key does not find the row that it was read of, "
            "so that no row can be left out or replaced by its key, and nothing was written. "
            "Narrow the undo by where= to rows without conflicts"
        )


def _sent(value: Any) -> Any:
    """A value as drivers write it: not a negative TIME, of which PyMySQL makes another one.

    >>> _sent(datetime.timedelta(hours=-1, minutes=-30)), _sent(5)
    ('-01:30:00.000000', 5)
    """
    if not isinstance(value, datetime.timedelta):
        return value
    sign = "-" if value < datetime.timedelta(0) else ""
    seconds, rest = divmod(abs(value) // datetime.timedelta(microseconds=1), 1_000_000)
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}"
