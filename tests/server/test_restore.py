"""docs/server.md, RESTORE: its times, what may restore what, and what it leaves."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, Moment, Tenant, internal, is_main, moment

LAYOUT = '"2006-01-02 15:04:05"'
LONG_AGO = "2020-01-01 00:00:00"
FAR_AWAY = "2099-01-01 00:00:00"


@dataclass(frozen=True)
class Guarded:
    """A tenant's shop with PITRs ~_a, ~_d and ~_t, and a moment after them."""

    say: Client
    at: Moment

    def rows(self, table: str = "t") -> list[tuple[object, ...]]:
        return self.say.rows(f"SELECT id, v FROM ~.{table}")


ROWS = [(1, "a"), (2, "b")]


@pytest.fixture
def guarded(their_shop: Client) -> Guarded:
    their_shop.ok(
        "CREATE PITR ~_a RANGE 1 'd'",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'",
    )
    return Guarded(their_shop, moment(their_shop))


# -- tables ----------------------------------------------------------------------------------------

HARM = [
    "UPDATE ~.t SET v = 'z'",
    "DELETE FROM ~.t WHERE id = 1",
    "DELETE FROM ~.t",
    "TRUNCATE TABLE ~.t",
    "DROP TABLE ~.t",
    "ALTER TABLE ~.t DROP COLUMN v",
    "RENAME TABLE ~.t TO ~.u",
]


@pytest.mark.parametrize("harm", HARM)
def test_restore_of_a_table(guarded: Guarded, harm: str) -> None:
    guarded.say.ok(harm)
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{guarded.at.text}'")
    assert guarded.rows() == ROWS


@pytest.mark.parametrize("pitr", ["~_t", "~_d", "~_a"])
def test_a_table_from_pitrs_of_its_levels(guarded: Guarded, pitr: str) -> None:
    guarded.say.ok("DELETE FROM ~.t WHERE id = 1", "CREATE TABLE ~.other (id INT)")
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR {pitr} '{guarded.at.text}'")
    assert guarded.rows() == ROWS
    assert guarded.say.rows("SHOW TABLES FROM ~") == [("other",), ("t",)]


def test_restore_doubles_the_quotes_of_a_default(guarded: Guarded, server: Server) -> None:
    """Since 4.0, as CLONE."""
    say = guarded.say
    say.ok("CREATE TABLE ~.q (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'it''s')")
    at = moment(say)
    say.ok(
        f"RESTORE DATABASE ~ TABLE q FROM PITR ~_d '{at.text}'", "INSERT INTO ~.q (id) VALUES (1)"
    )
    doubled = server.version >= (4,)
    assert say.value("SELECT v FROM ~.q") == ("it''s" if doubled else "it's")


def test_restore_answers_with_no_rows_affected(guarded: Guarded) -> None:
    answer = guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{guarded.at.text}'")
    assert (answer.affected, answer.warnings, answer.labels) == (0, 0, [])


def test_a_restored_table_has_its_definition_back(guarded: Guarded) -> None:
    before = guarded.say.rows("SHOW CREATE TABLE ~.t")
    guarded.say.ok("ALTER TABLE ~.t ADD COLUMN c INT", "CREATE INDEX i ON ~.t (v)")
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{guarded.at.text}'")
    assert guarded.say.rows("SHOW CREATE TABLE ~.t") == before


def test_a_table_of_a_dropped_database(guarded: Guarded) -> None:
    guarded.say.ok("DROP DATABASE ~", "CREATE DATABASE ~")
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_d '{guarded.at.text}'")
    assert guarded.rows() == ROWS


def test_restore_to_a_later_moment_than_an_earlier_restore(guarded: Guarded) -> None:
    guarded.say.ok("INSERT INTO ~.t VALUES (3, 'c')")
    later = moment(guarded.say)
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_d '{guarded.at.text}'")
    assert guarded.rows() == ROWS
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_d '{later.text}'")
    assert guarded.rows() == [*ROWS, (3, "c")]


# -- databases and accounts ------------------------------------------------------------------------


@pytest.mark.parametrize("pitr", ["~_d", "~_a"])
def test_restore_of_a_database(guarded: Guarded, pitr: str) -> None:
    """Tables created after that time are dropped."""
    guarded.say.ok("DROP TABLE ~.t", "CREATE TABLE ~.later (id INT)")
    guarded.say.ok(f"RESTORE DATABASE ~ FROM PITR {pitr} '{guarded.at.text}'")
    assert guarded.say.rows("SHOW TABLES FROM ~") == [("t",)]
    assert guarded.rows() == ROWS


