"""Reflection, types that come back, errors.

docs/server.md, information_schema and keys; Error texts.
"""

from __future__ import annotations

import datetime
import decimal
import re

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, internal, is_3_0_18, is_main

TABLE = (
    "CREATE TABLE child ("
    "id INT NOT NULL AUTO_INCREMENT, "
    "n VARCHAR(20) NOT NULL, "
    "b BOOL, "
    "d DECIMAL(10,2) DEFAULT 1.50, "
    "dt DATETIME(6), "
    "ts TIMESTAMP NULL, "
    "tx TEXT, "
    "j JSON, "
    "bl BLOB, "
    "f FLOAT, "
    "db DOUBLE, "
    "c CHAR(3), "
    "e ENUM('a','b'), "
    "bi BIGINT UNSIGNED, "
    "p INT COMMENT 'it''s', "
    "PRIMARY KEY (id), "
    "CONSTRAINT uq_n UNIQUE (n), "
    "KEY ix_c (c), "
    "CONSTRAINT fk_p FOREIGN KEY (p) REFERENCES parent (id))"
)

CREATED = """CREATE TABLE `child` (
  `id` int NOT NULL AUTO_INCREMENT,
  `n` varchar(20) NOT NULL,
  `b` bool DEFAULT NULL,
  `d` decimal(10,2) DEFAULT 1.50,
  `dt` datetime(6) DEFAULT NULL,
  `ts` timestamp NULL DEFAULT NULL,
  `tx` text DEFAULT NULL,
  `j` json DEFAULT NULL,
  `bl` blob DEFAULT NULL,
  `f` float DEFAULT NULL,
  `db` double DEFAULT NULL,
  `c` char(3) DEFAULT NULL,
  `e` enum('a','b') DEFAULT NULL,
  `bi` bigint unsigned DEFAULT NULL,
  `p` int DEFAULT NULL COMMENT 'it''s',
  PRIMARY KEY (`id`),
  UNIQUE KEY `n` (`n`),
  KEY `ix_c` (`c`),
  CONSTRAINT `fk_p` FOREIGN KEY (`p`) REFERENCES `parent` (`id`) \
ON DELETE RESTRICT ON UPDATE RESTRICT
)"""


@pytest.fixture
def here(say: Client) -> Client:
    """`say` in a database with tables parent and child."""
    say.ok("CREATE DATABASE ~", "USE ~", "CREATE TABLE parent (id INT PRIMARY KEY)", TABLE)
    return say


def created(client: Client, table: str) -> str:
    rows = client.rows(f"SHOW CREATE TABLE {table}")
    text: str = rows[0][1]
    return text


# -- SHOW ------------------------------------------------------------------------------------------


def test_show_create_table(here: Client) -> None:
    """BOOLEAN comes back as bool; a UNIQUE of CREATE TABLE takes the name of its column."""
    assert here.ok("SHOW CREATE TABLE child").labels == ["Table", "Create Table"]
    assert created(here, "child") == CREATED


def test_database_is_an_empty_text_when_none_is_chosen(say: Client) -> None:
    assert say.value("SELECT DATABASE()") == ""
    say.ok("CREATE DATABASE ~", "USE ~")
    assert say.value("SELECT DATABASE()") == "~"


@pytest.mark.parametrize(
    ("key", "comes_back"),
    [
        ("", "ON DELETE RESTRICT ON UPDATE RESTRICT"),
        ("ON DELETE CASCADE", "ON DELETE CASCADE ON UPDATE RESTRICT"),
        ("ON UPDATE CASCADE", "ON DELETE RESTRICT ON UPDATE CASCADE"),
        ("ON DELETE SET NULL", "ON DELETE SET NULL ON UPDATE RESTRICT"),
        ("ON DELETE NO ACTION", "ON DELETE NO ACTION ON UPDATE RESTRICT"),
    ],
)
def test_foreign_keys_come_back_with_both_actions(
    here: Client, server: Server, key: str, comes_back: str
) -> None:
    if server.version < (3,) and key in ("ON DELETE SET NULL", "ON DELETE NO ACTION"):
        pytest.skip("on 2.2.2 SHOW CREATE TABLE fails: test_version_2_2.py")
    here.ok(f"CREATE TABLE k (id INT, CONSTRAINT fk FOREIGN KEY (id) REFERENCES parent (id) {key})")
    assert created(here, "k").endswith(
        f"CONSTRAINT `fk` FOREIGN KEY (`id`) REFERENCES `parent` (`id`) {comes_back}\n)"
    )


