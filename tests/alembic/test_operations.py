"""``op.create_pitr`` and its siblings in migrations, up and down, in every kind of env.py."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SAWarning

from sqlalchemy_matrixone_pitr import (
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrManager,
    PitrUnsupportedError,
    PitrValidationError,
)
from tests.alembic.conftest import TEMPLATES, Project
from tests.conftest import Server

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'


def three_revisions(project: Project) -> None:
    project.revision(
        1,
        TABLE + '\nop.create_pitr("{p}", "7d", table="orders")',
        'op.drop_pitr("{p}")\nop.drop_table("orders")',
    )
    project.revision(
        2,
        'op.alter_pitr("{p}", "14d")\nop.create_pitr("{p}_d", "1mo", level="database")',
        'op.drop_pitr("{p}_d")\nop.alter_pitr("{p}", "7d")',
    )
    project.revision(3, 'op.drop_pitr("{p}")', 'op.create_pitr("{p}", "14d", table="orders")')


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize("each", [False, True])
def test_up_down_and_up(project: Project, template: str, each: bool) -> None:
    project.template(template)
    project.options(transaction_per_migration=each)
    three_revisions(project)
    project.upgrade("0002")
    after_two = {"": "orders 14d active", "_d": "1mo active"}
    assert project.policies() == after_two
    project.upgrade()
    assert project.policies() == {"_d": "1mo active"}
    project.downgrade("0002")
    assert project.policies() == after_two
    project.downgrade()
    assert project.policies() == {}
    project.upgrade()
    assert project.policies() == {"_d": "1mo active"}
    project.downgrade()


def test_they_take_effect_at_commit(project: Project) -> None:
    """A migration that fails leaves nothing: no table, no policy, no revision."""
    project.revision(1, TABLE + '\nop.create_pitr("{p}", "7d", table="orders")')
    project.revision(
        2,
        'op.create_pitr("{p}_d", "7d", level="database")\n'
        'op.add_column("orders", sa.Column("c", sa.Integer))\n'
        'op.execute("INSERT INTO nosuch VALUES (1)")',
    )
    project.options(transaction_per_migration=True)
    with pytest.raises(Exception, match="nosuch"):
        project.upgrade()
    assert project.policies() == {"": "orders 7d active"}
    with project.engine.connect() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [
            "0001"
        ]
        with pytest.raises(OperationalError):
            conn.execute(text("SELECT c FROM orders"))


def test_in_an_autocommit_block(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(
        2,
        "with op.get_context().autocommit_block():\n"
        '    op.create_pitr("{p}", "7d", table="orders")\n'
        'op.create_pitr("{p}_d", "7d", level="database")',
    )
    project.options(transaction_per_migration=True)
    project.upgrade()
    assert project.policies() == {"": "orders 7d active", "_d": "7d active"}


def test_before_a_rebuild_in_the_same_migration(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(
        2,
        'op.create_pitr("{p}", "7d", table="orders")\n'
        'op.add_column("orders", sa.Column("c", sa.Integer))',
    )
    project.upgrade()
    assert project.policies() == {"": "orders 7d active"}


AT_ONCE = "with op.get_context().autocommit_block():\n    "


@pytest.mark.parametrize("block", ["", AT_ONCE])
def test_what_is_there_is_not_sent(project: Project, block: str) -> None:
    code = 'op.create_pitr("{p}", "7d", table="orders")'
    project.revision(1, f"{TABLE}\n{code}")
    project.revision(2, f"{block}{code}")
    project.upgrade()
    assert project.policies() == {"": "orders 7d active"}


@pytest.mark.parametrize("block", ["", AT_ONCE])
@pytest.mark.parametrize(("table", "policies"), [("orders", {"": "orders 8d active"}), ("no", {})])
def test_a_renewal_of_what_is_not_there(
    project: Project, block: str, table: str, policies: dict[str, str]
) -> None:
    """It is made under its own name; of a table that is not there a warning says so."""
    project.revision(1, TABLE)
    project.revision(2, f'{block}op.renew_pitr("{{p}}", range="8d", table="{table}", generation=2)')
    said = pytest.warns(SAWarning, match="is not there") if table == "no" else nullcontext()
    with said:
        project.upgrade()
    assert project.policies() == policies


def test_levels(project: Project) -> None:
    project.revision(
        1,
        'op.create_pitr("{p}_a", "7d", level="account")\n'
        'op.create_pitr("{p}_d", "7d", database="{p}")\n'
        'op.create_pitr("{p}_d", "7d", level="database", if_not_exists=True)',
        'op.drop_pitr("{p}_a")\nop.drop_pitr("{p}_d")\nop.drop_pitr("{p}_x", if_exists=True)',
    )
    project.upgrade()
    assert project.policies() == {"_a": "7d active", "_d": "7d active"}
    project.downgrade()
    assert project.policies() == {}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('op.create_pitr("{p}", "7d")', "needs a target"),
        ('op.create_pitr("{p}", "0d", level="account")', "0 would leave no protection"),
        ('op.create_pitr("{p}__g2", "7d", level="account")', "ends in '__g2'"),
        ('op.create_pitr("{p}", "7d", table="t", level="account")', "does not fit"),
        ('op.alter_pitr("{p}", "7 weeks")', "range unit 'weeks' is not known"),
        ('op.renew_pitr("{p}", range="7d", table="t", generation=1)', "generation=1"),
        ('op.create_pitr(None, "7d", table=5)', "table name must be a str, not int: 5"),
        ('op.create_pitr(None, "7d", database=["{p}"])', "database name must be a str, not list"),
        ('op.create_pitr(None, "7d", database="mysql")', "'mysql' belongs to the system"),
        ('op.drop_pitr(None, existing_table=sa.table("t"))', "must be a str, not TableClause"),
        ('op.drop_pitr("{p}", existing_table=5)', "table name must be a str, not int: 5"),
        ('op.drop_pitr("{p}", existing_table="t", existing_level="account")', "does not fit"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    project: Project, code: str, said: str
) -> None:
    project.revision(1, TABLE + "\n" + code)
    with pytest.raises(PitrValidationError, match=said):
        project.upgrade()
    with project.engine.connect() as conn:
        assert "orders" not in conn.execute(text("SHOW TABLES")).scalars().all()


@pytest.mark.parametrize(
    "operation",
    [
        'op.alter_pitr("{p}", "7d")',
        'op.drop_pitr("{p}")',
        'op.drop_pitr("{p}", existing_range="7d", existing_level="account")',
    ],
)
def test_what_is_missing_is_a_warning(project: Project, operation: str) -> None:
    project.revision(1, operation + "\n" + TABLE)
    with pytest.warns(SAWarning, match=rf"{project.prefix}' does not exist .* mo-pitr apply"):
        project.upgrade()
    assert "orders" in project.tables()
    assert project.policies() == {}


def test_a_creation_that_failed_leaves_the_way_up_and_down(
    project: Project, server: Server
) -> None:
    """The revisions after it alter and drop what is not there; the cause is mended meanwhile."""
    p = project.prefix
    server.query(f"CREATE PITR {p} FOR ACCOUNT RANGE 1 'h'")
    project.revision(
        1,
        TABLE + '\nop.create_pitr("{p}", "7d", table="orders")',
        'op.drop_pitr("{p}", existing_range="7d", existing_table="orders")\n'
        'op.drop_table("orders")',
    )
    project.revision(
        2,
        'op.alter_pitr("{p}", "14d", existing_range="7d")',
        'op.alter_pitr("{p}", "7d", existing_range="14d")',
    )
    project.revision(
        3,
        'op.drop_pitr("{p}", existing_range="14d", existing_table="orders")',
        'op.create_pitr("{p}", "14d", table="orders")',
    )
    with pytest.raises(PitrAfterCommitError, match="already exists"):
        project.upgrade()
    server.query(f"DROP PITR {p}")
    with pytest.warns(SAWarning, match="does not exist"):
        project.upgrade()
    assert project.policies() == {}
    project.downgrade("0002")
    assert project.policies() == {"": "orders 14d active"}
    server.query(f"DROP PITR {p}")
    with pytest.warns(SAWarning, match="does not exist"):
        project.downgrade()
    assert "orders" not in project.tables()


def test_a_missing_one_whose_target_is_known_is_created(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, 'op.alter_pitr("{p}", "14d", existing_table="orders")')
    project.revision(
        3, 'op.alter_pitr("{p}_d", "14d", existing_range="7d", existing_level="database")'
    )
    project.upgrade("0001")
    with pytest.warns(SAWarning, match="alter_pitr creates it, with 14d"):
        project.upgrade()
    assert project.policies() == {"": "orders 14d active", "_d": "14d active"}


def test_a_missing_one_of_a_table_that_was_rebuilt_protects_it(
    project: Project, server: Server, database: str
) -> None:
    """An ordinary CREATE for such a table records an id that protects nothing on 4.x."""
    project.revision(1, TABLE)
    project.revision(2, 'op.alter_pitr("{p}", "14d", existing_table="orders")')
    project.upgrade("0001")
    server.query("ALTER TABLE orders ADD COLUMN more INT", database)
    with pytest.warns(SAWarning, match="alter_pitr creates it, with 14d"):
        project.upgrade()
    assert project.policies() == {"": "orders 14d active"}


def test_a_missing_one_whose_table_is_missing_too(project: Project) -> None:
    project.revision(1, 'op.alter_pitr("{p}", "14d", existing_table="orders")')
    with pytest.warns(SAWarning, match="is not created: table .*orders is not there any more"):
        project.upgrade()
    assert project.policies() == {}


@pytest.mark.parametrize(
    "operation",
    [
        'op.alter_pitr("{p}", "14d", existing_range="7d", existing_table="orders")',
        'op.drop_pitr("{p}", existing_range="7d", existing_table="orders")',
        'op.drop_pitr("{p}", existing_table="orders")',
    ],
)
def test_somebody_elses_policy_of_the_name_is_left_as_it_is(
    project: Project, operation: str, server: Server
) -> None:
    """Names are per account: a creation that failed for its name leaves the other one there."""
    server.query(f"CREATE PITR {project.prefix} FOR ACCOUNT RANGE 1 'h'")
    project.revision(1, TABLE + "\n" + operation)
    with pytest.warns(SAWarning, match="is for the current account, not for table .*orders"):
        project.upgrade()
    assert project.policies() == {"": "1h active"}


@pytest.mark.parametrize("sql", [False, True])
def test_other_databases_are_refused_by_name(project: Project, tmp_path: Path, sql: bool) -> None:
    project.config.set_main_option("sqlalchemy.url", f"sqlite:///{tmp_path}/x.db")
    environment = project.where / "env.py"
    environment.write_text(environment.read_text().replace('"mysql"', '"sqlite"'))
    project.revision(1, 'op.create_pitr("{p}", "7d", level="database")')
    with pytest.raises(
        PitrUnsupportedError, match=r"CreatePitrOp\(.* a sqlite database has no PITR"
    ):
        project.script(lambda: project.upgrade(sql=sql))


def test_a_failure_after_commit_says_how_to_repair(project: Project) -> None:
    project.revision(1, 'op.create_pitr("{p}", "7d", table="nosuch")')
    project.revision(2, TABLE)
    with pytest.raises(PitrAfterCommitError) as caught:
        project.upgrade("0001")
    assert "nosuch does not exist" in str(caught.value)
    notes = "\n".join(caught.value.__notes__)
    assert "the revision is recorded" in notes
    assert "mo-pitr apply" in notes
    assert "alembic check" in notes
    with project.engine.connect() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"
    project.upgrade()
    assert project.heads == ["0002"]


def test_an_existing_policy_of_the_same_kind_is_what_was_wanted(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, 'op.create_pitr("{p}", "7d", table="orders")')
    project.upgrade("0001")
    database = str(project.engine.url.database)
    PitrManager(project.engine).create_table_pitr(project.prefix, database, "orders", 7)
    project.upgrade()
    assert project.policies() == {"": "orders 7d active"}


def test_an_existing_policy_of_another_range_is_an_error(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, 'op.create_pitr("{p}", "7d", table="orders")')
    project.upgrade("0001")
    database = str(project.engine.url.database)
    PitrManager(project.engine).create_table_pitr(project.prefix, database, "orders", 9)
    with pytest.raises(PitrAfterCommitError) as caught:
        project.upgrade()
    assert isinstance(caught.value.__cause__, PitrAlreadyExistsError)
    assert "with range 9d" in str(caught.value)
