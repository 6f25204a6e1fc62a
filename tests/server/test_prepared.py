"""PREPARE and EXECUTE of PITR statements, and INTERNAL, the planner's own way of making them.

Documented nowhere. A prepared statement is checked when it is prepared, by the planner's rules, and
run by the ordinary ones. With INTERNAL at its end a statement is run by the planner's rules too: it
belongs to the session's transaction, and obj_id is the id that the table has now.
"""

from __future__ import annotations

import threading

import pytest

from tests.conftest import Server
from tests.server.conftest import (
    NO_PRIVILEGE,
    PASSWORD,
    UNCOMMITTED,
    Client,
    Connect,
    internal,
    is_main,
)

SYNTAX = (
    "You have an error in your SQL syntax; check the manual that corresponds to your MatrixOne "
    "server version for the right syntax to use. syntax error at line 1 column "
)
OBJECT = "SELECT obj_id FROM mo_catalog.mo_pitr WHERE pitr_name = '~_p'"
TABLE = (
    "SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relname = 't' "
    "AND account_id = 0"
)

pytestmark = pytest.mark.usefixtures("since_3")


def prepare(statement: str, name: str = "s") -> str:
    quoted = statement.replace("'", "''")
    return f"PREPARE {name} FROM '{quoted}'"


# -- PREPARE, EXECUTE, DEALLOCATE ------------------------------------------------------------------


def test_a_prepared_create_and_drop(shop: Client) -> None:
    create = shop.ok(prepare("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'"))
    assert (create.affected, create.labels) == (0, [])
    assert shop("SHOW PITR WHERE pitr_name = '~_p'").rows == []
    assert shop.ok("EXECUTE s").affected == 0
    shown = shop("SHOW PITR WHERE pitr_name = '~_p'").rows
    assert [row[3:] for row in shown] == [("table", "sys", "~", "t", 1, "d")]
    assert shop.error("EXECUTE s") == internal("pitr ~_p already exists")
    shop.ok(prepare("DROP PITR ~_p", "`D`"), "EXECUTE d")
    assert shop.error("EXECUTE D") == internal("pitr ~_p does not exist")


def test_a_prepared_show(shop: Client, server: Server) -> None:
    shop.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'")
    shop.ok(prepare("SHOW PITR WHERE pitr_name = '~_p'"))
    assert shop.ok("EXECUTE s").column == ["~_p"]
    assert shop.error(prepare("SHOW PITR WHERE nope = 1")) == (
        1054 if is_main(server) else 20301,
        "invalid input: column nope does not exist",
    )


def test_the_text_may_be_a_variable_or_bare(shop: Client) -> None:
    shop.ok("SET @text = 'DROP PITR IF EXISTS ~_p'", "PREPARE s FROM @text", "EXECUTE s")
    shop.ok("PREPARE s FROM DROP PITR ~_p")
    assert shop.error("EXECUTE s") == internal("pitr ~_p does not exist")
    assert shop.error("PREPARE s FROM @never_set") == internal(
        "the user variable never_set does not exist"
    )


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE PITR `a b` FOR DATABASE ~_nope RANGE 0 'd'", "invalid pitr value 0"),
        ("CREATE PITR `a b` FOR DATABASE ~_nope RANGE 1 'Week'", "invalid pitr unit week"),
        ("CREATE PITR sys_mo_catalog_pitr RANGE 1 'd'", "pitr name is reserved"),
        ("CREATE PITR `a b` FOR ACCOUNT ~_nope RANGE 1 'd'", "there is no account ~_nope"),
        ("CREATE PITR `a b` FOR DATABASE ~_nope RANGE 1 'd'", "database ~_nope does not exist"),
        ("CREATE PITR `a b` FOR TABLE ~_nope t RANGE 1 'd'", "database ~_nope does not exist"),
        ("CREATE PITR `a b` FOR TABLE ~ nope RANGE 1 'd'", "table ~.nope does not exist"),
    ],
)
def test_prepare_checks_as_the_planner_does(shop: Client, statement: str, text: str) -> None:
    assert shop.error(prepare(statement)) == internal(text)
    assert shop.error(statement + " INTERNAL") == internal(text)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE PITR `a b` FOR TABLE ~ t RANGE 1 'd'", "invalid input"),
        (
            "CREATE PITR ~_q FOR DATABASE mysql RANGE 1 'd'",
            "can not create pitr for current database mysql",
        ),
        ("CREATE PITR ~_q FOR DATABASE ~ RANGE 1 'd'", "database `~` already has a pitr"),
        ("CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'd'", "database `~` table `t` already has a pitr"),
    ],
)
def test_execute_checks_as_the_ordinary_statement_does(
    shop: Client, statement: str, text: str
) -> None:
    shop.ok(
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'", "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'"
    )
    shop.ok(prepare(statement))
    assert shop.error("EXECUTE s") == internal(text)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("ALTER PITR ~_p RANGE 2 'D'", "alter pitr ~_p range 2  D"),
        ("ALTER PITR IF EXISTS ~_p RANGE 0 'd'", "alter pitr if exists ~_p range 0  d"),
        ("SHOW RECOVERY_WINDOW FOR ACCOUNT", "show recovery_window for account"),
        ("SHOW RECOVERY_WINDOW FOR TABLE ~ t", "show recovery_window for database ~ table t"),
        ("RESTORE FROM PITR ~_p 'x'", "restore self account from pitr ~_p timestamp = x"),
        ("RESTORE CLUSTER FROM PITR ~_p 'x'", "restore cluster from pitr ~_p timestamp = x"),
        (
            "RESTORE DATABASE ~ TABLE t FROM PITR ~_p 'x'",
            "restore database ~ table t from pitr ~_p timestamp = x",
        ),
    ],
)
def test_the_others_cannot_be_prepared(say: Client, statement: str, shown: str) -> None:
    assert say.error(prepare(statement)) == internal(f"statement: '{shown}'")


