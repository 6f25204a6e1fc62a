"""Life of a PITR when its object changes; ids, and the catalogue tables.

docs/server.md, What detaches a policy; What rebuilds a table; Object ids; The catalogue.

`mo_catalog.mo_pitr` has what SHOW PITR does not show: the object's id and the status.
"""

from __future__ import annotations

import pytest

from tests.clock import wait
from tests.conftest import Server
from tests.server.conftest import PASSWORD, Client, Connect, Tenant, internal, is_main, moment

TABLE_ID = "SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relname = 't'"
DATABASE_ID = "SELECT dat_id FROM mo_catalog.mo_database WHERE datname = '~'"


def recorded(client: Client, name: str) -> tuple[int, int]:
    """Object id and status of a PITR."""
    rows = client.rows(
        f"SELECT obj_id, pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = '{name}'"
    )
    assert len(rows) == 1
    return rows[0][0], rows[0][1]


def status(client: Client, name: str) -> int:
    return recorded(client, name)[1]


def table_id(client: Client) -> int:
    found: int = client.value(TABLE_ID)
    return found


@pytest.fixture
def kept(say: Client) -> Client:
    """`say` with a table ~.t, PITR ~_d of its database and ~_t of the table."""
    say.ok(
        "CREATE DATABASE ~",
        "CREATE TABLE ~.parent (id INT PRIMARY KEY)",
        "CREATE TABLE ~.t (id INT PRIMARY KEY, v VARCHAR(10) DEFAULT 'x', "
        "n VARCHAR(10) NOT NULL DEFAULT 'n', p INT)",
        "INSERT INTO ~.t (id, v) VALUES (1, 'a'), (2, 'b')",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'",
    )
    return say


# -- the record ------------------------------------------------------------------------------------


def test_the_ids_that_are_recorded(kept: Client) -> None:
    assert recorded(kept, "~_t") == (table_id(kept), 1)
    assert recorded(kept, "~_d") == (kept.value(DATABASE_ID), 1)


def test_the_columns_of_mo_pitr(kept: Client, server: Server) -> None:
    answer = kept.ok("SELECT * FROM mo_catalog.mo_pitr WHERE pitr_name = '~_t'")
    assert answer.labels[:13] == [
        "pitr_id",
        "pitr_name",
        "create_account",
        "create_time",
        "modified_time",
        "level",
        "account_id",
        "account_name",
        "database_name",
        "table_name",
        "obj_id",
        "pitr_length",
        "pitr_unit",
    ]
    assert answer.labels[13:15] == ["pitr_status", "pitr_status_changed_time"]
    assert answer.labels[15:] == (["kind"] if server.version >= (4,) else [])
    row = dict(zip(answer.labels, answer.rows[0], strict=True))
    assert (row["level"], row["database_name"], row["table_name"]) == ("table", "~", "t")
    assert (row["create_account"], row["account_id"], row["account_name"]) == (0, 0, "sys")
    assert (row["pitr_length"], row["pitr_unit"]) == (1, "d")
    assert row["create_time"] == row["modified_time"]
    if server.version >= (3,):
        assert row["create_time"] == row["pitr_status_changed_time"]
        assert isinstance(row["create_time"], int)
        assert row["create_time"] > 10**18  # unix nanoseconds


def test_mo_pitr_has_empty_texts_where_show_pitr_has_stars(kept: Client) -> None:
    row = kept.rows(
        "SELECT database_name, table_name FROM mo_catalog.mo_pitr WHERE pitr_name = '~_d'"
    )[0]
    assert row == ("~", "")


def test_alter_changes_the_modified_time_in_nanoseconds(kept: Client, server: Server) -> None:
    if server.version < (3,):
        pytest.skip("mo_pitr has whole seconds")
    kept.ok("ALTER PITR ~_t RANGE 1 'd'")
    created, modified, changed = kept.rows(
        "SELECT create_time, modified_time, pitr_status_changed_time FROM mo_catalog.mo_pitr "
        "WHERE pitr_name = '~_t'"
    )[0]
    assert created == changed < modified


def test_show_pitr_shows_no_status(kept: Client) -> None:
    before = kept.rows("SHOW PITR WHERE pitr_name = '~_t'")
    kept.ok("DROP TABLE ~.t")
    assert kept.rows("SHOW PITR WHERE pitr_name = '~_t'") == before
    assert status(kept, "~_t") == 0


