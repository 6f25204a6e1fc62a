"""Garbage collection: which moments can still be read, cloned and restored afterwards.

A real server collects after an hour by default, so there these tests need one that does within
seconds, and MATRIXONE_COLLECTS to say how it is started anew (tests/server/conftest.py, `collect`).
"""

from __future__ import annotations

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, Collect, Flush, Moment, Tenant, moment

pytestmark = pytest.mark.usefixtures("since_3")

ROWS = [(1, 10, 5), (2, 20, 5), (77, 30, 6)]
UNIQUE, INDEXED, SCANNED = "u = 30", "g = 5", "g + 0 = 5"


@pytest.fixture
def goods(say: Client, flush: Flush) -> Client:
    """`say` with database ~ and table ~.t: a key, a UNIQUE column u and an indexed one g."""
    say.ok("CREATE DATABASE ~")
    make(say, flush)
    return say


def make(client: Client, flush: Flush) -> None:
    """~.t and its rows, in more objects than one: what a real server collects surely."""
    client.ok("CREATE TABLE ~.t (id INT PRIMARY KEY, u INT UNIQUE, g INT, KEY (g))")
    for row in ROWS:
        client.ok(f"INSERT INTO ~.t VALUES {row}")
        flush(client.own)


def past(client: Client, then: Moment, table: str = "~.t") -> list[tuple[int, int, int]]:
    """The rows of a moment: an answer without error, at any rate."""
    return client.rows(f"SELECT id, u, g FROM {table} {{MO_TS = {then.nanoseconds}}}")


def ids(client: Client, then: Moment, where: str, table: str = "~.t") -> list[int]:
    statement = f"SELECT id FROM {table} {{MO_TS = {then.nanoseconds}}} WHERE {where}"
    return [row[0] for row in client.rows(statement)]


def cloned(client: Client, then: Moment, table: str = "~.t", name: str = "~.c") -> list[int]:
    """The ids of a clone of a moment."""
    client.ok(f"CREATE TABLE {name} CLONE {table} {{MO_TS = {then.nanoseconds}}}")
    return [row[0] for row in client.rows(f"SELECT id FROM {name}")]


def restored(client: Client, then: Moment, pitr: str = "~_p") -> list[int]:
    """The ids of ~.t after a RESTORE to a moment."""
    client.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR {pitr} '{then.text}'")
    return [row[0] for row in client.rows("SELECT id FROM ~.t")]


# ------------------------------------------------------------------------------------- nothing


def test_what_nothing_keeps_is_gone_and_nothing_says_so(goods: Client, collect: Collect) -> None:
    then = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    assert past(goods, then) == ROWS
    collect()
    assert past(goods, then) == []
    assert cloned(goods, then) == []


def test_a_table_that_is_gone_is_still_in_the_catalogue(goods: Client, collect: Collect) -> None:
    then = moment(goods)
    goods.ok("DROP TABLE ~.t")
    collect()
    assert past(goods, then) == []
    assert goods.value(
        f"SELECT count(*) FROM mo_catalog.mo_tables {{MO_TS = {then.nanoseconds}}} "
        "WHERE reldatabase = '~' AND relname = 't'"
    )
    assert goods.error("SELECT * FROM ~.t") is not None


def test_the_present_is_never_taken(goods: Client, collect: Collect) -> None:
    goods.ok("DELETE FROM ~.t WHERE id = 1")
    collect()
    assert goods.rows("SELECT id FROM ~.t") == [(2,), (77,)]
    assert goods.rows(f"SELECT id FROM ~.t WHERE {UNIQUE}") == [(77,)]
    now = moment(goods)
    assert past(goods, now) == ROWS[1:]


