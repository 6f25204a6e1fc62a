"""undo_changes() and undo_sql(): rows back as they were."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, column
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_matrixone_pitr import (
    ChangeKind,
    DiffSummary,
    Moment,
    PastConflictError,
    PastError,
    PitrTransactionError,
    PitrValidationError,
    UndoReport,
    diff_rows,
    undo_changes,
    undo_sql,
)
from tests.conftest import Server
from tests.past.tables import Rows, rows_of, say, take_moment

pytestmark = pytest.mark.one_version

ORDERS = """\
CREATE TABLE orders (
  id INT AUTO_INCREMENT PRIMARY KEY, item VARCHAR(30), amount INT NOT NULL DEFAULT 1,
  touched TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)"""


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str | None]
    amount: Mapped[int]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """An engine whose past is trusted without a policy, but for the tests of just that."""
    engine.update_execution_options(matrixone_allow_unprotected=True)
    return engine


@pytest.fixture
def then(engine: Engine) -> Moment:
    """Three orders, of which one is gone, one is other, and one is new since."""
    say(
        engine,
        ORDERS,
        "INSERT INTO orders VALUES (1, 'tea', 1, '2020-01-01 00:00:00'), "
        "(2, NULL, 2, '2020-01-01 00:00:00'), (5, 'sofa', 1, '2020-01-01 00:00:00')",
    )
    then = take_moment(engine)
    say(
        engine,
        "DELETE FROM orders WHERE id = 1",
        "UPDATE orders SET item = 'lamp' WHERE id = 2",
        "INSERT INTO orders (item) VALUES ('desk')",
    )
    return then


def undo(engine: Engine, tables: Any, at: Moment, **options: Any) -> UndoReport:
    with engine.begin() as connection:
        return undo_changes(connection, tables, at, **options)


def was(engine: Engine, table: str, at: Moment) -> Rows:
    return rows_of(engine, f"{table} {at.sql}")


def test_rows_are_as_they_were(engine: Engine, then: Moment) -> None:
    """ON UPDATE and AUTO_INCREMENT make nothing up."""
    report = undo(engine, "orders", then)
    assert (report.inserted, report.updated, report.deleted, report.skipped) == (1, 1, 1, 0)
    assert report.complete
    assert report.conflicts == ()
    assert rows_of(engine, "orders") == was(engine, "orders", then)
    assert list(diff_rows(engine, "orders", then)) == []
    assert str(report) == f"rows as of {then}: 1 inserted, 1 updated, 1 deleted, 0 skipped"
    say(engine, "INSERT INTO orders (item) VALUES ('next')")


ENUMS = (
    "CREATE TABLE boxes (id INT PRIMARY KEY, size ENUM('s', 'm', 'it''s \\\\ 100%'), "
    "kind ENUM('1', '2'), item VARCHAR(9), "
    "touched TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
    "INSERT INTO boxes VALUES (1, 's', '2', 'a', '2020-01-01 00:00:00'), "
    "(2, NULL, '1', 'b', '2020-01-01 00:00:00'), "
    "(3, 'it''s \\\\ 100%', NULL, 'c', '2020-01-01 00:00:00'), "
    "(4, 'm', '1', 'd', '2020-01-01 00:00:00'), (5, 'm', '1', 'e', '2020-01-01 00:00:00')",
)
ENUMS_CHANGED = (
    "UPDATE boxes SET size = 'm' WHERE id < 4",
    "UPDATE boxes SET kind = '2', item = 'oops' WHERE id IN (2, 3)",
    "UPDATE boxes SET size = NULL WHERE id = 4",
    "DELETE FROM boxes WHERE id = 5",
)


@pytest.mark.parametrize("way", ["undo", "until", "script"])
@pytest.mark.parametrize("where", [None, column("size") == "m", column("item") == "oops"])
def test_enums(engine: Engine, way: str, where: Any) -> None:
    """They are set by their values, and rows are chosen by what they were before any of it."""
    say(engine, *ENUMS)
    at = take_moment(engine)
    say(engine, *ENUMS_CHANGED)
    options: Any = {"where": where, "until": take_moment(engine) if way == "until" else None}
    meant = {"size": {1, 2, 3, 4, 5}, "item": {2, 3}}.get(getattr(where, "left", column("")).name)
    now = {row[0]: row for row in rows_of(engine, "boxes")}
    then = {row[0]: row for row in was(engine, "boxes", at)}
    with engine.begin() as connection:
        if way == "script":
            script = undo_sql(connection, "boxes", at, **options)
            for statement in script.partition("BEGIN;")[2].partition("COMMIT;")[0].split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement.replace("%", "%%"))
        else:
            report = undo_changes(connection, "boxes", at, **options)
            updated = len((meant or then.keys()) & {1, 2, 3, 4})
            assert (report.updated, report.inserted) == (updated, 5 in (meant or then))
            assert report.complete
    expected = now | {key: then[key] for key in meant or then}
    assert rows_of(engine, "boxes") == sorted(expected.values(), key=repr)


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("also", ["", ", id"])
def test_keys_that_drivers_write_as_others(engine: Engine, until: bool, also: str) -> None:
    """A negative TIME, which PyMySQL reads as it is, and writes as another one."""
    say(
        engine,
        f"CREATE TABLE laps (lap TIME(3), id INT, n INT, PRIMARY KEY (lap{also}), UNIQUE KEY (n))",
        "INSERT INTO laps VALUES ('-01:30:00.5', 1, 1), ('26:00:00', 2, 2), ('-00:00:01', 3, 3)",
    )
    at = take_moment(engine)
    say(engine, "DELETE FROM laps WHERE id = 1", "UPDATE laps SET n = n + 10 WHERE id > 1")
    options = {"until": take_moment(engine)} if until else {}
    say(engine, "INSERT INTO laps VALUES ('00:00:00', 4, 1)", "UPDATE laps SET n = 14 WHERE id = 3")
    kinds = {} if until else {"kinds": {"deleted", "updated"}}
    report = undo(engine, "laps", at, on_conflict="skip", **options, **kinds)
    assert {one.key[0] for one in report.conflicts} == {
        datetime.timedelta(hours=-1, minutes=-30, milliseconds=-500),
        *([datetime.timedelta(seconds=-1)] if until else []),
    }
    found = sorted(row[1:] for row in rows_of(engine, "laps"))
    assert found == [(2, 2), (3, 14 if until else 3), (4, 1)]
    if until:
        report = undo(engine, "laps", at, on_conflict="replace", **options)
        assert report.complete
        assert sorted(row[1:] for row in rows_of(engine, "laps")) == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("until", [False, True])
def test_a_key_that_does_not_find_its_row(
    engine: Engine, until: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is refused, whatever became of it on its way."""
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, n INT UNIQUE)",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
    )
    at = take_moment(engine)
    say(engine, "DELETE FROM t WHERE id = 1", "UPDATE t SET n = 3 WHERE id = 2")
    options = {"until": take_moment(engine)} if until else {"kinds": {"deleted"}}
    say(engine, "INSERT INTO t VALUES (4, 1)", "UPDATE t SET n = 5 WHERE id = 2")
    monkeypatch.setattr("sqlalchemy_matrixone_pitr.past.keys._sent", lambda value: value + 90)
    with engine.connect() as connection:
        with pytest.raises(PastError, match="does not find the row"):
            undo_changes(connection, "t", at, on_conflict="skip", **options)
        connection.commit()
    assert rows_of(engine, "t") == [(2, 5), (4, 1)]


