"""Applying a plan while the connection is cut at each of its statements."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Dialect, Engine, Integer, MetaData, Table, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool, QueuePool

from sqlalchemy_matrixone_pitr import (
    ApplyReport,
    PitrManager,
    Plan,
    TablePitr,
    apply_plan,
    apply_plan_async,
    plan_pitrs,
)
from sqlalchemy_matrixone_pitr.plan.actions import Create
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy, When

Names = Callable[[], list[str]]
NUMBER = 20


@pytest.fixture
def metadata(prefix: str, server: Server, database: str) -> MetaData:
    """Twenty tables, each with a policy; nine of the policies are there already and differ."""
    made = MetaData()
    connection = server.connect(database)
    cursor = connection.cursor()
    for number in range(NUMBER):
        name = f"t{number:02}"
        Table(name, made, Column("id", Integer), TablePitr("7d", f"{prefix}_{number:02}"))
        cursor.execute(f"CREATE TABLE {name} (id INT)")
        if number % 2 and number < 18:
            cursor.execute(
                f"CREATE PITR {prefix}_{number:02} FOR TABLE {database} {name} RANGE 2 'd'"
            )
    connection.close()
    return made


def told(report: ApplyReport) -> dict[str, int]:
    counts = {
        "done": len(report.done),
        "skipped": len(report.skipped),
        "failed": len(report.failed),
        "unknown": len(report.unknown),
        "not_tried": len(report.not_tried),
    }
    assert sum(counts.values()) == NUMBER
    return {what: count for what, count in counts.items() if count}


def assert_ends_well(engine: Engine, metadata: MetaData, pitr_names: Names, prefix: str) -> None:
    """Running it again does the rest, and nothing twice."""
    report = apply_plan(engine, plan_pitrs(engine, metadata))
    assert report.ok
    assert plan_pitrs(engine, metadata).in_sync
    assert pitr_names() == [f"{prefix}_{number:02}" for number in range(NUMBER)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("position", [0, 1, 8, 9, 17, 18, 19])
def test_cut_at_an_action(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
    when: When,
    position: int,
) -> None:
    """Statements that the server got are done, as reading back tells; the rest was not tried."""
    plan = plan_pitrs(proxied_engine, metadata)
    assert len(plan.actions) == NUMBER
    action = plan.actions[position]
    proxy.clear()
    proxy.cut(f"^(CREATE|ALTER) PITR `{action.pitr.name}`", when)
    report = apply_plan(proxied_engine, plan, 1)
    if when == "after":
        assert told(report) == {"done": NUMBER}
    else:
        expected = {"done": position, "failed": 1, "not_tried": NUMBER - position - 1}
        assert told(report) == {what: count for what, count in expected.items() if count}
        assert [failure.action for failure in report.failed] == [action]
        assert isinstance(report.failed[0].error, DBAPIError)
    sent = proxy.matching("^(CREATE|ALTER) PITR")
    assert len(sent) == len(set(sent))
    assert_ends_well(proxied_engine, metadata, pitr_names, prefix)


OTHERS = [
    "^BEGIN",
    "connection_id",
    "FOR UPDATE",
    "^SHOW PITR",
    "mo_tables",
    "mo_pitr",
    "SET AUTOCOMMIT = 1",
    "SET @pitr_time_zone",
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("pattern", OTHERS)
def test_cut_at_what_comes_before_the_first_action(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
    pattern: str,
    when: When,
) -> None:
    """Raised as it is, nothing was sent; or the work began, and its report is right."""
    plan = plan_pitrs(proxied_engine, metadata)
    before = pitr_names()
    proxy.clear()
    proxy.cut(pattern, when)
    try:
        report = apply_plan(proxied_engine, plan, 1)
    except DBAPIError:
        assert pitr_names() == before
        assert proxy.matching("^(CREATE|ALTER) PITR") == []
    else:
        assert told(report) == {"done": NUMBER}
    assert_ends_well(proxied_engine, metadata, pitr_names, prefix)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("pattern", ["SET AUTOCOMMIT = 0", "^ROLLBACK", "^COMMIT"])
def test_cut_at_what_comes_after_the_last_action(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData, pattern: str, when: When
) -> None:
    """Done is done: nothing is raised, and the pool has all its connections."""
    plan = plan_pitrs(proxied_engine, metadata)
    last = plan.actions[-1].pitr.name
    proxy.on(f"PITR `{last}`", lambda: proxy.cut(pattern, when))
    assert told(apply_plan(proxied_engine, plan, 1)) == {"done": NUMBER}
    assert isinstance(proxied_engine.pool, QueuePool)
    assert proxied_engine.pool.checkedout() == 0
    assert plan_pitrs(proxied_engine, metadata).in_sync


@pytest.fixture
def truncated(prefix: str, server: Server, database: str, engine: Engine) -> MetaData:
    """A table whose policy the server takes for active although it is not: DROP, then CREATE."""
    if server.version >= (4,):
        pytest.skip("TRUNCATE detaches on 4.x")
    made = MetaData()
    Table("orders", made, Column("id", Integer, primary_key=True), TablePitr("7d", f"{prefix}_o"))
    made.create_all(engine)
    apply_plan(engine, plan_pitrs(engine, made)).raise_for_failed()
    server.query("TRUNCATE TABLE orders", database)
    return made


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["DROP", "CREATE"])
def test_cut_between_the_drop_and_the_create_of_a_renewal(
    proxied_engine: Engine,
    proxy: Proxy,
    truncated: MetaData,
    prefix: str,
    pitr_names: Names,
    kind: str,
    when: When,
) -> None:
    """The rest is sent once more, since the table has no protection meanwhile."""
    plan = plan_pitrs(proxied_engine, truncated)
    assert [len(action.elements) for action in plan.destructive] == [2]
    proxy.cut(f"^{kind} PITR", when)
    report = apply_plan(proxied_engine, plan, allow_destructive=True)
    if (kind, when) == ("DROP", "before"):
        assert (len(report.failed), pitr_names()) == (1, [f"{prefix}_o"])
        assert "has been dropped" not in str(report)
    else:
        assert (len(report.done), report.ok) == (1, True)
        assert plan_pitrs(proxied_engine, truncated).in_sync


def test_a_renewal_that_ends_after_its_drop_says_so(
    server: Server, database: str, truncated: MetaData, prefix: str, pitr_names: Names
) -> None:
    proxy = Proxy(server.host, server.port)
    engine = create_engine(server.url(database=database, port=proxy.port))
    plan = plan_pitrs(engine, truncated)

    def drop() -> None:
        server.query("DROP TABLE orders", database)

    proxy.on("^CREATE PITR", drop)
    report = apply_plan(engine, plan, allow_destructive=True)
    assert (len(report.failed), pitr_names()) == (1, [])
    assert f"{prefix}_o has been dropped: table {database}.orders is unprotected" in str(report)
    engine.dispose()
    proxy.close()


def test_a_renewal_that_finds_no_connection_for_what_is_left(
    server: Server, database: str, truncated: MetaData, prefix: str, pitr_names: Names
) -> None:
    """The answer of its DROP is lost, and two connections are all that is to be had."""
    proxy = Proxy(server.host, server.port)
    engine = create_engine(server.url(database=database, port=proxy.port), poolclass=NullPool)
    plan = plan_pitrs(engine, truncated)

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, record: object, arguments: Any, options: Any) -> Any:
        if proxy.matching("^DROP PITR") and proxy.matching("^SELECT pitr_name, create_time"):
            raise dialect.loaded_dbapi.OperationalError(1040, "Too many connections")
        return dialect.connect(*arguments, **options)

    proxy.clear()
    proxy.cut("^DROP PITR", "after")
    report = apply_plan(engine, plan, allow_destructive=True)
    assert (len(report.failed), pitr_names()) == (1, [])
    assert f"{prefix}_o has been dropped: table {database}.orders is unprotected" in str(report)
    engine.dispose()
    proxy.close()


def test_an_answer_that_comes_too_late(
    server: Server, database: str, metadata: MetaData, prefix: str, pitr_names: Names
) -> None:
    """4.2 lets CREATE PITR wait for another session's ALTER TABLE. What the driver gave up is ended
    on the server too: that it failed stays true."""
    if server.version < (4,):
        pytest.skip("CREATE PITR waits for nobody before 4.x")
    url = server.url(database=database)
    engine = create_engine(url, connect_args={"read_timeout": 1})
    plan = plan_pitrs(engine, metadata).only(lambda action: action.pitr.table_name == "t10")
    other = server.connect(database)
    other.begin()
    other.cursor().execute("ALTER TABLE t10 ADD COLUMN x INT")
    report = apply_plan(engine, plan)
    assert [failure.action for failure in report.failed] == list(plan.actions)
    other.commit()
    other.close()
    time.sleep(1)  # it would have waited for no one else, and nobody tells that it has not
    assert f"{prefix}_10" not in pitr_names()
    engine.dispose()


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_among_four_connections(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
    when: When,
) -> None:
    plan = plan_pitrs(proxied_engine, metadata)
    proxy.cut(f"^CREATE PITR `{prefix}_10`", when)
    report = apply_plan(proxied_engine, plan, 4, keep_going=True)
    expected = {"done": NUMBER} if when == "after" else {"done": NUMBER - 1, "failed": 1}
    assert told(report) == expected
    assert_ends_well(proxied_engine, metadata, pitr_names, prefix)


def test_the_server_is_gone_for_good(
    server: Server, database: str, metadata: MetaData, prefix: str, pitr_names: Names
) -> None:
    """Reading back fails too: unknown, and said to be."""
    proxy = Proxy(server.host, server.port)
    engine = create_engine(server.url(database=database, port=proxy.port))
    plan = plan_pitrs(engine, metadata)
    proxy.on(f"^ALTER PITR `{prefix}_05`", proxy.close)
    report = apply_plan(engine, plan, 1)
    assert len(report.unknown) == 1
    assert report.unknown[0].pitr.name == f"{prefix}_05"
    assert "unknown, run the plan again" in str(report)
    assert not report.ok
    engine.dispose()
    direct = create_engine(server.url(database=database))
    assert_ends_well(direct, metadata, pitr_names, prefix)
    direct.dispose()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_interrupted(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
    concurrency: int,
    interrupt: Interrupt,
) -> None:
    """Ctrl-C: what is on its way is waited for, and the report comes with the exception."""
    plan = plan_pitrs(proxied_engine, metadata)

    # one of the first, so that others have not done all the rest before this thread is told
    proxy.on(f"^ALTER PITR `{prefix}_01`", lambda: interrupt(0.1))
    with pytest.raises(KeyboardInterrupt) as caught:
        apply_plan(proxied_engine, plan, concurrency)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    assert told(report)["not_tried"] > 0
    if concurrency == 1:
        assert [action.pitr.name for action in report.unknown] == [f"{prefix}_01"]
    ranges = {p.name: str(p.range) for p in PitrManager(proxied_engine).list()}
    for action in report.done:
        assert ranges[action.pitr.name] == "7d"
    assert_ends_well(proxied_engine, metadata, pitr_names, prefix)


def test_interrupted_when_a_result_is_on_its_way_into_the_report(
    engine: Engine, metadata: MetaData, pitr_names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_pitrs(engine, metadata).only(lambda action: isinstance(action, Create))

    def interrupted(run: object, number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sqlalchemy_matrixone_pitr.apply.Run._record", interrupted)
    before = set(pitr_names())
    with pytest.raises(KeyboardInterrupt) as caught:
        apply_plan(engine, plan, 4)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    made = set(pitr_names()) - before
    assert {action.pitr.name for action in report.done} == made
    assert len(report.done) + len(report.not_tried) == len(plan.actions)


def test_interrupted_while_its_threads_start(
    engine: Engine, metadata: MetaData, pitr_names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have started are waited for: the account lock is held as long as they send."""
    plan = plan_pitrs(engine, metadata).only(lambda action: isinstance(action, Create))
    start = threading.Thread.start

    def start_and_be_interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "apply 1":
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start_and_be_interrupted)
    before = set(pitr_names())
    with pytest.raises(KeyboardInterrupt) as caught:
        apply_plan(engine, plan, 4)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    made = set(pitr_names()) - before
    assert {action.pitr.name for action in report.done} == made
    assert [t.name for t in threading.enumerate() if t.name.startswith("apply ")] == []
    assert set(pitr_names()) - before == made


