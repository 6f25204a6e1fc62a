"""restore(): as it was, verified, and back again."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlalchemy_matrixone_pitr import (
    DropPitr,
    Moment,
    Pitr,
    PitrManager,
    PitrNotFoundError,
    PitrRestoreError,
    PitrStatus,
    PitrTransactionError,
    PitrValidationError,
    RestoreReport,
    forget_copies,
    forget_copies_async,
    get_pitrs,
    preview_restore,
    preview_restore_async,
    restore,
    restore_async,
    restore_copy,
    restore_records,
    undo_restore,
    undo_restore_async,
)
from sqlalchemy_matrixone_pitr.names import OWN_DATABASE, back_quoted
from sqlalchemy_matrixone_pitr.restore.report import RestoreProgress
from tests.conftest import Server
from tests.integration.restoring import (
    CIRCLE,
    State,
    change_shop,
    keys_of,
    make_shop,
    moment_of_shop,
    state_of,
)
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect
from tests.server.conftest import write_objects


@pytest.fixture(autouse=True)
def copies_forgotten(server: Server) -> Iterator[None]:
    """Drop afterwards what the test sets aside."""
    engine = create_engine(server.url())
    before = {record.id for record in restore_records(engine)}
    yield
    forget_copies(engine, ids=[r.id for r in restore_records(engine) if r.id not in before])
    engine.dispose()


@pytest.fixture
def shop(matrixone_engine: Engine, prefix: str) -> Engine:
    make_shop(matrixone_engine)
    protect(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    return matrixone_engine


@pytest.fixture
def other(server: Server, database: str) -> Iterator[str]:
    name = f"{database}_b"
    server.query(f"CREATE DATABASE {name}")
    yield name
    server.query(f"DROP DATABASE IF EXISTS {name}")


def undone(report: RestoreReport, **options: bool) -> RestoreReport:
    again = report.undo(**options)
    assert again.ok, str(again)
    return again


@pytest.mark.parametrize(
    ("tables", "ways"),
    [
        (["free"], ["restore"]),
        (["own"], ["rows"]),
        (["child", "parent"], ["clone", "clone"]),
        (["free", "own"], ["clone", "rows"]),
    ],
)
def test_tables(shop: Engine, database: str, tables: list[str], ways: list[str]) -> None:
    at, then = moment_of_shop(shop)
    change_shop(shop)
    before = state_of(shop)
    names = [f"{database}.{table}" for table in tables]
    report = restore(shop, names, at)
    assert report.ok, str(report)
    after = state_of(shop)
    assert {name: after[name] for name in names} == {name: then[name] for name in names}
    assert {n: after[n] for n in after if n not in names} == {
        n: before[n] for n in before if n not in names
    }
    assert [table.way for table in report.tables] == ways
    again = undone(report)
    assert state_of(shop) == before
    assert undone(again).ok
    assert state_of(shop) == after
    assert keys_of(after) >= {(f"{database}.own", "s"), (f"{database}.child", "f")}


@pytest.mark.parametrize("by_restore", [None, False])
def test_each_row_is_compared(shop: Engine, database: str, by_restore: bool | None) -> None:
    """Somebody writes before the restored table is looked at: no number of rows changes."""
    at, _ = moment_of_shop(shop)
    change_shop(shop)
    name = f"{database}.free"

    def write(progress: RestoreProgress) -> None:
        if progress.step.kind == "verify" and progress.outcome is None:
            say(shop, "UPDATE free SET v = 'other' ORDER BY id LIMIT 1")

    assert restore(shop, name, at, by_restore=by_restore, compare_rows=True).ok
    assert restore(shop, name, at, by_restore=by_restore, on_progress=write).ok
    report = restore(shop, name, at, by_restore=by_restore, compare_rows=True, on_progress=write)
    assert report.left == [
        f"{name} is not as it was: 0 inserted, 1 updated, 0 deleted since; see diff_rows() and "
        "undo_changes()"
    ]
    assert not report.ok


@pytest.mark.one_version
@pytest.mark.parametrize(
    ("target", "others", "said"),
    [
        (".free", "DELETE FROM free WHERE id = 1", ".free has 1 rows, and had 2"),
        (".free", "DROP TABLE free", "not there: {}.free"),
        ("", "CREATE TABLE later (id INT)", "still there: {}.later"),
    ],
)
def test_what_others_do_before_it_is_verified(
    shop: Engine, database: str, target: str, others: str, said: str
) -> None:
    """The restore is done, and is not said to be whole; the way back is there."""
    at = take_moment(shop)
    change_shop(shop)
    before = state_of(shop)

    def meddle(progress: RestoreProgress) -> None:
        if progress.step.kind == "verify" and progress.outcome is None:
            say(shop, others)

    with pytest.raises(PitrRestoreError, match="is not finished") as caught:
        restore(shop, f"{database}{target}", at, on_progress=meddle)
    report: RestoreReport = caught.value.report  # type: ignore[attr-defined]
    assert said.format(database) in str(caught.value)
    assert [step.outcome.value for step in report.steps if step.step.kind == "verify"] == ["failed"]
    undone(report, force=True)
    assert state_of(shop) == before


def test_rows_whose_deletion_is_in_an_object(shop: Engine, database: str, server: Server) -> None:
    """A real server misreads the second clone of such a table in one transaction, and its count."""

    def flush() -> None:
        if server.live:
            write_objects(server, database, merge=False)

    rows = ", ".join(f"({number}, 'x')" for number in range(3, 600))
    say(shop, f"INSERT INTO free VALUES {rows}")
    flush()
    at, then = moment_of_shop(shop)
    say(shop, "DELETE FROM free WHERE id > 0")
    flush()
    before = state_of(shop)
    report = restore(shop, f"{database}.free", at, by_restore=False)
    assert report.ok, str(report)
    assert [table.way for table in report.tables] == ["clone"]
    assert state_of(shop) == then
    undone(report)
    assert state_of(shop) == before


def test_a_database(shop: Engine, database: str, server: Server) -> None:
    at, then = moment_of_shop(shop)
    change_shop(shop)
    before = state_of(shop)
    report = restore(shop, database, at)
    assert report.ok, str(report)
    assert state_of(shop) == then
    by_restore = server.version >= (4, 2)  # before it does nothing: "own" refers to itself
    assert {table.way for table in report.tables} == (
        {"restore"} if by_restore else {"clone", "rows"}
    )
    assert len(report.renewed) == by_restore
    undone(report)
    assert state_of(shop) == before
    status = get_pitrs(shop, database_name=database, with_status=True)
    assert [str(pitr.status) for pitr in status].count("active") == 1


def test_parent_of_a_child_elsewhere(shop: Engine, database: str, other: str) -> None:
    at = take_moment(shop)
    say(
        shop,
        "INSERT INTO parent VALUES (3, 'c')",
        f"CREATE TABLE {other}.c (id INT PRIMARY KEY, p INT, "
        f"CONSTRAINT o FOREIGN KEY (p) REFERENCES {database}.parent (id) ON DELETE SET NULL)",
        f"INSERT INTO {other}.c VALUES (1, 2)",
        f"ALTER TABLE {other}.c ADD COLUMN note INT",  # 3.x then lists the key no more
        f"CREATE TABLE {other}.copy CLONE child",
    )
    before = state_of(shop, database, other)
    report = restore(shop, f"{database}.parent", at)
    assert report.ok, str(report)
    assert rows_of(shop, "parent") == [(1, "a"), (2, "b")]
    after = state_of(shop, database, other)
    assert keys_of(after) == keys_of(before)
    with pytest.raises(DBAPIError):
        say(shop, f"INSERT INTO {other}.c VALUES (2, 3, 0)")
    undone(report)
    assert state_of(shop, database, other) == before
    say(shop, f"INSERT INTO {other}.c VALUES (2, 3, 0)")
    with pytest.raises(PitrRestoreError, match=f"1 row of {other}.c refer to rows of") as caught:
        restore(shop, f"{database}.parent", at)
    assert "nothing was sent" in str(caught.value)
    say(shop, f"DELETE FROM {other}.c WHERE id = 2")
    assert restore(shop, database, at).ok
    assert state_of(shop, other) == {
        name: found for name, found in before.items() if name.startswith(f"{other}.")
    }


def test_a_missing_parent(shop: Engine, database: str) -> None:
    at, then = moment_of_shop(shop)
    say(shop, "DROP VIEW named", "DROP TABLE child", "DROP TABLE parent")
    before = state_of(shop)
    with pytest.raises(PitrRestoreError, match=r"foreign key f of .*child refers to .*parent"):
        restore(shop, f"{database}.child", at)
    report = restore(shop, [f"{database}.child", f"{database}.parent"], at)
    assert report.ok, str(report)
    assert state_of(shop).items() <= then.items()
    undone(report)
    assert state_of(shop) == before


def test_rows_whose_parents_are_gone(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM parent WHERE id = 2")
    with pytest.raises(PitrRestoreError, match=r"1 row of .*child then refer to rows of .*parent"):
        restore(shop, f"{database}.child", at)
    assert restore(shop, [f"{database}.child", f"{database}.parent"], at).ok
    assert rows_of(shop, "child") == [(1, 1), (2, 2)]


def test_a_circle(matrixone_engine: Engine, database: str, prefix: str) -> None:
    engine = matrixone_engine
    say(engine, *CIRCLE)
    protect(engine, Pitr.database(f"{prefix}_d", "1d"))
    at, then = moment_of_shop(engine)
    say(engine, "INSERT INTO egg VALUES (2, 1)", "UPDATE hen SET egg = 2 WHERE id = 1")
    before = state_of(engine)
    for target in ([f"{database}.egg", f"{database}.hen"], database):
        report = restore(engine, target, at)
        assert report.ok, str(report)
        assert state_of(engine) == then
        undone(report)
        assert state_of(engine) == before


def test_what_was_dropped(shop: Engine, database: str, server: Server) -> None:
    at, then = moment_of_shop(shop)
    say(shop, "DROP TABLE free")
    report = restore(shop, f"{database}.free", at)
    assert report.ok, str(report)
    assert report.copies == ()
    assert state_of(shop) == then
    undone(report)
    assert "free" not in str(sorted(state_of(shop)))
    server.query(f"DROP DATABASE {database}")
    root = create_engine(server.url())
    try:
        report = restore(root, f"{database}.free", at)
        assert report.ok, str(report)
        assert list(state_of(root, database)) == [f"{database}.free"]
        assert restore(root, database, at).ok
        assert state_of(shop) == then
        assert restore_records(root)[0].copies[0].table == f"{database}.free"
    finally:
        root.dispose()


def test_by_a_tables_policy(matrixone_engine: Engine, database: str, prefix: str) -> None:
    """It keeps no indexes: they are made again, from rows. Nobody else needs to be asked."""
    engine = matrixone_engine
    say(engine, "CREATE TABLE t (id INT PRIMARY KEY, v INT UNIQUE)", "CREATE TABLE u (id INT)")
    say(engine, "INSERT INTO t VALUES (1, 1)", "INSERT INTO u VALUES (1)")
    protect(engine, Pitr.table(f"{prefix}_t", "t", "1d"), Pitr.table(f"{prefix}_u", "u", "1d"))
    at = take_moment(engine)
    say(engine, "UPDATE t SET v = 2 WHERE id = 1", "ALTER TABLE u ADD COLUMN v INT")
    report = restore(engine, f"{database}.t", at)
    assert [table.way for table in report.tables] == ["rows"]
    assert report.renewed == [f"{prefix}_t__g2"]
    assert rows_of(engine, "t") == [(1, 1)]
    with pytest.raises(DBAPIError):
        say(engine, "INSERT INTO t VALUES (2, 1)")
    report = restore(engine, f"{database}.u", at, renew=False)
    assert ([table.way for table in report.tables], report.renewed) == (["restore"], [])
    assert rows_of(engine, "u") == [(1,)]
    say(engine, "ALTER TABLE u ADD COLUMN w INT")
    middle = take_moment(engine)  # nothing is for it: the renewal was not wanted
    say(engine, "INSERT INTO u VALUES (2, 2)")
    with pytest.raises(PitrRestoreError, match="nothing surely keeps the history"):
        restore(engine, f"{database}.u", middle)
    report = restore(engine, f"{database}.u", middle, allow_unprotected=True)
    assert rows_of(engine, "u") == [(1, None)]
    assert report.renewed == [f"{prefix}_u__g2"]


def test_between_rebuilds(shop: Engine, database: str) -> None:
    moments: list[tuple[Moment, State]] = []
    for number in range(3):
        moments.append(moment_of_shop(shop))
        say(
            shop,
            f"ALTER TABLE free ADD COLUMN c{number} INT",
            f"INSERT INTO free (id, v) VALUES ({number + 10}, 'n')",
        )
    moments.append(moment_of_shop(shop))
    for at, then in [moments[1], moments[3], moments[0], moments[2]]:
        assert restore(shop, f"{database}.free", at).ok
        assert state_of(shop) == then


def test_two_policies(shop: Engine, database: str, prefix: str) -> None:
    protect(shop, Pitr.table(f"{prefix}_t", "free", "1d"))
    at, then = moment_of_shop(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    preview = preview_restore(shop, f"{database}.free", at)
    assert preview.policies == (f"{prefix}_d",)  # the other one keeps no index
    report = restore(shop, f"{database}.free", at)
    assert report.renewed == [f"{prefix}_t__g2"]
    assert state_of(shop) == then
    with shop.begin() as connection:
        connection.execute(DropPitr(f"{prefix}_d"))
    report = restore(shop, f"{database}.own", at, allow_unprotected=True)
    assert report.ok


def test_a_tenant(server: Server, prefix: str) -> None:
    account = f"{prefix}_acc"
    server.query(f"CREATE ACCOUNT {account} ADMIN_NAME 'root' IDENTIFIED BY 'pw111'")
    root = f"{account}:root"
    engine = create_engine(server.url(user=root, password="pw111"))
    try:
        say(engine, "CREATE DATABASE shop")
        engine.dispose()
        engine = create_engine(server.url(database="shop", user=root, password="pw111"))
        make_shop(engine)
        protect(engine, Pitr.account("all", "1d"), Pitr.table("free", "free", "1d"))
        at, then = moment_of_shop(engine)
        change_shop(engine)
        before = state_of(engine)
        report = restore(engine, "shop", at)
        assert (report.ok, report.renewed) == (True, ["free__g2"])
        assert state_of(engine) == then
        # made in a later second than the table: this account can know it, now and ever after
        assert {one.name: one.status for one in get_pitrs(engine, with_status=True)} == {
            "all": PitrStatus.ACTIVE,
            "free": PitrStatus.DETACHED,
            "free__g2": PitrStatus.ACTIVE,
        }
        assert [record.id for record in restore_records(engine)] == [1]
        undone(report)
        assert state_of(engine) == before
        assert len(forget_copies(engine)) == 2
        with engine.connect() as connection:
            shown = connection.exec_driver_sql(f"SHOW TABLES FROM {OWN_DATABASE}").all()
        assert [tuple(row) for row in shown] == [("restores",)]
    finally:
        engine.dispose()
        server.query(f"DROP ACCOUNT IF EXISTS {account}")


def test_changed_since(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    report = restore(shop, f"{database}.free", at)
    say(shop, "INSERT INTO free VALUES (7, 'new')")
    with pytest.raises(PitrRestoreError, match=r"something has changed[^\0]*free: 1 inserted"):
        report.undo()
    assert rows_of(shop, "free") == [(1, "x"), (2, "y"), (7, "new")]
    again = undone(report, force=True)
    assert rows_of(shop, "free") == [(2, "y")]
    with pytest.raises(PitrRestoreError, match="is undone already"):
        report.undo()
    undone(again)
    assert rows_of(shop, "free") == [(1, "x"), (2, "y"), (7, "new")]
    say(shop, "DROP TABLE free")
    with pytest.raises(PitrRestoreError, match="free was dropped since"):
        undo_restore(shop, restore_records(shop)[0].id)
    assert again.id is not None
    assert [record.id for record in forget_copies(shop, ids=[again.id])] == [again.id]
    with pytest.raises(PitrNotFoundError, match="copies were forgotten"):
        undo_restore(shop, again.id)


def test_definitions_changed_since(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    for change, what in (
        ("ALTER TABLE free ADD COLUMN more INT", "free was altered"),
        ("ALTER TABLE free ADD UNIQUE KEY more (v)", "free was altered"),
        ("CREATE VIEW more AS SELECT id FROM free", "view [^ ]*more was made"),
        ("DROP VIEW named", "view [^ ]*named was dropped"),
        ("ALTER VIEW named AS SELECT id FROM free", "named was altered"),
    ):
        report = restore(shop, database, at)
        say(shop, change)
        with pytest.raises(PitrRestoreError, match=f"{what} since"):
            report.undo()
        undone(report, force=True)


@pytest.mark.parametrize("options", [{}, {"by_restore": False}, {"safety_copy": False}])
def test_quotes_of_defaults(
    shop: Engine, server: Server, database: str, options: dict[str, Any]
) -> None:
    """4.x doubles them, whatever makes a table again, an undo, too: it is said."""
    columns = "id INT PRIMARY KEY, `a``b` VARCHAR(9) DEFAULT 'it''s', c VARCHAR(9) DEFAULT 'c'"
    say(shop, f"CREATE TABLE q ({columns})")
    report = restore(shop, f"{database}.q", take_moment(shop), **options)
    reports = [report] if "safety_copy" in options else [report, report.undo()]
    for one in reports:
        assert one.ok is (server.version < (4,))
        if not one.ok:
            [left] = one.left
            assert left.startswith(f"the quotes in the default of a`b of {database}.q are doubled")


def test_a_default_that_the_server_cannot_read(
    shop: Engine, server: Server, database: str, prefix: str
) -> None:
    """3.0.9 can neither clone nor restore such a table. It says so outside of a transaction only,
    and after BEGIN it says OK to the CLONE: nothing is changed, and the reason is named."""
    say(
        shop,
        "CREATE TABLE odd (id INT PRIMARY KEY, v VARCHAR(9) DEFAULT (concat('a','b')), KEY kv (v))",
        "INSERT INTO odd (id) VALUES (1), (2)",
    )
    at = take_moment(shop)
    say(shop, "DELETE FROM odd WHERE id = 1")
    name = f"{database}.odd"
    if not (3,) <= server.version < (3, 0, 18):
        assert restore(shop, name, at).ok
        return
    for by_restore in (None, False):
        with pytest.raises(PitrRestoreError, match="was not begun") as caught:
            restore(shop, name, at, by_restore=by_restore)
        assert "was not made: the server said OK to its CLONE" in str(caught.value)
    with pytest.raises(PitrRestoreError, match=r"odd2 was not made: .* made nothing"):
        restore_copy(shop, name, at, "odd2")
    PitrManager(shop).delete(f"{prefix}_d")
    protect(shop, Pitr.table(f"{prefix}_t", "odd", "1d"))
    preview = preview_restore(shop, name, take_moment(shop))
    (problem,) = preview.problems
    assert problem.startswith("the definition of a table as it was cannot be read: (1105")
    assert rows_of(shop, "odd") == [(2, "ab")]


def test_a_number_is_given_once(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    report = restore(shop, f"{database}.free", at)
    assert report.id is not None
    forget_copies(shop, ids=[report.id])
    again = restore(shop, f"{database}.own", at)
    assert again.id is not None
    assert again.id > report.id
    with pytest.raises(PitrNotFoundError, match="copies were forgotten"):
        report.undo()
    for wrong in (7, "7", [True], ["7"]):
        with pytest.raises(PitrValidationError, match="ids are the numbers"):
            forget_copies(shop, ids=wrong)  # type: ignore[arg-type]
    with pytest.raises(PitrValidationError, match="nothing is younger"):
        forget_copies(shop, older_than=dt.timedelta(days=-1))
    assert again.id in [record.id for record in restore_records(shop)]


@pytest.mark.parametrize("name", ["dot.ted", "per%cent", "has space"])
def test_odd_names(shop: Engine, database: str, name: str) -> None:
    """Of such a table, too, it is known what was written since."""
    real = f"`{database}`.`{name}`"
    say(shop, f"CREATE TABLE {real} (id INT PRIMARY KEY)", f"INSERT INTO {real} VALUES (1), (2)")
    at = take_moment(shop)
    say(shop, f"DELETE FROM {real} WHERE id = 1")
    table = Table(name, MetaData(), Column("id", Integer), schema=database)
    report = restore(shop, table, at, compare_rows=True)
    assert report.ok, str(report)
    say(shop, f"INSERT INTO {real} VALUES (9)")
    with pytest.raises(PitrRestoreError, match=f"{name}: 1 inserted"):
        report.undo()
    say(shop, f"DELETE FROM {real} WHERE id = 9")
    undone(report)


@pytest.mark.parametrize("name", ["back\\slash", "two\\\\of"])
def test_a_backslash_in_a_tables_name(shop: Engine, database: str, name: str) -> None:
    """A database is restored by copies: RESTORE would make another name of it. By itself the table
    is refused, since PITR statements read an escape."""
    quoted = back_quoted(name)
    say(
        shop, f"CREATE TABLE {quoted} (id INT PRIMARY KEY)", f"INSERT INTO {quoted} VALUES (1), (2)"
    )
    at = take_moment(shop)
    say(shop, f"DELETE FROM {quoted} WHERE id = 1")
    report = restore(shop, database, at)
    assert {table.name: table.rows for table in report.tables}[f"{database}.{name}"] == 2
    undone(report)
    with shop.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT id FROM {quoted}").all() == [(2,)]


def test_names_that_are_translated(shop: Engine, database: str, other: str) -> None:
    """What a report and a record name is the server's, and is not translated again."""
    say(shop, f"CREATE TABLE {other}.free (id INT PRIMARY KEY, v VARCHAR(9))")
    swapped = {database: other, other: database}
    engine = shop.execution_options(schema_translate_map=swapped)
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    table = Table("free", MetaData(), Column("id", Integer), schema=other)
    report = restore(engine, table, at)
    assert report.target == f"{database}.free"
    say(shop, "INSERT INTO free VALUES (9, 'new')")
    with pytest.raises(PitrRestoreError, match=f"{database}.free: 1 inserted"):
        report.undo()
    undone(report, force=True)
    assert rows_of(shop, "free") == [(2, "y")]


