"""The coverage of one table: what can be restored of it, until when, and by what. Pure values."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from ..catalog import Key
from ..extent import Extent, Parts
from ..model import Pitr, PitrLevel, PitrRange, PitrStatus
from ..moment import Moment, MomentLike
from .model import Gap, Kept, Window


class CoverageState(enum.StrEnum):
    """The state of a table's protection now, in a word.

    >>> str(CoverageState.ROWS_ONLY)
    'rows only'
    """

    COVERED = "covered"
    """An active policy keeps all of it."""
    ROWS_ONLY = "rows only"
    """An active policy keeps its rows, but not its UNIQUE keys, indexes or partitions."""
    UNKNOWN = "unknown"
    """A policy names it, and this account cannot know whether it is active."""
    DETACHED = "detached"
    """Only detached policies name it: nothing keeps what it is now."""
    NOT_COVERED = "not covered"
    """No policy is for it, or those that are keep nothing of it."""
    UNPROTECTED = "unprotected"
    """No policy is for it, and it is declared :class:`Unprotected`, with a reason."""
    GONE = "gone"
    """There is no such table now; what a policy keeps of it can be restored."""


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """Coverage of one table: the moments to which it can be restored, and by which policies.

    >>> made = Moment.parse("2026-11-22 09:30:00Z")
    >>> week = Window(made, None, "orders_week", PitrLevel.TABLE, WindowKind.POLICY)
    >>> orders = TableCoverage("shop", "orders", (week,), extent=Extent.ALL)
    >>> orders.state.value, str(orders.restorable_from), orders.restorable_at(made)
    ('covered', '2026-11-22 09:30:00Z', True)

    :ivar windows: sorted by begin; a policy whose range was changed may have two.
    :ivar policies: all that are for it, of each level, with their status: active, detached or
        unknown; the widest level first, generations in order.
    :ivar gaps: spans between the first window and now that nothing keeps, sorted.
    :ivar exists: whether the table is there now.
    :ivar parts: its UNIQUE keys, indexes and partitions, now.
    :ivar extent: how much of it the active policies keep of what happens from now on.
    :ivar made: when it was made or last altered, as the catalogue has it; None where it is gone.
    :ivar requirement: the range that it is required to have: its declared one, or ``require``.
    :ivar meets_requirement: whether an active policy has that range at least; None where none is
        required, or it is declared :class:`Unprotected`. It says nothing of how far back the table
        can be restored today: what was made yesterday for seven days reaches that far in six.
    :ivar unprotected: the reason with which it is declared :class:`Unprotected`; None where it is
        not.
    """

    database_name: str
    table_name: str
    windows: tuple[Window, ...] = ()
    policies: tuple[Pitr, ...] = ()
    gaps: tuple[Gap, ...] = ()
    exists: bool = True
    parts: Parts = field(default_factory=Parts)
    extent: Extent = Extent.NOTHING
    made: Moment | None = None
    requirement: PitrRange | None = None
    meets_requirement: bool | None = None
    unprotected: str | None = None

    @property
    def key(self) -> Key:
        """The database and the name."""
        return self.database_name, self.table_name

    @property
    def state(self) -> CoverageState:
        """The state of its protection now, in a word."""
        if not self.exists:
            return CoverageState.GONE
        if self.extent is Extent.ALL:
            return CoverageState.COVERED
        if self.extent is Extent.ROWS:
            return CoverageState.ROWS_ONLY
        statuses = {pitr.status for pitr in self.policies}
        if PitrStatus.UNKNOWN in statuses:
            return CoverageState.UNKNOWN
        if self.unprotected is not None:
            return CoverageState.UNPROTECTED
        if PitrStatus.DETACHED in statuses:
            return CoverageState.DETACHED
        return CoverageState.NOT_COVERED

    @property
    def restorable_from(self) -> Moment | None:
        """The earliest moment that it can surely be restored to; ``gaps`` says what is not."""
        return min((window.begin for window in self.windows if _is_sure(window)), default=None)

    @property
    def restorable_until(self) -> Moment | None:
        """The end of the latest sure window; None is now where :attr:`restorable_from` is not."""
        sure = [window for window in self.windows if _is_sure(window)]
        if any(window.end is None for window in sure):
            return None
        return max((window.end for window in sure if window.end is not None), default=None)

    def windows_at(self, moment: MomentLike) -> tuple[Window, ...]:
        """The windows that a moment lies in, the best first: the sure ones, of these the ones that
        keep indexes, of these the narrowest level."""
        at = Moment.of(moment)
        order = list(PitrLevel)

        def preference(window: Window) -> tuple[bool, bool, int]:
            return not _is_sure(window), not window.indexes, -order.index(window.level)

        return tuple(sorted((one for one in self.windows if at in one), key=preference))

    def restorable_at(self, moment: MomentLike) -> bool:
        """Whether the table can surely be restored to a moment; :meth:`windows_at` says by what.

        False also where this account cannot know, or whether the table was there is not known.
        """
        at = Moment.of(moment)
        return any(_is_sure(window) and at in window for window in self.windows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        start, until = self.restorable_from, self.restorable_until
        return {
            "database_name": self.database_name,
            "table_name": self.table_name,
            "state": self.state.value,
            "restorable_from": None if start is None else start.text(),
            "restorable_until": None if until is None else until.text(),
            "windows": [window.to_dict() for window in self.windows],
            "gaps": [gap.to_dict() for gap in self.gaps],
            "policies": [policy_to_dict(pitr) for pitr in self.policies],
            "exists": self.exists,
            "indexes": list(self.parts.indexes),
            "partitioned": self.parts.partitioned,
            "kept": str(self.extent),
            "requirement": None if self.requirement is None else str(self.requirement),
            "meets_requirement": self.meets_requirement,
            "unprotected": self.unprotected,
        }


def _is_sure(window: Window) -> bool:
    return window.kept is Kept.KEPT


def policy_to_dict(pitr: Pitr) -> dict[str, Any]:
    """A policy as plain values, for JSON."""
    return {
        "name": pitr.name,
        "level": pitr.level.value,
        "range": str(pitr.range),
        "status": None if pitr.status is None else pitr.status.value,
        "account_name": pitr.account_name,
        "database_name": pitr.database_name,
        "table_name": pitr.table_name,
    }
