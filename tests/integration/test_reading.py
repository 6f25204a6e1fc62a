"""get_pitrs, get_recovery_windows, status, times and restore against a server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, column as sa_column, create_engine, inspect, select, table, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    CreatePitr,
    DropPitr,
    Pitr,
    PitrLevel,
    PitrManager,
    PitrNotFoundError,
    PitrPermissionError,
    PitrRestoreError,
    PitrStatus,
    PitrTargetError,
    PitrUnsupportedError,
    PitrValidationError,
    RestorePitr,
    get_pitrs,
    get_recovery_windows,
)
from tests.clock import wait
from tests.conftest import Say, Server
from tests.proxy import Proxy

T = table("t", sa_column("id"))


def own(engine: Engine, prefix: str, **filters: str) -> list[Pitr]:
    return [p for p in get_pitrs(engine, **filters) if p.name.startswith(prefix)]  # type: ignore[arg-type]


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def status(engine: Engine, name: str) -> PitrStatus | None:
    return {p.name: p.status for p in get_pitrs(engine, with_status=True)}[name]


@pytest.fixture
def manager(engine: Engine) -> PitrManager:
    execute(engine, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)")
    return PitrManager(engine)


def test_round_trip_of_levels(manager: PitrManager, engine: Engine, prefix: str) -> None:
    declared = [
        manager.create_account_pitr(f"{prefix}_a", range_value=3, range_unit="mo"),
        manager.create_database_pitr(f"{prefix}_D", prefix, 2, "y"),
        manager.create_table_pitr(f"{prefix}_t", prefix, "T", 12, "H"),
    ]
    found = own(engine, prefix)
    assert sorted(found, key=lambda p: p.name) == sorted(declared, key=lambda p: p.name)
    assert all(p.status is None and p.created_time is not None for p in found)


def test_filters_are_the_servers(manager: PitrManager, engine: Engine, prefix: str) -> None:
    manager.create_account_pitr(f"{prefix}_a")
    manager.create_database_pitr(f"{prefix}_d", prefix)
    manager.create_table_pitr(f"{prefix}_t", prefix, "t")
    manager.create_table_pitr(f"{prefix}_u", prefix, "u")

    def names(**filters: str) -> list[str]:
        return sorted(p.name.removeprefix(prefix) for p in own(engine, prefix, **filters))

    assert names() == ["_a", "_d", "_t", "_u"]
    assert names(level="TABLE") == ["_t", "_u"]
    assert names(level="table", table_name="T") == ["_t"]
    assert names(database_name=prefix.upper()) == ["_d", "_t", "_u"]
    assert names(database_name="x%") == []
    assert names(account_name="nobody") == []
    assert [p.name for p in manager.list(PitrLevel.DATABASE, database_name=prefix)] == [
        f"{prefix}_d"
    ]
    for bad in ("it's", "a\\b", ""):
        with pytest.raises(PitrValidationError):
            get_pitrs(engine, database_name=bad)


def test_newest_first(manager: PitrManager, engine: Engine, prefix: str) -> None:
    manager.create_table_pitr(f"{prefix}_b", prefix, "t")
    wait(engine, 1.1)
    manager.create_table_pitr(f"{prefix}_a", prefix, "u")
    manager.create_database_pitr(f"{prefix}_0", prefix)
    assert own(engine, prefix)[-1].name == f"{prefix}_b"


@pytest.mark.parametrize("zone", ["+08:00", "-05:30", "SYSTEM"])
def test_times_are_utc_whatever_the_sessions_zone(
    server: Server, manager: PitrManager, database: str, prefix: str, zone: str
) -> None:
    before = _server_now(server)
    manager.create_database_pitr(prefix, database)
    after = _server_now(server)
    init = {"init_command": f"SET time_zone = '{zone}'"}
    engine = create_engine(server.url(database=database), connect_args=init)
    (found,) = get_pitrs(engine, database_name=database)
    assert found.created_time is not None
    second = dt.timedelta(seconds=1)
    assert before - second <= found.created_time <= after + second
    with engine.connect() as conn:
        get_pitrs(conn)
        assert conn.exec_driver_sql("SELECT @@time_zone").scalar() == zone
    engine.dispose()


def _server_now(server: Server) -> dt.datetime:
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute("SELECT now(6)")
        (now,) = cursor.fetchone()
    connection.close()
    assert isinstance(now, dt.datetime)
    return now.replace(tzinfo=dt.UTC)


def test_bind_kinds(manager: PitrManager, engine: Engine, prefix: str) -> None:
    manager.create_database_pitr(prefix, prefix)
    with Session(engine) as session, engine.connect() as conn:
        for bind in (engine, conn, session):
            assert [p.name for p in get_pitrs(bind, database_name=prefix)] == [prefix]
        session.execute(text("INSERT INTO t VALUES (1)"))
        assert get_pitrs(session, database_name=prefix)
        session.rollback()
        assert session.scalar(select(T)) is None
    with pytest.raises(PitrValidationError, match="takes an Engine"):
        get_pitrs("mysql://")  # type: ignore[arg-type]


def test_recovery_windows(manager: PitrManager, engine: Engine, prefix: str) -> None:
    manager.create_table_pitr(f"{prefix}_t", prefix, "t", 7, "d")
    windows = get_recovery_windows(engine, database_name=prefix, table_name="t")
    assert [(w.database_name, w.table_name, w.source, w.source_name) for w in windows] == [
        (prefix, "t", "pitr", f"{prefix}_t")
    ]
    (window,) = windows
    assert window.start.tzinfo is dt.UTC
    assert window.start <= window.end
    with engine.connect() as conn:
        now = conn.exec_driver_sql("SELECT unix_timestamp()").scalar_one()
    assert abs(window.end.timestamp() - float(now)) < 5
    assert [w.account_name for w in get_recovery_windows(engine) if w.database_name == prefix] == [
        None
    ]
    with pytest.raises(PitrValidationError, match="database_name"):
        get_recovery_windows(engine, table_name="t")


def test_status_of_what_changes(manager: PitrManager, engine: Engine, prefix: str) -> None:
    manager.create_account_pitr(f"{prefix}_a")
    manager.create_database_pitr(f"{prefix}_d", prefix)
    manager.create_table_pitr(f"{prefix}_t", prefix, "t")
    manager.create_table_pitr(f"{prefix}_u", prefix, "u")
    names = [f"{prefix}_{letter}" for letter in "adtu"]
    assert {status(engine, name) for name in names} == {PitrStatus.ACTIVE}
    execute(engine, "ALTER TABLE t ADD COLUMN note VARCHAR(20)", "CREATE INDEX i ON u (id)")
    assert [status(engine, name) for name in names] == [
        PitrStatus.ACTIVE,
        PitrStatus.ACTIVE,
        PitrStatus.DETACHED,
        PitrStatus.ACTIVE,
    ]
    execute(engine, "TRUNCATE TABLE u")
    assert status(engine, f"{prefix}_u") is PitrStatus.DETACHED
    execute(engine, f"DROP DATABASE {prefix}")
    assert status(engine, f"{prefix}_d") is PitrStatus.DETACHED


def test_status_of_a_pitr_made_after_a_rebuild(
    server: Server, manager: PitrManager, engine: Engine, prefix: str
) -> None:
    """By text, 4.x then records the id the table was made with, which is not the one it has."""
    execute(engine, "ALTER TABLE t ADD COLUMN note VARCHAR(20)")
    server.query(f"CREATE PITR {prefix} FOR TABLE {prefix} t RANGE 7 'd'")
    expected = PitrStatus.DETACHED if server.version >= (4,) else PitrStatus.ACTIVE
    assert status(engine, prefix) is expected
    manager.delete(prefix)
    manager.create_table_pitr(prefix, prefix, "t")
    assert status(engine, prefix) is PitrStatus.ACTIVE


def test_rows_deleted_by_mistake_come_back(
    server: Server, manager: PitrManager, engine: Engine, database: str, prefix: str
) -> None:
    manager.create_database_pitr(prefix, database)
    execute(engine, "INSERT INTO t VALUES (1), (2), (3)", "INSERT INTO u VALUES (1)")
    moment = _now(server)
    execute(engine, "DELETE FROM t WHERE id > 1", "DELETE FROM u")
    zone = dt.timezone(dt.timedelta(hours=9))
    with engine.connect() as conn:
        conn.execute(RestorePitr(prefix, moment.astimezone(zone), table="t"))
        assert conn.get_transaction() is None
        with conn.begin():
            assert list(conn.scalars(select(T).order_by(T.c.id))) == [1, 2, 3]
            assert conn.execute(text("SELECT count(*) FROM u")).scalar() == 0
    with pytest.warns(SAWarning, match=f"no longer protected by {prefix}"):
        manager.restore(prefix, moment, database=database)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM u")).scalar() == 1


def _now(server: Server) -> dt.datetime:
    """A moment on the server's clock with something on both sides of it."""
    wait(server, 0.3)
    now = _server_now(server)
    wait(server, 0.3)
    return now


