"""Tables, views and keys that the server takes and refuses, and the numbers it gives."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, internal, is_3_0_18, is_main, moment

LOST_KEY = internal("failed to add the foreign key constraint")


@pytest.fixture
def own(say: Client) -> Client:
    """`say` in an empty database ~."""
    say.ok("CREATE DATABASE ~", "USE ~")
    return say


def numbers(client: Client, table: str) -> list[int]:
    return [row[0] for row in client.rows(f"SELECT id FROM {table} ORDER BY id")]


# -- ON DUPLICATE KEY UPDATE -----------------------------------------------------------------------

UPSERT = "INSERT INTO u VALUES {} ON DUPLICATE KEY UPDATE b = VALUES(b)"


@pytest.mark.usefixtures("since_3")
def test_a_unique_key_decides_since_4(own: Client, server: Server) -> None:
    own.ok("CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(10) UNIQUE, b INT)")
    own.ok("INSERT INTO u VALUES (1, 'x', 1)")
    answer = own(UPSERT.format("(2, 'x', 9)"))
    if server.version < (4,):
        assert answer.error == (1062, "Duplicate entry 'x' for key 'a'")
    else:
        assert (answer.error, answer.affected) == (None, 2)
        assert own.rows("SELECT * FROM u") == [(1, "x", 9)]


@pytest.mark.usefixtures("since_3")
def test_affected_rows_of_an_update_of_duplicates(own: Client, server: Server) -> None:
    own.ok("CREATE TABLE u (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO u VALUES (1, 1, 1)")
    rows = ("(1, 5, 2)", "(1, 5, 2)", "(1, 5, 3), (2, 6, 3)")
    found = [own.ok(UPSERT.format(text)).affected for text in rows]
    assert found == ([1, 1, 2] if server.version < (4,) else [2, 0, 3])


@pytest.mark.usefixtures("since_3")
def test_ignored_rows_use_up_numbers(own: Client) -> None:
    own.ok("CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, a INT UNIQUE)")
    own.ok("INSERT INTO u (a) VALUES (1)", "INSERT IGNORE INTO u (a) VALUES (1)")
    own.ok("INSERT INTO u (a) VALUES (2)")
    assert numbers(own, "u") == [1, 3]


@pytest.mark.usefixtures("since_3")
def test_all_rows_of_a_failing_statement_use_up_numbers(own: Client) -> None:
    """All values are cast first, which uses up none."""
    own.ok("CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(3) UNIQUE)")
    own.ok("INSERT INTO u (a) VALUES ('a'), ('b'), ('c')")
    assert own.error("INSERT INTO u (a) VALUES ('a'), ('d'), ('e')") is not None
    own.ok("INSERT INTO u (a) VALUES ('f')")
    assert own.error("INSERT INTO u (a) SELECT a FROM u") is not None
    own.ok("INSERT INTO u (a) VALUES ('g')")
    error = own.error("INSERT INTO u (a) VALUES ('g'), ('long')")
    assert error is not None
    assert "Src length 4" in error[1]
    own.ok("INSERT INTO u (a) VALUES ('h')")
    assert numbers(own, "u") == [1, 2, 3, 7, 12, 13]


@pytest.mark.usefixtures("since_3")
def test_replace_by_unique_keys(own: Client, server: Server) -> None:
    """3.0.9 replaces by the primary key alone, where there is one."""
    own.ok("CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(3) UNIQUE, b INT)")
    own.ok("INSERT INTO u VALUES (1, 'x', 1), (2, 'y', 2)")
    own.ok("REPLACE INTO u VALUES (1, 'x', 3)")
    for row in ("(3, 'x', 4)", "(1, 'y', 5)"):
        answer = own(f"REPLACE INTO u VALUES {row}")
        if server.version < (3, 0, 18):
            assert answer.error == (1062, f"Duplicate entry '{row[5]}' for key 'a'")
    left = [(1, "x", 3), (2, "y", 2)] if server.version < (3, 0, 18) else [(1, "y", 5), (3, "x", 4)]
    assert own.rows("SELECT * FROM u ORDER BY id") == left
    own.ok("CREATE TABLE w (a VARCHAR(3) UNIQUE, b INT)", "INSERT INTO w VALUES ('x', 1)")
    assert own.ok("REPLACE INTO w VALUES ('x', 2)").affected == 2
    assert own.rows("SELECT * FROM w") == [("x", 2)]


def test_replace_tells_no_number(own: Client) -> None:
    own.ok("CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, a INT)")
    own.ok("INSERT INTO u (a) VALUES (1)", "REPLACE INTO u (a) VALUES (2), (3)")
    assert own.value("SELECT LAST_INSERT_ID()") == 1
    assert numbers(own, "u") == [1, 2, 3]


# -- numbers of copies -----------------------------------------------------------------------------


@pytest.mark.usefixtures("since_3")
def test_a_copy_goes_on_with_the_next_block_of_numbers(own: Client) -> None:
    own.ok("CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, b INT)")
    own.ok("INSERT INTO p (b) VALUES (1), (2)", "CREATE TABLE q CLONE p")
    own.ok("INSERT INTO q (b) VALUES (3)", "CREATE TABLE r CLONE q", "INSERT INTO r (b) VALUES (4)")
    own.ok("INSERT INTO p (b) VALUES (3)")
    assert numbers(own, "p") == [1, 2, 3]
    assert numbers(own, "q") == [1, 2, 10001]
    assert numbers(own, "r") == [1, 2, 10001, 20001]
    own.ok("CREATE DATABASE ~_b CLONE ~", "INSERT INTO ~_b.p (b) VALUES (9)")
    assert numbers(own, "~_b.p") == [1, 2, 3, 10001]


@pytest.mark.usefixtures("since_3")
def test_blocks_of_numbers_begin_where_the_table_does(own: Client) -> None:
    own.ok("CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, b INT) AUTO_INCREMENT = 100")
    own.ok("CREATE TABLE q CLONE p", "INSERT INTO q (b) VALUES (1)")
    own.ok("INSERT INTO p VALUES (20005, 1)", "CREATE TABLE r CLONE p")
    own.ok("INSERT INTO r (b) VALUES (1)")
    assert numbers(own, "q") == [10100]
    assert numbers(own, "r") == [20005, 30006]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("what", ["DATABASE ~", "DATABASE ~ TABLE p"])
def test_numbers_after_a_restore(own: Client, what: str) -> None:
    own.ok("CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, b INT)")
    own.ok("INSERT INTO p (b) VALUES (1), (2)", "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    then = moment(own)
    own.ok("INSERT INTO p (b) VALUES (3)", f'RESTORE {what} FROM PITR ~_d "{then.text}"')
    own.ok("USE ~", "INSERT INTO p (b) VALUES (3)")
    assert numbers(own, "p") == [1, 2, 10001]


@pytest.mark.usefixtures("since_3")
def test_numbers_after_a_rebuilding_alter(own: Client, server: Server) -> None:
    own.ok("CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, b INT)")
    own.ok("INSERT INTO p (b) VALUES (1)", "ALTER TABLE p ADD COLUMN c INT")
    own.ok("INSERT INTO p (b) VALUES (2)")
    assert numbers(own, "p") == [1, 2 if server.version < (4,) else 10001]


# -- CREATE and DROP -------------------------------------------------------------------------------


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("exists", ["", "IF EXISTS "])
def test_drop_of_several_tables(own: Client, server: Server, exists: str) -> None:
    own.ok("CREATE TABLE a (id INT)", "CREATE TABLE b (id INT)")
    error = own.error(f"DROP TABLE {exists}a, b")
    if server.version < (3, 0, 18):
        assert error == (20105, "not supported: drop multiple (2) tables in one statement")
        assert own.ok("SHOW TABLES").column == ["a", "b"]
    else:
        assert error is None
        assert own.ok("SHOW TABLES").column == []


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("select", ["*", "t.*", "id, a, b", "t.id, t.a AS a, b"])
def test_create_as_select_keeps_what_columns_are(own: Client, select: str) -> None:
    """But for keys."""
    own.ok("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b INT DEFAULT 5)")
    own.ok(f"CREATE TABLE c AS SELECT {select} FROM t")
    assert own.ok("SHOW CREATE TABLE c").rows[0][1] == (
        "CREATE TABLE `c` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `a` int NOT NULL,\n"
        "  `b` int DEFAULT 5\n)"
    )


@pytest.mark.usefixtures("since_3")
def test_clones_of_what_is_no_table_or_over_what_is_there(own: Client, server: Server) -> None:
    own.ok("CREATE TABLE p (id INT PRIMARY KEY)", "CREATE VIEW w AS SELECT * FROM p")
    for statement in ("CREATE TABLE c CLONE w", "CREATE TABLE IF NOT EXISTS p CLONE w"):
        assert own.error(statement) == internal("~.w is not BASE TABLE")
    own.ok("CREATE TABLE c CLONE p")
    missing = (1064, "SQL parser error: table -nope does not exist")
    assert own.error("CREATE TABLE c CLONE nope") == missing
    there = (1050, "table c already exists")
    assert own.error("CREATE TABLE c CLONE p") == there
    error = own.error("CREATE TABLE IF NOT EXISTS c CLONE p")
    assert error == (there if server.version < (4,) else None)
    own.ok("CREATE DATABASE ~_b")
    there = (1007, "database ~_b already exists")
    error = own.error("CREATE DATABASE IF NOT EXISTS ~_b CLONE ~")
    assert error == (None if is_main(server) else there)


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(
    "select", ["a, a FROM t", "a, b AS A FROM t", "x.a, y.a FROM t x JOIN t y", "* FROM t x JOIN t"]
)
def test_views_name_a_column_once(own: Client, select: str) -> None:
    own.ok("CREATE TABLE t (a INT, b INT)", "CREATE VIEW w AS SELECT a FROM t")
    error = (3819, 'constraint violation: duplicate column "a"')
    assert own.error(f"CREATE VIEW v AS SELECT {select}") == error
    assert own.error(f"ALTER VIEW w AS SELECT {select}") == error


@pytest.mark.usefixtures("since_3")
def test_views_with_names_of_their_own(own: Client, server: Server) -> None:
    """3.x reads them and forgets them."""
    own.ok("CREATE TABLE t (a INT, b INT)")
    twice = own.error("CREATE VIEW v (c, c) AS SELECT a, b FROM t")
    fewer = own.error("CREATE VIEW w (c) AS SELECT a, b FROM t")
    if server.version < (4,):
        assert (twice, fewer) == (None, None)
    else:
        assert twice == (3819, 'constraint violation: duplicate column "c"')
        assert fewer == (
            1353,
            "In definition of view, derived table or common table expression, SELECT list and "
            "column names list have different column counts",
        )


@pytest.mark.usefixtures("since_3")
def test_a_view_is_not_renamed(own: Client) -> None:
    own.ok("CREATE TABLE t (a INT)", "CREATE VIEW w AS SELECT a FROM t")
    error = internal("you should use alter view statemnt for View")
    assert own.error("RENAME TABLE w TO x") == error
    assert own.error("ALTER TABLE w RENAME TO x") == error


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("since_3")
def test_a_table_that_refers_to_itself_is_not_rebuilt(own: Client, server: Server) -> None:
    """By 4.2 ADD COLUMN and CHANGE work, MODIFY, DROP COLUMN and TRUNCATE do not.

    TRUNCATE works on main; to a DELETE such a table is one that another refers to, there, too.
    """
    if server.version < (3,):
        pytest.skip("measured on 3.0.9 and 4.2.0")
    own.ok(
        "CREATE TABLE tree (id INT PRIMARY KEY, up INT, n INT, v INT, "
        "CONSTRAINT f FOREIGN KEY (up) REFERENCES tree (id))"
    )
    refused = internal("can not find table by id 0: accountId: 0")
    works_since_4 = None if server.version >= (4,) else refused
    assert own.error("ALTER TABLE tree ADD COLUMN c INT") == works_since_4
    assert own.error("ALTER TABLE tree CHANGE v w INT") == works_since_4
    assert own.error("ALTER TABLE tree MODIFY n BIGINT") == refused
    assert own.error("ALTER TABLE tree DROP COLUMN n") == refused
    own.ok("INSERT INTO tree (id, up) VALUES (1, NULL), (2, 1)")
    assert own.error("TRUNCATE TABLE tree") == (None if is_main(server) else refused)
    assert own.value("SELECT COUNT(*) FROM tree") == (0 if is_main(server) else 2)
    own("INSERT INTO tree (id, up) VALUES (1, NULL), (2, 1)")
    parent = "Cannot delete or update a parent row: a foreign key constraint fails"
    assert own.error("DELETE FROM tree") == internal(parent)
    own.ok(
        "CREATE INDEX i ON tree (n)",
        "ALTER TABLE tree COMMENT 'c'",
        "ALTER TABLE tree DROP FOREIGN KEY f",
    )


def test_a_rebuild_takes_foreign_keys_out_of_their_list(own: Client, server: Server) -> None:
    """Before 4.x mo_foreign_keys has them no more; they are in force, and in the definition."""
    say = own
    say.ok(
        "CREATE TABLE ~.parent (id INT PRIMARY KEY)",
        "CREATE TABLE ~.child (id INT PRIMARY KEY, p INT, "
        "CONSTRAINT f FOREIGN KEY (p) REFERENCES ~.parent (id))",
    )
    listed = "SELECT constraint_name FROM mo_catalog.mo_foreign_keys WHERE db_name = '~'"
    assert say.rows(listed) == [("f",)]
    say.ok("ALTER TABLE ~.child ADD COLUMN v INT")
    assert say.rows(listed) == ([] if server.version < (4,) else [("f",)])
    assert "CONSTRAINT `f` FOREIGN KEY (`p`)" in say.ok("SHOW CREATE TABLE ~.child").rows[0][1]
    assert say.error("INSERT INTO ~.child VALUES (1, 7, 0)") is not None
    text = "SELECT rel_createsql FROM mo_catalog.mo_tables WHERE reldatabase = '~'"
    copied = say.value(f"{text} AND relname = 'child'")
    assert "child_copy_" in copied
    assert "FOREIGN KEY" in copied
    say.ok("ALTER TABLE ~.child DROP FOREIGN KEY f")
    assert say.error("DROP TABLE ~.parent") is None


@pytest.mark.usefixtures("since_3")
def test_the_list_of_keys_to_oneself(own: Client, server: Server) -> None:
    """Main does not list what an ALTER has added, though it is in force, until a TRUNCATE."""
    own.ok(
        "CREATE TABLE s (id INT KEY, b INT, CONSTRAINT f FOREIGN KEY (b) REFERENCES s (id))",
        "CREATE TABLE t (id INT PRIMARY KEY, b INT)",
        "ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (b) REFERENCES t (id)",
    )
    listed = "SELECT constraint_name FROM mo_catalog.mo_foreign_keys WHERE db_name = '~'"
    assert own.rows(listed) == ([("f",)] if is_main(server) else [("f",), ("g",)])
    assert "CONSTRAINT `g`" in own.rows("SHOW CREATE TABLE t")[0][1]
    assert own.error("INSERT INTO t VALUES (1, 9)") is not None
    if is_main(server):
        own.ok("ALTER TABLE t ADD COLUMN z INT")
        assert own.rows(listed) == [("f",)]
        own.ok("TRUNCATE TABLE t")
        assert own.rows(listed) == [("f",), ("g",)]


def test_no_key_refers_to_itself(own: Client) -> None:
    error = internal("foreign key id can not reference to itself")
    table = "CREATE TABLE s (id INT PRIMARY KEY, b INT, FOREIGN KEY ({}) REFERENCES s (id))"
    assert own.error(table.format("id")) == error
    own.ok(table.format("b"))
    assert own.error("ALTER TABLE s ADD FOREIGN KEY (id) REFERENCES s (id)") == error


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("word", ["VISIBLE", "INVISIBLE"])
def test_an_index_that_is_not_there(own: Client, word: str) -> None:
    own.ok("CREATE TABLE t (a INT)")
    error = internal("Can't ALTER 'nope'; check that column/key exists")
    assert own.error(f"ALTER TABLE t ALTER INDEX nope {word}") == error


@pytest.mark.usefixtures("since_3")
def test_children_of_a_parent_that_lost_its_key(own: Client, server: Server) -> None:
    """They stay as they are: whatever makes them anew is refused."""
    own.ok("CREATE TABLE u (id INT PRIMARY KEY)")
    own.ok("CREATE TABLE k (a INT, FOREIGN KEY (a) REFERENCES u (id))")
    if is_main(server):
        assert own.error("ALTER TABLE u DROP PRIMARY KEY") == NEEDED
        return
    own.ok("ALTER TABLE k ADD COLUMN m INT", "ALTER TABLE u DROP PRIMARY KEY")
    for statement in (
        "ALTER TABLE k ADD COLUMN n INT",
        "CREATE TABLE c CLONE k",
        "CREATE TABLE c LIKE k",
    ):
        assert own.error(statement) == LOST_KEY, statement
    whole = own.error("CREATE DATABASE ~_b CLONE ~")
    assert whole == LOST_KEY or (server.version < (4,) and whole and whole[0] == 20101)
    assert own.error("TRUNCATE TABLE k") == (None if server.version < (4,) else LOST_KEY)
    own.ok("ALTER TABLE k ADD KEY kk (a)", "ALTER TABLE u ADD PRIMARY KEY (id)")
    own.ok("ALTER TABLE k ADD COLUMN n INT")


@pytest.mark.usefixtures("since_3")
def test_a_table_keeps_the_key_that_it_refers_to(own: Client, server: Server) -> None:
    own.ok("CREATE TABLE s (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES s (id))")
    error = own.error("ALTER TABLE s DROP PRIMARY KEY")
    assert error == (NEEDED if is_main(server) else LOST_KEY)


def needed(name: str) -> tuple[int, str]:
    """Error of dropping a key that a foreign key refers to."""
    return 1553, f"Cannot drop index '{name}': needed in a foreign key constraint"


NEEDED = needed("PRIMARY")

REFERENCED = [
    ("id INT PRIMARY KEY, UNIQUE ua (id)", "id", "PRIMARY", "ua"),
    ("id INT, x INT, y INT, PRIMARY KEY (id, x), UNIQUE ky (y)", "id", "PRIMARY", "ky"),
    ("id INT, UNIQUE ku (id), UNIQUE kt (id)", "id", "kt", "ku"),
    ("id INT, x INT, UNIQUE kix (id, x), UNIQUE ki (id)", "id", "ki", "kix"),
    ("id INT, x INT, UNIQUE ki (id, x), UNIQUE kix (id)", "id", "ki", "kix"),
]


@pytest.mark.usefixtures("of_main")
@pytest.mark.parametrize(("table", "column", "kept", "free"), REFERENCED)
def test_the_key_that_is_referred_to(
    own: Client, table: str, column: str, kept: str, free: str
) -> None:
    """The primary key, or the first by name, that begins with the columns; checks do not matter."""
    own.ok(f"CREATE TABLE u ({table})")
    own.ok(f"CREATE TABLE k (a INT, CONSTRAINT f FOREIGN KEY (a) REFERENCES u ({column}))")
    drop = "ALTER TABLE u DROP " + ("PRIMARY KEY" if kept == "PRIMARY" else f"INDEX {kept}")
    assert own.error(drop) == needed(kept)
    own.ok(f"ALTER TABLE u DROP INDEX {free}", "SET foreign_key_checks = 0")
    assert own.error(drop) == needed(kept)
    own.ok("ALTER TABLE k DROP FOREIGN KEY f", drop)


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("columns", ["x", "x, id"])
def test_what_is_referred_to_leads_a_key_after_4(own: Client, server: Server, columns: str) -> None:
    own.ok("CREATE TABLE u (id INT, x INT, PRIMARY KEY (id, x))")
    child = f"CREATE TABLE k (x INT, id INT, FOREIGN KEY ({columns}) REFERENCES u ({columns}))"
    assert own.error(child) == (LOST_KEY if is_main(server) else None)


@pytest.mark.usefixtures("since_3")
def test_a_copy_of_a_table_that_refers_to_itself(own: Client) -> None:
    """The copy refers to itself; it has the other keys of its pattern, too."""
    own.ok(
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE s (id INT PRIMARY KEY, b INT, CONSTRAINT f FOREIGN KEY (b) REFERENCES s (id),"
        " CONSTRAINT g FOREIGN KEY (b) REFERENCES p (id))",
        "CREATE TABLE l LIKE s",
        "CREATE TABLE c CLONE s",
    )
    for name in "lc":
        text = own.rows(f"SHOW CREATE TABLE {name}")[0][1]
        assert f"FOREIGN KEY (`b`) REFERENCES `{name}` (`id`)" in text
        assert "FOREIGN KEY (`b`) REFERENCES `p` (`id`)" in text


@pytest.mark.usefixtures("since_3")
def test_codes_of_children_without_a_parent(own: Client, server: Server) -> None:
    """1452 where the parent is the table itself, and from 4.x on of an UPDATE; 20101 otherwise."""
    own.ok(
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE k (id INT, FOREIGN KEY (id) REFERENCES p (id))",
        "CREATE TABLE s (id INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES s (id))",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO k VALUES (1)",
        "INSERT INTO s VALUES (1, NULL)",
    )
    text = "Cannot add or update a child row: a foreign key constraint fails"
    assert own.error("INSERT INTO s VALUES (2, 9)") == (1452, text)
    assert own.error("UPDATE s SET b = 9") == (1452, text)
    assert own.error("INSERT INTO k VALUES (9)") == internal(text)
    late = server.version >= (4,)
    assert own.error("UPDATE k SET id = 9") == ((1452, text) if late else internal(text))


@pytest.mark.usefixtures("since_3")
def test_rows_that_follow_their_parent(own: Client, server: Server) -> None:
    """A DELETE counts them, an UPDATE before 4.x only."""
    own.ok(
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE k (id INT, FOREIGN KEY (id) REFERENCES p (id) "
        "ON UPDATE CASCADE ON DELETE CASCADE)",
        "CREATE TABLE n (id INT, FOREIGN KEY (id) REFERENCES p (id) ON DELETE SET NULL)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO k VALUES (1), (1)",
    )
    changed = own.ok("UPDATE p SET id = 5 WHERE id = 1").affected
    assert changed == (1 if server.version >= (4,) else 3)
    own.ok("INSERT INTO n VALUES (5)")
    assert own.ok("DELETE FROM p WHERE id = 5").affected == 4


@pytest.mark.usefixtures("since_3")
def test_children_follow_the_name_of_a_column(own: Client) -> None:
    own.ok("CREATE TABLE u (id INT PRIMARY KEY)")
    own.ok("CREATE TABLE k (a INT, FOREIGN KEY (a) REFERENCES u (id))")
    own.ok("ALTER TABLE u RENAME COLUMN id TO number", "INSERT INTO u VALUES (1)")
    own.ok("INSERT INTO k VALUES (1)")
    assert "REFERENCES `u` (`number`)" in own.ok("SHOW CREATE TABLE k").rows[0][1]
    child = internal("Cannot add or update a child row: a foreign key constraint fails")
    assert own.error("INSERT INTO k VALUES (2)") == child
    parent = internal("Cannot delete or update a parent row: a foreign key constraint fails")
    assert own.error("DELETE FROM u") == parent


# -- types -----------------------------------------------------------------------------------------


def refused(text: str, column: int, near: str) -> tuple[int, str]:
    return (
        1064,
        "SQL parser error: You have an error in your SQL syntax; check the manual that corresponds "
        "to your MatrixOne server version for the right syntax to use. "
        f'{text} at line 1 column {column} near "{near}";',
    )


LIMITS = [
    ("CHAR(256)", "char,  typeLen is over the MaxCharLen: 255"),
    ("BINARY(300)", "binary,  typeLen is over the MaxCharLen: 255"),
    ("VARCHAR(65536)", "varchar,  typeLen is over the MaxVarcharLen: 65535"),
    ("VARBINARY(70000)", "varbinary,  typeLen is over the MaxVarcharLen: 65535"),
    ("INT UNSIGNED DEFAULT -1", "uint32, value '-1'"),
    ("TINYINT DEFAULT 300", "int8, value '300'"),
    ("BIGINT UNSIGNED DEFAULT -1", "uint64, value '-1'"),
]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(("kind", "text"), LIMITS)
def test_types_out_of_range(own: Client, kind: str, text: str) -> None:
    error = (1690, f"data out of range: data type {text}")
    assert own.error(f"CREATE TABLE t (a {kind})") == error
    own.ok("CREATE TABLE t (id INT)")
    assert own.error(f"ALTER TABLE t ADD COLUMN a {kind}") == error


M_AND_D = "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column 'a'))"


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("decimal(10,12)", M_AND_D),
        ("numeric(10,12)", M_AND_D),
        ("float(10,12)", M_AND_D),
        ("decimal(0)", M_AND_D),
        ("timestamp(7)", "For Timestamp(fsp), fsp must in [0, 6]"),
        ("datetime(9)", "For Datetime(fsp), fsp must in [0, 6]"),
        ("time(7)", "For Time(fsp), fsp must in [0, 6]"),
    ],
)
def test_types_that_the_grammar_refuses(own: Client, kind: str, text: str) -> None:
    statement = f"create table t (a {kind})"
    assert own.error(statement) == refused(text, len(statement) - 1, "))")
    own.ok("CREATE TABLE u (id INT)")
    statement = f"alter table u add column a {kind}"
    assert own.error(statement) == refused(text, len(statement), ")")


@pytest.mark.usefixtures("since_3")
def test_the_longest_decimal(own: Client, server: Server) -> None:
    most = 38 if server.version < (3, 0, 18) else 65
    own.ok(f"CREATE TABLE t (a DECIMAL({most}, 2))")
    statement = f"create table u (a decimal({most + 1},2))"
    text = f"For decimal(M), M must between 0 and {most}."
    assert own.error(statement) == refused(text, len(statement) - 1, "))")


def test_decimals_of_many_digits(own: Client, server: Server) -> None:
    """Since 3.0.18; that one only keeps them, and wants 30 digits behind the point at most."""
    if server.version < (3, 0, 18):
        pytest.skip("since 3.0.18")
    number = "12345678901234567890123456789012345.123456789012345678901234567899"
    own.ok("CREATE TABLE t (a DECIMAL(65,30))", f"INSERT INTO t VALUES ({number})")
    assert own.value("SELECT a FROM t WHERE a > 1") == Decimal(number)
    assert own.ok("SHOW COLUMNS FROM t").rows[0][1] == "DECIMAL(65,30)"
    refused = "invalid argument operator +, bad value [DECIMAL256 BIGINT]"
    assert own.error("SELECT a + 1 FROM t") == ((20203, refused) if is_3_0_18(server) else None)
    refused = "invalid argument aggregate function sum, bad value [DECIMAL256]"
    assert own.error("SELECT SUM(a) FROM t") == ((20203, refused) if is_3_0_18(server) else None)
    error = own.error("CREATE TABLE u (a DECIMAL(65,31))")
    assert (error is None) != is_3_0_18(server)
    if error is not None:
        assert "Display scale for decimal out of range (max = 30)" in error[1]


@pytest.mark.usefixtures("since_3")
def test_columns_that_are_no_mysql(own: Client) -> None:
    for before, after in (
        ("create table t (a", " dec(5,1))"),
        ("create table t (a varchar(10)", " binary)"),
        ("create table t (a timestamp default now() on update", " now())"),
    ):
        error = own.error(before + after)
        assert error is not None
        assert error[0] == 1064
        assert error[1].endswith(f'near "{after}";')
    wide = (20301, "invalid input: bit width (65) is too long (max = 64) ")
    assert own.error("CREATE TABLE t (a BIT(65))") == wide
    twice = (20301, "invalid input: duplicate column name 'id' in primary key")
    assert own.error("CREATE TABLE t (id INT, PRIMARY KEY (id, id))") == twice
    error = own.error("CREATE TABLE t (id INT, KEY k (id, id))")
    assert error is not None
    assert error[0] == 1062


@pytest.mark.parametrize("kind", ["TEXT(10)", "LONGTEXT(10)", "BLOB(10)", "JSON(10)", "DATE(3)"])
def test_types_without_a_length(own: Client, server: Server, kind: str) -> None:
    """SQLAlchemy's Text(10) and LargeBinary(10) write these."""
    error = own.error(f"CREATE TABLE n (a {kind})")
    if is_main(server) and kind in ("TEXT(10)", "BLOB(10)"):
        assert error is None
        return
    assert error is not None
    word, _, length = kind.partition("(")
    column = len("CREATE TABLE n (a (") + len(word)
    assert error[1].endswith(f'line 1 column {column} near "({length})";')


