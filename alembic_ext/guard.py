"""``guard_migrations()``: a step that destroys something must be one that can be undone.

A statement that drops or empties a table, drops a column or a database, or overwrites a column
raises before it is sent, unless an active policy covers the object for at least the time that is
required. The migration's transaction then undoes the rest of its revision.

=============================================  =============================================
what a migration sends                         is looked at
=============================================  =============================================
an operation, ``op.execute``, ``op.get_bind``  yes, all through one listener of the
``context.execute``, ``context.impl``, a       migration's Connection
Session on that connection
what is sent on another connection, or         no
through a cursor of the driver's
PREPARE from a variable, CALL of a procedure   no: what they do is not in their text
DELETE or UPDATE with a WHERE, REPLACE, a      no: which rows they change is not in their text
narrower type, a foreign key's CASCADE
=============================================  =============================================

What loses nothing passes: see :func:`guard_migrations`. ``--sql`` scripts ask no server.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import alembic.context
from alembic.config import Config
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import event, text
from sqlalchemy.engine import Connection, Transaction

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import object_ids, table_ids, table_parts
from sqlalchemy_matrixone_pitr.connections import current_database, is_autocommit, query
from sqlalchemy_matrixone_pitr.coverage.inventory import known_of_state
from sqlalchemy_matrixone_pitr.coverage.model import Window
from sqlalchemy_matrixone_pitr.coverage.ranges import may_be_shorter
from sqlalchemy_matrixone_pitr.coverage.windows import Windows, lasts
from sqlalchemy_matrixone_pitr.ddl import CreatePitr, overlay
from sqlalchemy_matrixone_pitr.declarations import Databases, unprotected_tables
from sqlalchemy_matrixone_pitr.errors import PitrUnprotectedError
from sqlalchemy_matrixone_pitr.extent import Extent, Parts, covers, kept_by
from sqlalchemy_matrixone_pitr.generations import is_detached, split_generation
from sqlalchemy_matrixone_pitr.model import Pitr, PitrRange, PitrStatus, RangeLike
from sqlalchemy_matrixone_pitr.names import fold, renew_command, shorten
from sqlalchemy_matrixone_pitr.show import reading
from sqlalchemy_matrixone_pitr.status import ServerState, read_state
from sqlalchemy_matrixone_pitr.transaction import pending_pitrs

from .alters import WATCHED
from .ops import AlterPitrOp, DropPitrOp
from .refusals import as_refusals
from .registration import register
from .sqltext import Act, Verb, acts, as_sent
from .steps import Heads, on_run, watch_runs
from .watch import around, before

log = logging.getLogger("alembic.runtime.matrixone_pitr")

OVERRIDE = "allow_unprotected"
"""``-x allow_unprotected=true`` lets everything through."""

REQUIRED = "matrixone_pitr_required"
"""The attribute in which a Config keeps what its env.py requires."""

_required: PitrRange | None = None
_wrapped = False


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss: of a table, of what is in some of its columns, or with no table of a database.

    :ivar operation: what the migration has called, for the message.
    :ivar columns: where no others are lost.
    """

    operation: str
    database: str | None
    table: str | None
    columns: frozenset[str] = frozenset()


@as_refusals
def guard_migrations(require: RangeLike = "1h") -> None:
    """Refuse what drops, empties or overwrites what no policy could bring back.

    In env.py beside ``register()``, for what it runs; elsewhere for the process. Called again, it
    changes the requirement. Looked at is everything that reaches the migration's Connection,
    whoever sends it (the module's table says what that is not): DROP DATABASE, DROP TABLE,
    TRUNCATE, ALTER TABLE ... DROP a column or partition, and DELETE and UPDATE without a WHERE, or
    with one that names no column; prepared ones and EXPLAIN ANALYZE of them too. These lose
    nothing, and pass:

    * a table that is empty, and a database whose tables all are;
    * a table that ``target_metadata`` marks :class:`Unprotected`;
    * a database, table or column that this run of Alembic has made, in an earlier revision too, so
      that old history replays on a new database; and an UPDATE of columns that it has made.

    A table counts as what it was before the revision, whatever it is called by now. A policy that
    the same revision drops or shortens, before or after, counts as it will be then, and one that is
    held by the range that it had before. Scripts (``--sql``) are not guarded: they ask no server.

    :param require: how far back a policy must reach, at the least.
    :raises PitrUnprotectedError: from the statement, or at the end of the revision.
    """
    register()
    watch_runs()
    global _required, _wrapped
    required = PitrRange.of(require)
    config = _config_of_env()
    if config is None:
        _required = required
    else:
        config.attributes[REQUIRED] = required
    if not _wrapped:
        _wrapped = True
        on_run(_begin_step, _end_run)
        before(WATCHED, _listen_by_hand)
        around((ops.DropTableOp, ops.DropColumnOp), _name_drop)
        before((DropPitrOp, AlterPitrOp), _look_at_policy)


