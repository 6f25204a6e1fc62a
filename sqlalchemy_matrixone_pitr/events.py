"""Policies that come and go with their tables, and policies that are there when a program starts.

:func:`install_events` hooks into ``create_all`` and ``drop_all``. :func:`ensure_pitrs` and
:func:`install_engine_hook` are for programs that want their policies present, whoever made the
tables; many processes may call them at once.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import MetaData, Table, bindparam, event, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SAWarning

from . import server
from .apply import apply_plan, conflict_error
from .catalog import object_ids
from .connections import current_database, query
from .ddl import AlterPitr, CreatePitr, DropPitr, overlay
from .declarations import (
    Bound,
    Databases,
    Schemas,
    bind_declarations,
    databases_of,
    declares_any,
    metadatas,
)
from .errors import PitrUnsupportedError, PitrValidationError
from .generations import policies, target_of
from .locking import DEFAULT_TIMEOUT
from .model import Pitr, PitrLevel, PitrStatus
from .plan import Action, Create, Drop, Renew, compare, may_go_with, plan_bound, read_declared
from .reflection import ServerState, read_pitrs, read_state, reading
from .report import ApplyReport, carried
from .transaction import pending_pitrs, take_back

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_lock = threading.Lock()
_installed: weakref.WeakKeyDictionary[MetaData, _Events] = weakref.WeakKeyDictionary()

_Targets = set[tuple[str | None, str | None]]


# ------------------------------------------------------------------------- create_all and drop_all


def install_events(
    metadata: Schemas, *, only_on_matrixone: bool = False, database_name: str | None = None
) -> None:
    """Let ``create_all`` create the declared policies, and ``drop_all`` drop them.

    They are created in the transaction of the tables, so they take effect when it commits. With
    ``checkfirst``, the default of ``create_all``, what is there already stays as it is, and tables
    that exist get the policies that they lack; what is there is read once, by three statements, not
    once for each table. Called twice, it does nothing more.

    ``drop_all`` drops the policies of the tables it drops, with their history, and a database's
    when nothing is left in the database, whoever made it. Policies for an account or the cluster
    stay: they protect more than these tables.

    :param only_on_matrixone: do nothing on other databases, such as SQLite in tests; without it
        ``create_all`` raises there.
    :param database_name: the database of tables without a schema where there is no connection to
        ask, that is, with :func:`sqlalchemy.create_mock_engine`.
    :raises PitrUnsupportedError: from ``create_all``, on another database.
    :raises PitrAlreadyExistsError: from ``create_all``, where a policy of somebody else's is in the
        way.

    >>> from sqlalchemy import Column, Integer, MetaData, Table, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> table = Table("orders", metadata, Column("id", Integer, primary_key=True), TablePitr("7d"))
    >>> install_events(metadata)
    >>> metadata.create_all(engine)
    >>> [pitr.table_name for pitr in get_pitrs(engine, table_name="orders")]
    ['orders']
    >>> metadata.drop_all(engine)
    >>> get_pitrs(engine, table_name="orders")
    []
    """
    if not isinstance(only_on_matrixone, bool):
        raise PitrValidationError(
            f"only_on_matrixone must be True or False, not {only_on_matrixone!r}"
        )
    for one in metadatas(metadata):
        with _lock:
            if (there := _installed.get(one)) is not None:
                there.set(only_on_matrixone, database_name)
                continue
            events = _installed[one] = _Events(only_on_matrixone, database_name)
        event.listen(one, "before_create", events.before_create)
        event.listen(one, "after_create", events.after_create)
        event.listen(one, "before_drop", events.before_drop)


class _Events:
    """The listeners of one MetaData."""

    def __init__(self, only_on_matrixone: bool, database_name: str | None) -> None:
        self.set(only_on_matrixone, database_name)

    def set(self, only_on_matrixone: bool, database_name: str | None) -> None:
        """The options of :func:`install_events`."""
        self._quiet = only_on_matrixone
        self._database = database_name

    def before_create(self, target: MetaData, connection: Any, **kw: Any) -> None:
        """Refuse another database before it has the tables, which it may not roll back."""
        self._concerns(target, connection)

    def after_create(
        self,
        target: MetaData,
        connection: Any,
        *,
        tables: Sequence[Table] | None = None,
        checkfirst: Any = False,
        **kw: Any,
    ) -> None:
        if not self._concerns(target, connection):
            return
        names = self._names(connection)
        made: _Targets = {names.key(table) for table in tables or ()}
        if isinstance(connection, Connection) and checkfirst:
            wanted = _missing(connection, target, names, made)
        else:
            declared = bind_declarations(target, names).pitrs
            wanted = [p for p in declared if not _is_of_table(p) or _object(p) in made]
        for pitr in wanted:
            connection.execute(CreatePitr(pitr).with_real_names())

    def before_drop(
        self,
        target: MetaData,
        connection: Any,
        *,
        tables: Sequence[Table] | None = None,
        **kw: Any,
    ) -> None:
        if not self._concerns(target, connection):
            return
        names = self._names(connection)
        going: _Targets = {names.key(table) for table in tables or ()}
        if isinstance(connection, Connection):
            dropped = _to_drop(connection, target, names, going)
        else:  # only a server knows what else is in a database
            declared = bind_declarations(target, names).pitrs
            dropped = [p.name for p in declared if _is_of_table(p) and _object(p) in going]
        for name in dropped:
            connection.execute(DropPitr(name))

    def _names(self, connection: Any) -> Databases:
        """What declared databases mean on a connection, or on a mock of one."""
        if isinstance(connection, Connection):
            return Databases.of(connection)
        return Databases(None, self._database)

    def _concerns(self, target: MetaData, connection: Any) -> bool:
        """Whether there is something to do; another database is refused, or passed over."""
        if not declares_any(target):
            return False
        dialect = connection.dialect
        try:
            if dialect.name not in server.SUPPORTED_DIALECTS:
                raise PitrUnsupportedError(
                    f"the metadata declares PITR policies, and {dialect.name} has none: give "
                    "install_events(metadata, only_on_matrixone=True) to create the tables alone"
                )
            if isinstance(connection, Connection):
                server.require_matrixone(connection)
        except PitrUnsupportedError:
            if self._quiet:
                return False
            raise
        return True


def _read_aside(
    connection: Connection, metadata: MetaData, names: Databases
) -> tuple[Bound, ServerState]:
    """What is declared, and what is committed of it: the tables' own transaction is open, and takes
    no reading of PITRs."""
    with reading(connection) as aside:
        state = read_state(aside, databases=databases_of(metadata, names))
    return bind_declarations(metadata, names, state.account), state


def _to_drop(
    connection: Connection, metadata: MetaData, names: Databases, going: _Targets
) -> list[str]:
    """The PITRs that go with tables. What this transaction was about to create or alter is taken
    back."""
    bound, state = _read_aside(connection, metadata, names)
    left = (set(state.objects) | _objects_here(connection, bound.databases)) - going
    inside = {key for key in left if key[1] is not None and not _is_part(key[1])}
    wanted = {(pitr.name, target_of(pitr)) for pitr in bound.pitrs}
    found = [
        pitr.name
        for policy in policies(overlay(state.pitrs, pending_pitrs(connection)))
        if (policy.name, policy.target) in wanted
        for pitr in policy.generations
        if may_go_with(pitr, going, inside)
    ]
    taken = (CreatePitr, AlterPitr)
    take_back(connection, lambda e: isinstance(e, taken) and e.pitr_name in found)
    committed = {pitr.name for pitr in overlay(state.pitrs, pending_pitrs(connection))}
    return [name for name in found if name in committed]


_OBJECTS_HERE: Final = (
    "SELECT reldatabase, relname FROM mo_catalog.mo_tables "
    "WHERE account_id = current_account_id() AND reldatabase IN :databases"
)


def _objects_here(connection: Connection, databases: Collection[str]) -> _Targets:
    """What is in some databases as the connection's own transaction sees them."""
    statement = text(_OBJECTS_HERE).bindparams(bindparam("databases", expanding=True))
    rows = query(connection, statement, {"databases": sorted(databases) or [""]})
    return {(row[0], row[1]) for row in rows}


