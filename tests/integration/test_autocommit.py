"""AUTOCOMMIT in all of SQLAlchemy's ways: real, and PITR statements take effect at once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    DropPitr,
    Pitr,
    PitrAlreadyExistsError,
    PitrManager,
    PitrNotFoundError,
    PitrTargetError,
    TransactionPitrManager,
    get_pitrs,
    get_recovery_windows,
    pending_pitrs,
)
from tests.combinations import SYNC_SCHEMES
from tests.conftest import Server

pytestmark = pytest.mark.all_combinations

Names = Callable[[], list[str]]
Ways = Callable[[str], tuple[Engine, Connection]]


@pytest.fixture(params=["create_engine", "engine.execution_options", "connection"])
def way(request: pytest.FixtureRequest, server: Server, database: str) -> Ways:
    """A fresh engine, and a connection made AUTOCOMMIT in one of the three ways."""

    def connect(scheme: str) -> tuple[Engine, Connection]:
        url = server.url(scheme, database)
        if request.param == "create_engine":
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            return engine, engine.connect()
        engine = create_engine(url)
        if request.param == "connection":
            return engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return engine, engine.execution_options(isolation_level="AUTOCOMMIT").connect()

    return connect


@pytest.mark.parametrize("scheme", SYNC_SCHEMES)
def test_at_once(way: Ways, scheme: str, prefix: str, pitr_names: Names) -> None:
    engine, conn = way(scheme)
    with conn:
        conn.execute(CreatePitr(Pitr.database(f"{prefix}_a", "7d")))
        assert pending_pitrs(conn) == []
        assert pitr_names() == [f"{prefix}_a"]
        conn.execute(CreatePitr(Pitr.account(f"{prefix}_b", "7d")))
        with pytest.raises(PitrAlreadyExistsError) as caught:
            conn.execute(CreatePitr(Pitr.database(f"{prefix}_a", "7d")))
        assert caught.value.statement
        assert caught.value.__cause__ is not None
        conn.execute(DropPitr(f"{prefix}_a"))
        conn.rollback()
    assert pitr_names() == [f"{prefix}_b"]
    with engine.connect() as again:
        again.execute(DropPitr(f"{prefix}_b"))
        again.commit()
    engine.dispose()


def test_rows_are_really_stored(way: Ways, server: Server, database: str) -> None:
    engine, conn = way("matrixone+pymysql")
    with conn:
        assert conn.exec_driver_sql("SELECT @@autocommit").scalar() in (1, "1", "ON", True)
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(text("INSERT INTO t VALUES (1)"))
        assert server.query("SELECT count(*) FROM t", database) == [(1,)]
    engine.dispose()


def test_rows_written_around_pitr_statements_are_stored_on_other_dialects(
    way: Ways, server: Server, database: str, prefix: str
) -> None:
    engine, conn = way("mysql+pymysql")
    with conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(text("INSERT INTO t VALUES (1)"))
        conn.execute(CreatePitr(Pitr.table(prefix, "t", "7d")))
        conn.execute(text("INSERT INTO t VALUES (2)"))
        assert server.query("SELECT count(*) FROM t", database) == [(2,)]
    engine.dispose()


def test_engine_wide_checkout_after_the_first_pitr_statement(
    server: Server, database: str, prefix: str
) -> None:
    url = server.url("mysql+pymysql", database)
    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=1)
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(CreatePitr(Pitr.table(prefix, "t", "7d")))
    engine.dispose()  # the next checkout is a new connection
    with engine.connect() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
    assert server.query("SELECT count(*) FROM t", database) == [(1,)]
    engine.dispose()


def test_ordinary_connection_after_an_autocommit_one_rolls_back(
    server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    for scheme in SYNC_SCHEMES:
        engine = create_engine(server.url(scheme, database), pool_size=1)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)"))
            conn.execute(CreatePitr(Pitr.table(f"{prefix}_x", "t", "7d")))
            conn.execute(DropPitr(f"{prefix}_x"))
        with engine.connect() as conn:
            conn.execute(text("INSERT INTO t VALUES (1)"))
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
            conn.rollback()
        assert server.query("SELECT count(*) FROM t", database) == [(0,)]
        assert pitr_names() == []
        engine.dispose()


@pytest.mark.skipif(
    "skip_autocommit_rollback" not in inspect.signature(DefaultDialect).parameters,
    reason="new in SQLAlchemy 2.0.43",
)
def test_skip_autocommit_rollback(server: Server, database: str) -> None:
    engine = create_engine(
        server.url("matrixone+pymysql", database), pool_size=1, skip_autocommit_rollback=True
    )
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.commit()
        conn.exec_driver_sql("SET NAMES utf8mb4")  # from here on the status bit lies
        conn.execute(text("INSERT INTO t VALUES (1)"))
        conn.rollback()
    with engine.begin() as conn:
        conn.execute(text("SELECT 1"))
    assert server.query("SELECT count(*) FROM t", database) == [(0,)]
    engine.dispose()


@pytest.mark.parametrize("scheme", SYNC_SCHEMES)
def test_managers_and_reads_on_an_autocommit_engine(
    server: Server, database: str, prefix: str, scheme: str
) -> None:
    engine = create_engine(server.url(scheme, database), isolation_level="AUTOCOMMIT")
    manager = PitrManager(engine)
    manager.create_database_pitr(prefix, database)
    with engine.connect() as conn:
        inside = TransactionPitrManager(conn)
        assert inside.alter(prefix, 9, "d").range_value == 9
        (found,) = get_pitrs(conn, database_name=database)
        assert found.range_value == 9
        with pytest.raises(PitrTargetError):
            inside.create(Pitr.table(f"{prefix}_b", "missing", "7d"))
        assert inside.delete(prefix)
        assert not inside.exists(prefix)
        with pytest.raises(PitrNotFoundError):
            inside.restore(prefix, "2026-01-01 00:00:00", database=database)
    engine.dispose()


def test_the_level_is_read_as_sqlalchemy_reads_it(
    server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    engine = create_engine(server.url(database=database), isolation_level="autocommit")
    with engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        assert pitr_names() == [prefix]
    engine.dispose()


def test_reads_leave_a_begin_sent_as_text_alone(server: Server, database: str) -> None:
    engine = create_engine(server.url(database=database), isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        for end, stored in (("ROLLBACK", 0), ("COMMIT", 1)):
            conn.execute(text("BEGIN"))
            conn.execute(text("INSERT INTO t VALUES (1)"))
            get_pitrs(conn)
            get_recovery_windows(conn, database_name=database)
            conn.execute(text(end))
            assert server.query("SELECT count(*) FROM t", database) == [(stored,)]
    engine.dispose()


def test_a_manager_makes_autocommit_real_too(server: Server, database: str, prefix: str) -> None:
    url = server.url("mysql+pymysql", database)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    PitrManager(engine).create_database_pitr(prefix, database)
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(text("INSERT INTO t VALUES (1)"))
        assert server.query("SELECT count(*) FROM t", database) == [(1,)]
    engine.dispose()


def test_text_in_a_transaction_keeps_its_class_and_says_what_to_do(
    engine: Engine, prefix: str
) -> None:
    from sqlalchemy.exc import OperationalError

    with engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    with engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        with pytest.raises(OperationalError, match="What to do") as caught:
            conn.execute(text("SHOW PITR"))
        assert "get_pitrs()" in str(caught.value)
        assert type(caught.value) is OperationalError


def test_async(make_async_engine: Callable[..., AsyncEngine], prefix: str, server: Server) -> None:
    async def main() -> None:
        engine = make_async_engine(isolation_level="AUTOCOMMIT")
        async with engine.connect() as conn:
            await conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
            await conn.execute(CreatePitr(Pitr.table(prefix, "t", "7d")))
            await conn.execute(text("INSERT INTO t VALUES (1)"))
            assert server.query("SELECT count(*) FROM t", prefix) == [(1,)]
            with pytest.raises(PitrAlreadyExistsError):
                await conn.execute(CreatePitr(Pitr.table(prefix, "t", "7d")))
        await engine.dispose()
        engine = make_async_engine()
        async with engine.connect() as conn:
            conn = await conn.execution_options(isolation_level="AUTOCOMMIT")
            await conn.execute(DropPitr(prefix))
            await conn.execute(text("INSERT INTO t VALUES (2)"))
            assert server.query("SELECT count(*) FROM t", prefix) == [(2,)]
        await engine.dispose()

    asyncio.run(main())
