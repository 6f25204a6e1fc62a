"""Renewal: protection that goes on after its object was rebuilt, without losing history.

The server ends a policy when its object is dropped, rebuilt, truncated or restored, and goes on
listing it. It cannot rename a PITR, and the old row is what keeps the old history from being
collected. So a renewed policy has generations: see ``generations.py`` for their names.

Source: docs/server.md, What detaches a policy; Object ids.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SAWarning

from .apply import Run
from .catalog import object_ids
from .connections import unwrap
from .coverage.expiry import expired
from .ddl import CreatePitr, DropPitr, PitrDDLElement
from .errors import (
    PitrAlreadyExistsError,
    PitrNotFoundError,
    PitrTargetError,
    PitrTransactionError,
    is_name_taken,
)
from .generations import (
    Policy,
    find_policy,
    generation_name,
    is_active_on_server,
    is_detached,
    policies,
    split_generation,
    target_of,
    target_text,
)
from .locking import DEFAULT_TIMEOUT, account_lock
from .model import Pitr, check_flag
from .names import check_pitr_name
from .plan.actions import Action, Drop, Renew
from .plan.costs import dropping_cost, replacing_cost
from .report import ApplyReport, carried
from .server import rules_of
from .show import reading
from .status import ServerState, read_state, wait_until_told

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session


def engine_of(bind: Engine | Connection | Session | scoped_session[Any], what: str) -> Engine:
    """The Engine behind a bind: what runs at once uses connections of its own.

    :raises PitrTransactionError: the bind is in a transaction. What it has not committed would not
        be seen, and 4.2 would wait for it for ever.
    """
    found = unwrap(bind, what)
    if isinstance(found, Connection) and found.in_transaction():
        raise PitrTransactionError(
            f"{what} acts at once, on connections of its own, and would wait for the transaction "
            "that it is called in: commit first, or give the Engine; TransactionPitrManager has "
            "methods that take effect at the transaction's COMMIT"
        )
    engine: Engine = found.engine
    return engine


def renew_pitr(
    bind: Engine | Connection | Session | scoped_session[Any],
    name: str,
    keep_history: bool = True,
    *,
    timeout: float = DEFAULT_TIMEOUT,
) -> Pitr:
    """Protect a policy's object again, after it was rebuilt, and return the policy's new PITR.

    Creates the next generation, ``name__g2`` and so on; the old one stays, and keeps what was
    before until :func:`prune_history` finds that it holds nothing any more. A policy that still
    protects its object is returned as it is: nothing is sent. It acts at once, on connections of
    its own, under the account lock: not inside a transaction, which it would wait for.

    :param name: the policy's name, or that of any of its generations.
    :param keep_history: False drops all generations and creates the policy under its own name. What
        can no longer be restored then is said in a warning, before anything is sent.
    :param timeout: seconds to wait for the account lock.
    :raises PitrNotFoundError: no such policy.
    :raises PitrTransactionError: a Connection or Session that is in a transaction.
    :raises PitrTargetError: its object does not exist any more.
    :raises PitrAlreadyExistsError: the server takes the old generation for active still (3.0.9
        after TRUNCATE, 2.2 after any rebuild): its history cannot be kept.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> PitrManager(engine).create_account_pitr("nightly")
    Pitr('nightly', 'account', '1d')
    >>> renew_pitr(engine, "nightly")  # it protects the account: nothing is to be done
    Pitr('nightly', 'account', '1d', status='active')
    """
    engine = engine_of(bind, "renew_pitr")
    name = check_pitr_name(name)
    check_flag("keep_history", keep_history)
    run = Run(engine, resend=True)
    with carried(run.report, _missing), account_lock(engine, timeout):
        return _renew(run, name, keep_history)


def renew_under_lock(engine: Engine, name: str) -> Pitr:
    """:func:`renew_pitr` for whoever holds the account lock.

    :param name: checked and folded.
    """
    run = Run(engine, resend=True)
    with carried(run.report, _missing):
        return _renew(run, name, True)


def _renew(run: Run, name: str, keep_history: bool) -> Pitr:
    with reading(run.engine) as connection:
        state = read_state(connection, tables=())
        policy, elements = renewal_of(state, name, keep_history)
        if not elements:
            return policy.current
        wait_until_told(connection, state, [policy.current])
    try:
        _carry_out(run, renewal_actions(policy, elements, state))
    except PitrAlreadyExistsError as error:
        if keep_history and not is_name_taken(error):  # only sys could see it beforehand
            raise history_not_kept(policy, policy.generations[-1]) from error
        raise
    return renewed_pitr(policy, keep_history)


def renewal_of(
    state: ServerState, name: str, keep_history: bool = True
) -> tuple[Policy, list[PitrDDLElement]]:
    """The policy of a name, and what is executed to renew it: nothing where it protects its object.

    :param name: checked and folded; of a policy, or of any of its generations.
    """
    policy = find_policy(state.pitrs, name)
    if policy is None:
        numbered = [p.name for p in state.pitrs if split_generation(p.name)[0] == name]
        hint = f"; of its name with a number there is {', '.join(numbered)}" if numbered else ""
        raise PitrNotFoundError(
            f"PITR {name!r} does not exist in this account: get_pitrs() lists what there is{hint}",
            name=name,
        )
    if not policy.detached:
        return policy, []
    _check_target(state, policy.current)
    _check_alone(state, policy)
    return policy, renewal(state, policy, keep_history)


def renewal_actions(
    policy: Policy, elements: Sequence[PitrDDLElement], state: ServerState
) -> list[Action]:
    """Turn the elements of :func:`renewal_of` into the actions that a report speaks of."""
    by_name = {pitr.name: pitr for pitr in policy.generations}
    reason = f"{policy.generations[-1].name} protects nothing new"
    actions: list[Action] = []
    for element in elements:
        if isinstance(element, CreatePitr):
            made = element.pitr
            actions.append(Renew(made, reason, policy.current, internal=element.internal))
        else:
            pitr = by_name[element.name]
            cost = _dropping_cost(pitr, state)
            actions.append(Drop(pitr, "renewed without its history", pitr, True, cost))
    return actions


def _carry_out(run: Run, actions: Sequence[Action]) -> None:
    """Send actions one right after the other; the first error ends it, and is raised as it is."""
    run.actions = list(actions)
    run.send(range(len(actions)))
    run.raise_first()


def _missing(report: ApplyReport) -> str:
    """Describe what an unfinished renewal has left, and what is to be done then."""
    text = f"The policy was being renewed:\n{report}"
    if not any(isinstance(action, Drop) for action in (*report.done, *report.unknown)):
        return text
    left = [*report.unknown, *(failure.action for failure in report.failed), *report.not_tried]
    dropped = [action.pitr.name for action in report.done if isinstance(action, Drop)]
    dropped += [f"{action.pitr.name} (or it may be)" for action in report.unknown]
    for action in left:
        if isinstance(action, Renew):
            return (
                f"{text}\n{', '.join(dropped)}: dropped. The object is unprotected then until this "
                f"is executed: {action.statements[-1]}"
            )
    return text


def renewed_pitr(policy: Policy, keep_history: bool = True) -> Pitr:
    """The PITR that renews a policy."""
    current = policy.current
    return Pitr(
        generation_name(policy.name, policy.next_number if keep_history else 1),
        current.level,
        current.range,
        account_name=current.account_name,
        database_name=current.database_name,
        table_name=current.table_name,
    )


def renewal(state: ServerState, policy: Policy, keep_history: bool = True) -> list[PitrDDLElement]:
    """The elements that renew a policy that no longer protects its object.

    :raises PitrAlreadyExistsError: its history cannot be kept.
    """
    create = CreatePitr(renewed_pitr(policy, keep_history)).with_real_names()
    create = create.for_server(rules_of(state.version))
    if keep_history:
        _check_free(state, policy)
        return [create]
    return [*_drop_generations(policy, state), create]


def is_rebuilt(connection: Connection, policy: Policy, committed: ServerState) -> bool:
    """Whether the connection's transaction has rebuilt a policy's object.

    Inside the transaction the object has its new id, elsewhere the committed one.
    """
    _, _, database, table = policy.target
    before = committed.objects.get((database or "", table))
    if database is None or before is None:
        return False
    return object_ids(connection, [(database, table)]).get((database, table)) != before.id


def _check_target(state: ServerState, pitr: Pitr) -> None:
    if pitr.database_name is None:
        return
    if (pitr.database_name, pitr.table_name) not in state.objects:
        raise PitrTargetError(
            f"PITR {pitr.name!r} cannot be renewed: {target_text(pitr)} does not exist any more. "
            "Its history can still be restored; create the object again, then renew",
            name=pitr.name,
        )


def conflicting_pitr(state: ServerState, policy: Policy) -> Pitr | None:
    """A PITR of another policy that the server takes for active on the same object."""
    own = {pitr.name for pitr in policy.generations}
    for pitr in state.pitrs:
        is_active = is_active_on_server(pitr, state.stale_active)
        if is_active and target_of(pitr) == policy.target and pitr.name not in own:
            return pitr
    return None


def _check_alone(state: ServerState, policy: Policy) -> None:
    other = conflicting_pitr(state, policy)
    if other is not None:
        raise PitrAlreadyExistsError(
            f"PITR {policy.name!r} cannot be renewed: {other.name} protects "
            f"{target_text(policy.target)}, and the server takes one active policy per object. "
            f"What {policy.name} keeps stays until it is dropped",
            name=policy.name,
        )


def _check_free(state: ServerState, policy: Policy) -> None:
    """Refuse to renew beside a row that the server takes for active still."""
    for pitr in policy.generations:
        if pitr.name in state.stale_active:
            raise history_not_kept(policy, pitr)


def history_not_kept(policy: Policy, stale: Pitr) -> PitrAlreadyExistsError:
    """The error of a renewal that the server refuses beside a row which it takes for active.

    :param stale: that row.
    """
    return PitrAlreadyExistsError(
        f"PITR {policy.name!r} cannot be renewed beside its history: {replacing_cost(stale)}. Give "
        "keep_history=False to drop it and protect the object from now on",
        name=policy.name,
    )


def _dropping_cost(pitr: Pitr, state: ServerState) -> str:
    return dropping_cost(pitr, state.now, state.detached_at.get(pitr.name))


def _drop_generations(policy: Policy, state: ServerState) -> list[PitrDDLElement]:
    costs = "; ".join(sorted({_dropping_cost(pitr, state) for pitr in policy.generations}))
    warnings.warn(f"PITR {policy.name!r} is renewed without its history: {costs}", SAWarning, 4)
    return [DropPitr(pitr.name) for pitr in policy.generations]


def prune_history(
    bind: Engine | Connection | Session | scoped_session[Any],
    *,
    timeout: float = DEFAULT_TIMEOUT,
) -> list[Pitr]:
    """Drop the older generations that hold nothing any more, and return what was dropped.

    A generation holds what was before a rebuild until its range, counted back from the server's
    present, ends after the rebuild. The newest generation of a policy is never dropped.

    :raises PitrLockTimeoutError: another program held the lock; nothing was sent.

    >>> from sqlalchemy import create_engine
    >>> prune_history(create_engine(url))
    []
    """
    engine = engine_of(bind, "prune_history")
    run = Run(engine)
    with carried(run.report, _pruned), account_lock(engine, timeout):
        with reading(engine) as connection:
            found = prunable(read_state(connection, tables=()))
        _carry_out(run, [Drop(pitr, "it holds nothing more", pitr) for pitr in found])
    return [action.pitr for action in run.report().done]


def _pruned(report: ApplyReport) -> str:
    dropped = ", ".join(action.pitr.name for action in report.done) or "nothing"
    return f"Dropped before: {dropped}.\n{report}"


def prunable(state: ServerState) -> list[Pitr]:
    """The older generations that hold nothing any more."""
    return [
        pitr
        for policy in policies(state.pitrs)
        for pitr in expired(policy, state.now)
        if is_detached(pitr)
    ]
