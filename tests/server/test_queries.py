"""Ordinary statements whose answers are easily other ones: values, groups, subqueries."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, internal, is_3_0_18, is_main


def test_the_least_bigint(say: Client, server: Server) -> None:
    least = say.value("SELECT -9223372036854775808")
    assert least == -9223372036854775808
    assert isinstance(least, int if server.version >= (4,) else Decimal)
    assert say.value("SELECT -(9223372036854775808)") == least
    assert say.value("SELECT -9223372036854775809") == Decimal(-9223372036854775809)
    assert say.value("SELECT 9223372036854775808") == 9223372036854775808


@pytest.fixture
def groups(say: Client) -> Client:
    """`say` in database ~, with tables g(a, b), p(id, v) and, empty, e(a, b)."""
    say.ok(
        "CREATE DATABASE ~",
        "USE ~",
        "CREATE TABLE g (a INT, b INT)",
        "INSERT INTO g VALUES (1, 1), (1, 2), (2, 3)",
        "CREATE TABLE p (id INT PRIMARY KEY, v VARCHAR(10))",
        "INSERT INTO p VALUES (1, 'a'), (2, 'b')",
        "CREATE TABLE e (a INT, b INT)",
    )
    return say


UNGROUPED = [
    ("SELECT id, COUNT(*) FROM p", "p.id"),
    ("SELECT COUNT(*), id + 1 FROM p", "p.id"),
    ("SELECT a, SUM(b) FROM g", "g.a"),
    ("SELECT MAX(a) + a FROM g", "g.a"),
    ("SELECT *, COUNT(*) FROM g", "g.a"),
    ("SELECT * FROM g GROUP BY a", "g.b"),
    ("SELECT x.* FROM g x GROUP BY a", "x.b"),
    ("SELECT SUM(b) OVER (), SUM(b) FROM g", "g.b"),
    ("SELECT a, SUM(b) s FROM g GROUP BY a HAVING b > 1", "g.b"),
    ("SELECT a, SUM(b) b FROM g GROUP BY a HAVING b > 1", "g.b"),
    ("SELECT a FROM g HAVING a > 1", "g.a"),
    ("SELECT a FROM g HAVING COUNT(*) > 1", "g.a"),
    ("SELECT a, SUM(b) s FROM g GROUP BY a ORDER BY b", "g.b"),
    ("SELECT a + 1, SUM(b) FROM g GROUP BY a + 1 ORDER BY a", "g.a"),
    ("SELECT COUNT(*) FROM g ORDER BY a", "g.a"),
    ("SELECT a FROM g ORDER BY COUNT(*)", "g.a"),
]


@pytest.mark.parametrize(("query", "column"), UNGROUPED, ids=[q for q, _ in UNGROUPED])
def test_columns_must_be_grouped(groups: Client, server: Server, query: str, column: str) -> None:
    if is_main(server) and query == "SELECT a FROM g HAVING a > 1":
        assert groups.rows(query) == [(2,)]
        return
    assert groups.error(query) == ungrouped(column)


def ungrouped(column: str) -> tuple[int, str]:
    text = "must appear in the GROUP BY clause or be used in an aggregate function"
    return 1149, f'SQL syntax error: column "{column}" {text}'


def no_column(name: str) -> tuple[int, str]:
    return 1054, f"invalid input: column {name} does not exist"


FILTERED: list[tuple[str, tuple[int, str] | None, object]] = [
    ("SELECT a FROM g HAVING 1 = 1", None, [(1,), (1,), (2,)]),
    ("SELECT 1 one FROM g HAVING one = 1", None, [(1,), (1,), (1,)]),
    ("SELECT a FROM g HAVING (SELECT MAX(b) FROM g) > 1", None, [(1,), (1,), (2,)]),
    ("SELECT * FROM g HAVING b > 2", ungrouped("g.b"), [(2, 3)]),
    ("SELECT a z FROM g WHERE b > 0 HAVING z > 1", ungrouped("g.a"), [(2,)]),
    ("SELECT a z FROM g HAVING g.a > 1", ungrouped("g.a"), [(2,)]),
    ("SELECT b a, a z FROM g HAVING a > 1", ungrouped("g.a"), [(2, 1), (3, 2)]),
    ("SELECT a + b c FROM g HAVING c > 3", ungrouped("g.a"), [(5,)]),
    ("SELECT DISTINCT a FROM g HAVING a IN (SELECT id FROM p)", ungrouped("g.a"), [(1,), (2,)]),
    ("SELECT a FROM g HAVING b > 1", ungrouped("g.b"), ungrouped("b")),
    ("SELECT a FROM g HAVING g.b > 1", ungrouped("g.b"), ungrouped("g.b")),
    ("SELECT a + 1 FROM g HAVING a > 1", ungrouped("g.a"), ungrouped("a")),
    ("SELECT a, COUNT(*) FROM g HAVING b > 1", ungrouped("g.b"), ungrouped("g.b")),
    ("SELECT MAX(a) a FROM g HAVING a > 1", ungrouped("g.a"), ungrouped("g.a")),
    ("SELECT a FROM g HAVING nope > 1", ungrouped("nope"), no_column("nope")),
    ("SELECT a FROM g GROUP BY a HAVING nope > 1", ungrouped("nope"), no_column("nope")),
    (
        "SELECT a FROM g HAVING x.b > 1",
        ungrouped("x.b"),
        (20301, "invalid input: missing FROM-clause entry for table 'x'"),
    ),
]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(("query", "old", "new"), FILTERED, ids=[q for q, *_ in FILTERED])
def test_having_filters_rows(
    groups: Client, server: Server, query: str, old: tuple[int, str] | None, new: object
) -> None:
    """HAVING of a query that groups and aggregates nothing; on main by columns and aliases."""
    if old is not None and not is_main(server):
        assert groups.error(query) == old
    elif isinstance(new, tuple):
        assert groups.error(query) == new
    else:
        assert groups.rows(query) == new


@pytest.mark.usefixtures("since_3")
def test_a_key_of_a_group_that_is_not_there(groups: Client, server: Server) -> None:
    code = 1054 if is_main(server) else 20301
    error = groups.error("SELECT * FROM g GROUP BY nope")
    assert error == (code, "invalid input: column nope does not exist")


GROUPED = [
    ("SELECT a, SUM(b) b FROM g GROUP BY a ORDER BY b, a", [(1, 3), (2, 3)]),
    ("SELECT a x FROM g GROUP BY a HAVING x > 1", [(2,)]),
    ("SELECT a + 1 x, SUM(b) FROM g GROUP BY x ORDER BY x", [(2, 3), (3, 3)]),
    ("SELECT g.a + 1, SUM(b) FROM g GROUP BY a + 1 ORDER BY a + 1", [(2, 3), (3, 3)]),
    ("SELECT x.a, SUM(b) FROM g x GROUP BY a HAVING x.a > 0 ORDER BY a", [(1, 3), (2, 3)]),
    ("SELECT COUNT(*) FROM g HAVING COUNT(*) > 1", [(3,)]),
    ("SELECT COUNT(*) FROM g HAVING COUNT(*) > 9", []),
    ("SELECT a FROM g GROUP BY 1 ORDER BY COUNT(*)", [(2,), (1,)]),
    ("SELECT COUNT(*) FROM g WHERE a IN (SELECT a FROM g GROUP BY a HAVING SUM(b) > 1)", [(3,)]),
    ("SELECT g.* FROM g GROUP BY a, b ORDER BY 1, 2", [(1, 1), (1, 2), (2, 3)]),
    ("SELECT a, SUM(SUM(b)) OVER () FROM g GROUP BY a ORDER BY a", [(1, 6), (2, 6)]),
]


@pytest.mark.parametrize(("query", "rows"), GROUPED, ids=[q for q, _ in GROUPED])
def test_grouped(groups: Client, query: str, rows: list[tuple[object, ...]]) -> None:
    assert list(groups.ok(query).rows) == rows


CORRELATED = [
    ("SELECT a, (SELECT MAX(v) FROM p WHERE p.id = g.a) FROM g GROUP BY a ORDER BY a", "g.a"),
    ("SELECT a FROM g GROUP BY a HAVING EXISTS (SELECT 1 FROM p WHERE p.id = g.a)", "g.a"),
    ("SELECT a FROM g GROUP BY a ORDER BY (SELECT MAX(v) FROM p WHERE p.id = g.a)", "g.a"),
    ("SELECT a, (SELECT COUNT(*) FROM p WHERE p.id = g.b) FROM g GROUP BY a", "g.b"),
    ("SELECT COUNT(*), (SELECT MAX(v) FROM p WHERE p.id = g.a) FROM g", "g.a"),
]


@pytest.mark.parametrize(("query", "column"), CORRELATED, ids=[q for q, _ in CORRELATED])
def test_subqueries_of_grouped_queries(
    groups: Client, server: Server, query: str, column: str
) -> None:
    """3.x takes no column of the grouped query in them, grouped or not."""
    error = groups.error(query)
    if server.version >= (4,) and column == "g.a" and "GROUP BY a" in query:
        assert error is None
    else:
        assert error is not None
        assert error[1].startswith(f'SQL syntax error: column "{column}" must appear')


def test_two_pipes(groups: Client, server: Server) -> None:
    """Texts joined in 3.x, OR from 4.x on, but with PIPES_AS_CONCAT."""
    either = groups.ok("SELECT 1 || 0, NULL || 1")
    if server.version >= (4,):
        assert (either.labels, either.rows) == (["1 or 0", "null or 1"], [(1, 1)])
        assert groups.error("SELECT 'a' || 'b'") == (
            20301,
            "invalid input: 'a' is not a valid bool expression",
        )
    else:
        assert (either.labels, either.rows) == (["concat(1, 0)", "concat(null, 1)"], [("10", None)])
    groups.ok("SET sql_mode = 'PIPES_AS_CONCAT'")
    joined = groups.ok("SELECT 'a' || v, v || id FROM p WHERE id = 1")
    assert (joined.labels, joined.rows) == (["concat(a, v)", "concat(v, id)"], [("aa", "a1")])


def test_double_quotes_of_names(groups: Client, server: Server) -> None:
    """3.x takes them for texts in every mode."""
    groups.ok("SET sql_mode = 'ANSI_QUOTES'")
    rows = groups.ok('SELECT "id" FROM p ORDER BY 1').rows
    assert rows == ([(1,), (2,)] if server.version >= (4,) else [("id",), ("id",)])
    assert (groups.error('CREATE TABLE "q" (a INT)') is None) == (server.version >= (4,))


def test_aggregates_where_none_may_be(groups: Client) -> None:
    assert groups.error("SELECT SUM(b) FROM g WHERE SUM(b) > 1") == (
        1149,
        "SQL syntax error: aggregate function sum not allowed in WHERE clause",
    )
    assert groups.error("SELECT SUM(MAX(b)) FROM g") == (
        1149,
        "SQL syntax error: aggregate function max calls cannot be nested",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT (SELECT id FROM p)",
        "SELECT * FROM g WHERE (SELECT b FROM g) = 1",
        "SELECT (SELECT h.b FROM g h WHERE h.a = g.a) FROM g",
        "SELECT (SELECT id FROM p UNION SELECT 3)",
        "UPDATE g SET a = (SELECT id FROM p)",
    ],
)
def test_a_scalar_subquery_has_one_row(groups: Client, server: Server, statement: str) -> None:
    code, text = 1242, "Subquery returns more than 1 row"
    if server.version < (4,):
        code, text = 20101, "internal error: scalar subquery returns more than 1 row"
    assert groups.error(statement) == (code, text)


def test_scalar_subqueries_of_one_row_or_none(groups: Client) -> None:
    assert groups.value("SELECT (SELECT b FROM e)") is None
    assert groups.value("SELECT (SELECT id FROM p WHERE id = 2)") == 2
    assert groups.value("SELECT (SELECT v FROM p ORDER BY id DESC LIMIT 1)") == "b"
    assert groups.value("SELECT (SELECT COUNT(*) FROM p)") == 2
    assert groups.rows("SELECT a FROM g WHERE b = (SELECT MAX(h.b) FROM g h WHERE h.a = g.a)") == [
        (1,),
        (2,),
    ]


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE g SET a = (SELECT MAX(b) FROM g)", "g"),
        ("UPDATE g x SET x.b = 1 WHERE x.a IN (SELECT a FROM g WHERE a = 9)", "g"),
        ("UPDATE g SET b = b WHERE a = (SELECT MAX(a) FROM e WHERE a IN (SELECT a FROM g))", "g"),
        ("DELETE FROM p WHERE id IN (SELECT id FROM p WHERE id = 7)", "p"),
        ("DELETE FROM ~.p WHERE id IN (SELECT id FROM p WHERE id = 7)", "p"),
    ],
)
def test_the_changed_table_in_a_subquery(
    groups: Client, server: Server, statement: str, table: str
) -> None:
    """Refused from 4.x on."""
    refused = (1093, f"You can't specify target table '{table}' for update in FROM clause")
    assert groups.error(statement) == (refused if server.version >= (4,) else None)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM p WHERE id IN (SELECT id FROM (SELECT id FROM p WHERE id = 7) x)",
        "UPDATE g SET b = 1 WHERE EXISTS (SELECT 1 FROM g h WHERE h.a = g.a + 9)",
        "UPDATE g JOIN (SELECT MAX(a) m FROM g) x ON g.a = x.m SET g.b = g.b",
    ],
)
def test_the_changed_table_where_it_may_be_read(groups: Client, statement: str) -> None:
    groups.ok(statement)


NEAR = [
    ("SELECT * FROM p FOR UPDATE NOWAIT", 33, " NOWAIT"),
    ("SELECT * FROM p FOR UPDATE SKIP LOCKED", 31, " SKIP LOCKED"),
    ("SELECT * FROM p FOR UPDATE OF p", 29, " OF p"),
    ("SELECT id FROM p OFFSET 1", 25, " 1"),
    ("SELECT 1 == 1", 11, "= 1"),
    ("SELECT 1 INTO @x", 16, " @x"),
    ("SELECT MIN(1,2)", 13, ",2)"),
    ("SELECT SUM(1,2)", 13, ",2)"),
    ("SELECT COUNT()", 14, ")"),
    ("SELECT MAX()", 12, ")"),
    ("ROLLBACK AND RELEASE", 20, " RELEASE"),
    ("ROLLBACK AND", 12, ""),
    ("ROLLBACK FOO", 12, " FOO"),
    ("COMMIT FOO", 10, " FOO"),
    ("COMMIT 1", 8, " 1"),
]


def unread(column: int, near: str) -> tuple[int, str]:
    return 1064, (
        "SQL parser error: You have an error in your SQL syntax; check the manual that corresponds "
        "to your MatrixOne server version for the right syntax to use. syntax error at line 1 "
        f'column {column} near "{near}";'
    )


@pytest.mark.parametrize(("statement", "column", "near"), NEAR, ids=[n[0] for n in NEAR])
def test_what_cannot_be_read(
    groups: Client, server: Server, statement: str, column: int, near: str
) -> None:
    if is_main(server) and statement.endswith(("OFFSET 1", "INTO @x")):
        groups.ok(statement)
    else:
        assert groups.error(statement) == unread(column, near)


def test_offset_alone(groups: Client, server: Server) -> None:
    """After 4.2.0 without a LIMIT, too."""
    groups.ok("INSERT INTO p VALUES (3, 'c')")
    limited = groups.rows("SELECT id FROM p ORDER BY id LIMIT 9 OFFSET 1")
    assert limited == [(2,), (3,)]
    if is_main(server):
        assert groups.rows("SELECT id FROM p ORDER BY id OFFSET 1") == limited


def test_an_unread_rollback_does_nothing(groups: Client) -> None:
    groups.ok("BEGIN", "INSERT INTO e VALUES (1, 1)")
    assert groups.error("ROLLBACK AND RELEASE") == unread(20, " RELEASE")
    assert groups.value("SELECT COUNT(*) FROM e") == 1
    groups.ok("ROLLBACK WORK")
    assert groups.value("SELECT COUNT(*) FROM e") == 0


def test_for_share(groups: Client, server: Server) -> None:
    """Since 4.x."""
    old = server.version < (4,)
    assert groups.error("SELECT * FROM p FOR SHARE") == (unread(25, " SHARE") if old else None)
    assert groups.error("SELECT * FROM p LOCK IN SHARE MODE") == (
        unread(20, " LOCK IN SHARE MODE") if old else None
    )


def test_do(groups: Client) -> None:
    assert groups.error("DO 1") == (20105, "not supported: do 1")
    groups.ok("BEGIN")
    assert groups.error("DO 1") == (
        20101,
        "internal error: unclassified statement appears in uncommitted transaction",
    )
    groups.ok("ROLLBACK")


MOMENTS = [
    (
        "TIMESTAMP = '2099-01-01 00:00:00'",
        20203,
        "invalid argument invalid timestamp value, no corresponding snapshot , bad value "
        "2099-01-01 00:00:00",
    ),
    (
        "TIMESTAMP = '1960-01-01 00:00:00'",
        20203,
        "invalid argument invalid timestamp value, bad value 1960-01-01 00:00:00",
    ),
    ("MO_TS = 0", 20203, "invalid argument invalid timestamp value, bad value 0"),
    ("MO_TS = -1", 20203, "invalid argument invalid timestamp value, bad value -1"),
    ("MO_TS = 'x'", 20301, "invalid input: invalid debug timestamp string: x"),
    ("MO_TS = '5'", 20301, "invalid input: invalid debug timestamp string: 5"),
]


@pytest.mark.parametrize(("moment", "code", "text"), MOMENTS, ids=[m[0] for m in MOMENTS])
def test_moments_that_are_none(groups: Client, moment: str, code: int, text: str) -> None:
    assert groups.error(f"SELECT * FROM p {{{moment}}}") == (code, text)


def test_no_sum_of_truths(groups: Client, server: Server) -> None:
    """But in 3.0.18, where they have no average either."""
    summed = is_3_0_18(server)
    if summed:
        groups.ok("CREATE TABLE q (b BOOL)", "INSERT INTO q VALUES (TRUE), (TRUE), (FALSE), (NULL)")
        for what in ("SUM(b)", "SUM(b) OVER ()", "SUM(NOT b) + 1", "SUM(b IS NOT NULL) - 1"):
            assert groups.value(f"SELECT {what} FROM q LIMIT 1") == 2
        assert groups.value("SELECT SUM(b) FROM q WHERE b > 1") is None
    for name in ("avg", "variance") if summed else ("sum", "avg", "variance"):
        assert groups.error(f"SELECT {name}(1 = 1)") == (
            20203,
            f"invalid argument aggregate function {name}, bad value [BOOL]",
        )


def test_floats_have_a_greatest(groups: Client) -> None:
    groups.ok("CREATE TABLE f (x FLOAT)")
    refused = 1690, "data out of range: data type float32, value '1e+39'"
    assert groups.error("INSERT INTO f VALUES (1e39)") == refused
    groups.ok("INSERT INTO f VALUES (1)")
    assert groups.error("UPDATE f SET x = 1e39") == refused


def test_rows_of_defaults(groups: Client) -> None:
    assert groups.ok("INSERT INTO e VALUES (), ()").affected == 2
    assert groups.rows("SELECT * FROM e") == [(None, None)] * 2


def test_union_of_different_widths(groups: Client) -> None:
    assert groups.error("SELECT a FROM g UNION SELECT a, b FROM g") == (
        1064,
        "SQL parser error: SELECT statements have different number of columns",
    )


def test_delete_using(groups: Client) -> None:
    assert groups.ok("DELETE FROM g USING g, e WHERE g.a = e.a").affected == 0
    assert groups.ok("DELETE FROM g USING g, p WHERE g.b = p.id").affected == 2
    assert groups.rows("SELECT * FROM g") == [(2, 3)]
    assert groups.rows("SELECT id FROM p") == [(1,), (2,)]


@pytest.mark.parametrize("quotient", ["1 / 0", "5 DIV 0"])
def test_division_by_zero(groups: Client, server: Server, quotient: str) -> None:
    """NULL where 4.x reads, an error where it writes."""
    refused = 1365, "division by zero"
    whole = is_3_0_18(server) and "DIV" in quotient
    is_null = whole or server.version >= (4,)
    assert groups.error(f"SELECT {quotient}") == (None if is_null else refused)
    assert groups.error(f"INSERT INTO e VALUES ({quotient}, 1)") == (None if whole else refused)


DIVISIONS = [
    ("a DIV (a - a)", True),
    ("(a + 1) DIV 0", True),
    ("5.0 DIV 0", True),
    ("a DIV 0", False),
    ("5e0 DIV 0", False),
    ("5 DIV '0'", False),
]


@pytest.mark.parametrize(("quotient", "is_null"), DIVISIONS, ids=[d[0] for d in DIVISIONS])
def test_whole_divisions_by_zero(
    groups: Client, server: Server, quotient: str, is_null: bool
) -> None:
    """3.0.18 has NULL, even where it writes, but not always."""
    if not is_3_0_18(server):
        pytest.skip("of 3.0.18")
    error = groups.error(f"UPDATE g SET b = {quotient} WHERE a = 2")
    assert error == (None if is_null else (1365, "division by zero"))
    assert groups.rows("SELECT b FROM g WHERE a = 2") == [(None if is_null else 3,)]


def test_joins_in_brackets(groups: Client) -> None:
    """SQLAlchemy's joinedload of a secondary writes these."""
    groups.ok("CREATE TABLE q (id INT)", "INSERT INTO q VALUES (1), (2), (3)")
    rows = groups.rows(
        "SELECT q.id, p.id, g.b FROM q LEFT OUTER JOIN (p AS p INNER JOIN g AS g "
        "ON g.a = p.id AND g.b > 1) ON q.id = p.id ORDER BY 1"
    )
    assert rows == [(1, 1, 2), (2, 2, 3), (3, None, None)]


