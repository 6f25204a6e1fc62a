"""The past in an ordinary account: its own policies, its own rows, nobody else's."""

from __future__ import annotations

import warnings

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, select

from sqlalchemy_matrixone_pitr import (
    Kept,
    Moment,
    PastNotKeptError,
    PastNotKeptWarning,
    Pitr,
    as_of,
    check_kept,
    diff_summary,
    dropped_objects,
    past_session,
    restore_copy,
    undo_changes,
    undrop,
)
from tests.conftest import Server
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect

orders = Table(
    "orders", MetaData(), Column("id", Integer, primary_key=True), Column("item", String(9))
)
ROWS = [(1, "tea"), (2, "lamp")]


@pytest.fixture
def then(tenant_engine: Engine, prefix: str) -> Moment:
    """A moment at which a policy of the tenant's database kept two orders, changed since."""
    protect(tenant_engine, Pitr.database(f"{prefix}_d", "1d"))
    orders.create(tenant_engine)
    say(tenant_engine, "INSERT INTO orders VALUES (1, 'tea'), (2, 'lamp')")
    then = take_moment(tenant_engine)
    say(tenant_engine, "DELETE FROM orders WHERE id = 1", "UPDATE orders SET item = 'sofa'")
    return then


def test_the_past_of_a_tenant(tenant_engine: Engine, then: Moment, prefix: str) -> None:
    """Read, compared, taken back, copied, undropped, by the account's own administrator."""
    engine = tenant_engine
    with warnings.catch_warnings():
        warnings.simplefilter("error", PastNotKeptWarning)
        (verdict,) = check_kept(engine, orders, then)
        assert (verdict.kept, verdict.by, verdict.indexes) == (Kept.KEPT, (f"{prefix}_d",), True)
        past = as_of(orders, then)
        with engine.connect() as connection:
            assert connection.execute(select(past).order_by(past.c.id)).all() == ROWS
        with past_session(engine, then) as session:
            assert session.execute(select(orders).order_by(orders.c.id)).all() == ROWS
        assert restore_copy(engine, orders, then, "orders_then").rows == 2
        with engine.begin() as connection:
            assert undo_changes(connection, orders, then).complete
        assert rows_of(engine, "orders") == ROWS
        assert not diff_summary(engine, orders, then)
        say(engine, "DROP TABLE orders")
        (dropped,) = dropped_objects(engine, database=prefix, since=then)
        assert (dropped.kept, dropped.kept_by) == (Kept.KEPT, (f"{prefix}_d",))
        undrop(engine, dropped)
    assert rows_of(engine, "orders") == ROWS


def test_a_tenants_own_table_policy(tenant_engine: Engine, prefix: str) -> None:
    """The id that it recorded the account cannot read; while it is active it is the present one."""
    engine = tenant_engine
    orders.create(engine)
    say(engine, "INSERT INTO orders VALUES (1, 'tea')")
    before = take_moment(engine)
    with pytest.raises(PastNotKeptError, match="would delete every row"), engine.begin() as conn:
        undo_changes(conn, orders, before)
    protect(engine, Pitr.table(f"{prefix}_t", "orders", "1d"))
    then = take_moment(engine)
    say(engine, "DELETE FROM orders WHERE id = 1")
    (verdict,) = check_kept(engine, orders, then)
    assert (verdict.kept, verdict.by, verdict.indexes) == (Kept.KEPT, (f"{prefix}_t",), False)
    with engine.begin() as connection:
        assert undo_changes(connection, orders, then).inserted == 1
    say(engine, "ALTER TABLE orders ADD COLUMN more INT")
    rebuilt = take_moment(engine)
    with pytest.warns(PastNotKeptWarning, match="nothing surely keeps the history of"):
        check_kept(engine, orders, rebuilt)


def test_accounts_do_not_share_a_past(
    tenant_engine: Engine, then: Moment, server: Server, database: str, prefix: str
) -> None:
    """A database of the same name is another one in sys, with other rows and no policy."""
    mine = create_engine(server.url(database=database))
    try:
        orders.create(mine)
        say(mine, "INSERT INTO orders VALUES (7, 'desk')")
        at = take_moment(mine)
        past = as_of(orders, at)
        with pytest.warns(PastNotKeptWarning), mine.connect() as connection:
            assert connection.execute(select(past)).all() == [(7, "desk")]
        with tenant_engine.connect() as connection:
            assert connection.execute(select(past)).all() == [(2, "sofa")]
        say(mine, "DROP TABLE orders")
        assert dropped_objects(tenant_engine, database=prefix, since=then) == []
        (dropped,) = dropped_objects(mine, database=prefix, since=at)
        assert (dropped.name, dropped.kept) == (f"{prefix}.orders", Kept.PROBABLE)
    finally:
        mine.dispose()
