"""A shop whose rows changed: what was there before, in a copy, and the moment of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
)

from sqlalchemy_matrixone_pitr import Moment
from tests.clock import wait
from tests.conftest import Server
from tests.past.tables import say
from tests.server.conftest import PASSWORD, account_for_tests

metadata = MetaData()
orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item", String(30)),
)
lines = Table(
    "lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", ForeignKey("orders.id")),
    Column("amount", Integer),
)


@dataclass(frozen=True)
class Shop:
    """Two orders with three lines, at ``then``; later one was changed, one line and one order are
    gone, and another order has come, at ``later``; and another since."""

    engine: Engine
    then: Moment
    later: Moment


def take_moment(engine: Engine) -> Moment:
    """Now, with a little time on both sides of it, so that no commit shares the moment."""
    wait(engine, 0.02)
    moment = Moment.now(engine)
    wait(engine, 0.02)
    return moment


@pytest.fixture
def shop(engine: Engine) -> Shop:
    engine.update_execution_options(matrixone_allow_unprotected=True)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(orders.insert(), [{"id": 1, "item": "tea"}, {"id": 2, "item": "lamp"}])
        connection.execute(
            lines.insert(),
            [
                {"id": 1, "order_id": 1, "amount": 5},
                {"id": 2, "order_id": 1, "amount": 7},
                {"id": 3, "order_id": 2, "amount": 9},
            ],
        )
    then = take_moment(engine)
    with engine.begin() as connection:
        connection.execute(orders.update().where(orders.c.id == 1).values(item="coffee"))
        connection.execute(lines.delete().where(lines.c.id.in_([2, 3])))
        connection.execute(orders.delete().where(orders.c.id == 2))
        connection.execute(orders.insert(), {"id": 3, "item": "sofa"})
    later = take_moment(engine)
    with engine.begin() as connection:
        connection.execute(orders.insert(), {"id": 4, "item": "desk"})
    return Shop(engine, then, later)


@pytest.fixture
def sent(shop: Shop) -> Iterator[list[str]]:
    """The statements that the shop's engine sends, from now on."""
    from sqlalchemy import event

    statements: list[str] = []
    listener: Callable[..., None] = lambda *arguments: statements.append(arguments[2])  # noqa: E731
    event.listen(shop.engine, "before_cursor_execute", listener)
    yield statements
    event.remove(shop.engine, "before_cursor_execute", listener)


@pytest.fixture(scope="module")
def tenant_account(server: Server) -> Iterator[str]:
    with account_for_tests(server) as name:
        yield name


@pytest.fixture
def tenant_engine(server: Server, tenant_account: str, prefix: str) -> Iterator[Engine]:
    """An engine of another account's administrator, on a database of the test's own."""
    user = f"{tenant_account}:admin"
    first = create_engine(server.url(user=user, password=PASSWORD))
    say(first, f"CREATE DATABASE {prefix}")
    made = create_engine(server.url(database=prefix, user=user, password=PASSWORD))
    yield made
    say(first, f"DROP DATABASE IF EXISTS {prefix}", f"DROP DATABASE IF EXISTS {prefix}_c")
    first.dispose()
    made.dispose()
