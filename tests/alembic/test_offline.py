"""``--sql``: a script for a client in autocommit that ends where an online run ends."""

from __future__ import annotations

from argparse import Namespace

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from sqlalchemy_matrixone_pitr import PitrValidationError, TablePitr, get_pitrs
from tests.alembic.conftest import Project
from tests.conftest import Server


@pytest.fixture
def written(project: Project) -> Project:
    project.revision(
        1,
        'op.create_pitr("{p}", "7d", table="orders")\n'
        'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))',
        'op.drop_pitr("{p}")\nop.drop_table("orders")',
    )
    project.revision(
        2,
        'op.alter_pitr("{p}", "14d")\n'
        'op.create_pitr("{p}_a%b", "1mo", level="database")\n'
        'op.add_column("orders", sa.Column("c", sa.Integer))\n'
        'op.renew_pitr("{p}", range="14d", table="orders", generation=2)',
        'op.drop_pitr("{p}__g2", if_exists=True)\nop.drop_pitr("{p}_a%b")',
    )
    return project


def run(server: Server, database: str, script: str) -> None:
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        for statement in script.split(";\n"):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            if "".join(lines).strip():
                cursor.execute("\n".join(lines))


def test_held_to_the_end_of_their_revision(written: Project, database: str) -> None:
    p = written.prefix
    script = written.script(lambda: written.upgrade(sql=True))
    wanted = ("CREATE PITR", "ALTER PITR", "INSERT", "UPDATE")
    assert [line for line in script.splitlines() if line.startswith(wanted)] == [
        "INSERT INTO alembic_version (version_num) VALUES ('0001');",
        f"CREATE PITR `{p}` FOR TABLE `{database}` `orders` RANGE 7 'd';",
        "UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';",
        f"ALTER PITR `{p}` RANGE 14 'd';",
        f"CREATE PITR `{p}_a%b` FOR DATABASE `{database}` RANGE 1 'mo';",
        f"CREATE PITR `{p}__g2` FOR TABLE `{database}` `orders` RANGE 14 'd';",
    ]
    assert "BEGIN" not in script


def test_it_ends_in_the_same_state(written: Project, server: Server, database: str) -> None:
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    script = written.script(lambda: written.upgrade("0001", sql=True))
    run(server, database, script)
    assert written.policies() == {"": "orders 7d active"}
    run(server, database, written.script(lambda: written.upgrade("0001:0002", sql=True)))
    by_script = written.policies()
    run(server, database, written.script(lambda: written.downgrade("0002:base", sql=True)))
    assert [status for status in written.policies().values() if "active" in status] == []
    assert by_script["_a%b"] == "1mo active"
    # a script knows no server: on 4.x it cannot know that the table was rebuilt
    expected = "orders 14d detached" if server.version >= (4,) else "orders 14d active"
    assert by_script["__g2"] == expected


def test_the_database_of_an_x_argument(written: Project) -> None:
    written.config.set_main_option("sqlalchemy.url", "mysql+pymysql://")
    with pytest.raises(PitrValidationError, match="-x pitr_database=NAME"):
        written.script(lambda: written.upgrade(sql=True))
    written.config.cmd_opts = Namespace(x=["pitr_database=elsewhere"])
    script = written.script(lambda: written.upgrade(sql=True))
    assert "FOR TABLE `elsewhere` `orders`" in script


def pitr_lines(script: str) -> list[str]:
    """The PITR statements and the comments on them."""
    return [line for line in script.splitlines() if "PITR" in line or "protect" in line]


def as_it_stands(name: str) -> str:
    return (
        f"-- If {name} was renewed, the next line needs the name of its newest PITR: see mo-pitr "
        "show"
    )


@pytest.fixture
def declared(project: Project) -> Project:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("14d", project.prefix))
    project.declare(metadata)
    project.config.cmd_opts = Namespace(x=["pitr_database=shop", "matrixone_version=3.0.9"])
    project.revision(
        1,
        'op.create_table("orders", sa.Column("id", sa.Integer))\n'
        'op.create_pitr("{p}", "7d", table="orders")',
    )
    project.revision(
        2,
        'op.add_column("orders", sa.Column("c", sa.Integer))\nop.alter_pitr("{p}", "14d")',
        'op.drop_column("orders", "c")\nop.alter_pitr("{p}", "7d")',
    )
    return project


