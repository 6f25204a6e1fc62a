"""Snapshots: named instants, reads and copies and RESTORE of them. docs/server.md, Snapshots.

What garbage collection leaves of them: test_collection.py.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pytest

from tests.conftest import Server
from tests.server.conftest import (
    NO_PRIVILEGE,
    PASSWORD,
    UNCOMMITTED,
    Client,
    Connect,
    Tenant,
    internal,
    is_main,
    moment,
)

pytestmark = pytest.mark.usefixtures("since_3")

BOTH = [(1, "a"), (2, "b")]


@dataclass(frozen=True)
class Restore:
    """RESTORE from a snapshot, as a version writes it."""

    braced: bool

    def database(self, snapshot: str, database: str = "~", account: str = "sys") -> str:
        if self.braced:
            return f"RESTORE DATABASE {account}.{database} {{SNAPSHOT = '{snapshot}'}}"
        return f"RESTORE ACCOUNT {account} DATABASE {database} FROM SNAPSHOT {snapshot}"

    def table(
        self, snapshot: str, table: str = "t", database: str = "~", account: str = "sys"
    ) -> str:
        if self.braced:
            return f"RESTORE TABLE {account}.{database}.{table} {{SNAPSHOT = '{snapshot}'}}"
        what = f"ACCOUNT {account} DATABASE {database} TABLE {table}"
        return f"RESTORE {what} FROM SNAPSHOT {snapshot}"

    def account(self, snapshot: str, account: str) -> str:
        source = f"{{SNAPSHOT = '{snapshot}'}}" if self.braced else f"FROM SNAPSHOT {snapshot}"
        return f"RESTORE ACCOUNT {account} {source}"


@pytest.fixture
def restore(server: Server) -> Restore:
    return Restore(server.version >= (4,))


@pytest.fixture
def taken(shop: Client) -> Client:
    """`shop` with snapshots ~_t of ~.t and ~_d of ~, and a third row since."""
    shop.ok(
        "CREATE SNAPSHOT ~_t FOR TABLE ~ t",
        "CREATE SNAPSHOT ~_d FOR DATABASE ~",
        "INSERT INTO ~.t VALUES (3, 'c')",
    )
    return shop


# ---------------------------------------------------------------------------- making, listing


def test_levels(shop: Client) -> None:
    shop.ok(
        "CREATE SNAPSHOT ~_1 FOR TABLE ~ t",
        "CREATE SNAPSHOT ~_2 FOR DATABASE ~",
        "CREATE SNAPSHOT `~_A` FOR ACCOUNT",
        "CREATE SNAPSHOT ~_4 FOR ACCOUNT sys",
        "CREATE SNAPSHOT ~_5 FOR CLUSTER",
    )
    shown = [row[:1] + row[2:] for row in shop.ok("SHOW SNAPSHOTS").rows if row[0][0] == "~"]
    assert shown == [
        ("~_5", "cluster", "", "", ""),
        ("~_4", "account", "sys", "", ""),
        ("~_a", "account", "sys", "", ""),
        ("~_2", "database", "sys", "~", ""),
        ("~_1", "table", "sys", "~", "t"),
    ]


def test_labels(taken: Client, server: Server) -> None:
    names = ["SNAPSHOT_NAME", "TIMESTAMP", "SNAPSHOT_LEVEL"]
    names += ["ACCOUNT_NAME", "DATABASE_NAME", "TABLE_NAME"]
    assert taken.ok("SHOW SNAPSHOTS").labels == names
    answer = taken.ok("SHOW SNAPSHOTS WHERE snapshot_name = '~_t' AND SNAPSHOT_LEVEL = 'table'")
    lower = [name.lower() for name in names]
    assert answer.labels == (names if server.version >= (4,) else lower)
    assert [row[0] for row in answer.rows] == ["~_t"]


def test_times_are_texts_in_utc_with_nanoseconds(taken: Client) -> None:
    """Whatever the session's zone is; zeros at the end are cut."""
    taken.ok("SET time_zone = '+05:00'")
    shown = taken.rows("SHOW SNAPSHOTS WHERE snapshot_name = '~_t'")[0][1]
    taken.ok("SET time_zone = 'SYSTEM'")
    exact = taken.value("SELECT ts FROM mo_catalog.mo_snapshots WHERE sname = '~_t'")
    seconds, nanoseconds = divmod(exact, 1_000_000_000)
    second = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    assert shown == f"{second:%Y-%m-%d %H:%M:%S}.{nanoseconds:09d}".rstrip("0").rstrip(".")


