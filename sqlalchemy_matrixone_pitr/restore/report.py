"""The report of a restore: what became of each step, where the state before it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import PitrRestoreError
from ..moment import Moment
from ..report import Outcome
from .preview import RestoreStep
from .records import SafetyCopy


@dataclass(slots=True)
class StepResult:
    """Outcome of a step.

    :ivar seconds: how long it took.
    :ivar note: what is to be known of it.
    """

    step: RestoreStep
    outcome: Outcome = Outcome.NOT_TRIED
    seconds: float = 0.0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **self.step.to_dict(),
            "outcome": str(self.outcome),
            "seconds": round(self.seconds, 3),
            "note": self.note,
        }

    def __str__(self) -> str:
        note = f": {self.note}" if self.note else ""
        return f"{self.outcome} ({self.seconds:.1f} s): {self.step}{note}"


@dataclass(frozen=True, slots=True)
class RestoredTable:
    """A table after a restore.

    :ivar name: ``database.table``.
    :ivar way: ``restore``, ``clone`` or ``rows``; ``drop`` of one that is not there any more.
    :ivar rows: how many it has; and ``rows_then``, how many it had at the moment.
    :ivar repaired: indexes that were broken, and were made again.
    """

    name: str
    way: str
    rows: int
    rows_then: int
    repaired: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "table": self.name,
            "way": self.way,
            "rows": self.rows,
            "rows_then": self.rows_then,
            "repaired": list(self.repaired),
        }

    def __str__(self) -> str:
        again = f"; made again: {', '.join(self.repaired)}" if self.repaired else ""
        return f"{self.name}: {self.rows:,} row{'' if self.rows == 1 else 's'}{again}"


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """The argument of ``on_progress``, before and after each step.

    :ivar outcome: None before it; afterwards also of a step that an error has ended: failed, or
        unknown where its answer was lost.
    :ivar seconds: how long it took.
    :ivar number: of the step, from 1; and ``total``, how many there are.
    """

    step: RestoreStep
    outcome: Outcome | None
    seconds: float
    number: int
    total: int


OnRestoreProgress: TypeAlias = Callable[[RestoreProgress], object]


def _in_greenlet() -> bool:
    """Whether SQLAlchemy can await: inside ``run_sync`` and such."""
    greenlet = sys.modules.get("greenlet")  # SQLAlchemy has imported it, where asyncio is in use
    current = None if greenlet is None else greenlet.getcurrent()
    return bool(getattr(current, "__sqlalchemy_greenlet_provider__", False))


@dataclass(slots=True)
class RestoreReport:
    """The outcome of :func:`restore`, also as ``report`` of an error that ended it.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> try:
    ...     report = restore(engine, f"{engine.url.database}.nothing", "1s ago")
    ... except PitrRestoreError as error:
    ...     hasattr(error, "report")  # nothing was begun
    False

    :ivar target: the database, or the tables.
    :ivar at: the moment that was restored; None of an undo.
    :ivar id: which :func:`undo_restore` takes; None without a safety copy. Where the step that
        makes the copies is unknown, :func:`restore_records` tells whether it is there.
    :ivar made: when the safety copy was recorded, which tells the restore from another one of that
        number.
    :ivar steps: each with its outcome.
    :ivar tables: those that were restored and looked at.
    :ivar copies: the tables as they were before.
    :ivar renewed: names of the policies that protect it again.
    :ivar left: what is left to do, each in a sentence.
    """

    target: str
    at: Moment | None
    id: int | None = None
    steps: list[StepResult] = field(default_factory=list)
    tables: list[RestoredTable] = field(default_factory=list)
    copies: tuple[SafetyCopy, ...] = ()
    renewed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    made: Moment | None = None
    _undo: Callable[..., RestoreReport] | None = field(default=None, repr=False, compare=False)
    _is_async: bool = field(default=False, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether every step is done, and nothing is left to do."""
        return not self.left and all(step.outcome is Outcome.DONE for step in self.steps)

    @property
    def _copies_are_unknown(self) -> bool:
        """Whether the transaction that has made the safety copies may not be committed."""
        return any(
            step.step.kind in ("copy", "rebuild") and step.outcome is Outcome.UNKNOWN
            for step in self.steps
        )

    @property
    def began(self) -> bool:
        """Whether the target may be changed."""
        return any(
            step.step.kind in ("restore", "rebuild")
            and step.outcome in (Outcome.DONE, Outcome.UNKNOWN)
            for step in self.steps
        )

    def undo(self, **options: Any) -> RestoreReport:
        """Bring the state before the restore back: :func:`undo_restore` with these options.

        :raises PitrRestoreError: there is no safety copy, or something has changed since.
        :raises PitrNotFoundError: the copies were forgotten, or dropped by hand.
        """
        if self.id is None or self._undo is None:
            raise PitrRestoreError(
                f"the restore of {self.target} made no safety copy: it cannot be undone"
            )
        if self._is_async and not _in_greenlet():
            raise PitrRestoreError(
                f"{self.target} was restored with asyncio: await undo_restore_async(engine, report)"
            )
        return self._undo(self, **options)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "target": self.target,
            "at": None if self.at is None else str(self.at),
            "ok": self.ok,
            "id": self.id,
            "steps": [step.to_dict() for step in self.steps],
            "tables": [table.to_dict() for table in self.tables],
            "copies": [copy.to_dict() for copy in self.copies],
            "renewed": list(self.renewed),
            "left": list(self.left),
        }

    def __str__(self) -> str:
        what = "as before" if self.at is None else f"as of {self.at}"
        lines = [f"{self.target} {what}: {'done' if self.ok else 'not all is done'}"]
        lines += [f"  {step}" for step in self.steps]
        lines += [f"  {table}" for table in self.tables]
        if self.renewed:
            lines.append(f"  protected again by {', '.join(self.renewed)}")
        lines += [f"  before: {copy.table} is {copy.copy}" for copy in self.copies]
        if self.copies and self._copies_are_unknown:
            lines.append(
                "  whether these copies are there is unknown: restore_records() lists restore "
                f"{self.id} if they are, and undo_restore(engine, {self.id}) brings that back then"
            )
        elif self.copies:
            lines.append(f"  undo_restore(engine, {self.id}) brings that back")
        lines += [f"  left to do: {left}" for left in self.left]
        return "\n".join(lines)
