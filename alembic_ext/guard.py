"""``guard_migrations()``: a step that drops something must be one that can be undone.

An operation that drops a table, a column or a database raises before it is sent, unless an active
policy covers the object for at least the time that is required. The migration's transaction then
undoes the rest of its revision.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import alembic.context
from alembic.config import Config
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection, Transaction

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.connections import current_database, is_autocommit, query
from sqlalchemy_matrixone_pitr.ddl import AlterPitr, DropPitr
from sqlalchemy_matrixone_pitr.declarations import Databases
from sqlalchemy_matrixone_pitr.errors import PitrUnprotectedError
from sqlalchemy_matrixone_pitr.generations import is_detached, split_generation
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel, PitrRange, RangeLike
from sqlalchemy_matrixone_pitr.names import fold, plain, shorten
from sqlalchemy_matrixone_pitr.plan import may_be_shorter
from sqlalchemy_matrixone_pitr.reflection import ServerState, read_state, reading
from sqlalchemy_matrixone_pitr.transaction import pending_pitrs

from .ops import AlterPitrOp, DropPitrOp
from .registration import register
from .sqltext import Act, Verb, acts_of
from .watch import before

OVERRIDE = "allow_unprotected"
"""``-x allow_unprotected=true`` lets everything through."""

REQUIRED = "matrixone_pitr_required"
"""Where a Config keeps what its env.py requires."""

_required: PitrRange | None = None
_wrapped = False


@dataclass(frozen=True, slots=True)
class Loss:
    """What an operation drops: a table (or a column of it), or with no table a whole database."""

    operation: str
    database: str | None
    table: str | None


def guard_migrations(require: RangeLike = "1h") -> None:
    """Refuse what drops a table, a column or a database that no policy could bring back.

    In env.py beside ``register()``, for what it runs; elsewhere for the process. Called again, it
    changes the requirement. Looked at are ``op.drop_table``, ``op.drop_column``, and in
    ``op.execute``, text or element, the statements ``DROP DATABASE``, ``DROP TABLE`` and ``ALTER
    TABLE ... DROP``, prepared ones too; what a migration sends through ``op.get_bind()`` is not
    seen. A table counts as what it was before the revision, whatever it is called by now; one that
    the migration itself has made may go. A policy that the same revision drops or shortens, before
    or after, counts as it will be then. Scripts (``--sql``) are not guarded: they ask no server.

    :param require: how far back a policy must reach, at the least.
    :raises PitrUnprotectedError: from the operation, or at the end of the revision.
    """
    register()
    global _required, _wrapped
    required = PitrRange.of(require)
    config = _config_of_env()
    if config is None:
        _required = required
    else:
        config.attributes[REQUIRED] = required
    if not _wrapped:
        _wrapped = True
        before((ops.DropTableOp, ops.DropColumnOp), _look_at_drop)
        before((ops.ExecuteSQLOp,), _look_at_text)
        before((ops.RenameTableOp,), _look_at_rename)
        before((DropPitrOp, AlterPitrOp), _look_at_policy)


def _config_of_env() -> Config | None:
    """The Config whose env.py is running."""
    try:
        return alembic.context.config
    except (AttributeError, NameError):
        return None


def _look_at_drop(operations: Operations, op: ops.DropTableOp | ops.DropColumnOp) -> None:
    context = operations.migration_context
    if _requirement(context) is None:
        return
    if isinstance(op, ops.DropColumnOp):
        shown = f"drop_column({op.table_name!r}, {op.column_name!r})"
    else:
        shown = f"drop_table({op.table_name!r})"
    check(context, Loss(shown, _translated(context, op.schema), op.table_name))


def _look_at_text(operations: Operations, op: ops.ExecuteSQLOp) -> None:
    context = operations.migration_context
    if _requirement(context) is None:
        return
    for act in acts_of(op.sqltext, context.dialect):
        if act.verb is Verb.RENAME_TABLE and act.new_name is not None:
            _follow(context, _key(context, *act.name), _key(context, *act.new_name))
        elif act.verb in (Verb.DROP_DATABASE, Verb.DROP_TABLE, Verb.DROP_COLUMN):
            check(context, _loss(act))


def _loss(act: Act) -> Loss:
    database, name = act.name
    shown = f"execute({shorten(act.statement)})"
    if act.verb is Verb.DROP_DATABASE:
        return Loss(shown, name, None)
    return Loss(shown, database, name)


def _look_at_rename(operations: Operations, op: ops.RenameTableOp) -> None:
    context = operations.migration_context
    if _requirement(context) is not None:
        database = _translated(context, op.schema)
        old, new = op.table_name, str(op.new_table_name)
        _follow(context, _key(context, database, old), _key(context, database, new))


# ------------------------------------------------------------------------------------ one revision

Key: TypeAlias = tuple[str | None, str | None]
"""A database, None where none is chosen, and a table in it, None for the database itself."""


def _key(context: MigrationContext, database: str | None, table: str | None) -> Key:
    assert context.connection is not None
    named = fold(database) if database else current_database(context.connection)
    return named, None if table is None else fold(table)


def _translated(context: MigrationContext, schema: str | None) -> str | None:
    """The schema of an operation, which goes through the connection's map; text does not."""
    assert context.connection is not None
    return Databases.of(context.connection).real(plain(schema) if schema else None)


