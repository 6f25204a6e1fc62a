"""Records of holds: whose range is longer for a while, and what it was.

A hold lengthens the ranges of policies to the longest that the server takes, so that nothing ages
out. The ranges before are in ``matrixone_pitr.holds``, in the account. They also say what is surely
kept: of a policy whose range was changed the server does not tell how long it was before.

Source: docs/server.md, ALTER PITR; Garbage collection.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from .connections import query, roll_back
from .errors import is_not_there
from .generations import Policy, split_generation, target_text
from .model import Pitr, PitrRange, PitrUnit
from .moment import Moment, begin_of_range
from .own import OwnTable

HELD: Final = PitrRange(100, PitrUnit.YEAR)
"""The range of a policy that is held: the longest that there is."""

NAME: Final = "holds"
OWN: Final = OwnTable(
    NAME,
    {
        "id": "BIGINT PRIMARY KEY",
        "made": "BIGINT NOT NULL",
        "released": "BIGINT",
        "reason": "TEXT NOT NULL",
        "targets": "TEXT NOT NULL",
        "policies": "TEXT NOT NULL",
    },
)
TABLE: Final = OWN.quoted


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """A policy whose range a hold has lengthened.

    :ivar before: its range before, which :func:`release` gives back.
    :ivar sure: the moment from which it surely keeps, as far as was known before the hold.
    :ivar modified: seconds since 1970 of the last change by a hold; None where it is not known.
    :ivar target: what it is for, in words: another policy of that name is not held.
    """

    name: str
    before: PitrRange
    sure: Moment
    modified: int | None = None
    target: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "before": str(self.before),
            "sure": self.sure.nanoseconds,
            "modified": self.modified,
            "target": self.target,
        }


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold of policies' ranges, by :func:`hold`.

    >>> from sqlalchemy import create_engine
    >>> [found.reason for found in holds(create_engine(url)) if found.reason == "no such"]
    []

    :ivar id: which :func:`release` takes.
    :ivar targets: what is held, in words.
    :ivar released: when it ended; None while it holds.
    :ivar notes: what :func:`release` did not change, each in a sentence.
    """

    id: int
    reason: str
    targets: str
    made: Moment
    released: Moment | None
    policies: tuple[HeldPolicy, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "id": self.id,
            "reason": self.reason,
            "targets": self.targets,
            "made": str(self.made),
            "released": None if self.released is None else str(self.released),
            "policies": [policy.to_dict() for policy in self.policies],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        names = ", ".join(f"{policy.name} ({policy.before})" for policy in self.policies)
        ended = "" if self.released is None else f", released {self.released}"
        return f"{self.id}: {self.targets} since {self.made}{ended}: {self.reason}: {names}"


COLUMNS: Final = "id, reason, targets, made, released, policies"
"""The columns of :data:`TABLE` that :func:`hold_of` takes."""


def read_holds(connection: Connection) -> list[Hold]:
    """The holds of this account, oldest first; none where there never was one. One statement, on an
    idle connection of ours."""
    statement = text(f"SELECT {COLUMNS} FROM {TABLE} ORDER BY id")
    try:
        rows = query(connection, statement)
    except DBAPIError as error:
        if not is_not_there(error):
            raise
        roll_back(connection)
        return []
    return [hold_of(row) for row in rows]


def hold_of(row: Sequence[Any]) -> Hold:
    """The hold in a row of :data:`COLUMNS`."""
    number, reason, targets, made, released, policies = row
    return Hold(
        int(number),
        reason,
        targets,
        Moment(int(made)),
        None if released is None else Moment(int(released)),
        tuple(
            HeldPolicy(
                one["name"],
                PitrRange.parse(one["before"]),
                Moment(one["sure"]),
                one["modified"],
                one["target"],
            )
            for one in json.loads(policies)
        ),
    )


def held_ranges(connection: Connection, pitrs: Collection[Pitr]) -> dict[str, PitrRange]:
    """The ranges before of the policies that are held, by name.

    Nothing is read where no policy has the range of one that is held.
    """
    if all(pitr.range != HELD for pitr in pitrs):
        return {}
    return held_among(read_holds(connection), pitrs)


def held_among(found: Iterable[Hold], pitrs: Collection[Pitr]) -> dict[str, PitrRange]:
    """The ranges before of the policies that holds in force hold, by name. Others may have the
    range of a hold, too."""
    before = ranges_before([one for one in found if one.released is None], pitrs)
    held = {pitr.name for pitr in pitrs if pitr.range == HELD}
    return {name: range for name, range in before.items() if name in held}


def ranges_before(found: Iterable[Hold], pitrs: Collection[Pitr]) -> dict[str, PitrRange]:
    """The ranges before of the policies that holds are for, by name.

    A generation that renewed a held policy has taken the held range over, and is held with it,
    also where the held one was dropped since.
    """
    held = [policy for one in found for policy in one.policies]
    targets = {pitr.name: target_text(pitr) for pitr in pitrs}
    ranges = {
        policy.name: policy.before
        for policy in held
        if targets.get(policy.name, policy.target) == policy.target
    }
    lines: dict[tuple[str, str], dict[int, PitrRange]] = defaultdict(dict)
    for policy in held:
        name, number = split_generation(policy.name)
        lines[name, policy.target][number] = policy.before
    for pitr in pitrs:
        name, number = split_generation(pitr.name)
        older = lines.get((name, target_text(pitr)), {})
        earlier = [one for one in older if one < number]
        if earlier and pitr.range == HELD and pitr.name not in ranges:
            ranges[pitr.name] = older[max(earlier)]
    return ranges


def is_held(policy: Policy, held: Container[str]) -> bool:
    """Whether a generation of a policy is held.

    :param held: the names of PITRs that are.
    """
    return any(pitr.name in held for pitr in policy.generations)


def range_of_renewal(policy: Policy, range: PitrRange, held: Container[str]) -> PitrRange:
    """The range of a generation that renews a policy: one that is held is held with what it renews.

    :param range: where it is not held.
    :param held: the names of PITRs that are.

    >>> from sqlalchemy_matrixone_pitr.generations import policies
    >>> week = PitrRange.parse("7d")
    >>> [policy] = policies([Pitr.account("nightly", week)])
    >>> [str(range_of_renewal(policy, week, held)) for held in ({}, {"nightly": week})]
    ['7d', '100y']
    """
    return HELD if is_held(policy, held) else range


def sure_moments(connection: Connection, pitrs: Collection[Pitr]) -> dict[str, Moment]:
    """The moments from which policies surely keep, of those whose range only holds have changed.

    Nothing is read where no range was changed.
    """
    changed = with_changed_range(pitrs)
    return known_sure(read_holds(connection), changed) if changed else {}


def with_changed_range(pitrs: Iterable[Pitr]) -> dict[str, Pitr]:
    """The policies whose range was changed, by a hold or otherwise, by name."""
    return {
        pitr.name: pitr
        for pitr in pitrs
        if pitr.modified_time is not None and pitr.modified_time != pitr.created_time
    }


def known_sure(found: Iterable[Hold], pitrs: Mapping[str, Pitr]) -> dict[str, Moment]:
    """The moments from which policies surely keep, by their holds."""
    sure: dict[str, Moment] = {}
    for one in found:
        for policy in one.policies:
            pitr = pitrs.get(policy.name)
            if pitr is None or pitr.modified_time is None:
                continue
            if policy.modified == int(pitr.modified_time.timestamp()):
                reach = begin_of_range(policy.before.start(one.made.datetime()))
                sure[policy.name] = max(policy.sure, reach)
    return sure
