"""Looking at an operation before it is done, whoever does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation


def before(
    kinds: Iterable[type[MigrateOperation]], look: Callable[[Operations, Any], None]
) -> None:
    """Let something look at operations before they are done; what does them stays what it was.

    :param look: may raise, and the operation is then not done.
    """
    for kind in kinds:
        _before(kind, look)


def _before(kind: type[MigrateOperation], look: Callable[[Operations, Any], None]) -> None:
    original = Operations._to_impl.dispatch(kind)

    def looked_at(operations: Operations, operation: Any) -> Any:
        look(operations, operation)
        return original(operations, operation)

    Operations.implementation_for(kind, replace=True)(looked_at)
