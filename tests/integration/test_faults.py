"""Dead sockets and interrupts at each point of the flush: nothing sent twice, all reported."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    Pitr,
    PitrAfterCommitError,
    PitrManager,
    PitrTargetError,
    PitrUnsupportedError,
    get_pitrs,
    pending_pitrs,
)
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy, When

READ = "^(SHOW PITR|SELECT pitr_name)"

Names = Callable[[], list[str]]


@pytest.fixture
def elements(server: Server, database: str, prefix: str) -> list[CreatePitr]:
    for letter in "abc":
        server.query(f"CREATE TABLE {letter} (id INT PRIMARY KEY)", database)
    return [
        CreatePitr(Pitr.table(f"{prefix}_{letter}", letter, "7d", database_name=database))
        for letter in "abc"
    ]


def outcome(error: PitrAfterCommitError) -> tuple[str, str, str, str]:
    """The last letters of the names: done, failed, unknown, not tried."""
    parts = (error.done, error.failed, error.unknown, error.not_tried)
    return tuple("".join(e.name[-1] for e in part) for part in parts)  # type: ignore[return-value]


# (statement that is cut, its number, before or after the server sees it) -> what is reported
CUTS: list[tuple[str, When, tuple[str, str, str, str], str]] = [
    ("_a` FOR", "before", ("", "", "a", "bc"), ""),
    ("_a` FOR", "after", ("", "", "a", "bc"), "a"),
    ("_b` FOR", "before", ("a", "", "b", "c"), "a"),
    ("_b` FOR", "after", ("a", "", "b", "c"), "ab"),
    ("_c` FOR", "before", ("ab", "", "c", ""), "ab"),
    ("_c` FOR", "after", ("ab", "", "c", ""), "abc"),
]


@pytest.mark.parametrize(("pattern", "when", "told", "there"), CUTS)
def test_socket_dies_at_a_statement(
    proxied_engine: Engine,
    proxy: Proxy,
    server: Server,
    elements: list[CreatePitr],
    prefix: str,
    pitr_names: Names,
    pattern: str,
    when: When,
    told: tuple[str, str, str, str],
    there: str,
) -> None:
    proxy.cut(pattern, when)
    with proxied_engine.connect() as conn:
        conn.execute(text("INSERT INTO a VALUES (1)"))
        for element in elements:
            conn.execute(element)
        with pytest.raises(PitrAfterCommitError) as caught:
            conn.commit()
        assert outcome(caught.value) == told
        conn.rollback()
        assert pending_pitrs(conn) == []
        assert conn.execute(text("SELECT count(*) FROM a")).scalar() == 1
        conn.commit()
    sent = proxy.matching("^CREATE PITR")
    assert len(sent) == len(set(sent))
    assert pitr_names() == [f"{prefix}_{letter}" for letter in left(server, when, told, there)]


def left(server: Server, when: When, told: tuple[str, str, str, str], there: str) -> str:
    """Letters of those there: on 4.x a table's statement is undone where its COMMIT is not sent."""
    undone = told[2] if server.version >= (4,) and when == "after" else ""
    return "".join(letter for letter in there if letter not in undone)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "after"])
def test_socket_dies_at_a_commit_between(
    proxied_engine: Engine,
    proxy: Proxy,
    server: Server,
    elements: list[CreatePitr],
    pitr_names: Names,
    number: int,
    when: When,
) -> None:
    """The COMMIT after the number-th statement: that statement is done all the same.

    But on 4.x, where it belongs to the transaction.
    """
    letter = "abc"[number - 1]
    done, unknown, there = "abc"[:number], "", "abc"[:number]
    if server.version >= (4,):
        done, unknown = "abc"[: number - 1], letter
        there = done + (letter if when == "after" else "")
    proxy.on(f"_{letter}` FOR", lambda: proxy.cut("^COMMIT", when))
    with proxied_engine.connect() as conn:
        for element in elements:
            conn.execute(element)
        with pytest.raises(PitrAfterCommitError) as caught:
            conn.commit()
        assert outcome(caught.value) == (done, "", unknown, "abc"[number:])
        conn.rollback()
    assert [name[-1] for name in pitr_names()] == list(there)


