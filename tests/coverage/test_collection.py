"""coverage()'s word after a garbage collection: what it calls restorable is there, all of it.

Each scene is played in a database of its own; then garbage is collected once, for all of them, on
a real server as tests/server/test_collection.py says. Of each moment a scene says what must be
kept; coverage() must say the same, before the collection and after it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import secrets
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import (
    Kept,
    Moment,
    PastNotKeptError,
    PastNotKeptWarning,
    PitrRestoreError,
    TableCoverage,
    check_kept,
    coverage,
    dropped_objects,
    forget_copies,
    hold,
    holds,
    release,
    renew_pitr,
    restore,
    undo_changes,
    undrop,
)
from tests.clock import wait
from tests.conftest import LIVE, Server
from tests.past.tables import Rows
from tests.server.conftest import collect, connected, drop_all
from tests.server.scenes import KNOWN_AFTER, Scene

pytestmark = pytest.mark.timeout(1800 if LIVE else 300)

HOURS = dt.timedelta(hours=2)
"""In which an emulator's gc-ttl has passed, and no policy's range of a day"""


class Keeps(enum.Enum):
    """The answer for a moment: what of it is kept."""

    ALL = enum.auto()
    ROWS = enum.auto()
    NOTHING = enum.auto()


@dataclass
class History(Scene):
    """A scene that remembers the rows of its moments, and what must be kept of them."""

    engine: Engine = field(kw_only=True)
    rows: dict[str, Rows] = field(default_factory=dict)
    keeps: dict[str, Keeps] = field(default_factory=dict)
    foretold: TableCoverage | None = None
    """The report of coverage() before the collection"""

    def expect(self, name: str, keeps: Keeps) -> None:
        """Take a moment."""
        self.flush()
        self.take(name)
        self.rows[name] = self.say.rows("SELECT * FROM ~.t")
        self.keeps[name] = keeps

    def at(self, name: str) -> Moment:
        return Moment(self.moments[name].nanoseconds)

    @property
    def target(self) -> str:
        return f"{self.say.own}.t"

    def coverage(self) -> TableCoverage | None:
        """None of a table that is gone, and that no policy names."""
        for table in coverage(self.engine, databases=[self.say.own]).tables:
            if table.table_name == "t":
                return table
        return None

    def source(self, name: str) -> str:
        """The table as it was at a moment, in a FROM."""
        return f"~.t {{MO_TS = {self.at(name).nanoseconds}}}"

    def reads(self, name: str) -> Rows:
        """The rows of a moment, as the server reads them now."""
        return self.say.rows(f"SELECT * FROM {self.source(name)}")

    def present(self) -> Rows | None:
        """The rows now; None where there is no such table."""
        answer = self.say("SELECT * FROM ~.t")
        return None if answer.error else sorted(answer.rows, key=repr)


Play = Callable[[History], Iterator[None]]
PLAYS: dict[str, Play] = {}
"""At each `yield` time passes; behind the last one comes what collection follows."""

DELETE = "DELETE FROM ~.t WHERE id > 0"
REBUILD = "ALTER TABLE ~.t ADD COLUMN z INT"
OF_TABLE = "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'"
OF_DATABASE = "CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'"


def play(work: Play) -> Play:
    PLAYS[work.__name__] = work
    return work


def simple(name: str, keeps: Keeps, policy: str | None, *changes: str) -> None:
    """A scene with a policy, a moment, and changes after it."""

    def work(scene: History) -> Iterator[None]:
        scene.make()
        scene.say.ok(*([policy] if policy else []))
        yield
        scene.expect("then", keeps)
        yield
        scene.say.ok(*changes)

    PLAYS[name] = work


simple("nothing", Keeps.NOTHING, None, DELETE)
simple("nothing_dropped", Keeps.NOTHING, None, "DROP TABLE ~.t")
simple("database", Keeps.ALL, OF_DATABASE, DELETE)
simple("database_table_dropped", Keeps.ALL, OF_DATABASE, "DROP TABLE ~.t")
simple("table", Keeps.ROWS, OF_TABLE, DELETE)
simple("table_dropped", Keeps.ROWS, OF_TABLE, "DROP TABLE ~.t")
simple("policy_dropped", Keeps.NOTHING, OF_DATABASE, DELETE, "DROP PITR ~_p")
simple("range_of_0", Keeps.NOTHING, OF_DATABASE, DELETE, "ALTER PITR ~_p RANGE 0 'h'")
simple("shorter", Keeps.ALL, OF_DATABASE, DELETE, "ALTER PITR ~_p RANGE 12 'h'")


@play
def table_without_indexes(scene: History) -> Iterator[None]:
    scene.make(columns="id INT PRIMARY KEY, u INT, g INT")
    scene.say.ok(OF_TABLE)
    yield
    scene.expect("then", Keeps.ALL)
    yield
    scene.say.ok(DELETE)


def partitioned(name: str, policy: str, keeps: Callable[[Scene], Keeps]) -> None:
    def work(scene: History) -> Iterator[None]:
        scene.make(" PARTITION BY HASH (id) PARTITIONS 2")
        scene.say.ok(policy)
        yield
        scene.expect("then", keeps(scene))
        yield
        scene.say.ok(DELETE)

    PLAYS[name] = work


partitioned("partitions_of_database", OF_DATABASE, lambda scene: Keeps.ALL)
partitioned(
    "partitions",
    OF_TABLE,
    lambda scene: Keeps.NOTHING if scene.server.version >= (4,) else Keeps.ROWS,
)


def changed(name: str, policy: str, before: Keeps, after: Keeps, *changes: str) -> None:
    """A scene with moments before and after an event."""

    def work(scene: History) -> Iterator[None]:
        scene.make()
        scene.say.ok(policy)
        yield
        scene.expect("before", before)
        yield
        scene.say.ok(*changes)
        for row in (3, 31, 31), (4, 41, 41):  # objects of their own
            scene.add(row)
        yield
        scene.expect("after", after)
        yield
        scene.say.ok(DELETE)

    PLAYS[name] = work


AGAIN = "CREATE TABLE ~.t (id INT PRIMARY KEY, u INT UNIQUE, g INT, KEY (g))"
changed("database_rebuilt", OF_DATABASE, Keeps.ALL, Keeps.ALL, REBUILD)
changed("database_truncated", OF_DATABASE, Keeps.ALL, Keeps.ALL, "TRUNCATE TABLE ~.t")
changed("database_made_again", OF_DATABASE, Keeps.ALL, Keeps.ALL, "DROP TABLE ~.t", AGAIN)
changed("table_rebuilt", OF_TABLE, Keeps.ROWS, Keeps.NOTHING, REBUILD)
changed("table_truncated", OF_TABLE, Keeps.ROWS, Keeps.NOTHING, "TRUNCATE TABLE ~.t")
changed("table_made_again", OF_TABLE, Keeps.ROWS, Keeps.NOTHING, "DROP TABLE ~.t", AGAIN)
changed("policy_made_again", OF_DATABASE, Keeps.NOTHING, Keeps.ALL, "DROP PITR ~_p", OF_DATABASE)


@play
def policy_made_later(scene: History) -> Iterator[None]:
    """A policy keeps nothing of before it was made."""
    scene.make()
    yield
    scene.expect("before", Keeps.NOTHING)
    yield
    scene.say.ok(DELETE, OF_DATABASE)
    for row in (3, 31, 31), (4, 41, 41):
        scene.add(row)
    yield
    scene.expect("after", Keeps.ALL)
    yield
    scene.say.ok(DELETE)


@play
def table_renewed(scene: History) -> Iterator[None]:
    scene.make()
    scene.say.ok(OF_TABLE)
    yield
    scene.expect("before", Keeps.ROWS)
    yield
    scene.say.ok(REBUILD)
    scene.add((3, 31, 31))
    yield
    scene.expect("between", Keeps.NOTHING)
    renew_pitr(scene.engine, f"{scene.say.own}_p")
    yield
    scene.say.ok("DELETE FROM ~.t WHERE id = 3")
    scene.add((4, 41, 41))
    yield
    scene.expect("after", Keeps.ROWS)
    yield
    scene.say.ok(DELETE)


def snapshot(name: str, target: str, keeps: Keeps = Keeps.ALL) -> None:
    def work(scene: History) -> Iterator[None]:
        scene.make()
        yield
        scene.expect("before", Keeps.NOTHING)
        yield
        scene.expect("then", keeps)
        scene.take_snapshot("then", target)
        yield
        scene.say.ok(DELETE)

    PLAYS[name] = work


snapshot("snapshot_of_table", "TABLE ~ t")
snapshot("snapshot_of_database", "DATABASE ~")

NOT_TOLD = {"nothing_dropped", "database_table_dropped"}
"""Tables that are gone, and that no policy names: coverage() says nothing of them"""

Scenes = dict[str, History]


@contextlib.contextmanager
def playing(server: Server, plays: dict[str, Play]) -> Iterator[tuple[Scenes, Callable[[], None]]]:
    """The scenes, played; and what collects garbage."""
    if server.version < (3,):
        pytest.skip("since 3.0")
    prefix = f"pt{secrets.token_hex(3)}"
    collecting = collect(server, prefix)  # skips where there is no way
    engine = create_engine(server.url("matrixone+pymysql"), pool_pre_ping=True)
    scenes = {
        name: History(connected(server, f"{prefix}{number:02}"), server, engine=engine)
        for number, name in enumerate(plays)
    }

    def collect_all() -> None:
        if server.emulator is not None:
            server.emulator.advance(HOURS)
        collecting()

    last = connected(server, prefix)
    try:
        running = []
        for name, scene in scenes.items():
            scene.say.ok("CREATE DATABASE ~")
            running.append(plays[name](scene))
        first = True
        while running:
            running = [work for work in running if next(work, work) is None]
            wait(server, KNOWN_AFTER if first and server.live else 2.0)
            first = False
        if server.live:
            wait(server, KNOWN_AFTER)
        for scene in scenes.values():
            scene.foretold = scene.coverage()
        yield scenes, collect_all
    finally:
        for one in holds(engine):
            if one.targets.startswith(prefix):
                release(engine, one.id)
        engine.dispose()
        for scene in scenes.values():
            scene.say.close()
        for kind in ("PITR", "SNAPSHOT", "DATABASE"):
            drop_all(last, kind, last(f"SHOW {kind if kind == 'PITR' else kind + 'S'}").column, "~")
        last.close()


@pytest.fixture(scope="module")
def after(server: Server) -> Iterator[Scenes]:
    """The scenes, when garbage has been collected."""
    with playing(server, PLAYS) as (scenes, collect_all):
        collect_all()
        yield scenes


def ids(scene: History, source: str, where: str) -> list[int]:
    return [row[0] for row in scene.say.rows(f"SELECT id FROM {source} WHERE {where}")]


def some(rows: Rows) -> Rows:
    """Those that are no fillers, and a few of these, of each insert one."""
    return [row for row in rows if row[0] < 1000 or row[0] % 1000 == 7]


def check_read(scene: History, name: str, *, indexes: bool) -> None:
    """Read a moment that is kept, row by row; by its indexes too, if they are."""
    past = scene.source(name)
    assert scene.reads(name) == scene.rows[name]
    if indexes:
        for id, u, *_ in some(scene.rows[name]):
            assert ids(scene, past, f"u = {u}") == [id]
        assert ids(scene, past, "g = 5") == ids(scene, past, "g + 0 = 5")


def check_restored(scene: History, name: str) -> None:
    """The table is as at a moment, and every way to find a row finds it."""
    rows = scene.rows[name]
    assert scene.say.rows("SELECT * FROM ~.t") == rows
    for id, u, g, *_ in some(rows):
        assert ids(scene, "~.t", f"u = {u}") == [id]
        assert ids(scene, "~.t", f"g = {g}") == ids(scene, "~.t", f"g + 0 = {g}")
    with scene.engine.connect() as connection:
        for id, *_ in some(rows):
            found = connection.exec_driver_sql(f"DELETE FROM {scene.target} WHERE id = {id}")
            assert found.rowcount == 1
        connection.rollback()
    if "UNIQUE" in scene.say.rows("SHOW CREATE TABLE ~.t")[0][1].upper():
        assert (
            scene.say.error(f"INSERT INTO ~.t (id, u, g) VALUES (5, {rows[0][1]}, 5)") is not None
        )


def check_refused(scene: History, name: str) -> None:
    """Nothing of ours takes what is lost for an empty past; nothing is changed."""
    before, at = scene.present(), scene.at(name)
    with warnings.catch_warnings(record=True, action="always") as told:
        try:
            (verdict,) = check_kept(scene.engine, [scene.target], at)
        except PastNotKeptError:
            pass
        else:  # younger than an hour, or so much older than a policy
            assert verdict.kept is Kept.PROBABLE
            assert [one.category for one in told] == [PastNotKeptWarning]
    with pytest.raises(PitrRestoreError, match="is not restored, and nothing was sent"):
        restore(scene.engine, scene.target, at)
    with pytest.raises(PastNotKeptError), scene.engine.begin() as connection:
        undo_changes(connection, scene.target, at)
    assert scene.present() == before


def told_of(table: TableCoverage, at: Moment) -> Keeps:
    """The word of coverage() for a moment: also for one before the table was made anew."""
    for window in table.windows:
        if window.kept is Kept.KEPT and (at in window or (window.since and window.since <= at)):
            return Keeps.ALL if window.indexes else Keeps.ROWS
    return Keeps.NOTHING


@pytest.mark.parametrize("name", PLAYS)
def test_coverage_keeps_its_word(after: Scenes, name: str) -> None:
    scene = after[name]
    words = [table for table in (scene.foretold, scene.coverage()) if table is not None]
    assert len(words) == (0 if name in NOT_TOLD else 2)
    for taken, keeps in scene.keeps.items():
        for table in words:
            # 3.0.9 does not record that TRUNCATE has detached a policy, nor when.
            unsure = (name, taken) == ("table_truncated", "before") and scene.server.version < (4,)
            told = Keeps.NOTHING if unsure else keeps
            assert told_of(table, scene.at(taken)) is told, (taken, table)
            if keeps is Keeps.NOTHING:
                assert not table.restorable_at(scene.at(taken))
        if keeps is Keeps.NOTHING:
            check_refused(scene, taken)
        else:
            # 4.2.0 answers from the present, or with an error (docs/server.md, Time travel).
            trap = name == "partitions_of_database" and scene.server.version >= (4,)
            check_read(scene, taken, indexes=keeps is Keeps.ALL and not trap)


@pytest.mark.parametrize("name", ["database", "table", "table_without_indexes"])
def test_undone_row_by_row(after: Scenes, name: str) -> None:
    scene = after[name]
    with scene.engine.connect() as connection:
        assert undo_changes(connection, scene.target, scene.at("then")).complete
        found = connection.exec_driver_sql(f"SELECT * FROM {scene.target}").all()
        assert sorted(map(tuple, found), key=repr) == scene.rows["then"]
        connection.rollback()


@pytest.mark.parametrize("name", PLAYS)
def test_restore_and_undo(after: Scenes, name: str) -> None:
    """Every moment that is kept, one after the other; each undone by its safety copy."""
    scene = after[name]
    kept = [taken for taken, keeps in scene.keeps.items() if keeps is not Keeps.NOTHING]
    if name == "partitions_of_database" and scene.server.version >= (4,) and not scene.server.live:
        pytest.skip("the emulator reads no partition by its name")
    for taken in kept:
        before = scene.present()
        # 3.0.9 takes the policy of a truncated table for active, and makes no other.
        renew = name != "table_truncated" or scene.server.version >= (4,)
        report = restore(
            scene.engine, scene.target, scene.at(taken), compare_rows=True, renew=renew
        )
        assert report.ok, report
        check_restored(scene, taken)
        undone = report.undo()
        assert undone.ok is renew, undone
        assert scene.present() == before
        forget_copies(scene.engine, ids=[report, undone])


@pytest.mark.parametrize("name", ["database_table_dropped", "table_dropped"])
def test_dropped_and_brought_back(after: Scenes, name: str) -> None:
    scene = after[name]
    own, since = scene.say.own, scene.at("then")
    (dropped,) = dropped_objects(scene.engine, database=own, since=since, samples=8)
    assert (dropped.table_name, dropped.kept) == ("t", Kept.KEPT)
    assert dropped.indexes is (scene.keeps["then"] is Keeps.ALL)
    undrop(scene.engine, dropped)
    check_restored(scene, "then")


def test_dropped_and_lost(after: Scenes) -> None:
    scene = after["nothing_dropped"]
    own, since = scene.say.own, scene.at("then")
    (dropped,) = dropped_objects(scene.engine, database=own, since=since, samples=8)
    assert dropped.kept is not Kept.KEPT
    with pytest.raises(PastNotKeptError, match="it would come back empty"):
        undrop(scene.engine, dropped)
    assert scene.present() is None


# ------------------------------------------------------------------------------------------ holds

OF_AN_HOUR = OF_DATABASE.replace("1 'd'", "1 'h'")


def ran_out(scene: History) -> Iterator[None]:
    scene.make()
    scene.say.ok(OF_AN_HOUR)
    yield
    scene.expect("then", Keeps.ALL if scene.server.live else Keeps.NOTHING)
    yield
    scene.say.ok(DELETE)


def held(scene: History) -> Iterator[None]:
    scene.make()
    scene.say.ok(OF_AN_HOUR)
    yield
    scene.expect("then", Keeps.ALL)
    yield
    scene.say.ok(DELETE)
    hold(scene.engine, scene.say.own, "a test")


def held_detached(scene: History) -> Iterator[None]:
    """What a policy kept before a rebuild is held, too."""
    scene.make()
    scene.say.ok(OF_TABLE.replace("1 'd'", "1 'h'"))
    yield
    scene.expect("then", Keeps.ROWS)
    yield
    scene.say.ok(REBUILD)
    hold(scene.engine, scene.target, "a test")
    scene.say.ok(DELETE)


def held_and_dropped(scene: History) -> Iterator[None]:
    scene.make()
    scene.say.ok(OF_AN_HOUR)
    yield
    scene.expect("then", Keeps.NOTHING)
    yield
    scene.say.ok(DELETE)
    hold(scene.engine, scene.say.own, "a test")
    scene.say.ok("DROP PITR ~_p")


def lengthened_in_time(scene: History) -> Iterator[None]:
    """The range at the collection counts."""
    scene.make()
    scene.say.ok(OF_AN_HOUR)
    yield
    scene.expect("then", Keeps.ALL)
    yield
    scene.say.ok(DELETE, "ALTER PITR ~_p RANGE 0 'h'", "ALTER PITR ~_p RANGE 100 'y'")


def lengthened_late(scene: History) -> Iterator[None]:
    """When a collection has been. A real one comes within the hour in which coverage() does not
    expect it."""
    scene.make()
    scene.say.ok(OF_AN_HOUR)
    yield
    scene.expect("then", Keeps.NOTHING)
    yield
    scene.say.ok(DELETE, "ALTER PITR ~_p RANGE 0 'h'")


HOLDS: dict[str, Play] = {
    one.__name__: one
    for one in (ran_out, held, held_detached, held_and_dropped, lengthened_in_time)
}


def told_now(scene: History) -> Keeps:
    table = scene.coverage()
    assert table is not None
    return told_of(table, scene.at("then"))


def test_holds(server: Server) -> None:
    """What is held outlives a collection that its own range would not; and goes after release()."""
    plays = {**HOLDS} if server.live else {**HOLDS, "lengthened_late": lengthened_late}
    with playing(server, plays) as (scenes, collect_all):
        collect_all()
        if not server.live:
            scenes["lengthened_late"].say.ok("ALTER PITR ~_p RANGE 100 'y'")
        for name, scene in scenes.items():
            keeps = scene.keeps["then"]
            if keeps is not Keeps.NOTHING:
                check_read(scene, "then", indexes=keeps is Keeps.ALL)
            else:
                assert scene.reads("then") == [], name
                check_refused(scene, "then")
            assert told_now(scene) is keeps, name

        for name in "held", "held_detached":
            scene = scenes[name]
            before = scene.present()
            report = restore(scene.engine, scene.target, scene.at("then"), compare_rows=True)
            check_restored(scene, "then")
            undone = report.undo()
            assert scene.present() == before
            forget_copies(scene.engine, ids=[report, undone])
            for one in holds(scene.engine):
                if one.targets.startswith(scene.say.own):
                    release(scene.engine, one.id)
            if server.live:  # whose hour is not over
                assert told_now(scene) is scene.keeps["then"]
                scene.say.ok("ALTER PITR ~_p RANGE 0 'h'")
        collect_all()
        for name in "held", "held_detached":
            scene = scenes[name]
            assert scene.reads("then") == [], name
            assert told_now(scene) is Keeps.NOTHING
            check_refused(scene, "then")