def test_mo_pitr_is_for_sys_only(their_shop: Client, server: Server) -> None:
    their_shop.ok("CREATE PITR ~_p RANGE 1 'd'")
    assert their_shop.error("SELECT * FROM mo_catalog.mo_pitr") == (
        1146 if is_main(server) else 1064,
        'SQL parser error: table "mo_pitr" does not exist',
    )


def test_the_hidden_row(kept: Client) -> None:
    """Made with the first PITR of a cluster; seen in mo_pitr only."""
    rows = kept.rows(
        "SELECT level, account_name, database_name, pitr_status FROM mo_catalog.mo_pitr "
        "WHERE pitr_name = 'sys_mo_catalog_pitr'"
    )
    assert rows == [("database", "sys", "mo_catalog", 1)]
    assert "sys_mo_catalog_pitr" not in kept.ok("SHOW PITR").column


# -- objects that go -------------------------------------------------------------------------------


def test_drop_table(kept: Client) -> None:
    before = table_id(kept)
    kept.ok("DROP TABLE ~.t")
    assert recorded(kept, "~_t") == (before, 0)
    assert status(kept, "~_d") == 1


def test_drop_database(kept: Client) -> None:
    """Its own PITR, and those of its tables."""
    kept.ok("DROP DATABASE ~")
    assert (status(kept, "~_t"), status(kept, "~_d")) == (0, 0)
    assert {"~_t", "~_d"} <= set(kept.ok("SHOW PITR").column)


def test_drop_account(say: Client, connect: Connect) -> None:
    """A policy that sys made for it stays, detached; one it made itself is gone."""
    say.ok(f"CREATE ACCOUNT ~_a ADMIN_NAME 'admin' IDENTIFIED BY '{PASSWORD}'")
    say.ok("CREATE PITR ~_a FOR ACCOUNT ~_a RANGE 1 'd'")
    owner = connect(user=f"{say.own}_a:admin", password=PASSWORD)
    owner.ok("CREATE PITR ~_own RANGE 1 'd'")
    assert status(say, "~_own") == 1
    say.ok("DROP ACCOUNT ~_a")
    assert status(say, "~_a") == 0
    assert say.rows("SHOW PITR WHERE pitr_name = '~_a'")[0][4] == "~_a"
    assert say.rows("SELECT 1 FROM mo_catalog.mo_pitr WHERE pitr_name = '~_own'") == []


@pytest.mark.parametrize("way", ["BEGIN", "SET AUTOCOMMIT = 0"])
@pytest.mark.parametrize("change", ["DROP TABLE ~.t", "ALTER TABLE ~.t DROP COLUMN v"])
def test_what_is_rolled_back_detaches_nothing(kept: Client, way: str, change: str) -> None:
    before = table_id(kept)
    kept.ok(way, change, "ROLLBACK")
    assert table_id(kept) == before
    assert recorded(kept, "~_t") == (before, 1)


def test_detached_at_the_commit(kept: Client, connect: Connect) -> None:
    other = connect()
    kept.ok("BEGIN", "DROP TABLE ~.t")
    assert status(other, "~_t") == 1
    kept.ok("COMMIT")
    assert status(other, "~_t") == 0


# -- ALTER TABLE -----------------------------------------------------------------------------------

REBUILDING = [
    "ADD COLUMN c INT",
    "ADD COLUMN c INT FIRST",
    "DROP COLUMN v",
    "CHANGE COLUMN v w VARCHAR(10)",
    "CHANGE v v VARCHAR(10) NOT NULL",
    "MODIFY v TEXT",
    "MODIFY v VARCHAR(5)",
    "MODIFY v VARCHAR(10) NOT NULL",
    "MODIFY v VARCHAR(10) FIRST",
    "CHANGE v v VARCHAR(10) DEFAULT 'x' COMMENT 'c'",
    "MODIFY p BIGINT",
    "MODIFY p INT COMMENT 'c'",
    "MODIFY p INT DEFAULT 7",
    "ALTER COLUMN v SET DEFAULT 'y'",
    "ALTER COLUMN v DROP DEFAULT",
    "DROP PRIMARY KEY",
]