def _is_part(name: str) -> bool:
    """Whether a table is a part of another: a partition, or an index."""
    return name.startswith(("%!%", "__mo_"))


def _object(pitr: Pitr) -> tuple[str | None, str | None]:
    return pitr.database_name, pitr.table_name


def _is_of_table(pitr: Pitr) -> bool:
    return pitr.level is PitrLevel.TABLE


def _missing(
    connection: Connection, metadata: MetaData, names: Databases, made: _Targets
) -> list[Pitr]:
    """The PITRs to create: for tables made just now, and for others that lack one.

    What is committed for a table that was made just now is of an earlier table of that name:
    renewed. What would drop something is left, and said in a warning.
    """
    bound, state = _read_aside(connection, metadata, names)
    there = [
        pitr.with_status(PitrStatus.DETACHED)
        if _object(pitr) in made and pitr.created_time is not None
        else pitr
        for pitr in overlay(state.pitrs, pending_pitrs(connection))
    ]
    plan = compare(bound.pitrs, there, stale=state.stale)
    for conflict in plan.conflicts:
        raise conflict_error(conflict)
    _warn_of([action for action in plan.destructive if isinstance(action, Drop | Renew)])
    safe = plan.only(lambda action: not action.destructive)
    wanted = [action.pitr for action in safe.actions if isinstance(action, Create | Renew)]
    others = {
        (pitr.database_name, pitr.table_name)
        for pitr in wanted
        if pitr.database_name is not None and _is_of_table(pitr) and _object(pitr) not in made
    }
    here = object_ids(connection, others & set(state.objects))
    return [
        pitr
        for pitr in wanted
        if not _is_of_table(pitr) or _object(pitr) in made or _object(pitr) in here
    ]


