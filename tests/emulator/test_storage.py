"""Ordinary SQL of the emulator, below the wire: tables, rows, transactions, types, errors."""

from __future__ import annotations

import datetime
import sqlite3
import threading
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from matrixone_emulator.clock import Clock
from matrixone_emulator.errors import SqlError
from matrixone_emulator.statements.storage import Event, Result, Storage, StorageSession
from matrixone_emulator.versions.rules import RULES


class Context:
    """A session as the storage sees it."""

    account, account_id, reported_account_id, user, role = "sys", 0, 0, "dump", "moadmin"
    connection_id, version_text = 7, "8.0.30-MatrixOne-v3.0.9"
    deadline_seconds = 0.2
    found_rows = False
    pending_events: Sequence[Event] = ()
    time_zone: datetime.tzinfo = datetime.UTC

    def __init__(self, database: str = "") -> None:
        self.database = database

    def variable(self, name: str, scope: str) -> object:
        known = {
            "autocommit": 1,
            "version": self.version_text,
            "foreign_key_checks": 1,
            "sql_mode": "",
        }
        return known[name]

    def variables(self, scope: str) -> Mapping[str, object]:
        return {"autocommit": 1, "sql_mode": "STRICT_TRANS_TABLES"}

    def user_variable(self, name: str) -> object:
        return None

    def set_user_variable(self, name: str, value: object) -> None:
        raise NotImplementedError


class Client:
    """Statements and their answers in short."""

    def __init__(self, storage: Storage, database: str = "") -> None:
        self.context = Context(database)
        self.session: StorageSession = storage.session(self.context)

    def __call__(self, statement: str) -> Result:
        return self.session.execute(statement)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        return self(statement).rows

    def value(self, statement: str) -> object:
        return self(statement).rows[0][0]

    def error(self, statement: str) -> tuple[int, str]:
        with pytest.raises(SqlError) as caught:
            self(statement)
        return caught.value.code, caught.value.message


@pytest.fixture
def storage() -> Iterator[Storage]:
    made = Storage(Clock(), rules=RULES["3.0.9"])
    yield made
    made.close()


@pytest.fixture
def db(storage: Storage) -> Client:
    client = Client(storage)
    client("CREATE DATABASE d")
    client.context.database = "d"
    return client


def rel_id(client: Client, table: str) -> object:
    return client.value(
        f"SELECT rel_id FROM mo_catalog.mo_tables WHERE reldatabase = 'd' AND relname = '{table}'"
    )