def test_a_script_renews_what_it_made_itself(declared: Project) -> None:
    """With the range that the revision gives it, and later revisions mean the newest one."""
    p = declared.prefix
    declared.revision(3, 'op.alter_pitr("{p}", "1mo")')
    declared.revision(4, 'op.drop_pitr("{p}")')
    assert pitr_lines(declared.script(lambda: declared.upgrade(sql=True))) == [
        f"CREATE PITR `{p}` FOR TABLE `shop` `orders` RANGE 7 'd';",
        f"CREATE PITR `{p}__g2` FOR TABLE `shop` `orders` RANGE 14 'd';",
        f"ALTER PITR `{p}__g2` RANGE 1 'mo';",
        f"DROP PITR `{p}__g2`;",
    ]


def test_a_script_of_one_revision_says_what_it_ends(declared: Project) -> None:
    """It cannot know how many generations there are."""
    p = declared.prefix
    for run in (
        lambda: declared.upgrade("0001:0002", sql=True),
        lambda: declared.downgrade("0002:0001", sql=True),
    ):
        ended, *_ = reversed(pitr_lines(declared.script(run)))
        assert ended == (
            f"-- This revision ends the protection of table shop.orders by {p}; "
            f"afterwards: mo-pitr renew {p}"
        )


def test_a_script_for_4_creates_what_protects_there(declared: Project) -> None:
    p = declared.prefix
    declared.config.cmd_opts = Namespace(x=["pitr_database=shop", "matrixone_version=4.2.0"])
    assert pitr_lines(declared.script(lambda: declared.upgrade(sql=True))) == [
        f"CREATE PITR `{p}` FOR TABLE `shop` `orders` RANGE 7 'd' INTERNAL;",
        f"CREATE PITR `{p}__g2` FOR TABLE `shop` `orders` RANGE 14 'd' INTERNAL;",
    ]
    declared.config.cmd_opts = Namespace(x=["pitr_database=shop"])
    lines = pitr_lines(declared.script(lambda: declared.upgrade(sql=True)))
    assert lines[0].endswith("RANGE 7 'd';")
    assert lines[1].startswith("-- For MatrixOne 4.x write this script with -x matrixone_version")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('op.execute("ALTER TABLE `orders` MODIFY id BIGINT")', "may end"),
        ('op.execute("TRUNCATE TABLE shop.orders")', "may end"),
        ('op.create_index("i", "orders", ["id"])', None),
        ('op.alter_column("orders", "n", existing_type=sa.String(9), type_=sa.String(10))', None),
        ('op.drop_table("orders")', None),
    ],
)
def test_what_a_script_cannot_know_it_says(declared: Project, code: str, said: str | None) -> None:
    declared.revision(2, code)
    lines = pitr_lines(declared.script(lambda: declared.upgrade(sql=True)))
    assert [said in line for line in lines[1:] if said] == ([True] if said else [])
    assert len(lines) == (2 if said else 1)


def test_dropped_and_made_again_by_one_script(declared: Project) -> None:
    """The rest of the old one is its history, as online."""
    p = declared.prefix
    declared.revision(3, 'op.drop_pitr("{p}")')
    declared.revision(4, 'op.create_pitr("{p}", "9d", table="orders")')
    declared.revision(5, 'op.create_pitr("{p}_x", "9d", table="bills")\nop.drop_pitr("{p}_x")')
    assert pitr_lines(declared.script(lambda: declared.upgrade("0001:0005", sql=True)))[3:] == [
        as_it_stands(p),
        f"DROP PITR `{p}`;",
        f"CREATE PITR `{p}` FOR TABLE `shop` `orders` RANGE 9 'd';",
        f"DROP PITR IF EXISTS `{p}_x`;",
    ]
    assert pitr_lines(declared.script(lambda: declared.upgrade(sql=True)))[2:4] == [
        f"DROP PITR `{p}__g2`;",
        f"CREATE PITR `{p}__g2` FOR TABLE `shop` `orders` RANGE 9 'd';",
    ]


FOR_4 = "-- For MatrixOne 4.x write this script with -x matrixone_version=4.2.0"


def version(project: Project, text: str | None) -> None:
    asked = [] if text is None else [f"matrixone_version={text}"]
    project.config.cmd_opts = Namespace(x=["pitr_database=shop", *asked])


TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer))'
TABLE_WITH_MORE = TABLE.replace("))", '), sa.Column("gone", sa.Integer))')
POLICY = 'op.create_pitr("{p}", "7d", table="orders")'
REBUILT = {
    "by an operation": f'{TABLE}\nop.add_column("orders", sa.Column("c", sa.Integer))\n{POLICY}',
    "after the policy": f'{TABLE}\n{POLICY}\nop.add_column("orders", sa.Column("c", sa.Integer))',
    "by text": f'{TABLE}\nop.execute("TRUNCATE orders")\n{POLICY}',
    "perhaps before the script": POLICY,
    "perhaps there already": TABLE.replace("))", "), if_not_exists=True)") + f"\n{POLICY}",
    "under another name": TABLE.replace("orders", "old")
    + f'\nop.rename_table("old", "orders")\n{POLICY}',
}