def test_fewer_connections_than_asked_for(
    server: Server, database: str, metadata: MetaData, prefix: str, pitr_names: Names
) -> None:
    """Two are had, one of them for the lock: one sends, and does it all."""
    engine = create_engine(server.url(database=database), poolclass=NullPool)
    alive: set[int] = set()

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, record: object, arguments: Any, options: Any) -> Any:
        if len(alive) >= 2:
            raise dialect.loaded_dbapi.OperationalError(1040, "Too many connections")
        made = dialect.connect(*arguments, **options)
        alive.add(id(made))
        return made

    @event.listens_for(engine, "close")
    def closed(connection: object, record: object) -> None:
        alive.discard(id(connection))

    plan = plan_pitrs(engine, metadata)
    assert told(apply_plan(engine, plan, 4)) == {"done": NUMBER}
    assert_ends_well(engine, metadata, pitr_names, prefix)


def test_interrupted_twice(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
    interrupt: Interrupt,
) -> None:
    """The second Ctrl-C ends what is on its way: unknown, or known in time not to be done."""
    plan = plan_pitrs(proxied_engine, metadata)

    goes_on = threading.Event()

    def twice() -> None:
        for pause in (0.5, 1.5):
            interrupt(pause)
        goes_on.set()

    proxy.on(f"^CREATE PITR `{prefix}_10`", twice)
    with pytest.raises(KeyboardInterrupt) as caught:
        apply_plan(proxied_engine, plan, 4)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    told(report)
    ended = [*report.unknown, *(failure.action for failure in report.failed)]
    assert [action.pitr.name for action in ended] == [f"{prefix}_10"], str(report)
    assert goes_on.wait(10)
    time.sleep(0.5)  # if the statement still reached the server, it would be done by now
    assert f"{prefix}_10" not in pitr_names()
    assert_ends_well(proxied_engine, metadata, pitr_names, prefix)


