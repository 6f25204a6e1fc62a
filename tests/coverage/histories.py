"""Random histories of tables and policies, and what coverage() says of their moments held against
what can then be read, cloned and restored.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy import Engine
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
    PitrRestoreError,
    TableCoverage,
    Window,
    WindowKind,
    coverage,
    renew_pitr,
    restore,
)

TABLES = {
    "plain": "CREATE TABLE {home}.plain (id INT PRIMARY KEY, v INT)",
    "keyed": "CREATE TABLE {home}.keyed (id INT PRIMARY KEY, v INT, UNIQUE KEY uv (v))",
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
    """Work on a server, and copies of the tables as they were.

    :ivar home: the database; another one of its name and ``_beside`` takes clones.
    :ivar of_policies: what the names of its policies begin with.
    :ivar wide: whether there may be policies of the account and of the cluster, which others see.
    """

    engine: Engine
    home: str = "shop"
    of_policies: str = ""
    wide: bool = True
    copies: dict[Moment, dict[str, Rows]] = field(default_factory=dict)
    number: int = 0
    notes: list[str] = field(default_factory=list)
    """The steps, and what was last looked at, for whoever reads a failure"""

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

    def begin(self) -> None:
        assert self.say(f"CREATE DATABASE {self.home}_beside", *self.makings())

    def makings(self) -> list[str]:
        """The statements that make the database with its tables."""
        tables = [text.format(home=self.home) for text in TABLES.values()]
        return [f"CREATE DATABASE {self.home}", *tables]

    def copy(self) -> None:
        """Take a moment, and a copy of what is there: nothing else may share its second."""
        rows = {name: self.rows(f"{self.home}.{name}") for name in TABLES}
        self.copies[Moment.now(self.engine)] = rows

    def do(self, step: tuple[Any, ...]) -> None:
        self.notes.append(str(step))
        kind, *arguments = step
        getattr(self, kind)(*arguments)

    # -- tables

    def insert(self, table: str) -> None:
        with contextlib.suppress(DBAPIError), self.engine.begin() as connection:
            for _ in range(3):
                self.number += 1
                connection.exec_driver_sql(
                    f"INSERT INTO {self.home}.{table} (id, v) VALUES ({self.number}, {self.number})"
                )

    def change(self, table: str) -> None:
        self.say(f"UPDATE {self.home}.{table} SET v = v + 1000 WHERE id > {self.number - 2}")

    def delete(self, table: str) -> None:
        self.say(f"DELETE FROM {self.home}.{table} WHERE id <= {self.number - 2}")

    def rebuild(self, table: str) -> None:
        self.number += 1
        self.say(f"ALTER TABLE {self.home}.{table} ADD COLUMN c{self.number} INT")

    def index(self, table: str) -> None:
        self.number += 1
        self.say(f"ALTER TABLE {self.home}.{table} ADD INDEX i{self.number} (v)")

    def truncate(self, table: str) -> None:
        self.say(f"TRUNCATE TABLE {self.home}.{table}")

    def drop(self, table: str) -> None:
        self.say(f"DROP TABLE {self.home}.{table}")

    def make(self, table: str) -> None:
        self.say(TABLES[table])

    def rename(self, table: str) -> None:
        there, back = f"{self.home}.{table}", f"{self.home}.{table}_x"
        if not self.say(f"RENAME TABLE {there} TO {back}"):
            self.say(f"RENAME TABLE {back} TO {there}")

    def drop_database(self, _: None) -> None:
        self.say(f"DROP DATABASE {self.home}")
        self.say(*self.makings())

    # -- policies

    def protect(self, name: str, target: str, range_: str) -> None:
        name = self.of_policies + name
        if target in ("account", "cluster") and not self.wide:
            return
        if target == "cluster":
            pitr = Pitr.cluster(name, range_)
        elif target == "account":
            pitr = Pitr.account(name, range_)
        elif target == "shop":
            pitr = Pitr.database(name, range_, database_name=self.home)
        else:
            pitr = Pitr.table(name, target, range_, database_name=self.home)
        with contextlib.suppress(PitrError), self.engine.begin() as connection:
            connection.execute(CreatePitr(pitr))

    def plain_policy(self, name: str, table: str, range_: str) -> None:
        unit = range_.lstrip("0123456789")
        length = range_.removesuffix(unit)
        self.say(
            f"CREATE PITR {self.of_policies}{name} FOR TABLE {self.home} {table} "
            f"RANGE {length} '{unit}'"
        )

    def renew(self, name: str) -> None:
        with contextlib.suppress(PitrError), warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            renew_pitr(self.engine, self.of_policies + name)

    def alter(self, name: str, range_: str) -> None:
        with contextlib.suppress(PitrError), self.engine.begin() as connection:
            connection.execute(AlterPitr(self.of_policies + name, range_))

    def unprotect(self, name: str) -> None:
        with contextlib.suppress(PitrError), self.engine.begin() as connection:
            connection.execute(DropPitr(self.of_policies + name))

    # -- what coverage says, and what is so

    def check(self, ttl: dt.timedelta = HOUR, *, all_collected: bool = True) -> Counter[str]:
        """Hold the report of coverage() to its words; what was claimed is counted.

        :param ttl: for how long the server surely keeps what nothing protects.
        :param all_collected: whether all is gone that may be.
        """
        report = coverage(self.engine, databases=[self.home])
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
                elif is_lost(report, table, moment, ttl):
                    claims["lost"] += 1
                    if was:
                        lost.append((table.table_name, moment))
                else:
                    claims["not known"] += 1
        for name, moment in lost[:4]:
            self.is_refused(name, moment)
            if all_collected:
                self.is_lost(report, name, moment)
        self.restores(report, claims)
        return claims

    def is_restorable(self, table: TableCoverage, moment: Moment, was: Rows) -> None:
        """Read it as it was, and copy it beside: rows by rows where its indexes are not kept."""
        name = f"{self.home}.{table.table_name}"
        self.notes.append(f"{name} at {moment}: {table.windows_at(moment)}")
        assert self.rows(name, moment) == was
        if was is None:
            return
        best = table.windows_at(moment)[0]
        self.number += 1
        copy = f"{self.home}_beside.copy{self.number}"
        assert self.say(f"CREATE TABLE {copy} CLONE {name} {moment.sql}")
        assert self.rows(copy) == was
        if best.indexes and table.table_name == "keyed":
            with self.engine.connect() as connection:
                for row in was:
                    found = connection.exec_driver_sql(f"SELECT id FROM {copy} WHERE v = {row[1]}")
                    assert found.scalar() == row[0]

    def is_refused(self, name: str, moment: Moment) -> None:
        """restore() sends nothing."""
        with pytest.raises(PitrRestoreError, match="is not restored, and nothing was sent"):
            restore(self.engine, f"{self.home}.{name}", moment)

    def is_lost(self, report: CoverageReport, name: str, moment: Moment) -> None:
        """No policy brings it back: each is refused, or brings a table that is empty."""
        for pitr in report.pitrs:
            self.notes.append(f"lost: {name} at {moment} by {pitr}")
            if self.restore(name, moment, pitr.name):
                assert not self.rows(f"{self.home}.{name}")

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
                    self.notes.append(f"RESTORE {table.key} at {moment}: {window}")
                    assert self.restore(table.table_name, moment, window.by)
                    assert self.rows(f"{self.home}.{table.table_name}") == was

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
                    f"RESTORE DATABASE {self.home} TABLE {name} FROM PITR {by} '{text}'"
                )
            except DBAPIError as error:
                self.notes.append(str(error.orig))
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


def is_lost(
    report: CoverageReport, table: TableCoverage, moment: Moment, ttl: dt.timedelta
) -> bool:
    """Whether the report says so: in no window, nor in the hour before one, nor in the last one."""
    return moment < report.now - ttl and not any(
        first(one) - ttl <= moment and (one.end is None or moment <= one.end)
        for one in table.windows
    )