def test_mo_snapshots(taken: Client, server: Server) -> None:
    answer = taken.ok("SELECT * FROM mo_catalog.mo_snapshots WHERE sname IN ('~_t', '~_d')")
    columns = ["snapshot_id", "sname", "ts", "level"]
    columns += ["account_name", "database_name", "table_name", "obj_id"]
    assert answer.labels == columns + (["kind"] if server.version >= (4,) else [])
    table_id = taken.value(
        "SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relname = 't'"
    )
    database_id = taken.value("SELECT dat_id FROM mo_catalog.mo_database WHERE datname = '~'")
    more = ("user",) if server.version >= (4,) else ()
    assert sorted(row[1:2] + row[3:] for row in answer.rows) == [
        ("~_d", "database", "sys", "~", "", database_id, *more),
        ("~_t", "table", "sys", "~", "t", table_id, *more),
    ]


def test_the_id_of_a_rebuilt_table(shop: Client, server: Server) -> None:
    """As of a plain CREATE PITR: from 4.x on the logical one, which is not its own any more."""
    before = shop.value(TABLE_ID)
    shop.ok("ALTER TABLE ~.t ADD COLUMN z INT", "CREATE SNAPSHOT ~_t FOR TABLE ~ t")
    recorded = shop.value("SELECT obj_id FROM mo_catalog.mo_snapshots WHERE sname = '~_t'")
    assert recorded == (before if server.version >= (4,) else shop.value(TABLE_ID))
    assert before != shop.value(TABLE_ID)


TABLE_ID = "SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relname = 't'"


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE SNAPSHOT ~_t FOR DATABASE ~", "snapshot ~_t already exists"),
        ("CREATE SNAPSHOT ~_t FOR DATABASE ~_none", "snapshot ~_t already exists"),
        ("CREATE SNAPSHOT ~_x FOR ACCOUNT ~_none", "account ~_none does not exist"),
        ("CREATE SNAPSHOT ~_x FOR DATABASE ~_none", "database ~_none does not exist"),
        ("CREATE SNAPSHOT ~_x FOR TABLE ~ none", "table ~.none does not exist"),
        ("CREATE SNAPSHOT ~_x FOR TABLE ~_none t", "table ~_none.t does not exist"),
        (
            "CREATE SNAPSHOT ~_x FOR DATABASE mysql",
            "can not create snapshot for system database mysql",
        ),
        (
            "CREATE SNAPSHOT ~_x FOR TABLE mysql user",
            "can not create pitr for system table mysql.user",
        ),
        ("CREATE SNAPSHOT `~ x` FOR DATABASE ~", "invalid input"),
        ("CREATE SNAPSHOT `~'x` FOR DATABASE ~", "invalid input"),
        ("DROP SNAPSHOT ~_x", "snapshot ~_x does not exist"),
        ("DROP SNAPSHOT IF EXISTS `~ x`", "invalid input"),
    ],
)
def test_what_is_refused(taken: Client, statement: str, text: str) -> None:
    assert taken.error(statement) == internal(text)


@pytest.mark.parametrize(
    ("statement", "near", "column"),
    [
        ("CREATE SNAPSHOT s FOR TABLE d.t", ".t", 30),
        ("CREATE SNAPSHOT s FOR DATABASE", "", 30),
        ("CREATE SNAPSHOT s", "", 17),
        ("CREATE SNAPSHOT '' FOR ACCOUNT", " '' FOR ACCOUNT", 18),
        ("SHOW SNAPSHOTS LIKE 's'", " LIKE 's'", 19),
        ("DROP SNAPSHOT", "", 13),
    ],
)
def test_syntax_errors(say: Client, statement: str, near: str, column: int) -> None:
    code, text = say.error(statement) or (0, "")
    assert code == 1064
    assert text.endswith(f'syntax error at line 1 column {column} near "{near}";')


def test_if_not_exists_and_if_exists(taken: Client) -> None:
    taken.ok("CREATE SNAPSHOT IF NOT EXISTS ~_t FOR DATABASE ~", "DROP SNAPSHOT IF EXISTS ~_x")
    assert taken.rows("SHOW SNAPSHOTS WHERE snapshot_name = '~_t'")[0][2] == "table"
    taken.ok("DROP SNAPSHOT IF EXISTS ~_t")
    assert taken.rows("SHOW SNAPSHOTS WHERE snapshot_name = '~_t'") == []


