"""RESTORE is not sent where the server would do nothing and say OK."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError, SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    AsyncPitrManager,
    AsyncTransactionPitrManager,
    PitrManager,
    PitrPermissionError,
    PitrRestoreError,
    RestorePitr,
    TransactionPitrManager,
)
from tests.clock import may_advance, server_now, wait
from tests.conftest import Server
from tests.proxy import Proxy, When


@pytest.fixture
def other(server: Server, database: str) -> Iterator[str]:
    """Another database, dropped before the first: its foreign keys refer to that."""
    name = f"{database}_b"
    server.query(f"CREATE DATABASE {name}")
    yield name
    server.query(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def say(server: Server, database: str) -> Callable[..., None]:
    def say(*statements: str) -> None:
        for statement in statements:
            server.query(statement, database)

    return say


@pytest.fixture
def shop(say: Callable[..., None], server: Server, database: str, prefix: str) -> Callable[[], str]:
    """Parents and their lines, protected; called, the moment, after which rows are deleted."""
    say(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "INSERT INTO parent VALUES (1), (2)",
        "CREATE TABLE free (id INT)",
    )

    def protect() -> str:
        say(f"CREATE PITR {prefix} FOR DATABASE {database} RANGE 1 'd'")
        wait(server, 1.1)
        moment = str(server.query("SELECT CAST(now(6) AS CHAR)")[0][0])
        say("INSERT INTO parent VALUES (3)", "INSERT INTO free VALUES (3)")
        return moment

    return protect


def parents(server: Server, database: str) -> list[object]:
    return [row[0] for row in server.query("SELECT id FROM parent ORDER BY id", database)]


CHILD = (
    "CREATE TABLE {}.child (id INT, p INT, CONSTRAINT k FOREIGN KEY (p) REFERENCES {}.parent (id))"
)
OWN = (
    "CREATE TABLE own (id INT PRIMARY KEY, o INT, CONSTRAINT k FOREIGN KEY (o) REFERENCES own (id))"
)


def test_of_a_table_that_another_refers_to(
    matrixone_engine: Engine, server: Server, database: str, prefix: str, shop: Callable[[], str]
) -> None:
    server.query(CHILD.format(database, database))
    moment = shop()
    manager = PitrManager(matrixone_engine)
    with pytest.raises(PitrRestoreError, match=rf"bring back nothing.*{database}\.child") as caught:
        manager.restore(prefix, moment, database=database, table="parent")
    assert caught.value.name == prefix
    manager.restore(prefix, moment, database=database, table="parent", check=False)
    assert parents(server, database) == [1, 2, 3]  # the server says OK, and does nothing
    server.query(f"ALTER TABLE {database}.child DROP FOREIGN KEY k")
    manager.restore(prefix, moment, database=database, table="parent")
    assert parents(server, database) == [1, 2]


def test_of_the_table_that_refers(
    matrixone_engine: Engine, server: Server, database: str, prefix: str, shop: Callable[[], str]
) -> None:
    server.query(CHILD.format(database, database))
    server.query(f"INSERT INTO {database}.child VALUES (1, 1)")
    moment = shop()
    server.query(f"DELETE FROM {database}.child WHERE id = 1")
    PitrManager(matrixone_engine).restore(prefix, moment, database=database, table="child")
    assert server.query(f"SELECT id FROM {database}.child") == [(1,)]


@pytest.mark.parametrize("table", ["parent", None])
def test_of_what_another_database_refers_to(
    matrixone_engine: Engine,
    server: Server,
    database: str,
    other: str,
    prefix: str,
    shop: Callable[[], str],
    table: str | None,
) -> None:
    server.query(CHILD.format(other, database))
    moment = shop()
    for name in (database, database.upper()):
        with pytest.raises(PitrRestoreError, match=rf"{other}\.child"):
            PitrManager(matrixone_engine).restore(prefix, moment, database=name, table=table)
    assert parents(server, database) == [1, 2, 3]


@pytest.mark.usefixtures("other")
def test_of_a_database_whose_keys_are_its_own(
    matrixone_engine: Engine, server: Server, database: str, prefix: str, shop: Callable[[], str]
) -> None:
    server.query(CHILD.format(database, database))
    moment = shop()
    with pytest.warns(SAWarning, match=f"no longer protected by {prefix}"):
        PitrManager(matrixone_engine).restore(prefix, moment, database=database)
    assert parents(server, database) == [1, 2]


def test_of_a_clone_elsewhere_that_refers_to_the_parent(
    matrixone_engine: Engine,
    server: Server,
    database: str,
    other: str,
    prefix: str,
    shop: Callable[[], str],
) -> None:
    if server.version < (3,):
        pytest.skip("no CLONE before 3.0")
    server.query(CHILD.format(database, database))
    server.query(f"CREATE TABLE {other}.copy CLONE {database}.child")
    server.query(f"DROP TABLE {database}.child")
    moment = shop()
    with pytest.raises(PitrRestoreError, match=rf"{other}\.copy"):
        PitrManager(matrixone_engine).restore(prefix, moment, database=database, table="parent")


def test_of_a_table_that_refers_to_itself(
    matrixone_engine: Engine,
    server: Server,
    database: str,
    prefix: str,
    shop: Callable[[], str],
    say: Callable[..., None],
) -> None:
    """The server does nothing, as long as the table is there."""
    say(OWN, "INSERT INTO own VALUES (1, 1)")
    moment = shop()
    say("INSERT INTO own VALUES (2, 1)")
    manager = PitrManager(matrixone_engine)
    with pytest.raises(PitrRestoreError, match=rf"foreign keys of {database}\.own refer to it"):
        manager.restore(prefix, moment, database=database, table="own")
    say("ALTER TABLE own DROP FOREIGN KEY k")
    manager.restore(prefix, moment, database=database, table="own")
    assert server.query("SELECT id FROM own", database) == [(1,)]
    assert "FOREIGN KEY" in str(server.query("SHOW CREATE TABLE own", database))


def test_of_a_database_with_such_a_table(
    matrixone_engine: Engine,
    server: Server,
    database: str,
    prefix: str,
    shop: Callable[[], str],
    say: Callable[..., None],
) -> None:
    """Before 4.2 the server leaves the whole database as it is."""
    say(OWN)
    moment = shop()
    manager = PitrManager(matrixone_engine)
    if server.version < (4, 2):
        with pytest.raises(PitrRestoreError, match=rf"foreign keys of {database}\.own refer to"):
            manager.restore(prefix, moment, database=database)
        return
    with pytest.warns(SAWarning, match="no longer protected"):
        manager.restore(prefix, moment, database=database)
    assert parents(server, database) == [1, 2]


def test_every_way_of_restoring_asks(
    engine: Engine, server: Server, database: str, prefix: str, shop: Callable[[], str]
) -> None:
    server.query(CHILD.format(database, database))
    moment = shop()
    with engine.connect() as conn:
        with pytest.raises(PitrRestoreError, match="child"):
            conn.execute(RestorePitr(prefix, moment, table="parent"))
        with pytest.raises(PitrRestoreError, match="child"):
            TransactionPitrManager(conn).restore(prefix, moment, table="parent")
        TransactionPitrManager(conn).restore(prefix, moment, table="parent", check=False)
        conn.execute(RestorePitr(prefix, moment, table="parent", check=False))
        autocommit = conn.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(PitrRestoreError, match="child"):
            autocommit.execute(RestorePitr(prefix, moment, table="parent"))
        mapped = conn.execution_options(schema_translate_map={"shop": database})
        with pytest.raises(PitrRestoreError, match="child"):
            mapped.execute(RestorePitr(prefix, moment, database="shop", table="parent"))


def test_asyncio_asks(
    make_async_engine: Callable[..., AsyncEngine],
    server: Server,
    database: str,
    prefix: str,
    shop: Callable[[], str],
) -> None:
    server.query(CHILD.format(database, database))
    moment = shop()

    async def main() -> None:
        engine = make_async_engine()
        manager = AsyncPitrManager(engine)
        with pytest.raises(PitrRestoreError, match="child"):
            await manager.restore(prefix, moment, table="parent")
        await manager.restore(prefix, moment, table="parent", check=False)
        async with engine.connect() as conn:
            with pytest.raises(PitrRestoreError, match="child"):
                await conn.execute(RestorePitr(prefix, moment, table="parent"))
            inside = AsyncTransactionPitrManager(conn)
            with pytest.raises(PitrRestoreError, match="child"):
                await inside.restore(prefix, moment, table="parent")
        await engine.dispose()

    asyncio.run(main())


def test_of_a_user_who_may_not_ask(
    server: Server, database: str, prefix: str, shop: Callable[[], str], say: Callable[..., None]
) -> None:
    """RESTORE needs ALL ON ACCOUNT, the catalogue the administrator's role."""
    moment = shop()
    user, role = f"{prefix}_u", f"{prefix}_r"
    say(
        f"CREATE ROLE {role}",
        f"CREATE USER {user} IDENTIFIED BY 'pw111' DEFAULT ROLE {role}",
        f"GRANT ALL ON ACCOUNT * TO {role}",
        f"GRANT {role} TO {user}",
    )
    engine = create_engine(server.url(user=f"sys:{user}:{role}", password="pw111"))
    try:
        manager = PitrManager(engine)
        with pytest.raises(PitrPermissionError, match="give check=False") as caught:
            manager.restore(prefix, moment, database=database, table="parent")
        assert (caught.value.name, caught.value.errno) == (prefix, 20101)
        assert parents(server, database) == [1, 2, 3]
        with pytest.warns(SAWarning, match="whether policies protect it still is unknown"):
            manager.restore(prefix, moment, database=database, table="parent", check=False)
        assert parents(server, database) == [1, 2]
    finally:
        engine.dispose()
        say(f"DROP USER {user}", f"DROP ROLE {role}")


