"""Whether the history of a table at a moment is kept, and by which policies: computed, no I/O.

The server does not tell. Once garbage collection has taken a moment, it answers reads of it, CLONE
and RESTORE with OK and no rows. So what is kept is derived from the policies, the ids that they
recorded, and the object's id at the moment:

============================  ======================================================================
policy of                     keeps the history of
============================  ======================================================================
cluster, account              everything in it
a database                    the database that had the recorded id, also after DROP DATABASE
a table                       rows of the table that had the recorded id, also after a rebuild; not
                              its indexes; not its partitions from 4.0 on
a snapshot                    its own instant
============================  ======================================================================

A policy reaches back by its range, and keeps what was there when it was made: that is sure from its
creation on, and probable for an hour before, the default time after which the server collects what
nothing keeps (``gc-ttl``). Where its range was changed, what lies more than an hour before the
change is probable: the range before may have been shorter.

Source: docs/server.md, Garbage collection; Object ids; What detaches a policy.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..catalog import Key, ObjectKey
from ..extent import Extent, Parts, kept_by
from ..model import PitrLevel
from ..moment import Moment
from .model import GC_TTL, SECOND, Kept, Known, Policy, Snapshot, Verdict
from .windows import start_of, sure_of


def judge(
    known: Known, key: Key, moment: Moment, then: Mapping[ObjectKey, int] | None = None
) -> Verdict | None:
    """Whether a table's history is kept; None where the ids of the moment are needed to tell.

    :param then: the ids of databases and tables at the moment.
    """
    needed = False
    best: _Best = _Best(known, key, moment)
    for policy in known.policies:
        fits = _fits(policy, known, key, moment, then)
        if fits is None:
            needed = True
        else:
            best.consider(policy, fits)
    for snapshot in known.snapshots:
        if snapshot.at == moment and snapshot.covers(key) and _is_same(snapshot, then):
            best.found(Kept.KEPT, snapshot.name, indexes=True)
    if best.kept is Kept.KEPT and best.indexes:
        return best.verdict()
    if needed or (then is None and best.kept is not Kept.KEPT):
        return None
    if then is not None and key not in then:
        return Verdict(*key, moment, Kept.ABSENT)
    return best.verdict()


def _is_same(snapshot: Snapshot, then: Mapping[ObjectKey, int] | None) -> bool:
    """Whether the object of the moment is the one that a snapshot recorded."""
    if then is None or snapshot.key is None or snapshot.object_id is None:
        return True
    return then.get(snapshot.key) == snapshot.object_id


class _Fit(enum.Enum):
    """Whether a policy is for the object that a table was at the moment."""

    YES = 1
    MAYBE = 2
    NO = 3
    OTHER_ID = 4
    """It is for an object of that name, which was another one."""
    PARTITIONS = 5


def _fits(
    policy: Policy,
    known: Known,
    key: Key,
    moment: Moment,
    then: Mapping[ObjectKey, int] | None,
) -> _Fit | None:
    """None: the ids of the moment are needed to tell."""
    pitr = policy.pitr
    if pitr.level in (PitrLevel.CLUSTER, PitrLevel.ACCOUNT):
        return _Fit.YES if pitr.account_name is None else _Fit.NO
    database, table = key
    object_key: ObjectKey = (database, table if pitr.level is PitrLevel.TABLE else None)
    named = (pitr.database_name, pitr.table_name) == object_key
    if policy.object_id is None:
        return _Fit.MAYBE if named else _Fit.NO
    id_then = None if then is None else then.get(object_key)
    if then is None:
        if not named and pitr.level is PitrLevel.DATABASE:
            return _Fit.NO
        made = known.made.get(database)
        same = pitr.level is PitrLevel.DATABASE and made is not None and moment > made + SECOND
        if not same:
            return None
        id_then = known.ids.get(object_key)
    if id_then != policy.object_id:
        return _Fit.OTHER_ID if named else _Fit.NO
    if pitr.level is PitrLevel.TABLE:
        parts = Parts(partitioned=key in known.partitioned)
        if kept_by(pitr.level, parts, known.rules) is Extent.NOTHING:
            return _Fit.PARTITIONS
    return _Fit.YES


@dataclass(slots=True)
class _Best:
    """The best of what keeps a table's history."""

    known: Known
    key: Key
    moment: Moment
    kept: Kept = Kept.NOT_KEPT
    by: list[str] = field(default_factory=list)
    indexes: bool = False
    why: list[str] = field(default_factory=list)

    def consider(self, policy: Policy, fits: _Fit) -> None:
        if fits is _Fit.NO:
            return
        pitr, name = policy.pitr, policy.pitr.name
        if fits is _Fit.OTHER_ID:
            self.why.append(
                f"{name} was made for an object of this name that is another one to the server: it "
                "was dropped, rebuilt or truncated in between"
            )
            return
        if fits is _Fit.PARTITIONS:
            self.why.append(f"{name} is of the table, and keeps no partitions on this server")
            return
        reach = start_of(pitr.range, self.known.now)
        if self.moment < reach:
            self.why.append(f"{name} reaches back {pitr.range}, to {reach}")
        elif self.moment < policy.made - GC_TTL:
            self.why.append(f"{name} was made later, at {policy.made}")
        elif self.moment < sure_of(policy):
            self.why.append(f"{name} was made or changed after it, at {policy.changed}")
            self.found(Kept.PROBABLE, name, indexes=pitr.level is not PitrLevel.TABLE)
        elif fits is _Fit.MAYBE:
            self.why.append(
                f"whether {name} was made for the object of this moment is not known to this "
                "account"
            )
            self.found(Kept.PROBABLE, name, indexes=pitr.level is not PitrLevel.TABLE)
        else:
            self.found(Kept.KEPT, name, indexes=pitr.level is not PitrLevel.TABLE)

    def found(self, kept: Kept, name: str, *, indexes: bool) -> None:
        if kept is self.kept:
            self.by.append(name)
            self.indexes |= indexes
        elif self.kept is not Kept.KEPT:
            self.kept, self.by, self.indexes = kept, [name], indexes

    def verdict(self) -> Verdict:
        kept, why = self.kept, "; ".join(self.why)
        if kept is Kept.KEPT:
            why = ""
        elif kept is Kept.NOT_KEPT:
            if self.known.now < self.moment + GC_TTL:
                kept = Kept.PROBABLE
            why = f"{why or 'no policy is for it'}. {self._advice()}"
        partitioned = self.key in self.known.partitioned
        indexes = self.indexes and not partitioned
        scanned = partitioned or (bool(self.by) and not self.indexes)
        return Verdict(*self.key, self.moment, kept, tuple(self.by), indexes, why, scanned)

    def _advice(self) -> str:
        """The policy that would have kept it."""
        age = self.known.now.datetime() - self.moment.datetime()
        hours = int(age // dt.timedelta(hours=1)) + 1
        days = -(-hours // 24)
        length = (
            f"{hours}h" if hours <= 72 else f"{days}d" if days <= 100 else f"{days // 365 + 1}y"
        )
        database = self.key[0]
        return (
            f"A policy made before it would have kept it: Pitr.database('{database}_kept', "
            f"'{length}', database_name='{database}')"
        )