class TestRows:
    def test_types_come_back_as_a_driver_gives_them(self, db: Client) -> None:
        db(
            "CREATE TABLE t (i INT, b BIGINT, d DECIMAL(8, 2), f DOUBLE, s VARCHAR(5), "
            "t DATETIME(3), "
            "ts TIMESTAMP, dt DATE, tm TIME, o BOOL, j JSON, bl BLOB, e ENUM('x', 'y'))"
        )
        db(
            "INSERT INTO t VALUES (1, -5, 1.239, 1.5, 'ab', '2020-01-02 03:04:05.6789', "
            "'2020-01-02 03:04:05', '2020-02-03', '-10:11:12', true, "
            '\'{"b": 1, "a": [1, 2.50]}\', '
            "x'00ff', 'Y')"
        )
        assert db.rows("SELECT * FROM t") == [
            (
                1,
                -5,
                Decimal("1.24"),
                1.5,
                "ab",
                datetime.datetime(2020, 1, 2, 3, 4, 5, 679000),
                datetime.datetime(2020, 1, 2, 3, 4, 5),
                datetime.date(2020, 2, 3),
                -datetime.timedelta(hours=10, minutes=11, seconds=12),
                "true",
                '{"a": [1, 2.5], "b": 1}',
                b"\x00\xff",
                "y",
            )
        ]

    def test_timestamps_follow_the_time_zone_of_the_session(self, db: Client) -> None:
        db("CREATE TABLE t (ts TIMESTAMP, dt DATETIME)")
        db.context.time_zone = datetime.timezone(datetime.timedelta(hours=2))
        db("INSERT INTO t VALUES ('2020-01-01 12:00:00', '2020-01-01 12:00:00')")
        db.context.time_zone = datetime.UTC
        assert db.rows("SELECT ts, dt FROM t") == [
            (datetime.datetime(2020, 1, 1, 10), datetime.datetime(2020, 1, 1, 12))
        ]

    def test_a_timestamp_is_one_instant_in_an_hour_that_is_repeated(self, db: Client) -> None:
        db("CREATE TABLE t (ts TIMESTAMP)")
        db("INSERT INTO t VALUES ('2027-10-31 00:30:00'), ('2027-10-31 01:30:00')")
        db.context.time_zone = zoneinfo.ZoneInfo("Europe/Berlin")
        assert db.rows("SELECT ts, unix_timestamp(ts) FROM t") == [
            (datetime.datetime(2027, 10, 31, 2, 30), 1824942600),
            (datetime.datetime(2027, 10, 31, 2, 30), 1824946200),
        ]

    def test_generated_keys_and_counts(self, db: Client) -> None:
        db("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE)")
        assert db("INSERT INTO t (v) VALUES (1), (2)").last_insert_id == 2
        assert db("INSERT INTO t VALUES (10, 3)").last_insert_id == 0
        assert db("INSERT INTO t (v) VALUES (4)").last_insert_id == 11
        assert db("UPDATE t SET v = v WHERE id < 3").affected == 2
        assert db("REPLACE INTO t VALUES (1, 9)").affected == 1
        assert db("INSERT IGNORE INTO t (v) VALUES (9), (12)").affected == 1
        assert db("DELETE FROM t WHERE v > 8").affected == 2

    def test_update_of_keys_that_pass_over_each_other(self, db: Client) -> None:
        db("CREATE TABLE t (id INT PRIMARY KEY)")
        db("INSERT INTO t VALUES (1), (2), (3)")
        db("UPDATE t SET id = id + 1")
        assert db.rows("SELECT id FROM t ORDER BY id") == [(2,), (3,), (4,)]

    def test_on_duplicate_key_update(self, db: Client) -> None:
        db("CREATE TABLE t (id INT PRIMARY KEY, v INT, w VARCHAR(9))")
        db("INSERT INTO t VALUES (1, 1, 'a')")
        db("INSERT INTO t VALUES (1, 5, 'b') ON DUPLICATE KEY UPDATE v = v + VALUES(v), w = 'new'")
        assert db.rows("SELECT * FROM t") == [(1, 6, "new")]

    @pytest.mark.parametrize("row", ["(1, 7)", "(1, 3 + 4)"])
    def test_rows_have_no_alias(self, db: Client, row: str) -> None:
        db("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        code, text = db.error(f"INSERT INTO t VALUES {row} AS n ON DUPLICATE KEY UPDATE v = n.v")
        assert code == 1064
        assert ' near " AS n ON DUPLICATE' in text


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        ("INSERT INTO t (id, a) VALUES (1, 2)", 1062, "Duplicate entry '1' for key 'id'"),
        ("INSERT INTO t (a, b) VALUES (2, 'u')", 1062, "Duplicate entry 'u' for key 'b'"),
        (
            "INSERT INTO t (a) VALUES (NULL)",
            3819,
            "constraint violation: Column 'a' cannot be null",
        ),
        (
            "INSERT INTO t (b) VALUES ('x')",
            20301,
            "invalid input: invalid default value for column 'a'",
        ),
        (
            "INSERT INTO t (a, b) VALUES (1, 'toolong')",
            20101,
            "internal error: Can't cast 'toolong' to VARCHAR type. Src length 7 is larger than "
            "Dest length 5",
        ),
        (
            "INSERT INTO t (a) VALUES (3000000000)",
            1690,
            "data out of range: data type int32, value '3000000000'",
        ),
        ("INSERT INTO t (a) VALUES ('z')", 20203, "invalid argument cast to int, bad value z"),
        ("INSERT INTO t VALUES (1)", 1136, "Column count doesn't match value count at row 1"),
        ("INSERT INTO t (zz) VALUES (1)", 1054, "Unknown column 'zz' in 't'"),
        ("INSERT INTO zz VALUES (1)", 1146, "no such table d.zz"),
        ("SELECT zz FROM t", 20301, "invalid input: column zz does not exist"),
        ("SELECT t.zz FROM t", 20301, "invalid input: column 't.zz' does not exist"),
        ("SELECT x.a FROM t", 20301, "invalid input: missing FROM-clause entry for table 'x'"),
        ("SELECT * FROM zz", 1064, 'SQL parser error: table "zz" does not exist'),
        ("SELECT * FROM zz.t", 1049, "Unknown database zz"),
        ("SELECT 1 / 0", 1365, "division by zero"),
        ("SELECT nosuch(1)", 20105, "not supported: function or operator 'nosuch'"),
        ("CREATE TABLE t (a INT)", 1050, "table t already exists"),
        ("DROP TABLE zz", 1146, "no such table d.zz"),
        ("CREATE DATABASE d", 1007, "database d already exists"),
        ("DROP DATABASE zz", 1008, "Can't drop database 'zz'; database doesn't exist"),
        ("DROP VIEW zz", 1356, "invalid view 'd.zz'"),
        ("ALTER TABLE t DROP COLUMN zz", 1091, "Can't DROP 'zz'; check that column/key exists"),
    ],
)
def test_errors(db: Client, statement: str, code: int, text: str) -> None:
    db("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL, b VARCHAR(5) UNIQUE)")
    db("INSERT INTO t VALUES (1, 1, 'u')")
    assert db.error(statement) == (code, text)