def test_sequences_are_named_before(
    matrixone_engine: Engine,
    server: Server,
    database: str,
    prefix: str,
    shop: Callable[[], str],
    say: Callable[..., None],
) -> None:
    if not server.live:
        pytest.skip("the emulator has no sequences")
    say("CREATE SEQUENCE numbers")
    moment = shop()
    manager = PitrManager(matrixone_engine)
    with pytest.raises(SAWarning, match=rf"drops sequences.*{database}\.numbers"):
        manager.restore(prefix, moment, database=database)
    assert parents(server, database) == [1, 2, 3]
    manager.restore(prefix, moment, database=database, table="parent")
    assert parents(server, database) == [1, 2]


@pytest.fixture
def of_2_2() -> Iterator[Engine]:
    """A server of 2.2 with a table that refers to one of another database."""
    from sqlalchemy_matrixone_pitr.emulator import Emulator

    with Emulator(version="2.2.2") as emulator, may_advance(emulator):
        engine = create_engine(emulator.url())
        with engine.begin() as conn:
            for statement in (
                "CREATE DATABASE a",
                "CREATE DATABASE b",
                "CREATE TABLE b.parent (id INT PRIMARY KEY)",
                "CREATE TABLE a.child (id INT, p INT, FOREIGN KEY (p) REFERENCES b.parent (id))",
            ):
                conn.execute(text(statement))
        PitrManager(engine).create_database_pitr("p", "a")
        wait(engine, 1.1)
        yield engine
        engine.dispose()


