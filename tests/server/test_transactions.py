"""PITR statements and transactions, the status bits, SET, SAVEPOINT.

docs/server.md, The commit rule; SET; The status bit; Savepoints and XA.
"""

from __future__ import annotations

import threading

import pytest

from tests.conftest import Server
from tests.server.conftest import UNCOMMITTED, Client, Connect, internal, is_main

PITR_STATEMENTS = [
    "CREATE PITR ~_p RANGE 1 'd'",
    "CREATE PITR IF NOT EXISTS ~_p FOR DATABASE ~ RANGE 1 'd'",
    "ALTER PITR ~_p RANGE 1 'd'",
    "ALTER PITR IF EXISTS ~_p RANGE 1 'd'",
    "DROP PITR ~_p",
    "DROP PITR IF EXISTS ~_p",
    "SHOW PITR",
    "SHOW PITR WHERE pitr_name = 'p'",
    "SHOW RECOVERY_WINDOW FOR ACCOUNT",
    "SHOW RECOVERY_WINDOW FOR DATABASE ~",
    "SHOW RECOVERY_WINDOW FOR TABLE ~ t",
    "RESTORE FROM PITR ~_p '2026-01-01 00:00:00'",
    "RESTORE DATABASE ~ FROM PITR ~_p '2026-01-01 00:00:00'",
    "RESTORE DATABASE ~ TABLE t FROM PITR ~_p '2026-01-01 00:00:00'",
]


@pytest.fixture
def other(connect: Connect) -> Client:
    """A second session, in autocommit."""
    return connect()


@pytest.fixture
def manual(shop: Client, connect: Connect) -> Client:
    """A session with autocommit=0, as SQLAlchemy's drivers make it; `shop` is there."""
    client = connect(autocommit=False)
    client.ok("COMMIT")
    return client


def read_rows(client: Client) -> list[int]:
    return [row[0] for row in client.rows("SELECT id FROM ~.t")]


# -- the rule --------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", PITR_STATEMENTS)
def test_refused_after_begin(say: Client, statement: str) -> None:
    say.ok("BEGIN")
    assert say.error(statement) == UNCOMMITTED


@pytest.mark.parametrize("statement", PITR_STATEMENTS)
def test_refused_with_autocommit_off_after_a_select(
    say: Client, connect: Connect, statement: str
) -> None:
    manual = connect(autocommit=False)
    manual.ok("SELECT 1")
    assert manual.error(statement) == UNCOMMITTED


@pytest.mark.parametrize("begin", ["BEGIN", "START TRANSACTION"])
def test_ways_to_begin(say: Client, begin: str) -> None:
    say.ok(begin)
    assert say.error("SHOW PITR") == UNCOMMITTED
    say.ok("COMMIT", "SHOW PITR")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT @@autocommit",
        "SHOW DATABASES",
        "SHOW VARIABLES LIKE 'autocommit'",
        "INSERT INTO ~.t VALUES (3, 'c')",
        "UPDATE ~.t SET v = 'z' WHERE id = 7",
        "CREATE TABLE ~.t2 (id INT)",
        "USE ~",
        "SELECT id FROM ~.t FOR UPDATE",
        "SHOW PITR",
        "SHOW RECOVERY_WINDOW FOR DATABASE ~",
        "CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'",
        "DROP PITR IF EXISTS ~_p",
    ],
)
def test_with_autocommit_off_any_statement_begins_a_transaction(
    manual: Client, statement: str
) -> None:
    """PITR statements themselves too: the first works, the second is refused."""
    manual.ok(statement)
    assert manual.error("SHOW PITR") == UNCOMMITTED
    manual.ok("ROLLBACK", "SHOW PITR")


@pytest.mark.parametrize(
    "statement",
    [
        "SET @x = 1",
        "SET NAMES utf8mb4",
        "SET time_zone = '+00:00'",
        "SET autocommit = 0",
        "COMMIT",
        "ROLLBACK",
    ],
)
def test_set_commit_and_rollback_begin_none(manual: Client, statement: str) -> None:
    manual.ok(statement, "SHOW PITR")


