"""Hooks for the beginning of each step of a run, and for its end: Alembic has neither.

A MigrationContext takes the function that gives the steps from its option ``fn``. While its
``run_migrations()`` is at work, that function gives the same steps, and tells of each before it is
done.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeAlias

from alembic.runtime.migration import MigrationContext, MigrationInfo, RevisionStep

from sqlalchemy_matrixone_pitr.connections import close_side_connections, keep_side_connections

Heads: TypeAlias = tuple[str, ...]

Begin: TypeAlias = Callable[[MigrationContext, MigrationInfo, Heads, bool], None]
"""Told of a step that begins, of the versions that the run found, and whether another step is known
to follow."""

End: TypeAlias = Callable[[MigrationContext, BaseException | None], None]
"""Told of the end of a run with a connection, and of what has ended it before its time."""

_begins: list[Begin] = []
_ends: list[End] = []
_lock = threading.Lock()
_done = False


def on_run(begin: Begin, end: End) -> None:
    """Let something know of runs; for the process."""
    _begins.append(begin)
    _ends.append(end)


def watch_runs() -> None:
    """See the runs of all migration contexts; for the process, once."""
    global _done
    with _lock:
        if _done:
            return
        _done = True
    original = MigrationContext.run_migrations

    @functools.wraps(original)
    def run_migrations(self: MigrationContext, **kw: Any) -> None:
        steps, connection = self._migrations_fn, self.connection
        if self.as_sql or steps is None or connection is None:
            original(self, **kw)
            return
        self._migrations_fn = functools.partial(_told, steps)
        error: BaseException | None = None
        try:
            original(self, **kw)
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._migrations_fn = steps
            try:
                for end in _ends:
                    end(self, error)
            finally:
                close_side_connections(connection)

    MigrationContext.run_migrations = run_migrations  # type: ignore[method-assign]


def _told(
    function: Callable[..., Iterable[RevisionStep]], heads: Any, context: MigrationContext
) -> Iterator[RevisionStep]:
    steps = function(heads, context)  # autogenerate does its work here, and gives no step
    return _tell(context, tuple(heads or ()), steps)


def _tell(
    context: MigrationContext, heads: Heads, steps: Iterable[RevisionStep]
) -> Iterator[RevisionStep]:
    count = len(steps) if isinstance(steps, Sized) else 0
    for number, step in enumerate(steps, 1):
        if context.connection is not None:
            keep_side_connections(context.connection)
        for begin in _begins:
            begin(context, step.info, heads, number < count)
        yield step
