"""The windows of a table, computed: histories of policies, and what is kept of them by rule."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, strategies as st

from sqlalchemy_matrixone_pitr import Kept, Moment, Pitr, PitrLevel, PitrStatus, Window, WindowKind
from sqlalchemy_matrixone_pitr.catalog import Key, ObjectKey
from sqlalchemy_matrixone_pitr.coverage.model import GC_TTL, Earlier, Known, Policy, Snapshot
from sqlalchemy_matrixone_pitr.coverage.verdicts import judge
from sqlalchemy_matrixone_pitr.coverage.windows import Windows, lasts
from sqlalchemy_matrixone_pitr.extent import Extent, Parts
from sqlalchemy_matrixone_pitr.model import PitrRange
from sqlalchemy_matrixone_pitr.server import Version, rules_of

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
KEY: Key = ("shop", "orders")
DB, TABLE = 10, 20
IDS: dict[ObjectKey, int] = {("shop", None): DB, KEY: TABLE}


def ago(**length: float) -> Moment:
    return Moment.of(NOW - dt.timedelta(**length))


def policy(
    pitr: Pitr,
    object_id: int | None,
    made: Moment,
    *,
    changed: Moment | None = None,
    ended: Moment | None = None,
    status: PitrStatus = PitrStatus.ACTIVE,
) -> Policy:
    return Policy(pitr.with_status(status), object_id, made, changed or made, ended)


def known(*policies: Policy, **more: object) -> Known:
    """A shop that is as old as its table, without indexes."""
    facts: dict[str, object] = {
        "now": Moment.of(NOW),
        "policies": policies,
        "ids": IDS,
        "made": {"shop": ago(days=400)},
        "altered": {KEY: ago(days=300)},
        **more,
    }
    return Known(**facts)  # type: ignore[arg-type]


def windows(state: Known, key: Key = KEY) -> tuple[Window, ...]:
    return Windows(state).of(key)


ACCOUNT = policy(Pitr.account("a", "7d"), None, ago(days=20))
DATABASE = policy(Pitr.database("d", "7d", database_name="shop"), DB, ago(days=20))
WEEK = Pitr.table("t", "orders", "7d", database_name="shop")


def of_table(made: Moment, **more: object) -> Policy:
    return policy(WEEK, TABLE, made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("one", [ACCOUNT, DATABASE, of_table(ago(days=20))])
def test_a_window_begins_with_the_range(one: Policy) -> None:
    [window] = windows(known(one))
    assert (window.begin, window.end) == (ago(days=7), None)
    assert (window.by, window.level) == (one.pitr.name, one.pitr.level)
    assert (window.kind, window.kept) == (WindowKind.POLICY, Kept.KEPT)


def test_a_window_begins_with_the_policy() -> None:
    [window] = windows(known(of_table(ago(days=3))))
    assert window.begin == ago(days=3)


def test_a_policy_of_this_very_second_has_a_window() -> None:
    """SHOW PITR gives whole seconds, so that it may seem to be made in the future."""
    [window] = windows(known(of_table(Moment.of(NOW) + dt.timedelta(seconds=1))))
    assert window.begin == Moment.of(NOW)


def test_a_range_of_0_keeps_nothing() -> None:
    nothing = Pitr.from_server(
        "t",
        "table",
        PitrRange.from_server(0, "d"),
        account_name=None,
        database_name="shop",
        table_name="orders",
        created_time=None,
        modified_time=None,
    )
    assert windows(known(policy(nothing, TABLE, ago(days=3)))) == ()


def test_a_changed_range_is_probable_before_the_hour_before() -> None:
    probable, sure = windows(known(of_table(ago(days=6), changed=ago(days=2))))
    assert (probable.begin, probable.end) == (ago(days=6), sure.begin)
    assert (probable.kept, sure.kept) == (Kept.PROBABLE, Kept.KEPT)
    assert sure.begin == ago(days=2, hours=1)
    assert "was changed" in probable.reason


def test_other_accounts_databases_and_tables() -> None:
    others = (
        policy(Pitr.account("x", "7d", account_name="acme"), None, ago(days=9)),
        policy(Pitr.database("o", "7d", database_name="other"), 99, ago(days=9)),
        policy(Pitr.table("u", "users", "7d", database_name="shop"), 98, ago(days=9)),
    )
    assert windows(known(*others)) == ()


# --------------------------------------------------------------------------------------- detached


def test_a_detached_policy_ends_where_the_server_says() -> None:
    old = replace(of_table(ago(days=5), ended=ago(days=2)), object_id=TABLE - 1)
    state = known(old)
    [window] = windows(state)
    assert (window.begin, window.end) == (ago(days=5), ago(days=2))
    assert (window.kind, window.kept) == (WindowKind.DETACHED, Kept.KEPT)
    [gap] = Windows(state).gaps_of(KEY, [window])
    assert (gap.begin, gap.end) == (ago(days=2), None)
    assert gap.reason == "t was detached, and no policy was made since"


def test_a_detached_policy_is_over_when_its_range_has_passed_it() -> None:
    old = replace(of_table(ago(days=20), ended=ago(days=8)), object_id=TABLE - 1)
    assert windows(known(old)) == ()


def test_generations_and_the_gap_between_them() -> None:
    first = replace(of_table(ago(days=6), ended=ago(days=3)), object_id=TABLE - 1)
    second = Policy(replace_name(WEEK, "t__g2"), TABLE, ago(days=2), ago(days=2))
    state = known(first, second)
    found = windows(state)
    assert [(one.by, one.kind.value) for one in found] == [("t", "detached"), ("t__g2", "policy")]
    [gap] = Windows(state).gaps_of(KEY, found)
    assert (gap.begin, gap.end) == (ago(days=3), ago(days=2))
    assert gap.reason == "t was detached, and t__g2 keeps what is from its creation on"
    with_database = known(first, second, DATABASE)
    assert Windows(with_database).gaps_of(KEY, windows(with_database)) == ()


def replace_name(pitr: Pitr, name: str) -> Pitr:
    return pitr.with_name(name).with_status(PitrStatus.ACTIVE)


def test_an_end_that_the_server_has_not_noticed() -> None:
    """TRUNCATE before 4.0: status 1 and a stale id. It ended before the table's last change."""
    stale = replace(of_table(ago(days=5)), object_id=TABLE - 1)
    [window] = windows(known(stale, altered={KEY: ago(days=2)}))
    assert (window.kind, window.kept) == (WindowKind.DETACHED, Kept.PROBABLE)
    assert window.end == ago(days=2) + dt.timedelta(seconds=1)
    assert "has not recorded when" in window.reason
    renewed = Policy(replace_name(WEEK, "t__g2"), TABLE, ago(days=4), ago(days=4))
    first, _ = windows(known(stale, renewed, altered={KEY: ago(days=2)}))
    assert first.end == ago(days=4)  # the next policy for it was not refused


