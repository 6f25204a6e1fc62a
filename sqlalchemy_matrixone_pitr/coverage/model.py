"""Values about the history that is kept: what is known, what follows from it. No I/O.

:mod:`.windows` computes :class:`Window`, :class:`Gap` and :class:`Verdict` from :class:`Known`.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..catalog import Key, ObjectKey
from ..extent import Parts
from ..model import Pitr, PitrLevel, PitrRange, PitrStatus
from ..moment import Moment
from ..server import DEVELOPMENT, Rules, rules_of

GC_TTL: Final = dt.timedelta(hours=1)
"""The time for which the server keeps what nothing protects, by default."""

SECOND: Final = dt.timedelta(seconds=1)
"""SHOW PITR gives times in whole seconds."""


_NEWEST: Final = rules_of(DEVELOPMENT)


class Kept(enum.Enum):
    """The knowledge about a moment's history.

    >>> Kept.NOT_KEPT.value
    'not kept'
    """

    KEPT = "kept"
    PROBABLE = "probable"
    """It has not been collected, as far as the server's default settings tell."""
    NOT_KEPT = "not kept"
    ABSENT = "absent"
    """There was no such object then: the server says so by an error of its own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A PITR, and the id of the object that it was made for.

    :ivar object_id: None for levels above the database, and where this account cannot know it.
    :ivar created: when it was made, more exactly than SHOW PITR says it; and ``modified``.
    :ivar ended: when the server noticed that its object was gone or another one; None where it has
        not noticed, or this account cannot know.
    :ivar sure: the moment from which it surely keeps, where its range was changed by holds alone.
    :ivar before: the range that a release gives back; None where it is not held.
    """

    pitr: Pitr
    object_id: int | None = None
    created: Moment | None = None
    modified: Moment | None = None
    ended: Moment | None = None
    sure: Moment | None = None
    before: PitrRange | None = None

    @property
    def made(self) -> Moment:
        """The moment from which it was surely there: SHOW PITR gives whole seconds."""
        if self.created is not None:
            return self.created
        assert self.pitr.created_time is not None  # every PITR that was read has one
        return Moment.of(self.pitr.created_time) + SECOND

    @property
    def changed(self) -> Moment:
        """Time of the last change of its range; of its creation if it never changed."""
        if self.modified is not None:
            return self.modified
        modified = self.pitr.modified_time or self.pitr.created_time
        assert modified is not None
        return Moment.of(modified) + SECOND


