"""Statements a second of one client, by kind; made for the emulator."""

from __future__ import annotations

from collections.abc import Callable

import pymysql
from sqlalchemy import URL

from benchmarks.measure import Spread, interleaved, print_table, seconds

LISTED = 20


def run(url: URL, database: str, rounds: int, times: int) -> None:
    with pymysql.connect(
        host=url.host or "",
        port=url.port or 6001,
        user=url.username,
        password=url.password or "",
        database=database,
        autocommit=True,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SET AUTOCOMMIT = 1")  # PyMySQL sends nothing where the status bit lies
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40), price INT)")
        cursor.executemany(
            "INSERT INTO t VALUES (%s, %s, %s)", [(n, f"row {n}", n) for n in range(100)]
        )
        for number in range(LISTED):
            cursor.execute(f"CREATE TABLE listed_{number} (id INT PRIMARY KEY)")
            cursor.execute(
                f"CREATE PITR bench_{number} FOR TABLE {database} listed_{number} RANGE 7 'd'"
            )
        kinds = {name: rate(cursor, texts, times) for name, texts in statements(database).items()}
        samples = interleaved(kinds, rounds)
    print_table(
        f"Statements a second, one PyMySQL client ({rounds} rounds of {times}, interleaved)",
        ("", "a second", "quartiles"),
        [
            (name, f"{found.median:,.0f}", f"{found.low:,.0f} .. {found.high:,.0f}")
            for name, found in ((name, Spread.of(times)) for name, times in samples.items())
        ],
    )


def statements(database: str) -> dict[str, tuple[str, ...]]:
    """What is repeated for each kind; each leaves the state it found."""
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
