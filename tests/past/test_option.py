"""The execution option matrixone_as_of: heard wherever it is set, and never ignored."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Select,
    Sequence,
    Table,
    column as column_,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    inspect,
    literal_column,
    select,
    table,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.mysql import match
from sqlalchemy.exc import ObjectNotExecutableError, OperationalError
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.sql.ddl import DDL

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    Moment,
    PastError,
    PastWriteError,
    Pitr,
    PitrManager,
    PitrValidationError,
    RestorePitr,
    account_lock,
    as_of,
    get_pitrs,
)
from sqlalchemy_matrixone_pitr.past.dialect import names_a_moment, text_of_then
from tests.conftest import Server
from tests.past.conftest import Shop, lines, metadata, orders, take_moment
from tests.proxy import Proxy

pytestmark = pytest.mark.one_version

OPEN: dict[str, Any] = {"matrixone_allow_unprotected": True}
THEN = [(1, "tea"), (2, "lamp")]
NOW = [(1, "coffee"), (3, "sofa"), (4, "desk")]
ORDERS = select(orders).order_by(orders.c.id)


@pytest.fixture
def past(shop: Shop) -> Engine:
    return shop.engine.execution_options(matrixone_as_of=shop.then, **OPEN)


# ---------------------------------------------------------------------------------- where it is set


def test_on_an_engine(shop: Shop, past: Engine) -> None:
    with past.connect() as connection:
        assert connection.execute(ORDERS).all() == THEN
    with shop.engine.connect() as connection:
        assert connection.execute(ORDERS).all() == NOW
    both = past.execution_options(stream_results=False)
    with both.connect() as connection:
        assert connection.execute(ORDERS).all() == THEN
    back = past.execution_options(matrixone_as_of=None)
    with back.connect() as connection:
        assert connection.execute(ORDERS).all() == NOW


def test_on_an_engine_that_is_made_with_it(shop: Shop) -> None:
    options = {"matrixone_as_of": shop.then, **OPEN}
    made = create_engine(shop.engine.url, execution_options=options)
    with made.connect() as connection:
        assert connection.execute(ORDERS).all() == THEN
    made.dispose()


def test_on_a_connection(shop: Shop) -> None:
    with shop.engine.connect() as connection:
        assert connection.execute(ORDERS).all() == NOW
        connection.execution_options(matrixone_as_of=shop.then, **OPEN)
        assert connection.execute(ORDERS).all() == THEN
        connection.execution_options(matrixone_as_of=shop.later)
        assert connection.execute(ORDERS).all() == NOW[:2]
        connection.execution_options(matrixone_as_of=None)
        assert connection.execute(ORDERS).all() == NOW
    with shop.engine.connect() as connection:  # the pool's same one
        assert connection.execute(ORDERS).all() == NOW


def test_on_a_statement(shop: Shop) -> None:
    options = {"matrixone_as_of": shop.then, **OPEN}
    with shop.engine.connect() as connection:
        assert connection.execute(ORDERS.execution_options(**options)).all() == THEN
        assert connection.execute(ORDERS).all() == NOW
        assert connection.execute(ORDERS, execution_options=options).all() == THEN
        assert connection.execute(ORDERS).all() == NOW
        function = func.count().select().select_from(orders)
        assert connection.scalar(function, execution_options=options) == 2


def test_a_statement_that_its_connection_would_overrule(shop: Shop, past: Engine) -> None:
    """SQLAlchemy lets the connection win; the statement's moment would be ignored."""
    later = ORDERS.execution_options(matrixone_as_of=shop.later, **OPEN)
    with past.connect() as connection:
        with pytest.raises(PastError, match="would overrule"):
            connection.execute(later)
        connection.execution_options(matrixone_as_of=None)
        with pytest.raises(PastError, match="would overrule"):
            connection.execute(later)
        given = {"matrixone_as_of": shop.later}
        assert connection.execute(ORDERS, execution_options={**given, **OPEN}).all() == NOW[:2]


