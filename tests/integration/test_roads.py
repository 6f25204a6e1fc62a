"""By which statements policies are read and changed, and how connections are given back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from sqlalchemy_matrixone_pitr import Pitr, PitrManager, get_pitrs
from tests.conftest import Server
from tests.proxy import Proxy

RECORDED = "^SELECT pitr_name, create_time"
SHOWN = "^SHOW PITR"


@pytest.fixture
def role(server: Server, prefix: str) -> Iterator[str]:
    """A role of sys that may show policies, and not read the catalogue; its user's name ends in
    ``_user``."""
    name = f"{prefix}_role"
    server.query(f"CREATE ROLE {name}")
    server.query(f"GRANT ALL ON ACCOUNT * TO {name}")
    server.query(f"CREATE USER {name}_user IDENTIFIED BY 'pw111' DEFAULT ROLE {name}")
    server.query(f"GRANT {name} TO {name}_user")
    yield name
    server.query(f"DROP USER {name}_user")
    server.query(f"DROP ROLE {name}")


def reads(proxy: Proxy) -> tuple[int, int]:
    """The numbers of reads of the catalogue, and of SHOW PITR."""
    return len(proxy.matching(RECORDED)), len(proxy.matching(SHOWN))


def test_both_roads_tell_the_same(
    proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    manager = PitrManager(proxied_engine)
    manager.create(Pitr.database(f"{prefix}_d", "7d", database_name=database))
    with proxied_engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
    manager.create(Pitr.table(f"{prefix}_t", "t", "3mo", database_name=database))
    of_sys: list[dict[str, Any]] = [
        {},
        {"database_name": database},
        {"level": "table"},
        {"account_name": "sys"},
    ]
    for wanted in of_sys:
        proxy.clear()
        recorded = get_pitrs(proxied_engine, **wanted)
        shown = get_pitrs(proxied_engine, with_status=True, **wanted)  # by SHOW PITR
        assert reads(proxy) == (1, 1)
        assert recorded == shown
        assert [(pitr.created_time, pitr.modified_time) for pitr in recorded] == [
            (pitr.created_time, pitr.modified_time) for pitr in shown
        ]
    manager.delete(f"{prefix}_t")
    manager.delete(f"{prefix}_d")


def test_a_user_of_sys_who_may_not_read_the_catalogue(
    server: Server, proxy: Proxy, database: str, prefix: str, role: str
) -> None:
    PitrManager(create_engine(server.url())).create_database_pitr(prefix, database)
    engine = create_engine(
        server.url(user=f"sys:{role}_user:{role}", password="pw111", port=proxy.port)
    )
    manager = PitrManager(engine)
    assert manager.get(prefix).database_name == database
    assert [pitr.name for pitr in manager.list(database_name=database)] == [prefix]
    assert reads(proxy) == (0, 2)
    engine.dispose()


def test_a_role_that_is_changed_later(
    server: Server, proxy: Proxy, database: str, prefix: str, role: str
) -> None:
    server.query(f"GRANT {role} TO dump")
    engine = create_engine(server.url(port=proxy.port), pool_size=1, max_overflow=0)  # one session
    manager = PitrManager(engine)
    manager.create_database_pitr(prefix, database)
    assert manager.exists(prefix)
    assert reads(proxy) == (1, 0)
    with engine.connect() as conn:
        conn.exec_driver_sql(f"SET ROLE {role}")
    for count in (1, 2):
        assert manager.get(prefix).created_time is not None
        assert reads(proxy) == (2, count)  # it is refused once
    engine.dispose()
    PitrManager(create_engine(server.url())).delete(prefix)


def test_an_asterisk_is_asked_of_show_pitr(
    proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    """In the catalogue there is an empty text."""
    PitrManager(proxied_engine).create_database_pitr(prefix, database)
    assert prefix in [pitr.name for pitr in get_pitrs(proxied_engine, table_name="*")]
    assert reads(proxy) == (0, 1)


def select_one(dbapi_connection: Any, *_: object) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("SELECT 1")
    cursor.fetchall()
    cursor.close()


@pytest.mark.parametrize("when", ["connect", "checkout"])
def test_a_listener_of_the_pool_may_leave_a_transaction_open(
    server: Server, database: str, prefix: str, when: str
) -> None:
    """The transaction ends before a PITR statement is sent."""
    engine = create_engine(server.url(database=database))
    event.listen(engine, when, select_one)
    use_thrice(engine, database, prefix)


def test_a_listener_of_the_engine_may_leave_a_transaction_open(
    server: Server, database: str, prefix: str
) -> None:
    engine = create_engine(server.url(database=database))

    @event.listens_for(engine, "engine_connect")
    def select(connection: Any) -> None:
        select_one(connection.connection)

    use_thrice(engine, database, prefix)


@pytest.mark.parametrize("reset", ["commit", None])
def test_a_pool_may_not_roll_back(
    server: Server, database: str, prefix: str, reset: str | None
) -> None:
    engine = create_engine(server.url(database=database), pool_reset_on_return=reset)
    for _ in range(2):
        connection = engine.raw_connection()
        select_one(connection)
        connection.close()
    use_thrice(engine, database, prefix)


def use_thrice(engine: Engine, database: str, prefix: str) -> None:
    manager = PitrManager(engine)
    for _ in range(3):
        manager.create_database_pitr(prefix, database)
        assert manager.alter(prefix, "9d").range_value == 9
        assert [pitr.name for pitr in manager.list(database_name=database)] == [prefix]
        assert manager.delete(prefix)
        assert not manager.exists(prefix)
    engine.dispose()


def test_an_interrupted_rollback_gives_the_connection_up(
    server: Server, proxy: Proxy, database: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer would be taken for that of the next statement."""
    engine = create_engine(server.url(database=database, port=proxy.port))
    manager = PitrManager(engine)
    real = engine.dialect.loaded_dbapi.cursors.Cursor.execute

    def interrupted(cursor: Any, statement: str, parameters: Any = None) -> Any:
        if statement == "ROLLBACK":
            raise KeyboardInterrupt
        return real(cursor, statement, parameters)

    monkeypatch.setattr(engine.dialect.loaded_dbapi.cursors.Cursor, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        manager.create_database_pitr(prefix, database)
    monkeypatch.undo()
    before = len(proxy.by_connection)
    assert not manager.exists(prefix)
    assert len(proxy.by_connection) == before + 1
    engine.dispose()
