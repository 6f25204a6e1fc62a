"""The emulator's start-up in fresh interpreters, and its memory after many statements."""

from __future__ import annotations

import datetime
import gc
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql

from benchmarks.measure import Spread, print_table, seconds

STATM = Path("/proc/self/statm")
STEPS = ("import", "start()", "first answer", "stop()")
START = """
import json, time
import pymysql
times = [time.perf_counter()]
def step(): times.append(time.perf_counter())
from sqlalchemy_matrixone_pitr.emulator import Emulator; step()
emulator = Emulator().start(); step()
connection = pymysql.connect(
    host=emulator.host, port=emulator.port, user="dump", password="111", ssl_disabled=True
)
connection.cursor().execute("SELECT 1"); step()
connection.close()
emulator.stop(); step()
print(json.dumps([b - a for a, b in zip(times, times[1:])]))
"""


def run(rounds: int, statements: int) -> None:
    print_start(rounds)
    if STATM.exists():
        print_memory(statements)
    else:
        print("\nMemory is left out: it is read from /proc")


def print_start(rounds: int) -> None:
    samples = []
    for _ in range(rounds):
        told = subprocess.run([sys.executable, "-c", START], check=True, capture_output=True)
        samples.append(json.loads(told.stdout))
    rows = []
    for name, times in zip(STEPS, zip(*samples, strict=True), strict=True):
        took = Spread.of(times).scaled(1000)
        rows.append((name, f"{took.median:.1f}", f"{took.low:.1f} .. {took.high:.1f}"))
    print_table(
        f"Start of the emulator ({rounds} rounds of fresh interpreters)",
        ("", "ms", "quartiles"),
        rows,
    )


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a process, in MB: resident memory, and the emulator's file."""

    memory: float
    file: float


def print_memory(statements: int) -> None:
    fresh = multiprocessing.get_context("spawn")
    rows = []
    for kind, keep in (*((kind, None) for kind in KINDS), *((kind, SECOND) for kind in WRITING)):
        with fresh.Pool(1) as pool:
            before, half, after, took = pool.apply(sizes, (kind, statements, keep))
        late = (after.memory - half.memory) * 1e6 / (statements / 2)
        rows.append(
            (
                kind if keep is None else f"{kind}, keep_history=1 s",
                f"{before.memory:.1f}",
                f"{half.memory - before.memory:+.1f}",
                f"{after.memory - half.memory:+.1f}",
                f"{late:.0f}",
                f"{after.file:.1f}",
                f"{statements / took:,.0f}",
            )
        )
    print_table(
        f"Memory of {statements:,} statements, in a process with its client",
        ("", "MB", "first half", "second half", "bytes a statement", "MB of file", "a second"),
        rows,
    )


SECOND = datetime.timedelta(seconds=1)


def reads() -> Iterator[str]:
    """Reads, each with a text of its own, as programs send that write values into it."""
    for number in itertools.count():
        yield f"SELECT name, price FROM t WHERE id = {number}"
        yield f"SELECT count(*) FROM t WHERE price > {number} AND name <> 'row {number}'"
        yield f"SELECT table_name FROM information_schema.tables WHERE table_name = 't{number}'"
        yield f"SHOW PITR WHERE pitr_name = 'p{number}'"
        yield f"SET @a = {number}"
        yield f"PREPARE p{number % 10} FROM 'SHOW PITR'"
        yield f"EXECUTE p{number % 10}"
        yield "SHOW CREATE TABLE t"
        yield "ROLLBACK"


def rows_changed() -> Iterator[str]:
    """Rows of one table, ten thousand of them, come, change, are read, and go."""
    for number in itertools.count():
        key = number % 10_000
        yield f"INSERT INTO t VALUES ({key}, 'row {number}', {number})"
        yield f"UPDATE t SET price = price + 1 WHERE id = {key}"
        yield f"SELECT name, price FROM t WHERE id = {key}"
        yield f"DELETE FROM t WHERE id = {key}"


def tables_made() -> Iterator[str]:
    """As a suite of tests does: tables and PITRs made and dropped, a few rows between."""
    for number in itertools.count():
        yield f"CREATE TABLE made_{number} (id INT PRIMARY KEY, name VARCHAR(40))"
        yield f"CREATE PITR p FOR TABLE bench made_{number} RANGE 1 'd'"
        yield f"INSERT INTO made_{number} VALUES (1, 'one'), (2, 'two')"
        yield f"SELECT * FROM made_{number}"
        yield f"ALTER TABLE made_{number} ADD COLUMN price INT DEFAULT 7"
        yield "DROP PITR p"
        yield f"DROP TABLE made_{number}"


KINDS: dict[str, Callable[[], Iterator[str]]] = {
    "reads": reads,
    "rows": rows_changed,
    "tables": tables_made,
}
WRITING = ("rows", "tables")


def sizes(
    kind: str, statements: int, keep_history: datetime.timedelta | None
) -> tuple[Size, Size, Size, float]:
    """Before, at half, after, and the seconds between; of this process."""
    from sqlalchemy_matrixone_pitr.emulator import Emulator

    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        with Emulator(keep_history=keep_history) as emulator:
            connection = pymysql.connect(
                host=emulator.host,
                port=emulator.port,
                user="dump",
                password="111",
                autocommit=True,
                ssl_disabled=True,
            )
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE bench")
            cursor.execute("USE bench")
            cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40), price INT)")
            texts = KINDS[kind]()

            def several(count: int) -> None:
                for text in itertools.islice(texts, count):
                    cursor.execute(text)
                    cursor.fetchall()

            several(1_000)  # caches are filled
            before = size(folder)
            took = seconds(lambda: several(statements // 2))
            half = size(folder)
            took += seconds(lambda: several(statements // 2))
            after = size(folder)
            connection.close()
    return before, half, after, took


def size(folder: str) -> Size:
    gc.collect()
    pages = int(STATM.read_text().split()[1])
    files = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return Size(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files / 1e6)
