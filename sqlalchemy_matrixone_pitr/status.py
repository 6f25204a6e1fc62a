"""Whether a policy still protects its object.

SHOW PITR does not tell: the catalogue does, to sys by the status column and the recorded id, to
other accounts by the object's id now and at the policy's creation.

Source: docs/server.md, Object ids; What detaches a policy.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection

from . import server
from .catalog import CatalogObject, ObjectKey, Objects, past_ids, read_objects, table_parts
from .connections import pause, roll_back
from .extent import Key, Parts
from .generations import object_of, split_generation
from .held import held_ranges
from .model import Pitr, PitrLevel, PitrRange, PitrStatus
from .server import parse_time
from .show import (
    OF_SYS,
    SYS,
    TARGET_AND_RANGE,
    parse_pitr_rows,
    reset_current_account,
    show_pitr,
    typed_errors,
)

_SECOND: Final = dt.timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ServerState:
    """The policies and objects of an account, read at one time.

    :ivar account: the account's own name.
    :ivar database: the connection's default database.
    :ivar now: the server's clock, UTC.
    :ivar pitrs: with their status, newest first.
    :ivar stale_active: names of detached ones that the server still takes for active: they block
        another one for their object. Known to sys alone.
    :ivar detached_at: when the server noticed that a PITR's object was gone, by name. Known to sys
        alone.
    :ivar objects: the databases asked for, and the tables in them.
    :ivar parts: indexes and partitions of tables, where they were asked for.
    :ivar held: the ranges that held policies had before.
    """

    version: server.Version
    account: str
    database: str | None
    now: dt.datetime
    pitrs: list[Pitr]
    stale_active: frozenset[str]
    detached_at: Mapping[str, dt.datetime]
    objects: Objects
    parts: Mapping[Key, Parts] = field(default_factory=dict)
    held: Mapping[str, PitrRange] = field(default_factory=dict)

    @property
    def rebuilt(self) -> frozenset[ObjectKey]:
        """The tables of 4.x that were rebuilt: see :attr:`CatalogObject.rebuilt`."""
        return frozenset(key for key, found in self.objects.items() if found.rebuilt)

    def unheld(self, pitr: Pitr) -> Pitr:
        """A policy with the range that it has without holds: a release gives that back."""
        before = self.held.get(pitr.name)
        return pitr if before is None else pitr.with_range(before)


def read_state(
    connection: Connection,
    wanted: Mapping[str, str] | None = None,
    *,
    databases: Iterable[str] = (),
    tables: Collection[str] | None = None,
    with_parts: bool = False,
) -> ServerState:
    """PITRs with their status, and the objects they are for: three statements, however many.

    A few more, one for each second of creation, where an account that is not sys cannot tell
    otherwise whether an object was rebuilt. On an idle connection.

    :param wanted: of :func:`filters`.
    :param databases: databases to look up besides those of the PITRs and the default one.
    :param tables: tables to look up besides those of the PITRs; None is all.
    :param with_parts: also read the indexes and partitions of tables with a policy, and of those of
        ``tables``: one statement more, where there are any.
    """
    version = server.require_matrixone(connection)
    roll_back(connection)
    with server.session_zone(connection, "+00:00"), typed_errors():
        rows = show_pitr(connection, wanted or {})
        reset_current_account(connection)
        names: set[str] | None = None
        if tables is not None:
            of_pitrs = {row[6] for row in rows if row[3] == PitrLevel.TABLE.value}
            names = of_pitrs | set(tables)
        within = {row[5] for row in rows if row[5] not in (None, "*")} | set(databases)
        account, database, now, objects = read_objects(connection, version, within, names)
        pitrs = parse_pitr_rows(rows, account)
        stale: frozenset[str] = frozenset()
        ended: dict[str, dt.datetime] = {}
        if pitrs and account == SYS:
            pitrs, stale, ended = _status_for_sys(connection, pitrs, objects)
        elif pitrs:
            pitrs = _status_by_ids(connection, pitrs, objects)
        parts: dict[Key, Parts] = {}
        if with_parts:
            own = {(pitr.database_name, pitr.table_name) for pitr in pitrs}
            keys = {
                (of, name)
                for of, name in objects
                if name is not None and ((of, name) in own or name in (tables or ()))
            }
            parts = table_parts(connection, keys)
        held = held_ranges(connection, pitrs)
    return ServerState(version, account, database, now, pitrs, stale, ended, objects, parts, held)


_RECORD: Final = (
    "pitr_name, pitr_status, obj_id, pitr_status_changed_time, create_time, modified_time"
)
_SYS_STATUS: Final = f"SELECT {_RECORD} FROM mo_catalog.mo_pitr WHERE create_account = 0"
_SYS_PITRS: Final = f"SELECT {_RECORD}, {TARGET_AND_RANGE} {OF_SYS}"


class Recorded(NamedTuple):
    """The catalogue's record of a PITR, readable by sys alone."""

    status: int
    object_id: int
    changed: Any
    created: dt.datetime
    modified: dt.datetime

    @property
    def ended(self) -> dt.datetime | None:
        """Time at which the server noticed that the object was gone; None while active there."""
        return None if self.status == 1 else _changed_time(self.changed)


