"""Records of restores and holds: whose number it is, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import (
    Moment,
    Pitr,
    PitrNotFoundError,
    PitrRestoreError,
    PitrValidationError,
    coverage,
    forget_copies,
    get_pitrs,
    hold,
    holds,
    preview_restore,
    release,
    renew_pitr,
    restore,
    restore_copy,
    restore_records,
    undo_restore,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.integration.restoring import state_of
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect


@pytest.fixture
def shop(tenant: Engine) -> tuple[Engine, Moment]:
    """An account of its own, where everything may be dropped; and a moment."""
    say(tenant, "CREATE TABLE pens (id INT PRIMARY KEY)", "INSERT INTO pens VALUES (1), (2)")
    protect(tenant, Pitr.database("week", "7d", database_name="shop"))
    at = take_moment(tenant)
    say(tenant, "DELETE FROM crates WHERE id = 1", "DELETE FROM pens WHERE id = 1")
    return tenant, at


def test_a_number_that_is_another_restores(shop: tuple[Engine, Moment]) -> None:
    """Somebody drops the database of records, and numbers begin at 1 again."""
    engine, at = shop
    first = restore(engine, "shop.crates", at)
    (record,) = restore_records(engine)
    say(engine, "DROP DATABASE matrixone_pitr")
    with pytest.raises(PitrNotFoundError, match="there is no restore"):
        first.undo()
    second = restore(engine, "shop.pens", at)
    assert second.id == first.id
    before = state_of(engine, "shop")
    for given in (first, record):
        with pytest.raises(PitrNotFoundError, match="database matrixone_pitr was dropped since"):
            undo_restore(engine, given)
        with pytest.raises(PitrNotFoundError, match="was dropped since"):
            forget_copies(engine, ids=[given])
    with pytest.raises(PitrNotFoundError, match="was dropped since"):
        first.undo()
    assert state_of(engine, "shop") == before
    assert undo_restore(engine, restore_records(engine)[0]).ok
    assert rows_of(engine, "pens") == [(2,)]
    assert [one.id for one in forget_copies(engine, ids=[second])] == [second.id]


def test_a_number_that_is_another_hold(shop: tuple[Engine, Moment]) -> None:
    engine, _ = shop
    first = hold(engine, "shop", "one")
    say(engine, "DROP DATABASE matrixone_pitr")
    second = hold(engine, "shop.pens", "two")
    assert second.id == first.id
    with pytest.raises(PitrNotFoundError, match="was dropped since"):
        release(engine, first)
    assert holds(engine) == [second]
    release(engine, second)
    assert holds(engine) == []


def test_copies_without_a_record(shop: tuple[Engine, Moment]) -> None:
    """The table of records alone was dropped: no copy gets the name of one that is there."""
    engine, at = shop
    first = restore(engine, "shop.crates", at)
    assert first.id is not None
    say(engine, "DROP TABLE matrixone_pitr.restores")
    second = restore(engine, "shop.crates", at)
    assert second.id == first.id + 1
    assert rows_of(engine, first.copies[0].copy) == [(2, 20), (3, 30)]


def test_somebody_elses_database(shop: tuple[Engine, Moment]) -> None:
    engine, at = shop
    say(
        engine,
        "CREATE DATABASE matrixone_pitr",
        "CREATE TABLE matrixone_pitr.restores (id INT PRIMARY KEY, dish VARCHAR(9))",
        "CREATE TABLE matrixone_pitr.holds (id INT PRIMARY KEY, ship VARCHAR(9))",
        "INSERT INTO matrixone_pitr.restores VALUES (1, 'soup')",
    )
    before = state_of(engine, "shop", "matrixone_pitr")
    preview = preview_restore(engine, "shop.crates", at)
    (problem,) = preview.problems
    assert problem.startswith("matrixone_pitr.restores is somebody else's: it has not the columns")
    with pytest.raises(PitrRestoreError, match="nothing was sent"):
        restore(engine, "shop.crates", at)
    with pytest.raises(PitrValidationError, match=r"matrixone_pitr\.holds is somebody else's"):
        hold(engine, "shop", "why")
    assert (restore_records(engine), holds(engine), forget_copies(engine)) == ([], [], [])
    assert coverage(engine, databases=["shop"]).table("shop", "crates").windows
    assert [str(pitr.range) for pitr in get_pitrs(engine)] == ["7d"]
    assert state_of(engine, "shop", "matrixone_pitr") == before
    assert restore(engine, "shop.crates", at, safety_copy=False).ok
    assert rows_of(engine, "matrixone_pitr.restores") == [(1, "soup")]


# ------------------------------------------------------------------------------- a database's undo


@pytest.mark.parametrize("target", ["shop", "shop.crates"])
def test_undo_of_a_database_that_was_not_there(
    shop: tuple[Engine, Moment], beside: Engine, target: str
) -> None:
    _, at = shop
    say(beside, "DROP DATABASE shop")
    report = restore(beside, target, at)
    assert report.ok, str(report)
    assert rows_of(beside, "shop.crates") == [(1, 10), (2, 20), (3, 30)]
    undone = report.undo()
    assert undone.ok, str(undone)
    assert "shop" not in databases(beside)
    assert undone.undo().ok
    assert rows_of(beside, "shop.crates") == [(1, 10), (2, 20), (3, 30)]


def test_a_database_in_which_something_was_made_since(
    shop: tuple[Engine, Moment], beside: Engine
) -> None:
    _, at = shop
    say(beside, "DROP DATABASE shop")
    report = restore(beside, "shop.crates", at)
    say(beside, "CREATE TABLE shop.later (id INT PRIMARY KEY)")
    undone = report.undo()
    assert undone.ok, str(undone)
    assert "shop stays because of shop.later" in undone.steps[0].step.text.replace(
        "was not there, and ", ""
    )
    assert list(state_of(beside, "shop")) == ["shop.later"]


def test_views_of_views(shop: tuple[Engine, Moment], beside: Engine) -> None:
    """Whatever their order; and the connection goes back to its pool as it was."""
    say(
        beside,
        "CREATE VIEW shop.z AS SELECT id FROM shop.crates",
        "CREATE VIEW shop.a AS SELECT id FROM shop.z",
        "CREATE VIEW shop.m AS SELECT id FROM shop.a",
    )
    at = take_moment(beside)
    say(beside, "DROP DATABASE shop")
    report = restore(beside, "shop", at, by_restore=False)
    assert report.ok, str(report)
    assert rows_of(beside, "shop.m") == [(2,), (3,)]
    with beside.connect() as connection:
        assert not connection.exec_driver_sql("SELECT DATABASE()").scalar()
    undone = report.undo()
    assert undone.ok, str(undone)
    assert "shop" not in databases(beside)


@pytest.mark.parametrize("dropped", ["DROP DATABASE shop", "DROP VIEW shop.broken", ""])
def test_a_view_that_was_broken(shop: tuple[Engine, Moment], beside: Engine, dropped: str) -> None:
    """It keeps RESTORE from restoring its database, and no rows from coming back."""
    say(
        beside,
        "CREATE TABLE shop.gone (id INT)",
        "CREATE VIEW shop.broken AS SELECT id FROM shop.gone",
        "CREATE VIEW shop.fine AS SELECT id FROM shop.crates",
        "DROP TABLE shop.gone",
    )
    at = take_moment(beside)
    say(beside, "DELETE FROM shop.crates WHERE id > 1", *filter(None, [dropped]))
    preview = preview_restore(beside, "shop", at)
    assert any(
        "views that refer to what was not there: shop.broken" in o for o in preview.obstacles
    )
    report = restore(beside, "shop", at, preview=preview)
    assert rows_of(beside, "shop.fine") == [(2,), (3,)]
    said = "views that are left out, since they refer to what was not there: shop.broken"
    assert (said in preview.costs) is bool(dropped)
    if dropped:
        (left,) = report.left
        assert left.startswith("view shop.broken is not there, since it cannot be created: (1064")
        assert left.endswith("CREATE VIEW shop.broken AS SELECT id FROM shop.gone")
    else:
        assert report.ok, str(report)
    assert report.undo().ok


def test_a_view_of_another_database_that_is_gone(
    shop: tuple[Engine, Moment], beside: Engine
) -> None:
    """Nothing tells beforehand; the refusal says what does."""
    say(
        beside,
        "CREATE DATABASE other",
        "CREATE TABLE other.x (id INT)",
        "CREATE VIEW shop.of_other AS SELECT id FROM other.x",
    )
    at = take_moment(beside)
    say(beside, "DELETE FROM shop.crates WHERE id > 1", "DROP DATABASE other")
    with pytest.raises(PitrRestoreError, match="was not begun") as caught:
        restore(beside, "shop", at)
    assert "Unknown database other" in str(caught.value)
    assert "restore() with by_restore=False leaves it out" in str(caught.value)
    assert rows_of(beside, "shop.crates") == []
    assert restore(beside, "shop", at, by_restore=False).ok
    assert rows_of(beside, "shop.crates") == [(2, 20), (3, 30)]


def test_tables_that_were_made_since(shop: tuple[Engine, Moment], beside: Engine) -> None:
    """They go with an undo of the database, on demand; not where others refer to them."""
    _, at = shop
    report = restore(beside, "shop", at, by_restore=False)
    say(
        beside,
        "CREATE TABLE shop.later (id INT PRIMARY KEY)",
        "DROP TABLE shop.pens",
    )
    with pytest.raises(PitrRestoreError, match="nothing was sent: something has changed") as caught:
        undo_restore(beside, report)
    assert str(caught.value).splitlines()[1:3] == [
        "  shop.later was made since",
        "  shop.pens was dropped since",
    ]
    say(
        beside,
        "CREATE DATABASE other",
        "CREATE TABLE other.child (p INT, CONSTRAINT f FOREIGN KEY (p) REFERENCES shop.later (id))",
    )
    with pytest.raises(PitrRestoreError, match=r"foreign keys of other\.child refer to tables"):
        undo_restore(beside, report, force=True)
    assert set(state_of(beside, "shop")) == {"shop.crates", "shop.later"}
    say(beside, "DROP DATABASE other")
    undone = undo_restore(beside, report, force=True)
    assert undone.ok, str(undone)
    assert set(state_of(beside, "shop")) == {"shop.crates", "shop.pens"}
    assert [copy.table for copy in undone.copies] == ["shop.crates", "shop.later"]


@pytest.fixture
def beside(tenant: Engine) -> Iterator[Engine]:
    """An engine without a default database, which may be dropped."""
    engine = create_engine(tenant.url.set(database=""))
    yield engine
    engine.dispose()


def databases(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [name for (name,) in connection.exec_driver_sql("SHOW DATABASES")]


# ------------------------------------------------------------------------ what is written after it


def test_a_row_that_is_written_right_after_an_undo(shop: tuple[Engine, Moment]) -> None:
    engine, at = shop
    report = restore(engine, "shop.pens", at)
    other = create_engine(engine.url)
    sent: list[str] = []

    def write(*arguments: Any) -> None:
        sent.append(arguments[2])
        dropped = any("DROP TABLE" in one for one in sent)
        if arguments[2] == "COMMIT" and dropped and "written" not in sent:
            sent.append("written")
            say(other, "INSERT INTO pens VALUES (77)")

    event.listen(engine, "after_cursor_execute", write)
    undone = report.undo()
    event.remove(engine, "after_cursor_execute", write)
    assert "written" in sent
    assert undone.ok
    assert rows_of(engine, "pens") == [(2,), (77,)]
    with pytest.raises(PitrRestoreError, match=r"shop\.pens: 1 inserted"):
        undone.undo()
    other.dispose()


# --------------------------------------------------------------------------- a server without CLONE


def test_without_clone() -> None:
    """2.2.2: a preview says so, and what is done without."""
    with Emulator(version="2.2.2") as emulator:
        engine = create_engine(emulator.url())
        say(
            engine,
            "CREATE DATABASE shop",
            "CREATE TABLE shop.crates (id INT PRIMARY KEY, v INT, UNIQUE KEY u (v))",
            "CREATE TABLE shop.pens (id INT PRIMARY KEY, c INT, "
            "CONSTRAINT f FOREIGN KEY (c) REFERENCES shop.crates (id))",
            "INSERT INTO shop.crates VALUES (1, 1), (2, 2)",
            "INSERT INTO shop.pens VALUES (1, 1)",
        )
        protect(engine, Pitr.database("week", "7d", database_name="shop"))
        at = take_moment(engine)
        then = state_of(engine, "shop")
        targets: list[Any] = ["shop.pens", "shop", ["shop.crates", "shop.pens"]]
        for target in targets:
            say(engine, "DELETE FROM shop.pens", "DELETE FROM shop.crates WHERE id = 2")
            before = state_of(engine, "shop")
            preview = preview_restore(engine, target, at)
            assert [one for one in preview.problems if "safety_copy=False restores" in one]
            with pytest.raises(PitrRestoreError, match="nothing was sent"):
                restore(engine, target, at)
            assert state_of(engine, "shop") == before
            if target == "shop.pens":
                continue  # its row would refer to one that is not there
            assert restore(engine, target, at, safety_copy=False).ok
            assert state_of(engine, "shop") == then
        copied = restore_copy(engine, "shop", at, "shop_then")
        assert copied.rows == 3
        assert not any(table.cloned for table in copied.tables)
        say(engine, "DROP DATABASE shop")
        assert restore(engine, "shop", at).ok  # there is nothing to set aside
        assert state_of(engine, "shop") == then
        engine.dispose()


@pytest.mark.parametrize("kind", ["", ", UNIQUE KEY u (v)", ", KEY k (v)"])
def test_without_clone_what_cannot_be_renewed_is_said(kind: str) -> None:
    """2.2.2 takes the policy of a rebuilt table for active, and refuses another beside it: the
    preview says so, and what is left to do can be done."""
    with Emulator(version="2.2.2") as emulator:
        engine = create_engine(emulator.url())
        say(
            engine,
            "CREATE DATABASE shop",
            f"CREATE TABLE shop.crates (id INT PRIMARY KEY, v INT{kind})",
            "INSERT INTO shop.crates VALUES (1, 1), (2, 2)",
        )
        protect(engine, Pitr.table("week", "crates", "7d", database_name="shop"))
        at = take_moment(engine)
        then = state_of(engine, "shop")
        say(engine, "ALTER TABLE shop.crates ADD COLUMN w INT")
        before = "what was in table shop.crates before it was rebuilt can no longer be restored"
        for target in ("shop.crates", "shop"):
            preview = preview_restore(engine, target, at, safety_copy=False)
            [said] = [one for one in preview.costs if "will not be renewed" in one]
            assert said.startswith(f"week will not be renewed: {before}")
            kept = preview_restore(engine, target, at, safety_copy=False, renew=False)
            assert not any("will not be renewed" in one for one in kept.costs)
            report = restore(engine, target, at, safety_copy=False, preview=preview)
            assert state_of(engine, "shop") == then
            [left] = report.left
            assert left.startswith(
                "policy week does not protect it: renew_pitr(engine, 'week', keep_history=False). "
            )
        with pytest.warns(SAWarning, match="renewed without its history"):
            renew_pitr(engine, "week", keep_history=False)
        assert restore(engine, "shop.crates", Moment.now(engine), safety_copy=False).ok
        engine.dispose()


@pytest.mark.parametrize("name", ["a`b", "50%", "a:b", "\u00dcn\u00ef", "x y", "select"])
def test_without_clone_odd_names(name: str) -> None:
    """In an account other than sys, under a hold: nothing of it needs a CLONE."""
    quoted = f"`{name.replace('`', '``')}`"
    with Emulator(version="2.2.2") as emulator:
        sys = create_engine(emulator.url())
        say(sys, "CREATE ACCOUNT acc ADMIN_NAME 'admin' IDENTIFIED BY '111'")
        sys.dispose()
        engine = create_engine(emulator.url(user="acc:admin", password="111"))
        say(engine, "CREATE DATABASE shop")
        with engine.begin() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(f"CREATE TABLE shop.{quoted} (id INT PRIMARY KEY)")
            cursor.execute(f"INSERT INTO shop.{quoted} VALUES (1), (2)")
        protect(engine, Pitr.database("week", "7d", database_name="shop"))
        at = take_moment(engine)
        with engine.begin() as connection:
            connection.connection.cursor().execute(f"DELETE FROM shop.{quoted} WHERE id = 1")
        made = hold(engine, f"shop.{name}", "why")
        report = restore(engine, f"shop.{name}", at, safety_copy=False, compare_rows=True)
        assert report.ok, str(report)
        assert [table.rows for table in report.tables] == [2]
        assert release(engine, made).notes == ()
        assert {pitr.name: str(pitr.range) for pitr in get_pitrs(engine)} == {"week": "7d"}
        engine.dispose()