def test_a_table_of_nothing_but_enums(engine: Engine) -> None:
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, a ENUM('x', 'y'), b ENUM('x', 'y'))",
        "INSERT INTO t VALUES (1, 'x', 'y'), (2, 'y', NULL), (3, 'x', 'x')",
    )
    at = take_moment(engine)
    say(engine, "UPDATE t SET a = 'y', b = 'x'", "ALTER TABLE t ADD COLUMN c ENUM('x')")
    report = undo(engine, "t", at)
    assert (report.updated, report.complete) == (3, True)
    assert rows_of(engine, "t") == [(1, "x", "y", None), (2, "y", None, None), (3, "x", "x", None)]


GIVEN_UP = {
    "a value": ("UPDATE t SET u = NULL WHERE id = 1", "UPDATE t SET u = 1 WHERE id = 2"),
    "and more": (
        "UPDATE t SET u = NULL, n = 5, e = 'y' WHERE id = 1",
        "UPDATE t SET u = 1, w = NULL, e = 'y' WHERE id = 2",
        "UPDATE t SET w = 7, n = 5 WHERE id = 1",
    ),
    "of a pair": ("UPDATE t SET a = NULL WHERE id = 1", "UPDATE t SET a = 1, b = 'x' WHERE id = 2"),
}


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("changes", GIVEN_UP.values(), ids=GIVEN_UP)
def test_unique_values_that_rows_gave_up(
    engine: Engine, changes: Sequence[str], until: bool
) -> None:
    """And others took: no UPDATE of a join gives them back."""
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, w INT UNIQUE, a INT, b VARCHAR(9), "
        "n INT, e ENUM('x', 'y'), d DATETIME DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP, "
        "UNIQUE KEY (a, b))",
        "INSERT INTO t (id, u, w, a, b, n, e) VALUES (1, 1, NULL, 1, 'x', 0, 'x'), "
        "(2, NULL, 7, NULL, 'x', 0, 'x'), (3, 3, 3, 3, NULL, 0, 'x')",
    )
    at = take_moment(engine)
    before = rows_of(engine, "t")
    say(engine, *changes)
    options = {"until": take_moment(engine)} if until else {}
    report = undo(engine, "t", at, **options)
    assert (report.updated, report.complete) == (2, True)
    assert rows_of(engine, "t") == before


