"""The policies that a restore detaches are named, or renewed."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError, SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    AsyncPitrManager,
    PitrManager,
    RestorePitr,
    TransactionPitrManager,
    get_pitrs,
)
from tests.clock import server_now, wait
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy, When
from tests.server.conftest import PASSWORD, account_for_tests


def statuses(engine: Engine, prefix: str) -> dict[str, str]:
    return {
        pitr.name.removeprefix(prefix): str(pitr.status)
        for pitr in get_pitrs(engine, with_status=True)
        if pitr.name.startswith(prefix)
    }


@pytest.fixture
def moment(engine: Engine, server: Server, database: str, prefix: str) -> dt.datetime:
    """A table, a policy for it and one for the database, and a moment after them."""
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(text("CREATE TABLE u (id INT PRIMARY KEY)"))
    manager = PitrManager(engine)
    manager.create_database_pitr(f"{prefix}_d", database)
    manager.create_table_pitr(f"{prefix}_t", database, "t")
    wait(engine, 1.1)
    return server_now(engine)


def test_of_a_table(engine: Engine, database: str, prefix: str, moment: dt.datetime) -> None:
    with engine.connect() as conn:
        with pytest.warns(SAWarning) as told:
            conn.execute(RestorePitr(f"{prefix}_d", moment, table="t"))
        assert len(told) == 1
        message = str(told[0].message)
        assert message.startswith(
            f"table {database}.t is restored, and no longer protected by {prefix}_t: {database}.t "
        )
        assert "renew_pitr(engine, name)" in message
    assert statuses(engine, prefix) == {"_d": "active", "_t": "detached"}
    # what protects nothing any more is not told again
    PitrManager(engine).restore(f"{prefix}_d", moment, database=database, table="t")
    PitrManager(engine).restore(f"{prefix}_d", moment, database=database, table="u")


def test_an_error_behind_a_done_restore_is_no_error_of_it(
    server: Server, database: str, prefix: str, moment: dt.datetime, proxy: Proxy
) -> None:
    server.query("INSERT INTO t VALUES (1)", database)
    proxy.on("^RESTORE", lambda: proxy.cut("^SELECT reldatabase", "before"))
    url = server.url("matrixone+pymysql", database, port=proxy.port)
    engine = create_engine(url)
    said = rf"table {database}.t is restored; which policies protect it still could not be read"
    with pytest.warns(SAWarning, match=said):
        PitrManager(engine).restore(f"{prefix}_d", moment, database=database, table="t")
    engine.dispose()
    assert server.query("SELECT * FROM t", database) == []


@pytest.mark.one_version
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restore_whose_answer_is_lost_is_unknown(
    server: Server, database: str, prefix: str, moment: dt.datetime, proxy: Proxy, when: When
) -> None:
    """It is sent once, and ended on the server."""
    server.query("INSERT INTO t VALUES (1)", database)
    engine = create_engine(server.url("matrixone+pymysql", database, port=proxy.port))
    proxy.cut("^RESTORE", when)
    with pytest.raises(OperationalError) as caught:
        PitrManager(engine).restore(f"{prefix}_d", moment, database=database, table="t")
    engine.dispose()
    assert caught.value.__notes__ == [
        f"Whether table {database}.t is restored is unknown: look at it before you restore it again"
    ]
    assert len(proxy.matching("^RESTORE")) == 1
    assert proxy.matching("^KILL")
    assert server.query("SELECT * FROM t", database) == ([] if when == "after" else [(1,)])


@pytest.mark.one_version
def test_ctrl_c_ends_a_restore_that_waits(
    server: Server,
    database: str,
    prefix: str,
    moment: dt.datetime,
    proxy: Proxy,
    interrupt: Interrupt,
) -> None:
    """It would wait on the server without end, and be done later."""
    server.query("INSERT INTO t VALUES (1)", database)
    goes_on = threading.Event()

    def press() -> None:
        interrupt(0.5)
        goes_on.set()

    engine = create_engine(server.url("matrixone+pymysql", database, port=proxy.port))
    proxy.on("^RESTORE", press)
    with pytest.raises(KeyboardInterrupt) as caught:
        PitrManager(engine).restore(f"{prefix}_d", moment, database=database, table="t")
    engine.dispose()
    assert any("is restored is unknown" in note for note in caught.value.__notes__)
    assert proxy.matching("^KILL")
    assert goes_on.wait(10)
    time.sleep(0.3)  # if it still reached the server, it would be done by now
    assert server.query("SELECT * FROM t", database) == [(1,)]


@pytest.mark.one_version
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("^SELECT reldatabase", "is restored; which policies protect it still could not be read"),
        ("^CREATE PITR", "is restored, and not known to be protected again by {prefix}_t"),
    ],
)
def test_ctrl_c_behind_a_done_restore_says_that_it_is_done(
    server: Server,
    database: str,
    prefix: str,
    moment: dt.datetime,
    proxy: Proxy,
    interrupt: Interrupt,
    statement: str,
    told: str,
) -> None:
    server.query("INSERT INTO t VALUES (1)", database)
    proxy.on("^RESTORE", lambda: proxy.on(statement, lambda: interrupt(0.2)))
    engine = create_engine(server.url("matrixone+pymysql", database, port=proxy.port))
    with pytest.raises(KeyboardInterrupt) as caught:
        PitrManager(engine).restore(f"{prefix}_d", moment, database=database, table="t", renew=True)
    engine.dispose()
    assert any(told.format(prefix=prefix) in note for note in caught.value.__notes__)
    assert len(proxy.matching("^RESTORE")) == 1
    assert server.query("SELECT * FROM t", database) == []


def test_of_a_database(engine: Engine, database: str, prefix: str, moment: dt.datetime) -> None:
    with pytest.warns(SAWarning) as told:
        PitrManager(engine).restore(f"{prefix}_d", moment, database=database)
    assert len(told) == 1
    message = str(told[0].message)
    assert f"{prefix}_d" in message
    assert f"{prefix}_t" in message
    assert statuses(engine, prefix) == {"_d": "detached", "_t": "detached"}


def test_they_are_renewed(
    engine: Engine, database: str, prefix: str, moment: dt.datetime, server: Server
) -> None:
    PitrManager(engine).delete(f"{prefix}_t")
    manager = PitrManager(engine)
    manager.restore(f"{prefix}_d", moment, database=database, renew=True)
    found = statuses(engine, prefix)
    assert found.pop("_d") == "detached"
    assert list(found.values()) == ["active"]
    assert manager.get(f"{prefix}_d").name != f"{prefix}_d"


def test_what_cannot_be_renewed_is_told(
    engine: Engine, database: str, prefix: str, moment: dt.datetime, server: Server
) -> None:
    """A table that was not there at that moment is gone."""
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE later (id INT PRIMARY KEY)"))
    manager = PitrManager(engine)
    manager.create_table_pitr(f"{prefix}_l", database, "later")
    manager.delete(f"{prefix}_t")
    with engine.connect() as conn, pytest.warns(SAWarning) as told:
        TransactionPitrManager(conn).restore(f"{prefix}_d", moment, database=database, renew=True)
    assert len(told) == 1
    message = str(told[0].message)
    assert f"no longer protected by {prefix}_l: {database}.later" in message
    assert f"{prefix}_l: renew_pitr: PITR" in message
    assert "does not exist any more" in message


def test_asyncio(
    make_async_engine: Callable[..., AsyncEngine],
    matrixone_engine: Engine,
    database: str,
    prefix: str,
) -> None:
    with matrixone_engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
    PitrManager(matrixone_engine).create_database_pitr(prefix, database)
    wait(matrixone_engine, 1.1)
    moment = server_now(matrixone_engine)

    async def main() -> None:
        engine = make_async_engine()
        async with engine.connect() as conn:
            with pytest.warns(SAWarning, match=f"no longer protected by {prefix}"):
                await conn.execute(RestorePitr(prefix, moment, database=database))
        manager = AsyncPitrManager(engine)
        newest = await manager.renew(prefix)
        assert newest.name != prefix
        await manager.restore(prefix, moment, database=database, renew=True)
        assert (await manager.get(prefix)).name != newest.name
        await engine.dispose()

    asyncio.run(main())


@pytest.fixture
def tenant(server: Server) -> Iterator[Engine]:
    with account_for_tests(server) as account:
        engine = create_engine(server.url(user=f"{account}:admin", password=PASSWORD))
        yield engine
        engine.dispose()


def test_of_an_account_that_cannot_read_the_servers_list(tenant: Engine) -> None:
    """The whole account, with foreign keys between its databases and to a table itself: these do
    not keep it from being restored."""
    with tenant.begin() as conn:
        for statement in (
            "CREATE DATABASE a",
            "CREATE DATABASE b",
            "CREATE TABLE a.parent (id INT PRIMARY KEY)",
            "CREATE TABLE b.child (id INT, p INT, FOREIGN KEY (p) REFERENCES a.parent (id))",
            "CREATE TABLE b.own (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES b.own (id))",
            "CREATE TABLE a.free (id INT)",
        ):
            conn.execute(text(statement))
    wait(tenant, 1.1)
    manager = PitrManager(tenant)
    manager.create_account_pitr("of_account")
    manager.create_database_pitr("of_a", "a")
    manager.create_table_pitr("of_own", "b", "own")
    wait(tenant, 1.1)
    moment = server_now(tenant)
    wait(tenant, 0.1)
    with tenant.begin() as conn:
        for table in ("a.parent", "a.free"):
            conn.execute(text(f"INSERT INTO {table} VALUES (1)"))
    with pytest.warns(SAWarning, match="the current account is restored, and no longer") as told:
        manager.restore("of_account", moment, level="account")
    assert {"of_a", "of_own"} <= set(str(told[0].message).replace(",", "").replace(":", "").split())
    with tenant.connect() as conn:
        for table in ("a.parent", "a.free"):
            assert conn.execute(text(f"SELECT * FROM {table}")).all() == [], table
    assert {p.name: str(p.status) for p in get_pitrs(tenant, with_status=True)} == {
        "of_account": "active",
        "of_a": "detached",
        "of_own": "detached",
    }
