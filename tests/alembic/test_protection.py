"""Protection is never lost on the way through a history of revisions, nor brought back unasked."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, text
from sqlalchemy.exc import DBAPIError, SAWarning

from sqlalchemy_matrixone_pitr import PitrManager, TablePitr
from tests.alembic.conftest import Project
from tests.conftest import Server

pytestmark = pytest.mark.usefixtures("renews")

CREATE = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.create_pitr("{p}", "7d", table="orders")'
)


def add(column: str) -> str:
    return f'op.add_column("orders", sa.Column("{column}", sa.Integer))'


@pytest.fixture
def declared(project: Project) -> Project:
    metadata = MetaData()
    columns = (Column("id", Integer, primary_key=True), Column("a", Integer), Column("b", Integer))
    Table("orders", metadata, *columns, TablePitr("3d", project.prefix))
    project.declare(metadata)
    project.options(transaction_per_migration=True)
    project.revision(1, CREATE)
    return project


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("steps", [("head",), ("0002", "head"), ("0003", "0004", "head")])
def test_a_policy_that_was_dropped_on_purpose_stays_dropped(
    declared: Project, each: bool, steps: tuple[str, ...]
) -> None:
    declared.options(transaction_per_migration=each)
    declared.revision(2, add("a"))
    declared.revision(3, 'op.drop_pitr("{p}")')
    declared.revision(4, add("b"))
    declared.revision(5, 'op.create_pitr("{p}", "3d", table="orders")')
    for step in steps:
        declared.upgrade(step)
    active = [p for p in declared.policies().values() if p.endswith("active")]
    assert active == ["orders 3d active"]
    declared.check()


def test_dropped_and_rebuilt_in_one_run_is_not_named(declared: Project) -> None:
    declared.revision(2, add("a"))
    declared.revision(3, 'op.drop_pitr("{p}")')
    declared.revision(4, add("b"))
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}


def test_a_downgrade_that_brings_a_table_back_renews_its_policy(declared: Project) -> None:
    create = CREATE.splitlines()[0]
    declared.revision(2, 'op.drop_table("orders")', create)
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}
    declared.downgrade("0001")
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


def test_one_that_nobody_declares_is_named(project: Project) -> None:
    project.declare(MetaData())
    project.revision(1, CREATE)
    project.revision(2, 'op.drop_table("orders")', CREATE.splitlines()[0])
    project.upgrade()
    with pytest.warns(SAWarning, match="is there again, and its policy .* mo-pitr renew"):
        project.downgrade("0001")


def test_a_table_that_is_renamed_back_keeps_its_policy(declared: Project) -> None:
    declared.revision(2, 'op.rename_table("orders", "old")', 'op.rename_table("old", "orders")')
    with pytest.warns(SAWarning, match="stays with the old name"):
        declared.upgrade()
    declared.downgrade("0001")
    active = [p for p in declared.policies().values() if p.endswith("active")]
    assert active == ["orders 7d active"]


def test_what_a_failed_revision_has_rebuilt_is_renewed(declared: Project) -> None:
    block = "with op.get_context().autocommit_block():\n    "
    declared.revision(2, block + add("a") + '\nop.execute("INSERT INTO nosuch VALUES (1)")')
    declared.upgrade("0001")
    with pytest.raises(DBAPIError):
        declared.upgrade()
    declared.revision(2, 'op.execute("INSERT INTO orders VALUES (1, 2)")')
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


LATER = {
    "before its end": "from alembic import context\ncontext.config.attributes['make']()",
    "at its COMMIT": """
