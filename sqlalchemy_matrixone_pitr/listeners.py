"""Add event listeners to a target that is in use.

``event.listen`` appends to a deque that a commit may be iterating, in another thread or in this
very call, and that commit then fails with "deque mutated during iteration". Here a copy takes the
deque's place. SQLAlchemy's own ``event.listen`` and ``event.remove`` go on working with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy.engine import Dialect, Engine

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Listener: TypeAlias = Callable[..., Any]


def add_listener(
    target: Engine | Dialect | Session, identifier: str, listener: Listener, *, first: bool = False
) -> None:
    """``event.listen``; with ``first`` before the listeners that the target has.

    Not for ``before_execute`` and ``before_cursor_execute``, whose listeners SQLAlchemy wraps.
    """
    known = _known(target, identifier)
    old = known.listeners
    known.listeners = deque((listener, *old) if first else (*old, listener))


def surround_listeners(target: Engine, identifier: str, *, first: Listener, last: Listener) -> None:
    """Add two listeners, of which one stays first and one last, whatever is added later."""
    known = _known(target, identifier)
    known.listeners = _Surrounded(first, known.listeners, last)


def _known(target: Engine | Dialect | Session, identifier: str) -> Any:
    """The collection of one event's listeners on this target alone."""
    if isinstance(target, Engine | Dialect):
        target._has_events = True
    return getattr(target.dispatch, identifier).for_modify(target.dispatch)


class _Surrounded(deque[Listener]):
    """Listeners between one that stays first and one that stays last.

    SQLAlchemy appends alone: ``insert=True`` means nothing to it for an event of an engine.
    """

    def __init__(self, first: Listener, listeners: Iterable[Listener], last: Listener) -> None:
        super().__init__((first, *listeners, last))

    def append(self, listener: Listener) -> None:
        self.insert(len(self) - 1, listener)
