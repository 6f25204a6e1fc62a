"""Accounts: creation, logins, visibility by creator, what only sys may do, DROP ACCOUNT."""

from __future__ import annotations

import pytest

from .conftest import Client, Connect


def internal(text: str) -> tuple[int, str]:
    return 20101, f"internal error: {text}"


NO_PRIVILEGE = internal("do not have privilege to execute the statement")


@pytest.fixture
def tenant(client: Client, connect: Connect) -> Client:
    client("CREATE ACCOUNT Acc ADMIN_NAME 'adm' IDENTIFIED BY 'pw' COMMENT 'c'")
    return connect(user="acc:adm", password="pw")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE ACCOUNT acc ADMIN_NAME 'a' IDENTIFIED BY 'b'", "the tenant acc exists"),
        ("CREATE ACCOUNT sys ADMIN_NAME 'a' IDENTIFIED BY 'b'", "the tenant sys exists"),
        ("CREATE ACCOUNT x ADMIN_NAME 'a' IDENTIFIED BY ''", "password is empty string"),
        ("CREATE ACCOUNT `x:y` ADMIN_NAME 'a' IDENTIFIED BY 'b'", 'the name "x:y" is invalid'),
        ("DROP ACCOUNT nope", "there is no account nope"),
        ("DROP ACCOUNT sys", "can not delete the account sys"),
        (
            "CREATE ROLE moadmin",
            "can not use the name moadmin. it is the name of the predefined role",
        ),
        ("DROP USER nope", "there is no user nope"),
        ("DROP USER dump", "can not delete the user dump"),
        ("DROP ROLE nope", "there is no role nope"),
        ("DROP ROLE moadmin", "can not delete the role moadmin"),
        ("DROP ROLE public", "can not delete the role public"),
        ("SET ROLE nope", "there is no role nope"),
    ],
)
def test_refusals(tenant: Client, client: Client, statement: str, text: str) -> None:
    assert client.refused(statement) == internal(text)


def test_only_sys_manages_accounts(tenant: Client) -> None:
    assert tenant.refused("CREATE ACCOUNT x ADMIN_NAME 'a' IDENTIFIED BY 'b'") == NO_PRIVILEGE
    assert tenant.refused("DROP ACCOUNT acc") == NO_PRIVILEGE
    assert [row[0] for row in tenant("SHOW ACCOUNTS")] == ["acc"]


def test_suspended_accounts_do_not_log_in(tenant: Client, client: Client, connect: Connect) -> None:
    client("ALTER ACCOUNT acc SUSPEND")
    with pytest.raises(Exception, match="Account acc is suspended"):
        connect(user="acc:adm", password="pw")
    client("ALTER ACCOUNT acc OPEN")
    assert connect(user="acc#adm", password="pw")("SELECT 1") == ((1,),)


def test_levels_of_a_tenant(tenant: Client) -> None:
    assert tenant.refused("CREATE PITR p FOR CLUSTER RANGE 101 'x'") == internal(
        "only sys tenant can create cluster level pitr"
    )
    assert tenant.refused("CREATE PITR p FOR ACCOUNT acc RANGE 101 'x'") == internal(
        "only sys tenant can create tenant level pitr for other tenant"
    )
    tenant("CREATE PITR p FOR ACCOUNT RANGE 1 'd'")
    assert tenant("SHOW PITR")[0][3:7] == ("account", "acc", "*", "*")
    assert tenant.refused("SHOW RECOVERY_WINDOW FOR ACCOUNT sys") == internal(
        "only sys account can show other account's recovery window"
    )
    assert tenant.refused("RESTORE ACCOUNT acc FROM PITR p '2020-01-01 00:00:00'") == internal(
        "account acc is not allowed to restore other account acc"
    )


def test_pitrs_are_seen_by_their_creator_only(tenant: Client, client: Client) -> None:
    tenant("CREATE PITR same RANGE 1 'd'")
    client("CREATE PITR same FOR ACCOUNT acc RANGE 2 'd'")
    assert [row[7] for row in tenant("SHOW PITR")] == [1]
    assert [(row[4], row[7]) for row in client("SHOW PITR")] == [("acc", 2)]
    assert tenant.refused("SELECT * FROM mo_catalog.mo_pitr") == (
        1064,
        'SQL parser error: table "mo_pitr" does not exist',
    )
    assert client.refused("CREATE PITR other FOR ACCOUNT acc RANGE 2 'd'") == internal(
        "account `acc` already has a pitr"
    )


def test_databases_of_accounts_are_apart(tenant: Client, client: Client) -> None:
    tenant("CREATE DATABASE mine")
    tenant("CREATE TABLE mine.t (a INT)")
    assert client("SHOW DATABASES LIKE 'mine'") == ()
    tenant("CREATE PITR d FOR DATABASE mine RANGE 1 'd'")
    # The server's look-up names no account where sys asks for a database, and so finds it.
    client("CREATE PITR d FOR DATABASE mine RANGE 1 'd'")
    assert client.refused("CREATE PITR t FOR TABLE mine t RANGE 1 'd'") == internal(
        "table mine.t does not exist"
    )


def test_drop_account(tenant: Client, client: Client) -> None:
    tenant("CREATE PITR own RANGE 1 'd'")
    client("CREATE PITR forit FOR ACCOUNT acc RANGE 1 'd'")
    client("DROP ACCOUNT acc")
    rows = client("SELECT pitr_name, pitr_status FROM mo_catalog.mo_pitr")
    assert dict(rows) == {"forit": 0, "sys_mo_catalog_pitr": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE PITR p FOR CLUSTER RANGE 101 'd'",
        "ALTER PITR p RANGE 101 'd'",
        "DROP PITR p",
        "SHOW PITR",
        "RESTORE FROM PITR p 'x'",
    ],
)
def test_other_roles_have_no_privilege(connect: Connect, statement: str) -> None:
    client = connect(user="sys:dump:public")
    assert client.refused(statement) == NO_PRIVILEGE
    client("BEGIN")
    assert client.refused(statement) == NO_PRIVILEGE


def test_roles_of_users(client: Client, connect: Connect) -> None:
    client("CREATE USER u IDENTIFIED BY 'p'")
    client("CREATE ROLE r")
    client("GRANT r TO u")
    assert client.refused("GRANT moadmin TO u") == internal(
        "the role moadmin can not be granted to non administration user u"
    )
    user = connect(user="sys:u:r", password="p")
    assert user.refused("SHOW PITR") == NO_PRIVILEGE
    client("SET ROLE public")
    assert client.refused("SHOW PITR") == NO_PRIVILEGE
    client("SET ROLE moadmin")
    assert client("SHOW PITR") == ()
