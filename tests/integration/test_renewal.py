"""Generations against a server: renewal, what managers make of names, pruning."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, text
from sqlalchemy.exc import DBAPIError, SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    AsyncPitrManager,
    CreatePitr,
    Pitr,
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrManager,
    PitrNotFoundError,
    PitrStatus,
    PitrTargetError,
    PitrTransactionError,
    PitrValidationError,
    RestorePitr,
    TablePitr,
    TransactionPitrManager,
    apply_plan,
    get_pitrs,
    install_events,
    plan_pitrs,
    prune_history,
    prune_history_async,
    renew_pitr,
    renew_pitr_async,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.clock import server_now, wait
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy, When

Names = Callable[[], list[str]]


def rebuild(number: int = 1) -> str:
    """The statement that gives the table a new id."""
    return f"ALTER TABLE orders ADD COLUMN c{number} INT"


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def statuses(engine: Engine, prefix: str) -> dict[str, str]:
    return {
        pitr.name.removeprefix(prefix): str(pitr.status)
        for pitr in get_pitrs(engine, with_status=True)
        if pitr.name.startswith(prefix)
    }


@pytest.fixture
def manager(engine: Engine, server: Server, database: str, prefix: str) -> PitrManager:
    """One table with a policy."""
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    run(engine, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    made = PitrManager(engine)
    made.create_table_pitr(prefix, database, "orders", 7)
    return made


def test_renewal_and_its_repetition(
    engine: Engine, server: Server, manager: PitrManager, prefix: str
) -> None:
    assert renew_pitr(engine, prefix).status is PitrStatus.ACTIVE
    for number in (2, 3):
        run(engine, rebuild(number))
        renewed = renew_pitr(engine, prefix)
        assert renewed == Pitr.table(
            f"{prefix}__g{number}", "orders", "7d", database_name=renewed.database_name
        )
        assert renewed.status is None
        again = renew_pitr(engine, f"{prefix}__g{number}")
        assert (again.name, again.status) == (renewed.name, PitrStatus.ACTIVE)
    assert statuses(engine, prefix) == {"": "detached", "__g2": "detached", "__g3": "active"}


def test_a_number_that_somebody_else_has(
    engine: Engine, manager: PitrManager, prefix: str, database: str
) -> None:
    run(engine, "CREATE TABLE items (id INT)")
    manager.create_table_pitr(f"{prefix}__g2", database, "items")
    run(engine, rebuild())
    assert renew_pitr(engine, prefix.upper()).name == f"{prefix}__g3"
    assert statuses(engine, prefix) == {"": "detached", "__g2": "active", "__g3": "active"}
    assert renew_pitr(engine, prefix).name == f"{prefix}__g3"


@pytest.mark.parametrize("in_session", [False, True])
def test_not_inside_a_transaction(
    engine: Engine, manager: PitrManager, prefix: str, in_session: bool
) -> None:
    """4.2 would wait for it for ever, with the account lock held."""
    run(engine, rebuild())
    with Session(engine) if in_session else engine.connect() as bind:
        assert renew_pitr(bind, prefix).name == f"{prefix}__g2"
        bind.execute(text("SELECT 1"))
        for act in (lambda: renew_pitr(bind, prefix), lambda: prune_history(bind)):
            with pytest.raises(PitrTransactionError, match="commit first"):
                act()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("pattern", ["^DROP PITR", "^CREATE PITR", "SET AUTOCOMMIT = 0"])
@pytest.mark.filterwarnings("ignore:PITR .* is renewed without its history")
def test_cut_on_the_way_without_history(
    proxied_engine: Engine,
    proxy: Proxy,
    manager: PitrManager,
    prefix: str,
    pattern: str,
    when: When,
) -> None:
    """The rest is sent once more, and nothing twice."""
    run(proxied_engine, rebuild())
    if pattern.startswith("^"):
        proxy.cut(pattern, when)
    else:  # connecting sends it too
        proxy.on("^CREATE PITR", lambda: proxy.cut(pattern, when))
    assert renew_pitr(proxied_engine, prefix, keep_history=False).name == prefix
    assert statuses(proxied_engine, prefix) == {"": "active"}


@pytest.mark.filterwarnings("ignore:PITR .* is renewed without its history")
@pytest.mark.parametrize("pattern", ["^DROP PITR", "^CREATE PITR"])
def test_one_that_ends_on_its_way_says_what_is_missing(
    server: Server, database: str, manager: PitrManager, prefix: str, pattern: str
) -> None:
    proxy = Proxy(server.host, server.port)
    engine = create_engine(server.url(database=database, port=proxy.port))
    run(engine, rebuild())
    proxy.on(pattern, proxy.close)
    with pytest.raises(DBAPIError) as caught:
        renew_pitr(engine, prefix, keep_history=False)
    note = caught.value.__notes__[-1]
    assert f"until this is executed: CREATE PITR `{prefix}` FOR TABLE" in note
    engine.dispose()


@pytest.mark.filterwarnings("ignore:PITR .* is renewed without its history")
def test_interrupted_between_its_statements(
    proxied_engine: Engine,
    proxy: Proxy,
    manager: PitrManager,
    prefix: str,
    interrupt: Interrupt,
) -> None:
    run(proxied_engine, rebuild())
    proxy.on("^CREATE PITR", lambda: interrupt(0.2))
    with pytest.raises(KeyboardInterrupt) as caught:
        renew_pitr(proxied_engine, prefix, keep_history=False)
    assert "until this is executed: CREATE PITR" in caught.value.__notes__[-1]


def test_drop_and_create_go_back_to_back(
    proxied_engine: Engine, proxy: Proxy, manager: PitrManager, prefix: str
) -> None:
    run(proxied_engine, rebuild())
    proxy.clear()
    with pytest.warns(SAWarning, match="without its history"):
        renew_pitr(proxied_engine, prefix, keep_history=False)
    [position] = [n for n, s in enumerate(proxy.statements) if s.startswith("DROP PITR")]
    assert proxy.statements[position + 1].startswith("CREATE PITR")


def test_managers_take_a_policys_name_for_its_newest_generation(
    engine: Engine,
    server: Server,
    manager: PitrManager,
    prefix: str,
    database: str,
    pitr_names: Names,
) -> None:
    run(engine, rebuild())
    manager.renew(prefix)
    assert manager.get(prefix).name == f"{prefix}__g2"
    assert manager.exists(prefix)
    assert manager.get(prefix.upper()).name == f"{prefix}__g2"
    assert [pitr.name for pitr in manager.list(database_name=database)] == [f"{prefix}__g2"]
    everything = manager.list(database_name=database, generations=True)
    assert sorted(pitr.name for pitr in everything) == [prefix, f"{prefix}__g2"]
    assert manager.alter(prefix, 9, "d").name == f"{prefix}__g2"
    ranges = {pitr.name: str(pitr.range) for pitr in everything}
    assert ranges[prefix] == "7d"
    with engine.connect() as conn:
        inside = TransactionPitrManager(conn)
        assert inside.get(prefix).name == f"{prefix}__g2"
        assert inside.alter(prefix, 8, "d").name == f"{prefix}__g2"
        assert inside.delete(prefix)
        assert inside.get(prefix).name == prefix
        assert [p.name for p in inside.list(database_name=database)] == [prefix]
        conn.rollback()
    assert manager.delete(prefix)
    assert pitr_names() == [prefix]  # its history stays
    assert manager.delete(prefix)
    assert not manager.delete(prefix)


def test_renewal_loses_no_history(
    engine: Engine, server: Server, manager: PitrManager, prefix: str
) -> None:
    """A row from before the rebuild, and one from after it, each by its own generation."""

    def moment() -> dt.datetime:
        wait(server, 1.1)
        found = server_now(engine)
        wait(server, 0.1)
        return found

    database = str(engine.url.database)
    before = moment()
    run(engine, rebuild())
    renewed = manager.renew(prefix)
    wait(server, 1.1)
    run(engine, "INSERT INTO orders VALUES (2, 2)")
    after = moment()
    run(engine, "DELETE FROM orders WHERE id > 0")
    with engine.connect() as conn:
        with pytest.warns(SAWarning, match=f"no longer protected by {renewed.name}"):
            conn.execute(RestorePitr(renewed.name, after, database=database, table="orders"))
        assert conn.execute(text("SELECT * FROM orders ORDER BY id")).all() == [(1, None), (2, 2)]
        conn.commit()
        conn.execute(RestorePitr(prefix, before, database=database, table="orders"))
        assert conn.execute(text("SELECT * FROM orders")).all() == [(1,)]


def test_without_its_history(
    engine: Engine, server: Server, manager: PitrManager, prefix: str, pitr_names: Names
) -> None:
    run(engine, rebuild())
    manager.renew(prefix)
    run(engine, rebuild(2))
    with pytest.warns(SAWarning, match="up to 1h of history of table .*orders"):
        renewed = renew_pitr(engine, prefix, keep_history=False)
    assert renewed.name == prefix
    assert statuses(engine, prefix) == {"": "active"}
    assert pitr_names() == [prefix]


def test_a_warning_that_is_an_error_comes_before_anything_is_sent(
    engine: Engine, server: Server, manager: PitrManager, prefix: str, pitr_names: Names
) -> None:
    run(engine, rebuild())
    with pytest.raises(SAWarning):  # warnings are errors in these tests
        renew_pitr(engine, prefix, keep_history=False)
    assert statuses(engine, prefix) == {"": "detached"}


def test_refusals(engine: Engine, manager: PitrManager, prefix: str, server: Server) -> None:
    with pytest.raises(PitrNotFoundError, match="does not exist"):
        renew_pitr(engine, f"{prefix}_none")
    with pytest.raises(PitrValidationError):
        renew_pitr(engine, "a b")
    with pytest.raises(PitrValidationError, match="keep_history"):
        renew_pitr(engine, prefix, keep_history="yes")  # type: ignore[arg-type]
    with pytest.raises(PitrValidationError, match="takes an Engine"):
        renew_pitr("engine", prefix)  # type: ignore[arg-type]
    run(engine, "DROP TABLE orders")
    with pytest.raises(PitrTargetError, match="does not exist any more"):
        renew_pitr(engine, prefix)


def test_where_the_server_takes_the_old_one_for_active(
    engine: Engine, manager: PitrManager, prefix: str, server: Server
) -> None:
    """TRUNCATE on 3.0.9: its stale row blocks a second one."""
    if server.version >= (4,):
        pytest.skip("TRUNCATE detaches on 4.x, and leaves a table that cannot be protected")
    run(engine, "TRUNCATE TABLE orders")
    with pytest.raises(PitrAlreadyExistsError, match="keep_history=False"):
        renew_pitr(engine, prefix)
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", prefix))
    plan = plan_pitrs(engine, metadata)
    assert [action.kind for action in plan.destructive] == ["renew"]
    assert apply_plan(engine, plan, allow_destructive=True).ok
    assert statuses(engine, prefix) == {"__g2": "active"}


def test_a_plan_renews(engine: Engine, server: Server, manager: PitrManager, prefix: str) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", prefix))
    assert plan_pitrs(engine, metadata).in_sync
    run(engine, rebuild())
    plan = plan_pitrs(engine, metadata)
    assert [(a.kind, a.pitr.name, a.destructive) for a in plan.actions] == [
        ("renew", f"{prefix}__g2", False)
    ]
    assert apply_plan(engine, plan).ok
    assert plan_pitrs(engine, metadata).in_sync
    assert [pitr.name for pitr in plan_pitrs(engine, metadata).history] == [prefix]


def test_twice_at_once(
    engine: Engine, server: Server, manager: PitrManager, prefix: str, pitr_names: Names
) -> None:
    run(engine, rebuild())
    found: list[Pitr] = []
    threads = [
        threading.Thread(target=lambda: found.append(renew_pitr(engine, prefix))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {pitr.name for pitr in found} == {f"{prefix}__g2"}
    assert pitr_names() == [prefix, f"{prefix}__g2"]


def test_renewal_is_one_statement(
    proxied_engine: Engine, proxy: Proxy, server: Server, database: str, prefix: str
) -> None:
    """The target is unprotected for no longer."""
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    run(proxied_engine, "CREATE TABLE orders (id INT PRIMARY KEY)")
    PitrManager(proxied_engine).create_table_pitr(prefix, database, "orders")
    run(proxied_engine, rebuild())
    proxy.clear()
    renew_pitr(proxied_engine, prefix)
    assert len(proxy.matching("^DROP")) == 0
    assert len(proxy.matching("CREATE PITR")) == 1


def test_in_a_transaction(
    engine: Engine, server: Server, manager: PitrManager, prefix: str, pitr_names: Names
) -> None:
    """Also after a rebuild in that very transaction; effective at its COMMIT."""
    with Session(engine) as session:
        inside = TransactionPitrManager(session)
        assert inside.renew(prefix).status is PitrStatus.ACTIVE
        session.execute(text(rebuild()))
        renewed = inside.renew(prefix)
        assert renewed.name == f"{prefix}__g2"
        assert inside.get(prefix).name == f"{prefix}__g2"
        assert pitr_names() == [prefix]
        session.rollback()
    assert pitr_names() == [prefix]
    assert statuses(engine, prefix) == {"": "active"}
    with engine.begin() as conn:
        conn.execute(text(rebuild()))
        TransactionPitrManager(conn).renew(prefix)
    assert statuses(engine, prefix) == {"": "detached", "__g2": "active"}


def test_through_asyncio(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    server: Server,
    database: str,
    prefix: str,
) -> None:
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    run(matrixone_engine, "CREATE TABLE orders (id INT PRIMARY KEY)")
    PitrManager(matrixone_engine).create_table_pitr(prefix, database, "orders")
    run(matrixone_engine, rebuild())

    async def main() -> tuple[str, str]:
        engine = make_async_engine()
        try:
            first = await renew_pitr_async(engine, prefix)
            second = await AsyncPitrManager(engine).renew(prefix)
            assert all(not p.name.startswith(prefix) for p in await prune_history_async(engine))
            return first.name, second.name
        finally:
            await engine.dispose()

    assert asyncio.run(main()) == (f"{prefix}__g2", f"{prefix}__g2")


# -- what 4.x does with tables that were rebuilt ---------------------------------------------------

REBUILDS = ["ALTER TABLE orders ADD COLUMN c INT", "TRUNCATE TABLE orders"]
RECORDED = (
    "SELECT p.obj_id = t.rel_id FROM mo_catalog.mo_pitr p JOIN mo_catalog.mo_tables t "
    "ON t.reldatabase = p.database_name AND t.relname = p.table_name WHERE p.pitr_name = '{}'"
)


def records_the_table(server: Server, name: str) -> bool:
    """Whether a PITR has the table's present id, which is what garbage collection looks for."""
    [(same,)] = server.query(RECORDED.format(name))
    return same in (1, True, "true")


