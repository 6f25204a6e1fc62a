"""The report of everything that changes policies at once: the outcome of each action.

Each action is in exactly one list of it, however the work ended. An exception that leaves the work
carries the report, as ``error.report`` and in a note.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .errors import PitrError
from .plan.actions import Action, Conflict


class Outcome(enum.StrEnum):
    """The outcome of an action."""

    DONE = "done"
    """The server said so, or it was read back."""
    SKIPPED = "skipped"
    """Another process had done it already."""
    FAILED = "failed"
    """Refused, by the server or before anything was sent; or lost, and read back as not there."""
    UNKNOWN = "unknown"
    """Interrupted; or the connection was lost, and so was the one that would have read back."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Progress:
    """The argument of ``on_progress``, after each action.

    :ivar error: why it was not done; of one that is done all the same, what came between.
    :ivar number: how many actions have come to an end, this one included.
    :ivar total: how many the plan has.
    """

    action: Action
    outcome: Outcome
    error: BaseException | None
    number: int
    total: int


OnProgress: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True, slots=True)
class Failure:
    """An action, or a conflict that no action is for, and why it was not done.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.database("archive", "7d", database_name="nowhere"))
    >>> [failure] = apply_plan(engine, plan_pitrs(engine, metadata)).failed
    >>> failure.action.pitr.name, type(failure.error).__name__
    ('archive', 'PitrTargetError')
    """

    action: Action | Conflict
    error: Exception


@dataclass(slots=True)
class ApplyReport:
    """The outcome of each action of a plan; each is in exactly one list.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> report = apply_plan(engine, plan_pitrs(engine, metadata))
    >>> report.ok, [action.pitr.name for action in report.done]
    (True, ['nightly'])

    :ivar done: took effect.
    :ivar skipped: was so already when its turn came; nothing was sent.
    :ivar failed: did not come about, with the error; where a renewal had to drop the old generation
        first and has done so, a note of the error says it.
    :ivar unknown: sent, but interrupted, or the answer lost and reading back failed too: run the
        plan again.
    :ivar not_tried: never sent: an error came first, or the server had changed.
    """

    done: list[Action] = field(default_factory=list)
    skipped: list[Action] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    unknown: list[Action] = field(default_factory=list)
    not_tried: list[Action] = field(default_factory=list)
    _note: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether all of the plan is so now."""
        return not (self.failed or self.unknown or self.not_tried)

    def raise_for_failed(self) -> None:
        """Raise where the plan is not so now; as :attr:`ok` tells.

        :raises PitrError: of the class of the first failure, with the whole report in its message
            and as its ``report``.
        """
        if self.ok:
            return
        cause = self.failed[0].error if self.failed else None
        kind = type(cause) if isinstance(cause, PitrError) else PitrError
        error = kind(f"the plan was not applied as a whole.\n{self}")
        error.report = self  # type: ignore[attr-defined]
        raise error from cause

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "ok": self.ok,
            "done": [action.to_dict() for action in self.done],
            "skipped": [action.to_dict() for action in self.skipped],
            "failed": [
                {**failure.action.to_dict(), "error": str(failure.error)} for failure in self.failed
            ],
            "unknown": [action.to_dict() for action in self.unknown],
            "not_tried": [action.to_dict() for action in self.not_tried],
        }

    def __str__(self) -> str:
        counts = ", ".join(
            f"{len(items)} {what}"
            for what, items in (
                ("done", self.done),
                ("already so", self.skipped),
                ("failed", self.failed),
                ("unknown", self.unknown),
                ("not tried", self.not_tried),
            )
            if items
        )
        lines = [counts or "nothing to do"]
        for failure in self.failed:
            notes = [n for n in getattr(failure.error, "__notes__", []) if n is not self._note]
            lines.append("\n    ".join((f"  failed: {failure.action}", str(failure.error), *notes)))
        lines += [f"  unknown, run the plan again: {action}" for action in self.unknown]
        lines += [f"  not tried: {action}" for action in self.not_tried[:20]]
        if len(self.not_tried) > 20:
            lines.append(f"  ... and {len(self.not_tried) - 20} more not tried")
        return "\n".join(lines)


@contextlib.contextmanager
def carried(
    report: Callable[[], ApplyReport], note: Callable[[ApplyReport], str]
) -> Iterator[None]:
    """Let whatever exception leaves the block carry the report, from the lock to its release.

    :param report: made when it is needed.
    :param note: the text of the note; there is none where nothing has been sent or looked at.
    """
    try:
        yield
    except BaseException as error:
        carry(error, report(), note)
        raise


def carry(error: BaseException, report: ApplyReport, note: Callable[[ApplyReport], str]) -> None:
    """Put a report on an exception."""
    with contextlib.suppress(AttributeError):  # of a class that takes none
        error.report = report  # type: ignore[attr-defined]
    if report.done or report.skipped or report.failed or report.unknown:
        report._note = note(report)  # which is not repeated where the error is a failure of it
        error.add_note(report._note)
