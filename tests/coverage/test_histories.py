"""Random histories of tables and policies, with garbage collections between them: whatever
coverage() calls restorable is restored, and whatever it calls lost is refused or empty.

HISTORIES=200 runs so many, other ones each time; MATRIXONE_URL runs them on a real server, all of
them at once, with one collection at the end where MATRIXONE_COLLECTS says how it is seen
(tests/server/conftest.py, `collect`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings, strategies as st
from sqlalchemy import create_engine, make_url

from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.clock import wait
from tests.conftest import Server
from tests.coverage.histories import History, protections, steps
from tests.server.conftest import COLLECTS, PASSWORD, Client, collect, connected, drop_all

COUNT = int(os.environ.get("HISTORIES", "8"))
VERSIONS = os.environ.get("EMULATED_VERSIONS", "3.0.9 4.2.0").split()

Step = tuple[Any, ...]

firsts = st.lists(protections, max_size=3)
thens = st.lists(steps, min_size=6, max_size=30)
many = settings(
    max_examples=COUNT,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
    derandomize="HISTORIES" not in os.environ,
    print_blob=True,
)


@contextlib.contextmanager
def running(version: str, user: str) -> Iterator[tuple[Emulator, History]]:
    with Emulator(version) as server:
        engine = create_engine(server.url())
        if user != "dump":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(
                    "CREATE ACCOUNT acme ADMIN_NAME 'admin' IDENTIFIED BY '111'"
                )
            engine.dispose()
            engine = create_engine(make_url(server.url()).set(username=user))
        history = History(engine)
        history.begin()
        yield server, history
        engine.dispose()


def play(server: Emulator, history: History, step: Step) -> None:
    """Do a step, or let time pass, or collect; then take a moment that nothing else shares."""
    if step[0] == "wait":
        server.advance(dt.timedelta(minutes=step[1]))
    elif step[0] == "collect":
        server.collect_garbage()
    else:
        history.do(step)
        server.advance(dt.timedelta(seconds=2))
        history.copy()
        server.advance(dt.timedelta(seconds=2))


claimed: Counter[str] = Counter()


@pytest.mark.emulator_only
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("user", ["dump", "acme:admin"])
@pytest.mark.parametrize("version", VERSIONS)
def test_histories(version: str, user: str) -> None:
    claimed.clear()

    @many
    @given(firsts, thens)
    def run(first: list[Step], then: list[Step]) -> None:
        with running(version, user) as (server, history):
            for step in (*first, *then):
                play(server, history, step)
            server.advance(dt.timedelta(hours=3, minutes=11))
            server.collect_garbage()
            try:
                claimed.update(history.check())
            finally:
                note("\n".join(history.notes))

    run()
    assert {"restorable", "lost", "RESTORE"} <= claimed.keys(), claimed


@pytest.fixture
def histories(server: Server, prefix: str) -> Iterator[list[History]]:
    """As many as there shall be: every other one in an account of its own."""
    sys = connected(server, prefix)
    made: list[History] = []
    for number in range(COUNT):
        own = f"{prefix}_{number:02}"
        if number % 2:
            sys.ok(f"CREATE ACCOUNT {own} ADMIN_NAME 'admin' IDENTIFIED BY '{PASSWORD}'")
            url = server.url(user=f"{own}:admin", password=PASSWORD)
            made.append(History(create_engine(url, pool_pre_ping=True)))
        else:
            engine = create_engine(server.url(), pool_pre_ping=True)
            made.append(History(engine, own, f"{own}_", wide=False))
        made[-1].begin()
    yield made
    for history in made:
        history.engine.dispose()
    sys.close()
    tidy(connected(server, prefix))


def tidy(last: Client) -> None:
    for kind in ("ACCOUNT", "PITR", "DATABASE"):
        drop_all(last, kind, last(f"SHOW {kind if kind == 'PITR' else kind + 'S'}").column, "~")
    last.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_histories_beside_each_other(server: Server, histories: list[History], prefix: str) -> None:
    """The same on any server, whose clock may be everybody's: a collection ends them all."""
    if server.version < (3,):
        pytest.skip("since 3.0")
    collecting = collect(server, prefix) if COLLECTS or not server.live else None
    played: list[list[Step]] = []

    @many
    @given(firsts, thens)
    def draw(first: list[Step], then: list[Step]) -> None:
        whole = (*first, *then)
        played.append([step for step in whole if step[0] not in ("wait", "collect")])

    draw()
    for at_once in zip_longest(*played[:COUNT]):
        for history, step in zip(histories, at_once, strict=True):
            if step is not None:
                history.do(step)
        wait(histories[0].engine, 2)
        for history, step in zip(histories, at_once, strict=True):
            if step is not None:
                history.copy()
        wait(histories[0].engine, 2)
    if collecting is not None:
        collecting()
    claims: Counter[str] = Counter()
    for history in histories:
        try:
            claims.update(history.check(dt.timedelta(), all_collected=not server.live))
        except BaseException as error:
            error.add_note("\n".join(history.notes))
            raise
    print(claims)
    assert {"restorable", "RESTORE"} <= claims.keys(), claims
