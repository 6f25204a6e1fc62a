"""diff_rows() and diff_summary(): what changed in a table since a moment."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import gc
import tempfile
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    column,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects.mysql import BIT
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import QueuePool

from sqlalchemy_matrixone_pitr import (
    ChangeKind,
    DiffSummary,
    Moment,
    PastError,
    PitrValidationError,
    RowChange,
    diff_rows,
    diff_summary,
)
from tests.conftest import Server
from tests.past.tables import say, take_moment
from tests.proxy import Proxy, When

pytestmark = pytest.mark.one_version

INSERTED, UPDATED, DELETED = ChangeKind.INSERTED, ChangeKind.UPDATED, ChangeKind.DELETED
ORDERS = """\
CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(30), amount INT NOT NULL DEFAULT 1)"""


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    number: Mapped[int] = mapped_column("id", primary_key=True)
    item: Mapped[str | None] = mapped_column(String(30))
    amount: Mapped[int]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """An engine whose past is trusted without a policy, but for the tests of just that."""
    engine.update_execution_options(matrixone_allow_unprotected=True)
    return engine


@pytest.fixture
def then(engine: Engine) -> Moment:
    """Three orders, of which one is gone, one is other, and one is new since."""
    say(engine, ORDERS, "INSERT INTO orders (id, item) VALUES (1, 'tea'), (2, NULL), (3, 'sofa')")
    then = take_moment(engine)
    say(
        engine,
        "DELETE FROM orders WHERE id = 1",
        "UPDATE orders SET item = 'lamp' WHERE id = 2",
        "INSERT INTO orders (id, item) VALUES (4, 'desk')",
    )
    return then


def row(number: int, item: str | None) -> dict[str, Any]:
    return {"id": number, "item": item, "amount": 1}


CHANGES = [
    RowChange(DELETED, (1,), row(1, "tea"), None),
    RowChange(UPDATED, (2,), row(2, None), row(2, "lamp"), ("item",)),
    RowChange(INSERTED, (4,), None, row(4, "desk")),
]


@pytest.mark.parametrize("target", ["orders", Order, Order.__table__])
def test_changes_since(engine: Engine, then: Moment, target: Any) -> None:
    changes = diff_rows(engine, target, then)
    assert (changes.key, changes.columns) == (("id",), ("id", "item", "amount"))
    assert (changes.added_columns, changes.dropped_columns) == ((), ())
    assert list(changes) == CHANGES
    assert diff_summary(engine, target, then) == DiffSummary(1, 1, 1)
    assert diff_rows(engine, f"{engine.url.database}.ORDERS", then).table == changes.table


def test_one_statement_compares_with_the_present(engine: Engine, then: Moment) -> None:
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    assert len(list(diff_rows(engine, "orders", then))) == 3
    assert len([text for text in said if "`orders`" in text]) == 1


def test_between_two_moments(engine: Engine, then: Moment) -> None:
    later = take_moment(engine)
    say(engine, "INSERT INTO orders (id) VALUES (9)", "UPDATE orders SET amount = 5")
    changes = diff_rows(engine, "orders", then, until=later)
    assert changes.until == later
    assert list(changes) == CHANGES
    assert diff_summary(engine, "orders", then, until=later) == DiffSummary(1, 1, 1)
    assert diff_summary(engine, "orders", later, until=take_moment(engine)) == DiffSummary(1, 3, 0)


@pytest.mark.parametrize("until", [False, True])
def test_where_holds_before_or_after(engine: Engine, then: Moment, until: bool) -> None:
    say(engine, "UPDATE orders SET item = 'tea' WHERE id = 3")
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}

    def keys(where: Any) -> list[int]:
        return [change.key[0] for change in diff_rows(engine, Order, then, where=where, **options)]

    assert keys(Order.item == "tea") == [1, 3]
    assert keys(Order.item == "sofa") == [3]
    assert keys(column("item").is_(None)) == [2]
    assert keys(Order.number.in_([2, 4])) == [2, 4]
    assert keys(Order.number > 50) == []
    assert diff_summary(engine, Order, then, where=Order.number < 3, **options).total == 2


@pytest.mark.parametrize("until", [False, True])
def test_columns(engine: Engine, then: Moment, until: bool) -> None:
    say(engine, "UPDATE orders SET amount = 2 WHERE id = 3")
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    changes = diff_rows(engine, Order, then, columns=["Amount"], **options)
    assert changes.columns == ("id", "amount")
    found = list(changes)
    assert [change.key for change in found] == [(1,), (3,), (4,)]
    assert found[1] == RowChange(
        UPDATED, (3,), {"id": 3, "amount": 1}, {"id": 3, "amount": 2}, ("amount",)
    )
    assert len(list(diff_rows(engine, Order, then, columns=[Order.item], **options))) == 3


def test_the_callers_uncommitted_rows_count(engine: Engine, then: Moment) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM orders WHERE id = 3")
        found = [change.key for change in diff_rows(connection, "orders", then)]
        assert found == [(1,), (2,), (3,), (4,)]
        assert diff_summary(connection, "orders", then).deleted == 2
        connection.rollback()
    with Session(engine) as session:
        session.add(Order(number=8, item="new", amount=1))
        session.flush()
        assert diff_summary(session, Order, then).inserted == 2
        session.rollback()


def test_a_connection_is_free_while_changes_are_read(engine: Engine, then: Moment) -> None:
    with engine.begin() as connection:
        for change in diff_rows(connection, "orders", then):
            if change.kind is INSERTED:
                connection.exec_driver_sql(f"DELETE FROM orders WHERE id = {change.key[0]}")
    assert diff_summary(engine, "orders", then) == DiffSummary(0, 1, 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_lost_while_changes_are_read(
    server: Server, database: str, then: Moment, proxy: Proxy, when: When
) -> None:
    """Nothing is left open, neither by the caller's connection nor by one of ours."""
    engine = create_engine(server.url(database=database, port=proxy.port))

    def read(bind: Engine | Connection) -> int:
        return len(list(diff_rows(bind, "orders", then, allow_unprotected=True)))

    def read_and_lose(bind: Engine | Connection) -> None:
        proxy.cut(r"`?orders`? \{MO_TS", when)
        with pytest.raises(OperationalError):
            read(bind)

    with engine.connect() as connection:
        assert read(connection) == 3
        read_and_lose(connection)
    read_and_lose(engine)
    assert read(engine) == 3
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 0
    engine.dispose()


