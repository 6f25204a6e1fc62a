"""Memory and time of diff_rows() on a real server: the emulator's own memory is this process's."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import DiffSummary, diff_rows, undo_changes
from tests.conftest import LIVE
from tests.past.tables import say, take_moment

ROWS = int(os.environ.get("DIFF_ROWS", "200000"))
CHANGES = ROWS // 100
MEGABYTE = 1024 * 1024

pytestmark = pytest.mark.skipif(not LIVE, reason="needs a real server")


def measured(read: Callable[[], int]) -> tuple[int, float, int]:
    """A count, the time that it took, and the most memory, which is looked at apart."""
    started = time.perf_counter()
    number = read()
    seconds = time.perf_counter() - started
    tracemalloc.start()
    read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return number, seconds, peak


@pytest.mark.timeout(3000)
def test_memory_is_constant(matrixone_engine: Engine) -> None:
    engine = matrixone_engine
    engine.update_execution_options(matrixone_allow_unprotected=True)
    say(
        engine,
        "CREATE TABLE big (id INT PRIMARY KEY, item VARCHAR(40), amount INT, note VARCHAR(40))",
    )
    empty = take_moment(engine)
    say(
        engine,
        f"INSERT INTO big SELECT result, concat('item ', result), result % 97, 'note' "
        f"FROM generate_series(1, {ROWS}) g",
    )
    then = take_moment(engine)
    third = CHANGES // 3
    say(
        engine,
        f"DELETE FROM big WHERE id % {ROWS // third} = 1",
        f"UPDATE big SET item = 'other' WHERE id % {ROWS // third} = 2",
        f"INSERT INTO big SELECT {ROWS} + result, 'new', 1, NULL "
        f"FROM generate_series(1, {third}) g",
    )
    p = f"big {then.sql} p"
    same = "p.item <> c.item OR p.amount <> c.amount OR p.note <> c.note"
    started = time.perf_counter()
    with engine.connect() as connection:
        for join in (
            f"{p} LEFT JOIN big c ON p.id = c.id WHERE c.id IS NULL OR {same}",
            f"big c LEFT JOIN {p} ON p.id = c.id WHERE p.id IS NULL",
        ):
            connection.exec_driver_sql(f"SELECT count(*) FROM {join}".replace("%", "%%")).all()
    join_seconds = time.perf_counter() - started

    def few() -> int:
        return sum(1 for _ in diff_rows(engine, "big", then))

    def of_a_connection() -> int:
        with engine.connect() as connection:
            return sum(1 for _ in diff_rows(connection, "big", empty))

    def all_rows() -> int:
        return sum(1 for _ in diff_rows(engine, "big", empty))

    def two_moments() -> int:
        return sum(1 for _ in diff_rows(engine, "big", empty, until=then))

    for read, number in (
        (few, 3 * third),
        (all_rows, ROWS),
        (of_a_connection, ROWS),
        (two_moments, ROWS),
    ):
        found, seconds, peak = measured(read)
        print(f"{read.__name__}: {found} changes, {seconds:.2f} s, {peak / MEGABYTE:.1f} MB")
        assert abs(found - number) < 10
        assert peak < 20 * MEGABYTE
        if read is few:
            assert seconds < 3 * join_seconds + 1
    print(f"the two joins alone: {join_seconds:.2f} s")
    started = time.perf_counter()
    with engine.begin() as connection:
        report = undo_changes(connection, "big", then)
    print(f"undo: {report}, {time.perf_counter() - started:.2f} s")
    assert report.tables[0].remaining == DiffSummary()
