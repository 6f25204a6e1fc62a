"""find_changes() and find_change(): when the answer of a SELECT changed."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    column,
    create_engine,
    event,
    func,
    select,
    table,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from matrixone_emulator import Emulator
from sqlalchemy_matrixone_pitr import (
    Change,
    Moment,
    NotThere,
    PastError,
    PitrValidationError,
    find_change,
    find_changes,
)
from sqlalchemy_matrixone_pitr.past.elements import as_of
from tests.past.tables import say, take_moment

ORDERS = table("orders", column("id"), column("item"))
COUNT = select(func.count()).select_from(ORDERS)
FINE = dt.timedelta(milliseconds=2)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """An engine whose past is trusted without a policy, but for the tests of just that."""
    engine.update_execution_options(matrixone_allow_unprotected=True)
    return engine


@pytest.fixture
def start(engine: Engine) -> Moment:
    """Before the table; then two rows, one, one with another item, and none."""
    start = take_moment(engine)
    for statement in (
        "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(30))",
        "INSERT INTO orders VALUES (1, 'tea'), (2, 'lamp')",
        "DELETE FROM orders WHERE id = 2",
        "ALTER TABLE orders ADD COLUMN amount INT",
        "UPDATE orders SET item = 'coffee'",
        "TRUNCATE TABLE orders",
    ):
        say(engine, statement)
        take_moment(engine)
    return start


def values(changes: list[Change]) -> list[tuple[Any, Any]]:
    return [(change.value_before, change.value_after) for change in changes]


def test_all_changes_of_a_count(engine: Engine, start: Moment) -> None:
    found = find_changes(engine, COUNT, since=start, resolution=FINE)
    assert values(found) == [(NotThere(), 0), (0, 2), (2, 1), (1, 0)]
    assert all(
        0 < change.after.nanoseconds - change.before.nanoseconds <= 2_000_000 for change in found
    )


def test_a_change_can_be_used_at_once(engine: Engine, start: Moment) -> None:
    orders = Table("orders", MetaData(), autoload_with=engine)
    change = find_changes(engine, COUNT, since=start, resolution=FINE)[2]
    with engine.connect() as connection:
        ids = [
            connection.scalars(select(as_of(orders, at).c.id).order_by("id")).all()
            for at in (change.before, change.after)
        ]
    assert ids == [[1, 2], [1]]
    assert str(change).startswith(f"2 at {change.before}, 1 at {change.after}")


def test_a_value_of_a_row_that_comes_and_goes(engine: Engine, start: Moment) -> None:
    statement = select(Order.item).where(Order.id == 1)
    assert values(find_changes(engine, statement, since=start, resolution=FINE)) == [
        (NotThere(), None),
        (None, "tea"),
        ("tea", "coffee"),
        ("coffee", None),
    ]


def test_a_column_that_was_not_there(engine: Engine, start: Moment) -> None:
    statement = select(func.count(column("amount"))).select_from(ORDERS)
    assert values(find_changes(engine, statement, since=start, resolution=FINE)) == [
        (NotThere(), 0)
    ]


def test_a_text_names_its_moment(engine: Engine, start: Moment) -> None:
    statement = text("SELECT count(*) FROM orders {MO_TS = :moment} o WHERE o.id > :id")
    found = find_changes(engine, statement.bindparams(id=1), since=start, resolution=FINE)
    assert values(found) == [(NotThere(), 0), (0, 1), (1, 0)]


def test_the_latest_takes_fewer_reads(engine: Engine, start: Moment) -> None:
    until = take_moment(engine)
    reads: list[str] = []

    def note(*arguments: Any) -> None:
        if "FROM orders {" in arguments[2]:
            reads.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    latest = find_change(engine, COUNT, since=start, until=until, resolution=FINE)
    few = len(reads)
    assert latest == find_changes(engine, COUNT, since=start, until=until, resolution=FINE)[-1]
    assert few < (len(reads) - few) / 2


@pytest.mark.emulator_only
def test_how_many_reads_an_hour_takes() -> None:
    """By default 32, and 7 more to the second; to the millisecond of the latest change 17 more."""
    with Emulator(version="4.2.0") as server:
        engine = create_engine(server.url())
        say(engine, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY)")
        start = take_moment(engine)
        server.advance(dt.timedelta(minutes=23))
        say(engine, "INSERT INTO shop.orders VALUES (1)")
        server.advance(dt.timedelta(minutes=37))
        reads: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *a: reads.append(a[2]))
        wanted = select(func.count()).select_from(table("orders", schema="shop"))
        options: dict[str, Any] = {"since": start, "allow_unprotected": True}
        for resolution, most in ((dt.timedelta(seconds=1), 39), (dt.timedelta(milliseconds=1), 49)):
            reads.clear()
            [change] = find_changes(engine, wanted, resolution=resolution, **options)
            assert len([one for one in reads if "FROM shop.orders" in one]) <= most
            assert (
                change.after.nanoseconds - change.before.nanoseconds
                <= resolution / dt.timedelta(microseconds=1) * 1000
            )
        engine.dispose()


@pytest.mark.emulator_only
@pytest.mark.parametrize(("minutes", "reads"), [(1, 9), (2, 10), (30, 24), (59, 39)])
def test_how_many_reads_the_latest_takes(minutes: int, reads: int) -> None:
    """An hour to the second: the grid from its end until two moments differ, and 7 more."""
    with Emulator(version="4.2.0") as server:
        engine = create_engine(server.url())
        say(engine, "CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY)")
        start = take_moment(engine)
        say(engine, "INSERT INTO shop.orders VALUES (1)")
        server.advance(dt.timedelta(minutes=60 - minutes))
        say(engine, "INSERT INTO shop.orders VALUES (2)")
        server.advance(dt.timedelta(minutes=minutes))
        sent: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
        wanted = select(func.count()).select_from(table("orders", schema="shop"))
        options: dict[str, Any] = {"since": start, "allow_unprotected": True}
        found = find_change(engine, wanted, **options)
        assert found is not None
        assert (found.value_before, found.value_after) == (1, 2)
        assert len([one for one in sent if "FROM shop.orders" in one]) == reads
        engine.dispose()


def test_no_change(engine: Engine, start: Moment) -> None:
    since = take_moment(engine)
    assert find_changes(engine, COUNT, since=since) == []
    assert find_change(engine, COUNT, since=since) is None


def test_until(engine: Engine, start: Moment) -> None:
    changes = find_changes(engine, COUNT, since=start, resolution=FINE)
    until = changes[1].after
    assert find_changes(engine, COUNT, since=start, until=until, resolution=FINE) != []
    again = find_change(engine, COUNT, since=changes[1].before, until=until, samples=2)
    assert again is not None
    assert values([again]) == [(0, 2)]


def test_of_a_session_and_a_connection(engine: Engine, start: Moment) -> None:
    """Its own uncommitted work is no past, and stays as it is."""
    with Session(engine) as session, engine.begin() as connection:
        session.add(Order(id=7, item="new"))
        session.flush()
        for bind in (session, connection):
            assert len(find_changes(bind, COUNT, since=start, resolution=FINE)) == 4
        assert session.scalar(select(func.count(Order.id))) == 1
        session.rollback()


def test_the_callers_schemas(engine: Engine, start: Moment, database: str) -> None:
    elsewhere = engine.execution_options(schema_translate_map={"shop": database})
    declared = Table("orders", MetaData(), Column("id", Integer), schema="shop")
    statement = select(func.count()).select_from(declared)
    found = find_changes(elsewhere, statement, since=start, resolution=FINE)
    assert [change.value_after for change in found] == [0, 2, 1, 0]


def test_an_answer_that_flips_all_the_time_is_refused(engine: Engine, start: Moment) -> None:
    with pytest.raises(PastError, match="more than 20 reads"):
        find_changes(engine, COUNT, since=start, samples=15, resolution=FINE, max_reads=20)


def test_what_was_never_there_is_an_error(engine: Engine, start: Moment) -> None:
    with pytest.raises(PastError, match=r'at none of 5 moments .*"orderz" does not exist'):
        find_changes(
            engine, select(func.count()).select_from(table("orderz")), since=start, samples=5
        )


MANY = text("SELECT id FROM orders {MO_TS = :moment}")


@pytest.mark.parametrize(
    ("statement", "options", "match"),
    [
        (text("SELECT count(*) FROM orders"), {}, "does not say when it reads"),
        (select(ORDERS), {}, "has 2 columns"),
        (ORDERS.delete(), {}, "not Delete"),
        ("SELECT 1", {}, "not str"),
        (COUNT, {"resolution": dt.timedelta(0)}, "a microsecond at least"),
        (COUNT, {"samples": 1}, "2 at least"),
        (COUNT, {"since": "yesterday"}, "is no moment"),
        (COUNT, {"until": "7d ago"}, "is not before"),
        (COUNT, {"since": dt.datetime(2200, 1, 1, tzinfo=dt.UTC)}, "lies in the future"),
        (MANY, {"samples": 30}, "more than one value"),
    ],
)
def test_refused(engine: Engine, statement: Any, options: dict[str, Any], match: str) -> None:
    start = take_moment(engine)
    say(
        engine,
        "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(30))",
        "INSERT INTO orders VALUES (1, 'tea'), (2, 'lamp')",
    )
    with pytest.raises(PitrValidationError, match=match):
        find_changes(engine, statement, **{"since": start, **options})


def test_there_is_one_not_there() -> None:
    assert pickle.loads(pickle.dumps(NotThere())) is NotThere()
    assert repr(NotThere()) == "not there"
