"""What an operation does to a table's id, as far as it can be told without asking a server.

=============================================  ===========
operation                                      effect
=============================================  ===========
add or drop a column, drop the primary key     REBUILDS
a column's name, or its default alone          REBUILDS
CHAR or VARCHAR as long or longer, unless      none
it becomes NOT NULL
any other MODIFY, to the same too              REBUILDS
drop or rename the table                       DROPS
ALTER TABLE or TRUNCATE as text                MAY_REBUILD
=============================================  ===========

Source: matrixone.md, section 4; MODIFY as measured on 3.0.9 and 4.2.0 (2.2.2 rebuilds more).
"""

from __future__ import annotations

import enum
import re
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy.dialects import mysql
from sqlalchemy.types import String, TypeEngine, to_instance

_DIALECT = mysql.dialect()


class Effect(enum.IntEnum):
    """What becomes of the id; the greater one counts."""

    MAY_REBUILD = 1
    REBUILDS = 2
    DROPS = 3


class Altered(NamedTuple):
    """A table, and what becomes of its id."""

    schema: str | None
    table: str
    effect: Effect


def altered(op: ops.MigrateOperation) -> list[Altered]:
    """The tables whose id an operation changes.

    >>> import sqlalchemy as sa
    >>> altered(ops.AddColumnOp("orders", sa.Column("note", sa.String(80))))
    [Altered(schema=None, table='orders', effect=<Effect.REBUILDS: 2>)]
    """
    if isinstance(op, ops.AddColumnOp | ops.DropColumnOp):
        return [Altered(op.schema, op.table_name, Effect.REBUILDS)]
    if isinstance(op, ops.DropTableOp | ops.RenameTableOp):
        return [Altered(op.schema, op.table_name, Effect.DROPS)]
    if isinstance(op, ops.DropConstraintOp):
        primary = op.constraint_type == "primary"
        return [Altered(op.schema, op.table_name, Effect.REBUILDS)] if primary else []
    if isinstance(op, ops.AlterColumnOp):
        effect = _of_column(op)
        return [] if effect is None else [Altered(op.schema, op.table_name, effect)]
    if isinstance(op, ops.ExecuteSQLOp):
        return _of_text(str(op.sqltext))
    return []


def _of_column(op: ops.AlterColumnOp) -> Effect | None:
    """Alembic sends CHANGE for a name, ALTER ... DEFAULT for a default alone, else MODIFY."""
    if op.modify_name not in (None, op.column_name):
        return Effect.REBUILDS
    if op.modify_type is None and op.modify_nullable is None and op.modify_comment is False:
        return None if op.modify_server_default is False else Effect.REBUILDS
    after = _length(op.modify_type if op.modify_type is not None else op.existing_type)
    if after is None:
        return Effect.REBUILDS
    if op.existing_type is None:
        return Effect.MAY_REBUILD
    before = _length(op.existing_type)
    if before is None or before[0] != after[0] or before[1] > after[1]:
        return Effect.REBUILDS
    if op.modify_nullable is False and op.existing_nullable is not False:
        return Effect.REBUILDS if op.existing_nullable else Effect.MAY_REBUILD
    return None


def _length(kind: Any) -> tuple[str, int] | None:
    """CHAR or VARCHAR, and how long; None is any other type, or one that is not told."""
    if kind is None:
        return None
    instance: TypeEngine[Any] = to_instance(kind)
    if isinstance(instance, String) and instance.length is None:
        return None  # which the dialect does not compile, or TEXT
    match = re.match(r"(VARCHAR|CHAR)\((\d+)\)", instance.compile(_DIALECT))
    return None if match is None else (match[1], int(match[2]))


_NAME = r"(?:`(?:[^`]|``)+`|[^\s`;,.()]+)"
_TEXT = re.compile(
    rf"(?:ALTER\s+TABLE|TRUNCATE(?:\s+TABLE)?)\s+(?:({_NAME})\s*\.\s*)?({_NAME})", re.IGNORECASE
)


def _of_text(statement: str) -> list[Altered]:
    match = _TEXT.match(statement.strip())
    if match is None:
        return []
    schema = None if match[1] is None else _unquoted(match[1])
    return [Altered(schema, _unquoted(match[2]), Effect.MAY_REBUILD)]


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
