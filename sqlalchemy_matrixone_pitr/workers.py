"""Several connections that take work from one queue at once: in threads, or in tasks of asyncio."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy.engine import Connection, Engine

from .connections import autocommit_connection, end_for_sure
from .threads import ListenedThread

if TYPE_CHECKING:
    import asyncio

PATIENCE: Final = 2.0
"""Seconds that statements get to come to an end when a run is interrupted."""

Do: TypeAlias = Callable[[Connection, int, int], object]
"""Does a number on an AUTOCOMMIT connection, whose ``connection_id()`` comes second."""

Done: TypeAlias = Callable[[int], object]
_Work: TypeAlias = Callable[[Done], None]


class Workers:
    """Workers that take numbers from a queue until it is empty or they are told to stop.

    An interruption waits for what is on its way, since its outcome belongs in the report, and ends
    it on the server if it takes longer than ``PATIENCE``.

    :param bind: whose side connections they take.
    :ivar stop: set when nothing more may be begun.
    :ivar sending: the ``connection_id()`` of each session that has a statement on its way.
    :ivar fatal: an error that ends the run at once, whichever worker it ended.

    Source: docs/server.md, Races.
    """

    def __init__(self, bind: Engine | Connection) -> None:
        self.bind = bind
        self.engine = bind.engine
        self.stop = threading.Event()
        self.sending: set[int] = set()
        self.fatal: BaseException | None = None

    def run(
        self,
        todo: deque[int],
        count: int,
        do: Do,
        done: Done,
    ) -> None:
        """Do numbers with so many workers; an error of a single one means one worker fewer.

        :param done: called for each number that is done, in the thread that has called this.
        :raises BaseException: a fatal error, or that of a worker if nobody is left to do the rest.
        """

        def work(tell: Done) -> None:
            self._work(todo, do, tell)

        if not todo:
            return
        if self.engine.dialect.is_async:
            self._run_tasks(todo, count, work, done)
        elif count <= 1:
            work(done)
        else:
            self._run_threads(todo, count, work, done)

    def _work(self, todo: deque[int], do: Do, tell: Done) -> None:
        """Do numbers until there are none, on one connection; on a new one where it is lost."""
        while todo and not self.stop.is_set():
            with autocommit_connection(self.bind) as (connection, session):
                while not self.stop.is_set() and not connection.invalidated:
                    try:
                        number = todo.popleft()
                    except IndexError:
                        return
                    do(connection, session, number)
                    tell(number)

    def _run_threads(
        self,
        todo: deque[int],
        count: int,
        work: _Work,
        done: Done,
    ) -> None:
        ended: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                work(ended.put)
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                self._note_error(error, errors)
            finally:
                ended.put(None)

        threads = [ListenedThread(run, f"apply {number}") for number in range(count)]
        running = count
        try:
            for thread in threads:
                thread.start()
            while running:
                number = ended.get()
                if number is None:
                    running -= 1
                else:
                    done(number)
        except BaseException:
            self.stop.set()
            self._wait_for(threads)
            raise
        self._raise_one_of(errors, todo)

    def _run_tasks(
        self,
        todo: deque[int],
        count: int,
        work: _Work,
        done: Done,
    ) -> None:
        import asyncio

        from sqlalchemy.util import await_only, greenlet_spawn

        errors: list[BaseException] = []

        async def run() -> None:
            try:
                await greenlet_spawn(work, done)
            except BaseException as error:
                self._note_error(error, errors)
                if self._is_fatal(error):
                    raise

        async def wait_for(tasks: Iterable[asyncio.Task[None]]) -> None:
            try:
                while (await asyncio.wait(tasks, timeout=PATIENCE))[1]:
                    await greenlet_spawn(self._end_what_is_sent)
            except BaseException:
                await greenlet_spawn(self._end_what_is_sent)
                await asyncio.wait(tasks, timeout=PATIENCE)
                raise

        async def all_of_them() -> None:
            tasks = [asyncio.ensure_future(run()) for _ in range(count)]
            for task in tasks:
                task.add_done_callback(_retrieve)
            try:  # not gather(), which would cancel them with this task
                left = (await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))[1]
            except BaseException:
                self.stop.set()
                await wait_for(tasks)
                raise
            if left:
                await wait_for(left)

        await_only(all_of_them())
        self._raise_one_of(errors, todo)

    def _note_error(self, error: BaseException, errors: list[BaseException]) -> None:
        """Record why one of several workers ended: could not connect means one worker fewer."""
        errors.append(error)
        if self._is_fatal(error):
            self.stop.set()

    def _is_fatal(self, error: BaseException) -> bool:
        return error is self.fatal or not isinstance(error, Exception)

    def _raise_one_of(self, errors: Sequence[BaseException], todo: deque[int]) -> None:
        for error in errors:
            if self._is_fatal(error):
                raise error
        if errors and todo and not self.stop.is_set():
            raise errors[0]

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        """Wait after an interruption for what is on its way; interrupted once more, give it up."""
        try:
            while alive := [thread for thread in threads if thread.is_alive()]:
                end = time.monotonic() + PATIENCE
                for thread in alive:
                    thread.join(max(0.0, end - time.monotonic()))
                self._end_what_is_sent()
        except BaseException:
            self._end_what_is_sent()
            raise

    def _end_what_is_sent(self) -> None:
        """End statements, which may wait on the server for somebody else's transaction."""
        for session in tuple(self.sending):
            end_for_sure(self.engine, session)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take a task's exception, which is raised elsewhere; asyncio logs one that nobody takes."""
    if not task.cancelled():
        task.exception()
