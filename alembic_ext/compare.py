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
held by somebody else's policy           a comment and a warning that name both
=======================================  ==============================================

In a downgrade the order is the other way round. On another server nothing is asked and nothing
said; nor where nothing is declared, unless undeclared policies are to be dropped.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps
from alembic.util import PriorityDispatchResult
from sqlalchemy import MetaData

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.declarations import (
    DEFAULT_NAMING,
    Bound,
    HasMetaData,
    Schemas,
    convention_of,
    conventional_name,
    declares_any,
    metadatas,
)
from sqlalchemy_matrixone_pitr.extent import in_words
from sqlalchemy_matrixone_pitr.generations import (
    object_of,
    policies,
    split_generation,
    target_of,
    target_text,
)
from sqlalchemy_matrixone_pitr.held import is_held
from sqlalchemy_matrixone_pitr.model import Pitr
from sqlalchemy_matrixone_pitr.names import fit_pitr_name
from sqlalchemy_matrixone_pitr.plan.actions import Action, Alter, Create, Drop, Plan, Renew
from sqlalchemy_matrixone_pitr.plan.reading import plan_bound, read_declared
from sqlalchemy_matrixone_pitr.status import ServerState

from .conflicts import PitrConflictsOp, warn_of
from .filters import Filters
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
    bound, state = read_declared(connection, metadata)
    if not bound.databases and bound.names.current is not None:
        bound = replace(bound, databases=frozenset({bound.names.current}))  # as for tables
    plan = plan_bound(
        bound,
        state,
        drop_undeclared=_drops_undeclared(autogen_context),
        include=Filters(autogen_context, metadata, bound, state).included,
    )
    if plan.conflicts:
        warn_of(plan.conflicts)
        upgrade_ops.ops.append(PitrConflictsOp(plan.conflicts))
    for pitr in plan.undeclared:
        log.info("PITR %s of %s is not declared", pitr.name, target_text(pitr))
    for line in in_words(plan.rows_only):
        log.warning("%s", line)
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
    return given if declares_any(given) or (given and _drops_undeclared(autogen_context)) else []


def _drops_undeclared(autogen_context: AutogenContext) -> bool:
    return bool(autogen_context.opts.get("matrixone_pitr_drop_undeclared"))


class _Written:
    """Actions as operations: under the policy's name, with what the metadata names."""

    def __init__(self, schemas: Schemas, bound: Bound, state: ServerState, plan: Plan) -> None:
        self._names = bound.names
        self._metadata = metadatas(schemas)
        self._state = state
        self._declared = {
            (declaration.pitr.name, target_of(declaration.pitr)): declaration
            for declaration in bound.declarations
        }
        self._policies = {
            pitr.name: policy for policy in policies(state.pitrs) for pitr in policy.generations
        }
        self._dropped = [action.pitr for action in plan.actions if isinstance(action, Drop)]

    def drops(self) -> list[PitrOp]:
        """The drops for the front of the migration: a policy's newest generation first.

        Each with the range of the newest one: brought back is one policy.
        """
        newest_first = sorted(self._dropped, key=lambda pitr: -split_generation(pitr.name)[1])
        found: list[PitrOp] = []
        for pitr in newest_first:
            current = self._policies[pitr.name].current
            found.append(self._drop(pitr.with_range(self._state.unheld(current).range)))
        return found

    def others(self, action: Action) -> tuple[list[PitrOp], list[PitrOp]]:
        """Split an action into operations for the front of the migration and for its end."""
        pitr, naming = self._as_written(action.pitr)
        if isinstance(action, Create):
            return [], [CreatePitrOp.from_pitr(pitr, naming)]
        assert action.existing is not None
        before = pitr.with_range(self._state.unheld(action.existing).range)
        if isinstance(action, Alter):
            return [], [AlterPitrOp.from_pitr(before, pitr.range, naming)]
        assert isinstance(action, Renew)
        if is_held(self._policies[action.existing.name], self._state.held):
            pitr = before  # another range is for when the hold has ended
        front: list[PitrOp] = []
        if action.destructive:
            front.append(self._drop(self._state.unheld(action.existing)))
        if object_of(action.pitr) not in self._state.objects:
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
            made.gone = object_of(pitr) not in self._state.objects
        return made

    def _as_written(self, pitr: Pitr) -> tuple[Pitr, str | None]:
        """Under the policy's name, with the database as it is declared; and the convention that
        makes the name, which is then left out."""
        policy = self._policies.get(pitr.name)
        name = split_generation(pitr.name)[0] if policy is None else policy.name
        declaration = self._declared.get((name, target_of(pitr)))
        if declaration is None and policy is not None and not policy.has_line:
            name = pitr.name  # a number alone does not say whose it is
        if declaration is not None:
            database, naming = declaration.database, declaration.naming
        else:
            database, naming = self._names.declared(pitr.database_name), self._naming(name, pitr)
        written = Pitr(
            fit_pitr_name(name),
            pitr.level,
            pitr.range,
            account_name=pitr.account_name,
            database_name=database,
            table_name=pitr.table_name,
        )
        return written.of_policy(name), naming

    def _naming(self, name: str, pitr: Pitr) -> str | None:
        """The convention that makes the name of a policy that nobody declares, if one does."""
        if pitr.database_name is None:
            return None
        conventions = dict.fromkeys((*map(convention_of, self._metadata), DEFAULT_NAMING))
        for convention in conventions:
            if conventional_name(convention, pitr.database_name, pitr.table_name) == name:
                return convention
        return None
