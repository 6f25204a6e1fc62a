"""Effects of SQL text as it is read, against those on a server."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, text
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable, DropTable

from alembic_ext.sqltext import Act, Verb, acts, acts_of
from tests.conftest import Server

DROPS = [
    "DROP TABLE orders",
    "drop table if exists `orders`",
    "DROP /* x */ TABLE orders",
    "DROP TABLE /* ; */ orders",
    "DROP -- x\n TABLE orders",
    "DROP --\nTABLE orders",
    "DROP # x ;\n TABLE orders",
    "/* why ' */ DROP TABLE orders",
    "/* a /* b */ DROP TABLE orders",
    "/*+ x */ DROP TABLE orders",
    "/*!50000 DROP TABLE orders */",
    "DROP TABLE orders#more",
    "DROP // x\n TABLE orders",
    "DROP /*! TABLE */ orders",
]

NOT_DROPS = [
    "INSERT INTO more VALUES (1, 'we DROP TABLE orders; DROP TABLE orders')",
    "INSERT INTO more VALUES (1, 'it''s \\'; DROP TABLE orders')",
    'INSERT INTO more VALUES (1, "\\"; DROP TABLE orders")',
    "INSERT INTO more VALUES (1, NULL) -- DROP TABLE orders",
    "INSERT INTO more VALUES (1, NULL) /* ; DROP TABLE orders */",
    "ALTER TABLE orders COMMENT 'do not drop it'",
    "CREATE VIEW v AS SELECT 1 AS `; drop table orders`",
    "ALTER TABLE orders DROP INDEX ix",
    "ALTER TABLE orders ADD `drop` INT",
    "ALTER TABLE orders ALTER COLUMN key_figures DROP DEFAULT",
]

COLUMNS = [
    "ALTER TABLE orders DROP key_figures",
    "ALTER TABLE orders DROP COLUMN key_figures",
    "ALTER /* */ TABLE orders DROP\n`key_figures`",
    "ALTER TABLE orders MODIFY a INT COMMENT 'a;b, c', DROP COLUMN key_figures",
    "ALTER TABLE orders ADD COLUMN d INT, DROP key_figures",
    "ALTER TABLE orders ADD COLUMN d DECIMAL(9, 2), DROP key_figures",
]

RENAMES = [
    "ALTER TABLE orders RENAME TO `or-ders`",
    "ALTER TABLE orders RENAME AS `or-ders`",
    "ALTER TABLE orders RENAME `or-ders`",
]


@pytest.fixture
def tables(server: Server, database: str) -> Server:
    server.query(
        "CREATE TABLE orders (id INT PRIMARY KEY, a INT, key_figures INT DEFAULT 1, KEY ix (a))",
        database,
    )
    server.query("CREATE TABLE more (id INT, note VARCHAR(80))", database)
    return server


def names(server: Server, statement: str, database: str) -> set[object]:
    return {row[0] for row in server.query(statement, database)}


@pytest.mark.parametrize("sql", DROPS)
def test_it_drops(tables: Server, database: str, sql: str) -> None:
    tables.query(sql, database)
    assert names(tables, "SHOW TABLES", database) == {"more"}
    assert [(act.verb, act.name) for act in acts(sql)] == [(Verb.DROP_TABLE, (None, "orders"))]


@pytest.mark.parametrize("sql", NOT_DROPS)
def test_it_does_not_drop(tables: Server, database: str, sql: str) -> None:
    tables.query(sql, database)
    assert names(tables, "SHOW TABLES", database) >= {"orders", "more"}
    assert "key_figures" in names(tables, "SHOW COLUMNS FROM orders", database)
    assert {act.verb for act in acts(sql)} <= {Verb.ALTER_TABLE, Verb.ADD_COLUMN}


@pytest.mark.parametrize("sql", COLUMNS)
def test_it_drops_a_column(tables: Server, database: str, sql: str) -> None:
    tables.query(sql, database)
    assert "key_figures" not in names(tables, "SHOW COLUMNS FROM orders", database)
    [act] = acts(sql)
    assert act[:3] == (Verb.DROP_COLUMN, (None, "orders"), sql)
    assert act.columns == ("key_figures",)


@pytest.mark.parametrize(
    "change", ["DROP PARTITION p0", "drop partition p0, p1", "TRUNCATE PARTITION ALL"]
)
def test_partitions_go_with_their_rows(change: str) -> None:
    sql = f"ALTER TABLE shop.orders {change}"
    assert (Verb.EMPTY_PARTITIONS, ("shop", "orders"), sql) in [act[:3] for act in acts(sql)]


@pytest.mark.parametrize(
    "change",
    [
        "ADD PARTITION (PARTITION p1 VALUES LESS THAN (9))",
        "PARTITION BY HASH (id) PARTITIONS 2",
        "DROP `partition`",
        "RENAME COLUMN `drop` TO `partition`",
    ],
)
def test_other_changes_of_partitions_lose_nothing(change: str) -> None:
    assert Verb.EMPTY_PARTITIONS not in [act.verb for act in acts(f"ALTER TABLE orders {change}")]


def test_a_column_that_is_called_spatial(tables: Server, database: str) -> None:
    tables.query("ALTER TABLE orders ADD spatial INT", database)
    sql = "ALTER TABLE orders DROP spatial"
    tables.query(sql, database)
    assert "spatial" not in names(tables, "SHOW COLUMNS FROM orders", database)
    assert acts(sql) == [Act(Verb.DROP_COLUMN, (None, "orders"), sql, columns=("spatial",))]


@pytest.mark.parametrize(
    "long", ["'" + "\\'" * 100_000, "'" + "''" * 100_000 + "'", "/* " + "*" * 99]
)
def test_long_text_is_read_in_no_time(long: str) -> None:
    """A pattern that goes back and forth would take minutes."""
    assert [act.name for act in acts(f"DROP TABLE orders; {long}")] == [(None, "orders")]


@pytest.mark.parametrize("sql", RENAMES)
def test_it_renames(tables: Server, database: str, sql: str) -> None:
    tables.query(sql, database)
    assert names(tables, "SHOW TABLES", database) == {"or-ders", "more"}
    assert acts(sql) == [Act(Verb.RENAME_TABLE, (None, "orders"), sql, (None, "or-ders"))]


def test_what_is_prepared_is_read(server: Server, database: str) -> None:
    if not server.live:
        pytest.skip("the emulator does not prepare DDL from text")
    server.query("CREATE TABLE orders (id INT)", database)
    sql = "PREPARE s FROM 'DROP TABLE `orders` -- it''s gone'"
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        cursor.execute("EXECUTE s")
    assert names(server, "SHOW TABLES", database) == set()
    [act] = acts(sql)
    assert (act.verb, act.name) == (Verb.DROP_TABLE, (None, "orders"))
    assert acts("PREPARE s FROM DROP TABLE orders") == [
        Act(Verb.DROP_TABLE, (None, "orders"), "DROP TABLE orders")
    ]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("", []),
        (";; -- nothing\n;", []),
        ("DROP", []),
        ("DROP TABLE", []),
        ("DROP TABLE orders.", []),
        ("DROP VIEW orders", []),
        ("ALTER TABLE", []),
        ("ALTER VIEW orders AS SELECT 1", []),
        ("RENAME USER a TO b", []),
        ("CREATE TABLE", []),
        ("PREPARE s", []),
        ("DROP TABLE 'orders'", []),
        ("DROP TABLE a, shop . `b``c` CASCADE", [(None, "a"), ("shop", "b`c")]),
        ("DROP TABLE TEMPORARY orders", [(None, "orders")]),
        ("DROP TABLE temporary", [(None, "temporary")]),
        ("DROP TABLE temporary.orders", [("temporary", "orders")]),
        ('DROP TABLE "or""ders"', [(None, 'or"ders')]),
        ("DROP SCHEMA IF EXISTS shop", [(None, "shop")]),
        ("SELECT 1; DROP DATABASE `sh;op`; SELECT 2", [(None, "sh;op")]),
        ("DROP TABLE заказы", [(None, "заказы")]),
        ("TRUNCATE orders", [(None, "orders")]),
        ("truncate table shop . orders", [("shop", "orders")]),
        ("CREATE TABLE IF NOT EXISTS shop.orders (id INT)", [("shop", "orders")]),
        ("RENAME TABLE a TO b, shop.c TO shop.d", [(None, "a"), ("shop", "c")]),
        ("DROP TABLE /* never ends", []),
    ],
)
def test_names(sql: str, found: list[object]) -> None:
    assert [act.name for act in acts(sql)] == found


ROWS = {
    "DELETE FROM orders": [("orders", ())],
    "delete low_priority from `orders` order by id limit 5": [("orders", ())],
    "DELETE FROM orders WHERE id = 1": [],
    "DELETE FROM orders WHERE (1 = 1)": [("orders", ())],
    "DELETE FROM orders WHERE true": [("orders", ())],
    "DELETE FROM orders WHERE 0": [],
    "DELETE FROM orders WHERE id = id": [],
    "DELETE FROM orders WHERE 1 = 0": [],
    "DELETE FROM orders WHERE (false)": [],
    "DELETE FROM orders WHERE NOT FALSE": [("orders", ())],
    "DELETE FROM orders WHERE -1": [("orders", ())],
    "DELETE FROM orders WHERE 2>1 AND 'a' LIKE 'a' OR 0.5": [("orders", ())],
    "DELETE FROM orders WHERE (1) = (1) LIMIT 9": [("orders", ())],
    "DELETE FROM orders WHERE ? = ?": [],
    "DELETE FROM orders WHERE %s": [],
    "DELETE FROM orders WHERE 1 = :a": [],
    "DELETE FROM orders WHERE @all": [],
    "DELETE FROM orders WHERE `true`": [],
    "DELETE FROM orders WHERE RAND() < 0.5": [],
    "EXPLAIN DELETE FROM orders": [],
    "EXPLAIN VERBOSE UPDATE orders SET a = 1": [],
    "EXPLAIN ANALYZE DELETE FROM orders": [("orders", ())],
    "explain analyze verbose update orders set a = 1": [("orders", ("a",))],
    "DESC (analyze true, format text) DELETE FROM orders": [("orders", ())],
    "EXPLAIN PHYPLAN WITH x AS (SELECT 1) DELETE FROM orders": [("orders", ())],
    "EXPLAIN ANALYZE SELECT * FROM t FOR UPDATE": [],
    "DESCRIBE orders": [],
    "DELETE FROM orders WHERE 'a' = 'a' LIMIT 5": [("orders", ())],
    "DELETE o, m FROM orders AS o, more m": [("orders", ()), ("more", ())],
    "DELETE o FROM orders {MO_TS = 5} o JOIN more m USING (id)": [("orders", ())],
    "DELETE FROM a, b USING a JOIN b ON a.i = b.i": [("a", ()), ("b", ())],
    "WITH x AS (SELECT 1 FROM t WHERE a = 1) DELETE FROM orders": [("orders", ())],
    "UPDATE orders SET a = 1, b = (SELECT c FROM t WHERE t.i = b)": [("orders", ("a", "b"))],
    "UPDATE orders SET a = 1 WHERE id = 2": [],
    "UPDATE orders o JOIN more m ON o.i = m.i SET o.a = 1, m.`b` = 2": [
        ("orders", ("a",)),
        ("more", ("b",)),
    ],
    "UPDATE shop.orders SET shop.orders.a = 1": [("orders", ("a",))],
    "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1": [],
    "SELECT * FROM t FOR UPDATE": [],
    "UPDATE": [],
    "UPDATE orders SET": [],
    "DELETE FROM": [],
}


@pytest.mark.parametrize("sql", ROWS)
def test_all_rows(sql: str) -> None:
    found = acts(sql)
    assert {act.verb for act in found} <= {Verb.DELETE_ROWS, Verb.UPDATE_ROWS}
    assert [(act.name[1], act.columns) for act in found] == ROWS[sql]


def test_columns() -> None:
    [act] = acts(
        "ALTER TABLE t ADD (a INT, b DECIMAL(1, 2), KEY (a)), DROP COLUMN c, DROP PRIMARY KEY, "
        "CHANGE `d` e INT, RENAME COLUMN f TO g, ADD COLUMN h INT, ADD INDEX i (h)"
    )
    assert act.verb is Verb.DROP_COLUMN
    assert (act.columns, act.added) == (("c",), ("a", "b", "h"))
    assert act.renamed == (("d", "e"), ("f", "g"))


def test_what_is_made() -> None:
    made = (
        "CREATE DATABASE IF NOT EXISTS d; CREATE TABLE t (i INT); CREATE TEMPORARY TABLE u CLONE t"
    )
    assert [(act.verb.name, act.name[1], act.conditional) for act in acts(made)] == [
        ("CREATE_DATABASE", "d", True),
        ("CREATE_TABLE", "t", False),
        ("CREATE_TABLE", "u", False),
    ]


def test_both_names_of_a_renaming() -> None:
    assert [(act.name, act.new_name) for act in acts("RENAME TABLE a TO b, s.c TO s.d")] == [
        ((None, "a"), (None, "b")),
        (("s", "c"), ("s", "d")),
    ]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("ALTER TABLE s.a RENAME TO t.b", ("s", "b")),
        ("ALTER TABLE a RENAME t.b", (None, "b")),
        ("RENAME TABLE s.a TO b", ("s", "b")),
    ],
)
def test_a_renamed_table_stays_in_its_database(sql: str, name: tuple[str | None, str]) -> None:
    """Whatever the new name says: measured on 3.0.9 and 4.2.0."""
    assert [act.new_name for act in acts(sql)] == [name]


def test_elements_are_compiled_as_they_will_be_sent() -> None:
    table = Table("Gr%oup", MetaData(), Column("id", Integer), schema="sh%op")
    for dialect in (mysql.dialect(), mysql.dialect(paramstyle="named")):
        assert [act.name for act in acts_of(DropTable(table), dialect)] == [("sh%op", "Gr%oup")]
        assert [act.verb for act in acts_of(CreateTable(table), dialect)] == [Verb.CREATE_TABLE]
        assert acts_of(insert(table), dialect) == []
        assert acts_of(text("INSERT INTO t VALUES (:a, '\\:b')"), dialect) == []


def test_what_the_dialect_cannot_compile_does_nothing() -> None:
    from sqlalchemy.dialects.mysql import insert as mysql_insert

    table = Table("t", MetaData(), Column("id", Integer))
    upsert = mysql_insert(table).values(id=1).on_duplicate_key_update(id=2)
    assert acts_of(upsert, sqlite.dialect()) == []
