"""Data between the storage and the session layer: results, events, the session's context."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ..types.columns import Column

SYSTEM_DATABASES = (
    "information_schema",
    "mo_catalog",
    "mo_debug",
    "mo_task",
    "mysql",
    "system",
    "system_metrics",
)


@dataclass
class Result:
    """Result of a statement; *columns* is empty for one without a result set."""

    columns: list[Column] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    affected: int = 0
    last_insert_id: int = 0
    found: int = 0


class SessionContext(Protocol):
    """The session layer's side: who asks, and what SET has set."""

    account: str
    account_id: int
    user: str
    role: str
    database: str
    connection_id: int
    time_zone: datetime.tzinfo
    deadline_seconds: float
    found_rows: bool
    version_text: str

    @property
    def reported_account_id(self) -> int:
        """Result of ``current_account_id()``, which may be wrong."""

    @property
    def pending_events(self) -> Sequence[Event]:
        """Changes of objects in the open transaction so far."""

    def variable(self, name: str, scope: str) -> object: ...

    def variables(self, scope: str) -> Mapping[str, object]: ...

    def user_variable(self, name: str) -> object: ...

    def set_user_variable(self, name: str, value: object) -> None: ...


@dataclass(frozen=True)
class DatabaseInfo:
    id: int
    name: str
    created_ns: int


@dataclass(frozen=True)
class TableInfo:
    id: int
    database: str
    name: str
    created_ns: int
    logical_id: int = 0
    """The id it was created with; rebuilding and TRUNCATE keep it (4.2.0 shows it)."""


EventKind = Literal[
    "create_database",
    "drop_database",
    "create_table",
    "drop_table",
    "rebuild_table",
    "truncate_table",
    "rename_table",
    "restore_table",
    "restore_database",
]


@dataclass(frozen=True)
class Event:
    """A change of the catalogue; *at* is the commit's moment in nanoseconds."""

    kind: EventKind
    account_id: int
    database: str
    table: str | None
    old_id: int
    new_id: int
    at: int = 0
