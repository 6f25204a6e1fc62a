"""The one sqlite file: connections, the writers' gate, ids, and what transactions leave behind."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ..clock import Clock
from ..types.definition import TableDef
from .collecting import Collector
from .locks import never, wait_until

_SCHEMA = """
CREATE TABLE txn (number INTEGER PRIMARY KEY, commit_ns INTEGER NOT NULL);
CREATE INDEX txn_ns ON txn (commit_ns);
CREATE TABLE db (
    version INTEGER PRIMARY KEY, id INTEGER NOT NULL, account INTEGER NOT NULL, name TEXT NOT NULL,
    created_ns INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER
);
CREATE INDEX db_name ON db (account, name);
CREATE INDEX db_id ON db (id);
CREATE TABLE tab (
    version INTEGER PRIMARY KEY, id INTEGER NOT NULL, db_id INTEGER NOT NULL, name TEXT NOT NULL,
    physical INTEGER NOT NULL, created_ns INTEGER NOT NULL, logical INTEGER NOT NULL,
    has_fk INTEGER NOT NULL,
    born INTEGER NOT NULL, died INTEGER
);
CREATE INDEX tab_name ON tab (db_id, name);
CREATE INDEX tab_id ON tab (id);
CREATE INDEX tab_fk ON tab (has_fk) WHERE has_fk;
CREATE INDEX tab_physical ON tab (physical);
CREATE TABLE dead (physical INTEGER PRIMARY KEY, made TEXT NOT NULL);
CREATE TABLE dead_row (physical INTEGER NOT NULL, ended INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX dead_row_physical ON dead_row (physical);
"""

_BLOCK = 10_000

FIRST_ID = 272_000
"""User databases and tables get ids above this, as on a fresh server."""


class Gate:
    """A lock for one writer at a time, with a timeout; not bound to a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: object = None
        self._waiting: deque[tuple[object, threading.Condition]] = deque()

    def enter(self, owner: object, timeout: float, gone: Callable[[], bool] = never) -> None:
        """Wait for the gate, first come, first served: `leave` gives it to the longest waiter."""
        with self._lock:
            if self._owner is None:
                self._owner = owner
                return
            turn = threading.Condition(self._lock)
            place = (owner, turn)
            self._waiting.append(place)
            try:
                wait_until(turn, lambda: self._owner is owner, timeout, gone)
            except BaseException:
                if self._owner is owner:
                    self._pass_on()
                else:
                    self._waiting.remove(place)
                raise

    def leave(self, owner: object) -> None:
        with self._lock:
            if self._owner is owner:
                self._pass_on()

    def _pass_on(self) -> None:
        self._owner = None
        if self._waiting:
            self._owner, turn = self._waiting.popleft()
            turn.notify()


class Store:
    """Shared by all sessions of one emulator."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.gate = Gate()
        self.collector = Collector()
        self.definitions: dict[int, TableDef] = {}
        self.sources: dict[int, str] = {}
        self.counters: dict[int, int] = {}
        self._bases: dict[int, int] = {}
        """By table the number before the block of keys that is in use"""
        self._ids = itertools.count(FIRST_ID)
        self._versions = itertools.count(1)
        self._folder = tempfile.mkdtemp(prefix="matrixone-emulator-")
        self._path = str(Path(self._folder) / "store.sqlite")
        self._lock = threading.Lock()
        self._open: set[sqlite3.Connection] = set()
        connection = self.connect()
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        self.disconnect(connection)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA case_sensitive_like = ON")
        with self._lock:
            self._open.add(connection)
        return connection

    def disconnect(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def new_id(self) -> int:
        return next(self._ids)

    def new_version(self) -> int:
        return next(self._versions)

    def forget_version(self, version: int) -> None:
        """Forget a version of a table that no row of the catalogue is about any more."""
        self.definitions.pop(version, None)
        self.sources.pop(version, None)

    def forget_numbers(self, physical: int) -> None:
        """Forget the generated keys of a table that is gone for good."""
        with self._lock:
            self.counters.pop(physical, None)
            self._bases.pop(physical, None)

    def next_number(self, physical: int, start: Callable[[], int]) -> int:
        """The next generated key of a table; a rollback leaves a gap, as on the server."""
        with self._lock:
            if physical not in self.counters:
                self.counters[physical] = start()
            number = self.counters[physical]
            self.counters[physical] = number + 1
            if number > self._bases.get(physical, 0) + _BLOCK:
                self._bases[physical] = number - 1
            return number

    def seen_number(self, physical: int, number: int, start: Callable[[], int]) -> None:
        """Record an explicit key: generated ones continue above it."""
        with self._lock:
            if physical not in self.counters:
                self.counters[physical] = start()
            self.counters[physical] = max(self.counters[physical], number + 1)
            if number > self._bases.get(physical, 0) + _BLOCK:
                self._bases[physical] = number

    def next_block(self, physical: int, copy: int, start: int) -> None:
        """Let a copy's keys continue with the next block that the server reserves."""
        with self._lock:
            base = self._bases.get(physical, start - 1) + _BLOCK
            self._bases[copy] = base
            self.counters[copy] = base + 1

    def close(self) -> None:
        with self._lock:
            connections = list(self._open)
            self._open.clear()
        for connection in connections:
            connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)