def test_texts_that_cannot_be_read(say: Client, server: Server) -> None:
    assert say.error("PREPARE s FROM ''") == internal("statement: ''")
    assert say.error(prepare("CREATE PITR p RANGE ? 'd'")) == (
        1105,
        SYNTAX + "21 near \" ? 'd'\";",
    )
    assert say.error(prepare("CREATE PITR p FOR")) == (1105, SYNTAX + '17 near "";')
    several = "prepared statement must contain exactly one statement"
    if server.version < (4,):
        several = "cannot prepare multi statements"
    assert say.error(prepare("DROP PITR p; DROP PITR q")) == (20301, f"invalid input: {several}")
    assert say.error(prepare("ROLLBACK")) == (
        20301,
        "invalid input: cannot prepare TCL and DCL statement",
    )
    parser = f"SQL parser error: {SYNTAX}"
    assert say.error("PREPARE s") == (1064, parser + '9 near "";')
    assert say.error("EXECUTE") == (1064, parser + '7 near "";')
    assert say.error("DEALLOCATE s") == (1064, parser + '12 near " s";')


def test_names_that_are_not_prepared(say: Client, server: Server) -> None:
    missing = (20400, "invalid state prepared statement 's' does not exist")
    assert say.error("EXECUTE s") == missing
    say.ok(prepare("DROP PITR IF EXISTS ~_p"))
    say.ok("SET @a = 1")
    assert say.error("EXECUTE s USING @a") == (
        20301,
        "invalid input: Incorrect arguments to EXECUTE",
    )
    say.ok("DEALLOCATE PREPARE s")
    assert say.error("EXECUTE s") == missing
    unknown = (1243, "Unknown prepared statement handler (s) given to DEALLOCATE PREPARE")
    assert say.error("DEALLOCATE PREPARE s") == (unknown if server.version >= (4,) else None)
    say.ok(prepare("DROP PITR IF EXISTS ~_p"), "DROP PREPARE s")
    assert say.error("EXECUTE s") == missing


def test_a_failing_prepare_loses_the_old_statement_since_4(say: Client, server: Server) -> None:
    say.ok(prepare("DROP PITR IF EXISTS ~_p"))
    assert say.error(prepare("CREATE PITR p RANGE 0 'd'")) == internal("invalid pitr value 0")
    missing = (20400, "invalid state prepared statement 's' does not exist")
    assert say.error("EXECUTE s") == (missing if server.version >= (4,) else None)


