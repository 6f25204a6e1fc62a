"""The server's clock: tests let it go on, and read it."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import Moment

if TYPE_CHECKING:
    from matrixone_emulator import Emulator


class HasPort(Protocol):
    """A connection of PyMySQL, or the fixture ``server``."""

    @property
    def port(self) -> int: ...


_emulators: dict[int, Emulator] = {}
"""Running emulators of the fixture ``server`` by their ports."""


@contextlib.contextmanager
def may_advance(emulator: Emulator) -> Iterator[None]:
    """Let :func:`wait` set the clock of this emulator forward."""
    _emulators[emulator.port] = emulator
    try:
        yield
    finally:
        del _emulators[emulator.port]


def wait(where: HasPort | Engine, seconds: float) -> None:
    """Let a server's clock go on: an emulator's is set forward, a real server is waited for.

    Policies and the catalogue know whole seconds, so that what must differ is 1.1 s apart.
    """
    port = where.url.port if isinstance(where, Engine) else where.port
    emulator = _emulators.get(port or 0)
    if emulator is None:
        time.sleep(seconds)
    else:
        emulator.advance(dt.timedelta(seconds=seconds))


def until(condition: Callable[[], object], within: float = 10.0) -> None:
    """Look again and again for what happens in another thread, or on a server that tells nobody.

    :param within: seconds after which the test fails.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


def server_now(engine: Engine) -> dt.datetime:
    """Return the time on the server's clock, which may be ahead of this machine's."""
    return Moment.now(engine).datetime()