def test_a_plain_policy_of_a_rebuilt_table_keeps_nothing_on_4() -> None:
    logical = replace(of_table(ago(days=5)), object_id=TABLE - 5)
    assert windows(known(logical, logical_ids={KEY: TABLE - 5})) == ()


def test_a_renamed_table_is_probable_under_both_names() -> None:
    old: Key = ("shop", "lines")
    renamed = policy(Pitr.table("l", "lines", "7d", database_name="shop"), TABLE, ago(days=5))
    [here] = windows(known(renamed))
    [there] = windows(known(renamed), old)
    assert (here.by, here.kept, here.end) == ("l", Kept.PROBABLE, None)
    assert (there.by, there.kept, there.kind) == ("l", Kept.PROBABLE, WindowKind.DETACHED)
    assert Windows(known(renamed)).extent_of(KEY, [here]) is Extent.NOTHING


@pytest.mark.parametrize(
    ("status", "kind", "end"),
    [
        (PitrStatus.UNKNOWN, WindowKind.POLICY, None),
        (PitrStatus.DETACHED, WindowKind.DETACHED, ago(days=1) + dt.timedelta(seconds=1)),
    ],
)
def test_an_account_that_cannot_know(
    status: PitrStatus, kind: WindowKind, end: Moment | None
) -> None:
    doubtful = policy(WEEK, None, ago(days=5), status=status)
    state = known(doubtful, altered={KEY: ago(days=1)})
    [window] = windows(state)
    assert (window.kind, window.kept, window.end) == (kind, Kept.PROBABLE, end)
    assert "this account cannot know" in window.reason
    assert Windows(state).extent_of(KEY, [window]) is Extent.NOTHING


# --------------------------------------------------------------------------------- indexes, levels


