"""The commit of an ORM Session: who commits, an error on the way, the manager's first use in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    DropPitr,
    Pitr,
    PitrAfterCommitError,
    TransactionPitrManager,
    pending_pitrs,
)
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy

Names = Callable[[], list[str]]

MODES = ["conditional_savepoint", "rollback_only", "control_fully", "create_savepoint"]


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "t"
    id: Mapped[int] = mapped_column(primary_key=True)


class Veto(Exception):
    pass


@pytest.fixture(autouse=True)
def tables(server: Server, database: str) -> None:
    server.query("CREATE TABLE t (id INT PRIMARY KEY)", database)


@pytest.fixture
def rows(server: Server, database: str) -> Callable[[], int]:
    return lambda: int(str(server.query("SELECT count(*) FROM t", database)[0][0]))


Rows = Callable[[], int]


def _fail(session: Session) -> None:
    raise Veto


@pytest.mark.parametrize("mode", MODES)
def test_the_owner_commits_after_the_sessions_commit_failed(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, rows: Rows, mode: str
) -> None:
    with matrixone_engine.connect() as conn:
        transaction = conn.begin()
        session = Session(conn, join_transaction_mode=mode)  # type: ignore[arg-type]
        TransactionPitrManager(session).create(Pitr.database(prefix, "1d"))
        session.execute(text("INSERT INTO t VALUES (1)"))
        event.listen(session, "before_commit", _fail)
        with pytest.raises(Veto):
            session.commit()
        transaction.commit()
        assert pitr_names() == [prefix]
        assert rows() == 1
        session.close()


@pytest.mark.parametrize("mode", MODES)
def test_the_owner_commits_while_the_session_is_open(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, rows: Rows, mode: str
) -> None:
    """The error is the owner's: no session is going to raise it."""
    with matrixone_engine.connect() as conn:
        transaction = conn.begin()
        session = Session(conn, join_transaction_mode=mode)  # type: ignore[arg-type]
        TransactionPitrManager(session).create(Pitr.table(prefix, "missing", "1d"))
        with pytest.raises(PitrAfterCommitError) as caught:
            transaction.commit()
        assert [e.name for e in caught.value.failed] == [prefix]
        conn.rollback()
        session.close()
    assert pitr_names() == []


def test_a_flush_that_failed_and_the_next_commit(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, rows: Rows
) -> None:
    """DEACTIVE is not PREPARED: what waited is gone with the rollback, the next one is sent."""
    with Session(matrixone_engine) as session:
        session.execute(text("INSERT INTO t VALUES (1)"))
        session.commit()
        TransactionPitrManager(session).create(Pitr.database(f"{prefix}_a", "1d"))
        session.add(Row(id=1))
        with pytest.raises(Exception, match="Duplicate"):
            session.commit()
        session.rollback()
        TransactionPitrManager(session).create(Pitr.database(f"{prefix}_b", "1d"))
        session.commit()
    assert pitr_names() == [f"{prefix}_b"]
    assert rows() == 1


