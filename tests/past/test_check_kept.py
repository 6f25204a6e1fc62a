"""Reads of the past ask first what keeps it."""

from __future__ import annotations

import asyncio
import datetime as dt
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from matrixone_emulator import Emulator
from sqlalchemy_matrixone_pitr import (
    Kept,
    Moment,
    PastNotKeptError,
    PastNotKeptWarning,
    Pitr,
    PitrValidationError,
    as_of,
    check_kept,
    check_kept_async,
    find_changes,
    past_session,
)
from tests.conftest import Say, Server
from tests.past.conftest import take_moment
from tests.policies import protect
from tests.proxy import Proxy

meta = MetaData()
crates = Table("crates", meta, Column("id", Integer, primary_key=True), Column("v", String(9)))


@pytest.fixture
def plain(engine: Engine) -> Engine:
    """An engine whose database has a table, and no policy."""
    meta.create_all(engine)
    return engine


def read(engine: Engine, statement: Select[Any], **options: Any) -> None:
    with engine.connect() as connection:
        connection.execute(statement, execution_options=options)


def read_in_session(engine: Engine, at: Moment) -> None:
    with past_session(engine, at) as past:
        past.execute(select(crates))


ROADS: list[Callable[[Engine, Moment], object]] = [
    lambda engine, at: check_kept(engine, crates, at),
    lambda engine, at: read(engine, select(as_of(crates, at))),
    lambda engine, at: read(engine.execution_options(matrixone_as_of=at), select(crates)),
    lambda engine, at: read(engine, select(crates), matrixone_as_of=at),
    read_in_session,
]


@pytest.mark.parametrize("road", ROADS, ids=map(str, range(len(ROADS))))
def test_every_road_asks(plain: Engine, prefix: str, road: Callable[..., Any]) -> None:
    with pytest.warns(PastNotKeptWarning, match=r"\.crates at .*no policy is for it.*Pitr\.datab"):
        road(plain, Moment.now(plain))
    protect(plain, Pitr.database(f"{prefix}_d", "1d"))
    plain.dialect.__dict__.pop("_matrixone_kept", None)
    road(plain, Moment.now(plain))
    with pytest.raises(PitrValidationError, match="lies in the future"):
        road(plain, Moment.now(plain) + dt.timedelta(minutes=1))


@pytest.mark.parametrize("road", ROADS[1:], ids=map(str, range(1, len(ROADS))))
def test_unprotected_on_request(plain: Engine, road: Callable[..., Any]) -> None:
    allowed = plain.execution_options(matrixone_allow_unprotected=True)
    if road is not ROADS[-1]:
        road(allowed, Moment.now(plain))
    with pytest.raises(PitrValidationError, match="lies in the future"):
        road(allowed, Moment.now(plain) + dt.timedelta(minutes=1))
    now = Moment.now(plain)
    with past_session(plain, now, allow_unprotected=True) as past:
        assert past.execute(select(crates)).all() == []
    assert check_kept(plain, "crates", now, allow_unprotected=True)[0].kept is Kept.PROBABLE


def test_a_table_and_its_names(plain: Engine, database: str, prefix: str) -> None:
    protect(plain, Pitr.table(f"{prefix}_t", "crates", "1d"))
    now = Moment.now(plain)
    for name in ("crates", "CRATES", f"{database}.crates", crates, [crates, "crates"]):
        (verdict, *_) = check_kept(plain, name, now)
        assert (verdict.database_name, verdict.table_name) == (database, "crates")
        assert (verdict.kept, verdict.by, verdict.indexes) == (Kept.KEPT, (f"{prefix}_t",), False)
    assert check_kept(plain, "mo_catalog.mo_tables", now) == []
    for wrong in (5, "a.", "", None, crates.c.id):
        with pytest.raises(PitrValidationError):
            check_kept(plain, wrong, now)


