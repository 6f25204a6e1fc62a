"""``guard_migrations``: what is refused, what passes, and what the message says."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import alembic_ext.guard
from sqlalchemy_matrixone_pitr import PitrManager, PitrUnprotectedError, PitrValidationError
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.conftest import Project
from tests.conftest import Server

TABLES = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("c", sa.Integer))\n'
    'op.create_table("more", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.execute("INSERT INTO orders VALUES (1, 2)")'
)


@pytest.fixture
def guarded(project: Project) -> Iterator[Project]:
    project.revision(1, TABLES)
    project.upgrade()
    guard_migrations("1d")
    yield project
    alembic_ext.guard._required = None  # for the process; other tests drop what they like


DROPS = [
    ('op.drop_table("orders")', "drop_table('orders')"),
    ('op.drop_column("orders", "c")', "drop_column('orders', 'c')"),
    ('op.execute("DROP TABLE IF EXISTS `orders`")', "execute('DROP TABLE IF EXISTS `orders`')"),
    ('op.execute("DROP TABLE {p}.orders")', "execute('DROP TABLE"),
    ('op.execute("alter table orders drop column c")', "execute('alter table orders drop"),
    ('op.execute(sa.text("DROP DATABASE {p}"))', "execute('DROP DATABASE"),
]


@pytest.mark.parametrize(("code", "operation"), DROPS)
def test_refused_before_it_is_sent(
    guarded: Project, code: str, operation: str, database: str
) -> None:
    guarded.revision(2, f'op.execute("INSERT INTO more VALUES (1)")\n{code}')
    with pytest.raises(PitrUnprotectedError) as caught:
        guarded.upgrade()
    said = str(caught.value)
    assert operation in said
    assert f"{database}.orders" in said or f"database {database}" in said
    assert "no active policy covers it for 1d (there is none)" in said
    assert "op.create_pitr('name', '1d', " in said
    assert "-x allow_unprotected=true" in said
    with guarded.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM more")).scalar() == 0
        conn.execute(text("SELECT c FROM orders"))


@pytest.mark.parametrize(("code", "operation"), DROPS)
def test_passes_under_a_policy(guarded: Project, code: str, operation: str, database: str) -> None:
    PitrManager(guarded.engine).create_database_pitr(guarded.prefix, database, 24, "h")
    guarded.revision(2, code)
    if "DATABASE" in code:
        with pytest.raises(DBAPIError, match="alembic_version"):  # which is in there
            guarded.upgrade()
        return
    guarded.upgrade()


def test_too_short_detached_and_of_another_table(
    guarded: Project, database: str, server: Server
) -> None:
    manager = PitrManager(guarded.engine)
    manager.create_database_pitr(f"{guarded.prefix}_d", database, 23, "h")
    manager.create_table_pitr(f"{guarded.prefix}_o", database, "orders", 7)
    manager.create_table_pitr(f"{guarded.prefix}_m", database, "more", 7)
    server.query("ALTER TABLE orders ADD COLUMN d INT", database)
    guarded.revision(2, 'op.drop_table("orders")')
    with pytest.raises(PitrUnprotectedError) as caught:
        guarded.upgrade()
    assert f"{guarded.prefix}_d reaches back 23h only" in str(caught.value)
    assert f"{guarded.prefix}_o is detached" in str(caught.value)
    assert f"{guarded.prefix}_m" not in str(caught.value)


def test_what_the_migration_has_made_may_go(guarded: Project) -> None:
    guarded.revision(2, 'op.create_table("new", sa.Column("id", sa.Integer))\nop.drop_table("new")')
    guarded.upgrade()


HARMLESS = [
    'op.execute("CREATE INDEX i ON orders (c)")\nop.drop_index("i", "orders")',
    'op.execute("CREATE INDEX i ON orders (c)")\nop.execute("ALTER TABLE orders DROP INDEX i")',
    'op.execute("DELETE FROM orders WHERE id = 1")',
    'op.execute("DROP TABLE IF EXISTS nosuch")',
]


@pytest.mark.parametrize("code", HARMLESS)
def test_what_loses_nothing_passes(guarded: Project, code: str) -> None:
    guarded.revision(2, code)
    guarded.upgrade()


def test_overridden(guarded: Project) -> None:
    guarded.revision(2, 'op.drop_table("orders")')
    guarded.config.cmd_opts = Namespace(x=["allow_unprotected=true"])
    guarded.upgrade()


def test_in_an_autocommit_block_it_says_what_stays(guarded: Project) -> None:
    guarded.revision(
        2,
        "with op.get_context().autocommit_block():\n"
        '    op.execute("INSERT INTO more VALUES (1)")\n'
        '    op.drop_table("orders")',
    )
    guarded.options(transaction_per_migration=True)
    with pytest.raises(PitrUnprotectedError, match="what the block has done so far stays"):
        guarded.upgrade()
    with guarded.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM more")).scalar() == 1


def test_scripts_are_not_guarded(guarded: Project) -> None:
    guarded.revision(2, 'op.drop_table("orders")')
    assert "DROP TABLE orders" in guarded.script(lambda: guarded.upgrade("0001:0002", sql=True))


def test_a_senseless_requirement() -> None:
    with pytest.raises(PitrValidationError):
        guard_migrations("long")
