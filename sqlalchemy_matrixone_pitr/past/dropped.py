"""Tables and databases that were there and are not: :func:`dropped_objects`, :func:`undrop`.

The server keeps no list of what was dropped. But its catalogue can be read as of any moment, and
each database and table has an id of its own. So the catalogue is read at sampled moments; where an
id of one sample is missing in the next, the moment at which it went is bisected, to the nanosecond.

==========================================  ========================================================
an id went, and                             it is
==========================================  ========================================================
nothing has its name                        a drop
something made later has its name           a drop; the object says ``recreated``
something has its name at the very moment   a rebuild: ALTER, TRUNCATE, RESTORE; not a drop, nor is
                                            DROP and CREATE of one name in one transaction
==========================================  ========================================================

From 4.0 on the logical id counts, which stays through ALTER and TRUNCATE. RENAME keeps the id.

Source: docs/server.md, Time travel; Object ids; Dropped objects.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.engine import Connection

from .. import server
from ..catalog import Identity, Inventory, Key, ObjectKey, Present, inventory
from ..connections import AS_OF, Bind, roll_back, unwrap
from ..coverage.expiry import earliest
from ..coverage.model import GC_TTL, Kept, Known, Verdict
from ..coverage.reading import read_known
from ..coverage.verdicts import judge
from ..declarations import Databases
from ..errors import PastError, PastNotKeptError, PitrValidationError
from ..extent import covers
from ..model import Pitr
from ..moment import Moment, MomentLike
from ..names import check_database_name, shorten
from ..show import read_pitrs, reading, typed_errors
from .copies import Copying, CopyReport, destination, own_engine
from .opening import is_allowed, to_moment

_SECOND: Final = dt.timedelta(seconds=1)

_CLOSEST: Final = 5_000_000
"""Nanoseconds before the present that the last sample is."""


@dataclass(frozen=True, slots=True)
class DroppedObject:
    """A database or table that was there, and was dropped.

    :ivar table_name: None of a database.
    :ivar object_id: what the catalogue called it: two objects of one name differ in it.
    :ivar last: the last moment at which it was there: ``as_of(table, dropped.last)`` reads it.
    :ivar gone: the moment at which it was not there any more.
    :ivar kept: whether its rows at ``last`` can still be read.
    :ivar kept_by: the policies or snapshots that keep them.
    :ivar reason: why they are not surely kept; empty where they are.
    :ivar recreated: whether something has its name by now.
    :ivar with_database: of a table: whether it went with its whole database.
    :ivar tables: of a database: the tables that it had.
    :ivar indexes: whether the history of its indexes is kept, too.
    """

    database_name: str
    table_name: str | None
    object_id: int
    last: Moment
    gone: Moment
    kept: Kept
    kept_by: tuple[str, ...] = ()
    reason: str = ""
    recreated: bool = False
    with_database: bool = False
    tables: tuple[str, ...] = ()
    indexes: bool = True

    @property
    def name(self) -> str:
        """``database`` or ``database.table``."""
        return ".".join(filter(None, (self.database_name, self.table_name)))

    @property
    def kind(self) -> str:
        return "database" if self.table_name is None else "table"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "kind": self.kind,
            "database": self.database_name,
            "table": self.table_name,
            "id": self.object_id,
            "last": str(self.last),
            "gone": str(self.gone),
            "kept": self.kept.value,
            "kept_by": list(self.kept_by),
            "reason": self.reason,
            "recreated": self.recreated,
            "with_database": self.with_database,
            "tables": list(self.tables),
            "indexes": self.indexes,
        }

    def __str__(self) -> str:
        said = f"{self.kind} {self.name} was dropped at {self.gone}"
        if self.with_database:
            said += " with its database"
        if self.table_name is None:
            said += f" with {len(self.tables)} table{'' if len(self.tables) == 1 else 's'}"
        rows = {
            Kept.KEPT: f"rows kept by {', '.join(self.kept_by)}" if self.kept_by else "no rows",
            Kept.PROBABLE: f"rows probably still there: {self.reason}",
            Kept.NOT_KEPT: f"rows not kept: {self.reason}",
        }
        again = "; re-created under the name since" if self.recreated else ""
        return f"{said}{again}; {rows.get(self.kept, self.kept.value)}"


def dropped_objects(
    bind: Bind,
    *,
    database: str | None = None,
    since: MomentLike | str | None = None,
    samples: int = 128,
) -> list[DroppedObject]:
    """The tables and databases that were there and were dropped, the latest first.

    Each of several drops of one name is an entry of its own. A table that went with its database
    is one, too. What was rebuilt (ALTER, TRUNCATE, RESTORE) was not dropped. Views, sequences and
    functions are not listed.

    On a connection of its own, one statement for each sample, about forty for each moment at which
    something went, and five for the policies.

    :param database: only this one, and what was in it.
    :param since: how far back to look: a Moment, an aware datetime, nanoseconds, or text as
        :meth:`Moment.parse` reads it. None is as far as a policy reaches, and an hour at least.
    :param samples: at how many moments the catalogue is read first: half of them evenly apart, the
        others ever closer to the present. What came and went between two of them is not seen,
        unless something else went there: an object is surely found that was there for 1/63 of the
        time since ``since``, or for a third of the time since it went (an hour, 128 samples).
    :raises PitrPermissionError: this user may not read the catalogue or the policies.
    :raises PitrValidationError: ``since`` lies in the future.

    >>> import time
    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     made = conn.execute(text("CREATE TABLE crates (id INT PRIMARY KEY)"))
    >>> time.sleep(0.1)
    >>> start = Moment.now(engine)
    >>> time.sleep(0.1)
    >>> with engine.begin() as conn:
    ...     gone = conn.execute(text("DROP TABLE crates"))
    >>> (dropped,) = dropped_objects(engine, database=engine.url.database, since=start)
    >>> dropped.table_name, dropped.recreated, dropped.gone > start
    ('crates', False, True)
    """
    found = unwrap(bind, "dropped_objects()")
    if found.get_execution_options().get(AS_OF) is not None:
        raise PastError(
            "dropped_objects looks through the past itself, and this engine or connection reads it "
            f"at one moment: give one without the execution option {AS_OF}"
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise PitrValidationError(f"samples is an int, 2 at least, not {shorten(samples)}")
    wanted = None
    if database is not None:
        check_database_name(database)
        wanted = Databases.of(bind).real(database)
    with reading(found) as connection, typed_errors():
        now = Moment(server.clock(connection))
        start = _reach(connection, wanted, now) if since is None else to_moment(since, now)
        roll_back(connection)
        history = _History(connection, wanted)
        drops = list(_drops(history, _grid(start, now, samples)))
        return _described(connection, history, drops, now)


def undrop(
    bind: Bind,
    object: DroppedObject,
    *,
    into: str | None = None,
    allow_unprotected: bool = False,
) -> CopyReport:
    """Bring a dropped table or database back, as it was at its last moment.

    In one transaction, on a connection of its own: it takes effect at once and as a whole, with as
    many rows as there were, or not at all. It is a new object to the server: a policy that was for
    the old one by name does not protect it (:func:`renew_pitr`).

    :param object: of :func:`dropped_objects`.
    :param into: another name, which must be free: of a table ``"db.table"``, or ``"table"`` in its
        database. None is its own.
    :param allow_unprotected: bring back what no policy surely keeps, too: where the server has
        collected it, it comes back empty.
    :raises PastNotKeptError: nothing surely keeps its rows.
    :raises PastError: the catalogue of its last moment does not have it.
    :raises PitrRestoreError: its name is taken, its database is not there, or the server refused;
        nothing was made.
    :raises PitrTransactionError: the bind is in a transaction.

    >>> import time
    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     made = conn.execute(text("CREATE TABLE boxes (id INT PRIMARY KEY)"))
    ...     made = conn.execute(text("INSERT INTO boxes VALUES (1), (2)"))
    >>> time.sleep(0.1)
    >>> start = Moment.now(engine)
    >>> time.sleep(0.1)
    >>> with engine.begin() as conn:
    ...     gone = conn.execute(text("DROP TABLE boxes"))
    >>> (dropped,) = dropped_objects(engine, database=engine.url.database, since=start)
    >>> undrop(engine, dropped, allow_unprotected=True).rows
    2
    """
    return undropping(bind, object, into=into, allow_unprotected=allow_unprotected).make()


def undropping(
    bind: Bind, object: DroppedObject, *, into: str | None, allow_unprotected: bool
) -> Copying:
    """The copy that :func:`undrop` makes, with its checks."""
    found = own_engine(bind, "undrop()")
    if not isinstance(object, DroppedObject):
        raise PitrValidationError(
            f"undrop takes a DroppedObject, of dropped_objects(), not {shorten(object)}"
        )
    source: ObjectKey = (object.database_name, object.table_name)
    target = source if into is None else destination(into, source)
    with reading(found) as connection, typed_errors():
        now = Moment(server.clock(connection))
        history = _History(connection, object.database_name)
        present = _find(history.at(object.last), source)
        if present is None or present[1].id != object.object_id:
            raise PastError(
                f"{object.kind} {object.name} is not in the catalogue of {object.last}: the server "
                "has forgotten it, or this is another server"
            )
        drop = _Drop(present[1], object.last, object.gone)
        (judged,) = _described(connection, history, [drop], now)
        tables = _tables_of(present[1], history.at(object.last))
    allowed = allow_unprotected or is_allowed(found)
    if judged.kept is not Kept.KEPT and not allowed:
        raise PastNotKeptError(
            f"nothing surely keeps the rows of {object.kind} {object.name} at {object.last}: "
            f"{judged.reason}. Where the server has collected them, it would come back empty. "
            "allow_unprotected=True brings it back all the same"
        )
    sure = judged.kept is Kept.KEPT and judged.indexes
    return Copying(found, source, object.last, target, dict.fromkeys(tables, sure))


# ------------------------------------------------------------------------------------ the catalogue


class _History:
    """The catalogue at moments, each read once."""

    def __init__(self, connection: Connection, database: str | None) -> None:
        self._connection = connection
        self._version = server.require_matrixone(connection)
        self._database = database
        self._read: dict[int, Inventory | None] = {}

    def __call__(self, nanoseconds: int) -> Inventory | None:
        if nanoseconds not in self._read:
            self._read[nanoseconds] = inventory(
                self._connection,
                self._version,
                at=Moment(nanoseconds),
                database=self._database,
            )
        return self._read[nanoseconds]

    def at(self, moment: Moment) -> Inventory:
        return self(moment.nanoseconds) or {}


def _grid(start: Moment, now: Moment, samples: int) -> list[int]:
    """Moments from the first to the present: half of them evenly, half ever closer to now."""
    first, last = start.nanoseconds, now.nanoseconds
    length, even = last - first, max(samples // 2, 2)
    found = {first + length * number // (even - 1) for number in range(even)}
    closer = samples - even
    ratio = min(1.0, _CLOSEST / max(length, 1)) ** (1 / max(closer, 1))
    found |= {last - int(length * ratio**number) for number in range(1, closer + 1)}
    return sorted(found)


def _reach(connection: Connection, database: str | None, now: Moment) -> Moment:
    """As far back as a policy of the account keeps anything of a database; an hour at least."""
    reached = [now - GC_TTL]
    for pitr in read_pitrs(connection, {}):
        begin = earliest(pitr, now.datetime())
        if begin is not None and (database is None or _is_for(pitr, database)):
            reached.append(Moment.of(begin))
    return min(reached)


def _is_for(pitr: Pitr, database: str) -> bool:
    return pitr.database_name == database or covers(pitr, database, None)


@dataclass(frozen=True, slots=True)
class _Drop:
    """Object that was there at ``last``, and not a nanosecond later, at ``gone``."""

    present: Present
    last: Moment
    gone: Moment


def _drops(history: _History, grid: list[int]) -> Iterator[_Drop]:
    """Find objects that went between samples, and were not replaced at that very moment."""
    pairs = list(itertools.pairwise(grid))
    while pairs:
        earlier, later = pairs.pop()
        before, after = history(earlier), history(later)
        if before is None or after is None or not before.keys() - after.keys():
            continue
        if later - earlier > 1:
            middle = (earlier + later) // 2
            pairs += [(earlier, middle), (middle, later)]
            continue
        names = {present.key for present in after.values()}
        for identity in before.keys() - after.keys():
            present = before[identity]
            if present.key not in names:
                yield _Drop(present, Moment(earlier), Moment(later))


# ------------------------------------------------------------------------------ what keeps the rows


def _described(
    connection: Connection, history: _History, drops: Collection[_Drop], now: Moment
) -> list[DroppedObject]:
    if not drops:
        return []
    tables = {drop: _tables_of(drop.present, history.at(drop.last)) for drop in drops}
    known = read_known(connection, {key for keys in tables.values() for key in keys})
    there = {present.key for present in history.at(now).values()}
    found = []
    for drop in drops:
        before = history.at(drop.last)
        verdicts = [
            verdict for key in tables[drop] if (verdict := _judge(known, key, drop, before))
        ]
        worst = max(verdicts, key=lambda verdict: _DOUBT.index(verdict.kept), default=None)
        of_table = drop.present.table_name is not None
        left = {present.key for present in history.at(drop.gone).values()}
        found.append(
            DroppedObject(
                drop.present.database_name,
                drop.present.table_name,
                drop.present.id,
                drop.last,
                drop.gone,
                kept=Kept.KEPT if worst is None else worst.kept,
                kept_by=tuple(sorted({name for verdict in verdicts for name in verdict.by})),
                reason="" if worst is None else worst.reason,
                recreated=drop.present.key in there,
                with_database=of_table and (drop.present.database_name, None) not in left,
                tables=() if of_table else tuple(table for _, table in tables[drop]),
                indexes=all(verdict.indexes for verdict in verdicts),
            )
        )
    found.sort(key=lambda dropped: (dropped.database_name, dropped.table_name or ""))
    found.sort(key=lambda dropped: dropped.gone, reverse=True)
    return found


_DOUBT: Final = (Kept.KEPT, Kept.PROBABLE, Kept.ABSENT, Kept.NOT_KEPT)
"""From no doubt to the most."""


def _tables_of(present: Present, then: Inventory) -> list[Key]:
    """The table, or the tables of a database, sorted."""
    return sorted(
        (one.database_name, one.table_name)
        for one in then.values()
        if one.table_name is not None
        and one.database_name == present.database_name
        and present.table_name in (None, one.table_name)
    )


def _judge(known: Known, key: Key, drop: _Drop, before: Inventory) -> Verdict | None:
    partitioned = frozenset(
        (one.database_name, one.table_name)
        for one in before.values()
        if one.partitioned and one.table_name is not None
    )
    then: dict[ObjectKey, int] = {one.key: one.id for one in before.values()}
    return judge(replace(known, partitioned=partitioned), key, drop.last, then)


def _find(inventory: Inventory, key: ObjectKey) -> tuple[Identity, Present] | None:
    return next((found for found in inventory.items() if found[1].key == key), None)
