"""Policies that come and go with their tables: hooks into ``create_all`` and ``drop_all``."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import MetaData, Table, event
from sqlalchemy.engine import Connection

from . import server
from .apply import conflict_error, warn_not_done
from .catalog import ObjectKey, is_part, object_ids, objects_here
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
from .errors import PitrUnsupportedError
from .generations import object_of, policies, target_of
from .model import Pitr, PitrLevel, PitrStatus, check_flag
from .plan.actions import Create, Drop, Renew
from .plan.compare import compare
from .show import reading
from .status import ServerState, read_state
from .transaction import pending_pitrs, take_back

_lock = threading.Lock()
_installed: weakref.WeakKeyDictionary[MetaData, _Events] = weakref.WeakKeyDictionary()

_Targets = set[tuple[str | None, str | None]]


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
    check_flag("only_on_matrixone", only_on_matrixone)
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
            wanted = [p for p in declared if not _is_of_table(p) or object_of(p) in made]
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
            dropped = [p.name for p in declared if _is_of_table(p) and object_of(p) in going]
        for name in dropped:
            connection.execute(DropPitr(name))

    def _names(self, connection: Any) -> Databases:
        """The meaning of declared databases on a connection, or on a mock of one."""
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
    """Read what is declared, and what is committed of it, on another connection: the tables' own
    transaction is open, and takes no reading of PITRs."""
    with reading(connection) as aside:
        state = read_state(aside, databases=databases_of(metadata, names))
    return bind_declarations(metadata, names, state.account), state


def _to_drop(
    connection: Connection, metadata: MetaData, names: Databases, going: _Targets
) -> list[str]:
    """The PITRs that go with tables. What this transaction was about to create or alter is taken
    back."""
    bound, state = _read_aside(connection, metadata, names)
    left = (set(state.objects) | objects_here(connection, bound.databases)) - going
    inside = {key for key in left if key[1] is not None and not is_part(key[1])}
    wanted = {(pitr.name, target_of(pitr)) for pitr in bound.pitrs}
    found = [
        pitr.name
        for policy in policies(overlay(state.pitrs, pending_pitrs(connection)))
        if (policy.name, policy.target) in wanted
        for pitr in policy.generations
        if _may_go_with(pitr, going, inside)
    ]
    taken = (CreatePitr, AlterPitr)
    take_back(connection, lambda e: isinstance(e, taken) and e.pitr_name in found)
    committed = {pitr.name for pitr in overlay(state.pitrs, pending_pitrs(connection))}
    return [name for name in found if name in committed]


def _is_of_table(pitr: Pitr) -> bool:
    return pitr.level is PitrLevel.TABLE


def _may_go_with(pitr: Pitr, going: _Targets, left: Collection[ObjectKey]) -> bool:
    """Whether a policy protects nothing but tables that ``drop_all`` drops, and may go with them.

    One for an account or the cluster always protects more.

    :param going: databases and tables.
    :param left: what else is in their databases.

    >>> nightly = Pitr.database("nightly", "7d", database_name="shop")
    >>> _may_go_with(nightly, {("shop", "orders")}, []), _may_go_with(nightly, set(), [])
    (True, False)
    >>> _may_go_with(nightly, {("shop", "orders")}, [("shop", "notes")])
    False
    """
    if pitr.level is PitrLevel.TABLE:
        return (pitr.database_name, pitr.table_name) in going
    if pitr.level is not PitrLevel.DATABASE:
        return False
    database = pitr.database_name
    return any(of == database for of, _ in going) and not any(of == database for of, _ in left)


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
        if object_of(pitr) in made and pitr.created_time is not None
        else pitr
        for pitr in overlay(state.pitrs, pending_pitrs(connection))
    ]
    plan = compare(bound.pitrs, there, stale_active=state.stale_active)
    for conflict in plan.conflicts:
        raise conflict_error(conflict)
    warn_not_done([action for action in plan.destructive if isinstance(action, Drop | Renew)])
    safe = plan.only(lambda action: not action.destructive)
    wanted = [action.pitr for action in safe.actions if isinstance(action, Create | Renew)]
    others = {
        (pitr.database_name, pitr.table_name)
        for pitr in wanted
        if pitr.database_name is not None and _is_of_table(pitr) and object_of(pitr) not in made
    }
    here = object_ids(connection, others & set(state.objects))
    return [
        pitr
        for pitr in wanted
        if not _is_of_table(pitr) or object_of(pitr) in made or object_of(pitr) in here
    ]
