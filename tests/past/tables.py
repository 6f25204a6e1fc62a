"""Tables with a history: a moment is taken, and a copy of the rows with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import Moment
from tests.clock import wait

Rows = list[tuple[Any, ...]]


def say(engine: Engine, *statements: str) -> None:
    """Each in a transaction of its own."""
    for statement in statements:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def rows_of(engine: Engine, table: str) -> Rows:
    """All rows, sorted."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table}".replace("%", "%%"))
        return sorted((tuple(row) for row in found), key=repr)


def take_moment(engine: Engine) -> Moment:
    """Now, with a little time on both sides of it, so that no commit shares the moment."""
    wait(engine, 0.01)
    moment = Moment.now(engine)
    wait(engine, 0.01)
    return moment
