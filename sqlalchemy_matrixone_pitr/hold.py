"""Incident hold: while people investigate, nothing ages out. :func:`hold`, :func:`release`.

The ranges of the policies that cover a target are lengthened to a hundred years, also of detached
ones, which keep older history; :func:`release` gives each its range back. ALTER to a longer range
takes effect at once and loses nothing; what was out of the range before may be collected already.

A hold is no drift: plans and checks leave held policies as they are. It does not keep policies from
being dropped, nor history that no policy keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from . import server
from .apply import Run
from .connections import Bind, roll_back, send, side_connection
from .coverage.model import Policy
from .coverage.windows import start_of, sure_of
from .declarations import Databases
from .errors import PitrNotFoundError, PitrValidationError
from .extent import covers
from .held import HELD, TABLE, HeldPolicy, Hold, ranges_before, read_holds, sure_moments
from .locking import DEFAULT_TIMEOUT, account_lock
from .model import Pitr, PitrRange
from .moment import Moment
from .names import OWN_DATABASE, plain, shorten
from .past.copies import own_engine
from .plan.actions import Action, Alter
from .report import carried
from .restore.targets import RestoreTarget, Scope, find_scope
from .show import read_pitrs, reading, typed_errors


def hold(
    bind: Bind, targets: RestoreTarget, reason: str, *, timeout: float = DEFAULT_TIMEOUT
) -> Hold:
    """Let nothing of tables or a database age out, until :func:`release`.

    At once, under the account lock: the ranges are recorded in ``matrixone_pitr.holds`` first, then
    each is lengthened. Of a policy that is held already, the hold lasts as long as any of both.

    :param targets: a Table, a mapped class, ``"db.table"``, a database's name, or several tables.
    :param reason: for whoever finds the hold.
    :raises PitrNotFoundError: no policy covers it: nothing could be held.
    :raises PitrLockTimeoutError: another program held the lock; nothing was sent.
    :raises PitrTransactionError: the bind is in a transaction.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> name = engine.url.database
    >>> week = PitrManager(engine).create_database_pitr("incident_week", name, 7)
    >>> found = hold(engine, name, "orders were lost on Friday")
    >>> [(policy.name, str(policy.before)) for policy in found.policies]
    [('incident_week', '7d')]
    >>> print(PitrManager(engine).get("incident_week").range)
    100y
    >>> release(engine, found.id).released is None
    False
    >>> print(PitrManager(engine).get("incident_week").range)
    7d
    """
    found = own_engine(bind, "hold()")
    scope = find_scope(targets, Databases.of(bind))
    if not isinstance(reason, str) or not reason.strip():
        raise PitrValidationError(f"reason is a text for whoever finds the hold, not {reason!r}")
    engine = found.engine
    with account_lock(found, timeout):
        with reading(found) as connection:
            now = Moment(server.clock(connection))
            pitrs = read_pitrs(connection, {})
            roll_back(connection)
            there = [one for one in read_holds(connection) if one.released is None]
            sure = sure_moments(connection, pitrs)
        covering = [pitr for pitr in pitrs if _covers(pitr, scope)]
        if not covering:
            raise PitrNotFoundError(
                f"no policy covers {scope}, so there is nothing to hold: create one"
            )
        before = ranges_before(there, pitrs)
        changed = {p.name: p.range for p in covering if p.name in before and p.range != HELD}
        policies = tuple(
            HeldPolicy(
                pitr.name,
                before.get(pitr.name, pitr.range) if pitr.range == HELD else pitr.range,
                sure.get(pitr.name, max(sure_of(Policy(pitr)), start_of(pitr.range, now))),
            )
            for pitr in covering
        )
        made = _recorded(engine, scope, plain(reason).strip(), now, policies)
        _write_changed(engine, there, changed)
        actions = [
            Alter(pitr.with_range(HELD), "it is held", pitr)
            for pitr in covering
            if pitr.range != HELD
        ]
        _send(engine, actions)
        return _with_times(engine, made)


def release(bind: Bind, id: int, *, timeout: float = DEFAULT_TIMEOUT) -> Hold:
    """End a hold: give each policy its range back.

    A policy that another hold is for stays as it is until that ends, and so does one whose range
    somebody has changed since. From then on what is out of the range may be collected.

    :param id: of :func:`hold` or :func:`holds`.
    :raises PitrNotFoundError: there is no such hold, or it is released.
    """
    found = own_engine(bind, "release()")
    if isinstance(id, bool) or not isinstance(id, int):
        raise PitrValidationError(f"id is the number of a hold, not {shorten(id)}")
    engine = found.engine
    with account_lock(found, timeout):
        with reading(found) as connection:
            pitrs = {pitr.name: pitr for pitr in read_pitrs(connection, {})}
            roll_back(connection)
            there = [one for one in read_holds(connection) if one.released is None]
        wanted = next((one for one in there if one.id == id), None)
        if wanted is None:
            raise PitrNotFoundError(
                f"there is no hold {id} in this account, or it is released: holds() lists them"
            )
        others = ranges_before([one for one in there if one.id != id], pitrs.values())
        actions = [
            Alter(pitrs[name].with_range(before), "its hold ends", pitrs[name])
            for name, before in ranges_before([wanted], pitrs.values()).items()
            if name not in others and name in pitrs and pitrs[name].range == HELD
        ]
        _send(engine, actions)
        with side_connection(engine) as connection:
            now = Moment(server.clock(connection))
            statement = text(f"UPDATE {TABLE} SET released = :at WHERE id = :id")
            send(connection, statement.bindparams(at=now.nanoseconds, id=id))
            connection.exec_driver_sql("COMMIT")
        return _with_times(engine, replace(wanted, released=now))


def holds(bind: Bind, *, released: bool = False) -> list[Hold]:
    """The holds of this account, oldest first.

    :param released: also those that have ended.
    """
    with reading(bind) as connection, typed_errors():
        return [one for one in read_holds(connection) if released or one.released is None]


def _covers(pitr: Pitr, scope: Scope) -> bool:
    if scope.database is not None:
        return covers(pitr, scope.database, None) or pitr.database_name == scope.database
    return any(covers(pitr, *table) for table in scope.tables)


def _send(engine: Engine, actions: Sequence[Action]) -> None:
    """Change ranges, one after the other; the first error ends it, and is raised."""
    run = Run(engine, actions, resend=True)
    with carried(run.report, lambda report: f"Ranges were being changed:\n{report}"):
        run.send(range(len(actions)))
        run.raise_first()


def _recorded(
    engine: Engine, scope: Scope, reason: str, now: Moment, policies: tuple[HeldPolicy, ...]
) -> Hold:
    with side_connection(engine) as connection, typed_errors():
        for statement in (
            f"CREATE DATABASE IF NOT EXISTS `{OWN_DATABASE}`",
            f"CREATE TABLE IF NOT EXISTS {TABLE} (id BIGINT PRIMARY KEY, made BIGINT NOT NULL, "
            "released BIGINT, reason TEXT NOT NULL, targets TEXT NOT NULL, policies TEXT NOT NULL)",
            "COMMIT",
        ):
            connection.exec_driver_sql(statement)
        last = connection.exec_driver_sql(f"SELECT max(id) FROM {TABLE}").scalar()
        made = Hold(int(last or 0) + 1, reason, str(scope), now, None, policies)
        values = {
            "id": made.id,
            "made": now.nanoseconds,
            "reason": reason,
            "targets": made.targets,
            "policies": _as_json(policies),
        }
        statement_ = text(
            f"INSERT INTO {TABLE} (id, made, reason, targets, policies) "
            "VALUES (:id, :made, :reason, :targets, :policies)"
        )
        send(connection, statement_.bindparams(**values))
        connection.exec_driver_sql("COMMIT")
    return made


def _write_changed(engine: Engine, there: Sequence[Hold], changed: Mapping[str, PitrRange]) -> None:
    """Record ranges that somebody has changed since other holds: these give them back, too."""
    for one in there:
        if any(policy.name in changed for policy in one.policies):
            policies = [replace(p, before=changed.get(p.name, p.before)) for p in one.policies]
            with side_connection(engine) as connection:
                _write_policies(connection, one.id, policies)


def _as_json(policies: Sequence[HeldPolicy]) -> str:
    return json.dumps([policy.to_dict() for policy in policies])


def _with_times(engine: Engine, made: Hold) -> Hold:
    """The hold with the times of the changes, by which later readers know that nobody else has
    changed the ranges."""
    with reading(engine) as connection:
        times = {pitr.name: pitr.modified_time for pitr in read_pitrs(connection, {})}
        roll_back(connection)
        policies = tuple(_with_time(policy, times.get(policy.name)) for policy in made.policies)
        _write_policies(connection, made.id, policies)
    return replace(made, policies=policies)


def _with_time(policy: HeldPolicy, modified: object) -> HeldPolicy:
    seconds = getattr(modified, "timestamp", None)
    return replace(policy, modified=None if seconds is None else int(seconds()))


def _write_policies(connection: Connection, number: int, policies: Sequence[HeldPolicy]) -> None:
    statement = text(f"UPDATE {TABLE} SET policies = :policies WHERE id = :id")
    send(connection, statement.bindparams(policies=_as_json(policies), id=number))
    connection.exec_driver_sql("COMMIT")