def test_1064_shows_the_whole_text(own: Client) -> None:
    """Up to its end, blanks and all; columns of later lines count the end of the line before."""
    first = own.error("\nCREATE TABLE n (\n\tid INT, \n\tv FOO(5)\n)\n\n")
    assert first is not None
    assert first[1].endswith('syntax error at line 4 column 7 near " FOO(5)\n)\n\n";')
    second = own.error("CREATE TABLE n (a INT) FOO  \n")
    assert second is not None
    assert second[1].endswith('syntax error at line 1 column 26 near " FOO  \n";')


def test_comments_of_tables(own: Client) -> None:
    """One that came with the table is shown for ever."""
    own.ok("CREATE TABLE n (a INT)", "CREATE TABLE m (a INT) COMMENT 'it''s'")
    for comment, shown in (("'a'", " COMMENT='a'"), ("'b'", " COMMENT='b'"), ("''", "")):
        own.ok(f"ALTER TABLE n COMMENT {comment}", f"ALTER TABLE m COMMENT {comment}")
        assert own.ok("SHOW CREATE TABLE n").rows[0][1].endswith(f"\n){shown}")
        assert own.ok("SHOW CREATE TABLE m").rows[0][1].endswith("\n) COMMENT='it''s'")


def test_defaults_that_are_expressions(own: Client, server: Server) -> None:
    """3.0.9 cannot read those with texts in them any more, but inserts them."""
    own.ok("CREATE TABLE n (a INT DEFAULT (1+1), b VARCHAR(10) DEFAULT (concat('p',\"q\")))")
    own.ok("INSERT INTO n () VALUES ()")
    assert own.ok("SELECT * FROM n").rows == [(2, "pq")]
    shown = own("SHOW CREATE TABLE n")
    defaults = [row[4] for row in own.ok("SHOW COLUMNS FROM n").rows]
    if (3,) <= server.version < (3, 0, 18):
        assert shown.error is not None
        assert shown.error[0] == 1105
        assert shown.error[1].endswith("line 3 column 38 near \"p'', ''q''))\n)\";")
    elif server.version >= (3, 0, 18):
        assert "DEFAULT (concat('p', 'q'))" in shown.rows[0][1]
    if server.version >= (3,):
        assert (own.error("CREATE TABLE c CLONE n") is None) is (shown.error is None)
    if (3,) <= server.version < (4,):
        assert defaults == ["(1 + 1)", "(concat(''p'', ''q''))"]
    elif server.version >= (4,):
        assert defaults == ["(1 + 1)", "(concat('p', 'q'))"]


