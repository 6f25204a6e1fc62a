"""The risks of a coverage: what will be missing on the bad day, unless somebody acts. Pure."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..extent import Extent
from ..generations import object_of, split_generation, target_text
from ..model import Pitr, PitrRange, PitrStatus, PitrUnit, RangeLike
from ..moment import Moment
from ..names import renew_command
from .model import Kept, Window, WindowKind
from .ranges import lets_go_at, may_be_shorter
from .table import CoverageState, TableCoverage


class RiskKind(enum.StrEnum):
    """The kind of a :class:`Risk`, the gravest first.

    >>> list(RiskKind)[0].value
    'not covered'
    """

    NOT_COVERED = "not covered"
    """No policy is for a table."""
    DETACHED = "detached"
    """Only detached policies are for a table that is there."""
    LOST = "lost"
    """The moment in question cannot be restored, although the table was there."""
    LETTING_GO = "letting go"
    """The ranges are about to let go of the moment in question."""
    TARGET_GONE = "target gone"
    """The table or database of a policy is gone: what the policy kept ages away."""
    TOO_SHORT = "too short"
    """No active policy of a table has the required range."""
    ROWS_ONLY = "rows only"
    """The indexes of a table are not kept."""
    UNKNOWN = "unknown"
    """This account cannot know whether a table is protected; or whether it can be restored to the
    moment in question, or was there then, is not known."""
    CDC = "cdc"
    """A policy's range is under the two hours that change data capture (CDC) asks for: nothing is
    lost, but the server refuses a CDC task."""


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that will be missing on the bad day, unless somebody acts.

    >>> Risk(RiskKind.NOT_COVERED, "no policy is for it", "shop", "orders").to_dict()["kind"]
    'not covered'

    :ivar message: for people: what, of which object, and what to do.
    :ivar database_name: of the table or policy; None of a policy above the database.
    :ivar table_name: None of a database or a policy above the table.
    :ivar policy: the policy's name; None where it is the lack of one.
    :ivar when: when something will be lost; None where it is lost already, or is not known.
    """

    kind: RiskKind
    message: str
    database_name: str | None = None
    table_name: str | None = None
    policy: str | None = None
    when: Moment | None = None

    @property
    def subject(self) -> str:
        """The table or policy that it is about: ``message`` begins with it.

        >>> Risk(RiskKind.NOT_COVERED, "shop.a: b: no policy is for it", "shop", "a: b").subject
        'shop.a: b'
        """
        if self.policy is not None and self.message.startswith(f"{self.policy}: "):
            return self.policy
        return ".".join(name for name in (self.database_name, self.table_name) if name is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        return {
            "kind": self.kind.value,
            "message": self.message,
            "database_name": self.database_name,
            "table_name": self.table_name,
            "policy": self.policy,
            "when": None if self.when is None else self.when.text(),
        }


CDC_FLOOR: Final = PitrRange(2, PitrUnit.HOUR)
"""The range that the server asks for where a CDC task reads a table."""


def find_risks(
    tables: Iterable[TableCoverage],
    pitrs: Iterable[Pitr],
    gone: Iterable[Pitr],
    *,
    now: Moment,
    at: Moment | None,
    within: RangeLike,
    held: Mapping[str, PitrRange],
) -> tuple[Risk, ...]:
    """The risks of tables and policies, the gravest first.

    :param gone: policies whose target is not there.
    :param within: how far ahead to look for what ranges let go of.
    :param held: the ranges before of policies that are held, by name.
    """
    until = now + _length(PitrRange.of(within))
    found: list[Risk] = []
    for table in tables:
        found += _of_table(table)
        if at is not None and table.unprotected is None:
            found += _of_moment(table, at, now, until)
    found += [_target_gone(pitr) for pitr in gone]
    found += _too_short_for_cdc(pitrs, held)
    order = {kind: number for number, kind in enumerate(RiskKind)}
    found.sort(key=lambda one: (order[one.kind], one.database_name or "", one.table_name or ""))
    return tuple(found)


def _length(range: PitrRange) -> dt.timedelta:
    hours = {PitrUnit.HOUR: 1, PitrUnit.DAY: 24, PitrUnit.MONTH: 31 * 24, PitrUnit.YEAR: 366 * 24}
    return dt.timedelta(hours=range.value * hours[range.unit])


def _of_table(table: TableCoverage) -> Iterator[Risk]:
    name = f"{table.database_name}.{table.table_name}"
    if not table.exists or table.unprotected is not None:
        return
    match table.state:
        case CoverageState.NOT_COVERED:
            yield _risk(RiskKind.NOT_COVERED, table, f"{name}: {_why_not_covered(table)}")
        case CoverageState.DETACHED:
            yield _detached(table, name)
        case CoverageState.UNKNOWN:
            names = _names(p for p in table.policies if p.status is PitrStatus.UNKNOWN)
            yield _risk(
                RiskKind.UNKNOWN,
                table,
                f"{name}: this account cannot know whether {names} protects it, which may have "
                "been made in the second of its last change; sys can. Of a policy that is made now "
                "it could: DROP PITR gives the history up, then create it again",
                names,
            )
        case CoverageState.ROWS_ONLY:
            lost = ", ".join(table.parts.indexes)
            yield _risk(
                RiskKind.ROWS_ONLY,
                table,
                f"{name}: a table-level policy keeps its rows, but not {lost}: after a restore "
                "look-ups by them find nothing. A database-level policy keeps all of it",
            )
    if table.meets_requirement is False and table.extent is not Extent.NOTHING:
        own = [window for window in table.windows if window.kind is WindowKind.POLICY]
        ranges = ", ".join(sorted({str(window.lasting_range) for window in own}))
        held = " and ".join(sorted({window.by for window in own if window.before is not None}))
        released = f" when the hold of {held} ends: release it, and lengthen the range"
        yield _risk(
            RiskKind.TOO_SHORT,
            table,
            f"{name}: {table.requirement} is required, its policies reach back {ranges}"
            f"{released if held else ''}",
        )


def _risk(
    kind: RiskKind,
    table: TableCoverage,
    message: str,
    policy: str | None = None,
    when: Moment | None = None,
) -> Risk:
    return Risk(kind, message, *table.key, policy, when)


def _why_not_covered(table: TableCoverage) -> str:
    database = table.database_name
    if table.policies and table.parts.partitioned:
        return (
            f"{_names(table.policies)} keeps nothing of it, since it is partitioned. A "
            f"database-level policy does: DatabasePitr, for {database}"
        )
    return (
        "no policy of this account is for it, and the server keeps its history for about an hour: "
        "declare a TablePitr, or a DatabasePitr; or say Unprotected('why')"
    )


def _detached(table: TableCoverage, name: str) -> Risk:
    *_, newest = (pitr for pitr in table.policies if pitr.status is PitrStatus.DETACHED)
    since = table.gaps[-1].begin if table.gaps and table.gaps[-1].end is None else None
    when = "" if since is None else f" at {_second(since)}"
    return _risk(
        RiskKind.DETACHED,
        table,
        f"{name}: {newest.name} was detached{when}, and nothing protects the table since: "
        f"{renew_command(split_generation(newest.name)[0])}",
        newest.name,
    )


def _of_moment(table: TableCoverage, at: Moment, now: Moment, until: Moment) -> Iterator[Risk]:
    """The risk that a moment cannot be restored, now or soon."""
    name = f"{table.database_name}.{table.table_name}"
    there = [window for window in table.windows if at in window and window.kept is Kept.KEPT]
    if not there:
        yield from _not_surely(table, at, name)
        return
    ends = [None if one.range is None else lets_go_at(one.range, at) for one in there]
    last = None if None in ends else max(end for end in ends if end is not None)
    names = sorted({one.by for one in there})
    if last is not None and now <= last < until:
        yield _risk(
            RiskKind.LETTING_GO,
            table,
            f"{name}: {at} can be restored until {_second(last)} only: "
            f"{' and '.join(names)} let{'s' if len(names) == 1 else ''} go of it then. Restore or "
            "clone it before; a longer range keeps it",
            there[0].by,
            last,
        )


def _not_surely(table: TableCoverage, at: Moment, name: str) -> Iterator[Risk]:
    """The risk of a moment that no window surely has: it is lost, or not known."""
    perhaps = [window for window in table.windows if at in window]
    if perhaps:
        reasons = "; ".join(dict.fromkeys(window.reason for window in perhaps))
        yield _risk(
            RiskKind.UNKNOWN,
            table,
            f"{name}: whether it can be restored to {at} is not known: {reasons}",
        )
    elif not any(_keeps(window, at) for window in table.windows):
        was = table.exists and table.made is not None and table.made <= at
        if was or any(at in gap for gap in table.gaps):
            yield _risk(RiskKind.LOST, table, f"{name}: nothing keeps it as it was at {at}")
        elif table.exists:
            yield _risk(
                RiskKind.UNKNOWN,
                table,
                f"{name}: nothing keeps it as it was at {at}; whether it was there then is not "
                "known",
            )


def _keeps(window: Window, at: Moment) -> bool:
    """Whether a window keeps a moment, of the table or of what was there before it."""
    return at in window or (window.since is not None and window.since <= at < window.begin)


def _target_gone(pitr: Pitr) -> Risk:
    database, table = object_of(pitr)
    return Risk(
        RiskKind.TARGET_GONE,
        f"{pitr.name}: {target_text(pitr)} is gone. What the policy kept of it can be restored "
        f"for {pitr.range} from then on; create it again, or DROP PITR {pitr.name} to give its "
        "history up",
        database,
        table,
        pitr.name,
    )


def _too_short_for_cdc(pitrs: Iterable[Pitr], held: Mapping[str, PitrRange]) -> Iterator[Risk]:
    for pitr in pitrs:
        range = held.get(pitr.name, pitr.range)
        if pitr.status is not PitrStatus.DETACHED and may_be_shorter(CDC_FLOOR, range):
            released = " when its hold ends" if pitr.name in held else ""
            yield Risk(
                RiskKind.CDC,
                f"{pitr.name}: its range is {range}{released}, and the server makes no CDC task "
                f"for {target_text(pitr)} under {CDC_FLOOR}",
                pitr.database_name,
                pitr.table_name,
                pitr.name,
            )


def _names(pitrs: Iterable[Pitr]) -> str:
    return ", ".join(pitr.name for pitr in pitrs)


def _second(moment: Moment) -> str:
    return f"{moment.datetime():%Y-%m-%d %H:%M:%SZ}"
