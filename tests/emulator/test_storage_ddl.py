"""Migrations, foreign keys, views, reflection and time travel of the emulator's storage."""

from __future__ import annotations

import datetime

import pytest

from matrixone_emulator.clock import Clock
from matrixone_emulator.pitr.restore.objects import restore_database, restore_table
from matrixone_emulator.statements.storage import Storage
from matrixone_emulator.versions.rules import RULES

from .test_storage import Client, db, rel_id, storage

__all__ = ["db", "storage"]

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10), n INT, KEY kn (n))"


@pytest.mark.parametrize(
    ("action", "rebuilds"),
    [
        ("ADD COLUMN x INT", True),
        ("DROP COLUMN n", True),
        ("CHANGE n m INT", True),
        ("MODIFY v VARCHAR(5)", True),
        ("MODIFY v VARCHAR(10) NOT NULL", True),
        ("MODIFY v VARCHAR(10) COMMENT 'c'", False),
        ("CHANGE v v VARCHAR(10) COMMENT 'c'", True),
        ("ALTER n SET DEFAULT 3", True),
        ("ALTER n DROP DEFAULT", True),
        ("DROP PRIMARY KEY", True),
        ("MODIFY v VARCHAR(20)", False),
        ("RENAME COLUMN n TO m", False),
        ("ADD INDEX kv (v)", False),
        ("ADD UNIQUE INDEX kv (v)", False),
        ("ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES p (id)", False),
        ("COMMENT = 'c'", False),
    ],
)
def test_which_alters_give_a_new_id(db: Client, action: str, rebuilds: bool) -> None:
    """docs/server.md, What rebuilds a table."""
    db("CREATE TABLE p (id INT PRIMARY KEY)")
    db(TABLE)
    db("INSERT INTO p VALUES (1)")
    db("INSERT INTO t VALUES (1, 'a', 1)")
    before = rel_id(db, "t")
    db(f"ALTER TABLE t {action}")
    assert (rel_id(db, "t") != before) is rebuilds
    assert db.value("SELECT v FROM t") == "a"


def test_show_create_table(db: Client) -> None:
    db("CREATE TABLE p (id INT PRIMARY KEY)")
    db(
        "CREATE TABLE c (id INT PRIMARY KEY AUTO_INCREMENT, "
        "a VARCHAR(5) DEFAULT 'x' COMMENT 'it''s', "
        "b DECIMAL(8, 2) NOT NULL, t TIMESTAMP NULL, at DATETIME DEFAULT now(), p_id INT, "
        "CONSTRAINT lost UNIQUE (a), KEY kb (b, a), "
        "CONSTRAINT fk FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE CASCADE) COMMENT='tab'"
    )
    assert db.rows("SHOW CREATE TABLE c") == [
        (
            "c",
            "CREATE TABLE `c` (\n"
            "  `id` int NOT NULL AUTO_INCREMENT,\n"
            "  `a` varchar(5) DEFAULT 'x' COMMENT 'it''s',\n"
            "  `b` decimal(8,2) NOT NULL,\n"
            "  `t` timestamp NULL DEFAULT NULL,\n"
            "  `at` datetime DEFAULT now(),\n"
            "  `p_id` int DEFAULT NULL,\n"
            "  PRIMARY KEY (`id`),\n"
            "  UNIQUE KEY `a` (`a`),\n"
            "  KEY `kb` (`b`,`a`),\n"
            "  CONSTRAINT `fk` FOREIGN KEY (`p_id`) REFERENCES `p` (`id`) "
            "ON DELETE CASCADE ON UPDATE RESTRICT\n"
            ") COMMENT='tab'",
        )
    ]


def test_foreign_keys_hold_through_a_rebuild_of_either_side(db: Client) -> None:
    db("CREATE TABLE p (id INT PRIMARY KEY)")
    db("CREATE TABLE c (id INT PRIMARY KEY, p_id INT, FOREIGN KEY (p_id) REFERENCES p (id))")
    name = db.value("SELECT constraint_name FROM mo_catalog.mo_foreign_keys")
    db("INSERT INTO p VALUES (1)")
    db("INSERT INTO c VALUES (1, 1)")
    child = (
        20101,
        "internal error: Cannot add or update a child row: a foreign key constraint fails",
    )
    parent = (
        20101,
        "internal error: Cannot delete or update a parent row: a foreign key constraint fails",
    )
    for alter in ("ALTER TABLE p ADD COLUMN x INT", "ALTER TABLE c ADD COLUMN x INT", "SELECT 1"):
        assert db.error("INSERT INTO c (id, p_id) VALUES (2, 9)") == child
        assert db.error("UPDATE c SET p_id = 9") == child
        assert db.error("DELETE FROM p") == parent
        assert db.error("UPDATE p SET id = 5") == parent
        db(alter)
    text = "internal error: can not drop table 'p' referenced by some foreign key constraint"
    assert db.error("DROP TABLE p") == (20101, text)
    db("RENAME TABLE p TO q")
    assert db.error("INSERT INTO c (id, p_id) VALUES (2, 9)") == child
    db(f"ALTER TABLE c DROP FOREIGN KEY `{name}`")
    db("DROP TABLE q")


