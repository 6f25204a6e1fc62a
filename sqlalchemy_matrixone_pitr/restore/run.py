"""Sending RESTORE: the question before it, and what it did to the policies after it.

The server answers OK to a RESTORE that does nothing, or leaves things out. So the catalogue is
asked first, and a restore that would be such a one is not sent. Everything runs on a connection of
its own: RESTORE commits by itself, and the caller's connection stays as it is.

================================================  ============================================
of                                                RESTORE says OK, and
================================================  ============================================
a table that a foreign key refers to, be it its   does nothing
own (2.2 to main)
a database that another one's foreign keys refer  does nothing, or restores parts of it
to (2.2 to main), or with a table that refers to
itself (before 4.2)
a table whose foreign key's parent is missing     does nothing (later versions: error 1146)
(2.2)
a database with sequences, or, from 3.0.18 on,    loses them: they are named in a warning
with external tables
an account or the cluster                         drops every database first: nothing refers to
                                                  anything then, and no question is asked
================================================  ============================================

Source: docs/server.md, RESTORE; What detaches a policy.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SAWarning, SQLAlchemyError

from .. import server
from ..catalog import (
    ForeignKey,
    Key,
    ObjectKey,
    Reference,
    foreign_keys,
    lost_by_restore,
    names_of,
    object_ids,
)
from ..connections import idle, kill_on_abort, roll_back, side_connection
from ..errors import PitrPermissionError, PitrRestoreError, from_dbapi_error, is_settled
from ..generations import object_of, target_of
from ..model import Pitr, PitrLevel, PitrStatus
from ..renewal import renew_pitr
from ..show import filters
from ..status import ServerState, read_state
from ..transaction import attach, send_now

if TYPE_CHECKING:
    from ..ddl import RestorePitr


def run(engine: Engine, element: RestorePitr, options: Mapping[str, Any]) -> None:
    """Send a RESTORE, unless it would do nothing; say or renew what it detached.

    :param element: without a database it is for the engine's default one.
    :raises PitrRestoreError: the server would do nothing and say OK, or it refused.
    :raises PitrPermissionError: this user may not ask.
    """
    with side_connection(engine) as connection, idle(connection):
        server.require_matrixone(connection)
        attach(engine)
        element = element.resolve(connection, engine.get_execution_options())
        if element.check:
            _ask(connection, element)
        protecting = _protecting(connection, element)
        _send(engine, connection, element.at_local_time(connection), options)
        try:
            detached = None if protecting is None else _detached(connection, protecting)
        except BaseException as error:
            _say_unread(element, error)
            if not isinstance(error, SQLAlchemyError):
                raise
            return
    if detached is None:
        _warn(
            f"{element.target_text} is restored. This user may not read the catalogue: whether "
            "policies protect it still is unknown; get_pitrs(engine, with_status=True) tells an "
            "administrator, and renew_pitr(engine, name) protects it again"
        )
    elif detached:
        _say_or_renew(engine, element, detached)


def _send(
    engine: Engine, connection: Connection, element: RestorePitr, options: Mapping[str, Any]
) -> None:
    """Send it; where it is interrupted or its answer is lost, end it: it may be waiting on the
    server, without end, and would be done long after somebody was told that it is not."""
    try:
        with kill_on_abort(engine, connection):
            roll_back(connection)
            send_now(connection, element, options)
    except BaseException as error:
        if not is_settled(error):
            error.add_note(
                f"Whether {element.target_text} is restored is unknown: look at it before you "
                "restore it again"
            )
        raise


# ------------------------------------------------------------------------------------ before it


def _ask(connection: Connection, element: RestorePitr) -> None:
    """
    :raises PitrRestoreError: the server would do nothing, or not all, and say OK.
    """
    rules = server.rules_of(server.require_matrixone(connection))
    try:
        if element.level in (PitrLevel.DATABASE, PitrLevel.TABLE):
            _refuse_parents(connection, element, rules)
            if rules.restore_skips_orphans:
                _refuse_orphans(connection, element)
        if element.level is not PitrLevel.TABLE and element.account is None:
            _warn_of_lost(connection, element)
    except DBAPIError as error:
        typed = from_dbapi_error(error, name=element.name)
        if isinstance(typed, PitrPermissionError):
            raise PitrPermissionError(
                f"whether RESTORE of {element.target_text} would do anything is unknown: this user "
                "may not read mo_catalog.mo_foreign_keys, and where a foreign key refers to it the "
                "server does nothing and says OK. Let an administrator of the account restore, or "
                "look for foreign keys and give check=False",
                name=element.name,
                errno=typed.errno,
                statement=typed.statement,
                orig=typed.orig,
            ) from error
        if typed is None:
            raise
        raise typed from error


def _refuse_parents(connection: Connection, element: RestorePitr, rules: server.Rules) -> None:
    assert element.database is not None
    keys = foreign_keys(connection, to=[element.database])
    blocking = blocking_keys(keys, (element.database, element.table), rules)
    if not blocking:
        return
    does = "nothing" if element.table is not None else "nothing, or only parts of it,"
    raise PitrRestoreError(
        f"RESTORE of {element.target_text} would bring back {does} and say OK: foreign keys of "
        f"{_tables(blocking)} refer to {_parents(blocking, element)}. Drop these foreign keys "
        "first (ALTER TABLE ... DROP FOREIGN KEY), restore, and add them again; one of a restored "
        "table comes back with it. check=False sends the statement all the same",
        name=element.name,
    )


_K = TypeVar("_K", ForeignKey, Reference)


def blocking_keys(keys: Iterable[_K], restored: ObjectKey, rules: server.Rules) -> list[_K]:
    """The present foreign keys because of which RESTORE of an object does nothing and says OK."""
    database, table = restored
    return [
        key
        for key in keys
        if (
            key.parent == restored
            if table is not None
            else key.parent[0] == database
            and (
                key.table[0] != database or (key.to_itself and rules.restore_skips_self_references)
            )
        )
    ]


def _tables(keys: Iterable[ForeignKey]) -> str:
    return names_of(sorted({key.table for key in keys}))


def _parents(keys: Iterable[ForeignKey], element: RestorePitr) -> str:
    parents = sorted({key.parent for key in keys})
    return "it" if element.table is not None else names_of(parents)


def _refuse_orphans(connection: Connection, element: RestorePitr) -> None:
    """2.2 leaves out a table whose parent is missing."""
    assert element.database is not None
    try:
        keys = foreign_keys(connection, of=[element.database], at=element.instant(connection))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return  # so early a moment that RESTORE will be refused
    needed = [
        key
        for key in keys
        if (
            key.table == (element.database, element.table) and not key.to_itself
            if element.table is not None
            else key.parent[0] != element.database
        )
    ]
    there = object_ids(connection, [key.parent for key in needed])
    missing: list[Key] = sorted({key.parent for key in needed if key.parent not in there})
    if missing:
        raise PitrRestoreError(
            f"RESTORE of {element.target_text} would leave out what refers to a missing table, and "
            f"say OK: {names_of(missing)}. Restore that first. check=False sends the statement all "
            "the same",
            name=element.name,
        )


def _warn_of_lost(connection: Connection, element: RestorePitr) -> None:
    lost = lost_by_restore(connection, element.database)
    if lost:
        _warn(
            f"RESTORE of {element.target_text} drops sequences and external tables and brings none "
            f"of them back: {names_of(lost)}. Create them again after it"
        )


# ------------------------------------------------------------------------------------- after it


def _protecting(connection: Connection, element: RestorePitr) -> ServerState | None:
    """The policies which a restore may detach; None where this user may not know.

    Those of other accounts are not known to the account that restores.
    """
    scope: dict[str, str | None] = {}
    if element.level in (PitrLevel.DATABASE, PitrLevel.TABLE):
        scope = {"database_name": element.database, "table_name": element.table}
    wanted = filters(**scope)
    try:
        return read_state(connection, wanted, tables=())
    except PitrPermissionError:
        return None


def _detached(connection: Connection, before: ServerState) -> list[Pitr]:
    """The policies that protected their object, which has another id by now, or is gone."""
    active = [
        pitr
        for pitr in before.pitrs
        if pitr.status is PitrStatus.ACTIVE and pitr.database_name is not None
    ]
    keys = [object_of(pitr) for pitr in active]
    now = object_ids(connection, keys) if keys else {}
    return [
        pitr
        for pitr, key in zip(active, keys, strict=True)
        if now.get(key) != before.objects[key].id
    ]


def _say_unread(element: RestorePitr, error: BaseException) -> None:
    """The restore is done: an error behind it must not look as if it were not."""
    said = (
        f"{element.target_text} is restored; which policies protect it still could not be read: "
        "get_pitrs(engine, with_status=True) tells, and renew_pitr(engine, name) protects it again"
    )
    if isinstance(error, SQLAlchemyError):
        _warn(f"{said}\n{error}")
    else:
        error.add_note(said)


def _say_or_renew(engine: Engine, element: RestorePitr, detached: list[Pitr]) -> None:
    left = {pitr.name: "" for pitr in detached}
    if element.renew:
        for name in list(left):
            try:
                renew_pitr(engine, name)
            except SQLAlchemyError as error:
                left[name] = f"renew_pitr: {error}"
            except BaseException as error:
                error.add_note(
                    f"{element.target_text} is restored, and not known to be protected again by "
                    f"{', '.join(left)}"
                )
                raise
            else:
                del left[name]
    if left:
        reasons = "".join(f"\n{name}: {reason}" for name, reason in left.items() if reason)
        objects = sorted({target_of(pitr) for pitr in detached if pitr.name in left}, key=str)
        named = ", ".join(".".join(filter(None, target[2:])) for target in objects)
        _warn(
            f"{element.target_text} is restored, and no longer protected by {', '.join(left)}: "
            f"{named} is a new object to the server. renew_pitr(engine, name) protects it again, "
            f"and keeps the history; so does renew=True{reasons}"
        )


def _warn(message: str) -> None:
    warnings.warn(message, SAWarning, stacklevel=2)
