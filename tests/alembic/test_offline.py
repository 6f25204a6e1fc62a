"""``--sql``: a script for a client in autocommit that ends where an online run ends."""

from __future__ import annotations

import pytest

from sqlalchemy_matrixone_pitr import PitrValidationError
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
        'op.drop_pitr("{p}__2", if_exists=True)\nop.drop_pitr("{p}_a%b")',
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
        f"CREATE PITR `{p}__2` FOR TABLE `{database}` `orders` RANGE 14 'd';",
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
    assert by_script["__2"] == expected


def test_the_database_of_an_x_argument(written: Project) -> None:
    written.config.set_main_option("sqlalchemy.url", "mysql+pymysql://")
    with pytest.raises(PitrValidationError, match="-x pitr_database=NAME"):
        written.script(lambda: written.upgrade(sql=True))
    from argparse import Namespace

    written.config.cmd_opts = Namespace(x=["pitr_database=elsewhere"])
    script = written.script(lambda: written.upgrade(sql=True))
    assert "FOR TABLE `elsewhere` `orders`" in script
