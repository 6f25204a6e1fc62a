"""Named locks with a timeout, for which sessions wait beside sqlite's one writer.

docs/server.md, Races: CREATE PITR on 4.2.0 waits for an uncommitted rebuilding ALTER, and there is
the row lock on mo_role.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import SqlError


def lock_wait_error() -> SqlError:
    """Error of 4.2.0 for a waiter whose time has run out; 3.0.9 waits for a year."""
    return SqlError(1205, "Lock wait timeout exceeded; try restarting transaction")


_LOOK_SECONDS = 0.2
"""Seconds between two checks of whether a waiter's client is still there."""


def never() -> bool:
    """Return False: the client of this waiter is always there."""
    return False


def wait_until(
    condition: threading.Condition,
    ready: Callable[[], bool],
    timeout: float,
    gone: Callable[[], bool],
) -> None:
    """Wait, *condition* held, until *ready*; the lock error after *timeout* or once *gone*."""
    deadline = time.monotonic() + timeout
    while not ready():
        left = deadline - time.monotonic()
        if left <= 0 or gone():
            raise lock_wait_error()
        condition.wait(min(left, _LOOK_SECONDS))


class LockTable:
    """Locks by key, each held by one owner, who may hold it more than once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[tuple[object, ...], object] = {}

    def acquire(
        self,
        owner: object,
        key: tuple[object, ...],
        timeout: float,
        gone: Callable[[], bool] = never,
    ) -> None:
        """Acquire *key*, waiting at most *timeout* seconds for another owner to release it."""
        with self._changed:
            wait_until(self._changed, lambda: self._held.get(key, owner) is owner, timeout, gone)
            self._held[key] = owner

    def release(self, owner: object) -> None:
        """Release everything that *owner* holds."""
        with self._changed:
            mine = [key for key, holder in self._held.items() if holder is owner]
            for key in mine:
                del self._held[key]
            if mine:
                self._changed.notify_all()

    def wait_free(
        self,
        owner: object,
        key_prefix: tuple[object, ...],
        timeout: float,
        gone: Callable[[], bool] = never,
    ) -> None:
        """Wait until no other owner holds a key that begins with *key_prefix*."""
        size = len(key_prefix)

        def free() -> bool:
            return all(
                holder is owner for key, holder in self._held.items() if key[:size] == key_prefix
            )

        with self._changed:
            wait_until(self._changed, free, timeout, gone)