def test_ping_begins_none(manual: Client) -> None:
    manual.connection.ping(reconnect=False)
    manual.ok("SHOW PITR")


def test_a_syntax_error_begins_none(manual: Client) -> None:
    for statement in ("SELEC 1", "CREATE PITR p RANGE x 'd'"):
        error = manual.error(statement)
        assert error is not None
        assert error[0] == 1064
    manual.ok("SHOW PITR")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM ~.nope", 1064),
        ("INSERT INTO ~.t VALUES (1, 'a')", 1062),
        ("CREATE PITR ~_p RANGE 0 'd'", 20101),
        ("DROP PITR ~_p", 20101),
    ],
)
def test_a_statement_that_fails_begins_one(
    manual: Client, server: Server, statement: str, code: int
) -> None:
    if is_main(server) and code == 1064 and "nope" in statement:
        code = 1146
    error = manual.error(statement)
    assert error is not None
    assert error[0] == code
    assert manual.error("SHOW PITR") == UNCOMMITTED


def test_the_refusal_neither_commits_nor_rolls_back(shop: Client, other: Client) -> None:
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')")
    assert shop.error("SHOW PITR") == UNCOMMITTED
    assert read_rows(other) == [1, 2]
    assert read_rows(shop) == [1, 2, 3]
    shop.ok("COMMIT")
    assert read_rows(other) == [1, 2, 3]


def test_a_refusal_does_not_end_the_transaction(shop: Client) -> None:
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')")
    assert shop.error("SHOW PITR") == UNCOMMITTED
    shop.ok("ROLLBACK")
    assert read_rows(shop) == [1, 2]


# -- PITR DDL is no part of the session's transaction ----------------------------------------------


def test_rollback_does_not_undo_pitr_ddl(manual: Client, other: Client) -> None:
    manual.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'", "ROLLBACK")
    assert other.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][7:9] == (1, "d")
    manual.ok("ALTER PITR ~_p RANGE 2 'd'", "ROLLBACK")
    assert other.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][7:9] == (2, "d")
    manual.ok("DROP PITR ~_p", "ROLLBACK")
    assert other.rows("SHOW PITR WHERE pitr_name = '~_p'") == []


def test_pitr_ddl_is_seen_by_others_before_any_commit(manual: Client, other: Client) -> None:
    manual.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'")
    assert len(other.rows("SHOW PITR WHERE pitr_name = '~_p'")) == 1


def test_others_do_not_find_an_uncommitted_table(manual: Client, other: Client) -> None:
    manual.ok("CREATE TABLE ~.fresh (id INT)")
    create = "CREATE PITR ~_p FOR TABLE ~ fresh RANGE 1 'd'"
    assert other.error(create) == internal("table ~.fresh does not exist")
    manual.ok("COMMIT")
    other.ok(create)


def test_the_creator_of_an_uncommitted_table_is_refused(manual: Client) -> None:
    """Do as an after_create listener would."""
    manual.ok("CREATE TABLE ~.fresh (id INT)")
    create = "CREATE PITR ~_p FOR TABLE ~ fresh RANGE 1 'd'"
    assert manual.error(create) == UNCOMMITTED
    manual.ok("COMMIT", create)


def test_an_open_transaction_of_another_session_is_no_hindrance(
    shop: Client, other: Client
) -> None:
    other.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')")
    shop.ok(
        "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'", "ALTER PITR ~_p RANGE 2 'd'", "DROP PITR ~_p"
    )
    other.ok("ROLLBACK")


