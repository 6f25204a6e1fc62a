"""A tour of the package, as ``mo-pitr demo`` runs it: each step is a few lines of ordinary use.

It makes a database of its own and drops it at the end, so that it may also be pointed at a real
server.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import textwrap
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import String

from .. import (
    AlterPitr,
    AsyncPitrManager,
    CreatePitr,
    Moment,
    Pitr,
    PitrAlreadyExistsError,
    PitrManager,
    PitrValidationError,
    RestorePitr,
    TablePitr,
    apply_plan,
    diff_rows,
    find_change,
    get_pitrs,
    pending_pitrs,
    plan_pitrs,
    renew_pitr,
    undo_changes,
)
from ..generations import split_generation

DATABASE = "demo_shop"


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(String(40))
    price: Mapped[int]


class Later(DeclarativeBase):
    """A table that the shop adds later."""


class Invoice(Later):
    __tablename__ = "invoices"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


# --------------------------------------------------------------------------------------- the steps


def connect(engine: Engine) -> None:
    """An engine from a matrixone+pymysql URL"""
    say(f'create_engine("{engine.url.render_as_string()}")')
    with engine.connect() as conn:
        version = conn.exec_driver_sql("SELECT version()").scalar_one()
    say(f"The server says: {version}")


def create(engine: Engine) -> None:
    """One transaction: two tables, their PITRs and rows"""
    with engine.begin() as conn:
        Base.metadata.create_all(conn)
        conn.execute(CreatePitr(Pitr.table("customers_week", "customers", "7d")))
        conn.execute(CreatePitr(Pitr.table("orders_week", "orders", "7d")))
        conn.execute(insert(Customer), [{"name": "Ada"}, {"name": "Grace"}])
        conn.execute(
            insert(Order),
            [
                {"item": "tea", "price": 4},
                {"item": "lamp", "price": 60},
                {"item": "sofa", "price": 900},
            ],
        )
        say(f"Before COMMIT: {len(pending_pitrs(conn))} PITR statements wait, {on_server(engine)}.")
    say(f"After COMMIT: {on_server(engine)}.")


def roll_back(engine: Engine) -> None:
    """A transaction that fails leaves neither the table nor its PITR"""
    try:
        with engine.begin() as conn:
            Later.metadata.create_all(conn)
            conn.execute(CreatePitr(Pitr.table("invoices_week", "invoices", "7d")))
            raise RuntimeError("the printer is on fire")
    except RuntimeError as error:
        say(f"RuntimeError: {error}; so the transaction is rolled back.")
    say(f"Table invoices is there: {yes(inspect(engine).has_table('invoices'))}.")
    say(f"PITR invoices_week is there: {yes(PitrManager(engine).exists('invoices_week'))}.")


def core_and_orm(engine: Engine) -> None:
    """CreatePitr on a Connection, and in an ORM Session"""
    with engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database("shop_month", "1mo")))
        conn.commit()
    with Session(engine) as session:
        Later.metadata.create_all(session.connection())
        session.add(Invoice(amount=964))
        session.execute(CreatePitr(Pitr.table("invoices_week", "invoices", "7d")))
        session.commit()
    say(f"Now {on_server(engine)}.")


def alter(engine: Engine) -> None:
    """A longer range"""
    pitrs = PitrManager(engine)
    before = pitrs.get("orders_week")
    with engine.begin() as conn:
        conn.execute(AlterPitr("orders_week", "14d"))
    say(f"orders_week reached back {before.range}, now {pitrs.get('orders_week').range}.")


def show_list(engine: Engine) -> None:
    """What is protected"""
    found = get_pitrs(engine, database_name=DATABASE, with_status=True)
    print_table(
        ("PITR", "LEVEL", "PROTECTS", "RANGE", "STATUS", "CREATED (UTC)"),
        [
            (
                pitr.name,
                pitr.level,
                ".".join(filter(None, (pitr.database_name, pitr.table_name))),
                pitr.range,
                pitr.status,
                f"{pitr.created_time:%H:%M:%S}",
            )
            for pitr in found
        ],
    )


def refuse(engine: Engine) -> None:
    """Mistakes are refused before anything is sent"""
    with engine.begin() as conn:
        try:
            conn.execute(AlterPitr("orders_week", "101d"))
        except PitrValidationError as error:
            say(f"PitrValidationError: {error}")
        try:
            name = "x` FOR CLUSTER RANGE 1 'h'; --"
            conn.execute(CreatePitr(Pitr.database(name, "7d")))
        except PitrValidationError as error:
            say(f"PitrValidationError: {error}")


def with_asyncio(engine: Engine) -> None:
    """The same with asyncio: AsyncPitrManager, each call at once"""
    asyncio.run(use_async_manager(engine.url.set(drivername="matrixone+aiomysql")))


async def use_async_manager(url: URL) -> None:
    engine = create_async_engine(url)
    try:
        pitrs = AsyncPitrManager(engine)
        say(f"delete: {await pitrs.delete('invoices_week')}")
        say(f"delete again: {await pitrs.delete('invoices_week')}")
        made = await pitrs.create_table_pitr("invoices_year", DATABASE, "invoices", 1, "y")
        say(f"create_table_pitr: {made}")
        altered = await pitrs.alter("invoices_year", 2, "y")
        say(f"alter: {altered.name} {altered.range}")
        say(f"list: {', '.join([pitr.name for pitr in await pitrs.list(level='table')])}")
    finally:
        await engine.dispose()


def restore(engine: Engine) -> None:
    """Rows deleted by mistake come back"""
    time.sleep(1.1)  # the server keeps whole seconds: be surely later than the PITR's creation
    before = dt.datetime.now(dt.UTC)
    with engine.begin() as conn:
        say(f"orders holds {items(conn)}.")
        conn.execute(delete(Order).where(Order.price < 100))  # 10 was meant
    with engine.connect() as conn:
        say(f"orders holds {items(conn)}. A mistake!")
    with engine.connect() as conn:
        with warnings.catch_warnings(record=True, action="always") as told:
            conn.execute(RestorePitr("shop_month", before, database=DATABASE, table="orders"))
        say(f"orders holds {items(conn)} again.")
        rows = conn.scalar(select(func.count()).select_from(Customer))
        say(f"customers was left alone: {rows} rows.")
    say(f"SAWarning: {str(told[0].message).partition('. ')[0]}.")
    status = {pitr.name: pitr.status for pitr in get_pitrs(engine, with_status=True)}
    say(f"orders_week is {status['orders_week']} now, shop_month {status['shop_month']}.")


def look_back(engine: Engine) -> None:
    """Rows vanish: find the second, see them, bring back those alone"""
    morning = Moment.now(engine)
    time.sleep(0.2)
    with engine.begin() as conn:
        conn.execute(delete(Customer).where(Customer.name < "B"))
    time.sleep(0.2)
    with engine.begin() as conn:
        conn.execute(insert(Customer), {"name": "Linus"})
    say(f"customers holds {names(engine)}. Where is Ada?")
    ada = select(func.count()).select_from(Customer).where(Customer.name == "Ada")
    found = find_change(engine, ada, since=morning, resolution=dt.timedelta(milliseconds=10))
    if found is None:
        raise RuntimeError("nothing has changed")
    last, gone = (f"{at.datetime():%H:%M:%S.%f}"[:-3] for at in (found.before, found.after))
    say(f"find_change: there at {last} UTC, gone at {gone}.")
    for change in diff_rows(engine, Customer, found.before):
        row = change.before if change.before is not None else change.after
        say(f"diff_rows: {change.kind} {row}")
    with engine.begin() as conn:
        report = undo_changes(conn, Customer, found.before, kinds={"deleted"})
    say(f"undo_changes: {report.inserted} row is back; customers holds {names(engine)}.")
    say("The same from the command line: mo-pitr when, mo-pitr diff, mo-pitr undo.")


def declare(engine: Engine) -> None:
    """Policies declared beside the tables: plan, apply, renew after a rebuild"""
    models = MetaData()
    Table("carts", models, Column("id", Integer, primary_key=True), TablePitr("7d", "carts_week"))
    models.create_all(engine)
    plan = plan_pitrs(engine, models)
    say(f"The plan: {plan.actions[0]}.")
    say(f"Applied: {apply_plan(engine, plan)}.")
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE carts ADD COLUMN item INT")
    say(f"An ordinary ALTER TABLE has rebuilt carts: {plan_pitrs(engine, models).summary()}.")
    try:
        say(f"{renew_pitr(engine, 'carts_week').name} protects it now; nothing is lost.")
    except PitrAlreadyExistsError as error:  # 2.x takes the old one for active
        say(f"PitrAlreadyExistsError: {error}")


STEPS = (
    connect,
    create,
    roll_back,
    core_and_orm,
    alter,
    show_list,
    refuse,
    with_asyncio,
    restore,
    look_back,
    declare,
)


def run(server_url: str) -> None:
    """Run all steps on a server, in a database that must not exist yet and is dropped at the end.

    :param server_url: a ``matrixone+pymysql://`` URL; a database in it is not used.
    """
    root = create_engine(make_url(server_url).set(drivername="matrixone+pymysql", database=None))
    engine = create_engine(root.url.set(database=DATABASE))
    with root.begin() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {DATABASE}")
    try:
        with show_statements():
            for number, step in enumerate(STEPS, 1):
                print(f"\n{number}. {step.__doc__}")
                step(engine)
    finally:
        pitrs = PitrManager(root)
        found = pitrs.list(database_name=DATABASE, generations=True)
        for pitr in sorted(found, key=lambda pitr: -split_generation(pitr.name)[1]):
            pitrs.delete(pitr.name)  # the newest first, which the policy's name means too
        with root.begin() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {DATABASE}")
        engine.dispose()
        root.dispose()


def main(server_url: str | None = None) -> None:
    """Run the demo on an emulator of its own, or on the server of a URL."""
    print("MatrixOne point-in-time recovery in SQLAlchemy.")
    print("Lines with > are statements as they reach the server, questions left out.")
    if server_url is not None:
        run(server_url)
        print("\nDone: the demo's database and PITRs are dropped.")
        return
    from ..emulator import Emulator

    with Emulator() as server:
        run(server.url())
    print("\nDone: the emulator has stopped.")


# ------------------------------------------------------------------------------------- the printing

WIDTH = 80
QUESTIONS = ("SELECT", "SHOW", "DESCRIBE", "SET", "ROLLBACK")


def say(text: str) -> None:
    print(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent="   ",
            subsequent_indent="     ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    )


@contextlib.contextmanager
def show_statements() -> Iterator[None]:
    """Print what is executed on any engine: on the class, for the manager makes engines aside."""

    last: Any = None

    def show(
        conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        nonlocal last
        if context is last:  # an engine with options hears the listeners of the class twice
            return
        last = context
        if not statement.lstrip().startswith(QUESTIONS):
            one_line = " ".join(statement.split())
            if one_line.startswith(("CREATE TABLE", "INSERT", "DELETE")):
                one_line = textwrap.shorten(one_line, WIDTH - 5, placeholder=" ...")
            say(f"> {one_line}")

    event.listen(Engine, "before_cursor_execute", show)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", show)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    cells = [list(heads), *([str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("   " + line.rstrip())


def on_server(engine: Engine) -> str:
    names = sorted(pitr.name for pitr in get_pitrs(engine, database_name=DATABASE))
    return f"the server has {', '.join(names) or 'no PITR'}"


def items(conn: Connection) -> str:
    return ", ".join(conn.scalars(select(Order.item).order_by(Order.id)))


def names(engine: Engine) -> str:
    with engine.connect() as conn:
        return ", ".join(conn.scalars(select(Customer.name).order_by(Customer.id)))


def yes(answer: bool) -> str:
    return "yes" if answer else "no"
