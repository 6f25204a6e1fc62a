"""Ways round ``guard_migrations`` that are closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, text

import alembic_ext.guard
from sqlalchemy_matrixone_pitr import PitrManager, PitrUnprotectedError
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.conftest import Project
from tests.conftest import Server

TABLES = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.create_table("more", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("key_figures", sa.Integer), sa.Column("b", sa.Integer))\n'
    'op.create_table("group", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.create_table("Grand", sa.Column("id", sa.Integer, primary_key=True))\n'
    'for rows in ("orders VALUES (1)", "more VALUES (9, 9, 9)", "`group` VALUES (1)", '
    '"`Grand` VALUES (1)"):\n    op.execute(f"INSERT INTO {rows}")\n'
    'op.create_pitr("{p}", "7d", table="orders")'
)


@pytest.fixture
def guarded(project: Project) -> Iterator[Project]:
    """A project with a policy of orders, and none of more."""
    project.revision(1, TABLES)
    project.upgrade()
    guard_migrations("1d")
    yield project
    alembic_ext.guard._required = None  # for the process; other tests drop what they like


HOLES = {
    "the policy goes first, as autogenerate writes it": (
        'op.drop_pitr("{p}")\nop.drop_table("orders")',
        "is dropped by this revision",
    ),
    "the policy goes afterwards": (
        'op.drop_table("orders")\nop.drop_pitr("{p}")',
        "at the end of the revision",
    ),
    "the policy is shortened": (
        'op.alter_pitr("{p}", "1h")\nop.drop_table("orders")',
        "reaches back 1h only",
    ),
    "under another name": (
        'op.rename_table("more", "less")\nop.rename_table("less", "least")\nop.drop_table("least")',
        "there is none",
    ),
    "the second of two": ('op.execute("DROP TABLE orders, `more`")', "there is none"),
}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("template", ["online", "external"])
def test_refused(guarded: Project, hole: str, template: str) -> None:
    code, said = HOLES[hole]
    guarded.template(template)
    guarded.revision(2, code)
    with pytest.raises(PitrUnprotectedError, match=said):
        guarded.upgrade()
    assert guarded.policies() == {"": "orders 7d active"}
    assert inspect(guarded.engine).has_table("orders")
    assert inspect(guarded.engine).has_table("more")


def test_the_policy_goes_in_a_later_revision_of_one_transaction(guarded: Project) -> None:
    guarded.template("external")
    guarded.revision(2, 'op.drop_table("orders")')
    guarded.revision(3, 'op.drop_pitr("{p}")')
    with pytest.raises(PitrUnprotectedError, match="is dropped by this revision"):
        guarded.upgrade()
    guarded.template("online")  # where it is a decision of its own
    guarded.upgrade()
    assert guarded.policies() == {}


def test_another_policy_is_enough(guarded: Project, database: str) -> None:
    PitrManager(guarded.engine).create_database_pitr(f"{guarded.prefix}_d", database, 1, "mo")
    guarded.revision(2, 'op.drop_pitr("{p}")\nop.drop_table("orders")\nop.drop_table("more")')
    guarded.upgrade()
    assert guarded.policies() == {"_d": "1mo active"}


def test_a_renamed_table_is_covered_by_its_policy(guarded: Project) -> None:
    guarded.revision(2, 'op.rename_table("orders", "bills")\nop.drop_table("bills")')
    guarded.upgrade()


def test_said_in_env_py_it_is_for_that_env_py(project: Project) -> None:
    project.revision(1, TABLES)
    project.revision(2, 'op.drop_table("more")')
    env = project.where / "env.py"
    plain = env.read_text()
    env.write_text(
        plain.replace("register()\n", "register()\nguard_migrations()\n", 1).replace(
            "import pitr_options", "import guard_migrations, pitr_options"
        )
    )
    project.upgrade("0001")
    with pytest.raises(PitrUnprotectedError):
        project.upgrade()
    project.config.attributes.pop(alembic_ext.guard.REQUIRED)
    env.write_text(plain)
    project.upgrade()


TEXTS = """
op.execute("ALTER TABLE more DROP key_figures")
op.execute("ALTER TABLE more MODIFY b INT COMMENT 'a;b', DROP COLUMN key_figures")
op.execute("DROP /* x */ TABLE more")
op.execute("DROP -- x\\n TABLE more")
op.execute("PREPARE s FROM 'DROP TABLE more'")
op.execute("ALTER TABLE more DROP PARTITION p0")
op.execute("ALTER TABLE more TRUNCATE PARTITION p0")
op.execute("EXPLAIN ANALYZE DELETE FROM more")
op.execute(sa.text("DELETE FROM more WHERE NOT FALSE"))
op.execute(sa.schema.DropTable(sa.Table("group", sa.MetaData())))
op.execute(sa.schema.DropTable(sa.Table("Grand", sa.MetaData())))
op.execute(sa.schema.DropTable(sa.Table("group", sa.MetaData(), schema="{p}")))
op.execute("ALTER TABLE more RENAME TO old"); op.execute("DROP TABLE old")
op.execute("ALTER TABLE more RENAME TO old"); op.drop_table("old")
op.get_bind().exec_driver_sql("ALTER TABLE more RENAME TO old"); op.drop_table("old")
op.rename_table("more", "old"); op.drop_column("old", "b"); op.drop_table("old")
op.add_column("more", sa.Column("c", sa.Integer)); op.drop_column("more", "b")
op.rename_table("more", "old"); op.rename_table("group", "more"); op.drop_table("more")
op.rename_table("more", "old"); op.rename_table("group", "more"); op.drop_table("old")
"""


@pytest.mark.slow
def test_text_and_elements_and_new_names(guarded: Project) -> None:
    for number, code in enumerate(TEXTS.strip().splitlines()):
        guarded.revision(2, f"{code}\n# {number * '.'}")  # of another size: not one compiled before
        with pytest.raises(PitrUnprotectedError):
            guarded.upgrade()
            pytest.fail(f"not refused: {code}")
    assert {column["name"] for column in inspect(guarded.engine).get_columns("more")} == {
        "id",
        "key_figures",
        "b",
    }


HARMLESS = """
op.execute("INSERT INTO more VALUES (1, 1, 1) -- not yet: DROP TABLE more")
op.execute("ALTER TABLE more COMMENT 'do not DROP TABLE more'")
op.execute(sa.text("UPDATE more SET b = 2 WHERE 'DROP TABLE more' = :a").bindparams(a="x"))
op.rename_table("more", "old"); op.create_table("more", sa.Column("id", sa.Integer))
op.drop_table("more"); op.rename_table("old", "more")
op.create_table("copy", sa.Column("id", sa.Integer), sa.Column("c", sa.Integer))
op.rename_table("copy", "copy2"); op.drop_column("copy2", "c"); op.drop_table("copy2")
op.drop_table("nosuch", if_exists=True)
"""


def test_what_loses_nothing(guarded: Project) -> None:
    guarded.revision(2, HARMLESS)
    guarded.upgrade()


CUSTOM = """
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement

