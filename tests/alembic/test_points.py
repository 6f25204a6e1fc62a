"""Restore points: which revision, which policy, which tables, and what comes afterwards."""

from __future__ import annotations

import datetime as dt

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from alembic_ext.points import _by_rows, _Keeping, _Project
from alembic_ext.times import Row
from sqlalchemy_matrixone_pitr import (
    Pitr,
    PitrManager,
    PitrNotFoundError,
    PitrStatus,
    PitrValidationError,
)
from sqlalchemy_matrixone_pitr.alembic import restore_point
from sqlalchemy_matrixone_pitr.catalog import CatalogObject
from sqlalchemy_matrixone_pitr.coverage.inventory import known_of_state
from sqlalchemy_matrixone_pitr.extent import Parts
from sqlalchemy_matrixone_pitr.moment import Moment
from sqlalchemy_matrixone_pitr.status import ServerState
from tests.alembic.conftest import Project
from tests.clock import wait
from tests.conftest import Server

one_dialect = pytest.mark.parametrize("project", ["matrixone+pymysql"], indirect=True)

NOW = dt.datetime(2026, 11, 28, 12, 0, 0, 500_000, tzinfo=dt.UTC)


def table(name: str) -> str:
    return f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))'


# ------------------------------------------------------------------------------------------- policy


@pytest.mark.parametrize(
    ("numbers", "first"), [([10, 9], 9), ([2, 1], 1), ([100, 21, 99], 21), ([9, 1, 10], 1)]
)
def test_the_older_generation_comes_first(numbers: list[int], first: int) -> None:
    """SHOW PITR tells whole seconds: all of them seem to have been there."""
    created = NOW.replace(microsecond=0)

    def named(number: int) -> str:
        return "p" if number == 1 else f"p__g{number}"

    pitrs = [
        Pitr.from_server(
            named(number),
            "table",
            Pitr.table("p", "t", "7d").range,
            account_name=None,
            modified_time=created,
            database_name="d",
            table_name="t",
            created_time=created,
        ).with_status(PitrStatus.ACTIVE)
        for number in numbers
    ]
    there = CatalogObject(2, created - dt.timedelta(days=1), 2)
    state = ServerState((4, 2, 0), "sys", "d", NOW, pitrs, frozenset(), {}, {("d", "t"): there})
    known = known_of_state(state, pitrs, {})
    found = _Keeping(known, Moment.of(NOW), known.ids).reaching(("d", "t"), Parts())
    assert found is not None
    assert found.name == named(first)


# ----------------------------------------------------------------------------------------- revision


ROWS = [
    Row("d", "v", "ae1027a6acf", NOW, down=[]),
    Row("d", "v", "ae10d2bc001", NOW, down=["ae1027a6acf"]),
    Row("d", "v", "1975ea83b712", NOW, down=["ae10d2bc001"]),
    Row("d", "v", "downgrade of 1975ea83b712", NOW, down=["ae10d2bc001"]),
]


@pytest.mark.parametrize(
    ("revision", "found"),
    [
        ("head", {"1975ea83b712"}),
        ("current", {"1975ea83b712"}),
        ("-1", {"ae10d2bc001"}),
        ("-2", {"ae1027a6acf"}),
        ("-3", set()),
        ("1975", {"1975ea83b712"}),
        ("1975-1", {"ae10d2bc001"}),
        ("ae102+2", {"1975ea83b712"}),
        ("ae10", {"ae1027a6acf", "ae10d2bc001"}),
        ("base", set()),
        ("main@head", set()),
        ("down", set()),
    ],
)
def test_by_what_has_run(revision: str, found: set[str]) -> None:
    assert _by_rows(_Project(ROWS, ["1975ea83b712"]), revision) == found


@one_dialect
def test_by_alembic_s_rules(project: Project) -> None:
    for number in range(1, 5):
        project.revision(number, table(f"t{number}"))
    project.upgrade("0003")
    script = ScriptDirectory.from_config(project.config)

    def found(revision: str) -> str:
        return restore_point(project.engine, revision, script=script).revision

    assert [found(name) for name in ("current", "-1", "-2", "0002+1", "heads-1", "0003-2")] == [
        "0003",
        "0002",
        "0001",
        "0003",
        "0003",
        "0001",
    ]
    for missing in ("head", "nosuch", "-7", "base", "nosuch@head", "", "@", "@+1"):
        with pytest.raises(PitrNotFoundError):
            found(missing)
    with pytest.raises(PitrValidationError, match="stands for several revisions, 0001, 0002, 0003"):
        restore_point(project.engine, "000")


# ------------------------------------------------------------------------------------------- tables