# ---------------------------------------------------------------------- of databases and accounts


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ~.t WHERE id > 0",
        "DROP TABLE ~.t",
        "ALTER TABLE ~.t ADD COLUMN z INT",
        "TRUNCATE TABLE ~.t",
        "DROP DATABASE ~",
    ],
)
def test_a_databases_policy_keeps_rows_and_indexes(
    goods: Client, collect: Collect, change: str
) -> None:
    goods.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'")
    then = moment(goods)
    goods.ok(change)
    collect()
    assert past(goods, then) == ROWS
    assert ids(goods, then, UNIQUE) == [77]
    assert ids(goods, then, INDEXED) == [1, 2]
    goods.ok("CREATE DATABASE ~_copies")
    assert cloned(goods, then, name="~_copies.c") == [1, 2, 77]
    assert goods.rows(f"SELECT id FROM ~_copies.c WHERE {UNIQUE}") == [(77,)]
    assert restored(goods, then) == [1, 2, 77]
    assert goods.rows(f"SELECT id FROM ~.t WHERE {INDEXED}") == [(1,), (2,)]


def test_an_accounts_policy_keeps_rows_and_indexes(
    tenant: Tenant, admin: Client, collect: Collect, flush: Flush
) -> None:
    admin.ok("CREATE DATABASE ~")
    make(admin, flush)
    admin.ok("CREATE PITR ~_p FOR ACCOUNT RANGE 1 'h'")
    then = moment(admin)
    admin.ok("DROP DATABASE ~")
    collect()
    assert past(admin, then) == ROWS
    assert ids(admin, then, UNIQUE) == [77]


def test_a_database_made_again_is_another_one(
    goods: Client, collect: Collect, flush: Flush
) -> None:
    goods.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'")
    before = moment(goods)
    goods.ok("DROP DATABASE ~", "CREATE DATABASE ~")
    make(goods, flush)
    after = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert past(goods, before) == ROWS
    assert past(goods, after) == []


def test_a_policy_made_anew_at_once_loses_nothing(goods: Client, collect: Collect) -> None:
    goods.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'")
    then = moment(goods)
    goods.ok(
        "DELETE FROM ~.t WHERE id > 0",
        "DROP PITR ~_p",
        "CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'",
    )
    collect()
    assert past(goods, then) == ROWS
    assert cloned(goods, then) == [1, 2, 77]
    refusal = goods.error(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_p '{then.text}'")
    assert refusal is not None
    assert "less than the pitr valid time" in refusal[1]


def test_a_collection_between_drop_and_create(goods: Client, collect: Collect) -> None:
    goods.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'")
    then = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0", "DROP PITR ~_p")
    collect()
    goods.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'h'")
    assert past(goods, then) == []


# ------------------------------------------------------------------------------------ of tables


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ~.t WHERE id > 0",
        "DROP TABLE ~.t",
        "TRUNCATE TABLE ~.t",
        "ALTER TABLE ~.t ADD COLUMN z INT",
    ],
)
def test_a_tables_policy_keeps_its_rows_and_not_its_indexes(
    goods: Client, collect: Collect, change: str
) -> None:
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    then = moment(goods)
    goods.ok(change)
    collect()
    assert past(goods, then) == ROWS
    assert ids(goods, then, UNIQUE) == []
    assert ids(goods, then, INDEXED) == []
    assert ids(goods, then, SCANNED) == [1, 2]


def test_a_look_up_by_the_primary_key_needs_no_index(goods: Client, collect: Collect) -> None:
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    then = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert ids(goods, then, "id = 77") == [77]
    assert ids(goods, then, "id >= 2") == [2, 77]


def test_which_queries_go_through_an_index(goods: Client, collect: Collect, server: Server) -> None:
    """docs/server.md, Time travel: LIMIT keeps the planner from it, derived tables do not."""
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'", "CREATE VIEW ~.v AS SELECT * FROM ~.t")
    then = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    at = f"~.t {{MO_TS = {then.nanoseconds}}}"

    def found(source: str, where: str = "x.g = 5") -> list[int]:
        return [row[0] for row in goods.rows(f"SELECT x.id FROM {source} WHERE {where}")]

    assert found(f"{at} AS x") == []
    assert found(f"(SELECT id, g FROM {at}) AS x") == []
    assert found(f"(SELECT * FROM {at} LIMIT 18446744073709551615) AS x") == [1, 2]
    assert found(f"{at} AS x", "x.g IN (5, 6)") == []
    assert found(f"{at} AS x", "x.g BETWEEN 5 AND 6") == []
    assert found(f"{at} AS x", "x.g > 5") == ([] if server.version >= (4,) else [77])
    assert found(f"{at} AS x", "x.g <> 5") == [77]
    named = goods.rows(f"WITH c AS (SELECT id, g AS h FROM {at}) SELECT id FROM c WHERE h = 5")
    assert named == []


