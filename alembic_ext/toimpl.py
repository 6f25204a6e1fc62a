"""What the operations do: queue an element in the migration's transaction, or write a script.

Online a policy's name is looked up on a connection of its own when the operation runs; what creates
is sent under the account lock and looks once more, so that several processes that migrate at once
end with each policy once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic.operations import Operations
from sqlalchemy.engine import Connection, CursorResult

from sqlalchemy_matrixone_pitr.ddl import AlterPitr, CreatePitr, DropPitr
from sqlalchemy_matrixone_pitr.errors import PitrAlreadyExistsError, PitrNotFoundError
from sqlalchemy_matrixone_pitr.generations import (
    Policy,
    find_policy,
    generation_name,
    split_generation,
    target_of,
)
from sqlalchemy_matrixone_pitr.locking import account_lock
from sqlalchemy_matrixone_pitr.model import Pitr
from sqlalchemy_matrixone_pitr.reflection import read_state, reading
from sqlalchemy_matrixone_pitr.transaction import (
    TransactionalDDLElement,
    pending_result,
    take_back,
)

from .offline import hold
from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, RenewPitrOp

HOW_TO_REPAIR = (
    "The migration itself is committed, and the revision is recorded: it will not run again. See "
    "what is missing with alembic check or mo-pitr plan MODULE:metadata, mend the cause, and "
    "create it with mo-pitr apply MODULE:metadata."
)


class CreateWhereMissing(CreatePitr):
    """A CREATE PITR of a migration: sent under the account lock, after one more look.

    A policy of that name for the same object that still protects it is what is wanted; one that
    protects nothing any more is renewed. Anything else in the way is the server's to refuse.
    """

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        if self.if_not_exists:
            return super()._send(connection, options)
        with account_lock(connection.engine):
            there = self._policy(connection)
            if there is None:
                return CreatePitr(self.pitr)._send(connection, options)
            if not there.detached:
                if there.current.range != self.pitr.range:
                    raise PitrAlreadyExistsError(
                        f"PITR {there.current.name!r} is there with range {there.current.range}, "
                        f"the migration creates it with {self.pitr.range}: alter or drop it first",
                        name=self.name,
                    )
                return pending_result(connection)
            pitr = renamed(self.pitr, generation_name(there.name, there.next_number))
            return CreatePitr(pitr)._send(connection, options)

    def _policy(self, connection: Connection) -> Policy | None:
        with reading(connection.engine) as aside:
            state = read_state(aside, tables=())
        base = split_generation(self.name)[0]
        policy = find_policy(state.pitrs, base)
        if policy is None or policy.target != target_of(self.pitr):
            return None
        return policy


def renamed(pitr: Pitr, name: str) -> Pitr:
    """The same policy under another name, as declared."""
    return Pitr(
        name,
        pitr.level,
        pitr.range,
        account_name=pitr.account_name,
        database_name=pitr.database_name,
        table_name=pitr.table_name,
    )


def create_pitr(operations: Operations, operation: CreatePitrOp) -> None:
    _run(operations, CreateWhereMissing(operation.pitr, operation.if_not_exists))


def alter_pitr(operations: Operations, operation: AlterPitrOp) -> None:
    name = _current_name(operations, operation.name)
    _run(operations, AlterPitr(name, operation.range))


def drop_pitr(operations: Operations, operation: DropPitrOp) -> None:
    """One that this transaction was about to create, several revisions run in one, is not created:
    its object may be gone when the transaction commits."""
    name = _current_name(operations, operation.name, missing=operation.if_exists)
    if_exists = operation.if_exists
    if not operations.migration_context.as_sql:
        connection = operations.get_bind()
        created = take_back(connection, lambda e: e.pitr_name == name and _creates(e))
        if created:
            take_back(connection, lambda e: e.pitr_name == name and isinstance(e, AlterPitr))
            if_exists = True
    _run(operations, DropPitr(name, if_exists))


def _creates(element: TransactionalDDLElement) -> bool:
    return isinstance(element, CreatePitr)


def renew_pitr(operations: Operations, operation: RenewPitrOp) -> None:
    _run(operations, CreateWhereMissing(operation.pitr))


def _run(operations: Operations, element: CreatePitr | AlterPitr | DropPitr) -> None:
    context = operations.migration_context
    if context.as_sql:
        hold(context, element)
        return
    element.note_on_failure = HOW_TO_REPAIR
    operations.get_bind().execute(element)


def _current_name(operations: Operations, name: str, *, missing: bool = False) -> str:
    """The name of the newest generation, with what this transaction is about to send.

    :raises PitrNotFoundError: there is none.
    """
    from sqlalchemy_matrixone_pitr.manager import TransactionPitrManager

    if operations.migration_context.as_sql:
        return name
    try:
        return TransactionPitrManager(operations.get_bind()).get(name).name
    except PitrNotFoundError:
        if missing:
            return name
        raise
