"""Choose how to restore: by RESTORE, or by copies in one transaction. Pure: nothing is read.

RESTORE is the server's own way. Where it would do nothing, leave something out, lose something or
bring broken indexes, the tables are dropped and made again in one transaction instead, all of them
or none:

=======================================  ========================================================
a table                                  is made again by
=======================================  ========================================================
on a server without CLONE (2.2)          its definition of then, and INSERT ... SELECT of its rows
whose indexes are kept, or without any   CLONE of the moment, in milliseconds
whose indexes are not kept               the same
in a circle of foreign keys              the same; the keys are added when all rows are there
=======================================  ========================================================

The foreign keys of other tables that refer to a restored one are dropped before and added again.

Source: docs/server.md, RESTORE; Clones; Garbage collection.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..catalog import Key, ObjectKey, in_circles, names_of, parents_first
from ..coverage.model import Kept, Policy
from ..coverage.verdicts import judge
from ..extent import Extent, Parts, kept_by
from ..model import PitrLevel
from .facts import Facts
from .run import blocking_keys


class Way(enum.StrEnum):
    """Way in which a table gets its past state."""

    RESTORE = "restore"
    CLONE = "clone"
    ROWS = "rows"
    DROP = "drop"
    """It was not there then."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Choice of how a restore is done.

    :ivar policies: the policy that RESTORE of each object names; empty where copies are made.
    :ivar ways: of each table that is there, now or afterwards.
    :ivar obstacles: why RESTORE is not used.
    """

    policies: Mapping[ObjectKey, str]
    ways: Mapping[Key, Way]
    obstacles: tuple[str, ...] = field(default=())

    @property
    def by_restore(self) -> bool:
        return bool(self.policies)


def decide(facts: Facts, *, by_restore: bool | None = None, no_text: str = "") -> Decision:
    """Decide how a restore is done.

    :param by_restore: False never uses RESTORE.
    :param no_text: why the moment cannot be said to RESTORE; empty where it can.
    """
    obstacles = [no_text] if no_text else []
    if by_restore is False:
        obstacles.append("the caller wants copies")
    policies: dict[ObjectKey, str] = {}
    tables: list[ObjectKey] = [*copy_order(facts)]
    for restored in tables if facts.scope.database is None else facts.scope.objects:
        obstacles += _obstacles(facts, restored)
        usable = usable_policies(facts, restored)
        if usable:
            policies[restored] = usable[0].pitr.name
        else:
            obstacles.append(f"no policy can restore all of {'.'.join(filter(None, restored))}")
    ways = dict.fromkeys(facts.removed, Way.DROP)
    if not obstacles:
        return Decision(policies, ways | dict.fromkeys(facts.restored, Way.RESTORE))
    circles = in_circles(facts.restored, [] if facts.then is None else facts.then.keys)
    for table in facts.restored:
        whole = table not in circles and has_whole_clone(facts, table)
        ways[table] = Way.CLONE if whole else Way.ROWS
    return Decision({}, ways, tuple(dict.fromkeys(obstacles)))


def copy_order(facts: Facts) -> list[Key]:
    """The restored tables, each after those that it refers to; in a circle in any order."""
    keys = () if facts.then is None else facts.then.keys
    circles = in_circles(facts.restored, keys)
    straight = [key for key in keys if not (key.table in circles and key.parent in circles)]
    return parents_first(facts.restored, straight)


def has_whole_clone(facts: Facts, table: Key) -> bool:
    """Whether a CLONE of the moment has the table's indexes in order."""
    if not facts.rules.clones:
        return False
    if not _parts(facts, table).indexes:
        return True
    verdict = facts.verdicts.get(table)
    if verdict is None or verdict.kept is not Kept.KEPT:
        return False
    of_tables = {
        policy.pitr.name for policy in facts.known.policies if policy.pitr.level is PitrLevel.TABLE
    }
    return not of_tables.issuperset(verdict.by)  # a snapshot keeps them as well