def test_in_the_callers_transaction(engine: Engine, then: Moment) -> None:
    before = rows_of(engine, "orders")
    with engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO orders (item) VALUES ('uncommitted')")
        report = undo_changes(connection, "orders", then)
        assert report.deleted == 2
        connection.rollback()
    assert rows_of(engine, "orders") == before


def test_in_a_session(engine: Engine, then: Moment) -> None:
    with Session(engine) as session:
        desk = session.get_one(Order, 2)
        session.add(Order(id=9, item="pending", amount=1))
        report = undo_changes(session, Order, then, where=Order.id.in_([2, 9]))
        assert (report.updated, report.deleted) == (1, 1)
        assert desk.item is None
        session.commit()
    assert undo(engine, Order, then).inserted == 1


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_kinds(engine: Engine, then: Moment, kind: ChangeKind) -> None:
    report = undo(engine, "orders", then, kinds=[str(kind)])
    assert report.inserted + report.updated + report.deleted == 1
    assert not report.complete
    left = {"inserted": 1, "updated": 1, "deleted": 1} | {str(kind): 0}
    assert report.tables[0].remaining == DiffSummary(**left)
    assert "were left out" in str(report)
    assert undo(engine, "orders", then).complete


def test_where(engine: Engine, then: Moment) -> None:
    report = undo(engine, Order, then, where=Order.item == "lamp")
    assert (report.inserted, report.updated, report.deleted) == (0, 1, 0)
    assert report.complete  # as far as the condition goes
    report = undo(engine, "orders", then, where=column("item") == "tea")
    assert (report.inserted, report.updated, report.deleted) == (1, 0, 0)


def test_a_truncated_table(engine: Engine, then: Moment) -> None:
    say(engine, "TRUNCATE TABLE orders")
    assert undo(engine, "orders", then).inserted == 3
    assert rows_of(engine, "orders") == was(engine, "orders", then)


def test_columns_that_came_and_went(engine: Engine, then: Moment) -> None:
    """Rows that came keep their values; rows that went do not come back, and the report says so."""
    say(
        engine,
        "ALTER TABLE orders DROP COLUMN amount",
        "ALTER TABLE orders ADD COLUMN note VARCHAR(9) DEFAULT 'none'",
        "UPDATE orders SET note = 'kept' WHERE id = 2",
    )
    report = undo(engine, "orders", then)
    assert report.complete
    assert report.tables[0].dropped_columns == ("amount",)
    assert "has no column amount any more" in str(report)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id, item, note FROM orders ORDER BY id").all()
    assert [tuple(row) for row in found] == [
        (1, "tea", "none"),
        (2, None, "kept"),
        (5, "sofa", "none"),
    ]


