"""preview_restore(): what it says, that it says it without writing, and that it is so."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from sqlalchemy_matrixone_pitr import (
    Moment,
    Pitr,
    PitrManager,
    PitrPermissionError,
    PitrRestoreError,
    PitrValidationError,
    RestorePreview,
    forget_copies,
    preview_restore,
    restore,
    restore_records,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.clock import may_advance, server_now, wait
from tests.conftest import Server
from tests.integration.restoring import change_shop, make_shop, moment_of_shop, state_of
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect
from tests.proxy import Proxy

_WRITES = re.compile(
    r"^\s*(CREATE|ALTER|DROP|RESTORE|INSERT|UPDATE|DELETE|TRUNCATE|RENAME|BEGIN|COMMIT)",
    re.IGNORECASE,
)


@pytest.fixture
def shop(matrixone_engine: Engine, prefix: str) -> Iterator[Engine]:
    make_shop(matrixone_engine)
    protect(matrixone_engine, Pitr.database(f"{prefix}_d", "1d"))
    before = {record.id for record in restore_records(matrixone_engine)}
    yield matrixone_engine
    ids = [r.id for r in restore_records(matrixone_engine) if r.id not in before]
    forget_copies(matrixone_engine, ids=ids)


def test_it_never_writes(shop: Engine, proxied_engine: Engine, proxy: Proxy, database: str) -> None:
    at = take_moment(shop)
    change_shop(shop)
    for target in (f"{database}.own", f"{database}.free", database, f"{database}.nothing"):
        preview_restore(proxied_engine, target, at)
    assert len(proxy.statements) > 40
    assert [sent for sent in proxy.statements if _WRITES.match(sent)] == []


def test_as_many_statements_for_many_tables(
    shop: Engine, proxied_engine: Engine, proxy: Proxy, database: str
) -> None:
    """But for the counts of rows."""
    say(shop, *(f"CREATE TABLE many{n} (id INT PRIMARY KEY)" for n in range(30)))
    at = take_moment(shop)
    preview_restore(proxied_engine, f"{database}.free", at)
    few = len(proxy.statements)
    proxy.clear()
    preview_restore(proxied_engine, [f"{database}.many{n}" for n in range(30)], at)
    counts = proxy.matching(r"^SELECT count")
    assert len(counts) == 60
    assert len(proxy.statements) - len(counts) == few - 2


def test_what_is_said_is_what_happens(shop: Engine, database: str, server: Server) -> None:
    at, then = moment_of_shop(shop)
    change_shop(shop)
    before = state_of(shop)
    preview = preview_restore(shop, database, at)
    tables = {table.name.partition(".")[2]: table for table in preview.tables}
    assert {name: table.change for name, table in tables.items()} == {
        "child": "changes",
        "free": "changes",
        "later": "disappears",
        "own": "changes",
        "parent": "changes",
    }
    assert tables["child"].columns == ("note",)
    for name, table in tables.items():
        for rows, state in ((table.rows_now, before), (table.rows_then, then)):
            found = state.get(f"{database}.{name}")
            assert rows == (None if found is None else len(found[2]))
    assert f"made later, and dropped: {database}.later" in preview.costs
    assert any("views that will be as they were" in cost for cost in preview.costs)
    by_restore = server.version >= (4, 2)
    assert preview.by_restore == by_restore
    assert len(preview.detached) == by_restore
    assert bool(preview.obstacles) != by_restore
    report = restore(shop, database, at, preview=preview)
    assert [str(step.step) for step in report.steps] == [str(step) for step in preview.steps]
    assert {table.name: table.rows for table in report.tables} == {
        table.name: table.rows_then for table in preview.tables if table.rows_then is not None
    }
    assert len(report.renewed) == len(preview.detached)
    assert json.loads(json.dumps(preview.to_dict()))["ok"] is True
    assert f"{database}.own changes: rows 1 now, 2 then" in str(preview)


def test_a_stale_one(shop: Engine, database: str, prefix: str) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    name = f"{database}.free"
    preview = preview_restore(shop, name, at)
    say(shop, "INSERT INTO free VALUES (9, 'z')")  # rows do not matter: they are set aside
    assert restore(shop, name, at, preview=preview).ok
    with pytest.raises(PitrRestoreError, match=r"is stale[^\0]*Nothing was sent"):
        restore(shop, name, at, preview=preview)
    preview = preview_restore(shop, name, at)
    PitrManager(shop).create_table_pitr(f"{prefix}_t", database, "free", range_value="2d")
    with pytest.raises(PitrRestoreError, match="is stale"):
        restore(shop, name, at, preview=preview)
    with pytest.raises(PitrValidationError, match="the preview is of"):
        restore(shop, f"{database}.own", at, preview=preview)
    with pytest.raises(PitrValidationError, match="preview is one of preview_restore"):
        restore(shop, name, at, preview="yes")  # type: ignore[arg-type]


def problem(preview: RestorePreview) -> str:
    (found,) = preview.problems
    assert preview.steps == ()
    return found


def test_problems(shop: Engine, database: str, server: Server) -> None:
    at = take_moment(shop)
    say(
        shop,
        "CREATE TABLE more (id INT PRIMARY KEY)",
        "CREATE TABLE other (id INT PRIMARY KEY, v VARCHAR(9))",
        "ALTER TABLE parent ADD COLUMN w INT NOT NULL DEFAULT 0",
        "DROP TABLE free",
        "CREATE VIEW free AS SELECT id FROM parent",
    )
    assert "there was no table" in problem(preview_restore(shop, f"{database}.more", at))
    assert "was a view" in problem(preview_restore(shop, f"{database}.named", at))
    found = problem(preview_restore(shop, f"{database}.free", at))
    assert "is something else by now" in found
    assert "there was no database nowhere" in problem(preview_restore(shop, "nowhere", at))
    early = Moment(at.nanoseconds - 10**9 * 86400 * 3000)
    assert "is gone" in problem(preview_restore(shop, f"{database}.parent", early))
    assert preview_restore(shop, f"{database}.parent", at).ok


def test_a_key_on_what_was_no_key(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    say(
        shop,
        "ALTER TABLE free ADD UNIQUE KEY uv (v)",
        "CREATE TABLE user (id INT PRIMARY KEY, v VARCHAR(9), "
        "CONSTRAINT u FOREIGN KEY (v) REFERENCES free (v))",
    )
    found = problem(preview_restore(shop, f"{database}.free", at))
    assert "foreign key u of" in found
    assert "which was no key then" in found


@pytest.mark.emulator_only
def test_names_that_restore_takes_otherwise(shop: Engine, database: str, server: Server) -> None:
    say(shop, "CREATE TABLE order_1 (id INT)", "CREATE TABLE orderx1 (id INT)")
    at = take_moment(shop)
    preview = preview_restore(shop, f"{database}.order_1", at)
    pattern = server.version < (4,)
    assert any("takes the name for a pattern" in one for one in preview.obstacles) == pattern
    assert restore(shop, f"{database}.order_1", at).ok
    say(shop, "CREATE TABLE `a b` (id INT)", "INSERT INTO `a b` VALUES (1)")
    at = take_moment(shop)
    say(shop, "DELETE FROM `a b` WHERE id = 1")
    preview = preview_restore(shop, f"{database}.a b", at)
    assert any("refuses the name 'a b'" in one for one in preview.obstacles)
    assert restore(shop, f"{database}.a b", at).tables[0].rows == 1


def test_by_copies_where_one_wants_it(shop: Engine, database: str) -> None:
    at = take_moment(shop)
    preview = preview_restore(shop, f"{database}.free", at, by_restore=False)
    assert (preview.by_restore, preview.obstacles) == (False, ("the caller wants copies",))
    assert preview.statements[0] == "BEGIN"
    assert preview.statements[-1] == "COMMIT"
    assert [
        table.way for table in restore(shop, f"{database}.free", at, by_restore=False).tables
    ] == ["clone"]


def test_a_user_who_may_not_know(server: Server, prefix: str) -> None:
    account = f"{prefix}_acc"
    server.query(f"CREATE ACCOUNT {account} ADMIN_NAME 'root' IDENTIFIED BY 'pw111'")
    root = create_engine(server.url(user=f"{account}:root", password="pw111"))
    try:
        say(
            root,
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT)",
            "CREATE ROLE reader",
            "CREATE USER u IDENTIFIED BY 'pw111' DEFAULT ROLE reader",
            "GRANT CONNECT ON ACCOUNT * TO reader",
        )
        user = create_engine(server.url(user=f"{account}:u:reader", password="pw111"))
        with pytest.raises(PitrPermissionError):
            preview_restore(user, "shop.t", take_moment(root))
        user.dispose()
    finally:
        root.dispose()
        server.query(f"DROP ACCOUNT IF EXISTS {account}")


def test_past_the_range(shop: Engine, database: str) -> None:
    at = take_moment(shop) - dt.timedelta(days=2)
    assert not preview_restore(shop, f"{database}.free", at).ok


def test_rows_of_very_many_tables_are_not_counted(
    shop: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("facts", "preview"):
        found = sys.modules[f"sqlalchemy_matrixone_pitr.restore.{module}"]
        monkeypatch.setattr(found, "COUNTED", 3)
    at, _ = moment_of_shop(shop)
    preview = preview_restore(shop, database, at)
    assert preview.ok
    assert "the rows of 4 tables were not counted" in preview.costs
    assert {(table.rows_now, table.rows_then) for table in preview.tables} == {(None, None)}
    few = preview_restore(shop, f"{database}.free", at)
    assert [(table.rows_now, table.rows_then) for table in few.tables] == [(2, 2)]


@pytest.mark.one_version
def test_a_past_that_the_server_cannot_read(shop: Engine, database: str) -> None:
    """As a real one whose files are gone; the other tables are counted all the same."""
    at, _ = moment_of_shop(shop)
    wanted = f"SELECT count(*) FROM `{database}`.`free` {{MO_TS"

    def spoil(*arguments: Any) -> tuple[str, Any]:
        statement, parameters = arguments[2:4]
        return statement.replace("free", "gone") if wanted in statement else statement, parameters

    event.listen(shop, "before_cursor_execute", spoil, retval=True)
    preview = preview_restore(shop, database, at)
    event.remove(shop, "before_cursor_execute", spoil)
    text = f"the past of {database}.free cannot be read: ("
    assert problem(preview).startswith((f"{text}1064", f"{text}1146"))
    rows = {table.name.partition(".")[2]: table.rows_then for table in preview.tables}
    assert rows == {"child": 2, "free": None, "own": 2, "parent": 2}


@pytest.mark.one_version
def test_a_connection_that_is_lost_is_no_answer(
    shop: Engine, proxied_engine: Engine, proxy: Proxy, database: str
) -> None:
    """Where a refusal of the server's would be a problem of the preview, or say nothing."""
    at, _ = moment_of_shop(shop)
    for read in (
        r"^SELECT count\(\*\) FROM .*MO_TS",
        "^SHOW CREATE TABLE .*MO_TS",
        "FROM mo_catalog.mo_database .*MO_TS",
        "FROM mo_catalog.mo_snapshots",
        "FROM mo_catalog.mo_user_defined_function",
        "WHERE 1 = 0$",
    ):
        proxied_engine.dispose()
        proxy.cut(f"(?s){read}", "after")
        with pytest.raises(OperationalError) as caught:
            preview_restore(proxied_engine, database, at, by_restore=False)
        assert caught.value.connection_invalidated, read
    assert preview_restore(proxied_engine, database, at, by_restore=False).ok


