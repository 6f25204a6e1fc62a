"""Ctrl-C for tests: sent to the test that runs, never to the one that runs it."""

from __future__ import annotations

import signal
import threading
import time
from types import CodeType, FrameType
from typing import Any, Final

WAIT: Final = 10.0
"""Seconds that a signal has to arrive."""


class Interrupt:
    """Interrupts the main thread; call it in any thread, or give it to ``Proxy.on``.

    The handler raises KeyboardInterrupt only below the test's own function. Where the test has
    ended by then, the signal does nothing.
    """

    def __init__(self, test: CodeType) -> None:
        self._test = test
        self._sent = 0
        self._arrived = 0
        self._before: Any = None
        self._lock = threading.Lock()
        self._open = False
        self.by_hand = False
        """Somebody has pressed Ctrl-C, too."""

    def __call__(self, pause: float = 0.0) -> None:
        """Send SIGINT, then wait *pause* seconds for it to be dealt with."""
        with self._lock:
            if not self._open:
                return
            self._sent += 1
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
        # Nobody tells when what the test runs has dealt with it.
        time.sleep(pause)

    def __enter__(self) -> Interrupt:
        # Also where the tests were started with SIGINT ignored.
        self._before = signal.signal(signal.SIGINT, self._handle)
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open = False
        deadline = time.monotonic() + WAIT
        # An Event could be locked by this thread when its handler sets it.
        while self._arrived < self._sent and time.monotonic() < deadline:
            time.sleep(0.01)
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._arrived += 1
        if self._arrived > self._sent:
            self.by_hand = True
            raise KeyboardInterrupt
        while frame is not None:
            if frame.f_code is self._test:
                raise KeyboardInterrupt
            frame = frame.f_back
