"""Partitions: how the catalogue has them, and what becomes of them.

docs/server.md, Partitions.
"""

from __future__ import annotations

import pytest

from tests.conftest import Server
from tests.server.conftest import Client

pytestmark = pytest.mark.usefixtures("since_3")

TABLES = (
    "SELECT relname, relkind, partitioned FROM mo_catalog.mo_tables "
    "WHERE reldatabase = '~' AND relname NOT LIKE '\\_\\_mo\\_index%'"
)


@pytest.fixture
def parts(say: Client) -> Client:
    """`say` with ~.t, of two partitions."""
    say.ok(
        "CREATE DATABASE ~",
        "CREATE TABLE ~.t (Id INT PRIMARY KEY, g INT, KEY (g)) PARTITION BY HASH (Id) PARTITIONS 2",
        "INSERT INTO ~.t VALUES (1, 5), (2, 6), (3, 7)",
    )
    return say


def test_partitions_are_tables_since_4(parts: Client, server: Server) -> None:
    whole = ("t", "r", 1)
    if server.version < (4,):
        assert parts.rows(TABLES) == [whole]
        return
    assert parts.rows(TABLES) == [
        ("%!%p0%!%t", "partition", 0),
        ("%!%p1%!%t", "partition", 0),
        whole,
    ]
    indexes = "SELECT count(*) FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relkind = 'i'"
    assert parts.value(indexes) == 3
    assert parts.ok("SHOW TABLES FROM ~").column == ["t"]


def test_show_create_table_leaves_them_out_before_4(parts: Client, server: Server) -> None:
    text = parts.rows("SHOW CREATE TABLE ~.t")[0][1]
    tail = " partition by hash (`Id`) partitions 2" if server.version >= (4,) else ""
    assert text.rpartition(")")[2] == "" if not tail else text.endswith(f"\n){tail}")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE ~.t ADD COLUMN z INT",
        "CREATE TABLE ~.c CLONE ~.t",
        "CREATE TABLE ~.c LIKE ~.t",
    ],
)
def test_rebuilds_and_copies_lose_them_before_4(parts: Client, server: Server, change: str) -> None:
    parts.ok(change)
    name = "c" if "CREATE" in change else "t"
    found = {row[0]: row[2] for row in parts.rows(TABLES) if row[1] == "r"}
    assert found[name] == (1 if server.version >= (4,) else 0)


def test_a_partition_has_a_policy_like_a_table(parts: Client, server: Server) -> None:
    refusal = parts.error("CREATE PITR ~_p FOR TABLE ~ `%!%p0%!%t` RANGE 1 'h'")
    assert (refusal is None) == (server.version >= (4,))