@pytest.mark.parametrize("by_restore", [None, False])
def test_a_partitioned_table(
    matrixone_engine: Engine, database: str, prefix: str, server: Server, by_restore: bool | None
) -> None:
    say(
        matrixone_engine,
        "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH(id) PARTITIONS 2",
        "INSERT INTO p VALUES (1), (2), (3)",
    )
    protect(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    at = take_moment(matrixone_engine)
    say(matrixone_engine, "DELETE FROM p WHERE id = 1")
    preview = preview_restore(matrixone_engine, f"{database}.p", at, by_restore=by_restore)
    assert ("forgets the partitions" in str(preview.costs)) == (server.version < (4, 0, 0))
    report = restore(matrixone_engine, f"{database}.p", at, by_restore=by_restore)
    assert rows_of(matrixone_engine, "p") == [(1,), (2,), (3,)]
    assert [(copy.rows, len(rows_of(matrixone_engine, copy.copy))) for copy in report.copies] == [
        (2, 2)
    ]
    undone(report)
    assert rows_of(matrixone_engine, "p") == [(2,), (3,)]


def test_records_and_copies(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    table = Table("free", MetaData(), Column("id", Integer))
    report = restore(shop, table, at)
    (record,) = [found for found in restore_records(shop) if found.id == report.id]
    assert (record.target, record.at, record.state) == (f"{database}.free", at, "done")
    (copy,) = record.copies
    assert (copy.table, copy.rows) == (f"{database}.free", 1)
    assert rows_of(shop, copy.copy) == [(2, "y")]
    assert json.loads(json.dumps(record.to_dict()))["copies"] == [copy.to_dict()]
    assert json.loads(json.dumps(report.to_dict()))["id"] == record.id
    assert f"{database}.free is {copy.copy}" in str(report)
    assert f"{record.id}: {database}.free to {at}, done" in str(record)
    assert forget_copies(shop, older_than=dt.timedelta(hours=1), ids=[record.id]) == []
    with pytest.raises(PitrNotFoundError, match="there is no restore 999999"):
        forget_copies(shop, ids=[999999])
    with pytest.raises(PitrValidationError, match="older_than is a timedelta"):
        forget_copies(shop, older_than=7)  # type: ignore[arg-type]
    report = restore(shop, table, at, safety_copy=False)
    assert report.id is None
    with pytest.raises(PitrRestoreError, match="made no safety copy"):
        report.undo()


def test_copies_that_were_dropped_by_hand(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    report = restore(shop, [f"{database}.free", f"{database}.own"], at)
    say(shop, f"DROP TABLE {report.copies[0].copy}")
    before = state_of(shop)
    gone = f"safety copies are not there any more: {report.copies[0].copy}. forget_copies"
    for force in (False, True):
        with pytest.raises(PitrNotFoundError, match=gone):
            report.undo(force=force)
    assert state_of(shop) == before
    assert [one.id for one in forget_copies(shop, ids=[report])] == [report.id]
    with pytest.raises(PitrNotFoundError, match="its copies were forgotten"):
        report.undo()


def test_an_undo_asks_once_for_many_tables(shop: Engine, database: str) -> None:
    """What has changed since is read by as many statements, but for one for each table's rows."""
    many = [f"t{number}" for number in range(6)]
    say(shop, *(f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in many))
    at = take_moment(shop)
    counts = []
    for names in (many[:2], many):
        report = restore(shop, [f"{database}.{name}" for name in names], at)
        say(shop, f"INSERT INTO {many[1]} VALUES (1)")
        sent: list[str] = []

        def record(*arguments: Any, sent: list[str] = sent) -> None:
            sent.append(arguments[2])

        event.listen(Engine, "before_cursor_execute", record)
        try:
            with pytest.raises(PitrRestoreError, match=f"{many[1]}: 1 inserted, 0"):
                report.undo()
        finally:
            event.remove(Engine, "before_cursor_execute", record)
        counts.append(len([one for one in sent if "mo_catalog" in one]))
        say(shop, f"DELETE FROM {many[1]} WHERE id = 1")
    assert counts[0] == counts[1]


def test_what_is_refused(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    with pytest.raises(PitrValidationError, match="is given twice"):
        restore(shop, [f"{database}.free", f"{database}.free"], at)
    with pytest.raises(PitrValidationError, match="a database is restored by itself"):
        restore(shop, [database, f"{database}.free"], at)
    with pytest.raises(PitrValidationError, match="nothing to restore"):
        restore(shop, [], at)
    for name in ("mo_catalog", OWN_DATABASE, f"{OWN_DATABASE}.restores"):
        with pytest.raises(PitrValidationError, match=r"it is not restored|belongs to the system"):
            restore(shop, name, at)
    with pytest.raises(PitrValidationError, match="future"):
        restore(shop, database, at + dt.timedelta(hours=1))
    with shop.begin() as connection, pytest.raises(PitrTransactionError, match="takes effect at"):
        restore(connection, database, at)
    with pytest.raises(PitrValidationError, match="id is the number"):
        undo_restore(shop, "1")  # type: ignore[arg-type]
    with pytest.raises(PitrNotFoundError, match="there is no restore 999999"):
        undo_restore(shop, 999999)


def test_steps_are_told(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    told: list[RestoreProgress] = []
    restore(shop, f"{database}.free", at, on_progress=told.append)
    assert [(one.step.kind, one.outcome and str(one.outcome)) for one in told] == [
        (kind, outcome)
        for kind in ("copy", "restore", "verify", "renew")
        for outcome in (None, "done")
    ]
    assert {one.total for one in told} == {4}
    restore(shop, f"{database}.own", at, on_progress=told.append, safety_copy=False, renew=False)
    assert [one.step.kind for one in told[8:]] == ["rebuild", "rebuild", "verify", "verify"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["copy", "restore", "verify", "renew"])
def test_an_interrupt_between_steps(shop: Engine, database: str, kind: str, after: bool) -> None:
    """What ``on_progress`` raises has the report, too, and the restore can be done again."""
    at, then = moment_of_shop(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    before = state_of(shop)

    def interrupt(progress: RestoreProgress) -> None:
        if progress.step.kind == kind and (progress.outcome is not None) is after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        restore(shop, f"{database}.free", at, on_progress=interrupt)
    report: RestoreReport = caught.value.report  # type: ignore[attr-defined]
    outcomes = {step.step.kind: str(step.outcome) for step in report.steps}
    assert outcomes[kind] == ("done" if after else "not_tried")
    assert state_of(shop) == (then if outcomes["restore"] == "done" else before)
    assert str(report) in caught.value.__notes__
    assert restore(shop, f"{database}.free", at).ok
    assert state_of(shop) == then
    if report.id is not None:
        assert undo_restore(shop, report, force=True).ok
        assert state_of(shop) == before


def test_with_asyncio(
    make_async_engine: Callable[..., AsyncEngine], shop: Engine, database: str
) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")

    async def work() -> None:
        engine = make_async_engine()
        preview = await preview_restore_async(engine, f"{database}.free", at)
        report = await restore_async(engine, f"{database}.free", at, preview=preview)
        assert report.ok, str(report)
        assert report.id is not None
        with pytest.raises(PitrRestoreError, match="await undo_restore_async"):
            report.undo()
        again = await undo_restore_async(engine, report)
        assert again.ok, str(again)
        async with engine.connect() as connection:
            redone = await connection.run_sync(lambda _: again.undo())
        assert redone.ok
        assert (await undo_restore_async(engine, redone)).ok
        assert again.id is not None
        forgotten = await forget_copies_async(engine, ids=[report.id, again.id])
        assert len(forgotten) == 2
        await engine.dispose()

    asyncio.run(work())
    assert rows_of(shop, "free") == [(2, "y")]
