"""docs/server.md, The commit rule; SET; The status bit; Savepoints and XA."""

from __future__ import annotations

import pytest

from .conftest import Client, Connect

REFUSED = (
    20101,
    "internal error: unclassified statement appears in uncommitted transaction",
)
IN_TRANSACTION, AUTOCOMMIT = 1, 2

PITR_STATEMENTS = [
    "CREATE PITR p RANGE 1 'd'",
    "ALTER PITR p RANGE 1 'd'",
    "DROP PITR IF EXISTS p",
    "SHOW PITR",
    "SHOW RECOVERY_WINDOW FOR ACCOUNT",
    "RESTORE FROM PITR p '2026-01-01 00:00:00'",
]


@pytest.mark.parametrize("statement", PITR_STATEMENTS)
def test_refused_after_begin(client: Client, statement: str) -> None:
    client("BEGIN")
    assert client.refused(statement) == REFUSED
    client("ROLLBACK")


@pytest.mark.parametrize("statement", PITR_STATEMENTS)
@pytest.mark.parametrize("first", ["SELECT 1", "SHOW PITR", "CREATE PITR q RANGE 0 'd'"])
def test_refused_with_autocommit_off_after_any_statement(
    connect: Connect, statement: str, first: str
) -> None:
    client = connect(autocommit=False)
    client("COMMIT")
    if "q" in first:
        assert client.refused(first)[1] == "internal error: invalid pitr value 0"
    else:
        client(first)
    assert client.refused(statement) == REFUSED
    client("COMMIT")
    client("SET @z = 1")
    client("SHOW PITR")


def test_the_refusal_neither_commits_nor_rolls_back(connect: Connect) -> None:
    client, other = connect(), connect()
    client("CREATE DATABASE d")
    client("CREATE TABLE d.t (a INT PRIMARY KEY)")
    client("BEGIN")
    client("INSERT INTO d.t VALUES (1)")
    assert client.refused("SHOW PITR") == REFUSED
    assert other("SELECT * FROM d.t") == ()
    assert client("SELECT * FROM d.t") == ((1,),)
    client("COMMIT")
    assert other("SELECT * FROM d.t") == ((1,),)


def test_rollback_does_not_undo_pitr_ddl(connect: Connect) -> None:
    client = connect(autocommit=False)
    client("CREATE PITR p RANGE 1 'd'")
    client("ROLLBACK")
    assert [row[0] for row in client("SHOW PITR")] == ["p"]


def test_ordinary_ddl_is_transactional(connect: Connect) -> None:
    client = connect(autocommit=False)
    client("CREATE DATABASE d")
    client("CREATE TABLE d.t (a INT PRIMARY KEY)")
    client("ROLLBACK")
    assert client("SHOW DATABASES LIKE 'd'") == ()


def test_pitr_ddl_does_not_see_uncommitted_tables(connect: Connect) -> None:
    writer, other = connect(autocommit=False), connect()
    writer("CREATE DATABASE d")
    assert other.refused("CREATE PITR p FOR DATABASE d RANGE 1 'd'") == (
        20101,
        "internal error: database d does not exist",
    )
    writer("COMMIT")
    other("CREATE PITR p FOR DATABASE d RANGE 1 'd'")


def test_the_lying_autocommit_bit(connect: Connect) -> None:
    client = connect(autocommit=False)
    assert client.status == 0
    client("SET NAMES utf8mb4")
    assert client.status == AUTOCOMMIT
    client("CREATE DATABASE d")
    client("ROLLBACK")
    assert client.status == 0
    assert client("SHOW DATABASES LIKE 'd'") == ()


def test_bits_of_an_honest_session(client: Client) -> None:
    client("SET AUTOCOMMIT = 1")
    assert client.status == AUTOCOMMIT
    client("BEGIN")
    assert client.status == AUTOCOMMIT | IN_TRANSACTION
    client("ROLLBACK")
    assert client.status == AUTOCOMMIT
    client("SET AUTOCOMMIT = 0")
    assert client.status == 0
    client("BEGIN")
    assert client.status == IN_TRANSACTION


