"""Reading policies, against the raw SHOW PITR."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import URL, create_engine

from benchmarks.create_drop import NAME, READ, pymysql_connection, timed
from benchmarks.measure import interleaved, print_table, ratio_rows
from sqlalchemy_matrixone_pitr import PitrManager, get_pitrs

RAW = "raw SHOW PITR"
SELECTED = "raw, what get sends"
FLOOR = "SQLAlchemy, SHOW PITR"
"""A pool, a transaction and the rows of a text: the least that SQLAlchemy takes."""


def run(url: URL, database: str, rounds: int, times: int) -> None:
    engine = create_engine(url)
    manager = PitrManager(engine)
    manager.create_database_pitr(NAME, database, 7, "d")
    with (
        pymysql_connection(url) as connection,
        connection.cursor() as cursor,
        pymysql_connection(url) as other,
        other.cursor() as transaction,
    ):
        transaction.execute("SET AUTOCOMMIT = 0")

        def one() -> None:
            cursor.execute(f"SHOW PITR WHERE pitr_name = '{NAME}'")
            cursor.fetchall()

        def all_of_them() -> None:
            cursor.execute("SHOW PITR")
            cursor.fetchall()

        def sqlalchemys(statement: str) -> Callable[[], object]:
            def read() -> None:
                with engine.connect() as conn:
                    conn.exec_driver_sql(statement).all()

            return read

        def selected() -> None:
            transaction.execute(READ)
            transaction.fetchall()
            transaction.execute("ROLLBACK")

        contenders: dict[str, Callable[[], object]] = {
            f"{RAW} WHERE": one,
            SELECTED: selected,
            f"{FLOOR} WHERE": sqlalchemys(f"SHOW PITR WHERE pitr_name = '{NAME}'"),
            "get": lambda: manager.get(NAME),
            "exists": lambda: manager.exists(NAME),
            RAW: all_of_them,
            FLOOR: sqlalchemys("SHOW PITR"),
            "list": manager.list,
            "get_pitrs(with_status=True)": lambda: get_pitrs(engine, with_status=True),
        }
        samples = interleaved(
            {name: timed(contender, times) for name, contender in contenders.items()}, rounds
        )
    engine.dispose()
    heads = ("", "ms", "quartiles", "times raw", "quartiles")
    ones = (f"{RAW} WHERE", SELECTED, f"{FLOOR} WHERE", "get", "exists")
    single = {name: samples[name] for name in ones}
    print_table(
        f"Reading one policy ({rounds} rounds of {times}, interleaved)",
        heads,
        ratio_rows(single, f"{RAW} WHERE"),
    )
    whole = {name: times for name, times in samples.items() if name not in single}
    print_table(
        f"Reading all policies ({rounds} rounds of {times}, interleaved)",
        heads,
        ratio_rows(whole, RAW),
    )