@pytest.mark.parametrize("when", ["before", "after"])
def test_socket_dies_at_the_commit_itself(
    proxied_engine: Engine,
    proxy: Proxy,
    elements: list[CreatePitr],
    pitr_names: Names,
    when: When,
) -> None:
    proxy.cut("^COMMIT", when)
    with proxied_engine.connect() as conn:
        for element in elements:
            conn.execute(element)
        with pytest.raises(DBAPIError) as caught:
            conn.commit()
        assert caught.value.connection_invalidated
        assert type(caught.value) is OperationalError
        assert "not sent: CREATE PITR" in caught.value.__notes__[0]
        conn.rollback()
        conn.execute(text("SELECT 1"))
        conn.commit()
    assert pitr_names() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_socket_dies_at_the_rollback_of_a_refusal(
    proxied_engine: Engine,
    proxy: Proxy,
    server: Server,
    database: str,
    elements: list[CreatePitr],
    pitr_names: Names,
    when: When,
) -> None:
    """The refusal is told; the connection is given up, and the next one is another."""
    server.query("DROP TABLE b", database)
    proxy.on("_b` FOR", lambda: proxy.cut("^ROLLBACK", when))
    with proxied_engine.connect() as conn:
        for element in elements:
            conn.execute(element)
        with pytest.raises(PitrAfterCommitError) as caught:
            conn.commit()
        assert outcome(caught.value) == ("a", "b", "", "c")
        assert isinstance(caught.value.__cause__, PitrTargetError)
        conn.rollback()
        assert conn.execute(text("SELECT 1")).scalar() == 1
        conn.commit()
    assert [name[-1] for name in pitr_names()] == ["a"]
    assert len(proxy.matching("^CREATE PITR")) == 2


def test_dead_server_is_not_retried(server: Server, database: str, prefix: str) -> None:
    proxy = Proxy(server.host, server.port)
    engine = create_engine(server.url(database=database, port=proxy.port))
    conn = engine.connect()
    conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    proxy.kill()
    with pytest.raises(DBAPIError):
        conn.commit()
    conn.close()
    with engine.begin() as again:
        again.execute(text("SELECT 1"))
    assert proxy.matching("^CREATE PITR") == []
    engine.dispose()
    proxy.close()


def test_control_c_between_and_inside_statements(
    proxied_engine: Engine,
    proxy: Proxy,
    elements: list[CreatePitr],
    prefix: str,
    pitr_names: Names,
    interrupt: Interrupt,
) -> None:
    # the interrupt arrives while the statement is on its way
    proxy.on("_b` FOR", lambda: interrupt(0.2))
    with proxied_engine.connect() as conn:
        for element in elements:
            conn.execute(element)
        with pytest.raises(KeyboardInterrupt) as caught:
            conn.commit()
        note = caught.value.__notes__[0]
        assert f"done: {elements[0]}" in note
        assert f"not tried: {elements[2]}" in note
        assert f"{prefix}_b" in note
        conn.rollback()
        assert conn.execute(text("SELECT 1")).scalar() == 1
        conn.commit()
    assert f"{prefix}_a" in pitr_names()
    assert f"{prefix}_c" not in pitr_names()


def test_control_c_between_statements(
    proxied_engine: Engine, elements: list[CreatePitr], prefix: str, pitr_names: Names
) -> None:
    @event.listens_for(proxied_engine, "before_cursor_execute")
    def interrupt(conn: object, cursor: object, statement: str, *_: object) -> None:
        if f"{prefix}_b" in statement:
            raise KeyboardInterrupt

    with proxied_engine.connect() as conn:
        for element in elements:
            conn.execute(element)
        with pytest.raises(KeyboardInterrupt) as caught:
            conn.commit()
        assert f"not tried: {elements[2]}" in caught.value.__notes__[0]
        conn.rollback()
        event.remove(proxied_engine, "before_cursor_execute", interrupt)
        assert conn.execute(text("SELECT 1")).scalar() == 1
    assert pitr_names() == [f"{prefix}_a"]


