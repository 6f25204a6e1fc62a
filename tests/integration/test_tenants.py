"""Plans and renewal in an account that cannot read the server's own list of policies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, text
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import (
    DatabasePitr,
    Pitr,
    PitrAlreadyExistsError,
    PitrManager,
    PitrStatus,
    TablePitr,
    apply_plan,
    coverage,
    declare_pitrs,
    ensure_pitrs,
    get_pitrs,
    plan_pitrs,
    renew_pitr,
)
from tests.clock import wait
from tests.conftest import Server


@pytest.fixture
def shop(server: Server, prefix: str) -> Iterator[Engine]:
    """A database in an account of the test's own."""
    account = f"{prefix}_acc"
    server.query(f"CREATE ACCOUNT {account} ADMIN_NAME 'root' IDENTIFIED BY 'pw111'")

    def connect(database: str | None) -> Engine:
        url = server.url(database=database, user=f"{account}:root", password="pw111")
        return create_engine(url)

    first = connect(None)
    with first.begin() as conn:
        conn.execute(text("CREATE DATABASE shop"))
    first.dispose()
    engine = connect("shop")
    yield engine
    engine.dispose()
    server.query(f"DROP ACCOUNT IF EXISTS {account}")


@pytest.fixture
def metadata() -> MetaData:
    made = MetaData()
    for name in ("a", "b"):
        Table(name, made, Column("id", Integer, primary_key=True), TablePitr("7d"))
    declare_pitrs(made, DatabasePitr("2d"), Pitr.account("nightly", "1mo"))
    return made


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(text(statement))


def test_plan_apply_and_renew(shop: Engine, metadata: MetaData, server: Server) -> None:
    metadata.create_all(shop)
    wait(server, 1.1)  # the creation of tables and policies falls into different seconds
    report = apply_plan(shop, plan_pitrs(shop, metadata))
    assert len(report.done) == 4
    plan = plan_pitrs(shop, metadata)
    assert (plan.in_sync, plan.unknown) == (True, ())
    assert str(ensure_pitrs(shop, metadata)) == "nothing to do"
    wait(server, 1.1)
    run(shop, "ALTER TABLE a ADD COLUMN x INT", "CREATE INDEX i ON b (id)")
    plan = plan_pitrs(shop, metadata)
    assert [(a.kind, a.pitr.name) for a in plan.actions] == [("renew", "pitr_shop_a__g2")]
    if server.version < (3,):
        return  # there the server takes the old one for active
    assert renew_pitr(shop, "pitr_shop_a").name == "pitr_shop_a__g2"
    assert plan_pitrs(shop, metadata).in_sync


def test_what_is_made_right_after_its_object_is_known(
    shop: Engine, metadata: MetaData, server: Server
) -> None:
    """It is made in a later second: of one in the same second this account would never know."""
    run(shop, "CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY)")
    apply_plan(shop, plan_pitrs(shop, metadata)).raise_for_failed()
    assert {one.status for one in get_pitrs(shop, with_status=True)} == {PitrStatus.ACTIVE}
    if server.version < (3,):
        return  # there the server takes the old one for active
    wait(server, 1.1)
    run(shop, "ALTER TABLE a ADD COLUMN x INT")
    renew_pitr(shop, "pitr_shop_a")
    found = {one.name: one.status for one in get_pitrs(shop, table_name="a", with_status=True)}
    assert found == {"pitr_shop_a": PitrStatus.DETACHED, "pitr_shop_a__g2": PitrStatus.ACTIVE}
    assert coverage(shop, require="2d").ok


def test_statuses_of_policies_of_several_seconds(shop: Engine) -> None:
    """Each object's id now is compared with that of its policy's second."""
    tables = {
        "truncated": "TRUNCATE TABLE truncated",
        "commented": "ALTER TABLE commented COMMENT = 'x'",
        "rebuilt": "ALTER TABLE rebuilt ADD COLUMN v INT",
        "again": "DROP TABLE again",
    }
    run(shop, *(f"CREATE TABLE {table} (id INT PRIMARY KEY)" for table in tables))
    for table in tables:
        wait(shop, 1.1)
        PitrManager(shop).create_table_pitr(table, "shop", table)
    wait(shop, 1.1)
    run(shop, *tables.values(), "CREATE TABLE again (id INT PRIMARY KEY)")
    wait(shop, 1.1)
    found = {pitr.name: str(pitr.status) for pitr in get_pitrs(shop, with_status=True)}
    assert found == dict.fromkeys(tables, "detached") | {"commented": "active"}


def test_a_stale_row_is_explained(shop: Engine, metadata: MetaData, server: Server) -> None:
    """Only sys can see beforehand that the server takes it for active."""
    if server.version >= (4,):
        pytest.skip("TRUNCATE detaches on 4.x")
    metadata.create_all(shop)
    wait(server, 1.1)
    apply_plan(shop, plan_pitrs(shop, metadata)).raise_for_failed()
    wait(server, 1.1)
    run(shop, "TRUNCATE TABLE b")
    report = apply_plan(shop, plan_pitrs(shop, metadata))
    assert "keep_history=False" in str(report)
    with pytest.raises(PitrAlreadyExistsError, match="keep_history=False"):
        renew_pitr(shop, "pitr_shop_b")


def test_reading_leaves_the_session_as_it_was(shop: Engine) -> None:
    """After SHOW PITR the server takes a session for sys's, until a SET."""
    account = "SELECT current_account_id()"
    with shop.connect() as conn:
        own = conn.execute(text(account)).scalar()
        conn.rollback()
        assert get_pitrs(conn) == []
        assert conn.execute(text(account)).scalar() == own
        conn.rollback()
        assert get_pitrs(conn, with_status=True) == []
        assert conn.execute(text(account)).scalar() == own
    single = create_engine(shop.url, pool_size=1, max_overflow=0)
    manager = PitrManager(single)
    for call in (
        lambda: manager.exists("x"),
        lambda: manager.delete("x"),
        lambda: manager.list(),
        lambda: plan_pitrs(single, MetaData()),
    ):
        call()
        with single.connect() as conn:
            assert conn.execute(text(account)).scalar() == own
    single.dispose()


def test_the_own_account_by_its_name(shop: Engine, prefix: str) -> None:
    """It is the current account: a policy for it is in sync once it is there."""
    metadata = MetaData()
    declare_pitrs(metadata, Pitr.account("nightly", "7d", account_name=f"{prefix}_acc"))
    assert str(ensure_pitrs(shop, metadata)) == "1 done"
    assert plan_pitrs(shop, metadata).in_sync
    assert str(ensure_pitrs(shop, metadata)) == "nothing to do"


def test_ensure_leaves_a_longer_range_of_the_account(shop: Engine) -> None:
    PitrManager(shop).create_account_pitr("nightly", range_value=9)
    metadata = MetaData()
    declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    with pytest.warns(SAWarning, match=r"not done.*\n.*9d -> 7d"):
        assert ensure_pitrs(shop, metadata).ok
    assert str(PitrManager(shop).get("nightly").range) == "9d"