@pytest.mark.all_combinations
def test_generated_columns(engine: Engine, server: Server) -> None:
    if server.version < (4,):
        pytest.skip("since 4.0")
    say(
        engine,
        "CREATE TABLE g (id INT PRIMARY KEY, a INT, b INT GENERATED ALWAYS AS (a * 2) STORED)",
        "INSERT INTO g (id, a) VALUES (1, 1), (2, 2)",
    )
    then = take_moment(engine)
    say(engine, "DELETE FROM g WHERE id = 1", "UPDATE g SET a = 7 WHERE id = 2")
    assert undo(engine, "g", then).complete
    assert rows_of(engine, "g") == [(1, 1, 2), (2, 2, 4)]


def test_names_and_compound_keys(engine: Engine) -> None:
    name = "`select from 100%`"
    say(
        engine,
        f"CREATE TABLE {name} (`the key` INT, `from` VARCHAR(9), `set` INT, `100%` INT, "
        "PRIMARY KEY (`the key`, `from`))",
        f"INSERT INTO {name} VALUES (1, 'a', 1, 1), (1, 'b', 2, NULL), (2, 'a', 3, 3)",
    )
    then = take_moment(engine)
    say(
        engine,
        f"DELETE FROM {name} WHERE `set` = 1",
        f"UPDATE {name} SET `100%` = 5 WHERE `set` = 2",
        f"INSERT INTO {name} VALUES (1, 'A', 1, 1)",
    )
    report = undo(engine, f"{engine.url.database}.select from 100%", then)
    assert (report.inserted, report.updated, report.deleted) == (1, 1, 1)
    assert rows_of(engine, name) == was(engine, name, then)


# -- several tables, and keys between them ---------------------------------------------------------

SHOP = (
    "CREATE TABLE customers (id INT PRIMARY KEY, mail VARCHAR(30), UNIQUE KEY mail (mail))",
    "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, note VARCHAR(9), "
    "CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id))",
    "CREATE TABLE tree (id INT PRIMARY KEY, up INT)",
    "ALTER TABLE tree ADD CONSTRAINT g FOREIGN KEY (up) REFERENCES tree (id)",
    "INSERT INTO customers VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "INSERT INTO orders VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')",
    "INSERT INTO tree VALUES (1, NULL)",
    "INSERT INTO tree VALUES (2, 1)",
    "INSERT INTO tree VALUES (3, 2)",
    "INSERT INTO tree VALUES (10, NULL)",
    "UPDATE tree SET up = 10 WHERE id = 10",
)
TABLES = ["customers", "orders", "tree"]


@pytest.fixture
def shop(engine: Engine) -> Moment:
    say(engine, *SHOP)
    return take_moment(engine)


