"""The execution option ``matrixone_as_of``: what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..connections import AS_OF
from ..errors import PitrValidationError
from ..moment import Moment
from ..names import shorten

NAMED_MOMENTS: Final = "matrixone_moments"
"""Attribute of a compiled statement: the parameters of its ``as_of()`` elements."""

PAST_TABLES: Final = "matrixone_past_tables"
"""Attribute of a compiled statement: each table that it reads in the past, a PastTable."""


class PastTable(NamedTuple):
    """A table that a compiled statement reads in the past.

    :ivar sql: how the statement writes it, before the moment.
    :ivar qualified: whether its columns are written with their schema: it has no alias.
    """

    schema: str | None
    name: str
    sql: str
    qualified: bool


def moment_of_options(options: Mapping[str, Any]) -> Moment | None:
    """The moment that execution options say, or None for the present.

    :raises PitrValidationError: the option has another value.
    """
    value = options.get(AS_OF)
    if value is None or isinstance(value, Moment):
        return value
    raise PitrValidationError(
        f"the execution option {AS_OF} takes a Moment, not {shorten(value)}: make one by "
        "Moment.of(...) or Moment.parse(...)"
    )
