"""Operations carried out: a statement queued in the migration's transaction, or a script written.

What a queued statement means is decided when it is sent: see ``elements.py``.
"""

from __future__ import annotations

import weakref

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.ddl import AlterPitr, CreatePitr, DropPitr, PitrDDLElement
from sqlalchemy_matrixone_pitr.errors import PitrUnsupportedError
from sqlalchemy_matrixone_pitr.generations import split_generation
from sqlalchemy_matrixone_pitr.manager import TransactionPitrManager
from sqlalchemy_matrixone_pitr.transaction import TransactionalDDLElement, take_back

from .elements import AlterNewest, CreateWhereMissing, DropNewest, RenewWhereDetached
from .offline import hold
from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, PitrOp, RenewPitrOp


def create_pitr(operations: Operations, operation: CreatePitrOp) -> None:
    _expected_name(operations, operation)
    _run(operations, CreateWhereMissing(operation.pitr, operation.if_not_exists))


def alter_pitr(operations: Operations, operation: AlterPitrOp) -> None:
    name = _expected_name(operations, operation)
    if operations.migration_context.as_sql:
        _run(operations, AlterPitr(name, operation.range))
    else:
        _run(operations, AlterNewest(operation.name, operation.range, name, operation.existing))


def drop_pitr(operations: Operations, operation: DropPitrOp) -> None:
    """Drop a policy.

    One that this transaction was about to create, several revisions run in one, is not created;
    what it would have renewed is history, and stays.
    """
    name = _expected_name(operations, operation)
    if operations.migration_context.as_sql:
        _run(operations, DropPitr.named(name, operation.if_exists))
        return
    connection = operations.get_bind()
    created = take_back(connection, lambda element: creates(element, operation.name))
    take_back(connection, lambda element: alters(element, operation.name))
    if_active = bool(created) or operation.if_exists
    element = DropNewest(operation.name, name, operation.target, operation.if_exists, if_active)
    _run(operations, element)


def renew_pitr(operations: Operations, operation: RenewPitrOp) -> None:
    _expected_name(operations, operation)
    _run(operations, RenewWhereDetached(operation.pitr))


def creates(element: TransactionalDDLElement, policy: str) -> bool:
    """Whether an element creates a generation of a policy."""
    name = element.pitr_name
    return isinstance(element, CreatePitr) and policy in (name, split_generation(name)[0])


def alters(element: TransactionalDDLElement, policy: str) -> bool:
    """Whether an element alters a policy."""
    return isinstance(element, AlterNewest) and element.policy == policy


def drops(element: TransactionalDDLElement, policy: str) -> bool:
    """Whether an element drops a policy's newest generation."""
    return isinstance(element, DropNewest) and element.policy == policy


def _run(operations: Operations, element: PitrDDLElement) -> None:
    context = operations.migration_context
    if context.as_sql:
        hold(context, element)
    else:
        _changing.add(context)
        operations.get_bind().execute(element)


_changing: weakref.WeakSet[MigrationContext] = weakref.WeakSet()
"""The contexts whose present revision has changed policies."""


def take_changes(context: MigrationContext) -> bool:
    """Whether operations have changed policies since this was last asked."""
    found = context in _changing
    _changing.discard(context)
    return found


_allowed: weakref.WeakSet[MigrationContext] = weakref.WeakSet()


def _expected_name(operations: Operations, operation: PitrOp) -> str:
    """The name of the policy's newest generation, with what this transaction is about to send.

    Where there is none, and in a script, the name as it stands.

    Asked before the COMMIT, so that a server that has no PITR, or a user who may not change it, is
    refused while the migration can still be undone.

    :raises PitrUnsupportedError: not a MatrixOne server.
    :raises PitrPermissionError: the user is no administrator of the account.
    """
    context = operations.migration_context
    if context.dialect.name not in server.SUPPORTED_DIALECTS:
        raise PitrUnsupportedError(
            f"{operation!r} is for MatrixOne: a {context.dialect.name} database has no PITR. In a "
            "project for several kinds of databases, ask op.get_context().dialect.name first",
            name=operation.name,
        )
    if context.as_sql:
        return operation.name
    connection = operations.get_bind()
    server.require_matrixone(connection)
    if isinstance(operation, CreatePitrOp | RenewPitrOp) and context in _allowed:
        return operation.name
    found = TransactionPitrManager(connection)._find(operation.name, times=False)
    _allowed.add(context)
    return operation.name if found is None else found.name
