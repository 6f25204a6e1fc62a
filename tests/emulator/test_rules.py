"""Differences between versions, and the emulator's own voice where something is unwritten."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

import matrixone_emulator
from matrixone_emulator import Emulator
from matrixone_emulator.versions.rules import RULES

from .conftest import Client

SOURCES = Path(matrixone_emulator.__file__).parent


def test_every_version_says_its_own() -> None:
    texts = {name: rules.version_text for name, rules in RULES.items()}
    assert list(texts) == ["2.2.2", "3.0.9", "3.0.18", "4.2.0", "main"]
    assert texts["main"] == "8.0.30-MatrixOne-v"
    assert texts["3.0.18"] == "8.0.30-MatrixOne-v3.0.18"


def test_rules_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RULES["4.2.0"].clones = False  # type: ignore[misc]


def test_no_version_is_compared_elsewhere() -> None:
    number = re.compile(r"version\w*(\[\d?:?\d?\])? *(==|!=|[<>]=?) *[(\"\d]|[<>]=? *\(\d, \d")
    compared = [
        f"{path.name}: {line.strip()}"
        for path in SOURCES.rglob("*.py")
        for line in path.read_text().splitlines()
        if number.search(line)
    ]
    assert compared == []


@pytest.fixture(params=["3.0.18", "main"])
def newer(request: pytest.FixtureRequest) -> Iterator[Client]:
    version: str = request.param
    with Emulator(version=version, lock_timeout=2.0) as server:
        connection = pymysql.connect(
            host=server.host,
            port=server.port,
            user="dump",
            password="111",
            autocommit=True,
            ssl_disabled=True,
        )
        client = Client(connection)
        assert client("SELECT version()")[0][0] == RULES[version].version_text
        client("CREATE DATABASE d")
        client("USE d")
        client("CREATE TABLE t (id INT PRIMARY KEY, b BOOL, v VARCHAR(10))")
        client("INSERT INTO t VALUES (1, TRUE, 'abc'), (2, FALSE, NULL)")
        yield client
        connection.close()


def test_truths_are_numbers_since_3_0_18(newer: Client) -> None:
    assert newer("SELECT b FROM t ORDER BY id") == ((1,), (0,))


def test_several_tables_are_dropped_since_3_0_18(newer: Client) -> None:
    newer("CREATE TABLE u (id INT)")
    newer("DROP TABLE t, u")
    assert newer("SHOW TABLES FROM d") == ()


def test_texts_are_cut_by_casts_since_3_0_18(newer: Client) -> None:
    assert newer("SELECT CAST('abc' AS CHAR(2))") == (("ab",),)


@pytest.mark.parametrize(
    ("client_flag", "affected"), [(0, 0), (pymysql.constants.CLIENT.FOUND_ROWS, 1)]
)
def test_rows_that_stay_as_they_were(client_flag: int, affected: int) -> None:
    """After 4.2.0 they do not count, unless the client wants found rows."""
    with Emulator(version="main") as server:
        connection = pymysql.connect(
            host=server.host,
            port=server.port,
            user="dump",
            password="111",
            client_flag=client_flag,
            ssl_disabled=True,
        )
        with connection, connection.cursor() as cursor:
            for statement in (
                "CREATE DATABASE d",
                "CREATE TABLE d.t (id INT PRIMARY KEY, v INT)",
                "INSERT INTO d.t VALUES (1, 5), (2, 6)",
            ):
                cursor.execute(statement)
            assert cursor.execute("UPDATE d.t SET v = 5 WHERE id = 1") == affected
            assert cursor.execute("UPDATE d.t SET v = 5") == affected + 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT json_object_agg_of(1)",
        "SHOW PROCESSLISTS",
        "SELECT * FROM t WHER id = 1",
        "CREATE TABLE u (id INT,)",
        "ALTER TABLE t ADD COLUMN",
        "SELEC 1",
    ],
)
def test_what_no_server_reads_is_the_servers_refusal(client: Client, statement: str) -> None:
    client("CREATE DATABASE d")
    client("USE d")
    client("CREATE TABLE t (id INT)")
    assert client.refused(statement)[0] in (1064, 20105)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE u (a INT) PARTITION BY RANGE (a + 1) (PARTITION p VALUES LESS THAN (5))",
        "CREATE TABLE u (a INT) PARTITION BY LIST (a) (PARTITION p VALUES LESS THAN (5))",
        "ALTER TABLE t COALESCE PARTITION 1",
        "CREATE TABLE u (a INT STORAGE DISK)",
        "CREATE TABLE u (a INT DEFAULT 1 + 1)",
        "CREATE INDEX i USING ivfflat ON t (a) LISTS 10",
        "SELECT * FROM t WHERE MATCH (v) AGAINST ('x')",
        "SELECT cluster_centers(a KMEANS '5') FROM t",
        "GRANT r1, r2 TO u1",
        "SET SECONDARY ROLE ALL",
        "ALTER USER u LOCK",
        "CREATE DATABASE e FROM a PUBLICATION p",
        "DECLARE a INT",
        "PAUSE CDC ALL",
        "EXPLAIN SELECT 1",
        "SELECT regexp_instr('a', 'a')",
    ],
)
def test_what_the_emulator_has_not_written_is_its_own_refusal(
    client: Client, statement: str
) -> None:
    client("CREATE DATABASE d")
    client("USE d")
    client("CREATE TABLE t (id INT, a INT, v VARCHAR(10))")
    code, text = client.refused(statement)
    assert code == 1235
    assert text.startswith("MatrixOne emulator does not support: ")
