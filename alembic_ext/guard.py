"""``guard_migrations()``: a step that drops something must be one that can be undone.

An operation that drops a table, a column or a database raises before it is sent, unless an active
policy covers the object for at least the time that is required. The migration's transaction then
undoes the rest of its revision.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import alembic.context
from alembic.config import Config
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Transaction

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.ddl import AlterPitr, DropPitr
from sqlalchemy_matrixone_pitr.errors import PitrUnprotectedError
from sqlalchemy_matrixone_pitr.generations import is_detached
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel, PitrRange, RangeLike, fold
from sqlalchemy_matrixone_pitr.plan import may_be_shorter
from sqlalchemy_matrixone_pitr.reflection import read_state, reading
from sqlalchemy_matrixone_pitr.transaction import is_autocommit, pending_pitrs

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
    ``op.execute`` the statements ``DROP DATABASE``, ``DROP TABLE`` and ``ALTER TABLE ... DROP``;
    what a migration sends through ``op.get_bind()`` is not seen. A policy that the same revision
    drops or shortens, before or after, counts as it will be then. Scripts (``--sql``) are not
    guarded: they ask no server. A table that the migration itself has made may go.

    :param require: how far back a policy must reach, at the least.
    :raises PitrUnprotectedError: from the operation, or at the end of the revision.
    """
    global _required, _wrapped
    required = PitrRange.of(require)
    config = _config_of_env()
    if config is None:
        _required = required
    else:
        config.attributes[REQUIRED] = required
    if not _wrapped:
        _wrapped = True
        before((ops.DropTableOp,), _guard(_of_drop_table))
        before((ops.DropColumnOp,), _guard(_of_drop_column))
        before((ops.ExecuteSQLOp,), _guard(_of_text))
        before((ops.RenameTableOp,), _follow)


def _config_of_env() -> Config | None:
    """The Config whose env.py is running."""
    try:
        return alembic.context.config
    except (AttributeError, NameError):
        return None


def _guard(losses: Callable[[Any], list[Loss]]) -> Callable[[Operations, Any], None]:
    def look(operations: Operations, operation: Any) -> None:
        for loss in losses(operation):
            check(operations.migration_context, loss)

    return look


def _of_drop_table(op: ops.DropTableOp) -> list[Loss]:
    return [Loss(f"drop_table({op.table_name!r})", op.schema, op.table_name)]


def _of_drop_column(op: ops.DropColumnOp) -> list[Loss]:
    return [Loss(f"drop_column({op.table_name!r}, {op.column_name!r})", op.schema, op.table_name)]


_PLAIN = r"(?:`(?:[^`]|``)+`|[^\s`;,.()]+)"
_OBJECT = rf"(?:({_PLAIN})\s*\.\s*)?({_PLAIN})"
_OBJECTS = rf"{_PLAIN}(?:\s*[.,]\s*{_PLAIN})*"
_DROPS = re.compile(
    rf"\bDROP\s+(?P<kind>DATABASE|SCHEMA|TABLE)\s+(?:IF\s+EXISTS\s+)?(?P<dropped>{_OBJECTS})"
    rf"|\bALTER\s+TABLE\s+(?P<altered>{_OBJECTS})\s[^;]*?\bDROP\s+"
    r"(?!INDEX|KEY|CONSTRAINT|FOREIGN|PRIMARY|CHECK|PARTITION|DEFAULT)",
    re.IGNORECASE,
)


def _of_text(op: ops.ExecuteSQLOp) -> list[Loss]:
    found = []
    for match in _DROPS.finditer(str(op.sqltext)):
        shown = f"execute({match[0]!r})"
        is_database = (match["kind"] or "TABLE").upper() != "TABLE"
        for schema, name in re.findall(_OBJECT, match["dropped"] or match["altered"]):
            if is_database:
                found.append(Loss(shown, _unquoted(name), None))
            else:
                found.append(Loss(shown, _unquoted(schema) or None, _unquoted(name)))
    return found


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


# ------------------------------------------------------------------------------------ one revision

Key: TypeAlias = tuple[str | None, str | None]


@dataclass
class _Revision:
    """What the revision that runs has done so far.

    :ivar passed: what was dropped under a policy, and in which transaction.
    :ivar renamed: the tables that it renamed: what each was called before.
    """

    passed: list[tuple[Loss, Key, Transaction | None]] = field(default_factory=list)
    renamed: dict[Key, Key] = field(default_factory=dict)


_revisions: weakref.WeakKeyDictionary[MigrationContext, _Revision] = weakref.WeakKeyDictionary()


def _revision(context: MigrationContext) -> _Revision:
    if context not in _revisions:
        _revisions[context] = _Revision()
        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, _end_revision)
    return _revisions[context]


def _end_revision(*, ctx: MigrationContext, **kw: Any) -> None:
    """Look again: a policy may have been dropped after what it covered, in one transaction."""
    revision = _revisions[ctx]
    assert ctx.connection is not None
    now = ctx.connection.get_transaction()
    revision.passed = [passed for passed in revision.passed if passed[2] is now]
    for loss, key, _ in revision.passed:
        _check_object(ctx, loss, key, " at the end of the revision")
    if not revision.passed:
        revision.renamed = {}


def _follow(operations: Operations, operation: ops.RenameTableOp) -> None:
    context = operations.migration_context
    if _requirement(context) is None:
        return
    database = _database(context, operation.schema)
    new, old = fold(str(operation.new_table_name)), fold(operation.table_name)
    _revision(context).renamed[database, new] = database, old


def check(context: MigrationContext, loss: Loss) -> None:
    """Refuse a loss that nothing could undo.

    :raises PitrUnprotectedError: no active policy covers the object for long enough.
    """
    if _requirement(context) is None:
        return
    key = _database(context, loss.database), None if loss.table is None else fold(loss.table)
    if _check_object(context, loss, key):
        assert context.connection is not None
        _revision(context).passed.append((loss, key, context.connection.get_transaction()))


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


def _database(context: MigrationContext, name: str | None) -> str | None:
    assert context.connection is not None
    return fold(name) if name else server.current_database(context.connection)


def _check_object(context: MigrationContext, loss: Loss, key: Key, when: str = "") -> bool:
    """Whether there is something to lose, which a policy covers."""
    connection, required = context.connection, _requirement(context)
    assert connection is not None
    assert required is not None
    with reading(connection.engine) as aside:
        state = read_state(aside, databases=[key[0]] if key[0] else [])
    renamed = dict(_revision(context).renamed)
    while key not in state.objects and key in renamed:
        key = renamed.pop(key)
    if key not in state.objects:
        return False  # not committed yet, or not there: nothing is lost
    covering = [pitr for pitr in state.pitrs if _covers(pitr, *key)]
    left = _after_commit(connection, covering)
    if any(_is_enough(pitr, required) for pitr in left.values() if pitr is not None):
        return True
    raise PitrUnprotectedError(_refusal(connection, loss, key, left, required, when))


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


def _is_enough(pitr: Pitr, required: PitrRange) -> bool:
    return not is_detached(pitr) and not may_be_shorter(required, pitr.range)


def _refusal(
    connection: Connection,
    loss: Loss,
    key: Key,
    left: dict[str, Pitr | None],
    required: PitrRange,
    when: str,
) -> str:
    database, table = key
    what = f"table {database}.{table}" if table is not None else f"database {database}"
    there = "; ".join(f"{name} {_falls_short(pitr)}" for name, pitr in left.items())
    target = f"table={table!r}" if table is not None else f"database={database!r}"
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
