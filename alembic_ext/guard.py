"""``guard_migrations()``: a step that drops something must be one that can be undone.

An operation that drops a table, a column or a database raises before it is sent, unless an active
policy covers the object for at least the time that is required. The migration's transaction then
undoes the rest of its revision.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.errors import PitrUnprotectedError
from sqlalchemy_matrixone_pitr.generations import is_detached
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel, PitrRange, RangeLike, fold
from sqlalchemy_matrixone_pitr.plan import may_be_shorter
from sqlalchemy_matrixone_pitr.reflection import ServerState, read_state, reading
from sqlalchemy_matrixone_pitr.transaction import is_autocommit

from .watch import before

OVERRIDE = "allow_unprotected"
"""``-x allow_unprotected=true`` lets everything through."""

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

    For the process, in env.py beside ``register()``; called again, it changes the requirement.
    Looked at are ``op.drop_table``, ``op.drop_column``, and in ``op.execute`` the statements
    ``DROP DATABASE``, ``DROP TABLE`` and ``ALTER TABLE ... DROP``. Scripts (``--sql``) are not
    guarded: they ask no server. A table that the migration itself has made may go.

    :param require: how far back a policy must reach, at the least.
    :raises PitrUnprotectedError: from the operation.
    """
    global _required, _wrapped
    _required = PitrRange.of(require)
    if not _wrapped:
        _wrapped = True
        before((ops.DropTableOp,), _guard(_of_drop_table))
        before((ops.DropColumnOp,), _guard(_of_drop_column))
        before((ops.ExecuteSQLOp,), _guard(_of_text))


def _guard(losses: Callable[[Any], list[Loss]]) -> Callable[[Operations, Any], None]:
    def look(operations: Operations, operation: Any) -> None:
        for loss in losses(operation):
            check(operations.migration_context, loss)

    return look


def _of_drop_table(op: ops.DropTableOp) -> list[Loss]:
    return [Loss(f"drop_table({op.table_name!r})", op.schema, op.table_name)]


def _of_drop_column(op: ops.DropColumnOp) -> list[Loss]:
    return [Loss(f"drop_column({op.table_name!r}, {op.column_name!r})", op.schema, op.table_name)]


_NAME = r"(?:`((?:[^`]|``)+)`|([^\s`;,.()]+))"
_DROPS = re.compile(
    rf"\bDROP\s+(?:(DATABASE|SCHEMA)|TABLE)\s+(?:IF\s+EXISTS\s+)?{_NAME}(?:\s*\.\s*{_NAME})?"
    rf"|\bALTER\s+TABLE\s+{_NAME}(?:\s*\.\s*{_NAME})?\s[^;]*?\bDROP\s+"
    r"(?!INDEX|KEY|CONSTRAINT|FOREIGN|PRIMARY|CHECK|PARTITION|DEFAULT)",
    re.IGNORECASE,
)


def _of_text(op: ops.ExecuteSQLOp) -> list[Loss]:
    text = str(op.sqltext)
    found = []
    for match in _DROPS.finditer(text):
        names = [match[number] for number in range(2, 10)]
        dropped = [one for pair in zip(names[::2], names[1::2], strict=True) for one in pair if one]
        shown = f"execute({match[0]!r})"
        if match[1]:
            found.append(Loss(shown, dropped[0].replace("``", "`"), None))
        else:
            schema = dropped[0].replace("``", "`") if len(dropped) > 1 else None
            found.append(Loss(shown, schema, dropped[-1].replace("``", "`")))
    return found


def check(context: MigrationContext, loss: Loss) -> None:
    """Refuse a loss that nothing could undo.

    :raises PitrUnprotectedError: no active policy covers the object for long enough.
    """
    connection = context.connection
    if context.as_sql or connection is None or _required is None or _overridden(context):
        return
    if connection.dialect.name not in server.SUPPORTED_DIALECTS:
        return
    if server.matrixone_version(connection) is None:
        return
    database = fold(loss.database) if loss.database else server.current_database(connection)
    table = None if loss.table is None else fold(loss.table)
    with reading(connection.engine) as aside:
        state = read_state(aside, databases=[database] if database else [])
    if (database, table) not in state.objects:
        return  # not committed yet, or not there: nothing is lost
    covering = [pitr for pitr in state.pitrs if _covers(pitr, database, table)]
    if any(_is_enough(pitr, _required) for pitr in covering):
        return
    raise PitrUnprotectedError(_refusal(connection, loss, database, table, covering, state))


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
    database: str | None,
    table: str | None,
    covering: list[Pitr],
    state: ServerState,
) -> str:
    what = f"table {database}.{table}" if table is not None else f"database {database}"
    there = "; ".join(
        f"{pitr.name} "
        + ("is detached" if is_detached(pitr) else f"reaches back {pitr.range} only")
        for pitr in covering
    )
    target = f"table={table!r}" if table is not None else f"database={database!r}"
    block = (
        " This runs inside autocommit_block(): what the block has done so far stays."
        if is_autocommit(connection)
        else " The migration's transaction undoes the rest of this revision."
    )
    return (
        f"{loss.operation} is not sent: {what} could not be brought back, no active policy covers "
        f"it for {_required} ({there or 'there is none'}). In a revision before this one: "
        f"op.create_pitr('name', '{_required}', {target}). To go on without: "
        f"alembic -x {OVERRIDE}=true upgrade.{block}"
    )
