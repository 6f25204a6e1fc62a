"""One client's transaction: sqlite's own, the gate of writers, savepoints, events of a COMMIT."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import threading
from collections.abc import Callable, Sequence

from ..errors import SqlError
from ..storage.locks import never
from ..storage.records import Event, EventKind, SessionContext
from ..storage.shared import Shared
from ..storage.tables import Tables
from ..types.definition import DatabaseVersion, Version

_PRUNE_EVERY = 64
"""Transactions between two looks for history that need not be kept."""


class Transaction:
    """The open transaction of one client; used by that client's thread only."""

    def __init__(self, storage: Shared, context: SessionContext) -> None:
        self.storage = storage
        self.store = storage.store
        self.context = context
        self.in_transaction = False
        self.number = 0
        self.statement_ns = 0
        self.gone: Callable[[], bool] = never
        """Whether the client has left, so that waiting for it is in vain"""
        self.interrupted = threading.Event()
        self.explicit = False
        """Whether BEGIN opened the transaction: then a clone is part of it"""
        self.commit_actions: list[Callable[[], None]] = []
        """Actions beside sqlite's own COMMIT when the open transaction is committed"""
        self._writing = False
        self._savepoint = False
        self._events: list[Event] = []
        self._clones: list[str] = []
        self._connection = self.store.connect()
        self.catalogue = Tables(self._connection, self.store, lambda: self.number)

    def begin(self) -> None:
        """Open a transaction; sqlite is locked by the first write only."""
        if self.in_transaction:
            self.commit()
        self.in_transaction = True

    def commit(self) -> None:
        self.in_transaction = False
        if self._writing:
            at = self.store.clock.now()
            keep = self.storage.keep_history
            if keep is not None and self.number % _PRUNE_EVERY == 0:
                self.catalogue.prune(at - keep // datetime.timedelta(microseconds=1) * 1000)
            self._connection.execute("INSERT INTO txn VALUES (?, ?)", (self.number, at))
            self._connection.execute("COMMIT")
            events = [
                Event(e.kind, e.account_id, e.database, e.table, e.old_id, e.new_id, at)
                for e in self._events
            ]
            try:
                if events:
                    for listener in self.storage.on_commit:
                        listener(events)
                self._run_commit_actions()
            finally:
                self._end()
        else:
            try:
                self._run_commit_actions()
            finally:
                self._end()

    def _run_commit_actions(self) -> None:
        for action in self.commit_actions:
            action()

    def rollback(self) -> None:
        self.in_transaction = False
        if self._writing:
            self._connection.execute("ROLLBACK")
            self.catalogue.forget(0)
        clones = self._clones
        self._end()
        for statement in clones:
            # Made inside the one open sqlite transaction, they are made again without it.
            self.run_clone(statement)

    def _end(self) -> None:
        self._events = []
        self.commit_actions = []
        self._clones = []
        self.explicit = False
        self._savepoint = False
        self.catalogue.recorded.clear()
        if self._writing:
            self._writing = False
            self.store.gate.leave(self)
        self.storage.locks.release(self)

    def start_writing(self) -> None:
        """Become the one writer, waiting for the one before."""
        if self._writing:
            return
        self.store.gate.enter(self, self.context.deadline_seconds, self.gone)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            row = self._connection.execute("SELECT max(number) FROM txn").fetchone()
        except BaseException:
            self.store.gate.leave(self)
            raise
        self.number = int(row[0] or 0) + 1
        self._writing = True

    def undo_last_statement(self) -> None:
        """Undo what the last statement of the open transaction wrote, and only that."""
        if self._writing and self._savepoint:
            self._connection.execute("ROLLBACK TO statement")
            self._connection.execute("RELEASE statement")
            self._savepoint = False

    def _drop_savepoint(self) -> None:
        if self._savepoint:
            self._connection.execute("RELEASE statement")
            self._savepoint = False

    def pass_over(self) -> None:
        """Let a statement pass for which nothing is to be done here."""
        self._drop_savepoint()

    def interrupt(self) -> None:
        """Interrupt sqlite's work for this session, for good; called from another thread."""
        self.interrupted.set()
        with contextlib.suppress(sqlite3.ProgrammingError):
            self._connection.interrupt()

    def close(self) -> None:
        try:
            self.rollback()
        except sqlite3.Error:
            self._end()
        self.store.disconnect(self._connection)

    def _savepoint_here(self) -> None:
        self._connection.execute("SAVEPOINT statement")
        self._savepoint = True

    def write(self) -> None:
        """Start writing; call this before the first change of a statement."""
        self.start_writing()
        if not self._savepoint:
            self._savepoint_here()

    def in_own_transaction(self, work: Callable[[], None]) -> None:
        """Run *work* in a transaction of its own; refused while another one is open."""
        if self.in_transaction:
            raise SqlError.internal("unclassified statement appears in uncommitted transaction")
        self.begin()
        try:
            self.statement_ns = self.store.clock.now()
            self.start_writing()
            work()
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def run_clone(self, statement: str) -> None:
        raise NotImplementedError

    # -- changes of the catalogue ------------------------------------------------------

    @property
    def pending_events(self) -> Sequence[Event]:
        """Changes of objects in the open transaction so far."""
        return self._events

    def emit(
        self, kind: EventKind, version: DatabaseVersion | Version, old_id: int, new_id: int
    ) -> None:
        """Remember an event for the commit."""
        table = version.name if isinstance(version, Version) else None
        database = version.database if isinstance(version, Version) else version.name
        self._events.append(Event(kind, version.account_id, database, table, old_id, new_id))
