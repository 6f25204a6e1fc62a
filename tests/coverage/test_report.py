"""Reports: what they say of tables, what is at risk, and gauges; and what they cost."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from benchmarks.coverage import computed_from, policy_rows, table_rows
from sqlalchemy_matrixone_pitr import (
    CoverageReport,
    CoverageState,
    Gap,
    Kept,
    Moment,
    Pitr,
    PitrLevel,
    PitrRange,
    PitrStatus,
    PitrUnit,
    RiskKind,
    TableCoverage,
    Window,
    WindowKind,
)
from sqlalchemy_matrixone_pitr.coverage.computing import Requirements
from sqlalchemy_matrixone_pitr.coverage.metrics import to_text
from sqlalchemy_matrixone_pitr.coverage.ranges import lets_go_at, may_be_shorter
from sqlalchemy_matrixone_pitr.extent import Extent, Parts

NOW = Moment.parse("2026-11-29 12:00:00Z")
HOUR = dt.timedelta(hours=1)
WEEK = Window(
    NOW - 24 * HOUR,
    None,
    "week",
    PitrLevel.TABLE,
    WindowKind.POLICY,
    range=PitrRange.parse("7d"),
)
EIGHT_DAYS = PitrRange.parse("8d")
PITR = Pitr.table("week", "orders", "7d", database_name="shop").with_status(PitrStatus.ACTIVE)
ORDERS = TableCoverage("shop", "orders", (WEEK,), (PITR,), extent=Extent.ALL, made=NOW - 99 * HOUR)


def report(*tables: TableCoverage, **more: object) -> CoverageReport:
    return CoverageReport("sys", NOW, tables, (PITR,), **more)  # type: ignore[arg-type]


def kinds(found: CoverageReport, within: str = "24h") -> list[str]:
    return [risk.kind.value for risk in found.at_risk(within)]


# ------------------------------------------------------------------------------------------- tables


def test_a_table_that_is_covered() -> None:
    found = report(ORDERS)
    assert (found.ok, found.exit_code, found.at_risk()) == (True, 0, ())
    assert found.table("SHOP", "Orders") is ORDERS
    assert found.by_database() == {"shop": (ORDERS,)}
    assert (ORDERS.restorable_from, ORDERS.restorable_until) == (WEEK.begin, None)
    assert ORDERS.restorable_at(NOW)
    assert not ORDERS.restorable_at(NOW - 25 * HOUR)


@pytest.mark.parametrize(
    ("changes", "state", "risk"),
    [
        ({"extent": Extent.ROWS, "parts": Parts(("uq",))}, "rows only", ["rows only"]),
        ({"extent": Extent.NOTHING, "policies": ()}, "not covered", ["not covered"]),
        ({"extent": Extent.NOTHING, "policies": (), "unprotected": "why"}, "unprotected", []),
        ({"exists": False}, "gone", []),
        (
            {"requirement": EIGHT_DAYS, "meets_requirement": False},
            "covered",
            ["too short"],
        ),
        (
            {
                "extent": Extent.NOTHING,
                "policies": (PITR.with_status(PitrStatus.DETACHED),),
                "gaps": (Gap(NOW - HOUR, None, "why"),),
            },
            "detached",
            ["detached"],
        ),
        (
            {"extent": Extent.NOTHING, "policies": (PITR.with_status(PitrStatus.UNKNOWN),)},
            "unknown",
            ["unknown"],
        ),
    ],
)
def test_states_and_risks(changes: dict[str, object], state: str, risk: list[str]) -> None:
    table = replace(ORDERS, **changes)  # type: ignore[arg-type]
    assert table.state is CoverageState(state)
    found = report(table)
    assert kinds(found) == risk
    assert found.ok is not bool(risk)
    if state == "detached":
        assert "week was detached at 2026-11-29 11:00:00Z" in found.at_risk()[0].message
    if state == "unknown":  # a renewal does nothing: the policy may protect the table
        assert "mo-pitr renew" not in found.at_risk()[0].message
        assert "DROP PITR gives the history up" in found.at_risk()[0].message
    assert json.loads(json.dumps(found.to_dict()))["tables"][0]["state"] == state


def test_the_best_window_comes_first() -> None:
    probable = replace(WEEK, by="perhaps", kept=Kept.PROBABLE)
    rows_only = replace(WEEK, by="rows", indexes=False)
    wide = replace(WEEK, by="wide", level=PitrLevel.ACCOUNT)
    table = replace(ORDERS, windows=(probable, rows_only, wide, WEEK))
    assert [one.by for one in table.windows_at(NOW)] == ["week", "wide", "rows", "perhaps"]


# -------------------------------------------------------------------------------------------- risks


def test_a_moment_that_ranges_are_about_to_let_go_of() -> None:
    at = NOW - 20 * HOUR
    short = replace(WEEK, range=PitrRange.parse("1d"))
    found = report(replace(ORDERS, windows=(short,)), at=at)
    [risk] = found.at_risk("24h")
    assert (risk.kind, risk.when, risk.policy) == (RiskKind.LETTING_GO, at + 24 * HOUR, "week")
    assert kinds(found, "4h") == []  # four hours are left
    assert kinds(found, "5h") == ["letting go"]
    assert kinds(report(replace(ORDERS, windows=(short, WEEK)), at=at)) == []


def test_a_moment_that_is_lost() -> None:
    at = NOW - 30 * HOUR
    assert kinds(report(ORDERS, at=at)) == ["lost"]
    younger = replace(ORDERS, made=NOW - 26 * HOUR)
    [risk] = report(younger, at=at).at_risk()  # it may have been there, and been altered since
    assert (risk.kind, report(younger, at=at).ok) == (RiskKind.UNKNOWN, False)
    assert risk.message.endswith("whether it was there then is not known")
    assert kinds(report(replace(younger, exists=False), at=at)) == []
    unprotected = replace(ORDERS, unprotected="why", windows=(), policies=())
    assert kinds(report(unprotected, at=at)) == []  # whatever the moment
    since = replace(WEEK, since=NOW - 40 * HOUR)
    assert kinds(report(replace(ORDERS, windows=(since,)), at=at)) == []
    hole = replace(younger, gaps=(Gap(NOW - 31 * HOUR, NOW - 29 * HOUR, "why"),))
    assert kinds(report(hole, at=at)) == ["lost"]


def test_a_moment_that_is_perhaps_kept() -> None:
    """Not silent: a restore of it is refused."""
    at = NOW - 3 * HOUR
    perhaps = replace(WEEK, kept=Kept.PROBABLE, reason="its range was changed")
    [risk] = report(replace(ORDERS, windows=(perhaps,)), at=at).at_risk()
    assert (risk.kind, risk.subject) == (RiskKind.UNKNOWN, "shop.orders")
    assert risk.message.endswith("is not known: its range was changed")
    assert kinds(report(replace(ORDERS, windows=(perhaps, WEEK)), at=at)) == []


def test_policies_without_a_target_and_ranges_too_short_for_cdc() -> None:
    gone = Pitr.database("old", "7d", database_name="archive").with_status(PitrStatus.DETACHED)
    [risk] = report(gone=(gone,)).at_risk()
    assert (risk.kind, risk.policy, risk.database_name) == (RiskKind.TARGET_GONE, "old", "archive")
    assert "database archive is gone" in risk.message
    hour = Pitr.account("hourly", "1h").with_status(PitrStatus.ACTIVE)
    found = CoverageReport("sys", NOW, (ORDERS,), (hour,))
    assert kinds(found) == ["cdc"]
    assert found.ok  # nothing is lost by it
    two = Pitr.account("two", "2h").with_status(PitrStatus.ACTIVE)
    assert kinds(CoverageReport("sys", NOW, (ORDERS,), (two,))) == []


def test_the_gravest_first() -> None:
    bare = replace(ORDERS, table_name="bare", extent=Extent.NOTHING, policies=(), windows=())
    keyed = replace(ORDERS, table_name="keyed", extent=Extent.ROWS, parts=Parts(("uq",)))
    assert kinds(report(bare, keyed, ORDERS)) == ["not covered", "rows only"]
    assert kinds(report(keyed, replace(bare, table_name="z"))) == ["not covered", "rows only"]


def test_whose_range_is_required() -> None:
    declared = [
        Pitr.cluster("c", "2y"),
        Pitr.account("a", "1mo"),
        Pitr.account("x", "1y", account_name="acme"),
        Pitr.database("d", "7d", database_name="shop"),
        Pitr.table("t", "orders", "1d", database_name="shop"),
    ]
    found = Requirements.of(declared, PitrRange.parse("1h"), {("shop", "cache"): "why"})
    tables = [("shop", "orders"), ("shop", "lines"), ("archive", "orders"), ("shop", "cache")]
    assert [str(found.range_of(key)) for key in tables] == ["1d", "7d", "1mo", "None"]
    assert str(Requirements(PitrRange.parse("1h")).range_of(tables[0])) == "1h"


RANGES = st.builds(PitrRange, st.integers(1, 100), st.sampled_from(PitrUnit))
DAYS = st.datetimes(dt.datetime(2001, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))


@given(RANGES, DAYS)
def test_a_range_lets_go_at_the_last_moment(range: PitrRange, day: dt.datetime) -> None:
    moment = Moment.of(day)
    last = lets_go_at(range, moment)
    step = dt.timedelta(microseconds=1)
    assert Moment.of(range.start(last.datetime())) <= moment
    assert Moment.of(range.start((last + step).datetime())) > moment


@given(RANGES, RANGES, DAYS)
def test_a_range_that_is_never_shorter_lets_go_no_sooner(
    one: PitrRange, other: PitrRange, day: dt.datetime
) -> None:
    if not may_be_shorter(one, other):
        assert lets_go_at(other, Moment.of(day)) >= lets_go_at(one, Moment.of(day))


# ------------------------------------------------------------------------------------------- gauges

LINE = re.compile(
    r"# HELP (?P<help>[a-z_]+) [^\n]+|# TYPE (?P<type>[a-z_]+) gauge"
    r'|(?P<name>[a-z_]+)(?:\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})?'
    r" -?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
)


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_gauges_are_in_the_text_format(account: str, name: str) -> None:
    gap = replace(ORDERS, table_name=name, gaps=(Gap(NOW - 2 * HOUR, NOW - HOUR, "why"),))
    text = replace(report(ORDERS, gap), account=account).to_prometheus()
    assert text.endswith("\n")
    known: set[str] = set()
    for line in text[:-1].split("\n"):
        found = LINE.fullmatch(line)
        assert found, line
        known |= {found["type"]} if found["type"] else set()
        assert found["name"] is None or found["name"] in known


def test_gauges() -> None:
    required = replace(ORDERS, requirement=PitrRange.parse("1d"), meets_requirement=True)
    gap = Gap(NOW - 3 * HOUR, NOW - 2 * HOUR, "why")
    rows_only = replace(ORDERS, table_name='a"b\\', gaps=(gap,), extent=Extent.ROWS)
    lines = report(rows_only, required).to_prometheus().splitlines()
    orders = 'account="sys",database="shop",table="orders"'
    odd = 'account="sys",database="shop",table="a\\"b\\\\"'
    now = NOW.nanoseconds // 10**9
    for line in (
        f"matrixone_pitr_first_recoverability_point{{{orders}}} {now - 24 * 3600}",
        f"matrixone_pitr_last_available_timestamp{{{orders}}} {now}",
        f"matrixone_pitr_gap_seconds{{{odd}}} 3600",
        f"matrixone_pitr_table_protected{{{odd}}} 0.5",
        f"matrixone_pitr_table_protected{{{orders}}} 1",
        f"matrixone_pitr_requirement_met{{{orders}}} 1",
        'matrixone_pitr_tables{account="sys",state="rows only"} 1',
        'matrixone_pitr_policies{account="sys",status="active"} 1',
        'matrixone_pitr_risks{account="sys",kind="rows only"} 1',
        "# TYPE matrixone_pitr_gap_seconds gauge",
    ):
        assert line in lines
    assert to_text([("nothing", "Without samples.", [])]) == ""


# --------------------------------------------------------------------------------------------- cost


def calls(size: int) -> int:
    """The calls of Python functions that a report of so many tables takes, and what it tells."""
    tables, policies = table_rows(size), policy_rows(size)
    computed_from(tables[:10], policies[:10])  # what is made once
    counted = 0

    def count(frame: object, what: str, argument: object) -> None:
        nonlocal counted
        counted += what == "call"

    sys.setprofile(count)
    try:
        found = computed_from(tables, policies)
        found.at_risk()
        found.to_prometheus()
        found.to_dict()
    finally:
        sys.setprofile(None)
    assert len(found.tables) == size
    return counted


def test_work_grows_with_the_tables() -> None:
    few, more, most = calls(400), calls(800), calls(1600)
    assert most - more < 2.2 * (more - few)
    assert (most - more) / 800 < 400  # calls for each table