def test_an_uncommitted_rebuild_is_waited_for_from_4_2(
    shop: Client, connect: Connect, server: Server
) -> None:
    writer, creator = connect(autocommit=False), connect()
    writer.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    done = threading.Event()
    errors: list[object] = []

    def create() -> None:
        errors.append(creator.error("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'"))
        done.set()

    thread = threading.Thread(target=create)
    thread.start()
    waits = server.version >= (4, 2)
    assert done.wait(0.7 if waits else 10) == (not waits)
    writer.ok("COMMIT")
    thread.join(30)
    assert errors == [None]


# -- ordinary DDL is transactional -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ddl", "question", "after"),
    [
        ("CREATE DATABASE ~_d", "SHOW DATABASES LIKE '~_d'", []),
        ("DROP DATABASE ~", "SHOW DATABASES LIKE '~'", [("~",)]),
        ("CREATE TABLE ~.t2 (id INT)", "SHOW TABLES FROM ~", [("t",)]),
        ("DROP TABLE ~.t", "SHOW TABLES FROM ~", [("t",)]),
        ("CREATE VIEW ~.w AS SELECT 1", "SHOW TABLES FROM ~", [("t",)]),
        ("TRUNCATE TABLE ~.t", "SELECT id FROM ~.t", [(1,), (2,)]),
        ("ALTER TABLE ~.t DROP COLUMN v", "SELECT v FROM ~.t", [("a",), ("b",)]),
        ("ALTER TABLE ~.t RENAME COLUMN v TO w", "SELECT v FROM ~.t", [("a",), ("b",)]),
    ],
)
@pytest.mark.parametrize("way", ["BEGIN", "SET AUTOCOMMIT = 0"])
def test_rollback_undoes_ddl(
    shop: Client, way: str, ddl: str, question: str, after: list[tuple[object, ...]]
) -> None:
    shop.ok(way, ddl, "ROLLBACK")
    assert shop.rows(question) == after


def test_ddl_does_not_commit_what_was_before_it(shop: Client, other: Client) -> None:
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')", "CREATE TABLE ~.t2 (id INT)")
    assert read_rows(other) == [1, 2]
    shop.ok("ROLLBACK")
    assert read_rows(shop) == [1, 2]


def test_a_failed_statement_undoes_itself_only(shop: Client) -> None:
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')")
    error = shop.error("INSERT INTO ~.t VALUES (4, 'd'), (1, 'a')")
    assert error is not None
    assert error[0] == 1062
    shop.ok("COMMIT")
    assert read_rows(shop) == [1, 2, 3]


def test_a_new_database_can_be_used_before_its_commit(manual: Client) -> None:
    manual.ok("CREATE DATABASE ~_d", "USE ~_d", "CREATE TABLE q (id INT)", "ROLLBACK")
    assert manual.rows("SHOW DATABASES LIKE '~_d'") == []


def test_a_rolled_back_database_stays_chosen(manual: Client, server: Server) -> None:
    manual.ok("CREATE DATABASE ~_d", "USE ~_d", "ROLLBACK")
    expected = (1046, "No database selected")
    if server.version >= (4,):
        expected = (1049, "Unknown database ~_d")
    assert manual.error("CREATE TABLE q (id INT)") == expected


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("KILL 4000000000", UNCOMMITTED),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", UNCOMMITTED),
        (
            "RENAME TABLE ~.t TO ~.u",
            internal("Only CREATE of DDL is supported in transactions"),
        ),
        (
            "CREATE ACCOUNT ~_a ADMIN_NAME 'a' IDENTIFIED BY '111'",
            internal("administrative command is unsupported in transactions"),
        ),
        (
            "CREATE USER ~_u IDENTIFIED BY '111'",
            internal("administrative command is unsupported in transactions"),
        ),
        ("CREATE ROLE ~_r", internal("administrative command is unsupported in transactions")),
    ],
)
def test_other_statements_refused_in_a_transaction(
    shop: Client, server: Server, statement: str, error: tuple[int, str]
) -> None:
    shop.ok("BEGIN")
    if is_main(server) and statement.startswith("SET TRANSACTION"):
        text = "Transaction characteristics can't be changed while a transaction is in progress"
        error = (1568, text)
    assert shop.error(statement) == error