@pytest.mark.parametrize("value", ["10m ago", 5, True])
def test_other_values_are_refused(shop: Shop, value: object) -> None:
    refused = pytest.raises(PitrValidationError, match="takes a Moment")
    with refused:
        shop.engine.execution_options(matrixone_as_of=value)
    with shop.engine.connect() as connection:
        with refused:
            connection.execute(ORDERS, execution_options={"matrixone_as_of": value})
        with refused:
            connection.execute(ORDERS.execution_options(matrixone_as_of=value))
        with refused:
            connection.execution_options(matrixone_as_of=value)


def test_other_databases_have_no_past() -> None:
    engine = create_engine("sqlite://")
    moment = Moment.parse("2026-11-29 12:00Z")
    with engine.connect() as connection, pytest.raises(PastError, match="a sqlite database cannot"):
        connection.execute(select(1), execution_options={"matrixone_as_of": moment})
    with pytest.raises(PastError, match="a sqlite database cannot"):
        engine.execution_options(matrixone_as_of=moment).connect()
    engine.dispose()


def test_importing_listens_to_nothing() -> None:
    """The listeners come with the first Moment."""
    code = """
import sqlalchemy_matrixone_pitr as package
from sqlalchemy import Engine, create_engine
print(Engine._has_events)
package.Moment.parse("2026-11-29 12:00Z")
print(Engine._has_events)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_an_orm_that_is_imported_later(shop: Shop) -> None:
    """Objects of the past are never taken for those of the present: the first statement is refused,
    and tells what to do; after it the Session hears."""
    code = """
import sys
from sqlalchemy_matrixone_pitr import Moment, PastError
moment = Moment.parse(sys.argv[2])
assert "sqlalchemy.orm.session" not in sys.modules
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

class Base(DeclarativeBase):
    pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]

engine = create_engine(sys.argv[1])
options = {"matrixone_as_of": moment, "matrixone_allow_unprotected": True}
with Session(engine) as session:
    try:
        session.scalars(select(Order), execution_options=options).all()
    except PastError as error:
        print("execute it again" in str(error))
    ordered = select(Order).order_by(Order.id)
    past = session.scalars(ordered, execution_options=options).all()
    present = session.scalars(ordered).all()
    print([order.item for order in past])
    print([order.item for order in present])
