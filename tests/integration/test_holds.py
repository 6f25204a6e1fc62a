"""hold(): nothing ages out; no drift; release() gives each range back."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    DatabasePitr,
    DropPitr,
    Kept,
    Moment,
    Pitr,
    PitrManager,
    PitrNotFoundError,
    PitrRange,
    PitrValidationError,
    RiskKind,
    TablePitr,
    apply_plan,
    check_kept,
    coverage,
    declare_pitrs,
    forget_copies,
    get_pitrs,
    hold,
    holds,
    plan_pitrs,
    release,
    restore,
)
from tests.past.tables import say, take_moment
from tests.policies import protect
from tests.proxy import Proxy, When, pattern_of


@pytest.fixture
def shop(matrixone_engine: Engine, database: str, prefix: str) -> Iterator[Engine]:
    """Table t with its own policy of three days, which a rebuild has detached once; and one of the
    database of a week."""
    engine = matrixone_engine
    say(engine, "CREATE TABLE t (id INT PRIMARY KEY)")
    protect(
        engine,
        Pitr.database(f"{prefix}_d", "7d", database_name=database),
        Pitr.table(f"{prefix}_t", "t", "3d", database_name=database),
    )
    yield engine
    for one in holds(engine):
        if one.targets.startswith(database):
            release(engine, one.id)


def ranges(engine: Engine, prefix: str) -> dict[str, str]:
    found = get_pitrs(engine)
    return {p.name.removeprefix(f"{prefix}_"): str(p.range) for p in found if prefix in p.name}


def drop(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(DropPitr(name))


def declared(prefix: str, range: str = "7d") -> MetaData:
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer, primary_key=True), TablePitr("3d", f"{prefix}_t"))
    declare_pitrs(metadata, DatabasePitr(range, name=f"{prefix}_d"))
    return metadata


def test_held_and_released(shop: Engine, database: str, prefix: str) -> None:
    at = take_moment(shop)
    say(shop, "ALTER TABLE t ADD COLUMN v INT")
    PitrManager(shop).renew(f"{prefix}_t")
    made = hold(shop, f"{database}.t", "orders were lost")
    assert ranges(shop, prefix) == {"d": "100y", "t": "100y", "t__g2": "100y"}
    assert {p.name.removeprefix(f"{prefix}_"): str(p.before) for p in made.policies} == {
        "d": "7d",
        "t": "3d",
        "t__g2": "3d",
    }
    assert made in holds(shop)
    assert f"{made.id}: {database}.t since" in str(made)
    plan = plan_pitrs(shop, declared(prefix))
    assert plan.in_sync, str(plan)
    assert {pitr.name for pitr in plan.held} == {f"{prefix}_d", f"{prefix}_t__g2"}
    assert "held, range left alone" in repr(plan)
    assert len(plan.to_dict()["held"]) == 2
    other = plan_pitrs(shop, declared(prefix, "14d"))
    assert other.in_sync  # its range is compared again when the hold has ended
    assert plan.when_released == ()
    assert [str(action) for action in other.when_released] == [
        f"~ alter {prefix}_d, database {database}, 7d -> 14d: its range is 7d, declared is 14d"
    ]
    assert f"when its hold ends: ~ alter {prefix}_d" in repr(other)
    assert [action["name"] for action in other.to_dict()["when_released"]] == [f"{prefix}_d"]
    assert str(coverage(shop, databases=[database]).held[f"{prefix}_d"]) == "7d"
    (verdict,) = check_kept(shop, f"{database}.t", at)
    assert verdict.kept is Kept.KEPT  # a hold changes a range, and makes nothing doubtful
    released = release(shop, made.id)
    assert released.released is not None
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d", "t__g2": "3d"}
    assert made.id not in [one.id for one in holds(shop)]
    assert made.id in [one.id for one in holds(shop, released=True)]
    assert plan_pitrs(shop, declared(prefix)).in_sync
    assert not plan_pitrs(shop, declared(prefix, "14d")).in_sync
    report = restore(shop, f"{database}.t", at)
    assert report.ok
    assert report.id is not None
    forget_copies(shop, ids=[report.id])
    with pytest.raises(PitrNotFoundError, match="or it is released"):
        release(shop, made.id)


@pytest.mark.emulator_only
def test_what_was_sure_stays_so(shop: Engine, database: str, prefix: str) -> None:
    """Hours later, too, where a range that was changed otherwise makes what was before doubtful."""
    from sqlalchemy_matrixone_pitr.held import HeldPolicy, Hold, known_sure
    from sqlalchemy_matrixone_pitr.model import PitrRange

    now = Moment.parse("2026-11-28 12:00Z")
    pitr = PitrManager(shop).get(f"{prefix}_d")
    assert pitr.modified_time is not None
    seconds = int(pitr.modified_time.timestamp())
    policy = HeldPolicy(pitr.name, PitrRange.parse("2d"), now - dt.timedelta(days=9), seconds)
    made = Hold(1, "why", database, now, None, (policy,))
    assert known_sure([made], {pitr.name: pitr}) == {pitr.name: now - dt.timedelta(days=2)}
    by_others = HeldPolicy(pitr.name, policy.before, policy.sure, seconds - 5)
    assert known_sure([Hold(1, "why", database, now, None, (by_others,))], {pitr.name: pitr}) == {}


@pytest.mark.parametrize(
    ("require", "met"), [("7d", True), ("8d", False), ("100y", False), ("1d", True)]
)
def test_a_requirement_is_measured_without_the_hold(
    shop: Engine, database: str, prefix: str, require: str, met: bool
) -> None:
    """A release gives the range before back: who relies on the longer one has nothing then."""
    before = coverage(shop, databases=[database], require=require).table(database, "t")
    made = hold(shop, database, "why")
    report = coverage(shop, databases=[database], require=require)
    table = report.table(database, "t")
    assert table.meets_requirement is before.meets_requirement is met
    assert {str(window.range) for window in table.windows} == {"100y"}
    assert {str(window.before) for window in table.windows} == {"7d", "3d"}
    assert {window["range_when_released"] for window in table.to_dict()["windows"]} == {"7d", "3d"}
    risks = [risk.message for risk in report.at_risk() if risk.kind is RiskKind.TOO_SHORT]
    said = (
        f"{database}.t: {require} is required, its policies reach back 3d, 7d when the hold of "
        f"{prefix}_d and {prefix}_t ends: release it, and lengthen the range"
    )
    assert risks == ([] if met else [said])
    release(shop, made)
    table = coverage(shop, databases=[database], require=require).table(database, "t")
    assert table.meets_requirement is met


def test_a_declared_requirement_and_the_floor_of_cdc(
    shop: Engine, database: str, prefix: str
) -> None:
    """A policy of an hour that is held has a hundred years, and an hour in a minute."""
    say(shop, "CREATE TABLE u (id INT PRIMARY KEY)")
    protect(shop, Pitr.table(f"{prefix}_u", "u", "1h", database_name=database))
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer, primary_key=True), TablePitr("9d", f"{prefix}_t"))
    made = hold(shop, [f"{database}.t", f"{database}.u"], "why")
    report = coverage(shop, metadata)
    assert report.table(database, "t").meets_requirement is False
    kinds = {risk.kind: risk.message for risk in report.at_risk()}
    assert "its range is 1h when its hold ends, and the server makes" in kinds[RiskKind.CDC]
    assert RiskKind.TOO_SHORT in kinds
    release(shop, made)


def test_two_holds_and_a_change_by_hand(shop: Engine, database: str, prefix: str) -> None:
    first = hold(shop, database, "one")
    second = hold(shop, f"{database}.t", "two")
    assert [str(p.before) for p in second.policies] == [str(p.before) for p in first.policies]
    release(shop, first.id)
    assert set(ranges(shop, prefix).values()) == {"100y"}
    with shop.begin() as connection:
        connection.execute(AlterPitr(f"{prefix}_d", "30d"))
    release(shop, second.id)
    assert ranges(shop, prefix) == {"d": "30d", "t": "3d"}
    plan = plan_pitrs(shop, declared(prefix))
    assert [str(action.pitr.range) for action in plan.actions] == ["7d"]
    assert apply_plan(shop, plan, allow_destructive=True).ok


def test_a_change_between_two_holds(shop: Engine, database: str, prefix: str) -> None:
    first = hold(shop, database, "one")
    with shop.begin() as connection:
        connection.execute(AlterPitr(f"{prefix}_d", "30d"))
    second = hold(shop, database, "two")
    release(shop, second.id)
    assert set(ranges(shop, prefix).values()) == {"100y"}
    release(shop, first.id)
    assert ranges(shop, prefix) == {"d": "30d", "t": "3d"}


def test_renewed_while_held(shop: Engine, database: str, prefix: str) -> None:
    first = hold(shop, database, "one")
    say(shop, "ALTER TABLE t ADD COLUMN v INT")
    PitrManager(shop).renew(f"{prefix}_t")
    assert ranges(shop, prefix) == {"d": "100y", "t": "100y", "t__g2": "100y"}
    plan = plan_pitrs(shop, declared(prefix))
    assert not plan.actions
    assert f"{prefix}_t__g2" in {pitr.name for pitr in plan.held}
    second = hold(shop, f"{database}.t", "two")
    release(shop, first.id)
    assert set(ranges(shop, prefix).values()) == {"100y"}
    release(shop, second.id)
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d", "t__g2": "3d"}


@pytest.mark.parametrize("declares", ["7d", "14d"])
def test_renewed_by_a_plan_while_held(
    shop: Engine, database: str, prefix: str, declares: str
) -> None:
    """A generation that a plan makes is held with what it renews, and gets its range afterwards."""
    made = hold(shop, database, "why")
    say(shop, "ALTER TABLE t ADD COLUMN v INT")
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr(declares, f"{prefix}_t"))
    plan = plan_pitrs(shop, metadata)
    assert [str(action.pitr.range) for action in plan.actions] == ["100y"]
    assert [str(action.pitr) for action in plan.when_released] == [
        str(Pitr.table(f"{prefix}_t__g2", "t", declares, database_name=database))
    ]
    apply_plan(shop, plan).raise_for_failed()
    assert ranges(shop, prefix) == {"d": "100y", "t": "100y", "t__g2": "100y"}
    assert plan_pitrs(shop, metadata).in_sync
    release(shop, made)
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d", "t__g2": "3d"}
    apply_plan(shop, plan_pitrs(shop, metadata)).raise_for_failed()
    assert ranges(shop, prefix)["t__g2"] == declares


def test_a_plan_from_before_the_hold(shop: Engine, database: str, prefix: str) -> None:
    """Alters of a held policy are neither so nor done: they were not tried."""
    plan = plan_pitrs(shop, declared(prefix, "14d"))
    made = hold(shop, database, "why")
    report = apply_plan(shop, plan)
    assert [action.pitr.name for action in report.not_tried] == [f"{prefix}_d"]
    assert not report.ok
    assert ranges(shop, prefix)["d"] == "100y"
    release(shop, made)
    assert apply_plan(shop, plan).ok
    assert ranges(shop, prefix)["d"] == "14d"


def test_a_plan_that_drops_what_is_held_says_so(shop: Engine, database: str, prefix: str) -> None:
    made = hold(shop, f"{database}.t", "why")
    metadata = MetaData()
    declare_pitrs(metadata, DatabasePitr("7d", name=f"{prefix}_d"))
    plan = plan_pitrs(shop, metadata, drop_undeclared=True)
    costs = {action.pitr.name: str(action.cost) for action in plan.destructive}
    assert costs[f"{prefix}_t"].endswith("can no longer be restored; it is held")
    release(shop, made)
    plan = plan_pitrs(shop, metadata, drop_undeclared=True)
    assert "held" not in str([action.cost for action in plan.destructive])


def test_the_held_generation_was_dropped(shop: Engine, database: str, prefix: str) -> None:
    """The renewed generation has the held range, and gets the range before back."""
    made = hold(shop, database, "one")
    say(shop, "ALTER TABLE t ADD COLUMN v INT")
    PitrManager(shop).renew(f"{prefix}_t")
    drop(shop, f"{prefix}_t")
    assert ranges(shop, prefix) == {"d": "100y", "t__g2": "100y"}
    assert not plan_pitrs(shop, declared(prefix)).actions
    released = release(shop, made)
    assert ranges(shop, prefix) == {"d": "7d", "t__g2": "3d"}
    assert released.notes == (f"{prefix}_t is not there: it was dropped since",)


def test_states_that_release_leaves(shop: Engine, database: str, prefix: str) -> None:
    """Dropped, of another target, altered by hand, held by two; each is said."""
    say(shop, *(f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in ("gone", "moved", "free")))
    manager = PitrManager(shop)
    for name in ("gone", "moved"):
        manager.create_table_pitr(f"{prefix}_{name}", database, name, "2d")
    first = hold(shop, database, "one")
    second = hold(shop, f"{database}.t", "two")
    drop(shop, f"{prefix}_gone")
    drop(shop, f"{prefix}_moved")
    manager.create_table_pitr(f"{prefix}_moved", database, "free", "100y")
    with shop.begin() as connection:
        connection.execute(AlterPitr(f"{prefix}_t", "9d"))
    released = release(shop, first)
    assert ranges(shop, prefix) == {"d": "100y", "t": "9d", "moved": "100y"}
    assert sorted(note.removeprefix(f"{prefix}_") for note in released.notes) == [
        f"d is held by {second.id}, too, and stays so until that ends",
        "gone is not there: it was dropped since",
        f"moved is for table {database}.free by now, and is left as it is",
        "t was given the range 9d since, and keeps it",
    ]
    assert release(shop, second).notes == (
        f"{prefix}_t was given the range 9d since, and keeps it",
    )
    assert ranges(shop, prefix) == {"d": "7d", "t": "9d", "moved": "100y"}


def test_release_of_a_dropped_target(shop: Engine, database: str, prefix: str) -> None:
    made = hold(shop, database, "one")
    say(shop, "DROP TABLE t")
    assert release(shop, made).notes == ()
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d"}


def test_whose_range_is_as_long(shop: Engine, database: str, prefix: str) -> None:
    """A policy of 100 years is not held for that; a generation is, whose held one was dropped."""
    say(shop, "CREATE TABLE u (id INT PRIMARY KEY)")
    protect(shop, Pitr.table(f"{prefix}_u", "u", "100y", database_name=database))
    assert coverage(shop, databases=[database]).held == {}
    made = hold(shop, f"{database}.t", "why")
    say(shop, "ALTER TABLE t ADD COLUMN v INT")
    PitrManager(shop).renew(f"{prefix}_t")
    drop(shop, f"{prefix}_t")
    held = {f"{prefix}_d": PitrRange.parse("7d"), f"{prefix}_t__g2": PitrRange.parse("3d")}
    assert coverage(shop, databases=[database]).held == held
    drop(shop, f"{prefix}_d")  # no policy is left whose range was changed
    del held[f"{prefix}_d"]
    assert coverage(shop, databases=[database]).held == held
    release(shop, made)
    assert coverage(shop, databases=[database]).held == {}
    assert ranges(shop, prefix) == {"t__g2": "3d", "u": "100y"}
    made = hold(shop, f"{database}.u", "why")
    release(shop, made)  # nothing is altered: its window would start anew
    [found] = get_pitrs(shop, database_name=database, table_name="u")
    assert found.modified_time == found.created_time


def test_what_is_refused(shop: Engine, database: str, prefix: str) -> None:
    with pytest.raises(PitrValidationError, match="reason is a text"):
        hold(shop, database, " ")
    with pytest.raises(PitrValidationError, match="number of a hold"):
        release(shop, "1")  # type: ignore[arg-type]
    with pytest.raises(PitrNotFoundError, match="no policy covers database nowhere"):
        hold(shop, "nowhere", "why")
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d"}


def places(statements: Iterable[str]) -> list[tuple[str, int]]:
    """Where to cut: at each statement once, and at each that ends a transaction."""
    numbers = Counter[str]()
    found = []
    for pattern in map(pattern_of, statements):
        numbers[pattern] += 1
        if numbers[pattern] == 1 or "COMMIT" in pattern:
            found.append((pattern, numbers[pattern]))
    return found


@pytest.mark.slow
@pytest.mark.one_version
def test_cut_at_each_statement(
    shop: Engine, proxied_engine: Engine, proxy: Proxy, database: str, prefix: str
) -> None:
    """What is in force is listed, and its release gives every range back."""
    good = ranges(shop, prefix)
    proxy.clear()
    made = hold(proxied_engine, database, "cut")
    holding = places(proxy.statements)
    proxy.clear()
    release(proxied_engine, made)
    releasing = places(proxy.statements)
    others = {one.id for one in holds(shop)}
    whens: tuple[When, ...] = ("before", "after")
    for (pattern, number), when in itertools.product(holding, whens):
        proxied_engine.dispose()
        proxy.cut(pattern, when, number)
        error: Exception | None = None
        try:
            hold(proxied_engine, database, "cut")
        except Exception as raised:  # of any class that a lost connection may have
            error = raised
        proxy.cut("never", "before")
        mine = [one for one in holds(shop) if one.id not in others]
        if error is None:
            assert set(ranges(shop, prefix).values()) == {"100y"}
        elif mine:
            [note] = error.__notes__
            assert f"release(engine, {mine[0].id}) ends it" in note
        else:
            assert ranges(shop, prefix) == good
        again = hold(shop, database, "again")
        for one in (*mine, again):
            release(shop, one)
        assert ranges(shop, prefix) == good, (pattern, when)
    for (pattern, number), when in itertools.product(releasing, whens):
        made = hold(shop, database, "cut")
        proxied_engine.dispose()
        proxy.cut(pattern, when, number)
        error = None
        try:
            release(proxied_engine, made)
        except Exception as raised:
            error = raised
        proxy.cut("never", "before")
        told = "" if error is None else "".join(getattr(error, "__notes__", ()))
        if error is None or "is released" in told:
            assert made.id not in {one.id for one in holds(shop)}
        if "are given back" in told:
            assert ranges(shop, prefix) == good
        for one in holds(shop):
            if one.id == made.id:
                release(shop, one)
        assert ranges(shop, prefix) == good, (pattern, when)


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut(
    shop: Engine,
    proxied_engine: Engine,
    proxy: Proxy,
    database: str,
    prefix: str,
    when: str,
) -> None:
    """Recorded holds can be released, whatever was done of them."""
    proxy.cut(f"ALTER PITR `{prefix}_t`", when)  # type: ignore[arg-type]
    made = hold(proxied_engine, database, "cut")  # it is sent again, or read back
    assert set(ranges(shop, prefix).values()) == {"100y"}
    proxy.cut("UPDATE `matrixone_pitr`.`holds` SET released", when)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="Lost connection") as caught:
        release(proxied_engine, made.id)
    assert caught.value.__notes__ == [
        f"The ranges of hold {made.id} are given back, and its record is not: "
        f"release(engine, {made.id}) ends it, if holds() lists it still"
    ]
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d"}
    for one in holds(shop):
        if one.id == made.id:  # the answer was lost, or it was not sent
            release(shop, one.id)
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d"}
    before = {one.id for one in holds(shop)}
    proxy.on("^INSERT", lambda: proxy.cut("^COMMIT", when))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="Lost connection") as caught:
        hold(proxied_engine, database, "cut")
    [note] = caught.value.__notes__
    assert "is recorded is unknown, and no range was changed" in note
    there = [one for one in holds(shop) if one.id not in before]
    assert len(there) == (when == "after")
    assert ranges(shop, prefix) == {"d": "7d", "t": "3d"}
    for one in there:
        release(shop, one)


def test_a_range_of_0_is_not_held(shop: Engine, database: str, prefix: str) -> None:
    """Made so by hand, it keeps nothing, and release() could not give it back."""
    say(shop, f"ALTER PITR {prefix}_t RANGE 0 'h'")
    held = hold(shop, database, "a test")
    assert [policy.name for policy in held.policies] == [f"{prefix}_d"]
    assert ranges(shop, prefix) == {"d": "100y", "t": "0h"}
    say(shop, f"ALTER PITR {prefix}_d RANGE 0 'd'")
    with pytest.raises(PitrNotFoundError, match="nothing to hold"):
        hold(shop, database, "another")
    assert f"{prefix}_d was given the range 0d since, and keeps it" in release(shop, held).notes
    assert held.id not in {one.id for one in holds(shop)}