@pytest.mark.parametrize("scope", ["SESSION", "GLOBAL"])
def test_the_isolation_of_later_transactions_inside_one(
    shop: Client, server: Server, scope: str
) -> None:
    """Main takes it."""
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (9, 'z')")
    error = shop.error(f"SET {scope} TRANSACTION ISOLATION LEVEL READ COMMITTED")
    assert error == (None if is_main(server) else UNCOMMITTED)
    shop.ok("ROLLBACK")
    assert shop.value("SELECT COUNT(*) FROM ~.t") == 2


# -- SET -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement", ["SET @x = 1", "SET NAMES utf8mb4", "SET time_zone = '+00:00'"]
)
def test_set_commits_the_open_transaction(
    shop: Client, other: Client, server: Server, statement: str
) -> None:
    """After 4.2.0 it neither opens nor ends one."""
    kept = [1, 2] if is_main(server) else [1, 2, 3]
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')", statement)
    assert read_rows(other) == kept
    shop.ok("ROLLBACK")
    assert read_rows(shop) == kept


def test_a_failing_set_rolls_the_open_transaction_back(shop: Client, server: Server) -> None:
    """Not after 4.2.0."""
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')")
    assert shop.error("SET nope = 1") == internal("the system variable does not exist")
    shop.ok("COMMIT")
    assert read_rows(shop) == ([1, 2, 3] if is_main(server) else [1, 2])


def test_autocommit_on_commits(manual: Client, other: Client) -> None:
    manual.ok("INSERT INTO ~.t VALUES (3, 'c')", "SET AUTOCOMMIT = 1")
    assert read_rows(other) == [1, 2, 3]
    manual.ok("INSERT INTO ~.t VALUES (4, 'd')")
    assert read_rows(other) == [1, 2, 3, 4]


def test_pitr_statements_after_autocommit_on(manual: Client) -> None:
    manual.ok("SELECT 1", "SET AUTOCOMMIT = 1", "SHOW PITR", "SHOW PITR")


# -- the status bits -------------------------------------------------------------------------------


def test_bits_of_an_honest_session(shop: Client) -> None:
    def bits(statement: str) -> tuple[bool, bool]:
        answer = shop.ok(statement)
        return answer.autocommit, answer.in_transaction

    assert bits("SET AUTOCOMMIT = 1") == (True, False)
    assert bits("INSERT INTO ~.t VALUES (3, 'c')") == (True, False)
    assert bits("BEGIN") == (True, True)
    assert bits("INSERT INTO ~.t VALUES (4, 'd')") == (True, True)
    assert bits("ROLLBACK") == (True, False)


@pytest.mark.usefixtures("since_3")
def test_autocommit_off_shows_in_the_bit(shop: Client) -> None:
    assert not shop.ok("SET AUTOCOMMIT = 0").autocommit
    answer = shop.ok("INSERT INTO ~.t VALUES (3, 'c')")
    assert (answer.autocommit, answer.in_transaction) == (False, True)
    answer = shop.ok("COMMIT")
    assert (answer.autocommit, answer.in_transaction) == (False, False)


def test_reads_do_not_show_the_transaction_they_begin(manual: Client) -> None:
    assert not manual.ok("SELECT id FROM ~.t").in_transaction
    assert manual.error("SHOW PITR") == UNCOMMITTED


@pytest.mark.parametrize("statement", ["SET NAMES utf8mb4", "SET @x = 1"])
def test_the_bit_lies_after_a_set(manual: Client, other: Client, statement: str) -> None:
    """It says autocommit, and the rows are lost."""
    assert manual.ok(statement).autocommit
    manual.ok("INSERT INTO ~.t VALUES (3, 'c')")
    assert read_rows(other) == [1, 2]
    manual.ok("ROLLBACK")
    assert read_rows(manual) == [1, 2]