def test_in_a_transaction(shop: Client, connect: Connect) -> None:
    """PREPARE opens one where autocommit is 0; EXECUTE in one is refused, and not undone."""
    shop.ok(prepare("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'"), "BEGIN")
    assert shop.error(prepare("DROP PITR ~_p", "d")) == UNCOMMITTED
    assert shop.error("EXECUTE s") == UNCOMMITTED
    assert shop.ok("ROLLBACK").in_transaction is False

    plain = connect(autocommit=False)
    assert plain.ok(prepare("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'")).in_transaction
    assert plain.error("EXECUTE s") == UNCOMMITTED
    plain.ok("ROLLBACK")
    assert plain.ok("EXECUTE s").in_transaction
    plain.ok("ROLLBACK")
    assert shop("SHOW PITR WHERE pitr_name = '~_p'").column == ["~_p"]


def test_only_the_administrator_may_prepare(shop: Client, connect: Connect) -> None:
    shop.ok(
        f"CREATE USER ~_u IDENTIFIED BY '{PASSWORD}'",
        "CREATE ROLE ~_r",
        "GRANT CONNECT ON ACCOUNT * TO ~_r",
        "GRANT ~_r TO ~_u",
    )
    user = connect(user=f"sys:{shop.own}_u:{shop.own}_r", password=PASSWORD)
    assert user.error(prepare("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'")) == NO_PRIVILEGE
    assert user.error(prepare("DROP PITR ~_p")) == NO_PRIVILEGE
    assert user.error("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd' INTERNAL") == NO_PRIVILEGE


# -- which id a table's PITR records ---------------------------------------------------------------


@pytest.mark.parametrize("way", ["plain", "prepared", "internal", "prepared internal"])
def test_the_id_of_a_rebuilt_table(shop: Client, server: Server, way: str) -> None:
    """From 4.x on only INTERNAL records the id that the table has now."""
    before = shop.value(TABLE)
    shop.ok("ALTER TABLE ~.t ADD COLUMN more INT")
    now = shop.value(TABLE)
    assert now != before
    statement = "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'"
    if "internal" in way:
        statement += " INTERNAL"
    if "prepared" in way:
        shop.ok(prepare(statement), "EXECUTE s")
    else:
        shop.ok(statement)
    as_created = server.version >= (4,) and "internal" not in way
    assert shop.value(OBJECT) == (before if as_created else now)
    # What finds the PITR by the table's present id: here the next rebuild.
    shop.ok("ALTER TABLE ~.t ADD COLUMN most INT")
    status = shop.value("SELECT pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = '~_p'")
    assert status == (1 if as_created else 0)


def test_a_table_rebuilt_between_prepare_and_execute(shop: Client, server: Server) -> None:
    """3.x writes what it found at PREPARE, be the table there or not."""
    before = shop.value(TABLE)
    shop.ok(prepare("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL"))
    shop.ok("ALTER TABLE ~.t ADD COLUMN more INT", "EXECUTE s")
    assert shop.value(OBJECT) == (shop.value(TABLE) if server.version >= (4,) else before)
    shop.ok("DROP PITR ~_p", "DROP TABLE ~.t")
    missing = internal("table ~.t does not exist")
    assert shop.error("EXECUTE s") == (missing if server.version >= (4,) else None)


# -- INTERNAL --------------------------------------------------------------------------------------


def test_internal_has_other_texts(shop: Client) -> None:
    """A second PITR for a table that has one already "exists"."""
    shop.ok(
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd' INTERNAL",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd' INTERNAL",
    )
    taken = internal("pitr ~_d already exists")
    assert shop.error("CREATE PITR ~_d FOR TABLE ~ t RANGE 1 'd' INTERNAL") == taken
    shop.ok("CREATE PITR IF NOT EXISTS ~_d FOR TABLE ~ t RANGE 1 'd' INTERNAL")
    assert shop.error("CREATE PITR IF NOT EXISTS ~_d FOR TABLE ~ no RANGE 1 'd' INTERNAL") == (
        internal("table ~.no does not exist")
    )
    assert shop.error("CREATE PITR ~_e FOR TABLE ~ t RANGE 1 'd' INTERNAL") == internal(
        "table ~.t does not exist"
    )
    assert shop.error("CREATE PITR ~_e FOR DATABASE ~ RANGE 1 'd' INTERNAL") == internal(
        "database `~` already has a pitr"
    )
    assert shop.error("CREATE PITR ~_e FOR TABLE ~ t RANGE 1 'd'") == internal(
        "database `~` table `t` already has a pitr"
    )


