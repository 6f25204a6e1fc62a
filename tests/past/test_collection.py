"""After a collection: what is kept is read right, and what is lost is not taken for empty."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.util import ClauseAdapter

from sqlalchemy_matrixone_pitr import (
    CreatePitr,
    Kept,
    Moment,
    PastNotKeptError,
    PastNotKeptWarning,
    Pitr,
    as_of,
    check_kept,
    diff_rows,
    diff_summary,
    dropped_objects,
    find_changes,
    past_session,
    restore_copy,
    undo_changes,
    undrop,
)
from tests.clock import wait
from tests.conftest import Server
from tests.past.tables import rows_of, say, take_moment

pytestmark = pytest.mark.emulator_only

goods = Table(
    "goods",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("u", Integer),
    Column("g", Integer, index=True),
    UniqueConstraint("u", name="u"),
)
ROWS = [(1, 10, 5), (2, 20, 5), (77, 30, 6)]
NOW = [(2, 20, 8), (78, 40, 5)]
HOURS = dt.timedelta(hours=2)


@pytest.fixture
def collect(server: Server) -> Callable[[], None]:
    """Let two hours pass, and have everything collected that nothing keeps."""
    emulator = server.emulator
    assert emulator is not None

    def run() -> None:
        emulator.advance(HOURS)
        emulator.collect_garbage()

    return run


def changed(engine: Engine, *pitrs: Pitr) -> Moment:
    """A moment at which goods had ROWS and these policies; it has NOW since."""
    goods.create(engine)
    with engine.begin() as connection:
        for pitr in pitrs:
            connection.execute(CreatePitr(pitr))
    wait(engine, 1.1 if pitrs else 0)  # policies know seconds
    say(engine, "INSERT INTO goods VALUES (1, 10, 5), (2, 20, 5), (77, 30, 6)")
    then = take_moment(engine)
    say(
        engine,
        "DELETE FROM goods WHERE id IN (1, 77)",
        "UPDATE goods SET g = 8 WHERE id = 2",
        "INSERT INTO goods VALUES (78, 40, 5)",
    )
    return then


@pytest.fixture
def by_table(matrixone_engine: Engine, prefix: str) -> Moment:
    return changed(matrixone_engine, Pitr.table(f"{prefix}_t", "goods", "1d"))


CONDITIONS = [goods.c.u == 30, goods.c.g == 6, goods.c.u.in_([30, 40])]


def of_element(engine: Engine, then: Moment, where: Any) -> list[int]:
    past = as_of(goods, then)
    wanted = select(past.c.id).where(ClauseAdapter(past).traverse(where))
    with engine.connect() as connection:
        return list(connection.scalars(wanted))


def of_option(engine: Engine, then: Moment, where: Any) -> list[int]:
    with engine.execution_options(matrixone_as_of=then).connect() as connection:
        return list(connection.scalars(select(goods.c.id).where(where)))


def of_session(engine: Engine, then: Moment, where: Any) -> list[int]:
    with past_session(engine, then) as past:
        return list(past.scalars(select(goods.c.id).where(where)))


def of_change(engine: Engine, then: Moment, where: Any) -> list[int]:
    wanted = select(func.max(goods.c.id)).where(where, goods.c.id < 78)
    [change] = find_changes(engine, wanted, since=then, samples=2)
    return [change.value_before]


def of_rows(engine: Engine, then: Moment, where: Any) -> list[int]:
    found = diff_rows(engine, goods, then, where=where)
    return [change.key[0] for change in found if change.before is not None]


ROADS = [of_element, of_option, of_session, of_change, of_rows]


def test_lost_indexes_are_not_read(
    matrixone_engine: Engine, by_table: Moment, collect: Callable[[], None]
) -> None:
    """Under a table's own policy: a read through them would find nothing."""
    collect()
    with matrixone_engine.connect() as connection:
        raw = f"SELECT id FROM goods {by_table.sql} WHERE u = 30"
        assert connection.exec_driver_sql(raw).all() == []
    for road, where in itertools.product(ROADS, CONDITIONS):
        assert road(matrixone_engine, by_table, where) == [77]


