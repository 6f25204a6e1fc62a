"""Rebuilds after which a policy cannot be renewed beside its history, and users who may not look.

The migration succeeds, and a warning says what to do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, text
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import PitrPermissionError, TablePitr, renew_pitr
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.alembic.conftest import Project
from tests.clock import wait
from tests.conftest import LIVE, Server

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
CREATE = 'op.create_pitr("{p}", "7d", table="orders")'
SWAP = """
op.create_table("orders_new", sa.Column("id", sa.Integer, primary_key=True))
op.rename_table("orders", "orders_old")
op.rename_table("orders_new", "orders")
op.drop_table("orders_old")
"""
ARCHIVE = 'op.rename_table("orders", "orders_2025")\n' + TABLE
SAID = "its policy .* protects nothing new. It is not renewed: .* mo-pitr renew .* --drop-history"


def of_orders(project: Project) -> MetaData:
    metadata = MetaData()
    Table(
        "orders", metadata, Column("id", Integer, primary_key=True), TablePitr("7d", project.prefix)
    )
    return metadata


@pytest.fixture
def declared(project: Project) -> Project:
    project.declare(of_orders(project))
    project.revision(1, TABLE + "\n" + CREATE)
    project.upgrade()
    return project


@pytest.mark.parametrize("code", [SWAP, ARCHIVE])
def test_a_table_that_takes_the_place_of_another(declared: Project, code: str) -> None:
    """The server goes by the name, and takes the old generation for active still."""
    declared.revision(2, code + "\n" + 'op.create_pitr("{p}_d", "1h", level="database")')
    with pytest.warns(SAWarning, match=SAID):
        declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "_d": "1h active"}
    with pytest.warns(SAWarning, match="without its history"):
        renew_pitr(declared.engine, declared.prefix, keep_history=False)
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d active", "_d": "1h active"}


@pytest.mark.parametrize("statement", ["TRUNCATE TABLE orders", "DELETE FROM orders"])
def test_truncated(declared: Project, server: Server, statement: str) -> None:
    """3.x takes the old generation for active still, 4.x does not."""
    server.query("INSERT INTO orders VALUES (1)", declared.prefix)
    declared.revision(2, f'op.execute("{statement}")')
    if server.version >= (4,):
        declared.upgrade()
        assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}
        return
    with pytest.warns(SAWarning, match=SAID):
        declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}


@pytest.fixture
def of_2_2() -> Iterator[Server]:
    if LIVE:
        pytest.skip("of the emulator's 2.2.2")
    with Emulator(version="2.2.2") as emulator:
        yield Server(emulator.host, emulator.port, "dump", "111", (2, 2, 2), False)


@pytest.mark.emulator_only
def test_2_2_takes_every_old_generation_for_active(project: Project, of_2_2: Server) -> None:
    of_2_2.query(f"CREATE DATABASE {project.prefix}")
    url = of_2_2.url("matrixone+pymysql", project.prefix)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))
    project.revision(1, TABLE + "\n" + CREATE)
    project.revision(2, 'op.add_column("orders", sa.Column("c", sa.Integer))')
    project.upgrade("0001")
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", project.prefix))
    project.declare(metadata)
    with pytest.warns(SAWarning, match=SAID):
        project.upgrade()


def test_a_renamed_table_is_named(declared: Project) -> None:
    declared.revision(2, 'op.rename_table("orders", "bills")')
    declared.revision(3, 'op.execute("SELECT 1")')
    said = rf"orders was renamed to {declared.prefix}.bills, and its policy '{declared.prefix}'"
    with pytest.warns(SAWarning, match=said):
        declared.upgrade("0002")
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}


REBUILD = 'op.add_column("{table}", sa.Column("c", sa.Integer))'
RENAME = 'op.rename_table("orders", "bills")'
IN_A_BLOCK = "with op.get_context().autocommit_block():\n    "


@pytest.mark.parametrize(
    "code",
    [
        REBUILD.format(table="orders") + "\n" + RENAME,
        RENAME + "\n" + REBUILD.format(table="bills"),
        'op.rename_table("orders", "o")\nop.add_column("o", sa.Column("c", sa.Integer))\n'
        'op.get_bind().exec_driver_sql("ALTER TABLE o RENAME TO `Bills`")',
        IN_A_BLOCK + RENAME,
        IN_A_BLOCK + REBUILD.format(table="orders") + "\n    " + RENAME,
    ],
)
def test_a_renamed_table_that_is_rebuilt_too_is_named(declared: Project, code: str) -> None:
    """Its new id tells nothing of what it was."""
    declared.revision(2, code)
    p = declared.prefix
    with pytest.warns(SAWarning, match=rf"orders was renamed to {p}.bills, and its policy '{p}'"):
        declared.upgrade()


@pytest.mark.parametrize("code", [RENAME, REBUILD.format(table="orders") + "\n" + RENAME])
def test_a_renamed_table_with_another_policy_is_not_named(declared: Project, code: str) -> None:
    """The revision has done what the warning would say."""
    declared.revision(2, code + '\nop.create_pitr("{p}_b", "7d", table="bills")')
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "_b": "bills 7d active"}


@pytest.mark.parametrize(
    "code",
    [
        'op.drop_table("orders")',
        REBUILD.format(table="orders") + '\nop.drop_table("orders")',
        RENAME + '\nop.drop_table("bills")',
        RENAME + '\nop.drop_table("bills")\n' + TABLE.replace("orders", "bills"),
    ],
)
def test_a_table_that_is_dropped_is_no_matter(declared: Project, code: str) -> None:
    declared.revision(2, code)
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}


@pytest.mark.usefixtures("renews")
def test_made_and_rebuilt_in_the_first_revisions_autocommit_block(declared: Project) -> None:
    p = declared.prefix
    declared.revision(
        2,
        TABLE.replace("orders", "bills") + "\n"
        "with op.get_context().autocommit_block():\n"
        '    op.create_pitr("{p}_b", "7d", table="bills")\n'
        '    op.add_column("bills", sa.Column("c", sa.Integer))',
    )
    metadata = MetaData()
    Table("bills", metadata, Column("id", Integer), TablePitr("7d", f"{p}_b"))
    declared.declare(metadata)
    declared.options(transaction_per_migration=True)
    declared.upgrade()
    assert declared.policies() == {
        "": "orders 7d active",
        "_b": "bills 7d detached",
        "_b__g2": "bills 7d active",
    }


@pytest.fixture
def tenant(project: Project, server: Server, prefix: str) -> Iterator[Project]:
    """The project in an account that is not sys: which rows block a renewal it cannot see."""
    account = f"{prefix}_acc"
    server.query(f"CREATE ACCOUNT {account} ADMIN_NAME 'root' IDENTIFIED BY 'pw111'")
    of_sys = project.engine
    driver, user = of_sys.url.drivername, f"{account}:root"
    first = create_engine(server.url(driver, user=user, password="pw111"))
    with first.begin() as conn:
        conn.execute(text("CREATE DATABASE shop"))
    first.dispose()
    url = server.url(driver, "shop", user=user, password="pw111")
    written = url.render_as_string(hide_password=False)
    project.config.set_main_option("sqlalchemy.url", written.replace("%", "%%"))
    project.engine = create_engine(url)
    yield project
    project.engine.dispose()
    project.engine = of_sys
    server.query(f"DROP ACCOUNT {account}")


def active(project: Project) -> list[str]:
    return sorted(p for p in project.policies().values() if p.endswith("active"))


@pytest.mark.slow
@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize("code", [SWAP, 'op.execute("TRUNCATE TABLE orders")'])
def test_in_an_account_that_is_told_by_the_refusal(
    tenant: Project, server: Server, code: str
) -> None:
    tenant.declare(of_orders(tenant))
    tenant.revision(1, TABLE + "\n" + CREATE)
    tenant.revision(2, code + "\n" + 'op.create_pitr("{p}_d", "1h", level="database")')
    tenant.upgrade("0001")
    wait(server, 1.1)
    if "TRUNCATE" in code and server.version >= (4,):
        tenant.upgrade()
        assert active(tenant) == ["1h active", "orders 7d active"]
        return
    with pytest.warns(SAWarning, match=SAID):
        tenant.upgrade()
    assert tenant.policies() == {"": "orders 7d detached", "_d": "1h active"}


@pytest.mark.slow
@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize("each", [True, False])
def test_rebuilt_in_the_second_in_which_it_was_made(
    tenant: Project, server: Server, each: bool
) -> None:
    """As where a history is replayed on a new database. An account that is not sys is not told
    that the policy has ended; the run knows."""
    tenant.declare(of_orders(tenant))
    tenant.options(transaction_per_migration=each)
    tenant.revision(1, TABLE)
    tenant.revision(2, CREATE)
    tenant.revision(3, REBUILD.format(table="orders"))
    tenant.upgrade("0001")
    wait(server, 1.1)  # else the policy waits for the next second
    tenant.upgrade()
    assert active(tenant) == ["orders 7d active"]
    assert len(tenant.policies()) == 2


@pytest.mark.slow
def test_a_policy_that_is_made_with_its_table_is_known(tenant: Project) -> None:
    """It is made in the second after: of one that is not, such an account never knows."""
    tenant.declare(of_orders(tenant))
    tenant.revision(1, TABLE + "\n" + CREATE)
    tenant.upgrade()
    assert tenant.policies() == {"": "orders 7d active"}


@pytest.fixture
def ordinary(project: Project, server: Server, prefix: str) -> Iterator[Project]:
    """A project whose user may do everything in its database, and is no administrator."""
    role, user = f"{prefix}_r", f"{prefix}_u"
    for statement in (
        f"CREATE ROLE {role}",
        f"CREATE USER {user} IDENTIFIED BY '111' DEFAULT ROLE {role}",
        f"GRANT ALL ON DATABASE {prefix} TO {role}",
        f"GRANT CONNECT ON ACCOUNT * TO {role}",
        f"GRANT ALL ON TABLE *.* TO {role}",
    ):
        server.query(statement)
    url = server.url("matrixone+pymysql", prefix, user=user, password="111")
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))
    yield project
    server.query(f"DROP USER {user}")
    server.query(f"DROP ROLE {role}")


def test_an_ordinary_user_migrates(ordinary: Project, caplog: pytest.LogCaptureFixture) -> None:
    ordinary.revision(1, TABLE)
    ordinary.revision(2, 'op.add_column("orders", sa.Column("c", sa.Integer))')
    with caplog.at_level(logging.INFO, "alembic.runtime.matrixone_pitr"):
        ordinary.upgrade()
    said = [r for r in caplog.records if "policies are not looked at" in r.getMessage()]
    assert [record.levelname for record in said] == ["INFO"]
    assert "administrator" in said[0].getMessage()


def test_where_policies_are_declared_it_is_a_warning(
    ordinary: Project, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", ordinary.prefix))
    ordinary.declare(metadata)
    ordinary.revision(1, TABLE)
    with caplog.at_level(logging.INFO, "alembic.runtime.matrixone_pitr"):
        ordinary.upgrade()
    [said] = [r for r in caplog.records if "policies are not looked at" in r.getMessage()]
    assert said.levelname == "WARNING"
    assert "mo-pitr plan" in said.getMessage()


@pytest.mark.parametrize(
    "operation",
    [CREATE, 'op.alter_pitr("{p}", "7d")', 'op.drop_pitr("{p}")'],
)
def test_an_operation_is_refused_before_anything_is_committed(
    ordinary: Project, operation: str
) -> None:
    ordinary.revision(1, TABLE + "\n" + operation)
    with pytest.raises(PitrPermissionError, match="administrator"):
        ordinary.upgrade()
    assert "orders" not in ordinary.tables()
