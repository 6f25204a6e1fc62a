"""Garbage collection: which moments can still be read, cloned and restored afterwards.

Each scene is played in databases of its own; then garbage is collected once, for all of them. A
real server collects after an hour by default: there these tests need one that does within seconds,
looks for checkpoints every 5 s (docs/server.md, Garbage collection), and MATRIXONE_COLLECTS to say
how it is started anew (tests/server/conftest.py, `collect`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.clock import wait
from tests.conftest import LIVE, Server
from tests.server.conftest import (
    PASSWORD,
    Client,
    collect,
    connected,
    drop_all,
    moment,
)
from tests.server.scenes import KNOWN_AFTER, Scene

pytestmark = pytest.mark.timeout(1800 if LIVE else 300)

IDS = [1, 2, 77]
UNIQUE, INDEXED, SCANNED = "u = 30", "g = 5", "g + 0 = 5"

Play = Callable[[Scene], Iterator[None]]
PLAYS: dict[str, Play] = {}
"""Up to `yield` a scene is set, behind it comes what collection follows."""

DELETE = "DELETE FROM ~.t WHERE id > 0"
REBUILD = "ALTER TABLE ~.t ADD COLUMN z INT"
OF_TABLE = "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'"
OF_DATABASE = "CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'"


def play(work: Play) -> Play:
    PLAYS[work.__name__] = work
    return work


def simple(name: str, policy: str | None, *changes: str) -> None:
    """A scene with a policy, a moment, and changes after it."""

    def work(scene: Scene) -> Iterator[None]:
        if policy:
            scene.say.ok(policy)
        scene.take("then")
        yield
        scene.say.ok(*changes)

    PLAYS[name] = work


simple("nothing", None, DELETE)
simple("nothing_dropped", None, "DROP TABLE ~.t")
simple("one_row", None, "DELETE FROM ~.t WHERE id = 1")
simple("database_deleted", OF_DATABASE, DELETE)
simple("database_table_dropped", OF_DATABASE, "DROP TABLE ~.t")
simple("database_altered", OF_DATABASE, REBUILD)
simple("database_truncated", OF_DATABASE, "TRUNCATE TABLE ~.t")
simple("database_dropped", OF_DATABASE, "DROP DATABASE ~")
simple("renewed_at_once", OF_DATABASE, DELETE, "DROP PITR ~_p", OF_DATABASE)
simple("renewed_later", OF_DATABASE, DELETE, "DROP PITR ~_p")
simple("table_deleted", OF_TABLE, DELETE)
simple("table_dropped", OF_TABLE, "DROP TABLE ~.t")
simple("table_truncated", OF_TABLE, "TRUNCATE TABLE ~.t")
simple("table_altered", OF_TABLE, REBUILD)
simple("table_longer", OF_TABLE, "ALTER PITR ~_p RANGE 2 'h'", DELETE)
simple("table_restored", OF_TABLE, DELETE)


@play
def database_again(scene: Scene) -> Iterator[None]:
    scene.say.ok(OF_DATABASE)
    scene.take("before")
    scene.say.ok("DROP DATABASE ~", "CREATE DATABASE ~")
    scene.make()
    scene.take("after")
    yield
    scene.say.ok(DELETE)


def rebuilt(name: str, first: str | None, then: str | None) -> None:
    """A scene with a policy before a rebuild, and one after it."""

    def work(scene: Scene) -> Iterator[None]:
        if first:
            scene.say.ok(first)
        scene.take("before")
        scene.say.ok(REBUILD)
        if then:
            scene.say.ok(then)
        scene.add((3, 31, 31))  # objects of its own
        scene.add((4, 41, 41))
        scene.take("after")
        yield
        scene.say.ok(DELETE)

    PLAYS[name] = work


rebuilt("rebuilt", OF_TABLE, None)
rebuilt("rebuilt_plain", OF_TABLE, "CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'h'")
rebuilt("rebuilt_internal", OF_TABLE, "CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'h' INTERNAL")
rebuilt("rebuilt_first", None, OF_TABLE)


@play
def hidden_tables(scene: Scene) -> Iterator[None]:
    unique, _ = hidden(scene.say)
    scene.say.ok(OF_TABLE, f"CREATE PITR ~_u FOR TABLE ~ `{unique}` RANGE 1 'h'")
    scene.take("then")
    yield
    scene.say.ok(DELETE)


def partitioned(name: str, *policies: str) -> None:
    """A scene of a table with two partitions; `%` stands for each of its hidden tables."""

    def work(scene: Scene) -> Iterator[None]:
        scene.say.ok("DROP TABLE ~.t")
        scene.make(" PARTITION BY HASH (id) PARTITIONS 2")
        names = scene.say.ok(
            "SELECT relname FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relkind <> 'r'"
        ).column
        for policy in policies:
            if "%" not in policy:
                scene.say.ok(policy)
            else:
                scene.say.ok(
                    *(policy.replace("%", f"{n} FOR TABLE ~ `{h}`") for n, h in enumerate(names))
                )
        scene.take("then")
        yield
        scene.say.ok(DELETE)

    PLAYS[name] = work


partitioned("partitions", OF_TABLE)
partitioned("partitions_each", OF_TABLE, "CREATE PITR ~_h% RANGE 1 'h'")
partitioned("partitions_of_database", OF_DATABASE)


@play
def snapshots(scene: Scene) -> Iterator[None]:
    scene.take_snapshot("t", "TABLE ~ t")
    yield
    scene.say.ok("DROP TABLE ~.t")


@play
def snapshot_of_database(scene: Scene) -> Iterator[None]:
    scene.take("before")
    scene.add((3, 31, 31))
    scene.take_snapshot("d", "DATABASE ~")
    yield
    scene.say.ok("DELETE FROM ~.t WHERE id < 50")
    scene.flush()
    scene.take("after")
    scene.say.ok(DELETE)


@play
def snapshot_after_a_rebuild(scene: Scene) -> Iterator[None]:
    scene.say.ok(REBUILD)
    scene.add((3, 31, 31))
    scene.add((4, 41, 41))
    scene.take_snapshot("t", "TABLE ~ t")
    yield
    scene.say.ok(DELETE)


@play
def of_account(scene: Scene) -> Iterator[None]:
    """In an account of its own, whose every database its policy keeps."""
    say = scene.say
    say.ok("DROP DATABASE ~", f"CREATE ACCOUNT ~_a ADMIN_NAME 'admin' IDENTIFIED BY '{PASSWORD}'")
    scene.say = connected(scene.server, say.own, user=f"{say.own}_a:admin", password=PASSWORD)
    scene.say.ok("CREATE DATABASE ~")
    scene.make()
    scene.say.ok("CREATE PITR ~_p FOR ACCOUNT RANGE 1 'h'")
    scene.take("then")
    yield
    scene.say.ok("DROP DATABASE ~")


Scenes = dict[str, Scene]


@pytest.fixture(scope="module")
def after(server: Server) -> Iterator[Scenes]:
    """The scenes, when garbage has been collected."""
    if server.version < (3,):
        pytest.skip("since 3.0")
    prefix = f"pt{secrets.token_hex(3)}"
    collecting = collect(server, prefix)  # skips where there is no way
    scenes = {
        name: Scene(connected(server, f"{prefix}{number:02}"), server)
        for number, name in enumerate(PLAYS)
    }
    last = connected(server, prefix)
    try:
        running = []
        for name, scene in scenes.items():
            scene.say.ok("CREATE DATABASE ~")
            scene.make()
            running.append(PLAYS[name](scene))
        for _ in range(2):
            if server.live:
                wait(server, KNOWN_AFTER)
            for work in running:
                next(work, None)
        collecting()
        yield scenes
    finally:
        for scene in scenes.values():
            scene.say.close()
        for kind in ("ACCOUNT", "PITR", "SNAPSHOT", "DATABASE"):
            drop_all(last, kind, last(f"SHOW {kind if kind == 'PITR' else kind + 'S'}").column, "~")
        last.close()


# --------------------------------------------------------------------------------------- nothing


def test_what_nothing_keeps_is_gone_and_nothing_says_so(after: Scenes) -> None:
    scene = after["nothing"]
    assert scene.past() == []
    assert scene.cloned("c") == []


def test_a_table_that_is_gone_is_still_in_the_catalogue(after: Scenes) -> None:
    scene = after["nothing_dropped"]
    assert scene.past() == []
    assert scene.say.value(
        f"SELECT count(*) FROM mo_catalog.mo_tables "
        f"{{MO_TS = {scene.moments['then'].nanoseconds}}} "
        "WHERE reldatabase = '~' AND relname = 't'"
    )
    assert scene.say.error("SELECT * FROM ~.t") is not None


def test_the_present_is_never_taken(after: Scenes) -> None:
    scene = after["one_row"]
    assert scene.past() == []
    assert scene.ids("~.t") == [2, 77]
    assert scene.ids("~.t", UNIQUE) == [77]
    scene.take("now")
    assert scene.past("now") == [2, 77]


# ------------------------------------------------------------------- of databases and accounts


@pytest.mark.parametrize("what", ["deleted", "table_dropped", "altered", "truncated", "dropped"])
def test_a_databases_policy_keeps_rows_and_indexes(after: Scenes, what: str) -> None:
    scene = after[f"database_{what}"]
    assert scene.past() == IDS
    assert scene.past(where=UNIQUE) == [77]
    assert scene.past(where=INDEXED) == [1, 2]
    assert scene.cloned("c") == IDS
    assert scene.ids("~_c.c", UNIQUE) == [77]
    assert scene.restored() == IDS
    assert scene.ids("~.t", INDEXED) == [1, 2]


def test_an_accounts_policy_keeps_rows_and_indexes(after: Scenes) -> None:
    scene = after["of_account"]
    assert scene.past() == IDS
    assert scene.past(where=UNIQUE) == [77]


def test_a_database_made_again_is_another_one(after: Scenes) -> None:
    scene = after["database_again"]
    assert scene.past("before") == IDS
    assert scene.past("after") == []


def test_a_policy_made_anew_at_once_loses_nothing(after: Scenes) -> None:
    scene = after["renewed_at_once"]
    assert scene.past() == IDS
    assert scene.cloned("c") == IDS
    text = scene.moments["then"].text
    refusal = scene.say.error(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_p '{text}'")
    assert refusal is not None
    assert "less than the pitr valid time" in refusal[1]


def test_a_collection_between_drop_and_create(after: Scenes) -> None:
    scene = after["renewed_later"]
    scene.say.ok(OF_DATABASE)
    assert scene.past() == []


# ----------------------------------------------------------------------------------- of tables


@pytest.mark.parametrize("what", ["deleted", "dropped", "truncated", "altered", "longer"])
def test_a_tables_policy_keeps_its_rows_and_not_its_indexes(after: Scenes, what: str) -> None:
    scene = after[f"table_{what}"]
    assert scene.past() == IDS
    assert scene.past(where=UNIQUE) == []
    assert scene.past(where=INDEXED) == []
    assert scene.past(where=SCANNED) == [1, 2]


def test_a_look_up_by_the_primary_key_needs_no_index(after: Scenes) -> None:
    scene = after["table_deleted"]
    assert scene.past(where="id = 77") == [77]
    assert scene.past(where="id BETWEEN 2 AND 100") == [2, 77]


def test_which_queries_go_through_an_index(after: Scenes, server: Server) -> None:
    """docs/server.md, Time travel: LIMIT keeps the planner from it, derived tables do not."""
    scene = after["table_deleted"]
    at = f"~.t {{MO_TS = {scene.moments['then'].nanoseconds}}}"
    assert scene.ids(f"{at} AS x", "x.g = 5") == []
    assert scene.ids(f"(SELECT id, g FROM {at}) AS x", "x.g = 5") == []
    assert scene.ids(f"(SELECT * FROM {at} LIMIT 18446744073709551615) AS x", "x.g = 5") == [1, 2]
    assert scene.ids(f"{at} AS x", "x.g IN (5, 6)") == []
    assert scene.ids(f"{at} AS x", "x.g BETWEEN 5 AND 6") == []
    named = scene.say.rows(f"WITH c AS (SELECT id, g AS h FROM {at}) SELECT id FROM c WHERE h = 5")
    assert named == []
    if server.version < (4,):
        assert scene.ids(f"{at} AS x", "x.g > 5 AND x.g < 7") == [77]
    assert scene.ids(f"{at} AS x", "x.g <> 5") == [77]


def test_after_a_rebuild_a_tables_policy_keeps_what_was_before_it(after: Scenes) -> None:
    scene = after["rebuilt"]
    assert scene.past("before") == IDS
    assert scene.past("after") == []
    assert scene.cloned("c", "after") == []
    assert scene.restored("before") == IDS
    assert scene.restored("after") == []


def test_a_plain_policy_after_a_rebuild(after: Scenes, server: Server) -> None:
    """From 4.x on it is for an id that the table no longer has."""
    scene = after["rebuilt_plain"]
    assert scene.past("before") == IDS
    assert scene.past("after") == ([] if server.version >= (4,) else [1, 2, 3, 4, 77])


def test_a_first_policy_after_a_rebuild(after: Scenes, server: Server) -> None:
    scene = after["rebuilt_first"]
    kept = [] if server.version >= (4,) else [1, 2, 3, 4, 77]
    # The logical id is that of the table before the rebuild, which it keeps then.
    assert scene.past("before") == (IDS if server.version >= (4,) else [])
    assert scene.past("after") == kept
    assert scene.restored("after") == kept


def test_renewal_with_internal_keeps_before_and_after(after: Scenes) -> None:
    scene = after["rebuilt_internal"]
    assert scene.past("before") == IDS
    assert scene.past("after") == [1, 2, 3, 4, 77]
    assert scene.restored("after", "~_q") == [1, 2, 3, 4, 77]


def test_a_tables_policy_keeps_no_partitions_since_4(after: Scenes, server: Server) -> None:
    """They are tables of their own there, and the policy of each keeps it."""
    scene, each = after["partitions"], after["partitions_each"]
    assert scene.past() == ([] if server.version >= (4,) else IDS)
    assert scene.past(where=SCANNED) == ([] if server.version >= (4,) else [1, 2])
    assert scene.restored() == ([] if server.version >= (4,) else IDS)
    assert each.past() == IDS
    assert each.restored() == IDS
    assert each.ids("~.t", INDEXED) == [1, 2]
    assert after["partitions_of_database"].past() == IDS


# ------------------------------------------------------------------------------- broken indexes


@pytest.fixture
def broken(after: Scenes, request: pytest.FixtureRequest) -> tuple[Scene, str]:
    """A scene, and a clone in it whose indexes are broken."""
    scene = after["table_deleted"]
    name = f"c{abs(hash(request.node.name)) % 10_000_000}"
    assert scene.cloned(name) == IDS
    return scene, f"~_c.{name}"


def test_look_ups_by_a_broken_index_find_nothing(broken: tuple[Scene, str]) -> None:
    scene, clone = broken
    assert scene.ids(clone, UNIQUE) == []
    assert scene.say.value(f"SELECT count(*) FROM {clone} WHERE {INDEXED}") == 0
    assert scene.say.value(f"SELECT count(*) FROM {clone} WHERE {SCANNED}") == 2


def test_a_broken_unique_index_takes_duplicates(broken: tuple[Scene, str]) -> None:
    scene, clone = broken
    scene.say.ok(f"INSERT INTO {clone} VALUES (78, 30, 6)")
    assert scene.ids(clone, "u + 0 = 30") == [77, 78]
    assert scene.say.error(f"INSERT INTO {clone} VALUES (79, 30, 6)") is not None


def test_rows_that_a_broken_index_lacks_are_not_deleted(broken: tuple[Scene, str]) -> None:
    scene, clone = broken
    assert scene.say.ok(f"DELETE FROM {clone} WHERE id = 77").affected == 0
    assert scene.ids(clone) == IDS
    scene.say.ok(f"INSERT INTO {clone} VALUES (78, 40, 7)", f"DELETE FROM {clone} WHERE id = 78")
    assert scene.ids(clone) == IDS


def test_updates_of_rows_that_a_broken_index_lacks(broken: tuple[Scene, str]) -> None:
    """Those of its column change nothing; UNIQUE ones enter the row."""
    scene, clone = broken
    assert scene.say.ok(f"UPDATE {clone} SET g = 9 WHERE id = 77").affected == 0
    assert scene.say.value(f"SELECT g + 0 FROM {clone} WHERE id = 77") == 6
    assert scene.say.ok(f"UPDATE {clone} SET u = 31 WHERE id = 77").affected == 1
    assert scene.ids(clone, "u = 31") == [77]


def test_replace_and_what_a_unique_index_lacks(broken: tuple[Scene, str], server: Server) -> None:
    """From 4.x on it looks at the rows."""
    scene, clone = broken
    affected = scene.say.ok(f"REPLACE INTO {clone} VALUES (3, 10, 1)").affected
    assert affected == (2 if server.version >= (4,) else 1)
    assert scene.ids(clone, "u + 0 = 10") == ([3] if server.version >= (4,) else [1, 3])


def test_add_column_repairs_no_index(broken: tuple[Scene, str]) -> None:
    scene, clone = broken
    scene.say.ok(f"ALTER TABLE {clone} ADD COLUMN z INT")
    assert scene.ids(clone, INDEXED) == []


def test_a_changed_column_has_its_index_filled_anew(broken: tuple[Scene, str]) -> None:
    """That of its name, at least; the others are copied as they are."""
    scene, clone = broken
    scene.say.ok(f"ALTER TABLE {clone} MODIFY COLUMN g BIGINT")
    assert scene.ids(clone, INDEXED) == [1, 2]


def test_an_index_made_anew_is_right(broken: tuple[Scene, str]) -> None:
    scene, clone = broken
    scene.say.ok(
        "USE ~_c",
        f"ALTER TABLE {clone} DROP INDEX g",
        f"ALTER TABLE {clone} ADD INDEX g (g)",
        f"ALTER TABLE {clone} DROP INDEX u",
        f"ALTER TABLE {clone} ADD UNIQUE u (u)",
    )
    assert scene.ids(clone, INDEXED) == [1, 2]
    assert scene.ids(clone, UNIQUE) == [77]
    assert scene.say.error(f"INSERT INTO {clone} VALUES (78, 30, 6)") is not None
    assert scene.say.ok(f"DELETE FROM {clone} WHERE id = 77").affected == 1


def test_a_copy_by_rows_is_never_broken(after: Scenes) -> None:
    scene = after["table_deleted"]
    scene.say.ok(
        "CREATE TABLE ~.d LIKE ~.t",
        f"INSERT INTO ~.d SELECT * FROM ~.t {{MO_TS = {scene.moments['then'].nanoseconds}}}",
    )
    assert scene.ids("~.d", INDEXED) == [1, 2]
    assert scene.ids("~.d", UNIQUE) == [77]


def test_restored_indexes_are_broken_too(after: Scenes) -> None:
    scene = after["table_restored"]
    assert scene.restored() == IDS
    assert scene.ids("~.t", UNIQUE) == []
    assert scene.say.value(f"SELECT count(*) FROM ~.t WHERE {INDEXED}") == 0


# ---------------------------------------------------------------------------- hidden index tables


def hidden(client: Client) -> list[str]:
    """The names of the hidden tables of ~.t's indexes: the UNIQUE one's first."""
    names = client.rows(
        "SELECT relname FROM mo_catalog.mo_tables "
        "WHERE reldatabase = '~' AND relkind = 'i' AND account_id = current_account_id()"
    )
    return sorted((name for (name,) in names), reverse=True)


@pytest.fixture
def goods(say: Client, since_3: None) -> Client:
    say.ok(
        "CREATE DATABASE ~", "CREATE TABLE ~.t (id INT PRIMARY KEY, u INT UNIQUE, g INT, KEY (g))"
    )
    return say


def test_indexes_are_hidden_tables(goods: Client) -> None:
    unique, secondary = hidden(goods)
    assert unique.startswith("__mo_index_unique_")
    assert secondary.startswith("__mo_index_secondary_")
    assert goods.ok("SHOW TABLES FROM ~").column == ["t"]
    assert goods.rows(
        "SELECT DISTINCT i.name, i.index_table_name FROM mo_catalog.mo_indexes i "
        "JOIN mo_catalog.mo_tables t ON t.rel_id = i.table_id "
        "WHERE t.reldatabase = '~' AND t.relname = 't' AND i.name <> 'PRIMARY'"
    ) == [("g", secondary), ("u", unique)]


def test_a_rebuild_makes_the_hidden_tables_anew(goods: Client) -> None:
    before = hidden(goods)
    then = moment(goods)
    goods.ok("ALTER TABLE ~.t ADD COLUMN z INT")
    assert set(hidden(goods)).isdisjoint(before)
    assert goods.value(
        f"SELECT count(*) FROM mo_catalog.mo_tables {{MO_TS = {then.nanoseconds}}} "
        f"WHERE reldatabase = '~' AND relname IN ('{before[0]}', '{before[1]}')"
    ) == len(before)


def test_policies_of_hidden_tables_keep_the_indexes(after: Scenes) -> None:
    scene = after["hidden_tables"]
    assert scene.past(where=UNIQUE) == [77]
    assert scene.past(where=INDEXED) == []
    assert scene.cloned("c") == IDS
    assert scene.ids("~_c.c", UNIQUE) == [77]
    assert scene.ids("~_c.c", INDEXED) == []


# ------------------------------------------------------------------------------------- snapshots


def test_a_tables_snapshot_keeps_its_instant_and_its_indexes(after: Scenes) -> None:
    scene = after["snapshots"]
    assert scene.past("t") == IDS
    assert scene.past("t", UNIQUE) == [77]
    assert scene.cloned("c", "t") == IDS
    assert scene.ids("~_c.c", INDEXED) == [1, 2]


def test_a_databases_snapshot_keeps_its_instant_only(after: Scenes, server: Server) -> None:
    scene = after["snapshot_of_database"]
    assert scene.past("d") == [1, 2, 3, 77]
    assert scene.past("d", UNIQUE) == [77]
    assert scene.ids("~.t {SNAPSHOT = '~_d'}", INDEXED) == [1, 2]
    if not server.live:  # which may have kept more
        assert scene.past("before") == scene.past("after") == []


def test_a_snapshot_of_a_table_that_was_rebuilt_keeps_nothing_since_4(
    after: Scenes, server: Server
) -> None:
    """It is for the logical id there."""
    scene = after["snapshot_after_a_rebuild"]
    assert scene.past("t") == ([] if server.version >= (4,) else [1, 2, 3, 4, 77])
