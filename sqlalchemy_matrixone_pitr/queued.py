"""The statements that wait for the COMMIT of their transaction.

A queue is keyed weakly by its :class:`~sqlalchemy.engine.RootTransaction`, and dies with it. It is
not kept in ``connection.info``: that belongs to the pooled DBAPI connection, whose next user would
commit it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.engine.base import RootTransaction

    from .transaction import TransactionalDDLElement


class Parking(Protocol):
    """A Session, which sends its connections' statements when all of them are committed."""

    def park(self, connection: Connection, items: list[Queued]) -> bool:
        """Keep the statements of a committed connection; False where they are to be sent now."""
        ...


@dataclass(frozen=True, slots=True)
class Queued:
    element: TransactionalDDLElement
    options: Mapping[str, Any]


@dataclass(eq=False, slots=True)
class Queue:
    """The statements that one transaction will send after its COMMIT.

    :ivar closed: its commit has begun.
    :ivar set_commits: the server's SET commits the transaction, and no warning has said so yet.
    """

    items: list[Queued] = field(default_factory=list)
    closed: bool = False
    failed_savepoint: str | None = None
    sessions: weakref.WeakSet[Parking] = field(default_factory=weakref.WeakSet)
    set_commits: bool | None = None


_queues: weakref.WeakKeyDictionary[RootTransaction, Queue] = weakref.WeakKeyDictionary()
_queues_lock = threading.Lock()


def queue_of(transaction: RootTransaction | None, *, create: bool = False) -> Queue | None:
    if transaction is None:
        return None
    with _queues_lock:
        queue = _queues.get(transaction)
        if queue is None and create:
            queue = _queues[transaction] = Queue()
        return queue


def close_queue(transaction: RootTransaction | None) -> None:
    queue = queue_of(transaction, create=True)
    if queue is not None:
        queue.closed = True