@pytest.mark.usefixtures("since_3")
def test_defaults_with_quotes(own: Client, server: Server) -> None:
    """Since 3.0.18 SHOW COLUMNS doubles their quotes once more."""
    own.ok("CREATE TABLE n (a VARCHAR(10) DEFAULT 'it''s')")
    quotes = "'" * (2 if server.version < (3, 0, 18) else 4)
    assert own.ok("SHOW COLUMNS FROM n").rows[0][4] == f"it{quotes}s"


@pytest.mark.usefixtures("since_3")
def test_the_text_of_a_view(own: Client, server: Server) -> None:
    """As it was written, an ALTER as a CREATE; 3.0.18 says who it runs as."""
    said = "SQL SECURITY DEFINER " if is_3_0_18(server) else ""

    def text() -> str:
        shown = own.ok("SHOW CREATE VIEW w").rows
        assert own.ok("SHOW CREATE TABLE w").rows == shown
        return str(shown[0][1])

    own.ok("CREATE VIEW w AS SELECT 1 a")
    assert text() == f"CREATE {said}VIEW w AS SELECT 1 a"
    own.ok("create or replace view w as select 2 a")
    assert text() == f"create or replace {said}view w as select 2 a"
    own.ok("ALTER VIEW w AS SELECT 3 a")
    assert text() == f"CREATE {said}VIEW w AS SELECT 3 a"
    own.ok("alter view w as select 4 a")
    assert text() == f"create {said}view w as select 4 a"
    statement = "CREATE OR REPLACE SQL SECURITY INVOKER VIEW w AS SELECT 5 a"
    error = own.error(statement)
    if not is_3_0_18(server):
        assert error is not None
        assert error[1].endswith(f'column 21 near "{statement[17:]}";')
        return
    assert text() == statement
    own.ok(text())
    assert own.value("SELECT a FROM w") == 5


