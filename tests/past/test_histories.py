"""Random histories of tables: what was read, compared, undone and undropped, against copies.

HISTORIES=200 runs so many, other ones each time; MATRIXONE_URL runs them on a real server.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
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
from sqlalchemy import (
    Connection,
    Engine,
    column,
    create_engine,
    func,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError

from sqlalchemy_matrixone_pitr import (
    ChangeKind,
    Moment,
    PastConflictError,
    PitrRestoreError,
    as_of,
    diff_rows,
    diff_summary,
    dropped_objects,
    undo_changes,
    undrop,
)
from tests.clock import wait
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
DEFINITIONS = {"parents": PARENTS, "children": CHILDREN, "words": WORDS}
KEYS = {"parents": ("a", "b"), "children": ("id",), "words": ()}

SMALL = st.integers(0, 3)
TEXT = st.sampled_from(["NULL", "'x'", "'X'", "'é'", "''", "'a b'"])
NAME = st.sampled_from(["'x'", "'X'", "'é'"])
NUMBER = st.one_of(st.just("NULL"), st.integers(0, 4).map(str))
JSONS = st.sampled_from(["NULL", "'{}'", "'[1, 2]'", "'{\"a\": null}'"])

Row = dict[str, Any]
Contents = dict[str, list[Row]]
"""The rows of the tables that are there."""


@dataclass(frozen=True)
class Lost:
    """A table that was dropped: a moment shortly before, and its rows then."""

    table: str
    before: Moment
    rows: list[Row]


class Histories(RuleBasedStateMachine):
    """Statements that change tables, moments between them, and what was there at each."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[Moment, Contents] = {}
        self.database = f"h{secrets.token_hex(4)}"
        self.lost: list[Lost] = []
        self.undropped = 0

    @initialize()
    def make(self) -> None:
        self.say(f"CREATE DATABASE {self.database}")
        for name in TABLES:
            self.create(name)

    def create(self, name: str) -> None:
        if self.say(DEFINITIONS[name]) and name == "children":
            self.say(
                "ALTER TABLE children ADD CONSTRAINT g FOREIGN KEY (up) REFERENCES children (id)"
            )

    def connection(self) -> Connection:
        connection = self.engine.connect()
        try:
            connection.exec_driver_sql(f"USE {self.database}")
        except DBAPIError:  # it is not made yet
            connection.rollback()
        return connection

    def say(self, statement: str) -> bool:
        """One change, if the server does not refuse it."""
        with self.connection() as connection:
            try:
                connection.exec_driver_sql(statement)
            except DBAPIError as error:
                assert not error.connection_invalidated
                connection.rollback()
                return False
            connection.commit()
        return True

    def contents(self, connection: Connection) -> Contents:
        there = connection.exec_driver_sql("SHOW TABLES").scalars().all()
        return {name: self.rows(connection, name) for name in TABLES if name in there}

    def rows(self, connection: Connection, name: str) -> list[Row]:
        found = connection.exec_driver_sql(f"SELECT * FROM {name}")
        return sorted((dict(row._mapping) for row in found), key=repr)

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

    @rule(verb=st.sampled_from(["ADD COLUMN more INT", "DROP COLUMN more"]))
    def alter(self, verb: str) -> None:
        """A column comes or goes."""
        self.say(f"ALTER TABLE words {verb}")

    @rule(name=st.sampled_from(TABLES))
    def drop(self, name: str) -> None:
        with self.connection() as connection:
            there = self.contents(connection)
            before = Moment.now(connection)
        wait(self.engine, 0.002)
        if self.say(f"DROP TABLE {name}"):
            self.lost.append(Lost(name, before, there[name]))
        wait(self.engine, 0.002)

    @rule(name=st.sampled_from(TABLES))
    def recreate(self, name: str) -> None:
        self.create(name)

    # -- moments -----------------------------------------------------------------------------------

    @rule()
    def remember(self) -> None:
        wait(self.engine, 0.002)
        with self.connection() as connection:
            self.copies[Moment.now(connection)] = self.contents(connection)
        wait(self.engine, 0.002)

    def picked(self, pick: int, *tables: str) -> Moment | None:
        """A remembered moment at which all tables were there."""
        found = sorted(at for at, copy in self.copies.items() if {*tables} <= copy.keys())
        return found[pick % len(found)] if found else None

    @precondition(lambda self: self.copies)
    @rule(pick=st.integers(0, 9), option=st.booleans())
    def read(self, pick: int, option: bool) -> None:
        """All tables as they were, by an element or by the execution option."""
        at = sorted(self.copies)[pick % len(self.copies)]
        options = {"matrixone_as_of": at} if option else {}
        with self.connection() as connection:
            for name, rows in self.copies[at].items():
                then = table(name, *(column(key) for key in (rows[0] if rows else ())))
                source: Any = then if option else as_of(then, at)
                wanted = select(source) if rows else select(func.count()).select_from(source)
                found = connection.execute(wanted, execution_options=options)
                if rows:
                    assert sorted((dict(row._mapping) for row in found), key=repr) == rows
                else:
                    assert found.scalar() == 0

    @precondition(lambda self: self.copies)
    @rule(pick=st.integers(0, 9), table=st.sampled_from(TABLES))
    def compare_with_the_present(self, pick: int, table: str) -> None:
        at = self.picked(pick, table)
        with self.connection() as connection:
            now = self.contents(connection)
            if at is not None and table in now:
                self.check(connection, table, at, self.copies[at][table], now[table])

    @precondition(lambda self: len(self.copies) > 1)
    @rule(pick=st.integers(0, 9), table=st.sampled_from(TABLES))
    def compare_two_moments(self, pick: int, table: str) -> None:
        at, until = self.picked(pick, table), self.picked(-1, table)
        if at is None or until is None or at >= until:
            return
        before, after = self.copies[at][table], self.copies[until][table]
        with self.connection() as connection:
            self.check(connection, table, at, before, after, until=until)

    def check(
        self,
        connection: Connection,
        table: str,
        at: Moment,
        before: list[Row],
        after: list[Row],
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
        at = self.picked(pick, *KEYED)
        with self.connection() as connection:
            if at is None or not {*KEYED} <= self.contents(connection).keys():
                return
            report = undo_changes(connection, [f"{self.database}.{t}" for t in KEYED], at)
            assert report.complete, str(report)
            assert report.conflicts == ()
            now = self.contents(connection)
            for table in KEYED:
                assert now[table] == self.copies[at][table]
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
        """Skipped and left-out rows are all that remains."""
        at = self.picked(pick, table)
        name = f"{self.database}.{table}"
        with self.connection() as connection:
            before = self.contents(connection)
            if at is None or table not in before:
                return
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
            now = self.contents(connection)
            assert all(now[other] == before[other] for other in before if other != table)

    @precondition(lambda self: self.lost)
    @rule(pick=st.integers(0, 9), own_name=st.booleans())
    def undrop(self, pick: int, own_name: bool) -> None:
        """A drop of several is found, and the table comes back with the rows that it had."""
        lost = self.lost[pick % len(self.lost)]
        found = dropped_objects(self.engine, database=self.database, since=lost.before, samples=2)
        dropped = [one for one in found if one.table_name == lost.table][-1]
        with self.connection() as connection:
            there = self.contents(connection)
        into = lost.table if own_name and lost.table not in there else f"back{self.undropped}"
        self.undropped += 1
        try:
            report = undrop(self.engine, dropped, into=into)
        except PitrRestoreError as error:
            assert lost.table == "children"
            assert "parents" not in there
            assert "is not there: bring that back first" in str(error)
            return
        with self.connection() as connection:
            assert self.rows(connection, into) == lost.rows
            assert report.rows == len(lost.rows)
            now = self.contents(connection)
        assert {**now, lost.table: []} == {**there, lost.table: []}
        if into != lost.table:
            assert self.say(f"DROP TABLE {into}")

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
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            derandomize="HISTORIES" not in os.environ,
            print_blob=True,
        ),
    )
    engine.dispose()
