"""docs/server.md, Grammar; Checks of CREATE; SHOW PITR."""

from __future__ import annotations

import datetime

import pytest

from matrixone_emulator import Emulator

from .conftest import Client

SYNTAX = (
    "SQL parser error: You have an error in your SQL syntax; check the manual that corresponds to "
    "your MatrixOne server version for the right syntax to use. syntax error at line 1 "
)


def internal(text: str) -> tuple[int, str]:
    return 20101, f"internal error: {text}"


@pytest.fixture
def shop(client: Client) -> Client:
    """A client with database shop and table shop.orders."""
    client("CREATE DATABASE shop")
    client("CREATE TABLE shop.orders (id INT PRIMARY KEY)")
    return client


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("create pitr p for table db table t range 1 'd'", "32 near \" table t range 1 'd'\";"),
        ("create pitr p for table db.t range 1 'd'", "27 near \".t range 1 'd'\";"),
        ("create pitr p to account x range 1 'd'", "16 near \" to account x range 1 'd'\";"),
        ("create pitr p range -1 'd'", "21 near \" -1 'd'\";"),
        ("create pitr p range 1.5 'd'", "23 near \" 1.5 'd'\";"),
        ("create pitr p range '1' 'd'", "23 near \" '1' 'd'\";"),
        ("create pitr p range 0x1 'd'", "23 near \" 0x1 'd'\";"),
        ("create pitr p range 1 d", '23 near " d";'),
        ("create pitr p range 1", '21 near "";'),
        ("create pitr select range 1 'd'", "18 near \" select range 1 'd'\";"),
        ("create pitr `` range 1 'd'", "13 near \" `` range 1 'd'\";"),
        ("create pitr é range 1 'd'", "13 near \" é range 1 'd'\";"),
        ("alter pitr p rename to q", '19 near " rename to q";'),
        ("drop pitr p, q", '12 near ", q";'),
        ("show pitr like 'x'", "14 near \" like 'x'\";"),
        ("show create pitr p", '16 near " pitr p";'),
        ("restore from pitr p", '19 near "";'),
    ],
)
def test_syntax_errors(client: Client, statement: str, where: str) -> None:
    assert client.refused(statement) == (1064, f"{SYNTAX}column {where}")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "FOR ACCOUNT",
        "FOR ACCOUNT sys",
        "FOR CLUSTER",
        "FOR DATABASE shop",
        "FOR DATABASE `Shop` TABLE ORDERS",
        "FOR TABLE shop `orders`",
    ],
)
@pytest.mark.parametrize("unit", ["'h'", "'D'", '"mo"', "'Y'"])
def test_every_target_and_unit(shop: Client, target: str, unit: str) -> None:
    shop(f"create /* a */ PITR if NOT exists `My#P` {target} RANGE 100 {unit}; -- end")
    assert shop("SHOW PITR")[0][0] == "my#p"


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE PITR `a b` RANGE 101 'x'", "invalid pitr value 101"),
        ("CREATE PITR `a b` RANGE 0 'x'", "invalid pitr value 0"),
        ("CREATE PITR `a b` RANGE 1 'Week'", "invalid pitr unit week"),
        ("CREATE PITR Sys_Mo_Catalog_Pitr RANGE 1 'd'", "pitr name is reserved"),
        ("CREATE PITR `a b` RANGE 1 'd'", "invalid input"),
        ("CREATE PITR `a``b` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
        ("CREATE PITR p FOR ACCOUNT nope RANGE 1 'd'", "account nope does not exist"),
        (
            "CREATE PITR p FOR DATABASE MYSQL RANGE 1 'd'",
            "can not create pitr for current database mysql",
        ),
        (
            "CREATE PITR p FOR TABLE mo_task x RANGE 1 'd'",
            "can not create pitr for current table mo_task.x",
        ),
        ("CREATE PITR p FOR DATABASE nope RANGE 1 'd'", "database nope does not exist"),
        ("CREATE PITR p FOR TABLE shop nope RANGE 1 'd'", "table shop.nope does not exist"),
        ("ALTER PITR `a b` RANGE 101 'x'", "invalid pitr value 101"),
        ("ALTER PITR `a b` RANGE 0 'x'", "invalid pitr unit x"),
        ("ALTER PITR `a b` RANGE 0 'd'", "invalid input"),
        ("ALTER PITR Nope RANGE 0 'd'", "pitr nope does not exist"),
        ("DROP PITR `a b`", "invalid input"),
        ("DROP PITR Nope", "pitr nope does not exist"),
    ],
)
def test_checks_in_order(shop: Client, statement: str, text: str) -> None:
    assert shop.refused(statement) == internal(text)