def test_indexes_and_if_exists(own: Client, server: Server) -> None:
    own.ok("CREATE TABLE n (a INT)")
    error = own.error("CREATE INDEX IF NOT EXISTS i ON n (a)")
    assert error is not None
    assert error[1].endswith('line 1 column 15 near " IF NOT EXISTS i ON n (a)";')
    missing = own.error("DROP INDEX IF EXISTS i ON n")
    assert missing == (None if server.version >= (4,) else internal("not found index: i"))


@pytest.fixture
def members(own: Client, server: Server) -> Client:
    """`own` with table ys(id, y YEAR, s SET, t SET), which 4.x has."""
    if server.version < (4,):
        pytest.skip("since 4.0")
    own.ok(
        "CREATE TABLE ys (id INT PRIMARY KEY, y YEAR, s SET('x','y','z') DEFAULT 'x', "
        "t SET('b','a') NOT NULL)"
    )
    return own


def test_years_and_sets(members: Client) -> None:
    """Texts that mysql.YEAR and mysql.SET write: members come in the order of the type."""
    members.ok(
        "INSERT INTO ys VALUES (1, 2024, 'y,x', 'a'), (2, '99', '', 'a,b'), "
        "(3, 70, 'z,z', ''), (4, 0, 'x,y,z', 'b'), (5, 1800, 3, 2)",
        "INSERT INTO ys (id, t) VALUES (6, 'a')",
    )
    assert members.rows("SELECT * FROM ys ORDER BY id") == [
        (1, 2024, "x,y", "a"),
        (2, 1999, "", "b,a"),
        (3, 1970, "z", ""),
        (4, 0, "x,y,z", "b"),
        (5, None, "x,y", "a"),
        (6, None, "x", "a"),
    ]
    assert members.ok("SELECT id FROM ys ORDER BY s, id").column == [2, 6, 1, 5, 3, 4]
    assert members.ok("SELECT id FROM ys WHERE y > 1990 ORDER BY id").column == [1, 2]
    assert members.value("SELECT y + 1 FROM ys WHERE id = 1") == 2025
    types = [row[1] for row in members.ok("SHOW COLUMNS FROM ys").rows]
    assert types == ["INT(32)", "YEAR(4)", "SET('x','y','z')", "SET('b','a')"]
    assert "`t` set('b','a') NOT NULL" in members.ok("SHOW CREATE TABLE ys").rows[0][1]