QUANTIFIED = [
    ("= ANY (SELECT b FROM g)", [(1,), (2,)]),
    ("= SOME (SELECT b FROM g WHERE b = 2)", [(2,)]),
    ("> ANY (SELECT id FROM p)", [(2,)]),
    (">= ALL (SELECT id FROM p)", [(2,)]),
    ("<> ALL (SELECT 2)", [(1,)]),
    ("> ALL (SELECT a FROM e)", [(1,), (2,)]),
    ("> ANY (SELECT a FROM e)", []),
]


@pytest.mark.parametrize(("condition", "rows"), QUANTIFIED, ids=[q for q, _ in QUANTIFIED])
def test_any_and_all(groups: Client, condition: str, rows: list[tuple[object, ...]]) -> None:
    assert groups.rows(f"SELECT id FROM p WHERE id {condition} ORDER BY id") == rows


def test_any_and_all_of_null(groups: Client) -> None:
    """NULL where the rows that are none decide nothing."""
    groups.ok(
        "CREATE TABLE n (id INT PRIMARY KEY, v INT)", "INSERT INTO n VALUES (1, 5), (2, NULL)"
    )
    compared = {
        "v > ALL (SELECT id FROM p)": [1, None],
        "v < ANY (SELECT id FROM p)": [0, None],
        "9 > ALL (SELECT v FROM n)": [None, None],
        "4 > ALL (SELECT v FROM n)": [0, 0],
        "9 > ANY (SELECT v FROM n)": [1, 1],
        "4 > ANY (SELECT v FROM n)": [None, None],
        "v > ALL (SELECT a FROM e)": [1, 1],
        "v > ANY (SELECT a FROM e)": [0, 0],
    }
    for condition, expected in compared.items():
        truths = {"true": 1, "false": 0, None: None, 1: 1, 0: 0}
        shown = groups.ok(f"SELECT {condition} FROM n ORDER BY id").column
        assert [truths[cell] for cell in shown] == expected, condition


