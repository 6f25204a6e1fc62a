"""``inspect(engine)`` of a MatrixOne server, with its type: SQLAlchemy's own says Inspector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from .errors import PitrUnsupportedError

if TYPE_CHECKING:
    from .dialect import MatrixOneInspector


def inspect(bind: Engine | Connection) -> MatrixOneInspector:
    """SQLAlchemy's ``inspect()`` of a ``matrixone+...`` engine or connection.

    At run time the two are the same; type checkers know ``get_pitrs()`` of this one.

    :raises PitrUnsupportedError: a ``mysql+...`` URL, or another database.

    >>> from sqlalchemy import create_engine
    >>> inspect(create_engine(url)).get_pitrs(level="database", database_name="shop")
    []
    """
    from .dialect import MatrixOneInspector

    found = sqlalchemy.inspect(bind)
    if not isinstance(found, MatrixOneInspector):
        raise PitrUnsupportedError(
            f"the inspector of a {bind.dialect.name}+{bind.dialect.driver} URL has no get_pitrs(): "
            "use a matrixone+... URL, or the function get_pitrs(engine)"
        )
    return found
