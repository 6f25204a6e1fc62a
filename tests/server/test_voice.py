"""The voice of an answer: what the server has is never refused in the server's own words.

A function, a form of SHOW or a table that a server has answers there; the emulator answers the
same, or says that it does not support it (1235, `unsupported` here). What no server has is refused
by both alike.
"""

from __future__ import annotations

import pytest

from tests.conftest import Server

from .conftest import Answer, Client, internal, is_main

SYNTAX = "SQL parser error: You have an error in your SQL syntax"
UNWRITTEN = "MatrixOne emulator does not support: "


def known(answer: Answer, server: Server) -> bool:
    """Whether the server has it: an answer, or the emulator's own refusal."""
    if answer.error is None:
        return True
    code, text = answer.error
    if code == 1235:
        assert not server.live
        assert text.startswith(UNWRITTEN)
        return True
    return False


# -- functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC')", "2001-01-01 01:00:00"),
        ("CONVERT_TZ('2001-01-01 01:00:00', '+00:00', '+05:30')", "2001-01-01 06:30:00"),
        ("CONVERT_TZ('2001-07-01 01:00:00', 'UTC', 'Europe/Berlin')", "2001-07-01 03:00:00"),
        ("CONVERT_TZ('2001-01-01 01:00:00', 'nowhere', 'UTC')", None),
        ("CONVERT_TZ(NULL, 'UTC', 'UTC')", None),
        ("STRCMP('a', 'b')", -1),
        ("STRCMP('b', 'a')", 1),
        ("STRCMP('a', 'a')", 0),
        ("STRCMP(NULL, 'a')", None),
    ],
)
def test_functions_that_frameworks_call_first(
    say: Client, call: str, value: object, since_3: None
) -> None:
    assert say.value(f"SELECT {call}") == value


def test_a_time_that_is_none_has_no_zone(say: Client, since_3: None) -> None:
    error = say.error("SELECT CONVERT_TZ('x', 'UTC', 'UTC')")
    assert error == (20301, "invalid input: invalid datetime value x")


@pytest.mark.parametrize(
    "call",
    [
        "soundex_of('a')",
        "NoSuchFunction(1)",
        "sounds_like('a', 'b')",
        "upper(nosuch(1))",
        "max(nosuch(1))",
    ],
)
def test_a_function_that_no_server_has(say: Client, call: str) -> None:
    name = next(
        n for n in ("soundex_of", "nosuchfunction", "sounds_like", "nosuch") if n in call.lower()
    )
    error = say.error(f"SELECT {call}")
    assert error == (20105, f"not supported: function or operator '{name}'")


def test_arguments_are_read_before_the_name(say: Client, server: Server) -> None:
    code = 1054 if is_main(server) else 20301
    assert say.error("SELECT nosuch(x)") == (code, "invalid input: column x does not exist")


SINCE_4 = ["json_object('a', 1)", "get_lock('zz', 0)", "json_length('[1]')", "sec_to_time(1)"]


@pytest.mark.parametrize("call", SINCE_4)
def test_functions_of_4_are_unknown_before(say: Client, server: Server, call: str) -> None:
    answer = say(f"SELECT {call}")
    if server.version < (3, 0, 10):
        name = call.partition("(")[0]
        assert answer.error == (20105, f"not supported: function or operator '{name}'")
    elif server.version >= (4,):
        assert known(answer, server)


@pytest.mark.parametrize(
    "call",
    [
        "bin(5)",
        "oct(8)",
        "format(12345.6, 2)",
        "inet6_aton('::1')",
        "to_base64('a')",
        "field(1, 1)",
    ],
)
def test_functions_that_the_server_has_are_not_denied(
    say: Client, server: Server, call: str
) -> None:
    if call.startswith("inet6") and server.version < (4,):
        pytest.skip("since 4.0")
    assert known(say(f"SELECT {call}"), server)


@pytest.mark.parametrize(
    "call", ["curtime()", "utc_date", "localtime()", "dayofmonth('2020-01-02')"]
)
def test_functions_of_mysql_that_3_0_9_has_not(say: Client, server: Server, call: str) -> None:
    if server.version >= (3, 0, 10):
        pytest.skip("before 3.0.10")
    name = call.partition("(")[0]
    assert say.error(f"SELECT {call}") == (20105, f"not supported: function or operator '{name}'")