def test_set_commits_the_open_transaction(client: Client) -> None:
    client("CREATE DATABASE d")
    client("CREATE TABLE d.t (a INT PRIMARY KEY)")
    client("BEGIN")
    client("INSERT INTO d.t VALUES (1)")
    client("SET @x = 1")
    client("ROLLBACK")
    assert client("SELECT * FROM d.t") == ((1,),)


def test_a_failing_set_rolls_the_open_transaction_back(client: Client) -> None:
    client("CREATE DATABASE d")
    client("CREATE TABLE d.t (a INT PRIMARY KEY)")
    client("BEGIN")
    client("INSERT INTO d.t VALUES (1)")
    assert client.refused("SET nope = 1") == (
        20101,
        "internal error: the system variable does not exist",
    )
    assert client("SELECT * FROM d.t") == ()


def test_autocommit_on_commits(connect: Connect) -> None:
    client, other = connect(autocommit=False), connect()
    client("CREATE DATABASE d")
    client("SET AUTOCOMMIT = 1")
    assert other("SHOW DATABASES LIKE 'd'") == (("d",),)
    client("CREATE DATABASE e")
    assert other("SHOW DATABASES LIKE 'e'") == (("e",),)


def test_rollback_to_savepoint_loses_the_last_statement_only(client: Client) -> None:
    client("CREATE DATABASE d")
    client("CREATE TABLE d.t (a INT PRIMARY KEY)")
    client("BEGIN")
    client("INSERT INTO d.t VALUES (1)")
    client("SAVEPOINT s")
    client("INSERT INTO d.t VALUES (2)")
    client("INSERT INTO d.t VALUES (3)")
    assert client.refused("ROLLBACK TO SAVEPOINT s") == (
        20101,
        "internal error: savepoint has not been implemented yet. please rollback the transaction.",
    )
    assert sorted(client("SELECT a FROM d.t")) == [(1,), (2,)]
    client("ROLLBACK")
    assert client("SELECT a FROM d.t") == ()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("KILL 1", REFUSED[1]),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", REFUSED[1]),
        (
            "RENAME TABLE a TO b",
            "internal error: Only CREATE of DDL is supported in transactions",
        ),
        (
            "CREATE ACCOUNT a ADMIN_NAME 'a' IDENTIFIED BY 'b'",
            "internal error: administrative command is unsupported in transactions",
        ),
    ],
)
def test_other_statements_refused_in_a_transaction(
    client: Client, statement: str, text: str
) -> None:
    client("BEGIN")
    assert client.refused(statement) == (20101, text)


def test_time_zones_of_a_session(client: Client, version: str) -> None:
    client("SET @z = @@time_zone")
    client("SET time_zone = '+05:30'")
    assert client("SELECT @@time_zone") == (("+05:30",),)
    client("SET time_zone = @z")
    assert client("SELECT @@time_zone") == (("SYSTEM",),)
    assert client.refused("SET time_zone = 'Nowhere/City'")[0] == 1105
    if version == "4.2.0":
        client("SET time_zone = 'Europe/Berlin'")
    else:
        assert client.refused("SET time_zone = 'Europe/Berlin'") == (
            1105,
            "unknown time zone europe/berlin",
        )


def test_a_syntax_error_opens_no_transaction(connect: Connect) -> None:
    client = connect(autocommit=False)
    client("COMMIT")
    assert client.refused("SELEC 1")[0] == 1064
    assert client.refused("CREATE PITR p RANGE x 'd'")[0] == 1064
    client("SHOW PITR")


def test_statements_about_accounts_end_their_transaction(connect: Connect) -> None:
    client = connect(autocommit=False)
    client("COMMIT")
    client("CREATE ROLE r")
    client("SHOW PITR")
    client("COMMIT")
    assert client.refused("CREATE ROLE r")[0] == 20101
    client("SHOW PITR")
