"""The windows of tables: from when until when each policy keeps what, computed without I/O.

A window of a policy begins at the latest of

* the policy's creation: a policy that is dropped and made again does not reach back to the first;
* the present less its range, so that it moves on with time;
* an hour before its range was last changed, as far as is sure: the range may have been shorter, and
  a longer one brings nothing back that was collected. What is before that is probable;
* the creation of the table, where the policy is of its database or above.

It ends now while the policy's object is the one whose id it recorded, else when that one went:
at the moment that the server recorded, or, where it recorded none, at an unknown one, so that the
window is probable only. A detached policy goes on keeping its window until its range has passed it.

==============================  ====================================================================
what happened                   the window of a table-level policy
==============================  ====================================================================
DROP, rebuild, TRUNCATE         ends there, where the server noticed; else probable until at latest
                                the table's last change, or the next policy for it
RENAME                          probable, under both names; RESTORE takes neither
CREATE PITR after a rebuild     none on 4.x: it recorded another id than garbage collection asks for
the table has partitions        none on 4.x
==============================  ====================================================================

Source: docs/server.md, Garbage collection; What detaches a policy; Object ids; Times of RESTORE.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..catalog import Key, ObjectKey
from ..extent import Extent, Parts, kept_by
from ..model import Pitr, PitrLevel, PitrRange, PitrStatus
from ..moment import Moment, begin_of_range
from .model import GC_TTL, SECOND, Gap, Kept, Known, Policy, Snapshot, Window, WindowKind
from .ranges import may_be_shorter

_NO_PARTS: Final = Parts()

_WAS_IT_THERE: Final = "whether the table was there then is not known"


def start_of(range: PitrRange, now: Moment) -> Moment:
    """The earliest moment that a range reaches."""
    return begin_of_range(range.start(now.datetime()))


def sure_of(policy: Policy) -> Moment:
    """The moment from which a policy surely keeps, as far as its range reaches."""
    made, changed = policy.made, policy.changed
    if policy.sure is not None:
        created = policy.pitr.created_time
        assert created is not None  # every PITR that was read has one
        # a hold knows the creation in whole seconds
        whole = Moment.of(created.replace(microsecond=0)) + SECOND
        return made if policy.sure <= whole else max(made, policy.sure)
    return max(made, changed - GC_TTL) if changed > made else made


def begin_of(policy: Policy, now: Moment, start: Moment | None = None) -> Moment | None:
    """The earliest moment that RESTORE takes of a policy; None where its range is 0, or what it
    kept is out of its reach by now.

    :param start: of its range, where it is known already.
    """
    start = start_of(policy.pitr.range, now) if start is None else start
    begin = min(max(policy.made, start), now)
    over = start >= now or (policy.ended is not None and policy.ended <= begin)
    return None if over else begin


@dataclass(frozen=True, slots=True)
class _Life:
    """Time for which the object of a policy was the one that it was made for."""

    kind: WindowKind
    end: Moment | None
    kept: Kept = Kept.KEPT
    reason: str = ""


_ATTACHED: Final = _Life(WindowKind.POLICY, None)


class Windows:
    """The windows of many tables; each policy is looked at once for each table that it names.

    :param known: of one account, with the ids of all databases and tables in question.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._wide: list[Policy] = []
        self._of_database: dict[str, list[Policy]] = defaultdict(list)
        self._of_table: dict[Key, list[Policy]] = defaultdict(list)
        self._of_id: dict[int, list[Policy]] = defaultdict(list)
        for policy in sorted(known.policies, key=lambda policy: (policy.made, policy.pitr.name)):
            self._sort_in(policy)
        self._shared: dict[str, tuple[Window, ...]] = {}
        self._shared_policies: dict[str, tuple[Pitr, ...]] = {}
        self._snapshots: dict[ObjectKey | None, list[Snapshot]] = defaultdict(list)
        for snapshot in known.snapshots:
            self._snapshots[snapshot.key].append(snapshot)
        self._starts: dict[PitrRange, Moment] = {}

    def _sort_in(self, policy: Policy) -> None:
        pitr = policy.pitr
        if pitr.level in (PitrLevel.CLUSTER, PitrLevel.ACCOUNT):
            if pitr.account_name is None:
                self._wide.append(policy)
            return
        assert pitr.database_name is not None
        if pitr.table_name is None:
            self._of_database[pitr.database_name].append(policy)
            return
        key = pitr.database_name, pitr.table_name
        self._of_table[key].append(policy)
        id_ = policy.object_id
        if id_ is not None and policy.ended is None and self._known.ids.get(key) != id_:
            self._of_id[id_].append(policy)

    # -------------------------------------------------------------------------------- of a table

    def named(self) -> Iterable[Key]:
        """The tables that table-level policies name."""
        return self._of_table.keys()

    def of(self, key: Key) -> tuple[Window, ...]:
        """The windows of a table, by their begin."""
        exists = key in self._known.ids
        own = list(self._of_own(key))
        shared = self._of_shared(key) if exists else tuple(self._of_gone(key))
        instants = list(self._instants(key)) if self._snapshots else []
        if not own and not instants:
            return shared
        if len(own) == 1 and not shared and not instants:
            return tuple(own)
        return tuple(sorted([*own, *shared, *instants], key=lambda one: (one.begin, one.by)))

    def of_database(self, database: str) -> tuple[Window, ...]:
        """The windows of a database as a whole, by their begin."""
        return self._of_database_and_above(database)

    def policies_of(self, key: Key) -> tuple[Pitr, ...]:
        """The policies that are for a table, the widest level first, then by creation."""
        database = key[0]
        shared = self._shared_policies.get(database)
        if shared is None:
            policies = *self._wide, *self._of_database.get(database, ())
            shared = self._shared_policies[database] = tuple(one.pitr for one in policies)
        own = self._of_table.get(key)
        return shared if own is None else (*shared, *(one.pitr for one in own))

    def extent_of(self, key: Key, windows: Iterable[Window]) -> Extent:
        """Part of a table that its windows surely keep of what happens from now on."""
        parts = self._known.parts.get(key, _NO_PARTS)
        return max(
            (
                kept_by(window.level, parts, self._known.rules)
                for window in windows
                if is_active(window)
            ),
            default=Extent.NOTHING,
        )

    def gaps_of(self, key: Key, windows: Sequence[Window]) -> tuple[Gap, ...]:
        """The spans that nothing keeps, between the first window and now, or the last one where the
        table is gone."""
        if len(windows) == 1 and windows[0].end is None:
            return ()
        spans = sorted((one for one in windows if one.kind is not WindowKind.SNAPSHOT), key=_first)
        found: list[Gap] = []
        last: Window | None = None
        for window in spans:
            if last is not None and last.end is not None and last.end < _first(window):
                found.append(Gap(last.end, _first(window), _reason(last, window)))
            if last is None or (last.end is not None and _ends_later(window, last)):
                last = window
        if last is not None and last.end is not None and key in self._known.ids:
            found.append(Gap(last.end, None, _reason(last, None)))
        return tuple(found)

    # ---------------------------------------------------------------------------- table policies

    def _of_own(self, key: Key) -> Iterator[Window]:
        """The windows of table-level policies for a table."""
        known = self._known
        own = self._of_table.get(key, ())
        renamed = self._of_id.get(known.ids.get(key, -1), ())
        if not own and not renamed:
            return
        parts = known.parts.get(key, _NO_PARTS)
        extent = kept_by(PitrLevel.TABLE, parts, known.rules)
        if extent is Extent.NOTHING:
            return
        whole = extent is Extent.ALL and key in known.ids
        for policy in own:
            life = self._life(policy, key, own)
            if life is not None:
                yield from self._pieces(policy, life, indexes=whole)
        for policy in renamed:
            reason = f"{policy.pitr.name} was made for another name: RESTORE does not take it"
            life = _Life(WindowKind.POLICY, None, Kept.PROBABLE, reason)
            yield from self._pieces(policy, life, indexes=whole)

    # ------------------------------------------------------------- policies above the table

    def _of_shared(self, key: Key) -> tuple[Window, ...]:
        """The windows of policies above a table that is there: from its creation on."""
        known, shared = self._known, self._of_database_and_above(key[0])
        altered = known.altered.get(key)
        if altered is None or not shared or altered + SECOND <= shared[0].begin:
            return shared
        earlier = known.earlier
        was = earlier is not None and key in earlier.ids
        if earlier is not None and earlier.ids.get(key) in self._ids_of(key):
            return shared  # the same table all along
        born = min(altered + SECOND, known.now)
        found: list[Window] = []
        for window in shared:
            if earlier is not None and window.begin > earlier.at:
                found += _not_asked(born, window)
            else:
                found.append(window if was else _from(born, window))
        return tuple(sorted(found, key=lambda one: (one.begin, one.by)))

    def _ids_of(self, key: Key) -> tuple[int | None, ...]:
        """The ids of a present table: its own, and, where it was rebuilt, its first one."""
        known = self._known
        return known.ids[key], known.logical_ids.get(key, known.ids[key])

    def _of_gone(self, key: Key) -> Iterator[Window]:
        """The windows of policies above a table that is not there: as far as it is known to have
        been. A policy of its own that ended tells that it was there until then; it may have been
        rebuilt then, and dropped later."""
        known, own = self._known, self._of_table.get(key, ())
        asked = None if known.earlier is None or key not in known.earlier.ids else known.earlier.at
        if not own and asked is None:
            return
        first = min((policy.made for policy in own), default=known.now)
        last = max((policy.ended for policy in own if policy.ended is not None), default=None)
        reason = "when the table was dropped is not known"
        for window in self._of_database_and_above(key[0]):
            was = asked is not None and window.begin <= asked
            begin = window.begin if was else max(first, window.begin)
            if asked is not None and window.begin < begin:
                until = begin if window.end is None else min(begin, window.end)
                yield _perhaps(replace(window, end=until), reason)
            until = begin if last is None else last
            if window.end is not None and window.end <= until:
                until = window.end
            if begin < until:
                yield replace(window, begin=begin, end=until)
            begin = max(begin, until)
            if window.end is None or begin < window.end:
                yield _perhaps(replace(window, begin=begin), reason)

    def _of_database_and_above(self, database: str) -> tuple[Window, ...]:
        found = self._shared.get(database)
        if found is None:
            windows = [
                window
                for policy in self._wide
                for window in self._pieces(policy, _ATTACHED, indexes=True)
            ]
            own = self._of_database.get(database, [])
            for policy in own:
                life = self._life(policy, (database, None), own)
                if life is not None:
                    windows += self._pieces(policy, life, indexes=True)
            found = tuple(sorted(windows, key=lambda one: (one.begin, one.by)))
            self._shared[database] = found
        return found

    # ------------------------------------------------------------------------------------- parts

    def _life(self, policy: Policy, key: ObjectKey, own: Iterable[Policy]) -> _Life | None:
        """
        :param own: the policies that are for the same name.
        :return: None where the policy never was for an object that the server would ask for.
        """
        known, name = self._known, policy.pitr.name
        if policy.ended is not None:
            return _Life(WindowKind.DETACHED, policy.ended)
        if policy.object_id is None:
            if policy.pitr.status is not PitrStatus.DETACHED:
                reason = f"this account cannot know whether {name} is for the present object"
                return _Life(WindowKind.POLICY, None, Kept.PROBABLE, reason)
            reason = f"this account cannot know when {name} was detached"
        elif known.ids.get(key) == policy.object_id:
            return _ATTACHED
        else:
            reason = f"the server has not recorded when {name} was detached"
            if policy.object_id == self._logical_id(key):
                return None
        end = self._latest_end(policy, key, own)
        return _Life(WindowKind.DETACHED, end, Kept.PROBABLE, reason)

    def _logical_id(self, key: ObjectKey) -> int | None:
        database, table = key
        return None if table is None else self._known.logical_ids.get((database, table))

    def _latest_end(self, policy: Policy, key: ObjectKey, own: Iterable[Policy]) -> Moment:
        """The latest moment at which a policy's object can have gone."""
        known, (database, table) = self._known, key
        ends = [known.now, *(one.made for one in own if one.made > policy.made)]
        changed = (
            known.made.get(database) if table is None else known.altered.get((database, table))
        )
        return min(ends if changed is None else [*ends, changed + SECOND])

    def _pieces(self, policy: Policy, life: _Life, *, indexes: bool) -> Iterator[Window]:
        """The window of a policy; in two where its range was changed."""
        now, pitr = self._known.now, policy.pitr
        reach = self._starts.get(pitr.range)
        if reach is None:
            reach = self._starts[pitr.range] = start_of(pitr.range, now)
        start = begin_of(policy, now, reach)
        if start is None:
            return
        sure = min(max(sure_of(policy), reach), now)

        def window(begin: Moment, end: Moment | None, kept: Kept, reason: str) -> Iterator[Window]:
            if end is None or begin < end:
                yield Window(
                    begin,
                    end,
                    pitr.name,
                    pitr.level,
                    life.kind,
                    kept,
                    indexes,
                    pitr.range,
                    reason=reason,
                    before=policy.before,
                )

        if start < sure:
            changed = f"the range of {pitr.name} was changed at {policy.changed}"
            end = sure if life.end is None else min(sure, life.end)
            yield from window(start, end, Kept.PROBABLE, changed)
        yield from window(sure, life.end, life.kept, life.reason)

    def _instants(self, key: Key) -> Iterator[Window]:
        """The windows of snapshots: one moment each."""
        of: tuple[tuple[ObjectKey | None, PitrLevel], ...] = (
            (None, PitrLevel.ACCOUNT),
            ((key[0], None), PitrLevel.DATABASE),
            (key, PitrLevel.TABLE),
        )
        for object_key, level in of:
            for snapshot in self._snapshots.get(object_key, ()):
                kept, reason = self._kept_by(snapshot, key)
                if kept is not Kept.NOT_KEPT:
                    at, kind = snapshot.at, WindowKind.SNAPSHOT
                    yield Window(at, at, snapshot.name, level, kind, kept, reason=reason)

    def _kept_by(self, snapshot: Snapshot, key: Key) -> tuple[Kept, str]:
        """Whether a snapshot keeps a table: by the id that it recorded, and the table's age."""
        known, object_key = self._known, snapshot.key
        age = known.altered.get(key)
        if object_key is not None and snapshot.object_id is not None:
            if known.ids.get(object_key) != snapshot.object_id:
                since = age if object_key[1] is not None else known.made.get(object_key[0])
                if since is not None and snapshot.at >= since + SECOND:
                    return Kept.NOT_KEPT, ""
                return (
                    Kept.PROBABLE,
                    f"whether {snapshot.name} is of the table of then is not known",
                )
            if object_key[1] is not None:
                return Kept.KEPT, ""
        earlier = known.earlier
        was = earlier is not None and key in earlier.ids and earlier.at <= snapshot.at
        if was or (age is not None and snapshot.at >= age + SECOND):
            return Kept.KEPT, ""
        return Kept.PROBABLE, _WAS_IT_THERE