def policy_of(pitr: Pitr, present_id: int | None) -> Policy:
    """A policy of an account that cannot read which id a PITR recorded.

    :param present_id: the id of its object now, which is the recorded one while it is active.
    """
    known = pitr.status is PitrStatus.ACTIVE and pitr.database_name is not None
    return Policy(pitr, present_id if known else None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of an account, a database or a table.

    :ivar object_id: the id that it recorded of a database or table; a table's is its logical one
        from 4.0 on, which a rebuilt table no longer has.
    """

    name: str
    at: Moment
    database_name: str | None = None
    table_name: str | None = None
    object_id: int | None = None

    @property
    def key(self) -> ObjectKey | None:
        """Its object as the catalogue keys it; None of an account or the cluster."""
        return None if self.database_name is None else (self.database_name, self.table_name)

    def covers(self, key: Key) -> bool:
        """Whether it is of a table's name, or of something that contains it."""
        return self.database_name in (None, key[0]) and self.table_name in (None, key[1])


@dataclass(frozen=True, slots=True)
class Earlier:
    """The ids that databases and tables had at an earlier moment."""

    at: Moment
    ids: Mapping[ObjectKey, int]


@dataclass(frozen=True, slots=True)
class Known:
    """The policies and snapshots of an account, read at one time.

    :ivar ids: ids of the present databases and tables.
    :ivar made: when present databases were made.
    :ivar partitioned: tables that have partitions.
    :ivar rules: of the server's version.
    :ivar parts: UNIQUE keys, indexes and partitions of present tables; those without are left out.
    :ivar altered: when present tables were made or last altered, in whole seconds.
    :ivar logical_ids: of present tables that were rebuilt, from 4.0 on.
    :ivar earlier: ids at an earlier moment; None where they were not read, or are forgotten.
    """

    now: Moment
    policies: Collection[Policy]
    ids: Mapping[ObjectKey, int]
    made: Mapping[str, Moment]
    partitioned: frozenset[Key] = frozenset()
    rules: Rules = _NEWEST
    snapshots: Collection[Snapshot] = ()
    parts: Mapping[Key, Parts] = field(default_factory=dict)
    altered: Mapping[Key, Moment] = field(default_factory=dict)
    logical_ids: Mapping[Key, int] = field(default_factory=dict)
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The knowledge about a table's history at a moment.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     result = conn.exec_driver_sql("CREATE TABLE notes (id INT PRIMARY KEY)")
    >>> [verdict] = check_kept(engine, "notes", Moment.now(engine), allow_unprotected=True)
    >>> verdict.table_name, verdict.kept.value
    ('notes', 'probable')

    :ivar by: the names of the policies or snapshots that keep it, or probably do.
    :ivar indexes: whether the table may be read through its indexes: they keep their history, too,
        and it has no partitions (4.2.0 then answers from the present).
    :ivar reason: why it is not sure, and which policy would have kept it; empty where it is.
    :ivar scanned: whether the table must be read without its indexes, even by a caller who allows
        what nothing keeps: its rows may be there where the history of its indexes is not.
    """

    database_name: str
    table_name: str
    moment: Moment
    kept: Kept
    by: tuple[str, ...] = ()
    indexes: bool = True
    reason: str = ""
    scanned: bool = False


class WindowKind(enum.StrEnum):
    """The kind of source that keeps a window.

    >>> WindowKind("detached") is WindowKind.DETACHED
    True
    """

    POLICY = "policy"
    """An active policy: the window ends now, and moves on."""
    DETACHED = "detached"
    """A policy whose object is gone or another one by now: the window shrinks until it is over."""
    SNAPSHOT = "snapshot"
    """A snapshot: one instant, so that ``begin`` equals ``end``."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time whose every moment one policy or snapshot keeps of a table.

    >>> week = Moment.parse("2026-11-22 09:30:00Z")
    >>> window = Window(week, None, "orders_week", PitrLevel.TABLE, WindowKind.POLICY)
    >>> week in window, week - dt.timedelta(seconds=1) in window
    (True, False)

    :ivar begin: the earliest moment.
    :ivar end: None is now; of a detached policy the moment at which the table was dropped, rebuilt
        or truncated, which the window does not contain; of a snapshot ``begin``.
    :ivar by: the name of the policy, or of its generation, or of the snapshot.
    :ivar level: of the policy or snapshot.
    :ivar kept: :attr:`Kept.KEPT`, or :attr:`Kept.PROBABLE` where this account cannot be sure.
    :ivar indexes: whether UNIQUE keys, indexes and partitions that the table has now are kept too;
        False is ``rows only``, also where the table is gone and what it had is not known.
    :ivar range: of the policy, which decides when ``begin`` moves on; None of a snapshot.
    :ivar before: the range that a release gives back, where :func:`hold` holds the policy now; None
        where it does not.
    :ivar since: from when on everything is kept that had this name, also before the table was
        there: where a database's policy is older than the table, this is earlier than ``begin``.
    :ivar reason: why it is not sure; empty where it is.
    """

    begin: Moment
    end: Moment | None
    by: str
    level: PitrLevel
    kind: WindowKind
    kept: Kept = Kept.KEPT
    indexes: bool = True
    range: PitrRange | None = None
    since: Moment | None = None
    reason: str = ""
    before: PitrRange | None = None

    @property
    def lasting_range(self) -> PitrRange | None:
        """The range without a hold, which somebody else may release in a minute: requirements are
        measured by it; None of a snapshot.

        >>> week, century = PitrRange.parse("7d"), PitrRange.parse("100y")
        >>> made, by = Moment.parse("2026-11-22 09:30:00Z"), ("w", PitrLevel.ACCOUNT)
        >>> held = Window(made, None, *by, WindowKind.POLICY, range=century, before=week)
        >>> str(held.lasting_range)
        '7d'
        """
        return self.range if self.before is None else self.before

    def __contains__(self, moment: Moment) -> bool:
        if self.kind is WindowKind.SNAPSHOT:
            return moment == self.begin
        return self.begin <= moment and (self.end is None or moment < self.end)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        return {
            "begin": self.begin.text(),
            "end": None if self.end is None else self.end.text(),
            "by": self.by,
            "level": self.level.value,
            "kind": self.kind.value,
            "kept": self.kept.value,
            "indexes": self.indexes,
            "range": None if self.range is None else str(self.range),
            "range_when_released": None if self.before is None else str(self.before),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of time of a table that nothing keeps, between what is kept or after it.

    >>> rebuilt = Moment.parse("2026-11-22 09:30:00Z")
    >>> rebuilt in Gap(rebuilt, None, "orders_week was detached, and no policy was made since")
    True

    :ivar begin: its first moment, at which a policy was detached.
    :ivar end: None is now: nothing protects the table any more.
    :ivar reason: why, for people.
    """

    begin: Moment
    end: Moment | None
    reason: str

    def __contains__(self, moment: Moment) -> bool:
        return self.begin <= moment and (self.end is None or moment < self.end)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        return {
            "begin": self.begin.text(),
            "end": None if self.end is None else self.end.text(),
            "reason": self.reason,
        }
