"""Threads in which listeners of the user's are called, which see there what they see elsewhere."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable


class ListenedThread(threading.Thread):
    """A daemon thread with a copy of the context variables of the thread that makes it.

    A listener may ask one which tenant or which trace a statement is of. Python's own threads begin
    with none, up to 3.13.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        context = contextvars.copy_context()
        super().__init__(target=context.run, args=(target,), name=name, daemon=True)
