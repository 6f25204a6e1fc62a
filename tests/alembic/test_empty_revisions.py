"""Revisions that send nothing cost nothing; every other one has its time, whatever it sends it by.

A revision has done something as soon as it has sent a statement, by whichever road. What it does on
a connection of its own is seen with the next revision that sends something, or with the last one.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.exc import DBAPIError, SAWarning

from sqlalchemy_matrixone_pitr import Moment, TablePitr
from tests.alembic.conftest import Project
from tests.conftest import Server
from tests.proxy import Proxy

one_dialect = pytest.mark.parametrize("project", ["matrixone+pymysql"], indirect=True)

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'

WAYS: dict[str, dict[str, bool]] = {
    "as Alembic does": {},
    "not each": {"transaction_per_migration": False},
    "transactional, each": {"transactional_ddl": True, "transaction_per_migration": True},
    "transactional, one": {"transactional_ddl": True, "transaction_per_migration": False},
}
"""Transaction modes."""

ROADS = {
    "operation": 'op.add_column("orders", sa.Column("c", sa.Integer))',
    "execute": 'op.execute("ALTER TABLE orders ADD COLUMN c INT")',
    "get_bind": 'op.get_bind().execute(sa.text("ALTER TABLE orders ADD COLUMN c INT"))',
    "exec_driver_sql": 'op.get_bind().exec_driver_sql("ALTER TABLE orders ADD COLUMN c INT")',
    "context": "from alembic import context\n"
    'context.execute("ALTER TABLE orders ADD COLUMN c INT")',
    "impl": 'op.get_context().impl.add_column("orders", sa.Column("c", sa.Integer))',
    "block": "with op.get_context().autocommit_block():\n"
    '    op.add_column("orders", sa.Column("c", sa.Integer))',
    "batch": 'with op.batch_alter_table("orders") as batch:\n'
    '    batch.add_column(sa.Column("c", sa.Integer))',
    "recreate": 'with op.batch_alter_table("orders", recreate="always") as batch:\n'
    '    batch.add_column(sa.Column("c", sa.Integer))',
    "session": "from sqlalchemy.orm import Session\n"
    'Session(op.get_bind()).execute(sa.text("ALTER TABLE orders ADD COLUMN c INT"))',
    "rows": 'op.bulk_insert(sa.table("orders", sa.column("id")), [{"id": 3}])',
    "policy": 'op.create_pitr("{p}", "7d", table="orders")',
}

DOES = r"\bc INT|INTO orders|_alembic_tmp_orders|CREATE PITR"
"""The first statement of each."""


def through(project: Project, server: Server, database: str, proxy: Proxy) -> None:
    url = server.url(project.engine.url.drivername, database, port=proxy.port)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))


def times(server: Server, database: str) -> dict[str, Moment]:
    """Recorded times at which revisions began."""
    rows = server.query("SELECT version_num, began FROM alembic_pitr_revision", database)
    return {str(name): Moment.of(dt.datetime.fromisoformat(str(began))) for name, began in rows}


def ids_at(server: Server, database: str, at: Moment) -> list[int]:
    rows = server.query(f"SELECT id FROM orders {at.sql} ORDER BY id", database)
    return [int(str(row[0])) for row in rows]


def progress(server: Server, database: str) -> dict[str, str]:
    rows = server.query(
        "SELECT version_num, touched FROM alembic_pitr_revision ORDER BY version_num", database
    )
    return {str(name): json.loads(str(touched))["progress"] for name, touched in rows}


@one_dialect
@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("way", WAYS)
def test_its_time_is_there_before_its_first_statement(
    project: Project, server: Server, database: str, proxy: Proxy, road: str, way: str
) -> None:
    """Together with those of empty revisions. Not in a transaction of several revisions."""
    project.options(**WAYS[way])
    project.revision(1, f"{TABLE}\nop.execute('INSERT INTO orders VALUES (1)')")
    project.upgrade()
    for number in (2, 3):
        project.revision(number, "pass")
    project.revision(4, ROADS[road])
    through(project, server, database, proxy)
    proxy.clear()
    project.upgrade()
    done = [
        "row" if "INSERT INTO alembic_pitr_revision" in statement else "revision"
        for statement in proxy.statements
        if re.search(f"INTO alembic_pitr_revision|{DOES}", statement)
    ]
    first = "revision" if way == "transactional, one" and road != "block" else "row"
    assert done[0] == first
    assert done[-1] == "row"
    assert progress(server, database) == dict.fromkeys(
        ["0001", "0002", "0003", "0004"], "committed"
    )
    began = times(server, database)
    assert began["0001"] < began["0002"] <= began["0003"] <= began["0004"]
    for name in ("0002", "0003", "0004"):
        assert ids_at(server, database, began[name]) == [1]


ASIDE = """
from alembic import context
from sqlalchemy import create_engine, text
engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.begin() as conn:
    conn.execute(text({statement!r}))