def test_a_foreign_key_without_a_name_gets_a_generated_one(here: Client) -> None:
    here.ok("CREATE TABLE k (id INT, FOREIGN KEY (id) REFERENCES parent (id))")
    found = re.search(r"CONSTRAINT `([^`]+)` FOREIGN KEY", created(here, "k"))
    assert found
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found[1])


def test_keys_that_are_added_keep_their_names(here: Client) -> None:
    here.ok(
        "ALTER TABLE child ADD CONSTRAINT uq_added UNIQUE (bi)",
        "CREATE UNIQUE INDEX ux_c ON child (c, d)",
        "CREATE INDEX ix_d ON child (d)",
    )
    text = created(here, "child")
    for key in ("UNIQUE KEY `uq_added` (`bi`)", "UNIQUE KEY `ux_c` (`c`,`d`)", "KEY `ix_d` (`d`)"):
        assert key in text


def test_a_unique_that_is_named_as_a_key_keeps_its_name(here: Client) -> None:
    """CREATE TABLE forgets the name of a constraint, and takes that of a key."""
    here.ok(
        "CREATE TABLE k (a INT, b INT, CONSTRAINT one UNIQUE (a, b), "
        "CONSTRAINT two UNIQUE KEY two (b, a), UNIQUE (b))"
    )
    text = created(here, "k")
    for key in (
        "UNIQUE KEY `a` (`a`,`b`)",
        "UNIQUE KEY `two` (`b`,`a`)",
        "UNIQUE KEY `b` (`b`)",
    ):
        assert key in text
    here.ok("ALTER TABLE k DROP INDEX two")
    assert here.error("ALTER TABLE k DROP INDEX one") is not None


def test_indexes_by_table_in_the_catalogue(here: Client) -> None:
    """By the table's id, which a rebuild changes, in lower case; the primary key has a row too."""
    statement = (
        "SELECT DISTINCT i.name, i.type FROM mo_catalog.mo_indexes i JOIN mo_catalog.mo_tables t "
        "ON i.table_id = t.rel_id WHERE t.reldatabase = '~' AND t.relname = 'child'"
    )
    here.ok("CREATE INDEX Ix_D ON child (D)")
    expected = [
        ("PRIMARY", "PRIMARY"),
        ("ix_c", "MULTIPLE"),
        ("ix_d", "MULTIPLE"),
        ("n", "UNIQUE"),
    ]
    assert sorted(here.rows(statement)) == expected
    here.ok("ALTER TABLE child ADD COLUMN more INT")
    assert sorted(here.rows(statement)) == expected


def test_show_index(here: Client) -> None:
    answer = here.ok("SHOW INDEX FROM child")
    assert answer.labels[:5] == ["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name"]
    assert sorted(row[1:5] for row in answer.rows) == [
        (0, "PRIMARY", 1, "id"),
        (0, "n", 1, "n"),
        (1, "ix_c", 1, "c"),
    ]
    assert sorted(here.ok("SHOW INDEX FROM child FROM ~").rows) == sorted(answer.rows)


COLUMNS = [
    ("id", "INT(32)", "NO", "PRI", None, "auto_increment", ""),
    ("n", "VARCHAR(20)", "NO", "UNI", None, "", ""),
    ("b", "BOOL(0)", "YES", "", None, "", ""),
    ("d", "DECIMAL(10,2)", "YES", "", "1.50", "", ""),
    ("dt", "DATETIME(6)", "YES", "", None, "", ""),
    ("ts", "TIMESTAMP(0)", "YES", "", None, "", ""),
    ("tx", "TEXT(0)", "YES", "", None, "", ""),
    ("j", "JSON(0)", "YES", "", None, "", ""),
    ("bl", "BLOB(0)", "YES", "", None, "", ""),
    ("f", "FLOAT(0)", "YES", "", None, "", ""),
    ("db", "DOUBLE(0)", "YES", "", None, "", ""),
    ("c", "CHAR(3)", "YES", "MUL", None, "", ""),
]