@pytest.mark.parametrize("how", REBUILT)
def test_for_a_version_that_is_not_told_it_says_what_protects_nothing(
    project: Project, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    project.revision(1, REBUILT[how])
    version(project, None)
    comment, create = pitr_lines(project.script(lambda: project.upgrade(sql=True)))
    assert comment.startswith(FOR_4)
    assert create == f"CREATE PITR `{project.prefix}` FOR TABLE `shop` `orders` RANGE 7 'd';"
    assert [record.levelname for record in caplog.records if "4.x" in record.message] == ["WARNING"]
    version(project, "4.2.0")
    [create] = pitr_lines(project.script(lambda: project.upgrade(sql=True)))
    assert create.endswith("RANGE 7 'd' INTERNAL;")
    version(project, "3.0.9")
    assert len(pitr_lines(project.script(lambda: project.upgrade(sql=True)))) == 1


def test_of_a_table_that_it_has_just_made_it_is_sure(project: Project) -> None:
    project.revision(1, f'{TABLE}\nop.create_index("i", "orders", ["id"])')
    project.revision(2, POLICY)
    version(project, None)
    assert len(pitr_lines(project.script(lambda: project.upgrade(sql=True)))) == 1


@pytest.mark.parametrize("text", ["v3.0.9", "3", "four", "4.2.0-dev"])
def test_a_version_that_is_none(project: Project, text: str) -> None:
    project.revision(1, POLICY)
    version(project, text)
    with pytest.raises(PitrValidationError, match="write the version as"):
        project.script(lambda: project.upgrade(sql=True))


RENEWED = {
    "dropped and made again": f'op.drop_table("orders")\n{TABLE}',
    "by text": 'op.execute("DROP TABLE orders")\nop.execute("/* */ CREATE TABLE orders (id INT)")',
    "a primary key": 'op.create_primary_key("pk", "orders", ["id"])',
    "a column added by text": 'op.execute("/* why */ ALTER TABLE orders ADD COLUMN x INT")',
    "a column dropped by text": 'op.execute("/* why */ ALTER TABLE orders DROP COLUMN gone")',
}


@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize("how", RENEWED)
def test_renewed_as_online(declared: Project, server: Server, database: str, how: str) -> None:
    """Later revisions mean the newest one."""
    declared.revision(1, f"{TABLE_WITH_MORE}\n{POLICY}")
    declared.revision(2, RENEWED[how])
    declared.revision(3, 'op.alter_pitr("{p}", "14d")')
    asked = f"matrixone_version={'.'.join(map(str, server.version))}"
    declared.config.cmd_opts = Namespace(x=[asked])
    run(server, database, declared.script(lambda: declared.upgrade(sql=True)))
    by_script = declared.policies()
    assert by_script == {"": "orders 7d detached", "__g2": "orders 14d active"}


RENEW = 'op.renew_pitr("{p}", range="14d", table="orders", generation=2)'
COLUMN = 'op.add_column("orders", sa.Column("x", sa.Integer))'


@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize(
    "code",
    [
        RENEW,
        f"{RENEW}\n{COLUMN}",
        f"{COLUMN}\n{RENEW}",
        f'{RENEW}\n{COLUMN}\nop.alter_pitr("{{p}}", "9d")',
    ],
)
def test_a_renewal_gives_its_range_as_online(
    declared: Project, server: Server, database: str, code: str
) -> None:
    """Also to a policy that still protects its table."""
    declared.revision(1, f"{TABLE_WITH_MORE}\n{POLICY}", 'op.drop_table("orders")')
    declared.revision(2, code)
    declared.upgrade()
    online = declared.policies()
    declared.downgrade()
    for pitr in get_pitrs(declared.engine):
        server.query(f"DROP PITR {pitr.name}")
    asked = f"matrixone_version={'.'.join(map(str, server.version))}"
    declared.config.cmd_opts = Namespace(x=[asked])
    server.query("DROP TABLE alembic_version", database)
    run(server, database, declared.script(lambda: declared.upgrade(sql=True)))
    assert declared.policies() == online


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('op.rename_table("orders", "old")\n' + TABLE, "may end"),
        (
            'op.create_table("new", sa.Column("id", sa.Integer))\n'
            'op.execute("RENAME TABLE orders TO old, new TO orders")',
            "may end",
        ),
        ('op.execute("/* why */ ALTER TABLE orders MODIFY id BIGINT")', "may end"),
        ('op.execute("DROP DATABASE shop")', None),
    ],
)
def test_what_replaces_a_table(declared: Project, code: str, said: str | None) -> None:
    """A renamed table keeps its policy, which the server refuses another one beside."""
    declared.revision(2, code)
    _, *lines = pitr_lines(declared.script(lambda: declared.upgrade(sql=True)))
    assert [said in line for line in lines if said] == ([True] if said else [])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('op.rename_table("orders", "old")', True),
        ('op.execute("RENAME TABLE shop.orders TO shop.old")', True),
        ('op.rename_table("orders", "old")\nop.create_pitr("{p}_old", "7d", table="old")', True),
        ('op.rename_table("orders", "old")\nop.drop_pitr("{p}")', False),
        ('op.drop_table("orders")', False),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_renamed_table_loses_its_policy(
    declared: Project, code: str, said: bool, whole: bool
) -> None:
    """As online; whether or not the script has made the policy itself."""
    declared.revision(2, code)
    to = "head" if whole else "0001:0002"
    lines = pitr_lines(declared.script(lambda: declared.upgrade(to, sql=True)))
    found = [line for line in lines if "stays with the old name" in line]
    expected = f"-- This revision renames table shop.orders, and its policy {declared.prefix} stays"
    assert [line.startswith(expected) for line in found] == ([True] if said else [])