@pytest.mark.parametrize("close", [True, False])
def test_changes_that_nobody_reads_leave_no_file(
    engine: Engine, then: Moment, monkeypatch: pytest.MonkeyPatch, close: bool
) -> None:
    made: list[Any] = []
    spool = tempfile.SpooledTemporaryFile

    def noted(*arguments: Any, **options: Any) -> Any:
        made.append(spool(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", noted)
    with engine.connect() as connection:
        changes = diff_rows(connection, "orders", then)
        if close:
            changes.close()
        del changes
    gc.collect()
    assert [one.closed for one in made] == [True]


@pytest.mark.parametrize("close", ["close", "with", "forget"])
def test_a_reader_may_stop_early(server: Server, database: str, close: str) -> None:
    """The statement is ended on the server, its rows are not read, and the pool stays whole."""
    engine = create_engine(server.url("matrixone+pymysql", database), pool_size=3, max_overflow=0)
    engine.update_execution_options(matrixone_allow_unprotected=True)
    say(engine, ORDERS)
    then = take_moment(engine)
    values = ", ".join(f"({number})" for number in range(1, 5001))
    say(engine, f"INSERT INTO orders (id) VALUES {values}")
    changes = diff_rows(engine, "orders", then)
    assert next(changes).key == (1,)
    if close == "close":
        changes.close()
    elif close == "with":
        with changes:
            next(changes)
    del changes
    gc.collect()
    assert diff_summary(engine, "orders", then).inserted == 5000
    engine.dispose()


# -- tables of many kinds --------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


VARIED = Table(
    "a table of 100%",
    MetaData(),
    Column("the key", String(20), primary_key=True),
    Column("select", Integer, primary_key=True, autoincrement=False),
    Column("data", JSON),
    Column("yes", Boolean),
    Column("price", Numeric(10, 2)),
    Column("float", Float),
    Column("bytes", LargeBinary),
    Column("at", DateTime),
    Column("colour", Enum(Colour)),
)
EMPTY = dict.fromkeys(column.name for column in VARIED.columns)


@pytest.mark.parametrize("until", [False, True])
def test_values_come_in_the_tables_types(engine: Engine, until: bool) -> None:
    VARIED.create(engine)
    full = {
        "the key": "é", "select": 1, "data": {"a": [1, None]}, "yes": True, "bytes": b"\x00\xff'",
        "price": decimal.Decimal("1.50"), "float": 0.25, "at": dt.datetime(2026, 1, 2, 3, 4, 5),
        "colour": Colour.BLUE,
    }  # fmt: skip
    keys = ["B", "a", "z", "é", "😀"]  # as the server sorts them: by their bytes
    with engine.begin() as connection:
        connection.execute(
            VARIED.insert(), [full, *(EMPTY | {"the key": k, "select": 2} for k in keys)]
        )
    then = take_moment(engine)
    with engine.begin() as connection:
        connection.execute(
            VARIED.update()
            .where(VARIED.c.select == 1)
            .values({c.name: None for c in VARIED.columns if not c.primary_key})
        )
        connection.execute(VARIED.update().where(VARIED.c.select == 2).values(yes=False))
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    found = list(diff_rows(engine, VARIED, then, **options))
    assert [change.key for change in found] == [
        ("B", 2), ("a", 2), ("z", 2), ("é", 1), ("é", 2), ("😀", 2),
    ]  # fmt: skip
    assert found[3].before == full
    assert found[3].after == EMPTY | {"the key": "é", "select": 1}
    assert found[3].changed == tuple(EMPTY)[2:]
    assert found[0].after == EMPTY | {"the key": "B", "select": 2, "yes": False}
    assert (found[0].before or {})["yes"] is None


def test_what_is_the_same_is_no_change(engine: Engine) -> None:
    """Also where a row was written again."""
    VARIED.create(engine)
    whole = {"data": {"b": 1, "a": 0.1}, "float": 0.1, "bytes": b"x", "at": dt.datetime(2026, 1, 1)}
    with engine.begin() as connection:
        connection.execute(VARIED.insert(), {"the key": "a", "select": 1, **whole})
    then = take_moment(engine)
    with engine.begin() as connection:
        connection.execute(VARIED.delete().where(VARIED.c.select == 1))
        connection.execute(VARIED.insert(), {"the key": "a", "select": 1, **whole})
    assert list(diff_rows(engine, VARIED, then)) == []
    assert list(diff_rows(engine, VARIED, then, until=take_moment(engine))) == []


@pytest.mark.parametrize("until", [False, True])
def test_a_table_without_a_key_is_a_multiset(engine: Engine, until: bool) -> None:
    say(
        engine,
        "CREATE TABLE words (word VARCHAR(9), n INT, data JSON)",
        "INSERT INTO words VALUES ('a', 1, '{}'), ('a', 1, '{}'), ('b', NULL, NULL)",
        "INSERT INTO words VALUES ('c', 3, '[1]')",
    )
    then = take_moment(engine)
    say(
        engine,
        "DELETE FROM words WHERE word <> 'c'",
        "INSERT INTO words VALUES ('a', 1, '{}'), ('d', 4, NULL), ('d', 4, NULL)",
    )
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    changes = diff_rows(engine, "words", then, **options)
    assert changes.key == ()
    a, b, d = (
        {"word": "a", "n": 1, "data": "{}"},
        {"word": "b", "n": None, "data": None},
        {"word": "d", "n": 4, "data": None},
    )
    assert list(changes) == [
        RowChange(DELETED, (), a, None),
        RowChange(DELETED, (), b, None),
        RowChange(INSERTED, (), None, d),
        RowChange(INSERTED, (), None, d),
    ]
    assert diff_summary(engine, "words", then, **options) == DiffSummary(2, 0, 2)
    where = column("word") == "a"
    assert len(list(diff_rows(engine, "words", then, where=where, **options))) == 1


def test_a_unique_key_without_nulls_is_a_key(engine: Engine) -> None:
    say(
        engine,
        "CREATE TABLE users (name VARCHAR(9), mail VARCHAR(9) NOT NULL, UNIQUE KEY m (mail))",
        "INSERT INTO users VALUES ('a', 'x'), ('b', 'y')",
    )
    then = take_moment(engine)
    say(engine, "UPDATE users SET name = 'c' WHERE mail = 'y'")
    changes = diff_rows(engine, "users", then)
    assert changes.key == ("mail",)
    assert [(change.kind, change.key) for change in changes] == [(UPDATED, ("y",))]


# -- tables that changed themselves ----------------------------------------------------------------


def test_columns_that_came_and_went_are_said(engine: Engine, then: Moment) -> None:
    say(
        engine,
        "ALTER TABLE orders ADD COLUMN note VARCHAR(9)",
        "ALTER TABLE orders DROP COLUMN amount",
        "UPDATE orders SET note = 'x' WHERE id = 3",
    )
    changes = diff_rows(engine, "orders", then)
    assert changes.columns == ("id", "item")
    assert (changes.added_columns, changes.dropped_columns) == (("note",), ("amount",))
    assert [change.key for change in changes] == [(1,), (2,), (4,)]
    with pytest.raises(PitrValidationError, match="did not have the column 'note' at both"):
        diff_rows(engine, "orders", then, columns=["note"])
    with pytest.raises(PitrValidationError, match="names the column 'amount'"):
        diff_rows(engine, Order, then, where=Order.amount > 1)


def test_a_truncated_table_and_one_made_again(engine: Engine, then: Moment) -> None:
    say(engine, "TRUNCATE TABLE orders")
    assert diff_summary(engine, "orders", then) == DiffSummary(0, 0, 3)
    say(engine, "DROP TABLE orders", ORDERS, "INSERT INTO orders (id, item) VALUES (1, 'tea')")
    assert diff_summary(engine, "orders", then) == DiffSummary(0, 0, 2)


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("key", [", PRIMARY KEY (a, b, c)", ""])
def test_bytes_before_other_columns(engine: Engine, until: bool, key: str) -> None:
    """3.x sorts by them in the last place only."""
    say(
        engine,
        f"CREATE TABLE t (a VARBINARY(9) NOT NULL, b BINARY(2), c DECIMAL(9,3), d BLOB{key})",
        "INSERT INTO t VALUES (x'ff00', x'0001', 1.5, x'ff'), ('a', 'bb', 1.001, 'd'), "
        "('ab', 'bb', 1.001, NULL)",
    )
    then = take_moment(engine)
    say(engine, "DELETE FROM t WHERE a = 'a'", "INSERT INTO t VALUES ('', 'bb', 1, x'00')")
    later = take_moment(engine) if until else None
    say(engine, *([] if later is None else ["DELETE FROM t WHERE c > 1"]))
    with diff_rows(engine, "t", then, until=later) as changes:
        assert len(changes.key) == (3 if key else 0)
        found = [(change.kind, change.after or change.before) for change in changes]
    assert found == [
        (INSERTED, {"a": b"", "b": b"bb", "c": decimal.Decimal(1), "d": b"\0"}),
        (DELETED, {"a": b"a", "b": b"bb", "c": decimal.Decimal("1.001"), "d": b"d"}),
    ]


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("declared", [False, True])
def test_bits_are_numbers(engine: Engine, until: bool, declared: bool) -> None:
    """Whether the server sends them as bytes, or in a UNION as numbers."""
    say(
        engine,
        "CREATE TABLE t (id BIT(12) PRIMARY KEY, b BIT(3))",
        "INSERT INTO t VALUES (1, 1), (600, 2), (3, NULL)",
    )
    then = take_moment(engine)
    say(engine, "UPDATE t SET b = 5 WHERE id = 600", "DELETE FROM t WHERE id = 3")
    later = take_moment(engine) if until else None
    columns = (Column("id", BIT(12), primary_key=True), Column("b", BIT(3)))
    target = Table("t", MetaData(), *columns) if declared else "t"
    found = sorted(diff_rows(engine, target, then, until=later), key=lambda change: change.key)
    assert found == [
        RowChange(DELETED, (3,), {"id": 3, "b": None}, None),
        RowChange(UPDATED, (600,), {"id": 600, "b": 2}, {"id": 600, "b": 5}, ("b",)),
    ]


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("key", ["id", "id, b", ""])
def test_bits_that_are_no_text(engine: Engine, until: bool, key: str) -> None:
    """By key, and counted without one: no BIT is read as a text."""
    primary = f", PRIMARY KEY ({key})" if key else ""
    say(
        engine,
        f"CREATE TABLE t (id BIT(8) NOT NULL, b BIT(3) NOT NULL, c INT{primary})",
        "INSERT INTO t VALUES (1, 1, 1), (255, 2, 1), (128, 3, NULL), (0, 4, 1)",
    )
    then = take_moment(engine)
    say(engine, "DELETE FROM t WHERE c IS NULL", "INSERT INTO t VALUES (254, 7, NULL)")
    found = list(diff_rows(engine, "t", then, until=take_moment(engine) if until else None))
    changes = {(change.kind, *(change.before or change.after or {}).values()) for change in found}
    assert changes == {(DELETED, 128, 3, None), (INSERTED, 254, 7, None)}
    assert len(found) == 2


@pytest.mark.parametrize("until", [False, True])
def test_a_column_of_another_kind_is_compared_by_its_text(engine: Engine, until: bool) -> None:
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, d DECIMAL(9, 1))",
        "INSERT INTO t VALUES (1, 5, 1.5), (2, 6, 1.5)",
    )
    then = take_moment(engine)
    say(
        engine,
        "ALTER TABLE t MODIFY COLUMN n VARCHAR(9)",
        "ALTER TABLE t MODIFY COLUMN d DECIMAL(20, 2)",
        "UPDATE t SET n = 'six' WHERE id = 2",
    )
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    (change,) = diff_rows(engine, "t", then, **options)
    assert (change.key, change.changed) == ((2,), ("n",))


