"""The rule of transaction.py under asyncio, with aiomysql and asyncmy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event, func, select, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    AsyncPitrManager,
    AsyncTransactionPitrManager,
    CreatePitr,
    Pitr,
    PitrAfterCommitError,
    PitrManager,
    PitrNotFoundError,
    PitrValidationError,
    RestorePitr,
    TransactionPitrManager,
    get_pitrs,
    get_pitrs_async,
    get_recovery_windows_async,
    pending_pitrs,
)
from tests.proxy import Proxy

pytestmark = pytest.mark.all_combinations

Names = Callable[[], list[str]]
MakeEngine = Callable[..., AsyncEngine]


def table(name: str = "orders") -> Table:
    return Table(name, MetaData(), Column("id", Integer, primary_key=True))


def test_connection(make_async_engine: MakeEngine, prefix: str, pitr_names: Names) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with engine.begin() as conn:
            await conn.run_sync(table().metadata.create_all)
            result = await conn.execute(CreatePitr(Pitr.table(f"{prefix}_a", "orders", "7d")))
            assert result.rowcount == 0
            assert len(pending_pitrs(conn)) == 1
            assert pitr_names() == []
        assert pitr_names() == [f"{prefix}_a"]
        async with engine.connect() as conn:
            await conn.execute(CreatePitr(Pitr.database(f"{prefix}_b", "7d")))
            await conn.rollback()
            await conn.execute(AlterPitr(f"{prefix}_a", "9d"))
            await conn.commit()
        (found,) = await get_pitrs_async(engine, level="table", database_name=prefix)
        assert str(found.range) == "9d"
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [f"{prefix}_a"]


def test_first_statement_of_a_fresh_connection(
    make_async_engine: MakeEngine, prefix: str, pitr_names: Names, database: str
) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with engine.connect() as conn:
            # awaits nothing of its own: the database is given, the transaction only begins
            await conn.execute(CreatePitr(Pitr.database(prefix, "7d", database_name=database)))
            await conn.commit()
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [prefix]


def test_create_all_with_listener(
    make_async_engine: MakeEngine, prefix: str, pitr_names: Names
) -> None:
    async def main() -> None:
        engine = make_async_engine()
        made = table()
        event.listen(made, "after_create", CreatePitr(Pitr.table(prefix, "orders", "7d")))
        async with engine.begin() as conn:
            await conn.run_sync(made.metadata.create_all)
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [prefix]


def test_session(make_async_engine: MakeEngine, prefix: str, pitr_names: Names) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with engine.begin() as conn:
            await conn.run_sync(table().metadata.create_all)
        async with AsyncSession(engine) as session:
            await session.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
            await session.rollback()
            await session.execute(CreatePitr(Pitr.table(prefix, "orders", "8d")))
            assert pitr_names() == []
            await session.commit()
            assert pitr_names() == [prefix]
            manager = AsyncTransactionPitrManager(session)
            assert (await manager.get(prefix)).range_value == 8
            await manager.create_table_pitr(f"{prefix}_x", "no_such", "t")
            await session.execute(text("INSERT INTO orders VALUES (1)"))
            with pytest.raises(PitrAfterCommitError) as caught:
                await session.commit()
            assert [e.name for e in caught.value.failed] == [f"{prefix}_x"]
            assert await session.scalar(select(func.count()).select_from(table())) == 1
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [prefix]


def test_managers(make_async_engine: MakeEngine, database: str, prefix: str) -> None:
    async def main() -> None:
        engine = make_async_engine()
        manager = AsyncPitrManager(engine)
        made = await manager.create_database_pitr(prefix.upper(), database, 3, "d")
        assert made == Pitr.database(prefix, "3d", database_name=database)
        assert await manager.get(prefix.upper()) == made
        assert await manager.exists(prefix)
        assert (await manager.alter(prefix, 4, "MO")).range_value == 4
        assert [p.name for p in await manager.list(database_name=database)] == [prefix]
        assert await get_recovery_windows_async(engine, database_name=database) == []
        async with engine.connect() as conn:
            inside = AsyncTransactionPitrManager(conn)
            assert await inside.delete(prefix)
            assert not await inside.exists(prefix)
            assert await manager.exists(prefix)
            await conn.commit()
        assert not await manager.delete(prefix)
        with pytest.raises(PitrNotFoundError):
            await manager.get(prefix)
        scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        assert not await AsyncTransactionPitrManager(scoped).exists(prefix)
        await scoped.remove()
        await engine.dispose()

    asyncio.run(main())


def test_scoped_session_of_the_calling_task(
    make_async_engine: MakeEngine, database: str, prefix: str, pitr_names: Names
) -> None:
    async def main() -> None:
        engine = make_async_engine()
        scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        manager = AsyncTransactionPitrManager(scoped)

        async def work() -> None:
            await manager.create_database_pitr(prefix, database)
            await scoped.commit()
            await scoped.remove()

        await asyncio.create_task(work())
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [prefix]


def test_a_cancelled_execute_queues_nothing(
    make_async_engine: MakeEngine, database: str, prefix: str, pitr_names: Names
) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with engine.connect() as conn:
            await conn.execute(text("SELECT 1"))
            element = CreatePitr(Pitr.database(prefix, "7d", database_name=database))
            task = asyncio.ensure_future(conn.execute(element))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pending_pitrs(conn) == []
            await conn.commit()
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == []


def test_asyncio_timeout_inside_the_flush(
    make_async_engine: MakeEngine, database: str, prefix: str, proxy: Proxy
) -> None:
    async def main() -> None:
        engine = make_async_engine(port=proxy.port)
        async with engine.connect() as conn:
            await conn.execute(CreatePitr(_one("a", prefix, database)))
            answers = threading.Event()
            proxy.on("^CREATE PITR", lambda: answers.wait(10))
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.2):
                    await conn.commit()
            answers.set()
            assert caught.value.__cause__ is not None
            assert "unknown" in caught.value.__cause__.__notes__[0]
            await conn.rollback()
            assert (await conn.execute(text("SELECT 1"))).scalar() == 1
        await engine.dispose()

    asyncio.run(main())


def test_sync_functions_refuse_asyncio_binds(make_async_engine: MakeEngine) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with AsyncSession(engine) as session, engine.connect() as conn:
            wrong: list[Any] = [engine, session, conn]
            for bind in wrong:
                with pytest.raises(PitrValidationError, match="async"):
                    TransactionPitrManager(bind)
                with pytest.raises(PitrValidationError, match="async"):
                    get_pitrs(bind)
                with pytest.raises(PitrValidationError, match="Async"):
                    PitrManager(bind)
        await engine.dispose()

    asyncio.run(main())


def test_wrong_bind(make_async_engine: MakeEngine) -> None:
    async def main() -> None:
        engine = make_async_engine()
        with pytest.raises(PitrValidationError, match="not started"):
            AsyncTransactionPitrManager(engine.connect())
        with pytest.raises(PitrValidationError, match="not an asyncio"):
            AsyncPitrManager(engine.sync_engine)  # type: ignore[arg-type]
        await engine.dispose()

    asyncio.run(main())


def test_cancelled_inside_the_flush(
    make_async_engine: MakeEngine, database: str, prefix: str, proxy: Proxy
) -> None:
    async def main() -> list[str]:
        engine = make_async_engine(port=proxy.port)
        async with engine.connect() as conn:
            loop = asyncio.get_running_loop()
            for letter in "abc":
                element = CreatePitr(_one(letter, prefix, database))
                await conn.execute(element)
            task = asyncio.ensure_future(conn.commit())
            proxy.on(
                f"^CREATE PITR `{prefix}_b`",
                lambda: _cancel(loop, task),
            )
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            await conn.rollback()
        async with engine.connect() as conn:
            assert (await conn.execute(text("SELECT 1"))).scalar() == 1
        await engine.dispose()
        return caught.value.__notes__

    (note,) = asyncio.run(main())
    lines = note.splitlines()
    assert "is committed" in lines[0]
    assert lines[1] == f"  done: {CreatePitr(_one('a', prefix, database))}"
    assert "unknown" in lines[2]
    assert f"{prefix}_b" in lines[2]
    assert lines[3] == f"  not tried: {CreatePitr(_one('c', prefix, database))}"
    sent = proxy.matching("^CREATE PITR")
    assert len(sent) == len(set(sent)) == 2


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Future[None]) -> None:
    """Let the statement go on when the task has ended."""
    ended = threading.Event()
    task.add_done_callback(lambda _: ended.set())
    loop.call_soon_threadsafe(task.cancel)
    assert ended.wait(10)


def _one(letter: str, prefix: str, database: str) -> Pitr:
    if letter == "a":
        return Pitr.database(f"{prefix}_a", "7d", database_name=database)
    return Pitr.table(f"{prefix}_{letter}", letter, "7d", database_name=database)


def test_restore_needs_an_idle_connection(make_async_engine: MakeEngine, prefix: str) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with engine.connect() as conn:
            with pytest.raises(PitrNotFoundError):
                await conn.execute(RestorePitr(prefix, "2026-01-01 00:00:00", database="no_such"))
            assert not conn.in_transaction()
        await engine.dispose()

    asyncio.run(main())