@pytest.mark.parametrize(
    ("parts", "version", "extent", "indexes"),
    [
        (Parts(), (4, 2, 0), Extent.ALL, [True]),
        (Parts(("uq",)), (4, 2, 0), Extent.ROWS, [False]),
        (Parts(partitioned=True), (4, 2, 0), Extent.NOTHING, []),
        (Parts(("uq",), partitioned=True), (3, 0, 9), Extent.ROWS, [False]),
    ],
)
def test_a_tables_policy_keeps_no_parts(
    parts: Parts, version: Version, extent: Extent, indexes: list[bool]
) -> None:
    state = known(of_table(ago(days=5)), parts={KEY: parts}, rules=rules_of(version))
    found = windows(state)
    assert [one.indexes for one in found] == indexes
    assert Windows(state).extent_of(KEY, found) is extent
    wider = known(of_table(ago(days=5)), DATABASE, parts={KEY: parts}, rules=rules_of(version))
    assert Windows(wider).extent_of(KEY, windows(wider)) is Extent.ALL


def test_a_database_that_was_dropped_and_made_again() -> None:
    old = replace(DATABASE, object_id=DB - 1, ended=ago(days=2))
    [window] = windows(known(old, made={"shop": ago(days=2)}))
    assert (window.kind, window.end, window.level) == (
        WindowKind.DETACHED,
        ago(days=2),
        PitrLevel.DATABASE,
    )


def test_a_table_that_is_younger_than_its_databases_policy() -> None:
    made = ago(days=1)
    [window] = windows(known(DATABASE, altered={KEY: made}))
    assert (window.begin, window.since) == (made + dt.timedelta(seconds=1), ago(days=7))
    was = Earlier(ago(days=7), {KEY: TABLE - 3})
    [window] = windows(known(DATABASE, altered={KEY: made}, earlier=was))
    assert (window.begin, window.since) == (ago(days=7), None)  # altered, not made


def test_a_table_that_is_gone() -> None:
    gone = of_table(ago(days=5), ended=ago(days=2))
    ids: dict[ObjectKey, int] = {("shop", None): DB}
    state = known(gone, DATABASE, ids=ids, altered={})
    of_database, own, perhaps = windows(state)
    assert (own.begin, own.end, own.by) == (ago(days=5), ago(days=2), "t")
    assert (of_database.begin, of_database.end, of_database.by) == (ago(days=5), ago(days=2), "d")
    assert of_database.kept is Kept.KEPT
    # it may have been rebuilt when its own policy ended, and dropped later
    assert (perhaps.begin, perhaps.end, perhaps.by) == (ago(days=2), None, "d")
    assert (perhaps.kept, perhaps.reason) == (
        Kept.PROBABLE,
        "when the table was dropped is not known",
    )
    assert Windows(state).gaps_of(KEY, windows(state)) == ()
    assert windows(known(DATABASE, ids=ids, altered={})) == ()  # never heard of


OTHER = policy(Pitr.database("o", "90d", database_name="other"), 11, ago(days=60))
"""The oldest policy: ids are asked for at its begin, of the tables of all databases."""


def asked_early(ids: dict[ObjectKey, int], altered: Moment, **more: object) -> tuple[Window, ...]:
    """The windows under DATABASE, which reaches back to seven days ago, where the moment that was
    asked for is sixty days ago."""
    earlier = Earlier(ago(days=60), ids)
    state = known(OTHER, DATABASE, altered={KEY: altered}, earlier=earlier, **more)
    return windows(state)


def test_one_earlier_moment_and_a_table_that_is_the_same() -> None:
    [window] = asked_early(IDS, ago(days=3))
    assert (window.begin, window.kept) == (ago(days=7), Kept.KEPT)
    rebuilt = {("shop", None): DB, KEY: 19}
    [window] = asked_early(rebuilt, ago(days=3), logical_ids={KEY: 19})
    assert (window.begin, window.kept) == (ago(days=7), Kept.KEPT)


@pytest.mark.parametrize("then", [{("shop", None): DB}, {("shop", None): DB, KEY: 19}])
def test_one_earlier_moment_and_a_table_that_was_not_there_or_another(
    then: dict[ObjectKey, int],
) -> None:
    """It may have been dropped before the policy was made, and be made again three days ago."""
    born = ago(days=3) + dt.timedelta(seconds=1)
    perhaps, sure = asked_early(then, ago(days=3))
    assert (perhaps.begin, perhaps.end, perhaps.kept) == (ago(days=7), born, Kept.PROBABLE)
    assert "whether the table was there then is not known: coverage() of its database" in (
        perhaps.reason
    )
    assert (sure.begin, sure.end, sure.kept) == (born, None, Kept.KEPT)