def test_another_primary_key_tells_no_rows_apart(engine: Engine, then: Moment) -> None:
    say(engine, "ALTER TABLE orders DROP PRIMARY KEY")
    changes = diff_rows(engine, "orders", then)
    assert changes.key == ()
    assert {change.kind for change in changes} == {INSERTED, DELETED}


# -- names -----------------------------------------------------------------------------------------


def test_the_callers_schemas_are_translated_once(engine: Engine, database: str) -> None:
    say(engine, ORDERS)
    then = take_moment(engine)
    say(engine, "INSERT INTO orders (id) VALUES (1)")
    declared = Table("Orders", MetaData(), Column("ID", Integer, primary_key=True), schema="shop")
    elsewhere = engine.execution_options(schema_translate_map={"shop": database, database: "no"})
    changes = diff_rows(elsewhere, declared, then)
    assert changes.table == (database, "orders")
    assert [change.after for change in changes] == [{"ID": 1, "item": None, "amount": 1}]
    with elsewhere.connect() as connection:
        assert diff_summary(connection, declared, then).inserted == 1


@pytest.mark.parametrize(
    ("target", "match"),
    [("a.b.c", "is no table's name"), (".t", "is no table's name"), (5, "is no table")],
)
def test_targets_that_are_none(engine: Engine, target: Any, match: str) -> None:
    with pytest.raises(PitrValidationError, match=match):
        diff_rows(engine, target, "1m ago")