def _config_of_env() -> Config | None:
    """The Config whose env.py is running."""
    try:
        return alembic.context.config
    except (AttributeError, NameError):
        return None


def _requirement(context: MigrationContext) -> PitrRange | None:
    """The required range; None where nothing is guarded."""
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


def _overridden(context: MigrationContext) -> bool:
    environment = context.environment_context
    if environment is None:
        return False
    asked = environment.get_x_argument(as_dictionary=True).get(OVERRIDE, "")
    return str(asked).lower() in ("1", "true", "yes")


# ------------------------------------------------------------------------------------------ one run

Key: TypeAlias = tuple[str | None, str | None]
"""A database, None where none is chosen, and a table in it, None for the database itself."""


def _key(context: MigrationContext, database: str | None, table: str | None) -> Key:
    assert context.connection is not None
    named = fold(database) if database else current_database(context.connection)
    return named, None if table is None else fold(table)


@dataclass(frozen=True, slots=True)
class _Passed:
    """A loss under a policy.

    :ivar key: the object, as it is committed.
    :ivar keeping: how much of it each policy keeps.
    :ivar by: the policies that were enough.
    :ivar transaction: that undoes it; None where nothing does.
    """

    loss: Loss
    key: Key
    keeping: _Keeping
    by: frozenset[str]
    transaction: Transaction | None


@dataclass
class _Run:
    """The state of a migration context's run so far.

    :ivar passed: of the revision that runs.
    :ivar earlier: what revisions before it have lost in the same transaction.
    :ivar renamed: what each renamed table was called before, and in which transaction.
    :ivar made: tables that the run has made, by their present names, and databases.
    :ivar columns: that the run has added, of tables by their present names.
    :ivar operation: what is being done, where it has a better name than its text.
    :ivar stop: ends the listening.
    """

    passed: list[_Passed] = field(default_factory=list)
    earlier: list[_Passed] = field(default_factory=list)
    renamed: dict[Key, tuple[Key, Transaction | None]] = field(default_factory=dict)
    made: set[Key] = field(default_factory=set)
    columns: set[tuple[Key, str]] = field(default_factory=set)
    is_upgrade: bool = True
    operation: str | None = None
    stop: Callable[[], None] | None = None

    def rename(self, old: Key, new: Key, transaction: Transaction | None) -> None:
        self.renamed[new] = old, transaction
        self.forget(new)
        if old in self.made:
            self.made.add(new)
        self.columns |= {(new, column) for key, column in self.columns if key == old}
        self.forget(old)

    def forget(self, key: Key) -> None:
        """Forget what has gone, or goes by another name; with a database all that was in it."""
        database, table = key

        def is_gone(found: Key) -> bool:
            return found == key or (table is None and found[0] == database)

        self.made = {found for found in self.made if not is_gone(found)}
        self.columns = {found for found in self.columns if not is_gone(found[0])}

    def rename_columns(self, key: Key, names: tuple[tuple[str, str], ...]) -> None:
        made = {(key, fold(new)) for old, new in names if (key, fold(old)) in self.columns}
        self.columns -= {(key, fold(name)) for pair in names for name in pair}
        self.columns |= made

    def has_made(self, loss: Loss, key: Key) -> bool:
        """Whether all that is lost was not there before the run."""
        if key in self.made or (key[0], None) in self.made:
            return True
        return bool(loss.columns) and {(key, column) for column in loss.columns} <= self.columns


