"""Dropped objects are found in the catalogue of the past."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import warnings
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine

from matrixone_emulator import Emulator
from sqlalchemy_matrixone_pitr import (
    DroppedObject,
    Kept,
    Moment,
    PastError,
    Pitr,
    PitrPermissionError,
    PitrValidationError,
    RestorePitr,
    diff_rows,
    dropped_objects,
    dropped_objects_async,
    restore_copy,
    undo_changes,
    undrop,
)
from tests.clock import wait
from tests.conftest import Server
from tests.past.tables import say, take_moment
from tests.policies import protect

pytestmark = pytest.mark.one_version


@pytest.fixture
def start(matrixone_engine: Engine, prefix: str) -> Moment:
    """From when on a policy keeps the engine's database."""
    protect(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    return take_moment(matrixone_engine)


def named(found: list[DroppedObject]) -> list[str | None]:
    return [dropped.table_name for dropped in found]


def test_a_drop(matrixone_engine: Engine, database: str, prefix: str, start: Moment) -> None:
    say(matrixone_engine, "CREATE TABLE orders (id INT PRIMARY KEY)", "CREATE TABLE stay (id INT)")
    before = take_moment(matrixone_engine)
    say(matrixone_engine, "DROP TABLE orders")
    after = take_moment(matrixone_engine)
    (dropped,) = dropped_objects(matrixone_engine, database=database, since=start)
    assert (dropped.kind, dropped.name) == ("table", f"{database}.orders")
    assert before < dropped.last < dropped.gone < after
    assert dropped.gone.nanoseconds - dropped.last.nanoseconds == 1
    assert (dropped.kept, dropped.kept_by, dropped.reason) == (Kept.KEPT, (f"{prefix}_d",), "")
    assert str(dropped) == (
        f"table {database}.orders was dropped at {dropped.gone}; rows kept by {prefix}_d"
    )
    assert json.loads(json.dumps(dropped.to_dict())) == {
        "kind": "table",
        "database": database,
        "table": "orders",
        "id": dropped.object_id,
        "last": str(dropped.last),
        "gone": str(dropped.gone),
        "kept": "kept",
        "kept_by": [f"{prefix}_d"],
        "reason": "",
        "recreated": False,
        "with_database": False,
        "tables": [],
        "indexes": True,
    }


def test_five_drops_of_one_name(matrixone_engine: Engine, database: str, start: Moment) -> None:
    for number in range(5):
        say(matrixone_engine, f"CREATE TABLE t (id INT PRIMARY KEY, c{number} INT)")
        wait(matrixone_engine, 0.15)
        say(matrixone_engine, "DROP TABLE t")
    say(matrixone_engine, "CREATE TABLE t (id INT PRIMARY KEY)")
    found = dropped_objects(matrixone_engine, database=database, since=start)
    assert named(found) == ["t"] * 5
    assert len({dropped.object_id for dropped in found}) == 5
    assert all(dropped.recreated for dropped in found)
    assert "re-created under the name since" in str(found[0])
    assert [dropped.gone for dropped in found] == sorted((d.gone for d in found), reverse=True)
    for number, dropped in enumerate(reversed(found)):
        with matrixone_engine.connect() as connection:
            read = connection.exec_driver_sql(f"SELECT * FROM t {dropped.last.sql}")
            assert list(read.keys()) == ["id", f"c{number}"]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t ADD COLUMN w INT",
        "ALTER TABLE t MODIFY COLUMN v VARCHAR(3)",
        "TRUNCATE TABLE t",
        "DELETE FROM t",
        "RENAME TABLE t TO u",
    ],
)
def test_no_drop(matrixone_engine: Engine, database: str, start: Moment, change: str) -> None:
    say(matrixone_engine, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))")
    take_moment(matrixone_engine)
    say(matrixone_engine, change)
    take_moment(matrixone_engine)
    assert dropped_objects(matrixone_engine, database=database, since=start) == []