# ---------------------------------------------------------------------------- when a program starts


def ensure_pitrs(
    engine: Engine, metadata: Schemas, *, timeout: float = DEFAULT_TIMEOUT
) -> ApplyReport:
    """Create the declared policies that are missing, at once; for the start of a program.

    Two reading statements at most when all is well: what is listed, by name, target and range, is
    taken for present (``mo-pitr check`` also finds what is detached). Otherwise it is planned and
    applied under the account lock, so that many processes may start at once: the first creates, the
    others find it done. Nothing destructive is done; what is left is said in a warning. Tables that
    do not exist yet are passed over.

    :param timeout: seconds to wait for the account lock.
    :raises PitrError: something could not be done; the message has the whole report.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> print(ensure_pitrs(engine, metadata))
    1 done
    >>> print(ensure_pitrs(engine, metadata))
    nothing to do
    """
    if not isinstance(engine, Engine):
        raise PitrValidationError(
            f"ensure_pitrs takes an Engine, not {type(engine).__name__}: it uses connections of "
            "its own; for an AsyncEngine there is ensure_pitrs_async"
        )
    if not declares_any(metadata):
        warnings.warn(
            "the metadata declare no policy, so ensure_pitrs protects nothing: are the modules "
            "with the models imported before it is called?",
            SAWarning,
            stacklevel=2,
        )
    names = Databases.of(engine)
    with reading(engine) as connection:
        listed = [pitr.with_status(PitrStatus.ACTIVE) for pitr in read_pitrs(connection, {})]
        names = names.told(lambda: current_database(connection))
        if compare(bind_declarations(metadata, names).pitrs, listed).in_sync:
            return ApplyReport()
    bound, state = read_declared(engine, metadata)
    plan = plan_bound(bound, state)

    def exists(action: Action) -> bool:
        return action.pitr.database_name is None or _object(action.pitr) in state.objects

    def possible(action: Action) -> bool:
        return exists(action) and not action.destructive

    left = [action for action in plan.destructive if exists(action)]
    report = apply_plan(engine, plan.only(possible), keep_going=True, timeout=timeout)
    report.raise_for_failed()
    with carried(lambda: report, str):  # a warning may be an error
        _warn_of(left)
    return report


def _warn_of(left: Sequence[Action]) -> None:
    if left:
        lines = "\n".join(f"  {action}" for action in left)
        warnings.warn(
            f"not done, because less could be restored afterwards:\n{lines}\n"
            "See them with plan_pitrs(), and do them with apply_plan(allow_destructive=True).",
            SAWarning,
            stacklevel=3,
        )


class _Hook:
    """Runs :func:`ensure_pitrs` at the first checkout of each process."""

    def __init__(self, engine: Engine, metadata: Schemas, timeout: float) -> None:
        self._engine = weakref.ref(engine)
        self.metadata = metadata
        self._timeout = timeout
        self._done_in: int | None = None

    def __call__(self, connection: Connection) -> None:
        engine = self._engine()
        process = os.getpid()
        with _lock:
            if self._done_in == process or engine is None:
                return
            self._done_in = process  # also for the connections that ensure_pitrs makes itself
        try:
            ensure_pitrs(engine, self.metadata, timeout=self._timeout)
        except BaseException:
            self._done_in = None
            connection.close()
            raise


_hooks: weakref.WeakKeyDictionary[Engine, list[_Hook]] = weakref.WeakKeyDictionary()


def install_engine_hook(
    engine: Engine | AsyncEngine, metadata: Schemas, *, timeout: float = DEFAULT_TIMEOUT
) -> None:
    """Let an engine call :func:`ensure_pitrs` once in each process, at its first checkout.

    It uses connections of its own, so that a pool of one is enough. Other threads do not wait for
    it. An error is raised from that checkout, and the next one tries again. Tables that do not
    exist yet are left for ``create_all``. Called twice for the same metadata, it does nothing more.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> install_engine_hook(engine, metadata)
    >>> with engine.connect() as conn:
    ...     PitrManager(engine).exists("nightly")
    True
    """
    sync: Any = getattr(engine, "sync_engine", engine)
    if not isinstance(sync, Engine):
        raise PitrValidationError(
            f"install_engine_hook takes an Engine or AsyncEngine, not {type(engine).__name__}"
        )
    with _lock:
        hooks = _hooks.setdefault(sync, [])
        if any(hook.metadata is metadata for hook in hooks):
            return
        hook = _Hook(sync, metadata, timeout)
        hooks.append(hook)
    event.listen(sync, "engine_connect", hook)