@pytest.mark.parametrize("statement", REBUILDS)
def test_every_way_to_protect_a_rebuilt_table(
    engine: Engine, server: Server, manager: PitrManager, database: str, prefix: str, statement: str
) -> None:
    """On 4.x a plain CREATE PITR would record an id that the table no longer has."""
    if server.version < (4,) and statement.startswith("TRUNCATE"):
        pytest.skip("there the stale row blocks the table")
    run(engine, statement)
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", prefix))
    install_events(metadata)

    def by_renewal() -> None:
        renew_pitr(engine, prefix)

    def by_plan() -> None:
        assert apply_plan(engine, plan_pitrs(engine, metadata)).ok

    def by_script() -> None:
        for line in plan_pitrs(engine, metadata).sql().splitlines():
            server.query(line.removesuffix(";"))

    def by_create_all() -> None:
        metadata.create_all(engine)

    def by_manager() -> None:
        manager.create_table_pitr(f"{prefix}__g2", database, "orders", 7)

    def by_transaction() -> None:
        with engine.begin() as conn:
            conn.execute(CreatePitr(Pitr.table(f"{prefix}__g2", "orders", "7d")))

    def on_autocommit() -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(CreatePitr(Pitr.table(f"{prefix}__g2", "orders", "7d")))

    for way in (
        by_renewal,
        by_plan,
        by_script,
        by_create_all,
        by_manager,
        by_transaction,
        on_autocommit,
    ):
        way()
        assert records_the_table(server, f"{prefix}__g2"), way.__name__
        assert statuses(engine, prefix) == {"": "detached", "__g2": "active"}, way.__name__
        assert plan_pitrs(engine, metadata).in_sync, way.__name__
        manager.delete(f"{prefix}__g2")


