"""The transaction of a session and its status bits.

docs/server.md, The commit rule; SET; The status bit.

The server's own handling of the bits is followed step by step: a transaction sets them anew, and
evaluating the value of a SET switches the autocommit bit on. The bit is wrong at times, and
programs trip over that.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import SqlError
from ..statements.storage import Result, StorageSession
from ..versions.rules import Rules
from ..wire.constants import Status

# Plain numbers: IntFlag takes as long for `|` as a row takes to be sent.
_IN_TRANS, _ENDED = int(Status.IN_TRANS), int(Status.ENDED)
_ENDED_MORE = int(Status.ENDED | Status.MORE_RESULTS)


class SessionTransaction:
    """The open transaction of a session, and the status bits that packets show of it."""

    def __init__(self, storage: StorageSession, rules: Rules) -> None:
        self._storage = storage
        self._rules = rules
        self._autocommit = True
        self._begun = False
        self.active = False
        self.status = Status.AUTOCOMMIT
        """The bits of a packet that answers no statement"""

    def begin(self) -> None:
        """BEGIN: commit the open transaction, and open one that lasts until COMMIT or ROLLBACK."""
        self.end(self._storage.commit)
        self._open()
        self._begun = self._storage.explicit = True

    def _open(self) -> None:
        """The server's start of a transaction: the bits begin anew."""
        self.active = True
        self._begun = False
        self.status = Status.IN_TRANS | (Status.AUTOCOMMIT if self._autocommit else Status.NONE)
        self._storage.begin()

    def end(self, finish: Callable[[], None]) -> None:
        """End the open transaction by *finish*, the storage's commit or rollback."""
        if not self.active:
            return
        try:
            finish()
        except SqlError:
            self._storage.rollback()
            raise
        finally:
            self.active = self._begun = False
            self.status &= ~Status.IN_TRANS

    def run(self, work: Callable[[], Result], *, commits: bool = False) -> Result:
        """Run *work* in the open transaction or in its own; *commits*: end it, as SET does."""
        before, opened = self.status, not self.active
        if opened:
            self._open()
        alone = self._autocommit and not self._begun
        try:
            result = work()
        except SqlError as error:
            if alone or commits or (opened and error.is_syntax):
                self.end(self._storage.rollback)
            if opened and error.is_syntax:
                # The server reads a statement before it begins a transaction for it.
                self.status = before
            raise
        except BaseException:
            self.end(self._storage.rollback)
            raise
        if (self._autocommit and not self._begun) or commits:
            self.end(self._storage.commit)
        return result

    def run_nothing(self) -> Result:
        """Run a text without a statement, which the server takes for one."""
        if self.active:
            raise SqlError.internal("unclassified statement appears in uncommitted transaction")
        return self.run(lambda: Result([], []))

    def set_autocommit(self, on: bool) -> None:
        """SET autocommit: switching it on commits the open transaction."""
        if on and not self._autocommit:
            self.end(self._storage.commit)
            self.status |= Status.AUTOCOMMIT
        elif not on and self._autocommit:
            self.status &= ~Status.AUTOCOMMIT
        self._autocommit = on

    def value_evaluated(self) -> None:
        """Switch the autocommit bit on, after the value of a SET.

        The server evaluates in a session of its own with autocommit on, and when it puts the old
        bits back it forgets to take this one away.
        """
        self.status |= Status.AUTOCOMMIT

    def answer_status(self, *, more: bool, late: bool) -> tuple[int, int]:
        """The status inside an answer and at its end; *late*: sent after the transaction's end."""
        if self._rules.status_bit_of_idle_is_on:
            # There the bit is on whenever no transaction is open (docs/server.md, The status bit).
            if self.status & Status.IN_TRANS and not self._autocommit:
                self.status &= ~Status.AUTOCOMMIT
            else:
                self.status |= Status.AUTOCOMMIT
        # Rows are sent while the transaction of their statement is still open.
        status = int(self.status)
        return status if late else status | _IN_TRANS, status | (_ENDED_MORE if more else _ENDED)
