"""What an operation does to a table's id, as far as it can be told without asking a server.

=============================================  ===========
operation                                      effect
=============================================  ===========
add or drop a column, drop the primary key     REBUILDS
a column's name, default, nullability,         REBUILDS
comment, type
VARCHAR made longer, and nothing else          none
drop or rename the table                       DROPS
ALTER TABLE or TRUNCATE as text                MAY_REBUILD
=============================================  ===========

Source: matrixone.md, section 4.
"""

from __future__ import annotations

import enum
import re
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine, to_instance

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
    if (
        op.modify_name not in (None, op.column_name)
        or op.modify_server_default is not False
        or op.modify_nullable not in (None, op.existing_nullable)
        or op.modify_comment not in (False, op.existing_comment)
    ):
        return Effect.REBUILDS
    if op.modify_type is None:
        return None
    return _of_type(op.existing_type, op.modify_type)


def _of_type(before: Any, after: Any) -> Effect | None:
    if before is None:
        return Effect.MAY_REBUILD
    texts = [_type_text(kind) for kind in (before, after)]
    lengths = [re.fullmatch(r"VARCHAR\((\d+)\)", text) for text in texts]
    if lengths[0] and lengths[1]:
        return None if int(lengths[1][1]) >= int(lengths[0][1]) else Effect.REBUILDS
    return Effect.MAY_REBUILD if texts[0] == texts[1] else Effect.REBUILDS


def _type_text(kind: Any) -> str:
    instance: TypeEngine[Any] = to_instance(kind)
    return instance.compile(_DIALECT)


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
