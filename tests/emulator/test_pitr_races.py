"""docs/server.md, Races: concurrent creators, and the lock that keeps them apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import pymysql

from matrixone_emulator import Emulator

from .conftest import Connect

LOCK = (
    "SELECT role_id FROM mo_catalog.mo_role "
    "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
)


def together(works: Sequence[Callable[[], object]]) -> list[object]:
    """The answer that each got, or the error it raised."""
    results: list[object] = [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        try:
            results[number] = work()
        except pymysql.Error as error:
            results[number] = error.args

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_race_of_3_0_9(server: Emulator, connect: Connect, version: str) -> None:
    clients = [connect() for _ in range(4)]
    with server.race(4):
        results = together([partial(c, "CREATE PITR r RANGE 1 'd'") for c in clients])
    first = clients[0]
    names = [row[0] for row in first("SHOW PITR")]
    if version == "4.2.0":
        assert results.count(()) == 1
        assert results.count((20101, "internal error: pitr r already exists")) == 3
        assert names == ["r"]
        return
    assert results == [()] * 4
    assert names == ["r"] * 4
    first("DROP PITR r")
    assert [row[0] for row in first("SHOW PITR")] == ["r"] * 3
    assert first.refused("DROP PITR r") == (20101, "internal error: pitr r does not exist")
    assert first.refused("CREATE PITR r RANGE 1 'd'") == (
        20101,
        "internal error: account `sys` already has a pitr",
    )


def test_without_the_switch_one_creator_wins(connect: Connect) -> None:
    clients = [connect() for _ in range(8)]
    results = together([partial(c, "CREATE PITR r RANGE 1 'd'") for c in clients])
    assert results.count(()) == 1


def test_the_row_lock_waits_and_times_out(connect: Connect) -> None:
    holder, waiter = connect(autocommit=False), connect(autocommit=False)
    holder(LOCK)
    start = time.monotonic()
    with_error = together([lambda: waiter(LOCK)])[0]
    assert isinstance(with_error, tuple)
    assert isinstance(with_error[0], int)
    assert time.monotonic() - start >= 1.5
    waiter("ROLLBACK")
    locked = threading.Event()

    def lock() -> None:
        waiter(LOCK)
        locked.set()

    thread = threading.Thread(target=lock)
    thread.start()
    assert not locked.wait(0.2)
    holder("COMMIT")
    thread.join()
    assert locked.is_set()


def test_create_waits_for_a_rebuild_on_4_2(connect: Connect, version: str) -> None:
    writer, creator = connect(autocommit=False), connect()
    creator("CREATE DATABASE d")
    creator("CREATE TABLE d.t (a INT)")
    writer("ALTER TABLE d.t ADD COLUMN b INT")
    done = threading.Event()

    def create() -> None:
        creator("CREATE PITR p FOR TABLE d t RANGE 1 'd'")
        done.set()

    thread = threading.Thread(target=create)
    thread.start()
    assert done.wait(0.5) == (version == "3.0.9")
    writer("COMMIT")
    thread.join()
    assert done.is_set()


def test_an_open_transaction_does_not_block_pitr_statements(connect: Connect) -> None:
    writer, creator = connect(autocommit=False), connect()
    creator("CREATE DATABASE d")
    creator("CREATE TABLE d.t (a INT)")
    writer("INSERT INTO d.t VALUES (1)")
    creator("CREATE PITR p FOR TABLE d t RANGE 1 'd'")
    creator("ALTER PITR p RANGE 2 'd'")
    creator("DROP PITR p")
