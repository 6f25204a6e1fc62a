"""Snapshots: named instants, which reads of the past name and garbage collection keeps.

docs/server.md, Snapshots. Like the rows of mo_pitr they live in memory, beside all transactions.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from ..errors import SqlError
from ..parsing.refusals import refuse_odd_name
from ..types.definition import Named
from .collecting import Level, Place


@dataclass(frozen=True)
class Snapshot:
    """One row of mo_catalog.mo_snapshots."""

    snapshot_id: str
    name: str
    at: int
    level: Level
    account_name: str
    database: str
    table: str
    object_id: int

    @property
    def place(self) -> Place:
        """The object whose instant it keeps."""
        return ("cluster", 0) if self.level == "cluster" else (self.level, self.object_id)


class Snapshots:
    """The snapshots of all accounts, each of which knows those that it made; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[int, list[Snapshot]] = {}

    def add(self, account: int, snapshot: Snapshot) -> None:
        """Keep one that *account* made."""
        with self._lock:
            self._made.setdefault(account, []).append(snapshot)

    def drop(self, account: int, name: str) -> None:
        """Forget one of that name."""
        with self._lock:
            made = self._made.get(account, [])
            self._made[account] = [one for one in made if one.name != name]

    def account_dropped(self, account: int) -> None:
        """Forget those that a dropped account made."""
        with self._lock:
            self._made.pop(account, None)

    def made_by(self, account: int) -> list[Snapshot]:
        """The snapshots that an account made, oldest first."""
        with self._lock:
            return list(self._made.get(account, []))

    def find(self, account: int, name: str) -> Snapshot | None:
        """The one of that name; a name that the server cannot look up is refused."""
        refuse_odd_name(name)
        return next((one for one in self.made_by(account) if one.name == name), None)

    def need(self, account: int, name: str) -> Snapshot:
        """The one that a read or a RESTORE names."""
        found = self.find(account, name)
        if found is None:
            raise SqlError.internal(f"find 0 snapshot records by name({name}), expect only 1")
        return found

    def instants(self) -> dict[Place, frozenset[int]]:
        """The instants that garbage collection leaves, by the objects that they are of."""
        found: dict[Place, frozenset[int]] = {}
        with self._lock:
            for one in (snapshot for made in self._made.values() for snapshot in made):
                found[one.place] = found.get(one.place, frozenset()) | {one.at}
        return found


def refuse_other_snapshot(snapshot: Snapshot, read: Named, database_id: int, table_id: int) -> None:
    """Refuse the snapshot of a table or database for another one."""
    if snapshot.level == "table" and snapshot.object_id != table_id:
        shown = f"the table({read.database}-{read.name})"
    elif snapshot.level == "database" and snapshot.object_id != database_id:
        shown = f"the database({read.database})"
    else:
        return
    raise SqlError.internal(
        f"{snapshot.level}-level snapshot({snapshot.name}) does not belong to {shown}"
    )
