"""Times of revisions, and ``mo-pitr restore-point``."""

from __future__ import annotations

import json
import logging
import os
import subprocess

import pytest
from sqlalchemy import create_engine, text

from sqlalchemy_matrixone_pitr import PitrManager, PitrNotFoundError, PitrValidationError
from sqlalchemy_matrixone_pitr.alembic import restore_point
from tests.alembic.conftest import Project
from tests.cli import SCRIPT, Ran, run_here
from tests.clock import wait
from tests.conftest import Server
from tests.proxy import Proxy

one_dialect = pytest.mark.parametrize("project", ["matrixone+pymysql"], indirect=True)

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
    wait(project.engine, 1.1)
    with project.engine.begin() as conn:
        conn.execute(text("INSERT INTO orders VALUES (1)"))
        conn.execute(text("INSERT INTO other VALUES (2)"))
    wait(project.engine, 0.5)  # the moment may be one way to the server too early
    project.upgrade()
    return project


def test_its_statements_bring_the_tables_back(applied: Project, server: Server) -> None:
    point = restore_point(applied.engine, "0002")
    assert point.lost == []
    assert len(point.statements) == 2
    wait(server, 1.1)
    for statement in point.statements:
        server.query(statement.removesuffix(";"))
    with applied.engine.connect() as conn:
        assert conn.execute(text("SELECT * FROM orders")).all() == [(1,)]
        assert conn.execute(text("SELECT * FROM other")).all() == [(2,)]


