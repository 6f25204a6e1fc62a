"""The reach of ``guard_migrations``: what it sees, what it lets pass, and what it advises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, MetaData, Table, text

import alembic_ext.guard
from sqlalchemy_matrixone_pitr import PitrManager, PitrUnprotectedError, Unprotected
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.conftest import Project
from tests.conftest import Server

TABLES = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("c", sa.Integer))\n'
    'op.create_table("empty", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("c", sa.Integer))\n'
    'op.execute("INSERT INTO orders VALUES (1, 2)")'
)


@pytest.fixture
def guarded(project: Project) -> Iterator[Project]:
    """A project with a table that has a row, and an empty one; nothing protects them."""
    guard_migrations("1d")
    project.revision(1, TABLES)
    project.upgrade()
    yield project
    alembic_ext.guard._required = None  # for the process; other tests drop what they like


SEEN = """
op.execute("TRUNCATE TABLE orders")
op.execute("truncate orders")
op.execute("DELETE FROM orders")
op.execute("DELETE FROM orders WHERE 1 = 1")
op.execute("UPDATE orders SET c = 0")
op.execute(sa.delete(sa.table("orders")))
op.execute(sa.update(sa.table("orders", sa.column("c"))).values(c=0))
op.get_bind().execute(sa.text("DROP TABLE orders"))
op.get_bind().exec_driver_sql("DELETE FROM orders")
op.get_bind().execute(sa.delete(sa.table("orders", schema="{p}")))
op.get_context().execute(sa.text("TRUNCATE TABLE orders"))
op.get_context().impl.drop_table(sa.Table("orders", sa.MetaData()))
op.get_context().impl.drop_column("orders", sa.Column("c"))
__import__("sqlalchemy.orm").orm.Session(op.get_bind()).execute(sa.text("DELETE FROM orders"))
op.drop_table("empty"); op.drop_table("orders")
op.add_column("orders", sa.Column("d", sa.Integer)); op.execute("UPDATE orders SET d = 1, c = 1")
op.add_column("orders", sa.Column("d", sa.Integer)); op.execute("ALTER TABLE orders DROP d, DROP c")
op.execute("DELETE FROM orders WHERE id = 1"); op.drop_table("orders")
op.create_table("orders", sa.Column("id", sa.Integer), if_not_exists=True); op.drop_table("orders")
op.execute("CREATE TABLE IF NOT EXISTS orders (id INT)"); op.execute("TRUNCATE orders")
"""


@pytest.mark.slow
def test_it_sees_what_reaches_the_connection(guarded: Project, server: Server) -> None:
    for number, code in enumerate(SEEN.strip().splitlines()):
        guarded.revision(2, f"{code}\n# {number * '.'}")  # of another size: not one compiled before
        with pytest.raises(PitrUnprotectedError, match=r"orders could not be brought"):
            guarded.upgrade()
            pytest.fail(f"not refused: {code}")
    assert server.query("SELECT * FROM orders", guarded.prefix) == [(1, 2)]


HARMLESS = """
op.execute("DELETE FROM orders WHERE id = 7")
op.execute("UPDATE orders SET c = 2 WHERE id = 1")
op.add_column("orders", sa.Column("d", sa.Integer))
op.execute("UPDATE orders SET d = 2 * c")
op.alter_column("orders", "d", new_column_name="e", existing_type=sa.Integer)
op.get_bind().execute(sa.text("UPDATE orders SET e = 5"))
op.drop_column("orders", "e")
op.execute("TRUNCATE TABLE empty")
op.drop_column("empty", "c")
op.drop_table("empty")
op.create_table("new", sa.Column("id", sa.Integer), sa.Column("c", sa.Integer))
op.execute("INSERT INTO new SELECT id, c FROM orders")
op.rename_table("new", "newer")
op.execute("DELETE FROM newer")
op.drop_column("newer", "c")
op.execute("CREATE TABLE IF NOT EXISTS more (id INT)")
op.execute("INSERT INTO more VALUES (1)")
op.execute("DROP TABLE more")
"""


def test_what_loses_nothing_passes(guarded: Project) -> None:
    guarded.revision(2, HARMLESS)
    guarded.upgrade()


def test_what_an_earlier_revision_of_the_run_has_made(guarded: Project) -> None:
    """Old history replays on a new database, with the rows that it brings along."""
    guarded.revision(
        2,
        'op.create_table("new", sa.Column("id", sa.Integer), sa.Column("c", sa.Integer))\n'
        'op.execute("INSERT INTO new VALUES (1, 2)")\n'
        'op.add_column("orders", sa.Column("d", sa.Integer, server_default="7"))',
    )
    guarded.revision(3, 'op.drop_column("new", "c")\nop.drop_column("orders", "d")')
    guarded.revision(4, 'op.rename_table("new", "newer")')
    guarded.revision(5, 'op.drop_table("newer")')
    guarded.upgrade()
    assert guarded.tables() >= {"orders", "empty"}


def test_of_an_earlier_run_it_is_somebody_s(guarded: Project) -> None:
    guarded.revision(
        2,
        'op.create_table("new", sa.Column("id", sa.Integer))\n'
        'op.execute("INSERT INTO new VALUES (1)")\n'
        'op.add_column("orders", sa.Column("d", sa.Integer))',
    )
    guarded.upgrade()
    guarded.revision(3, 'op.drop_column("orders", "d")')
    with pytest.raises(PitrUnprotectedError):
        guarded.upgrade()
    guarded.revision(3, 'op.drop_table("new")\n# another')
    with pytest.raises(PitrUnprotectedError):
        guarded.upgrade()


def test_what_the_models_mark_unprotected(guarded: Project) -> None:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), Unprotected("filled again in a minute"))
    guarded.declare(metadata)
    guarded.revision(2, 'op.execute("DELETE FROM orders")\nop.drop_table("orders")')
    guarded.upgrade()
    assert "orders" not in guarded.tables()


def test_a_database_of_which_all_is_empty(guarded: Project, server: Server) -> None:
    other, third = f"{guarded.prefix}_b", f"{guarded.prefix}_c"
    server.query(f"CREATE DATABASE {other}")
    server.query(f"CREATE TABLE {other}.t (id INT)")
    guarded.revision(
        2,
        f'op.execute("DROP DATABASE {other}")\n'
        f'op.execute("CREATE DATABASE {third}")\nop.execute("CREATE TABLE {third}.t (id INT)")\n'
        f'op.execute("INSERT INTO {third}.t VALUES (1)")\nop.execute("DROP DATABASE {third}")',
    )
    try:
        guarded.upgrade()
    finally:
        server.query(f"DROP DATABASE IF EXISTS {other}")
        server.query(f"DROP DATABASE IF EXISTS {third}")


def test_a_downgrade_on_a_new_database(guarded: Project) -> None:
    """As autogenerate writes it: the policy goes before its table."""
    guarded.revision(
        2,
        'op.create_table("new", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.create_pitr("{p}", "7d", table="new")',
        'op.drop_pitr("{p}", existing_range="7d", existing_table="new")\nop.drop_table("new")',
    )
    guarded.upgrade()
    guarded.downgrade("0001")
    assert "new" not in guarded.tables()
    guarded.upgrade()
    with guarded.engine.begin() as connection:
        connection.execute(text("INSERT INTO new VALUES (1)"))
    with pytest.raises(PitrUnprotectedError) as caught:
        guarded.downgrade("0001")
    assert f"Take op.drop_pitr('{guarded.prefix}') out of this downgrade" in str(caught.value)
    assert "alembic -x allow_unprotected=true downgrade" in str(caught.value)


def test_the_listener_ends_with_the_run(guarded: Project) -> None:
    """On a Connection that the program goes on to use."""
    env = guarded.where / "env.py"
    env.write_text(
        env.read_text().replace(
            "            context.run_migrations()\n",
            "            context.run_migrations()\n"
            '        connection.exec_driver_sql("DELETE FROM orders")\n'
            "        connection.commit()\n",
        )
    )
    guarded.revision(2, 'op.execute("SELECT 1")')
    guarded.upgrade()
    with guarded.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == 0


def test_alembic_s_own_table_is_its_own(guarded: Project) -> None:
    from alembic import command

    command.stamp(guarded.config, "base", purge=True)
    command.stamp(guarded.config, "head")


def advice(project: Project, code: str) -> str:
    project.revision(2, code)
    with pytest.raises(PitrUnprotectedError) as caught:
        project.upgrade()
    return str(caught.value)


def test_its_advice_is_possible(guarded: Project, database: str, server: Server) -> None:
    manager = PitrManager(guarded.engine)
    name = guarded.prefix
    manager.create_table_pitr(name, database, "orders", "7d")
    later = "Drop the policy in a later revision."
    assert later in advice(guarded, 'op.drop_pitr("{p}")\nop.drop_table("orders")')
    assert later in advice(guarded, 'op.drop_table("orders")\nop.drop_pitr("{p}")')
    shorter = advice(guarded, 'op.alter_pitr("{p}", "1h")\nop.execute("TRUNCATE orders")')
    assert "Shorten the policy in a later revision." in shorter
    manager.alter(name, "2h")
    wider = advice(guarded, 'op.drop_column("orders", "c")')
    assert f"In a revision before this one: op.alter_pitr('{name}', '1d')." in wider
    server.query("ALTER TABLE orders ADD COLUMN d INT", database)
    renewed = advice(guarded, 'op.get_bind().exec_driver_sql("DELETE FROM orders")')
    assert f"Before this revision runs: mo-pitr renew {name}." in renewed
    manager.delete(name)
    new = advice(guarded, 'op.get_context().impl.drop_table(sa.Table("orders", sa.MetaData()))')
    assert "In a revision before this one: op.create_pitr('name', '1d', table='orders')." in new
    assert "alembic -x allow_unprotected=true upgrade" in new


def test_a_policy_of_the_same_transaction_comes_too_late(guarded: Project) -> None:
    guarded.template("external")
    guarded.revision(3, 'op.drop_table("orders")')
    said = advice(guarded, 'op.create_pitr("{p}", "7d", table="orders")')
    assert "is there after its COMMIT only: let this revision be of a later run of Alembic" in said


def test_a_downgrade_without_a_policy(guarded: Project, database: str) -> None:
    guarded.revision(2, 'op.execute("SELECT 1")', 'op.drop_column("orders", "c")')
    guarded.upgrade()
    with pytest.raises(PitrUnprotectedError) as caught:
        guarded.downgrade("0001")
    made = f"create_table_pitr('name', '{database}', 'orders', '1d')"
    assert f"Before the downgrade: PitrManager(engine).{made}." in str(caught.value)


@pytest.mark.parametrize("schema", [False, True])
@pytest.mark.parametrize("table", ["alembic_version", "versions_of_ours"])
def test_alembic_s_own_table_may_be_emptied(
    guarded: Project, database: str, schema: bool, table: str
) -> None:
    """A migration may move its rows to another one, as projects do that are merged."""
    guarded.options(version_table=table, version_table_schema=database if schema else None)
    if table != "alembic_version":
        guarded.revision(1, "pass")
        guarded.upgrade()
    name = f"{database}.{table}" if schema else table
    guarded.revision(2, f'op.execute("DELETE FROM {name}")\nop.execute("TRUNCATE TABLE orders")')
    with pytest.raises(PitrUnprotectedError, match="TRUNCATE TABLE orders"):
        guarded.upgrade()


def test_operations_without_an_environment(guarded: Project) -> None:
    """Nobody could say ``-x`` there."""
    with guarded.engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with pytest.raises(PitrUnprotectedError, match="not sent"):
            operations.drop_table("orders")
        operations.drop_table("empty")


def test_what_is_dropped_by_a_downgrade_under_a_short_policy(
    guarded: Project, database: str
) -> None:
    PitrManager(guarded.engine).create_table_pitr(guarded.prefix, database, "orders", "2h")
    guarded.revision(2, "pass", 'op.drop_column("orders", "c")')
    guarded.upgrade()
    with pytest.raises(PitrUnprotectedError) as caught:
        guarded.downgrade("0001")
    assert f"PitrManager(engine).alter({guarded.prefix!r}, '1d')" in str(caught.value)
