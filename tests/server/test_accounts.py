"""Logins, roles, who may do what, names that are free again.

docs/server.md, Accounts and rights.
"""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest

from tests.conftest import Server
from tests.server.conftest import (
    NO_PRIVILEGE,
    PASSWORD,
    Client,
    Connect,
    Tenant,
    internal,
    is_main,
)


@pytest.fixture
def account(say: Client) -> Client:
    """`say` with an account ~_a of the test's own."""
    say.ok(f"CREATE ACCOUNT ~_a ADMIN_NAME 'adm' IDENTIFIED BY '{PASSWORD}' COMMENT 'c'")
    return say


def test_who_one_is(say: Client, admin: Client, tenant: Tenant) -> None:
    question = "SELECT current_account_name(), current_account_id(), current_role()"
    assert say.rows(question) == [("sys", 0, "moadmin")]
    name, number, role = admin.rows(question)[0]
    assert (name, role) == (tenant.name, "accountadmin")
    assert number > 0


def test_logins(account: Client, connect: Connect) -> None:
    own = account.own
    for user in (f"{own}_a:adm", f"{own}_a#adm", f"{own}_a:adm:accountadmin"):
        client = connect(user=user, password=PASSWORD)
        assert client.value("SELECT current_account_name()") == "~_a"
    with pytest.raises(pymysql.OperationalError) as caught:
        connect(user=f"{own}_a:adm", password="wrong")
    assert caught.value.args[0] in (1045, 20101)


def test_account_names_are_folded(say: Client, connect: Connect) -> None:
    say.ok(f"CREATE ACCOUNT ~_ABC ADMIN_NAME 'adm' IDENTIFIED BY '{PASSWORD}'")
    client = connect(user=f"{say.own}_abc:adm", password=PASSWORD)
    assert client.value("SELECT current_account_name()") == "~_abc"


def test_suspended_accounts_do_not_log_in(account: Client, connect: Connect) -> None:
    account.ok("ALTER ACCOUNT ~_a SUSPEND")
    with pytest.raises(pymysql.OperationalError, match="is suspended"):
        connect(user=f"{account.own}_a:adm", password=PASSWORD)
    account.ok("ALTER ACCOUNT ~_a OPEN")
    connect(user=f"{account.own}_a:adm", password=PASSWORD)


def test_show_accounts(account: Client, admin: Client, tenant: Tenant) -> None:
    names = account.ok("SHOW ACCOUNTS").column
    assert {"sys", "~_a"} <= set(names)
    assert admin.ok("SHOW ACCOUNTS").column == [tenant.name]


def test_mo_account_is_for_sys(account: Client, admin: Client, server: Server) -> None:
    rows = account.rows(
        "SELECT account_name, admin_name, status, comments FROM mo_catalog.mo_account "
        "WHERE account_name = '~_a'"
    )
    assert rows == [("~_a", "adm", "open", "c")]
    assert admin.error("SELECT * FROM mo_catalog.mo_account") == (
        1146 if is_main(server) else 1064,
        'SQL parser error: table "mo_account" does not exist',
    )


REFUSED = [
    ("CREATE ACCOUNT ~_a ADMIN_NAME 'a' IDENTIFIED BY '111'", "the tenant ~_a exists"),
    ("CREATE ACCOUNT sys ADMIN_NAME 'a' IDENTIFIED BY '111'", "the tenant sys exists"),
    ("DROP ACCOUNT ~_nope", "there is no account ~_nope"),
    ("DROP ACCOUNT sys", "can not delete the account sys"),
    (
        "CREATE ROLE moadmin",
        "can not use the name moadmin. it is the name of the predefined role",
    ),
    ("DROP ROLE ~_nope", "there is no role ~_nope"),
    ("DROP ROLE moadmin", "can not delete the role moadmin"),
    ("DROP USER ~_nope", "there is no user ~_nope"),
    ("SET ROLE ~_nope", "there is no role ~_nope"),
]