def test_names_end_at_64_characters(shop: Client, server: Server) -> None:
    long = "~" + "x" * (64 - len(shop.own))
    shop.ok(f"CREATE SNAPSHOT {long} FOR DATABASE ~")
    code, text = shop.error(f"CREATE SNAPSHOT {long}x FOR DATABASE ~") or (0, "")
    if server.version >= (4,):
        assert (code, text) == (1062, f"Duplicate entry '{long}' for key 'sname'")
    else:
        assert (code, text.rpartition(".")[2]) == (
            20101,
            " Src length 65 is larger than Dest length 64",
        )
    shop.ok(f"DROP SNAPSHOT {long}")


def test_a_view_has_a_snapshot_like_a_table(shop: Client) -> None:
    shop.ok("CREATE VIEW ~.v AS SELECT * FROM ~.t", "CREATE SNAPSHOT ~_v FOR TABLE ~ v")
    shop.ok("DELETE FROM ~.t WHERE id = 1")
    assert shop.rows("SELECT * FROM ~.v {SNAPSHOT = '~_v'}") == BOTH


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE SNAPSHOT ~_x FOR DATABASE ~",
        "SHOW SNAPSHOTS",
        "SHOW SNAPSHOTS WHERE snapshot_name = '~_t'",
        "DROP SNAPSHOT ~_t",
    ],
)
def test_refused_in_a_transaction(taken: Client, statement: str) -> None:
    taken.ok("BEGIN")
    assert taken.error(statement) == UNCOMMITTED
    taken.ok("ROLLBACK")


def test_no_rollback_undoes_them(shop: Client, connect: Connect) -> None:
    other = connect(autocommit=False)
    other.ok("CREATE SNAPSHOT ~_x FOR DATABASE ~")
    assert other.error("SHOW SNAPSHOTS") == UNCOMMITTED
    other.ok("ROLLBACK")
    assert len(shop.rows("SHOW SNAPSHOTS WHERE snapshot_name = '~_x'")) == 1


def test_only_show_can_be_prepared(taken: Client) -> None:
    taken.ok("PREPARE p FROM 'SHOW SNAPSHOTS'")
    assert "~_t" in taken.ok("EXECUTE p").column
    for text, shown in (
        ("CREATE SNAPSHOT x FOR TABLE a b", "create snapshot x for table a.b"),
        ("CREATE SNAPSHOT IF NOT EXISTS x FOR ACCOUNT", None),
        ("DROP SNAPSHOT IF EXISTS x", "drop snapshot if exists x"),
    ):
        shown = shown or "create snapshot if not exists x for account "
        assert taken.error(f"PREPARE q FROM '{text}'") == internal(f"statement: '{shown}'")


# ------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("name", ["'~_t'", "~_t", "`~_t`", "~_T"])
def test_reads(taken: Client, name: str) -> None:
    """A bare name is folded, a text is not."""
    assert taken.rows(f"SELECT * FROM ~.t {{SNAPSHOT = {name}}}") == BOTH
    assert taken.rows(f"SELECT id FROM ~.t {{snapshot = {name}}} AS x WHERE x.v = 'b'") == [(2,)]


def test_what_is_no_snapshot(taken: Client) -> None:
    read = "SELECT * FROM ~.t {SNAPSHOT = '%s'}"
    for name in ("~_T", "~_none", ""):
        text = f"find 0 snapshot records by name({name}), expect only 1"
        assert taken.error(read % name) == internal(text)
        assert taken.error(f"SHOW TABLES FROM ~ {{SNAPSHOT = '{name}'}}") == internal(text)
    assert taken.error(read % "a b") == internal("invalid input")


def test_a_snapshot_is_a_moment_for_every_table(taken: Client, server: Server) -> None:
    """It keeps one object, but reads all, as long as their history is there; not so on main."""
    taken.ok("CREATE TABLE ~.w (id INT)", "CREATE SNAPSHOT ~_w FOR TABLE ~ w")
    taken.ok("DELETE FROM ~.t WHERE id = 3")
    read = taken("SELECT * FROM ~.t {SNAPSHOT = '~_w'}")
    if is_main(server):
        text = "table-level snapshot(~_w) does not belong to the table(~-t)"
        assert read.error == internal(text)
    else:
        assert len(read.rows) == 3
    at = taken.value("SELECT ts FROM mo_catalog.mo_snapshots WHERE sname = '~_t'")
    assert taken.rows(f"SELECT * FROM ~.t {{MO_TS = {at}}}") == BOTH
    assert taken.rows(
        "SELECT a.id, b.id FROM ~.t {SNAPSHOT = '~_t'} a LEFT JOIN ~.t b ON a.id = b.id"
    ) == [(1, 1), (2, 2)]
    assert taken.error("SELECT * FROM ~.w {SNAPSHOT = '~_t'}") is not None


