"""Differences of 2.2.2. Run on an emulated one, or on a live server of 2.2."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.clock import may_advance, wait
from tests.conftest import LIVE, Server
from tests.server.conftest import Client, Connect, Tenant, account_for_tests, internal, moment

if LIVE:

    @pytest.fixture(autouse=True)
    def version_2_2(server: Server) -> None:
        if server.version[:2] != (2, 2):
            pytest.skip("of 2.2")

else:

    @pytest.fixture(scope="module")
    def server() -> Iterator[Server]:
        """An emulated 2.2.2, which says 2.2.0 of itself as the real one does."""
        from sqlalchemy_matrixone_pitr.emulator import Emulator

        with Emulator(version="2.2.2") as emulator, may_advance(emulator):
            yield Server(emulator.host, emulator.port, "dump", "111", (2, 2, 0), False)

    @pytest.fixture(scope="module")
    def tenant_account(server: Server) -> Iterator[str]:
        with account_for_tests(server) as name:
            yield name


TABLE_ID = "SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = '~' AND relname = 't'"
RECORD = "SELECT obj_id, pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name = '~_t'"


@pytest.fixture
def kept(shop: Client) -> Client:
    """`shop` with PITR ~_t of the table."""
    shop.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'")
    return shop


def test_version_prints_2_2_0(say: Client) -> None:
    assert say.value("SELECT version()") == "8.0.30-MatrixOne-v2.2.0"


# -- the status bit --------------------------------------------------------------------------------


def test_the_bit_says_autocommit_outside_of_transactions(shop: Client) -> None:
    """Whatever autocommit is; and in the answers to reads, which begin one, too."""
    shop.ok("SET AUTOCOMMIT = 0")

    def bits(statement: str) -> tuple[bool, bool]:
        answer = shop.ok(statement)
        return answer.autocommit, answer.in_transaction

    assert bits("COMMIT") == (True, False)
    assert bits("SELECT id FROM ~.t") == (True, False)
    assert bits("INSERT INTO ~.t VALUES (3, 'c')") == (False, True)
    assert bits("ROLLBACK") == (True, False)


def test_drivers_autocommit_never_sends_anything(shop: Client, connect: Connect) -> None:
    manual, other = connect(autocommit=False), connect()
    manual.connection.autocommit(True)
    manual.ok("INSERT INTO ~.t VALUES (3, 'c')")
    assert len(other.rows("SELECT * FROM ~.t")) == 2
    manual.ok("COMMIT", "SET AUTOCOMMIT = 1", "INSERT INTO ~.t VALUES (4, 'd')")
    assert len(other.rows("SELECT * FROM ~.t")) == 4


# -- the life of a PITR ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE ~.t ADD COLUMN c INT",
        "ALTER TABLE ~.t DROP COLUMN v",
        "ALTER TABLE ~.t RENAME COLUMN v TO w",
        "ALTER TABLE ~.t CHANGE v w VARCHAR(10)",
        "ALTER TABLE ~.t MODIFY v VARCHAR(10) COMMENT 'c'",
        "ALTER TABLE ~.t MODIFY v VARCHAR(5)",
        "TRUNCATE TABLE ~.t",
    ],
)
def test_only_the_id_tells_of_a_rebuild(kept: Client, change: str) -> None:
    """And the stale status blocks the object."""
    before = kept.value(TABLE_ID)
    kept.ok(change)
    assert kept.value(TABLE_ID) != before
    assert kept.rows(RECORD) == [(before, 1)]
    assert kept.error("CREATE PITR ~_t2 FOR TABLE ~ t RANGE 1 'd'") == internal(
        "database `~` table `t` already has a pitr"
    )


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE ~.t MODIFY v VARCHAR(20)",
        "ALTER TABLE ~.t ADD INDEX i (v)",
        "ALTER TABLE ~.t COMMENT = 'c'",
    ],
)
def test_changes_in_place(kept: Client, change: str) -> None:
    before = kept.value(TABLE_ID)
    kept.ok(change)
    assert kept.value(TABLE_ID) == before
    assert kept.rows(RECORD) == [(before, 1)]


def test_drop_sets_the_status(kept: Client) -> None:
    before = kept.value(TABLE_ID)
    kept.ok("DROP TABLE ~.t")
    assert kept.rows(RECORD) == [(before, 0)]


def test_mo_pitr_times_are_timestamps(kept: Client) -> None:
    created, modified = kept.rows(
        "SELECT create_time, modified_time FROM mo_catalog.mo_pitr WHERE pitr_name = '~_t'"
    )[0]
    assert created == modified
    assert created.microsecond == 0


# -- reading ---------------------------------------------------------------------------------------


def test_show_pitr_times_are_strings(kept: Client) -> None:
    row = kept.rows("SHOW PITR WHERE pitr_name = '~_t'")[0]
    for value in row[1:3]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", value)


def test_labels_of_windows(kept: Client) -> None:
    assert kept.ok("SHOW RECOVERY_WINDOW FOR DATABASE ~").labels == [
        "Recovery_Window_Level",
        "Account_Name",
        "Database_Name",
        "Table_Name",
        "Recovery_Windows",
    ]


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
OBJECT = (
    rf'\{{"start_time": "{TIME}", "end_time": "{TIME}", "source": "pitr", "source_name": "%s"\}}'
)


def test_windows_are_objects_in_double_quotes(kept: Client) -> None:
    """One after the other, without brackets, in whole seconds."""
    kept.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    wait(kept.connection, 1.1)
    rows = kept.rows("SHOW RECOVERY_WINDOW FOR DATABASE ~")
    assert [row[:4] for row in rows] == [("database", "sys", "~", "t")]
    both = "|".join(
        ",\n".join(OBJECT % name for name in names) for names in (("~_t", "~_d"), ("~_d", "~_t"))
    )
    assert re.fullmatch(both, rows[0][4])


def test_windows_of_a_table_are_of_table_pitrs(kept: Client) -> None:
    """Those of its database are not shown."""
    kept.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    rows = kept.rows("SHOW RECOVERY_WINDOW FOR TABLE ~ t")
    assert [row[:4] for row in rows] == [("table", "sys", "~", "t")]
    assert re.fullmatch(OBJECT % "~_t", rows[0][4])


def test_an_account_does_not_name_itself_for_windows(admin: Client, tenant: Tenant) -> None:
    assert admin.error(f"SHOW RECOVERY_WINDOW FOR ACCOUNT {tenant.name}") == internal(
        "only sys account can show other account's recovery window"
    )


def test_tables_created_after_a_database_pitr_are_shown(shop: Client) -> None:
    shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'", "CREATE TABLE ~.later (id INT)")
    rows = shop.rows("SHOW RECOVERY_WINDOW FOR DATABASE ~")
    assert sorted(row[3] for row in rows) == ["later", "t"]


# -- the past --------------------------------------------------------------------------------------


def test_reads_of_the_past_work(kept: Client) -> None:
    at = moment(kept)
    kept.ok("DROP TABLE ~.t")
    assert kept.rows(f"SELECT id FROM ~.t {{MO_TS = {at.nanoseconds}}}") == [(1,), (2,)]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE ~.copy CLONE ~.t", "CREATE DATABASE ~_b CLONE ~"]
)
def test_clone_is_no_syntax(kept: Client, statement: str) -> None:
    at = moment(kept)
    for past in ("", f" {{MO_TS = {at.nanoseconds}}}"):
        error = kept.error(statement + past)
        assert error is not None
        assert error[0] == 1064


def test_create_table_as_select_of_the_past(kept: Client) -> None:
    at = moment(kept)
    error = kept.error(f"CREATE TABLE ~.copy AS SELECT * FROM ~.t {{MO_TS = {at.nanoseconds}}}")
    assert error is not None


# -- the rest --------------------------------------------------------------------------------------


def test_sys_finds_tables_of_other_accounts(say: Client, their_shop: Client) -> None:
    say.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'")


def test_a_moment_of_the_second_of_the_creation_is_taken(their_shop: Client) -> None:
    """The creation is kept in whole seconds."""
    at = moment(their_shop)
    wait(their_shop.connection, 1 - at.nanoseconds % 1_000_000_000 / 1_000_000_000)
    before = moment(their_shop)
    their_shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    their_shop.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{before.text}'")


@pytest.mark.parametrize("action", ["SET NULL", "NO ACTION"])
def test_show_create_table_stumbles_over_two_actions(shop: Client, action: str) -> None:
    """And with it reflection."""
    shop.ok(
        f"CREATE TABLE ~.child (id INT, FOREIGN KEY (id) REFERENCES ~.t (id) ON DELETE {action})"
    )
    error = shop.error("SHOW CREATE TABLE ~.child")
    assert error is not None
    assert error[0] == 1105
    assert action.replace(" ", "_") in error[1]


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("CREATE PITR ~_p RANGE 1 'D'", "create pitr ~_p for account range 1  D"),
        (
            "CREATE PITR IF NOT EXISTS ~_p FOR TABLE ~ t RANGE 1 'd'",
            "create pitr if not exists ~_p for table ~.t range 1  d",
        ),
        ("DROP PITR IF EXISTS ~_p", "drop pitr if exists ~_p"),
    ],
)
def test_create_and_drop_cannot_be_prepared(say: Client, statement: str, shown: str) -> None:
    quoted = statement.replace("'", "''")
    assert say.error(f"PREPARE s FROM '{quoted}'") == internal(f"statement: '{shown}'")
    error = say.error("PREPARE s FROM @text")
    assert error is not None
    assert error[1].endswith('line 1 column 20 near " @text";')


def test_internal_is_no_word_of_the_grammar(say: Client) -> None:
    error = say.error("DROP PITR ~_p INTERNAL")
    assert error is not None
    assert error[0] == 1064
    assert error[1].endswith(' near " INTERNAL";')


def test_an_added_unique_shows_the_latest_comment(shop: Client) -> None:
    """Before it the first one, as later versions do for ever."""
    shop.ok("USE ~", "CREATE TABLE n (a INT) COMMENT 'first'", "ALTER TABLE n COMMENT 'second'")
    assert shop.ok("SHOW CREATE TABLE n").rows[0][1].endswith("COMMENT='first'")
    shop.ok("ALTER TABLE n ADD UNIQUE u (a)")
    assert shop.ok("SHOW CREATE TABLE n").rows[0][1].endswith("COMMENT='second'")