HISTORIES = {
    "parents and children are gone": (
        "DELETE FROM orders WHERE id > 1",
        "DELETE FROM customers WHERE id > 1",
    ),
    "parents and children are new": (
        "INSERT INTO customers VALUES (7, 'g')",
        "INSERT INTO orders VALUES (7, 7, 'n')",
    ),
    "children moved to a new parent": (
        "INSERT INTO customers VALUES (7, 'g')",
        "UPDATE orders SET customer_id = 7 WHERE id = 1",
    ),
    "a new parent has the value of the old one, and its children": (
        "DELETE FROM orders WHERE customer_id = 3",
        "DELETE FROM customers WHERE id = 3",
        "INSERT INTO customers VALUES (4, 'c')",
        "UPDATE orders SET customer_id = 4 WHERE id = 2",
    ),
    "values were exchanged": (
        "UPDATE customers SET mail = '-' WHERE id = 1",
        "UPDATE customers SET mail = 'a' WHERE id = 2",
        "UPDATE customers SET mail = 'b' WHERE id = 1",
    ),
    "a tree lost its leaves": ("DELETE FROM tree WHERE id = 3", "DELETE FROM tree WHERE id = 2"),
    "a tree grew": (
        "INSERT INTO tree VALUES (4, 3)",
        "INSERT INTO tree VALUES (5, 4)",
        "INSERT INTO tree VALUES (6, 5)",
    ),
    "a tree was grafted": ("INSERT INTO tree VALUES (4, 1)", "UPDATE tree SET up = 4 WHERE id = 2"),
    "a tree was pruned in the middle": (
        "UPDATE tree SET up = 1 WHERE id = 3",
        "DELETE FROM tree WHERE id = 2",
    ),
    "a row refers to itself": (
        "INSERT INTO tree VALUES (9, NULL)",
        "UPDATE tree SET up = 9 WHERE id = 9",
    ),
    "a row that referred to itself is gone": (
        "UPDATE tree SET up = NULL WHERE id = 10",
        "DELETE FROM tree WHERE id = 10",
    ),
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("tables", [TABLES, TABLES[::-1]], ids=["forth", "back"])
def test_tables_in_the_order_of_their_keys(
    engine: Engine, history: Sequence[str], tables: list[str]
) -> None:
    say(engine, *SHOP)
    then = take_moment(engine)
    say(engine, *history)
    report = undo(engine, tables, then)
    assert report.complete
    for table in tables:
        assert rows_of(engine, table) == was(engine, table, then)


def test_the_script_does_the_same(engine: Engine, shop: Moment) -> None:
    for history in HISTORIES.values():
        try:
            say(engine, *history)
        except Exception:  # one history may be in another's way
            continue
    script = undo_sql(engine, TABLES, shop)
    assert script.startswith("-- ")
    with engine.connect() as connection:
        while True:
            found = 0
            for line in script.replace("\n--", "\n;--").split(";"):
                statement = "\n".join(x for x in line.splitlines() if not x.startswith("--"))
                if statement.strip() not in ("", "BEGIN", "COMMIT"):
                    result = connection.exec_driver_sql(statement.replace("%", "%%"))
                    found += result.rowcount
            if not found:
                break
        connection.commit()
    for table in TABLES:
        assert rows_of(engine, table) == was(engine, table, shop)


# -- conflicts -------------------------------------------------------------------------------------


@pytest.fixture
def taken(engine: Engine, shop: Moment) -> Moment:
    """A customer is gone, and another has the mail."""
    say(
        engine,
        "DELETE FROM orders WHERE id = 3",
        "DELETE FROM customers WHERE id = 3",
        "INSERT INTO customers VALUES (8, 'c')",
        "UPDATE customers SET mail = 'aa' WHERE id = 1",
    )
    return shop


def test_a_taken_value_is_listed_and_nothing_written(engine: Engine, taken: Moment) -> None:
    before = rows_of(engine, "customers")
    with engine.begin() as connection, pytest.raises(PastConflictError) as caught:
        undo_changes(connection, "customers", taken, kinds={"deleted", "updated"})
    assert [str(one).partition(".")[2] for one in caught.value.conflicts] == [
        "customers 3: UNIQUE mail is taken by 8"
    ]
    assert caught.value.conflicts[0].other == (8,)
    assert "nothing was written" in str(caught.value)
    assert rows_of(engine, "customers") == before
    assert undo(engine, "customers", taken).complete  # the other row goes, too


def test_a_taken_value_is_skipped(engine: Engine, taken: Moment) -> None:
    report = undo(engine, "customers", taken, kinds={"deleted", "updated"}, on_conflict="skip")
    assert (report.inserted, report.updated, report.skipped) == (0, 1, 1)
    assert rows_of(engine, "customers") == [(1, "a"), (2, "b"), (8, "c")]
    assert "1 skipped: " in str(report)
    assert report.tables[0].remaining == DiffSummary(inserted=1, deleted=1)


def test_a_taken_value_is_replaced(engine: Engine, taken: Moment) -> None:
    report = undo(engine, "customers", taken, kinds={"deleted", "updated"}, on_conflict="replace")
    assert (report.inserted, report.updated, report.deleted) == (1, 1, 1)
    assert rows_of(engine, "customers") == [(1, "a"), (2, "b"), (3, "c")]
    assert len(report.conflicts) == 1


def test_rows_that_changed_into_the_value(engine: Engine, shop: Moment) -> None:
    say(
        engine,
        "DELETE FROM orders WHERE id = 3",
        "DELETE FROM customers WHERE id = 3",
        "UPDATE customers SET mail = 'c' WHERE id = 2",
    )
    with engine.connect() as connection:
        for kinds, taken in (({"deleted"}, 1), ({"deleted", "updated"}, 0)):
            report = undo_changes(connection, "customers", shop, kinds=kinds, on_conflict="skip")
            assert report.skipped == taken or kinds == {"deleted", "updated"}
            connection.rollback()
        report = undo_changes(connection, "customers", shop)
        assert report.complete
        connection.rollback()


def test_the_row_that_it_refers_to_is_gone(engine: Engine, shop: Moment) -> None:
    say(engine, "DELETE FROM orders WHERE id = 3", "DELETE FROM customers WHERE id = 3")
    with engine.connect() as connection:
        with pytest.raises(PastConflictError, match=r"orders 3: the row of .*customers .* is gone"):
            undo_changes(connection, "orders", shop)
        with pytest.raises(PastConflictError):
            undo_changes(connection, "orders", shop, on_conflict="replace")
        assert undo_changes(connection, "orders", shop, on_conflict="skip").skipped == 1
        connection.rollback()
        assert undo_changes(connection, ["orders", "customers"], shop).complete
        connection.rollback()


def test_rows_of_other_tables_refer_to_it(engine: Engine, shop: Moment) -> None:
    """Whatever ON DELETE would make of them: nobody named their table."""
    say(
        engine,
        "CREATE TABLE notes (id INT PRIMARY KEY, customer_id INT, CONSTRAINT h FOREIGN KEY "
        "(customer_id) REFERENCES customers (id) ON DELETE CASCADE)",
        "INSERT INTO customers VALUES (7, 'g'), (8, 'h')",
        "INSERT INTO notes VALUES (1, 7), (2, 7)",
    )
    with engine.connect() as connection:
        with pytest.raises(PastConflictError, match=r"customers 7: rows of .*notes refer to it"):
            undo_changes(connection, "customers", shop)
        report = undo_changes(connection, "customers", shop, on_conflict="skip")
        assert (report.deleted, report.skipped) == (1, 1)
        connection.commit()
    assert rows_of(engine, "notes") == [(1, 7), (2, 7)]


def test_a_row_that_is_skipped_leaves_its_children_out(engine: Engine, taken: Moment) -> None:
    """Order 3 would refer to customer 3, whose mail another one has."""
    kinds = {"deleted", "updated"}
    with engine.connect() as connection:
        report = undo_changes(connection, TABLES, taken, kinds=kinds, on_conflict="skip")
        assert [str(one).partition(".")[2] for one in report.conflicts] == [
            "customers 3: UNIQUE mail is taken by 8",
            f"orders 3: the row of {engine.url.database}.customers that it refers to is gone and "
            "does not come back",
        ]
        assert (report.updated, report.inserted, report.skipped) == (1, 0, 2)


def test_a_row_that_is_skipped_keeps_its_value(engine: Engine, shop: Moment) -> None:
    """Customer 8 stays for the sake of a note, and so does its mail, which customer 3 had."""
    say(
        engine,
        "CREATE TABLE notes (id INT PRIMARY KEY, customer_id INT, CONSTRAINT h FOREIGN KEY "
        "(customer_id) REFERENCES customers (id))",
        "DELETE FROM orders WHERE id = 3",
        "DELETE FROM customers WHERE id = 3",
        "INSERT INTO customers VALUES (8, 'c')",
        "INSERT INTO notes VALUES (1, 8)",
    )
    with engine.connect() as connection:
        report = undo_changes(connection, "customers", shop, on_conflict="skip")
        assert [one.key for one in report.conflicts] == [(8,), (3,)]
        assert report.skipped == 2


@pytest.mark.parametrize("rule", ["RESTRICT", "CASCADE", "SET NULL"])
def test_kinds_that_leave_a_child_keep_its_new_parent(engine: Engine, rule: str) -> None:
    """Whatever ON DELETE would make of the order that was moved to it."""
    say(
        engine,
        "CREATE TABLE customers (id INT PRIMARY KEY)",
        "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT, CONSTRAINT f FOREIGN KEY "
        f"(customer_id) REFERENCES customers (id) ON DELETE {rule})",
        "INSERT INTO customers VALUES (1)",
        "INSERT INTO orders VALUES (1, 1)",
    )
    then = take_moment(engine)
    say(
        engine,
        "INSERT INTO customers VALUES (7), (8)",
        "UPDATE orders SET customer_id = 7 WHERE id = 1",
    )
    tables = ["orders", "customers"]
    with engine.connect() as connection:
        with pytest.raises(PastConflictError, match=r"customers 7: a row of .*orders that stays"):
            undo_changes(connection, tables, then, kinds={"inserted"})
        report = undo_changes(connection, tables, then, kinds={"inserted"}, on_conflict="skip")
        assert (report.deleted, report.skipped) == (1, 1)
        assert connection.exec_driver_sql("SELECT * FROM orders").all() == [(1, 7)]
        connection.rollback()
        assert undo_changes(connection, tables, then).complete


def test_rows_that_exchanged_their_values(engine: Engine) -> None:
    say(
        engine,
        "CREATE TABLE places (id INT PRIMARY KEY, place INT NOT NULL, UNIQUE KEY p (place))",
        "INSERT INTO places VALUES (1, 1), (2, 2), (3, 3)",
    )
    then = take_moment(engine)
    say(
        engine,
        "UPDATE places SET place = 3 - place WHERE id < 3",
        "DELETE FROM places WHERE id = 3",
        "UPDATE places SET place = place + 1",
    )
    assert undo(engine, "places", then).complete
    assert rows_of(engine, "places") == [(1, 1), (2, 2), (3, 3)]


# -- refusals --------------------------------------------------------------------------------------


def test_refused(engine: Engine, then: Moment) -> None:
    say(engine, "CREATE TABLE words (word VARCHAR(9))")
    now = take_moment(engine)
    with pytest.raises(PitrTransactionError, match="writes in your transaction"):
        undo_changes(engine, "orders", then)  # type: ignore[arg-type]
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(PitrTransactionError, match="AUTOCOMMIT"),
    ):
        undo_changes(connection, "orders", then)
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ("words", {}, PastError, "no primary key"),
        ([], {}, PitrValidationError, "no table"),
        (["orders", "words"], {"where": column("id") == 1}, PitrValidationError, "give one"),
        (["orders", "Orders"], {}, PitrValidationError, "given twice"),
        ("orders", {"kinds": []}, PitrValidationError, "nothing to take back"),
        ("orders", {"kinds": ["moved"]}, PitrValidationError, "kinds are 'inserted'"),
        ("orders", {"on_conflict": "ignore"}, PitrValidationError, "on_conflict is"),
    ]
    with engine.connect() as connection:
        for table, options, error, match in cases:
            with pytest.raises(error, match=match):
                undo_changes(connection, table, now, **options)
    past = engine.execution_options(matrixone_as_of=now)
    with past.connect() as connection, pytest.raises(PastError, match="reads the past"):
        undo_changes(connection, "orders", then)


def test_an_update_that_the_server_does_wrong(
    engine: Engine, then: Moment, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.x repeats keys in a large UPDATE of a join: nothing of it is to be committed."""
    warned = "-- roll back if it changes more than 8192 rows" in undo_sql(engine, "orders", then)
    assert warned is (server.version < (4,))
    monkeypatch.setattr("sqlalchemy_matrixone_pitr.past.joined.LARGEST", 0)
    before = rows_of(engine, "orders")
    if server.version >= (4,):
        assert undo(engine, "orders", then).updated == 1
        return
    with pytest.raises(PastError, match="damages the keys of rows"):
        undo(engine, "orders", then)
    assert rows_of(engine, "orders") == before
