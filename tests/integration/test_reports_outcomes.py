"""Reports about listeners that raise, about lost answers, and about what others did.

Done is what the server did, failed what it refused, whatever exception came between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from sqlalchemy_matrixone_pitr import (
    ApplyReport,
    PitrAlreadyExistsError,
    PitrLockTimeoutError,
    PitrManager,
    PitrPermissionError,
    TablePitr,
    account_lock,
    apply_plan,
    plan_pitrs,
    renew_pitr,
)
from sqlalchemy_matrixone_pitr.generations import generation_name
from sqlalchemy_matrixone_pitr.report import Progress
from tests.conftest import Say, Server
from tests.proxy import Proxy

pytestmark = pytest.mark.one_version

Names = Callable[[], list[str]]
Told = dict[str, list[str]]


class Refused(Exception):
    """The application's own class for whatever the database says."""


def told(report: ApplyReport) -> Told:
    """The ends of the names in each list of a report that has any."""
    lists: dict[str, list[Any]] = {
        "done": report.done,
        "skipped": report.skipped,
        "failed": [failure.action for failure in report.failed],
        "unknown": report.unknown,
        "not_tried": report.not_tried,
    }
    return {
        what: [item.pitr.name.rpartition("_")[2] for item in items]
        for what, items in lists.items()
        if items
    }


def declared(prefix: str, letters: str = "abc") -> MetaData:
    metadata = MetaData()
    for letter in letters:
        item = TablePitr("7d", f"{prefix}_{letter}")
        Table(letter, metadata, Column("id", Integer, primary_key=True), item)
    return metadata


@pytest.fixture
def metadata(server: Server, database: str, prefix: str) -> MetaData:
    """Three tables, each with a policy that is to be created."""
    for letter in "abc":
        server.query(f"CREATE TABLE {letter} (id INT PRIMARY KEY)", database)
    return declared(prefix)


def own_class(engine: Engine) -> None:
    """Let the engine raise the application's own class for every error of the database."""

    @event.listens_for(engine, "handle_error")
    def handle(context: ExceptionContext) -> None:
        raise Refused(f"{context.original_exception}")