def test_root_commit_with_an_open_savepoint(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    """The savepoint's own ``after_commit`` comes between: the session still commits."""
    with Session(matrixone_engine) as session:
        row = Row(id=1)
        session.add(row)
        session.begin_nested()
        TransactionPitrManager(session).create(Pitr.table(prefix, "missing", "1d"))
        root = session.get_transaction()
        assert root is not None
        with pytest.raises(PitrAfterCommitError):
            root.commit(_to_root=True)
        assert inspect(row).persistent


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_sessions_on_one_connection(
    matrixone_engine: Engine, prefix: str, order: tuple[int, int]
) -> None:
    """The one that commits takes the error, whichever executed last."""
    with matrixone_engine.connect() as conn, conn.begin():
        committing = Session(conn, join_transaction_mode="control_fully")
        sessions = committing, Session(conn, join_transaction_mode="rollback_only")
        row = Row(id=1)
        committing.add(row)
        for number in order:
            TransactionPitrManager(sessions[number]).create(
                Pitr.table(f"{prefix}_{number}", "missing", "1d")
            )
        with pytest.raises(PitrAfterCommitError):
            committing.commit()
        assert inspect(row).persistent
        for session in sessions:
            session.close()


def test_a_session_commits_the_transaction_of_a_context_manager(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, rows: Rows
) -> None:
    with matrixone_engine.begin() as conn:
        with Session(conn, join_transaction_mode="control_fully") as session:
            TransactionPitrManager(session).create(Pitr.database(prefix, "1d"))
            session.add(Row(id=1))
            session.commit()
        assert pitr_names() == [prefix]
    assert rows() == 1


# -------------------------------------------------------------- the manager's first use, and others


@pytest.mark.parametrize("on", ["session", "sessionmaker", "flush"])
def test_first_use_of_the_manager_inside_the_commit(
    engine: Engine, prefix: str, pitr_names: Names, rows: Rows, on: str
) -> None:
    make = sessionmaker(engine)
    with make() as session:
        identifier = "before_flush" if on == "flush" else "before_commit"
        used: list[int] = []

        def create(session: Session, *_: object) -> None:
            if not used:
                used.append(1)
                TransactionPitrManager(session).create(Pitr.table(prefix, "t", "1d"))

        event.listen(make if on == "sessionmaker" else session, identifier, create)
        event.listen(session, "before_commit", lambda session: None)
        session.add(Row(id=1))
        session.commit()
        assert pitr_names() == [prefix]
        assert rows() == 1
        session.execute(DropPitr(prefix))
        session.commit()
    assert pitr_names() == []


def test_first_use_inside_the_commit_keeps_objects_persistent(engine: Engine, prefix: str) -> None:
    with Session(engine) as session:
        event.listen(
            session,
            "before_commit",
            lambda session: TransactionPitrManager(session).create(
                Pitr.table(prefix, "missing", "1d")
            ),
        )
        row = Row(id=1)
        session.add(row)
        with pytest.raises(PitrAfterCommitError):
            session.commit()
        assert inspect(row).persistent


def test_a_listener_that_fails_after_the_commit_does_not_keep_statements_back(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, rows: Rows
) -> None:
    with Session(matrixone_engine) as session:
        event.listen(session, "after_commit", _fail)
        TransactionPitrManager(session).create(Pitr.database(prefix, "1d"))
        session.add(Row(id=1))
        with pytest.raises(Veto):
            session.commit()
    assert pitr_names() == [prefix]
    assert rows() == 1


def test_a_statement_while_the_session_sends(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    """Its connection is in another transaction by then, which nobody commits."""
    refused: list[bool] = []

    @event.listens_for(matrixone_engine, "after_cursor_execute")
    def late(conn: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("CREATE PITR"):
            with pytest.raises(Exception, match="being committed"):
                conn.execute(CreatePitr(Pitr.account(f"{prefix}_b", "1d")))
            assert pending_pitrs(conn) == []
            refused.append(True)

    with Session(matrixone_engine) as session:
        TransactionPitrManager(session).create(Pitr.database(f"{prefix}_a", "1d"))
        session.commit()
    assert refused == [True]
    assert pitr_names() == [f"{prefix}_a"]


@pytest.mark.one_version
def test_ctrl_c_while_a_session_sends_for_two_binds(
    server: Server,
    database: str,
    prefix: str,
    proxy: Proxy,
    interrupt: Interrupt,
    pitr_names: Names,
    rows: Rows,
) -> None:
    """Both are committed; nothing more is sent, and the note tells of every statement."""
    server.query("CREATE TABLE u (id INT PRIMARY KEY)", database)
    engines = [create_engine(server.url(database=database, port=proxy.port)) for _ in "tu"]
    proxy.on("^CREATE PITR", lambda: interrupt(0.2))
    with Session(binds={Row: engines[0]}) as session:
        session.add(Row(id=1))
        session.flush()
        for table, engine in zip("tu", engines, strict=True):
            pitr = Pitr.table(f"{prefix}_{table}", table, "1d", database_name=database)
            TransactionPitrManager(session, {"bind": engine}).create(pitr)
        with pytest.raises(KeyboardInterrupt) as caught:
            session.commit()
        told = "\n".join(caught.value.__notes__)
        assert session.scalar(text("SELECT count(*) FROM t"), bind_arguments={"mapper": Row}) == 1
    for engine in engines:
        engine.dispose()
    [sent] = proxy.matching("^CREATE PITR")
    other = "u" if "_t`" in sent else "t"
    assert f"unknown, the answer was lost: read back before trying again: {sent}" in told
    assert f"not tried: CREATE PITR `{prefix}_{other}`" in told
    assert rows() == 1
    assert f"{prefix}_{other}" not in pitr_names()


def test_a_lost_connection_of_another_bind_is_told_once(
    matrixone_engine: Engine, server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    """As a note in the error of the commit; closing the session says nothing more."""
    second = create_engine(server.url(database=database))
    lost: list[Connection] = []

    def lose_the_second(conn: Connection) -> None:
        lost.append(conn)
        if len(lost) == 2:
            conn.exec_driver_sql("SELECT * FROM no_such_table")

    session = Session()
    for number, engine in enumerate((matrixone_engine, second)):
        event.listen(engine, "commit", lose_the_second)
        manager = TransactionPitrManager(session, {"bind": engine})
        manager.create(Pitr.account(f"{prefix}_{number}", "1d"))
    with pytest.raises(Exception, match="no_such_table") as caught:
        session.commit()
    (note,) = caught.value.__notes__
    assert "not tried: CREATE PITR" in note
    session.close()
    assert pitr_names() == []
    second.dispose()


def test_the_applications_error_stays_where_a_statement_is_refused_as_well(
    matrixone_engine: Engine, prefix: str, rows: Rows
) -> None:
    """It has come out of the commit; the session that is closed later only warns."""
    session = Session(matrixone_engine)
    session.execute(text("INSERT INTO t VALUES (1)"))
    TransactionPitrManager(session).create(Pitr.table(prefix, "nosuch", "1d"))
    event.listen(session, "after_commit", _fail)
    with pytest.raises(Veto):
        session.commit()
    with pytest.warns(SAWarning, match="its PITR statements are not all done"):
        session.close()
    assert rows() == 1


def test_the_applications_error_gets_a_note_where_it_closes_the_session(
    matrixone_engine: Engine, prefix: str, rows: Rows
) -> None:
    def run() -> None:
        with Session(matrixone_engine) as session:
            session.execute(text("INSERT INTO t VALUES (1)"))
            TransactionPitrManager(session).create(Pitr.table(prefix, "nosuch", "1d"))
            event.listen(session, "after_commit", _fail)
            session.commit()

    with pytest.raises(Veto) as caught:
        run()
    assert "its PITR statements are not all done" in caught.value.__notes__[0]
    assert rows() == 1