def test_a_databases_policy_keeps_all(
    matrixone_engine: Engine, prefix: str, collect: Callable[[], None]
) -> None:
    then = changed(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    collect()
    for road, where in itertools.product(ROADS, CONDITIONS):
        assert road(matrixone_engine, then, where) == [77]


def check_indexes(engine: Engine, table: str) -> None:
    """Look-ups by both indexes, a duplicate, and a DELETE are as they should be."""
    with engine.connect() as connection:

        def ids(where: str) -> list[int]:
            found = connection.exec_driver_sql(f"SELECT id FROM {table} WHERE {where} ORDER BY id")
            return list(found.scalars())

        assert (ids("u = 30"), ids("g = 5")) == ([77], [1, 2])
    with pytest.raises(DBAPIError):
        say(engine, f"INSERT INTO {table} VALUES (5, 30, 5)")
    say(engine, f"DELETE FROM {table} WHERE id = 77")
    assert rows_of(engine, table) == ROWS[:2]


def test_an_undo_under_a_tables_policy(
    matrixone_engine: Engine, by_table: Moment, collect: Callable[[], None]
) -> None:
    collect()
    with matrixone_engine.begin() as connection:
        assert undo_changes(connection, goods, by_table).complete
    assert rows_of(matrixone_engine, "goods") == ROWS
    assert not diff_summary(matrixone_engine, goods, by_table)
    check_indexes(matrixone_engine, "goods")


def test_copies_under_a_tables_policy(
    matrixone_engine: Engine, by_table: Moment, collect: Callable[[], None]
) -> None:
    """They are made by rows: a CLONE would have broken indexes."""
    engine = matrixone_engine
    collect()
    report = restore_copy(engine, goods, by_table, "copied")
    assert [table.cloned for table in report.tables] == [False]
    check_indexes(engine, "copied")
    with engine.begin() as connection:
        undo_changes(connection, goods, by_table)
    start = take_moment(engine)
    say(engine, "DROP TABLE goods")
    collect()
    (dropped,) = dropped_objects(engine, database=engine.url.database, since=start, samples=8)
    assert (dropped.kept, dropped.indexes) == (Kept.KEPT, False)
    undrop(engine, dropped)
    check_indexes(engine, "goods")


def test_a_key_whose_index_is_lost(
    matrixone_engine: Engine, prefix: str, collect: Callable[[], None]
) -> None:
    """Rows without a primary key, which a UNIQUE one tells apart."""
    engine = matrixone_engine
    say(engine, "CREATE TABLE odd (u INT NOT NULL UNIQUE, v INT)")
    with engine.begin() as connection:
        connection.execute(CreatePitr(Pitr.table(f"{prefix}_o", "odd", "1d")))
    wait(engine, 1.1)
    say(engine, "INSERT INTO odd VALUES (1, 1), (2, 2)")
    then = take_moment(engine)
    say(engine, "DELETE FROM odd WHERE u = 1", "UPDATE odd SET v = 5 WHERE u = 2")
    collect()
    assert [change.key for change in diff_rows(engine, "odd", then)] == [(1,), (2,)]
    with engine.begin() as connection:
        assert undo_changes(connection, "odd", then).complete
    assert rows_of(engine, "odd") == [(1, 1), (2, 2)]


UNKEPT: list[Callable[[Engine, Moment], object]] = [
    lambda engine, then: check_kept(engine, goods, then),
    lambda engine, then: of_element(engine, then, goods.c.u == 30),
    lambda engine, then: of_option(engine, then, goods.c.u == 30),
    lambda engine, then: of_session(engine, then, goods.c.u == 30),
    lambda engine, then: of_change(engine, then, goods.c.u == 30),
    lambda engine, then: of_rows(engine, then, goods.c.u == 30),
    lambda engine, then: diff_summary(engine, goods, then),
    lambda engine, then: restore_copy(engine, goods, then, "copied"),
]


def test_what_nothing_kept_is_refused(
    matrixone_engine: Engine, collect: Callable[[], None]
) -> None:
    engine = matrixone_engine
    then = changed(engine)
    collect()
    with engine.connect() as connection:  # OK, and no rows
        raw = f"SELECT count(*) FROM goods {then.sql}"
        assert connection.exec_driver_sql(raw).scalar() == 0
    for road in UNKEPT:
        with pytest.raises(PastNotKeptError):
            road(engine, then)
    with pytest.raises(PastNotKeptError), engine.begin() as connection:
        undo_changes(connection, goods, then)
    assert rows_of(engine, "goods") == NOW
    assert "copied" not in _tables(engine)
    allowed = diff_summary(engine, goods, then, allow_unprotected=True)
    assert (allowed.inserted, allowed.updated, allowed.deleted) == (2, 0, 0)


def test_what_was_collected_early_is_not_undone(matrixone_engine: Engine, server: Server) -> None:
    """Younger than an hour it may be there, and need not: reads warn, an undo is refused."""
    engine = matrixone_engine
    then = changed(engine)
    assert server.emulator is not None
    server.emulator.collect_garbage(ttl=dt.timedelta())
    with pytest.warns(PastNotKeptWarning, match="where it has, it answers with no rows"):
        assert of_option(engine, then, goods.c.u == 30) == []
    with pytest.raises(PastNotKeptError, match="delete every row"), engine.begin() as connection:
        undo_changes(connection, goods, then)
    assert rows_of(engine, "goods") == NOW


def test_what_was_dropped_and_collected_is_listed_and_not_undropped(
    matrixone_engine: Engine, collect: Callable[[], None]
) -> None:
    engine = matrixone_engine
    then = changed(engine)
    say(engine, "DROP TABLE goods")
    collect()
    (dropped,) = dropped_objects(engine, database=engine.url.database, since=then, samples=8)
    assert dropped.kept is Kept.NOT_KEPT
    with pytest.raises(PastNotKeptError, match="it would come back empty"):
        undrop(engine, dropped)
    assert _tables(engine) == []
    assert undrop(engine, dropped, allow_unprotected=True).rows == 0


def _tables(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SHOW TABLES").scalars())
