"""Reading what coverage is computed from: four statements, however many tables and policies.

The tables of the account with their indexes; its policies; its snapshots; and the ids that the
tables had at one earlier moment, where a table was altered since policies above it were made, or
where an account other than sys must look whether its policies' objects are the same. sys takes its
policies from the catalogue, which has the recorded ids, and needs no SHOW PITR. Where a policy was
held, the holds come with the snapshots.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.engine import Connection

from .. import server
from ..catalog import AccountTables, Key, ids_at, read_tables
from ..connections import roll_back
from ..extent import Parts
from ..generations import object_of
from ..held import HELD, NAME as HOLDS, Hold, held_among, known_sure, with_changed_range
from ..model import Pitr, PitrRange, PitrStatus
from ..moment import Moment
from ..names import OWN_DATABASE
from ..show import SYS, parse_pitr_rows, reset_current_account, show_pitr, typed_errors
from ..status import (
    Recorded,
    ServerState,
    read_recorded,
    status_by_earlier,
    status_by_record,
    status_without_past,
)
from .model import SECOND, Earlier, Known, Policy, Snapshot, policy_of
from .reading import read_snapshots, read_snapshots_and_holds
from .windows import start_of

_MARGIN: Final = dt.timedelta(minutes=1)
"""The earliest moment of a range is about to be forgotten: a little later one is asked."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """An account's tables and policies.

    :ivar pitrs: with their status.
    :ivar held: the ranges before of those that are held, by name.
    """

    known: Known
    tables: AccountTables
    pitrs: tuple[Pitr, ...]
    held: Mapping[str, PitrRange] = field(default_factory=dict)


def read_inventory(connection: Connection, databases: Collection[str] | None) -> Inventory:
    """Read what keeps the tables of databases, on an idle connection of ours.

    :param databases: those to read, besides the default one; None is all but the server's own.
    """
    version = server.require_matrixone(connection)
    roll_back(connection)
    with server.session_zone(connection, "+00:00"), typed_errors():
        within = None if databases is None else {*databases, OWN_DATABASE}
        tables = read_tables(connection, version, within)
        recorded: Mapping[str, Recorded] | None = None
        if tables.account == SYS:
            pitrs, recorded = read_recorded(connection)
        else:
            roll_back(connection)
            rows = show_pitr(connection, {})
            reset_current_account(connection)
            pitrs = parse_pitr_rows(rows, tables.account)
        roll_back(connection)
        snapshots, holds = _snapshots_and_holds(connection, tables, pitrs)
        known = replace(known_of(tables, server.rules_of(version)), snapshots=snapshots)
        concerned = [
            pitr
            for pitr in pitrs
            if within is None or pitr.database_name in {None, tables.database, *within}
        ]
        moment = _moment_to_ask(known, tables, concerned, recorded)
        if moment is not None:
            roll_back(connection)
            asked = {database for database, table in tables.objects if table is None}
            asked |= {pitr.database_name for pitr in pitrs if pitr.database_name is not None}
            ids = ids_at(connection, asked, moment)
            known = replace(known, earlier=None if ids is None else Earlier(moment, ids))
    found = with_policies(known, tables, pitrs, recorded)
    if not holds:
        return found
    sure, held = known_sure(holds, with_changed_range(pitrs)), held_among(holds, pitrs)
    told = [
        replace(one, sure=sure.get(one.pitr.name), before=held.get(one.pitr.name))
        for one in found.known.policies
    ]
    return replace(found, known=replace(found.known, policies=told), held=held)


def _snapshots_and_holds(
    connection: Connection, tables: AccountTables, pitrs: Sequence[Pitr]
) -> tuple[list[Snapshot], list[Hold]]:
    """The snapshots, and the holds where a policy is held or was."""
    concern = with_changed_range(pitrs) or any(pitr.range == HELD for pitr in pitrs)
    if not concern or (OWN_DATABASE, HOLDS) not in tables.objects:
        return read_snapshots(connection), []
    return read_snapshots_and_holds(connection)


def known_of(tables: AccountTables, rules: server.Rules) -> Known:
    """The objects; policies follow."""
    of_tables = {
        (database, table): found
        for (database, table), found in tables.objects.items()
        if table is not None
    }
    return Known(
        now=Moment.of(tables.now),
        policies=(),
        ids={key: found.id for key, found in tables.objects.items()},
        made={
            database: Moment.of(found.made)
            for (database, table), found in tables.objects.items()
            if table is None
        },
        partitioned=frozenset(key for key, parts in tables.parts.items() if parts.partitioned),
        rules=rules,
        parts=tables.parts,
        altered={key: Moment.of(found.made) for key, found in of_tables.items()},
        logical_ids={key: found.logical_id for key, found in of_tables.items() if found.rebuilt},
    )


def known_of_state(state: ServerState, pitrs: Iterable[Pitr], parts: Mapping[Key, Parts]) -> Known:
    """The policies of a state, with what is known of their objects: nothing is read.

    :param pitrs: of the state, as they are or as a transaction will leave them.
    :param parts: of the tables in question.
    """

    def policy(pitr: Pitr) -> Policy:
        there = state.objects.get(object_of(pitr))
        return policy_of(pitr, None if there is None else there.id)

    return Known(
        now=Moment.of(state.now),
        policies=[policy(pitr) for pitr in pitrs],
        ids={key: found.id for key, found in state.objects.items()},
        made={
            database: Moment.of(found.made)
            for (database, table), found in state.objects.items()
            if table is None
        },
        partitioned=frozenset(key for key, found in parts.items() if found.partitioned),
        rules=server.rules_of(state.version),
        parts=parts,
    )


def with_policies(
    known: Known,
    tables: AccountTables,
    pitrs: Sequence[Pitr],
    recorded: Mapping[str, Recorded] | None,
) -> Inventory:
    """The inventory with each policy's status, and with the id that it recorded.

    :param recorded: None where the account is not sys.
    """
    told: list[Pitr] = []
    policies: list[Policy] = []
    for pitr in pitrs:
        if recorded is not None:
            record = recorded.get(pitr.name)
            told.append(pitr.with_status(status_by_record(pitr, record, tables.objects)))
            policies.append(_recorded_policy(told[-1], record))
            continue
        told.append(pitr.with_status(_status_of_account(pitr, known, tables)))
        there = tables.objects.get(object_of(pitr))
        policies.append(policy_of(told[-1], None if there is None else there.id))
    return Inventory(replace(known, policies=policies), tables, tuple(told))


def _recorded_policy(pitr: Pitr, record: Recorded | None) -> Policy:
    if record is None:
        return Policy(pitr)
    created = Moment.of(record.created)
    return Policy(
        pitr,
        None if pitr.database_name is None else record.object_id,
        created,
        created if record.modified is record.created else Moment.of(record.modified),
        None if record.ended is None else Moment.of(record.ended),
    )


def _status_of_account(pitr: Pitr, known: Known, tables: AccountTables) -> PitrStatus:
    if known.earlier is not None:
        at = known.earlier.at.datetime()
        return status_by_earlier(pitr, tables.objects, at, known.earlier.ids)
    return status_without_past(pitr, tables.objects) or PitrStatus.UNKNOWN


def _moment_to_ask(
    known: Known,
    tables: AccountTables,
    pitrs: Sequence[Pitr],
    recorded: Mapping[str, Recorded] | None,
) -> Moment | None:
    """The earlier moment at which the ids tell most; None where they would tell nothing."""
    latest = max(known.altered.values(), default=None)
    moments: list[Moment] = []
    for pitr in pitrs:
        if pitr.table_name is None and pitr.account_name is None:
            record = None if recorded is None else recorded.get(pitr.name)
            policy = _recorded_policy(pitr, record)
            begin = max(policy.made, start_of(pitr.range, known.now) + _MARGIN)
            if latest is not None and begin < latest + SECOND:
                moments.append(begin)
        elif recorded is None and status_without_past(pitr, tables.objects) is None:
            assert pitr.created_time is not None
            moments.append(Moment.of(pitr.created_time) + SECOND)
    found = min(moments, default=None)
    return None if found is None or found >= known.now else found
