"""The rule of transaction.py on Core connections: effective at COMMIT, discarded by a rollback."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import InvalidRequestError, ResourceClosedError
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    CreatePitr,
    DropPitr,
    Pitr,
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrManager,
    PitrTransactionError,
    PitrValidationError,
    get_pitrs,
    pending_pitrs,
)
from tests.conftest import Server
from tests.proxy import Proxy

pytestmark = pytest.mark.all_combinations

Names = Callable[[], list[str]]


def orders(metadata: MetaData | None = None) -> Table:
    return Table(
        "orders",
        metadata or MetaData(),
        Column("id", Integer, primary_key=True),
        Column("note", String(40)),
    )


def test_tables_pitr_and_rows_of_one_transaction(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    table = orders()
    with engine.begin() as conn:
        table.metadata.create_all(conn)
        conn.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
        conn.execute(table.insert(), [{"note": "first"}])
        assert pitr_names() == []
    assert pitr_names() == [prefix]
    with engine.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(table)) == 1


def test_rollback_leaves_neither(engine: Engine, prefix: str, pitr_names: Names) -> None:
    table = orders()
    with engine.connect() as conn:
        transaction = conn.begin()
        table.metadata.create_all(conn)
        conn.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
        transaction.rollback()
        conn.commit()
    assert pitr_names() == []
    assert inspect(engine).get_table_names() == []


def test_exception_leaves_neither(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with pytest.raises(ZeroDivisionError), engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        _ = 1 / 0
    with engine.begin() as conn:
        conn.execute(text("SELECT 1"))
    assert pitr_names() == []


def test_commit_as_you_go_and_autobegin_by_the_pitr_statement(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with engine.connect() as conn:
        assert conn.get_transaction() is None
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        assert conn.in_transaction()
        with pytest.raises(InvalidRequestError):
            conn.begin()
        assert pitr_names() == []
        conn.commit()
        assert pitr_names() == [prefix]
        conn.execute(AlterPitr(prefix, "8d"))
        conn.rollback()
        conn.execute(AlterPitr(prefix, "9d"))
        conn.commit()
        (found,) = get_pitrs(engine, database_name=prefix)
        assert str(found.range) == "9d"
        conn.execute(DropPitr(prefix))
        conn.commit()
    assert pitr_names() == []


def test_forgotten_commit(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    with engine.begin() as conn:
        conn.execute(text("SELECT 1"))
    assert pitr_names() == []


def test_garbage_collected_connection_hands_its_queue_to_nobody(
    server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    engine = create_engine(server.url(database=database), pool_size=1, max_overflow=0)
    conn = engine.connect()
    conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    del conn
    gc.collect()
    with engine.begin() as other:
        other.execute(text("SELECT 1"))
        assert pending_pitrs(other) == []
    assert pitr_names() == []
    engine.dispose()


def test_statements_go_out_in_order_each_with_its_commit(
    proxied_engine: Engine, proxy: Proxy, server: Server, database: str, prefix: str
) -> None:
    with proxied_engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(CreatePitr(Pitr.table(f"{prefix}_a", "t", "7d", database_name=database)))
        conn.execute(CreatePitr(Pitr.database(f"{prefix}_b", "1h", database_name=database)))
        conn.execute(AlterPitr(f"{prefix}_b", "2h"))
        conn.execute(text("INSERT INTO t VALUES (1)"))
    sent = list(proxy.statements)
    if server.version >= (4,):
        sent[3] = sent[3].removesuffix(" INTERNAL")
    assert sent[:9] == [
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "COMMIT",
        f"CREATE PITR `{prefix}_a` FOR TABLE `{database}` `t` RANGE 7 'd'",
        "COMMIT",
        f"CREATE PITR `{prefix}_b` FOR DATABASE `{database}` RANGE 1 'h'",
        "COMMIT",
        f"ALTER PITR `{prefix}_b` RANGE 2 'h'",
        "COMMIT",
    ]


def test_commit_twice_sends_once(proxied_engine: Engine, proxy: Proxy, prefix: str) -> None:
    with proxied_engine.connect() as conn:
        transaction = conn.begin()
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        transaction.commit()
        with pytest.raises(InvalidRequestError):
            transaction.commit()
        conn.commit()
        conn.execute(text("SELECT 1"))
        conn.commit()
    assert len(proxy.matching("^CREATE PITR")) == 1


def test_work_after_commit(engine: Engine, prefix: str, pitr_names: Names) -> None:
    table = orders()
    with engine.connect() as conn:
        table.metadata.create_all(conn)
        conn.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
        conn.commit()
        with conn.begin():
            conn.execute(table.insert(), [{"note": "later"}])
        assert conn.scalar(select(func.count()).select_from(table)) == 1
    assert pitr_names() == [prefix]


def test_result_looks_like_a_closed_one(engine: Engine, prefix: str) -> None:
    with engine.connect() as conn:
        result = conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        assert (result.rowcount, result.lastrowid) == (0, 0)
        assert not result.returns_rows
        assert result.closed
        result.close()
        with pytest.raises(ResourceClosedError):
            result.all()
        with pytest.raises(ResourceClosedError):
            result.scalar()


def test_after_create_listener(engine: Engine, prefix: str, pitr_names: Names) -> None:
    table = orders()
    event.listen(table, "after_create", CreatePitr(Pitr.table(prefix, "orders", "7d")))
    event.listen(table, "before_drop", DropPitr(prefix))
    table.metadata.create_all(engine)
    assert pitr_names() == [prefix]
    table.metadata.drop_all(engine)
    assert pitr_names() == []


def test_after_create_listener_for_one_dialect(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    table = orders()
    element = CreatePitr(Pitr.table(prefix, "orders", "7d"))
    dialects = ("mysql", "matrixone")
    event.listen(table, "after_create", element.execute_if(dialect=dialects))  # type: ignore[arg-type]
    sqlite = create_engine("sqlite://")
    table.metadata.create_all(sqlite)
    sqlite.dispose()
    assert pitr_names() == []
    table.metadata.create_all(engine)
    assert pitr_names() == [prefix]


def test_server_refusal_after_commit(engine: Engine, prefix: str, pitr_names: Names) -> None:
    table = orders()
    good = CreatePitr(Pitr.database(f"{prefix}_a", "7d"))
    bad = CreatePitr(Pitr.table(f"{prefix}_a", "orders", "7d"))
    never = CreatePitr(Pitr.table(f"{prefix}_b", "orders", "7d"))
    with engine.connect() as conn:
        table.metadata.create_all(conn)
        for element in (good, bad, never):
            conn.execute(element)
        with pytest.raises(PitrAfterCommitError) as caught:
            conn.commit()
        error = caught.value
        assert [e.name for e in error.done] == [f"{prefix}_a"]
        assert [e.name for e in error.failed] == [f"{prefix}_a"]
        assert [e.name for e in error.not_tried] == [f"{prefix}_b"]
        assert error.unknown == ()
        assert error.name == f"{prefix}_a"
        assert error.errno == 20101
        assert isinstance(error.__cause__, PitrAlreadyExistsError)
        assert error.__cause__.__cause__ is not None
        assert "rollback()" in str(error)
        conn.rollback()
        conn.execute(table.insert(), [{"note": "usable"}])
        conn.commit()
    assert pitr_names() == [f"{prefix}_a"]
    with engine.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(table)) == 1


def test_refusal_leaves_no_open_transaction_in_the_pool(
    server: Server, database: str, prefix: str
) -> None:
    engine = create_engine(server.url(database=database), pool_size=1, max_overflow=0)
    with pytest.raises(PitrAfterCommitError), engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.table(prefix, "no_such_table", "7d")))
    with engine.connect() as conn:
        # refused with 20101 if the server still had a transaction open
        assert conn.exec_driver_sql("SHOW PITR WHERE pitr_name = 'none'").all() == []
    engine.dispose()


def test_savepoints(engine: Engine, prefix: str, pitr_names: Names) -> None:
    table = orders()
    table.metadata.create_all(engine)
    with engine.begin() as conn, conn.begin_nested():
        conn.execute(CreatePitr(Pitr.database(f"{prefix}_a", "7d")))
    assert pitr_names() == [f"{prefix}_a"]

    with engine.connect() as conn:
        transaction = conn.begin()
        conn.execute(table.insert(), [{"note": "a"}])
        conn.execute(CreatePitr(Pitr.table(f"{prefix}_b", "orders", "7d")))
        savepoint = conn.begin_nested()
        conn.execute(table.insert(), [{"note": "b"}])
        with pytest.raises(Exception, match="savepoint"):
            savepoint.rollback()
        with pytest.raises(PitrTransactionError, match="roll the whole"):
            transaction.commit()
        transaction.rollback()
        assert conn.scalar(select(func.count()).select_from(table)) == 0
    assert pitr_names() == [f"{prefix}_a"]


def test_savepoint_that_failed_before_the_first_pitr_statement(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with matrixone_engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        savepoint = conn.begin_nested()
        with pytest.raises(Exception, match="savepoint"):
            savepoint.rollback()
        with pytest.raises(PitrTransactionError, match="savepoint"):
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    assert pitr_names() == []


def test_two_phase_is_refused(engine: Engine, prefix: str) -> None:
    seen: list[str] = []

    @event.listens_for(engine.dialect, "do_execute")
    def skip_xa(cursor: object, statement: str, parameters: object, context: object) -> bool:
        if statement.startswith("XA "):  # the server knows none; the test is of what comes after
            seen.append(statement)
            return True
        return False

    with engine.connect() as conn:
        transaction = conn.begin_twophase()
        with pytest.raises(PitrTransactionError, match="two-phase"):
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        transaction.rollback()
    assert seen


def test_schema_translate_map(engine: Engine, database: str, prefix: str) -> None:
    with engine.connect() as conn:
        tenant = conn.execution_options(schema_translate_map={None: database, "Tenant": database})
        tenant.execute(CreatePitr(Pitr.database(f"{prefix}_a", "7d")))
        tenant.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        tenant.execute(CreatePitr(Pitr.table(f"{prefix}_b", "t", "7d", database_name="Tenant")))
        tenant.commit()
    found = {p.name: p for p in get_pitrs(engine)}
    assert found[f"{prefix}_a"].database_name == database
    assert found[f"{prefix}_b"].database_name == database


def test_translated_name_is_not_translated_again(
    engine: Engine, database: str, prefix: str
) -> None:
    with engine.connect() as conn:
        mapped = conn.execution_options(schema_translate_map={"a": database, database: "nowhere"})
        mapped.execute(CreatePitr(Pitr.database(prefix, "7d", database_name="a")))
        mapped.commit()
    assert [p.database_name for p in get_pitrs(engine, database_name=database)] == [database]


def test_default_database_is_the_connections_own_one(
    server: Server, engine: Engine, database: str, prefix: str
) -> None:
    other = f"{database}_other"
    server.query(f"CREATE DATABASE {other}")
    try:
        with engine.connect() as conn:
            conn.exec_driver_sql(f"USE {other}")
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
            conn.commit()
            conn.exec_driver_sql(f"USE {database}")
        assert [p.database_name for p in get_pitrs(engine) if p.name == prefix] == [other]
    finally:
        server.query(f"DROP DATABASE {other}")


def test_no_default_database(server: Server, database: str, prefix: str) -> None:
    engine = create_engine(server.url())
    with engine.connect() as conn, pytest.raises(PitrValidationError, match="no database"):
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    engine.dispose()


def test_echo_is_in_the_order_of_the_wire(
    server: Server, database: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(server.url(database=database), echo=True)
    with engine.connect():
        pass
    caplog.clear()
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"), engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(CreatePitr(Pitr.database(prefix, "7d", database_name=database)))
    engine.dispose()
    told = [
        record.getMessage()
        for record in caplog.records
        if record.name == "sqlalchemy.engine.Engine"
        and record.getMessage().split(" ", 1)[0] in ("BEGIN", "COMMIT", "CREATE")
    ]
    assert told == [
        "BEGIN (implicit)",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "COMMIT",
        f"CREATE PITR `{prefix}` FOR DATABASE `{database}` RANGE 7 'd'",
        "COMMIT",
        "COMMIT",
    ]


def test_execution_events_see_the_element_when_it_is_sent(engine: Engine, prefix: str) -> None:
    seen: list[object] = []
    event.listen(engine, "before_execute", lambda conn, element, *_: seen.append(element))
    element = CreatePitr(Pitr.database(prefix, "7d"))
    with engine.connect() as conn:
        conn.execute(element)
        assert not [e for e in seen if isinstance(e, CreatePitr)]
        conn.commit()
    assert [e.name for e in seen if isinstance(e, CreatePitr)] == [prefix]


def test_a_statement_in_a_commit_listener_is_refused_not_lost(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database(f"{prefix}_a", "7d")))

        @event.listens_for(engine, "commit")
        def late(connection: object) -> None:
            conn.execute(CreatePitr(Pitr.account(f"{prefix}_b", "7d")))

        with pytest.raises(PitrTransactionError, match="being committed"):
            conn.commit()
        event.remove(engine, "commit", late)
        conn.rollback()
    assert pitr_names() == []  # the listener's error is a veto: nothing is committed


def test_ansi_quotes(server: Server, database: str, prefix: str, pitr_names: Names) -> None:
    init = {"init_command": "SET sql_mode = 'ANSI_QUOTES'"}
    engine = create_engine(server.url(database=database), connect_args=init)
    with engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(f"{prefix}100%", "7d")))
    assert pitr_names() == [f"{prefix}100%"]
    assert PitrManager(engine).delete(f"{prefix}100%")
    engine.dispose()


def test_no_parameters_option(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with engine.connect().execution_options(no_parameters=True) as conn:
        conn.execute(CreatePitr(Pitr.database(f"{prefix}100%", "7d")))
        conn.commit()
    assert pitr_names() == [f"{prefix}100%"]


def test_pending_pitrs_takes_connections(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(PitrValidationError, match="connection"):
        pending_pitrs(session)  # type: ignore[arg-type]


def test_pending_pitrs(engine: Engine, prefix: str) -> None:
    create = CreatePitr(Pitr.database(prefix, "7d"))
    with engine.connect() as conn:
        assert pending_pitrs(conn) == []
        conn.execute(create)
        conn.execute(AlterPitr(prefix, "8d"))
        waiting = pending_pitrs(conn)
        assert [str(element).split(" ")[0] for element in waiting] == ["CREATE", "ALTER"]
        waiting.clear()
        assert len(pending_pitrs(conn)) == 2
        conn.rollback()
        assert pending_pitrs(conn) == []


def test_closed_connection(engine: Engine, prefix: str) -> None:
    conn = engine.connect()
    conn.close()
    with pytest.raises(ResourceClosedError):
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))


def test_engine_without_pitr_carries_no_listener(server: Server, database: str) -> None:
    engine = create_engine(server.url(database=database))
    with engine.begin() as conn:
        conn.execute(text("SELECT 1"))
    assert "_has_events" not in vars(engine)  # the class has them where somebody listens to it
    assert not list(engine.dispatch.commit)
    get_pitrs(engine)
    assert not list(engine.dispatch.commit)
    engine.dispose()


def test_listeners_are_attached_once(engine: Engine, prefix: str) -> None:
    options = engine.execution_options(logging_token="a")
    for number, one in enumerate((engine, options, engine.execution_options(), engine)):
        with one.begin() as conn:
            conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
            conn.execute(DropPitr(prefix))
        assert len(list(engine.dispatch.commit)) == 2, number  # the first and the last


def test_first_use_while_another_thread_commits(
    server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    """Adding our listeners must not disturb a commit that is running through the user's own."""
    engine = create_engine(server.url(database=database))
    inside, attached = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    @event.listens_for(engine, "commit")
    def slow(conn: object) -> None:
        inside.set()
        attached.wait(10)

    def commit() -> None:
        try:
            with engine.begin() as conn:
                conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    assert inside.wait(10)
    with engine.connect() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
        attached.set()
        conn.commit()
    thread.join()
    assert errors == []
    assert inspect(engine).get_table_names() == ["t"]
    assert pitr_names() == [prefix]
    engine.dispose()


