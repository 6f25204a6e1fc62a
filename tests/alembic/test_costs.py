"""Statements that a run sends beside Alembic's, by kinds of revisions; nothing is lost by that."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event
from sqlalchemy.exc import DBAPIError, SAWarning

import alembic_ext.guard
from alembic_ext.points import restore_point
from sqlalchemy_matrixone_pitr import PitrAfterCommitError, PitrManager, TablePitr
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.conftest import Project
from tests.clock import wait
from tests.conftest import Server
from tests.proxy import Proxy

one_dialect = pytest.mark.parametrize("project", ["matrixone+pymysql"], indirect=True)

A_RUN = 26
"""Statements that a run may have beside those of its revisions."""

MANY = 10

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))'
CREATE = TABLE + '\nop.create_pitr("{p}", "7d", table="orders")'
REBUILD = 'op.add_column("orders", sa.Column("{column}", sa.Integer))'

WITHOUT = """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.{connect}() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def through(project: Project, server: Server, database: str, proxy: Proxy) -> None:
    url = server.url(project.engine.url.drivername, database, port=proxy.port)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))


BODIES = {
    "empty": "pass",
    "a new table": 'op.create_table("t{number}", sa.Column("id", sa.Integer, primary_key=True))',
    "a rebuild": 'op.add_column("parts", sa.Column("c{number}", sa.Integer))',
    "as text": 'op.execute("ALTER TABLE parts ADD COLUMN c{number} INT")',
}


@one_dialect
@pytest.mark.parametrize("template", ["online", "external"])
@pytest.mark.parametrize("body", BODIES)
def test_three_statements_a_revision(
    project: Project, server: Server, database: str, proxy: Proxy, template: str, body: str
) -> None:
    """Revisions that touch no table with a policy; another one has one. None for an empty one."""
    server.query("CREATE TABLE orders (id INT PRIMARY KEY)", database)
    PitrManager(project.engine).create_table_pitr(project.prefix, database, "orders")
    through(project, server, database, proxy)
    for number in range(1, MANY + 1):
        project.revision(number, BODIES[body].format(number=number))
    counted = []
    for ours in (False, True):
        for name in ("alembic_version", "parts", *(f"t{n}" for n in range(1, MANY + 1))):
            server.query(f"DROP TABLE IF EXISTS {name}", database)
        server.query("CREATE TABLE parts (id INT PRIMARY KEY)", database)
        if ours:
            project.template(template)
        else:
            connect = "connect" if template == "online" else "begin"
            (project.where / "env.py").write_text(WITHOUT.format(connect=connect))
        proxy.clear()
        project.upgrade()
        counted.append(len(proxy.statements))
    each = 0 if body == "empty" else 3
    assert counted[1] - counted[0] <= each * MANY + A_RUN
    assert len(proxy.by_connection) == 2 + (template == "external")
    assert proxy.matching("FOR UPDATE") == []


@pytest.fixture
def guarded() -> Iterator[None]:
    yield
    alembic_ext.guard._required = None  # for the process; other tests drop what they like


def with_policies(project: Project, server: Server, names: list[str]) -> None:
    """Tables with a row and a policy each."""
    for name in names:
        table = f"{project.prefix}.{name}"
        server.query(f"CREATE TABLE {table} (id INT PRIMARY KEY, n INT, UNIQUE KEY u (n))")
        server.query(f"INSERT INTO {table} VALUES (1, 1)")
        PitrManager(project.engine).create_table_pitr(
            f"{project.prefix}_{name}", project.prefix, name, 7
        )


