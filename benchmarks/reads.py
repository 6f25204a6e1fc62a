"""Reading policies, against the raw SHOW PITR."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import URL, create_engine

from benchmarks.create_drop import NAME, pymysql_connection, timed
from benchmarks.measure import interleaved, print_table, ratio_rows
from sqlalchemy_matrixone_pitr import PitrManager, get_pitrs

RAW = "raw SHOW PITR"


def run(url: URL, database: str, rounds: int, times: int) -> None:
    engine = create_engine(url)
    manager = PitrManager(engine)
    manager.create_database_pitr(NAME, database, 7, "d")
    with pymysql_connection(url) as connection, connection.cursor() as cursor:

        def one() -> None:
            cursor.execute(f"SHOW PITR WHERE pitr_name = '{NAME}'")
            cursor.fetchall()

        def all_of_them() -> None:
            cursor.execute("SHOW PITR")
            cursor.fetchall()

        contenders: dict[str, Callable[[], object]] = {
            f"{RAW} WHERE": one,
            "get": lambda: manager.get(NAME),
            "exists": lambda: manager.exists(NAME),
            RAW: all_of_them,
            "list": manager.list,
            "get_pitrs(with_status=True)": lambda: get_pitrs(engine, with_status=True),
        }
        samples = interleaved(
            {name: timed(contender, times) for name, contender in contenders.items()}, rounds
        )
    engine.dispose()
    heads = ("", "ms", "quartiles", "times raw", "quartiles")
    single = {name: samples[name] for name in (f"{RAW} WHERE", "get", "exists")}
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
