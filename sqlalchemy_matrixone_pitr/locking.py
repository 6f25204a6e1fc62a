"""The account lock: one program at a time changes an account's policies.

MatrixOne 3.0.9 corrupts its catalogue when several sessions create policies at once. Every
account's administrator can lock a row that each account has, without a table of our own: the one of
its administrator's role, in a transaction that stays open while policies are read and changed on
*other* connections.

Source: docs/server.md, Races.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Final

from sqlalchemy.engine import Connection, Engine

from . import server
from .connections import end_for_sure, refuse_in_past, session_number, side_connection
from .errors import (
    PitrLockTimeoutError,
    PitrPermissionError,
    PitrUnsupportedError,
    PitrValidationError,
    from_dbapi_error,
    server_answer,
)
from .threads import ListenedThread

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds to wait for another program."""

_LOCK: Final = (
    "SELECT role_id FROM mo_catalog.mo_role WHERE role_name IN ('moadmin', 'accountadmin') "
    "FOR UPDATE"
)


@contextlib.contextmanager
def account_lock(bind: Engine | Connection, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
    """Hold the lock of the bind's account, on a side connection, for the length of the block.

    Not reentrant: who holds it and asks again waits for himself.

    :param timeout: seconds.
    :raises PitrLockTimeoutError: somebody else held it all that time; nothing was sent.
    :raises PitrPermissionError: the user is no administrator of the account.
    :raises PitrUnsupportedError: not a MatrixOne server.

    >>> from sqlalchemy import create_engine
    >>> with account_lock(create_engine(url)):
    ...     pass  # other programs' plans, renewals and ensure_pitrs() wait
    """
    if not 0 < timeout <= threading.TIMEOUT_MAX:
        most = f"{threading.TIMEOUT_MAX:.0f}"
        raise PitrValidationError(f"timeout={timeout!r}: give seconds, from 0 (excluded) to {most}")
    refuse_in_past(bind.get_execution_options(), "a PITR statement")
    engine = bind.engine
    with side_connection(bind) as connection:
        server.require_matrixone(connection)
        connection.exec_driver_sql("BEGIN")  # as text: the engine may be an AUTOCOMMIT one
        try:
            number = session_number(connection)
            rows = _wait(engine, connection, number, timeout)
            if not rows:
                raise PitrUnsupportedError(
                    "this account has no administrator's role whose row could be locked: "
                    "mo_catalog.mo_role lists neither moadmin nor accountadmin"
                )
            yield
        finally:
            if not connection.invalidated:
                try:
                    connection.exec_driver_sql("COMMIT")
                except Exception:  # noqa: BLE001 - what was done is done
                    # a lost connection has lost the lock too
                    connection.invalidate()


def _wait(engine: Engine, connection: Connection, number: int, timeout: float) -> int:
    """Take the lock, and return how many rows carry it."""
    outside = sys.exception()
    try:
        if connection.dialect.is_async:
            return _wait_in_task(engine, connection, number, timeout)
        return _wait_in_thread(engine, connection, number, timeout)
    except PitrLockTimeoutError:
        raise
    except Exception as error:  # a listener may make any class of it
        answer = server_answer(error, statement=_LOCK, outside=outside)
        if answer is None:
            _give_up(engine, connection, number)
            raise
        typed = from_dbapi_error(answer)
        if isinstance(typed, PitrPermissionError):
            raise typed from error
        raise _timed_out(timeout, f"the server ended the wait: {answer.orig}") from error


def _timed_out(timeout: float, why: str) -> PitrLockTimeoutError:
    return PitrLockTimeoutError(
        f"the account's lock was not free within {timeout:g} s: another program is changing "
        f"policies ({why}). Nothing was sent; try again, or give a longer timeout"
    )


def _take(connection: Connection) -> int:
    return len(connection.exec_driver_sql(_LOCK).all())


class _Waiting(ListenedThread):
    """A driver that waits for its server cannot be told to stop: so it waits in a thread."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(self._wait, "account lock")
        self._connection = connection
        self.given_up = False
        self.taken = 0
        self.error: BaseException | None = None

    def _wait(self) -> None:
        try:
            if not self.given_up:  # before it began
                self.taken = _take(self._connection)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            self.error = error

    def give_up(self) -> None:
        """Wait for it to hear of the KILL, and give its connection up itself."""
        self.given_up = True
        if self.is_alive():
            self.join(10)


def _wait_in_thread(engine: Engine, connection: Connection, number: int, timeout: float) -> int:
    waiting = _Waiting(connection)
    try:
        waiting.start()
        waiting.join(timeout)
        if waiting.is_alive():
            raise _timed_out(timeout, "it still holds the lock")
    except BaseException:
        waiting.given_up = True
        _give_up(engine, connection, number, waiting)
        raise
    if waiting.error is not None:
        raise waiting.error
    return waiting.taken


def _wait_in_task(engine: Engine, connection: Connection, number: int, timeout: float) -> int:
    import asyncio

    from sqlalchemy.util import await_only, greenlet_spawn

    try:
        taken: int = await_only(asyncio.wait_for(greenlet_spawn(_take, connection), timeout))
    except TimeoutError:
        _give_up(engine, connection, number)
        raise _timed_out(timeout, "it still holds the lock") from None
    except Exception:
        raise
    except BaseException:  # cancelled: the server does not hear of it by itself
        _give_up(engine, connection, number)
        raise
    return taken


def _give_up(
    engine: Engine, connection: Connection, number: int, waiting: _Waiting | None = None
) -> None:
    """End the wait on the server too, and the connection, whose answer may still come."""
    try:
        end_for_sure(engine, number)
        if waiting is not None:
            waiting.give_up()
    finally:
        if not connection.invalidated:
            connection.invalidate()