@pytest.mark.parametrize("statement", ["DESCRIBE child", "SHOW COLUMNS FROM child"])
def test_describe(here: Client, statement: str) -> None:
    answer = here.ok(statement)
    assert answer.labels == ["Field", "Type", "Null", "Key", "Default", "Extra", "Comment"]
    assert answer.rows[: len(COLUMNS)] == COLUMNS


def test_show_tables_and_views(here: Client) -> None:
    here.ok("CREATE VIEW w AS SELECT id, n FROM child")
    answer = here.ok("SHOW FULL TABLES FROM ~")
    assert answer.labels == ["Tables_in_~", "Table_type"]
    assert sorted(answer.rows) == [
        ("child", "BASE TABLE"),
        ("parent", "BASE TABLE"),
        ("w", "VIEW"),
    ]
    assert here.ok("SHOW TABLES").labels == ["Tables_in_~"]
    assert here.rows("SHOW FULL TABLES FROM `~` LIKE 'w'") == [("w", "VIEW")]


@pytest.mark.parametrize("statement", ["SHOW CREATE VIEW w", "SHOW CREATE TABLE w"])
def test_show_create_view(here: Client, server: Server, statement: str) -> None:
    here.ok("CREATE VIEW w AS SELECT id, n FROM child")
    answer = here.ok(statement)
    assert answer.labels == ["View", "Create View", "character_set_client", "collation_connection"]
    said = "SQL SECURITY DEFINER " if is_3_0_18(server) else ""
    assert answer.rows[0][:2] == ("w", f"CREATE {said}VIEW w AS SELECT id, n FROM child")


# -- information_schema ----------------------------------------------------------------------------


def test_tables(here: Client) -> None:
    here.ok("CREATE VIEW w AS SELECT 1", "ALTER TABLE parent COMMENT = 'c'")
    assert here.rows(
        "SELECT table_name, table_type, table_comment FROM information_schema.tables "
        "WHERE table_schema = '~' ORDER BY table_name"
    ) == [("child", "BASE TABLE", ""), ("parent", "BASE TABLE", "c"), ("w", "VIEW", "")]


def test_columns(here: Client) -> None:
    rows = here.rows(
        "SELECT column_name, column_type, is_nullable, column_default, extra, column_comment "
        "FROM information_schema.columns WHERE table_schema = '~' AND table_name = 'child' "
        "ORDER BY ordinal_position"
    )
    expected = [(c[0], c[1], c[2], c[4], c[5], c[6]) for c in COLUMNS]
    assert rows[: len(expected)] == expected
    assert rows[-1] == ("p", "INT(32)", "YES", None, "", "it''s")  # as it was written


def test_referential_constraints(here: Client, server: Server) -> None:
    answer = here.ok(
        "SELECT * FROM information_schema.referential_constraints WHERE constraint_schema = '~'"
    )
    rule = "NO ACTION" if is_main(server) else "RESTRICT"
    labels = [
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
        "unique_constraint_catalog",
        "unique_constraint_schema",
        "unique_constraint_name",
        "match_option",
        "update_rule",
        "delete_rule",
        "table_name",
        "referenced_table_name",
    ]
    assert answer.labels == [x.upper() if server.version >= (4,) else x for x in labels]
    assert answer.rows == [
        (
            "def",
            "~",
            "fk_p",
            "def",
            "~",
            "PRIMARY",
            "NONE",
            rule,
            rule,
            "child",
            "parent",
        )
    ]


