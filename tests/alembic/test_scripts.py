"""``--sql``: what a revision does to a table as a whole, and what a version refuses."""

from __future__ import annotations

import io
from argparse import Namespace

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Integer, MetaData, String, Table

from alembic_ext.offline import end_revision
from sqlalchemy_matrixone_pitr import PitrValidationError, TablePitr
from sqlalchemy_matrixone_pitr.alembic import register
from tests.alembic.conftest import Project
from tests.alembic.test_offline import as_it_stands, pitr_lines, run
from tests.conftest import Server

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'
COLUMN = 'op.add_column("t", sa.Column("c", sa.Integer))'
POLICY = 'op.create_pitr("{p}", "7d", table="t")'


def asked(project: Project, *arguments: str) -> None:
    project.config.cmd_opts = Namespace(x=list(arguments))


@pytest.fixture
def declared(project: Project) -> Project:
    """A table with a policy, made by the first revision."""
    metadata = MetaData()
    columns = Column("id", Integer, primary_key=True), Column("n", String(20))
    Table("t", metadata, *columns, TablePitr("7d", project.prefix))
    project.declare(metadata)
    asked(project, "pitr_database=shop", "matrixone_version=3.0.9")
    project.revision(1, f"{TABLE[:-1]}, sa.Column('n', sa.String(20)))\n{POLICY}")
    return project


def lines(project: Project, to: str = "head") -> list[str]:
    return pitr_lines(project.script(lambda: project.upgrade(to, sql=True)))


BATCH = (
    't = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("n", sa.String(20)))\n'
    'with op.batch_alter_table("t", recreate="{recreate}", copy_from=t) as batch:\n'
    "    {inside}"
)
INSIDE = {
    "an index": 'batch.create_index("ix", ["n"])',
    "a unique key": 'batch.create_unique_constraint("u", ["n"])',
    "a longer VARCHAR": 'batch.alter_column("n", existing_type=sa.String(20), type_=sa.String(30))',
    "nothing": "pass",
}


@pytest.mark.parametrize("inside", INSIDE)
def test_a_batch_that_replaces_the_table(declared: Project, inside: str) -> None:
    p = declared.prefix
    declared.revision(2, BATCH.replace("{recreate}", "always").replace("{inside}", INSIDE[inside]))
    assert lines(declared) == [
        f"CREATE PITR `{p}` FOR TABLE `shop` `t` RANGE 7 'd';",
        f"CREATE PITR `{p}__g2` FOR TABLE `shop` `t` RANGE 7 'd';",
    ]
    assert lines(declared, "0001:0002") == [
        "-- This revision ends the protection of table shop.t by "
        f"{p}; afterwards: mo-pitr renew {p}"
    ]


@pytest.mark.parametrize("inside", INSIDE)
def test_a_batch_that_does_not(declared: Project, inside: str) -> None:
    declared.revision(2, BATCH.replace("{recreate}", "auto").replace("{inside}", INSIDE[inside]))
    assert lines(declared, "0001:0002") == []


@pytest.mark.usefixtures("renews")
def test_the_script_of_a_batch_runs_as_online(
    declared: Project, server: Server, database: str
) -> None:
    declared.revision(
        2, BATCH.replace("{recreate}", "always").replace("{inside}", INSIDE["an index"])
    )
    asked(declared, f"matrixone_version={'.'.join(map(str, server.version))}")
    run(server, database, declared.script(lambda: declared.upgrade(sql=True)))
    assert declared.policies() == {"": "t 7d detached", "__g2": "t 7d active"}


STALE = {
    "2.2.2": COLUMN,
    "2.1.0": 'op.drop_column("t", "n")',
    "2.2.1": 'op.execute("TRUNCATE t")\n' + COLUMN,
    "3.0.9": 'op.execute("TRUNCATE t")\n' + COLUMN,
}


@pytest.mark.parametrize("version", STALE)
def test_a_second_generation_that_the_server_would_refuse(declared: Project, version: str) -> None:
    """It takes the old one for active still: neither this revision nor a later one writes one."""
    p = declared.prefix
    asked(declared, "pitr_database=shop", f"matrixone_version={version}")
    declared.revision(2, STALE[version])
    declared.revision(3, 'op.renew_pitr("{p}", range="7d", table="t", generation=2)')
    declared.revision(4, 'op.drop_pitr("{p}")')
    declared.revision(5, POLICY)
    said = (
        f"-- PITR {p} is not renewed, and does not protect table shop.t any more: this version of "
        "MatrixOne takes it for active still, and refuses another one beside it; afterwards: "
        f"mo-pitr renew {p} --drop-history"
    )
    create = f"CREATE PITR `{p}` FOR TABLE `shop` `t` RANGE 7 'd';"
    assert lines(declared) == [create, said, said, f"DROP PITR `{p}`;", create]