@one_dialect
def test_what_a_guard_asks(
    guarded: None, project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    """The database's name, where nothing is lost; for a loss as much with twelve policies as with
    one."""
    through(project, server, database, proxy)
    counted = []
    project.revision(1, "pass")
    project.upgrade()
    for number in (2, 3):
        project.revision(number, f'op.create_table("n{number}", sa.Column("id", sa.Integer))')
        proxy.clear()
        project.upgrade()
        named = proxy.matching(r"^SELECT DATABASE\(\)$")
        counted.append(len(proxy.statements) - len(named))
        guard_migrations("1d")
    for number, many in ((4, 1), (5, 11)):
        with_policies(project, server, [f"t{number}_{one}" for one in range(many)])
        project.revision(number, f'op.drop_table("t{number}_0")')
        proxy.clear()
        project.upgrade()
        counted.append(len(proxy.statements))
    without, idle, one, twelve = counted
    assert idle == without
    assert one == twelve


@one_dialect
def test_what_a_restore_point_asks(project: Project, server: Server) -> None:
    """As much for twelve tables with policies as for two."""
    counted = []
    project.revision(1, "pass")
    project.upgrade()
    for number, many in ((2, 2), (3, 12)):
        names = [f"t{number}_{one}" for one in range(many)]
        with_policies(project, server, names)
        wait(server, 1.1)  # policies know seconds
        project.revision(number, "\n".join(f'op.drop_table("{name}")' for name in names))
        project.upgrade()
        sent: list[str] = []

        def note(*arguments: Any, sent: list[str] = sent) -> None:
            sent.append(arguments[2])

        event.listen(project.engine, "before_cursor_execute", note)
        point = restore_point(project.engine, f"{number:04}")
        event.remove(project.engine, "before_cursor_execute", note)
        assert len(point.statements) == many
        counted.append(len([one for one in sent if one.startswith(("SELECT", "SHOW"))]))
    assert counted[0] == counted[1]
    assert counted[0] <= 20


@one_dialect
@pytest.mark.parametrize("many", [30, 60])
def test_empty_revisions_cost_nothing(
    project: Project, server: Server, database: str, proxy: Proxy, many: int
) -> None:
    """Beyond Alembic's own two, the UPDATE of the version and its COMMIT; twice as many neither."""
    for number in range(1, many + 2):
        project.revision(number, "pass")
    through(project, server, database, proxy)
    project.upgrade("0001")
    proxy.clear()
    project.upgrade()
    assert len(proxy.matching("^UPDATE alembic_version")) == many
    beyond = len(proxy.statements) - 2 * many
    assert beyond <= A_RUN + 10  # of connecting
    assert len(proxy.by_connection) == 2
    recorded = server.query("SELECT count(*) FROM alembic_pitr_revision", database)
    assert recorded == [(many + 1,)]


@one_dialect
def test_policies_by_the_hundred(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    """The name of the database, the statement and its COMMIT."""
    names = [f"t{number}" for number in range(20)]
    for name in names:
        server.query(f"CREATE TABLE {name} (id INT PRIMARY KEY)", database)
    lines = [f'op.create_pitr("{{p}}_{name}", "7d", table="{name}")' for name in names]
    project.revision(1, "\n".join(lines))
    through(project, server, database, proxy)
    project.upgrade()
    assert len(project.policies()) == 20
    assert len(proxy.statements) <= 3 * 20 + 75
    assert len(proxy.matching("FOR UPDATE")) == 1


@pytest.fixture
def undeclared(project: Project, server: Server, database: str) -> Project:
    server.query("CREATE TABLE orders (id INT PRIMARY KEY)", database)
    project.declare(MetaData())
    return project


@pytest.mark.parametrize("template", ["online", "external", "async"])
def test_a_policy_that_was_not_known_is_named_at_the_end(
    undeclared: Project, server: Server, database: str, template: str
) -> None:
    """Another process makes it while the run is on its way to rebuild the table."""
    undeclared.template(template)
    undeclared.config.attributes["make"] = lambda: server.query(
        f"CREATE PITR {undeclared.prefix} FOR TABLE {database} orders RANGE 7 'd'"
    )
    undeclared.revision(1, 'from alembic import context\ncontext.config.attributes["make"]()')
    undeclared.revision(2, REBUILD.format(column="a"))
    with pytest.warns(SAWarning, match="mo-pitr renew"):
        undeclared.upgrade()


@pytest.fixture
def declared(project: Project) -> Project:
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", project.prefix))
    project.declare(metadata)
    return project


BLOCK = "with op.get_context().autocommit_block():\n    "
RENEWED = {"": "orders 7d detached", "__g2": "orders 7d active"}

HISTORIES = {
    "made in a block, rebuilt later": (
        TABLE,
        BLOCK + 'op.create_pitr("{p}", "7d", table="orders")',
        "pass",
        REBUILD.format(column="a"),
    ),
    "made, rebuilt in a block later": (CREATE, "pass", BLOCK + REBUILD.format(column="a")),
    "rebuilt between others": (
        CREATE,
        'op.create_table("parts", sa.Column("id", sa.Integer))',
        REBUILD.format(column="a"),
        'op.add_column("parts", sa.Column("a", sa.Integer))',
    ),
}


@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("steps", [False, True])
def test_renewed_within_one_run(declared: Project, history: str, steps: bool) -> None:
    """As in runs of one revision each."""
    for number, body in enumerate(HISTORIES[history], 1):
        declared.revision(number, body)
    declared.options(transaction_per_migration=True)
    for number in range(1, len(HISTORIES[history]) + 1) if steps else ():
        declared.upgrade(f"{number:04}")
    declared.upgrade()
    assert declared.policies() == RENEWED
    declared.upgrade()
    assert declared.policies() == RENEWED


@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize("transactional", [True, False])
def test_renewed_whatever_the_transactions(declared: Project, transactional: bool) -> None:
    declared.options(transactional_ddl=transactional)
    declared.revision(1, CREATE)
    declared.revision(2, REBUILD.format(column="a"))
    declared.revision(3, REBUILD.format(column="b"))
    declared.upgrade("0001")
    declared.upgrade()
    active = [text for text in declared.policies().values() if text.endswith("active")]
    assert active == ["orders 7d active"]


@one_dialect
@pytest.mark.parametrize("each", [True, False])
def test_a_revision_whose_policy_is_refused_is_recorded_as_committed(
    project: Project, each: bool
) -> None:
    project.options(transaction_per_migration=each)
    project.revision(1, TABLE)
    project.revision(2, 'op.create_pitr("{p}", "7d", table="nosuch")')
    project.upgrade("0001")
    with pytest.raises(PitrAfterCommitError):
        project.upgrade()
    assert restore_point(project.engine, "0002").warnings == []


@one_dialect
def test_a_revision_that_fails_is_not(project: Project) -> None:
    project.revision(1, TABLE)
    project.revision(2, REBUILD.format(column="a"))
    project.revision(3, 'op.execute("INSERT INTO nosuch VALUES (1)")')
    with pytest.raises(DBAPIError):
        project.upgrade()
    assert restore_point(project.engine, "0002").warnings == []
    [warning] = restore_point(project.engine, "0003").warnings
    assert "not known to have been committed" in warning


@one_dialect
def test_threads_have_runs_of_their_own(project: Project, server: Server, database: str) -> None:
    """Alembic's proxies are the process's; a program may run contexts without them."""
    from alembic.migration import MigrationContext
    from alembic.runtime.migration import RevisionStep
    from alembic.script import ScriptDirectory

    from sqlalchemy_matrixone_pitr.alembic import pitr_options

    for number in (1, 2):
        project.revision(number, "pass")
    script = ScriptDirectory.from_config(project.config)
    failed: list[BaseException] = []

    def migrate(name: str) -> None:
        def steps(heads: tuple[str, ...], context: MigrationContext) -> list[RevisionStep]:
            return script._upgrade_revs("head", heads)  # type: ignore[arg-type]

        try:
            with project.engine.connect() as connection:
                options = {"fn": steps, "script": script, "version_table": name}
                context = MigrationContext.configure(connection, opts=options | pitr_options())
                context.run_migrations()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=migrate, args=(f"v{n}",)) for n in range(3)]
    with warnings.catch_warnings():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    found = server.query("SELECT count(*) FROM alembic_pitr_revision", database)
    assert found == [(6,)]