def test_restores_that_are_refused(
    server: Server, manager: PitrManager, engine: Engine, database: str, prefix: str
) -> None:
    manager.create_table_pitr(prefix, database, "t")
    moment = _now(server)
    year = dt.timedelta(days=366)
    with pytest.raises(PitrNotFoundError):
        manager.restore(f"{prefix}_none", moment, database=database, table="t")
    for bad in (
        {"at": moment - year, "database": database, "table": "t"},
        {"at": moment + year, "database": database, "table": "t"},
        {"at": moment, "database": database},
        {"at": moment, "level": "account"},
        {"at": "2026-02-31 00:00:00", "database": database, "table": "t"},
    ):
        with pytest.raises(PitrRestoreError):
            manager.restore(prefix, **bad)
    with pytest.raises(PitrValidationError, match="naive"):
        manager.restore(prefix, dt.datetime(2026, 1, 1), database=database)


@pytest.mark.parametrize("year", [1, 1960, 9999])
def test_moments_outside_the_servers_calendar(
    server: Server, manager: PitrManager, database: str, prefix: str, year: int
) -> None:
    manager.create_table_pitr(prefix, database, "t")
    moment = dt.datetime(year, 12, 31, tzinfo=dt.UTC)
    with pytest.raises(PitrRestoreError):
        manager.restore(prefix, moment, database=database, table="t")