_NOT_OF_DATABASE = "database-level snapshot(~_d) does not belong to the database(%s)"
_NOT_OF_TABLE = "table-level snapshot(~_t) does not belong to the table(%s)"
_NOT_WHOLE = "table-level snapshot(~_t) cannot read database-wide metadata for database(~)"

OF_OTHERS = [
    ("SELECT * FROM ~_e.o {SNAPSHOT = '~_d'}", _NOT_OF_DATABASE % "~_e"),
    ("SELECT * FROM ~_e.o {SNAPSHOT = '~_t'}", _NOT_OF_TABLE % "~_e-o"),
    ("SELECT * FROM ~.w {SNAPSHOT = '~_t'}", _NOT_OF_TABLE % "~-w"),
    (
        "SELECT COUNT(*) > 0 FROM mo_catalog.mo_tables {SNAPSHOT = '~_d'}",
        _NOT_OF_DATABASE % "mo_catalog",
    ),
    (
        "SELECT COUNT(*) > 0 FROM mo_catalog.mo_tables {SNAPSHOT = '~_t'}",
        _NOT_OF_TABLE % "mo_catalog-mo_tables",
    ),
    ("SHOW TABLES FROM ~_e {SNAPSHOT = '~_d'}", _NOT_OF_DATABASE % "~_e"),
    ("SHOW TABLES FROM ~ {SNAPSHOT = '~_t'}", _NOT_WHOLE),
    ("SHOW CREATE TABLE ~.w {SNAPSHOT = '~_t'}", _NOT_OF_TABLE % "~-w"),
    ("SHOW CREATE VIEW ~.w {SNAPSHOT = '~_t'}", _NOT_OF_TABLE % "~-w"),
    ("SHOW CREATE DATABASE ~ {SNAPSHOT = '~_t'}", _NOT_WHOLE),
    ("SHOW DATABASES {SNAPSHOT = '~_t'}", "table-level snapshot(~_t) cannot list databases"),
]


@pytest.fixture
def both_taken(shop: Client) -> Client:
    """`shop` with a view, a second database, and snapshots of the table, the view, and all of ~."""
    shop.ok(
        "CREATE VIEW ~.w AS SELECT id FROM ~.t",
        "CREATE DATABASE ~_e",
        "CREATE TABLE ~_e.o (id INT)",
        "CREATE VIEW ~.v AS SELECT id FROM ~_e.o",
        "CREATE SNAPSHOT ~_t FOR TABLE ~ t",
        "CREATE SNAPSHOT ~_w FOR TABLE ~ w",
        "CREATE SNAPSHOT ~_d FOR DATABASE ~",
    )
    return shop


@pytest.mark.parametrize(("statement", "text"), OF_OTHERS, ids=[s for s, _ in OF_OTHERS])
def test_a_snapshot_is_of_its_object_on_main(
    both_taken: Client, server: Server, statement: str, text: str
) -> None:
    """Before, it is a moment for whatever is read."""
    assert both_taken.error(statement) == (internal(text) if is_main(server) else None)


def test_what_a_snapshot_of_an_object_reads(both_taken: Client, server: Server) -> None:
    """A view of its database, or its own, whatever the view reads; of databases its own on main."""
    both_taken.ok("DELETE FROM ~.t WHERE id = 2", "INSERT INTO ~_e.o VALUES (1)")
    for read, rows in (
        ("~.t {SNAPSHOT = '~_t'}", [(1,), (2,)]),
        ("~.w {SNAPSHOT = '~_w'}", [(1,), (2,)]),
        ("~.w {SNAPSHOT = '~_d'}", [(1,), (2,)]),
        ("~.v {SNAPSHOT = '~_d'}", []),
    ):
        assert both_taken.rows(f"SELECT id FROM {read}") == rows
    listed = both_taken.ok("SHOW DATABASES {SNAPSHOT = '~_d'}").column
    assert listed == ["~"] if is_main(server) else {"~", "~_e", "mo_catalog"} <= set(listed)


