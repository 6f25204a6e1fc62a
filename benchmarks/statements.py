"""Statements a second of one client, by kind; made for the emulator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pymysql
from sqlalchemy import URL, make_url

from benchmarks.create_drop import pymysql_connection
from benchmarks.measure import Spread, interleaved, paired_ratio, print_table, seconds
from matrixone_emulator import Emulator
from matrixone_emulator.versions.rules import RULES

LISTED = 20


def run(url: URL, database: str, rounds: int, times: int, *, real: bool) -> None:
    """By kind; of a real server against an emulator of its version, in turns."""
    with contextlib.ExitStack() as stack:
        kinds = stack.enter_context(prepared(url, database, times))
        beside = None
        if real:
            version = emulated_version(url)
            emulator = stack.enter_context(Emulator(version=version))
            its = make_url(emulator.url())
            with pymysql_connection(its) as connection, connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {database}")
            beside = stack.enter_context(prepared(its, database, times))
        if beside is None:
            print_rates(interleaved(kinds, rounds), rounds, times)
            return
        emulated = {f"{name} {EMULATED}": kind for name, kind in beside.items()}
        samples = interleaved(kinds | emulated, rounds)
    rows = []
    for name in kinds:
        theirs, ours = samples[name], samples[f"{name} {EMULATED}"]
        ratio = paired_ratio(ours, theirs)
        rows.append(
            (
                name,
                f"{Spread.of(theirs).median:,.0f}",
                f"{Spread.of(ours).median:,.0f}",
                f"{ratio.median:.2f}",
                f"{ratio.low:.2f} .. {ratio.high:.2f}",
            )
        )
    print_table(
        f"Statements a second, one PyMySQL client ({rounds} rounds of {times}, interleaved)",
        ("", "server", "emulator", "times the server", "quartiles"),
        rows,
    )


EMULATED = "(emulated)"


def emulated_version(url: URL) -> str:
    """The version of a server, else the newest that can be emulated."""
    with pymysql_connection(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        found = str((cursor.fetchone() or [""])[0]).rpartition("-v")[2]
    return found if found in RULES else max(RULES)


@contextlib.contextmanager
def prepared(url: URL, database: str, times: int) -> Iterator[dict[str, Callable[[], float]]]:
    """A server with what the statements are about."""
    with pymysql_connection(url, database) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40), price INT)")
        cursor.executemany(
            "INSERT INTO t VALUES (%s, %s, %s)", [(n, f"row {n}", n) for n in range(100)]
        )
        for number in range(LISTED):
            cursor.execute(f"CREATE TABLE listed_{number} (id INT PRIMARY KEY)")
            cursor.execute(
                f"CREATE PITR bench_{number} FOR TABLE {database} listed_{number} RANGE 7 'd'"
            )
        yield {name: rate(cursor, texts, times) for name, texts in statements(database).items()}


def print_rates(samples: dict[str, list[float]], rounds: int, times: int) -> None:
    print_table(
        f"Statements a second, one PyMySQL client ({rounds} rounds of {times}, interleaved)",
        ("", "a second", "quartiles"),
        [
            (name, f"{found.median:,.0f}", f"{found.low:,.0f} .. {found.high:,.0f}")
            for name, found in ((name, Spread.of(times)) for name, times in samples.items())
        ],
    )


def statements(database: str) -> dict[str, tuple[str, ...]]:
    """The statements repeated for each kind; each leaves the state it found."""
    return {
        "SELECT 1": ("SELECT 1",),
        "SELECT by key": ("SELECT id, name, price FROM t WHERE id = 7",),
        "SELECT 100 rows": ("SELECT id, name, price FROM t ORDER BY id",),
        "UPDATE by key": ("UPDATE t SET price = price + 1 WHERE id = 7",),
        "INSERT + DELETE": (
            "INSERT INTO t VALUES (1000, 'one more', 1)",
            "DELETE FROM t WHERE id = 1000",
        ),
        "BEGIN + UPDATE + COMMIT": ("BEGIN", "UPDATE t SET price = 7 WHERE id = 7", "COMMIT"),
        "SELECT DATABASE()": ("SELECT DATABASE()",),
        "SET": ("SET @a = 1",),
        "ROLLBACK": ("ROLLBACK",),
        "information_schema": (
            "SELECT table_name FROM information_schema.tables "
            f"WHERE table_schema = '{database}' AND table_name = 't'",
        ),
        "SHOW CREATE TABLE": ("SHOW CREATE TABLE t",),
        "DESCRIBE": ("DESCRIBE t",),
        "SHOW TABLES": ("SHOW FULL TABLES",),
        "mo_catalog": (
            "SELECT pitr_name, obj_id FROM mo_catalog.mo_pitr WHERE create_account = 0",
        ),
        "ALTER TABLE": ("ALTER TABLE t COMMENT = 'one'", "ALTER TABLE t COMMENT = 'two'"),
        "CREATE + DROP TABLE": (
            "CREATE TABLE made (id INT PRIMARY KEY, name VARCHAR(40))",
            "DROP TABLE made",
        ),
        "CREATE + DROP PITR": (
            f"CREATE PITR bench_made FOR DATABASE {database} RANGE 7 'd'",
            "DROP PITR bench_made",
        ),
        "ALTER PITR": ("ALTER PITR bench_0 RANGE 8 'd'",),
        f"SHOW PITR, {LISTED} rows": ("SHOW PITR",),
    }


def rate(cursor: pymysql.cursors.Cursor, texts: tuple[str, ...], times: int) -> Callable[[], float]:
    """Measures statements a second of a sequence."""

    def several() -> None:
        for _ in range(times):
            for text in texts:
                cursor.execute(text)
                cursor.fetchall()

    return lambda: times * len(texts) / seconds(several)
