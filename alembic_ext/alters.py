"""Effects of operations on a table's id, as far as they can be told without a server.

=============================================  ===========
operation                                      effect
=============================================  ===========
add or drop a column                           REBUILDS
make or drop the primary key                   REBUILDS
a column's name, or its default alone          REBUILDS
CHAR or VARCHAR as long or longer, unless      none
it becomes NOT NULL
any other MODIFY, to the same too              REBUILDS
a batch that replaces the table                DROPS, MAY_MAKE
drop the table, or its database                DROPS
rename the table                               RENAMES
make a table, or a database                    MAKES
make it IF NOT EXISTS, rename one to its name  MAY_MAKE
TRUNCATE                                       TRUNCATES
other ALTER TABLE, DELETE of all rows, as text MAY_REBUILD
=============================================  ===========

Source: docs/server.md, What rebuilds a table. Told as of 3.0.9 and 4.2.0; 2.2.2 rebuilds more.
"""

from __future__ import annotations

import enum
import re
from typing import Any, NamedTuple

from alembic.operations import ops
from alembic.operations.batch import BatchOperationsImpl
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import CompileError
from sqlalchemy.types import String, TypeEngine, to_instance

from .sqltext import Act, Verb, acts_of


class Effect(enum.IntEnum):
    """The fate of the id; of two that leave the table there, the greater one counts."""

    MAY_MAKE = 0
    MAKES = 1
    MAY_REBUILD = 2
    TRUNCATES = 3
    """A new id; whether the old policy is in the way of another one then is the version's."""
    REBUILDS = 4
    REPLACES = 5
    """Another table has the name, while the old one goes by another."""
    RENAMES = 6
    DROPS = 7


def both(before: Effect | None, after: Effect) -> Effect:
    """One effect after another on a table of one name.

    >>> both(Effect.DROPS, Effect.MAKES).name, both(Effect.REBUILDS, Effect.MAY_REBUILD).name
    ('REBUILDS', 'REBUILDS')
    """
    if after in (Effect.MAKES, Effect.MAY_MAKE):
        if before is Effect.DROPS:
            return Effect.REBUILDS
        if before is Effect.RENAMES:
            return Effect.REPLACES
    elif after in (Effect.RENAMES, Effect.DROPS):
        return after
    return after if before is None else max(before, after)


class Altered(NamedTuple):
    """A table, and what becomes of its id; no table is the database, and all in it."""

    schema: str | None
    table: str | None
    effect: Effect


WATCHED: tuple[type[ops.MigrateOperation], ...] = (
    ops.AddColumnOp,
    ops.AlterColumnOp,
    ops.CreatePrimaryKeyOp,
    ops.CreateTableOp,
    ops.DropColumnOp,
    ops.DropConstraintOp,
    ops.DropTableOp,
    ops.ExecuteSQLOp,
    ops.RenameTableOp,
)
"""The operations that can change an id."""


def altered(op: ops.MigrateOperation, dialect: Dialect) -> list[Altered]:
    """The tables whose id an operation changes, in order.

    >>> import sqlalchemy as sa
    >>> from sqlalchemy.dialects import mysql
    >>> altered(ops.AddColumnOp("orders", sa.Column("note", sa.String(80))), mysql.dialect())
    [Altered(schema=None, table='orders', effect=<Effect.REBUILDS: 4>)]
    """
    if isinstance(op, ops.AddColumnOp | ops.DropColumnOp | ops.CreatePrimaryKeyOp):
        return [Altered(op.schema, op.table_name, Effect.REBUILDS)]
    if isinstance(op, ops.DropTableOp):
        return [Altered(op.schema, op.table_name, Effect.DROPS)]
    if isinstance(op, ops.RenameTableOp):
        return [
            Altered(op.schema, op.table_name, Effect.RENAMES),
            Altered(op.schema, str(op.new_table_name), Effect.MAY_MAKE),
        ]
    if isinstance(op, ops.CreateTableOp):
        effect = Effect.MAY_MAKE if op.if_not_exists else Effect.MAKES
        return [Altered(op.schema, op.table_name, effect)]
    if isinstance(op, ops.DropConstraintOp):
        primary = op.constraint_type == "primary"
        return [Altered(op.schema, op.table_name, Effect.REBUILDS)] if primary else []
    if isinstance(op, ops.AlterColumnOp):
        of_column = _of_column(op, dialect)
        return [] if of_column is None else [Altered(op.schema, op.table_name, of_column)]
    if isinstance(op, ops.ExecuteSQLOp):
        return [found for act in acts_of(op.sqltext, dialect) for found in _of_act(act)]
    return []