def test_a_call_without_brackets(say: Client) -> None:
    answer = say.ok("SELECT utc_timestamp")
    assert answer.labels == ["utc_timestamp()"]


@pytest.mark.parametrize(
    ("select", "near"),
    [
        ("SELECT ~.f(1)", "(1)"),
        ("SELECT `abs`(1)", "(1)"),
        ("SELECT abs(DISTINCT 1)", "DISTINCT 1)"),
        ("SELECT upper('a') OVER (ORDER BY 1)", " OVER (ORDER BY 1)"),
        ("SELECT abs(1) OVER ()", " OVER ()"),
    ],
)
def test_calls_that_the_grammar_has_not(say: Client, select: str, near: str) -> None:
    error = say.error(select)
    assert error is not None
    assert error[0] == 1064
    assert error[1].endswith(f'near "{near}";')


# -- SHOW -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("show", "labels"),
    [
        ("SHOW GLOBAL STATUS", ["Variable_name", "Value"]),
        ("SHOW SESSION STATUS LIKE 'Uptime'", ["Variable_name", "Value"]),
        ("SHOW EVENTS", ["1"]),
        ("SHOW PRIVILEGES", ["1"]),
        ("SHOW NODE LIST", ["1"]),
        ("SHOW LOCKS", ["1"]),
    ],
)
def test_lists_that_are_always_empty(say: Client, show: str, labels: list[str]) -> None:
    answer = say.ok(show)
    assert (answer.rows, answer.labels) == ([], labels)


TRIGGER_LABELS = [
    *("Trigger", "Event", "Table", "Statement", "Timing", "Created", "sql_mode", "Definer"),
    *("character_set_client", "collation_connection", "Database Collation"),
]


def test_triggers_are_of_a_database(say: Client) -> None:
    answer = say.ok("SHOW TRIGGERS FROM mo_catalog")
    assert (answer.rows, answer.labels) == ([], TRIGGER_LABELS)
    assert say.error("SHOW TRIGGERS") == (1046, "No database selected")
    assert say.error("SHOW TRIGGERS FROM ~_none") == (1049, "Unknown database ~_none")


@pytest.mark.parametrize(
    "show",
    [
        "SHOW FULL PROCESSLIST",
        "SHOW FUNCTION STATUS",
        "SHOW PROCEDURE STATUS LIKE 'x'",
        "SHOW EXTENDED COLUMNS FROM ~.t",
        "SHOW TABLE_NUMBER FROM ~",
        "SHOW SEQUENCES FROM ~",
        "SHOW STAGES",
        "SHOW UPGRADE",
    ],
)
def test_what_the_server_can_show_is_not_denied(shop: Client, server: Server, show: str) -> None:
    assert known(shop(show), server)


@pytest.mark.parametrize(
    ("show", "near"),
    [
        ("SHOW NONSENSE", " NONSENSE"),
        ("SHOW TABLES FORM mo_catalog", " FORM mo_catalog"),
        ("SHOW GLOBAL TABLES", " TABLES"),
        ("SHOW COLUMNS FROM ~.t {MO_TS = 1}", " {MO_TS = 1}"),
        ("DESC ~.t {MO_TS = 1}", " {MO_TS = 1}"),
        ("SHOW TRIGGERS WITH mo_catalog", " WITH mo_catalog"),
    ],
)
def test_what_no_server_can_show(shop: Client, show: str, near: str) -> None:
    error = shop.error(show)
    assert error is not None
    assert error[0] == 1064
    assert error[1].endswith(f'near "{near}";')


# -- information_schema and other databases of the server ------------------------------------------


def test_keywords_are_listed(say: Client, server: Server) -> None:
    read = "SELECT count(*) FROM information_schema.keywords"
    assert say.value(read) == (748 if is_main(server) else 747)
    where = "FROM information_schema.keywords WHERE word IN ('SELECT', 'ACCOUNT', 'pitr')"
    assert say.rows(f"SELECT lower(word), reserved {where}") == [("account", 0), ("select", 1)]