def test_what_is_no_member(members: Client) -> None:
    what = "convert to MySQL set failed:"
    assert members.error("INSERT INTO ys (id, t) VALUES (6, 'nope')") == internal(
        f"{what} item nope is not in set [b,a]"
    )
    assert members.error("INSERT INTO ys (id, s, t) VALUES (8, 9, 2)") == internal(
        f"{what} value 9 overflow set boundary 7"
    )
    assert members.error("CREATE TABLE n (a SET('a,b'))") == (
        20301,
        "invalid input: set member \"a,b\" contains ','",
    )
    assert members.error("CREATE TABLE n (a SET('a','a'))") == (
        20301,
        'invalid input: duplicate set member "a"',
    )


@pytest.mark.parametrize("null", ["NULL", "DEFAULT NULL"])
@pytest.mark.parametrize("alter", ["MODIFY id", "CHANGE id id2"])
def test_a_key_is_not_made_nullable(say: Client, alter: str, null: str) -> None:
    say.ok("CREATE DATABASE ~", "CREATE TABLE ~.t (id INT PRIMARY KEY)")
    error = say.error(f"ALTER TABLE ~.t {alter} BIGINT {null}")
    assert error is not None
    assert (error[0], error[1][:45]) == (1171, "All parts of a PRIMARY KEY must be NOT NULL; ")
    say.ok(f"ALTER TABLE ~.t {alter} BIGINT")


