"""docs/server.md, What detaches a policy; Object ids."""

from __future__ import annotations

import pytest

from .conftest import Client

ROW = "SELECT obj_id, pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = '{}'"
ID = "SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = 'shop' AND relname = 'orders'"


@pytest.fixture
def shop(client: Client) -> Client:
    client("CREATE DATABASE shop")
    client("CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(10))")
    client("INSERT INTO shop.orders VALUES (1, 'a')")
    client("CREATE PITR d FOR DATABASE shop RANGE 1 'd'")
    client("CREATE PITR t FOR TABLE shop orders RANGE 1 'd'")
    return client


def status(client: Client, name: str) -> int:
    found: int = client(ROW.format(name))[0][1]
    return found


@pytest.mark.parametrize(
    "change",
    [
        "ADD COLUMN c INT",
        "DROP COLUMN note",
        "CHANGE COLUMN note remark VARCHAR(10)",
        "MODIFY note TEXT",
        "MODIFY note VARCHAR(5)",
        "MODIFY note VARCHAR(10) NOT NULL",
    ],
)
def test_a_rebuild_detaches(shop: Client, change: str) -> None:
    before = shop(ID)
    shop(f"ALTER TABLE shop.orders {change}")
    assert shop(ID) != before
    assert (status(shop, "t"), status(shop, "d")) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE shop.orders MODIFY note VARCHAR(20)",
        "ALTER TABLE shop.orders RENAME COLUMN note TO remark",
        "ALTER TABLE shop.orders ADD INDEX i (note)",
        "ALTER TABLE shop.orders COMMENT = 'x'",
        "CREATE INDEX i ON shop.orders (note)",
        "UPDATE shop.orders SET note = 'b'",
        "DELETE FROM shop.orders WHERE 1 = 1",
    ],
)
def test_in_place_changes_do_not(shop: Client, change: str) -> None:
    before = shop(ID)
    shop(change)
    assert shop(ID) == before
    assert status(shop, "t") == 1


@pytest.mark.parametrize("statement", ["TRUNCATE TABLE shop.orders", "DELETE FROM shop.orders"])
def test_truncate_and_delete_of_everything(shop: Client, version: str, statement: str) -> None:
    before = shop(ID)
    shop(statement)
    assert shop(ID) != before
    assert shop(ROW.format("t"))[0] == (before[0][0], 0 if version == "4.2.0" else 1)
    assert status(shop, "d") == 1


def test_a_rolled_back_change_detaches_nothing(shop: Client) -> None:
    before = shop(ID)
    shop("BEGIN")
    shop("ALTER TABLE shop.orders ADD COLUMN c INT")
    assert shop(ID) != before
    shop("ROLLBACK")
    assert shop(ID) == before
    assert status(shop, "t") == 1


def test_drop_table_and_database(shop: Client) -> None:
    shop("DROP DATABASE shop")
    assert (status(shop, "t"), status(shop, "d")) == (0, 0)
    assert {row[0] for row in shop("SHOW PITR")} == {"t", "d"}


def test_rename_keeps_the_old_name(shop: Client) -> None:
    shop("RENAME TABLE shop.orders TO shop.sales")
    assert status(shop, "t") == 1
    assert shop("SHOW PITR WHERE pitr_name = 't'")[0][6] == "orders"
    shop("DROP TABLE shop.sales")
    assert status(shop, "t") == 1


def test_recreating_needs_a_new_name(shop: Client) -> None:
    shop("DROP TABLE shop.orders")
    shop("CREATE TABLE shop.orders (id INT PRIMARY KEY)")
    assert status(shop, "t") == 0
    shop("CREATE PITR t2 FOR TABLE shop orders RANGE 1 'd'")
    assert status(shop, "t2") == 1


def test_the_id_of_a_pitr_made_after_a_rebuild(shop: Client, version: str) -> None:
    """4.2.0 stores the id that the table was created with, and then never detaches it."""
    first = shop(ID)[0][0]
    shop("ALTER TABLE shop.orders ADD COLUMN c INT")
    shop("CREATE PITR t2 FOR TABLE shop orders RANGE 1 'd'")
    expected = first if version == "4.2.0" else shop(ID)[0][0]
    assert shop(ROW.format("t2"))[0] == (expected, 1)
    shop("ALTER TABLE shop.orders DROP COLUMN c")
    assert status(shop, "t2") == (1 if version == "4.2.0" else 0)