@pytest.mark.parametrize(
    "table",
    [
        "mo_catalog.mo_stages",
        "mo_catalog.mo_user_grant",
        "mysql.user",
        "system.statement_info",
        "information_schema.processlist",
    ],
)
def test_tables_that_the_server_has_are_not_denied(say: Client, server: Server, table: str) -> None:
    assert known(say(f"SELECT count(*) FROM {table}"), server)
    database, name = table.split(".")
    assert name in say.ok(f"SHOW TABLES FROM {database}").column


def test_a_table_that_no_server_has(say: Client, server: Server) -> None:
    code = 1146 if is_main(server) else 1064
    error = (code, 'SQL parser error: table "nosuch" does not exist')
    assert say.error("SELECT * FROM mo_catalog.nosuch") == error
    assert say.error("SELECT * FROM mysql.nosuch") == error


NO_PRIVILEGE = internal("do not have privilege to execute the statement")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE mo_catalog.mo_tables SET relname = 'x' WHERE 1 = 0",
        "DELETE FROM information_schema.keywords WHERE 1 = 0",
        "TRUNCATE TABLE mo_catalog.mo_stages",
        "ALTER TABLE mo_catalog.mo_stages ADD COLUMN x INT",
        "CREATE TABLE mysql.x (a INT)",
        "DROP TABLE IF EXISTS system.x",
    ],
)
def test_nobody_changes_the_servers_own_databases(
    say: Client, server: Server, statement: str, since_3: None
) -> None:
    assert say.error(statement) == NO_PRIVILEGE


def test_columns_of_lists_that_are_always_empty(say: Client) -> None:
    for table, column in (
        ("triggers", "action_orientation"),
        ("routines", "routine_definition"),
        ("events", "interval_field"),
    ):
        assert say.rows(f"SELECT {column} FROM information_schema.{table}") == []


# -- a database that is missing --------------------------------------------------------------------

MISSING_TABLE = 1146, "no such table ~_none.t"
NONE_SELECTED = 1046, "No database selected"
MISSING_DATABASE = 1049, "Unknown database ~_none"


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO ~_none.t VALUES (1)", MISSING_TABLE),
        ("REPLACE INTO ~_none.t VALUES (1)", MISSING_TABLE),
        ("UPDATE ~_none.t SET a = 1", MISSING_TABLE),
        ("DELETE FROM ~_none.t", MISSING_TABLE),
        ("DELETE x FROM ~_none.t x", MISSING_TABLE),
        ("UPDATE ~.t y JOIN ~_none.t x ON x.id = y.id SET y.v = 'z'", MISSING_TABLE),
        ("ALTER TABLE ~_none.t ADD COLUMN c INT", MISSING_TABLE),
        ("TRUNCATE TABLE ~_none.t", MISSING_TABLE),
        ("DROP TABLE ~_none.t", MISSING_TABLE),
        ("DROP TABLE IF EXISTS ~_none.t", None),
        ("CREATE INDEX i ON ~_none.t (a)", MISSING_TABLE),
        ("DROP INDEX i ON ~_none.t", MISSING_TABLE),
        ("RENAME TABLE ~_none.t TO ~_none.u", MISSING_TABLE),
        ("DROP VIEW ~_none.t", (1356, "invalid view '~_none.t'")),
        ("DROP VIEW IF EXISTS ~_none.t", None),
        ("ALTER VIEW ~_none.t AS SELECT 1", (1356, "invalid view '~_none.t'")),
        ("CREATE TABLE ~_none.t (a INT)", NONE_SELECTED),
        ("CREATE TABLE IF NOT EXISTS ~_none.t (a INT)", NONE_SELECTED),
        ("CREATE TABLE ~_none.t LIKE ~.t", NONE_SELECTED),
        ("CREATE TABLE ~_none.t AS SELECT 1", NONE_SELECTED),
        ("CREATE VIEW ~_none.t AS SELECT 1", NONE_SELECTED),
        ("CREATE TABLE ~.u LIKE ~_none.t", MISSING_DATABASE),
        ("CREATE VIEW ~.u AS SELECT * FROM ~_none.t", MISSING_DATABASE),
        ("SELECT * FROM ~_none.t", MISSING_DATABASE),
        ("INSERT INTO ~.t SELECT * FROM ~_none.t", MISSING_DATABASE),
        ("SHOW TABLES FROM ~_none", MISSING_DATABASE),
        ("SHOW CREATE TABLE ~_none.t", MISSING_DATABASE),
        ("SHOW INDEX FROM ~_none.t", MISSING_DATABASE),
        ("DESC ~_none.t", MISSING_DATABASE),
        ("USE ~_none", MISSING_DATABASE),
    ],
)
def test_what_a_statement_says_of_a_missing_database(
    shop: Client, server: Server, statement: str, error: tuple[int, str] | None, since_3: None
) -> None:
    if error == NONE_SELECTED and server.version >= (4,):
        error = MISSING_DATABASE
    assert shop.error(statement) == error


