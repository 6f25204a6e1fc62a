"""What will be missing on the bad day, unless somebody acts. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from ..moment import Moment


class RiskKind(enum.StrEnum):
    """The kind of a :class:`Risk`, the gravest first.

    >>> list(RiskKind)[0].value
    'not covered'
    """

    NOT_COVERED = "not covered"
    """No policy is for a table."""
    DETACHED = "detached"
    """Only detached policies are for a table or a database that is there."""
    TARGET_GONE = "target gone"
    """The table or database of a policy is gone; what it kept shrinks day by day."""
    LETTING_GO = "letting go"
    """A range is about to let go of the moment in question."""
    TOO_SHORT = "too short"
    """No active policy of a table has the required range."""
    ROWS_ONLY = "rows only"
    """Indexes or partitions of a table are not kept."""
    UNKNOWN = "unknown"
    """This account cannot know whether a table is protected."""
    CDC = "cdc"
    """A policy's range is under the two hours that change data capture needs."""


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that will be missing on the bad day, unless somebody acts.

    :ivar message: for people: what, of which object, and what to do.
    :ivar database_name: of the table or policy; None of a policy above the database.
    :ivar table_name: None of a database or a policy above the table.
    :ivar policy: the policy's name; None where it is the lack of one.
    :ivar when: when something will be lost; None where it is lost already, or is not known.
    """

    kind: RiskKind
    message: str
    database_name: str | None = None
    table_name: str | None = None
    policy: str | None = None
    when: Moment | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        return {
            "kind": self.kind.value,
            "message": self.message,
            "database_name": self.database_name,
            "table_name": self.table_name,
            "policy": self.policy,
            "when": None if self.when is None else self.when.text(),
        }
