"""Registration, the facade, the SDK's dialect name, types, and several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import comparators
from alembic.ddl.impl import _impls
from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import Column, Integer, MetaData, Table, create_engine

import alembic_ext
import sqlalchemy_matrixone_pitr.alembic as facade
from sqlalchemy_matrixone_pitr import TablePitr
from sqlalchemy_matrixone_pitr.alembic import MatrixOneImpl, pitr_options, register
from tests.alembic.conftest import Project
from tests.conftest import Server


def run(code: str, *path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {list(path)!r}\n{code}"],
        capture_output=True,
        text=True,
    )


def test_the_facade_has_all_of_it() -> None:
    assert facade.__all__ == alembic_ext.__all__ == sorted(facade.__all__)
    for name in facade.__all__:
        assert getattr(facade, name) is getattr(alembic_ext, name)


def test_registering_twice_compares_once() -> None:
    register()
    before = {key: list(value) for key, value in comparators._registry.items()}
    register()
    assert {key: list(value) for key, value in comparators._registry.items()} == before
    ours = [fn for some in before.values() for fn, _ in some if fn.__name__ == "compare_pitrs"]
    assert len(ours) == 1


def test_importing_changes_nothing() -> None:
    code = """
from alembic.operations import Operations
from alembic.ddl.impl import _impls
from alembic.autogenerate import comparators
import sqlalchemy_matrixone_pitr.alembic
print(hasattr(Operations, "create_pitr"), "matrixone" in _impls, dict(comparators._registry))
"""
    assert run(code).stdout == "False False {}\n"


def test_an_impostor_is_named(tmp_path: Path) -> None:
    (tmp_path / "alembic_ext.py").write_text("")
    refused = run("import sqlalchemy_matrixone_pitr.alembic", str(tmp_path))
    assert str(tmp_path / "alembic_ext.py") in refused.stderr
    assert "is not that of sqlalchemy-matrixone-pitr" in refused.stderr


def test_without_alembic_the_extra_is_named(tmp_path: Path) -> None:
    code = """
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, *rest: None if name == "alembic" else find(name, *rest)
import sqlalchemy_matrixone_pitr.alembic
"""
    assert "sqlalchemy-matrixone-pitr[alembic]" in run(code).stderr


def test_alembics_own_folder_is_not_alembic(tmp_path: Path) -> None:
    """``alembic init alembic`` makes a folder of that name, which Python takes for a package."""
    (tmp_path / "alembic").mkdir()
    code = """
import importlib.machinery as machinery
find = machinery.PathFinder.find_spec
class Without(machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] == "alembic":
            path = [sys.path[0]]
        return find(name, path, target)
sys.meta_path[sys.meta_path.index(machinery.PathFinder)] = Without
import sqlalchemy_matrixone_pitr.alembic
"""
    assert "sqlalchemy-matrixone-pitr[alembic]" in run(code, str(tmp_path)).stderr


def test_options_stand_beside_alembics_own() -> None:
    def configure(*, compare_pitr: bool = True, **others: object) -> bool:
        return compare_pitr

    assert configure(compare_pitr=False, **pitr_options()) is False
    assert configure(**pitr_options(compare_pitr=False)) is False
    assert set(pitr_options()) == {"on_version_apply"}
    everything = pitr_options(compare_pitr=False, drop_undeclared=True, database="Shop")
    assert everything["matrixone_pitr_drop_undeclared"] is True
    assert everything["matrixone_pitr_database"] == "shop"


def test_no_plugin_is_published() -> None:
    from importlib.metadata import entry_points

    assert [e for e in entry_points(group="alembic.plugins") if "pitr" in e.value] == []


def test_the_sdks_dialect_name(project: Project, server: Server, database: str) -> None:
    """Alembic works on engines whose dialect is called matrixone; a failed migration leaves
    nothing although the DDL is taken for not transactional."""
    register()
    assert issubclass(_impls["matrixone"], MySQLImpl)
    assert MatrixOneImpl.transactional_ddl is False
    project.template("online")
    environment = project.where / "env.py"
    environment.write_text(
        environment.read_text().replace(
            "    with engine.connect() as connection:",
            "    from sqlalchemy.dialects import registry\n"
            "    registry.register('matrixone', 'sqlalchemy.dialects.mysql.pymysql', 'dialect')\n"
            "    engine.dialect.name = 'matrixone'\n"
            "    with engine.connect() as connection:",
        )
    )
    project.revision(
        1,
        'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.alter_column("orders", "id", existing_type=sa.Integer, type_=sa.BigInteger, '
        "existing_nullable=False)\n"
        'op.create_pitr("{p}", "7d", table="orders")',
    )
    project.revision(2, 'op.create_table("more", sa.Column("id", sa.Integer))\nop.execute("no")')
    with pytest.raises(Exception, match="1064"):
        project.upgrade()
    assert project.policies() == {"": "orders 7d active"}
    tables = {row[0] for row in server.query("SHOW TABLES", database)}
    assert "more" not in tables
    assert "orders" in tables


def test_somebody_elses_impl_stays() -> None:
    code = """
