"""Autogenerate and ``alembic check``: declared policies against the server's.

=======================================  ==============================================
difference (``plan.compare``)            operation
=======================================  ==============================================
missing                                  ``create_pitr``, after the tables
another range                            ``alter_pitr``, after the tables
detached by a rebuild                    ``renew_pitr``, after the tables
another target                           ``drop_pitr`` first, ``create_pitr`` at the end
not declared                             logged; ``drop_pitr`` first, where asked for
held by somebody else's policy           an error that names both
=======================================  ==============================================

In a downgrade the order is the other way round. On another server, and where nothing is declared,
nothing is asked and nothing said.
"""

from __future__ import annotations

import logging
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, UpgradeOps
from alembic.util import PriorityDispatchResult
from sqlalchemy import MetaData

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.apply import conflict_error
from sqlalchemy_matrixone_pitr.generations import split_generation, target_of, target_text
from sqlalchemy_matrixone_pitr.model import Pitr
from sqlalchemy_matrixone_pitr.plan import Action, Alter, Create, Declared, Drop, Renew
from sqlalchemy_matrixone_pitr.reflection import reading
from sqlalchemy_matrixone_pitr.schema import HasMetaData, declares_any

from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, PitrOp, RenewPitrOp
from .times import TABLE

log = logging.getLogger("alembic.autogenerate.matrixone_pitr")


def compare_pitrs(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps
) -> PriorityDispatchResult:
    """The comparator; registered to run after all others."""
    # our own table is nobody's to drop
    upgrade_ops.ops[:] = [
        op for op in upgrade_ops.ops if not (isinstance(op, DropTableOp) and op.table_name == TABLE)
    ]
    metadata = _concerned(autogen_context)
    connection = autogen_context.connection
    if not metadata or connection is None or server.matrixone_version(connection) is None:
        return PriorityDispatchResult.CONTINUE
    options = autogen_context.opts
    declared = Declared(
        metadata,
        connection.get_execution_options(),
        connection.dialect.default_schema_name,
    )
    with reading(connection) as aside:
        state = declared.read(aside)
    plan = declared.plan(
        state,
        drop_undeclared=bool(options.get("matrixone_pitr_drop_undeclared")),
        include=lambda pitr: _included(autogen_context, pitr),
    )
    for conflict in plan.conflicts:
        raise conflict_error(conflict)
    for pitr in plan.undeclared:
        log.info("PITR %s of %s is not declared", pitr.name, target_text(pitr))
    if not plan.actions:
        return PriorityDispatchResult.CONTINUE
    written = _Written(declared)
    first: list[PitrOp] = []
    last: list[PitrOp] = []
    for action in plan.actions:
        log.info("Detected %s", action)
        before, after = written.operations(action)
        first += before
        last += after
    upgrade_ops.ops[:0] = first
    upgrade_ops.ops.extend(last)
    return PriorityDispatchResult.CONTINUE


def _concerned(autogen_context: AutogenContext) -> list[MetaData | HasMetaData]:
    """The metadata whose policies are compared; none where that is off, or not MatrixOne's."""
    if not autogen_context.opts.get("compare_pitr", True):
        return []
    dialect = autogen_context.dialect
    if dialect is None or dialect.name not in server.SUPPORTED_DIALECTS:
        return []
    metadata: Any = autogen_context.metadata
    given: list[MetaData | HasMetaData] = (
        [metadata] if isinstance(metadata, MetaData) else list(metadata or ())
    )
    return given if declares_any(given) else []


def _included(autogen_context: AutogenContext, pitr: Pitr) -> bool:
    """``include_name`` for what the server has, ``include_object`` for both sides."""
    reflected = pitr.status is not None
    name = split_generation(pitr.name)[0] if reflected else pitr.name
    if reflected:
        parents: Any = {"schema_name": pitr.database_name, "table_name": pitr.table_name}
        if not autogen_context.run_name_filters(name, "pitr", parents):  # type: ignore[arg-type]
            return False
    return autogen_context.run_object_filters(pitr, name, "pitr", reflected, None)  # type: ignore[arg-type]


class _Written:
    """Actions as operations, with the databases that the metadata names."""

    def __init__(self, declared: Declared) -> None:
        self._default = declared.default
        self._declared = {
            (declaration.pitr.name, target_of(declaration.pitr)): declaration
            for declaration in declared.declarations()
        }

    def operations(self, action: Action) -> tuple[list[PitrOp], list[PitrOp]]:
        """What goes to the front of the migration, and what to its end."""
        if isinstance(action, Drop):
            return [DropPitrOp.from_pitr(self._as_written(action.pitr))], []
        pitr = self._as_written(action.pitr)
        if isinstance(action, Create):
            return [], [CreatePitrOp.from_pitr(pitr)]
        if isinstance(action, Alter):
            assert action.existing is not None
            existing = str(action.existing.range)
            return [], [AlterPitrOp(pitr.name, str(pitr.range), existing_range=existing)]
        assert isinstance(action, Renew)
        front: list[PitrOp] = []
        if action.destructive and action.existing is not None:
            front.append(DropPitrOp.from_pitr(self._as_written(action.existing)))
        renewal = RenewPitrOp(
            pitr.name,
            range=str(pitr.range),
            database=pitr.database_name,
            table=pitr.table_name,
            generation=split_generation(action.pitr.name)[1],
        )
        return front, [renewal]

    def _as_written(self, pitr: Pitr) -> Pitr:
        """Under the policy's name, and with no database where the metadata names none."""
        base = split_generation(pitr.name)[0]
        declaration = self._declared.get((base, target_of(pitr)))
        name = base if declaration is not None else pitr.name
        database = pitr.database_name
        if declaration is not None:
            database = declaration.database
        elif database == self._default:
            database = None
        return Pitr(
            name,
            pitr.level,
            pitr.range,
            account_name=pitr.account_name,
            database_name=database,
            table_name=pitr.table_name,
        )