@dataclass(frozen=True, slots=True)
class _Passed:
    """What was dropped under a policy.

    :ivar key: the object, as it is committed.
    :ivar by: the policies that were enough.
    :ivar transaction: that undoes it; None where nothing does.
    """

    loss: Loss
    key: Key
    by: frozenset[str]
    transaction: Transaction | None


@dataclass
class _Revision:
    """What the revision that runs has done so far.

    :ivar earlier: what revisions before it have dropped in the same transaction.
    :ivar renamed: what each renamed table was called before, and in which transaction.
    """

    passed: list[_Passed] = field(default_factory=list)
    earlier: list[_Passed] = field(default_factory=list)
    renamed: dict[Key, tuple[Key, Transaction | None]] = field(default_factory=dict)


_revisions: weakref.WeakKeyDictionary[MigrationContext, _Revision] = weakref.WeakKeyDictionary()


def _revision(context: MigrationContext) -> _Revision:
    if context not in _revisions:
        _revisions[context] = _Revision()
        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, _end_revision)
    return _revisions[context]


def _follow(context: MigrationContext, old: Key, new: Key) -> None:
    assert context.connection is not None
    _revision(context).renamed[new] = old, context.connection.get_transaction()


def _end_revision(*, ctx: MigrationContext, **kw: Any) -> None:
    """Look again: a policy may have been dropped after what it covered, in one transaction."""
    revision, connection, required = _revisions[ctx], ctx.connection, _requirement(ctx)
    assert connection is not None
    now = connection.get_transaction()
    open_still = [p for p in (*revision.earlier, *revision.passed) if p.transaction is now]
    revision.earlier, revision.passed = open_still, []
    if not open_still or required is None:
        return
    state = _state(connection, None)
    for passed in open_still:
        left = _after_commit(connection, _covering(state.pitrs, passed.key))
        if not _enough(left, required):
            when = " at the end of the revision"
            raise PitrUnprotectedError(
                _refusal(connection, passed.loss, passed.key, left, required, when)
            )


def check(context: MigrationContext, loss: Loss) -> None:
    """Refuse a loss that nothing could undo.

    :raises PitrUnprotectedError: no active policy covers the object for long enough.
    """
    connection, required = context.connection, _requirement(context)
    if connection is None or required is None:
        return
    key = _key(context, loss.database, loss.table)
    state = _state(connection, key[0])
    committed = _committed(connection, state, key, dict(_revision(context).renamed))
    if committed is None:
        return
    left = _after_commit(connection, _covering(state.pitrs, committed))
    by = _enough(left, required)
    if not by:
        raise PitrUnprotectedError(_refusal(connection, loss, committed, left, required))
    transaction = None if is_autocommit(connection) else connection.get_transaction()
    _revision(context).passed.append(_Passed(loss, committed, by, transaction))


def _state(connection: Connection, database: str | None) -> ServerState:
    with reading(connection.engine) as aside:
        return read_state(aside, databases=[] if database is None else [database])


def _requirement(context: MigrationContext) -> PitrRange | None:
    """What is required; None where nothing is guarded."""
    connection = context.connection
    environment = context.environment_context
    required = _required
    if environment is not None:
        required = environment.config.attributes.get(REQUIRED, required)
    if context.as_sql or connection is None or required is None or _overridden(context):
        return None
    if connection.dialect.name not in server.SUPPORTED_DIALECTS:
        return None
    return None if server.matrixone_version(connection) is None else required


# --------------------------------------------------------------------------- what a name stands for

_HERE = (
    "SELECT relname, {id} FROM mo_catalog.mo_tables WHERE account_id = current_account_id() "
    "AND reldatabase = :database AND (relname = :table OR {id} = :id)"
)


def _committed(
    connection: Connection,
    state: ServerState,
    key: Key,
    renamed: dict[Key, tuple[Key, Transaction | None]],
) -> Key | None:
    """The committed object that a name stands for in the connection's transaction, if it is one.

    Told by the id; 4.x keeps a logical one when a table is rebuilt. Where none is known, as before
    4.0 after a rebuild, by what the revision has renamed.
    """
    database, table = key
    if database is None or table is None:
        return key if database is not None and (database, None) in state.objects else None
    there = state.objects.get((database, table))
    ids = _ids_here(connection, state, key, None if there is None else there.logical_id)
    here = ids.pop(table, None)
    for known, found in state.objects.items():
        if known[1] is not None and found.logical_id == here:
            return known
    if here is not None and there is not None:
        return None if ids else key  # else it goes by another name by now
    now = connection.get_transaction()
    while key in renamed and renamed[key][1] is now:
        key = renamed.pop(key)[0]
        if key in state.objects:
            return key
    return None


