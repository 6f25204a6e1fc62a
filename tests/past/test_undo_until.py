"""undo_changes() with until=: what changed between two moments, and what changed again since."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, column
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    DiffSummary,
    Moment,
    PastConflictError,
    PastError,
    PitrTransactionError,
    PitrValidationError,
    UndoReport,
    undo_changes,
    undo_sql,
)
from tests.conftest import Server
from tests.past.tables import Rows, rows_of, say, take_moment
from tests.past.test_undo import (
    HISTORIES,
    ORDERS,
    SHOP as KEYED_SHOP,
    TABLES as KEYED_TABLES,
    Order,
)

pytestmark = pytest.mark.one_version


class Moments(NamedTuple):
    at: Moment
    until: Moment


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """An engine whose past is trusted without a policy."""
    engine.update_execution_options(matrixone_allow_unprotected=True)
    return engine


ACCIDENT = (
    "DELETE FROM orders WHERE id IN (1, 2, 3)",
    "UPDATE orders SET item = 'oops' WHERE id IN (4, 5, 6, 7)",
    "INSERT INTO orders (id, item) VALUES (11, 'spam'), (12, 'spam'), (13, 'spam')",
)
LATER = (
    "INSERT INTO orders (id, item) VALUES (2, 'again'), (21, 'wanted')",
    "INSERT INTO orders VALUES (3, 'c', 1, '2020-01-01 00:00:00')",  # as it was
    "UPDATE orders SET item = 'again' WHERE id = 5",
    "DELETE FROM orders WHERE id IN (6, 12)",
    "UPDATE orders SET item = 'g', touched = '2020-01-01 00:00:00' WHERE id = 7",  # as it was
    "UPDATE orders SET item = 'again' WHERE id = 13",
    "UPDATE orders SET item = 'wanted' WHERE id = 8",
    "DELETE FROM orders WHERE id = 9",
)
LEFT_ALONE = [(2, "again"), (5, "again"), (8, "wanted"), (13, "again"), (21, "wanted")]


@pytest.fixture
def moments(engine: Engine) -> Moments:
    """Nine orders; an accident; and work that went on, on rows of the accident and on others."""
    say(
        engine,
        ORDERS,
        "INSERT INTO orders VALUES "
        + ", ".join(
            f"({n}, '{'abcdefghi'[n - 1]}', 1, '2020-01-01 00:00:00')" for n in range(1, 10)
        ),
    )
    at = take_moment(engine)
    say(engine, *ACCIDENT)
    until = take_moment(engine)
    say(engine, *LATER)
    return Moments(at, until)


def undo(engine: Engine, tables: Any, at: Moment, **options: Any) -> UndoReport:
    with engine.begin() as connection:
        return undo_changes(connection, tables, at, **options)


def items(engine: Engine) -> Rows:
    return rows_of(engine, "(SELECT id, item FROM orders) o")


def test_what_changed_again_is_listed_and_nothing_written(engine: Engine, moments: Moments) -> None:
    before = rows_of(engine, "orders")
    with engine.connect() as connection:
        with pytest.raises(PastConflictError, match="nothing was written") as caught:
            undo_changes(connection, "orders", moments.at, until=moments.until)
        connection.commit()  # the caller may go on: no table is left behind
    assert [(one.key, one.changed_again) for one in caught.value.conflicts] == [
        ((2,), True),
        ((5,), True),
        ((6,), True),
        ((13,), True),
    ]
    assert str(caught.value.conflicts[0]).endswith(
        f"orders 2: it was deleted, and has changed again since {moments.until}"
    )
    assert rows_of(engine, "orders") == before
    assert tables_of(engine) == ["orders"]


def tables_of(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql("SHOW TABLES")]


def test_what_changed_again_is_skipped(engine: Engine, moments: Moments) -> None:
    report = undo(engine, "orders", moments.at, until=moments.until, on_conflict="skip")
    assert (report.inserted, report.updated, report.deleted, report.skipped) == (1, 1, 1, 4)
    assert report.until == moments.until
    assert not report.complete
    assert report.tables[0].remaining == DiffSummary(inserted=1, updated=2, deleted=1)
    assert "4 skipped: " in str(report)
    assert items(engine) == sorted([*LEFT_ALONE, (1, "a"), (3, "c"), (4, "d"), (7, "g")], key=repr)
    assert tables_of(engine) == ["orders"]


def test_what_changed_again_is_replaced(engine: Engine, moments: Moments) -> None:
    report = undo(engine, "orders", moments.at, until=moments.until, on_conflict="replace")
    assert (report.inserted, report.updated, report.deleted, report.skipped) == (2, 3, 2, 0)
    assert len(report.conflicts) == 4
    assert report.complete
    assert f"of what changed until {moments.until}" in str(report)
    assert items(engine) == sorted(
        [*((n, "abcdefg"[n - 1]) for n in range(1, 8)), (8, "wanted"), (21, "wanted")], key=repr
    )


def test_it_can_be_repeated(engine: Engine, moments: Moments) -> None:
    undo(engine, "orders", moments.at, until=moments.until, on_conflict="replace")
    before = rows_of(engine, "orders")
    report = undo(engine, "orders", moments.at, until=moments.until)
    assert (report.inserted, report.updated, report.deleted, report.conflicts) == (0, 0, 0, ())
    assert report.complete
    assert rows_of(engine, "orders") == before


def test_without_later_changes_it_is_as_without_until(engine: Engine) -> None:
    say(engine, ORDERS, "INSERT INTO orders (id, item) VALUES (1, 'a'), (2, NULL)")
    at = take_moment(engine)
    say(engine, "UPDATE orders SET item = NULL", "UPDATE orders SET item = 'b' WHERE id = 2")
    until = take_moment(engine)
    report = undo(engine, "orders", at, until=until)
    assert (report.updated, report.complete) == (2, True)
    assert items(engine) == [(1, "a"), (2, None)]


@pytest.mark.parametrize(
    ("options", "conflicts", "counts"),
    [
        ({"kinds": {"deleted"}}, [2], (1, 0, 0)),
        ({"kinds": {"inserted", "updated"}}, [5, 6, 13], (0, 1, 1)),
        ({"where": Order.id < 6}, [2, 5], (1, 1, 0)),
        ({"where": column("item") == "oops"}, [5, 6], (0, 1, 0)),
    ],
)
def test_kinds_and_where(
    engine: Engine,
    moments: Moments,
    options: Any,
    conflicts: list[int],
    counts: tuple[int, int, int],
) -> None:
    with Session(engine) as session:
        report = undo_changes(
            session, Order, moments.at, until=moments.until, on_conflict="skip", **options
        )
        assert [one.key[0] for one in report.conflicts] == conflicts
        assert (report.inserted, report.updated, report.deleted) == counts
        assert report.skipped == len(conflicts)


@pytest.mark.parametrize("on_conflict", ["skip", "replace"])
def test_the_script_does_the_same(engine: Engine, moments: Moments, on_conflict: Any) -> None:
    options: Any = {"until": moments.until, "on_conflict": on_conflict}
    script = undo_sql(engine, "orders", moments.at, **options)
    assert tables_of(engine) == ["orders"]
    with engine.connect() as connection:
        for statement in script.partition("BEGIN;")[2].partition("COMMIT;")[0].split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%"))
        found = connection.exec_driver_sql("SELECT id, item FROM orders ORDER BY id").all()
        connection.rollback()
    undo(engine, "orders", moments.at, **options)
    assert sorted(map(tuple, found), key=repr) == items(engine)
    assert tables_of(engine) == ["orders"]


def test_rows_of_the_callers_transaction_are_the_present(engine: Engine, moments: Moments) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE orders SET item = 'mine' WHERE id = 4")
        with pytest.raises(PastConflictError) as caught:
            undo_changes(connection, "orders", moments.at, until=moments.until)
        assert [one.key[0] for one in caught.value.conflicts] == [2, 4, 5, 6, 13]
        connection.rollback()


def test_compound_keys_and_odd_names(engine: Engine) -> None:
    name = "`select from 100%`"
    say(
        engine,
        f"CREATE TABLE {name} (`the key` DECIMAL(10,2), `from` VARCHAR(9), `set` DATETIME(6), "
        "`100%` INT, PRIMARY KEY (`the key`, `from`, `set`))",
        f"INSERT INTO {name} VALUES (1.25, 'a', '2020-01-01 00:00:00.000001', 1), "
        "(1.25, 'b', '2020-01-01', NULL), (1.25, '\u00fc', '2020-01-01', 3)",
    )
    at = take_moment(engine)
    say(engine, f"UPDATE {name} SET `100%` = 5", f"DELETE FROM {name} WHERE `from` = '\u00fc'")
    until = take_moment(engine)
    say(engine, f"UPDATE {name} SET `100%` = NULL WHERE `from` = 'a'")
    table = f"{engine.url.database}.select from 100%"
    report = undo(engine, table, at, until=until, on_conflict="skip")
    assert (report.inserted, report.updated, report.skipped) == (1, 1, 1)
    assert report.conflicts[0].key[1] == "a"
    assert undo(engine, table, at, until=until, on_conflict="replace").complete
    assert rows_of(engine, name) == rows_of(engine, f"{name} {at.sql}")


def test_values_that_were_exchanged(engine: Engine) -> None:
    """By one UPDATE, on either side of a row that changed again."""
    say(
        engine,
        "CREATE TABLE places (id INT PRIMARY KEY, place INT NOT NULL, note INT, "
        "UNIQUE KEY p (place))",
        "INSERT INTO places VALUES (1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0)",
    )
    at = take_moment(engine)
    say(engine, "UPDATE places SET place = 4 - place WHERE id < 4 AND id <> 2")
    until = take_moment(engine)
    say(engine, "UPDATE places SET note = 1 WHERE id = 2")
    assert undo(engine, "places", at, until=until).updated == 2
    assert rows_of(engine, "places") == [(1, 1, 0), (2, 2, 1), (3, 3, 0), (4, 4, 0)]
    say(engine, "UPDATE places SET place = 4 - place WHERE id < 4 AND id <> 2")
    until = take_moment(engine)
    say(engine, "UPDATE places SET note = 1 WHERE id = 3")
    with engine.connect() as connection:
        with pytest.raises(PastConflictError) as caught:
            undo_changes(connection, "places", at, until=until)
        assert sorted(one.key[0] for one in caught.value.conflicts) == [1, 3]  # 3 has 1's place
        report = undo_changes(connection, "places", at, until=until, on_conflict="skip")
        assert (report.updated, report.skipped) == (1, 2)  # and 2's note


def test_definitions_that_changed(engine: Engine) -> None:
    """A column that came after ``at``, one that came after ``until``, one that went; TRUNCATE."""
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)",
        "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
    )
    at = take_moment(engine)
    say(engine, "ALTER TABLE t ADD COLUMN c INT DEFAULT 7", "UPDATE t SET a = 0 WHERE id < 3")
    until = take_moment(engine)
    say(
        engine,
        "ALTER TABLE t ADD COLUMN d INT DEFAULT 8",
        "ALTER TABLE t DROP COLUMN b",
        "UPDATE t SET c = 9 WHERE id = 2",
    )
    report = undo(engine, "t", at, until=until, on_conflict="skip")
    assert (report.updated, [one.key for one in report.conflicts]) == (1, [(2,)])
    assert report.tables[0].dropped_columns == ("b",)
    assert rows_of(engine, "t") == [(1, 1, 7, 8), (2, 0, 9, 8), (3, 3, 7, 8)]
    until = take_moment(engine)
    say(engine, "TRUNCATE TABLE t")
    report = undo(engine, "t", at, until=until, on_conflict="replace")
    assert report.complete
    assert rows_of(engine, "t") == [(2, 2, None, 8)] or rows_of(engine, "t") == [(2, 2, 7, 8)]


@pytest.mark.all_combinations
def test_generated_columns(engine: Engine, server: Server) -> None:
    if server.version < (4,):
        pytest.skip("since 4.0")
    say(
        engine,
        "CREATE TABLE g (id INT PRIMARY KEY, a INT, b INT GENERATED ALWAYS AS (a * 2) STORED)",
        "INSERT INTO g (id, a) VALUES (1, 1), (2, 2), (3, 3)",
    )
    at = take_moment(engine)
    say(engine, "DELETE FROM g WHERE id = 1", "UPDATE g SET a = 7 WHERE id > 1")
    until = take_moment(engine)
    say(engine, "UPDATE g SET a = 8 WHERE id = 3")
    report = undo(engine, "g", at, until=until, on_conflict="skip")
    assert report.skipped == 1
    assert rows_of(engine, "g") == [(1, 1, 2), (2, 2, 4), (3, 8, 16)]


STATES: tuple[tuple[Any, ...] | None, ...] = (None, (None, 1), ("a", 1), ("b", 2))
"""States of a row: not there, or its values."""


@pytest.mark.parametrize("on_conflict", ["skip", "replace"])
def test_every_history_of_a_row(engine: Engine, on_conflict: Any) -> None:
    """A row for each combination of its states then, at ``until`` and now."""
    histories = dict(enumerate(itertools.product(STATES, repeat=3)))
    say(engine, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), b INT)")
    moments = []
    for number in range(3):
        there = [
            (k, *row) for k, states in histories.items() if (row := states[number]) is not None
        ]
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM t WHERE id >= 0")
            connection.exec_driver_sql("INSERT INTO t VALUES (%s, %s, %s)", there)
        moments.append(take_moment(engine))
    expected, conflicts = [], []
    for key, (then, later, now) in histories.items():
        is_meant = then not in (later, now)
        is_conflict = is_meant and later != now
        if is_conflict:
            conflicts.append(key)
        row = then if is_meant and (not is_conflict or on_conflict == "replace") else now
        if row is not None:
            expected.append((key, *row))
    at, until, _ = moments
    report = undo(engine, "t", at, until=until, on_conflict=on_conflict)
    assert [one.key[0] for one in report.conflicts] == conflicts
    assert len(conflicts) == 24
    assert report.skipped == (24 if on_conflict == "skip" else 0)
    assert report.complete == (on_conflict == "replace")
    assert report.tables[0].remaining.total == report.skipped
    assert sorted(rows_of(engine, "t")) == sorted(expected)


# -- several tables --------------------------------------------------------------------------------

SHOP = (
    "CREATE TABLE customers (id INT PRIMARY KEY, mail VARCHAR(30))",
    "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, note VARCHAR(9), "
    "CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE)",
    "INSERT INTO customers VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "INSERT INTO orders VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')",
)
TABLES = ["orders", "customers"]


def test_tables_in_the_order_of_their_keys(engine: Engine) -> None:
    say(engine, *SHOP)
    at = take_moment(engine)
    say(
        engine,
        "DELETE FROM orders WHERE id > 1",
        "DELETE FROM customers WHERE id > 1",
        "INSERT INTO customers VALUES (7, 'g')",
        "INSERT INTO orders VALUES (7, 7, 'n')",
    )
    until = take_moment(engine)
    say(engine, "INSERT INTO customers VALUES (8, 'h')", "INSERT INTO orders VALUES (8, 8, 'n')")
    assert undo(engine, TABLES, at, until=until).complete
    assert rows_of(engine, "customers") == [(1, "a"), (2, "b"), (3, "c"), (8, "h")]
    assert rows_of(engine, "orders") == [(1, 1, "x"), (2, 2, "y"), (3, 3, "z"), (8, 8, "n")]


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_histories_of_tables_with_keys(engine: Engine, history: Sequence[str]) -> None:
    """Trees too; what came since stays."""
    say(engine, *KEYED_SHOP)
    at = take_moment(engine)
    say(engine, *history)
    until = take_moment(engine)
    say(
        engine,
        "INSERT INTO customers VALUES (100, 'later')",
        "INSERT INTO orders VALUES (100, 100, 'later')",
        "INSERT INTO tree VALUES (100, 1)",
    )
    report = undo(engine, KEYED_TABLES, at, until=until)
    assert report.complete
    assert report.conflicts == ()
    for table in KEYED_TABLES:
        since = [row for row in rows_of(engine, table) if row[0] == 100]
        assert len(since) == 1
        expected = [*rows_of(engine, f"{table} {at.sql}"), *since]
        assert rows_of(engine, table) == sorted(expected, key=repr)


def test_a_later_leaf_keeps_its_branch(engine: Engine) -> None:
    """A tree grew by mistake, and a leaf came on the new branch since."""
    say(engine, *KEYED_SHOP)
    at = take_moment(engine)
    say(engine, "INSERT INTO tree VALUES (4, 3)", "INSERT INTO tree VALUES (5, 4), (6, 2)")
    until = take_moment(engine)
    say(engine, "INSERT INTO tree VALUES (7, 5)")
    with engine.connect() as connection:
        with pytest.raises(PastConflictError, match=r"tree 5: a row of .*tree that stays"):
            undo_changes(connection, "tree", at, until=until)
        report = undo_changes(connection, "tree", at, until=until, on_conflict="skip")
        assert [one.key for one in report.conflicts] == [(5,), (4,)]
        assert (report.deleted, report.skipped) == (1, 2)
        found = connection.exec_driver_sql("SELECT id FROM tree ORDER BY id").scalars().all()
        assert found == [1, 2, 3, 4, 5, 7, 10]


def test_a_later_row_keeps_the_parent_that_it_refers_to(engine: Engine) -> None:
    """Whatever ON DELETE would make of it: it came after the accident."""
    say(engine, *SHOP)
    at = take_moment(engine)
    say(engine, "INSERT INTO customers VALUES (7, 'g'), (8, 'h')")
    until = take_moment(engine)
    say(engine, "INSERT INTO orders VALUES (7, 7, 'n')")
    for tables in (TABLES, ["customers"]):
        with engine.connect() as connection:
            with pytest.raises(PastConflictError, match=r"customers 7: .*refer"):
                undo_changes(connection, tables, at, until=until)
            report = undo_changes(connection, tables, at, until=until, on_conflict="skip")
            assert (report.deleted, report.skipped) == (1, 1)
            found = connection.exec_driver_sql("SELECT id FROM orders ORDER BY id").scalars().all()
            assert found == [1, 2, 3, 7]


def test_a_parent_that_went_later_does_not_come_back(engine: Engine) -> None:
    say(engine, *SHOP)
    at = take_moment(engine)
    say(engine, "DELETE FROM orders WHERE id = 3")
    until = take_moment(engine)
    say(engine, "DELETE FROM customers WHERE id = 3")
    with engine.connect() as connection:
        for tables in (TABLES, ["orders"]):
            with pytest.raises(PastConflictError, match=r"orders 3: the row of .*customers"):
                undo_changes(connection, tables, at, until=until)
            report = undo_changes(connection, tables, at, until=until, on_conflict="skip")
            assert (report.inserted, report.skipped) == (0, 1)


# -- refusals --------------------------------------------------------------------------------------


def test_refused(engine: Engine, moments: Moments) -> None:
    say(
        engine,
        "CREATE TABLE words (word VARCHAR(9))",
        "CREATE TABLE k (a INT, b INT, PRIMARY KEY (a))",
    )
    at = take_moment(engine)
    say(engine, "ALTER TABLE k DROP PRIMARY KEY", "ALTER TABLE k ADD PRIMARY KEY (b)")
    until = take_moment(engine)
    say(engine, "ALTER TABLE k DROP PRIMARY KEY", "ALTER TABLE k ADD PRIMARY KEY (a)")
    cases: list[tuple[str, dict[str, Any], type[Exception], str]] = [
        ("orders", {"until": moments.at}, PitrValidationError, "is not after"),
        ("orders", {"until": "2199-01-01 00:00:00Z"}, PitrValidationError, "in the future"),
        ("orders", {"until": "soon"}, PitrValidationError, "is no moment"),
        ("words", {"until": until}, PastError, "no primary key"),
        ("k", {"until": until}, PastError, "another key"),
    ]
    with engine.connect() as connection:
        for table, options, error, match in cases:
            with pytest.raises(error, match=match):
                undo_changes(connection, table, at if table != "orders" else moments.at, **options)
        with pytest.raises(PitrValidationError, match="all kinds"):
            undo_changes(
                connection,
                "orders",
                moments.at,
                until=moments.until,
                kinds={"updated"},
                on_conflict="replace",
            )
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(PitrTransactionError, match="AUTOCOMMIT"),
    ):
        undo_sql(connection, "orders", moments.at, until=moments.until)