def test_target_names_with_blanks(client: Client, version: str) -> None:
    old = version == "3.0.9"
    assert client.refused("CREATE PITR p FOR DATABASE `a b` RANGE 1 'd'") == internal(
        "invalid input" if old else "database a b does not exist"
    )
    assert client.refused("CREATE PITR p FOR TABLE a `x'y` RANGE 1 'd'") == internal(
        "invalid input" if old else "table a.x'y does not exist"
    )
    assert client.refused("CREATE PITR p FOR ACCOUNT `a b` RANGE 1 'd'") == internal(
        "invalid input"
    )


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("FOR CLUSTER", "cluster level pitr already exists"),
        ("FOR ACCOUNT", "account `sys` already has a pitr"),
        ("FOR DATABASE shop", "database `shop` already has a pitr"),
        ("FOR TABLE shop orders", "database `shop` table `orders` already has a pitr"),
    ],
)
def test_one_active_pitr_an_object(shop: Client, target: str, text: str) -> None:
    shop(f"CREATE PITR p {target} RANGE 1 'd'")
    assert shop.refused(f"CREATE PITR q {target} RANGE 2 'd'") == internal(text)
    assert shop.refused(f"CREATE PITR IF NOT EXISTS q {target} RANGE 2 'd'") == internal(text)
    assert shop.refused("CREATE PITR p RANGE 1 'd'") == internal("pitr p already exists")
    shop("CREATE PITR IF NOT EXISTS p FOR DATABASE nope RANGE 2 'd'")
    assert [row[0] for row in shop("SHOW PITR")] == ["p"]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("MyPitr", "mypitr"),
        ("`E1;a%$#*`", "e1;a%$#*"),
        ("`\u03a3\u03c2\u0130I`", "\u03c3\u03c2ii"),
        (r"`a\b`", "a\b"),
        ("`表`", "表"),
    ],
)
def test_names_are_folded(client: Client, name: str, stored: str) -> None:
    client(f"CREATE PITR {name} RANGE 1 'd'")
    assert [row[0] for row in client("SHOW PITR")] == [stored]
    client(f"DROP PITR {name}")
    assert client("SHOW PITR") == ()


def test_names_of_more_than_5000_characters(client: Client, version: str) -> None:
    name = "x" * 5001
    if version == "3.0.9":
        assert client.refused(f"CREATE PITR {name} RANGE 1 'd'") == internal(
            f"Can't cast '{'x' * 100}...' to VARCHAR type. Src length 5001 is larger than Dest "
            "length 5000"
        )
    else:
        client(f"CREATE PITR {name} RANGE 1 'd'")
        assert client("SHOW PITR")[0][0] == "x" * 5000


def test_show_pitr(shop: Client, server: Emulator) -> None:
    shop("CREATE PITR a FOR ACCOUNT RANGE 1 'D'")
    server.advance(datetime.timedelta(seconds=1))
    shop("CREATE PITR t FOR TABLE shop orders RANGE 2 'mo'")
    server.advance(datetime.timedelta(seconds=1))
    shop("CREATE PITR c FOR CLUSTER RANGE 3 'y'")
    rows = shop("SHOW PITR")
    assert shop.labels == [
        "PITR_NAME",
        "CREATED_TIME",
        "MODIFIED_TIME",
        "PITR_LEVEL",
        "ACCOUNT_NAME",
        "DATABASE_NAME",
        "TABLE_NAME",
        "PITR_LENGTH",
        "PITR_UNIT",
    ]
    assert [(row[0], *row[3:]) for row in rows] == [
        ("c", "cluster", "*", "*", "*", 3, "y"),
        ("t", "table", "sys", "shop", "orders", 2, "mo"),
        ("a", "account", "sys", "*", "*", 1, "d"),
    ]
    assert all(isinstance(row[1], datetime.datetime) for row in rows)