def _ids_here(
    connection: Connection, state: ServerState, key: Key, committed: int | None
) -> dict[str, int]:
    """Of the table that has the name now, and of the one that had it: name -> id."""
    column = "rel_logical_id" if server.rules_of(state.version).logical_ids else "rel_id"
    values = {"database": key[0], "table": key[1], "id": committed}
    return {
        name: int(found) for name, found in query(connection, text(_HERE.format(id=column)), values)
    }


# ---------------------------------------------------------------------------------------- policies


def _look_at_policy(operations: Operations, op: DropPitrOp | AlterPitrOp) -> None:
    """Refuse to drop or shorten what alone covers a loss of this revision that is committed."""
    context = operations.migration_context
    connection, required = context.connection, _requirement(context)
    if connection is None or required is None or context not in _revisions:
        return
    now = connection.get_transaction()
    over = [p for p in _revisions[context].passed if p.transaction is not now]
    if not over:
        return
    pitrs = _state(connection, None).pitrs
    for passed in over:
        left = _after_commit(connection, [pitr for pitr in pitrs if pitr.name in passed.by])
        for name, pitr in left.items():
            if pitr is not None and op.name in (name, split_generation(name)[0]):
                left[name] = _after(op, pitr)
        if any(pitr and not may_be_shorter(required, pitr.range) for pitr in left.values()):
            continue
        shown = "alter_pitr" if isinstance(op, AlterPitrOp) else "drop_pitr"
        raise PitrUnprotectedError(
            f"{shown}({op.name!r}) is not sent: it alone could bring back for {required} what "
            f"{passed.loss.operation} of this revision has dropped, which is committed. Do it in "
            f"a later revision. To go on without: alembic -x {OVERRIDE}=true upgrade."
        )


def _after(op: DropPitrOp | AlterPitrOp, pitr: Pitr) -> Pitr | None:
    """A policy as the operation leaves it."""
    if isinstance(op, AlterPitrOp):
        return pitr.with_range(op.range)
    return pitr if op.if_exists and is_detached(pitr) else None  # which stays, as history


def _covering(pitrs: list[Pitr], key: Key) -> list[Pitr]:
    return [pitr for pitr in pitrs if _covers(pitr, *key)]


def _enough(left: dict[str, Pitr | None], required: PitrRange) -> frozenset[str]:
    """The names of those that reach back far enough."""
    return frozenset(
        name
        for name, pitr in left.items()
        if pitr is not None and not is_detached(pitr) and not may_be_shorter(required, pitr.range)
    )


def _after_commit(connection: Connection, pitrs: list[Pitr]) -> dict[str, Pitr | None]:
    """The policies as this transaction will leave them; None is one that it drops."""
    left: dict[str, Pitr | None] = {pitr.name: pitr for pitr in pitrs}
    for element in pending_pitrs(connection):
        pitr = left.get(element.pitr_name)
        if pitr is None:
            continue
        if isinstance(element, DropPitr):
            left[pitr.name] = None
        elif isinstance(element, AlterPitr):
            left[pitr.name] = pitr.with_range(element.range)
    return left


def _overridden(context: MigrationContext) -> bool:
    environment = context.environment_context
    if environment is None:
        return False
    asked = environment.get_x_argument(as_dictionary=True).get(OVERRIDE, "")
    return str(asked).lower() in ("1", "true", "yes")


def _covers(pitr: Pitr, database: str | None, table: str | None) -> bool:
    if pitr.level is PitrLevel.CLUSTER:
        return True
    if pitr.level is PitrLevel.ACCOUNT:
        return pitr.account_name is None
    if pitr.level is PitrLevel.DATABASE:
        return pitr.database_name == database
    return table is not None and (pitr.database_name, pitr.table_name) == (database, table)


def _refusal(
    connection: Connection,
    loss: Loss,
    key: Key,
    left: dict[str, Pitr | None],
    required: PitrRange,
    when: str = "",
) -> str:
    database, table = key
    what = f"table {database}.{table}" if table is not None else f"database {database}"
    there = "; ".join(f"{name} {_falls_short(pitr)}" for name, pitr in left.items())
    named = [f"database={database!r}"] if loss.database or table is None else []
    target = ", ".join([*named, f"table={table!r}"] if table is not None else named)
    block = (
        " This runs inside autocommit_block(): what the block has done so far stays."
        if is_autocommit(connection)
        else " The migration's transaction undoes the rest of this revision."
    )
    return (
        f"{loss.operation} is not {'committed' if when else 'sent'}: {what} could not be brought "
        f"back, no active policy covers it for {required}{when} ({there or 'there is none'}). In a "
        f"revision before this one: op.create_pitr('name', '{required}', {target}). To go on "
        f"without: alembic -x {OVERRIDE}=true upgrade.{block}"
    )


def _falls_short(pitr: Pitr | None) -> str:
    if pitr is None:
        return "is dropped by this revision"
    return "is detached" if is_detached(pitr) else f"reaches back {pitr.range} only"