def test_a_range_of_nothing_is_read_but_never_sent(
    server: Server, manager: PitrManager, engine: Engine, database: str, prefix: str
) -> None:
    manager.create_database_pitr(prefix, database)
    server.query(f"ALTER PITR {prefix} RANGE 0 'd'")  # the server takes it
    found = manager.get(prefix)
    assert found.range_value == 0
    for make in (
        lambda: AlterPitr(prefix, found.range),
        lambda: CreatePitr(found),
        lambda: Pitr.account(prefix, found.range),
    ):
        with pytest.raises(PitrValidationError, match="no protection"):
            make()


def test_other_databases_are_refused_before_they_are_asked() -> None:
    sqlite = create_engine("sqlite://")
    manager = PitrManager(sqlite)
    for call in (
        lambda: get_pitrs(sqlite),
        lambda: get_recovery_windows(sqlite),
        lambda: manager.exists("p"),
        lambda: manager.list(),
    ):
        with pytest.raises(PitrUnsupportedError, match="sqlite"):
            call()
    sqlite.dispose()
    with pytest.raises(PitrValidationError):
        get_pitrs(create_engine("matrixone+pymysql://x:y@127.0.0.1:1/"), level="planet")


def test_create_refusals(manager: PitrManager, engine: Engine, database: str, prefix: str) -> None:
    with pytest.raises(PitrTargetError):
        manager.create_database_pitr(prefix, f"{prefix}_missing")
    with pytest.raises(PitrTargetError):
        manager.create_table_pitr(prefix, database, "missing")
    with pytest.raises(PitrTargetError):
        manager.create_account_pitr(prefix, f"{prefix}_missing")
    assert own(engine, prefix) == []


@pytest.fixture
def tenant(server: Server, prefix: str) -> Iterator[Callable[[str | None], Engine]]:
    """An account of the test's own, and engines of its administrator."""
    account = f"{prefix}_acc"
    server.query(f"CREATE ACCOUNT {account} ADMIN_NAME 'root' IDENTIFIED BY 'pw111'")
    engines: list[Engine] = []

    def connect(database: str | None = None) -> Engine:
        url = server.url(database=database, user=f"{account}:root", password="pw111")
        engines.append(create_engine(url))
        return engines[-1]

    yield connect
    for engine in engines:
        engine.dispose()
    server.query(f"DROP ACCOUNT IF EXISTS {account}")


