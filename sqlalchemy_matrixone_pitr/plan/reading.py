"""Plans of what a server has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..connections import Bind
from ..ddl import DropPitr
from ..declarations import Bound, Databases, Schemas, bind_declarations, databases_of, tables_of
from ..extent import Key, Parts, shortfalls
from ..generations import object_of, split_generation, target_text
from ..model import Pitr
from ..server import rules_of
from ..show import reading
from ..status import ServerState, read_state
from .actions import Conflict, Drop, Include, Plan, Renew
from .compare import compare


def plan_pitrs(
    bind: Bind,
    metadata: Schemas,
    *,
    drop_undeclared: bool = False,
    include: Include | None = None,
) -> Plan:
    """Plan what makes the server's policies those that the metadata declare.

    Four reading statements, however many policies and tables (a few more where an account other
    than sys must look into the past for detached ones). The caller's transaction is not disturbed,
    and what it has not committed is not seen.

    :param metadata: a MetaData, a declarative base, or a list of them.
    :param drop_undeclared: also drop what is in the declared databases and not declared.
    :param include: only policies for which it returns True.
    :raises PitrUnsupportedError: not a MatrixOne server.
    :raises PitrValidationError: declarations that contradict each other.

    >>> from sqlalchemy import MetaData, create_engine
    >>> metadata = MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> plan_pitrs(create_engine(url), metadata).summary()
    '1 to create'
    """
    bound, state = read_declared(bind, metadata)
    return plan_bound(
        bound, state, drop_undeclared=drop_undeclared, include=include, gone_conflicts=True
    )


def read_declared(
    bind: Bind, metadata: Schemas, *, with_parts: bool = True
) -> tuple[Bound, ServerState]:
    """Read what is declared, as it is on a bind, and what the server has of it.

    :param with_parts: see :func:`read_state`.
    """
    names = Databases.of(bind)
    with reading(bind) as connection:
        state = read_state(
            connection,
            databases=databases_of(metadata, names.known()),
            tables=tables_of(metadata),
            with_parts=with_parts,
        )
    return bind_declarations(metadata, names.told(state.database), state.account), state


def plan_bound(
    bound: Bound,
    state: ServerState,
    *,
    drop_undeclared: bool = False,
    include: Include | None = None,
    gone_conflicts: bool = False,
) -> Plan:
    """The comparison of bound declarations with a server's state.

    :param gone_conflicts: see :class:`Scope`.
    """
    return compare_with(
        state,
        bound.pitrs,
        bound.databases,
        parts=bound.parts,
        drop_undeclared=drop_undeclared,
        include=include,
        gone_conflicts=gone_conflicts,
    )


def compare_with(
    state: ServerState,
    declared: Iterable[Pitr],
    databases: Collection[str],
    *,
    parts: Mapping[Key, Parts],
    drop_undeclared: bool,
    include: Include | None,
    gone_conflicts: bool,
) -> Plan:
    """:func:`compare` with a server's state.

    :param parts: what the declared tables have, where the server has no table with it yet.
    """
    rules = rules_of(state.version)
    plan = compare(
        declared,
        state.pitrs,
        databases=databases,
        drop_undeclared=drop_undeclared,
        include=include,
        stale_active=state.stale_active,
        detached_at=state.detached_at,
        now=state.now,
        internal=rules.logical_ids,
        held=state.held,
    )
    if gone_conflicts:
        plan = _without_gone(plan, state)
    going = {action.pitr.name for action in plan.actions if isinstance(action, Drop)}
    staying = [pitr for pitr in state.pitrs if pitr.name not in going]
    declared_keys = {(pitr.database_name, pitr.table_name) for pitr in plan.scope.declared}
    of_declared = {
        key: state.parts.get(key) or parts.get(key, Parts())
        for key in {*state.parts, *parts}
        if key in declared_keys
    }
    return replace(
        plan,
        scope=replace(plan.scope, parts=parts, gone_conflicts=gone_conflicts),
        rows_only=shortfalls([*staying, *plan.scope.declared], of_declared, rules),
    )


def replan(plan: Plan, state: ServerState) -> Plan:
    """The same question to a later state."""
    scope = plan.scope
    return compare_with(
        state,
        scope.declared,
        scope.databases,
        parts=scope.parts,
        drop_undeclared=scope.drop_undeclared,
        include=scope.include,
        gone_conflicts=scope.gone_conflicts,
    )


def _without_gone(plan: Plan, state: ServerState) -> Plan:
    """The plan with a conflict for each renewal of what is not there: the server would refuse it,
    or, where the old one must go first, history would be lost for nothing."""
    gone = [
        action
        for action in plan.actions
        if isinstance(action, Renew)
        and action.pitr.database_name is not None
        and object_of(action.pitr) not in state.objects
    ]
    if not gone:
        return plan
    conflicts = [*plan.conflicts]
    for action in gone:
        there = action.existing
        assert there is not None  # the newest generation, or the one that is dropped
        declared = action.pitr.of_policy(split_generation(action.pitr.name)[0])
        reason = (
            f"{target_text(declared)} is gone, and a policy is not renewed for what is not there. "
            "Create it again, or bring it back by undrop(), then plan again; or give its "
            f"history up with {DropPitr.of(there)}, and take the declaration out"
        )
        conflicts.append(Conflict(declared, there, reason, gone=True))
    actions = tuple(action for action in plan.actions if action not in gone)
    return replace(plan, actions=actions, conflicts=tuple(conflicts))
