"""Reports of PitrAfterCommitError: failed is what the server refused, done is what was sent."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import pytest
from sqlalchemy import Connection, CursorResult, Engine, event, text
from sqlalchemy.engine import ExceptionContext

from alembic_ext.elements import AlterNewest, CreateWhereMissing, DropNewest
from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    DropPitr,
    Pitr,
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrLockTimeoutError,
    PitrManager,
    PitrRange,
)
from sqlalchemy_matrixone_pitr.flush import nothing_sent
from sqlalchemy_matrixone_pitr.locking import account_lock
from sqlalchemy_matrixone_pitr.transaction import pending_result
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy

Names = Callable[[], list[str]]

DAY, WEEK = PitrRange.parse("1d"), PitrRange.parse("7d")


def outcome(error: PitrAfterCommitError) -> dict[str, list[str]]:
    parts = {
        "done": error.done,
        "failed": error.failed,
        "unknown": error.unknown,
        "not_tried": error.not_tried,
    }
    return {  # 4.x is told a table's with one word more
        kind: [str(element).removesuffix(" INTERNAL") for element in part]
        for kind, part in parts.items()
        if part
    }


@pytest.fixture(autouse=True)
def tables(server: Server, database: str) -> None:
    server.query("CREATE TABLE t (id INT PRIMARY KEY)", database)


# ----------------------------------------------------------------------------- listeners that raise


class Mine(Exception):
    """The application's own."""


@pytest.mark.parametrize("error", [UserWarning("late"), Mine("late"), PitrAlreadyExistsError("x")])
def test_a_listener_raises_after_the_statement_ran(
    matrixone_engine: Engine, prefix: str, pitr_names: Names, error: Exception
) -> None:
    @event.listens_for(matrixone_engine, "after_cursor_execute")
    def raise_late(conn: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("CREATE PITR"):
            raise error

    created = CreatePitr(Pitr.account(prefix, "1d"))
    with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.begin() as conn:
        conn.execute(created)
        conn.execute(DropPitr(prefix))
    assert outcome(caught.value) == {
        "unknown": [str(created)],
        "not_tried": [str(DropPitr(prefix))],
    }
    assert caught.value.__cause__ is error
    assert pitr_names() == [prefix]


def test_a_warning_that_a_filter_makes_an_error(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    @event.listens_for(matrixone_engine, "after_execute")
    def warn(conn: Connection, element: object, *_: object) -> None:
        if isinstance(element, CreatePitr):
            warnings.warn("audited", RuntimeWarning, stacklevel=1)

    with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.account(prefix, "1d")))
    assert not caught.value.failed
    assert [e.name for e in caught.value.unknown] == [prefix]
    assert pitr_names() == [prefix]


@pytest.mark.parametrize("way", ["raise", "raise from", "return"])
def test_a_handle_error_listener_raises_its_own_class(
    matrixone_engine: Engine, prefix: str, way: str
) -> None:
    def translate(context: ExceptionContext) -> Exception | None:
        if way == "raise":
            raise Mine
        if way == "raise from":
            raise Mine from context.sqlalchemy_exception
        return Mine()

    event.listen(matrixone_engine, "handle_error", translate, retval=True)
    refused = CreatePitr(Pitr.table(prefix, "missing", "1d", database_name=prefix))
    with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.connect() as conn:
        conn.execute(refused)
        conn.commit()
    assert outcome(caught.value) == {"failed": [str(refused)]}
    assert isinstance(caught.value.__cause__, Mine)
    assert caught.value.errno == 20101
    assert caught.value.name == prefix


