"""The account lock: one program at a time changes an account's policies.

MatrixOne 3.0.9 corrupts its catalogue when several sessions create policies at once. Every
account's administrator can lock a row that each account has, without a table of our own: the one of
its administrator's role, in a transaction that stays open while policies are read and changed on
*other* connections.

Source: matrixone.md, section 3, "Races".
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from . import server
from .connections import end_session, side_connection
from .errors import (
    PitrLockTimeoutError,
    PitrPermissionError,
    PitrUnsupportedError,
    PitrValidationError,
    answered_by_server,
    from_dbapi_error,
)

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds to wait for another program."""

_LOCK: Final = (
    "SELECT role_id FROM mo_catalog.mo_role WHERE role_name IN ('moadmin', 'accountadmin') "
    "FOR UPDATE"
)


@contextlib.contextmanager
def account_lock(engine: Engine, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
    """Hold the lock of the engine's account, on a side connection, for the length of the block.

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
    with side_connection(engine) as connection:
        server.require_matrixone(connection)
        connection.exec_driver_sql("BEGIN")  # as text: the engine may be an AUTOCOMMIT one
        try:
            number = server.session_number(connection)
            rows = _wait(engine, connection, number, timeout)
            if not rows:
                raise PitrUnsupportedError(
                    "this account has no administrator's role whose row could be locked: "
                    "mo_catalog.mo_role lists neither moadmin nor accountadmin"
                )
            yield
        finally:
            if not connection.invalidated:
                with contextlib.suppress(DBAPIError):  # a lost connection has lost the lock too
                    connection.exec_driver_sql("COMMIT")


def _wait(engine: Engine, connection: Connection, number: int, timeout: float) -> int:
    """Take the lock, and return how many rows carry it."""
    try:
        if connection.dialect.is_async:
            return _wait_in_task(engine, connection, number, timeout)
        return _wait_in_thread(engine, connection, number, timeout)
    except DBAPIError as error:
        if not answered_by_server(error):
            _give_up(engine, connection, number)
            raise
        typed = from_dbapi_error(error)
        if isinstance(typed, PitrPermissionError):
            raise typed from error
        raise _timed_out(timeout, f"the server ended the wait: {error.orig}") from error


def _timed_out(timeout: float, why: str) -> PitrLockTimeoutError:
    return PitrLockTimeoutError(
        f"the account's lock was not had within {timeout:g} s: another program is changing "
        f"policies ({why}). Nothing was sent; try again, or give a longer timeout"
    )


def _take(connection: Connection) -> int:
    return len(connection.exec_driver_sql(_LOCK).all())


def _wait_in_thread(engine: Engine, connection: Connection, number: int, timeout: float) -> int:
    """A driver that waits for its server cannot be told to stop: so it waits in a thread."""
    result: list[int] = []
    errors: list[BaseException] = []

    def take() -> None:
        try:
            result.append(_take(connection))
        except BaseException as error:
            errors.append(error)

    waiting = threading.Thread(target=take, name="account lock", daemon=True)
    waiting.start()
    try:
        waiting.join(timeout)
    except BaseException:
        _give_up(engine, connection, number, waiting)
        raise
    if waiting.is_alive():
        _give_up(engine, connection, number, waiting)
        raise _timed_out(timeout, "it still holds the lock")
    if errors:
        raise errors[0]
    return result[0]


def _wait_in_task(engine: Engine, connection: Connection, number: int, timeout: float) -> int:
    import asyncio

    from sqlalchemy.util import await_only, greenlet_spawn

    try:
        taken: int = await_only(asyncio.wait_for(greenlet_spawn(_take, connection), timeout))
    except TimeoutError:
        _give_up(engine, connection, number)
        raise _timed_out(timeout, "it still holds the lock") from None
    except DBAPIError:
        raise
    except BaseException:  # cancelled: the server does not hear of it by itself
        _give_up(engine, connection, number)
        raise
    return taken


def _give_up(
    engine: Engine, connection: Connection, number: int, waiting: threading.Thread | None = None
) -> None:
    """End the wait on the server too, and the connection, whose answer may still come."""
    with contextlib.suppress(DBAPIError):
        end_session(engine, number)
    if waiting is not None:
        waiting.join(10)  # it hears of the KILL, and gives its connection up itself
    if not connection.invalidated:
        connection.invalidate()