def test_definitions_of_a_snapshot(taken: Client) -> None:
    taken.ok("ALTER TABLE ~.t DROP COLUMN v", "CREATE TABLE ~.w (id INT)")
    assert taken.ok("SHOW TABLES FROM ~ {SNAPSHOT = '~_d'}").column == ["t"]
    assert "`v`" in taken.rows("SHOW CREATE TABLE ~.t {SNAPSHOT = '~_d'}")[0][1]
    assert taken.rows("SELECT * FROM ~.t {SNAPSHOT = '~_d'}") == BOTH


def test_a_snapshot_of_what_was_dropped_still_reads_it(taken: Client) -> None:
    taken.ok("DROP TABLE ~.t")
    assert taken.rows("SELECT * FROM ~.t {SNAPSHOT = '~_t'}") == BOTH
    assert taken.ok("SHOW SNAPSHOTS WHERE snapshot_name = '~_t'").rows
    taken.ok("DROP SNAPSHOT ~_t")
    assert taken.error("SELECT * FROM ~.t {SNAPSHOT = '~_t'}") is not None


def test_no_table_is_made_of_a_query_of_a_snapshot(taken: Client, server: Server) -> None:
    """The server panics; main makes it."""
    made = taken("CREATE TABLE ~.c AS SELECT * FROM ~.t {SNAPSHOT = '~_t'}")
    if is_main(server):
        assert (made.affected, taken.rows("SELECT * FROM ~.c")) == (2, BOTH)
        return
    code, text = made.error or (0, "")
    assert code == (20101 if server.version >= (4,) else 1105)
    assert text.startswith("internal error: panic not supported in internal sql executor: ")


def test_recovery_windows_of_snapshots(taken: Client) -> None:
    shown = taken.rows("SHOW RECOVERY_WINDOW FOR TABLE ~ t")
    window = "{'timestamp':'%s +0000 UTC', 'source':'snapshot', 'source_name':'%s'}"
    times = dict(row[:2] for row in taken.ok("SHOW SNAPSHOTS").rows)
    both = ", ".join(window % (times[name], name) for name in ("~_t", "~_d"))
    assert [row[:4] for row in shown] == [("table", "sys", "~", "t")]
    assert both in shown[0][4]


# ------------------------------------------------------------------------------------ clones


def test_clones(taken: Client) -> None:
    taken.ok(
        "CREATE TABLE ~.c CLONE ~.t {SNAPSHOT = '~_t'}",
        "CREATE DATABASE ~_c CLONE ~ {SNAPSHOT = '~_d'}",
    )
    assert taken.rows("SELECT * FROM ~.c") == BOTH
    assert taken.rows("SELECT * FROM ~_c.t") == BOTH


def test_clones_that_are_refused(taken: Client) -> None:
    taken.ok("CREATE TABLE ~.w (id INT)", "CREATE DATABASE ~_e", "CREATE TABLE ~_e.o (id INT)")
    taken.ok("CREATE SNAPSHOT ~_u FOR TABLE ~ t", "CREATE SNAPSHOT ~_v FOR DATABASE ~")
    for statement, text in (
        (
            "CREATE TABLE ~.x CLONE ~_e.o {SNAPSHOT = '~_v'}",
            "database-level snapshot(~_v) does not belong to the database(~_e)",
        ),
        (
            "CREATE TABLE ~.x CLONE ~.w {SNAPSHOT = '~_u'}",
            "table-level snapshot(~_u) does not belong to the table(~-w)",
        ),
        (
            "CREATE DATABASE ~_f CLONE ~_e {SNAPSHOT = '~_v'}",
            "database-level snapshot(~_v) does not belong to the database(~_e)",
        ),
        (
            "CREATE DATABASE ~_f CLONE ~ {SNAPSHOT = '~_u'}",
            "cannot use a table-level snapshot to clone cluster/account/database",
        ),
        (
            "CREATE TABLE ~.x CLONE ~.t {SNAPSHOT = '~_none'}",
            "find 0 snapshot records by name(~_none), expect only 1",
        ),
    ):
        assert taken.error(statement) == internal(text)


def test_a_table_that_was_rebuilt_is_not_cloned_from_its_snapshot_since_4(
    shop: Client, server: Server
) -> None:
    """Main does again."""
    shop.ok("ALTER TABLE ~.t ADD COLUMN z INT", "CREATE SNAPSHOT ~_t FOR TABLE ~ t")
    refusal = shop.error("CREATE TABLE ~.c CLONE ~.t {SNAPSHOT = '~_t'}")
    text = "table-level snapshot(~_t) does not belong to the table(~-t)"
    late = server.version >= (4,) and not is_main(server)
    assert refusal == (internal(text) if late else None)


