"""Errors of this package as Alembic's: one line ``FAILED: ...`` in place of a traceback.

Alembic's command line prints a ``CommandError`` so, and nothing else. Programs that call
``alembic.command`` catch what they have always caught: an error that leaves Alembic is of both
classes, with the attributes, the notes and the cause of the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from sqlalchemy_matrixone_pitr.errors import PitrError, is_refused_in_transaction

IN_A_MIGRATION = (
    "In a migration op.create_pitr(), op.alter_pitr() and op.drop_pitr() wait for its COMMIT. What "
    "has no operation goes into `with op.get_context().autocommit_block():`"
)

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=PitrError)


def watch_errors() -> None:
    """Turn what a migration, a comparison or a COMMIT raises; for the process, once.

    ``run_migrations()`` is what all commands have in common, and is called after ``register()``.
    """
    original = MigrationContext.run_migrations
    MigrationContext.run_migrations = as_refusals(original)  # type: ignore[method-assign]


def as_refusals(function: Callable[P, R]) -> Callable[P, R]:
    """The function, raising refusals; of a statement that cannot be in a migration it says so."""

    @functools.wraps(function)
    def raising(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PitrError as caught:
            error = caught
        except DBAPIError as caught:
            if is_refused_in_transaction(caught) and IN_A_MIGRATION not in getattr(
                caught, "__notes__", ()
            ):
                caught.add_note(IN_A_MIGRATION)
            raise
        raise as_refusal(error)  # out here, so that its context is what it was

    return raising


def as_refusal(error: E) -> E:
    """The same error, as a CommandError too.

    >>> error = as_refusal(PitrError("no such policy", name="orders_week"))
    >>> isinstance(error, CommandError), error.name
    (True, 'orders_week')
    """
    if issubclass(type(error), CommandError):
        return error
    kind = _both(type(error))
    made = kind.__new__(kind, *error.args)
    made.__dict__.update(error.__dict__)
    made.__cause__ = error.__cause__
    made.__context__ = error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made.with_traceback(error.__traceback__)


class _Refusal(Exception):
    def __str__(self) -> str:
        """The message and the notes, which Alembic's command line would not print."""
        return "\n".join((super().__str__(), *getattr(self, "__notes__", ())))


def _both(kind: type[E]) -> type[E]:
    """The class, and CommandError; under its own name."""
    named = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
    }
    return cast(type[E], type(kind.__name__, (_Refusal, kind, CommandError), named))