@one_dialect
def test_what_later_revisions_have_destroyed(
    project: Project, server: Server, database: str
) -> None:
    project.revision(1, "\n".join(map(table, ("a", "b", "c", "d"))))
    project.revision(2, 'op.add_column("a", sa.Column("x", sa.Integer))\n' + table("e"))
    project.revision(3, 'op.drop_table("b")\nop.add_column("e", sa.Column("x", sa.Integer))')
    project.revision(
        4, 'op.drop_table("e")\nop.rename_table("d", "dd")', 'op.execute("TRUNCATE TABLE c")'
    )
    project.upgrade("0001")
    PitrManager(project.engine).create_database_pitr(project.prefix, database)
    PitrManager(project.engine).create_table_pitr(f"{project.prefix}_b", database, "b")
    wait(server, 1.6)
    for name in "abc":
        server.query(f"INSERT INTO {name} VALUES (7)", database)
    wait(server, 0.3)
    project.upgrade()
    assert [s.split("`")[3] for s in restore_point(project.engine, "0003").statements] == ["b", "e"]
    project.downgrade("0003")
    point = restore_point(project.engine, "0002")
    assert [s.split("`")[3] for s in point.statements] == ["a", "b", "c"]
    assert point.lost == []
    assert f"{database}.d was renamed to dd: rename it back" in point.warnings
    assert point.afterwards == ["alembic stamp 0001", f"mo-pitr renew {project.prefix}_b"]
    wait(server, 1.1)
    for statement in point.statements:
        server.query(statement.removesuffix(";"))
    for name in "abc":
        assert server.query(f"SELECT * FROM {name}", database) == [(7,)]
    assert restore_point(project.engine, "downgrade of 0004").afterwards == ["alembic stamp 0004"]


# --------------------------------------------------------------------------------------------- time


BROKEN = "\nraise KeyError('here')"


@one_dialect
def test_the_time_is_there_when_a_revision_has_failed(project: Project, database: str) -> None:
    """In its transaction nothing was lost: the next time that it runs counts."""
    project.revision(1, table("a"))
    project.upgrade()
    project.revision(2, f'op.drop_table("a"){BROKEN}')
    with pytest.raises(KeyError):
        project.upgrade()
    point = restore_point(project.engine, "0002")
    assert (point.statements, point.lost) == ([], [])
    assert point.warnings == [
        "0002 has begun, and is not known to have been committed: see alembic current"
    ]
    project.revision(2, 'op.drop_table("a")')
    project.upgrade()
    again = restore_point(project.engine, "0002")
    assert again.moment > point.moment
    assert (again.lost, again.warnings) == ([f"{database}.a"], [])


@one_dialect
@pytest.mark.parametrize("destroyed", ["a", None])
def test_of_one_that_had_committed_its_first_half(
    project: Project, database: str, destroyed: str | None
) -> None:
    project.revision(1, f"{table('a')}\n{table('b')}")
    project.upgrade()
    half = f'op.drop_table("{destroyed}")' if destroyed else 'op.execute("SELECT 1")'
    block = f"with op.get_context().autocommit_block():\n    {half}\n"
    project.revision(2, f'{block}op.drop_table("b"){BROKEN}')
    with pytest.raises(KeyError):
        project.upgrade()
    point = restore_point(project.engine, "0002")
    assert point.lost == ([f"{database}.a"] if destroyed else [])
    assert "has begun" in point.warnings[0]
    project.revision(2, 'op.drop_table("b")')
    project.upgrade()
    again = restore_point(project.engine, "0002")
    assert (again.moment == point.moment) is bool(destroyed)
    assert again.lost == [f"{database}.{name}" for name in "ab" if name in (destroyed, "b")]


TENANTS = """
from alembic import context
from sqlalchemy import create_engine, pool
from sqlalchemy_matrixone_pitr.alembic import pitr_options, register

register()
options = pitr_options()
for url, then in context.config.attributes["tenants"]:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()
    then()
"""


@one_dialect
def test_each_tenant_has_its_own_time(project: Project, server: Server, database: str) -> None:
    """The first migration takes its time, and meanwhile the others write rows."""
    names = [database, f"{database}_b", f"{database}_c"]
    urls = [server.url("matrixone+pymysql", name) for name in names]
    for name in names[1:]:
        server.query(f"CREATE DATABASE {name}")
    try:
        for name in names:
            server.query("CREATE TABLE a (id INT PRIMARY KEY)", name)
            PitrManager(project.engine).create_database_pitr(f"{project.prefix}_{name}", name)
        wait(server, 1.1)

        def write(*tenants: str) -> None:
            for name in tenants:
                server.query("INSERT INTO a VALUES (1)", name)
            wait(server, 0.1)

        after = [lambda: write(*names[1:]), lambda: None, lambda: None]
        shown = [url.render_as_string(hide_password=False) for url in urls]
        project.config.attributes["tenants"] = list(zip(shown, after, strict=True))
        (project.where / "env.py").write_text(TENANTS)
        project.revision(1, 'op.execute("SELECT sleep(0.3)")\nop.drop_table("a")')
        project.upgrade()
        wait(server, 1.1)
        moments = []
        for name, url in zip(names, urls, strict=True):
            engine = create_engine(url)
            point = restore_point(engine, "0001")
            moments.append(point.moment)
            if name == names[2]:
                [statement] = point.statements
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text(statement.removesuffix(";")))
                assert server.query("SELECT * FROM a", name) == [(1,)]
            engine.dispose()
        assert moments == sorted(moments)
    finally:
        for name in names[1:]:
            server.query(f"DROP DATABASE {name}")
