"""Unkept pasts are not trusted: find_changes(), diff_rows() and undo_changes() ask first."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, column, event, func, select, table, text

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    Moment,
    PastNotKeptError,
    PastNotKeptWarning,
    Pitr,
    PitrValidationError,
    as_of,
    diff_rows,
    diff_summary,
    find_change,
    find_changes,
    restore_copy,
    undo_changes,
    undo_sql,
)
from tests.clock import wait
from tests.past.tables import say, take_moment

pytestmark = pytest.mark.one_version

COUNT = select(func.count()).select_from(table("orders"))
TEXT = text("SELECT count(*) FROM orders {MO_TS = :moment}")


def undo(engine: Engine, then: Moment, **options: Any) -> None:
    with engine.begin() as connection:
        undo_changes(connection, "orders", then, **options)


READS: dict[str, Callable[..., object]] = {
    "diff_rows": lambda engine, then, **o: list(diff_rows(engine, "orders", then, **o)),
    "diff_summary": lambda engine, then, **o: diff_summary(engine, "orders", then, **o),
    "find_changes": lambda engine, then, **o: find_changes(engine, COUNT, since=then, **o),
    "find_change": lambda engine, then, **o: find_change(engine, COUNT, since=then, **o),
}
UNDOS: dict[str, Callable[..., object]] = {
    "undo_changes": undo,
    "undo_sql": lambda engine, then, **o: undo_sql(engine, "orders", then, **o),
}


@pytest.fixture
def then(engine: Engine) -> Moment:
    say(engine, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    return take_moment(engine)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_of_what_is_probable_warns(
    engine: Engine, then: Moment, read: Callable[..., object]
) -> None:
    with pytest.warns(PastNotKeptWarning, match="nothing surely keeps the history of"):
        read(engine, then)
    read(engine, then, allow_unprotected=True)
    engine.update_execution_options(matrixone_allow_unprotected=True)
    read(engine, then)


@pytest.mark.parametrize("undo", UNDOS.values(), ids=UNDOS)
def test_an_undo_to_what_is_probable_is_refused(
    engine: Engine, then: Moment, undo: Callable[..., object]
) -> None:
    with pytest.raises(PastNotKeptError, match="would delete every row"):
        undo(engine, then)
    undo(engine, then, allow_unprotected=True)


def test_what_a_policy_keeps_is_read_and_undone(engine: Engine, prefix: str) -> None:
    say(engine, "CREATE TABLE orders (id INT PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    with engine.begin() as connection:
        connection.execute(CreatePitr(Pitr.database(f"{prefix}_d", "1d")))
    wait(engine, 1.1)  # policies know seconds
    then = take_moment(engine)
    say(engine, "INSERT INTO orders VALUES (2)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for work in (*READS.values(), *UNDOS.values()):
            work(engine, then)
        assert find_change(engine, TEXT, since=then, tables=["orders"]) is not None
    assert not diff_summary(engine, "orders", then)


def test_a_text_names_its_tables(engine: Engine, then: Moment) -> None:
    with pytest.raises(PitrValidationError, match="give them as tables="):
        find_change(engine, TEXT, since=then)
    with pytest.warns(PastNotKeptWarning):
        find_change(engine, TEXT, since=then, tables=["orders"])
    assert find_change(engine, TEXT, since=then, allow_unprotected=True) is None


def read_element(engine: Engine, then: Moment, **_: Any) -> None:
    with engine.connect() as connection:
        connection.execute(select(as_of(table("orders", column("id")), then)))


def read_text(engine: Engine, then: Moment, **_: Any) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SELECT * FROM orders {then.sql}"))


def copy(engine: Engine, then: Moment, **options: Any) -> None:
    restore_copy(engine, f"{engine.url.database}.orders", then, "copied", **options)


ROADS: dict[str, Callable[..., object]] = {
    **READS,
    **UNDOS,
    "as_of": read_element,
    "text": read_text,
    "restore_copy": copy,
}


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
def test_what_the_server_says_is_gone(
    engine: Engine, then: Moment, road: Callable[..., object]
) -> None:
    """Before its caches are empty it is an error: docs/server.md, Garbage collection."""
    engine.update_execution_options(matrixone_allow_unprotected=True)
    answer = (20405, "file 01a226fb-cb7c-7796-9130-3ed1295476ea_00000 is not found")

    @event.listens_for(engine, "do_execute")
    def gone(cursor: object, statement: str, *_: object) -> None:
        if "{MO_TS" in statement and "mo_catalog" not in statement and "SHOW" not in statement:
            raise pymysql.err.OperationalError(*answer)

    with pytest.raises(PastNotKeptError, match="the server has collected what") as raised:
        road(engine, then)
    assert raised.value.errno == 20405