def test_null_safe_equality(groups: Client, server: Server) -> None:
    """3.0.9 has not `<=>`."""
    found = groups("SELECT id FROM p WHERE NULL <=> NULL AND NOT (id <=> 2)")
    if server.version < (3, 0, 18):
        assert found.error == (20102, "'' is not yet implemented")
    else:
        assert found.column == [1]


def test_parts_of_null(groups: Client) -> None:
    groups.ok("CREATE TABLE n (t TIME, m DATETIME)", "INSERT INTO n VALUES (NULL, NULL)")
    parts = "EXTRACT(HOUR FROM t), EXTRACT(MONTH FROM m), EXTRACT(DAY FROM m)"
    assert groups.rows(f"SELECT {parts} FROM n") == [(None, None, None)]


def test_negative_numbers_keep_their_type(groups: Client) -> None:
    groups.ok(
        "CREATE TABLE n (t TINYINT, s SMALLINT, i INT, b BIGINT)", "INSERT INTO n VALUES (1,2,3,4)"
    )
    with groups.connection.cursor() as cursor:
        cursor.execute("SELECT -t, -s, -i, -b FROM n")
        assert [column[1] for column in cursor.description] == [1, 2, 3, 8]
        assert cursor.fetchall() == ((-1, -2, -3, -4),)


