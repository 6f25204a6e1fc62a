"""A plan for what is gone: nothing is proposed that cannot be, and what can be done is said."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine

from sqlalchemy_matrixone_pitr import (
    DatabasePitr,
    PitrTargetError,
    TablePitr,
    apply_plan,
    declare_pitrs,
    ensure_pitrs,
    get_pitrs,
    plan_pitrs,
    restore,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.past.tables import say, take_moment


def declared(prefix: str, database: str, *, whole: bool = False) -> MetaData:
    metadata = MetaData()
    for name in ("t", "u"):
        columns = Column("id", Integer, primary_key=True)
        Table(name, metadata, columns, TablePitr("3d", f"{prefix}_{name}"), schema=database)
    if whole:
        declare_pitrs(metadata, DatabasePitr("7d", name=f"{prefix}_d", database_name=database))
    return metadata


@pytest.fixture
def shop(matrixone_engine: Engine, database: str, prefix: str) -> Engine:
    say(
        matrixone_engine,
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE TABLE u (id INT PRIMARY KEY)",
    )
    assert apply_plan(matrixone_engine, plan_pitrs(matrixone_engine, declared(prefix, database))).ok
    return matrixone_engine


@pytest.mark.parametrize("how", ["DROP TABLE t", "ALTER TABLE t RENAME TO elsewhere"])
def test_a_table_is_gone(shop: Engine, database: str, prefix: str, how: str) -> None:
    metadata = declared(prefix, database)
    say(shop, how, "ALTER TABLE u ADD COLUMN v INT")
    plan = plan_pitrs(shop, metadata)
    assert [action.pitr.name for action in plan.actions] == [f"{prefix}_u__g2"]
    [conflict] = plan.conflicts
    assert (conflict.pitr.name, conflict.gone, plan.in_sync) == (f"{prefix}_t", True, False)
    assert conflict.reason.startswith(
        f"table {database}.t is gone, and a policy is not renewed for what is not there. Create it"
    )
    assert f"give its history up with DROP PITR `{prefix}_t`" in conflict.reason
    assert plan.to_dict()["conflicts"][0]["gone"] is True
    report = apply_plan(shop, plan, keep_going=True)
    assert [done.pitr.name for done in report.done] == [f"{prefix}_u__g2"]
    [failure] = report.failed
    assert isinstance(failure.error, PitrTargetError)
    say(shop, "CREATE TABLE t (id INT PRIMARY KEY)")
    again = plan_pitrs(shop, metadata)
    assert [action.pitr.name for action in again.actions] == [f"{prefix}_t__g2"]
    # a renamed table keeps its id, so the server takes the old policy for active: it must make room
    assert apply_plan(shop, again, allow_destructive="RENAME" in how).ok
    assert plan_pitrs(shop, metadata).in_sync


def test_at_the_start_of_a_program_it_is_left(shop: Engine, database: str, prefix: str) -> None:
    """It creates its tables later, and asks again then."""
    say(shop, "DROP TABLE t")
    assert ensure_pitrs(shop, declared(prefix, database)).ok


def test_it_goes_while_a_plan_waits(shop: Engine, database: str, prefix: str) -> None:
    say(shop, "ALTER TABLE t ADD COLUMN v INT", "ALTER TABLE u ADD COLUMN v INT")
    plan = plan_pitrs(shop, declared(prefix, database))
    assert len(plan.actions) == 2
    say(shop, "DROP TABLE t")
    report = apply_plan(shop, plan, keep_going=True)
    assert [done.pitr.name for done in report.done] == [f"{prefix}_u__g2"]
    [failure] = report.failed
    assert isinstance(failure.error, PitrTargetError)
    assert "is gone" in str(failure.error)


@pytest.mark.parametrize("version", ["2.2.2", "3.0.9", "4.2.0"])
def test_a_database_is_gone(version: str) -> None:
    """Also on a server that takes an old policy for active: none is dropped for nothing."""
    with Emulator(version=version) as emulator:
        engine = create_engine(emulator.url())
        say(engine, "CREATE DATABASE shop", "CREATE DATABASE `Other`")
        say(engine, "CREATE TABLE shop.t (id INT PRIMARY KEY)")
        say(engine, "CREATE TABLE shop.u (id INT PRIMARY KEY)", "INSERT INTO shop.u VALUES (1)")
        metadata = declared("p", "shop", whole=True)
        assert apply_plan(engine, plan_pitrs(engine, metadata)).ok
        emulator.advance(dt.timedelta(seconds=1.1))
        at = take_moment(engine)
        names = {pitr.name for pitr in get_pitrs(engine)}
        say(engine, "DROP DATABASE shop")
        plan = plan_pitrs(engine, metadata)
        assert plan.actions == ()
        assert sorted(one.pitr.name for one in plan.conflicts) == ["p_d", "p_t", "p_u"]
        assert not apply_plan(engine, plan, allow_destructive=True, keep_going=True).ok
        assert {pitr.name for pitr in get_pitrs(engine)} == names
        report = restore(engine, "shop", at, renew=False, safety_copy=version != "2.2.2")
        assert sorted(table.name for table in report.tables) == ["shop.t", "shop.u"]
        assert plan_pitrs(engine, metadata).conflicts == ()
        engine.dispose()