def recorded_ids(connection: Connection) -> dict[str, Recorded]:
    """The catalogue's records of the PITRs that sys made, by name."""
    rows = connection.exec_driver_sql(_SYS_STATUS)
    return {row[0]: _recorded(row) for row in rows}


def _recorded(row: Sequence[Any]) -> Recorded:
    _, status, object_id, changed, created, modified = row[:6]
    made = _changed_time(created)
    # hardly any was ever altered: one time for both is half the work of a hundred thousand
    altered = made if modified == created else _changed_time(modified)
    return Recorded(int(status), int(object_id), changed, made, altered)


def read_recorded(connection: Connection) -> tuple[list[Pitr], dict[str, Recorded]]:
    """The PITRs that sys made and the catalogue's records of them: one statement, no SHOW PITR."""
    return recorded_of(connection.exec_driver_sql(_SYS_PITRS).all())


def recorded_of(rows: Sequence[Sequence[Any]]) -> tuple[list[Pitr], dict[str, Recorded]]:
    """The PITRs in the rows of :func:`read_recorded`."""
    recorded = {row[0]: _recorded(row) for row in rows}
    shown = [
        (row[0], recorded[row[0]].created, recorded[row[0]].modified, *row[6:12]) for row in rows
    ]
    return parse_pitr_rows(shown, SYS), recorded


def status_by_record(pitr: Pitr, recorded: Recorded | None, objects: Objects) -> PitrStatus:
    """The status by the catalogue: the status column **and** the object's present id.

    The status alone is not enough: on 3.0.9 TRUNCATE and RESTORE leave it 1 with a stale id, and
    4.x may record another id than the present one for a table that was rebuilt before.

    :param recorded: None where the PITR was dropped just now.
    """
    if recorded is None:
        return PitrStatus.UNKNOWN
    attached = True
    if pitr.database_name is not None:
        found = objects.get(object_of(pitr))
        attached = found is not None and found.id == recorded.object_id
    return PitrStatus.ACTIVE if recorded.status == 1 and attached else PitrStatus.DETACHED


def _status_for_sys(
    connection: Connection, pitrs: Sequence[Pitr], objects: Objects
) -> tuple[list[Pitr], frozenset[str], dict[str, dt.datetime]]:
    """Statuses, the detached ones that the server takes for active, and when the others ended."""
    recorded = recorded_ids(connection)
    known = []
    stale = set()
    ended = {}
    for pitr in pitrs:
        record = recorded.get(pitr.name)
        status = status_by_record(pitr, record, objects)
        known.append(pitr.with_status(status))
        if record is not None and status is PitrStatus.DETACHED:
            if record.ended is None:
                stale.add(pitr.name)
            else:
                ended[pitr.name] = record.ended
    return known, frozenset(stale), ended