def test_cut_on_an_async_engine(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)

    async def main() -> ApplyReport:
        engine = make_async_engine(proxy.port)
        proxy.cut(f"^CREATE PITR `{prefix}_10`", "after")
        try:
            return await apply_plan_async(engine, plan, 4)
        finally:
            await engine.dispose()

    assert told(asyncio.run(main())) == {"done": NUMBER}
    assert_ends_well(matrixone_engine, metadata, pitr_names, prefix)


def test_a_cancelled_task(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
) -> None:
    """What was on its way comes to its end, as with threads; the lock is free again, and another
    run does the rest."""
    plan = plan_pitrs(matrixone_engine, metadata)

    async def main() -> ApplyReport:
        engine = make_async_engine(proxy.port)
        task = asyncio.ensure_future(apply_plan_async(engine, plan, 2))
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        proxy.on(f"^CREATE PITR `{prefix}_10`", cancel)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        await engine.dispose()
        report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
        return report

    report = asyncio.run(main())
    assert f"{prefix}_10" in {action.pitr.name for action in report.done}
    assert not report.unknown
    there = pitr_names()
    assert not [action for action in report.not_tried if action.pitr.name in there[10:]]
    assert_ends_well(matrixone_engine, metadata, pitr_names, prefix)


@pytest.mark.one_version
def test_a_task_that_is_cancelled_twice(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
) -> None:
    """The second time ends what is on its way: unknown, or known in time not to be done."""
    plan = plan_pitrs(matrixone_engine, metadata)
    goes_on = threading.Event()

    async def main() -> ApplyReport:
        engine = make_async_engine(proxy.port)
        task = asyncio.ensure_future(apply_plan_async(engine, plan, 2))
        loop = asyncio.get_running_loop()

        def twice() -> None:
            for pause in (0.3, 0.7):
                loop.call_soon_threadsafe(task.cancel)
                time.sleep(pause)
            goes_on.set()

        proxy.on(f"^CREATE PITR `{prefix}_10`", twice)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        await engine.dispose()
        report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
        return report

    report = asyncio.run(main())
    told(report)
    ended = [*report.unknown, *(failure.action for failure in report.failed)]
    assert [action.pitr.name for action in ended] == [f"{prefix}_10"], str(report)
    assert goes_on.wait(10)
    time.sleep(0.3)  # if the statement still reached the server, it would be done by now
    assert f"{prefix}_10" not in pitr_names()
    assert proxy.matching("^KILL")
    assert_ends_well(matrixone_engine, metadata, pitr_names, prefix)


@pytest.fixture
def many(server: Server, database: str, prefix: str) -> Iterator[tuple[MetaData, Engine]]:
    """Two hundred tables, declared and created."""
    engine = create_engine(server.url(database=database))
    metadata = MetaData()
    for number in range(200):
        pitr = TablePitr("7d", f"{prefix}_{number}")
        Table(f"t{number}", metadata, Column("id", Integer), pitr)
    metadata.create_all(engine)
    yield metadata, engine
    engine.dispose()


def test_one_writing_statement_for_each_policy(
    many: tuple[MetaData, Engine], server: Server, proxy: Proxy, database: str
) -> None:
    metadata, _ = many
    count = len(metadata.tables)
    engine = create_engine(server.url(database=database, port=proxy.port))
    plan: Plan = plan_pitrs(engine, metadata)
    proxy.clear()
    assert apply_plan(engine, plan, 4).ok
    assert len(proxy.matching("^(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|EXECUTE)")) == count
    assert len(proxy.statements) < count + 60
    engine.dispose()