def test_a_rebuilt_table(plain: Engine, prefix: str) -> None:
    protect(plain, Pitr.table(f"{prefix}_t", "crates", "1d"))
    before = take_moment(plain)
    with plain.begin() as connection:
        connection.execute(text("ALTER TABLE crates ADD COLUMN w INT"))
    after = take_moment(plain)
    assert check_kept(plain, crates, before)[0].kept is Kept.KEPT
    with pytest.warns(PastNotKeptWarning, match="is another one to the server"):
        check_kept(plain, crates, after)
    fresh = Table("fresh", MetaData(), Column("id", Integer))
    fresh.create(plain)
    assert check_kept(plain, fresh, after)[0].kept is Kept.ABSENT


def test_four_statements(plain: Engine, prefix: str) -> None:
    protect(plain, Pitr.table(f"{prefix}_t", "crates", "1d"))
    many = [Table(f"t{number}", MetaData(), Column("id", Integer)) for number in range(5)]
    for table in many:
        table.create(plain)
    now = Moment.now(plain)
    sent: list[str] = []
    event.listen(plain, "before_cursor_execute", lambda *a: sent.append(a[2]))
    check_kept(plain, crates, Moment.now(plain))
    assert len([one for one in sent if "FROM" in one or "PITR" in one]) == 4
    sent.clear()
    check_kept(plain, [crates, *many], now, allow_unprotected=True)  # nothing keeps many
    assert len([one for one in sent if "FROM" in one or "PITR" in one]) == 5
    sent.clear()
    check_kept(plain, [crates, *many], now, allow_unprotected=True)  # of the last minute
    assert len(sent) <= 1
    with plain.connect() as connection:
        connection.execute(select(as_of(crates, now)))
        sent.clear()
        connection.execute(select(as_of(crates, now)))
        assert len(sent) == 1


def test_an_account_of_its_own(server: Server, plain: Engine) -> None:
    """Nothing of the caller's connection is touched."""
    now = Moment.now(plain)
    with plain.connect() as connection:
        with pytest.warns(PastNotKeptWarning):
            check_kept(connection, crates, now)
        assert not connection.in_transaction()
    with Session(plain) as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", PastNotKeptWarning)
        session.execute(select(crates))
        check_kept(session, crates, now)


@pytest.mark.emulator_only
def test_what_is_gone_is_refused() -> None:
    with Emulator(version="4.2.0") as server:
        engine = create_engine(server.url())
        with engine.begin() as connection:
            connection.execute(text("CREATE DATABASE shop"))
        engine.dispose()
        engine = create_engine(server.url(database="shop"))
        meta.create_all(engine)
        old = take_moment(engine)
        server.advance(dt.timedelta(hours=2))
        refused = pytest.raises(PastNotKeptError, match=r"nothing keeps the history of shop\.crat")
        for road in ROADS:
            with refused:
                road(engine, old)
        protect(engine, Pitr.database("d", "1d", database_name="shop"))
        young = take_moment(engine)
        server.advance(dt.timedelta(hours=20))
        engine.dialect.__dict__.pop("_matrixone_kept", None)
        for road in ROADS:
            road(engine, young)
            with pytest.raises(PastNotKeptError, match="d was made later"):
                road(engine, old)
        server.advance(dt.timedelta(hours=6))
        engine.dialect.__dict__.pop("_matrixone_kept", None)
        with pytest.raises(PastNotKeptError, match="d reaches back 1d, to 20"):
            check_kept(engine, crates, young)
        with past_session(engine, young, allow_unprotected=True) as past:
            assert past.execute(select(crates)).all() == []
        engine.dispose()


def test_async(make_async_engine: Callable[..., AsyncEngine], plain: Engine) -> None:
    now = Moment.now(plain)

    async def read() -> None:
        made = make_async_engine()
        with pytest.warns(PastNotKeptWarning):
            assert [one.kept for one in await check_kept_async(made, crates, now)] == [
                Kept.PROBABLE
            ]
        async with made.connect() as connection:
            with pytest.warns(PastNotKeptWarning):
                await connection.execute(select(as_of(crates, now)))
        await made.dispose()

    asyncio.run(read())


