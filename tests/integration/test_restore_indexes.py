"""Indexes that a RESTORE brings broken are found, and made again; restore() brings none."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import Pitr, RestorePitr, restore
from sqlalchemy_matrixone_pitr.catalog import IndexShape, indexes_of
from sqlalchemy_matrixone_pitr.emulator import Emulator
from sqlalchemy_matrixone_pitr.restore.verifying import broken_indexes, repair_index
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect

pytestmark = pytest.mark.emulator_only

TABLE = "shop", "t"


@pytest.fixture(params=["3.0.9", "4.2.0"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(request.param) as running:
        yield running


@pytest.fixture
def engine(emulator: Emulator) -> Iterator[Engine]:
    first = create_engine(emulator.url())
    say(first, "CREATE DATABASE shop")
    first.dispose()
    engine = create_engine(emulator.url(database="shop"))
    yield engine
    engine.dispose()


def broken(engine: Engine) -> list[IndexShape]:
    with engine.connect() as connection:
        of_it = indexes_of(connection, [TABLE])[TABLE]
        return list(broken_indexes(connection, TABLE, of_it))


def test_broken_ones_are_made_again(emulator: Emulator, engine: Engine) -> None:
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, u INT, v VARCHAR(9), UNIQUE KEY uu (u), KEY kv (v))",
        "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, NULL, NULL)",
    )
    protect(engine, Pitr.table("p", "t", "1d"))
    assert broken(engine) == []
    at = take_moment(engine)
    say(engine, "DELETE FROM t WHERE id > 0")
    emulator.collect_garbage(ttl=dt.timedelta())
    with engine.connect() as connection, warnings.catch_warnings(action="ignore"):
        connection.execute(RestorePitr("p", at, database="shop", table="t"))
    assert [index.name for index in broken(engine)] == ["kv", "uu"]
    with engine.connect() as connection:
        for index in broken(engine):
            repair_index(engine, connection, TABLE, index)
    assert broken(engine) == []
    assert len(rows_of(engine, "t")) == 3
    say(engine, "DELETE FROM t WHERE u = 10")
    assert len(rows_of(engine, "t")) == 2


def test_a_restore_brings_them_in_order(emulator: Emulator, engine: Engine) -> None:
    say(engine, "CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE)", "INSERT INTO t VALUES (1, 10)")
    protect(engine, Pitr.table("p", "t", "1d"))
    at = take_moment(engine)
    say(engine, "DELETE FROM t WHERE id = 1")
    emulator.collect_garbage(ttl=dt.timedelta())
    report = restore(engine, "shop.t", at)
    assert [(table.way, table.repaired) for table in report.tables] == [("rows", ())]
    assert broken(engine) == []
    say(engine, "DELETE FROM t WHERE u = 10")
    assert rows_of(engine, "t") == []