def replaced_by_batch(batch: BatchOperationsImpl) -> list[Altered]:
    """The table that ``batch_alter_table`` has copied into a new one, dropped, and renamed to."""
    if not batch._should_recreate():
        return []
    return [
        Altered(batch.schema, batch.table_name, Effect.DROPS),
        Altered(batch.schema, batch.table_name, Effect.MAY_MAKE),
    ]


_OF_VERB = {
    Verb.DROP_TABLE: Effect.DROPS,
    Verb.DROP_COLUMN: Effect.REBUILDS,
    Verb.ADD_COLUMN: Effect.REBUILDS,
    Verb.EMPTY_PARTITIONS: Effect.MAY_REBUILD,
    Verb.ALTER_TABLE: Effect.MAY_REBUILD,
    Verb.RENAME_TABLE: Effect.RENAMES,
    Verb.TRUNCATE_TABLE: Effect.TRUNCATES,
    Verb.CREATE_TABLE: Effect.MAKES,
    Verb.DELETE_ROWS: Effect.MAY_REBUILD,
}


def _of_act(act: Act) -> list[Altered]:
    if act.verb is Verb.DROP_DATABASE:
        return [Altered(act.name[1], None, Effect.DROPS)]
    if act.verb is Verb.CREATE_DATABASE:
        return [Altered(act.name[1], None, Effect.MAY_MAKE if act.conditional else Effect.MAKES)]
    if act.verb is Verb.CREATE_TABLE and act.conditional:
        return [Altered(*act.name, Effect.MAY_MAKE)]
    if act.verb not in _OF_VERB:
        return []
    found = [Altered(*act.name, _OF_VERB[act.verb])]
    if act.new_name is not None:
        found.append(Altered(*act.new_name, Effect.MAY_MAKE))
    return found


def _of_column(op: ops.AlterColumnOp, dialect: Dialect) -> Effect | None:
    """Alembic sends CHANGE for a name, ALTER ... DEFAULT for a default alone, else MODIFY."""
    if op.modify_name not in (None, op.column_name):
        return Effect.REBUILDS
    if op.modify_type is None and op.modify_nullable is None and op.modify_comment is False:
        return None if op.modify_server_default is False else Effect.REBUILDS
    after = _length(op.modify_type if op.modify_type is not None else op.existing_type, dialect)
    if after is None:
        return Effect.REBUILDS
    if op.existing_type is None:
        return Effect.MAY_REBUILD
    before = _length(op.existing_type, dialect)
    if before is None or before[0] != after[0] or before[1] > after[1]:
        return Effect.REBUILDS
    if op.modify_nullable is False and op.existing_nullable is not False:
        return Effect.REBUILDS if op.existing_nullable else Effect.MAY_REBUILD
    return None


def _length(kind: Any, dialect: Dialect) -> tuple[str, int] | None:
    """CHAR or VARCHAR, and how long; None is any other type, one of another dialect too, or one
    that is not told."""
    if kind is None:
        return None
    instance: TypeEngine[Any] = to_instance(kind)
    if isinstance(instance, String) and instance.length is None:
        return None  # which the dialect does not compile, or TEXT
    try:
        written = instance.compile(dialect)
    except CompileError:
        return None
    match = re.match(r"(VARCHAR|CHAR)\((\d+)\)", written)
    return None if match is None else (match[1], int(match[2]))