def test_labels_of_intervals_and_of_joined_texts(groups: Client, server: Server) -> None:
    labels = groups.ok("SELECT now() + interval 1 day, date_add(now(), interval 2 hour)").labels
    if server.version < (3, 0, 18):
        assert labels == ["now() + interval(1, day)", "date_add(now(), interval(2, hour))"]
    else:
        assert labels == ["now() + INTERVAL 1 day", "date_add(now(), INTERVAL 2 hour)"]
    joined = "SELECT group_concat(v), group_concat(distinct v order by v desc separator '|') FROM p"
    labels = groups.ok(joined).labels
    if server.version < (4,):
        assert labels == ["group_concat(v, ,)", "group_concat(distinct v, |order by v desc)"]
    else:
        assert labels == [
            "group_concat(v separator ,)",
            "group_concat(distinct v order by v desc separator |)",
        ]


def test_an_update_of_a_join_takes_the_first_row(groups: Client) -> None:
    groups.ok("UPDATE p JOIN g ON g.a = p.id SET p.v = g.b")
    assert groups.rows("SELECT * FROM p ORDER BY id") == [(1, "1"), (2, "3")]


def test_insert_of_a_union(groups: Client, server: Server) -> None:
    """The brackets make the difference, but not on main."""
    union = "SELECT 5, 6 UNION ALL SELECT 7, 8"
    refused = (
        None if is_main(server) else (20301, "invalid input: insert has unknown select statement")
    )
    for statement in ("INSERT INTO e", "INSERT INTO e (a, b)", "REPLACE INTO e"):
        assert groups.error(f"{statement} {union}") == refused
        assert groups.ok(f"{statement} ({union})").affected == 2
    assert groups.ok(f"INSERT INTO e SELECT * FROM ({union}) q").affected == 2