def _changed_time(value: int | dt.datetime | str) -> dt.datetime:
    """A time of mo_pitr: nanoseconds since 1970, or 2.2's timestamp in the session's zone, UTC."""
    if isinstance(value, int):
        return server.EPOCH + dt.timedelta(microseconds=value // 1000)
    return parse_time(value)


def _status_by_ids(connection: Connection, pitrs: Sequence[Pitr], now: Objects) -> list[Pitr]:
    """Statuses for accounts that cannot read mo_pitr: the object's id now against that at creation.

    The past is asked only where the object was changed since, first once for all: an id that was
    there before the oldest of those PITRs, and still is, has not changed at all.
    """
    statuses: dict[int, PitrStatus] = {}
    doubtful: dict[dt.datetime, list[Pitr]] = defaultdict(list)
    for pitr in pitrs:
        known = status_without_past(pitr, now)
        if known is not None:
            statuses[id(pitr)] = known
        else:
            assert pitr.created_time is not None
            doubtful[pitr.created_time].append(pitr)
    if len(doubtful) > 1:
        oldest = min(doubtful)
        then = past_ids(connection, [p for some in doubtful.values() for p in some], oldest)
        for moment in sorted(doubtful):
            for pitr in list(doubtful[moment]):
                object_now = now[object_of(pitr)]
                if then.get(object_of(pitr)) == object_now.id:
                    statuses[id(pitr)] = _active(pitr, object_now)
                    doubtful[moment].remove(pitr)
    for moment, some in doubtful.items():
        then = past_ids(connection, some, moment) if some else {}
        for pitr in some:
            object_now = now[object_of(pitr)]
            was = then.get(object_of(pitr))
            statuses[id(pitr)] = (
                PitrStatus.UNKNOWN
                if was is None
                else _active(pitr, object_now)
                if was == object_now.id
                else PitrStatus.DETACHED
            )
    return [pitr.with_status(statuses[id(pitr)]) for pitr in pitrs]


def status_without_past(pitr: Pitr, now: Objects) -> PitrStatus | None:
    if pitr.database_name is None or pitr.created_time is None:
        return PitrStatus.ACTIVE  # an account that can ask has not been dropped
    found = now.get(object_of(pitr))
    if found is None:
        return PitrStatus.DETACHED
    if found.made < pitr.created_time:
        return _active(pitr, found)
    if found.made < pitr.created_time + _SECOND:
        return PitrStatus.UNKNOWN  # before or after it, in the same second
    return None


def wait_until_told(connection: Connection, state: ServerState, pitrs: Iterable[Pitr]) -> None:
    """Wait for the second after the last change of objects for which PITRs are about to be made, as
    after a restore: of one made in that second, an account other than sys never knows its status.

    :param state: read just now.
    """
    if state.account == SYS:
        return
    objects = [state.objects.get(object_of(pitr)) for pitr in pitrs]
    last = max((found.made for found in objects if found is not None), default=state.now - _SECOND)
    left = min(last + _SECOND - state.now, _SECOND)
    if left > dt.timedelta(0):
        pause(connection, left.total_seconds())


def status_by_earlier(
    pitr: Pitr, now: Objects, at: dt.datetime, then: Mapping[ObjectKey, int]
) -> PitrStatus:
    """The status by ids now and at one earlier moment, which need not be that of the creation.

    An id that was there before the PITR and still is has not changed since; one that was another
    after it has. In between this account cannot tell.

    :param then: the ids at the earlier moment.
    """
    known = status_without_past(pitr, now)
    if known is not None:
        return known
    assert pitr.created_time is not None
    found, made = now[object_of(pitr)], pitr.created_time + _SECOND
    same = then.get(object_of(pitr)) == found.id
    if same and at <= made:
        return _active(pitr, found)
    return PitrStatus.DETACHED if not same and at >= made else PitrStatus.UNKNOWN


def _active(pitr: Pitr, found: CatalogObject) -> PitrStatus:
    """The status of a PITR whose object is the one it was made for.

    Whether a PITR of a rebuilt table was made so that it protects is told by nothing that this
    account can read, except for a renewal of this package, by its name.
    """
    if found.rebuilt and split_generation(pitr.name)[1] == 1:
        return PitrStatus.UNKNOWN
    return PitrStatus.ACTIVE
