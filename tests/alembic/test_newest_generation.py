"""Operations mean a policy's newest generation, also where one transaction makes and changes it."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import PitrAfterCommitError, PitrAlreadyExistsError, renew_pitr
from sqlalchemy_matrixone_pitr.locking import account_lock
from tests.alembic.conftest import Project
from tests.conftest import Server
from tests.proxy import Proxy

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
CREATE = 'op.create_pitr("{p}", "7d", table="orders")'
GONE = 'op.drop_table("orders")'
HISTORY = {"": "orders 7d detached"}


def with_history(project: Project) -> None:
    """An earlier life of the policy: its table is gone, the detached row keeps what was in it."""
    project.upgrade("0001")
    project.downgrade()
    assert project.policies() == HISTORY


@pytest.mark.parametrize("template", ["online", "external"])
def test_created_and_dropped(project: Project, template: str) -> None:
    project.revision(1, TABLE + "\n" + CREATE, GONE)
    project.revision(2, 'op.drop_pitr("{p}")')
    with_history(project)
    project.template(template)
    project.upgrade()
    assert project.policies() == HISTORY


def test_created_and_dropped_by_one_revision(project: Project) -> None:
    project.revision(1, TABLE + "\n" + CREATE, GONE)
    with_history(project)
    project.revision(1, TABLE + "\n" + CREATE + '\nop.drop_pitr("{p}")')
    project.upgrade()
    assert project.policies() == HISTORY


def test_one_that_is_there_already_is_dropped(project: Project, server: Server) -> None:
    project.revision(1, TABLE)
    project.revision(2, CREATE + '\nop.drop_pitr("{p}")')
    project.upgrade("0001")
    server.query(f"CREATE PITR {project.prefix} FOR TABLE {project.prefix} orders RANGE 7 'd'")
    project.upgrade()
    assert project.policies() == {}


@pytest.mark.parametrize("template", ["online", "external"])
def test_created_and_altered(project: Project, template: str) -> None:
    project.revision(1, TABLE + "\n" + CREATE, GONE)
    project.revision(2, 'op.alter_pitr("{p}", "14d")')
    with_history(project)
    project.template(template)
    project.upgrade()
    assert project.policies() == HISTORY | {"__g2": "orders 14d active"}


def test_created_altered_and_rebuilt_by_one_revision(project: Project) -> None:
    project.revision(1, TABLE + "\n" + CREATE, GONE)
    with_history(project)
    project.revision(
        1,
        TABLE + "\n" + CREATE + '\nop.add_column("orders", sa.Column("c", sa.Integer))\n'
        'op.alter_pitr("{p}", "14d")',
    )
    project.upgrade()
    assert project.policies() == HISTORY | {"__g2": "orders 14d active"}


def test_a_drop_of_what_may_be_gone_keeps_history(project: Project) -> None:
    project.revision(1, TABLE + "\n" + CREATE, GONE)
    with_history(project)
    project.revision(2, 'op.drop_pitr("{p}", if_exists=True)')
    project.revision(3, 'op.drop_pitr("{p}", if_exists=True)')
    project.upgrade()
    assert project.policies() == HISTORY


def test_if_not_exists_renews(project: Project) -> None:
    project.revision(1, TABLE + "\n" + CREATE.replace(")", ", if_not_exists=True)"), GONE)
    with_history(project)
    project.upgrade()
    assert project.policies() == HISTORY | {"__g2": "orders 7d active"}


@pytest.mark.parametrize(
    "later", [GONE, 'op.rename_table("orders", "bills")', 'op.execute("DROP TABLE orders")']
)
@pytest.mark.parametrize("template", ["one revision", "external"])
def test_its_table_is_gone_when_the_transaction_commits(
    project: Project, template: str, later: str
) -> None:
    account = 'op.create_pitr("{p}_a", "1h", level="account")'
    if template == "external":
        project.template("external")
        project.revision(1, TABLE + "\n" + CREATE)
        project.revision(2, later + "\n" + account)
    else:
        project.revision(1, "\n".join((TABLE, CREATE, later, account)))
    with pytest.warns(SAWarning, match="is not created: table .*orders is not there any more"):
        project.upgrade()
    assert project.policies() == {"_a": "1h active"}


def test_its_table_is_made_again(project: Project) -> None:
    project.template("external")
    project.revision(1, TABLE + "\n" + CREATE)
    project.revision(2, GONE + "\n" + TABLE)
    project.upgrade()
    assert project.policies() == {"": "orders 7d active"}


@pytest.mark.parametrize(
    ("word", "operation"),
    [
        ("CREATE", CREATE),
        ("CREATE", CREATE.replace(")", ", if_not_exists=True)")),
        ("ALTER", 'op.alter_pitr("{p}_d", "2h")'),
        ("DROP", 'op.drop_pitr("{p}_d")'),
    ],
)
@pytest.mark.parametrize("block", [False, True])
def test_each_takes_the_account_lock(
    project: Project,
    server: Server,
    database: str,
    proxy: Proxy,
    word: str,
    operation: str,
    block: bool,
) -> None:
    server.query(f"CREATE PITR {database}_d FOR DATABASE {database} RANGE 1 'h'")
    url = server.url("matrixone+pymysql", database, port=proxy.port)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))
    project.revision(1, TABLE)
    project.upgrade()
    within = "with op.get_context().autocommit_block():\n    " if block else ""
    project.revision(2, within + operation)
    proxy.clear()
    project.upgrade()
    seen = proxy.matching("FOR UPDATE|^(CREATE|ALTER|DROP) PITR")
    assert [statement.split()[0] for statement in seen] == ["SELECT", word]


def test_what_another_program_is_creating_is_waited_for(project: Project, server: Server) -> None:
    """It holds the lock; what it has made when it lets go is altered."""
    p = project.prefix
    project.revision(1, TABLE)
    project.revision(2, 'op.alter_pitr("{p}", "14d")')
    project.upgrade("0001")
    with account_lock(project.engine):
        upgrading = threading.Thread(target=project.upgrade)
        upgrading.start()
        upgrading.join(1)
        assert upgrading.is_alive()
        server.query(f"CREATE PITR {p} FOR TABLE {p} orders RANGE 7 'd'")
    upgrading.join()
    assert project.policies() == {"": "orders 14d active"}


def test_history_beside_a_policy_of_another_name(project: Project, server: Server) -> None:
    """Neither is it created where the object has a policy, nor does a renewal cost its history."""
    project.revision(1, TABLE + "\n" + CREATE, GONE)
    with_history(project)
    p = project.prefix
    project.revision(1, TABLE)
    project.upgrade()
    server.query(f"CREATE PITR {p}_w FOR TABLE {p} orders RANGE 1 'h'")
    both = {"": "orders 7d detached", "_w": "orders 1h active"}
    project.revision(2, CREATE)
    with pytest.raises(PitrAfterCommitError, match=f"orders has the policy {p}_w"):
        project.upgrade()
    for keep_history in (True, False):
        with pytest.raises(PitrAlreadyExistsError, match=f"{p}_w protects table {p}.orders"):
            renew_pitr(project.engine, p, keep_history)
    assert project.policies() == both
    project.revision(3, 'op.renew_pitr("{p}", range="7d", table="orders", generation=2)')
    with pytest.warns(SAWarning, match=f"is not renewed: .*the policy {p}_w"):
        project.upgrade()
    assert project.policies() == both
