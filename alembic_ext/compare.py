"""Autogenerate and ``alembic check``: declared policies against the server's.

=======================================  ==============================================
difference (``plan.compare``)            operation
=======================================  ==============================================
missing                                  ``create_pitr``, after the tables
another range                            ``alter_pitr``, after the tables
detached by a rebuild                    ``renew_pitr``, after the tables
detached, and its table is gone          ``create_pitr``, after the tables
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
from alembic.operations.ops import UpgradeOps
from alembic.util import PriorityDispatchResult
from sqlalchemy import MetaData, Table

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.apply import conflict_error
from sqlalchemy_matrixone_pitr.declarations import (
    DEFAULT_NAMING,
    Bound,
    Databases,
    HasMetaData,
    Schemas,
    convention_of,
    conventional_name,
    declares_any,
    metadatas,
)
from sqlalchemy_matrixone_pitr.generations import (
    policies,
    split_generation,
    target_of,
    target_text,
)
from sqlalchemy_matrixone_pitr.model import Pitr
from sqlalchemy_matrixone_pitr.plan import (
    Action,
    Alter,
    Create,
    Drop,
    Plan,
    Renew,
    plan_bound,
    read_declared,
)
from sqlalchemy_matrixone_pitr.reflection import ServerState

from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, PitrOp, RenewPitrOp
from .times import TABLE

log = logging.getLogger("alembic.autogenerate.matrixone_pitr")


def leave_times_alone(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps
) -> PriorityDispatchResult:
    """A comparator that runs before all others: the table of ``times.py`` is nobody's to drop."""
    autogen_context._name_filters.append(
        lambda name, kind, parents: (kind, name) != ("table", TABLE)
    )
    return PriorityDispatchResult.CONTINUE


def compare_pitrs(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps
) -> PriorityDispatchResult:
    """The comparator; registered to run after all others."""
    metadata = _concerned(autogen_context)
    connection = autogen_context.connection
    if not metadata or connection is None or server.matrixone_version(connection) is None:
        return PriorityDispatchResult.CONTINUE
    options = autogen_context.opts
    bound, state = read_declared(connection, metadata)
    plan = plan_bound(
        bound,
        state,
        drop_undeclared=bool(options.get("matrixone_pitr_drop_undeclared")),
        include=_Filters(autogen_context, metadata, bound.names).included,
    )
    for conflict in plan.conflicts:
        raise conflict_error(conflict)
    for pitr in plan.undeclared:
        log.info("PITR %s of %s is not declared", pitr.name, target_text(pitr))
    if not plan.actions:
        return PriorityDispatchResult.CONTINUE
    written = _Written(metadata, bound, state, plan)
    first: list[PitrOp] = written.drops()
    last: list[PitrOp] = []
    for action in plan.actions:
        log.info("Detected %s", action)
        if not isinstance(action, Drop):
            before, after = written.others(action)
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


class FilteredPitr(Pitr):
    """What ``include_object`` is given: a policy with the ``info`` that all its objects have.

    A table's policy has its Table's.
    """

    __slots__ = ("info",)

    info: dict[Any, Any]

    def __init__(self, pitr: Pitr, info: dict[Any, Any]) -> None:
        for attribute in Pitr.__slots__:
            object.__setattr__(self, attribute, getattr(pitr, attribute))
        object.__setattr__(self, "info", info)


class _Filters:
    """``include_name`` and ``include_object``, each asked once for a policy, declared or not.

    What leaves a table out leaves its policy out.
    """

    def __init__(self, autogen_context: AutogenContext, schemas: Schemas, names: Databases) -> None:
        self._context = autogen_context
        self._names = names
        self._tables: dict[tuple[str | None, str | None], Table] = {
            names.key(table): table
            for metadata in metadatas(schemas)
            for table in metadata.tables.values()
        }

    def included(self, pitr: Pitr) -> bool:
        context = self._context
        parents: Any = {"schema_name": pitr.database_name, "table_name": pitr.table_name}
        if not context.run_name_filters(pitr.name, "pitr", parents):  # type: ignore[arg-type]
            return False
        reflected = pitr.status is not None
        table, declared = self._table(pitr)
        if table is not None and not self._is_table_included(table, declared):
            return False
        shown: Any = FilteredPitr(pitr, {} if table is None else dict(table.info))
        return context.run_object_filters(shown, pitr.name, "pitr", reflected, None)  # type: ignore[arg-type]

    def _table(self, pitr: Pitr) -> tuple[Table | None, bool]:
        """A policy's table, and whether it is declared; else one of that name stands for it."""
        if pitr.table_name is None:
            return None, False
        declared = self._tables.get((pitr.database_name, pitr.table_name))
        if declared is not None:
            return declared, True
        schema = None if pitr.database_name == self._names.current else pitr.database_name
        return Table(pitr.table_name, MetaData(), schema=schema), False

    def _is_table_included(self, table: Table, declared: bool) -> bool:
        return self._context.run_name_filters(
            table.name, "table", {"schema_name": table.schema}
        ) and self._context.run_object_filters(table, table.name, "table", not declared, None)