_runs: weakref.WeakKeyDictionary[MigrationContext, _Run] = weakref.WeakKeyDictionary()


def _run(context: MigrationContext) -> _Run:
    if context not in _runs:
        _runs[context] = _Run()
        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, _end_revision)
    return _runs[context]


def _begin_step(context: MigrationContext, step: MigrationInfo, heads: Heads, more: bool) -> None:
    if not step.is_stamp:
        _listen(context)
        _run(context).is_upgrade = step.is_upgrade


def _end_run(context: MigrationContext, error: BaseException | None) -> None:
    run = _runs.pop(context, None)
    if run is not None and run.stop is not None:
        run.stop()


def _listen_by_hand(operations: Operations, operation: ops.MigrateOperation) -> None:
    """Listen where operations are called without a run, from the first one on."""
    _listen(operations.migration_context)


def _listen(context: MigrationContext) -> None:
    """See each statement of the run, whoever sends it on the migration's Connection."""
    connection = context.connection
    if connection is None or context.as_sql or _run(context).stop is not None:
        return
    reference = weakref.ref(context)  # a Connection may outlive its context

    def look(conn: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        found = reference()
        if found is not None and found in _runs:
            _look_at(found, statement)

    event.listen(connection, "before_cursor_execute", look)
    _run(context).stop = lambda: event.remove(connection, "before_cursor_execute", look)


# -------------------------------------------------------------------------------------- statements


@contextmanager
def _named(context: MigrationContext, operation: str) -> Iterator[None]:
    run = _run(context)
    run.operation = operation
    try:
        yield
    finally:
        run.operation = None


def _name_drop(operations: Operations, op: ops.DropTableOp | ops.DropColumnOp) -> Any:
    if isinstance(op, ops.DropColumnOp):
        shown = f"drop_column({op.table_name!r}, {op.column_name!r})"
    else:
        shown = f"drop_table({op.table_name!r})"
    return _named(operations.migration_context, shown)


_LOSES: Final = {
    Verb.DROP_DATABASE,
    Verb.DROP_TABLE,
    Verb.DROP_COLUMN,
    Verb.EMPTY_PARTITIONS,
    Verb.TRUNCATE_TABLE,
    Verb.DELETE_ROWS,
    Verb.UPDATE_ROWS,
}


def _look_at(context: MigrationContext, statement: str) -> None:
    """Refuse a statement, as it is about to be sent, or remember what it does."""
    found = acts(as_sent(statement, context.dialect))
    if not found or _requirement(context) is None:
        return
    run = _run(context)
    for act in found:
        database, name = act.name
        of_database = act.verb in (Verb.DROP_DATABASE, Verb.CREATE_DATABASE)
        key = (fold(name), None) if of_database else _key(context, database, name)
        if _is_version_table(context, key):
            continue
        if act.verb in _LOSES:
            shown = run.operation or f"execute({shorten(act.statement)})"
            columns = frozenset(fold(column) for column in act.columns)
            named = None if of_database else database
            check(context, Loss(shown, named, None if of_database else name, columns), key)
        _remember(context, run, act, key)


def _is_version_table(context: MigrationContext, key: Key) -> bool:
    """Alembic's own, which ``stamp --purge`` empties."""
    if key[1] != fold(context.version_table):
        return False
    schema = context.version_table_schema
    return schema is None or key[0] == fold(schema)


def _remember(context: MigrationContext, run: _Run, act: Act, key: Key) -> None:
    """Remember what a statement makes, renames and drops, for those that follow."""
    connection = context.connection
    assert connection is not None
    match act.verb:
        case Verb.CREATE_TABLE | Verb.CREATE_DATABASE:
            is_there = act.conditional and object_ids(connection, [(key[0] or "", key[1])])
            if not is_there:
                run.forget(key)
                run.made.add(key)
        case Verb.RENAME_TABLE if act.new_name is not None:
            run.rename(key, _key(context, *act.new_name), connection.get_transaction())
        case Verb.DROP_TABLE | Verb.DROP_DATABASE:
            run.forget(key)
        case Verb.ALTER_TABLE | Verb.ADD_COLUMN | Verb.DROP_COLUMN:
            run.columns -= {(key, fold(column)) for column in act.columns}
            run.rename_columns(key, act.renamed)
            run.columns |= {(key, fold(column)) for column in act.added}


# ------------------------------------------------------------------------------------------ losses


def check(context: MigrationContext, loss: Loss, key: Key) -> None:
    """Refuse a loss that nothing could undo.

    :param key: the object, by the name that it has now.
    :raises PitrUnprotectedError: no active policy covers the object for long enough.
    """
    connection, required, run = context.connection, _requirement(context), _run(context)
    if connection is None or required is None or run.has_made(loss, key):
        return
    with reading(connection) as aside:
        state = read_state(aside, databases=[] if key[0] is None else [key[0]])
        committed = _committed(connection, state, key, dict(run.renamed))
        if committed is None:
            return
        keeping = _Keeping.read(aside, state, committed)
        pitrs = _without_holds(state)
        left = _after_commit(connection, keeping.covering(pitrs))
        by = keeping.enough(left, required)
        at_once = is_autocommit(connection)
        if (at_once or not by) and _is_harmless(context, aside, committed):
            return
    if not by:
        raise PitrUnprotectedError(_refusal(context, loss, keeping, pitrs, left))
    if by <= {p.name for p in left.values() if p and p.status is PitrStatus.UNKNOWN}:
        log.warning(
            "%s: whether %s protects the present %s is not known to this account",
            loss.operation,
            ", ".join(sorted(by)),
            keeping.shown,
        )
    if max(keeping.by(left[name]) for name in by) < Extent.ALL:
        log.warning(
            "%s: %s keeps the rows of %s alone, and none of its indexes (%s): a database-level "
            "policy keeps both",
            loss.operation,
            ", ".join(sorted(by)),
            keeping.shown,
            ", ".join(keeping.parts.indexes),
        )
    transaction = None if at_once else connection.get_transaction()
    run.passed.append(_Passed(loss, committed, keeping, by, transaction))


def _end_revision(*, ctx: MigrationContext, **kw: Any) -> None:
    """Look again: a policy may have been dropped after what it covered, in one transaction."""
    connection, required = ctx.connection, _requirement(ctx)
    if connection is None or ctx.as_sql:
        return
    run = _run(ctx)
    now = connection.get_transaction()
    open_still = [p for p in (*run.earlier, *run.passed) if p.transaction is now]
    run.earlier, run.passed = open_still, []
    if not open_still or required is None:
        return
    with reading(connection) as aside:
        pitrs = _without_holds(read_state(aside))
        for passed in open_still:
            left = _after_commit(connection, passed.keeping.covering(pitrs))
            if passed.keeping.enough(left, required) or _is_harmless(ctx, aside, passed.key):
                continue
            when = " at the end of the revision"
            raise PitrUnprotectedError(
                _refusal(ctx, passed.loss, passed.keeping, pitrs, left, when)
            )


def _is_harmless(context: MigrationContext, aside: Connection, key: Key) -> bool:
    """Whether there is nothing in a committed object that anybody would want back."""
    database, table = key
    assert database is not None
    unprotected = _unprotected(context)
    keys = [(database, table)] if table is not None else list(table_ids(aside, [database]))
    return all(one in unprotected or _is_empty(aside, *one) for one in keys)


def _unprotected(context: MigrationContext) -> set[tuple[str | None, str]]:
    """The tables that the metadata mark so."""
    target: Any = context.opts.get("target_metadata")
    if target is None:
        return set()
    assert context.connection is not None
    given = list(target) if isinstance(target, tuple | list | set | frozenset) else target
    return unprotected_tables(given, Databases.of(context.connection))


def _is_empty(aside: Connection, database: str, table: str) -> bool:
    quote = aside.dialect.identifier_preparer.quote_identifier
    name = f"{quote(database)}.{quote(table)}"
    return aside.exec_driver_sql(f"SELECT 1 FROM {name} LIMIT 1").first() is None


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
    """Ids of the table that has the name now, and of the one that had it: name -> id."""
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
    if connection is None or required is None or context not in _runs:
        return
    now = connection.get_transaction()
    over = [p for p in _runs[context].passed if p.transaction is not now]
    if not over:
        return
    with reading(connection) as aside:
        pitrs = _without_holds(read_state(aside))
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
            f"a later revision. {_override(context)}."
        )