# ------------------------------------------------------------------------------------ RESTORE


def test_restore_of_a_table(taken: Client, restore: Restore) -> None:
    for snapshot in ("~_t", "~_d"):
        taken.ok("DELETE FROM ~.t WHERE id < 3", restore.table(snapshot))
        assert taken.rows("SELECT * FROM ~.t") == BOTH


def test_restore_detaches_policies_as_from_a_pitr(taken: Client, restore: Restore) -> None:
    taken.ok(
        "CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'h'", "CREATE PITR ~_q FOR DATABASE ~ RANGE 1 'h'"
    )
    status = "SELECT pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = '~_%s'"
    taken.ok(restore.table("~_t"))
    assert (taken.value(status % "p"), taken.value(status % "q")) == (0, 1)
    taken.ok(restore.database("~_d"))
    assert taken.value(status % "q") == 0


def test_restore_of_a_database(taken: Client, restore: Restore) -> None:
    taken.ok("CREATE TABLE ~.w (id INT)", restore.database("~_d"))
    assert taken.ok("SHOW TABLES FROM ~").column == ["t"]
    assert taken.rows("SELECT * FROM ~.t") == BOTH


@pytest.mark.parametrize("whole", [True, False])
def test_restore_of_what_was_dropped(taken: Client, restore: Restore, whole: bool) -> None:
    taken.ok("DROP DATABASE ~", restore.database("~_d") if whole else restore.table("~_t"))
    assert taken.rows("SELECT * FROM ~.t") == BOTH


def test_restore_of_a_table_that_is_referred_to_does_nothing(
    shop: Client, restore: Restore
) -> None:
    shop.ok(
        "CREATE TABLE ~.c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))",
        "CREATE SNAPSHOT ~_d FOR DATABASE ~",
        "INSERT INTO ~.t VALUES (3, 'c')",
        restore.table("~_d"),
    )
    assert len(shop.rows("SELECT * FROM ~.t")) == 3
    shop.ok(restore.database("~_d"))
    assert shop.rows("SELECT * FROM ~.t") == BOTH


def test_what_may_restore_what(taken: Client, server: Server, restore: Restore) -> None:
    taken.ok("CREATE TABLE ~.w (id INT)", "CREATE SNAPSHOT ~_c FOR CLUSTER")
    for statement, text in (
        (restore.table("~_c"), "can't restore db from cluster level snapshot"),
        (restore.database("~_c"), "can't restore db from cluster level snapshot"),
        (restore.table("~_t", "w"), "tableName(w) does not match snapshot.tableName(t)"),
        (restore.table("~_d", "w"), "table w not exists at snapshot ~_d"),
        (restore.database("~_t"), "can't restore db from table level snapshot"),
        (
            restore.database("~_d", "~_e"),
            "databaseName(~_e) does not match snapshot.databaseName(~)",
        ),
        (restore.database("~_d", "mysql"), "can't restore db: mysql"),
        (restore.table("~_d", "user", "mysql"), "can't restore db: mysql"),
        (restore.database("~_x"), "find 0 snapshot records by name(~_x), expect only 1"),
        (
            restore.database("~_d", account="none"),
            "can't restore database from other account's snapshot",
        ),
        (
            restore.table("~_d", account="none"),
            "can't restore table from other account's snapshot",
        ),
        (
            restore.account("~_t", "sys"),
            "can't restore account from db or table level snapshot",
        ),
    ):
        assert taken.error(statement) == internal(text)
    other = internal("databaseName(~_e) does not match snapshot.databaseName(~)")
    missing = other if is_main(server) else (1049, "Unknown database ~_e")
    assert taken.error(restore.table("~_d", "t", "~_e")) == missing
    cluster = "{SNAPSHOT = '~_d'}" if restore.braced else "FROM SNAPSHOT ~_d"
    assert taken.error(f"RESTORE CLUSTER {cluster}") == internal(
        "snapshot ~_d is not cluster level snapshot"
    )


def test_a_table_whose_name_fits_others_as_a_pattern(
    shop: Client, restore: Restore, server: Server
) -> None:
    shop.ok(
        "CREATE TABLE ~.order_1 (id INT)",
        "CREATE TABLE ~.orderx1 (id INT)",
        "CREATE SNAPSHOT ~_d FOR DATABASE ~",
    )
    text = "find 2 tableInfos by name order_1 at snapshot ~_d, expect only 1"
    refusal = shop.error(restore.table("~_d", "order_1"))
    assert refusal == (None if server.version >= (4,) else internal(text))


