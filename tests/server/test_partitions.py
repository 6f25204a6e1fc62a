"""Partitions: how the catalogue has them, and what becomes of them.

docs/server.md, Partitions.
"""

from __future__ import annotations

import pytest

from tests.clock import wait
from tests.conftest import Server
from tests.server.conftest import Client, is_main, moment

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


FORMS = {
    "range": "RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
    "maximum": "RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN "
    "MAXVALUE)",
    "range columns": "RANGE COLUMNS (id) (PARTITION p0 VALUES LESS THAN (10))",
    "list": "LIST (id) (PARTITION p0 VALUES IN (1, 2), PARTITION `Odd one` VALUES IN (3))",
    "list columns": "LIST COLUMNS (id) (PARTITION p0 VALUES IN (1, 2))",
    "key": "KEY (id) PARTITIONS 3",
    "key, algorithm": "KEY ALGORITHM = 2 (id) PARTITIONS 2",
    "linear key": "LINEAR KEY (id) PARTITIONS 2",
    "linear hash": "LINEAR HASH (id) PARTITIONS 2",
    "not in the key": "RANGE (g) (PARTITION p0 VALUES LESS THAN (10))",
    "twice": "RANGE (id) (PARTITION p0 VALUES LESS THAN (9), PARTITION p0 VALUES LESS THAN (8))",
    "comment": "RANGE (id) (PARTITION p0 VALUES LESS THAN (9) COMMENT = 'x' ENGINE = INNODB)",
}


@pytest.mark.usefixtures("before_4")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_before_4_any_form_is_noted_and_has_no_effect(say: Client, form: str) -> None:
    """Rows that belong to no partition are stored, nothing lists partitions, copies forget them."""
    say.ok(
        "CREATE DATABASE ~",
        f"CREATE TABLE ~.t (id INT PRIMARY KEY, g INT, KEY (g)) PARTITION BY {form}",
        "INSERT INTO ~.t VALUES (1, 5), (1000, 6)",
    )
    assert say.rows(TABLES) == [("t", "r", 1)]
    assert "artition" not in say.rows("SHOW CREATE TABLE ~.t")[0][1]
    now = moment(say).nanoseconds
    say.ok("DELETE FROM ~.t WHERE id = 1")
    then = f"{{MO_TS = {now}}}"
    assert say.rows(f"SELECT id FROM ~.t {then} ORDER BY id") == [(1,), (1000,)]
    assert say.rows(f"SELECT id FROM ~.t {then} WHERE g = 5") == [(1,)]
    say.ok(f"CREATE TABLE ~.c CLONE ~.t {then}")
    assert say.rows("SELECT id FROM ~.c ORDER BY id") == [(1,), (1000,)]
    assert sorted(say.rows(TABLES)) == [("c", "r", 0), ("t", "r", 1)]


@pytest.mark.parametrize("form", ["range", "range columns", "list", "list columns", "key"])
def test_a_column_that_is_not_there(say: Client, server: Server, form: str) -> None:
    say.ok("CREATE DATABASE ~")
    text = FORMS[form].replace("(id)", "(nope)")
    error = say.error(f"CREATE TABLE ~.t (id INT PRIMARY KEY) PARTITION BY {text}")
    code = 1054 if is_main(server) else 20301
    assert error == (code, "invalid input: column nope does not exist")


def test_a_range_of_two_columns(say: Client) -> None:
    say.ok("CREATE DATABASE ~")
    error = say.error(
        "CREATE TABLE ~.t (a INT, b INT) PARTITION BY RANGE COLUMNS (a, b) "
        "(PARTITION p VALUES LESS THAN (1, 2))"
    )
    assert error == (20101, "internal error: RANGE PARTITIONING can only have one parameter")


@pytest.mark.usefixtures("before_4")
@pytest.mark.parametrize(
    "action",
    [
        "ADD PARTITION (PARTITION p2 VALUES LESS THAN (30))",
        "DROP PARTITION p0",
        "DROP PARTITION p0, p1",
        "TRUNCATE PARTITION p0",
        "PARTITION BY HASH (id) PARTITIONS 2",
    ],
)
def test_before_4_partitions_are_not_altered(say: Client, action: str) -> None:
    say.ok(
        "CREATE DATABASE ~", f"CREATE TABLE ~.t (id INT PRIMARY KEY) PARTITION BY {FORMS['range']}"
    )
    text = f"not supported: unsupported alter option in inplace mode:  {action.lower()}"
    assert say.error(f"ALTER TABLE ~.t {action}") == (20105, text)


SHOWN = {
    "range": "range (`Id`) (partition p0 values less than (10), partition p1 values less than "
    "(20))",
    "range columns": "range columns (`Id`) (partition p0 values less than (-5), "
    "partition p1 values less than (MAXVALUE))",
    "list": "list (`Id`) (partition p0 values in (1, 2), partition p1 values in (3, 4))",
    "list columns": "list columns (`v`) (partition p0 values in ('a', 'B'))",
    "texts": "range columns (`v`) (partition p0 values less than ('b'), partition p1 values less "
    "than (MAXVALUE))",
    "key": "key algorithm = 2 (`Id`) partitions 2",
    "linear key": "linear key algorithm = 1 (`Id`) partitions 3",
    "linear hash": "linear hash (`Id`) partitions 2",
}


