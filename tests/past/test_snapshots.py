"""Snapshots keep one moment: what is said of it, and read of it, after a garbage collection.

docs/server.md, Snapshots; Garbage collection.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, select

from matrixone_emulator import Emulator
from sqlalchemy_matrixone_pitr import (
    Kept,
    Moment,
    PastNotKeptError,
    as_of,
    check_kept,
    coverage,
    restore_copy,
)
from tests.conftest import EMULATED_VERSIONS, numbers
from tests.past.tables import rows_of, say

pytestmark = pytest.mark.emulator_only

crates = Table(
    "crates",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("v", String(9), index=True),
)
ROWS = [(1, "a"), (2, "b")]


@dataclass
class Depot:
    """A database with crates, on an emulator whose time passes."""

    server: Emulator
    engine: Engine

    def snapshot(self, name: str, target: str) -> Moment:
        """Take a snapshot; its moment."""
        say(self.engine, f"CREATE SNAPSHOT {name} FOR {target}")
        with self.engine.connect() as connection:
            at = connection.exec_driver_sql(
                f"SELECT ts FROM mo_catalog.mo_snapshots WHERE sname = '{name}'"
            ).scalar_one()
        return Moment(int(at))

    def forget(self) -> None:
        """Change the rows, and let the server collect what nothing keeps."""
        self.server.advance(dt.timedelta(seconds=5))
        say(self.engine, "UPDATE crates SET v = 'z'")
        self.server.advance(dt.timedelta(hours=2))
        self.server.collect_garbage()


@pytest.fixture(params=[v for v in EMULATED_VERSIONS if numbers(v) >= (3,)])
def depot(request: pytest.FixtureRequest) -> Iterator[Depot]:
    with Emulator(version=request.param) as server:
        base = create_engine(server.url())
        say(base, "CREATE DATABASE depot")
        base.dispose()
        engine = create_engine(server.url(database="depot"))
        crates.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(crates.insert(), [{"id": i, "v": v} for i, v in ROWS])
        server.advance(dt.timedelta(seconds=5))  # the catalogue knows seconds
        yield Depot(server, engine)
        engine.dispose()


@pytest.mark.parametrize(
    ("target", "level"),
    [
        ("TABLE depot crates", "table"),
        ("DATABASE depot", "database"),
        ("ACCOUNT", "account"),
        ("CLUSTER", "account"),
    ],
)
def test_the_moment_of_a_snapshot_is_kept_with_its_indexes(
    depot: Depot, target: str, level: str
) -> None:
    at = depot.snapshot("s", target)
    depot.forget()
    [verdict] = check_kept(depot.engine, "crates", at)
    assert (verdict.kept, verdict.by, verdict.indexes) == (Kept.KEPT, ("s",), True)
    past = as_of(crates, at)
    with depot.engine.connect() as connection:
        assert connection.execute(select(past).order_by(past.c.id)).all() == ROWS
        assert connection.scalars(select(past.c.id).where(past.c.v == "b")).all() == [2]
    [table] = coverage(depot.engine, databases=["depot"]).tables
    assert [(one.by, one.kind.value, one.level.value) for one in table.windows] == [
        ("s", "snapshot", level)
    ]
    assert table.restorable_at(at)


def test_the_moments_beside_it_are_not(depot: Depot) -> None:
    at = depot.snapshot("s", "DATABASE depot")
    depot.forget()
    for other in (Moment(at.nanoseconds - 1), Moment(at.nanoseconds + 1)):
        with pytest.raises(PastNotKeptError):
            check_kept(depot.engine, "crates", other)
        with depot.engine.connect() as connection:
            asked = select(as_of(crates, other)).execution_options(matrixone_allow_unprotected=True)
            assert connection.execute(asked).all() == []


def test_copies_of_a_snapshots_moment_have_sound_indexes(depot: Depot) -> None:
    at = depot.snapshot("s", "TABLE depot crates")
    depot.forget()
    restore_copy(depot.engine, "depot.crates", at, "depot.crates_then")
    assert rows_of(depot.engine, "crates_then") == ROWS
    with depot.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id FROM crates_then WHERE v = 'b'")
        assert found.scalars().all() == [2]


def test_a_snapshot_of_a_table_that_was_rebuilt_keeps_nothing_since_4(depot: Depot) -> None:
    """It is for the logical id there: the rows of its moment go."""
    say(depot.engine, "ALTER TABLE crates ADD COLUMN w INT")
    depot.server.advance(dt.timedelta(seconds=5))
    at = depot.snapshot("s", "TABLE depot crates")
    depot.forget()
    with depot.engine.connect() as connection:
        asked = select(as_of(crates, at)).execution_options(matrixone_allow_unprotected=True)
        left = connection.execute(asked).all()
    if numbers(depot.server.version) < (4,):
        assert len(left) == len(ROWS)
        assert check_kept(depot.engine, "crates", at)[0].kept is Kept.KEPT
        return
    assert left == []
    with pytest.raises(PastNotKeptError):
        check_kept(depot.engine, "crates", at)
    [table] = coverage(depot.engine, databases=["depot"]).tables
    assert not table.restorable_at(at)


def test_a_dropped_snapshot_keeps_nothing(depot: Depot) -> None:
    at = depot.snapshot("s", "ACCOUNT")
    say(depot.engine, "DROP SNAPSHOT s")
    depot.forget()
    with pytest.raises(PastNotKeptError):
        check_kept(depot.engine, "crates", at)