def test_a_column_that_a_query_in_from_shows_twice(groups: Client, server: Server) -> None:
    twice = "(SELECT a, A FROM g) q"
    for query in (f"SELECT * FROM {twice}", f"SELECT q.a FROM {twice}", f"SELECT q.* FROM {twice}"):
        assert groups.error(query) == (20301, "invalid input: ambiguous column reference 'q.a'")
    word = "ambiguous" if server.version >= (4,) else "ambiguouse"
    unclear = (20301, f"invalid input: {word} column reference to 'a'")
    assert groups.error(f"SELECT a FROM {twice}") == unclear
    assert groups.error("SELECT a FROM g x JOIN g y ON x.b = y.b") == unclear
    assert groups.value(f"SELECT COUNT(*) FROM {twice}") == 3


def test_table_is_no_statement(groups: Client) -> None:
    error = groups.error("TABLE g")
    assert error is not None
    assert error[0] == 1064
    assert 'column 5 near "TABLE g"' in error[1]


def test_a_text_is_read_before_any_of_it_runs(groups: Client) -> None:
    for second in ("nonsense", "SELECT FROM", "CREATE TABLE", "INSERT INTO"):
        error = groups.error(f"INSERT INTO e VALUES (1, 1); {second}")
        assert error is not None, second
        assert error[0] == 1064, second
    assert groups.rows("SELECT * FROM e") == []


@pytest.mark.parametrize("text", [";", "-- a", "/* a */"])
def test_a_text_without_a_statement(groups: Client, text: str) -> None:
    """It is one that no transaction takes, and that begins one."""
    assert groups.error(text) is None
    groups.ok("SET autocommit = 0")
    assert groups(text).in_transaction
    refused = internal("unclassified statement appears in uncommitted transaction")
    assert groups.error(text) == refused
    groups.ok("ROLLBACK", "SET autocommit = 1", "BEGIN")
    assert groups.error(text) == refused
    groups.ok("COMMIT")


def test_enums_are_sorted_by_their_places_since_4(groups: Client, server: Server) -> None:
    groups.ok(
        "CREATE TABLE c (id INT, v ENUM('z','a','m'))",
        "INSERT INTO c VALUES (1, 'z'), (2, 'a'), (3, 'm'), (4, NULL)",
    )
    places = ["z", "a", "m"] if server.version >= (4,) else ["a", "m", "z"]
    assert groups.ok("SELECT v FROM c ORDER BY v").column == [None, *places]
    assert groups.ok("SELECT DISTINCT v FROM c ORDER BY v DESC").column == [*places[::-1], None]


@pytest.mark.parametrize("value", ["v", "n", "if(n = 1, 'a', 'm')", "concat(v, '')", "n + 1"])
def test_an_enum_is_not_set_from_columns(groups: Client, value: str) -> None:
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, v ENUM('z','a','m'), n INT, d DATETIME)",
        "INSERT INTO c VALUES (1, 'z', 1, '2020-01-01'), (2, 'a', 2, '2020-01-01')",
    )
    assert groups.error(f"UPDATE c SET v = {value}") == (
        20301,
        f"invalid input: ambiguous column reference '{'v' if 'v' in value else 'n'}'",
    )
    groups.ok("UPDATE c SET v = 'm', n = n + 1, d = d WHERE id IN (1)")
    assert groups.rows("SELECT v, n FROM c ORDER BY id") == [("m", 2), ("a", 2)]


def test_an_enum_in_an_update_of_a_join(groups: Client, server: Server) -> None:
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, v ENUM('z','a','m'), n INT)",
        "CREATE TABLE d (id INT PRIMARY KEY, n INT)",
        "INSERT INTO c VALUES (1, 'z', 1)",
        "INSERT INTO d VALUES (1, 5)",
        "UPDATE c, d SET c.n = d.n WHERE c.id = d.id AND c.v <> 'a'",
    )
    takes = server.version >= (4,) and not is_main(server)
    for value in ("'m'", "NULL"):
        change = f"UPDATE c, d SET c.v = {value} WHERE c.id = d.id"
        if takes:
            groups.ok(change)
        else:
            text = "aggregate function any_value, bad value [ENUM]"
            if is_main(server):
                text = "operator <=>, bad value [ENUM SMALLINT UNSIGNED]"
            assert groups.error(change) == (20203, f"invalid argument {text}")
    left = None if takes else "z"
    assert groups.rows("SELECT v, n FROM c") == [(left, 5)]


def test_a_set_is_not_set_from_columns(groups: Client, server: Server) -> None:
    """The catalogue has it as a number, and its members beside."""
    if server.version < (4,):
        pytest.skip("no SET")
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, v SET('x','y'), n BIGINT UNSIGNED)",
        "INSERT INTO c VALUES (1, 'x,y', 1)",
    )
    for value in ("v", "concat(v, '')"):
        text = "invalid input: ambiguous column reference 'v'"
        assert groups.error(f"UPDATE c SET v = {value}") == (20301, text)
    groups.ok("UPDATE c SET v = 'y'")
    assert groups.rows("SELECT v FROM c") == [("y",)]
    assert groups.rows(
        "SELECT attname, mo_show_visible_bin(atttyp, 2), length(attr_enum) > 0 FROM "
        "mo_catalog.mo_columns WHERE att_database = database() AND att_relname = 'c' "
        "AND attname IN ('v', 'n') ORDER BY attname"
    ) == [("n", "BIGINT UNSIGNED", 0), ("v", "BIGINT UNSIGNED", 1)]


def test_vectors_as_texts(groups: Client) -> None:
    """None is cast to another type; hex() gives the bytes of its numbers."""
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, a VECF32(2), b VECF64(2))",
        "INSERT INTO c VALUES (1, '[0.10,-2]', '[0.1, 1e3]'), (2, NULL, NULL)",
    )
    for cast, target in (("a AS CHAR(9)", "VECF32 CHAR"), ("b AS SIGNED", "VECF64 BIGINT")):
        assert groups.error(f"SELECT CAST({cast}) FROM c") == no_cast(target)
    assert groups.rows("SELECT a, b, hex(a), hex(b) FROM c ORDER BY id") == [
        ("[0.1, -2]", "[0.1, 1000]", "cdcccc3d000000c0", "9a9999999999b93f0000000000408f40"),
        (None, None, None, None),
    ]
    assert groups.rows("SELECT a, count(*) FROM c GROUP BY a ORDER BY hex(a)") == [
        (None, 1),
        ("[0.1, -2]", 1),
    ]


def test_a_vector_in_an_update_of_a_join(groups: Client, server: Server) -> None:
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, v VECF32(2))",
        "CREATE TABLE d (id INT PRIMARY KEY, v VECF32(2))",
        "INSERT INTO c VALUES (1, '[1, 2]')",
        "INSERT INTO d VALUES (1, '[3, 4]')",
    )
    change = "UPDATE c, d SET c.v = d.v WHERE c.id = d.id"
    if server.version >= (4,):
        groups.ok(change)
    else:
        text = "invalid argument aggregate function any_value, bad value [VECF32]"
        assert groups.error(change) == (20203, text)
        groups.ok("UPDATE c SET v = '[3, 4]'")
    assert groups.rows("SELECT v FROM c") == [("[3, 4]",)]


def test_coalesce_of_a_uuid(groups: Client, server: Server) -> None:
    """With no NULL that is written out."""
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, v UUID)",
        "INSERT INTO c VALUES (1, '6d1b1f73-2dbf-11ed-940f-000c29847904'), (2, NULL)",
    )
    if not is_main(server):
        assert groups.error("SELECT coalesce(v, NULL) FROM c") == no_cast("ANY UUID")
    found = groups.ok("SELECT coalesce(v, v) FROM c ORDER BY id").column
    assert found == ["6d1b1f73-2dbf-11ed-940f-000c29847904", None]


def test_bits_as_texts_and_as_numbers(groups: Client) -> None:
    """A text of the bytes, and a number of all 64 bits."""
    groups.ok(
        "CREATE TABLE c (id INT PRIMARY KEY, b BIT(64), s BIT(8))",
        "INSERT INTO c VALUES (1, 18446744073709551615, 65), (2, 1, 66), (3, NULL, NULL)",
    )
    found = groups.rows("SELECT CAST(b AS UNSIGNED), CAST(s AS CHAR) FROM c ORDER BY id")
    assert found == [(18446744073709551615, "A"), (1, "B"), (None, None)]
    assert groups.ok("SELECT id FROM c ORDER BY CAST(b AS UNSIGNED)").column == [3, 2, 1]
    assert groups.rows("SELECT b FROM c WHERE id < 3 ORDER BY id") == [
        (b"\xff" * 8,),
        (b"\0" * 7 + b"\1",),
    ]


def no_cast(pair: str) -> tuple[int, str]:
    return 20203, f"invalid argument operator cast, bad value [{pair}]"


BESIDE_JSON = [
    ('{"a": 1}', "+ 0", no_cast("JSON BIGINT")),
    ('{"a": 1}', "+ 0.0", no_cast("JSON DOUBLE")),
    ('{"a": 1}', "> 0", no_cast("JSON BIGINT")),
    ('{"a": true}', "= true", no_cast("JSON BOOL")),
    ('{"a": "x"}', "= 'x'", (20301, "invalid input: json text x")),
]