def test_cascades(db: Client) -> None:
    db("CREATE TABLE p (id INT PRIMARY KEY)")
    db(
        "CREATE TABLE c (p_id INT, FOREIGN KEY (p_id) REFERENCES p (id) "
        "ON DELETE CASCADE ON UPDATE SET NULL)"
    )
    db("INSERT INTO p VALUES (1), (2)")
    db("INSERT INTO c VALUES (1), (2)")
    assert db("DELETE FROM p WHERE id = 1").affected == 2
    db("UPDATE p SET id = 3 WHERE id = 2")
    assert db.rows("SELECT * FROM c") == [(None,)]


def test_rows_are_converted_or_refused_by_a_rebuild(db: Client) -> None:
    db(TABLE)
    db("INSERT INTO t VALUES (1, '12', 5), (2, 'x', NULL)")
    db("ALTER TABLE t CHANGE n n VARCHAR(3)")
    assert db.rows("SELECT n FROM t ORDER BY id") == [("5",), (None,)]
    assert db.error("ALTER TABLE t MODIFY v INT")[0] == 20203
    assert db.error("ALTER TABLE t MODIFY n VARCHAR(3) NOT NULL")[0] == 3819
    db("ALTER TABLE t ADD COLUMN z INT NOT NULL DEFAULT 7 AFTER id")
    assert db.rows("SELECT * FROM t") == [(1, 7, "12", "5"), (2, 7, "x", None)]


def test_views(db: Client) -> None:
    db(TABLE)
    db("CREATE VIEW w AS SELECT id AS i, n + 1 FROM t")
    db("INSERT INTO t VALUES (1, 'a', 4)")
    found = db("SELECT * FROM w")
    assert [column.name for column in found.columns] == ["i", "n + 1"]
    assert found.rows == [(1, 5)]
    assert db.rows("SHOW FULL TABLES") == [("t", "BASE TABLE"), ("w", "VIEW")]
    assert db.error("INSERT INTO w VALUES (1, 2)")[0] == 20301


class TestTimeTravel:
    @pytest.fixture
    def moment(self, storage: Storage, db: Client) -> int:
        db("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        db("INSERT INTO t VALUES (1, 10), (2, 20)")
        return storage.clock.now()

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE t SET v = 0",
            "DELETE FROM t WHERE id = 1",
            "DELETE FROM t",
            "TRUNCATE TABLE t",
            "ALTER TABLE t DROP COLUMN v",
            "DROP TABLE t",
            "DROP DATABASE d",
        ],
    )
    def test_the_past_can_be_read_cloned_and_restored(
        self, storage: Storage, db: Client, moment: int, change: str
    ) -> None:
        db(change)
        past = [(1, 10), (2, 20)]
        text = storage.clock.local_text(moment)
        for brace in (f"MO_TS = {moment}", f"AS OF TIMESTAMP '{text}'", f"TIMESTAMP = '{text}'"):
            if "TIMESTAMP" in brace:
                storage.clock.advance(datetime.timedelta(seconds=1))
            assert db.rows(f"SELECT * FROM d.t {{{brace}}} AS x ORDER BY x.id") == past
        db("CREATE DATABASE copy")
        db(f"CREATE TABLE copy.t CLONE d.t {{MO_TS = {moment}}}")
        db(f"CREATE DATABASE whole CLONE d {{MO_TS = {moment}}}")
        assert db.rows("SELECT * FROM copy.t ORDER BY id") == past
        assert db.rows("SELECT * FROM whole.t ORDER BY id") == past
        restore_table(db.session, "d", "t", moment)
        assert db.rows("SELECT * FROM d.t ORDER BY id") == past
        db("INSERT INTO d.t VALUES (3, 30)")
        restore_database(db.session, "d", moment)
        assert db.rows("SELECT * FROM d.t ORDER BY id") == past

    def test_each_table_of_a_join_has_its_own_moment(self, db: Client, moment: int) -> None:
        db("UPDATE t SET v = v + 1")
        rows = db.rows(
            f"SELECT a.v, b.v FROM t {{MO_TS = {moment}}} AS a JOIN t AS b ON a.id = b.id "
            "ORDER BY 1"
        )
        assert rows == [(10, 11), (20, 21)]

    def test_before_the_table_there_is_none(self, db: Client, moment: int) -> None:
        assert db.error("SELECT * FROM t {MO_TS = 1}") == (1046, "No database selected")
        assert db.error("SELECT * FROM d.t {MO_TS = 1}") == (1049, "Unknown database d")
        assert (
            db.value(
                f"SELECT COUNT(*) FROM mo_catalog.mo_tables {{MO_TS = {moment}}} "
                "WHERE relname = 't'"
            )
            == 1
        )

    def test_restore_drops_later_tables_and_gives_new_ids(
        self, storage: Storage, db: Client, moment: int
    ) -> None:
        before = rel_id(db, "t")
        db("CREATE TABLE later (id INT)")
        kinds: list[str] = []
        storage.on_commit.append(lambda events: kinds.extend(event.kind for event in events))
        restore_database(db.session, "d", moment)
        assert db.rows("SHOW TABLES FROM d") == [("t",)]
        assert rel_id(db, "t") != before
        assert kinds == ["drop_table", "drop_table", "restore_database"]


def test_accounts_have_their_own_databases(storage: Storage, db: Client) -> None:
    storage.create_account("acc", 5)
    tenant = Client(storage)
    tenant.context.account, tenant.context.account_id = "acc", 5
    assert tenant.error("SELECT * FROM d.t")[0] == 1049
    tenant("CREATE DATABASE d")
    assert tenant.rows("SHOW TABLES FROM d") == []
    storage.drop_account(5)
    assert tenant.session.databases() == []
    tenant.session.close()


def test_a_clone_stays_after_a_rollback(storage: Storage, db: Client) -> None:
    db("CREATE TABLE t (id INT)")
    db("INSERT INTO t VALUES (1)")
    db.session.begin()
    db("CREATE TABLE c1 CLONE t")
    db("INSERT INTO t VALUES (2)")
    db("CREATE TABLE c2 CLONE t")
    db.session.rollback()
    assert db.rows("SHOW TABLES") == [("c1",), ("c2",), ("t",)]
    assert db.rows("SELECT * FROM c2") == [(1,)]


def test_restore_leaves_a_referenced_table_alone(storage: Storage, db: Client) -> None:
    db("CREATE TABLE p (id INT PRIMARY KEY)")
    db("CREATE TABLE c (p_id INT, FOREIGN KEY (p_id) REFERENCES p (id))")
    moment = storage.clock.now()
    db("INSERT INTO p VALUES (1)")
    before = rel_id(db, "p")
    restore_table(db.session, "d", "p", moment)
    assert rel_id(db, "p") == before
    assert db.rows("SELECT * FROM p") == [(1,)]


def test_history_can_be_bounded() -> None:
    clock = Clock()
    bounded = Storage(clock, rules=RULES["4.2.0"], keep_history=datetime.timedelta(minutes=1))
    client = Client(bounded)
    client("CREATE DATABASE d")
    client.context.database = "d"
    client("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    client("CREATE TABLE gone (id INT)")
    client("INSERT INTO t VALUES (1, 0)")
    client("DROP TABLE gone")
    clock.advance(datetime.timedelta(hours=1))
    for number in range(130):
        client(f"UPDATE t SET v = {number}")
    tables = {row[0] for row in client.session.run("SELECT name FROM sqlite_master")}
    assert sum(name.startswith("h_") for name in tables) == 1
    assert client.value("SELECT v FROM t") == 129
    bounded.close()


def size_of_schema(storage: Storage) -> int:
    """Count the objects that each connection to sqlite reads when it begins."""
    connection = storage.store.connect()
    try:
        return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    finally:
        storage.store.disconnect(connection)


def test_dead_tables_are_not_in_the_schema_and_can_be_read(storage: Storage, db: Client) -> None:
    before = size_of_schema(storage)
    moments = []
    for number in range(20):
        db("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        db(f"INSERT INTO t VALUES (1, {number}), (2, NULL)")
        db("ALTER TABLE t ADD COLUMN n VARCHAR(9) DEFAULT 'x'")
        moments.append(storage.clock.now())
        db("DELETE FROM t WHERE id = 2")
        db("DROP TABLE t")
    assert size_of_schema(storage) == before
    for number in (0, 7, 19, 7):
        read = f"SELECT id, v, n FROM t {{MO_TS = {moments[number]}}} ORDER BY id"
        assert db.rows(read) == [(1, number, "x"), (2, None, "x")]
    assert size_of_schema(storage) == before


def test_a_table_that_is_not_dropped_after_all(storage: Storage, db: Client) -> None:
    db("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    db("INSERT INTO t VALUES (1, 1)")
    moment = storage.clock.now()
    db("UPDATE t SET v = 2")
    past = f"SELECT v FROM t {{MO_TS = {moment}}}"
    db.session.begin()
    db("DROP TABLE t")
    assert db.rows(past) == [(1,)]
    db.session.rollback()
    assert db.rows(past) == [(1,)]
    db("UPDATE t SET v = 3")
    assert db.rows("SELECT v FROM t") == [(3,)]
    assert db.rows(past) == [(1,)]