"""
    url = shop.engine.url.render_as_string(hide_password=False)
    run = subprocess.run(
        [sys.executable, "-c", code, url, str(shop.then)], capture_output=True, text=True
    )
    assert run.stdout.splitlines() == [
        "True",
        str([item for _, item in THEN]),
        str([item for _, item in NOW]),
    ], run.stderr


# ------------------------------------------------------------------------------------ what is read


def _all(moment: Any) -> list[Any]:
    other = orders.alias()
    light = table("orders", column_("id"), column_("item"))
    sub = select(orders.c.id).subquery()
    cte = select(orders.c.id).cte()
    qualified = Table("orders", MetaData(), Column("id", Integer), schema="core")
    return [
        (select(func.count()).select_from(orders), 2),
        (select(func.count()).select_from(other), 2),
        (select(func.count()).select_from(light), 2),
        (select(func.count()).select_from(sub), 2),
        (select(func.count()).select_from(cte), 2),
        (select(func.count()).select_from(qualified), 2),
        (select(func.sum(lines.c.amount)).join_from(orders, lines), 21),
        (select(func.sum(lines.c.amount)).join_from(other, lines), 21),
        (
            select(func.count())
            .select_from(orders)
            .where(exists().where(lines.c.order_id == orders.c.id, lines.c.amount == 9)),
            1,
        ),
        (select(select(func.count()).select_from(lines).scalar_subquery()), 3),
        (select(func.count()).select_from(union_all(select(orders), select(orders)).subquery()), 4),
        (select(func.count(orders.c.id) + literal_column("1")), 3),
        (text(f"SELECT count(*) FROM orders {moment.sql}"), 2),
        (text(f"SELECT count(*) AS n FROM orders {moment.sql}").columns(n=Integer), 2),
        (text("SELECT 1 + 1"), 2),
        (select(func.count()).select_from(orders).with_hint(orders, "IGNORE INDEX (x)"), None),
    ]


def test_every_table_of_a_select(shop: Shop, past: Engine, database: str) -> None:
    with past.connect() as connection:
        connection.execution_options(schema_translate_map={"core": database})
        for statement, expected in _all(shop.then):
            if expected is not None:
                assert connection.scalar(statement) == expected, str(statement)


def test_sql(shop: Shop, past: Engine) -> None:
    hinted = select(orders.c.id).with_hint(orders, "IGNORE INDEX (x)")
    with past.connect() as connection:
        sql = str(hinted.compile(dialect=connection.dialect))
        assert " ".join(sql.split()).endswith(
            "FROM orders {MO_TS = %(matrixone_as_of)s} IGNORE INDEX (x)"
        )


def test_a_name_in_two_schemas(shop: Shop, past: Engine, database: str) -> None:
    """SQLAlchemy makes an alias of its own for one of them."""
    far = Table("orders", MetaData(), Column("id", Integer), schema=database)
    both = select(orders.c.item, far.c.id).join(far, far.c.id == orders.c.id).order_by(far.c.id)
    with past.connect() as connection:
        assert connection.execute(both).all() == [("tea", 1), ("lamp", 2)]


def test_many_moments_are_one_compilation(shop: Shop) -> None:
    hits: list[str] = []

    def note(*arguments: Any) -> None:
        if "FROM orders" in arguments[2]:
            hits.append(arguments[4].cache_hit.name)

    event.listen(shop.engine, "before_cursor_execute", note)
    wanted = select(orders.c.item).where(orders.c.id == 1)
    with shop.engine.connect() as connection:
        assert connection.scalar(wanted) == "coffee"
        hits.clear()
        for number in range(200):
            moment = Moment(shop.then.nanoseconds + number)
            options = {"matrixone_as_of": moment, **OPEN}
            assert connection.scalar(wanted, execution_options=options) == "tea"
        assert hits == ["CACHE_MISS", *["CACHE_HIT"] * 199]
        hits.clear()
        assert connection.scalar(wanted) == "coffee"
        assert hits == ["CACHE_HIT"]


def test_as_of_in_it(shop: Shop, past: Engine) -> None:
    with past.connect() as connection:
        same, other = as_of(orders, shop.then), as_of(orders, shop.later)
        both = select(same.c.id).join(orders, orders.c.id == same.c.id).order_by(same.c.id)
        for _ in range(2):
            assert connection.scalars(both).all() == [1, 2]
            with pytest.raises(PastError, match="names another moment"):
                connection.execute(select(other).join(orders, orders.c.id == other.c.id))


def test_a_statement_that_a_listener_of_the_users_changes(shop: Shop) -> None:
    def only_first(_: Connection, element: Any, many: Any, one: Any, options: Any) -> Any:
        if isinstance(element, Select):
            element = element.where(orders.c.id == 1)
        return element, many, one

    event.listen(shop.engine, "before_execute", only_first, retval=True)
    options = {"matrixone_as_of": shop.then, **OPEN}
    with shop.engine.connect() as connection:
        assert connection.execute(ORDERS, execution_options=options).all() == THEN[:1]


def test_threads_of_past_and_present(shop: Shop) -> None:
    wrong: list[object] = []

    def read(options: dict[str, Any], expected: object) -> None:
        for _ in range(20):
            with shop.engine.connect() as connection:
                found = connection.execute(ORDERS, execution_options=options).all()
            if found != expected:
                wrong.append(found)

    options = {"matrixone_as_of": shop.then, **OPEN}
    threads = [
        threading.Thread(target=read, args=arguments)
        for arguments in [(options, THEN), ({}, NOW), (options, THEN), ({}, NOW)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ------------------------------------------------------------------------------------- what is not

WRITES: list[Any] = [
    insert(orders).values(id=9),
    insert(orders).from_select(["id"], select(lines.c.id)),
    update(orders).values(item="x"),
    delete(orders),
    select(orders).with_for_update(),
    text("INSERT INTO orders VALUES (9, 'x')"),
    text("DELETE FROM orders"),
    text("/* SELECT */ DROP TABLE orders"),
    text("( TRUNCATE TABLE orders"),
    text("CREATE PITR p FOR ACCOUNT RANGE 1 'd'"),
    text("RESTORE DATABASE shop FROM PITR p '2026-11-22 09:30:00'"),
    text("ALTER TABLE orders ADD COLUMN c INT"),
    text("CALL p()"),
    text("INSERT INTO orders SELECT * FROM orders {MO_TS = 1795953600000000000}"),
    CreateTable(orders),
    DropTable(orders),
    DDL("DROP TABLE orders"),  # type: ignore[no-untyped-call]
    CreatePitr(Pitr.account("past_write", "1d")),
    RestorePitr("past_write", "2026-11-22 09:30:00", database="shop", table="orders"),
]


@pytest.mark.parametrize("write", WRITES, ids=map(str, range(len(WRITES))))
def test_writes_are_refused_before_they_are_sent(past: Engine, sent: list[str], write: Any) -> None:
    with past.connect() as connection:
        connection.execute(ORDERS)
        sent.clear()
        with pytest.raises(PastWriteError):
            connection.execute(write)
        assert sent == []
        assert connection.execute(ORDERS).all() == THEN


def test_what_was_compiled_before_is_of_the_present(past: Engine, sent: list[str]) -> None:
    compiled = ORDERS.compile(past)
    with past.connect() as connection:
        sent.clear()
        # SQLAlchemy 2.1 refuses each of them
        with pytest.raises((PastError, ObjectNotExecutableError)):
            connection.execute(compiled)  # type: ignore[call-overload]
        assert sent == []
        assert connection.execute(ORDERS).all() == THEN


def test_a_lost_connection_is_no_missing_table(
    shop: Shop, server: Server, proxy: Proxy, database: str
) -> None:
    url = server.url("matrixone+pymysql", database, port=proxy.port)
    engine = create_engine(url, execution_options={"matrixone_as_of": shop.then, **OPEN})
    with engine.connect() as connection:
        inspector = inspect(connection)
        assert [inspector.has_table(name) for name in ("orders", "nothing")] == [True, False]
        inspector.clear_cache()
        proxy.cut("^SHOW CREATE TABLE", "after")
        with pytest.raises(OperationalError):
            inspector.has_table("lines")
    engine.dispose()


def test_writes_by_other_roads(past: Engine, sent: list[str]) -> None:
    with past.connect() as connection:
        with pytest.raises(PastWriteError):
            connection.execute(insert(orders), [{"id": 8}, {"id": 9}])
        with pytest.raises(PastWriteError):
            connection.execute(text("DELETE FROM orders WHERE id = :a"), [{"a": 1}, {"a": 2}])
        for write in ("DELETE FROM orders", "SET @a = 1; DELETE FROM orders", "DO sleep(1)"):
            sent.clear()
            with pytest.raises(PastWriteError):
                connection.exec_driver_sql(write)
            assert sent == []
        with pytest.raises(PastWriteError):
            connection.scalar(Sequence("s"))
        with pytest.raises(PastWriteError):
            metadata.drop_all(connection)
        with pytest.raises(PastWriteError):
            Table("other", MetaData(), Column("id", Integer)).create(connection)
    with pytest.raises(PastWriteError):
        PitrManager(past).create_account_pitr("past_write")
    with pytest.raises(PastWriteError):
        PitrManager(past).restore("p", "2026-11-22 09:30:00", database="shop")
    with pytest.raises(PastWriteError), account_lock(past):
        pass
    get_pitrs(past)  # of the present: there are no others


PRESENT: list[Any] = [
    text("SELECT * FROM orders"),
    text("SELECT '{MO_TS = 5}' FROM orders"),
    text("WITH w AS (SELECT 1) SELECT * FROM w"),
    text("SELECT * FROM orders").columns(id=Integer),
    text("DESCRIBE orders"),
    text("SHOW INDEX FROM orders"),
    select(orders).where(text("id IN (SELECT id FROM lines)")),
    select(text("1")).select_from(text("orders")),
    select(literal_column("(SELECT 1 FROM orders)")),
    select(orders).where(match(orders.c.item, against="tea")),
    select(orders).where(orders.c.item.match("tea")),
]


@pytest.mark.parametrize("statement", PRESENT, ids=map(str, range(len(PRESENT))))
def test_reads_of_the_present_are_refused(past: Engine, sent: list[str], statement: Any) -> None:
    with past.connect() as connection:
        sent.clear()
        with pytest.raises(PastError):
            connection.execute(statement)
        assert sent == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT @@autocommit",
        "SET @a = 1",
        "COMMIT",
        "SHOW VARIABLES",
        "SELECT * FROM t {MO_TS = 1}",
        "select * from t {as of timestamp '2026-11-29'}",
        "SHOW TABLES FROM d {MO_TS = 1}",
        "(SELECT 1)",
    ],
)
def test_texts_that_are_sent_as_they_are(statement: str) -> None:
    assert text_of_then(statement, 5) == statement


def test_braces_that_name_no_moment() -> None:
    for piece in ("{ MO_TS", "{d '2026-11-29'}", "`{MO_TS = 5}`", "/* {MO_TS = 5} */", "{fn x}"):
        assert not names_a_moment(piece)


# ------------------------------------------------------------------------------------- reflection


@pytest.fixture
def rebuilt(shop: Shop) -> Shop:
    """Since then a column is gone, a table has come, and one has gone."""
    with shop.engine.begin() as connection:
        connection.execute(text("DROP TABLE `lines`"))
        connection.execute(text("ALTER TABLE orders DROP COLUMN item"))
        connection.execute(text("CREATE TABLE fresh (id INT PRIMARY KEY)"))
    return shop


def test_reflection(rebuilt: Shop, database: str) -> None:
    past = rebuilt.engine.execution_options(matrixone_as_of=rebuilt.then, **OPEN)
    with past.connect() as connection:
        there = inspect(connection)
        assert there.get_table_names() == ["lines", "orders"]
        assert [column["name"] for column in there.get_columns("orders")] == ["id", "item"]
        assert there.get_pk_constraint("orders")["constrained_columns"] == ["id"]
        assert [key["referred_table"] for key in there.get_foreign_keys("lines")] == ["orders"]
        assert there.has_table("lines")
        assert not there.has_table("fresh")
        assert not there.has_table("fresh", schema="no_such_database")
        assert database in there.get_schema_names()
        found = MetaData()
        found.reflect(connection)
        assert set(found.tables) == {"lines", "orders"}
        assert "item" in Table("orders", MetaData(), autoload_with=connection).c
    assert inspect(past).get_table_names() == ["lines", "orders"]
    now = inspect(rebuilt.engine)
    assert now.get_table_names() == ["fresh", "orders"]
    assert now.has_table("fresh")


def test_checkfirst_looks_at_the_past(rebuilt: Shop) -> None:
    past = rebuilt.engine.execution_options(matrixone_as_of=rebuilt.then, **OPEN)
    with past.connect() as connection:
        metadata.create_all(connection)  # all was there
        with pytest.raises(PastWriteError):
            Table("fresh", MetaData(), Column("id", Integer)).create(connection, checkfirst=True)


def test_views_follow(shop: Shop, server: Server) -> None:
    """A view reads its tables at the moment."""
    with shop.engine.begin() as connection:
        connection.execute(text("CREATE VIEW seen AS SELECT id, item FROM orders"))
    then = take_moment(shop.engine)
    with shop.engine.begin() as connection:
        connection.execute(orders.delete().where(orders.c.id == 3))
    seen = Table("seen", MetaData(), Column("id", Integer))
    options = {"matrixone_as_of": then, **OPEN}
    with shop.engine.connect() as connection:
        ids = select(seen.c.id).order_by(seen.c.id)
        assert connection.scalars(ids, execution_options=options).all() == [1, 3, 4]
        assert connection.scalars(ids).all() == [1, 4]


def test_before_a_table_was_there(shop: Shop) -> None:
    """An ordinary error of the server's, as of a table that is missing."""
    from sqlalchemy.exc import DBAPIError

    then = take_moment(shop.engine)
    fresh = Table("fresh", MetaData(), Column("id", Integer))
    fresh.create(shop.engine)
    options: dict[str, Callable[..., Any] | Any] = {"matrixone_as_of": then, **OPEN}
    with shop.engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(select(fresh), execution_options=options)
