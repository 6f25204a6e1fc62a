"""Many tables at once: what is sent grows with their number, and no faster; connections do not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from sqlalchemy_matrixone_pitr import Pitr, forget_copies, preview_restore, restore
from tests.conftest import Server
from tests.past.tables import say, take_moment
from tests.policies import protect


@dataclass
class Sent:
    """The statements and new connections of some work."""

    statements: int = 0
    connections: int = 0


@contextlib.contextmanager
def counted() -> Iterator[Sent]:
    sent = Sent()

    def executed(*_: object) -> None:
        sent.statements += 1

    def connected(*_: object) -> None:
        sent.connections += 1

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Pool, "connect", connected)
    yield sent
    event.remove(Engine, "before_cursor_execute", executed)
    event.remove(Pool, "connect", connected)


MANY = (3, 6, 12)


@pytest.mark.slow
@pytest.mark.one_version
@pytest.mark.parametrize("way", ["restore", "copies", "database"])
def test_what_is_sent_for_many_tables(
    matrixone_engine: Engine, server: Server, database: str, prefix: str, way: str
) -> None:
    engine = matrixone_engine
    protect(engine, Pitr.database(f"{prefix}_d", "1d", database_name=database))
    counts: dict[str, list[Sent]] = {"preview": [], "restore": [], "undo": []}

    def count(what: str, work: Callable[[], object]) -> None:
        engine.dispose()  # each begins without connections
        with counted() as sent:
            work()
        counts[what].append(sent)

    made: list[str] = []
    for many in MANY:
        for number in range(len(made), many):
            made.append(f"{database}.t{number}")
            say(engine, f"CREATE TABLE t{number} (id INT PRIMARY KEY, v INT, UNIQUE KEY u (v))")
        say(engine, *(f"INSERT INTO {name} VALUES (1, 1), (2, 2)" for name in made))
        at = take_moment(engine)
        say(engine, *(f"DELETE FROM {name} WHERE id > 0" for name in made))
        target: list[str] | str = database if way == "database" else list(made)
        by_restore = False if way == "copies" else None
        count("preview", lambda: preview_restore(engine, target, at))  # noqa: B023 - called here
        report = []
        count(
            "restore",
            lambda: report.append(restore(engine, target, at, by_restore=by_restore)),  # noqa: B023
        )
        [done] = report
        assert done.ok, str(done)
        undone = []
        count("undo", lambda: undone.append(done.undo()))  # noqa: B023 - called here
        assert undone[0].ok
        forget_copies(engine, ids=[n for n in (done.id, undone[0].id) if n is not None])
    for what, (few, more, most) in counts.items():
        # each table more is as many statements more, whatever there is already; the moment of a
        # COMMIT is found by halves, in some more or less
        first, then = more.statements - few.statements, most.statements - more.statements
        assert then <= 2 * first + 30, (what, few, more, most)
        each = 23 if server.version > (4, 2, 0) else 20  # main does not list every foreign key
        assert then <= each * (MANY[2] - MANY[1]), (what, more, most)
        assert most.connections <= max(few.connections, 4), (what, few, most)