def test_internal_asks_nothing_of_the_name(shop: Client, server: Server) -> None:
    shop.ok("CREATE PITR `~_a b` FOR TABLE ~ t RANGE 1 'd' INTERNAL")
    assert shop.error("DROP PITR `~_a b`") == internal("invalid input")
    shop.ok("DROP PITR `~_a b` INTERNAL")
    error = shop.error("DROP PITR IF EXISTS `~_a'b` INTERNAL")
    if server.version >= (4,):
        assert error is None
    else:
        assert error is not None
        assert error[0] == 1105
        assert error[1].endswith('near "b\' AND create_account = 0";')


def test_internal_makes_them_for_accounts(shop: Client, server: Server) -> None:
    """The account that it names is in account_name and obj_id, account_id is one's own."""
    shop.ok(f"CREATE ACCOUNT ~_x ADMIN_NAME 'a' IDENTIFIED BY '{PASSWORD}'")
    shop.ok("CREATE PITR ~_p FOR ACCOUNT ~_x RANGE 1 'd' INTERNAL")
    row = shop.ok(
        "SELECT p.level, p.account_id, p.account_name, p.obj_id = a.account_id "
        "FROM mo_catalog.mo_pitr p, mo_catalog.mo_account a "
        "WHERE p.pitr_name = '~_p' AND a.account_name = '~_x'"
    ).rows
    assert row == [("account", 0, "~_x", 1 if server.version >= (3, 0, 18) else "true")]
    assert shop.error("CREATE PITR ~_q FOR ACCOUNT ~_x RANGE 1 'd' INTERNAL") == internal(
        "account ~_x does not exist"
    )


def test_internal_belongs_to_the_transaction(shop: Client, connect: Connect) -> None:
    assert shop.ok("BEGIN").in_transaction
    assert shop.error("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL") == UNCOMMITTED
    shop.ok("ROLLBACK")
    plain, listed = connect(autocommit=False), "SHOW PITR WHERE pitr_name = '~_p'"
    plain.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL")
    assert shop(listed).rows == []
    plain.ok("ROLLBACK")
    assert shop(listed).rows == []
    plain.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL", "COMMIT")
    assert shop(listed).column == ["~_p"]
    plain.ok("DROP PITR ~_p INTERNAL", "ROLLBACK")
    assert shop(listed).column == ["~_p"]
    plain.ok("DROP PITR ~_p INTERNAL", "COMMIT")
    assert shop(listed).rows == []


def test_an_account_other_than_sys_and_internal(their_shop: Client, server: Server) -> None:
    """3.x looks into mo_pitr as that account, and does not find the table."""
    error = their_shop.error("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL")
    dropped = their_shop.error("DROP PITR IF EXISTS ~_p INTERNAL")
    if server.version >= (4,):
        assert (error, dropped) == (None, None)
    else:
        missing = (1064, 'SQL parser error: table "mo_pitr" does not exist')
        assert (error, dropped) == (missing, missing)


@pytest.mark.parametrize(
    "waiter",
    [
        "CREATE PITR ~_q FOR DATABASE ~ RANGE 1 'd'",
        "ALTER TABLE ~.t ADD COLUMN more INT",
    ],
)
def test_an_uncommitted_internal_is_waited_for_since_4_2(
    shop: Client, connect: Connect, server: Server, waiter: str
) -> None:
    if server.version < (4, 2):
        pytest.skip("since 4.2")
    plain, other = connect(autocommit=False), connect()
    plain.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL")
    thread = threading.Thread(target=other.ok, args=(waiter,))
    thread.start()
    thread.join(0.7)
    assert thread.is_alive()
    plain.ok("ROLLBACK")
    thread.join(20)
    assert not thread.is_alive()


def test_internal_waits_for_a_rebuild_since_4_2(
    shop: Client, connect: Connect, server: Server
) -> None:
    rebuilder, other = connect(), connect()
    rebuilder.ok("BEGIN", "ALTER TABLE ~.t ADD COLUMN more INT")
    thread = threading.Thread(
        target=other.ok, args=("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd' INTERNAL",)
    )
    thread.start()
    thread.join(0.7)
    assert thread.is_alive() == (server.version >= (4, 2))
    rebuilder.ok("COMMIT")
    thread.join(20)
    stale = server.version < (4, 2)
    assert (shop.value(OBJECT) == shop.value(TABLE)) is not stale