def test_before_all_that_the_server_remembers(shop: Engine, database: str) -> None:
    at = take_moment(shop) - dt.timedelta(days=3000)
    for target in (database, f"{database}.free"):
        preview = preview_restore(shop, target, at)
        assert problem(preview).startswith(f"the catalogue of {at} is gone")
        with pytest.raises(PitrRestoreError, match="nothing was sent"):
            restore(shop, target, at)


@pytest.mark.emulator_only
def test_what_restore_cannot_do_is_done_by_copies() -> None:
    """A cluster's policy restores no table; and in the hour that a change of clocks repeats, the
    moment cannot be said to RESTORE."""
    with Emulator("3.0.9", timezone="Europe/Berlin") as server, may_advance(server):
        engine = create_engine(server.url())
        say(engine, "CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)")
        before = dt.datetime(2027, 10, 31, 0, 10, tzinfo=dt.UTC)
        server.advance(before - server_now(engine))
        protect(engine, Pitr.cluster("all", "1d"))

        def lost_and_restored() -> RestorePreview:
            say(engine, "INSERT INTO shop.t VALUES (1)")
            at = take_moment(engine)
            say(engine, "DELETE FROM shop.t WHERE id = 1")
            preview = preview_restore(engine, "shop.t", at)
            assert [table.way.value for table in preview.tables] == ["clone"]
            assert restore(engine, "shop.t", at, preview=preview).ok
            assert rows_of(engine, "shop.t") == [(1,)]
            say(engine, "DELETE FROM shop.t WHERE id = 1")
            return preview

        assert lost_and_restored().obstacles == ("no policy can restore all of shop.t",)
        protect(engine, Pitr.database("shop", "1d", database_name="shop"))
        wait(engine, 3600)
        [obstacle] = lost_and_restored().obstacles
        assert "which there means another instant (a change of clocks)" in obstacle
        engine.dispose()
