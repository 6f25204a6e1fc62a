"""The comparison of declared with existing policies: pure, and how a plan reads."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import MetaData, create_engine

from sqlalchemy_matrixone_pitr import (
    Pitr,
    PitrRange,
    PitrValidationError,
    apply_plan,
    compare,
    declare_pitrs,
)
from sqlalchemy_matrixone_pitr.coverage.expiry import expired
from sqlalchemy_matrixone_pitr.coverage.ranges import may_be_shorter
from sqlalchemy_matrixone_pitr.generations import (
    find_pitr,
    generation_name,
    policies,
    split_generation,
)
from sqlalchemy_matrixone_pitr.model import PitrStatus, PitrUnit
from sqlalchemy_matrixone_pitr.plan.actions import Plan

UTC = dt.UTC
NOW = dt.datetime(2026, 11, 26, 12, tzinfo=UTC)


def week(name: str = "orders_week", table: str = "orders", span: str = "7d") -> Pitr:
    return Pitr.table(name, table, span, database_name="shop")


def active(pitr: Pitr) -> Pitr:
    return pitr.with_status(PitrStatus.ACTIVE)


def detached(pitr: Pitr, created: dt.datetime | None = None) -> Pitr:
    made = Pitr(
        pitr.name,
        pitr.level,
        pitr.range,
        database_name=pitr.database_name,
        table_name=pitr.table_name,
        created_time=created,
    )
    return made.with_status(PitrStatus.DETACHED)


def did(plan: Plan) -> list[str]:
    """The actions, without their reasons."""
    return [str(action).partition(":")[0] for action in plan.actions]


def test_in_sync() -> None:
    plan = compare([week()], [active(week())])
    assert plan.in_sync
    assert (plan.actions, plan.conflicts, plan.undeclared) == ((), (), ())
    assert plan.summary() == "in sync"
    assert plan.sql() == ""


def test_create() -> None:
    plan = compare([week(), Pitr.account("nightly", "1mo"), Pitr.cluster("all", "1h")], [])
    assert did(plan) == [
        "+ create all, the cluster, 1h",
        "+ create nightly, the current account, 1mo",
        "+ create orders_week, table shop.orders, 7d",
    ]
    assert not plan.in_sync
    assert plan.destructive == ()


@pytest.mark.parametrize("spelling", ["7d", (7, "d"), (7, "D"), dt.timedelta(days=7)])
def test_no_alter_for_another_spelling(spelling: str) -> None:
    assert compare([week().with_range(spelling)], [active(week())]).in_sync


def test_a_day_is_not_24_hours() -> None:
    """On purpose: the server shows what it was told."""
    plan = compare([week(span="24h")], [active(week(span="1d"))])
    assert did(plan) == ["~ alter orders_week, table shop.orders, 1d -> 24h"]


@pytest.mark.parametrize(
    ("old", "new", "destructive"),
    [
        ("7d", "14d", False),
        ("7d", "6d", True),
        ("4d", "96h", False),
        ("4d", "95h", True),
        ("1mo", "31d", False),
        ("1mo", "30d", True),
        ("28d", "1mo", False),
        ("29d", "1mo", True),
        ("1y", "12mo", False),
        ("1y", "11mo", True),
        ("1y", "100d", True),
        ("2mo", "1y", False),
    ],
)
def test_alter(old: str, new: str, destructive: bool) -> None:
    plan = compare([week(span=new)], [active(week(span=old))])
    [action] = plan.actions
    assert action.kind == "alter"
    assert action.destructive is destructive
    assert action.cost is not None
    assert "shown recovery window starts anew" in action.cost
    assert ("can no longer be restored" in action.cost) is destructive
    declared = PitrRange.parse(new)
    assert plan.sql() == f"ALTER PITR `orders_week` RANGE {declared.value} '{declared.unit}';"


RANGES = st.builds(PitrRange, st.integers(1, 100), st.sampled_from(PitrUnit))
DAYS = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2090, 1, 1))


@given(RANGES, RANGES, DAYS)
def test_what_is_called_longer_never_reaches_less_far(
    old: PitrRange, new: PitrRange, day: dt.datetime
) -> None:
    calendar_day = day.replace(day=min(day.day, 28))  # days that a month lacks run over
    if not may_be_shorter(old, new):
        assert new.start(calendar_day) <= old.start(calendar_day)


def test_detached_is_renewed() -> None:
    plan = compare([week()], [detached(week())])
    assert did(plan) == ["* renew orders_week__g2, table shop.orders, 7d"]
    assert plan.sql() == "CREATE PITR `orders_week__g2` FOR TABLE `shop` `orders` RANGE 7 'd';"
    assert plan.destructive == ()


def test_a_renewed_policy_is_in_sync_and_keeps_its_history() -> None:
    old, new = detached(week()), active(week("orders_week__g2"))
    plan = compare([week()], [new, old], drop_undeclared=True, now=NOW)
    assert plan.in_sync
    assert plan.history == (old,)


def test_a_renewed_policy_is_altered_where_it_is_active() -> None:
    plan = compare([week(span="9d")], [active(week("orders_week__g2")), detached(week())])
    assert did(plan) == ["~ alter orders_week__g2, table shop.orders, 7d -> 9d"]


def test_the_next_generation_after_the_last() -> None:
    there = [detached(week()), detached(week("orders_week__g2")), detached(week("orders_week__g7"))]
    assert did(compare([week()], there)) == ["* renew orders_week__g8, table shop.orders, 7d"]


def test_where_the_server_takes_the_old_one_for_active() -> None:
    plan = compare([week()], [detached(week())], stale_active={"orders_week"})
    [action] = plan.actions
    assert action.destructive
    assert "before it was rebuilt can no longer be restored" in (action.cost or "")
    assert plan.sql().splitlines() == [
        "DROP PITR `orders_week`;",
        "CREATE PITR `orders_week__g2` FOR TABLE `shop` `orders` RANGE 7 'd';",
    ]


def test_unknown_is_taken_for_active_and_said() -> None:
    there = week().with_status(PitrStatus.UNKNOWN)
    plan = compare([week()], [there])
    assert plan.in_sync
    assert plan.unknown == (there,)


def test_a_target_that_moves() -> None:
    there = [active(week(table="orders_old"))]
    plan = compare([week()], there)
    assert did(plan) == [
        "- drop orders_week, table shop.orders_old, 7d",
        "+ create orders_week, table shop.orders, 7d",
    ]
    assert [action.destructive for action in plan.actions] == [True, False]
    assert "moves from table shop.orders_old to table shop.orders" in plan.actions[0].reason


def test_a_moved_policy_goes_with_its_generations() -> None:
    there = [detached(week(table="o")), active(week("orders_week__g2", table="o"))]
    assert did(compare([week()], there)) == [
        "- drop orders_week, table shop.o, 7d",
        "- drop orders_week__g2, table shop.o, 7d",
        "+ create orders_week, table shop.orders, 7d",
    ]


@pytest.mark.parametrize(
    "held",
    [
        Pitr.table("orders_week", "orders", "7d", database_name="other"),
        Pitr.database("orders_week", "7d", database_name="other"),
        Pitr.account("orders_week", "7d"),
        Pitr.account("orders_week", "7d", account_name="acme"),
    ],
)
@pytest.mark.parametrize("drop", [False, True])
def test_a_name_that_somebody_else_holds(held: Pitr, drop: bool) -> None:
    plan = compare([week()], [active(held)], drop_undeclared=drop)
    assert plan.actions == ()
    assert not plan.in_sync
    [conflict] = plan.conflicts
    assert conflict.existing.name == "orders_week"
    assert "names are per account" in conflict.reason


def test_an_object_that_has_a_policy_of_another_name() -> None:
    other = active(week("other"))
    plan = compare([week()], [other])
    assert plan.actions == ()
    assert plan.conflicts[0].existing == other
    assert "already has the policy other (7d)" in plan.conflicts[0].reason
    assert plan.undeclared == (other,)
    plan = compare([week()], [other], drop_undeclared=True)
    assert did(plan) == [
        "- drop other, table shop.orders, 7d",
        "+ create orders_week, table shop.orders, 7d",
    ]
    assert plan.conflicts == ()


def test_a_detached_policy_of_another_name_is_in_nobodys_way() -> None:
    assert did(compare([week()], [detached(week("other"))])) == [
        "+ create orders_week, table shop.orders, 7d"
    ]


def test_undeclared_ones_are_reported_and_dropped_only_when_asked() -> None:
    ours = active(Pitr.database("shop_days", "2d", database_name="shop"))
    theirs = active(Pitr.database("stock_days", "2d", database_name="stock"))
    account = active(Pitr.account("nightly", "1mo"))
    there = [active(week()), ours, theirs, account]
    plan = compare([week()], there)
    assert plan.in_sync
    assert plan.undeclared == (ours,)
    plan = compare([week()], there, drop_undeclared=True)
    assert did(plan) == ["- drop shop_days, database shop, 2d"]
    assert plan.destructive == plan.actions
    plan = compare([week()], there, drop_undeclared=True, databases=["stock"])
    assert len(plan.actions) == 2


@pytest.mark.parametrize("flag", ["no", 0, None])
def test_what_would_destroy_is_asked_for_by_a_bool(flag: Any) -> None:
    """``"no"`` is true, as a text of the environment is."""
    with pytest.raises(PitrValidationError, match="drop_undeclared must be True or False"):
        compare([], [], drop_undeclared=flag)
    plan = compare([], [])
    with pytest.raises(PitrValidationError, match="allow_destructive must be True or False"):
        apply_plan(create_engine("mysql+pymysql://"), plan, allow_destructive=flag)
    with pytest.raises(PitrValidationError, match="require_all must be True or False"):
        declare_pitrs(MetaData(), require_all=flag)


def test_history_of_an_undeclared_policy_is_kept_for_its_time() -> None:
    gone = detached(week("old_week", table="old"), NOW - dt.timedelta(days=30))
    since = {"old_week": NOW - dt.timedelta(days=6)}
    plan = compare(
        [week()], [active(week()), gone], drop_undeclared=True, detached_at=since, now=NOW
    )
    assert plan.in_sync
    assert plan.history == (gone,)
    since = {"old_week": NOW - dt.timedelta(days=8)}
    plan = compare(
        [week()], [active(week()), gone], drop_undeclared=True, detached_at=since, now=NOW
    )
    assert did(plan) == ["- drop old_week, table shop.old, 7d"]
    assert plan.destructive == ()


def test_include() -> None:
    plan = compare(
        [week(), Pitr.account("nightly", "7d")],
        [active(week("x", "x"))],
        include=lambda pitr: pitr.level == "account",
        drop_undeclared=True,
    )
    assert did(plan) == ["+ create nightly, the current account, 7d"]


def test_include_is_asked_for_policies_not_for_generations() -> None:
    there = [detached(week()), active(week("orders_week__g2"))]
    asked: list[str] = []

    def all_but_orders(pitr: Pitr) -> bool:
        asked.append(pitr.name)
        return pitr.name != "orders_week"

    others = Pitr.database("shop_days", "2d", database_name="shop")
    plan = compare([week(), others], there, include=all_but_orders, drop_undeclared=True)
    assert did(plan) == ["+ create shop_days, database shop, 2d"]
    assert set(asked) == {"orders_week", "shop_days"}
    only = compare([week()], there, include=lambda pitr: pitr.name == "orders_week")
    assert only.in_sync
    assert len(only.history) == 1


def test_what_is_not_included_may_stand_in_the_way() -> None:
    moved = compare(
        [week(), week("other", "items")],
        [active(week("orders_week", "parts")), active(week("theirs", "items"))],
        include=lambda pitr: pitr.table_name != "parts" and pitr.name != "theirs",
        drop_undeclared=True,
    )
    assert moved.actions == ()
    assert [conflict.existing.name for conflict in moved.conflicts] == ["orders_week", "theirs"]


def test_two_policies_change_places() -> None:
    plan = compare(
        [week("a", "two"), week("b", "one")], [active(week("a", "one")), active(week("b", "two"))]
    )
    assert did(plan) == [
        "- drop a, table shop.one, 7d",
        "- drop b, table shop.two, 7d",
        "+ create a, table shop.two, 7d",
        "+ create b, table shop.one, 7d",
    ]


def test_a_policy_moves_to_where_another_is() -> None:
    there = [active(week("a", "one")), active(week("b", "two"))]
    plan = compare([week("a", "two")], there)
    assert plan.actions == ()
    assert plan.conflicts[0].existing.name == "b"


def test_somebody_elses_numbered_name() -> None:
    """It neither is nor becomes a generation of ours."""
    theirs = active(week("orders_week__g2", "items"))
    plan = compare([week()], [theirs])
    assert did(plan) == ["+ create orders_week, table shop.orders, 7d"]
    assert plan.undeclared == (theirs,)
    renewed = compare([week()], [theirs, detached(week())])
    assert did(renewed) == ["* renew orders_week__g3, table shop.orders, 7d"]
    assert compare([week()], [theirs, detached(week()), active(week("orders_week__g3"))]).in_sync


def test_order() -> None:
    plan = compare(
        [week(), week("b", "b"), week("c", "c", "9d"), Pitr.account("nightly", "7d")],
        [active(week("a", "a")), detached(week("b", "b")), active(week("c", "c"))],
        drop_undeclared=True,
    )
    assert [action.kind for action in plan.actions] == [
        "drop",
        "renew",
        "alter",
        "create",
        "create",
    ]


def test_only_takes_no_create_without_the_drop_that_it_needs() -> None:
    moved = compare([week(), week("new", "new")], [active(week(table="orders_old"))])
    assert did(moved.only(lambda action: not action.destructive)) == [
        "+ create new, table shop.new, 7d"
    ]
    replaced = compare([week()], [active(week("other"))], drop_undeclared=True)
    assert replaced.only(lambda action: not action.destructive).actions == ()
    assert len(replaced.only(lambda action: True).actions) == 2
    there = [active(week("a", "one")), active(week("b", "two"))]
    swapped = compare([week("a", "two"), week("b", "one")], there)
    assert swapped.only(lambda action: action.pitr.name == "a").actions == ()
    assert len(swapped.only(lambda action: True).actions) == 4


def test_only() -> None:
    plan = compare([week(span="9d"), week("b", "b")], [active(week(span="10d"))])
    rest = plan.only(lambda action: not action.destructive)
    assert [action.kind for action in rest.actions] == ["create"]


def test_to_dict_is_json_and_repr_is_for_a_terminal() -> None:
    plan = compare([week(), Pitr.account("nightly", "7d")], [active(week(span="3d"))])
    told = json.loads(json.dumps(plan.to_dict()))
    assert told == plan.to_dict()
    assert list(told) == [
        "format_version",
        "in_sync",
        "actions",
        "conflicts",
        "undeclared",
        "history",
        "unknown",
        "rows_only",
        "held",
        "when_released",
    ]
    assert told["format_version"] == 1
    assert told["actions"][0] == {
        "kind": "alter",
        "name": "orders_week",
        "level": "table",
        "account_name": None,
        "database_name": "shop",
        "table_name": "orders",
        "range": "7d",
        "existing_name": "orders_week",
        "existing_range": "3d",
        "reason": "its range is 3d, declared is 7d",
        "destructive": False,
        "cost": "the server's shown recovery window starts anew; what can be restored stays",
        "sql": ["ALTER PITR `orders_week` RANGE 7 'd'"],
    }
    assert repr(plan) == (
        "Plan: 1 to create, 1 to alter\n"
        "  ~ alter orders_week, table shop.orders, 3d -> 7d: its range is 3d, declared is 7d\n"
        "  + create nightly, the current account, 7d: the server does not have it"
    )
    long = compare([week(f"w{n}", f"t{n}") for n in range(100)], [])
    assert len(repr(long).splitlines()) == 32
    assert "... and 70 more" in repr(long)


def test_a_declared_policy_needs_its_database() -> None:
    with pytest.raises(PitrValidationError, match="names no database"):
        compare([Pitr.table("orders_week", "orders", "7d")], [])


# -- generations -----------------------------------------------------------------------------------


@given(st.from_regex(r"[a-z%日][a-z0-9_.%日]{0,20}", fullmatch=True), st.integers(2, 10**8))
def test_generations_are_read_as_they_are_written(name: str, number: int) -> None:
    assert split_generation(generation_name(name, number)) == (name, number)
    assert generation_name(name, 1) == name


@pytest.mark.parametrize(
    "name", ["a__g1", "a__g0", "a__g02", "__g2", "a_g2", "a__x", "a__2", "a__2025", "a__g2x"]
)
def test_names_that_are_no_generations(name: str) -> None:
    assert split_generation(name) == (name, 1)


def test_a_numbered_name_of_another_object_is_a_policy_of_its_own() -> None:
    found = policies([week("w"), week("w__g2", "other"), week("v__g2", "v")])
    assert [(policy.name, len(policy.generations)) for policy in found] == [
        ("v", 1),
        ("w", 1),
        ("w__g2", 1),
    ]


def test_find() -> None:
    there = [detached(week("w")), active(week("w__g2")), active(week("x__g3", "x"))]
    assert [
        p and p.name for p in (find_pitr(there, n) for n in ("w", "w__g2", "x", "x__g3", "y"))
    ] == [
        "w__g2",
        "w__g2",
        None,
        "x__g3",
        None,
    ]


def test_spent() -> None:
    def at(days: int) -> dt.datetime:
        return NOW - dt.timedelta(days=days)

    first, second = detached(week("w"), at(30)), detached(week("w__g2"), at(8))
    third = detached(week("w__g3"), at(6))
    [policy] = policies([first, second, third])
    assert expired(policy, NOW) == (first,)
    assert expired(policy, NOW - dt.timedelta(days=1)) == ()
    assert expired(policy, NOW + dt.timedelta(days=2)) == (first, second)