class _Written:
    """Actions as operations: under the policy's name, with what the metadata names."""

    def __init__(self, schemas: Schemas, bound: Bound, state: ServerState, plan: Plan) -> None:
        self._names = bound.names
        self._metadata = metadatas(schemas)
        self._objects = state.objects
        self._declared = {
            (declaration.pitr.name, target_of(declaration.pitr)): declaration
            for declaration in bound.declarations
        }
        self._policies = {
            pitr.name: policy for policy in policies(state.pitrs) for pitr in policy.generations
        }
        self._dropped = [action.pitr for action in plan.actions if isinstance(action, Drop)]

    def drops(self) -> list[PitrOp]:
        """For the front of the migration: a policy's newest generation first.

        Each with the range of the newest one: brought back is one policy.
        """
        newest_first = sorted(self._dropped, key=lambda pitr: -split_generation(pitr.name)[1])
        found: list[PitrOp] = []
        for pitr in newest_first:
            range = self._policies[pitr.name].current.range
            found.append(self._drop(pitr.with_range(range)))
        return found

    def others(self, action: Action) -> tuple[list[PitrOp], list[PitrOp]]:
        """What goes to the front of the migration, and what to its end."""
        pitr, naming = self._as_written(action.pitr)
        if isinstance(action, Create):
            return [], [CreatePitrOp.from_pitr(pitr, naming)]
        assert action.existing is not None
        before = pitr.with_range(action.existing.range)
        if isinstance(action, Alter):
            return [], [AlterPitrOp.from_pitr(before, pitr.range, naming)]
        assert isinstance(action, Renew)
        front: list[PitrOp] = [self._drop(action.existing)] if action.destructive else []
        if (action.pitr.database_name or "", action.pitr.table_name) not in self._objects:
            return front, [CreatePitrOp.from_pitr(pitr, naming)]  # the migration makes it first
        renewal = RenewPitrOp(
            pitr.name,
            range=str(before.range),
            database=pitr.database_name,
            table=pitr.table_name,
            generation=split_generation(action.pitr.name)[1],
        )
        renewal.named_by(naming)
        if before.range == pitr.range:
            return front, [renewal]
        return front, [renewal, AlterPitrOp.from_pitr(before, pitr.range, naming)]

    def _drop(self, pitr: Pitr) -> PitrOp:
        made = DropPitrOp.from_pitr(*self._as_written(pitr))
        if pitr.database_name is not None:
            made.gone = (pitr.database_name, pitr.table_name) not in self._objects
        return made

    def _as_written(self, pitr: Pitr) -> tuple[Pitr, str | None]:
        """Under the policy's name, with the database as it is declared; and the convention that
        makes the name, which is then left out."""
        policy = self._policies.get(pitr.name)
        name = split_generation(pitr.name)[0] if policy is None else policy.name
        declaration = self._declared.get((name, target_of(pitr)))
        if declaration is not None:
            database, naming = declaration.database, declaration.naming
        else:
            database, naming = self._names.declared(pitr.database_name), self._naming(name, pitr)
        written = Pitr(
            name,
            pitr.level,
            pitr.range,
            account_name=pitr.account_name,
            database_name=database,
            table_name=pitr.table_name,
        )
        return written, naming

    def _naming(self, name: str, pitr: Pitr) -> str | None:
        """The convention that makes the name of a policy that nobody declares, if one does."""
        if pitr.database_name is None:
            return None
        conventions = dict.fromkeys((*map(convention_of, self._metadata), DEFAULT_NAMING))
        for convention in conventions:
            if conventional_name(convention, pitr.database_name, pitr.table_name) == name:
                return convention
        return None
