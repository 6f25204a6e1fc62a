"""Reading what keeps the history of tables, and saying so: :func:`check_kept`.

Four statements at most, however many tables: SHOW PITR, the catalogue of now, the ids that the
PITRs recorded (to sys), and, only where a table's own policy or none is there, the catalogue of the
moment. A fifth, for snapshots, where nothing else keeps it. Other accounts look two moments up for
each policy whose object was made in the same second, or changed since.
"""

from __future__ import annotations

import functools
import sys
import time
import warnings
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Table, inspect as inspect_, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, NoInspectionAvailable

from .. import server
from ..catalog import Identity, Key, ObjectKey, Present, ids_at, inventory, read_objects
from ..connections import ALLOW_UNPROTECTED, SCANNED, Bind, query, roll_back, unwrap
from ..declarations import Databases
from ..errors import (
    PastNotKeptError,
    PastNotKeptWarning,
    PitrPermissionError,
    PitrValidationError,
)
from ..generations import object_of
from ..held import TABLE as HOLDS, Hold, hold_of, read_holds, sure_moments
from ..model import PitrLevel
from ..moment import Moment, MomentLike
from ..names import SYSTEM_DATABASES, fold, plain, shorten
from ..show import SYS, parse_pitr_rows, reading, reset_current_account, show_pitr, typed_errors
from ..status import recorded_ids, status_without_past
from .model import GC_TTL, SECOND, Kept, Known, Policy, Snapshot, Verdict, policy_of
from .verdicts import judge


def read_known(connection: Connection, keys: Collection[Key]) -> Known:
    """Read what keeps the history of tables: three statements, on an idle connection of ours."""
    version = server.require_matrixone(connection)
    roll_back(connection)
    with server.session_zone(connection, "+00:00"), typed_errors():
        rows = show_pitr(connection, {})
        reset_current_account(connection)
        databases = {database for database, _ in keys}
        tables = {table for _, table in keys}
        account, _, _, objects = read_objects(connection, version, databases, tables)
        pitrs = [
            pitr
            for pitr in parse_pitr_rows(rows, account)
            if pitr.database_name is None
            or pitr.database_name in databases
            or account == SYS  # of a table that was renamed: its id tells
        ]
        policies = []
        if account == SYS:
            recorded = recorded_ids(connection)
            for pitr in pitrs:
                found = recorded.get(pitr.name)
                if found is None:
                    continue  # it was dropped just now
                below = pitr.database_name is not None
                times = (Moment.of(found.created), Moment.of(found.modified))
                policies.append(Policy(pitr, found.object_id if below else None, *times))
        else:
            for pitr in pitrs:
                known = status_without_past(pitr, objects)
                told = pitr if known is None else pitr.with_status(known)
                there = objects.get(object_of(pitr))
                policies.append(policy_of(told, None if there is None else there.id))
            policies = _with_recorded_ids(connection, version, policies, tables)
        roll_back(connection)
        sure = sure_moments(connection, pitrs)
        policies = [replace(one, sure=sure.get(one.pitr.name)) for one in policies]
    return Known(
        now=Moment(server.clock(connection)),
        policies=policies,
        ids={key: found.id for key, found in objects.items()},
        made={key[0]: Moment.of(found.made) for key, found in objects.items() if key[1] is None},
        partitioned=frozenset(
            (key[0], key[1])
            for key, found in objects.items()
            if found.partitioned and key[1] is not None
        ),
        rules=server.rules_of(version),
    )


def _with_recorded_ids(
    connection: Connection,
    version: server.Version,
    policies: Iterable[Policy],
    tables: Collection[str],
) -> list[Policy]:
    """Policies of an account that cannot read the ids which they recorded, with those ids.

    A policy recorded the id that its object had when it was made: SHOW PITR says in which second.
    Where the object had two in that second, or had been rebuilt on 4.x, nothing tells which.
    """
    now = Moment(server.clock(connection))

    @functools.cache
    def then(database: str, at: Moment) -> dict[ObjectKey, tuple[Identity, Present]]:
        there = inventory(connection, version, at=at, database=database) or {}
        return {found[1].key: found for found in there.items()}

    def with_id(policy: Policy) -> Policy:
        pitr = policy.pitr
        if pitr.database_name is None or pitr.table_name not in (None, *tables):
            return policy
        if policy.object_id is not None or policy.made > now:
            return policy
        before, after = (
            then(pitr.database_name, at).get(object_of(pitr))
            for at in (policy.made - SECOND, policy.made)
        )
        if after is None or (before is not None and before[1].id != after[1].id):
            return policy
        identity, present = after
        return policy if identity.id != present.id else replace(policy, object_id=present.id)

    return [with_id(policy) for policy in policies]