from alembic.ddl.mysql import MySQLImpl
class Theirs(MySQLImpl):
    __dialect__ = "matrixone"
from alembic.ddl.impl import _impls
from sqlalchemy_matrixone_pitr.alembic import register
register()
print(_impls["matrixone"] is Theirs)
"""
    assert run(code).stdout == "True\n"


MIGRATION = """
from alembic import op
from sqlalchemy_matrixone_pitr.alembic import op as pitr_op


def upgrade() -> None:
    pitr_op.create_pitr("a", "7d", table="t")
    pitr_op.alter_pitr("a", "14d", existing_range="7d")
    pitr_op.renew_pitr("a", range="14d", table="t", generation=2)
    pitr_op.drop_pitr("a", existing_range="14d", existing_table="t")
"""


def test_the_typed_functions_do_what_op_does(project: Project) -> None:
    code = (
        MIGRATION.split("upgrade() -> None:")[1].replace('"a"', '"{p}"').replace('"t"', '"orders"')
    )
    project.revision(
        1,
        "from sqlalchemy_matrixone_pitr.alembic import op as pitr_op\n"
        'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
        + "\n".join(line.strip() for line in code.splitlines()[:3]),
    )
    project.upgrade()
    assert project.policies() == {"": "orders 14d active"}


PROCESS = """
import sys
from alembic import command
from alembic.config import Config
config = Config()
config.set_main_option("script_location", sys.argv[1])
config.set_main_option("sqlalchemy.url", sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
command.upgrade(config, "head")
"""


@pytest.mark.slow
@pytest.mark.any_alembic
def test_every_pod_upgrades_at_its_start(project: Project, server: Server, database: str) -> None:
    """Those that lose the race fail as Alembic fails, or find it done; each policy is made once."""
    if server.version < (3,):
        pytest.skip("2.x hands the lock on among two")
    project.revision(
        1,
        'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.create_pitr("{p}", "7d", table="orders")\n'
        'op.create_pitr("{p}_d", "7d", level="database")',
    )
    url = server.url("matrixone+pymysql", database).render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(project.where), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
    assert 0 in [process.returncode for process in processes]
    command.upgrade(project.config, "head")
    names = [str(row[0]) for row in server.query("SHOW PITR")]
    assert names.count(project.prefix) == 1
    assert names.count(f"{project.prefix}_d") == 1
    assert project.policies() == {"": "orders 7d active", "_d": "7d active"}


def test_a_table_without_info_is_rendered_without(project: Project) -> None:
    """A migration needs nothing of this package, whoever wrote it."""
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", project.prefix))
    project.declare(metadata)
    body = project.autogenerate()
    assert "info" not in body
    assert "TablePitr" not in body


def test_engines_of_other_databases_are_left_alone(tmp_path: Path) -> None:
    where = tmp_path / "m"
    where.mkdir()
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    project = Project(where, f"sqlite:///{tmp_path}/x.db", engine, "p")
    project.revision(1, 'op.create_table("orders", sa.Column("id", sa.Integer))')
    project.upgrade()
    project.downgrade()
    engine.dispose()
