"""When revisions ran, and ``mo-pitr restore-point``."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from sqlalchemy import text

from sqlalchemy_matrixone_pitr import PitrManager, PitrNotFoundError
from sqlalchemy_matrixone_pitr.alembic import restore_point
from tests.alembic.conftest import Project
from tests.conftest import Server
from tests.test_cli import SCRIPT

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
OTHER = 'op.create_table("other", sa.Column("id", sa.Integer, primary_key=True))'


@pytest.fixture
def applied(project: Project, database: str) -> Project:
    """Rows, then a revision that rebuilds one table and drops another, under a policy."""
    project.revision(1, f"{TABLE}\n{OTHER}")
    project.revision(
        2,
        'op.add_column("orders", sa.Column("c", sa.Integer))\nop.drop_table("other")',
        f'op.drop_column("orders", "c")\n{OTHER}',
    )
    project.upgrade("0001")
    PitrManager(project.engine).create_database_pitr(project.prefix, database)
    time.sleep(1.1)
    with project.engine.begin() as conn:
        conn.execute(text("INSERT INTO orders VALUES (1)"))
        conn.execute(text("INSERT INTO other VALUES (2)"))
    project.upgrade()
    return project


def test_its_statements_bring_the_tables_back(applied: Project, server: Server) -> None:
    point = restore_point(applied.engine, "0002")
    assert point.lost == []
    assert len(point.statements) == 2
    time.sleep(1.1)
    for statement in point.statements:
        server.query(statement.removesuffix(";"))
    with applied.engine.connect() as conn:
        assert conn.execute(text("SELECT * FROM orders")).all() == [(1,)]
        assert conn.execute(text("SELECT * FROM other")).all() == [(2,)]


def test_the_command(applied: Project, database: str, server: Server) -> None:
    environment = {
        **os.environ,
        "MATRIXONE_URL": server.url(database=database).render_as_string(False),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, "restore-point", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
        )

    shown = run("0002")
    assert shown.returncode == 0
    first, *statements = shown.stdout.splitlines()
    assert first.startswith("-- just before 0002: 20")
    assert [s.split(" FROM ")[0] for s in statements] == [
        f"RESTORE DATABASE `{database}` TABLE `orders`",
        f"RESTORE DATABASE `{database}` TABLE `other`",
    ]
    told = json.loads(run("0002", "--json").stdout)
    assert told["statements"] == statements
    unknown = run("nosuch")
    assert unknown.returncode == 2
    assert "is not recorded" in unknown.stderr


def test_what_no_policy_reaches(applied: Project) -> None:
    PitrManager(applied.engine).delete(applied.prefix)
    point = restore_point(applied.engine, "0002")
    assert (point.statements, point.lost) == ([], ["orders", "other"])
    assert restore_point(applied.engine, "0001").statements == []


def test_a_revision_that_ran_again_is_of_the_last_time(applied: Project) -> None:
    first = restore_point(applied.engine, "0002").moment
    applied.downgrade("0001")
    time.sleep(0.01)
    applied.upgrade()
    assert restore_point(applied.engine, "0002").moment > first


def test_autogenerate_leaves_the_table_alone(applied: Project) -> None:
    from sqlalchemy import Column, Integer, MetaData, Table

    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True), Column("c", Integer))
    applied.declare(metadata)
    applied.check()


def test_nothing_recorded(project: Project) -> None:
    with pytest.raises(PitrNotFoundError, match="is not recorded"):
        restore_point(project.engine, "0001")
    project.config.attributes["pitr"] = {"record_times": False}
    project.revision(1, TABLE)
    project.upgrade()
    with pytest.raises(PitrNotFoundError):
        restore_point(project.engine, "0001")


def test_it_never_fails_a_migration(project: Project, server: Server, database: str) -> None:
    """Here something else has the table's name."""
    server.query("CREATE TABLE alembic_pitr_revision (x INT)", database)
    project.revision(1, TABLE)
    project.upgrade()
    with project.engine.connect() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"