def ids_then(
    connection: Connection, keys: Collection[Key], moment: Moment
) -> dict[ObjectKey, int] | None:
    """The ids that tables and their databases had at a moment: see :func:`ids_at`."""
    tables = {table for _, table in keys}
    return ids_at(connection, {database for database, _ in keys}, moment, tables)


def read_verdicts(
    connection: Connection, keys: Collection[Key], moment: Moment
) -> dict[Key, Verdict]:
    """Read what is known of tables' history at a moment.

    :raises PitrValidationError: the moment lies in the future.
    """
    known = read_known(connection, keys)
    moment.check_past(known.now)
    verdicts = {key: judge(known, key, moment) for key in keys}
    open_ = [key for key, verdict in verdicts.items() if verdict is None]
    if open_:
        then = ids_then(connection, open_, moment)
        for key in open_:
            verdicts[key] = judge(known, key, moment, {} if then is None else then)
        if any(
            one is not None and one.kept in (Kept.PROBABLE, Kept.NOT_KEPT)
            for one in (verdicts[key] for key in open_)
        ):
            known = replace(known, snapshots=read_snapshots(connection, moment))
            for key in open_:
                verdicts[key] = judge(known, key, moment, {} if then is None else then)
    return {key: verdict for key, verdict in verdicts.items() if verdict is not None}


_SERVERS_OWN: Final = "__mo_"
"""Before the names of snapshots that the server makes for itself: see docs/server.md, Snapshots."""


def read_snapshots(connection: Connection, moment: Moment | None = None) -> list[Snapshot]:
    """The snapshots that people made, of a moment or all; none where this account cannot tell."""
    at = "" if moment is None else "ts = :ts AND "
    statement = text(
        "SELECT sname, ts, database_name, table_name, obj_id FROM mo_catalog.mo_snapshots "
        f"WHERE {at}account_name IN (current_account_name(), '')"
    )
    values = {} if moment is None else {"ts": moment.nanoseconds}
    try:
        rows = query(connection, statement, values)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return []
    return _snapshots_of(rows)


def _snapshots_of(rows: Iterable[Sequence[Any]]) -> list[Snapshot]:
    return [
        Snapshot(
            name,
            Moment(int(ts)),
            database or None,
            table or None,
            int(object_id) if database and object_id else None,
        )
        for name, ts, database, table, object_id in rows
        if not name.startswith(_SERVERS_OWN)
    ]


_SNAPSHOTS_AND_HOLDS: Final = f"""\
SELECT 0 AS of_hold, sname, ts, CAST(NULL AS SIGNED) AS released, database_name, table_name,
  CAST(obj_id AS CHAR) AS number
FROM mo_catalog.mo_snapshots WHERE account_name IN (current_account_name(), '')
UNION ALL
SELECT 1, reason, made, released, targets, policies, CAST(id AS CHAR) FROM {HOLDS}"""


def read_snapshots_and_holds(connection: Connection) -> tuple[list[Snapshot], list[Hold]]:
    """The snapshots that people made and the holds, oldest first: one statement, where the table of
    holds is there and this account may read both."""
    try:
        rows = query(connection, text(_SNAPSHOTS_AND_HOLDS))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return read_snapshots(connection), read_holds(connection)
    snapshots = [(row[1], row[2], *row[4:7]) for row in rows if not row[0]]
    found = [
        hold_of((number, reason, targets, made, released, policies))
        for of_hold, reason, made, released, targets, policies, number in rows
        if of_hold
    ]
    return _snapshots_of(snapshots), sorted(found, key=lambda one: one.id)


def _unread(connection: Connection, keys: Collection[Key], moment: Moment) -> dict[Key, Verdict]:
    """The verdicts for a user who may not read policies: nothing is known to keep anything."""
    known = Known(Moment(server.clock(connection)), (), {}, {})
    moment.check_past(known.now)
    young = known.now < moment + GC_TTL
    reason = (
        "this user may not read the policies, so that what keeps it is not known; an administrator "
        "of the account may, with the role moadmin or accountadmin"
    )
    kept = Kept.PROBABLE if young else Kept.NOT_KEPT
    return {key: Verdict(*key, moment, kept, reason=reason, scanned=True) for key in keys}


# ----------------------------------------------------------------------------------------- saying

_VALID: Final = 60.0
"""Seconds for which an engine is not asked again."""

