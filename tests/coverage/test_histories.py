"""Random histories of tables and policies, with garbage collections between them: whatever
coverage() calls restorable is restored, and whatever it calls lost is refused or empty.

HISTORIES=200 runs so many, other ones each time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings, strategies as st
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError, SAWarning

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    CoverageReport,
    CreatePitr,
    DropPitr,
    Kept,
    Moment,
    Pitr,
    PitrError,
    PitrLevel,
    TableCoverage,
    Window,
    WindowKind,
    coverage,
    renew_pitr,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator

pytestmark = pytest.mark.emulator_only

COUNT = int(os.environ.get("HISTORIES", "8"))
VERSIONS = os.environ.get("EMULATED_VERSIONS", "3.0.9 4.2.0").split()

TABLES = {
    "plain": "CREATE TABLE shop.plain (id INT PRIMARY KEY, v INT)",
    "keyed": "CREATE TABLE shop.keyed (id INT PRIMARY KEY, v INT, UNIQUE KEY uv (v))",
}
HOUR = dt.timedelta(hours=1)
EDGE = dt.timedelta(minutes=3)
"""Moments so near to a window's edge that a range may let go of them while the test looks."""

Rows = list[tuple[Any, ...]] | None
"""The contents of a table; None where there is none."""

table_names = st.sampled_from(sorted(TABLES))
ranges = st.sampled_from(["2h", "9h", "1d", "3d", "3d", "1mo", "1mo"])
policies = st.sampled_from(["p", "q", "r", "s"])
protections = st.tuples(
    st.just("protect"),
    policies,
    st.sampled_from([*TABLES, *TABLES, "shop", "account", "cluster"]),
    ranges,
)
steps = st.one_of(
    st.tuples(st.just("insert"), table_names),
    st.tuples(st.just("change"), table_names),
    st.tuples(st.just("delete"), table_names),
    st.tuples(st.just("rebuild"), table_names),
    st.tuples(st.just("index"), table_names),
    st.tuples(st.just("truncate"), table_names),
    st.tuples(st.just("drop"), table_names),
    st.tuples(st.just("make"), table_names),
    st.tuples(st.just("rename"), table_names),
    st.tuples(st.just("drop_database"), st.none()),
    protections,
    protections,
    st.tuples(st.just("plain_policy"), policies, table_names, ranges),
    st.tuples(st.just("renew"), policies),
    st.tuples(st.just("alter"), policies, ranges),
    st.tuples(st.just("unprotect"), policies),
    st.tuples(st.just("wait"), st.sampled_from([7, 47, 67, 5 * 60 + 7, 26 * 60 + 7])),
    st.tuples(st.just("collect"), st.none()),
)


