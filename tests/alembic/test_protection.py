"""Protection is never lost on the way through a history of revisions, nor brought back unasked."""

from __future__ import annotations

import threading
from collections.abc import Iterator

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
    with pytest.warns(SAWarning, match="orders was rebuilt") as caught, pytest.raises(DBAPIError):
        declared.upgrade()
    assert len(caught) == 1
    declared.revision(2, 'op.execute("INSERT INTO orders VALUES (1, 2)")')
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


@pytest.mark.filterwarnings("error::sqlalchemy.exc.SAWarning")
def test_its_own_error_stays_the_one_that_is_raised(declared: Project) -> None:
    block = "with op.get_context().autocommit_block():\n    "
    declared.revision(2, block + add("a") + '\nop.execute("INSERT INTO nosuch VALUES (1)")')
    declared.upgrade("0001")
    with pytest.raises(DBAPIError, match="nosuch") as caught:
        declared.upgrade()
    assert "orders was rebuilt" in "".join(caught.value.__notes__)


def test_what_it_has_rebuilt_in_its_transaction_is_not_named(declared: Project) -> None:
    declared.revision(2, add("a") + '\nop.execute("INSERT INTO nosuch VALUES (1)")')
    declared.upgrade("0001")
    with pytest.raises(DBAPIError, match="nosuch") as caught:
        declared.upgrade()
    assert not getattr(caught.value, "__notes__", [])
    assert declared.policies() == {"": "orders 7d active"}


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


REPLACES = {
    "an ALTER": add("a"),
    "TRUNCATE": 'op.execute("TRUNCATE TABLE orders")',
    "another table": (
        'op.rename_table("orders", "old")\n'
        'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
    ),
}
"""Up to 3.x the server takes a policy for active after TRUNCATE, and always where another table has
the name."""


@pytest.mark.parametrize("how", REPLACES)
@pytest.mark.parametrize("when", LATER)
def test_a_policy_that_another_process_makes_meanwhile_is_renewed(
    declared: Project, server: Server, database: str, when: str, how: str
) -> None:
    """It is made for the table as it was, while this revision rebuilds it, and keeps nothing from
    before: where the server refuses another one beside it, it is replaced."""
    declared.revision(1, CREATE.splitlines()[0])
    declared.upgrade("0001")
    made: list[threading.Thread] = []

    statement = f"CREATE PITR {declared.prefix} FOR TABLE {database} orders RANGE 7 'd'"
    declared.revision(2, f"{REPLACES[how]}\n{LATER[when]}")

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


@pytest.fixture
def other(declared: Project, server: Server, prefix: str) -> Iterator[str]:
    """Another project's database, with a table under a policy."""
    name = f"{prefix}other"
    server.query(f"CREATE DATABASE {name}")
    try:
        for table in ("t", "u"):
            server.query(f"CREATE TABLE {name}.{table} (id INT)")
            PitrManager(declared.engine).create_table_pitr(f"{prefix}_{table}", name, table)
        yield name
    finally:
        server.query(f"DROP DATABASE {name}")


OWN = {
    "text": 'op.execute("ALTER TABLE {o}.t ADD COLUMN c INT")',
    "operation": 'op.add_column("t", sa.Column("c", sa.Integer), schema="{o}")',
}


@pytest.mark.parametrize("how", OWN)
def test_what_a_revision_does_to_another_database_is_named(
    declared: Project, other: str, how: str
) -> None:
    """Nobody else would say it. It is not renewed: it is another project's."""
    declared.revision(2, OWN[how].format(o=other))
    declared.revision(3, "pass")
    with pytest.warns(SAWarning, match="other.t was rebuilt.*mo-pitr renew") as said:
        declared.upgrade()
    assert len(said) == 1
    assert sorted(declared.policies()) == ["", "_t", "_u"]


def test_what_others_do_to_another_database_is_not(
    declared: Project, server: Server, other: str
) -> None:
    """Not even where the revision rebuilds another table of it."""
    declared.config.attributes["alter"] = lambda: server.query(
        f"ALTER TABLE {other}.u ADD COLUMN c INT"
    )
    declared.revision(
        2,
        "from alembic import context\ncontext.config.attributes['alter']()\n"
        f"{OWN['text'].format(o=other)}",
    )
    with pytest.warns(SAWarning, match="other.t was rebuilt") as said:
        declared.upgrade()
    assert len(said) == 1


def test_text_still_rebuilds(declared: Project) -> None:
    with declared.engine.connect() as conn:
        conn.execute(text("SELECT 1"))
    declared.revision(2, 'op.execute("ALTER TABLE orders ADD COLUMN x INT")')
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}
