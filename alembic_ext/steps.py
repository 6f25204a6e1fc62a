"""When the steps of a run begin, and when the run ends: Alembic has a hook for neither.

A command makes the ``EnvironmentContext`` with a function that gives the steps, its option ``fn``,
and each MigrationContext takes that function from there. While env.py runs, the option is replaced
by one that gives the same steps, and tells of each before it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import alembic.context
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationInfo, RevisionStep

from sqlalchemy_matrixone_pitr.connections import close_side_connections, keep_side_connections

Heads: TypeAlias = tuple[str, ...]

Look: TypeAlias = Callable[[MigrationContext, MigrationInfo | None, Heads], None]
"""Told of a step that begins, and of the versions that the run found; None is the run's end."""

_looks: list[Look] = []


def on_step(look: Look) -> None:
    """Let something know of steps; for the process."""
    _looks.append(look)


def watch_environment() -> None:
    """See the steps of the env.py that is running; elsewhere, and called again, do nothing."""
    environment = getattr(alembic.context, "_proxy", None)
    if not isinstance(environment, EnvironmentContext):
        return
    steps = environment.context_opts.get("fn")
    if steps is not None and not isinstance(steps, _Watched):
        environment.context_opts["fn"] = _Watched(steps)


class _Watched:
    """A command's function that gives the steps."""

    def __init__(self, steps: Callable[[Any, MigrationContext], Iterable[RevisionStep]]) -> None:
        self.steps = steps

    def __call__(self, heads: Any, context: MigrationContext) -> Iterator[RevisionStep]:
        steps = self.steps(heads, context)  # autogenerate does its work here, and gives no step
        return _told(context, tuple(heads or ()), steps)


def _told(
    context: MigrationContext, heads: Heads, steps: Iterable[RevisionStep]
) -> Iterator[RevisionStep]:
    connection = context.connection
    try:
        for step in steps:
            if connection is not None:
                keep_side_connections(connection)
            for look in _looks:
                look(context, step.info, heads)
            yield step
    finally:
        for look in _looks:
            look(context, None, heads)
        if connection is not None:
            close_side_connections(connection)