@pytest.mark.usefixtures("since_4")
@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
def test_listed_partitions_are_tables_since_4(say: Client, shown: str) -> None:
    """SHOW CREATE TABLE prints them, copies and rebuilds have them."""
    say.ok(
        "CREATE DATABASE ~",
        f"CREATE TABLE ~.t (Id INT PRIMARY KEY, v VARCHAR(9)) PARTITION BY {shown}",
    )
    names = ["p0", "p1", "p2"][: shown.count("values ") or int(shown[-1])]
    tables = [(f"%!%{name}%!%t", "partition", 0) for name in names]
    assert sorted(say.rows(TABLES)) == [*tables, ("t", "r", 1)]
    assert say.rows("SHOW CREATE TABLE ~.t")[0][1].endswith(f"\n) partition by {shown}")
    say.ok("CREATE TABLE ~.c LIKE ~.t", "CREATE TABLE ~.d CLONE ~.t")
    for name in "cd":
        assert say.rows(f"SHOW CREATE TABLE ~.{name}")[0][1].endswith(f"\n) partition by {shown}")
    say.ok("TRUNCATE TABLE ~.t", "ALTER TABLE ~.t ADD COLUMN z INT")
    assert say.rows("SHOW CREATE TABLE ~.t")[0][1].endswith(f"\n) partition by {shown}")


NONE = (20301, "invalid input: Table has no partition for value from column_list")


@pytest.mark.usefixtures("since_4")
def test_a_row_belongs_to_a_partition_since_4(say: Client) -> None:
    """Or is refused, with the other rows of its statement; NULL belongs to none."""
    say.ok(
        "CREATE DATABASE ~",
        f"CREATE TABLE ~.r (id INT PRIMARY KEY, v INT) PARTITION BY {SHOWN['range']}",
        f"CREATE TABLE ~.l (id INT PRIMARY KEY, v VARCHAR(9)) PARTITION BY {SHOWN['list columns']}",
        "CREATE TABLE ~.m (id INT, v INT) PARTITION BY RANGE (v) "
        "(PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        "INSERT INTO ~.r VALUES (1, 1), (15, 1)",
        "INSERT INTO ~.l VALUES (1, 'B')",
        "INSERT INTO ~.m VALUES (1, 1), (2, 9999999)",
    )
    for statement in (
        "INSERT INTO ~.r VALUES (2, 1), (50, 1)",
        "INSERT IGNORE INTO ~.r VALUES (50, 1)",
        "REPLACE INTO ~.r VALUES (50, 1)",
        "UPDATE ~.r SET id = 60 WHERE id = 1",
        "INSERT INTO ~.l VALUES (2, 'b')",
        "UPDATE ~.l SET v = 'z' WHERE id = 1",
        "INSERT INTO ~.m VALUES (3, NULL)",
    ):
        assert say.error(statement) == NONE
    say.ok("UPDATE ~.l SET v = 'a' WHERE id = 1", "DELETE FROM ~.r WHERE id = 15")
    assert say.rows("SELECT * FROM ~.r") == [(1, 1)]
    assert say.rows("SELECT * FROM ~.l") == [(1, "a")]


@pytest.mark.usefixtures("since_4")
@pytest.mark.parametrize(
    ("form", "code", "text"),
    [
        (
            "RANGE (id) (PARTITION p0 VALUES LESS THAN (20), PARTITION p1 VALUES LESS THAN (20))",
            20301,
            "invalid input: VALUES LESS THAN value must be strictly increasing for each partition",
        ),
        (
            "LIST (id) (PARTITION p0 VALUES IN (1, 2), PARTITION p1 VALUES IN (2, 3))",
            20301,
            "invalid input: LIST PARTITIONING values must be unique across partitions",
        ),
        (
            "LIST (id) (PARTITION p0 VALUES IN (1, 1))",
            20301,
            "invalid input: duplicate values within the same LIST partition are not allowed",
        ),
        (
            "RANGE (id) (PARTITION p0 VALUES LESS THAN (9), PARTITION P0 VALUES LESS THAN (20))",
            1050,
            "table %!%p0%!%t already exists",
        ),
    ],
)
def test_partitions_that_are_refused_since_4(say: Client, form: str, code: int, text: str) -> None:
    say.ok("CREATE DATABASE ~")
    statement = f"CREATE TABLE ~.t (id INT PRIMARY KEY) PARTITION BY {form}"
    assert say.error(statement) == (code, text)


@pytest.mark.usefixtures("since_4")
@pytest.mark.parametrize("form", ["range", "list", "key"])
def test_the_past_of_partitions_since_4(say: Client, form: str) -> None:
    """By a full scan, a CLONE and a RESTORE under the table's own policy."""
    say.ok(
        "CREATE DATABASE ~",
        f"CREATE TABLE ~.t (Id INT PRIMARY KEY, v INT) PARTITION BY {SHOWN[form]}",
        "INSERT INTO ~.t VALUES (1, 5), (2, 6), (3, 7)",
        "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'",
    )
    wait(say.connection, 1.1)
    then = moment(say)
    wait(say.connection, 1.1)
    say.ok("DELETE FROM ~.t WHERE Id = 1", "UPDATE ~.t SET v = 0 WHERE Id = 2")
    past = f"{{MO_TS = {then.nanoseconds}}}"
    rows = [(1, 5), (2, 6), (3, 7)]
    assert say.rows(f"SELECT * FROM ~.t {past} ORDER BY Id") == rows
    say.ok(f"CREATE TABLE ~.c CLONE ~.t {past}")
    assert say.rows("SELECT * FROM ~.c ORDER BY Id") == rows
    say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_p '{then.text}'")
    assert say.rows("SELECT * FROM ~.t ORDER BY Id") == rows
    assert say.rows("SHOW CREATE TABLE ~.t")[0][1].endswith(f"\n) partition by {SHOWN[form]}")


def test_a_partition_has_a_policy_like_a_table(parts: Client, server: Server) -> None:
    refusal = parts.error("CREATE PITR ~_p FOR TABLE ~ `%!%p0%!%t` RANGE 1 'h'")
    assert (refusal is None) == (server.version >= (4,))
