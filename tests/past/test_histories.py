"""Random histories of tables: what diff_rows() and undo_changes() say, against copies.

HISTORIES=200 runs so many, other ones each time; MATRIXONE_URL runs them on a real server.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from sqlalchemy_matrixone_pitr import (
    ChangeKind,
    Moment,
    PastConflictError,
    diff_rows,
    diff_summary,
    undo_changes,
)
from tests.conftest import Server

COUNT = int(os.environ.get("HISTORIES", "6"))

PARENTS = """\
CREATE TABLE parents (a INT, b VARCHAR(5), u INT, v VARCHAR(5), j JSON,
  PRIMARY KEY (a, b), UNIQUE KEY u (u))"""
CHILDREN = """\
CREATE TABLE children (id INT PRIMARY KEY, a INT, b VARCHAR(5), up INT, w VARCHAR(5),
  CONSTRAINT f FOREIGN KEY (a, b) REFERENCES parents (a, b))"""
WORDS = "CREATE TABLE words (word VARCHAR(5), n INT)"
TABLES = ("parents", "children", "words")
KEYED = ("parents", "children")
KEYS = {"parents": ("a", "b"), "children": ("id",), "words": ()}

SMALL = st.integers(0, 3)
TEXT = st.sampled_from(["NULL", "'x'", "'X'", "'é'", "''", "'a b'"])
NAME = st.sampled_from(["'x'", "'X'", "'é'"])
NUMBER = st.one_of(st.just("NULL"), st.integers(0, 4).map(str))
JSONS = st.sampled_from(["NULL", "'{}'", "'[1, 2]'", "'{\"a\": null}'"])

Contents = dict[str, list[dict[str, Any]]]


class Histories(RuleBasedStateMachine):
    """Statements that change tables, moments between them, and what was there at each."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[Moment, Contents] = {}
        self.database = f"h{secrets.token_hex(4)}"
        self.extra = False

    @initialize()
    def make(self) -> None:
        self.say(f"CREATE DATABASE {self.database}")
        for table in (PARENTS, CHILDREN, WORDS):
            self.say(table)
        self.say("ALTER TABLE children ADD CONSTRAINT g FOREIGN KEY (up) REFERENCES children (id)")

    def connection(self) -> Connection:
        connection = self.engine.connect()
        try:
            connection.exec_driver_sql(f"USE {self.database}")
        except DBAPIError:  # it is not made yet
            connection.rollback()
        return connection

    def say(self, statement: str) -> None:
        """One change; a refusal of the server is no change."""
        with self.connection() as connection:
            try:
                connection.exec_driver_sql(statement)
            except DBAPIError as error:
                assert not error.connection_invalidated
                connection.rollback()
            else:
                connection.commit()

    def contents(self, connection: Connection) -> Contents:
        return {
            table: [
                dict(row._mapping) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
            ]
            for table in TABLES
        }

    # -- changes -----------------------------------------------------------------------------------

    @rule(a=SMALL, b=NAME, u=NUMBER, v=TEXT, j=JSONS)
    def insert_parent(self, a: int, b: str, u: str, v: str, j: str) -> None:
        self.say(f"INSERT INTO parents (a, b, u, v, j) VALUES ({a}, {b}, {u}, {v}, {j})")

    @rule(id=st.integers(0, 5), a=NUMBER, b=NAME, up=NUMBER, w=TEXT)
    def insert_child(self, id: int, a: str, b: str, up: str, w: str) -> None:
        self.say(f"INSERT INTO children VALUES ({id}, {a}, {b}, {up}, {w})")

    @rule(word=TEXT, n=NUMBER, twice=st.booleans())
    def insert_word(self, word: str, n: str, twice: bool) -> None:
        self.say(f"INSERT INTO words VALUES ({word}, {n})" + f", ({word}, {n})" * twice)

    @rule(a=SMALL, u=NUMBER, v=TEXT)
    def update_parents(self, a: int, u: str, v: str) -> None:
        self.say(f"UPDATE parents SET u = {u}, v = {v} WHERE a = {a}")

    @rule()
    def exchange(self) -> None:
        self.say("UPDATE parents SET u = 4 - u WHERE u > 0")

    @rule(id=st.integers(0, 5), up=NUMBER, w=TEXT, a=NUMBER)
    def update_child(self, id: int, up: str, w: str, a: str) -> None:
        self.say(f"UPDATE children SET up = {up}, w = {w}, a = {a} WHERE id = {id}")

    @rule(table=st.sampled_from(TABLES), column=st.integers(0, 1), value=SMALL)
    def delete(self, table: str, column: int, value: int) -> None:
        name = {"parents": "a", "children": "id", "words": "n"}[table]
        self.say(f"DELETE FROM {table} WHERE {name} {('=', '>')[column]} {value}")

    @rule(table=st.sampled_from(["children", "words"]))
    def truncate(self, table: str) -> None:
        self.say(f"TRUNCATE TABLE {table}")

    @rule()
    def alter(self) -> None:
        """A column comes or goes."""
        self.say(
            f"ALTER TABLE words {'DROP COLUMN' if self.extra else 'ADD COLUMN'} more"
            + ("" if self.extra else " INT")
        )
        self.extra = not self.extra

    # -- moments -----------------------------------------------------------------------------------

    @rule()
    def remember(self) -> None:
        time.sleep(0.002)
        with self.connection() as connection:
            self.copies[Moment.now(connection)] = self.contents(connection)
        time.sleep(0.002)

    @precondition(lambda self: self.copies)
    @rule(pick=st.integers(0, 9), table=st.sampled_from(TABLES))
    def compare_with_the_present(self, pick: int, table: str) -> None:
        at = sorted(self.copies)[pick % len(self.copies)]
        with self.connection() as connection:
            now = self.contents(connection)[table]
            self.check(connection, table, at, self.copies[at][table], now)

    @precondition(lambda self: len(self.copies) > 1)
    @rule(pick=st.integers(0, 9), table=st.sampled_from(TABLES))
    def compare_two_moments(self, pick: int, table: str) -> None:
        moments = sorted(self.copies)
        number = pick % (len(moments) - 1)
        at, until = moments[number], moments[-1]
        before, after = self.copies[at][table], self.copies[until][table]
        with self.connection() as connection:
            self.check(connection, table, at, before, after, until=until)

    def check(
        self,
        connection: Connection,
        table: str,
        at: Moment,
        before: list[dict[str, Any]],
        after: list[dict[str, Any]],
        **options: Any,
    ) -> None:
        found = diff_rows(connection, f"{self.database}.{table}", at, **options)
        columns = found.columns
        changes = list(found)
        then, now = ([{c: row[c] for c in columns} for row in rows] for rows in (before, after))
        if not KEYS[table]:
            for change in changes:
                if change.kind is ChangeKind.DELETED:
                    assert change.before is not None
                    then.remove(change.before)
                else:
                    assert change.after is not None
                    now.remove(change.after)
            assert sorted(then, key=repr) == sorted(now, key=repr)
            return
        old, new = (
            {tuple(row[k] for k in KEYS[table]): row for row in rows} for rows in (then, now)
        )
        assert [change.key for change in changes] == sorted(
            (key for key in {*old, *new} if old.get(key) != new.get(key)),
            key=lambda key: [part.encode() if isinstance(part, str) else part for part in key],
        )
        for change in changes:
            assert (change.before, change.after) == (old.get(change.key), new.get(change.key))
            if change.kind is ChangeKind.UPDATED:
                was, is_ = old[change.key], new[change.key]
                assert change.changed == tuple(c for c in columns if was[c] != is_[c])
        summary = diff_summary(connection, f"{self.database}.{table}", at, **options)
        kinds = [change.kind for change in changes]
        assert summary.inserted == kinds.count(ChangeKind.INSERTED)
        assert summary.updated == kinds.count(ChangeKind.UPDATED)
        assert summary.deleted == kinds.count(ChangeKind.DELETED)

    @precondition(lambda self: self.copies)
    @rule(pick=st.integers(0, 9), keep=st.booleans())
    def undo(self, pick: int, keep: bool) -> None:
        """All of it, and every row is as it was."""
        at = sorted(self.copies)[pick % len(self.copies)]
        with self.connection() as connection:
            report = undo_changes(connection, [f"{self.database}.{t}" for t in KEYED], at)
            assert report.complete, str(report)
            assert report.conflicts == ()
            now = self.contents(connection)
            for table in KEYED:
                assert sorted(now[table], key=repr) == sorted(self.copies[at][table], key=repr)
            if keep:
                connection.commit()

    @precondition(lambda self: self.copies)
    @rule(
        pick=st.integers(0, 9),
        table=st.sampled_from(KEYED),
        kinds=st.sets(st.sampled_from(list(ChangeKind)), min_size=1),
        on_conflict=st.sampled_from(["error", "skip"]),
    )
    def undo_a_part(self, pick: int, table: str, kinds: set[ChangeKind], on_conflict: Any) -> None:
        """What is skipped, and what is left out, is all that remains."""
        at = sorted(self.copies)[pick % len(self.copies)]
        name = f"{self.database}.{table}"
        with self.connection() as connection:
            before = self.contents(connection)
            there = diff_summary(connection, name, at)
            try:
                report = undo_changes(connection, name, at, kinds=kinds, on_conflict=on_conflict)
            except PastConflictError as error:
                assert on_conflict == "error"
                assert error.conflicts
                assert self.contents(connection) == before
                return
            except DBAPIError:  # a row of the table refers to another one that does not come back
                return
            (left,) = report.tables
            assert left.remaining == diff_summary(connection, name, at)
            for kind in set(ChangeKind) - kinds:
                assert getattr(left.remaining, kind) == getattr(there, kind)
            undone = report.inserted + report.updated + report.deleted
            assert there.total - undone == left.remaining.total
            if on_conflict == "error":
                assert all(getattr(left.remaining, kind) == 0 for kind in kinds)
            others = [t for t in TABLES if t != table]
            now = self.contents(connection)
            assert all(now[other] == before[other] for other in others)

    def teardown(self) -> None:
        self.say(f"DROP DATABASE IF EXISTS {self.database}")


@pytest.mark.timeout(3600)
def test_histories(server: Server) -> None:
    engine = create_engine(server.url("matrixone+pymysql"))
    engine.update_execution_options(matrixone_allow_unprotected=True)
    machine = type("OnServer", (Histories,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=COUNT,
            stateful_step_count=30,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            derandomize="HISTORIES" not in os.environ,
            print_blob=True,
        ),
    )
    engine.dispose()