_MANY: Final = 10_000

_ASKED: Final = "_matrixone_kept"
"""Attribute of an engine's dialect: when which table's history at which moment was found kept."""


def check_kept(
    bind: Bind,
    tables: Iterable[Any] | Any,
    moment: MomentLike,
    *,
    allow_unprotected: bool = False,
) -> list[Verdict]:
    """Ask whether something keeps the history of tables at a moment, before it is trusted.

    Where nothing keeps it, MatrixOne answers with no rows and no error once it has been collected.
    Nothing is said of what a policy or a snapshot keeps. What nothing surely keeps, but the server
    has not collected yet by its default settings, is a warning; anything else is refused.

    It reads on a connection of its own, four statements at most.

    :param tables: a Table, a mapped class, ``"database.table"``, ``"table"`` of the current
        database, or several of these.
    :param allow_unprotected: neither warn nor refuse.
    :raises PastNotKeptError: the history is not kept; it names the policy that would have kept it.
    :raises PitrValidationError: the moment lies in the future.

    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     result = conn.execute(text("CREATE TABLE crates (id INT PRIMARY KEY)"))
    ...     result = conn.execute(CreatePitr(Pitr.table("crates_week", "crates", "7d")))
    >>> import time
    >>> time.sleep(1.1)  # policies know seconds
    >>> [verdict.by for verdict in check_kept(engine, "crates", Moment.now(engine))]
    [('crates_week',)]
    """
    at = Moment.of(moment)
    found = unwrap(bind, "check_kept")
    databases = Databases.of(bind)
    keys = [_key(table, databases) for table in _each(tables)]
    verdicts = ask(found, keys, at)
    if not allow_unprotected:
        say(verdicts)
    return verdicts


def ask(bind: Engine | Connection, keys: Collection[Key], moment: Moment) -> list[Verdict]:
    """The verdicts of tables; those of the last minute are taken again."""
    wanted = [key for key in dict.fromkeys(keys) if key[0] not in SYSTEM_DATABASES]
    if not wanted:
        return []
    asked: dict[tuple[Key, Moment], tuple[float, Verdict]]
    asked = bind.engine.dialect.__dict__.setdefault(_ASKED, {})
    now = time.monotonic()
    fresh = {key: asked.get((key, moment)) for key in wanted}
    old = [key for key, found in fresh.items() if found is None or now - found[0] > _VALID]
    if old:
        with reading(bind) as connection:
            try:
                read = read_verdicts(connection, old, moment)
            except PitrPermissionError:
                roll_back(connection)
                read = _unread(connection, old, moment)
        for key, verdict in read.items():
            asked[key, moment] = fresh[key] = (now, verdict)
        if len(asked) > _MANY:
            asked.clear()
    return [found[1] for found in fresh.values() if found is not None]


_KNOWN: Final = "_matrixone_known"
"""Attribute of an engine's dialect: what was known of tables, and when."""


def ask_scanned(bind: Engine | Connection, keys: Collection[Key], moment: Moment) -> set[Key]:
    """The tables that must be read without their indexes, for a caller who allows what nothing
    keeps: moments are asked for only where a table's policy, or a partitioned table, is there."""
    recent: dict[frozenset[Key], tuple[float, Known | None]]
    recent = bind.engine.dialect.__dict__.setdefault(_KNOWN, {})
    wanted = frozenset(key for key in keys if key[0] not in SYSTEM_DATABASES)
    now = time.monotonic()
    at, known = recent.get(wanted, (-_VALID, None))
    if wanted and now - at > _VALID:
        with reading(bind) as connection:
            try:
                known = read_known(connection, wanted)
            except PitrPermissionError:
                known = None
        if len(recent) > _MANY:
            recent.clear()
        recent[wanted] = now, known
    if known is None:  # nobody can tell
        return set(wanted)
    if not known.partitioned and all(
        policy.pitr.level is not PitrLevel.TABLE for policy in known.policies
    ):
        return set()
    verdicts = ask(bind, wanted, moment)
    return {(one.database_name, one.table_name) for one in verdicts if one.scanned}


_SEEN: Final = "_matrixone_now"
"""Attribute of an engine's dialect: the latest that its server's clock was seen to say."""


def check_past(connection: Connection, moment: Moment) -> None:
    """Refuse a future moment; the server's clock is asked only where it was not seen later.

    :raises PitrValidationError: it lies in the future.
    """
    attributes = connection.engine.dialect.__dict__
    seen: Moment | None = attributes.get(_SEEN)
    if seen is None or moment > seen:
        attributes[_SEEN] = seen = Moment(server.clock(connection))
        moment.check_past(seen)


