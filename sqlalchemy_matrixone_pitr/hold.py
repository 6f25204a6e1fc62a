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
from .errors import PitrNotFoundError, PitrValidationError, is_settled
from .extent import covers
from .generations import target_text
from .held import HELD, OWN, TABLE, HeldPolicy, Hold, ranges_before, read_holds, sure_moments
from .locking import DEFAULT_TIMEOUT, account_lock
from .model import Pitr, PitrRange
from .moment import Moment
from .names import plain
from .own import check_same, number_of
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
    :raises PitrNotFoundError: no policy covers it, or those that do have a range of 0, which keeps
        nothing: nothing could be held.
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
            what = str(scope) if scope.database is None else f"database {scope}"
            hint = "" if scope.database is None else ". A table is given as 'database.table'"
            raise PitrNotFoundError(
                f"no policy covers {what}, so there is nothing to hold: create one{hint}"
            )
        before = ranges_before(there, pitrs)
        changed = {p.name: p.range for p in covering if p.name in before and p.range != HELD}
        policies = tuple(
            HeldPolicy(
                pitr.name,
                before.get(pitr.name, pitr.range) if pitr.range == HELD else pitr.range,
                sure.get(pitr.name, max(sure_of(Policy(pitr)), start_of(pitr.range, now))),
                target=target_text(pitr),
            )
            for pitr in covering
        )
        made = _recorded(engine, scope, plain(reason).strip(), now, policies)
        actions = [
            Alter(pitr.with_range(HELD), "it is held", pitr)
            for pitr in covering
            if pitr.range != HELD
        ]
        try:
            _write_changed(engine, there, changed)
            _send(engine, actions, made)
            return _with_times(engine, made)
        except BaseException as error:
            error.add_note(f"Hold {made.id} is recorded: release(engine, {made.id}) ends it")
            raise


def release(bind: Bind, id: int | Hold, *, timeout: float = DEFAULT_TIMEOUT) -> Hold:
    """End a hold: give each policy its range back. From then on what is out of it may be collected.

    ==================================  ======================================================
    a policy that was held, and         :func:`release`
    ==================================  ======================================================
    is as the hold left it, also where  gives the range back
    its target was dropped
    was renewed since                   gives it back to each generation, also where the one
                                        that was held was dropped by hand
    was given another range by hand     leaves that
    was dropped by hand                 has nothing to give back
    is held by another hold, too        leaves it until that ends
    ==================================  ======================================================

    What it leaves is said in the ``notes`` of what it returns.

    :param id: what :func:`hold` returned, or one of :func:`holds`, or its number. A number means
        another hold where the database ``matrixone_pitr`` was dropped in between.
    :raises PitrNotFoundError: there is no such hold, or it is released, or the number is another's
        by now.
    """
    found = own_engine(bind, "release()")
    number = number_of(id, "hold")
    engine = found.engine
    with account_lock(found, timeout):
        with reading(found) as connection:
            pitrs = {pitr.name: pitr for pitr in read_pitrs(connection, {})}
            roll_back(connection)
            there = [one for one in read_holds(connection) if one.released is None]
        wanted = next((one for one in there if one.id == number), None)
        if wanted is None:
            raise PitrNotFoundError(
                f"there is no hold {number} in this account, or it is released: holds() lists them"
            )
        check_same(id, wanted, "hold")
        others = [one for one in there if one.id != number]
        actions, notes = _releasing(wanted, others, pitrs)
        _send(engine, actions, wanted)
        left = f"its record is not: release(engine, {number}) ends it, if holds() lists it still"
        try:
            with side_connection(engine) as connection:
                now = Moment(server.clock(connection))
                statement = text(f"UPDATE {TABLE} SET released = :at WHERE id = :id")
                send(connection, statement.bindparams(at=now.nanoseconds, id=number))
                connection.exec_driver_sql("COMMIT")
            left = "it is released"
            return _with_times(engine, replace(wanted, released=now, notes=notes))
        except BaseException as error:
            error.add_note(f"The ranges of hold {number} are given back, and {left}")
            raise


def _releasing(
    wanted: Hold, others: Sequence[Hold], pitrs: Mapping[str, Pitr]
) -> tuple[list[Action], tuple[str, ...]]:
    """The changes that end a hold, and what is left as it is, in sentences."""
    actions: list[Action] = []
    notes: list[str] = []
    for policy in wanted.policies:
        there = pitrs.get(policy.name)
        if there is None:
            notes.append(f"{policy.name} is not there: it was dropped since")
        elif target_text(there) != policy.target:
            notes.append(f"{policy.name} is for {target_text(there)} by now, and is left as it is")
    held_by = {one.id: ranges_before([one], pitrs.values()) for one in others}
    for name, before in sorted(ranges_before([wanted], pitrs.values()).items()):
        there = pitrs.get(name)
        also = [number for number, ranges in held_by.items() if name in ranges]
        if there is None:
            continue
        if there.range != HELD:
            if there.range != before:
                notes.append(f"{name} was given the range {there.range} since, and keeps it")
        elif also:
            numbers = " and ".join(map(str, also))
            notes.append(f"{name} is held by {numbers}, too, and stays so until that ends")
        elif before != HELD:  # each ALTER makes the server's shown window start anew
            actions.append(Alter(there.with_range(before), "its hold ends", there))
    return actions, tuple(notes)


def holds(bind: Bind, *, released: bool = False) -> list[Hold]:
    """The holds of this account, oldest first.

    :param released: also those that have ended.
    """
    with reading(bind) as connection, typed_errors():
        return [one for one in read_holds(connection) if released or one.released is None]


def _covers(pitr: Pitr, scope: Scope) -> bool:
    if not pitr.range.value:  # made so by hand: it keeps nothing, and could not be given back
        return False
    if scope.database is not None:
        return covers(pitr, scope.database, None) or pitr.database_name == scope.database
    return any(covers(pitr, *table) for table in scope.tables)


def _send(engine: Engine, actions: Sequence[Action], of: Hold) -> None:
    """Change ranges, one after the other; the first error ends it, and is raised."""
    run = Run(engine, actions, resend=True)
    said = f"Ranges were being changed; hold {of.id} is in force until release(engine, {of.id}):\n"
    with carried(run.report, lambda report: f"{said}{report}"):
        run.send(range(len(actions)))
        run.raise_first()


def _recorded(
    engine: Engine, scope: Scope, reason: str, now: Moment, policies: tuple[HeldPolicy, ...]
) -> Hold:
    with side_connection(engine) as connection, typed_errors():
        OWN.make(connection)
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
        try:
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            if not is_settled(error):
                error.add_note(
                    f"Whether hold {made.id} is recorded is unknown, and no range was changed: "
                    f"holds() lists it if it is, and release(engine, {made.id}) ends it"
                )
            raise
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