def test_a_restore_is_no_drop(
    matrixone_engine: Engine, database: str, prefix: str, start: Moment
) -> None:
    say(matrixone_engine, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE gone (id INT)")
    then = take_moment(matrixone_engine)
    say(matrixone_engine, "INSERT INTO t VALUES (1)", "CREATE TABLE later (id INT)")
    take_moment(matrixone_engine)
    with matrixone_engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # the policy is detached
        connection.execute(RestorePitr(f"{prefix}_d", then, database=database))
    found = dropped_objects(matrixone_engine, database=database, since=start)
    assert named(found) == ["later"]


def test_a_database_and_its_tables(
    server: Server, matrixone_engine: Engine, database: str, prefix: str, start: Moment
) -> None:
    other = f"{prefix}_b"
    say(
        matrixone_engine,
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.a (id INT PRIMARY KEY, v INT UNIQUE)",
        f"CREATE TABLE {other}.b (id INT)",
    )
    protect(matrixone_engine, Pitr.table(f"{prefix}_a", "a", "1d", database_name=other))
    say(matrixone_engine, f"DROP DATABASE {other}")
    take_moment(matrixone_engine)
    found = [
        dropped
        for dropped in dropped_objects(matrixone_engine, since=start)
        if dropped.database_name == other
    ]
    assert named(found) == [None, "a", "b"]
    whole, a, b = found
    assert whole.tables == ("a", "b")
    assert str(whole).startswith(
        f"database {other} was dropped at {whole.gone} with 2 tables; rows"
    )
    assert (whole.kept, a.kept, b.kept) == (Kept.PROBABLE, Kept.KEPT, Kept.PROBABLE)
    assert "no policy is for it" in whole.reason
    assert a.kept_by == (f"{prefix}_a",)
    assert a.with_database
    assert "with its database" in str(a)
    assert whole.gone == a.gone == b.gone
    narrowed = dropped_objects(matrixone_engine, database=other.upper(), since=start)
    assert narrowed == found


def test_how_many_statements(matrixone_engine: Engine, database: str, start: Moment) -> None:
    say(matrixone_engine, "CREATE TABLE t (id INT)", "CREATE TABLE u (id INT)")
    take_moment(matrixone_engine)
    say(matrixone_engine, "DROP TABLE t")
    sent: list[str] = []
    event.listen(matrixone_engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
    assert len(dropped_objects(matrixone_engine, database=database, since=start)) == 1
    assert len([one for one in sent if "mo_database" in one]) < 128 + 50
    sent.clear()
    now = Moment.now(matrixone_engine)
    assert dropped_objects(matrixone_engine, database=database, since=now, samples=2) == []
    assert len(sent) < 10


def test_as_far_as_a_policy_reaches(matrixone_engine: Engine, database: str, start: Moment) -> None:
    say(matrixone_engine, "CREATE TABLE t (id INT)")
    wait(matrixone_engine, 0.3)
    say(matrixone_engine, "DROP TABLE t")
    wait(matrixone_engine, 0.1)
    assert named(dropped_objects(matrixone_engine, database=database)) == ["t"]
    assert dropped_objects(matrixone_engine, database=database, since="1ms ago") == []


def test_arguments(matrixone_engine: Engine, database: str, start: Moment) -> None:
    future = Moment.now(matrixone_engine) + dt.timedelta(hours=1)
    with pytest.raises(PitrValidationError, match="lies in the future"):
        dropped_objects(matrixone_engine, since=future)
    with pytest.raises(PitrValidationError, match="belongs to the system"):
        dropped_objects(matrixone_engine, database="mysql")
    with pytest.raises(PitrValidationError, match="samples"):
        dropped_objects(matrixone_engine, samples=1)
    with pytest.raises(PastError, match="without the execution option"):
        dropped_objects(matrixone_engine.execution_options(matrixone_as_of=start))
    assert dropped_objects(matrixone_engine, database="no_such_database", since=start) == []


def test_the_callers_transaction_is_not_touched(
    matrixone_engine: Engine, database: str, start: Moment
) -> None:
    say(matrixone_engine, "CREATE TABLE t (id INT)")
    take_moment(matrixone_engine)
    say(matrixone_engine, "DROP TABLE t")
    with matrixone_engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (id INT)")
        assert named(dropped_objects(connection, since=start, database=database)) == ["t"]
        connection.rollback()
    with matrixone_engine.connect() as connection:
        dropped_objects(connection, since=start, database=database)
        assert not connection.in_transaction()


def test_a_tenant(tenant_engine: Engine, prefix: str) -> None:
    say(tenant_engine, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT)")
    protect(tenant_engine, Pitr.table(f"{prefix}_t", "t", "1d"))
    start = take_moment(tenant_engine)
    say(tenant_engine, "DROP TABLE t")
    (t,) = dropped_objects(tenant_engine, since=start)
    assert (t.table_name, t.kept, t.kept_by) == ("t", Kept.KEPT, (f"{prefix}_t",))
    assert undrop(tenant_engine, t, into="back").rows == 0
    protect(tenant_engine, Pitr.database(f"{prefix}_d", "1d"))
    say(tenant_engine, "DROP TABLE u")
    take_moment(tenant_engine)
    say(tenant_engine, f"DROP DATABASE {prefix}")
    whole, back, u, _ = dropped_objects(tenant_engine, since=start)
    assert (whole.table_name, whole.tables, whole.kept) == (None, ("back",), Kept.KEPT)
    assert (back.table_name, back.with_database, back.kept_by) == ("back", True, (f"{prefix}_d",))
    assert (u.table_name, u.kept, u.kept_by) == ("u", Kept.KEPT, (f"{prefix}_d",))


def test_who_may_not_read(server: Server, prefix: str, database: str) -> None:
    from tests.server.conftest import connected

    client = connected(server, prefix)
    client.ok(f"CREATE ROLE {prefix}_r", f"CREATE USER {prefix}_u IDENTIFIED BY '111'")
    client.ok(f"GRANT CONNECT ON ACCOUNT * TO {prefix}_r", f"GRANT {prefix}_r TO {prefix}_u")
    engine = create_engine(server.url(user=f"sys:{prefix}_u:{prefix}_r", password="111"))
    try:
        with pytest.raises(PitrPermissionError):
            dropped_objects(engine)
        with pytest.raises(PitrPermissionError):
            restore_copy(engine, database, take_moment(engine), f"{database}_copy")
        asked = f"{database}.crates", take_moment(engine)
        with pytest.raises(PitrPermissionError):
            diff_rows(engine, *asked, allow_unprotected=True)
        with pytest.raises(PitrPermissionError), engine.connect() as connection:
            undo_changes(connection, *asked, allow_unprotected=True)
    finally:
        engine.dispose()
        client.ok(f"DROP USER {prefix}_u", f"DROP ROLE {prefix}_r")
        client.close()


@pytest.mark.emulator_only
def test_what_is_gone() -> None:
    with Emulator(version="4.2.0") as emulator:
        engine = create_engine(emulator.url())
        say(engine, "CREATE DATABASE shop", "CREATE TABLE shop.old (id INT)")
        start = take_moment(engine)
        say(engine, "DROP TABLE shop.old")
        emulator.advance(dt.timedelta(hours=2))
        (old,) = dropped_objects(engine, since=start)
        assert old.kept is Kept.NOT_KEPT
        assert "rows not kept: no policy is for it" in str(old)
        engine.dispose()


def test_async(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    database: str,
    start: Moment,
) -> None:
    say(matrixone_engine, "CREATE TABLE t (id INT)")
    take_moment(matrixone_engine)
    say(matrixone_engine, "DROP TABLE t")

    async def read() -> list[str | None]:
        made = make_async_engine()
        found = named(await dropped_objects_async(made, database=database, since=start))
        await made.dispose()
        return found

    assert asyncio.run(read()) == ["t"]