def _after(op: DropPitrOp | AlterPitrOp, pitr: Pitr) -> Pitr | None:
    """A policy as the operation leaves it."""
    if isinstance(op, AlterPitrOp):
        return pitr.with_range(op.range)
    return pitr if op.if_exists and is_detached(pitr) else None  # which stays, as history


@dataclass(frozen=True, slots=True)
class _Keeping:
    """The history that policies keep of a committed object.

    :ivar parts: of a table; a database has none that its policy would not keep.
    """

    key: Key
    parts: Parts
    state: ServerState

    @classmethod
    def read(cls, aside: Connection, state: ServerState, key: Key) -> _Keeping:
        database, table = key
        parts = Parts()
        if database is not None and table is not None:
            parts = table_parts(aside, [(database, table)]).get((database, table), parts)
        return cls(key, parts, state)

    @property
    def shown(self) -> str:
        database, table = self.key
        return f"table {database}.{table}" if table is not None else f"database {database}"

    def covering(self, pitrs: Iterable[Pitr]) -> list[Pitr]:
        return [pitr for pitr in pitrs if covers(pitr, *self.key)]

    def by(self, pitr: Pitr | None) -> Extent:
        if pitr is None:
            return Extent.NOTHING
        return kept_by(pitr.level, self.parts, server.rules_of(self.state.version))

    def when_released(self, pitr: Pitr) -> str:
        return ", when its hold is released" if pitr.name in self.state.held else ""

    def is_kept_by(self, pitr: Pitr) -> bool:
        return self.by(pitr) is not Extent.NOTHING

    def enough(self, left: dict[str, Pitr | None], required: PitrRange) -> frozenset[str]:
        """The names of those that reach back far enough; of these, the ones that keep most."""
        reaching = {
            window.by: self.by(left[window.by])
            for window in self._windows(pitr for pitr in left.values() if pitr is not None)
            if lasts(window, required)
        }
        most = max(reaching.values(), default=Extent.NOTHING)
        return frozenset(name for name, kept in reaching.items() if kept is most)

    def _windows(self, pitrs: Iterable[Pitr]) -> tuple[Window, ...]:
        """The windows of the object, as policies keep it."""
        database, table = self.key
        assert database is not None
        if table is None:
            return Windows(known_of_state(self.state, pitrs, {})).of_database(database)
        parts = {(database, table): self.parts}
        return Windows(known_of_state(self.state, pitrs, parts)).of((database, table))