@pytest.mark.usefixtures("since_3")
def test_rules_of_foreign_keys_in_the_catalogue(here: Client, server: Server) -> None:
    """On main a rule that is not given is NO ACTION there, though SHOW CREATE TABLE says RESTRICT;
    what is made from that, a copy or an emptied table, has it so. information_schema writes
    underscores up to 4.2."""
    here.ok(
        "CREATE TABLE k (id INT, CONSTRAINT f FOREIGN KEY (id) REFERENCES parent (id) "
        "ON DELETE SET NULL)",
        "CREATE TABLE l LIKE k",
        "CREATE TABLE c CLONE k",
    )
    if is_main(server):
        origins = here.rows(
            "SELECT constraint_id, referenced_index_name, on_delete_origin, on_update_origin "
            "FROM mo_catalog.mo_foreign_keys WHERE db_name = '~' AND table_name = 'k'"
        )
        assert origins == [(1, "PRIMARY", "ACTION_ORIGIN_EXPLICIT", "ACTION_ORIGIN_DEFAULT")]
    default = "NO_ACTION" if is_main(server) else "RESTRICT"
    listed = "SELECT on_delete, on_update FROM mo_catalog.mo_foreign_keys WHERE table_name = '{}'"
    listed += " AND db_name = '~'"
    assert here.rows(listed.format("k")) == [("SET_NULL", default)]
    for copy in "lc":
        assert here.rows(listed.format(copy)) == [("SET_NULL", "RESTRICT")]
    rules = here.rows(
        "SELECT delete_rule, update_rule FROM information_schema.referential_constraints "
        "WHERE constraint_schema = '~' AND table_name = 'k'"
    )
    blank = " " if is_main(server) else "_"
    assert rules == [(f"SET{blank}NULL", default.replace("_", blank))]
    if server.version >= (4,):
        here.ok("ALTER TABLE k ADD COLUMN m INT")
        assert here.rows(listed.format("k")) == [("SET_NULL", default)]
    here.ok("TRUNCATE TABLE k")
    if server.version >= (4,):
        assert here.rows(listed.format("k")) == [("SET_NULL", "RESTRICT")]


def test_no_collations(here: Client) -> None:
    assert here.rows("SELECT * FROM information_schema.collations") == []


def test_schemata(here: Client) -> None:
    assert here.rows(
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name = '~'"
    ) == [("~",)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lower_case_table_names", "1"),
        ("transaction_isolation", "REPEATABLE-READ"),
        ("version_comment", "MatrixOne"),
        ("character_set_client", "utf8mb4"),
        ("time_zone", "SYSTEM"),
    ],
)
def test_variables(say: Client, server: Server, name: str, value: str) -> None:
    if is_main(server) and value == "REPEATABLE-READ":
        value = "READ-COMMITTED"
    assert say.value(f"SELECT @@{name}") == value
    assert say.rows(f"SHOW VARIABLES LIKE '{name}'") == [(name, value)]


# -- types -----------------------------------------------------------------------------------------


def test_values_come_back_in_their_types(here: Client, server: Server) -> None:
    """BOOL is a word before 3.0.18."""
    here.ok(
        "INSERT INTO child (n, b, d, dt, j, bl, f, db, c, e, bi) VALUES ('x', true, 2.5, "
        "'2026-01-02 03:04:05.123456', '{\"a\":1}', 'ab', 1.5, 2.5, 'abc', 'a', "
        "18446744073709551615)"
    )
    row = here.rows("SELECT n, b, d, dt, j, bl, f, db, c, e, bi, tx FROM child")[0]
    assert row == (
        "x",
        1 if server.version >= (3, 0, 18) else "true",
        decimal.Decimal("2.50"),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 123456),
        '{"a": 1}',
        b"ab",
        1.5,
        2.5,
        "abc",
        "a",
        18446744073709551615,
        None,
    )


def test_affected_rows(here: Client, server: Server) -> None:
    """UPDATE counts the rows that match, on main those that it changes; DROP DATABASE its tables
    from 4.x."""
    assert here.ok("INSERT INTO parent VALUES (1), (2)").affected == 2
    same = 0 if is_main(server) else 2
    assert here.ok("UPDATE parent SET id = id").affected == same
    here.ok("CREATE TABLE y (id INT PRIMARY KEY, u INT UNIQUE, v INT)")
    here.ok("INSERT INTO y VALUES (1, 1, 1), (2, 2, 2)")
    assert here.ok("UPDATE y SET u = u, v = v").affected == same
    assert here.ok("UPDATE y SET u = IF(u = 2, 3, u)").affected == (1 if is_main(server) else 2)
    here.ok("DROP TABLE y")
    assert here.ok("DELETE FROM parent WHERE id = 1").affected == 1
    assert here.ok("CREATE TABLE z (id INT)").affected == 0
    assert here.ok("CREATE DATABASE ~_z").affected == 1
    assert here.ok("DROP DATABASE ~").affected == (3 if server.version >= (4,) else 1)


# -- errors ----------------------------------------------------------------------------------------

