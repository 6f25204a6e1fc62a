"""The asyncio forms of find_changes(), diff_rows() and undo_changes()."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from sqlalchemy_matrixone_pitr import (
    DiffSummary,
    Moment,
    diff_rows_async,
    diff_summary_async,
    find_change_async,
    find_changes_async,
    moment_now_async,
    undo_changes_async,
    undo_sql_async,
)
from tests.clock import wait

MakeEngine = Callable[..., AsyncEngine]
COUNT = select(func.count()).select_from(table("t"))


def run(make: MakeEngine, work: Callable[[AsyncEngine, Moment], Awaitable[None]]) -> None:
    """Work on a table of two thousand rows, which was empty at the moment."""

    async def main() -> None:
        engine = make(execution_options={"matrixone_allow_unprotected": True})
        try:
            async with engine.begin() as connection:
                await connection.execute(text("CREATE TABLE t (id INT PRIMARY KEY, n INT)"))
            wait(engine.sync_engine, 0.02)
            then = await moment_now_async(engine)
            wait(engine.sync_engine, 0.02)
            async with engine.begin() as connection:
                values = ", ".join(f"({number}, 1)" for number in range(2000))
                await connection.execute(text(f"INSERT INTO t VALUES {values}"))
            await work(engine, then)
        finally:
            await engine.dispose()
            gc.collect()

    asyncio.run(main())


def test_changes(make_async_engine: MakeEngine) -> None:
    async def work(engine: AsyncEngine, then: Moment) -> None:
        changes = await find_changes_async(engine, COUNT, since=then)
        assert [(change.value_before, change.value_after) for change in changes] == [(0, 2000)]
        latest = await find_change_async(engine, COUNT, since=then, until=changes[0].after)
        assert latest is not None
        assert latest.value_after == 2000

    run(make_async_engine, work)


def test_rows(make_async_engine: MakeEngine) -> None:
    async def work(engine: AsyncEngine, then: Moment) -> None:
        changes = await diff_rows_async(engine, "t", then)
        assert changes.key == ("id",)
        assert [change.key[0] async for change in changes] == list(range(2000))
        async with engine.connect() as connection:
            found = [change async for change in await diff_rows_async(connection, "t", then)]
            assert len(found) == 2000
        assert await diff_summary_async(engine, "t", then) == DiffSummary(inserted=2000)

    run(make_async_engine, work)


def test_a_reader_may_stop_early(make_async_engine: MakeEngine) -> None:
    async def work(engine: AsyncEngine, then: Moment) -> None:
        async with await diff_rows_async(engine, "t", then) as changes:
            async for change in changes:
                assert change.key == (0,)
                break
        assert await diff_summary_async(engine, "t", then) == DiffSummary(inserted=2000)

    run(make_async_engine, work)


def test_undo(make_async_engine: MakeEngine) -> None:
    async def work(engine: AsyncEngine, then: Moment) -> None:
        assert "DELETE c" in await undo_sql_async(engine, "t", then)
        async with AsyncSession(engine) as session:
            report = await undo_changes_async(session, "t", then)
            assert report.deleted == 2000
            await session.rollback()
        until = await moment_now_async(engine)
        assert "CREATE TABLE" in await undo_sql_async(engine, "t", then, until=until)
        async with engine.connect() as connection:
            report = await undo_changes_async(connection, "t", then, until=until)
            assert (report.deleted, report.until) == (2000, until)
            await connection.rollback()
        async with engine.begin() as connection:
            assert (await undo_changes_async(connection, "t", then)).complete
        assert not await diff_summary_async(engine, "t", then)

    run(make_async_engine, work)
