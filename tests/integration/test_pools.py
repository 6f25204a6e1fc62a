"""Pools of every kind: a call never uses, waits for or disturbs the caller's own connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, event, func, select, table, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AssertionPool, NullPool, QueuePool, StaticPool

from sqlalchemy_matrixone_pitr import (
    ApplyReport,
    AsyncTransactionPitrManager,
    CreatePitr,
    DropPitr,
    Pitr,
    PitrManager,
    PitrTransactionError,
    RestorePitr,
    TransactionPitrManager,
    apply_plan,
    declare_pitrs,
    get_pitrs,
    get_recovery_windows,
    plan_pitrs,
)
from sqlalchemy_matrixone_pitr.connections import close_side_connections, keep_side_connections
from tests.conftest import Server
from tests.proxy import Proxy

Names = Callable[[], list[str]]

POOLS: dict[str, dict[str, Any]] = {
    "queue": {"poolclass": QueuePool},
    "one": {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 2},
    "null": {"poolclass": NullPool},
    "static": {"poolclass": StaticPool},
    "assertion": {"poolclass": AssertionPool},
    "option": {"pool_size": 1, "max_overflow": 0, "pool_timeout": 2},
}


@pytest.fixture(params=sorted(POOLS))
def pooled(request: pytest.FixtureRequest, server: Server, database: str) -> Engine:
    engine = create_engine(server.url(database=database), **POOLS[request.param])
    return engine.execution_options(logging_token="a") if request.param == "option" else engine


def test_calls_from_inside_a_transaction(
    pooled: Engine, prefix: str, database: str, pitr_names: Names
) -> None:
    with pooled.connect() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.commit()
        conn.execute(text("INSERT INTO t VALUES (1)"))
        manager = PitrManager(pooled)
        manager.create_table_pitr(f"{prefix}_a", database, "t")
        assert manager.exists(f"{prefix}_a")
        assert [p.name for p in get_pitrs(conn, database_name=database)] == [f"{prefix}_a"]
        get_recovery_windows(conn, database_name=database)
        inside = TransactionPitrManager(conn)
        inside.create(Pitr.database(f"{prefix}_b", "7d"))
        assert [p.name for p in inside.list(database_name=database)] == [
            f"{prefix}_b",
            f"{prefix}_a",
        ]
        # nothing of it committed or rolled back the caller
        conn.rollback()
        assert conn.scalar(select(func.count()).select_from(table("t"))) == 0
    assert pitr_names() == [f"{prefix}_a"]
    pooled.dispose()


def test_commit_in_every_pool(pooled: Engine, prefix: str, pitr_names: Names) -> None:
    for number in range(3):
        with pooled.begin() as conn:
            conn.execute(CreatePitr(Pitr.database(prefix, f"{number + 1}d")))
        assert pitr_names() == [prefix]
        with pooled.begin() as conn:
            conn.execute(DropPitr(prefix))
        assert pitr_names() == []
    pooled.dispose()


def test_pre_ping_and_recycle(server: Server, database: str, prefix: str, proxy: Proxy) -> None:
    engine = create_engine(
        server.url(database=database, port=proxy.port), pool_pre_ping=True, pool_recycle=1
    )
    with engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    proxy.kill()
    with engine.begin() as conn:
        conn.execute(DropPitr(prefix))
    time.sleep(1.1)  # the pool counts seconds by this machine's clock
    with engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    manager = PitrManager(engine)
    proxy.kill()
    assert manager.exists(prefix)
    assert len(proxy.matching("^CREATE PITR")) == 2
    engine.dispose()


@pytest.mark.one_version
def test_a_plan_whose_connections_are_dead_twice(
    proxied_engine: Engine, proxy: Proxy, prefix: str, pitr_names: Names
) -> None:
    """A connection that the pool has kept may be dead, and is replaced; a new one may not."""
    metadata = MetaData()
    declare_pitrs(metadata, Pitr.account(prefix, "7d"))
    plan = plan_pitrs(proxied_engine, metadata)
    asks = r"^SELECT connection_id\(\), @@autocommit"
    proxy.cut(asks, "after")
    proxy.on(asks, lambda: proxy.cut(asks, "before"))
    with pytest.raises(OperationalError) as caught:
        apply_plan(proxied_engine, plan, 1)
    assert caught.value.connection_invalidated
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    assert [action.pitr.name for action in report.not_tried] == [prefix]
    assert pitr_names() == []
    proxy.cut(asks, "after")
    assert apply_plan(proxied_engine, plan, 1).ok
    assert len(proxy.matching("^CREATE PITR")) == 1


@pytest.mark.one_version
@pytest.mark.parametrize("statement", ["^SELECT @@autocommit", "^SET AUTOCOMMIT = 1"])
def test_a_kept_connection_that_is_lost_as_it_is_made(
    proxied_engine: Engine, proxy: Proxy, prefix: str, statement: str
) -> None:
    """It is given back, and the next one is another."""
    pool = proxied_engine.pool
    assert isinstance(pool, QueuePool)
    with proxied_engine.connect() as conn:
        keep_side_connections(conn)
        proxy.cut(statement, "before")
        with pytest.raises(OperationalError):
            get_pitrs(conn)
        assert pool.checkedout() == 1
        assert [p.name for p in get_pitrs(conn) if p.name.startswith(prefix)] == []
        assert pool.checkedout() == 2
        close_side_connections(conn)
    assert pool.checkedout() == 0


def test_invalidated_connection_loses_its_queue(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        conn.invalidate()
        conn.rollback()
        conn.execute(text("SELECT 1"))
        conn.commit()
    with engine.begin() as conn:
        conn.execute(text("SELECT 1"))
    assert pitr_names() == []


def test_idle_for_sqlalchemy_is_not_idle_for_the_server(
    server: Server, database: str, prefix: str
) -> None:
    engine = create_engine(server.url(database=database))

    @event.listens_for(engine, "connect")
    def ask(dbapi_connection: Any, record: object) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute("SELECT 1")  # opens a transaction on the server
        cursor.close()

    PitrManager(engine).create_database_pitr(prefix, database)
    with engine.connect() as conn:
        conn.get_isolation_level()
        assert [p.name for p in get_pitrs(conn, database_name=database)] == [prefix]
        with conn.begin():  # a read leaves no autobegun transaction behind
            conn.execute(DropPitr(prefix))
    assert get_pitrs(engine, database_name=database) == []
    engine.dispose()


def test_restore_inside_a_transaction_is_refused_before_it_is_sent(
    proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    restore = RestorePitr(prefix, "2026-01-01 00:00:00", database=database)
    with proxied_engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        with pytest.raises(PitrTransactionError, match="commit or roll back first"):
            conn.execute(restore)
        with pytest.raises(PitrTransactionError):
            TransactionPitrManager(conn).restore(prefix, "2026-01-01 00:00:00", database=database)
    assert proxy.matching("RESTORE") == []


def test_a_manager_keeps_to_the_engines_pool(
    server: Server, database: str, prefix: str, proxy: Proxy
) -> None:
    engine = create_engine(server.url(database=database, port=proxy.port))
    manager = PitrManager(engine)
    for _ in range(5):
        manager.create_database_pitr(prefix, database)
        assert manager.exists(prefix)
        assert manager.delete(prefix)
    assert len(proxy.by_connection) == 1
    engine.dispose()


def test_what_managers_send(
    proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    manager = PitrManager(proxied_engine)
    made = manager.create_database_pitr(prefix, database, 7, "d")
    assert made.created_time is None
    assert [s for s in proxy.statements if s not in ("ROLLBACK", "COMMIT")] == [
        f"CREATE PITR `{prefix}` FOR DATABASE `{database}` RANGE 7 'd'"
    ]
    manager.exists(prefix)  # once for each connection: SELECT current_account_name()
    proxy.clear()
    assert manager.delete(prefix)
    assert not manager.delete(prefix)
    read = "SELECT pitr_name"  # which generation is meant
    assert (
        [s if s == "ROLLBACK" else s[: len(read)] for s in proxy.statements]
        == [
            read,
            "ROLLBACK",  # the reading's transaction
            f"DROP PITR `{prefix}`"[: len(read)],
            "ROLLBACK",  # the pool's
            read,
            "ROLLBACK",
        ]
    )
    proxy.clear()
    manager.create_database_pitr(prefix, database, 7, "d")
    assert len(proxy.statements) == 2
    proxy.clear()
    assert manager.alter(prefix, 9, "d").modified_time is None
    assert len(proxy.statements) == 4
    proxy.clear()
    assert manager.get(prefix).modified_time is not None
    assert [pitr.name for pitr in manager.list(database_name=database)] == [prefix]
    assert len(proxy.statements) == 4


def test_the_engines_listeners_hear_of_side_connections(pooled: Engine, prefix: str) -> None:
    heard: list[str] = []

    @event.listens_for(pooled, "before_cursor_execute")
    def hear(conn: object, cursor: object, statement: str, *_: object) -> None:
        heard.append(statement)

    with pooled.connect() as conn:
        conn.execute(text("SELECT 1"))
        PitrManager(pooled).exists(prefix)
        get_pitrs(conn)
    assert len([s for s in heard if s.startswith("SELECT pitr_name")]) == 2
    pooled.dispose()


def test_async_pool_of_one(
    make_async_engine: Callable[..., AsyncEngine], prefix: str, pitr_names: Names
) -> None:
    async def main() -> None:
        engine = make_async_engine(pool_size=1, max_overflow=0, pool_timeout=2)
        async with engine.connect() as conn:
            await conn.execute(text("SELECT 1"))
            manager = AsyncTransactionPitrManager(conn)
            assert not await manager.exists(prefix)
            await manager.create(Pitr.database(prefix, "7d"))
            assert await manager.exists(prefix)
            await conn.commit()
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [prefix]