@pytest.mark.parametrize(
    "code",
    [
        f'op.drop_table("t")\n{TABLE}',
        f'op.drop_table("t")\n{TABLE}\n{COLUMN}',
        BATCH.replace("{recreate}", "always").replace("{inside}", "pass"),
    ],
)
def test_2_takes_another_one_for_a_table_that_was_dropped(declared: Project, code: str) -> None:
    asked(declared, "pitr_database=shop", "matrixone_version=2.2.2")
    declared.revision(2, code)
    create = f"CREATE PITR `{declared.prefix}__g2` FOR TABLE `shop` `t` RANGE 7 'd';"
    assert lines(declared)[1:] == [create]
    asked(declared, "pitr_database=shop")
    assert [line for line in lines(declared)[1:] if "2.x" in line] == []


def test_of_what_it_has_not_made_itself(declared: Project) -> None:
    p = declared.prefix
    declared.revision(2, 'op.renew_pitr("{p}", range="7d", table="t", generation=2)')
    asked(declared, "pitr_database=shop", "matrixone_version=2.2.2")
    [said] = lines(declared, "0001:0002")
    assert "may take it for active still" in said
    assert said.endswith(f"mo-pitr renew {p}")
    asked(declared, "pitr_database=shop")
    for_4, for_2, create = lines(declared, "0001:0002")
    assert for_4.startswith("-- For MatrixOne 4.x")
    assert for_2.startswith(f"-- MatrixOne 2.x takes PITR {p} of a rebuilt table for active still")
    assert create == f"CREATE PITR `{p}__g2` FOR TABLE `shop` `t` RANGE 7 'd';"


def not_created(project: Project, what: str = "table shop.t") -> str:
    return (
        f"-- PITR {project.prefix} is not created: {what} is not there any more, dropped or "
        "renamed by this revision"
    )


GONE = {
    "dropped": f'{TABLE}\n{POLICY}\nop.drop_table("t")',
    "and altered": f'{TABLE}\n{POLICY}\nop.alter_pitr("{{p}}", "9d")\nop.drop_table("t")',
    "dropped by text": f'{TABLE}\n{POLICY}\nop.execute("DROP TABLE shop.t")',
    "renamed": f'{TABLE}\n{POLICY}\nop.rename_table("t", "other")',
    "dropped before": f'{TABLE}\nop.drop_table("t")\n{POLICY}',
    "with its database": f'{TABLE}\n{POLICY}\nop.execute("DROP DATABASE shop")',
}


