"""Observers of operations, before and around them, and of batches that are done."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from alembic.operations import Operations
from alembic.operations.batch import BatchOperationsImpl
from alembic.operations.ops import MigrateOperation


def before(
    kinds: Iterable[type[MigrateOperation]], look: Callable[[Operations, Any], None]
) -> None:
    """Let something look at operations before they are done; what does them stays what it was.

    :param look: may raise, and the operation is then not done.
    """

    def then(operations: Operations, operation: Any) -> AbstractContextManager[None]:
        look(operations, operation)
        return nullcontext()

    around(kinds, then)


def around(
    kinds: Iterable[type[MigrateOperation]],
    look: Callable[[Operations, Any], AbstractContextManager[None]],
) -> None:
    """The same, for something that is told of their end too.

    :param look: gives what the operation is done within.
    """
    for kind in kinds:
        _around(kind, look)


def _around(
    kind: type[MigrateOperation],
    look: Callable[[Operations, Any], AbstractContextManager[None]],
) -> None:
    original = Operations._to_impl.dispatch(kind)

    def looked_at(operations: Operations, operation: Any) -> Any:
        with look(operations, operation):
            return original(operations, operation)

    Operations.implementation_for(kind, replace=True)(looked_at)


def after_batches(look: Callable[[BatchOperationsImpl], None]) -> None:
    """Let something look at each ``batch_alter_table`` that has been done.

    What it does as a whole is no operation: to replace the table it sends statements of its own.
    """
    original = BatchOperationsImpl.flush

    @functools.wraps(original)
    def looked_at(batch: BatchOperationsImpl) -> None:
        original(batch)
        look(batch)

    BatchOperationsImpl.flush = looked_at  # type: ignore[method-assign, assignment]
