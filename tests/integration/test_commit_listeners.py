"""Listeners of the user's at the commit: ours come first and last, whenever they were added."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import PendingRollbackError

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    DropPitr,
    Pitr,
    PitrManager,
    PitrTransactionError,
    TransactionPitrManager,
    pending_pitrs,
)
from tests.conftest import Server
from tests.proxy import Proxy

Names = Callable[[], list[str]]
Listener = Callable[[Connection], None]

OLD = tuple(map(int, sqlalchemy.__version__.split(".")[:3])) < (2, 0, 38)


class Veto(Exception):
    pass


def veto(conn: Connection) -> None:
    raise Veto


@pytest.fixture(autouse=True)
def tables(server: Server, database: str) -> None:
    server.query("CREATE TABLE t (id INT PRIMARY KEY)", database)
    server.query("CREATE TABLE audit (id INT PRIMARY KEY)", database)


@pytest.fixture
def rows(server: Server, database: str) -> Callable[[str], int]:
    def count(table: str = "t") -> int:
        return int(str(server.query(f"SELECT count(*) FROM {table}", database)[0][0]))

    return count


Rows = Callable[[str], int]


@pytest.fixture(params=["connection", "option engine", "engine", "class"])
def listen(
    request: pytest.FixtureRequest, matrixone_engine: Engine
) -> Callable[[Connection, Listener], Callable[[], None]]:
    """Adds a commit listener in one of the ways there are; what it returns removes it again."""

    def add(conn: Connection, listener: Listener) -> Callable[[], None]:
        target: object = matrixone_engine
        if request.param == "connection":
            if "logging_token" in conn.engine.get_execution_options() and OLD:
                pytest.skip("no listeners there before SQLAlchemy 2.0.38")
            target = conn
        elif request.param == "option engine":
            target = conn.engine
        elif request.param == "class":
            target = Engine
        event.listen(target, "commit", listener)
        assert event.contains(target, "commit", listener)
        return lambda: event.remove(target, "commit", listener)

    return add


Listen = Callable[[Connection, Listener], Callable[[], None]]


# ----------------------------------------------------------- nothing is accepted once it has begun


@pytest.mark.parametrize(
    ("used_before", "with_queue"), [(False, False), (True, False), (True, True)]
)
def test_a_statement_in_a_commit_listener(
    matrixone_engine: Engine,
    prefix: str,
    pitr_names: Names,
    rows: Rows,
    listen: Listen,
    used_before: bool,
    with_queue: bool,
) -> None:
    if used_before:
        with matrixone_engine.begin() as conn:
            conn.execute(DropPitr(prefix, if_exists=True))
    with matrixone_engine.execution_options(logging_token="x").connect() as conn:

        def late(connection: Connection) -> None:
            connection.execute(CreatePitr(Pitr.database(prefix, "7d")))

        remove = listen(conn, late)
        conn.execute(text("INSERT INTO t VALUES (1)"))
        if with_queue:
            conn.execute(CreatePitr(Pitr.account(f"{prefix}_a", "7d")))
        with pytest.raises(PitrTransactionError, match="being committed"):
            conn.commit()
        remove()
        with pytest.raises(PendingRollbackError):
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        conn.rollback()
        assert pitr_names() == []
        assert rows("t") == 0
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        conn.commit()
    assert pitr_names() == [prefix]


@pytest.mark.parametrize("kind", ["PitrManager", "TransactionPitrManager"])
def test_a_listener_of_a_fresh_engine_calls_a_manager_first(
    engine: Engine, prefix: str, pitr_names: Names, kind: str
) -> None:
    def late(connection: Connection) -> None:
        if kind == "PitrManager":
            PitrManager(engine).create_account_pitr(f"{prefix}_at_once")
        else:
            assert not TransactionPitrManager(connection).exists(prefix)
        connection.execute(CreatePitr(Pitr.database(prefix, "7d")))

    event.listen(engine, "commit", late)
    with engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        with pytest.raises(PitrTransactionError, match="being committed"):
            conn.commit()
    assert pitr_names() == ([f"{prefix}_at_once"] if kind == "PitrManager" else [])


@pytest.mark.parametrize("identifier", ["before_cursor_execute", "after_cursor_execute"])
def test_a_statement_in_a_listener_of_what_is_being_sent(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, identifier: str
) -> None:
    refused: list[PitrTransactionError] = []

    def late(conn: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("CREATE PITR"):
            with pytest.raises(PitrTransactionError, match="being committed") as caught:
                conn.execute(CreatePitr(Pitr.account(f"{prefix}_b", "7d")))
            refused.append(caught.value)

    event.listen(matrixone_engine, identifier, late)
    with matrixone_engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(f"{prefix}_a", "7d")))
    assert len(refused) == 1
    assert pitr_names() == [f"{prefix}_a"]


def test_another_connection_in_a_commit_listener_is_free(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    def beside_once(connection: Connection) -> None:
        if not done:
            done.append(1)
            with matrixone_engine.begin() as other:
                other.execute(CreatePitr(Pitr.database(f"{prefix}_b", "7d")))

    done: list[int] = []
    event.listen(matrixone_engine, "commit", beside_once)
    with matrixone_engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.account(f"{prefix}_a", "7d")))
    assert pitr_names() == [f"{prefix}_a", f"{prefix}_b"]


# ------------------------------------------------------------------------ ours run after all others


def test_a_veto_leaves_neither_rows_nor_policy(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, rows: Rows, listen: Listen
) -> None:
    with matrixone_engine.execution_options(logging_token="x").connect() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        conn.execute(text("INSERT INTO t VALUES (1)"))
        remove = listen(conn, veto)
        with pytest.raises(Veto):
            conn.commit()
        remove()
        conn.rollback()
    assert pitr_names() == []
    assert rows("t") == 0


def test_an_audit_row_is_of_the_same_transaction(
    proxied_engine: Engine, proxy: Proxy, prefix: str, pitr_names: Names, rows: Rows
) -> None:
    with proxied_engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.account(prefix, "7d")))

        @event.listens_for(proxied_engine, "commit", named=True)
        def audit(**kw: Connection) -> None:
            kw["conn"].execute(text("INSERT INTO audit VALUES (1)"))

        conn.commit()
        event.remove(proxied_engine, "commit", audit)
    assert rows("audit") == 1
    assert pitr_names() == [prefix]
    start = proxy.statements.index("INSERT INTO audit VALUES (1)")
    assert proxy.statements[start + 1] == "COMMIT"
    assert proxy.statements[start + 2].startswith("CREATE PITR")


def test_users_listeners_are_called_as_on_an_engine_without_pitr(
    server: Server, database: str, prefix: str
) -> None:
    called: dict[bool, list[str]] = {}
    for with_pitr in (False, True):
        engine = create_engine(server.url(database=database))
        if with_pitr:
            with engine.begin() as conn:
                conn.execute(DropPitr(prefix, if_exists=True))
        seen = called[with_pitr] = []
        listeners: list[Listener] = [
            lambda conn, seen=seen, name=name: seen.append(name)  # type: ignore[misc]
            for name in "abc"
        ]
        event.listen(engine, "commit", listeners[0])
        event.listen(engine, "commit", listeners[1], insert=True)
        event.listen(engine, "commit", listeners[2], once=True)
        for _ in range(2):
            with engine.begin() as conn:
                conn.execute(text("SELECT 1"))
        event.remove(engine, "commit", listeners[0])
        assert not event.contains(engine, "commit", listeners[0])
        with engine.begin() as conn:
            conn.execute(text("SELECT 1"))
        engine.dispose()
    assert called[True] == called[False]
    assert sorted(called[True]) == ["a", "a", "b", "b", "b", "c"]


def test_pending_pitrs_in_a_commit_listener(matrixone_engine: Engine, prefix: str) -> None:
    """An audit listener can tell what is going to be sent."""
    seen: list[list[object]] = []
    with matrixone_engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        event.listen(
            matrixone_engine, "commit", lambda conn: seen.append(list(pending_pitrs(conn)))
        )
        conn.commit()
    assert [len(waiting) for waiting in seen] == [1]


def test_an_engine_of_two_option_engines(server: Server, database: str, prefix: str) -> None:
    """A veto on one of them does not concern the other."""
    engine = create_engine(server.url(database=database))
    strict, plain = (engine.execution_options(logging_token=token) for token in "ab")
    with plain.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    event.listen(strict, "commit", veto)
    with pytest.raises(Veto), strict.begin() as conn:
        conn.execute(DropPitr(prefix))
    assert PitrManager(engine).exists(prefix)
    with plain.begin() as conn:
        conn.execute(DropPitr(prefix))
    assert not PitrManager(engine).exists(prefix)
    engine.dispose()
