"""The server's clock: not the client's, not the session's zone, and nothing begun or ended."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from matrixone_emulator import Emulator
from sqlalchemy_matrixone_pitr import Moment
from tests.conftest import Server

ZONES = ["SYSTEM", "+00:00", "-05:00", "+13:45"]


@pytest.mark.parametrize("zone", ZONES)
def test_the_sessions_zone_plays_no_part(engine: Engine, zone: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET time_zone = '{zone}'")
        connection.rollback()
        before = Moment.now(engine)
        now = Moment.now(connection)
        assert before < now < Moment.now(engine)
        assert not connection.in_transaction()
        connection.exec_driver_sql("SET time_zone = 'SYSTEM'")


@pytest.mark.emulator_only
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_servers_zone_plays_no_part(zone: str) -> None:
    with Emulator(version="3.0.9", timezone=zone) as server:
        engine = create_engine(server.url())
        seconds = Moment.now(engine).nanoseconds / 10**9
        assert abs(seconds - time.time()) < 60
        engine.dispose()


@pytest.mark.emulator_only
def test_relative_times_count_from_the_servers_clock() -> None:
    with Emulator(version="4.2.0") as server:
        server.advance(dt.timedelta(days=8))
        engine = create_engine(server.url())
        assert Moment.now(engine).nanoseconds / 10**9 > time.time() + 7 * 86400
        week_ago = Moment.parse("8d ago", engine)
        assert abs(week_ago.nanoseconds / 10**9 - time.time()) < 60
        engine.dispose()


def test_a_moment_of_text_statements(server: Server, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    then = Moment.now(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (2)"))
    with Session(engine) as session:
        assert session.scalars(text(f"SELECT id FROM t {then.sql}")).all() == [1]
        assert session.scalars(text("SELECT id FROM t ORDER BY id")).all() == [1, 2]
        inside = Moment.now(session)
        assert then < inside < Moment.now(engine)