def test_restore_in_a_transaction(taken: Client, restore: Restore) -> None:
    taken.ok("BEGIN")
    assert taken.error(restore.table("~_t")) == UNCOMMITTED
    taken.ok("ROLLBACK")


def test_the_form_of_3(taken: Client, server: Server) -> None:
    """Account first, FROM SNAPSHOT behind."""
    statement = "RESTORE ACCOUNT sys DATABASE ~ FROM SNAPSHOT ~_d"
    code, text = taken.error(statement) or (0, "")
    if server.version >= (4,):
        assert (code, text.partition("near ")[2]) == (1064, '" SNAPSHOT ~_d";')
    else:
        assert taken.rows("SELECT * FROM ~.t") == BOTH
    code, text = taken.error("RESTORE DATABASE ~ TABLE t FROM SNAPSHOT ~_d") or (0, "")
    assert (code, text.partition("near ")[2]) == (1064, '" SNAPSHOT ~_d";')
    code, text = taken.error("RESTORE FROM SNAPSHOT ~_d") or (0, "")
    assert (code, text.partition("near ")[2]) == (1064, '" SNAPSHOT ~_d";')


def test_the_form_of_4(taken: Client, server: Server) -> None:
    """A dot between the names, and the account only where it is another one."""
    if server.version < (4,):
        for statement, near in (
            ("RESTORE TABLE ~.t {SNAPSHOT = '~_t'}", " TABLE ~.t {SNAPSHOT = '~_t'}"),
            ("RESTORE DATABASE ~ {SNAPSHOT = ~_d}", " {SNAPSHOT = ~_d}"),
        ):
            code, text = taken.error(statement) or (0, "")
            assert (code, text.partition("near ")[2]) == (1064, f'"{near}";')
        return
    for statement in (
        "RESTORE TABLE ~.t {SNAPSHOT = '~_t'}",
        "RESTORE TABLE sys.~.t {SNAPSHOT = ~_t}",
        "RESTORE DATABASE ~ {SNAPSHOT = ~_d}",
        "RESTORE DATABASE ~ {SNAPSHOT = '~_D'}",
        "RESTORE DATABASE sys.~ {SNAPSHOT = ~_d} TO ACCOUNT sys",
    ):
        taken.ok("INSERT IGNORE INTO ~.t VALUES (3, 'c')", statement)
        assert taken.rows("SELECT * FROM ~.t") == BOTH
    code, text = taken.error("RESTORE TABLE ~ t {SNAPSHOT = '~_t'}") or (0, "")
    assert (code, text.partition("near ")[2]) == (1064, "\" t {SNAPSHOT = '~_t'}\";")
    code, text = taken.error("RESTORE TABLE ~.t {MO_TS = 5}") or (0, "")
    assert (code, text.partition("near ")[2]) == (1064, '"MO_TS = 5}";')


# ------------------------------------------------------------------------------------ accounts


def test_each_account_has_its_own(shop: Client, their_shop: Client, tenant: Tenant) -> None:
    shop.ok("CREATE SNAPSHOT ~_d FOR DATABASE ~")
    their_shop.ok(
        "CREATE SNAPSHOT ~_d FOR ACCOUNT", f"CREATE SNAPSHOT ~_e FOR ACCOUNT {tenant.name}"
    )
    shown = {row[0]: row[3] for row in their_shop.ok("SHOW SNAPSHOTS").rows if row[0][0] == "~"}
    assert shown == {"~_d": tenant.name, "~_e": tenant.name}
    names = "SELECT sname FROM mo_catalog.mo_snapshots WHERE sname IN ('~_d', '~_e')"
    assert shop.rows(names) == [("~_d",)]
    assert sorted(their_shop.rows(names)) == [("~_d",), ("~_e",)]
    their_shop.ok("DROP SNAPSHOT ~_d", "DROP SNAPSHOT ~_e")


def test_what_other_accounts_may_not(admin: Client) -> None:
    assert admin.error("CREATE SNAPSHOT ~_c FOR CLUSTER") == internal(
        "only sys tenant can create cluster level snapshot"
    )
    assert admin.error("CREATE SNAPSHOT ~_c FOR ACCOUNT sys") == internal(
        "only sys tenant can create tenant level snapshot for other tenant"
    )


