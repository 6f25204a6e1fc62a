"""Processes that upgrade one database at once: all end, and every table has an active policy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import get_pitrs
from tests.alembic.conftest import Project
from tests.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.any_alembic]

TABLES = 30
REVISIONS = 2
"""Each with so many policies that they go over several connections."""

PROCESS = """
import json, sys, warnings

from alembic import command
from alembic.config import Config
from sqlalchemy import Column, Integer, MetaData, Table

from sqlalchemy_matrixone_pitr import TablePitr

where, url, prefix, version_table, tables = json.loads(sys.argv[1])
metadata = MetaData()
for name in tables:
    key = Column("id", Integer, primary_key=True)
    Table(name, metadata, key, TablePitr("7d", f"{prefix}_{name}"))
config = Config()
config.set_main_option("script_location", where)
config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
config.attributes |= {"metadata": metadata, "options": {"version_table": version_table}}
warnings.simplefilter("ignore")  # that alter_pitr creates what is missing
print("ready", flush=True)
sys.stdin.readline()
command.upgrade(config, "head")
"""

ADD = 'op.add_column("{table}", sa.Column("{column}", sa.Integer))'
CREATE = 'op.create_pitr("{{p}}_{table}", "7d", table="{table}")'
ALTER = 'op.alter_pitr("{{p}}_{table}", "7d", existing_range="3d", existing_table="{table}")'


@pytest.fixture
def tables(server: Server, database: str) -> list[str]:
    names = [f"t{number}" for number in range(TABLES)]
    with server.connect(database) as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY)")
    return names


@pytest.fixture
def engine(server: Server, database: str) -> Iterator[Engine]:
    made = create_engine(server.url(database=database))
    yield made
    made.dispose()


class Processes:
    """Alembic projects of one database, each with its own version table and process."""

    def __init__(self, server: Server, engine: Engine, prefix: str, where: Path) -> None:
        self._url = server.url(database=engine.url.database).render_as_string(False)
        self._engine = engine
        self._prefix = prefix
        self._where = where
        self._started: list[subprocess.Popen[str]] = []

    def start(self, tables: list[str], *lines: str) -> None:
        """A process that does each of the lines for its tables, and waits for :meth:`go`.

        :param tables: some for each revision.
        """
        number = len(self._started)
        where = self._where / f"migrations_{number}"
        where.mkdir()
        project = Project(where, self._url, self._engine, self._prefix)
        some = len(tables) // REVISIONS
        for revision in range(REVISIONS):
            body = [
                line.format(table=table, column=f"c{number}")
                for table in tables[revision * some : (revision + 1) * some]
                for line in lines
            ]
            project.revision(revision + 1, "\n".join(body))
        arguments = [str(where), self._url, self._prefix, f"version_{number}", tables]
        self._started.append(
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def go(self) -> None:
        for process in self._started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in self._started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in self._started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def processes(server: Server, engine: Engine, prefix: str, tmp_path: Path) -> Iterator[Processes]:
    made = Processes(server, engine, prefix, tmp_path)
    yield made
    made.stop()


def active(engine: Engine, prefix: str) -> list[str]:
    """The tables of the test's active policies, each as often as it has one."""
    pitrs = get_pitrs(engine, level="table", database_name=engine.url.database, with_status=True)
    assert all(pitr.name.startswith(prefix) for pitr in pitrs)
    return sorted(str(pitr.table_name) for pitr in pitrs if pitr.status == "active")


@pytest.mark.slow
@pytest.mark.parametrize("operation", [CREATE, ALTER])
@pytest.mark.usefixtures("renews")
def test_one_adds_columns_while_another_makes_the_policies(
    processes: Processes, engine: Engine, prefix: str, tables: list[str], operation: str
) -> None:
    processes.start(tables, ADD)
    processes.start(tables, operation)
    processes.go()
    assert active(engine, prefix) == sorted(tables)


@pytest.mark.slow
@pytest.mark.usefixtures("renews")
def test_five_at_once(processes: Processes, engine: Engine, prefix: str, tables: list[str]) -> None:
    """Two add columns, each to its half of the tables; two make the same policies, one of them
    from the last one on; and one alters them."""
    processes.start(tables[::2], ADD)
    processes.start(tables[1::2], ADD)
    processes.start(tables, CREATE)
    processes.start(tables[::-1], CREATE)
    processes.start(tables, ALTER)
    processes.go()
    assert active(engine, prefix) == sorted(tables)