engine.dispose()
"""


@one_dialect
@pytest.mark.parametrize("then", ["pass", 'op.execute("SELECT 1")'])
@pytest.mark.parametrize("last", [True, False])
def test_before_what_it_did_on_a_connection_of_its_own(
    project: Project, server: Server, database: str, then: str, last: bool
) -> None:
    project.revision(1, f"{TABLE}\nop.execute('INSERT INTO orders VALUES (1)')")
    project.upgrade()
    project.revision(2, 'op.execute("INSERT INTO orders VALUES (2)")')
    project.revision(3, ASIDE.format(statement="INSERT INTO orders VALUES (3)") + then)
    if not last:
        project.revision(4, "pass")
    project.upgrade()
    assert ids_at(server, database, times(server, database)["0003"]) == [1, 2]


@pytest.fixture
def declared(project: Project) -> Project:
    """A table under a policy that is to be renewed."""
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", project.prefix))
    project.declare(metadata)
    project.revision(1, TABLE + '\nop.create_pitr("{p}", "7d", table="orders")')
    project.upgrade()
    return project


REBUILT_ASIDE = ASIDE.format(statement="ALTER TABLE orders ADD COLUMN c INT")


@one_dialect
@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize("after", [[], ["pass"], ["pass", 'op.execute("SELECT 1")', "pass"]])
def test_what_it_rebuilt_on_a_connection_of_its_own_is_renewed(
    declared: Project, after: list[str]
) -> None:
    for number, body in enumerate(["pass", REBUILT_ASIDE, *after], 2):
        declared.revision(number, body)
    declared.upgrade()
    assert declared.policies() == {"": "orders 7d detached", "__g2": "orders 7d active"}


@one_dialect
@pytest.mark.usefixtures("renews")
def test_or_named_where_a_later_revision_fails(declared: Project) -> None:
    declared.revision(2, REBUILT_ASIDE)
    declared.revision(3, 'op.execute("INSERT INTO nosuch VALUES (1)")')
    with (
        pytest.warns(SAWarning, match="orders was rebuilt.*mo-pitr renew"),
        pytest.raises(DBAPIError, match="nosuch"),
    ):
        declared.upgrade()


@one_dialect
@pytest.mark.parametrize("way", WAYS)
def test_a_revision_that_fails_after_empty_ones(
    project: Project, server: Server, database: str, way: str
) -> None:
    """It is marked as begun where it has sent something; those before as they were left."""
    project.options(**WAYS[way])
    project.revision(1, TABLE)
    project.upgrade()
    project.revision(2, "pass")
    project.revision(3, "raise ValueError('before anything')")
    with pytest.raises(ValueError, match="before anything"):
        project.upgrade()
    one = way == "transactional, one"
    found = {"0001": "committed"} if one else {"0001": "committed", "0002": "committed"}
    assert progress(server, database) == found
    project.revision(3, 'op.execute("INSERT INTO nosuch VALUES (1)")')
    with pytest.raises(DBAPIError, match="nosuch"):
        project.upgrade()
    assert progress(server, database) == (found if one else found | {"0003": "begun"})


@one_dialect
def test_the_clock_is_read_once_more_where_the_connection_is_lost(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    for number in range(1, 6):
        project.revision(number, "pass")
    through(project, server, database, proxy)
    proxy.cut(r"SELECT concat\(unix_timestamp", "before")
    project.upgrade()
    assert list(progress(server, database)) == [f"{number:04}" for number in range(1, 6)]
    began = times(server, database)
    assert sorted(began, key=began.__getitem__) == sorted(began)


@one_dialect
def test_steps_that_are_made_while_the_run_goes_on(
    project: Project, server: Server, database: str
) -> None:
    """A function of one's own may give steps one by one: which is the last is not known before."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from sqlalchemy_matrixone_pitr.alembic import pitr_options

    for number in (1, 2):
        project.revision(number, "pass")
    script = ScriptDirectory.from_config(project.config)

    def steps(heads: Any, context: MigrationContext) -> Iterator[Any]:
        for revision in ("0001", "0002"):
            yield from script._upgrade_revs(revision, context.get_current_heads())  # type: ignore[arg-type]

    with project.engine.connect() as connection:
        options = {"fn": steps, "script": script} | pitr_options()
        MigrationContext.configure(connection, opts=options).run_migrations()
    assert progress(server, database) == {"0001": "committed", "0002": "committed"}