def test_sys_reads_an_account_by_the_accounts_snapshot(
    say: Client, their_shop: Client, tenant: Tenant
) -> None:
    say.ok(f"CREATE SNAPSHOT ~_a FOR ACCOUNT {tenant.name}")
    their_shop.ok("DELETE FROM ~.t WHERE id = 1")
    assert say.rows("SELECT * FROM ~.t {SNAPSHOT = '~_a'}") == BOTH
    assert say.ok("SHOW TABLES FROM ~ {SNAPSHOT = '~_a'}").column == ["t"]
    assert their_shop.error("SELECT * FROM ~.t {SNAPSHOT = '~_a'}") == internal(
        "find 0 snapshot records by name(~_a), expect only 1"
    )


def test_restore_in_an_account(their_shop: Client, tenant: Tenant, restore: Restore) -> None:
    their_shop.ok(
        "CREATE SNAPSHOT ~_t FOR TABLE ~ t",
        "CREATE SNAPSHOT ~_d FOR DATABASE ~",
        "CREATE SNAPSHOT ~_a FOR ACCOUNT",
    )
    for statement in (
        restore.table("~_t", account=tenant.name),
        restore.database("~_d", account=tenant.name),
        restore.account("~_a", tenant.name),
    ):
        their_shop.ok("DELETE FROM ~.t WHERE id = 1", statement)
        assert their_shop.rows("SELECT * FROM ~.t") == BOTH
    assert their_shop.error(restore.account("~_a", "sys")) == internal(
        "non-sys account can't restore sys account"
    )
    to_sys = f"{restore.account('~_a', tenant.name)} TO ACCOUNT sys"
    assert their_shop.error(to_sys) == internal(
        "non-sys account can't restore snapshot to another account"
    )
    their_shop.ok("DROP SNAPSHOT ~_t", "DROP SNAPSHOT ~_d", "DROP SNAPSHOT ~_a")


def test_sys_restores_an_account(
    say: Client, their_shop: Client, tenant: Tenant, restore: Restore
) -> None:
    say.ok(f"CREATE SNAPSHOT ~_a FOR ACCOUNT {tenant.name}")
    their_shop.ok("DELETE FROM ~.t WHERE id = 1")
    assert say.error(restore.database("~_a", account=tenant.name)) == internal(
        "can't restore database from other account's snapshot"
    )
    say.ok(restore.account("~_a", tenant.name))
    assert their_shop.rows("SELECT * FROM ~.t") == BOTH


def test_rights(say: Client, connect: Connect, restore: Restore) -> None:
    """CREATE and DROP require the administrator's role, SHOW and RESTORE all on the account."""
    say.ok(
        f"CREATE ACCOUNT ~_a ADMIN_NAME 'admin' IDENTIFIED BY '{PASSWORD}'",
    )
    their = connect(user=f"{say.own}_a:admin", password=PASSWORD)
    their.ok(
        "CREATE DATABASE ~",
        "CREATE TABLE ~.t (id INT PRIMARY KEY)",
        "CREATE SNAPSHOT ~_t FOR TABLE ~ t",
        f"CREATE USER ~_u IDENTIFIED BY '{PASSWORD}'",
        "CREATE ROLE ~_r",
        "GRANT ~_r TO ~_u",
    )
    user = connect(user=f"{say.own}_a:{say.own}_u:{say.own}_r", password=PASSWORD)
    manage = [
        "CREATE SNAPSHOT ~_x FOR DATABASE ~",
        "DROP SNAPSHOT ~_t",
        "DROP SNAPSHOT IF EXISTS x",
    ]
    use = ["SHOW SNAPSHOTS", restore.table("~_t", account="~_a")]
    for statement in manage + use:
        assert user.error(statement) == NO_PRIVILEGE
    their.ok("GRANT ALL ON ACCOUNT * TO ~_r")
    for statement in manage:
        assert user.error(statement) == NO_PRIVILEGE
    user.ok(*use)


def test_moments_are_those_of_the_statement(shop: Client) -> None:
    """The instant is that of the CREATE."""
    before = moment(shop)
    shop.ok("CREATE SNAPSHOT ~_t FOR TABLE ~ t")
    after = moment(shop)
    at = shop.value("SELECT ts FROM mo_catalog.mo_snapshots WHERE sname = '~_t'")
    assert before.nanoseconds < at < after.nanoseconds
