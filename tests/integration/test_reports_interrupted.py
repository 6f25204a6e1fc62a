"""Interrupted at any moment, each action is in exactly one list, and the exception carries it."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    ApplyReport,
    PitrError,
    PitrLockTimeoutError,
    PitrManager,
    account_lock,
    apply_plan,
    apply_plan_async,
    ensure_pitrs,
    plan_pitrs,
    prune_history,
    renew_pitr,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator
from sqlalchemy_matrixone_pitr.generations import generation_name
from sqlalchemy_matrixone_pitr.report import Progress
from tests.conftest import Server
from tests.integration.test_reports_outcomes import declared, own_class, rebuild, told
from tests.proxy import Proxy

pytestmark = pytest.mark.one_version

Names = Callable[[], list[str]]


class Stopped(BaseException):
    """As Ctrl-C, where the runner of the tests must not hear of it."""


@pytest.fixture
def metadata(server: Server, database: str, prefix: str) -> MetaData:
    for letter in "abc":
        server.query(f"CREATE TABLE {letter} (id INT PRIMARY KEY)", database)
    return declared(prefix)


def report_of(error: BaseException) -> ApplyReport:
    report: ApplyReport = error.report  # type: ignore[attr-defined]
    assert str(report) in "\n".join(getattr(error, "__notes__", [str(error)]))
    return report


RELEASE = "the COMMIT that releases the lock"


def at(engine: Engine, wanted: str, act: Callable[[], object]) -> None:
    """Act once before a statement that begins so is sent, in the thread that sends it."""
    left = [act]
    holders: set[int] = set()

    @event.listens_for(engine, "before_cursor_execute")
    def runs(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT role_id"):
            holders.add(id(conn))
        is_release = statement == "COMMIT" and id(conn) in holders
        if left and (is_release if wanted == RELEASE else statement.startswith(wanted)):
            left.pop()()


def interrupt_at(engine: Engine, wanted: str, kind: type[BaseException] = Stopped) -> None:
    def interrupt() -> None:
        raise kind

    at(engine, wanted, interrupt)


# -- while the lock is released --------------------------------------------------------------------


def test_interrupted_while_the_lock_is_released(
    matrixone_engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)
    interrupt_at(matrixone_engine, RELEASE)
    with pytest.raises(Stopped) as caught:
        apply_plan(matrixone_engine, plan)
    assert told(report_of(caught.value)) == {"done": ["a", "b", "c"]}
    assert len(pitr_names()) == 3
    with account_lock(matrixone_engine, 10):
        pass


def test_cancelled_while_the_lock_is_released(
    make_async_engine: Callable[..., AsyncEngine], matrixone_engine: Engine, metadata: MetaData
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)

    async def main() -> BaseException:
        engine = make_async_engine()
        task = asyncio.ensure_future(apply_plan_async(engine, plan, 2))
        at(engine.sync_engine, RELEASE, task.cancel)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        await engine.dispose()
        return caught.value

    assert told(report_of(asyncio.run(main()))) == {"done": ["a", "b", "c"]}


@pytest.mark.parametrize("kind", [UserWarning, ZeroDivisionError])
def test_a_listener_that_fails_while_the_lock_is_released(
    matrixone_engine: Engine, metadata: MetaData, kind: type[Exception]
) -> None:
    """Done is done: nothing is raised, and the lock is free."""
    plan = plan_pitrs(matrixone_engine, metadata)
    interrupt_at(matrixone_engine, RELEASE, kind)
    assert told(apply_plan(matrixone_engine, plan)) == {"done": ["a", "b", "c"]}
    with account_lock(matrixone_engine, 10):
        pass


# -- before anything is sent -----------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["SELECT role_id", "SHOW PITR", "BEGIN"])
def test_interrupted_before_anything_is_sent(
    matrixone_engine: Engine, metadata: MetaData, pitr_names: Names, wanted: str
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)
    interrupt_at(matrixone_engine, wanted)
    with pytest.raises(Stopped) as caught:
        apply_plan(matrixone_engine, plan)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    assert told(report) == {"not_tried": ["a", "b", "c"]}
    assert pitr_names() == []
    with account_lock(matrixone_engine, 10):
        pass


def test_the_lock_is_not_had(matrixone_engine: Engine, metadata: MetaData) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)
    with account_lock(matrixone_engine), pytest.raises(PitrLockTimeoutError) as caught:
        apply_plan(matrixone_engine, plan, timeout=0.5)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    assert told(report) == {"not_tried": ["a", "b", "c"]}


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_callback_that_raises_at_any_moment(
    matrixone_engine: Engine,
    metadata: MetaData,
    server: Server,
    database: str,
    prefix: str,
    pitr_names: Names,
    number: int,
    concurrency: int,
) -> None:
    """The first call is before anything is sent: somebody has done one of them meanwhile."""
    plan = plan_pitrs(matrixone_engine, metadata)
    server.query(f"CREATE PITR {prefix}_b FOR TABLE {database} b RANGE 7 'd'")

    def progressed(progress: Progress) -> None:
        if progress.number == number:
            raise Stopped

    with pytest.raises(Stopped) as caught:
        apply_plan(matrixone_engine, plan, concurrency, on_progress=progressed)
    found = told(report_of(caught.value))
    assert found["skipped"] == ["b"]
    assert sorted(letter for letters in found.values() for letter in letters) == ["a", "b", "c"]
    assert "unknown" not in found
    there = {name[-1] for name in pitr_names()}
    assert there == {"b", *found.get("done", [])}
    if number == 1:
        assert found["not_tried"] == ["a", "c"]


def test_an_async_callback_that_raises(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    metadata: MetaData,
    pitr_names: Names,
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)

    def progressed(progress: Progress) -> None:
        raise ZeroDivisionError

    async def main() -> BaseException:
        engine = make_async_engine()
        with pytest.raises(ZeroDivisionError) as caught:
            await apply_plan_async(engine, plan, 2, on_progress=progressed)
        await engine.dispose()
        return caught.value

    found = told(report_of(asyncio.run(main())))
    assert sum(map(len, found.values())) == 3
    assert {name[-1] for name in pitr_names()} == set(found["done"])


# -- while it is looked what became of a statement -------------------------------------------------


@pytest.mark.parametrize("wanted", ["KILL", "SELECT pitr_name, create_time"])
def test_interrupted_while_an_outcome_is_read_back(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    pitr_names: Names,
    wanted: str,
) -> None:
    """Unknown, and ended on the server before the lock is given up."""
    plan = plan_pitrs(proxied_engine, metadata)
    proxy.clear()
    proxy.cut("^CREATE PITR .*_b`", "before")
    proxy_engine = proxied_engine

    def armed() -> None:
        interrupt_at(proxy_engine, wanted)

    proxy.on("^CREATE PITR .*_b`", armed)
    with pytest.raises(Stopped) as caught:
        apply_plan(proxied_engine, plan, 1)
    assert told(report_of(caught.value)) == {"done": ["a"], "unknown": ["b"], "not_tried": ["c"]}
    kill = next(n for n, said in enumerate(proxy.statements) if said.startswith("KILL"))
    released = len(proxy.statements) - 1 - proxy.statements[::-1].index("COMMIT")
    assert kill < released


# -- prune, renew, ensure --------------------------------------------------------------------------


@pytest.fixture
def pruned() -> Any:
    """A policy with two generations that hold nothing more."""
    with Emulator("3.0.9") as emulator:
        proxy = Proxy(emulator.host, emulator.port)
        engine = create_engine(emulator.url().replace(f":{emulator.port}", f":{proxy.port}"))
        with engine.begin() as conn:
            conn.execute(text("CREATE DATABASE shop"))
            conn.execute(text("CREATE TABLE shop.orders (id INT PRIMARY KEY)"))
        manager = PitrManager(engine)
        manager.create_table_pitr("week", "shop", "orders", 7)
        for number in (1, 2):
            emulator.advance(dt.timedelta(days=4))
            with engine.begin() as conn:
                conn.execute(text(f"ALTER TABLE shop.orders ADD COLUMN c{number} INT"))
            manager.renew("week")
        emulator.advance(dt.timedelta(days=400))
        proxy.clear()
        yield engine, proxy, manager
        engine.dispose()
        proxy.close()


SECOND, THIRD = generation_name("week", 2), generation_name("week", 3)


@pytest.mark.emulator_only
def test_prune_that_is_cut_midway(pruned: Any) -> None:
    """Its answer lost, it is read back; never arrived, it is raised with what was dropped."""
    engine, proxy, manager = pruned
    proxy.cut(f"^DROP PITR `{SECOND}`", "before")
    with pytest.raises(DBAPIError) as caught:
        prune_history(engine)
    report = report_of(caught.value)
    assert [action.pitr.name for action in report.done] == ["week"]
    assert [failure.action.pitr.name for failure in report.failed] == [SECOND]
    assert "Dropped before: week." in caught.value.__notes__[-1]
    proxy.cut(f"^DROP PITR `{SECOND}`", "after")
    assert [pitr.name for pitr in prune_history(engine)] == [SECOND]
    assert [pitr.name for pitr in manager.list(generations=True)] == [THIRD]


@pytest.mark.emulator_only
@pytest.mark.parametrize("wanted", [f"DROP PITR `{SECOND}`", RELEASE])
def test_prune_that_is_interrupted(pruned: Any, wanted: str) -> None:
    engine, _, manager = pruned
    interrupt_at(engine, wanted)
    with pytest.raises(Stopped) as caught:
        prune_history(engine)
    report = report_of(caught.value)
    names = {pitr.name for pitr in manager.list(generations=True)}
    assert names == {"week", SECOND, THIRD} - {action.pitr.name for action in report.done}
    assert report.done
    assert len(report.done) + len(report.unknown) == 2


@pytest.mark.emulator_only
def test_prune_whose_listener_raises(pruned: Any) -> None:
    engine, _, manager = pruned
    own_class(engine)

    @event.listens_for(engine, "after_cursor_execute")
    def ran(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("DROP PITR"):
            raise UserWarning

    assert [pitr.name for pitr in prune_history(engine)] == ["week", SECOND]
    assert [pitr.name for pitr in manager.list(generations=True)] == [THIRD]


@pytest.mark.filterwarnings("ignore:PITR .* is renewed without its history")
@pytest.mark.parametrize("keep_history", [True, False])
def test_a_renewal_interrupted_while_the_lock_is_released(
    matrixone_engine: Engine, metadata: MetaData, prefix: str, keep_history: bool
) -> None:
    apply_plan(matrixone_engine, plan_pitrs(matrixone_engine, metadata)).raise_for_failed()
    rebuild(matrixone_engine, "a")
    interrupt_at(matrixone_engine, RELEASE)
    with pytest.raises(Stopped) as caught:
        renew_pitr(matrixone_engine, f"{prefix}_a", keep_history)
    report = report_of(caught.value)
    assert report.ok
    assert report.done[-1].kind == "renew"


def test_ensure_that_is_interrupted(
    matrixone_engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    interrupt_at(matrixone_engine, RELEASE)
    with pytest.raises(Stopped) as caught:
        ensure_pitrs(matrixone_engine, metadata)
    assert told(report_of(caught.value)) == {"done": ["a", "b", "c"]}


def test_ensure_whose_warning_is_an_error(
    matrixone_engine: Engine, metadata: MetaData, server: Server, database: str, prefix: str
) -> None:
    """Something was done before it warned of what it left."""
    server.query(f"CREATE PITR {prefix}_a FOR TABLE {database} a RANGE 30 'd'")
    with pytest.raises(SAWarning) as caught:
        ensure_pitrs(matrixone_engine, metadata)
    assert told(report_of(caught.value)) == {"done": ["b", "c"]}


def test_ensure_that_fails_carries_its_report(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData
) -> None:
    proxy.cut("^CREATE PITR .*_b`", "before")
    with pytest.raises(PitrError) as caught:
        ensure_pitrs(proxied_engine, metadata)
    found = told(report_of(caught.value))
    assert found == {"done": ["a", "c"], "failed": ["b"]}


# -- the lock itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_interrupted_while_the_wait_for_the_lock_starts(
    matrixone_engine: Engine, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Ctrl-C in ``Thread.start``, before the thread is there or when it waits already."""
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if late:
            start(thread)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy_matrixone_pitr.locking._Waiting.start", interrupted)
        with pytest.raises(Stopped), account_lock(matrixone_engine):
            pass
    with account_lock(matrixone_engine, 10):
        pass
    assert not [t for t in threading.enumerate() if t.name == "account lock"]


def test_a_wait_whose_connection_is_lost_is_ended_on_the_server(
    proxied_engine: Engine, proxy: Proxy, matrixone_engine: Engine
) -> None:
    """Also where a listener makes the application's own class of it."""
    own_class(proxied_engine)
    proxy.cut("FOR UPDATE", "after")
    with pytest.raises(Exception, match="Lost connection"), account_lock(proxied_engine):
        pass
    assert proxy.matching("^KILL")
    with account_lock(matrixone_engine, 10):
        pass