def test_an_altered_policy_still_keeps_no_indexes(goods: Client, collect: Collect) -> None:
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    then = moment(goods)
    goods.ok("ALTER PITR ~_p RANGE 2 'h'", "DELETE FROM ~.t WHERE id > 0")
    collect()
    assert past(goods, then) == ROWS
    assert ids(goods, then, UNIQUE) == []


def test_after_a_rebuild_a_tables_policy_keeps_what_was_before_it(
    goods: Client, collect: Collect
) -> None:
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    before = moment(goods)
    goods.ok("ALTER TABLE ~.t ADD COLUMN z INT")
    after = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert past(goods, before) == ROWS
    assert past(goods, after) == []
    assert cloned(goods, after) == []
    assert restored(goods, before) == [1, 2, 77]
    assert restored(goods, after) == []


def test_a_plain_policy_after_a_rebuild(goods: Client, collect: Collect, server: Server) -> None:
    """From 4.x on it is for an id that the table no longer has."""
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    before = moment(goods)
    goods.ok("ALTER TABLE ~.t ADD COLUMN z INT", "CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'h'")
    after = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert past(goods, before) == ROWS
    assert past(goods, after) == ([] if server.version >= (4,) else ROWS)


def test_a_first_policy_after_a_rebuild(goods: Client, collect: Collect, server: Server) -> None:
    goods.ok("ALTER TABLE ~.t ADD COLUMN z INT", "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    after = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    kept = server.version < (4,)
    assert past(goods, after) == (ROWS if kept else [])
    assert restored(goods, after) == ([1, 2, 77] if kept else [])


def test_renewal_with_internal_keeps_before_and_after(goods: Client, collect: Collect) -> None:
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    before = moment(goods)
    goods.ok(
        "ALTER TABLE ~.t ADD COLUMN z INT", "CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'h' INTERNAL"
    )
    after = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert past(goods, before) == past(goods, after) == ROWS
    assert restored(goods, after, "~_q") == [1, 2, 77]


# ------------------------------------------------------------------------------- broken indexes


@pytest.fixture
def broken(goods: Client, collect: Collect) -> tuple[Client, Moment]:
    """~.c, a clone whose indexes are broken; ~_p keeps ~.t's rows of that moment."""
    goods.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'")
    then = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert cloned(goods, then) == [1, 2, 77]
    return goods, then


def test_look_ups_by_a_broken_index_find_nothing(broken: tuple[Client, Moment]) -> None:
    say, _ = broken
    assert say.rows(f"SELECT id FROM ~.c WHERE {UNIQUE}") == []
    assert say.value(f"SELECT count(*) FROM ~.c WHERE {INDEXED}") == 0
    assert say.value(f"SELECT count(*) FROM ~.c WHERE {SCANNED}") == 2


def test_a_broken_unique_index_takes_duplicates(broken: tuple[Client, Moment]) -> None:
    say, _ = broken
    say.ok("INSERT INTO ~.c VALUES (78, 30, 6)")
    assert say.rows("SELECT id FROM ~.c WHERE u + 0 = 30") == [(77,), (78,)]
    assert say.rows(f"SELECT id FROM ~.c WHERE {UNIQUE}") == [(78,)]
    assert say.error("INSERT INTO ~.c VALUES (79, 30, 6)") is not None


def test_rows_that_a_broken_index_lacks_are_not_deleted(broken: tuple[Client, Moment]) -> None:
    say, _ = broken
    assert say("DELETE FROM ~.c WHERE id = 77").error is None
    assert say.rows("SELECT id FROM ~.c") == [(1,), (2,), (77,)]
    say.ok("INSERT INTO ~.c VALUES (78, 40, 7)", "DELETE FROM ~.c WHERE id = 78")
    assert say.rows("SELECT id FROM ~.c") == [(1,), (2,), (77,)]


def test_updates_of_rows_that_a_broken_index_lacks(broken: tuple[Client, Moment]) -> None:
    """Those of its column change nothing; UNIQUE ones enter the row."""
    say, _ = broken
    say.ok("UPDATE ~.c SET g = 9 WHERE id = 77")
    assert say.value("SELECT g + 0 FROM ~.c WHERE id = 77") == 6
    say.ok("UPDATE ~.c SET u = 31 WHERE id = 77")
    assert say.rows("SELECT id FROM ~.c WHERE u = 31") == [(77,)]


def test_add_column_repairs_no_index(broken: tuple[Client, Moment]) -> None:
    say, _ = broken
    say.ok("ALTER TABLE ~.c ADD COLUMN z INT")
    assert say.rows(f"SELECT id FROM ~.c WHERE {INDEXED}") == []


def test_an_index_made_anew_is_right(broken: tuple[Client, Moment]) -> None:
    say, _ = broken
    say.ok(
        "ALTER TABLE ~.c DROP INDEX g",
        "ALTER TABLE ~.c ADD INDEX g (g)",
        "ALTER TABLE ~.c DROP INDEX u",
        "ALTER TABLE ~.c ADD UNIQUE u (u)",
    )
    assert say.rows(f"SELECT id FROM ~.c WHERE {INDEXED}") == [(1,), (2,)]
    assert say.rows(f"SELECT id FROM ~.c WHERE {UNIQUE}") == [(77,)]
    assert say.error("INSERT INTO ~.c VALUES (78, 30, 6)") is not None
    assert say.ok("DELETE FROM ~.c WHERE id = 77").affected == 1


def test_a_copy_by_rows_is_never_broken(broken: tuple[Client, Moment]) -> None:
    say, then = broken
    say.ok(
        "CREATE TABLE ~.d LIKE ~.t",
        f"INSERT INTO ~.d SELECT * FROM ~.t {{MO_TS = {then.nanoseconds}}}",
    )
    assert say.rows(f"SELECT id FROM ~.d WHERE {INDEXED}") == [(1,), (2,)]
    assert say.rows(f"SELECT id FROM ~.d WHERE {UNIQUE}") == [(77,)]


def test_restored_indexes_are_broken_too(broken: tuple[Client, Moment]) -> None:
    say, then = broken
    assert restored(say, then) == [1, 2, 77]
    assert say.rows(f"SELECT id FROM ~.t WHERE {UNIQUE}") == []
    assert say.value(f"SELECT count(*) FROM ~.t WHERE {INDEXED}") == 0


# ---------------------------------------------------------------------------- hidden index tables


def hidden(client: Client) -> list[str]:
    """The names of the hidden tables of ~.t's indexes: the UNIQUE one's first."""
    names = client.rows(
        "SELECT relname FROM mo_catalog.mo_tables "
        "WHERE reldatabase = '~' AND relkind = 'i' AND account_id = current_account_id()"
    )
    return sorted((name for (name,) in names), reverse=True)


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


def test_policies_of_hidden_tables_keep_the_indexes(goods: Client, collect: Collect) -> None:
    unique, _ = hidden(goods)
    goods.ok(
        "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'",
        f"CREATE PITR ~_u FOR TABLE ~ `{unique}` RANGE 1 'h'",
    )
    then = moment(goods)
    goods.ok("DELETE FROM ~.t WHERE id > 0")
    collect()
    assert ids(goods, then, UNIQUE) == [77]
    assert ids(goods, then, INDEXED) == []
    assert cloned(goods, then) == [1, 2, 77]
    assert goods.rows(f"SELECT id FROM ~.c WHERE {UNIQUE}") == [(77,)]
    assert goods.rows(f"SELECT id FROM ~.c WHERE {INDEXED}") == []