def _from(born: Moment, window: Window) -> Window:
    if window.begin >= born:
        return window
    if window.end is not None and window.end <= born:
        return _perhaps(window, _WAS_IT_THERE)
    return replace(window, begin=born, since=window.begin)


def _not_asked(born: Moment, window: Window) -> Iterator[Window]:
    """A window that begins after the moment that was asked for: a table that was another one
    then, or not there, may have been made between the two, or later."""
    end = born if window.end is None else min(born, window.end)
    if window.begin < end:
        reason = f"{_WAS_IT_THERE}: coverage() of its database alone may know"
        yield _perhaps(replace(window, end=end), reason)
    begin = max(window.begin, born)
    if window.end is None or begin < window.end:
        yield replace(window, begin=begin)


def _perhaps(window: Window, reason: str) -> Window:
    return replace(window, kept=Kept.PROBABLE, reason=window.reason or reason)


def lasts(window: Window, required: PitrRange) -> bool:
    """Whether what is there now can be restored by a window for a time to come, surely or
    probably: its policy is active, and its range is no shorter, without a hold either."""
    range = window.lasting_range
    return (
        window.kind is WindowKind.POLICY
        and window.end is None
        and range is not None
        and _reaches(range, required)
    )


@functools.lru_cache(1024)
def _reaches(range: PitrRange, required: PitrRange) -> bool:
    return not may_be_shorter(required, range)


def is_active(window: Window) -> bool:
    """Whether a window surely goes on: its policy protects the table."""
    return window.kind is WindowKind.POLICY and window.end is None and window.kept is Kept.KEPT


def _first(window: Window) -> Moment:
    return window.since or window.begin


def _ends_later(window: Window, last: Window) -> bool:
    assert last.end is not None
    return window.end is None or window.end > last.end


def _reason(before: Window, after: Window | None) -> str:
    """Why nothing keeps what is between two windows."""
    ended = f"{before.by} was detached" if before.kind is WindowKind.DETACHED else "the table went"
    if after is None:
        return f"{ended}, and no policy was made since"
    return f"{ended}, and {after.by} keeps what is from its creation on"