def test_first_use_inside_a_commit_listener(engine: Engine, prefix: str, pitr_names: Names) -> None:
    @event.listens_for(engine, "commit")
    def late(conn: Connection) -> None:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))

    with engine.connect() as conn:
        conn.execute(text("SELECT 1"))
        with pytest.raises(PitrTransactionError, match="being committed"):
            conn.commit()
    event.remove(engine, "commit", late)
    with engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.database(prefix, "7d")))
    assert pitr_names() == [prefix]


def test_sixteen_threads_on_one_engine(
    server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    engine = create_engine(server.url(database=database), pool_size=16)
    event.listen(
        engine, "commit", lambda conn: None
    )  # a listener of the user's, iterated meanwhile
    errors: list[BaseException] = []
    barrier = threading.Barrier(16)

    def work(number: int) -> None:
        try:
            barrier.wait()
            name = f"{prefix}_{number:02d}"
            table = Table(name, MetaData(), Column("id", Integer, primary_key=True))
            with engine.begin() as conn:
                table.create(conn)
                conn.execute(CreatePitr(Pitr.table(name, name, "7d", database_name=database)))
                conn.execute(table.insert(), [{"id": number}])
            with pytest.raises(ZeroDivisionError), engine.begin() as conn:
                conn.execute(DropPitr(name))
                _ = 1 / 0
            with engine.begin() as conn:
                conn.execute(AlterPitr(name, "8d"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert pitr_names() == [f"{prefix}_{number:02d}" for number in range(16)]
    assert {str(p.range) for p in get_pitrs(engine, database_name=database)} == {"8d"}
    engine.dispose()