@one_dialect
def test_revisions_of_one_transaction_do_not_wait_for_each_other(
    project: Project, database: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Their times are written after its COMMIT, all of them."""
    caplog.set_level(logging.DEBUG, "alembic.runtime.matrixone_pitr")
    project.revision(1, TABLE)
    project.upgrade()
    for number in (2, 3, 4):
        project.revision(number, f'op.add_column("orders", sa.Column("c{number}", sa.Integer))')
    project.template("external")
    caplog.clear()
    project.upgrade()
    assert "is not written" not in caplog.text
    recorded = server.query(
        "SELECT version_num FROM alembic_pitr_revision WHERE touched LIKE '%committed%'", database
    )
    assert sorted(recorded) == [("0001",), ("0002",), ("0003",), ("0004",)]


def test_what_foreign_keys_refer_to_is_said(project: Project, database: str) -> None:
    """RESTORE of it says OK, and restores nothing."""
    project.revision(
        1,
        f"{TABLE}\n"
        'op.create_table("lines", sa.Column("id", sa.Integer, primary_key=True), '
        'sa.Column("o", sa.Integer, sa.ForeignKey("orders.id")))\n'
        'op.create_table("a b", sa.Column("id", sa.Integer, primary_key=True))',
    )
    project.revision(2, 'op.add_column("orders", sa.Column("c", sa.Integer))\nop.drop_table("a b")')
    project.upgrade("0001")
    PitrManager(project.engine).create_database_pitr(project.prefix, database)
    wait(project.engine, 1.6)
    project.upgrade()
    point = restore_point(project.engine, "0002")
    assert len(point.statements) == 1
    [warning] = point.warnings
    assert f"{database}.orders: RESTORE restores nothing" in warning
    assert f"{database}.lines" in warning
    assert point.lost == [f"{database}.a b"]


@pytest.mark.slow
def test_the_command(applied: Project, database: str, server: Server) -> None:
    environment = {
        **os.environ,
        "MATRIXONE_URL": server.url(database=database).render_as_string(False),
    }

    def run(*arguments: str, command: str = "restore-point") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, command, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
        )

    shown = run("0002")
    assert shown.returncode == 0
    first, *statements = shown.stdout.splitlines()
    assert first.startswith("-- just before 0002: 20")
    assert statements[2:] == ["-- then, on the command line:", "--   alembic stamp 0001"]
    del statements[2:]
    assert [s.split(" FROM ")[0] for s in statements] == [
        f"RESTORE DATABASE `{database}` TABLE `orders`",
        f"RESTORE DATABASE `{database}` TABLE `other`",
    ]
    told = json.loads(run("-1", "--json").stdout)
    assert told["revision"] == "0001"
    told = json.loads(run("head", "--json").stdout)
    assert told["statements"] == statements
    assert told["afterwards"] == ["alembic stamp 0001"]
    unknown = run("nosuch")
    assert unknown.returncode == 2
    assert "is not recorded" in unknown.stderr
    if server.live:
        return  # what a restore sets aside would stay
    restored = run("other", "--at", "revision:0002", "--yes", command="restore")
    assert restored.stdout.splitlines()[-1] == "Tell Alembic: alembic stamp 0001", restored.stderr


@one_dialect
def test_the_command_says_what_is_lost(
    applied: Project,
    database: str,
    server: Server,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the project's alembic.ini, too, and with one that only names a server."""
    url = server.url(database=database).render_as_string(False)
    monkeypatch.chdir(applied.where)
    for name, more in (("alembic.ini", f"script_location = {applied.where}\n"), ("url.ini", "")):
        (applied.where / name).write_text(f"[alembic]\nsqlalchemy.url = {url}\n{more}")

    def run(*arguments: str) -> Ran:
        environment = {k: v for k, v in os.environ.items() if k != "MATRIXONE_URL"}
        return run_here(["restore-point", *arguments], environment, capfd)

    PitrManager(applied.engine).delete(applied.prefix)
    shown = run("head", "-c", "alembic.ini")
    assert shown.code == 1, shown.err
    first, *lines = shown.out.splitlines()
    assert first.startswith("-- just before 0002: 20")
    assert lines == [
        f"-- {database}.{table}: no policy can bring it back to that moment"
        for table in ("orders", "other")
    ]
    assert run("0002", "-c", "url.ini") == shown
    assert run("head", "-c", "url.ini", "--json").code == 1
    unknown = run("+7", "-c", "alembic.ini")
    assert (unknown.code, unknown.out) == (2, "")


def test_what_no_policy_reaches(applied: Project) -> None:
    PitrManager(applied.engine).delete(applied.prefix)
    point = restore_point(applied.engine, "0002")
    assert point.statements == []
    assert point.lost == [f"{applied.prefix}.orders", f"{applied.prefix}.other"]
    assert restore_point(applied.engine, "0001").statements == []


def test_a_revision_that_ran_again_is_of_the_last_time(applied: Project) -> None:
    first = restore_point(applied.engine, "0002").moment
    applied.downgrade("0001")
    wait(applied.engine, 0.01)
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


def test_once_more_where_the_connection_is_lost(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    url = server.url(project.engine.url.drivername, database, port=proxy.port)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(False))
    project.revision(1, TABLE)
    project.revision(2, OTHER)
    proxy.cut("INSERT INTO alembic_pitr_revision", "before")
    project.upgrade()
    with project.engine.connect() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0002"
    for revision in ("0001", "0002"):
        restore_point(project.engine, revision)
    project.revision(3, "pass")
    proxy.cut("INSERT INTO alembic_pitr_revision", "before")
    project.upgrade()  # what is not written when a revision begins is written when it ends
    assert restore_point(project.engine, "0003").afterwards == []


def brought_back(project: Project, server: Server, revision: str) -> None:
    """Everything that a revision has touched."""
    point = restore_point(project.engine, revision)
    assert point.lost == []
    assert point.statements
    wait(server, 1.1)
    for statement in point.statements:
        server.query(statement.removesuffix(";"))


BLOCKS = {
    "dropped": 'op.drop_table("orders")',
    "changed and rebuilt": 'op.execute("DELETE FROM orders WHERE id = 1")\n    '
    'op.add_column("orders", sa.Column("c", sa.Integer))',
}


@one_dialect
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("first", [1, 2])
def test_before_a_block_that_commits_by_itself(
    project: Project, server: Server, database: str, block: str, first: int
) -> None:
    """Also where it is not the first revision of its run."""
    project.revision(1, f"{TABLE}\nop.execute('INSERT INTO orders VALUES (1)')")
    project.revision(2, OTHER)
    project.revision(3, f"with op.get_context().autocommit_block():\n    {BLOCKS[block]}")
    project.upgrade("0001")
    PitrManager(project.engine).create_database_pitr(project.prefix, database)
    wait(project.engine, 1.1)
    project.upgrade(f"000{first}")
    wait(project.engine, 0.5)
    project.upgrade()
    brought_back(project, server, "0003")
    assert server.query("SELECT * FROM orders", database) == [(1,)]
    [statement] = restore_point(project.engine, "0002").statements  # what a later one has dropped
    assert "TABLE `orders` FROM PITR" in statement


@one_dialect
def test_in_other_databases(project: Project, server: Server, database: str) -> None:
    other, gone = f"{database}_b", f"{database}_c"
    try:
        for name in (other, gone):
            server.query(f"CREATE DATABASE {name}")
            server.query("CREATE TABLE orders (id INT PRIMARY KEY)", name)
            server.query("INSERT INTO orders VALUES (1)", name)
            PitrManager(project.engine).create_database_pitr(f"{project.prefix}_{name}", name)
        wait(project.engine, 1.6)
        project.revision(
            1, f'op.drop_table("orders", schema="{other}")\nop.execute("DROP DATABASE {gone}")'
        )
        project.upgrade()
        brought_back(project, server, "0001")
        for name in (other, gone):
            assert server.query("SELECT * FROM orders", name) == [(1,)]
    finally:
        for name in (other, gone):
            server.query(f"DROP DATABASE IF EXISTS {name}")


@one_dialect
def test_not_from_a_policy_that_had_ended(project: Project, server: Server, database: str) -> None:
    """History that only it keeps may be collected at any time."""
    project.revision(1, TABLE)
    project.revision(2, 'op.drop_table("orders")')
    project.upgrade("0001")
    PitrManager(project.engine).create_table_pitr(project.prefix, database, "orders", 7)
    wait(project.engine, 1.6)
    server.query("ALTER TABLE orders ADD COLUMN c INT", database)
    wait(project.engine, 0.5)
    project.upgrade()
    point = restore_point(project.engine, "0002")
    assert (point.statements, point.lost) == ([], [f"{database}.orders"])


@one_dialect
def test_from_one_that_the_revision_has_ended(
    project: Project, server: Server, database: str
) -> None:
    project.revision(1, TABLE)
    project.revision(2, 'op.drop_table("orders")')
    project.upgrade("0001")
    PitrManager(project.engine).create_table_pitr(project.prefix, database, "orders", 7)
    wait(project.engine, 1.6)
    project.upgrade()
    brought_back(project, server, "0002")
    assert server.query("SHOW TABLES LIKE 'orders'", database) == [("orders",)]


@one_dialect
def test_what_others_refer_to_comes_first(project: Project, server: Server, database: str) -> None:
    project.revision(
        1,
        'op.create_table("z", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.create_table("%b", sa.Column("id", sa.Integer, sa.ForeignKey("z.id"), '
        "primary_key=True))\n"
        'op.create_table("a", sa.Column("id", sa.Integer, sa.ForeignKey("%b.id"), '
        "primary_key=True), "
        'sa.Column("up", sa.Integer, sa.ForeignKey("a.id")))',
    )
    project.revision(2, 'op.drop_table("a")\nop.drop_table("%b")\nop.drop_table("z")')
    project.upgrade("0001")
    PitrManager(project.engine).create_database_pitr(project.prefix, database)
    wait(project.engine, 1.6)
    project.upgrade()
    brought_back(project, server, "0002")
    assert {row[0] for row in server.query("SHOW TABLES", database)} >= {"a", "%b", "z"}


@one_dialect
def test_beside_alembic_s_own_table(project: Project, server: Server, database: str) -> None:
    """Wherever that is, whatever its name; each project has its own rows."""
    other = f"{database}_b"
    server.query(f"CREATE DATABASE {other}")
    try:
        project.options(version_table_schema=other)
        project.revision(1, TABLE)
        project.upgrade()
        assert ("alembic_pitr_revision",) not in server.query("SHOW TABLES", database)
        assert ("alembic_pitr_revision",) in server.query("SHOW TABLES", other)
        moment = restore_point(project.engine, "0001").moment
        elsewhere = create_engine(server.url(project.engine.url.drivername, other))
        with pytest.raises(PitrNotFoundError):
            restore_point(elsewhere, "0001")
        elsewhere.dispose()
        project.revision(1, OTHER)
        project.options(version_table_schema=other, version_table="second")
        project.upgrade()
        with pytest.raises(PitrValidationError, match="alembic_version, second"):
            restore_point(project.engine, "0001")
        found = restore_point(project.engine, "0001", version_table="alembic_version")
        assert found.moment == moment
        assert restore_point(project.engine, "0001", version_table="second").moment > moment
    finally:
        server.query(f"DROP DATABASE {other}")


@one_dialect
def test_of_a_user_who_may_not_read_the_catalogue(
    project: Project, server: Server, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    role, user = f"{database}_r", f"{database}_u"
    for statement in (
        f"CREATE ROLE {role}",
        f"CREATE USER {user} IDENTIFIED BY '111' DEFAULT ROLE {role}",
        f"GRANT ALL ON DATABASE {database} TO {role}",
        f"GRANT CONNECT ON ACCOUNT * TO {role}",
        f"GRANT ALL ON TABLE {database}.* TO {role}",
    ):
        server.query(statement)
    try:
        url = server.url("matrixone+pymysql", database, user=user, password="111")
        project.config.set_main_option("sqlalchemy.url", url.render_as_string(False))
        project.revision(1, TABLE)
        project.revision(2, OTHER)
        with caplog.at_level(logging.INFO, "alembic.runtime.matrixone_pitr"):
            project.upgrade()
        told = [r.levelname for r in caplog.records if "recorded" in r.getMessage()]
        assert told == ["INFO"]
    finally:
        server.query(f"DROP USER {user}")
        server.query(f"DROP ROLE {role}")