def test_restore_of_a_dropped_database(guarded: Guarded) -> None:
    guarded.say.ok("DROP DATABASE ~")
    guarded.say.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{guarded.at.text}'")
    assert guarded.rows() == ROWS


def test_restore_of_a_database_leaves_others_alone(guarded: Guarded) -> None:
    guarded.say.ok("CREATE DATABASE ~_b", "CREATE TABLE ~_b.t (id INT)")
    guarded.say.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{guarded.at.text}'")
    assert guarded.say.rows("SHOW TABLES FROM ~_b") == [("t",)]
    guarded.say.ok("DROP DATABASE ~_b")


@pytest.mark.parametrize(
    ("view", "before", "after", "answer"),
    [
        ("SELECT id FROM ~.gone", "DROP TABLE ~.gone", "", 'table "gone" does not exist'),
        ("SELECT v FROM ~.t", "ALTER TABLE ~.t DROP COLUMN v", "", "column v does not exist"),
        ("SELECT id FROM ~_b.x", "", "DROP TABLE ~_b.x", 'table "x" does not exist'),
        (
            "SELECT id FROM ~_b.x",
            "DROP TABLE ~_b.x",
            "CREATE TABLE ~_b.x (id INT)",
            'table "x" does not exist',
        ),
        ("SELECT id FROM ~_b.x", "", "DROP DATABASE ~_b", "Unknown database ~_b"),
        ("SELECT id FROM ~.gone", "", "DROP TABLE ~.gone", ""),
        ("SELECT id FROM ~.z", "", "DROP VIEW ~.z", ""),
    ],
)
def test_a_database_with_a_broken_view_is_not_restored(
    their_shop: Client, since_3: None, view: str, before: str, after: str, answer: str
) -> None:
    """Be it broken at that moment, or now: nothing of the database is changed then."""
    their_shop.ok(
        "CREATE DATABASE ~_b",
        "CREATE TABLE ~_b.x (id INT)",
        "CREATE TABLE ~.gone (id INT)",
        "CREATE VIEW ~.z AS SELECT id FROM ~.t",
        f"CREATE VIEW ~.a AS {view}",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
        *filter(None, [before]),
    )
    at = moment(their_shop)
    their_shop.ok("INSERT INTO ~.t (id) VALUES (3)", *filter(None, [after]))
    statement = f"RESTORE DATABASE ~ FROM PITR ~_d '{at.text}'"
    error = their_shop.error(statement)
    assert (error is None) if not answer else (error is not None and error[1].endswith(answer))
    assert their_shop.value("SELECT count(*) FROM ~.t") == (3 if answer else 2)
    their_shop.ok("DROP DATABASE IF EXISTS ~_b")


def test_restore_of_a_database_with_keys_between_its_tables(their_shop: Client) -> None:
    their_shop.ok(
        "CREATE TABLE ~.child (id INT, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))",
        "INSERT INTO ~.child VALUES (1, 1)",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
    )
    at = moment(their_shop)
    their_shop.ok("DELETE FROM ~.child WHERE id = 1", "UPDATE ~.t SET v = 'z'")
    their_shop.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{at.text}'")
    assert their_shop.rows("SELECT * FROM ~.child") == [(1, 1)]
    assert their_shop.rows("SELECT id, v FROM ~.t") == ROWS
    error = their_shop.error("INSERT INTO ~.child VALUES (2, 77)")
    assert error is not None


def test_a_circle_of_foreign_keys_keeps_a_database(
    their_shop: Client, since_3: None, server: Server
) -> None:
    """An error, also where nothing of it is there; CLONE of the database is one before 4.x only."""
    their_shop.ok(
        "CREATE TABLE ~.egg (id INT PRIMARY KEY, hen INT)",
        "CREATE TABLE ~.hen (id INT PRIMARY KEY, egg INT, "
        "CONSTRAINT h FOREIGN KEY (egg) REFERENCES ~.egg (id))",
        "ALTER TABLE ~.egg ADD CONSTRAINT e FOREIGN KEY (hen) REFERENCES ~.hen (id)",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
    )
    at = moment(their_shop)
    their_shop.ok("INSERT INTO ~.egg VALUES (1, NULL)")
    circle = (20101, "internal error: There is a cycle in dependency graph")
    assert their_shop.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{at.text}'") == circle
    assert their_shop.rows("SELECT id FROM ~.egg") == [(1,)]
    refused = their_shop("CREATE DATABASE ~_b CLONE ~").error
    assert refused == (circle if server.version < (4,) else None)
    their_shop("DROP DATABASE IF EXISTS ~_b")


