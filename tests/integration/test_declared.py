"""Declared policies against a server: plan, apply, create_all, ensure, the engine's hook."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    create_mock_engine,
    inspect,
    text,
)
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    ApplyReport,
    CreatePitr,
    DatabasePitr,
    Pitr,
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrManager,
    PitrTargetError,
    PitrUnsupportedError,
    PitrValidationError,
    Plan,
    TablePitr,
    TransactionPitrManager,
    apply_plan,
    apply_plan_async,
    declare_pitrs,
    ensure_pitrs,
    ensure_pitrs_async,
    get_pitrs,
    install_engine_hook,
    install_events,
    pending_pitrs,
    plan_pitrs,
    plan_pitrs_async,
)
from sqlalchemy_matrixone_pitr.report import Progress
from sqlalchemy_matrixone_pitr.show import TARGET_AND_RANGE
from tests.conftest import Server
from tests.proxy import Proxy

Names = Callable[[], list[str]]
READS = r"^(SHOW|SELECT)"
WRITES = r"^(CREATE|ALTER|DROP|INSERT|UPDATE|DELETE|PREPARE|EXECUTE)"


@pytest.fixture
def metadata(prefix: str) -> MetaData:
    """Two tables with policies and one without, and a policy for the database."""
    made = MetaData(naming_convention={"pitr": f"{prefix}_%(object_name)s"})
    Table("orders", made, Column("id", Integer, primary_key=True), TablePitr("7d"))
    Table("parts", made, Column("id", Integer, primary_key=True), TablePitr("1mo", f"{prefix}_p"))
    Table("notes", made, Column("id", Integer, primary_key=True))
    declare_pitrs(made, DatabasePitr("2d"))
    return made


@pytest.fixture
def names(prefix: str) -> list[str]:
    """The PITRs of that metadata, sorted."""
    return sorted([f"{prefix}_{prefix}", f"{prefix}_{prefix}_orders", f"{prefix}_p"])


def did(plan: Plan) -> list[str]:
    return [f"{action.kind} {action.pitr.name}" for action in plan.actions]


# -- plan and apply --------------------------------------------------------------------------------


def test_plan_apply_and_in_sync(
    engine: Engine, metadata: MetaData, names: list[str], pitr_names: Names
) -> None:
    metadata.create_all(engine)
    plan = plan_pitrs(engine, metadata)
    assert sorted(did(plan)) == [f"create {name}" for name in names]
    steps: list[Progress] = []
    report = apply_plan(engine, plan, on_progress=steps.append)
    assert report.ok
    assert len(report.done) == 3
    assert [step.number for step in steps] == [1, 2, 3]
    assert {step.total for step in steps} == {3}
    assert pitr_names() == names
    assert plan_pitrs(engine, metadata).in_sync
    again = apply_plan(engine, plan)
    assert again.ok
    assert len(again.skipped) == 3


def test_a_plan_reads_four_times_and_a_finished_one_writes_nothing(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData
) -> None:
    metadata.create_all(proxied_engine)
    apply_plan(proxied_engine, plan_pitrs(proxied_engine, metadata))
    proxy.clear()
    plan = plan_pitrs(proxied_engine, metadata)
    assert plan.in_sync
    assert len(proxy.matching(READS)) <= 4
    proxy.clear()
    assert str(apply_plan(proxied_engine, plan)) == "nothing to do"
    assert proxy.statements == []


def test_ranges_and_undeclared_ones(
    engine: Engine, metadata: MetaData, database: str, prefix: str, pitr_names: Names
) -> None:
    metadata.create_all(engine)
    manager = PitrManager(engine)
    manager.create_table_pitr(f"{prefix}_p", database, "parts", 3, "mo")
    manager.create_database_pitr(f"{prefix}_{prefix}", database, 1, "d")
    manager.create_table_pitr(f"{prefix}_n", database, "notes")
    plan = plan_pitrs(engine, metadata)
    assert did(plan) == [
        f"alter {prefix}_{prefix}",
        f"alter {prefix}_p",
        f"create {prefix}_{prefix}_orders",
    ]
    assert [pitr.name for pitr in plan.undeclared] == [f"{prefix}_n"]
    with pytest.raises(PitrValidationError, match=r"1 of the plan's actions are destructive"):
        apply_plan(engine, plan)
    assert f"{prefix}_{prefix}_orders" not in pitr_names()
    assert apply_plan(engine, plan, allow_destructive=True).ok
    plan = plan_pitrs(engine, metadata, drop_undeclared=True)
    assert did(plan) == [f"drop {prefix}_n"]
    assert apply_plan(engine, plan, allow_destructive=True).ok
    assert plan_pitrs(engine, metadata, drop_undeclared=True).in_sync
    ranges = {pitr.name: str(pitr.range) for pitr in manager.list(database_name=database)}
    assert ranges[f"{prefix}_p"] == "1mo"
    assert ranges[f"{prefix}_{prefix}"] == "2d"


def test_what_the_caller_has_not_committed_is_neither_seen_nor_disturbed(
    engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    with engine.connect() as conn:
        metadata.create_all(conn)
        conn.execute(text("INSERT INTO notes VALUES (1)"))
        plan = plan_pitrs(conn, metadata)
        assert len(plan.actions) == 3
        conn.commit()
        assert conn.execute(text("SELECT count(*) FROM notes")).scalar() == 1
    assert pitr_names() == []


def test_the_database_that_use_has_chosen(
    server: Server, database: str, metadata: MetaData, prefix: str
) -> None:
    engine = create_engine(server.url())
    with engine.connect() as conn:
        with pytest.raises(PitrValidationError, match="database"):
            plan_pitrs(conn, metadata)
        conn.execute(text(f"USE {database}"))
        assert conn.in_transaction()
        plan = plan_pitrs(conn, metadata)
        assert {action.pitr.database_name for action in plan.actions} == {database}
    engine.dispose()


def test_schema_translate_map(server: Server, database: str, prefix: str) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", f"{prefix}_o"), schema="main")
    engine = create_engine(server.url()).execution_options(schema_translate_map={"main": database})
    metadata.create_all(engine)
    assert apply_plan(engine, plan_pitrs(engine, metadata)).ok
    [pitr] = [p for p in get_pitrs(engine) if p.name == f"{prefix}_o"]
    assert pitr.database_name == database
    assert plan_pitrs(engine, metadata).in_sync
    engine.dispose()


def test_a_missing_table_is_an_error_before_anything_is_sent_for_it(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData, prefix: str, pitr_names: Names
) -> None:
    metadata.tables["notes"].create(proxied_engine)
    plan = plan_pitrs(proxied_engine, metadata)
    proxy.clear()
    report = apply_plan(proxied_engine, plan)
    assert not report.ok
    assert report.done == []
    assert isinstance(report.failed[0].error, PitrTargetError)
    assert proxy.matching(WRITES) == []
    with pytest.raises(PitrTargetError, match="not applied as a whole"):
        report.raise_for_failed()
    report = apply_plan(proxied_engine, plan, keep_going=True)
    assert [action.pitr.name for action in report.done] == [f"{prefix}_{prefix}"]
    assert len(report.failed) == 2
    assert pitr_names() == [f"{prefix}_{prefix}"]


def test_what_another_process_did_meanwhile_is_in_sync(
    engine: Engine, metadata: MetaData, database: str, prefix: str, pitr_names: Names
) -> None:
    metadata.create_all(engine)
    plan = plan_pitrs(engine, metadata)
    other = PitrManager(engine)
    other.create_table_pitr(f"{prefix}_p", database, "parts", 1, "mo")
    other.create_database_pitr(f"{prefix}_{prefix}", database, 9, "d")
    report = apply_plan(engine, plan)
    assert [action.pitr.name for action in report.skipped] == [f"{prefix}_p"]
    # it was not shown that the range would be changed: not done
    assert [action.pitr.name for action in report.not_tried] == [f"{prefix}_{prefix}"]
    assert [action.pitr.name for action in report.done] == [f"{prefix}_{prefix}_orders"]
    assert not report.ok


def test_created_by_somebody_without_the_lock_in_the_last_moment(
    proxied_engine: Engine, proxy: Proxy, server: Server, database: str, prefix: str
) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", f"{prefix}_o"))
    metadata.create_all(proxied_engine)
    plan = plan_pitrs(proxied_engine, metadata)
    statement = plan.actions[0].statements[0]
    created: list[object] = []
    proxy.on("^CREATE PITR", lambda: created.extend(server.query(statement)))
    report = apply_plan(proxied_engine, plan)
    assert report.ok
    assert len(report.skipped) == 1


def test_conflicts_are_errors_that_name_both(
    engine: Engine, metadata: MetaData, database: str, prefix: str, server: Server
) -> None:
    metadata.create_all(engine)
    server.query(f"CREATE DATABASE {prefix}_other")
    manager = PitrManager(engine)
    try:
        manager.create_database_pitr(f"{prefix}_p", f"{prefix}_other")
        plan = plan_pitrs(engine, metadata)
        assert len(plan.conflicts) == 1
        report = apply_plan(engine, plan)
        assert isinstance(report.failed[0].error, PitrAlreadyExistsError)
        assert report.done == []
        assert f"database {prefix}_other" in str(report.failed[0].error)
        assert len(apply_plan(engine, plan, keep_going=True).done) == 2
    finally:
        manager.delete(f"{prefix}_p")
        server.query(f"DROP DATABASE {prefix}_other")


def test_a_target_that_moves(engine: Engine, database: str, prefix: str) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", f"{prefix}_o"))
    Table("old", metadata, Column("id", Integer))
    metadata.create_all(engine)
    manager = PitrManager(engine)
    manager.create_table_pitr(f"{prefix}_o", database, "old", 7)
    plan = plan_pitrs(engine, metadata)
    assert did(plan) == [f"drop {prefix}_o", f"create {prefix}_o"]
    assert apply_plan(engine, plan, allow_destructive=True).ok
    assert manager.get(f"{prefix}_o").table_name == "orders"


def test_sql_is_a_script_that_runs_as_it_is(
    engine: Engine, metadata: MetaData, server: Server, names: list[str], pitr_names: Names
) -> None:
    metadata.create_all(engine)
    for line in plan_pitrs(engine, metadata).sql().splitlines():
        server.query(line.removesuffix(";"))
    assert pitr_names() == names
    assert plan_pitrs(engine, metadata).in_sync


@pytest.mark.parametrize("concurrency", [0, 65, 1.5, "4", True])
def test_a_senseless_concurrency(engine: Engine, concurrency: Any) -> None:
    plan = plan_pitrs(engine, MetaData())
    with pytest.raises(PitrValidationError, match="concurrency"):
        apply_plan(engine, plan, concurrency)


def test_async_engines(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    metadata: MetaData,
    names: list[str],
    pitr_names: Names,
) -> None:
    metadata.create_all(matrixone_engine)

    async def main() -> tuple[ApplyReport, Plan]:
        engine = make_async_engine()
        steps: list[Progress] = []
        plan = await plan_pitrs_async(engine, metadata)
        report = await apply_plan_async(engine, plan, 3, on_progress=steps.append)
        assert len(steps) == 3
        after = await plan_pitrs_async(engine, metadata)
        assert (await ensure_pitrs_async(engine, metadata)).ok
        await engine.dispose()
        return report, after

    report, after = asyncio.run(main())
    assert len(report.done) == 3
    assert after.in_sync
    assert pitr_names() == names


def test_a_callback_that_fails_ends_it_with_a_report(
    engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    metadata.create_all(engine)

    def fail(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        apply_plan(engine, plan_pitrs(engine, metadata), 1, on_progress=fail)
    report: ApplyReport = caught.value.report  # type: ignore[attr-defined]
    assert len(report.done) == 1
    assert len(report.not_tried) == 2
    assert "1 done" in caught.value.__notes__[-1]
    assert len(pitr_names()) == 1
    assert apply_plan(engine, plan_pitrs(engine, metadata)).ok


# -- create_all and drop_all -----------------------------------------------------------------------


@pytest.fixture
def eventful(metadata: MetaData) -> MetaData:
    install_events(metadata)
    install_events(metadata)  # once is enough
    return metadata


def test_create_all_and_drop_all(
    engine: Engine, eventful: MetaData, names: list[str], pitr_names: Names
) -> None:
    eventful.create_all(engine)
    assert pitr_names() == names
    assert plan_pitrs(engine, eventful).in_sync
    eventful.create_all(engine)
    assert pitr_names() == names
    eventful.drop_all(engine)
    assert pitr_names() == []
    eventful.drop_all(engine)


def test_create_all_in_a_transaction(
    engine: Engine, eventful: MetaData, names: list[str], pitr_names: Names
) -> None:
    with engine.connect() as conn:
        eventful.create_all(conn)
        assert sorted(element.pitr_name for element in pending_pitrs(conn)) == names
        conn.rollback()
        assert pitr_names() == []
        eventful.create_all(conn)
        conn.commit()
    assert pitr_names() == names


def test_create_all_and_drop_all_in_one_transaction(
    engine: Engine, eventful: MetaData, names: list[str], pitr_names: Names
) -> None:
    with engine.begin() as conn:
        eventful.create_all(conn)
        eventful.create_all(conn)
        assert len(pending_pitrs(conn)) == 3
        eventful.drop_all(conn)
        assert pending_pitrs(conn) == []
    assert pitr_names() == []
    eventful.create_all(engine)
    with engine.begin() as conn:
        eventful.drop_all(conn)
        eventful.create_all(conn)
    assert pitr_names() == names
    assert plan_pitrs(engine, eventful).in_sync


def test_a_transaction_that_changes_its_mind(
    engine: Engine, eventful: MetaData, prefix: str, names: list[str], pitr_names: Names
) -> None:
    eventful.create_all(engine)
    orders = eventful.tables["orders"]
    with engine.begin() as conn:
        eventful.drop_all(conn)
        eventful.create_all(conn, tables=[orders])
    assert pitr_names() == [name for name in names if name != f"{prefix}_p"]
    with engine.begin() as conn:
        eventful.create_all(conn)
        TransactionPitrManager(conn).alter(f"{prefix}_p", 3, "mo")
        eventful.drop_all(conn)
        eventful.create_all(conn)
        eventful.drop_all(conn)
    assert pitr_names() == []


def test_create_all_leaves_a_policy_that_would_move(
    engine: Engine, eventful: MetaData, prefix: str, database: str, names: list[str]
) -> None:
    eventful.create_all(engine)
    manager = PitrManager(engine)
    manager.delete(f"{prefix}_p")
    manager.create_table_pitr(f"{prefix}_p", database, "notes")
    with pytest.warns(SAWarning, match=rf"not done.*\n.*drop {prefix}_p"):
        eventful.create_all(engine)
    assert manager.get(f"{prefix}_p").table_name == "notes"


def test_create_all_of_some_tables(
    engine: Engine, eventful: MetaData, prefix: str, pitr_names: Names
) -> None:
    eventful.create_all(engine, tables=[eventful.tables["parts"]])
    assert pitr_names() == [f"{prefix}_p", f"{prefix}_{prefix}"]
    eventful.create_all(engine)
    assert len(pitr_names()) == 3
    eventful.drop_all(engine, tables=[eventful.tables["parts"]])
    assert pitr_names() == [f"{prefix}_{prefix}", f"{prefix}_{prefix}_orders"]


def test_create_all_gives_tables_the_policies_that_they_lack(
    engine: Engine, eventful: MetaData, prefix: str, names: list[str], pitr_names: Names
) -> None:
    eventful.create_all(engine)
    PitrManager(engine).delete(f"{prefix}_p")
    eventful.create_all(engine)
    assert pitr_names() == names


def test_create_all_reads_once_not_for_each_table(
    proxied_engine: Engine, proxy: Proxy, prefix: str, database: str
) -> None:
    metadata = MetaData()
    for number in range(20):
        pitr = TablePitr("7d", f"{prefix}_{number}")
        Table(f"t{number}", metadata, Column("id", Integer), pitr)
    install_events(metadata)
    metadata.create_all(proxied_engine)
    assert len(proxy.matching("^SHOW PITR")) == 1
    assert len(proxy.matching("mo_catalog")) <= 3
    assert len(proxy.matching("^CREATE PITR")) == 20


def test_without_checkfirst_a_policy_that_exists_is_an_error(
    engine: Engine, eventful: MetaData
) -> None:
    eventful.create_all(engine)
    with engine.begin() as conn:
        for table in ("orders", "parts", "notes"):
            conn.execute(text(f"DROP TABLE {table}"))
    with pytest.raises(PitrAfterCommitError):
        eventful.create_all(engine, checkfirst=False)


def test_a_table_that_is_created_again_gets_its_next_generation(
    engine: Engine, eventful: MetaData, prefix: str, pitr_names: Names
) -> None:
    eventful.create_all(engine)
    with engine.begin() as conn:
        conn.execute(text("DROP TABLE parts"))
    eventful.create_all(engine)
    assert f"{prefix}_p__g2" in pitr_names()
    assert plan_pitrs(engine, eventful).in_sync
    eventful.drop_all(engine)
    assert pitr_names() == []


def test_create_all_leaves_what_a_renewal_would_have_to_drop(
    engine: Engine, eventful: MetaData, server: Server, prefix: str, names: list[str]
) -> None:
    if server.version >= (4,):
        pytest.skip("TRUNCATE detaches on 4.x")
    eventful.create_all(engine)
    with engine.begin() as conn:
        conn.execute(text("TRUNCATE TABLE parts"))
    with pytest.warns(SAWarning, match=rf"not done.*\n.*renew {prefix}_p__g2"):
        eventful.create_all(engine)
    assert sorted(p.name for p in get_pitrs(engine) if p.name.startswith(prefix)) == names


def test_somebody_elses_policy_in_the_way_stops_create_all(
    engine: Engine, eventful: MetaData, server: Server, prefix: str, database: str
) -> None:
    server.query(f"CREATE DATABASE {prefix}_other")
    try:
        manager = PitrManager(engine)
        manager.create_database_pitr(f"{prefix}_p", f"{prefix}_other")
        with pytest.raises(PitrAlreadyExistsError, match="names are per account"):
            eventful.create_all(engine)
        assert server.query("SHOW TABLES", database) == []
    finally:
        server.query(f"DROP DATABASE {prefix}_other")


def test_mock_engine(metadata: MetaData, prefix: str) -> None:
    printed: list[str] = []

    def dump(element: Any, *args: Any, **kw: Any) -> None:
        printed.append(str(element.compile(dialect=mock.dialect)).strip())

    mock = create_mock_engine("mysql+pymysql://", dump)
    install_events(metadata, database_name="shop")
    metadata.create_all(mock)
    pitrs = [line for line in printed if "PITR" in line]
    assert sorted(pitrs) == [
        f"CREATE PITR `{prefix}_p` FOR TABLE `shop` `parts` RANGE 1 'mo'",
        f"CREATE PITR `{prefix}_shop_orders` FOR TABLE `shop` `orders` RANGE 7 'd'",
        f"CREATE PITR `{prefix}_shop` FOR DATABASE `shop` RANGE 2 'd'",
    ]
    printed.clear()
    metadata.drop_all(mock)
    # the database's stays: nothing tells what else is in it
    assert len([line for line in printed if line.startswith("DROP PITR")]) == 2


def test_other_databases(metadata: MetaData) -> None:
    sqlite = create_engine("sqlite://")
    install_events(metadata)
    with pytest.raises(PitrUnsupportedError, match="only_on_matrixone=True"):
        metadata.create_all(sqlite)
    assert inspect(sqlite).get_table_names() == []
    install_events(metadata, only_on_matrixone=True)
    metadata.create_all(sqlite)
    assert len(inspect(sqlite).get_table_names()) == 3
    quiet = MetaData()
    Table("orders", quiet, Column("id", Integer), TablePitr("7d"))
    install_events(quiet, only_on_matrixone=True)
    quiet.create_all(sqlite)
    quiet.drop_all(sqlite)
    undeclared = MetaData()
    Table("orders", undeclared, Column("id", Integer))
    install_events(undeclared)
    undeclared.create_all(sqlite)
    sqlite.dispose()


def test_create_all_through_asyncio(
    make_async_engine: Callable[..., AsyncEngine],
    eventful: MetaData,
    names: list[str],
    pitr_names: Names,
) -> None:
    async def main() -> None:
        engine = make_async_engine()
        async with engine.begin() as conn:
            await conn.run_sync(eventful.create_all)
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == names


# -- ensure_pitrs and the hook ---------------------------------------------------------------------


def test_ensure_reads_once_when_all_is_well(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData, names: list[str], pitr_names: Names
) -> None:
    metadata.create_all(proxied_engine)
    assert len(ensure_pitrs(proxied_engine, metadata).done) == 3
    assert pitr_names() == names
    proxy.clear()
    assert ensure_pitrs(proxied_engine, metadata).ok
    sent = [statement.split(" FROM ")[0] for statement in proxy.matching(READS)]
    assert sent == [
        "SELECT current_account_name(), current_role()",  # once for each connection
        f"SELECT pitr_name, create_time, modified_time, {TARGET_AND_RANGE}",
        "SELECT DATABASE()",
    ]
    assert proxy.matching(WRITES) == []


def test_ensure_leaves_tables_that_do_not_exist(
    engine: Engine, metadata: MetaData, prefix: str, pitr_names: Names
) -> None:
    assert ensure_pitrs(engine, metadata).ok
    assert pitr_names() == [f"{prefix}_{prefix}"]


def test_ensure_does_nothing_destructive_and_says_so(
    engine: Engine, metadata: MetaData, database: str, prefix: str
) -> None:
    metadata.create_all(engine)
    manager = PitrManager(engine)
    manager.create_table_pitr(f"{prefix}_p", database, "parts", 3, "mo")
    with pytest.warns(SAWarning, match=r"not done.*\n.*3mo -> 1mo"):
        assert ensure_pitrs(engine, metadata).ok
    assert str(manager.get(f"{prefix}_p").range) == "3mo"


def test_ensure_raises_where_it_cannot(
    engine: Engine, metadata: MetaData, server: Server, prefix: str, pitr_names: Names
) -> None:
    metadata.create_all(engine)
    server.query(f"CREATE DATABASE {prefix}_other")
    try:
        PitrManager(engine).create_database_pitr(f"{prefix}_p", f"{prefix}_other")
        with pytest.raises(PitrAlreadyExistsError, match="2 done, 1 failed"):
            ensure_pitrs(engine, metadata)
        assert len(pitr_names()) == 3
    finally:
        server.query(f"DROP DATABASE {prefix}_other")


@pytest.fixture
def tight_engine(server: Server, database: str) -> Iterator[Engine]:
    """A pool of one: a hook that connects on its own engine would wait for itself."""
    engine = create_engine(server.url(database=database), pool_size=1, max_overflow=0)
    engine.pool._timeout = 5  # type: ignore[attr-defined]
    yield engine
    engine.dispose()


def test_the_engines_hook_runs_once(
    tight_engine: Engine, metadata: MetaData, names: list[str], pitr_names: Names, prefix: str
) -> None:
    metadata.create_all(tight_engine)
    install_engine_hook(tight_engine, metadata)
    install_engine_hook(tight_engine, metadata)
    with tight_engine.connect() as conn:
        assert pitr_names() == names
        assert conn.execute(text("SELECT 1")).scalar() == 1
    PitrManager(tight_engine).delete(f"{prefix}_p")
    with tight_engine.connect():
        pass
    assert f"{prefix}_p" not in pitr_names()


def test_the_engines_hook_raises_and_tries_again(
    tight_engine: Engine,
    metadata: MetaData,
    server: Server,
    prefix: str,
    names: list[str],
    pitr_names: Names,
) -> None:
    metadata.create_all(tight_engine)
    server.query(f"CREATE DATABASE {prefix}_other")
    server.query(f"CREATE PITR {prefix}_p FOR DATABASE {prefix}_other RANGE 1 'd'")
    install_engine_hook(tight_engine, metadata)
    try:
        for _ in range(2):
            with pytest.raises(PitrAlreadyExistsError):
                tight_engine.connect()
        server.query(f"DROP PITR {prefix}_p")
    finally:
        server.query(f"DROP DATABASE {prefix}_other")
    with tight_engine.connect():
        pass
    assert pitr_names() == names


def test_the_hook_of_an_async_engine(
    make_async_engine: Callable[..., AsyncEngine], prefix: str, pitr_names: Names
) -> None:
    metadata = MetaData()
    declare_pitrs(metadata, DatabasePitr("7d", f"{prefix}_d"))

    async def main() -> None:
        engine = make_async_engine()
        install_engine_hook(engine, metadata)
        async with engine.connect() as conn:
            await conn.execute(text("SELECT 1"))
        await engine.dispose()

    asyncio.run(main())
    assert pitr_names() == [f"{prefix}_d"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_hook_runs_in_each_process(
    server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    """A process that was forked does it again, on connections of its own."""
    from sqlalchemy_matrixone_pitr.startup import _Hook

    engine = create_engine(server.url(database=database))
    metadata = MetaData()
    declare_pitrs(metadata, DatabasePitr("7d", f"{prefix}_d"))
    hook = _Hook(engine, metadata, 30)
    with engine.connect() as conn:
        hook(conn)
    PitrManager(engine).delete(f"{prefix}_d")
    with engine.connect() as conn:
        hook(conn)
        assert pitr_names() == []
        hook._done_in = os.getpid() + 1  # as a forked one sees it
        hook(conn)
    assert pitr_names() == [f"{prefix}_d"]
    engine.dispose()


def test_create_pitr_is_still_an_ordinary_listener(engine: Engine, prefix: str) -> None:
    """Both ways side by side: a listener on a table, and declared ones."""
    from sqlalchemy import event

    metadata = MetaData()
    table = Table("a", metadata, Column("id", Integer))
    Table("b", metadata, Column("id", Integer), TablePitr("7d", f"{prefix}_b"))
    event.listen(table, "after_create", CreatePitr(Pitr.table(f"{prefix}_a", "a", "7d")))
    install_events(metadata)
    metadata.create_all(engine)
    found = [pitr.name for pitr in get_pitrs(engine) if pitr.name.startswith(prefix)]
    assert sorted(found) == [f"{prefix}_a", f"{prefix}_b"]
