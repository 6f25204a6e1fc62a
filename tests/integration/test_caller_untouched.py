"""RESTORE and AUTOCOMMIT leave the caller's own work alone, and survive a dead connection."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SAWarning

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    Pitr,
    PitrManager,
    PitrTransactionError,
    RestorePitr,
    TransactionPitrManager,
)
from tests.clock import server_now, wait
from tests.combinations import SYNC_SCHEMES
from tests.conftest import Server
from tests.proxy import Proxy


@pytest.fixture
def moment(engine: Engine, database: str, prefix: str) -> dt.datetime:
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(text("CREATE TABLE u (id INT PRIMARY KEY)"))
    PitrManager(engine).create_database_pitr(prefix, database)
    wait(engine, 1.1)
    return server_now(engine)


def test_what_a_cursor_wrote_is_not_rolled_back(
    engine: Engine, server: Server, database: str, prefix: str, moment: dt.datetime
) -> None:
    """RESTORE would wait for its rows for ever: it is refused, and they are the caller's still."""
    with engine.connect() as conn:
        cursor = conn.connection.cursor()
        cursor.execute("INSERT INTO u VALUES (1)")
        for restore in (
            lambda: conn.execute(RestorePitr(prefix, moment, table="t")),
            lambda: TransactionPitrManager(conn).restore(prefix, moment, table="t"),
        ):
            with pytest.raises(PitrTransactionError, match="a cursor of the driver's"):
                restore()
        cursor.close()
        conn.connection.commit()
        assert server.query("SELECT id FROM u", database) == [(1,)]
        conn.execute(RestorePitr(prefix, moment, table="t"))
    assert server.query("SELECT id FROM u", database) == [(1,)]


@pytest.mark.parametrize("scheme", SYNC_SCHEMES)
def test_a_begin_sent_as_text_is_not_committed(
    engine: Engine,
    server: Server,
    database: str,
    prefix: str,
    moment: dt.datetime,
    scheme: str,
) -> None:
    made = create_engine(server.url(scheme, database), isolation_level="AUTOCOMMIT")
    with made.connect() as conn:
        conn.execute(RestorePitr(prefix, moment, table="t"))  # AUTOCOMMIT is real from here on
        conn.execute(text("INSERT INTO u VALUES (1)"))
        conn.execute(text("BEGIN"))
        conn.execute(text("INSERT INTO u VALUES (2)"))
        with pytest.raises(PitrTransactionError, match="BEGIN sent as text"):
            conn.execute(RestorePitr(prefix, moment, table="t"))
        with pytest.raises(PitrTransactionError):
            conn.execute(CreatePitr(Pitr.table(f"{prefix}_t", "t", "7d")))
        conn.execute(text("ROLLBACK"))
        conn.execute(RestorePitr(prefix, moment, table="t"))
    made.dispose()
    assert server.query("SELECT id FROM u", database) == [(1,)]


def test_a_restore_says_nothing_on_the_callers_connection(
    server: Server, proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    PitrManager(proxied_engine).create_database_pitr(prefix, database)
    wait(server, 1.1)
    moment = server_now(proxied_engine)
    proxied_engine.dispose()  # the proxy has forgotten its connections
    with proxied_engine.connect() as conn:
        number = conn.connection.driver_connection.thread_id()  # type: ignore[union-attr]
        conn.exec_driver_sql("SET @mine = 5")
        conn.rollback()
        [mine] = [log for log in proxy.by_connection if "SET @mine = 5" in log]
        said = len(mine)
        with pytest.warns(SAWarning, match="no longer protected"):
            conn.execute(RestorePitr(prefix, moment, database=database))
        assert set(mine[said:]) <= {"SELECT DATABASE()"}
        assert int(conn.exec_driver_sql("SELECT @mine").scalar_one()) == 5
        assert conn.connection.driver_connection.thread_id() == number  # type: ignore[union-attr]


@pytest.mark.parametrize("way", ["create_engine", "engine.execution_options"])
@pytest.mark.parametrize("scheme", SYNC_SCHEMES)
def test_a_dead_connection_of_the_pool_is_replaced(
    server: Server, database: str, prefix: str, proxy: Proxy, scheme: str, way: str
) -> None:
    """AUTOCOMMIT engines say something when a connection is taken."""
    url = server.url(scheme, database, port=proxy.port)
    if way == "create_engine":
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
    else:
        engine = create_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    if (scheme, way) == ("mysql+pymysql", "engine.execution_options"):
        pytest.skip("SQLAlchemy's own statement fails first, as the driver raises it")
    first, second = engine.connect(), engine.connect()
    first.execute(CreatePitr(Pitr.database(prefix, "7d")))
    first.close()
    second.close()
    proxy.kill()
    for number in range(3):
        try:
            conn = engine.connect()
        except DBAPIError as error:
            pytest.fail(f"connection {number}: {error}")
        with conn:
            if way == "create_engine" and scheme == "matrixone+pymysql" and number == 0:
                # nothing is said at checkout: found dead at the first statement, as everywhere
                with pytest.raises(DBAPIError):
                    conn.execute(text("SELECT 1"))
                continue
            assert str(conn.execute(text("SELECT @@autocommit")).scalar()) in ("1", "ON")
    with engine.connect() as conn, engine.connect() as other:
        assert conn.execute(text("SELECT 1")).scalar() == 1
        assert other.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_a_dead_connection_is_a_wrapped_error_where_autocommit_is_set_on_it(
    server: Server, database: str, proxy: Proxy
) -> None:
    """The connection may have had a state of its own: it is not replaced in silence."""
    engine = create_engine(server.url("matrixone+pymysql", database, port=proxy.port))
    conn = engine.connect()
    proxy.kill()
    with pytest.raises(DBAPIError) as caught:
        conn.execution_options(isolation_level="AUTOCOMMIT")
    assert caught.value.connection_invalidated
    conn.close()
    with engine.connect() as conn:
        assert conn.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_the_replaced_connection_is_no_autocommit_one_for_the_next(
    server: Server, database: str, proxy: Proxy
) -> None:
    plain = create_engine(server.url("matrixone+pymysql", database, port=proxy.port))
    engine = plain.execution_options(isolation_level="AUTOCOMMIT")
    engine.connect().close()
    proxy.kill()
    with engine.connect() as conn:
        assert str(conn.execute(text("SELECT @@autocommit")).scalar()) in ("1", "ON")
    with plain.connect() as conn:
        assert str(conn.execute(text("SELECT @@autocommit")).scalar()) in ("0", "OFF")
    plain.dispose()