@pytest.mark.parametrize(("statement", "text"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refusals(say: Client, statement: str, text: str) -> None:
    if "~_a" in statement:
        say.ok(f"CREATE ACCOUNT ~_a ADMIN_NAME 'adm' IDENTIFIED BY '{PASSWORD}'")
    assert say.error(statement) == internal(text)


def test_if_exists_and_if_not_exists(account: Client) -> None:
    account.ok(
        "CREATE ACCOUNT IF NOT EXISTS ~_a ADMIN_NAME 'a' IDENTIFIED BY '111'",
        "DROP ACCOUNT IF EXISTS ~_nope",
        "DROP USER IF EXISTS ~_nope",
        "DROP ROLE IF EXISTS ~_nope",
    )


@pytest.mark.parametrize(
    "statement",
    ["CREATE ACCOUNT ~_b ADMIN_NAME 'a' IDENTIFIED BY '111'", "DROP ACCOUNT ~_nope"],
)
def test_only_sys_manages_accounts(admin: Client, statement: str) -> None:
    assert admin.error(statement) == NO_PRIVILEGE


def test_an_administrator_manages_its_own_account(their_shop: Client) -> None:
    their_shop.ok(
        "CREATE PITR ~_a RANGE 1 'd'",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'",
        "ALTER PITR ~_a RANGE 2 'd'",
        "DROP PITR ~_t",
    )
    assert set(their_shop.ok("SHOW PITR").column) == {"~_a", "~_d"}


MANAGING = [
    "CREATE PITR ~_p RANGE 1 'd'",
    "ALTER PITR ~_p RANGE 1 'd'",
    "DROP PITR ~_p",
]
OTHERS = ["SHOW PITR", "RESTORE FROM PITR ~_p 'x'"]


@pytest.fixture
def user(admin: Client, tenant: Tenant, connect: Connect) -> Iterator[Client]:
    """A user of the tenant whose role ~_r has no privilege yet but to connect."""
    admin.ok(
        f"CREATE USER ~_u IDENTIFIED BY '{PASSWORD}'",
        "CREATE ROLE ~_r",
        "GRANT CONNECT ON ACCOUNT * TO ~_r",
        "GRANT ~_r TO ~_u",
    )
    yield connect(user=f"{tenant.name}:{admin.own}_u:{admin.own}_r", password=PASSWORD)
    admin.ok("DROP USER ~_u", "DROP ROLE ~_r")


def test_an_ordinary_role_manages_nothing(user: Client) -> None:
    for statement in (*MANAGING, *OTHERS):
        assert user.error(statement) == NO_PRIVILEGE


def test_a_role_with_all_on_the_account_shows_and_restores(user: Client, admin: Client) -> None:
    """CREATE, ALTER and DROP want the administrator's role itself."""
    admin.ok("GRANT ALL ON ACCOUNT * TO ~_r")
    for statement in MANAGING:
        assert user.error(statement) == NO_PRIVILEGE
    user.ok("SHOW PITR")
    error = user.error("RESTORE FROM PITR ~_p 'x'")
    assert error is not None
    assert error[0] == 1105


def test_the_catalogue_is_for_the_administrators_role(user: Client, admin: Client) -> None:
    """The account lock of programs, a row of mo_role, too."""
    lock = (
        "SELECT role_id FROM mo_catalog.mo_role "
        "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
    )
    assert user.error(lock) == NO_PRIVILEGE
    admin.ok("GRANT ALL ON ACCOUNT * TO ~_r")
    for statement in (lock, "SELECT count(*) FROM mo_catalog.mo_tables"):
        assert user.error(statement) == NO_PRIVILEGE
        assert admin.error(statement) is None
        admin.ok("COMMIT")


def test_the_administrators_role_is_not_granted_to_others(admin: Client) -> None:
    admin.ok(f"CREATE USER ~_u IDENTIFIED BY '{PASSWORD}'")
    try:
        assert admin.error("GRANT accountadmin TO ~_u") == internal(
            "the role accountadmin can not be granted to non administration user ~_u"
        )
    finally:
        admin.ok("DROP USER ~_u")


def test_databases_of_accounts_are_apart(say: Client, their_shop: Client) -> None:
    assert say.rows("SHOW DATABASES LIKE '~'") == []
    assert say.error("SELECT * FROM ~.t") is not None
    say.ok("CREATE DATABASE ~", "CREATE TABLE ~.t (id INT)")
    assert say.rows("SELECT * FROM ~.t") == []


@pytest.mark.usefixtures("since_3")
def test_sys_finds_databases_of_other_accounts_but_no_tables(
    say: Client, their_shop: Client
) -> None:
    """The look-up of a database names no account."""
    say.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    assert say.error("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'") == internal(
        "table ~.t does not exist"
    )


def test_a_name_is_free_again_after_drop_account(account: Client) -> None:
    account.ok("CREATE PITR ~_p FOR ACCOUNT ~_a RANGE 1 'd'", "DROP ACCOUNT ~_a")
    assert account.error("CREATE PITR ~_q FOR ACCOUNT ~_a RANGE 1 'd'") == internal(
        "account ~_a does not exist"
    )
    account.ok(f"CREATE ACCOUNT ~_a ADMIN_NAME 'adm' IDENTIFIED BY '{PASSWORD}'")
    account.ok("CREATE PITR ~_q FOR ACCOUNT ~_a RANGE 1 'd'")


KEEP = ["COMMIT", "ROLLBACK", "BEGIN", "USE ~", "KILL 999999999", "SHOW VARIABLES LIKE 'x'"]
KEEP += ["SAVEPOINT a", "SELECT nothing FROM ~.t", "SHOW PITR", "DROP PITR IF EXISTS ~_x"]
END = ["SELECT 1", "SET @a = 1", "SHOW DATABASES", "INSERT INTO ~.t (id) VALUES (9)", "DESC ~.t"]


@pytest.mark.parametrize("between", KEEP + END)
def test_after_show_pitr_the_account_is_said_to_be_sys(their_shop: Client, between: str) -> None:
    """In the next statement that is planned, and in that only; of an error it is none."""
    asked = "SELECT current_account_id()"
    own = their_shop.rows(asked)
    their_shop.ok("SHOW PITR")
    their_shop(between)
    if between == "BEGIN":
        assert their_shop.rows(asked) == [(0,)]
        their_shop.ok("ROLLBACK")
    else:
        assert their_shop.rows(asked) == ([(0,)] if between in KEEP else own)
    assert their_shop.rows(asked) == own


@pytest.mark.parametrize("view", ["tables", "columns"])
def test_after_show_pitr_the_information_schema_is_empty(their_shop: Client, view: str) -> None:
    """Unless the session has asked the very same before: a plan may be kept."""
    where = f"FROM information_schema.{view} WHERE table_schema = '~'"
    their_shop.ok("SHOW PITR")
    assert their_shop.rows(f"SELECT table_name {where}") == []
    assert ("t",) in their_shop.rows(f"SELECT DISTINCT table_name {where}")
