"""Refusals of tables, views and indexes, and what ALTER TABLE makes of them."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, answers, internal, is_3_0_18, is_main

TABLES = (
    "CREATE TABLE p (id INT PRIMARY KEY, a INT, b VARCHAR(5) NOT NULL DEFAULT 'q', "
    "KEY ka (a), UNIQUE KEY ub (b))",
    "CREATE TABLE ch (id INT PRIMARY KEY, pid INT, "
    "CONSTRAINT fk1 FOREIGN KEY (pid) REFERENCES p (id))",
    "INSERT INTO p VALUES (1, 1, 'x'), (2, 1, 'y')",
    "INSERT INTO ch VALUES (1, 1), (9, NULL)",
    "CREATE VIEW w AS SELECT id, a FROM p",
    "CREATE TABLE du (a INT, b INT)",
    "INSERT INTO du VALUES (1, 1), (1, 1)",
)

REFUSED: list[tuple[str, object]] = [
    (
        "ALTER TABLE p AUTO_INCREMENT = 5",
        (20301, "invalid input: unsupported alter option in inplace mode: auto_increment = 5"),
    ),
    (
        "ALTER TABLE p ENGINE = InnoDB",
        (20301, "invalid input: unsupported alter option in inplace mode: engine = innodb"),
    ),
    (
        "ALTER TABLE p AUTO_INCREMENT = 5, ADD COLUMN z INT",
        (20301, "invalid input: unsupported alter option in copy mode: auto_increment = 5"),
    ),
    (
        "ALTER TABLE p ENGINE = InnoDB, ADD COLUMN z INT",
        (20301, "invalid input: unsupported alter option in copy mode: engine = innodb"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, COMMENT = 'it''s'",
        (20301, "invalid input: unsupported alter option in copy mode: comment = 'it''s'"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, ADD INDEX kz (a)",
        (20301, "invalid input: unsupported alter option in copy mode: add index kz (a)"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, ADD UNIQUE KEY uz (a, b)",
        (20301, "invalid input: unsupported alter option in copy mode: add unique key uz (a, b)"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, DROP INDEX ka",
        (20301, "invalid input: unsupported alter option in copy mode: drop index ka"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, RENAME TO q",
        (20301, "invalid input: unsupported alter option in copy mode: rename to q"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, ALTER INDEX ka INVISIBLE",
        (20301, "invalid input: unsupported alter option in copy mode: alter index ka invisible"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, ALTER INDEX ka VISIBLE",
        (20301, "invalid input: unsupported alter option in copy mode: alter index ka visible"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, DROP FOREIGN KEY nope",
        (20301, "invalid input: unsupported alter option in copy mode: drop foreign key nope"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, ADD CONSTRAINT f9 FOREIGN KEY (a) REFERENCES p (id)",
        (
            20301,
            "invalid input: unsupported alter option in copy mode: add constraint f9 "
            "foreign key fk_0 (a) references p(id)",
        ),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, ADD FOREIGN KEY (a) REFERENCES p (id)",
        (
            20301,
            "invalid input: unsupported alter option in copy mode: add foreign key fk_0 "
            "(a) references p(id)",
        ),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, FORCE",
        (20301, "invalid input: unsupported alter option in copy mode: charset = FORCE"),
    ),
    (
        "ALTER TABLE p ADD COLUMN z INT, CONVERT TO CHARACTER SET utf8mb4",
        (20301, "invalid input: unsupported alter option in copy mode: charset = utf8mb4"),
    ),
    (
        "ALTER TABLE p nope",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            'syntax error at line 1 column 18 near " nope";',
        ),
    ),
    (
        "ALTER TABLE p ALTER INDEX nope INVISIBLE",
        (20101, "internal error: Can't ALTER 'nope'; check that column/key exists"),
    ),
    ("ALTER TABLE p DROP COLUMN nope", (1091, "Can't DROP 'nope'; check that column/key exists")),
    (
        "ALTER TABLE p DROP COLUMN IF EXISTS nope",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            'syntax error at line 1 column 28 near " IF EXISTS nope";',
        ),
    ),
    (
        "ALTER TABLE p DROP COLUMN id",
        (1829, "Cannot drop column 'id': needed in a foreign key constraint 'fk1' of table 'ch'"),
    ),
    (
        "ALTER TABLE p DROP FOREIGN KEY nope",
        (20101, "internal error: Can't DROP 'nope'; check that column/key exists"),
    ),
    (
        "ALTER TABLE p DROP CONSTRAINT nope",
        (20101, "internal error: Can't DROP 'nope'; check that column/key exists"),
    ),
    (
        "ALTER TABLE p DROP INDEX nope",
        (20101, "internal error: Can't DROP 'nope'; check that column/key exists"),
    ),
    (
        "ALTER TABLE p DROP KEY nope",
        (20101, "internal error: Can't DROP 'nope'; check that column/key exists"),
    ),
    ("ALTER TABLE p RENAME COLUMN nope TO x", (1054, "Unknown column 'nope' in 'p'")),
    ("ALTER TABLE p RENAME COLUMN a TO b", (1060, "Duplicate column name 'b'")),
    ("ALTER TABLE p MODIFY nope INT", (1054, "Unknown column 'nope' in 'p'")),
    (
        "ALTER TABLE p MODIFY id INT NULL",
        (
            1171,
            "All parts of a PRIMARY KEY must be NOT NULL; if you need NULL in a key, use "
            "UNIQUE instead",
        ),
    ),
    (
        "ALTER TABLE p MODIFY id INT DEFAULT NULL",
        (
            1171,
            "All parts of a PRIMARY KEY must be NOT NULL; if you need NULL in a key, use "
            "UNIQUE instead",
        ),
    ),
    (
        "ALTER TABLE p MODIFY id BIGINT",
        (
            1833,
            "Cannot change column 'id': used in a foreign key constraint 'fk1' of table '~.ch'",
        ),
    ),
    ("ALTER TABLE p MODIFY a INT AFTER nope", (1054, "Unknown column 'nope' in 'Columns Set'")),
    ("ALTER TABLE p MODIFY a INT AFTER a", (1054, "Unknown column 'a' in 'Columns Set'")),
    ("ALTER TABLE p CHANGE a b INT", (1060, "Duplicate column name 'b'")),
    ("ALTER TABLE p CHANGE a2 a BIGINT AFTER b", (1054, "Unknown column 'a2' in 'p'")),
    ("ALTER TABLE p CHANGE nope x INT", (1054, "Unknown column 'nope' in 'p'")),
    ("ALTER TABLE p CHANGE id id INT PRIMARY KEY", (1068, "Multiple primary key defined")),
    (
        "ALTER TABLE p ALTER COLUMN a SET DEFAULT 'x'",
        (20203, "invalid argument cast to int, bad value x"),
    ),
    ("ALTER TABLE p ALTER COLUMN nope SET DEFAULT 5", (1054, "Unknown column 'nope' in 'p'")),
    ("ALTER TABLE p ALTER COLUMN nope DROP DEFAULT", (1054, "Unknown column 'nope' in 'p'")),
    ("ALTER TABLE p ADD PRIMARY KEY (a)", (1068, "Multiple primary key defined")),
    ("ALTER TABLE p ADD COLUMN id INT", (1060, "Duplicate column name 'id'")),
    ("ALTER TABLE p ADD COLUMN Z1 INT, ADD COLUMN z1 INT", (1060, "Duplicate column name 'z1'")),
    ("ALTER TABLE p ADD COLUMN m2 INT PRIMARY KEY", (1068, "Multiple primary key defined")),
    ("ALTER TABLE p ADD INDEX (nope)", (20301, "invalid input: column 'nope' is not exist")),
    (
        "ALTER TABLE p ADD UNIQUE KEY ux (a)",
        (1062, "Duplicate entry '1' for key '__mo_index_idx_col'"),
    ),
    ("ALTER TABLE p ADD INDEX ka (a)", (1061, "duplicate key name 'ka'")),
    ("ALTER TABLE p ADD FOREIGN KEY (a) REFERENCES nope (id)", (1146, "no such table ~.nope")),
    (
        "ALTER TABLE ch DROP COLUMN pid",
        (1828, "Cannot drop column 'pid': needed in a foreign key constraint 'fk1'"),
    ),
    (
        "ALTER TABLE ch MODIFY pid BIGINT",
        (1832, "Cannot change column 'pid': used in a foreign key constraint 'fk1'"),
    ),
    (
        "ALTER TABLE ch ADD CONSTRAINT fk3 FOREIGN KEY (id) REFERENCES p (id)",
        (1452, "Cannot add or update a child row: a foreign key constraint fails"),
    ),
    (
        "ALTER TABLE w ADD COLUMN z INT",
        (20101, "internal error: you should use alter view statemnt for View"),
    ),
    ("ALTER TABLE nope ADD z INT", (1146, "no such table ~.nope")),
    ("TRUNCATE TABLE w", (1146, "no such table ~.w")),
    ("TRUNCATE TABLE nope", (1146, "no such table ~.nope")),
    (
        "TRUNCATE TABLE p",
        (
            20101,
            "internal error: can not truncate table 'p' referenced by some foreign key constraint",
        ),
    ),
    (
        "RENAME TABLE w TO w2",
        (20101, "internal error: you should use alter view statemnt for View"),
    ),
    ("RENAME TABLE ch TO p", (1050, "table p already exists")),
    ("RENAME TABLE nope TO q", (1146, "no such table ~.nope")),
    ("DROP TABLE w", (1146, "no such table ~.w")),
    ("DROP VIEW p", (1356, "invalid view '~.p'")),
    ("DROP VIEW nope", (1356, "invalid view '~.nope'")),
    ("DROP TABLE nope", (1146, "no such table ~.nope")),
    (
        "DROP TABLE p",
        (20101, "internal error: can not drop table 'p' referenced by some foreign key constraint"),
    ),
    ("CREATE INDEX ka ON p (b)", (1061, "duplicate key name 'ka'")),
    ("CREATE UNIQUE INDEX i2 ON p (a)", (1062, "Duplicate entry '1' for key '__mo_index_idx_col'")),
    ("CREATE INDEX i1 ON p (nope)", (20301, "invalid input: column 'nope' is not exist")),
    ("DROP INDEX nope ON p", (20101, "internal error: not found index: nope")),
    (
        "CREATE UNIQUE INDEX i ON du (a, b)",
        (1062, "Duplicate entry '(1,1)' for key '__mo_index_idx_col'"),
    ),
    ("CREATE UNIQUE INDEX i ON du (a)", (1062, "Duplicate entry '1' for key '__mo_index_idx_col'")),
    ("ALTER TABLE du ADD PRIMARY KEY (a)", (1062, "Duplicate entry '1' for key 'a'")),
    (
        "ALTER TABLE du DROP PRIMARY KEY",
        (1091, "Can't DROP 'PRIMARY'; check that column/key exists"),
    ),
    (
        "ALTER TABLE du ADD COLUMN z INT PRIMARY KEY",
        (3819, "constraint violation: Column 'z' cannot be null"),
    ),
    ("ALTER TABLE du MODIFY a INT, MODIFY nope INT", (1054, "Unknown column 'nope' in 'du'")),
    (
        "CREATE TABLE x (a INT PRIMARY KEY, b INT PRIMARY KEY)",
        (20301, "invalid input: more than one primary key defined"),
    ),
    (
        "CREATE TABLE x (a INT PRIMARY KEY, PRIMARY KEY (a))",
        (20301, "invalid input: more than one primary key defined"),
    ),
    (
        "CREATE TABLE x (a INT, PRIMARY KEY (nope))",
        (20301, "invalid input: column 'nope' doesn't exist in table"),
    ),
    ("CREATE TABLE x (a INT, KEY (nope))", (20301, "invalid input: column 'nope' is not exist")),
    (
        "CREATE TABLE x (a JSON DEFAULT '{}')",
        (20105, "not supported: JSON column 'a' cannot have default value"),
    ),
    (
        "CREATE TABLE x (a VARCHAR(5) AUTO_INCREMENT PRIMARY KEY)",
        (20105, "not supported: the auto_incr column is only support integer type now"),
    ),
    (
        "CREATE TABLE x (a INT NOT NULL DEFAULT NULL)",
        (20301, "invalid input: invalid default value for column 'a'"),
    ),
    ("CREATE TABLE x (a INT DEFAULT 'x')", (20203, "invalid argument cast to int, bad value x")),
    (
        "CREATE TABLE x (a INT DEFAULT uuid())",
        (20301, "invalid input: invalid default value for column 'a'"),
    ),
    ("CREATE TABLE x ()", (4028, "A table must have at least one visible column.")),
    ("CREATE TABLE x (PRIMARY KEY (a))", (4028, "A table must have at least one visible column.")),
    ("CREATE TABLE x LIKE w", (20101, "internal error: ~.w is not BASE TABLE")),
    ("CREATE TABLE x LIKE nope", (1146, "no such table ~.nope")),
    ("CREATE VIEW w AS SELECT 1", (1050, "table w already exists")),
    ("CREATE VIEW p AS SELECT 1", (1050, "table p already exists")),
    (
        "CREATE VIEW w4 AS SELECT id, id FROM p",
        (3819, 'constraint violation: duplicate column "id"'),
    ),
    ("ALTER VIEW w5 AS SELECT a FROM p", (1356, "invalid view '~.w5'")),
    ("ALTER VIEW nope AS SELECT 1", (1356, "invalid view '~.nope'")),
    ("ALTER VIEW p AS SELECT 1", (1356, "invalid view '~.p'")),
    (
        "CREATE VIEW w6 AS SELECT * FROM nope",
        (1064, 'SQL parser error: table "nope" does not exist'),
    ),
    ("CREATE TABLE p LIKE ch", (1050, "table p already exists")),
    (
        "CREATE TABLE x (a INT, FOREIGN KEY (a) REFERENCES nope (id))",
        (1146, "no such table ~.nope"),
    ),
    (
        "CREATE TABLE x (a INT, FOREIGN KEY (nope) REFERENCES p (id))",
        (20101, "internal error: column 'nope' no exists in the creating table 'x'"),
    ),
    (
        "CREATE TABLE x (a INT, FOREIGN KEY (a) REFERENCES p (nope))",
        (20101, "internal error: column 'nope' no exists in table 'p'"),
    ),
    (
        "CREATE TABLE x (a INT, FOREIGN KEY (a) REFERENCES p (a))",
        (20101, "internal error: failed to add the foreign key constraint"),
    ),
    (
        "CREATE TABLE x (a VARCHAR(5), FOREIGN KEY (a) REFERENCES p (id))",
        (20101, "internal error: type of reference column 'id' is not match for column 'a'"),
    ),
    ("CREATE TABLE x (a INT, UNIQUE KEY k (a), KEY k (a))", (1061, "duplicate key name 'k'")),
    (
        "CREATE TABLE x (a BLOB, KEY (a))",
        (20105, "not supported: BLOB column 'a' cannot be in index"),
    ),
    ("CREATE TABLE x (a TEXT PRIMARY KEY)", (20105, "not supported: text type in primary key")),
    (
        "CREATE TABLE x (a JSON, UNIQUE (a))",
        (20105, "not supported: JSON column 'a' cannot be in index"),
    ),
    ("CREATE TABLE x (a DATE DEFAULT 'x')", (20203, "invalid argument parsedate, bad value x")),
]


NO_NUMBERS = (20301, "invalid input: Table 'p' does not have an AUTO_INCREMENT column")

REFUSED_BY_MAIN: list[tuple[str, object]] = [
    ("ALTER TABLE p AUTO_INCREMENT = 5", NO_NUMBERS),
    ("ALTER TABLE p AUTO_INCREMENT = 5, ADD COLUMN z INT", NO_NUMBERS),
    (
        "CREATE TABLE x (a INT, FOREIGN KEY (nope) REFERENCES p (id))",
        (1054, "internal error: column 'nope' no exists in the creating table 'x'"),
    ),
    (
        "CREATE TABLE x (a INT, FOREIGN KEY (a) REFERENCES p (nope))",
        (1054, "internal error: column 'nope' no exists in table 'p'"),
    ),
    (
        "CREATE VIEW w6 AS SELECT * FROM nope",
        (1146, 'SQL parser error: table "nope" does not exist'),
    ),
]


@pytest.fixture
def tables(say: Client) -> Client:
    """`say` in database ~ with the tables."""
    say.ok("CREATE DATABASE ~", "USE ~", *TABLES)
    return say


@pytest.mark.usefixtures("since_3")
def test_what_is_refused(tables: Client, server: Server) -> None:
    expected = dict(REFUSED) | dict(REFUSED_BY_MAIN if is_main(server) else [])
    if is_3_0_18(server):  # p has one UNIQUE, on b
        for statement in ("ALTER TABLE p ADD UNIQUE KEY ux (a)", "CREATE UNIQUE INDEX i2 ON p (a)"):
            expected[statement] = (1062, "Duplicate entry '1' for key 'b'")
    assert answers(tables, expected) == expected


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ("UNIQUE KEY u (x)", "x"),
        ("UNIQUE KEY u (x, y)", "u"),
        ("UNIQUE KEY u (x), KEY k (y)", "x"),
        ("UNIQUE KEY u (x), UNIQUE KEY w (y)", "__mo_index_idx_col"),
        ("KEY k (x)", "__mo_index_idx_col"),
    ],
)
def test_which_key_an_added_one_is_called(
    tables: Client, server: Server, keys: str, named: str
) -> None:
    tables.ok(
        f"CREATE TABLE many (id INT PRIMARY KEY, x INT, y INT, a INT, {keys})",
        "INSERT INTO many VALUES (1, NULL, 1, 7), (2, NULL, 2, 7)",
    )
    name = named if is_3_0_18(server) else "__mo_index_idx_col"
    refused = 1062, f"Duplicate entry '7' for key '{name}'"
    assert tables.error("CREATE UNIQUE INDEX i ON many (a)") == refused
    assert tables.error("ALTER TABLE many ADD UNIQUE KEY i (a)") == refused


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("name", ["", "CONSTRAINT cc "])
def test_checks_are_not_added(tables: Client, server: Server, name: str) -> None:
    check = f"{name.lower()}check (a > 0) enforced" if server.version >= (4,) else "check (a > 0)"
    add = f"ADD {name}CHECK (a > 0)"
    in_place = internal(f"unsupported alter option in inplace mode: {check}")
    assert tables.error(f"ALTER TABLE p {add}") == in_place
    copied = 20301, f"invalid input: unsupported alter option in copy mode: add {check}"
    assert tables.error(f"ALTER TABLE p ADD COLUMN z INT, {add}") == copied
    word = "true" if server.version >= (4,) else "false"
    unsupported = 20105, f"not supported: unsupport column definition &{{{{<nil>}}   {word}}}"
    assert tables.error("ALTER TABLE p MODIFY a INT CHECK (a > 0)") == unsupported


CHANGES = (
    "DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CHARSET = utf8mb4",
    "FORCE",
    "CONVERT TO CHARACTER SET utf8mb4",
    "ALTER INDEX ka INVISIBLE",
    "ALTER INDEX ka VISIBLE",
    "RENAME COLUMN a TO A",
    "MODIFY b VARCHAR(9) NULL DEFAULT 'r' COMMENT 'c'",
    "MODIFY b VARCHAR(2)",
    "MODIFY a INT FIRST",
    "MODIFY a INT AFTER b",
    "CHANGE a a2 INT",
    "CHANGE a2 a BIGINT AFTER b",
    "ALTER COLUMN a SET DEFAULT 5",
    "ALTER a DROP DEFAULT",
    "ALTER COLUMN a SET DEFAULT NULL",
    "ADD COLUMN m INT UNIQUE",
    "ADD COLUMN n12 INT NOT NULL DEFAULT 7 FIRST",
    "ADD COLUMN n13 INT AFTER id",
    "RENAME TO p",
    "RENAME AS p",
    "COMMENT = 'hey'",
    "COMMENT 'it''s'",
    "ADD FULLTEXT (b)",
    "DROP COLUMN b",
)


@pytest.mark.usefixtures("since_3")
def test_changes(tables: Client) -> None:
    for change in CHANGES:
        tables.ok(f"ALTER TABLE p {change}")
    assert tables.rows("SHOW CREATE TABLE p")[0][1] == (
        "CREATE TABLE `p` (\n"
        "  `n12` int NOT NULL DEFAULT 7,\n"
        "  `id` int NOT NULL,\n"
        "  `n13` int DEFAULT NULL,\n"
        "  `a` bigint DEFAULT NULL,\n"
        "  `m` int DEFAULT NULL,\n"
        "  PRIMARY KEY (`id`),\n"
        "  UNIQUE KEY `m` (`m`),\n"
        "  KEY `ka` (`a`)\n"
        ") COMMENT='it''s'"
    )
    tables.ok("ALTER TABLE ch CHANGE pid pid2 INT", "ALTER TABLE ch RENAME COLUMN pid2 TO pid")
    tables.ok("ALTER TABLE ch DROP FOREIGN KEY fk1")
    tables.ok("ALTER TABLE ch ADD CONSTRAINT fk2 FOREIGN KEY (pid) REFERENCES p (id)")
    assert tables.rows("SELECT * FROM ch") == [(1, 1), (9, None)]


@pytest.mark.usefixtures("since_3")
def test_columns_that_are_added_without_a_default(tables: Client) -> None:
    kinds = {
        "INT": 0,
        "VARCHAR(5)": "",
        "CHAR(5)": "",
        "TEXT": "",
        "DATE": datetime.date(1, 1, 1),
        "DATETIME": datetime.datetime(1, 1, 1),
        "TIME": datetime.timedelta(),
        "BLOB": b"",
        "DECIMAL(5, 2)": Decimal("0.00"),
        "DOUBLE": 0.0,
        "JSON": "{}",
    }
    columns = ", ".join(f"ADD COLUMN n{at} {kind} NOT NULL" for at, kind in enumerate(kinds))
    tables.ok(f"ALTER TABLE du {columns}")
    assert tables.rows("SELECT * FROM du LIMIT 1") == [(1, 1, *kinds.values())]


@pytest.mark.usefixtures("since_3")
def test_defaults_of_every_kind(tables: Client) -> None:
    tables.ok(
        "CREATE TABLE x (a TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, "
        "b DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), c INT DEFAULT -5, d INT DEFAULT (1 + 2), "
        "g DECIMAL(5,2) DEFAULT 1.5, h BOOL DEFAULT true, i INT DEFAULT (-5), "
        "l DATE DEFAULT '2024-01-02', m INT DEFAULT NULL)",
        "INSERT INTO x (b) VALUES (NULL)",
    )
    found = tables.rows("SELECT c, d, g, i, l, m FROM x WHERE a IS NOT NULL AND h")[0]
    assert found == (-5, 3, Decimal("1.50"), -5, datetime.date(2024, 1, 2), None)
    assert tables.rows("SHOW CREATE TABLE x")[0][1] == (
        "CREATE TABLE `x` (\n"
        "  `a` timestamp DEFAULT CURRENT_TIMESTAMP() ON UPDATE CURRENT_TIMESTAMP(),\n"
        "  `b` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),\n"
        "  `c` int DEFAULT (-5),\n"
        "  `d` int DEFAULT (1 + 2),\n"
        "  `g` decimal(5,2) DEFAULT 1.5,\n"
        "  `h` bool DEFAULT true,\n"
        "  `i` int DEFAULT (-5),\n"
        "  `l` date DEFAULT '2024-01-02',\n"
        "  `m` int DEFAULT NULL\n"
        ")"
    )


SHOWN: list[tuple[str, object]] = [
    ("SHOW CREATE DATABASE ~", ("~", "CREATE DATABASE `~`")),
    ("SHOW TABLES LIKE 'p%'", "p"),
    ("SHOW TABLES WHERE Tables_in_~ = 'p'", "p"),
    ("SHOW COLUMNS FROM p LIKE 'a%'", ("a", "INT(32)", "YES", "MUL", None, "", "")),
    ("SHOW FIELDS FROM p WHERE Field = 'a'", ("a", "INT(32)", "YES", "MUL", None, "", "")),
    (
        "DESC p b",  # as if it named no column
        [
            ("id", "INT(32)", "NO", "PRI", None, "", ""),
            ("a", "INT(32)", "YES", "MUL", None, "", ""),
            ("b", "VARCHAR(5)", "NO", "UNI", "q", "", ""),
        ],
    ),
    (
        "SHOW INDEXES FROM p WHERE Key_name = 'PRIMARY'",
        ("p", 0, "PRIMARY", 1, "id", "A", 0, "NULL", "NULL", "", "", "", "", "", "YES", "id"),
    ),
    ("SHOW INDEX FROM mo_catalog.mo_tables", []),
    ("SHOW GLOBAL VARIABLES LIKE 'autocommit'", ("autocommit", "on")),
    ("SHOW SESSION VARIABLES WHERE Variable_name = 'autocommit'", ("autocommit", "on")),
    ("SHOW VARIABLES WHERE Value = 'nope'", []),
    (
        "SHOW COLLATION LIKE 'utf8mb4_b%'",
        ("utf8mb4_bin", "utf8mb4", 46, "YES", "Yes", 1, "NO PAD"),
    ),
    ("SHOW SCHEMAS LIKE '~'", "~"),
    ("SHOW DATABASES WHERE `Database` = '~'", "~"),
    ("SHOW TABLES FROM nope", (1049, "Unknown database nope")),
    ("SHOW COLUMNS FROM nope", (1146, "no such table ~.nope")),
    ("SHOW SEQUENCES", []),
    ("SHOW TRIGGERS FROM ~", []),
    ("SHOW FUNCTION STATUS", []),
    ("SHOW STATUS LIKE 'x'", []),
]


SHOWN_BY_MAIN: list[tuple[str, object]] = [
    (
        "SHOW COLLATION LIKE 'utf8mb4_b%'",
        ("utf8mb4_bin", "utf8mb4", 46, "", "Yes", 1, "PAD SPACE"),
    ),
]


@pytest.mark.usefixtures("since_3")
def test_what_is_shown(tables: Client, server: Server) -> None:
    expected = dict(SHOWN) | dict(SHOWN_BY_MAIN if is_main(server) else [])
    assert answers(tables, expected) == expected


@pytest.mark.usefixtures("since_3")
def test_the_status_of_tables(tables: Client) -> None:
    answer = tables.ok("SHOW TABLE STATUS LIKE 'ch'")
    row = dict(zip(answer.labels, answer.rows[0], strict=True))
    assert (row["Name"], row["Engine"], row["Rows"]) == ("ch", "Tae", 2)
    assert tables.ok("SHOW TABLE STATUS FROM ~ WHERE Name = 'p'").rows[0][0] == "p"
    assert {row[0] for row in tables.rows("SHOW TABLE STATUS")} >= {"ch", "du", "p"}
