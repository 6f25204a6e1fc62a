"""State shared by all sessions of one storage."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from ..clock import Clock
from ..versions.rules import Rules
from .locks import LockTable
from .records import Event
from .snapshots import Snapshots
from .store import Store
from .virtual import VirtualTable


class Shared:
    """The store, the locks, and the listeners for commits."""

    def __init__(
        self,
        clock: Clock,
        rules: Rules,
        lock_timeout: float,
        keep_history: datetime.timedelta | None,
    ) -> None:
        self.clock = clock
        self.rules = rules
        self.lock_timeout = lock_timeout
        self.keep_history = keep_history
        self.locks = LockTable()
        self.snapshots = Snapshots()
        self.on_commit: list[Callable[[list[Event]], None]] = []
        self.store = Store(clock)
        self.virtual: dict[tuple[str, str], VirtualTable] = {}