def test_a_syntax_error_shows_the_rest_of_the_statement(db: Client) -> None:
    code, text = db.error("CREATE TABLE x (a nosuchtype)")
    assert code == 1064
    assert text.endswith('syntax error at line 1 column 28 near " nosuchtype)";')


def test_what_is_not_known_is_an_error_that_names_it(db: Client) -> None:
    code, text = db.error("LOAD DATA INFILE '/etc/passwd' INTO TABLE t")
    assert code == 1235
    assert "LOAD DATA INFILE" in text


@pytest.mark.parametrize(
    ("expression", "label"),
    [
        ("COUNT( * )+1", "COUNT(*) + 1"),
        ("(1+2)*3", "(1 + 2) * 3"),
        ("'a'", "a"),
        ("Upper('x')", "Upper(x)"),
        ("1 IN (1,2)", "1 in (1, 2)"),
        ("NULL IS NOT NULL", "null is not null"),
        ("CASE WHEN 1 THEN 'x' END", "case when 1 then x end"),
        ("CAST('1' AS SIGNED)", "cast(1 as signed)"),
        ("@@autocommit", "@@autocommit"),
    ],
)
def test_labels(db: Client, expression: str, label: str) -> None:
    assert [column.name for column in db(f"SELECT {expression}").columns] == [label]


def test_exact_decimals(db: Client) -> None:
    assert db.rows("SELECT 0.1 + 0.2, 1.5 / 3, 2.5 * 2, SUM(0.1), AVG(1.25)") == [
        (
            Decimal("0.3"),
            Decimal("0.5000000"),
            Decimal("5.0"),
            Decimal("0.1"),
            Decimal("1.25000000"),
        )
    ]
    db("CREATE TABLE t (d DECIMAL(10, 2))")
    db("INSERT INTO t VALUES (9.5), (10), (-1.25)")
    assert db.rows("SELECT d FROM t WHERE d > 9 ORDER BY d") == [
        (Decimal("9.50"),),
        (Decimal("10.00"),),
    ]
    assert db.rows("SELECT MIN(d), MAX(d) FROM t") == [(Decimal("-1.25"), Decimal("10.00"))]


