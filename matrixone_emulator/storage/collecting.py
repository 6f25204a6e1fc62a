"""Garbage collection: which moments of which objects can still be read.

docs/server.md, Garbage collection. A collection deletes nothing here: it is a rule, remembered,
that reads of the past ask. It takes all that the server may take, at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..types.definition import Objects

Level = Literal["cluster", "account", "database", "table"]

Place = tuple[Level, int]
"""A level and the id of an object there; the cluster's is 0"""


@dataclass(frozen=True)
class Kept:
    """History that policies and snapshots keep, by level and id: nanoseconds."""

    since: Mapping[Place, int] = field(default_factory=dict)
    """The oldest moment that a policy's range reaches back to"""
    instants: Mapping[Place, frozenset[int]] = field(default_factory=dict)
    """The instants of snapshots"""

    def within(self, other: Kept) -> bool:
        """Whether *other* keeps all that this keeps."""
        return all(
            start >= other.since.get(place, start + 1) for place, start in self.since.items()
        ) and all(
            moments <= other.instants.get(place, frozenset())
            for place, moments in self.instants.items()
        )

    def keeps(self, objects: Objects, at: int) -> bool:
        """Whether the object's history at *at* is kept."""
        around: tuple[Place, ...] = (
            ("cluster", 0),
            ("account", objects.account),
            ("database", objects.database),
            ("table", objects.table),
        )
        if any(at >= self.since.get(place, at + 1) for place in around):
            return True
        # A table's snapshot keeps its indexes, a table's policy does not.
        return any(
            at in self.instants.get(place, ()) for place in (*around, ("table", objects.indexed))
        )


@dataclass(frozen=True)
class Collection:
    """One garbage collection: moments before *horizon* are gone, but for what was kept then."""

    horizon: int
    kept: Kept


class Collector:
    """The garbage collections so far; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._collections: tuple[Collection, ...] = ()

    def collect(self, horizon: int, kept: Kept) -> None:
        """Take what lies before *horizon* and is not kept."""
        with self._lock:
            # Those whose every loss is one of this collection too need not be asked any more.
            before = [
                one
                for one in self._collections
                if one.horizon > horizon or not kept.within(one.kept)
            ]
            self._collections = (*before, Collection(horizon, kept))

    def keeps(self, objects: Iterable[Objects], at: int | None) -> bool:
        """Whether the history of objects at a moment can be read; the present always can."""
        return at is None or all(
            at >= one.horizon or all(one.kept.keeps(each, at) for each in objects)
            for one in self._collections
        )
