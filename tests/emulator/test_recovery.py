"""docs/server.md, SHOW RECOVERY_WINDOW; RESTORE; What may restore what; Times of RESTORE."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import pymysql
import pytest

from matrixone_emulator import Emulator

from .conftest import Client

OBJECT = re.compile(r"\{'start_time':'([^']*)', 'end_time':'([^']*)', 'source':'pitr'[^}]*\}")


def internal(text: str) -> tuple[int, str]:
    return 20101, f"internal error: {text}"


def moment(server: Emulator) -> str:
    """The server's time as RESTORE reads it, with time before and after it."""
    server.advance(datetime.timedelta(seconds=2))
    text = f"{server.now():%Y-%m-%d %H:%M:%S.%f}"
    server.advance(datetime.timedelta(seconds=2))
    return text


@pytest.fixture
def shop(client: Client) -> Client:
    client("CREATE DATABASE shop")
    client("CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(10))")
    client("INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')")
    client("CREATE PITR a RANGE 1 'd'")
    client("CREATE PITR d FOR DATABASE shop RANGE 1 'd'")
    client("CREATE PITR t FOR TABLE shop orders RANGE 1 'd'")
    return client


@pytest.mark.parametrize("pitr", ["a", "d", "t"])
def test_restore_table(shop: Client, server: Emulator, pitr: str) -> None:
    at = moment(server)
    shop("DELETE FROM shop.orders WHERE id = 1")
    shop("UPDATE shop.orders SET note = 'x'")
    shop(f"RESTORE DATABASE shop TABLE orders FROM PITR {pitr} '{at}'")
    assert sorted(shop("SELECT * FROM shop.orders")) == [(1, "a"), (2, "b")]
    state = "SELECT pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = '{}'"
    assert shop(state.format("t")) == ((0,),)
    assert shop(state.format("d")) == ((1,),)


@pytest.mark.parametrize("pitr", ["a", "d"])
def test_restore_database(shop: Client, server: Emulator, pitr: str) -> None:
    at = moment(server)
    shop("DROP TABLE shop.orders")
    shop("CREATE TABLE shop.later (id INT)")
    shop(f"RESTORE DATABASE shop FROM PITR {pitr} '{at}'")
    assert shop("SHOW TABLES FROM shop") == (("orders",),)
    assert sorted(shop("SELECT * FROM shop.orders")) == [(1, "a"), (2, "b")]
    assert shop("SELECT pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = 'd'") == ((0,),)


def test_restore_of_a_dropped_database(shop: Client, server: Emulator) -> None:
    at = moment(server)
    shop("DROP DATABASE shop")
    shop(f"RESTORE DATABASE shop FROM PITR d '{at}'")
    assert sorted(shop("SELECT id FROM shop.orders")) == [(1,), (2,)]


def test_restore_account(shop: Client, server: Emulator) -> None:
    at = moment(server)
    shop("DROP DATABASE shop")
    shop("CREATE DATABASE later")
    shop(f"RESTORE FROM PITR a '{at}'")
    assert shop("SHOW DATABASES LIKE 'later'") == ()
    assert sorted(shop("SELECT id FROM shop.orders")) == [(1,), (2,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", 'parsing time "x" as "2006-01-02 15:04:05": cannot parse "x" as "2006"'),
        ("", 'parsing time "" as "2006-01-02 15:04:05": cannot parse "" as "2006"'),
        (
            "2020-01-01T00:00:00",
            'parsing time "2020-01-01T00:00:00" as "2006-01-02 15:04:05": cannot parse '
            '"T00:00:00" as " "',
        ),
        (
            "2020-01-01 00:00",
            'parsing time "2020-01-01 00:00" as "2006-01-02 15:04:05": cannot parse "" as ":"',
        ),
        ("2020-01-01 00:00:00Z", 'parsing time "2020-01-01 00:00:00Z": extra text: "Z"'),
        ("2020-13-01 00:00:00", 'parsing time "2020-13-01 00:00:00": month out of range'),
        ("2020-02-30 00:00:00", 'parsing time "2020-02-30 00:00:00": day out of range'),
        ("2020-02-01 24:00:00", 'parsing time "2020-02-01 24:00:00": hour out of range'),
    ],
)
def test_bad_times(shop: Client, text: str, message: str) -> None:
    assert shop.refused(f"RESTORE FROM PITR nope '{text}'") == (1105, message)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DATABASE mysql FROM PITR nope", "pitr nope does not exist"),
        ("DATABASE mysql FROM PITR a", "database mysql can not be restore"),
        ("FROM PITR d", "restore level database is not allowed for account restore"),
        ("DATABASE shop FROM PITR t", "restore level table is not allowed for database restore"),
        ("DATABASE other FROM PITR d", "pitr d is not allowed to restore database other"),
        (
            "DATABASE other TABLE x FROM PITR d",
            "pitr d is not allowed to restore database other table x",
        ),
        (
            "DATABASE shop TABLE x FROM PITR t",
            "pitr t is not allowed to restore table shop.x",
        ),
        ("CLUSTER FROM PITR a", "restore level account is not allowed for cluster restore"),
        ("ACCOUNT x FROM PITR d", "can not restore account x by pitr d"),
        ("ACCOUNT x FROM PITR a", "can not restore sys account to new account x by pitr a"),
    ],
)
def test_what_may_restore_what(shop: Client, statement: str, text: str) -> None:
    kind, name = statement.rsplit(" ", 1)
    assert shop.refused(f"RESTORE {kind} {name} '2020-01-01 00:00:00'") == internal(text)


