"""Keepers of a moment's history, computed: the table of docs/server.md, Garbage collection."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sqlalchemy_matrixone_pitr import Kept, Moment, Pitr, PitrStatus, Verdict
from sqlalchemy_matrixone_pitr.catalog import ObjectKey
from sqlalchemy_matrixone_pitr.coverage.model import Known, Policy, Snapshot, policy_of
from sqlalchemy_matrixone_pitr.coverage.verdicts import judge
from sqlalchemy_matrixone_pitr.server import rules_of

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
KEY = ("shop", "orders")
DB, TABLE = 10, 20
IDS: dict[ObjectKey, int] = {("shop", None): DB, KEY: TABLE}


def ago(**length: float) -> Moment:
    return Moment.of(NOW - dt.timedelta(**length))


def known(*policies: Policy, **more: Any) -> Known:
    made = {"shop": ago(days=400)}
    return Known(**{"now": Moment.of(NOW), "policies": policies, "ids": IDS, "made": made, **more})


def of(pitr: Pitr, made: dt.timedelta, changed: dt.timedelta | None = None) -> Pitr:
    """A policy that was made, and changed, so long ago."""
    times = {"created_time": NOW - made, "modified_time": NOW - (changed or made)}
    return Pitr(
        pitr.name,
        pitr.level,
        pitr.range,
        account_name=pitr.account_name,
        database_name=pitr.database_name,
        table_name=pitr.table_name,
        status=pitr.status,
        **times,
    )


DAYS = dt.timedelta(days=1)
ACCOUNT = Policy(of(Pitr.account("a", "7d"), 20 * DAYS))
DATABASE = Policy(of(Pitr.database("d", "7d", database_name="shop"), 20 * DAYS), DB)
TABLE_POLICY = Policy(of(Pitr.table("t", "orders", "7d", database_name="shop"), 20 * DAYS), TABLE)
OTHER = Policy(of(Pitr.database("o", "7d", database_name="other"), 20 * DAYS), 99)
OF_OTHER_ACCOUNT = Policy(of(Pitr.account("x", "7d", account_name="acme"), 20 * DAYS))


def verdict(state: Known, moment: Moment, then: dict[ObjectKey, int] | None = None) -> Verdict:
    found = judge(state, KEY, moment, IDS if then is None else then)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("policies", "moment", "kept", "by", "indexes"),
    [
        ([], ago(minutes=5), Kept.PROBABLE, (), False),
        ([], ago(minutes=61), Kept.NOT_KEPT, (), False),
        ([OTHER], ago(days=1), Kept.NOT_KEPT, (), False),
        ([OF_OTHER_ACCOUNT], ago(days=1), Kept.NOT_KEPT, (), False),
        ([ACCOUNT], ago(days=6.9), Kept.KEPT, ("a",), True),
        ([ACCOUNT], ago(days=7.1), Kept.NOT_KEPT, (), False),
        ([DATABASE], ago(days=6), Kept.KEPT, ("d",), True),
        ([TABLE_POLICY], ago(days=6), Kept.KEPT, ("t",), False),
        ([TABLE_POLICY, DATABASE], ago(days=6), Kept.KEPT, ("t", "d"), True),
    ],
)
def test_levels_and_ranges(
    policies: list[Policy], moment: Moment, kept: Kept, by: tuple[str, ...], indexes: bool
) -> None:
    found = verdict(known(*policies), moment)
    assert (found.kept, found.by, found.indexes) == (kept, by, indexes)
    assert bool(found.reason) is (kept is not Kept.KEPT)


def test_months_are_the_calendars() -> None:
    year = Policy(of(Pitr.account("a", "1y"), 900 * DAYS))
    assert verdict(known(year), ago(days=364)).kept is Kept.KEPT
    assert verdict(known(year), ago(days=366)).kept is Kept.NOT_KEPT


@pytest.mark.parametrize(
    ("before", "kept"),
    [(-2, Kept.KEPT), (0.5, Kept.PROBABLE), (59 * 60, Kept.PROBABLE), (3700, Kept.NOT_KEPT)],
)
def test_before_a_policy_was_made(before: float, kept: Kept) -> None:
    """It keeps what was there when it was made: an hour, by default."""
    made = Policy(of(Pitr.account("a", "30d"), 3 * DAYS))
    found = verdict(known(made), Moment.of(NOW - 3 * DAYS - dt.timedelta(seconds=before)))
    assert found.kept is kept


def test_before_a_range_was_changed() -> None:
    """It may have been shorter before: what is sure is the hour that every range has."""
    longer = Policy(of(Pitr.account("a", "30d"), 20 * DAYS, 3 * DAYS))
    assert verdict(known(longer), ago(days=3, minutes=50)).kept is Kept.KEPT
    found = verdict(known(longer), ago(days=4))
    assert found.kept is Kept.PROBABLE
    assert "was made or changed after it" in found.reason
    assert verdict(known(longer), ago(days=20, minutes=30)).kept is Kept.PROBABLE
    assert verdict(known(longer), ago(days=21)).kept is Kept.NOT_KEPT


def test_the_table_was_another_one_then() -> None:
    """Rebuilt after the policy was made: its history before is kept, that since is not."""
    assert verdict(known(TABLE_POLICY), ago(days=5), {**IDS, KEY: TABLE}).kept is Kept.KEPT
    found = verdict(known(TABLE_POLICY), ago(days=1), {**IDS, KEY: TABLE + 1})
    assert found.kept is Kept.NOT_KEPT
    assert "t was made for an object of this name that is another one" in found.reason
    renewed = Policy(
        of(Pitr.table("t__g2", "orders", "7d", database_name="shop"), 2 * DAYS), TABLE + 1
    )
    both = known(renewed, TABLE_POLICY)
    assert verdict(both, ago(days=1), {**IDS, KEY: TABLE + 1}).by == ("t__g2",)
    assert verdict(both, ago(days=5)).by == ("t",)


def test_a_renamed_table_is_known_by_its_id() -> None:
    renamed = ("shop", "old_orders")
    found = judge(known(TABLE_POLICY), renamed, ago(days=1), {**IDS, renamed: TABLE})
    assert found is not None
    assert found.by == ("t",)


def test_a_dropped_database_and_one_made_again() -> None:
    dropped = known(DATABASE, ids={}, made={})
    assert verdict(dropped, ago(days=1)).kept is Kept.KEPT
    again = {**IDS, ("shop", None): DB + 1}
    since = known(DATABASE, ids=again, made={"shop": ago(days=2)})
    assert verdict(since, ago(days=1), again).kept is Kept.NOT_KEPT
    assert verdict(since, ago(days=3)).kept is Kept.KEPT


def test_partitions_have_ids_of_their_own() -> None:
    parts = frozenset({KEY})
    found = verdict(known(TABLE_POLICY, partitioned=parts), ago(days=1))
    assert found.kept is Kept.NOT_KEPT
    assert "keeps no partitions" in found.reason
    old = known(TABLE_POLICY, partitioned=parts, rules=rules_of((3, 0, 9)))
    assert verdict(old, ago(days=1)).kept is Kept.KEPT
    assert verdict(known(DATABASE, partitioned=parts), ago(days=1)).kept is Kept.KEPT


def test_a_table_that_was_not_there() -> None:
    assert verdict(known(), ago(days=1), {("shop", None): DB}).kept is Kept.ABSENT


def test_snapshots_keep_their_instant() -> None:
    instant = ago(days=50)
    for snapshot in (
        Snapshot("s", instant),
        Snapshot("s", instant, "shop"),
        Snapshot("s", instant, "shop", "orders"),
    ):
        found = verdict(known(snapshots=[snapshot]), instant)
        assert (found.kept, found.by, found.indexes) == (Kept.KEPT, ("s",), True)
        later = Moment(instant.nanoseconds + 1)
        assert verdict(known(snapshots=[snapshot]), later).kept is Kept.NOT_KEPT
    other = Snapshot("s", instant, "shop", "lines")
    assert verdict(known(snapshots=[other]), instant).kept is Kept.NOT_KEPT


def test_what_needs_no_ids_of_the_moment() -> None:
    """So that no statement is sent for it."""
    assert judge(known(ACCOUNT, TABLE_POLICY), KEY, ago(days=1)) is not None
    assert judge(known(DATABASE), KEY, ago(days=1)) is not None
    assert judge(known(TABLE_POLICY), KEY, ago(days=1)) is None
    assert judge(known(), KEY, ago(days=1)) is None
    assert judge(known(DATABASE, made={"shop": ago(hours=1)}), KEY, ago(days=1)) is None


def test_accounts_that_cannot_read_the_recorded_ids() -> None:
    pitr = DATABASE.pitr
    active = policy_of(pitr.with_status(PitrStatus.ACTIVE), DB)
    assert verdict(known(active), ago(days=1)).kept is Kept.KEPT
    for status in (PitrStatus.DETACHED, PitrStatus.UNKNOWN):
        found = verdict(known(policy_of(pitr.with_status(status), DB)), ago(days=1))
        assert (found.kept, found.by) == (Kept.PROBABLE, ("d",))
        assert "not known to this account" in found.reason


def test_the_policy_that_would_have_kept_it() -> None:
    for moment, length in [
        (ago(hours=5.5), "6h"),
        (ago(days=10), "11d"),
        (ago(days=200), "1y"),
    ]:
        reason = verdict(known(), moment).reason
        assert f"Pitr.database('shop_kept', '{length}', database_name='shop')" in reason
