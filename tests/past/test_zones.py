"""Client, session and server in three zones, while clocks are changed: a moment is an instant."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, event, func, select
from sqlalchemy.types import TIMESTAMP

from matrixone_emulator import Emulator
from sqlalchemy_matrixone_pitr import (
    ChangeKind,
    Moment,
    as_of,
    diff_rows,
    find_change,
    past_session,
    restore_copy,
    undo_changes,
)
from tests.past.tables import rows_of, say, take_moment

pytestmark = pytest.mark.emulator_only

BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = dt.datetime(2027, 10, 31, 1, tzinfo=dt.UTC)
"""3 o'clock becomes 2 o'clock in Berlin; in New York a week later."""
SPRING = dt.datetime(2028, 3, 26, 1, tzinfo=dt.UTC)
"""2 o'clock becomes 3 o'clock."""

logs = Table("logs", MetaData(), Column("id", Integer, primary_key=True), Column("at", TIMESTAMP))


@pytest.fixture(params=["3.0.9", "4.2.0"])
def berlin(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(version=request.param, timezone="Europe/Berlin") as server:
        yield server


@pytest.fixture
def kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client's zone."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def engine(berlin: Emulator, kolkata: None) -> Iterator[Engine]:
    """An engine whose sessions are in New York; 3.x knows offsets alone."""
    root = create_engine(berlin.url())
    say(root, "CREATE DATABASE shop")
    root.dispose()
    made = create_engine(
        berlin.url(database="shop"), execution_options={"matrixone_allow_unprotected": True}
    )
    zone = "-04:00" if berlin.version.startswith("3") else "America/New_York"

    @event.listens_for(made, "connect")
    def set_zone(connection: object, _: object) -> None:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(f"SET time_zone = '{zone}'")

    yield made
    made.dispose()


def go_to(server: Emulator, engine: Engine, instant: dt.datetime) -> None:
    server.advance(instant - Moment.now(engine).datetime())


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (AUTUMN, "2027-10-31 02:30:00+02:00", "2027-10-31 02:30:00+01:00"),
        (SPRING, "2028-03-26 01:30:00+01:00", "2028-03-26 03:30:00+02:00"),
    ],
)
def test_over_a_change_of_clocks(
    berlin: Emulator, engine: Engine, change: dt.datetime, before: str, after: str
) -> None:
    half = dt.timedelta(minutes=30)
    go_to(berlin, engine, change - half - dt.timedelta(minutes=1))
    logs.create(engine)
    say(
        engine,
        "INSERT INTO logs VALUES (1, current_timestamp())",
        "INSERT INTO logs VALUES (2, NULL)",
    )
    go_to(berlin, engine, change)
    say(engine, "DELETE FROM logs WHERE id = 1", "INSERT INTO logs VALUES (3, NULL)")
    go_to(berlin, engine, change + half + dt.timedelta(minutes=1))
    say(engine, "DELETE FROM logs WHERE id = 2")
    take_moment(engine)

    first, second = Moment.parse(before), Moment.parse(after)
    assert second.nanoseconds - first.nanoseconds == 3600 * 10**9
    assert (first.text(BERLIN), second.text("Europe/Berlin")) == (before, after)
    for moment, text in ((first, before), (second, after)):
        fold = int(moment is second)
        local = dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)
        assert Moment.of(local) == moment

    for moment, ids in ((first, [1, 2]), (second, [2, 3])):
        then = as_of(logs, moment)
        with engine.connect() as connection:
            assert connection.scalars(select(then.c.id).order_by(then.c.id)).all() == ids
        with past_session(engine, moment) as past:
            assert past.scalars(select(logs.c.id).order_by(logs.c.id)).all() == ids
        name = f"logs{moment.nanoseconds}"
        assert restore_copy(engine, "shop.logs", moment, name).rows == 2
        assert [row[0] for row in rows_of(engine, name)] == ids

    found = find_change(
        engine,
        select(func.min(logs.c.id)),
        since=first,
        until=second,
        resolution=dt.timedelta(milliseconds=100),
    )
    assert found is not None
    assert (found.value_before, found.value_after) == (1, 2)
    assert abs(found.after.datetime() - change) < dt.timedelta(seconds=30)

    kinds = {change.key[0]: change.kind for change in diff_rows(engine, logs, first, until=second)}
    assert kinds == {1: ChangeKind.DELETED, 3: ChangeKind.INSERTED}
    was = {change.key[0]: change.before for change in diff_rows(engine, logs, first)}
    with engine.begin() as connection:
        assert undo_changes(connection, logs, first).complete
        assert connection.execute(select(logs).order_by(logs.c.id)).all() == [
            (1, (was[1] or {})["at"]),
            (2, None),
        ]


def test_relative_times_over_a_change_of_clocks(berlin: Emulator, engine: Engine) -> None:
    """Two hours ago are 7,200 seconds, whatever the clocks on the wall said meanwhile."""
    go_to(berlin, engine, AUTUMN + dt.timedelta(hours=1))
    ago = Moment.parse("2h ago", engine)
    assert abs(ago.datetime() - (AUTUMN - dt.timedelta(hours=1))) < dt.timedelta(seconds=30)
    assert ago.text(BERLIN).endswith("+02:00")
    assert Moment.now(engine).text(BERLIN).endswith("+01:00")
