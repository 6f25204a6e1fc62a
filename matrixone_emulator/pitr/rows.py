"""A row of mo_catalog.mo_pitr, and which rows a change of an object concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..statements.storage import Event
from ..storage.collecting import Level, Place

HIDDEN = "sys_mo_catalog_pitr"


SYSTEM_DATABASES = frozenset(
    ("mo_catalog", "mysql", "system", "system_metrics", "information_schema", "mo_task", "mo_debug")
)


CLUSTER_OBJECT = (1 << 64) - 1


@dataclass
class PitrRow:
    """One row of mo_catalog.mo_pitr."""

    pitr_id: str
    name: str
    create_account: int
    create_time: int
    modified_time: int
    level: Level
    account_id: int
    account_name: str
    database: str
    table: str
    object_id: int
    length: int
    unit: str
    status: int = 1
    status_changed: int = 0
    # A second row of one primary key, left by the race of 3.0.9: seen by reads, not by name.
    ghost: bool = False
    ghost_until: int | None = None

    @property
    def place(self) -> Place:
        """The object whose history it keeps."""
        return ("cluster", 0) if self.level == "cluster" else (self.level, self.object_id)


def affected_by(event: Event) -> Callable[[PitrRow], bool]:
    """Return a test for the active rows whose object *event* is about."""
    return lambda row: (
        bool(row.status)
        and row.account_id == event.account_id
        and row.database == event.database
        and (event.table is None or row.table == event.table)
        and row.object_id == event.old_id
    )