def test_a_table_comes_back_after_the_one_that_it_refers_to(
    their_shop: Client, server: Server
) -> None:
    """2.2 answers OK, and restores nothing."""
    their_shop.ok(
        "CREATE TABLE ~.child (id INT, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))",
        "CREATE TABLE ~.own (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES ~.own (id))",
        "INSERT INTO ~.child VALUES (1, 1)",
        "INSERT INTO ~.own VALUES (1, 1)",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
    )
    at = moment(their_shop)

    def restore(table: str) -> str:
        return f"RESTORE DATABASE ~ TABLE {table} FROM PITR ~_d '{at.text}'"

    their_shop.ok("DROP TABLE ~.child", "DROP TABLE ~.own", "DROP TABLE ~.t")
    refused = None if server.version < (3,) else (1146, "no such table ~.t")
    assert their_shop.error(restore("child")) == refused
    assert their_shop.rows("SHOW TABLES FROM ~") == []
    their_shop.ok(restore("own"), restore("t"), restore("child"))
    assert their_shop.rows("SELECT * FROM ~.child") == [(1, 1)]
    assert their_shop.rows("SELECT * FROM ~.own") == [(1, 1)]


@pytest.mark.parametrize("name", ["a b", "a``b", "a\tb"])
def test_a_table_with_a_blank_in_its_name_is_not_restored(their_shop: Client, name: str) -> None:
    their_shop.ok(f"CREATE TABLE ~.`{name}` (id INT)", "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    at = moment(their_shop)
    restore = f"RESTORE DATABASE ~ TABLE `{name}` FROM PITR ~_d '{at.text}'"
    assert their_shop.error(restore) == internal("invalid input")
    their_shop.ok(f"DROP TABLE ~.`{name}`")


@pytest.mark.parametrize("target", ["DATABASE ~", "DATABASE ~ TABLE t"])
def test_what_is_referenced_from_another_database_is_not_restored(
    their_shop: Client, target: str
) -> None:
    """Nothing of the database is, and success is reported."""
    their_shop.ok(
        "CREATE DATABASE ~_b",
        "CREATE TABLE ~_b.child (id INT, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))",
        "CREATE TABLE ~.free (id INT)",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
    )
    at = moment(their_shop)
    their_shop.ok("UPDATE ~.t SET v = 'z'", "INSERT INTO ~.free VALUES (1)")
    their_shop.ok(f"RESTORE {target} FROM PITR ~_d '{at.text}'")
    assert their_shop.rows("SELECT id, v FROM ~.t") == [(1, "z"), (2, "z")]
    assert their_shop.rows("SELECT * FROM ~.free") == [(1,)]


def test_a_table_that_refers_to_itself_is_not_restored(their_shop: Client) -> None:
    """As long as it has the foreign key; success is reported."""
    their_shop.ok(
        "CREATE TABLE ~.own (id INT PRIMARY KEY, o INT, "
        "CONSTRAINT k FOREIGN KEY (o) REFERENCES ~.own (id))",
        "INSERT INTO ~.own VALUES (1, 1)",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
    )
    at = moment(their_shop)
    restore = f"RESTORE DATABASE ~ TABLE own FROM PITR ~_d '{at.text}'"
    their_shop.ok("INSERT INTO ~.own VALUES (2, 1)", restore)
    assert their_shop.rows("SELECT * FROM ~.own") == [(1, 1), (2, 1)]
    their_shop.ok("ALTER TABLE ~.own DROP FOREIGN KEY k", restore)
    assert their_shop.rows("SELECT * FROM ~.own") == [(1, 1)]
    assert their_shop.error("INSERT INTO ~.own VALUES (3, 77)") is not None  # the key is back


def test_a_database_with_such_a_table_is_restored_since_4_2(
    their_shop: Client, server: Server
) -> None:
    """Before, nothing of it is, and success is reported."""
    their_shop.ok(
        "CREATE TABLE ~.own (id INT PRIMARY KEY, t INT, o INT, "
        "FOREIGN KEY (t) REFERENCES ~.t (id), FOREIGN KEY (o) REFERENCES ~.own (id))",
        "CREATE TABLE ~.free (id INT)",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
    )
    at = moment(their_shop)
    their_shop.ok("INSERT INTO ~.t VALUES (3, 'c')", "INSERT INTO ~.free VALUES (1)")
    their_shop.ok("INSERT INTO ~.own VALUES (1, 1, 1)")
    their_shop.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{at.text}'")
    restored = server.version >= (4, 2)
    assert their_shop.rows("SELECT id FROM ~.t") == [(1,), (2,)] + [(3,)] * (not restored)
    assert their_shop.rows("SELECT * FROM ~.free") == [(1,)] * (not restored)
    assert their_shop.rows("SELECT * FROM ~.own") == [(1, 1, 1)] * (not restored)


def test_foreign_keys_between_databases_do_not_keep_an_account(guarded: Guarded) -> None:
    guarded.say.ok(
        "CREATE DATABASE ~_b",
        "CREATE TABLE ~_b.child (id INT, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))",
        "CREATE TABLE ~_b.own (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES ~_b.own (id))",
    )
    at = moment(guarded.say)
    guarded.say.ok("INSERT INTO ~.t VALUES (3, 'c')", "INSERT INTO ~_b.child VALUES (1, 3)")
    guarded.say.ok("INSERT INTO ~_b.own VALUES (1, 1)")
    guarded.say.ok(f"RESTORE FROM PITR ~_a '{at.text}'")
    assert guarded.rows() == ROWS
    assert guarded.say.rows("SELECT * FROM ~_b.child") == []
    assert guarded.say.rows("SELECT * FROM ~_b.own") == []


def test_the_database_with_the_reference_is_restored(their_shop: Client) -> None:
    their_shop.ok(
        "CREATE DATABASE ~_b",
        "CREATE TABLE ~_b.child (id INT, t INT, FOREIGN KEY (t) REFERENCES ~.t (id))",
        "CREATE PITR ~_d FOR DATABASE ~_b RANGE 1 'd'",
    )
    at = moment(their_shop)
    their_shop.ok("INSERT INTO ~_b.child VALUES (1, 1)")
    their_shop.ok(f"RESTORE DATABASE ~_b FROM PITR ~_d '{at.text}'")
    assert their_shop.rows("SELECT * FROM ~_b.child") == []


def test_without_a_target_the_whole_own_account(guarded: Guarded) -> None:
    guarded.say.ok("DROP DATABASE ~", "CREATE DATABASE ~_later")
    guarded.say.ok(f"RESTORE FROM PITR ~_a '{guarded.at.text}'")
    assert guarded.rows() == ROWS
    assert guarded.say.rows("SHOW DATABASES LIKE '~_later'") == []


@pytest.mark.parametrize("target", ["DATABASE ~", "DATABASE ~ TABLE t"])
def test_the_account_form_since_4_1(
    guarded: Guarded, server: Server, tenant: Tenant, target: str
) -> None:
    if server.version < (4, 1):
        pytest.skip("1064 before 4.1: test_grammar.py")
    guarded.say.ok("DELETE FROM ~.t WHERE id = 1")
    guarded.say.ok(f"RESTORE ACCOUNT {tenant.name} {target} FROM PITR ~_d '{guarded.at.text}'")
    assert guarded.rows() == ROWS
    error = guarded.say.error(f"RESTORE ACCOUNT sys {target} FROM PITR ~_d '{guarded.at.text}'")
    kind, name = ("table", "~.t") if "TABLE" in target else ("database", "~")
    assert error == internal(f"account sys is not allowed to restore {kind} {name}")


def test_sys_restores_another_account(say: Client, their_shop: Client, tenant: Tenant) -> None:
    say.ok(f"CREATE PITR ~_p FOR ACCOUNT {tenant.name} RANGE 1 'd'")
    at = moment(say)
    their_shop.ok("DROP TABLE ~.t", "CREATE DATABASE ~_later")
    say.ok(f"RESTORE ACCOUNT {tenant.name} FROM PITR ~_p '{at.text}'")
    assert their_shop.rows("SELECT id, v FROM ~.t") == ROWS
    assert their_shop.rows("SHOW DATABASES LIKE '~_later'") == []


def test_rollback_does_not_undo_a_restore(guarded: Guarded) -> None:
    guarded.say.ok("DELETE FROM ~.t WHERE id = 1", "SET AUTOCOMMIT = 0")
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{guarded.at.text}'", "ROLLBACK")
    assert guarded.rows() == ROWS


# -- the time's text -------------------------------------------------------------------------------

BAD_TIMES = [
    ("x", f'parsing time "x" as {LAYOUT}: cannot parse "x" as "2006"'),
    ("", f'parsing time "" as {LAYOUT}: cannot parse "" as "2006"'),
    ("2026-01-01", f'parsing time "2026-01-01" as {LAYOUT}: cannot parse "" as "15"'),
    (
        "2026-01-01T00:00:00",
        f'parsing time "2026-01-01T00:00:00" as {LAYOUT}: cannot parse "T00:00:00" as " "',
    ),
    (
        "2026-01-01 00:00",
        f'parsing time "2026-01-01 00:00" as {LAYOUT}: cannot parse "" as ":"',
    ),
    ("2026-01-01 00:00:00Z", 'parsing time "2026-01-01 00:00:00Z": extra text: "Z"'),
    ("2026-01-01 00:00:00+00:00", 'parsing time "2026-01-01 00:00:00+00:00": extra text: "+00:00"'),
    ("2026-01-01 00:00:00 ", 'parsing time "2026-01-01 00:00:00 ": extra text: " "'),
    ("2026-13-01 00:00:00", 'parsing time "2026-13-01 00:00:00": month out of range'),
    ("2026-02-30 00:00:00", 'parsing time "2026-02-30 00:00:00": day out of range'),
    ("2026-02-01 24:00:00", 'parsing time "2026-02-01 24:00:00": hour out of range'),
    ("2026-02-01 00:60:00", 'parsing time "2026-02-01 00:60:00": minute out of range'),
    ("2026-02-01 00:00:60", 'parsing time "2026-02-01 00:00:60": second out of range'),
    (
        "26-01-01 00:00:00",
        f'parsing time "26-01-01 00:00:00" as {LAYOUT}: cannot parse "26-01-01 00:00:00" as "2006"',
    ),
    (
        "2026-1-01 00:00:00",
        f'parsing time "2026-1-01 00:00:00" as {LAYOUT}: cannot parse "1-01 00:00:00" as "01"',
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD_TIMES, ids=[t[0] for t in BAD_TIMES])
def test_bad_times_are_1105(say: Client, text: str, message: str) -> None:
    """The time is looked at before the PITR, and without a T or an offset."""
    assert say.error(f"RESTORE DATABASE ~ FROM PITR ~_nope '{text}'") == (1105, message)


@pytest.mark.parametrize("fraction", ["", ".5", ".123456", ".123456789", ".000"])
def test_times_with_a_fraction(guarded: Guarded, fraction: str) -> None:
    error = guarded.say.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{FAR_AWAY}{fraction}'")
    assert error is not None
    assert error[0] == 20101
    assert f"input timestamp {FAR_AWAY} is bigger than now timestamp" in error[1]


def test_a_time_is_read_in_the_servers_zone_not_the_sessions(guarded: Guarded) -> None:
    guarded.say.ok("DELETE FROM ~.t WHERE id = 1", "SET time_zone = '+09:00'")
    guarded.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR ~_t '{guarded.at.text}'")
    assert guarded.rows() == ROWS


def test_the_text_of_an_instant(say: Client) -> None:
    """In the server's zone: with time_zone SYSTEM, from_unixtime and back."""
    say.ok("SET time_zone = 'SYSTEM'")
    text = say.value("SELECT CAST(from_unixtime(1700000000.250000) AS CHAR)")
    assert (
        say.value(f"SELECT unix_timestamp('{text}')")
        == datetime.datetime(2023, 11, 14, 22, 13, 20, 250000, datetime.UTC).timestamp()
    )
    text = say.value("SELECT CAST(from_unixtime(1700000000) AS CHAR)")
    assert say.value(f"SELECT unix_timestamp('{text}')") == 1_700_000_000


def test_unix_timestamp_keeps_the_fraction_of_texts_only(say: Client, server: Server) -> None:
    """And of all moments after 4.2.0."""
    assert isinstance(say.value("SELECT unix_timestamp(now(6))"), int) != is_main(server)
    assert say.value("SELECT unix_timestamp('2026-11-22 10:00:00.5')") % 1 == 0.5


def test_named_zones(say: Client, server: Server) -> None:
    error = say.error("SET time_zone = 'Europe/Berlin'")
    if server.version < (4,):
        assert error == (1105, "unknown time zone europe/berlin")
    else:
        assert error is None


# -- moments that are refused ----------------------------------------------------------------------


def test_not_before_the_creation(guarded: Guarded) -> None:
    error = guarded.say.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{LONG_AGO}'")
    assert error is not None
    assert error[0] == 20101
    assert error[1].startswith(
        f"internal error: input timestamp {LONG_AGO} is less than the pitr valid time "
        f"{guarded.at.text[:13]}"
    )


@pytest.mark.usefixtures("since_3")
def test_shortly_before_the_creation(their_shop: Client) -> None:
    before = moment(their_shop)
    their_shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    error = their_shop.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{before.text}'")
    assert error is not None
    assert "is less than the pitr valid time" in error[1]


def test_not_before_the_range(guarded: Guarded) -> None:
    """A range of nothing: even what was a moment ago is out of it."""
    guarded.say.ok("ALTER PITR ~_d RANGE 0 'h'")
    error = guarded.say.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{guarded.at.text}'")
    assert error is not None
    assert error[0] == 20101
    assert "is less than the pitr range minest timestamp 2" in error[1]


def test_not_in_the_future(guarded: Guarded) -> None:
    error = guarded.say.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{FAR_AWAY}'")
    assert error is not None
    assert error[0] == 20101
    assert error[1].startswith(
        f"internal error: input timestamp {FAR_AWAY} is bigger than now timestamp "
    )


def test_alter_does_not_narrow_what_can_be_restored(guarded: Guarded) -> None:
    """It moves the window that is shown, but the check is against the creation."""
    guarded.say.ok("ALTER PITR ~_d RANGE 2 'd'", "DELETE FROM ~.t WHERE id = 1")
    guarded.say.ok(f"RESTORE DATABASE ~ FROM PITR ~_d '{guarded.at.text}'")
    assert guarded.rows() == ROWS


# -- what may restore what -------------------------------------------------------------------------

REFUSED = [
    ("FROM PITR ~_nope", "pitr ~_nope does not exist"),
    ("DATABASE ~ FROM PITR ~_NOPE", "pitr ~_nope does not exist"),
    ("DATABASE mysql FROM PITR ~_nope", "pitr ~_nope does not exist"),
    ("DATABASE ~ FROM PITR `a b`", "invalid input"),
    # system databases
    ("DATABASE mysql FROM PITR ~_a", "database mysql can not be restore"),
    ("DATABASE mo_catalog FROM PITR ~_a", "database mo_catalog can not be restore"),
    (
        "DATABASE information_schema TABLE t FROM PITR ~_a",
        "database information_schema can not be restore",
    ),
    # the own account
    ("FROM PITR ~_d", "restore level database is not allowed for account restore"),
    ("FROM PITR ~_t", "restore level table is not allowed for account restore"),
    # databases
    ("DATABASE ~ FROM PITR ~_t", "restore level table is not allowed for database restore"),
    ("DATABASE ~_b FROM PITR ~_d", "pitr ~_d is not allowed to restore database ~_b"),
    # tables
    (
        "DATABASE ~_b TABLE t FROM PITR ~_d",
        "pitr ~_d is not allowed to restore database ~_b table t",
    ),
    ("DATABASE ~ TABLE u FROM PITR ~_t", "pitr ~_t is not allowed to restore table ~.u"),
    ("DATABASE ~_b TABLE t FROM PITR ~_t", "pitr ~_t is not allowed to restore table ~_b.t"),
    # the cluster
    ("CLUSTER FROM PITR ~_d", "restore level database is not allowed for cluster restore"),
    ("CLUSTER FROM PITR ~_a", "restore level account is not allowed for cluster restore"),
    # other accounts
    ("ACCOUNT sys FROM PITR ~_a", "account <tenant> is not allowed to restore other account sys"),
    (
        "ACCOUNT <tenant> FROM PITR ~_a",
        "account <tenant> is not allowed to restore other account <tenant>",
    ),
]


def refusals(
    client: Client, tenant: Tenant, table: list[tuple[str, str]]
) -> dict[str, tuple[tuple[int, str] | None, tuple[int, str]]]:
    """List the forms and texts of a table that are answered otherwise: what came, what should."""
    found = {}
    for form, text in table:
        answer = client.error(f"RESTORE {form} '{LONG_AGO}'".replace("<tenant>", tenant.name))
        expected = internal(text.replace("<tenant>", tenant.name))
        if answer != expected:
            found[form] = answer, expected
    return found


def test_the_level_must_contain_the_target(guarded: Guarded, tenant: Tenant) -> None:
    assert refusals(guarded.say, tenant, REFUSED) == {}


SYS_REFUSED = [
    (
        "ACCOUNT <tenant> FROM PITR ~_d",
        "can not restore account <tenant> by pitr ~_d",
    ),
    (
        "ACCOUNT <tenant> FROM PITR ~_t",
        "can not restore account <tenant> by pitr ~_t",
    ),
    (
        "ACCOUNT sys FROM PITR ~_other",
        "can not restore sys account to new account sys by pitr ~_other",
    ),
    ("FROM PITR ~_other", "pitr ~_other is not allowed to restore account sys"),
    (
        "DATABASE ~ FROM PITR ~_other",
        "pitr ~_other is not allowed to restore account sys database ~",
    ),
    (
        "DATABASE ~ TABLE t FROM PITR ~_other",
        "pitr ~_other is not allowed to restore account sys database ~ table t",
    ),
    ("CLUSTER FROM PITR ~_other", "restore level account is not allowed for cluster restore"),
]


def test_what_sys_may_restore_of_others(shop: Client, tenant: Tenant) -> None:
    shop.ok(
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'",
        f"CREATE PITR ~_other FOR ACCOUNT {tenant.name} RANGE 1 'd'",
    )
    assert refusals(shop, tenant, SYS_REFUSED) == {}


def test_pitrs_of_others_do_not_exist(guarded: Guarded, say: Client) -> None:
    assert say.error(f"RESTORE DATABASE ~ FROM PITR ~_d '{LONG_AGO}'") == internal(
        "pitr ~_d does not exist"
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("DATABASE ~_b FROM PITR ~_a", "database '~_b' does not exists at timestamp: {}"),
        ("DATABASE ~ TABLE u FROM PITR ~_d", "database '~' table 'u' does not exists"),
        ("DATABASE ~_b TABLE t FROM PITR ~_a", "database '~_b' table 't' does not exists"),
    ],
)
def test_objects_that_were_not_there_yet(guarded: Guarded, form: str, text: str) -> None:
    guarded.say.ok(
        "CREATE DATABASE ~_b", "CREATE TABLE ~_b.t (id INT)", "CREATE TABLE ~.u (id INT)"
    )
    error = guarded.say.error(f"RESTORE {form} '{guarded.at.text}'")
    guarded.say.ok("DROP DATABASE ~_b")
    if "{}" not in text:
        text += " at timestamp: {}"
    assert error == internal(text.format(guarded.at.text[:19]))


# -- a name that is a pattern ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        ("order_1", ["orderx1"]),
        ("p%q", ["pq"]),
        ("__", ["ab", "cd"]),
        ("plain", ["plain_", "plainer"]),
    ],
)
def test_a_table_whose_name_fits_others_as_a_pattern(
    their_shop: Client, server: Server, wanted: str, others: list[str]
) -> None:
    """3.x looks the table up by LIKE, and wants to find one."""
    for name in (wanted, *others):
        their_shop.ok(f"CREATE TABLE ~.`{name}` (id INT)", f"INSERT INTO ~.`{name}` VALUES (1)")
    their_shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    at = moment(their_shop)
    their_shop.ok(f"DELETE FROM ~.`{wanted}` WHERE id = 1")
    fitting = 1 + sum(len(name) == len(wanted) for name in others) if "_" in wanted else 2
    restore = f"RESTORE DATABASE ~ TABLE `{wanted}` FROM PITR ~_d '{at.text}'"
    if wanted == "plain" or server.version >= (4,):
        their_shop.ok(restore)
        assert their_shop.value(f"SELECT count(*) FROM ~.`{wanted}`") == 1
        return
    # The table ~.t has one letter.
    assert their_shop.error(restore) == internal(
        f"find {fitting} tableInfos by name '{wanted}' at pitr '~_d', expect only 1"
    )
    assert their_shop.value(f"SELECT count(*) FROM ~.`{wanted}`") == 0
    their_shop.ok(f"RESTORE DATABASE ~ TABLE `{others[0]}` FROM PITR ~_d '{at.text}'")
