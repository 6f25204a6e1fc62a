"""CREATE PITR and DROP PITR of a database: through this package, against raw PyMySQL."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
from sqlalchemy import URL, create_engine

from benchmarks.measure import interleaved, print_table, ratio_rows, seconds
from sqlalchemy_matrixone_pitr import CreatePitr, DropPitr, Pitr, PitrManager

RAW = "raw PyMySQL"
SDK = "matrixone-python-sdk"
NAME = "bench_week"
DROP = f"DROP PITR `{NAME}`"
READ = (
    "SELECT pitr_name, create_time, modified_time, level, account_name, database_name, table_name, "
    "pitr_length, pitr_unit FROM mo_catalog.mo_pitr WHERE create_account = 0 "
    "AND pitr_name <> 'sys_mo_catalog_pitr' "
    f"AND (pitr_name = '{NAME}' OR pitr_name LIKE '{NAME}__g%')"
)


def creation(database: str) -> str:
    return f"CREATE PITR `{NAME}` FOR DATABASE `{database}` RANGE 7 'd'"


def run(url: URL, database: str, rounds: int, pairs: int) -> None:
    with contextlib.ExitStack() as stack:
        contenders = {
            RAW: stack.enter_context(raw(url, database)),
            f"{RAW}, what PitrManager sends": stack.enter_context(sent_by_manager(url, database)),
            "PitrManager": stack.enter_context(manager(url, database)),
            "engine.begin(), text": stack.enter_context(texts(url, database)),
            "engine.begin()": stack.enter_context(transactions(url, database)),
        }
        if importlib.util.find_spec("matrixone") is None:
            note = f"{SDK} is not installed: left out"
        else:
            note = ""
            contenders[SDK] = stack.enter_context(sdk(url, database))
        samples = interleaved(
            {name: timed(pair, pairs) for name, pair in contenders.items()}, rounds
        )
    print_table(
        f"Create and drop a database's PITR ({rounds} rounds of {pairs} pairs, interleaved)",
        ("", "ms a pair", "quartiles", "times raw", "quartiles"),
        ratio_rows(samples, RAW),
    )
    if note:
        print(f"  {note}")


def timed(pair: Callable[[], object], pairs: int) -> Callable[[], float]:
    """Seconds a pair."""

    def several() -> None:
        for _ in range(pairs):
            pair()

    return lambda: seconds(several) / pairs


@contextlib.contextmanager
def pymysql_connection(
    url: URL, database: str | None = None
) -> Iterator[pymysql.connections.Connection[Any]]:
    """A connection whose statements take effect at once."""
    with pymysql.connect(
        host=url.host or "",
        port=url.port or 6001,
        user=url.username,
        password=url.password or "",
        database=database,
        autocommit=True,
    ) as connection:
        with connection.cursor() as cursor:  # PyMySQL sends nothing where the status bit lies
            cursor.execute("SET AUTOCOMMIT = 1")
        yield connection


@contextlib.contextmanager
def raw(url: URL, database: str) -> Iterator[Callable[[], object]]:
    """Two statements on an open connection: the least that can be done."""
    with pymysql_connection(url) as connection:
        cursor = connection.cursor()

        def pair() -> None:
            cursor.execute(creation(database))
            cursor.execute(DROP)

        yield pair


@contextlib.contextmanager
def sent_by_manager(url: URL, database: str) -> Iterator[Callable[[], object]]:
    """The six statements of PitrManager: what the server alone takes for them."""
    with pymysql_connection(url) as connection:
        cursor = connection.cursor()
        cursor.execute("SET AUTOCOMMIT = 0")

        def pair() -> None:
            cursor.execute(creation(database))
            cursor.execute("ROLLBACK")
            cursor.execute(READ)
            cursor.fetchall()
            cursor.execute("ROLLBACK")
            cursor.execute(DROP)
            cursor.execute("ROLLBACK")

        yield pair


@contextlib.contextmanager
def manager(url: URL, database: str) -> Iterator[Callable[[], object]]:
    engine = create_engine(url)
    with engine.connect():
        pass  # a program has its pool filled
    pitrs = PitrManager(engine)

    def pair() -> None:
        pitrs.create_database_pitr(NAME, database, 7, "d")
        pitrs.delete(NAME)

    yield pair
    engine.dispose()


@contextlib.contextmanager
def texts(url: URL, database: str) -> Iterator[Callable[[], object]]:
    """SQLAlchemy's own transactions around the statements as text: the least that it takes."""
    engine = create_engine(url)

    def pair() -> None:
        with engine.begin() as conn:
            conn.exec_driver_sql(creation(database))
        with engine.begin() as conn:
            conn.exec_driver_sql(DROP)

    yield pair
    engine.dispose()


@contextlib.contextmanager
def transactions(url: URL, database: str) -> Iterator[Callable[[], object]]:
    engine = create_engine(url)

    def pair() -> None:
        with engine.begin() as conn:
            conn.execute(CreatePitr(Pitr.database(NAME, "7d", database_name=database)))
        with engine.begin() as conn:
            conn.execute(DropPitr(NAME))

    yield pair
    engine.dispose()


@contextlib.contextmanager
def sdk(url: URL, database: str) -> Iterator[Callable[[], object]]:
    client = importlib.import_module("matrixone").Client(sql_log_mode="off")
    client.logger.logger.disabled = True  # it would log each connection between the tables
    client.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        database=database,
    )

    def pair() -> None:
        client.pitr.create_database_pitr(NAME, database, 7, "d")
        client.pitr.delete(NAME)

    yield pair
    client.disconnect()
