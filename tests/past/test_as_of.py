"""as_of(): a table as it was, in every place that takes an alias."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Select,
    Subquery,
    Table,
    column as column_,
    event,
    exists,
    func,
    insert,
    join,
    literal_column,
    select,
    table,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column
from sqlalchemy.sql.selectable import CTE

from sqlalchemy_matrixone_pitr import Moment, PitrValidationError
from sqlalchemy_matrixone_pitr.errors import PastError
from sqlalchemy_matrixone_pitr.past.elements import as_of, moments_in
from tests.past.conftest import Shop, lines, orders

pytestmark = pytest.mark.one_version

NOON = Moment.parse("2026-11-29 12:00Z")
OTHER = Moment.parse("2026-11-29 13:00Z")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


def rows(engine: Engine, statement: Select[Any]) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


# ------------------------------------------------------------------------------------------- text


def sql(statement: Any, **arguments: Any) -> str:
    return " ".join(str(statement.compile(dialect=mysql.dialect(), **arguments)).split())


def test_the_moment_comes_before_the_alias() -> None:
    then = as_of(orders, NOON)
    assert sql(select(then)) == (
        "SELECT orders_1.id, orders_1.item FROM orders {MO_TS = %s} AS orders_1"
    )
    assert select(then).compile(dialect=mysql.dialect()).params == {"as_of_1": NOON.nanoseconds}


def test_a_name_and_odd_names() -> None:
    odd = Table("select", MetaData(), Column("from", Integer), schema="a b")
    assert sql(select(as_of(odd, NOON, name="x y"))) == (
        "SELECT `x y`.`from` FROM `a b`.`select` {MO_TS = %s} AS `x y`"
    )


def test_literal_binds() -> None:
    assert sql(select(as_of(orders, NOON).c.id), compile_kwargs={"literal_binds": True}) == (
        f"SELECT orders_1.id FROM orders {NOON.sql} AS orders_1"
    )


def test_hints_stay_behind_the_table() -> None:
    then = as_of(orders, NOON, name="then")
    assert sql(select(then.c.id).with_hint(then, "IGNORE INDEX (a)")) == (
        "SELECT `then`.id FROM orders {MO_TS = %s} AS `then` IGNORE INDEX (a)"
    )


def test_lightweight_tables() -> None:
    light = table("orders", column_("id"))
    assert sql(select(as_of(light, NOON))) == (
        "SELECT orders_1.id FROM orders {MO_TS = %s} AS orders_1"
    )


def test_aliases_keep_their_names() -> None:
    assert "AS zz" in str(select(as_of(orders.alias("zz"), NOON)))
    assert "AS other" in str(select(as_of(orders.alias("zz"), NOON, name="other")))
    assert "AS orders_1" in str(select(as_of(orders.alias(), NOON)))


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()])  # type: ignore[no-untyped-call]
def test_other_dialects_do_not_compile_it(dialect: Any) -> None:
    with pytest.raises(CompileError, match="reads no past; supported are mysql"):
        select(as_of(orders, NOON)).compile(dialect=dialect)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (select(orders).subquery(), "Subquery has no past of its own"),
        (select(orders).cte(), "CTE has no past of its own"),
        (select(orders), "takes a Table, an alias of one, or a mapped class"),
        (text("orders"), "takes a Table"),
        ("orders", "takes a Table"),
        (orders.c.id, "takes a Table"),
        (orders.tablesample(5), "TableSample has no past of its own"),
        (as_of(orders, NOON), "is of a moment already"),
        (int, "takes a Table"),
    ],
)
def test_what_has_no_past_of_its_own(what: Any, reason: str) -> None:
    with pytest.raises(PitrValidationError, match=reason):
        as_of(what, OTHER)


def test_moments_are_checked() -> None:
    with pytest.raises(PitrValidationError, match="has no zone"):
        as_of(orders, dt.datetime(2026, 11, 29))
    with pytest.raises(PitrValidationError, match="taken for seconds"):
        as_of(orders, 1795953600)
    assert moments_in(select(as_of(orders, NOON), as_of(lines, NOON))) == [NOON]


# ------------------------------------------------------------------------------------------- rows


def _columns(then: Moment) -> Select[Any]:
    return select(as_of(orders, then)).order_by(column_("id"))


def _subquery(then: Moment) -> Any:
    found: Subquery = select(as_of(orders, then)).subquery()
    return select(found).order_by(found.c.id)


def _cte(then: Moment) -> Any:
    found: CTE = select(as_of(orders, then)).cte("w")
    return select(found).order_by(found.c.id)


def _entity(then: Moment) -> Any:
    past = as_of(Order, then)
    return select(past.id, past.item).order_by(past.id)


def _union(then: Moment) -> Select[Any]:
    a, b = as_of(orders, then), as_of(orders, then)
    both = union_all(select(a).where(a.c.id == 1), select(b).where(b.c.id != 1)).subquery()
    return select(both).order_by(both.c.id)


def _exists(then: Moment) -> Select[Any]:
    past, line = as_of(orders, then), as_of(lines, then)
    return select(past).where(exists().where(line.c.order_id == past.c.id)).order_by(past.c.id)


@pytest.mark.parametrize("make", [_columns, _subquery, _cte, _entity, _union, _exists])
def test_rows_as_they_were(shop: Shop, make: Any) -> None:
    assert rows(shop.engine, make(shop.then)) == [(1, "tea"), (2, "lamp")]


def test_joins_of_the_past(shop: Shop) -> None:
    past = as_of(join(orders, lines), shop.then)
    total: Select[Any] = select(func.sum(literal_column("amount"))).select_from(past)
    assert rows(shop.engine, total) == [(21,)]
    a, b = as_of(orders, shop.then), as_of(lines, shop.then)
    each = select(a.c.item, b.c.amount).join_from(a, b).order_by(b.c.id)
    assert rows(shop.engine, each) == [("tea", 5), ("tea", 7), ("lamp", 9)]


def test_past_and_present_in_one_statement(shop: Shop) -> None:
    past = as_of(orders, shop.then)
    gone = select(past.c.item).outerjoin(orders, orders.c.id == past.c.id)
    assert rows(shop.engine, gone.where(orders.c.id.is_(None))) == [("lamp",)]
    changed = select(past.c.item, orders.c.item).join(orders, orders.c.id == past.c.id)
    assert rows(shop.engine, changed.where(past.c.item != orders.c.item)) == [("tea", "coffee")]


def test_rows_brought_back(shop: Shop) -> None:
    past = as_of(orders, shop.then)
    there = select(orders.c.id)
    with shop.engine.connect() as connection:
        connection.execute(
            insert(orders).from_select(["id", "item"], select(past).where(past.c.id.not_in(there)))
        )
        assert connection.scalar(select(orders.c.item).where(orders.c.id == 2)) == "lamp"
        connection.execute(
            update(orders)
            .where(orders.c.id == past.c.id, orders.c.id == 1)
            .values(item=past.c.item)
        )
        assert connection.scalar(select(orders.c.item).where(orders.c.id == 1)) == "tea"
        connection.rollback()


def test_schema_translate_map(shop: Shop, database: str) -> None:
    core = Table("orders", MetaData(), *(Column(c.name, c.type) for c in orders.c), schema="core")
    statement = select(as_of(core, shop.then)).order_by(column_("id"))
    with shop.engine.connect() as connection:
        translated = connection.execution_options(schema_translate_map={"core": database})
        assert translated.execute(statement).all() == [(1, "tea"), (2, "lamp")]


# ------------------------------------------------------------------------------- moments and caches


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: select(as_of(orders, a)).join(as_of(lines, b), true()),
        lambda a, b: select(as_of(orders, a)).where(exists(select(as_of(lines, b)))),
        lambda a, b: union_all(select(as_of(orders, a).c.id), select(as_of(lines, b).c.id)),
        lambda a, b: select(select(as_of(orders, a)).cte()).join(as_of(lines, b), true()),
        lambda a, b: select(as_of(Order, a)).join(as_of(lines, b), true()),
    ],
)
def test_two_moments_are_refused(shop: Shop, sent: list[str], make: Any) -> None:
    """Also where the same statement with one moment is in the cache; and the other way."""
    same, different = make(shop.then, shop.then), make(shop.then, shop.later)
    with shop.engine.connect() as connection:
        for _ in range(2):
            connection.execute(same)
            sent.clear()
            with pytest.raises(PastError, match="one past moment in a statement"):
                connection.execute(different)
            assert sent == []


@pytest.mark.parametrize("orm", [False, True])
def test_many_moments_are_one_compilation(shop: Shop, orm: bool) -> None:
    hits: Counter[str] = Counter()

    def count(*arguments: Any) -> None:
        hits[arguments[4].cache_hit.name] += 1

    with shop.engine.connect() as connection:
        event.listen(connection, "before_cursor_execute", count)
        session = Session(connection)
        for number in range(200):
            moment = shop.then + dt.timedelta(microseconds=number)
            if orm:
                past = as_of(Order, moment)
                assert session.scalar(select(past.item).where(past.id == 1)) == "tea"
            else:
                then = as_of(orders, moment)
                found = connection.scalar(select(then.c.item).where(then.c.id == 1))
                assert found == "tea"
    del hits["NO_CACHE_KEY"]  # the server's clock
    assert hits == {"CACHE_MISS": 1, "CACHE_HIT": 199}


def test_values_are_each_statements_own(shop: Shop) -> None:
    with shop.engine.connect() as connection:
        for moment, expected in [(shop.then, 2), (shop.later, 2), (shop.then, 2)]:
            then = as_of(orders, moment)
            ids = select(then.c.id).where(then.c.item.in_(["lamp", "sofa", "tea"]))
            assert len(connection.scalars(ids).all()) == (2 if moment is shop.then else 1)
            assert connection.scalar(select(func.count()).select_from(then)) == expected


def test_statements_can_be_kept_and_changed(shop: Shop) -> None:
    past = as_of(Order, shop.then)
    kept = select(past.item)
    with Session(shop.engine) as session:
        assert session.scalars(kept.where(past.id == 1)).all() == ["tea"]
        assert session.scalars(kept.where(past.id == 2)).all() == ["lamp"]
        other = as_of(aliased(Order, name="o"), shop.then)
        assert "AS o" in str(select(other.id))