@pytest.mark.emulator_only
@pytest.mark.parametrize("table", ["child", None])
def test_2_2_leaves_out_what_refers_to_a_missing_table(of_2_2: Engine, table: str | None) -> None:
    moment = server_now(of_2_2)
    wait(of_2_2, 1.1)
    with of_2_2.begin() as conn:
        conn.execute(text("DROP TABLE a.child"))
        conn.execute(text("DROP TABLE b.parent"))
    for at in (moment, moment.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")):
        with pytest.raises(PitrRestoreError, match=r"refers to a missing table.*b\.parent"):
            PitrManager(of_2_2).restore("p", at, database="a", table=table)


@pytest.mark.emulator_only
def test_2_2_restores_what_refers_to_a_table_that_is_there(of_2_2: Engine) -> None:
    moment = server_now(of_2_2)
    with of_2_2.begin() as conn:
        conn.execute(text("DROP TABLE a.child"))
    PitrManager(of_2_2).restore("p", moment, database="a", table="child")
    with of_2_2.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM a.child")).scalar() == 0


@pytest.mark.emulator_only
def test_2_2_refuses_what_is_before_all_itself(of_2_2: Engine) -> None:
    """The question has no answer then: the catalogue of that moment is not there."""
    early = server_now(of_2_2) - dt.timedelta(days=3)
    with pytest.raises(PitrRestoreError, match="is less than the pitr"):
        PitrManager(of_2_2).restore("p", early, database="a", table="child")


@pytest.mark.one_version
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_lost_while_it_asks(
    proxied_engine: Engine,
    proxy: Proxy,
    server: Server,
    database: str,
    prefix: str,
    shop: Callable[[], str],
    when: When,
) -> None:
    """Nothing is sent, and the error is SQLAlchemy's own, once."""
    moment = shop()
    proxy.cut("mo_foreign_keys", when)
    with pytest.raises(OperationalError) as caught:
        PitrManager(proxied_engine).restore(prefix, moment, database=database, table="parent")
    assert caught.value.connection_invalidated
    assert caught.value.__cause__ is caught.value.orig
    assert proxy.matching("^RESTORE") == []
    assert parents(server, database) == [1, 2, 3]


def test_what_is_asked(
    proxied_engine: Engine,
    proxy: Proxy,
    server: Server,
    database: str,
    prefix: str,
    shop: Callable[[], str],
) -> None:
    """One statement for foreign keys, and the caller's connection says nothing."""
    moment = shop()
    with proxied_engine.connect() as conn:
        proxy.clear()
        conn.execute(RestorePitr(prefix, moment, database=database, table="parent"))
    assert len(proxy.matching("mo_foreign_keys")) == 1
    assert len(proxy.matching("^RESTORE")) == 1
    assert len(proxy.statements) <= 17
    proxy.clear()
    PitrManager(proxied_engine).restore(
        prefix, moment, database=database, table="parent", check=False
    )
    assert proxy.matching("mo_foreign_keys") == []