@pytest.mark.parametrize("how", GONE)
def test_a_table_that_the_same_revision_drops(
    project: Project, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked(project, "pitr_database=shop", "matrixone_version=3.0.9")
    project.revision(1, GONE[how])
    assert lines(project) == [not_created(project)]
    assert not_created(project)[3:] in caplog.messages
    project.revision(2, f"{TABLE}\n{POLICY}")
    assert lines(project)[1:] == [
        f"CREATE PITR `{project.prefix}` FOR TABLE `shop` `t` RANGE 7 'd';"
    ]


def test_a_database_that_the_same_revision_drops(project: Project) -> None:
    asked(project, "matrixone_version=3.0.9")
    policy = 'op.create_pitr("{p}", "7d", database="old")'
    project.revision(1, f'op.execute("CREATE DATABASE old")\n{policy}')
    assert lines(project) == [f"CREATE PITR `{project.prefix}` FOR DATABASE `old` RANGE 7 'd';"]
    project.revision(1, f'{policy}\nop.execute("DROP DATABASE old")')
    assert lines(project) == [not_created(project, "database old")]
    project.revision(1, f'op.execute("DROP DATABASE old; CREATE DATABASE old")\n{policy}')
    assert lines(project) == [f"CREATE PITR `{project.prefix}` FOR DATABASE `old` RANGE 7 'd';"]


def test_a_table_that_comes_and_goes_after_a_renewal(declared: Project) -> None:
    """The generations before stay: they are history."""
    p = declared.prefix
    declared.revision(2, f'op.drop_table("t")\n{TABLE}\n{POLICY}\nop.drop_table("t")')
    declared.revision(3, f'{TABLE}\n{POLICY}\nop.drop_pitr("{{p}}")')
    assert [line for line in lines(declared) if not line.startswith("--")] == [
        f"CREATE PITR `{p}` FOR TABLE `shop` `t` RANGE 7 'd';",
        f"DROP PITR IF EXISTS `{p}__g2`;",
    ]


def test_if_not_exists_and_a_rebuild(declared: Project) -> None:
    """As online, where what protects nothing any more is renewed all the same."""
    p = declared.prefix
    policy = POLICY.replace('"t")', '"t", if_not_exists=True)')
    declared.revision(2, f"{policy}\n{COLUMN}")
    assert lines(declared)[1:] == [
        f"CREATE PITR IF NOT EXISTS `{p}` FOR TABLE `shop` `t` RANGE 7 'd';",
        f"CREATE PITR `{p}__g2` FOR TABLE `shop` `t` RANGE 7 'd';",
    ]


@pytest.mark.parametrize("of_file", ["driver://user:pass@localhost/dbname", "mysql://h/other", ""])
@pytest.mark.parametrize("given", ["mysql+pymysql://h/Shop", "matrixone+pymysql://u:p%40@h/shop"])
def test_the_url_of_env_py_comes_before_that_of_the_file(
    project: Project, of_file: str, given: str
) -> None:
    """It may be of the environment, and the file's that of a developer."""
    env = project.where / "env.py"
    before = 'config.get_main_option("sqlalchemy.url")'
    env.write_text(
        env.read_text().replace(before, repr(given)).replace('dialect_name="mysql", ', "")
    )
    project.config.set_main_option("sqlalchemy.url", of_file)
    asked(project, "matrixone_version=3.0.9")
    project.revision(1, POLICY)
    assert lines(project) == [f"CREATE PITR `{project.prefix}` FOR TABLE `shop` `t` RANGE 7 'd';"]
    asked(project, "pitr_database=third", "matrixone_version=3.0.9")
    assert "`third` `t`" in lines(project)[0]


def test_a_url_without_a_database_leaves_it_to_the_file(project: Project) -> None:
    env = project.where / "env.py"
    before = 'config.get_main_option("sqlalchemy.url")'
    env.write_text(env.read_text().replace(before, 'sa.make_url("mysql+pymysql://h")', 1))
    env.write_text("import sqlalchemy as sa\n" + env.read_text())
    asked(project, "matrixone_version=3.0.9")
    project.revision(1, POLICY)
    assert f"`{project.engine.url.database}` `t`" in lines(project)[0]


def test_a_context_without_an_environment() -> None:
    """A script that a program writes itself has its URL alone."""
    register()
    written = io.StringIO()
    context = MigrationContext.configure(
        url="mysql+pymysql://h/shop", opts={"as_sql": True, "output_buffer": written}
    )
    Operations(context).create_pitr("p", "7d", table="t")  # type: ignore[attr-defined]
    end_revision(context, None)
    assert "CREATE PITR `p` FOR TABLE `shop` `t` RANGE 7 'd';" in written.getvalue()


@pytest.mark.parametrize(
    "url",
    [
        "driver://user:pass@localhost/dbname",
        "postgresql://user:pass@localhost/other",
        "sqlite:///shop.db",
        "mysql+pymysql://%(DB_USER)s@localhost/shop",
        "no url",
        "",
    ],
)
def test_a_url_that_is_not_of_this_database(project: Project, url: str) -> None:
    """As ``alembic init`` leaves it, or of somebody else's, or not to be read."""
    env = project.where / "env.py"
    env.write_text(env.read_text().replace('config.get_main_option("sqlalchemy.url")', "None"))
    project.config.set_main_option("sqlalchemy.url", url)
    project.revision(1, POLICY)
    with pytest.raises(PitrValidationError, match="names no database"):
        lines(project)
    asked(project, "pitr_database=shop", "matrixone_version=3.0.9")
    assert lines(project) == [f"CREATE PITR `{project.prefix}` FOR TABLE `shop` `t` RANGE 7 'd';"]


def test_names_it_has_not_made_stay_as_they_stand(declared: Project) -> None:
    declared.revision(2, 'op.alter_pitr("{p}", "9d")\nop.drop_table("t")')
    assert lines(declared, "0001:0002")[0] == as_it_stands(declared.prefix)
