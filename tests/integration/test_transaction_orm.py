"""The rule of transaction.py in ORM sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, String, create_engine, event, func, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, SAWarning
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    scoped_session,
    sessionmaker,
)

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    DropPitr,
    Pitr,
    PitrAfterCommitError,
    PitrTransactionError,
    TransactionPitrManager,
    pending_pitrs,
)
from tests.conftest import Server
from tests.proxy import Proxy, When

Names = Callable[[], list[str]]


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(String(40))


class Stock(Base):
    __tablename__ = "stock"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> None:
    Base.metadata.create_all(engine)


def count(engine: Engine) -> int:
    with engine.connect() as conn:
        return conn.scalars(select(func.count()).select_from(Order)).one()


def test_session_commit(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with Session(engine) as session:
        order = Order(note="a")
        session.add(order)
        session.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
        session.flush()
        assert pitr_names() == []
        session.commit()
        assert pitr_names() == [prefix]
        assert order.note == "a"
    assert count(engine) == 1


def test_session_rollback(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with Session(engine) as session:
        session.add(Order(note="a"))
        session.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
        session.rollback()
        session.commit()
    assert pitr_names() == []
    assert count(engine) == 0


def test_sessionmaker_begin_and_exception(engine: Engine, prefix: str, pitr_names: Names) -> None:
    make = sessionmaker(engine)
    with pytest.raises(ZeroDivisionError), make.begin() as session:
        session.execute(CreatePitr(Pitr.table(f"{prefix}_a", "orders", "7d")))
        _ = 1 / 0
    with make.begin() as session:
        session.execute(CreatePitr(Pitr.table(f"{prefix}_b", "orders", "7d")))
    assert pitr_names() == [f"{prefix}_b"]


@pytest.mark.parametrize(
    ("mode", "session_commits"),
    [
        ("conditional_savepoint", False),
        ("rollback_only", False),
        ("control_fully", True),
        ("create_savepoint", False),
    ],
)
def test_join_transaction_modes(
    engine: Engine, prefix: str, pitr_names: Names, mode: str, session_commits: bool
) -> None:
    with engine.connect() as conn:
        transaction = conn.begin()
        with Session(conn, join_transaction_mode=mode) as session:  # type: ignore[arg-type]
            session.add(Order(note="a"))
            session.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
            session.commit()
            assert pitr_names() == ([prefix] if session_commits else [])
        if transaction.is_active:
            transaction.commit()
        assert pitr_names() == [prefix]
    assert count(engine) == 1


@pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
def test_outer_rollback_discards(engine: Engine, prefix: str, pitr_names: Names, mode: str) -> None:
    with engine.connect() as conn:
        transaction = conn.begin()
        with Session(conn, join_transaction_mode=mode) as session:  # type: ignore[arg-type]
            session.add(Order(note="a"))
            TransactionPitrManager(session).create(Pitr.table(prefix, "orders", "7d"))
            session.commit()
        transaction.rollback()
    assert pitr_names() == []
    assert count(engine) == 0


def test_several_binds(
    engine: Engine, server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    second = create_engine(server.url(database=database))
    session = Session(binds={Order: engine, Stock: second})
    session.add(Order(note="a"))
    create = Pitr.table(f"{prefix}_a", "orders", "7d")
    session.execute(CreatePitr(create), bind_arguments={"mapper": Order})
    TransactionPitrManager(session, {"mapper": Stock}).create(
        Pitr.table(f"{prefix}_b", "stock", "7d")
    )
    session.commit()
    session.close()
    assert pitr_names() == [f"{prefix}_a", f"{prefix}_b"]
    second.dispose()


def test_several_binds_all_commit_and_all_errors_are_told(
    engine: Engine, server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    second = create_engine(server.url(database=database))
    session = Session(binds={Order: engine, Stock: second})
    order = Order(note="a")
    session.add(order)
    for number, mapper in enumerate((Order, Stock)):
        manager = TransactionPitrManager(session, {"mapper": mapper})
        manager.create(Pitr.table(f"{prefix}_{number}", "missing", "7d"))
        manager.create(Pitr.table(f"{prefix}_{number}x", mapper.__tablename__, "7d"))
    with pytest.raises(PitrAfterCommitError) as caught:
        session.commit()
    assert {e.name for e in caught.value.failed} == {f"{prefix}_0", f"{prefix}_1"}
    assert {e.name for e in caught.value.not_tried} == {f"{prefix}_0x", f"{prefix}_1x"}
    assert inspect(order).persistent
    assert session.scalar(select(func.count()).select_from(Order)) == 1
    session.close()
    assert pitr_names() == []
    second.dispose()


def test_another_bind_that_fails_to_commit_is_told_with_what_was_not_sent(
    engine: Engine, server: Server, database: str, prefix: str, pitr_names: Names
) -> None:
    second = create_engine(server.url(database=database))
    committed: list[object] = []

    def fail_second(conn: object) -> None:
        committed.append(conn)
        if len(committed) == 2:
            raise ZeroDivisionError("the other bind")

    def prepare(session: Session) -> None:
        committed.clear()
        for number, mapper in enumerate((Order, Stock)):
            manager = TransactionPitrManager(session, {"mapper": mapper})
            manager.create(Pitr.table(f"{prefix}_{number}", mapper.__tablename__, "7d"))

    event.listen(engine, "commit", fail_second)
    event.listen(second, "commit", fail_second)
    binds: dict[Any, Engine | Connection] = {Order: engine, Stock: second}
    with pytest.raises(ZeroDivisionError) as caught, Session(binds=binds) as session:
        prepare(session)
        session.commit()
    (note,) = caught.value.__notes__
    assert "not tried: CREATE PITR" in note

    session = Session(binds=binds)
    prepare(session)
    with pytest.raises(ZeroDivisionError):
        session.commit()
    # the application's error has come out of the commit; it is told once more, not replaced
    with pytest.warns(SAWarning, match="not tried: CREATE PITR"):
        session.close()
    assert pitr_names() == []
    second.dispose()


def test_error_with_a_plain_session_comes_out_of_commit(engine: Engine, prefix: str) -> None:
    with Session(engine) as session:
        session.add(Order(note="a"))
        session.execute(CreatePitr(Pitr.table(prefix, "missing", "7d")))
        with pytest.raises(PitrAfterCommitError):
            session.commit()
    assert count(engine) == 1


def test_error_with_the_manager_leaves_objects_persistent(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with Session(engine) as session:
        order = Order(note="a")
        session.add(order)
        manager = TransactionPitrManager(session)
        manager.create(Pitr.table(f"{prefix}_a", "orders", "7d"))
        manager.create(Pitr.table(f"{prefix}_b", "missing", "7d"))
        with pytest.raises(PitrAfterCommitError) as caught:
            session.commit()
        assert [e.name for e in caught.value.done] == [f"{prefix}_a"]
        assert [e.name for e in caught.value.failed] == [f"{prefix}_b"]
        assert inspect(order).persistent
        order.note = "b"
        session.commit()
        assert session.scalar(select(Order.note)) == "b"
    assert pitr_names() == [f"{prefix}_a"]


def test_connection_lost_after_commit_with_the_manager(
    server: Server, database: str, engine: Engine, prefix: str, proxy: Proxy
) -> None:
    through = create_engine(server.url(database=database, port=proxy.port))
    with Session(through) as session:
        order = Order(note="a")
        session.add(order)
        TransactionPitrManager(session).create(Pitr.table(prefix, "orders", "7d"))
        proxy.cut("^CREATE PITR", "before")
        with pytest.raises(PitrAfterCommitError) as caught:
            session.commit()
        assert [e.name for e in caught.value.unknown] == [prefix]
        assert inspect(order).persistent
        order.note = "b"
        session.commit()
    through.dispose()
    assert count(engine) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_connection_lost_at_the_commit_itself(
    server: Server, database: str, prefix: str, proxy: Proxy, pitr_names: Names, when: When
) -> None:
    through = create_engine(server.url(database=database, port=proxy.port))
    session = Session(through)
    session.add(Order(note="a"))
    TransactionPitrManager(session).create(Pitr.table(prefix, "orders", "7d"))
    session.flush()
    proxy.cut("^COMMIT", when)
    with pytest.raises(DBAPIError) as caught:
        session.commit()
    assert "not sent: CREATE PITR" in caught.value.__notes__[0]
    assert "committed" not in str(caught.value.__notes__)
    session.rollback()  # says nothing of a committed transaction, and raises nothing
    session.add(Order(note="b"))
    session.commit()
    session.close()
    through.dispose()
    assert pitr_names() == []


def test_a_listener_of_the_users_that_raises_hides_nothing(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with Session(engine) as session:

        @event.listens_for(session, "after_transaction_end")
        def fail(session: Session, transaction: object) -> None:
            raise ZeroDivisionError

        TransactionPitrManager(session).create(Pitr.table(prefix, "missing", "7d"))
        with pytest.raises(PitrAfterCommitError):
            session.commit()
        event.remove(session, "after_transaction_end", fail)
        session.add(Order(note="a"))
        session.commit()
    assert count(engine) == 1


def test_flush_error_before_commit_sends_nothing(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with Session(engine) as session:
        session.add(Order(id=7, note="a"))
        session.commit()
        TransactionPitrManager(session).create(Pitr.table(prefix, "orders", "7d"))
        session.add(Order(id=7, note="again"))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        session.commit()
    assert pitr_names() == []


def test_begin_nested(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with Session(engine) as session:
        with session.begin_nested():
            TransactionPitrManager(session).create(Pitr.table(prefix, "orders", "7d"))
        assert pitr_names() == []
        session.commit()
    assert pitr_names() == [prefix]


def test_failed_savepoint_in_a_session(engine: Engine, prefix: str, pitr_names: Names) -> None:
    with Session(engine) as session:
        session.execute(CreatePitr(Pitr.table(prefix, "orders", "7d")))
        session.add(Order(note="a"))
        nested = session.begin_nested()
        session.execute(text("SELECT 1"))
        with pytest.raises(Exception, match="savepoint"):
            nested.rollback()
        with pytest.raises((PitrTransactionError, PendingRollbackError)):
            session.commit()
        session.rollback()
    assert pitr_names() == []
    assert count(engine) == 0


def test_scoped_session(engine: Engine, prefix: str, pitr_names: Names) -> None:
    scoped = scoped_session(sessionmaker(engine))
    TransactionPitrManager(scoped).create(Pitr.table(prefix, "orders", "7d"))
    scoped.commit()
    assert pitr_names() == [prefix]
    assert TransactionPitrManager(scoped).delete(prefix)
    scoped.commit()
    scoped.remove()
    assert pitr_names() == []


def test_session_reused_for_several_transactions(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with Session(engine) as session:
        manager = TransactionPitrManager(session)
        for number in range(3):
            manager.create(Pitr.table(prefix, "orders", f"{number + 1}d"))
            session.commit()
            assert pitr_names() == [prefix]
            assert pending_pitrs(session.connection()) == []
            manager.delete(prefix)
            session.commit()
            assert pitr_names() == []


def test_after_create_listener_in_a_session_bound_to_a_connection(
    engine: Engine, prefix: str, pitr_names: Names
) -> None:
    with Session(engine) as session:
        session.execute(DropPitr(prefix, if_exists=True))
        session.connection().execute(text("CREATE TABLE more (id INT PRIMARY KEY)"))
        session.execute(CreatePitr(Pitr.table(prefix, "more", "7d")))
        session.commit()
    assert pitr_names() == [prefix]