# 2.2.2 rebuilds here too.
IN_PLACE_SINCE_3 = [
    "RENAME COLUMN v TO w",
    "MODIFY v VARCHAR(10)",
    "MODIFY v VARCHAR(10) COMMENT 'c'",
    "MODIFY v VARCHAR(10) DEFAULT 'y'",
    "MODIFY n VARCHAR(10)",
]

IN_PLACE = [
    "ALTER TABLE ~.t MODIFY v VARCHAR(20)",
    "ALTER TABLE ~.t ADD INDEX i (v)",
    "ALTER TABLE ~.t ADD UNIQUE u (v)",
    "ALTER TABLE ~.t ADD FOREIGN KEY (p) REFERENCES ~.parent (id)",
    "ALTER TABLE ~.t COMMENT = 'c'",
    "CREATE INDEX i ON ~.t (v)",
    "CREATE UNIQUE INDEX i ON ~.t (v)",
    "INSERT INTO ~.t (id) VALUES (3)",
    "UPDATE ~.t SET v = 'z'",
    "DELETE FROM ~.t WHERE id = 1",
    "CREATE TABLE ~.another (id INT)",
    "DROP TABLE ~.parent",
]


REMARKS = [
    "CHANGE v v VARCHAR(10) DEFAULT 'x' COMMENT 'c'",
    "MODIFY p INT COMMENT 'c'",
    "MODIFY p INT DEFAULT 7",
]
"""Statements that change a comment or a default alone, in place after 4.2.0"""


@pytest.mark.parametrize("change", REBUILDING)
def test_rebuilding_alters_end_the_protection(kept: Client, server: Server, change: str) -> None:
    """On 2.2.2 the status stays, and only the id tells."""
    before = table_id(kept)
    kept.ok(f"ALTER TABLE ~.t {change}")
    if is_main(server) and change in REMARKS:
        assert recorded(kept, "~_t") == (before, 1)
        assert table_id(kept) == before
        return
    assert table_id(kept) != before
    assert recorded(kept, "~_t") == (before, 0 if server.version >= (3,) else 1)
    assert status(kept, "~_d") == 1


@pytest.mark.parametrize("change", IN_PLACE_SINCE_3)
def test_alters_in_place_since_3(kept: Client, server: Server, change: str) -> None:
    """Changes of a VARCHAR: new name, greater length, NULL for NOT NULL, comment, default."""
    before = table_id(kept)
    kept.ok(f"ALTER TABLE ~.t {change}")
    assert (table_id(kept) == before) == (server.version >= (3,))
    assert recorded(kept, "~_t") == (before, 1)


@pytest.mark.parametrize("change", IN_PLACE)
def test_changes_in_place_do_not(kept: Client, change: str) -> None:
    before = table_id(kept)
    kept.ok(change)
    assert table_id(kept) == before
    assert recorded(kept, "~_t") == (before, 1)


def test_rows_survive_a_rebuild(kept: Client) -> None:
    kept.ok("ALTER TABLE ~.t ADD COLUMN c INT DEFAULT 7")
    assert kept.rows("SELECT * FROM ~.t") == [(1, "a", "n", None, 7), (2, "b", "n", None, 7)]


# -- TRUNCATE and RENAME ---------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["TRUNCATE TABLE ~.t", "TRUNCATE ~.t", "DELETE FROM ~.t"])
def test_truncate_and_delete_without_where(kept: Client, server: Server, statement: str) -> None:
    """A new id; the status says so from 4.x only."""
    before = table_id(kept)
    kept.ok(statement)
    assert table_id(kept) != before
    assert recorded(kept, "~_t") == (before, 0 if server.version >= (4,) else 1)
    assert status(kept, "~_d") == 1
    assert kept.rows("SELECT * FROM ~.t") == []


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM ~.t WHERE true", "DELETE FROM ~.t WHERE 1 = 1", "DELETE FROM ~.t LIMIT 5"],
)
def test_delete_of_every_row_that_is_no_truncate(kept: Client, statement: str) -> None:
    before = table_id(kept)
    assert kept.ok(statement).affected == 2
    assert table_id(kept) == before
    assert recorded(kept, "~_t") == (before, 1)


def test_delete_without_where_counts_its_rows(kept: Client) -> None:
    assert kept.ok("DELETE FROM ~.t").affected == 2
    assert kept.ok("DELETE FROM ~.t").affected == 0