MISSING = ["UPDATE t SET a = 1", "INSERT INTO t VALUES (1)", "DELETE FROM t", "TRUNCATE TABLE t"]
MISSING += ["ALTER TABLE t ADD COLUMN a INT", "CREATE INDEX i ON t (a)", "RENAME TABLE t TO u"]
NOT_CHOSEN = ["SELECT * FROM t", "DROP TABLE t", "SHOW TABLES", "DESC t", "CREATE TABLE t (a INT)"]
NOT_CHOSEN += ["DROP INDEX i ON t", "SHOW CREATE TABLE t"]


@pytest.mark.parametrize("statement", MISSING + NOT_CHOSEN)
@pytest.mark.parametrize("dropped", [False, True])
def test_without_a_database(say: Client, statement: str, dropped: bool) -> None:
    """Never chosen, or dropped since, which a rollback does not undo."""
    if dropped:
        say.ok("CREATE DATABASE ~", "USE ~", "BEGIN", "DROP DATABASE ~", "ROLLBACK")
    assert say.value("SELECT DATABASE()") == ""
    missing = (1146, "no such table .t")
    expected = missing if statement in MISSING else (1046, "No database selected")
    assert say.error(statement) == expected


@pytest.fixture
def family(own: Client) -> Client:
    """`own` with tables p(id, n) and c(id, p_id), c referring to p, and a row in each."""
    own.ok(
        "CREATE TABLE p (id INT PRIMARY KEY, n INT)",
        "CREATE TABLE c (id INT PRIMARY KEY, p_id INT, FOREIGN KEY (p_id) REFERENCES p (id))",
        "INSERT INTO p VALUES (1, 1)",
        "INSERT INTO c VALUES (1, 1)",
    )
    return own