def test_one_earlier_moment_and_a_table_that_is_gone() -> None:
    """It was there sixty days ago, and a policy of its own was made four days ago."""
    own = of_table(ago(days=4), ended=ago(days=2), status=PitrStatus.DETACHED)
    earlier = Earlier(ago(days=60), IDS)
    ids: dict[ObjectKey, int] = {("shop", None): DB}
    state = known(OTHER, DATABASE, own, ids=ids, altered={}, earlier=earlier)
    found = [(one.by, one.begin, one.end, one.kept) for one in windows(state)]
    assert found == [
        ("d", ago(days=7), ago(days=4), Kept.PROBABLE),
        ("d", ago(days=4), ago(days=2), Kept.KEPT),
        ("t", ago(days=4), ago(days=2), Kept.KEPT),
        ("d", ago(days=2), None, Kept.PROBABLE),
    ]


def test_a_snapshot_from_before_the_earlier_moment() -> None:
    """That the table was there later tells nothing."""
    earlier = Earlier(ago(days=60), {("shop", None): DB, KEY: 19})
    snapshots = [Snapshot("before", ago(days=80)), Snapshot("after", ago(days=50))]
    state = known(altered={KEY: ago(days=3)}, earlier=earlier, snapshots=snapshots)
    assert {one.by: one.kept for one in windows(state)} == {
        "before": Kept.PROBABLE,
        "after": Kept.KEPT,
    }


def test_a_held_range_is_not_the_one_that_lasts() -> None:
    held = replace(DATABASE, pitr=DATABASE.pitr.with_range("100y"), before=DATABASE.pitr.range)
    [window] = windows(known(held))
    assert (str(window.range), str(window.lasting_range)) == ("100y", "7d")
    for required, long_enough in (("7d", True), ("8d", False), ("100y", False)):
        assert lasts(window, PitrRange.parse(required)) is long_enough


def test_snapshots_are_instants() -> None:
    of_it = Snapshot("s", ago(days=9), "shop", "orders", TABLE)
    of_account = Snapshot("all", ago(days=8))
    other = Snapshot("o", ago(days=9), "shop", "lines")
    found = windows(known(of_table(ago(days=5)), snapshots=[of_account, other, of_it]))
    assert [(one.by, one.kind.value) for one in found] == [
        ("s", "snapshot"),
        ("all", "snapshot"),
        ("t", "policy"),
    ]
    assert ago(days=9) in found[0]
    assert ago(days=8.9) not in found[0]
    assert found[1].kept is Kept.KEPT  # the table is older
    [young] = windows(known(snapshots=[of_account], altered={KEY: ago(days=1)}))
    assert young.kept is Kept.PROBABLE


@pytest.mark.parametrize(
    ("recorded", "altered", "kept"),
    [
        (TABLE, ago(days=300), [Kept.KEPT]),
        (TABLE - 5, ago(days=300), []),  # of a rebuilt table, from 4.0 on
        (TABLE - 5, ago(days=1), [Kept.PROBABLE]),  # rebuilt before or after it
    ],
)
def test_a_snapshot_is_for_the_id_that_it_recorded(
    recorded: int, altered: Moment, kept: list[Kept]
) -> None:
    snapshot = Snapshot("s", ago(days=9), "shop", "orders", recorded)
    state = known(snapshots=[snapshot], altered={KEY: altered})
    assert [one.kept for one in windows(state)] == kept
    for then, verdict in ((recorded, Kept.KEPT), (recorded + 1, Kept.NOT_KEPT)):
        found = judge(state, KEY, ago(days=9), {**IDS, KEY: then})
        assert found is not None
        assert found.kept is verdict


# ----------------------------------------------------------------------------- whatever the history


@dataclass(frozen=True)
class Life:
    """Life of a table and its policies: the ids it had, from when on."""

    changes: list[tuple[Moment, int]]
    state: Known

    def id_at(self, moment: Moment) -> int:
        return next(id_ for since, id_ in reversed(self.changes) if since <= moment)


