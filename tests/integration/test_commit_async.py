"""The commit under asyncio: cancelled, gathered, and AsyncConnection.stream()."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.util import await_only

from sqlalchemy_matrixone_pitr import (
    AsyncTransactionPitrManager,
    CreatePitr,
    DropPitr,
    Pitr,
    PitrAfterCommitError,
    PitrTransactionError,
    pending_pitrs,
)
from tests.combinations import ASYNC_SCHEMES
from tests.conftest import Server
from tests.proxy import Proxy

Names = Callable[[], list[str]]
MakeEngine = Callable[..., AsyncEngine]


@pytest.fixture(params=ASYNC_SCHEMES)
def make_engine(
    request: pytest.FixtureRequest, server: Server, database: str
) -> Callable[..., AsyncEngine]:
    from sqlalchemy.ext.asyncio import create_async_engine

    server.query("CREATE TABLE t (id INT PRIMARY KEY)", database)
    return lambda port=None: create_async_engine(server.url(request.param, database, port=port))


def a_pitr(prefix: str) -> Pitr:
    return Pitr.database(prefix, "1d", database_name=prefix)


# ---------------------------------------------------------------------------------------- cancelled


def cancel_at_sqlalchemys_own_commit(proxy: Proxy, cancel_task: Callable[[], object]) -> None:
    """The second COMMIT: the first is ours, after which the statements are parked."""
    loop = asyncio.get_running_loop()
    cancelled = threading.Event()

    def cancel_first() -> None:
        cancel_task()
        loop.call_soon(cancelled.set)  # after what the task does then

    def cancel() -> None:
        loop.call_soon_threadsafe(cancel_first)
        assert cancelled.wait(10)

    proxy.on("^COMMIT", lambda: proxy.on("^COMMIT", cancel))


async def commit_a_session(
    engine: AsyncEngine, pitr: Pitr, end: str, commit: Callable[[AsyncSession], Awaitable[None]]
) -> None:
    if end == "async with":
        async with AsyncSession(engine) as session:
            await session.execute(text("INSERT INTO t VALUES (1)"))
            await AsyncTransactionPitrManager(session).create(pitr)
            await commit(session)
        return
    session = AsyncSession(engine)
    try:
        await session.execute(text("INSERT INTO t VALUES (1)"))
        await AsyncTransactionPitrManager(session).create(pitr)
        await commit(session)
    finally:
        await (session.rollback() if end == "rollback" else session.close())


@pytest.mark.parametrize("end", ["async with", "rollback", "close"])
def test_a_cancelled_commit_stays_cancelled(
    make_engine: MakeEngine, prefix: str, proxy: Proxy, pitr_names: Names, end: str
) -> None:
    async def main() -> list[str]:
        engine = make_engine(port=proxy.port)

        async def commit(session: AsyncSession) -> None:
            cancel_at_sqlalchemys_own_commit(proxy, lambda: task.cancel())
            await session.commit()

        task = asyncio.ensure_future(commit_a_session(engine, a_pitr(prefix), end, commit))
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert task.cancelled()
        await engine.dispose()
        return caught.value.__notes__

    (note,) = asyncio.run(main())
    assert note.splitlines() == [
        "The transaction is committed; its PITR statements are not all done.",
        f"  not tried: {CreatePitr(a_pitr(prefix))}",
    ]
    assert pitr_names() == []


@pytest.mark.parametrize("way", ["wait_for", "timeout"])
def test_a_timeout_stays_a_timeout(
    make_engine: MakeEngine, prefix: str, proxy: Proxy, way: str
) -> None:
    async def main() -> None:
        engine = make_engine(port=proxy.port)
        given_up = threading.Event()

        async def commit(session: AsyncSession) -> None:
            proxy.on("^COMMIT", lambda: proxy.on("^COMMIT", lambda: given_up.wait(10)))
            if way == "wait_for":
                await asyncio.wait_for(session.commit(), 0.5)
            else:
                async with asyncio.timeout(0.5):
                    await session.commit()

        with pytest.raises(TimeoutError):
            await commit_a_session(engine, a_pitr(prefix), "async with", commit)
        given_up.set()
        await engine.dispose()

    asyncio.run(main())


def test_the_session_is_usable_after_a_cancelled_commit(
    make_engine: MakeEngine, prefix: str, proxy: Proxy, pitr_names: Names
) -> None:
    async def main() -> None:
        engine = make_engine(port=proxy.port)
        async with AsyncSession(engine) as session:
            await AsyncTransactionPitrManager(session).create(a_pitr(f"{prefix}"))
            task = asyncio.ensure_future(session.commit())
            cancel_at_sqlalchemys_own_commit(proxy, lambda: task.cancel())
            with pytest.raises(asyncio.CancelledError):
                await task
            await session.rollback()
            await AsyncTransactionPitrManager(session).create(
                Pitr.table(prefix, "missing", "1d", database_name=prefix)
            )
            with pytest.raises(PitrAfterCommitError) as caught:
                await session.commit()
            assert len(caught.value.failed) == 1
            assert not caught.value.not_tried
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == []


def test_a_cancelled_commit_of_two_binds(
    make_engine: MakeEngine, server: Server, database: str, prefix: str, proxy: Proxy
) -> None:
    """One bind is committed, the other is rolled back, and its statement with it."""
    server.query("CREATE TABLE u (id INT PRIMARY KEY)", database)

    class Base(DeclarativeBase):
        pass

    class First(Base):
        __tablename__ = "t"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Second(Base):
        __tablename__ = "u"
        id: Mapped[int] = mapped_column(primary_key=True)

    async def main() -> list[str]:
        first, second = make_engine(port=proxy.port), make_engine(port=proxy.port)
        session = AsyncSession(binds={First: first, Second: second})
        session.add(First(id=1))
        await session.flush()
        for model in (First, Second):
            manager = AsyncTransactionPitrManager(session, {"mapper": model})
            table = model.__tablename__
            await manager.create(Pitr.table(f"{prefix}_{table}", table, "1d", database_name=prefix))
        task = asyncio.ensure_future(session.commit())
        cancel_at_sqlalchemys_own_commit(proxy, lambda: task.cancel())
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        await session.close()
        await first.dispose()
        await second.dispose()
        return getattr(caught.value, "__notes__", [])

    (note,) = asyncio.run(main())
    said, not_tried = note.splitlines()
    assert said == "The transaction is committed; its PITR statements are not all done."
    committed = "t" if f"`{prefix}_t`" in not_tried else "u"  # whichever SQLAlchemy commits first
    assert not_tried == (
        f"  not tried: CREATE PITR `{prefix}_{committed}` FOR TABLE `{prefix}` `{committed}` "
        "RANGE 1 'd'"
    )
    assert server.query("SELECT * FROM t", database) == [(1,)] * (committed == "t")
    assert server.query(f"SHOW PITR WHERE database_name = '{database}'") == []


# ----------------------------------------------------------------------------------------- gathered


@pytest.mark.parametrize(
    ("commit_first", "used_before", "begun"),
    [
        (False, False, False),
        (False, True, True),
        (True, False, True),
        (True, True, True),
        (True, True, False),
    ],
)
def test_gather_of_execute_and_commit(
    make_engine: MakeEngine,
    prefix: str,
    pitr_names: Names,
    commit_first: bool,
    used_before: bool,
    begun: bool,
) -> None:
    """Queued in time or refused; never accepted and not sent."""

    async def main() -> bool:
        engine = make_engine()
        async with engine.connect() as conn:
            if used_before:
                await conn.execute(DropPitr(prefix, if_exists=True))
                await conn.commit()
            if begun:
                await conn.execute(text("INSERT INTO t VALUES (1)"))
            two = [conn.execute(CreatePitr(a_pitr(prefix))), conn.commit()]
            if commit_first:
                two.reverse()
            results = await asyncio.gather(*two, return_exceptions=True)
            accepted = not isinstance(results[commit_first], Exception)
            if not accepted:
                assert isinstance(results[commit_first], PitrTransactionError)
            assert results[not commit_first] is None
            if commit_first and not begun:
                await conn.commit()  # there was nothing to commit when it ran
            assert pending_pitrs(conn) == []
        await engine.dispose()
        return accepted

    accepted = asyncio.run(main())
    assert pitr_names() == ([prefix] if accepted else [])


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_statement_of_another_transaction_than_it_began_in(
    make_engine: MakeEngine, prefix: str, pitr_names: Names, end: str
) -> None:
    """Another task ends the transaction, and begins the next one, while execute() waits."""

    async def main() -> None:
        engine = make_engine()
        async with engine.connect() as conn:
            await conn.execute(DropPitr(prefix, if_exists=True))

            async def end_and_begin() -> None:
                await (conn.commit() if end == "commit" else conn.rollback())
                await conn.execute(text("INSERT INTO t VALUES (1)"))

            execute = conn.execute(CreatePitr(a_pitr(prefix)))
            told, _ = await asyncio.gather(execute, end_and_begin(), return_exceptions=True)
            if end == "commit":  # what was queued before the rollback came to its end went with it
                assert isinstance(told, PitrTransactionError)
            assert pending_pitrs(conn) == []
            await conn.commit()
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == []


@pytest.mark.parametrize("used_before", [False, True])
def test_another_task_while_a_commit_listener_waits(
    make_engine: MakeEngine, prefix: str, pitr_names: Names, used_before: bool
) -> None:
    async def main() -> None:
        engine = make_engine()
        entered, goes_on = asyncio.Event(), asyncio.Event()
        async with engine.connect() as conn:
            if used_before:
                await conn.execute(DropPitr(prefix, if_exists=True))
                await conn.commit()

            @event.listens_for(engine.sync_engine, "commit")
            def slow(connection: Connection) -> None:
                entered.set()
                await_only(goes_on.wait())

            await conn.execute(text("SELECT 1"))
            commit = asyncio.ensure_future(conn.commit())
            await entered.wait()
            with pytest.raises(PitrTransactionError, match="being committed"):
                await conn.execute(CreatePitr(a_pitr(prefix)))
            goes_on.set()
            await commit
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == []


# ------------------------------------------------------------------------------------------ streams


def test_stream(make_engine: MakeEngine, prefix: str, pitr_names: Names) -> None:
    """As of other DDL: a result without rows."""

    async def stream(conn: AsyncConnection | AsyncSession, element: CreatePitr | DropPitr) -> None:
        result = await conn.stream(element)
        with pytest.raises(Exception, match="does not return rows"):
            await result.all()
        await result.close()

    async def main() -> None:
        engine = make_engine()
        async with engine.connect() as conn:
            await stream(conn, CreatePitr(a_pitr(prefix)))
            assert len(pending_pitrs(conn)) == 1
            assert pitr_names() == []
            await conn.commit()
            assert pitr_names() == [prefix]
            async with conn.stream(DropPitr(prefix)):
                pass
            await conn.rollback()
        assert pitr_names() == [prefix]
        async with AsyncSession(engine) as session:
            await stream(session, DropPitr(prefix))
            await session.commit()
        assert pitr_names() == []
        async with engine.connect() as conn:
            conn = await conn.execution_options(isolation_level="AUTOCOMMIT")
            await stream(conn, CreatePitr(a_pitr(prefix)))
            assert pitr_names() == [prefix]
        async with engine.connect() as conn:
            conn = await conn.execution_options(stream_results=True)
            await conn.execute(DropPitr(prefix))
            await conn.commit()
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == []
