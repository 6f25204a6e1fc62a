"""Reads of the past and copies of the past, without restoring anything.

docs/server.md, Time travel; Clones.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, Connect, Moment, is_main, moment

ROWS = [(1, "a"), (2, "b")]


@dataclass(frozen=True)
class Past:
    """A shop with PITR ~_d, and a moment when its two rows were what they were."""

    say: Client
    at: Moment

    @property
    def ns(self) -> str:
        return f"{{MO_TS = {self.at.nanoseconds}}}"


@pytest.fixture
def past(shop: Client) -> Past:
    shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    return Past(shop, moment(shop))


CHANGES = [
    "UPDATE ~.t SET v = 'z'",
    "DELETE FROM ~.t WHERE id = 1",
    "DELETE FROM ~.t",
    "TRUNCATE TABLE ~.t",
    "INSERT INTO ~.t VALUES (3, 'c')",
    "ALTER TABLE ~.t ADD COLUMN c INT",
    "ALTER TABLE ~.t DROP COLUMN v",
    "ALTER TABLE ~.t ADD INDEX i (v)",
    "DROP TABLE ~.t",
    "RENAME TABLE ~.t TO ~.u",
    "DROP DATABASE ~",
]


@pytest.mark.parametrize("change", CHANGES)
def test_reads_see_what_was(past: Past, change: str) -> None:
    """Also of dropped and rebuilt tables."""
    past.say.ok(change)
    assert past.say.rows(f"SELECT * FROM ~.t {past.ns}") == ROWS


def test_forms(past: Past) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z'")
    for form in (
        past.ns,
        f"{{MO_TS={past.at.nanoseconds}}}",
        f"{{mo_ts = {past.at.nanoseconds}}}",
        f"{{AS OF TIMESTAMP '{past.at.text}'}}",
        f"{{TIMESTAMP = '{past.at.utc}'}}",
    ):
        assert past.say.rows(f"SELECT * FROM ~.t {form}") == ROWS, form


def test_texts_are_read_in_the_servers_zone_or_in_utc(past: Past) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z'", "SET time_zone = '+09:00'")
    assert past.say.rows(f"SELECT * FROM ~.t {{AS OF TIMESTAMP '{past.at.text}'}}") == ROWS
    assert past.say.rows(f"SELECT * FROM ~.t {{TIMESTAMP = '{past.at.utc}'}}") == ROWS


def test_two_hours_ago_there_must_be_a_snapshot(past: Past) -> None:
    """Only for this form; no other asks."""
    text = past.at.shifted(hours=-2)
    assert past.say.error(f"SELECT * FROM ~.t {{TIMESTAMP = '{text}'}}") == (
        20203,
        "invalid argument invalid timestamp value, no corresponding snapshot , bad value " + text,
    )


def test_moments_between_changes(past: Past) -> None:
    moments = []
    for number in range(3):
        past.say.ok(f"UPDATE ~.t SET v = '{number}' WHERE id = 1")
        moments.append(moment(past.say))
    seen = [
        past.say.value(f"SELECT v FROM ~.t {{MO_TS = {at.nanoseconds}}} WHERE id = 1")
        for at in moments
    ]
    assert seen == ["0", "1", "2"]


def test_columns_are_those_of_the_moment(past: Past) -> None:
    past.say.ok("ALTER TABLE ~.t ADD COLUMN c INT", "ALTER TABLE ~.t DROP COLUMN v")
    assert past.say.ok(f"SELECT * FROM ~.t {past.ns}").labels == ["id", "v"]
    assert past.say.ok("SELECT * FROM ~.t").labels == ["id", "c"]


def test_where_order_and_aggregates(past: Past) -> None:
    past.say.ok("DELETE FROM ~.t WHERE id = 1")
    assert past.say.rows(f"SELECT v FROM ~.t {past.ns} WHERE id = 1") == [("a",)]
    assert past.say.value(f"SELECT count(*) FROM ~.t {past.ns}") == 2
    assert past.say.ok(f"SELECT id FROM ~.t {past.ns} ORDER BY id DESC").column == [2, 1]


def test_a_join_of_the_past_with_the_present(past: Past) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z' WHERE id = 1")
    for first, second, seen in ((past.ns, "", ("a", "z")), ("", past.ns, ("z", "a"))):
        rows = past.say.rows(
            f"SELECT x.v, y.v FROM ~.t {first} AS x JOIN ~.t {second} AS y ON x.id = y.id "
            "WHERE x.id = 1"
        )
        assert rows == [seen]


@pytest.mark.parametrize(
    "question",
    [
        "SELECT x.v, y.v FROM ~.t {first} AS x JOIN ~.t {second} AS y ON x.id = y.id",
        "SELECT x.v, y.v FROM ~.t {first} AS x JOIN ~.u {second} AS y ON x.id = y.id",
        "SELECT x.v, y.v FROM ~.t {first} AS x, ~.u {second} AS y WHERE x.id = y.id",
    ],
)
def test_a_statement_reads_one_moment_of_the_past_only(past: Past, question: str) -> None:
    """With two different ones, every table silently answers for the same one of them."""
    past.say.ok("CREATE TABLE ~.u (id INT, v VARCHAR(10))", "INSERT INTO ~.u SELECT * FROM ~.t")
    past.say.ok("UPDATE ~.t SET v = 'y'", "UPDATE ~.u SET v = 'y'")
    first = moment(past.say)
    past.say.ok("UPDATE ~.t SET v = 'z'", "UPDATE ~.u SET v = 'z'")
    second = moment(past.say)
    past.say.ok("UPDATE ~.t SET v = 'q'", "UPDATE ~.u SET v = 'q'")
    rows = past.say.rows(
        question.format(
            first=f"{{MO_TS = {first.nanoseconds}}}", second=f"{{MO_TS = {second.nanoseconds}}}"
        )
    )
    assert rows[0] in [("y", "y"), ("z", "z")]


def test_except_between_two_moments_of_the_past_is_empty(past: Past) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z'")
    later = moment(past.say)
    past.say.ok("UPDATE ~.t SET v = 'q'")
    between = f"SELECT * FROM ~.t {{MO_TS = {later.nanoseconds}}}"
    assert past.say.rows(f"SELECT * FROM ~.t {past.ns} EXCEPT {between}") == []
    assert past.say.rows(f"{between} EXCEPT SELECT * FROM ~.t {past.ns}") == []


def test_the_brace_comes_before_the_alias(past: Past) -> None:
    assert past.say.rows(f"SELECT x.v FROM ~.t {past.ns} AS x WHERE x.id = 1") == [("a",)]
    assert past.say.rows(f"SELECT x.v FROM ~.t {past.ns} x WHERE x.id = 1") == [("a",)]
    error = past.say.error(f"SELECT x.v FROM ~.t AS x {past.ns}")
    assert error is not None
    assert error[0] == 1064


def test_except_gives_what_was_lost_or_changed(past: Past) -> None:
    past.say.ok(
        "DELETE FROM ~.t WHERE id = 1",
        "UPDATE ~.t SET v = 'z' WHERE id = 2",
        "INSERT INTO ~.t VALUES (3, 'c')",
    )
    assert past.say.rows(f"SELECT * FROM ~.t {past.ns} EXCEPT SELECT * FROM ~.t") == ROWS
    assert past.say.rows(f"SELECT * FROM ~.t EXCEPT SELECT * FROM ~.t {past.ns}") == [
        (2, "z"),
        (3, "c"),
    ]


def test_insert_select_brings_single_rows_back(past: Past) -> None:
    past.say.ok("DELETE FROM ~.t WHERE id = 1", "CREATE TABLE ~.rescued (id INT, v VARCHAR(10))")
    copied = past.say.ok(f"INSERT INTO ~.rescued SELECT * FROM ~.t {past.ns} WHERE id = 1")
    assert copied.affected == 1
    past.say.ok("INSERT INTO ~.t SELECT * FROM ~.rescued")
    assert past.say.rows("SELECT * FROM ~.t") == ROWS


def test_rows_back_into_the_same_table(past: Past) -> None:
    past.say.ok("DELETE FROM ~.t WHERE id = 1")
    past.say.ok(f"INSERT INTO ~.t SELECT * FROM ~.t {past.ns} WHERE id = 1")
    assert past.say.rows("SELECT * FROM ~.t") == ROWS


def test_reads_inside_a_transaction(past: Past) -> None:
    past.say.ok("BEGIN", "UPDATE ~.t SET v = 'z'")
    assert past.say.rows(f"SELECT * FROM ~.t {past.ns}") == ROWS
    assert past.say.rows("SELECT v FROM ~.t") == [("z",), ("z",)]
    past.say.ok("ROLLBACK")


def test_history_is_independent_of_pitrs(shop: Client) -> None:
    """As long as it is kept, which is what a PITR is for."""
    at = moment(shop)
    shop.ok("UPDATE ~.t SET v = 'z'")
    assert shop.rows(f"SELECT * FROM ~.t {{MO_TS = {at.nanoseconds}}}") == ROWS


# -- moments without the object --------------------------------------------------------------------


def test_before_the_database(past: Past) -> None:
    assert past.say.error("SELECT * FROM ~.t {MO_TS = 1}") == (1049, "Unknown database ~")


def test_before_the_table(past: Past, server: Server) -> None:
    past.say.ok("CREATE TABLE ~.later (id INT)")
    error = past.say.error(f"SELECT * FROM ~.later {past.ns}")
    code = 1146 if is_main(server) else 1064
    assert error == (code, 'SQL parser error: table "later" does not exist')


def test_before_the_server_made_anything(shop: Client, server: Server) -> None:
    """mo_catalog is always there, with its first three tables."""
    at = "{MO_TS = 1000000000000000000}"
    assert shop.error(f"SELECT * FROM ~.t {at}") == (1049, "Unknown database ~")
    assert shop.rows(f"SELECT datname FROM mo_catalog.mo_database {at}") == [("mo_catalog",)]
    assert shop.ok(f"SHOW DATABASES {at}").column == ["mo_catalog"]
    names = set(shop.ok(f"SELECT relname FROM mo_catalog.mo_tables {at}").column)
    assert names >= {"mo_columns", "mo_database", "mo_tables"}
    assert "mo_role" not in names
    code = 1146 if is_main(server) else 1064
    for table in ("mo_foreign_keys", "mo_indexes", "mo_role"):
        assert shop.error(f"SELECT * FROM mo_catalog.{table} {at}") == (
            code,
            f'SQL parser error: table "{table}" does not exist',
        )
    assert shop.error(f"SELECT * FROM information_schema.tables {at}") == (
        1049,
        "Unknown database information_schema",
    )


@pytest.mark.usefixtures("since_3")
def test_clones_of_before_the_server_made_anything(shop: Client, server: Server) -> None:
    at = "{MO_TS = 1000000000000000000}"
    assert shop.error(f"CREATE TABLE ~.c CLONE ~.t {at}") == (
        1064,
        "SQL parser error: table ~-t does not exist",
    )
    if is_main(server):
        return
    missing = 1064, 'SQL parser error: table "mo_foreign_keys" does not exist'
    refusal = shop.error(f"CREATE DATABASE ~_c CLONE ~ {at}")
    assert refusal == (missing if server.version >= (4,) else (1046, "No database selected"))


def test_before_both_with_a_database_chosen(past: Past, server: Server) -> None:
    past.say.ok("USE ~", "CREATE TABLE ~.later (id INT)")
    assert past.say.rows(f"SELECT * FROM t {past.ns}") == ROWS
    error = past.say.error(f"SELECT * FROM later {past.ns}")
    code = 1146 if is_main(server) else 1064
    assert error == (code, 'SQL parser error: table "later" does not exist')


def test_the_future_silently_reads_the_present(past: Past) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z'")
    assert past.say.rows("SELECT v FROM ~.t {MO_TS = 4000000000000000000}") == [("z",), ("z",)]
    assert past.say.rows("SELECT v FROM ~.t {AS OF TIMESTAMP '2090-01-01 00:00:00'}") == [
        ("z",),
        ("z",),
    ]


# -- copies ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("change", CHANGES)
def test_clone_of_a_table(past: Past, change: str) -> None:
    past.say.ok(change, "CREATE DATABASE ~_b")
    past.say.ok(f"CREATE TABLE ~_b.copy CLONE ~.t {past.ns}")
    assert past.say.rows("SELECT * FROM ~_b.copy") == ROWS


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("change", ["UPDATE ~.t SET v = 'z'", "DROP TABLE ~.t", "DROP DATABASE ~"])
def test_clone_of_a_database(past: Past, change: str) -> None:
    past.say.ok(change, f"CREATE DATABASE ~_b CLONE ~ {past.ns}")
    assert past.say.rows("SELECT * FROM ~_b.t") == ROWS


@pytest.mark.usefixtures("since_3")
def test_clone_of_the_present(past: Past) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z'", "CREATE TABLE ~.copy CLONE ~.t")
    assert past.say.rows("SELECT v FROM ~.copy") == [("z",), ("z",)]


@pytest.mark.usefixtures("since_3")
def test_a_clone_has_the_definition_of_its_moment(past: Past) -> None:
    past.say.ok("ALTER TABLE ~.t DROP COLUMN v", f"CREATE TABLE ~.copy CLONE ~.t {past.ns}")
    assert past.say.error("INSERT INTO ~.copy VALUES (1, 'a')") == (
        1062,
        "Duplicate entry '1' for key 'id'",
    )
    past.say.ok("INSERT INTO ~.copy (id) VALUES (3)")
    assert past.say.rows("SELECT v FROM ~.copy WHERE id = 3") == [("x",)]


@pytest.mark.usefixtures("since_3")
def test_the_original_and_its_pitrs_are_untouched(past: Past) -> None:
    record = "SELECT obj_id, pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name LIKE '~%'"
    past.say.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'", "UPDATE ~.t SET v = 'z'")
    before = past.say.rows(record)
    past.say.ok(
        f"CREATE TABLE ~.copy CLONE ~.t {past.ns}", f"CREATE DATABASE ~_b CLONE ~ {past.ns}"
    )
    assert past.say.rows(record) == before
    assert past.say.rows("SELECT v FROM ~.t") == [("z",), ("z",)]


@pytest.mark.usefixtures("since_3")
def test_a_copy_is_independent(past: Past) -> None:
    past.say.ok(f"CREATE TABLE ~.copy CLONE ~.t {past.ns}", "DELETE FROM ~.copy WHERE id = 1")
    past.say.ok("UPDATE ~.t SET v = 'z'")
    assert past.say.rows("SELECT * FROM ~.copy") == [(2, "b")]


@pytest.mark.usefixtures("since_3")
def test_a_clone_commits_by_itself(past: Past, connect: Connect) -> None:
    manual = connect(autocommit=False)
    manual.ok("COMMIT")
    manual.ok(f"CREATE TABLE ~.copy CLONE ~.t {past.ns}", "ROLLBACK")
    assert past.say.rows("SELECT * FROM ~.copy") == ROWS


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("autocommit", [True, False])
def test_a_clone_after_begin_is_rolled_back(past: Past, connect: Connect, autocommit: bool) -> None:
    other = connect(autocommit=autocommit)
    other.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')", f"CREATE TABLE ~.copy CLONE ~.t {past.ns}")
    assert other.rows("SELECT * FROM ~.copy") == ROWS
    other.ok("ROLLBACK")
    assert past.say.ok("SHOW TABLES FROM ~").column == ["t"]
    other.ok("BEGIN", f"CREATE DATABASE ~_b CLONE ~ {past.ns}", "ROLLBACK")
    assert "~_b" not in past.say.ok("SHOW DATABASES").column
    other.ok("BEGIN", "CREATE TABLE ~.copy CLONE ~.t", "COMMIT")
    assert past.say.rows("SELECT * FROM ~.copy") == ROWS


@pytest.mark.usefixtures("since_3")
def test_a_clone_after_begin_sees_its_transaction(past: Past, server: Server) -> None:
    """Since 4.0."""
    past.say.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')", "CREATE TABLE ~.copy CLONE ~.t")
    assert len(past.say.rows("SELECT * FROM ~.copy")) == (2 if server.version < (4,) else 3)
    past.say.ok("ROLLBACK")


@pytest.mark.usefixtures("since_3")
def test_views_of_the_past(past: Past) -> None:
    """A view has no past of its own: its tables are read at the moment."""
    past.say.ok("USE ~", "CREATE VIEW ~.w AS SELECT * FROM t")
    past.say.ok("CREATE VIEW ~.ww AS SELECT w.id FROM w JOIN t ON w.id = t.id")
    then = moment(past.say)
    past.say.ok("DELETE FROM ~.t WHERE id = 1", "INSERT INTO ~.t VALUES (3, 'c')")
    ns = f"{{MO_TS = {then.nanoseconds}}}"
    assert past.say.rows(f"SELECT * FROM ~.w {ns}") == ROWS
    assert past.say.rows(f"SELECT * FROM ~.ww {ns}") == [(1,), (2,)]
    assert past.say.rows("SELECT * FROM ~.w") == [(2, "b"), (3, "c")]
    past.say.ok(f"CREATE DATABASE ~_b CLONE ~ {ns}")
    assert past.say.rows("SELECT * FROM ~_b.w") == ROWS
    assert past.say.rows("SELECT * FROM ~_b.ww") == [(1,), (2,)]
    past.say.ok("DELETE FROM ~_b.t")
    assert past.say.rows("SELECT * FROM ~_b.w") == []
    past.say.ok("DROP TABLE ~.t")
    assert past.say.rows(f"SELECT * FROM ~.w {ns}") == ROWS


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("CREATE TABLE ~.t CLONE ~.t {ns}", None),
        ("CREATE TABLE ~.copy CLONE ~.nope {ns}", None),
        ("CREATE DATABASE ~ CLONE ~ {ns}", None),
    ],
)
def test_clones_that_are_refused(past: Past, statement: str, error: None) -> None:
    assert past.say.error(statement.replace("{ns}", past.ns)) is not error


REFUSED_CLONES = [
    "CREATE TABLE ~.t CLONE ~.t {ns}",
    "CREATE TABLE ~.copy CLONE ~.nope {ns}",
    "CREATE TABLE ~.copy CLONE nowhere.t",
    "CREATE TABLE nowhere.copy CLONE ~.t",
    "CREATE TABLE ~.copy CLONE ~.t {MO_TS = 100}",
    "CREATE TABLE ~.copy CLONE ~.v",
    "CREATE DATABASE ~ CLONE ~",
]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize("statement", REFUSED_CLONES)
def test_a_clone_that_fails_after_begin_says_ok_before_4(
    past: Past, connect: Connect, server: Server, statement: str
) -> None:
    """And makes nothing; the transaction goes on."""
    past.say.ok("CREATE VIEW ~.v AS SELECT id FROM ~.t")
    statement = statement.replace("{ns}", past.ns)
    assert past.say.error(statement) is not None
    other = connect(autocommit=False)
    assert other.error(statement) is not None
    other.ok("ROLLBACK", "BEGIN", "INSERT INTO ~.t VALUES (3, 'c')")
    assert (other.error(statement) is None) is (server.version < (4,))
    assert other.error("SELECT * FROM ~.copy") is not None
    other.ok("COMMIT")
    assert past.say.rows("SELECT * FROM ~.t") == [*ROWS, (3, "c")]
    assert past.say.ok("SHOW TABLES FROM ~").column == ["t", "v"]


@pytest.mark.usefixtures("since_3")
def test_clone_of_a_database_with_a_broken_view(
    past: Past, connect: Connect, server: Server
) -> None:
    """After BEGIN, before 4.x, what is copied until then stays, and the answer is OK."""
    past.say.ok(
        "CREATE TABLE ~.gone (id INT)",
        "CREATE VIEW ~.broken AS SELECT id FROM ~.gone",
        "DROP TABLE ~.gone",
    )
    code = 1146 if is_main(server) else 1064
    error = (code, 'SQL parser error: table "gone" does not exist')
    assert past.say.error("CREATE DATABASE ~_b CLONE ~") == error
    assert "~_b" not in past.say.ok("SHOW DATABASES").column
    other = connect()
    other.ok("BEGIN")
    assert other.error("CREATE DATABASE ~_b CLONE ~") == (None if server.version < (4,) else error)
    other.ok("COMMIT")
    if server.version < (4,):
        assert past.say.ok("SHOW TABLES FROM ~_b").column == ["t"]
    past.say.ok("DROP DATABASE IF EXISTS ~_b")


@pytest.mark.usefixtures("since_3")
def test_create_table_as_select_of_the_past(past: Past, server: Server) -> None:
    past.say.ok("UPDATE ~.t SET v = 'z'")
    error = past.say.error(f"CREATE TABLE ~.copy AS SELECT * FROM ~.t {past.ns}")
    if server.version < (3, 0, 18):
        assert error is not None
        assert error[0] == 1105
    else:
        assert error is None
        assert past.say.rows("SELECT * FROM ~.copy") == ROWS


SYNTAX = (
    "SQL parser error: You have an error in your SQL syntax; check the manual that corresponds to "
    "your MatrixOne server version for the right syntax to use. syntax error at line 1 column "
)
NO_MOMENTS = [
    ("{MO_TS = x}", 20301, "invalid input: ambiguous column reference 'x'"),
    ("{MO_TS = 1.5}", 1064, "SQL parser error: invalid timestamp hint"),
    ("{MO_TS = now()}", 1064, "SQL parser error: invalid timestamp hint"),
    ("{MO_TS = NULL}", 20203, "invalid argument invalid input expr , bad value null"),
    ("{MO_TS = 'x'}", 20301, "invalid input: invalid debug timestamp string: x"),
    ("{MO_TS}", 1064, SYNTAX + '23 near "}";'),
    ("{MO_TS =}", 1064, SYNTAX + '25 near "}";'),
    ("{}", 1064, SYNTAX + '18 near "}";'),
    ("{FOO = 1}", 1064, SYNTAX + '20 near "FOO = 1}";'),
    (
        "{TIMESTAMP = 'x'}",
        1105,
        'parsing time "x" as "2006-01-02 15:04:05.999999999": cannot parse "x" as "2006"',
    ),
    (
        "{SNAPSHOT = 'no_such'}",
        20101,
        "internal error: find 0 snapshot records by name(no_such), expect only 1",
    ),
]


@pytest.mark.parametrize(("brace", "code", "text"), NO_MOMENTS, ids=[n[0] for n in NO_MOMENTS])
def test_what_is_no_moment(shop: Client, brace: str, code: int, text: str) -> None:
    shop.ok("USE ~")
    assert shop.error(f"SELECT * FROM t {brace}") == (code, text)


# -- two moments in one statement ------------------------------------------------------------------


@dataclass(frozen=True)
class Twice:
    """A table ~.t of one row, whose v was a, then b, and now is c; and those two moments."""

    say: Client
    a: str
    b: str

    def rows(self, select: str) -> list[tuple[object, ...]]:
        select = select.replace("@a", self.a).replace("@b", self.b)
        return self.say.rows(select.replace("@", ""))


@pytest.fixture
def twice(shop: Client) -> Twice:
    shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'", "DELETE FROM ~.t WHERE id = 2")
    first = moment(shop).nanoseconds
    shop.ok("UPDATE ~.t SET v = 'b'")
    second = moment(shop).nanoseconds
    shop.ok("UPDATE ~.t SET v = 'c'")
    return Twice(shop, f"{{MO_TS = {first}}}", f"{{MO_TS = {second}}}")


@pytest.mark.parametrize(
    ("select", "row"),
    [
        ("SELECT x.v, y.v FROM ~.t @a x, ~.t @b y", ("a", "a")),
        ("SELECT x.v, y.v FROM ~.t @b x, ~.t @a y", ("b", "b")),
        ("SELECT x.v, y.v FROM ~.t x, ~.t @b y", ("c", "b")),
        ("SELECT x.v, y.v, z.v FROM ~.t @b x, ~.t @a y, ~.t z", ("b", "b", "c")),
        ("SELECT x.v, y.v FROM ~.t @a x LEFT JOIN ~.t @b y ON x.id = y.id", ("a", "a")),
        ("SELECT (SELECT v FROM ~.t @b), v FROM ~.t @a", ("a", "a")),
        ("SELECT (SELECT v FROM ~.t @b), (SELECT v FROM ~.t @a)", ("b", "b")),
        ("SELECT s.v, x.v FROM (SELECT v FROM ~.t @b) s, ~.t @a x", ("b", "b")),
        ("WITH w AS (SELECT v FROM ~.t @b) SELECT w.v, x.v FROM w, ~.t @a x", ("b", "b")),
    ],
)
def test_the_first_moment_holds_for_all_that_name_one(
    twice: Twice, select: str, row: tuple[object, ...], since_3: None
) -> None:
    assert twice.rows(select) == [row]


def test_the_first_moment_holds_for_a_union_and_in_a_change(twice: Twice, since_3: None) -> None:
    union = "SELECT v FROM ~.t @b UNION ALL SELECT v FROM ~.t @a"
    assert twice.rows(union) == [("b",), ("b",)]
    twice.say.ok("CREATE TABLE ~.u (v VARCHAR(10))")
    insert = "INSERT INTO ~.u SELECT concat(x.v, y.v) FROM ~.t @a x, ~.t @b y"
    twice.say.ok(insert.replace("@a", twice.a).replace("@b", twice.b))
    assert twice.rows("SELECT v FROM ~.u") == [("aa",)]


def test_a_change_joins_the_past(twice: Twice, since_3: None) -> None:
    update = "UPDATE ~.t x, ~.t @a p SET x.v = concat(p.v, '!') WHERE x.id = p.id"
    twice.say.ok(update.replace("@a", twice.a))
    assert twice.rows("SELECT v FROM ~.t") == [("a!",)]


# -- SHOW of the past ------------------------------------------------------------------------------


def test_definitions_as_they_were(past: Past, since_3: None) -> None:
    past.say.ok("ALTER TABLE ~.t DROP COLUMN v", "CREATE TABLE ~.u (a INT)")
    shown = past.say.ok(f"SHOW CREATE TABLE ~.t {past.ns}").rows[0]
    assert shown[0] == "t"
    assert "`v` varchar(10)" in shown[1]
    assert past.say.ok(f"SHOW TABLES FROM ~ {past.ns}").column == ["t"]
    assert past.say.error(f"SHOW CREATE TABLE ~.u {past.ns}") == (1146, "no such table ~.u")
    past.say.ok("DROP DATABASE ~")
    assert past.say.ok(f"SHOW CREATE TABLE ~.t {past.ns}").rows == [shown]
    assert past.say.ok(f"SHOW FULL TABLES FROM ~ {past.ns}").rows == [("t", "BASE TABLE")]
    assert past.say.ok(f"SHOW CREATE DATABASE ~ {past.ns}").rows == [("~", "CREATE DATABASE `~`")]


@pytest.mark.parametrize(
    "show", ["SHOW TABLES FROM ~", "SHOW CREATE TABLE ~.t", "SHOW CREATE DATABASE ~"]
)
def test_nothing_was_there_before_it_was_made(past: Past, show: str, since_3: None) -> None:
    assert past.say.error(f"{show} {{MO_TS = 1}}") == (1049, "Unknown database ~")


def test_lists_of_the_past_are_narrowed_too(past: Past, since_3: None) -> None:
    past.say.ok("DROP TABLE ~.t", "CREATE TABLE ~.later (a INT)")
    assert past.say.ok(f"SHOW TABLES FROM ~ LIKE 't%' {past.ns}").column == ["t"]
    assert past.say.ok(f"SHOW TABLES FROM ~ LIKE 'l%' {past.ns}").column == []
    assert past.say.ok("SHOW TABLES FROM ~").column == ["later"]


# -- past and present, row by row ------------------------------------------------------------------


def test_the_catalogue_says_columns_and_keys_as_they_were(past: Past, since_3: None) -> None:
    past.say.ok("ALTER TABLE ~.t ADD COLUMN c DECIMAL(9, 2)", "ALTER TABLE ~.t DROP PRIMARY KEY")
    columns = (
        "SELECT c.attname, mo_show_visible_bin(c.atttyp, 2), c.attnotnull "
        "FROM mo_catalog.mo_tables{at} t JOIN mo_catalog.mo_columns{at} c "
        "ON c.att_relname_id = t.rel_id WHERE t.reldatabase = '~' AND t.relname = 't' "
        "AND c.att_is_hidden = 0"
    )
    keys = (
        "SELECT i.name, i.type, i.column_name FROM mo_catalog.mo_tables{at} t "
        "JOIN mo_catalog.mo_indexes{at} i ON i.table_id = t.rel_id "
        "WHERE t.reldatabase = '~' AND t.relname = 't'"
    )
    assert past.say.rows(columns.format(at=f" {past.ns}")) == [
        ("id", "INT", 1),
        ("v", "VARCHAR", 0),
    ]
    assert past.say.rows(keys.format(at=f" {past.ns}")) == [("PRIMARY", "PRIMARY", "id")]
    assert past.say.rows(columns.format(at=""))[0] == ("c", "DECIMAL", 0)
    assert past.say.rows(keys.format(at="")) == []


@pytest.fixture
def changed(past: Past) -> Past:
    """Row 1 is gone, row 2 is other, row 3 is new."""
    past.say.ok(
        "DELETE FROM ~.t WHERE id = 1",
        "UPDATE ~.t SET v = 'z' WHERE id = 2",
        "INSERT INTO ~.t VALUES (3, 'c')",
    )
    return past


def test_left_joins_both_ways_in_one_statement(changed: Past) -> None:
    both = (
        "SELECT p.id AS k, p.v, c.v FROM ~.t {at} p LEFT JOIN ~.t c ON p.id = c.id "
        "WHERE c.id IS NULL OR p.v != c.v OR (p.v IS NULL) != (c.v IS NULL) "
        "UNION ALL SELECT c.id AS k, p.v, c.v FROM ~.t c LEFT JOIN ~.t {at} p ON p.id = c.id "
        "WHERE p.id IS NULL ORDER BY k"
    )
    assert changed.say.rows(both.format(at=changed.ns)) == [
        (1, "a", None),
        (2, "b", "z"),
        (3, None, "c"),
    ]


def test_a_delete_left_joins_the_past(changed: Past) -> None:
    changed.say.ok("BEGIN")
    deleted = changed.say.ok(
        f"DELETE c FROM ~.t c LEFT JOIN ~.t {changed.ns} p ON p.id = c.id WHERE p.id IS NULL"
    )
    assert deleted.affected == 1
    assert changed.say.rows("SELECT * FROM ~.t") == [(2, "z")]
    changed.say.ok("ROLLBACK")
    assert changed.say.rows("SELECT * FROM ~.t") == [(2, "z"), (3, "c")]


def test_an_update_left_joins_the_past(changed: Past) -> None:
    changed.say.ok(
        f"UPDATE ~.t c LEFT JOIN ~.t {changed.ns} p ON p.id = c.id SET c.v = NULL "
        "WHERE p.id IS NULL"
    )
    assert changed.say.rows("SELECT * FROM ~.t") == [(2, "z"), (3, None)]


def test_one_update_exchanges_unique_values(past: Past, since_3: None) -> None:
    past.say.ok(
        "CREATE TABLE ~.u (id INT PRIMARY KEY, n INT NOT NULL, UNIQUE KEY n (n))",
        "INSERT INTO ~.u VALUES (1, 1), (2, 2), (3, 3)",
    )
    at = moment(past.say)
    past.say.ok("UPDATE ~.u SET n = 3 - n WHERE id < 3")
    assert past.say.rows("SELECT * FROM ~.u") == [(1, 2), (2, 1), (3, 3)]
    past.say.ok(f"UPDATE ~.u c, ~.u {{MO_TS = {at.nanoseconds}}} p SET c.n = p.n WHERE c.id = p.id")
    assert past.say.rows("SELECT * FROM ~.u") == [(1, 1), (2, 2), (3, 3)]
    assert past.say.value("SELECT id FROM ~.u WHERE n = 2") == 2


def test_an_update_of_a_join_passes_no_unique_value_on(
    past: Past, server: Server, since_3: None
) -> None:
    """From a row that is to have NULL: the latter goes first. main takes it at once."""
    past.say.ok(
        "CREATE TABLE ~.u (id INT PRIMARY KEY, n INT UNIQUE)",
        "INSERT INTO ~.u VALUES (1, 1), (2, NULL)",
    )
    at = moment(past.say)
    past.say.ok("UPDATE ~.u SET n = nullif(id - 1, 0)")
    assert past.say.rows("SELECT * FROM ~.u ORDER BY id") == [(1, None), (2, 1)]
    joined = f"UPDATE ~.u c, ~.u {{MO_TS = {at.nanoseconds}}} p SET c.n = p.n WHERE c.id = p.id"
    refused = past.say.error(joined)
    if is_main(server):
        assert refused is None
    else:
        assert refused is not None
        assert refused[0] == 1062
        past.say.ok(f"{joined} AND p.n IS NULL", joined)
    assert past.say.rows("SELECT * FROM ~.u ORDER BY id") == [(1, 1), (2, None)]


# -- what was dropped ------------------------------------------------------------------------------


def then(nanoseconds: int) -> str:
    return f"{{MO_TS = {nanoseconds}}}"


def ids(client: Client, nanoseconds: int) -> dict[str, int]:
    """The ids of ~ and its tables at a moment."""
    at = then(nanoseconds)
    databases = client.rows(
        f"SELECT datname, dat_id FROM mo_catalog.mo_database {at} WHERE datname = '~'"
    )
    tables = client.rows(
        f"SELECT relname, rel_id FROM mo_catalog.mo_tables {at} WHERE reldatabase = '~' "
        "AND account_id = current_account_id() AND relkind = 'r'"
    )
    return dict([*databases, *tables])


def last_with(client: Client, name: str, since: int, until: int) -> int:
    """The last moment at which an object had the id that it had at the first."""
    wanted = ids(client, since)[name]
    while until - since > 1:
        middle = (since + until) // 2
        if ids(client, middle).get(name) == wanted:
            since = middle
        else:
            until = middle
    return since


def test_the_catalogue_tells_what_was_dropped(past: Past, since_3: None) -> None:
    before = ids(past.say, past.at.nanoseconds)
    past.say.ok("DROP TABLE ~.t")
    after = moment(past.say).nanoseconds
    assert ids(past.say, after) == {"~": before["~"]}
    last = last_with(past.say, "t", past.at.nanoseconds, after)
    assert ids(past.say, last) == before
    assert past.say.rows(f"SELECT * FROM ~.t {then(last)}") == ROWS
    assert ids(past.say, last + 1) == {"~": before["~"]}
    assert past.say.error(f"SELECT * FROM ~.t {then(last + 1)}") is not None
    past.say.ok("CREATE TABLE ~.t (id INT)")
    again = ids(past.say, moment(past.say).nanoseconds)
    assert again.keys() == before.keys()
    assert again["t"] != before["t"]


def test_a_tenant_reads_its_catalogue_of_the_past(their_shop: Client, since_3: None) -> None:
    at = moment(their_shop).nanoseconds
    before = ids(their_shop, at)
    assert before.keys() == {"~", "t"}
    their_shop.ok("DROP DATABASE ~")
    assert ids(their_shop, moment(their_shop).nanoseconds) == {}
    assert ids(their_shop, at) == before


def test_ids_go_and_come_at_one_moment(past: Past, since_3: None) -> None:
    past.say.ok("CREATE TABLE ~.u (id INT)")
    at = moment(past.say).nanoseconds
    before = ids(past.say, at)
    for change in ("TRUNCATE TABLE ~.t", "ALTER TABLE ~.t ADD COLUMN c INT"):
        past.say.ok(change)
        now = moment(past.say).nanoseconds
        last = last_with(past.say, "t", at, now)
        new = ids(past.say, last + 1)
        assert new.keys() == before.keys()
        assert new["t"] != before["t"]
        at, before = now, new
    past.say.ok("DROP DATABASE ~")
    last = last_with(past.say, "t", at, moment(past.say).nanoseconds)
    assert ids(past.say, last) == before
    assert ids(past.say, last + 1) == {}


def test_a_clone_refers_to_the_parents_of_its_source(past: Past, since_3: None) -> None:
    """Whatever database is chosen; they must be there."""
    say = past.say
    say.ok(
        "CREATE TABLE ~.c (id INT PRIMARY KEY, t INT, "
        "CONSTRAINT f FOREIGN KEY (t) REFERENCES ~.t (id))",
        "CREATE DATABASE ~_b",
        "CREATE TABLE ~_b.t (id INT PRIMARY KEY)",
    )
    at = then(moment(say).nanoseconds)
    say.ok("USE ~_b", f"CREATE TABLE ~_b.c CLONE ~.c {at}")
    assert "REFERENCES `~`.`t` (`id`)" in say.ok("SHOW CREATE TABLE ~_b.c").rows[0][1]
    say.ok("USE ~", "DROP TABLE ~_b.c", "DROP TABLE ~.c", "DROP TABLE ~.t")
    assert say.error(f"CREATE TABLE ~.c CLONE ~.c {at}") == (1146, "no such table ~.t")
    assert say.ok("SHOW TABLES FROM ~").column == []


def test_quotes_of_a_default_in_a_clone(past: Past, server: Server, since_3: None) -> None:
    """Since 4.0 they are doubled."""
    past.say.ok("CREATE TABLE ~.q (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'it''s')")
    past.say.ok("CREATE TABLE ~.r CLONE ~.q", "INSERT INTO ~.r (id) VALUES (1)")
    doubled = server.version >= (4,)
    assert past.say.value("SELECT v FROM ~.r") == ("it''s" if doubled else "it's")
