"""Declared policies that no migration can create: other policies are in their way.

``alembic check`` fails on them, and a new revision says what they are in a comment, once for all;
what can be done, tables above all, is written beside it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr.generations import target_text
from sqlalchemy_matrixone_pitr.plan.actions import Conflict
from sqlalchemy_matrixone_pitr.printing import one_line

log = logging.getLogger("alembic.autogenerate.matrixone_pitr")


class PitrConflictsOp(MigrateOperation):
    """All conflicts of one comparison; nothing is done for them.

    :ivar conflicts: none in the operation that reverses it.
    """

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        self.conflicts = tuple(conflicts)

    def __repr__(self) -> str:
        return f"PitrConflictsOp({[conflict.pitr.name for conflict in self.conflicts]!r})"

    def reverse(self) -> PitrConflictsOp:
        return PitrConflictsOp(())

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "pitr_conflicts", *summary(self.conflicts)[1:]


def summary(conflicts: Sequence[Conflict]) -> list[str]:
    """A line that says how many, and a line each, whatever is in the names: a revision has them as
    comments.

    >>> from sqlalchemy_matrixone_pitr import Pitr
    >>> nightly, weekly = Pitr.account("nightly", "7d"), Pitr.account("weekly", "7d")
    >>> summary([Conflict(nightly, weekly, "weekly is there")])[1]
    'nightly, the current account: weekly is there'
    """
    one = len(conflicts) == 1
    count = "1 declared policy is" if one else f"{len(conflicts)} declared policies are"
    return [
        f"{count} in conflict with what the server has, and not written (mo-pitr import prints the "
        "declarations that adopt what is there):",
        *(one_line(f"{c.pitr.name}, {target_text(c.pitr)}: {c.reason}") for c in conflicts),
    ]


def warn_of(conflicts: Sequence[Conflict]) -> None:
    """Warn whoever runs Alembic, in one message."""
    log.warning("%s", "\n  ".join(summary(conflicts)))


def render(autogen_context: AutogenContext, op: PitrConflictsOp) -> list[str]:
    """A comment, and ``pass`` for a body that has nothing else."""
    if not op.conflicts:
        return []
    return [*(f"# {line}" for line in summary(op.conflicts)), "pass"]


def do_nothing(operations: Operations, op: PitrConflictsOp) -> None:
    """Do nothing, in programs that run operations without writing them to a file."""
    if op.conflicts:
        warnings.warn("\n  ".join(summary(op.conflicts)), SAWarning, stacklevel=2)