ERRORS = [
    ("CREATE DATABASE ~", (1007, "database ~ already exists")),
    (
        "DROP DATABASE ~_nope",
        (1008, "Can't drop database '~_nope'; database doesn't exist"),
    ),
    ("USE ~_nope", (1049, "Unknown database ~_nope")),
    ("SHOW TABLES FROM ~_nope", (1049, "Unknown database ~_nope")),
    ("CREATE TABLE child (id INT)", (1050, "table child already exists")),
    ("DROP TABLE nope", (1146, "no such table ~.nope")),
    ("SHOW CREATE TABLE nope", (1146, "no such table ~.nope")),
    ("DESCRIBE nope", (1146, "no such table ~.nope")),
    ("SELECT * FROM nope", (1064, 'SQL parser error: table "nope" does not exist')),
    ("INSERT INTO nope VALUES (1)", (1146, "no such table ~.nope")),
    ("UPDATE nope SET a = 1", (1146, "no such table ~.nope")),
    ("DELETE FROM nope", (1146, "no such table ~.nope")),
    ("ALTER TABLE nope ADD COLUMN a INT", (1146, "no such table ~.nope")),
    ("SELECT nope FROM child", (20301, "invalid input: column nope does not exist")),
    ("INSERT INTO child (nope) VALUES (1)", (1054, "Unknown column 'nope' in 'child'")),
    ("ALTER TABLE child ADD COLUMN n INT", (1060, "Duplicate column name 'n'")),
    (
        "ALTER TABLE child DROP COLUMN nope",
        (1091, "Can't DROP 'nope'; check that column/key exists"),
    ),
    ("CREATE INDEX ix_c ON child (c)", (1061, "duplicate key name 'ix_c'")),
    ("DROP INDEX nope ON child", internal("not found index: nope")),
    (
        "DROP TABLE parent",
        internal("can not drop table 'parent' referenced by some foreign key constraint"),
    ),
    (
        "INSERT INTO child (n) VALUES (NULL)",
        (3819, "constraint violation: Column 'n' cannot be null"),
    ),
    (
        "INSERT INTO child (n, p) VALUES ('y', 77)",
        internal("Cannot add or update a child row: a foreign key constraint fails"),
    ),
]


@pytest.mark.parametrize(("statement", "error"), ERRORS, ids=[e[0] for e in ERRORS])
def test_errors(here: Client, server: Server, statement: str, error: tuple[int, str]) -> None:
    if is_main(server) and "nope" in statement and statement.startswith("SELECT"):
        error = ({1064: 1146, 20301: 1054}[error[0]], error[1])
    assert here.error(statement) == error


@pytest.mark.usefixtures("since_3")
def test_a_rebuild_does_not_go_together_with_a_table_comment(here: Client) -> None:
    here.ok("CREATE TABLE k (id INT)")
    assert here.error("ALTER TABLE k ADD COLUMN z INT, COMMENT = 'c'") == (
        20301,
        "invalid input: unsupported alter option in copy mode: comment = 'c'",
    )


def test_duplicate_entries(here: Client, server: Server) -> None:
    here.ok("INSERT INTO parent VALUES (1)", "INSERT INTO child (n) VALUES ('x')")
    assert here.error("INSERT INTO parent VALUES (1)") == (
        1062,
        "Duplicate entry '1' for key 'id'",
    )
    key = "n" if server.version >= (3, 0, 18) else "__mo_index_idx_col"
    assert here.error("INSERT INTO child (n) VALUES ('x')") == (
        1062,
        f"Duplicate entry 'x' for key '{key}'",
    )


def test_check_constraints_hold_from_4(here: Client, server: Server) -> None:
    """Before, they are read and forgotten."""
    here.ok("CREATE TABLE k (id INT CHECK (id > 0))")
    error = here.error("INSERT INTO k VALUES (-1)")
    if server.version >= (4, 2):
        assert error == (3819, "constraint violation: Check constraint '__mo_chk_1' is violated")
        assert "CONSTRAINT `__mo_chk_1` CHECK (`id` > 0)" in created(here, "k")
    else:
        assert error is None
        assert "CHECK" not in created(here, "k")


def test_no_database_chosen(say: Client) -> None:
    assert say.error("CREATE TABLE t (id INT)") == (1046, "No database selected")
    assert say.error("SELECT * FROM t") == (1046, "No database selected")
