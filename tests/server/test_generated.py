"""Generated columns, which 4.x has: what SQLAlchemy's Computed writes."""

from __future__ import annotations

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, is_main

TABLE = (
    "CREATE TABLE g (id INT PRIMARY KEY, a INT, c INT GENERATED ALWAYS AS (a+1), "
    "d INT AS (a*2) STORED, e VARCHAR(20) GENERATED ALWAYS AS (concat('x', a)) VIRTUAL NOT NULL)"
)


def refused(text: str) -> tuple[int, str]:
    return 20301, f"invalid input: {text}"


def given(column: str) -> tuple[int, str]:
    return refused(
        f"the value specified for generated column '{column}' in table 'g' is not allowed"
    )


def test_before_4_the_grammar_does_not_know_them(say: Client, server: Server) -> None:
    if server.version >= (4,):
        pytest.skip("before 4.0")
    say.ok("CREATE DATABASE ~", "USE ~")
    error = say.error("CREATE TABLE g (a INT, c INT GENERATED ALWAYS AS (a+1))")
    assert error is not None
    assert error[1].endswith('near " GENERATED ALWAYS AS (a+1))";')


@pytest.fixture
def table(say: Client, server: Server) -> Client:
    """`say` in database ~, with table g of two rows."""
    if server.version < (4,):
        pytest.skip("since 4.0")
    say.ok("CREATE DATABASE ~", "USE ~", TABLE, "INSERT INTO g (id, a) VALUES (1, 2), (2, 3)")
    return say


def test_definitions(table: Client) -> None:
    assert table.ok("SHOW CREATE TABLE g").rows[0][1] == (
        "CREATE TABLE `g` (\n"
        "  `id` int NOT NULL,\n"
        "  `a` int DEFAULT NULL,\n"
        "  `c` int GENERATED ALWAYS AS ((a + 1)) VIRTUAL,\n"
        "  `d` int GENERATED ALWAYS AS ((a * 2)) STORED,\n"
        "  `e` varchar(20) NOT NULL GENERATED ALWAYS AS (concat('x', a)) VIRTUAL,\n"
        "  PRIMARY KEY (`id`)\n)"
    )
    extras = [row[5] for row in table.ok("SHOW COLUMNS FROM g").rows]
    assert extras == ["", "", "VIRTUAL GENERATED", "STORED GENERATED", "VIRTUAL GENERATED"]
    assert table.ok(
        "SELECT extra, generation_expression FROM information_schema.columns "
        "WHERE table_schema = '~' AND table_name = 'g' ORDER BY ordinal_position"
    ).rows == [
        ("", ""),
        ("", ""),
        ("VIRTUAL GENERATED", "(a + 1)"),
        ("STORED GENERATED", "(a * 2)"),
        ("VIRTUAL GENERATED", "concat('x', a)"),
    ]


def test_values(table: Client) -> None:
    assert table.rows("SELECT * FROM g ORDER BY id") == [(1, 2, 3, 4, "x2"), (2, 3, 4, 6, "x3")]
    table.ok(
        "UPDATE g SET a = 10 WHERE id = 1",
        "INSERT INTO g (id, a, c) VALUES (3, 5, DEFAULT)",
        "INSERT INTO g VALUES (4, 6)",
        "INSERT INTO g (id, a) VALUES (2, 0) ON DUPLICATE KEY UPDATE a = 7",
    )
    assert table.rows("SELECT * FROM g ORDER BY id") == [
        (1, 10, 11, 20, "x10"),
        (2, 7, 8, 14, "x7"),
        (3, 5, 6, 10, "x5"),
        (4, 6, 7, 12, "x6"),
    ]


@pytest.mark.parametrize(
    "statement", ["INSERT INTO g (id, a, c) VALUES (3, 3, 4)", "UPDATE g SET c = 10"]
)
def test_no_value_is_given_to_them(table: Client, statement: str) -> None:
    assert table.error(statement) == given("c")


def test_they_are_no_columns_of_values(table: Client) -> None:
    assert table.error("INSERT INTO g VALUES (4, 4, 5, 8, 'x')") == (
        1136,
        "Column count doesn't match value count at row 1",
    )


@pytest.mark.parametrize(
    "change",
    ["DROP COLUMN a", "CHANGE a b INT", "MODIFY a BIGINT", "RENAME COLUMN a TO b"],
)
def test_what_they_come_from_stays_as_it_is(table: Client, change: str) -> None:
    assert table.error(f"ALTER TABLE g {change}") == refused(
        "Cannot modify column 'a': generated column 'c' depends on it"
    )


def test_they_come_and_go(table: Client) -> None:
    table.ok("ALTER TABLE g ADD COLUMN z INT AS (c-2)", "ALTER TABLE g DROP COLUMN e")
    assert table.rows("SELECT * FROM g ORDER BY id") == [(1, 2, 3, 4, 1), (2, 3, 4, 6, 2)]
    table.ok("ALTER TABLE g DROP COLUMN z", "ALTER TABLE g CHANGE c c2 INT AS (a+5)")
    assert table.rows("SELECT id, a, c2 FROM g ORDER BY id") == [(1, 2, 7), (2, 3, 8)]


def test_copies(table: Client) -> None:
    table.ok("CREATE TABLE l LIKE g", "CREATE TABLE s AS SELECT * FROM g")
    assert "AS ((a * 2)) STORED" in table.ok("SHOW CREATE TABLE l").rows[0][1]
    assert "GENERATED" not in table.ok("SHOW CREATE TABLE s").rows[0][1]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (
            "INT AS (nope + 1)",
            "column 'nope' does not exist or cannot be referenced by a generated column",
        ),
        ("INT AS (id+1) DEFAULT 3", "generated column 'b' cannot have a default value"),
        (
            "INT AS (now())",
            "expression of generated column cannot refer to a non-deterministic function 'now'",
        ),
        ("INT AS ((SELECT 1))", "expression of generated column cannot contain subquery"),
    ],
)
def test_what_is_refused(table: Client, server: Server, column: str, text: str) -> None:
    code, whole = refused(text)
    code = 1054 if is_main(server) and "nope" in column else code
    assert table.error(f"CREATE TABLE h (id INT, b {column})") == (code, whole)


@pytest.mark.parametrize("check", ["a INT CHECK (nope > 1)", "a INT, CHECK (a > nope)"])
def test_a_check_of_a_column_that_is_not_there(table: Client, server: Server, check: str) -> None:
    text = "column 'nope' does not exist or cannot be referenced by a generated column"
    code = 1054 if is_main(server) else 20301
    assert table.error(f"CREATE TABLE h ({check})") == (code, f"invalid input: {text}")