def usable_policies(facts: Facts, restored: ObjectKey) -> list[Policy]:
    """The policies from which RESTORE brings all of an object, the narrowest first."""
    if facts.then is None:
        return []
    tables = [table for table in facts.restored if restored in ((table[0], None), table)]
    found = [
        policy
        for policy in facts.known.policies
        if _may_restore(policy, restored)
        and all(_keeps_all(facts, policy, table) for table in tables or [(restored[0], "")])
    ]
    order = [PitrLevel.TABLE, PitrLevel.DATABASE, PitrLevel.ACCOUNT]
    return sorted(found, key=lambda policy: order.index(policy.pitr.level))


def _may_restore(policy: Policy, restored: ObjectKey) -> bool:
    """Whether the server takes a policy for RESTORE of an object, by level and names."""
    pitr = policy.pitr
    if pitr.level is PitrLevel.CLUSTER:
        return False
    if pitr.level is PitrLevel.ACCOUNT:
        return pitr.account_name is None
    if pitr.level is PitrLevel.DATABASE:
        return pitr.database_name == restored[0]
    return (pitr.database_name, pitr.table_name) == restored


def _keeps_all(facts: Facts, policy: Policy, table: Key) -> bool:
    alone = replace(facts.known, policies=[policy], snapshots=())
    verdict = judge(alone, table, facts.at, facts.ids_then)
    if verdict is None or verdict.kept is not Kept.KEPT:
        return False
    return kept_by(policy.pitr.level, _parts(facts, table), facts.rules) is Extent.ALL


def _parts(facts: Facts, table: Key) -> Parts:
    return Parts() if facts.then is None else facts.then.parts.get(table, Parts())


# ---------------------------------------------------------------------------- limits of RESTORE


def _obstacles(facts: Facts, restored: ObjectKey) -> Iterator[str]:
    """Why RESTORE of an object does not do."""
    name = ".".join(filter(None, restored))
    blocking = blocking_keys(facts.now.keys, restored, facts.rules)
    if blocking:
        yield (
            f"RESTORE of {name} does nothing and says OK while foreign keys of "
            f"{names_of(sorted({key.table for key in blocking}))} refer to it"
        )
    if restored[1] is None:
        yield from _lost_with(facts, name)
    else:
        yield from _names(facts, (restored[0], restored[1]))


def _lost_with(facts: Facts, database: str) -> Iterator[str]:
    lost = facts.now.named("S", "e")
    if lost:
        yield (f"RESTORE of {database} loses its sequences and external tables: {names_of(lost)}")
    if facts.broken_views:
        yield (
            f"RESTORE of {database} fails because of views that refer to what was not there: "
            f"{names_of(facts.broken_views)}"
        )
    misread = [table for table in facts.restored if "\\" in table[1]]
    if misread:
        yield f"RESTORE of {database} misreads a backslash in a name: {names_of(misread)}"
    keys = () if facts.then is None else facts.then.keys
    circle = in_circles(facts.restored, [key for key in keys if not key.to_itself])
    if circle:
        yield (
            f"RESTORE of {database} fails where foreign keys make a circle: "
            f"{names_of(sorted(circle))}"
        )
    if facts.routines:
        yield (
            f"RESTORE of {database} drops it, with its functions and procedures: "
            f"{', '.join(facts.routines)}"
        )


def _names(facts: Facts, table: Key) -> Iterator[str]:
    """Names that RESTORE refuses, or takes for others."""
    database, name = table
    if set(" \t`'").intersection(name):
        yield f"RESTORE refuses the name {name!r}"
    if (database, None) not in facts.now.ids:
        yield f"database {database} is not there"
    if facts.rules.restore_by_pattern and facts.then is not None:
        pattern = "".join(
            {"_": ".", "%": ".*"}.get(character, re.escape(character)) for character in name
        )
        alike = [
            other
            for other_database, other in facts.then.kinds
            if other_database == database
            and other != name
            and re.fullmatch(pattern, other, re.DOTALL | re.IGNORECASE)
        ]
        if alike:
            yield (
                f"RESTORE of {database}.{name} on this version takes the name for a pattern, which "
                f"{', '.join(sorted(alike))} fits too"
            )
