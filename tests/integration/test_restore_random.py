"""Random histories: a restore is as it was then, its preview said so, and an undo is as before.

``RESTORE_CASES=50`` tries so many on each server; ``RESTORE_SEED`` begins elsewhere.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sqlalchemy_matrixone_pitr import (
    Moment,
    Pitr,
    PitrRestoreError,
    forget_copies,
    preview_restore,
    restore,
    restore_records,
)
from tests.integration.restoring import State, keys_of, state_of
from tests.past.tables import say, take_moment
from tests.policies import protect

CASES = int(os.environ.get("RESTORE_CASES", "1"))
SEED = int(os.environ.get("RESTORE_SEED", "1"))
NAMES = ("a", "b", "c")


class History:
    """Three tables that change at random, some with foreign keys to each other."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.said: list[str] = []
        self.number = 0

    def step(self) -> None:
        rows = [self.insert, self.insert, self.delete, self.update, self.truncate]
        tables = [self.create, self.alter, self.index, self.key, self.drop]
        chosen = self.random.choice([*rows, *tables])
        statement = chosen(self.random.choice(NAMES))
        try:
            say(self.engine, statement)
        except DBAPIError:
            return  # not there, there already, or a foreign key is in the way
        self.said.append(statement)

    def next(self) -> int:
        self.number += 1
        return self.number

    def create(self, name: str) -> str:
        return f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(9), r INT, UNIQUE KEY uv (v))"

    def insert(self, name: str) -> str:
        number = self.next()
        refers = self.random.choice(["NULL", "1", "2"])
        return f"INSERT INTO {name} (id, v, r) VALUES ({number}, 'v{number}', {refers})"

    def delete(self, name: str) -> str:
        return f"DELETE FROM {name} WHERE id <= {self.random.randint(1, 6)}"

    def update(self, name: str) -> str:
        return f"UPDATE {name} SET v = concat('w', id) WHERE id > {self.random.randint(1, 9)}"

    def alter(self, name: str) -> str:
        return f"ALTER TABLE {name} ADD COLUMN x{self.next()} INT DEFAULT 7"

    def index(self, name: str) -> str:
        return f"ALTER TABLE {name} ADD INDEX k{self.next()} (r)"

    def key(self, name: str) -> str:
        parent = self.random.choice(NAMES)
        number = self.next()
        return (
            f"ALTER TABLE {name} ADD CONSTRAINT f{number} FOREIGN KEY (r) REFERENCES {parent} (id)"
        )

    def drop(self, name: str) -> str:
        return f"DROP TABLE {name}"

    def truncate(self, name: str) -> str:
        return f"TRUNCATE TABLE {name}"

    def steps(self, many: int) -> None:
        for _ in range(many):
            self.step()


@pytest.fixture
def shop(matrixone_engine: Engine, prefix: str) -> Iterator[Engine]:
    protect(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    before = {record.id for record in restore_records(matrixone_engine)}
    yield matrixone_engine
    ids = [r.id for r in restore_records(matrixone_engine) if r.id not in before]
    forget_copies(matrixone_engine, ids=ids)


def only(state: State, database: str, tables: list[str]) -> State:
    return {name: state[name] for name in (f"{database}.{t}" for t in tables) if name in state}


@pytest.mark.parametrize("seed", range(SEED, SEED + CASES))
def test_random_histories(shop: Engine, database: str, seed: int) -> None:
    history = History(shop, seed)
    say(shop, *(history.create(name) for name in NAMES))
    moments: list[tuple[Moment, State]] = []
    for _ in range(3):
        history.steps(6)
        moments.append((take_moment(shop), state_of(shop)))
    history.steps(6)
    for at, then in moments:
        before = state_of(shop)
        tables = [t for t in NAMES if f"{database}.{t}" in then]
        chosen = history.random.sample(tables, history.random.randint(0, len(tables)))
        target = [f"{database}.{t}" for t in chosen] or database
        preview = preview_restore(shop, target, at)
        if not preview.ok:
            with pytest.raises(PitrRestoreError, match="nothing was sent"):
                restore(shop, target, at)
            assert state_of(shop) == before, history.said
            continue
        report = restore(shop, target, at, preview=preview)
        assert report.ok, f"{report}\n{history.said}"
        after = state_of(shop)
        if target == database:
            assert after == then, history.said
        else:
            assert only(after, database, chosen) == only(then, database, chosen), history.said
            others = [t for t in NAMES if t not in chosen]
            assert only(after, database, others) == only(before, database, others), history.said
        said = {table.name: table.rows_then for table in preview.tables if table.way != "drop"}
        assert {table.name: table.rows for table in report.tables} == said
        assert keys_of(only(after, database, chosen)) == keys_of(only(then, database, chosen))
        undone = report.undo()
        assert undone.ok, f"{undone}\n{history.said}"
        assert state_of(shop) == before, history.said