from sqlalchemy import event
from alembic import context
connection = op.get_bind()
make = context.config.attributes['make']
event.listen(connection, 'commit', lambda c: make())
""",
}


@pytest.mark.parametrize("when", LATER)
def test_a_policy_that_another_process_makes_meanwhile_is_renewed(
    declared: Project, server: Server, database: str, when: str
) -> None:
    """It is made for the table as it was, while this revision rebuilds it."""
    declared.revision(1, CREATE.splitlines()[0])
    declared.revision(2, add("a"))
    declared.upgrade("0001")
    made: list[threading.Thread] = []

    statement = f"CREATE PITR {declared.prefix} FOR TABLE {database} orders RANGE 7 'd'"
    declared.revision(2, f"{add('a')}\n{LATER[when]}")

    def make() -> None:
        """3.x does it at once; 4.2 waits for the COMMIT that is about to come."""
        if not made:
            made.append(threading.Thread(target=server.query, args=(statement,)))
            made[0].start()
            made[0].join(2)

    declared.config.attributes["make"] = make
    declared.upgrade()
    made[0].join()
    active = [p for p in declared.policies().values() if p.endswith("active")]
    assert active == ["orders 7d active"]


def test_another_database_is_not_looked_at(declared: Project, server: Server, prefix: str) -> None:
    other = f"{prefix}other"
    server.query(f"CREATE DATABASE {other}")
    try:
        server.query(f"CREATE TABLE {other}.t (id INT)")
        PitrManager(declared.engine).create_table_pitr(f"{prefix}_o", other, "t")
        declared.upgrade()
        alter = f"ALTER TABLE {other}.t ADD COLUMN c INT"
        code = f"with op.get_bind().engine.begin() as other:\n    other.exec_driver_sql('{alter}')"
        declared.revision(2, f"{code}\n{add('a')}")
        declared.upgrade()  # nobody is warned of what another connection does
        assert sorted(declared.policies()) == ["", "__g2", "_o"]
    finally:
        server.query(f"DROP DATABASE {other}")


def test_text_still_rebuilds(declared: Project) -> None:
    with declared.engine.connect() as conn:
        conn.execute(text("SELECT 1"))
    declared.revision(2, 'op.execute("ALTER TABLE orders ADD COLUMN x INT")')
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


def autocommit(project: Project) -> None:
    env = project.where / "env.py"
    env.write_text(env.read_text().replace("NullPool)", "NullPool, isolation_level='AUTOCOMMIT')"))


BLOCK = "with op.get_context().autocommit_block():\n    "


def test_made_in_an_autocommit_block_and_rebuilt_after_it(declared: Project) -> None:
    declared.revision(1, BLOCK + CREATE.replace("\n", "\n    ") + "\n" + add("a"))
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


def test_made_anew_in_an_autocommit_block_and_rebuilt_by_the_next_revision(
    declared: Project,
) -> None:
    """The policy is an old one, of which only history was left."""
    block = BLOCK + CREATE.replace("\n", "\n    ")
    declared.revision(1, block, 'op.drop_table("orders")')
    declared.upgrade()
    declared.downgrade()
    declared.revision(2, add("a"))
    declared.upgrade()
    assert declared.policies() == {
        "": "orders 7d detached",
        "__g2": "orders 7d detached",
        "__g3": "orders 7d active",
    }


def test_each_revision_renews_where_all_is_sent_at_once(declared: Project) -> None:
    autocommit(declared)
    declared.revision(2, add("a"))
    declared.revision(3, add("b"))
    declared.upgrade()
    assert declared.policies() == {
        "": "orders 7d detached",
        "__g2": "orders 7d detached",
        "__g3": "orders 7d active",
    }


AGAIN = "is there again, and its policy .* protects nothing new: mo-pitr renew"


@pytest.mark.parametrize("template", ["online", "external"])
@pytest.mark.parametrize("steps", [("head",), ("0002", "head")])
def test_a_table_that_an_upgrade_makes_again_is_named(
    declared: Project, template: str, steps: tuple[str, ...]
) -> None:
    declared.upgrade()
    declared.template(template)
    declared.revision(2, 'op.drop_table("orders")')
    declared.revision(3, CREATE.splitlines()[0])
    for step in steps[:-1]:
        declared.upgrade(step)
    with pytest.warns(SAWarning, match=AGAIN):
        declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}


def test_unless_a_later_revision_creates_its_policy(declared: Project) -> None:
    declared.upgrade()
    declared.revision(2, 'op.drop_table("orders")')
    declared.revision(3, CREATE.splitlines()[0])
    declared.revision(4, CREATE.splitlines()[1])
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


def test_a_downgrade_of_one_transaction_that_makes_a_table_again(declared: Project) -> None:
    """While the committed table is there still."""
    declared.template("external")
    table, policy = CREATE.splitlines()
    declared.revision(2, 'op.drop_table("orders")', table)
    declared.revision(3, table + "\n" + policy, 'op.drop_table("orders")')
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d active"}
    declared.downgrade("0001")
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


def test_what_an_abandoned_revision_has_rebuilt_is_renewed_by_the_next_one(
    declared: Project,
) -> None:
    """Its file is gone, and another one in its place."""
    declared.upgrade()
    declared.revision(2, BLOCK + add("a") + '\nop.execute("INSERT INTO nosuch VALUES (1)")')
    with pytest.raises(DBAPIError):
        declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached"}
    declared.revision(2, "pass")
    script = declared.where / "versions" / "0002.py"
    script.write_text(script.read_text().replace("'0002'", "'0002b'"))
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


@pytest.mark.parametrize(
    "code",
    [
        'op.add_column("orders", sa.Column("a", sa.Integer), schema="{p}o")',
        'op.get_bind().execute(sa.text("ALTER TABLE {p}o.orders ADD COLUMN a INT"))',
        BLOCK + 'op.execute("ALTER TABLE `{p}o`.orders ADD COLUMN a INT")',
    ],
)
@pytest.mark.parametrize("times", [True, False])
def test_a_table_that_a_statement_names_with_its_database(
    project: Project, server: Server, prefix: str, code: str, times: bool
) -> None:
    other = f"{prefix}o"
    project.config.attributes["pitr"] = {"record_times": times}
    project.revision(1, "pass")
    project.upgrade()
    server.query(f"CREATE DATABASE {other}")
    try:
        for table in ("orders", "more"):
            server.query(f"CREATE TABLE {other}.{table} (id INT PRIMARY KEY)")
            server.query(f"CREATE PITR {prefix}_{table} FOR TABLE {other} {table} RANGE 7 'd'")
        project.revision(2, code)
        with pytest.warns(SAWarning, match=rf"table {other}\.orders was rebuilt") as caught:
            project.upgrade()
        assert len(caught) == 1
    finally:
        server.query(f"DROP DATABASE {other}")