def after(engine: Engine, pattern: str, act: Callable[[Any], object]) -> None:
    """Let a listener do something after each statement that begins so has run."""

    @event.listens_for(engine, "after_cursor_execute")
    def ran(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith(pattern):
            act(conn)


def warn(conn: Any) -> None:
    raise UserWarning("a slow statement")


def audit(conn: Any) -> None:
    conn.exec_driver_sql("INSERT INTO no_such_table VALUES (1)")


def own_error(conn: Any) -> None:
    raise Refused("20101")


# -- a listener raises after the statement ran: the server has it ---------------------------------


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("act", [warn, audit, own_error])
def test_a_listener_that_raises_after_the_statement(
    matrixone_engine: Engine,
    metadata: MetaData,
    pitr_names: Names,
    act: Callable[[Any], object],
    concurrency: int,
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)
    after(matrixone_engine, "CREATE PITR", act)
    seen: list[Progress] = []
    report = apply_plan(matrixone_engine, plan, concurrency, on_progress=seen.append)
    assert told(report) == {"done": ["a", "b", "c"]}
    assert [progress.number for progress in seen] == [1, 2, 3]
    assert all(progress.error is not None for progress in seen)
    assert len(pitr_names()) == 3


def test_a_listener_whose_error_the_application_renames(
    matrixone_engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    """Both at once: its own statement is refused after ours has run, and has no statement."""
    plan = plan_pitrs(matrixone_engine, metadata)
    own_class(matrixone_engine)
    after(matrixone_engine, "CREATE PITR", audit)
    assert told(apply_plan(matrixone_engine, plan, 1)) == {"done": ["a", "b", "c"]}


def test_a_listener_that_raises_before_the_statement(
    matrixone_engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)

    @event.listens_for(matrixone_engine, "before_cursor_execute")
    def runs(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("CREATE PITR") and "_b`" in statement:
            raise UserWarning("not today")

    report = apply_plan(matrixone_engine, plan, 1, keep_going=True)
    assert told(report) == {"done": ["a", "c"], "failed": ["b"]}
    assert isinstance(report.failed[0].error, UserWarning)
    assert [name[-1] for name in pitr_names()] == ["a", "c"]


def test_inside_the_handling_of_a_refusal(
    matrixone_engine: Engine, metadata: MetaData, pitr_names: Names
) -> None:
    """An error that the caller is handling is no answer to what is sent then."""
    plan = plan_pitrs(matrixone_engine, metadata)
    after(matrixone_engine, "CREATE PITR", warn)
    try:
        with matrixone_engine.connect() as conn:
            conn.execute(text("SELECT * FROM no_such_table"))
    except DBAPIError:
        report = apply_plan(matrixone_engine, plan, 1)
    assert told(report) == {"done": ["a", "b", "c"]}


def rebuild(engine: Engine, table: str) -> None:
    with engine.begin() as conn:
        conn.execute(text(f"ALTER TABLE {table} ADD COLUMN more INT"))


@pytest.mark.filterwarnings("ignore:PITR .* is renewed without its history")
@pytest.mark.parametrize("act", [warn, audit, own_error])
def test_a_renewal_whose_listeners_raise(
    matrixone_engine: Engine,
    metadata: MetaData,
    prefix: str,
    pitr_names: Names,
    act: Callable[[Any], object],
) -> None:
    apply_plan(matrixone_engine, plan_pitrs(matrixone_engine, metadata)).raise_for_failed()
    for letter in "ab":
        rebuild(matrixone_engine, letter)
    after(matrixone_engine, "CREATE PITR", act)
    after(matrixone_engine, "DROP PITR", act)
    second = generation_name(f"{prefix}_a", 2)
    assert renew_pitr(matrixone_engine, f"{prefix}_a").name == second
    assert renew_pitr(matrixone_engine, f"{prefix}_b", keep_history=False).name == f"{prefix}_b"
    assert pitr_names() == sorted([f"{prefix}_a", second, f"{prefix}_b", f"{prefix}_c"])


# -- the application's own class for what the database says ---------------------------------------


def test_a_refusal_of_the_applications_own_class(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData, server: Server, database: str
) -> None:
    """Refused is refused; the server is not asked again, and no session is ended."""
    plan = plan_pitrs(proxied_engine, metadata)
    own_class(proxied_engine)

    def drop() -> None:
        server.query("DROP TABLE b", database)

    proxy.on("^CREATE PITR .*_b`", drop)
    report = apply_plan(proxied_engine, plan, 1, keep_going=True)
    assert told(report) == {"done": ["a", "c"], "failed": ["b"]}
    assert isinstance(report.failed[0].error, Refused)
    assert proxy.matching("^KILL") == []


@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_lost_answer_of_the_applications_own_class(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData, concurrency: int
) -> None:
    """Read back, and ended before the lock is given up."""
    plan = plan_pitrs(proxied_engine, metadata)
    own_class(proxied_engine)
    proxy.clear()
    proxy.cut("^CREATE PITR .*_b`", "after")
    assert told(apply_plan(proxied_engine, plan, concurrency)) == {"done": ["a", "b", "c"]}
    released = len(proxy.statements) - 1 - proxy.statements[::-1].index("COMMIT")
    killed = next(n for n, said in enumerate(proxy.statements) if said.startswith("KILL"))
    assert killed < released


def test_a_statement_that_never_arrived_of_the_applications_own_class(
    proxied_engine: Engine, proxy: Proxy, metadata: MetaData, pitr_names: Names
) -> None:
    plan = plan_pitrs(proxied_engine, metadata)
    own_class(proxied_engine)
    proxy.cut("^CREATE PITR .*_b`", "before")
    report = apply_plan(proxied_engine, plan, 1, keep_going=True)
    assert told(report) == {"done": ["a", "c"], "failed": ["b"]}
    assert isinstance(report.failed[0].error, Refused)
    assert proxy.matching("^KILL")
    assert [name[-1] for name in pitr_names()] == ["a", "c"]


def test_a_locked_manager_and_the_applications_own_class(
    proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    """Its lost CREATE is ended on the server before the lock is given up."""
    own_class(proxied_engine)
    manager = PitrManager(proxied_engine, serialize=True)
    proxy.cut("^CREATE PITR", "after")
    with pytest.raises(Refused):
        manager.create_database_pitr(f"{prefix}_d", database)
    begin = proxy.statements.index("BEGIN")
    kill = next(n for n, said in enumerate(proxy.statements) if said.startswith("KILL"))
    assert "COMMIT" not in proxy.statements[begin:kill]
    assert "COMMIT" in proxy.statements[kill:]


def test_the_lock_and_the_applications_own_class(server: Server, prefix: str) -> None:
    """A wait that the server ends is one; a user who is no administrator is told so."""
    server.query(f"CREATE USER {prefix}_u IDENTIFIED BY 'secret1'")
    server.query(f"CREATE ROLE {prefix}_r")
    try:
        server.query(f"GRANT CONNECT ON ACCOUNT * TO {prefix}_r")
        server.query(f"GRANT {prefix}_r TO {prefix}_u")
        engine = create_engine(server.url(user=f"sys:{prefix}_u:{prefix}_r", password="secret1"))
        own_class(engine)
        with pytest.raises((PitrPermissionError, PitrLockTimeoutError)), account_lock(engine, 5):
            pass
        engine.dispose()
    finally:
        server.query(f"DROP USER {prefix}_u")
        server.query(f"DROP ROLE {prefix}_r")


# -- what others did meanwhile --------------------------------------------------------------------


def test_a_conflict_is_failed_and_nothing_else(
    matrixone_engine: Engine, metadata: MetaData, server: Server, database: str, prefix: str
) -> None:
    """In one list, once; what others did is already so, and the rest is done."""
    plan = plan_pitrs(matrixone_engine, metadata)
    server.query(f"CREATE PITR {prefix}_x FOR TABLE {database} a RANGE 1 'd'")
    server.query(f"CREATE PITR {prefix}_b FOR TABLE {database} b RANGE 7 'd'")
    seen: list[str] = []
    report = apply_plan(
        matrixone_engine, plan, keep_going=True, on_progress=lambda p: seen.append(str(p.outcome))
    )
    assert told(report) == {"done": ["c"], "skipped": ["b"], "failed": ["a"]}
    assert isinstance(report.failed[0].error, PitrAlreadyExistsError)
    assert f"{prefix}_x" in str(report.failed[0].error)
    assert sorted(seen) == ["done", "failed", "skipped"]


def test_a_conflict_ends_it_where_it_does_not_keep_going(
    matrixone_engine: Engine, metadata: MetaData, server: Server, database: str, prefix: str
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata)
    server.query(f"CREATE PITR {prefix}_x FOR TABLE {database} a RANGE 1 'd'")
    server.query(f"CREATE PITR {prefix}_b FOR TABLE {database} b RANGE 7 'd'")
    report = apply_plan(matrixone_engine, plan)
    assert told(report) == {"skipped": ["b"], "failed": ["a"], "not_tried": ["c"]}


def test_a_conflict_that_the_plan_had(
    matrixone_engine: Engine, metadata: MetaData, server: Server, database: str, prefix: str
) -> None:
    """It is no action: it is reported once beside them."""
    server.query(f"CREATE PITR {prefix}_x FOR TABLE {database} a RANGE 1 'd'")
    plan = plan_pitrs(matrixone_engine, metadata)
    assert len(plan.conflicts) == 1
    report = apply_plan(matrixone_engine, plan, keep_going=True)
    assert told(report) == {"done": ["b", "c"], "failed": ["a"]}


@pytest.mark.one_version
def test_a_refusal_that_cannot_be_looked_into(
    proxied_engine: Engine,
    proxy: Proxy,
    metadata: MetaData,
    say_beside: Say,
    database: str,
    prefix: str,
) -> None:
    """Somebody made just that policy, which would be skipped; the connection that asks is lost."""
    plan = plan_pitrs(proxied_engine, metadata)

    def make() -> None:
        say_beside(f"CREATE PITR {prefix}_a FOR TABLE {database} a RANGE 7 'd'")
        proxy.cut("^(SHOW PITR|SELECT d.datname)", "before")

    proxy.on(f"^CREATE PITR `{prefix}_a`", make)
    report = apply_plan(proxied_engine, plan, 1, keep_going=True)
    assert told(report) == {"done": ["b", "c"], "failed": ["a"]}
    notes = getattr(report.failed[0].error, "__notes__", [])
    assert any(note.startswith("Looking whether it is so already failed: ") for note in notes)
    assert len(proxy.matching(f"^CREATE PITR `{prefix}_a`")) == 1


def test_dropped_by_somebody_else(
    matrixone_engine: Engine, metadata: MetaData, server: Server, prefix: str, database: str
) -> None:
    """Before its turn, and, without the lock, between the comparison and its turn."""
    apply_plan(matrixone_engine, plan_pitrs(matrixone_engine, metadata)).raise_for_failed()
    few = declared(prefix, "c")
    plan = plan_pitrs(matrixone_engine, few, drop_undeclared=True)
    assert [action.kind for action in plan.actions] == ["drop", "drop"]
    server.query(f"DROP PITR {prefix}_a")
    late = Proxy(server.host, server.port)
    engine = create_engine(server.url(database=database, port=late.port))

    def drop() -> None:
        server.query(f"DROP PITR {prefix}_b")

    late.on(f"^DROP PITR .*{prefix}_b`", drop)
    report = apply_plan(engine, plan, allow_destructive=True)
    assert told(report) == {"skipped": ["a", "b"]}
    assert report.ok
    engine.dispose()
    late.close()


def test_changed_into_something_else_is_not_already_so(
    matrixone_engine: Engine, metadata: MetaData, server: Server, database: str, prefix: str
) -> None:
    """Somebody made it with another range: that is an ALTER that the plan did not show."""
    plan = plan_pitrs(matrixone_engine, metadata)
    server.query(f"CREATE PITR {prefix}_a FOR TABLE {database} a RANGE 30 'd'")
    report = apply_plan(matrixone_engine, plan, keep_going=True)
    assert told(report) == {"done": ["b", "c"], "not_tried": ["a"]}


# -- an action is identified by exactly what it does ----------------------------------------------


@pytest.fixture
def moving(
    matrixone_engine: Engine, server: Server, database: str, prefix: str
) -> tuple[MetaData, str, str]:
    """A policy of two generations that moves to another table: two Drops and a Create."""
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
    for letter in "ab":
        server.query(f"CREATE TABLE {letter} (id INT PRIMARY KEY)", database)
    name = f"{prefix}_p"
    PitrManager(matrixone_engine).create_table_pitr(name, database, "a", 7)
    rebuild(matrixone_engine, "a")
    second = renew_pitr(matrixone_engine, name).name
    metadata = MetaData()
    Table("b", metadata, Column("id", Integer, primary_key=True), TablePitr("7d", name))
    Table("a", metadata, Column("id", Integer, primary_key=True))
    return metadata, name, second


@pytest.mark.parametrize("which", [0, 1])
def test_a_lost_answer_to_the_drop_of_one_of_two_generations(
    proxied_engine: Engine,
    proxy: Proxy,
    moving: tuple[MetaData, str, str],
    pitr_names: Names,
    which: int,
) -> None:
    metadata, *names = moving
    plan = plan_pitrs(proxied_engine, metadata)
    assert [action.kind for action in plan.actions] == ["drop", "drop", "create"]
    proxy.cut(f"^DROP PITR `{names[which]}`", "after")
    report = apply_plan(proxied_engine, plan, 1, allow_destructive=True, keep_going=True)
    assert [str(action) for action in report.done] == [str(action) for action in plan.actions]
    assert pitr_names() == [names[0]]
    assert plan_pitrs(proxied_engine, metadata).in_sync


def test_a_drop_that_never_arrived_blocks_what_it_makes_room_for_alone(
    proxied_engine: Engine, proxy: Proxy, moving: tuple[MetaData, str, str], pitr_names: Names
) -> None:
    """The other generation's Drop has nothing to do with it."""
    metadata, name, second = moving
    plan = plan_pitrs(proxied_engine, metadata)
    proxy.cut(f"^DROP PITR `{name}`", "before")
    report = apply_plan(proxied_engine, plan, 1, allow_destructive=True, keep_going=True)
    assert [action.pitr.name for action in report.done] == [second]
    assert [failure.action.pitr.name for failure in report.failed] == [name]
    assert [action.kind for action in report.not_tried] == ["create"]
    assert pitr_names() == [name]