@dataclass
class History:
    """A server, what is done on it, and copies of the tables as they were."""

    server: Emulator
    engine: Engine
    copies: dict[Moment, dict[str, Rows]] = field(default_factory=dict)
    number: int = 0

    def say(self, *statements: str) -> bool:
        """Send statements, and whether the server took them."""
        with contextlib.suppress(DBAPIError), self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            return True
        return False

    def rows(self, table: str, at: Moment | None = None) -> Rows:
        """The contents, read in full, through no index."""
        when = "" if at is None else f" {at.sql}"
        with contextlib.suppress(DBAPIError), self.engine.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT * FROM {table}{when}").all()
            return sorted(tuple(row) for row in found)
        return None

    def copy(self) -> None:
        """Take a moment that nothing else shares, and a copy of what is there."""
        self.server.advance(dt.timedelta(seconds=2))
        self.copies[Moment.now(self.engine)] = {name: self.rows(f"shop.{name}") for name in TABLES}
        self.server.advance(dt.timedelta(seconds=2))

    def do(self, step: tuple[Any, ...]) -> None:
        kind, *arguments = step
        getattr(self, kind)(*arguments)
        if kind not in ("wait", "collect"):
            self.copy()

    # -- tables

    def insert(self, table: str) -> None:
        with contextlib.suppress(DBAPIError), self.engine.begin() as connection:
            for _ in range(3):
                self.number += 1
                connection.exec_driver_sql(
                    f"INSERT INTO shop.{table} (id, v) VALUES ({self.number}, {self.number})"
                )

    def change(self, table: str) -> None:
        self.say(f"UPDATE shop.{table} SET v = v + 1000 WHERE id > {self.number - 2}")

    def delete(self, table: str) -> None:
        self.say(f"DELETE FROM shop.{table} WHERE id <= {self.number - 2}")

    def rebuild(self, table: str) -> None:
        self.number += 1
        self.say(f"ALTER TABLE shop.{table} ADD COLUMN c{self.number} INT")

    def index(self, table: str) -> None:
        self.number += 1
        self.say(f"ALTER TABLE shop.{table} ADD INDEX i{self.number} (v)")

    def truncate(self, table: str) -> None:
        self.say(f"TRUNCATE TABLE shop.{table}")

    def drop(self, table: str) -> None:
        self.say(f"DROP TABLE shop.{table}")

    def make(self, table: str) -> None:
        self.say(TABLES[table])

    def rename(self, table: str) -> None:
        there, back = f"shop.{table}", f"shop.{table}_x"
        if not self.say(f"RENAME TABLE {there} TO {back}"):
            self.say(f"RENAME TABLE {back} TO {there}")

    def drop_database(self, _: None) -> None:
        self.say("DROP DATABASE shop")
        self.say("CREATE DATABASE shop", *TABLES.values())

    # -- policies

    def protect(self, name: str, target: str, range_: str) -> None:
        if target == "cluster":
            pitr = Pitr.cluster(name, range_)
        elif target == "account":
            pitr = Pitr.account(name, range_)
        elif target == "shop":
            pitr = Pitr.database(name, range_, database_name="shop")
        else:
            pitr = Pitr.table(name, target, range_, database_name="shop")
        with contextlib.suppress(PitrError), self.engine.begin() as connection:
            connection.execute(CreatePitr(pitr))

    def plain_policy(self, name: str, table: str, range_: str) -> None:
        unit = range_.lstrip("0123456789")
        length = range_.removesuffix(unit)
        self.say(f"CREATE PITR {name} FOR TABLE shop {table} RANGE {length} '{unit}'")

    def renew(self, name: str) -> None:
        with contextlib.suppress(PitrError), warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            renew_pitr(self.engine, name)

    def alter(self, name: str, range_: str) -> None:
        with contextlib.suppress(PitrError), self.engine.begin() as connection:
            connection.execute(AlterPitr(name, range_))

    def unprotect(self, name: str) -> None:
        with contextlib.suppress(PitrError), self.engine.begin() as connection:
            connection.execute(DropPitr(name))

    # -- time

    def wait(self, minutes: int) -> None:
        self.server.advance(dt.timedelta(minutes=minutes))

    def collect(self, _: None = None) -> None:
        self.server.collect_garbage()

    # -- what coverage says, and what is so

    def check(self) -> Counter[str]:
        """Collect, ask, and hold the report to its words; what was claimed is counted."""
        self.wait(3 * 60 + 11)
        self.collect()
        report = coverage(self.engine, databases=["shop"])
        claims: Counter[str] = Counter()
        lost: list[tuple[str, Moment]] = []
        for table in report.tables:
            if table.table_name not in TABLES:
                continue
            for moment, copies in self.copies.items():
                if is_near_an_edge(report, table, moment):
                    continue
                was = copies[table.table_name]
                if table.restorable_at(moment):
                    claims["restorable" if was is not None else "absent"] += 1
                    self.is_restorable(table, moment, was)
                elif is_lost(report, table, moment):
                    claims["lost"] += 1
                    if was:
                        lost.append((table.table_name, moment))
                else:
                    claims["not known"] += 1
        for name, moment in lost[:4]:
            self.is_lost(report, name, moment)
        self.restores(report, claims)
        return claims

    def is_restorable(self, table: TableCoverage, moment: Moment, was: Rows) -> None:
        """Read it as it was, and copy it beside: rows by rows where its indexes are not kept."""
        name = f"shop.{table.table_name}"
        note(f"{name} at {moment}: {table.windows_at(moment)}")
        assert self.rows(name, moment) == was
        if was is None:
            return
        best = table.windows_at(moment)[0]
        self.number += 1
        copy = f"beside.copy{self.number}"
        assert self.say(f"CREATE TABLE {copy} CLONE {name} {moment.sql}")
        assert self.rows(copy) == was
        if best.indexes and table.table_name == "keyed":
            with self.engine.connect() as connection:
                for row in was:
                    found = connection.exec_driver_sql(f"SELECT id FROM {copy} WHERE v = {row[1]}")
                    assert found.scalar() == row[0]

    def is_lost(self, report: CoverageReport, name: str, moment: Moment) -> None:
        """No policy brings it back: each is refused, or brings a table that is empty."""
        for pitr in report.pitrs:
            note(f"lost: {name} at {moment} by {pitr}")
            if self.restore(name, moment, pitr.name):
                assert not self.rows(f"shop.{name}")

    def restores(self, report: CoverageReport, claims: Counter[str]) -> None:
        """RESTORE itself, by the policies of the windows, of the latest moments."""
        for table in report.tables:
            for moment, copies in list(self.copies.items())[-6:]:
                was = copies.get(table.table_name)
                if was is None or is_near_an_edge(report, table, moment):
                    continue
                for window in table.windows_at(moment):
                    if not table.restorable_at(moment) or not is_by_policy(window):
                        continue
                    claims["RESTORE"] += 1
                    note(f"RESTORE {table.key} at {moment}: {window}")
                    assert self.restore(table.table_name, moment, window.by)
                    assert self.rows(f"shop.{table.table_name}") == was

    def restore(self, name: str, moment: Moment, by: str) -> bool:
        """RESTORE of a table, and whether the server took it."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SET time_zone = 'SYSTEM'")
            seconds, fraction = divmod(moment.nanoseconds, 10**9)
            local = connection.exec_driver_sql(f"SELECT from_unixtime({seconds})").scalar_one()
            text = f"{local:%Y-%m-%d %H:%M:%S}.{fraction:09d}"
            connection.rollback()
            try:
                connection.exec_driver_sql(
                    f"RESTORE DATABASE shop TABLE {name} FROM PITR {by} '{text}'"
                )
            except DBAPIError as error:
                note(str(error.orig))
                connection.rollback()
                return False
            return True


def is_by_policy(window: Window) -> bool:
    return (
        window.kept is Kept.KEPT
        and window.kind is not WindowKind.SNAPSHOT
        and window.level is not PitrLevel.CLUSTER  # which restores no single table
    )


def first(window: Window) -> Moment:
    return window.since or window.begin


def is_near_an_edge(report: CoverageReport, table: TableCoverage, moment: Moment) -> bool:
    """Whether a range lets go of a moment about now."""
    now = report.now.datetime()
    edges = [Moment.of(one.range.start(now)) for one in table.windows if one.range is not None]
    return any(edge - EDGE < moment < edge + EDGE for edge in edges)


def is_lost(report: CoverageReport, table: TableCoverage, moment: Moment) -> bool:
    """Whether the report says so: in no window, nor in the hour before one, nor in the last one."""
    return moment < report.now - HOUR and not any(
        first(one) - HOUR <= moment and (one.end is None or moment <= one.end)
        for one in table.windows
    )


@contextlib.contextmanager
def running(version: str, user: str) -> Iterator[History]:
    with Emulator(version) as server:
        engine = create_engine(server.url())
        if user != "dump":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(
                    "CREATE ACCOUNT acme ADMIN_NAME 'admin' IDENTIFIED BY '111'"
                )
            engine.dispose()
            engine = create_engine(make_url(server.url()).set(username=user))
        history = History(server, engine)
        assert history.say("CREATE DATABASE beside", "CREATE DATABASE shop", *TABLES.values())
        yield history
        engine.dispose()


claimed: Counter[str] = Counter()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("user", ["dump", "acme:admin"])
@pytest.mark.parametrize("version", VERSIONS)
def test_histories(version: str, user: str) -> None:
    claimed.clear()

    @settings(
        max_examples=COUNT,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        derandomize="HISTORIES" not in os.environ,
        print_blob=True,
    )
    @given(st.lists(protections, max_size=3), st.lists(steps, min_size=6, max_size=30))
    def run(first: list[tuple[Any, ...]], then: list[tuple[Any, ...]]) -> None:
        with running(version, user) as history:
            for step in (*first, *then):
                history.do(step)
            claimed.update(history.check())

    run()
    assert {"restorable", "lost", "RESTORE"} <= claimed.keys(), claimed