# ----------------------------------------------------------------------------------------- indexes


def test_no_index_is_read_under_a_tables_policy(plain: Engine, database: str, prefix: str) -> None:
    """Its history is not kept there: the table is scanned, which the planner obeys."""
    from sqlalchemy_matrixone_pitr import PastError

    with plain.begin() as connection:
        connection.execute(text("ALTER TABLE crates ADD UNIQUE KEY uv (v)"))
        connection.execute(crates.insert(), [{"id": n, "v": f"v{n}"} for n in range(1, 10)])
    protect(plain, Pitr.table(f"{prefix}_t", "crates", "1d"))
    then = take_moment(plain)
    with plain.begin() as connection:
        connection.execute(crates.update().where(crates.c.id == 3).values(v="new"))
    sent: list[str] = []
    event.listen(plain, "before_cursor_execute", lambda *a: sent.append(a[2]))
    past, alias = as_of(crates, then), crates.alias("c")
    wanted = select(past.c.id).where(past.c.v == "v3")
    with plain.connect() as connection:
        for _ in range(2):
            assert connection.scalars(wanted).all() == [3]
            assert "LIMIT 18446744073709551615) AS crates_1" in sent[-1]
        connection.execution_options(matrixone_as_of=then)
        assert connection.scalars(select(crates.c.id).where(crates.c.v == "v3")).all() == [3]
        assert "(SELECT * FROM crates {MO_TS = " in sent[-1]
        assert "LIMIT 18446744073709551615) AS crates" in sent[-1]
        both = select(crates.c.id, alias.c.id).join(alias, alias.c.id == crates.c.id)
        assert connection.execute(both.where(alias.c.v == "v3")).all() == [(3, 3)]
        assert sent[-1].count("LIMIT 18446744073709551615") == 2
        far = Table("crates", MetaData(), Column("id", Integer), schema=database)
        other = far.alias()
        assert connection.scalars(select(other.c.id).where(other.c.id == 3)).all() == [3]
        with pytest.raises(PastError, match="give it an alias"):
            connection.execute(select(far.c.id))
    protect(plain, Pitr.database(f"{prefix}_d", "1d"))
    later = take_moment(plain)
    plain.dialect.__dict__.pop("_matrixone_kept", None)
    with plain.connect() as connection:
        found = connection.scalars(select(as_of(crates, later).c.id)).all()
        assert sorted(found) == list(range(1, 10))
        assert "LIMIT" not in sent[-1]


@pytest.fixture
def reads_by_value(plain: Engine, prefix: str) -> Iterator[tuple[Moment, list[str]]]:
    """A moment at which a table's policy keeps a row with a UNIQUE value, deleted since; and the
    reads of the past by that value, whoever sends them."""
    with plain.begin() as connection:
        connection.execute(text("ALTER TABLE crates ADD UNIQUE KEY uv (v)"))
        connection.execute(crates.insert(), [{"id": 7, "v": "v7"}])
    protect(plain, Pitr.table(f"{prefix}_t", "crates", "1d"))
    then = take_moment(plain)
    with plain.begin() as connection:
        connection.execute(crates.delete().where(crates.c.id == 7))
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        if "v = " in arguments[2]:
            sent.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    yield then, sent
    event.remove(Engine, "before_cursor_execute", note)


BY_VALUE = select(crates.c.id).where(crates.c.v == "v7")


def _of_option(engine: Engine, then: Moment) -> Any:
    past = engine.execution_options(matrixone_as_of=then, matrixone_allow_unprotected=True)
    with past.connect() as connection:
        return connection.scalar(BY_VALUE)


