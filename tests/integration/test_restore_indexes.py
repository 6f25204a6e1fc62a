"""Indexes that a RESTORE brings broken are found, and made again; restore() brings none."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import Pitr, PitrRestoreError, RestorePitr, restore
from sqlalchemy_matrixone_pitr.catalog import IndexShape, indexes_of
from sqlalchemy_matrixone_pitr.emulator import Emulator
from sqlalchemy_matrixone_pitr.restore.report import RestoreProgress
from sqlalchemy_matrixone_pitr.restore.verifying import broken_indexes, repair_index
from tests.clock import may_advance
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect
from tests.proxy import Proxy

pytestmark = pytest.mark.emulator_only

TABLE = "shop", "t"


@pytest.fixture(params=["3.0.9", "4.2.0"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(request.param) as running, may_advance(running):
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


class Breaking:
    """A restore by copies, whose indexes somebody's own RESTORE breaks before it is verified."""

    def __init__(self, emulator: Emulator, engine: Engine, *then: str) -> None:
        say(
            engine,
            "CREATE TABLE t (id INT PRIMARY KEY, u INT, v VARCHAR(9), UNIQUE KEY uu (u), "
            "KEY kv (v))",
            "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, NULL, NULL)",
        )
        protect(engine, Pitr.table("p", "t", "1d"))
        self.at = take_moment(engine)
        self._engine, self._then = engine, then
        say(engine, "DELETE FROM t WHERE id > 0")
        emulator.collect_garbage(ttl=dt.timedelta())

    def break_them(self) -> None:
        with self._engine.connect() as connection, warnings.catch_warnings(action="ignore"):
            connection.execute(RestorePitr("p", self.at, database="shop", table="t"))
        say(self._engine, *self._then)

    def before_verifying(self, progress: RestoreProgress) -> None:
        if progress.step.kind == "verify" and progress.outcome is None:
            self.break_them()


def test_broken_ones_are_repaired_by_restore(emulator: Emulator, engine: Engine) -> None:
    breaking = Breaking(emulator, engine)
    report = restore(engine, "shop.t", breaking.at, on_progress=breaking.before_verifying)
    assert report.ok, str(report)
    assert [table.repaired for table in report.tables] == [("kv", "uu")]
    assert "shop.t: 3 rows; made again: kv, uu" in str(report)
    assert broken(engine) == []


def test_one_that_cannot_be_repaired_is_said(emulator: Emulator, engine: Engine) -> None:
    """A broken UNIQUE key has taken a duplicate meanwhile, and stays as it is."""
    breaking = Breaking(emulator, engine, "INSERT INTO t VALUES (4, 10, 'c')")
    with pytest.raises(PitrRestoreError, match="is not finished") as caught:
        restore(engine, "shop.t", breaking.at, on_progress=breaking.before_verifying)
    said = "index uu of shop.t is broken, and could not be made again: "
    assert said in str(caught.value)
    assert "Drop it, look for duplicates, and add it again" in str(caught.value)
    report = caught.value.report  # type: ignore[attr-defined]
    assert [step.outcome.value for step in report.steps] == ["done", "failed", "not_tried"]
    assert [index.name for index in broken(engine)] == ["uu"]


def test_one_that_is_broken_again_is_left_to_do(emulator: Emulator, engine: Engine) -> None:
    breaking = Breaking(emulator, engine)
    proxy = Proxy(emulator.host, emulator.port)
    proxied = create_engine(engine.url.set(port=proxy.port))

    def on_progress(progress: RestoreProgress) -> None:
        breaking.before_verifying(progress)
        if progress.step.kind == "verify":
            proxy.on("ADD UNIQUE KEY", lambda: proxy.on("mo_indexes", breaking.break_them))

    report = restore(proxied, "shop.t", breaking.at, on_progress=on_progress)
    proxied.dispose()
    proxy.close()
    assert not report.ok
    assert report.left == ["index kv, uu of shop.t is broken: drop it, and add it again"]