ORPHANS = [
    ("INSERT INTO c VALUES (2, 9)", None),
    ("INSERT INTO c VALUES (1, 9) ON DUPLICATE KEY UPDATE p_id = 9", None),
    ("REPLACE INTO c VALUES (1, 9)", None),
    ("DELETE FROM p", None),
    ("DELETE p FROM p JOIN c ON c.p_id = p.id", None),
    ("REPLACE INTO p VALUES (1, 2)", None),
    ("UPDATE c SET p_id = 9", 1452),
    ("UPDATE p JOIN c ON c.p_id = p.id SET c.p_id = 9", 1452),
    ("UPDATE p SET id = 9", 1217),
]


@pytest.mark.parametrize(("statement", "code"), ORPHANS, ids=[s for s, _ in ORPHANS])
def test_codes_of_orphans(family: Client, server: Server, statement: str, code: int | None) -> None:
    """Since 4.x UPDATE has MySQL's, which make an IntegrityError."""
    side = "delete or update a parent" if code == 1217 else "add or update a child"
    if "DELETE" in statement or statement.startswith("REPLACE INTO p"):
        side = "delete or update a parent"
    text = f"Cannot {side} row: a foreign key constraint fails"
    own_code = code is not None and server.version >= (4,)
    assert family.error(statement) == ((code, text) if own_code else internal(text))
    assert family.rows("SELECT p.*, c.* FROM p JOIN c ON c.p_id = p.id") == [(1, 1, 1, 1)]