def test_times_are_whole_seconds_in_the_session_zone(client: Client, server: Emulator) -> None:
    client("CREATE PITR p RANGE 1 'd'")
    client("SET time_zone = '+00:00'")
    utc = client("SHOW PITR")[0][1]
    assert utc.microsecond == 0
    assert abs(server.now().replace(tzinfo=None) - utc) < datetime.timedelta(seconds=5)
    client("SET time_zone = '-03:30'")
    assert utc - client("SHOW PITR")[0][1] == datetime.timedelta(hours=3, minutes=30)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("pitr_name = 'd'", {"d"}),
        ("pitr_name = 'D'", set()),
        ('PITR_NAME = "d"', {"d"}),
        ("pitr_name LIKE '%\\_%'", {"o_o"}),
        ("CAST_RANGE_VALUE_UNIT(PITR_LENGTH, PITR_UNIT) >= 24", {"d", "o_o"}),
        ("pitr_level IN ('table') OR pitr_unit <> 'h'", {"d", "o_o"}),
        ("database_name = '*'", {"h"}),
        ("created_time > '2000-01-01 00:00:00'", {"d", "h", "o_o"}),
    ],
)
def test_show_pitr_where(shop: Client, version: str, expression: str, names: set[str]) -> None:
    shop("CREATE PITR h RANGE 23 'h'")
    shop("CREATE PITR d FOR DATABASE shop RANGE 1 'd'")
    shop("CREATE PITR o_o FOR TABLE shop orders RANGE 1 'mo'")
    assert {row[0] for row in shop(f"SHOW PITR WHERE {expression}")} == names
    assert shop.labels[0] == ("pitr_name" if version == "3.0.9" else "PITR_NAME")


def test_errors_in_where(client: Client) -> None:
    assert client.refused("SHOW PITR WHERE nope = 1") == (
        20301,
        "invalid input: column nope does not exist",
    )
    assert client.refused("SHOW PITR WHERE nofunc(pitr_name) = 1") == (
        20105,
        "not supported: function or operator 'nofunc'",
    )
    assert client.refused("SHOW PITR WHERE 1 = 1; DROP TABLE x FOO")[0] in (1064, 1235, 20101)


def test_alter_starts_the_window_anew(client: Client, server: Emulator) -> None:
    client("CREATE PITR p RANGE 1 'd'")
    created = client("SHOW PITR")[0][1:3]
    server.advance(datetime.timedelta(minutes=5))
    client("ALTER PITR p RANGE 1 'd'")
    row = client("SHOW PITR")[0]
    assert row[1] == created[0]
    assert row[2] - created[1] >= datetime.timedelta(minutes=5)
    client("ALTER PITR P RANGE 0 'Y'")
    assert client("SHOW PITR")[0][7:] == (0, "y")


def test_the_hidden_row(client: Client) -> None:
    client("CREATE PITR p RANGE 1 'd'")
    hidden = "SELECT * FROM mo_catalog.mo_pitr"
    rows = {row[1]: row for row in client(hidden)}
    assert rows["sys_mo_catalog_pitr"][5:14] == (
        "database",
        0,
        "sys",
        "mo_catalog",
        "",
        1,
        1,
        "d",
        1,
    )
    client("CREATE PITR c FOR CLUSTER RANGE 2 'y'")
    rows = {row[1]: row for row in client(hidden)}
    assert rows["sys_mo_catalog_pitr"][11:13] == (2, "y")
    assert rows["c"][10] == 2**64 - 1
    client("DROP PITR p")
    client("DROP PITR c")
    assert client(hidden) == ()


def test_where_ends_with_its_statement(client: Client) -> None:
    client("CREATE PITR p RANGE 1 'd'")
    assert [row[0] for row in client("SHOW PITR WHERE pitr_name = 'p'; SELECT 1")] == ["p"]
    for rest in ("ORDER BY 1", "LIMIT 1", "UNION SELECT 1", ") OR (1 = 1"):
        code, text = client.refused(f"SHOW PITR WHERE pitr_name = 'x' {rest}")
        assert (code, rest in text) == (1064, True)