def test_what_cannot_be_compared(engine: Engine, then: Moment) -> None:
    say(engine, "CREATE VIEW v AS SELECT * FROM orders", "CREATE TABLE later (id INT PRIMARY KEY)")
    now = take_moment(engine)
    with pytest.raises(PastError, match="is a view"):
        diff_rows(engine, "v", now)
    with pytest.raises(PastError, match="later was not there at"):
        diff_rows(engine, "later", then)
    say(engine, "DROP TABLE later")
    with pytest.raises(PastError, match=r"later is not there, .*undrop"):
        diff_rows(engine, "later", now)
    with pytest.raises(PastError, match="reads the past"):
        diff_rows(engine.execution_options(matrixone_as_of=now), "orders", then)
    with pytest.raises(PitrValidationError, match="is not after"):
        diff_rows(engine, "orders", now, until=then)
    with pytest.raises(PitrValidationError, match="lies in the future"):
        diff_rows(engine, "orders", now + dt.timedelta(days=1))


OTHER = Table("other", MetaData(), Column("id", Integer))


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ("id = 1", "takes a condition"),
        (OTHER.c.id == 1, "of another"),
        (Order.number.in_(select(OTHER.c.id)), "takes no subquery"),
        (column("nope") == 1, "names the column 'nope'"),
    ],
)
def test_conditions_that_are_none(engine: Engine, then: Moment, where: Any, match: str) -> None:
    with pytest.raises(PitrValidationError, match=match):
        diff_rows(engine, Order, then, where=where)


def test_conditions_on_the_past_go_through_no_index(engine: Engine, then: Moment) -> None:
    """Under a table's policy its history is not kept; the primary key is the table itself."""
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    list(diff_rows(engine, Order, then, where=(Order.item == "x") & (Order.number > 1)))
    assert "coalesce(p.`item`, p.`item`) = " in said[-1]
    assert "p.`id` > " in said[-1]