def test_a_clone_of_nothing(shop: Client, server: Server, since_3: None) -> None:
    """4.2.0 makes an empty database and says OK."""
    error = shop.error("CREATE DATABASE ~_c CLONE ~_none")
    if server.version[:2] in ((4, 0), (4, 1), (4, 2)):
        assert error is None
        assert shop.ok("SHOW TABLES FROM ~_c").column == []
    else:
        assert error == ((1049, "Unknown database ~_none") if is_main(server) else NONE_SELECTED)


def test_views_that_are_none(shop: Client, since_3: None) -> None:
    assert shop.error("ALTER VIEW ~.none AS SELECT 1") == (1356, "invalid view '~.none'")
    assert shop.error("ALTER VIEW ~.t AS SELECT 1") == (1356, "invalid view '~.t'")
    assert shop.error("ALTER VIEW IF EXISTS ~.none AS SELECT 1") is None
    refused = (20301, "invalid input: show view 'none' is not a valid view")
    assert shop.error("SHOW CREATE VIEW ~.none") == refused


# -- IN () -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "near"),
    [
        ("SELECT id FROM ~.t WHERE id IN ()", ")"),
        ("SELECT id FROM ~.t WHERE id NOT IN () ORDER BY id", ") ORDER BY id"),
        ("DELETE FROM ~.t WHERE id IN ()", ")"),
    ],
)
def test_an_empty_list_is_none(shop: Client, statement: str, near: str) -> None:
    error = shop.error(statement)
    assert error is not None
    assert error[0] == 1064
    assert error[1].endswith(f'near "{near}";')


EMPTY = "(SELECT 1 FROM (SELECT 1) AS _empty_set WHERE 1 != 1)"
"""The text that SQLAlchemy writes for an empty list"""


@pytest.mark.parametrize("column", ["id", "v", "d", "n", "ts"])
def test_an_empty_set_needs_no_cast(shop: Client, column: str) -> None:
    shop.ok(
        "CREATE TABLE ~.e (id INT PRIMARY KEY, v VARCHAR(10), d DATE, n DECIMAL(10, 2), "
        "ts TIMESTAMP)",
        "INSERT INTO ~.e VALUES (1, 'a', '2020-01-01', 1.5, '2020-01-01 00:00:00'), "
        "(2, NULL, NULL, NULL, NULL)",
    )
    read = f"SELECT id FROM ~.e WHERE {column}"
    assert shop.rows(f"{read} IN {EMPTY}") == []
    assert shop.rows(f"{read} NOT IN {EMPTY}") == [(1,), (2,)]
    assert shop.ok(f"DELETE FROM ~.e WHERE {column} IN {EMPTY}").affected == 0
    assert shop.ok(f"UPDATE ~.e SET id = 9 WHERE {column} IN {EMPTY}").affected == 0


def test_an_empty_set_of_pairs(shop: Client) -> None:
    pairs = EMPTY.replace("SELECT 1 FROM", "SELECT 1, 1 FROM")
    assert shop.rows(f"SELECT id FROM ~.t WHERE (id, v) IN {pairs}") == []
    assert len(shop.rows(f"SELECT id FROM ~.t WHERE (id, v) NOT IN {pairs}")) == 2


def test_a_set_of_another_type_that_is_not_empty(shop: Client) -> None:
    error = shop.error("SELECT id FROM ~.t WHERE v IN (SELECT 1)")
    assert error is not None
    assert error[0] == 20203