def test_ignore_leaves_orphans_out_since_4(family: Client, server: Server) -> None:
    answer = family("INSERT IGNORE INTO c VALUES (2, 9), (3, 1)")
    if server.version < (4,):
        text = "Cannot add or update a child row: a foreign key constraint fails"
        assert answer.error == internal(text)
    else:
        assert (answer.error, answer.affected) == (None, 1)
        assert family.rows("SELECT * FROM c") == [(1, 1), (3, 1)]


@pytest.mark.parametrize("key", ["", "CONSTRAINT k "])
def test_a_primary_key_of_no_column(own: Client, key: str) -> None:
    own.ok("CREATE TABLE u (a INT)")
    missing = (1072, "Key column 'z' doesn't exist in table")
    assert own.error(f"ALTER TABLE u ADD {key}PRIMARY KEY (a, z)") == missing


def test_the_kind_of_an_index(own: Client) -> None:
    """It is kept where it stands before the columns, and of plain indexes."""
    own.ok(
        "CREATE TABLE u (a INT, KEY one USING BTREE (a), KEY two (a) USING BTREE, "
        "UNIQUE KEY three USING BTREE (a))",
        "CREATE INDEX four USING BTREE ON u (a)",
        "ALTER TABLE u ADD INDEX five USING BTREE (a)",
        "ALTER TABLE u ADD INDEX six (a) USING BTREE",
    )
    shown = own.ok("SHOW CREATE TABLE u").rows[0][1]
    kept = [line.split("`")[1] for line in shown.splitlines() if " USING btree (" in line]
    assert kept == ["one", "four", "five"]
    kinds = {row[2]: row[10] for row in own.ok("SHOW INDEX FROM u").rows}
    assert [name for name, kind in kinds.items() if kind == "btree"] == kept
    refused = (20301, "invalid input: unsupported index type: hash")
    assert own.error("CREATE INDEX seven USING HASH ON u (a)") == refused