HOURS = st.integers(1, 24 * 15)
RANGES = st.sampled_from(["1h", "5h", "1d", "7d", "1mo"])


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A table that is rebuilt now and then, and policies of all levels that come meanwhile.

    One at most for an object: the server refuses a second one.
    """
    rebuilt = sorted({ago(hours=hours) for hours in draw(st.lists(HOURS, max_size=3))})
    changes = [(ago(days=400), 100)]
    changes += [(at, 101 + number) for number, at in enumerate(rebuilt)]
    noticed = draw(st.booleans())

    def id_at(moment: Moment) -> int:
        return next(id_ for since, id_ in reversed(changes) if since <= moment)

    policies: list[Policy] = []
    taken: set[tuple[str, int]] = set()
    for number, hours in enumerate(draw(st.lists(HOURS, max_size=4))):
        made, range_ = ago(hours=hours, minutes=30), draw(RANGES)
        later = draw(st.integers(0, hours))
        changed = ago(hours=later, minutes=15) if draw(st.booleans()) and later < hours else made
        level = draw(st.sampled_from(["table", "database", "account"]))
        own = id_at(made)
        one = (level, own if level == "table" else 0)
        if one in taken:
            continue
        taken.add(one)
        if level == "table":
            pitr = Pitr.table(f"t{number}", "orders", range_, database_name="shop")
            end = next((at for at, id_ in changes if id_ == own + 1), None)
            ended = end if noticed else None
            status = PitrStatus.ACTIVE if end is None else PitrStatus.DETACHED
            policies.append(policy(pitr, own, made, changed=changed, ended=ended, status=status))
        elif level == "database":
            pitr = Pitr.database(f"d{number}", range_, database_name="shop")
            policies.append(policy(pitr, DB, made, changed=changed))
        else:
            policies.append(policy(Pitr.account(f"a{number}", range_), None, made, changed=changed))
    ids: dict[ObjectKey, int] = {("shop", None): DB, KEY: changes[-1][1]}
    altered = {KEY: changes[-1][0]}
    earlier = Earlier(ago(days=31), {("shop", None): DB, KEY: 100})
    return Life(changes, known(*policies, ids=ids, altered=altered, earlier=earlier))


@given(lives(), st.lists(st.integers(0, 24 * 60 * 32), max_size=8))
def test_windows_agree_with_the_verdict_of_each_moment(life: Life, minutes: list[int]) -> None:
    """A verdict knows the id of its moment; the windows may know less, and never say otherwise."""
    found = windows(life.state)
    for back in minutes:
        moment = ago(minutes=back, seconds=7)
        then: dict[ObjectKey, int] = {("shop", None): DB, KEY: life.id_at(moment)}
        verdict = judge(life.state, KEY, moment, then)
        assert verdict is not None
        there = {one.kept for one in found if moment in one}
        if Kept.KEPT in there:
            assert verdict.kept is Kept.KEPT
        elif verdict.kept is Kept.KEPT:
            assert Kept.PROBABLE in there
        if not there and verdict.by:
            assert any(  # it was not collected before the policy came, for an hour
                one.begin - GC_TTL <= moment < one.begin for one in found
            )


@given(lives())
def test_gaps_and_windows_share_all_time_out(life: Life) -> None:
    """Each moment from the first window on is in a window or in a gap, and never in both."""
    found = windows(life.state)
    gaps = Windows(life.state).gaps_of(KEY, found)
    edges = {one.begin for one in found} | {gap.begin for gap in gaps}
    edges |= {one.end for one in found if one.end is not None}
    first = min((one.begin for one in found), default=Moment.of(NOW))
    for edge in edges:
        for moment in (edge, edge + dt.timedelta(minutes=1), edge - dt.timedelta(minutes=1)):
            if first <= moment <= life.state.now:
                assert any(moment in one for one in found) != any(moment in gap for gap in gaps)


@given(lives(), st.integers(1, 40))
def test_nothing_begins_earlier_as_time_goes_on(life: Life, days: int) -> None:
    later = replace(life.state, now=life.state.now + dt.timedelta(days=days))
    begins = {one.by: one.begin for one in reversed(windows(life.state))}  # the first of each
    for one in windows(later):
        assert one.begin >= begins[one.by]


@given(lives())
def test_another_policy_takes_nothing_away(life: Life) -> None:
    more = replace(life.state, policies=[*life.state.policies, DATABASE])
    assert set(windows(life.state)) <= set(windows(more)) | {
        one for one in windows(life.state) if one.kept is Kept.PROBABLE
    }
