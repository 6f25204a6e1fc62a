"""A migration that rebuilds a table does not end its protection unnoticed."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, text
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import PitrManager, RestorePitr, TablePitr
from tests.alembic.conftest import TEMPLATES, Project
from tests.clock import server_now, wait
from tests.conftest import Server
from tests.proxy import Proxy

CREATE = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.create_pitr("{p}", "7d", table="orders")'
)
REBUILD = 'op.add_column("orders", sa.Column("c", sa.Integer))'


@pytest.fixture
def declared(project: Project, server: Server) -> Project:
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", project.prefix))
    project.declare(metadata)
    project.revision(1, CREATE)
    project.revision(2, REBUILD, 'op.drop_column("orders", "c")')
    return project


RENEWED = {"": "orders 7d detached", "__g2": "orders 7d active"}


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize("each", [False, True])
def test_a_declared_policy_is_renewed(declared: Project, template: str, each: bool) -> None:
    declared.template(template)
    declared.options(transaction_per_migration=each)
    declared.upgrade("0001")
    assert declared.policies() == {"": "orders 7d active"}
    declared.upgrade()
    assert declared.policies() == RENEWED
    declared.downgrade("0001")
    assert declared.policies() == {
        "": "orders 7d detached",
        "__g2": "orders 7d detached",
        "__g3": "orders 7d active",
    }


def test_created_and_rebuilt_by_one_upgrade(declared: Project) -> None:
    """Alembic commits each revision; where env.py has one transaction for all, it is created once,
    for the rebuilt table."""
    declared.upgrade()
    assert declared.policies() == RENEWED
    with declared.engine.begin() as conn:
        conn.execute(text("DROP TABLE orders"))
        conn.execute(text("DROP TABLE alembic_version"))
    declared.template("external")
    manager = PitrManager(declared.engine)
    for suffix in sorted(declared.policies(), reverse=True):  # the newest has the policy's name too
        assert manager.delete(declared.prefix + suffix)
    assert declared.policies() == {}
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d active"}


def test_rebuilt_in_an_autocommit_block(declared: Project) -> None:
    declared.revision(
        2, "with op.get_context().autocommit_block():\n    " + REBUILD.replace("\n", "\n    ")
    )
    declared.options(transaction_per_migration=True)
    declared.upgrade("0001")
    declared.upgrade()
    assert declared.policies() == RENEWED


def test_a_migration_that_fails_renews_nothing(declared: Project) -> None:
    declared.revision(3, REBUILD.replace('"c"', '"d"') + '\nop.execute("nonsense")')
    declared.options(transaction_per_migration=True)
    declared.upgrade("0002")
    before = declared.policies()
    with pytest.raises(Exception, match="nonsense"):
        declared.upgrade()
    assert declared.policies() == before


def test_one_that_says_warn_is_named(project: Project, server: Server) -> None:
    metadata = MetaData()
    pitr = TablePitr("7d", project.prefix, on_rebuild="warn")
    Table("orders", metadata, Column("id", Integer), pitr)
    project.declare(metadata)
    project.revision(1, CREATE)
    project.revision(2, REBUILD)
    project.upgrade("0001")
    with pytest.warns(SAWarning, match=f"its policy '{project.prefix}' protects nothing new"):
        project.upgrade()
    assert project.policies() == {"": "orders 7d detached"}


def test_one_that_nobody_declares_is_named(project: Project) -> None:
    project.revision(1, CREATE)
    project.revision(2, REBUILD)
    project.upgrade("0001")
    with pytest.warns(SAWarning, match="mo-pitr renew"):
        project.upgrade()


def test_a_table_that_is_dropped_is_not_renewed(declared: Project) -> None:
    declared.revision(3, 'op.drop_table("orders")')
    declared.upgrade("0002")
    declared.upgrade()
    assert set(declared.policies()) == {"", "__g2"} or set(declared.policies()) == {""}
    assert "active" not in str(declared.policies())


def test_renewed_by_an_operation_as_well(declared: Project) -> None:
    declared.revision(
        2, REBUILD + '\nop.renew_pitr("{p}", range="7d", table="orders", generation=2)'
    )
    declared.upgrade("0001")
    declared.upgrade()
    assert declared.policies() == RENEWED


def test_policies_are_read_once_where_no_table_has_one(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    url = server.url("matrixone+pymysql", database, port=proxy.port)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))
    project.config.attributes["pitr"] = {"record_times": False}
    project.revision(1, 'op.create_table("orders", sa.Column("id", sa.Integer))')
    project.revision(2, REBUILD)
    project.upgrade()
    assert len(proxy.matching("^SHOW PITR")) == 1 + 1  # for those that another process has made
    assert len(proxy.matching("FROM mo_catalog.mo_tables")) == 1 + 2


def test_no_history_is_lost(declared: Project) -> None:
    """A row from before the rebuild, and one from after it."""

    def run(statement: str) -> None:
        with declared.engine.begin() as conn:
            conn.execute(text(statement))

    def moment() -> dt.datetime:
        wait(declared.engine, 1.1)
        found = server_now(declared.engine)
        wait(declared.engine, 0.1)
        return found

    declared.upgrade("0001")
    run("INSERT INTO orders VALUES (1)")
    before = moment()
    declared.upgrade()
    wait(declared.engine, 1.1)
    run("INSERT INTO orders VALUES (2, 2)")
    after = moment()
    run("DELETE FROM orders WHERE id > 0")
    database = str(declared.engine.url.database)
    with declared.engine.connect() as conn:
        name = f"{declared.prefix}__g2"
        with pytest.warns(SAWarning, match=f"no longer protected by {name}"):
            conn.execute(RestorePitr(name, after, database=database, table="orders"))
        assert conn.execute(text("SELECT id, c FROM orders ORDER BY id")).all() == [
            (1, None),
            (2, 2),
        ]
        conn.commit()
        conn.execute(RestorePitr(declared.prefix, before, database=database, table="orders"))
        assert conn.execute(text("SELECT * FROM orders")).all() == [(1,)]