def _of_element(engine: Engine, then: Moment) -> Any:
    past = as_of(crates, then)
    with engine.execution_options(matrixone_allow_unprotected=True).connect() as connection:
        return connection.scalar(select(past.c.id).where(past.c.v == "v7"))


def _of_session(engine: Engine, then: Moment) -> Any:
    with past_session(engine, then, allow_unprotected=True) as past:
        return past.scalar(BY_VALUE)


def _of_change(engine: Engine, then: Moment) -> Any:
    [change] = find_changes(engine, BY_VALUE, since=then, samples=2, allow_unprotected=True)
    return change.value_before


@pytest.mark.parametrize("road", [_of_option, _of_element, _of_session, _of_change])
def test_nor_where_the_caller_allows_what_nothing_keeps(
    plain: Engine, reads_by_value: tuple[Moment, list[str]], road: Callable[..., Any]
) -> None:
    then, sent = reads_by_value
    assert road(plain, then) == 7
    assert sent
    for statement in sent:  # once: an engine with options hears the listeners twice
        assert statement.count("LIMIT 18446744073709551615) AS crates") == 1


@pytest.mark.emulator_only
def test_who_may_not_read_policies_reads_no_index() -> None:
    """A table's policy may be there, whose indexes' history is lost."""
    with Emulator(version="4.2.0") as server:
        root = create_engine(server.url(), isolation_level="AUTOCOMMIT")
        with root.connect() as connection:
            for statement in (
                "CREATE DATABASE shop",
                "CREATE TABLE shop.crates (id INT PRIMARY KEY, v VARCHAR(9) UNIQUE)",
                "CREATE USER u IDENTIFIED BY 'p'",
                "CREATE ROLE r",
                "GRANT CONNECT ON ACCOUNT * TO r",
                "GRANT SELECT ON TABLE shop.* TO r",
                "GRANT r TO u",
            ):
                connection.exec_driver_sql(statement)
        engine = create_engine(root.url.set(username="sys:u:r", password="p", database="shop"))
        sent: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
        at = take_moment(root)
        assert _of_element(engine, at) is None
        assert "LIMIT 18446744073709551615) AS crates" in sent[-1]
        told = "this user may not read the policies, so that what keeps it is not known"
        with pytest.warns(PastNotKeptWarning, match=told):
            [young] = check_kept(engine, crates, at)
        assert (young.kept, young.by, young.scanned) == (Kept.PROBABLE, (), True)
        server.advance(dt.timedelta(hours=2))
        engine.dialect.__dict__.pop("_matrixone_kept", None)
        with pytest.raises(PastNotKeptError, match=told):
            check_kept(engine, crates, at)
        with pytest.raises(PitrValidationError, match="lies in the future"):
            check_kept(engine, crates, Moment.parse("2200-01-01 00:00Z"))
        engine.dispose()
        root.dispose()


@pytest.mark.one_version
def test_a_policy_that_is_dropped_while_it_is_asked_keeps_nothing(
    proxied_engine: Engine, proxy: Proxy, prefix: str, say_beside: Say
) -> None:
    meta.create_all(proxied_engine)
    protect(proxied_engine, Pitr.table(prefix, "crates", "1d"))
    proxy.on("FROM mo_catalog.mo_pitr", lambda: say_beside(f"DROP PITR {prefix}"))
    with pytest.warns(PastNotKeptWarning, match="no policy is for it"):
        [verdict] = check_kept(proxied_engine, crates, Moment.now(proxied_engine))
    assert verdict.by == ()


def test_a_change_is_not_looked_for_through_an_index(
    plain: Engine, reads_by_value: tuple[Moment, list[str]]
) -> None:
    then, sent = reads_by_value
    [change] = find_changes(plain, BY_VALUE, since=then, samples=2)
    assert (change.value_before, change.value_after) == (7, None)
    assert sent
    assert all("LIMIT 18446744073709551615) AS crates" in statement for statement in sent)