@pytest.mark.parametrize(("document", "beside", "old"), BESIDE_JSON)
def test_json_beside_other_types(
    say: Client, server: Server, document: str, beside: str, old: tuple[int, str]
) -> None:
    """Since 3.0.18 a number is read out of it, in 4.x a text too, and a BOOL on main."""
    answer = say(f"SELECT JSON_EXTRACT('{document}', '$.a') {beside}")
    since = (4,) if "'" in beside else (3, 0, 18)
    if server.version < since or ("true" in beside and not is_main(server)):
        assert answer.error == old
    else:
        assert answer.value == 1


TRUTHS_IN_JSON = [
    ("false", 0),
    ("1.5", 1),
    ("0.0", 0),
    ('"TRUE"', 1),
    ('"f"', 0),
    ('"2.5"', 1),
    ("null", None),
    ('"yes"', no_cast("JSON -> BOOL")),
    ('""', no_cast("JSON -> BOOL")),
    ("[1]", no_cast("JSON -> BOOL")),
]


@pytest.mark.usefixtures("of_main")
@pytest.mark.parametrize(("value", "truth"), TRUTHS_IN_JSON)
def test_truths_in_json(say: Client, value: str, truth: object) -> None:
    document = f"JSON_EXTRACT('{{\"a\": {value}}}', '$.a')"
    for expression in (f"{document} = true", f"true = {document}", f"CAST({document} AS BOOL)"):
        answer = say(f"SELECT {expression}")
        assert (answer.error or answer.value) == truth


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("operator", ["+", "-"])
def test_truths_are_not_added_to_json(say: Client, operator: str) -> None:
    document = "JSON_EXTRACT('{\"a\": 1}', '$.a')"
    text = f"invalid argument operator {operator}, bad value "
    assert say.error(f"SELECT true {operator} {document}") == (20203, f"{text}[BOOL JSON]")
    assert say.error(f"SELECT {document} {operator} true") == (20203, f"{text}[JSON BOOL]")


@pytest.mark.usefixtures("since_3")
def test_variables(groups: Client, server: Server) -> None:
    """Up to 4.2 those that are not set are an error, and SELECT shows TEXT, whatever was set."""
    groups.ok("SET @i = 1", "SET @d = 1.5", "SET @t = 'x'", "SET @none = NULL")
    shown = (1, Decimal("1.5"), "x", None) if is_main(server) else ("1", "1.5", "x", None)
    assert groups.rows("SELECT @i, @d, @t, @none") == [shown]
    assert groups.value("SELECT @i + 1") == 2
    unset = internal("the user variable nope does not exist")
    for statement, value in (
        ("SELECT @nope + 1", None),
        ("SELECT @nope IS NULL", 1),
        ("SELECT CONCAT(@nope, 'a')", None),
        ("SELECT COALESCE(@nope, 5)", "5"),
        ("SELECT COUNT(*) FROM g WHERE a = @nope", 0),
    ):
        if is_main(server):
            assert groups.value(statement) == value, statement
        else:
            assert groups.error(statement) == unset, statement
    for statement in ("SET @x = @nope", "INSERT INTO e VALUES (@nope, 1)"):
        assert groups.error(statement) == (None if is_main(server) else unset)
    assert groups.error("PREPARE s FROM @nope") == unset


BITS = [
    "x'4142'",
    "b'1000001'",
    "COALESCE(0x41, 'a')",
    "CASE WHEN 1 = 1 THEN x'41' ELSE 'b' END",
    "MAX(x'41')",
    "NULLIF(x'41', 'b')",
]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("expression", BITS)
def test_bytes_that_are_written_out(say: Client, server: Server, expression: str) -> None:
    """Bytes on main, texts before; they are compared as texts."""
    found = say.value(f"SELECT {expression}")
    assert isinstance(found, bytes if is_main(server) else str)
    assert say.value(f"SELECT {expression} IN ('A', 'AB')") == say.value("SELECT true")


@pytest.mark.usefixtures("since_3")
def test_bytes_that_are_written_out_beside_texts(groups: Client) -> None:
    groups.ok("INSERT INTO p VALUES (65, x'4142')")
    for condition in ("v = x'4142'", "x'4142' = v", "v IN (0x4142)", "v LIKE x'4125'"):
        assert groups.rows(f"SELECT id FROM p WHERE {condition}") == [(65,)], condition
    shown = groups.rows("SELECT CAST(x'3132' AS SIGNED), HEX(x'41'), LENGTH(0x4142)")
    assert shown == [(12594, "41", 2)]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("value", ["nope", "CONCAT('a', nope)", "v"])
def test_values_name_no_column(groups: Client, value: str) -> None:
    name = "v" if value == "v" else "nope"
    ambiguous = (20301, f"invalid input: ambiguous column reference '{name}'")
    assert groups.error(f"INSERT INTO p (id, v) VALUES (9, {value})") == ambiguous
    assert groups.error(f"CREATE TABLE dd (v INT DEFAULT ({value}))") == ambiguous


@pytest.mark.usefixtures("since_3")
def test_columns_to_change_that_are_not_there(groups: Client, server: Server) -> None:
    """The code of main is that of any other missing column."""
    code = 1054 if is_main(server) else 20101
    text = "internal error: column 'nope' not found in table"
    assert groups.error("UPDATE p SET nope = 1") == (code, text)
    assert groups.error("UPDATE p x SET x.nope = 1") == (code, f"{text} x")
    upsert = groups.error("INSERT INTO p VALUES (9, 'a') ON DUPLICATE KEY UPDATE nope = 1")
    if is_main(server):
        assert upsert == (1054, "invalid input: column 'nope' does not exist")
    elif server.version >= (4,):
        assert upsert == (20313, "unsupported DML: update primary key on duplicate")
    else:
        assert upsert is None  # it looks for the column where a row conflicts only
    shown = "invalid input: column 'nope' does not exist"
    assert groups.error("SHOW VARIABLES WHERE nope = 1") == (20301, shown)


NUMBERS_IN_JSON = [
    ("1.5", "> 1", True, False),
    ("1.5", "= 1", False, True),
    ("1.5", "= 2", True, False),
    ("1.5", "IN (2, 3)", True, False),
    ("1.5", "> 1.2", True, True),
    ("1.5", "* 2", 4, 2),
    ('"2.5"', "* 2", 6, 4),
    ('"1.5"', "+ 1.5", 3.0, 3.0),
    ("2", "/ 4", 0.5, 0.5),
    ("null", "+ 1", None, None),
]