def _without_holds(state: ServerState) -> list[Pitr]:
    """The policies as they are without holds: somebody else may release them in a minute."""
    return [state.unheld(pitr) for pitr in state.pitrs]


def _after_commit(connection: Connection, pitrs: list[Pitr]) -> dict[str, Pitr | None]:
    """The policies as this transaction will leave them; None is one that it drops."""
    # what is created in the place of a dropped one keeps nothing yet
    waiting = [e for e in pending_pitrs(connection) if not isinstance(e, CreatePitr)]
    left = {pitr.name: pitr for pitr in overlay(pitrs, waiting)}
    return {pitr.name: left.get(pitr.name) for pitr in pitrs}


# ----------------------------------------------------------------------------------------- messages


def _refusal(
    context: MigrationContext,
    loss: Loss,
    keeping: _Keeping,
    pitrs: list[Pitr],
    left: dict[str, Pitr | None],
    when: str = "",
) -> str:
    """
    :param keeping: what is kept of the object, as it is committed.
    :param pitrs: the policies as they are committed.
    :param left: those of them that cover it, as this transaction will leave them.
    """
    connection, required = context.connection, _requirement(context)
    assert connection is not None
    assert required is not None
    there = "; ".join(f"{name} {_falls_short(pitr, keeping)}" for name, pitr in left.items())
    block = (
        " This runs inside autocommit_block(): what the block has done so far stays."
        if is_autocommit(connection)
        else " The migration's transaction undoes the rest of this revision."
    )
    advice = _advice(context, loss, keeping, keeping.covering(pitrs), left, required)
    return (
        f"{loss.operation} is not {'committed' if when else 'sent'}: {keeping.shown} could not be "
        f"brought back, no active policy covers it for {required}{when} "
        f"({there or 'there is none'}). {advice} {_override(context)}.{block}"
    )


