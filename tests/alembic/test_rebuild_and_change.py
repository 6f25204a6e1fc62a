"""A revision that rebuilds a table and changes its policy as well."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import TablePitr
from tests.alembic.conftest import Project
from tests.conftest import Server

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
ADD = 'op.add_column("orders", sa.Column("c", sa.Integer))'


@pytest.fixture
def declared(project: Project, server: Server) -> Project:
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    metadata = MetaData()
    Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("c", Integer),
        TablePitr("14d", project.prefix),
    )
    project.declare(metadata)
    return project


@pytest.mark.parametrize("first", ["rebuild", "alter"])
def test_the_renewed_policy_has_the_new_range(declared: Project, first: str) -> None:
    declared.revision(1, TABLE + '\nop.create_pitr("{p}", "7d", table="orders")')
    both = [ADD, 'op.alter_pitr("{p}", "14d")']
    declared.revision(2, "\n".join(both if first == "rebuild" else both[::-1]))
    declared.upgrade("0001")
    declared.upgrade()
    assert declared.policies()["__g2"] == "orders 14d active"
    declared.check()


def test_one_that_is_dropped_is_not_renewed(declared: Project) -> None:
    """As in the downgrade of a revision that added a column and the policy."""
    declared.revision(1, TABLE)
    declared.revision(
        2,
        ADD + '\nop.create_pitr("{p}", "14d", table="orders")',
        'op.drop_pitr("{p}")\nop.drop_column("orders", "c")',
    )
    declared.upgrade()
    declared.downgrade("0001")
    assert declared.policies() == {}


HISTORY = {"": "orders 14d detached", "__g2": "orders 14d detached"}


def test_history_that_was_there_before_is_left_alone(declared: Project) -> None:
    """A dropped policy stays so: neither the revision before it nor its table's brings it back.

    Each step in a run of its own, and all in one.
    """
    declared.revision(1, TABLE, 'op.drop_table("orders")')
    declared.revision(2, 'op.execute("SELECT 1")', 'op.execute("SELECT 1")')
    declared.revision(3, 'op.create_pitr("{p}", "14d", table="orders")', 'op.drop_pitr("{p}")')
    declared.revision(4, ADD, 'op.drop_column("orders", "c")')
    declared.upgrade()
    declared.downgrade("0001")
    assert declared.policies() == HISTORY
    declared.downgrade()
    declared.upgrade("0001")
    declared.upgrade("0002")
    assert declared.policies() == HISTORY
    declared.downgrade()
    declared.upgrade("0003")
    assert declared.policies() == HISTORY | {"__g3": "orders 14d active"}


def test_one_that_nobody_declares_is_named_once(project: Project) -> None:
    """By the revision that rebuilds its table; no later one speaks of it."""
    project.revision(1, TABLE + '\nop.create_pitr("{p}", "14d", table="orders")')
    project.revision(2, ADD)
    project.revision(3, 'op.execute("SELECT 1")')
    project.revision(4, 'op.execute("SELECT 1")')
    project.upgrade("0001")
    with pytest.warns(SAWarning, match="protects nothing new"):
        project.upgrade("0002")
    project.upgrade("0003")
    project.upgrade()


def test_rebuilt_in_an_autocommit_block(declared: Project) -> None:
    """By the first revision of a run, and by a later one, of a policy that the run has made."""
    block = "with op.get_context().autocommit_block():\n    "
    declared.revision(1, TABLE + '\nop.create_pitr("{p}", "14d", table="orders")')
    declared.revision(2, block + ADD)
    declared.revision(3, block + ADD.replace('"c"', '"d"'))
    declared.options(transaction_per_migration=True)
    declared.upgrade("0002")
    assert declared.policies()["__g2"] == "orders 14d active"
    declared.upgrade()
    assert declared.policies()["__g3"] == "orders 14d active"


def test_somebody_else_has_the_next_name(declared: Project, server: Server) -> None:
    """It reads as a generation of the policy, and is another object's."""
    p = declared.prefix
    server.query("CREATE TABLE other (id INT)", p)
    server.query(f"CREATE PITR {p}__g2 FOR TABLE {p} other RANGE 1 'h'")
    declared.revision(1, TABLE + '\nop.create_pitr("{p}", "14d", table="orders")')
    declared.revision(2, ADD)
    declared.upgrade()
    assert declared.policies() == {
        "": "orders 14d detached",
        "__g2": "other 1h active",
        "__g3": "orders 14d active",
    }