def test_names_that_it_takes_as_they_stand(declared: Project) -> None:
    """It knows what it has made itself, and nothing of what was there before."""
    p = declared.prefix
    declared.revision(2, 'op.alter_pitr("{p}", "14d")', 'op.drop_pitr("{p}")')
    run_two = declared.script(lambda: declared.upgrade("0001:0002", sql=True))
    assert pitr_lines(run_two) == [as_it_stands(p), f"ALTER PITR `{p}` RANGE 14 'd';"]
    back = declared.script(lambda: declared.downgrade("0002:0001", sql=True))
    assert pitr_lines(back) == [as_it_stands(p), f"DROP PITR `{p}`;"]
    both = pitr_lines(declared.script(lambda: declared.upgrade(sql=True)))
    assert both[1:] == [f"ALTER PITR `{p}` RANGE 14 'd';"]


def test_the_database_of_one_of_several(written: Project) -> None:
    written.options(matrixone_pitr_database="second")
    written.config.cmd_opts = Namespace(x=["pitr_database=first"])
    assert "FOR TABLE `second` `orders`" in written.script(lambda: written.upgrade(sql=True))


OF_OTHERS = """
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement

class Analyze(ExecutableDDLElement):
    pass

@compiles(Analyze, "postgresql")
def visit(element, compiler, **kw):
    return "ANALYZE orders"

op.execute(Analyze())
op.alter_column("orders", "id", existing_type=sa.Text(), type_=postgresql.JSONB())
"""


def test_scripts_for_others_are_as_without_us(project: Project) -> None:
    env = project.where / "env.py"
    env.write_text(env.read_text().replace('dialect_name="mysql"', 'dialect_name="postgresql"'))
    project.config.set_main_option("sqlalchemy.url", "postgresql://")
    project.revision(1, OF_OTHERS)
    script = project.script(lambda: project.upgrade(sql=True))
    assert "ANALYZE orders;" in script
    assert "TYPE JSONB" in script


def test_an_element_of_the_users_in_a_script(project: Project) -> None:
    project.revision(1, OF_OTHERS[: OF_OTHERS.index("op.alter")].replace("postgresql", "mysql"))
    assert "ANALYZE orders;" in project.script(lambda: project.upgrade(sql=True))


@pytest.mark.parametrize("drop_first", [False, True])
def test_drop_if_exists_leaves_history(
    project: Project, server: Server, database: str, drop_first: bool
) -> None:
    """A table that the same revision drops has none, as online."""
    operations = ['op.drop_table("orders")', 'op.drop_pitr("{p}", if_exists=True)']
    project.revision(
        1,
        'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.create_pitr("{p}", "7d", table="orders")',
    )
    project.revision(2, "\n".join(reversed(operations) if drop_first else operations))
    run(server, database, project.script(lambda: project.upgrade(sql=True)))
    by_script = project.policies()
    server.query(f"DROP PITR {project.prefix}")
    server.query("DROP TABLE alembic_version", database)
    project.upgrade()
    assert by_script == project.policies() == {"": "orders 7d detached"}