def test_a_rebuild_in_the_policys_own_transaction(
    engine: Engine, server: Server, manager: PitrManager, prefix: str
) -> None:
    """CREATE PITR waits for COMMIT, and finds the table rebuilt then."""
    run(engine, "CREATE TABLE parts (id INT PRIMARY KEY)")
    with engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.table(f"{prefix}_p", "parts", "7d")))
        conn.execute(text("ALTER TABLE parts ADD COLUMN c INT"))
    assert records_the_table(server, f"{prefix}_p")
    assert statuses(engine, prefix)["_p"] == "active"


def test_a_rebuilt_table_that_has_a_policy_already(
    engine: Engine, server: Server, manager: PitrManager, database: str, prefix: str
) -> None:
    """4.x says of it that it does not exist."""
    run(engine, rebuild())
    manager.renew(prefix)
    with pytest.raises(PitrAlreadyExistsError):
        manager.create_table_pitr(f"{prefix}_t", database, "orders")
    with pytest.raises(PitrAfterCommitError) as caught, engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.table(f"{prefix}_t", "orders", "7d")))
    assert isinstance(caught.value.__cause__, PitrAlreadyExistsError)
    assert len(caught.value.failed) == 1


def test_a_policy_that_somebody_else_made_for_a_rebuilt_table(
    engine: Engine, server: Server, manager: PitrManager, database: str, prefix: str
) -> None:
    """As text, on 4.x: listed, never protecting, and blocking the table until it is dropped."""
    run(engine, rebuild())
    server.query(f"CREATE PITR {prefix}__g2 FOR TABLE {database} orders RANGE 7 'd'")
    if server.version < (4,):
        assert statuses(engine, prefix)["__g2"] == "active"
        return
    assert statuses(engine, prefix)["__g2"] == "detached"
    with pytest.raises(PitrAlreadyExistsError, match="keep_history=False"):
        renew_pitr(engine, prefix)
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", prefix))
    plan = plan_pitrs(engine, metadata)
    assert [(a.kind, a.destructive) for a in plan.actions] == [("renew", True)]
    assert apply_plan(engine, plan, allow_destructive=True).ok
    assert records_the_table(server, f"{prefix}__g3")


@pytest.mark.emulator_only
def test_prune() -> None:
    """Not before the last restorable moment has passed."""
    with Emulator("3.0.9") as emulator:
        engine = create_engine(emulator.url())
        run(engine, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY)")
        manager = PitrManager(engine)
        manager.create_table_pitr("week", "shop", "orders", 7)
        for number in (1, 2):
            emulator.advance(dt.timedelta(days=4))
            run(engine, f"ALTER TABLE shop.orders ADD COLUMN c{number} INT")
            manager.renew("week")
        assert prune_history(engine) == []
        emulator.advance(dt.timedelta(days=4))
        assert [pitr.name for pitr in prune_history(engine)] == ["week"]
        assert prune_history(engine) == []
        emulator.advance(dt.timedelta(days=400))
        assert [pitr.name for pitr in prune_history(engine)] == ["week__g2"]
        assert [pitr.name for pitr in manager.list(generations=True)] == ["week__g3"]
        engine.dispose()