def test_error_of_a_listener_is_reported_too(
    proxied_engine: Engine, elements: list[CreatePitr], prefix: str, pitr_names: Names
) -> None:
    @event.listens_for(proxied_engine, "before_cursor_execute")
    def fail(conn: object, cursor: object, statement: str, *_: object) -> None:
        if f"{prefix}_b" in statement:
            raise ZeroDivisionError

    with proxied_engine.connect() as conn:
        for element in elements:
            conn.execute(element)
        with pytest.raises(PitrAfterCommitError) as caught:
            conn.commit()
        assert outcome(caught.value) == ("a", "", "b", "c")
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert pitr_names() == [f"{prefix}_a"]


@pytest.mark.parametrize(("pattern", "when", "told", "there"), CUTS[2:4])
def test_async_socket_dies(
    make_async_engine: Callable[..., AsyncEngine],
    proxy: Proxy,
    server: Server,
    elements: list[CreatePitr],
    pitr_names: Names,
    pattern: str,
    when: When,
    told: tuple[str, str, str, str],
    there: str,
) -> None:
    async def main() -> None:
        engine = make_async_engine(port=proxy.port)
        async with engine.connect() as conn:
            for element in elements:
                await conn.execute(element)
            proxy.cut(pattern, when)
            with pytest.raises(PitrAfterCommitError) as caught:
                await conn.commit()
            assert outcome(caught.value) == told
            await conn.rollback()
            assert (await conn.execute(text("SELECT 1"))).scalar() == 1
        await engine.dispose()

    asyncio.run(main())
    assert [name[-1] for name in pitr_names()] == list(left(server, when, told, there))


def test_lost_connections_of_managers_and_reads_pass_untouched(
    proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    manager = PitrManager(proxied_engine)
    proxy.cut("^CREATE PITR", "before")
    with pytest.raises(DBAPIError) as caught:
        manager.create_database_pitr(prefix, database)
    assert caught.value.connection_invalidated
    proxy.cut(READ, "after")
    with pytest.raises(DBAPIError):
        get_pitrs(proxied_engine)
    assert get_pitrs(proxied_engine, database_name=database) == []
    with proxied_engine.connect() as conn:
        proxy.cut(READ, "before")
        with pytest.raises(DBAPIError):
            get_pitrs(conn)
        assert get_pitrs(conn, database_name=database) == []
        with conn.begin():
            conn.execute(text("SELECT 1"))


def test_a_server_that_is_not_matrixone(server: Server, database: str, prefix: str) -> None:
    """From the handshake alone: no statement is sent that asks for the version."""
    fake = _Relabel(server.host, server.port)
    engine = create_engine(server.url("mysql+pymysql", database, port=fake.port))
    with engine.connect() as conn:
        fake.clear()
        with pytest.raises(PitrUnsupportedError, match="not MatrixOne"):
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        assert fake.statements == []
    with pytest.raises(PitrUnsupportedError):
        get_pitrs(engine)
    override = engine.execution_options(matrixone_version="3.0.9")
    with override.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    assert [p.name for p in get_pitrs(override, database_name=database)] == [prefix]
    old = engine.execution_options(matrixone_version="2.0.3")
    with pytest.raises(PitrUnsupportedError, match="is older than 2"):
        get_pitrs(old)
    engine.dispose()
    fake.close()


class _Relabel(Proxy):
    """A proxy whose server calls itself MySQL in the handshake."""

    def _down(self, server: socket.socket, client: socket.socket, *events: threading.Event) -> None:
        greeting = server.recv(65536)
        start = greeting.index(b"8.0.30-MatrixOne")
        end = greeting.index(b"\0", start)
        label = b"8.0.36".ljust(end - start, b" ")
        client.sendall(greeting[:start] + label + greeting[end:])
        super()._down(server, client, *events)