def test_another_account(
    server: Server,
    manager: PitrManager,
    tenant: Callable[[str | None], Engine],
    prefix: str,
) -> None:
    first = tenant(None)
    execute(first, f"CREATE DATABASE {prefix}_shop")
    engine = tenant(f"{prefix}_shop")
    execute(engine, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)")
    theirs = PitrManager(engine)
    execute(engine, "CREATE TABLE r (id INT PRIMARY KEY)")
    execute(engine, "ALTER TABLE r ADD COLUMN note INT")
    wait(engine, 1.1)  # their creation and the PITRs' fall into different seconds
    theirs.create_table_pitr(f"{prefix}_r", f"{prefix}_shop", "r")
    # how it was made is told by nothing that this account can read
    rebuilt = PitrStatus.UNKNOWN if server.version >= (4,) else PitrStatus.ACTIVE
    theirs.create_account_pitr(f"{prefix}_a")
    theirs.create_database_pitr(f"{prefix}_d", f"{prefix}_shop")
    theirs.create_table_pitr(f"{prefix}_t", f"{prefix}_shop", "t")
    theirs.create_table_pitr(f"{prefix}_u", f"{prefix}_shop", "u")
    assert [p.account_name for p in theirs.list(level="account")] == [None]

    # names are per account: sys uses the same one, for their account
    sys_one = manager.create_account_pitr(f"{prefix}_a", f"{prefix}_ACC")
    assert manager.get(f"{prefix}_a") == sys_one
    assert sys_one.account_name == f"{prefix}_acc"
    assert [p.name for p in manager.list(account_name=f"{prefix}_acc")] == [f"{prefix}_a"]
    assert not manager.exists(f"{prefix}_d")

    # which PITR stands beside which table is left to chance by the server
    for named in (None, f"{prefix}_ACC"):
        windows = get_recovery_windows(engine, account_name=named)
        assert {w.account_name for w in windows} == {None}
    with pytest.raises(PitrPermissionError):
        get_recovery_windows(engine, account_name="sys")

    with pytest.raises(PitrPermissionError):
        theirs.create_cluster_pitr(f"{prefix}_c")
    with pytest.raises(PitrPermissionError):
        theirs.create_account_pitr(f"{prefix}_x", f"{prefix}_acc")

    found = {p.name[-1]: p.status for p in get_pitrs(engine, with_status=True)}
    assert found == {**dict.fromkeys("adtu", PitrStatus.ACTIVE), "r": rebuilt}
    wait(engine, 1.1)
    execute(engine, "ALTER TABLE t ADD COLUMN note INT", "CREATE INDEX i ON u (id)")
    found = {p.name[-1]: p.status for p in get_pitrs(engine, with_status=True)}
    assert found == {
        "a": PitrStatus.ACTIVE,
        "d": PitrStatus.ACTIVE,
        "t": PitrStatus.DETACHED,
        "u": PitrStatus.ACTIVE,
        "r": rebuilt,
    }
    execute(engine, "DROP TABLE u")
    assert status(engine, f"{prefix}_u") is PitrStatus.DETACHED
    with engine.begin() as conn:
        for letter in "adtur":
            conn.execute(DropPitr(f"{prefix}_{letter}"))


@pytest.mark.one_version
def test_the_status_of_what_is_dropped_meanwhile_is_unknown(
    proxied_engine: Engine, proxy: Proxy, prefix: str, say_beside: Say
) -> None:
    manager = PitrManager(proxied_engine)
    manager.create(Pitr.account(prefix, "1d"))
    proxy.on("obj_id, pitr_status_changed", lambda: say_beside(f"DROP PITR {prefix}"))
    [found] = [p for p in get_pitrs(proxied_engine, with_status=True) if p.name == prefix]
    assert found.status is PitrStatus.UNKNOWN
    assert [p for p in manager.list() if p.name == prefix] == []


def test_unknown_is_an_honest_answer(tenant: Callable[[str | None], Engine], prefix: str) -> None:
    """Table and PITR of one second: the account cannot tell which came first."""
    execute(tenant(None), f"CREATE DATABASE {prefix}_shop")
    engine = tenant(f"{prefix}_shop")
    for attempt in range(5):
        name = f"{prefix}_{attempt}"
        with engine.begin() as conn:
            conn.execute(text(f"CREATE TABLE t{attempt} (id INT PRIMARY KEY)"))
            conn.execute(CreatePitr(Pitr.table(name, f"t{attempt}", "7d")))
        with engine.connect() as conn:
            made = conn.exec_driver_sql(
                "SELECT created_time FROM mo_catalog.mo_tables "
                f"WHERE reldatabase = '{prefix}_shop' AND relname = 't{attempt}'"
            ).scalar_one()
        (found,) = [p for p in get_pitrs(engine, with_status=True) if p.name == name]
        assert found.created_time is not None
        if str(made)[:19] == str(found.created_time)[:19]:
            assert found.status is PitrStatus.UNKNOWN
            break
        assert found.status is PitrStatus.ACTIVE
    else:
        pytest.fail("five transactions in a row crossed a second")
    manager = PitrManager(engine)
    for pitr in manager.list():
        manager.delete(pitr.name)


def test_inspector(server: Server, database: str, prefix: str) -> None:
    engine = create_engine(server.url(database=database))
    PitrManager(engine).create_database_pitr(prefix, database)
    inspector: Any = inspect(engine)
    (found,) = inspector.get_pitrs(database_name=database, with_status=True)
    assert (found.name, found.status) == (prefix, PitrStatus.ACTIVE)
    with engine.connect() as conn:
        inspector = inspect(conn)
        assert inspector.get_pitrs(database_name=database) == [found]
    engine.dispose()