@pytest.mark.parametrize(("document", "beside", "rounded", "cut"), NUMBERS_IN_JSON)
def test_numbers_in_json(
    say: Client, server: Server, document: str, beside: str, rounded: object, cut: object
) -> None:
    """3.0.18 rounds one that is beside an integer, 4.x cuts it."""
    answer = say(f"SELECT CAST('{document}' AS JSON) {beside}")
    if server.version < (3, 0, 18):
        beside_integer = "." not in beside and "/" not in beside
        assert answer.error == no_cast("JSON BIGINT" if beside_integer else "JSON DOUBLE")
    else:
        assert answer.value == (rounded if is_3_0_18(server) else cut)


@pytest.mark.parametrize("document", ['"x"', "true", "[1]", "99999999999999999999"])
def test_what_is_no_number_in_json(say: Client, server: Server, document: str) -> None:
    wanted = no_cast("JSON BIGINT" if server.version < (3, 0, 18) else "JSON -> BIGINT")
    assert say.error(f"SELECT CAST('{document}' AS JSON) + 1") == wanted
    assert say.error(f"SELECT CAST('{document}' AS JSON) > 1") == wanted


def test_what_takes_no_json(say: Client) -> None:
    one = "CAST('1' AS JSON)"
    operator = "invalid argument operator {}, bad value [{}]"
    assert say.error(f"SELECT {one} + {one}") == (20203, operator.format("+", "JSON JSON"))
    assert say.error(f"SELECT {one} * '2'") == (20203, operator.format("*", "JSON VARCHAR"))
    assert say.error(f"SELECT -{one}") == (20203, operator.format("unary_minus", "JSON"))
    for name in ("sum", "avg", "max", "min"):
        text = f"invalid argument aggregate function {name}, bad value [JSON]"
        assert say.error(f"SELECT {name}({one})") == (20203, text)


def test_select_into_variables(groups: Client, server: Server) -> None:
    """After 4.2.0: one row at most, and none changes nothing."""
    if not is_main(server):
        assert groups.error("SELECT 1 INTO @x") == unread(16, " @x")
        return
    assert groups.ok("SELECT b, 'v' FROM g WHERE a = 2 INTO @x, @y").rows == []
    assert groups.ok("SELECT CAST(@x AS SIGNED), @y").rows == [(3, "v")]
    groups.ok("SELECT 7 INTO @x FROM p WHERE id = 1")
    assert groups.value("SELECT CAST(@x AS SIGNED)") == 7
    groups.ok("SELECT id INTO @x FROM p WHERE id > 9")
    assert groups.value("SELECT CAST(@x AS SIGNED)") == 7
    assert groups.error("SELECT id FROM p INTO @x") == (
        1172,
        "Result consisted of more than one row",
    )
    assert groups.error("SELECT 1, 2 INTO @x") == (
        1222,
        "The used SELECT statements have a different number of columns",
    )
    assert groups.value("SELECT CAST(@x AS SIGNED)") == 7


def test_extract(say: Client) -> None:
    """Texts of two digits where there are such in a DATETIME, numbers of a DATE."""
    answer = say.ok(
        "SELECT EXTRACT(YEAR FROM m), EXTRACT(MONTH FROM m), EXTRACT(DAY FROM m), "
        "EXTRACT(HOUR FROM m), EXTRACT(MINUTE FROM m), EXTRACT(SECOND FROM m), "
        "EXTRACT(QUARTER FROM m), EXTRACT(WEEK FROM m) "
        "FROM (SELECT CAST('2024-03-04 05:06:07' AS DATETIME) m) x"
    )
    assert answer.rows == [("2024", "03", "04", "05", "06", "07", "1", "10")]
    of_date = "SELECT EXTRACT(MONTH FROM CAST('2024-03-04' AS DATE))"
    assert say.value(of_date) == 3
    assert say.error(of_date.replace("MONTH", "HOUR")) == internal("invalid unit")


def test_values_as_a_table(say: Client) -> None:
    assert say.rows("SELECT * FROM (VALUES ROW(1, 'x'), ROW(2, 'y')) AS v (a, b)") == [
        (1, "x"),
        (2, "y"),
    ]
    error = say.error("SELECT * FROM (VALUES (1, 'x')) AS v (a, b)")
    assert error is not None
    assert error[1].endswith("line 1 column 23 near \" (1, 'x')) AS v (a, b)\";")


def test_values_that_cannot_be_cast_use_up_no_number(groups: Client) -> None:
    groups.ok(
        "CREATE TABLE n (id INT NOT NULL AUTO_INCREMENT, w VARCHAR(3) NOT NULL, PRIMARY KEY (id))"
    )
    assert groups.error("INSERT INTO n (w) VALUES ('long')") is not None
    groups.ok("INSERT INTO n (w) VALUES ('a')")
    assert groups.error("INSERT INTO n (w) VALUES (NULL)") is not None
    groups.ok("INSERT INTO n (w) VALUES ('b')")
    assert groups.rows("SELECT * FROM n ORDER BY id") == [(1, "a"), (3, "b")]


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("SELECT 1 // x", (1,)),
        ("SELECT 4//2", (4,)),
        ("// x\nSELECT 1 // y\n + 1", (2,)),
        ("SELECT 1 # x", (1,)),
        ("SELECT 1 --", (1,)),
        ("SELECT 5--3", (8,)),
        ("SELECT /* a /* b */ 1", (1,)),
        ("SELECT 'a//b', '/*! c */'", ("a//b", "/*! c */")),
        ("/*! SELECT 1 */", (1,)),
        ("SELECT 1 /*! + 1 */", (2,)),
        ("SELECT /*!99999 3 */, 4", (3, 4)),
        ("SELECT /*! 1, // é\n 2 */", (1, 2)),
    ],
)
def test_comments(say: Client, statement: str, row: tuple[object, ...]) -> None:
    """The text in /*! */ is executed, whatever version it names; // begins a comment."""
    assert say.rows(statement) == [row]
