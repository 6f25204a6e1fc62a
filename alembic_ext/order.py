"""The order of tables that one revision drops: after what no longer refers to them.

Alembic writes them in no order among themselves, and before the foreign keys that other tables
lose; the server refuses to drop a table that another one refers to. The downgrade is the reverse,
and makes the referred table first.
"""

from __future__ import annotations

import graphlib

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, MigrateOperation, ModifyTableOps, UpgradeOps
from alembic.util import PriorityDispatchResult

from .keys import is_matrixone

Name = tuple[str | None, str]
"""A schema, None for the default one, and a table in it."""


def order_drops(autogen_context: AutogenContext, upgrade_ops: UpgradeOps) -> PriorityDispatchResult:
    """A comparator that runs after all others."""
    if is_matrixone(autogen_context):
        upgrade_ops.ops[:] = in_order(upgrade_ops.ops)
    return PriorityDispatchResult.CONTINUE


def in_order(operations: list[MigrateOperation]) -> list[MigrateOperation]:
    """The operations, with the drops of tables last, and what refers to another before it.

    What is changed of a dropped table, its indexes, stays before its drop. Tables that refer to
    each other in a circle stay as they are.
    """
    drops = {(op.schema, op.table_name): op for op in operations if isinstance(op, DropTableOp)}
    referring: dict[Name, set[Name]] = {name: set() for name in drops}
    for name, drop in drops.items():
        for key in drop.to_table().foreign_keys:
            *schema, table, _ = key.target_fullname.split(".")
            parent = schema[0] if schema else None, table
            if parent in referring and parent != name:
                referring[parent].add(name)
    try:
        order = list(graphlib.TopologicalSorter(referring).static_order())
    except graphlib.CycleError:
        order = list(drops)
    blocks: dict[Name, list[MigrateOperation]] = {name: [] for name in order}
    others: list[MigrateOperation] = []
    for op in operations:
        if isinstance(op, DropTableOp | ModifyTableOps):
            blocks.get((op.schema, op.table_name), others).append(op)
        else:
            others.append(op)
    return [*others, *(op for block in blocks.values() for op in block)]