class TestTransactions:
    def test_rollback_undoes_everything(self, storage: Storage, db: Client) -> None:
        db("CREATE TABLE t (id INT)")
        db.session.begin()
        db("CREATE DATABASE other")
        db("CREATE TABLE fresh (id INT)")
        db("ALTER TABLE t ADD COLUMN v INT")
        db("INSERT INTO t VALUES (1, 2)")
        before = rel_id(db, "t")
        db.session.rollback()
        assert rel_id(db, "t") != before
        assert db.rows("SHOW TABLES") == [("t",)]
        assert db.rows("SELECT * FROM t") == []
        assert db.session.find_database("other") is None

    def test_others_see_what_is_committed_only(self, storage: Storage, db: Client) -> None:
        other = Client(storage, "d")
        db("CREATE TABLE t (id INT)")
        db.session.begin()
        db("INSERT INTO t VALUES (1)")
        other.session.begin()
        assert other.rows("SELECT * FROM t") == []
        db.session.commit()
        assert other.rows("SELECT * FROM t") == [(1,)]
        other.session.close()

    def test_the_second_writer_waits_and_then_gets_the_lock_error(
        self, storage: Storage, db: Client
    ) -> None:
        other = Client(storage, "d")
        db("CREATE TABLE t (id INT)")
        db.session.begin()
        db("INSERT INTO t VALUES (1)")
        assert other.error("INSERT INTO t VALUES (2)") == (
            1205,
            "Lock wait timeout exceeded; try restarting transaction",
        )
        other.context.deadline_seconds = 10
        threading.Timer(0.05, db.session.commit).start()
        other("INSERT INTO t VALUES (2)")
        assert other.value("SELECT COUNT(*) FROM t") == 2
        other.session.close()

    def test_a_failed_statement_leaves_the_rest_of_the_transaction(self, db: Client) -> None:
        db("CREATE TABLE t (id INT PRIMARY KEY)")
        db.session.begin()
        db("INSERT INTO t VALUES (1)")
        db.error("INSERT INTO t VALUES (2), (1)")
        db("INSERT INTO t VALUES (3)")
        db.session.commit()
        assert db.rows("SELECT id FROM t ORDER BY id") == [(1,), (3,)]

    def test_the_last_statement_alone_can_be_undone(self, db: Client) -> None:
        db("CREATE TABLE t (id INT)")
        db.session.begin()
        db("INSERT INTO t VALUES (1)")
        db("INSERT INTO t VALUES (2)")
        db.session.undo_last_statement()
        db.session.commit()
        assert db.rows("SELECT id FROM t") == [(1,)]

    def test_events_come_with_the_commit(self, storage: Storage, db: Client) -> None:
        seen: list[Event] = []
        storage.on_commit.append(seen.extend)
        db.session.begin()
        db("CREATE TABLE t (id INT)")
        db("ALTER TABLE t ADD COLUMN v INT")
        assert seen == []
        db.session.commit()
        assert [event.kind for event in seen] == ["create_table", "rebuild_table"]
        assert seen[1].old_id == seen[0].new_id
        db("TRUNCATE TABLE t")
        db("DELETE FROM t")
        db("DROP DATABASE d")
        assert [event.kind for event in seen[2:]] == [
            "truncate_table",
            "truncate_table",
            "drop_table",
            "drop_database",
        ]


def test_joins_of_computed_tables_use_an_index(db: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[str] = []
    run = db.session.run

    def explained(sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        plans.extend(str(row[3]) for row in run(f"EXPLAIN QUERY PLAN {sql}", parameters))
        return run(sql, parameters)

    monkeypatch.setattr(db.session, "run", explained)
    db.rows(
        "SELECT t.relname, i.name FROM mo_catalog.mo_tables t "
        "JOIN mo_catalog.mo_indexes i ON i.table_id = t.rel_id WHERE i.type <> 'PRIMARY'"
    )
    assert any("USING AUTOMATIC" in plan for plan in plans)
