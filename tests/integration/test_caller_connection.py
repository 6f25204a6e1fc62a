"""The caller's connection stays as it was: its autocommit, its work, its transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    func,
    select,
    table as from_name,
    text,
)
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    PitrManager,
    TablePitr,
    apply_plan,
    ensure_pitrs,
    get_pitrs,
    get_recovery_windows,
    plan_pitrs,
    prune_history,
    renew_pitr,
)
from sqlalchemy_matrixone_pitr.connections import autocommit_connection
from tests.conftest import Server

pytestmark = pytest.mark.all_combinations


def count(server: Server, database: str) -> object:
    return server.query("SELECT count(*) FROM t", database)[0][0]


@pytest.fixture
def metadata(server: Server, database: str, prefix: str) -> MetaData:
    server.query("CREATE TABLE t (id INT PRIMARY KEY)", database)
    made = MetaData()
    Table("t", made, Column("id", Integer, primary_key=True), TablePitr("7d", prefix))
    return made


def by_argument(engine_url: Any) -> Engine:
    return create_engine(engine_url, connect_args={"autocommit": True}, pool_size=1, max_overflow=0)


def by_listener(engine_url: Any) -> Engine:
    engine = create_engine(engine_url, pool_size=1, max_overflow=0)

    @event.listens_for(engine, "connect")
    def on(driver_connection: Any, record: Any) -> None:
        cursor = driver_connection.cursor()
        cursor.execute("SET autocommit = 1")
        cursor.close()

    return engine


def ensured(engine: Engine, metadata: MetaData, prefix: str) -> None:
    assert len(ensure_pitrs(engine, metadata).done) == 1


def applied(engine: Engine, metadata: MetaData, prefix: str) -> None:
    assert apply_plan(engine, plan_pitrs(engine, metadata), concurrency=1).ok


def managed(engine: Engine, metadata: MetaData, prefix: str) -> None:
    PitrManager(engine, serialize=True).create_account_pitr(prefix)
    renew_pitr(engine, prefix)
    prune_history(engine)


@pytest.mark.parametrize("make", [by_argument, by_listener], ids=lambda f: f.__name__)
@pytest.mark.parametrize("use", [ensured, applied, managed], ids=lambda f: f.__name__)
@pytest.mark.parametrize("scheme", ["mysql+pymysql", "matrixone+pymysql"])
def test_autocommit_is_put_back(
    server: Server,
    database: str,
    metadata: MetaData,
    prefix: str,
    scheme: str,
    make: Callable[[Any], Engine],
    use: Callable[..., None],
) -> None:
    engine = make(server.url(scheme, database))
    use(engine, metadata, prefix)
    connection = engine.raw_connection()
    connection.cursor().execute("INSERT INTO t VALUES (1)")
    assert count(server, database) == 1
    connection.close()
    engine.dispose()


def autocommit(connection: Connection) -> bool:
    """The server's own answer."""
    return str(connection.exec_driver_sql("SELECT @@autocommit").scalar_one()) in ("1", "ON")


def test_an_ordinary_connection_is_put_back(engine: Engine) -> None:
    for _ in range(2):
        with autocommit_connection(engine) as (connection, _number):
            raw = connection.connection.driver_connection
            assert autocommit(connection)
        with engine.connect() as conn:
            assert conn.connection.driver_connection is raw
            assert not autocommit(conn)


def reads(bind: Any, metadata: MetaData, database: str) -> None:
    get_pitrs(bind)
    get_pitrs(bind, with_status=True)
    plan_pitrs(bind, metadata)
    get_recovery_windows(bind, database_name=database)


@pytest.mark.parametrize("level", [None, "AUTOCOMMIT"])
def test_reads_leave_raw_work_alone(
    engine: Engine, server: Server, metadata: MetaData, database: str, level: str | None
) -> None:
    options = {} if level is None else {"isolation_level": level}
    with engine.connect().execution_options(**options) as conn:
        cursor = conn.connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t VALUES (1)")
        reads(conn, metadata, database)
        reads(Session(conn), metadata, database)
        cursor.execute("COMMIT")
        cursor.close()
        assert count(server, database) == 1
        assert not conn.in_transaction()
        with conn.begin():  # reading has begun nothing
            assert conn.scalar(select(func.count()).select_from(from_name("t"))) == 1


def test_reads_leave_a_transaction_alone(
    engine: Engine, server: Server, metadata: MetaData, database: str
) -> None:
    with engine.connect() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
        reads(conn, metadata, database)
        assert count(server, database) == 0
        conn.commit()
    assert count(server, database) == 1