_answered: weakref.WeakKeyDictionary[
    Connection, dict[Any, tuple[float, frozenset[tuple[str | None, str]]]]
] = weakref.WeakKeyDictionary()


def check_statement(
    connection: Connection,
    tables: Iterable[tuple[str | None, str]],
    moment: Moment,
    options: Mapping[str, Any],
) -> frozenset[tuple[str | None, str]]:
    """Ask for the tables of a statement that is about to be sent, once a minute on a connection.

    The tables whose rows may be kept where their indexes' history is not are returned: they are not
    to be read through one. That holds for a caller, too, who allows what nothing keeps.

    :param tables: their schemas and names, as declared.
    :param options: the statement's execution options.
    :raises PastNotKeptError: the history of one is not kept.
    :raises PitrValidationError: the moment lies in the future.
    """
    asked: frozenset[Key] | None = options.get(SCANNED)
    if asked is not None:
        check_past(connection, moment)
        if not asked:
            return frozenset()
        of = Databases.of(connection, options)
        return frozenset(key for key in tables if (of.real(key[0]), fold(key[1])) in asked)
    schemas = options.get("schema_translate_map") or {}
    allowed = bool(options.get(ALLOW_UNPROTECTED))
    question = (moment, frozenset(tables), frozenset(schemas.items()), allowed)
    answered = _answered.setdefault(connection, {})
    now = time.monotonic()
    at, scanned = answered.get(question, (-_VALID, frozenset()))
    if now - at < _VALID:
        return scanned
    databases = Databases.of(connection, options)
    keys: dict[Key, tuple[str | None, str]] = {}
    for schema, name in dict.fromkeys(tables):
        database = databases.real(schema)
        if database is not None:
            keys[database, fold(name)] = schema, name
    if allowed:
        check_past(connection, moment)
        found = ask_scanned(connection, keys, moment)
    else:
        verdicts = ask(connection, keys, moment)
        if not verdicts:
            check_past(connection, moment)
        say(verdicts)
        found = {(one.database_name, one.table_name) for one in verdicts if one.scanned}
    scanned = frozenset(keys[key] for key in found)
    answered[question] = now, scanned
    return scanned


def say(verdicts: Iterable[Verdict]) -> None:
    """Warn of what is probable, and refuse what is not kept.

    :raises PastNotKeptError: one is not.
    """
    for verdict in verdicts:
        table = f"{verdict.database_name}.{verdict.table_name}"
        if verdict.kept is Kept.NOT_KEPT:
            raise PastNotKeptError(
                f"nothing keeps the history of {table} at {verdict.moment}, and the server answers "
                f"with no rows, as if it had been empty, once it is gone: {verdict.reason}. "
                "allow_unprotected=True, or the execution option matrixone_allow_unprotected, "
                "reads it all the same"
            )
        if verdict.kept is Kept.PROBABLE:
            warnings.warn(
                f"nothing surely keeps the history of {table} at {verdict.moment}: {verdict.reason}"
                ". By its default settings the server has not collected it yet; where it has, it "
                "answers with no rows",
                PastNotKeptWarning,
                stacklevel=_callers_level(),
            )


def _callers_level() -> int:
    """The ``stacklevel`` of the user's line, below SQLAlchemy's and ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        ("sqlalchemy.", "sqlalchemy_matrixone_pitr.")
    ):
        level, frame = level + 1, frame.f_back
    return level


def _each(tables: Any) -> list[Any]:
    return list(tables) if isinstance(tables, list | tuple | set | frozenset) else [tables]


def _key(table: Any, databases: Databases) -> Key:
    """The database and name of a table, as the server has them."""
    if isinstance(table, str):
        database, dot, name = plain(table).rpartition(".")
        real = fold(database) if dot else databases.real(None)
        if not name or not real or (dot and not database):
            raise PitrValidationError(
                f"{shorten(table)} is no table: write 'database.table', or choose a database"
            )
        return real, fold(name)
    if not isinstance(table, Table):
        try:
            table = inspect_(table).local_table
        except (NoInspectionAvailable, AttributeError):
            raise PitrValidationError(
                f"check_kept takes tables, mapped classes and names of tables, not {shorten(table)}"
            ) from None
    found, name = databases.key(table)
    if found is None:
        raise PitrValidationError(
            f"table {table.name!r} has no database: it has no schema, and the connection has none"
        )
    return found, name