def _override(context: MigrationContext) -> str:
    command = "upgrade" if _run(context).is_upgrade else "downgrade"
    return f"To go on without: alembic -x {OVERRIDE}=true {command}"


def _falls_short(pitr: Pitr | None, keeping: _Keeping) -> str:
    if pitr is None:
        return "is dropped by this revision"
    if not keeping.is_kept_by(pitr):
        return "is a table-level policy, which keeps nothing of a partitioned table"
    if is_detached(pitr):
        return "is detached"
    return f"reaches back {pitr.range} only{keeping.when_released(pitr)}"


def _advice(
    context: MigrationContext,
    loss: Loss,
    keeping: _Keeping,
    before: list[Pitr],
    left: dict[str, Pitr | None],
    required: PitrRange,
) -> str:
    """Advise what can be done: what the revision itself undoes comes first.

    A table that its own policy would not keep whole is advised a database-level one.
    """
    key = keeping.key
    before = [pitr for pitr in before if keeping.is_kept_by(pitr)]
    is_upgrade = _run(context).is_upgrade
    for pitr in before:
        after = left[pitr.name]
        if is_detached(pitr) or may_be_shorter(required, pitr.range) or after == pitr:
            continue
        if is_upgrade:
            return f"{'Drop' if after is None else 'Shorten'} the policy in a later revision."
        operation = "drop_pitr" if after is None else "alter_pitr"
        return (
            f"Take op.{operation}({split_generation(pitr.name)[0]!r}) out of this downgrade: the "
            "policy keeps what the downgrade destroys, and can go when its time has passed."
        )
    if _is_promised(context, keeping, required):
        return (
            "The policy that this transaction creates is there after its COMMIT only: let this "
            "revision be of a later run of Alembic."
        )
    active = next((p for p in before if not is_detached(p) and left[p.name] is not None), None)
    if active is not None:
        name = split_generation(active.name)[0]
        if active.name in keeping.state.held:
            # another range would end what is held
            return (
                f"When the hold of {name} is released (mo-pitr holds lists it): "
                f"PitrManager(engine).alter({name!r}, '{required}')."
            )
        if is_upgrade:
            return f"In a revision before this one: op.alter_pitr({name!r}, '{required}')."
        return f"Before the downgrade: PitrManager(engine).alter({name!r}, '{required}')."
    own = next((p for p in before if (p.database_name, p.table_name) == key), None)
    if own is not None:
        return f"Before this revision runs: {renew_command(split_generation(own.name)[0])}."
    database, table = key
    if keeping.parts:
        table = None
    if not is_upgrade:
        made = (
            f"table_pitr('name', {database!r}, {table!r}"
            if table
            else (f"database_pitr('name', {database!r}")
        )
        return f"Before the downgrade: PitrManager(engine).create_{made}, '{required}')."
    named = [f"database={database!r}"] if loss.database or table is None else []
    target = ", ".join([*named, f"table={table!r}"] if table is not None else named)
    return f"In a revision before this one: op.create_pitr('name', '{required}', {target})."


def _is_promised(context: MigrationContext, keeping: _Keeping, required: PitrRange) -> bool:
    """Whether a policy that would do waits for the COMMIT."""
    assert context.connection is not None
    return any(
        isinstance(element, CreatePitr)
        and keeping.covering([pitr := element.with_real_names().pitr])
        and keeping.is_kept_by(pitr)
        and not may_be_shorter(required, element.pitr.range)
        for element in pending_pitrs(context.connection)
    )