def test_the_bit_lies_until_the_next_change(manual: Client) -> None:
    """Not in the answers to reads, which begin the transaction as well."""
    manual.ok("SET NAMES utf8mb4")
    assert manual.ok("SELECT id FROM ~.t").autocommit
    answer = manual.ok("INSERT INTO ~.t VALUES (3, 'c')")
    assert (answer.autocommit, answer.in_transaction) == (False, True)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_bit_lies_until_commit_or_rollback(manual: Client, server: Server, end: str) -> None:
    manual.ok("SET NAMES utf8mb4", "SELECT 1")
    assert manual.ok(end).autocommit == (server.version < (3,))


def test_drivers_autocommit_trusts_the_lying_bit(manual: Client, other: Client) -> None:
    """PyMySQL sends nothing when the bit says that autocommit is on already."""
    manual.ok("SET NAMES utf8mb4")
    manual.connection.autocommit(True)
    manual.ok("INSERT INTO ~.t VALUES (3, 'c')")
    assert read_rows(other) == [1, 2]


def test_set_autocommit_as_a_statement_is_believed(manual: Client, other: Client) -> None:
    manual.ok("SET NAMES utf8mb4", "SET AUTOCOMMIT = 1", "INSERT INTO ~.t VALUES (3, 'c')")
    assert read_rows(other) == [1, 2, 3]


# -- SAVEPOINT and XA ------------------------------------------------------------------------------

NO_SAVEPOINT = internal("savepoint has not been implemented yet. please rollback the transaction.")


def test_savepoint_and_release_are_taken(shop: Client) -> None:
    shop.ok("BEGIN", "SAVEPOINT s", "RELEASE SAVEPOINT s", "RELEASE SAVEPOINT never", "COMMIT")


@pytest.mark.parametrize("statement", ["ROLLBACK TO SAVEPOINT s", "ROLLBACK TO s"])
def test_rollback_to_savepoint_loses_the_last_statement_only(shop: Client, statement: str) -> None:
    shop.ok(
        "BEGIN",
        "INSERT INTO ~.t VALUES (3, 'c')",
        "SAVEPOINT s",
        "INSERT INTO ~.t VALUES (4, 'd')",
        "INSERT INTO ~.t VALUES (5, 'e'), (6, 'f')",
    )
    assert shop.error(statement) == NO_SAVEPOINT
    assert read_rows(shop) == [1, 2, 3, 4]
    shop.ok("COMMIT")
    assert read_rows(shop) == [1, 2, 3, 4]


def test_the_whole_transaction_can_be_rolled_back_after_it(shop: Client) -> None:
    shop.ok("BEGIN", "INSERT INTO ~.t VALUES (3, 'c')", "SAVEPOINT s")
    assert shop.error("ROLLBACK TO SAVEPOINT s") == NO_SAVEPOINT
    shop.ok("ROLLBACK")
    assert read_rows(shop) == [1, 2]


@pytest.mark.parametrize("statement", ["XA BEGIN 'x'", "XA START 'x'", "XA BEGIN"])
def test_xa_is_no_syntax(say: Client, statement: str) -> None:
    error = say.error(statement)
    assert error is not None
    assert error[0] == 1064


@pytest.mark.parametrize("rest", ["", " READ ONLY", " READ WRITE", " WITH CONSISTENT SNAPSHOT"])
def test_start_transaction(say: Client, rest: str) -> None:
    assert say.ok(f"START TRANSACTION{rest}").in_transaction
    say.ok("ROLLBACK")


@pytest.mark.parametrize("rest", [" FOO", " ISOLATION LEVEL SERIALIZABLE"])
def test_what_starts_no_transaction(say: Client, rest: str) -> None:
    answer = say(f"START TRANSACTION{rest}")
    assert answer.error is not None
    assert answer.error[0] == 1064
    assert answer.error[1].endswith(f' near "{rest}";')