def test_delete_without_where_is_transactional(kept: Client) -> None:
    before = table_id(kept)
    kept.ok("BEGIN", "DELETE FROM ~.t", "ROLLBACK")
    assert table_id(kept) == before
    assert len(kept.rows("SELECT * FROM ~.t")) == 2


def test_delete_of_a_table_that_is_referenced_is_no_truncate(kept: Client) -> None:
    kept.ok("CREATE TABLE ~.child (id INT, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))")
    before = table_id(kept)
    kept.ok("DELETE FROM ~.t")
    assert table_id(kept) == before


def test_auto_increment_counts_on_after_delete_without_where(kept: Client) -> None:
    kept.ok("CREATE TABLE ~.n (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
    kept.ok("INSERT INTO ~.n (v) VALUES (1), (2)", "DELETE FROM ~.n")
    kept.ok("INSERT INTO ~.n (v) VALUES (3)")
    assert kept.value("SELECT id FROM ~.n") > 2


@pytest.mark.parametrize("statement", ["RENAME TABLE ~.t TO ~.u", "ALTER TABLE ~.t RENAME TO ~.u"])
def test_rename_table_keeps_name_and_id_in_the_record(kept: Client, statement: str) -> None:
    before = table_id(kept)
    kept.ok(statement)
    assert kept.value(TABLE_ID.replace("'t'", "'u'")) == before
    assert recorded(kept, "~_t") == (before, 1)
    assert kept.rows("SHOW PITR WHERE pitr_name = '~_t'")[0][6] == "t"


def test_drop_of_a_renamed_table_is_not_noticed(kept: Client) -> None:
    kept.ok("RENAME TABLE ~.t TO ~.u", "DROP TABLE ~.u")
    assert status(kept, "~_t") == 1


def test_the_record_of_a_renamed_table_blocks_its_old_name(kept: Client) -> None:
    kept.ok("RENAME TABLE ~.t TO ~.u", "CREATE TABLE ~.t (id INT)")
    assert kept.error("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'") == internal(
        "database `~` table `t` already has a pitr"
    )
    kept.ok("CREATE PITR ~_p FOR TABLE ~ u RANGE 1 'd'")


# -- RESTORE ---------------------------------------------------------------------------------------


def test_restore_of_a_table(kept: Client) -> None:
    """The table is dropped for it: a new id, and detached, from that very PITR too."""
    at = moment(kept)
    before = table_id(kept)
    kept.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{at.text}'")
    assert table_id(kept) != before
    assert recorded(kept, "~_t") == (before, 0)
    assert status(kept, "~_d") == 1


def test_restore_after_a_truncate_leaves_the_stale_status(kept: Client, server: Server) -> None:
    at = moment(kept)
    before = table_id(kept)
    kept.ok("TRUNCATE TABLE ~.t", f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{at.text}'")
    assert recorded(kept, "~_t") == (before, 0 if server.version >= (4,) else 1)


def test_restore_of_a_database(kept: Client) -> None:
    at = moment(kept)
    tables, before = table_id(kept), kept.value(DATABASE_ID)
    kept.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{at.text}'")
    assert kept.value(DATABASE_ID) != before
    assert table_id(kept) != tables
    assert recorded(kept, "~_d") == (before, 0)
    assert recorded(kept, "~_t") == (tables, 0)


# -- afterwards ------------------------------------------------------------------------------------


def test_recreating_the_object_attaches_nothing(kept: Client) -> None:
    kept.ok("DROP TABLE ~.t", "CREATE TABLE ~.t (id INT)")
    assert status(kept, "~_t") == 0


def test_a_pitr_with_a_new_name_for_the_new_object(kept: Client) -> None:
    kept.ok("DROP TABLE ~.t", "CREATE TABLE ~.t (id INT)")
    kept.ok("CREATE PITR ~_t2 FOR TABLE ~ t RANGE 1 'd'")
    assert recorded(kept, "~_t2") == (table_id(kept), 1)
    assert status(kept, "~_t") == 0


def test_a_pitr_with_a_new_name_after_a_rebuild(kept: Client, server: Server) -> None:
    """The old name is taken and the object free: the way to renew without losing history."""
    if server.version < (3,):
        pytest.skip("the stale status blocks the object on 2.x")
    kept.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    kept.ok("CREATE PITR ~_t2 FOR TABLE ~ t RANGE 1 'd'")
    assert (status(kept, "~_t"), status(kept, "~_t2")) == (0, 1)


def test_a_stale_status_blocks_the_object_before_4(kept: Client, server: Server) -> None:
    kept.ok("TRUNCATE TABLE ~.t")
    error = kept.error("CREATE PITR ~_t2 FOR TABLE ~ t RANGE 1 'd'")
    if server.version < (4,):
        assert error == internal("database `~` table `t` already has a pitr")
    else:
        assert error is None


def test_database_and_account_pitrs_survive_all_below_them(
    their_shop: Client, say: Client, tenant: Tenant
) -> None:
    their_shop.ok("CREATE PITR ~_a RANGE 1 'd'", "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    their_shop.ok(
        "ALTER TABLE ~.t ADD COLUMN c INT",
        "TRUNCATE TABLE ~.t",
        "RENAME TABLE ~.t TO ~.u",
        "DROP TABLE ~.u",
    )
    assert (status(say, "~_a"), status(say, "~_d")) == (1, 1)
    their_shop.ok("DROP DATABASE ~")
    assert (status(say, "~_a"), status(say, "~_d")) == (1, 0)


def test_a_dropped_table_is_restored_by_its_detached_pitr(kept: Client) -> None:
    at = moment(kept)
    kept.ok("DROP TABLE ~.t")
    assert status(kept, "~_t") == 0
    kept.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{at.text}'")
    assert kept.rows("SELECT id FROM ~.t") == [(1,), (2,)]


def test_a_rebuilt_table_is_restored_by_its_detached_pitr(kept: Client) -> None:
    at = moment(kept)
    kept.ok("ALTER TABLE ~.t DROP COLUMN v")
    kept.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{at.text}'")
    assert kept.rows("SELECT id, v FROM ~.t") == [(1, "a"), (2, "b")]


# -- ids -------------------------------------------------------------------------------------------


def test_the_id_inside_a_transaction_is_the_new_one(kept: Client, connect: Connect) -> None:
    other = connect()
    before = table_id(kept)
    kept.ok("BEGIN", "ALTER TABLE ~.t ADD COLUMN c INT")
    assert table_id(kept) != before
    assert table_id(other) == before
    kept.ok("ROLLBACK")


def test_the_id_of_a_moment_in_the_past(kept: Client) -> None:
    """Ways for an account that cannot read mo_pitr to find out whether a table was rebuilt."""
    past = TABLE_ID.replace(" WHERE", " {MO_TS = %d} WHERE")
    before = table_id(kept)
    at = moment(kept)
    kept.ok("ALTER TABLE ~.t ADD INDEX i (v)")
    assert table_id(kept) == before
    kept.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    assert kept.value(past % at.nanoseconds) == before != table_id(kept)


def test_accounts_may_read_their_own_ids_of_the_past(their_shop: Client) -> None:
    at = moment(their_shop)
    before = table_id(their_shop)
    their_shop.ok("TRUNCATE TABLE ~.t")
    past = TABLE_ID.replace(" WHERE", f" {{MO_TS = {at.nanoseconds}}} WHERE")
    assert their_shop.value(past) == before != table_id(their_shop)


def test_created_time_moves_with_any_alter(shop: Client) -> None:
    """Also with those that leave the id."""
    question = "SELECT relname, created_time FROM mo_catalog.mo_tables WHERE reldatabase = '~'"
    changes = {
        "t0": "ADD COLUMN c INT",
        "t1": "ADD INDEX i (v)",
        "t2": "COMMENT = 'c'",
        "t3": "RENAME COLUMN v TO w",
    }
    for table in changes:
        shop.ok(f"CREATE TABLE ~.{table} (id INT, v INT)")
    before = dict(shop.rows(question))
    wait(shop.connection, 1.1)
    for table, change in changes.items():
        shop.ok(f"ALTER TABLE ~.{table} {change}")
    after = dict(shop.rows(question))
    assert [table for table in changes if after[table] > before[table]] == list(changes)


# -- 4.x: the logical id ---------------------------------------------------------------------------

IDS = (
    "SELECT rel_id, rel_logical_id FROM mo_catalog.mo_tables "
    "WHERE reldatabase = '~' AND relname = 't'"
)


@pytest.fixture
def with_logical_id(kept: Client, server: Server) -> Client:
    if server.version < (4,):
        pytest.skip("of 4.x")
    return kept


def test_there_is_no_logical_id_before_4(kept: Client, server: Server) -> None:
    if server.version >= (4,):
        pytest.skip("of 3.x")
    assert kept.error(IDS) == (20301, "invalid input: column rel_logical_id does not exist")


@pytest.mark.parametrize(
    "change", ["ALTER TABLE ~.t ADD COLUMN c INT", "TRUNCATE TABLE ~.t", "DELETE FROM ~.t"]
)
def test_the_logical_id_stays(with_logical_id: Client, change: str) -> None:
    ((first, logical),) = with_logical_id.rows(IDS)
    assert first == logical
    with_logical_id.ok(change)
    ((now, logical),) = with_logical_id.rows(IDS)
    assert now != first == logical


def test_a_restore_makes_both_new(with_logical_id: Client) -> None:
    at = moment(with_logical_id)
    with_logical_id.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    ((_, before),) = with_logical_id.rows(IDS)
    with_logical_id.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{at.text}'")
    ((rel_id, logical),) = with_logical_id.rows(IDS)
    assert rel_id == logical != before


def test_a_pitr_after_a_rebuild_records_the_logical_id(with_logical_id: Client) -> None:
    """And so no later change of the table is noticed in its status."""
    with_logical_id.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    with_logical_id.ok("CREATE PITR ~_t2 FOR TABLE ~ t RANGE 1 'd'")
    ((now, logical),) = with_logical_id.rows(IDS)
    assert recorded(with_logical_id, "~_t2") == (logical, 1)
    assert now != logical
    with_logical_id.ok("ALTER TABLE ~.t DROP COLUMN c")
    assert status(with_logical_id, "~_t2") == 1


def test_made_and_rebuilt_in_one_transaction(with_logical_id: Client) -> None:
    """Then the logical id is the final one."""
    with_logical_id.ok(
        "BEGIN",
        "CREATE TABLE ~.fresh (id INT)",
        "ALTER TABLE ~.fresh ADD COLUMN c INT",
        "COMMIT",
    )
    ((rel_id, logical),) = with_logical_id.rows(IDS.replace("'t'", "'fresh'"))
    assert rel_id == logical


def test_a_pitr_after_a_rebuild_records_the_present_id_on_3(kept: Client, server: Server) -> None:
    if server.version >= (4,) or server.version < (3,):
        pytest.skip("of 3.x")
    kept.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    kept.ok("CREATE PITR ~_t2 FOR TABLE ~ t RANGE 1 'd'")
    assert recorded(kept, "~_t2") == (table_id(kept), 1)
    kept.ok("ALTER TABLE ~.t DROP COLUMN c")
    assert status(kept, "~_t2") == 0


def test_sys_sees_the_tables_of_all_accounts(say: Client, their_shop: Client) -> None:
    assert say.rows("SELECT relname FROM mo_catalog.mo_tables WHERE reldatabase = '~'") == [("t",)]
    assert say.rows("SELECT datname FROM mo_catalog.mo_database WHERE datname = '~'") == [("~",)]


# -- inside a transaction --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("harm", "detached"),
    [
        ("DROP TABLE ~.t", ["~_t"]),
        ("DROP DATABASE ~", ["~_d", "~_t"]),
        ("ALTER TABLE ~.t ADD COLUMN c INT", ["~_t"]),
        ("ALTER TABLE ~.t ADD INDEX i (v)", []),
    ],
)
def test_the_transaction_itself_reads_at_once_what_it_detached(
    kept: Client, connect: Connect, server: Server, harm: str, detached: list[str]
) -> None:
    """Others read it after COMMIT, and nobody after ROLLBACK."""
    if server.version < (3,):
        detached = [] if "ALTER" in harm else detached
    listed = "SELECT pitr_name FROM mo_catalog.mo_pitr WHERE pitr_name LIKE '~%' AND "
    gone, here = f"{listed} pitr_status = 0", f"{listed} pitr_status = 1"
    inside = connect(autocommit=False)
    inside.ok(harm)
    assert sorted(inside.ok(gone).column) == detached
    assert kept.ok(gone).column == []
    inside.ok("ROLLBACK")
    assert inside.ok(gone).column == []
    inside.ok("ROLLBACK", harm, "COMMIT")
    assert sorted(kept.ok(gone).column) == detached
    assert len(kept.ok(here).column) == 2 - len(detached)