def test_moments_that_are_refused(shop: Client, server: Emulator) -> None:
    code, text = shop.refused("RESTORE DATABASE shop FROM PITR d '2020-01-01 00:00:00'")
    assert text.startswith(
        "internal error: input timestamp 2020-01-01 00:00:00 is less than the pitr valid time "
    )
    code, text = shop.refused("RESTORE DATABASE shop FROM PITR d '2099-01-01 00:00:00'")
    assert "2099-01-01 00:00:00 is bigger than now timestamp 2" in text
    at = moment(server)
    server.advance(datetime.timedelta(days=2))
    code, text = shop.refused(f"RESTORE DATABASE shop FROM PITR d '{at}'")
    assert (code, "is less than the pitr range minest timestamp" in text) == (20101, True)


def test_missing_objects(shop: Client, server: Emulator) -> None:
    at = moment(server)
    shown = at[:19]
    assert shop.refused(f"RESTORE DATABASE nope FROM PITR a '{at}'") == internal(
        f"database 'nope' does not exists at timestamp: {shown}"
    )
    assert shop.refused(f"RESTORE DATABASE shop TABLE x FROM PITR d '{at}'") == internal(
        f"database 'shop' table 'x' does not exists at timestamp: {shown}"
    )


def test_the_account_form_of_4_1(shop: Client, server: Emulator, version: str) -> None:
    at = moment(server)
    statement = f"RESTORE ACCOUNT sys DATABASE shop FROM PITR d '{at}'"
    if version == "3.0.9":
        assert shop.refused(statement)[0] == 1064
    else:
        shop(statement)
        assert shop.refused(statement.replace("sys", "x")) == internal(
            "account x is not allowed to restore database shop"
        )


def windows(client: Client, target: str) -> dict[str, str]:
    rows = client(f"SHOW RECOVERY_WINDOW FOR {target}")
    return {row[3]: row[4] for row in rows}


def test_recovery_window(shop: Client, version: str) -> None:
    text = windows(shop, "TABLE shop orders")["orders"]
    assert shop.labels == [
        "RecoveryWindowLevel",
        "AccountName",
        "DatabaseName",
        "TableName",
        "RecoveryWindows",
    ]
    assert len(OBJECT.findall(text)) == 3
    assert text.startswith("[{")
    assert text.endswith("}]")


def test_a_table_created_later_is_missing(client: Client) -> None:
    client("CREATE DATABASE shop")
    client("CREATE TABLE shop.first (id INT)")
    client("CREATE PITR d FOR DATABASE shop RANGE 1 'd'")
    client("CREATE TABLE shop.later (id INT)")
    assert set(windows(client, "DATABASE shop")) == {"first"}


def test_rows_share_one_buffer(client: Client) -> None:
    """Rows of different length overlay each other, as they do on live servers."""
    client("CREATE DATABASE shop")
    for table in ("a", "b", "c", "d"):
        client(f"CREATE TABLE shop.{table} (id INT)")
    client("CREATE PITR d FOR DATABASE shop RANGE 1 'd'")
    client("CREATE PITR t FOR TABLE shop b RANGE 1 'd'")
    broken = 0
    for _ in range(30):
        texts = windows(client, "DATABASE shop").values()
        broken += any(not re.fullmatch(r"\[(\{[^}]*\}(, )?)+\]", text) for text in texts)
    assert broken


def test_a_window_that_has_run_out_breaks_the_statement(shop: Client, server: Emulator) -> None:
    shop("DROP TABLE shop.orders")
    server.advance(datetime.timedelta(days=2))
    assert shop.refused("SHOW RECOVERY_WINDOW FOR ACCOUNT") == (
        1105,
        'parsing time "" as "2006-01-02 15:04:05": cannot parse "" as "2006"',
    )


def test_refused_windows(client: Client) -> None:
    assert client.refused("SHOW RECOVERY_WINDOW FOR DATABASE mysql") == internal(
        "can not show recovery window for system database"
    )
    assert client.refused("SHOW RECOVERY_WINDOW FOR TABLE mysql x") == internal(
        "can not show recovery window for system table"
    )


@pytest.fixture
def new_york() -> Iterator[Client]:
    with Emulator(timezone="America/New_York") as server:
        connection = pymysql.connect(
            host=server.host, port=server.port, user="dump", password="111", autocommit=True
        )
        yield Client(connection)
        connection.close()


def test_times_of_another_server_zone(new_york: Client) -> None:
    new_york("SET time_zone = '+00:00'")
    new_york("CREATE DATABASE shop")
    new_york("CREATE TABLE shop.t (a INT)")
    new_york("CREATE PITR p FOR DATABASE shop RANGE 1 'd'")
    created = new_york("SHOW PITR")[0][1]
    start = OBJECT.findall(windows(new_york, "DATABASE shop")["t"])[0][0]
    local = datetime.datetime.strptime(start[:19], "%Y-%m-%d %H:%M:%S")
    assert datetime.timedelta(hours=4) <= created - local <= datetime.timedelta(hours=5)
    _, text = new_york.refused(f"RESTORE DATABASE shop FROM PITR p '{created}'")
    assert "is bigger than now timestamp" in text
