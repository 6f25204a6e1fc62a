"""Remains of statements: nothing of reads, of writes what time travel needs."""

from __future__ import annotations

import datetime
import functools
import gc
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pymysql

import matrixone_emulator
from matrixone_emulator import Emulator

from .conftest import Client, Connect

STATEMENTS = 300
"""More than sqlite3 remembers of one connection, which is 256 statements and 200 cursors"""
NOISE = 300


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(matrixone_emulator.__path__, "matrixone_emulator.")
    return [importlib.import_module(module.name) for module in found]


def caches() -> Iterator[tuple[str, Any]]:
    """The memory of functools for functions that take arguments."""
    for module in modules():
        for name, value in vars(module).items():
            if isinstance(value, functools._lru_cache_wrapper):
                yield f"{module.__name__}.{name}", value


NEVER_MANY = {"matrixone_emulator.parsing.show._forms"}
"""Functions of what a version's rules say"""


def test_caches_have_a_limit() -> None:
    found = dict(caches())
    assert set(found) > NEVER_MANY
    unlimited = {
        name for name, cache in found.items() if cache.cache_parameters()["maxsize"] is None
    }
    assert unlimited == NEVER_MANY


def kept_objects() -> int:
    """The number of objects that are kept by something else than a cache with a limit."""
    for _, cache in caches():
        cache.cache_clear()
    gc.collect()
    return sys.getallocatedblocks()


def growth(work: Callable[[int], object]) -> int:
    """The number of blocks of memory that *work* leaves when it is done once more so often."""
    for number in range(STATEMENTS):
        work(number)
    before = kept_objects()
    for number in range(STATEMENTS):
        work(1_000_000 + number)
    return kept_objects() - before


def prepared(client: Client) -> Client:
    client("CREATE DATABASE d")
    client("USE d")
    client("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    client("INSERT INTO t VALUES (1, 1)")
    return client


def test_reads_leave_nothing(client: Client) -> None:
    prepared(client)
    texts = (
        "SELECT v FROM t WHERE id = {}",
        "SELECT table_name FROM information_schema.tables WHERE table_name = 't{}'",
        "SHOW PITR WHERE pitr_name = 'p{}'",
        "SET @a = {}",
        "PREPARE p FROM 'SHOW PITR'",
        "ROLLBACK",
    )

    def read(number: int) -> None:
        client(texts[number % len(texts)].format(number))
        assert client.refused(f"SELECT missing{number}")[0] != 1235

    assert growth(read) < NOISE


def test_sessions_leave_nothing(server: Emulator, connect: Connect) -> None:
    def come_and_go(number: int) -> None:
        if number % 10:
            return
        client = connect()
        client(f"SET @a = {number}")
        client.connection.close()

    with pymysql.connect(host=server.host, port=server.port, user="dump", password="111"):
        left = growth(come_and_go)
    # the fixture keeps what closes each of the thirty connections
    assert left < NOISE + 30 * 60


def test_what_is_undone_leaves_nothing(client: Client) -> None:
    prepared(client)

    def undone(number: int) -> None:
        if number % 3:
            return
        client("BEGIN")
        client(f"CREATE TABLE made_{number} (id INT PRIMARY KEY AUTO_INCREMENT)")
        assert client.refused(f"CREATE TABLE made_{number} (id INT)")[0] == 1050
        client(f"INSERT INTO t VALUES (5, {number})")
        client("ROLLBACK")

    assert growth(undone) < NOISE


def test_history_that_is_not_kept_leaves_nothing() -> None:
    with Emulator(keep_history=datetime.timedelta(seconds=1)) as server:
        client = Client(
            pymysql.connect(
                host=server.host, port=server.port, user="dump", password="111", autocommit=True
            )
        )
        prepared(client)

        def made(number: int) -> None:
            client("CREATE TABLE made (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
            client(f"INSERT INTO made (v) VALUES ({number})")
            client("DROP TABLE made")
            server.advance(datetime.timedelta(seconds=2))

        # it is pruned once in 64 transactions
        assert growth(made) < NOISE + 64 * 30
        client.connection.close()