def test_the_refusal_of_a_listeners_own_statement_is_not_ours(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    @event.listens_for(matrixone_engine, "after_cursor_execute")
    def audit(conn: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("CREATE PITR"):
            conn.exec_driver_sql("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.begin() as conn:
        conn.execute(CreatePitr(Pitr.account(prefix, "1d")))
    assert outcome(caught.value).keys() == {"unknown"}
    assert pitr_names() == [prefix]


def test_an_error_that_was_being_handled_before_is_not_ours(
    proxied_engine: Engine, proxy: Proxy, prefix: str
) -> None:
    with proxied_engine.connect() as conn:
        try:
            conn.execute(text("SELECT * FROM no_such_table"))
        except Exception:
            conn.rollback()
            conn.execute(CreatePitr(Pitr.account(prefix, "1d")))
            proxy.cut("^CREATE PITR", "before")
            with pytest.raises(PitrAfterCommitError) as caught:
                conn.commit()
        assert outcome(caught.value).keys() == {"unknown"}


# ---------------------------------------------------------- elements that decide when they are sent


def test_a_drop_of_nothing_is_not_done(matrixone_engine: Engine, prefix: str) -> None:
    """A policy that a migration drops is not there: nothing was sent."""
    refused = CreatePitr(Pitr.table(prefix, "missing", "1d", database_name=prefix))
    with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.begin() as conn:
        conn.execute(DropNewest(f"{prefix}_x", f"{prefix}_x", None, True, False))
        conn.execute(refused)
    assert outcome(caught.value) == {"failed": [str(refused)]}


def test_the_create_that_an_alter_became(matrixone_engine: Engine, prefix: str) -> None:
    """A missing policy whose target is known is created: that is what the server refuses."""
    server_takes = Pitr.table(f"{prefix}_b", "t", "7d", database_name=prefix)
    PitrManager(matrixone_engine).create(Pitr.table(prefix, "t", "1d", database_name=prefix))
    alter = AlterNewest(f"{prefix}_b", WEEK, f"{prefix}_b", server_takes)
    with (
        pytest.warns(match="alter_pitr creates it"),
        pytest.raises(PitrAfterCommitError) as caught,
        matrixone_engine.begin() as conn,
    ):
        conn.execute(alter)
    assert outcome(caught.value) == {"failed": [str(CreatePitr(server_takes))]}
    assert isinstance(caught.value.failed[0], CreatePitr)
    assert isinstance(caught.value.__cause__, PitrAlreadyExistsError)


def test_what_an_alter_became_is_done(
    matrixone_engine: Engine, prefix: str, pitr_names: Names
) -> None:
    there = Pitr.table(prefix, "t", "7d", database_name=prefix)
    refused = CreatePitr(Pitr.table(f"{prefix}_b", "missing", "1d", database_name=prefix))
    with matrixone_engine.connect() as conn:
        conn.execute(AlterNewest(prefix, WEEK, prefix, there))
        conn.execute(refused)
        with (
            pytest.warns(match="alter_pitr creates it"),
            pytest.raises(PitrAfterCommitError) as caught,
        ):
            conn.commit()
    assert outcome(caught.value) == {
        "done": [str(CreatePitr(there))],
        "failed": [str(refused)],
    }
    assert pitr_names() == [prefix]


def test_our_own_refusal_is_not_the_servers(matrixone_engine: Engine, prefix: str) -> None:
    pitr = Pitr.table(prefix, "t", "1d", database_name=prefix)
    PitrManager(matrixone_engine).create(pitr)
    expected = pytest.raises(PitrAfterCommitError, match="with range 1d")
    with expected as caught, matrixone_engine.begin() as conn:
        conn.execute(CreateWhereMissing(pitr.with_range(WEEK)))
    assert outcome(caught.value).keys() == {"not_tried"}
    assert caught.value.name == prefix
    assert isinstance(caught.value.__cause__, PitrAlreadyExistsError)


def test_the_lock_is_not_had(
    matrixone_engine: Engine, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alembic_ext.elements.account_lock", lambda one: account_lock(one, 0.3))
    create = CreateWhereMissing(Pitr.account(prefix, "1d"))
    lost = pytest.raises(PitrAfterCommitError)
    with account_lock(matrixone_engine), lost as caught, matrixone_engine.begin() as conn:
        conn.execute(create)
    assert outcome(caught.value) == {"not_tried": [str(create)]}
    assert isinstance(caught.value.__cause__, PitrLockTimeoutError)


def test_control_c_while_waiting_for_the_lock(
    matrixone_engine: Engine, prefix: str, interrupt: Interrupt
) -> None:
    create = CreateWhereMissing(Pitr.account(prefix, "1d"))
    with account_lock(matrixone_engine):
        threading.Timer(1, interrupt).start()
        with pytest.raises(KeyboardInterrupt) as caught, matrixone_engine.begin() as conn:
            conn.execute(create)
    (note,) = (n for n in caught.value.__notes__ if "is committed" in n)
    assert f"not tried: {create}" in note
    assert "unknown" not in note


class _TwoInOne(CreatePitr):
    """Sends a DROP and then itself, as a subclass may."""

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return self

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        DropPitr(self.name, if_exists=True)._send(connection, options)
        connection.exec_driver_sql("COMMIT")
        return super()._send(connection, options)


class _GivenUp(DropPitr):
    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        super()._send(connection, options)
        nothing_sent(options)
        return pending_result(connection)


def test_each_of_two_statements_is_reported(matrixone_engine: Engine, prefix: str) -> None:
    element = _TwoInOne(Pitr.table(prefix, "missing", "1d", database_name=prefix))
    with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.begin() as conn:
        conn.execute(_GivenUp(f"{prefix}_x", if_exists=True))
        conn.execute(element)
    assert outcome(caught.value) == {
        "done": [str(DropPitr(prefix, if_exists=True))],
        "failed": [str(element)],
    }


# ------------------------------------------------------------------------ many in one transaction


def test_many_of_the_users_go_one_after_the_other(
    matrixone_engine: Engine, prefix: str, server: Server, pitr_names: Names
) -> None:
    """On the transaction's connection, however many: the first that is refused ends it."""
    senders = set()

    @event.listens_for(matrixone_engine, "before_cursor_execute")
    def note(conn: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("CREATE PITR"):
            senders.add(conn)

    names = [f"{prefix}_{number:02}" for number in range(40)]
    for name in names:
        if name != names[30]:
            server.query(f"CREATE DATABASE {name}")
    try:
        with pytest.raises(PitrAfterCommitError) as caught, matrixone_engine.begin() as conn:
            for name in names:
                conn.execute(CreatePitr(Pitr.database(name, "1d", database_name=name)))
        error = caught.value
        assert [element.pitr_name for element in error.done] == names[:30]
        assert [element.pitr_name for element in error.failed] == names[30:31]
        assert [element.pitr_name for element in error.not_tried] == names[31:]
        assert pitr_names() == names[:30]
        assert senders == {conn}
    finally:
        for name in names:
            server.query(f"DROP DATABASE IF EXISTS {name}")
