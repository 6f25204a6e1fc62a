"""Dropped objects come back, and copies are made beside what is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    DroppedObject,
    Moment,
    PastError,
    PastNotKeptError,
    PastWriteError,
    Pitr,
    PitrRestoreError,
    PitrTransactionError,
    PitrValidationError,
    dropped_objects,
    dropped_objects_async,
    forget_copies,
    restore,
    restore_copy,
    restore_copy_async,
    undrop,
    undrop_async,
)
from tests.conftest import Server
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect
from tests.proxy import Proxy, When

ROWS = [(1, "a"), (2, "b")]
TABLE = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY uv (v))"


@pytest.fixture
def shop(matrixone_engine: Engine, database: str, prefix: str) -> Engine:
    """An engine whose database has table t, and a policy."""
    protect(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    say(matrixone_engine, TABLE, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    return matrixone_engine


@pytest.fixture
def other(server: Server, prefix: str, shop: Engine) -> object:
    """The name of another database, dropped afterwards."""
    yield f"{prefix}_b"
    server.query(f"DROP DATABASE IF EXISTS {prefix}_b")


def dropped_after(engine: Engine, *statements: str) -> list[DroppedObject]:
    start = take_moment(engine)
    say(engine, *statements)
    return dropped_objects(engine, since=start, samples=2)


def test_a_table_back(shop: Engine, database: str) -> None:
    (dropped,) = dropped_after(shop, "DROP TABLE t")
    report = undrop(shop, dropped)
    assert rows_of(shop, "t") == ROWS
    assert (report.source, report.into, report.at) == (f"{database}.t",) * 2 + (dropped.last,)
    assert [(table.name, table.rows, table.cloned) for table in report.tables] == [
        (f"{database}.t", 2, True)
    ]
    assert str(report).startswith(f"{database}.t: 1 table, 2 rows, as {database}.t was at ")
    assert json.loads(json.dumps(report.to_dict()))["rows"] == 2
    with pytest.raises(DBAPIError):
        say(shop, "INSERT INTO t VALUES (3, 'a')")
    with pytest.raises(PitrRestoreError, match=r"\.t is there, and is left as it is"):
        undrop(shop, dropped)
    assert undrop(shop, dropped, into="T2").into == f"{database}.t2"
    assert rows_of(shop, "t2") == ROWS


def test_each_of_five(shop: Engine, database: str) -> None:
    start = take_moment(shop)
    for number in range(2, 5):
        say(shop, "DROP TABLE t", TABLE, f"INSERT INTO t VALUES ({number}, 'x')")
        take_moment(shop)
    found = dropped_objects(shop, since=start, database=database)
    assert [undrop(shop, one, into=f"back{n}").rows for n, one in enumerate(found)] == [1, 1, 2]
    assert rows_of(shop, "back0") == [(3, "x")]
    assert rows_of(shop, "back2") == ROWS
    assert rows_of(shop, "t") == [(4, "x")]


def test_a_database_back(shop: Engine, database: str, other: str) -> None:
    say(
        shop,
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.p (id INT PRIMARY KEY)",
        f"INSERT INTO {other}.p VALUES (1)",
        f"CREATE TABLE {other}.c (id INT PRIMARY KEY AUTO_INCREMENT, p_id INT, "
        f"CONSTRAINT f FOREIGN KEY (p_id) REFERENCES {other}.p (id))",
        f"INSERT INTO {other}.c (p_id) VALUES (1), (1)",
    )
    whole, c, p = dropped_after(shop, f"DROP DATABASE {other}")
    with pytest.raises(PastNotKeptError, match="nothing surely keeps the rows of database"):
        undrop(shop, whole)
    with pytest.raises(PitrRestoreError, match=f"there is no database {other}"):
        undrop(shop, p, allow_unprotected=True)
    assert undrop(shop, p, into=f"{database}.p", allow_unprotected=True).rows == 1
    report = undrop(shop, whole, allow_unprotected=True)
    assert (report.rows, [table.name for table in report.tables]) == (
        3,
        [f"{other}.c", f"{other}.p"],
    )
    assert any(lack.startswith("AUTO_INCREMENT of c.id goes on") for lack in report.lacks)
    with pytest.raises(DBAPIError):
        say(shop, f"INSERT INTO {other}.c (p_id) VALUES (5)")
    assert c.recreated is False
    with pytest.raises(PitrRestoreError, match=f"database {other} is there"):
        undrop(shop, whole, allow_unprotected=True)


def test_under_a_tables_policy_by_its_rows(
    matrixone_engine: Engine, database: str, prefix: str
) -> None:
    """A CLONE would have broken indexes."""
    engine = matrixone_engine
    say(engine, TABLE, "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "CREATE TABLE x (id INT)")
    for table in ("t", "x"):
        protect(engine, Pitr.table(f"{prefix}_{table}", table, "1d"))
    found = dropped_after(engine, "DROP TABLE t", "DROP TABLE x")
    x, t = found
    assert (x.table_name, x.indexes, t.indexes) == ("x", False, False)
    report = undrop(engine, t)
    assert [table.cloned for table in report.tables] == [False]
    assert rows_of(engine, "t") == ROWS
    with pytest.raises(DBAPIError):
        say(engine, "INSERT INTO t VALUES (3, 'a')")
    assert undrop(engine, x).tables[0].cloned
    with engine.connect() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW CREATE TABLE t {at}").one()[1]
            for at in ("", t.last.sql)
        ]
    assert shown[0] == shown[1]


def test_a_database_by_its_rows(matrixone_engine: Engine, server: Server, prefix: str) -> None:
    engine = matrixone_engine
    say(
        engine,
        "CREATE TABLE a_child (id INT PRIMARY KEY, p INT)",
        "CREATE TABLE parent (id INT PRIMARY KEY, v INT UNIQUE)",
        "ALTER TABLE a_child ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES parent (id)",
        "INSERT INTO parent VALUES (1, 1)",
        "INSERT INTO a_child VALUES (1, 1)",
        "CREATE VIEW w AS SELECT id FROM parent",
    )
    now = take_moment(engine)
    try:
        report = restore_copy(engine, prefix, now, f"{prefix}_c", allow_unprotected=True)
        assert [(one.name, one.rows, one.cloned) for one in report.tables] == [
            (f"{prefix}_c.a_child", 1, False),
            (f"{prefix}_c.parent", 1, False),
        ]
        assert "it has not the views w" in report.lacks
        with engine.connect() as connection:  # nothing of it is left in the pool
            assert connection.exec_driver_sql("SELECT DATABASE()").scalar() == prefix
        say(engine, "DELETE FROM a_child WHERE id = 1", "DELETE FROM parent WHERE id = 1")
        with pytest.raises(DBAPIError):  # its foreign key is inside
            say(engine, f"DELETE FROM {prefix}_c.parent WHERE id = 1")
    finally:
        server.query(f"DROP DATABASE IF EXISTS {prefix}_c")


def test_a_copy(shop: Engine, database: str, other: str) -> None:
    then = take_moment(shop)
    say(shop, "DELETE FROM t WHERE id = 1", "CREATE VIEW w AS SELECT * FROM t")
    table = Table("t", MetaData(), Column("id", Integer))
    assert restore_copy(shop, table, then, "t_then").rows == 2
    assert restore_copy(shop, f"{database}.t", then, f"{database}.t3").into == f"{database}.t3"
    assert rows_of(shop, "t_then") == ROWS
    assert rows_of(shop, "t") == [(2, "b")]
    report = restore_copy(shop, database, then, other)
    assert [one.name for one in report.tables] == [f"{other}.t"]
    assert any("no policy is for it" in lack for lack in report.lacks)
    with pytest.raises(PitrRestoreError, match="is there, and is left"):
        restore_copy(shop, database, then, other)


def test_a_partitioned_table(shop: Engine, database: str, other: str) -> None:
    """4.2.0 reads no rows of it in the transaction that makes the copy."""
    parts = "(id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 2"
    say(shop, f"CREATE TABLE `p%_1` {parts}", "INSERT INTO `p%_1` VALUES (1, 7), (2, 8), (3, 9)")
    then = take_moment(shop)
    say(shop, "DELETE FROM `p%_1` WHERE id = 1")
    copied = restore_copy(shop, f"{database}.p%_1", then, "p_then")
    assert (copied.rows, rows_of(shop, "p_then")) == (3, [(1, 7), (2, 8), (3, 9)])
    assert restore_copy(shop, database, then, other).rows == 5
    report = restore(shop, f"{database}.p%_1", then)
    assert ([one.rows for one in report.copies], len(rows_of(shop, "`p%_1`"))) == ([2], 3)
    undone = report.undo()
    forget_copies(shop, ids=[one.id for one in (report, undone) if one.id is not None])
    (dropped,) = dropped_after(shop, "DROP TABLE `p%_1`")
    assert undrop(shop, dropped, into="p_back").rows == 2
    assert rows_of(shop, "p_back") == [(2, 8), (3, 9)]


def test_a_foreign_key_of_a_copy(shop: Engine, database: str) -> None:
    say(
        shop,
        "CREATE TABLE child (id INT PRIMARY KEY AUTO_INCREMENT, t_id INT, "
        "CONSTRAINT f FOREIGN KEY (t_id) REFERENCES t (id))",
    )
    report = restore_copy(shop, f"{database}.child", take_moment(shop), "child2")
    assert any(f"refer to {database}.t, of which RESTORE" in lack for lack in report.lacks)
    assert any("AUTO_INCREMENT of child.id" in lack for lack in report.lacks)


def test_what_was_not_there(shop: Engine, database: str, other: str) -> None:
    """4.2.0 answers with an empty database."""
    now = take_moment(shop)
    early = Moment.parse("2001-01-01 00:00Z")
    for source, at in ((other, now), (database, early), (f"{database}.no", now)):
        with pytest.raises(PastError, match="there was no "):
            restore_copy(shop, source, at, other, allow_unprotected=True)
    with shop.connect() as connection:
        shown = connection.exec_driver_sql("SHOW DATABASES").scalars().all()
    assert other not in shown


def test_what_is_refused(shop: Engine, database: str, other: str) -> None:
    now = take_moment(shop)
    (dropped,) = dropped_after(shop, "DROP TABLE t")
    with shop.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(PitrTransactionError, match="would neither see it nor undo it"):
            undrop(connection, dropped)
        with pytest.raises(PitrTransactionError):
            restore_copy(connection, f"{database}.t", now, "u")
    with Session(shop) as session:
        session.connection()
        with pytest.raises(PitrTransactionError):
            undrop(session, dropped)
    with pytest.raises(PastWriteError):
        undrop(shop.execution_options(matrixone_as_of=now), dropped)
    for into in ("mysql.t", "", ".t", "t.", 5):
        with pytest.raises(PitrValidationError):
            undrop(shop, dropped, into=into)  # type: ignore[arg-type]
    with pytest.raises(PitrValidationError, match="is no database's name"):
        restore_copy(shop, database, now, "a.b")
    with pytest.raises(PitrValidationError, match="undrop takes a DroppedObject"):
        undrop(shop, "t")  # type: ignore[arg-type]
    with pytest.raises(PitrValidationError, match="lies in the future"):
        restore_copy(shop, database, Moment.parse("2200-01-01 00:00Z"), other)
    assert undrop(shop.execution_options(isolation_level="AUTOCOMMIT"), dropped).rows == 2


def test_a_failure_leaves_nothing(
    shop: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy_matrixone_pitr.past import copies

    (dropped,) = dropped_after(shop, "DROP TABLE t")
    counts = iter([2, 1])
    monkeypatch.setattr(copies._Copy, "_count", lambda *_: next(counts))
    with pytest.raises(
        PitrRestoreError, match=r"had 2 rows at .* has 1: it was not made"
    ) as raised:
        undrop(shop, dropped)
    assert any("nothing is left of it" in note for note in raised.value.__notes__)
    monkeypatch.setattr(copies._Copy, "_count", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        undrop(shop, dropped)
    monkeypatch.undo()
    fresh = create_engine(shop.url, isolation_level="AUTOCOMMIT")
    monkeypatch.setattr(copies._Copy, "_count", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        undrop(fresh, dropped)
    fresh.dispose()
    monkeypatch.undo()
    with shop.connect() as connection:
        assert connection.exec_driver_sql("SHOW TABLES").all() == []
    assert undrop(shop, dropped).rows == 2


def test_a_database_with_a_broken_view(shop: Engine, database: str, other: str) -> None:
    """A CLONE of it fails; so its tables are copied by their rows."""
    say(
        shop,
        "CREATE TABLE gone (id INT)",
        "CREATE VIEW broken AS SELECT id FROM gone",
        "DROP TABLE gone",
    )
    report = restore_copy(shop, database, take_moment(shop), other)
    assert [(table.name, table.rows, table.cloned) for table in report.tables] == [
        (f"{other}.t", 2, False)
    ]
    assert "it has not the views broken" in report.lacks
    assert rows_of(shop, f"{other}.t") == ROWS


def test_somebody_else_makes_it_meanwhile(
    shop: Engine, database: str, proxy: Proxy, other: str
) -> None:
    """A table of theirs is no copy of ours, although it has as many rows."""
    at = take_moment(shop)
    proxied = create_engine(shop.url.set(port=proxy.port))
    theirs = ("CREATE TABLE u (id INT)", "INSERT INTO u VALUES (7), (8)")
    proxy.on("^BEGIN", lambda: say(shop, *theirs))
    with pytest.raises(PitrRestoreError, match=r"\.u is there, and is left as it is"):
        restore_copy(proxied, f"{database}.t", at, "u")
    proxy.on("^BEGIN", lambda: say(shop, f"CREATE DATABASE {other}"))
    with pytest.raises(PitrRestoreError, match=f"database {other} is there"):
        restore_copy(proxied, database, at, other)
    proxied.dispose()
    assert rows_of(shop, "u") == [(7,), (8,)]


@pytest.mark.one_version
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statement", ["^CREATE TABLE", "^COMMIT"])
def test_a_connection_that_is_lost(
    shop: Engine, database: str, proxy: Proxy, statement: str, when: When
) -> None:
    at = take_moment(shop)
    proxied = create_engine(shop.url.set(port=proxy.port))
    proxy.on("^BEGIN", lambda: proxy.cut(statement, when))
    with pytest.raises(PitrRestoreError) as caught:
        restore_copy(proxied, f"{database}.t", at, "u")
    proxied.dispose()
    said = str(caught.value)
    with shop.connect() as connection:
        tables = connection.exec_driver_sql("SHOW TABLES").scalars().all()
    if statement == "^COMMIT":
        assert "may not be copied: " in said
        assert f"whether {database}.u was made is unknown: look for it" in said
        assert ("u" in tables) is (when == "after")
    else:
        assert f"{database}.u was not made, and nothing is left of it" in said
        assert tables == ["t"]
    assert len(proxy.matching("^CREATE TABLE")) == 1


def test_a_parent_that_is_gone(shop: Engine, database: str) -> None:
    say(
        shop,
        "CREATE TABLE child (id INT PRIMARY KEY, t_id INT, "
        "CONSTRAINT f FOREIGN KEY (t_id) REFERENCES t (id))",
    )
    t, child = dropped_after(shop, "DROP TABLE child", "DROP TABLE t")
    with pytest.raises(PitrRestoreError, match=f"refer to {database}.t, which is not there"):
        undrop(shop, child)
    undrop(shop, t)
    assert undrop(shop, child).rows == 0


def test_names(shop: Engine, database: str) -> None:
    say(shop, "CREATE TABLE `we%ird-näme` (`a%b` INT PRIMARY KEY, `order` INT UNIQUE)")
    say(shop, "INSERT INTO `we%ird-näme` VALUES (1, 2)")
    (dropped,) = dropped_after(shop, "DROP TABLE `we%ird-näme`")
    assert undrop(shop, dropped).rows == 1
    say(shop, "DROP TABLE `we%ird-näme`")
    assert undrop(shop, dropped, into="x").rows == 1


def test_async(
    make_async_engine: Callable[..., AsyncEngine], shop: Engine, database: str, prefix: str
) -> None:
    start = take_moment(shop)
    say(shop, "DROP TABLE t")

    async def run() -> tuple[int, int]:
        made = make_async_engine()
        (dropped,) = await dropped_objects_async(made, database=database, since=start)
        back = await undrop_async(made, dropped)
        copy = await restore_copy_async(made, f"{database}.t", start, "u")
        await made.dispose()
        return back.rows, copy.rows

    assert asyncio.run(run()) == (2, 2)