class Indexed(ExecutableDDLElement):
    pass

@compiles(Indexed, "mysql")
def visit(element, compiler, **kw):
    return "CREATE INDEX ix ON more (b)"

op.execute(Indexed())
"""


def test_an_element_of_the_users(guarded: Project) -> None:
    guarded.revision(2, CUSTOM)
    guarded.upgrade()


def test_another_database(guarded: Project) -> None:
    """SQLite has columns to drop too; nobody is asked about policies there."""
    guarded.config.set_main_option("sqlalchemy.url", "sqlite://")
    guarded.revision(
        1,
        'op.create_table("t", sa.Column("id", sa.Integer), sa.Column("c", sa.Integer))\n'
        'op.drop_column("t", "c")\nop.rename_table("t", "u")\nop.execute("DROP TABLE u")',
    )
    guarded.upgrade()


COMMITTED = {
    "drop_pitr": 'op.drop_pitr("{p}")',
    "alter_pitr": 'op.alter_pitr("{p}", "1h")',
}


@pytest.mark.parametrize("operation", COMMITTED)
def test_the_policy_of_what_is_committed_stays(guarded: Project, operation: str) -> None:
    """It is detached by then, and alone keeps what the block has dropped."""
    guarded.revision(
        2,
        "with op.get_context().autocommit_block():\n"
        f'    op.drop_table("orders")\n{COMMITTED[operation]}',
    )
    said = rf"{operation}\('{guarded.prefix}'\) is not sent: .* drop_table\('orders'\)"
    with pytest.raises(PitrUnprotectedError, match=said):
        guarded.upgrade()
    assert guarded.policies() == {"": "orders 7d detached"}


def test_what_stays_as_history_is_enough(guarded: Project) -> None:
    guarded.revision(
        2,
        "with op.get_context().autocommit_block():\n"
        '    op.drop_table("orders")\nop.drop_pitr("{p}", if_exists=True)',
    )
    guarded.upgrade()
    assert guarded.policies() == {"": "orders 7d detached"}


def test_on_an_autocommit_connection_too(guarded: Project) -> None:
    env = guarded.where / "env.py"
    env.write_text(env.read_text().replace("NullPool)", "NullPool, isolation_level='AUTOCOMMIT')"))
    guarded.revision(2, 'op.drop_table("orders")\nop.drop_pitr("{p}")')
    with pytest.raises(PitrUnprotectedError, match="is not sent: it alone"):
        guarded.upgrade()
    real = getattr(guarded.engine.dialect, "is_matrixone", False)  # else nothing was committed
    assert guarded.policies() == {"": f"orders 7d {'detached' if real else 'active'}"}
    with guarded.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    guarded.revision(3, 'op.drop_pitr("{p}")')  # a decision of its own
    guarded.upgrade()
    assert guarded.policies() == {}


def test_through_schema_translate_map(guarded: Project, server: Server) -> None:
    """An operation means the database of the map."""
    other = f"{guarded.prefix}_other"
    server.query(f"CREATE DATABASE {other}")
    try:
        server.query(f"CREATE TABLE {other}.orders (id INT PRIMARY KEY)")
        server.query(f"INSERT INTO {other}.orders VALUES (1)")
        guarded.config.attributes["schema_map"] = {"shop": other}
        guarded.template("translated")
        guarded.revision(2, 'op.drop_table("orders", schema="shop")')
        with pytest.raises(PitrUnprotectedError, match=f"table {other}.orders could not be"):
            guarded.upgrade()
        assert server.query("SHOW TABLES", other) == [("orders",)]
    finally:
        server.query(f"DROP DATABASE {other}")
